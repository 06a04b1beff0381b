/* SPDX-License-Identifier: Apache-2.0 */
/* calibration_report.c - see calibration_report.h. */
#include <config.h>

#include "base/document.h"
#include "base/label.h"
#include "check/census.h"
#include "cli/calibration_report.h"
#include "model/problem_text.h"
#include "model/record.h"
#include "model/recipe.h"
#include "report/describe.h"
#include "report/field.h"
#include "report/fold.h"

#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define SCHEMA         "quantbench-calibration"
#define SCHEMA_VERSION 1

const char calibration_report_formats[] = "text, json, csv or markdown";

/* ---- Words ------------------------------------------------------------------------------------------------------ */

#define METHOD_SIZE 32

/* The method as in --calibrate, or where else scales are from. */
static const char *method_text(const struct calibration_method *method, char text[METHOD_SIZE])
{
    static const char *const words[] = {
        [CALIBRATION_AMAX] = "amax",
        [CALIBRATION_MSE] = "mse",
        [CALIBRATION_GIVEN] = "given",
        [CALIBRATION_DYNAMIC] = "dynamic",
        [CALIBRATION_PERCENTILE] = "percentile:",
        [CALIBRATION_DYNAMIC_TOKEN] = "dynamic-token",
    };

    uint64_t decimals = method->percent % CENSUS_PERCENT, unit = CENSUS_PERCENT / 10;
    int length = snprintf(text, METHOD_SIZE, "%s", words[method->source]);

    if (method->source == CALIBRATION_PERCENTILE) {
        length += snprintf(text + length, METHOD_SIZE - (size_t)length, "%" PRIu64 "%s",
                           method->percent / CENSUS_PERCENT, decimals > 0 ? "." : "");
        for (; decimals > 0; decimals %= unit, unit /= 10) {
            length += snprintf(text + length, METHOD_SIZE - (size_t)length, "%" PRIu64, decimals / unit);
        }
    }
    return text;
}

/* The format that WAY quantizes to. */
static const char *output_text(const struct calibrated_way *way, char text[DESCRIBE_SIZE])
{
    snprintf(text, DESCRIBE_SIZE, "%s%s%s", recipe_name(&way->problem),
             way->problem.zero_points != QB_ZERO_POINTS_NONE ? ", zero points" : "",
             way->problem.scale_format == QB_FORMAT_F16 ? ", half scales" : "");
    return text;
}

/* NUMBER in the fewest digits that tell it from all others, and with an exponent only where it is long without. */
static const char *number_text(float number, char text[PROBLEM_NUMBER_SIZE])
{
    problem_number_text(number == 0 ? 0 : number, text);
    snprintf(text, PROBLEM_NUMBER_SIZE, "%.*g", FLT_DECIMAL_DIG + 1, strtod(text, NULL));
    return text;
}

/* NUMBER with two digits, or the word for what is none. */
static const char *decibel_text(double number, char text[PROBLEM_NUMBER_SIZE])
{
    if (isfinite(number)) {
        snprintf(text, PROBLEM_NUMBER_SIZE, "%.2f", number);
    } else {
        snprintf(text, PROBLEM_NUMBER_SIZE, "%s", isnan(number) ? "-" : number > 0 ? "exact" : "-inf");
    }
    return text;
}

static double share_of(uint64_t part, const struct quality *quality)
{
    return quality->finite > 0 ? (double)part / (double)quality->finite : (double)NAN;
}

/* ---- Text ------------------------------------------------------------------------------------------------------- */

static void print_tensor(const struct calibrated_tensor *tensor, int width, FILE *stream)
{
    char name[LABEL_TEXT_SIZE], low[PROBLEM_NUMBER_SIZE], high[PROBLEM_NUMBER_SIZE];
    char line[LABEL_TEXT_SIZE + 256];

    snprintf(line, sizeof line, "%s: %zu dump%s, %s [%" PRIu64 ", %" PRIu64 "], from %s to %s%s",
             label_text(name, tensor->name, strlen(tensor->name)), tensor->dump_count,
             tensor->dump_count == 1 ? "" : "s", qb_format_info(tensor->format)->name, tensor->rows, tensor->hidden,
             number_text(tensor->low, low), number_text(tensor->high, high),
             calibration_is_zero(tensor) ? ": all 0" : "");
    fold_print(line, 0, 2, width, stream);
    if (tensor->nan + tensor->infinite > 0) {
        fprintf(stream, "\n  %" PRIu64 " NaN and %" PRIu64 " infinities do not count", tensor->nan, tensor->infinite);
    }
    putc('\n', stream);
}

