# SPDX-License-Identifier: Apache-2.0
# The tool: a client of quantbench.h and of nothing else in the library.

if TOOL
bin_PROGRAMS += quantbench
noinst_LIBRARIES += libqbtool.a
endif
# All but main(): the fuzz harnesses of tests/ have their own.
quantbench_SOURCES = %D%/cli/main.c
libqbtool_a_SOURCES = \
	%D%/cli/args.c %D%/cli/args.h \
	%D%/cli/options.c %D%/cli/options.h %D%/cli/option_help.c \
	%D%/cli/used_files.c %D%/cli/used_files.h \
	%D%/cli/option_values.c %D%/cli/option_values.h %D%/cli/option_lists.c \
	%D%/base/clock.c %D%/base/clock.h %D%/base/label.c %D%/base/label.h %D%/base/saturate.h \
	%D%/base/message.c %D%/base/message.h %D%/base/relay.c %D%/base/relay.h \
	%D%/base/interrupt.c %D%/base/interrupt.h \
	%D%/base/nearest.c %D%/base/nearest.h \
	%D%/base/process.c %D%/base/process.h \
	%D%/base/intake.c %D%/base/intake.h \
	%D%/base/document.c %D%/base/document.h \
	%D%/base/memory_stream.c %D%/base/memory_stream.h \
	%D%/base/program.c %D%/base/program.h \
	%D%/base/utf8.c %D%/base/utf8.h \
	%D%/cases/binding.c %D%/cases/binding.h \
	%D%/cases/machine.c %D%/cases/machine.h \
	%D%/cases/models.c %D%/cases/models.h \
	%D%/base/digest.c %D%/base/digest.h %D%/base/binary32.h \
	%D%/cases/tensor_file.c %D%/cases/tensor_file.h \
	%D%/cases/tensors.c %D%/cases/tensors.h \
	%D%/cases/tensor_choice.c %D%/cases/tensor_choice.h \
	%D%/cases/model_index.c %D%/cases/model_index.h \
	%D%/base/mapping.c %D%/base/mapping.h \
	%D%/cases/tensor_kind.c %D%/cases/tensor_kind.h \
	%D%/cases/quantized_file.c %D%/cases/quantized_file.h \
	%D%/cases/input.c %D%/cases/input.h \
	%D%/cases/plan.c %D%/cases/plan.h \
	%D%/cases/quantization.c %D%/cases/quantization.h %D%/cases/choice.h \
	%D%/cases/operations.c %D%/cases/operations.h \
	%D%/model/words.c %D%/model/words.h %D%/model/settings.h %D%/model/finding.h %D%/model/judgement.h \
	%D%/model/figures.c %D%/model/figures.h %D%/model/problem_text.c %D%/model/problem_text.h %D%/model/property.c %D%/model/property.h \
	%D%/model/recipe.c %D%/model/recipe.h %D%/model/operation.c %D%/model/operation.h \
	%D%/model/part.c %D%/model/part.h %D%/model/sizes.h %D%/model/tiling.h \
	%D%/check/quality.c %D%/check/quality.h \
	%D%/check/oracle.c %D%/check/oracle.h \
	%D%/check/scales.c %D%/check/scales.h \
	%D%/check/difference.c %D%/check/difference.h \
	%D%/check/verify.c %D%/check/verify.h \
	%D%/measure/disturbance.c %D%/measure/disturbance.h \
	%D%/measure/calibrate.c %D%/measure/calibrate.h \
	%D%/measure/launch_state.c %D%/measure/launch_state.h \
	%D%/measure/measure.c %D%/measure/measure.h \
	%D%/base/stats.c %D%/base/stats.h \
	%D%/verdict/compare.c %D%/verdict/compare.h \
	%D%/measure/stock.c %D%/measure/stock.h \
	%D%/measure/ceiling.c %D%/measure/ceiling.h \
	%D%/cases/inputs.c %D%/cases/inputs.h \
	%D%/cases/values.c %D%/cases/values.h \
	%D%/check/buffers.c %D%/check/buffers.h \
	%D%/check/cache.c %D%/check/cache.h %D%/check/experts.c %D%/check/experts.h \
	%D%/check/change.c %D%/check/change.h \
	%D%/check/change.c %D%/check/change.h \
	%D%/check/question.c %D%/check/question.h \
	%D%/check/hard_operation.c %D%/check/hard_operation.h \
	%D%/measure/challenge.c %D%/measure/challenge.h \
	%D%/measure/bench.c %D%/measure/bench.h \
	%D%/measure/rating.c %D%/measure/rating.h \
	%D%/schedule/journal.c %D%/schedule/journal.h \
	%D%/model/round_json.c %D%/model/round_json.h \
	%D%/model/spending.c %D%/model/spending.h \
	%D%/schedule/visits.c %D%/schedule/visits.h \
	%D%/schedule/rounds.c %D%/schedule/rounds.h \
	%D%/check/allocations.c %D%/check/allocations.h \
	%D%/verdict/comparison.c %D%/verdict/comparison.h \
	%D%/schedule/paired.c %D%/schedule/paired.h \
	%D%/cli/self_test.c %D%/cli/self_test.h \
	%D%/schedule/runs.c %D%/schedule/runs.h \
	%D%/cli/baseline.c %D%/cli/baseline.h \
	%D%/cli/against.c %D%/cli/against.h \
	%D%/cli/doctor.c %D%/cli/doctor.h \
	%D%/cli/dry_run.c %D%/cli/dry_run.h \
	%D%/base/isolate.c %D%/base/isolate.h \
	%D%/cases/child.c %D%/cases/child.h \
	%D%/cases/catalog.c %D%/cases/catalog.h \
	%D%/cases/lister.c %D%/cases/lister.h \
	%D%/cases/shield.c %D%/cases/shield.h \
	%D%/base/starvation.c %D%/base/starvation.h \
	%D%/cases/plugins.c %D%/cases/plugins.h \
	%D%/check/prove.c %D%/check/prove.h \
	%D%/schedule/outcome.c %D%/schedule/outcome.h \
	%D%/check/hard.c %D%/check/hard.h \
	%D%/check/hard_data.c %D%/check/hard_data.h \
	%D%/check/hard_grid.c %D%/check/hard_grid.h \
	%D%/check/hard_kind.c %D%/check/hard_kind.h \
	%D%/schedule/worker.c %D%/schedule/worker.h \
	%D%/cli/list.c %D%/cli/list.h \
	%D%/cli/fleet_action.c %D%/cli/fleet_action.h \
	%D%/base/scan.c %D%/base/scan.h %D%/base/inject.c %D%/base/inject.h \
	%D%/schedule/gate.c %D%/schedule/gate.h \
	%D%/fleet/fleet.h %D%/fleet/pool.c %D%/fleet/pool.h \
	%D%/fleet/table.c %D%/fleet/table.h \
	%D%/fleet/series.c %D%/fleet/series.h \
	%D%/fleet/fleet_take.c %D%/fleet/fleet_read.c %D%/fleet/fleet_soak.c \
	%D%/fleet/fleet_judge.c %D%/fleet/fleet_facts.c \
	%D%/fleet/fleet_report.c %D%/fleet/fleet_report.h \
	%D%/fleet/fleet_picture.c %D%/fleet/fleet_picture.h \
	%D%/fleet/fleet_text.c %D%/fleet/fleet_json.c %D%/fleet/fleet_openmetrics.c %D%/fleet/fleet_tables.c \
	%D%/cli/case_list.c %D%/cli/case_list.h \
	%D%/cli/serve.c %D%/cli/serve.h \
	%D%/cli/list_tensors.c %D%/cli/list_tensors.h \
	%D%/cli/quality.c %D%/cli/quality.h \
	%D%/cases/dumps.c %D%/cases/dumps.h \
	%D%/check/census.c %D%/check/census.h \
	%D%/measure/static_scale.c %D%/measure/static_scale.h \
	%D%/measure/scale_search.c %D%/measure/scale_search.h \
	%D%/measure/calibration.c %D%/measure/calibration.h %D%/model/calibration.h \
	%D%/cli/calibration.c %D%/cli/calibration.h \
	%D%/cli/calibration_report.c %D%/cli/calibration_report.h \
	%D%/cli/scale_file.c %D%/cli/scale_file.h \
	%D%/cli/soak_action.c %D%/cli/soak_action.h %D%/cli/soak_list.c %D%/cli/soak_list.h \
	%D%/model/soak.c %D%/model/soak.h %D%/schedule/soak.c %D%/schedule/soak.h \
	%D%/schedule/soak_round.c %D%/schedule/soak_round.h \
	%D%/report/soak_text.c %D%/report/soak_json.c %D%/report/soak_report.h \
	%D%/model/record.c %D%/model/record.h \
	%D%/schedule/recording.c %D%/schedule/recording.h \
	%D%/model/record_json.c %D%/model/merge.c %D%/model/merge.h \
	%D%/verdict/verdict.c %D%/verdict/verdict.h \
	%D%/report/describe.c %D%/report/describe.h \
	%D%/report/output.c %D%/report/output.h \
	%D%/report/overwrite.c %D%/report/overwrite.h \
	%D%/base/destination.c %D%/base/destination.h \
	%D%/report/report.c %D%/report/report.h %D%/report/fold.c %D%/report/fold.h \
	%D%/report/field.c %D%/report/field.h \
	%D%/report/spent.c %D%/report/spent.h \
	%D%/report/summary.c %D%/report/summary.h \
	%D%/report/report_text.c \
	%D%/report/report_json.c \
	%D%/report/report_csv.c \
	%D%/report/report_markdown.c \
	%D%/report/report_gbench.c \
	%D%/report/report_junit.c \
	%D%/report/report_github.c \
	%D%/report/report_gnuplot.c \
	%D%/report/plot.c %D%/report/plot.h \
	%D%/report/report_bmf.c \
	%D%/report/report_openmetrics.c %D%/report/openmetrics.h \
	%D%/report/case_name.c %D%/report/case_name.h \
	%D%/report/picture.c %D%/report/picture.h \
	%D%/report/picture_text.c \
	%D%/report/picture_times.c \
	%D%/report/picture_rows.c \
	%D%/report/picture_heat.c \
	%D%/report/picture_samples.c \
	%D%/report/picture_quality.c
quantbench_CPPFLAGS = $(AM_CPPFLAGS) -I$(srcdir)/%D%
quantbench_CFLAGS = $(AM_CFLAGS) $(OPENMP_CFLAGS) $(JANSSON_CFLAGS)
quantbench_LDADD = libqbtool.a libquantbench.la $(JANSSON_LIBS)
quantbench_LDFLAGS = $(AM_LDFLAGS) $(EXPORT_LDFLAGS)
libqbtool_a_CPPFLAGS = $(quantbench_CPPFLAGS)
libqbtool_a_CFLAGS = $(quantbench_CFLAGS)
