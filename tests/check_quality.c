/* SPDX-License-Identifier: Apache-2.0 */
/* check_quality.c - the quality of codes against answers found by hand, against plain loops, and against what theory
 * says of the noise of rounding. */
#include <config.h>

#include "cases/input.h"
#include "check/quality.h"
#include "run.h"
#include "model/sizes.h"

#include <math.h>
#include <string.h>
#ifdef _OPENMP
#include <omp.h>
#endif

static const struct qb_arithmetic contract;

static struct qb_problem make_problem(enum qb_format input, enum qb_format output, uint64_t tokens, uint64_t hidden)
{
    struct qb_problem problem;

    qb_problem_init(&problem);
    problem.input = input;
    problem.output = output;
    problem.tokens = tokens;
    problem.hidden = hidden;
    return problem;
}

/* The quality of one row of COUNT floats, with the scale 1. */
static struct quality of_floats(enum qb_format output, const float *data, uint64_t count)
{
    struct qb_problem problem = make_problem(QB_FORMAT_F32, output, 1, count);
    struct quality quality;
    uint8_t codes[64];
    float scale = 1;
    struct qb_tensors buffers = QB_TENSORS(data, codes, &scale);

    ck_assert(count <= sizeof codes);
    ck_assert_int_eq(qb_reference_codes(&problem, &buffers), QB_OK);
    ck_assert(quality_compute(&problem, &contract, &buffers, &quality));
    return quality;
}

/* The quality of PROBLEM's codes with the scales that INPUT gives. */
static struct quality of_tensor(const struct qb_problem *problem, const void *input)
{
    struct sizes bytes;
    struct qb_tensors buffers = QB_TENSORS(input, NULL, NULL);
    struct quality quality;

    bytes = sizes_of(problem);
    buffers.at[QB_ROLE_CODES] = malloc(bytes.of[QB_ROLE_CODES]);
    buffers.at[QB_ROLE_SCALES] = malloc(bytes.of[QB_ROLE_SCALES]);
    ck_assert(buffers.at[QB_ROLE_CODES] != NULL && buffers.at[QB_ROLE_SCALES] != NULL);
    ck_assert_int_eq(qb_reference_run(problem, &buffers), QB_OK);
    ck_assert(quality_compute(problem, &contract, &buffers, &quality));
    free(buffers.at[QB_ROLE_CODES]);
    free(buffers.at[QB_ROLE_SCALES]);
    return quality;
}

/* ---- By hand ------------------------------------------------------------------------------------------------------
 */

START_TEST(int8_by_hand)
{
    /* The codes are 1, -2, 3, 0, 0, 0, 127, 127, 127, -128, -128 and -128. */
    const float data[] = {1.25F,  -2.5F, NAN,      3,       0,    0.25F, -0.5F,    127.25F,
                          127.5F, 200,   INFINITY, -128.5F, -129, -300,  -INFINITY};
    struct quality q = of_floats(QB_FORMAT_INT8, data, 15);

    ck_assert_uint_eq(q.finite, 12);
    ck_assert_uint_eq(q.nan, 1);
    ck_assert_uint_eq(q.infinite, 2);
    ck_assert_uint_eq(q.saturated, 4); /* 127.5, 200, -129, -300; -128.5 is rounded to the even -128 */
    ck_assert_uint_eq(q.flushed, 2);   /* 0.25, -0.5 */
    ck_assert_double_eq(q.largest_error, 172);
    ck_assert_double_eq(q.largest_relative_error, 1);
    ck_assert_double_eq_tol(q.snr, 10 * log10(195619.1875 / 34915.1875), 1e-12);
}
END_TEST

START_TEST(e4m3_edges)
{
    /* 464 is halfway between 448 and what would be 480, and 448 is the even one. The smallest number is 2^-9. */
    const float data[] = {448, 464, -464, 0x1.d00002p+8F, -465, 0x1p-10F, -0x1p-10F, 0x1.000002p-10F};
    struct quality q = of_floats(QB_FORMAT_E4M3, data, 8);

    ck_assert_uint_eq(q.finite, 8);
    ck_assert_uint_eq(q.saturated, 2);
    ck_assert_uint_eq(q.flushed, 2);
    ck_assert_double_eq(q.largest_error, 17);
    ck_assert_double_eq(q.largest_relative_error, 1);
}
END_TEST

