/* SPDX-License-Identifier: Apache-2.0 */
/* record_json.c - a record from the JSON document that report_json.c has written. The file may come from anywhere: what
 * it holds is checked, and what is refused is named with what was expected. Members that are not known are left out. */
#include <config.h>

#include "base/document.h"
#include "base/intake.h"
#include "model/record.h"
#include "model/round_json.h"
#include "base/label.h"
#include "model/problem_text.h"

#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* Where in the document the reader is. The first thing that is wrong has been reported once CODE is not EXIT_OK; from
 * then on nothing is read any more. */
struct reader {
    const char *file; /* safe to print on a terminal */
    char place[64];   /* such as "results[3].time_ns.", to be put before the name of a member */
    enum exit_code code;
};

/* Say that MEMBER is not what was expected. */
__attribute__((format(printf, 3, 4))) static void refuse(struct reader *reader, const char *member, const char *format,
                                                         ...)
{
    char expected[256];
    va_list arguments;

    if (reader->code != EXIT_OK) {
        return;
    }
    va_start(arguments, format);
    vsnprintf(expected, sizeof expected, format, arguments);
    va_end(arguments);
    message_error("%s: %s%s: %s is expected", reader->file, reader->place, member, expected);
    reader->code = EXIT_USAGE;
}

static void *no_memory(struct reader *reader)
{
    if (reader->code == EXIT_OK) {
        message_error("out of memory: the record in %s", reader->file);
        reader->code = EXIT_CANNOT_RUN;
    }
    return NULL;
}

static void *allocate(struct reader *reader, size_t count, size_t size)
{
    /* One more, because of no element memory may be NULL. */
    void *memory = calloc(count + 1, size);

    return memory != NULL ? memory : no_memory(reader);
}

static void set_place(struct reader *reader, const char *array, size_t index, const char *object)
{
    snprintf(reader->place, sizeof reader->place, "%s[%zu].%s", array, index, object);
}

static uint64_t get_number(struct reader *reader, const json_t *object, const char *member, uint64_t min, uint64_t max)
{
    const json_t *value = json_object_get(object, member);
    json_int_t number = json_integer_value(value);

    if (!json_is_integer(value) || number < 0 || (uint64_t)number < min || (uint64_t)number > max) {
        refuse(reader, member, "a whole number from %" PRIu64 " to %" PRIu64, min, max);
        return min;
    }
    return (uint64_t)number;
}

/* Whether OBJECT has MEMBER, which older documents do not have. */
static bool has(const json_t *object, const char *member)
{
    return json_object_get(object, member) != NULL;
}

/* A number >= 0, which jansson promises to be finite. */
static double get_real(struct reader *reader, const json_t *object, const char *member)
{
    const json_t *value = json_object_get(object, member);

    if (!json_is_number(value) || json_number_value(value) < 0) {
        refuse(reader, member, "a number >= 0");
        return 0;
    }
    return json_number_value(value);
}

/* The same, or 0 for null. */
static double get_real_or_null(struct reader *reader, const json_t *object, const char *member)
{
    const json_t *value = json_object_get(object, member);

    if (!json_is_null(value) && (!json_is_number(value) || json_number_value(value) < 0)) {
        refuse(reader, member, "a number >= 0 or null");
        return 0;
    }
    return json_number_value(value);
}

static bool get_bool(struct reader *reader, const json_t *object, const char *member)
{
    const json_t *value = json_object_get(object, member);

    if (!json_is_boolean(value)) {
        refuse(reader, member, "true or false");
    }
    return json_is_true(value);
}

/* Text that a report prints as it is, so that it must not move a terminal's cursor. NULL if it is refused. */
static const char *get_word(struct reader *reader, const json_t *object, const char *member, size_t size)
{
    const char *text = json_string_value(json_object_get(object, member));

    for (const char *c = text; c != NULL && *c != '\0'; c++) {
        if ((unsigned char)*c < ' ' || *c == 0x7F) {
            text = NULL;
            break;
        }
    }
    if (text == NULL || strlen(text) >= size) {
        refuse(reader, member, "a string of up to %zu bytes without control characters", size - 1);
        return NULL;
    }
    return text;
}

/* Put such a text into the SIZE bytes at TEXT. */
static void get_array(struct reader *reader, const json_t *object, const char *member, char *text, size_t size)
{
    const char *word = get_word(reader, object, member, size);

    snprintf(text, size, "%s", word != NULL ? word : "");
}

/* A copy of TEXT. */
static char *copy_text(struct reader *reader, const char *text)
{
    char *copy = text != NULL ? strdup(text) : NULL;

    return copy != NULL || text == NULL ? copy : no_memory(reader);
}

