/* SPDX-License-Identifier: Apache-2.0 */
/* hard_operation.c - see hard_operation.h. Data are made of steps; each has a kind, and all tensors that launches read.
 */
#include <config.h>

#include "cases/input.h"
#include "cases/inputs.h"
#include "check/change.h"
#include "check/hard_operation.h"
#include "check/scales.h"
#include "model/operation.h"
#include "model/sizes.h"
#include "model/tiling.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The elements of 16 bits that there are. Of 32 bits as many are drawn. */
#define PATTERNS 65536

/* Kinds of rows. */
#define ROW_KINDS 9

/* The kinds in their order. */
enum kind { GATES, UPS, ROWS, ANY_BITS, KINDS };
static const char *const kind_names[KINDS] = {
    [GATES] = "every gate", [UPS] = "every up", [ROWS] = "rows of hard kinds", [ANY_BITS] = "any bits"};

static uint64_t draw(struct hard_data *data)
{
    return input_random(data->placed += INPUT_RANDOM_STEP);
}

/* The steps of a kind. */
static size_t steps_of(const struct hard_data *data, enum kind kind)
{
    const struct qb_problem *p = &data->problem;
    const uint64_t elements = p->tokens * p->hidden;

    if (kind == GATES || kind == UPS) {
        return operation_is_gated(p->operation) ? (size_t)((PATTERNS + elements - 1) / elements) : 0;
    }
    if (kind == ROWS) { /* each kind of row, and once more with a residual that takes the input away */
        return p->operation == QB_OPERATION_DEQUANTIZE ? 0 : (size_t)((ROW_KINDS + p->tokens - 1) / p->tokens + 1);
    }
    return 2;
}

/* ---- Elements --------------------------------------------------------------------------------------------------- */

static void put(enum qb_format format, void *tensor, uint64_t index, uint32_t bits)
{
    if (qb_format_info(format)->bits == 32) {
        ((uint32_t *)tensor)[index] = bits;
    } else {
        ((uint16_t *)tensor)[index] = (uint16_t)bits;
    }
}

/* Element number I of those that there are, or one of them. For kernels with fast math, a normal number or 0. */
static uint32_t pattern(struct hard_data *data, enum qb_format format, uint64_t i)
{
    const struct qb_format_info *info = qb_format_info(format);
    uint32_t bits = info->bits == 32 ? (uint32_t)draw(data) : (uint32_t)i & (PATTERNS - 1);

    if (data->arithmetic.match != QB_MATCH_EXACT) {
        const uint32_t one = (uint32_t)info->bias << info->mantissa_bits, spread = (uint32_t)3 << info->mantissa_bits;

        bits = one - spread + bits % (2 * spread); /* from 1/8 to 8 */
    }
    return bits;
}

/* Gates of step STEP, and up. */
static void fill_gated(struct hard_data *data, enum kind kind, size_t step)
{
    const struct qb_problem *p = &data->problem;
    const uint32_t other = qb_format_encode(p->input, kind == GATES ? 1 : 1.5f);

    for (uint64_t i = 0; i < p->tokens * p->hidden; i++) {
        uint64_t up;
        const uint64_t gate = operation_gate(p, i, &up);
        const uint32_t hard = pattern(data, p->input, step * p->tokens * p->hidden + i);

        put(p->input, data->input, gate, kind == GATES ? hard : other);
        put(p->input, data->input, up, kind == GATES ? other : hard);
    }
}

/* An element of a row of the kind ROW: what is hard about sums. */
static float element_of_row(struct hard_data *data, uint64_t row, uint64_t col, const struct qb_format_info *info)
{
    const float unit = (float)(draw(data) % 1024) / 512 - 1, tiny = ldexpf(1, 1 - info->bias);

    if (data->arithmetic.match != QB_MATCH_EXACT) {
        return 1 + unit / 2;
    }
    switch (row % ROW_KINDS) {
    case 0: /* nothing */
        return 0;
    case 1: /* one element */
        return col == row ? info->largest : 0;
    case 2: /* the sum of the squares overflows, in formats that allow it */
        return unit < 0 ? -info->largest : info->largest;
    case 3: /* each square vanishes */
        return unit * tiny;
    case 4: /* subnormal */
        return unit * tiny / 4;
    case 5: /* not a number */
        return col == row ? NAN : unit;
    case 6: /* infinite */
        return col == row ? INFINITY : unit;
    case 7: /* of very different magnitudes */
        return ldexpf(unit, (int)(draw(data) % 24) - 12);
    default:
        return unit;
    }
}

static void fill_rows(struct hard_data *data, enum qb_format format, void *tensor, uint64_t rows, uint64_t cols,
                      size_t step)
{
    const struct qb_format_info *info = qb_format_info(format);

    for (uint64_t i = 0; i < rows * cols; i++) {
        put(format, tensor, i, qb_format_encode(format, element_of_row(data, i / cols + step * rows, i % cols, info)));
    }
}

/* Any bits. A row with one NaN has nothing else, so with a norm only some rows may have any. */
static void fill_bits(struct hard_data *data, enum qb_format format, void *tensor, uint64_t rows, uint64_t cols)
{
    const struct qb_format_info *info = qb_format_info(format);
    const bool is_norm = data->given.at[QB_ROLE_WEIGHTS] != NULL;

    for (uint64_t i = 0; i < rows * cols; i++) {
        uint32_t bits = pattern(data, format, draw(data));

        if (is_norm && (rows == 1 || i / cols % 4 != 3) && !isfinite(qb_format_decode(format, bits))) {
            bits ^= (uint32_t)1 << info->mantissa_bits; /* the exponent below that of NaN */
        }
        put(format, tensor, i, bits);
    }
}

