/* SPDX-License-Identifier: Apache-2.0 */
/* picture_rows.c - things below one another, each with its value and the interval of that: the cases of a record, and
 * the ratios of a comparison with the margin. */
#include <config.h>

#include "report/picture.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct row {
    char label[DESCRIBE_SIZE];
    struct picture_value value;
    size_t series; /* that have a color together */
};

/* Return room for COUNT rows; NULL if memory is short. */
static struct row *make_rows(struct picture *picture, size_t count)
{
    struct row *rows = calloc(count + 1, sizeof *rows);

    picture->memory_short = picture->memory_short || rows == NULL;
    picture->rows = count;
    return rows;
}

/* Write the data of series INDEX: value, row, low, high. */
static void write_series(const struct row *rows, size_t count, size_t index, FILE *stream)
{
    fprintf(stream, "$d%zu << EOD\n", index);
    for (size_t i = 0; i < count; i++) {
        const struct picture_value v = rows[i].value;

        if (rows[i].series == index && isfinite(v.value)) {
            fprintf(stream, "%.9g %zu %.9g %.9g\n", v.value, i + 1, isfinite(v.low) ? v.low : v.value,
                    isfinite(v.high) ? v.high : v.value);
        }
    }
    fputs("EOD\n", stream);
}

/* Draw ROWS, of the series that have NAMES, and with these names if there are several. */
static void write_rows(struct picture *picture, const struct row *rows, size_t count, const char *const *names,
                       size_t series)
{
    FILE *stream = picture->stream;
    bool is_first = true;

    fputs("set ytics noenhanced (", stream);
    for (size_t i = 0; i < count; i++) {
        picture_row_tic(picture, i, rows[i].label);
    }
    fprintf(stream, ")\nset yrange [%zu.6:0.4]\n%s", count, series > 1 ? "" : "set key off\n");
    for (size_t s = 0; s < series; s++) {
        write_series(rows, count, s, stream);
    }
    fputs("plot ", stream);
    for (size_t s = 0; s < series; s++) {
        bool has_rows = false;

        for (size_t i = 0; i < count && !has_rows; i++) {
            has_rows = rows[i].series == s && isfinite(rows[i].value.value);
        }
        if (has_rows) {
            fprintf(stream,
                    "%s$d%zu using 1:2:3:4 with xerrorbars lw 1.8 ps 0.9 lc rgb %s pt %d notitle, NaN with points lc "
                    "rgb %s pt %d title ",
                    is_first ? "" : ", \\\n     ", s, picture_color(s), picture_shape(s), picture_color(s),
                    picture_shape(s));
            picture_quote(names[s], stream);
            is_first = false;
        }
    }
    putc('\n', stream);
}

void picture_case_rows(struct picture *picture, const char *head, const char *unit, const char *range,
                       struct picture_value (*show)(const struct record_case *c))
{
    static const char *const names[] = {""};
    const struct record *record = picture->record;
    const size_t count = record->count < PICTURE_MOST_ROWS ? record->count : PICTURE_MOST_ROWS;
    struct row *rows = make_rows(picture, count);
    char common[DESCRIBE_SIZE];

    for (size_t i = 0; i < count && rows != NULL; i++) {
        picture_label(record, &record->cases[i], PROPERTIES, rows[i].label);
        rows[i].value = show(&record->cases[i]);
    }
    if (rows != NULL) {
        picture_set_title(picture, head, picture_common(record, common), count, record->count);
        picture_set_text(picture, "xlabel", unit);
        fprintf(picture->stream, "set xrange %s\n", range);
        write_rows(picture, rows, count, names, 1);
    }
    free(rows);
}

/* ---- Ratios ----------------------------------------------------------------------------------------------------- */

const char *picture_pair_label(const struct record *record, const struct record_pair *pair, enum property axis,
                               char label[DESCRIBE_SIZE])
{
    const struct record_case *c = &record->cases[pair->result];
    char text[DESCRIBE_SIZE];
    size_t length = (size_t)snprintf(label, DESCRIBE_SIZE, "%.160s", pair->name);

    for (enum column i = SOURCE; i < FIRST_RESULT && length < DESCRIBE_SIZE; i++) {
        /* Along an axis of sizes the cache may be cold for some and partly so for others. */
        const bool is_along = (enum property)i == axis || (axis != PROPERTIES && (enum property)i == PROPERTY_CACHE);

        if (!is_along && describe_pair_shows_case(record, i)) {
            length += (size_t)snprintf(label + length, DESCRIBE_SIZE - length, ", %s%s%.160s",
                                       describe_is_number(i) ? describe_head(i) : "", describe_is_number(i) ? " " : "",
                                       describe_cell(c, i, text));
        }
    }
    return label;
}

