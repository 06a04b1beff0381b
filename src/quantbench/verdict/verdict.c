/* SPDX-License-Identifier: Apache-2.0 */
/* verdict.c - see verdict.h. */
#include <config.h>

#include "verdict/verdict.h"
#include "verdict/compare.h"

/* True if nothing certain can be said of PAIR. */
static bool is_undecided(const struct record_pair *pair)
{
    return pair->count == 0 || pair->judgement.verdict == VERDICT_INCONCLUSIVE;
}

enum exit_code verdict_of_pair(const struct record *record, const struct record_pair *pair)
{
    if (is_undecided(pair)) {
        return record->strict ? EXIT_INCONCLUSIVE : EXIT_OK;
    }
    return pair->judgement.verdict == VERDICT_SLOWER && record->comparison.slower_fails ? EXIT_REGRESSION : EXIT_OK;
}

enum exit_code verdict_of_case(const struct record *record, const struct record_case *c)
{
    const struct record_pair *pair = record_pair_of(record, c);
    enum exit_code code = c->found.code;

    if (record->strict && record_doubts(c) != 0) {
        code = message_worse(code, EXIT_INCONCLUSIVE);
    }
    return pair != NULL ? message_worse(code, verdict_of_pair(record, pair)) : code;
}

enum exit_code verdict_of_pairs(const struct record *record)
{
    enum exit_code code = EXIT_OK;

    for (size_t i = 0; i < record->comparison.count; i++) {
        code = message_worse(code, verdict_of_pair(record, &record->comparison.pairs[i]));
    }
    return code;
}

enum exit_code verdict_of_cases(const struct record *record)
{
    enum exit_code code = EXIT_OK;

    for (size_t i = 0; i < record->count; i++) {
        code = message_worse(code, verdict_of_case(record, &record->cases[i]));
    }
    return code;
}

size_t verdict_doubtful(const struct record *record)
{
    size_t count = 0;

    for (size_t i = 0; i < record->count; i++) {
        count += record_doubts(&record->cases[i]) != 0;
    }
    return count;
}

size_t verdict_undecided(const struct record *record)
{
    size_t count = 0;

    for (size_t i = 0; i < record->comparison.count; i++) {
        count += is_undecided(&record->comparison.pairs[i]);
    }
    return count;
}

enum outcome verdict_outcome(const struct record *record, const struct record_case *c)
{
    const struct record_pair *pair = record_pair_of(record, c);

    switch (verdict_of_case(record, c)) {
    case EXIT_OK:
        return (c->found.sample_count == 0 && !(record->rated_only && c->found.has_quality)) || record_doubts(c) != 0 ||
                       (pair != NULL && is_undecided(pair))
                   ? OUTCOME_UNKNOWN
                   : OUTCOME_PASSED;
    case EXIT_WRONG_RESULT:
    case EXIT_REGRESSION:
    case EXIT_INCONCLUSIVE:
        return OUTCOME_FAILURE;
    case EXIT_USAGE:
    case EXIT_CANNOT_RUN:
        break;
    }
    return OUTCOME_ERROR;
}

bool verdict_run_failed(const struct record *record)
{
    return (record->code != EXIT_OK || record->interrupted) && verdict_of_cases(record) == EXIT_OK;
}

/* True if C cannot be as fast as it seems, so that nothing follows from its time. */
static bool is_impossible(const struct record_case *c)
{
    return (record_doubts(c) & DOUBT_IMPLAUSIBLE) != 0;
}

/* True if PAIR may be better than what takes up to HIGH times as long as the baseline, by more than the margin. */
static bool may_be_better(const struct record *record, const struct record_pair *pair, double high)
{
    const struct judgement *judgement = &pair->judgement;

    return is_impossible(&record->cases[pair->result]) ||
           (judgement->verdict == VERDICT_INCONCLUSIVE && pair->count < COMPARE_MIN_COUNT) ||
           judgement->low * (1 + record->comparison.margin) < high;
}

bool verdict_has_best(const struct record_comparison *comparison, size_t index)
{
    return comparison->axis == COMPARE_KERNELS &&
           (index == 0 || comparison->pairs[index - 1].baseline_result != comparison->pairs[index].baseline_result);
}

bool verdict_best(const struct record *record, size_t first, const struct record_pair **best,
                  const struct record_pair **rival)
{
    const struct record_comparison *comparison = &record->comparison;
    const struct record_pair *pairs = comparison->pairs;
    size_t baseline = pairs[first].baseline_result, end = first, judged = 0;

    *best = *rival = NULL;
    for (; end < comparison->count && pairs[end].baseline_result == baseline; end++) {
        judged += pairs[end].count > 0;
        if (pairs[end].count > 0 && pairs[end].judgement.verdict == VERDICT_FASTER &&
            (*best == NULL || pairs[end].judgement.ratio < (*best)->judgement.ratio)) {
            *best = &pairs[end];
        }
    }
    if (judged == 0 || is_impossible(&record->cases[baseline])) {
        return false;
    }
    for (size_t i = first; i < end; i++) {
        double high = *best != NULL ? (*best)->judgement.high : 1;

        if (pairs[i].count > 0 && (&pairs[i] != *best || is_impossible(&record->cases[pairs[i].result])) &&
            may_be_better(record, &pairs[i], high)) {
            *rival = &pairs[i];
            return false;
        }
    }
    return true;
}
