/* SPDX-License-Identifier: Apache-2.0 */
/* report_gbench.c - results as Google Benchmark writes them, for its compare.py and for what else reads its JSON. What
 * the fields mean here is in GBENCH of quantbench-output(5).
 *
 * A case is one entry, because the samples of one run are no repetitions of it: taken for such, a test of significance
 * would call any two runs different. For the same reason there is no _stddev and no _cv, which a reader would take for
 * the spread between repetitions. A case without a time has no entry, since a reader that does not look at
 * error_occurred would take any number in it for a time. */
#include <config.h>

#include "report.h"

#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* Room for the name of a case: names of devices and kernels are short, but a file may say what it wants. */
#define NAME_SIZE 1536

/* The name does not depend on what else was run, so that any two files can be compared. */
static void case_name(const struct record *record, const struct record_case *c, char name[NAME_SIZE])
{
    char granularity[64];
    char dist[32] = "";
    char threads[32] = "";

    plan_granularity_text(&c->problem, granularity, sizeof granularity);
    if (record->input == NULL) {
        snprintf(dist, sizeof dist, "/dist:%s", input_dist_name(c->dist));
    }
    if (c->threads > 0) {
        snprintf(threads, sizeof threads, "/threads:%u", c->threads);
    }
    snprintf(name, NAME_SIZE, "quantize/%s/%s/%s/%s/num_tokens:%" PRIu64 "/hidden_size:%" PRIu64 "%s/%s/%s%s",
             qb_format_info(c->problem.input)->name, qb_format_info(c->problem.output)->name,
             record_scaling_names[c->problem.scaling], granularity, c->problem.tokens, c->problem.hidden, dist,
             c->device->id, c->kernel, threads);
}

/* A user counter, which is a number: left out where it is none, or infinite. */
static void add_counter(json_t *object, const char *name, double number)
{
    if (isfinite(number)) {
        json_object_set_new(object, name, json_real(number));
    }
}

/* One entry: the run itself, or its AGGREGATE, "mean" or "median". NANOSECONDS is the time. */
static json_t *entry(const struct record *record, size_t index, const char *aggregate, double nanoseconds)
{
    char run_name[NAME_SIZE], name[NAME_SIZE + 16], label[64];
    const struct record_case *c = &record->cases[index];
    json_t *object;

    case_name(record, c, run_name);
    snprintf(name, sizeof name, "%s%s%s", run_name, aggregate != NULL ? "_" : "", aggregate != NULL ? aggregate : "");
    snprintf(label, sizeof label, "%s, cache %s", record_verification_names[c->verification],
             record_cache_names[c->cache]);
    object = json_pack("{s:s, s:I, s:I, s:s, s:s, s:I, s:I}", "name", name, "family_index", (json_int_t)index,
                       "per_family_instance_index", (json_int_t)0, "run_name", run_name, "run_type",
                       aggregate != NULL ? "aggregate" : "iteration", "repetitions", (json_int_t)1, "threads",
                       (json_int_t)(c->threads > 0 ? c->threads : 1));
    if (aggregate != NULL) {
        json_object_set_new(object, "aggregate_name", json_string(aggregate));
        json_object_set_new(object, "aggregate_unit", json_string("time"));
    } else {
        json_object_set_new(object, "repetition_index", json_integer(0));
    }
    json_object_set_new(object, "iterations", json_integer((json_int_t)(c->sample_count * c->launches_per_sample)));
    json_object_set_new(object, "real_time", json_real(nanoseconds));
    json_object_set_new(object, "cpu_time", json_real(nanoseconds));
    json_object_set_new(object, "time_unit", json_string("ns"));
    if (nanoseconds > 0) {
        double per_second = 1e9 / nanoseconds;

        json_object_set_new(object, "bytes_per_second",
                            json_real((double)(c->bytes.read + c->bytes.written) * per_second));
        json_object_set_new(object, "items_per_second",
                            json_real((double)c->problem.tokens * (double)c->problem.hidden * per_second));
    }
    if (c->has_quality) {
        add_counter(object, "snr_db", c->quality.snr);
        add_counter(object, "largest_error", c->quality.largest_error);
        add_counter(object, "largest_relative_error", c->quality.largest_relative_error);
        add_counter(object, "saturated_share", record_share(c, c->quality.saturated));
        add_counter(object, "flushed_share", record_share(c, c->quality.flushed));
    }
    json_object_set_new(object, "label", json_string(label));
    return object;
}

static json_t *context(const struct record *record)
{
    json_t *object =
        json_pack("{s:s, s:o, s:o, s:I, s:[], s:[], s:s, s:I, s:s}", "date", record->date, "host_name",
                  report_text_json(record->host_name), "executable",
                  report_text_json(record->argc > 0 ? record->argv[0] : "quantbench"), "num_cpus",
                  (json_int_t)record->cpus, "caches", "load_avg", "library_version", record->library_version,
                  "json_schema_version", (json_int_t)1, "quantbench_version", record->version);

    for (size_t i = 0; i < record->device_count; i++) {
        const struct qb_device_info *info = &record->devices[i];

        char key[sizeof info->id + 16];

        snprintf(key, sizeof key, "device_%s", info->id);
        json_object_set_new(object, key, report_text_json(info->name));
        if (info->driver[0] != '\0') {
            snprintf(key, sizeof key, "driver_%s", info->id);
            json_object_set_new(object, key, report_text_json(info->driver));
        }
    }
    return object;
}

enum exit_code report_gbench(const struct record *record, FILE *stream)
{
    json_t *benchmarks = json_array();

    for (size_t i = 0; i < record->count; i++) {
        const struct record_case *c = &record->cases[i];

        if (c->sample_count > 0) {
            json_array_append_new(benchmarks, entry(record, i, NULL, c->time.median));
            json_array_append_new(benchmarks, entry(record, i, "mean", c->time.mean));
            json_array_append_new(benchmarks, entry(record, i, "median", c->time.median));
        }
    }
    return report_print_json(json_pack("{s:o, s:o}", "context", context(record), "benchmarks", benchmarks), stream);
}
