/* SPDX-License-Identifier: Apache-2.0 */
/* check_outcome.c - outcomes that cannot be true, as a worker might say them. */
#include <config.h>

#include "schedule/outcome.h"
#include "run.h"

#include <math.h>
#include <string.h>

#define SAMPLES 3

/* An outcome of a visit, true until a test changes it. */
static struct plan_case plan_case;
static struct result before;
static struct outcome_limits limits;
static struct outcome outcome;
static double samples[SAMPLES];
static double floors[1];

static void set_up(void)
{
    memset(&outcome, 0, sizeof outcome);
    plan_case = (struct plan_case){.problem = {.tokens = 4, .hidden = 8}};
    before = (struct result){.plan_case = &plan_case, .found.sets = 2};
    limits = (struct outcome_limits){.result = &before, .samples = SAMPLES, .verify = true, .elapsed = 1e-3};
    memcpy(samples, (const double[]){100, 300, 200}, sizeof samples);
    floors[0] = 10;
    outcome.spent = 1e-4;
    outcome.checked.verification = VERIFIED;
    outcome.checked.mismatch.compared = 64;
    outcome.checked.quality = (struct quality){.finite = 30, .nan = 1, .infinite = 1, .snr = 40, .largest_error = 1};
    outcome.checked.quality.largest_relative_error = 0.5;
    outcome.launches_per_sample = 10;
    outcome.samples = SAMPLES;
    outcome.floors = 1;
    outcome.round = (struct round){.samples = SAMPLES, .median = 200, .host_time = 50};
    outcome.round.conditions = (struct qb_device_conditions){
        sizeof(struct qb_device_conditions), NAN, NAN, NAN, NAN, NAN, -1, 0, (1u << QB_THROTTLE_COUNT) - 1};
    outcome.round.disturbance.others = NAN;
}

/* What is wrong with all of it; NULL if nothing is. */
static const char *check(void)
{
    const char *why = outcome_check(&outcome, &limits);

    return why == NULL ? outcome_check_times(&outcome, samples, floors, &limits) : why;
}

START_TEST(truth)
{
    ck_assert_ptr_null(check());
    outcome.checked.quality =
        (struct quality){.nan = 32, .snr = NAN, .rest_snr = NAN, .largest_error = NAN, .largest_relative_error = NAN};
    ck_assert_ptr_null(check());
    outcome.checked.quality = (struct quality){.finite = 32, .snr = INFINITY};
    ck_assert_ptr_null(check());
    outcome.checked.quality =
        (struct quality){.finite = 32, .snr = -INFINITY, .largest_error = INFINITY, .largest_relative_error = INFINITY};
    ck_assert_ptr_null(check());
    outcome.checked.quality =
        (struct quality){.finite = 32, .snr = -INFINITY, .largest_error = 1, .largest_relative_error = NAN};
    ck_assert_ptr_null(check());
    before.found.launches_per_sample = 10;
    ck_assert_ptr_null(check());
    limits.verify = false;
    outcome.checked.verification = NOT_VERIFIED;
    memset(&outcome.checked.mismatch, 0, sizeof outcome.checked.mismatch);
    memset(&outcome.checked.quality, 0, sizeof outcome.checked.quality);
    ck_assert_ptr_null(check());
}
END_TEST

START_TEST(failures)
{
    outcome.samples = 0;
    outcome.code = EXIT_CANNOT_RUN;
    ck_assert_ptr_null(check());
    outcome.code = EXIT_WRONG_RESULT;
    outcome.checked.verification = WRONG;
    outcome.checked.mismatch.wrong_codes = 1;
    strcpy(outcome.checked.mismatch.first, "the code of [0, 1]");
    ck_assert_ptr_null(check());
    /* On hard data, of which there are more than elements. */
    outcome.checked.mismatch.compared = HARD_MOST_ELEMENTS;
    ck_assert_ptr_null(check());
    /* While it was timed, in a long visit. */
    outcome.checked.mismatch.wrong_codes = outcome.checked.mismatch.wrong_scales = HARD_MOST_ELEMENTS;
    ck_assert_ptr_null(check());
    outcome.checked.mismatch.compared++;
    ck_assert_ptr_nonnull(check());
}
END_TEST

