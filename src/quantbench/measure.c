/* SPDX-License-Identifier: Apache-2.0 */
/* measure.c - times blocks of launches with the device's own events.
 *
 * A block is one graph where the backend has graphs, so that the host is out of the way. Blocks follow each other
 * without a pause, behind one that is not counted, and share the events between them: the device is never idle inside a
 * sample, and no sample holds the start of the first launch. */
#include <config.h>

#include "interrupt.h"
#include "measure.h"

#include <math.h>
#include <stdlib.h>

/* A block lasts at least this many ticks of the timer, so that reading it costs at most 0.1 %. */
#define TICKS_PER_BLOCK 1000

/* And at least this long, in nanoseconds, so that the gap between two blocks, up to a microsecond, does not count. */
#define MIN_BLOCK_TIME 500e3

/* Blocks in flight behind one that is not counted: enough to keep the device busy, few enough for any queue. */
#define BLOCKS_IN_FLIGHT 128

struct block {
    const struct measure_work *work;
    struct qb_queue *queue;
    struct qb_graph *graph; /* NULL: launch one by one */
    uint64_t launches;
};

static enum qb_status launch_all(const struct block *block)
{
    for (uint64_t i = 0; i < block->launches; i++) {
        enum qb_status status =
            block->work->launch(block->work->context, block->queue, (unsigned)(i % block->work->sets));

        if (status != QB_OK) {
            return status;
        }
    }
    return QB_OK;
}

static enum qb_status launch_block(const struct block *block)
{
    return block->graph != NULL ? qb_graph_launch(block->graph, block->queue) : launch_all(block);
}

/* Capture the block's launches as a graph, if the backend has graphs. */
static enum qb_status capture(struct block *block)
{
    enum qb_status status = qb_graph_begin(block->queue);
    enum qb_status end;

    block->graph = NULL;
    if (status == QB_ERROR_UNSUPPORTED) {
        return QB_OK;
    }
    if (status != QB_OK) {
        return status;
    }
    status = launch_all(block);
    /* A capture is ended also when a launch has failed, or the queue could not be used again. */
    end = qb_graph_end(block->queue, &block->graph);
    if (status != QB_OK && end == QB_OK) {
        qb_graph_destroy(block->graph);
        block->graph = NULL;
    }
    return status != QB_OK ? status : end;
}

/* The time of each of *COUNT blocks, behind one that is not counted. EVENTS has room for *COUNT + 1. An interrupt
 * lowers *COUNT to the blocks that were launched. */
static enum qb_status time_blocks(const struct block *block, struct qb_event **events, uint64_t *count, double *times)
{
    uint64_t launched = 0;
    enum qb_status status = launch_block(block);

    if (status == QB_OK) {
        status = qb_event_record(block->queue, events[0]);
    }
    while (launched < *count && status == QB_OK && !interrupt_requested()) {
        status = launch_block(block);
        if (status == QB_OK) {
            status = qb_event_record(block->queue, events[++launched]);
        }
    }
    if (status == QB_OK) {
        status = qb_queue_synchronize(block->queue);
    }
    for (uint64_t i = 0; i < launched && status == QB_OK; i++) {
        status = qb_event_elapsed(events[i], events[i + 1], &times[i]);
    }
    *count = launched;
    return status;
}

/* How many launches make a block: whole rotations over the buffer sets, for long enough. */
static enum qb_status choose_launches(struct block *block, struct qb_event **events, double timer_tick)
{
    double shortest = fmax(TICKS_PER_BLOCK * timer_tick, MIN_BLOCK_TIME);
    double rotation_time = 0, rotations;
    uint64_t count = 1;
    enum qb_status status;

    block->launches = block->work->sets;
    block->graph = NULL;
    status = time_blocks(block, events, &count, &rotation_time);
    if (status != QB_OK) {
        return status;
    }
    /* One by one from the host a launch may look longer than it is in a graph: allow for a factor of two. A rotation of
     * no measurable time is taken for one tick. */
    rotations = ceil(2 * shortest / fmax(rotation_time, timer_tick));
    block->launches *= (uint64_t)rotations;
    return QB_OK;
}

