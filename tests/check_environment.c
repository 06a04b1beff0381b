/* SPDX-License-Identifier: Apache-2.0 */
/* check_environment.c - the floating-point environment of the caller, or one that the code of others has left in the
 * threads of the pool, changes no byte, and a caller's is still there afterwards. */
#include <config.h>

#include "check/quality.h"
#include "quantbench.h"
#include "run.h"
#include "model/sizes.h"

#include <fenv.h>
#include <string.h>

#define TOKENS  64
#define HIDDEN  1024
#define FIGURES ((size_t)TOKENS * HIDDEN)

/* Of this architecture: set and tell whether subnormals are flushed. */
#if defined __x86_64__ || defined __SSE__
#include <xmmintrin.h>
#define CAN_FLUSH 1
static void flush(void)
{
    _mm_setcsr(_mm_getcsr() | 0x8040);
}
static bool flushes(void)
{
    return (_mm_getcsr() & 0x8040) == 0x8040;
}
#elif defined __aarch64__
#define CAN_FLUSH 1
#define FZ        ((uint64_t)1 << 24)
static void flush(void)
{
    uint64_t fpcr;

    __asm__ volatile("mrs %0, fpcr" : "=r"(fpcr));
    __asm__ volatile("msr fpcr, %0" : : "r"(fpcr | FZ));
}
static bool flushes(void)
{
    uint64_t fpcr;

    __asm__ volatile("mrs %0, fpcr" : "=r"(fpcr));
    return (fpcr & FZ) != 0;
}
#else
#define CAN_FLUSH 0
static void flush(void)
{
}
static bool flushes(void)
{
    return false;
}
#endif

enum environment { DEFAULT, DOWNWARD, UPWARD, TOWARD_ZERO, FLUSHED, ENVIRONMENTS };

static void set(enum environment environment)
{
    static const int rounding[] = {FE_TONEAREST, FE_DOWNWARD, FE_UPWARD, FE_TOWARDZERO, FE_TONEAREST};

    fesetenv(FE_DFL_ENV);
    fesetround(rounding[environment]);
    if (environment == FLUSHED) {
        flush();
    }
}

static bool is_set(enum environment environment)
{
    static const int rounding[] = {FE_TONEAREST, FE_DOWNWARD, FE_UPWARD, FE_TOWARDZERO, FE_TONEAREST};

    return fegetround() == rounding[environment] && flushes() == (environment == FLUSHED && CAN_FLUSH);
}

/* Set ENVIRONMENT in all threads of the pool, this one included. */
static void set_in_pool(enum environment environment)
{
#pragma omp parallel num_threads(4)
    set(environment);
}

static float input[FIGURES], scales[FIGURES], expected_scales[FIGURES];
static uint8_t codes[FIGURES], expected_codes[FIGURES];

/* Rows of subnormal and of tiny numbers, and rows of ordinary ones, whose quotients are rounded. */
static void fill_input(void)
{
    uint64_t state = test_seed();

    for (size_t i = 0; i < FIGURES; i++) {
        uint32_t row = (uint32_t)(i / HIDDEN), bits = (uint32_t)(test_random(&state) >> 16);

        bits = row % 4 == 0   ? bits & 0x807FFFFF
               : row % 4 == 1 ? (bits & 0x807FFFFF) | (1 + bits % 20) << 23
                              : (bits & 0x83FFFFFF) | 0x3C000000;
        memcpy(&input[i], &bits, sizeof bits);
    }
}

static struct qb_problem make_problem(enum qb_format output, enum qb_granularity granularity)
{
    struct qb_problem p;

    qb_problem_init(&p);
    p.input = QB_FORMAT_F32;
    p.output = output;
    p.granularity = granularity;
    p.tokens = TOKENS;
    p.hidden = HIDDEN;
    p.group = 128;
    p.block_rows = p.block_cols = 32;
    return p;
}

/* Put into the outputs what no kernel writes. */
static void spoil(void)
{
    memset(codes, 0x55, sizeof codes);
    memset(scales, 0, sizeof scales);
}

