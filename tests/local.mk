# SPDX-License-Identifier: Apache-2.0
# make check: C suites with libcheck, shell suites for the tool; each test is a line of TAP.

TEST_EXTENSIONS = .test .sh
TEST_LOG_DRIVER = env AM_TAP_AWK='$(AWK)' $(SHELL) $(top_srcdir)/build-aux/tap-driver.sh
SH_LOG_DRIVER = env AM_TAP_AWK='$(AWK)' $(SHELL) $(top_srcdir)/build-aux/tap-driver.sh
SH_LOG_COMPILER = $(SHELL)
AM_TESTS_ENVIRONMENT = srcdir='$(srcdir)'; builddir='$(builddir)'; export srcdir builddir; \
	QUANTBENCH='$(abs_top_builddir)/quantbench'; export QUANTBENCH; \
	QUANTBENCH_MODULE_DIR='$(abs_top_builddir)/.libs'; export QUANTBENCH_MODULE_DIR; \
	OMP_PROC_BIND=false; export OMP_PROC_BIND; \
	CC='$(CC)'; export CC; NVCC='$(NVCC)'; export NVCC;

# Those that take longest come first: they would keep one processor busy at the end of a parallel run. The quick ones
# take less than two seconds of a processor, and are a part of "make check-quick".
quick_c_tests =
if HAVE_CHECK
c_tests = check_cpu.test check_cpu_narrow.test check_cpu_operations.test check_cpu_experts.test check_compare.test check_precision.test check_quality.test check_environment.test
quick_c_tests += check_stats.test check_format.test check_problem.test check_narrow.test check_cvt.test check_peers.test check_pitfalls.test check_disturbance.test check_conditions.test \
	check_message.test check_threads.test
quick_c_tests += check_values.test check_rope.test check_operations.test check_dequantize.test check_kv_write.test check_transpose.test check_experts.test
if TOOL
c_tests += check_challenge.test check_accuracy.test check_calibration.test
quick_c_tests += check_hard.test check_options.test check_outcome.test check_rounds.test check_starvation.test \
	check_tensor_file.test check_quantized_file.test check_verdict.test check_fleet.test check_figures.test \
	check_program.test check_picture.test check_describe.test check_summary.test check_spending.test \
	check_rating.test check_census.test check_record.test check_measure.test check_stock.test
endif
c_tests += $(quick_c_tests) check_cuda.test check_cuda_narrow.test check_cuda_operations.test check_cuda_experts.test
check_PROGRAMS += $(c_tests)
TESTS += $(c_tests)
endif

# Each runs over its corpus and mutations of that; "make fuzz" builds the same harnesses with libFuzzer.
fuzz_harnesses = args fleet journal outcome record tensor
fuzz_tests = fuzz_args.test fuzz_cases.test fuzz_fleet.test fuzz_journal.test fuzz_outcome.test fuzz_record.test fuzz_tensor.test
if TOOL
check_PROGRAMS += $(fuzz_tests)
TESTS += $(fuzz_tests)
endif

# One test to a line, so that additions do not meet. The first need no tool.
library_shell_tests = \
	%D%/cmake.sh \
	%D%/configure.sh \
	%D%/examples.sh \
	%D%/flags.sh \
	%D%/harness.sh \
	%D%/library_manual.sh \
	%D%/source.sh
tool_shell_tests = \
	%D%/against.sh \
	%D%/calibrate.sh \
	%D%/cheats.sh \
	%D%/cli.sh \
	%D%/compare.sh \
	%D%/completion.sh \
	%D%/doctor.sh \
	%D%/environment.sh \
	%D%/failures.sh \
	%D%/fleet.sh \
	%D%/fleet_plot.sh \
	%D%/soak.sh \
	%D%/foreign.sh \
	%D%/formats.sh \
	%D%/hard.sh \
	%D%/journal.sh \
	%D%/manual.sh \
	%D%/measure.sh \
	%D%/mpi.sh \
	%D%/mpi_hosts.sh \
	%D%/memory.sh \
	%D%/merge.sh \
	%D%/models.sh \
	%D%/case_list.sh \
	%D%/module.sh \
	%D%/narrow.sh \
	%D%/overwrite.sh \
	%D%/operations.sh \
	%D%/experts.sh \
	%D%/kv_write.sh \
	%D%/plot.sh \
	%D%/python.sh \
	%D%/transpose.sh \
	%D%/plugin.sh \
	%D%/quoted.sh \
	%D%/recipes.sh \
	%D%/report.sh \
	%D%/threads.sh \
	%D%/wrong_operations.sh
