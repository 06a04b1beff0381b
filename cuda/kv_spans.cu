/* SPDX-License-Identifier: Apache-2.0 */
/* kv_spans.cu - keys and values into the pages of a cache in NVFP4, in one launch: spans of 16 elements, each of which
 * has a scale. Scales are in the order of the codes, so a span has the same place among both. */
#include "pages.cuh"
#include "span.cuh"

#define THREADS 256u

struct kv_args {
    const unsigned char *in;
    const int64_t *slots;
    unsigned char *out;
    qb__scales scales;
    qb__pages pages;      /* in spans */
    qb__any_pages any;    /* the same */
    uint64_t in_step;     /* bytes from one row to the next */
    uint64_t rows, spans; /* spans: of a row */
    uint64_t tensor;      /* spans that share a tensor scale */
    qb__fastdiv by_tensor;
};

/* The scale of a span and its codes. */
struct kv_span {
    uint32_t scale;
    codes<QB_FORMAT_E2M1> word;
};

/* Those of X, which is a part of what has the tensor scale INDEX. */
template <int IN> __device__ __forceinline__ kv_span quantize(const kv_args &a, const span<IN> &x, uint64_t index)
{
    const qb__tensor_factors factors = qb__factors_of(a.scales.tensor_scale[index], a.scales);
    uint32_t top = 0;
    const range r = range_of<IN, QB_FORMAT_E2M1, SMALL>(x, &top);
    const scale s = make_scale<SMALL>(r, a.scales, factors);

    return {s.code,
            codes_of<IN, QB_FORMAT_E2M1, SMALL>(x, s, factors, tames<IN, QB_FORMAT_E2M1, SMALL>::value ? top : r.high)};
}

/* A thread has a span: with two, loaded before one is used, it is 7 % slower. What a token's slot
 * says decides only where codes go, so elements are loaded at the same time as slots. */
template <int IN> __global__ void __launch_bounds__(THREADS, QB__MOST_THREADS / THREADS) kv_spans(const kv_args a)
{
    const unsigned char *const in = qb__begin(a.in);
    const uint32_t at = blockIdx.x * THREADS + threadIdx.x;
    const uint32_t row = qb__divide(at, a.pages.by_row), col = at - row * a.pages.by_row.divisor;
    const int64_t slot = row < a.rows ? a.slots[row] : -1;
    span<IN> x;

    load<IN>(x, in + row * a.in_step + (uint64_t)col * (SPAN * qb__in<IN>::size), row < a.rows);
    const kv_span q = quantize<IN>(a, x, qb__divide(col, a.by_tensor));
    if (qb__is_slot(a.pages.slots, slot)) {
        const uint64_t place = qb__place_in_pages(a.pages, (uint32_t)slot, col);

        store<QB_FORMAT_E2M1>(a.out + place * (SPAN / 2), q.word, false);
        ((uint8_t *)a.scales.memory)[place] = (uint8_t)q.scale;
    }
}

/* ---- Any shape, and any address -----------------------------------------------------------------------------------
 */

/* The elements from IN on, which are aligned to one element. */
template <int IN> __device__ __forceinline__ void load_each(span<IN> &x, const unsigned char *in)
{
    uint32_t word[4 * span<IN>::chunks];

#pragma unroll
    for (int i = 0; i < 4 * span<IN>::chunks; i++) {
        if constexpr (IN == QB_FORMAT_F32) {
            word[i] = ((const uint32_t *)in)[i];
        } else {
            word[i] = ((const uint16_t *)in)[2 * i] | (uint32_t)((const uint16_t *)in)[2 * i + 1] << 16;
        }
    }
#pragma unroll
    for (int i = 0; i < span<IN>::chunks; i++) {
        x.chunk[i] = make_uint4(word[4 * i], word[4 * i + 1], word[4 * i + 2], word[4 * i + 3]);
    }
}

template <int IN> __global__ void __launch_bounds__(THREADS) kv_any(const kv_args a)
{
    const unsigned char *const in = qb__begin(a.in);
    const uint64_t step = (uint64_t)gridDim.x * THREADS;

    for (uint64_t i = (uint64_t)blockIdx.x * THREADS + threadIdx.x; i < a.rows * a.spans; i += step) {
        const uint64_t row = i / a.spans, col = i % a.spans;
        const int64_t slot = a.slots[row];
        span<IN> x;

        if (!qb__is_slot(a.any.slots, slot)) {
            continue;
        }
        load_each<IN>(x, in + row * a.in_step + col * (SPAN * qb__in<IN>::size));
        const kv_span q = quantize<IN>(a, x, col / a.tensor);
        const uint64_t place = qb__place_in_any_pages(a.any, (uint64_t)slot, col);
        for (unsigned k = 0; k < SPAN / 2; k++) {
            a.out[place * (SPAN / 2) + k] = (unsigned char)(q.word.word[k / 4] >> (8 * (k % 4)));
        }
        ((uint8_t *)a.scales.memory)[place] = (uint8_t)q.scale;
    }
}

/* ---- Launching --------------------------------------------------------------------------------------------------- */

static kv_args kv_args_of(const struct qb__cuda_call *call)
{
    const struct qb_problem *p = call->problem;
    kv_args a = {};

    a.in = (const unsigned char *)call->in;
    a.slots = call->slots;
    a.out = call->out;
    a.scales = qb__scales_of(call);
    a.pages = qb__pages_of(call, SPAN);
    a.in_step = call->in_stride * qb__element_size(call->input);
    a.rows = call->rows;
    a.spans = call->cols / SPAN;
    a.any = qb__any_pages_of(call, SPAN);
    a.tensor = qb__tensor_scale_cols(p) / SPAN;
    a.by_tensor = qb__make_fastdiv(a.tensor);
    return a;
}

/* True if spans are loaded and stored at once, and counted in 32 bits. */
static bool is_regular(const struct qb__cuda_call *call)
{
    return qb__has_pages(call, SPAN) && call->in_stride % (16 / qb__element_size(call->input)) == 0 &&
           (uintptr_t)call->in % 16 == 0 && (uintptr_t)call->out % (SPAN / 2) == 0;
}

cudaError_t qb__cuda_kv_spans_run(const struct qb__cuda_call *call)
{
    static const void *const kernels[2][3] = {
        {(const void *)kv_any<QB_FORMAT_F16>, (const void *)kv_any<QB_FORMAT_BF16>,
         (const void *)kv_any<QB_FORMAT_F32>},
        {(const void *)kv_spans<QB_FORMAT_F16>, (const void *)kv_spans<QB_FORMAT_BF16>,
         (const void *)kv_spans<QB_FORMAT_F32>}};
    const uint64_t blocks = qb__ceil_div(call->rows * (call->cols / SPAN), THREADS);
    kv_args a = kv_args_of(call);
    void *args[] = {&a};

    /* That of any shape has a loop. */
    return call->rows == 0 ? cudaSuccess
                           : qb__launch(call, kernels[is_regular(call)][call->input],
                                        blocks < 0x7fffffffu ? blocks : 0x7fffffffu, dim3(THREADS), args);
}
