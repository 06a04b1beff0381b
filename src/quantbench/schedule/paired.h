/* SPDX-License-Identifier: Apache-2.0 */
/* paired.h - cases that are compared, measured in turn. */
#ifndef PAIRED_H
#define PAIRED_H

#include "verdict/comparison.h"
#include "schedule/visits.h"

/* As rounds_run(), but in each round every case is visited twice: a baseline and what COMPARISON compares with it in
 * one random order, and then in the reverse one. */
void paired_run(struct bench *bench, struct journal *journal, const struct record_comparison *comparison);

/* Judge the pairs of RECORD by what such rounds found. */
enum exit_code paired_judge(const struct bench *bench, struct record *record);

#endif