shell_tests = $(library_shell_tests) $(tool_shell_tests)
TESTS += $(library_shell_tests)
if TOOL
TESTS += $(tool_shell_tests)
endif

# "make check-quick": a change is tried in seconds. A script for each area goes with the unit tests: the sources, the
# library's manual, completion, examples, reports, and the tool on a device.
quick_tests = $(quick_c_tests) \
	%D%/examples.sh \
	%D%/library_manual.sh \
	%D%/source.sh
if TOOL
quick_tests += \
	%D%/completion.sh \
	%D%/module.sh \
	%D%/quoted.sh
endif
.PHONY: check-quick
check-quick:
	$(MAKE) $(AM_MAKEFLAGS) check TESTS='$(quick_tests)'
# One to a line, so that additions do not meet.
EXTRA_DIST += %D%/fake_tool.sh %D%/mpi_jobs.sh
EXTRA_DIST += %D%/perf/cpu.sh
EXTRA_DIST += %D%/perf/h200.sh %D%/perf/h200_ratios.sh
EXTRA_DIST += %D%/perf/loops.sh
EXTRA_DIST += %D%/plugins/careless.c
EXTRA_DIST += %D%/plugins/cheat.c
EXTRA_DIST += %D%/plugins/effects.c
EXTRA_DIST += %D%/plugins/environment.c
EXTRA_DIST += %D%/plugins/forger.c
EXTRA_DIST += %D%/plugins/fp8.h
EXTRA_DIST += %D%/plugins/rows.h
EXTRA_DIST += %D%/plugins/narrow.c
EXTRA_DIST += %D%/plugins/operations.c
EXTRA_DIST += %D%/plugins/peers.c
EXTRA_DIST += %D%/plugins/wrong.c
EXTRA_DIST += %D%/plugins/wrong_cuda.cu
EXTRA_DIST += %D%/plugins/wrong_operations.c
EXTRA_DIST += %D%/plugins/wrong_experts.c
EXTRA_DIST += %D%/release/builds.sh
EXTRA_DIST += %D%/release/check.sh
EXTRA_DIST += %D%/release/cleanroot.sh
EXTRA_DIST += %D%/release/cuda11.sh
EXTRA_DIST += %D%/release/inside.sh
EXTRA_DIST += %D%/release/installed.sh
EXTRA_DIST += %D%/release/packages.sh
EXTRA_DIST += %D%/device.h
EXTRA_DIST += %D%/run.h
EXTRA_DIST += %D%/cpu_machine.h
EXTRA_DIST += %D%/tensors.h
EXTRA_DIST += %D%/tensor_info.h
EXTRA_DIST += %D%/safetensors.sh
EXTRA_DIST += %D%/fleet_records.sh
EXTRA_DIST += %D%/tap.sh
EXTRA_DIST += $(shell_tests)

TEST_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS) -Wno-float-equal
check_format_test_SOURCES = %D%/check_format.c
check_format_test_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/src/quantbench
check_format_test_CFLAGS = $(TEST_CFLAGS)
check_format_test_LDADD = libquantbench.la $(CHECK_LIBS)
check_narrow_test_SOURCES = %D%/check_narrow.c
check_narrow_test_CFLAGS = $(TEST_CFLAGS)
check_narrow_test_LDADD = libquantbench.la $(CHECK_LIBS) -lm
check_values_test_SOURCES = %D%/check_values.c
check_values_test_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/src/quantbench
check_values_test_CFLAGS = $(TEST_CFLAGS)
check_values_test_LDADD = libquantbench.la $(CHECK_LIBS) -lm
check_kv_write_test_SOURCES = %D%/check_kv_write.c
check_kv_write_test_CFLAGS = $(TEST_CFLAGS)
check_kv_write_test_LDADD = libquantbench.la $(CHECK_LIBS) -lm

