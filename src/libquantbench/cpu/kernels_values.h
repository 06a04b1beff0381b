/* SPDX-License-Identifier: Apache-2.0 */
/* kernels_values.h - the routines of struct qb__values_ops on the vectors of a vector_values_<isa>.h that is included
 * before this file: activations, norms, rotations, and codes back to values. All is computed in the order and with the
 * operations that the comment of struct qb_problem names. */
#ifndef QB_CPU_KERNELS_VALUES_H
#define QB_CPU_KERNELS_VALUES_H

#include "values.h"

/* The elements of a block. */
#define BLOCK (2 * FLOATS)

/* COUNT elements at X, fewer than a block, in PADDED with zeros after them. */
QB__INLINE const void *padded_from(uint32_t padded[2 * BLOCK], const void *x, size_t count, const enum qb_format format)
{
    memset(padded, 0, 2 * BLOCK * sizeof *padded);
    memcpy(padded, x, count * qb__element_size(format));
    return padded;
}

QB__INLINE void prefetch_at(const void *x, size_t ahead, size_t bytes)
{
    for (size_t i = 0; i < bytes; i += 64) {
        /* Past the end is harmless: a prefetch never faults. */
        __builtin_prefetch((const void *)((uintptr_t)x + ahead + i), 0, 2);
    }
}

/* ---- Activations ---------------------------------------------------------------------------------------------------
 */

/* What is constant in a loop. */
struct gated_way {
    enum qb_format input;
    bool pairs;
    bool usual; /* SiLU, exact, with neither a limit nor an offset, stored as it came */
};

/* e^-A, for A >= 0 or NaN. */
QB__INLINE floats exponential(floats a)
{
    const floats magic = fill_floats(QB__EXP_MAGIC);
    const floats shifted = fused(a, fill_floats(QB__EXP_LOG2), magic), k = subtract(shifted, magic);
    const floats r = fused(k, fill_floats(QB__EXP_LN2_LOW), fused_less(k, fill_floats(QB__EXP_LN2_HIGH), a));
    floats p = fill_floats(qb__exp_coefficients[0]);

    QB__UNROLL
    for (int i = 1; i < QB__EXP_COEFFICIENTS; i++) {
        p = fused(p, r, fill_floats(qb__exp_coefficients[i]));
    }
    return times_power(p, k, shifted, a);
}

/* G * sigmoid(T). */
QB__INLINE floats gated(floats g, floats t)
{
    const floats e = exponential(absolute(t));

    return divide(where_negative(t, times(g, e), g), add(fill_floats(1), e));
}

/* GELU of G by the error function. */
QB__INLINE floats gelu_by_erf(floats g)
{
    const floats one = fill_floats(1), t = divide(one, fused(fill_floats(QB__ERF_POLE), absolute(g), one));
    floats q = fill_floats(qb__erf_coefficients[0]), c;

    QB__UNROLL
    for (int i = 1; i < QB__ERF_COEFFICIENTS; i++) {
        q = fused(q, t, fill_floats(qb__erf_coefficients[i]));
    }
    c = times(times(t, q), exponential(times(times(g, g), fill_floats(0.5F))));
    return times(g, where_negative(g, c, subtract(one, c)));
}

/* silu(G), which correctly rounded is that of the format. */
QB__INLINE floats silu(floats g, const enum qb_format input)
{
    return input == QB_FORMAT_F16 ? where_equal(g, QB__SILU_GATE, QB__SILU_VALUE, gated(g, g)) : gated(g, g);
}

QB__INLINE floats activation(const struct qb__gated *row, floats g, const struct gated_way way)
{
    if (way.usual || row->exact) {
        return round_to(silu(g, way.input), way.input);
    }
    if (row->erf) {
        g = gelu_by_erf(g);
    } else if (row->gelu) {
        const floats slope = fused(times(g, g), fill_floats(QB__GELU_CUBE), fill_floats(QB__GELU_SLOPE));

        g = gated(g, times(g, slope));
    } else {
        g = gated(g, times(fill_floats(row->alpha), g));
    }
    return row->rounds ? round_to(g, way.input) : g;
}

