/* SPDX-License-Identifier: Apache-2.0 */
/* kv_read.cu - keys and values from the pages of a cache: eight codes at a time where heads are whole eights, else one
 * by one. Codes of a byte are limited by writing; NVFP4 is not, see NOTES. */
#include "decode.cuh"
#include "pages.cuh"

#define THREADS 256u
/* Eights of a thread, where there are many: DEEP of one token if codes have a byte, else MANY of any tokens. */
#define DEEP 4
#define MANY 2

struct read_args {
    const uint8_t *codes;
    const int64_t *slots;
    void *values;
    const void *scales; /* of all tokens (STATIC) or of slots, in binary32; or of NVFP4, in the order of the codes */
    const float *tensor_scales; /* of NVFP4, else NULL */
    qb__pages pages;            /* of eights */
    qb__any_pages any;          /* of elements, where they are one by one */
    uint64_t rows, cols;        /* cols: units of a token, eights or elements */
    uint64_t value_stride;      /* elements */
    uint64_t tile, scale_cols;  /* units that share a scale, and the scales of a token's keys */
    uint64_t tensor;            /* units that share a tensor scale */
    qb_format output;
    bool is_static;
    qb__fastdiv by_tile, by_tensor;
};

/* What the codes of a unit need. */
struct factors {
    float scale, tensor_scale;
};

__device__ __forceinline__ float value_of(const read_args &a, float q, const factors &f)
{
    const float value = __fmul_rn(q, f.scale);

    return a.tensor_scales != NULL ? __fmul_rn(value, f.tensor_scale) : value;
}

/* ---- Eight at a time ----------------------------------------------------------------------------------------------
 */

/* Those of unit COL of a token in SLOT, whose codes are at PLACE. */
template <int OUT>
__device__ __forceinline__ factors factors_of(const read_args &a, uint64_t place, uint32_t slot, uint32_t col)
{
    if constexpr (OUT == QB_FORMAT_E2M1) {
        return {qb__decode<QB_FORMAT_E4M3>(((const uint8_t *)a.scales)[place / 2]),
                a.tensor_scales[qb__divide(col, a.by_tensor)]};
    } else {
        const float *const scales = (const float *)a.scales;

        if (a.is_static) {
            return {scales[qb__divide(col, a.by_tile)], 1};
        }
        const uint32_t side = col >= a.pages.half;
        return {scales[(side * a.pages.slots + slot) * a.scale_cols + qb__divide(col - side * a.pages.half, a.by_tile)],
                1};
    }
}

/* A thread has DEPTH units, of one token (ONE_ROW) or of any, all of whose slots are loaded before the codes of one
 * are, and these before one is used. */
template <int IN, int OUT, int DEPTH, bool ONE_ROW>
__global__ void __launch_bounds__(THREADS) kv_read(const read_args a)
{
    const uint8_t *const codes = qb__begin(a.codes);
    const uint32_t first = blockIdx.x * (THREADS * DEPTH) + threadIdx.x / 32 * (32 * DEPTH) + threadIdx.x % 32;
    uint32_t row[DEPTH], col[DEPTH];
    int64_t slot[DEPTH];
    uint64_t at[DEPTH];
    qb__eight<OUT> c[DEPTH];
    factors f[DEPTH];

#pragma unroll
    for (int k = 0; k < DEPTH; k++) {
        const bool same = ONE_ROW && k > 0;

        row[k] = same ? row[0] : qb__divide(first + 32 * k, a.pages.by_row);
        col[k] = first + 32 * k - row[k] * a.pages.by_row.divisor;
        slot[k] = same ? slot[0] : row[k] < a.rows ? a.slots[row[k]] : -1;
    }
#pragma unroll
    for (int k = 0; k < DEPTH; k++) {
        const bool valid = qb__is_slot(a.pages.slots, slot[k]);

        at[k] = ONE_ROW && k > 0 ? at[0] : qb__place_of_slot(a.pages, valid ? (uint32_t)slot[k] : 0);
        const uint64_t place = qb__place_from(a.pages, at[k], col[k]);

        c[k] = qb__load_eight<OUT>(codes + place * (4 * qb__eight<OUT>::words), valid);
        f[k] = valid ? factors_of<OUT>(a, place, (uint32_t)slot[k], col[k]) : factors{};
    }
#pragma unroll
    for (int k = 0; k < DEPTH; k++) {
        float q[QB__EIGHT];

        if (qb__is_slot(a.pages.slots, slot[k])) {
            qb__decode8<OUT>(c[k], q);
#pragma unroll
            for (unsigned i = 0; i < QB__EIGHT; i++) {
                q[i] = value_of(a, q[i], f[k]);
            }
            qb__store8<IN>(a.values, row[k] * a.value_stride + col[k] * QB__EIGHT, QB__EIGHT, true, q);
        }
    }
}

/* ---- One by one ---------------------------------------------------------------------------------------------------
 */

