/* SPDX-License-Identifier: Apache-2.0 */
/* kernels_amax.h - of what kernels_body.h needs, the largest |x|, on the vectors of a vector_<isa>.h that is included
 * before this file. */
#ifndef QB_CPU_KERNELS_AMAX_H
#define QB_CPU_KERNELS_AMAX_H

#include "kernels.h"

QB__INLINE uint32_t amax_run(const void *x, size_t count, const enum qb_format input, const bool no_nan)
{
    const size_t step = sizeof(words) / qb__element_size(input); /* elements in one vector */
    words m[4] = {{0}, {0}, {0}, {0}};

    for (; count >= 4 * step; count -= 4 * step, x = at(x, 4 * step, input)) {
        QB__UNROLL
        for (int i = 0; i < 4; i++) {
            m[i] = maximum(m[i], magnitude(load_vector((const char *)x + sizeof(words) * i), input, no_nan), input);
        }
    }
    for (; count >= step; count -= step, x = at(x, step, input)) {
        m[0] = maximum(m[0], magnitude(load_vector(x), input, no_nan), input);
    }
    if (count > 0) {
        m[1] = maximum(m[1], magnitude(load_rest(x, count, input), input, no_nan), input);
    }
    return largest(maximum(maximum(m[0], m[1], input), maximum(m[2], m[3], input), input), input);
}

QB__INLINE bool amax_block_columns(const struct qb__rows rows, float *amax, const enum qb_format input,
                                   const bool no_nan)
{
    const int vectors = LANES * (int)qb__element_size(input) / (int)sizeof(words);
    words most[LANES * sizeof(float) / sizeof(words)];
    const void *x = rows.x;
    uint32_t padded[LANES];
    struct block b;

    QB__UNROLL
    for (int i = 0; i < vectors; i++) {
        most[i] = (words){0};
    }
    for (size_t row = rows.rows; row > 0; row--, x = at(x, rows.stride, input)) {
        const struct elements e = elements_of(padded, x, rows.count, input);

        QB__UNROLL
        for (int i = 0; i < vectors; i++) {
            most[i] = maximum(most[i], magnitude(load_words(e, i), input, no_nan), input);
        }
    }
    b = load_block((struct elements){most, LANES, input}, true);
    if (has_nan(b)) {
        return true;
    }
    QB__UNROLL
    for (int i = 0; i < PARTS; i++) {
        const size_t left = qb__left(rows.count, FLOATS * (size_t)i);
        float *to = amax + FLOATS * i;

        store_floats(to, maximum_floats(b.v[i], load_floats(to, left, 0.0f)), left);
    }
    return false;
}

#endif
