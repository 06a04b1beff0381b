/* SPDX-License-Identifier: Apache-2.0 */
/* report_json.c - results for programs: one JSON document with all that is needed to repeat the run. Members are only
 * ever added under one value of schema_version; see JSON in quantbench(1). */
#include <config.h>

#include "interrupt.h"
#include "report.h"
#include "tensor_file.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <time.h>

#define SCHEMA_VERSION 1

enum exit_code report_print_json(json_t *document)
{
    int failed;

    if (document == NULL) {
        message_error("out of memory: the JSON document");
        return EXIT_CANNOT_RUN;
    }
    failed = json_dumpf(document, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(12));
    json_decref(document);
    /* A write error is reported, once for all writers, when standard output is closed. */
    if (failed == 0) {
        putchar('\n');
    }
    return EXIT_OK;
}

/* Text from outside, which JSON wants to be UTF-8; other bytes become '?'. */
static json_t *text_to_json(const char *text)
{
    json_t *string = json_string(text);

    if (string == NULL) {
        char safe[4096];

        snprintf(safe, sizeof safe, "%s", text);
        for (char *c = safe; *c != '\0'; c++) {
            *c = (unsigned char)*c < 128 ? *c : '?';
        }
        string = json_string(safe);
    }
    return string;
}

json_t *report_device_json(const struct qb_device_info *info)
{
    return json_pack("{s:o, s:o, s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:f, s:f}", "id", text_to_json(info->id),
                     "name", text_to_json(info->name), "isa", info->isa, "driver", info->driver, "runtime",
                     info->runtime, "uuid", info->uuid, "pci", info->pci, "memory_bytes",
                     (json_int_t)info->memory_total, "cache_bytes", (json_int_t)info->cache_size, "units",
                     (json_int_t)info->units, "timer_tick_ns", info->timer_tick, "peak_bytes_per_second",
                     info->peak_bandwidth);
}

static json_t *problem_to_json(const struct qb_problem *p)
{
    char granularity[64];
    uint64_t scale_rows, scale_cols;

    plan_granularity_text(p, granularity, sizeof granularity);
    qb_problem_scale_shape(p, &scale_rows, &scale_cols);
    return json_pack("{s:s, s:s, s:s, s:s, s:I, s:I, s:[I, I], s:o}", "dtype", qb_format_info(p->input)->name,
                     "quant_dtype", qb_format_info(p->output)->name, "scale",
                     p->scaling == QB_SCALING_STATIC ? "static" : "dynamic", "granularity", granularity, "num_tokens",
                     (json_int_t)p->tokens, "hidden_size", (json_int_t)p->hidden, "scale_shape", (json_int_t)scale_rows,
                     (json_int_t)scale_cols, "scale_ub",
                     p->amax_bound > 0 ? json_real((double)p->amax_bound) : json_null());
}

/* The times of one case, in nanoseconds; null if there are none. */
static json_t *time_to_json(const struct result *r)
{
    json_t *samples;

    if (r->measured.count == 0) {
        return json_null();
    }
    samples = json_array();
    for (uint64_t i = 0; i < r->measured.count; i++) {
        json_array_append_new(samples, json_real(r->measured.samples[i]));
    }
    return json_pack("{s:f, s:f, s:f, s:f, s:f, s:o, s:o}", "min", r->time.min, "median", r->time.median, "mean",
                     r->time.mean, "p99", r->time.p99, "max", r->time.max, "median_ci95",
                     isnan(r->time.ci_low) ? json_null() : json_pack("[f, f]", r->time.ci_low, r->time.ci_high),
                     "samples", samples);
}

static const char *const cache_names[] = {
    [CACHE_COLD] = "cold",
    [CACHE_PARTLY_COLD] = "partly cold",
    [CACHE_HOT] = "hot",
};

/* NUMBER, or null if it was not measured, which 0 says. */
static json_t *real_or_null(double number)
{
    return number > 0 ? json_real(number) : json_null();
}

/* NUMBER, or null if it is none or infinite, for which JSON has no word. */
static json_t *finite_or_null(double number)
{
    return isfinite(number) ? json_real(number) : json_null();
}

