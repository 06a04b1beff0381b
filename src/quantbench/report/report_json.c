/* SPDX-License-Identifier: Apache-2.0 */
/* report_json.c - results for programs: one JSON document with all that is needed to repeat the run, and all of the
 * record, which record_json.c reads back. Members are only ever added under one value of schema_version; see JSON in
 * quantbench-output(5). */
#include <config.h>

#include "report/describe.h"
#include "base/document.h"
#include "base/saturate.h"
#include "report/report.h"
#include "report/spent.h"
#include "report/summary.h"
#include "model/round_json.h"
#include "verdict/verdict.h"
#include "model/operation.h"
#include "model/problem_text.h"
#include "model/recipe.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

/* NUMBER with as few digits as tell it from others; null if it DOES_NOT_APPLY. */
static json_t *float_or_null(float number, bool does_not_apply)
{
    char text[PROBLEM_NUMBER_SIZE];

    return does_not_apply ? json_null() : json_real(strtod(problem_number_text(number, text), NULL));
}

static json_t *word_or_null(const char *word, bool does_not_apply)
{
    return does_not_apply ? json_null() : json_string(word);
}

static json_t *size_or_null(uint64_t size, bool does_not_apply)
{
    return does_not_apply ? json_null() : json_integer((json_int_t)size);
}

/* The operation and its members; those that it does not read are null. */
static void put_operation(json_t **object, const struct qb_problem *p)
{
    const bool no_values = !operation_reads(p->operation, MEMBER_VALUES);
    const bool no_gate = !operation_reads(p->operation, MEMBER_GATE);
    const bool no_weights = !operation_reads(p->operation, MEMBER_WEIGHTS);
    const bool no_norm = !operation_reads(p->operation, MEMBER_EPSILON);
    const bool no_heads = !operation_reads(p->operation, MEMBER_HEAD_SIZE);
    const bool no_rope = !operation_reads(p->operation, MEMBER_PAIRING);
    const bool no_cache = !operation_has_cache(p->operation);

    document_put(object, "operation", json_string(qb_operation_name(p->operation)));
    document_put(object, "intermediate", word_or_null(qb_intermediate_name(p->intermediate), no_values));
    document_put(object, "keep_values", no_values ? json_null() : json_boolean(p->keep_values));
    document_put(object, "gelu", word_or_null(qb_gelu_name(p->gelu), !operation_reads(p->operation, MEMBER_GELU)));
    document_put(object, "gate", word_or_null(qb_gate_name(p->gate), no_gate));
    document_put(object, "gate_limit", float_or_null(p->gate_limit, p->gate_limit == 0));
    document_put(object, "alpha",
                 float_or_null(p->alpha > 0 ? p->alpha : 1, !operation_reads(p->operation, MEMBER_ALPHA)));
    document_put(object, "up_offset", float_or_null(p->up_offset, no_gate));
    document_put(object, "weights", word_or_null(qb_weights_name(p->weights), no_weights));
    document_put(object, "epsilon", float_or_null(p->epsilon, no_norm));
    document_put(object, "pairing", word_or_null(qb_pairing_name(p->pairing), no_rope));
    document_put(object, "head_size", size_or_null(p->head_size, no_heads));
    document_put(object, "rotary", size_or_null(p->rotary, no_rope));
    document_put(object, "positions", size_or_null(p->positions, no_rope));
    document_put(object, "page_size", size_or_null(p->page_size, no_cache));
    document_put(object, "pages", size_or_null(p->pages, no_cache));
    document_put(object, "page_layout", word_or_null(qb_page_layout_name(p->page_layout), no_cache));
    document_put(object, "experts", size_or_null(p->experts, p->experts == 0));
    document_put(object, "expert_rows", word_or_null(qb_expert_rows_name(p->expert_rows), p->experts == 0));
    document_put(object, "expert_tokens", size_or_null(p->expert_tokens, p->experts == 0));
}

void report_put_details(json_t **object, const struct qb_problem *p)
{
    const struct recipe *recipe = recipe_of(p, true);

    document_put(object, "recipe", recipe != NULL ? json_string(recipe->name) : json_null());
    document_put(object, "packing", json_string(qb_packing_name(p->packing)));
    document_put(object, "scale_format", json_string(problem_scale_format_name(p->scale_format)));
    document_put(object, "scale_rounding", json_string(qb_scale_rounding_name(p->scale_rounding)));
    document_put(object, "scale_layout", json_string(qb_scale_layout_name(p->scale_layout)));
    document_put(object, "tensor_scale", json_string(qb_tensor_scale_name(p->tensor_scale)));
    document_put(object, "zero_points", json_string(qb_zero_points_name(p->zero_points)));
    put_operation(object, p);
}

