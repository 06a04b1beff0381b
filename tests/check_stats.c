/* SPDX-License-Identifier: Apache-2.0 */
/* check_stats.c - the statistics against answers that are known without them, and the input data against facts about
 * normal random numbers. */
#include <config.h>

#include "input.h"
#include "run.h"
#include "stats.h"

#include <math.h>
#include <string.h>

START_TEST(one_sample_is_everything)
{
    const double sample = 7;
    struct stats s;

    ck_assert(stats_compute(&sample, 1, &s));
    ck_assert(s.count == 1 && s.min == 7 && s.median == 7 && s.mean == 7 && s.p99 == 7 && s.max == 7);
    ck_assert(isnan(s.ci_low) && isnan(s.ci_high));
}
END_TEST

START_TEST(hundred_samples)
{
    double samples[100];
    struct stats s;

    for (int i = 0; i < 100; i++) {
        samples[i] = (i * 37) % 100 + 1; /* 1 to 100, mixed */
    }
    ck_assert(stats_compute(samples, 100, &s));
    ck_assert_double_eq(s.min, 1);
    ck_assert_double_eq(s.median, 50.5);
    ck_assert_double_eq(s.mean, 50.5);
    ck_assert_double_eq(s.p99, 99);
    ck_assert_double_eq(s.max, 100);
    /* For n = 100 the exact ranks of a 95 % interval of the median are 40 and 61 (Le Boudec, table A.1). */
    ck_assert_double_eq(s.ci_low, 40);
    ck_assert_double_eq(s.ci_high, 61);
    ck_assert_double_eq(samples[1], 38); /* the input keeps its order */
}
END_TEST

/* The range of n samples holds the median with probability 1 - 2^(1-n): 93.75 % for 5, 96.9 % for 6. */
START_TEST(few_samples)
{
    const double samples[6] = {3, 1, 2, 6, 5, 4};
    struct stats s;

    ck_assert(stats_compute(samples, 5, &s));
    ck_assert_double_eq(s.median, 3);
    ck_assert(isnan(s.ci_low) && isnan(s.ci_high));
    ck_assert(stats_compute(samples, 6, &s));
    ck_assert_double_eq(s.median, 3.5);
    ck_assert_double_eq(s.ci_low, 1);
    ck_assert_double_eq(s.ci_high, 6);
}
END_TEST

/* How often the interval holds the true median of independent, skewed noise. */
START_TEST(interval_covers)
{
    uint64_t state = test_seed();
    int covered = 0;

    for (int trial = 0; trial < 4000; trial++) {
        double samples[100];
        struct stats s;

        for (int i = 0; i < 100; i++) {
            samples[i] = -log(((double)(test_random(&state) >> 12) + 0.5) * 0x1p-52); /* exponential: median ln 2 */
        }
        ck_assert(stats_compute(samples, 100, &s));
        covered += s.ci_low <= log(2) && log(2) <= s.ci_high;
    }
    ck_assert_msg(covered >= 0.93 * 4000 && covered <= 0.99 * 4000, "%d of 4000 intervals hold the median", covered);
}
END_TEST

START_TEST(input_is_normal)
{
    static float data[200001];
    double sum = 0, squares = 0, fourth = 0;
    int inside = 0;

    input_generate(INPUT_NORMAL, QB_FORMAT_F32, 1, 200001, 7, data);
    for (int i = 0; i < 200001; i++) {
        double x = data[i];

        ck_assert(isfinite(x));
        sum += x;
        squares += x * x;
        fourth += x * x * x * x;
        inside += fabs(x) < 1;
    }
    ck_assert_double_eq_tol(sum / 200001, 0, 0.01);
    ck_assert_double_eq_tol(squares / 200001, 1, 0.02);
    ck_assert_double_eq_tol(fourth / 200001, 3, 0.15);
    ck_assert_double_eq_tol(inside / 200001.0, 0.6827, 0.005);
}
END_TEST

/* The same seed gives the same bytes on every machine: these are the bytes. */
START_TEST(input_is_the_same_everywhere)
{
    float data[1000], part[7];
    uint16_t half[8];
    uint64_t hash = 0xCBF29CE484222325; /* FNV-1a */

    input_generate(INPUT_NORMAL, QB_FORMAT_F32, 0, 1000, 7, data);
    for (size_t i = 0; i < sizeof data; i++) {
        hash = (hash ^ ((unsigned char *)data)[i]) * 0x100000001B3;
    }
    ck_assert_msg(hash == 0xF549F33F1B640316, "hash 0x%llX", (unsigned long long)hash);
    input_generate(INPUT_NORMAL, QB_FORMAT_F32, 0, 7, 7, part);
    ck_assert_mem_eq(part, data, sizeof part);
    input_generate(INPUT_NORMAL, QB_FORMAT_F16, 0, 8, 7, half);
    for (int i = 0; i < 8; i++) {
        ck_assert_uint_eq(half[i], qb_format_encode(QB_FORMAT_F16, data[i]));
    }
    input_generate(INPUT_NORMAL, QB_FORMAT_F32, 2, 7, 7, part);
    ck_assert_mem_ne(part, data, sizeof part);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("stats");
    TCase *tc = patient_case("stats");

    tcase_add_test(tc, one_sample_is_everything);
    tcase_add_test(tc, hundred_samples);
    tcase_add_test(tc, few_samples);
    tcase_add_test(tc, interval_covers);
    tcase_add_test(tc, input_is_normal);
    tcase_add_test(tc, input_is_the_same_everywhere);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
