/* SPDX-License-Identifier: Apache-2.0 */
/* check_spending.c - what a list of cases takes: sums, shares, names, and what the command line sweeps. */
#include <config.h>

#include "model/spending.h"
#include "run.h"

#include <math.h>

static const struct qb_device_info cpu = {.id = "cpu"};
static char kernel[] = "cpu_generic", other[] = "cpu_avx2", prefill[] = "prefill", decode[] = "decode";

/* A case of LINE that is launched USES times, of a microsecond per token. */
static struct record_case listed(uint64_t line, uint64_t uses, uint64_t tokens, enum qb_granularity granularity)
{
    struct record_case c = {.device = &cpu, .kernel = kernel, .launch = LAUNCH_STREAM, .streams = 1};

    qb_problem_init(&c.problem);
    c.problem.tokens = tokens;
    c.problem.hidden = 32;
    c.problem.granularity = granularity;
    c.line = line;
    c.uses = uses;
    c.found.sample_count = 1;
    c.found.time.median = 1000 * (double)tokens;
    return c;
}

START_TEST(times_count_as_often_as_they_are_launched)
{
    struct record_case cases[] = {listed(1, 2, 100, QB_GRANULARITY_TOKEN), listed(2, 50, 1, QB_GRANULARITY_TOKEN),
                                  listed(3, 150, 1, QB_GRANULARITY_TENSOR)};
    struct record record = {.cases = cases, .count = 3};
    struct spending spending;
    char text[PROPERTY_TEXT_SIZE];

    cases[0].name = prefill;
    cases[1].name = cases[2].name = decode;
    ck_assert(spending_applies(&record));
    ck_assert(spending_make(&record, &spending));
    ck_assert_uint_eq(spending.lines, 3);
    ck_assert_uint_eq(spending.count, 1);
    ck_assert_uint_eq(spending.totals[0].launches, 202);
    ck_assert_double_eq(spending.totals[0].time, 400000);
    ck_assert(spending_is_whole(&spending, &spending.totals[0]));
    ck_assert_double_eq(spending_share(&spending, &record, 0), 0.5);
    ck_assert_double_eq(spending_share(&spending, &record, 1), 0.125);
    ck_assert_uint_eq(spending.part_count, 2);
    ck_assert_str_eq(spending.parts[0].name, "prefill");
    ck_assert_double_eq(spending.parts[0].time, 200000);
    ck_assert_str_eq(spending.parts[1].name, "decode");
    ck_assert_double_eq(spending.parts[1].time, 200000);
    ck_assert_str_eq(spending_name(&spending, &spending.totals[0], text), "all");
    spending_free(&spending);
}
END_TEST

/* Each line with two granularities, which bring along other kernels. */
START_TEST(what_is_swept_gives_a_total_each)
{
    struct record_case cases[] = {listed(1, 1, 10, QB_GRANULARITY_TOKEN), listed(1, 1, 10, QB_GRANULARITY_TENSOR),
                                  listed(2, 5, 2, QB_GRANULARITY_TOKEN), listed(2, 5, 2, QB_GRANULARITY_TENSOR)};
    struct record record = {.cases = cases, .count = 4};
    struct spending spending;
    char text[PROPERTY_TEXT_SIZE];

    cases[1].kernel = other;
    cases[3].found.time.median = 500;
    ck_assert(spending_make(&record, &spending));
    ck_assert_uint_eq(spending.count, 2);
    ck_assert_double_eq(spending.totals[0].time, 20000);
    ck_assert_double_eq(spending.totals[1].time, 12500);
    ck_assert_str_eq(spending_name(&spending, &spending.totals[1], text), "granularity tensor");
    ck_assert_double_eq(spending_share(&spending, &record, 3), 0.2);
    spending_free(&spending);
}
END_TEST

START_TEST(kernels_that_alone_differ_are_swept)
{
    struct record_case cases[] = {listed(1, 1, 10, QB_GRANULARITY_TOKEN), listed(1, 1, 10, QB_GRANULARITY_TOKEN)};
    struct record record = {.cases = cases, .count = 2};
    struct spending spending;
    char text[PROPERTY_TEXT_SIZE];

    cases[1].kernel = other;
    ck_assert(spending_make(&record, &spending));
    ck_assert_uint_eq(spending.count, 2);
    ck_assert_str_eq(spending_name(&spending, &spending.totals[1], text), "kernel cpu_avx2");
    spending_free(&spending);
}
END_TEST

/* One case has no time; another total lacks a line. */
START_TEST(a_sum_that_lacks_a_line_is_unknown)
{
    struct record_case cases[] = {listed(1, 1, 10, QB_GRANULARITY_TOKEN), listed(1, 1, 10, QB_GRANULARITY_TENSOR),
                                  listed(2, 5, 2, QB_GRANULARITY_TOKEN)};
    struct record record = {.cases = cases, .count = 3};
    struct spending spending;

    cases[0].found.sample_count = 0;
    ck_assert(isnan(spending_time(&cases[0])));
    ck_assert(spending_make(&record, &spending));
    ck_assert_uint_eq(spending.count, 2);
    ck_assert(!spending_is_whole(&spending, &spending.totals[0]));
    ck_assert_uint_eq(spending.totals[0].timed, 1);
    ck_assert(!spending_is_whole(&spending, &spending.totals[1]));
    ck_assert(isnan(spending_share(&spending, &record, 1)));
    spending_free(&spending);
    record.count = 0;
    ck_assert(!spending_applies(&record));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("spending");
    TCase *tc = patient_case("spending");

    tcase_add_test(tc, times_count_as_often_as_they_are_launched);
    tcase_add_test(tc, what_is_swept_gives_a_total_each);
    tcase_add_test(tc, kernels_that_alone_differ_are_swept);
    tcase_add_test(tc, a_sum_that_lacks_a_line_is_unknown);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
