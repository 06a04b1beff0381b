/* SPDX-License-Identifier: Apache-2.0 */
/* main.c - the table of contents: arguments, devices, input, plan, measurements, report. */
#include <config.h>

#include "cli/against.h"
#include "cli/args.h"
#include "cli/baseline.h"
#include "cli/calibration.h"
#include "cases/binding.h"
#include "verdict/comparison.h"
#include "cli/doctor.h"
#include "cli/dry_run.h"
#include "cli/fleet_action.h"
#include "base/inject.h"
#include "base/interrupt.h"
#include "base/isolate.h"
#include "schedule/gate.h"
#include "schedule/journal.h"
#include "cli/case_list.h"
#include "cli/list.h"
#include "cli/list_tensors.h"
#include "cli/quality.h"
#include "measure/calibrate.h"
#include "measure/launch_state.h"
#include "cases/lister.h"
#include "check/oracle.h"
#include "report/output.h"
#include "report/plot.h"
#include "schedule/paired.h"
#include "cases/plugins.h"
#include "base/process.h"
#include "schedule/rounds.h"
#include "cli/self_test.h"
#include "cli/soak_action.h"
#include "cli/used_files.h"
#include "cases/shield.h"
#include "model/merge.h"
#include "cases/model_index.h"
#include "cases/tensors.h"
#include "verdict/verdict.h"
#include "schedule/worker.h"
#include "schedule/recording.h"

#include <errno.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Why standard output could not be written, if so: the first error counts. */
static int output_error;

static void flush_output(void)
{
    /* What is longer than a buffer may have failed before; its error is the last one then. */
    if ((fflush(stdout) != 0 || ferror(stdout)) && output_error == 0) {
        output_error = errno;
    }
}

/* Judge the pairs of RECORD by the rounds of BENCH. */
static enum exit_code judge(const struct settings *settings, const struct bench *bench, struct record *record)
{
    struct series *series = paired_series(bench);
    enum exit_code code = series != NULL ? comparison_judge(record, series) : EXIT_CANNOT_RUN;

    free(series);
    /* A kernel that is slower than the one that is chosen is what --tune expects, and one that computes its scales is
     * what --split does. */
    record->comparison.slower_fails = !settings->comparing.split && !settings->comparing.tune;
    return code;
}

/* Run all cases of PLAN. A case that fails does not keep the others from running. */
static enum exit_code run_cases(const struct settings *settings, struct machine *machine, struct tensors *tensors,
                                const struct plan *plan, struct journal *journal, struct record *record)
{
    struct bench bench;
    enum exit_code code = bench_begin(&bench, settings, machine, tensors, plan);

    if (code == EXIT_OK) {
        if (inject_fault() != INJECT_NOTHING) {
            message_warning("QUANTBENCH_INJECT is %s: a fault is injected", inject_text());
        }
        doctor_warn(machine);
        if (plan->count == 1 && settings->reporting.format == report_format_at(0)) {
            message_note("Warming up...");
        }
        if (settings->comparing.compare == COMPARE_NOTHING) {
            rounds_run(&bench, journal);
        } else {
            paired_run(&bench, journal, &record->comparison);
        }
        code = message_worse(code, bench.code);
        for (size_t i = 0; i < plan->count; i++) {
            code = message_worse(code, bench.results[i].found.code);
            code = message_worse(code, recording_add(record, &bench.results[i]));
        }
        if (settings->comparing.compare != COMPARE_NOTHING) {
            code = message_worse(code, judge(settings, &bench, record));
        }
    }
    if (interrupt_requested()) {
        message_note("interrupted: what was measured until then is reported");
    }
    bench_end(&bench);
    return code;
}

/* With --strict: an error if a result is in doubt. Each doubt is in the report. */
static enum exit_code check_doubts(const struct record *record)
{
    size_t doubtful = verdict_doubtful(record);

    if (!record->strict || doubtful == 0) {
        return EXIT_OK;
    }
    message_error("--strict: %zu of %zu results are in doubt", doubtful, record->count);
    return EXIT_INCONCLUSIVE;
}

/* What the comparisons come to. */
static enum exit_code check_verdicts(const struct record *record)
{
    size_t undecided = verdict_undecided(record);

