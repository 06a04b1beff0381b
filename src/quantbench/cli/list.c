/* SPDX-License-Identifier: Apache-2.0 */
/* list.c - what there is to choose from, and why something is not there. */
#include <config.h>

#include "cases/catalog.h"
#include "base/document.h"
#include "cli/list.h"
#include "cases/models.h"
#include "cases/plugins.h"
#include "report/fold.h"
#include "report/report.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

/* The name under which lists of this program can be told apart, and their version. */
#define SCHEMA_VERSION 1

/* Where the text about a device or a kernel begins, below its name. */
#define INDENT 9

/* Lists are text or JSON, as settings.c has checked. */
static bool is_text(const struct settings *settings)
{
    return strcmp(settings->reporting.format->name, "text") == 0;
}

/* Call USE for each device that can be opened. The others are errors; returns an exit code. */
static enum exit_code for_each_device(void (*use)(const struct qb_device_info *info, void *context), void *context)
{
    enum exit_code code = EXIT_OK;

    for (size_t i = 0; i < qb_backend_count(); i++) {
        const struct qb_backend *backend = qb_backend_at(i);
        int count;

        if (qb_backend_device_count(backend, &count) != QB_OK) {
            continue;
        }
        for (int j = 0; j < count; j++) {
            struct qb_device *device;
            struct qb_device_info info = {.size = sizeof info};

            if (qb_device_open(backend, j, &device) != QB_OK) {
                message_error("device %d of %s: %s", j, qb_backend_name(backend), qb_error_detail());
                code = EXIT_CANNOT_RUN;
                continue;
            }
            if (qb_device_info(device, &info) == QB_OK) {
                use(&info, context);
            }
            qb_device_close(device);
        }
    }
    return code;
}

/* Why the CUDA backend has no device; "" if it has one. */
static const char *why_no_cuda(void)
{
    const struct qb_backend *cuda = qb_backend_find("cuda");
    int count;

    if (cuda == NULL) {
        return qb_backend_why_not("cuda");
    }
    return qb_backend_device_count(cuda, &count) == QB_OK ? "" : qb_error_detail();
}

/* Print TEXT and a newline below the name of what it is about. */
static void print_below(const char *text)
{
    printf("%*s", INDENT, "");
    fold_print(text, INDENT, INDENT, fold_width(stdout), stdout);
    putchar('\n');
}

static void print_device(const struct qb_device_info *info, void *context)
{
    (void)context;
    char cache[32] = "unknown", memory[32] = "unknown", text[512];

    if (info->cache_size > 0) {
        snprintf(cache, sizeof cache, "%.1f MB", (double)info->cache_size * 1e-6);
    }
    if (info->memory_total > 0) {
        snprintf(memory, sizeof memory, "%.1f GB", (double)info->memory_total * 1e-9);
    }
    snprintf(text, sizeof text, "%s, %u %s, %s last-level cache, %s memory", info->isa, info->units,
             info->pci[0] != '\0' ? "multiprocessors" : "CPUs", cache, memory);
    printf("%-8s %s\n", info->id, info->name);
    print_below(text);
    if (info->driver[0] != '\0') {
        snprintf(text, sizeof text, "driver %s, run time %s, PCI %s, %s", info->driver, info->runtime, info->pci,
                 info->uuid);
        print_below(text);
    }
}

static void append_device(const struct qb_device_info *info, void *context)
{
    document_append(context, report_device_json(info));
}

enum exit_code list_devices(const struct settings *settings)
{
    json_t *devices;
    enum exit_code code;

    if (is_text(settings)) {
        code = for_each_device(print_device, NULL);
        if (why_no_cuda()[0] != '\0') {
            printf("cuda     no device: ");
            fold_print(why_no_cuda(), strlen("cuda     no device: "), INDENT, fold_width(stdout), stdout);
            putchar('\n');
        }
        return code;
    }
    devices = json_array();
    code = for_each_device(append_device, &devices);
    if (code != EXIT_OK) {
        json_decref(devices);
        return code;
    }
    return document_print(json_pack("{s:s, s:I, s:o, s:s}", "schema", "quantbench-devices", "schema_version",
                                    (json_int_t)SCHEMA_VERSION, "devices", devices, "why_no_cuda", why_no_cuda()),
                          stdout);
}

enum exit_code list_kernels(const struct settings *settings)
{
    char arithmetic[PLUGINS_TEXT_SIZE];
    json_t *kernels;

    if (is_text(settings)) {
        for (size_t i = 0; i < catalog_count(); i++) {
            const struct kernel *kernel = catalog_at(i);

            printf("%s\n", kernel->name);
            print_below(kernel->description);
            if (kernel->operation != QB_OPERATION_QUANTIZE) {
                printf("         for --op=%s\n", qb_operation_name(kernel->operation));
            }
            if (kernel->plugin != NULL) {
                printf("         from ");
                message_print_text(kernel->plugin, stdout);
                printf("; computes %s\n", plugins_describe(&kernel->arithmetic, arithmetic));
            }
        }
        return EXIT_OK;
    }
    kernels = json_array();
    for (size_t i = 0; i < catalog_count(); i++) {
        const struct kernel *kernel = catalog_at(i);

        document_append(&kernels,
                        json_pack("{s:s, s:s, s:o, s:o, s:s, s:s}", "name", kernel->name, "backend",
                                  qb_backend_name(kernel->backend), "description", document_text(kernel->description),
                                  "plugin", kernel->plugin != NULL ? document_text(kernel->plugin) : json_null(),
                                  "arithmetic", plugins_describe(&kernel->arithmetic, arithmetic), "operation",
                                  qb_operation_name(kernel->operation)));
    }
    return document_print(json_pack("{s:s, s:I, s:o}", "schema", "quantbench-kernels", "schema_version",
                                    (json_int_t)SCHEMA_VERSION, "kernels", kernels),
                          stdout);
}

/* The width of a projection's input; "-" if the model does not have it. */
static const char *width_text(uint64_t width, char text[24])
{
    snprintf(text, 24, "%" PRIu64, width);
    return width > 0 ? text : "-";
}

enum exit_code list_models(const struct settings *settings)
{
    json_t *models = json_array();

    if (is_text(settings)) {
        printf("%-15s %6s %6s %6s %6s  %s\n", "model", "hidden", "attn", "dense", "expert", "config.json of");
    }
    for (size_t i = 0; i < model_count(); i++) {
        const struct model *model = model_at(i);
        uint64_t attention = model->heads * model->head_dim;
        char dense[24], expert[24];

        if (is_text(settings)) {
            printf("%-15s %6" PRIu64 " %6" PRIu64 " %6s %6s  %s\n", model->name, model->hidden, attention,
                   width_text(model->dense, dense), width_text(model->expert, expert), strrchr(model->source, '/') + 1);
        }
        document_append(&models, json_pack("{s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "name",
                                           model->name, "source", model->source, "hidden", (json_int_t)model->hidden,
                                           "attention", (json_int_t)attention, "dense", (json_int_t)model->dense,
                                           "expert", (json_int_t)model->expert, "layers", (json_int_t)model->layers,
                                           "dense_layers", (json_int_t)model->dense_layers, "experts_per_token",
                                           (json_int_t)model->chosen, "shared_experts", (json_int_t)model->shared,
                                           "query_rank", (json_int_t)model->query_rank));
    }
    if (is_text(settings)) {
        json_decref(models);
        return EXIT_OK;
    }
    return document_print(json_pack("{s:s, s:I, s:o}", "schema", "quantbench-models", "schema_version",
                                    (json_int_t)SCHEMA_VERSION, "models", models),
                          stdout);
}
