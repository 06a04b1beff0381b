/* SPDX-License-Identifier: Apache-2.0 */
/* binding.c - see binding.h. The library binds threads and knows which CPUs there are. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* sched_setaffinity() */
#endif
#include <config.h>

#include "cases/binding.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

extern char **environ;

/* True if a quota gives this process less than the time of all its CPUs. Others who have a share of the same CPUs would
 * be bound to the same first ones. */
static bool is_shared_out(struct qb_device *device)
{
    struct qb_device_fact facts[QB_DEVICE_FACTS];
    size_t count, cpus;

    if (qb_device_cpus(device, NULL, 0, &cpus) != QB_OK ||
        qb_device_facts(device, facts, QB_DEVICE_FACTS, &count) != QB_OK) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        if (strcmp(facts[i].name, "cpu_quota") == 0) {
            double quota = strtod(facts[i].value, NULL); /* 0: "none" */

            return quota > 0 && quota < (double)cpus;
        }
    }
    return false;
}

/* True if the user has told OpenMP where threads are to run, or that they are to run anywhere. */
static bool openmp_is_told(void)
{
    static const char *const variables[] = {"OMP_PROC_BIND", "OMP_PLACES", "GOMP_CPU_AFFINITY", "KMP_AFFINITY"};

    for (size_t i = 0; i < sizeof variables / sizeof variables[0]; i++) {
        if (getenv(variables[i]) != NULL) {
            return true;
        }
    }
    return false;
}

/* Why threads are not bound though nobody has forbidden it; NULL: they are to be bound. */
static const char *why_not(const struct machine *machine)
{
    for (size_t i = 0; i < machine->device_count; i++) {
        if (!device_is_cpu(&machine->devices[i])) {
            return "not all devices are the CPU";
        }
    }
    if (openmp_is_told()) {
        return "OpenMP's environment says what it is to do";
    }
    return is_shared_out(machine->host.handle) ? "a quota shares the CPUs with others" : NULL;
}

void binding_begin(const struct place *place, struct machine *machine)
{
    const char *reason = place->chose_bind ? NULL : why_not(machine);

    if (place->bind == BIND_NONE) {
        if (strncmp(machine->host.info.binding, "OpenMP", 6) == 0) {
            message_warning("--bind=none: %s binds the threads, as its environment says", machine->host.info.binding);
        }
        return;
    }
    if (reason == NULL && qb_device_bind_threads(machine->host.handle, true) != QB_OK) {
        reason = qb_error_detail();
        if (place->chose_bind) {
            message_warning("--bind=cores: %s", reason);
            return;
        }
    }
    if (reason != NULL) {
        message_verbose("--bind: threads are not bound: %s", reason);
        return;
    }
    /* It can be done: what was obtained is for the report. */
    machine->binds_threads = true;
    for (size_t i = 0; i < machine->device_count; i++) {
        qb_device_info(machine->devices[i].handle, &machine->devices[i].info);
    }
    binding_release(machine);
}

void binding_hold(const struct machine *machine)
{
    if (machine->binds_threads) {
        qb_device_bind_threads(machine->host.handle, true);
    }
}

void binding_release(const struct machine *machine)
{
    if (machine->binds_threads) {
        qb_device_bind_threads(machine->host.handle, false);
    }
}

/* The program of this process, or, where the system does not know which that is, the one of its name. */
static int spawn(char *const *argv, const posix_spawn_file_actions_t *actions, pid_t *pid)
{
    int error = posix_spawn(pid, "/proc/self/exe", actions, NULL, argv, environ);

    return error == ENOENT ? posix_spawnp(pid, argv[0], actions, NULL, argv, environ) : error;
}

/* A set of all the CPUs that this process may use, of *SIZE bytes; NULL if they are not known. */
static cpu_set_t *all_cpus(size_t *size)
{
    struct qb_device *device;
    unsigned *numbers;
    cpu_set_t *set = NULL;
    size_t count;

    if (qb_device_open(qb_backend_find("cpu"), 0, &device) != QB_OK) {
        return NULL;
    }
    numbers = machine_list_cpus(device, &count);
    if (numbers != NULL) {
        size_t most = (size_t)numbers[count - 1] + 1;

        set = CPU_ALLOC(most);
        *size = CPU_ALLOC_SIZE(most);
        if (set != NULL) {
            CPU_ZERO_S(*size, set);
            for (size_t i = 0; i < count; i++) {
                CPU_SET_S(numbers[i], *size, set);
            }
        }
    }
    free(numbers);
    qb_device_close(device);
    return set;
}

int binding_spawn(char *const *argv, const posix_spawn_file_actions_t *actions, pid_t *pid)
{
    /* A process begins on the CPUs of the thread that starts it. No mask of the kernel's is longer. */
    const size_t room = CPU_ALLOC_SIZE(1 << 16);
    size_t size = 0;
    cpu_set_t *all = all_cpus(&size), *before = CPU_ALLOC(1 << 16);
    bool widened = all != NULL && before != NULL && sched_getaffinity(0, room, before) == 0 &&
                   sched_setaffinity(0, size, all) == 0;
    int error = spawn(argv, actions, pid);

    if (widened) {
        sched_setaffinity(0, room, before);
    }
    CPU_FREE(before);
    CPU_FREE(all);
    return error;
}
