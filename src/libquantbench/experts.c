/* SPDX-License-Identifier: Apache-2.0 */
/* experts.c - the check of problems with experts and of their tables, and what of a problem is an expert's. */
#include <config.h>

#include "expert.h"
#include "operation.h"

#include <inttypes.h>

enum qb_status qb__experts_validate(const struct qb_problem *p)
{
    const bool masked = p->expert_rows == QB_EXPERT_ROWS_MASKED;

    if (qb_expert_rows_name(p->expert_rows) == NULL) {
        return qb__fail(QB_ERROR_INVALID, "expert rows %d are not in enum qb_expert_rows", (int)p->expert_rows);
    }
    if (p->experts == 0) {
        return masked || p->expert_tokens > 0 ? qb__fail(QB_ERROR_INVALID, "rows of experts require experts") : QB_OK;
    }
    if (p->operation != QB_OPERATION_QUANTIZE && !qb__is_gated(p->operation)) {
        return qb__fail(QB_ERROR_INVALID, "experts require quantize, silu-mul or gelu-mul");
    }
    if (p->granularity != QB_GRANULARITY_TENSOR && p->granularity != QB_GRANULARITY_TOKEN &&
        p->granularity != QB_GRANULARITY_GROUP) {
        return qb__fail(QB_ERROR_INVALID, "experts require granularity tensor, token or group");
    }
    if (p->zero_points != QB_ZERO_POINTS_NONE) {
        return qb__fail(QB_ERROR_INVALID, "experts conflict with zero points");
    }
    if (p->experts > PTRDIFF_MAX / 1024 || p->tokens > PTRDIFF_MAX / 1024) { /* the rows of tiles fit */
        return qb__fail(QB_ERROR_INVALID, "%" PRIu64 " experts of %" PRIu64 " tokens are too many", p->experts,
                        p->tokens);
    }
    if (masked && p->tokens % p->experts != 0) {
        return qb__fail(QB_ERROR_INVALID, "%" PRIu64 " tokens; masked rows require a multiple of %" PRIu64 " experts",
                        p->tokens, p->experts);
    }
    if (p->expert_tokens > p->tokens) {
        return qb__fail(QB_ERROR_INVALID, "%" PRIu64 " expected tokens of experts; there are %" PRIu64,
                        p->expert_tokens, p->tokens);
    }
    return QB_OK;
}

enum qb_status qb__experts_check(const struct qb_problem *p, const int64_t *table)
{
    const bool masked = p->expert_rows == QB_EXPERT_ROWS_MASKED;
    const uint64_t room = qb__expert_room(p), words = p->experts > 0 ? p->experts + !masked : 0;

    for (uint64_t i = 0; i < words; i++) {
        if (table[i] < 0 || (uint64_t)table[i] > room) {
            return qb__fail(QB_ERROR_INVALID, "%s %" PRId64 " of expert %" PRIu64 "; expected 0 to %" PRIu64,
                            masked ? "count" : "offset", table[i], i, room);
        }
        if (!masked && i > 0 && table[i] < table[i - 1]) {
            return qb__fail(QB_ERROR_INVALID, "offset %" PRId64 " of expert %" PRIu64 " is less than the one before it",
                            table[i], i);
        }
    }
    return QB_OK;
}

/* Rows that are expected to exist. */
static uint64_t expected_rows(const struct qb_problem *p)
{
    return p->expert_tokens > 0 ? p->expert_tokens : p->tokens;
}

uint64_t qb__experts_traffic(const struct qb_problem *p, enum qb_role role, uint64_t rows, uint64_t traffic)
{
    const struct qb__tiling t = qb__tiling_of(p);
    const uint64_t height = qb__layout_height(p->scale_layout), least = height > 0 ? height : 1;
    const bool fours = height > 0 || p->scale_layout == QB_SCALE_LAYOUT_PACKED;
    const uint64_t across = fours ? qb__ceil_div(t.scale_cols, 4) * 4 : t.scale_cols;

    if (role == QB_ROLE_SCALES && p->granularity != QB_GRANULARITY_TENSOR) {
        return qb__ceil_div(expected_rows(p), least) * least * across * qb__element_size(p->scale_format);
    }
    if ((role == QB_ROLE_INPUT || role == QB_ROLE_CODES || role == QB_ROLE_VALUES) && rows > 0) {
        return traffic / rows * expected_rows(p);
    }
    return traffic;
}

enum qb_status qb_problem_expert(const struct qb_problem *problem, const int64_t *table, uint64_t expert,
                                 struct qb_problem *part, struct qb_tensors *tensors)
{
    struct qb_problem p;
    struct qb_tensors t;
    struct qb__layout l;
    struct qb__expert x = {0};
    enum qb_status status = qb__problem_load(problem, &p);

    if (status == QB_OK && expert >= p.experts) {
        status = qb__fail(QB_ERROR_INVALID, "expert %" PRIu64 " of %" PRIu64, expert, p.experts);
    }
    if (status == QB_OK && table == NULL) {
        status = qb__fail(QB_ERROR_INVALID, "%s: an argument is NULL", __func__);
    }
    if (status == QB_OK) {
        status = qb__experts_check(&p, table);
    }
    if (status == QB_OK) {
        status = qb__tensors_take(tensors, &t);
    }
    if (status != QB_OK) {
        return status;
    }
    l = qb__layout_of(&p);
    for (; x.index < expert; x.index++) {
        qb__expert_take(&p, &l, table, &x);
    }
    qb__expert_take(&p, &l, table, &x);
    t = qb__expert_tensors(&p, &x, &t);
    p = qb__expert_problem(&p, &l, x.rows);
    status = qb__give(part, &p, sizeof p);
    return status == QB_OK ? qb__give(tensors, &t, sizeof t) : status;
}
