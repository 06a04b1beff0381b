/* SPDX-License-Identifier: Apache-2.0 */
/* check_measure.c - which sets the launches of samples on the CPU go into, which a question is about, and when samples
 * end early. The clock, and what disturbs a sample, are the test's own. */
#include <config.h>

#include "base/clock.h"
#include "measure/disturbance.h"
#include "measure/measure.h"
#include "run.h"

#include <math.h>
#include <string.h>

#define SETS   256
#define WINDOW 4
#define MOST   100000

/* What was launched and asked, in order. */
static unsigned launched[MOST];
static size_t launches;
static struct {
    unsigned set;
    size_t before; /* launches before it */
} asked[1000];
static size_t questions;

/* What was said of the windows to come. */
static uint64_t reached;

/* The host's clock, and what a launch takes of it. */
static double now, launch_seconds;

double clock_seconds(void)
{
    return now;
}

double clock_nanoseconds(void)
{
    return now * 1e9;
}

/* The system disturbs the first samples, this many of them. */
static size_t disturbances;

void disturbance_glance(struct disturbance_glance *glance)
{
    *glance = (struct disturbance_glance){0};
}

bool disturbance_is_material(const struct disturbance_glance *before, const struct disturbance_glance *after,
                             double nanoseconds)
{
    (void)before, (void)after, (void)nanoseconds;
    disturbances -= disturbances > 0;
    return disturbances > 0;
}

static enum qb_status note_launch(void *context, struct qb_queue *queue, unsigned set)
{
    (void)context, (void)queue;
    now += launch_seconds;
    ck_assert(set < SETS && launches < MOST);
    launched[launches++] = set;
    return QB_OK;
}

static enum qb_status note_question(void *context, enum measure_question kind, unsigned set)
{
    (void)context, (void)kind;
    asked[questions].set = set;
    asked[questions++].before = launches;
    return QB_OK;
}

static enum qb_status note_answer(void *context)
{
    (void)context;
    return QB_OK;
}

/* Each window is announced before the first launch into it. */
static enum qb_status note_window(void *context, uint64_t first, uint64_t count)
{
    (void)context;
    ck_assert(first < SETS && reached == launches);
    ck_assert(launches == 0 || first == (launched[launches - 1] + 1) % SETS);
    reached += count;
    return QB_OK;
}

/* Take SAMPLES samples of LAUNCHES launches from SETS sets, of which something is asked if ASKS. Returns the set that
 * comes next. */
static uint64_t take(unsigned sets, uint64_t launches_of_sample, bool asks, uint64_t first, uint64_t samples)
{
    const struct measure_work work = {
        .launch = note_launch,
        .sets = sets,
        .pose = asks ? note_question : NULL,
        .judge = asks ? note_answer : NULL,
        .reach = note_window,
    };
    const struct measure_settings settings = {.mode = LAUNCH_STREAM,
                                              .timer_tick = 1,
                                              .precision = 0.01,
                                              .launches = launches_of_sample,
                                              .first = first,
                                              .in_peace = true};
    struct qb_device *device;
    struct qb_queue *queue;
    struct measure measure;
    double times[64], host_time;
    uint64_t taken, next;

    launches = questions = reached = 0;
    ck_assert_int_eq(qb_device_open(qb_backend_find("cpu"), 0, &device), QB_OK);
    ck_assert_int_eq(qb_queue_create(device, &queue), QB_OK);
    ck_assert_int_eq(measure_open(device, &queue, 1, &work, &settings, &measure), QB_OK);
    ck_assert_int_eq(measure_take(&measure, samples, times, &taken, &host_time), QB_OK);
    ck_assert_uint_eq(taken, samples);
    next = measure.first;
    measure_close(&measure);
    qb_queue_destroy(queue);
    qb_device_close(device);
    return next;
}

/* The launches from FROM on follow each other through the sets, beginning at set FIRST. */
static void check_order(size_t from, unsigned first, unsigned sets)
{
    for (size_t i = from; i < launches; i++) {
        ck_assert_msg(launched[i] == (first + (i - from)) % sets, "launch %zu into set %u", i, launched[i]);
    }
}

/* A block that is not counted, the samples, and those that were taken again; also where no number of windows makes a
 * rotation. */
START_TEST(windows_follow_each_other)
{
    static const unsigned windows[] = {1, WINDOW, 7, SETS - 1};

    for (size_t i = 0; i < sizeof windows / sizeof windows[0]; i++) {
        const uint64_t next = take(SETS, windows[i], false, 8, 5);

        ck_assert(launches >= 6 * windows[i] && launches % windows[i] == 0);
        check_order(0, 8, SETS);
        ck_assert_uint_eq(reached, launches);
        ck_assert_uint_eq(next, (8 + launches) % SETS);
    }
}
END_TEST

START_TEST(each_question_is_about_the_next_window)
{
    take(SETS, WINDOW, true, 0, 5);
    check_order(0, 0, SETS);
    ck_assert(questions >= 6);
    for (size_t i = 0; i < questions; i++) {
        ck_assert_uint_eq(asked[i].before, i * WINDOW);
        ck_assert_uint_eq(asked[i].set, launched[asked[i].before]);
    }
}
END_TEST

START_TEST(whole_rotations_begin_at_the_first_set)
{
    take(SETS, 2 * SETS, true, 0, 3);
    ck_assert(launches >= 4 * 2 * SETS && launches % SETS == 0);
    check_order(0, 0, SETS);
    for (size_t i = 0; i < questions; i++) {
        ck_assert_uint_eq(asked[i].set, 0);
    }
    ck_assert_uint_eq(reached, 0);
}
END_TEST

