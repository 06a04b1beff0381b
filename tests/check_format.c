/* SPDX-License-Identifier: Apache-2.0 */
/* check_format.c - the formats against facts that do not come from this library: values by hand from the definitions of
 * the formats, and properties that any correct rounding has. */
#include <config.h>

#include "base/binary32.h"
#include "quantbench.h"
#include "run.h"

#include <math.h>
#include <string.h>

START_TEST(every_code_encodes_to_itself)
{
    enum qb_format format = (enum qb_format)_i;
    uint32_t count = qb_format_info(format)->bits > 16 ? 0 : 1u << qb_format_info(format)->bits;

    for (uint32_t code = 0; code < count; code++) {
        float value = qb_format_decode(format, code);

        /* The infinities of E5M2 saturate, so they are codes that nothing encodes to. */
        if (!isnan(value) && (format != QB_FORMAT_E5M2 || !isinf(value))) {
            ck_assert_msg(qb_format_encode(format, value) == code, "%s 0x%X is %a, which encodes to 0x%X",
                          qb_format_info(format)->name, code, (double)value, qb_format_encode(format, value));
        }
    }
}
END_TEST

/* What a row of the table says against the codes' own values. */
START_TEST(rows_agree_with_their_codes)
{
    const struct qb_format_info *f = qb_format_info((enum qb_format)_i);
    const bool is_signed = f->format != QB_FORMAT_UINT4 && f->format != QB_FORMAT_E8M0;
    uint32_t sign = is_signed ? 1u << (f->bits - 1) % 32 : 0, one = 1u << f->mantissa_bits % 32;
    float above;

    ck_assert_uint_eq(f->format, (enum qb_format)_i);
    if (f->format == QB_FORMAT_INT64 || f->format == QB_FORMAT_INT32) { /* a name and a width */
        ck_assert(f->bits == (f->format == QB_FORMAT_INT64 ? 64 : 32) && !f->is_input && !f->is_output && !f->is_scale);
        ck_assert(isnan(qb_format_decode(f->format, 1)) && qb_format_encode(f->format, 1) == 0);
        return;
    }
    ck_assert_uint_eq(f->bits, is_signed + f->exponent_bits + f->mantissa_bits);
    ck_assert_float_eq(qb_format_decode(f->format, f->largest_code), f->largest);
    ck_assert_uint_eq(qb_format_encode(f->format, NAN), f->nan_code);
    ck_assert_uint_eq(f->nan_code & sign, 0);
    if (f->exponent_bits == 0) {
        ck_assert_uint_eq(f->largest_code, (1u << f->mantissa_bits) - 1);
        ck_assert_uint_eq(f->specials, QB_SPECIALS_NONE);
        ck_assert_float_eq(qb_format_decode(f->format, sign), is_signed ? -f->largest - 1 : 0);
        return;
    }
    ck_assert_float_eq(qb_format_decode(f->format, one), ldexpf(1, 1 - f->bias));
    ck_assert_float_eq(qb_format_decode(f->format, (uint32_t)f->bias << f->mantissa_bits), 1);
    above = qb_format_decode(f->format, f->largest_code + 1);
    if (f->specials == QB_SPECIALS_IEEE) {
        ck_assert(isinf(above) && isnan(qb_format_decode(f->format, f->largest_code + 2)));
    } else if (f->specials == QB_SPECIALS_NONE) {
        ck_assert(f->nan_code == f->largest_code && above == 0); /* the next code is -0 */
    } else {
        ck_assert(isnan(above) && f->largest_code + 1 == f->nan_code);
    }
}
END_TEST

/* Positive codes are in the order of their values, so nearest-even can be checked against both neighbours. */
START_TEST(midpoints_round_to_even)
{
    enum qb_format format = (enum qb_format)_i;
    uint32_t last = qb_format_info(format)->largest_code;

    for (uint32_t code = 0; code < last; code++) {
        float low = qb_format_decode(format, code), high = qb_format_decode(format, code + 1);
        float middle = low + (high - low) / 2;
        uint32_t even = code % 2 == 0 ? code : code + 1;

        ck_assert_msg(low < high, "codes 0x%X and 0x%X are out of order", code, code + 1);
        ck_assert_msg(qb_format_encode(format, middle) == even, "%s: the middle of 0x%X and 0x%X, %a, gives 0x%X",
                      qb_format_info(format)->name, code, code + 1, (double)middle, qb_format_encode(format, middle));
        ck_assert_uint_eq(qb_format_encode(format, nextafterf(middle, low)), code);
        ck_assert_uint_eq(qb_format_encode(format, nextafterf(middle, high)), code + 1);
    }
}
END_TEST

