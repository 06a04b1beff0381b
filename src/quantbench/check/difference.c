/* SPDX-License-Identifier: Apache-2.0 */
/* difference.c - see difference.h. */
#include <config.h>

#include "cases/values.h"
#include "check/difference.h"
#include "check/experts.h"
#include "check/scales.h"
#include "model/operation.h"
#include "model/tiling.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- What is near enough ---------------------------------------------------------------------------------------- */

/* Where a code stands among those of FORMAT, in the order of their values: neighbors differ by 1. The two zeros are
 * one; false for NaN, which has no place, and for more bits than a code has. */
static bool place_of(enum qb_format format, uint32_t code, int *place)
{
    const struct qb_format_info *info = qb_format_info(format);
    const uint32_t sign = (uint32_t)1 << (info->bits - 1);

    if (info->bits < 32 && code >> info->bits != 0) {
        return false;
    }
    if (info->exponent_bits == 0 || format == QB_FORMAT_E8M0) {
        *place = format == QB_FORMAT_E8M0 ? (int)code : (int)qb_format_decode(format, code);
    } else {
        *place = (code & sign) != 0 ? -(int)(code & (sign - 1)) : (int)code;
    }
    return !isnan(qb_format_decode(format, code));
}

static bool is_near(enum qb_format format, uint32_t got, uint32_t want, int64_t allowed)
{
    int a, b;

    return place_of(format, got, &a) && place_of(format, want, &b) && llabs((int64_t)a - b) <= allowed;
}

/* How far numbers of FORMAT may be apart that are not codes, in units of the last place, where fast math alone allows
 * UNITS: a value that is computed before it is quantized may be off by 2 units of its own, or by 2^-15 if it is not
 * rounded, and so may what follows from it. */
static int64_t units_of(const struct qb_problem *problem, enum qb_format format, int units)
{
    const unsigned bits = qb_format_info(format)->mantissa_bits;
    const bool is_rounded = problem->intermediate != QB_INTERMEDIATE_FLOAT && problem->input != QB_FORMAT_F32;
    const unsigned exact = is_rounded ? qb_format_info(problem->input)->mantissa_bits : 16;

    return !values_differ(problem) ? units : units + ((int64_t)2 << (bits > exact ? bits - exact : 0));
}

static bool is_fast(const struct qb_arithmetic *arithmetic)
{
    return arithmetic->match == QB_MATCH_ONE_CODE;
}

/* Codes, or zero points, that may be apart: with 8 bits a unit of bfloat16 is another code. */
static int codes_apart(const struct qb_problem *problem)
{
    return values_differ(problem) && qb_format_info(problem->output)->exponent_bits == 0 ? 3 : 1;
}

bool verify_is_code(const struct qb_problem *problem, const struct qb_arithmetic *arithmetic, uint8_t got, uint8_t want)
{
    return got == want || (is_fast(arithmetic) && is_near(problem->output, got, want, codes_apart(problem)));
}

bool verify_is_scale(const struct qb_problem *problem, const struct qb_arithmetic *arithmetic, enum qb_format format,
                     uint32_t got, uint32_t want)
{
    const float a = qb_format_decode(format, got), b = qb_format_decode(format, want);
    /* A unit of E8M0 is a factor of 2. */
    const int units = format == QB_FORMAT_F32 ? 4 : format == QB_FORMAT_E8M0 ? 0 : 1;
    const int64_t allowed = format == QB_FORMAT_E8M0 ? 0 : units_of(problem, format, units);

    return got == want || (is_fast(arithmetic) && signbit(a) == signbit(b) && isfinite(a) && isfinite(b) &&
                           is_near(format, got, want, allowed));
}

bool verify_is_zero_point(const struct qb_problem *problem, const struct qb_arithmetic *arithmetic, int32_t got,
                          int32_t want)
{
    return got == want || (is_fast(arithmetic) && llabs((long long)got - want) <= codes_apart(problem));
}

bool verify_is_value(const struct qb_problem *problem, const struct qb_arithmetic *arithmetic, enum qb_format format,
                     uint32_t got, uint32_t want)
{
    const bool are_nan = isnan(qb_format_decode(format, got)) && isnan(qb_format_decode(format, want));

    return got == want ||
           (is_fast(arithmetic) && (are_nan || is_near(format, got, want, units_of(problem, format, 1))));
}

/* ---- Codes ------------------------------------------------------------------------------------------------------ */

