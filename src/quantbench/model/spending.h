/* SPDX-License-Identifier: Apache-2.0 */
/* spending.h - what the cases of a list take together, each as often as it is launched. */
#ifndef SPENDING_H
#define SPENDING_H

#include "model/property.h"

/* The cases that are the same in all that the command line sweeps. */
struct spending_total {
    const struct record_case *first; /* of them */
    size_t cases;                    /* of them, with a time or without */
    size_t timed;                    /* those that have a time */
    uint64_t launches;
    double time; /* of all launches, nanoseconds */
};

/* Those of a total that have the same name. */
struct spending_part {
    size_t total;      /* index */
    size_t first;      /* index of their first case */
    const char *name;  /* NULL: they have none */
    uint64_t launches; /* of those with a time, as the next */
    double time;
};

struct spending {
    struct spending_total *totals;
    size_t count;
    struct spending_part *parts; /* in the order of the totals, and of their first cases */
    size_t part_count;
    size_t *total_of;        /* the index of each case's total */
    size_t lines;            /* of the list */
    bool varies[PROPERTIES]; /* what the command line sweeps */
};

/* True if RECORD is of a list. */
bool spending_applies(const struct record *record);

/* Set SPENDING to that of RECORD, which stays as long; false if memory is short. Free it either way. */
bool spending_make(const struct record *record, struct spending *spending);
void spending_free(struct spending *spending);

/* The time of all launches of C, nanoseconds; NAN: it has none. */
double spending_time(const struct record_case *c);

/* True if each line of the list has a time in TOTAL: only then it is a sum of the list. */
bool spending_is_whole(const struct spending *spending, const struct spending_total *total);

/* The share of case INDEX of RECORD in its total; NAN if that is not whole. */
double spending_share(const struct spending *spending, const struct record *record, size_t index);

/* What tells TOTAL from the others, "granularity token"; "all" if it is the only one. Returns TEXT. */
const char *spending_name(const struct spending *spending, const struct spending_total *total,
                          char text[PROPERTY_TEXT_SIZE]);

#endif
