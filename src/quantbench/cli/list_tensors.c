/* SPDX-License-Identifier: Apache-2.0 */
/* list_tensors.c - name, shape, type, bytes and file of each tensor, in the order in which they are quantized. */
#include <config.h>

#include "base/document.h"
#include "base/saturate.h"
#include "cases/tensors.h"
#include "cli/list_tensors.h"
#include "report/describe.h"
#include "report/field.h"
#include "report/fold.h"
#include "report/report.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define SCHEMA         "quantbench-tensors"
#define SCHEMA_VERSION 1

static bool is_format(const struct settings *settings, const char *name)
{
    return strcmp(settings->reporting.format->name, name) == 0;
}

/* The name for people, "-" of a .npy file. */
static const char *name_text(const struct tensor *tensor, char text[LABEL_TEXT_SIZE])
{
    return tensor->name != NULL ? label_text(text, tensor->name, strlen(tensor->name)) : "-";
}

static const char *file_text(const struct tensor *tensor, char text[LABEL_TEXT_SIZE])
{
    return label_text(text, tensor->file, strlen(tensor->file));
}

static uint64_t total_bytes(const struct tensors *tensors)
{
    uint64_t bytes = 0;

    for (size_t i = 0; i < tensors->count; i++) {
        bytes = saturate_add(bytes, tensors->items[i].bytes);
    }
    return bytes;
}

/* Bytes of the columns of type and bytes, and of the blanks between all columns. */
#define OTHER_COLUMNS (8 + 12 + 4 * 2)
#define LEAST_FILE    24

/* Set TEXT to the name for people, cut to the width of a table. */
static void cut_name(const struct tensor *tensor, char text[LABEL_TEXT_SIZE])
{
    char name[LABEL_TEXT_SIZE];

    snprintf(text, LABEL_TEXT_SIZE, "%s", name_text(tensor, name));
    describe_cut(text, DESCRIBE_NAME_WIDTH);
}

/* Names and files are cut where lines would be too wide; other formats have the whole of them. */
static void print_text(const struct tensors *tensors)
{
    char name[LABEL_TEXT_SIZE], file[LABEL_TEXT_SIZE], label[LABEL_TEXT_SIZE];
    int names = 4, shapes = 5, files;

    for (size_t i = 0; i < tensors->count; i++) {
        const int shape = (int)strlen(tensors->items[i].shape);
        int length;

        cut_name(&tensors->items[i], name);
        length = (int)strlen(name);

        names = length > names ? length : names;
        shapes = shape > shapes ? shape : shapes;
    }
    files = fold_width(stdout) - names - shapes - OTHER_COLUMNS;
    files = files > LEAST_FILE ? files : LEAST_FILE;
    printf("%-*s  %-*s  %-8s %12s  %s\n", names, "name", shapes, "shape", "type", "bytes", "file");
    for (size_t i = 0; i < tensors->count; i++) {
        const struct tensor *tensor = &tensors->items[i];

        cut_name(tensor, name);
        snprintf(file, sizeof file, "%s", file_text(tensor, label));
        printf("%-*s  %-*s  %-8s %12" PRIu64 "  %s\n", names, name, shapes, tensor->shape, tensor->type, tensor->bytes,
               describe_cut(file, (size_t)files));
    }
    printf("%zu tensor%s, %.1f MB\n", tensors->count, tensors->count == 1 ? "" : "s",
           (double)total_bytes(tensors) * 1e-6);
}

/* Completion reads these lines. */
static void print_csv(const struct tensors *tensors)
{
    puts("name,shape,type,bytes,file");
    for (size_t i = 0; i < tensors->count; i++) {
        const struct tensor *tensor = &tensors->items[i];

        field_quoted_csv(tensor->name != NULL ? tensor->name : "", stdout);
        putchar(',');
        field_quoted_csv(tensor->shape, stdout);
        printf(",%s,%" PRIu64 ",", tensor->type, tensor->bytes);
        field_quoted_csv(tensor->file, stdout);
        putchar('\n');
    }
}

static void print_markdown(const struct tensors *tensors)
{
    char text[LABEL_TEXT_SIZE];

    puts("| name | shape | type | bytes | file |\n|---|---|---|---:|---|");
    for (size_t i = 0; i < tensors->count; i++) {
        const struct tensor *tensor = &tensors->items[i];

        fputs("| ", stdout);
        field_markdown(tensor->name != NULL ? name_text(tensor, text) : "", stdout);
        fputs(" | ", stdout);
        field_markdown(tensor->shape, stdout);
        printf(" | %s | %" PRIu64 " | ", tensor->type, tensor->bytes);
        field_markdown(file_text(tensor, text), stdout);
        puts(" |");
    }
}

static enum exit_code print_json(const struct tensors *tensors)
{
    json_t *list = json_array();

    for (size_t i = 0; i < tensors->count; i++) {
        const struct tensor *tensor = &tensors->items[i];

        document_append(&list, json_pack("{s:o, s:s, s:s, s:o, s:o, s:o, s:o}", "name",
                                         tensor->name != NULL ? document_text(tensor->name) : json_null(), "shape",
                                         tensor->shape, "type", tensor->type, "rows", document_number(tensor->rows),
                                         "columns", document_number(tensor->cols), "bytes",
                                         document_number(tensor->bytes), "file", document_text(tensor->file)));
    }
    return document_print(json_pack("{s:s, s:I, s:o, s:o}", "schema", SCHEMA, "schema_version",
                                    (json_int_t)SCHEMA_VERSION, "tensors", list, "bytes",
                                    document_number(total_bytes(tensors))),
                          stdout);
}

enum exit_code list_tensors(const struct settings *settings)
{
    struct tensors tensors = {.count = 0};
    enum exit_code code = tensors_open(&settings->sweep, TENSORS_TO_LIST, UINT64_MAX, &tensors);

    if (code == EXIT_OK && is_format(settings, "json")) {
        code = print_json(&tensors);
    } else if (code == EXIT_OK && is_format(settings, "text")) {
        print_text(&tensors);
    } else if (code == EXIT_OK && is_format(settings, "csv")) {
        print_csv(&tensors);
    } else if (code == EXIT_OK) {
        print_markdown(&tensors);
    }
    tensors_close(&tensors);
    return code;
}
