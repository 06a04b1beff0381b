/* SPDX-License-Identifier: Apache-2.0 */
/* report_text.c - results for people: a paragraph for one case, a table for several. A table has a column for each
 * thing that differs between its cases; what all have in common stands above it. */
#include <config.h>

#include "report.h"
#include "tensor_file.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

double report_bandwidth(const struct result *result)
{
    /* Bytes per nanosecond are GB/s. */
    return result->measured.count > 0 ? (double)(result->bytes.read + result->bytes.written) / result->time.median * 1e9
                                      : 0;
}

const char *report_verification(const struct result *result)
{
    switch (result->verification) {
    case VERIFIED:
        return "verified";
    case WRONG:
        return "WRONG";
    default:
        return "not verified";
    }
}

/* What can differ between cases. */
enum property { DEVICE, TOKENS, HIDDEN, DTYPE, DIST, QUANT_DTYPE, GRANULARITY, SCALE, THREADS, KERNEL, PROPERTIES };

static const char *const property_heads[PROPERTIES] = {
    [DEVICE] = "device",   [TOKENS] = "tokens",     [HIDDEN] = "hidden",           [DTYPE] = "dtype",
    [DIST] = "dist",       [QUANT_DTYPE] = "quant", [GRANULARITY] = "granularity", [SCALE] = "scale",
    [THREADS] = "threads", [KERNEL] = "kernel",
};

static void property_text(const struct plan_case *c, enum property property, char *text, size_t size)
{
    switch (property) {
    case DEVICE:
        snprintf(text, size, "%s", c->device->info.id);
        break;
    case TOKENS:
        snprintf(text, size, "%" PRIu64, c->problem.tokens);
        break;
    case HIDDEN:
        snprintf(text, size, "%" PRIu64, c->problem.hidden);
        break;
    case DTYPE:
        snprintf(text, size, "%s", qb_format_info(c->problem.input)->name);
        break;
    case DIST:
        snprintf(text, size, "%s", input_dist_name(c->dist));
        break;
    case QUANT_DTYPE:
        snprintf(text, size, "%s", qb_format_info(c->problem.output)->name);
        break;
    case GRANULARITY:
        plan_granularity_text(&c->problem, text, size);
        break;
    case SCALE:
        snprintf(text, size, "%s", c->problem.scaling == QB_SCALING_STATIC ? "static" : "dynamic");
        break;
    case THREADS:
        snprintf(text, size, c->threads > 0 ? "%u" : "-", c->threads);
        break;
    case KERNEL:
        snprintf(text, size, "%s", qb_kernel_name(c->kernel));
        break;
    case PROPERTIES:
        break;
    }
}

/* The width of PROPERTY's column, or 0 if all cases agree on it. */
static int column_width(const struct plan *plan, enum property property)
{
    char first[64], text[64];
    size_t width = strlen(property_heads[property]);
    bool varies = false;

    property_text(&plan->cases[0], property, first, sizeof first);
    for (size_t i = 0; i < plan->count; i++) {
        property_text(&plan->cases[i], property, text, sizeof text);
        varies = varies || strcmp(text, first) != 0;
        width = strlen(text) > width ? strlen(text) : width;
    }
    return varies ? (int)width : 0;
}

/* The widths of the one table of a run, found when its head is printed. */
static int column_widths[PROPERTIES];

static void print_device(const struct device *device)
{
    const struct qb_device_info *info = &device->info;

    printf("device    %s (%s, %s", info->name, info->id, info->isa);
    if (info->driver[0] != '\0') {
        printf(", driver %s", info->driver);
    }
    printf(")\n");
}

static void print_input(const struct report *report)
{
    if (report->tensor == NULL && report->args->dists.count == 1) {
        printf("input     %s, seed %" PRIu64 "\n", input_dist_name(report->plan->cases[0].dist), report->args->seed);
    } else if (report->tensor == NULL) {
        printf("input     generated, seed %" PRIu64 "\n", report->args->seed);
    } else {
        printf("input     %s\n", report->tensor->label);
    }
}

static void print_table_head(const struct report *report)
{
    const struct plan *plan = report->plan;
    const char *separator = "";
    char text[64];

    for (enum property p = DEVICE; p < PROPERTIES; p++) {
        column_widths[p] = column_width(plan, p);
    }
    if (column_widths[DEVICE] == 0) {
        print_device(plan->cases[0].device);
    }
    print_input(report);
    printf("all       ");
    for (enum property p = TOKENS; p < PROPERTIES; p++) {
        property_text(&plan->cases[0], p, text, sizeof text);
        /* The line "input" says how the data are distributed. */
        if (column_widths[p] == 0 && p != DIST && strcmp(text, "-") != 0) {
            printf("%s%s %s", separator, property_heads[p], text);
            separator = ", ";
        }
    }
    printf("\n\n");
    for (enum property p = DEVICE; p < PROPERTIES; p++) {
        int width = column_widths[p];

        if (width > 0) {
            printf(p == TOKENS || p == HIDDEN || p == THREADS ? "%*s  " : "%-*s  ", width, property_heads[p]);
        }
    }
    printf("%9s %9s %6s %7s %6s  %s\n", "median us", "min us", "GB/s", "of copy", "SNR dB", "codes");
}

/* The signal-to-noise ratio without its unit, "-" if it is unknown. */
static void snr_text(const struct result *result, char *text, size_t size)
{
    double snr = result->quality.snr;

    if (result->verification != VERIFIED || isnan(snr)) {
        snprintf(text, size, "-");
    } else if (isinf(snr)) {
        snprintf(text, size, "exact");
    } else {
        snprintf(text, size, "%.2f", snr);
    }
}

