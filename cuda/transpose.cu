/* SPDX-License-Identifier: Apache-2.0 */
/* transpose.cu - codes of the transposed input, alone or beside those of its rows, in one launch that reads the input
 * once. A block has a tile of 128 x 128 elements in registers, a thread 8 x 8 of them. Codes are transposed four by
 * four in registers, and then in shared memory, so that both results are stored in whole lines. Other groups and blocks
 * go element by element, with a launch for each result. */
#include <type_traits>

#include "tail.cuh"

#define SIDE    128u
#define THREADS 256u
#define WARPS   (THREADS / 32)
/* Bands of tiles whose blocks run at about the same time, so that lines of both results are next to each other. */
#define HIGH 4u

/* What has a scale of its own, and its format. */
enum kind { BLOCKS, GROUPS, POWERS };

/* The codes and scales of the rows, or of the columns. */
struct result {
    uint8_t *codes;
    uint64_t stride; /* of codes */
    qb__scales scales;
    qb__padding padding;
    bool aligned; /* rows of codes begin at whole stores */
};

struct tile_args {
    const void *in;
    uint64_t in_stride;
    uint32_t rows, cols; /* of the input */
    uint32_t bands, blocks;
    qb__fastdiv by_super; /* tiles of HIGH bands */
    bool aligned;
    bool dual; /* with the rows */
    bool wide; /* all that is loaded and stored begins at whole loads and stores */
    result own, other;
};

struct tile {
    uint32_t row, col; /* its first element */
};

/* Eight elements of a row, and their codes. */
template <int IN> struct octet {
    static constexpr int chunks = 8 / qb__in<IN>::chunk;
    uint4 chunk[chunks];
};
struct octet_codes {
    uint32_t word[2];
};

/* Blocks that a multiprocessor holds, by registers. */
template <int IN, int KIND> constexpr int resident = IN == QB_FORMAT_F32 ? 2 : KIND == BLOCKS ? 4 : 3;

/* The codes that a block transposes: column K has 128 bytes, in chunks of 16 whose order depends on K, so that lanes
 * find different banks. */
struct exchange {
    uint4 chunk[SIDE][SIDE / 16];
};

/* The factors of columns: of each group of rows, as struct qb__divisor has them. */
template <int G> struct factors {
    float s[SIDE / G][SIDE], r[SIDE / G][SIDE], low[SIDE / G][SIDE];
};

/* ---- Places -------------------------------------------------------------------------------------------------------
 */

__device__ __forceinline__ tile tile_of(const tile_args &a)
{
    const uint32_t super = qb__divide(blockIdx.x, a.by_super), rest = blockIdx.x - super * a.by_super.divisor;
    const uint32_t first = super * HIGH, high = min(HIGH, a.bands - first);
    const uint32_t col = high == HIGH ? rest / HIGH : rest / high;

    return {(first + rest - col * high) * SIDE, col * SIDE};
}

/* True if all of T exists, and goes by whole loads and stores: most tiles do, with half of the instructions. */
__device__ __forceinline__ bool is_whole(const tile_args &a, const tile &t)
{
    return a.wide && t.row + SIDE <= a.rows && t.col + SIDE <= a.cols;
}

/* This thread's first row and column in a tile. */
__device__ __forceinline__ uint32_t own_row(void)
{
    return threadIdx.x / 16 * 8;
}

__device__ __forceinline__ uint32_t own_col(void)
{
    return threadIdx.x % 16 * 8;
}

/* Eight elements; what is beyond the input is 0. */
template <int IN>
__device__ __forceinline__ octet<IN> load_octet(const tile_args &a, const unsigned char *in, uint32_t row, uint32_t col)
{
    constexpr uint32_t size = qb__in<IN>::size;
    const unsigned char *const at = in + (row * a.in_stride + col) * size;
    const bool wide = a.aligned && row < a.rows && col + 8 <= a.cols;
    octet<IN> x;

#pragma unroll
    for (uint32_t c = 0; c < octet<IN>::chunks; c++) {
        uint32_t word[4] = {0, 0, 0, 0};

        if (wide) {
            x.chunk[c] = qb__load16(at + 16 * c);
            continue;
        }
#pragma unroll
        for (uint32_t k = 0; k < qb__in<IN>::chunk; k++) {
            const uint32_t i = c * qb__in<IN>::chunk + k;
            if (row < a.rows && col + i < a.cols) {
                word[k * size / 4] |=
                    size == 4 ? ((const uint32_t *)at)[i] : (uint32_t)((const uint16_t *)at)[i] << (k % 2 * 16);
            }
        }
        x.chunk[c] = make_uint4(word[0], word[1], word[2], word[3]);
    }
    return x;
}

