/* SPDX-License-Identifier: Apache-2.0 */
/* check_compare.c - comparing against answers that are known without it: tables of Student's t, sums done by hand, and
 * simulated machines whose truth is known, on which wrong and missing verdicts are counted. */
#include <config.h>

#include "verdict/compare.h"
#include "run.h"
#include "base/stats.h"

#include <math.h>
#include <string.h>

/* Tables of the two-sided 95 % quantile, and the elementary form for one and two degrees of freedom. */
START_TEST(students_t)
{
    static const struct {
        unsigned freedom;
        double quantile;
    } rows[] = {{1, 12.706205}, {2, 4.302653}, {3, 3.182446},  {4, 2.776445},  {5, 2.570582},
                {7, 2.364624},  {8, 2.306004}, {11, 2.200985}, {30, 2.042272}, {100, 1.983972}};

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        double t = compare_t_quantile(0.05, rows[i].freedom);

        ck_assert_double_eq_tol(t, rows[i].quantile, 1e-6);
        ck_assert_double_eq_tol(compare_t_tails(t, rows[i].freedom), 0.05, 1e-12);
    }
    ck_assert_double_eq_tol(compare_t_tails(1, 1), 0.5, 1e-14);
    ck_assert_double_eq_tol(compare_t_tails(sqrt(2), 2), 1 - sqrt(0.5), 1e-14);
    ck_assert_double_eq_tol(compare_t_quantile(0.01, 10), 3.169273, 1e-6);
    ck_assert_double_eq_tol(compare_t_quantile(0.05, 100000), 1.959988, 1e-6);
    for (unsigned freedom = 1; freedom < 5; freedom++) {
        ck_assert_double_eq_tol(compare_t_tails(0, freedom), 1, 1e-15);
    }
}
END_TEST

START_TEST(few_rounds_by_hand)
{
    const double ratios[4] = {0.01, 0.04, 0.02, 0.03};
    struct estimate e;

    ck_assert(compare_rounds(ratios, 4, &e));
    ck_assert_uint_eq(e.count, 4);
    ck_assert_uint_eq(e.freedom, 3);
    ck_assert_double_eq_tol(e.center, 0.025, 1e-15);
    ck_assert_double_eq_tol(e.error, sqrt(0.0005 / 12), 1e-15);
}
END_TEST

/* Of ten values the two smallest and the two largest are left out, and count as the nearest that is left: 3 3 3 4 5 6 7
 * 8 8 8. Their mean is 5.5 and the squares' sum 43. */
START_TEST(ten_rounds_by_hand)
{
    const double ratios[10] = {8, -1000, 4, 3, 5, 2, 1e6, 6, 7, 9};
    struct estimate e;

    ck_assert(compare_rounds(ratios, 10, &e));
    ck_assert_uint_eq(e.freedom, 5);
    ck_assert_double_eq_tol(e.center, 5.5, 1e-14);
    ck_assert_double_eq_tol(e.error, sqrt(42.5 / 30), 1e-14);
    ck_assert_double_eq(ratios[1], -1000);
}
END_TEST

/* Welch's classical form: variances of the means 1/3 and 3, so (10/3)^2 / (1/27 + 27/6) degrees of freedom. */
START_TEST(runs_by_hand)
{
    const double before[3] = {1, 2, 3}, now[3] = {10, 13, 16}, still[2] = {4, 4};
    struct estimate e;

    ck_assert(compare_runs(before, 3, now, 3, &e));
    ck_assert_double_eq_tol(e.center, 11, 1e-14);
    ck_assert_double_eq_tol(e.error, sqrt(1.0 / 3 + 3), 1e-14);
    ck_assert_uint_eq(e.freedom, 2);
    ck_assert(compare_runs(still, 2, now, 3, &e));
    ck_assert_uint_eq(e.count, 2);
    ck_assert_uint_eq(e.freedom, 2);
    ck_assert(compare_runs(still, 2, still, 2, &e));
    ck_assert_double_eq(e.error, 0);
}
END_TEST