static void check_same(const struct qb_problem *p, const char *name, enum environment environment)
{
    struct sizes bytes;

    bytes = sizes_of(p);
    ck_assert_msg(memcmp(codes, expected_codes, bytes.of[QB_ROLE_CODES]) == 0, "%s, environment %d: other codes", name,
                  (int)environment);
    ck_assert_msg(memcmp(scales, expected_scales, bytes.of[QB_ROLE_SCALES]) == 0, "%s, environment %d: other scales",
                  name, (int)environment);
}

static struct qb_device *device;
static struct qb_queue *queue;

static void check_kernels(const struct qb_problem *p, enum environment environment)
{
    const struct qb_tensors buffers = QB_TENSORS(input, codes, scales);

    for (size_t k = 0; k < qb_kernel_count(); k++) {
        const struct qb_kernel *kernel = qb_kernel_at(k);

        if (!qb_kernel_supports(kernel, device, p)) {
            continue;
        }
        for (unsigned threads = 1; threads <= 4; threads += 3) {
            if (qb_queue_set_threads(queue, threads) != QB_OK) {
                continue;
            }
            spoil();
            set(environment);
            ck_assert_int_eq(qb_kernel_run(kernel, queue, p, &buffers), QB_OK);
            ck_assert(is_set(environment));
            set(DEFAULT);
            check_same(p, qb_kernel_name(kernel), environment);
        }
    }
}

/* Call CHECK for problems of all formats and granularities, what the reference says of each in expected_codes and
 * expected_scales. */
static void for_all(void (*check)(const struct qb_problem *p, enum environment environment),
                    enum environment environment)
{
    const struct qb_tensors expected = QB_TENSORS(input, expected_codes, expected_scales);

    fill_input();
    for (enum qb_format output = QB_FORMAT_INT8; output <= QB_FORMAT_E5M2; output++) {
        for (int granularity = 0; granularity < QB_GRANULARITY_COUNT; granularity++) {
            const struct qb_problem p = make_problem(output, (enum qb_granularity)granularity);

            set(DEFAULT);
            ck_assert_int_eq(qb_reference_run(&p, &expected), QB_OK);
            check(&p, environment);
        }
    }
}

static void check_reference(const struct qb_problem *p, enum environment environment)
{
    const struct qb_tensors buffers = QB_TENSORS(input, codes, scales);

    spoil();
    set(environment);
    ck_assert_int_eq(qb_reference_run(p, &buffers), QB_OK);
    ck_assert(is_set(environment));
    set(DEFAULT);
    check_same(p, "qb_reference_run()", environment);
    spoil();
    set(environment);
    ck_assert_int_eq(qb_reference_scales(p, &buffers), QB_OK);
    ck_assert_int_eq(qb_reference_codes(p, &buffers), QB_OK);
    ck_assert(is_set(environment));
    set(DEFAULT);
    check_same(p, "its halves", environment);
}

START_TEST(reference_gives_the_same_bytes)
{
    for_all(check_reference, (enum environment)_i);
}
END_TEST

/* Only the caller's environment is the default. */
static void check_in_pool(const struct qb_problem *p, enum environment environment)
{
    set_in_pool(environment);
    check_kernels(p, DEFAULT);
}

static void open_device(void)
{
    ck_assert_int_eq(qb_device_open(qb_backend_find("cpu"), 0, &device), QB_OK);
    ck_assert_int_eq(qb_queue_create(device, &queue), QB_OK);
}

START_TEST(kernels_give_the_same_bytes)
{
    open_device();
    for_all(check_kernels, (enum environment)_i);
}
END_TEST

START_TEST(kernels_do_in_a_pool_that_others_used)
{
    open_device();
    for_all(check_in_pool, (enum environment)_i);
}
END_TEST

