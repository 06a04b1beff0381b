/* SPDX-License-Identifier: Apache-2.0 */
/* option_values.c - the kinds of options that take one value, or none. */
#include <config.h>

#include "base/nearest.h"
#include "cli/option_values.h"
#include "report/report.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Store VALUE in the target of ROW, a flag or an enum. */
static void store(const struct option_row *row, struct settings *settings, size_t value)
{
    const bool flag = value != 0;
    const unsigned number = (unsigned)value;

    if (row->size == sizeof flag) {
        memcpy(option_target(row, settings), &flag, sizeof flag);
    } else {
        memcpy(option_target(row, settings), &number, sizeof number);
    }
}

bool option_flag(const struct option_row *row, const char *value, struct settings *settings)
{
    (void)value;
    store(row, settings, (size_t)row->choice);
    return true;
}

bool option_refuse(const struct option_row *row, const char *text)
{
    char words[OPTION_WORDS_SIZE], hint[NEAREST_HINT_SIZE];
    struct nearest nearest = {.text = text};
    const char *word;

    for (size_t i = 0; (word = option_word(row, i)) != NULL; i++) {
        nearest_try(&nearest, word);
    }
    message_error("--%s: unknown value '%s'; expected %s%s", row->name, text, option_words(row, " or ", words),
                  nearest_hint(&nearest, hint));
    return false;
}

bool option_invalid(const char *subject, const char *text, const char *format, ...)
{
    char expected[512];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(expected, sizeof expected, format, arguments);
    va_end(arguments);
    message_error("--%s: invalid value '%s'; expected %s", subject, text, expected);
    return false;
}

bool option_parse_word(const struct option_row *row, const char *text, size_t *index)
{
    const char *word;

    for (size_t i = 0; (word = option_word(row, i)) != NULL; i++) {
        if (strcmp(text, word) == 0) {
            *index = i;
            return true;
        }
    }
    option_refuse(row, text);
    return false;
}

bool option_word_of(const struct option_row *row, const char *value, struct settings *settings)
{
    size_t index;

    if (!option_parse_word(row, value, &index)) {
        return false;
    }
    store(row, settings, index);
    return true;
}

bool option_parse_whole(const char *subject, const char *text, uint64_t min, uint64_t max, uint64_t *number)
{
    char *end;
    unsigned long long value;

    errno = 0;
    value = strtoull(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0 || value < min || value > max) {
        return option_invalid(subject, text, "a whole number from %" PRIu64 " to %" PRIu64, min, max);
    }
    *number = value;
    return true;
}

bool option_whole(const struct option_row *row, const char *value, struct settings *settings)
{
    return option_parse_whole(row->name, value, row->min, row->max, option_target(row, settings));
}

/* A divisor that makes a ratio of a percentage. */
#define PERCENT 100

/* Parse TEXT as a number; if ROW is for a percentage, with or without the sign. */
static bool parse_real(const struct option_row *row, const char *text, double *number)
{
    char *end;

    *number = strtod(text, &end);
    if (end == text) {
        return false;
    }
    return *end == '\0' || (row->divisor == PERCENT && strcmp(end, "%") == 0);
}

bool option_real(const struct option_row *row, const char *value, struct settings *settings)
{
    const double min = (double)row->min, max = (double)row->max;
    double *target = option_target(row, settings);
    double number;

    if (!parse_real(row, value, &number) || !(number > min) || !(number <= max)) {
        return option_invalid(row->name, value, "a %s above %g and up to %g%s",
                              row->divisor == PERCENT ? "percentage" : "number", min, max,
                              row->divisor == PERCENT ? ", such as 5%" : "");
    }
    *target = number / row->divisor;
    return true;
}

/* Parse VALUE as a finite number; false, without a message, if it is something else. */
static bool parse_float(const char *value, float *number)
{
    char *end;

    *number = strtof(value, &end);
    return end != value && *end == '\0' && isfinite(*number);
}

bool option_bound(const struct option_row *row, const char *value, struct settings *settings)
{
    float *target = option_target(row, settings);
    float number;

    if (!parse_float(value, &number) || !(number > 0)) {
        return option_invalid(row->name, value, "a finite number > 0");
    }
    *target = number;
    return true;
}

bool option_not_negative(const struct option_row *row, const char *value, struct settings *settings)
{
    float *target = option_target(row, settings);
    float number;

    if (!parse_float(value, &number) || !(number >= 0)) {
        return option_invalid(row->name, value, "a finite number >= 0");
    }
    *target = number;
    return true;
}

