/* SPDX-License-Identifier: Apache-2.0 */
/* check_verdict.c - the exit status of a run in which several things went wrong: the worst of what its cases and pairs
 * contribute, in whatever order they come. */
#include <config.h>

#include "run.h"
#include "verdict/verdict.h"

/* From the least to the worst. */
static const enum exit_code ranking[] = {EXIT_OK,    EXIT_INCONCLUSIVE, EXIT_REGRESSION,
                                         EXIT_USAGE, EXIT_CANNOT_RUN,   EXIT_WRONG_RESULT};
#define RANKS 6

static const struct qb_device_info device;

/* A case with CODE, and without a time. */
static struct record_case case_with(enum exit_code code)
{
    return (struct record_case){.device = &device, .found.code = code};
}

/* A case with a time, and a doubt about it. */
static struct record_case doubtful_case(void)
{
    return (struct record_case){.device = &device, .found = {.sample_count = 1, .implausible = true}};
}

/* A pair of the cases 0 and RESULT. */
static struct record_pair pair_with(size_t result, enum compare_verdict verdict)
{
    return (struct record_pair){.result = result, .count = 1, .judgement.verdict = verdict};
}

START_TEST(worst_case_wins)
{
    for (int i = 0; i < RANKS; i++) {
        for (int j = 0; j < RANKS; j++) {
            struct record_case cases[] = {case_with(EXIT_OK), case_with(ranking[i]), case_with(ranking[j]),
                                          case_with(EXIT_OK)};
            const struct record record = {.cases = cases, .count = 4, .planned = 4, .described = 4};

            ck_assert_int_eq(verdict_of_cases(&record), ranking[i > j ? i : j]);
        }
    }
}
END_TEST

/* A doubt counts in a strict run alone, and less than what else is wrong with another case. */
START_TEST(doubt_counts_if_strict)
{
    for (int i = 0; i < RANKS; i++) {
        struct record_case cases[] = {doubtful_case(), case_with(ranking[i])};
        struct record record = {.cases = cases, .count = 2, .planned = 2, .described = 2};

        ck_assert_int_eq(verdict_of_cases(&record), ranking[i]);
        record.strict = true;
        ck_assert_int_eq(verdict_of_cases(&record), ranking[i > 1 ? i : 1]);
    }
}
END_TEST

/* Of two pairs the slower one wins, and of a case and its pair the worse. */
START_TEST(worst_pair_wins)
{
    struct record_case cases[] = {case_with(EXIT_OK), case_with(EXIT_OK), case_with(EXIT_OK)};
    struct record_pair pairs[] = {pair_with(1, VERDICT_SLOWER), pair_with(2, VERDICT_INCONCLUSIVE)};
    struct record record = {
        .cases = cases, .count = 3, .planned = 3, .described = 3, .comparison = {.pairs = pairs, .count = 2}};

    ck_assert_int_eq(verdict_of_pairs(&record), EXIT_OK);
    record.strict = true;
    ck_assert_int_eq(verdict_of_pairs(&record), EXIT_INCONCLUSIVE);
    record.comparison.slower_fails = true;
    ck_assert_int_eq(verdict_of_pairs(&record), EXIT_REGRESSION);
    ck_assert_int_eq(verdict_of_cases(&record), EXIT_REGRESSION);
    record.strict = false;
    ck_assert_int_eq(verdict_of_pairs(&record), EXIT_REGRESSION);
    ck_assert_int_eq(verdict_of_case(&record, &cases[2]), EXIT_OK);
    cases[1].found.code = EXIT_WRONG_RESULT;
    ck_assert_int_eq(verdict_of_case(&record, &cases[1]), EXIT_WRONG_RESULT);
    cases[1].found.code = EXIT_OK;
    pairs[0] = pair_with(1, VERDICT_FASTER);
    ck_assert_int_eq(verdict_of_cases(&record), EXIT_OK);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("verdict");
    TCase *tc = patient_case("verdict");

    tcase_add_test(tc, worst_case_wins);
    tcase_add_test(tc, doubt_counts_if_strict);
    tcase_add_test(tc, worst_pair_wins);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
