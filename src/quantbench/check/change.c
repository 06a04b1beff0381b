/* SPDX-License-Identifier: Apache-2.0 */
/* change.c - see change.h. What can be changed by itself depends on the operation: an element that is quantized, any
 * way at all; what is gated, by its gate and up; of a row that is normalized only a sign, since that leaves the sum of
 * the squares as it is; of a pair that is rotated both values. */
#include <config.h>

#include "cases/values.h"
#include "check/change.h"
#include "model/operation.h"
#include "model/part.h"

#include <math.h>
#include <string.h>

/* A gate of which the activation is neither 0 nor saturated. */
#define GATE 2.0f

uint32_t change_bits(enum qb_format format, const void *tensor, uint64_t index)
{
    return qb_format_info(format)->bits == 32 ? ((const uint32_t *)tensor)[index] : ((const uint16_t *)tensor)[index];
}

static uint32_t sign_of(enum qb_format format)
{
    return (uint32_t)1 << (qb_format_info(format)->bits - 1);
}

/* Add that element INDEX of the tensor of ROLE, in FORMAT, which is TENSOR now, becomes IS. */
static void add(struct change_element *elements, size_t *count, enum qb_role role, enum qb_format format,
                const void *tensor, uint64_t index, uint32_t is)
{
    elements[(*count)++] = (struct change_element){role, index, change_bits(format, tensor, index), is};
}

/* Add the element of the input or the residual that becomes IS. */
static void add_read(const struct qb_problem *p, const struct case_data *data, enum qb_role role, uint64_t index,
                     uint32_t is, struct change *change)
{
    add(change->read, &change->read_count, role, p->input, data->at[role], index, is);
}

/* Add what else is written of ELEMENT: its value, and its sum, whose sign changes. */
static void add_written(const struct qb_problem *p, const struct case_data *data, uint64_t element,
                        struct change *change)
{
    if (p->keep_values) {
        add(change->written, &change->written_count, QB_ROLE_VALUES, values_quantization(p).input, data->values,
            element, change->value);
    }
    if (data->sum != NULL) {
        add(change->written, &change->written_count, QB_ROLE_SUM, p->input, data->sum, element,
            change_bits(p->input, data->sum, element) ^ sign_of(p->input));
    }
}

/* True if VALUE, in FORMAT, is 0 or not a number: then it has no other sign. */
static bool has_no_sign(enum qb_format format, uint32_t value)
{
    const float number = qb_format_decode(format, value);

    return isnan(number) || number == 0;
}

/* Add that element INDEX of the input has the other sign. */
static void add_negated(const struct qb_problem *p, const struct case_data *data, uint64_t index, struct change *change)
{
    add_read(p, data, QB_ROLE_INPUT, index, change_bits(p->input, data->at[QB_ROLE_INPUT], index) ^ sign_of(p->input),
             change);
}

/* Add what PARTNER of value ELEMENT becomes, and the values that are kept of both. */
static void add_partner(const struct qb_problem *p, const struct case_data *data, uint64_t element, uint64_t partner,
                        uint32_t value, struct change *change)
{
    change->has_partner = true;
    change->partner = partner;
    change->partner_value = value;
    add_written(p, data, element, change);
    if (p->keep_values) {
        add(change->written, &change->written_count, QB_ROLE_VALUES, values_quantization(p).input, data->values,
            partner, value);
    }
}

/* Let a pair have other signs. */
static bool change_pair_sign(const struct qb_problem *p, const struct case_data *data, uint64_t element,
                             uint64_t partner, struct change *change)
{
    const enum qb_format format = values_quantization(p).input;
    const uint32_t own = change_bits(format, data->values, element), other = change_bits(format, data->values, partner);

    if (has_no_sign(format, own) || has_no_sign(format, other)) {
        return false;
    }
    change->value = own ^ sign_of(format);
    add_negated(p, data, element, change);
    add_negated(p, data, partner, change);
    add_partner(p, data, element, partner, other ^ sign_of(format), change);
    return true;
}

