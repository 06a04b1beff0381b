# SPDX-License-Identifier: Apache-2.0
# QB_CHECK_CUDA: --with-cuda, --with-cuda-arch, --with-cudart and --enable-cuda-plugin. Sets NVCC, CUDA_GENCODE,
# CUDA_CPPFLAGS, CUDA_LIBS, the conditionals HAVE_CUDA and CUDA_PLUGIN, and qb_cuda_summary.
#
# nvcc's unknown options go to the host compiler (nvcc 10.2 and newer), so that Libtool's -fPIC reaches it; with that,
# nvcc works under Libtool without a wrapper.

# QB_CUDA_GENCODE(LIST): sets CUDA_GENCODE for all-major, native, or a list such as 75,90a. The PTX of the last plain
# entry goes in too, for devices newer than the list; the PTX of an architecture-specific entry (90a) would run
# nowhere else.
AC_DEFUN([QB_CUDA_GENCODE], [
  AS_CASE([$1],
    [all-major|all|native], [CUDA_GENCODE="-arch=$1"],
    [
      CUDA_GENCODE=
      qb_ptx=
      for qb_arch in `echo "$1" | tr ',' ' '`; do
        CUDA_GENCODE="$CUDA_GENCODE -gencode=arch=compute_$qb_arch,code=sm_$qb_arch"
        AS_CASE([$qb_arch], [*[[af]]], [], [qb_ptx=$qb_arch])
      done
      AS_IF([test -n "$qb_ptx"], [CUDA_GENCODE="$CUDA_GENCODE -gencode=arch=compute_$qb_ptx,code=compute_$qb_ptx"])
    ])
])

