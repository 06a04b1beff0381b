# SPDX-License-Identifier: Apache-2.0
# QB_CHECK_CUDA: --with-cuda, --with-cuda-arch, --with-cudart and --enable-cuda-plugin. Sets NVCC, CUDA_GENCODE,
# CUDA_CPPFLAGS, CUDA_LIBS, the conditionals HAVE_CUDA and CUDA_PLUGIN, and qb_cuda_summary.
#
# nvcc's unknown options go to the host compiler (nvcc 10.2 and newer), so that Libtool's -fPIC reaches it; with that,
# nvcc works under Libtool without a wrapper.

# QB_CUDA_COMPILE(FLAGS, IF-YES, IF-NO): compile conftest.cu. What nvcc says is in config.log, and in conftest.err.
AC_DEFUN([QB_CUDA_COMPILE], [
  AS_IF(["$NVCC" --forward-unknown-to-host-compiler -fPIC -std=c++17 $1 $NVCCFLAGS -c -o conftest.$ac_objext conftest.cu >conftest.err 2>&1],
    [cat conftest.err >&AS_MESSAGE_LOG_FD
     $2],
    [cat conftest.err >&AS_MESSAGE_LOG_FD
     $3])
])

# QB_CUDA_SAID: the first error of the last QB_CUDA_COMPILE, in nvcc's words.
m4_define([QB_CUDA_SAID],
  [`grep -iE 'error|fatal|no such file' conftest.err | $SED 's/^.*\(error\|fatal\) *: *//; 1q'` (see config.log)])

# QB_CUDA_PROBE: write conftest.cu; with QB_KERNELS defined it holds the instructions of cuda/ that no #if keeps from
# older GPUs. cvt.pack requires sm_72, the relaxed loads and stores sm_70.
AC_DEFUN([QB_CUDA_PROBE], [
  cat >conftest.cu <<_ACEOF
#if CUDART_VERSION < 11080
#error CUDA 11.8 or newer is required
#endif
__global__ void probe(unsigned *x)
{
    unsigned word = *x;
#ifdef QB_KERNELS
    asm volatile("ld.relaxed.gpu.global.u32 %0, @<:@%1@:>@;" : "=r"(word) : "l"(x) : "memory");
    asm("cvt.pack.sat.s8.s32.b32 %0, %1, %1, %1;" : "=r"(word) : "r"(word));
    asm volatile("st.relaxed.gpu.global.u32 @<:@%0@:>@, %1;" : : "l"(x), "r"(word) : "memory");
#endif
    *x = word;
}
extern "C" int launch(unsigned *x) { probe<<<1, 1>>>(x); return (int)cudaGetLastError(); }
_ACEOF
])

# QB_CUDA_DRYRUN: set qb_cuda_top to the toolkit's folder, empty if its files are where the compiler looks by itself,
# qb_cuda_target to the folder in it for this target, and qb_cuda_native to the compute capability of CUDA_GENCODE.
# /usr/local/cuda is a link and a distribution's nvcc is in /usr/bin, so nvcc is asked; without its host compiler, which
# NVCCFLAGS may name, it does not answer.
AC_DEFUN([QB_CUDA_DRYRUN], [
  "$NVCC" --dryrun $CUDA_GENCODE $NVCCFLAGS -c -x cu /dev/null >conftest.err 2>&1
  cat conftest.err >&AS_MESSAGE_LOG_FD
  qb_cuda_top=`$SED -n 's/^#\\$ *TOP=//p' conftest.err`
  qb_cuda_target=`$SED -n 's/^#\\$ *_TARGET_DIR_=//p' conftest.err | $SED -n '$p'`
  qb_cuda_native=`$SED -n 's/.*-D__CUDA_ARCH_LIST__=\(@<:@0-9@:>@*\)0 .*/\1/p' conftest.err | $SED -n '1p'`
])

