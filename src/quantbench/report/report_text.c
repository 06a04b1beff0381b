/* SPDX-License-Identifier: Apache-2.0 */
/* report_text.c - results for people: a paragraph for one case, a table for several. A table has a column for each
 * thing that differs between its cases; what all have in common stands above it. */
#include <config.h>

#include "report/describe.h"
#include "report/fold.h"
#include "report/report.h"
#include "report/spent.h"
#include "report/summary.h"
#include "verdict/verdict.h"
#include "base/label.h"
#include "base/saturate.h"
#include "model/part.h"
#include "model/problem_text.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Columns that a narrow terminal does without, the first one first. */
static const enum column expendable[] = {SNR, HOST, PRECISION, OF_CEILING, RATE};

/* True if the time that the host takes for a launch is worth a column: it is the launch's own on the CPU, and of no
 * account in a graph. */
static bool shows_host(const struct record *record)
{
    for (size_t i = 0; i < record->count; i++) {
        const struct record_case *c = &record->cases[i];

        if (c->threads == 0 && (c->launch == LAUNCH_STREAM || c->launch == LAUNCH_ISOLATED)) {
            return true;
        }
    }
    return false;
}

/* The text of a cell: names are cut. Returns TEXT. */
static const char *cell_text(const struct record_case *c, enum column column, char text[DESCRIBE_SIZE])
{
    const char *cell = describe_cell(c, column, text);

    return column == TENSOR && cell == text ? describe_cut(text, DESCRIBE_NAME_WIDTH) : cell;
}

/* The width of COLUMN. */
static int cell_width(const struct record *record, enum column column)
{
    const int width = (int)describe_width(record, column);

    return column == TENSOR && width > DESCRIBE_NAME_WIDTH ? DESCRIBE_NAME_WIDTH : width;
}

/* The width of a row: each column has two blanks after it. */
static int row_width(const int *widths)
{
    int width = 0;

    for (enum column i = SOURCE; i < COLUMNS; i++) {
        width += widths[i] > 0 ? widths[i] + (i < CODES ? 2 : 0) : 0;
    }
    return width;
}

/* The widths of the columns of RECORD's table that there is room for: those in which cases differ, and results. 0:
 * the column is left out. */
static void choose_columns(const struct record *record, int *widths)
{
    for (enum column i = SOURCE; i < COLUMNS; i++) {
        bool is_shown = i < FIRST_RESULT ? describe_varies(record, i)
                                         : describe_shows(record, i) && (i != HOST || shows_host(record));

        widths[i] = is_shown ? cell_width(record, i) : 0;
    }
    for (size_t i = 0; i < sizeof expendable / sizeof expendable[0] && row_width(widths) > report_width(); i++) {
        widths[expendable[i]] = 0;
    }
}

/* Print TEXT as fold_print() does, from COLUMN on, in lines that begin at column INDENT, and a newline. */
static void print_folded(const char *text, size_t column, size_t indent, FILE *stream)
{
    fold_print(text, column, indent, report_width(), stream);
    fputc('\n', stream);
}

/* A line that LABEL begins, and more if TEXT is longer. */
static void print_field(const char *label, const char *text, FILE *stream)
{
    fprintf(stream, "%-10s", label);
    print_folded(text, 10, 10, stream);
}

/* The same of text as fprintf() has it. */
__attribute__((format(printf, 3, 4))) static void print_line(FILE *stream, const char *label, const char *format, ...)
{
    char text[2 * DESCRIBE_SIZE];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    print_field(label, text, stream);
}

/* A cell of a table with WIDTHS, and the end of its line after the last one. */
static void print_cell(enum column column, const int *widths, const char *text, FILE *stream)
{
    bool is_last = widths[column] > 0;

    for (enum column i = column + 1; i < COLUMNS; i++) {
        is_last = is_last && widths[i] == 0;
    }
    if (widths[column] > 0) {
        fprintf(stream, describe_is_number(column) ? "%*s" : "%-*s",
                is_last && !describe_is_number(column) ? 0 : widths[column], text);
        fputs(is_last ? "\n" : "  ", stream);
    }
}