/* The eight rows of this thread in T, which is WHOLE or not. */
template <int IN>
__device__ __forceinline__ void load_tile(const tile_args &a, const unsigned char *in, const tile &t, bool whole,
                                          octet<IN> *x)
{
    const uint32_t row = t.row + own_row(), col = t.col + own_col();

    if (whole) {
        const uint64_t step = a.in_stride * qb__in<IN>::size;
        const unsigned char *const at = in + row * step + (size_t)col * qb__in<IN>::size;

#pragma unroll
        for (uint32_t i = 0; i < 8; i++) {
#pragma unroll
            for (uint32_t c = 0; c < octet<IN>::chunks; c++) {
                x[i].chunk[c] = qb__load16(at + i * step + 16 * c);
            }
        }
        return;
    }
#pragma unroll
    for (uint32_t i = 0; i < 8; i++) {
        x[i] = load_octet<IN>(a, in, row + i, col);
    }
}

/* Store scale (ROW, COL) of R, of which there is one. */
template <int KIND>
__device__ __forceinline__ void store_scale(const result &r, uint32_t row, uint32_t col, float scale, uint32_t code)
{
    const qb__scales &s = r.scales;
    const uint64_t place = s.layout.layout == QB_SCALE_LAYOUT_ROWS ? row * s.cols + col : qb__place(s.layout, row, col);

    if (row >= s.rows || col >= s.cols) {
        return;
    }
    if (KIND == POWERS) {
        ((uint8_t *)s.memory)[place] = (uint8_t)code;
    } else {
        ((float *)s.memory)[place] = scale;
    }
}

/* Where the codes of this thread's first row in T go. */
__device__ __forceinline__ uint8_t *own_codes(const tile_args &a, const tile &t)
{
    return a.own.codes + (t.row + own_row()) * a.own.stride + t.col + own_col();
}

__device__ __forceinline__ void store_eight(uint8_t *at, const octet_codes &codes)
{
    *(uint2 *)at = make_uint2(codes.word[0], codes.word[1]);
}

/* Store the codes of this thread's row number I in T, as far as T is in the input. */
__device__ __forceinline__ void store_row(const tile_args &a, const tile &t, uint32_t i, const octet_codes &codes)
{
    const uint32_t row = t.row + own_row() + i, col = t.col + own_col();
    uint8_t *const at = a.own.codes + row * a.own.stride + col;

    if (row >= a.rows) {
        return;
    }
    if (a.own.aligned && col + 8 <= a.cols) {
        store_eight(at, codes);
        return;
    }
#pragma unroll
    for (uint32_t k = 0; k < 8; k++) {
        if (col + k < a.cols) {
            at[k] = (uint8_t)(codes.word[k / 4] >> (k % 4 * 8));
        }
    }
}

/* Store all codes of this thread's rows in T, which is WHOLE or not. */
__device__ __forceinline__ void store_rows(const tile_args &a, const tile &t, bool whole, const octet_codes *codes)
{
    if (whole) {
        uint8_t *const at = own_codes(a, t);

#pragma unroll
        for (uint32_t i = 0; i < 8; i++) {
            store_eight(at + i * a.own.stride, codes[i]);
        }
        return;
    }
#pragma unroll
    for (uint32_t i = 0; i < 8; i++) {
        store_row(a, t, i, codes[i]);
    }
}

/* ---- Transposing --------------------------------------------------------------------------------------------------
 */

/* Transpose 4 x 4 bytes. */
__device__ __forceinline__ void transpose4(uint32_t *w)
{
    const uint32_t low = __byte_perm(w[0], w[1], 0x5140), low2 = __byte_perm(w[2], w[3], 0x5140);
    const uint32_t high = __byte_perm(w[0], w[1], 0x7362), high2 = __byte_perm(w[2], w[3], 0x7362);

    w[0] = __byte_perm(low, low2, 0x5410);
    w[1] = __byte_perm(low, low2, 0x7632);
    w[2] = __byte_perm(high, high2, 0x5410);
    w[3] = __byte_perm(high, high2, 0x7632);
}

/* Put this thread's CODES, eight rows of eight, into E. */
__device__ __forceinline__ void put_codes(exchange &e, const octet_codes *codes)
{
    const uint32_t lane = threadIdx.x % 16, row = threadIdx.x / 16;
    const uint32_t chunk = (row / 2) ^ (lane & 7), half = (row ^ (lane >> 3)) & 1;

#pragma unroll
    for (int h = 0; h < 2; h++) {
        uint32_t top[4], bottom[4];

#pragma unroll
        for (int i = 0; i < 4; i++) {
            top[i] = codes[i].word[h];
            bottom[i] = codes[4 + i].word[h];
        }
        transpose4(top);
        transpose4(bottom);
#pragma unroll
        for (int i = 0; i < 4; i++) {
            ((uint2 *)&e.chunk[8 * lane + 4 * h + i][chunk])[half] = make_uint2(top[i], bottom[i]);
        }
    }
}

