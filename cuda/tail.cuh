/* SPDX-License-Identifier: Apache-2.0 */
/* tail.cuh - the quantization of values that a kernel has in registers, in chunks of eight 16-bit elements: scales that
 * are given, or of rows and groups, and codes of a byte. */
#ifndef QB_CUDA_TAIL_CUH
#define QB_CUDA_TAIL_CUH

#include "values.cuh"

struct qb__tail {
    unsigned char *out;
    uint64_t out_step; /* bytes from one row to the next */
    qb__scales scales;
    qb__padding padding;
    qb__places places;
    uint32_t rows, row_chunks;
    uint32_t team_shift; /* a group has 2 to this chunks; QB__WHOLE: a row or more */
    uint32_t apart;      /* chunks between the two of a unit that lie apart: a power of two */
    bool is_static, codes;
};

#define QB__WHOLE 31u

/* True if CALL ends in a way that is here; its values are of 16 bits. It does not look at the pointers. */
static inline bool qb__tail_fits(const struct qb__cuda_call *call)
{
    const struct qb_problem *p = call->problem;
    const uint64_t team = p->group / QB__EIGHT;
    const bool is_static = call->scaling == QB_SCALING_STATIC;
    const bool tiles =
        p->granularity == QB_GRANULARITY_GROUP
            ? p->group % QB__EIGHT == 0 && team <= 32 && (team & (team - 1)) == 0
            : p->granularity == QB_GRANULARITY_TOKEN || (p->granularity == QB_GRANULARITY_TENSOR && is_static);

    return tiles && call->input != QB_FORMAT_F32 && p->intermediate != QB_INTERMEDIATE_FLOAT &&
           qb__cuda_has_pair(call->input, call->output) && p->scale_format != QB_FORMAT_E4M3 &&
           p->zero_points == QB_ZERO_POINTS_NONE && call->rows > 0 && call->rows < 0x40000000u &&
           qb__places_fit(call) && call->cols % QB__EIGHT == 0 && call->in_stride % QB__EIGHT == 0 &&
           call->out_stride % QB__EIGHT == 0;
}

/* True if such a CALL writes codes of dense rows, no values, and scales in binary32 that are row by row those of whole
 * groups, or of rows, or one that is given: what kernels of few rows do. */
static inline bool qb__is_plain(const struct qb__cuda_call *call)
{
    const struct qb_problem *p = call->problem;
    const bool tiles = call->scaling == QB_SCALING_STATIC       ? p->granularity == QB_GRANULARITY_TENSOR
                       : p->granularity == QB_GRANULARITY_GROUP ? call->cols % p->group == 0
                                                                : p->granularity == QB_GRANULARITY_TOKEN;

    return tiles && call->scaling != QB_SCALING_AMAX && !p->keep_values && call->values == NULL &&
           call->out_stride == call->cols && p->scale_format == QB_FORMAT_F32 &&
           p->scale_layout == QB_SCALE_LAYOUT_ROWS;
}

/* A group of P is 2 to this many chunks of eight elements. */
static inline uint32_t qb__group_shift(const struct qb_problem *p)
{
    uint32_t shift = 0;

    while ((uint64_t)QB__EIGHT << shift < p->group) {
        shift++;
    }
    return shift;
}

/* True if the tensors of such a CALL begin at whole chunks. */
static inline bool qb__tail_aligned(const struct qb__cuda_call *call)
{
    return qb__is_aligned(call->in, 16) && qb__is_aligned(call->out, QB__EIGHT) && qb__is_aligned(call->values, 16);
}

static inline qb__tail qb__tail_of(const struct qb__cuda_call *call)
{
    const struct qb_problem *p = call->problem;
    qb__tail t = {};

    t.out = call->out;
    t.out_step = call->out_stride;
    t.scales = qb__scales_of(call);
    t.rows = (uint32_t)call->rows;
    t.row_chunks = (uint32_t)(call->cols / QB__EIGHT);
    t.is_static = call->scaling == QB_SCALING_STATIC;
    t.codes = call->scaling != QB_SCALING_AMAX;
    t.team_shift = p->granularity == QB_GRANULARITY_GROUP ? qb__group_shift(p) : QB__WHOLE;
    t.places = qb__places_of(t.scales.layout);
    if (p->granularity == QB_GRANULARITY_TENSOR) {
        t.places.by_row = 0; /* all rows have the same */
    }
    if (!t.is_static) {
        t.padding = qb__padding_of(call);
    }
    return t;
}