static struct estimate estimate(double percent, double error_percent, size_t count)
{
    return (struct estimate){
        .count = count, .center = log1p(percent / 100), .error = error_percent / 100, .freedom = (unsigned)count - 1};
}

/* The verdict of one estimate alone, with a margin of 1 %. */
static struct judgement judge(double percent, double error_percent, size_t count)
{
    struct estimate e = estimate(percent, error_percent, count);
    struct judgement j;

    ck_assert(compare_judge(&e, 1, 0.01, &j));
    return j;
}

START_TEST(verdicts)
{
    struct judgement j = judge(2, 0.1, 21);

    ck_assert_int_eq(j.verdict, VERDICT_SLOWER);
    ck_assert_double_eq_tol(j.ratio, 1.02, 1e-12);
    ck_assert_double_eq_tol(j.low, 1.02 * exp(-0.00208596), 1e-8);
    ck_assert_double_eq_tol(j.high, 1.02 * exp(0.00208596), 1e-8);
    ck_assert_uint_eq(j.more, 0);
    ck_assert_int_eq(judge(100 / 1.02 - 100, 0.1, 21).verdict, VERDICT_FASTER);
    ck_assert_int_eq(judge(0, 0.1, 21).verdict, VERDICT_SAME);
    ck_assert_int_eq(judge(0.7, 0.1, 21).verdict, VERDICT_SAME);
    ck_assert_int_eq(judge(-0.7, 0.1, 21).verdict, VERDICT_SAME);
    ck_assert_int_eq(judge(0.9, 0.1, 21).verdict, VERDICT_INCONCLUSIVE);
    ck_assert_int_eq(judge(1.1, 0.1, 21).verdict, VERDICT_INCONCLUSIVE);
    ck_assert_int_eq(judge(0, 1, 21).verdict, VERDICT_INCONCLUSIVE);
}
END_TEST

/* Nothing varies, as with a clock that counts launches. */
START_TEST(verdicts_without_noise)
{
    struct judgement j = judge(2, 0, 20);

    ck_assert_int_eq(j.verdict, VERDICT_SLOWER);
    ck_assert_double_eq(j.low, j.high);
    ck_assert_int_eq(judge(0, 0, 20).verdict, VERDICT_SAME);
    ck_assert_int_eq(judge(-3, 0, 20).verdict, VERDICT_FASTER);
    j = judge(1, 0, 20);
    ck_assert_int_eq(j.verdict, VERDICT_INCONCLUSIVE);
    ck_assert(j.more == COMPARE_NEVER);
}
END_TEST

START_TEST(too_few_decide_nothing)
{
    struct judgement j = judge(50, 0.001, 4);

    ck_assert_int_eq(j.verdict, VERDICT_INCONCLUSIVE);
    ck_assert_uint_eq(j.more, 1);
    ck_assert_int_eq(judge(50, 0.001, 5).verdict, VERDICT_SLOWER);
}
END_TEST

/* Five estimates whose error probabilities are known: Holm's limits are 0.01, 0.0125, 0.0167, 0.025 and 0.05. */
START_TEST(many_are_corrected)
{
    /* Without a margin, at 1000 degrees of freedom; T is the center over the error. */
    static const double p[5] = {0.02, 0.009, 0.03, 0.018, 0.012};
    struct estimate estimates[5];
    struct judgement judgements[5];

    for (int i = 0; i < 5; i++) {
        estimates[i] = (struct estimate){1001, compare_t_quantile(p[i], 1000) * 0.001, 0.001, 1000};
    }
    ck_assert(compare_judge(estimates, 5, 0, judgements));
    for (int i = 0; i < 5; i++) {
        ck_assert_double_eq_tol(judgements[i].p, p[i], 1e-9);
        ck_assert_int_eq(judgements[i].verdict, p[i] < 0.0125 ? VERDICT_SLOWER : VERDICT_INCONCLUSIVE);
        ck_assert(p[i] < 0.0125 ? judgements[i].more == 0 : judgements[i].more > 0);
    }
    /* Alone, each would have been clear enough. */
    ck_assert(compare_judge(&estimates[2], 1, 0, judgements));
    ck_assert_int_eq(judgements[0].verdict, VERDICT_SLOWER);
}
END_TEST