/* Word L of the codes of column K in E. */
__device__ __forceinline__ uint32_t column_word(const exchange &e, uint32_t k, uint32_t l)
{
    return ((const uint32_t *)&e.chunk[k][(l / 4) ^ (k / 8 & 7)])[(l % 4) ^ (k / 64 & 1) * 2];
}

/* Store the first COUNT codes of each column in E, wherever columns begin: a warp has a column at a time, and shifts
 * its words to where memory has whole ones. */
__device__ __forceinline__ void store_shifted(const tile_args &a, const exchange &e, const tile &t, uint32_t count)
{
    const uint32_t lane = threadIdx.x % 32;

#pragma unroll 4
    for (uint32_t k = threadIdx.x / 32; k < SIDE && t.col + k < a.cols; k += WARPS) {
        uint8_t *const at = a.other.codes + (t.col + k) * a.other.stride + t.row;
        const uint32_t gap = (uintptr_t)at % 4, own = column_word(e, k, lane);
        const uint32_t before = __shfl_up_sync(0xffffffffu, own, 1), last = __shfl_sync(0xffffffffu, own, 31);
        const uint32_t word = __funnelshift_l(before, own, 8 * gap);
        const int first = 4 * (int)lane - (int)gap, end = (int)count;

        if (first >= 0 && first + 4 <= end) {
            *(uint32_t *)(at + first) = word;
        } else {
#pragma unroll
            for (int j = 0; j < 4; j++) {
                if (first + j >= 0 && first + j < end) {
                    at[first + j] = (uint8_t)(word >> (8 * j));
                }
            }
        }
        if (lane < gap && SIDE - gap + lane < count) {
            at[SIDE - gap + lane] = (uint8_t)(last >> (8 * (4 - gap + lane)));
        }
    }
}

/* Store what is in E: 16 codes of a column at a time. */
__device__ __forceinline__ void store_columns(const tile_args &a, const exchange &e, const tile &t, bool whole)
{
    if (!whole && (!a.other.aligned || t.row + SIDE > a.rows)) {
        store_shifted(a, e, t, min(SIDE, a.rows - t.row));
        return;
    }
    const uint32_t first = threadIdx.x / (SIDE / 16), chunk = threadIdx.x % (SIDE / 16);
    uint8_t *const at = a.other.codes + (t.col + first) * a.other.stride + t.row + 16 * chunk;

#pragma unroll
    for (uint32_t i = 0; i < SIDE; i += THREADS / (SIDE / 16)) {
        const uint32_t k = first + i;
        const uint4 v = e.chunk[k][chunk ^ (k / 8 & 7)];

        if (whole || t.col + k < a.cols) {
            *(uint4 *)(at + i * a.other.stride) = (k / 64 & 1) != 0 ? make_uint4(v.z, v.w, v.x, v.y) : v;
        }
    }
}

/* ---- Scales of rows and columns -----------------------------------------------------------------------------------
 */

/* The value of WORD, of F32; of 16 bits of its half number HALF. */
template <int IN> __device__ __forceinline__ float element_of_word(uint32_t word, uint32_t half)
{
    if (IN == QB_FORMAT_F32) {
        return __uint_as_float(word);
    }
    const float2 pair = qb__unpack_pair<IN>(word);
    return half != 0 ? pair.y : pair.x;
}

/* The scale of a group whose amax is AMAX, and what its elements are divided by. */
template <int IN, int OUT, int KIND>
__device__ __forceinline__ qb__divisor find_divisor(const qb__scales &s, float amax, float *scale, uint32_t *code)
{
    qb__divisor d = {};

    if (KIND == POWERS) {
        *code = qb__power_of(__float_as_uint(fminf(amax, s.bound)), s);
        *scale = 0;
        d.r = qb__inverse_of(*code);
        return d;
    }
    *scale = qb__scale<OUT>(__float_as_uint(amax), s.bound);
    *code = 0;
    return qb__divide_by<IN>(*scale);
}

/* True if elements up to AMAX may be divided the fast way, as those of powers always are, and as zeros are: what lies
 * beyond the last row is read as zeros. */
template <int KIND> __device__ __forceinline__ bool is_fast(const qb__divisor &d, float amax)
{
    return KIND == POWERS || amax < d.limit || amax == 0;
}

/* The largest magnitudes of this thread's rows, each over the lanes that have its group: of 16 bits, two rows a word.
 */
