/* SPDX-License-Identifier: Apache-2.0 */
/* check_dequantize.c - values from codes and scales, of every format, place and packing, by the formula of the
 * contract; and back again. */
#include <config.h>

#include "quantbench.h"
#include "run.h"

#include <math.h>
#include <string.h>

#define ROWS 5
#define COLS 37
#define GAP  11

/* Every output format, scale format, layout, granularity, packing and zero point, in combinations that exist. */
static const struct {
    enum qb_format output, scale_format;
    enum qb_granularity granularity;
    enum qb_scale_layout layout;
    enum qb_tensor_scale tensor_scale;
    enum qb_zero_points zero_points;
    enum qb_packing packing;
} kinds[] = {
    {.output = QB_FORMAT_INT8, .scale_format = QB_FORMAT_F32, .granularity = QB_GRANULARITY_TOKEN},
    {.output = QB_FORMAT_INT8, .scale_format = QB_FORMAT_F16, .granularity = QB_GRANULARITY_TENSOR},
    {.output = QB_FORMAT_E4M3, .scale_format = QB_FORMAT_F32, .granularity = QB_GRANULARITY_TENSOR},
    {.output = QB_FORMAT_E4M3, .scale_format = QB_FORMAT_F32, .granularity = QB_GRANULARITY_CHANNEL},
    {.output = QB_FORMAT_E4M3, .scale_format = QB_FORMAT_F32, .granularity = QB_GRANULARITY_BLOCK},
    {.output = QB_FORMAT_E5M2, .scale_format = QB_FORMAT_F16, .granularity = QB_GRANULARITY_TOKEN},
    {QB_FORMAT_E4M3, QB_FORMAT_F32, QB_GRANULARITY_GROUP, QB_SCALE_LAYOUT_COLUMNS, 0, 0, 0},
    {QB_FORMAT_E4M3, QB_FORMAT_E8M0, QB_GRANULARITY_GROUP, QB_SCALE_LAYOUT_PACKED, 0, 0, 0},
    {QB_FORMAT_E5M2, QB_FORMAT_E8M0, QB_GRANULARITY_GROUP, QB_SCALE_LAYOUT_TILED_128X4, 0, 0, 0},
    {QB_FORMAT_E2M1, QB_FORMAT_E8M0, QB_GRANULARITY_GROUP, QB_SCALE_LAYOUT_TILED_8X4, 0, 0, 0},
    {QB_FORMAT_E2M1, QB_FORMAT_E4M3, QB_GRANULARITY_GROUP, QB_SCALE_LAYOUT_ROWS, 0, 0, 0},
    {QB_FORMAT_E2M1, QB_FORMAT_E4M3, QB_GRANULARITY_GROUP, QB_SCALE_LAYOUT_TILED_128X4, QB_TENSOR_SCALE_GIVEN, 0, 0},
    {QB_FORMAT_E2M3, QB_FORMAT_E8M0, QB_GRANULARITY_GROUP, QB_SCALE_LAYOUT_ROWS, 0, 0, QB_PACKING_BYTES},
    {QB_FORMAT_E2M3, QB_FORMAT_E8M0, QB_GRANULARITY_GROUP, QB_SCALE_LAYOUT_COLUMNS, 0, 0, QB_PACKING_DENSE},
    {QB_FORMAT_E3M2, QB_FORMAT_E8M0, QB_GRANULARITY_GROUP, QB_SCALE_LAYOUT_ROWS, 0, 0, QB_PACKING_DENSE},
    {QB_FORMAT_INT4, QB_FORMAT_F32, QB_GRANULARITY_GROUP, QB_SCALE_LAYOUT_ROWS, 0, 0, 0},
    {QB_FORMAT_INT4, QB_FORMAT_F16, QB_GRANULARITY_GROUP, QB_SCALE_LAYOUT_COLUMNS, 0, QB_ZERO_POINTS_INT8, 0},
    {QB_FORMAT_UINT4, QB_FORMAT_F16, QB_GRANULARITY_GROUP, QB_SCALE_LAYOUT_ROWS, 0, QB_ZERO_POINTS_INT8, 0},
    {QB_FORMAT_INT8, QB_FORMAT_F32, QB_GRANULARITY_TOKEN, QB_SCALE_LAYOUT_ROWS, 0, QB_ZERO_POINTS_INT8, 0},
};
#define KINDS (sizeof kinds / sizeof kinds[0])

static const enum qb_format value_formats[] = {QB_FORMAT_F16, QB_FORMAT_BF16, QB_FORMAT_F32};

