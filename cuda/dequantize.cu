/* SPDX-License-Identifier: Apache-2.0 */
/* dequantize.cu - values from codes and scales: eight codes of a scale at a time where they are aligned, else one by
 * one. Limited by writing. */
#include "decode.cuh"

#define THREADS 256u
/* Eights of codes of a thread, loaded before any is used. */
#define DEPTH 2

struct dequantize_args {
    const uint8_t *codes;
    void *values;
    qb__scales scales;
    uint64_t rows, cols;
    uint64_t code_step;    /* bytes from one row to the next */
    uint64_t value_stride; /* elements */
    uint64_t tile_rows, tile_cols;
    qb_format output;
    unsigned bits; /* of a code in memory */
    bool asymmetric;
    bool one_col; /* rows have one scale */
    qb__places places;
    uint32_t row_units;
    qb__fastdiv by_row, by_tile_rows, by_tile_units;
};

/* What a tile's codes need: its scale, its zero point, and the tensor scale. */
struct tile {
    float scale, zero_point, tensor_scale;
};

/* What tile (ROW, COL) needs, whose scale is at PLACE. */
__device__ __forceinline__ tile tile_at(const dequantize_args &a, uint64_t place, uint64_t row, uint64_t col)
{
    const void *const memory = a.scales.memory;
    tile t = {0, 0, 1};

    if (a.scales.format == QB_FORMAT_F32) {
        t.scale = ((const float *)memory)[place];
    } else if (a.scales.format == QB_FORMAT_F16) {
        t.scale = qb__half_value(((const uint16_t *)memory)[place]);
    } else if (a.scales.format == QB_FORMAT_E4M3) {
        t.scale = qb__decode<QB_FORMAT_E4M3>(((const uint8_t *)memory)[place]);
    } else {
        const uint32_t code = ((const uint8_t *)memory)[place];
        t.scale = __uint_as_float(code == 0 ? 0x400000u : code == 255 ? 0x7fc00000u : code << 23);
    }
    if (a.asymmetric) {
        t.zero_point = (float)a.scales.zero_points[row * a.scales.cols + col];
    }
    if (a.scales.tensor_scale != NULL) {
        t.tensor_scale = *a.scales.tensor_scale;
    }
    return t;
}

__device__ __forceinline__ float value_of(const dequantize_args &a, float q, const tile &t)
{
    const float value = __fmul_rn(a.asymmetric ? __fsub_rn(q, t.zero_point) : q, t.scale);

    return a.scales.tensor_scale != NULL ? __fmul_rn(value, t.tensor_scale) : value;
}

/* ---- Eight at a time ----------------------------------------------------------------------------------------------
 */

template <int IN, int OUT> __global__ void __launch_bounds__(THREADS) dequantize(const dequantize_args a)
{
    const uint8_t *const codes = qb__begin(a.codes);
    const uint32_t first = blockIdx.x * (THREADS * DEPTH) + threadIdx.x / 32 * (32 * DEPTH) + threadIdx.x % 32;
    uint32_t row[DEPTH], unit[DEPTH];
    qb__eight<OUT> c[DEPTH];
    tile t[DEPTH];

#pragma unroll
    for (int k = 0; k < DEPTH; k++) {
        row[k] = qb__divide(first + 32 * k, a.by_row);
        unit[k] = first + 32 * k - row[k] * a.by_row.divisor;
        c[k] = qb__load_eight<OUT>(codes + row[k] * a.code_step + (uint64_t)unit[k] * (4 * qb__eight<OUT>::words),
                                   row[k] < a.rows);
    }
#pragma unroll
    for (int k = 0; k < DEPTH; k++) {
        if (row[k] < a.rows) {
            const uint32_t tile_row = qb__divide(row[k], a.by_tile_rows);
            const uint32_t tile_col = a.one_col ? 0 : qb__divide(unit[k], a.by_tile_units);
            t[k] = tile_at(a, qb__place32(a.scales, a.places, tile_row, tile_col), tile_row, tile_col);
        }
    }
#pragma unroll
    for (int k = 0; k < DEPTH; k++) {
        float q[QB__EIGHT];

        if (row[k] < a.rows) {
            qb__decode8<OUT>(c[k], q);
#pragma unroll
            for (unsigned i = 0; i < QB__EIGHT; i++) {
                q[i] = value_of(a, q[i], t[k]);
            }
            qb__store8<IN>(a.values, row[k] * a.value_stride + unit[k] * QB__EIGHT, QB__EIGHT, true, q);
        }
    }
}

/* ---- One by one ---------------------------------------------------------------------------------------------------
 */

