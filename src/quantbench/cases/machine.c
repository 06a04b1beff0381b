/* SPDX-License-Identifier: Apache-2.0 */
/* machine.c - opens the devices that --device names, and says what the host is. */
#include <config.h>

#include "base/nearest.h"
#include "cases/machine.h"

#include <ctype.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

bool device_is_cpu(const struct device *device)
{
    return strcmp(device->info.id, "cpu") == 0;
}

/* Append to TEXT, which has room for SIZE characters, the names of all devices there are. */
static void append_device_names(char *text, size_t size)
{
    for (size_t i = 0; i < qb_backend_count(); i++) {
        const struct qb_backend *backend = qb_backend_at(i);
        int count;

        if (qb_backend_device_count(backend, &count) != QB_OK) {
            continue;
        }
        for (int j = 0; j < count; j++) {
            size_t length = strlen(text);

            snprintf(text + length, size - length, "%s%s", length > 0 ? ", " : "", qb_backend_name(backend));
            if (strcmp(qb_backend_name(backend), "cpu") != 0) {
                length = strlen(text);
                snprintf(text + length, size - length, ":%d", j);
            }
        }
    }
}

static enum exit_code no_such_device(const char *name, const char *why)
{
    char devices[512] = "";

    append_device_names(devices, sizeof devices);
    message_error("--device=%s: %s; there is: %s", name, why, devices);
    return EXIT_CANNOT_RUN;
}

/* Find out whether DEVICE has graphs. */
static void learn(struct device *device)
{
    struct qb_queue *queue;
    struct qb_graph *graph;

    if (qb_queue_create(device->handle, &queue) != QB_OK) {
        return; /* whoever needs one will fail with the reason */
    }
    if (qb_graph_begin(queue) == QB_OK && qb_graph_end(queue, &graph) == QB_OK) {
        device->has_graphs = true;
        qb_graph_destroy(graph);
    }
    qb_queue_destroy(queue);
}

/* Open device INDEX of the backend, and ask what it is. DEVICE is set only on success. */
static enum qb_status open_device(const struct qb_backend *backend, int index, struct device *device)
{
    struct device opened = {.info.size = sizeof opened.info};
    enum qb_status status = qb_device_open(backend, index, &opened.handle);

    if (status != QB_OK) {
        return status;
    }
    status = qb_device_info(opened.handle, &opened.info);
    if (status != QB_OK) {
        qb_device_close(opened.handle);
        return status;
    }
    *device = opened;
    return QB_OK;
}

/* NAME is BACKEND or BACKEND:INDEX of a backend that exists in name, if not in this build. */
static bool parse_device_name(const char *name, char *backend, size_t size, int *index)
{
    const char *colon = strchr(name, ':');
    size_t length = colon != NULL ? (size_t)(colon - name) : strlen(name);

    *index = 0;
    if (length >= size) {
        return false;
    }
    memcpy(backend, name, length);
    backend[length] = '\0';
    if (strcmp(backend, "cpu") == 0) {
        return colon == NULL;
    }
    if (strcmp(backend, "cuda") != 0) {
        return false;
    }
    if (colon != NULL) {
        char *end;
        long value = strtol(colon + 1, &end, 10);

        if (!isdigit((unsigned char)colon[1]) || *end != '\0' || value > 9999) {
            return false;
        }
        *index = (int)value;
    }
    return true;
}

/* Print that NAME is not a device's, and which name is close. */
static enum exit_code unknown_device(const char *name)
{
    static const char *const words[] = {"auto", "cpu", "cuda"};
    struct nearest nearest = {.text = name};
    char hint[NEAREST_HINT_SIZE];

    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        nearest_try(&nearest, words[i]);
    }
    message_error("--device: unknown value '%s'; expected auto, cpu, cuda or cuda:N%s", name,
                  nearest_hint(&nearest, hint));
    return EXIT_USAGE;
}

static enum exit_code open_named(const char *name, struct device *device)
{
    char backend_name[32];
    const struct qb_backend *backend;
    enum qb_status status;
    int index;

