/* SPDX-License-Identifier: Apache-2.0 */
/* check_accuracy.c - the accuracy of formats and of scales on four distributions, against figures that another program
 * found: the signal-to-noise ratio, and shares of what is out of range and flushed. That is a test of the reference and
 * of the figures of quality together. */
#include <config.h>

#include "check/quality.h"
#include "model/sizes.h"
#include "run.h"

#include <math.h>
#include <stdlib.h>

#define ROWS 256
#define COLS 4096
/* The figures are of four times as many elements, and the tolerances of these. With other seeds, 256 rows may be
 * farther off: a few elements have much of the energy, above all of Student's t. */
#define SEED 2

/* ---- Data -------------------------------------------------------------------------------------------------------- */

enum distribution { NORMAL, LAPLACE, STUDENT, COLUMNS, DISTRIBUTIONS };

static uint64_t state;

/* A number in (0, 1): splitmix64. */
static double uniform(void)
{
    uint64_t z = state += 0x9E3779B97F4A7C15u;

    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return ((double)((z ^ z >> 31) >> 12) + 0.5) * 0x1p-52;
}

static double normal(void)
{
    const double pi = 3.14159265358979323846;

    return sqrt(-2 * log(uniform())) * cos(2 * pi * uniform());
}

/* Student's t with 3 degrees of freedom. */
static double student(void)
{
    double squares = 0;

    for (int i = 0; i < 3; i++) {
        const double z = normal();

        squares += z * z;
    }
    return normal() / sqrt(squares / 3);
}

static double draw(enum distribution distribution)
{
    double sign;

    switch (distribution) {
    case LAPLACE:
        sign = uniform() < 0.5 ? -1 : 1;
        return sign * log(uniform());
    case STUDENT:
        return student();
    case NORMAL:
    case COLUMNS:
    case DISTRIBUTIONS:
        break;
    }
    return normal();
}

/* Data in bfloat16; COLUMNS: normal, 30 times as large in one column of 128. */
static uint16_t *make_data(enum distribution distribution)
{
    uint16_t *data = malloc(sizeof *data * ROWS * COLS);
    static bool large[COLS];

    ck_assert(data != NULL);
    state = SEED + (uint64_t)distribution;
    for (int left = distribution == COLUMNS ? COLS / 128 : 0; left > 0;) {
        const int col = (int)(uniform() * COLS);

        left -= !large[col];
        large[col] = true;
    }
    for (size_t i = 0; i < (size_t)ROWS * COLS; i++) {
        const double x = draw(distribution) * (large[i % COLS] ? 30 : 1);

        data[i] = (uint16_t)qb_format_encode(QB_FORMAT_BF16, (float)x);
    }
    return data;
}

/* ---- What was found ------------------------------------------------------------------------------------------------
 */

#define NOT_TESTED 0
#define F32        QB_FORMAT_F32
#define E8M0       QB_FORMAT_E8M0
#define AZP        QB_ZERO_POINTS_INT8
#define FLOOR      QB_SCALE_ROUNDING_FLOOR
#define EVEN       QB_SCALE_ROUNDING_EVEN
#define G          QB_TENSOR_SCALE_COMPUTED

/* Of normal data also the shares, in percent, of tiles and elements out of range, and of elements flushed; -1: not
 * known. The figures are of 1024 x 4096 elements. */
