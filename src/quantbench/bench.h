/* SPDX-License-Identifier: Apache-2.0 */
/* bench.h - one case from its input to its result. */
#ifndef BENCH_H
#define BENCH_H

#include "ceiling.h"
#include "plan.h"
#include "stats.h"
#include "verify.h"

struct tensor_file;

/* CACHE_PARTLY_COLD: so many sets of a tiny tensor would be needed that some data may be found in the cache. */
enum cache_state { CACHE_COLD, CACHE_PARTLY_COLD, CACHE_HOT };

enum verification { NOT_VERIFIED, VERIFIED, WRONG };

/* What came out of one case. Times are in nanoseconds per launch. */
struct result {
    const struct plan_case *plan_case;
    enum exit_code code; /* EXIT_OK, or why there is no time */
    struct qb_bytes bytes;
    unsigned sets;          /* buffer sets that rotate */
    uint64_t rotated_bytes; /* their size together */
    enum cache_state cache; /* what their rotation makes of the last-level cache */
    enum verification verification;
    struct mismatch mismatch;
    struct quality quality;         /* of the codes, if they are VERIFIED */
    bool profiled;                  /* a profiler was told; with --profile only */
    struct measure_result measured; /* count is 0 if there is no time */
    struct stats time;
    double copy_time; /* median time of a copy of as many bytes; 0: not measured */
};

/* What is kept from one case to the next, because the next often needs the same. Zero it to begin with. */
struct bench {
    const void *input; /* host memory, dense rows: GENERATED, or the tensor's */
    void *generated;
    enum qb_format input_format; /* these four say what INPUT is */
    enum input_dist input_dist;
    uint64_t input_count;
    uint64_t input_hidden;
    bool input_is_new; /* since the last expectation */
    struct expectation expectation;
    struct ceiling ceiling;
};

/* Set RESULT up for PLAN_CASE, and check that there is memory for it, before anything is allocated. Returns
 * result->code; an error has been printed. */
enum exit_code bench_prepare(const struct bench *bench, const struct args *args, struct machine *machine,
                             const struct tensor_file *tensor, const struct plan_case *plan_case,
                             struct result *result);

/* Prove that the kernel of PLAN_CASE does what it may and nothing else, as prove_kernel() says, on the case's input. */
enum exit_code bench_prove(struct bench *bench, const struct args *args, const struct tensor_file *tensor,
                           const struct plan_case *plan_case, void (*alive)(void));

/* Run the case that RESULT was set up for. TENSOR is what --input read, or NULL. Errors have been printed; RESULT says
 * what there is in any case. Free it with bench_free_result(). */
void bench_run(struct bench *bench, const struct args *args, const struct tensor_file *tensor, struct result *result);
void bench_free_result(struct result *result);
void bench_free(struct bench *bench);

#endif