json_t *report_problem_json(const struct qb_problem *p)
{
    char granularity[64];
    uint64_t scale_rows, scale_cols;
    json_t *object;

    problem_granularity_text(p, granularity, sizeof granularity);
    qb_problem_scale_shape(p, &scale_rows, &scale_cols);
    object = json_pack("{s:s, s:s, s:s, s:s, s:I, s:I, s:[I, I], s:o}", "dtype", qb_format_info(p->input)->name,
                       "quant_dtype", qb_format_info(p->output)->name, "scale", qb_scaling_name(p->scaling),
                       "granularity", granularity, "num_tokens", (json_int_t)p->tokens, "hidden_size",
                       (json_int_t)p->hidden, "scale_shape", (json_int_t)scale_rows, (json_int_t)scale_cols, "scale_ub",
                       p->amax_bound > 0 ? json_real((double)p->amax_bound) : json_null());
    report_put_details(&object, p);
    return object;
}

/* NUMBER, or null if it was not asked for, which 0 says. */
static json_t *real_or_null(double number)
{
    return number > 0 ? json_real(number) : json_null();
}

/* The visits of one case, in the order of its samples. */
static json_t *rounds_to_json(const struct record_case *c)
{
    json_t *rounds = json_array();

    for (size_t i = 0; i < c->found.round_count; i++) {
        document_append(&rounds, round_to_json(&c->found.rounds[i]));
    }
    return rounds;
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

json_t *report_group_json(const struct record_case *c, const char *group)
{
    json_t *object = json_object();

    for (size_t i = 0; i < figures_of_case_count; i++) {
        const struct figure *figure = &figures_of_case[i];

        if (figure->group != NULL && strcmp(figure->group, group) == 0) {
            document_put(&object, figure->name, figure_to_json(figure, &c->found));
        }
    }
    return object;
}

static json_t *case_to_json(const struct record *record, const struct record_case *c)
{
    char data[PROPERTY_TEXT_SIZE];
    json_t *result =
        json_pack("{s:o, s:o, s:o, s:s, s:o, s:o, s:o, s:o, s:s, s:I}", "problem", report_problem_json(&c->problem),
                  "dist", record->input == NULL ? json_string(dist_words[c->dist]) : json_null(), "data",
                  document_text(property_data(record, c, data)), "device", c->device->id, "kernel",
                  document_text(c->kernel), "plugin", text_or_null(c->plugin), "arithmetic",
                  text_or_null(c->arithmetic), "threads", c->threads > 0 ? json_integer(c->threads) : json_null(),
                  "launch", launch_words[c->launch], "streams", (json_int_t)c->streams);

    if (c->tensor != NULL) {
        document_put(&result, "tensor", text_or_null(c->tensor->name));
        document_put(&result, "tensor_index", json_integer((json_int_t)(c->tensor - record->tensors)));
    }
    if (c->line > 0) {
        document_put(&result, "name", text_or_null(c->name));
        document_put(&result, "count", json_integer((json_int_t)c->uses));
        document_put(&result, "line", json_integer((json_int_t)c->line));
    }
    document_merge(&result, report_group_json(c, ""));
    for (const char *const *group = figures_groups; *group != NULL; group++) {
        json_t *object = figures_has_group(&c->found, *group) ? report_group_json(c, *group) : json_null();

        if (strcmp(*group, "time_ns") == 0 && json_is_object(object)) {
            document_put(&object, "samples", numbers_to_json(c->found.samples, c->found.sample_count));
        }
        document_put(&result, *group, object);
    }
    document_put(&result, "rounds", rounds_to_json(c));
    document_put(&result, "exit_status", json_integer((json_int_t)verdict_of_case(record, c)));
    document_put(&result, "doubts", doubts_to_json(c));
    if (c->source != NULL) { /* where devices of several hosts have one id */
        document_put(&result, "source_index", json_integer((json_int_t)(c->source - record->sources)));
        document_put(&result, "device_index", json_integer((json_int_t)(c->device - record->devices)));
    }
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

/* The facts of a device, or of the host, with their names. */
static json_t *facts_to_json(const struct record_facts *facts)
{
    json_t *object = json_object();

    for (size_t i = 0; i < facts->count; i++) {
        document_put(&object, facts->list[i].name, document_text(facts->list[i].value));
    }
    return object;
}

/* The tensors that --input and --tensor chose from several, with those that stay as they are. */
static json_t *tensors_to_json(const struct record *record)
{
    json_t *list = json_array();

    for (size_t i = 0; i < record->tensor_count; i++) {
        const struct record_tensor *tensor = &record->tensors[i];

        document_append(
            &list, json_pack("{s:o, s:o, s:o, s:s, s:s, s:I, s:o, s:o, s:o}", "title", document_text(tensor->title),
                             "name", text_or_null(tensor->name), "file", document_text(tensor->file), "type",
                             tensor->type, "shape", tensor->shape, "bytes", (json_int_t)tensor->bytes, "digest",
                             text_or_null(tensor->digest[0] != '\0' ? tensor->digest : NULL), "same_as",
                             tensor->same_as != RECORD_NONE ? json_integer((json_int_t)tensor->same_as) : json_null(),
                             "kept", text_or_null(tensor->kept)));
    }
    return list;
}

/* The runs that the record was merged from. */
static json_t *sources_to_json(const struct record *record)
{
    json_t *list = json_array();

    for (size_t i = 0; i < record->source_count; i++) {
        const struct record_source *const source = &record->sources[i];

        document_append(&list, json_pack("{s:o, s:o, s:o, s:s, s:s}", "label", document_text(source->label), "host",
                                         document_text(source->host_name), "system", document_text(source->system),
                                         "date", source->date, "version", source->version));
    }
    return list;
}

static json_t *decibels_to_json(double number)
{
    return isfinite(number) ? json_real(figure_digits(number)) : json_null();
}

/* The bytes of the model if TENSORS of them take BYTES; null if that is not all. */
static json_t *model_to_json(const struct summary *summary, size_t tensors, uint64_t bytes)
{
    return tensors < summary->tensors ? json_null() : document_number(saturate_add(bytes, summary->kept_bytes));
}

static json_t *ways_to_json(const struct summary *summary)
{
    json_t *list = json_array();

    for (size_t i = 0; i < summary->way_count; i++) {
        const struct summary_way *way = &summary->ways[i];
        char text[DESCRIBE_SIZE];

        document_append(&list,
                        json_pack("{s:o, s:I, s:o, s:o, s:o, s:o, s:o, s:o}", "quantized_to",
                                  document_text(describe_way(way->first, text)), "tensors", (json_int_t)way->tensors,
                                  "min_snr_db", decibels_to_json(way->min), "median_snr_db",
                                  decibels_to_json(way->median), "max_snr_db", decibels_to_json(way->max),
                                  "model_snr_db", decibels_to_json(way->model), "bytes", document_number(way->bytes),
                                  "model_bytes", model_to_json(summary, way->tensors, way->bytes)));
    }
    return list;
}

/* The index of C, or null. */
static json_t *index_to_json(const struct record *record, const struct record_case *c)
{
    return c != NULL ? json_integer((json_int_t)(c - record->cases)) : json_null();
}

/* The rule, and what it chooses; null if there is none. */
static json_t *best_way_to_json(const struct record *record, const struct summary *summary)
{
    json_t *list = json_array();

    for (size_t i = 0; i < summary->choice_count; i++) {
        const struct summary_choice *choice = &summary->choices[i];

        document_append(&list,
                        json_pack("{s:I, s:o, s:o}", "tensor_index", (json_int_t)(choice->tensor - record->tensors),
                                  "result", index_to_json(record, choice->best), "rival",
                                  index_to_json(record, choice->rival)));
    }
    return json_pack(
        "{s:s, s:o, s:o, s:o, s:o}", "rule", best_words[record->best], "snr_db",
        record->best == BEST_BYTES ? json_real(record->best_snr) : json_null(), "tensors", list, "model_snr_db",
        decibels_to_json(summary->best_model), "model_bytes",
        model_to_json(summary, summary->choice_count, saturate_add(summary->best_bytes, summary->best_kept_bytes)));
}

/* Add what the quality of several tensors comes to. */
static void put_summary(json_t **document, const struct record *record)
{
    struct summary summary;
    const bool applies = summary_applies(record);

    if (applies && !summary_make(record, &summary)) {
        report_lacks_memory();
    }
    document_put(document, "best",
                 applies && record->best != BEST_NONE ? best_way_to_json(record, &summary) : json_null());
    document_put(document, "summary",
                 applies ? json_pack("{s:I, s:o, s:o, s:I, s:o, s:o}", "tensors", (json_int_t)summary.tensors,
                                     "elements", document_number(summary.elements), "bytes",
                                     document_number(summary.bytes), "kept_tensors", (json_int_t)summary.kept_tensors,
                                     "kept_bytes", document_number(summary.kept_bytes), "ways", ways_to_json(&summary))
                         : json_null());
    if (applies) {
        summary_free(&summary);
    }
}

json_t *report_argv_json(const struct record *record)
{
    json_t *arguments = json_array();

    for (size_t i = 0; i < record->argc; i++) {
        document_append(&arguments, document_text(record->argv[i]));
    }
    return arguments;
}

json_t *report_host_json(const struct record *record)
{
    return json_pack("{s:o, s:o, s:I, s:o, s:o}", "name", document_text(record->host_name), "system",
                     document_text(record->system), "cpus", (json_int_t)record->cpus, "boot_id",
                     text_or_null(record->boot), "facts", facts_to_json(&record->host_facts));
}

json_t *report_devices_json(const struct record *record)
{
    json_t *devices = json_array();

    for (size_t i = 0; i < record->device_count; i++) {
        json_t *device = report_device_json(&record->devices[i]);

        document_put(&device, "timer",
                     json_pack("{s:s, s:f, s:f}", "source", "device events", "tick_ns", record->timers[i].tick,
                               "empty_ns", record->timers[i].empty));
        document_put(&device, "binding",
                     record->devices[i].binding[0] != '\0' ? document_text(record->devices[i].binding) : json_null());
        document_put(&device, "facts", record->facts != NULL ? facts_to_json(&record->facts[i]) : json_object());
        document_append(&devices, device);
    }
    return devices;
}

enum exit_code report_json(const struct record *record, FILE *stream)
{
    json_t *document, *results = json_array();

    for (size_t i = 0; i < record->count; i++) {
        document_append(&results, case_to_json(record, &record->cases[i]));
    }
    document = json_pack(
        "{s:s, s:I, s:s, s:s, s:s, s:o, s:o, s:o, s:I, s:o, s:o, s:o, s:I, s:I, s:I, s:o, "
        "s:o, s:o, "
        "s:s, s:I, "
        "s:b, s:b, s:b, s:b, s:I, s:I}",
        "schema", RECORD_SCHEMA, "schema_version", (json_int_t)RECORD_SCHEMA_VERSION, "version", record->version,
        "library_version", record->library_version, "date", record->date, "argv", report_argv_json(record), "host",
        report_host_json(record), "rank", record->rank >= 0 ? json_integer((json_int_t)record->rank) : json_null(),
        "seed", (json_int_t)record->seed, "input", text_or_null(record->input), "tensor", text_or_null(record->tensor),
        "data_digest", text_or_null(record->digest[0] != '\0' ? record->digest : NULL), "num_warmup_iters",
        (json_int_t)record->num_warmup_iters, "num_iters", (json_int_t)record->num_iters, "planned_rounds",
        (json_int_t)record->planned_rounds, "precision", real_or_null(record->precision), "timeout_s",
        real_or_null(record->timeout), "max_time_s", real_or_null(record->max_time), "regime",
        regime_words[record->regime], "runs", (json_int_t)record->runs, "dependent_launch", record->dependent_launch,
        "interrupted", record->interrupted, "strict", record->strict, "forced", record->forced, "exit_status",
        (json_int_t)record->code, "cases", (json_int_t)record->planned);
    document_put(&document, "expert_load", json_string(expert_load_words[record->expert_load]));
    document_put(&document, "together", text_or_null(record->together));
    document_put(&document, "process_state", json_string(state_words[record->state]));
    document_put(&document, "rated_only", json_boolean(record->rated_only));
    document_put(&document, "tensors", tensors_to_json(record));
    put_summary(&document, record);
    document_put(&document, "served_tokens",
                 record->served_tokens > 0 ? json_integer((json_int_t)record->served_tokens) : json_null());
    document_put(&document, "spending", spent_to_json(record));
    if (record->source_count > 0) {
        document_put(&document, "sources", sources_to_json(record));
    }
    document_put(&document, "devices", report_devices_json(record));
    document_put(&document, "results", results);
    document_put(&document, "comparison", comparison_to_json(record));
    return document_print(document, stream);
}
