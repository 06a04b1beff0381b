/* SPDX-License-Identifier: Apache-2.0 */
/* picture_times.c - times against the size, as a share of the ceiling or as they are. A curve is a series of cases that
 * differ in nothing but the size; where one of them has no time it has a gap. */
#include <config.h>

#include "report/picture.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- Series ----------------------------------------------------------------------------------------------------- */

#define NO_SERIES SIZE_MAX

/* The cases of a record in series along the tokens or the hidden size. */
struct series_set {
    const struct record *record;
    enum property axis; /* PROPERTIES: neither differs */
    bool by_kernel;     /* a kernel has a series of its own; else it follows from the size */
    uint64_t *sizes;    /* that differ, in rising order */
    size_t size_count;
    const struct record_case **firsts; /* one of each series */
    size_t *places;                    /* of each case: the index of its series, or NO_SERIES */
    size_t count;                      /* of series that are shown */
    size_t all;                        /* and those beyond PICTURE_MOST_CURVES, at least */
};

/* Set SIZES to those of all cases, each once. Returns their number. */
static size_t find_sizes(const struct record *record, enum property axis, uint64_t *sizes)
{
    for (size_t i = 0; i < record->count; i++) {
        sizes[i] = picture_size(&record->cases[i].problem, axis);
    }
    return picture_sort_sizes(sizes, record->count);
}

/* Choose the axis on which there are more sizes. */
static void choose_axis(struct series_set *set)
{
    const size_t hidden = find_sizes(set->record, PROPERTY_HIDDEN, set->sizes);

    set->axis = PROPERTY_TOKENS;
    set->size_count = find_sizes(set->record, PROPERTY_TOKENS, set->sizes);
    if (hidden > set->size_count) {
        set->axis = PROPERTY_HIDDEN;
        set->size_count = find_sizes(set->record, PROPERTY_HIDDEN, set->sizes);
    }
    if (set->size_count < 2 || describe_varies(set->record, TENSOR)) {
        set->axis = PROPERTIES;
    }
}

/* True if A and B are of one series. */
static bool same_series(const struct series_set *set, const struct record_case *a, const struct record_case *b)
{
    for (enum property p = 0; p < PROPERTIES; p++) {
        /* Caches are cold for large sizes and partly so for small ones. */
        const bool counts = p != set->axis && p != PROPERTY_CACHE && (p != PROPERTY_KERNEL || set->by_kernel);

        if (counts && !property_same(a, b, p)) {
            return false;
        }
    }
    return (a->found.cache == CACHE_HOT) == (b->found.cache == CACHE_HOT);
}

/* Share out the cases. Returns false if two of one series have the same size. */
static bool share_out(struct series_set *set)
{
    const struct record *record = set->record;

    set->count = set->all = 0;
    for (size_t i = 0; i < record->count; i++) {
        size_t k = 0;

        while (k < set->count && !same_series(set, &record->cases[i], set->firsts[k])) {
            k++;
        }
        if (k == PICTURE_MOST_CURVES) {
            set->places[i] = NO_SERIES;
            set->all++;
            continue;
        }
        for (size_t j = 0; j < i && k < set->count; j++) {
            if (set->places[j] == k && picture_size(&record->cases[j].problem, set->axis) ==
                                           picture_size(&record->cases[i].problem, set->axis)) {
                return false;
            }
        }
        if (k == set->count) {
            set->firsts[set->count++] = &record->cases[i];
        }
        set->places[i] = k;
    }
    set->all += set->count;
    return true;
}

static void free_series(struct series_set *set)
{
    free(set->sizes);
    free(set->places);
    free(set->firsts);
}

/* Find the series of RECORD. Returns false if memory is short; free SET either way. */
static bool find_series(const struct record *record, struct series_set *set)
{
    *set = (struct series_set){.record = record,
                               .sizes = calloc(record->count + 1, sizeof *set->sizes),
                               .places = calloc(record->count + 1, sizeof *set->places),
                               .firsts = calloc(PICTURE_MOST_CURVES, sizeof(struct record_case *))};
    if (set->sizes == NULL || set->places == NULL || set->firsts == NULL) {
        return false;
    }
    choose_axis(set);
    if (set->axis != PROPERTIES && !share_out(set)) {
        set->by_kernel = true;
        share_out(set);
    }
    return true;
}

/* Return the case of series INDEX of SIZE; NULL: there is none. */
static const struct record_case *find_case(const struct series_set *set, size_t index, uint64_t size)
{
    for (size_t i = 0; i < set->record->count; i++) {
        if (set->places[i] == index && picture_size(&set->record->cases[i].problem, set->axis) == size) {
            return &set->record->cases[i];
        }
    }
    return NULL;
}