template <int IN> struct row_amax {
    static constexpr int words = 2 * qb__in<IN>::size;
    uint32_t word[words];
};

template <int IN, int G> __device__ __forceinline__ row_amax<IN> row_max(const octet<IN> *x)
{
    row_amax<IN> acc;
    uint32_t own[8];

#pragma unroll
    for (int i = 0; i < 8; i++) {
        own[i] = 0;
#pragma unroll
        for (int c = 0; c < octet<IN>::chunks; c++) {
            own[i] = qb__max_chunk<IN>(own[i], x[i].chunk[c]);
        }
    }
#pragma unroll
    for (int i = 0; i < row_amax<IN>::words; i++) {
        acc.word[i] = IN == QB_FORMAT_F32 ? own[i]
                                          : qb__max_word<IN>(__byte_perm(own[2 * i % 8], own[2 * i % 8 + 1], 0x5410),
                                                             __byte_perm(own[2 * i % 8], own[2 * i % 8 + 1], 0x7632));
    }
#pragma unroll
    for (int offset = G / 16; offset > 0; offset /= 2) {
#pragma unroll
        for (int i = 0; i < row_amax<IN>::words; i++) {
            acc.word[i] = qb__max_word<IN>(acc.word[i], __shfl_xor_sync(0xffffffffu, acc.word[i], offset));
        }
    }
    return acc;
}

/* The amax of row R, less than 8, of what row_max() found. */
template <int IN> __device__ __forceinline__ float amax_of_row(const row_amax<IN> &acc, uint32_t r)
{
    const uint32_t place = IN == QB_FORMAT_F32 ? r : r / 2;
    uint32_t word = acc.word[0];

#pragma unroll
    for (uint32_t i = 1; i < row_amax<IN>::words; i++) {
        word = place == i ? acc.word[i] : word;
    }
    return element_of_word<IN>(word, r % 2);
}

/* The divisors of this thread's rows. Each lane of a team finds that of one row, or of two, and stores its scale. */
template <int IN, int OUT, int KIND, int G>
__device__ __forceinline__ bool find_rows(const tile_args &a, const tile &t, const octet<IN> *x, qb__divisor *d)
{
    constexpr uint32_t team = G / 8, each = team < 8 ? 8 / team : 1, owners = 8 / each;
    const uint32_t lane = threadIdx.x % 32, own = lane % owners;
    const row_amax<IN> acc = row_max<IN, G>(x);
    qb__divisor found[each];
    bool fast = true;

#pragma unroll
    for (uint32_t i = 0; i < each; i++) {
        const uint32_t row = own + i * owners;
        const float amax = amax_of_row<IN>(acc, row);
        float scale;
        uint32_t code;

        found[i] = find_divisor<IN, OUT, KIND>(a.own.scales, amax, &scale, &code);
        fast = fast && is_fast<KIND>(found[i], amax);
        if (lane % team < owners) {
            store_scale<KIND>(a.own, t.row + own_row() + row, (t.col + own_col()) / G, scale, code);
        }
    }
#pragma unroll
    for (uint32_t i = 0; i < 8; i++) {
        const uint32_t from = lane / team * team + i % owners;

        d[i].r = __shfl_sync(0xffffffffu, found[i / owners].r, from);
        if (KIND != POWERS) {
            d[i].s = __shfl_sync(0xffffffffu, found[i / owners].s, from);
            d[i].low = __shfl_sync(0xffffffffu, found[i / owners].low, from);
        }
    }
    return fast;
}

/* Put the largest magnitudes of this warp's 16 rows, column by column, into PART. */
template <int IN> __device__ __forceinline__ void put_column_max(const octet<IN> *x, octet<IN> (*part)[16])
{
#pragma unroll
    for (int c = 0; c < octet<IN>::chunks; c++) {
        uint4 acc = make_uint4(0, 0, 0, 0);

#pragma unroll
        for (int i = 0; i < 8; i++) {
            qb__max_words<IN>(acc, x[i].chunk[c]);
        }
        qb__max_lanes<IN>(acc, 16);
        if (threadIdx.x % 32 < 16) {
            part[threadIdx.x / 32][threadIdx.x % 16].chunk[c] = acc;
        }
    }
}

