/* SPDX-License-Identifier: Apache-2.0 */
/* kernels_values_avx2.c - the routines for values, for AVX2, FMA and F16C. The pragmas below are those of
 * kernels_avx2.c. */
#include <config.h>

#ifdef HAVE_X86_AVX2

#ifdef __clang__
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma,f16c")
#endif

#include "values.h"
#include "vector_values_avx2.h"

#define ISA avx2

#include "kernels_values.h"
#include "kernels_values_body.h"

#ifdef __clang__
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

#else
/* ISO C wants a declaration in every file. */
typedef int qb__no_values_avx2;
#endif
