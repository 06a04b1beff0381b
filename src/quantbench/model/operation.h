/* SPDX-License-Identifier: Apache-2.0 */
/* operation.h - which members of a problem an operation reads. */
#ifndef OPERATION_H
#define OPERATION_H

#include "quantbench.h"

/* Members that some operations read. */
enum operation_member {
    MEMBER_SCALE_BOUND,
    MEMBER_INTERMEDIATE,
    MEMBER_VALUES, /* keep_values */
    MEMBER_GELU,
    MEMBER_GATE,
    MEMBER_GATE_LIMIT,
    MEMBER_ALPHA,
    MEMBER_UP_OFFSET,
    MEMBER_WEIGHTS,
    MEMBER_EPSILON,
    MEMBER_PAIRING,
    MEMBER_HEAD_SIZE,
    MEMBER_ROTARY,
    MEMBER_POSITIONS,
    MEMBER_PAGE_SIZE,
    MEMBER_PAGES,
    MEMBER_PAGE_LAYOUT,
    MEMBER_EXPERTS, /* this and the next two: where there are some */
    MEMBER_EXPERT_ROWS,
    MEMBER_EXPERT_TOKENS,
};

bool operation_reads(enum qb_operation operation, enum operation_member member);

/* True if the input of OPERATION has a gate and an up for each code. */
bool operation_is_gated(enum qb_operation operation);

/* Where the gate of code ELEMENT, counted without gaps, is in the dense input of PROBLEM, which is gated; and its up.
 */
uint64_t operation_gate(const struct qb_problem *problem, uint64_t element, uint64_t *up);

/* Find the other value of the pair of which value ELEMENT, counted without gaps, of PROBLEM is one, and the element of
 * the angles that is its cosine; it has its sine half of a row later. False if it is not in a pair. ANGLE is within
 * the row of its token's position. */
bool operation_pair(const struct qb_problem *problem, uint64_t element, uint64_t *partner, uint64_t *angle);

/* True if PROBLEM reads weights, positions, slots or a table of experts, which the seed gives also if the input is a
 * file's. */
bool operation_is_seeded(const struct qb_problem *problem);

/* True if OPERATION writes into a cache of keys and values, or reads one. */
bool operation_has_cache(enum qb_operation operation);

/* True if OPERATION makes values of codes, which are given as its scales are. */
bool operation_reads_codes(enum qb_operation operation);

/* The pages of PAGE_SIZE that a cache has if nobody says how many: for TOKENS, and some more that stay as they are. */
uint64_t operation_pages(uint64_t tokens, uint64_t page_size);

/* Give the members that PROBLEM's operation does not read their defaults, alpha its shorter form, and the
 * sizes of heads their own. So problems that
 * are the same are equal. */
void operation_settle(struct qb_problem *problem);

#endif