static struct qb_problem problem_of(int kind)
{
    struct qb_problem p;

    qb_problem_init(&p);
    p.operation = QB_OPERATION_DEQUANTIZE;
    p.scaling = QB_SCALING_STATIC;
    p.output = kinds[kind].output;
    p.scale_format = kinds[kind].scale_format;
    p.granularity = kinds[kind].granularity;
    p.group = 16;
    p.block_rows = 2;
    p.block_cols = 10;
    p.scale_layout = kinds[kind].layout;
    p.tensor_scale = kinds[kind].tensor_scale;
    p.zero_points = kinds[kind].zero_points;
    p.packing = kinds[kind].packing;
    p.tokens = ROWS;
    p.hidden = COLS;
    return p;
}

/* What a problem reads and writes, with room for any of them. */
struct memory {
    uint8_t codes[ROWS * (COLS + GAP)];
    uint32_t scales[2048];
    int8_t zero_points[ROWS * COLS];
    float tensor_scale;
    uint32_t values[ROWS * (COLS + GAP)];
};

static struct qb_tensors tensors_of(struct memory *memory)
{
    struct qb_tensors tensors = {.size = sizeof tensors};

    tensors.at[QB_ROLE_CODES] = memory->codes;
    tensors.at[QB_ROLE_SCALES] = memory->scales;
    tensors.at[QB_ROLE_ZERO_POINTS] = memory->zero_points;
    tensors.at[QB_ROLE_TENSOR_SCALE] = &memory->tensor_scale;
    tensors.at[QB_ROLE_VALUES] = memory->values;
    return tensors;
}

static uint32_t at(enum qb_format format, const void *tensor, uint64_t i)
{
    switch (qb_format_info(format)->bits) {
    case 32:
        return ((const uint32_t *)tensor)[i];
    case 16:
        return ((const uint16_t *)tensor)[i];
    default:
        return ((const uint8_t *)tensor)[i];
    }
}

/* Set all scales and zero points of P; in E8M0 and E4M3 all codes, NaN too. */
static void fill_scales(const struct qb_problem *p, struct memory *memory, uint64_t *state)
{
    struct qb_tensor_info info = {.size = sizeof info};

    ck_assert_int_eq(qb_problem_tensor(p, QB_ROLE_SCALES, &info), QB_OK);
    ck_assert_uint_le(info.bytes, sizeof memory->scales);
    for (uint64_t i = 0; i < info.bytes * 8 / info.bits; i++) {
        const uint64_t random = test_random(state) >> 20;
        const float scale = ldexpf(1 + (float)(random & 0x7FFFFF) * 0x1p-23f, (int)(random >> 24 & 15) - 10);

        if (info.bits == 32) {
            memcpy(&memory->scales[i], &scale, sizeof scale);
        } else if (info.bits == 16) {
            ((uint16_t *)memory->scales)[i] = (uint16_t)qb_format_encode(QB_FORMAT_F16, scale);
        } else {
            ((uint8_t *)memory->scales)[i] = (uint8_t)(p->scale_format == QB_FORMAT_E4M3 ? random & 0x7F : random);
        }
    }
    for (size_t i = 0; i < sizeof memory->zero_points; i++) {
        memory->zero_points[i] = (int8_t)(test_random(state) >> 40);
    }
    memory->tensor_scale = 0x1.2F3456p-3f;
}

/* The value of CODE in tile (ROW, COL), before it is rounded to the format of values. */
static float expected(const struct qb_problem *p, const struct memory *memory, uint64_t row, uint64_t col, uint8_t code)
{
    uint64_t offset, rows, cols;
    float q = qb_format_decode(p->output, code), scale;

    ck_assert_int_eq(qb_problem_scale_offset(p, row, col, &offset), QB_OK);
    scale = qb_format_decode(p->scale_format, at(p->scale_format, (const char *)memory->scales + offset, 0));
    if (p->zero_points != QB_ZERO_POINTS_NONE) {
        qb_problem_scale_shape(p, &rows, &cols);
        q -= (float)memory->zero_points[row * cols + col];
    }
    q *= scale;
    return p->tensor_scale == QB_TENSOR_SCALE_NONE ? q : q * memory->tensor_scale;
}