/* What is in doubt about a case, a line each that begins with LABEL, and goes on at column INDENT. */
static void print_doubts(const struct record *record, const struct record_case *c, const char *label, size_t indent,
                         FILE *stream)
{
    unsigned doubts = record_doubts(c);

    for (unsigned bit = 1; bit <= doubts; bit <<= 1) {
        char text[DESCRIBE_SIZE];

        if ((doubts & bit) != 0) {
            fputs(label, stream);
            print_folded(describe_doubt(record, c, (enum doubt)bit, text), strlen(label), indent, stream);
        }
    }
}

/* The same of each row of the table above. */
static void print_row_doubts(const struct record *record, FILE *stream)
{
    bool any = false;

    for (size_t i = 0; i < record->count; i++) {
        char label[32];

        if (!any && record_doubts(&record->cases[i]) != 0) {
            fputc('\n', stream);
            any = true;
        }
        snprintf(label, sizeof label, "* row %zu: ", i + 1);
        print_doubts(record, &record->cases[i], label, 2, stream);
    }
}

static void print_table(const struct record *record, FILE *stream)
{
    int widths[COLUMNS];
    char text[DESCRIBE_SIZE];

    choose_columns(record, widths);
    if (widths[DEVICE] == 0 || record->source_count > 0) {
        print_field("device", describe_devices(record, text), stream);
    }
    fprintf(stream, "input     %s\n", describe_input(record, text));
    print_field("all", describe_common(record, text), stream);
    fputc('\n', stream);
    for (enum column i = SOURCE; i < COLUMNS; i++) {
        print_cell(i, widths, describe_head(i), stream);
    }
    for (size_t row = 0; row < record->count; row++) {
        for (enum column i = SOURCE; i < COLUMNS; i++) {
            print_cell(i, widths, cell_text(&record->cases[row], i, text), stream);
        }
    }
    print_row_doubts(record, stream);
}

static void print_case(const struct record *record, const struct record_case *c, FILE *stream)
{
    char text[DESCRIBE_SIZE];

    problem_text(&c->problem, text, sizeof text);
    print_line(stream, c->problem.operation == QB_OPERATION_QUANTIZE ? "quantize" : "op", "%s (tokens x hidden)", text);
    print_line(stream, "device", "%s", describe_device(c->device, text));
    if (c->threads > 0) {
        print_line(stream, "kernel", "%s, %u thread%s", c->kernel, c->threads, c->threads == 1 ? "" : "s");
    } else {
        print_line(stream, "kernel", "%s", c->kernel);
    }
    fprintf(stream, "input     %s\n", describe_input(record, text));
}

/* True if the copies of C alone would not make the cache cold: other cases launch in between. */
static bool is_shared_rotation(const struct record_case *c)
{
    return c->found.cache == CACHE_COLD && c->found.rotated_bytes / 4 < c->device->cache_size;
}

static void print_cache(const struct record_case *c, FILE *stream)
{
    if (c->found.cache == CACHE_HOT) {
        print_line(stream, "cache", "hot: %u cop%s of the tensors, %.1f MB", c->found.sets,
                   c->found.sets == 1 ? "y" : "ies", (double)c->found.rotated_bytes * 1e-6);
    } else if (c->device->cache_size == 0) {
        print_line(stream, "cache", "%s: %u copies of the tensors in turn, %.1f MB; size of the cache unknown",
                   cache_words[c->found.cache], c->found.sets, (double)c->found.rotated_bytes * 1e-6);
    } else {
        print_line(stream, "cache", "%s: %u copies of the tensors in turn, %.1f MB%s; the cache has %.1f MB",
                   cache_words[c->found.cache], c->found.sets, (double)c->found.rotated_bytes * 1e-6,
                   is_shared_rotation(c) ? ", and other data in between" : "", (double)c->device->cache_size * 1e-6);
    }
    if (c->found.cache_check != CACHE_CHECK_NONE) {
        print_line(stream, "", "checked: %s, %.3f us with the data in the cache",
                   cache_check_words[c->found.cache_check], c->found.hot_time * 1e-3);
    }
}

