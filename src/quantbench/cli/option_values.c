/* SPDX-License-Identifier: Apache-2.0 */
/* option_values.c - the kinds of options that take one value, or none. */
#include <config.h>

#include "cli/option_values.h"
#include "report/report.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

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
    char words[OPTION_WORDS_SIZE];

    message_error("--%s: '%s': one of %s is accepted", row->name, text, option_words(row, words));
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
    return option_refuse(row, text);
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
        message_error("--%s: '%s': a whole number from %" PRIu64 " to %" PRIu64 " is accepted", subject, text, min,
                      max);
        return false;
    }
    *number = value;
    return true;
}

bool option_whole(const struct option_row *row, const char *value, struct settings *settings)
{
    return option_parse_whole(row->name, value, row->min, row->max, option_target(row, settings));
}

bool option_real(const struct option_row *row, const char *value, struct settings *settings)
{
    const double min = (double)row->min, max = (double)row->max;
    double *target = option_target(row, settings);
    char *end;
    double number = strtod(value, &end);

    if (end == value || *end != '\0' || !(number > min) || !(number <= max)) {
        message_error("--%s: '%s': a number above %g and up to %g is accepted", row->name, value, min, max);
        return false;
    }
    *target = number / row->divisor;
    return true;
}

bool option_bound(const struct option_row *row, const char *value, struct settings *settings)
{
    float *target = option_target(row, settings);
    char *end;
    float number = strtof(value, &end);

    if (end == value || *end != '\0' || !(number > 0) || isinf(number)) {
        message_error("--%s: '%s': a finite number > 0 is accepted", row->name, value);
        return false;
    }
    *target = number;
    return true;
}

/* With or without the sign. */
bool option_percent(const struct option_row *row, const char *value, struct settings *settings)
{
    double *target = option_target(row, settings);
    char *end;
    double number = strtod(value, &end);

    if (end == value || !(number >= 0 && number < 100) || (strcmp(end, "") != 0 && strcmp(end, "%") != 0)) {
        message_error("--%s: '%s': a number of percent from 0 to less than 100 is accepted, such as 1%%", row->name,
                      value);
        return false;
    }
    *target = number / 100;
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
        message_error("--%s: '': the name of a file is accepted", row->name);
        return false;
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

/* The words are options whose values are compared, in the order of the enum from COMPARE_DTYPES on; else the value is a
 * list of kernels. */
bool option_compare(const struct option_row *row, const char *value, struct settings *settings)
{
    enum compare_axis *target = option_target(row, settings);
    struct option_row names = *row;
    const char *word;

    for (size_t i = 0; (word = option_word(row, i)) != NULL; i++) {
        if (strcmp(value, word) == 0) {
            names_free(&settings->comparing.compared_kernels);
            *target = (enum compare_axis)(COMPARE_DTYPES + i);
            return true;
        }
    }
    *target = COMPARE_KERNELS;
    names.target = offsetof(struct settings, comparing.compared_kernels);
    return option_names(&names, value, settings);
}
