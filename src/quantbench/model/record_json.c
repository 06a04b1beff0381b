/* SPDX-License-Identifier: Apache-2.0 */
/* record_json.c - a record from the JSON document that report_json.c has written. The file may come from anywhere: what
 * it holds is checked, and what is refused is named with what was expected. Members that are not known are left out. */
#include <config.h>

#include "base/document.h"
#include "base/intake.h"
#include "model/record.h"
#include "model/round_json.h"
#include "base/label.h"
#include "model/operation.h"
#include "model/part.h"
#include "model/problem_text.h"

#include <float.h>
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
    message_error("%s: %s%s: expected %s", reader->file, reader->place, member, expected);
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

/* The member "facts", which the first records lack. */
static void read_facts(struct reader *reader, const json_t *object, struct record_facts *to)
{
    json_t *facts = json_object_get(object, "facts"), *value;
    const char *name;

    to->list = allocate(reader, QB_DEVICE_FACTS, sizeof *to->list);
    if (facts != NULL && (!json_is_object(facts) || json_object_size(facts) > QB_DEVICE_FACTS)) {
        refuse(reader, "facts", "an object of up to %d members", QB_DEVICE_FACTS);
    }
    json_object_foreach(facts, name, value)
    {
        struct qb_device_fact *fact = reader->code == EXIT_OK ? &to->list[to->count] : NULL;

        if (fact == NULL) {
            return;
        }
        if (strlen(name) >= sizeof fact->name ||
            strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_") != strlen(name)) {
            refuse(reader, "facts", "names of up to %zu lower case letters", sizeof fact->name - 1);
            return;
        }
        memcpy(fact->name, name, strlen(name) + 1);
        get_array(reader, facts, name, fact->value, sizeof fact->value);
        to->count++;
    }
}

static void read_timer(struct reader *reader, const json_t *device, size_t index, struct calibration *to)
{
    const json_t *timer = get_object(reader, device, "timer");

    set_place(reader, "devices", index, "timer.");
    to->tick = get_real(reader, timer, "tick_ns");
    to->empty = get_real(reader, timer, "empty_ns");
}

static void read_devices(struct reader *reader, const json_t *document, struct record *record)
{
    const json_t *list = get_list(reader, document, "devices");

    record->devices = allocate(reader, json_array_size(list), sizeof *record->devices);
    record->timers = allocate(reader, json_array_size(list), sizeof *record->timers);
    record->facts = allocate(reader, json_array_size(list), sizeof *record->facts);
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
        if (!json_is_null(json_object_get(device, "binding"))) {
            get_array(reader, device, "binding", info->binding, sizeof info->binding);
        }
        record->device_count++;
        read_facts(reader, device, &record->facts[i]);
        read_timer(reader, device, i, &record->timers[i]);
    }
    reader->place[0] = '\0';
}

static enum qb_format get_format(struct reader *reader, const json_t *problem, const char *member, bool is_input)
{
    const char *text = json_string_value(json_object_get(problem, member));
    const struct qb_format_info *info;
    char accepted[128] = "";

