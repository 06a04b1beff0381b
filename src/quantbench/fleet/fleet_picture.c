/* SPDX-License-Identifier: Apache-2.0 */
/* fleet_picture.c - the ratio of each device to its peers, in the color of its verdict. A few devices are rows with
 * their intervals. Many are points from left to right, node by node, so that a node stands out as well as a device. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* strverscmp() */
#endif
#include <config.h>

#include "fleet/fleet_picture.h"
#include "fleet/fleet_report.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* As many devices have a row each. */
#define ROWS_MAX 40
/* Of more devices than this, those that are OK are drawn without intervals, and as small points. */
#define INTERVALS_MAX 200
/* Of more devices than this, those that are OK are an area instead: the ranges of as many neighbors. */
#define POINTS_MAX 2000
#define RANGES     800
/* Nodes and labels that are named in the picture, and the characters that have room side by side. */
#define NODES_NAMED  20
#define LABELS_MAX   8
#define NAMES_LENGTH 110

/* A device in the picture. */
struct point {
    size_t device;
    const struct fleet_entry *entry; /* NULL: it has no time */
};

/* The points of a picture, in their order. */
struct points {
    const struct fleet *fleet;
    struct point *values;
    size_t count, timed;
    double least, most; /* ratios, with the intervals that are drawn */
};

/* Colors and shapes by verdict: those of Okabe and Ito, and gray. */
static const struct {
    const char *color;
    int shape;
} styles[FLEET_VERDICTS] = {
    [FLEET_OK] = {"'#0072b2'", 7},         [FLEET_TRANSIENT] = {"'#56b4e9'", 13}, [FLEET_UNSTEADY] = {"'#e69f00'", 9},
    [FLEET_NO_VERDICT] = {"'#909090'", 6}, [FLEET_SUSPECT] = {"'#cc79a7'", 11},   [FLEET_SLOWER] = {"'#d55e00'", 5},
    [FLEET_NO_ANSWER] = {"'#606060'", 2},  [FLEET_WRONG] = {"'#000000'", 3},
};

static enum fleet_verdict verdict_of(const struct points *points, size_t i)
{
    return points->fleet->devices[points->values[i].device].verdict;
}

static const char *node_of(const struct points *points, size_t i)
{
    return points->fleet->nodes[points->fleet->devices[points->values[i].device].node].label;
}

/* The fleet whose points are sorted. */
static const struct fleet *sorted;

/* By node, with numbers as people count, and then by device. */
static int by_place(const void *a, const void *b)
{
    const struct point *p = a, *q = b;
    const struct fleet_device *d = &sorted->devices[p->device], *e = &sorted->devices[q->device];
    int order = strverscmp(sorted->nodes[d->node].label, sorted->nodes[e->node].label);

    order = order != 0 ? order : strverscmp(d->id, e->id);
    return order != 0 ? order : (p->device > q->device) - (p->device < q->device);
}

static bool has_interval(const struct points *points, size_t i)
{
    const struct fleet_entry *entry = points->values[i].entry;

    return entry != NULL && isfinite(entry->low) && isfinite(entry->high) &&
           (points->count <= INTERVALS_MAX || verdict_of(points, i) != FLEET_OK);
}

/* Set POINTS to all devices of FLEET. False if memory is short. */
static bool find_points(const struct fleet *fleet, struct points *points)
{
    *points = (struct points){.fleet = fleet, .count = fleet->device_count, .least = 1, .most = 1};
    points->values = calloc(fleet->device_count + 1, sizeof *points->values);
    for (size_t i = 0; i < points->count && points->values != NULL; i++) {
        const struct fleet_device *device = &fleet->devices[i];

        points->values[i] = (struct point){i, device->entry < SIZE_MAX && isfinite(fleet->entries[device->entry].ratio)
                                                  ? &fleet->entries[device->entry]
                                                  : NULL};
    }
    if (points->values == NULL) {
        return false;
    }
    sorted = fleet;
    qsort(points->values, points->count, sizeof *points->values, by_place);
    for (size_t i = 0; i < points->count; i++) {
        const struct fleet_entry *entry = points->values[i].entry;

        if (entry != NULL) {
            points->timed++;
            points->least = fmin(points->least, has_interval(points, i) ? entry->low : entry->ratio);
            points->most = fmax(points->most, has_interval(points, i) ? entry->high : entry->ratio);
        }
    }
    return true;
}

