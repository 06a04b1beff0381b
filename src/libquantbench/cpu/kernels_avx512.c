/* SPDX-License-Identifier: Apache-2.0 */
/* kernels_avx512.c - the inner routines for AVX-512 F, BW, DQ, VL and VBMI. Compile with
 * -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512vbmi -mfma -mf16c; the pragmas below keep later flags from
 * taking that back. */
#include <config.h>

#ifdef HAVE_X86_AVX512

#ifdef __clang__
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi"))),   \
                             apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi")
#endif

#include "kernels.h"
#include "values.h"
#include "vector_avx512.h"

#define ISA             avx512
#define CODES           QB__VECTOR_CODES
#define NARROW_OPS      qb__narrow_ops_avx512
#define VALUES_OPS      qb__values_ops_avx512
#define VALUES_FP16_OPS qb__values_ops_avx512_fp16
#define HAVE_CORRECT    1
#define HAVE_MULTIPLY   1
#define SATURATING      1
#define CORRECT_ANY     1

#include "kernels_blocks.h"
#include "kernels_amax.h"
#include "kernels_lines.h"
#include "kernels_ties.h"
#include "kernels_body.h"

#ifdef __clang__
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

#else
/* ISO C wants a declaration in every file. */
typedef int qb__no_avx512;
#endif
