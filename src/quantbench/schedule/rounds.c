/* SPDX-License-Identifier: Apache-2.0 */
/* rounds.c - visits all cases round by round. */
#include <config.h>

#include "schedule/rounds.h"
#include "base/interrupt.h"
#include "schedule/gate.h"
#include "base/clock.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* With --precision: samples of a case in each round, and what it takes to believe an interval. */
#define ROUND_SAMPLES 20
#define MIN_SAMPLES   100
#define MIN_ROUNDS    ((uint64_t)6)

static uint64_t next_random(uint64_t *state)
{
    return input_random(*state += INPUT_RANDOM_STEP);
}

/* Over how many rounds a fixed number of samples is spread. */
static uint64_t planned_rounds(const struct method *method)
{
    return method->rounds < method->num_iters ? method->rounds : method->num_iters;
}

void rounds_shuffle(uint64_t seed, uint64_t round, size_t count, size_t *order)
{
    uint64_t state = seed;

    state = next_random(&state) + round;
    for (size_t i = 0; i < count; i++) {
        /* The bias of a remainder is less than count / 2^64. */
        size_t j = (size_t)(next_random(&state) % (i + 1));

        order[i] = order[j];
        order[j] = i;
    }
}

uint64_t rounds_share(uint64_t samples, uint64_t rounds, uint64_t round)
{
    return samples / rounds + (round < samples % rounds);
}

double rounds_time_left(const struct bench *bench, size_t index)
{
    const struct method *method = bench->method;
    const struct result *result = &bench->results[index];
    const struct ceiling *ceiling = &bench->ceilings.values[result->ceiling];
    const double limit = method->precision > 0 ? method->timeout : method->max_time;
    const double shared = ceiling->users > 0 ? ceiling->spent / (double)ceiling->users : 0;

    return limit > 0 ? limit - result->spent - shared : INFINITY;
}

void rounds_note_time(struct bench *bench, size_t index, size_t before, uint64_t wanted)
{
    struct finding *found = &bench->results[index].found;

    if (bench->method->precision > 0 || interrupt_requested() || found->code != EXIT_OK) {
        return;
    }
    if (found->sample_count < before + wanted) {
        found->out_of_time = TRUTH_YES;
    } else if (found->out_of_time == TRUTH_UNKNOWN) {
        found->out_of_time = TRUTH_NO;
    }
}

/* Seconds of a visit of case INDEX in round ROUND: the same for all rounds, of those that are left. */
static double seconds_of_visit(const struct bench *bench, size_t index, uint64_t round)
{
    const uint64_t rounds = bench->method->precision > 0 ? MIN_ROUNDS : planned_rounds(bench->method);

    return rounds_time_left(bench, index) / (round < rounds ? (double)(rounds - round) : 1);
}

/* Samples that case INDEX takes in round ROUND; 0 if it has no more to take. */
static uint64_t samples_wanted(struct bench *bench, size_t index, uint64_t round)
{
    const struct method *method = bench->method;
    struct result *result = &bench->results[index];
    struct stats stats;

    if (result->found.code != EXIT_OK) {
        return 0;
    }
    if (result->plan_case->launch == LAUNCH_PROFILE) {
        return round == 0;
    }
    if (method->precision == 0) {
        uint64_t rounds = planned_rounds(method);

        const uint64_t wanted = round < rounds ? rounds_share(method->num_iters, rounds, round) : 0;

        if (wanted > 0 && rounds_time_left(bench, index) <= 0) {
            rounds_note_time(bench, index, result->found.sample_count, wanted);
            return 0;
        }
        return wanted;
    }
    if (result->found.round_count >= MIN_ROUNDS && result->found.sample_count >= MIN_SAMPLES &&
        result->found.converged != TRUTH_YES) {
        if (!bench_estimate(bench, index, &stats)) {
            result->found.code = EXIT_CANNOT_RUN;
            return 0;
        }
        result->found.converged = stats_precision(&stats) <= method->precision ? TRUTH_YES : TRUTH_NO;
    }
    return result->found.converged == TRUTH_YES || rounds_time_left(bench, index) <= 0 ? 0 : ROUND_SAMPLES;
}

void rounds_prove(struct visits *visits)
{
    const size_t count = visits->bench->count;

    for (size_t i = 0; i < count && !interrupt_requested(); i++) {
        message_progress("proof of case %zu of %zu", i + 1, count);
        visits_prove(visits, i);
    }
    gate_begin(visits->bench->method);
    visits->start = clock_seconds();
}

