/* SPDX-License-Identifier: Apache-2.0 */
/* round_json.c - a round to JSON and back. Its real numbers are a table, so that both ways have the same. */
#include <config.h>

#include "base/document.h"
#include "model/round_json.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

static const struct real_member {
    const char *name;
    size_t offset;
    bool is_needed; /* and never null; else it is null if it is not known, which NAN says */
} reals[] = {
    {"median_ns", offsetof(struct round, median), true},
    {"host_ns", offsetof(struct round, host_time), true},
    {"start_s", offsetof(struct round, start), true},
    {"clock_mhz", offsetof(struct round, conditions.clock), false},
    {"memory_clock_mhz", offsetof(struct round, conditions.memory_clock), false},
    {"power_mw", offsetof(struct round, conditions.power), false},
    {"temperature_c", offsetof(struct round, conditions.temperature), false},
    {"stolen_ns", offsetof(struct round, disturbance.stolen), false},
};
#define REALS (sizeof reals / sizeof reals[0])

static const struct count_member {
    const char *name;
    size_t offset;
    bool may_be_unknown; /* it is null then, and UNKNOWN in the round */
    uint64_t unknown;
} counts[] = {
    {"preemptions", offsetof(struct round, disturbance.preemptions), false, 0},
    {"migrations", offsetof(struct round, disturbance.migrations), true, DISTURBANCE_UNKNOWN},
    {"page_faults", offsetof(struct round, disturbance.page_faults), false, 0},
    {"retaken_samples", offsetof(struct round, retaken_samples), false, 0},
    {"disturbed_samples", offsetof(struct round, disturbed_samples), false, 0},
    {"huge_page_bytes", offsetof(struct round, huge_bytes), true, ROUND_UNKNOWN},
    {"threads_wanted", offsetof(struct round, threads_wanted), true, 0},
    {"threads_obtained", offsetof(struct round, threads_obtained), true, 0},
};
#define COUNTS (sizeof counts / sizeof counts[0])

/* The reasons that are known to slow the device down now; null if it can tell none. */
static json_t *throttle_to_json(const struct qb_device_conditions *conditions)
{
    json_t *array;

    if (conditions->throttle_known == 0) {
        return json_null();
    }
    array = json_array();
    for (unsigned i = 0; i < QB_THROTTLE_COUNT; i++) {
        if ((conditions->throttle & 1u << i) != 0) {
            document_append(&array, json_string(qb_throttle_name(i)));
        }
    }
    return array;
}

json_t *numbers_to_json(const double *numbers, size_t count)
{
    json_t *array = json_array();

    for (size_t i = 0; i < count; i++) {
        document_append(&array, json_real(numbers[i]));
    }
    return array;
}

json_t *round_to_json(const struct round *round)
{
    json_t *object = json_pack("{s:I}", "samples", (json_int_t)round->samples);

    for (size_t i = 0; i < REALS; i++) {
        double value = *(const double *)((const char *)round + reals[i].offset);

        document_put(&object, reals[i].name, isfinite(value) ? json_real(value) : json_null());
    }
    for (size_t i = 0; i < COUNTS; i++) {
        uint64_t value = *(const uint64_t *)((const char *)round + counts[i].offset);
        bool is_unknown = counts[i].may_be_unknown && value == counts[i].unknown;

        document_put(&object, counts[i].name, is_unknown ? json_null() : json_integer((json_int_t)value));
    }
    document_put(&object, "throttle", throttle_to_json(&round->conditions));
    return object;
}

static bool throttle_from_json(const json_t *array, struct qb_device_conditions *conditions)
{
    if (array == NULL || json_is_null(array)) {
        return true;
    }
    conditions->throttle_known = (1u << QB_THROTTLE_COUNT) - 1;
    for (size_t k = 0; k < json_array_size(array); k++) {
        const char *word = json_string_value(json_array_get(array, k));
        unsigned i = 0;

        while (i < QB_THROTTLE_COUNT && (word == NULL || strcmp(word, qb_throttle_name(i)) != 0)) {
            i++;
        }
        if (i == QB_THROTTLE_COUNT) {
            return false;
        }
        conditions->throttle |= 1u << i;
    }
    return json_is_array(array);
}

const char *round_from_json(const json_t *object, struct round *round)
{
    const json_t *samples = json_object_get(object, "samples");

    *round = (struct round){.samples = (size_t)json_integer_value(samples)};
    if (!json_is_integer(samples) || json_integer_value(samples) < 1) {
        return "samples";
    }
    for (size_t i = 0; i < REALS; i++) {
        const json_t *value = json_object_get(object, reals[i].name);
        bool is_unknown = !reals[i].is_needed && (value == NULL || json_is_null(value));

        if (!is_unknown && (!json_is_number(value) || json_number_value(value) < 0)) {
            return reals[i].name;
        }
        *(double *)((char *)round + reals[i].offset) = is_unknown ? NAN : json_number_value(value);
    }
    for (size_t i = 0; i < COUNTS; i++) {
        const json_t *value = json_object_get(object, counts[i].name);
        uint64_t *to = (uint64_t *)((char *)round + counts[i].offset);

        *to = counts[i].may_be_unknown ? counts[i].unknown : 0;
        if (value == NULL || (counts[i].may_be_unknown && json_is_null(value))) {
            continue;
        }
        if (!json_is_integer(value) || json_integer_value(value) < 0) {
            return counts[i].name;
        }
        *to = (uint64_t)json_integer_value(value);
    }
    return throttle_from_json(json_object_get(object, "throttle"), &round->conditions) ? NULL : "throttle";
}
