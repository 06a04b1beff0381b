/* SPDX-License-Identifier: Apache-2.0 */
/* compare.cu - compares copies of a tensor with what is expected of them, without leaving the device. */
#include "device.cuh"

struct compare_args {
    const unsigned char *copies, *expected;
    uint64_t stride, count, bytes;
    uint64_t chunks;           /* of 16 bytes, that are loaded as such; the rest one by one */
    unsigned long long *found; /* the number of different bytes, and the first */
};

/* What one thread has found. */
struct difference {
    unsigned long long count, first;
};

/* Note the bytes at PLACE that BITS, which differ there, are of. */
static __device__ void note(unsigned bits, uint64_t place, difference &found)
{
    for (unsigned k = 0; k < 4; k++) {
        if ((bits >> 8 * k & 0xFF) != 0) {
            found.count++;
            found.first = min(found.first, (unsigned long long)(place + k));
        }
    }
}

/* A thread takes the same chunks of every copy, so that it loads what is expected of them once. No byte is loaded
 * twice: a load that was wrong may be right the next time. */
static __global__ void __launch_bounds__(256) compare(const compare_args a)
{
    const uint64_t step = (uint64_t)gridDim.x * blockDim.x, thread = (uint64_t)blockIdx.x * blockDim.x + threadIdx.x;
    difference found = {0, ~0ull};

    for (uint64_t i = thread; i < a.chunks; i += step) {
        const uint4 want = ((const uint4 *)a.expected)[i];

        for (uint64_t copy = 0; copy < a.count; copy++) {
            const uint4 got = *(const uint4 *)(a.copies + copy * a.stride + i * 16);

            const uint64_t place = copy * a.stride + i * 16;

            if (got.x != want.x || got.y != want.y || got.z != want.z || got.w != want.w) {
                note(got.x ^ want.x, place, found);
                note(got.y ^ want.y, place + 4, found);
                note(got.z ^ want.z, place + 8, found);
                note(got.w ^ want.w, place + 12, found);
            }
        }
    }
    for (uint64_t i = a.chunks * 16 + thread; i < a.bytes; i += step) {
        for (uint64_t copy = 0; copy < a.count; copy++) {
            note(a.copies[copy * a.stride + i] ^ a.expected[i], copy * a.stride + i, found);
        }
    }
    if (found.count > 0) {
        atomicAdd(&a.found[0], found.count);
        atomicMin(&a.found[1], found.first);
    }
}

extern "C" cudaError_t qb__cuda_compare_run(const struct qb__cuda_call *call, const struct qb_copies *copies,
                                            const void *expected, size_t bytes, uint64_t *found)
{
    const uint64_t most = (uint64_t)call->limits->units * 8;
    struct compare_args a = {};
    void *args[] = {&a};
    uint64_t blocks;

    a.copies = (const unsigned char *)copies->memory;
    a.expected = (const unsigned char *)expected;
    a.stride = copies->stride;
    a.count = copies->count;
    a.bytes = bytes;
    a.chunks = ((uintptr_t)copies->memory | (uintptr_t)expected | copies->stride) % 16 == 0 ? bytes / 16 : 0;
    a.found = (unsigned long long *)found;
    blocks = qb__ceil_div(a.chunks > 0 ? a.chunks : bytes, 256);
    return qb__launch(call, (const void *)compare, blocks < most ? blocks : most, dim3(256), args);
}