/* Find the factors of all columns from what the warps have put, and store their scales. */
template <int IN, int OUT, int KIND, int G>
__device__ __forceinline__ bool find_columns(const tile_args &a, const tile &t, const octet<IN> (*part)[16],
                                             factors<G> &f)
{
    using element = std::conditional_t<IN == QB_FORMAT_F32, uint32_t, uint16_t>;
    const element *const all = (const element *)part; /* of each warp, one for each column */
    const uint32_t col = threadIdx.x % SIDE;
    bool fast = true;

    for (uint32_t g = threadIdx.x / SIDE; g < SIDE / G; g += THREADS / SIDE) {
        uint32_t most = 0; /* magnitudes compare as integers */
        float scale;
        uint32_t code;

#pragma unroll
        for (uint32_t w = 0; w < G / 16; w++) {
            most = max(most, (uint32_t)all[(g * (G / 16) + w) * SIDE + col]);
        }
        const float amax = element_of_word<IN>(most, 0);
        const qb__divisor d = find_divisor<IN, OUT, KIND>(a.other.scales, amax, &scale, &code);
        fast = fast && is_fast<KIND>(d, amax);
        f.r[g][col] = d.r;
        if (KIND != POWERS) {
            f.s[g][col] = d.s;
            f.low[g][col] = d.low;
        }
        store_scale<KIND>(a.other, t.col + col, t.row / G + g, scale, code);
    }
    return fast;
}

/* ---- Codes --------------------------------------------------------------------------------------------------------
 */

/* Codes of chunk C of eight elements. */
template <int IN> __device__ __forceinline__ void put_chunk(octet_codes &codes, int c, const qb__codes<IN> &chunk)
{
#pragma unroll
    for (int i = 0; i < (int)qb__in<IN>::chunk / 4; i++) {
        codes.word[c + i] = chunk.word[i];
    }
}

/* The codes of eight elements by powers of two, one for each. */
template <int IN, int OUT>
__device__ __forceinline__ octet_codes encode_powers(const octet<IN> &elements, const float *r)
{
    float x[8];
    octet_codes codes;

#pragma unroll
    for (int c = 0; c < octet<IN>::chunks; c++) {
        qb__unpack<IN>(elements.chunk[c], x + c * qb__in<IN>::chunk);
    }
#pragma unroll
    for (int i = 0; i < 8; i += 4) {
        codes.word[i / 4] = qb__encode4<OUT>(__fmul_rn(x[i], r[i]), __fmul_rn(x[i + 1], r[i + 1]),
                                             __fmul_rn(x[i + 2], r[i + 2]), __fmul_rn(x[i + 3], r[i + 3]));
    }
    return codes;
}

/* The codes of a chunk with the IEEE division by S, one for each element: small, as it runs seldom. */
template <int IN, int OUT> __device__ __forceinline__ qb__codes<IN> encode_slow(uint4 chunk, const float *s)
{
    constexpr int n = qb__in<IN>::chunk / 4; /* elements in a word */
    uint64_t all = 0;
    qb__codes<IN> codes;

#pragma unroll 1
    for (int i = 0; i < 4; i++) {
        const float x = element_of_word<IN>(chunk.x, 0), y = n == 2 ? element_of_word<IN>(chunk.x, 1) : 0;
        const uint64_t code =
            qb__encode4<OUT>(__fdiv_rn(x, s[n * i]), n == 2 ? __fdiv_rn(y, s[n * i + n - 1]) : 0, 0, 0);

        all = all >> (8 * n) | code << (64 - 8 * n);
        chunk = make_uint4(chunk.y, chunk.z, chunk.w, 0);
    }
    codes.word[0] = (uint32_t)(all >> (n == 2 ? 0 : 32));
    codes.word[n - 1] = (uint32_t)(all >> 32);
    return codes;
}

/* The codes of eight elements of a row. */
template <int IN, int OUT, int KIND>
__device__ __forceinline__ octet_codes encode_row(const octet<IN> &x, const qb__divisor &d, bool fast)
{
    if constexpr (KIND == POWERS) {
        const float r[8] = {d.r, d.r, d.r, d.r, d.r, d.r, d.r, d.r};
        return encode_powers<IN, OUT>(x, r);
    } else {
        octet_codes codes;

#pragma unroll
        for (int c = 0; c < octet<IN>::chunks; c++) {
            put_chunk<IN>(codes, c, qb__encode<IN, OUT>(x.chunk[c], d, fast));
        }
        return codes;
    }
}

/* The codes of this thread's elements, which have one divisor. */
template <int IN, int OUT>
__device__ __forceinline__ void encode_tile(const octet<IN> *x, const qb__divisor &d, bool fast, octet_codes *codes)
{
    if (fast) {
#pragma unroll
        for (int i = 0; i < 8; i++) {
            codes[i] = encode_row<IN, OUT, BLOCKS>(x[i], d, true);
        }
        return;
    }
#pragma unroll
    for (int i = 0; i < 8; i++) {
        codes[i] = encode_row<IN, OUT, BLOCKS>(x[i], d, false);
    }
}

