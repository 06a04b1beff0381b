/* SPDX-License-Identifier: Apache-2.0 */
/* kernels_ranges.h - of what kernels_body.h needs, what elements are between, codes by zero points, and codes that
 * are put together, on the vectors of a vector_<isa>.h that is included before this file. */
#ifndef QB_CPU_KERNELS_RANGES_H
#define QB_CPU_KERNELS_RANGES_H

#include "kernels_run.h"

/* The bits of the largest x > 0, and those of the smallest x < 0; either may be those of NaN. */
struct ends {
    uint32_t high, low;
};

/* Positive numbers order as signed integers do, and negative ones, the other way round, as unsigned ones above all of
 * them. */
QB__INLINE struct ends ends_run(const void *x, size_t count, const enum qb_format input, const bool no_nan)
{
    const size_t step = sizeof(words) / qb__element_size(input); /* elements in one vector */
    words high[4] = {{0}, {0}, {0}, {0}}, low[4] = {{0}, {0}, {0}, {0}};

    for (; count >= 4 * step; count -= 4 * step, x = at(x, 4 * step, input)) {
        QB__UNROLL
        for (int i = 0; i < 4; i++) {
            const words part = load_vector((const char *)x + sizeof(words) * i);
            const words found = no_nan ? without_nan(part, input) : part;

            high[i] = maximum_signed(high[i], found, input);
            low[i] = maximum(low[i], found, input);
        }
    }
    while (count > 0) {
        const size_t now = count < step ? count : step;
        const words part = now == step ? load_vector(x) : load_rest(x, now, input);
        const words found = no_nan ? without_nan(part, input) : part;

        high[0] = maximum_signed(high[0], found, input);
        low[0] = maximum(low[0], found, input);
        count -= now;
        x = at(x, now, input);
    }
    QB__UNROLL
    for (int i = 1; i < 4; i++) {
        high[0] = maximum_signed(high[0], high[i], input);
        low[0] = maximum(low[0], low[i], input);
    }
    return (struct ends){largest(high[0], input), largest(low[0], input)};
}

QB__INLINE struct qb__range range_run(const void *x, size_t count, const enum qb_format input)
{
    const uint32_t sign = input == QB_FORMAT_F32 ? 0x80000000u : 0x8000u, infinity = qb__infinity(input);
    struct ends ends = ends_run(x, count, input, false);
    uint32_t low = ends.low > sign ? ends.low - sign : 0;
    const bool nan = ends.high > infinity || low > infinity;

    if (nan) {
        /* NaN is rare: look again, without it. */
        ends = ends_run(x, count, input, true);
        low = ends.low > sign ? ends.low - sign : 0;
    }
    return (struct qb__range){-qb__float_of(widened(low, input)), qb__float_of(widened(ends.high, input)), nan};
}

/* The codes of up to LANES elements by a zero point, as struct qb__shifted describes. */
QB__INLINE codes shifted_block(const struct elements e, const struct qb__shifted *run, const struct encoder *encoder)
{
    const floats reciprocal = fill_floats(run->reciprocal), rest = fill_floats(run->rest);
    struct block b = load_block(e, false);

    QB__UNROLL
    for (int k = 0; k < PARTS; k++) {
        b.v[k] = multiply_twice(b.v[k], reciprocal, rest);
    }
    return codes_shifted(b, encoder, run->zero_point);
}

/* Encode a run block by block, as long as no element is above the cap, and return how many elements that makes. */
QB__INLINE size_t shifted_run(const struct qb__shifted *run, const enum qb_format input, const bool clean)
{
    const struct encoder encoder = encoder_make(input, QB_FORMAT_INT8, false);
    const limits cap = limits_make(run->cap, input);
    const size_t ahead = run->ahead;
    const bool stream = run->stream, narrow = run->most < 127;
    size_t i = 0;

    for (; run->count - i >= LANES; i += LANES) {
        const char *x = at(run->x, i, input);
        const struct elements e = {x, LANES, input};
        codes c;

        if (!clean && __builtin_expect(any_above(e, cap), 0)) {
            return i;
        }
        if (ahead > 0) {
            prefetch_ahead(x, LANES * qb__element_size(input), ahead);
        }
        c = shifted_block(e, run, &encoder);
        store_codes(run->out + i, narrow ? codes_within(c, run->least, run->most) : c, stream);
    }
    if (run->count > i) {
        uint32_t padded[LANES];
        const struct elements e = elements_of(padded, at(run->x, i, input), run->count - i, input);

        if (!clean && any_above(e, cap)) {
            return i;
        }
        store_part(run->out + i, codes_within(shifted_block(e, run, &encoder), run->least, run->most), run->count - i);
    }
    return run->count;
}

/* Put COUNT codes together, one in each byte FROM, as enum qb_packing has them, to whole bytes. BITS: 4 or 6. */
static void pack(uint8_t *out, const uint8_t *from, size_t count, unsigned bits)
{
    const size_t step = bits == 4 ? 2 * LANES : LANES;
    uint8_t padded[2 * LANES] = {0};

    for (; count >= step; count -= step, from += step, out += step / 8 * bits) {
        if (bits == 4) {
            store_codes(out, nibbles_of(load_vector(from), load_vector(from + LANES)), false);
        } else {
            store_part(out, triples_of(load_vector(from)), LANES / 4 * 3);
        }
    }
    if (count > 0) {
        memcpy(padded, from, count);
        store_part(out,
                   bits == 4 ? nibbles_of(load_vector(padded), load_vector(padded + LANES))
                             : triples_of(load_vector(padded)),
                   (count * bits + 7) / 8);
    }
}

#endif
