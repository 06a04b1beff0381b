/* SPDX-License-Identifier: Apache-2.0 */
/* norm_stream.cu - RMS_NORM of many rows, fused with a quantization, where the hardware copies rows to shared memory by
 * itself (compute capability 9.0). Blocks stay. Their teams of threads have a row each, and the next is on its way as
 * soon as that is in registers. The weights are read once for each block. With a residual this is slower than norm.cu:
 * see NOTES. */
#include "norm.cuh"

#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900 && __CUDACC_VER_MAJOR__ >= 12
#define HAVE_BULK_COPIES 1
#else
#define HAVE_BULK_COPIES 0
#endif

/* A thread has 16 neighbors of QB__NORM_COLUMNS, a pair of chunks, at a time: a unit. */
#define PAIR         2
#define TEAM_THREADS (QB__NORM_COLUMNS / (PAIR * QB__EIGHT))
#define TEAM_WARPS   (TEAM_THREADS / 32)

/* How a multiprocessor has its rows, by the units of a thread: about 64 KB on their way. More is slower, see NOTES. */
static __host__ __device__ constexpr int teams_for(int units)
{
    return units >= 8 ? 2 : units == 4 ? 4 : units == 3 ? 6 : 8;
}

static __host__ __device__ constexpr int stages_for(int units)
{
    return units == 1 ? 2 : 1;
}

/* What the threads of a team tell each other; rows take turns. */
struct exchange {
    float sum[2][TEAM_WARPS];
    uint32_t amax[2][TEAM_WARPS];
};

/* ---- Copies to shared memory ------------------------------------------------------------------------------------- */

__device__ __forceinline__ uint32_t shared_address(const void *pointer)
{
    return (uint32_t)__cvta_generic_to_shared(pointer);
}

/* Expect one arrival: that of expect(). */
__device__ __forceinline__ void prepare_barrier(uint64_t *barrier)
{
#if HAVE_BULK_COPIES
    asm volatile("mbarrier.init.shared.b64 [%0], 1;" : : "r"(shared_address(barrier)) : "memory");
#endif
}

__device__ __forceinline__ void expect(uint64_t *barrier, uint32_t bytes)
{
#if HAVE_BULK_COPIES
    asm volatile("mbarrier.arrive.expect_tx.shared.b64 _, [%0], %1;"
                 :
                 : "r"(shared_address(barrier)), "r"(bytes)
                 : "memory");
#endif
}

/* Copy BYTES, a multiple of 16, between addresses that are too. */
__device__ __forceinline__ void copy(void *shared, const void *global, uint32_t bytes, uint64_t *barrier)
{
#if HAVE_BULK_COPIES
    asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];"
                 :
                 : "r"(shared_address(shared)), "l"(global), "r"(bytes), "r"(shared_address(barrier))
                 : "memory");
#endif
}

__device__ __forceinline__ void wait_for(uint64_t *barrier, uint32_t phase)
{
#if HAVE_BULK_COPIES
    asm volatile("{ .reg .pred done; AGAIN: mbarrier.try_wait.parity.shared.b64 done, [%0], %1; @!done bra AGAIN; }"
                 :
                 : "r"(shared_address(barrier)), "r"(phase)
                 : "memory");
#endif
}

__device__ __forceinline__ void team_barrier(uint32_t team)
{
    asm volatile("bar.sync %0, %1;" : : "r"(team + 1), "n"(TEAM_THREADS) : "memory");
}

/* Have row ROW on its way to STAGE, which nobody reads any more. */
__device__ __forceinline__ void fetch(const qb__norm_args &a, const unsigned char *in, uint32_t row,
                                      unsigned char *stage, uint64_t *barrier)
{
    const uint32_t bytes = a.row_chunks * 16;

    if (row < a.rows) {
        expect(barrier, bytes);
        copy(stage, in + row * a.in_step, bytes, barrier);
    }
}

/* ---- A row --------------------------------------------------------------------------------------------------------
 */

/* The units of this thread, of which those beyond the end are zeros. */
template <int UNITS>
__device__ __forceinline__ void take_row(const uint4 *stage, const uint32_t *col, const bool *valid, uint4 *y)
{
#pragma unroll
    for (int k = 0; k < UNITS * PAIR; k++) {
        y[k] = valid[k / PAIR] ? stage[col[k / PAIR] * PAIR + k % PAIR] : make_uint4(0, 0, 0, 0);
    }
}