/* The codes of this thread's elements by the factors of their columns. */
template <int IN, int OUT, int KIND, int G>
__device__ __forceinline__ void encode_columns(const octet<IN> *x, const factors<G> &f, bool fast, octet_codes *codes)
{
    const uint32_t g = own_row() / G, col = own_col();
    qb__divisor d[8];
    float r[8];

#pragma unroll
    for (int i = 0; i < 8; i++) {
        r[i] = d[i].r = f.r[g][col + i];
        d[i].low = KIND != POWERS ? f.low[g][col + i] : 0;
        d[i].s = KIND != POWERS && IN == QB_FORMAT_F32 ? f.s[g][col + i] : 0;
    }
    if (KIND != POWERS && !fast) {
#pragma unroll
        for (int i = 0; i < 8; i++) {
#pragma unroll
            for (int c = 0; c < octet<IN>::chunks; c++) {
                put_chunk<IN>(codes[i], c, encode_slow<IN, OUT>(x[i].chunk[c], &f.s[g][col + c * qb__in<IN>::chunk]));
            }
        }
        return;
    }
#pragma unroll
    for (int i = 0; i < 8; i++) {
        if constexpr (KIND == POWERS) {
            codes[i] = encode_powers<IN, OUT>(x[i], r);
        } else {
#pragma unroll
            for (int c = 0; c < octet<IN>::chunks; c++) {
                put_chunk<IN>(codes[i], c, qb__encode_columns<IN, OUT>(x[i].chunk[c], d + c * (int)qb__in<IN>::chunk));
            }
        }
    }
}

/* ---- Tiles --------------------------------------------------------------------------------------------------------
 */

__device__ __forceinline__ void pad(const tile_args &a)
{
    const uint64_t first = (uint64_t)(blockIdx.x - a.blocks) * THREADS + threadIdx.x;
    const uint64_t step = (uint64_t)(gridDim.x - a.blocks) * THREADS;

    for (uint64_t i = first; a.dual && i < a.own.padding.count; i += step) {
        qb__pad(a.own.scales, a.own.padding, i);
    }
    for (uint64_t i = first; i < a.other.padding.count; i += step) {
        qb__pad(a.other.scales, a.other.padding, i);
    }
}

/* One scale for the tile: the codes are the same in both results. */
template <int IN, int OUT>
__global__ void __launch_bounds__(THREADS, resident<IN, BLOCKS>) block_tile(const tile_args a)
{
    const unsigned char *const in = (const unsigned char *)qb__begin(a.in);
    const tile t = tile_of(a);
    __shared__ exchange e;
    __shared__ uint32_t warp_max[32];
    octet_codes codes[8];
    uint32_t acc = 0, code;
    const bool whole = is_whole(a, t);
    float scale;
    octet<IN> x[8];

    load_tile<IN>(a, in, t, whole, x);
#pragma unroll
    for (int i = 0; i < 8; i++) {
#pragma unroll
        for (int c = 0; c < octet<IN>::chunks; c++) {
            acc = qb__max_chunk<IN>(acc, x[i].chunk[c]);
        }
    }
    const float amax = __uint_as_float(qb__block_max(qb__max_bits<IN>(acc), warp_max));
    const qb__divisor d = find_divisor<IN, OUT, BLOCKS>(a.other.scales, amax, &scale, &code);
    if (threadIdx.x == 0) {
        store_scale<BLOCKS>(a.other, t.col / SIDE, t.row / SIDE, scale, code);
        if (a.dual) {
            store_scale<BLOCKS>(a.own, t.row / SIDE, t.col / SIDE, scale, code);
        }
    }
    encode_tile<IN, OUT>(x, d, amax < d.limit, codes);
    if (a.dual) {
        store_rows(a, t, whole, codes);
    }
    put_codes(e, codes);
    __syncthreads();
    store_columns(a, e, t, whole);
}

/* Scales of G elements of a row, and of G elements of a column. */
template <int IN, int OUT, int KIND, int G>
__global__ void __launch_bounds__(THREADS, resident<IN, KIND>) group_tile(const tile_args a)
{
    const unsigned char *const in = (const unsigned char *)qb__begin(a.in);
    __shared__ exchange e;
    __shared__ octet<IN> part[WARPS][16];
    __shared__ factors<G> f;
    octet_codes codes[8];
    qb__divisor d[8];
    octet<IN> x[8];
    bool fast = true;

    if (blockIdx.x >= a.blocks) {
        pad(a);
        return;
    }
    const tile t = tile_of(a);
    const bool whole = is_whole(a, t);
    load_tile<IN>(a, in, t, whole, x);
    put_column_max<IN>(x, part);
    if (a.dual) {
        fast = find_rows<IN, OUT, KIND, G>(a, t, x, d);
    }
    __syncthreads();
    fast = find_columns<IN, OUT, KIND, G>(a, t, part, f) && fast;
    fast = __syncthreads_and(fast);
    if (a.dual && whole && fast) {
        uint8_t *const at = own_codes(a, t);

#pragma unroll
        for (uint32_t i = 0; i < 8; i++) {
            store_eight(at + i * a.own.stride, encode_row<IN, OUT, KIND>(x[i], d[i], true));
        }
    } else if (a.dual) {
#pragma unroll
        for (uint32_t i = 0; i < 8; i++) {
            store_row(a, t, i, encode_row<IN, OUT, KIND>(x[i], d[i], fast));
        }
    }
    encode_columns<IN, OUT, KIND, G>(x, f, fast, codes);
    put_codes(e, codes);
    __syncthreads();
    store_columns(a, e, t, whole);
}

