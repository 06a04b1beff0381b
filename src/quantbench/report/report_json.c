/* SPDX-License-Identifier: Apache-2.0 */
/* report_json.c - results for programs: one JSON document with all that is needed to repeat the run, and all of the
 * record, which record_json.c reads back. Members are only ever added under one value of schema_version; see JSON in
 * quantbench-output(5). */
#include <config.h>

#include "report/describe.h"
#include "base/document.h"
#include "report/report.h"
#include "model/round_json.h"
#include "verdict/verdict.h"
#include "model/problem_text.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>

static json_t *text_or_null(const char *text)
{
    return text != NULL ? document_text(text) : json_null();
}

json_t *report_device_json(const struct qb_device_info *info)
{
    return json_pack("{s:o, s:o, s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:f, s:f}", "id", document_text(info->id),
                     "name", document_text(info->name), "isa", info->isa, "driver", info->driver, "runtime",
                     info->runtime, "uuid", info->uuid, "pci", info->pci, "memory_bytes",
                     (json_int_t)info->memory_total, "cache_bytes", (json_int_t)info->cache_size, "units",
                     (json_int_t)info->units, "timer_tick_ns", info->timer_tick, "peak_bytes_per_second",
                     info->peak_bandwidth);
}

static json_t *problem_to_json(const struct qb_problem *p)
{
    char granularity[64];
    uint64_t scale_rows, scale_cols;

    problem_granularity_text(p, granularity, sizeof granularity);
    qb_problem_scale_shape(p, &scale_rows, &scale_cols);
    return json_pack("{s:s, s:s, s:s, s:s, s:I, s:I, s:[I, I], s:o}", "dtype", qb_format_info(p->input)->name,
                     "quant_dtype", qb_format_info(p->output)->name, "scale", qb_scaling_name(p->scaling),
                     "granularity", granularity, "num_tokens", (json_int_t)p->tokens, "hidden_size",
                     (json_int_t)p->hidden, "scale_shape", (json_int_t)scale_rows, (json_int_t)scale_cols, "scale_ub",
                     p->amax_bound > 0 ? json_real((double)p->amax_bound) : json_null());
}

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

/* The times of one case, in nanoseconds; null if there are none. */
static json_t *time_to_json(const struct record_case *c)
{
    if (c->sample_count == 0) {
        return json_null();
    }
    return json_pack("{s:f, s:f, s:f, s:f, s:f, s:o, s:s, s:I, s:I, s:o, s:o}", "min", c->time.min, "median",
                     c->time.median, "mean", c->time.mean, "p99", c->time.p99, "max", c->time.max, "median_ci95",
                     isnan(c->time.ci_low) ? json_null() : json_pack("[f, f]", c->time.ci_low, c->time.ci_high),
                     "ci95_basis", basis_words[c->time.basis], "mild_outliers", (json_int_t)c->time.mild_outliers,
                     "severe_outliers", (json_int_t)c->time.severe_outliers, "autocorrelation",
                     finite_or_null(c->time.autocorrelation), "samples", numbers_to_json(c->samples, c->sample_count));
}

/* What the codes make of the tensor; null if it is unknown. */
static json_t *quality_to_json(const struct record_case *c)
{
    const struct quality *q = &c->quality;

    if (!c->has_quality) {
        return json_null();
    }
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:I, s:I, s:I, s:I, s:I}", "snr_db", finite_or_null(q->snr),
                     "largest_error", finite_or_null(q->largest_error), "largest_relative_error",
                     finite_or_null(q->largest_relative_error), "saturated_share",
                     finite_or_null(record_share(c, q->saturated)), "flushed_share",
                     finite_or_null(record_share(c, q->flushed)), "saturated", (json_int_t)q->saturated, "flushed",
                     (json_int_t)q->flushed, "finite", (json_int_t)q->finite, "nan", (json_int_t)q->nan, "infinite",
                     (json_int_t)q->infinite);
}

/* The visits of one case, in the order of its samples. */
static json_t *rounds_to_json(const struct record_case *c)
{
    json_t *rounds = json_array();

    for (size_t i = 0; i < c->round_count; i++) {
        document_append(&rounds, round_to_json(&c->rounds[i]));
    }
    return rounds;
}

/* What the time is held against; null if it was not measured. */
static json_t *ceiling_to_json(const struct record_case *c)
{
    if (c->best_time == 0) {
        return json_null();
    }
    return json_pack("{s:o, s:o, s:o, s:o, s:f, s:o}", "plain_ns", real_or_null(c->ceiling_times[CEILING_PLAIN]),
                     "streaming_ns", real_or_null(c->ceiling_times[CEILING_STREAMING]), "copy_ns",
                     real_or_null(c->ceiling_times[CEILING_COPY]), "floor_ns", real_or_null(c->floor_time), "best_ns",
                     c->best_time, "share",
                     c->implausible || c->time.median <= 0 ? json_null() : json_real(c->best_time / c->time.median));
}

