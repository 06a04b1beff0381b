/* SPDX-License-Identifier: Apache-2.0 */
/* check_precision.c - the signal-to-noise ratios that quantbench-numerics(7) lists: other data of the same four
 * distributions come within the spread between seeds. */
#include <config.h>

#include "quantbench.h"
#include "run.h"

#include <math.h>
#include <string.h>

#define ROWS  1024
#define COLS  4096
#define COUNT ((uint64_t)ROWS * COLS)

enum distribution { NORMAL, LAPLACE, STUDENT, OUTLIERS, DISTRIBUTIONS };
/* The spread between seeds, rounded up. */
static const double tolerances[DISTRIBUTIONS] = {0.1, 0.1, 0.6, 0.3};

static const struct {
    const char *name; /* as the page has it */
    enum qb_format output, scale_format;
    enum qb_scale_rounding rounding;
    uint64_t group; /* 0: a token */
    enum qb_tensor_scale tensor_scale;
    enum qb_zero_points zero_points;
    double snr[DISTRIBUTIONS];
} rows[] = {
#define F32      QB_FORMAT_F32
#define E8M0(as) QB_FORMAT_E8M0, QB_SCALE_ROUNDING_##as
    {"INT8 per token", QB_FORMAT_INT8, F32, .snr = {41.24, 36.75, (double)NAN, 24.85}},
    {"INT8 per token, zero points", QB_FORMAT_INT8, F32, .zero_points = QB_ZERO_POINTS_INT8,
     .snr = {41.71, 37.56, (double)NAN, 26.00}},
    {"E4M3 per token", QB_FORMAT_E4M3, F32, .snr = {31.55, 31.57, 32.1, 32.27}},
    {"E4M3, groups of 128", QB_FORMAT_E4M3, F32, .group = 128, .snr = {31.79, 32.12, 33.2, 37.23}},
    {"MXFP8, E4M3, up", QB_FORMAT_E4M3, E8M0(UP), 32, .snr = {31.49, 31.51, 31.2, 31.54}},
    {"MXFP8, E4M3, even", QB_FORMAT_E4M3, E8M0(EVEN), 32, .snr = {31.18, 30.83, 30.1, 29.80}},
    {"MXFP8, E4M3, floor", QB_FORMAT_E4M3, E8M0(FLOOR), 32, .snr = {30.67, 30.02, 29.1, 28.32}},
    {"MXFP6, E2M3, up", QB_FORMAT_E2M3, E8M0(UP), 32, .snr = {30.93, 30.22, 29.0, 27.04}},
    {"MXFP6, E3M2, up", QB_FORMAT_E3M2, E8M0(UP), 32, .snr = {25.54, 25.56, 25.5, 25.49}},
    {"MXFP4, up", QB_FORMAT_E2M1, E8M0(UP), 32, .snr = {18.76, 17.58, 16.6, 16.13}},
    {"MXFP4, even", QB_FORMAT_E2M1, E8M0(EVEN), 32, .snr = {19.02, 18.13, 17.2, 16.44}},
    {"MXFP4, floor", QB_FORMAT_E2M1, E8M0(FLOOR), 32, .snr = {18.80, 17.95, 17.0, 15.75}},
    {"NVFP4", QB_FORMAT_E2M1, QB_FORMAT_E4M3, .group = 16, .tensor_scale = QB_TENSOR_SCALE_COMPUTED,
     .snr = {20.44, 20.66, 21.0, 21.71}},
    {"INT4, groups of 128", QB_FORMAT_INT4, F32, .group = 128, .snr = {18.62, 15.88, 13.1, 12.90}},
    {"INT4, groups of 128, zero points", QB_FORMAT_INT4, F32, .group = 128, .zero_points = QB_ZERO_POINTS_INT8,
     .snr = {19.96, 17.69, 15.8, 14.81}},
};

/* ---- Data -------------------------------------------------------------------------------------------------------- */

/* In (0, 1). */
static double uniform(uint64_t *state)
{
    return ((double)(test_random(state) >> 12) + 0.5) * 0x1p-52;
}

/* Marsaglia's polar method, which has no cosine. */
static double normal(uint64_t *state)
{
    double x, y, square;

    do {
        x = 2 * uniform(state) - 1;
        y = 2 * uniform(state) - 1;
        square = x * x + y * y;
    } while (square >= 1 || square == 0);
    return x * sqrt(-2 * log(square) / square);
}

static double one_of(enum distribution distribution, uint64_t *state)
{
    double sum = 0;

    if (distribution == LAPLACE) {
        return (test_random(state) >> 63 ? 1 : -1) * -log(uniform(state));
    }
    for (int i = 0; i < 3 && distribution == STUDENT; i++) { /* three degrees of freedom */
        const double z = normal(state);

        sum += z * z / 3;
    }
    return distribution == STUDENT ? normal(state) / sqrt(sum) : normal(state);
}

