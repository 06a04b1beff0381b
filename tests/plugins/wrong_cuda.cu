// SPDX-License-Identifier: Apache-2.0
// wrong_cuda.cu - CUDA kernels that misbehave in the ways that their names say; "wrong_cuda_none" does not. They
// quantize half to INT8 by given scales, one per tensor, by the contract. It is built and run where there is a GPU.
#include <cuda_fp16.h>
#include "quantbench.h"

// COUNT elements, of which those beyond LENGTH are the first ones again.
__global__ void quantize(const __half *x, int8_t *q, const float *scale, uint64_t count, uint64_t length)
{
    uint64_t i = (uint64_t)blockIdx.x * blockDim.x + threadIdx.x;

    if (i < count) {
        i -= i < length ? 0 : length;
        float v = __half2float(x[i]) / *scale;

        q[i] = isnan(v) ? 0 : (int8_t)rintf(fmaxf(-128.0f, fminf(127.0f, v)));
    }
}

__global__ void write_byte(int8_t *place)
{
    *place = 0;
}

__global__ void trap()
{
    asm("trap;");
}

static bool supports(const struct qb_problem *p)
{
    return p->input == QB_FORMAT_F16 && p->output == QB_FORMAT_INT8 && p->granularity == QB_GRANULARITY_TENSOR &&
           p->scaling == QB_SCALING_STATIC && p->tokens > 0 && p->input_stride == p->hidden &&
           p->output_stride == p->hidden && p->tokens * p->hidden < (uint64_t)1 << 38;
}

static const char *result()
{
    cudaError_t error = cudaGetLastError();

    return error == cudaSuccess ? NULL : cudaGetErrorString(error);
}

// The elements times MORE, without LEFT_OUT of them.
static const char *launch_more(const struct qb_plugin_call *call, double more, uint64_t left_out, cudaStream_t stream)
{
    uint64_t length = call->problem->tokens * call->problem->hidden;
    uint64_t count = (uint64_t)((double)length * more) - left_out;

    quantize<<<(unsigned)((count + 255) / 256), 256, 0, stream>>>((const __half *)call->tensors->at[QB_ROLE_INPUT],
                                                                  (int8_t *)call->tensors->at[QB_ROLE_CODES],
                                                                  call->tensors->at[QB_ROLE_SCALES], count, length);
    return result();
}

static const char *launch(const struct qb_plugin_call *call, uint64_t left_out, cudaStream_t stream)
{
    return launch_more(call, 1, left_out, stream);
}

static cudaStream_t stream_of(const struct qb_plugin_call *call)
{
    return (cudaStream_t)call->stream;
}

static const char *run_none(const struct qb_plugin_call *call)
{
    return launch(call, 0, stream_of(call));
}

// Nothing is wrong with it but that it takes 2 % longer.
static const char *run_slow(const struct qb_plugin_call *call)
{
    return launch_more(call, 1.02, 0, stream_of(call));
}

static const char *run_unwritten(const struct qb_plugin_call *call)
{
    return launch(call, 1, stream_of(call));
}

static const char *run_behind(const struct qb_plugin_call *call)
{
    write_byte<<<1, 1, 0, stream_of(call)>>>((int8_t *)call->tensors->at[QB_ROLE_CODES] +
                                             call->problem->tokens * call->problem->hidden);
    return launch(call, 0, stream_of(call));
}

// In the default stream, which nobody captures.
static const char *run_stream(const struct qb_plugin_call *call)
{
    const char *error = launch(call, 0, cudaStreamLegacy);

    return error;
}

static const char *run_malloc(const struct qb_plugin_call *call)
{
    void *memory = NULL;

    cudaMalloc(&memory, 1 << 20);
    cudaFree(memory);
    return launch(call, 0, stream_of(call));
}

static const char *run_malloc_async(const struct qb_plugin_call *call)
{
    void *memory = NULL;
    const char *error;

    cudaMallocAsync(&memory, 1 << 20, stream_of(call));
    error = launch(call, 0, stream_of(call));
    cudaFreeAsync(memory, stream_of(call));
    return error;
}

static const char *run_waits(const struct qb_plugin_call *call)
{
    const char *error = launch(call, 0, stream_of(call));

    cudaStreamSynchronize(stream_of(call));
    return error;
}

// The error that no later call of the process gets rid of.
static const char *run_trap(const struct qb_plugin_call *call)
{
    trap<<<1, 1, 0, stream_of(call)>>>();
    return launch(call, 0, stream_of(call));
}

// A block of more threads than there can be.
static const char *run_launch(const struct qb_plugin_call *call)
{
    quantize<<<1, 4096, 0, stream_of(call)>>>(NULL, NULL, NULL, 0, 0);
    return result();
}

static struct qb_plugin_kernel kernel(const char *name, const char *(*run)(const struct qb_plugin_call *call))
{
    struct qb_plugin_kernel made = {};

    made.name = name;
    made.description = "misbehaves";
    made.backend = "cuda";
    made.supports = supports;
    made.run = run;
    return made;
}

static const struct qb_plugin_kernel kernels[] = {
    kernel("wrong_cuda_none", run_none),     kernel("wrong_cuda_unwritten", run_unwritten),
    kernel("wrong_cuda_behind", run_behind), kernel("wrong_cuda_stream", run_stream),
    kernel("wrong_cuda_malloc", run_malloc), kernel("wrong_cuda_malloc_async", run_malloc_async),
    kernel("wrong_cuda_waits", run_waits),   kernel("wrong_cuda_trap", run_trap),
    kernel("wrong_cuda_launch", run_launch), kernel("wrong_cuda_slow", run_slow),
};
QB_PLUGIN(kernels);