check_rope_test_SOURCES = %D%/check_rope.c
check_rope_test_CFLAGS = $(TEST_CFLAGS)
check_rope_test_LDADD = libquantbench.la $(CHECK_LIBS) -lm
check_experts_test_SOURCES = %D%/check_experts.c
check_experts_test_CFLAGS = $(TEST_CFLAGS)
check_experts_test_LDADD = libquantbench.la $(CHECK_LIBS) -lm
check_transpose_test_SOURCES = %D%/check_transpose.c
check_transpose_test_CFLAGS = $(TEST_CFLAGS)
check_transpose_test_LDADD = libquantbench.la $(CHECK_LIBS) -lm

check_operations_test_SOURCES = %D%/check_operations.c
check_operations_test_CFLAGS = $(TEST_CFLAGS)
check_operations_test_LDADD = libquantbench.la $(CHECK_LIBS) -lm
check_dequantize_test_SOURCES = %D%/check_dequantize.c
check_dequantize_test_CFLAGS = $(TEST_CFLAGS)
check_dequantize_test_LDADD = libquantbench.la $(CHECK_LIBS) -lm
check_cvt_test_SOURCES = %D%/check_cvt.c
check_cvt_test_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/src/quantbench
check_cvt_test_CFLAGS = $(TEST_CFLAGS)
check_cvt_test_LDADD = libquantbench.la $(CHECK_LIBS) -lm
check_peers_test_SOURCES = %D%/check_peers.c
check_peers_test_CFLAGS = $(TEST_CFLAGS)
check_peers_test_LDADD = libquantbench.la $(CHECK_LIBS) -lm
check_precision_test_SOURCES = %D%/check_precision.c
check_precision_test_CFLAGS = $(TEST_CFLAGS)
check_precision_test_LDADD = libquantbench.la $(CHECK_LIBS) -lm
check_pitfalls_test_SOURCES = %D%/check_pitfalls.c
check_pitfalls_test_CFLAGS = $(TEST_CFLAGS)
check_pitfalls_test_LDADD = libquantbench.la $(CHECK_LIBS) -lm

check_problem_test_SOURCES = %D%/check_problem.c
check_problem_test_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/src/quantbench
check_problem_test_CFLAGS = $(TEST_CFLAGS)
check_problem_test_LDADD = libquantbench.la $(CHECK_LIBS)
check_stats_test_SOURCES = %D%/check_stats.c src/quantbench/base/stats.c src/quantbench/cases/input.c \
	src/quantbench/model/words.c
check_stats_test_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/src/quantbench
check_stats_test_CFLAGS = $(TEST_CFLAGS) $(OPENMP_CFLAGS)
check_stats_test_LDADD = libquantbench.la $(CHECK_LIBS)
check_compare_test_SOURCES = %D%/check_compare.c src/quantbench/verdict/compare.c src/quantbench/base/stats.c
check_compare_test_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/src/quantbench
check_compare_test_CFLAGS = $(TEST_CFLAGS)
check_compare_test_LDADD = $(CHECK_LIBS)
check_quality_test_SOURCES = %D%/check_quality.c src/quantbench/check/quality.c src/quantbench/check/experts.c src/quantbench/check/scales.c src/quantbench/cases/input.c
check_quality_test_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/src/quantbench
check_quality_test_CFLAGS = $(TEST_CFLAGS) $(OPENMP_CFLAGS)
check_quality_test_LDADD = libquantbench.la $(CHECK_LIBS)
check_accuracy_test_SOURCES = %D%/check_accuracy.c src/quantbench/check/quality.c src/quantbench/check/experts.c src/quantbench/check/scales.c
check_accuracy_test_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/src/quantbench
check_accuracy_test_CFLAGS = $(TEST_CFLAGS) $(OPENMP_CFLAGS)
check_accuracy_test_LDADD = libquantbench.la $(CHECK_LIBS) -lm
check_environment_test_SOURCES = %D%/check_environment.c src/quantbench/check/quality.c src/quantbench/check/experts.c src/quantbench/check/scales.c
check_environment_test_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/src/quantbench
check_environment_test_CFLAGS = $(TEST_CFLAGS) $(OPENMP_CFLAGS)
check_environment_test_LDADD = libquantbench.la $(CHECK_LIBS)
check_message_test_SOURCES = %D%/check_message.c src/quantbench/base/message.c src/quantbench/base/relay.c
check_message_test_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/src/quantbench
check_message_test_CFLAGS = $(TEST_CFLAGS)
check_message_test_LDADD = libquantbench.la $(CHECK_LIBS)
check_rounds_test_SOURCES = %D%/check_rounds.c src/quantbench/schedule/rounds.c src/quantbench/schedule/gate.c src/quantbench/base/inject.c src/quantbench/base/stats.c src/quantbench/base/message.c
check_rounds_test_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/src/quantbench
check_rounds_test_CFLAGS = $(TEST_CFLAGS)
check_rounds_test_LDADD = libquantbench.la $(CHECK_LIBS)
check_challenge_test_SOURCES = %D%/check_challenge.c
check_challenge_test_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/src/quantbench
check_challenge_test_CFLAGS = $(TEST_CFLAGS) $(JANSSON_CFLAGS) $(OPENMP_CFLAGS)
check_challenge_test_LDADD = libqbtool.a libquantbench.la $(CHECK_LIBS) $(JANSSON_LIBS)
check_tensor_file_test_SOURCES = %D%/check_tensor_file.c src/quantbench/cases/tensor_file.c src/quantbench/base/mapping.c src/quantbench/cases/tensor_kind.c \
	src/quantbench/base/label.c \
	src/quantbench/base/document.c src/quantbench/base/message.c src/quantbench/base/clock.c
