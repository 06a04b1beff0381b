/* SPDX-License-Identifier: Apache-2.0 */
/* check_experts.c - problems with experts: members, tensors, tables, and the reference, whose results are those of a
 * problem for each expert, put in their places by formulas of this file. */
#include <config.h>

#include "cpu/experts.h"
#include "quantbench.h"
#include "run.h"
#include "tensor_info.h"

#include <stdlib.h>
#include <string.h>

#define POISON       0xA5
#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

/* Four experts with 10 rows, half to E4M3 in groups of 4, six columns. */
static struct qb_problem problem_of(enum qb_expert_rows rows)
{
    struct qb_problem p;

    qb_problem_init(&p);
    p.output = QB_FORMAT_E4M3;
    p.granularity = QB_GRANULARITY_GROUP;
    p.group = 4;
    p.experts = 4;
    p.expert_rows = rows;
    p.tokens = rows == QB_EXPERT_ROWS_MASKED ? 20 : 12;
    p.hidden = 6;
    return p;
}

/* Rows of two, none, five and three; the first row, and the last, are nobody's. */
static const int64_t offsets[] = {1, 3, 3, 8, 11}, counts[] = {2, 0, 5, 3};

static const int64_t *table_of(const struct qb_problem *p)
{
    return p->expert_rows == QB_EXPERT_ROWS_MASKED ? counts : offsets;
}

static uint64_t first_of(const struct qb_problem *p, uint64_t e)
{
    return p->expert_rows == QB_EXPERT_ROWS_MASKED ? 5 * e : (uint64_t)offsets[e];
}

/* ---- Members --------------------------------------------------------------------------------------------------- */

static const struct {
    const char *word;
    struct qb_problem change; /* members that are not 0 replace those of a valid problem */
} invalid[] = {
    {"quantize, silu-mul or gelu-mul", {.operation = QB_OPERATION_RMS_NORM}},
    {"quantize, silu-mul or gelu-mul", {.operation = QB_OPERATION_DEQUANTIZE, .scaling = QB_SCALING_STATIC}},
    {"quantize, silu-mul or gelu-mul", {.operation = QB_OPERATION_DUAL}},
    {"tensor, token or group", {.granularity = QB_GRANULARITY_CHANNEL}},
    {"tensor, token or group", {.granularity = QB_GRANULARITY_BLOCK, .block_rows = 2}},
    {"conflict with zero points", {.output = QB_FORMAT_INT8, .zero_points = QB_ZERO_POINTS_INT8}},
    {"a multiple of 3 experts", {.expert_rows = QB_EXPERT_ROWS_MASKED, .experts = 3, .tokens = 20}},
    {"expert rows 7", {.expert_rows = (enum qb_expert_rows)7}},
    {"21 expected tokens", {.expert_tokens = 21, .tokens = 20}},
    {"too many", {.experts = UINT64_MAX / 2}},
    {"scale stride 4", {.scale_layout = QB_SCALE_LAYOUT_COLUMNS, .scale_stride = 4}},
};

START_TEST(members_out_of_range_are_named)
{
    struct qb_problem p = problem_of(QB_EXPERT_ROWS_OFFSETS);
    const struct qb_problem *change = &invalid[_i].change;

#define CHANGE(member) p.member = change->member != 0 ? change->member : p.member
    CHANGE(operation);
    CHANGE(output);
    CHANGE(granularity);
    CHANGE(scaling);
    CHANGE(scale_layout);
    CHANGE(scale_stride);
    CHANGE(zero_points);
    CHANGE(block_rows);
    CHANGE(tokens);
    CHANGE(experts);
    CHANGE(expert_rows);
    CHANGE(expert_tokens);
    p.block_cols = 2;
    ck_assert_int_eq(qb_problem_validate(&p), QB_ERROR_INVALID);
    ck_assert_msg(strstr(qb_error_detail(), invalid[_i].word) != NULL, "'%s' does not hold '%s'", qb_error_detail(),
                  invalid[_i].word);
}
END_TEST

