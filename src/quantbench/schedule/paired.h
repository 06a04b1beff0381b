/* SPDX-License-Identifier: Apache-2.0 */
/* paired.h - cases that are compared, measured in turn. */
#ifndef PAIRED_H
#define PAIRED_H

#include "model/record.h"
#include "schedule/visits.h"

/* A self-test is this many comparisons of a kernel with itself, each of the rounds that were asked for. */
#define PAIRED_SELF_TESTS 20

/* As rounds_run(), but in each round every case is visited twice: a baseline and what COMPARISON compares with it in
 * one random order, and then in the reverse one. */
void paired_run(struct bench *bench, struct journal *journal, const struct record_comparison *comparison);

/* The times of each case, one for each round that was not interrupted between its visits. An array as long as the
 * list of cases, with the times after it; free() it. NULL if memory is short, which has been reported. */
struct series *paired_series(const struct bench *bench);

#endif
