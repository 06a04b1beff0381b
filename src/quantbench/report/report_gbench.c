/* SPDX-License-Identifier: Apache-2.0 */
/* report_gbench.c - results as Google Benchmark writes them, for its compare.py and for what else reads its JSON. What
 * the fields mean here is in GBENCH of quantbench-output(5).
 *
 * A round of a case is a repetition of it, since rounds differ in what runs differ in too. Samples are none: taken for
 * such, a test of significance would call any two runs different. A case without a time has no entry, since a reader
 * that does not look at error_occurred would take any number in it for a time. */
#include <config.h>

#include "model/part.h"
#include "report/case_name.h"
#include "report/describe.h"
#include "base/document.h"
#include "report/report.h"

#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* A user counter, which is a number: left out where it is none, or infinite. */
static void add_counter(json_t **object, const char *name, double number)
{
    if (isfinite(number)) {
        document_put(object, name, json_real(number));
    }
}

static double mean(double *values, size_t count)
{
    double sum = 0;

    for (size_t i = 0; i < count; i++) {
        sum += values[i];
    }
    return sum / (double)count;
}

static double stddev(double *values, size_t count)
{
    double center = mean(values, count), squares = 0;

    for (size_t i = 0; i < count; i++) {
        squares += (values[i] - center) * (values[i] - center);
    }
    return sqrt(squares / (double)(count - 1));
}

/* The standard deviation as a share of the mean. */
static double cv(double *values, size_t count)
{
    double center = mean(values, count);

    return center > 0 ? stddev(values, count) / center : 0;
}

/* What is made of all rounds, as Google Benchmark names it. */
static const struct aggregate {
    const char *name, *unit;
    double (*of)(double *values, size_t count); /* it may sort them */
    size_t min_rounds;
    bool is_time; /* which a case can take, and so has a rate */
} aggregates[] = {
    {"mean", "time", mean, 1, true},
    {"median", "time", stats_median, 1, true},
    {"stddev", "time", stddev, 2, false},
    {"cv", "percentage", cv, 2, false},
};

/* What an entry says of time: nanoseconds per launch. */
struct times {
    double real;
    double cpu; /* the host's, or the same where the host is what runs the kernel */
};

static struct times round_times(const struct record_case *c, size_t round)
{
    const struct round *from = &c->found.rounds[round];

    return (struct times){from->median, c->threads == 0 && from->host_time > 0 ? from->host_time : from->median};
}

/* AGGREGATE of all rounds. VALUES has room for a number of each. */
static struct times aggregate_times(const struct record_case *c, const struct aggregate *aggregate, double *values)
{
    struct times times;

    for (size_t i = 0; i < c->found.round_count; i++) {
        values[i] = round_times(c, i).real;
    }
    times.real = aggregate->of(values, c->found.round_count);
    for (size_t i = 0; i < c->found.round_count; i++) {
        values[i] = round_times(c, i).cpu;
    }
    times.cpu = aggregate->of(values, c->found.round_count);
    return times;
}

static void add_counters(json_t **object, const struct record_case *c, double nanoseconds)
{
    if (nanoseconds > 0) {
        double per_second = 1e9 / nanoseconds;

        add_counter(object, "bytes_per_second", (double)(c->found.bytes.read + c->found.bytes.written) * per_second);
        add_counter(object, "items_per_second",
                    (double)part_elements(&c->problem) / part_count(&c->problem) * per_second);
    }
    for (size_t i = 0; i < figures_of_case_count; i++) {
        const struct figure *figure = &figures_of_case[i];

        if (figure->is_counter && figures_has_group(&c->found, figure->group)) {
            add_counter(object, figure->name, figure_real(figure, &c->found));
        }
    }
}

/* One entry: AGGREGATE of the rounds, or round ROUND if that is NULL. */
static json_t *entry(const struct record *record, size_t index, size_t round, const struct aggregate *aggregate,
                     struct times times)
{
    char run_name[CASE_NAME_SIZE], name[CASE_NAME_SIZE + 16], doubts[DESCRIBE_SIZE], label[DESCRIBE_SIZE + 64];
    const struct record_case *c = &record->cases[index];
    json_t *object;