    if (strcmp(name, "auto") == 0) {
        backend = qb_backend_find("cuda");
        if (backend != NULL && open_device(backend, 0, device) == QB_OK) {
            return EXIT_OK;
        }
        if (backend != NULL && qb_backend_device_count(backend, &index) == QB_OK) {
            /* There is one, and it should have worked. */
            qb_device_open(backend, 0, &device->handle);
            message_warning("--device=auto: the CPU, because the CUDA device cannot be used: %s", qb_error_detail());
        } else {
            message_verbose("--device=auto: the CPU, because there is no CUDA device: %s",
                            backend != NULL ? qb_error_detail() : qb_backend_why_not("cuda"));
        }
        name = "cpu";
    }
    if (!parse_device_name(name, backend_name, sizeof backend_name, &index)) {
        return unknown_device(name);
    }
    backend = qb_backend_find(backend_name);
    if (backend == NULL) {
        return no_such_device(name, qb_backend_why_not(backend_name));
    }
    status = open_device(backend, index, device);
    if (status == QB_ERROR_NO_DEVICE) {
        char why[512];

        /* Listing what there is may replace the detail. */
        snprintf(why, sizeof why, "%s", qb_error_detail());
        return no_such_device(name, why);
    }
    if (status != QB_OK) {
        message_status(name, status);
        return EXIT_CANNOT_RUN;
    }
    return EXIT_OK;
}

unsigned *machine_list_cpus(struct qb_device *host, size_t *count)
{
    unsigned *cpus = NULL;

    if (qb_device_cpus(host, NULL, 0, count) == QB_OK && *count > 0) {
        cpus = calloc(*count, sizeof *cpus);
    }
    if (cpus != NULL && qb_device_cpus(host, cpus, *count, count) != QB_OK) {
        free(cpus);
        cpus = NULL;
    }
    return cpus;
}

enum exit_code machine_open(const struct names *device_names, struct machine *machine)
{
    struct utsname names;
    enum qb_status status;

    *machine = (struct machine){.device_count = 0};
    if (uname(&names) == 0) {
        snprintf(machine->host_name, sizeof machine->host_name, "%.64s", names.nodename);
        snprintf(machine->system, sizeof machine->system, "%.60s %.100s %.60s", names.sysname, names.release,
                 names.machine);
    }
    status = open_device(qb_backend_find("cpu"), 0, &machine->host);
    if (status != QB_OK) {
        message_status("cpu", status);
        return EXIT_CANNOT_RUN;
    }
    machine->devices = calloc(device_names->count, sizeof *machine->devices);
    if (machine->devices == NULL) {
        return message_out_of_memory("the list of devices", device_names->count * sizeof *machine->devices);
    }
    for (size_t i = 0; i < device_names->count; i++) {
        enum exit_code code = open_named(device_names->values[i], &machine->devices[i]);

        if (code != EXIT_OK) {
            return code;
        }
        learn(&machine->devices[i]);
        machine->device_count++;
    }
    return EXIT_OK;
}

bool machine_set_huge_pages(struct machine *machine, enum qb_huge_pages pages)
{
    bool taken = false;

    for (size_t i = 0; i < machine->device_count; i++) {
        taken = qb_memory_set_huge_pages(machine->devices[i].handle, pages) == QB_OK || taken;
    }
    return taken;
}

void machine_close(struct machine *machine)
{
    for (size_t i = 0; i < machine->device_count; i++) {
        qb_device_close(machine->devices[i].handle);
    }
    free(machine->devices);
    qb_device_close(machine->host.handle);
}

uint64_t machine_memory_free(struct device *device)
{
    /* A device that cannot say how much is free now says what was free at the start. */
    qb_device_info(device->handle, &device->info);
    return device->info.memory_free;
}

struct qb_device_conditions machine_conditions(struct qb_device *device)
{
    struct qb_device_conditions now = {.size = sizeof now};

    if (qb_device_conditions(device, &now) != QB_OK) {
        now = (struct qb_device_conditions){.clock = NAN,
                                            .memory_clock = NAN,
                                            .power = NAN,
                                            .energy = NAN,
                                            .temperature = NAN,
                                            .performance_state = -1};
    }
    return now;
}
