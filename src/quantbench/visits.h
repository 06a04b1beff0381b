/* SPDX-License-Identifier: Apache-2.0 */
/* visits.h - visits to cases and to ceilings, kept in a journal and taken from it again. */
#ifndef VISITS_H
#define VISITS_H

#include "bench.h"
#include "journal.h"

/* Visit case INDEX in round ROUND as bench_visit() does, and keep what it found in JOURNAL; or take it from there, if
 * it is there. */
void visits_to_case(struct bench *bench, struct journal *journal, uint64_t round, size_t index, uint64_t samples);

/* The same for ceiling INDEX. */
void visits_to_ceiling(struct bench *bench, struct journal *journal, uint64_t round, size_t index, uint64_t samples);

#endif
