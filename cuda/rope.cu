/* SPDX-License-Identifier: Apache-2.0 */
/* rope.cu - ROPE: the values alone, of any problem; and fused with a quantization of regular rows. Where all of a head
 * is rotated, and it has a power of two elements, a thread has four chunks with the same angles: of two heads the
 * chunks of both halves, or of four heads one. Elsewhere it has a chunk of one half, and reads that of the other half
 * too, which is in the first cache by then. */
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
    /* Whole heads: the scale is that of the row; a block has the angles of the row that is AHEAD rows after its own
     * brought to the second cache. */
    bool of_rows;
    uint32_t ahead;
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

template <int IN> __device__ __forceinline__ uint4 pack_chunk(const float *x)
{
    return make_uint4(qb__pack_pair<IN>(x[0], x[1]), qb__pack_pair<IN>(x[2], x[3]), qb__pack_pair<IN>(x[4], x[5]),
                      qb__pack_pair<IN>(x[6], x[7]));
}

/* Set Y to the four adjacent pairs in X, rotated by cosines C and sines S. */
template <int IN, bool FLOAT>
__device__ __forceinline__ void rotate_adjacent(const float *x, const float *c, const float *s, float *y)
{
#pragma unroll
    for (unsigned i = 0; i < QB__EIGHT; i += 2) {
        y[i] = rotated<IN, FLOAT>(x[i], c[i / 2], x[i + 1], -s[i / 2]);
        y[i + 1] = rotated<IN, FLOAT>(x[i + 1], c[i / 2], x[i], s[i / 2]);
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
        rotate_adjacent<IN, FLOAT>(x, c, s, y);
    } else {
        float other[QB__EIGHT];
        const uint32_t sign = p.first ? 0x80000000u : 0;

        qb__unpack<IN>(p.other, other);
#pragma unroll
        for (unsigned i = 0; i < QB__EIGHT; i++) {
            y[i] = rotated<IN, FLOAT>(x[i], c[i], other[i], __uint_as_float(__float_as_uint(s[i]) ^ sign));
        }
    }
    return pack_chunk<IN>(y);
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

/* ---- Fused, whole heads -------------------------------------------------------------------------------------------
 */

/* Chunks of a thread, and of a warp. */
#define HEAD_CHUNKS 4u
#define WARP_CHUNKS (32 * HEAD_CHUNKS)

/* Four chunks of a row: where they are, and which there are. Of HALVES two and two make a unit. */
struct head_chunks {
    uint32_t row, unit[HEAD_CHUNKS], col[HEAD_CHUNKS]; /* of ADJACENT pairs they are the same */
    bool valid[HEAD_CHUNKS];
    uint4 z[HEAD_CHUNKS];
};

/* Read the chunks from unit UNIT of row ROW on. */
template <bool ADJACENT>
__device__ __forceinline__ void read_heads(const rope_args &a, const unsigned char *in, uint32_t row, uint32_t unit,
                                           head_chunks &h)
{
    const uint32_t half = a.rotary_chunks / 2;

    h.row = row;
#pragma unroll
    for (unsigned k = 0; k < HEAD_CHUNKS; k++) {
        const uint32_t u = unit + 32 * (ADJACENT ? k : k / 2);
        h.unit[k] = u;
        h.col[k] = ADJACENT ? u : u + (u & ~(half - 1)) + (k % 2) * half;
        h.valid[k] = h.col[k] < a.row_chunks;
        h.z[k] = h.valid[k] ? qb__load16(in + row * a.in_step + (uint64_t)h.col[k] * 16) : make_uint4(0, 0, 0, 0);
    }
}

/* Rotate the chunks of H by row POSITION of the angles, and keep them if that is wanted. */
template <int IN, bool FLOAT, bool ADJACENT>
__device__ __forceinline__ void rotate_heads(const rope_args &a, head_chunks &h, uint64_t position)
{
    const uint32_t place =
        ADJACENT ? (h.unit[0] & (a.rotary_chunks - 1)) * 4 : (h.unit[0] & (a.rotary_chunks / 2 - 1)) * QB__EIGHT;
    const unsigned char *const cosines = a.angles + (position < a.count ? position : 0) * a.angle_step +
                                         place * (FLOAT ? 4u : (unsigned)qb__in<IN>::size);
    float c[QB__EIGHT], s[QB__EIGHT], x[QB__EIGHT], y[QB__EIGHT];

    load_angles<IN, FLOAT>(cosines, ADJACENT, c);
    load_angles<IN, FLOAT>(cosines + a.sine, ADJACENT, s);
#pragma unroll
    for (unsigned k = 0; k < HEAD_CHUNKS; k += ADJACENT ? 1 : 2) {
        qb__unpack<IN>(h.z[k], x);
        if constexpr (ADJACENT) {
            rotate_adjacent<IN, FLOAT>(x, c, s, y);
            h.z[k] = pack_chunk<IN>(y);
        } else {
            float first[QB__EIGHT], second[QB__EIGHT];

            qb__unpack<IN>(h.z[k + 1], y);
#pragma unroll
            for (unsigned i = 0; i < QB__EIGHT; i++) {
                first[i] = rotated<IN, FLOAT>(x[i], c[i], y[i], -s[i]);
                second[i] = rotated<IN, FLOAT>(y[i], c[i], x[i], s[i]);
            }
            h.z[k] = pack_chunk<IN>(first);
            h.z[k + 1] = pack_chunk<IN>(second);
        }
    }
    if (position >= a.count) {
#pragma unroll
        for (unsigned k = 0; k < HEAD_CHUNKS; k++) {
            h.z[k] = make_uint4(NAN_PAIR, NAN_PAIR, NAN_PAIR, NAN_PAIR);
        }
    }
    if (a.values != NULL) {
#pragma unroll
        for (unsigned k = 0; k < HEAD_CHUNKS; k++) {
            qb__keep_chunk<IN>(a, h.z[k], h.row, h.col[k], h.valid[k]);
        }
    }
}

/* Bring row POSITION of the angles, if there is one, to the second cache. */
__device__ __forceinline__ void fetch_angles(const rope_args &a, uint64_t position)
{
    const uint32_t at = threadIdx.x * 128;

    if (at < a.angle_step && position < a.count) {
        asm volatile("prefetch.global.L2 [%0];" : : "l"(a.angles + position * a.angle_step + at));
    }
}

/* The amax of all chunks, in both halves of a word. */
template <int IN> __device__ __forceinline__ uint32_t max_heads(const head_chunks &h)
{
    uint32_t acc = 0;

#pragma unroll
    for (unsigned k = 0; k < HEAD_CHUNKS; k++) {
        acc = qb__max_chunk<IN>(acc, h.z[k]);
    }
    return acc;
}

/* Store all codes by one scale, whose divisor is D. */
template <int IN, int OUT>
__device__ __forceinline__ void store_heads(const rope_args &a, const head_chunks &h, const qb__divisor &d)
{
    const uint32_t row[HEAD_CHUNKS] = {h.row, h.row, h.row, h.row};
    const qb__divisor all[HEAD_CHUNKS] = {d, d, d, d};

    /* The magnitudes of 16-bit elements do not count. */
    qb__tail_store_all<IN, OUT, HEAD_CHUNKS>(a.tail, h.z, all, qb__is_fast<IN>(0, d.limit), row, h.col, h.valid);
}

/* Quantize the chunks of H by scales that are given, or of groups; GIVEN: that of the whole row. */
template <int IN, int OUT, bool ADJACENT>
__device__ __forceinline__ void quantize_heads(const rope_args &a, const head_chunks &h, float given)
{
    const uint32_t row[HEAD_CHUNKS] = {h.row, h.row, h.row, h.row};

    if (a.tail.is_static && a.tail.team_shift == QB__WHOLE) {
        store_heads<IN, OUT>(a, h, qb__divide_by<IN>(given));
    } else if (a.tail.is_static) {
#pragma unroll
        for (unsigned k = 0; k < HEAD_CHUNKS; k++) {
            const uint32_t group = h.valid[k] ? h.col[k] >> a.tail.team_shift : 0;
            qb__tail_chunk<IN, OUT>(a.tail, h.z[k], qb__tail_given(a.tail, h.row, group), h.row, h.col[k], h.valid[k]);
        }
    } else if (!ADJACENT && 1u << a.tail.team_shift >= a.rotary_chunks) {
        const uint32_t unit[2] = {h.unit[0], h.unit[2]};
        const bool valid[2] = {h.valid[0], h.valid[2]};
        qb__tail_groups<IN, OUT, 2, 2, true>(a.tail, h.z, row, unit, valid);
    } else {
        qb__tail_groups<IN, OUT, HEAD_CHUNKS>(a.tail, h.z, row, h.col, h.valid);
    }
}

/* Threads of a row that is not LONG. Where a multiprocessor holds 2048 threads there are registers for two blocks of
 * this many, or for one of a long row. */
#define HEAD_THREADS 640u

/* Warps that are at work in a multiprocessor of an H200, where rows are not long and angles are 16-bit. */
#define RESIDENT_WARPS 40u

/* A block has a row; blocks after those of rows have the padding. What a block waits for is its position, and then the
 * angles, as these would otherwise queue behind all elements that are on their way. So a block before it has brought
 * both to the second cache. */
template <int IN, int OUT, bool FLOAT, bool ADJACENT, bool LONG>
__global__ void __launch_bounds__(LONG || QB__MOST_THREADS < 2048 ? QB__ROW_THREADS : HEAD_THREADS,
                                  LONG || QB__MOST_THREADS < 2048 ? 1 : 2) rope_heads(const rope_args a)
{
    const unsigned char *const in = qb__begin(a.in);
    const uint32_t units = ADJACENT ? WARP_CHUNKS : WARP_CHUNKS / 2, row = blockIdx.x;
    __shared__ uint32_t warp_max[32];
    head_chunks h;

    if (row >= a.rows) {
        qb__tail_pad(a.tail, (uint64_t)(row - a.rows) * blockDim.x + threadIdx.x,
                     (uint64_t)(gridDim.x - a.rows) * blockDim.x);
        return;
    }
    const uint64_t position = (uint64_t)a.positions[row];
    const uint64_t later = row + a.ahead < a.rows ? (uint64_t)a.positions[row + a.ahead] : UINT64_MAX;
    /* Before the chunks are waited for. */
    const float given = a.tail.is_static && a.tail.team_shift == QB__WHOLE ? qb__tail_given(a.tail, row, 0) : 0;
    read_heads<ADJACENT>(a, in, row, threadIdx.x / 32 * units + threadIdx.x % 32, h);
    rotate_heads<IN, FLOAT, ADJACENT>(a, h, position);
    fetch_angles(a, later);
    if (a.of_rows) {
        const uint32_t amax = qb__block_max(qb__max_bits<IN>(max_heads<IN>(h)), warp_max);
        store_heads<IN, OUT>(a, h, qb__divide_by<IN>(qb__tail_found<OUT>(a.tail, amax, threadIdx.x == 0, row, 0)));
    } else {
        quantize_heads<IN, OUT, ADJACENT>(a, h, given);
    }
}

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

/* True if all elements of CALL are rotated, in heads whose chunks lie in the lanes of a warp, and rows fit a block: see
 * rope_heads(). */
static bool has_whole_heads(const struct qb__cuda_call *call)
{
    const struct qb_problem *p = call->problem;
    const uint64_t chunks = p->head_size / QB__EIGHT, most = p->pairing == QB_PAIRING_ADJACENT ? 32 : 64;
    const bool groups = call->scaling != QB_SCALING_STATIC && p->granularity == QB_GRANULARITY_GROUP;

    return p->rotary == p->head_size && chunks >= 8 && chunks <= most && (chunks & (chunks - 1)) == 0 &&
           call->cols / QB__EIGHT >= WARP_CHUNKS / 2 && call->cols / QB__EIGHT <= HEAD_CHUNKS * QB__ROW_THREADS &&
           (!groups || p->group >= HEAD_CHUNKS * QB__EIGHT);
}

/* Tables of kernels by pairing. */
#define HEAD_KERNELS(is_float, is_long)                                                                                \
    {                                                                                                                  \
        QB__TAIL_KERNELS(rope_heads, is_float, false, is_long), QB__TAIL_KERNELS(rope_heads, is_float, true, is_long)  \
    }

static cudaError_t launch_heads(const struct qb__cuda_call *call, rope_args &a)
{
    /* Angles in binary32 take the registers of a long row. */
    static const void *const kernels[3][2][6] = {HEAD_KERNELS(false, false), HEAD_KERNELS(false, true),
                                                 HEAD_KERNELS(true, true)};
    void *list[] = {&a};

    a.tail = qb__tail_of(call);
    a.tail.apart = a.rotary_chunks / 2;
    a.row_chunks = (uint32_t)(a.cols / QB__EIGHT);
    a.of_rows = call->scaling != QB_SCALING_STATIC && call->problem->granularity == QB_GRANULARITY_TOKEN;
    const unsigned warps = (unsigned)qb__ceil_div(a.row_chunks, WARP_CHUNKS), threads = 32 * warps;
    /* The row after all that are at work when a block begins. */
    a.ahead = call->limits->units * RESIDENT_WARPS / warps;
    return qb__launch(call, kernels[a.float_angles ? 2 : threads > HEAD_THREADS][a.adjacent][qb__index(call)],
                      a.rows + qb__ceil_div(a.tail.padding.count, 16 * threads), dim3(threads), list);
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
    if (has_whole_heads(call)) {
        return launch_heads(call, a);
    }
    return qb__chunks_launch(call, a, &a, groups[a.float_angles], rows[a.float_angles]);
}