const char *picture_comparison(const struct record *record, char text[PICTURE_COMPARISON_SIZE])
{
    char common[DESCRIBE_SIZE];
    size_t length;

    describe_comparison(record, text);
    length = strlen(text);
    snprintf(text + length, PICTURE_COMPARISON_SIZE - length, ", %s", picture_common(record, common));
    return text;
}

/* Ratios that span more than this are on a logarithmic axis, and intervals are cut at this factor from 1. */
#define LINEAR_SPAN   5
#define MOST_INTERVAL 100

/* Set the range of COUNT ROWS, which holds 1 and the margin. */
static void write_range(const struct picture *picture, const struct row *rows, size_t count)
{
    const double margin = picture->record->comparison.margin;
    double least = 1 - 2 * margin - 0.01, most = 1 + 2 * margin + 0.01;

    for (size_t i = 0; i < count; i++) {
        const struct picture_value v = rows[i].value;

        if (isfinite(v.value)) {
            least = fmin(least, fmin(v.value, isfinite(v.low) ? fmax(v.low, 1.0 / MOST_INTERVAL) : v.value));
            most = fmax(most, fmax(v.value, isfinite(v.high) ? fmin(v.high, MOST_INTERVAL) : v.value));
        }
    }
    if (most <= LINEAR_SPAN * least) {
        const double room = (most - least) * 0.03;

        fprintf(picture->stream, "set xrange [%.9g:%.9g]\n", least - room, most + room);
    } else {
        fprintf(picture->stream, "set logscale x\nset xrange [%.9g:%.9g]\n", least / 1.1, most * 1.1);
    }
}

/* The margin as an area, and a line at 1, which both are in the picture. */
static void write_margin(const struct picture *picture)
{
    const double margin = picture->record->comparison.margin;

    if (!picture->plain) {
        fprintf(picture->stream,
                "set object 1 rectangle from %.9g, graph 0 to %.9g, graph 1 "
                "fc rgb '#e4e4e4' fs solid noborder behind\n",
                1 - margin, 1 + margin);
    }
    fprintf(picture->stream, "set arrow from 1, graph 0 to 1, graph 1 nohead lc rgb '#404040' %s\n",
            picture->plain ? "" : "dt 2 lw 1.2 back");
}

void picture_ratio(struct picture *picture)
{
    /* In the colors of series: blue, red, green, pink. */
    enum { SAME, SLOWER, FASTER, INCONCLUSIVE, VERDICTS };
    static const char *const names[VERDICTS] = {"same", "slower", "faster", "inconclusive"};
    const struct record *record = picture->record;
    const struct record_comparison *comparison = &record->comparison;
    const size_t count = comparison->count < PICTURE_MOST_ROWS ? comparison->count : PICTURE_MOST_ROWS;
    struct row *rows = make_rows(picture, count);
    char text[PICTURE_COMPARISON_SIZE];

    for (size_t i = 0; i < count && rows != NULL; i++) {
        const struct record_pair *pair = &comparison->pairs[i];
        const struct judgement *j = &pair->judgement;

        picture_pair_label(record, pair, PROPERTIES, rows[i].label);
        rows[i].value =
            pair->count > 0 ? (struct picture_value){j->ratio, j->low, j->high} : (struct picture_value){NAN, NAN, NAN};
        rows[i].series = j->verdict == VERDICT_FASTER         ? FASTER
                         : j->verdict == VERDICT_SLOWER       ? SLOWER
                         : j->verdict == VERDICT_INCONCLUSIVE ? INCONCLUSIVE
                                                              : SAME;
    }
    if (rows != NULL) {
        picture_set_title(picture, "Ratio of the times, with its 95 % interval", picture_comparison(record, text),
                          count, comparison->count);
        picture_set_text(picture, "xlabel", "time / time of the baseline: less than 1 is faster; gray: the margin");
        write_range(picture, rows, count);
        write_margin(picture);
        write_rows(picture, rows, count, names, VERDICTS);
    }
    free(rows);
}