/* ---- Values ----------------------------------------------------------------------------------------------------- */

struct picture_value picture_time_of(const struct record_case *c)
{
    const struct stats *time = &c->found.time;
    const bool has_interval = time->basis != STATS_BASIS_NONE;

    if (c->found.sample_count == 0) {
        return (struct picture_value){NAN, NAN, NAN};
    }
    return (struct picture_value){time->median * 1e-3, has_interval ? time->ci_low * 1e-3 : NAN,
                                  has_interval ? time->ci_high * 1e-3 : NAN};
}

struct picture_value picture_share_of(const struct record_case *c)
{
    const struct picture_value time = picture_time_of(c);
    const double best = 100 * c->found.best_time * 1e-3;

    if (!(time.value > 0) || !(best > 0) || c->found.implausible) {
        return (struct picture_value){NAN, NAN, NAN};
    }
    return (struct picture_value){best / time.value, best / time.high, time.low > 0 ? best / time.low : NAN};
}

/* Write a block of data for each series: size, value, low, high and ceiling. A blank line breaks a curve. */
static void write_data(const struct series_set *set, struct picture_value (*show)(const struct record_case *c),
                       FILE *stream)
{
    for (size_t k = 0; k < set->count; k++) {
        fprintf(stream, "$d%zu << EOD\n", k);
        for (size_t i = 0; i < set->size_count; i++) {
            const struct record_case *c = find_case(set, k, set->sizes[i]);
            struct picture_value v = c != NULL ? show(c) : (struct picture_value){NAN, NAN, NAN};

            if (!(v.value > 0) || isinf(v.value)) {
                putc('\n', stream);
                continue;
            }
            fprintf(stream, "%" PRIu64 " %.9g %.9g %.9g ", set->sizes[i], v.value, isfinite(v.low) ? v.low : v.value,
                    isfinite(v.high) ? v.high : v.value);
            fprintf(stream, c->found.best_time > 0 ? "%.9g\n" : "NaN\n", c->found.best_time * 1e-3);
        }
        fputs("EOD\n", stream);
    }
}

/* ---- Pictures --------------------------------------------------------------------------------------------------- */

/* Sizes that span more than this are on a logarithmic axis, and the number of those that are written below it. */
#define LINEAR_SPAN 8
#define MOST_TICS   12
/* The same for times: the largest as a multiple of the smallest. */
#define FEW_DECADES 2000

/* Set the axis of sizes, whose ends are those of the data. */
static void write_axis(const struct picture *picture, const struct series_set *set)
{
    FILE *stream = picture->stream;
    const double first = (double)set->sizes[0], last = (double)set->sizes[set->size_count - 1];
    const double margin = (last - first) / 20;

    picture_set_text(picture, "xlabel", set->axis == PROPERTY_TOKENS ? "tokens" : "hidden size");
    if (last / first >= LINEAR_SPAN) {
        fprintf(stream, "set logscale x 2\nset format x '%%.0f'\nset xrange [%.9g:%.9g]\n", first / 1.25, last * 1.25);
    } else {
        fprintf(stream, "set xrange [%.9g:%.9g]\n", first - margin, last + margin);
    }
    if (set->size_count <= MOST_TICS) {
        fputs("set xtics (", stream);
        for (size_t i = 0; i < set->size_count; i++) {
            fprintf(stream, "%s%" PRIu64, i > 0 ? ", " : "", set->sizes[i]);
        }
        fputs(")\n", stream);
    }
}

/* How much wider than the last curve that of series K is, in steps: it shows on both sides of one that lies on it. */
static unsigned wider(const struct series_set *set, size_t k)
{
    const size_t later = set->count - 1 - k;

    return later < 2 ? (unsigned)later : 2;
}

/* Write "$d0 using ... title '...'" for the curve of series K. */
static void write_curve(const struct picture *picture, const struct series_set *set, size_t k)
{
    FILE *stream = picture->stream;
    char label[DESCRIBE_SIZE];

    if (picture->plain) {
        fprintf(stream, "$d%zu using 1:2 with linespoints", k);
    } else {
        fprintf(stream, "$d%zu using 1:2:3:4 with yerrorlines lw %.1f ps %.1f", k, 1.8 + 1.8 * wider(set, k),
                0.7 + 0.4 * wider(set, k));
    }
    fprintf(stream, " lc rgb %s pt %d title ", picture_color(k), picture_shape(k));
    picture_quote(picture_label(set->record, set->firsts[k], set->axis, label), stream);
}

