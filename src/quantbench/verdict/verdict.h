/* SPDX-License-Identifier: Apache-2.0 */
/* verdict.h - what results and comparisons come to. Every report and the exit status ask here, so that none says that
 * all is well where another does not. */
#ifndef VERDICT_H
#define VERDICT_H

#include "model/record.h"

/* What PAIR contributes to the exit status: EXIT_REGRESSION if it is SLOWER and that is a failure; EXIT_INCONCLUSIVE if
 * the run is strict and it is INCONCLUSIVE or has no verdict. */
enum exit_code verdict_of_pair(const struct record *record, const struct record_pair *pair);

/* What C contributes: why it has no time, and else what its pair and its doubts come to. */
enum exit_code verdict_of_case(const struct record *record, const struct record_case *c);

/* The worst of what all pairs, or all cases, contribute. */
enum exit_code verdict_of_pairs(const struct record *record);
enum exit_code verdict_of_cases(const struct record *record);

/* How many cases, and pairs, are in doubt or without a verdict, which a strict run does not let pass. */
size_t verdict_doubtful(const struct record *record);
size_t verdict_undecided(const struct record *record);

/* What readers of tests and of logs are to take a case for. */
enum outcome {
    OUTCOME_PASSED,
    OUTCOME_FAILURE, /* a wrong result, a slowdown, or a doubt where there may be none */
    OUTCOME_ERROR,   /* it could not run */
    OUTCOME_UNKNOWN, /* interrupted, in doubt, or without a verdict */
};
#define OUTCOMES 4
enum outcome verdict_outcome(const struct record *record, const struct record_case *c);

/* True if the run failed in a way that is not a case's, which no outcome of a case shows. */
bool verdict_run_failed(const struct record *record);

/* Of the pairs of kernels from index FIRST on that have one baseline, put the one that is best into *BEST; NULL: the
 * baseline. Return false if that is undecided: *RIVAL may be better, or if that is NULL, nothing can be said against
 * the baseline. */
bool verdict_best(const struct record *record, size_t first, const struct record_pair **best,
                  const struct record_pair **rival);

/* True if the pair with INDEX is the first of several kernels with one baseline, of which one is best. */
bool verdict_has_best(const struct record_comparison *comparison, size_t index);

#endif