START_TEST(rows_of_experts_require_experts)
{
    struct qb_problem p = problem_of(QB_EXPERT_ROWS_MASKED);

    p.experts = 0;
    ck_assert_int_eq(qb_problem_validate(&p), QB_ERROR_INVALID);
    p.expert_rows = QB_EXPERT_ROWS_OFFSETS;
    ck_assert_int_eq(qb_problem_validate(&p), QB_OK);
    p.expert_tokens = 1;
    ck_assert_int_eq(qb_problem_validate(&p), QB_ERROR_INVALID);
    /* A stride of each expert's own tensor. */
    p = problem_of(QB_EXPERT_ROWS_MASKED);
    p.scale_layout = QB_SCALE_LAYOUT_COLUMNS;
    p.scale_stride = 5;
    ck_assert_int_eq(qb_problem_validate(&p), QB_OK);
    p.scale_stride = 4;
    ck_assert_int_eq(qb_problem_validate(&p), QB_ERROR_INVALID);
    ck_assert_str_eq(qb_expert_rows_name(QB_EXPERT_ROWS_OFFSETS), "offsets");
    ck_assert_str_eq(qb_expert_rows_name(QB_EXPERT_ROWS_MASKED), "masked");
    ck_assert_ptr_null(qb_expert_rows_name((enum qb_expert_rows)QB_EXPERT_ROWS_COUNT));
}
END_TEST

/* ---- Tensors --------------------------------------------------------------------------------------------------- */

START_TEST(tensors_of_experts)
{
    struct qb_problem p = problem_of(QB_EXPERT_ROWS_OFFSETS);
    uint64_t read, written;

    tensor_is(&p, QB_ROLE_EXPERTS, false, 64, 5, 1, 1, 40);
    tensor_is(&p, QB_ROLE_SCALES, true, 32, 12, 2, 2, 96);
    ck_assert_str_eq(qb_role_name(QB_ROLE_EXPERTS), "experts");
    p.expert_tokens = 10;
    tensor_is(&p, QB_ROLE_INPUT, false, 16, 12, 6, 6, 120);
    tensor_is(&p, QB_ROLE_CODES, true, 8, 12, 6, 6, 60);
    tensor_is(&p, QB_ROLE_SCALES, true, 32, 12, 2, 2, 80);
    qb_problem_traffic(&p, &read, &written);
    ck_assert(read == 160 && written == 140);
    p.granularity = QB_GRANULARITY_TENSOR;
    tensor_is(&p, QB_ROLE_SCALES, true, 32, 4, 1, 1, 16);
    p = problem_of(QB_EXPERT_ROWS_MASKED);
    tensor_is(&p, QB_ROLE_EXPERTS, false, 64, 4, 1, 1, 32);
    tensor_is(&p, QB_ROLE_SCALES, true, 32, 20, 2, 2, 160);
    p.scale_layout = QB_SCALE_LAYOUT_COLUMNS;
    tensor_is(&p, QB_ROLE_SCALES, true, 32, 4 * 2, 8, 8, 160);
    p.granularity = QB_GRANULARITY_GROUP;
    p.operation = QB_OPERATION_SILU_MUL;
    p.keep_values = 1;
    tensor_is(&p, QB_ROLE_INPUT, false, 16, 20, 12, 12, 480);
    tensor_is(&p, QB_ROLE_VALUES, true, 16, 20, 6, 6, 240);
    p.experts = 0;
    p.expert_rows = QB_EXPERT_ROWS_OFFSETS;
    is_absent(&p, QB_ROLE_EXPERTS);
}
END_TEST