check_tensor_file_test_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/src/quantbench
check_tensor_file_test_CFLAGS = $(TEST_CFLAGS) $(JANSSON_CFLAGS)
check_tensor_file_test_LDADD = libquantbench.la $(CHECK_LIBS) $(JANSSON_LIBS)
check_quantized_file_test_SOURCES = %D%/check_quantized_file.c
check_quantized_file_test_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/src/quantbench
check_quantized_file_test_CFLAGS = $(TEST_CFLAGS) $(JANSSON_CFLAGS) $(OPENMP_CFLAGS)
check_quantized_file_test_LDADD = libqbtool.a libquantbench.la $(CHECK_LIBS) $(JANSSON_LIBS)
check_options_test_SOURCES = %D%/check_options.c
check_options_test_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/src/quantbench
check_options_test_CFLAGS = $(TEST_CFLAGS) $(JANSSON_CFLAGS) $(OPENMP_CFLAGS)
check_options_test_LDADD = libqbtool.a libquantbench.la $(CHECK_LIBS) $(JANSSON_LIBS)
check_record_test_SOURCES = %D%/check_record.c
check_record_test_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/src/quantbench
check_record_test_CFLAGS = $(TEST_CFLAGS) $(JANSSON_CFLAGS) $(OPENMP_CFLAGS)
check_record_test_LDADD = libqbtool.a libquantbench.la $(CHECK_LIBS) $(JANSSON_LIBS)
check_picture_test_SOURCES = %D%/check_picture.c
check_picture_test_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/src/quantbench
check_picture_test_CFLAGS = $(TEST_CFLAGS) $(JANSSON_CFLAGS) $(OPENMP_CFLAGS)
check_picture_test_LDADD = libqbtool.a libquantbench.la $(CHECK_LIBS) $(JANSSON_LIBS) -lm
check_program_test_SOURCES = %D%/check_program.c
check_program_test_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/src/quantbench
check_program_test_CFLAGS = $(TEST_CFLAGS) $(JANSSON_CFLAGS) $(OPENMP_CFLAGS)
check_program_test_LDADD = libqbtool.a libquantbench.la $(CHECK_LIBS) $(JANSSON_LIBS) -lm
check_describe_test_SOURCES = %D%/check_describe.c
check_describe_test_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/src/quantbench
check_describe_test_CFLAGS = $(TEST_CFLAGS) $(JANSSON_CFLAGS) $(OPENMP_CFLAGS)
check_describe_test_LDADD = libqbtool.a libquantbench.la $(CHECK_LIBS) $(JANSSON_LIBS)
check_summary_test_SOURCES = %D%/check_summary.c
check_summary_test_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/src/quantbench
check_summary_test_CFLAGS = $(TEST_CFLAGS) $(JANSSON_CFLAGS) $(OPENMP_CFLAGS)
check_summary_test_LDADD = libqbtool.a libquantbench.la $(CHECK_LIBS) $(JANSSON_LIBS) -lm
check_spending_test_SOURCES = %D%/check_spending.c
check_spending_test_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/src/quantbench
check_spending_test_CFLAGS = $(TEST_CFLAGS) $(JANSSON_CFLAGS) $(OPENMP_CFLAGS)
check_spending_test_LDADD = libqbtool.a libquantbench.la $(CHECK_LIBS) $(JANSSON_LIBS) -lm
check_stock_test_SOURCES = %D%/check_stock.c
check_stock_test_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/src/quantbench
check_stock_test_CFLAGS = $(TEST_CFLAGS) $(JANSSON_CFLAGS) $(OPENMP_CFLAGS)
check_stock_test_LDADD = libqbtool.a libquantbench.la $(CHECK_LIBS) $(JANSSON_LIBS)
check_measure_test_SOURCES = %D%/check_measure.c
check_measure_test_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/src/quantbench
check_measure_test_CFLAGS = $(TEST_CFLAGS) $(JANSSON_CFLAGS) $(OPENMP_CFLAGS)
check_measure_test_LDADD = libqbtool.a libquantbench.la $(CHECK_LIBS) $(JANSSON_LIBS)
check_figures_test_SOURCES = %D%/check_figures.c
check_figures_test_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/src/quantbench
check_figures_test_CFLAGS = $(TEST_CFLAGS) $(JANSSON_CFLAGS) $(OPENMP_CFLAGS)
check_figures_test_LDADD = libqbtool.a libquantbench.la $(CHECK_LIBS) $(JANSSON_LIBS)
check_rating_test_SOURCES = %D%/check_rating.c
check_rating_test_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/src/quantbench
check_rating_test_CFLAGS = $(TEST_CFLAGS) $(JANSSON_CFLAGS) $(OPENMP_CFLAGS)
check_rating_test_LDADD = libqbtool.a libquantbench.la $(CHECK_LIBS) $(JANSSON_LIBS) -lm
check_census_test_SOURCES = %D%/check_census.c
check_census_test_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/src/quantbench
check_census_test_CFLAGS = $(TEST_CFLAGS) $(JANSSON_CFLAGS) $(OPENMP_CFLAGS)
check_census_test_LDADD = libqbtool.a libquantbench.la $(CHECK_LIBS) $(JANSSON_LIBS) -lm
check_calibration_test_SOURCES = %D%/check_calibration.c
check_calibration_test_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/src/quantbench
check_calibration_test_CFLAGS = $(TEST_CFLAGS) $(JANSSON_CFLAGS) $(OPENMP_CFLAGS)
check_calibration_test_LDADD = libqbtool.a libquantbench.la $(CHECK_LIBS) $(JANSSON_LIBS) -lm
check_verdict_test_SOURCES = %D%/check_verdict.c
check_verdict_test_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/src/quantbench
check_verdict_test_CFLAGS = $(TEST_CFLAGS) $(JANSSON_CFLAGS) $(OPENMP_CFLAGS)
check_verdict_test_LDADD = libqbtool.a libquantbench.la $(CHECK_LIBS) $(JANSSON_LIBS)
check_fleet_test_SOURCES = %D%/check_fleet.c
check_fleet_test_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/src/quantbench
check_fleet_test_CFLAGS = $(TEST_CFLAGS) $(JANSSON_CFLAGS) $(OPENMP_CFLAGS)
check_fleet_test_LDADD = libqbtool.a libquantbench.la $(CHECK_LIBS) $(JANSSON_LIBS) -lm
check_starvation_test_SOURCES = %D%/check_starvation.c src/quantbench/base/starvation.c
check_starvation_test_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/src/quantbench
check_starvation_test_CFLAGS = $(TEST_CFLAGS)
check_starvation_test_LDADD = $(CHECK_LIBS)
check_hard_test_SOURCES = %D%/check_hard.c src/quantbench/check/hard_data.c src/quantbench/check/hard_grid.c src/quantbench/check/hard_kind.c \
	src/quantbench/check/scales.c src/quantbench/cases/input.c