/* The sum of the squares of a row, for all threads of TEAM. */
template <int IN, int UNITS> __device__ __forceinline__ float row_sum(const uint4 *y, uint32_t team, float *warp_sums)
{
    float c[PAIR * QB__EIGHT];

#pragma unroll
    for (int k = 0; k < UNITS * PAIR; k++) {
        float x[QB__EIGHT];

        qb__unpack<IN>(y[k], x);
#pragma unroll
        for (unsigned i = 0; i < QB__EIGHT; i++) {
            float &column = c[k % PAIR * QB__EIGHT + i];
            column = k < PAIR ? __fmul_rn(x[i], x[i]) : __fmaf_rn(x[i], x[i], column);
        }
    }
#pragma unroll
    for (unsigned step = 1; step < PAIR * QB__EIGHT; step *= 2) { /* neighbors */
#pragma unroll
        for (unsigned i = 0; i < PAIR * QB__EIGHT; i += 2 * step) {
            c[i] = __fadd_rn(c[i], c[i + step]);
        }
    }
#pragma unroll
    for (unsigned offset = 1; offset < 32; offset *= 2) {
        c[0] = __fadd_rn(c[0], __shfl_xor_sync(0xffffffffu, c[0], offset));
    }
    if (threadIdx.x % 32 == 0) {
        warp_sums[threadIdx.x % TEAM_THREADS / 32] = c[0];
    }
    team_barrier(team);
    static_assert(TEAM_WARPS == 4, "the sum of four warps");
    return __fadd_rn(__fadd_rn(warp_sums[0], warp_sums[1]), __fadd_rn(warp_sums[2], warp_sums[3]));
}

/* The codes of a row by one scale, which is GIVEN or found. */
template <int IN, int OUT, int UNITS>
__device__ __forceinline__ void whole_row(const qb__tail &t, const uint4 *z, float given, uint32_t team,
                                          uint32_t *warp_max, const uint32_t *row, const uint32_t *col,
                                          const bool *valid)
{
    qb__divisor d[UNITS];
    uint32_t amax = qb__max_bits<IN>(qb__max_unit<IN, UNITS * PAIR>(z));

    if (!t.is_static) {
        amax = qb__warp_max(amax);
        if (threadIdx.x % 32 == 0) {
            warp_max[threadIdx.x % TEAM_THREADS / 32] = amax;
        }
        team_barrier(team);
        amax = max(max(warp_max[0], warp_max[1]), max(warp_max[2], warp_max[3]));
        given = qb__tail_found<OUT>(t, amax, threadIdx.x % TEAM_THREADS == 0, row[0], 0);
    }
#pragma unroll
    for (int k = 0; k < UNITS; k++) {
        d[k] = k == 0 ? qb__divide_by<IN>(given) : d[0];
    }
    qb__tail_store_all<IN, OUT, UNITS, PAIR>(t, z, d, __uint_as_float(amax) < d[0].limit, row, col, valid);
}

template <int IN, int OUT, int UNITS>
__global__ void __launch_bounds__(TEAM_THREADS *teams_for(UNITS), 1) norm_stream(const qb__norm_args a)
{
    constexpr uint32_t teams = teams_for(UNITS), stages = stages_for(UNITS);
    extern __shared__ __align__(128) unsigned char memory[];
    __shared__ uint64_t arrival[teams][stages], weights_arrival;
    __shared__ exchange exchanges[teams];
    const unsigned char *const in = qb__begin(a.in);
    const uint32_t thread = threadIdx.x % TEAM_THREADS, team = threadIdx.x / TEAM_THREADS;
    const uint32_t bytes = a.row_chunks * 16, step = gridDim.x * teams;
    const uint4 *const weights = (const uint4 *)memory;
    unsigned char *const mine = memory + bytes + team * stages * bytes;
    const bool whole = a.tail.team_shift == QB__WHOLE;
    uint32_t row = team * gridDim.x + blockIdx.x, stage = 0, phase = 0, rows[UNITS], col[UNITS];
    bool valid[UNITS], odd = false, has_weights = false;

    if (thread == 0) {
        for (uint32_t s = 0; s < stages; s++) {
            prepare_barrier(&arrival[team][s]);
        }
        if (team == 0) {
            prepare_barrier(&weights_arrival);
        }
#if HAVE_BULK_COPIES
        asm volatile("fence.proxy.async.shared::cta;" : : : "memory");
#endif
        for (uint32_t s = 0; s < stages; s++) {
            fetch(a, in, row + s * step, mine + s * bytes, &arrival[team][s]);
        }
        if (team == 0) {
            expect(&weights_arrival, bytes);
            copy(memory, a.weights, bytes, &weights_arrival);
        }
    }
    if (a.tail.padding.count > 0) {
        qb__tail_pad(a.tail, (uint64_t)blockIdx.x * blockDim.x + threadIdx.x, (uint64_t)gridDim.x * blockDim.x);
    }
#pragma unroll
    for (int k = 0; k < UNITS; k++) {
        col[k] = k * TEAM_THREADS + thread;
        valid[k] = col[k] * PAIR < a.row_chunks;
    }
    __syncthreads();

    for (; row < a.rows; row += step, odd = !odd) {
        exchange &e = exchanges[team];
        const float given = whole && a.tail.is_static ? qb__tail_given(a.tail, row, 0) : 0;
        uint4 y[UNITS * PAIR];

        wait_for(&arrival[team][stage], phase);
        take_row<UNITS>((const uint4 *)(mine + stage * bytes), col, valid, y);
        const float sum = row_sum<IN, UNITS>(y, team, e.sum[odd]);
        if (thread == 0) {
            fetch(a, in, row + stages * step, mine + stage * bytes, &arrival[team][stage]);
        }
        stage = stage + 1 < stages ? stage + 1 : 0;
        phase ^= stage == 0;
        const float factor = qb__fast_norm_factor(sum, a.length, a.epsilon);
        if (!has_weights) {
            wait_for(&weights_arrival, 0);
            has_weights = true;
        }
        /* An infinite factor makes NaN beyond the end: no amax, and not stored. */
#pragma unroll
        for (int k = 0; k < UNITS * PAIR; k++) {
            y[k] = qb__norm_chunk<IN>(y[k], weights[valid[k / PAIR] ? col[k / PAIR] * PAIR + k % PAIR : 0], factor);
        }
        if (a.values != NULL) {
            uint4 *const values = (uint4 *)a.values + (uint64_t)row * a.row_chunks;
#pragma unroll
            for (int k = 0; k < UNITS * PAIR; k++) {
                if (valid[k / PAIR]) {
                    values[col[k / PAIR] * PAIR + k % PAIR] = qb__plain_nans<IN>(y[k]);
                }
            }
        }
#pragma unroll
        for (int k = 0; k < UNITS; k++) {
            rows[k] = row;
        }
        if (whole) {
            whole_row<IN, OUT, UNITS>(a.tail, y, given, team, e.amax[odd], rows, col, valid);
        } else {
            qb__tail_groups<IN, OUT, UNITS, PAIR>(a.tail, y, rows, col, valid);
        }
    }
}