static char *get_text(struct reader *reader, const json_t *object, const char *member)
{
    return copy_text(reader, get_word(reader, object, member, 1024));
}

/* Any text, or NULL for null: whoever prints it takes care of what it is. */
static char *get_any_text_or_null(struct reader *reader, const json_t *object, const char *member)
{
    const json_t *value = json_object_get(object, member);

    if (!json_is_string(value) && !json_is_null(value)) {
        refuse(reader, member, "a string or null");
    }
    return copy_text(reader, json_string_value(value));
}

/* The index of the member's text in NAMES, which NULL ends. */
static unsigned get_name(struct reader *reader, const json_t *object, const char *member, const char *const *names)
{
    const char *text = json_string_value(json_object_get(object, member));
    char accepted[128] = "";

    for (unsigned i = 0; names[i] != NULL; i++) {
        size_t length = strlen(accepted);

        if (text != NULL && strcmp(text, names[i]) == 0) {
            return i;
        }
        snprintf(accepted + length, sizeof accepted - length, "%s\"%s\"", i > 0 ? ", " : "", names[i]);
    }
    refuse(reader, member, "one of %s", accepted);
    return 0;
}

static const json_t *get_object(struct reader *reader, const json_t *object, const char *member)
{
    const json_t *value = json_object_get(object, member);

    if (!json_is_object(value)) {
        refuse(reader, member, "an object");
    }
    return value;
}

static const json_t *get_list(struct reader *reader, const json_t *object, const char *member)
{
    const json_t *value = json_object_get(object, member);

    if (!json_is_array(value)) {
        refuse(reader, member, "an array");
    }
    return value;
}

static void read_argv(struct reader *reader, const json_t *document, struct record *record)
{
    const json_t *list = get_list(reader, document, "argv");

    record->argv = allocate(reader, json_array_size(list), sizeof *record->argv);
    for (size_t i = 0; i < json_array_size(list) && reader->code == EXIT_OK; i++) {
        const char *text = json_string_value(json_array_get(list, i));

        if (text == NULL) {
            refuse(reader, "argv", "an array of strings");
            return;
        }
        record->argv[i] = copy_text(reader, text);
        record->argc++;
    }
}

static void read_devices(struct reader *reader, const json_t *document, struct record *record)
{
    const json_t *list = get_list(reader, document, "devices");

    record->devices = allocate(reader, json_array_size(list), sizeof *record->devices);
    record->timers = allocate(reader, json_array_size(list), sizeof *record->timers);
    for (size_t i = 0; i < json_array_size(list) && reader->code == EXIT_OK; i++) {
        const json_t *device = json_array_get(list, i);
        struct qb_device_info *info = &record->devices[i];

        set_place(reader, "devices", i, "");
        get_array(reader, device, "id", info->id, sizeof info->id);
        get_array(reader, device, "name", info->name, sizeof info->name);
        get_array(reader, device, "isa", info->isa, sizeof info->isa);
        get_array(reader, device, "driver", info->driver, sizeof info->driver);
        get_array(reader, device, "runtime", info->runtime, sizeof info->runtime);
        get_array(reader, device, "uuid", info->uuid, sizeof info->uuid);
        get_array(reader, device, "pci", info->pci, sizeof info->pci);
        info->memory_total = get_number(reader, device, "memory_bytes", 0, INT64_MAX);
        info->cache_size = get_number(reader, device, "cache_bytes", 0, INT64_MAX);
        info->units = (unsigned)get_number(reader, device, "units", 0, INT32_MAX);
        info->timer_tick = get_real(reader, device, "timer_tick_ns");
        info->peak_bandwidth = get_real(reader, device, "peak_bytes_per_second");
        if (has(device, "binding") && !json_is_null(json_object_get(device, "binding"))) {
            get_array(reader, device, "binding", info->binding, sizeof info->binding);
        }
        if (has(device, "timer")) {
            const json_t *timer = get_object(reader, device, "timer");

            set_place(reader, "devices", i, "timer.");
            record->timers[i].tick = get_real(reader, timer, "tick_ns");
            record->timers[i].empty = get_real(reader, timer, "empty_ns");
        }
        record->device_count++;
    }
    reader->place[0] = '\0';
}

static enum qb_format get_format(struct reader *reader, const json_t *problem, const char *member, bool is_input)
{
    const char *text = json_string_value(json_object_get(problem, member));
    char accepted[128] = "";