/* ---- Any shape ----------------------------------------------------------------------------------------------------
 */

/* A matrix whose elements lie at any two steps, and its result. */
struct view_args {
    const void *in;
    uint64_t rows, cols, row_step, col_step; /* elements */
    uint64_t tile_rows, tile_cols;
    bool powers;
    result to;
};

/* Element I of a tile of HIGH x WIDE elements at FIRST_ROW and FIRST_COL, in the order in which they lie in memory. */
struct place {
    uint64_t row, col;
};

__device__ __forceinline__ place place_of(const view_args &a, uint64_t i, const place &first, uint64_t high,
                                          uint64_t wide)
{
    return a.col_step == 1 ? place{first.row + i / wide, first.col + i % wide}
                           : place{first.row + i % high, first.col + i / high};
}

template <int IN> __device__ __forceinline__ float element_of(const view_args &a, const void *in, const place &p)
{
    return qb__load_element<IN>(in, (int64_t)(p.row * a.row_step + p.col * a.col_step));
}

/* A warp has a tile at a time, element by element. */
template <int IN, int OUT> __global__ void __launch_bounds__(THREADS) view_tiles(const view_args a)
{
    const void *const in = qb__begin(a.in);
    const qb__scales &s = a.to.scales;
    const uint64_t step = (uint64_t)gridDim.x * WARPS, self = (uint64_t)blockIdx.x * WARPS + threadIdx.x / 32;

    for (uint64_t i = (uint64_t)blockIdx.x * THREADS + threadIdx.x; i < a.to.padding.count;
         i += (uint64_t)gridDim.x * THREADS) {
        qb__pad(s, a.to.padding, i);
    }
    for (uint64_t tile = self; tile < s.rows * s.cols; tile += step) {
        const uint64_t row = tile / s.cols, col = tile % s.cols;
        const place first = {row * a.tile_rows, col * a.tile_cols};
        const uint64_t high = min(a.tile_rows, a.rows - first.row), wide = min(a.tile_cols, a.cols - first.col);
        float amax = 0, scale, factor = 1;

        for (uint64_t i = threadIdx.x % 32; i < high * wide; i += 32) {
            amax = fmaxf(amax, fabsf(element_of<IN>(a, in, place_of(a, i, first, high, wide))));
        }
        const uint32_t bits = qb__warp_max(__float_as_uint(amax));
        const uint64_t at = qb__place(s.layout, row, col);
        if (a.powers) {
            const uint32_t code = qb__power_of(__float_as_uint(fminf(__uint_as_float(bits), s.bound)), s);
            scale = 1;
            factor = qb__inverse_of(code);
            ((uint8_t *)s.memory)[at] = (uint8_t)code;
        } else {
            scale = qb__scale<OUT>(bits, s.bound);
            ((float *)s.memory)[at] = scale;
        }
        for (uint64_t i = threadIdx.x % 32; i < high * wide; i += 32) {
            const place p = place_of(a, i, first, high, wide);
            a.to.codes[p.row * a.to.stride + p.col] =
                qb__encode1<OUT>(__fmul_rn(element_of<IN>(a, in, p), factor), scale);
        }
    }
}

/* ---- Launching ----------------------------------------------------------------------------------------------------
 */

/* CALL for the quantization P of its rows, or of its columns. */
static qb__cuda_call half_of(const struct qb__cuda_call *call, bool columns, struct qb_problem *p)
{
    const bool dual = call->problem->operation == QB_OPERATION_DUAL;
    const struct qb_problem whole = dual && columns ? qb__transposed_of(call->problem) : *call->problem;
    qb__cuda_call c = *call;

    *p = qb__quantization_of(&whole);
    c.problem = p;
    c.rows = p->tokens;
    c.cols = p->hidden;
    c.out_stride = p->output_stride;
    if (dual && columns) {
        c.out = call->transposed;
        c.scales = call->transposed_scales;
    }
    qb__tile(p, &c.tile_rows, &c.tile_cols);
    qb__scale_shape(p, &c.scale_rows, &c.scale_cols);
    return c;
}

