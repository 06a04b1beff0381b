/* SPDX-License-Identifier: Apache-2.0 */
/* check_rounds.c - the order of the visits, and how many samples each takes. What a visit does is replaced by notes of
 * who was visited. */
#include <config.h>

#include "schedule/rounds.h"
#include "base/clock.h"
#include "base/interrupt.h"
#include "run.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define MAX_COUNT 200

/* ---- What a visit does here --------------------------------------------------------------------------------- */

#define CASES       5
#define MAX_VISITS  1000
#define WRONG_CASE  3 /* its proof fails */
#define STEADY_CASE 0 /* the only one whose interval is ever narrow */

static struct visit {
    uint64_t round;
    size_t index; /* a ceiling has CASES added */
    uint64_t samples;
} visits[MAX_VISITS];
static size_t visit_count, proved, concluded;
static bool stopped; /* by a signal, in the second visit */

static void note(uint64_t round, size_t index, uint64_t samples)
{
    ck_assert_uint_lt(visit_count, MAX_VISITS);
    visits[visit_count++] = (struct visit){round, index, samples};
}

/* What a visit takes: a second, or a second for each sample that it has time for, and one in any case. */
static bool slow;

void visits_to_case(struct visits *unused, uint64_t round, size_t index, uint64_t samples, size_t aside, double seconds)
{
    struct result *result = &unused->bench->results[index];

    ck_assert_uint_eq(aside, 0);
    samples = !slow || (double)samples <= seconds ? samples : seconds > 1 ? (uint64_t)seconds : 1;
    note(round, index, samples);
    result->found.sample_count += samples;
    result->found.round_count++;
    result->spent += slow ? (double)samples : 1;
}

void visits_to_ceiling(struct visits *unused, uint64_t round, size_t index, uint64_t samples, double seconds)
{
    ck_assert(seconds > 0);
    unused->bench->ceilings.values[index].spent += slow ? 1 : 0;
    note(round, CASES + index, samples);
}

void visits_prove(struct visits *unused, size_t index)
{
    proved++;
    unused->bench->results[index].found.code = index == WRONG_CASE ? EXIT_WRONG_RESULT : EXIT_OK;
}

void visits_end(struct visits *unused)
{
    (void)unused;
}

bool bench_estimate(struct bench *bench, size_t index, struct stats *stats)
{
    double share = index == STEADY_CASE ? 0.01 : 0.5;

    (void)bench;
    *stats = (struct stats){.median = 1, .ci_low = 1 - share, .ci_high = 1 + share, .basis = STATS_BASIS_ROUNDS};
    return true;
}

void bench_conclude(struct bench *bench, size_t index)
{
    (void)bench, (void)index;
    concluded++;
}

/* A visit takes half a minute. */
double clock_seconds(void)
{
    return 30 * (double)visit_count;
}

bool interrupt_requested(void)
{
    return stopped && visit_count >= 2;
}

static enum truth out_of_time[CASES]; /* what the last run says of each */

/* Run rounds of CASES cases as METHOD says, in the order of SEED; the first two have a ceiling, the others another one.
 */
static void run_cases(const struct method *method, uint64_t seed)
{
    static struct plan_case cases[CASES];
    static struct result results[CASES];
    static struct ceiling ceilings[2];
    struct bench bench = {.method = method,
                          .inputs = {.seed = seed},
                          .ceilings = {.values = ceilings, .count = 2},
                          .results = results,
                          .count = CASES};

    for (size_t i = 0; i < CASES; i++) {
        cases[i] = (struct plan_case){.launch = LAUNCH_GRAPH};
        results[i] = (struct result){.plan_case = &cases[i], .ceiling = i >= 2};
    }
    ceilings[0] = (struct ceiling){.users = 2};
    ceilings[1] = (struct ceiling){.users = 3};
    visit_count = proved = concluded = 0;
    rounds_run(&bench, NULL);
    for (size_t i = 0; i < CASES; i++) {
        out_of_time[i] = results[i].found.out_of_time;
    }
}

/* Samples that INDEX took, in *ROUNDS rounds. */
static uint64_t samples_of(size_t index, size_t *rounds)
{
    uint64_t sum = 0;

    *rounds = 0;
    for (size_t i = 0; i < visit_count; i++) {
        sum += visits[i].index == index ? visits[i].samples : 0;
        *rounds += visits[i].index == index;
    }
    return sum;
}

