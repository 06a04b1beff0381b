/* SPDX-License-Identifier: Apache-2.0 */
/* scales.c - see scales.h. */
#include <config.h>

#include "check/scales.h"

#include <float.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- Scales ----------------------------------------------------------------------------------------------------- */

size_t scales_element_size(const struct qb_problem *problem)
{
    return qb_format_info(problem->scale_format)->bits / 8;
}

size_t scales_zero_point_size(const struct qb_problem *problem)
{
    return problem->zero_points == QB_ZERO_POINTS_INT32 ? sizeof(int32_t) : sizeof(int8_t);
}

int32_t scales_zero_point(const struct qb_problem *problem, const void *zero_points, uint64_t index)
{
    return problem->zero_points == QB_ZERO_POINTS_INT32 ? ((const int32_t *)zero_points)[index]
                                                        : ((const int8_t *)zero_points)[index];
}

void scales_put_zero_point(const struct qb_problem *problem, void *zero_points, uint64_t index, int32_t zero_point)
{
    /* The lower part first: these hosts are little-endian. */
    memcpy((char *)zero_points + index * scales_zero_point_size(problem), &zero_point, scales_zero_point_size(problem));
}

int32_t scales_some_zero_point(const struct qb_problem *problem, uint64_t random)
{
    const struct qb_format_info *output = qb_format_info(problem->output);
    const int32_t code = (int32_t)output->largest - (int32_t)(random % ((uint64_t)1 << output->bits));
    const bool is_beyond = problem->zero_points == QB_ZERO_POINTS_INT32 && random >> output->bits & 1;

    return !is_beyond ? code : code < 0 ? code - 1000 : code + 1000;
}

/* True if the stored scales multiply elements: symmetric ones in binary32 of such an arithmetic. */
static bool scales_are_multipliers(const struct qb_problem *problem, const struct qb_arithmetic *arithmetic)
{
    return arithmetic->scale_form == QB_SCALE_MULTIPLIER && problem->scale_format == QB_FORMAT_F32 &&
           problem->zero_points == QB_ZERO_POINTS_NONE;
}

struct tile_scale scales_decode(const struct qb_problem *problem, const struct qb_arithmetic *arithmetic, uint32_t code,
                                float tensor_scale, int32_t zero_point)
{
    struct tile_scale s = {
        .code = code,
        .stored = qb_format_decode(problem->scale_format, code),
        .tensor_scale = problem->tensor_scale != QB_TENSOR_SCALE_NONE ? tensor_scale : 1,
        .zero_point = problem->zero_points != QB_ZERO_POINTS_NONE ? zero_point : 0,
        .multiplies = problem->scale_format == QB_FORMAT_E4M3,
    };

    const bool inverse = scales_are_multipliers(problem, arithmetic);

    s.divisor = inverse ? 1 / s.stored : s.stored * s.tensor_scale;
    s.unit = s.multiplies ? (double)s.stored * (double)s.tensor_scale : (double)s.divisor;
    s.exact = inverse ? 1 / (double)s.stored : s.unit;
    s.multiplier = 1 / s.divisor;
    s.multiplier = s.multiplier < FLT_MAX ? s.multiplier : FLT_MAX; /* also for NaN */
    return s;
}

/* The element at OFFSET bytes of SCALES. */
static uint32_t load(const struct qb_problem *problem, const void *scales, uint64_t offset)
{
    uint32_t code = 0;

    /* The lower half first: these hosts are little-endian. */
    memcpy(&code, (const char *)scales + offset, scales_element_size(problem));
    return code;
}

/* The index of tile (ROW, COL), row by row. */
static uint64_t index_of(const struct qb_problem *problem, uint64_t row, uint64_t col)
{
    uint64_t rows, cols;

    qb_problem_scale_shape(problem, &rows, &cols);
    return row * cols + col;
}

uint64_t scales_tensor(const struct qb_problem *problem, uint64_t index)
{
    uint64_t rows, cols;

    if (problem->tensor_scale_cols == 0) {
        return 0;
    }
    qb_problem_scale_shape(problem, &rows, &cols);
    return index % cols * problem->group / problem->tensor_scale_cols;
}