static const struct row {
    const char *name;
    enum qb_format output;
    uint64_t group; /* 0: one scale per token */
    enum qb_format scale;
    enum qb_scale_rounding rounding;
    enum qb_tensor_scale tensor_scale;
    enum qb_zero_points zero_points;
    double snr[DISTRIBUTIONS];
    double tiles, elements, flushed;
} rows[] = {
    /* clang-format off */
    {"INT8 per token", QB_FORMAT_INT8, 0, F32, 0, 0, 0, {41.24, 36.75, NOT_TESTED, 24.85}, 0, 0, 1.2},
    {"INT8 per token, asymmetric", QB_FORMAT_INT8, 0, F32, 0, 0, AZP, {41.71, 37.56, NOT_TESTED, 26.00}, -1, -1, -1},
    {"E4M3 per token", QB_FORMAT_E4M3, 0, F32, 0, 0, 0, {31.55, 31.57, 32.1, 32.27}, 0, 0, -1},
    {"E4M3 g128", QB_FORMAT_E4M3, 128, F32, 0, 0, 0, {31.79, 32.12, 33.2, 37.23}, 0, 0, -1},
    {"E4M3 g128 E8M0", QB_FORMAT_E4M3, 128, E8M0, 0, 0, 0, {31.49, 31.51, 31.19, 31.54}, 0, 0, -1},
    {"E5M2 per token", QB_FORMAT_E5M2, 0, F32, 0, 0, 0, {25.57, 25.59, 26.1, 26.27}, -1, -1, -1},
    {"MXFP8 floor", QB_FORMAT_E4M3, 32, E8M0, FLOOR, 0, 0, {30.67, 30.02, 29.1, 28.32}, 16.3, -1, -1},
    {"MXFP8 even", QB_FORMAT_E4M3, 32, E8M0, EVEN, 0, 0, {31.18, 30.83, 30.1, 29.80}, 11.4, -1, -1},
    {"MXFP8 up", QB_FORMAT_E4M3, 32, E8M0, 0, 0, 0, {31.49, 31.51, 31.2, 31.54}, 0, 0, -1},
    {"MXFP8 E5M2 up", QB_FORMAT_E5M2, 32, E8M0, 0, 0, 0, {25.54, 25.56, 25.5, 25.50}, 0, 0, -1},
    {"MXFP6 E2M3 floor", QB_FORMAT_E2M3, 32, E8M0, FLOOR, 0, 0, {30.92, 30.27, 29.1, 27.23}, 8.8, -1, 2.2},
    {"MXFP6 E2M3 up", QB_FORMAT_E2M3, 32, E8M0, 0, 0, 0, {30.93, 30.22, 29.0, 27.04}, 0, 0, 2.2},
    {"MXFP6 E3M2 floor", QB_FORMAT_E3M2, 32, E8M0, FLOOR, 0, 0, {25.37, 25.23, 25.0, 24.69}, 16.3, -1, 0.3},
    {"MXFP6 E3M2 up", QB_FORMAT_E3M2, 32, E8M0, 0, 0, 0, {25.54, 25.56, 25.5, 25.49}, 0, 0, 0.3},
    {"MXFP4 floor", QB_FORMAT_E2M1, 32, E8M0, FLOOR, 0, 0, {18.80, 17.95, 17.0, 15.75}, 29.1, 2.26, 8.9},
    {"MXFP4 even", QB_FORMAT_E2M1, 32, E8M0, EVEN, 0, 0, {19.02, 18.13, 17.2, 16.44}, 12.3, 0.59, 9.8},
    {"MXFP4 up", QB_FORMAT_E2M1, 32, E8M0, 0, 0, 0, {18.76, 17.58, 16.6, 16.13}, 0, 0, 10.7},
    {"NVFP4", QB_FORMAT_E2M1, 16, QB_FORMAT_E4M3, 0, G, 0, {20.44, 20.66, 21.0, 21.71}, 51, 3.5, 6.8},
    {"NVFP4, no tensor scale", QB_FORMAT_E2M1, 16, QB_FORMAT_E4M3, 0, 0, 0,
     {20.43, NOT_TESTED, NOT_TESTED, NOT_TESTED}, -1, -1, -1},
    {"INT4 g128", QB_FORMAT_INT4, 128, F32, 0, 0, 0, {18.62, 15.88, 13.1, 12.90}, 0, 0, 16},
    {"INT4 g32", QB_FORMAT_INT4, 32, F32, 0, 0, 0, {20.26, 18.33, 17.0, 17.75}, 0, 0, 13},
    {"INT4 g128, asymmetric", QB_FORMAT_UINT4, 128, F32, 0, 0, AZP, {19.96, 17.69, 15.8, 14.81}, -1, -1, 13.7},
    {"INT4 g32, asymmetric", QB_FORMAT_INT4, 32, F32, 0, 0, AZP, {21.86, 20.51, 20.0, 20.13}, -1, -1, 10.9},
    /* clang-format on */
};
#define COUNT ((int)(sizeof rows / sizeof rows[0]))

/* How far another seed may move the ratio, in dB; and shares, in percent. */
static const double tolerances[DISTRIBUTIONS] = {[NORMAL] = 0.1, [LAPLACE] = 0.1, [STUDENT] = 0.6, [COLUMNS] = 0.3};
#define TILES_TOLERANCE    1.0
#define ELEMENTS_TOLERANCE 0.15
#define FLUSHED_TOLERANCE  0.3

static struct qb_problem problem_of(const struct row *row)
{
    struct qb_problem p;

    qb_problem_init(&p);
    p.input = QB_FORMAT_BF16;
    p.output = row->output;
    p.granularity = row->group > 0 ? QB_GRANULARITY_GROUP : QB_GRANULARITY_TOKEN;
    p.group = row->group;
    p.tokens = ROWS;
    p.hidden = COLS;
    p.scale_format = row->scale;
    p.scale_rounding = row->rounding;
    p.tensor_scale = row->tensor_scale;
    p.zero_points = row->zero_points;
    return p;
}