static void print_quality(const struct record_case *c, FILE *stream)
{
    const struct quality *q = &c->found.checked.quality;
    char snr[DESCRIBE_SIZE], relative[64] = "", rest[128] = "";

    if (!c->found.has_quality) {
        print_line(stream, "quality", "unknown: %s",
                   c->found.checked.verification == VERIFIED ? "the program that wrote the record did not compute it"
                                                             : "only verified codes have it");
        return;
    }
    if (q->finite == 0) {
        print_line(stream, "quality", "none: all %" PRIu64 " elements are NaN or infinite", q->nan + q->infinite);
        return;
    }
    describe_cell(c, SNR, snr);
    if (!isnan(q->largest_relative_error)) {
        snprintf(relative, sizeof relative, ", largest relative error %.4g %%", 100 * q->largest_relative_error);
    }
    print_line(stream, "quality", "SNR %s%s, largest error %.4g%s", isnan(q->snr) ? "undefined" : snr,
               isnan(q->snr) || (isinf(q->snr) && q->snr > 0) ? "" : " dB", q->largest_error, relative);
    print_line(stream, "", "saturated %.4g %%, flushed to zero %.4g %% of the elements", 100 * c->found.saturated_share,
               100 * c->found.flushed_share);
    if (!isnan(c->found.overrange_share) && !isnan(c->found.overrange_tile_share)) {
        print_line(stream, "", "out of range %.4g %% of the elements, in %.4g %% of the tiles; saturated tiles %.4g %%",
                   100 * c->found.overrange_share, 100 * c->found.overrange_tile_share,
                   100 * c->found.saturated_tile_share);
    }
    if (isfinite(q->rest_snr) && q->rest_snr != q->snr) { /* the same: nothing was left out */
        snprintf(rest, sizeof rest, "SNR %.2f dB without the largest 0.1 %%", q->rest_snr);
    }
    if (c->found.floor_tile_share > 0) {
        const size_t length = strlen(rest);

        snprintf(rest + length, sizeof rest - length, "%sscales of %.4g %% of the tiles at their floor",
                 length > 0 ? "; " : "", 100 * c->found.floor_tile_share);
    }
    if (rest[0] != '\0') {
        print_line(stream, "", "%s", rest);
    }
    if (q->nan > 0 || q->infinite > 0) {
        print_line(stream, "", "%" PRIu64 " NaN and %" PRIu64 " infinite elements left out", q->nan, q->infinite);
    }
}

static void print_samples(const struct record *record, const struct record_case *c, FILE *stream)
{
    static const char *const places[] = {
        [LAUNCH_GRAPH] = "in a graph",
        [LAUNCH_STREAM] = "from the host",
        [LAUNCH_ISOLATED] = "on an idle queue",
    };
    const struct stats *time = &c->found.time;
    const bool is_interrupted = record->interrupted && record->precision == 0;
    const uint64_t launches = c->found.launches_per_sample * c->streams;
    char text[DESCRIBE_SIZE] = "", each[64];

    if (record->runs > 0) {
        snprintf(text, sizeof text, ", each the median of one process, of %" PRIu64 " samples", record->num_iters);
    } else if (c->found.sample_count < record->num_iters && (is_interrupted || c->found.out_of_time == TRUTH_YES)) {
        snprintf(text, sizeof text, " of %" PRIu64 " (%s)", record->num_iters,
                 is_interrupted ? "interrupted" : "out of time");
    }
    if (launches == 1) {
        snprintf(each, sizeof each, "one launch %s", places[c->launch]);
    } else {
        snprintf(each, sizeof each, "the mean of %" PRIu64 " launches %s", launches, places[c->launch]);
    }
    print_line(stream, "samples", "%zu%s in %zu round%s, each %s", c->found.sample_count, text, c->found.round_count,
               c->found.round_count == 1 ? "" : "s", each);
    if (c->streams > 1) {
        print_line(stream, "", "on %u streams at the same time", c->streams);
    }
    snprintf(text, sizeof text, "min %.3f, median %.3f, mean %.3f, p99 %.3f, max %.3f us", time->min * 1e-3,
             time->median * 1e-3, time->mean * 1e-3, time->p99 * 1e-3, time->max * 1e-3);
    print_field("time", text, stream);
    if (time->basis == STATS_BASIS_NONE) {
        print_line(stream, "", "too few samples for a confidence interval: 6 are needed");
    } else {
        snprintf(text, sizeof text,
                 "95 %% confidence interval of the median: %.3f to %.3f us, +- %.2f %%, from the spread of the %s",
                 time->ci_low * 1e-3, time->ci_high * 1e-3, 100 * stats_precision(time),
                 time->basis == STATS_BASIS_ROUNDS ? "rounds" : "samples");
        print_field("", text, stream);
    }
    if (time->mild_outliers + time->severe_outliers > 0) {
        print_line(stream, "", "outliers: %zu mild, %zu severe; none is left out", time->mild_outliers,
                   time->severe_outliers);
    }
    if (c->threads > 0 && c->found.retaken_samples + c->found.disturbed_samples > 0) {
        snprintf(text, sizeof text,
                 "%" PRIu64 " samples repeated because the system interrupted them, %" PRIu64 " interrupted ones kept",
                 c->found.retaken_samples, c->found.disturbed_samples);
        print_field("", text, stream);
    }
    if (c->threads == 0 && c->found.host_time > 0) {
        print_line(stream, "host", "%.3f us per launch", c->found.host_time * 1e-3);
    }
}

