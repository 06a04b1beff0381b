/* SPDX-License-Identifier: Apache-2.0 */
/* operation_rope.c - ROPE: pairs of elements of each head, rotated by the angles of the token's position. */
#include <config.h>

#include "composition.h"
#include "environment.h"
#include "problem.h"

#include <inttypes.h>

/* ---- Problems -----------------------------------------------------------------------------------------------------
 */

static enum qb_status validate(const struct qb_problem *p)
{
    const uint64_t head = qb__head_size(p), rotary = qb__rotary(p);
    enum qb_status status = qb__composition_validate(p);

    if (status != QB_OK) {
        return status;
    }
    if (qb_pairing_name(p->pairing) == NULL) {
        return qb__fail(QB_ERROR_INVALID, "pairing %d is not in enum qb_pairing", (int)p->pairing);
    }
    if (qb_weights_name(p->weights) == NULL) {
        return qb__fail(QB_ERROR_INVALID, "weights %d is not in enum qb_weights", (int)p->weights);
    }
    if (p->hidden % head != 0) {
        return qb__fail(QB_ERROR_INVALID, "hidden size %" PRIu64 " is not a multiple of head size %" PRIu64, p->hidden,
                        head);
    }
    if (rotary % 2 != 0 || rotary > head) {
        return qb__fail(QB_ERROR_INVALID,
                        "%" PRIu64 " rotary elements; expected an even number up to head size %" PRIu64, rotary, head);
    }
    if (p->positions > INT64_MAX) {
        return qb__fail(QB_ERROR_INVALID, "%" PRIu64 " positions; expected less than 2^63", p->positions);
    }
    return QB_OK;
}

static void tensor(const struct qb_problem *p, enum qb_role role, struct qb_tensor_info *t)
{
    if (role == QB_ROLE_ANGLES) {
        t->present = t->read = true;
        t->format = qb__weight_format(p);
        t->rows = qb__positions(p);
        t->cols = t->stride = qb__rotary(p);
        t->traffic = (p->tokens < t->rows ? p->tokens : t->rows) * t->cols * qb__element_size(t->format);
    } else if (role == QB_ROLE_POSITIONS) {
        t->present = t->read = true;
        t->format = QB_FORMAT_INT64;
        t->rows = p->tokens;
        t->cols = t->stride = 1;
    } else {
        qb__composition_tensor(p, role, t);
    }
}

static enum qb_status check(const struct qb_problem *p, const struct qb_tensors *tensors)
{
    const int64_t *positions = tensors->at[QB_ROLE_POSITIONS];

    for (uint64_t token = 0; token < p->tokens; token++) {
        if ((uint64_t)positions[token] >= p->positions) {
            return qb__fail(QB_ERROR_INVALID, "position %" PRId64 " of token %" PRIu64 "; expected 0 to %" PRIu64,
                            positions[token], token, p->positions - 1);
        }
    }
    return QB_OK;
}

/* ---- The oracle ---------------------------------------------------------------------------------------------------
 */

/* Element COL of row ROW, rotated with its partner. */
static float value_of(const struct qb_problem *p, const struct qb_tensors *tensors, uint64_t row, uint64_t col)
{
    const void *input = tensors->at[QB_ROLE_INPUT], *angles = tensors->at[QB_ROLE_ANGLES];
    const uint64_t place = col % p->head_size, half = p->rotary / 2, head = row * p->input_stride + col - place;
    const bool halves = p->pairing == QB_PAIRING_HALVES, is_first = halves ? place < half : place % 2 == 0;
    const float x = qb__element_load(input, p->input, head + place);
    uint64_t partner, angle;
    float c, s, straight, across;

    if (place >= p->rotary) {
        return x;
    }
    partner = !halves ? place ^ 1 : is_first ? place + half : place - half;
    angle = (uint64_t)((const int64_t *)tensors->at[QB_ROLE_POSITIONS])[row] * p->rotary;
    angle += halves ? place % half : place / 2;
    c = qb__element_load(angles, qb__weight_format(p), angle);
    s = qb__element_load(angles, qb__weight_format(p), angle + half);
    straight = x * c;
    across = qb__element_load(input, p->input, head + partner) * s;
    return is_first ? straight - across : straight + across; /* rounded as it is stored */
}

static QB__IN_ENVIRONMENT void values(const struct qb_problem *p, const struct qb_tensors *tensors)
{
    const enum qb_format format = qb__quantization_of(p).input;

    for (uint64_t row = 0; row < p->tokens; row++) {
        for (uint64_t col = 0; col < p->hidden; col++) {
            qb__element_store(tensors->at[QB_ROLE_VALUES], format, row * p->hidden + col,
                              value_of(p, tensors, row, col));
        }
    }
}

const struct qb__operation qb__operation_rope = {
    .operation = QB_OPERATION_ROPE,
    .name = "rope",
    .validate = validate,
    .tensor = tensor,
    .check = check,
    .values = values,
    .reference = qb__composition_reference,
};
