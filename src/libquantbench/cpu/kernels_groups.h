/* SPDX-License-Identifier: Apache-2.0 */
/* kernels_groups.h - of what kernels_narrow_body.h needs, groups with scales of any format, on the vectors of a
 * vector_<isa>.h that is included before this file. Batches of groups hide the latencies of their reductions and
 * divisions.
 *
 * A batch takes three steps, each a routine of its own that is compiled once for all that it serves: amaxes, by input
 * format and size; scales, by their format; codes, by both formats. */
#ifndef QB_CPU_KERNELS_GROUPS_H
#define QB_CPU_KERNELS_GROUPS_H

#include "kernels_run.h"
#include "scales.h"

enum {
    TILES_BATCH = 16,
    TILES_SHORT = 32,    /* groups of up to this size are encoded two batches at a time */
    TILES_AHEAD = 16384, /* bytes that are prefetched at most */
    ODD_NAN = 2          /* in what makes a batch special: amaxes are to be found again, without NaN */
};

/* The scales of a batch, or of two. */
struct scales {
    uint32_t code[2 * TILES_BATCH];
    float factor[2 * TILES_BATCH]; /* what elements are multiplied with */
    float scale[2 * TILES_BATCH];  /* F32 and F16: what they are divided by, of which FACTOR is the inverse, rounded */
    float rest[2 * TILES_BATCH];   /* F32 and F16: what that inverse lacks */
    float encode[2 * TILES_BATCH], tensor[2 * TILES_BATCH]; /* as in struct qb__tiles, if it HAS_TENSORS */
    uint32_t quarter[2 * TILES_BATCH];                      /* for power_codes() */
    bool multiplies;                                        /* as in struct qb__form */
    bool has_tensors;
    uint32_t special; /* some group has NaN, values that are too large, or a scale beyond QB__CORRECT_MOST */
};

/* The largest |x| of groups of SIZE elements at X, as the bits of binary32: those of NaN, or with QB__AMAX_NAN, where
 * there is one. A whole batch; or, of COUNT elements, those groups that there are. */
typedef void batch_amax_routine(uint32_t amax[TILES_BATCH], const void *x, size_t size);
typedef void groups_amax_routine(uint32_t amax[TILES_BATCH], const void *x, size_t count, size_t size);

/* The scales of groups of such amaxes, the first of which is group FIRST of S: 0 or TILES_BATCH. Returns what makes
 * them special. */
typedef uint32_t batch_scales_routine(struct scales *s, size_t first, const uint32_t amax[TILES_BATCH],
                                      const struct qb__form *form);

/* The codes of a run of whole vectors of codes, which begins at element FIRST of those of S, groups of 2^SHIFT. */
typedef void batch_codes_routine(const struct qb__run *run, const struct scales *s, size_t first, unsigned shift,
                                 const struct qb__access access);

/* How the codes of a batch are made. */
enum tiles_ways {
    WAY_ANY,     /* groups of any size */
    WAY_SPECIAL, /* batches that are special */
    WAY_DIVIDED_128,
    WAY_MULTIPLIED_16,
    WAY_MULTIPLIED_32,
    WAY_MULTIPLIED_128,
    WAY_POWERS_32, /* by power_codes() */
    WAYS
};

/* The usual sizes. */
enum tiles_sizes { SIZE_ANY, SIZE_16, SIZE_32, SIZE_128, SIZES };

/* What is constant in the loops over elements. */
struct tiles_way {
    enum qb_format input, output;
    size_t size;     /* of a group; 0: any */
    bool multiplies; /* as in struct qb__form; groups of any size: as the scales say */
    bool special;
    bool powers; /* by power_codes(): groups of 32 with scales in E8M0 */
};

/* The routines for one kind of groups. */
struct tiles_routines {
    batch_amax_routine *amax;
    groups_amax_routine *amax_each;
    batch_scales_routine *scales;
    batch_codes_routine *codes, *special;
};

