/* SPDX-License-Identifier: Apache-2.0 */
/* check_summary.c - what the quality of many tensors comes to: sums, and the best way for each. */
#include <config.h>

#include "report/summary.h"
#include "run.h"

#include <string.h>

static const struct qb_device_info cpu = {.id = "cpu"};
static char kernel[] = "cpu_generic", type[] = "F16", why[] = "of one dimension";

/* CASES of TENSORS; what is not set differs in nothing. */
static struct record record_of(struct record_tensor *tensors, size_t tensor_count, struct record_case *cases,
                               size_t count)
{
    for (size_t i = 0; i < tensor_count; i++) {
        tensors[i].type = type;
        tensors[i].bytes = 128;
    }
    return (struct record){.tensors = tensors, .tensor_count = tensor_count, .cases = cases, .count = count};
}

/* TENSOR of 64 elements as OUTPUT of one byte in groups of GROUP: a scale takes four bytes. */
static struct record_case rated(const struct record_tensor *tensor, enum qb_format output, uint64_t group, double snr)
{
    struct record_case c = {.tensor = tensor, .device = &cpu, .kernel = kernel};

    qb_problem_init(&c.problem);
    c.problem.tokens = 2;
    c.problem.hidden = 32;
    c.problem.output = output;
    c.problem.granularity = QB_GRANULARITY_GROUP;
    c.problem.group = group;
    c.found.has_quality = true;
    c.found.checked.quality = (struct quality){.finite = 64, .snr = snr, .signal = 64};
    return c;
}

/* Make the summary of the cases in each order of three, and see that CHECK holds. */
static void in_each_order(struct record *record, void (*check)(const struct summary *))
{
    static const size_t orders[][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
    struct record_case cases[3];

    memcpy(cases, record->cases, sizeof cases);
    for (size_t i = 0; i < sizeof orders / sizeof *orders; i++) {
        struct summary summary;

        for (size_t k = 0; k < 3; k++) {
            record->cases[k] = cases[orders[i][k]];
        }
        ck_assert(summary_make(record, &summary));
        check(&summary);
        summary_free(&summary);
    }
}

static void is_undecided(const struct summary *summary)
{
    ck_assert_uint_eq(summary->choice_count, 1);
    ck_assert_uint_eq(summary->chosen, 1);
    ck_assert_uint_eq(summary->undecided, 1);
    ck_assert_uint_eq(summary->best_bytes, 72);
    ck_assert_ptr_nonnull(summary->choices[0].rival);
}

/* The largest SNR is as good as two of fewer bytes, which are as good as each other. */
START_TEST(the_order_of_the_cases_decides_nothing)
{
    struct record_tensor tensors[1] = {{.title = type}};
    struct record_case cases[] = {rated(tensors, QB_FORMAT_E4M3, 8, 30.008), rated(tensors, QB_FORMAT_E4M3, 32, 30.004),
                                  rated(tensors, QB_FORMAT_INT8, 32, 30.0035)};
    struct record record = record_of(tensors, 1, cases, 3);

    record.best = BEST_SNR;
    in_each_order(&record, is_undecided);
}
END_TEST

static void is_the_smallest(const struct summary *summary)
{
    ck_assert_uint_eq(summary->chosen, 1);
    ck_assert_uint_eq(summary->undecided, 0);
    ck_assert_uint_eq(summary->best_bytes, 80);
    ck_assert_double_eq(summary->choices[0].best->found.checked.quality.snr, 25);
}

START_TEST(the_smallest_that_keeps_the_snr_is_the_best)
{
    struct record_tensor tensors[1] = {{.title = type}};
    struct record_case cases[] = {rated(tensors, QB_FORMAT_E4M3, 8, 30), rated(tensors, QB_FORMAT_E4M3, 16, 25),
                                  rated(tensors, QB_FORMAT_E4M3, 32, 19)};
    struct record record = record_of(tensors, 1, cases, 3);

    record.best = BEST_BYTES;
    record.best_snr = 20;
    in_each_order(&record, is_the_smallest);
}
END_TEST

/* As of a run that was interrupted: the second tensor lacks its case, the third is kept. */
START_TEST(tensors_without_cases_count)
{
    struct record_tensor tensors[3] = {{.title = type}, {.title = type}, {.title = type, .kept = why}};
    struct record_case cases[] = {rated(&tensors[0], QB_FORMAT_E4M3, 32, 30)};
    struct record record = record_of(tensors, 3, cases, 1);
    struct summary summary;
    char text[SUMMARY_COUNT_SIZE];

    ck_assert(summary_make(&record, &summary));
    ck_assert_uint_eq(summary.tensors, 2);
    ck_assert_uint_eq(summary.bytes, 256);
    ck_assert_uint_eq(summary.elements, 128);
    ck_assert_uint_eq(summary.kept_bytes, 128);
    ck_assert_uint_eq(summary.way_count, 1);
    ck_assert_uint_eq(summary.ways[0].tensors, 1);
    ck_assert(summary.some_lack);
    ck_assert_str_eq(summary_megabytes(&summary, 1, summary.ways[0].bytes, text), "-");
    ck_assert_str_eq(summary_tensors(&summary, 1, text), "1 of 2");
    summary_free(&summary);
}
END_TEST

/* The errors of 30 dB of one and of 10 dB of the other: together 10 log10(2 / 0.101). */
START_TEST(energies_are_added)
{
    struct record_tensor tensors[2] = {{.title = type}, {.title = type}};
    struct record_case cases[] = {rated(&tensors[0], QB_FORMAT_E4M3, 32, 30),
                                  rated(&tensors[1], QB_FORMAT_E4M3, 32, 10)};
    struct record record = record_of(tensors, 2, cases, 2);
    struct summary summary;

    ck_assert(summary_make(&record, &summary));
    ck_assert_double_eq_tol(summary.ways[0].model, 12.9666, 1e-3);
    ck_assert_double_eq(summary.ways[0].median, 20);
    ck_assert_uint_eq(summary.ways[0].bytes, 2 * 72);
    summary_free(&summary);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("summary");
    TCase *tc = patient_case("summary");

    tcase_add_test(tc, the_order_of_the_cases_decides_nothing);
    tcase_add_test(tc, the_smallest_that_keeps_the_snr_is_the_best);
    tcase_add_test(tc, tensors_without_cases_count);
    tcase_add_test(tc, energies_are_added);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
