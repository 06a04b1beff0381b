/* SPDX-License-Identifier: Apache-2.0 */
/* main.c - the table of contents: arguments, devices, input, plan, measurements, report. */
#include <config.h>

#include "args.h"
#include "baseline.h"
#include "doctor.h"
#include "dry_run.h"
#include "interrupt.h"
#include "journal.h"
#include "list.h"
#include "output.h"
#include "plugins.h"
#include "tensor_file.h"
#include "worker.h"

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

/* A run on its way. */
struct run {
    const struct args *args;
    struct machine *machine;
    const struct tensor_file *tensor; /* what --input read, or NULL */
    const struct plan *plan;
    struct journal *journal;
    struct record *record;
    struct bench bench;
    struct worker worker;
};

/* Prove foreign kernels harmless before they are measured. */
static enum exit_code prove(struct run *run, const struct plan_case *plan_case)
{
    if (!run->args->verify) {
        return EXIT_OK;
    }
    if (worker_is_needed(run->args, plan_case)) {
        return worker_prove(&run->worker, run->args, plan_case);
    }
    return qb_kernel_plugin(plan_case->kernel) != NULL
               ? bench_prove(&run->bench, run->args, run->tensor, plan_case, NULL)
               : EXIT_OK;
}

/* For those who watch: what is to be run, before it is, and case by case what came out. */
static void show_begin(const struct run *run)
{
    if (run->args->format->begin != NULL && run->record->count == 0) {
        run->args->format->begin(run->record, stdout);
    }
}

static void show_case(const struct run *run)
{
    if (run->args->format->add != NULL) {
        run->args->format->add(run->record, stdout);
        flush_output();
    }
}

/* Run the case INDEX, add what came out to the record and to the journal, and show it. */
static enum exit_code run_case(struct run *run, size_t index)
{
    const struct plan_case *plan_case = &run->plan->cases[index];
    bool is_sweep = run->plan->count > 1;
    struct result result;
    bool can_run = bench_prepare(&run->bench, run->args, run->machine, run->tensor, plan_case, &result) == EXIT_OK;
    enum exit_code code;

    /* A single case that cannot run is an error and nothing else. */
    if (can_run || is_sweep) {
        show_begin(run);
    }
    if (is_sweep) {
        message_progress("case %zu of %zu...", index + 1, run->plan->count);
    } else if (can_run && run->args->format->begin != NULL) {
        message_note("Warming up...");
    }
    if (can_run) {
        result.code = prove(run, plan_case);
    }
    if (can_run && result.code == EXIT_OK) {
        bench_run(&run->bench, run->args, run->tensor, &result);
    }
    code = record_add(run->record, run->args, &result);
    /* What was interrupted, or could not run, is to be done again. */
    if (code == EXIT_OK && !interrupt_requested() && (result.code == EXIT_OK || result.code == EXIT_WRONG_RESULT)) {
        code = journal_add(run->journal, index, 0, report_case_json(run->record, &run->record->cases[index]));
    }
    bench_free_result(&result);
    message_progress_end();
    if ((can_run || is_sweep) && run->record->count > index) {
        show_case(run);
    }
    return message_worse(code, result.code);
}

/* Take the result of case INDEX from the journal, if it is there, and show it. */
static bool take_case(const struct run *run, size_t index, enum exit_code *code)
{
    const struct json_t *done = journal_find(run->journal, index, 0);

    if (done == NULL) {
        return false;
    }
    show_begin(run);
    *code = record_add_json(run->record, done, run->journal->file);
    if (*code == EXIT_OK) {
        *code = run->record->cases[index].code;
        show_case(run);
    }
    return true;
}

/* Run all cases that are not in the journal. A case that fails does not keep the others from running. */
static enum exit_code run_cases(struct run *run)
{
    const size_t count = run->plan->count;
    enum exit_code code = EXIT_OK;

    /* Nobody reads the rows behind one that could not be written; a case that could not be recorded is the last. */
    for (size_t i = 0; i < count && run->record->count == i && !interrupt_requested() && !ferror(stdout); i++) {
        enum exit_code one;

        if (!take_case(run, i, &one)) {
            one = run_case(run, i);
        }
        code = message_worse(code, one);
    }
    if (interrupt_requested()) {
        message_note("interrupted: %zu of %zu cases were begun", run->record->count, count);
    }
    worker_end(&run->worker);
    bench_free(&run->bench);
    return code;
}

/* Write RECORD to standard output, unless that has been done case by case, as IS_WRITTEN says, and to the files of
 * --output. */