START_TEST(conversions_give_the_same)
{
    uint64_t state = test_seed();

    for (int i = 0; i < 100000; i++) {
        for (enum qb_format format = QB_FORMAT_F16; format <= QB_FORMAT_E5M2; format++) {
            /* Of small numbers too, which random bits rarely are. */
            uint32_t bits = (uint32_t)test_random(&state) & (i % 2 == 0 ? 0xFFFFFFFF : 0x80FFFFFF), code, other;
            float value, back, other_back;

            memcpy(&value, &bits, sizeof value);
            set(DEFAULT);
            code = qb_format_encode(format, value);
            back = qb_format_decode(format, code);
            set((enum environment)_i);
            other = qb_format_encode(format, value);
            other_back = qb_format_decode(format, code);
            ck_assert_uint_eq(code, other);
            ck_assert(memcmp(&back, &other_back, sizeof back) == 0);
        }
    }
}
END_TEST

START_TEST(quality_figures_are_the_same)
{
    const struct qb_tensors buffers = QB_TENSORS(input, expected_codes, expected_scales);
    const struct qb_problem p = make_problem(QB_FORMAT_INT8, QB_GRANULARITY_TOKEN);
    static const struct qb_arithmetic contract;
    struct quality quality, other;

    fill_input();
    memset(&quality, 0, sizeof quality);
    memset(&other, 0, sizeof other);
    ck_assert_int_eq(qb_reference_run(&p, &buffers), QB_OK);
    ck_assert(quality_compute(&p, &contract, &buffers, &quality));
    ck_assert_uint_gt(quality.flushed, 0);
    set_in_pool((enum environment)_i);
    ck_assert(quality_compute(&p, &contract, &buffers, &other));
    ck_assert(is_set((enum environment)_i));
    ck_assert(memcmp(&quality, &other, sizeof quality) == 0);
}
END_TEST

/* Subnormal numbers of F16 are ordinary ones of binary32, but not on the way there. */
START_TEST(quality_figures_of_halves_are_the_same)
{
    static uint16_t halves[FIGURES];
    const struct qb_tensors buffers = QB_TENSORS(halves, expected_codes, expected_scales);
    static const struct qb_arithmetic contract;
    struct qb_problem p = make_problem(QB_FORMAT_INT8, QB_GRANULARITY_TOKEN);
    struct quality quality, other;
    uint64_t state = test_seed();

    for (size_t i = 0; i < FIGURES; i++) {
        halves[i] = (uint16_t)(i % 2000 == 0 ? 1000 : 1 + test_random(&state) % 300);
    }
    p.input = QB_FORMAT_F16;
    memset(&quality, 0, sizeof quality);
    memset(&other, 0, sizeof other);
    ck_assert_int_eq(qb_reference_run(&p, &buffers), QB_OK);
    ck_assert(quality_compute(&p, &contract, &buffers, &quality));
    ck_assert(quality.rest_snr > 0 && quality.rest_snr != quality.snr);
    set_in_pool((enum environment)_i);
    ck_assert(quality_compute(&p, &contract, &buffers, &other));
    ck_assert(is_set((enum environment)_i));
    set(DEFAULT);
    ck_assert(memcmp(&quality, &other, sizeof quality) == 0);
}
END_TEST

START_TEST(reference_is_trusted)
{
    set((enum environment)_i);
    ck_assert_msg(qb_reference_check() == QB_OK, "%s", qb_error_detail());
    ck_assert(is_set((enum environment)_i));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("environment");
    TCase *tc = patient_case("environment");

    tcase_add_loop_test(tc, reference_is_trusted, DEFAULT, ENVIRONMENTS);
    tcase_add_loop_test(tc, conversions_give_the_same, DOWNWARD, ENVIRONMENTS);
    tcase_add_loop_test(tc, reference_gives_the_same_bytes, DOWNWARD, ENVIRONMENTS);
    tcase_add_loop_test(tc, kernels_give_the_same_bytes, DOWNWARD, ENVIRONMENTS);
    tcase_add_loop_test(tc, kernels_do_in_a_pool_that_others_used, DOWNWARD, ENVIRONMENTS);
    tcase_add_loop_test(tc, quality_figures_are_the_same, DOWNWARD, ENVIRONMENTS);
    tcase_add_loop_test(tc, quality_figures_of_halves_are_the_same, DOWNWARD, ENVIRONMENTS);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