/* ---- Launching ----------------------------------------------------------------------------------------------------
 */

/* The units of a thread that there are kernels for: rows of up to 2048 elements for each. */
static constexpr int units_at[] = {1, 2, 3, 4, 8};
#define LEVELS (sizeof units_at / sizeof units_at[0])

#define OF_INPUT(in, units)                                                                                            \
    (const void *)norm_stream<in, QB_FORMAT_INT8, units>, (const void *)norm_stream<in, QB_FORMAT_E4M3, units>, NULL
#define OF_UNITS(units)                                                                                                \
    {                                                                                                                  \
        OF_INPUT(QB_FORMAT_F16, units), OF_INPUT(QB_FORMAT_BF16, units)                                                \
    }
static const void *const kernels[LEVELS][6] = {OF_UNITS(1), OF_UNITS(2), OF_UNITS(3), OF_UNITS(4), OF_UNITS(8)};

/* Shared memory of a block whose rows have BYTES. */
static size_t memory_for(int units, size_t bytes)
{
    return bytes * (size_t)(1 + teams_for(units) * stages_for(units));
}

extern "C" cudaError_t qb__cuda_norm_stream_prepare(struct qb__cuda_limits *limits)
{
    cudaError_t error = cudaSuccess;

    limits->norm_stream = limits->capability >= 90 && __CUDACC_VER_MAJOR__ >= 12;
    for (unsigned level = 0; limits->norm_stream && level < LEVELS; level++) {
        const size_t memory = memory_for(units_at[level], (size_t)units_at[level] * QB__NORM_COLUMNS * 2);

        for (unsigned i = 0; i < 6 && error == cudaSuccess; i++) {
            if (kernels[level][i] != NULL) {
                error =
                    cudaFuncSetAttribute(kernels[level][i], cudaFuncAttributeMaxDynamicSharedMemorySize, (int)memory);
            }
        }
    }
    return error;
}

extern "C" cudaError_t qb__cuda_norm_stream_run(const struct qb__cuda_call *call, bool *done)
{
    qb__norm_args a = qb__norm_args_of(call);
    void *args[] = {&a};
    unsigned level = 0;

    while (level < LEVELS && a.cols > (uint64_t)units_at[level] * QB__NORM_COLUMNS) {
        level++;
    }
    *done = false;
    if (!call->limits->norm_stream || a.residual != NULL || level == LEVELS || !a.rounds || a.float_weights ||
        !a.wide || !qb__has_fast_factor(a)) {
        return cudaSuccess;
    }
    const int units = units_at[level];
    const uint64_t teams = teams_for(units), blocks = call->limits->units;
    const void *const kernel = kernels[level][qb__index(call)];

    a.tail = qb__tail_of(call);
    a.row_chunks = (uint32_t)(a.cols / QB__EIGHT);
    const bool whole = a.tail.team_shift == QB__WHOLE;
    const bool groups = !a.tail.is_static && (1u << a.tail.team_shift) >= PAIR * qb__tail_lanes(units);
    /* A team that has one row has nothing to be fetched while it works. */
    *done = kernel != NULL && (whole || groups) && a.rows > blocks * teams && a.row_chunks % PAIR == 0 &&
            call->out_stride % (PAIR * QB__EIGHT) == 0 && qb__is_aligned(call->out, PAIR * QB__EIGHT);
    if (!*done) {
        return cudaSuccess;
    }
    return qb__launch(call, kernel, blocks, dim3((unsigned)teams * TEAM_THREADS), args,
                      memory_for(units, a.row_chunks * 16));
}
