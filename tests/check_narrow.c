/* SPDX-License-Identifier: Apache-2.0 */
/* check_narrow.c - the reference for codes of less than a byte, for scales that are not binary32, for zero points and
 * layouts: against vectors from another implementation, and against definitions. */
#include <config.h>

#include "quantbench.h"
#include "run.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* (i - 15.5) / 4 and, from 16 on, (i - 15.5) / 32: exact in half. */
static void golden_input(uint16_t input[32])
{
    for (int i = 0; i < 32; i++) {
        input[i] = (uint16_t)qb_format_encode(QB_FORMAT_F16, ((float)i - 15.5f) / (i < 16 ? 4 : 32));
    }
}

/* One row of 32 elements in groups. */
static struct qb_problem groups_of(enum qb_format output, enum qb_format scale_format, uint64_t group)
{
    struct qb_problem p;

    qb_problem_init(&p);
    p.output = output;
    p.scale_format = scale_format;
    p.granularity = QB_GRANULARITY_GROUP;
    p.group = group;
    p.tokens = 1;
    p.hidden = 32;
    return p;
}

/* BYTES as hexadecimal digits in TEXT. */
static void hex(const uint8_t *bytes, size_t count, char *text)
{
    for (size_t i = 0; i < count; i++) {
        sprintf(text + 2 * i, "%02x", bytes[i]);
    }
}

static const struct {
    enum qb_format output;
    enum qb_scale_rounding rounding;
    uint8_t scale;
    const char *codes;
} powers[] = {
    {QB_FORMAT_E2M1, QB_SCALE_ROUNDING_UP, 127, "eeddddccbcab9a890000000011111111"},
    {QB_FORMAT_E2M1, QB_SCALE_ROUNDING_EVEN, 127, "eeddddccbcab9a890000000011111111"},
    {QB_FORMAT_E2M1, QB_SCALE_ROUNDING_FLOOR, 126, "ffffffeedecdac8a0000111111112222"},
    {QB_FORMAT_E4M3, QB_SCALE_ROUNDING_UP, 121, "f8f6f6f4f4f2f2f0efedebe9e6e2dcd038444a4e51535557585a5a5c5c5e5e60"},
};

START_TEST(golden_vectors_of_power_of_two_scales)
{
    struct qb_problem p = groups_of(powers[_i].output, QB_FORMAT_E8M0, 32);
    uint16_t input[32];
    uint8_t codes[32], scale = 0;
    char text[65] = "";

    p.scale_rounding = powers[_i].rounding;
    golden_input(input);
    ck_assert_int_eq(qb_reference_run(&p, &(struct qb_tensors)QB_TENSORS(input, codes, (float *)&scale)), QB_OK);
    hex(codes, strlen(powers[_i].codes) / 2, text);
    ck_assert_uint_eq(scale, powers[_i].scale);
    ck_assert_str_eq(text, powers[_i].codes);
}
END_TEST

START_TEST(golden_vectors_of_a_tensor_scale)
{
    struct qb_problem p = groups_of(QB_FORMAT_E2M1, QB_FORMAT_E4M3, 16);
    struct qb_tensors tensors = {.size = sizeof tensors};
    uint16_t input[32];
    uint8_t codes[16], scales[2];
    float tensor_scale = 0;
    char text[33];

    golden_input(input);
    tensors.at[QB_ROLE_INPUT] = input;
    tensors.at[QB_ROLE_CODES] = codes;
    tensors.at[QB_ROLE_SCALES] = scales;
    tensors.at[QB_ROLE_TENSOR_SCALE] = &tensor_scale;
    p.tensor_scale = QB_TENSOR_SCALE_COMPUTED;
    for (int i = 0; i < 2; i++) { /* and again with the scale that the first found */
        memset(codes, 0xAA, sizeof codes);
        ck_assert_int_eq(qb_reference_run(&p, &tensors), QB_OK);
        hex(codes, sizeof codes, text);
        ck_assert(tensor_scale == 0x1.79e79ep-10f);
        ck_assert_uint_eq(scales[0], 0x7E);
        ck_assert_uint_eq(scales[1], 0x66);
        ck_assert_str_eq(text, "ffefeededdbcab891032435565667677");
        p.tensor_scale = QB_TENSOR_SCALE_GIVEN;
    }
}
END_TEST

