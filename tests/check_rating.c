/* SPDX-License-Identifier: Apache-2.0 */
/* check_rating.c - the quality that --quality reports, of codes of kernels, is that of the codes of the reference. */
#include <config.h>

#include "check/verify.h"
#include "cpu_machine.h"
#include "measure/rating.h"
#include "run.h"

#include <string.h>

static struct machine machine;

static void open_machine(void)
{
    open_cpu(&machine);
}

static void close_machine(void)
{
    machine_close(&machine);
}

/* True if all figures are the same to the last bit. */
static bool same(const struct quality *a, const struct quality *b)
{
    return a->finite == b->finite && a->nan == b->nan && a->infinite == b->infinite &&
           memcmp(&a->snr, &b->snr, sizeof a->snr) == 0 && memcmp(&a->signal, &b->signal, sizeof a->signal) == 0 &&
           memcmp(&a->rest_snr, &b->rest_snr, sizeof a->rest_snr) == 0 &&
           memcmp(&a->largest_error, &b->largest_error, sizeof a->largest_error) == 0 &&
           memcmp(&a->largest_relative_error, &b->largest_relative_error, sizeof a->largest_relative_error) == 0 &&
           a->saturated == b->saturated && a->overrange == b->overrange && a->flushed == b->flushed &&
           a->tiles == b->tiles && a->saturated_tiles == b->saturated_tiles &&
           a->overrange_tiles == b->overrange_tiles && a->floor_tiles == b->floor_tiles;
}

/* Rate PROBLEM on data of DIST by a kernel and by the reference. */
static void compare(const struct qb_problem *problem, enum input_dist dist)
{
    const struct qb_arithmetic contract = {.quotient = QB_QUOTIENT_DIVIDE};
    struct plan_case c = {.problem = *problem, .dist = dist, .device = &machine.devices[0]};
    struct expectation expectation = {.tensors = {.size = sizeof expectation.tensors}};
    struct finding found = {.code = EXIT_OK};
    struct rating rating;
    struct case_data data;

    ck_assert_int_eq(qb_problem_validate(problem), QB_OK);
    ck_assert_int_eq(qb_kernel_match(machine.devices[0].handle, problem, NULL, &c.kernel), QB_OK);
    c.about = catalog_find(qb_kernel_name(c.kernel));
    ck_assert_int_eq(rating_begin(&rating, &machine.devices[0], NULL, 7), EXIT_OK);
    rating_rate(&rating, &c, &found);
    ck_assert_int_eq(found.code, EXIT_OK);
    ck_assert_int_eq(inputs_get(&rating.inputs, &c, &data), EXIT_OK);
    ck_assert_int_eq(verify_expect(problem, &contract, &data, false, true, &expectation), EXIT_OK);
    ck_assert_msg(same(&found.checked.quality, &expectation.quality), "%s, %s, %s: SNR %.17g, not %.17g",
                  qb_format_info(problem->output)->name, qb_granularity_name(problem->granularity), dist_words[dist],
                  found.checked.quality.snr, expectation.quality.snr);
    ck_assert(found.checked.quality.finite > 0);
    verify_free(&expectation);
    rating_end(&rating);
}

START_TEST(each_format_and_granularity)
{
    static const enum qb_format outputs[] = {QB_FORMAT_INT8, QB_FORMAT_E4M3, QB_FORMAT_E5M2, QB_FORMAT_INT4,
                                             QB_FORMAT_E2M1, QB_FORMAT_E2M3, QB_FORMAT_E3M2};

    for (size_t f = 0; f < sizeof outputs / sizeof outputs[0]; f++) {
        for (int g = 0; g < QB_GRANULARITY_COUNT; g++) {
            struct qb_problem problem;

            qb_problem_init(&problem);
            problem.input = (enum qb_format)(g % 3);
            problem.output = outputs[f];
            problem.granularity = (enum qb_granularity)g;
            problem.group = 32;
            problem.block_rows = problem.block_cols = 16;
            problem.tokens = 37;
            problem.hidden = 200;
            compare(&problem, g % 2 == 0 ? INPUT_NORMAL : INPUT_OUTLIERS);
        }
    }
}
END_TEST

START_TEST(scales_of_each_kind)
{
    struct qb_problem problem;

    qb_problem_init(&problem);
    problem.input = QB_FORMAT_BF16;
    problem.output = QB_FORMAT_E2M1;
    problem.granularity = QB_GRANULARITY_GROUP;
    problem.group = 16;
    problem.tokens = 40;
    problem.hidden = 96;
    problem.scale_format = QB_FORMAT_E4M3;
    problem.tensor_scale = QB_TENSOR_SCALE_COMPUTED;
    for (int layout = 0; layout < QB_SCALE_LAYOUT_COUNT; layout++) {
        if (layout != QB_SCALE_LAYOUT_PACKED) {
            problem.scale_layout = (enum qb_scale_layout)layout;
            compare(&problem, INPUT_OUTLIERS);
        }
    }
    problem.tensor_scale = QB_TENSOR_SCALE_NONE;
    problem.scale_format = QB_FORMAT_E8M0;
    problem.scale_layout = QB_SCALE_LAYOUT_PACKED;
    compare(&problem, INPUT_NORMAL);
    problem.scale_format = QB_FORMAT_F16;
    problem.scale_layout = QB_SCALE_LAYOUT_ROWS;
    problem.output = QB_FORMAT_UINT4;
    problem.zero_points = QB_ZERO_POINTS_INT8;
    compare(&problem, INPUT_UNIFORM);
}
END_TEST

/* A tensor scale that is given is the one that would be computed. */
START_TEST(a_given_tensor_scale)
{
    struct qb_problem problem;

    qb_problem_init(&problem);
    problem.output = QB_FORMAT_E2M1;
    problem.granularity = QB_GRANULARITY_GROUP;
    problem.group = 16;
    problem.tokens = 8;
    problem.hidden = 64;
    problem.scale_format = QB_FORMAT_E4M3;
    problem.tensor_scale = QB_TENSOR_SCALE_GIVEN;
    compare(&problem, INPUT_NORMAL);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("rating");
    TCase *all = patient_case("rating");

    tcase_add_unchecked_fixture(all, open_machine, close_machine);
    tcase_add_test(all, each_format_and_granularity);
    tcase_add_test(all, scales_of_each_kind);
    tcase_add_test(all, a_given_tensor_scale);
    suite_add_tcase(suite, all);
    return run_suite(suite);
}
