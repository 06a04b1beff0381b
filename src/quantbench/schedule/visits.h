/* SPDX-License-Identifier: Apache-2.0 */
/* visits.h - where cases are proved and visited: in this process, in a worker, or in a journal, which keeps what was
 * found. */
#ifndef VISITS_H
#define VISITS_H

#include "schedule/journal.h"
#include "schedule/worker.h"

/* The visits of a run. Zero but for the first two, which the caller keeps. */
struct visits {
    struct bench *bench;
    struct journal *journal;
    struct worker worker;
    double start; /* of the first round, of the host's clock */
};

/* Prove case INDEX as bench_prove() does. */
void visits_prove(struct visits *visits, size_t index);

/* Visit case INDEX in round ROUND as bench_visit() does, and keep what it found in the journal; or take it from there,
 * if it is there. */
void visits_to_case(struct visits *visits, uint64_t round, size_t index, uint64_t samples, size_t aside,
                    double seconds);

/* The same for ceiling INDEX. */
void visits_to_ceiling(struct visits *visits, uint64_t round, size_t index, uint64_t samples, double seconds);

/* There will be no more. */
void visits_end(struct visits *visits);

#endif