START_TEST(golden_vectors_of_zero_points)
{
    const float input[4] = {-1, 0, 0.5f, 3};
    struct qb_problem p;
    struct qb_tensors tensors = {.size = sizeof tensors};
    int8_t codes[4], zero_point = 0;
    float scale = 0;

    qb_problem_init(&p);
    p.input = QB_FORMAT_F32;
    p.zero_points = QB_ZERO_POINTS_INT8;
    p.tokens = 1;
    p.hidden = 4;
    tensors.at[QB_ROLE_INPUT] = (void *)(uintptr_t)input;
    tensors.at[QB_ROLE_CODES] = codes;
    tensors.at[QB_ROLE_SCALES] = &scale;
    tensors.at[QB_ROLE_ZERO_POINTS] = &zero_point;
    ck_assert_int_eq(qb_reference_run(&p, &tensors), QB_OK);
    ck_assert(scale == 0x1.010102p-6f);
    ck_assert_int_eq(zero_point, -64);
    ck_assert_int_eq(codes[0], -128);
    ck_assert_int_eq(codes[1], -64);
    ck_assert_int_eq(codes[2], -32);
    ck_assert_int_eq(codes[3], 127);
}
END_TEST

/* In 32 bits: the same numbers, unless the range lacks 0, or one is given that is not a code; and no kernel of the
 * library takes them. */
START_TEST(zero_points_of_32_bits)
{
    const float input[4] = {-1, 0, 0.5f, 3}, far[4] = {1000, 1000.5f, 1001, NAN};
    const struct qb_arithmetic open = {.open_range = 1};
    struct qb_problem p;
    struct qb_tensors tensors = {.size = sizeof tensors};
    struct qb_tensor_info info = {.size = sizeof info};
    int8_t codes[4];
    int32_t zero_point = 0;
    float scale = 0;

    qb_problem_init(&p);
    p.input = QB_FORMAT_F32;
    p.zero_points = QB_ZERO_POINTS_INT32;
    p.tokens = 1;
    p.hidden = 4;
    ck_assert_int_eq(qb_problem_tensor(&p, QB_ROLE_ZERO_POINTS, &info), QB_OK);
    ck_assert(info.format == QB_FORMAT_INT32 && info.bytes == 4 && info.alignment == 4 && info.traffic == 4);
    tensors.at[QB_ROLE_INPUT] = (void *)(uintptr_t)input;
    tensors.at[QB_ROLE_CODES] = codes;
    tensors.at[QB_ROLE_SCALES] = &scale;
    tensors.at[QB_ROLE_ZERO_POINTS] = &zero_point;
    ck_assert_int_eq(qb_reference_run(&p, &tensors), QB_OK);
    ck_assert(scale == 0x1.010102p-6f && zero_point == -64 && codes[0] == -128 && codes[3] == 127);
    tensors.at[QB_ROLE_INPUT] = (void *)(uintptr_t)far;
    ck_assert_int_eq(qb_reference_run(&p, &tensors), QB_OK);
    ck_assert(zero_point == -128 && codes[0] == 127 && codes[3] == -128);
    ck_assert_int_eq(qb_reference_run_as(&p, &open, &tensors), QB_OK);
    ck_assert_int_eq(zero_point, -128 - 255000);
    ck_assert(codes[0] == -128 && abs(codes[1]) <= 1 && codes[2] == 127 && codes[3] == -128);
    p.scaling = QB_SCALING_STATIC;
    scale = 1;
    zero_point = -1000;
    ck_assert_int_eq(qb_reference_run(&p, &tensors), QB_OK);
    ck_assert(codes[0] == 0 && codes[1] == 0 && codes[2] == 1 && codes[3] == -128);
    zero_point = INT32_MAX;
    ck_assert_int_eq(qb_reference_run(&p, &tensors), QB_OK);
    ck_assert(codes[0] == 127 && codes[3] == 127);
    p.operation = QB_OPERATION_DEQUANTIZE;
    ck_assert_int_eq(qb_problem_validate(&p), QB_OK);
    for (size_t i = 0; i < qb_kernel_count(); i++) {
        struct qb_device *cpu;

        ck_assert_int_eq(qb_device_open(qb_backend_find("cpu"), 0, &cpu), QB_OK);
        ck_assert(!qb_kernel_supports(qb_kernel_at(i), cpu, &p));
        qb_device_close(cpu);
    }
}
END_TEST

