/* SPDX-License-Identifier: Apache-2.0 */
/* report_text.c - results for people: a paragraph for one case, a table for several. A table has a column for each
 * thing that differs between its cases; what all have in common stands above it. */
#include <config.h>

#include "describe.h"
#include "report.h"

#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* The widths of the columns of a run's table, found when its head is printed; 0: the column is left out. */
static int column_widths[COLUMNS];

/* Those of the columns of results, which are printed before their widest cell is known. */
static const int result_widths[COLUMNS] = {[MEDIAN] = 9, [MIN] = 9, [RATE] = 6, [OF_COPY] = 7, [SNR] = 6};

/* Columns that a narrow terminal does without, the first one first. */
static const enum column expendable[] = {MIN, SNR, OF_COPY};

/* How many columns whoever reads STREAM can see; INT_MAX if that is nobody in particular. COLUMNS is set by users and
 * by tests. */
static int stream_width(FILE *stream)
{
    const char *columns = getenv("COLUMNS");
    struct winsize size;

    if (stream != stdout) {
        return INT_MAX;
    }
    if (columns != NULL && atoi(columns) > 0) {
        return atoi(columns);
    }
    return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : INT_MAX;
}

/* The width of a row: each column has two blanks or one behind it, and the last one has one in front. */
static int row_width(void)
{
    int width = 1 + (int)strlen(record_verification_names[NOT_VERIFIED]);

    for (enum column i = DEVICE; i < CODES; i++) {
        width += column_widths[i] > 0 ? column_widths[i] + (i < FIRST_RESULT ? 2 : 1) : 0;
    }
    return width;
}

/* Choose the columns of RECORD's table that STREAM has room for: those in which cases differ, and results. */
static void choose_columns(const struct record *record, FILE *stream)
{
    for (enum column i = DEVICE; i < FIRST_RESULT; i++) {
        column_widths[i] = describe_varies(record, i) ? (int)describe_width(record, i) : 0;
    }
    for (enum column i = FIRST_RESULT; i < COLUMNS; i++) {
        column_widths[i] = result_widths[i];
    }
    for (size_t i = 0; i < sizeof expendable / sizeof expendable[0] && row_width() > stream_width(stream); i++) {
        column_widths[expendable[i]] = 0;
    }
}

/* Print TEXT, whose parts commas separate, on lines of at most 80 columns that begin at column INDENT. */
static void print_folded(const char *text, size_t indent, FILE *stream)
{
    size_t column = indent;

    while (*text != '\0') {
        const char *comma = strstr(text, ", ");
        size_t length = comma != NULL ? (size_t)(comma - text) + 1 : strlen(text);

        if (column > indent && column + 1 + length > 80) {
            fprintf(stream, "\n%*s", (int)indent, "");
            column = indent;
        } else if (column > indent) {
            fputc(' ', stream);
            column++;
        }
        fprintf(stream, "%.*s", (int)length, text);
        column += length;
        text += comma != NULL ? length + 1 : length;
    }
}

static void print_cell(enum column column, const char *text, FILE *stream)
{
    if (column == CODES) {
        fprintf(stream, " %s\n", text);
    } else if (column >= FIRST_RESULT && column_widths[column] > 0) {
        fprintf(stream, "%*s ", column_widths[column], text);
    } else if (column < FIRST_RESULT && column_widths[column] > 0) {
        fprintf(stream, describe_is_number(column) ? "%*s  " : "%-*s  ", column_widths[column], text);
    }
}

static void print_table_head(const struct record *record, FILE *stream)
{
    char text[DESCRIBE_SIZE];

    choose_columns(record, stream);
    if (column_widths[DEVICE] == 0) {
        fprintf(stream, "device    %s\n", describe_device(record->cases[0].device, text));
    }
    fprintf(stream, "input     %s\n", describe_input(record, text));
    fprintf(stream, "all       ");
    print_folded(describe_common(record, text), 10, stream);
    fprintf(stream, "\n\n");
    for (enum column i = DEVICE; i < COLUMNS; i++) {
        print_cell(i, describe_head(i), stream);
    }
}

static void print_table_row(const struct record_case *c, FILE *stream)
{
    char text[DESCRIBE_SIZE];

    for (enum column i = DEVICE; i < COLUMNS; i++) {
        print_cell(i, describe_cell(c, i, text), stream);
    }
}

