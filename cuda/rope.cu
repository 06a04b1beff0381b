/* SPDX-License-Identifier: Apache-2.0 */
/* rope.cu - ROPE: the values alone, of any problem; and fused with a quantization of regular rows. A thread that has a
 * chunk of one half of a head reads that of the other half too, which is in the first cache by then, as are the angles
 * after the first head. */
#include "chunks.cuh"

#define THREADS 256u

/* Two NaN, in either format of 16 bits. */
#define NAN_PAIR 0x7fff7fffu

struct rope_args : qb__chunk_args {
    const unsigned char *angles;
    const int64_t *positions;
    uint64_t count;         /* of the rows of the angles */
    uint64_t head, half;    /* elements of a head, and pairs of it */
    uint64_t units;         /* the values alone: eight elements, at most */
    qb__fastdiv by_head;    /* chunks of a head */
    uint64_t angle_step;    /* bytes from one row of the angles to the next */
    uint32_t half_bytes;    /* of HALF elements of the input */
    uint32_t sine;          /* bytes from a cosine to its sine */
    uint32_t rotary_chunks; /* of a head */
    bool adjacent, float_angles, wide, in_float;
};

/* ---- Arithmetic ---------------------------------------------------------------------------------------------------
 */

/* X * C + OTHER * S, each product rounded; of halves they are exact. */
template <int IN, bool FLOAT> __device__ __forceinline__ float rotated(float x, float c, float other, float s)
{
    const float across = __fmul_rn(other, s);

    return IN == QB_FORMAT_F16 && !FLOAT ? __fmaf_rn(x, c, across) : __fadd_rn(__fmul_rn(x, c), across);
}

/* ---- The values alone ---------------------------------------------------------------------------------------------
 */

template <int IN> __device__ __forceinline__ float angle_at(const rope_args &a, uint64_t index)
{
    return a.float_angles ? qb__load_element<QB_FORMAT_F32>(a.angles, (int64_t)index)
                          : qb__load_element<IN>(a.angles, (int64_t)index);
}

/* Element PLACE of the head that begins at element HEAD, which is X, rotated by row POSITION of the angles. */
template <int IN>
__device__ __forceinline__ float value_at(const rope_args &a, const unsigned char *in, uint64_t head, uint64_t place,
                                          float x, int64_t position)
{
    const bool first = a.adjacent ? place % 2 == 0 : place < a.half;
    const uint64_t partner = a.adjacent ? place ^ 1 : first ? place + a.half : place - a.half;
    const uint64_t pair = a.adjacent ? place / 2 : first ? place : place - a.half;
    const uint64_t angle = (uint64_t)position * 2 * a.half + pair;
    float c = __uint_as_float(0x7fc00000u), s = c;

    if (place >= 2 * a.half) {
        return x;
    }
    if ((uint64_t)position < a.count) {
        c = angle_at<IN>(a, angle);
        s = angle_at<IN>(a, angle + a.half);
    }
    return rotated<IN, true>(x, c, qb__load_element<IN>(in, (int64_t)(head + partner)), first ? -s : s);
}

/* A thread has eight neighbors of a row. */
template <int IN> __global__ void __launch_bounds__(THREADS) rope_values(const rope_args a)
{
    const unsigned char *const in = qb__begin(a.in);
    const uint64_t unit = (uint64_t)blockIdx.x * THREADS + threadIdx.x;
    const uint64_t row_units = a.cols / QB__EIGHT + (a.cols % QB__EIGHT != 0);
    uint64_t col;
    const uint64_t row = qb__divide64(unit, row_units, a.by_row, &col);
    float x[QB__EIGHT];

    if (unit >= a.units) {
        return;
    }
    col *= QB__EIGHT;
    const uint32_t count = (uint32_t)min(a.cols - col, (uint64_t)QB__EIGHT);
    const uint64_t first = row * a.in_stride + col;
    const int64_t position = a.positions[row];
    uint64_t place = col % a.head;
    qb__load8<IN>(in, first, count, a.wide, x);
#pragma unroll
    for (unsigned i = 0; i < QB__EIGHT; i++) {
        if (i < count) {
            x[i] = value_at<IN>(a, in, first + i - place, place, x[i], position);
        }
        place = place + 1 == a.head ? 0 : place + 1;
    }
    if (a.in_float) {
        qb__store8<QB_FORMAT_F32>(a.values, row * a.cols + col, count, a.wide, x);
    } else {
        qb__store8<IN>(a.values, row * a.cols + col, count, a.wide, x);
    }
}

