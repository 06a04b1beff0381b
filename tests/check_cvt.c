/* SPDX-License-Identifier: Apache-2.0 */
/* check_cvt.c - the conversions of NVIDIA's instructions cvt, as the PTX ISA documents them, are those of
 * qb_format_encode(): kernels may use them where a device has them. They are emulated here from the documentation, not
 * from format.c. QUANTBENCH_TEST_EXHAUSTIVE=1 tries all 2^32 floats, which takes minutes. */
#include <config.h>

#include "base/binary32.h"
#include "quantbench.h"
#include "run.h"

#include <math.h>

/* ---- The instructions -------------------------------------------------------------------------------------------- */

/* A type that cvt converts to: its magnitudes in order, one for each code from 0 on. */
struct type {
    enum qb_format format;
    const char *instruction;
    int exponent_bits, mantissa_bits, bias;
    unsigned finite; /* codes from 0 on that are finite numbers */
    unsigned nan;    /* the code of NaN with .satfinite */
    double magnitudes[128];
};

/* .satfinite makes NaN the positive largest number of a type without NaN, and 0x7F of one with it. */
static struct type types[] = {
    {.format = QB_FORMAT_E2M1,
     .instruction = "cvt.rn.satfinite.e2m1x2.f32",
     .exponent_bits = 2,
     .mantissa_bits = 1,
     .bias = 1,
     .finite = 8,
     .nan = 0x07},
    {.format = QB_FORMAT_E2M3,
     .instruction = "cvt.rn.satfinite.e2m3x2.f32",
     .exponent_bits = 2,
     .mantissa_bits = 3,
     .bias = 1,
     .finite = 32,
     .nan = 0x1F},
    {.format = QB_FORMAT_E3M2,
     .instruction = "cvt.rn.satfinite.e3m2x2.f32",
     .exponent_bits = 3,
     .mantissa_bits = 2,
     .bias = 3,
     .finite = 32,
     .nan = 0x1F},
    {.format = QB_FORMAT_E4M3,
     .instruction = "cvt.rn.satfinite.e4m3x2.f32",
     .exponent_bits = 4,
     .mantissa_bits = 3,
     .bias = 7,
     .finite = 127,
     .nan = 0x7F},
    {.format = QB_FORMAT_E5M2,
     .instruction = "cvt.rn.satfinite.e5m2x2.f32",
     .exponent_bits = 5,
     .mantissa_bits = 2,
     .bias = 15,
     .finite = 124,
     .nan = 0x7F},
};
#define TYPES (sizeof types / sizeof types[0])

static void fill_magnitudes(struct type *t)
{
    for (unsigned code = 0; code < t->finite; code++) {
        const int exponent = (int)code >> t->mantissa_bits, mantissa = (int)code & ((1 << t->mantissa_bits) - 1);

        t->magnitudes[code] = exponent == 0
                                  ? ldexp(mantissa, 1 - t->bias - t->mantissa_bits)
                                  : ldexp(mantissa + (1 << t->mantissa_bits), exponent - t->bias - t->mantissa_bits);
    }
}

/* cvt.rn.satfinite of one float: the nearest number, of two that are as near the one whose last bit is 0; a magnitude
 * above the largest becomes that; the sign is kept. */
static unsigned cvt_rn_satfinite(const struct type *t, float value)
{
    const double magnitude = fabs((double)value);
    const unsigned sign = binary32_bits(value) >> 31 << (t->exponent_bits + t->mantissa_bits);
    unsigned low = 0, high = t->finite - 1;

    if (isnan(value)) {
        return t->nan;
    }
    if (magnitude >= t->magnitudes[high]) {
        return sign | high;
    }
    while (high - low > 1) { /* magnitudes[low] <= magnitude < magnitudes[high] */
        const unsigned middle = (low + high) / 2;

        if (magnitude < t->magnitudes[middle]) {
            high = middle;
        } else {
            low = middle;
        }
    }
    if (magnitude - t->magnitudes[low] != t->magnitudes[high] - magnitude) { /* exact: of doubles close together */
        return sign | (magnitude - t->magnitudes[low] < t->magnitudes[high] - magnitude ? low : high);
    }
    return sign | (low % 2 == 0 ? low : high);
}

/* cvt.rp.satfinite.ue8m0x2.f32 of one float that is not negative: the smallest power of two that is not below it, from
 * 2^-127 to 2^127; NaN becomes 0xFF, and infinity the largest. */
static unsigned cvt_rp_satfinite_ue8m0(float value)
{
    int exponent;
    double fraction;

    if (isnan(value)) {
        return 0xFF;
    }
    if (isinf(value)) {
        return 0xFE;
    }
    fraction = frexp((double)value, &exponent); /* value = fraction * 2^exponent, 0.5 <= fraction < 1 */
    exponent -= fraction == 0.5;
    return value == 0 || exponent < -127 ? 0 : exponent > 127 ? 0xFE : (unsigned)(exponent + 127);
}