/* Write the padding, with all THREADS of the grid, of which this is number THREAD. */
__device__ __forceinline__ void qb__tail_pad(const qb__tail &t, uint64_t thread, uint64_t threads)
{
    for (uint64_t i = thread; i < t.padding.count; i += threads) {
        qb__pad(t.scales, t.padding, i);
    }
}

/* The value of a scale of code CODE. */
__device__ __forceinline__ float qb__tail_value(const qb__scales &s, uint32_t code)
{
    return s.format == QB_FORMAT_F32   ? __uint_as_float(code)
           : s.format == QB_FORMAT_F16 ? qb__half_value(code)
           : code == 0                 ? 0x1p-127f
           : code == 255               ? __uint_as_float(0x7fc00000u)
                                       : __uint_as_float(code << 23);
}

/* The scale of tile (ROW, COL), if it is given. */
__device__ __forceinline__ float qb__tail_given(const qb__tail &t, uint32_t row, uint32_t col)
{
    const uint32_t place = qb__place32(t.scales, t.places, row, col);
    const void *const memory = t.scales.memory;

    if (t.scales.format == QB_FORMAT_F32) {
        return ((const float *)memory)[place];
    }
    return qb__tail_value(t.scales, t.scales.format == QB_FORMAT_F16 ? ((const uint16_t *)memory)[place]
                                                                     : ((const uint8_t *)memory)[place]);
}

/* The scale of a tile whose amax has the bits AMAX; the thread that LEADS writes it to tile (ROW, COL). */
template <int OUT>
__device__ __forceinline__ float qb__tail_found(const qb__tail &t, uint32_t amax, bool leads, uint32_t row,
                                                uint32_t col)
{
    const qb__scales &s = t.scales;
    const float bounded = fminf(__uint_as_float(amax), s.bound);

    if (s.format == QB_FORMAT_F32) {
        const float scale = qb__scale<OUT>(amax, s.bound);
        if (leads) {
            ((float *)s.memory)[qb__place32(t.scales, t.places, row, col)] = scale;
        }
        return scale;
    }
    const uint32_t code = s.format == QB_FORMAT_F16 ? qb__half_code(qb__by_qmax<OUT>(bounded))
                                                    : qb__power_of(__float_as_uint(bounded), s);
    if (leads) {
        const uint32_t place = qb__place32(t.scales, t.places, row, col);
        if (s.format == QB_FORMAT_F16) {
            ((uint16_t *)s.memory)[place] = (uint16_t)code;
        } else {
            ((uint8_t *)s.memory)[place] = (uint8_t)code;
        }
    }
    return qb__tail_value(s, code);
}

/* The largest of what the lanes of a group of 2 to SHIFT lanes have in ACC, in each of N words. */
template <int IN, int N> __device__ __forceinline__ void qb__group_max(uint32_t *acc, uint32_t shift)
{
#pragma unroll
    for (unsigned offset = 16; offset > 0; offset /= 2) {
        if (offset >> shift == 0) {
#pragma unroll
            for (int k = 0; k < N; k++) {
                acc[k] = qb__max_word<IN>(acc[k], __shfl_xor_sync(0xffffffffu, acc[k], offset));
            }
        }
    }
}

/* Store the codes of chunk COL of row ROW, by D; FAST says that its elements are below its limit. */
template <int IN, int OUT>
__device__ __forceinline__ void qb__tail_store(const qb__tail &t, const uint4 &z, const qb__divisor &d, bool fast,
                                               uint32_t row, uint32_t col)
{
    qb__store16<IN>(t.out + row * t.out_step + col * QB__EIGHT, qb__encode<IN, OUT>(z, d, fast));
}