template <int IN> __global__ void __launch_bounds__(THREADS) kv_read_any(const read_args a)
{
    const uint8_t *const codes = qb__begin(a.codes);
    const uint64_t step = (uint64_t)gridDim.x * THREADS;
    const bool nvfp4 = a.output == QB_FORMAT_E2M1;

    for (uint64_t i = (uint64_t)blockIdx.x * THREADS + threadIdx.x; i < a.rows * a.cols; i += step) {
        const uint64_t row = i / a.cols, col = i % a.cols;
        const int64_t slot = a.slots[row];
        factors f = {0, 1};
        float q[QB__EIGHT] = {};

        if (!qb__is_slot(a.any.slots, slot)) {
            continue;
        }
        const uint64_t place = qb__place_in_any_pages(a.any, (uint64_t)slot, col);
        const uint32_t code = nvfp4 ? codes[place / 2] >> (place % 2 * 4) : codes[place];
        const uint64_t half = a.any.half, side = col / half;
        if (nvfp4) {
            f = {qb__decode<QB_FORMAT_E4M3>(((const uint8_t *)a.scales)[place / a.tile]),
                 a.tensor_scales[col / a.tensor]};
        } else if (a.is_static) {
            f.scale = ((const float *)a.scales)[col / a.tile];
        } else {
            f.scale =
                ((const float *)a.scales)[(side * a.any.slots + (uint64_t)slot) * a.scale_cols + col % half / a.tile];
        }
        q[0] = value_of(a, qb__decode_any(a.output, code), f);
        qb__store8<IN>(a.values, row * a.value_stride + col, 1, false, q);
    }
}

/* ---- Launching ----------------------------------------------------------------------------------------------------
 */

/* True if heads and what shares a scale are whole eights, aligned, and so are their values. */
static bool is_regular(const struct qb__cuda_call *call)
{
    const unsigned bytes = call->output == QB_FORMAT_E2M1 ? 4 : 8;

    return qb__head_size(call->problem) % QB__EIGHT == 0 && call->tile_cols % QB__EIGHT == 0 &&
           call->in_stride % QB__EIGHT == 0 && qb__has_pages(call, QB__EIGHT) && qb__is_aligned(call->out, bytes) &&
           qb__is_aligned(call->values, 16);
}

/* What kernels need whose units have UNIT elements. */
static read_args args_of(const struct qb__cuda_call *call, unsigned unit)
{
    const struct qb_problem *p = call->problem;
    read_args a = {};

    a.codes = call->out;
    a.slots = call->slots;
    a.values = call->values;
    a.scales = call->scales;
    a.tensor_scales = p->tensor_scale != QB_TENSOR_SCALE_NONE ? call->tensor_scale : NULL;
    a.pages = qb__pages_of(call, unit);
    a.any = qb__any_pages_of(call, unit);
    a.rows = call->rows;
    a.cols = call->cols / unit;
    a.value_stride = call->in_stride;
    a.tile = call->tile_cols / unit;
    a.scale_cols = call->scale_cols / 2;
    a.tensor = qb__tensor_scale_cols(p) / unit;
    a.output = call->output;
    a.is_static = call->scaling == QB_SCALING_STATIC;
    a.by_tile = qb__pages_divisor(a.tile);
    a.by_tensor = qb__pages_divisor(a.tensor);
    return a;
}

static cudaError_t run_eights(const struct qb__cuda_call *call)
{
#define BYTES(in, depth, one_row)                                                                                      \
    (const void *)kv_read<in, QB_FORMAT_INT8, depth, one_row>,                                                         \
        (const void *)kv_read<in, QB_FORMAT_E4M3, depth, one_row>,                                                     \
        (const void *)kv_read<in, QB_FORMAT_E5M2, depth, one_row>
#define ALL(in, depth)                                                                                                 \
    {                                                                                                                  \
        BYTES(in, depth, false), (const void *)kv_read<in, QB_FORMAT_E2M1, depth, false>                               \
    }
    static const void *const deep[3][3] = {
        {BYTES(QB_FORMAT_F16, DEEP, true)}, {BYTES(QB_FORMAT_BF16, DEEP, true)}, {BYTES(QB_FORMAT_F32, DEEP, true)}};
    static const void *const many[3][4] = {ALL(QB_FORMAT_F16, MANY), ALL(QB_FORMAT_BF16, MANY),
                                           ALL(QB_FORMAT_F32, MANY)};
    static const void *const few[3][4] = {ALL(QB_FORMAT_F16, 1), ALL(QB_FORMAT_BF16, 1), ALL(QB_FORMAT_F32, 1)};
    read_args a = args_of(call, QB__EIGHT);
    const uint64_t units = a.rows * a.cols, threads = (uint64_t)call->limits->units * 2048;
    const unsigned output = call->output - QB_FORMAT_INT8;
    void *args[] = {&a};

    /* Several for each thread as soon as there are enough for three quarters of the multiprocessors, or for all. */
    if (call->output != QB_FORMAT_E2M1 && a.cols % (32 * DEEP) == 0 && 4 * units >= 3 * DEEP * threads) {
        return qb__launch(call, deep[call->input][output], qb__ceil_div(units, THREADS * DEEP), dim3(THREADS), args);
    }
    if (units >= MANY * threads) {
        return qb__launch(call, many[call->input][output], qb__ceil_div(units, THREADS * MANY), dim3(THREADS), args);
    }
    return qb__launch(call, few[call->input][output], qb__ceil_div(units, THREADS), dim3(THREADS), args);
}

cudaError_t qb__cuda_kv_read_run(const struct qb__cuda_call *call)
{
    static const void *const any[3] = {(const void *)kv_read_any<QB_FORMAT_F16>,
                                       (const void *)kv_read_any<QB_FORMAT_BF16>,
                                       (const void *)kv_read_any<QB_FORMAT_F32>};
    const uint64_t blocks = qb__ceil_div(call->rows * call->cols, THREADS);
    read_args a = args_of(call, 1);
    void *args[] = {&a};

    if (call->rows == 0) {
        return cudaSuccess;
    }
    if (is_regular(call)) {
        return run_eights(call);
    }
    /* It has a loop. */
    return qb__launch(call, any[call->input], blocks < 0x7fffffffu ? blocks : 0x7fffffffu, dim3(THREADS), args);
}
