/* SPDX-License-Identifier: Apache-2.0 */
/* kernels_groups.h - of what kernels_body.h needs, groups with scales of any format, on the vectors of a vector_<isa>.h
 * that is included before this file. Batches of groups hide the latencies of their reductions and divisions. */
#ifndef QB_CPU_KERNELS_GROUPS_H
#define QB_CPU_KERNELS_GROUPS_H

#include "kernels_run.h"
#include "scales.h"

enum {
    TILES_BATCH = 16,
    TILES_AHEAD = 4096, /* bytes that are prefetched */
    ODD_NAN = 2         /* in what makes a batch special: amaxes are to be found again, without NaN */
};

/* The scales of a batch. */
struct scales {
    uint32_t code[TILES_BATCH];
    float factor[TILES_BATCH];     /* what elements are multiplied with */
    float scale[TILES_BATCH];      /* F32 and F16: what they are divided by, of which FACTOR is the inverse, rounded */
    float rest[TILES_BATCH];       /* F32 and F16: what that inverse lacks */
    uint32_t quarter[TILES_BATCH]; /* for power_codes() */
    uint32_t special; /* some group has NaN, values that are too large, or a scale beyond QB__CORRECT_MOST */
};

/* Encodes a batch that is special. */
typedef void qb__special_routine(const struct qb__run *run, const struct scales *s, unsigned shift);

/* What is constant in all loops. */
struct tiles_way {
    enum qb_format input, output;
    size_t size;     /* of a group; 0: as TILES says */
    bool multiplies; /* as in struct qb__form */
    bool special;
    bool powers; /* by power_codes(): groups of 32 with scales in E8M0 */
};

/* The loops below have no branches and constant formats, so that compilers make vectors of them. What they compute is
 * that of qb__scale_of_amax() and qb__factor_of(). */

/* Scales in E8M0 of groups of amax A. */
QB__INLINE void scales_e8m0(struct scales *s, const float a[TILES_BATCH], const struct qb__form *form,
                            const enum qb_format output)
{
    const enum qb_scale_rounding rounding = form->rounding;

    for (int j = 0; j < TILES_BATCH; j++) {
        const uint32_t code =
            qb__power_code(qb__bits_of(a[j]), output, rounding, qb__bits_of(qb__formats[output].largest));

        s->code[j] = code;
        s->factor[j] = qb__float_of(qb__power_inverse(code));
    }
}

/* What power_codes() needs of scales in E8M0. Sets ODD where a scale is too small for it. */
QB__INLINE void scales_quarter(struct scales *s, uint32_t odd[TILES_BATCH], const float a[TILES_BATCH],
                               const enum qb_format input)
{
    /* The exponent fields of 2^(code - 127) / 4 in the input's format are LESS below the code. */
    const uint32_t less = input == QB_FORMAT_F16 ? 114 : 2;
    const int mantissa = (int)qb__formats[input].mantissa_bits;

    for (int j = 0; j < TILES_BATCH; j++) {
        s->quarter[j] = s->code[j] > less ? (s->code[j] - less) << mantissa : 0;
        odd[j] |= (uint32_t)(s->code[j] <= less) & (uint32_t)(a[j] > 0);
    }
}

/* Scales in E4M3, which code_of() rounds in the same way. */
QB__INLINE void scales_e4m3(struct scales *s, const float a[TILES_BATCH], const struct qb__form *form)
{
    const float encode = form->encode, tensor = form->tensor;

    for (int j = 0; j < TILES_BATCH; j++) {
        const float v = smaller(smaller(a[j] * encode, FLT_MAX), 448.0f);
        const float power = larger(qb__float_of(qb__bits_of(v) & QB__F32_INF), 0x1p-6f) * 0x1p20f;
        const float sum = v + power;
        const uint32_t bits = qb__bits_of(sum);

        s->code[j] = (bits + (bits >> 20) - (141u << 3)) & 0xFF;
        s->factor[j] = smaller(1.0f / ((sum - power) * tensor), FLT_MAX);
    }
}

