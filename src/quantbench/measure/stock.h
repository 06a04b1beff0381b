/* SPDX-License-Identifier: Apache-2.0 */
/* stock.h - memory that a run on the CPU takes once, since fresh pages take longer than most cases: sets of tensors
 * that stay filled from visit to visit, and room for ceilings.
 *
 * All of it passes through one last-level cache. So the bytes that launches touch are counted, those of all cases and
 * ceilings together. A set is cold again when as many bytes have passed since its last launch as its rotation has.
 * Where a case holds fewer sets than that, and others did not pass as much, the room is read and written until it is
 * so.
 *
 * Where sets lie is a part of what is measured. It differs between the samples of a case, as each goes into other
 * sets. */
#ifndef STOCK_H
#define STOCK_H

#include "cases/inputs.h"
#include "check/buffers.h"

/* The sets of a case, and of all others that have the same tensors. */
struct stock_sets {
    struct buffers buffers;
    const struct plan_case *plan_case; /* one of them */
    void *const *given;                /* what its launches read besides data, by role */
    void *memory;
    uint64_t bytes; /* of the memory */
    unsigned count;
    uint64_t lines;   /* bytes of the cache that a set takes */
    uint64_t next;    /* set of the next launch */
    uint64_t *passed; /* for each set, the stock's traffic when it was launched into */
    uint64_t used;    /* the last use of these sets, among all */
};

struct stock {
    uint64_t budget;  /* bytes that the sets may take; those of one case may take more */
    uint64_t held;    /* bytes of sets and room */
    uint64_t uses;    /* so far */
    uint64_t traffic; /* bytes so far */
    size_t count;
    struct stock_sets **sets;
    struct {
        struct qb_device *device;
        char *memory;
        uint64_t bytes;
        uint64_t filled;   /* of them */
        uint64_t layout;   /* the size of the parts that were filled one by one; 0: small ones */
        uint64_t position; /* where the rotation through it goes on */
    } room;
};

/* What the sets of a case hold. */
struct stock_contents {
    const struct plan_case *plan_case;
    void *const *given; /* by role, what launches read besides data */
    const struct case_data *data;
    const struct sizes *bytes;
    unsigned count;
    uint64_t lines; /* bytes of the cache that a set takes */
};

/* Set SETS to those that hold CONTENTS, which stay as they are until stock_free(). If they are new they are filled, and
 * nothing was launched into them: *FRESH. QUEUE is idle and is so again. */
enum qb_status stock_take(struct stock *stock, const struct stock_contents *contents, struct qb_queue *queue,
                          struct stock_sets **sets, bool *fresh);

/* Count COUNT launches, one into each of SETS from FIRST on, up to a rotation. */
void stock_note(struct stock *stock, struct stock_sets *sets, uint64_t first, uint64_t count);

/* The same for launches that come next and are to find sets cold, of which ROTATION would make a rotation: let other
 * bytes pass before them if need be. QUEUE is idle and is so again. */
enum qb_status stock_reach(struct stock *stock, struct stock_sets *sets, struct qb_queue *queue, uint64_t rotation,
                           uint64_t first, uint64_t count);

/* Let there be room of BYTES bytes on DEVICE for ceilings whose sets have STRIDE bytes. */
enum qb_status stock_make_room(struct stock *stock, struct qb_device *device, uint64_t bytes, uint64_t stride);

/* Forget SETS, whose contents are in doubt. */
void stock_drop(struct stock *stock, const struct stock_sets *sets);

/* Free all memory; STOCK can be used on. */
void stock_clear(struct stock *stock);

void stock_free(struct stock *stock);

#endif