    if (record->strict && undecided > 0) {
        message_error("--strict: %zu of %zu comparisons have no verdict", undecided, record->comparison.count);
    }
    return verdict_of_pairs(record);
}

/* Write RECORD to standard output and to the files of --output and --plot. */
static enum exit_code write_reports(const struct settings *settings, const struct record *record)
{
    const struct plot_source source = plot_source_of(record);
    enum exit_code code;

    errno = 0;
    /* First, since the last line of a report is one that scripts read. */
    code = plot_print(&settings->reporting.plots, &source);
    code = message_worse(code, report_write(settings->reporting.format, record, stdout));
    if (ferror(stdout) && output_error == 0) {
        output_error = errno;
    }
    flush_output();
    code = message_worse(code, output_write(&settings->reporting.outputs, record));
    return message_worse(code, plot_write(&settings->reporting.plots, &source));
}

/* Read what --input and --cases name, which GIVEN is NULL without, and make the plan of it. */
static enum exit_code make_plan(const struct settings *settings, struct machine *machine, struct tensors *given,
                                struct case_list *list, struct plan *plan)
{
    const bool rates = settings->action == ACTION_QUALITY;
    enum exit_code code = given != NULL ? tensors_open(&settings->sweep, rates ? TENSORS_TO_RATE : TENSORS_TO_MEASURE,
                                                       machine_memory_free(&machine->host), given)
                                        : EXIT_OK;

    code = code == EXIT_OK ? used_files_check_tensors(settings, given) : code;
    code = code == EXIT_OK ? case_list_open(settings, list) : code;
    return code == EXIT_OK ? plan_make(settings, machine, given, list->count > 0 ? list : NULL, plan) : code;
}

static enum exit_code measure(const struct settings *settings)
{
    struct machine machine;
    struct tensors tensors = {.count = 0};
    struct case_list list = {.count = 0};
    struct plan plan = {.count = 0};
    struct record record = {.count = 0};
    struct journal journal = {.descriptor = -1};
    struct tensors *given = settings->sweep.input_files.count > 0 ? &tensors : NULL;
    char *cpu[] = {(char[]){"cpu"}};
    const struct names only_cpu = {1, cpu};
    const bool rates = settings->action == ACTION_QUALITY;
    enum exit_code code = machine_open(rates ? &only_cpu : &settings->place.devices, &machine);

    if (code == EXIT_OK && !rates) {
        calibrate(&machine);
        launch_state_enter(&machine, settings->method.state);
    }
    if (code == EXIT_OK && settings->place.chose_huge_pages &&
        !machine_set_huge_pages(&machine, settings->place.huge_pages)) {
        message_error("--hugepages: %s; the device is %s", qb_error_detail(), machine.devices[0].info.id);
        code = EXIT_USAGE;
    }
    if (code == EXIT_OK) {
        if (!rates) {
            binding_begin(&settings->place, &machine);
        }
        code = make_plan(settings, &machine, given, &list, &plan);
    }
    if (code == EXIT_OK) {
        code = recording_begin(settings, &machine, given, &plan, &record);
    }
    if (code == EXIT_OK) {
        code = journal_open(settings, &machine, given, &plan, &journal);
    }
    if (code == EXIT_OK && settings->comparing.compare != COMPARE_NOTHING) {
        code = comparison_between(&record, settings->comparing.compare, settings->comparing.margin);
    }
    if (code == EXIT_OK && settings->action == ACTION_DRY_RUN) {
        code = message_worse(plan.code, dry_run(settings, &machine, given, &plan, &record));
    } else if (code == EXIT_OK) {
        code = message_worse(plan.code, rates ? quality_run(settings, &machine, given, &plan, &record)
                                              : run_cases(settings, &machine, given, &plan, &journal, &record));
        code = message_worse(code, check_doubts(&record));
        if (settings->comparing.self_test) {
            code = message_worse(code, self_test_report(settings, &record));
        } else if (recording_end(&record, interrupt_requested()) == EXIT_OK) {
            record.code = code = message_worse(code, check_verdicts(&record));
            code = message_worse(code, write_reports(settings, &record));
        } else {
            code = message_worse(code, EXIT_CANNOT_RUN);
        }
    }
    journal_close(&journal);
    record_free(&record);
    plan_free(&plan);
    case_list_free(&list);
    tensors_close(&tensors);
    machine_close(&machine);
    return code;
}