static void print_way(const struct calibrated_way *way, FILE *stream)
{
    const bool is_static = calibration_is_static(way->method.source);
    char method[METHOD_SIZE], number[PROBLEM_NUMBER_SIZE], output[DESCRIBE_SIZE], zero[16] = "-";

    if (is_static && way->problem.zero_points != QB_ZERO_POINTS_NONE) {
        snprintf(zero, sizeof zero, "%d", way->zero_point);
    }
    fprintf(stream, "  %-18s %14s %5s ", method_text(&way->method, method),
            is_static ? number_text(way->scale, number) : "-", zero);
    fprintf(stream, "%7s ", decibel_text(way->quality.snr, number));
    fprintf(stream, "%7s ", decibel_text(way->loss, number));
    fprintf(stream, "%7s ", decibel_text(way->token_loss, number));
    fprintf(stream, "%8.3g %8.3g  %s\n", 100 * share_of(way->quality.saturated, &way->quality),
            100 * share_of(way->quality.flushed, &way->quality), output_text(way, output));
}

/* What the losses of a way come to. */
struct losses {
    double *values;
    size_t count;
    double largest;
    const char *name; /* of that tensor */
};

static int compare_numbers(const void *a, const void *b)
{
    const double left = *(const double *)a, right = *(const double *)b;

    return (left > right) - (left < right);
}

static double median_of(struct losses *losses)
{
    qsort(losses->values, losses->count, sizeof *losses->values, compare_numbers);
    return (losses->values[(losses->count - 1) / 2] + losses->values[losses->count / 2]) / 2;
}

static void add_loss(const struct calibrated_tensor *tensor, double loss, struct losses *losses)
{
    if (!isnan(loss)) {
        losses->values[losses->count++] = loss;
        losses->name = losses->count == 1 || loss > losses->largest ? tensor->name : losses->name;
        losses->largest = losses->count == 1 || loss > losses->largest ? loss : losses->largest;
    }
}

/* True if A and B are the same way to scale two tensors. */
static bool is_same_way(const struct calibrated_way *a, const struct calibrated_way *b)
{
    char left[DESCRIBE_SIZE], right[DESCRIBE_SIZE];

    return a->method.source == b->method.source && a->method.percent == b->method.percent &&
           strcmp(output_text(a, left), output_text(b, right)) == 0;
}

/* Set LOSSES to what WAY loses in all tensors, to scales of each token or of each dump. */
static void collect_losses(const struct calibrated_set *calibration, const struct calibrated_way *way, bool by_token,
                           struct losses *losses)
{
    losses->count = 0;
    for (size_t i = 0; i < calibration->count; i++) {
        const struct calibrated_tensor *const tensor = &calibration->tensors[i];

        for (size_t k = 0; k < tensor->way_count; k++) {
            if (is_same_way(&tensor->ways[k], way)) {
                add_loss(tensor, by_token ? tensor->ways[k].token_loss : tensor->ways[k].loss, losses);
            }
        }
    }
}

/* The line of WAY: the losses to scales of each dump and of each token, and the tensor that loses most. */
static void print_losses(const struct calibrated_set *calibration, const struct calibrated_way *way,
                         struct losses *losses, FILE *stream)
{
    char method[METHOD_SIZE], output[DESCRIBE_SIZE], name[LABEL_TEXT_SIZE] = "-", number[PROBLEM_NUMBER_SIZE];

    fprintf(stream, "  %-18s", method_text(&way->method, method));
    for (int by_token = 0; by_token < 2; by_token++) {
        collect_losses(calibration, way, by_token != 0, losses);
        fprintf(stream, " %8s", decibel_text(losses->count > 0 ? median_of(losses) : (double)NAN, number));
        fprintf(stream, " %8s", decibel_text(losses->count > 0 ? losses->largest : (double)NAN, number));
        if (losses->count > 0) {
            snprintf(name, sizeof name, "%s", losses->name);
        }
    }
    fprintf(stream, "  %s: ", output_text(way, output));
    message_print_text(describe_cut(name, DESCRIBE_NAME_WIDTH), stream);
    putc('\n', stream);
}

static void print_summary(const struct calibrated_set *calibration, struct losses *losses, FILE *stream)
{
    const struct calibrated_tensor *const first = &calibration->tensors[0];

    fprintf(stream, "\n%zu tensors: dB that static scales lose\n", calibration->count);
    fprintf(stream, "%-20s %17s %17s\n", "", "to each dump's", "to each token's");
    fprintf(stream, "%-20s %8s %8s %8s %8s  %s\n", "  scales", "median", "most", "median", "most",
            "quantized to: which loses most");
    for (size_t i = 0; i < first->way_count; i++) {
        if (calibration_is_static(first->ways[i].method.source)) {
            print_losses(calibration, &first->ways[i], losses, stream);
        }
    }
}

