/* SPDX-License-Identifier: Apache-2.0 */
/* option_lists.c - the kinds of options that take several values: lists that commas separate, or the option again. */
#include <config.h>

#include "base/nearest.h"
#include "cases/models.h"
#include "cli/option_values.h"
#include "cases/plan.h"
#include "cases/quantization.h"
#include "check/census.h"
#include "model/recipe.h"
#include "report/plot.h"
#include "report/report.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static bool memory_short;

void options_out_of_memory(const char *option)
{
    message_error("--%s: out of memory", option);
    memory_short = true;
}

bool options_lack_memory(void)
{
    return memory_short;
}

/* Append the value TEXT, which may be changed, to the list TARGET. */
typedef bool append_function(const struct option_row *row, char *text, void *target);

/* Call APPEND for each of the texts in LIST that commas separate, until it fails. Empty ones are an error. */
static bool split_list(const struct option_row *row, const char *list, append_function *append, void *target)
{
    char *copy = strdup(list);
    char *rest = copy;
    bool good = copy != NULL;

    if (copy == NULL) {
        options_out_of_memory(row->name);
    }
    while (good && rest != NULL) {
        char *text = strsep(&rest, ",");

        if (text[0] == '\0') {
            good = option_invalid(row->name, list, "no empty value between commas");
        } else {
            good = append(row, text, target);
        }
    }
    free(copy);
    return good;
}

/* Make room for one more element of SIZE bytes after the COUNT of ARRAY; NULL, with a message, if there is none. */
static void *grow(const char *option, void **array, size_t count, size_t size)
{
    void *larger = reallocarray(*array, count + 1, size);

    if (larger == NULL) {
        options_out_of_memory(option);
        return NULL;
    }
    *array = larger;
    return (char *)larger + count * size;
}

/* ---- Numbers ---------------------------------------------------------------------------------------------------- */

static bool append_number(const struct option_row *row, uint64_t number, struct numbers *numbers)
{
    uint64_t *place = grow(row->name, (void **)&numbers->values, numbers->count, sizeof *place);

    if (place == NULL) {
        return false;
    }
    *place = number;
    numbers->count++;
    return true;
}

/* Parse LIST into the numbers of ROW, each value by APPEND. */
static bool parse_numbers(const struct option_row *row, const char *list, append_function *append,
                          struct settings *settings)
{
    struct numbers *numbers = option_target(row, settings);

    numbers->count = 0;
    return split_list(row, list, append, numbers);
}

static bool append_word(const struct option_row *row, char *text, void *target)
{
    size_t index;

    return option_parse_word(row, text, &index) && append_number(row, index, target);
}

bool option_words_of(const struct option_row *row, const char *value, struct settings *settings)
{
    return parse_numbers(row, value, append_word, settings);
}

static bool append_whole(const struct option_row *row, char *text, void *target)
{
    uint64_t number;

    return option_parse_whole(row->name, text, row->min, row->max, &number) && append_number(row, number, target);
}

bool option_wholes(const struct option_row *row, const char *value, struct settings *settings)
{
    return parse_numbers(row, value, append_whole, settings);
}

/* More values in one range are a mistake. */
#define MAX_RANGE 1024

/* Parse a number of a range up to MAX, before the character END; TEXT moves past that. */
static bool range_number(const char **text, char end, uint64_t max, uint64_t *number)
{
    char *end_of_digits;

    errno = 0;
    *number = strtoull(*text, &end_of_digits, 10);
    if (!isdigit((unsigned char)(*text)[0]) || *end_of_digits != end || errno != 0 || *number > max) {
        return false;
    }
    *text = end_of_digits + 1;
    return true;
}

/* Append the values of FIRST:LAST:xFACTOR or FIRST:LAST:+STEP; false if TEXT is neither, or has too many. */
static bool append_range(const struct option_row *row, const char *text, struct numbers *numbers)
{
    uint64_t value, last, step;
    bool is_factor;

    if (!range_number(&text, ':', row->max, &value) || !range_number(&text, ':', row->max, &last) ||
        (*text != 'x' && *text != '+')) {
        return false;
    }
    is_factor = *text++ == 'x';
    if (!range_number(&text, '\0', row->max, &step) || value < row->min || value > last || step < (is_factor ? 2 : 1)) {
        return false;
    }
    for (int count = 1; count <= MAX_RANGE; count++) {
        if (!append_number(row, value, numbers)) {
            return false;
        }
        if (is_factor ? value > last / step : last - value < step) {
            return true;
        }
        value = is_factor ? value * step : value + step;
    }
    return false;
}