START_TEST(e8m0_is_rounded_up)
{
    for (uint32_t code = 0; code < 255; code++) {
        const float value = qb_format_decode(QB_FORMAT_E8M0, code);

        ck_assert_float_eq(value, ldexpf(1, (int)code - 127));
        ck_assert_uint_eq(qb_format_encode(QB_FORMAT_E8M0, -value), code);
        ck_assert_uint_eq(qb_format_encode(QB_FORMAT_E8M0, nextafterf(value, INFINITY)), code < 254 ? code + 1 : 254);
        ck_assert_uint_eq(qb_format_encode(QB_FORMAT_E8M0, nextafterf(value, 0)), code);
    }
    ck_assert_uint_eq(qb_format_encode(QB_FORMAT_E8M0, 0), 0);
    ck_assert_uint_eq(qb_format_encode(QB_FORMAT_E8M0, INFINITY), 0xFE);
}
END_TEST

/* A value and its code, from the definitions of the formats. */
static const struct {
    enum qb_format format;
    float value;
    uint32_t code;
} facts[] = {
    {QB_FORMAT_E2M1, 0.25f, 0x0},       {QB_FORMAT_E2M1, 0.75f, 0x2},        {QB_FORMAT_E2M1, 1.25f, 0x2},
    {QB_FORMAT_E2M1, 1.75f, 0x4},       {QB_FORMAT_E2M1, 2.5f, 0x4},         {QB_FORMAT_E2M1, 3.5f, 0x6},
    {QB_FORMAT_E2M1, 5, 0x6},           {QB_FORMAT_E2M1, -5.01f, 0xF},       {QB_FORMAT_E2M1, -INFINITY, 0xF},
    {QB_FORMAT_E2M1, NAN, 0x7},         {QB_FORMAT_E2M1, -NAN, 0x7},         {QB_FORMAT_E2M1, -0.0f, 0x8},
    {QB_FORMAT_E2M1, -0x1p-149f, 0x8},  {QB_FORMAT_E2M3, 7.5f, 0x1F},        {QB_FORMAT_E2M3, -8, 0x3F},
    {QB_FORMAT_E2M3, 0.0625f, 0x00},    {QB_FORMAT_E2M3, 0.1875f, 0x02},     {QB_FORMAT_E2M3, NAN, 0x1F},
    {QB_FORMAT_E3M2, 28, 0x1F},         {QB_FORMAT_E3M2, 0x1p-5f, 0x00},     {QB_FORMAT_E3M2, 0x3p-5f, 0x02},
    {QB_FORMAT_E3M2, -INFINITY, 0x3F},  {QB_FORMAT_INT4, 7.5f, 0x7},         {QB_FORMAT_INT4, -8.5f, 0x8},
    {QB_FORMAT_INT4, -1, 0xF},          {QB_FORMAT_INT4, NAN, 0x0},          {QB_FORMAT_UINT4, -3, 0x0},
    {QB_FORMAT_UINT4, 14.5f, 0xE},      {QB_FORMAT_UINT4, INFINITY, 0xF},    {QB_FORMAT_E4M3, 0.0f, 0x00},
    {QB_FORMAT_E4M3, -0.0f, 0x80},      {QB_FORMAT_E4M3, 1.0f, 0x38},        {QB_FORMAT_E4M3, 1.0625f, 0x38},
    {QB_FORMAT_E4M3, 1.1875f, 0x3A},    {QB_FORMAT_E4M3, 448.0f, 0x7E},      {QB_FORMAT_E4M3, 464.0f, 0x7E},
    {QB_FORMAT_E4M3, 465.0f, 0x7E},     {QB_FORMAT_E4M3, 480.0f, 0x7E},      {QB_FORMAT_E4M3, 1e30f, 0x7E},
    {QB_FORMAT_E4M3, -465.0f, 0xFE},    {QB_FORMAT_E4M3, INFINITY, 0x7E},    {QB_FORMAT_E4M3, -INFINITY, 0xFE},
    {QB_FORMAT_E4M3, NAN, 0x7F},        {QB_FORMAT_E4M3, 0x1p-9f, 0x01},     {QB_FORMAT_E4M3, 0x1p-10f, 0x00},
    {QB_FORMAT_E4M3, -0x1p-10f, 0x80},  {QB_FORMAT_E4M3, 0x1.8p-9f, 0x02},   {QB_FORMAT_E4M3, 0x1p-6f, 0x08},
    {QB_FORMAT_E4M3, 0x1p-149f, 0x00},  {QB_FORMAT_E4M3, -0x1p-149f, 0x80},  {QB_FORMAT_E5M2, 1.0f, 0x3C},
    {QB_FORMAT_E5M2, 57344.0f, 0x7B},   {QB_FORMAT_E5M2, 61440.0f, 0x7B},    {QB_FORMAT_E5M2, 65536.0f, 0x7B},
    {QB_FORMAT_E5M2, INFINITY, 0x7B},   {QB_FORMAT_E5M2, -INFINITY, 0xFB},   {QB_FORMAT_E5M2, NAN, 0x7F},
    {QB_FORMAT_E5M2, 0x1p-16f, 0x01},   {QB_FORMAT_E5M2, 0x1p-17f, 0x00},    {QB_FORMAT_E5M2, -0x1p-17f, 0x80},
    {QB_FORMAT_E5M2, 0x1.8p-16f, 0x02}, {QB_FORMAT_E5M2, 3.4e38f, 0x7B},     {QB_FORMAT_INT8, 0.5f, 0x00},
    {QB_FORMAT_INT8, 1.5f, 0x02},       {QB_FORMAT_INT8, 2.5f, 0x02},        {QB_FORMAT_INT8, -0.5f, 0x00},
    {QB_FORMAT_INT8, -1.5f, 0xFE},      {QB_FORMAT_INT8, 126.5f, 0x7E},      {QB_FORMAT_INT8, 127.5f, 0x7F},
    {QB_FORMAT_INT8, -127.5f, 0x80},    {QB_FORMAT_INT8, -128.5f, 0x80},     {QB_FORMAT_INT8, -129.0f, 0x80},
    {QB_FORMAT_INT8, INFINITY, 0x7F},   {QB_FORMAT_INT8, -INFINITY, 0x80},   {QB_FORMAT_INT8, NAN, 0x00},
    {QB_FORMAT_INT8, 1e30f, 0x7F},      {QB_FORMAT_INT8, -0.0f, 0x00},       {QB_FORMAT_F16, 65504.0f, 0x7BFF},
    {QB_FORMAT_F16, 65519.0f, 0x7BFF},  {QB_FORMAT_F16, 65520.0f, 0x7C00},   {QB_FORMAT_F16, -1e30f, 0xFC00},
    {QB_FORMAT_F16, NAN, 0x7E00},       {QB_FORMAT_F16, 0x1p-24f, 0x0001},   {QB_FORMAT_F16, 0x1p-25f, 0x0000},
    {QB_FORMAT_F16, 1.0f, 0x3C00},      {QB_FORMAT_BF16, 1.0f, 0x3F80},      {QB_FORMAT_BF16, 3.4e38f, 0x7F80},
    {QB_FORMAT_BF16, NAN, 0x7FC0},      {QB_FORMAT_BF16, 0x1p-133f, 0x0001}, {QB_FORMAT_BF16, 0x1p-134f, 0x0000},
    {QB_FORMAT_BF16, INFINITY, 0x7F80}, {QB_FORMAT_F32, NAN, 0x7FC00000},
};

