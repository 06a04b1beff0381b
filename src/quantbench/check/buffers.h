/* SPDX-License-Identifier: Apache-2.0 */
/* buffers.h - the device memory of one case: sets of its three tensors. */
#ifndef BUFFERS_H
#define BUFFERS_H

#include "model/sizes.h"
#include "check/verify.h"

struct buffers {
    struct qb_device *device;
    struct sizes bytes; /* of one set */
    struct copies inputs;
    struct copies codes;
    struct copies scales;
};

/* The bytes of device memory that COUNT sets take. */
uint64_t buffers_memory(const struct sizes *bytes, uint64_t count);

/* Allocate COUNT sets on DEVICE, fill them, and put INPUT, and SCALES unless it is NULL, into each (host memory). QUEUE
 * is idle and is so again. Free BUFFERS either way. */
enum qb_status buffers_make(struct qb_device *device, struct qb_queue *queue, const struct sizes *bytes, unsigned count,
                            const void *input, const float *scales, struct buffers *buffers);
/* How many of their bytes the system has put into huge pages; false if it does not say. */
bool buffers_in_huge_pages(const struct buffers *buffers, uint64_t *huge);
void buffers_free(struct buffers *buffers);

/* Fill the codes of all sets, and the scales too if a kernel is to write them, with what is no kernel's answer. */
enum qb_status buffers_poison(const struct buffers *buffers, bool scales);

/* The tensors of set number SET. */
struct qb_tensors buffers_set(const struct buffers *buffers, unsigned set);

#endif