/* Quantize chunk COL of row ROW by its group's scale, or by GIVEN. All lanes of a warp call this, with neighboring
 * chunks, so that the lanes of a group begin at a multiple of their number; VALID: there is such a chunk. */
template <int IN, int OUT>
__device__ __forceinline__ void qb__tail_chunk(const qb__tail &t, const uint4 &z, float given, uint32_t row,
                                               uint32_t col, bool valid)
{
    const uint32_t others = (1u << t.team_shift) - 1;
    uint32_t amax = qb__max_bits<IN>(qb__max_chunk<IN>(0, z));
    float scale = given;

    if (!t.is_static) {
#pragma unroll
        for (unsigned offset = 1; offset < 32; offset *= 2) { /* from itself, beyond the group */
            amax = max(amax, __shfl_xor_sync(0xffffffffu, amax, offset & others));
        }
        scale = qb__tail_found<OUT>(t, amax, valid && (col & others) == 0, row, col >> t.team_shift);
    }
    if (valid && t.codes) {
        const qb__divisor d = qb__divide_by<IN>(scale);
        qb__tail_store<IN, OUT>(t, z, d, __uint_as_float(amax) < d.limit, row, col);
    }
}

/* The amax of the U chunks of a unit, in both halves of a word. */
template <int IN, int U> __device__ __forceinline__ uint32_t qb__max_unit(const uint4 *unit)
{
    uint32_t acc = 0;

#pragma unroll
    for (int u = 0; u < U; u++) {
        acc = qb__max_chunk<IN>(acc, unit[u]);
    }
    return acc;
}

/* Store the codes of N units of a thread by D, which may differ. A unit is a chunk, or U = 2 of them: the chunks of an
 * aligned pair, or where they lie APART, of a stretch of 2 * T.APART chunks those of one place in either half. Column
 * COL counts units. FAST says that the elements of all are below the limits. All codes come before all stores, so that
 * units do not wait for each other. */
template <int IN, int OUT, int N, int U = 1, bool APART = false>
__device__ __forceinline__ void qb__tail_store_all(const qb__tail &t, const uint4 *z, const qb__divisor *d, bool fast,
                                                   const uint32_t *row, const uint32_t *col, const bool *valid)
{
    qb__codes<IN> codes[N * U];

    if (!t.codes) {
        return;
    }
    if (fast) {
#pragma unroll
        for (int k = 0; k < N * U; k++) {
            codes[k] = qb__encode_fast<IN, OUT>(z[k], d[k / U]);
        }
    } else {
#pragma unroll
        for (int k = 0; k < N * U; k++) {
            codes[k] = qb__encode_slow<IN, OUT>(z[k], d[k / U]);
        }
    }
#pragma unroll
    for (int k = 0; k < N; k++) {
        const uint32_t chunk = APART ? col[k] + (col[k] & ~(t.apart - 1)) : col[k] * U;
        unsigned char *const out = t.out + row[k] * t.out_step + chunk * QB__EIGHT;
        if (!valid[k]) {
            continue;
        }
        if constexpr (APART) {
            qb__store16<IN>(out, codes[2 * k]);
            qb__store16<IN>(out + t.apart * QB__EIGHT, codes[2 * k + 1]);
        } else if constexpr (U == 2) {
            *(uint4 *)out = make_uint4(codes[2 * k].word[0], codes[2 * k].word[1], codes[2 * k + 1].word[0],
                                       codes[2 * k + 1].word[1]);
        } else {
            qb__store16<IN>(out, codes[k]);
        }
    }
}

/* Lanes that share the work on the scales of N units each: a power of two. */
static __host__ __device__ constexpr uint32_t qb__tail_lanes(int n)
{
    return n <= 1 ? 1 : 2 * qb__tail_lanes((n + 1) / 2);
}

/* The amax of one of the groups that the N units of the lanes are in, whose lanes are told apart by the bits OTHERS: a
 * lane gets that of unit MINE. */
