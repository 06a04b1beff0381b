/* SPDX-License-Identifier: Apache-2.0 */
/* arithmetic.c - struct qb_arithmetic: the contract, and the check of others. */
#include <config.h>

#include "internal.h"

#include <math.h>

const struct qb_arithmetic qb__contract = {.quotient = QB_QUOTIENT_DIVIDE};

/* True if VALUE is in an enumeration of COUNT; NAME is the member's, for the message. */
static bool is_in_enum(const char *name, int value, int count)
{
    if (value >= 0 && value < count) {
        return true;
    }
    qb__fail(QB_ERROR_INVALID, "arithmetic: %s is %d; expected 0 to %d", name, value, count - 1);
    return false;
}

static bool is_floor(const char *name, float value)
{
    if (value >= 0 && !isinf(value)) {
        return true;
    }
    qb__fail(QB_ERROR_INVALID, "arithmetic: %s is %g; expected a finite number >= 0", name, (double)value);
    return false;
}

enum qb_status qb_arithmetic_validate(const struct qb_arithmetic *a)
{
    if (a == NULL) {
        return qb__fail(QB_ERROR_INVALID, "the arithmetic is NULL");
    }
    if (!is_in_enum("quotient", (int)a->quotient, QB_QUOTIENT_MULTIPLY + 1) ||
        !is_in_enum("scale_form", (int)a->scale_form, QB_SCALE_MULTIPLIER + 1) ||
        !is_in_enum("rounding", (int)a->rounding, QB_ROUNDING_TOWARD_ZERO + 1) ||
        !is_in_enum("zero", (int)a->zero, QB_ZERO_UNGUARDED + 1) ||
        !is_in_enum("nan", (int)a->nan, QB_NAN_LOWEST + 1) ||
        !is_in_enum("infinity", (int)a->infinity, QB_INFINITY_KEPT + 1) ||
        !is_in_enum("match", (int)a->match, QB_MATCH_ONE_CODE + 1) ||
        !is_in_enum("power_of_two", (int)a->power_of_two, 2) ||
        !is_in_enum("nan_amax", (int)a->nan_amax, QB_NAN_AMAX_KEPT + 1) ||
        !is_in_enum("power_form", (int)a->power_form, QB_POWER_CEILING + 1) ||
        !is_in_enum("e4m3_scale", (int)a->e4m3_scale, QB_E4M3_SCALE_DIVIDED + 1) ||
        !is_in_enum("e4m3_value", (int)a->e4m3_value, QB_E4M3_VALUE_RATIO + 1) ||
        !is_in_enum("zero_codes", (int)a->zero_codes, 2) || !is_in_enum("open_range", (int)a->open_range, 2) ||
        !is_floor("amax_floor", a->amax_floor) || !is_floor("scale_floor", a->scale_floor) ||
        !is_floor("divisor_floor", a->divisor_floor)) {
        return QB_ERROR_INVALID;
    }
    for (size_t i = 0; i < sizeof a->reserved / sizeof a->reserved[0]; i++) {
        if (a->reserved[i] != 0) {
            return qb__fail(QB_ERROR_INVALID, "arithmetic: a reserved member is not 0");
        }
    }
    return QB_OK;
}
