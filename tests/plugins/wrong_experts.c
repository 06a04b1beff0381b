/* SPDX-License-Identifier: Apache-2.0 */
/* wrong_experts.c - kernels for the rows of experts that are right, and others that are wrong in one way each: the
 * reference does the rest. */
#include <quantbench.h>

#include <stddef.h>
#include <string.h>

enum fault {
    NOTHING,
    OTHER_ROW,    /* a row that no expert has gets a code */
    FIRST_SCALE,  /* all experts have the scale of the first */
    LAST_ROW,     /* the last row of each expert is left out */
    WIDE_AMAX,    /* rows of an expert that do not exist have a part in its scale */
    NO_PADDING,   /* the padding of a tile is not 0 */
    TIGHT_TILES,  /* scales of an expert begin where those before it end */
    OTHER_VALUES, /* values of rows that no expert has are kept */
    ONCE,         /* later calls do nothing */
};

/* The rows of expert E, and the first of them. */
static uint64_t rows_of(const struct qb_problem *p, const int64_t *table, uint64_t e, uint64_t *first)
{
    const bool masked = p->expert_rows == QB_EXPERT_ROWS_MASKED;

    *first = masked ? e * (p->tokens / p->experts) : (uint64_t)table[e];
    return (uint64_t)(masked ? table[e] : table[e + 1] - table[e]);
}

/* A row that no expert has, of those after the rows of one; PROBLEM's tokens if there is none. */
static uint64_t free_row(const struct qb_problem *p, const int64_t *table)
{
    for (uint64_t e = 0; e < p->experts; e++) {
        uint64_t first, next;
        const uint64_t rows = rows_of(p, table, e, &first);

        if (e + 1 < p->experts) {
            rows_of(p, table, e + 1, &next);
        } else {
            next = p->tokens;
        }
        if (first + rows < next) {
            return first + rows;
        }
    }
    return p->tokens;
}

/* Keep the codes of the last row of each expert in COPY, or put them back. */
static void last_rows(const struct qb_problem *p, const struct qb_tensors *t, uint8_t *copy, bool back)
{
    const int64_t *table = t->at[QB_ROLE_EXPERTS];

    for (uint64_t e = 0; e < p->experts; e++) {
        uint64_t first;
        const uint64_t rows = rows_of(p, table, e, &first);
        uint8_t *row = (uint8_t *)t->at[QB_ROLE_CODES] + (first + rows - 1) * p->hidden;

        if (rows > 0) {
            memcpy(back ? row : copy + e * p->hidden, back ? copy + e * p->hidden : row, p->hidden);
        }
    }
}

/* Scales with a fault of their own. */
static enum qb_status scales(const struct qb_problem *p, struct qb_tensors *t, enum fault fault, void *workspace)
{
    int64_t *table = workspace;
    const void *right = t->at[QB_ROLE_EXPERTS];
    enum qb_status status;

    for (uint64_t e = 0; e < p->experts && fault == WIDE_AMAX; e++) {
        table[e] = (int64_t)(p->tokens / p->experts);
    }
    t->at[QB_ROLE_EXPERTS] = fault == WIDE_AMAX ? table : t->at[QB_ROLE_EXPERTS];
    status = qb_reference_scales(p, t);
    t->at[QB_ROLE_EXPERTS] = (void *)(uintptr_t)right;
    for (uint64_t e = 1; e < p->experts && fault == FIRST_SCALE; e++) {
        ((float *)t->at[QB_ROLE_SCALES])[e] = ((const float *)t->at[QB_ROLE_SCALES])[0];
    }
    return status;
}

/* Put the scales of P in other places than they have. */
static enum qb_status misplace(const struct qb_problem *p, const struct qb_tensors *t, enum fault fault)
{
    struct qb_problem plain = *p;
    uint64_t first;
    const uint64_t rows = rows_of(p, t->at[QB_ROLE_EXPERTS], 0, &first);

    if (fault == NO_PADDING && rows > 0 && rows % 128 != 0) {
        ((uint8_t *)t->at[QB_ROLE_SCALES])[rows % 32 * 16 + rows % 128 / 32 * 4] = 0x7F;
    }
    plain.experts = plain.expert_tokens = 0;
    return fault == TIGHT_TILES ? qb_reference_scales(&plain, t) : QB_OK;
}

