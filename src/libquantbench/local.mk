# SPDX-License-Identifier: Apache-2.0
# libquantbench: the library, with one convenience library for each instruction set that needs flags of its own.

lib_LTLIBRARIES += libquantbench.la
include_HEADERS = %D%/quantbench.h
pkgconfigdir = $(libdir)/pkgconfig
nodist_pkgconfig_DATA = libquantbench.pc
cmakedir = $(libdir)/cmake/quantbench
nodist_cmake_DATA = quantbench-config.cmake quantbench-config-version.cmake

# The table of formats, for what else is made of it; a build with more formats names their file too.
FORMATS = $(srcdir)/%D%/formats.h
format_tables = $(FORMATS) %D%/formats.awk
READ_FORMATS = $(AWK) -f $(srcdir)/%D%/formats.awk
EXTRA_DIST += %D%/formats.awk

libquantbench_la_SOURCES = \
	%D%/quantbench.h %D%/internal.h %D%/backend.h %D%/formats.h %D%/problem.h %D%/expert.h %D%/operation.h %D%/facts.h \
	%D%/environment.h %D%/kernel.h %D%/workspace.h \
	%D%/status.c %D%/format.c %D%/problem.c %D%/experts.c %D%/arithmetic.c %D%/environment.c %D%/operation.c \
	%D%/operation_quantize.c %D%/operation_dequantize.c %D%/composition.h %D%/composition.c \
	%D%/operation_gated.c %D%/operation_norm.c %D%/operation_kv.c %D%/operation_rope.c %D%/operation_transpose.c %D%/reference_check.c %D%/backend.c %D%/kernel.c %D%/workspace.c %D%/plugin.c \
	%D%/cpu/vector.h %D%/cpu/vector_avx2.h %D%/cpu/vector_avx512.h %D%/cpu/vector_neon.h %D%/cpu/kernels.h \
	%D%/cpu/kernels_amax.h %D%/cpu/kernels_blocks.h %D%/cpu/kernels_body.h %D%/cpu/kernels_encode.h \
	%D%/cpu/kernels_lines.h \
	%D%/cpu/kernels_plain.h %D%/cpu/kernels_ties.h %D%/cpu/kernels_codes.h %D%/cpu/kernels_each.h \
	%D%/cpu/kernels_groups.h %D%/cpu/kernels_ranges.h %D%/cpu/kernels_run.h %D%/cpu/kernels_narrow_body.h \
	%D%/cpu/scales.h %D%/cpu/quantize.h %D%/cpu/narrow.h %D%/cpu/machine.h \
	%D%/cpu/threads.h %D%/cpu/threads.c \
	%D%/cpu/backend_cpu.c %D%/cpu/machine.c %D%/cpu/conditions.c %D%/cpu/quantize.c %D%/cpu/narrow.c \
	%D%/cpu/kernels_generic.c %D%/cpu/kernels_narrow_generic.c \
	%D%/cpu/values.h %D%/cpu/vector_values_avx2.h %D%/cpu/vector_values_avx512.h %D%/cpu/kernels_values.h \
	%D%/cpu/kernels_values_body.h %D%/cpu/kernels_values_generic.c \
	%D%/cpu/operations.h %D%/cpu/operations.c %D%/cpu/dequantize.h %D%/cpu/dequantize.c %D%/cpu/kv_write.h %D%/cpu/kv_write.c %D%/cpu/kv_read.h %D%/cpu/kv_read.c %D%/cpu/transpose.h %D%/cpu/transpose.c \
	%D%/cpu/experts.h %D%/cpu/experts.c
libquantbench_la_CPPFLAGS = $(AM_CPPFLAGS) -DPKGLIBDIR='"$(pkglibdir)"'
libquantbench_la_CFLAGS = $(AM_CFLAGS) $(OPENMP_CFLAGS) $(QB_VECTORIZE_CFLAGS)
libquantbench_la_LDFLAGS = -version-info 0:0:0 -no-undefined -Wl,-z,defs -export-symbols-regex '^qb_[^_]' \
	$(OPENMP_CFLAGS)
libquantbench_la_LIBADD = $(LIBM)

if HAVE_X86_AVX2
noinst_LTLIBRARIES += libqbavx2.la
libqbavx2_la_SOURCES = %D%/cpu/kernels_avx2.c %D%/cpu/kernels_narrow_avx2.c %D%/cpu/kernels_values_avx2.c
libqbavx2_la_CFLAGS = $(AM_CFLAGS) $(QB_VECTORIZE_CFLAGS) $(SIMD_X86_AVX2_CFLAGS)
libquantbench_la_LIBADD += libqbavx2.la
endif
if HAVE_X86_AVX512
noinst_LTLIBRARIES += libqbavx512.la
libqbavx512_la_SOURCES = %D%/cpu/kernels_avx512.c %D%/cpu/kernels_narrow_avx512.c \
	%D%/cpu/kernels_values_avx512.c %D%/cpu/kernels_values_avx512_fp16.c
libqbavx512_la_CFLAGS = $(AM_CFLAGS) $(QB_VECTORIZE_CFLAGS) $(SIMD_X86_AVX512_CFLAGS)
libquantbench_la_LIBADD += libqbavx512.la
endif
if HAVE_ARM_NEON
noinst_LTLIBRARIES += libqbneon.la
libqbneon_la_SOURCES = %D%/cpu/kernels_neon.c
libqbneon_la_CFLAGS = $(AM_CFLAGS) $(QB_VECTORIZE_CFLAGS)
libquantbench_la_LIBADD += libqbneon.la
endif
if HAVE_CUDA
if !CUDA_PLUGIN
libquantbench_la_LIBADD += libqbcuda.la
endif
endif