check_hard_test_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/src/quantbench
check_hard_test_CFLAGS = $(TEST_CFLAGS) $(OPENMP_CFLAGS)
check_hard_test_LDADD = libquantbench.la $(CHECK_LIBS)
check_outcome_test_SOURCES = %D%/check_outcome.c src/quantbench/schedule/outcome.c src/quantbench/model/part.c
check_outcome_test_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/src/quantbench
check_outcome_test_CFLAGS = $(TEST_CFLAGS)
check_outcome_test_LDADD = libquantbench.la $(CHECK_LIBS)
check_disturbance_test_SOURCES = %D%/check_disturbance.c src/quantbench/measure/disturbance.c
check_disturbance_test_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/src/quantbench
check_disturbance_test_CFLAGS = $(TEST_CFLAGS)
check_disturbance_test_LDADD = $(CHECK_LIBS)
check_threads_test_SOURCES = %D%/check_threads.c
check_threads_test_CFLAGS = $(TEST_CFLAGS)
check_threads_test_LDADD = libquantbench.la $(CHECK_LIBS)
check_cpu_test_SOURCES = %D%/check_kernels.c
check_cpu_test_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/src/quantbench -DTEST_BACKEND='"cpu"'
check_cpu_test_CFLAGS = $(TEST_CFLAGS)
check_cpu_test_LDADD = libquantbench.la $(CHECK_LIBS)
check_cpu_narrow_test_SOURCES = %D%/check_kernels_narrow.c
check_cpu_narrow_test_CPPFLAGS = $(AM_CPPFLAGS) -DTEST_BACKEND='"cpu"'
check_cpu_narrow_test_CFLAGS = $(TEST_CFLAGS) $(OPENMP_CFLAGS)
check_cpu_narrow_test_LDADD = libquantbench.la $(CHECK_LIBS) -lm
check_cpu_operations_test_SOURCES = %D%/check_operations_kernels.c
check_cpu_operations_test_CPPFLAGS = $(AM_CPPFLAGS) -DTEST_BACKEND='"cpu"'
check_cpu_operations_test_CFLAGS = $(TEST_CFLAGS)
check_cpu_operations_test_LDADD = libquantbench.la $(CHECK_LIBS) -lm
check_cpu_experts_test_SOURCES = %D%/check_experts_kernels.c
check_cpu_experts_test_CPPFLAGS = $(AM_CPPFLAGS) -DTEST_BACKEND='"cpu"'
check_cpu_experts_test_CFLAGS = $(TEST_CFLAGS)
check_cpu_experts_test_LDADD = libquantbench.la $(CHECK_LIBS) -lm
# NVIDIA's management library is a stand-in that the test program has loaded under its name.
check_conditions_test_SOURCES = %D%/check_conditions.c cuda/nvml.c
check_conditions_test_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/cuda
check_conditions_test_CFLAGS = $(TEST_CFLAGS)
check_conditions_test_LDADD = libquantbench.la $(CHECK_LIBS)
check_cuda_test_SOURCES = %D%/check_kernels.c
check_cuda_test_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/src/quantbench -DTEST_BACKEND='"cuda"'
check_cuda_test_CFLAGS = $(TEST_CFLAGS)
check_cuda_test_LDADD = libquantbench.la $(CHECK_LIBS)
check_cuda_narrow_test_SOURCES = %D%/check_kernels_narrow.c
check_cuda_narrow_test_CPPFLAGS = $(AM_CPPFLAGS) -DTEST_BACKEND='"cuda"'
check_cuda_narrow_test_CFLAGS = $(TEST_CFLAGS) $(OPENMP_CFLAGS)
check_cuda_narrow_test_LDADD = libquantbench.la $(CHECK_LIBS) -lm
check_cuda_operations_test_SOURCES = %D%/check_operations_kernels.c
check_cuda_operations_test_CPPFLAGS = $(AM_CPPFLAGS) -DTEST_BACKEND='"cuda"'
check_cuda_operations_test_CFLAGS = $(TEST_CFLAGS)
check_cuda_operations_test_LDADD = libquantbench.la $(CHECK_LIBS) -lm
check_cuda_experts_test_SOURCES = %D%/check_experts_kernels.c
check_cuda_experts_test_CPPFLAGS = $(AM_CPPFLAGS) -DTEST_BACKEND='"cuda"'
check_cuda_experts_test_CFLAGS = $(TEST_CFLAGS)
check_cuda_experts_test_LDADD = libquantbench.la $(CHECK_LIBS) -lm