/* What the codes make of the tensor; null if it is unknown. */
static json_t *quality_to_json(const struct result *r)
{
    const struct quality *q = &r->quality;
    double share = 1 / (double)q->finite;

    if (r->verification != VERIFIED) {
        return json_null();
    }
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:I, s:I, s:I, s:I, s:I}", "snr_db", finite_or_null(q->snr),
                     "largest_error", finite_or_null(q->largest_error), "largest_relative_error",
                     finite_or_null(q->largest_relative_error), "saturated_share",
                     finite_or_null((double)q->saturated * share), "flushed_share",
                     finite_or_null((double)q->flushed * share), "saturated", (json_int_t)q->saturated, "flushed",
                     (json_int_t)q->flushed, "finite", (json_int_t)q->finite, "nan", (json_int_t)q->nan, "infinite",
                     (json_int_t)q->infinite);
}

static json_t *result_to_json(const struct report *report, const struct result *r)
{
    const struct plan_case *c = r->plan_case;
    const char *launch = report->args->profile ? "profile" : r->measured.graph ? "graph" : "stream";
    json_t *result = json_pack("{s:o, s:o, s:s, s:s, s:o}", "problem", problem_to_json(&c->problem), "dist",
                               report->tensor == NULL ? json_string(input_dist_name(c->dist)) : json_null(), "device",
                               c->device->info.id, "kernel", qb_kernel_name(c->kernel), "threads",
                               c->threads > 0 ? json_integer(c->threads) : json_null());
    json_t *verification = json_pack(
        "{s:s, s:I, s:I, s:o, s:o}", "verification", report_verification(r), "wrong_codes",
        (json_int_t)r->mismatch.wrong_codes, "wrong_scales", (json_int_t)r->mismatch.wrong_scales, "first_difference",
        r->mismatch.first[0] != '\0' ? json_string(r->mismatch.first) : json_null(), "quality", quality_to_json(r));
    json_t *measurement = json_pack(
        "{s:s, s:b, s:I, s:s, s:I, s:I, s:I, s:I, s:o, s:o, s:o, s:I}", "launch", launch, "profiled", r->profiled,
        "launches_per_sample", (json_int_t)r->measured.launches_per_sample, "cache", cache_names[r->cache],
        "buffer_sets", (json_int_t)r->sets, "rotated_bytes", (json_int_t)r->rotated_bytes, "bytes_read",
        (json_int_t)r->bytes.read, "bytes_written", (json_int_t)r->bytes.written, "time_ns", time_to_json(r),
        "bytes_per_second", real_or_null(report_bandwidth(r)), "copy_time_ns", real_or_null(r->copy_time),
        "exit_status", (json_int_t)r->code);

    json_object_update(result, verification);
    json_object_update(result, measurement);
    json_decref(verification);
    json_decref(measurement);
    return result;
}

enum exit_code report_json(const struct report *report)
{
    const struct args *args = report->args;
    json_t *arguments = json_array(), *devices = json_array(), *results = json_array();
    char date[32] = "";
    time_t now = time(NULL);
    struct tm utc;

    if (gmtime_r(&now, &utc) != NULL) {
        strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%SZ", &utc);
    }
    for (int i = 0; i < args->argc; i++) {
        json_array_append_new(arguments, text_to_json(args->argv[i]));
    }
    for (size_t i = 0; i < report->machine->device_count; i++) {
        json_array_append_new(devices, report_device_json(&report->machine->devices[i].info));
    }
    for (size_t i = 0; i < report->count; i++) {
        json_array_append_new(results, result_to_json(report, &report->results[i]));
    }
    return report_print_json(json_pack(
        "{s:s, s:I, s:s, s:s, s:s, s:o, s:{s:o, s:s, s:I}, s:I, s:o, s:o, s:I, s:I, s:b, s:b, s:o, s:o}", "schema",
        "quantbench-result", "schema_version", (json_int_t)SCHEMA_VERSION, "version", PACKAGE_VERSION,
        "library_version", qb_version(), "date", date, "argv", arguments, "host", "name",
        text_to_json(report->machine->host_name), "system", report->machine->system, "cpus",
        (json_int_t)report->machine->host.info.units, "seed", (json_int_t)args->seed, "input",
        report->tensor == NULL ? json_null() : text_to_json(args->input_file), "tensor",
        report->tensor == NULL || report->tensor->name == NULL ? json_null() : text_to_json(report->tensor->name),
        "num_warmup_iters", (json_int_t)args->num_warmup_iters, "num_iters", (json_int_t)args->num_iters,
        "dependent_launch", args->dependent_launch, "interrupted", interrupt_requested(), "devices", devices, "results",
        results));
}