static enum exit_code doctor(const struct settings *settings)
{
    struct machine machine;
    enum exit_code code = machine_open(&settings->place.devices, &machine);

    if (code == EXIT_OK) {
        code = output_check(&settings->reporting.outputs);
    }
    if (code == EXIT_OK) {
        calibrate(&machine);
        code = doctor_report(settings, &machine);
    }
    machine_close(&machine);
    return code;
}

/* Other processes read what --input names: find out here if a report would be written over a file of a model. */
static enum exit_code check_models_of_runs(const struct settings *settings)
{
    const struct names *const inputs = &settings->sweep.input_files;
    struct tensors tensors = {.count = 0};
    enum exit_code code = EXIT_OK;
    bool has_model = false;

    for (size_t i = 0; i < inputs->count; i++) {
        has_model |= model_index_is_model(inputs->values[i]);
    }
    if (has_model) {
        code = tensors_open(&settings->sweep, TENSORS_TO_LIST, UINT64_MAX, &tensors);
        code = code == EXIT_OK ? used_files_check_tensors(settings, &tensors) : code;
        tensors_close(&tensors);
    }
    return code;
}

/* --runs: other processes measure, and this one reports. */
static enum exit_code measure_in_runs(const struct settings *settings)
{
    struct record record = {.count = 0};
    enum exit_code code = check_models_of_runs(settings);

    code = code == EXIT_OK ? baseline_measure(settings, &record) : code;
    if (record.count > 0) {
        enum exit_code saves;

        code = message_worse(code, message_worse(check_doubts(&record), check_verdicts(&record)));
        saves = baseline_check(settings, &record);
        record.code = code = message_worse(code, saves);
        code = message_worse(code, write_reports(settings, &record));
        code = saves == EXIT_OK ? message_worse(code, baseline_save(settings, &record)) : code;
    }
    record_free(&record);
    return code;
}

/* Read RECORD from FILES; several become one. */
static enum exit_code read_records(const struct names *files, struct record *record)
{
    struct record *records = calloc(files->count, sizeof *records);
    enum exit_code code = EXIT_OK;

    if (records == NULL) {
        return message_out_of_memory("the records", files->count * sizeof *records);
    }
    for (size_t i = 0; i < files->count && code == EXIT_OK; i++) {
        code = record_from_json(files->values[i], &records[i]);
    }
    if (code == EXIT_OK && files->count == 1) {
        *record = records[0];
        records[0] = (struct record){.count = 0};
    } else if (code == EXIT_OK) {
        code = merge_records(records, files->values, files->count, record);
    }
    for (size_t i = 0; i < files->count; i++) {
        record_free(&records[i]);
    }
    free(records);
    return code;
}

/* --report: nothing is opened but the files. */
static enum exit_code report(const struct settings *settings)
{
    struct record record = {.count = 0};
    enum exit_code code = plot_check(&settings->reporting.plots);

    code = code == EXIT_OK ? read_records(&settings->reporting.report_files, &record) : code;
    if (code == EXIT_OK) {
        /* A file of others may say that all is well with a run whose cases say otherwise. */
        record.code = message_worse(record.code, verdict_of_cases(&record));
        if (settings->reporting.best != BEST_NONE) {
            record.best = settings->reporting.best;
            record.best_snr = figure_digits(settings->reporting.best_snr);
        }
        code = write_reports(settings, &record);
    }
    record_free(&record);
    return code;
}

/* Find out before a measurement that nobody would see its results. */
static enum exit_code check_stdout(void)
{
    const int error = process_check_output();

    if (error == 0) {
        return EXIT_OK;
    }
    message_error("standard output: %s", strerror(error));
    return EXIT_CANNOT_RUN;
}

/* A result that did not reach its reader is lost: a full disk or a closed pipe is an error. */
static enum exit_code close_stdout(enum exit_code code)
{
    bool failed;