/* Random codes and scales, dense rows and rows with gaps, which stay as they are. */
START_TEST(values_are_code_times_scale)
{
    static struct memory memory;
    struct qb_tensors tensors = tensors_of(&memory);
    struct qb_problem p = problem_of(_i);
    uint64_t state = test_seed(), tile_rows, tile_cols;

    qb_problem_tile(&p, &tile_rows, &tile_cols);
    for (int variant = 0; variant < 60; variant++) {
        struct qb_tensor_info codes = {.size = sizeof codes}, values = {.size = sizeof values};
        uint8_t row_codes[COLS];

        p.input = value_formats[variant % 3];
        p.input_stride = variant & 1 ? COLS + GAP : 0;
        p.output_stride = variant & 2 ? COLS + GAP : 0;
        for (size_t i = 0; i < sizeof memory.codes; i++) {
            memory.codes[i] = (uint8_t)(test_random(&state) >> 32);
        }
        fill_scales(&p, &memory, &state);
        memset(memory.values, 0xA5, sizeof memory.values);
        ck_assert_msg(qb_reference_run(&p, &tensors) == QB_OK, "%s", qb_error_detail());
        ck_assert_int_eq(qb_problem_tensor(&p, QB_ROLE_CODES, &codes), QB_OK);
        ck_assert_int_eq(qb_problem_tensor(&p, QB_ROLE_VALUES, &values), QB_OK);
        for (uint64_t row = 0; row < ROWS; row++) {
            qb_codes_unpack(p.output, p.packing, memory.codes + row * qb_codes_bytes(p.output, p.packing, codes.stride),
                            0, COLS, row_codes);
            for (uint64_t col = 0; col < values.stride && row * values.stride + col < ROWS * values.stride; col++) {
                const uint32_t got = at(p.input, memory.values, row * values.stride + col);
                const uint32_t untouched = p.input == QB_FORMAT_F32 ? 0xA5A5A5A5 : 0xA5A5;
                const uint32_t want = col >= COLS
                                          ? untouched
                                          : qb_format_encode(p.input, expected(&p, &memory, row / tile_rows,
                                                                               col / tile_cols, row_codes[col]));

                ck_assert_msg(got == want, "[%d, %d] is 0x%x, expected 0x%x", (int)row, (int)col, got, want);
            }
        }
    }
}
END_TEST

/* ---- By hand --------------------------------------------------------------------------------------------------- */

static const struct {
    enum qb_format output;
    uint8_t code;
    enum qb_format scale_format;
    uint32_t scale;
    enum qb_format input;
    uint32_t value;
} by_hand[] = {
    {QB_FORMAT_E4M3, 0x7E, QB_FORMAT_F32, 0x3F000000, QB_FORMAT_F16, 0x5B00},     /* 448 * 0.5 = 224 */
    {QB_FORMAT_E4M3, 0x7F, QB_FORMAT_F32, 0x3F000000, QB_FORMAT_F16, 0x7E00},     /* NaN */
    {QB_FORMAT_E4M3, 0xFF, QB_FORMAT_F32, 0x3F000000, QB_FORMAT_BF16, 0x7FC0},    /* of the other sign */
    {QB_FORMAT_E4M3, 0xFF, QB_FORMAT_F32, 0x3F000000, QB_FORMAT_F32, 0x7FC00000}, /* also */
    {QB_FORMAT_E4M3, 0x80, QB_FORMAT_F32, 0x3F000000, QB_FORMAT_F16, 0x8000},     /* -0 */
    {QB_FORMAT_E5M2, 0x7C, QB_FORMAT_F32, 0x3F000000, QB_FORMAT_F16, 0x7C00},     /* infinity, which is a code */
    {QB_FORMAT_E5M2, 0x7B, QB_FORMAT_F32, 0x40000000, QB_FORMAT_F16, 0x7C00},     /* 57344 * 2 overflows half */
    {QB_FORMAT_E5M2, 0x7B, QB_FORMAT_F32, 0x40000000, QB_FORMAT_BF16, 0x47E0},    /* and is 114688 in bfloat16 */
    {QB_FORMAT_E4M3, 0x01, QB_FORMAT_E8M0, 0x00, QB_FORMAT_F32, 0x00002000},      /* 2^-9 * 2^-127 = 2^-136 */
    {QB_FORMAT_E4M3, 0x38, QB_FORMAT_E8M0, 0xFF, QB_FORMAT_F32, 0x7FC00000},      /* a scale that is NaN */
    {QB_FORMAT_E2M1, 0x0F, QB_FORMAT_E8M0, 0x80, QB_FORMAT_F16, 0xCA00},          /* -6 * 2 = -12 */
    {QB_FORMAT_INT8, 0x80, QB_FORMAT_F32, 0x3DCCCCCD, QB_FORMAT_F16, 0xCA66},     /* -128 * 0.1 = -12.8 */
    {QB_FORMAT_INT4, 0x08, QB_FORMAT_F16, 0x3800, QB_FORMAT_BF16, 0xC080},        /* -8 * 0.5 = -4 */
};