/* The loops below have no branches and constant formats, so that compilers make vectors of them. What they compute is
 * that of qb__scale_of_amax() and qb__factor_of(). */

/* Scales in E8M0 of groups of amax A. */
QB__INLINE void scales_e8m0(struct scales *s, const size_t first, const float a[TILES_BATCH],
                            const struct qb__form *form)
{
    const struct qb__powers powers = form->powers;

    for (size_t j = 0; j < TILES_BATCH; j++) {
        const uint32_t code = qb__power_code(qb__bits_of(a[j]), powers);

        s->code[first + j] = code;
        s->factor[first + j] = qb__float_of(qb__power_inverse(code));
    }
}

/* What power_codes() needs of scales in E8M0. Sets ODD where a scale is too small for it. */
QB__INLINE void scales_quarter(struct scales *s, const size_t first, uint32_t odd[TILES_BATCH],
                               const float a[TILES_BATCH], const enum qb_format input)
{
    /* The exponent fields of 2^(code - 127) / 4 in the input's format are LESS below the code. */
    const uint32_t less = input == QB_FORMAT_F16 ? 114 : 2;
    const int mantissa = (int)qb__formats[input].mantissa_bits;

    for (size_t j = 0; j < TILES_BATCH; j++) {
        s->quarter[first + j] = s->code[first + j] > less ? (s->code[first + j] - less) << mantissa : 0;
        odd[j] |= (uint32_t)(s->code[first + j] <= less) & (uint32_t)(a[j] > 0);
    }
}

/* Scales in E4M3, which code_of() rounds in the same way. */
QB__INLINE void scales_e4m3(struct scales *s, const size_t first, const float a[TILES_BATCH],
                            const struct qb__form *form)
{
    float encode[TILES_BATCH], tensor[TILES_BATCH]; /* which compilers know to lie apart from what is written */

    if (s->has_tensors) {
        memcpy(encode, s->encode + first, sizeof encode);
        memcpy(tensor, s->tensor + first, sizeof tensor);
    } else {
        for (size_t j = 0; j < TILES_BATCH; j++) {
            encode[j] = form->encode;
            tensor[j] = form->tensor;
        }
    }
    for (size_t j = 0; j < TILES_BATCH; j++) {
        const float v = smaller(smaller(a[j] * encode[j], FLT_MAX), 448.0f);
        const float power = larger(qb__float_of(qb__bits_of(v) & QB__F32_INF), 0x1p-6f) * 0x1p20f;
        const float sum = v + power;
        const uint32_t bits = qb__bits_of(sum);

        s->code[first + j] = (bits + (bits >> 20) - (141u << 3)) & 0xFF;
        s->factor[first + j] = smaller(1.0f / ((sum - power) * tensor[j]), FLT_MAX);
    }
}

/* Scales in F32 or F16. Sets ODD where one is not for QB__QUOTIENT_CORRECT. */
QB__INLINE void scales_float(struct scales *s, const size_t first, uint32_t odd[TILES_BATCH],
                             const float a[TILES_BATCH], const struct qb__form *form)
{
    const float qmax = form->qmax;

    for (size_t j = 0; j < TILES_BATCH; j++) {
        s->scale[first + j] = larger(a[j] / qmax, QB__SCALE_FLOOR);
        s->code[first + j] = qb__bits_of(s->scale[first + j]);
    }
    if (form->scale_format == QB_FORMAT_F16) {
        for (size_t j = 0; j < TILES_BATCH; j++) {
            const uint32_t code = qb__half_code(larger(s->scale[first + j], QB__SCALE_FLOOR_F16));

            s->code[first + j] = code;
            s->scale[first + j] = qb__float_of(half_bits(code));
        }
    }
    for (size_t j = 0; j < TILES_BATCH; j++) {
        s->factor[first + j] = 1.0f / s->scale[first + j];
        s->rest[first + j] = qb__reciprocal_rest(s->scale[first + j], s->factor[first + j]);
        odd[j] |= (uint32_t)(s->scale[first + j] > QB__CORRECT_MOST) |
                  ((uint32_t)(s->scale[first + j] < QB__CORRECT_LEAST) & (uint32_t)(a[j] > 0));
    }
}

