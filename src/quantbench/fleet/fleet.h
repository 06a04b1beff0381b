/* SPDX-License-Identifier: Apache-2.0 */
/* fleet.h - all that a report says of many devices, and how they come to a verdict. The records of their runs are read
 * once; what counts of each is a line of this. */
#ifndef FLEET_H
#define FLEET_H

#include "base/message.h"
#include "base/scan.h"
#include "fleet/pool.h"
#include "fleet/series.h"
#include "fleet/table.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What is said of a device, from the best to the worst. */
enum fleet_verdict {
    FLEET_OK,
    FLEET_TRANSIENT,  /* slower once, or wrong once, but not when that was done again */
    FLEET_UNSTEADY,   /* its rounds differ much more than those of its peers */
    FLEET_NO_VERDICT, /* too few peers or rounds, or a soak that was shorter than it was to be */
    FLEET_SUSPECT,    /* slower, and not measured again yet */
    FLEET_SLOWER,     /* slower, also when it was measured again */
    FLEET_NO_ANSWER,  /* it was expected, or its run began, and there is no time */
    FLEET_WRONG,      /* a kernel gave a wrong result */
};
#define FLEET_VERDICTS 8
extern const char *const fleet_verdict_words[];

/* Why, as far as the records tell. */
enum fleet_cause {
    CAUSE_NONE,
    CAUSE_UNKNOWN,
    CAUSE_MEMORY,     /* what memory allows is slower by as much, or its clock is */
    CAUSE_POWER,      /* the clock is lower, or something holds it down */
    CAUSE_HOST,       /* the host takes longer to launch */
    CAUSE_NODE,       /* all devices of the node are so */
    CAUSE_ABSENT,     /* no record of it came */
    CAUSE_FAILED,     /* its record says that it could not run */
    CAUSE_UNTIMED,    /* its record ends before there was a time */
    CAUSE_UNFINISHED, /* the last record of a soak is not that of its end */
    CAUSE_SHORT       /* a signal ended its soaks before their time */
};
extern const char *const fleet_cause_words[];

/* A fact about a device or a node. */
struct fleet_fact {
    const char *name, *value;
};

/* A node. Containers and images share a host's name, so that the boot is a part of what it is. */
struct fleet_node {
    const char *name;  /* of the host */
    const char *boot;  /* "": unknown */
    const char *label; /* what it is called: its name, with a part of the boot if that is not only its own */
    struct fleet_fact *facts;
    size_t fact_count;
    size_t devices;
};

/* What soaks of a device come to. */
struct fleet_soak {
    size_t records;                  /* 0: there was none */
    double busy;                     /* seconds at work */
    double launches, bytes;          /* BYTES were compared */
    double wrong;                    /* launches */
    double wrong_rounds, repeatable; /* rounds with one, and those of them in which it came again */
    size_t unrepeated;               /* of these rounds: nothing was launched after it */
    bool failed;                     /* one could not go on */
    const char *unfinished;          /* how much of one was done whose end has no record; NULL: all have ended */
    const char *cut;                 /* the same of one that a signal ended before its time; NULL: there is none */
    size_t whole;                    /* those that went on as long as they were to */
};

struct fleet_device {
    size_t node;
    const char *id, *uuid, *pci, *name, *isa;
    double memory; /* bytes */
    int64_t rank;  /* of the process that measured it; -1: it has none */
    struct fleet_fact *facts;
    size_t fact_count;
    const char *file;     /* of its first record */
    const char *wrong;    /* the first difference; "": none */
    const char *injected; /* "", or the fault that was asked for */
    struct fleet_soak soak;
    int64_t other_rank; /* of another process that measured it at first too: -1: none */

    /* The outcome. */
    enum fleet_verdict verdict;
    enum fleet_cause cause;
    size_t entry;          /* the case that speaks most against it; SIZE_MAX: it has no time */
    size_t cases, against; /* cases that it was judged by, and of these that are slower */
};

/* One visit of a case on a device: a result of a record. */
struct fleet_visit {
    size_t device, group, order;
    const char *date;
    bool failed, wrong;
    struct series_estimate time;
    double clock, memory_clock; /* MHz, medians of the rounds; 0: unknown */
    double best_time;           /* nanoseconds, that memory allows; 0: unknown */
    double host_time;           /* of a launch; 0: unknown */
    bool throttled;
    bool in_turns; /* the other devices of the node did not work meanwhile */
};

