/* SPDX-License-Identifier: Apache-2.0 */
/* kernels_blocks.h - of what kernels_body.h needs, the blocks of the quantization, on the vectors of a vector_<isa>.h
 * that is included before this file. */
#ifndef QB_CPU_KERNELS_BLOCKS_H
#define QB_CPU_KERNELS_BLOCKS_H

#include "kernels.h"

/* A divisor, for as many elements as a vector has floats. */
struct quotient {
    floats scale;
    floats reciprocal;
    floats reciprocal_rest;
};

/* What a run keeps in registers. */
struct constants {
    struct quotient quotient;
    limits cap;
    struct encoder encoder;
};

QB__INLINE struct constants constants_make(const struct qb__divisor *d, const enum qb_format input,
                                           const enum qb_format output)
{
    return (struct constants){
        .quotient =
            {
                .scale = fill_floats(d->scale),
                .reciprocal = fill_floats(d->reciprocal),
                .reciprocal_rest = fill_floats(d->reciprocal_rest),
            },
        .cap = limits_make(d->cap, input),
        .encoder = encoder_make(input, output, false),
    };
}

QB__INLINE floats quotient_of(floats x, const struct quotient *q, const enum qb__quotient quotient)
{
    switch (quotient) {
    case QB__QUOTIENT_DIVIDE:
        return divide(x, q->scale);
    case QB__QUOTIENT_MULTIPLY:
        return multiply(x, q->reciprocal);
    case QB__QUOTIENT_CORRECT:
        break;
    }
    return multiply_twice(x, q->reciprocal, q->reciprocal_rest);
}

/* The elements of E divided by the scale. */
QB__INLINE struct block quotients_of(const struct elements e, const struct quotient *q,
                                     const enum qb__quotient quotient)
{
    struct block b = load_block(e, false);

    QB__UNROLL
    for (int i = 0; i < PARTS; i++) {
        b.v[i] = quotient_of(b.v[i], q, quotient);
    }
    return b;
}

/* The same where the quotient may not be constant: a loop for each, so that what follows is there once. */
QB__INLINE struct block quotients_by(const struct elements e, const struct quotient *q, enum qb__quotient quotient)
{
    return quotient == QB__QUOTIENT_CORRECT    ? quotients_of(e, q, QB__QUOTIENT_CORRECT)
           : quotient == QB__QUOTIENT_MULTIPLY ? quotients_of(e, q, QB__QUOTIENT_MULTIPLY)
                                               : quotients_of(e, q, QB__QUOTIENT_DIVIDE);
}

QB__INLINE bool encode_block(uint8_t *out, const void *x, const struct constants *c, const struct qb__pair pair,
                             const struct qb__way way)
{
    const bool integer = qb__is_integer(pair.output);
    const bool capped = !integer || (!CORRECT_ANY && way.quotient == QB__QUOTIENT_CORRECT);
    const struct elements e = {x, LANES, pair.input};
    codes found;

    if (capped && !way.clean && __builtin_expect(any_above(e, c->cap), 0)) {
        return false;
    }
    found = codes_of(quotients_by(e, &c->quotient, way.quotient), e, &c->encoder, pair.output, false);
    if (integer && !way.clean && __builtin_expect(codes_doubtful(found), 0)) {
        return false; /* nothing stored: a line that is streamed and then written again costs a trip to memory */
    }
    if (pair.output == QB_FORMAT_INT4) {
        found = codes_within(found, -8, 7);
    }
    store_codes(out, found, way.stream);
    return true;
}

/* The codes of elements of any values. */
QB__INLINE codes codes_of_any(const struct elements e, const struct constants *c, const struct qb__pair pair,
                              enum qb__quotient quotient)
{
    return codes_of(quotients_by(e, &c->quotient, quotient), e, &c->encoder, pair.output, true);
}

QB__INLINE void encode_part(const struct qb__run run, const struct constants *c, const struct qb__pair pair,
                            const struct qb__way way)
{
    uint32_t padded[LANES];
    const struct elements e = elements_of(padded, run.x, run.count, pair.input);
    const struct elements whole = {run.x, LANES, pair.input};
    const codes found = HAVE_MASKS && run.count == LANES ? codes_of_any(whole, c, pair, way.quotient)
                                                         : codes_of_any(e, c, pair, way.quotient);

    if (run.count == LANES) {
        store_codes(run.out, found, way.stream);
    } else {
        store_part(run.out, found, run.count);
    }
}

QB__INLINE void encode_block_columns(const struct qb__rows rows, const struct qb__columns *columns, size_t first,
                                     const struct qb__pair pair, const struct qb__way way)
{
    const bool integer = qb__is_integer(pair.output);
    const struct encoder encoder = encoder_make(pair.input, pair.output, true);
    struct quotient q[PARTS];
    uint32_t padded[LANES];
    const void *x = rows.x;
    uint8_t *out = rows.out;

    QB__UNROLL
    for (int i = 0; i < PARTS; i++) {
        const size_t here = first + FLOATS * (size_t)i, left = qb__left(rows.count, FLOATS * (size_t)i);

        if (way.quotient == QB__QUOTIENT_DIVIDE) {
            q[i].scale = load_floats(columns->scale + here, left, 1.0f);
        } else {
            q[i].reciprocal = load_floats(columns->reciprocal + here, left, 0.0f);
            q[i].reciprocal_rest = load_floats(columns->rest + here, left, 0.0f);
        }
    }
    for (size_t row = rows.rows; row > 0; row--, out += rows.out_stride, x = at(x, rows.stride, pair.input)) {
        const struct elements e = elements_of(padded, x, rows.count, pair.input);
        struct block b = load_block(e, true);
        codes found;

        QB__UNROLL
        for (int i = 0; i < PARTS; i++) {
            b.v[i] = quotient_of(b.v[i], &q[i], way.quotient);
        }
        found = codes_of(b, e, &encoder, pair.output, !integer && !way.clean);
        if (integer && !way.clean && __builtin_expect(codes_doubtful(found), 0)) {
            found = codes_repair(found, e);
        }
        if (rows.count == LANES) {
            store_codes(out, found, way.stream);
        } else {
            store_part(out, found, rows.count);
        }
    }
}

#endif