/* The words of the doubts. */
static json_t *doubts_to_json(const struct record_case *c)
{
    unsigned doubts = record_doubts(c);
    json_t *words = json_array();

    for (unsigned i = 0; i < DOUBTS; i++) {
        if ((doubts & 1u << i) != 0) {
            document_append(&words, json_string(doubt_words[i]));
        }
    }
    return words;
}

static json_t *case_to_json(const struct record *record, const struct record_case *c)
{
    char data[DESCRIBE_SIZE];
    json_t *result =
        json_pack("{s:o, s:o, s:o, s:s, s:o, s:o, s:o, s:o}", "problem", problem_to_json(&c->problem), "dist",
                  record->input == NULL ? json_string(dist_words[c->dist]) : json_null(), "data",
                  document_text(property_data(record, c, data)), "device", c->device->id, "kernel",
                  document_text(c->kernel), "plugin", text_or_null(c->plugin), "arithmetic",
                  text_or_null(c->arithmetic), "threads", c->threads > 0 ? json_integer(c->threads) : json_null());
    json_t *verification =
        json_pack("{s:s, s:I, s:I, s:I, s:I, s:o, s:o, s:o}", "verification", verification_words[c->verification],
                  "wrong_codes", (json_int_t)c->wrong_codes, "wrong_scales", (json_int_t)c->wrong_scales, "near_codes",
                  (json_int_t)c->near_codes, "near_scales", (json_int_t)c->near_scales, "hard_cases",
                  c->hard_cases > 0 ? json_integer((json_int_t)c->hard_cases) : json_null(), "first_difference",
                  text_or_null(c->first_difference), "quality", quality_to_json(c));
    json_t *measurement = json_pack(
        "{s:s, s:I, s:b, s:I, s:s, s:s, s:o, s:I, s:I, s:I, s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:b, s:o, s:I, "
        "s:o}",
        "launch", launch_words[c->launch], "streams", (json_int_t)c->streams, "profiled", c->profiled,
        "launches_per_sample", (json_int_t)c->launches_per_sample, "cache", cache_words[c->cache], "cache_check",
        cache_check_words[c->cache_check], "hot_time_ns", real_or_null(c->hot_time), "buffer_sets", (json_int_t)c->sets,
        "rotated_bytes", (json_int_t)c->rotated_bytes, "bytes_read", (json_int_t)c->bytes.read, "bytes_written",
        (json_int_t)c->bytes.written, "time_ns", time_to_json(c), "rounds", rounds_to_json(c), "host_time_ns",
        real_or_null(c->host_time), "bytes_per_second", real_or_null(c->bytes_per_second), "peak_share",
        real_or_null(c->of_peak), "copy_time_ns", real_or_null(c->ceiling_times[CEILING_COPY]), "ceiling",
        ceiling_to_json(c), "implausible", c->implausible, "converged",
        record->precision > 0 && c->sample_count > 0 ? json_boolean(!c->unconverged) : json_null(), "exit_status",
        (json_int_t)verdict_of_case(record, c), "doubts", doubts_to_json(c));

    document_merge(&result, verification);
    document_merge(&result, measurement);
    return result;
}

/* What was judged: the ratio with its interval. */
static json_t *judgement_to_json(const struct judgement *judgement)
{
    return json_pack("{s:f, s:[f, f]}", "ratio", judgement->ratio, "ratio_ci95", judgement->low, judgement->high);
}

static json_t *pair_to_json(const struct record_pair *pair)
{
    const struct judgement *judgement = &pair->judgement;
    json_t *verdict = json_null();

    if (pair->count > 0) {
        json_t *more = judgement->more == COMPARE_NEVER ? json_null() : json_integer((json_int_t)judgement->more);

        verdict = judgement_to_json(judgement);
        document_put(&verdict, "p_value", json_real(judgement->p));
        document_put(&verdict, "verdict", json_string(verdict_words[judgement->verdict]));
        document_put(&verdict, "more_needed", more);
    }
    return json_pack("{s:I, s:o, s:o, s:o, s:o, s:o, s:o}", "result", (json_int_t)pair->result, "baseline_result",
                     pair->baseline_result == RECORD_IN_FILE ? json_null()
                                                             : json_integer((json_int_t)pair->baseline_result),
                     "name", document_text(pair->name), "baseline_name", document_text(pair->baseline_name),
                     "medians_ns", numbers_to_json(pair->times, pair->count), "baseline_medians_ns",
                     numbers_to_json(pair->baseline_times, pair->baseline_count), "judgement", verdict);
}