/* ---- Layouts --------------------------------------------------------------------------------------------------- */

static const struct {
    enum qb_format scale_format;
    enum qb_scale_layout layout;
    uint64_t tokens, groups, row, col, offset, bytes;
} worked[] = {
    {QB_FORMAT_E4M3, QB_SCALE_LAYOUT_TILED_128X4, 130, 6, 129, 5, 1553, 2048},
    {QB_FORMAT_E4M3, QB_SCALE_LAYOUT_TILED_128X4, 130, 6, 33, 2, 22, 2048},
    {QB_FORMAT_E4M3, QB_SCALE_LAYOUT_TILED_8X4, 10, 6, 9, 5, 101, 128},
    {QB_FORMAT_F32, QB_SCALE_LAYOUT_COLUMNS, 5, 3, 4, 2, 80, 96},
    {QB_FORMAT_E8M0, QB_SCALE_LAYOUT_PACKED, 5, 5, 3, 4, 44, 64},
};

static struct qb_problem scales_of(enum qb_format scale_format, enum qb_scale_layout layout, uint64_t tokens,
                                   uint64_t groups)
{
    struct qb_problem p = groups_of(QB_FORMAT_E4M3, scale_format, 16);

    p.scale_layout = layout;
    p.tokens = tokens;
    p.hidden = groups * 16;
    return p;
}

START_TEST(worked_examples_of_layouts)
{
    const struct qb_problem p =
        scales_of(worked[_i].scale_format, worked[_i].layout, worked[_i].tokens, worked[_i].groups);
    struct qb_tensor_info info = {.size = sizeof info};
    uint64_t offset = 0;

    ck_assert_int_eq(qb_problem_scale_offset(&p, worked[_i].row, worked[_i].col, &offset), QB_OK);
    ck_assert_uint_eq(offset, worked[_i].offset);
    ck_assert_int_eq(qb_problem_tensor(&p, QB_ROLE_SCALES, &info), QB_OK);
    ck_assert_uint_eq(info.bytes, worked[_i].bytes);
    ck_assert_uint_eq(info.traffic, worked[_i].bytes);
}
END_TEST

/* Each scale has a place of its own, within the tensor, and the reference writes 0 to all others. */
START_TEST(layouts_invert_and_their_padding_is_zero)
{
    static const uint64_t rows[] = {1, 5, 8, 127, 128, 129, 130}, groups[] = {1, 3, 4, 5, 63};
    const enum qb_scale_layout layout = (enum qb_scale_layout)_i;

    for (size_t i = 0; i < 35; i++) {
        const uint64_t tokens = rows[i / 5], across = groups[i % 5];
        struct qb_problem p = scales_of(QB_FORMAT_E8M0, layout, tokens, across);
        struct qb_tensor_info info = {.size = sizeof info};
        uint64_t offset = 0;
        uint8_t *scales;
        float *input;

        p.input = QB_FORMAT_F32;
        p.scaling = QB_SCALING_AMAX;
        ck_assert_int_eq(qb_problem_tensor(&p, QB_ROLE_SCALES, &info), QB_OK);
        scales = malloc(info.bytes);
        input = malloc(tokens * p.hidden * sizeof *input);
        ck_assert(scales != NULL && input != NULL);
        memset(scales, 0xA5, info.bytes);
        for (uint64_t e = 0; e < tokens * p.hidden; e++) { /* the scale of tile i is code 1 + i % 250 */
            input[e] = 448 * ldexpf(1, (int)(e / 16 % 250) + 1 - 127 > 118 ? 118 : (int)(e / 16 % 250) + 1 - 127);
        }
        ck_assert_int_eq(qb_reference_run(&p, &(struct qb_tensors)QB_TENSORS(input, NULL, (float *)scales)), QB_OK);
        for (uint64_t tile = 0; tile < tokens * across; tile++) {
            const uint64_t code = tile % 250 + 1 > 245 ? 245 : tile % 250 + 1;

            ck_assert_int_eq(qb_problem_scale_offset(&p, tile / across, tile % across, &offset), QB_OK);
            ck_assert_uint_lt(offset, info.bytes);
            ck_assert_uint_eq(scales[offset], code);
            scales[offset] = 0; /* a second one here would not find its own */
        }
        for (uint64_t byte = 0; byte < info.bytes; byte++) {
            ck_assert_uint_eq(scales[byte], 0);
        }
        ck_assert_int_eq(qb_problem_scale_offset(&p, tokens, 0, &offset), QB_ERROR_INVALID);
        ck_assert_int_eq(qb_problem_scale_offset(&p, 0, across, &offset), QB_ERROR_INVALID);
        free(scales);
        free(input);
    }
}
END_TEST