static enum exit_code write_reports(const struct args *args, const struct record *record, bool is_written)
{
    enum exit_code code = EXIT_OK;

    if (!is_written) {
        code = args->format->write(record, stdout);
    } else {
        args->format->end(record, stdout);
    }
    flush_output();
    return message_worse(code, output_write(&args->outputs, record));
}

static enum exit_code measure(const struct args *args)
{
    struct machine machine;
    struct tensor_file tensor = {.data = NULL};
    struct plan plan = {.count = 0};
    struct record record = {.count = 0};
    struct journal journal = {.descriptor = -1};
    const struct tensor_file *given = args->input_file != NULL ? &tensor : NULL;
    enum exit_code code = machine_open(&args->devices, &machine);

    if (code == EXIT_OK) {
        code = plan_read_tensor(args, &machine, &tensor);
    }
    if (code == EXIT_OK) {
        code = plan_make(args, &machine, given, &plan);
    }
    if (code == EXIT_OK) {
        code = record_begin(args, &machine, given, &plan, &record);
    }
    if (code == EXIT_OK) {
        code = journal_open(args, &machine, given, &plan, &journal);
    }
    if (code == EXIT_OK && args->action == ACTION_DRY_RUN) {
        code = message_worse(plan.code, dry_run(args, &machine, given, &plan, &record));
    } else if (code == EXIT_OK) {
        struct run run = {
            .args = args, .machine = &machine, .tensor = given, .plan = &plan, .journal = &journal, .record = &record};

        code = message_worse(plan.code, run_cases(&run));
        if (record_end(&record, interrupt_requested()) == EXIT_OK) {
            code = message_worse(code, write_reports(args, &record, args->format->begin != NULL));
        } else {
            code = message_worse(code, EXIT_CANNOT_RUN);
        }
    }
    journal_close(&journal);
    record_free(&record);
    plan_free(&plan);
    tensor_file_free(&tensor);
    machine_close(&machine);
    return code;
}

static enum exit_code doctor(const struct args *args)
{
    struct machine machine;
    enum exit_code code = machine_open(&args->devices, &machine);

    if (code == EXIT_OK) {
        code = doctor_report(args, &machine);
    }
    machine_close(&machine);
    return code;
}

/* --runs: other processes measure, and this one reports. */
static enum exit_code measure_in_runs(const struct args *args)
{
    struct record record;
    enum exit_code code = baseline_measure(args, &record);

    if (record.count > 0) {
        code = message_worse(code, write_reports(args, &record, false));
        code = message_worse(code, baseline_save(args, &record));
    }
    record_free(&record);
    return code;
}

/* --report: nothing is opened but the file. */
static enum exit_code report(const struct args *args)
{
    struct record record;
    enum exit_code code = record_from_json(args->report_file, &record);

    if (code == EXIT_OK) {
        code = write_reports(args, &record, false);
    }
    record_free(&record);
    return code;
}

/* A result that did not reach its reader is no result: a full disk or a closed pipe is an error. */
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

int main(int argc, char **argv)
{
    struct args args;
    enum exit_code code;

    /* Letters of names in messages are the locale's; numbers stay those of the C locale. */
    setlocale(LC_CTYPE, "");
    interrupt_install();
    code = args_parse(argc, argv, &args);
    if (code == EXIT_OK && worker_is_one(argv)) {
        message_init(true, false);
        code = plugins_load(&args);
        if (code == EXIT_OK) {
            worker_main(&args);
        }
    } else if (code == EXIT_OK) {
        message_init(args.quiet, args.verbose);
        switch (args.action) {
        case ACTION_HELP:
            args_print_help();
            break;
        case ACTION_VERSION:
            printf("%s\n", PACKAGE_STRING);
            break;
        case ACTION_LIST_DEVICES:
            code = list_devices(&args);
            break;
        case ACTION_LIST_KERNELS:
            code = plugins_load(&args);
            code = code == EXIT_OK ? list_kernels(&args) : code;
            break;
        case ACTION_LIST_MODELS:
            code = list_models(&args);
            break;
        case ACTION_DOCTOR:
            code = doctor(&args);
            break;
        case ACTION_REPORT:
            code = report(&args);
            break;
        case ACTION_DRY_RUN:
        case ACTION_MEASURE:
            code = output_check(&args.outputs);
            code = code == EXIT_OK ? plugins_load(&args) : code;
            if (code == EXIT_OK) {
                code = args.runs > 0 && args.action == ACTION_MEASURE ? measure_in_runs(&args) : measure(&args);
            }
            break;
        }
    }
    args_free(&args);
    code = close_stdout(code);
    interrupt_finish();
    return (int)code;
}