    flush_output();
    failed = ferror(stdout) != 0;
    if (fclose(stdout) != 0 || failed) {
        message_error("standard output: %s", output_error != 0 ? strerror(output_error) : "write error");
        return message_worse(code, EXIT_CANNOT_RUN);
    }
    return code;
}

/* Find out before kernels run if results would be lost or wrong, and load the kernels of others. */
static enum exit_code get_ready(const struct settings *settings)
{
    enum exit_code code = check_stdout();

    code = code == EXIT_OK ? output_check(&settings->reporting.outputs) : code;
    code = code == EXIT_OK ? gate_check(&settings->method) : code;
    code = code == EXIT_OK ? plot_check(&settings->reporting.plots) : code;
    code = code == EXIT_OK ? plugins_load(&settings->foreign, &settings->command) : code;
    return code == EXIT_OK ? oracle_check() : code;
}

/* Do what SETTINGS ask for. */
static enum exit_code act(const struct settings *settings)
{
    enum exit_code code = EXIT_OK;

    switch (settings->action) {
    case ACTION_HELP:
        args_print_help();
        break;
    case ACTION_VERSION:
        printf("%s\n", PACKAGE_STRING);
        break;
    case ACTION_LIST_DEVICES:
        code = list_devices(settings);
        break;
    case ACTION_LIST_KERNELS:
        code = plugins_load(&settings->foreign, &settings->command);
        code = code == EXIT_OK ? list_kernels(settings) : code;
        break;
    case ACTION_LIST_MODELS:
        code = list_models(settings);
        break;
    case ACTION_DOCTOR:
        code = check_stdout();
        code = code == EXIT_OK ? doctor(settings) : code;
        break;
    case ACTION_REPORT:
        code = report(settings);
        break;
    case ACTION_FLEET:
        code = check_stdout();
        code = code == EXIT_OK ? output_check(&settings->reporting.outputs) : code;
        code = code == EXIT_OK ? fleet_action(settings) : code;
        break;
    case ACTION_AGAINST:
        code = check_stdout();
        code = code == EXIT_OK ? oracle_check() : code;
        code = code == EXIT_OK ? against(&settings->sweep, settings->reporting.format) : code;
        break;
    case ACTION_LIST_TENSORS:
        code = list_tensors(settings);
        break;
    case ACTION_CALIBRATE:
        code = check_stdout();
        code = code == EXIT_OK ? calibrate_activations(settings) : code;
        break;
    case ACTION_SOAK:
        code = get_ready(settings);
        code = code == EXIT_OK ? soak_action(settings) : code;
        break;
    case ACTION_QUALITY:
    case ACTION_DRY_RUN:
    case ACTION_MEASURE:
        code = get_ready(settings);
        if (code == EXIT_OK) {
            code = settings->comparing.runs > 0 && settings->action == ACTION_MEASURE ? measure_in_runs(settings)
                                                                                      : measure(settings);
        }
        break;
    }
    return code;
}

/* Find out which faults are asked for. */
static enum exit_code read_faults(void)
{
    const char *expected = inject_read();

    if (expected == NULL) {
        return EXIT_OK;
    }
    message_error("QUANTBENCH_INJECT: unknown fault '%s'; %s", getenv("QUANTBENCH_INJECT"), expected);
    return EXIT_USAGE;
}

int main(int argc, char **argv)
{
    struct settings settings;
    enum exit_code code;

    process_guard_descriptors();
    oracle_set_environment();
    /* Letters of names in messages are the locale's; numbers stay those of the C locale. */
    setlocale(LC_CTYPE, "");
    interrupt_install();
    code = args_parse(argc, argv, &settings);
    code = code == EXIT_OK ? read_faults() : code;
    if (code == EXIT_OK) {
        lister_main(argv);
        worker_main(argv, &settings);
        process_guard_exit(); /* what ends a child, the program tells */
        isolate_begin();
        message_init(settings.reporting.quiet, settings.reporting.verbose);
        code = used_files_check(&settings);
        code = code == EXIT_OK ? act(&settings) : code;
    }
    args_free(&settings);
    code = close_stdout(code);
    interrupt_finish();
    process_announce_exit();
    shield_exit((int)code);
    return (int)code;
}