/* ---- Packing ----------------------------------------------------------------------------------------------------- */

START_TEST(codes_are_packed_low_first)
{
    const uint8_t codes[5] = {1, 2, 3, 4, 5};
    uint8_t packed[8], back[5];

    memset(packed, 0xFF, sizeof packed);
    qb_codes_pack(QB_FORMAT_INT4, QB_PACKING_BYTES, codes, 5, packed);
    ck_assert(memcmp(packed, "\x21\x43\x05\xFF", 4) == 0);
    qb_codes_unpack(QB_FORMAT_INT4, QB_PACKING_BYTES, packed, 1, 3, back);
    ck_assert(memcmp(back, "\2\3\4", 3) == 0);
    ck_assert_uint_eq(qb_codes_bytes(QB_FORMAT_INT4, QB_PACKING_BYTES, 5), 3);

    memset(packed, 0xFF, sizeof packed);
    qb_codes_pack(QB_FORMAT_E2M3, QB_PACKING_DENSE, codes, 5, packed);
    /* 1 | 2 << 6 | 3 << 12 | 4 << 18 = 0x103081 */
    ck_assert(memcmp(packed, "\x81\x30\x10\x05\xFF", 5) == 0);
    qb_codes_unpack(QB_FORMAT_E2M3, QB_PACKING_DENSE, packed, 0, 5, back);
    ck_assert(memcmp(back, codes, 5) == 0);
    ck_assert_uint_eq(qb_codes_bytes(QB_FORMAT_E2M3, QB_PACKING_DENSE, 5), 4);
    ck_assert_uint_eq(qb_codes_bytes(QB_FORMAT_E2M3, QB_PACKING_BYTES, 5), 5);
}
END_TEST

/* Rows begin at bytes, and what is left of a row's last byte is 0. */
START_TEST(tails_of_rows_are_zero)
{
    static const uint64_t hiddens[] = {1, 15, 17, 33};
    static const enum qb_format outputs[] = {QB_FORMAT_E2M1, QB_FORMAT_E2M3, QB_FORMAT_E3M2, QB_FORMAT_INT4};
    struct qb_problem p = groups_of(outputs[_i], QB_FORMAT_F32, 16);

    p.input = QB_FORMAT_F32;
    p.tokens = 2;
    p.packing = outputs[_i] == QB_FORMAT_E2M3 || outputs[_i] == QB_FORMAT_E3M2 ? QB_PACKING_DENSE : QB_PACKING_BYTES;
    for (size_t i = 0; i < sizeof hiddens / sizeof hiddens[0]; i++) {
        const uint64_t row = qb_codes_bytes(p.output, p.packing, hiddens[i]);
        const unsigned bits = qb_format_info(p.output)->bits;
        struct qb_tensor_info info = {.size = sizeof info};
        float input[66], scales[6];
        uint8_t codes[66], one[33];

        p.hidden = hiddens[i];
        for (int e = 0; e < 66; e++) {
            input[e] = -1; /* a code with its highest bit set */
        }
        memset(codes, 0xFF, sizeof codes);
        ck_assert_int_eq(qb_problem_tensor(&p, QB_ROLE_CODES, &info), QB_OK);
        ck_assert_uint_eq(info.bytes, qb_codes_bytes(p.output, p.packing, info.stride) + row);
        ck_assert_int_eq(qb_reference_run(&p, &(struct qb_tensors)QB_TENSORS(input, codes, scales)), QB_OK);
        for (uint64_t r = 0; r < 2; r++) {
            const uint8_t *at = codes + r * (info.bytes - row);

            qb_codes_unpack(p.output, p.packing, at, 0, p.hidden, one);
            for (uint64_t c = 0; c < p.hidden; c++) {
                ck_assert(qb_format_decode(p.output, one[c]) * scales[0] == -1);
            }
            ck_assert_uint_eq(at[row - 1] >> (p.hidden * bits - 1) % 8 >> 1, 0);
        }
        ck_assert_uint_eq(codes[info.bytes], 0xFF);
    }
}
END_TEST