/* The median of a condition over the rounds that know it; NAN if none does. */
static double median_condition(const struct record_case *c, size_t offset)
{
    double *known = malloc((c->found.round_count + 1) * sizeof *known);
    double median;
    size_t count = 0;

    if (known == NULL) {
        report_lacks_memory();
    }
    for (size_t i = 0; i < c->found.round_count && known != NULL; i++) {
        double value = *(const double *)((const char *)&c->found.rounds[i].conditions + offset);

        if (!isnan(value)) {
            known[count++] = value;
        }
    }
    median = count > 0 ? stats_median(known, count) : NAN;
    free(known);
    return median;
}

/* What the device did in the rounds, as far as it is known. */
static void print_conditions(const struct record_case *c, FILE *stream)
{
    static const struct {
        size_t offset;
        double factor;
        const char *before, *unit;
    } known[] = {
        {offsetof(struct qb_device_conditions, clock), 1, "", "MHz"},
        {offsetof(struct qb_device_conditions, memory_clock), 1, "memory ", "MHz"},
        {offsetof(struct qb_device_conditions, power), 1e-3, "", "W"},
        {offsetof(struct qb_device_conditions, temperature), 1, "", "C"},
    };
    char text[DESCRIBE_SIZE] = "";
    size_t length = 0;

    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        double value = median_condition(c, known[i].offset) * known[i].factor;

        if (!isnan(value)) {
            length += (size_t)snprintf(text + length, sizeof text - length, "%s%s%.0f %s", length > 0 ? ", " : "",
                                       known[i].before, value, known[i].unit);
        }
    }
    if (length > 0) {
        print_field("clocks", text, stream);
    }
}

static void print_rate(const struct record_case *c, FILE *stream)
{
    static const char *const kinds[CEILING_KINDS] = {
        [CEILING_PLAIN] = "ordinary stores",
        [CEILING_STREAMING] = "streaming stores",
        [CEILING_COPY] = "the device's own copy",
    };
    char text[DESCRIBE_SIZE] = "", share[DESCRIBE_SIZE];

    if (c->found.of_peak > 0) {
        print_line(stream, "rate", "%.1f GB/s, %.1f %% of the data sheet's %.1f GB/s", c->found.bytes_per_second * 1e-9,
                   100 * c->found.of_peak, c->device->peak_bandwidth * 1e-9);
    } else {
        print_line(stream, "rate", "%.1f GB/s", c->found.bytes_per_second * 1e-9);
    }
    if (c->found.best_time == 0) {
        return;
    }
    print_line(stream, "ceiling", "%s of the best possible, %.3f us; moving as many bytes takes",
               describe_cell(c, OF_CEILING, share), c->found.best_time * 1e-3);
    for (int kind = 0; kind < CEILING_KINDS; kind++) {
        size_t length = strlen(text);

        if (c->found.ceiling_times[kind] > 0) {
            snprintf(text + length, sizeof text - length, "%s%.3f us with %s", length > 0 ? ", " : "",
                     c->found.ceiling_times[kind] * 1e-3, kinds[kind]);
        }
    }
    print_field("", text, stream);
    if (c->found.floor_time > 0) {
        print_line(stream, "", "launch overhead %.3f us (a kernel that does nothing)", c->found.floor_time * 1e-3);
    }
}