static void print_case(const struct record *record, const struct record_case *c, FILE *stream)
{
    char text[DESCRIBE_SIZE];

    plan_describe(&c->problem, text, sizeof text);
    fprintf(stream, "quantize  %s (tokens x hidden)\n", text);
    fprintf(stream, "device    %s\n", describe_device(c->device, text));
    fprintf(stream, "kernel    %s", c->kernel);
    if (c->threads > 0) {
        fprintf(stream, ", %u thread%s", c->threads, c->threads == 1 ? "" : "s");
    }
    fprintf(stream, "\n");
    fprintf(stream, "input     %s\n", describe_input(record, text));
}

static void print_cache(const struct record_case *c, FILE *stream)
{
    if (c->cache == CACHE_HOT) {
        fprintf(stream, "cache     hot: one buffer set\n");
    } else {
        fprintf(stream, "cache     %s: %u buffer sets, %.1f MB, rotate through a cache of %.1f MB\n",
                record_cache_names[c->cache], c->sets, (double)c->rotated_bytes * 1e-6,
                (double)c->device->cache_size * 1e-6);
    }
}

static void print_quality(const struct record_case *c, FILE *stream)
{
    const struct quality *q = &c->quality;
    char snr[DESCRIBE_SIZE];

    if (!c->has_quality) {
        fprintf(stream, "quality   unknown: %s\n",
                c->verification == VERIFIED ? "the program that wrote the record did not compute it"
                                            : "it is computed for codes that are verified");
        return;
    }
    if (q->finite == 0) {
        fprintf(stream, "quality   none: all %" PRIu64 " elements are NaN or infinite\n", q->nan + q->infinite);
        return;
    }
    fprintf(stream, "quality   SNR %s%s, largest error %.4g", describe_cell(c, SNR, snr), isinf(q->snr) ? "" : " dB",
            q->largest_error);
    if (!isnan(q->largest_relative_error)) {
        fprintf(stream, ", relative %.4g %%", 100 * q->largest_relative_error);
    }
    fprintf(stream, "\n          saturated %.4g %%, flushed to zero %.4g %% of the elements\n",
            100 * record_share(c, q->saturated), 100 * record_share(c, q->flushed));
    if (q->nan > 0 || q->infinite > 0) {
        fprintf(stream, "          %" PRIu64 " NaN and %" PRIu64 " infinite elements left out\n", q->nan, q->infinite);
    }
}

static void print_samples(const struct record *record, const struct record_case *c, FILE *stream)
{
    const struct stats *time = &c->time;

    fprintf(stream, "samples   %zu", c->sample_count);
    if (record->runs > 0) {
        fprintf(stream, ", each the median of one process, of %" PRIu64 " samples", record->num_iters);
    } else if (c->sample_count < record->num_iters) {
        fprintf(stream, " of %" PRIu64 " (interrupted)", record->num_iters);
    }
    fprintf(stream, ", each the mean of %" PRIu64 " launches %s\n", c->launches_per_sample,
            c->launch == LAUNCH_GRAPH ? "in a graph" : "from the host");
    fprintf(stream, "time      min %.3f, median %.3f, mean %.3f, p99 %.3f, max %.3f us\n", time->min * 1e-3,
            time->median * 1e-3, time->mean * 1e-3, time->p99 * 1e-3, time->max * 1e-3);
    if (isnan(time->ci_low)) {
        fprintf(stream, "          too few samples for a confidence interval: 6 are needed\n");
    } else {
        fprintf(stream, "          95 %% confidence interval of the median: %.3f to %.3f us\n", time->ci_low * 1e-3,
                time->ci_high * 1e-3);
    }
    fprintf(stream, "rate      %.1f GB/s", c->bytes_per_second * 1e-9);
    if (c->copy_time > 0) {
        fprintf(stream, ", %.1f %% of a plain copy of as many bytes, %.3f us", 100 * c->copy_time / time->median,
                c->copy_time * 1e-3);
    }
    fprintf(stream, "\n");
}

static void print_result(const struct record *record, const struct record_case *c, FILE *stream)
{
    fprintf(stream, "bytes     %.3f MB read + %.3f MB written = %.3f MB\n", (double)c->bytes.read * 1e-6,
            (double)c->bytes.written * 1e-6, (double)(c->bytes.read + c->bytes.written) * 1e-6);
    if (c->sample_count == 0) {
        return;
    }
    fprintf(stream, "codes     %s%s\n", record_verification_names[c->verification],
            c->verification == VERIFIED ? ": the same bytes as the reference" : "");
    print_quality(c, stream);
    print_cache(c, stream);
    if (c->launch == LAUNCH_PROFILE) {
        fprintf(stream, "sample    one launch%s\n",
                c->profiled ? " in a profiled range" : "; no profiler to start here");
    } else {
        print_samples(record, c, stream);
    }
    fprintf(stream, "Kernel running time: %.3f us\n", c->time.median * 1e-3);
}