/* Let the residual take away the input in every other row, but for one element. */
static void fill_residual(struct hard_data *data, void *residual)
{
    const struct qb_problem *p = &data->problem;
    const uint32_t sign = (uint32_t)1 << (qb_format_info(p->input)->bits - 1);

    for (uint64_t i = 0; i < p->tokens * p->hidden; i++) {
        if (i / p->hidden % 2 == 1 && i % p->hidden != 0) {
            put(p->input, residual, i, change_bits(p->input, data->input, i) ^ sign);
        }
    }
}

/* Positions of all kinds: the first, the last, and others, some of them again. */
static void fill_positions(struct hard_data *data, int64_t *positions)
{
    const struct qb_problem *p = &data->problem;

    for (uint64_t i = 0; i < p->tokens; i++) {
        positions[i] = i % 5 == 3 ? 0 : (int64_t)(i % 5 == 1 ? p->positions - 1 : draw(data) % p->positions);
    }
}

static void fill_data(struct hard_data *data, enum kind kind, size_t step)
{
    for (int role = 0; role < QB_ROLE_COUNT; role++) {
        void *tensor = role == QB_ROLE_INPUT ? data->input : data->given.at[role];
        struct qb_tensor_info info = {.size = sizeof info};

        qb_problem_tensor(&data->problem, (enum qb_role)role, &info);
        if (!inputs_have((enum qb_role)role) || !info.present) {
            continue;
        }
        if (role == QB_ROLE_WEIGHTS && kind != ANY_BITS) {
            input_generate_weights(info.format, step, info.cols, tensor);
        } else if (role == QB_ROLE_POSITIONS) {
            fill_positions(data, tensor);
        } else if (role == QB_ROLE_ANGLES && kind != ANY_BITS) {
            input_generate_angles(info.format, info.rows, info.cols, tensor);
        } else if (kind == ANY_BITS) {
            fill_bits(data, info.format, tensor, info.rows, info.cols);
        } else if (kind == ROWS) {
            fill_rows(data, info.format, tensor, info.rows, info.cols, step);
        } else {
            fill_gated(data, kind, step);
        }
    }
    if (data->given.at[QB_ROLE_RESIDUAL] != NULL && kind == ROWS && step + 1 == steps_of(data, ROWS)) {
        fill_residual(data, data->given.at[QB_ROLE_RESIDUAL]);
    }
}

/* ---- What is given ---------------------------------------------------------------------------------------------- */

/* A scale of FORMAT, finite and > 0: any where codes are dequantized, else one of a likely size. */
static uint32_t some_scale(struct hard_data *data, enum qb_format format)
{
    const struct qb_format_info *info = qb_format_info(format);

    if (data->problem.operation == QB_OPERATION_DEQUANTIZE && data->arithmetic.match == QB_MATCH_EXACT) {
        const uint32_t least = format == QB_FORMAT_E8M0 ? 0 : 1; /* which is a power of two there */

        return least + (uint32_t)(draw(data) % (info->largest_code + 1 - least));
    }
    return qb_format_encode(format, ldexpf(1 + (float)(draw(data) % 256) / 256, (int)(draw(data) % 12) - 8));
}

static void fill_scales(struct hard_data *data)
{
    const struct tiling tiling = tiling_of(&data->problem);
    void *zero_points = data->given.at[QB_ROLE_ZERO_POINTS];
    uint64_t offset = 0;

    for (uint64_t i = 0; i < tiling.scale_rows * tiling.scale_cols; i++) {
        const uint32_t scale = some_scale(data, data->problem.scale_format);

        qb_problem_scale_offset(&data->problem, i / tiling.scale_cols, i % tiling.scale_cols, &offset);
        memcpy((char *)data->given.at[QB_ROLE_SCALES] + offset, &scale, scales_element_size(&data->problem));
        if (zero_points != NULL) {
            scales_put_zero_point(&data->problem, zero_points, i, scales_some_zero_point(&data->problem, draw(data)));
        }
    }
}

static void fill_codes(struct hard_data *data)
{
    const struct sizes bytes = sizes_of(&data->problem);
    uint8_t *codes = data->given.at[QB_ROLE_CODES];

    for (uint64_t i = 0; i < bytes.of[QB_ROLE_CODES]; i++) {
        codes[i] = (uint8_t)draw(data);
    }
}

/* ---- The data --------------------------------------------------------------------------------------------------- */

bool hard_operation_begin(const struct qb_problem *problem, const struct qb_arithmetic *arithmetic,
                          struct hard_data *data)
{
    const struct sizes bytes = sizes_of(problem);

    *data = (struct hard_data){.problem = *problem,
                               .arithmetic = *arithmetic,
                               .tensor_scale = 1,
                               .input = malloc(bytes.of[QB_ROLE_INPUT] + 1)};
    return hard_data_make_given(data, &bytes) && data->input != NULL;
}

bool hard_operation_fill(struct hard_data *data)
{
    size_t step = data->item++;

    for (int kind = 0; kind < KINDS; kind++) {
        const size_t steps = steps_of(data, (enum kind)kind);

        if (step < steps) {
            data->kind = data->problem.operation == QB_OPERATION_DEQUANTIZE ? "any codes and scales" : kind_names[kind];
            fill_data(data, (enum kind)kind, step);
            if (data->given.at[QB_ROLE_SCALES] != NULL) {
                fill_scales(data);
            }
            if (data->given.at[QB_ROLE_CODES] != NULL) {
                fill_codes(data);
            }
            data->tensor_scale = 1000.0f / 2688;
            hard_data_give_tensor_scales(data);
            return true;
        }
        step -= steps;
    }
    return false;
}
