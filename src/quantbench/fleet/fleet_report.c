/* SPDX-License-Identifier: Apache-2.0 */
/* fleet_report.c - what all reports of a fleet share: names, words and order. */
#include <config.h>

#include "fleet/fleet_report.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* As many names are listed. */
#define NAMES_MAX 8

/* The rows of this room, by the name of the format. */
static const struct {
    const char *name;
    enum exit_code (*write)(const struct fleet *fleet, FILE *stream);
} writers[] = {
    {"json", fleet_json_report},
    {"csv", fleet_csv_report},
    {"markdown", fleet_markdown_report},
    {"junit", fleet_junit_report},
    {"openmetrics", fleet_openmetrics_report},
    {"gnuplot", fleet_gnuplot_report},
};
const char fleet_report_formats[] = "text, json, csv, markdown, junit, openmetrics or gnuplot";

bool fleet_report_can(const struct report_format *format)
{
    for (size_t i = 0; i < sizeof writers / sizeof writers[0]; i++) {
        if (strcmp(format->name, writers[i].name) == 0) {
            return true;
        }
    }
    return strcmp(format->name, "text") == 0;
}

enum exit_code fleet_report_write(const struct report_format *format, const struct fleet *fleet, bool all, FILE *stream)
{
    for (size_t i = 0; i < sizeof writers / sizeof writers[0]; i++) {
        if (strcmp(format->name, writers[i].name) == 0) {
            return writers[i].write(fleet, stream);
        }
    }
    return fleet_text_report(fleet, all, stream);
}

const char *fleet_device_text(const struct fleet *fleet, const struct fleet_device *device, char text[FLEET_TEXT_SIZE])
{
    const char *node = fleet->nodes[device->node].label;

    if (device->uuid[0] == '\0' && device->rank >= 0) {
        snprintf(text, FLEET_TEXT_SIZE, "%s %s rank %" PRIi64, node, device->id, device->rank);
    } else {
        snprintf(text, FLEET_TEXT_SIZE, "%s %s%s%s%s", node, device->id, device->uuid[0] != '\0' ? " (" : "",
                 device->uuid, device->uuid[0] != '\0' ? ")" : "");
    }
    return text;
}

const char *fleet_reason_text(const struct fleet *fleet, const struct fleet_device *device, char text[FLEET_TEXT_SIZE])
{
    const struct fleet_entry *entry = device->entry < SIZE_MAX ? &fleet->entries[device->entry] : NULL;
    const char *done = device->cause == CAUSE_UNFINISHED ? device->soak.unfinished
                       : device->cause == CAUSE_SHORT    ? device->soak.cut
                                                         : NULL;

    text[0] = '\0';
    if (device->wrong[0] != '\0' || device->verdict == FLEET_WRONG) {
        snprintf(text, FLEET_TEXT_SIZE, "%s", device->wrong);
    } else if (done != NULL) {
        snprintf(text, FLEET_TEXT_SIZE, "%s: %s", fleet_cause_words[device->cause], done);
    } else if (device->verdict == FLEET_NO_VERDICT && entry != NULL) {
        snprintf(text, FLEET_TEXT_SIZE, "%s",
                 fleet->groups[entry->group].count < FLEET_MIN_PEERS ? "too few peers" : "too few rounds");
    } else {
        snprintf(text, FLEET_TEXT_SIZE, "%s", fleet_cause_words[device->cause]);
    }
    return text;
}

const char *fleet_summary_text(const struct fleet *fleet, char text[FLEET_TEXT_SIZE])
{
    size_t length;

    snprintf(text, FLEET_TEXT_SIZE, "%zu device%s", fleet->device_count, fleet->device_count == 1 ? "" : "s");
    for (int i = FLEET_VERDICTS - 1; i >= 0; i--) {
        length = strlen(text);
        if (fleet->counts[i] > 0) {
            snprintf(text + length, FLEET_TEXT_SIZE - length, "%s %zu %s", strchr(text, ':') == NULL ? ":" : ",",
                     fleet->counts[i], fleet_verdict_words[i]);
        }
    }
    length = strlen(text);
    if (fleet->missing_count > 0) {
        size_t missing = 0, nodes = 0;

        for (size_t i = 0; i < fleet->missing_count; i++) {
            missing += fleet->missing[i].devices;
            nodes += fleet->missing[i].devices == 0;
        }
        if (nodes > 0) {
            snprintf(text + length, FLEET_TEXT_SIZE - length, "; %zu node%s missing", nodes, nodes == 1 ? "" : "s");
            length = strlen(text);
        }
        if (missing > 0) {
            snprintf(text + length, FLEET_TEXT_SIZE - length, "; %zu device%s missing", missing,
                     missing == 1 ? "" : "s");
        }
    }
    return text;
}

/* How many devices of DIFFERENCE from FIRST on are all of one node; 0: those are not all. */
static size_t whole_node(const struct fleet *fleet, const struct fleet_difference *difference, size_t first)
{
    const size_t node = fleet->devices[difference->who[first]].node;
    size_t count = 0;

    while (first + count < difference->count && fleet->devices[difference->who[first + count]].node == node) {
        count++;
    }
    return count == fleet->nodes[node].devices ? count : 0;
}

const char *fleet_who_text(const struct fleet *fleet, const struct fleet_difference *difference,
                           char text[FLEET_TEXT_SIZE])
{
    size_t named = 0, step;

    text[0] = '\0';
    for (size_t i = 0; i < difference->count && named < NAMES_MAX; i += step, named++) {
        const size_t who = difference->who[i], length = strlen(text),
                     whole = difference->of_nodes ? 0 : whole_node(fleet, difference, i);
        const struct fleet_device *device = difference->of_nodes ? NULL : &fleet->devices[who];
        const bool is_node = device == NULL || whole > 1;

        step = whole > 1 ? whole : 1;
        snprintf(text + length, FLEET_TEXT_SIZE - length, "%s%s%s%s", i > 0 ? ", " : "",
                 fleet->nodes[device == NULL ? who : device->node].label, is_node ? "" : " ",
                 is_node ? "" : device->id);
        if (named + 1 == NAMES_MAX && i + step < difference->count) {
            const size_t end = strlen(text);

            snprintf(text + end, FLEET_TEXT_SIZE - end, " and %zu more", difference->count - i - step);
        }
    }
    return text;
}

/* The fleet whose devices are sorted. */
static const struct fleet *sorted;

static int by_badness(const void *a, const void *b)
{
    const size_t i = *(const size_t *)a, j = *(const size_t *)b;
    const struct fleet_device *d = &sorted->devices[i], *e = &sorted->devices[j];
    const double ratio = d->entry < SIZE_MAX ? sorted->entries[d->entry].ratio : 0;
    const double other = e->entry < SIZE_MAX ? sorted->entries[e->entry].ratio : 0;

    if (d->verdict != e->verdict) {
        return d->verdict > e->verdict ? -1 : 1;
    }
    if (ratio < other || ratio > other) {
        return ratio > other ? -1 : 1;
    }
    return (i > j) - (i < j);
}

size_t *fleet_order(const struct fleet *fleet)
{
    size_t *order = calloc(fleet->device_count + 1, sizeof *order);

    for (size_t i = 0; i < fleet->device_count && order != NULL; i++) {
        order[i] = i;
    }
    sorted = fleet;
    if (order != NULL && fleet->device_count > 0) {
        qsort(order, fleet->device_count, sizeof *order, by_badness);
    }
    return order;
}
