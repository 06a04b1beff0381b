/* SPDX-License-Identifier: Apache-2.0 */
/* limits.cu - what no kernel can be faster than: a launch that does nothing, and reads and writes with nothing between
 * them. */
#include "device.cuh"

/* ---- The empty launch --------------------------------------------------------------------------------------- */

static __global__ void __launch_bounds__(1024) empty()
{
    qb__begin((const char *)NULL);
}

const void *const qb__cuda_empty_kernel = (const void *)empty;

/* As much shared memory as any kernel may ask for. */
extern "C" cudaError_t qb__cuda_empty_prepare(struct qb__cuda_limits *limits)
{
    return cudaFuncSetAttribute((const void *)empty, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                (int)limits->shared_per_block);
}

/* ---- Reads and writes --------------------------------------------------------------------------------------- */

struct mix_args {
    const unsigned char *in;
    unsigned char *out;
    uint64_t read, written; /* bytes */
    uint64_t chunks_read, chunks_written;
    uint32_t read_step, write_step; /* chunks of a block */
    uint32_t *sink;                 /* NULL: takes what was read, for all that the compiler knows */
};

/* A thread loads DEPTH chunks of 16 bytes, then stores as many; a block has a stretch of each side. What is stored
 * depends on what was loaded, as in any kernel. */
template <int DEPTH, bool STREAMING> static __global__ void __launch_bounds__(1024) mix(const mix_args a)
{
    const unsigned char *const in = qb__begin(a.in);
    const uint64_t read = (uint64_t)blockIdx.x * a.read_step, written = (uint64_t)blockIdx.x * a.write_step;
    /* Each warp has a stretch to itself. */
    const uint32_t first = threadIdx.x / 32 * (32 * DEPTH) + threadIdx.x % 32;
    uint4 chunk[DEPTH], all = make_uint4(0, 0, 0, 0);

#pragma unroll
    for (unsigned k = 0; k < DEPTH; k++) {
        const uint32_t i = first + k * 32;
        chunk[k] = i < a.read_step && read + i < a.chunks_read ? qb__load16(in + (read + i) * 16) : all;
    }
#pragma unroll
    for (unsigned k = 0; k < DEPTH; k++) {
        all.x |= chunk[k].x, all.y |= chunk[k].y, all.z |= chunk[k].z, all.w |= chunk[k].w;
    }
    if (blockIdx.x == 0 && threadIdx.x < a.read % 16) {
        all.x |= in[a.chunks_read * 16 + threadIdx.x];
    }
#pragma unroll
    for (unsigned k = 0; k < DEPTH; k++) {
        const uint32_t i = first + k * 32;
        if (i < a.write_step && written + i < a.chunks_written) {
            uint4 *const out = (uint4 *)(a.out + (written + i) * 16);
            if (STREAMING) {
                __stcs(out, all);
            } else {
                *out = all;
            }
        }
    }
    if (blockIdx.x == 0 && threadIdx.x < a.written % 16) {
        a.out[a.chunks_written * 16 + threadIdx.x] = (unsigned char)all.x;
    }
    if (a.sink != NULL) {
        *a.sink = all.x ^ all.y ^ all.z ^ all.w;
    }
}

/* On an H200 one chunk a thread and 256 threads are the fastest for as many reads as writes (3.99 TB/s, as
 * cudaMemcpyAsync) and for one of the two alone. With more to read, two chunks and large blocks are up to 4 % faster,
 * as the reads are batched apart from the writes. */
extern "C" cudaError_t qb__cuda_mix_run(const struct qb__cuda_call *call, void *target, size_t written_bytes,
                                        const void *source, size_t read_bytes, enum qb_stores stores)
{
    static const void *const kernels[2][QB_STORES_COUNT] = {{(const void *)mix<1, false>, (const void *)mix<1, true>},
                                                            {(const void *)mix<2, false>, (const void *)mix<2, true>}};
    const bool deep = written_bytes > 0 && written_bytes < read_bytes;
    const uint64_t most = read_bytes > written_bytes ? read_bytes : written_bytes, chunks = most / 16;
    const unsigned depth = deep ? 2 : 1, threads = deep ? qb__block_threads(call, chunks) : 256;
    const uint64_t blocks = chunks > 0 ? qb__ceil_div(chunks, depth * threads) : 1;
    struct mix_args a = {};
    void *args[] = {&a};

    if (most == 0) {
        return cudaSuccess;
    }
    a.in = (const unsigned char *)source;
    a.out = (unsigned char *)target;
    a.read = read_bytes;
    a.written = written_bytes;
    a.chunks_read = read_bytes / 16;
    a.chunks_written = written_bytes / 16;
    a.read_step = (uint32_t)qb__ceil_div(a.chunks_read, blocks);
    a.write_step = (uint32_t)qb__ceil_div(a.chunks_written, blocks);
    return qb__launch(call, kernels[deep][stores], blocks, dim3(threads), args);
}