/* Write what comes before the curves. */
static void write_frame(struct picture *picture, const struct series_set *set, const char *head, const char *unit,
                        struct picture_value (*show)(const struct record_case *c))
{
    char common[DESCRIBE_SIZE];

    picture_set_title(picture, head, picture_common(set->record, common), set->count, set->all);
    write_data(set, show, picture->stream);
    write_axis(picture, set);
    picture_set_text(picture, "ylabel", unit);
}

static void write_shares(struct picture *picture, const struct series_set *set)
{
    FILE *stream = picture->stream;

    write_frame(picture, set, "Share of the ceiling, with its 95 % interval", "% of the ceiling", picture_share_of);
    fputs("set yrange [0:105<*<200] noextend\nplot 100 with lines dt 2 lw 1.2 lc rgb '#606060' title 'the ceiling'",
          stream);
    for (size_t k = 0; k < set->count && !picture->plain; k++) {
        fprintf(stream,
                ", \\\n     $d%zu using 1:3:4 with filledcurves fs transparent solid 0.15 noborder lc rgb %s notitle",
                k, picture_color(k));
    }
    for (size_t k = 0; k < set->count; k++) {
        fputs(", \\\n     ", stream);
        write_curve(picture, set, k);
    }
    putc('\n', stream);
}

/* Set *LEAST and *MOST to the ends of times and ceilings of SET. */
static void find_range(const struct series_set *set, double *least, double *most)
{
    *least = INFINITY;
    *most = 0;
    for (size_t i = 0; i < set->record->count; i++) {
        const struct record_case *c = &set->record->cases[i];
        const struct picture_value v = picture_time_of(c);
        const double values[] = {v.value, v.low, v.high, c->found.best_time * 1e-3};

        for (size_t k = 0; k < sizeof values / sizeof values[0] && v.value > 0; k++) {
            *least = values[k] > 0 && values[k] < *least ? values[k] : *least;
            *most = isfinite(values[k]) && values[k] > *most ? values[k] : *most;
        }
    }
}

/* Set the axis of times, with 1, 2 and 5 of each decade where there are few. */
static void write_time_axis(const struct series_set *set, FILE *stream)
{
    static const int steps[] = {1, 2, 5};
    const char *separator = "";
    double least, most;

    find_range(set, &least, &most);
    fputs("set logscale y\nset format y '%g'\n", stream);
    if (!(least <= most) || most / least > FEW_DECADES) {
        return;
    }
    fprintf(stream, "set yrange [%.9g:%.9g]\nset ytics (", least / 1.2, most * 1.2);
    for (int decade = (int)floor(log10(least / 1.2)); pow(10, decade) < most * 1.2; decade++) {
        for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
            fprintf(stream, "%s%g", separator, pow(10, decade) * steps[i]);
            separator = ", ";
        }
    }
    fputs(")\n", stream);
}

static void write_times(struct picture *picture, const struct series_set *set)
{
    FILE *stream = picture->stream;

    write_frame(picture, set, "Time of a launch, with its 95 % interval", "microseconds", picture_time_of);
    write_time_axis(set, stream);
    fputs("plot ", stream);
    for (size_t k = 0; k < set->count; k++) {
        fputs(k > 0 ? ", \\\n     " : "", stream);
        write_curve(picture, set, k);
    }
    for (size_t k = 0; k < set->count && !picture->plain; k++) {
        fprintf(stream, ", \\\n     $d%zu using 1:5 with lines dt 2 lw 1.2 lc rgb %s %s", k, picture_color(k),
                k == 0 ? "title 'its ceiling'" : "notitle");
    }
    putc('\n', stream);
}

void picture_share(struct picture *picture)
{
    struct series_set set;

    if (!find_series(picture->record, &set)) {
        picture->memory_short = true;
    } else if (set.axis == PROPERTIES) {
        picture_case_rows(picture, "Share of the ceiling, with its 95 % interval", "% of the ceiling",
                          "[0:105<*<200] noextend", picture_share_of);
    } else {
        write_shares(picture, &set);
    }
    free_series(&set);
}

void picture_time(struct picture *picture)
{
    struct series_set set;

    if (!find_series(picture->record, &set)) {
        picture->memory_short = true;
    } else if (set.axis == PROPERTIES) {
        picture_case_rows(picture, "Time of a launch, with its 95 % interval", "microseconds", "[0:*]",
                          picture_time_of);
    } else {
        write_times(picture, &set);
    }
    free_series(&set);
}
