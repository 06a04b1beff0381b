/* SPDX-License-Identifier: Apache-2.0 */
/* kernels.h - the inner routines of the CPU backend: what one instruction set provides, and the small decisions that
 * must come out the same in all of them. Included by files that are compiled for one instruction set only, so every
 * function here is static inline. */
#ifndef QB_CPU_KERNELS_H
#define QB_CPU_KERNELS_H

#include "quantbench.h"
#include "problem.h"
#include "vector.h"

/* The output formats that the instruction sets with vectors of their own have routines for. */
#define QB__VECTOR_CODES(ROW) ROW(INT8, int8) ROW(E4M3, e4m3) ROW(E5M2, e5m2)
/* Those that are less than a byte. */
#define QB__SHORT_CODES(ROW) ROW(E2M1, e2m1) ROW(E2M3, e2m3) ROW(E3M2, e3m2) ROW(INT4, int4)
/* Those that they have for groups with scales of any format. */
#define QB__TILE_CODES(ROW) QB__VECTOR_CODES(ROW) QB__SHORT_CODES(ROW)

/* Set in what amax() returns when the run holds a NaN. The other bits are those of the largest |x| that is not NaN, as
 * binary32. */
#define QB__AMAX_NAN 0x80000000u

/* What a problem asks of every scale: see qb__rule_make(). */
struct qb__rule {
    enum qb_format input;
    enum qb_format output;
    bool dynamic;
    float qmax;  /* of the output format */
    float limit; /* the amax is cut to this: the input format's largest finite value, or the caller's bound */
    float last;  /* every |x / s| from here on has the largest code */
    float most;  /* no |x / s| up to here is more than an encoding without saturation can hold */
};

/* How v = x / s is computed. All three give the same codes where they are used; see qb__divisor_make(). */
enum qb__quotient {
    QB__QUOTIENT_DIVIDE,   /* the division itself */
    QB__QUOTIENT_CORRECT,  /* x * (1/s) with 1/s in two parts */
    QB__QUOTIENT_MULTIPLY, /* x * (1/s) alone */
};

/* Preparing a scale for QB__QUOTIENT_MULTIPLY means to look at every tie between two codes. There are 128 for INT8, and
 * up to 16 that matter for the others: worth it for runs of at least this many elements. */
#define QB__MULTIPLY_LEAST_INT8 4096
#define QB__MULTIPLY_LEAST_FP8  1024

/* One scale, prepared for a run of elements that share it. */
struct qb__divisor {
    float scale;
    float reciprocal;      /* 1 / scale, rounded; for MULTIPLY perhaps one unit off */
    float reciprocal_rest; /* for CORRECT: what reciprocal lacks of 1 / scale, rounded */
    /* Unless QUOTIENT is DIVIDE or CLEAN is set, |x| is cut to this before the quotient: the bits of a number in the
     * input's format that gives the largest code, but no overflow. */
    uint32_t cap;
    /* INT8: the same for negative x, without the sign, so that no code of capped numbers needs saturation; 0 if there
     * is no such pair of caps. Set for MULTIPLY only. */
    uint32_t low_cap;
    enum qb__quotient quotient;
    bool clean; /* no NaN, no infinity, and no |x| above the amax that the scale was made from */
};

/* The scales of elements that each have their own, side by side. */
struct qb__columns {
    const float *scale;
    const float *reciprocal, *rest; /* as in struct qb__divisor; NULL if some scale is not for CORRECT */
    bool clean;                     /* as in struct qb__divisor */
};

/* How a run is read and written. */
struct qb__access {
    bool stream;  /* with non-temporal stores; the caller fences */
    size_t ahead; /* prefetch into L2 this many bytes ahead of what is read; 0: don't */
};

/* The scales for which QB__QUOTIENT_CORRECT is right: see qb__divisor_make(). */
#define QB__CORRECT_LEAST 0x1p-80f
#define QB__CORRECT_MOST  0x1p64f

/* A part of a tensor's rows, and where its codes go. Strides are in elements. */
struct qb__rows {
    const void *x;
    size_t stride;
    size_t rows;
    size_t count; /* elements of each row */
    uint8_t *out; /* NULL where there are no codes */
    size_t out_stride;
};

/* Runs of one length, one after the other, with one scale each. */
struct qb__groups {
    const void *x;
    size_t count;
    size_t size;   /* elements of each */
    float *scales; /* read, or computed and written */
    uint8_t *out;  /* NULL: the scales are all that is computed */
};