/* The value of gates G and ups U, not yet rounded. */
QB__INLINE floats gated_value(const struct qb__gated *row, floats g, floats u, const struct gated_way way)
{
    floats h;

    if (!way.usual) {
        g = at_most(g, fill_floats(row->limit));
        u = at_least(at_most(u, fill_floats(row->limit)), fill_floats(-row->limit));
    }
    h = activation(row, g, way);
    if (!way.usual && row->offset != 0) {
        u = add(u, fill_floats(row->offset));
        u = row->rounds ? round_to(u, way.input) : u;
    }
    return times(h, u);
}

QB__INLINE void gated_block(const struct qb__gated *row, void *out, const void *gate, const void *up,
                            const struct gated_way way)
{
    const bool split = way.input == QB_FORMAT_BF16 && !way.pairs;
    struct two g, u;

#ifdef HAVE_HALF_PRODUCTS
    if (way.usual && way.input == QB_FORMAT_F16) {
        g = load_two(gate, way.input, split);
        store_products(out, (struct two){{silu(g.v[0], way.input), silu(g.v[1], way.input)}}, up);
        return;
    }
#endif
    if (way.pairs) {
        load_pairs(&g, &u, gate, way.input);
    } else {
        g = load_two(gate, way.input, split);
        u = load_two(up, way.input, split);
    }
    QB__UNROLL
    for (int i = 0; i < 2; i++) {
        g.v[i] = gated_value(row, g.v[i], u.v[i], way);
    }
    if (!way.usual && row->to == QB_FORMAT_F32) {
        store_two(out, g, QB_FORMAT_F32, split, true, false);
    } else {
        store_two(out, g, way.input, split, !way.usual, false);
    }
}

QB__INLINE void gated_run(const struct qb__gated *row, const struct gated_way way)
{
    const size_t step = way.pairs ? 2 * BLOCK : BLOCK, bytes = step * qb__element_size(way.input);
    const size_t out_bytes = BLOCK * qb__element_size(way.usual ? way.input : row->to), ahead = row->ahead;
    const char *gate = row->gate, *up = row->up;
    char *out = row->out;

    for (size_t left = row->count; left > 0; left = qb__left(left, BLOCK), gate += bytes, up += bytes) {
        uint32_t gates[2 * BLOCK], ups[2 * BLOCK], last[BLOCK];
        const void *g = gate, *u = up;

        if (ahead > 0) {
            prefetch_at(gate, ahead, bytes);
            if (!way.pairs) {
                prefetch_at(up, ahead, bytes);
            }
        }
        if (left < BLOCK) {
            g = padded_from(gates, gate, way.pairs ? 2 * left : left, way.input);
            u = way.pairs ? g : padded_from(ups, up, left, way.input);
        }
        gated_block(row, left < BLOCK ? (void *)last : out, g, u, way);
        if (left < BLOCK) {
            memcpy(out, last, left * (out_bytes / BLOCK));
        }
        out += out_bytes;
    }
}

QB__INLINE void gated_any(const struct qb__gated *row, const enum qb_format input)
{
    const bool usual = row->exact && !row->keeps_nan && row->limit == QB__NO_LIMIT && row->offset == 0;

    if (input != QB_FORMAT_F32 && usual && !row->pairs) {
        gated_run(row, (struct gated_way){input, false, true});
    } else if (row->pairs) {
        gated_run(row, (struct gated_way){input, true, false});
    } else {
        gated_run(row, (struct gated_way){input, false, false});
    }
}

/* ---- Norms ---------------------------------------------------------------------------------------------------------
 */

/* Columns whose sums are added up together. */
#define PANEL (FLOATS * FLOATS)