static void destroy_events(struct qb_event **events, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        qb_event_destroy(events[i]);
    }
}

static enum qb_status create_events(struct qb_device *device, struct qb_event **events, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        enum qb_status status = qb_event_create(device, &events[i]);

        if (status != QB_OK) {
            destroy_events(events, i);
            return status;
        }
    }
    return QB_OK;
}

/* Warm up, then fill SAMPLES. */
static enum qb_status take_samples(const struct block *block, struct qb_event **events,
                                   const struct measure_settings *settings, struct measure_result *result)
{
    uint64_t wanted = settings->warmup_samples + settings->samples;
    uint64_t done = 0;

    while (done < wanted && !interrupt_requested()) {
        double times[BLOCKS_IN_FLIGHT];
        uint64_t count = wanted - done < BLOCKS_IN_FLIGHT ? wanted - done : BLOCKS_IN_FLIGHT;
        enum qb_status status = time_blocks(block, events, &count, times);

        if (status != QB_OK) {
            return status;
        }
        for (uint64_t i = 0; i < count; i++, done++) {
            if (done >= settings->warmup_samples) {
                result->samples[result->count++] = times[i] / (double)block->launches;
            }
        }
    }
    return QB_OK;
}

enum qb_status measure_run(struct qb_queue *queue, struct qb_device *device, const struct measure_work *work,
                           const struct measure_settings *settings, struct measure_result *result)
{
    struct qb_event *events[BLOCKS_IN_FLIGHT + 1];
    struct block block = {.work = work, .queue = queue};
    enum qb_status status;

    *result = (struct measure_result){.samples = calloc(settings->samples, sizeof *result->samples)};
    if (result->samples == NULL) {
        return QB_ERROR_MEMORY;
    }
    status = create_events(device, events, BLOCKS_IN_FLIGHT + 1);
    if (status != QB_OK) {
        goto free_samples;
    }
    status = choose_launches(&block, events, settings->timer_tick);
    /* After an interrupt there may be no time to choose by, and nothing more to measure. */
    if (status == QB_OK && !interrupt_requested()) {
        status = capture(&block);
    }
    if (status == QB_OK && !interrupt_requested()) {
        status = take_samples(&block, events, settings, result);
    }
    result->launches_per_sample = block.launches;
    result->graph = block.graph != NULL;
    qb_queue_synchronize(queue);
    qb_graph_destroy(block.graph);
    destroy_events(events, BLOCKS_IN_FLIGHT + 1);
    if (status == QB_OK) {
        return QB_OK;
    }
free_samples:
    free(result->samples);
    *result = (struct measure_result){0};
    return status;
}

enum qb_status measure_profile(struct qb_queue *queue, struct qb_device *device, const struct measure_work *work,
                               const struct measure_settings *settings, const char *name, double *nanoseconds,
                               bool *profiled)
{
    struct block warmup = {.work = work, .queue = queue, .launches = settings->warmup_samples};
    struct block one = {.work = work, .queue = queue, .launches = 1};
    struct qb_event *events[2];
    enum qb_status status = create_events(device, events, 2);

    if (status != QB_OK) {
        return status;
    }
    status = launch_all(&warmup);
    if (status == QB_OK) {
        status = qb_queue_synchronize(queue);
    }
    if (status == QB_OK) {
        *profiled = qb_profiler_start(device) == QB_OK;
        qb_range_push(device, name);
        status = qb_event_record(queue, events[0]);
        if (status == QB_OK) {
            status = launch_all(&one);
        }
        if (status == QB_OK) {
            status = qb_event_record(queue, events[1]);
        }
        if (status == QB_OK) {
            status = qb_event_elapsed(events[0], events[1], nanoseconds);
        }
        qb_range_pop(device);
        if (*profiled) {
            qb_profiler_stop(device);
        }
    }
    destroy_events(events, 2);
    return status;
}