/* What elements are between, 0 included. */
struct qb__range {
    float low, high;
    bool nan; /* there was one, which is ignored */
};

/* A run of elements, each with what belongs to its scale. */
struct qb__each {
    const float *v;
    const float *factors; /* what each is divided by, or, if MULTIPLY, multiplied with */
    const int16_t *zero_points;
    size_t count;
    bool multiply, asymmetric; /* not both */
    uint8_t *codes;            /* one in each byte */
};

/* Groups of a row, one after the other, of which the last may be shorter. Scales are by FORM, which is symmetric. */
struct qb__form; /* see scales.h */
struct qb__tiles {
    const void *x;
    size_t count; /* elements of all; of codes in 4 bits, what comes after these begins at a byte */
    size_t size;  /* elements of each: a power of two, QB__TILE_LEAST to QB__TILE_MOST */
    const struct qb__form *form;
    /* Of each, what its amax is multiplied with for a scale in E4M3, and its tensor scale; NULL: those of FORM. */
    const float *encodes, *tensors;
    uint32_t
        *scales; /* the codes of them, written; or read, if they are GIVEN, which only those can be that multiply */
    bool given;
    uint8_t *out; /* NULL: the scales are all that is computed */
    bool stream;  /* with non-temporal stores; OUT is aligned to a line, and the caller fences */
    bool far;     /* X may be in memory: it is prefetched */
};
#define QB__TILE_LEAST 16
#define QB__TILE_MOST  512

/* A run of elements that become integers by one scale, for QB__QUOTIENT_CORRECT, and one zero point. */
struct qb__shifted {
    const void *x;
    size_t count;
    float reciprocal, rest;      /* as in struct qb__divisor */
    uint32_t cap;                /* as there: elements up to this are easy */
    int zero_point, least, most; /* the codes are saturated */
    uint8_t *out;                /* one code in each byte */
    bool clean;                  /* all elements are up to the cap */
    bool stream;                 /* with non-temporal stores; OUT is aligned to a line, and the caller fences */
    size_t ahead;                /* as in struct qb__access */
};

/* The routines for one input format. Pointers need the alignment of one element only; counts are in elements and may be
 * 0. */
struct qb__cpu_input {
    /* The largest |x| of a run: see QB__AMAX_NAN. */
    uint32_t (*amax)(const void *x, size_t count);
    /* amax[i] = max(amax[i], |element i of each row|), NaN ignored; returns whether there was one. */
    bool (*amax_columns)(const struct qb__rows *rows, float *amax, size_t ahead);
};

/* The routines for one pair of formats. */
struct qb__cpu_pair {
    /* Encode a run with one scale. */
    void (*encode)(uint8_t *out, const void *x, size_t count, const struct qb__divisor *divisor,
                   const struct qb__access *access);
    /* Encode element i of each row with scale[i]. If streamed, rows must begin alike in a line of the output. */
    void (*encode_columns)(const struct qb__rows *rows, const struct qb__columns *columns,
                           const struct qb__access *access);
    void (*encode_groups)(const struct qb__groups *groups, const struct qb__rule *rule,
                          const struct qb__access *access);
};

/* Scales and codes of groups. */
typedef void qb__tiles_routine(const struct qb__tiles *tiles);

/* The routines of one instruction set for what is not plain. */
struct qb__narrow_ops {
    /* By input format. */
    struct qb__narrow_input {
        /* What a run is between. */
        struct qb__range (*range)(const void *x, size_t count);
        /* The elements as numbers. */
        void (*values)(float *v, const void *x, size_t count);
        /* Encode as much of the beginning of a run as is easy, and return how many elements that is. */
        size_t (*shifted)(const struct qb__shifted *run);
    } inputs[QB__FORMAT_COUNT];
    /* Encode a run with one scale, a byte for each code, of integers with copies of the sign. NULL where routines for
     * each element have to do; formats of whole bytes have an encode() in struct qb__cpu_pair. */
    void (*encode[QB__FORMAT_COUNT][QB__FORMAT_COUNT])(uint8_t *out, const void *x, size_t count,
                                                       const struct qb__divisor *divisor);
    /* A divisor for QB__QUOTIENT_MULTIPLY may have a reciprocal that is the inverse of no scale. */
    bool any_factor;
    /* NULL where the instruction set has nothing better than routines for each element. */
    qb__tiles_routine *tiles[QB__FORMAT_COUNT][QB__FORMAT_COUNT];
    /* By output format: codes of elements with scales of any kind. */
    void (*each[QB__FORMAT_COUNT])(const struct qb__each *run);
    /* Put codes of BITS bits, 4 or 6, together to whole bytes. */
    void (*pack)(uint8_t *out, const uint8_t *codes, size_t count, unsigned bits);
};

