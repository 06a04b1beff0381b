# SPDX-License-Identifier: Apache-2.0
# The tool: a client of quantbench.h and of nothing else in the library.

if TOOL
bin_PROGRAMS += quantbench
noinst_LIBRARIES += libqbtool.a
endif
# All but main(): the fuzz harnesses of tests/ have their own.
quantbench_SOURCES = %D%/main.c
libqbtool_a_SOURCES = \
	%D%/args.c %D%/args.h \
	%D%/options.c %D%/options.h %D%/option_help.c \
	%D%/option_values.c %D%/option_values.h %D%/option_lists.c \
	%D%/message.c %D%/message.h \
	%D%/interrupt.c %D%/interrupt.h \
	%D%/process.c %D%/process.h \
	%D%/intake.c %D%/intake.h \
	%D%/document.c %D%/document.h \
	%D%/binding.c %D%/binding.h \
	%D%/machine.c %D%/machine.h \
	%D%/models.c %D%/models.h \
	%D%/digest.c %D%/digest.h \
	%D%/tensor_file.c %D%/tensor_file.h \
	%D%/tensor_kind.c %D%/tensor_kind.h \
	%D%/input.c %D%/input.h \
	%D%/plan.c %D%/plan.h \
	%D%/sizes.h %D%/tiling.h \
	%D%/quality.c %D%/quality.h \
	%D%/oracle.c %D%/oracle.h \
	%D%/verify.c %D%/verify.h \
	%D%/disturbance.c %D%/disturbance.h \
	%D%/measure.c %D%/measure.h \
	%D%/stats.c %D%/stats.h \
	%D%/compare.c %D%/compare.h \
	%D%/ceiling.c %D%/ceiling.h \
	%D%/inputs.c %D%/inputs.h \
	%D%/buffers.c %D%/buffers.h \
	%D%/question.c %D%/question.h \
	%D%/challenge.c %D%/challenge.h \
	%D%/bench.c %D%/bench.h \
	%D%/journal.c %D%/journal.h \
	%D%/round_json.c %D%/round_json.h \
	%D%/visits.c %D%/visits.h \
	%D%/rounds.c %D%/rounds.h \
	%D%/allocations.c %D%/allocations.h \
	%D%/comparison.c %D%/comparison.h \
	%D%/paired.c %D%/paired.h \
	%D%/self_test.c %D%/self_test.h \
	%D%/runs.c %D%/runs.h \
	%D%/baseline.c %D%/baseline.h \
	%D%/doctor.c %D%/doctor.h \
	%D%/dry_run.c %D%/dry_run.h \
	%D%/isolate.c %D%/isolate.h \
	%D%/child.c %D%/child.h \
	%D%/catalog.c %D%/catalog.h \
	%D%/lister.c %D%/lister.h \
	%D%/shield.c %D%/shield.h \
	%D%/starvation.c %D%/starvation.h \
	%D%/plugins.c %D%/plugins.h \
	%D%/prove.c %D%/prove.h \
	%D%/outcome.c %D%/outcome.h \
	%D%/hard.c %D%/hard.h \
	%D%/hard_data.c %D%/hard_data.h \
	%D%/hard_grid.c %D%/hard_grid.h \
	%D%/hard_kind.c %D%/hard_kind.h \
	%D%/worker.c %D%/worker.h \
	%D%/list.c %D%/list.h \
	%D%/record.c %D%/record.h \
	%D%/record_json.c \
	%D%/verdict.c %D%/verdict.h \
	%D%/describe.c %D%/describe.h \
	%D%/output.c %D%/output.h \
	%D%/destination.c %D%/destination.h \
	%D%/report.c %D%/report.h \
	%D%/report_text.c \
	%D%/report_json.c \
	%D%/report_csv.c \
	%D%/report_markdown.c \
	%D%/report_gbench.c \
	%D%/report_junit.c \
	%D%/report_github.c
quantbench_CFLAGS = $(AM_CFLAGS) $(OPENMP_CFLAGS) $(JANSSON_CFLAGS)
quantbench_LDADD = libqbtool.a libquantbench.la $(JANSSON_LIBS)
libqbtool_a_CFLAGS = $(quantbench_CFLAGS)