/* All codes of F16, in rows of 64, next to the same values in F32, and to a plain loop. */
START_TEST(halves_are_what_they_decode_to)
{
    enum { ROW = 64 };
    const struct qb_problem problem = make_problem(QB_FORMAT_F16, QB_FORMAT_INT8, 1, ROW);
    uint8_t codes[ROW];
    float scale = 0.5F;

    memset(codes, 3, sizeof codes); /* so that signs count */
    for (uint32_t first = 0; first < 0x10000; first += ROW) {
        uint16_t halves[ROW];
        const struct qb_tensors buffers = QB_TENSORS(halves, codes, &scale);
        double signal = 0, noise = 0, largest = 0;
        uint64_t nan = 0, infinite = 0;
        struct quality quality;

        for (uint32_t i = 0; i < ROW; i++) {
            const double x = (double)qb_format_decode(QB_FORMAT_F16, first + i);

            halves[i] = (uint16_t)(first + i);
            nan += isnan(x);
            infinite += isinf(x) != 0;
            if (isfinite(x)) {
                signal += x * x;
                noise += (1.5 - x) * (1.5 - x);
                largest = fmax(largest, fabs(1.5 - x));
            }
        }
        ck_assert(quality_compute(&problem, &contract, &buffers, &quality));
        ck_assert_msg(quality.nan == nan && quality.infinite == infinite && quality.finite == ROW - nan - infinite &&
                          quality.signal == signal && quality.noise == noise &&
                          (quality.finite == 0 || quality.largest_error == largest),
                      "from 0x%04X on: signal %.17g, not %.17g, noise %.17g, not %.17g", (unsigned)first,
                      quality.signal, signal, quality.noise, noise);
    }
}
END_TEST

/* Count by a plain loop which of COUNT elements by SCALE and ZERO lie beyond the codes from LEAST to LARGEST. */
static void count_cut_off(const float *data, size_t count, float scale, int zero, int least, int largest,
                          uint64_t *saturated, uint64_t *overrange)
{
    *saturated = *overrange = 0;
    for (size_t i = 0; i < count; i++) {
        const double v = (double)(data[i] / scale), code = nearbyint(v) + zero;

        *saturated += code < least || code > largest;
        *overrange += v + zero > largest * (1 + 0x1p-22) || v + zero < least * (1 + 0x1p-22);
    }
}

/* Elements around both limits of INT8, some units in their last places and some steps away. */
START_TEST(elements_near_the_limits)
{
    static const float scales[] = {1, 0.1F, 0x1.fffffep-3F, 3.7e-12F, 1e30F};
    static const int32_t zeros[] = {0, 5, -128, 127, -4000, 3000}; /* the last two in 32 bits */

    for (size_t k = 0; k < 5 * 6; k++) {
        struct qb_problem problem = make_problem(QB_FORMAT_F32, QB_FORMAT_INT8, 1, 64);
        float scale = scales[k % 5], data[64];
        int32_t zero = zeros[k / 5];
        int8_t byte = (int8_t)zero;
        uint8_t codes[64];
        struct qb_tensors buffers = QB_TENSORS(data, codes, &scale);
        uint64_t saturated, overrange;
        struct quality quality;

        for (int i = 0; i < 64; i++) {
            const float limit = (float)((i % 2 == 0 ? 127 : -128) - zero + (i % 4 < 2 ? 0 : i % 2 == 0 ? 0.5 : -0.5));

            data[i] = limit * scale * (1 + (float)(i / 4 - 8) * (i % 8 < 4 ? 0x1p-23F : 0x1p-17F));
        }
        problem.zero_points = k / 5 < 4 ? QB_ZERO_POINTS_INT8 : QB_ZERO_POINTS_INT32;
        buffers.at[QB_ROLE_ZERO_POINTS] = k / 5 < 4 ? (void *)&byte : (void *)&zero;
        ck_assert_int_eq(qb_reference_codes(&problem, &buffers), QB_OK);
        ck_assert(quality_compute(&problem, &contract, &buffers, &quality));
        count_cut_off(data, 64, scale, zero, -128, 127, &saturated, &overrange);
        ck_assert_msg(quality.saturated == saturated && quality.overrange == overrange,
                      "scale %g, zero point %d: %d and %d, not %d and %d", (double)scale, zero, (int)quality.saturated,
                      (int)quality.overrange, (int)saturated, (int)overrange);
        ck_assert(k / 5 > 1 || (saturated > 0 && saturated < 64));
    }
}
END_TEST