/* Add the squares of COUNT elements, at most PANEL, to C. */
QB__INLINE void squares(floats c[FLOATS], const void *x, size_t count, const enum qb_format input)
{
    const bool split = input == QB_FORMAT_BF16;

    QB__UNROLL
    for (int i = 0; i < FLOATS; i += 2) {
        const size_t first = (size_t)i * FLOATS;

        if (count > first) {
            const void *from = at(x, first, input);
            uint32_t padded[2 * BLOCK];
            struct two y;

            if (count < first + BLOCK) {
                from = padded_from(padded, from, count - first, input);
            }
            y = load_two(from, input, split);
            c[i] = fused(y.v[0], y.v[0], c[i]);
            c[i + 1] = fused(y.v[1], y.v[1], c[i + 1]);
        }
    }
}

/* Of the columns from FIRST to FIRST + PANEL - 1 of the sum of squares, those of each FLOATS added up. */
QB__INLINE floats panel_sums(const void *x, size_t count, size_t first, const enum qb_format input)
{
    floats c[FLOATS];
    size_t i = first;

    QB__UNROLL
    for (int k = 0; k < FLOATS; k++) {
        c[k] = fill_floats(0);
    }
    for (; count - i >= PANEL; i += QB__NORM_COLUMNS) {
        squares(c, at(x, i, input), PANEL, input);
        if (count - i < QB__NORM_COLUMNS) {
            return sum_each(c, input == QB_FORMAT_BF16);
        }
    }
    if (i < count) {
        squares(c, at(x, i, input), count - i, input);
    }
    return sum_each(c, input == QB_FORMAT_BF16);
}

QB__INLINE float sum_of_squares(const void *x, size_t count, const enum qb_format input)
{
    float sums[QB__NORM_COLUMNS / FLOATS] = {0};

    for (size_t first = 0; first < QB__NORM_COLUMNS && first < count; first += PANEL) {
        store_floats(sums + first / FLOATS, panel_sums(x, count, first, input), FLOATS);
    }
    for (int left = QB__NORM_COLUMNS / FLOATS / 2; left > 0; left /= 2) {
        for (int i = 0; i < left; i++) {
            sums[i] = sums[2 * i] + sums[2 * i + 1];
        }
    }
    return sums[0];
}

/* The sum of a row and its residual. */
QB__INLINE void norm_add(const struct qb__norm *row, const enum qb_format input)
{
    const bool split = input == QB_FORMAT_BF16;
    const size_t left = row->count % BLOCK, bytes = BLOCK * qb__element_size(input), ahead = row->ahead;
    const char *x = row->x, *residual = row->residual;
    char *sum = row->sum;

    for (size_t i = row->count; i >= BLOCK; i -= BLOCK, x += bytes, residual += bytes, sum += bytes) {
        const struct two a = load_two(x, input, split), b = load_two(residual, input, split);

        if (ahead > 0) {
            prefetch_at(x, ahead, bytes);
            prefetch_at(residual, ahead, bytes);
        }
        store_two(sum, (struct two){{add(a.v[0], b.v[0]), add(a.v[1], b.v[1])}}, input, split, true, false);
    }
    if (left > 0) {
        uint32_t xs[2 * BLOCK], residuals[2 * BLOCK], last[BLOCK];
        const struct two a = load_two(padded_from(xs, x, left, input), input, split);
        const struct two b = load_two(padded_from(residuals, residual, left, input), input, split);

        store_two(last, (struct two){{add(a.v[0], b.v[0]), add(a.v[1], b.v[1])}}, input, split, true, false);
        memcpy(sum, last, left * qb__element_size(input));
    }
}

/* What is constant in a loop. */
struct norm_way {
    enum qb_format input, weights;
    bool usual; /* rounded twice, and stored as it came */
};