    for (unsigned i = 0; (info = qb_format_info((enum qb_format)i)) != NULL; i++) {
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

/* True if TEXT is just what problem_granularity_text() makes of what is then in PROBLEM. */
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

/* True if MEMBER has a value. */
static bool is_given(const json_t *object, const char *member)
{
    const json_t *value = json_object_get(object, member);

    return value != NULL && !json_is_null(value);
}

/* A finite number of binary32, or 0 if it is missing. */
static float get_float(struct reader *reader, const json_t *object, const char *member)
{
    const json_t *value = json_object_get(object, member);
    const double number = json_number_value(value);

    if (is_given(object, member) && (!json_is_number(value) || fabs(number) > (double)FLT_MAX)) {
        refuse(reader, member, "a number or null");
        return 0;
    }
    return (float)number;
}

/* The number of the word that MEMBER is, of those that NAME gives; 0 if it is missing, as from older programs, or null.
 */
static int get_detail(struct reader *reader, const json_t *problem, const char *member, const char *(*name)(int))
{
    const char *words[16] = {NULL};

    for (int i = 0; i < 15 && name(i) != NULL; i++) {
        words[i] = name(i);
    }
    return is_given(problem, member) ? (int)get_name(reader, problem, member, words) : 0;
}

#define DETAIL_NAME(member, count)                                                                                     \
    static const char *member##_word(int i)                                                                            \
    {                                                                                                                  \
        return i < (count) ? qb_##member##_name((enum qb_##member)i) : NULL;                                           \
    }
DETAIL_NAME(packing, QB_PACKING_COUNT)
DETAIL_NAME(scale_rounding, QB_SCALE_ROUNDING_COUNT)
DETAIL_NAME(scale_layout, QB_SCALE_LAYOUT_COUNT)
DETAIL_NAME(tensor_scale, QB_TENSOR_SCALE_COUNT)
DETAIL_NAME(zero_points, QB_ZERO_POINTS_COUNT)
DETAIL_NAME(operation, QB_OPERATION_COUNT)
DETAIL_NAME(intermediate, QB_INTERMEDIATE_COUNT)
DETAIL_NAME(gelu, QB_GELU_COUNT)
DETAIL_NAME(gate, QB_GATE_COUNT)
DETAIL_NAME(weights, QB_WEIGHTS_COUNT)
DETAIL_NAME(pairing, QB_PAIRING_COUNT)
DETAIL_NAME(page_layout, QB_PAGE_LAYOUT_COUNT)
DETAIL_NAME(expert_rows, QB_EXPERT_ROWS_COUNT)

static const char *scale_format_word(int i)
{
    return i < PROBLEM_SCALE_FORMATS ? problem_scale_format_name(problem_scale_format_at((size_t)i)) : NULL;
}

/* How codes and scales are stored. The recipe follows from that. */
static void read_details(struct reader *reader, const json_t *problem, struct qb_problem *to)
{
    to->packing = (enum qb_packing)get_detail(reader, problem, "packing", packing_word);
    to->scale_format = problem_scale_format_at((size_t)get_detail(reader, problem, "scale_format", scale_format_word));
    to->scale_rounding = (enum qb_scale_rounding)get_detail(reader, problem, "scale_rounding", scale_rounding_word);
    to->scale_layout = (enum qb_scale_layout)get_detail(reader, problem, "scale_layout", scale_layout_word);
    to->tensor_scale = (enum qb_tensor_scale)get_detail(reader, problem, "tensor_scale", tensor_scale_word);
    to->zero_points = (enum qb_zero_points)get_detail(reader, problem, "zero_points", zero_points_word);
}

/* A member that only some operations have: 0 if it is missing or null. */
static uint64_t get_size(struct reader *reader, const json_t *problem, const char *name)
{
    return is_given(problem, name) ? get_number(reader, problem, name, 1, INT64_MAX) : 0;
}

/* The operation and its members. */
static void read_operation(struct reader *reader, const json_t *problem, struct qb_problem *to)
{
    to->operation = (enum qb_operation)get_detail(reader, problem, "operation", operation_word);
    to->intermediate = (enum qb_intermediate)get_detail(reader, problem, "intermediate", intermediate_word);
    to->keep_values = is_given(problem, "keep_values") && get_bool(reader, problem, "keep_values");
    to->gelu = (enum qb_gelu)get_detail(reader, problem, "gelu", gelu_word);
    to->gate = (enum qb_gate)get_detail(reader, problem, "gate", gate_word);
    to->gate_limit = get_float(reader, problem, "gate_limit");
    to->alpha = get_float(reader, problem, "alpha");
    to->up_offset = get_float(reader, problem, "up_offset");
    to->weights = (enum qb_weights)get_detail(reader, problem, "weights", weights_word);
    to->epsilon = get_float(reader, problem, "epsilon");
    to->pairing = (enum qb_pairing)get_detail(reader, problem, "pairing", pairing_word);
    to->head_size = get_size(reader, problem, "head_size");
    to->rotary = get_size(reader, problem, "rotary");
    to->positions = get_size(reader, problem, "positions");
    to->page_size = get_size(reader, problem, "page_size");
    to->pages = get_size(reader, problem, "pages");
    to->page_layout = (enum qb_page_layout)get_detail(reader, problem, "page_layout", page_layout_word);
    to->experts = get_size(reader, problem, "experts");
    to->expert_rows = (enum qb_expert_rows)get_detail(reader, problem, "expert_rows", expert_rows_word);
    to->expert_tokens = get_size(reader, problem, "expert_tokens");
    operation_settle(to);
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
    read_details(reader, problem, to);
    read_operation(reader, problem, to);
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

/* The figures of GROUP from OBJECT. */
static void read_figures(struct reader *reader, const json_t *object, const char *group, struct finding *found)
{
    for (size_t i = 0; i < figures_of_case_count; i++) {
        const struct figure *figure = &figures_of_case[i];
        char expected[FIGURE_EXPECTED_SIZE];

        if (figure->group != NULL && strcmp(figure->group, group) == 0 && !figure->is_derived &&
            !figure_from_json(figure, json_object_get(object, figure->name), found, expected)) {
            refuse(reader, figure->name, "%s", expected);
        }
    }
}

/* What the times say together. */
static void check_time(struct reader *reader, const json_t *time, struct finding *found)
{
    struct stats *stats = &found->time;

    if (stats->min > stats->median || stats->median > stats->max) {
        refuse(reader, "median", "a number from min to max");
    }
    if (stats->p99 < stats->median || stats->p99 > stats->max) {
        refuse(reader, "p99", "a number from median to max");
    }
    if (stats->ci_low > stats->median || stats->ci_high < stats->median) {
        refuse(reader, "median_ci95", "two numbers with the median between them");
    }
    found->samples = get_times(reader, time, "samples", &found->sample_count);
    if (found->sample_count == 0) {
        refuse(reader, "samples", "at least one number");
    }
    if (stats->mild_outliers > found->sample_count || stats->severe_outliers > found->sample_count) {
        refuse(reader, "mild_outliers", "no more outliers than samples");
    }
    if ((stats->basis == STATS_BASIS_NONE) != isnan(stats->ci_low)) {
        refuse(reader, "ci95_basis", "\"none\" if there is no interval, and only then,");
    }
    stats->count = found->sample_count;
}

/* The visits. */
static void read_rounds(struct reader *reader, const json_t *result, size_t index, struct finding *found)
{
    const json_t *list = get_list(reader, result, "rounds");
    size_t count = json_array_size(list), left = found->sample_count;

    found->rounds = allocate(reader, count, sizeof *found->rounds);
    for (size_t i = 0; i < count && reader->code == EXIT_OK; i++) {
        char expected[FIGURE_EXPECTED_SIZE] = "no more samples than there are";
        const char *wrong = round_from_json(json_array_get(list, i), &found->rounds[i], expected);

        snprintf(reader->place, sizeof reader->place, "results[%zu].rounds[%zu].", index, i);
        if (wrong == NULL && found->rounds[i].samples > left) {
            snprintf(expected, sizeof expected, "a number of samples that adds up to those that there are");
            wrong = "samples";
        }
        if (wrong != NULL) {
            refuse(reader, wrong, "%s", expected);
        }
        left -= found->rounds[i].samples <= left ? found->rounds[i].samples : 0;
    }
    set_place(reader, "results", index, "");
    if (left > 0) {
        refuse(reader, "rounds", "as many samples as there are");
    }
    found->round_count = found->rounds != NULL ? count : 0;
}

/* The data are a file's, for which the distribution is null, or generated. */
static enum input_dist get_dist(struct reader *reader, const json_t *result, const struct record *record)
{
    if (record->input == NULL) {
        return (enum input_dist)get_name(reader, result, "dist", dist_words);
    }
    if (!json_is_null(json_object_get(result, "dist"))) {
        refuse(reader, "dist", "null, since there is an input,");
    }
    return INPUT_NORMAL;
}

/* What the figures of quality say together. Each element is finite, NaN or infinite. */
static void check_quality(struct reader *reader, const json_t *quality, const struct qb_problem *problem,
                          struct quality *q)
{
    const uint64_t count = reader->code == EXIT_OK ? part_elements(problem) : 0;
    const json_t *snr = json_object_get(quality, "snr_db");

    if (q->finite > count || q->nan > count - q->finite || q->infinite != count - q->finite - q->nan) {
        refuse(reader, "finite", "a number that adds up to the elements with those of NaN and infinities");
    }
    if (q->saturated > q->finite || q->flushed > q->finite) {
        refuse(reader, "saturated", "no more than the finite elements");
    }
    if ((q->overrange != UINT64_MAX && q->overrange > q->finite) || q->tiles > count ||
        (q->tiles > 0 &&
         (q->saturated_tiles > q->tiles || q->overrange_tiles > q->tiles || q->floor_tiles > q->tiles))) {
        refuse(reader, "overrange", "no more than the finite elements, and no more tiles than there are");
    }
    /* There is none of these where there is no element that it could be of, and no noise without an error. JSON has no
     * infinity: an error that is null is infinite, and then so are the relative one and the noise. */
    if (q->finite > 0 && isnan(q->largest_error)) {
        if (!isnan(q->largest_relative_error)) {
            refuse(reader, "largest_relative_error", "null, since the error is infinite,");
        }
        q->largest_error = q->largest_relative_error = INFINITY;
    }
    if (q->finite > 0 && q->largest_error > 0) {
        /* Where all elements are 0 there is no relative error, and no signal. */
        const bool has_signal = isfinite(q->largest_relative_error);

        if (has_signal ? !json_is_number(snr) : !json_is_null(snr)) {
            refuse(reader, "snr_db", has_signal ? "a number" : "null, since there is no signal, or infinite noise,");
        }
        q->snr = has_signal ? q->snr : -INFINITY;
    } else if (!json_is_null(snr)) {
        refuse(reader, "snr_db", "null, since there is no error,");
    } else {
        q->snr = q->finite == 0 ? NAN : INFINITY;
    }
}

/* The groups of figures, which are null where they are not known. */
static void read_groups(struct reader *reader, const json_t *result, size_t index, bool rated_only,
                        struct record_case *to)
{
    const json_t *time = json_object_get(result, "time_ns"), *quality = json_object_get(result, "quality");

    for (const char *const *group = figures_groups; *group != NULL; group++) {
        const json_t *object = json_object_get(result, *group);

        if (json_is_object(object)) {
            char place[32];

            snprintf(place, sizeof place, "%s.", *group);
            set_place(reader, "results", index, place);
            read_figures(reader, object, *group, &to->found);
            set_place(reader, "results", index, "");
        } else if (!json_is_null(object)) {
            refuse(reader, *group, "an object or null");
        }
    }
    if (json_is_object(time)) {
        set_place(reader, "results", index, "time_ns.");
        check_time(reader, time, &to->found);
    }
    set_place(reader, "results", index, "");
    to->found.has_quality = json_is_object(quality);
    if (rated_only && !json_is_null(time)) {
        refuse(reader, "time_ns", "null, since nothing was timed,");
    }
    if (to->found.has_quality && to->found.checked.verification != VERIFIED && !rated_only) {
        refuse(reader, "quality", "null, since the codes are not verified,");
    } else if (to->found.has_quality) {
        set_place(reader, "results", index, "quality.");
        check_quality(reader, quality, &to->problem, &to->found.checked.quality);
        set_place(reader, "results", index, "");
    }
}

/* Why the case has no time. What its verdict and its doubts add to that follows from them. */
static enum exit_code read_code(struct reader *reader, const json_t *result)
{
    enum exit_code code = (enum exit_code)get_number(reader, result, "exit_status", EXIT_OK, EXIT_INCONCLUSIVE);

    return code == EXIT_REGRESSION || code == EXIT_INCONCLUSIVE ? EXIT_OK : code;
}

/* What is wrong has no time, and what has a time is not wrong. */
static void check_code(struct reader *reader, const struct finding *found)
{
    const bool differs = mismatch_is_wrong(&found->checked.mismatch);
    const bool is_wrong = found->checked.verification == WRONG;

    if (is_wrong && found->code != EXIT_WRONG_RESULT) {
        refuse(reader, "exit_status", "%d, since the codes are WRONG,", EXIT_WRONG_RESULT);
    }
    if (found->sample_count > 0 && found->code != EXIT_OK) {
        refuse(reader, "time_ns", "null, since exit_status is %d,", (int)found->code);
    }
    if (differs && !is_wrong) {
        refuse(reader, "verification", "\"WRONG\", since codes or scales are wrong,");
    }
}

/* The tensor that a result is about, one of the record's; NULL: they have one input, or generated data. */
static const struct record_tensor *read_tensor_index(struct reader *reader, const json_t *result,
                                                     const struct record *record)
{
    uint64_t index;

    if (record->tensor_count == 0) {
        return NULL;
    }
    index = get_number(reader, result, "tensor_index", 0, record->tensor_count - 1);
    if (record->tensors[index].kept != NULL) {
        refuse(reader, "tensor_index", "a tensor that is quantized");
    }
    return &record->tensors[index];
}

/* The run that a result is of, one of those that the record was merged from; NULL: there is one. */
static const struct record_source *read_source_index(struct reader *reader, const json_t *result,
                                                     const struct record *record)
{
    return record->source_count == 0
               ? NULL
               : &record->sources[get_number(reader, result, "source_index", 0, record->source_count - 1)];
}

/* What a list of cases says of a result. */
static void read_list_entry(struct reader *reader, const json_t *result, struct record_case *to)
{
    if (json_object_get(result, "line") == NULL) {
        return;
    }
    to->line = get_number(reader, result, "line", 1, INT32_MAX);
    to->uses = get_number(reader, result, "count", 1, RECORD_MAX_USES);
    to->name = get_any_text_or_null(reader, result, "name");
}

static void read_case(struct reader *reader, const json_t *result, size_t index, const struct record *record,
                      struct record_case *to)
{
    const char *id = json_string_value(json_object_get(result, "device"));

    set_place(reader, "results", index, "problem.");
    read_problem(reader, json_object_get(result, "problem"), &to->problem);
    set_place(reader, "results", index, "");
    check_problem(reader, json_object_get(result, "problem"), &to->problem);
    to->dist = get_dist(reader, result, record);
    to->tensor = read_tensor_index(reader, result, record);
    to->source = read_source_index(reader, result, record);
    for (size_t i = record->device_count; i > 0 && id != NULL; i--) {
        if (strcmp(record->devices[i - 1].id, id) == 0) {
            to->device = &record->devices[i - 1];
        }
    }
    if (to->source != NULL && to->device != NULL) {
        to->device = &record->devices[get_number(reader, result, "device_index", 0, record->device_count - 1)];
    }
    if (to->device == NULL) {
        refuse(reader, "device", "the id of one of the devices");
    }
    read_list_entry(reader, result, to);
    to->kernel = get_text(reader, result, "kernel");
    to->plugin = get_any_text_or_null(reader, result, "plugin");
    to->arithmetic = get_any_text_or_null(reader, result, "arithmetic");
    to->threads = json_is_null(json_object_get(result, "threads"))
                      ? 0
                      : (unsigned)get_number(reader, result, "threads", 1, INT32_MAX);
    to->launch = (enum launch_mode)get_name(reader, result, "launch", launch_words);
    to->streams = (unsigned)get_number(reader, result, "streams", 1, SETTINGS_MAX_STREAMS);
    read_figures(reader, result, "", &to->found);
    to->found.code = read_code(reader, result);
    read_groups(reader, result, index, record->rated_only, to);
    read_rounds(reader, result, index, &to->found);
    check_code(reader, &to->found);
    if ((record->precision > 0 && to->found.sample_count > 0) != (to->found.converged != TRUTH_UNKNOWN)) {
        refuse(reader, "converged", "null if no precision was asked for, and only then,");
    }
    record_derive(to);
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
    record->planned = (size_t)get_number(reader, document, "cases", record->count, INT64_MAX);
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

static void read_comparison(struct reader *reader, const json_t *document, struct record *record)
{
    const json_t *object = json_object_get(document, "comparison"), *list;
    struct record_comparison *comparison = &record->comparison;

    if (reader->code != EXIT_OK || json_is_null(object)) {
        return;
    }
    snprintf(reader->place, sizeof reader->place, "comparison.");
    /* The first name stands for no comparison. */
    comparison->axis = (enum compare_axis)(get_name(reader, object, "between", &axis_words[1]) + 1);
    comparison->margin = get_real(reader, object, "margin");
    comparison->slower_fails = get_bool(reader, object, "slower_fails");
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

/* The digest of the data, which generated data lack. */
static void read_digest(struct reader *reader, const json_t *document, struct record *record)
{
    const json_t *value = json_object_get(document, "data_digest");
    const char *text = json_string_value(value);

    if (json_is_null(value)) {
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

/* The digest of a tensor's data; none if it is null. */
static void read_tensor_digest(struct reader *reader, const json_t *tensor, char digest[RECORD_DIGEST_SIZE])
{
    const json_t *value = json_object_get(tensor, "digest");
    const char *text = json_string_value(value);

    if (json_is_null(value)) {
        return;
    }
    if (text == NULL || strlen(text) != RECORD_DIGEST_SIZE - 1 ||
        strspn(text, "0123456789abcdef") != RECORD_DIGEST_SIZE - 1) {
        refuse(reader, "digest", "a string of %d hexadecimal digits, or null", RECORD_DIGEST_SIZE - 1);
        return;
    }
    snprintf(digest, RECORD_DIGEST_SIZE, "%s", text);
}

/* Any text. */
static char *get_any_text(struct reader *reader, const json_t *object, const char *member)
{
    const char *text = json_string_value(json_object_get(object, member));

    if (text == NULL) {
        refuse(reader, member, "a string");
    }
    return copy_text(reader, text);
}

/* The tensors that --input and --tensor chose, if they were several. The first records lack them. */
static void read_tensors(struct reader *reader, const json_t *document, struct record *record)
{
    const json_t *list = json_object_get(document, "tensors");

    if (list == NULL) {
        return;
    }
    list = get_list(reader, document, "tensors");
    record->tensors = allocate(reader, json_array_size(list), sizeof *record->tensors);
    for (size_t i = 0; i < json_array_size(list) && reader->code == EXIT_OK; i++) {
        const json_t *tensor = json_array_get(list, i);
        struct record_tensor *to = &record->tensors[record->tensor_count++];

        set_place(reader, "tensors", i, "");
        to->file = get_any_text(reader, tensor, "file");
        to->name = get_any_text_or_null(reader, tensor, "name");
        to->title = get_any_text(reader, tensor, "title");
        to->type = get_text(reader, tensor, "type");
        to->shape = get_text(reader, tensor, "shape");
        to->kept = get_any_text_or_null(reader, tensor, "kept");
        to->bytes = get_number(reader, tensor, "bytes", 0, INT64_MAX);
        read_tensor_digest(reader, tensor, to->digest);
        to->same_as = json_is_null(json_object_get(tensor, "same_as"))
                          ? RECORD_NONE
                          : (size_t)get_number(reader, tensor, "same_as", 0, i > 0 ? i - 1 : 0);
        if (to->same_as == i) {
            refuse(reader, "same_as", "null, since it is the first");
        }
    }
    reader->place[0] = '\0';
    if (record->tensor_count > 0 && record->input == NULL) {
        refuse(reader, "tensors", "none, since there is no input,");
    }
}

/* What is asked of many tensors. The first records lack it. */
static void read_rating(struct reader *reader, const json_t *document, struct record *record)
{
    const json_t *best = json_object_get(document, "best");

    if (json_is_integer(json_object_get(document, "served_tokens"))) {
        record->served_tokens = get_number(reader, document, "served_tokens", 1, INT64_MAX);
    }
    record->rated_only = json_object_get(document, "rated_only") != NULL && get_bool(reader, document, "rated_only");
    if (!json_is_object(best)) {
        if (best != NULL && !json_is_null(best)) {
            refuse(reader, "best", "an object or null");
        }
        return;
    }
    snprintf(reader->place, sizeof reader->place, "best.");
    /* The first word stands for no rule. */
    record->best = (enum best_rule)(get_name(reader, best, "rule", &best_words[1]) + 1);
    record->best_snr = json_number_value(json_object_get(best, "snr_db"));
    reader->place[0] = '\0';
}

/* A document of another version would have other members. */
static void check_version(struct reader *reader, const json_t *document)
{
    const json_t *version = json_object_get(document, "schema_version");

    if (json_is_integer(version) && json_integer_value(version) < RECORD_SCHEMA_VERSION && reader->code == EXIT_OK) {
        message_error("%s: schema_version: expected %d; written by an older version of quantbench: measure again",
                      reader->file, RECORD_SCHEMA_VERSION);
        reader->code = EXIT_USAGE;
    }
    get_number(reader, document, "schema_version", RECORD_SCHEMA_VERSION, RECORD_SCHEMA_VERSION);
}

/* The runs that the record was merged from, which most records lack. */
static void read_sources(struct reader *reader, const json_t *document, struct record *record)
{
    const json_t *list;

    if (!is_given(document, "sources")) {
        return;
    }
    list = get_list(reader, document, "sources");
    record->sources = allocate(reader, json_array_size(list), sizeof *record->sources);
    for (size_t i = 0; i < json_array_size(list) && reader->code == EXIT_OK; i++) {
        const json_t *const source = json_array_get(list, i);

        set_place(reader, "sources", i, "");
        record->sources[record->source_count++] = (struct record_source){
            .label = get_text(reader, source, "label"),
            .host_name = get_text(reader, source, "host"),
            .system = get_text(reader, source, "system"),
            .date = get_text(reader, source, "date"),
            .version = get_text(reader, source, "version"),
        };
    }
    reader->place[0] = '\0';
}

static void read_document(struct reader *reader, const json_t *document, struct record *record)
{
    const char *schema = json_string_value(json_object_get(document, "schema"));
    const json_t *host;

    if (schema == NULL || strcmp(schema, RECORD_SCHEMA) != 0) {
        refuse(reader, "schema", "\"" RECORD_SCHEMA "\", in a document that quantbench --format=json has written,");
    }
    check_version(reader, document);
    record->version = get_text(reader, document, "version");
    record->library_version = get_text(reader, document, "library_version");
    record->date = get_text(reader, document, "date");
    read_argv(reader, document, record);
    host = get_object(reader, document, "host");
    snprintf(reader->place, sizeof reader->place, "host.");
    record->host_name = get_text(reader, host, "name");
    record->system = get_text(reader, host, "system");
    record->cpus = get_number(reader, host, "cpus", 0, INT32_MAX);
    record->boot = is_given(host, "boot_id") ? get_text(reader, host, "boot_id") : NULL;
    read_facts(reader, host, &record->host_facts);
    reader->place[0] = '\0';
    record->rank = is_given(document, "rank") ? (int64_t)get_number(reader, document, "rank", 0, INT32_MAX) : -1;
    record->together = is_given(document, "together") ? get_text(reader, document, "together") : NULL;
    record->seed = get_number(reader, document, "seed", 0, INT64_MAX);
    record->expert_load = is_given(document, "expert_load")
                              ? (enum expert_load)get_name(reader, document, "expert_load", expert_load_words)
                              : EXPERT_LOAD_EVEN;
    record->input = get_any_text_or_null(reader, document, "input");
    record->tensor = get_any_text_or_null(reader, document, "tensor");
    read_digest(reader, document, record);
    record->num_warmup_iters = get_number(reader, document, "num_warmup_iters", 0, INT64_MAX);
    record->num_iters = get_number(reader, document, "num_iters", 0, INT64_MAX);
    record->runs = get_number(reader, document, "runs", 0, INT64_MAX);
    record->planned_rounds = get_number(reader, document, "planned_rounds", 1, INT64_MAX);
    record->precision = get_real_or_null(reader, document, "precision");
    record->timeout = get_real_or_null(reader, document, "timeout_s");
    /* The first records lack it. */
    record->max_time =
        json_object_get(document, "max_time_s") != NULL ? get_real_or_null(reader, document, "max_time_s") : 0;
    record->regime = (enum regime)get_name(reader, document, "regime", regime_words);
    record->state = json_object_get(document, "process_state") != NULL
                        ? (enum process_state)get_name(reader, document, "process_state", state_words)
                        : STATE_ONE_STREAM;
    record->dependent_launch = get_bool(reader, document, "dependent_launch");
    record->interrupted = get_bool(reader, document, "interrupted");
    record->strict = get_bool(reader, document, "strict");
    record->forced = get_bool(reader, document, "forced");
    read_devices(reader, document, record);
    read_sources(reader, document, record);
    read_tensors(reader, document, record);
    read_rating(reader, document, record);
    read_cases(reader, document, record);
    read_comparison(reader, document, record);
    record->code = (enum exit_code)get_number(reader, document, "exit_status", EXIT_OK, EXIT_INCONCLUSIVE);
}

/* The document could not be parsed, and ERROR says why. */
static enum exit_code refuse_text(const char *label, const json_error_t *error)
{
    char why[LABEL_SIZE];

    label_file(error->text, NULL, why);
    message_error("%s: line %d, column %d: %s; expected one JSON document that quantbench --format=json has written",
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
        message_error("%s: is a directory; expected a file that quantbench --format=json has written", label);
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