    for (int i = 0; i < QB_FORMAT_COUNT; i++) {
        const struct qb_format_info *info = qb_format_info((enum qb_format)i);
        size_t length = strlen(accepted);

        if (is_input ? info->is_input : info->is_output) {
            if (text != NULL && strcmp(text, info->name) == 0) {
                return info->format;
            }
            snprintf(accepted + length, sizeof accepted - length, "%s\"%s\"", length > 0 ? ", " : "", info->name);
        }
    }
    refuse(reader, member, "one of %s", accepted);
    return QB_FORMAT_F16;
}

/* Whether TEXT is just what problem_granularity_text() makes of what is then in PROBLEM. */
static bool parse_granularity(const char *text, struct qb_problem *problem)
{
    char again[64];
    size_t length = strcspn(text, ":");

    for (int i = 0; i < QB_GRANULARITY_COUNT; i++) {
        const char *name = qb_granularity_name((enum qb_granularity)i);

        if (strlen(name) == length && strncmp(text, name, length) == 0) {
            problem->granularity = (enum qb_granularity)i;
        }
    }
    if (problem->granularity == QB_GRANULARITY_GROUP) {
        sscanf(text, "group:%" SCNu64, &problem->group);
    } else if (problem->granularity == QB_GRANULARITY_BLOCK) {
        sscanf(text, "block:%" SCNu64 "x%" SCNu64, &problem->block_rows, &problem->block_cols);
    }
    problem_granularity_text(problem, again, sizeof again);
    return strcmp(text, again) == 0;
}

static void read_problem(struct reader *reader, const json_t *problem, struct qb_problem *to)
{
    const char *granularity = json_string_value(json_object_get(problem, "granularity"));
    const char *scalings[QB_SCALING_COUNT + 1] = {NULL};

    for (int i = 0; i < QB_SCALING_COUNT; i++) {
        scalings[i] = qb_scaling_name((enum qb_scaling)i);
    }
    qb_problem_init(to);
    to->input = get_format(reader, problem, "dtype", true);
    to->output = get_format(reader, problem, "quant_dtype", false);
    to->scaling = (enum qb_scaling)get_name(reader, problem, "scale", scalings);
    if (granularity == NULL || !parse_granularity(granularity, to)) {
        refuse(reader, "granularity", "one of \"tensor\", \"token\", \"channel\", \"group:G\", \"block:RxC\"");
    }
    to->tokens = get_number(reader, problem, "num_tokens", 1, INT64_MAX);
    to->hidden = get_number(reader, problem, "hidden_size", 1, INT64_MAX);
    to->amax_bound = (float)get_real_or_null(reader, problem, "scale_ub");
}

/* What the members of a problem say together. The reader is at the case. */
static void check_problem(struct reader *reader, const json_t *problem, const struct qb_problem *to)
{
    const json_t *shape = json_object_get(problem, "scale_shape");
    uint64_t rows, cols;

    if (reader->code == EXIT_OK && qb_problem_validate(to) != QB_OK) {
        refuse(reader, "problem", "something that can be quantized (%s)", qb_error_detail());
    }
    if (reader->code != EXIT_OK) {
        return;
    }
    qb_problem_scale_shape(to, &rows, &cols);
    if (json_array_size(shape) != 2 || (uint64_t)json_integer_value(json_array_get(shape, 0)) != rows ||
        (uint64_t)json_integer_value(json_array_get(shape, 1)) != cols) {
        refuse(reader, "problem.scale_shape", "[%" PRIu64 ", %" PRIu64 "], which the sizes give,", rows, cols);
    }
}

/* Numbers >= 0, which are the caller's to free. */
static double *get_times(struct reader *reader, const json_t *object, const char *member, size_t *count)
{
    const json_t *list = get_list(reader, object, member);
    double *times = allocate(reader, json_array_size(list), sizeof *times);

    *count = json_array_size(list);
    for (size_t i = 0; i < *count && reader->code == EXIT_OK; i++) {
        const json_t *time = json_array_get(list, i);

        times[i] = json_number_value(time);
        if (!json_is_number(time) || times[i] < 0) {
            refuse(reader, member, "an array of numbers >= 0");
        }
    }
    return times;
}

