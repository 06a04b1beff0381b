/* SPDX-License-Identifier: Apache-2.0 */
/* bench.h - one case from its input to its result: it is proved right once, then visited in rounds, each of which takes
 * samples in memory of its own, or in other sets of what is kept, and proves what they wrote. */
#ifndef BENCH_H
#define BENCH_H

#include "measure/ceiling.h"
#include "measure/disturbance.h"
#include "check/hard.h"
#include "cases/inputs.h"
#include "model/sizes.h"
#include "base/stats.h"
#include "check/verify.h"

/* What came out of one case, and how far its visits have come. */
struct result {
    const struct plan_case *plan_case;
    struct finding found;
    bool compared;      /* with other cases, sample by sample */
    bool warm;          /* the warm-up is over, in this process */
    double spent;       /* seconds that the visits took */
    double limit;       /* seconds for the samples of the visit that is under way */
    double deadline;    /* the same of the host's clock, once its memory is filled */
    double sample_time; /* nanoseconds that a sample of the last visit took; 0: unknown */
    double *floors;     /* times of empty launches of the same shape */
    size_t floor_count;
    size_t ceiling;    /* index of the case's ceiling */
    unsigned rotation; /* sets that make the cache cold; it may hold fewer, and others' bytes pass too */
};

/* What a run keeps from case to case. */
struct bench {
    const struct method *method;
    const struct foreign *foreign;
    const struct comparing *comparing;
    const struct command *command;
    struct machine *machine;
    struct inputs inputs;
    struct expectation expectation;
    enum input_dist expected_dist; /* of the data that it is for */
    const struct tensor *expected_tensor;
    struct ceilings ceilings;
    struct stock stock;
    struct proof *proofs; /* one for each result */
    struct hard_proofs hard;
    struct result *results;
    size_t count;
    double start;        /* of the run, seconds of the host's clock */
    enum exit_code code; /* a failure that is not the fault of a case */
    /* Called before anything that may take long, with the seconds that it takes by all experience, for those who wait
     * to hear from this process; NULL: nobody does. */
    void (*alive)(double seconds);
};

/* Set up a result for each case of PLAN, which stays as it is until bench_end(). TENSORS are what --input chose.
 * An error has been printed; end BENCH either way. */
enum exit_code bench_begin(struct bench *bench, const struct settings *settings, struct machine *machine,
                           struct tensors *tensors, const struct plan *plan);
void bench_end(struct bench *bench);

/* Check that there is memory for case INDEX, before anything of it is allocated, that a kernel of a plug-in does what
 * it may and nothing else, as prove_kernel() says, and that one launch gives what the reference does, on the case's
 * data and on hard data, as hard_prove() says. Errors have been printed; the result's code says whether it can be
 * visited. */
void bench_prove(struct bench *bench, size_t index);

/* True if there is memory for case INDEX. If not, that has been printed. */
bool bench_fits(struct bench *bench, size_t index);

/* The bytes that case INDEX takes in host memory besides its buffers, and besides what is held there already: data,
 * values, the reference's answer, and exact values. */
uint64_t bench_host_bytes(const struct bench *bench, size_t index);

/* Visit case INDEX: SAMPLES samples. What went wrong has been printed and is the result's code; there is no time then.
 * An interrupt leaves fewer samples, and so does the end of SECONDS, but one. Device memory of ASIDE bytes is held
 * meanwhile, so that the case's own lies elsewhere than without, if it does not go on through sets that are kept. */
void bench_visit(struct bench *bench, size_t index, uint64_t samples, size_t aside, double seconds);

/* True if samples of the case of RESULT may be windows of the rotation, as measure.h has them. */
bool bench_has_windows(const struct result *result);

/* True if sets of the case of RESULT are kept from visit to visit. */
bool bench_keeps_sets(const struct result *result);

/* True if LAUNCHES can make a sample of RESULT: whole rotations through its sets, or a window. */
bool bench_is_sample(const struct result *result, uint64_t launches);

/* Room in RESULT for COUNT samples more and one round; false if memory is short. */
bool bench_grow(struct result *result, uint64_t count);

/* Visit ceiling INDEX of bench->ceilings, for SECONDS. */
void bench_visit_ceiling(struct bench *bench, size_t index, uint64_t samples, double seconds);

/* All visits are over: compute what the result says. */
void bench_conclude(struct bench *bench, size_t index);

/* Estimate the time of what was sampled so far; false if memory is short, which has been reported. */
bool bench_estimate(struct bench *bench, size_t index, struct stats *stats);

#endif
