/* SPDX-License-Identifier: Apache-2.0 */
/* soak.h - a soak: launches for hours, whose every byte is known, and the bytes that were wrong. What the cases are
 * says the record of the run. */
#ifndef SOAK_H
#define SOAK_H

#include "base/clock.h"
#include "model/settings.h"

#include <stdbool.h>

/* Differences that are kept; more are counted. */
#define SOAK_KEPT 64

/* How a round loads the device: it rests between launches, or before all of them. */
enum soak_load { SOAK_SUSTAINED, SOAK_BURST, SOAK_IDLE };
#define SOAK_LOADS 3
extern const char *const soak_load_words[];

/* A launch that gave other bytes than the reference. */
struct soak_difference {
    uint64_t round, seed;
    size_t index; /* of the case */
    enum input_dist dist;
    enum soak_load load;
    char date[CLOCK_DATE_SIZE];
    double start; /* seconds since the soak began */
    enum qb_role role;
    uint64_t set;   /* of the memory that launches write into in turn */
    uint64_t byte;  /* of the tensor: the first one */
    uint64_t count; /* bytes of the tensor that differ */
    uint64_t step;  /* bytes from each of them to the next; 0: it varies, or there is one */
    unsigned got, want;
    char first[384]; /* the same for people, as the element that it is; "": it was right when it was read again */
    struct qb_device_conditions conditions;
    uint64_t repeats, repeated; /* launches of the same afterward, and those of them that were wrong */
    bool is_injected;
};

/* What the reference's answers to rounds FIRST to LAST come to: the same on every host, or one of them errs. */
struct soak_reference {
    uint64_t first, last, digest;
    uint64_t left_out; /* of these rounds, since memory has no room for them: the digest lacks them */
};
#define SOAK_REFERENCES 64

struct soak {
    struct soak_length wanted;
    uint64_t first_round;
    double seconds, busy;             /* since the beginning, and of these with launches or comparisons under way */
    uint64_t rounds, launches, bytes; /* BYTES were compared */
    uint64_t left_out;                /* rounds of cases that memory has no room for */
    uint64_t loads[SOAK_LOADS];       /* rounds of each */
    uint64_t *case_launches;          /* for each case */
    uint64_t list;                    /* a digest of the list of cases */
    struct soak_reference references[SOAK_REFERENCES];
    size_t reference_count;
    struct soak_difference kept[SOAK_KEPT];
    size_t kept_count;
    uint64_t differences, repeatable; /* rounds with a difference, and of these those in which it came again */
    uint64_t wrong;                   /* launches, with those that repeat a difference */
    const char *command;              /* that measures the same, without the options of this soak */
    enum exit_code code;
    bool has_ended; /* nothing more will be launched: this is the last record of it */
};

/* The rule of three: an event that was not seen in some time comes less often than 3 times in that, with a confidence
 * of 95 %. Returns the bound per hour; INFINITY: there was no time. */
double soak_bound(double seconds);

/* SECONDS for people. Returns TEXT. */
#define SOAK_TIME_SIZE 32
const char *soak_time_text(double seconds, char text[SOAK_TIME_SIZE]);

/* How much of WANTED was done, for people. Returns TEXT, or NULL if that is all of it. */
#define SOAK_DONE_SIZE (2 * SOAK_TIME_SIZE)
const char *soak_done_text(const struct soak_length *wanted, double seconds, uint64_t rounds,
                           char text[SOAK_DONE_SIZE]);

/* The schema of its record. */
#define SOAK_SCHEMA         "quantbench-soak"
#define SOAK_SCHEMA_VERSION 1

#endif