/* Elements without the largest are known of one part, not of several. */
START_TEST(parts_with_finite_elements)
{
    const float data[] = {1, 2.5F, 3.25F, 100}, none[] = {NAN, INFINITY};
    const struct quality one = of_floats(QB_FORMAT_INT8, data, 4), empty = of_floats(QB_FORMAT_INT8, none, 2);
    struct quality all = {.finite = 0};

    quality_add(&empty, &all);
    ck_assert(isnan(all.rest_snr));
    quality_add(&one, &all);
    quality_add(&empty, &all);
    ck_assert(all.rest_snr == one.rest_snr && all.snr == one.snr);
    quality_add(&one, &all);
    ck_assert(isnan(all.rest_snr) && all.finite == 8);
}
END_TEST

START_TEST(e5m2_edges)
{
    /* 61440 is halfway between 57344 and what would be 65536, the even one. The smallest number is 2^-16. */
    const float data[] = {57344, 0x1.dffffep+15F, 61440, -61440, -1e30F, 0x1p-17F, 0x1.8p-17F};
    struct quality q = of_floats(QB_FORMAT_E5M2, data, 7);

    ck_assert_uint_eq(q.finite, 7);
    ck_assert_uint_eq(q.saturated, 3);
    ck_assert_uint_eq(q.flushed, 1);
    ck_assert_double_eq(q.largest_error, (double)1e30F - 57344);
}
END_TEST

START_TEST(signal_and_noise_alone)
{
    const float exact[] = {1, -2, 127, 0, -128}, zeros[] = {0, -0.0F}, nothing[] = {NAN, INFINITY}, tiny[] = {0.25F};
    struct quality q = of_floats(QB_FORMAT_INT8, exact, 5);

    ck_assert(isinf(q.snr) && q.snr > 0);
    ck_assert_double_eq(q.largest_error, 0);
    ck_assert_double_eq(q.largest_relative_error, 0);
    ck_assert(q.saturated == 0 && q.flushed == 0 && q.finite == 5);

    for (int output = QB_FORMAT_INT8; output <= QB_FORMAT_E5M2; output++) {
        q = of_floats((enum qb_format)output, zeros, 2);
        ck_assert(isinf(q.snr) && q.snr > 0);
        ck_assert_double_eq(q.largest_error, 0);
        ck_assert(isnan(q.largest_relative_error));
        ck_assert(q.saturated == 0 && q.flushed == 0 && q.finite == 2);

        q = of_floats((enum qb_format)output, nothing, 2);
        ck_assert(isnan(q.snr) && isnan(q.largest_error) && isnan(q.largest_relative_error));
        ck_assert(q.saturated == 0 && q.flushed == 0 && q.finite == 0 && q.nan == 1 && q.infinite == 1);
    }

    /* What is lost is as large as what was there. */
    q = of_floats(QB_FORMAT_INT8, tiny, 1);
    ck_assert_double_eq(q.snr, 0);
    ck_assert_uint_eq(q.flushed, 1);
}
END_TEST