/* Tiles have room for any table: twelve rows may be two tiles of 8, and with some of each expert five. */
START_TEST(tensors_of_tiles)
{
    struct qb_problem p = problem_of(QB_EXPERT_ROWS_OFFSETS);

    p.scale_format = QB_FORMAT_E8M0;
    p.scale_layout = QB_SCALE_LAYOUT_TILED_8X4;
    tensor_is(&p, QB_ROLE_SCALES, true, 8, 5, 32, 32, 64);
    p.scale_layout = QB_SCALE_LAYOUT_TILED_128X4;
    tensor_is(&p, QB_ROLE_SCALES, true, 8, 4, 512, 512, 512);
    p.tokens = 2; /* of which two experts at most have some */
    tensor_is(&p, QB_ROLE_SCALES, true, 8, 2, 512, 512, 512);
    p = problem_of(QB_EXPERT_ROWS_MASKED);
    p.scale_format = QB_FORMAT_E8M0;
    p.scale_layout = QB_SCALE_LAYOUT_TILED_128X4;
    tensor_is(&p, QB_ROLE_SCALES, true, 8, 4, 512, 512, 512);
    p.scale_format = QB_FORMAT_E4M3;
    p.tensor_scale = QB_TENSOR_SCALE_GIVEN;
    tensor_is(&p, QB_ROLE_TENSOR_SCALE, false, 32, 4, 1, 1, 16);
}
END_TEST

/* The example of quantbench-numerics(7). */
START_TEST(example_of_the_manual)
{
    struct qb_problem p = problem_of(QB_EXPERT_ROWS_OFFSETS), part = {.size = sizeof part};
    static const int64_t table[] = {0, 130, 131};
    char base;

    p.scale_format = QB_FORMAT_E8M0;
    p.scale_layout = QB_SCALE_LAYOUT_TILED_128X4;
    p.experts = 2;
    p.tokens = 140;
    p.hidden = 24;
    tensor_is(&p, QB_ROLE_SCALES, true, 8, 6, 512, 512, 2 * 2 * 512);
    for (uint64_t e = 0; e < 2; e++) {
        struct qb_tensors t = QB_TENSORS(NULL, NULL, &base);

        ck_assert_int_eq(qb_problem_expert(&p, table, e, &part, &t), QB_OK);
        ck_assert_ptr_eq(t.at[QB_ROLE_SCALES], &base + e * 4 * 512);
        tensor_is(&part, QB_ROLE_SCALES, true, 8, e == 0 ? 4 : 2, 512, 512, (e == 0 ? 4 : 2) * 512);
    }
}
END_TEST

/* Tables that break the rules, one after the other: which they are is named. */
START_TEST(tables)
{
    static const struct {
        enum qb_expert_rows rows;
        int64_t table[5];
        const char *word;
    } broken[] = {
        {QB_EXPERT_ROWS_OFFSETS, {-1, 3, 3, 8, 11}, "offset -1 of expert 0"},
        {QB_EXPERT_ROWS_OFFSETS, {1, 3, 2, 8, 11}, "offset 2 of expert 2 is less"},
        {QB_EXPERT_ROWS_OFFSETS, {1, 3, 3, 8, 13}, "expected 0 to 12"},
        {QB_EXPERT_ROWS_MASKED, {2, 0, 6, 3}, "count 6 of expert 2; expected 0 to 5"},
        {QB_EXPERT_ROWS_MASKED, {2, -1, 5, 3}, "count -1 of expert 1"},
    };
    const struct qb_problem p = problem_of(broken[_i].rows);
    uint16_t input[20 * 6] = {0};
    uint8_t codes[20 * 6];
    float scales[20 * 2];
    struct qb_tensors tensors = QB_TENSORS(input, codes, scales);
    struct qb_problem part = {.size = sizeof part};

    memset(codes, POISON, sizeof codes);
    tensors.at[QB_ROLE_EXPERTS] = (void *)(uintptr_t)broken[_i].table;
    ck_assert_int_eq(qb_reference_run(&p, &tensors), QB_ERROR_INVALID);
    ck_assert_msg(strstr(qb_error_detail(), broken[_i].word) != NULL, "'%s'", qb_error_detail());
    for (size_t i = 0; i < sizeof codes; i++) {
        ck_assert_uint_eq(codes[i], POISON);
    }
    ck_assert_int_eq(qb_problem_expert(&p, broken[_i].table, 0, &part, &tensors), QB_ERROR_INVALID);
    ck_assert_int_eq(qb_problem_expert(&p, table_of(&p), 4, &part, &tensors), QB_ERROR_INVALID);
    tensors.at[QB_ROLE_EXPERTS] = NULL;
    ck_assert_int_eq(qb_reference_run(&p, &tensors), QB_ERROR_INVALID);
}
END_TEST