QB__INLINE void norm_block(const struct qb__norm *row, void *out, const void *y, const void *weights, floats factor,
                           const struct norm_way way)
{
    const bool split = way.input == QB_FORMAT_BF16;
    struct two v = load_two(y, way.input, split), w;

#ifdef HAVE_HALF_PRODUCTS
    if (way.usual && way.input == QB_FORMAT_F16) {
        store_products(out, (struct two){{times(v.v[0], factor), times(v.v[1], factor)}}, weights);
        return;
    }
#endif
    w = load_two(weights, way.weights, split);
    QB__UNROLL
    for (int i = 0; i < 2; i++) {
        v.v[i] = times(v.v[i], factor);
        v.v[i] = way.usual || row->rounds ? round_to(v.v[i], way.input) : v.v[i];
        v.v[i] = times(v.v[i], w.v[i]);
    }
    if (!way.usual && row->to == QB_FORMAT_F32) {
        store_two(out, v, QB_FORMAT_F32, split, true, false);
    } else {
        store_two(out, v, way.input, split, !way.usual, false);
    }
}

QB__INLINE void norm_values(const struct qb__norm *row, const void *y, floats factor, const struct norm_way way)
{
    const size_t bytes = BLOCK * qb__element_size(way.input), weight_bytes = BLOCK * qb__element_size(way.weights);
    const size_t out_bytes = BLOCK * qb__element_size(way.usual ? way.input : row->to);
    const char *from = y, *weights = row->weights;
    char *out = row->out;

    for (size_t left = row->count; left > 0; left = qb__left(left, BLOCK), from += bytes, weights += weight_bytes) {
        uint32_t ys[2 * BLOCK], ws[2 * BLOCK], last[BLOCK];
        const void *part = from, *weight = weights;

        if (row->ahead > 0 && row->residual == NULL) {
            prefetch_at(from, row->ahead, bytes);
        }
        if (left < BLOCK) {
            part = padded_from(ys, from, left, way.input);
            weight = padded_from(ws, weights, left, way.weights);
        }
        norm_block(row, left < BLOCK ? (void *)last : out, part, weight, factor, way);
        if (left < BLOCK) {
            memcpy(out, last, left * (out_bytes / BLOCK));
        }
        out += out_bytes;
    }
}

QB__INLINE void norm_any(const struct qb__norm *row, const enum qb_format input)
{
    const void *y = row->residual != NULL ? row->sum : row->x;
    floats factor;

    if (row->residual != NULL) {
        norm_add(row, input);
    }
    factor =
        fill_floats(1.0f / __builtin_sqrtf(sum_of_squares(y, row->count, input) / (float)row->count + row->epsilon));
    if (row->float_weights) {
        norm_values(row, y, factor, (struct norm_way){input, QB_FORMAT_F32, false});
    } else if (row->rounds && row->to == input && !row->keeps_nan) {
        norm_values(row, y, factor, (struct norm_way){input, input, true});
    } else {
        norm_values(row, y, factor, (struct norm_way){input, input, false});
    }
}

/* ---- Rotations -----------------------------------------------------------------------------------------------------
 */

/* What is constant in a loop. */
struct rope_way {
    enum qb_format input, angles;
    bool usual; /* stored as it came, and nobody sees the bits of NaN */
};

/* The rotated A and B, by cosines C and sines S. */
QB__INLINE void rotate(floats *a, floats *b, floats c, floats s)
{
    const floats y = subtract(times(*a, c), times(*b, s)), z = add(times(*b, c), times(*a, s));

    *a = y;
    *b = z;
}

QB__INLINE void rope_store(const struct qb__rope *row, void *out, struct two v, const bool split,
                           const struct rope_way way)
{
    if (!way.usual && row->to == QB_FORMAT_F32) {
        store_two(out, v, QB_FORMAT_F32, split, true, false);
    } else {
        /* A NaN of binary32 may have low bits, which its rounding would carry into the sign. */
        const bool odd = way.input == QB_FORMAT_BF16 && way.angles == QB_FORMAT_F32;

        store_two(out, v, way.input, split, !way.usual || odd, false);
    }
}