    case_name(record, c, run_name);
    snprintf(name, sizeof name, "%s%s%s", run_name, aggregate != NULL ? "_" : "",
             aggregate != NULL ? aggregate->name : "");
    describe_doubts(c, ", ", doubts);
    snprintf(label, sizeof label, "%s, cache %s%s%s", verification_words[c->found.checked.verification],
             cache_words[c->found.cache], doubts[0] != '\0' ? ", in doubt: " : "", doubts);
    object = json_pack("{s:s, s:I, s:I, s:s, s:s, s:I, s:I}", "name", name, "family_index", (json_int_t)index,
                       "per_family_instance_index", (json_int_t)0, "run_name", run_name, "run_type",
                       aggregate != NULL ? "aggregate" : "iteration", "repetitions", (json_int_t)c->found.round_count,
                       "threads", (json_int_t)(c->threads > 0 ? c->threads : 1));
    if (aggregate != NULL) {
        document_put(&object, "aggregate_name", json_string(aggregate->name));
        document_put(&object, "aggregate_unit", json_string(aggregate->unit));
        document_put(&object, "iterations", json_integer((json_int_t)c->found.round_count));
    } else {
        document_put(&object, "repetition_index", json_integer((json_int_t)round));
        document_put(&object, "iterations",
                     json_integer((json_int_t)(c->found.rounds[round].samples * c->found.launches_per_sample)));
    }
    document_put(&object, "real_time", json_real(times.real));
    document_put(&object, "cpu_time", json_real(times.cpu));
    document_put(&object, "time_unit", json_string("ns"));
    if (aggregate == NULL || aggregate->is_time) {
        add_counters(&object, c, times.real);
    }
    document_put(&object, "label", json_string(label));
    return object;
}

/* The entries of case INDEX, which has a time, after those in BENCHMARKS. Returns false if memory is short. */
static bool add_case(const struct record *record, size_t index, json_t **benchmarks)
{
    const struct record_case *c = &record->cases[index];
    double *values = malloc(c->found.round_count * sizeof *values);

    if (values == NULL) {
        return false;
    }
    for (size_t i = 0; i < c->found.round_count; i++) {
        document_append(benchmarks, entry(record, index, i, NULL, round_times(c, i)));
    }
    for (size_t i = 0; i < sizeof aggregates / sizeof aggregates[0]; i++) {
        if (c->found.round_count >= aggregates[i].min_rounds) {
            document_append(benchmarks,
                            entry(record, index, 0, &aggregates[i], aggregate_times(c, &aggregates[i], values)));
        }
    }
    free(values);
    return true;
}

static json_t *context(const struct record *record)
{
    json_t *object =
        json_pack("{s:s, s:o, s:o, s:I, s:[], s:[], s:s, s:I, s:s, s:I, s:b}", "date", record->date, "host_name",
                  document_text(record->host_name), "executable",
                  document_text(record->argc > 0 ? record->argv[0] : "quantbench"), "num_cpus",
                  (json_int_t)record->cpus, "caches", "load_avg", "library_version", record->library_version,
                  "json_schema_version", (json_int_t)1, "quantbench_version", record->version, "exit_status",
                  (json_int_t)record->code, "interrupted", record->interrupted);

    for (size_t i = 0; i < record->device_count; i++) {
        const struct qb_device_info *info = &record->devices[i];

        char key[sizeof info->id + 16];

        snprintf(key, sizeof key, "device_%s", info->id);
        document_put(&object, key, document_text(info->name));
        if (info->driver[0] != '\0') {
            snprintf(key, sizeof key, "driver_%s", info->id);
            document_put(&object, key, document_text(info->driver));
        }
    }
    return object;
}

enum exit_code report_gbench(const struct record *record, FILE *stream)
{
    json_t *benchmarks = json_array();

    for (size_t i = 0; i < record->count; i++) {
        if (record->cases[i].found.sample_count > 0 && !add_case(record, i, &benchmarks)) {
            json_decref(benchmarks);
            return message_out_of_memory("the rounds", record->cases[i].found.round_count * sizeof(double));
        }
    }
    return document_print(json_pack("{s:o, s:o}", "context", context(record), "benchmarks", benchmarks), stream);
}