/* ---- They are qb_format_encode() --------------------------------------------------------------------------------- */

static void compare(uint32_t bits)
{
    const float value = binary32_of(bits);

    for (size_t i = 0; i < TYPES; i++) {
        const unsigned expected = cvt_rn_satfinite(&types[i], value);
        const uint32_t code = qb_format_encode(types[i].format, value);

        if (code != expected) { /* faster than an assertion for each */
            ck_abort_msg("%s of %a: 0x%02X, but the code is 0x%02X", types[i].instruction, (double)value, expected,
                         (unsigned)code);
        }
    }
    if (qb_format_encode(QB_FORMAT_E8M0, value) != cvt_rp_satfinite_ue8m0(fabsf(value))) {
        ck_abort_msg("cvt.rp.satfinite.ue8m0x2.f32 of %a: 0x%02X, but the code is 0x%02X", (double)fabsf(value),
                     cvt_rp_satfinite_ue8m0(fabsf(value)), (unsigned)qb_format_encode(QB_FORMAT_E8M0, value));
    }
}

/* BITS and its neighbours, of both signs. */
static void compare_near(uint32_t bits)
{
    for (uint32_t offset = 0; offset < 7; offset++) {
        compare((bits + offset - 3) & 0x7FFFFFFF);
        compare((bits + offset - 3) | 0x80000000);
    }
}

static void setup(void)
{
    for (size_t i = 0; i < TYPES; i++) {
        fill_magnitudes(&types[i]);
    }
}

START_TEST(conversions_of_numbers_and_ties)
{
    const struct type *t = &types[_i];

    setup();
    for (unsigned code = 0; code < t->finite; code++) {
        const float value = (float)t->magnitudes[code];
        const float next = (float)(code + 1 < t->finite ? t->magnitudes[code + 1] : 2 * t->magnitudes[code]);

        ck_assert(qb_format_decode(t->format, code) == value);
        compare_near(binary32_bits(value));
        compare_near(binary32_bits((value + next) / 2));
    }
}
END_TEST

START_TEST(conversions_of_powers_of_two_and_specials)
{
    setup();
    for (uint32_t exponent = 0; exponent < 256; exponent++) { /* infinity and some NaN are among the last */
        compare_near(exponent << 23);
        compare_near(exponent << 23 | 0x400000);
    }
    for (uint32_t bit = 0; bit < 23; bit++) {
        compare_near(1u << bit);
        compare_near(0x7F800000 | 1u << bit);
    }
}
END_TEST

/* Every sign, exponent and upper 11 bits of the mantissa, with lower bits of all kinds. */
START_TEST(conversions_of_a_sample)
{
    uint64_t state = test_seed();

    setup();
    for (uint32_t high = 0; high < 1u << 20; high++) {
        compare(high << 12);
        compare(high << 12 | 0x800);
        compare(high << 12 | (uint32_t)(test_random(&state) >> 52));
    }
}
END_TEST

START_TEST(conversions_of_all_floats)
{
    if (getenv("QUANTBENCH_TEST_EXHAUSTIVE") == NULL) {
        return;
    }
    setup();
    for (uint64_t bits = 0; bits < UINT64_C(1) << 32; bits++) {
        compare((uint32_t)bits);
    }
}
END_TEST

/* ---- How kernels may use them -------------------------------------------------------------------------------------
 */

/* cvt.rn.satfinite.e2m1x2.f32 d, a, b has a in the upper half of its byte and b in the lower; the types of 6 bits have
 * a in the upper byte and b in the lower. So b is the element in front. */
START_TEST(pairs_are_packed_as_rows_are)
{
    const float front = 1.5f, back = -3;

    setup();
    for (size_t i = 0; i < 3; i++) {
        const unsigned half = types[i].format == QB_FORMAT_E2M1 ? 4 : 8;
        const unsigned pair = cvt_rn_satfinite(&types[i], back) << half | cvt_rn_satfinite(&types[i], front);
        const uint8_t codes[2] = {(uint8_t)qb_format_encode(types[i].format, front),
                                  (uint8_t)qb_format_encode(types[i].format, back)};
        uint8_t packed[2] = {0};

        qb_codes_pack(types[i].format, QB_PACKING_BYTES, codes, 2, packed);
        ck_assert_uint_eq(packed[0], pair & 0xFF);
        ck_assert_uint_eq(packed[1], pair >> 8);
    }
}
END_TEST