static bool append_dimensions(const struct option_row *row, char *text, void *target)
{
    if (strchr(text, ':') == NULL) {
        return append_whole(row, text, target);
    }
    if (append_range(row, text, target)) {
        return true;
    }
    return option_invalid(row->name, text,
                          "a range FIRST:LAST:xFACTOR or FIRST:LAST:+STEP, with numbers from %" PRIu64 " to %" PRIu64
                          ", FIRST no larger than LAST, FACTOR at least 2, and up to %d values",
                          row->min, row->max, MAX_RANGE);
}

bool option_dimensions(const struct option_row *row, const char *value, struct settings *settings)
{
    return parse_numbers(row, value, append_dimensions, settings);
}

/* Print that no model is called TEXT, and which name is close. Returns false. */
static bool refuse_model(const struct option_row *row, const char *text)
{
    struct nearest nearest = {.text = text};
    char hint[NEAREST_HINT_SIZE];
    const struct model *model;

    for (size_t i = 0; (model = model_at(i)) != NULL; i++) {
        nearest_try(&nearest, model->name);
    }
    message_error("--%s: unknown model '%s'; expected a name from --list-models%s", row->name, text,
                  nearest_hint(&nearest, hint));
    return false;
}

/* Append the hidden sizes of the models that TEXT names, but those that are there already. */
static bool append_model(const struct option_row *row, char *text, void *target)
{
    struct numbers *numbers = target;
    const struct model *model = model_find(text);
    uint64_t widths[MODEL_WIDTHS];
    size_t count = model != NULL ? model_widths(model, widths) : 0;

    if (model == NULL) {
        return refuse_model(row, text);
    }
    for (size_t i = 0; i < count; i++) {
        bool is_there = false;

        for (size_t j = 0; j < numbers->count; j++) {
            is_there = is_there || numbers->values[j] == widths[i];
        }
        if (!is_there && !append_number(row, widths[i], numbers)) {
            return false;
        }
    }
    return true;
}

bool option_models(const struct option_row *row, const char *value, struct settings *settings)
{
    settings->sweep.model = value;
    return parse_numbers(row, value, append_model, settings);
}

/* Append the format that TEXT names, by whichever of its names, if its first name is a word of the row. */
static bool append_format(const struct option_row *row, char *text, void *target)
{
    enum qb_format format;
    const char *word;

    if (qb_format_find(text, &format) == QB_OK) {
        for (size_t i = 0; (word = option_word(row, i)) != NULL; i++) {
            if (strcmp(word, qb_format_info(format)->name) == 0) {
                return append_number(row, format, target);
            }
        }
    }
    return option_refuse(row, text);
}

bool option_formats(const struct option_row *row, const char *value, struct settings *settings)
{
    return parse_numbers(row, value, append_format, settings);
}

/* Append the format or the recipe that TEXT names. */
static bool append_output(const struct option_row *row, char *text, void *target)
{
    const struct recipe *recipe;

    for (size_t i = 0; (recipe = recipe_at(i)) != NULL; i++) {
        if (strcmp(text, recipe->name) == 0) {
            return append_number(row, QUANTIZATION_RECIPE + i, target);
        }
    }
    return append_format(row, text, target);
}

bool option_outputs(const struct option_row *row, const char *value, struct settings *settings)
{
    return parse_numbers(row, value, append_output, settings);
}

/* The words are cold, hot and both. */
static bool append_cache(const struct option_row *row, char *text, void *target)
{
    static const enum cache_state states[] = {CACHE_COLD, CACHE_HOT};
    size_t which;

    if (!option_parse_word(row, text, &which)) {
        return false;
    }
    for (size_t i = 0; i < 2; i++) {
        if ((which == i || which == 2) && !append_number(row, states[i], target)) {
            return false;
        }
    }
    return true;
}

bool option_caches(const struct option_row *row, const char *value, struct settings *settings)
{
    return parse_numbers(row, value, append_cache, settings);
}

/* ---- Granularities ---------------------------------------------------------------------------------------------- */

/* Parse TEXT by the words of ROW, which are in the order of the enum: a name, a name and one size ("group:G"), or a
 * name and two ("block:RxC"). */
static bool parse_granularity(const struct option_row *row, char *text, struct granularity *granularity)
{
    const char *word, *sizes = NULL;
    char subject[64], *second;
    size_t kind = 0, length = 0;

    for (; (word = option_word(row, kind)) != NULL; kind++) {
        length = strcspn(word, ":");
        sizes = word[length] == ':' ? word + length : NULL;
        if (sizes == NULL ? strcmp(text, word) == 0 : strncmp(text, word, length + 1) == 0) {
            break;
        }
    }
    if (word == NULL) {
        return option_refuse(row, text);
    }
    *granularity = (struct granularity){.kind = (enum qb_granularity)kind};
    if (sizes == NULL) {
        return true;
    }
    snprintf(subject, sizeof subject, "%s=%.*s", row->name, (int)length, word);
    if (strchr(sizes, 'x') == NULL) {
        return option_parse_whole(subject, text + length + 1, row->min, row->max, &granularity->group);
    }
    second = strchr(text + length, 'x');
    if (second == NULL) {
        return option_refuse(row, text);
    }
    *second++ = '\0';
    return option_parse_whole(subject, text + length + 1, row->min, row->max, &granularity->block_rows) &&
           option_parse_whole(subject, second, row->min, row->max, &granularity->block_cols);
}