/* ---- Results --------------------------------------------------------------------------------------------------- */

/* The tensors of a run, and what is right. */
struct memory {
    char *at[QB_ROLE_COUNT], *want[QB_ROLE_COUNT];
    uint64_t bytes[QB_ROLE_COUNT];
};

static void make(const struct qb_problem *p, struct memory *m)
{
    uint64_t state = test_seed() + 5;

    for (int role = 0; role < QB_ROLE_COUNT; role++) {
        struct qb_tensor_info info = {.size = sizeof info};

        ck_assert_int_eq(qb_problem_tensor(p, (enum qb_role)role, &info), QB_OK);
        m->bytes[role] = info.bytes;
        m->at[role] = info.present ? malloc(info.bytes + 1) : NULL;
        m->want[role] = info.present ? malloc(info.bytes + 1) : NULL;
        for (uint64_t i = 0; info.present && i < info.bytes; i++) {
            m->at[role][i] = m->want[role][i] = (char)POISON;
        }
        for (uint64_t i = 0; role == QB_ROLE_INPUT && i < info.bytes / 2; i++) {
            const float x = (float)(int16_t)(test_random(&state) >> 40) / (float)(1 << (test_random(&state) >> 60));

            ((uint16_t *)(void *)m->at[role])[i] = (uint16_t)qb_format_encode(QB_FORMAT_F16, x);
        }
        if (role == QB_ROLE_EXPERTS && info.present) {
            memcpy(m->at[role], table_of(p), info.bytes);
        }
    }
    for (uint64_t i = 0; p->scaling == QB_SCALING_STATIC && i < m->bytes[QB_ROLE_SCALES] / 4; i++) {
        ((float *)(void *)m->at[QB_ROLE_SCALES])[i] = (float)(1 + i);
        ((float *)(void *)m->want[QB_ROLE_SCALES])[i] = (float)(1 + i);
    }
    for (uint64_t i = 0; p->tensor_scale == QB_TENSOR_SCALE_GIVEN && i < p->experts; i++) {
        ((float *)(void *)m->at[QB_ROLE_TENSOR_SCALE])[i] = 1 / (float)(1 + i);
        ((float *)(void *)m->want[QB_ROLE_TENSOR_SCALE])[i] = 1 / (float)(1 + i);
    }
}

static void release(struct memory *m)
{
    for (int role = 0; role < QB_ROLE_COUNT; role++) {
        free(m->at[role]);
        free(m->want[role]);
    }
}

/* Where scale COL of row ROW of expert E is, in elements: by the comment of struct qb_problem, with tiles that begin
 * after as many rows of tiles as BEFORE. */
static uint64_t place(const struct qb_problem *p, uint64_t e, uint64_t row, uint64_t col, uint64_t before)
{
    const bool masked = p->expert_rows == QB_EXPERT_ROWS_MASKED;
    const uint64_t groups = (p->hidden + p->group - 1) / p->group, line = first_of(p, e) + row;
    const uint64_t size = p->scale_format == QB_FORMAT_E8M0 || p->scale_format == QB_FORMAT_E4M3 ? 1 : 4;
    const uint64_t room = masked ? 5 : 12, across = (groups + 3) / 4;
    const uint64_t stride = p->scale_layout == QB_SCALE_LAYOUT_PACKED
                                ? (room + 3) / 4 * 4
                                : (room + 16 / size - 1) / (16 / size) * (16 / size);

    switch (p->scale_layout) {
    case QB_SCALE_LAYOUT_ROWS:
        break;
    case QB_SCALE_LAYOUT_COLUMNS:
        return masked ? e * groups * stride + col * stride + row : col * stride + line;
    case QB_SCALE_LAYOUT_PACKED:
        return masked ? e * across * stride * 4 + 4 * (col / 4 * stride + row) + col % 4
                      : 4 * (col / 4 * stride + line) + col % 4;
    case QB_SCALE_LAYOUT_TILED_128X4:
        return ((masked ? e : before) * across + col / 4) * 512 + row % 32 * 16 + row / 32 * 4 + col % 4;
    case QB_SCALE_LAYOUT_TILED_8X4:
        return ((masked ? e : before) * across + col / 4) * 32 + row % 8 * 4 + col % 4;
    }
    return line * groups + col;
}