/* Scales in F32 or F16. Sets ODD where one is not for QB__QUOTIENT_CORRECT. */
QB__INLINE void scales_float(struct scales *s, uint32_t odd[TILES_BATCH], const float a[TILES_BATCH],
                             const struct qb__form *form, const enum qb_format output)
{
    for (int j = 0; j < TILES_BATCH; j++) {
        s->scale[j] = larger(a[j] / qb__formats[output].largest, QB__SCALE_FLOOR);
        s->code[j] = qb__bits_of(s->scale[j]);
    }
    if (form->scale_format == QB_FORMAT_F16) {
        for (int j = 0; j < TILES_BATCH; j++) {
            const uint32_t code = qb__half_code(larger(s->scale[j], QB__SCALE_FLOOR_F16));

            s->code[j] = code;
            s->scale[j] = qb__float_of(half_bits(code));
        }
    }
    for (int j = 0; j < TILES_BATCH; j++) {
        s->factor[j] = 1.0f / s->scale[j];
        s->rest[j] = qb__reciprocal_rest(s->scale[j], s->factor[j]);
        odd[j] |= (uint32_t)(s->scale[j] > QB__CORRECT_MOST) |
                  ((uint32_t)(s->scale[j] < QB__CORRECT_LEAST) & (uint32_t)(a[j] > 0));
    }
}

/* The largest |x| of each group of the whole batch at X, as the input's bits: those of NaN if there is one. Groups are
 * whole vectors, or HALVES of them. */
QB__INLINE void batch_amax(uint32_t raw[TILES_BATCH], const void *x, size_t size, const bool halves,
                           const enum qb_format input)
{
    const size_t step = sizeof(words) / qb__element_size(input);
    words m[TILES_BATCH];

    QB__UNROLL
    for (int part = 0; part < TILES_BATCH; part += 8) {
        QB__UNROLL
        for (int k = part; k < part + 8; k++) {
            const char *from = at(x, (size_t)k * (halves ? step : size), input);

            if (halves && k >= TILES_BATCH / 2) {
                continue;
            }
            m[k] = magnitude(load_vector(from), input, false);
            for (size_t i = step; i < size; i += step) {
                m[k] = maximum(m[k], magnitude(load_vector(at(from, i, input)), input, false), input);
            }
        }
    }
    largest_each(raw, m, input, halves);
}

/* The scales of groups of amaxes RAW, as amax_raw() has them, or batch_amax(). */
QB__INLINE void scales_of(struct scales *s, const uint32_t raw[TILES_BATCH], const struct qb__form *form,
                          const struct tiles_way way)
{
    const float limit = form->limit, most = form->most;
    uint32_t odd[TILES_BATCH], special = 0; /* one reduction at the end: each costs as much as all else of a loop */
    float a[TILES_BATCH];

    for (int j = 0; j < TILES_BATCH; j++) {
        const uint32_t bits = amax_widen(raw[j], way.input);

        a[j] = smaller(qb__float_of(bits & ~QB__AMAX_NAN), limit);
        odd[j] = (uint32_t)(bits > qb__bits_of(limit)) | (bits > QB__F32_INF ? ODD_NAN : 0);
    }
    if (!way.multiplies) {
        scales_float(s, odd, a, form, way.output);
    } else if (form->scale_format == QB_FORMAT_E8M0) {
        scales_e8m0(s, a, form, way.output);
        if (way.powers) {
            scales_quarter(s, odd, a, way.input);
        }
    } else {
        scales_e4m3(s, a, form);
    }
    for (int j = 0; j < TILES_BATCH; j++) {
        special |= odd[j] | (uint32_t)(!way.powers && a[j] * s->factor[j] >= most);
    }
    s->special = special;
}