static void fill(enum distribution distribution, uint16_t *input)
{
    uint64_t state = test_seed() + distribution;
    static float factor[COLS];

    for (int col = 0; col < COLS; col++) {
        factor[col] = 1;
    }
    for (int i = 0; i < COLS / 128 && distribution == OUTLIERS; i++) {
        factor[test_random(&state) >> 52] = 30; /* 12 bits: a column */
    }
    for (uint64_t i = 0; i < COUNT; i++) {
        const float x = (float)one_of(distribution, &state) * factor[i % COLS];

        input[i] = (uint16_t)qb_format_encode(QB_FORMAT_BF16, x);
    }
}

/* ---- The ratio --------------------------------------------------------------------------------------------------- */

static double snr_of(const struct qb_problem *p, const uint16_t *input, const struct qb_tensors *tensors)
{
    const double g = p->tensor_scale == QB_TENSOR_SCALE_NONE ? 1 : (double)*(float *)tensors->at[QB_ROLE_TENSOR_SCALE];
    const uint64_t width = p->granularity == QB_GRANULARITY_GROUP ? p->group : COLS;
    double values[256], signal = 0, noise = 0, scale = 0, zero = 0;
    uint8_t codes[COLS];

    for (uint32_t code = 0; code < 256; code++) {
        values[code] = (double)qb_format_decode(p->output, code);
    }
    for (uint64_t i = 0; i < COUNT; i++) {
        const double x = (double)qb_format_decode(QB_FORMAT_BF16, input[i]);
        double error;

        if (i % COLS == 0) {
            qb_codes_unpack(p->output, QB_PACKING_BYTES,
                            (uint8_t *)tensors->at[QB_ROLE_CODES] +
                                i / COLS * qb_codes_bytes(p->output, QB_PACKING_BYTES, COLS),
                            0, COLS, codes);
        }
        if (i % width == 0) {
            const void *scales = tensors->at[QB_ROLE_SCALES];

            scale = p->scale_format == QB_FORMAT_F32
                        ? (double)((const float *)scales)[i / width]
                        : (double)qb_format_decode(p->scale_format, ((const uint8_t *)scales)[i / width]) * g;
            zero = p->zero_points != QB_ZERO_POINTS_NONE ? ((int8_t *)tensors->at[QB_ROLE_ZERO_POINTS])[i / width] : 0;
        }
        error = x - (values[codes[i % COLS]] - zero) * scale;
        signal += x * x;
        noise += error * error;
    }
    return 10 * log10(signal / noise);
}

static struct qb_problem problem_of(size_t row)
{
    struct qb_problem p;

    qb_problem_init(&p);
    p.input = QB_FORMAT_BF16;
    p.output = rows[row].output;
    p.scale_format = rows[row].scale_format;
    p.scale_rounding = rows[row].rounding;
    p.granularity = rows[row].group != 0 ? QB_GRANULARITY_GROUP : QB_GRANULARITY_TOKEN;
    p.group = rows[row].group;
    p.tensor_scale = rows[row].tensor_scale;
    p.zero_points = rows[row].zero_points;
    p.tokens = ROWS;
    p.hidden = COLS;
    return p;
}

START_TEST(ratios_of_the_manual)
{
    const enum distribution distribution = (enum distribution)_i;
    uint16_t *input = malloc(COUNT * sizeof *input);
    struct qb_device *device;
    struct qb_queue *queue;

    ck_assert(input != NULL);
    fill(distribution, input);
    ck_assert_int_eq(qb_device_open(qb_backend_find("cpu"), 0, &device), QB_OK);
    ck_assert_int_eq(qb_queue_create(device, &queue), QB_OK);
    for (size_t row = 0; row < sizeof rows / sizeof rows[0]; row++) {
        const struct qb_problem p = problem_of(row);
        struct qb_tensors tensors = {.size = sizeof tensors};
        const double expected = rows[row].snr[distribution];
        double snr;

        for (int role = 0; role < QB_ROLE_COUNT; role++) {
            struct qb_tensor_info info = {.size = sizeof info};

            ck_assert_int_eq(qb_problem_tensor(&p, (enum qb_role)role, &info), QB_OK);
            tensors.at[role] = role == QB_ROLE_INPUT ? input : info.present ? malloc(info.bytes) : NULL;
        }
        ck_assert_msg(qb_quantize(queue, &p, &tensors) == QB_OK, "%s: %s", rows[row].name, qb_error_detail());
        snr = snr_of(&p, input, &tensors);
        ck_assert_msg(isnan(expected) || fabs(snr - expected) <= tolerances[distribution],
                      "%s, distribution %d: %.2f dB, expected %.2f", rows[row].name, (int)distribution, snr, expected);
        for (int role = QB_ROLE_CODES; role < QB_ROLE_COUNT; role++) {
            free(tensors.at[role]);
        }
    }
    qb_queue_destroy(queue);
    qb_device_close(device);
    free(input);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("precision");
    TCase *manual = patient_case("manual");

    tcase_add_loop_test(manual, ratios_of_the_manual, 0, DISTRIBUTIONS);
    suite_add_tcase(suite, manual);
    return run_suite(suite);
}
