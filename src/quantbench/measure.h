/* SPDX-License-Identifier: Apache-2.0 */
/* measure.h - work to samples of its time. */
#ifndef MEASURE_H
#define MEASURE_H

#include "quantbench.h"

/* Work that can be launched again and again. Launch i works on buffer set i % SETS, so that no launch finds its data in
 * the last-level cache when the sets together are several times as large. */
struct measure_work {
    enum qb_status (*launch)(void *context, struct qb_queue *queue, unsigned set);
    void *context;
    unsigned sets;
};

/* How often; a sample is the mean time of a block of launches. */
struct measure_settings {
    uint64_t warmup_samples;
    uint64_t samples;
    double timer_tick; /* nanoseconds */
};

struct measure_result {
    double *samples; /* nanoseconds per launch, in the order in which they were taken */
    uint64_t count;  /* fewer than asked for only after an interrupt */
    uint64_t launches_per_sample;
    bool graph; /* a block is one graph; else the host launched one by one */
};

/* Free result->samples after QB_OK. */
enum qb_status measure_run(struct qb_queue *queue, struct qb_device *device, const struct measure_work *work,
                           const struct measure_settings *settings, struct measure_result *result);

/* The time of one launch that a profiler is to see, in nanoseconds, inside a range called NAME. PROFILED is false if
 * the device has no profiler to start. */
enum qb_status measure_profile(struct qb_queue *queue, struct qb_device *device, const struct measure_work *work,
                               const struct measure_settings *settings, const char *name, double *nanoseconds,
                               bool *profiled);

#endif