bool option_finite(const struct option_row *row, const char *value, struct settings *settings)
{
    float *target = option_target(row, settings);
    float number;

    if (!parse_float(value, &number)) {
        return option_invalid(row->name, value, "a finite number");
    }
    *target = number;
    return true;
}

bool option_percent(const struct option_row *row, const char *value, struct settings *settings)
{
    double *target = option_target(row, settings);
    double number;

    if (!parse_real(row, value, &number) || !(number >= 0 && number < 100)) {
        return option_invalid(row->name, value, "a percentage from 0 to less than 100, such as 1%%");
    }
    *target = number / row->divisor;
    return true;
}

bool option_text(const struct option_row *row, const char *value, struct settings *settings)
{
    const char **target = option_target(row, settings);

    *target = value;
    return true;
}

bool option_file(const struct option_row *row, const char *value, struct settings *settings)
{
    if (value[0] == '\0') {
        return option_invalid(row->name, value, OPTION_FILE_EXPECTED);
    }
    return option_text(row, value, settings);
}

bool option_soak(const struct option_row *row, const char *value, struct settings *settings)
{
    static const struct {
        const char *unit;
        double seconds; /* 0: rounds */
    } units[] = {{"s", 1}, {"min", 60}, {"h", 3600}, {"d", 86400}, {"x", 0}};
    struct soak_length *target = option_target(row, settings);
    char *end;
    const double number = strtod(value, &end);

    for (size_t i = 0; i < sizeof units / sizeof units[0] && end != value; i++) {
        const bool is_whole = strspn(value, "0123456789") == (size_t)(end - value);

        if (strcmp(end, units[i].unit) == 0 && number > 0 && number <= 1e9 && (units[i].seconds > 0 || is_whole)) {
            *target = (struct soak_length){.seconds = number * units[i].seconds,
                                           .rounds = units[i].seconds > 0 ? 0 : (uint64_t)number};
            return true;
        }
    }
    return option_invalid(row->name, value, "a duration such as 90s, 30min, 8h or 2d, or rounds such as 100x");
}

bool option_name(const struct option_row *row, const char *value, struct settings *settings)
{
    if (value[0] == '\0') {
        return option_invalid(row->name, value, "a name, or a pattern of names with {} in it");
    }
    return option_text(row, value, settings);
}

bool option_report_format(const struct option_row *row, const char *value, struct settings *settings)
{
    const struct report_format **target = option_target(row, settings);
    size_t index;

    if (!option_parse_word(row, value, &index)) {
        return false;
    }
    *target = report_format_find(value);
    return true;
}

/* The words are options whose values are compared, in the order of the enum from COMPARE_DTYPES on, and last a choice
 * of two kernels; else the value is a list of kernels. */
bool option_compare(const struct option_row *row, const char *value, struct settings *settings)
{
    enum compare_axis *target = option_target(row, settings);
    struct option_row names = *row;
    const char *word;

    settings->comparing.fused = false;
    for (size_t i = 0; (word = option_word(row, i)) != NULL; i++) {
        if (strcmp(value, word) == 0) {
            names_free(&settings->comparing.compared_kernels);
            settings->comparing.fused = option_word(row, i + 1) == NULL;
            *target = settings->comparing.fused ? COMPARE_KERNELS : (enum compare_axis)(COMPARE_DTYPES + i);
            return true;
        }
    }
    *target = COMPARE_KERNELS;
    names.target = offsetof(struct settings, comparing.compared_kernels);
    return option_names(&names, value, settings);
}

bool option_best(const struct option_row *row, const char *value, struct settings *settings)
{
    const size_t prefix = strlen("bytes:"), length = strlen(value);
    char number[64], *end;
    double snr;

    if (strcmp(value, "snr") == 0) {
        settings->reporting.best = BEST_SNR;
        return true;
    }
    if (strncmp(value, "bytes:", prefix) == 0 && length - prefix < sizeof number) {
        const bool has_unit = length > prefix + 2 && strcasecmp(value + length - 2, "dB") == 0;

        snprintf(number, sizeof number, "%.*s", (int)(length - prefix - (has_unit ? 2 : 0)), value + prefix);
        snr = strtod(number, &end);
        if (strspn(number, "0123456789.+-eE") == strlen(number) && end > number && *end == '\0' && isfinite(snr)) {
            settings->reporting.best = BEST_BYTES;
            settings->reporting.best_snr = snr;
            return true;
        }
    }
    return option_refuse(row, value);
}