# QB_CUDA_ARCHITECTURES: set qb_cuda_archs to the compute capabilities that --with-cuda-arch means, separated by spaces,
# and CUDA_GENCODE. "all" are those that nvcc knows, from 75 on, and "all-major" the first of each generation. The PTX of
# the last plain entry goes in too, for devices newer than the list; the PTX of an architecture-specific entry (90a)
# would run nowhere else.
AC_DEFUN([QB_CUDA_ARCHITECTURES], [
  qb_cuda_archs=
  AS_CASE([$with_cuda_arch],
    [native], [CUDA_GENCODE=-arch=native],
    [all|all-major], [
      for qb_arch in `"$NVCC" --list-gpu-arch 2>&AS_MESSAGE_LOG_FD | $SED -n 's/^compute_\(@<:@0-9@:>@*\)$/\1/p' | sort -n`; do
        AS_IF([test $qb_arch -ge 75], [
          AS_CASE([$with_cuda_arch:$qb_arch], [all:*|*:75|*0], [qb_cuda_archs="$qb_cuda_archs $qb_arch"])
        ])
      done
    ],
    [qb_cuda_archs=`echo "$with_cuda_arch" | tr ',' ' '`])
  AS_IF([test "$with_cuda_arch" != native], [
    CUDA_GENCODE=
    qb_ptx=
    for qb_arch in $qb_cuda_archs; do
      CUDA_GENCODE="$CUDA_GENCODE -gencode=arch=compute_$qb_arch,code=sm_$qb_arch"
      AS_CASE([$qb_arch], [*[[af]]], [], [qb_ptx=$qb_arch])
    done
    AS_IF([test -n "$qb_ptx"], [CUDA_GENCODE="$CUDA_GENCODE -gencode=arch=compute_$qb_ptx,code=compute_$qb_ptx"])
  ])
])

# QB_CUDA_CHECK_ARCHITECTURES: set qb_cuda_problem to those of qb_cuda_archs that the kernels cannot be compiled for.
AC_DEFUN([QB_CUDA_CHECK_ARCHITECTURES], [
  AC_MSG_CHECKING([whether $NVCC compiles kernels for $with_cuda_arch])
  QB_CUDA_COMPILE([-DQB_KERNELS $CUDA_GENCODE], [AC_MSG_RESULT([yes])], [
    AC_MSG_RESULT([no])
    qb_cuda_problem="$NVCC cannot compile for $with_cuda_arch: QB_CUDA_SAID"
    qb_cuda_lacking=
    qb_cuda_unknown=
    for qb_arch in ${qb_cuda_archs:-$qb_cuda_native}; do
      qb_flags="-gencode=arch=compute_$qb_arch,code=sm_$qb_arch"
      QB_CUDA_COMPILE([-DQB_KERNELS $qb_flags], [],
        [QB_CUDA_COMPILE([$qb_flags], [qb_cuda_lacking="$qb_cuda_lacking sm_$qb_arch"],
          [qb_cuda_unknown="$qb_cuda_unknown sm_$qb_arch"])])
    done
    AS_IF([test -n "$qb_cuda_unknown"], [qb_cuda_problem="$NVCC cannot compile for$qb_cuda_unknown (see config.log)"],
      [test -n "$qb_cuda_lacking"],
      [qb_cuda_problem="the kernels use instructions that$qb_cuda_lacking lacks; 75 and newer have them"])
  ])
])

# QB_CUDA_LINK(WHAT, LIBRARIES, PROLOGUE, BODY, PROBLEM): whether a C program links with LIBRARIES; else set
# qb_cuda_problem.
AC_DEFUN([QB_CUDA_LINK], [
  AS_IF([test -z "$qb_cuda_problem"], [
    qb_saved_CPPFLAGS=$CPPFLAGS
    qb_saved_LIBS=$LIBS
    CPPFLAGS="$CPPFLAGS $CUDA_CPPFLAGS"
    LIBS="$2 $LIBS"
    AC_MSG_CHECKING([for $1])
    AC_LINK_IFELSE([AC_LANG_PROGRAM([$3], [$4])], [AC_MSG_RESULT([yes])],
      [AC_MSG_RESULT([no])
       qb_cuda_problem="$5"])
    CPPFLAGS=$qb_saved_CPPFLAGS
    LIBS=$qb_saved_LIBS
  ])
])

