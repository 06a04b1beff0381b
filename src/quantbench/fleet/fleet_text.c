/* SPDX-License-Identifier: Apache-2.0 */
/* fleet_text.c - a fleet for people: what was measured, a line a device, the differences, and who is missing. */
#include <config.h>

#include "fleet/fleet_report.h"
#include "model/soak.h"
#include "report/fold.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Up to this many devices are all listed; of more, only those with a finding. */
#define LISTED_MAX 64

/* Groups and commands that are printed. */
#define GROUPS_MAX 16
#define AGAIN_MAX  16

static void print_folded(const char *text, size_t indent, FILE *stream)
{
    fprintf(stream, "%*s", (int)indent, "");
    fold_print(text, indent, indent, fold_width(stream), stream);
    fputc('\n', stream);
}

/* What it costs a device that all of its node work at once. */
static void print_coupling(const struct fleet *fleet, const struct fleet_group *group, FILE *stream)
{
    char text[FLEET_TEXT_SIZE], name[FLEET_TEXT_SIZE];
    const struct fleet_entry *worst;

    if (group->coupled == 0) {
        return;
    }
    worst = &fleet->entries[group->worst];
    snprintf(text, sizeof text, "coupling %.4f (%zu devices); the largest %.4f, %.200s", group->coupling,
             group->coupled, worst->coupling, fleet_device_text(fleet, &fleet->devices[worst->device], name));
    print_folded(text, 2, stream);
}

static void print_groups(const struct fleet *fleet, FILE *stream)
{
    for (size_t i = 0; i < fleet->group_count && i < GROUPS_MAX; i++) {
        const struct fleet_group *group = &fleet->groups[i];
        char text[FLEET_TEXT_SIZE];

        snprintf(text, sizeof text, "%s, %s", group->kernel, group->what);
        print_folded(text, 0, stream);
        if (group->count > 0) {
            snprintf(text, sizeof text,
                     "%zu x %s: median %.4g us; margin %.2g %%, devices differ by %.2g %%, rounds by %.2g %%",
                     group->count, group->device_name, exp(group->center) / 1e3, 100 * group->margin,
                     100 * expm1(group->deviation), 100 * expm1(group->spread));
        } else {
            snprintf(text, sizeof text, "no times on %s", group->device_name);
        }
        print_folded(text, 2, stream);
        print_coupling(fleet, group, stream);
    }
    if (fleet->group_count > GROUPS_MAX) {
        fprintf(stream, "and %zu more cases or kinds of devices\n", fleet->group_count - GROUPS_MAX);
    }
    fputc('\n', stream);
}

static bool is_listed(const struct fleet *fleet, const struct fleet_device *device, bool all)
{
    return all || fleet->device_count <= LISTED_MAX || device->verdict != FLEET_OK;
}

static void print_device(const struct fleet *fleet, const struct fleet_device *device, int width, FILE *stream)
{
    char name[FLEET_TEXT_SIZE], reason[FLEET_TEXT_SIZE];

    fleet_device_text(fleet, device, name);
    fleet_reason_text(fleet, device, reason);
    fprintf(stream, "%-*s ", width, name);
    if (device->entry < SIZE_MAX) {
        const struct fleet_entry *entry = &fleet->entries[device->entry];

        fprintf(stream, " %6.4f  %6.4f to %6.4f", entry->ratio, entry->low, entry->high);
    } else {
        fprintf(stream, " %6s  %16s", "-", "-");
    }
    if (device->wrong[0] != '\0' || reason[0] == '\0') {
        fprintf(stream, "  %s", fleet_verdict_words[device->verdict]);
    } else {
        fprintf(stream, "  %-10s  %s", fleet_verdict_words[device->verdict], reason);
    }
    if (device->cases > 1 && device->against > 0) {
        fprintf(stream, "  (%zu of %zu cases)", device->against, device->cases);
    }
    fputc('\n', stream);
    if (device->wrong[0] != '\0') {
        print_folded(reason, 4, stream);
    }
    if (device->entry < SIZE_MAX && device->cases > 1 && device->against > 0) {
        const struct fleet_group *group = &fleet->groups[fleet->entries[device->entry].group];

        snprintf(name, sizeof name, "%s, %s", group->kernel, group->what);
        print_folded(name, 4, stream);
    }
    if (device->injected[0] != '\0') {
        fprintf(stream, "    fault injected: %s\n", device->injected);
    }
    if (device->other_rank >= 0) {
        fprintf(stream, "    measured by ranks %" PRIi64 " and %" PRIi64 ": each device needs a rank of its own\n",
                device->rank, device->other_rank);
    }
}

/* A line for each device, from the worst to the best. */
static enum exit_code print_devices(const struct fleet *fleet, bool all, FILE *stream)
{
    size_t *order = fleet_order(fleet), unlisted = 0;
    int width = (int)strlen("device");
    char name[FLEET_TEXT_SIZE];