template <int IN, int N, int U>
__device__ __forceinline__ uint32_t qb__group_amax(const uint4 *z, uint32_t others, uint32_t mine)
{
    uint32_t amax = 0;

#pragma unroll
    for (int k = 0; k < N; k += 2) { /* two in a word: they are numbers of 16 bits */
        const uint32_t x = qb__max_unit<IN, U>(z + U * k), y = k + 1 < N ? qb__max_unit<IN, U>(z + U * (k + 1)) : 0;
        uint32_t both = qb__max_word<IN>(__byte_perm(x, y, 0x5410), __byte_perm(x, y, 0x7632));

#pragma unroll
        for (unsigned offset = 1; offset < 32; offset *= 2) { /* from itself, beyond the group */
            both = qb__max_word<IN>(both, __shfl_xor_sync(0xffffffffu, both, offset & others));
        }
        amax = mine / 2 == (unsigned)k / 2 ? both : amax;
    }
    const float2 pair = qb__unpack_pair<IN>(amax);
    return __float_as_uint(mine % 2 == 0 ? pair.x : pair.y);
}

/* Hand the divisor D of unit MINE to all lanes that have such a unit: ALL has those of the N units, without what only
 * the slow way needs if FAST. */
template <int N>
__device__ __forceinline__ void qb__hand_out(const qb__divisor &d, uint32_t mine, bool fast, qb__divisor *all)
{
    const uint32_t from = threadIdx.x % 32 - mine;

#pragma unroll
    for (int k = 0; k < N; k++) {
        all[k].r = __shfl_sync(0xffffffffu, d.r, from + k);
        all[k].low = __shfl_sync(0xffffffffu, d.low, from + k);
        all[k].s = all[k].limit = 0;
    }
    if (!fast) {
#pragma unroll
        for (int k = 0; k < N; k++) {
            all[k].s = __shfl_sync(0xffffffffu, d.s, from + k);
        }
    }
}

/* Quantize N units of a thread, which are as in qb__tail_store_all(), by the scales of their groups, which have
 * qb__tail_lanes(N) lanes at least. Unit K of each lane is as in qb__tail_chunk(). A lane finds one of the scales of
 * its groups, and hands it to the others. */
template <int IN, int OUT, int N, int U = 1, bool APART = false>
__device__ __forceinline__ void qb__tail_groups(const qb__tail &t, const uint4 *z, const uint32_t *row,
                                                const uint32_t *col, const bool *valid)
{
    const uint32_t shift = t.team_shift - (U - 1), others = (1u << shift) - 1;
    const uint32_t lane = threadIdx.x % 32, mine = lane % qb__tail_lanes(N);
    const uint32_t amax = qb__group_amax<IN, N, U>(z, others, mine);
    uint32_t my_row = row[0], my_col = col[0];
    qb__divisor all[N];

#pragma unroll
    for (int k = 1; k < N; k++) {
        if (mine == (unsigned)k) {
            my_row = row[k];
            my_col = col[k];
        }
    }
    /* A group at the end of a row may have fewer chunks than lanes that find scales: its scale counts all the same. */
    const bool has_one = mine < N && (my_col & ~others) * U < t.row_chunks && my_row < t.rows,
               leads = has_one && (lane & others) == mine;
    const qb__divisor d = qb__divide_by<IN>(qb__tail_found<OUT>(t, amax, leads, my_row, my_col >> shift));
    /* Scales of groups beyond the end are too small for the fast way. */
    const bool fast = __all_sync(0xffffffffu, __uint_as_float(amax) < d.limit || !has_one);
    qb__hand_out<N>(d, mine, fast, all);
    qb__tail_store_all<IN, OUT, N, U, APART>(t, z, all, fast, row, col, valid);
}

/* A table of a kernel for each 16-bit input and each output, and its index. */
#define QB__TAIL_KERNELS(kernel, ...)                                                                                  \
    {                                                                                                                  \
        QB__KERNELS_OF_INPUT(kernel, QB_FORMAT_F16, ##__VA_ARGS__),                                                    \
            QB__KERNELS_OF_INPUT(kernel, QB_FORMAT_BF16, ##__VA_ARGS__)                                                \
    }

#endif