/* A block of pairs: its elements, those of the other half, if they are in halves, and where they go. */
struct rope_at {
    const void *a, *b, *cosines, *sines;
    void *y, *z;
};

QB__INLINE void rope_halves(const struct qb__rope *row, const struct rope_at p, const struct rope_way way)
{
    const bool split = way.input == QB_FORMAT_BF16;
    const struct two c = load_two(p.cosines, way.angles, split), s = load_two(p.sines, way.angles, split);
    struct two v = load_two(p.a, way.input, split), w = load_two(p.b, way.input, split);

    QB__UNROLL
    for (int i = 0; i < 2; i++) {
        rotate(&v.v[i], &w.v[i], c.v[i], s.v[i]);
    }
    rope_store(row, p.y, v, split, way);
    rope_store(row, p.z, w, split, way);
}

QB__INLINE void rope_neighbors(const struct qb__rope *row, const struct rope_at p, const struct rope_way way)
{
    const struct two c = load_two(p.cosines, way.angles, false), s = load_two(p.sines, way.angles, false);
    const size_t to = qb__element_size(way.usual ? way.input : row->to);

    QB__UNROLL
    for (int i = 0; i < 2; i++) {
        struct two v = load_two(at(p.a, (size_t)i * BLOCK, way.input), way.input, false);

        v = split_two(v);
        rotate(&v.v[0], &v.v[1], c.v[i], s.v[i]);
        rope_store(row, (char *)p.y + (size_t)i * BLOCK * to, join_two(v), false, way);
    }
}

/* A head of fewer pairs than a block. */
QB__INLINE void rope_last(const struct qb__rope *row, char *out, const char *x, const struct rope_way way)
{
    const size_t left = row->half, to = qb__element_size(way.usual ? way.input : row->to);
    uint32_t as[4 * BLOCK], bs[2 * BLOCK], cs[2 * BLOCK], ss[2 * BLOCK], y[2 * BLOCK], z[BLOCK];
    struct rope_at p = {as, bs, padded_from(cs, row->cosines, left, way.angles), NULL, y, z};

    p.sines = padded_from(ss, at(row->cosines, left, way.angles), left, way.angles);
    memset(as, 0, sizeof as);
    if (row->adjacent) {
        memcpy(as, x, 2 * left * qb__element_size(way.input));
        rope_neighbors(row, p, way);
        memcpy(out, y, 2 * left * to);
    } else {
        memcpy(as, x, left * qb__element_size(way.input));
        padded_from(bs, at(x, left, way.input), left, way.input);
        rope_halves(row, p, way);
        memcpy(out, y, left * to);
        memcpy(out + left * to, z, left * to);
    }
}

/* The elements of a head that are not rotated, from X on. */
QB__INLINE void rope_rest(const struct qb__rope *row, char *out, const char *x, const struct rope_way way)
{
    const size_t size = qb__element_size(way.input), to = qb__element_size(way.usual ? way.input : row->to);
    size_t left = row->head - 2 * row->half;

    if (way.usual) {
        memcpy(out, x, left * size);
        return;
    }
    for (; left > 0; left = qb__left(left, BLOCK), x += BLOCK * size, out += BLOCK * to) {
        const size_t count = left < BLOCK ? left : BLOCK;
        uint32_t padded[2 * BLOCK], last[BLOCK];

        rope_store(row, last, load_two(padded_from(padded, x, count, way.input), way.input, false), false, way);
        memcpy(out, last, count * to);
    }
}