template <int IN> __global__ void __launch_bounds__(THREADS) dequantize_any(const dequantize_args a)
{
    const uint8_t *const codes = qb__begin(a.codes);
    const uint64_t i = (uint64_t)blockIdx.x * THREADS + threadIdx.x;
    uint64_t col;
    const uint64_t row = qb__divide64(i, a.cols, a.by_row, &col);
    float q[QB__EIGHT] = {};

    if (row >= a.rows) {
        return;
    }
    const uint8_t *const byte = codes + row * a.code_step + col / 8 * a.bits + col % 8 * a.bits / 8;
    const unsigned shift = (unsigned)(col % 8) * a.bits % 8;
    const uint32_t word = byte[0] | (shift + a.bits > 8 ? (uint32_t)byte[1] << 8 : 0);

    const uint64_t tile_row = row / a.tile_rows, tile_col = col / a.tile_cols;
    q[0] = value_of(a, qb__decode_any(a.output, word >> shift),
                    tile_at(a, qb__place(a.scales.layout, tile_row, tile_col), tile_row, tile_col));
    qb__store8<IN>(a.values, row * a.value_stride + col, 1, false, q);
}

/* ---- Launching ----------------------------------------------------------------------------------------------------
 */

/* True if the codes that share a scale are whole eights, aligned, and so are their values. */
static bool is_regular(const struct qb__cuda_call *call)
{
    const struct qb_problem *p = call->problem;
    const uint64_t step = qb__packed_bytes(call->output, p->packing, call->out_stride);
    const unsigned bytes = qb__formats[call->output].bits == 4 ? 4 : 8;

    return p->packing == QB_PACKING_BYTES && call->cols % QB__EIGHT == 0 &&
           (call->tile_cols >= call->cols || call->tile_cols % QB__EIGHT == 0) && step % bytes == 0 &&
           call->in_stride % QB__EIGHT == 0 && call->rows < 0x70000000u && call->cols < 0x70000000u &&
           call->rows * (call->cols / QB__EIGHT) < 0x70000000u && qb__places_fit(call) &&
           qb__is_aligned(call->out, bytes) && qb__is_aligned(call->values, 16);
}

static dequantize_args args_of(const struct qb__cuda_call *call)
{
    const struct qb_problem *p = call->problem;
    dequantize_args a = {};

    a.codes = call->out;
    a.values = call->values;
    a.scales = qb__scales_of(call);
    a.rows = call->rows;
    a.cols = call->cols;
    a.code_step = qb__packed_bytes(call->output, p->packing, call->out_stride);
    a.value_stride = call->in_stride;
    a.tile_rows = call->tile_rows;
    a.tile_cols = call->tile_cols;
    a.output = call->output;
    a.bits = qb__packed_bits(call->output, p->packing);
    a.asymmetric = p->zero_points != QB_ZERO_POINTS_NONE;
    a.one_col = call->tile_cols >= call->cols;
    return a;
}

cudaError_t qb__cuda_dequantize_run(const struct qb__cuda_call *call)
{
#define OF_INPUT(in)                                                                                                   \
    {                                                                                                                  \
        (const void *)dequantize<in, QB_FORMAT_INT8>, (const void *)dequantize<in, QB_FORMAT_E4M3>,                    \
            (const void *)dequantize<in, QB_FORMAT_E5M2>, (const void *)dequantize<in, QB_FORMAT_E2M1>,                \
            (const void *)dequantize<in, QB_FORMAT_E2M3>, (const void *)dequantize<in, QB_FORMAT_E3M2>,                \
            (const void *)dequantize<in, QB_FORMAT_INT4>, (const void *)dequantize<in, QB_FORMAT_UINT4>                \
    }
    static const void *const kernels[3][8] = {OF_INPUT(QB_FORMAT_F16), OF_INPUT(QB_FORMAT_BF16),
                                              OF_INPUT(QB_FORMAT_F32)};
    static const void *const any[3] = {(const void *)dequantize_any<QB_FORMAT_F16>,
                                       (const void *)dequantize_any<QB_FORMAT_BF16>,
                                       (const void *)dequantize_any<QB_FORMAT_F32>};
    dequantize_args a = args_of(call);
    void *args[] = {&a};

    if (a.rows == 0) {
        return cudaSuccess;
    }
    if (!is_regular(call)) {
        a.by_row = qb__make_fastdiv(a.cols);
        return qb__launch(call, any[call->input], qb__ceil_div(a.rows * a.cols, THREADS), dim3(THREADS), args);
    }
    a.places = qb__places_of(a.scales.layout);
    a.by_row = qb__make_fastdiv(a.cols / QB__EIGHT);
    a.by_tile_rows = qb__make_fastdiv(a.tile_rows);
    a.by_tile_units = qb__make_fastdiv(a.tile_cols / QB__EIGHT > 0 ? a.tile_cols / QB__EIGHT : 1);
    return qb__launch(call, kernels[call->input][call->output - QB_FORMAT_INT8],
                      qb__ceil_div(a.rows * (a.cols / QB__EIGHT), THREADS * DEPTH), dim3(THREADS), args);
}