/* The contract's scale for an amax. */
static unsigned scale_of(enum qb_format output, float amax)
{
    struct qb_problem p;
    uint8_t scale = 0xAA;

    qb_problem_init(&p);
    p.input = QB_FORMAT_F32;
    p.output = output;
    p.scale_format = QB_FORMAT_E8M0;
    p.granularity = QB_GRANULARITY_GROUP;
    p.group = 32;
    p.scaling = QB_SCALING_AMAX;
    p.tokens = p.hidden = 1;
    ck_assert_int_eq(qb_reference_run(&p, &(struct qb_tensors)QB_TENSORS(&amax, NULL, &scale)), QB_OK);
    return scale;
}

/* The instruction makes the contract's scale of amax * RN(1 / qmax) as long as that is a normal number. Below it the
 * product is rounded, and may lose what makes the power of two the next one: the integer form is needed there. */
START_TEST(scales_by_the_instruction)
{
    const struct type *t = &types[_i];
    const float qmax = (float)t->magnitudes[t->finite - 1], reciprocal = 1 / qmax;
    uint64_t state = test_seed();
    float amax;

    setup();
    for (int i = 0; i < 20000; i++) {
        const uint32_t exponent = 1 + (uint32_t)(test_random(&state) >> 32) % 254;
        const uint32_t mantissa = (uint32_t)(test_random(&state) >> 41);
        const uint32_t near = (binary32_bits(qmax) + (uint32_t)i % 5 - 2) & 0x7FFFFF;

        amax = binary32_of(exponent << 23 | (i % 2 == 0 ? near : mantissa));
        if (amax * reciprocal >= 0x1p-126f) {
            ck_assert_msg(cvt_rp_satfinite_ue8m0(amax * reciprocal) == scale_of(t->format, amax),
                          "QUANTBENCH_TEST_SEED=%llu: an amax of %a", (unsigned long long)test_seed(), (double)amax);
        }
    }
    amax = nextafterf(qmax * 0x1p-127f, 1);
    ck_assert_uint_eq(scale_of(t->format, amax), 1);
    ck_assert_uint_eq(cvt_rp_satfinite_ue8m0(amax * reciprocal), 0);
}
END_TEST

/* The manual's integer form of a scale that is rounded up. */
static int integer_form(float amax, float qmax, int emax)
{
    const int code =
        (int)(binary32_bits(amax) >> 23) - emax + ((binary32_bits(amax) & 0x7FFFFF) > (binary32_bits(qmax) & 0x7FFFFF));

    return code > 0 ? code : 0;
}

/* Over mantissas, in several exponents: the integer form, the smallest power of two with which nothing saturates, what
 * the instruction makes of the product, and the reference are one. QUANTBENCH_TEST_EXHAUSTIVE=1 takes all mantissas. */
START_TEST(scales_over_all_mantissas)
{
    static const uint32_t exponents[] = {1, 16, 127, 254};
    const struct type *t = &types[_i];
    const float qmax = (float)t->magnitudes[t->finite - 1], reciprocal = 1 / qmax;
    const uint32_t step = getenv("QUANTBENCH_TEST_EXHAUSTIVE") != NULL ? 1 : 61;
    int emax;

    frexpf(qmax, &emax);
    emax--;
    for (size_t e = 0; e < sizeof exponents / sizeof exponents[0]; e++) {
        for (uint32_t mantissa = 0; mantissa < 1u << 23; mantissa += step) {
            const float amax = binary32_of(exponents[e] << 23 | mantissa);
            const int code = integer_form(amax, qmax, emax);
            const double least = ldexp((double)qmax, code - 127);
            const bool by_product = amax * reciprocal >= 0x1p-126f;

            if (least < (double)amax || (code > 0 && least / 2 >= (double)amax) ||
                (by_product && (int)cvt_rp_satfinite_ue8m0(amax * reciprocal) != code) ||
                (mantissa % 1021 == 0 && (int)scale_of(t->format, amax) != code)) {
                ck_abort_msg("an amax of %a: code %d", (double)amax, code);
            }
        }
        ck_assert_uint_eq(
            scale_of(t->format, binary32_of(exponents[e] << 23 | (binary32_bits(qmax) & 0x7FFFFF))),
            (unsigned)integer_form(binary32_of(exponents[e] << 23 | (binary32_bits(qmax) & 0x7FFFFF)), qmax, emax));
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cvt");
    TCase *same = patient_case("same"), *use = patient_case("use");

    setup();
    tcase_set_timeout(same, 7200);
    tcase_add_loop_test(same, conversions_of_numbers_and_ties, 0, TYPES);
    tcase_add_test(same, conversions_of_powers_of_two_and_specials);
    tcase_add_test(same, conversions_of_a_sample);
    tcase_add_test(same, conversions_of_all_floats);
    suite_add_tcase(suite, same);
    tcase_add_test(use, pairs_are_packed_as_rows_are);
    tcase_add_loop_test(use, scales_by_the_instruction, 0, TYPES);
    tcase_add_loop_test(use, scales_over_all_mantissas, 0, TYPES);
    suite_add_tcase(suite, use);
    return run_suite(suite);
}
