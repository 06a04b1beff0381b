# SPDX-License-Identifier: Apache-2.0
# QB_CHECK_SIMD: which of the instruction sets that have a kernel file of their own the compiler can build. The
# machine that builds is never asked what it can run: the library asks the machine that runs it.

# QB_SIMD(NAME, FLAGS, PROGRAM BODY, CONDITIONAL, HEADER): sets SIMD_..._CFLAGS and HAVE_CONDITIONAL.
AC_DEFUN([QB_SIMD], [
  AC_CACHE_CHECK([whether $CC builds $1 kernels], [qb_cv_simd_$1], [
    qb_saved_CFLAGS=$CFLAGS
    CFLAGS="$CFLAGS $2"
    AC_COMPILE_IFELSE([AC_LANG_PROGRAM([[#include <$5>]], [[$3]])],
      [qb_cv_simd_$1=yes], [qb_cv_simd_$1=no])
    CFLAGS=$qb_saved_CFLAGS
  ])
  AS_IF([test "$qb_cv_simd_$1" = yes], [
    AC_DEFINE([HAVE_$4], [1], [Define to 1 if the compiler builds $1 kernels.])
    qb_simd="$qb_simd $1"
  ])
  AC_SUBST([SIMD_$4_CFLAGS], ["$2"])
  AM_CONDITIONAL([HAVE_$4], [test "$qb_cv_simd_$1" = yes])
])

AC_DEFUN([QB_CHECK_SIMD], [
  qb_simd=
  QB_SIMD([avx2], [-mavx2 -mfma -mf16c],
    [__m256 x = _mm256_cvtph_ps(_mm_setzero_si128()); (void)_mm256_fmadd_ps(x, x, x);
     return _mm256_movemask_epi8(_mm256_max_epu16(_mm256_setzero_si256(), _mm256_setzero_si256()));], [X86_AVX2], [immintrin.h])
  QB_SIMD([avx512], [-mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512vbmi -mfma -mf16c],
    [__m512i x = _mm512_permutexvar_epi8(_mm512_setzero_si512(), _mm512_setzero_si512());
     return (int)_mm512_movepi8_mask(x);], [X86_AVX512], [immintrin.h])
  QB_SIMD([neon], [],
    [#if !defined __aarch64__ || defined __AARCH64EB__
     #error not a 64-bit ARM, or not little-endian
     #endif
     return (int)vaddvq_f32(vfmaq_f32(vdupq_n_f32(1), vcvt_f32_f16(vreinterpret_f16_u16(vdup_n_u16(2))), vdupq_n_f32(3)));], [ARM_NEON],
    [arm_neon.h])
])