static bool append_granularity(const struct option_row *row, char *text, void *target)
{
    struct granularities *granularities = target;
    struct granularity *place = grow(row->name, (void **)&granularities->values, granularities->count, sizeof *place);

    if (place == NULL || !parse_granularity(row, text, place)) {
        return false;
    }
    granularities->count++;
    return true;
}

bool option_granularities(const struct option_row *row, const char *value, struct settings *settings)
{
    struct granularities *granularities = option_target(row, settings);

    granularities->count = 0;
    return split_list(row, value, append_granularity, granularities);
}

/* ---- Names ------------------------------------------------------------------------------------------------------ */

bool names_add(const char *subject, const char *text, struct names *names)
{
    char **place = grow(subject, (void **)&names->values, names->count, sizeof *place);

    if (place == NULL) {
        return false;
    }
    *place = strdup(text);
    if (*place == NULL) {
        options_out_of_memory(subject);
        return false;
    }
    names->count++;
    return true;
}

void names_free(struct names *names)
{
    for (size_t i = 0; i < names->count; i++) {
        free(names->values[i]);
    }
    free(names->values);
    *names = (struct names){0};
}

static bool append_name(const struct option_row *row, char *text, void *target)
{
    return names_add(row->name, text, target);
}

bool option_names(const struct option_row *row, const char *value, struct settings *settings)
{
    names_free(option_target(row, settings));
    return split_list(row, value, append_name, option_target(row, settings));
}

bool option_another_name(const struct option_row *row, const char *value, struct settings *settings)
{
    if (value[0] == '\0') {
        return option_invalid(row->name, value, OPTION_FILE_EXPECTED);
    }
    return names_add(row->name, value, option_target(row, settings));
}

bool option_kernels(const struct option_row *row, const char *value, struct settings *settings)
{
    settings->sweep.by_isa = false;
    return option_names(row, value, settings);
}

/* Append the kernels of the instruction set TEXT; auto, the first word, is that there is nothing to append. */
static bool append_isa(const struct option_row *row, char *text, void *target)
{
    char kernel[32];
    size_t index;

    if (!option_parse_word(row, text, &index)) {
        return false;
    }
    snprintf(kernel, sizeof kernel, "cpu_%s", text);
    return index == 0 || names_add(row->name, kernel, target);
}

bool option_isas(const struct option_row *row, const char *value, struct settings *settings)
{
    settings->sweep.by_isa = true;
    names_free(option_target(row, settings));
    return split_list(row, value, append_isa, option_target(row, settings));
}

/* ---- Files of reports ------------------------------------------------------------------------------------------- */

/* Write FILE in FORMAT. */
static bool append_file(const struct option_row *row, const struct report_format *format, const char *file,
                        struct outputs *outputs)
{
    struct output *place;

    if (file[0] == '\0') {
        return option_invalid(row->name, file, OPTION_FILE_EXPECTED);
    }
    for (size_t i = 0; i < outputs->count; i++) {
        if (strcmp(outputs->values[i].file, file) == 0) {
            return option_invalid(row->name, file, "each file once");
        }
    }
    place = grow(row->name, (void **)&outputs->values, outputs->count, sizeof *place);
    if (place == NULL) {
        return false;
    }
    *place = (struct output){format, file};
    outputs->count++;
    return true;
}

bool option_output_as(const struct option_row *row, const char *value, struct settings *settings)
{
    return append_file(row, report_format_find(row->fixed), value, option_target(row, settings));
}

/* FORMAT:FILE, or FILE with a suffix that says which format. */
bool option_output(const struct option_row *row, const char *value, struct settings *settings)
{
    const struct report_format *format = NULL;
    const char *file = strchr(value, ':');
    char name[32], suffixes[OPTION_WORDS_SIZE], names[OPTION_WORDS_SIZE];

    if (file != NULL && (size_t)(file - value) < sizeof name) {
        snprintf(name, sizeof name, "%.*s", (int)(file - value), value);
        format = report_format_find(name);
    }
    file = format != NULL ? file + 1 : value;
    format = format != NULL ? format : report_format_of_file(file);
    if (format == NULL || file[0] == '\0') {
        return option_invalid(row->name, value, "a file whose name ends in %s, or FORMAT:FILE with the format %s",
                              option_words(row, " or ", suffixes), option_words(option_find("format"), " or ", names));
    }
    return append_file(row, format, file, option_target(row, settings));
}

/* ---- Pictures --------------------------------------------------------------------------------------------------- */

