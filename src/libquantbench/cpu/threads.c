/* SPDX-License-Identifier: Apache-2.0 */
/* threads.c - see threads.h. OpenMP can bind threads by itself, but only if its environment says so before the program
 * starts, and with the main thread all others that are started by it; so each thread binds itself when it is used. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* sched_setaffinity() */
#endif
#include <config.h>

#include "environment.h"
#include "machine.h"
#include "problem.h"
#include "threads.h"

#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#ifdef _OPENMP
#include <omp.h>
#endif
#ifdef __has_include
#if __has_include(<sys/single_threaded.h>)
#include <sys/single_threaded.h>
#define HAVE_SINGLE_THREADED
#endif
#endif

/* Changed only while no other thread works. */
static struct {
    unsigned generation; /* of what follows; 0: threads are not bound */
    unsigned *cpus;      /* where the thread of each index belongs */
    unsigned count;
    cpu_set_t *all;
    size_t size; /* of ALL, in bytes */
} binding;

/* The generation that this thread is bound by, 0 if it is not, and its index then. */
static _Thread_local unsigned bound_by, bound_as;

void qb__cpu_let_go(void)
{
    if (bound_by != 0) {
        sched_setaffinity(0, binding.size, binding.all);
        bound_by = 0;
    }
}

static bool bind_this(unsigned index)
{
    const size_t cpu = binding.cpus[index];
    cpu_set_t *set = CPU_ALLOC(8 * binding.size);
    bool good = false;

    if (set != NULL) {
        CPU_ZERO_S(binding.size, set);
        CPU_SET_S(cpu, binding.size, set);
        good = sched_setaffinity(0, binding.size, set) == 0;
        CPU_FREE(set);
    }
    if (good) {
        bound_by = binding.generation;
        bound_as = index;
    }
    return good;
}

/* This thread is INDEX of COUNT: see that it is where it belongs. */
static void place_this(unsigned index, unsigned count)
{
    if (binding.generation == 0 || count > binding.count) {
        qb__cpu_let_go();
    } else if (bound_by != binding.generation || bound_as != index) {
        bind_this(index);
    }
}

/* ---- Threads that can be had ------------------------------------------------------------------------------------ */

/* What the calling thread was asked for since it began to watch, and what it got. */
static _Thread_local struct qb__cpu_team watched;

void qb__cpu_watch_team(void)
{
    watched = (struct qb__cpu_team){0, 0};
}

struct qb__cpu_team qb__cpu_watched_team(void)
{
    return watched;
}

static void note_team(unsigned wanted, unsigned obtained)
{
    if (wanted > watched.wanted || (wanted == watched.wanted && obtained < watched.obtained)) {
        watched = (struct qb__cpu_team){wanted, obtained};
    }
}

#ifdef _OPENMP

/* This process is the child of one that had threads. GNU's OpenMP would wait for those, which no child of fork() has,
 * for ever. */
static bool orphaned;
/* This library has used threads. */
static bool had_team;
/* What the process was before fork(). */
static bool was_single;

static void before_fork(void)
{
#ifdef HAVE_SINGLE_THREADED
    was_single = __libc_single_threaded != 0;
#else
    was_single = true;
#endif
    was_single = was_single && !__atomic_load_n(&had_team, __ATOMIC_RELAXED);
}

static void after_fork(void)
{
    orphaned = orphaned || !was_single;
}

/* The program may have used OpenMP, and forked, before it first calls this library. */
__attribute__((constructor)) static void watch_forks(void)
{
    pthread_atfork(before_fork, NULL, after_fork);
}

static void *pass_gate(void *gate)
{
    pthread_mutex_lock(gate);
    pthread_mutex_unlock(gate);
    return NULL;
}

/* How many of WANTED threads can run at the same time, this one among them: start them and see. */
static unsigned count_startable(unsigned wanted)
{
    pthread_t threads[MOST_THREADS];
    pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
    unsigned count = 0;

    pthread_mutex_lock(&gate);
    while (count + 1 < wanted && count < MOST_THREADS && pthread_create(&threads[count], NULL, pass_gate, &gate) == 0) {
        count++;
    }
    pthread_mutex_unlock(&gate);
    for (unsigned i = 0; i < count; i++) {
        pthread_join(threads[i], NULL);
    }
    return count + 1;
}

/* When to try again to have more threads. Trying takes time, and a launch may be timed: the interval doubles. */
struct retry {
    time_t at;       /* 0: now */
    time_t interval; /* seconds */
};
#define LONGEST_INTERVAL 3600

/* Seconds that pass even while the clock is set. */
static time_t seconds_now(void)
{
    struct timespec now;

    return clock_gettime(CLOCK_MONOTONIC, &now) == 0 ? now.tv_sec : 0;
}

static void retry_later(struct retry *retry, time_t now)
{
    retry->interval = retry->interval == 0 ? 1 : 2 * retry->interval;
    retry->interval = retry->interval < LONGEST_INTERVAL ? retry->interval : LONGEST_INTERVAL;
    retry->at = now + retry->interval;
}

/* How many of WANTED threads OpenMP may be asked for. Where the system has no more, GNU's ends the process: so what is
 * wanted for the first time is tried before. OpenMP keeps threads for each thread that asks for some. */
static unsigned threads_possible(unsigned wanted)
{
    static _Thread_local unsigned proven = 1;
    static _Thread_local struct retry retry; /* where there were too few */
    const int limit = omp_get_thread_limit();
    time_t now;

    if (orphaned || omp_get_active_level() >= omp_get_max_active_levels()) {
        return 1;
    }
    wanted = limit > 0 && wanted > (unsigned)limit ? (unsigned)limit : wanted;
    if (wanted <= proven) {
        return wanted;
    }
    now = seconds_now();
    if (now >= retry.at) {
        proven = count_startable(wanted);
        if (proven < wanted) {
            retry_later(&retry, now);
        } else {
            retry = (struct retry){.at = 0};
        }
    }
    return proven < wanted ? proven : wanted;
}

