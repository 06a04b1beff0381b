/* SPDX-License-Identifier: Apache-2.0 */
/* calibrate.c - the timers of devices, by events around copies of all sizes. */
#include <config.h>

#include "measure/calibrate.h"
#include "base/stats.h"
#include "measure/disturbance.h"

#include <math.h>
#include <stdlib.h>

/* The copies are of up to half as many bytes. */
#define CALIBRATION_BYTES ((size_t)4 << 20)

/* Pairs of events that a calibration looks at with nothing in between, and as many with work in between. */
#define CALIBRATION_PAIRS 64

/* Time pairs of EVENTS on QUEUE, first with nothing in between, then with ever larger copies within MEMORY. */
static enum qb_status time_pairs(struct qb_queue *queue, struct qb_event *const events[2], void *memory,
                                 double times[2 * CALIBRATION_PAIRS])
{
    enum qb_status status = QB_OK;

    for (size_t i = 0; i < 2 * CALIBRATION_PAIRS && status == QB_OK; i++) {
        size_t copied =
            i < CALIBRATION_PAIRS ? 0 : (i - CALIBRATION_PAIRS + 1) * (CALIBRATION_BYTES / 2) / CALIBRATION_PAIRS;

        status = qb_event_record(queue, events[0]);
        if (status == QB_OK && copied > 0) {
            status = qb_queue_copy(queue, (char *)memory + CALIBRATION_BYTES / 2, memory, copied);
        }
        if (status == QB_OK) {
            status = qb_event_record(queue, events[1]);
        }
        if (status == QB_OK) {
            status = qb_event_elapsed(events[0], events[1], &times[i]);
        }
    }
    return status;
}

static enum qb_status calibrate_queue(struct qb_device *device, struct qb_queue *queue, void *memory,
                                      struct calibration *calibration)
{
    double times[2 * CALIBRATION_PAIRS];
    double tick = INFINITY, empty;
    struct qb_event *events[2];
    enum qb_status status = qb_event_create(device, &events[0]);

    if (status != QB_OK) {
        return status;
    }
    status = qb_event_create(device, &events[1]);
    if (status == QB_OK) {
        status = time_pairs(queue, events, memory, times);
        qb_event_destroy(events[1]);
    }
    qb_event_destroy(events[0]);
    if (status != QB_OK) {
        return status;
    }
    empty = stats_median(times, CALIBRATION_PAIRS);
    stats_sort(times, 2 * CALIBRATION_PAIRS);
    for (size_t i = 1; i < 2 * CALIBRATION_PAIRS; i++) {
        double step = times[i] - times[i - 1];

        /* Events count in single-precision milliseconds: what is less than a thousandth of a nanosecond is rounding. */
        if (step > 1e-3 && step < tick) {
            tick = step;
        }
    }
    *calibration = (struct calibration){isfinite(tick) ? tick : 0, empty};
    return QB_OK;
}

/* Leave what cannot be found out as it is: whoever needs it will fail with the reason. */
static void calibrate_device(struct device *device)
{
    struct qb_queue *queue;
    void *memory;

    if (qb_queue_create(device->handle, &queue) != QB_OK) {
        return;
    }
    if (qb_memory_alloc(device->handle, CALIBRATION_BYTES, &memory) == QB_OK) {
        if (qb_memory_fill(device->handle, memory, 0, CALIBRATION_BYTES) == QB_OK) {
            calibrate_queue(device->handle, queue, memory, &device->timer);
        }
        qb_memory_free(device->handle, memory);
    }
    qb_queue_destroy(queue);
    /* What was seen counts, not what is promised. */
    if (device->timer.tick == 0) {
        device->timer.tick = device->info.timer_tick;
    }
    message_verbose("%s: the timer's tick is %.4g ns, and %.4g ns pass between two events", device->info.id,
                    device->timer.tick, device->timer.empty);
}

void calibrate(struct machine *machine)
{
    size_t count;
    unsigned *cpus = machine_list_cpus(machine->host.handle, &count);

    if (cpus != NULL) {
        disturbance_watch(cpus, count);
        free(cpus);
    }
    for (size_t i = 0; i < machine->device_count; i++) {
        calibrate_device(&machine->devices[i]);
    }
}
