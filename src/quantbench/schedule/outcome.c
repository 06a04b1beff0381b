/* SPDX-License-Identifier: Apache-2.0 */
/* outcome.c - what of a worker's word can be true. */
#include <config.h>

#include "schedule/outcome.h"
#include "model/part.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Timers of devices run faster or slower than the host's clock, and have a tick. */
#define CLOCKS_DIFFER 1.02
#define CLOCKS_TICK   1e-3

/* Counts are written to JSON, whose integers have a sign. */
#define MOST ((uint64_t)INT64_MAX)

/* True if VALUE is a number that is not negative. */
static bool is_amount(double value)
{
    return isfinite(value) && value >= 0;
}

/* The same of a figure that may be unknown. */
static bool is_amount_or_unknown(double value)
{
    return isnan(value) || is_amount(value);
}

/* True if NANOSECONDS can have passed in the SECONDS that the program has seen. */
static bool has_passed(double nanoseconds, double seconds)
{
    return nanoseconds * 1e-9 <= seconds * CLOCKS_DIFFER + CLOCKS_TICK;
}

/* The elements that are quantized, in all parts. */
static uint64_t elements(const struct outcome_limits *limits)
{
    const struct qb_problem *problem = &limits->result->plan_case->problem;

    return part_elements(problem); /* the problem is valid: there is no overflow */
}

/* True if TEXT ends within its SIZE bytes, and is one printable line. */
static bool is_line(const char *text, size_t size)
{
    size_t length = strnlen(text, size);

    for (size_t i = 0; i < length; i++) {
        if ((unsigned char)text[i] < ' ' || (unsigned char)text[i] > '~') {
            return false;
        }
    }
    return length < size;
}

static const char *check_mismatch(const struct outcome *outcome, const struct outcome_limits *limits)
{
    const struct mismatch *m = &outcome->checked.mismatch;
    const struct result *result = limits->result;
    uint64_t sets = result->found.sets > 0 ? result->found.sets : 1;
    const bool has_others = result->plan_case->problem.operation != QB_OPERATION_QUANTIZE; /* values, and sums */
    const struct qb_problem *problem = &result->plan_case->problem;
    /* Rows that no expert has are compared too. */
    uint64_t results = (has_others ? 3 : 1) * part_count(problem) * problem->tokens * problem->hidden;
    uint64_t most = results > MOST / sets ? MOST : results * sets;

    if (outcome->checked.verification == WRONG && most < HARD_MOST_ELEMENTS) {
        most = HARD_MOST_ELEMENTS; /* it may be so on hard data, or while it was timed */
    }
    if (outcome->checked.hard_cases > (limits->verify ? HARD_MOST_CASES : 0)) {
        return "counts more hard cases than there can be";
    }
    if (!is_line(m->first, sizeof m->first)) {
        return "the first difference is not a line of text";
    }
    if (m->compared > most || m->wrong_codes > m->compared || m->near_codes > m->compared - m->wrong_codes ||
        m->wrong_scales > most || m->near_scales > most - m->wrong_scales) {
        return "counts more differences than there are elements";
    }
    return NULL;
}

static const char *check_quality(const struct quality *q, const struct outcome_limits *limits)
{
    static const char out_of_range[] = "a figure of quality is out of its range";
    uint64_t all = elements(limits);

    if (q->finite > all || q->nan > all - q->finite || q->infinite > all - q->finite - q->nan) {
        return "counts more elements than there are";
    }
    if (q->saturated > q->finite || q->overrange > q->finite || q->flushed > q->finite || q->tiles > all ||
        q->saturated_tiles > q->tiles || q->overrange_tiles > q->tiles || q->floor_tiles > q->tiles ||
        isnan(q->rest_snr) != isnan(q->snr)) {
        return out_of_range;
    }
    if (q->finite == 0 && q->nan == 0 && q->infinite == 0) {
        return NULL; /* it was not rated */
    }
    if (q->finite + q->nan + q->infinite != all) {
        return "counts fewer elements than there are";
    }
    /* As quality_compute() has them. */
    if (!(q->signal >= 0) || isinf(q->signal)) {
        return out_of_range;
    }
    if (isnan(q->snr) != (q->finite == 0) || isnan(q->largest_error) != (q->finite == 0) ||
        isinf(q->largest_relative_error) != isinf(q->largest_error) ||
        (q->finite > 0 && (q->largest_error == 0) != (isinf(q->snr) && q->snr > 0))) {
        return out_of_range;
    }
    /* Noise without a signal: it is infinite, or all elements are 0. */
    if ((isinf(q->snr) && q->snr < 0) !=
        (isinf(q->largest_error) || (q->largest_error > 0 && isnan(q->largest_relative_error)))) {
        return out_of_range;
    }
    /* By an arithmetic that keeps infinite scales the errors of finite elements may be anything but negative. */
    return (isnan(q->largest_error) || q->largest_error >= 0) &&
                   (isnan(q->largest_relative_error) || q->largest_relative_error >= 0)
               ? NULL
               : out_of_range;
}

/* True if the exit code and the verdict go together. */
static bool is_consistent(const struct outcome *outcome, const struct outcome_limits *limits)
{
    bool wrong = mismatch_is_wrong(&outcome->checked.mismatch);

    switch (outcome->checked.verification) {
    case NOT_VERIFIED:
        return !wrong && (outcome->code != EXIT_OK || !limits->verify);
    case VERIFIED:
        return !wrong && limits->verify;
    case WRONG:
        return wrong && outcome->code != EXIT_OK;
    default:
        return false;
    }
}

