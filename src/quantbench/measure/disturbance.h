/* SPDX-License-Identifier: Apache-2.0 */
/* disturbance.h - what the operating system did to this process while samples were taken. */
#ifndef DISTURBANCE_H
#define DISTURBANCE_H

#include "model/finding.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Counters that only rise. */
struct disturbance_snapshot {
    uint64_t preemptions; /* involuntary context switches of all threads */
    uint64_t page_faults; /* minor and major */
    uint64_t migrations;  /* of all threads, from one CPU to another; DISTURBANCE_UNKNOWN */
    double time;          /* nanoseconds, monotonic */
    double own;           /* nanoseconds of CPU time of this process */
    /* Of the CPUs that are watched, nanoseconds, NaN if unknown; the kernel counts them in ticks of some 10 ms. */
    double busy;   /* spent by anybody */
    double stolen; /* taken by the hypervisor */
};

/* Watch these COUNT CPUs, in rising order, or, as at first, all of the machine if COUNT is 0. False if memory is short.
 */
bool disturbance_watch(const unsigned *cpus, size_t count);

/* Read the counters. It takes some microseconds, and some more for each thread and each CPU: between samples only. */
void disturbance_snapshot(struct disturbance_snapshot *snapshot);

/* The same with another folder than /proc for what is not getrusage()'s. */
void disturbance_snapshot_from(const char *proc, struct disturbance_snapshot *snapshot);

/* What others do on other CPUs is told, too. */
struct disturbance disturbance_between(const struct disturbance_snapshot *before,
                                       const struct disturbance_snapshot *after);

/* The two counters that cost no more than a system call: to look at between samples, with nothing between this and the
 * sample that could raise them. */
struct disturbance_glance {
    uint64_t preemptions;
    uint64_t page_faults;
};
void disturbance_glance(struct disturbance_glance *glance);

/* True if what happened between the two may have cost a sample of NANOSECONDS nanoseconds more than a percent: a
 * preemption is taken for a millisecond, a page fault for a microsecond. */
bool disturbance_is_material(const struct disturbance_glance *before, const struct disturbance_glance *after,
                             double nanoseconds);

#endif