/* ---- Simulated machines -------------------------------------------------------------------------------------------*/

static uint64_t state;

static double uniform(void)
{
    return ((double)(test_random(&state) >> 12) + 0.5) * 0x1p-52;
}

static double normal(void)
{
    return sqrt(-2 * log(uniform())) * cos(2 * M_PI * uniform());
}

/* What disturbs the times on a machine, in percent of the time unless it says otherwise. */
struct machine {
    double run;         /* differs from process to process */
    double drift;       /* comes and goes over many rounds, as with the temperature */
    double placement;   /* differs from allocation to allocation */
    double disturbance; /* share of the rounds in which something else takes a part of one side's time */
};
static const struct machine quiet = {0, 0, 0, 0};
static const struct machine rough = {0.3, 0.3, 0.2, 0};
static const struct machine shared_machine = {0.5, 0.5, 0.3, 0.1};

/* One process on MACHINE. */
struct process {
    const struct machine *machine;
    double run, drift;
};

static struct process start_process(const struct machine *machine)
{
    return (struct process){machine, machine->run * normal(), machine->drift * normal()};
}

/* The drift keeps 95 % of itself from one visit to the next. */
static double drift(struct process *process)
{
    process->drift = 0.95 * process->drift + sqrt(1 - 0.95 * 0.95) * process->machine->drift * normal();
    return process->drift;
}

#define VISIT_SAMPLES 10

/* One visit: samples of 10 microseconds, with skewed noise of 1 % and 2 % of them far off. */
static void visit(struct process *process, double percent, double *samples)
{
    double common = percent + process->run + drift(process);

    for (int i = 0; i < VISIT_SAMPLES; i++) {
        double noise = -log(uniform());

        samples[i] = 10000 * exp(common / 100) * (1 + 0.01 * noise) * (uniform() < 0.02 ? 1 + 0.5 * uniform() : 1);
    }
}

/* All samples as if they were of one round. */
static bool pool(const double *samples, size_t count, struct stats *stats)
{
    return stats_compute(samples, &count, 1, 0, stats);
}

static double median(const double *samples, size_t count)
{
    struct stats stats;

    ck_assert(pool(samples, count, &stats));
    return stats.median;
}

/* What a round costs one side beyond its time. */
static double round_effect(const struct machine *machine)
{
    return machine->placement * normal() + (uniform() < machine->disturbance ? 20 * uniform() : 0);
}

/* The logarithm of the ratio of one round, ABBA or BAAB; B takes PERCENT longer. */
static double simulate_round(struct process *process, double percent)
{
    double effects[2] = {round_effect(process->machine), percent + round_effect(process->machine)};
    double samples[2][2 * VISIT_SAMPLES];
    int first = uniform() < 0.5;

    for (int i = 0; i < 4; i++) {
        int side = i == 0 || i == 3 ? first : !first;

        visit(process, effects[side], &samples[side][i / 2 * VISIT_SAMPLES]);
    }
    return log(median(samples[1], 2 * VISIT_SAMPLES) / median(samples[0], 2 * VISIT_SAMPLES));
}

static struct estimate simulate_rounds(const struct machine *machine, size_t rounds, double percent)
{
    struct process process = start_process(machine);
    struct estimate e;
    double ratios[200];

    for (size_t i = 0; i < rounds; i++) {
        ratios[i] = simulate_round(&process, percent);
    }
    ck_assert(compare_rounds(ratios, rounds, &e));
    return e;
}

/* The logarithm of the time of one process, which visits 20 times. */
static double simulate_process(const struct machine *machine, double percent)
{
    struct process process = start_process(machine);
    double samples[20 * VISIT_SAMPLES];

    for (int i = 0; i < 20; i++) {
        visit(&process, percent + round_effect(machine), &samples[i * VISIT_SAMPLES]);
    }
    return log(median(samples, 20 * VISIT_SAMPLES));
}