/* What the problem of an expert of ROWS rows, all of whose tensors are dense, makes of its input. */
static void expect_expert(const struct qb_problem *p, const struct memory *m, uint64_t e, uint64_t rows,
                          uint64_t before)
{
    const uint64_t groups = (p->hidden + p->group - 1) / p->group, first = first_of(p, e);
    const uint64_t input = (p->operation == QB_OPERATION_QUANTIZE ? 1 : 2) * p->hidden;
    const uint64_t row_bytes = qb_codes_bytes(p->output, p->packing, p->hidden);
    const size_t size = qb_format_info(p->scale_format)->bits / 8;
    const bool one = p->granularity == QB_GRANULARITY_TENSOR;
    const uint64_t high = p->scale_layout == QB_SCALE_LAYOUT_TILED_128X4 ? 128
                          : p->scale_layout == QB_SCALE_LAYOUT_TILED_8X4 ? 8
                                                                         : 0;
    struct qb_problem alone = *p;
    uint8_t scales[64];
    struct qb_tensors t =
        QB_TENSORS(m->at[QB_ROLE_INPUT] + first * input * 2, m->want[QB_ROLE_CODES] + first * row_bytes,
                   one ? (void *)(m->want[QB_ROLE_SCALES] + e * size) : (void *)scales);

    alone.experts = 0;
    alone.expert_rows = QB_EXPERT_ROWS_OFFSETS;
    alone.scale_layout = QB_SCALE_LAYOUT_ROWS;
    alone.tokens = rows;
    if (p->tensor_scale != QB_TENSOR_SCALE_NONE) {
        t.at[QB_ROLE_TENSOR_SCALE] = m->want[QB_ROLE_TENSOR_SCALE] + e * sizeof(float);
    }
    t.at[QB_ROLE_VALUES] = p->keep_values ? m->want[QB_ROLE_VALUES] + first * p->hidden * 2 : NULL;
    ck_assert_msg(qb_reference_run(&alone, &t) == QB_OK, "%s", qb_error_detail());
    /* Tiles and words that have a scale: their padding is 0. */
    for (uint64_t row = 0; !one && row < (high > 0 ? (rows + high - 1) / high * high : rows); row++) {
        const bool fours = high > 0 || p->scale_layout == QB_SCALE_LAYOUT_PACKED;

        for (uint64_t col = 0; col < (fours ? (groups + 3) / 4 * 4 : groups); col++) {
            static const uint8_t zero[4];
            const bool exists = row < rows && col < groups;

            memcpy(m->want[QB_ROLE_SCALES] + place(p, e, row, col, before) * size,
                   exists ? scales + (row * groups + col) * size : zero, size);
        }
    }
}

static void expect(const struct qb_problem *p, const struct memory *m)
{
    const uint64_t high = p->scale_layout == QB_SCALE_LAYOUT_TILED_128X4 ? 128 : 8;
    uint64_t before = 0;

    for (uint64_t e = 0; e < p->experts; e++) {
        expect_expert(p, m, e, (uint64_t)counts[e], before);
        before += ((uint64_t)counts[e] + high - 1) / high;
    }
}

/* The quantizations that are tried, each in all layouts that its scales can have. */
static struct qb_problem variant(int index)
{
    struct qb_problem p = problem_of((enum qb_expert_rows)(index % 2));