static void read_time(struct reader *reader, const json_t *time, struct record_case *to)
{
    const json_t *ci = json_object_get(time, "median_ci95");
    struct stats *stats = &to->time;

    stats->min = get_real(reader, time, "min");
    stats->median = get_real(reader, time, "median");
    stats->mean = get_real(reader, time, "mean");
    stats->p99 = get_real(reader, time, "p99");
    stats->max = get_real(reader, time, "max");
    stats->ci_low = stats->ci_high = NAN;
    if (json_array_size(ci) == 2 && json_is_number(json_array_get(ci, 0)) && json_is_number(json_array_get(ci, 1))) {
        stats->ci_low = json_number_value(json_array_get(ci, 0));
        stats->ci_high = json_number_value(json_array_get(ci, 1));
    } else if (!json_is_null(ci)) {
        refuse(reader, "median_ci95", "an array of two numbers or null");
    }
    if (stats->min > stats->median || stats->median > stats->max) {
        refuse(reader, "median", "a number from min to max");
    }
    to->samples = get_times(reader, time, "samples", &to->sample_count);
    if (has(time, "ci95_basis")) {
        const json_t *autocorrelation = json_object_get(time, "autocorrelation");

        stats->basis = (enum stats_basis)get_name(reader, time, "ci95_basis", basis_words);
        stats->mild_outliers = (size_t)get_number(reader, time, "mild_outliers", 0, to->sample_count);
        stats->severe_outliers = (size_t)get_number(reader, time, "severe_outliers", 0, to->sample_count);
        stats->autocorrelation = json_is_null(autocorrelation) ? NAN : json_number_value(autocorrelation);
        if (!json_is_null(autocorrelation) && !json_is_number(autocorrelation)) {
            refuse(reader, "autocorrelation", "a number or null");
        }
    } else {
        stats->basis = isnan(stats->ci_low) ? STATS_BASIS_NONE : STATS_BASIS_SAMPLES;
        stats->autocorrelation = NAN;
    }
    if ((stats->basis == STATS_BASIS_NONE) != isnan(stats->ci_low)) {
        refuse(reader, "ci95_basis", "\"none\" if there is no interval, and only then,");
    }
    if (to->sample_count == 0) {
        refuse(reader, "samples", "at least one number");
    }
    stats->count = to->sample_count;
}

/* The visits. Older documents do not tell them apart: all samples are of one. */
static void read_rounds(struct reader *reader, const json_t *result, size_t index, struct record_case *to)
{
    const json_t *list = has(result, "rounds") ? get_list(reader, result, "rounds") : NULL;
    size_t count = json_array_size(list), left = to->sample_count;

    to->rounds = allocate(reader, count, sizeof *to->rounds);
    for (size_t i = 0; i < count && reader->code == EXIT_OK; i++) {
        const char *wrong = round_from_json(json_array_get(list, i), &to->rounds[i]);

        snprintf(reader->place, sizeof reader->place, "results[%zu].rounds[%zu].", index, i);
        if (wrong == NULL && to->rounds[i].samples > left) {
            wrong = "samples";
        }
        if (wrong != NULL) {
            refuse(reader, wrong, "what quantbench writes there");
        }
        left -= to->rounds[i].samples <= left ? to->rounds[i].samples : 0;
    }
    set_place(reader, "results", index, "");
    if (list != NULL && left > 0) {
        refuse(reader, "rounds", "as many samples as there are");
    }
    to->round_count = count;
    if (list == NULL && to->sample_count > 0 && reader->code == EXIT_OK) {
        to->rounds[0] =
            (struct round){.samples = to->sample_count, .median = to->time.median, .huge_bytes = ROUND_UNKNOWN};
        to->round_count = 1;
    }
}

static void read_ceiling(struct reader *reader, const json_t *result, size_t index, struct record_case *to)
{
    const json_t *ceiling = json_object_get(result, "ceiling");

    to->ceiling_times[CEILING_COPY] = get_real_or_null(reader, result, "copy_time_ns");
    if (ceiling == NULL) {
        /* Older documents hold the time against the copy. */
        to->best_time = to->ceiling_times[CEILING_COPY];
    } else if (!json_is_null(ceiling)) {
        set_place(reader, "results", index, "ceiling.");
        to->ceiling_times[CEILING_PLAIN] = get_real_or_null(reader, ceiling, "plain_ns");
        to->ceiling_times[CEILING_STREAMING] = get_real_or_null(reader, ceiling, "streaming_ns");
        to->ceiling_times[CEILING_COPY] = get_real_or_null(reader, ceiling, "copy_ns");
        to->floor_time = get_real_or_null(reader, ceiling, "floor_ns");
        to->best_time = get_real(reader, ceiling, "best_ns");
        set_place(reader, "results", index, "");
    }
}

/* What a run with rounds found beside its samples. */
static void read_findings(struct reader *reader, const json_t *result, const struct record *record,
                          struct record_case *to)
{
    const json_t *converged = json_object_get(result, "converged");

