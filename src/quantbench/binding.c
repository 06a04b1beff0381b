/* SPDX-License-Identifier: Apache-2.0 */
/* binding.c - see binding.h. The library knows which CPUs there are; how OpenMP binds threads is told to it by the
 * environment, as everybody else does. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* sched_setaffinity() */
#endif
#include <config.h>

#include "binding.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define THIS_PROGRAM "/proc/self/exe"

extern char **environ;

/* The CPUs that this process may use. */
struct cpus {
    unsigned *numbers;
    size_t count;     /* 0: unknown */
    bool bound;       /* each thread to some of them */
    bool shared_out;  /* a quota gives this process less than all of them */
    bool has_threads; /* there is OpenMP */
};

static double quota_of(struct qb_device *device)
{
    struct qb_device_fact facts[QB_DEVICE_FACTS];
    size_t count;

    if (qb_device_facts(device, facts, QB_DEVICE_FACTS, &count) == QB_OK) {
        for (size_t i = 0; i < count; i++) {
            if (strcmp(facts[i].name, "cpu_quota") == 0) {
                return strtod(facts[i].value, NULL); /* 0: "none" */
            }
        }
    }
    return 0;
}

/* Free cpus->numbers. */
static void learn(struct cpus *cpus)
{
    struct qb_device *device;
    struct qb_device_info info;
    size_t count = 0;
    double quota;

    *cpus = (struct cpus){.count = 0};
    if (qb_device_open(qb_backend_find("cpu"), 0, &device) != QB_OK) {
        return;
    }
    if (qb_device_info(device, &info) == QB_OK && qb_device_cpus(device, NULL, 0, &count) == QB_OK) {
        quota = quota_of(device);
        cpus->bound = info.bound;
        cpus->has_threads = info.runtime[0] != '\0';
        cpus->shared_out = quota > 0 && quota < (double)count;
        cpus->numbers = calloc(count + 1, sizeof *cpus->numbers);
        if (cpus->numbers != NULL && qb_device_cpus(device, cpus->numbers, count, &count) == QB_OK) {
            cpus->count = count;
        }
    }
    qb_device_close(device);
}

/* Whether one of the devices that NAMES stand for will be the CPU. */
static bool uses_cpu(const struct names *names)
{
    for (size_t i = 0; i < names->count; i++) {
        const struct qb_backend *cuda = qb_backend_find("cuda");
        int count;

        if (strcmp(names->values[i], "cpu") == 0) {
            return true;
        }
        if (strcmp(names->values[i], "auto") == 0 && (cuda == NULL || qb_backend_device_count(cuda, &count) != QB_OK)) {
            return true;
        }
    }
    return false;
}

/* Whether the user has said where threads are to run. */
static bool is_told(void)
{
    static const char *const variables[] = {"OMP_PROC_BIND", "OMP_PLACES", "GOMP_CPU_AFFINITY", "KMP_AFFINITY"};

    for (size_t i = 0; i < sizeof variables / sizeof variables[0]; i++) {
        if (getenv(variables[i]) != NULL) {
            return true;
        }
    }
    return false;
}

void binding_hold_threads(const struct args *args)
{
    struct cpus cpus;

    if (args->bind != BIND_CORES || is_told() || !uses_cpu(&args->devices)) {
        return;
    }
    learn(&cpus);
    free(cpus.numbers);
    if (!cpus.has_threads || cpus.count < 2) {
        return;
    }
    if (cpus.shared_out) {
        message_verbose("--bind: threads are not bound, because a quota shares the CPUs with others");
        return;
    }
    setenv("OMP_PROC_BIND", "close", 1);
    setenv("OMP_PLACES", "cores", 1);
    execv(THIS_PROGRAM, args->argv);
    /* As if it had not been tried. */
    message_verbose("--bind: threads are not bound: " THIS_PROGRAM ": %s", strerror(errno));
    unsetenv("OMP_PROC_BIND");
    unsetenv("OMP_PLACES");
}

/* A set of all of CPUS, of *SIZE bytes, or NULL. */
static cpu_set_t *set_of(const struct cpus *cpus, size_t *size)
{
    size_t most = cpus->count > 0 ? (size_t)cpus->numbers[cpus->count - 1] + 1 : 0;
    cpu_set_t *set = most > 0 ? CPU_ALLOC(most) : NULL;

    if (set != NULL) {
        *size = CPU_ALLOC_SIZE(most);
        CPU_ZERO_S(*size, set);
        for (size_t i = 0; i < cpus->count; i++) {
            CPU_SET_S(cpus->numbers[i], *size, set);
        }
    }
    return set;
}

/* Start the program of this process, or, where the system does not know which that is, the one of its name. */
static int spawn(char *const *argv, const posix_spawn_file_actions_t *actions, pid_t *pid)
{
    int error = posix_spawn(pid, THIS_PROGRAM, actions, NULL, argv, environ);

    return error == ENOENT ? posix_spawnp(pid, argv[0], actions, NULL, argv, environ) : error;
}

int binding_spawn(char *const *argv, const posix_spawn_file_actions_t *actions, pid_t *pid)
{
    cpu_set_t *set, before;
    struct cpus cpus;
    size_t size = 0;
    bool widened;
    int error;

    /* A process begins on the CPUs of the thread that starts it. */
    learn(&cpus);
    set = cpus.bound ? set_of(&cpus, &size) : NULL;
    widened = set != NULL && sched_getaffinity(0, sizeof before, &before) == 0 && sched_setaffinity(0, size, set) == 0;
    error = spawn(argv, actions, pid);
    if (widened) {
        sched_setaffinity(0, sizeof before, &before);
    }
    CPU_FREE(set);
    free(cpus.numbers);
    return error;
}