    if (order == NULL) {
        message_error("out of memory: the report of the fleet");
        return EXIT_CANNOT_RUN;
    }
    for (size_t i = 0; i < fleet->device_count; i++) {
        const struct fleet_device *device = &fleet->devices[i];

        if (is_listed(fleet, device, all)) {
            const int length = (int)strlen(fleet_device_text(fleet, device, name));

            width = length > width ? length : width;
        } else {
            unlisted++;
        }
    }
    if (unlisted < fleet->device_count) {
        fprintf(stream, "%-*s  %6s  %16s  %-10s  %s\n", width, "device", "ratio", "95 % interval", "verdict", "cause");
    }
    for (size_t i = 0; i < fleet->device_count; i++) {
        const struct fleet_device *device = &fleet->devices[order[i]];

        if (is_listed(fleet, device, all)) {
            print_device(fleet, device, width, stream);
        }
    }
    if (unlisted > 0) {
        fprintf(stream, "%s%zu devices are OK (--verbose lists them)\n",
                unlisted < fleet->device_count ? "the other " : "all ", unlisted);
    }
    free(order);
    return EXIT_OK;
}

/* What all soaks come to: how seldom a wrong byte is, at most. */
static void print_soak(const struct fleet *fleet, FILE *stream)
{
    const struct fleet_soak sum = fleet_soak_sum(fleet);
    char text[FLEET_TEXT_SIZE];

    if (sum.records == 0) {
        return;
    }
    snprintf(text, sizeof text, "soak: %.4g device hours at work, %.4g launches, %.4g TB compared; ", sum.busy / 3600,
             sum.launches, sum.bytes * 1e-12);
    if (sum.wrong > 0) {
        const size_t length = strlen(text);

        snprintf(text + length, sizeof text - length,
                 "%.0f launches were wrong, in %.0f rounds, %.0f of them repeatably", sum.wrong, sum.wrong_rounds,
                 sum.repeatable);
    } else if (sum.busy > 0) {
        const size_t length = strlen(text);

        snprintf(text + length, sizeof text - length, "no wrong byte: fewer than %.2g a device hour (95 %%)",
                 soak_bound(sum.busy));
    }
    fputc('\n', stream);
    print_folded(text, 0, stream);
}

static void print_missing(const struct fleet *fleet, FILE *stream)
{
    for (size_t i = 0; i < fleet->missing_count; i++) {
        const struct fleet_missing *missing = &fleet->missing[i];

        if (missing->devices == 0) {
            fprintf(stream, "%s  NO ANSWER  absent\n", missing->node);
        } else {
            fprintf(stream, "%s%s%zu of the expected devices  NO ANSWER  absent\n", missing->node,
                    missing->node[0] != '\0' ? ": " : "", missing->devices);
        }
    }
}

static void print_differences(const struct fleet *fleet, FILE *stream)
{
    char text[2 * FLEET_TEXT_SIZE], who[FLEET_TEXT_SIZE];

    if (fleet->difference_count > 0) {
        fputs("\nDifferences:\n", stream);
    }
    for (size_t i = 0; i < fleet->difference_count; i++) {
        const struct fleet_difference *difference = &fleet->differences[i];

        snprintf(text, sizeof text, "%s: %s on %zu %s; %s on %s", difference->name, difference->usual,
                 difference->usual_count, difference->of_nodes ? "nodes" : "devices", difference->other,
                 fleet_who_text(fleet, difference, who));
        print_folded(text, 2, stream);
    }
}

/* The command that measures suspects again, as far as the launcher is known. */
static void print_again(const struct fleet *fleet, FILE *stream)
{
    size_t last = SIZE_MAX, nodes = 0;

    if (fleet->counts[FLEET_SUSPECT] == 0) {
        return;
    }
    fputs("\nMeasure the suspects again, with the same options, and report both records together; on the nodes\n  ",
          stream);
    for (size_t i = 0; i < fleet->device_count && nodes <= AGAIN_MAX; i++) {
        if (fleet->devices[i].verdict == FLEET_SUSPECT && fleet->devices[i].node != last) {
            last = fleet->devices[i].node;
            fprintf(stream, "%s%s", nodes > 0 ? "," : "", nodes < AGAIN_MAX ? fleet->nodes[last].name : "...");
            nodes++;
        }
    }
    fputc('\n', stream);
}

enum exit_code fleet_text_report(const struct fleet *fleet, bool all, FILE *stream)
{
    char text[FLEET_TEXT_SIZE];
    enum exit_code code;

    print_groups(fleet, stream);
    code = print_devices(fleet, all, stream);
    print_missing(fleet, stream);
    print_soak(fleet, stream);
    print_differences(fleet, stream);
    print_again(fleet, stream);
    fprintf(stream, "\nFleet: %s\n", fleet_summary_text(fleet, text));
    return code;
}