static struct estimate simulate_runs(const struct machine *machine, size_t runs, double percent)
{
    double before[50], now[50];
    struct estimate e;

    for (size_t i = 0; i < runs; i++) {
        before[i] = simulate_process(machine, 0);
        now[i] = simulate_process(machine, percent);
    }
    ck_assert(compare_runs(before, runs, now, runs, &e));
    return e;
}

/* Comparisons of COUNT rounds or runs on a machine, and how many percent of them must at least be decided where there
 * is not a difference, or one of 2 %. */
static const struct world {
    const char *name;
    const struct machine *machine;
    struct estimate (*simulate)(const struct machine *machine, size_t count, double percent);
    size_t count;
    double decided;
} worlds[] = {
    {"quiet, 20 rounds", &quiet, simulate_rounds, 20, 95},
    {"rough, 20 rounds", &rough, simulate_rounds, 20, 95},
    {"shared, 20 rounds", &shared_machine, simulate_rounds, 20, 90},
    {"rough, 5 runs", &rough, simulate_runs, 5, 75},
    {"rough, 10 runs", &rough, simulate_runs, 10, 95},
};
#define WORLDS ((int)(sizeof worlds / sizeof worlds[0]))

/* How many of each verdict 2000 comparisons give, in percent. */
struct tally {
    double faster, slower, same;
};

static struct tally tally(const struct world *world, double percent, double margin)
{
    enum { TRIALS = 2000 };
    int counts[4] = {0};

    state = test_seed() + (uint64_t)(world - worlds);
    for (int i = 0; i < TRIALS; i++) {
        struct estimate e = world->simulate(world->machine, world->count, percent);
        struct judgement j;

        ck_assert(compare_judge(&e, 1, margin, &j));
        counts[j.verdict]++;
    }
    return (struct tally){100.0 * counts[VERDICT_FASTER] / TRIALS, 100.0 * counts[VERDICT_SLOWER] / TRIALS,
                          100.0 * counts[VERDICT_SAME] / TRIALS};
}

/* Without a margin, every verdict on equal things is wrong. */
START_TEST(equal_things)
{
    const struct world *world = &worlds[_i];
    struct tally t = tally(world, 0, 0);

    ck_assert_msg(t.faster + t.slower <= 7, "%s: %.1f %% faster, %.1f %% slower", world->name, t.faster, t.slower);
    t = tally(world, 0, 0.01);
    ck_assert_msg(t.faster + t.slower <= 0.5, "%s: %.1f %% faster, %.1f %% slower", world->name, t.faster, t.slower);
    ck_assert_msg(t.same >= world->decided, "%s: %.1f %% same", world->name, t.same);
}
END_TEST

START_TEST(two_percent)
{
    const struct world *world = &worlds[_i];
    struct tally t = tally(world, 100 * log(1.02), 0.01);

    ck_assert_msg(t.slower >= world->decided && t.faster == 0, "%s: %.1f %% slower", world->name, t.slower);
    t = tally(world, -100 * log(1.02), 0.01);
    ck_assert_msg(t.faster >= world->decided && t.slower == 0, "%s: %.1f %% faster", world->name, t.faster);
}
END_TEST

/* At the margin itself, both verdicts next to it would be wrong. */
START_TEST(at_the_margin)
{
    const struct world *world = &worlds[_i];
    struct tally t = tally(world, 100 * log(1.01), 0.01);

    ck_assert_msg(t.slower + t.same <= 7 && t.faster == 0, "%s: %.1f %% slower, %.1f %% same", world->name, t.slower,
                  t.same);
}
END_TEST