/* Return the smallest margin of a group, or 0. */
static double margin_of(const struct fleet *fleet)
{
    double margin = 0;

    for (size_t i = 0; i < fleet->group_count; i++) {
        if (fleet->groups[i].judged && (margin <= 0 || fleet->groups[i].margin < margin)) {
            margin = fleet->groups[i].margin;
        }
    }
    return margin;
}

/* ---- Data ------------------------------------------------------------------------------------------------------- */

/* Write the data of VERDICT: place, ratio, low, high. Those without a time are at BOTTOM. Return their number; set
 * *HAVE_INTERVALS to whether some has one. */
static size_t write_data(const struct points *points, enum fleet_verdict verdict, double bottom, bool *have_intervals,
                         FILE *stream)
{
    size_t count = 0;

    *have_intervals = false;
    fprintf(stream, "$v%d << EOD\n", verdict);
    for (size_t i = 0; i < points->count; i++) {
        const struct fleet_entry *entry = points->values[i].entry;
        const double ratio = entry != NULL ? entry->ratio : bottom;
        const bool has = has_interval(points, i);

        if (verdict_of(points, i) == verdict) {
            fprintf(stream, "%zu %.9g %.9g %.9g\n", i + 1, ratio, has ? entry->low : ratio, has ? entry->high : ratio);
            *have_intervals = *have_intervals || has;
            count++;
        }
    }
    fputs("EOD\n", stream);
    return count;
}

/* Write the data of devices that are OK, of which there are many: place, the largest and the smallest ratio of as many
 * as lie on one another. Return their number. */
static size_t write_ranges(const struct points *points, FILE *stream)
{
    const size_t step = (points->count + RANGES - 1) / RANGES;
    size_t count = 0;

    fprintf(stream, "$v%d << EOD\n", FLEET_OK);
    for (size_t first = 0; first < points->count; first += step) {
        double least = INFINITY, most = 0;

        for (size_t i = first; i < first + step && i < points->count; i++) {
            if (points->values[i].entry != NULL && verdict_of(points, i) == FLEET_OK) {
                least = fmin(least, points->values[i].entry->ratio);
                most = fmax(most, points->values[i].entry->ratio);
                count++;
            }
        }
        if (least <= most) {
            fprintf(stream, "%.9g %.9g %.9g %.9g\n", (double)first + (double)(step + 1) / 2, most, least, most);
        }
    }
    fputs("EOD\n", stream);
    return count;
}

/* Write the data of all verdicts, and "plot" with a curve for each that some device has. */
static void write_plot(const struct picture *picture, const struct points *points, bool are_rows, double bottom)
{
    const bool are_ranges = points->count > POINTS_MAX && !picture->plain;
    const char *bars = are_rows ? ":3:4 with xerrorbars lw 1.8" : ":3:4 with yerrorbars lw 1", *separator = "plot ";
    bool have_intervals[FLEET_VERDICTS] = {false};
    size_t counts[FLEET_VERDICTS];
    FILE *stream = picture->stream;

    for (enum fleet_verdict v = FLEET_OK; v < FLEET_VERDICTS; v++) {
        counts[v] = v == FLEET_OK && are_ranges ? write_ranges(points, stream)
                                                : write_data(points, v, bottom, &have_intervals[v], stream);
    }
    for (enum fleet_verdict v = FLEET_OK; v < FLEET_VERDICTS; v++) {
        const bool are_small = v == FLEET_OK && points->count > INTERVALS_MAX;

        if (counts[v] > 0 && v == FLEET_OK && are_ranges) {
            fprintf(stream,
                    "%s$v%d using 1:3:4 with filledcurves fs solid 0.6 noborder lc rgb %s title 'OK (their range)'",
                    separator, v, styles[v].color);
            separator = ", \\\n     ";
        } else if (counts[v] > 0) {
            fprintf(stream,
                    "%s$v%d using %s%s ps %g pt %d lc rgb %s notitle, \\\n"
                    "     NaN with points ps 0.9 pt %d lc rgb %s title '%s'",
                    separator, v, are_rows ? "2:1" : "1:2",
                    have_intervals[v] && !picture->plain ? bars : " with points",
                    are_rows    ? 0.9
                    : are_small ? 0.25
                                : 0.7,
                    styles[v].shape, styles[v].color, styles[v].shape, styles[v].color, fleet_verdict_words[v]);
            separator = ", \\\n     ";
        }
    }
    putc('\n', stream);
}

/* ---- The frame -------------------------------------------------------------------------------------------------- */

/* Set the title, the range of ratios on AXIS, the margin as an area, and a line at 1. Return the ratio at which those
 * without a time are. */