# The CUDA backend's C files compile everywhere, against a stand-in for NVIDIA's headers, so that a machine without the
# toolkit finds mistakes in it.
check_LIBRARIES += libstub_cuda.a
libstub_cuda_a_SOURCES = cuda/backend_cuda.c cuda/nvml.c
libstub_cuda_a_CPPFLAGS = -I$(top_srcdir)/tests/stub $(AM_CPPFLAGS)
libstub_cuda_a_CFLAGS = $(AM_CFLAGS) -Werror
EXTRA_DIST += %D%/stub/cuda_runtime_api.h %D%/stub/cuda_profiler_api.h

# A module that pretends to be the CUDA backend. -rpath makes Libtool build a shared object that is not installed.
if BUILD_SHARED
check_LTLIBRARIES += %D%/fake/quantbench_cuda.la
%C%_fake_quantbench_cuda_la_SOURCES = %D%/fake_module.c
%C%_fake_quantbench_cuda_la_CFLAGS = $(AM_CFLAGS)
%C%_fake_quantbench_cuda_la_LIBADD = libquantbench.la -lm
%C%_fake_quantbench_cuda_la_LDFLAGS = -module -avoid-version -shared -no-undefined -rpath /nowhere \
	-export-symbols-regex '^quantbench_backend$$'