/* ---- Definitions ------------------------------------------------------------------------------------------------- */

/* The reference's scale of E8M0 for one amax. */
static unsigned power_of(enum qb_format output, enum qb_scale_rounding rounding, float amax)
{
    struct qb_problem p = groups_of(output, QB_FORMAT_E8M0, 32);
    uint8_t scale = 0xAA;

    p.input = QB_FORMAT_F32;
    p.hidden = 1;
    p.scaling = QB_SCALING_AMAX;
    p.scale_rounding = rounding;
    ck_assert_int_eq(qb_reference_run(&p, &(struct qb_tensors)QB_TENSORS(&amax, NULL, (float *)&scale)), QB_OK);
    return scale;
}

/* FLOOR loses up to half of the range, UP nothing, EVEN at most half of a code's last place. */
START_TEST(roundings_of_scales_by_definition)
{
    static const enum qb_format outputs[] = {QB_FORMAT_E4M3, QB_FORMAT_E5M2, QB_FORMAT_E2M1, QB_FORMAT_E2M3,
                                             QB_FORMAT_E3M2};
    const struct qb_format_info *output = qb_format_info(outputs[_i]);
    uint64_t state = test_seed();

    for (int i = 0; i < 2000; i++) {
        const uint64_t bits = test_random(&state);
        const float mantissa = 1 + (float)(bits & 0x7FFFFF) * 0x1p-23f;
        const float amax = ldexpf(i % 4 == 0 ? (float)(8 + bits % 9) / 8 : mantissa, (int)(bits >> 40 & 0x7F) - 64);
        const unsigned up = power_of(outputs[_i], QB_SCALE_ROUNDING_UP, amax);
        const unsigned floor_code = power_of(outputs[_i], QB_SCALE_ROUNDING_FLOOR, amax);
        const unsigned even = power_of(outputs[_i], QB_SCALE_ROUNDING_EVEN, amax);
        int exponent, largest;
        const float fraction = frexpf(amax, &exponent) * 2;

        frexpf(output->largest, &largest);
        ck_assert(ldexpf(output->largest, (int)up - 127) >= amax);
        ck_assert(ldexpf(output->largest, (int)up - 128) < amax);
        ck_assert_int_eq((int)floor_code - 127, exponent - largest);
        ck_assert_int_eq((int)even - (int)floor_code, fraction >= 2 - ldexpf(1, -1 - (int)output->mantissa_bits));
    }
    ck_assert_uint_eq(power_of(outputs[_i], QB_SCALE_ROUNDING_UP, 0), 0);
    ck_assert_uint_eq(power_of(outputs[_i], QB_SCALE_ROUNDING_UP, 0x1p-149f), 0);
    ck_assert_uint_eq(power_of(outputs[_i], QB_SCALE_ROUNDING_FLOOR, 0x1p-149f), 0);
    ck_assert_uint_eq(power_of(outputs[_i], QB_SCALE_ROUNDING_UP, NAN), 0);
    ck_assert_uint_eq(power_of(outputs[_i], QB_SCALE_ROUNDING_UP, INFINITY),
                      power_of(outputs[_i], QB_SCALE_ROUNDING_UP, 0x1.FFFFFEp127f));
}
END_TEST