/* The verdict, and what it is about if that is not the contract. */
static void print_codes(const struct record_case *c, FILE *stream)
{
    char on[96] = "", text[DESCRIBE_SIZE];

    if (c->found.checked.hard_cases > 0) {
        snprintf(on, sizeof on, " on %" PRIu64 " elements and %" PRIu64 " hard cases",
                 part_elements(&c->problem), c->found.checked.hard_cases);
    }
    if (c->found.checked.verification != VERIFIED) {
        snprintf(text, sizeof text, "%s", verification_words[c->found.checked.verification]);
    } else if (c->found.checked.mismatch.near_codes == 0 && c->found.checked.mismatch.near_scales == 0) {
        snprintf(text, sizeof text, "verified%s: the same bytes as the reference", on);
    } else {
        snprintf(text, sizeof text,
                 "verified%s: %" PRIu64 " codes and %" PRIu64
                 " scales differ from the reference, no more than the kernel's arithmetic allows",
                 on, c->found.checked.mismatch.near_codes, c->found.checked.mismatch.near_scales);
    }
    print_field("codes", text, stream);
    if (c->plugin != NULL && c->arithmetic != NULL) {
        fprintf(stream, "          arithmetic: ");
        print_folded(c->arithmetic, 22, 22, stream);
    }
}

