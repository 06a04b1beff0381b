/* SPDX-License-Identifier: Apache-2.0 */
/* launch_state.c - the state of a process that launches into several streams. */
#include <config.h>

#include "measure/launch_state.h"

/* Streams, and launches into each: on an H200 eight into each of two are enough. */
#define STREAMS  2
#define LAUNCHES 64

/* Launch nothing, one by one, into QUEUE. */
static enum qb_status launch_some(struct qb_device *device, struct qb_queue *queue)
{
    const struct qb_kernel *kernel;
    struct qb_problem problem;
    enum qb_status status;

    qb_problem_init(&problem);
    problem.tokens = 1;
    problem.hidden = 1024;
    status = qb_kernel_match(device, &problem, NULL, &kernel);
    for (int i = 0; i < LAUNCHES && status == QB_OK; i++) {
        status = qb_kernel_floor(kernel, queue, &problem);
    }
    return status == QB_OK ? qb_queue_synchronize(queue) : status;
}

/* All streams are there at the same time: one that is free is used again. */
static enum qb_status use_streams(struct qb_device *device)
{
    struct qb_queue *queues[STREAMS] = {NULL};
    enum qb_status status = QB_OK;

    for (int i = 0; i < STREAMS && status == QB_OK; i++) {
        status = qb_queue_create(device, &queues[i]);
        if (status == QB_OK) {
            status = launch_some(device, queues[i]);
        }
    }
    for (int i = 0; i < STREAMS; i++) {
        qb_queue_destroy(queues[i]);
    }
    return status;
}

void launch_state_enter(const struct machine *machine, enum process_state state)
{
    for (size_t i = 0; i < machine->device_count && state == STATE_SEVERAL_STREAMS; i++) {
        const struct device *device = &machine->devices[i];

        if (!device_is_cpu(device) && use_streams(device->handle) != QB_OK) {
            message_warning("--process-state: %s: %s", device->info.id, qb_error_detail());
        }
    }
}