static const char *check_conditions(const struct qb_device_conditions *c)
{
    const double values[] = {c->clock, c->memory_clock, c->power, c->energy, c->temperature};
    const unsigned reasons = (1u << QB_THROTTLE_COUNT) - 1;

    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        if (!is_amount_or_unknown(values[i])) {
            return "a condition of the device is out of its range";
        }
    }
    return c->performance_state < -1 || c->performance_state > 15 || (c->throttle & ~reasons) != 0 ||
                   (c->throttle_known & ~reasons) != 0
               ? "a condition of the device is unknown"
               : NULL;
}

static const char *check_round(const struct outcome *outcome, const struct outcome_limits *limits)
{
    const struct round *round = &outcome->round;
    const uint64_t counts[] = {round->disturbance.preemptions, round->disturbance.page_faults, round->retaken_samples,
                               round->disturbed_samples,       round->threads_wanted,          round->threads_obtained};
    const uint64_t huge = round->huge_bytes, migrations = round->disturbance.migrations;

    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        if (counts[i] > MOST) {
            return "a count is out of its range";
        }
    }
    if ((huge > MOST && huge != ROUND_UNKNOWN) || (migrations > MOST && migrations != DISTURBANCE_UNKNOWN) ||
        round->threads_obtained > round->threads_wanted) {
        return "a count is out of its range";
    }
    if (round->samples != outcome->samples || round->disturbed_samples > round->samples) {
        return "a round has other samples than were taken";
    }
    if (!is_amount(round->start) || !is_amount(round->host_time) || !has_passed(round->host_time, limits->elapsed) ||
        !is_amount_or_unknown(round->disturbance.stolen) || !is_amount_or_unknown(round->disturbance.others)) {
        return "a time of the host is out of its range";
    }
    return check_conditions(&round->conditions);
}

/* What there is only of a visit. */
static const char *check_visit(const struct outcome *outcome, const struct outcome_limits *limits)
{
    const struct result *before = limits->result;

    if (outcome->samples > limits->samples || outcome->floors > limits->samples) {
        return "has more samples than were asked for";
    }
    if (outcome->code != EXIT_OK && (outcome->samples > 0 || outcome->floors > 0)) {
        /* The worker drops the samples of a case that has failed; floors are none of a result without samples. */
        return outcome->samples > 0 ? "has failed and has samples" : NULL;
    }
    if (outcome->samples == 0) {
        return NULL;
    }
    if (outcome->launches_per_sample == 0 || outcome->launches_per_sample > MOST ||
        (before->found.launches_per_sample > 0 && outcome->launches_per_sample != before->found.launches_per_sample)) {
        return "has another number of launches in a sample";
    }
    if (!is_amount(outcome->hot_time) || (before->found.hot_time > 0 && outcome->hot_time < before->found.hot_time) ||
        (before->found.hot_time > 0 && outcome->hot_time > before->found.hot_time)) {
        return "its hot time is not a time";
    }
    return check_round(outcome, limits);
}

const char *outcome_check(const struct outcome *outcome, const struct outcome_limits *limits)
{
    const char *why;

    if (outcome->code != EXIT_OK && outcome->code != EXIT_USAGE && outcome->code != EXIT_CANNOT_RUN &&
        outcome->code != EXIT_WRONG_RESULT) {
        return "its exit code is unknown";
    }
    if (!is_amount(outcome->spent) || !has_passed(outcome->spent * 1e9, limits->elapsed)) {
        return "the visit took longer than it can have";
    }
    why = check_mismatch(outcome, limits);
    why = why == NULL ? check_quality(&outcome->checked.quality, limits) : why;
    if (why == NULL && !is_consistent(outcome, limits)) {
        why = "its verdict contradicts itself";
    }
    return why == NULL ? check_visit(outcome, limits) : why;
}

/* True if MEDIAN is that of COUNT TIMES. */
static bool is_median(double median, const double *times, uint64_t count)
{
    uint64_t below = 0, above = 0;

    for (uint64_t i = 0; i < count; i++) {
        below += times[i] < median;
        above += times[i] > median;
    }
    return isfinite(median) && below <= count / 2 && above <= count / 2;
}

const char *outcome_check_times(const struct outcome *outcome, const double *samples, const double *floors,
                                const struct outcome_limits *limits)
{
    double sum = 0;

    for (uint64_t i = 0; i < outcome->samples; i++) {
        if (!is_amount(samples[i])) { /* a coarse timer may see no time pass */
            return "a sample is not a time";
        }
        sum += samples[i] * (double)outcome->launches_per_sample;
    }
    if (!has_passed(sum, limits->elapsed)) {
        return "its samples took longer than the whole visit";
    }
    if (outcome->samples > 0 && !is_median(outcome->round.median, samples, outcome->samples)) {
        return "the median is not that of the samples";
    }
    sum = 0;
    for (uint64_t i = 0; i < outcome->floors; i++) {
        if (!is_amount(floors[i])) {
            return "the time of an empty launch is not a time";
        }
        sum += floors[i];
    }
    return has_passed(sum, limits->elapsed) ? NULL : "its empty launches took longer than the whole visit";
}

void outcome_keep(const struct outcome *outcome, struct result *result)
{
    result->found.code = outcome->code;
    result->found.checked = outcome->checked;
    result->spent += outcome->spent;
    if (outcome->samples > 0) {
        result->found.rounds[result->found.round_count] = outcome->round;
        result->found.rounds[result->found.round_count++].samples = outcome->samples;
        result->found.sample_count += outcome->samples;
        result->floor_count += outcome->floors;
        result->found.launches_per_sample = outcome->launches_per_sample;
        result->found.hot_time = outcome->hot_time;
    }
}