# QB_CUDA_TRY: set qb_cuda_problem to the first thing that is missing, or to nothing.
AC_DEFUN([QB_CUDA_TRY], [
  qb_cuda_problem=
  AS_IF([test "$with_cuda" = yes || test "$with_cuda" = check],
    [qb_cuda_path="$PATH$PATH_SEPARATOR/usr/local/cuda/bin"], [qb_cuda_path="$with_cuda/bin"])
  AC_PATH_PROG([NVCC], [nvcc], [], [$qb_cuda_path])
  AS_IF([test -z "$NVCC"], [qb_cuda_problem="no nvcc in $qb_cuda_path"], [
    QB_CUDA_PROBE
    AC_MSG_CHECKING([whether $NVCC is CUDA 11.8 or newer, and compiles])
    QB_CUDA_COMPILE([], [AC_MSG_RESULT([yes])],
      [AC_MSG_RESULT([no])
       qb_cuda_problem="$NVCC: QB_CUDA_SAID"])
  ])
  AS_IF([test -z "$qb_cuda_problem"], [
    QB_CUDA_ARCHITECTURES
    QB_CUDA_DRYRUN
    QB_CUDA_CHECK_ARCHITECTURES
  ])
  rm -f conftest.cu conftest.err conftest.$ac_objext
  AS_IF([test -z "$qb_cuda_problem"], [
    AS_IF([test "$with_cudart" = static],
      [CUDA_LIBS="-lcudart_static -lrt -lpthread -ldl -lstdc++"], [CUDA_LIBS="-lcudart -lstdc++"])
    CUDA_CPPFLAGS=
    AS_IF([test -n "$qb_cuda_top"], [
      CUDA_CPPFLAGS="-isystem $qb_cuda_top/include"
      for qb_dir in "$qb_cuda_top/lib64" "$qb_cuda_top/lib" "$qb_cuda_top/$qb_cuda_target/lib"; do
        AS_IF([test -d "$qb_dir"], [CUDA_LIBS="-L$qb_dir $CUDA_LIBS"; break])
      done
    ])
  ])
  QB_CUDA_LINK([the C++ run-time library], [-lstdc++], [], [],
    [$CC finds no C++ run-time library, -lstdc++ (Debian: g++)])
  QB_CUDA_LINK([cudaGetDeviceCount in the $with_cudart CUDA run-time library], [$CUDA_LIBS],
    [[#include <cuda_runtime_api.h>]], [[int count; return cudaGetDeviceCount(&count) != cudaSuccess;]],
    [$CC does not link with the $with_cudart CUDA run-time library of $NVCC (see config.log)])
])

AC_DEFUN([QB_CHECK_CUDA], [
  AC_ARG_VAR([NVCCFLAGS], [CUDA compiler flags (host flags are passed on to the host compiler)])
  AS_IF([test -z "$NVCCFLAGS"], [NVCCFLAGS="-O2"])
  AC_ARG_WITH([cuda],
    [AS_HELP_STRING([--with-cuda@<:@=DIR|check|no@:>@],
      [build the CUDA backend, with the toolkit in DIR; check (default): if nvcc is found])],
    [AS_IF([test "$withval" = ""], [with_cuda=yes])], [with_cuda=check])
  AC_ARG_WITH([cuda-arch],
    [AS_HELP_STRING([--with-cuda-arch=LIST|all|all-major|native],
      [compute capabilities to compile for, such as 80,90; default: all that nvcc knows, from 75 on])],
    [with_cuda_arch_given=yes], [with_cuda_arch=all])
  AC_ARG_WITH([cudart],
    [AS_HELP_STRING([--with-cudart=static|shared], [CUDA run-time library to link; default: static])],
    [], [with_cudart=static])
  AC_ARG_ENABLE([cuda-plugin],
    [AS_HELP_STRING([--enable-cuda-plugin], [build the CUDA backend as a module that is loaded at run time])],
    [], [enable_cuda_plugin=no])

  AS_CASE([$with_cudart], [static|shared], [],
    [AC_MSG_ERROR([--with-cudart=$with_cudart: expected static or shared])])
  AS_CASE([$with_cuda_arch],
    [all-major|all|native], [],
    [*[[!0-9af,]]*|''|,*|*,|*,,*|yes|no],
      [AC_MSG_ERROR([--with-cuda-arch=$with_cuda_arch: expected all, all-major, native or a list such as 75,80,90a])])

  have_cuda=no
  qb_cuda_summary="no (--without-cuda)"
  AS_IF([test "$with_cuda" != no], [
    QB_CUDA_TRY
    AS_IF([test -z "$qb_cuda_problem"], [
      have_cuda=yes
      qb_cuda_summary="yes ($NVCC,${qb_cuda_archs:- $with_cuda_arch}, $with_cudart run-time library)"
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
