/* SPDX-License-Identifier: Apache-2.0 */
/* measure.h - work to samples of its time. */
#ifndef MEASURE_H
#define MEASURE_H

#include "model/finding.h"

/* Which launches a question is for. */
enum measure_question {
    MEASURE_USUAL, /* of a sample or of several in a row, or one launch into each set that is not sampled */
    MEASURE_LAST,  /* of the last samples: what they write is kept */
};
/* Questions for one launch into each set, at most. */
#define MEASURE_SINGLES 4

/* Work that can be launched again and again. Launch i works on buffer set i % SETS, so that no launch finds its data in
 * the last-level cache when the sets together are several times as large, or when REACH sees to it. */
struct measure_work {
    enum qb_status (*launch)(void *context, struct qb_queue *queue, unsigned set);
    void *context;
    unsigned sets;
    /* Called while launches that are sampled are under way, some milliseconds of them if they are not isolated; NULL:
     * nothing is. */
    void (*watch)(void *context);
    /* Called before launches, and after them, while no queue works: to ask for another answer, and to look at it. The
     * launches go into all sets, or into those from SET on: a window, or that one alone, LAUNCH_ISOLATED and
     * LAUNCH_PROFILE. NULL: nothing is asked. */
    enum qb_status (*pose)(void *context, enum measure_question kind, unsigned set);
    enum qb_status (*judge)(void *context);
    /* Called where a block is a window, before its LAUNCHES launches into the sets from FIRST on, while nothing is
     * timed. NULL: nobody needs to know. */
    enum qb_status (*reach)(void *context, uint64_t first, uint64_t launches);
};

/* A window is a sample of fewer launches than there are sets. On the CPU samples are windows where that is long enough:
 * each goes into the sets that follow those of the last, so that the rotation goes on from sample to sample. */

struct measure_settings {
    enum launch_mode mode; /* not LAUNCH_PROFILE */
    double timer_tick;     /* nanoseconds */
    double precision;      /* share of a sample's time that half a tick may be */
    double pause;          /* nanoseconds for which the device is left alone before each sample; 0: not at all */
    uint64_t launches;     /* of a sample on each queue: whole rotations through the sets, or a window; 0: as many as it
                              takes */
    bool only_windows;     /* where samples can be windows, they have as many launches as there are sets at most */
    uint64_t first;        /* set of the first window */
    bool in_peace;         /* the device is the CPU: a sample that the system disturbed is taken again */
    double deadline;       /* of clock_seconds(): after it no sample is begun but the first; 0: there is none */
    double sample_time;    /* nanoseconds that a sample took before, so that no batch goes far beyond; 0: unknown */
};

struct measure_block {
    struct qb_queue *queue;
    struct qb_graph *graph;    /* NULL: launch one by one */
    struct qb_graph *rotation; /* one launch into each set; NULL: the same */
    unsigned first_set;        /* the sets of this queue follow in steps of the number of queues */
};

/* Something that is being measured. */
struct measure {
    struct qb_device *device;
    const struct measure_work *work;
    struct measure_settings settings; /* launches are known */
    unsigned queue_count;
    struct measure_block *blocks; /* one for each queue */
    struct qb_event **events;     /* room for a batch of samples on each queue */
    uint64_t batch;
    uint64_t first;         /* set of the next window; 0 where samples are whole rotations */
    uint64_t single_before; /* the sample, from 1 on, that single launches come before; 0: none are asked */
    /* Of the last measure_take(), in peace. */
    uint64_t retaken;      /* samples that were taken again */
    uint64_t most_retaken; /* as many as there were to take */
    uint64_t peaceful;     /* samples that nothing disturbed */
    uint64_t disturbed;    /* samples that were kept in spite of a disturbance */
};

/* The windows that the launches of measure_take() go into at most, for COUNT samples in peace. */
uint64_t measure_most_windows(uint64_t count);

/* Get ready to take samples of WORK on QUEUES, which are of DEVICE and take every launch on sets of their own: there
 * are at least as many sets as queues, and a whole number of times as many. Leave WORK, its context and the queues
 * alone until measure_close(), which is to be called after QB_OK. */
enum qb_status measure_open(struct qb_device *device, struct qb_queue *const *queues, unsigned queue_count,
                            const struct measure_work *work, const struct measure_settings *settings,
                            struct measure *measure);
void measure_close(struct measure *measure);

/* Choose the launches of a sample of WORK on QUEUE as measure_open() would, for a work that will be asked questions,
 * which have to know. SETTINGS gets them, and where the next window begins. */
enum qb_status measure_choose(struct qb_device *device, struct qb_queue *queue, const struct measure_work *work,
                              struct measure_settings *settings);

/* Take COUNT samples, in nanoseconds per launch of all queues together. *TAKEN is less than COUNT only after an
 * interrupt, or after the deadline, by which there is at least one. *HOST_TIME is how long the host took for a launch,
 * in nanoseconds. */
enum qb_status measure_take(struct measure *measure, uint64_t count, double *samples, uint64_t *taken,
                            double *host_time);

/* The three in one, on a single queue. SETTINGS gets the number of launches that make a sample,
 * and where the next window begins. */
enum qb_status measure_series(struct qb_device *device, struct qb_queue *queue, const struct measure_work *work,
                              struct measure_settings *settings, uint64_t count, double *samples, uint64_t *taken);

/* The time of one launch that a profiler is to see, in nanoseconds, inside a range called NAME, after WARMUP others.
 * PROFILED is false if the device has no profiler to start. */
enum qb_status measure_profile(struct qb_device *device, struct qb_queue *queue, const struct measure_work *work,
                               uint64_t warmup, const char *name, double *nanoseconds, bool *profiled);

#endif
