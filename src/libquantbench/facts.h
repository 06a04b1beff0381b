/* SPDX-License-Identifier: Apache-2.0 */
/* facts.h - how backends fill the list of qb_device_facts(). Inline, because a backend that is a module links with
 * nothing of the library. */
#ifndef QB_FACTS_H
#define QB_FACTS_H

#include "quantbench.h"

#include <math.h>
#include <stdio.h>

struct qb__facts {
    struct qb_device_fact *list;
    size_t room;
    size_t count;
};

/* Add a fact whose value is a word; NULL: unknown. */
static inline void qb__facts_add(struct qb__facts *facts, const char *name, const char *value)
{
    if (facts->count < facts->room) {
        struct qb_device_fact *fact = &facts->list[facts->count++];

        snprintf(fact->name, sizeof fact->name, "%s", name);
        snprintf(fact->value, sizeof fact->value, "%s", value != NULL && value[0] != '\0' ? value : "unknown");
    }
}

/* The same for a number; NAN: unknown. */
static inline void qb__facts_add_number(struct qb__facts *facts, const char *name, double number)
{
    char value[32];

    snprintf(value, sizeof value, "%.15g", number);
    qb__facts_add(facts, name, isnan(number) ? NULL : value);
}

#endif