/* A whole batch of groups that are whole vectors, or HALVES of them. */
QB__INLINE void batch_amax(uint32_t amax[TILES_BATCH], const void *x, size_t size, const enum qb_format input,
                           const bool halves)
{
    const size_t step = sizeof(words) / qb__element_size(input);
    uint32_t raw[TILES_BATCH];
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
    for (int j = 0; j < TILES_BATCH; j++) {
        amax[j] = amax_widen(raw[j], input);
    }
}

/* Group by group: the last ones, and those among which there is NaN. */
QB__INLINE void groups_amax(uint32_t amax[TILES_BATCH], const void *x, size_t count, size_t size,
                            const enum qb_format input)
{
    for (size_t j = 0; j < TILES_BATCH; j++) {
        const size_t first = j * size;

        amax[j] = 0;
        if (first < count) {
            const size_t left = count - first;

            amax[j] = amax_widen(amax_raw(at(x, first, input), left < size ? left : size, input), input);
        }
    }
}

/* What is constant where scales are made. */
struct scales_way {
    enum qb_format format; /* of the scales; F32: or F16 */
    bool powers;           /* also what power_codes() needs for elements of INPUT */
    enum qb_format input;
};

/* See batch_scales_routine. */
QB__INLINE uint32_t scales_of(struct scales *s, size_t first, const uint32_t amax[TILES_BATCH],
                              const struct qb__form *form, const struct scales_way way)
{
    const float limit = form->limit, most = form->most;
    uint32_t odd[TILES_BATCH], special = 0; /* one reduction at the end: each costs as much as all else of a loop */
    float a[TILES_BATCH];

    for (int j = 0; j < TILES_BATCH; j++) {
        const uint32_t bits = amax[j];

        a[j] = smaller(qb__float_of(bits & ~QB__AMAX_NAN), limit);
        odd[j] = (uint32_t)(bits > qb__bits_of(limit)) | (bits > QB__F32_INF ? ODD_NAN : 0);
    }
    if (way.format == QB_FORMAT_F32) {
        scales_float(s, first, odd, a, form);
    } else if (way.format == QB_FORMAT_E8M0) {
        scales_e8m0(s, first, a, form);
        if (way.powers) {
            scales_quarter(s, first, odd, a, way.input);
        }
    } else {
        scales_e4m3(s, first, a, form);
    }
    for (size_t j = 0; j < TILES_BATCH; j++) {
        special |= odd[j] | (uint32_t)(!way.powers && a[j] * s->factor[first + j] >= most);
    }
    return special;
}

/* The scales of the groups that begin at X, COUNT elements before the end, from group FIRST of S on; those after the
 * end are of 0. Returns what makes them special. */
static uint32_t scales_batch(struct scales *s, size_t first, const void *x, size_t count, const struct qb__tiles *tiles,
                             const struct tiles_routines *routines)
{
    const size_t size = tiles->size;
    uint32_t amax[TILES_BATCH];

    if (count >= TILES_BATCH * size) {
        uint32_t special;

        routines->amax(amax, x, size);
        special = routines->scales(s, first, amax, tiles->form);
        if (!(special & ODD_NAN)) {
            return special;
        }
    }
    routines->amax_each(amax, x, count, size);
    return routines->scales(s, first, amax, tiles->form);
}