# Loaded by check_peers.c.
check_LTLIBRARIES += %D%/fake/narrow_peers.la %D%/fake/peers.la
%C%_fake_narrow_peers_la_SOURCES = %D%/plugins/narrow_peers.c
%C%_fake_narrow_peers_la_CFLAGS = $(AM_CFLAGS)
%C%_fake_narrow_peers_la_LIBADD = -lm
%C%_fake_narrow_peers_la_LDFLAGS = -module -avoid-version -shared -no-undefined -rpath /nowhere
%C%_fake_peers_la_SOURCES = %D%/plugins/peers.c
%C%_fake_peers_la_CFLAGS = $(AM_CFLAGS)
%C%_fake_peers_la_LIBADD = -lm
%C%_fake_peers_la_LDFLAGS = -module -avoid-version -shared -no-undefined -rpath /nowhere

# Loaded before the tool by journal.sh and failures.sh.
check_LTLIBRARIES += %D%/fake/killer.la
%C%_fake_killer_la_SOURCES = %D%/fake_killer.c
%C%_fake_killer_la_CFLAGS = $(AM_CFLAGS)
%C%_fake_killer_la_LDFLAGS = -module -avoid-version -shared -no-undefined -rpath /nowhere

# Loaded before the tool by memory.sh.
check_LTLIBRARIES += %D%/fake/malloc.la
%C%_fake_malloc_la_SOURCES = %D%/fake_malloc.c
%C%_fake_malloc_la_CFLAGS = $(AM_CFLAGS)
%C%_fake_malloc_la_LDFLAGS = -module -avoid-version -shared -no-undefined -rpath /nowhere

# Loaded before the tool by threads.sh.
check_LTLIBRARIES += %D%/fake/threads.la
%C%_fake_threads_la_SOURCES = %D%/fake_threads.c
%C%_fake_threads_la_CFLAGS = $(AM_CFLAGS)
%C%_fake_threads_la_LDFLAGS = -module -avoid-version -shared -no-undefined -rpath /nowhere

check_LTLIBRARIES += %D%/fake/libnvidia-ml.la
%C%_fake_libnvidia_ml_la_SOURCES = %D%/fake_nvml.c
%C%_fake_libnvidia_ml_la_CFLAGS = $(AM_CFLAGS)
%C%_fake_libnvidia_ml_la_LDFLAGS = -version-info 1:0:0 -shared -no-undefined -rpath /nowhere
endif