    to->streams = has(result, "streams") ? (unsigned)get_number(reader, result, "streams", 1, SETTINGS_MAX_STREAMS) : 1;
    if (!has(result, "cache_check")) {
        return;
    }
    to->cache_check = (enum cache_check)get_name(reader, result, "cache_check", cache_check_words);
    to->hot_time = get_real_or_null(reader, result, "hot_time_ns");
    to->host_time = get_real_or_null(reader, result, "host_time_ns");
    to->of_peak = get_real_or_null(reader, result, "peak_share");
    to->implausible = get_bool(reader, result, "implausible") ||
                      (to->sample_count > 0 && json_is_object(json_object_get(result, "ceiling")) &&
                       record_is_implausible(to->time.median, to->best_time));
    if (record->precision > 0 && to->sample_count > 0) {
        to->unconverged = !get_bool(reader, result, "converged");
    } else if (!json_is_null(converged)) {
        refuse(reader, "converged", "null, since no precision was asked for,");
    }
}

/* The data are a file's, for which the distribution is null, or generated. Older documents do not say how: they are of
 * a time when all were normal. */
static enum input_dist get_dist(struct reader *reader, const json_t *result, const struct record *record)
{
    const char *names[INPUT_DISTS + 1] = {NULL};
    const json_t *value = json_object_get(result, "dist");

    for (int i = 0; i < INPUT_DISTS; i++) {
        names[i] = dist_words[i];
    }
    if (record->input == NULL && value != NULL) {
        return (enum input_dist)get_name(reader, result, "dist", names);
    }
    if (value != NULL && !json_is_null(value)) {
        refuse(reader, "dist", "null, since there is an input,");
    }
    return INPUT_NORMAL;
}

/* The quality of a case whose problem and verdict have been read. Each element is finite, NaN or infinite; the shares
 * follow from the numbers. */
static void read_quality(struct reader *reader, const json_t *quality, struct record_case *to)
{
    struct quality *q = &to->quality;
    uint64_t count = reader->code == EXIT_OK ? to->problem.tokens * to->problem.hidden : 0;
    const json_t *snr = json_object_get(quality, "snr_db");

    q->finite = get_number(reader, quality, "finite", 0, count);
    q->nan = get_number(reader, quality, "nan", 0, count - q->finite);
    q->infinite = get_number(reader, quality, "infinite", count - q->finite - q->nan, count - q->finite - q->nan);
    q->saturated = get_number(reader, quality, "saturated", 0, q->finite);
    q->flushed = get_number(reader, quality, "flushed", 0, q->finite);
    /* There is none of these where there is no element that it could be of, and no noise without an error. JSON has no
     * infinity: an error that is null is infinite, and then so is the noise. */
    q->largest_error = q->finite == 0 ? NAN
                       : json_is_null(json_object_get(quality, "largest_error"))
                           ? INFINITY
                           : get_real(reader, quality, "largest_error");
    q->largest_relative_error = json_is_null(json_object_get(quality, "largest_relative_error"))
                                    ? NAN
                                    : get_real(reader, quality, "largest_relative_error");
    q->snr = q->finite == 0 ? NAN : INFINITY;
    if (q->finite > 0 && q->largest_error > 0) {
        q->snr = isinf(q->largest_error) ? -INFINITY : json_number_value(snr);
        if (isinf(q->largest_error) ? !json_is_null(snr) : !json_is_number(snr)) {
            refuse(reader, "snr_db", isinf(q->largest_error) ? "null, since the error is infinite," : "a number");
        }
    } else if (!json_is_null(snr)) {
        refuse(reader, "snr_db", "null, since there is no error,");
    }
    to->has_quality = true;
}

/* Why the case has no time. What its verdict and its doubts add to that follows from them. */
static enum exit_code read_code(struct reader *reader, const json_t *result)
{
    enum exit_code code = (enum exit_code)get_number(reader, result, "exit_status", EXIT_OK, EXIT_INCONCLUSIVE);

    return code == EXIT_REGRESSION || code == EXIT_INCONCLUSIVE ? EXIT_OK : code;
}

static void read_case(struct reader *reader, const json_t *result, size_t index, const struct record *record,
                      struct record_case *to)
{
    const char *id = json_string_value(json_object_get(result, "device"));
    const json_t *time = json_object_get(result, "time_ns");
    const json_t *quality = json_object_get(result, "quality");

