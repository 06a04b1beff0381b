/* SPDX-License-Identifier: Apache-2.0 */
/* quantize.h - one quantization on the CPU, and how many threads are worth their start. */
#ifndef QB_CPU_QUANTIZE_H
#define QB_CPU_QUANTIZE_H

#include "kernels.h"

/* What of the machine decides how the work is done, not what comes out. */
struct qb__cpu_plan {
    unsigned threads;      /* at most */
    uint64_t thread_bytes; /* read and written: what makes one more thread worth its start */
    size_t cache_size;     /* last-level cache in bytes, 0 if unknown */
    size_t l2_size;        /* second-level cache of one core in bytes, 0 if unknown */
    bool half_products;    /* the processor multiplies in half */
    bool is_part;          /* the problem is a part of one whose padding of scales is written already */
    uint64_t whole;        /* bytes that this one moves, 0 if the problem is not a part */
};

/* PROBLEM is valid and plain (qb__is_plain()), with its strides filled in. */
void qb__cpu_quantize(const struct qb__cpu_ops *ops, const struct qb__cpu_plan *plan, const struct qb_problem *problem,
                      const struct qb_tensors *tensors);

/* Some rows of a tensor, whose values are elsewhere. */
struct qb__cpu_rows {
    const void *values; /* dense rows */
    uint64_t first;     /* of them */
    uint64_t rows;      /* whole rows of tiles, or, where scales are given, a part of one */
    bool stream;        /* codes with non-temporal stores */
    bool far;           /* the values may be in memory: they are prefetched */
    /* With several tensor scales: of qb__cpu_tile_factors(). Else they are taken one after the other, if NULL. */
    const float *factors;
};

/* Do ROWS of PROBLEM in the calling thread, where each scale depends on these rows alone or is given. */
void qb__cpu_quantize_rows(const struct qb__cpu_ops *ops, const struct qb__cpu_plan *plan,
                           const struct qb_problem *problem, const struct qb_tensors *tensors,
                           const struct qb__cpu_rows *rows);

/* The fork and the join of the threads that qb__cpu_quantize() uses for PROBLEM, as often as it does, and nothing in
 * between. */
void qb__cpu_floor(const struct qb__cpu_plan *plan, const struct qb_problem *problem);

/* BYTES, or those of the whole work of which they are a part. */
uint64_t qb__cpu_bytes(const struct qb__cpu_plan *plan, uint64_t bytes);

/* True if BYTES bytes are more than the last-level cache is trusted with, so that what is written is streamed past it.
 */
bool qb__cpu_streams(const struct qb__cpu_plan *plan, uint64_t bytes);

/* L2 prefetch distance for tiles of TILE bytes that are read twice: the second reading of one tile would leave the
 * memory idle, if it did not ask for the next one. 0 unless they are small enough that two of them stay in L2. */
size_t qb__cpu_ahead(const struct qb__cpu_plan *plan, uint64_t tile);

/* How many threads are worth their start for BYTES bytes read and written, 1 to PLAN's. */
unsigned qb__cpu_threads_worth(const struct qb__cpu_plan *plan, uint64_t bytes);

/* The bytes of values and of their codes, of a problem that reads one and writes the other. */
uint64_t qb__cpu_moved_bytes(const struct qb_problem *problem);

#endif
