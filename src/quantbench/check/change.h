/* SPDX-License-Identifier: Apache-2.0 */
/* change.h - changes of what launches read that change one of the values that are quantized, and no other but that of
 * its pair, where values are rotated in pairs. */
#ifndef CHANGE_H
#define CHANGE_H

#include "cases/inputs.h"

/* One element of a tensor of dense rows, as bits: what it is in the case's data, and after the change. */
struct change_element {
    enum qb_role role;
    uint64_t index;
    uint32_t was, is;
};

struct change {
    uint32_t value;   /* the bits of the new value */
    bool has_partner; /* another value changes too */
    uint64_t partner; /* which it is, counted without gaps */
    uint32_t partner_value;
    size_t read_count, written_count;
    struct change_element read[2];    /* by launches */
    struct change_element written[2]; /* by launches, besides codes and scales */
};

/* The bits of element INDEX of the input format, or of its values. */
uint32_t change_bits(enum qb_format format, const void *tensor, uint64_t index);

/* Find a change that gives value ELEMENT of PROBLEM, of DATA, the other sign; or else, as near as can be, the bits
 * WANTED. False if its operation has none, or if the value would not be finite. */
bool change_sign(const struct qb_problem *problem, const struct case_data *data, uint64_t element,
                 struct change *change);
bool change_to(const struct qb_problem *problem, const struct case_data *data, uint64_t element, uint32_t wanted,
               struct change *change);

#endif
