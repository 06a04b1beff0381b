/* SPDX-License-Identifier: Apache-2.0 */
/* kernels_values_avx512.c - the routines for values, for AVX-512 F, BW, DQ, VL and VBMI. The pragmas below are those of
 * kernels_avx512.c. */
#include <config.h>

#ifdef HAVE_X86_AVX512

#ifdef __clang__
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi"))),   \
                             apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi")
#endif

#include "values.h"
#include "vector_values_avx512.h"

#define ISA avx512

#include "kernels_values.h"
#include "kernels_values_body.h"

#ifdef __clang__
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

#else
/* ISO C wants a declaration in every file. */
typedef int qb__no_values_avx512;
#endif