/* The routines of one instruction set. */
struct qb__values_ops;
struct qb__cpu_ops {
    const char *isa;
    /* Prepare SCALE (finite, > 0) for COUNT elements; CLEAN as in struct qb__divisor. */
    void (*prepare)(struct qb__divisor *divisor, float scale, const struct qb__rule *rule, bool clean, uint64_t count);
    /* By format; all NULL where the instruction set has no routines for one. */
    struct qb__cpu_input inputs[QB__FORMAT_COUNT];
    struct qb__cpu_pair pairs[QB__FORMAT_COUNT][QB__FORMAT_COUNT];
    const struct qb__narrow_ops *narrow;
    /* See values.h; the second ones are for processors that compute in half, NULL if there are none. */
    const struct qb__values_ops *values, *values_fp16;
    /* Copy with non-temporal stores; the caller fences. */
    void (*copy_stream)(void *target, const void *source, size_t bytes);
    /* Write WRITTEN lines of 64 bytes at TARGET and read READ of them at SOURCE, both aligned to a line, and nothing
     * else; with non-temporal stores if STREAM, and the caller fences. */
    void (*mix)(char *target, uint64_t written, const char *source, uint64_t read, bool stream);
    /* Order the calling thread's non-temporal stores before what it does next. */
    void (*fence)(void);
};

/* The routines of one pair of formats that are not inlined. */
typedef void qb__any_routine(uint8_t *out, const void *x, size_t count, const struct qb__divisor *divisor, bool stream);
typedef void qb__any_columns_routine(const struct qb__rows *rows, const struct qb__columns *columns, size_t first);

/* A pair of formats. Every function that takes one is inlined with a constant. */
struct qb__pair {
    enum qb_format input;
    enum qb_format output;
    qb__any_routine *any; /* a run of elements of any values, with any scale */
    qb__any_columns_routine *any_columns;
};

/* How blocks are encoded: constant as well. */
struct qb__way {
    enum qb__quotient quotient;
    bool clean;  /* as in struct qb__divisor */
    bool stream; /* with non-temporal stores */
};

/* A run of elements, and where its codes go. */
struct qb__run {
    uint8_t *out;
    const void *x;
    size_t count;
};

extern const struct qb__cpu_ops qb__cpu_ops_generic;
extern const struct qb__cpu_ops qb__cpu_ops_avx2;
extern const struct qb__cpu_ops qb__cpu_ops_avx512;
extern const struct qb__cpu_ops qb__cpu_ops_neon;
extern const struct qb__narrow_ops qb__narrow_ops_generic;
extern const struct qb__narrow_ops qb__narrow_ops_avx2;
extern const struct qb__narrow_ops qb__narrow_ops_avx512;

/* The value of the half BITS, exactly. */
static inline float qb__half_value(uint32_t bits)
{
    uint32_t magnitude = (bits & 0x7FFFu) << 13;
    uint32_t sign = (bits & 0x8000u) << 16;

    if (magnitude < 1u << 23) {
        return qb__float_of(sign | qb__bits_of((float)(bits & 0x3FFu) * 0x1p-24f));
    }
    return qb__float_of(sign | (magnitude + ((magnitude >= 31u << 23 ? 224u : 112u) << 23)));
}

/* The scale that goes with the largest |x| AMAX of a tile, as amax() returned it. CLEAN: see struct qb__divisor. */
static inline float qb__scale_make(uint32_t amax, const struct qb__rule *rule, bool *clean)
{
    float a = qb__float_of(amax & ~QB__AMAX_NAN);
    float scale;

    *clean = !(amax & QB__AMAX_NAN) && a <= rule->limit;
    a = a < rule->limit ? a : rule->limit;
    scale = a / rule->qmax;
    return scale > QB__SCALE_FLOOR ? scale : QB__SCALE_FLOOR;
}

/* The rule of PROBLEM. The largest code is that of all that is less than half a step away from the largest value;
 * further up, what rounds by adding carries into the next exponent. Integers saturate when they are packed. */