/* The launches that are chosen for a sample of launches that take next to no time. */
static uint64_t choose(unsigned sets, bool only_windows)
{
    const struct measure_work work = {.launch = note_launch, .sets = sets};
    struct measure_settings settings = {
        .mode = LAUNCH_STREAM, .timer_tick = 1, .precision = 0.01, .in_peace = true, .only_windows = only_windows};
    struct qb_device *device;
    struct qb_queue *queue;

    launches = 0;
    ck_assert_int_eq(qb_device_open(qb_backend_find("cpu"), 0, &device), QB_OK);
    ck_assert_int_eq(qb_queue_create(device, &queue), QB_OK);
    ck_assert_int_eq(measure_choose(device, queue, &work, &settings), QB_OK);
    qb_queue_destroy(queue);
    qb_device_close(device);
    ck_assert(settings.first < sets);
    return settings.launches;
}

START_TEST(chosen_launches)
{
    ck_assert_uint_eq(choose(SETS, false) % SETS, 0);
    ck_assert_uint_eq(choose(100, false) % 100, 0);
    ck_assert_uint_eq(choose(1, false) % 1, 0);
    /* Where the sets are too few for a rotation, no sample has more launches than sets. */
    ck_assert_uint_eq(choose(SETS, true), SETS - 1);
}
END_TEST

/* What came of COUNT samples of four launches each, with SETTINGS. */
static struct measure take_samples(const struct measure_settings *settings, uint64_t count, uint64_t *taken)
{
    const struct measure_work work = {.launch = note_launch, .sets = SETS};
    struct qb_device *device;
    struct qb_queue *queue;
    struct measure measure;
    double times[64], host_time;

    launches = 0;
    ck_assert_int_eq(qb_device_open(qb_backend_find("cpu"), 0, &device), QB_OK);
    ck_assert_int_eq(qb_queue_create(device, &queue), QB_OK);
    ck_assert_int_eq(measure_open(device, &queue, 1, &work, settings, &measure), QB_OK);
    ck_assert_int_eq(measure_take(&measure, count, times, taken, &host_time), QB_OK);
    measure_close(&measure);
    qb_queue_destroy(queue);
    qb_device_close(device);
    return measure;
}

/* A launch takes a second: a block that does not count ends after 4, and samples after 8, 12, ... */
static uint64_t taken_until(double deadline, enum launch_mode mode, bool in_peace, double sample_seconds)
{
    const struct measure_settings settings = {.mode = mode,
                                              .timer_tick = 1,
                                              .precision = 0.01,
                                              .launches = WINDOW,
                                              .in_peace = in_peace,
                                              .deadline = deadline,
                                              .sample_time = sample_seconds * 1e9};
    uint64_t taken;

    now = 0;
    launch_seconds = 1;
    take_samples(&settings, 10, &taken);
    launch_seconds = 0;
    return taken;
}

START_TEST(deadline_ends_samples)
{
    ck_assert_uint_eq(taken_until(0, LAUNCH_STREAM, true, 0), 10);
    ck_assert_uint_eq(taken_until(INFINITY, LAUNCH_STREAM, true, 0), 10);
    ck_assert_uint_eq(taken_until(17, LAUNCH_STREAM, true, 0), 4);
    ck_assert_uint_eq(taken_until(1, LAUNCH_STREAM, true, 0), 1);
    /* A rotation through all sets is first; then each launch is a sample. */
    ck_assert_uint_eq(taken_until(SETS + 4, LAUNCH_ISOLATED, false, 0), 4);
    ck_assert_uint_eq(taken_until(1, LAUNCH_ISOLATED, false, 0), 1);
}
END_TEST

/* Nobody waits for the samples of a batch one by one: there are as many as fit, and a block before each batch. */
START_TEST(deadline_limits_batches)
{
    ck_assert_uint_eq(taken_until(17, LAUNCH_STREAM, false, 4), 4);
    ck_assert_uint_eq(taken_until(1, LAUNCH_STREAM, false, 4), 1);
    ck_assert_uint_eq(taken_until(INFINITY, LAUNCH_STREAM, false, 4), 10);
}
END_TEST

/* Samples are taken again as long as that helps. */
START_TEST(disturbed_rounds_are_not_taken_again)
{
    const struct measure_settings settings = {
        .mode = LAUNCH_STREAM, .timer_tick = 1, .precision = 0.01, .launches = 4, .in_peace = true};
    struct measure measure;
    uint64_t taken;

    disturbances = 1000;
    measure = take_samples(&settings, 10, &taken);
    ck_assert(taken == 10 && measure.retaken == 3 && measure.disturbed == 10);
    disturbances = 3;
    measure = take_samples(&settings, 10, &taken);
    ck_assert(taken == 10 && measure.retaken == 2 && measure.disturbed == 0);
    disturbances = 0;
    measure = take_samples(&settings, 10, &taken);
    ck_assert(taken == 10 && measure.retaken == 0 && measure.disturbed == 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("measure");
    TCase *tc = patient_case("measure");

    tcase_add_test(tc, windows_follow_each_other);
    tcase_add_test(tc, each_question_is_about_the_next_window);
    tcase_add_test(tc, whole_rotations_begin_at_the_first_set);
    tcase_add_test(tc, chosen_launches);
    tcase_add_test(tc, deadline_ends_samples);
    tcase_add_test(tc, deadline_limits_batches);
    tcase_add_test(tc, disturbed_rounds_are_not_taken_again);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