/* Codes of 0 and others with an infinite scale, which kernels of others may give. */
START_TEST(infinite_scale)
{
    float input[] = {0, 1, INFINITY}, scale = INFINITY;
    uint8_t codes[] = {0, 1, 127};
    const struct qb_tensors buffers = QB_TENSORS(input, codes, &scale);
    struct qb_problem problem = make_problem(QB_FORMAT_F32, QB_FORMAT_INT8, 1, 3);
    struct quality q;

    ck_assert(quality_compute(&problem, &contract, &buffers, &q));
    ck_assert(q.finite == 2 && q.infinite == 1);
    ck_assert(isinf(q.snr) && q.snr < 0);
    ck_assert(isinf(q.largest_error) && isinf(q.largest_relative_error));
    input[1] = 0;
    codes[1] = 0;
    ck_assert(quality_compute(&problem, &contract, &buffers, &q));
    ck_assert(isinf(q.snr) && q.snr < 0 && isinf(q.largest_error) && isinf(q.largest_relative_error));
}
END_TEST

/* Noise where there is no signal. */
START_TEST(zeros_with_an_error)
{
    float input[] = {0, 0}, scale = 1;
    uint8_t codes[] = {0, 1};
    const struct qb_tensors buffers = QB_TENSORS(input, codes, &scale);
    struct qb_problem problem = make_problem(QB_FORMAT_F32, QB_FORMAT_INT8, 1, 2);
    struct quality q;

    ck_assert(quality_compute(&problem, &contract, &buffers, &q));
    ck_assert(isinf(q.snr) && q.snr < 0 && isnan(q.largest_relative_error));
    ck_assert_double_eq(q.largest_error, 1);
}
END_TEST

START_TEST(no_elements)
{
    struct qb_problem problem = make_problem(QB_FORMAT_F16, QB_FORMAT_INT8, 0, 8);
    struct qb_tensors buffers = QB_TENSORS(NULL, NULL, NULL);
    struct quality q;

    ck_assert(quality_compute(&problem, &contract, &buffers, &q));
    ck_assert(q.finite == 0 && q.nan == 0 && q.infinite == 0 && isnan(q.snr));
}
END_TEST

/* The squares of the largest and the smallest floats are numbers too. */
START_TEST(extreme_magnitudes)
{
    const float large[] = {0x1.fffffep+127F, 0x1.fffffep+126F, 1}, small[] = {0x1p-149F, -0x1p-140F};
    struct qb_problem problem = make_problem(QB_FORMAT_F32, QB_FORMAT_INT8, 1, 3);
    struct quality q = of_tensor(&problem, large);

    ck_assert(isfinite(q.snr) && q.snr > 40);
    ck_assert_uint_eq(q.saturated, 0);
    ck_assert_uint_eq(q.flushed, 1);
    ck_assert_double_eq(q.largest_relative_error, 1);
    problem.hidden = 2;
    q = of_tensor(&problem, small); /* far below the smallest scale */
    ck_assert_double_eq(q.snr, 0);
    ck_assert_uint_eq(q.flushed, 2);
    ck_assert_double_eq(q.largest_error, 0x1p-140);
}
END_TEST

/* With dynamic scales the largest element is not saturated, however the scale was rounded. */
START_TEST(dynamic_scales_saturate_nothing)
{
    uint64_t state = test_seed();

    for (int i = 0; i < 20000; i++) {
        float data[2] = {(float)(test_random(&state) >> 40) * 0x1p-12F, 0};
        struct qb_problem problem = make_problem(QB_FORMAT_F32, (enum qb_format)(QB_FORMAT_INT8 + i % 3), 1, 2);

        data[1] = -data[0];
        ck_assert_msg(of_tensor(&problem, data).saturated == 0, "amax %a", (double)data[0]);
    }
}
END_TEST

START_TEST(a_bound_saturates)
{
    const float data[] = {-8, -4, -1, 0, 1, 4.01F, 8, 16};
    struct qb_problem problem = make_problem(QB_FORMAT_F32, QB_FORMAT_INT8, 1, 8);
    struct quality q;

    problem.amax_bound = 4;
    q = of_tensor(&problem, data);
    ck_assert_uint_eq(q.saturated, 3); /* -8, 8, 16; 4.01 is less than half a step beyond 4 */
    ck_assert_double_eq_tol(q.largest_error, 12, 1e-5);
}
END_TEST

/* ---- Against plain loops ------------------------------------------------------------------------------------------
 */

static double relative_difference(double a, double b)
{
    return a == b ? 0 : fabs(a - b) / fmax(fabs(a), fabs(b));
}

