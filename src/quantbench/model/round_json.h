/* SPDX-License-Identifier: Apache-2.0 */
/* round_json.h - what one visit found, but for its samples, as JSON: the same in records and in journals. */
#ifndef ROUND_JSON_H
#define ROUND_JSON_H

#include "model/figures.h"

#include <jansson.h>

/* An array of the COUNT numbers. NULL if memory is short, here and below. */
json_t *numbers_to_json(const double *numbers, size_t count);

json_t *round_to_json(const struct round *round);
/* What the device did, as in a round. */
json_t *conditions_to_json(const struct qb_device_conditions *conditions);

/* Returns NULL, or the name of the first member that is not what round_to_json() writes, with what is EXPECTED there.
 */
const char *round_from_json(const json_t *object, struct round *round, char expected[FIGURE_EXPECTED_SIZE]);

#endif
