/* SPDX-License-Identifier: Apache-2.0 */
/* kernels_narrow_avx2.c - the routines for what is not plain, for AVX2, FMA and F16C. Compile with -mavx2 -mfma -mf16c;
 * the pragmas below keep later flags from taking that back. */
#include <config.h>

#ifdef HAVE_X86_AVX2

#ifdef __clang__
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma,f16c")
#endif

#include "kernels.h"
#include "vector_avx2.h"

#define ISA             avx2
#define EACH_CODES(ROW) QB__BYTE_FORMATS(ROW) QB__NARROW_FORMATS(ROW)
#define TILE_CODES      QB__TILE_CODES
#define SHORT_CODES     QB__SHORT_CODES
#define HAVE_CORRECT    1
#define HAVE_MULTIPLY   1
#define CORRECT_ANY     1

#include "kernels_blocks.h"
#include "kernels_amax.h"
#include "kernels_encode.h"
#include "kernels_each.h"
#include "kernels_groups.h"
#include "kernels_ranges.h"
#include "kernels_narrow_body.h"

#ifdef __clang__
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

#else
/* ISO C wants a declaration in every file. */
typedef int qb__no_narrow_avx2;
#endif
