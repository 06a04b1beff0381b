/* SPDX-License-Identifier: Apache-2.0 */
/* spent.c - the words and numbers of what a list of cases takes, for people and for programs. */
#include <config.h>

#include "base/document.h"
#include "base/label.h"
#include "model/figures.h"
#include "report/report.h"
#include "report/spent.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *spent_head(enum spent_column column)
{
    static const char *const heads[SPENT_COLUMNS] = {
        [SPENT_LINE] = "line",       [SPENT_LAUNCHES] = "launches", [SPENT_EACH] = "each us",
        [SPENT_TOGETHER] = "all us", [SPENT_SHARE] = "share %",     [SPENT_CASE] = "case",
    };

    return heads[column];
}

bool spent_is_number(enum spent_column column)
{
    return column != SPENT_CASE;
}

/* Append to TEXT. */
__attribute__((format(printf, 2, 3))) static void append(char text[DESCRIBE_SIZE], const char *format, ...)
{
    const size_t length = strlen(text);
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text + length, DESCRIBE_SIZE - length, format, arguments);
    va_end(arguments);
}

/* NUMBER, or a dash if it is not known. Returns TEXT. */
static const char *known(double number, int digits, char text[DESCRIBE_SIZE])
{
    if (isnan(number)) {
        snprintf(text, DESCRIBE_SIZE, "-");
    } else {
        snprintf(text, DESCRIBE_SIZE, "%.*f", digits, number);
    }
    return text;
}

/* What tells C from the other cases of RECORD: its name, and the properties in which they differ. */
static const char *name_case(const struct record *record, const struct record_case *c, char text[DESCRIBE_SIZE])
{
    char value[DESCRIBE_SIZE], label[LABEL_TEXT_SIZE];

    text[0] = '\0';
    if (c->name != NULL) {
        append(text, "%s", label_text(label, c->name, strlen(c->name)));
    }
    for (enum column i = SOURCE; i < FIRST_RESULT; i++) {
        if (i == KERNEL || i == CACHE || !describe_varies(record, i) || strcmp(describe_cell(c, i, value), "-") == 0) {
            continue;
        }
        append(text, "%s%s %s",
               text[0] == '\0'                                ? ""
               : c->name != NULL && strchr(text, ':') == NULL ? ": "
                                                              : ", ",
               describe_head(i), value);
    }
    return text;
}

const char *spent_cell(const struct record *record, const struct spending *spending, size_t index,
                       enum spent_column column, char text[DESCRIBE_SIZE])
{
    const struct record_case *c = &record->cases[index];

    switch (column) {
    case SPENT_LINE:
        snprintf(text, DESCRIBE_SIZE, "%" PRIu64, c->line);
        return text;
    case SPENT_LAUNCHES:
        snprintf(text, DESCRIBE_SIZE, "%" PRIu64, c->uses);
        return text;
    case SPENT_EACH:
        return describe_cell(c, MEDIAN, text);
    case SPENT_TOGETHER:
        return known(spending_time(c) * 1e-3, 1, text);
    case SPENT_SHARE:
        return known(100 * spending_share(spending, record, index), 1, text);
    case SPENT_CASE:
    case SPENT_COLUMNS:
        break;
    }
    return name_case(record, c, text);
}

/* Append the share of each name in TOTAL, which is whole. */
static void append_parts(const struct spending *spending, size_t total, char text[DESCRIBE_SIZE])
{
    const char *before = "; ";
    char label[LABEL_TEXT_SIZE];

    for (size_t i = 0; i < spending->part_count; i++) {
        const struct spending_part *part = &spending->parts[i];

        if (part->total == total && part->name != NULL) {
            append(text, "%s%s %.1f %%", before, label_text(label, part->name, strlen(part->name)),
                   100 * part->time / spending->totals[total].time);
            before = ", ";
        }
    }
}

const char *spent_total(const struct record *record, const struct spending *spending, size_t index,
                        char text[DESCRIBE_SIZE])
{
    const struct spending_total *total = &spending->totals[index], *first = &spending->totals[0];
    const bool is_short = total->time < 1e6;
    char name[PROPERTY_TEXT_SIZE];

    snprintf(text, DESCRIBE_SIZE, "%.400s: ", spending_name(spending, total, name));
    if (!spending_is_whole(spending, total)) {
        append(text, "unknown; %zu of %zu lines have a time", total->timed, spending->lines);
        return text;
    }
    append(text, "%" PRIu64 " launches, %.3f %s", total->launches, total->time * (is_short ? 1e-3 : 1e-6),
           is_short ? "us" : "ms");
    if (record->served_tokens > 0) {
        append(text, ", %.4g us per token", total->time * 1e-3 / (double)record->served_tokens);
    }
    append_parts(spending, index, text);
    if (index > 0 && spending_is_whole(spending, first)) {
        const double change = 100 * (total->time / first->time - 1);

        append(text, "; %.1f %% %s than %.200s", fabs(change), change < 0 ? "less" : "more",
               spending_name(spending, first, name));
    }
    return text;
}

/* ---- JSON ------------------------------------------------------------------------------------------------------- */

/* A time or a share; null if it is not known. */
static json_t *number_or_null(double number)
{
    return isnan(number) ? json_null() : json_real(figure_digits(number));
}

static json_t *parts_to_json(const struct spending *spending, size_t total)
{
    const bool is_whole = spending_is_whole(spending, &spending->totals[total]);
    json_t *list = json_array();

    for (size_t i = 0; i < spending->part_count; i++) {
        const struct spending_part *part = &spending->parts[i];

        if (part->total == total) {
            document_append(
                &list,
                json_pack("{s:o, s:o, s:o, s:o}", "name", part->name != NULL ? document_text(part->name) : json_null(),
                          "launches", document_number(part->launches), "time_ns", json_real(figure_digits(part->time)),
                          "share", number_or_null(is_whole ? part->time / spending->totals[total].time : NAN)));
        }
    }
    return list;
}

static json_t *totals_to_json(const struct spending *spending)
{
    json_t *list = json_array();

    for (size_t i = 0; i < spending->count; i++) {
        const struct spending_total *total = &spending->totals[i];
        char name[PROPERTY_TEXT_SIZE];

        document_append(&list, json_pack("{s:o, s:I, s:I, s:o, s:o, s:o}", "of",
                                         document_text(spending_name(spending, total, name)), "cases",
                                         (json_int_t)total->cases, "timed", (json_int_t)total->timed, "launches",
                                         document_number(total->launches), "time_ns",
                                         number_or_null(spending_is_whole(spending, total) ? total->time : NAN),
                                         "names", parts_to_json(spending, i)));
    }
    return list;
}

json_t *spent_to_json(const struct record *record)
{
    struct spending spending;
    json_t *object = NULL, *shares = json_array();

    if (!spending_applies(record)) {
        json_decref(shares);
        return json_null();
    }
    if (spending_make(record, &spending)) {
        for (size_t i = 0; i < record->count; i++) {
            document_append(&shares, number_or_null(spending_share(&spending, record, i)));
        }
        object = json_pack("{s:I, s:o, s:o}", "lines", (json_int_t)spending.lines, "totals", totals_to_json(&spending),
                           "shares", shares);
    } else {
        json_decref(shares);
        report_lacks_memory();
    }
    spending_free(&spending);
    return object;
}