void rounds_show_progress(const struct visits *visits, uint64_t round, uint64_t rounds, size_t done, size_t all,
                          size_t number)
{
    char of[32] = "", which[64] = "", where[160];

    if (rounds > 0) {
        snprintf(of, sizeof of, " of %" PRIu64, rounds);
    }
    if (number > 0) {
        snprintf(which, sizeof which, ", case %zu of %zu", number, visits->bench->count);
    }
    snprintf(where, sizeof where, "round %" PRIu64 "%s%s", round + 1, of, which);
    message_progress_eta(where, (double)(round * all + done), (double)(rounds * all), clock_seconds() - visits->start);
}

/* Visit ceiling INDEX for SAMPLES samples, in a part of the time of the case that has most left. */
static void visit_ceiling(struct visits *visits, uint64_t round, size_t index, uint64_t samples)
{
    const struct bench *bench = visits->bench;
    double seconds = 0;

    for (size_t i = 0; i < bench->count && samples > 0; i++) {
        if (bench->results[i].ceiling == index) {
            seconds = fmax(seconds, seconds_of_visit(bench, i, round) / ROUNDS_CEILING_SHARE);
        }
    }
    if (samples > 0) {
        visits_to_ceiling(visits, round, index, samples, seconds);
    }
}

static void visit_case(struct visits *visits, uint64_t round, size_t index, uint64_t samples)
{
    const size_t before = visits->bench->results[index].found.sample_count;

    if (samples > 0) {
        visits_to_case(visits, round, index, samples, 0, seconds_of_visit(visits->bench, index, round));
        rounds_note_time(visits->bench, index, before, samples);
    }
}

/* Put into WANTED how many samples each case takes in ROUND, and into CEILINGS the same for each ceiling. Returns whether
 * there is anything to do. */
static bool plan_round(struct bench *bench, uint64_t round, uint64_t *wanted, uint64_t *ceilings)
{
    bool any = false;

    for (size_t i = 0; i < bench->ceilings.count; i++) {
        ceilings[i] = 0;
    }
    for (size_t i = 0; i < bench->count; i++) {
        uint64_t *ceiling = &ceilings[bench->results[i].ceiling];

        wanted[i] = samples_wanted(bench, i, round);
        any = any || wanted[i] > 0;
        /* A ceiling is steadier than a case, and there are three of each. */
        if (bench->results[i].plan_case->launch != LAUNCH_PROFILE && (wanted[i] + 3) / 4 > *ceiling) {
            *ceiling = (wanted[i] + 3) / 4;
        }
    }
    return any;
}

/* One round, as it was planned. ORDER has room for a number for each case and ceiling. */
static void run_round(struct visits *visits, uint64_t round, const uint64_t *wanted, const uint64_t *ceilings,
                      size_t *order)
{
    struct bench *bench = visits->bench;
    size_t all = bench->count + bench->ceilings.count, number = 0;
    /* With a precision nobody knows how many rounds there will be. */
    uint64_t rounds = bench->method->precision > 0 ? 0 : planned_rounds(bench->method);

    message_verbose("round %" PRIu64 " of %s%" PRIu64, round + 1, bench->method->precision > 0 ? "at least " : "",
                    bench->method->precision > 0 ? MIN_ROUNDS : bench->method->rounds);
    rounds_shuffle(bench->inputs.seed, round, all, order);
    for (size_t i = 0; i < all && !interrupt_requested(); i++) {
        number += order[i] < bench->count;
        rounds_show_progress(visits, round, rounds, i, all, order[i] < bench->count ? number : 0);
        if (order[i] >= bench->count) {
            visit_ceiling(visits, round, order[i] - bench->count, ceilings[order[i] - bench->count]);
        } else {
            visit_case(visits, round, order[i], wanted[order[i]]);
        }
    }
}

void rounds_fail(struct bench *bench, uint64_t bytes)
{
    message_out_of_memory("the order of the visits", bytes);
    for (size_t i = 0; i < bench->count; i++) {
        bench->results[i].found.code = EXIT_CANNOT_RUN;
    }
}

void rounds_end(struct visits *visits)
{
    message_progress_end();
    visits_end(visits);
    for (size_t i = 0; i < visits->bench->count; i++) {
        bench_conclude(visits->bench, i);
    }
}

void rounds_run(struct bench *bench, struct journal *journal)
{
    size_t all = bench->count + bench->ceilings.count;
    uint64_t *wanted = calloc(all, sizeof *wanted);
    size_t *order = calloc(all, sizeof *order);
    struct visits visits = {.bench = bench, .journal = journal};

    rounds_prove(&visits);
    if (wanted == NULL || order == NULL) {
        rounds_fail(bench, all * sizeof *order);
    } else {
        for (uint64_t round = 0; !interrupt_requested(); round++) {
            if (!plan_round(bench, round, wanted, wanted + bench->count) || !gate_enter(bench->method, round)) {
                break;
            }
            run_round(&visits, round, wanted, wanted + bench->count, order);
            gate_leave(bench->method, round);
        }
    }
    rounds_end(&visits);
    free(wanted);
    free(order);
}