/* ---- Fused --------------------------------------------------------------------------------------------------------
 */

/* A chunk, that of its partners, unless they are in it, and where its cosines are. */
struct rope_chunk {
    uint4 own, other;
    const unsigned char *cosines;
    bool rotated, first, misplaced;
};

/* The eight, or where they are ADJACENT the first four, cosines or sines at AT. */
template <int IN, bool FLOAT>
__device__ __forceinline__ void load_angles(const unsigned char *at, bool adjacent, float *x)
{
    uint4 words = make_uint4(0, 0, 0, 0);

    if constexpr (FLOAT) {
        qb__unpack<QB_FORMAT_F32>(qb__load16(at), x);
        qb__unpack<QB_FORMAT_F32>(adjacent ? words : qb__load16(at + 16), x + 4);
    } else {
        if (adjacent) {
            const uint2 four = *(const uint2 *)at;
            words.x = four.x;
            words.y = four.y;
        } else {
            words = qb__load16(at);
        }
        qb__unpack<IN>(words, x);
    }
}

/* The values of a chunk of pairs. */
template <int IN, bool FLOAT> __device__ __forceinline__ uint4 rotated_chunk(const rope_args &a, const rope_chunk &p)
{
    float x[QB__EIGHT], y[QB__EIGHT], c[QB__EIGHT], s[QB__EIGHT];

    load_angles<IN, FLOAT>(p.cosines, a.adjacent, c);
    load_angles<IN, FLOAT>(p.cosines + a.sine, a.adjacent, s);
    qb__unpack<IN>(p.own, x);
    if (a.adjacent) {
#pragma unroll
        for (unsigned i = 0; i < QB__EIGHT; i += 2) {
            y[i] = rotated<IN, FLOAT>(x[i], c[i / 2], x[i + 1], -s[i / 2]);
            y[i + 1] = rotated<IN, FLOAT>(x[i + 1], c[i / 2], x[i], s[i / 2]);
        }
    } else {
        float other[QB__EIGHT];
        const uint32_t sign = p.first ? 0x80000000u : 0;

        qb__unpack<IN>(p.other, other);
#pragma unroll
        for (unsigned i = 0; i < QB__EIGHT; i++) {
            y[i] = rotated<IN, FLOAT>(x[i], c[i], other[i], __uint_as_float(__float_as_uint(s[i]) ^ sign));
        }
    }
    return make_uint4(qb__pack_pair<IN>(y[0], y[1]), qb__pack_pair<IN>(y[2], y[3]), qb__pack_pair<IN>(y[4], y[5]),
                      qb__pack_pair<IN>(y[6], y[7]));
}

template <int IN, bool FLOAT> struct rope_source {
    typedef rope_args args;
    typedef rope_chunk chunk;

    static __device__ __forceinline__ chunk load(const rope_args &a, const unsigned char *in, uint64_t row,
                                                 uint32_t col, bool valid)
    {
        const unsigned char *const at = in + row * a.in_step + (uint64_t)col * 16;
        const uint32_t place = col - qb__divide(col, a.by_head) * a.by_head.divisor, half = a.rotary_chunks / 2;
        const uint4 none = make_uint4(0, 0, 0, 0);
        chunk c = {};

        c.first = place < half;
        c.rotated = valid && place < a.rotary_chunks;
        c.own = valid ? qb__load16(at) : none;
        c.other = c.rotated && !a.adjacent ? qb__load16(c.first ? at + a.half_bytes : at - a.half_bytes) : none;
        if (c.rotated) {
            const uint64_t position = (uint64_t)a.positions[row];
            const uint32_t pair = a.adjacent ? place * 4 : (c.first ? place : place - half) * QB__EIGHT;

            c.misplaced = position >= a.count;
            c.cosines = a.angles + (c.misplaced ? 0 : position) * a.angle_step +
                        pair * (FLOAT ? 4u : (unsigned)qb__in<IN>::size);
        }
        return c;
    }

    static __device__ __forceinline__ uint4 values(const rope_args &a, const chunk &p, uint32_t row, uint32_t col,
                                                   bool valid)
    {
        uint4 z = p.rotated ? rotated_chunk<IN, FLOAT>(a, p) : p.own;

        if (p.misplaced) {
            z = make_uint4(NAN_PAIR, NAN_PAIR, NAN_PAIR, NAN_PAIR);
        }
        qb__keep_chunk<IN>(a, z, row, col, valid);
        return z;
    }
};