START_TEST(known_values)
{
    uint32_t got = qb_format_encode(facts[_i].format, facts[_i].value);

    ck_assert_msg(got == facts[_i].code, "%s of %a: got 0x%X, want 0x%X", qb_format_info(facts[_i].format)->name,
                  (double)facts[_i].value, got, facts[_i].code);
}
END_TEST

START_TEST(special_codes_decode)
{
    ck_assert_float_nan(qb_format_decode(QB_FORMAT_E4M3, 0x7F));
    ck_assert_float_nan(qb_format_decode(QB_FORMAT_E4M3, 0xFF));
    ck_assert_float_eq(qb_format_decode(QB_FORMAT_E4M3, 0x7E), 448.0f);
    ck_assert_float_eq(qb_format_decode(QB_FORMAT_E4M3, 0x78), 256.0f);
    ck_assert_float_infinite(qb_format_decode(QB_FORMAT_E5M2, 0x7C));
    ck_assert_float_infinite(qb_format_decode(QB_FORMAT_E5M2, 0xFC));
    for (uint32_t code = 0x7D; code <= 0x7F; code++) {
        ck_assert_float_nan(qb_format_decode(QB_FORMAT_E5M2, code));
    }
    ck_assert_float_eq(qb_format_decode(QB_FORMAT_INT8, 0x80), -128.0f);
    ck_assert_uint_eq(binary32_bits(qb_format_decode(QB_FORMAT_E4M3, 0x80)), 0x80000000);
    ck_assert_float_infinite(qb_format_decode(QB_FORMAT_F16, 0xFC00));
    ck_assert_float_nan(qb_format_decode(QB_FORMAT_F16, 0x7C01));
    ck_assert_float_nan(qb_format_decode(QB_FORMAT_BF16, 0x7F81));
}
END_TEST