static json_t *mean_to_json(const struct record_mean *mean)
{
    json_t *object = json_pack("{s:o, s:I}", "name", document_text(mean->name), "pairs", (json_int_t)mean->pairs);

    document_merge(&object, judgement_to_json(&mean->judgement));
    return object;
}

/* The best of several kernels that have one baseline, a list of these; null is one that is undecided. */
static json_t *best_to_json(const struct record *record)
{
    json_t *list = json_array();

    for (size_t i = 0; i < record->comparison.count; i++) {
        const struct record_pair *pair = &record->comparison.pairs[i], *best, *rival;

        if (verdict_has_best(&record->comparison, i)) {
            bool decided = verdict_best(record, i, &best, &rival);
            size_t result = best != NULL ? best->result : pair->baseline_result;

            document_append(&list, json_pack("{s:I, s:o}", "baseline_result", (json_int_t)pair->baseline_result,
                                             "result", decided ? json_integer((json_int_t)result) : json_null()));
        }
    }
    return list;
}

/* The comparison; null if there is none. */
static json_t *comparison_to_json(const struct record *record)
{
    const struct record_comparison *comparison = &record->comparison;
    json_t *pairs = json_array(), *means = json_array();

    if (comparison->axis == COMPARE_NOTHING) {
        json_decref(pairs);
        json_decref(means);
        return json_null();
    }
    for (size_t i = 0; i < comparison->count; i++) {
        document_append(&pairs, pair_to_json(&comparison->pairs[i]));
    }
    for (size_t i = 0; i < comparison->mean_count; i++) {
        document_append(&means, mean_to_json(&comparison->means[i]));
    }
    return json_pack("{s:s, s:f, s:b, s:o, s:o, s:o, s:o, s:o, s:o}", "between", axis_words[comparison->axis], "margin",
                     comparison->margin, "slower_fails", comparison->slower_fails, "baseline_file",
                     text_or_null(comparison->baseline_file), "baseline_date", text_or_null(comparison->baseline_date),
                     "baseline_version", text_or_null(comparison->baseline_version), "pairs", pairs, "geometric_means",
                     means, "best", best_to_json(record));
}

enum exit_code report_json(const struct record *record, FILE *stream)
{
    json_t *arguments = json_array(), *devices = json_array(), *results = json_array();

    for (size_t i = 0; i < record->argc; i++) {
        document_append(&arguments, document_text(record->argv[i]));
    }
    for (size_t i = 0; i < record->device_count; i++) {
        json_t *device = report_device_json(&record->devices[i]);

        document_put(&device, "timer",
                     json_pack("{s:s, s:f, s:f}", "source", "device events", "tick_ns", record->timers[i].tick,
                               "empty_ns", record->timers[i].empty));
        document_put(&device, "binding",
                     record->devices[i].binding[0] != '\0' ? document_text(record->devices[i].binding) : json_null());
        document_append(&devices, device);
    }
    for (size_t i = 0; i < record->count; i++) {
        document_append(&results, case_to_json(record, &record->cases[i]));
    }
    return document_print(
        json_pack(
            "{s:s, s:I, s:s, s:s, s:s, s:o, s:{s:o, s:o, s:I}, s:I, s:o, s:o, s:o, s:I, s:I, s:I, s:o, s:o, s:s, s:I, "
            "s:b, s:b, s:b, s:b, s:I, s:I, s:o, s:o, s:o}",
            "schema", RECORD_SCHEMA, "schema_version", (json_int_t)RECORD_SCHEMA_VERSION, "version", record->version,
            "library_version", record->library_version, "date", record->date, "argv", arguments, "host", "name",
            document_text(record->host_name), "system", document_text(record->system), "cpus", (json_int_t)record->cpus,
            "seed", (json_int_t)record->seed, "input", text_or_null(record->input), "tensor",
            text_or_null(record->tensor), "data_digest",
            text_or_null(record->digest[0] != '\0' ? record->digest : NULL), "num_warmup_iters",
            (json_int_t)record->num_warmup_iters, "num_iters", (json_int_t)record->num_iters, "planned_rounds",
            (json_int_t)record->planned_rounds, "precision", real_or_null(record->precision), "timeout_s",
            real_or_null(record->timeout), "regime", regime_words[record->regime], "runs", (json_int_t)record->runs,
            "dependent_launch", record->dependent_launch, "interrupted", record->interrupted, "strict", record->strict,
            "forced", record->forced, "exit_status", (json_int_t)record->code, "cases", (json_int_t)record->planned,
            "devices", devices, "results", results, "comparison", comparison_to_json(record)),
        stream);
}
