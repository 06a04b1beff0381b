# SPDX-License-Identifier: Apache-2.0
# The CUDA backend: a convenience library inside libquantbench, or a module that it loads.

qb_cuda_sources = %D%/backend_cuda.c %D%/nvml.c %D%/nvml.h %D%/kernels.h %D%/device.cuh %D%/barrier.cuh %D%/onchip.cuh \
	%D%/static_scale.cu %D%/tile.cu %D%/two_pass.cu %D%/fused.cu %D%/strided.cu %D%/few.cu %D%/channel.cu \
	%D%/limits.cu %D%/compare.cu \
	%D%/narrow.cuh %D%/span.cuh %D%/spans.cu %D%/spans_fused.cu %D%/any.cuh %D%/any.cu %D%/values.cuh %D%/tail.cuh \
	%D%/chunks.cuh %D%/gated.cuh %D%/gated.cu %D%/gated_few.cu %D%/norm.cuh %D%/norm.cu %D%/norm_stream.cu \
	%D%/norm_few.cu %D%/rope.cu %D%/dequantize.cu \
	%D%/pages.cuh %D%/kv_write.cu %D%/kv_spans.cu %D%/decode.cuh %D%/kv_read.cu \
	%D%/transpose.cu %D%/experts.cuh %D%/experts.cu \
	%D%/experts_spans.cu
EXTRA_DIST += %D%/NOTES

if HAVE_CUDA
include %D%/nvcc.am
AM_CPPFLAGS += $(CUDA_CPPFLAGS)
if CUDA_PLUGIN
pkglib_LTLIBRARIES += quantbench_cuda.la
quantbench_cuda_la_SOURCES = $(qb_cuda_sources)
quantbench_cuda_la_LIBADD = $(CUDA_LIBS)
quantbench_cuda_la_LDFLAGS = -module -avoid-version -shared -no-undefined -Wl,-z,defs \
	-export-symbols-regex '^quantbench_backend$$'
else
noinst_LTLIBRARIES += libqbcuda.la
libqbcuda_la_SOURCES = $(qb_cuda_sources)
libqbcuda_la_LIBADD = $(CUDA_LIBS)
endif
endif