/* Bytes of a copy, with the one in front of them. */
struct stretch {
    const uint8_t *got;
    uint64_t offset, end;
    uint8_t before;
};

static uint8_t byte_of(const struct stretch *s, uint64_t i)
{
    return i < s->offset ? s->before : s->got[i - s->offset];
}

/* How many codes end before byte OFFSET of a tensor. */
static uint64_t codes_before(const struct qb_problem *p, uint64_t offset)
{
    const uint64_t row_bytes = codes_row_bytes(p), whole = offset % row_bytes * 8 / codes_bits(p);

    return offset / row_bytes * p->hidden + (whole < p->hidden ? whole : p->hidden);
}

/* Code COL of the row that begins at byte ROW_START, all of which is in the stretch. */
static uint8_t got_code(const struct qb_problem *p, const struct stretch *s, uint64_t row_start, uint64_t col)
{
    const unsigned bits = codes_bits(p);
    const uint64_t eight = row_start + col / 8 * bits; /* codes begin at a byte */
    const uint64_t first = row_start + col * bits / 8, last = row_start + ((col + 1) * bits - 1) / 8;
    uint8_t bytes[8] = {0}, code = 0;

    for (uint64_t i = first; i <= last; i++) {
        bytes[i - eight] = byte_of(s, i);
    }
    qb_codes_unpack(p->output, p->packing, bytes, col % 8, 1, &code);
    return code;
}

/* Element INDEX of a tensor in an input format. */
static float value_at(enum qb_format format, const void *values, uint64_t index)
{
    return format == QB_FORMAT_F32 ? ((const float *)values)[index]
                                   : qb_format_decode(format, ((const uint16_t *)values)[index]);
}

/* Describe code (ROW, COL) of the rows of experts. */
static void describe_expert_code(const struct difference *d, uint64_t row, uint64_t col, uint8_t got, uint8_t want)
{
    const struct expectation *e = d->expectation;
    const struct qb_problem *p = &e->quantization;
    struct expert_parts experts;
    const struct expert_part *part;
    char was[SCALES_TEXT_SIZE], right[SCALES_TEXT_SIZE], by[SCALES_TEXT_SIZE];

    snprintf(d->mismatch->first, sizeof d->mismatch->first, "code [%" PRIu64 ", %" PRIu64 "]", row, col);
    if (!experts_take(p, &e->tensors, &experts)) {
        return;
    }
    part = experts_of_row(&experts, row);
    if (part == NULL) {
        snprintf(d->mismatch->first, sizeof d->mismatch->first,
                 "row %" PRIu64 ", which no expert has, was written: code %" PRIu64 " is %s", row, col,
                 scales_code_text(p->output, got, was));
    } else {
        const struct tiling tiling = tiling_of(&part->problem);
        const struct tile_scale scale = scales_at(&part->problem, &e->arithmetic, &part->tensors,
                                                  (row - part->first) / tiling.tile_rows, col / tiling.tile_cols);

        snprintf(d->mismatch->first, sizeof d->mismatch->first,
                 "code [%" PRIu64 ", %" PRIu64 "] of expert %td: scale %s, got %s, want %s", row, col,
                 part - experts.parts, scales_text(&part->problem, &scale, by), scales_code_text(p->output, got, was),
                 scales_code_text(p->output, want, right));
    }
    experts_free(&experts);
}

/* Describe wrong code (ROW, COL): where it is, what was quantized, by which scale, what came out and what should have.
 */
static void describe_code(const struct difference *d, uint64_t row, uint64_t col, uint8_t got, uint8_t want)
{
    const struct expectation *e = d->expectation;
    const struct qb_problem *p = &e->quantization;
    const struct tiling tiling = tiling_of(p);
    const struct tile_scale scale =
        scales_at(p, &e->arithmetic, &e->tensors, row / tiling.tile_rows, col / tiling.tile_cols);
    const uint64_t index = row * p->hidden + col;
    char by[SCALES_TEXT_SIZE], was[SCALES_TEXT_SIZE], right[SCALES_TEXT_SIZE], from[96] = "";

    if (d->values != NULL) {
        const double x = (double)value_at(p->input, d->values, index);

        snprintf(from, sizeof from, "%s %.9g (%a), ", values_differ(&e->problem) ? "value" : "input", x, x);
    }
    snprintf(d->mismatch->first, sizeof d->mismatch->first,
             "code [%" PRIu64 ", %" PRIu64 "] (element %" PRIu64 "): %sscale %s, got %s, want %s", row, col, index,
             from, scales_text(p, &scale, by), scales_code_text(p->output, got, was),
             scales_code_text(p->output, want, right));
}

