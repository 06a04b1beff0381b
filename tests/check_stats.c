/* SPDX-License-Identifier: Apache-2.0 */
/* check_stats.c - the statistics against answers that are known without them, and the input data against facts about
 * their distributions. */
#include <config.h>

#include "cases/input.h"
#include "run.h"
#include "base/stats.h"

#include <math.h>
#include <string.h>

/* All samples are of one round. */
static bool estimate(const double *samples, size_t count, struct stats *stats)
{
    return stats_compute(samples, &count, 1, 0, stats);
}

START_TEST(one_sample_is_everything)
{
    const double sample = 7;
    struct stats s;

    ck_assert(estimate(&sample, 1, &s));
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
    ck_assert(estimate(samples, 100, &s));
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

/* The probability of at most K heads among COUNT coins. */
static double heads(int count, int k)
{
    double sum = 0;

    for (int i = 0; i <= k; i++) {
        sum += exp(lgamma(count + 1.0) - lgamma(i + 1.0) - lgamma(count - i + 1.0) - count * log(2));
    }
    return sum;
}

/* Beyond 100 samples the rank is the exact one, the largest whose interval still holds the median with 95 %, or the one
 * below. */
START_TEST(rank_of_many_samples)
{
    static const int counts[] = {101, 102, 103, 110, 128, 200, 333, 500, 1000};
    const int count = counts[_i];
    double samples[1000];
    struct stats s;
    int rank = 1;

    for (int i = 0; i < count; i++) {
        samples[i] = i + 1;
    }
    while (2 * heads(count, rank) <= 0.05) {
        rank++;
    }
    ck_assert(estimate(samples, (size_t)count, &s));
    ck_assert_msg(s.ci_low == rank || s.ci_low == rank - 1, "%d samples: rank %g, not %d", count, s.ci_low, rank);
    ck_assert_double_eq(s.ci_high, count + 1 - s.ci_low);
}
END_TEST

/* Neighbours that rise together are correlated; what lies far outside of the quartiles is counted, and stays in. */
START_TEST(odd_samples_are_counted)
{
    double samples[100];
    struct stats s;

    for (int i = 0; i < 100; i++) {
        samples[i] = 1000 + i; /* quartiles 1025 and 1074: mild outliers begin 73.5 above, severe ones 147 */
    }
    ck_assert(estimate(samples, 100, &s));
    ck_assert_uint_eq(s.mild_outliers + s.severe_outliers, 0);
    ck_assert_double_gt(s.autocorrelation, 0.9);
    samples[0] = 1150;
    samples[1] = 2000;
    samples[2] = 800;
    ck_assert(estimate(samples, 100, &s));
    ck_assert_uint_eq(s.mild_outliers, 1);
    ck_assert_uint_eq(s.severe_outliers, 2);
    ck_assert_double_eq(s.max, 2000);
    for (int i = 0; i < 100; i++) {
        samples[i] = i % 2;
    }
    ck_assert(estimate(samples, 100, &s));
    ck_assert_double_lt(s.autocorrelation, -0.9);
    ck_assert(estimate((double[]){5, 5, 5, 5}, 4, &s));
    ck_assert(isnan(s.autocorrelation));
}
END_TEST

/* Rounds that differ make the interval as wide as their medians are apart; rounds that agree leave it as it is. */
START_TEST(rounds_widen_the_interval)
{
    const size_t rounds[10] = {10, 10, 10, 10, 10, 10, 10, 10, 10, 10};
    double samples[100];
    struct stats s;

    for (int i = 0; i < 100; i++) {
        samples[i] = 100 * (i / 10) + i % 10; /* medians 4.5, 104.5, ... 904.5 */
    }
    ck_assert(stats_compute(samples, rounds, 10, 0, &s));
    ck_assert_int_eq(s.basis, STATS_BASIS_ROUNDS);
    /* The exact ranks for n = 10 are 2 and 9 (Le Boudec, table A.1). */
    ck_assert_double_eq(s.ci_low, 104.5);
    ck_assert_double_eq(s.ci_high, 804.5);
    ck_assert(stats_compute(samples, rounds, 10, 3, &s));
    ck_assert_double_eq(s.ci_low, 101.5);
    ck_assert_double_eq(s.ci_high, 807.5);
    ck_assert_double_eq(stats_precision(&s), 353 / s.median);
    for (int i = 0; i < 100; i++) {
        samples[i] = i % 10;
    }
    ck_assert(stats_compute(samples, rounds, 10, 0, &s));
    ck_assert_int_eq(s.basis, STATS_BASIS_SAMPLES);
    /* Too few rounds to tell how rounds differ. */
    ck_assert(stats_compute(samples, rounds, 5, 0, &s));
    ck_assert_int_eq(s.basis, STATS_BASIS_SAMPLES);
}
END_TEST

/* The range of n samples holds the median with probability 1 - 2^(1-n): 93.75 % for 5, 96.9 % for 6. */
START_TEST(few_samples)
{
    const double samples[6] = {3, 1, 2, 6, 5, 4};
    struct stats s;

    ck_assert(estimate(samples, 5, &s));
    ck_assert_double_eq(s.median, 3);
    ck_assert(isnan(s.ci_low) && isnan(s.ci_high));
    ck_assert(estimate(samples, 6, &s));
    ck_assert_double_eq(s.median, 3.5);
    ck_assert_double_eq(s.ci_low, 1);
    ck_assert_double_eq(s.ci_high, 6);
}
END_TEST

/* How often the interval holds the true median of independent, skewed noise, in one round and in ten. */
START_TEST(interval_covers)
{
    const size_t ten[10] = {10, 10, 10, 10, 10, 10, 10, 10, 10, 10};
    const size_t one = 100;
    uint64_t state = test_seed();
    int covered = 0;

    for (int trial = 0; trial < 4000; trial++) {
        double samples[100];
        struct stats s;

        for (int i = 0; i < 100; i++) {
            samples[i] = -log(((double)(test_random(&state) >> 12) + 0.5) * 0x1p-52); /* exponential: median ln 2 */
        }
        ck_assert(stats_compute(samples, _i == 0 ? &one : ten, _i == 0 ? 1 : 10, 0, &s));
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

START_TEST(input_is_uniform)
{
    static float data[200001];
    double sum = 0, squares = 0;
    int below_half = 0;

    input_generate(INPUT_UNIFORM, QB_FORMAT_F32, 1, 200001, 7, data);
    for (int i = 0; i < 200001; i++) {
        double x = data[i];

        ck_assert(x >= -1 && x <= 1);
        sum += x;
        squares += x * x;
        below_half += x < 0.5;
    }
    ck_assert_double_eq_tol(sum / 200001, 0, 0.005);
    ck_assert_double_eq_tol(squares / 200001, 1.0 / 3, 0.005);
    ck_assert_double_eq_tol(below_half / 200001.0, 0.75, 0.005);
}
END_TEST

/* The same random numbers, and the C library's exponential function. */
START_TEST(input_is_lognormal)
{
    static float normal[200001], data[200001];
    double sum = 0;

    input_generate(INPUT_NORMAL, QB_FORMAT_F32, 1, 200001, 7, normal);
    input_generate(INPUT_LOGNORMAL, QB_FORMAT_F32, 1, 200001, 7, data);
    for (int i = 0; i < 200001; i++) {
        ck_assert_double_eq_tol((double)data[i] / exp((double)normal[i]), 1, 1e-6);
        sum += data[i];
    }
    ck_assert_double_eq_tol(sum / 200001, exp(0.5), 0.03);
}
END_TEST

START_TEST(input_has_outliers)
{
    /* Columns in all, and how many of them have outliers. */
    static const uint64_t widths[][2] = {{1, 1}, {5, 1}, {1024, 1}, {1025, 2}, {5000, 5}, {8192, 8}};
    static float normal[3 * 8192], data[3 * 8192], other[3 * 8192];

    for (int w = 0; w < 6; w++) {
        uint64_t hidden = widths[w][0], outliers = 0;

        input_generate(INPUT_NORMAL, QB_FORMAT_F32, 1, 3 * hidden, hidden, normal);
        input_generate(INPUT_OUTLIERS, QB_FORMAT_F32, 1, 3 * hidden, hidden, data);
        input_generate(INPUT_OUTLIERS, QB_FORMAT_F32, 2, 3 * hidden, hidden, other);
        for (uint64_t col = 0; col < hidden; col++) {
            float factor = data[col] == normal[col] ? 1 : 32;

            outliers += factor > 1;
            for (int row = 0; row < 3; row++) {
                ck_assert(data[row * hidden + col] == factor * normal[row * hidden + col]);
            }
        }
        ck_assert_uint_eq(outliers, widths[w][1]);
        ck_assert_mem_ne(data, other, 3 * hidden * sizeof *data);
    }
    /* The last of these columns is alone in its part. */
    input_generate(INPUT_NORMAL, QB_FORMAT_F32, 1, 1025, 1025, normal);
    input_generate(INPUT_OUTLIERS, QB_FORMAT_F32, 1, 1025, 1025, data);
    ck_assert(data[1024] == 32 * normal[1024]);
}
END_TEST

/* The same seed gives the same bytes on every machine: these are the bytes. */
START_TEST(every_input_is_the_same_everywhere)
{
    static const uint64_t hashes[INPUT_DISTS] = {0xF549F33F1B640316, 0x6C85CADDDD6A1944, 0x8F37E8F06DFC4084,
                                                 0x94EB5AA73E186BA5, 0xC640ACC55ED46385};
    float data[1000], part[999];
    uint16_t half[1000];
    uint64_t hash = 0xCBF29CE484222325; /* FNV-1a */
    enum input_dist dist = (enum input_dist)_i;

    input_generate(dist, QB_FORMAT_F32, 0, 1000, 40, data);
    for (size_t i = 0; i < sizeof data; i++) {
        hash = (hash ^ ((unsigned char *)data)[i]) * 0x100000001B3;
    }
    ck_assert_msg(hash == hashes[dist], "%s: hash 0x%llX", dist_words[dist], (unsigned long long)hash);
    input_generate(dist, QB_FORMAT_F32, 0, 999, 40, part);
    ck_assert_mem_eq(part, data, sizeof part);
    input_generate(dist, QB_FORMAT_F16, 0, 1000, 40, half);
    for (int i = 0; i < 1000; i++) {
        ck_assert_uint_eq(half[i], qb_format_encode(QB_FORMAT_F16, data[i]));
    }
}
END_TEST

START_TEST(input_depends_on_the_seed)
{
    float data[7], other[7];

    for (int dist = 0; dist < INPUT_DISTS; dist++) {
        input_generate((enum input_dist)dist, QB_FORMAT_F32, 0, 7, 7, data);
        input_generate((enum input_dist)dist, QB_FORMAT_F32, 2, 7, 7, other);
        ck_assert((memcmp(data, other, sizeof data) == 0) == (dist == INPUT_ZEROS));
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("stats");
    TCase *tc = patient_case("stats");

    tcase_add_test(tc, one_sample_is_everything);
    tcase_add_test(tc, hundred_samples);
    tcase_add_loop_test(tc, rank_of_many_samples, 0, 9);
    tcase_add_test(tc, few_samples);
    tcase_add_test(tc, odd_samples_are_counted);
    tcase_add_test(tc, rounds_widen_the_interval);
    tcase_add_loop_test(tc, interval_covers, 0, 2);
    tcase_add_test(tc, input_is_normal);
    tcase_add_test(tc, input_is_uniform);
    tcase_add_test(tc, input_is_lognormal);
    tcase_add_test(tc, input_has_outliers);
    tcase_add_loop_test(tc, every_input_is_the_same_everywhere, 0, INPUT_DISTS);
    tcase_add_test(tc, input_depends_on_the_seed);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