/* The block of pairs from pair I of the head at X on. */
QB__INLINE void rope_block(const struct qb__rope *row, char *out, const char *x, size_t i, const struct rope_way way)
{
    const size_t to = qb__element_size(way.usual ? way.input : row->to), first = row->adjacent ? 2 * i : i;
    const struct rope_at p = {at(x, first, way.input),
                              at(x, row->half + i, way.input),
                              at(row->cosines, i, way.angles),
                              at(row->cosines, row->half + i, way.angles),
                              out + first * to,
                              out + (row->half + i) * to};

    if (row->adjacent) {
        rope_neighbors(row, p, way);
    } else {
        rope_halves(row, p, way);
    }
}

QB__INLINE void rope_head(const struct qb__rope *row, char *out, const char *x, const struct rope_way way)
{
    const size_t rotary = 2 * row->half;

    if (row->half < BLOCK) {
        rope_last(row, out, x, way);
    } else {
        for (size_t i = 0; i < row->half; i += BLOCK) {
            /* At the end some pairs once more. */
            rope_block(row, out, x, row->half - i < BLOCK ? row->half - BLOCK : i, way);
        }
    }
    if (rotary < row->head) {
        rope_rest(row, out + rotary * qb__element_size(way.usual ? way.input : row->to), at(x, rotary, way.input), way);
    }
}

QB__INLINE void rope_run(const struct qb__rope *row, const struct rope_way way)
{
    const size_t bytes = row->head * qb__element_size(way.input);
    const size_t out_bytes = row->head * qb__element_size(way.usual ? way.input : row->to);
    const char *x = row->x;
    char *out = row->out;

    for (size_t head = 0; head < row->heads; head++, x += bytes, out += out_bytes) {
        if (row->ahead > 0) {
            prefetch_at(x, row->ahead, bytes);
        }
        rope_head(row, out, x, way);
    }
}

QB__INLINE void rope_any(const struct qb__rope *row, const enum qb_format input)
{
    const bool usual = row->to == input && !row->keeps_nan;

    if ((row->float_angles || input == QB_FORMAT_F32) && usual) {
        rope_run(row, (struct rope_way){input, QB_FORMAT_F32, true});
    } else if (row->float_angles || input == QB_FORMAT_F32) {
        rope_run(row, (struct rope_way){input, QB_FORMAT_F32, false});
    } else if (usual) {
        rope_run(row, (struct rope_way){input, input, true});
    } else {
        rope_run(row, (struct rope_way){input, input, false});
    }
}

/* ---- Codes to values -----------------------------------------------------------------------------------------------
 */

struct decode_way {
    enum qb_format from, to;
    bool simple; /* one scale for a vector, and nothing else */
};

/* The numbers that codes stand for, from halves with the same digits. */
QB__INLINE struct two decode_numbers(const uint8_t *packed, const enum qb_format from)
{
    const struct qb_format_info *f = &qb__formats[from];
    const unsigned bits = f->bits, mantissa = f->mantissa_bits;
    const words w = code_words(packed, bits);
    struct two q;

    if (qb__is_integer(from)) {
        /* The halves from 1024 on are integers; signed ones are counted from the least. */
        const uint16_t all = (uint16_t)((1u << bits) - 1),
                       sign = qb__is_signed(from) ? (uint16_t)(1u << (bits - 1)) : 0;
        const floats origin = fill_floats(1024 + (float)sign);

        q = widen_words(change_words(w, 16 - bits, all, sign, 0x6400));
        return (struct two){{subtract(q.v[0], origin), subtract(q.v[1], origin)}};
    } else {
        const uint16_t digits = (uint16_t)(((1u << (bits - 1)) - 1) << (10 - mantissa));
        words h = change_words(w, 16 - bits - (10 - mantissa), 0x8000 | digits, 0, 0);

        if (f->specials == QB_SPECIALS_NAN) {
            h = replace_words(h, (uint16_t)(f->nan_code << (10 - mantissa)), 0x7E00);
        } else if (f->specials == QB_SPECIALS_IEEE) {
            h = replace_words(h, 0x7C01, 0x7E00);
        }
        q = widen_words(h);
        if (f->bias != 15) {
            const floats power = fill_floats(qb__float_of(qb__power_bits(15 - f->bias)));

            q = (struct two){{times(q.v[0], power), times(q.v[1], power)}};
        }
        return q;
    }
}

