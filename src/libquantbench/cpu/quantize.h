/* SPDX-License-Identifier: Apache-2.0 */
/* quantize.h - one quantization on the CPU, and the threads that it and the backend's memory functions use. */
#ifndef QB_CPU_QUANTIZE_H
#define QB_CPU_QUANTIZE_H

#include "kernels.h"

/* What of the machine decides how the work is done, not what comes out. */
struct qb__cpu_plan {
    unsigned threads;      /* at most so many */
    uint64_t thread_bytes; /* read and written: what makes one more thread worth its start */
    size_t cache_size;     /* last-level cache in bytes, 0 if unknown */
    size_t l2_size;        /* second-level cache of one core in bytes, 0 if unknown */
};

/* PROBLEM is valid, with its strides filled in. */
void qb__cpu_quantize(const struct qb__cpu_ops *ops, const struct qb__cpu_plan *plan, const struct qb_problem *problem,
                      const struct qb_buffers *buffers);

/* The fork and the join of the threads that qb__cpu_quantize() uses for PROBLEM, as often as it does, and nothing in
 * between. */
void qb__cpu_floor(const struct qb__cpu_plan *plan, const struct qb_problem *problem);

/* Whether so many bytes are too many for the last-level cache, so that plain stores would first read every line. */
bool qb__cpu_streams(const struct qb__cpu_plan *plan, uint64_t bytes);

/* How many threads are worth their start for so many bytes read and written, 1 to PLAN's. */
unsigned qb__cpu_threads_worth(const struct qb__cpu_plan *plan, uint64_t bytes);

/* Call WORK(CONTEXT, index, count) for every index < count at the same time, with count <= THREADS as many as can be
 * had. Without OpenMP count is 1. */
void qb__cpu_parallel(unsigned threads, void (*work)(void *context, unsigned index, unsigned count), void *context);

/* The part of TOTAL items that belongs to thread INDEX of COUNT: parts are contiguous, in order, and cover all. Their
 * edges are multiples of GRAIN. The same split for memory and for kernels keeps a thread's pages near it. */
void qb__cpu_split(uint64_t total, uint64_t grain, unsigned index, unsigned count, uint64_t *begin, uint64_t *end);

#endif