/* A scale in half is the nearest one to amax / 7, from 2^-24 to 65504, and elements are divided by that. */
START_TEST(scales_in_half_by_definition)
{
    struct qb_problem p = groups_of(QB_FORMAT_INT4, QB_FORMAT_F16, 32);
    uint64_t state = test_seed();

    p.input = QB_FORMAT_F32;
    p.hidden = 2;
    for (int i = 0; i < 5000; i++) {
        const uint64_t bits = test_random(&state);
        float input[2] = {ldexpf(1 + (float)(bits & 0x7FFFFF) * 0x1p-23f, (int)(bits >> 40 & 63) - 32), 0};
        const double quotient = (double)(input[0] / 7);
        uint16_t code = 0;
        uint8_t packed = 0;
        double scale, below, above;

        input[1] = input[0] * (float)(bits >> 56) / 300;
        ck_assert_int_eq(qb_reference_run(&p, &(struct qb_tensors)QB_TENSORS(input, &packed, &code)), QB_OK);
        scale = (double)qb_format_decode(QB_FORMAT_F16, code);
        below = (double)qb_format_decode(QB_FORMAT_F16, code - 1u);
        above = (double)qb_format_decode(QB_FORMAT_F16, code + 1u);
        ck_assert(scale >= 0x1p-24 && scale <= 65504);
        ck_assert(scale == 0x1p-24 || quotient > 65504 || quotient - below >= scale - quotient);
        ck_assert(scale == 65504 || quotient < 0x1p-24 || above - quotient >= quotient - scale);
        ck_assert_uint_eq(packed >> 4, qb_format_encode(QB_FORMAT_INT4, input[1] / (float)scale));
        ck_assert_uint_eq(packed & 15, qb_format_encode(QB_FORMAT_INT4, input[0] / (float)scale));
    }
}
END_TEST

/* All codes of E8M0 that can be given, the ends of the exponents too: a value comes back through codes of E4M3. */
START_TEST(given_power_of_two_scales_take_all_codes)
{
    struct qb_problem p = groups_of(QB_FORMAT_E4M3, QB_FORMAT_E8M0, 32);

    p.input = QB_FORMAT_F32;
    p.hidden = 1;
    p.scaling = QB_SCALING_STATIC;
    for (unsigned code = 0; code < 256; code++) {
        const float scale = qb_format_decode(QB_FORMAT_E8M0, code);
        const float x = code < 255 ? scale * (code > 250 ? 1 : 1.5f) : 1;
        uint8_t stored = (uint8_t)code, out = 0;

        ck_assert_int_eq(qb_reference_run(&p, &(struct qb_tensors)QB_TENSORS(&x, &out, (float *)&stored)), QB_OK);
        ck_assert_uint_eq(out, code == 255 ? 0x7F : code > 250 ? 0x38 : 0x3C);
        ck_assert(code == 255 ? isnan(scale) : scale == ldexpf(1, (int)code - 127));
    }
}
END_TEST

/* Constant tiles, one-sided tiles, NaN and infinity have usable scales, and 0 is exact. */
START_TEST(zero_points_of_hard_tiles)
{
    static const float tiles[][4] = {
        {3, 3, 3, 3},   {-2, -2, -2, -2},         {0, 0, 0, 0},
        {5, 6, 7, NAN}, {-1, 1, INFINITY, -4},    {-0.0f, 0, 0, 0},
        {1, 2, 3, 4},   {0x1p-149f, 0, NAN, NAN}, {-0x1.FFFFFEp127f, 0x1.FFFFFEp127f, 0, 0}};
    static const enum qb_format outputs[] = {QB_FORMAT_INT8, QB_FORMAT_INT4, QB_FORMAT_UINT4};
    const enum qb_format output = outputs[_i];
    struct qb_problem p = groups_of(output, QB_FORMAT_F32, 4);

    p.input = QB_FORMAT_F32;
    p.hidden = 4;
    p.zero_points = QB_ZERO_POINTS_INT8;
    for (size_t i = 0; i < sizeof tiles / sizeof tiles[0]; i++) {
        struct qb_tensors tensors = {.size = sizeof tensors};
        uint8_t packed[4], codes[4];
        int8_t zero_point = 99;
        float scale = NAN;

        tensors.at[QB_ROLE_INPUT] = (void *)(uintptr_t)tiles[i];
        tensors.at[QB_ROLE_CODES] = packed;
        tensors.at[QB_ROLE_SCALES] = &scale;
        tensors.at[QB_ROLE_ZERO_POINTS] = &zero_point;
        ck_assert_int_eq(qb_reference_run(&p, &tensors), QB_OK);
        ck_assert(isfinite(scale) && scale >= 0x1p-126f);
        qb_codes_unpack(output, QB_PACKING_BYTES, packed, 0, 4, codes);
        for (int e = 0; e < 4; e++) {
            const double value = ((double)qb_format_decode(output, codes[e]) - zero_point) * (double)scale;

            if (tiles[i][e] == 0 || isnan(tiles[i][e])) {
                ck_assert(value == 0);
            } else if (isfinite(tiles[i][e])) {
                /* Half a step, and one more of a step where the zero point was rounded. */
                ck_assert(fabs(value - (double)tiles[i][e]) <= (double)scale * 1.01 || i == 8);
            }
        }
    }
}
END_TEST