/* bfloat16 is the upper half of binary32, which gives its decoding without any arithmetic. */
START_TEST(bfloat16_is_the_upper_half)
{
    for (uint32_t code = 0; code < 0x10000; code++) {
        float value = qb_format_decode(QB_FORMAT_BF16, code);

        if (!isnan(value)) {
            ck_assert_uint_eq(binary32_bits(value), code << 16);
        }
    }
}
END_TEST

#ifdef __FLT16_MAX__
/* The compiler's own binary16 is an independent implementation. */
START_TEST(half_is_the_compilers)
{
    uint64_t state = test_seed();

    for (uint32_t code = 0; code < 0x10000; code++) {
        uint16_t narrow = (uint16_t)code;
        _Float16 half;

        memcpy(&half, &narrow, sizeof half);
        if (!isnan((float)half)) {
            ck_assert_uint_eq(binary32_bits(qb_format_decode(QB_FORMAT_F16, code)), binary32_bits((float)half));
        }
    }
    for (int i = 0; i < 1000000; i++) {
        /* Exponents from far below to far above the range of half. */
        float value = ldexpf((float)(int32_t)test_random(&state), (int)(test_random(&state) % 64) - 64);
        _Float16 half = (_Float16)value;
        uint16_t want;

        memcpy(&want, &half, sizeof want);
        ck_assert_msg(qb_format_encode(QB_FORMAT_F16, value) == want, "%a: got 0x%X, want 0x%X", (double)value,
                      qb_format_encode(QB_FORMAT_F16, value), want);
    }
}
END_TEST
#endif

START_TEST(formats_are_found_by_name)
{
    enum qb_format format;

    for (int i = 0; i < QB_FORMAT_COUNT; i++) {
        ck_assert_int_eq(qb_format_info((enum qb_format)i)->format, i);
        ck_assert_int_eq(qb_format_find(qb_format_info((enum qb_format)i)->name, &format), QB_OK);
        ck_assert_int_eq(format, i);
    }
    ck_assert_int_eq(qb_format_find("FP16", &format), QB_OK);
    ck_assert_int_eq(format, QB_FORMAT_F16);
    ck_assert_int_eq(qb_format_find("e4m3", &format), QB_OK);
    ck_assert_int_eq(format, QB_FORMAT_E4M3);
    ck_assert_int_eq(qb_format_find("fp", &format), QB_ERROR_INVALID);
    ck_assert_int_eq(qb_format_find("", &format), QB_ERROR_INVALID);
    ck_assert_int_eq(qb_format_find("fp16 f16", &format), QB_ERROR_INVALID);
    ck_assert_int_eq(qb_format_find(NULL, &format), QB_ERROR_INVALID);
    ck_assert_ptr_null(qb_format_info((enum qb_format)QB_FORMAT_COUNT));
    ck_assert_ptr_null(qb_format_info((enum qb_format) - 1));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("format");
    TCase *tc = patient_case("format");

    tcase_add_loop_test(tc, rows_agree_with_their_codes, 0, QB_FORMAT_COUNT);
    tcase_add_loop_test(tc, every_code_encodes_to_itself, 0, QB_FORMAT_COUNT);
    tcase_add_loop_test(tc, midpoints_round_to_even, QB_FORMAT_INT8, QB_FORMAT_E8M0);
    tcase_add_test(tc, e8m0_is_rounded_up);
    tcase_add_loop_test(tc, midpoints_round_to_even, QB_FORMAT_F16, QB_FORMAT_F32);
    tcase_add_loop_test(tc, known_values, 0, sizeof facts / sizeof facts[0]);
    tcase_add_test(tc, special_codes_decode);
    tcase_add_test(tc, bfloat16_is_the_upper_half);
#ifdef __FLT16_MAX__
    tcase_add_test(tc, half_is_the_compilers);
#endif
    tcase_add_test(tc, formats_are_found_by_name);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