struct tile_scale scales_at_place(const struct qb_problem *problem, const struct qb_arithmetic *arithmetic,
                                  const struct qb_tensors *tensors, uint64_t index, uint64_t offset)
{
    const void *zero_points = tensors->at[QB_ROLE_ZERO_POINTS];
    const float *tensor_scales = tensors->at[QB_ROLE_TENSOR_SCALE];

    return scales_decode(
        problem, arithmetic, load(problem, tensors->at[QB_ROLE_SCALES], offset),
        problem->tensor_scale != QB_TENSOR_SCALE_NONE ? tensor_scales[scales_tensor(problem, index)] : 1,
        problem->zero_points != QB_ZERO_POINTS_NONE ? scales_zero_point(problem, zero_points, index) : 0);
}

struct tile_scale scales_at(const struct qb_problem *problem, const struct qb_arithmetic *arithmetic,
                            const struct qb_tensors *tensors, uint64_t row, uint64_t col)
{
    uint64_t offset = 0;

    qb_problem_scale_offset(problem, row, col, &offset);
    return scales_at_place(problem, arithmetic, tensors, index_of(problem, row, col), offset);
}

bool scales_find(const struct qb_problem *problem, uint64_t index, uint64_t *row, uint64_t *col)
{
    uint64_t rows, cols, offset;

    qb_problem_scale_shape(problem, &rows, &cols);
    if (problem->scale_layout == QB_SCALE_LAYOUT_ROWS) {
        *row = index / cols;
        *col = index % cols;
        return true;
    }
    for (uint64_t r = 0; r < rows; r++) {
        for (uint64_t c = 0; c < cols; c++) {
            if (qb_problem_scale_offset(problem, r, c, &offset) == QB_OK &&
                offset == index * scales_element_size(problem)) {
                *row = r;
                *col = c;
                return true;
            }
        }
    }
    return false;
}

void *scales_in_rows(const struct qb_problem *problem, const void *scales)
{
    const size_t size = scales_element_size(problem);
    uint64_t rows, cols, offset = 0;
    char *copy;

    qb_problem_scale_shape(problem, &rows, &cols);
    copy = malloc(rows * cols * size + 1); /* a size of 0 need not give a pointer */
    for (uint64_t r = 0; r < rows && copy != NULL; r++) {
        for (uint64_t c = 0; c < cols; c++) {
            qb_problem_scale_offset(problem, r, c, &offset);
            memcpy(copy + (r * cols + c) * size, (const char *)scales + offset, size);
        }
    }
    return copy;
}

/* ---- For people ------------------------------------------------------------------------------------------------- */

const char *scales_code_text(enum qb_format format, uint32_t code, char text[SCALES_TEXT_SIZE])
{
    const double value = (double)qb_format_decode(format, code);
    const unsigned bits = qb_format_info(format)->bits;

    if (bits == 32) {
        snprintf(text, SCALES_TEXT_SIZE, "%.9g", value);
    } else {
        snprintf(text, SCALES_TEXT_SIZE, "0x%0*" PRIX32 " (%.9g)", bits > 8 ? 4 : bits > 4 ? 2 : 1, code, value);
    }
    return text;
}

const char *scales_text(const struct qb_problem *problem, const struct tile_scale *scale, char text[SCALES_TEXT_SIZE])
{
    size_t length;

    scales_code_text(problem->scale_format, scale->code, text);
    length = strlen(text);
    if (problem->tensor_scale != QB_TENSOR_SCALE_NONE) {
        snprintf(text + length, SCALES_TEXT_SIZE - length, ", tensor scale %.9g", (double)scale->tensor_scale);
        length = strlen(text);
    }
    if (problem->zero_points != QB_ZERO_POINTS_NONE) {
        snprintf(text + length, SCALES_TEXT_SIZE - length, ", zero point %d", scale->zero_point);
    }
    return text;
}

/* ---- Codes ------------------------------------------------------------------------------------------------------ */

uint64_t codes_used_bytes(const struct qb_problem *problem)
{
    return qb_codes_bytes(problem->output, problem->packing, problem->hidden);
}

uint64_t codes_row_bytes(const struct qb_problem *problem)
{
    const unsigned unit = problem->packing == QB_PACKING_DENSE ? 4 : 1; /* codes that fill whole bytes */

    return qb_codes_bytes(problem->output, problem->packing, (problem->hidden + unit - 1) / unit * unit);
}

uint8_t codes_at(const struct qb_problem *problem, const void *codes, uint64_t row, uint64_t col)
{
    uint8_t code = 0;

    qb_codes_unpack(problem->output, problem->packing, (const char *)codes + row * codes_row_bytes(problem), col, 1,
                    &code);
    return code;
}

unsigned codes_bits(const struct qb_problem *problem)
{
    return (unsigned)qb_codes_bytes(problem->output, problem->packing, 8);
}