static inline struct qb__rule qb__rule_make(const struct qb_problem *p)
{
    const struct qb_format_info *input = &qb__formats[p->input], *output = &qb__formats[p->output];
    const uint32_t exponent = qb__bits_of(output->largest) & QB__F32_INF;
    const float step = qb__float_of(exponent - (output->mantissa_bits << 23));
    const bool integer = qb__is_integer(p->output);

    return (struct qb__rule){
        .input = p->input,
        .output = p->output,
        .dynamic = p->scaling != QB_SCALING_STATIC,
        .qmax = output->largest,
        .limit = p->amax_bound > 0 && p->amax_bound < input->largest ? p->amax_bound : input->largest,
        .last = integer ? output->largest : output->largest - step * 0.375f,
        .most = integer ? output->largest * 1.5f : output->largest + step * 0.375f,
    };
}

/* The bits of a number in the input's format at or just below VALUE; 0 if there is none that is normal and finite. */
static inline uint32_t qb__bits_below(float value, enum qb_format input)
{
    uint32_t bits = qb__bits_of(value);

    if (input == QB_FORMAT_F16) {
        return value >= 0x1p-14f && value < 65536.0f ? (bits >> 13) - (112u << 10) : 0;
    }
    return input == QB_FORMAT_BF16 ? bits >> 16 : bits;
}

/* What RECIPROCAL lacks of 1 / SCALE. The dividend is exact, with and without a fused operation. */
static inline float qb__reciprocal_rest(float scale, float reciprocal)
{
#ifdef __FP_FAST_FMAF
    return __builtin_fmaf(-scale, reciprocal, 1.0f) / scale;
#else
    return (float)(1.0 - (double)scale * (double)reciprocal) / scale;
#endif
}

/* Prepare SCALE (finite, > 0), for QB__QUOTIENT_DIVIDE or QB__QUOTIENT_CORRECT.
 *
 * CORRECT has 1/s in two parts, r = fl(1/s) and t = fl((1 - r*s) / s), of which the dividend is exact, and computes
 * q = fl(x*r + fl(x*t)) with one fused operation. A code depends on v = fl(x/s) only through v <, = or > the ties
 * between two codes, which have at most 8 significant bits. q is less than 2 units in the last place from x/s, so q can
 * fall on another side of a tie m than v only for x within 3 units of m*s; all of these x, for every significand of s
 * and every m of 8 bits, were tried: none does. This scales with powers of two as long as nothing is subnormal or
 * overflows where it matters: the least tie is 2^-17 (E5M2), so |x| >= 2^-98 at a tie when s >= 2^-80, and t and x*t
 * are normal or 0, as (1 - r*s) is a multiple of 2^-48 and s <= 2^64. Smaller |x| give a q that is small enough for
 * code 0. x*r and x*t may overflow: the cap is for that, and what is said where INT8 is encoded.
 *
 * A cap in 16 bits must be above the last tie and below what the encoding can hold. Where the input format has no such
 * number, because the scale is very small or so large that only infinity saturates, division is used. */
static inline struct qb__divisor qb__divisor_make(float scale, const struct qb__rule *rule, bool clean)
{
    struct qb__divisor d = {.scale = scale, .reciprocal = 1.0f / scale, .clean = clean};
    float cap;

    d.quotient = QB__QUOTIENT_DIVIDE;
    if (!(scale >= QB__CORRECT_LEAST && scale <= QB__CORRECT_MOST)) {
        return d;
    }
    cap = rule->most * scale;
    if (rule->input == QB_FORMAT_F16) {
        cap = cap < qb__formats[QB_FORMAT_F16].largest ? cap : qb__formats[QB_FORMAT_F16].largest;
    }
    d.cap = qb__bits_below(cap, rule->input);
    if (!clean && (d.cap == 0 || cap < rule->last * scale)) {
        return d;
    }
    d.quotient = QB__QUOTIENT_CORRECT;
    d.reciprocal_rest = qb__reciprocal_rest(scale, d.reciprocal);
    return d;
}

/* A divisor that multiplies with FACTOR, finite and > 0, exactly as it is: see QB__QUOTIENT_MULTIPLY. */
static inline struct qb__divisor qb__divisor_by(float factor, const struct qb__rule *rule)
{
    const float cap = rule->most / factor, largest = qb__formats[rule->input].largest;

    return (struct qb__divisor){
        .reciprocal = factor,
        .cap = qb__bits_below(cap < largest ? cap : largest, rule->input),
        .quotient = QB__QUOTIENT_MULTIPLY,
    };
}

#endif
