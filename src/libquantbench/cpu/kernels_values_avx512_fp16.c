/* SPDX-License-Identifier: Apache-2.0 */
/* kernels_values_avx512_fp16.c - the routines for values in half, for AVX-512 with FP16. The pragmas below need no flag
 * of gcc; clang declares the intrinsics only where its flags have FP16. */
#include <config.h>

#include "values.h"

#if defined HAVE_X86_AVX512 && defined __has_include
#if __has_include(<avx512fp16intrin.h>) && (!defined __clang__ || defined __AVX512FP16__)
#define HAVE_HALF_PRODUCTS 1
#endif
#endif

#ifdef HAVE_HALF_PRODUCTS

#ifndef __clang__
#pragma GCC push_options
#pragma GCC target("avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi,avx512fp16")
#endif

#include "vector_values_avx512.h"

#include "kernels_values.h"

static void gated_f16_avx512_fp16(const struct qb__gated *row)
{
    gated_any(row, QB_FORMAT_F16);
}

static void norm_f16_avx512_fp16(const struct qb__norm *row)
{
    norm_any(row, QB_FORMAT_F16);
}

const struct qb__values_ops qb__values_ops_avx512_fp16 = {
    .gated = {[QB_FORMAT_F16] = gated_f16_avx512_fp16},
    .norm = {[QB_FORMAT_F16] = norm_f16_avx512_fp16},
};

#ifndef __clang__
#pragma GCC pop_options
#endif

#else

const struct qb__values_ops qb__values_ops_avx512_fp16 = {.gated = {NULL}};

#endif
