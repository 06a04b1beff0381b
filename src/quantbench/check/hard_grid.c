/* SPDX-License-Identifier: Apache-2.0 */
/* hard_grid.c - see hard_grid.h. */
#include <config.h>

#include "check/hard_grid.h"

#include <math.h>

struct input_grid hard_input_grid(enum qb_format format)
{
    const struct qb_format_info *info = qb_format_info(format);
    const uint32_t nan = qb_format_encode(format, NAN), infinity = qb_format_encode(format, INFINITY);
    const double smallest = (double)qb_format_decode(format, 1);
    struct input_grid grid = {
        .format = format,
        .sign = (uint32_t)1 << (info->bits - 1),
        .smallest_normal = 1,
        .largest = qb_format_encode(format, info->largest),
        .infinity = infinity,
        .nan = isnan(qb_format_decode(format, nan)) ? nan : infinity,
    };

    /* Values are in proportion to their codes up to twice the smallest normal one. */
    while ((double)qb_format_decode(format, 4 * grid.smallest_normal) == 4 * grid.smallest_normal * smallest) {
        grid.smallest_normal *= 2;
    }
    return grid;
}

struct output_grid hard_output_grid(enum qb_format format)
{
    const unsigned bits = qb_format_info(format)->bits;
    struct output_grid grid = {.format = format};

    for (uint32_t code = 0; code < (uint32_t)1 << bits && code < HARD_MOST_VALUES; code++) {
        const double value = (double)qb_format_decode(format, code);
        size_t place = grid.count;

        if (!isfinite(value)) {
            continue;
        }
        while (place > 0 && grid.values[place - 1] >= value) {
            place--;
        }
        if (place < grid.count && grid.values[place] == value) {
            continue;
        }
        for (size_t i = grid.count; i > place; i--) {
            grid.values[i] = grid.values[i - 1];
        }
        grid.values[place] = value;
        grid.count++;
    }
    return grid;
}