/* The scale or the zero point of the vector that begins at element I. */
QB__INLINE floats decode_by(const float *each, size_t i, unsigned shift, const bool simple)
{
    return simple || shift > 0 ? fill_floats(each[i >> shift]) : load_floats(each + i, FLOATS, 0);
}

QB__INLINE void decode_block(const struct qb__decode *run, void *out, const uint8_t *packed, size_t i, bool stream,
                             const struct decode_way way)
{
    struct two q = decode_numbers(packed, way.from);

    QB__UNROLL
    for (int k = 0; k < 2; k++, i += FLOATS) {
        if (!way.simple && run->zeros != NULL) {
            q.v[k] = subtract(q.v[k], decode_by(run->zeros, i, run->shift, false));
        }
        q.v[k] = times(q.v[k], decode_by(run->scales, i, run->shift, way.simple));
        if (!way.simple && run->has_tensor) {
            q.v[k] = times(q.v[k], fill_floats(run->tensor));
        }
    }
    store_two(out, q, way.to, false, !way.simple, stream);
}

/* Bits of a code where codes of FORMAT are stored. */
QB__INLINE size_t decode_bits(const enum qb_format format)
{
    return qb__formats[format].bits == 4 ? 4 : 8;
}

/* Whole blocks, of the simple kind; returns where the rest begins. */
QB__INLINE size_t decode_simple(const struct qb__decode *run, bool stream, const enum qb_format from,
                                const enum qb_format to)
{
    const uint8_t *packed = run->codes;
    char *out = run->out;
    size_t i = 0;

    for (; run->count - i >= BLOCK; i += BLOCK) {
        decode_block(run, out, packed, i, stream, (struct decode_way){from, to, true});
        packed += BLOCK * decode_bits(from) / 8;
        out += BLOCK * qb__element_size(to);
    }
    return i;
}

/* What is left from element I on. */
QB__INLINE void decode_rest(const struct qb__decode *run, size_t i, bool stream, const enum qb_format from,
                            const enum qb_format to)
{
    const size_t bits = decode_bits(from);

    for (; i < run->count; i += BLOCK) {
        const size_t left = run->count - i;
        const uint8_t *packed = run->codes + i * bits / 8;
        char *out = (char *)run->out + i * qb__element_size(to);
        uint8_t last_codes[BLOCK];
        uint32_t last[BLOCK];

        if (left < BLOCK) {
            memset(last_codes, 0, sizeof last_codes);
            memcpy(last_codes, packed, (left * bits + 7) / 8);
            packed = last_codes;
        }
        decode_block(run, left < BLOCK ? (void *)last : out, packed, i, stream && left >= BLOCK,
                     (struct decode_way){from, to, false});
        if (left < BLOCK) {
            memcpy(out, last, left * qb__element_size(to));
        }
    }
}

QB__INLINE void decode_run(const struct qb__decode *run, const enum qb_format from, const enum qb_format to)
{
    const bool simple = run->zeros == NULL && run->shift > 0 && !run->has_tensor && !run->odd;
    const bool stream = run->stream && ((uintptr_t)run->out & (sizeof(words) - 1)) == 0;

    decode_rest(run, simple ? decode_simple(run, stream, from, to) : 0, stream, from, to);
}

#define DECODE_IF(FORMAT, ...)                                                                                         \
    if (run->from == QB_FORMAT_##FORMAT) {                                                                             \
        decode_run(run, QB_FORMAT_##FORMAT, to);                                                                       \
    }

QB__INLINE void decode_any(const struct qb__decode *run, const enum qb_format to)
{
    QB__BYTE_FORMATS(DECODE_IF)
    QB__NARROW_FORMATS(DECODE_IF)
}

#endif