/* This thread is one of a team's: what it calls has it alone. */
static _Thread_local bool in_team;

/* Call WORK in a team of up to THREADS > 1 threads. Returns how many there were. */
static unsigned run_team(unsigned threads, void (*work)(void *context, unsigned index, unsigned count), void *context)
{
    unsigned obtained = 1;

    __atomic_store_n(&had_team, true, __ATOMIC_RELAXED);
#pragma omp parallel num_threads((int)threads)
    {
        const unsigned index = (unsigned)omp_get_thread_num(), count = (unsigned)omp_get_num_threads();
        struct qb__environment kept;

        if (index == 0) {
            obtained = count;
        }
        place_this(index, count);
        qb__environment_enter(&kept); /* the code of others may have used this thread */
        in_team = true;
        work(context, index, count);
        in_team = false;
        qb__environment_leave(&kept);
    }
    return obtained;
}
#endif

void qb__cpu_parallel(unsigned threads, void (*work)(void *context, unsigned index, unsigned count), void *context)
{
    unsigned obtained = 1;
#ifdef _OPENMP
    unsigned possible;

    if (in_team) {
        work(context, 0, 1);
        return;
    }
    possible = threads > 1 ? threads_possible(threads) : 1;
    if (possible > 1) {
        obtained = run_team(possible, work, context);
        note_team(threads, obtained);
        return;
    }
#endif
    place_this(0, 1);
    work(context, 0, 1);
    note_team(threads, obtained);
}

static void no_work(void *context, unsigned index, unsigned count)
{
    (void)context, (void)index, (void)count;
}

void qb__cpu_fork_and_join(unsigned threads)
{
    qb__cpu_parallel(threads, no_work, NULL);
}

/* The number of the first CPU of CPU's core; itself if that is unknown. */
static unsigned core_of(unsigned cpu)
{
    char path[96];
    uint64_t first;

    snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%u/topology/thread_siblings_list", cpu);
    return qb__machine_read_number(path, &first) ? (unsigned)first : cpu;
}

/* Put the CPUs of SET into binding.cpus, which has room: one of each core, then the second ones, and so on; the first
 * is of the core that this thread runs on, so that programs that run side by side do not all begin with the same. */
static void order_cpus(const cpu_set_t *set, size_t size, unsigned *cores)
{
    const int cpu_here = sched_getcpu();
    const unsigned here = cpu_here >= 0 ? core_of((unsigned)cpu_here) : UINT_MAX;
    unsigned count = 0, placed = 0, start = 0, first_round = 0;
    unsigned *numbers = cores + CPU_COUNT_S(size, set), *ranks = numbers + CPU_COUNT_S(size, set);

    for (unsigned cpu = 0; cpu < 8 * size; cpu++) {
        if (CPU_ISSET_S(cpu, size, set)) {
            numbers[count] = cpu;
            cores[count] = core_of(cpu);
            ranks[count] = 0;
            for (unsigned i = 0; i < count; i++) {
                ranks[count] += cores[i] == cores[count];
            }
            first_round += ranks[count] == 0;
            count++;
        }
    }
    for (unsigned rank = 0; placed < count; rank++) {
        for (unsigned i = 0; i < count; i++) {
            if (ranks[i] == rank) {
                start = rank == 0 && cores[i] == here ? placed : start;
                binding.cpus[placed++] = numbers[i];
            }
        }
    }
    /* Turn the first round. */
    for (unsigned i = 0; i < first_round; i++) {
        numbers[i] = binding.cpus[(start + i) % first_round];
    }
    for (unsigned i = 0; i < first_round; i++) {
        binding.cpus[i] = numbers[i];
    }
    binding.count = count;
}

const char *qb__cpu_bind(void)
{
    static unsigned generations;
    unsigned *room;
    size_t count;

    if (qb__machine_openmp_binds()) {
        return "OpenMP binds them already, as its environment says";
    }
    qb__cpu_unbind();
    CPU_FREE(binding.all);
    binding.all = qb__machine_affinity(&binding.size);
    if (binding.all == NULL) {
        return "the system does not tell which CPUs this process may use";
    }
    count = (size_t)CPU_COUNT_S(binding.size, binding.all);
    free(binding.cpus);
    binding.cpus = calloc(count, sizeof *binding.cpus);
    room = calloc(3 * count, sizeof *room);
    if (binding.cpus == NULL || room == NULL) {
        free(room);
        return "no memory";
    }
    order_cpus(binding.all, binding.size, room);
    free(room);
    qb__machine_keep_affinity(true);
    binding.generation = ++generations;
    if (!bind_this(0)) {
        qb__cpu_unbind();
        return "the system does not allow it";
    }
    return NULL;
}

void qb__cpu_unbind(void)
{
    binding.generation = 0;
    qb__cpu_let_go();
    qb__machine_keep_affinity(false);
}

const char *qb__cpu_binding(void)
{
    if (binding.generation != 0) {
        return "cores";
    }
#ifdef _OPENMP
    if (qb__machine_openmp_binds()) {
        /* Which enumerators there are depends on the version of OpenMP. */
        switch ((int)omp_get_proc_bind()) {
        case omp_proc_bind_master:
            return "OpenMP, master";
        case omp_proc_bind_close:
            return "OpenMP, close";
        case omp_proc_bind_spread:
            return "OpenMP, spread";
        default:
            return "OpenMP, true";
        }
    }
#endif
    return "none";
}