/* A coarse timer may see no time pass. */
START_TEST(no_time)
{
    samples[0] = 0;
    outcome.round.median = 200;
    ck_assert_ptr_null(check());
    memset(samples, 0, sizeof samples);
    outcome.round.median = 0;
    ck_assert_ptr_null(check());
}
END_TEST

#define LIE(name_, change_, words_)                                                                                    \
    START_TEST(name_)                                                                                                  \
    {                                                                                                                  \
        change_;                                                                                                       \
        ck_assert_ptr_nonnull(check());                                                                                \
        ck_assert_msg(strstr(check(), words_) != NULL, "said: %s", check());                                           \
    }                                                                                                                  \
    END_TEST

LIE(sample_nan, samples[1] = NAN, "a sample is not a time")
LIE(sample_infinite, samples[1] = INFINITY, "a sample is not a time")
LIE(sample_negative, samples[1] = -1, "a sample is not a time")
LIE(samples_long, samples[2] = 3e5, "longer than the whole visit")
LIE(samples_many, outcome.samples = outcome.round.samples = SAMPLES + 1, "more samples than were asked for")
LIE(floors_many, outcome.floors = UINT64_MAX, "more samples than were asked for")
LIE(floor_negative, floors[0] = -1, "an empty launch is not a time")
LIE(floor_nan, floors[0] = NAN, "an empty launch is not a time")
LIE(floor_long, floors[0] = 1e8, "empty launches took longer")
LIE(launches_none, outcome.launches_per_sample = 0, "number of launches")
LIE(launches_huge, outcome.launches_per_sample = UINT64_MAX, "number of launches")
LIE(launches_others, before.found.launches_per_sample = 11, "number of launches")
LIE(hot_negative, outcome.hot_time = -1, "hot time")
LIE(hot_other, before.found.hot_time = 5, "hot time")
LIE(spent_nan, outcome.spent = NAN, "longer than it can have")
LIE(spent_long, outcome.spent = 1, "longer than it can have")
LIE(code_unknown, outcome.code = (enum exit_code)77, "exit code is unknown")
LIE(code_regression, outcome.code = EXIT_REGRESSION, "exit code is unknown")
LIE(code_failed, outcome.code = EXIT_CANNOT_RUN, "failed and has samples")
LIE(verdict_unknown, outcome.checked.verification = (enum verification)9, "contradicts")
LIE(verdict_unverified, outcome.checked.verification = NOT_VERIFIED, "contradicts")
LIE(verdict_wrong, outcome.checked.verification = WRONG, "contradicts")
LIE(verdict_right, outcome.checked.mismatch.wrong_codes = 1, "contradicts")
LIE(verdict_unasked, limits.verify = false, "contradicts")
LIE(text_endless, memset(outcome.checked.mismatch.first, 'x', sizeof outcome.checked.mismatch.first),
    "not a line of text")
LIE(text_escape, strcpy(outcome.checked.mismatch.first, "\033[2J"), "not a line of text")
LIE(text_newline, strcpy(outcome.checked.mismatch.first, "a\nb"), "not a line of text")
LIE(compared_many, outcome.checked.mismatch.compared = 65, "more differences")
LIE(hard_many, outcome.checked.hard_cases = HARD_MOST_CASES + 1, "more hard cases")
LIE(hard_unasked, (outcome.checked.hard_cases = 1, outcome.checked.verification = NOT_VERIFIED, limits.verify = false),
    "more hard cases")