/* As the header has it. */
static bool is_saturated(enum qb_format output, double v)
{
    if (output == QB_FORMAT_INT8) {
        return v >= 127.5 || v < -128.5;
    }
    return output == QB_FORMAT_E4M3 ? fabs(v) > 464 : fabs(v) >= 61440;
}

static void check_against_loops(const struct qb_problem *p, const void *input)
{
    uint64_t count = p->tokens * p->hidden, tile_rows, tile_cols, scale_rows, scale_cols;
    struct quality q;
    struct sizes bytes;
    struct qb_tensors buffers = QB_TENSORS(input, NULL, NULL);
    double signal = 0, noise = 0, largest = 0, relative = 0;
    uint64_t flushed = 0, saturated = 0;

    bytes = sizes_of(p);
    qb_problem_tile(p, &tile_rows, &tile_cols);
    qb_problem_scale_shape(p, &scale_rows, &scale_cols);
    buffers.at[QB_ROLE_CODES] = malloc(bytes.of[QB_ROLE_CODES]);
    buffers.at[QB_ROLE_SCALES] = malloc(bytes.of[QB_ROLE_SCALES]);
    ck_assert(buffers.at[QB_ROLE_CODES] != NULL && buffers.at[QB_ROLE_SCALES] != NULL);
    ck_assert_int_eq(qb_reference_run(p, &buffers), QB_OK);
    for (uint64_t row = 0; row < p->tokens; row++) {
        for (uint64_t col = 0; col < p->hidden; col++) {
            uint64_t i = row * p->hidden + col;
            double x = p->input == QB_FORMAT_F32 ? (double)((const float *)input)[i]
                                                 : (double)qb_format_decode(p->input, ((const uint16_t *)input)[i]);
            double scale =
                (double)((float *)buffers.at[QB_ROLE_SCALES])[row / tile_rows * scale_cols + col / tile_cols];
            double value = (double)qb_format_decode(p->output, ((const uint8_t *)buffers.at[QB_ROLE_CODES])[i]);
            double error = fabs(value * scale - x);

            signal += x * x;
            noise += error * error;
            largest = fmax(largest, error);
            if (x != 0) {
                relative = fmax(relative, error / fabs(x));
                flushed += value == 0;
            }
            saturated += is_saturated(p->output, (double)((float)x / (float)scale));
        }
    }
    ck_assert(quality_compute(p, &contract, &buffers, &q));
    ck_assert_uint_eq(q.finite, count);
    ck_assert_uint_eq(q.flushed, flushed);
    ck_assert_uint_eq(q.saturated, saturated);
    ck_assert_double_eq(q.largest_error, largest);
    ck_assert_double_eq(q.largest_relative_error, relative);
    ck_assert_msg(relative_difference(q.snr, 10 * log10(signal / noise)) < 1e-12, "%.17g", q.snr);
    free(buffers.at[QB_ROLE_CODES]);
    free(buffers.at[QB_ROLE_SCALES]);
}

static const struct granularity_row {
    enum qb_granularity granularity;
    uint64_t group, block_rows, block_cols;
} granularities[] = {
    {QB_GRANULARITY_TENSOR, 0, 0, 0}, {QB_GRANULARITY_TOKEN, 0, 0, 0},   {QB_GRANULARITY_CHANNEL, 0, 0, 0},
    {QB_GRANULARITY_GROUP, 7, 0, 0},  {QB_GRANULARITY_GROUP, 100, 0, 0}, {QB_GRANULARITY_GROUP, INT64_MAX, 0, 0},
    {QB_GRANULARITY_BLOCK, 0, 3, 10}, {QB_GRANULARITY_BLOCK, 0, 1, 1},   {QB_GRANULARITY_BLOCK, 0, 1000, 64},
};
#define GRANULARITIES ((int)(sizeof granularities / sizeof granularities[0]))