    p.operation = index / 2 % 3 == 0   ? QB_OPERATION_QUANTIZE
                  : index / 2 % 3 == 1 ? QB_OPERATION_SILU_MUL
                                       : QB_OPERATION_GELU_MUL;
    p.keep_values = p.operation != QB_OPERATION_QUANTIZE;
    p.scale_layout = (enum qb_scale_layout)(index / 6 % QB_SCALE_LAYOUT_COUNT);
    switch (index / 30) {
    case 0:
        break;
    case 1:
        p.scale_format = QB_FORMAT_E8M0;
        break;
    case 2:
    case 3:
        p.output = QB_FORMAT_E2M1;
        p.scale_format = QB_FORMAT_E4M3;
        p.tensor_scale = index / 30 == 2 ? QB_TENSOR_SCALE_GIVEN : QB_TENSOR_SCALE_COMPUTED;
        break;
    case 4:
        p.granularity = QB_GRANULARITY_TENSOR;
        break;
    case 5:
        p.granularity = QB_GRANULARITY_TENSOR;
        p.scaling = QB_SCALING_STATIC;
        break;
    default:
        p.granularity = QB_GRANULARITY_TOKEN;
        p.group = p.hidden;
        break;
    }
    return p;
}
#define VARIANTS (7 * 30)

/* The reference gives what each expert alone gives, and leaves all else as it was. */
START_TEST(experts_are_problems_of_their_own)
{
    const struct qb_problem p = variant(_i);
    struct qb_tensors tensors = {.size = sizeof tensors};
    struct memory m;

    if (qb_problem_validate(&p) != QB_OK) {
        ck_assert_msg(strstr(qb_error_detail(), "scale layout") != NULL, "%s", qb_error_detail());
        return;
    }
    make(&p, &m);
    expect(&p, &m);
    memcpy(tensors.at, m.at, sizeof m.at);
    ck_assert_msg(qb_reference_run(&p, &tensors) == QB_OK, "%s", qb_error_detail());
    for (int role = 0; role < QB_ROLE_COUNT; role++) {
        for (uint64_t i = 0; role != QB_ROLE_INPUT && role != QB_ROLE_EXPERTS && i < m.bytes[role]; i++) {
            ck_assert_msg(m.at[role][i] == m.want[role][i], "byte %ju of the %s: got 0x%02X, want 0x%02X", (uintmax_t)i,
                          qb_role_name((enum qb_role)role), (uint8_t)m.at[role][i], (uint8_t)m.want[role][i]);
        }
    }
    release(&m);
}
END_TEST

/* The parts of a problem are where its results are. */
START_TEST(parts)
{
    const struct qb_problem p = variant(_i);
    struct memory m;

    if (qb_problem_validate(&p) != QB_OK) {
        return;
    }
    make(&p, &m);
    for (uint64_t e = 0, before = 0; e < p.experts; e++) {
        const uint64_t high = p.scale_layout == QB_SCALE_LAYOUT_TILED_128X4 ? 128 : 8;
        const uint64_t cols = (p.operation == QB_OPERATION_QUANTIZE ? 1 : 2) * p.hidden;
        struct qb_problem part = {.size = sizeof part};
        struct qb_tensors t = {.size = sizeof t};

        memcpy(t.at, m.at, sizeof m.at);
        ck_assert_msg(qb_problem_expert(&p, table_of(&p), e, &part, &t) == QB_OK, "%s", qb_error_detail());
        ck_assert(part.experts == 0 && part.tokens == (uint64_t)counts[e]);
        ck_assert_msg(qb_problem_validate(&part) == QB_OK, "%s", qb_error_detail());
        ck_assert_ptr_eq(t.at[QB_ROLE_INPUT], m.at[QB_ROLE_INPUT] + 2 * cols * first_of(&p, e));
        for (uint64_t i = 0; p.granularity == QB_GRANULARITY_GROUP && i < 2 * part.tokens; i++) {
            uint64_t offset;

            ck_assert_int_eq(qb_problem_scale_offset(&part, i / 2, i % 2, &offset), QB_OK);
            ck_assert_ptr_eq((char *)t.at[QB_ROLE_SCALES] + offset,
                             m.at[QB_ROLE_SCALES] +
                                 place(&p, e, i / 2, i % 2, before) * (qb_format_info(p.scale_format)->bits / 8));
        }
        before += ((uint64_t)counts[e] + high - 1) / high;
    }
    release(&m);
}
END_TEST

