/* SPDX-License-Identifier: Apache-2.0 */
/* buffers.h - the device memory of one case: sets of its tensors. */
#ifndef BUFFERS_H
#define BUFFERS_H

#include "model/sizes.h"
#include "check/verify.h"

struct buffers {
    struct qb_device *device;
    bool borrowed;      /* the memory is another's */
    struct sizes bytes; /* of one set */
    struct copies copies[QB_ROLE_COUNT];
};

/* The bytes of device memory that COUNT sets take. */
uint64_t buffers_memory(const struct sizes *bytes, uint64_t count);

/* Allocate COUNT sets on DEVICE, and put GIVEN, host memory by role, into each; a tensor for which it is NULL is filled
 * with bytes that no kernel answers. QUEUE is idle and is so again. Free BUFFERS either way. */
enum qb_status buffers_make(struct qb_device *device, struct qb_queue *queue, const struct sizes *bytes, unsigned count,
                            const void *const given[QB_ROLE_COUNT], struct buffers *buffers);

/* The same in ROOM, device memory of buffers_room() bytes, which stays another's. */
enum qb_status buffers_place(struct qb_device *device, struct qb_queue *queue, const struct sizes *bytes,
                             unsigned count, const void *const given[QB_ROLE_COUNT], void *room,
                             struct buffers *buffers);
uint64_t buffers_room(const struct sizes *bytes, uint64_t count);

/* How many of their bytes the system has put into huge pages; false if it does not say. */
bool buffers_in_huge_pages(const struct buffers *buffers, uint64_t *huge);
void buffers_free(struct buffers *buffers);

/* COUNT sets of BUFFERS from set FIRST on, in their memory. */
struct buffers buffers_part(const struct buffers *buffers, uint64_t first, uint64_t count);

/* Fill the tensors that a kernel is to write for PROBLEM, in all sets, with bytes that no kernel answers. */
enum qb_status buffers_poison(const struct buffers *buffers, const struct qb_problem *problem);

/* Change a byte in the middle of the tensor of ROLE in set number SET, if that was asked for: see inject.h. Returns true
 * if it was. */
bool buffers_inject(const struct buffers *buffers, enum qb_role role, unsigned set);

/* The tensors of set number SET. */
struct qb_tensors buffers_set(const struct buffers *buffers, unsigned set);

#endif