/* Count a code that is wrong; true if it is the first of all differences. */
static bool count_code(struct difference *d, uint64_t index)
{
    const bool is_first = !mismatch_is_wrong(d->mismatch);

    d->mismatch->wrong_codes++;
    if (!is_first) {
        return false;
    }
    d->mismatch->first_role = QB_ROLE_CODES;
    d->mismatch->first_index = index;
    return true;
}

static void compare_code(struct difference *d, const struct stretch *s, uint64_t row, uint64_t col)
{
    const struct qb_problem *p = &d->expectation->quantization;
    const uint8_t got = got_code(p, s, row * codes_row_bytes(p), col),
                  want = codes_at(p, d->expectation->tensors.at[QB_ROLE_CODES], row, col);

    if (got == want) {
        return;
    }
    if (verify_is_code(&d->expectation->problem, &d->expectation->arithmetic, got, want)) {
        d->mismatch->near_codes++;
    } else if (count_code(d, row * p->hidden + col)) {
        (p->experts > 0 ? describe_expert_code : describe_code)(d, row, col, got, want);
    }
}

/* Compare the codes of which byte I has a part, once all of them is there, and the bits after the last of a row. */
static void compare_byte(struct difference *d, const struct stretch *s, uint64_t i)
{
    const struct qb_problem *p = &d->expectation->quantization;
    const unsigned bits = codes_bits(p);
    const uint64_t row = i / codes_row_bytes(p), start = row * codes_row_bytes(p), used_bytes = codes_used_bytes(p);
    const uint64_t first = (i - start) * 8 / bits, last = ((i - start) * 8 + 7) / bits;
    const unsigned used = (unsigned)(p->hidden % 8 * bits % 8); /* of the last byte of a row; 0: all */

    for (uint64_t col = first; col <= last && col < p->hidden; col++) {
        if (start + ((col + 1) * bits - 1) / 8 >= s->end) {
            return; /* the next stretch has the rest of it */
        }
        if (row * p->hidden + col >= d->next) {
            compare_code(d, s, row, col);
            d->next = row * p->hidden + col + 1;
        }
    }
    if (i < s->offset) {
        return; /* the stretch before it had this byte */
    }
    if (i >= start + used_bytes && count_code(d, row * p->hidden + p->hidden - 1)) {
        snprintf(d->mismatch->first, sizeof d->mismatch->first,
                 "the gap after row %" PRIu64 ": byte %" PRIu64 " was written", row, i - start);
    } else if (i + 1 == start + used_bytes && used > 0 && byte_of(s, i) >> used != 0 &&
               count_code(d, row * p->hidden + p->hidden - 1)) {
        snprintf(d->mismatch->first, sizeof d->mismatch->first,
                 "the bits after the last code of row %" PRIu64 ": got 0x%X, want 0", row,
                 (unsigned)(byte_of(s, i) >> used));
    }
}

/* True if codes are what the kernel makes; else it only has to leave them as they are. */
static bool writes_codes(const struct difference *d)
{
    return !operation_reads_codes(d->expectation->problem.operation);
}

static void compare_codes(struct difference *d, const uint8_t *got, uint64_t offset, uint64_t length)
{
    const uint8_t *want = d->expectation->tensors.at[QB_ROLE_CODES];
    const struct stretch s = {got, offset, offset + length, d->before};
    bool goes_on;

    d->next = offset == 0 ? 0 : d->next;
    goes_on = offset > 0 && d->before != want[offset - 1];
    d->mismatch->compared += !writes_codes(d) ? 0
                                              : codes_before(&d->expectation->quantization, s.end) -
                                                    codes_before(&d->expectation->quantization, offset);
    d->before = got[length - 1];
    if (!goes_on && memcmp(got, want + offset, length) == 0) {
        return;
    }
    for (uint64_t i = offset - goes_on; i < s.end; i++) {
        if (byte_of(&s, i) != want[i]) {
            compare_byte(d, &s, i);
        }
    }
}

/* ---- Scales ----------------------------------------------------------------------------------------------------- */