/* ---- Tests -------------------------------------------------------------------------------------------------- */

START_TEST(order_is_a_permutation)
{
    for (size_t count = 1; count <= MAX_COUNT; count++) {
        size_t order[MAX_COUNT + 1], seen[MAX_COUNT] = {0};

        order[count] = 12345;
        rounds_shuffle(7, count, count, order);
        for (size_t i = 0; i < count; i++) {
            ck_assert_uint_lt(order[i], count);
            ck_assert_uint_eq(seen[order[i]]++, 0);
        }
        ck_assert_uint_eq(order[count], 12345);
    }
}
END_TEST

/* Fifty things have more orders than two draws could share by chance. */
START_TEST(seed_and_round_determine_the_order)
{
    size_t order[50], same[50], other[50];

    for (uint64_t seed = 0; seed < 20; seed++) {
        rounds_shuffle(seed, 3, 50, order);
        rounds_shuffle(seed, 3, 50, same);
        ck_assert_mem_eq(order, same, sizeof order);
        rounds_shuffle(seed, 4, 50, other);
        ck_assert(memcmp(order, other, sizeof order) != 0);
        rounds_shuffle(seed + 1, 3, 50, other);
        ck_assert(memcmp(order, other, sizeof order) != 0);
        /* A round is not a seed: the next seed does not have the same orders one round earlier. */
        rounds_shuffle(seed + 1, 2, 50, other);
        ck_assert(memcmp(order, other, sizeof order) != 0);
    }
}
END_TEST

/* Each of four things is in each place in about a quarter of 4000 rounds: 1000, with a deviation of 27. */
START_TEST(every_place_is_as_likely)
{
    int seen[4][4] = {{0}};

    for (uint64_t round = 0; round < 4000; round++) {
        size_t order[4];

        rounds_shuffle(0, round, 4, order);
        for (size_t i = 0; i < 4; i++) {
            seen[i][order[i]]++;
        }
    }
    for (size_t i = 0; i < 16; i++) {
        ck_assert_int_ge(seen[i / 4][i % 4], 850);
        ck_assert_int_le(seen[i / 4][i % 4], 1150);
    }
}
END_TEST

/* Nothing is lost and nothing is added, and rounds differ by one sample at most, the larger ones first. */
START_TEST(shares_are_all_samples)
{
    for (uint64_t samples = 0; samples <= 60; samples++) {
        for (uint64_t rounds = 1; rounds <= 25; rounds++) {
            uint64_t sum = 0;

            for (uint64_t round = 0; round < rounds; round++) {
                uint64_t share = rounds_share(samples, rounds, round);

                ck_assert_uint_le(share, rounds_share(samples, rounds, 0));
                ck_assert_uint_le(rounds_share(samples, rounds, 0) - share, 1);
                sum += share;
            }
            ck_assert_uint_eq(sum, samples);
        }
    }
}
END_TEST

/* Every right case takes its samples, in the order of rounds_shuffle(), its ceiling a fourth of them, rounded up. */
START_TEST(rounds_visit_everything)
{
    const struct method method = {.num_iters = 43, .rounds = 10};
    size_t rounds, next = 0;

    run_cases(&method, 9);
    for (size_t i = 0; i < CASES; i++) {
        ck_assert_uint_eq(samples_of(i, &rounds), i == WRONG_CASE ? 0 : 43);
        ck_assert_uint_eq(rounds, i == WRONG_CASE ? 0 : 10);
    }
    for (size_t i = CASES; i < CASES + 2; i++) {
        ck_assert_uint_eq(samples_of(i, &rounds), 3 * 2 + 7 * 1);
        ck_assert_uint_eq(rounds, 10);
    }
    for (uint64_t round = 0; round < 10; round++) {
        size_t order[CASES + 2];

        rounds_shuffle(9, round, CASES + 2, order);
        for (size_t i = 0; i < CASES + 2; i++) {
            if (order[i] != WRONG_CASE) {
                ck_assert_uint_eq(visits[next].round, round);
                ck_assert_uint_eq(visits[next++].index, order[i]);
            }
        }
    }
    ck_assert(next == visit_count && proved == CASES && concluded == CASES);
}
END_TEST