static enum exit_code write_text(const struct calibrated_set *calibration, FILE *stream)
{
    struct losses losses = {.values = calloc(calibration->count, sizeof *losses.values)};

    if (losses.values == NULL) {
        return message_out_of_memory("the summary", calibration->count * sizeof *losses.values);
    }
    fprintf(stream, "%50s %15s\n", "", "dB lost to each");
    fprintf(stream, "%-20s %14s %5s %7s %7s %7s %8s %8s  %s\n", "  scales", "scale", "zero", "SNR dB", "dump's",
            "token's", "satur. %", "flush. %", "quantized to");
    for (size_t i = 0; i < calibration->count; i++) {
        print_tensor(&calibration->tensors[i], fold_width(stream), stream);
        for (size_t k = 0; k < calibration->tensors[i].way_count; k++) {
            print_way(&calibration->tensors[i].ways[k], stream);
        }
    }
    if (calibration->count > 1) {
        print_summary(calibration, &losses, stream);
    }
    free(losses.values);
    return EXIT_OK;
}

/* ---- Rows ------------------------------------------------------------------------------------------------------- */

/* A table in CSV or Markdown, and the line that is being written. */
struct table {
    bool is_csv, has_cells;
    FILE *stream;
};

static const char *const heads[] = {
    "tensor",     "dumps",  "rows",        "hidden",        "dtype",           "nan",          "infinite",
    "low",        "high",   "quant_dtype", "zero_points",   "scale_format",    "scales",       "scale",
    "zero_point", "snr_db", "loss_db",     "token_loss_db", "saturated_share", "flushed_share"};
#define HEADS (sizeof heads / sizeof heads[0])

static void add_cell(struct table *table, const char *text)
{
    fputs(table->is_csv ? (table->has_cells ? "," : "") : (table->has_cells ? " " : "| "), table->stream);
    if (table->is_csv) {
        field_csv(text, table->stream);
    } else {
        field_markdown(text, table->stream);
        fputs(" |", table->stream);
    }
    table->has_cells = true;
}

static void end_row(struct table *table)
{
    putc('\n', table->stream);
    table->has_cells = false;
}

/* A cell of a number, which is never a formula. */
static void add_number(struct table *table, const char *number)
{
    fprintf(table->stream, table->is_csv ? ",%s" : " %s |", number);
}

static void add_count(struct table *table, uint64_t count)
{
    char text[32];

    snprintf(text, sizeof text, "%" PRIu64, count);
    add_number(table, text);
}

static void add_real(struct table *table, double number)
{
    char text[32];

    snprintf(text, sizeof text, "%.6g", number);
    add_number(table, isnan(number) ? "" : text);
}

static void add_float(struct table *table, float number, bool is_known)
{
    char text[PROBLEM_NUMBER_SIZE];

    add_number(table, is_known ? number_text(number, text) : "");
}

static void add_row(struct table *table, const struct calibrated_tensor *tensor, const struct calibrated_way *way)
{
    const bool is_static = calibration_is_static(way->method.source);
    char name[LABEL_TEXT_SIZE], method[METHOD_SIZE];

    add_cell(table, table->is_csv ? tensor->name : label_text(name, tensor->name, strlen(tensor->name)));
    add_count(table, tensor->dump_count);
    add_count(table, tensor->rows);
    add_count(table, tensor->hidden);
    add_cell(table, qb_format_info(tensor->format)->name);
    add_count(table, tensor->nan);
    add_count(table, tensor->infinite);
    add_float(table, tensor->low, true);
    add_float(table, tensor->high, true);
    add_cell(table, recipe_name(&way->problem));
    add_cell(table, qb_zero_points_name(way->problem.zero_points));
    add_cell(table, problem_scale_format_name(way->problem.scale_format));
    add_cell(table, method_text(&way->method, method));
    add_float(table, way->scale, is_static);
    if (is_static && way->problem.zero_points != QB_ZERO_POINTS_NONE) {
        add_real(table, way->zero_point);
    } else {
        add_number(table, "");
    }
    add_real(table, way->quality.snr);
    add_real(table, way->loss);
    add_real(table, way->token_loss);
    add_real(table, share_of(way->quality.saturated, &way->quality));
    add_real(table, share_of(way->quality.flushed, &way->quality));
    end_row(table);
}

static enum exit_code write_rows(const struct calibrated_set *calibration, bool is_csv, FILE *stream)
{
    struct table table = {.is_csv = is_csv, .stream = stream};

