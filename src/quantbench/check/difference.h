/* SPDX-License-Identifier: Apache-2.0 */
/* difference.h - how what a kernel wrote differs from what the reference says, element by element. */
#ifndef DIFFERENCE_H
#define DIFFERENCE_H

#include "check/verify.h"

/* One comparison under way. Copies of a tensor come in stretches, from the first byte to the last. */
struct difference {
    const struct expectation *expectation;
    const void *values; /* host, what was quantized; NULL: unknown */
    struct mismatch *mismatch;
    /* Of the copy of the codes that is being compared. */
    uint8_t before; /* the byte in front of the stretch, as a code may begin there */
    uint64_t next;  /* codes before this one were compared */
};

/* Count and describe the differences of LENGTH bytes, GOT, from byte OFFSET of a copy of the tensor of ROLE on. */
void difference_find(struct difference *difference, enum qb_role role, const uint8_t *got, uint64_t offset,
                     uint64_t length);

#endif
