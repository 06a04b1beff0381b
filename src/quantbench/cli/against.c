/* SPDX-License-Identifier: Apache-2.0 */
/* against.c - how near the codes of a checkpoint come to the original tensor, and how near ours would come. Ours are
 * the reference's, which every kernel's are, so that nothing runs on a device. */
#include <config.h>

#include "base/document.h"
#include "base/interrupt.h"
#include "cases/machine.h"
#include "cases/inputs.h"
#include "cases/quantization.h"
#include "cases/quantized_file.h"
#include "check/verify.h"
#include "cli/against.h"
#include "model/record.h"
#include "report/describe.h"
#include "report/fold.h"
#include "report/report.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SCHEMA         "quantbench-against"
#define SCHEMA_VERSION 1

/* The original, and what is made of it. */
struct pair {
    struct tensor_file original;
    struct quantized_file file;
    struct record_case *cases; /* of the file, of ours in the same way, and of ours as was asked for */
    size_t count;              /* so far */
};

/* ---- Ratings ---------------------------------------------------------------------------------------------------- */

/* Let C be what QUALITY the codes of PROBLEM have. */
static void set_case(struct record_case *c, const struct qb_problem *problem, const struct quality *quality)
{
    *c = (struct record_case){.problem = *problem};
    c->found.checked.verification = VERIFIED;
    c->found.checked.quality = *quality;
    c->found.has_quality = true;
    record_derive(c);
}

/* Rate the codes of the file. */
static enum exit_code rate_file(struct pair *pair)
{
    const struct qb_arithmetic contract = {.quotient = QB_QUOTIENT_DIVIDE};
    struct qb_tensors tensors = pair->file.tensors;
    struct quality quality;

    tensors.at[QB_ROLE_INPUT] = pair->original.data;
    if (!quality_compute(&pair->file.problem, &contract, &tensors, &quality)) {
        return message_out_of_memory("the quality of the codes", pair->original.tokens * pair->original.hidden);
    }
    set_case(&pair->cases[pair->count++], &pair->file.problem, &quality);
    return EXIT_OK;
}

/* Quantize the original as PROBLEM says, and rate that. */
static enum exit_code rate_ours(struct pair *pair, const struct qb_problem *problem)
{
    const struct qb_arithmetic contract = {.quotient = QB_QUOTIENT_DIVIDE};
    const struct case_data data = {.at = {[QB_ROLE_INPUT] = pair->original.data}, .values = pair->original.data};
    struct expectation expectation = {.tensors = {.size = sizeof expectation.tensors}};
    enum exit_code code = verify_expect(problem, &contract, &data, false, true, &expectation);

    if (code == EXIT_OK) {
        set_case(&pair->cases[pair->count++], problem, &expectation.quality);
    }
    verify_free(&expectation);
    return code;
}

/* Set PROBLEM to combination INDEX of SWEEP for the original. What SWEEP leaves open is as in the file; an output that
 * is chosen has its own granularity and scales. False, without a message, if that is not valid. */
static bool set_asked(const struct sweep *sweep, size_t index, const struct pair *pair, struct qb_problem *problem)
{
    const struct qb_problem *file = &pair->file.problem;

    qb_problem_init(problem);
    problem->input = pair->original.format;
    problem->tokens = pair->original.tokens;
    problem->hidden = pair->original.hidden;
    problem->amax_bound = sweep->scale_ub;
    quantization_set(sweep, index, problem);
    if (!sweep->chose_quant_dtype) {
        problem->output = file->output;
        problem->zero_points = sweep->asymmetric ? problem->zero_points : file->zero_points;
        if (!sweep->chose_granularity) {
            problem->granularity = file->granularity;
            problem->group = file->group;
            problem->block_rows = file->block_rows;
            problem->block_cols = file->block_cols;
        }
        /* Scales of one byte are for groups. */
        if (sweep->scale_formats.count == 0 && problem->granularity == QB_GRANULARITY_GROUP) {
            problem->scale_format = file->scale_format;
        }
        if (sweep->tensor_scales.count == 0 && problem->scale_format == QB_FORMAT_E4M3 &&
            file->tensor_scale != QB_TENSOR_SCALE_NONE) {
            problem->tensor_scale = QB_TENSOR_SCALE_COMPUTED;
        }
    }
    return qb_problem_validate(problem) == QB_OK;
}

/* Rate the file's codes, ours in the same way, and ours in the first COUNT ways of SWEEP, until a signal ends it. */
static enum exit_code rate_all(const struct sweep *sweep, size_t count, struct pair *pair)
{
    struct qb_problem problem = pair->file.problem;
    enum exit_code code;

    pair->cases = calloc(count + 2, sizeof *pair->cases);
    if (pair->cases == NULL) {
        return message_out_of_memory("the list of results", (count + 2) * sizeof *pair->cases);
    }
    code = rate_file(pair);
    problem.scaling = QB_SCALING_DYNAMIC;
    problem.tensor_scale =
        problem.tensor_scale != QB_TENSOR_SCALE_NONE ? QB_TENSOR_SCALE_COMPUTED : QB_TENSOR_SCALE_NONE;
    code = code == EXIT_OK ? rate_ours(pair, &problem) : code;
    for (size_t i = 0; i < count && code == EXIT_OK && !interrupt_requested(); i++) {
        if (!set_asked(sweep, i, pair, &problem)) {
            message_error("--against: conflicts with the options for ours, as the file has codes of %s: %s; use "
                          "--quant-dtype",
                          qb_format_info(pair->file.problem.output)->name, qb_error_detail());
            code = EXIT_USAGE;
        } else if (quantization_announce(sweep, i, &problem)) {
            code = rate_ours(pair, &problem);
        }
    }
    if (interrupt_requested()) {
        message_note("interrupted: the results until then are reported");
    }
    return code;
}

