# SPDX-License-Identifier: Apache-2.0
# qb_ieee.m4 - what makes a compiler compute in IEEE arithmetic, whatever the user's CFLAGS say.

# QB_IEEE
# -------
# Set QB_IEEE_CFLAGS to the options that take back those that change results; qb_ieee.mk puts them after CFLAGS, and
# leaves out of these what cannot be taken back. (-fno-fast-math and -fno-unsafe-math-optimizations would also take back
# -fno-trapping-math.) Refuse a compiler that changes results all the same.
AC_DEFUN([QB_IEEE], [
  QB_IEEE_CFLAGS=
  qb_saved_CFLAGS=$CFLAGS
  AC_MSG_CHECKING([for the options that make $CC compute in IEEE arithmetic])
  for qb_flag in -fno-finite-math-only -fno-reciprocal-math -fno-associative-math -fsigned-zeros -fno-approx-func \
      -fno-single-precision-constant -fdenormal-fp-math=ieee -ffp-contract=off; do
    CFLAGS="-Werror $qb_flag"
    AC_COMPILE_IFELSE([AC_LANG_PROGRAM([], [])], [QB_IEEE_CFLAGS="$QB_IEEE_CFLAGS $qb_flag"])
  done
  AC_MSG_RESULT([$QB_IEEE_CFLAGS])
  AC_SUBST([QB_IEEE_CFLAGS])
  QB_IEEE_MAKE=$srcdir/m4/qb_ieee.mk
  AC_SUBST_FILE([QB_IEEE_MAKE])

  dnl What macros tell is in every file that includes config.h, since make may be called with other CFLAGS.
  AH_BOTTOM([#if (defined __FAST_MATH__ && __FAST_MATH__) || (defined __FINITE_MATH_ONLY__ && __FINITE_MATH_ONLY__) || \
    defined __RECIPROCAL_MATH__ || defined __ASSOCIATIVE_MATH__ || defined __NO_SIGNED_ZEROS__
#error "quantbench needs IEEE arithmetic: compile without -ffast-math, -Ofast and their like"
#endif
#if !defined __CUDACC__ && defined __FLT_EVAL_METHOD__ && __FLT_EVAL_METHOD__ != 0 && __FLT_EVAL_METHOD__ != 16
#error "quantbench needs float arithmetic in float: on i386 compile with -msse2 -mfpmath=sse"
#endif])
  CFLAGS=
  AC_COMPILE_IFELSE([AC_LANG_SOURCE([[
    #if defined __FAST_MATH__ || defined __RECIPROCAL_MATH__ || defined __ASSOCIATIVE_MATH__
    #error fast math
    #endif
    int x;]])], [],
    [AC_MSG_ERROR([CC="$CC" has an option such as -ffast-math, which changes codes; leave it out])])
  CFLAGS=
  for qb_flag in $qb_saved_CFLAGS; do
    AS_CASE([$qb_flag], [-Ofast], [CFLAGS="$CFLAGS -O3"],
      [-ffast-math|-funsafe-math-optimizations|-ffp-model=*], [], [CFLAGS="$CFLAGS $qb_flag"])
  done
  CFLAGS="$CFLAGS $QB_IEEE_CFLAGS"
  dnl 16: of the types of at most 16 bits, where the processor computes in these.
  AC_CACHE_CHECK([whether $CC computes float arithmetic in float], [qb_cv_float], [
    AC_COMPILE_IFELSE([AC_LANG_SOURCE([[
      #if defined __FLT_EVAL_METHOD__ && __FLT_EVAL_METHOD__ != 0 && __FLT_EVAL_METHOD__ != 16
      #error excess precision
      #endif
      int x;]])], [qb_cv_float=yes], [qb_cv_float=no])])
  AS_IF([test "$qb_cv_float" = no],
    [AC_MSG_ERROR([the compiler computes float arithmetic in more than float, which changes codes; on i386 CFLAGS="-O2 -msse2 -mfpmath=sse" are needed])])
  dnl Where programs can be run, their results count. LDFLAGS may have set an environment that the library sets back.
  AC_CACHE_CHECK([whether $CC computes in IEEE arithmetic], [qb_cv_ieee], [
    qb_saved_LIBS=$LIBS
    LIBS="-lm $LIBS"
    AC_RUN_IFELSE([AC_LANG_SOURCE([[
      #include <fenv.h>
      volatile float third = 0x1.555556p-2f, three = 3, tiny = 0x1p-126f, big = 0x1p100f, x = 0x1.a641b4p+1f,
                     s = 0x1.7756d8p-1f;
      static float contracted(float a, float b, float c) { return a * b + c; }
      static float associated(float a, float b) { return (a + b) - b; }
      static float divided(float a, float b) { return a / b; }
      static int is_nan(float a) { return a != a; }
      int main(void)
      {
          volatile float nan, half, zero = 0;

          fesetenv(FE_DFL_ENV);
          nan = zero / zero;
          half = tiny / 2;
          return contracted(third, three, -1) != 0 || associated(1, big) != 0 || !is_nan(nan) || half == 0 ||
                 half * 2 != tiny || divided(x, s) != 4.5f;
      }]])], [qb_cv_ieee=yes], [qb_cv_ieee=no], [qb_cv_ieee="unknown (cross-compiling)"])
    LIBS=$qb_saved_LIBS])
  AS_IF([test "$qb_cv_ieee" = no],
    [AC_MSG_ERROR([with CFLAGS="$qb_saved_CFLAGS" the compiler does not compute in IEEE arithmetic, which changes codes; choose CFLAGS without options such as -ffast-math])])
  CFLAGS=$qb_saved_CFLAGS
])