/* The machine is as bad as it is meant to be: who pools the samples of the rough one sees differences that are none. */
START_TEST(pooled_samples_mislead)
{
    int different = 0;

    state = test_seed();
    for (int trial = 0; trial < 500; trial++) {
        double pooled[2][20 * VISIT_SAMPLES];
        struct stats a, b;

        for (int side = 0; side < 2; side++) {
            struct process process = start_process(&rough);

            for (int i = 0; i < 20; i++) {
                visit(&process, 0, &pooled[side][i * VISIT_SAMPLES]);
            }
        }
        ck_assert(pool(pooled[0], 20 * VISIT_SAMPLES, &a) && pool(pooled[1], 20 * VISIT_SAMPLES, &b));
        different += a.ci_high < b.ci_low || b.ci_high < a.ci_low;
    }
    ck_assert_msg(different > 150, "%d of 500", different);
}
END_TEST

/* Twenty equal things, looked at together. */
START_TEST(many_equal_things)
{
    int wrong = 0;

    state = test_seed();
    for (int trial = 0; trial < 1000; trial++) {
        struct estimate estimates[20];
        struct judgement judgements[20];
        bool any = false;

        for (int i = 0; i < 20; i++) {
            double ratios[20];

            for (int k = 0; k < 20; k++) {
                ratios[k] = 0.003 * normal();
            }
            ck_assert(compare_rounds(ratios, 20, &estimates[i]));
        }
        ck_assert(compare_judge(estimates, 20, 0, judgements));
        for (int i = 0; i < 20; i++) {
            any = any || judgements[i].verdict != VERDICT_INCONCLUSIVE;
        }
        wrong += any;
    }
    ck_assert_msg(wrong <= 70, "%d of 1000", wrong);
}
END_TEST

/* What is said to be detectable is detected, and the further rounds that are asked for decide. */
START_TEST(promises_are_kept)
{
    struct estimate e = {20, 0, 0.002, 11};
    double percent = 100 * compare_detectable(&e, 0.01);
    int slower = 0, decided = 0;
    struct judgement j = judge(1.4, 0.3, 20);
    double spread = 0.002 * sqrt(20) / 1.07; /* the trimmed mean of 20 is 1.07 times less precise than their mean */

    state = test_seed();
    ck_assert_int_eq(j.verdict, VERDICT_INCONCLUSIVE);
    ck_assert(j.more > 20 && j.more < 180);
    for (int trial = 0; trial < 1000; trial++) {
        struct judgement now;
        double ratios[200];

        for (size_t i = 0; i < 20 + j.more; i++) {
            ratios[i] = log1p(0.014) + 1.5 * spread * normal();
        }
        ck_assert(compare_rounds(ratios, 20 + j.more, &e) && compare_judge(&e, 1, 0.01, &now));
        decided += now.verdict == VERDICT_SLOWER;
        for (int i = 0; i < 20; i++) {
            ratios[i] = log1p(percent / 100) + spread * normal();
        }
        ck_assert(compare_rounds(ratios, 20, &e) && compare_judge(&e, 1, 0.01, &now));
        slower += now.verdict == VERDICT_SLOWER;
    }
    ck_assert_msg(slower >= 930, "%d of 1000 detected", slower);
    ck_assert_msg(decided >= 930, "%d of 1000 decided", decided);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("compare");
    TCase *tc = patient_case("arithmetic");

    tcase_add_test(tc, students_t);
    tcase_add_test(tc, few_rounds_by_hand);
    tcase_add_test(tc, ten_rounds_by_hand);
    tcase_add_test(tc, runs_by_hand);
    tcase_add_test(tc, verdicts);
    tcase_add_test(tc, verdicts_without_noise);
    tcase_add_test(tc, too_few_decide_nothing);
    tcase_add_test(tc, many_are_corrected);
    suite_add_tcase(suite, tc);
    tc = patient_case("simulations");
    tcase_add_loop_test(tc, equal_things, 0, WORLDS);
    tcase_add_loop_test(tc, two_percent, 0, WORLDS);
    tcase_add_loop_test(tc, at_the_margin, 0, WORLDS);
    tcase_add_test(tc, pooled_samples_mislead);
    tcase_add_test(tc, many_equal_things);
    tcase_add_test(tc, promises_are_kept);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