/* ---- Text ------------------------------------------------------------------------------------------------------- */

#define NAME_COLUMN 59

/* NUMBER with two digits, or the word for what is none. */
static void print_decibels(double number)
{
    if (isfinite(number)) {
        printf("%9.2f", number);
    } else {
        printf("%9s", isnan(number) ? "undefined" : number > 0 ? "exact" : "-inf");
    }
}

static void print_text(const struct pair *pair)
{
    char name[DESCRIBE_SIZE];

    printf("original  %s, %s [%" PRIu64 ", %" PRIu64 "]\n", pair->original.label,
           qb_format_info(pair->original.format)->name, pair->original.tokens, pair->original.hidden);
    printf("against   %s, %s\n", pair->file.label, pair->file.codes);
    printf("scales    %s\n\n", pair->file.scales);
    printf("%6s %9s %9s %10s %9s %9s  %s\n", "", "SNR dB", "rest dB", "max error", "satur. %", "flushed %",
           "quantized to");
    for (size_t i = 0; i < pair->count; i++) {
        const struct record_case *c = &pair->cases[i];

        printf("%-6s ", i == 0 ? "file's" : "ours");
        print_decibels(c->found.checked.quality.snr);
        putchar(' ');
        print_decibels(c->found.checked.quality.rest_snr);
        printf(" %10.4g %9.4g %9.4g  ", c->found.checked.quality.largest_error, 100 * c->found.saturated_share,
               100 * c->found.flushed_share);
        fold_print(describe_way(c, name), NAME_COLUMN, NAME_COLUMN, fold_width(stdout), stdout);
        putchar('\n');
    }
}

/* ---- JSON ------------------------------------------------------------------------------------------------------- */

static enum exit_code print_json(const struct pair *pair)
{
    json_t *results = json_array();

    for (size_t i = 0; i < pair->count; i++) {
        const struct record_case *c = &pair->cases[i];

        document_append(&results,
                        json_pack("{s:s, s:o, s:o}", "codes_of", i == 0 ? "file" : "ours", "problem",
                                  report_problem_json(&c->problem), "quality", report_group_json(c, "quality")));
    }
    return document_print(
        json_pack("{s:s, s:I, s:o, s:o, s:o, s:o, s:o}", "schema", SCHEMA, "schema_version", (json_int_t)SCHEMA_VERSION,
                  "original", document_text(pair->original.label), "against", document_text(pair->file.label), "codes",
                  document_text(pair->file.codes), "scales", document_text(pair->file.scales), "results", results),
        stdout);
}

/* ---- All of it -------------------------------------------------------------------------------------------------- */

/* How many ways to quantize were asked for, besides that of the file. */
static size_t count_asked(const struct sweep *s)
{
    const bool any = s->chose_quant_dtype || s->chose_granularity || s->asymmetric || s->packings.count > 0 ||
                     s->scale_formats.count > 0 || s->scale_roundings.count > 0 || s->scale_layouts.count > 0 ||
                     s->tensor_scales.count > 0 || s->scale_ub > 0;

    return any ? quantization_count(s) : 0;
}

static enum exit_code read_original(const struct sweep *sweep, struct machine *machine, struct tensor_file *original)
{
    char error[TENSOR_FILE_ERROR_SIZE];
    enum tensor_file_status status;

    if (sweep->input_files.count > 1) {
        message_error("--against: requires one --input; %zu were given", sweep->input_files.count);
        return EXIT_USAGE;
    }
    status = tensor_file_read(sweep->input_files.values[0], sweep->tensor, machine_memory_free(&machine->host),
                              original, error, sizeof error);
    if (status == TENSOR_FILE_OK) {
        return EXIT_OK;
    }
    message_error_lines(error);
    return status == TENSOR_FILE_IO ? EXIT_CANNOT_RUN : EXIT_USAGE;
}

static enum exit_code read_file(const struct sweep *sweep, struct machine *machine, struct pair *pair)
{
    const char *name = sweep->against_tensor != NULL ? sweep->against_tensor : pair->original.name;
    char error[TENSOR_FILE_ERROR_SIZE];
    enum tensor_file_status status;

    if (name == NULL) {
        message_error("--against: the original has no name in a .npy file; use --against-tensor=NAME");
        return EXIT_USAGE;
    }
    status = quantized_file_read(sweep->against, name, &pair->original, machine_memory_free(&machine->host),
                                 &pair->file, error, sizeof error);
    if (status == TENSOR_FILE_OK) {
        return EXIT_OK;
    }
    message_error_lines(error);
    return status == TENSOR_FILE_IO ? EXIT_CANNOT_RUN : EXIT_USAGE;
}

enum exit_code against(const struct sweep *sweep, const struct report_format *format)
{
    char *cpu[] = {(char[]){"cpu"}};
    const struct names devices = {1, cpu};
    struct pair pair = {.count = 0};
    struct machine machine;
    enum exit_code code = machine_open(&devices, &machine);

    code = code == EXIT_OK ? read_original(sweep, &machine, &pair.original) : code;
    code = code == EXIT_OK ? read_file(sweep, &machine, &pair) : code;
    code = code == EXIT_OK ? rate_all(sweep, count_asked(sweep), &pair) : code;
    if (code == EXIT_OK && format == report_format_find("text")) {
        print_text(&pair);
    } else if (code == EXIT_OK) {
        code = print_json(&pair);
    }
    free(pair.cases);
    quantized_file_free(&pair.file);
    tensor_file_free(&pair.original);
    machine_close(&machine);
    return code;
}