/* With a precision, a case goes on until it is reached, not before 6 rounds and 100 samples, or until its time is up;
 * so does its ceiling. */
START_TEST(precision_ends_each_case)
{
    const struct method method = {.precision = 0.02, .timeout = 9, .num_iters = 100, .rounds = 10};
    size_t rounds;

    run_cases(&method, 0);
    samples_of(STEADY_CASE, &rounds);
    ck_assert_uint_eq(rounds, 6);
    for (size_t i = 1; i < CASES; i++) {
        samples_of(i, &rounds);
        ck_assert_uint_eq(rounds, i == WRONG_CASE ? 0 : 9);
    }
}
END_TEST

/* A case gets the same time in each round, and one that is slow has fewer samples, and says so; ceilings are a part of
 * it. */
START_TEST(time_ends_each_case)
{
    struct method method = {.num_iters = 100, .rounds = 10, .max_time = 50};
    size_t rounds;

    slow = true;
    run_cases(&method, 0);
    for (size_t i = 0; i < CASES; i++) {
        const uint64_t samples = samples_of(i, &rounds);

        ck_assert(i == WRONG_CASE || (samples >= 40 && samples <= 50 && rounds == 10));
        ck_assert_int_eq(out_of_time[i], i == WRONG_CASE ? TRUTH_UNKNOWN : TRUTH_YES);
    }
    for (size_t i = 0; i < visit_count; i++) {
        ck_assert_uint_le(visits[i].samples, 6);
    }
    method.max_time = 3;
    run_cases(&method, 0);
    ck_assert_uint_le(samples_of(0, &rounds), 3);
    method.max_time = 1000;
    run_cases(&method, 0);
    ck_assert_uint_eq(samples_of(0, &rounds), 100);
    ck_assert_int_eq(out_of_time[0], TRUTH_NO);
    slow = false;
}
END_TEST

/* An interrupt is another reason for too few samples. */
START_TEST(an_interrupt_is_not_the_end_of_time)
{
    const struct method method = {.num_iters = 100, .rounds = 10, .max_time = 50};

    stopped = true;
    run_cases(&method, 0);
    for (size_t i = 0; i < CASES; i++) {
        ck_assert_int_ne(out_of_time[i], TRUTH_YES);
    }
    stopped = false;
}
END_TEST

/* A line each half minute, here: each visit. */
START_TEST(progress_is_in_words)
{
    const struct method method = {.num_iters = 4, .rounds = 2};
    char text[4096] = "";
    int kept = dup(STDERR_FILENO);
    FILE *file = tmpfile();

    ck_assert(kept >= 0 && file != NULL && dup2(fileno(file), STDERR_FILENO) >= 0);
    run_cases(&method, 1);
    fflush(stderr);
    ck_assert(dup2(kept, STDERR_FILENO) >= 0);
    rewind(file);
    ck_assert_uint_gt(fread(text, 1, sizeof text - 1, file), 0);
    fclose(file);
    close(kept);
    ck_assert_msg(strstr(text, "progress: round 1 of 2, case 5 of 5, about ") != NULL, "%s", text);
    ck_assert_msg(strstr(text, "progress: round 2 of 2, case 1 of 5, about ") != NULL, "%s", text);
    ck_assert_msg(strstr(text, " min 30 s left\n") != NULL, "%s", text);
}
END_TEST

START_TEST(an_interrupt_ends_all)
{
    const struct method method = {.num_iters = 40, .rounds = 10};

    stopped = true;
    run_cases(&method, 0);
    ck_assert(visit_count == 2 && concluded == CASES);
    stopped = false;
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("rounds");
    TCase *tc = patient_case("rounds");

    tcase_add_test(tc, order_is_a_permutation);
    tcase_add_test(tc, seed_and_round_determine_the_order);
    tcase_add_test(tc, every_place_is_as_likely);
    tcase_add_test(tc, shares_are_all_samples);
    tcase_add_test(tc, rounds_visit_everything);
    tcase_add_test(tc, precision_ends_each_case);
    tcase_add_test(tc, an_interrupt_ends_all);
    tcase_add_test(tc, time_ends_each_case);
    tcase_add_test(tc, progress_is_in_words);
    tcase_add_test(tc, an_interrupt_is_not_the_end_of_time);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