    set_place(reader, "results", index, "problem.");
    read_problem(reader, json_object_get(result, "problem"), &to->problem);
    set_place(reader, "results", index, "");
    check_problem(reader, json_object_get(result, "problem"), &to->problem);
    to->dist = get_dist(reader, result, record);
    for (size_t i = record->device_count; i > 0 && id != NULL; i--) {
        if (strcmp(record->devices[i - 1].id, id) == 0) {
            to->device = &record->devices[i - 1];
        }
    }
    if (to->device == NULL) {
        refuse(reader, "device", "the id of one of the devices");
    }
    to->kernel = get_text(reader, result, "kernel");
    if (has(result, "arithmetic")) {
        to->plugin = get_any_text_or_null(reader, result, "plugin");
        to->arithmetic = get_any_text_or_null(reader, result, "arithmetic");
    }
    to->threads = json_is_null(json_object_get(result, "threads"))
                      ? 0
                      : (unsigned)get_number(reader, result, "threads", 1, INT32_MAX);
    to->verification = (enum verification)get_name(reader, result, "verification", verification_words);
    to->wrong_codes = get_number(reader, result, "wrong_codes", 0, INT64_MAX);
    to->wrong_scales = get_number(reader, result, "wrong_scales", 0, INT64_MAX);
    if (has(result, "near_codes")) {
        to->near_codes = get_number(reader, result, "near_codes", 0, INT64_MAX);
        to->near_scales = get_number(reader, result, "near_scales", 0, INT64_MAX);
    }
    if (has(result, "hard_cases") && !json_is_null(json_object_get(result, "hard_cases"))) {
        to->hard_cases = get_number(reader, result, "hard_cases", 1, INT64_MAX);
    }
    to->first_difference = get_any_text_or_null(reader, result, "first_difference");
    to->launch = (enum launch_mode)get_name(reader, result, "launch", launch_words);
    to->profiled = get_bool(reader, result, "profiled");
    to->launches_per_sample = get_number(reader, result, "launches_per_sample", 0, INT64_MAX);
    to->cache = (enum cache_state)get_name(reader, result, "cache", cache_words);
    to->sets = (unsigned)get_number(reader, result, "buffer_sets", 0, INT32_MAX);
    to->rotated_bytes = get_number(reader, result, "rotated_bytes", 0, INT64_MAX);
    /* What a launch must move at least is the writer's to say, not this version's; the buffers are no part of a report.
     */
    to->bytes.read = get_number(reader, result, "bytes_read", 0, INT64_MAX);
    to->bytes.written = get_number(reader, result, "bytes_written", 0, INT64_MAX);
    to->bytes_per_second = get_real_or_null(reader, result, "bytes_per_second");
    read_ceiling(reader, result, index, to);
    to->code = read_code(reader, result);
    if (json_is_object(time)) {
        set_place(reader, "results", index, "time_ns.");
        read_time(reader, time, to);
    } else if (!json_is_null(time)) {
        refuse(reader, "time_ns", "an object or null");
    }
    set_place(reader, "results", index, "");
    read_rounds(reader, result, index, to);
    read_findings(reader, result, record, to);
    if (json_is_object(quality) && to->verification == VERIFIED) {
        set_place(reader, "results", index, "quality.");
        read_quality(reader, quality, to);
    } else if (quality != NULL && !json_is_null(quality)) {
        /* Older documents do not have it. */
        refuse(reader, "quality", "an object if the codes are verified, or null");
    }
}

static void read_cases(struct reader *reader, const json_t *document, struct record *record)
{
    const json_t *list = get_list(reader, document, "results");

    record->cases = allocate(reader, json_array_size(list), sizeof *record->cases);
    for (size_t i = 0; i < json_array_size(list) && reader->code == EXIT_OK; i++) {
        record->described++;
        read_case(reader, json_array_get(list, i), i, record, &record->cases[i]);
    }
    reader->place[0] = '\0';
    record->count = record->described;
    /* Older documents do not say how many there were to be. */
    record->planned = json_object_get(document, "cases") == NULL
                          ? record->count
                          : (size_t)get_number(reader, document, "cases", record->count, INT64_MAX);
}

/* The ratio and its interval. */
static void read_ratio(struct reader *reader, const json_t *object, struct judgement *judgement)
{
    const json_t *ci = json_object_get(object, "ratio_ci95");

    judgement->ratio = get_real(reader, object, "ratio");
    judgement->low = json_number_value(json_array_get(ci, 0));
    judgement->high = json_number_value(json_array_get(ci, 1));
    if (json_array_size(ci) != 2 || !json_is_number(json_array_get(ci, 0)) || !json_is_number(json_array_get(ci, 1)) ||
        !(judgement->low <= judgement->ratio && judgement->ratio <= judgement->high)) {
        refuse(reader, "ratio_ci95", "an array of two numbers with the ratio between them");
    }
}