START_TEST(values_by_hand)
{
    struct qb_problem p;
    struct qb_tensors tensors = {.size = sizeof tensors};
    uint8_t code = by_hand[_i].code;
    uint32_t value = 0, scale;

    /* As many bytes of the number as the format has. */
    const uint16_t half = (uint16_t)by_hand[_i].scale;
    const uint8_t byte = (uint8_t)by_hand[_i].scale;

    scale = by_hand[_i].scale;
    qb_problem_init(&p);
    p.operation = QB_OPERATION_DEQUANTIZE;
    p.scaling = QB_SCALING_STATIC;
    p.input = by_hand[_i].input;
    p.output = by_hand[_i].output;
    p.scale_format = by_hand[_i].scale_format;
    p.granularity = QB_GRANULARITY_GROUP;
    p.group = 32;
    p.tokens = 1;
    if (p.scale_format == QB_FORMAT_F16) {
        memcpy(&scale, &half, sizeof half);
    } else if (p.scale_format == QB_FORMAT_E8M0) {
        memcpy(&scale, &byte, sizeof byte);
    }
    tensors.at[QB_ROLE_CODES] = &code;
    tensors.at[QB_ROLE_SCALES] = &scale;
    tensors.at[QB_ROLE_VALUES] = &value;
    ck_assert_msg(qb_reference_run(&p, &tensors) == QB_OK, "%s", qb_error_detail());
    ck_assert_msg(at(p.input, &value, 0) == by_hand[_i].value, "0x%x", at(p.input, &value, 0));
}
END_TEST

/* ---- There and back -------------------------------------------------------------------------------------------- */

static float normal(uint64_t *state)
{
    const double u = ((double)(test_random(state) >> 11) + 1) * 0x1p-53,
                 v = (double)(test_random(state) >> 11) * 0x1p-53;

    return (float)(sqrt(-2 * log(u)) * cos(2 * acos(-1) * v));
}

/* Quantize, dequantize, and quantize again with the same scales: the codes are the same. */
START_TEST(codes_come_back)
{
    static struct memory first, second;
    struct qb_problem p = problem_of(_i / 3), quantize;
    struct qb_tensors there = tensors_of(&first), again = tensors_of(&second);
    uint64_t state = test_seed();
    uint32_t input[ROWS * COLS];

    p.input = value_formats[_i % 3];
    quantize = p;
    quantize.operation = QB_OPERATION_QUANTIZE;
    quantize.scaling = QB_SCALING_DYNAMIC;
    quantize.tensor_scale = p.tensor_scale != QB_TENSOR_SCALE_NONE ? QB_TENSOR_SCALE_COMPUTED : QB_TENSOR_SCALE_NONE;
    for (uint64_t i = 0; i < ROWS * COLS; i++) {
        const uint32_t code = qb_format_encode(p.input, i == 3 ? NAN : normal(&state));

        if (p.input == QB_FORMAT_F32) {
            input[i] = code;
        } else {
            ((uint16_t *)input)[i] = (uint16_t)code;
        }
    }
    memset(&first, 0, sizeof first);
    there.at[QB_ROLE_INPUT] = input;
    ck_assert_msg(qb_reference_run(&quantize, &there) == QB_OK, "%s", qb_error_detail());
    ck_assert_msg(qb_reference_run(&p, &there) == QB_OK, "%s", qb_error_detail());
    second = first;
    memset(second.codes, 0, sizeof second.codes);
    quantize.scaling = QB_SCALING_STATIC;
    quantize.tensor_scale = p.tensor_scale;
    again.at[QB_ROLE_INPUT] = first.values;
    ck_assert_msg(qb_reference_run(&quantize, &again) == QB_OK, "%s", qb_error_detail());
    ck_assert_mem_eq(first.codes, second.codes, sizeof first.codes);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("dequantize");
    TCase *tc = patient_case("values");

    tcase_add_loop_test(tc, values_are_code_times_scale, 0, KINDS);
    tcase_add_loop_test(tc, values_by_hand, 0, sizeof by_hand / sizeof by_hand[0]);
    tcase_add_loop_test(tc, codes_come_back, 0, 3 * KINDS);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