/* The scales of the batch of groups that begins at element FIRST; what comes after the last is as if it were 0. */
QB__INLINE void scales_make(struct scales *s, const struct qb__tiles *tiles, size_t first, const struct tiles_way way)
{
    const size_t size = way.size > 0 ? way.size : tiles->size, count = tiles->count;
    const size_t step = sizeof(words) / qb__element_size(way.input);
    uint32_t raw[TILES_BATCH] = {0};

    if (count - first >= TILES_BATCH * size && (way.size > 0 || size >= step)) {
        batch_amax(raw, at(tiles->x, first, way.input), size, way.size > 0 && way.size < step, way.input);
        scales_of(s, raw, tiles->form, way);
        if (!(s->special & ODD_NAN)) {
            return;
        }
    }
    /* Group by group: the last ones, and those among which there is NaN. */
    for (size_t j = 0, i = first; j < TILES_BATCH && i < count; j++, i += size) {
        raw[j] = amax_raw(at(tiles->x, i, way.input), count - i < size ? count - i : size, way.input);
    }
    scales_of(s, raw, tiles->form, way);
}

/* Those that are given: their elements may be anything. */
static void scales_given(struct scales *s, const struct qb__tiles *tiles, size_t first)
{
    const size_t count = qb__ceil_div(tiles->count, tiles->size);

    for (size_t j = 0; j < TILES_BATCH; j++) {
        s->code[j] = first / tiles->size + j < count ? tiles->scales[first / tiles->size + j] : 0;
        s->factor[j] = qb__factor_of(tiles->form, s->code[j]);
    }
    s->special = 1;
}

/* The group of element FIRST + I, of which FIRST is a multiple of LANES and I is less than that: with one division for
 * all of a block where sizes are known. */
QB__INLINE size_t group_of(size_t first, const size_t i, unsigned shift, const struct tiles_way way)
{
    if (way.size == 0) {
        return (first + i) >> shift;
    }
    return first / way.size + (way.size < LANES ? i / way.size : 0);
}

/* The codes of a block of elements, the first of which is element FIRST of the batch. */
QB__INLINE codes tiles_block(const void *x, const struct scales *s, size_t first, unsigned shift,
                             const struct tiles_way way)
{
    const struct elements e = {x, LANES, way.input};
    const struct encoder encoder = encoder_make(way.input, way.output, true);
    struct block b;

#ifdef HAVE_POWER_CODES
    if (way.powers) {
        return power_codes(e, fill_words(s->quarter[first / 32]), fill_words(s->quarter[first / 32 + 1]));
    }
#endif
    b = load_block(e, true);
    QB__UNROLL
    for (int i = 0; i < PARTS; i++) {
        const size_t j = group_of(first, FLOATS * (size_t)i, shift, way);

        if (way.multiplies) {
            b.v[i] = multiply(b.v[i], fill_floats(s->factor[j]));
        } else if (way.special) {
            b.v[i] = divide(b.v[i], fill_floats(s->scale[j]));
        } else {
            b.v[i] = multiply_twice(b.v[i], fill_floats(s->factor[j]), fill_floats(s->rest[j]));
        }
    }
    /* Powers of two that are not rounded up leave quotients of up to twice the largest code's power. */
    return way.special || !way.multiplies ? codes_of(b, e, &encoder, way.output, way.special)
                                          : codes_cut(b, e, &encoder, way.output);
}

/* The codes of as many elements as fill a vector of bytes. */
QB__INLINE codes tiles_vector(const void *x, const struct scales *s, size_t first, unsigned shift,
                              const struct tiles_way way)
{
    const codes c = tiles_block(x, s, first, shift, way);

    return qb__formats[way.output].bits == 4
               ? nibbles_of(c, tiles_block(at(x, LANES, way.input), s, first + LANES, shift, way))
               : c;
}

