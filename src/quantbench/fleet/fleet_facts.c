/* SPDX-License-Identifier: Apache-2.0 */
/* fleet_facts.c - settings and versions that should be the same on all nodes, and on all devices of one name, and are
 * not. */
#include <config.h>

#include "fleet/fleet.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A fact with more values than this is a number of each device's own, not a setting. */
#define VALUES_MAX 16

#define GIB 1073741824.0

/* One fact of one node or device. Names and values are the pool's, so that the same text has the same address. */
struct line {
    const char *kind, *name, *value;
    size_t who;
};

struct lines {
    struct line *list;
    size_t count;
};

/* The value of FACT as it is compared: memory in whole GiB, since some of it comes and goes. */
static const char *value_of(struct fleet *fleet, const struct fleet_fact *fact)
{
    char text[64];

    if (strcmp(fact->name, "memory_bytes") != 0 && strcmp(fact->name, "memory_limit_bytes") != 0) {
        return fact->value;
    }
    if (fact->value[0] < '0' || fact->value[0] > '9') {
        return fact->value;
    }
    snprintf(text, sizeof text, "%.0f GiB", strtod(fact->value, NULL) / GIB);
    return fleet_text(fleet, text);
}

static void add_lines(struct fleet *fleet, const struct fleet_fact *facts, size_t count, const char *kind, size_t who,
                      struct lines *lines)
{
    for (size_t i = 0; i < count; i++) {
        lines->list[lines->count++] = (struct line){kind, facts[i].name, value_of(fleet, &facts[i]), who};
    }
}

static int by_fact(const void *a, const void *b)
{
    const struct line *l = a, *m = b;
    int order = l->kind != m->kind ? strcmp(l->kind, m->kind) : 0;

    order = order == 0 && l->name != m->name ? strcmp(l->name, m->name) : order;
    order = order == 0 && l->value != m->value ? strcmp(l->value, m->value) : order;
    return order != 0 ? order : (l->who > m->who) - (l->who < m->who);
}

/* How many lines from FIRST on have its value, up to COUNT. */
static size_t count_same(const struct line *first, size_t count)
{
    size_t same = 1;

    while (same < count && first[same].value == first->value) {
        same++;
    }
    return same;
}

/* Note that COUNT lines from FIRST on have another value than the USUAL one. */
static bool add_difference(struct fleet *fleet, const struct line *first, size_t count, const struct line *usual,
                           size_t usual_count, bool of_nodes, size_t *room)
{
    size_t *who = calloc(count, sizeof *who);
    struct fleet_difference *difference =
        who != NULL ? fleet_add(fleet, &fleet->differences, &fleet->difference_count, room, sizeof *difference) : NULL;

    if (difference == NULL) {
        free(who);
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        who[i] = first[i].who;
    }
    *difference = (struct fleet_difference){first->name, usual->value, first->value, of_nodes, usual_count, count, who};
    return true;
}

/* Look at the COUNT lines of one fact from FIRST on, which are sorted by value. */
static bool compare_fact(struct fleet *fleet, const struct line *first, size_t count, bool of_nodes, size_t *room)
{
    const struct line *usual = first;
    size_t most = 0, values = 0;
    bool good = true;

    for (size_t i = 0, same; i < count; i += same, values++) {
        same = count_same(&first[i], count - i);
        if (same > most) {
            most = same;
            usual = &first[i];
        }
    }
    for (size_t i = 0, same; i < count && values > 1 && values <= VALUES_MAX && good; i += same) {
        same = count_same(&first[i], count - i);
        if (&first[i] != usual) {
            good = add_difference(fleet, &first[i], same, usual, most, of_nodes, room);
        }
    }
    return good;
}

static bool compare_lines(struct fleet *fleet, struct lines *lines, bool of_nodes, size_t *room)
{
    bool good = true;

    if (lines->count > 0) {
        qsort(lines->list, lines->count, sizeof *lines->list, by_fact);
    }
    for (size_t i = 0, count; i < lines->count && good; i += count) {
        for (count = 1; i + count < lines->count && lines->list[i + count].name == lines->list[i].name &&
                        lines->list[i + count].kind == lines->list[i].kind;
             count++) {
        }
        good = compare_fact(fleet, &lines->list[i], count, of_nodes, room);
    }
    return good;
}

enum exit_code fleet_compare_facts(struct fleet *fleet)
{
    struct lines nodes = {.count = 0}, devices = {.count = 0};
    size_t node_facts = 0, device_facts = 0, room = 0;
    bool good;

    for (size_t i = 0; i < fleet->node_count; i++) {
        node_facts += fleet->nodes[i].fact_count + 1;
    }
    for (size_t i = 0; i < fleet->device_count; i++) {
        device_facts += fleet->devices[i].fact_count;
    }
    nodes.list = calloc(node_facts + 1, sizeof *nodes.list);
    devices.list = calloc(device_facts + 1, sizeof *devices.list);
    good = nodes.list != NULL && devices.list != NULL;
    for (size_t i = 0; i < fleet->node_count && good; i++) {
        const struct fleet_node *node = &fleet->nodes[i];
        char number[32];

        add_lines(fleet, node->facts, node->fact_count, "", i, &nodes);
        snprintf(number, sizeof number, "%zu", node->devices);
        nodes.list[nodes.count++] = (struct line){"", fleet_text(fleet, "devices"), fleet_text(fleet, number), i};
    }
    for (size_t i = 0; i < fleet->device_count && good; i++) {
        const struct fleet_device *device = &fleet->devices[i];

        add_lines(fleet, device->facts, device->fact_count, device->name, i, &devices);
    }
    good = good && compare_lines(fleet, &nodes, true, &room) && compare_lines(fleet, &devices, false, &room);
    free(nodes.list);
    free(devices.list);
    if (!good || fleet->short_of_memory) {
        message_error("out of memory: the differences of the fleet");
        return EXIT_CANNOT_RUN;
    }
    return EXIT_OK;
}
