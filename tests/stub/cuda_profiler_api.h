/* SPDX-License-Identifier: Apache-2.0 */
/* cuda_profiler_api.h - a stand-in for NVIDIA's header of that name; see cuda_runtime_api.h. */
#ifndef QB_STUB_CUDA_PROFILER_API_H
#define QB_STUB_CUDA_PROFILER_API_H

#include <cuda_runtime_api.h>

cudaError_t cudaProfilerStart(void);
cudaError_t cudaProfilerStop(void);

#endif