bool change_sign(const struct qb_problem *p, const struct case_data *data, uint64_t element, struct change *change)
{
    const enum qb_format format = values_quantization(p).input;
    uint64_t index = part_source(p, element), partner, angle;

    *change = (struct change){.value = change_bits(format, data->values, element) ^ sign_of(format)};
    if (operation_is_gated(p->operation)) {
        operation_gate(p, element, &index);
        if (p->up_offset != 0) {
            return false;
        }
    }
    if (operation_pair(p, element, &partner, &angle)) {
        return change_pair_sign(p, data, element, partner, change);
    }
    if (p->operation == QB_OPERATION_ROPE && has_no_sign(format, change->value)) {
        return false; /* NaN is stored as another */
    }
    /* A sum of 0 keeps its sign. */
    if (data->sum != NULL && (change_bits(p->input, data->sum, element) & ~sign_of(p->input)) == 0) {
        return false;
    }
    add_negated(p, data, index, change);
    if (data->at[QB_ROLE_RESIDUAL] != NULL) {
        add_read(p, data, QB_ROLE_RESIDUAL, index,
                 change_bits(p->input, data->at[QB_ROLE_RESIDUAL], index) ^ sign_of(p->input), change);
    }
    if (values_differ(p)) {
        add_written(p, data, element, change);
    }
    return true;
}

/* The value of PAIR, a gate and its up in the input format, as bits; false if it cannot be computed. */
static bool value_of_pair(const struct qb_problem *p, const void *pair, uint32_t *value)
{
    struct qb_problem single = *p;
    struct qb_tensors tensors = {.size = sizeof tensors};

    single.tokens = single.hidden = 1;
    single.input_stride = single.output_stride = single.scale_stride = 0;
    *value = 0;
    tensors.at[QB_ROLE_INPUT] = (void *)(uintptr_t)pair;
    tensors.at[QB_ROLE_VALUES] = value; /* the lower half first: hosts are little-endian */
    return qb_reference_values(&single, &tensors) == QB_OK;
}

/* Write the codes of A and B in FORMAT to PAIR. */
static void make_pair(enum qb_format format, float a, float b, uint32_t pair[2])
{
    const uint32_t first = qb_format_encode(format, a), second = qb_format_encode(format, b);

    if (qb_format_info(format)->bits == 32) {
        pair[0] = first;
        pair[1] = second;
    } else {
        pair[0] = first | second << 16;
    }
}

/* ---- Rotated pairs -------------------------------------------------------------------------------------------------
 */

/* The values of a and b of PAIR, rotated by the cosine and the sine at ANGLES, as bits; false if they cannot be
 * computed. */
static bool values_of_pair(const struct qb_problem *p, const uint32_t pair[2], const uint32_t angles[2],
                           uint32_t values[2])
{
    const enum qb_format format = values_quantization(p).input;
    struct qb_problem single = *p;
    struct qb_tensors tensors = {.size = sizeof tensors};
    uint32_t made[2] = {0};
    int64_t position = 0;

    single.tokens = single.positions = 1;
    single.hidden = single.head_size = single.rotary = 2;
    single.input_stride = single.output_stride = single.scale_stride = 0;
    tensors.at[QB_ROLE_INPUT] = (void *)(uintptr_t)pair;
    tensors.at[QB_ROLE_ANGLES] = (void *)(uintptr_t)angles;
    tensors.at[QB_ROLE_POSITIONS] = &position;
    tensors.at[QB_ROLE_VALUES] = made;
    if (qb_reference_values(&single, &tensors) != QB_OK) {
        return false;
    }
    values[0] = change_bits(format, made, 0);
    values[1] = change_bits(format, made, 1);
    return true;
}