/* Take the kind that VALUE begins with, if it does, and return the rest: the file, or "" if there is none. */
static const char *take_kind(const char *value, enum picture_kind *kind)
{
    for (size_t i = 0; picture_words[i] != NULL; i++) {
        const size_t length = strlen(picture_words[i]);

        if (strncmp(value, picture_words[i], length) == 0 && (value[length] == ':' || value[length] == '\0')) {
            *kind = (enum picture_kind)i;
            /* A colon without a file is a mistake, which the file that is not empty will show. */
            return value[length] == '\0' ? "" : value[length + 1] == '\0' ? value + length : value + length + 1;
        }
    }
    return value;
}

bool option_plot(const struct option_row *row, const char *value, struct settings *settings)
{
    const struct option_row suffixes = {.word = plot_suffix};
    char suffix_text[OPTION_WORDS_SIZE], kind_text[OPTION_WORDS_SIZE];
    struct plot plot = {.kind = PICTURE_KINDS}, *place;
    struct plots *plots = option_target(row, settings);
    const char *file = value != NULL ? take_kind(value, &plot.kind) : "";

    if (file[0] != '\0' || (value != NULL && value[0] == '\0')) {
        plot.file = file;
        plot.form = plot_form_of_file(file);
        if (plot.form == NULL) {
            return option_invalid(row->name, value, "a file whose name ends in %s, KIND:FILE, or KIND; KIND is %s",
                                  option_words(&suffixes, " or ", suffix_text), option_words(row, " or ", kind_text));
        }
    }
    for (size_t i = 0; i < plots->count; i++) {
        if (plot.file != NULL && plots->values[i].file != NULL && strcmp(plots->values[i].file, plot.file) == 0) {
            return option_invalid(row->name, plot.file, "each file once");
        }
    }
    place = grow(row->name, (void **)&plots->values, plots->count, sizeof *place);
    if (place == NULL) {
        return false;
    }
    *place = plot;
    plots->count++;
    return true;
}

/* ---- Methods of calibration -------------------------------------------------------------------------------------- */

#define PERCENTILE "percentile:"
/* What --calibrate=all stands for. */
#define ALL_METHODS "amax," PERCENTILE "99.99,mse"

/* Parse TEXT, a percentage up to 100 with at most the decimals of CENSUS_PERCENT. */
static bool parse_percent(const char *text, uint64_t *percent)
{
    const char *const point = strchr(text, '.');
    const size_t whole = point != NULL ? (size_t)(point - text) : strlen(text);
    uint64_t unit = CENSUS_PERCENT, number = 0;

    if (strspn(text, "0123456789") != whole || whole == 0 || whole > 3 ||
        (point != NULL && (point[1] == '\0' || point[1 + strspn(point + 1, "0123456789")] != '\0'))) {
        return false;
    }
    for (size_t i = 0; i < whole; i++) {
        number = 10 * number + (uint64_t)(text[i] - '0') * CENSUS_PERCENT;
    }
    for (const char *digit = point != NULL ? point + 1 : ""; *digit != '\0'; digit++) {
        unit /= 10;
        if (unit == 0 && *digit != '0') {
            return false;
        }
        number += (uint64_t)(*digit - '0') * unit;
    }
    *percent = number;
    return number > 0 && number <= 100 * CENSUS_PERCENT;
}

static bool append_method(const struct option_row *row, char *text, void *target)
{
    struct calibration_methods *methods = target;
    struct calibration_method method = {.source = CALIBRATION_AMAX}, *place;
    const size_t prefix = strlen(PERCENTILE);

    if (strcmp(text, "mse") == 0) {
        method.source = CALIBRATION_MSE;
    } else if (strncmp(text, PERCENTILE, prefix) == 0) {
        method.source = CALIBRATION_PERCENTILE;
        if (!parse_percent(text + prefix, &method.percent)) {
            return option_invalid(row->name, text, "a percentage up to 100 with at most 5 decimals, as in %s99.99",
                                  PERCENTILE);
        }
    } else if (strcmp(text, "all") == 0) {
        return split_list(row, ALL_METHODS, append_method, target);
    } else if (strcmp(text, "amax") != 0) {
        return option_refuse(row, text);
    }
    for (size_t i = 0; i < methods->count; i++) {
        if (methods->values[i].source == method.source && methods->values[i].percent == method.percent) {
            return option_invalid(row->name, text, "each method once");
        }
    }
    place = grow(row->name, (void **)&methods->values, methods->count, sizeof *place);
    if (place == NULL) {
        return false;
    }
    *place = method;
    methods->count++;
    return true;
}

bool option_methods(const struct option_row *row, const char *value, struct settings *settings)
{
    struct calibration_methods *methods = option_target(row, settings);

    methods->count = 0;
    return split_list(row, value, append_method, methods);
}
