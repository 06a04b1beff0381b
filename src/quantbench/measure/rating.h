/* SPDX-License-Identifier: Apache-2.0 */
/* rating.h - how near the codes of the library's kernels come to a tensor. Nothing is timed, and nothing is compared
 * with the reference: the record says which kernel the codes are from. */
#ifndef RATING_H
#define RATING_H

#include "cases/inputs.h"
#include "model/finding.h"

/* What is kept from case to case. */
struct rating {
    struct device *device; /* a CPU */
    struct qb_queue *queue;
    struct inputs inputs;
    void *memory[QB_ROLE_COUNT]; /* for what a kernel writes */
    uint64_t bytes[QB_ROLE_COUNT];
};

/* DEVICE is the CPU. TENSORS are what --input chose, or NULL for data that SEED gives. On failure the error has been
 * printed. End RATING either way. */
enum exit_code rating_begin(struct rating *rating, struct device *device, struct tensors *tensors, uint64_t seed);
void rating_end(struct rating *rating);

/* Quantize the data of PLAN_CASE, whose scales are computed, and set the quality and the bytes of FOUND. On failure the
 * error has been printed, and is in FOUND. */
void rating_rate(struct rating *rating, const struct plan_case *plan_case, struct finding *found);

/* Quantize DATA with the best kernel as PROBLEM says, by the scales in GIVEN that it reads, NULL if it reads none, and
 * set *QUALITY. On failure the error has been printed. */
enum exit_code rating_rate_data(struct rating *rating, const struct qb_problem *problem, const void *data,
                                const struct qb_tensors *given, struct quality *quality);

#endif