static void read_pair(struct reader *reader, const json_t *pair, size_t index, const struct record *record,
                      struct record_pair *to)
{
    const json_t *judgement = json_object_get(pair, "judgement");

    set_place(reader, "comparison.pairs", index, "");
    to->result = (size_t)get_number(reader, pair, "result", 0, record->count > 0 ? record->count - 1 : 0);
    to->baseline_result =
        record->comparison.axis == COMPARE_BASELINE
            ? RECORD_IN_FILE
            : (size_t)get_number(reader, pair, "baseline_result", 0, record->count > 0 ? record->count - 1 : 0);
    to->name = get_text(reader, pair, "name");
    to->baseline_name = get_text(reader, pair, "baseline_name");
    to->times = get_times(reader, pair, "medians_ns", &to->count);
    to->baseline_times = get_times(reader, pair, "baseline_medians_ns", &to->baseline_count);
    if (json_is_null(judgement) != (to->count == 0) || !(json_is_object(judgement) || json_is_null(judgement))) {
        refuse(reader, "judgement", "an object, or null if there are no medians,");
    }
    if (json_is_object(judgement)) {
        set_place(reader, "comparison.pairs", index, "judgement.");
        read_ratio(reader, judgement, &to->judgement);
        to->judgement.p = get_real(reader, judgement, "p_value");
        to->judgement.verdict = (enum compare_verdict)get_name(reader, judgement, "verdict", verdict_words);
        to->judgement.more = json_is_null(json_object_get(judgement, "more_needed"))
                                 ? COMPARE_NEVER
                                 : get_number(reader, judgement, "more_needed", 0, INT64_MAX);
    }
}

static void read_means(struct reader *reader, const json_t *object, struct record_comparison *comparison)
{
    const json_t *list = get_list(reader, object, "geometric_means");

    comparison->means = allocate(reader, json_array_size(list), sizeof *comparison->means);
    for (size_t i = 0; i < json_array_size(list) && reader->code == EXIT_OK; i++) {
        const json_t *mean = json_array_get(list, i);
        struct record_mean *to = &comparison->means[comparison->mean_count++];

        set_place(reader, "comparison.geometric_means", i, "");
        to->name = get_text(reader, mean, "name");
        to->pairs = (size_t)get_number(reader, mean, "pairs", 1, INT64_MAX);
        read_ratio(reader, mean, &to->judgement);
    }
}

/* Older documents do not have it, and compare nothing. */
static void read_comparison(struct reader *reader, const json_t *document, struct record *record)
{
    const json_t *object = json_object_get(document, "comparison"), *list;
    struct record_comparison *comparison = &record->comparison;

    if (reader->code != EXIT_OK || object == NULL || json_is_null(object)) {
        return;
    }
    snprintf(reader->place, sizeof reader->place, "comparison.");
    /* The first name stands for no comparison. */
    comparison->axis = (enum compare_axis)(get_name(reader, object, "between", &axis_words[1]) + 1);
    comparison->margin = get_real(reader, object, "margin");
    comparison->slower_fails = !has(object, "slower_fails") || get_bool(reader, object, "slower_fails");
    if (comparison->axis == COMPARE_BASELINE) {
        comparison->baseline_file = get_any_text_or_null(reader, object, "baseline_file");
        comparison->baseline_date = get_text(reader, object, "baseline_date");
        comparison->baseline_version = get_text(reader, object, "baseline_version");
    }
    list = get_list(reader, object, "pairs");
    if (json_array_size(list) > 0 && record->count == 0) {
        refuse(reader, "pairs", "nothing, since there are no results,");
    }
    comparison->pairs = allocate(reader, json_array_size(list), sizeof *comparison->pairs);
    for (size_t i = 0; i < json_array_size(list) && reader->code == EXIT_OK; i++) {
        read_pair(reader, json_array_get(list, i), i, record, &comparison->pairs[comparison->count++]);
    }
    read_means(reader, object, comparison);
    reader->place[0] = '\0';
}

/* The digest of the data. Older documents do not have it, nor do generated data. */
static void read_digest(struct reader *reader, const json_t *document, struct record *record)
{
    const json_t *value = json_object_get(document, "data_digest");
    const char *text = json_string_value(value);

    if (value == NULL || json_is_null(value)) {
        return;
    }
    if (record->input == NULL || text == NULL || strlen(text) != RECORD_DIGEST_SIZE - 1 ||
        strspn(text, "0123456789abcdef") != RECORD_DIGEST_SIZE - 1) {
        refuse(reader, "data_digest", "a string of %d hexadecimal digits, or null without an input,",
               RECORD_DIGEST_SIZE - 1);
        return;
    }
    snprintf(record->digest, sizeof record->digest, "%s", text);
}