/* Let S have the tensor scales of groups FIRST to FIRST + COUNT - 1 of TILES, which may each have another. */
static void scales_take_tensors(struct scales *s, const struct qb__tiles *tiles, size_t first, size_t count)
{
    if (count >= 2 * TILES_BATCH) { /* as usual, without a call */
        memcpy(s->encode, tiles->encodes + first, sizeof s->encode);
        memcpy(s->tensor, tiles->tensors + first, sizeof s->tensor);
    } else {
        memcpy(s->encode, tiles->encodes + first, count * sizeof *s->encode);
        memcpy(s->tensor, tiles->tensors + first, count * sizeof *s->tensor);
    }
}

/* The scales of the elements from element FIRST on. */
static void scales_make(struct scales *s, size_t first, const struct qb__tiles *tiles,
                        const struct tiles_routines *routines, enum qb_format input)
{
    const size_t batch = TILES_BATCH * tiles->size, count = tiles->count - first;
    const void *x = at(tiles->x, first, input);

    s->has_tensors = tiles->encodes != NULL;
    if (s->has_tensors) {
        scales_take_tensors(s, tiles, first / tiles->size, qb__ceil_div(count, tiles->size));
    }
    s->multiplies = tiles->form->multiplies;
    s->special = scales_batch(s, 0, x, count, tiles, routines);
    if (tiles->size <= TILES_SHORT && count > batch) {
        s->special |= scales_batch(s, TILES_BATCH, at(x, batch, input), count - batch, tiles, routines);
    }
}

/* Those that are given, of all groups from element FIRST on: their elements may be anything. */
static void scales_given(struct scales *s, const struct qb__tiles *tiles, size_t first)
{
    const size_t count = qb__ceil_div(tiles->count, tiles->size);

    for (size_t j = 0; j < 2 * TILES_BATCH; j++) {
        s->code[j] = first / tiles->size + j < count ? tiles->scales[first / tiles->size + j] : 0;
        s->factor[j] = qb__factor_of(tiles->form, s->code[j]);
    }
    s->multiplies = true;
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
    const bool multiplies = way.size > 0 ? way.multiplies : s->multiplies;
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

        if (multiplies) {
            b.v[i] = multiply(b.v[i], fill_floats(s->factor[j]));
        } else if (way.special) {
            b.v[i] = divide(b.v[i], fill_floats(s->scale[j]));
        } else {
            b.v[i] = multiply_twice(b.v[i], fill_floats(s->factor[j]), fill_floats(s->rest[j]));
        }
    }
    /* Powers of two that are not rounded up leave quotients of up to twice the largest code's power. */
    return way.special || (way.size > 0 && !way.multiplies) ? codes_of(b, e, &encoder, way.output, way.special)
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

/* See batch_codes_routine. */
QB__INLINE void tiles_codes(const struct qb__run *run, const struct scales *s, size_t first, unsigned shift,
                            const struct qb__access access, const struct tiles_way way)
{
    const size_t step = qb__formats[way.output].bits == 4 ? 2 * LANES : LANES, count = run->count;
    const void *x = run->x;
    uint8_t *out = run->out;

    for (size_t i = 0; i < count; i += step, out += LANES, x = at(x, step, way.input)) {
        if (access.ahead > 0) {
            prefetch_ahead(x, step * qb__element_size(way.input), access.ahead);
        }
        store_codes(out, tiles_vector(x, s, first + i, shift, way), access.stream);
    }
}

/* How far ahead of a batch's codes the input is prefetched. The next batch's amaxes are found already, so that it is
 * the batch after that which is waited for; more where the codes are nibbles, which leave less time. */
static size_t tiles_ahead(const struct qb__tiles *tiles, size_t batch, enum qb_format input)
{
    const size_t ahead = 2 * batch * qb__element_size(input) * 8 / qb__formats[tiles->form->output].bits;

    return !tiles->far ? 0 : ahead < TILES_AHEAD ? ahead : TILES_AHEAD;
}