/* A case on devices of one kind. */
struct fleet_group {
    uint64_t key;
    const char *device_name, *isa, *kernel, *what; /* WHAT: the case in words */
    double memory;
    size_t count;                                     /* devices with a time */
    double center;                                    /* the median of the means, a logarithm */
    double deviation;                                 /* a robust standard deviation of the devices */
    double spread;                                    /* the median of their rounds' */
    double variance;                                  /* of a round, pooled */
    double margin;                                    /* a difference that does not count; 0.02: 2 % */
    double clock, memory_clock, best_time, host_time; /* the medians; 0: unknown */
    bool judged;
    size_t coupled;  /* devices that were measured together with those of their node, and in turns with them */
    double coupling; /* the median of their ratios */
    size_t worst;    /* the entry with the largest */
};

/* All visits of a case on one device. */
struct fleet_entry {
    size_t device, group;
    const struct fleet_visit *first, *again; /* AGAIN: the last one; NULL: it was visited once */
    const struct fleet_visit *in_turns;      /* another one; NULL: there is none, or there are no others */
    double coupling;                         /* the first one's time divided by that of the one in turns; 0: unknown */
    double ratio, low, high;                 /* of the visit that counts, with its 95 % interval */
    double p, p_again;                       /* corrected; 1: it is not slower by more than the margin */
    bool suspicious;                         /* near enough to the margin that it is to be measured again */
    enum fleet_verdict verdict;
};

/* A fact that is not the same everywhere. */
struct fleet_difference {
    const char *name, *usual, *other;
    bool of_nodes;
    size_t usual_count, count;
    size_t *who; /* nodes or devices with OTHER */
};

/* An expected node or device of which there is nothing. */
struct fleet_missing {
    const char *node;
    size_t devices; /* that are missing; 0: all of the node */
};

struct fleet {
    struct pool pool;
    size_t records, skipped; /* documents that were read, and files that were none */
    struct fleet_node *nodes;
    struct fleet_device *devices;
    struct fleet_group *groups;
    struct fleet_visit *visits;
    struct fleet_entry *entries;
    struct fleet_difference *differences;
    struct fleet_missing *missing;
    size_t node_count, device_count, group_count, visit_count, entry_count, difference_count, missing_count;
    size_t node_room, device_room, group_room, visit_room, missing_room;
    struct table device_table, group_table, node_table;
    const char **argv; /* of the first record, for the command that measures again */
    size_t argc;
    size_t expected; /* devices; 0: as many as there are */
    double margin;   /* that was asked for; 0: none */
    size_t counts[FLEET_VERDICTS];
    bool short_of_memory;
};

/* Fewer devices of a kind are not compared. */
#define FLEET_MIN_PEERS 3

/* Read FILES and the records in folders. Whatever stands in a folder and is not a record is passed over with a warning;
 * a file that was named must be one. Returns an exit code; the error has been printed. */
enum exit_code fleet_read(struct fleet *fleet, char *const *files, size_t count);

/* Take the records in TEXT, one after the other, which messages call LABEL. Returns NULL, or the reason why one of them
 * is not a record. */
const char *fleet_take(struct fleet *fleet, const char *text, size_t length, const char *label);

/* Take DOCUMENT, the record of a soak of DEVICE. Returns NULL, or the reason why it is none. */
const char *fleet_take_soak(struct fleet *fleet, size_t device, struct span document);

/* All soaks together. */
struct fleet_soak fleet_soak_sum(const struct fleet *fleet);

/* Note what EXPECT, a number of devices or a file with the names of nodes, leaves missing. */
enum exit_code fleet_expect(struct fleet *fleet, const char *expect);

/* Come to a verdict on each device, with its cause. */
enum exit_code fleet_judge(struct fleet *fleet);

/* Find the facts that are not the same everywhere. */
enum exit_code fleet_compare_facts(struct fleet *fleet);

/* The exit status that DEVICE comes to. */
enum exit_code fleet_device_code(const struct fleet_device *device);

/* The exit status of what was found. */
enum exit_code fleet_code(const struct fleet *fleet);

void fleet_free(struct fleet *fleet);

/* For the files of this room: the text that VALUE is, kept; "" if it is none. */
const char *fleet_keep(struct fleet *fleet, struct span value);
/* Room for one more element of SIZE bytes in an array of *COUNT, which is set to zero; NULL
 * if memory is short. */
void *fleet_add(struct fleet *fleet, void *array, size_t *count, size_t *room, size_t size);
const char *fleet_text(struct fleet *fleet, const char *text);

#endif