static double write_ratios(struct picture *picture, const struct points *points, char axis)
{
    const double margin = margin_of(points->fleet), least = fmin(points->least, 1 - margin - 0.01),
                 most = fmax(points->most, 1 + margin + 0.01), room = (most - least) / 20,
                 bottom = least - (points->timed < points->count ? 2 * room : 0);
    const bool is_x = axis == 'x';
    char head[2 * FLEET_TEXT_SIZE], details[2 * FLEET_TEXT_SIZE];
    FILE *stream = picture->stream;

    memcpy(head, "Fleet: ", sizeof "Fleet: ");
    fleet_summary_text(points->fleet, head + strlen(head));
    details[0] = '\0';
    if (points->fleet->group_count == 1) {
        const struct fleet_group *group = &points->fleet->groups[0];

        snprintf(details, sizeof details, "%s, %s, %s", group->device_name, group->kernel, group->what);
    }
    picture_set_title(picture, head, details, 1, 1);
    snprintf(head, sizeof head, "time / median of the peers%s%s", is_x ? ", with 95 % intervals" : "",
             margin > 0 && !picture->plain ? "; gray: the margin" : "");
    picture_set_text(picture, is_x ? "xlabel" : "ylabel", head);
    /* The names of devices far above have room. */
    fprintf(stream, "set %crange [%.9g:%.9g]\n%s", axis, bottom - (picture->plain ? 2 : 1) * room,
            most + (is_x ? 1 : 3) * room, most / least > 4 ? is_x ? "set logscale x\n" : "set logscale y\n" : "");
    if (margin > 0 && !picture->plain) {
        fprintf(stream, "set object 1 rectangle from %s%.9g%s to %s%.9g%s fc rgb '#e4e4e4' fs solid noborder behind\n",
                is_x ? "" : "graph 0, first ", 1 - margin, is_x ? ", graph 0" : "", is_x ? "" : "graph 1, first ",
                1 + margin, is_x ? ", graph 1" : "");
    }
    fprintf(stream,
            is_x ? "set arrow from 1, graph 0 to 1, graph 1 nohead lc rgb '#404040' %s\n"
                 : "set arrow from graph 0, first 1 to graph 1, first 1 nohead lc rgb '#404040' %s\n",
            picture->plain ? "" : "dt 2 lw 1.2 back");
    if (points->timed < points->count && !picture->plain) {
        fprintf(stream,
                is_x ? "set label 'no time' at %.9g, graph 1 center offset 0, 0.6 tc rgb '#606060'\n"
                     : "set label 'no time' at graph 1, first %.9g right tc rgb '#606060'\n",
                bottom);
    }
    return bottom;
}

/* A row for each device. */
static void write_rows(struct picture *picture, const struct points *points)
{
    FILE *stream = picture->stream;
    double bottom;

    picture->rows = points->count;
    bottom = write_ratios(picture, points, 'x');
    fputs("set ytics noenhanced (", stream);
    for (size_t i = 0; i < points->count; i++) {
        char label[FLEET_TEXT_SIZE];

        snprintf(label, sizeof label, "%s %s", node_of(points, i), points->fleet->devices[points->values[i].device].id);
        picture_row_tic(picture, i, label);
    }
    fprintf(stream, ")\nset yrange [%zu.6:0.4]\n", points->count);
    write_plot(picture, points, true, bottom);
}

/* ---- Many devices ----------------------------------------------------------------------------------------------- */

/* Return how many points from I on are of its node. */
static size_t node_length(const struct points *points, size_t i)
{
    size_t length = 1;

    while (i + length < points->count && strcmp(node_of(points, i), node_of(points, i + length)) == 0) {
        length++;
    }
    return length;
}

/* Name as many nodes below the axis as have room, each in the middle of its points. */
static void write_nodes(const struct picture *picture, const struct points *points)
{
    FILE *stream = picture->stream;
    const char *separator = "";
    size_t longest = 1, nodes = 0, step;

    for (size_t i = 0; i < points->count; i += node_length(points, i), nodes++) {
        const size_t length = strlen(node_of(points, i));

        longest = length > longest ? length : longest;
    }
    step = (picture->plain ? NAMES_LENGTH / 2 : NAMES_LENGTH) / (longest + 2);
    step = step < 1 ? 1 : step > NODES_NAMED ? NODES_NAMED : step;
    step = (nodes + step - 1) / step;
    fputs("set xtics scale 0 noenhanced (", stream);
    nodes = 0;
    for (size_t i = 0; i < points->count; i += node_length(points, i), nodes++) {
        if (nodes % step == step / 2) {
            fputs(separator, stream);
            picture_quote(node_of(points, i), stream);
            fprintf(stream, " %.9g", (double)i + (double)(node_length(points, i) + 1) / 2);
            separator = ", ";
        }
    }
    fputs(")\n", stream);
}