static void print_table_row(const struct result *result)
{
    char text[64];

    for (enum property p = DEVICE; p < PROPERTIES; p++) {
        int width = column_widths[p];

        if (width > 0) {
            property_text(result->plan_case, p, text, sizeof text);
            printf(p == TOKENS || p == HIDDEN || p == THREADS ? "%*s  " : "%-*s  ", width, text);
        }
    }
    if (result->measured.count == 0) {
        printf("%9s %9s %6s %7s %6s  %s\n", "-", "-", "-", "-", "-",
               result->code == EXIT_WRONG_RESULT ? report_verification(result)
               : result->code == EXIT_OK         ? "interrupted"
                                                 : "failed");
        return;
    }
    printf("%9.3f %9.3f %6.1f ", result->time.median * 1e-3, result->time.min * 1e-3, report_bandwidth(result) * 1e-9);
    if (result->copy_time > 0) {
        printf("%5.1f %%", 100 * result->copy_time / result->time.median);
    } else {
        printf("%7s", "-");
    }
    snr_text(result, text, sizeof text);
    printf(" %6s  %s\n", text, report_verification(result));
}

static void print_case(const struct report *report, const struct plan_case *c)
{
    char what[160];

    plan_describe(&c->problem, what, sizeof what);
    printf("quantize  %s (tokens x hidden)\n", what);
    print_device(c->device);
    printf("kernel    %s", qb_kernel_name(c->kernel));
    if (c->threads > 0) {
        printf(", %u thread%s", c->threads, c->threads == 1 ? "" : "s");
    }
    printf("\n");
    print_input(report);
}

static void print_cache(const struct result *result)
{
    double cache = (double)result->plan_case->device->info.cache_size * 1e-6;
    double rotated = (double)result->rotated_bytes * 1e-6;

    switch (result->cache) {
    case CACHE_COLD:
        printf("cache     cold: %u buffer sets, %.1f MB, rotate through a cache of %.1f MB\n", result->sets, rotated,
               cache);
        break;
    case CACHE_PARTLY_COLD:
        printf("cache     partly cold: %u buffer sets, %.1f MB, rotate through a cache of %.1f MB\n", result->sets,
               rotated, cache);
        break;
    case CACHE_HOT:
        printf("cache     hot: one buffer set\n");
        break;
    }
}

static void print_quality(const struct result *result)
{
    const struct quality *q = &result->quality;
    double percent = 100 / (double)q->finite;
    char snr[32];

    if (result->verification != VERIFIED) {
        printf("quality   unknown: it is computed for codes that are verified\n");
        return;
    }
    if (q->finite == 0) {
        printf("quality   none: all %" PRIu64 " elements are NaN or infinite\n", q->nan + q->infinite);
        return;
    }
    snr_text(result, snr, sizeof snr);
    printf("quality   SNR %s%s, largest error %.4g", snr, isinf(q->snr) ? "" : " dB", q->largest_error);
    if (!isnan(q->largest_relative_error)) {
        printf(", relative %.4g %%", 100 * q->largest_relative_error);
    }
    printf("\n          saturated %.4g %%, flushed to zero %.4g %% of the elements\n", (double)q->saturated * percent,
           (double)q->flushed * percent);
    if (q->nan > 0 || q->infinite > 0) {
        printf("          %" PRIu64 " NaN and %" PRIu64 " infinite elements left out\n", q->nan, q->infinite);
    }
}

static void print_result(const struct report *report, const struct result *result)
{
    const struct stats *time = &result->time;

    printf("bytes     %.3f MB read + %.3f MB written = %.3f MB\n", (double)result->bytes.read * 1e-6,
           (double)result->bytes.written * 1e-6, (double)(result->bytes.read + result->bytes.written) * 1e-6);
    if (result->measured.count == 0) {
        return;
    }
    printf("codes     %s\n", result->verification == VERIFIED ? "verified: the same bytes as the reference"
                                                              : report_verification(result));
    print_quality(result);
    print_cache(result);
    if (report->args->profile) {
        printf("sample    one launch%s\n", result->profiled ? " in a profiled range" : "; no profiler to start here");
    } else {
        printf("samples   %" PRIu64, result->measured.count);
        if (result->measured.count < report->args->num_iters) {
            printf(" of %" PRIu64 " (interrupted)", report->args->num_iters);
        }
        printf(", each the mean of %" PRIu64 " launches %s\n", result->measured.launches_per_sample,
               result->measured.graph ? "in a graph" : "from the host");
        printf("time      min %.3f, median %.3f, mean %.3f, p99 %.3f, max %.3f us\n", time->min * 1e-3,
               time->median * 1e-3, time->mean * 1e-3, time->p99 * 1e-3, time->max * 1e-3);
        if (isnan(time->ci_low)) {
            printf("          too few samples for a confidence interval: 6 are needed\n");
        } else {
            printf("          95 %% confidence interval of the median: %.3f to %.3f us\n", time->ci_low * 1e-3,
                   time->ci_high * 1e-3);
        }
        printf("rate      %.1f GB/s", report_bandwidth(result) * 1e-9);
        if (result->copy_time > 0) {
            printf(", %.1f %% of a plain copy of as many bytes, %.3f us", 100 * result->copy_time / time->median,
                   result->copy_time * 1e-3);
        }
        printf("\n");
    }
    printf("Kernel running time: %.3f us\n", time->median * 1e-3);
}

void report_text_begin(const struct report *report)
{
    if (report->plan->count == 1) {
        print_case(report, &report->plan->cases[0]);
    } else {
        print_table_head(report);
    }
}

void report_text_result(const struct report *report)
{
    const struct result *result = &report->results[report->count - 1];

    if (report->plan->count == 1) {
        print_result(report, result);
    } else {
        print_table_row(result);
    }
}
