/* SPDX-License-Identifier: Apache-2.0 */
/* round_json.c - a round to JSON and back. Its figures are those of figures.c. */
#include <config.h>

#include "base/document.h"
#include "model/round_json.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

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
    json_t *object = json_object();

    for (size_t i = 0; i < figures_of_round_count; i++) {
        document_put(&object, figures_of_round[i].name, figure_to_json(&figures_of_round[i], round));
    }
    document_put(&object, "throttle", throttle_to_json(&round->conditions));
    return object;
}

json_t *conditions_to_json(const struct qb_device_conditions *conditions)
{
    const struct round round = {.conditions = *conditions};
    const size_t first = offsetof(struct round, conditions), end = first + sizeof round.conditions;
    json_t *object = json_object();

    for (size_t i = 0; i < figures_of_round_count; i++) {
        const struct figure *figure = &figures_of_round[i];

        if (figure->offset >= first && figure->offset < end) {
            document_put(&object, figure->name, figure_to_json(figure, &round));
        }
    }
    document_put(&object, "throttle", throttle_to_json(conditions));
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

const char *round_from_json(const json_t *object, struct round *round, char expected[FIGURE_EXPECTED_SIZE])
{
    *round = (struct round){.samples = 0};
    for (size_t i = 0; i < figures_of_round_count; i++) {
        const struct figure *figure = &figures_of_round[i];

        if (!figure_from_json(figure, json_object_get(object, figure->name), round, expected)) {
            return figure->name;
        }
    }
    snprintf(expected, FIGURE_EXPECTED_SIZE, "an array of reasons, or null");
    return throttle_from_json(json_object_get(object, "throttle"), &round->conditions) ? NULL : "throttle";
}
