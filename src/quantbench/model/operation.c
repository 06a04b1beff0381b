/* SPDX-License-Identifier: Apache-2.0 */
/* operation.c - see operation.h. */
#include <config.h>

#include "model/operation.h"

#define OF(operation) (1u << (operation))
#define GATED         (OF(QB_OPERATION_SILU_MUL) | OF(QB_OPERATION_GELU_MUL))
#define NORMS         (OF(QB_OPERATION_RMS_NORM) | OF(QB_OPERATION_ADD_RMS_NORM))
#define CACHE         (OF(QB_OPERATION_KV_WRITE) | OF(QB_OPERATION_KV_READ))
#define ROPE          OF(QB_OPERATION_ROPE)
#define EXPERTS       (OF(QB_OPERATION_QUANTIZE) | GATED)
#define COLUMNS       (OF(QB_OPERATION_TRANSPOSE) | OF(QB_OPERATION_DUAL))

bool operation_reads(enum qb_operation operation, enum operation_member member)
{
    static const unsigned readers[] = {
        [MEMBER_SCALE_BOUND] = OF(QB_OPERATION_QUANTIZE) | GATED | NORMS | OF(QB_OPERATION_KV_WRITE) | ROPE | COLUMNS,
        [MEMBER_INTERMEDIATE] = GATED | NORMS | ROPE,
        [MEMBER_VALUES] = GATED | NORMS | ROPE,
        [MEMBER_GELU] = OF(QB_OPERATION_GELU_MUL),
        [MEMBER_GATE] = GATED,
        [MEMBER_GATE_LIMIT] = GATED,
        [MEMBER_ALPHA] = OF(QB_OPERATION_SILU_MUL),
        [MEMBER_UP_OFFSET] = GATED,
        [MEMBER_WEIGHTS] = NORMS | ROPE,
        [MEMBER_EPSILON] = NORMS,
        [MEMBER_PAIRING] = ROPE,
        [MEMBER_HEAD_SIZE] = CACHE | ROPE,
        [MEMBER_ROTARY] = ROPE,
        [MEMBER_POSITIONS] = ROPE,
        [MEMBER_PAGE_SIZE] = CACHE,
        [MEMBER_PAGES] = CACHE,
        [MEMBER_PAGE_LAYOUT] = CACHE,
        [MEMBER_EXPERTS] = EXPERTS,
        [MEMBER_EXPERT_ROWS] = EXPERTS,
        [MEMBER_EXPERT_TOKENS] = EXPERTS,
    };

    return (readers[member] & OF(operation)) != 0;
}

bool operation_is_seeded(const struct qb_problem *problem)
{
    return operation_reads(problem->operation, MEMBER_WEIGHTS) || operation_has_cache(problem->operation) ||
           problem->experts > 0;
}

bool operation_has_cache(enum qb_operation operation)
{
    return operation_reads(operation, MEMBER_PAGES);
}

bool operation_reads_codes(enum qb_operation operation)
{
    return operation == QB_OPERATION_DEQUANTIZE || operation == QB_OPERATION_KV_READ;
}

uint64_t operation_pages(uint64_t tokens, uint64_t page_size)
{
    const uint64_t pages = tokens / page_size + 1; /* the first may be begun in its middle */

    return pages + pages / 4 + 1;
}

void operation_settle(struct qb_problem *p)
{
    const enum qb_operation o = p->operation;

    p->amax_bound = operation_reads(o, MEMBER_SCALE_BOUND) ? p->amax_bound : 0;
    p->intermediate = operation_reads(o, MEMBER_INTERMEDIATE) ? p->intermediate : QB_INTERMEDIATE_INPUT;
    p->keep_values = operation_reads(o, MEMBER_VALUES) ? p->keep_values : 0;
    p->gelu = operation_reads(o, MEMBER_GELU) ? p->gelu : QB_GELU_TANH;
    p->gate = operation_reads(o, MEMBER_GATE) ? p->gate : QB_GATE_HALVES;
    p->gate_limit = operation_reads(o, MEMBER_GATE_LIMIT) ? p->gate_limit : 0;
    p->alpha = operation_reads(o, MEMBER_ALPHA) && p->alpha != 1 ? p->alpha : 0;
    p->up_offset = operation_reads(o, MEMBER_UP_OFFSET) ? p->up_offset : 0;
    p->weights = operation_reads(o, MEMBER_WEIGHTS) ? p->weights : QB_WEIGHTS_INPUT;
    p->epsilon = operation_reads(o, MEMBER_EPSILON) ? p->epsilon : 0;
    p->pairing = operation_reads(o, MEMBER_PAIRING) ? p->pairing : QB_PAIRING_HALVES;
    p->head_size = operation_reads(o, MEMBER_HEAD_SIZE) ? p->head_size : 0;
    p->rotary = operation_reads(o, MEMBER_ROTARY) ? (p->rotary > 0 ? p->rotary : p->head_size / 2 * 2) : 0;
    p->positions = operation_reads(o, MEMBER_POSITIONS) ? p->positions : 0;
    p->page_size = operation_reads(o, MEMBER_PAGE_SIZE) ? p->page_size : 0;
    p->pages = operation_reads(o, MEMBER_PAGES) ? p->pages : 0;
    p->page_layout = operation_reads(o, MEMBER_PAGE_LAYOUT) ? p->page_layout : QB_PAGE_LAYOUT_NHD;
    p->experts = operation_reads(o, MEMBER_EXPERTS) ? p->experts : 0;
    p->expert_rows = p->experts > 0 ? p->expert_rows : QB_EXPERT_ROWS_OFFSETS;
    p->expert_tokens = p->experts > 0 ? p->expert_tokens : 0;
}

bool operation_is_gated(enum qb_operation operation)
{
    return operation_reads(operation, MEMBER_GATE);
}

uint64_t operation_gate(const struct qb_problem *problem, uint64_t element, uint64_t *up)
{
    const bool halves = problem->gate == QB_GATE_HALVES;
    const uint64_t row = element / problem->hidden * 2 * problem->hidden, col = element % problem->hidden;
    const uint64_t gate = row + (halves ? col : 2 * col);

    *up = gate + (halves ? problem->hidden : 1);
    return gate;
}

bool operation_pair(const struct qb_problem *problem, uint64_t element, uint64_t *partner, uint64_t *angle)
{
    const uint64_t place = problem->head_size > 0 ? element % problem->head_size : 0, half = problem->rotary / 2;
    const bool halves = problem->pairing == QB_PAIRING_HALVES;

    if (place >= problem->rotary) {
        return false;
    }
    *angle = halves ? place % half : place / 2;
    *partner = element - place + (halves ? (place + half) % problem->rotary : place ^ 1);
    return true;
}