/* Its result, whose codes are stored UNIT at a time if they are aligned to that. */
static result result_of(const struct qb__cuda_call *half, unsigned unit)
{
    return {half->out, half->out_stride, qb__scales_of(half), qb__padding_of(half),
            (uintptr_t)half->out % unit == 0 && half->out_stride % unit == 0};
}

/* True if a block of threads can have tiles of CALL. */
static bool is_regular(const struct qb__cuda_call *call)
{
    const struct qb_problem *p = call->problem;
    const bool is_tile = p->granularity == QB_GRANULARITY_BLOCK ? p->block_rows == SIDE && p->block_cols == SIDE
                                                                : p->group == 32 || p->group == 64 || p->group == SIDE;

    return is_tile && call->rows < 0x70000000u && call->cols < 0x70000000u &&
           qb__ceil_div(call->rows, SIDE) * qb__ceil_div(call->cols, SIDE) < 0x70000000u;
}

static const void *tile_kernel(const struct qb__cuda_call *call)
{
#define OF_GROUPS(kind)                                                                                                \
    {                                                                                                                  \
        QB__KERNELS(group_tile, kind, 32), QB__KERNELS(group_tile, kind, 64), QB__KERNELS(group_tile, kind, 128)       \
    }
    static const void *const blocks[] = QB__KERNELS(block_tile);
    static const void *const groups[2][3][9] = {OF_GROUPS(GROUPS), OF_GROUPS(POWERS)};
    const struct qb_problem *p = call->problem;

    return p->granularity == QB_GRANULARITY_BLOCK
               ? blocks[qb__index(call)]
               : groups[p->scale_format == QB_FORMAT_E8M0][p->group / 64][qb__index(call)];
}

static cudaError_t run_tiles(const struct qb__cuda_call *call, const struct qb__cuda_call *rows,
                             const struct qb__cuda_call *columns)
{
    const uint64_t bands = qb__ceil_div(call->rows, SIDE), across = qb__ceil_div(call->cols, SIDE);
    tile_args a = {};
    void *args[] = {&a};

    a.in = call->in;
    a.in_stride = call->in_stride;
    a.rows = (uint32_t)call->rows;
    a.cols = (uint32_t)call->cols;
    a.bands = (uint32_t)bands;
    a.blocks = (uint32_t)(bands * across);
    a.by_super = qb__make_fastdiv(HIGH * across);
    a.aligned = (uintptr_t)call->in % 16 == 0 && call->in_stride * qb__element_size(call->input) % 16 == 0;
    a.dual = call->problem->operation == QB_OPERATION_DUAL;
    a.own = result_of(rows, 8);
    a.other = result_of(columns, 16);
    a.wide = a.aligned && a.other.aligned && (!a.dual || a.own.aligned);
    const uint64_t padding = (a.dual ? a.own.padding.count : 0) + a.other.padding.count;
    return qb__launch(call, tile_kernel(call), a.blocks + qb__ceil_div(padding, 16 * THREADS), dim3(THREADS), args);
}

/* One result, whose elements lie at these steps in the input. */
static cudaError_t run_view(const struct qb__cuda_call *half, uint64_t row_step, uint64_t col_step)
{
    static const void *const kernels[] = QB__KERNELS(view_tiles);
    view_args a = {half->in,          half->rows,      half->cols,      row_step,
                   col_step,          half->tile_rows, half->tile_cols, half->problem->scale_format == QB_FORMAT_E8M0,
                   result_of(half, 1)};
    void *args[] = {&a};
    /* Padding there is without tiles, too. */
    const uint64_t blocks = qb__ceil_div(half->scale_rows * half->scale_cols, WARPS) + (half->rows * half->cols == 0);

    return qb__launch(half, kernels[qb__index(half)], blocks < 0x7fffffffu ? blocks : 0x7fffffffu, dim3(THREADS), args);
}

cudaError_t qb__cuda_transpose_run(const struct qb__cuda_call *call)
{
    struct qb_problem row_problem, column_problem;
    const struct qb__cuda_call rows = half_of(call, false, &row_problem);
    const struct qb__cuda_call columns = half_of(call, true, &column_problem);

    if (call->rows > 0 && is_regular(call)) {
        return run_tiles(call, &rows, &columns);
    }
    if (call->problem->operation == QB_OPERATION_DUAL) {
        const cudaError_t error = run_view(&rows, call->in_stride, 1);

        if (error != cudaSuccess) {
            return error;
        }
    }
    return run_view(&columns, 1, call->in_stride);
}