/* Count a scale, zero point or tensor scale that is wrong; true if it is the first. */
static bool count_scale(struct difference *d, enum qb_role role, uint64_t index)
{
    const bool is_first = !mismatch_is_wrong(d->mismatch);

    d->mismatch->wrong_scales++;
    if (!is_first) {
        return false;
    }
    d->mismatch->first_role = role;
    d->mismatch->first_index = index;
    return true;
}

/* A scale for people, of binary32 to the last bit. */
static const char *scale_text(enum qb_format format, uint32_t code, char text[SCALES_TEXT_SIZE])
{
    const double value = (double)qb_format_decode(format, code);

    if (format != QB_FORMAT_F32) {
        return scales_code_text(format, code, text);
    }
    snprintf(text, SCALES_TEXT_SIZE, "%.9g (%a)", value, value);
    return text;
}

/* The same of experts: what belongs to none is poison, and is not near to anything. */
static void compare_expert_scale(struct difference *d, enum qb_role role, uint64_t index, uint32_t got, uint32_t want)
{
    const struct expectation *e = d->expectation;
    const enum qb_format format = role == QB_ROLE_SCALES ? e->quantization.scale_format : QB_FORMAT_F32;
    char where[EXPERTS_TEXT_SIZE], was[SCALES_TEXT_SIZE], right[SCALES_TEXT_SIZE];
    const uint64_t offset = index * (role == QB_ROLE_SCALES ? scales_element_size(&e->quantization) : sizeof(float));

    if (verify_is_scale(&e->problem, &e->arithmetic, format, got, want)) {
        d->mismatch->near_scales++;
        return;
    }
    if (!count_scale(d, role, UINT64_MAX)) {
        return;
    }
    if (role == QB_ROLE_SCALES) {
        experts_scale_text(&e->quantization, e->tensors.at[QB_ROLE_EXPERTS], offset, where);
    } else {
        snprintf(where, sizeof where, "the tensor scale of expert %" PRIu64, index);
    }
    snprintf(d->mismatch->first, sizeof d->mismatch->first, "%s: got %s, want %s", where, scale_text(format, got, was),
             scale_text(format, want, right));
}

/* Element INDEX of the scale tensor, or the tensor scale, is not as the reference has it. */
static void compare_scale(struct difference *d, enum qb_role role, uint64_t index, uint32_t got, uint32_t want)
{
    const struct qb_problem *p = &d->expectation->quantization;
    const enum qb_format format = role == QB_ROLE_SCALES ? p->scale_format : QB_FORMAT_F32;
    const bool is_near = verify_is_scale(&d->expectation->problem, &d->expectation->arithmetic, format, got, want);
    uint64_t row = 0, col = 0, rows, cols;
    char where[96] = "the tensor scale", was[SCALES_TEXT_SIZE], right[SCALES_TEXT_SIZE];
    bool is_padding = false;

    /* Looking for the tile takes long; padding is 0. */
    if (role == QB_ROLE_SCALES && ((is_near && want == 0) || (!is_near && d->mismatch->wrong_scales == 0))) {
        is_padding = !scales_find(p, index, &row, &col);
        snprintf(where, sizeof where, "scale [%" PRIu64 ", %" PRIu64 "]", row, col);
    }
    if (is_near && !is_padding) {
        d->mismatch->near_scales++;
        return;
    }
    qb_problem_scale_shape(p, &rows, &cols);
    if (!count_scale(d, role, is_padding ? UINT64_MAX : row * cols + col)) {
        return;
    }
    if (is_padding) {
        snprintf(where, sizeof where, "the padding of the scales, byte %" PRIu64, index * scales_element_size(p));
    }
    snprintf(d->mismatch->first, sizeof d->mismatch->first, "%s: got %s, want %s", where, scale_text(format, got, was),
             scale_text(format, want, right));
}

/* Compare elements of SIZE bytes, as scales are stored. */
static void compare_scales(struct difference *d, enum qb_role role, size_t size, const uint8_t *got, uint64_t offset,
                           uint64_t length)
{
    const uint8_t *want = (const uint8_t *)d->expectation->tensors.at[role] + offset;

    for (uint64_t i = 0; i + size <= length; i += size) {
        uint32_t a = 0, b = 0;

        if (memcmp(got + i, want + i, size) != 0) {
            memcpy(&a, got + i, size);
            memcpy(&b, want + i, size);
            (d->expectation->problem.experts > 0 ? compare_expert_scale : compare_scale)(d, role, (offset + i) / size,
                                                                                         a, b);
        }
    }
}

