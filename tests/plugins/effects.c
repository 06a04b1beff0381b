/* SPDX-License-Identifier: Apache-2.0 */
/* effects.c - a plug-in whose constructor or destructor changes the process that it is loaded in, as EFFECT_... at its
 * compilation says, and whose kernels leave processes behind. They quantize float to INT8 with one scale per token, by
 * the contract. */
#define _GNU_SOURCE /* setenv() and others */
#include "rows.h"

#include <fcntl.h>
#include <locale.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const char *run_quiet(const struct qb_plugin_call *call)
{
    rows_quantize(call);
    return NULL;
}

static const char *run_wrong(const struct qb_plugin_call *call)
{
    run_quiet(call);
    ((int8_t *)call->tensors->at[QB_ROLE_CODES])[0] ^= 1;
    return NULL;
}

/* An error detail that would clear a terminal. */
static const char *run_escape(const struct qb_plugin_call *call)
{
    (void)call;
    return "\033[2Jno luck\r\nquantbench: all is well";
}

/* Other processes may cut the file of the input, or write to it: call number EFFECT_CALL does, and leaves EFFECT_SIZE
 * bytes of EFFECT_FILE. */
static const char *run_file(const struct qb_plugin_call *call)
{
    static long calls;

    if (++calls == atol(getenv("EFFECT_CALL")) && truncate(getenv("EFFECT_FILE"), atol(getenv("EFFECT_SIZE"))) != 0) {
        return "the file cannot be cut";
    }
    return run_quiet(call);
}

/* A process of a session of its own, which ends after long. */
static void leave(void)
{
    if (fork() == 0) {
        setsid();
        if (fork() == 0) {
            sleep(600);
        }
        _exit(0);
    }
    wait(NULL);
}

static const char *run_daemon(const struct qb_plugin_call *call)
{
    static int calls;

    if (++calls == 1) {
        leave();
    }
    return run_quiet(call);
}

/* Crashes, having left behind a process that holds all files of this one. */
static const char *run_crash(const struct qb_plugin_call *call)
{
    if (fork() == 0) {
        sleep(600);
        _exit(0);
    }
    (void)call;
    signal(SIGABRT, SIG_DFL);
    abort();
}

/* Appends what the system says of this process's memory, its size first, to the file EFFECT_SIZES. It allocates
 * nothing. */
static const char *run_sizes(const struct qb_plugin_call *call)
{
    const char *file = getenv("EFFECT_SIZES");
    int statm = open("/proc/self/statm", O_RDONLY);
    int sizes = file != NULL ? open(file, O_WRONLY | O_CREAT | O_APPEND, 0666) : -1;
    char line[256];
    ssize_t length = read(statm, line, sizeof line);

    if (length > 0) {
        (void)!write(sizes, line, (size_t)length);
    }
    close(statm);
    close(sizes);
    return run_quiet(call);
}

/* Seconds of CPU time of this process. */
static double own_time(void)
{
    struct timespec now;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* Once it takes 0.4 s of a CPU that another process uses for three quarters. */
static const char *run_starved(const struct qb_plugin_call *call)
{
    static int calls;

    if (++calls == 1) {
        const double end = own_time() + 0.4;
        cpu_set_t all, one;
        pid_t other;

        sched_getaffinity(0, sizeof all, &all);
        CPU_ZERO(&one);
        CPU_SET(sched_getcpu(), &one);
        sched_setaffinity(0, sizeof one, &one);
        other = fork();
        while (other == 0) {
        }
        (void)!nice(5);
        while (own_time() < end) {
        }
        kill(other, SIGKILL);
        waitpid(other, NULL, 0);
        sched_setaffinity(0, sizeof all, &all);
    }
    return run_quiet(call);
}

static void hang(void)
{
    for (;;) {
        pause();
    }
}

/* Answers in the place of the process that asks, and never returns. */
static bool supports_hanging(const struct qb_problem *p)
{
    for (int i = 3; i < 32; i++) {
        (void)!write(i, "yyyyyyyyyyyyyyyyyyyyyyyy", 24);
    }
    hang();
    return rows_supports(p);
}

#if defined EFFECT_EXIT
static void forge_exit(void)
{
    printf("forged at exit\n");
    fflush(stdout);
    _exit(0);
}
#endif

__attribute__((constructor)) static void construct(void)
{
#if defined EFFECT_PRINT
    printf("a banner\n");
    fflush(stdout);
#elif defined EFFECT_PRINT_LATE
    printf("a banner without an end");
#elif defined EFFECT_FOLDER
    (void)!chdir("/");
#elif defined EFFECT_MASK
    umask(0);
#elif defined EFFECT_SIGNALS
    sigset_t all;

    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, NULL);
    for (int i = 1; i < 32; i++) {
        signal(i, SIG_IGN);
    }
#elif defined EFFECT_LOCALE
    setenv("LC_ALL", "de_DE.UTF-8", 1);
    setenv("QUANTBENCH_ISA", "none", 1);
    setlocale(LC_ALL, "");
#elif defined EFFECT_EXIT
    atexit(forge_exit);
#elif defined EFFECT_EXIT_NOW
    exit(0);
#elif defined EFFECT_CLOSE
    for (int i = 3; i < 256; i++) {
        close(i);
    }
#elif defined EFFECT_HANG
    hang();
#elif defined EFFECT_DAEMON
    leave();
#endif
}

#ifdef EFFECT_DESTRUCTOR
__attribute__((destructor)) static void destruct(void)
{
    hang();
}
#endif

#define KERNEL(name_, supports_)                                                                                       \
    {                                                                                                                  \
        .name = "effects_" #name_, .description = "has side effects", .backend = "cpu", .supports = supports_,         \
        .run = run_##name_                                                                                             \
    }
static const struct qb_plugin_kernel kernels[] = {
    KERNEL(quiet, rows_supports),
    KERNEL(wrong, rows_supports),
    KERNEL(escape, rows_supports),
    KERNEL(daemon, rows_supports),
    KERNEL(starved, rows_supports),
    KERNEL(sizes, rows_supports),
    KERNEL(crash, rows_supports),
    KERNEL(file, rows_supports),
    {.name = "effects_pipe",
     .description = "answers for others",
     .backend = "cpu",
     .supports = supports_hanging,
     .run = run_quiet},
};
QB_PLUGIN(kernels);
