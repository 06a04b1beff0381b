# SPDX-License-Identifier: Apache-2.0
# QB_CHECK_MPI: --with-mpi. Sets MPI_CFLAGS, MPI_LIBS, the conditional MPI and qb_mpi_summary.
#
# Only quantbench-mpi links MPI. It is compiled with $CC and the flags that the wrapper names: Automake has one C
# compiler.
AC_DEFUN([QB_CHECK_MPI], [
  AC_ARG_WITH([mpi],
    [AS_HELP_STRING([--with-mpi@<:@=MPICC@:>@], [build quantbench-mpi, for many devices, with the MPI of this compiler wrapper (mpicc)])],
    [], [with_mpi=no])
  MPI_CFLAGS= MPI_LIBS= qb_mpi_summary=no
  AS_IF([test "$with_mpi" != no], [
    AS_IF([test "$with_mpi" = yes], [with_mpi=mpicc])
    AC_MSG_CHECKING([for MPI with $with_mpi])
    # Open MPI names the flags; MPICH and its like show the whole command, whose first word is the compiler.
    AS_IF([MPI_CFLAGS=`$with_mpi --showme:compile 2>&AS_MESSAGE_LOG_FD` && MPI_LIBS=`$with_mpi --showme:link 2>&AS_MESSAGE_LOG_FD`],
      [],
      [MPI_CFLAGS=`$with_mpi -show 2>&AS_MESSAGE_LOG_FD | $SED 's/^@<:@^ @:>@* *//'`
       MPI_LIBS=$MPI_CFLAGS])
    qb_saved_CPPFLAGS=$CPPFLAGS qb_saved_LIBS=$LIBS
    CPPFLAGS="$CPPFLAGS $MPI_CFLAGS" LIBS="$MPI_LIBS $LIBS"
    AC_LINK_IFELSE([AC_LANG_PROGRAM([[#include <mpi.h>
        #if MPI_VERSION < 3
        #error MPI 3 or newer is required
        #endif]], [[MPI_Init(0, 0);]])],
      [AC_MSG_RESULT([yes])],
      [AC_MSG_RESULT([no])
       AC_MSG_ERROR([--with-mpi: $with_mpi, which should be the compiler wrapper of an MPI 3 library, does not work (Debian: libopenmpi-dev); see config.log])])
    CPPFLAGS=$qb_saved_CPPFLAGS LIBS=$qb_saved_LIBS
    qb_mpi_summary="yes ($with_mpi)"
  ])
  AC_SUBST([MPI_CFLAGS])
  AC_SUBST([MPI_LIBS])
  AM_CONDITIONAL([MPI], [test "$with_mpi" != no])
])