static void compare_zero_points(struct difference *d, const uint8_t *got, uint64_t offset, uint64_t length)
{
    const struct qb_problem *p = &d->expectation->quantization;
    const size_t size = scales_zero_point_size(p);
    const uint8_t *want = (const uint8_t *)d->expectation->tensors.at[QB_ROLE_ZERO_POINTS] + offset;
    const struct tiling tiling = tiling_of(p);

    for (uint64_t i = 0; i < length / size; i++) {
        const uint64_t index = offset / size + i;
        const int32_t a = scales_zero_point(p, got, i), b = scales_zero_point(p, want, i);

        if (a == b) {
            continue;
        }
        if (verify_is_zero_point(&d->expectation->problem, &d->expectation->arithmetic, a, b)) {
            d->mismatch->near_scales++;
        } else if (count_scale(d, QB_ROLE_ZERO_POINTS, index)) {
            snprintf(d->mismatch->first, sizeof d->mismatch->first,
                     "zero point [%" PRIu64 ", %" PRIu64 "]: got %" PRId32 ", want %" PRId32, index / tiling.scale_cols,
                     index % tiling.scale_cols, a, b);
        }
    }
}

/* ---- Values ----------------------------------------------------------------------------------------------------- */

/* Count a value or a sum that is wrong; true if it is the first of all differences. */
static bool count_value(struct difference *d, enum qb_role role, uint64_t index)
{
    const bool is_first = !mismatch_is_wrong(d->mismatch);

    d->mismatch->wrong_codes++;
    if (is_first) {
        d->mismatch->first_role = role;
        d->mismatch->first_index = index;
    }
    return is_first;
}

/* Compare what the tensor of ROLE has. Stretches begin and end at whole elements. */
static void compare_values(struct difference *d, enum qb_role role, const uint8_t *got, uint64_t offset,
                           uint64_t length)
{
    const struct expectation *e = d->expectation;
    const enum qb_format format = role == QB_ROLE_SUM ? e->problem.input : e->quantization.input;
    const size_t size = qb_format_info(format)->bits / 8;
    const uint8_t *want = (const uint8_t *)e->tensors.at[role] + offset;

    d->mismatch->compared += length / size;
    for (uint64_t i = 0; i < length; i += size) {
        const uint64_t index = (offset + i) / size;
        uint32_t a = 0, b = 0;

        if (memcmp(got + i, want + i, size) == 0) {
            continue;
        }
        memcpy(&a, got + i, size);
        memcpy(&b, want + i, size);
        if (!verify_is_value(&e->problem, &e->arithmetic, format, a, b) && count_value(d, role, index)) {
            const double is = (double)qb_format_decode(format, a), right = (double)qb_format_decode(format, b);

            snprintf(d->mismatch->first, sizeof d->mismatch->first,
                     "%s [%" PRIu64 ", %" PRIu64 "]: got %.9g (%a), want %.9g (%a)",
                     role == QB_ROLE_SUM ? "sum" : "value", index / e->problem.hidden, index % e->problem.hidden, is,
                     is, right, right);
        }
    }
}

void difference_find(struct difference *difference, enum qb_role role, const uint8_t *got, uint64_t offset,
                     uint64_t length)
{
    switch (role) {
    case QB_ROLE_INPUT:
    case QB_ROLE_WEIGHTS:
    case QB_ROLE_RESIDUAL:
    case QB_ROLE_SLOTS:
    case QB_ROLE_ANGLES:
    case QB_ROLE_POSITIONS:
    case QB_ROLE_TRANSPOSED:
    case QB_ROLE_TRANSPOSED_SCALES:
    case QB_ROLE_EXPERTS:
        break;
    case QB_ROLE_SUM:
    case QB_ROLE_VALUES:
        compare_values(difference, role, got, offset, length);
        break;
    case QB_ROLE_CODES:
        compare_codes(difference, got, offset, length);
        break;
    case QB_ROLE_SCALES:
        compare_scales(difference, role, scales_element_size(&difference->expectation->quantization), got, offset,
                       length);
        break;
    case QB_ROLE_ZERO_POINTS:
        compare_zero_points(difference, got, offset, length);
        break;
    case QB_ROLE_TENSOR_SCALE:
        compare_scales(difference, role, sizeof(float), got, offset, length);
        break;
    }
}