# QB_CUDA_TRY: sets qb_cuda_problem to what is missing, or to nothing.
AC_DEFUN([QB_CUDA_TRY], [
  qb_cuda_problem=
  AS_IF([test "$with_cuda" = yes || test "$with_cuda" = check],
    [qb_cuda_path="$PATH$PATH_SEPARATOR/usr/local/cuda/bin"], [qb_cuda_path="$with_cuda/bin"])
  AC_PATH_PROG([NVCC], [nvcc], [], [$qb_cuda_path])
  AS_IF([test -z "$NVCC"], [qb_cuda_problem="no nvcc in $qb_cuda_path"], [
    # /usr/local/cuda is a link and a distribution's nvcc is in /usr/bin, so nvcc itself is asked for its toolkit.
    qb_cuda_top=`"$NVCC" --dryrun -c -x cu /dev/null 2>&1 | $SED -n 's/^#\\$ *TOP=//p'`
    CUDA_CPPFLAGS="-isystem $qb_cuda_top/include"
    AS_IF([test "$with_cudart" = static],
      [CUDA_LIBS="-lcudart_static -lrt -lpthread -ldl -lstdc++"], [CUDA_LIBS="-lcudart -lstdc++"])
    for qb_dir in "$qb_cuda_top/lib64" "$qb_cuda_top/lib" "$qb_cuda_top/targets/$host_cpu-linux/lib"; do
      AS_IF([test -d "$qb_dir"], [CUDA_LIBS="-L$qb_dir $CUDA_LIBS"; break])
    done

    AC_MSG_CHECKING([whether $NVCC compiles for $with_cuda_arch])
    cat >conftest.cu <<_ACEOF
#include <cuda_runtime.h>
#include <cuda_fp8.h>
#if CUDART_VERSION < 11080
#error CUDA 11.8 or newer is needed
#endif
__global__ void probe(float *x) { *x = 1; }
extern "C" int launch(float *x) { probe<<<1, 1>>>(x); return (int)cudaGetLastError(); }
_ACEOF
    AS_IF(["$NVCC" --forward-unknown-to-host-compiler -fPIC -std=c++17 $CUDA_GENCODE $NVCCFLAGS -c -o conftest.$ac_objext conftest.cu >&AS_MESSAGE_LOG_FD 2>&1],
      [AC_MSG_RESULT([yes])],
      [AC_MSG_RESULT([no])
       qb_cuda_problem="$NVCC cannot compile for $with_cuda_arch, or is older than CUDA 11.8 (see config.log)"])
    rm -f conftest.cu conftest.$ac_objext
  ])
  AS_IF([test -z "$qb_cuda_problem"], [
    qb_saved_CPPFLAGS=$CPPFLAGS
    qb_saved_LIBS=$LIBS
    CPPFLAGS="$CPPFLAGS $CUDA_CPPFLAGS"
    LIBS="$CUDA_LIBS $LIBS"
    AC_MSG_CHECKING([for cudaGetDeviceCount in the $with_cudart CUDA run-time library])
    AC_LINK_IFELSE([AC_LANG_PROGRAM([[#include <cuda_runtime_api.h>]],
        [[int count; return cudaGetDeviceCount(&count) != cudaSuccess;]])],
      [AC_MSG_RESULT([yes])],
      [AC_MSG_RESULT([no])
       qb_cuda_problem="no $with_cudart CUDA run-time library beside $NVCC"])
    CPPFLAGS=$qb_saved_CPPFLAGS
    LIBS=$qb_saved_LIBS
  ])
])

AC_DEFUN([QB_CHECK_CUDA], [
  AC_ARG_VAR([NVCCFLAGS], [CUDA compiler flags (host flags are passed on to the host compiler)])
  AS_IF([test -z "$NVCCFLAGS"], [NVCCFLAGS="-O2"])
  AC_ARG_WITH([cuda],
    [AS_HELP_STRING([--with-cuda@<:@=DIR|check|no@:>@],
      [build the CUDA backend, with the toolkit in DIR; check (default): if nvcc is found])],
    [AS_IF([test "$withval" = ""], [with_cuda=yes])], [with_cuda=check])
  AC_ARG_WITH([cuda-arch],
    [AS_HELP_STRING([--with-cuda-arch=LIST|all-major|native],
      [compute capabilities to compile for, such as 80,90; default: all-major])],
    [with_cuda_arch_given=yes], [with_cuda_arch=all-major])
  AC_ARG_WITH([cudart],
    [AS_HELP_STRING([--with-cudart=static|shared], [CUDA run-time library to link; default: static])],
    [], [with_cudart=static])
  AC_ARG_ENABLE([cuda-plugin],
    [AS_HELP_STRING([--enable-cuda-plugin], [build the CUDA backend as a module that is loaded at run time])],
    [], [enable_cuda_plugin=no])

  AS_CASE([$with_cudart], [static|shared], [],
    [AC_MSG_ERROR([--with-cudart=$with_cudart: static or shared is accepted])])
  AS_CASE([$with_cuda_arch],
    [all-major|all|native], [],
    [*[[!0-9af,]]*|''|,*|*,|*,,*|yes|no],
      [AC_MSG_ERROR([--with-cuda-arch=$with_cuda_arch: all-major, all, native or a list such as 75,80,90a is accepted])])

  have_cuda=no
  qb_cuda_summary="no (--without-cuda)"
  AS_IF([test "$with_cuda" != no], [
    QB_CUDA_GENCODE([$with_cuda_arch])
    QB_CUDA_TRY
    AS_IF([test -z "$qb_cuda_problem"], [
      have_cuda=yes
      qb_cuda_summary="yes ($NVCC, $with_cuda_arch, $with_cudart run-time library)"
    ], [test "$with_cuda" != check || test -n "$with_cuda_arch_given"], [
      AC_MSG_ERROR([--with-cuda=$with_cuda, --with-cuda-arch=$with_cuda_arch: $qb_cuda_problem])
    ], [
      qb_cuda_summary="no ($qb_cuda_problem)"
      AS_IF([test -n "$NVCC"], [AC_MSG_WARN([building without CUDA: $qb_cuda_problem])])
    ])
  ])
  AS_IF([test "$enable_cuda_plugin" = yes], [
    AS_IF([test "$have_cuda" = no], [AC_MSG_ERROR([--enable-cuda-plugin: the CUDA backend cannot be built: $qb_cuda_summary])])
    AS_IF([test "$enable_shared" = no], [AC_MSG_ERROR([--enable-cuda-plugin: a module cannot be built with --disable-shared])])
    AC_DEFINE([QB__CUDA_PLUGIN], [1], [Define to 1 if the CUDA backend is a module.])
    qb_cuda_summary="$qb_cuda_summary, as a module"
  ])
  AS_IF([test "$have_cuda" = yes], [
    AC_DEFINE([HAVE_CUDA], [1], [Define to 1 if the CUDA backend is built.])
    AS_IF([test "$enable_cuda_plugin" = no], [LIBS_CUDA_BUILTIN=$CUDA_LIBS])
  ])
  AC_SUBST([LIBS_CUDA_BUILTIN])
  AC_SUBST([CUDA_GENCODE])
  AC_SUBST([CUDA_CPPFLAGS])
  AC_SUBST([CUDA_LIBS])
  AM_CONDITIONAL([HAVE_CUDA], [test "$have_cuda" = yes])
  AM_CONDITIONAL([CUDA_PLUGIN], [test "$enable_cuda_plugin" = yes])
])