/* The widths of the columns of the table of verdicts, the cases' first; 0: the column is left out. */
struct pair_widths {
    int cases[FIRST_RESULT];
    int pairs[PAIR_COLUMNS];
};

static void widen(int *width, const char *text)
{
    int length = (int)strlen(text);

    *width = length > *width ? length : *width;
}

static void find_pair_widths(const struct record *record, struct pair_widths *widths)
{
    const struct record_comparison *comparison = &record->comparison;
    char text[DESCRIBE_SIZE];

    *widths = (struct pair_widths){.cases = {0}};
    for (enum column i = DEVICE; i < FIRST_RESULT; i++) {
        widths->cases[i] = describe_pair_shows_case(record, i) ? (int)describe_width(record, i) : 0;
    }
    for (enum pair_column i = PAIR_BASELINE; i < PAIR_COLUMNS; i++) {
        if (describe_pair_shows(comparison, i)) {
            widen(&widths->pairs[i], describe_pair_head(comparison, i));
            for (size_t k = 0; k < comparison->count; k++) {
                widen(&widths->pairs[i], describe_pair(&comparison->pairs[k], i, text));
            }
        }
    }
}

static void print_pair_cell(int width, bool is_number, bool is_last, const char *text, FILE *stream)
{
    if (is_last) {
        fprintf(stream, "%s\n", text);
    } else if (width > 0) {
        fprintf(stream, is_number ? "%*s  " : "%-*s  ", width, text);
    }
}

/* A row of the table of verdicts; its head if PAIR is NULL. */
static void print_pair(const struct record *record, const struct record_pair *pair, const struct pair_widths *widths,
                       FILE *stream)
{
    char text[DESCRIBE_SIZE];

    for (enum column i = DEVICE; i < FIRST_RESULT; i++) {
        print_pair_cell(widths->cases[i], describe_is_number(i), false,
                        pair != NULL ? describe_cell(&record->cases[pair->result], i, text) : describe_head(i), stream);
    }
    for (enum pair_column i = PAIR_BASELINE; i < PAIR_COLUMNS; i++) {
        print_pair_cell(widths->pairs[i], describe_pair_is_number(i), i == PAIR_VERDICT,
                        pair != NULL ? describe_pair(pair, i, text) : describe_pair_head(&record->comparison, i),
                        stream);
    }
}

void report_text_end(const struct record *record, FILE *stream)
{
    const struct record_comparison *comparison = &record->comparison;
    struct pair_widths widths;
    char text[DESCRIBE_SIZE];

    if (comparison->axis == COMPARE_NOTHING) {
        return;
    }
    fprintf(stream, "\ncompare   ");
    print_folded(describe_comparison(record, text), 10, stream);
    fprintf(stream, "\n\n");
    find_pair_widths(record, &widths);
    print_pair(record, NULL, &widths, stream);
    for (size_t i = 0; i < comparison->count; i++) {
        print_pair(record, &comparison->pairs[i], &widths, stream);
    }
    for (size_t i = 0; i < comparison->mean_count; i++) {
        fprintf(stream, "%smean      ", i == 0 ? "\n" : "");
        print_folded(describe_mean(&comparison->means[i], text), 10, stream);
        fprintf(stream, "\n");
    }
}

void report_text_begin(const struct record *record, FILE *stream)
{
    if (record->planned == 1) {
        print_case(record, &record->cases[0], stream);
    } else {
        print_table_head(record, stream);
    }
}

static void print_one(const struct record *record, const struct record_case *c, FILE *stream)
{
    if (record->planned == 1) {
        print_result(record, c, stream);
    } else {
        print_table_row(c, stream);
    }
}

void report_text_add(const struct record *record, FILE *stream)
{
    print_one(record, &record->cases[record->count - 1], stream);
}

enum exit_code report_text(const struct record *record, FILE *stream)
{
    if (record->count > 0) {
        report_text_begin(record, stream);
    }
    for (size_t i = 0; i < record->count; i++) {
        print_one(record, &record->cases[i], stream);
    }
    report_text_end(record, stream);
    return EXIT_OK;
}
