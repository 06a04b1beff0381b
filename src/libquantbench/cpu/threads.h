/* SPDX-License-Identifier: Apache-2.0 */
/* threads.h - the threads that kernels and the backend's memory functions use, and the CPUs that they are bound to. */
#ifndef QB_CPU_THREADS_H
#define QB_CPU_THREADS_H

#include "problem.h"

#include <stdbool.h>
#include <stdint.h>

/* The most threads that work is shared out to. */
#define MOST_THREADS 1024u

/* Call WORK(CONTEXT, index, count) for every index < count at the same time, with count <= THREADS as many as can be
 * had. Without OpenMP count is 1, and in a child of fork() whose parent had threads. */
void qb__cpu_parallel(unsigned threads, void (*work)(void *context, unsigned index, unsigned count), void *context);

/* Call nothing instead: what starting THREADS threads and waiting for them takes. */
void qb__cpu_fork_and_join(unsigned threads);

/* A number of threads that work was to be shared out to, and how many it ran on. */
struct qb__cpu_team {
    unsigned wanted; /* 0: there was no work */
    unsigned obtained;
};

/* From now on, watch what qb__cpu_parallel() obtains for this thread. */
void qb__cpu_watch_team(void);
/* Of the calls since then that wanted most, the one that obtained fewest. */
struct qb__cpu_team qb__cpu_watched_team(void);

/* The part of TOTAL items that belongs to thread INDEX of COUNT: parts are contiguous, in order, and cover all. Their
 * edges are multiples of GRAIN. The same split for memory and for kernels keeps a thread's pages near it. */
static inline void qb__cpu_split(uint64_t total, uint64_t grain, unsigned index, unsigned count, uint64_t *begin,
                                 uint64_t *end)
{
    uint64_t grains = qb__ceil_div(total, grain);
    uint64_t share = grains / count, rest = grains % count;
    uint64_t first = share * index + (index < rest ? index : rest);
    uint64_t last = first + share + (index < rest);

    *begin = first < grains ? first * grain : total;
    *end = last < grains ? last * grain : total;
}

/* From now on, bind the thread with index I of qb__cpu_parallel() to the I-th of this process's CPUs, counted from the
 * core that this thread runs on, one of each core before the second of any. What is shared out to more threads than
 * CPUs is left to the system. Returns NULL, or why that cannot be. Not while qb__cpu_parallel() runs. */
const char *qb__cpu_bind(void);
/* No longer do so. Threads are let go when they are used next, this one at once. */
void qb__cpu_unbind(void);
/* Let this thread use all CPUs until it is used next: the code of others may start threads of its own, which begin with
 * the CPUs of the thread that starts them. */
void qb__cpu_let_go(void);

/* What threads are bound to: "cores", or "OpenMP, close" and the like if OpenMP does it, or "none". */
const char *qb__cpu_binding(void);

#endif
