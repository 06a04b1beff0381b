/* SPDX-License-Identifier: Apache-2.0 */
/* hard_kind.c - see hard_kind.h. */
#include <config.h>

#include "check/hard_kind.h"
#include "cases/input.h"
#include "model/tiling.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static uint32_t code_at(const struct hard_data *data, uint64_t index)
{
    const size_t size = input_element_size(data->problem.input);
    uint32_t code = 0;

    memcpy(&code, (const char *)data->input + index * size, size);
    return code;
}

/* True if it matters how the quotient of X and the scale S is computed. */
static bool is_quotient(enum qb_format output, float x, float s, float qmax)
{
    const uint32_t code = qb_format_encode(output, x / s);

    return code != qb_format_encode(output, x * (1 / s)) || code != qb_format_encode(output, x * (qmax / (s * qmax)));
}

/* What is hard about V, in units of the scale, which rounding makes a code of. What is no farther than NEAR is next to
 * something. */
static const char *kind_of_value(const struct output_grid *out, double v, double near)
{
    const char *kind = "a value between codes";

    if (v >= out->values[out->count - 1] || v <= out->values[0]) {
        return "a value at the end of the codes or beyond";
    }
    for (size_t i = 0; i + 1 < out->count; i++) {
        const double low = out->values[i], boundary = (low + out->values[i + 1]) / 2;

        if (v == boundary) {
            return "a tie";
        }
        if (v == low) {
            return "the exact value of a code";
        }
        if (fabs(v - boundary) <= near) {
            return "next to a tie";
        }
        kind =
            fabs(v - low) <= near || fabs(v - out->values[i + 1]) <= near ? "next to the exact value of a code" : kind;
    }
    return kind;
}

static const char *kind_of_code(const struct hard_data *data, uint64_t index, const struct tile_scale *scale)
{
    const struct input_grid *in = &data->in;
    const struct output_grid *out = &data->out;
    const uint32_t code = code_at(data, index), magnitude = code & ~in->sign;
    const float x = qb_format_decode(in->format, code);
    const double divisor = scale->exact;
    double unit;

    if (isnan(x)) {
        return "NaN";
    }
    if (isinf(x)) {
        return "an infinity";
    }
    if (x == 0) {
        return signbit(x) ? "a negative zero" : "a zero";
    }
    if (magnitude < in->smallest_normal) {
        return "a subnormal";
    }
    if (scale->zero_point == 0 && !scale->multiplies &&
        is_quotient(out->format, x, (float)divisor, qb_format_info(out->format)->largest)) {
        return "a quotient that a product misses";
    }
    unit = (double)qb_format_decode(in->format, magnitude) - (double)qb_format_decode(in->format, magnitude - 1);
    return kind_of_value(out, (double)x / divisor + scale->zero_point, 2 * unit / divisor);
}

/* True if TILE is smaller than others. */
static bool is_cut(const struct tiling *tiling, const struct tile *tile)
{
    return tile->rows < tiling->tile_rows || tile->cols < tiling->tile_cols;
}

void hard_kind_of_code(const struct hard_data *data, uint64_t index, const struct tile_scale *scale,
                       char text[HARD_KIND_SIZE])
{
    const struct tiling tiling = tiling_of(&data->problem);
    const struct tile tile = tiling_tile(&tiling, tiling_index(&tiling, index));
    const bool is_tail = is_cut(&tiling, &tile) || index % data->problem.hidden + 1 == data->problem.hidden;

    snprintf(text, HARD_KIND_SIZE, "%s%s", kind_of_code(data, index, scale), is_tail ? " in a tail" : "");
}

/* What the elements of a tile are. */
struct contents {
    uint64_t count, zeros, nans, infinities;
    float amax;
    uint64_t place; /* of the first one that large, in the tile */
};

static struct contents contents_of(const struct hard_data *data, const struct tile *tile)
{
    struct contents c = {.count = tile->rows * tile->cols};

    for (uint64_t i = 0; i < c.count; i++) {
        const uint64_t row = tile->first_row + i / tile->cols, col = tile->first_col + i % tile->cols;
        const float x = fabsf(qb_format_decode(data->problem.input, code_at(data, row * data->problem.hidden + col)));

        c.zeros += x == 0;
        c.nans += isnan(x);
        c.infinities += isinf(x);
        if (x > c.amax) {
            c.amax = x;
            c.place = i;
        }
    }
    return c;
}

void hard_kind_of_scale(const struct hard_data *data, uint64_t index, char text[HARD_KIND_SIZE])
{
    const struct input_grid *in = &data->in;
    const struct tiling tiling = tiling_of(&data->problem);
    const struct tile tile = tiling_tile(&tiling, index);
    const char *tail = is_cut(&tiling, &tile) ? "the tail: " : "";
    const struct contents c = contents_of(data, &tile);
    const char *where = c.count == 1             ? ""
                        : c.place + 1 == c.count ? ", its last element"
                        : c.place == 0           ? ", its first element"
                                                 : "";
    const char *what = c.infinities > 0                                             ? "a tile with an infinity"
                       : c.nans > 0                                                 ? "a tile with NaN"
                       : c.amax < qb_format_decode(in->format, in->smallest_normal) ? "a tile of subnormals"
                       : c.count > 1 && c.zeros + 1 == c.count                      ? "a tile with a single non-zero"
                                                                                    : "a tile";

    if (c.amax == 0) {
        snprintf(text, HARD_KIND_SIZE, "%s%s", tail, c.nans > 0 ? "a tile of NaN" : "a tile of zeros");
        return;
    }
    snprintf(text, HARD_KIND_SIZE, "%s%s whose amax is %.9g%s", tail, what, (double)c.amax, where);
}