fuzz_driver = %D%/fuzz/fuzz.c %D%/fuzz/fuzz.h %D%/fuzz/driver.c
FUZZ_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/src/quantbench
FUZZ_LDADD = libqbtool.a libquantbench.la $(JANSSON_LIBS)
fuzz_args_test_SOURCES = %D%/fuzz/fuzz_args.c $(fuzz_driver)
fuzz_args_test_CPPFLAGS = $(FUZZ_CPPFLAGS)
fuzz_args_test_CFLAGS = $(quantbench_CFLAGS)
fuzz_args_test_LDADD = $(FUZZ_LDADD)
fuzz_cases_test_SOURCES = %D%/fuzz/fuzz_cases.c $(fuzz_driver)
fuzz_cases_test_CPPFLAGS = $(FUZZ_CPPFLAGS)
fuzz_cases_test_CFLAGS = $(quantbench_CFLAGS)
fuzz_cases_test_LDADD = $(FUZZ_LDADD)
fuzz_fleet_test_SOURCES = %D%/fuzz/fuzz_fleet.c $(fuzz_driver)
fuzz_fleet_test_CPPFLAGS = $(FUZZ_CPPFLAGS)
fuzz_fleet_test_CFLAGS = $(quantbench_CFLAGS)
fuzz_fleet_test_LDADD = $(FUZZ_LDADD)
fuzz_journal_test_SOURCES = %D%/fuzz/fuzz_journal.c $(fuzz_driver)
fuzz_journal_test_CPPFLAGS = $(FUZZ_CPPFLAGS)
fuzz_journal_test_CFLAGS = $(quantbench_CFLAGS)
fuzz_journal_test_LDADD = $(FUZZ_LDADD)
fuzz_outcome_test_SOURCES = %D%/fuzz/fuzz_outcome.c $(fuzz_driver)
fuzz_outcome_test_CPPFLAGS = $(FUZZ_CPPFLAGS)
fuzz_outcome_test_CFLAGS = $(quantbench_CFLAGS)
fuzz_outcome_test_LDADD = $(FUZZ_LDADD)
fuzz_record_test_SOURCES = %D%/fuzz/fuzz_record.c $(fuzz_driver)
fuzz_record_test_CPPFLAGS = $(FUZZ_CPPFLAGS)
fuzz_record_test_CFLAGS = $(quantbench_CFLAGS)
fuzz_record_test_LDADD = $(FUZZ_LDADD)
fuzz_tensor_test_SOURCES = %D%/fuzz/fuzz_tensor.c $(fuzz_driver)
fuzz_tensor_test_CPPFLAGS = $(FUZZ_CPPFLAGS)
fuzz_tensor_test_CFLAGS = $(quantbench_CFLAGS)
fuzz_tensor_test_LDADD = $(FUZZ_LDADD)
EXTRA_DIST += %D%/fuzz/fuzz.sh %D%/fuzz/corpus

# "make fuzz": the harnesses with libFuzzer and sanitizers, FUZZ_SECONDS each, in the folder fuzz/ of the build.
fuzz: libquantbench.la
	srcdir='$(srcdir)' CPPFLAGS='$(DEFS) $(DEFAULT_INCLUDES) $(FUZZ_CPPFLAGS) $(JANSSON_CFLAGS)' \
	  LIBS='libquantbench.la $(JANSSON_LIBS) $(LIBS)' SOURCES='$(libqbtool_a_SOURCES)' HARNESSES='$(fuzz_harnesses)' \
	  $(SHELL) $(srcdir)/%D%/fuzz/fuzz.sh
.PHONY: fuzz
CLEANFILES += fuzz_args.crash fuzz_cases.crash fuzz_fleet.crash fuzz_journal.crash fuzz_outcome.crash fuzz_record.crash fuzz_tensor.crash
clean-local:
	rm -rf fuzz

# "make perf": what tests/perf/cpu.sh runs, and cuda_choices. No part of make check, whose tests do not depend on speed.
EXTRA_PROGRAMS = cpu_ratios cuda_choices
cpu_ratios_SOURCES = %D%/perf/cpu_ratios.c
cpu_ratios_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/src/quantbench
cpu_ratios_CFLAGS = $(AM_CFLAGS) -Wno-float-equal
cpu_ratios_LDADD = libquantbench.la
cuda_choices_SOURCES = %D%/perf/cuda_choices.c
cuda_choices_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/src/quantbench
cuda_choices_LDADD = libquantbench.la
perf: cpu_ratios$(EXEEXT) cuda_choices$(EXEEXT)
.PHONY: perf
CLEANFILES += cpu_ratios$(EXEEXT) cuda_choices$(EXEEXT)
