// SPDX-License-Identifier: Apache-2.0
// plugin_cuda.cu - a plug-in with one CUDA kernel: half to FP8 (E4M3),
// one dynamic scale for each token, as vLLM's
// dynamic_per_token_scaled_fp8_quant does it: the scale is at least 1 /
// (448 * 512), and NaN becomes 448.
#include <cuda_fp16.h>
#include <cuda_fp8.h>
#include <quantbench.h>

#define THREADS 256

// One block for each row. The row is read twice, the second time from a
// cache.
__global__ void quantize_row(const __half *input, uint64_t input_stride,
                             __nv_fp8_storage_t *output,
                             uint64_t output_stride, float *scales,
                             uint64_t hidden)
{
    const __half *x = input + blockIdx.x * input_stride;
    __nv_fp8_storage_t *q = output + blockIdx.x * output_stride;
    __shared__ float part[THREADS];
    float amax = 0;

    for (uint64_t i = threadIdx.x; i < hidden; i += THREADS) {
        amax = fmaxf(amax, fabsf(__half2float(x[i])));
    }
    part[threadIdx.x] = amax;
    for (int half = THREADS / 2; half > 0; half /= 2) {
        __syncthreads();
        if (threadIdx.x < half) {
            part[threadIdx.x] =
                fmaxf(part[threadIdx.x], part[threadIdx.x + half]);
        }
    }
    __syncthreads();
    const float scale =
        fmaxf(part[0] / 448.0f, 1.0f / (448.0f * 512.0f));

    if (threadIdx.x == 0) {
        scales[blockIdx.x] = scale;
    }
    for (uint64_t i = threadIdx.x; i < hidden; i += THREADS) {
        const float v =
            fmaxf(-448.0f, fminf(__half2float(x[i]) / scale, 448.0f));

        q[i] = __nv_cvt_float_to_fp8(v, __NV_SATFINITE, __NV_E4M3);
    }
}

// What the kernel can do. Everything else is never asked of it.
static bool supports(const struct qb_problem *p)
{
    return p->input == QB_FORMAT_F16 && p->output == QB_FORMAT_E4M3 &&
           p->granularity == QB_GRANULARITY_TOKEN &&
           p->scaling == QB_SCALING_DYNAMIC && p->amax_bound == 0 &&
           p->tokens > 0 && p->tokens <= 0x7FFFFFFF;
}

// Launches into the given stream, and does not wait.
static const char *run(const struct qb_plugin_call *call)
{
    const struct qb_problem *p = call->problem;
    void *const *at = call->tensors->at;

    quantize_row<<<(unsigned)p->tokens, THREADS, 0,
                   (cudaStream_t)call->stream>>>(
        (const __half *)at[QB_ROLE_INPUT], p->input_stride,
        (__nv_fp8_storage_t *)at[QB_ROLE_CODES], p->output_stride, (float *)at[QB_ROLE_SCALES],
        p->hidden);
    const cudaError_t error = cudaGetLastError();
    return error == cudaSuccess ? NULL : cudaGetErrorString(error);
}

static struct qb_plugin_kernel describe()
{
    struct qb_plugin_kernel kernel = {};

    kernel.name = "my_fp8_token";
    kernel.description = "half to FP8, one scale per token";
    kernel.backend = "cuda";
    kernel.supports = supports;
    kernel.run = run;
    kernel.arithmetic.scale_floor = 1.0f / (448.0f * 512.0f);
    kernel.arithmetic.nan = QB_NAN_HIGHEST;
    kernel.arithmetic.infinity = QB_INFINITY_KEPT;
    return kernel;
}

static const struct qb_plugin_kernel kernels[] = {describe()};
QB_PLUGIN(kernels);
