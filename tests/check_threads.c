/* SPDX-License-Identifier: Apache-2.0 */
/* check_threads.c - the threads that kernels run on: how many there were is told, and a child of fork(), which has none
 * of its parent's, does not wait for them. */
#include <config.h>

#include "quantbench.h"
#include "run.h"

#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* Large enough to be worth two threads. */
#define TOKENS 64
#define HIDDEN 4096
/* Seconds after which a child that waits for ever is ended. */
#define DEADLINE 60

static float input[TOKENS * HIDDEN];
static uint8_t codes[TOKENS * HIDDEN], reference[TOKENS * HIDDEN];
static float scales[TOKENS], reference_scales[TOKENS];
static struct qb_device *device;
static struct qb_queue *queue;

static struct qb_problem problem(void)
{
    struct qb_problem p;

    qb_problem_init(&p);
    p.input = QB_FORMAT_F32;
    p.output = QB_FORMAT_E4M3;
    p.granularity = QB_GRANULARITY_TOKEN;
    p.tokens = TOKENS;
    p.hidden = HIDDEN;
    return p;
}

static void open_queue(void)
{
    struct qb_problem p = problem();

    for (size_t i = 0; i < TOKENS * HIDDEN; i++) {
        input[i] = (float)(i % 777) - 300;
    }
    ck_assert_int_eq(qb_reference_run(&p, &(struct qb_tensors)QB_TENSORS(input, reference, reference_scales)), QB_OK);
    ck_assert_int_eq(qb_device_open(qb_backend_find("cpu"), 0, &device), QB_OK);
    ck_assert_int_eq(qb_queue_create(device, &queue), QB_OK);
}

static void close_queue(void)
{
    qb_queue_destroy(queue);
    qb_device_close(device);
}

/* True if the codes of a run are right. */
static bool quantizes(void)
{
    struct qb_problem p = problem();

    memset(codes, 0xAA, sizeof codes);
    return qb_quantize(queue, &p, &(struct qb_tensors)QB_TENSORS(input, codes, scales)) == QB_OK &&
           memcmp(codes, reference, sizeof codes) == 0 && memcmp(scales, reference_scales, sizeof scales) == 0;
}

/* The exit status of a child that runs WORK; 0 if that succeeds. */
static int in_child(bool (*work)(void))
{
    pid_t child = fork();
    int status;

    ck_assert_int_ge(child, 0);
    if (child == 0) {
        alarm(DEADLINE);
        _exit(work() ? 0 : 1);
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_msg(WIFEXITED(status), "signal %d", WTERMSIG(status));
    return WEXITSTATUS(status);
}

static bool runs_on_one(void)
{
    unsigned wanted, obtained;

    return quantizes() && qb_queue_threads(queue, &wanted, &obtained) == QB_OK && obtained == 1;
}

static bool runs_in_new_queue(void)
{
    return qb_queue_create(device, &queue) == QB_OK && qb_queue_set_threads(queue, 2) == QB_OK && runs_on_one();
}

static bool grandchild_runs(void)
{
    return in_child(runs_on_one) == 0;
}

START_TEST(a_child_does_not_wait_for_its_parents_threads)
{
    if (qb_queue_set_threads(queue, 2) == QB_ERROR_UNSUPPORTED) {
        return; /* no OpenMP */
    }
    ck_assert(quantizes());
    ck_assert_int_eq(in_child(runs_on_one), 0);
    ck_assert_int_eq(in_child(runs_in_new_queue), 0);
    ck_assert_int_eq(in_child(grandchild_runs), 0);
    ck_assert(quantizes());
}
END_TEST

static bool runs_on_two(void)
{
    unsigned wanted, obtained;

    return qb_queue_set_threads(queue, 2) == QB_OK && quantizes() &&
           qb_queue_threads(queue, &wanted, &obtained) == QB_OK && wanted == 2 && obtained == 2;
}

START_TEST(a_child_of_a_process_without_threads_has_its_own)
{
    if (qb_queue_set_threads(queue, 2) == QB_OK) {
        ck_assert_int_eq(in_child(runs_on_two), 0);
    }
}
END_TEST

START_TEST(threads_are_counted_where_they_run)
{
    unsigned wanted = 9, obtained = 9;
    struct qb_problem p = problem();

    ck_assert_int_eq(qb_queue_threads(queue, &wanted, &obtained), QB_OK);
    ck_assert(wanted == 0 && obtained == 0);
    ck_assert_int_eq(qb_queue_set_threads(queue, 1), QB_OK);
    ck_assert(quantizes());
    ck_assert_int_eq(qb_queue_threads(queue, &wanted, &obtained), QB_OK);
    ck_assert(wanted == 1 && obtained == 1);
    if (qb_queue_set_threads(queue, 3) != QB_OK) {
        return;
    }
    ck_assert(quantizes());
    ck_assert_int_eq(qb_queue_threads(queue, &wanted, &obtained), QB_OK);
    ck_assert(wanted == 3 && obtained >= 1 && obtained <= 3);
    /* One row is worth no threads, and is not what counts. */
    p.tokens = 1;
    p.hidden = 64;
    ck_assert_int_eq(qb_quantize(queue, &p, &(struct qb_tensors)QB_TENSORS(input, codes, scales)), QB_OK);
    ck_assert_int_eq(qb_queue_threads(queue, &wanted, &obtained), QB_OK);
    ck_assert_uint_eq(wanted, 3);
    ck_assert_int_eq(qb_queue_threads(NULL, &wanted, &obtained), QB_ERROR_INVALID);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("threads");
    TCase *tc = patient_case("threads");

    tcase_add_checked_fixture(tc, open_queue, close_queue);
    /* The first: with CK_FORK=no the others' threads are its own. */
    tcase_add_test(tc, a_child_of_a_process_without_threads_has_its_own);
    tcase_add_test(tc, a_child_does_not_wait_for_its_parents_threads);
    tcase_add_test(tc, threads_are_counted_where_they_run);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