static void print_result(const struct record *record, const struct record_case *c, FILE *stream)
{
    print_line(stream, "bytes", "%.3f MB read + %.3f MB written = %.3f MB", (double)c->found.bytes.read * 1e-6,
               (double)c->found.bytes.written * 1e-6, (double)(c->found.bytes.read + c->found.bytes.written) * 1e-6);
    if (c->found.sample_count == 0) {
        char text[DESCRIBE_SIZE];

        if (record->rated_only && c->found.has_quality) {
            print_line(stream, "codes", "of the kernel, not compared with the reference");
            print_quality(c, stream);
            return;
        }
        print_field("outcome", describe_outcome(record, c, text), stream);
        return;
    }
    print_codes(c, stream);
    print_quality(c, stream);
    print_cache(c, stream);
    if (c->launch == LAUNCH_PROFILE) {
        print_line(stream, "sample", "one launch%s",
                   c->found.profiled ? " in a profiled range" : "; no profiler to start here");
    } else {
        print_samples(record, c, stream);
        print_rate(c, stream);
        print_conditions(c, stream);
        print_doubts(record, c, "doubt     ", 10, stream);
    }
    fprintf(stream, "Kernel running time: %.3f us\n", c->found.time.median * 1e-3);
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

    int width = 0;

    *widths = (struct pair_widths){.cases = {0}};
    for (enum column i = SOURCE; i < FIRST_RESULT; i++) {
        widths->cases[i] = describe_pair_shows_case(record, i) ? cell_width(record, i) : 0;
        width += widths->cases[i] > 0 ? widths->cases[i] + 2 : 0;
    }
    for (enum pair_column i = PAIR_BASELINE; i < PAIR_COLUMNS; i++) {
        if (describe_pair_shows(comparison, i)) {
            widen(&widths->pairs[i], describe_pair_head(comparison, i));
            for (size_t k = 0; k < comparison->count; k++) {
                widen(&widths->pairs[i], describe_pair(&comparison->pairs[k], i, text));
            }
            width += widths->pairs[i] + 2;
        }
    }
    /* The verdict follows from the interval, and is more needed. */
    if (width - 2 > report_width()) {
        widths->pairs[PAIR_INTERVAL] = 0;
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

    for (enum column i = SOURCE; i < FIRST_RESULT; i++) {
        print_pair_cell(widths->cases[i], describe_is_number(i), false,
                        pair != NULL ? cell_text(&record->cases[pair->result], i, text) : describe_head(i), stream);
    }
    for (enum pair_column i = PAIR_BASELINE; i < PAIR_COLUMNS; i++) {
        print_pair_cell(widths->pairs[i], describe_pair_is_number(i), i == PAIR_VERDICT,
                        pair != NULL ? describe_pair(pair, i, text) : describe_pair_head(&record->comparison, i),
                        stream);
    }
}

static void print_comparison(const struct record *record, FILE *stream)
{
    const struct record_comparison *comparison = &record->comparison;
    struct pair_widths widths;
    char text[DESCRIBE_SIZE];

    if (comparison->axis == COMPARE_NOTHING) {
        return;
    }
    fputc('\n', stream);
    print_field("compare", describe_comparison(record, text), stream);
    fputc('\n', stream);
    find_pair_widths(record, &widths);
    print_pair(record, NULL, &widths, stream);
    for (size_t i = 0; i < comparison->count; i++) {
        print_pair(record, &comparison->pairs[i], &widths, stream);
    }
    for (size_t i = 0; i < comparison->count; i++) {
        if (verdict_has_best(comparison, i)) {
            fputs(i == 0 ? "\n" : "", stream);
            print_field("best", describe_best(record, i, text), stream);
        }
    }
    for (size_t i = 0; i < comparison->mean_count; i++) {
        fputs(i == 0 ? "\n" : "", stream);
        print_field("mean", describe_mean(&comparison->means[i], text), stream);
    }
}

/* The head of the summary: how many tensors there are, and how large. */
static void print_totals(const struct summary *summary, FILE *stream)
{
    char kept[128] = "";

    if (summary->kept_tensors > 0) {
        snprintf(kept, sizeof kept, "; %zu more, %.3f MB, stay as they are", summary->kept_tensors,
                 (double)summary->kept_bytes * 1e-6);
    }
    print_line(stream, "summary", "%zu tensor%s, %.1f million elements, %.3f MB%s", summary->tensors,
               summary->tensors == 1 ? "" : "s", (double)summary->elements * 1e-6, (double)summary->bytes * 1e-6, kept);
}

static void print_ways(const struct summary *summary, FILE *stream)
{
    char text[DESCRIBE_SIZE], min[SUMMARY_DECIBELS_SIZE], median[SUMMARY_DECIBELS_SIZE], max[SUMMARY_DECIBELS_SIZE],
        model[SUMMARY_DECIBELS_SIZE], tensors[SUMMARY_COUNT_SIZE], bytes[SUMMARY_COUNT_SIZE], share[SUMMARY_COUNT_SIZE];
    int width = 12;

    for (size_t i = 0; i < summary->way_count; i++) {
        widen(&width, describe_way(summary->ways[i].first, text));
    }
    fprintf(stream, "\n%-*s  %8s  %8s  %8s  %8s  %10s  %8s%s\n", width, "quantized to", "min dB", "median", "max",
            "model dB", "model MB", "of now %", summary->some_lack ? "  tensors" : "");
    for (size_t i = 0; i < summary->way_count; i++) {
        const struct summary_way *way = &summary->ways[i];

        summary_tensors(summary, way->tensors, tensors);
        fprintf(stream, "%-*s  %8s  %8s  %8s  %8s  %10s  %8s%s%s\n", width, describe_way(way->first, text),
                summary_decibels(way->min, min), summary_decibels(way->median, median), summary_decibels(way->max, max),
                summary_decibels(way->model, model), summary_megabytes(summary, way->tensors, way->bytes, bytes),
                summary_share(summary, way->tensors, way->bytes, share), summary->some_lack ? "  " : "",
                summary->some_lack ? tensors : "");
    }
}

static void print_choice(const struct summary_choice *choice, int width, FILE *stream)
{
    char title[LABEL_TEXT_SIZE], way[DESCRIBE_SIZE], rival[DESCRIBE_SIZE], snr[SUMMARY_DECIBELS_SIZE];

    label_text(title, choice->tensor->title, strlen(choice->tensor->title));
    describe_cut(title, DESCRIBE_NAME_WIDTH);
    if (choice->best == NULL) {
        fprintf(stream, "%-*s  %8s  %12s  none\n", width, title, "-", "-");
        return;
    }
    fprintf(stream, "%-*s  %8s  %12" PRIu64 "  %s%s%s\n", width, title,
            summary_decibels(choice->best->found.checked.quality.snr, snr), summary_bytes(choice->best),
            choice->rival != NULL ? "undecided: " : "", describe_way(choice->best, way), "");
    if (choice->rival != NULL) {
        fprintf(stream, "%-*s  %8s  %12s  or %s\n", width, "", "", "", describe_way(choice->rival, rival));
    }
}

static void print_best(const struct record *record, const struct summary *summary, FILE *stream)
{
    char text[DESCRIBE_SIZE], title[LABEL_TEXT_SIZE], model[SUMMARY_DECIBELS_SIZE], bytes[SUMMARY_COUNT_SIZE],
        share[SUMMARY_COUNT_SIZE], undecided[64] = "";
    uint64_t total;
    int width = 6;

    for (size_t i = 0; i < summary->choice_count; i++) {
        label_text(title, summary->choices[i].tensor->title, strlen(summary->choices[i].tensor->title));
        widen(&width, describe_cut(title, DESCRIBE_NAME_WIDTH));
    }
    fputc('\n', stream);
    print_line(stream, "best", "%s", summary_rule(record, text));
    fprintf(stream, "\n%-*s  %8s  %12s  %s\n", width, "tensor", "SNR dB", "bytes", "quantized to");
    for (size_t i = 0; i < summary->choice_count; i++) {
        print_choice(&summary->choices[i], width, stream);
    }
    fputc('\n', stream);
    total = saturate_add(summary->best_bytes, summary->best_kept_bytes);
    if (summary->undecided > 0) {
        snprintf(undecided, sizeof undecided, ", %zu of them undecided", summary->undecided);
    }
    print_line(stream, "all best", "%zu of %zu tensors%s, SNR %s dB, model %s MB, %s %% of now", summary->chosen,
               summary->tensors, undecided, summary_decibels(summary->best_model, model),
               summary_megabytes(summary, summary->choice_count, total, bytes),
               summary_share(summary, summary->choice_count, total, share));
}

/* What the quality of several tensors comes to. */
static void print_summary(const struct record *record, FILE *stream)
{
    struct summary summary;

    if (!summary_make_table(record, &summary)) {
        return;
    }
    fputc('\n', stream);
    print_totals(&summary, stream);
    print_ways(&summary, stream);
    if (record->best != BEST_NONE) {
        print_best(record, &summary, stream);
    }
    summary_free(&summary);
}

/* A row of the table of what a list takes: of case INDEX, or the heads if ROW is NULL. */
static void print_spent_row(const int widths[SPENT_COLUMNS], const struct record *record,
                            const struct spending *spending, size_t index, bool is_head, FILE *stream)
{
    char text[DESCRIBE_SIZE];

    for (enum spent_column i = 0; i < SPENT_COLUMNS; i++) {
        const char *cell = is_head ? spent_head(i) : spent_cell(record, spending, index, i, text);

        if (i + 1 == SPENT_COLUMNS) {
            fprintf(stream, "%s\n", cell);
        } else {
            fprintf(stream, "%*s  ", widths[i], cell);
        }
    }
}

/* What the cases of a list take together. */
static void print_spending(const struct record *record, FILE *stream)
{
    int widths[SPENT_COLUMNS] = {0};
    char text[DESCRIBE_SIZE];
    struct spending spending;

    if (!spending_applies(record)) {
        return;
    }
    if (spending_make(record, &spending)) {
        for (enum spent_column i = 0; i < SPENT_COLUMNS; i++) {
            widen(&widths[i], spent_head(i));
            for (size_t k = 0; k < record->count; k++) {
                widen(&widths[i], spent_cell(record, &spending, k, i, text));
            }
        }
        fputc('\n', stream);
        print_spent_row(widths, record, &spending, 0, true, stream);
        for (size_t k = 0; k < record->count; k++) {
            print_spent_row(widths, record, &spending, k, false, stream);
        }
        fputc('\n', stream);
        for (size_t i = 0; i < spending.count; i++) {
            print_field(i == 0 ? "spent" : "", spent_total(record, &spending, i, text), stream);
        }
    } else {
        report_lacks_memory();
    }
    spending_free(&spending);
}

enum exit_code report_text(const struct record *record, FILE *stream)
{
    if (record->count > 0 && record->planned == 1) {
        print_case(record, &record->cases[0], stream);
        print_result(record, &record->cases[0], stream);
    } else if (record->count > 0) {
        print_table(record, stream);
    }
    print_summary(record, stream);
    print_spending(record, stream);
    print_comparison(record, stream);
    return EXIT_OK;
}