/* A tensor scale whose inverse is not finite, or tiny groups beside a large one, leave no NaN. */
START_TEST(tensor_scales_of_extreme_ranges)
{
    static const float amaxes[] = {0, 0x1p-149f, 0x1p-126f, 1, 0x1.FFFFFEp127f};
    struct qb_problem p = groups_of(QB_FORMAT_E2M1, QB_FORMAT_E4M3, 16);

    p.input = QB_FORMAT_F32;
    p.tensor_scale = QB_TENSOR_SCALE_COMPUTED;
    for (size_t i = 0; i < sizeof amaxes / sizeof amaxes[0]; i++) {
        struct qb_tensors tensors = {.size = sizeof tensors};
        float input[32] = {amaxes[i], -amaxes[i]}, tensor_scale = NAN;
        uint8_t codes[16], scales[2];

        input[20] = amaxes[i] * 0x1p-40f;
        tensors.at[QB_ROLE_INPUT] = input;
        tensors.at[QB_ROLE_CODES] = codes;
        tensors.at[QB_ROLE_SCALES] = scales;
        tensors.at[QB_ROLE_TENSOR_SCALE] = &tensor_scale;
        ck_assert_int_eq(qb_reference_run(&p, &tensors), QB_OK);
        ck_assert(isfinite(tensor_scale) && tensor_scale > 0);
        ck_assert_uint_le(scales[0], 0x7E);
        ck_assert_uint_le(scales[1], 0x7E);
        ck_assert_uint_eq(codes[1], 0); /* what is 0 stays it */
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("narrow");
    TCase *golden = patient_case("golden"), *places = patient_case("places"), *rules = patient_case("rules");

    tcase_add_loop_test(golden, golden_vectors_of_power_of_two_scales, 0, sizeof powers / sizeof powers[0]);
    tcase_add_test(golden, golden_vectors_of_a_tensor_scale);
    tcase_add_test(golden, golden_vectors_of_zero_points);
    tcase_add_test(golden, zero_points_of_32_bits);
    suite_add_tcase(suite, golden);
    tcase_add_loop_test(places, worked_examples_of_layouts, 0, sizeof worked / sizeof worked[0]);
    tcase_add_loop_test(places, layouts_invert_and_their_padding_is_zero, 0, QB_SCALE_LAYOUT_COUNT);
    tcase_add_test(places, codes_are_packed_low_first);
    tcase_add_loop_test(places, tails_of_rows_are_zero, 0, 4);
    suite_add_tcase(suite, places);
    tcase_add_loop_test(rules, roundings_of_scales_by_definition, 0, 5);
    tcase_add_test(rules, scales_in_half_by_definition);
    tcase_add_test(rules, given_power_of_two_scales_take_all_codes);
    tcase_add_loop_test(rules, zero_points_of_hard_tiles, 0, 3);
    tcase_add_test(rules, tensor_scales_of_extreme_ranges);
    suite_add_tcase(suite, rules);
    return run_suite(suite);
}
