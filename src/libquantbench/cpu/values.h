/* SPDX-License-Identifier: Apache-2.0 */
/* values.h - what an instruction set provides for operations other than the quantization itself: the values of rows,
 * before they are quantized or from what was. Included where instructions of one set are in use, like kernels.h, so
 * every function here is static inline. */
#ifndef QB_CPU_VALUES_H
#define QB_CPU_VALUES_H

#include "quantbench.h"
#include "problem.h"
#include "vector.h"

#define QB__NO_LIMIT __builtin_inff()

/* A row of an activation times up. */
struct qb__gated {
    const void *gate, *up; /* elements of the input format */
    bool pairs;            /* a gate and its up side by side, from GATE on */
    size_t count;          /* of the values */
    void *out;
    enum qb_format to; /* what values are stored as */
    bool gelu;         /* not SILU, but GELU by tanh */
    bool erf;          /* nor that, but GELU by the error function */
    bool exact;        /* the activation correctly rounded to the input format */
    bool rounds;       /* each result is rounded to the input format */
    bool keeps_nan;    /* OUT is the caller's, who sees the bits of NaN */
    float limit;       /* of the gate and of up; QB__NO_LIMIT for none */
    float alpha;       /* of SILU */
    float offset;      /* of up; 0 for none */
    size_t ahead;      /* prefetch this many bytes ahead of what is read; 0: don't */
};

/* A row that is normalized. */
struct qb__norm {
    const void *x;        /* elements of the input format */
    const void *weights;  /* of these or of binary32 */
    const void *residual; /* what is added to X; NULL for nothing */
    void *sum;            /* and where that goes; perhaps the residual itself */
    size_t count;
    void *out;
    enum qb_format to;
    bool float_weights, rounds, keeps_nan; /* the last two as above */
    float epsilon;
    size_t ahead;
};

/* A row of heads that are rotated. */
struct qb__rope {
    const void *x;            /* elements of the input format */
    const void *cosines;      /* for each pair of a head, of these or of binary32; and as many sines after them */
    size_t heads, head, half; /* half: the pairs of a head */
    void *out;
    enum qb_format to;
    bool adjacent; /* a pair is two neighbors, not HALF apart */
    bool float_angles, keeps_nan;
    size_t ahead;
};

/* Codes that become values. */
struct qb__decode {
    const uint8_t *codes; /* one in a byte, or two of 4 bits */
    enum qb_format from;
    size_t count;
    /* Of element I of the run, those numbered I >> SHIFT: its scale, and its zero point unless ZEROS is NULL. SHIFT is
     * 0 or at least 4. */
    const float *scales, *zeros;
    unsigned shift;
    bool has_tensor;
    float tensor; /* the scale that all are multiplied with in the end */
    bool odd;     /* some scale is not a finite number > 0 */
    void *out;
    bool stream; /* with non-temporal stores, where OUT is aligned for them; the caller fences */
};
/* The routines of one instruction set, by input format; NULL for those that it lacks. */
struct qb__values_ops {
    void (*gated[3])(const struct qb__gated *row);
    void (*norm[3])(const struct qb__norm *row);
    void (*rope[3])(const struct qb__rope *row);
    void (*decode[3])(const struct qb__decode *run);
};

/* Those that computing in half makes faster: see struct qb__cpu_plan. */
extern const struct qb__values_ops qb__values_ops_avx512_fp16;
extern const struct qb__values_ops qb__values_ops_generic;
extern const struct qb__values_ops qb__values_ops_avx2;
extern const struct qb__values_ops qb__values_ops_avx512;

/* The exponential: see struct qb_problem. */
#define QB__EXP_TAIL     87.25f
#define QB__EXP_LOG2     -0x1.715476p+0f
#define QB__EXP_MAGIC    0x1.8p23f
#define QB__EXP_LN2_HIGH -0x1.62e4p-1f
#define QB__EXP_LN2_LOW  -0x1.7f7d1cp-20f
QB__CONSTANT float qb__exp_coefficients[] = {0x1.6850e4p-10f, 0x1.123bccp-7f, 0x1.555b98p-5f, 0x1.55548ep-3f,
                                             0x1.fffff8p-2f,  0x1p0f,         0x1p0f};
#define QB__EXP_COEFFICIENTS 7
#define QB__GELU_SLOPE       0x1.988454p+0f
#define QB__GELU_CUBE        0x1.2444f2p-4f

/* GELU by the error function: the same. */
#define QB__ERF_POLE 0x1.13153ep-2f
QB__CONSTANT float qb__erf_coefficients[] = {0x1.e2804ep-6f,  -0x1.0c6e9cp-3f, 0x1.748132p-3f,
                                             -0x1.49d3b2p-4f, 0x1.d63844p-4f,  0x1.1c764ep-4f,
                                             0x1.a1564ap-4f,  0x1.b6082cp-4f,  0x1.b7016ap-4f};
#define QB__ERF_COEFFICIENTS 9

/* The one gate in half whose SiLU by this exponential is not the correctly rounded one, and that: all 65,536 were
 * compared, and those of bfloat16. */
#define QB__SILU_GATE  -0x1.8p-8f
#define QB__SILU_VALUE -0x1.7fp-9f

#endif