template <int IN, int OUT, bool FLOAT>
__global__ void __launch_bounds__(QB__CHUNK_THREADS) rope_groups(const rope_args a)
{
    qb__chunk_groups<rope_source<IN, FLOAT>, IN, OUT>(a);
}

template <int IN, int OUT, bool FLOAT, int CHUNKS>
__global__ void __launch_bounds__(QB__ROW_THREADS) rope_rows(const rope_args a)
{
    qb__chunk_rows<rope_source<IN, FLOAT>, IN, OUT, CHUNKS>(a);
}

/* ---- Launching ----------------------------------------------------------------------------------------------------
 */

static rope_args args_of(const struct qb__cuda_call *call)
{
    const struct qb_problem *p = call->problem;
    rope_args a = {};

    static_cast<qb__chunk_args &>(a) = qb__chunk_args_of(call);
    a.angles = (const unsigned char *)call->angles;
    a.positions = call->positions;
    a.count = p->positions;
    a.head = p->head_size;
    a.half = p->rotary / 2;
    a.adjacent = p->pairing == QB_PAIRING_ADJACENT;
    a.float_angles = p->weights == QB_WEIGHTS_FLOAT;
    return a;
}

cudaError_t qb__cuda_rope_values_run(const struct qb__cuda_call *call)
{
    static const void *const kernels[3] = {(const void *)rope_values<QB_FORMAT_F16>,
                                           (const void *)rope_values<QB_FORMAT_BF16>,
                                           (const void *)rope_values<QB_FORMAT_F32>};
    const uint64_t row_units = qb__ceil_div(call->cols, QB__EIGHT);
    rope_args a = args_of(call);
    void *args[] = {&a};

    a.units = row_units * a.rows;
    a.by_row = qb__make_fastdiv(row_units);
    a.in_float = call->problem->intermediate == QB_INTERMEDIATE_FLOAT;
    a.wide = a.cols % QB__EIGHT == 0 && a.in_stride % QB__EIGHT == 0 && qb__is_aligned(call->in, 16) &&
             qb__is_aligned(call->values, 16);
    return a.units == 0 ? cudaSuccess
                        : qb__launch(call, kernels[call->input], qb__ceil_div(a.units, THREADS), dim3(THREADS), args);
}

bool qb__cuda_rope_fits(const struct qb__cuda_call *call)
{
    const struct qb_problem *p = call->problem;

    /* A chunk has pairs, or places of one half of them; 2^28 elements are more than any head has. */
    return qb__chunks_fit(call) && p->head_size % QB__EIGHT == 0 && p->rotary > 0 && p->head_size < 0x10000000u &&
           p->rotary % (p->pairing == QB_PAIRING_ADJACENT ? QB__EIGHT : 2 * QB__EIGHT) == 0;
}

cudaError_t qb__cuda_rope_run(const struct qb__cuda_call *call, bool *done)
{
    static const void *const groups[2][6] = {QB__TAIL_KERNELS(rope_groups, false), QB__TAIL_KERNELS(rope_groups, true)};
    static const void *const rows[2][2][6] = {
        {QB__TAIL_KERNELS(rope_rows, false, 2), QB__TAIL_KERNELS(rope_rows, false, 4)},
        {QB__TAIL_KERNELS(rope_rows, true, 2), QB__TAIL_KERNELS(rope_rows, true, 4)}};
    rope_args a = args_of(call);
    const size_t angle = a.float_angles ? sizeof(float) : qb__element_size(call->input);

    *done = qb__tail_aligned(call) && qb__is_aligned(call->angles, 16);
    if (!*done) {
        return cudaSuccess;
    }
    a.by_head = qb__make_fastdiv(a.head / QB__EIGHT);
    a.rotary_chunks = (uint32_t)(2 * a.half / QB__EIGHT);
    a.half_bytes = (uint32_t)(a.half * qb__element_size(call->input));
    a.angle_step = 2 * a.half * angle;
    a.sine = (uint32_t)(a.half * angle);
    return qb__chunks_launch(call, a, &a, groups[a.float_angles], rows[a.float_angles]);
}
