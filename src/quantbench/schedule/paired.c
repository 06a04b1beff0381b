/* SPDX-License-Identifier: Apache-2.0 */
/* paired.c - cases that are compared, measured in turn.
 *
 * A baseline and what is compared with it are visited one after the other and then in the reverse order, so that what
 * changes steadily meanwhile is the same for all. Where buffers lie changes times too, and would pass for a difference
 * between kernels: samples go to many places, or each visit has its own memory, at another place. */
#include <config.h>

#include "base/interrupt.h"
#include "schedule/gate.h"
#include "schedule/paired.h"
#include "schedule/rounds.h"

#include <math.h>
#include <stdlib.h>

/* Visits of a case in a round. */
#define VISITS 2

static uint64_t round_count(const struct bench *bench)
{
    return bench->comparing->self_test ? bench->method->rounds * PAIRED_SELF_TESTS : bench->method->rounds;
}

/* Bytes of memory that are held while a case has its own, so that this lies elsewhere each time: up to 64 pieces of
 * 256 KiB, as ROUND and the number of the visit say. */
static size_t push_aside(uint64_t seed, uint64_t round, size_t visit)
{
    size_t pieces[64];

    rounds_shuffle(seed ^ (visit + 1), round, 64, pieces);
    return (pieces[0] + 1) << 18;
}

/* Seconds that the COUNT cases of GROUP may still take together. A self-test is many comparisons, each with its own. */
static double group_time_left(const struct bench *bench, const size_t *group, size_t count)
{
    double left = 0;

    for (size_t i = 0; i < count; i++) {
        left += rounds_time_left(bench, group[i]);
        left += bench->comparing->self_test ? (PAIRED_SELF_TESTS - 1) * bench->method->max_time : 0;
    }
    return left;
}

/* Visit case INDEX as visit number VISIT of ALL, in SECONDS. */
static void visit_case(struct visits *visits, size_t index, uint64_t visit, uint64_t all, size_t aside, double seconds)
{
    struct bench *bench = visits->bench;
    struct finding *found = &bench->results[index].found;
    uint64_t share = rounds_share(bench->method->num_iters, all, visit), samples = share > 0 ? share : 1;
    size_t before = found->sample_count;

    if (found->code != EXIT_OK) {
        return;
    }
    if (seconds > 0) {
        visits_to_case(visits, visit, index, samples, aside, seconds);
    }
    rounds_note_time(bench, index, before, samples);
}

/* Visit the cases of which LEADERS says LEADER, in the order in which they are among the COUNT of ORDER, and back,
 * unless their time is up when the round begins. GROUP has room for them. */
static void visit_group(struct visits *visits, uint64_t round, const size_t *order, size_t count, const size_t *leaders,
                        size_t leader, size_t *group)
{
    const struct bench *bench = visits->bench;
    uint64_t all = VISITS * round_count(bench);
    size_t members = 0;
    double seconds;

    for (size_t i = 0; i < count; i++) {
        if (order[i] < bench->count && leaders[order[i]] == leader) {
            group[members++] = order[i];
        }
    }
    seconds = group_time_left(bench, group, members) / (double)(VISITS * members * (round_count(bench) - round));
    for (size_t i = 0; i < VISITS * members && !interrupt_requested(); i++) {
        visit_case(visits, group[i < members ? i : VISITS * members - 1 - i], VISITS * round + (i >= members), all,
                   push_aside(bench->inputs.seed, round, i), seconds);
    }
}

/* Visit ceiling INDEX, if any of its cases has time left. */
static void visit_ceiling(struct visits *visits, uint64_t round, size_t index)
{
    const struct bench *bench = visits->bench;
    double left = 0;

    for (size_t i = 0; i < bench->count; i++) {
        if (bench->results[i].ceiling == index) {
            left = fmax(left, rounds_time_left(bench, i));
        }
    }
    if (left > 0) {
        visits_to_ceiling(visits, round, index, 1, left / (double)(round_count(bench) - round) / ROUNDS_CEILING_SHARE);
    }
}

/* One round, of groups and ceilings in a random order. ORDER has room for all of them, and GROUP for all cases. */
static void run_round(struct visits *visits, uint64_t round, const size_t *leaders, size_t *order, size_t *group)
{
    const struct bench *bench = visits->bench;
    size_t all = bench->count + bench->ceilings.count;

    rounds_shuffle(bench->inputs.seed, round, all, order);
    for (size_t i = 0; i < all && !interrupt_requested(); i++) {
        rounds_show_progress(visits, round, round_count(bench), i, all, 0);
        if (order[i] >= bench->count) {
            /* A self-test has no report that shows it. */
            if (!bench->comparing->self_test) {
                visit_ceiling(visits, round, order[i] - bench->count);
            }
        } else if (leaders[order[i]] == order[i]) {
            visit_group(visits, round, order, all, leaders, order[i], group);
        }
    }
}

void paired_run(struct bench *bench, struct journal *journal, const struct record_comparison *comparison)
{
    size_t all = bench->count + bench->ceilings.count;
    size_t *leaders = calloc(bench->count, sizeof *leaders);
    size_t *order = calloc(all + bench->count, sizeof *order);
    struct visits visits = {.bench = bench, .journal = journal};

    rounds_prove(&visits);
    if (leaders == NULL || order == NULL) {
        rounds_fail(bench, (all + 2 * bench->count) * sizeof *order);
    } else {
        for (size_t i = 0; i < bench->count; i++) {
            leaders[i] = i;
        }
        for (size_t i = 0; i < comparison->count; i++) {
            /* The baseline comes before what is compared with it, and may itself be compared with another. */
            leaders[comparison->pairs[i].result] = leaders[comparison->pairs[i].baseline_result];
        }
        for (uint64_t round = 0; round < round_count(bench) && gate_enter(bench->method, round); round++) {
            run_round(&visits, round, leaders, order, order + all);
            gate_leave(bench->method, round);
        }
    }
    rounds_end(&visits);
    free(order);
    free(leaders);
}

struct series *paired_series(const struct bench *bench)
{
    const size_t rounds = (size_t)round_count(bench);
    const size_t bytes = bench->count * (sizeof(struct series) + rounds * sizeof(double));
    struct series *series = calloc(1, bytes);
    double *medians;

    if (series == NULL) {
        message_out_of_memory("the comparison", bytes);
        return NULL;
    }
    medians = (double *)(series + bench->count);
    for (size_t i = 0; i < bench->count; i++) {
        const struct result *result = &bench->results[i];
        double *own = medians + i * rounds;

        series[i] = (struct series){own, result->found.sample_count > 0 ? result->found.round_count / VISITS : 0};
        for (size_t k = 0; k < series[i].count; k++) {
            own[k] = (result->found.rounds[VISITS * k].median + result->found.rounds[VISITS * k + 1].median) / VISITS;
        }
    }
    return series;
}