/* The quality of what the reference makes of DATA. */
static struct quality quality_of(const struct qb_problem *problem, void *data)
{
    static const struct qb_arithmetic contract;
    const struct sizes bytes = sizes_of(problem);
    struct qb_tensors tensors = {.size = sizeof tensors, .at = {[QB_ROLE_INPUT] = data}};
    struct quality quality;

    for (int role = QB_ROLE_INPUT + 1; role < QB_ROLE_COUNT; role++) {
        tensors.at[role] = malloc(bytes.of[role] + 1);
        ck_assert(tensors.at[role] != NULL);
    }
    ck_assert_int_eq(qb_reference_run(problem, &tensors), QB_OK);
    ck_assert(quality_compute(problem, &contract, &tensors, &quality));
    for (int role = QB_ROLE_INPUT + 1; role < QB_ROLE_COUNT; role++) {
        free(tensors.at[role]);
    }
    return quality;
}

static void check_share(const char *name, const char *what, uint64_t part, uint64_t all, double percent,
                        double tolerance)
{
    const double found = 100 * (double)part / (double)all;

    ck_assert_msg(percent < 0 || fabs(found - percent) <= tolerance, "%s: %s: %.2f %%, expected %.2f %%", name, what,
                  found, percent);
}

START_TEST(figures_of_normal_data)
{
    const struct row *row = &rows[_i];
    const struct qb_problem p = problem_of(row);
    uint16_t *data = make_data(NORMAL);
    const struct quality q = quality_of(&p, data);

    check_share(row->name, "tiles out of range", q.overrange_tiles, q.tiles, row->tiles, TILES_TOLERANCE);
    check_share(row->name, "elements out of range", q.overrange, q.finite, row->elements, ELEMENTS_TOLERANCE);
    check_share(row->name, "flushed", q.flushed, q.finite, row->flushed, FLUSHED_TOLERANCE);
    ck_assert_uint_le(q.saturated_tiles, q.overrange_tiles);
    ck_assert_uint_eq(q.floor_tiles, 0);
    free(data);
}
END_TEST

START_TEST(signal_to_noise)
{
    const struct row *row = &rows[_i / DISTRIBUTIONS];
    const enum distribution distribution = (enum distribution)(_i % DISTRIBUTIONS);
    const double expected = row->snr[distribution];
    const struct qb_problem p = problem_of(row);
    uint16_t *data;
    struct quality q;

    if (expected == NOT_TESTED) {
        return;
    }
    data = make_data(distribution);
    q = quality_of(&p, data);
    ck_assert_msg(fabs(q.snr - expected) <= tolerances[distribution], "%s, distribution %d: %.2f dB, expected %.2f dB",
                  row->name, (int)distribution, q.snr, expected);
    free(data);
}
END_TEST

/* One outlier hides what becomes of all other elements, unless it is left out. */
START_TEST(outliers_hide_the_rest)
{
    struct qb_problem p = problem_of(&rows[0]);
    uint16_t *data = make_data(NORMAL);
    struct quality q;

    p.granularity = QB_GRANULARITY_TENSOR;
    p.output = QB_FORMAT_INT8;
    data[12345] = (uint16_t)qb_format_encode(QB_FORMAT_BF16, 4096);
    q = quality_of(&p, data);
    ck_assert_double_gt(q.snr, 10);
    ck_assert_double_lt(q.rest_snr, 0.5);
    free(data);
}
END_TEST

/* A tensor scale has a range: beyond it all scales are at their floor. */
START_TEST(scales_at_their_floor)
{
    struct qb_problem p = problem_of(&rows[17]);
    uint16_t *data = make_data(NORMAL);
    struct quality q;

    ck_assert_int_eq(p.tensor_scale, QB_TENSOR_SCALE_COMPUTED);
    data[12345] = (uint16_t)qb_format_encode(QB_FORMAT_BF16, 3e6F);
    q = quality_of(&p, data);
    ck_assert_uint_eq(q.floor_tiles, q.tiles - 1);
    ck_assert_double_lt(q.rest_snr, 0.5);
    free(data);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("accuracy");
    TCase *tc = patient_case("accuracy");

    tcase_add_loop_test(tc, figures_of_normal_data, 0, COUNT);
    tcase_add_loop_test(tc, signal_to_noise, 0, COUNT * DISTRIBUTIONS);
    tcase_add_test(tc, outliers_hide_the_rest);
    tcase_add_test(tc, scales_at_their_floor);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