/* Each granularity, with sizes that divide by nothing, so that parts of the sum begin and end within rows. */
START_TEST(every_granularity)
{
    static const uint64_t shapes[][2] = {{1, 1}, {1, 5000}, {37, 101}, {5000, 1}, {3, 1024}};
    static const enum qb_format inputs[] = {QB_FORMAT_F16, QB_FORMAT_BF16, QB_FORMAT_F32};
    static float data[5000];

    for (int s = 0; s < 5; s++) {
        for (int f = 0; f < 3; f++) {
            struct qb_problem problem = make_problem(inputs[f], QB_FORMAT_INT8, shapes[s][0], shapes[s][1]);

            problem.granularity = granularities[_i].granularity;
            problem.group = granularities[_i].group;
            problem.block_rows = granularities[_i].block_rows;
            problem.block_cols = granularities[_i].block_cols;
            problem.amax_bound = s % 2 == 0 ? 1 : 0;
            input_generate(INPUT_NORMAL, inputs[f], test_seed(), problem.tokens * problem.hidden, problem.hidden, data);
            for (int output = QB_FORMAT_INT8; output <= QB_FORMAT_E5M2; output++) {
                problem.output = (enum qb_format)output;
                /* One element of its own scale may come back exactly; 10 log10(x / 0) is not a number to compare. */
                if (problem.tokens * problem.hidden > 1 && granularities[_i].block_cols != 1) {
                    check_against_loops(&problem, data);
                }
            }
        }
    }
}
END_TEST

START_TEST(threads_do_not_matter)
{
    enum { TOKENS = 300, HIDDEN = 1000 };
    static uint16_t data[TOKENS * HIDDEN];
    struct qb_problem problem = make_problem(QB_FORMAT_F16, QB_FORMAT_E4M3, TOKENS, HIDDEN);
    struct quality first, q;

    problem.granularity = QB_GRANULARITY_TOKEN;
    input_generate(INPUT_LOGNORMAL, QB_FORMAT_F16, test_seed(), TOKENS * HIDDEN, HIDDEN, data);
    first = of_tensor(&problem, data);
    for (int threads = 1; threads <= 5; threads++) {
#ifdef _OPENMP
        omp_set_num_threads(threads);
#endif
        q = of_tensor(&problem, data);
        ck_assert_mem_eq(&q, &first, sizeof q);
    }
}
END_TEST

/* ---- Against theory -----------------------------------------------------------------------------------------------
 */

enum { THEORY_TOKENS = 256, THEORY_HIDDEN = 4096, THEORY_COUNT = THEORY_TOKENS * THEORY_HIDDEN };
static float theory_data[THEORY_COUNT];

static double largest_magnitude(void)
{
    double largest = 0;

    for (int i = 0; i < THEORY_COUNT; i++) {
        const double magnitude = fabs((double)theory_data[i]);

        largest = magnitude > largest ? magnitude : largest; /* for arm64, gcc 12 does not survive fmax() here */
    }
    return largest;
}

/* Rounding to multiples of a step makes an error that is uniform in half a step to both sides: its variance is
 * step^2 / 12. Uniform data from -1 to 1 have the variance 1/3 and the step 1/127: 20 log10(2 * 127) = 48.10 dB. */
START_TEST(int8_of_uniform_data)
{
    struct qb_problem problem = make_problem(QB_FORMAT_F32, QB_FORMAT_INT8, THEORY_TOKENS, THEORY_HIDDEN);
    struct quality q;

    input_generate(INPUT_UNIFORM, QB_FORMAT_F32, 0, THEORY_COUNT, THEORY_HIDDEN, theory_data);
    q = of_tensor(&problem, theory_data);
    ck_assert_double_eq_tol(q.snr, 20 * log10(254), 0.02);
    ck_assert_double_eq_tol(q.largest_error, 0.5 / 127, 1e-5);
    /* Half a step of the 127 to each side is flushed. */
    ck_assert_double_eq_tol((double)q.flushed / THEORY_COUNT, 0.5 / 127, 3e-4);
    ck_assert_uint_eq(q.saturated, 0);
}
END_TEST