/* An activation and the quantization of experts, one after the other, give what they give together. */
START_TEST(fused_is_the_composition)
{
    struct qb_problem p = variant(_i), q = {.size = sizeof q};
    struct qb_tensors tensors = {.size = sizeof tensors};
    struct memory m, other;

    if (qb_problem_validate(&p) != QB_OK || p.operation == QB_OPERATION_QUANTIZE) {
        return;
    }
    make(&p, &m);
    make(&p, &other);
    memcpy(tensors.at, m.at, sizeof m.at);
    ck_assert_int_eq(qb_reference_run(&p, &tensors), QB_OK);
    memcpy(tensors.at, other.at, sizeof other.at);
    ck_assert_int_eq(qb_reference_values(&p, &tensors), QB_OK);
    ck_assert_mem_eq(m.at[QB_ROLE_VALUES], other.at[QB_ROLE_VALUES], m.bytes[QB_ROLE_VALUES]);
    ck_assert_int_eq(qb_problem_quantization(&p, &q), QB_OK);
    ck_assert(q.experts == p.experts && q.expert_rows == p.expert_rows);
    tensors.at[QB_ROLE_INPUT] = tensors.at[QB_ROLE_VALUES];
    ck_assert_int_eq(qb_reference_run(&q, &tensors), QB_OK);
    ck_assert_mem_eq(m.at[QB_ROLE_CODES], other.at[QB_ROLE_CODES], m.bytes[QB_ROLE_CODES]);
    ck_assert_mem_eq(m.at[QB_ROLE_SCALES], other.at[QB_ROLE_SCALES], m.bytes[QB_ROLE_SCALES]);
    release(&m);
    release(&other);
}
END_TEST

/* ---- Threads of the CPU ---------------------------------------------------------------------------------------- */

/* Rows of experts, most of one of them. */
static const uint64_t shared[][6] = {
    {0, 4000, 0, 1, 0, 0}, {4096, 0, 0, 0, 0, 0},  {3, 5, 900, 2, 7, 11},
    {1, 1, 1, 1, 1, 5000}, {700, 0, 0, 0, 700, 1}, {100, 100, 100, 100, 100, 100},
};

/* Whichever expert has the rows, each thread gets as many of all as the others, but for the rows of a tile; and each
 * row is one thread's. */
START_TEST(a_hot_expert_is_shared_out_evenly)
{
    static const uint64_t heights[] = {1, 8, 128};
    const uint64_t *rows = shared[_i / COUNT(heights)], height = heights[_i % COUNT(heights)];
    uint64_t all = 0;

    for (int e = 0; e < 6; e++) {
        all += rows[e];
    }
    for (unsigned count = 1; count < 80; count++) {
        uint64_t next[6] = {0};

        for (unsigned index = 0; index < count; index++) {
            uint64_t begin, end, before = 0, got = 0;

            qb__cpu_split(all, 1, index, count, &begin, &end);
            for (int e = 0; e < 6; before += rows[e], e++) {
                const struct qb__cpu_share share = qb__cpu_share_of(begin, end, before, rows[e], height);

                ck_assert(share.rows == 0 || (share.first == next[e] && share.first % height == 0));
                next[e] += share.rows;
                got += share.rows;
            }
            ck_assert_msg(got < all / count + 1 + height && got + height > all / count,
                          "thread %u of %u has %ju of %ju rows", index, count, (uintmax_t)got, (uintmax_t)all);
        }
        ck_assert_mem_eq(next, rows, sizeof next);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("experts");
    TCase *tc = patient_case("experts");

    tcase_add_loop_test(tc, members_out_of_range_are_named, 0, COUNT(invalid));
    tcase_add_test(tc, rows_of_experts_require_experts);
    tcase_add_test(tc, tensors_of_experts);
    tcase_add_test(tc, tensors_of_tiles);
    tcase_add_test(tc, example_of_the_manual);
    tcase_add_loop_test(tc, tables, 0, 5);
    tcase_add_loop_test(tc, experts_are_problems_of_their_own, 0, VARIANTS);
    tcase_add_loop_test(tc, parts, 0, VARIANTS);
    tcase_add_loop_test(tc, fused_is_the_composition, 0, VARIANTS);
    tcase_add_loop_test(tc, a_hot_expert_is_shared_out_evenly, 0, 3 * COUNT(shared));
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