    for (size_t i = 0; i < HEADS; i++) {
        add_cell(&table, heads[i]);
    }
    end_row(&table);
    for (size_t i = 0; i < HEADS && !is_csv; i++) {
        fputs(i == 0 ? "|---|" : "---|", stream);
    }
    if (!is_csv) {
        end_row(&table);
    }
    for (size_t i = 0; i < calibration->count; i++) {
        for (size_t k = 0; k < calibration->tensors[i].way_count; k++) {
            add_row(&table, &calibration->tensors[i], &calibration->tensors[i].ways[k]);
        }
    }
    return EXIT_OK;
}

/* ---- JSON ------------------------------------------------------------------------------------------------------- */

/* NUMBER in the fewest digits that tell it from all others. */
static json_t *float_json(float number)
{
    char text[PROBLEM_NUMBER_SIZE];

    return isfinite(number) ? json_real(strtod(number_text(number, text), NULL)) : json_null();
}

static json_t *real_json(double number)
{
    return isfinite(number) ? json_real(number) : json_null();
}

static json_t *way_json(const struct calibrated_way *way)
{
    const bool is_static = calibration_is_static(way->method.source);
    const bool has_range = is_static && way->method.source != CALIBRATION_GIVEN;
    struct record_case c = {.problem = way->problem};
    char method[METHOD_SIZE];

    c.found.checked.quality = way->quality;
    c.found.has_quality = true;
    record_derive(&c);
    return json_pack(
        "{s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "scales", method_text(&way->method, method), "problem",
        report_problem_json(&way->problem), "scale", is_static ? float_json(way->scale) : json_null(), "zero_point",
        is_static && way->problem.zero_points != QB_ZERO_POINTS_NONE ? json_integer(way->zero_point) : json_null(),
        "range_low", has_range ? float_json(way->low) : json_null(), "range_high",
        has_range ? float_json(way->high) : json_null(), "loss_db", real_json(way->loss), "token_loss_db",
        real_json(way->token_loss), "quality", report_group_json(&c, "quality"), "is_static", json_boolean(is_static));
}

static json_t *tensor_json(const struct calibrated_tensor *tensor)
{
    json_t *dumps = json_array(), *ways = json_array();

    for (size_t i = 0; i < tensor->dump_count; i++) {
        const struct calibrated_dump *const dump = &tensor->dumps[i];

        document_append(&dumps, json_pack("{s:o, s:o, s:o, s:o, s:o, s:o}", "file", document_text(dump->file), "tensor",
                                          dump->name != NULL ? document_text(dump->name) : json_null(), "rows",
                                          document_number(dump->rows), "nan", document_number(dump->nan), "infinite",
                                          document_number(dump->infinite), "amax", float_json(dump->amax)));
    }
    for (size_t i = 0; i < tensor->way_count; i++) {
        document_append(&ways, way_json(&tensor->ways[i]));
    }
    return json_pack("{s:o, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "name", document_text(tensor->name),
                     "dtype", qb_format_info(tensor->format)->name, "rows", document_number(tensor->rows), "hidden",
                     document_number(tensor->hidden), "finite", document_number(tensor->finite), "nan",
                     document_number(tensor->nan), "infinite", document_number(tensor->infinite), "low",
                     float_json(tensor->low), "high", float_json(tensor->high), "dumps", dumps, "results", ways);
}

static enum exit_code write_json(const struct calibrated_set *calibration, FILE *stream)
{
    json_t *tensors = json_array();

    for (size_t i = 0; i < calibration->count; i++) {
        document_append(&tensors, tensor_json(&calibration->tensors[i]));
    }
    return document_print(json_pack("{s:s, s:I, s:s, s:o, s:o}", "schema", SCHEMA, "schema_version",
                                    (json_int_t)SCHEMA_VERSION, "version", PACKAGE_VERSION, "interrupted",
                                    json_boolean(calibration->interrupted), "tensors", tensors),
                          stream);
}

/* ---- All of it -------------------------------------------------------------------------------------------------- */

static bool is_format(const struct report_format *format, const char *name)
{
    return strcmp(format->name, name) == 0;
}

bool calibration_report_can(const struct report_format *format)
{
    return is_format(format, "text") || is_format(format, "json") || is_format(format, "csv") ||
           is_format(format, "markdown");
}

enum exit_code calibration_report_write(const struct report_format *format, const struct calibrated_set *calibration,
                                        FILE *stream)
{
    return is_format(format, "json")   ? write_json(calibration, stream)
           : is_format(format, "text") ? write_text(calibration, stream)
                                       : write_rows(calibration, is_format(format, "csv"), stream);
}
