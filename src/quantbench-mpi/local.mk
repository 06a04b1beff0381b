# SPDX-License-Identifier: Apache-2.0
# quantbench-mpi, for many devices: the one program that links MPI. It runs quantbench and links nothing of the package.

if MPI
bin_PROGRAMS += quantbench-mpi
endif
quantbench_mpi_SOURCES = \
	%D%/agent.c %D%/agent.h \
	%D%/job.c %D%/job.h \
	%D%/lead.c \
	%D%/quantbench-mpi.c \
	%D%/rank.c %D%/ranks.h
quantbench_mpi_CPPFLAGS = $(MPI_CFLAGS)
quantbench_mpi_LDADD = $(MPI_LIBS)