static const char *run(const struct qb_plugin_call *call, enum fault fault)
{
    static unsigned calls;
    const struct qb_problem *p = call->problem;
    struct qb_problem q = {.size = sizeof q};
    struct qb_tensors t = *call->tensors;
    void *values = t.at[QB_ROLE_VALUES] != NULL ? t.at[QB_ROLE_VALUES] : call->workspace;
    char *rest = (char *)call->workspace + p->tokens * p->hidden * sizeof(float);
    const uint64_t row = free_row(p, t.at[QB_ROLE_EXPERTS]);
    enum qb_status status = qb_problem_quantization(p, &q);

    if (fault == ONCE && calls++ > 1000) {
        return NULL;
    }
    if (p->operation != QB_OPERATION_QUANTIZE && status == QB_OK) {
        t.at[QB_ROLE_VALUES] = values;
        status = qb_reference_values(p, &t);
        t.at[QB_ROLE_INPUT] = values;
        if (fault == OTHER_VALUES && row < p->tokens) {
            memset((char *)values + row * p->hidden * sizeof(uint16_t), 0, sizeof(uint16_t));
        }
    }
    if (fault == LAST_ROW) {
        last_rows(p, &t, (uint8_t *)rest, false);
    }
    if (status == QB_OK && q.scaling != QB_SCALING_STATIC) {
        status = scales(&q, &t, fault, rest);
    }
    if (status == QB_OK && q.scaling != QB_SCALING_AMAX) {
        status = qb_reference_codes(&q, &t);
    }
    if (fault == LAST_ROW) {
        last_rows(p, &t, (uint8_t *)rest, true);
    }
    if (fault == OTHER_ROW && row < p->tokens) {
        ((uint8_t *)t.at[QB_ROLE_CODES])[row * p->output_stride] = 1;
    }
    if (status == QB_OK) {
        status = misplace(&q, &t, fault);
    }
    return status == QB_OK ? NULL : qb_error_detail();
}

/* Dense rows only, so that the kernels stay small. */
static bool supports(const struct qb_problem *problem)
{
    return problem->input_stride == problem->hidden * (problem->operation == QB_OPERATION_QUANTIZE ? 1 : 2);
}

static size_t workspace(const struct qb_problem *problem)
{
    return problem->tokens * problem->hidden * sizeof(float) + (problem->experts + 1) * (problem->hidden + 8);
}

#define FUNCTION(name, fault)                                                                                          \
    static const char *name(const struct qb_plugin_call *call)                                                         \
    {                                                                                                                  \
        return run(call, fault);                                                                                       \
    }
FUNCTION(right, NOTHING)
FUNCTION(other_row, OTHER_ROW)
FUNCTION(first_scale, FIRST_SCALE)
FUNCTION(last_row, LAST_ROW)
FUNCTION(wide_amax, WIDE_AMAX)
FUNCTION(no_padding, NO_PADDING)
FUNCTION(tight_tiles, TIGHT_TILES)
FUNCTION(other_values, OTHER_VALUES)
FUNCTION(once, ONCE)

/* One that does not know experts is asked about none. */
static const char *unknowing(const struct qb_plugin_call *call)
{
    return call->problem->experts > 0 ? "was asked about experts" : run(call, NOTHING);
}

#define KERNEL(name_, operation_, function, experts_)                                                                  \
    {                                                                                                                  \
        .name = name_, .description = "a test", .backend = "cpu", .supports = supports, .workspace = workspace,        \
        .run = function, .narrow = true, .operation = operation_, .experts = experts_                                  \
    }
static const struct qb_plugin_kernel kernels[] = {
    KERNEL("moe_right", QB_OPERATION_QUANTIZE, right, true),
    KERNEL("moe_right_silu", QB_OPERATION_SILU_MUL, right, true),
    KERNEL("moe_right_gelu", QB_OPERATION_GELU_MUL, right, true),
    KERNEL("moe_other_row", QB_OPERATION_QUANTIZE, other_row, true),
    KERNEL("moe_first_scale", QB_OPERATION_QUANTIZE, first_scale, true),
    KERNEL("moe_last_row", QB_OPERATION_QUANTIZE, last_row, true),
    KERNEL("moe_wide_amax", QB_OPERATION_QUANTIZE, wide_amax, true),
    KERNEL("moe_no_padding", QB_OPERATION_QUANTIZE, no_padding, true),
    KERNEL("moe_tight_tiles", QB_OPERATION_QUANTIZE, tight_tiles, true),
    KERNEL("moe_other_values", QB_OPERATION_SILU_MUL, other_values, true),
    KERNEL("moe_once", QB_OPERATION_QUANTIZE, once, true),
    KERNEL("moe_once_silu", QB_OPERATION_SILU_MUL, once, true),
    KERNEL("moe_unknowing", QB_OPERATION_QUANTIZE, unknowing, false),
};
QB_PLUGIN(kernels);
