/* SPDX-License-Identifier: Apache-2.0 */
/* norm.cuh - what the kernels of RMS_NORM and ADD_RMS_NORM share: their arguments, and values of 16 bits. */
#ifndef QB_CUDA_NORM_CUH
#define QB_CUDA_NORM_CUH

#include "tail.cuh"

struct qb__norm_args {
    const unsigned char *in;
    const void *weights;
    const unsigned char *residual; /* NULL: none. It may be the sum. */
    void *sum, *values;            /* NULL: not wanted */
    uint64_t rows, cols, in_stride;
    uint64_t in_step; /* bytes from one row to the next */
    float length, epsilon;
    bool float_weights;
    bool rounds; /* after each step */
    bool wide, in_float;
    uint32_t row_chunks;
    qb__tail tail;
};

static inline qb__norm_args qb__norm_args_of(const struct qb__cuda_call *call)
{
    const struct qb_problem *p = call->problem;
    const bool adds = p->operation == QB_OPERATION_ADD_RMS_NORM;
    qb__norm_args a = {};

    a.in = (const unsigned char *)call->in;
    a.weights = call->weights;
    a.residual = adds ? (const unsigned char *)call->residual : NULL;
    a.sum = adds ? call->sum : NULL;
    a.values = call->values;
    a.rows = call->rows;
    a.cols = call->cols;
    a.in_stride = call->in_stride;
    a.in_step = call->in_stride * qb__element_size(call->input);
    a.length = (float)call->cols;
    a.epsilon = p->epsilon;
    a.float_weights = p->weights == QB_WEIGHTS_FLOAT;
    a.rounds = p->intermediate == QB_INTERMEDIATE_INPUT;
    a.in_float = p->intermediate == QB_INTERMEDIATE_FLOAT;
    a.wide = a.cols % QB__EIGHT == 0 && a.in_stride % QB__EIGHT == 0 && qb__is_aligned(a.in, 16) &&
             qb__is_aligned(a.weights, 16) && qb__is_aligned(a.residual, 16) && qb__is_aligned(a.sum, 16) &&
             qb__is_aligned(a.values, 16);
    return a;
}

/* True if qb__fast_norm_factor() is right for A: all lengths whose odd part is at most 1023 were tried, see NOTES.
 * Other epsilons and lengths are for norm.cu. */
static inline bool qb__has_fast_factor(const qb__norm_args &a)
{
    return a.epsilon <= 1 && a.cols / (a.cols & -a.cols) <= 1023 && a.cols <= 16384;
}

/* As qb__norm_factor(), with one branch in place of its three. */
__device__ __forceinline__ float qb__fast_norm_factor(float sum, float length, float epsilon)
{
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ == 900
    if (sum >= 0x1p-80f && sum <= 0x1p80f) {
        float near, r;

        asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(near) : "f"(length));
        near = __fmaf_rn(-__fmaf_rn(length, near, -1.0f), near, near);
        const float q = __fmul_rn(sum, near);
        const float mean = __fadd_rn(__fmaf_rn(__fmaf_rn(-q, length, sum), near, q), epsilon);
        asm("rsqrt.approx.ftz.f32 %0, %1;" : "=f"(r) : "f"(mean));
        const float about = __fmul_rn(mean, r);
        const float root = __fmaf_rn(__fmaf_rn(-about, about, mean), __fmul_rn(r, 0.5f), about);
        asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(r) : "f"(root));
        return __fmaf_rn(-__fmaf_rn(root, r, -1.0f), r, r);
    }
#endif
    return qb__norm_factor(sum, length, epsilon);
}

/* Two values, eight, and those of a chunk, rounded after each step, by weights of the input's format. */
template <int IN> __device__ __forceinline__ uint32_t qb__norm_pair(float x, float y, uint32_t w, float factor)
{
    return qb__pair_product<IN>(qb__pack_pair<IN>(__fmul_rn(x, factor), __fmul_rn(y, factor)), w);
}

template <int IN> __device__ __forceinline__ uint4 qb__norm_eight(const float *x, const uint4 &w, float factor)
{
    return make_uint4(qb__norm_pair<IN>(x[0], x[1], w.x, factor), qb__norm_pair<IN>(x[2], x[3], w.y, factor),
                      qb__norm_pair<IN>(x[4], x[5], w.z, factor), qb__norm_pair<IN>(x[6], x[7], w.w, factor));
}

template <int IN> __device__ __forceinline__ uint4 qb__norm_chunk(const uint4 &y, const uint4 &w, float factor)
{
    float x[QB__EIGHT];

    qb__unpack<IN>(y, x);
    return qb__norm_eight<IN>(x, w, factor);
}

#endif