/* What the scales S are of. */
static void tiles_encode(struct qb__run run, const struct scales *s, const struct qb__tiles *tiles, size_t ahead,
                         const struct tiles_routines *routines, enum qb_format input)
{
    const unsigned shift = (unsigned)__builtin_ctzll(tiles->size);
    const bool nibbles = qb__formats[tiles->form->output].bits == 4;
    batch_codes_routine *encode = s->special ? routines->special : routines->codes;
    const size_t left = run.count % (nibbles ? 2 * LANES : LANES);

    run.count -= left;
    encode(&run, s, 0, shift, (struct qb__access){tiles->stream && !s->special, ahead});
    if (left > 0) {
        uint32_t padded[2 * LANES] = {0};
        uint8_t last[LANES];
        const struct qb__run rest = {last, padded, nibbles ? 2 * LANES : LANES};

        memcpy(padded, at(run.x, run.count, input), left * qb__element_size(input));
        encode(&rest, s, run.count, shift, (struct qb__access){false, 0});
        memcpy(run.out + (nibbles ? run.count / 2 : run.count), last, nibbles ? (left + 1) / 2 : left);
    }
}

static void tiles_run(const struct qb__tiles *tiles, const struct tiles_routines *routines, enum qb_format input)
{
    const size_t size = tiles->size, groups = size <= TILES_SHORT ? 2 * TILES_BATCH : TILES_BATCH;
    const size_t batch = groups * size, ahead = tiles_ahead(tiles, batch, input);
    const unsigned shift = (unsigned)__builtin_ctzll(size); /* a division takes as long as the codes of 64 elements */
    const bool nibbles = qb__formats[tiles->form->output].bits == 4;
    struct qb__run run = {.out = tiles->out};
    struct scales both[2];
    unsigned turn = 0;

    /* The scales of the batch after the one that is encoded come first, as in encode_groups(). */
    for (size_t i = 0; i < tiles->count + batch; i += batch, turn ^= 1) {
        const struct scales *s = &both[turn ^ 1];

        if (i < tiles->count && tiles->given) {
            scales_given(&both[turn], tiles, i);
        } else if (i < tiles->count) {
            scales_make(&both[turn], i, tiles, routines, input);
        }
        if (i == 0) {
            continue;
        }
        run.x = at(tiles->x, i - batch, input);
        run.count = i > tiles->count ? tiles->count - (i - batch) : batch;
        memcpy(tiles->scales + ((i - batch) >> shift), s->code, ((run.count + size - 1) >> shift) * sizeof *s->code);
        if (run.out != NULL) {
            tiles_encode(run, s, tiles, ahead, routines, input);
            run.out += nibbles ? run.count / 2 : run.count;
        }
    }
}

/* The way of groups of SIZE by FORM, if their formats have that one. */
static enum tiles_ways usual_way(const struct qb__form *form, size_t size)
{
    if (!form->multiplies) {
        return size == 128 ? WAY_DIVIDED_128 : WAY_ANY;
    }
    if (size == 32) {
        return form->scale_format == QB_FORMAT_E8M0 ? WAY_POWERS_32 : WAY_MULTIPLIED_32;
    }
    return size == 16 ? WAY_MULTIPLIED_16 : size == 128 ? WAY_MULTIPLIED_128 : WAY_ANY;
}

/* The way of groups of SIZE by FORM, of those that are THERE. */
static enum tiles_ways tiles_way_of(const struct qb__form *form, size_t size, batch_codes_routine *const there[WAYS])
{
    const enum tiles_ways usual = usual_way(form, size);
    const enum tiles_ways next = usual == WAY_POWERS_32 ? WAY_MULTIPLIED_32 : usual;

    return there[usual] != NULL ? usual : there[next] != NULL ? next : WAY_ANY;
}

static enum tiles_sizes tiles_size_of(size_t size)
{
    return size == 16 ? SIZE_16 : size == 32 ? SIZE_32 : size == 128 ? SIZE_128 : SIZE_ANY;
}

#endif