static bool stands_out(enum fleet_verdict verdict)
{
    return verdict == FLEET_SUSPECT || verdict == FLEET_SLOWER || verdict == FLEET_WRONG;
}

/* Name the worst nodes: with the device if only one stands out. The name is at the worst of its devices. */
static void write_labels(struct picture *picture, const struct points *points, double bottom)
{
    size_t *order = fleet_order(points->fleet), *named = calloc(LABELS_MAX, sizeof *named), count = 0;
    FILE *stream = picture->stream;

    picture->memory_short = picture->memory_short || order == NULL || named == NULL;
    for (size_t i = 0; !picture->memory_short && i < points->count && count < LABELS_MAX; i++) {
        const struct fleet_device *device = &points->fleet->devices[order[i]];
        bool is_new = stands_out(device->verdict);
        size_t place = 0, others = 0;
        char label[FLEET_TEXT_SIZE];

        for (size_t k = 0; k < count && is_new; k++) {
            is_new = named[k] != device->node;
        }
        for (size_t k = 0; k < points->count && is_new; k++) {
            place = points->values[k].device == order[i] ? k : place;
            others += points->fleet->devices[points->values[k].device].node == device->node &&
                      stands_out(verdict_of(points, k));
        }
        if (is_new) {
            named[count++] = device->node;
            snprintf(label, sizeof label, "%s %s", points->fleet->nodes[device->node].label,
                     others == 1 ? device->id : "");
            fputs("set label ", stream);
            picture_quote(label, stream);
            fprintf(stream, " at %zu, %.9g %s offset 0, 0.7 noenhanced front\n", place + 1,
                    points->values[place].entry != NULL ? points->values[place].entry->ratio : bottom,
                    place > points->count / 2 ? "right" : "left");
        }
    }
    free(order);
    free(named);
}

/* A point for each device, node by node. */
static void write_strip(struct picture *picture, const struct points *points)
{
    FILE *stream = picture->stream;
    const double bottom = write_ratios(picture, points, 'y');

    picture_set_text(picture, "xlabel",
                     picture->plain ? "devices, node by node" : "devices, node by node, with 95 % intervals");
    fprintf(stream, "set xrange [0:%zu]\nunset grid\nset grid y\nset errorbars 0.5\n", points->count + 1);
    write_nodes(picture, points);
    if (!picture->plain) {
        write_labels(picture, points, bottom);
    }
    write_plot(picture, points, false, bottom);
}

/* ---- The source ------------------------------------------------------------------------------------------------- */

static void write_picture(struct picture *picture, const void *what)
{
    struct points points;

    if (!find_points(what, &points)) {
        picture->memory_short = true;
    } else if (points.count <= ROWS_MAX) {
        write_rows(picture, &points);
    } else {
        write_strip(picture, &points);
    }
    free(points.values);
}

static enum picture_kind choose_kind(const void *what)
{
    (void)what;
    return PICTURE_FLEET;
}

static const char *find_lack(const void *what, enum picture_kind kind)
{
    const struct fleet *fleet = what;

    if (kind != PICTURE_FLEET) {
        return "one record";
    }
    for (size_t i = 0; i < fleet->device_count; i++) {
        if (fleet->devices[i].entry < SIZE_MAX) {
            return NULL;
        }
    }
    return "a time";
}

static bool write_script(const void *what, enum picture_kind kind, enum picture_viewer viewer, int columns,
                         FILE *stream)
{
    (void)kind;
    return picture_write_frame(write_picture, what, viewer, columns, stream);
}

static enum exit_code write_text(const void *what, FILE *stream)
{
    return fleet_text_report(what, false, stream);
}

struct plot_source fleet_plot_source(const struct fleet *fleet)
{
    return (struct plot_source){fleet, "fleet", choose_kind, find_lack, write_script, write_text};
}

enum exit_code fleet_gnuplot_report(const struct fleet *fleet, FILE *stream)
{
    const char *lack = find_lack(fleet, PICTURE_FLEET);

    if (lack != NULL) {
        fprintf(stream, "# There is no picture: the fleet lacks %s.\n", lack);
    } else if (!write_script(fleet, PICTURE_FLEET, PICTURE_SCRIPT, 0, stream)) {
        message_error("out of memory: the picture of the fleet");
        return EXIT_CANNOT_RUN;
    }
    return EXIT_OK;
}
