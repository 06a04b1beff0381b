/* SPDX-License-Identifier: Apache-2.0 */
/* main.c - the table of contents: arguments, devices, input, plan, measurements, report. */
#include <config.h>

#include "args.h"
#include "interrupt.h"
#include "list.h"
#include "report.h"
#include "tensor_file.h"

#include <errno.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Read --input, if there is one. */
static enum exit_code read_input(const struct args *args, struct machine *machine, struct tensor_file *tensor)
{
    char error[TENSOR_FILE_ERROR_SIZE];
    enum tensor_file_status status;

    if (args->input_file == NULL) {
        return EXIT_OK;
    }
    status = tensor_file_read(args->input_file, args->tensor, machine_memory_free(&machine->host), tensor, error,
                              sizeof error);
    if (status == TENSOR_FILE_OK) {
        return EXIT_OK;
    }
    message_error("%s", error);
    return status == TENSOR_FILE_IO ? EXIT_CANNOT_RUN : EXIT_USAGE;
}

/* The exit status of the whole run: a wrong result outweighs what could not run. */
static enum exit_code worse(enum exit_code a, enum exit_code b)
{
    return a > b ? a : b;
}

/* Why standard output could not be written, if so: the first error counts. */
static int output_error;

static void flush_output(void)
{
    if (fflush(stdout) != 0 && output_error == 0) {
        output_error = errno;
    }
}

/* Run all cases. A case that fails does not keep the others from running. */
static enum exit_code run_cases(struct report *report, struct machine *machine, const struct tensor_file *tensor)
{
    const struct args *args = report->args;
    struct bench bench = {.input = NULL};
    enum exit_code code = EXIT_OK;

    /* Nobody reads the rows behind one that could not be written. */
    for (size_t i = 0; i < report->plan->count && !interrupt_requested() && !ferror(stdout); i++) {
        struct result *result = &report->results[i];
        bool can_run = bench_prepare(&bench, args, machine, tensor, &report->plan->cases[i], result) == EXIT_OK;

        if (args->format == OUTPUT_TEXT && i == 0 && (can_run || report->plan->count > 1)) {
            report_text_begin(report);
        }
        if (report->plan->count > 1) {
            message_progress("case %zu of %zu...", i + 1, report->plan->count);
        } else if (can_run && args->format == OUTPUT_TEXT) {
            message_note("Warming up...");
        }
        if (can_run) {
            bench_run(&bench, args, tensor, result);
        }
        report->count++;
        code = worse(code, result->code);
        message_progress_end();
        if (args->format == OUTPUT_TEXT && (can_run || report->plan->count > 1)) {
            report_text_result(report);
            flush_output();
        }
    }
    if (interrupt_requested()) {
        message_note("interrupted: %zu of %zu cases were begun", report->count, report->plan->count);
    }
    if (args->format == OUTPUT_JSON) {
        code = worse(code, report_json(report));
    }
    bench_free(&bench);
    return code;
}

static enum exit_code measure(const struct args *args)
{
    struct machine machine;
    struct tensor_file tensor = {.data = NULL};
    struct plan plan = {.count = 0};
    const struct tensor_file *given = args->input_file != NULL ? &tensor : NULL;
    struct report report = {args, &machine, &plan, given, NULL, 0};
    enum exit_code code = machine_open(&args->devices, &machine);

    if (code == EXIT_OK) {
        code = read_input(args, &machine, &tensor);
    }
    if (code == EXIT_OK) {
        code = plan_make(args, &machine, given, &plan);
    }
    if (code == EXIT_OK) {
        report.results = calloc(plan.count, sizeof *report.results);
        code = report.results != NULL ? run_cases(&report, &machine, given)
                                      : message_out_of_memory("the results", plan.count * sizeof *report.results);
    }
    for (size_t i = 0; i < report.count; i++) {
        bench_free_result(&report.results[i]);
    }
    free(report.results);
    plan_free(&plan);
    tensor_file_free(&tensor);
    machine_close(&machine);
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
        return worse(code, EXIT_CANNOT_RUN);
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
    if (code == EXIT_OK) {
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
            code = list_kernels(&args);
            break;
        case ACTION_MEASURE:
            code = measure(&args);
            break;
        }
    }
    args_free(&args);
    code = close_stdout(code);
    interrupt_finish();
    return (int)code;
}