/* COUNT elements of a batch at X. */
QB__INLINE void tiles_encode(const struct qb__run run, const struct scales *s, unsigned shift, bool stream,
                             const struct tiles_way way)
{
    const size_t step = qb__formats[way.output].bits == 4 ? 2 * LANES : LANES;
    uint8_t *out = run.out;
    size_t i = 0;

    for (; run.count - i >= step; i += step, out += LANES) {
        if (stream) {
            prefetch_ahead(at(run.x, i, way.input), step * qb__element_size(way.input), TILES_AHEAD);
        }
        store_codes(out, tiles_vector(at(run.x, i, way.input), s, i, shift, way), stream);
    }
    if (i < run.count) {
        const size_t left = run.count - i;
        uint32_t padded[2 * LANES] = {0};
        uint8_t last[LANES];

        memcpy(padded, at(run.x, i, way.input), left * qb__element_size(way.input));
        store_codes(last, tiles_vector(padded, s, i, shift, way), false);
        memcpy(out, last, step == LANES ? left : (left + 1) / 2);
    }
}

QB__INLINE void tiles_run(const struct qb__tiles *tiles, qb__special_routine *special, const struct tiles_way way)
{
    const size_t size = way.size > 0 ? way.size : tiles->size, batch = TILES_BATCH * size;
    const unsigned shift = (unsigned)__builtin_ctzll(size);
    struct qb__run run = {.out = tiles->out};
    struct scales both[2];
    unsigned turn = 0;

    /* The scales of the batch after the one that is encoded come first, as in encode_groups(). */
    for (size_t i = 0; i < tiles->count + batch; i += batch, turn ^= 1) {
        const struct scales *s = &both[turn ^ 1];

        if (i < tiles->count && tiles->given) {
            scales_given(&both[turn], tiles, i);
        } else if (i < tiles->count) {
            scales_make(&both[turn], tiles, i, way);
        }
        if (i == 0) {
            continue;
        }
        run.x = at(tiles->x, i - batch, way.input);
        run.count = i > tiles->count ? tiles->count - (i - batch) : batch;
        memcpy(tiles->scales + (i - batch) / size, s->code, qb__ceil_div(run.count, size) * sizeof *s->code);
        if (run.out == NULL) {
            continue;
        }
        if (s->special) {
            special(&run, s, shift);
        } else {
            tiles_encode(run, s, shift, tiles->stream, way);
        }
        run.out += qb__formats[way.output].bits == 4 ? run.count / 2 : run.count;
    }
}

/* With loops that know the usual sizes of the usual formats: each costs seconds of compilation. */
QB__INLINE void tiles_any(const struct qb__tiles *tiles, qb__special_routine *const special[2],
                          const enum qb_format input, const enum qb_format output)
{
    const bool usual = input != QB_FORMAT_F32, e4m3 = output == QB_FORMAT_E4M3, e2m1 = output == QB_FORMAT_E2M1;
    const bool integer = qb__is_integer(output);

    if (usual && (e4m3 || integer) && !tiles->form->multiplies && tiles->size == 128) {
        tiles_run(tiles, special[0], (struct tiles_way){input, output, 128, false, false, false});
    } else if (!tiles->form->multiplies) {
        tiles_run(tiles, special[0], (struct tiles_way){input, output, 0, false, false, false});
#ifdef HAVE_POWER_CODES
    } else if (usual && e2m1 && tiles->size == 32 && tiles->form->scale_format == QB_FORMAT_E8M0) {
        tiles_run(tiles, special[1], (struct tiles_way){input, output, 32, true, false, true});
#endif
    } else if (usual && (e4m3 || e2m1) && tiles->size == 32) {
        tiles_run(tiles, special[1], (struct tiles_way){input, output, 32, true, false, false});
    } else if (usual && e2m1 && tiles->size == 16) {
        tiles_run(tiles, special[1], (struct tiles_way){input, output, 16, true, false, false});
    } else if (usual && e4m3 && tiles->size == 128) {
        tiles_run(tiles, special[1], (struct tiles_way){input, output, 128, true, false, false});
    } else {
        tiles_run(tiles, special[1], (struct tiles_way){input, output, 0, true, false, false});
    }
}

#endif
