/* SPDX-License-Identifier: Apache-2.0 */
/* table.c - see table.h. */
#include <config.h>

#include "fleet/table.h"

#include <stdlib.h>

#define FIRST_ROOM 64

static struct table_slot *find(struct table_slot *slots, size_t room, uint64_t key)
{
    size_t at = (size_t)(key * 0x9E3779B97F4A7C15u >> 32) & (room - 1);

    while (slots[at].value != 0 && slots[at].key != key) {
        at = (at + 1) & (room - 1);
    }
    return &slots[at];
}

size_t *table_find(struct table *table, uint64_t key)
{
    struct table_slot *slot;

    if (2 * (table->count + 1) > table->room) {
        const size_t room = table->room > 0 ? 2 * table->room : FIRST_ROOM;
        struct table_slot *slots = calloc(room, sizeof *slots);

        if (slots == NULL) {
            return NULL;
        }
        for (size_t i = 0; i < table->room; i++) {
            if (table->slots[i].value != 0) {
                *find(slots, room, table->slots[i].key) = table->slots[i];
            }
        }
        free(table->slots);
        table->slots = slots;
        table->room = room;
    }
    slot = find(table->slots, table->room, key);
    if (slot->value == 0) {
        slot->key = key;
        table->count++;
    }
    return &slot->value;
}

void table_free(struct table *table)
{
    free(table->slots);
    *table = (struct table){.count = 0};
}