LIE(near_many, outcome.checked.mismatch.near_codes = 65, "more differences")
LIE(scales_many, outcome.checked.mismatch.near_scales = UINT64_MAX, "more differences")
LIE(elements_many, outcome.checked.quality.finite = 31, "more elements")
LIE(elements_overflow, outcome.checked.quality.nan = UINT64_MAX, "more elements")
LIE(saturated_many, outcome.checked.quality.saturated = 31, "quality")
LIE(flushed_many, outcome.checked.quality.flushed = 31, "quality")
LIE(elements_few, outcome.checked.quality.finite = 29, "fewer elements")
LIE(signal_negative, outcome.checked.quality.signal = -1, "quality")
LIE(signal_nan, outcome.checked.quality.signal = NAN, "quality")
LIE(signal_infinite, outcome.checked.quality.signal = INFINITY, "quality")
LIE(rest_ratio_nan, outcome.checked.quality.rest_snr = NAN, "quality")
LIE(tiles_many, outcome.checked.quality.tiles = 33, "quality")
LIE(saturated_tiles_many, outcome.checked.quality.saturated_tiles = 1, "quality")
LIE(ratio_nan, outcome.checked.quality.snr = NAN, "quality")
LIE(ratio_of_no_noise, outcome.checked.quality.snr = INFINITY, "quality")
LIE(no_error_but_noise, outcome.checked.quality.largest_error = 0, "quality")
LIE(noise_infinite, outcome.checked.quality.snr = -INFINITY, "quality")
LIE(no_signal, outcome.checked.quality.largest_relative_error = NAN, "quality")
LIE(relative_infinite, outcome.checked.quality.largest_relative_error = INFINITY, "quality")
LIE(error_infinite, outcome.checked.quality.largest_error = INFINITY, "quality")
LIE(start_nan, outcome.round.start = NAN, "a time of the host")
LIE(error_negative, outcome.checked.quality.largest_error = -1, "quality")
LIE(relative_negative, outcome.checked.quality.largest_relative_error = -1, "quality")
LIE(round_other, outcome.round.samples = 2, "other samples")
LIE(disturbed_many, outcome.round.disturbed_samples = SAMPLES + 1, "other samples")
LIE(count_huge, outcome.round.retaken_samples = UINT64_MAX, "count")
LIE(threads_many, outcome.round.threads_obtained = 1, "count")
LIE(huge_many, outcome.round.huge_bytes = UINT64_MAX - 1, "count")
LIE(median_low, outcome.round.median = 50, "median")
LIE(median_high, outcome.round.median = 250, "median")
LIE(median_nan, outcome.round.median = NAN, "median")
LIE(host_nan, outcome.round.host_time = NAN, "time of the host")
LIE(host_long, outcome.round.host_time = 1e9, "time of the host")
LIE(stolen_negative, outcome.round.disturbance.stolen = -1, "time of the host")
LIE(clock_infinite, outcome.round.conditions.clock = INFINITY, "condition")
LIE(power_negative, outcome.round.conditions.power = -1, "condition")
LIE(state_unknown, outcome.round.conditions.performance_state = 16, "condition")
LIE(throttle_unknown, outcome.round.conditions.throttle = 1u << QB_THROTTLE_COUNT, "condition")

int main(void)
{
    const TTest *const tests[] = {truth,
                                  failures,
                                  sample_nan,
                                  sample_infinite,
                                  sample_negative,
                                  no_time,
                                  samples_long,
                                  samples_many,
                                  floors_many,
                                  floor_negative,
                                  floor_nan,
                                  floor_long,
                                  launches_none,
                                  launches_huge,
                                  launches_others,
                                  hot_negative,
                                  hot_other,
                                  spent_nan,
                                  spent_long,
                                  code_unknown,
                                  code_regression,
                                  code_failed,
                                  verdict_unknown,
                                  verdict_unverified,
                                  verdict_wrong,
                                  verdict_right,
                                  verdict_unasked,
                                  text_endless,
                                  text_escape,
                                  text_newline,
                                  compared_many,
                                  hard_many,
                                  hard_unasked,
                                  near_many,
                                  scales_many,
                                  elements_many,
                                  elements_overflow,
                                  saturated_many,
                                  flushed_many,
                                  elements_few,
                                  signal_negative,
                                  signal_nan,
                                  signal_infinite,
                                  rest_ratio_nan,
                                  tiles_many,
                                  saturated_tiles_many,
                                  ratio_nan,
                                  ratio_of_no_noise,
                                  no_error_but_noise,
                                  noise_infinite,
                                  no_signal,
                                  relative_infinite,
                                  error_infinite,
                                  start_nan,
                                  error_negative,
                                  relative_negative,
                                  round_other,
                                  disturbed_many,
                                  count_huge,
                                  threads_many,
                                  huge_many,
                                  median_low,
                                  median_high,
                                  median_nan,
                                  host_nan,
                                  host_long,
                                  stolen_negative,
                                  clock_infinite,
                                  power_negative,
                                  state_unknown,
                                  throttle_unknown};
    Suite *suite = suite_create("outcome");
    TCase *all = patient_case("all");

    tcase_add_checked_fixture(all, set_up, NULL);
    for (size_t i = 0; i < sizeof tests / sizeof tests[0]; i++) {
        tcase_add_test(all, tests[i]);
    }
    suite_add_tcase(suite, all);
    return run_suite(suite);
}
