/* SPDX-License-Identifier: Apache-2.0 */
/* spending.c - times of cases, weighted by how often each is launched. What the command line sweeps is found from the
 * cases of one line, which differ in nothing else. */
#include <config.h>

#include "base/saturate.h"
#include "model/spending.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A case, to be sorted. */
struct entry {
    const struct record_case *c;
    size_t index, total;
};

bool spending_applies(const struct record *record)
{
    return record->count > 0 && record->cases[0].line > 0;
}

double spending_time(const struct record_case *c)
{
    return c->found.sample_count > 0 ? c->found.time.median * (double)c->uses : NAN;
}

static int compare_lines(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;

    return x->c->line != y->c->line ? (x->c->line > y->c->line) - (x->c->line < y->c->line)
                                    : (x->index > y->index) - (x->index < y->index);
}

static int compare_names(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    const int order = strcmp(x->c->name != NULL ? x->c->name : "", y->c->name != NULL ? y->c->name : "");

    return x->total != y->total ? (x->total > y->total) - (x->total < y->total)
           : order != 0         ? order
                                : (x->index > y->index) - (x->index < y->index);
}

static int compare_parts(const void *a, const void *b)
{
    const struct spending_part *x = a, *y = b;

    return x->total != y->total ? (x->total > y->total) - (x->total < y->total)
                                : (x->first > y->first) - (x->first < y->first);
}

/* Find the properties in which cases of one line differ, and count the lines. ENTRIES are in the order of these. The
 * kernel follows from the others unless it alone differs. */
static void find_varying(const struct entry *entries, size_t count, struct spending *spending)
{
    const struct record_case *first = NULL;
    bool any = false;

    for (size_t i = 0; i < count; i++) {
        if (first == NULL || first->line != entries[i].c->line) {
            first = entries[i].c;
            spending->lines++;
        }
        for (enum property p = 0; p < PROPERTIES; p++) {
            spending->varies[p] = spending->varies[p] || !property_same(first, entries[i].c, p);
            any = any || (spending->varies[p] && p != PROPERTY_KERNEL);
        }
    }
    spending->varies[PROPERTY_KERNEL] = spending->varies[PROPERTY_KERNEL] && !any;
}

/* The index of the total of C, which is added if it is not there. */
static size_t find_total(struct spending *spending, const struct record_case *c)
{
    for (size_t i = 0; i < spending->count; i++) {
        bool same = true;

        for (enum property p = 0; p < PROPERTIES && same; p++) {
            same = !spending->varies[p] || property_same(spending->totals[i].first, c, p);
        }
        if (same) {
            return i;
        }
    }
    spending->totals[spending->count] = (struct spending_total){.first = c};
    return spending->count++;
}

/* Add C to TOTAL. */
static void add_to_total(const struct record_case *c, struct spending_total *total)
{
    total->cases++;
    total->launches = saturate_add(total->launches, c->uses);
    if (c->found.sample_count > 0) {
        total->timed++;
        total->time += spending_time(c);
    }
}

/* Add up the cases of ENTRIES, which are in the order of totals and names. */
static void sum_parts(const struct entry *entries, size_t count, struct spending *spending)
{
    struct spending_part *part = NULL;

    for (size_t i = 0; i < count; i++) {
        const struct entry *at = &entries[i];
        const char *name = at->c->name != NULL ? at->c->name : "";

        if (part == NULL || part->total != at->total || strcmp(part->name != NULL ? part->name : "", name) != 0) {
            part = &spending->parts[spending->part_count++];
            *part = (struct spending_part){.total = at->total, .first = at->index, .name = at->c->name};
        }
        if (at->c->found.sample_count > 0) {
            part->launches = saturate_add(part->launches, at->c->uses);
            part->time += spending_time(at->c);
        }
    }
    qsort(spending->parts, spending->part_count, sizeof *spending->parts, compare_parts);
}

bool spending_make(const struct record *record, struct spending *spending)
{
    struct entry *entries = calloc(record->count + 1, sizeof *entries);

    *spending = (struct spending){.totals = calloc(record->count + 1, sizeof *spending->totals),
                                  .parts = calloc(record->count + 1, sizeof *spending->parts),
                                  .total_of = calloc(record->count + 1, sizeof *spending->total_of)};
    if (entries == NULL || spending->totals == NULL || spending->parts == NULL || spending->total_of == NULL) {
        free(entries);
        return false;
    }
    for (size_t i = 0; i < record->count; i++) {
        entries[i] = (struct entry){.c = &record->cases[i], .index = i};
    }
    qsort(entries, record->count, sizeof *entries, compare_lines);
    find_varying(entries, record->count, spending);
    for (size_t i = 0; i < record->count; i++) {
        entries[i].total = spending->total_of[entries[i].index] = find_total(spending, entries[i].c);
        add_to_total(entries[i].c, &spending->totals[entries[i].total]);
    }
    qsort(entries, record->count, sizeof *entries, compare_names);
    sum_parts(entries, record->count, spending);
    free(entries);
    return true;
}

void spending_free(struct spending *spending)
{
    free(spending->totals);
    free(spending->parts);
    free(spending->total_of);
    *spending = (struct spending){.count = 0};
}

bool spending_is_whole(const struct spending *spending, const struct spending_total *total)
{
    return total->timed == total->cases && total->cases == spending->lines && total->time > 0;
}

double spending_share(const struct spending *spending, const struct record *record, size_t index)
{
    const struct spending_total *total = &spending->totals[spending->total_of[index]];

    return spending_is_whole(spending, total) ? spending_time(&record->cases[index]) / total->time : NAN;
}

const char *spending_name(const struct spending *spending, const struct spending_total *total,
                          char text[PROPERTY_TEXT_SIZE])
{
    size_t length = 0;

    snprintf(text, PROPERTY_TEXT_SIZE, "all");
    for (enum property p = 0; p < PROPERTIES && length < PROPERTY_TEXT_SIZE; p++) {
        char value[PROPERTY_TEXT_SIZE];

        if (spending->varies[p]) {
            length += (size_t)snprintf(text + length, PROPERTY_TEXT_SIZE - length, "%s%s %s", length > 0 ? ", " : "",
                                       property_name(p), property_text(total->first, p, value));
        }
    }
    return text;
}