static void read_document(struct reader *reader, const json_t *document, struct record *record)
{
    const char *schema = json_string_value(json_object_get(document, "schema"));
    const json_t *host;

    if (schema == NULL || strcmp(schema, RECORD_SCHEMA) != 0) {
        refuse(reader, "schema", "\"" RECORD_SCHEMA "\", in a document that quantbench --format=json has written,");
    }
    get_number(reader, document, "schema_version", RECORD_SCHEMA_VERSION, RECORD_SCHEMA_VERSION);
    record->version = get_text(reader, document, "version");
    record->library_version = get_text(reader, document, "library_version");
    record->date = get_text(reader, document, "date");
    read_argv(reader, document, record);
    host = get_object(reader, document, "host");
    snprintf(reader->place, sizeof reader->place, "host.");
    record->host_name = get_text(reader, host, "name");
    record->system = get_text(reader, host, "system");
    record->cpus = get_number(reader, host, "cpus", 0, INT32_MAX);
    reader->place[0] = '\0';
    record->seed = get_number(reader, document, "seed", 0, INT64_MAX);
    record->input = get_any_text_or_null(reader, document, "input");
    record->tensor = get_any_text_or_null(reader, document, "tensor");
    read_digest(reader, document, record);
    record->num_warmup_iters = get_number(reader, document, "num_warmup_iters", 0, INT64_MAX);
    record->num_iters = get_number(reader, document, "num_iters", 0, INT64_MAX);
    record->runs = json_object_get(document, "runs") == NULL ? 0 : get_number(reader, document, "runs", 0, INT64_MAX);
    if (has(document, "planned_rounds")) {
        record->planned_rounds = get_number(reader, document, "planned_rounds", 1, INT64_MAX);
        record->precision = get_real_or_null(reader, document, "precision");
        record->timeout = get_real_or_null(reader, document, "timeout_s");
        record->regime = (enum regime)get_name(reader, document, "regime", regime_words);
    } else {
        record->planned_rounds = 1;
    }
    record->dependent_launch = get_bool(reader, document, "dependent_launch");
    record->interrupted = get_bool(reader, document, "interrupted");
    record->strict = has(document, "strict") && get_bool(reader, document, "strict");
    record->forced = has(document, "forced") && get_bool(reader, document, "forced");
    read_devices(reader, document, record);
    read_cases(reader, document, record);
    read_comparison(reader, document, record);
    /* Older documents do not have it. */
    record->code = has(document, "exit_status")
                       ? (enum exit_code)get_number(reader, document, "exit_status", EXIT_OK, EXIT_INCONCLUSIVE)
                       : EXIT_OK;
}

/* The document could not be parsed, and ERROR says why. */
static enum exit_code refuse_text(const char *label, const json_error_t *error)
{
    char why[LABEL_SIZE];

    label_file(error->text, NULL, why);
    message_error("%s: line %d, column %d: %s; one JSON document that quantbench --format=json has written is expected",
                  label, error->line, error->column, why);
    return EXIT_USAGE;
}

enum exit_code record_from_json_text(const char *text, size_t length, const char *label, struct record *record)
{
    struct reader reader = {.file = label, .code = EXIT_OK};
    json_error_t error;
    bool memory_short;
    json_t *document = document_parse(text, length, &error, &memory_short);

    *record = (struct record){.count = 0};
    if (memory_short) {
        no_memory(&reader);
    } else if (document == NULL) {
        reader.code = refuse_text(label, &error);
    } else if (!json_is_object(document)) {
        refuse(&reader, "the document", "an object that quantbench --format=json has written");
    } else {
        read_document(&reader, document, record);
    }
    json_decref(document);
    return reader.code;
}

enum exit_code record_from_json(const char *file, struct record *record)
{
    char label[LABEL_SIZE];
    struct stat info;
    const char *why;
    char *text;
    size_t length;
    enum exit_code code;

    *record = (struct record){.count = 0};
    label_file(file, NULL, label);
    if (stat(file, &info) == 0 && S_ISDIR(info.st_mode)) {
        message_error("%s: is a directory; a file that quantbench --format=json has written is expected", label);
        return EXIT_USAGE;
    }
    why = intake_read(file, &text, &length);
    if (why != NULL) {
        message_error("%s: %s", label, why);
        return EXIT_CANNOT_RUN;
    }
    code = record_from_json_text(text, length, label, record);
    free(text);
    return code;
}