/* The same for normal data, whose variance is 1, and whose step follows from the largest element. */
START_TEST(int8_of_normal_data)
{
    struct qb_problem problem = make_problem(QB_FORMAT_F32, QB_FORMAT_INT8, THEORY_TOKENS, THEORY_HIDDEN);
    double step;

    input_generate(INPUT_NORMAL, QB_FORMAT_F32, 0, THEORY_COUNT, THEORY_HIDDEN, theory_data);
    step = largest_magnitude() / 127;
    ck_assert_double_eq_tol(of_tensor(&problem, theory_data).snr, 10 * log10(12 / (step * step)), 0.03);
}
END_TEST

/* FP8 has another step in each octave: the noise is the mean of step^2 / 12, weighted with how likely normal data are
 * in the octave. FRACTION_BITS bits follow the leading one; numbers below 2^LOWEST have the step of the octave above.
 */
static double fp8_snr(double scale, int fraction_bits, int lowest)
{
    double noise = 0;

    for (int exponent = lowest; exponent <= 16; exponent++) {
        double low = exponent == lowest ? 0 : ldexp(scale, exponent), high = ldexp(scale, exponent + 1);
        double step = ldexp(scale, exponent - fraction_bits);

        noise += (erf(high / sqrt(2)) - erf(low / sqrt(2))) * step * step / 12;
    }
    return 10 * log10(1 / noise);
}

START_TEST(fp8_of_normal_data)
{
    struct qb_problem problem = make_problem(QB_FORMAT_F32, QB_FORMAT_E4M3, THEORY_TOKENS, THEORY_HIDDEN);
    double largest;

    input_generate(INPUT_NORMAL, QB_FORMAT_F32, 0, THEORY_COUNT, THEORY_HIDDEN, theory_data);
    largest = largest_magnitude();
    ck_assert_double_eq_tol(of_tensor(&problem, theory_data).snr, fp8_snr(largest / 448, 3, -6), 0.05);
    problem.output = QB_FORMAT_E5M2;
    ck_assert_double_eq_tol(of_tensor(&problem, theory_data).snr, fp8_snr(largest / 57344, 2, -14), 0.1);
}
END_TEST

/* A column of outliers takes all the range of a scale for the tensor, and none of another column's own scale. */
START_TEST(outliers_cost)
{
    struct qb_problem problem = make_problem(QB_FORMAT_F32, QB_FORMAT_INT8, THEORY_TOKENS, THEORY_HIDDEN);
    struct quality tensor, channel;

    input_generate(INPUT_OUTLIERS, QB_FORMAT_F32, 0, THEORY_COUNT, THEORY_HIDDEN, theory_data);
    tensor = of_tensor(&problem, theory_data);
    problem.granularity = QB_GRANULARITY_CHANNEL;
    channel = of_tensor(&problem, theory_data);
    ck_assert_double_gt((double)tensor.flushed, 0.3 * THEORY_COUNT);
    ck_assert_double_lt((double)channel.flushed, 0.02 * THEORY_COUNT);
    ck_assert_double_gt(channel.snr, tensor.snr + 25);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("quality");
    TCase *tc = patient_case("quality");

    tcase_add_test(tc, int8_by_hand);
    tcase_add_test(tc, e4m3_edges);
    tcase_add_test(tc, halves_are_what_they_decode_to);
    tcase_add_test(tc, elements_near_the_limits);
    tcase_add_test(tc, parts_with_finite_elements);
    tcase_add_test(tc, e5m2_edges);
    tcase_add_test(tc, signal_and_noise_alone);
    tcase_add_test(tc, infinite_scale);
    tcase_add_test(tc, zeros_with_an_error);
    tcase_add_test(tc, no_elements);
    tcase_add_test(tc, extreme_magnitudes);
    tcase_add_test(tc, dynamic_scales_saturate_nothing);
    tcase_add_test(tc, a_bound_saturates);
    tcase_add_loop_test(tc, every_granularity, 0, GRANULARITIES);
    tcase_add_test(tc, threads_do_not_matter);
    tcase_add_test(tc, int8_of_uniform_data);
    tcase_add_test(tc, int8_of_normal_data);
    tcase_add_test(tc, fp8_of_normal_data);
    tcase_add_test(tc, outliers_cost);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