/* Rotate back to WANTED of ELEMENT, and 0 of its PARTNER. */
static bool change_pair_to(const struct qb_problem *p, const struct case_data *data, uint64_t element, uint64_t partner,
                           uint64_t angle, float wanted, struct change *change)
{
    const enum qb_format format = values_quantization(p).input;
    const enum qb_format angles = p->weights == QB_WEIGHTS_FLOAT ? QB_FORMAT_F32 : p->input;
    const int64_t position = ((const int64_t *)data->at[QB_ROLE_POSITIONS])[element / p->hidden];
    const uint64_t cosine = (uint64_t)position * p->rotary + angle, sine = cosine + p->rotary / 2;
    const float c = qb_format_decode(angles, change_bits(angles, data->at[QB_ROLE_ANGLES], cosine));
    const float s = qb_format_decode(angles, change_bits(angles, data->at[QB_ROLE_ANGLES], sine));
    const int own = element < partner ? 0 : 1;
    uint32_t pair[2], both[2], values[2];

    make_pair(p->input, own == 0 ? wanted * c : wanted * s, own == 0 ? -wanted * s : wanted * c, pair);
    make_pair(angles, c, s, both);
    if (!values_of_pair(p, pair, both, values) || !isfinite(qb_format_decode(format, values[0])) ||
        !isfinite(qb_format_decode(format, values[1]))) {
        return false;
    }
    change->value = values[own];
    add_read(p, data, QB_ROLE_INPUT, element, change_bits(p->input, pair, (uint64_t)own), change);
    add_read(p, data, QB_ROLE_INPUT, partner, change_bits(p->input, pair, 1 - (uint64_t)own), change);
    add_partner(p, data, element, partner, values[1 - own], change);
    return true;
}

/* The same of an element of ROPE that may not be rotated. */
static bool change_rotated_to(const struct qb_problem *p, const struct case_data *data, uint64_t element,
                              uint32_t wanted, struct change *change)
{
    const enum qb_format format = values_quantization(p).input;
    const float number = qb_format_decode(format, wanted);
    const uint32_t is = qb_format_encode(p->input, number);
    uint64_t partner, angle;

    if (operation_pair(p, element, &partner, &angle)) {
        return change_pair_to(p, data, element, partner, angle, number, change);
    }
    change->value = qb_format_encode(format, qb_format_decode(p->input, is));
    add_read(p, data, QB_ROLE_INPUT, element, is, change);
    add_written(p, data, element, change);
    return isfinite(qb_format_decode(p->input, is));
}

bool change_to(const struct qb_problem *p, const struct case_data *data, uint64_t element, uint32_t wanted,
               struct change *change)
{
    const enum qb_format format = values_quantization(p).input;
    uint32_t pair[2] = {0}, value;
    uint64_t gate, up;
    float unit;

    *change = (struct change){.value = wanted};
    if (!values_differ(p)) {
        add_read(p, data, QB_ROLE_INPUT, part_source(p, element), wanted, change);
        return true;
    }
    if (p->operation == QB_OPERATION_ROPE) {
        return change_rotated_to(p, data, element, wanted, change);
    }
    if (!operation_is_gated(p->operation)) {
        return false;
    }
    make_pair(p->input, GATE, 1 - p->up_offset, pair);
    if (!value_of_pair(p, pair, &value)) {
        return false;
    }
    unit = qb_format_decode(format, value);
    make_pair(p->input, GATE, qb_format_decode(format, wanted) / unit - p->up_offset, pair);
    if (!value_of_pair(p, pair, &change->value) || !isfinite(qb_format_decode(format, change->value))) {
        return false;
    }
    gate = operation_gate(p, element, &up);
    add_read(p, data, QB_ROLE_INPUT, gate, change_bits(p->input, pair, 0), change);
    add_read(p, data, QB_ROLE_INPUT, up, change_bits(p->input, pair, 1), change);
    add_written(p, data, element, change);
    return true;
}
