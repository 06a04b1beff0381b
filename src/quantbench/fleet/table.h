/* SPDX-License-Identifier: Apache-2.0 */
/* table.h - from 64-bit keys to indices. */
#ifndef TABLE_H
#define TABLE_H

#include <stddef.h>
#include <stdint.h>

struct table {
    struct table_slot {
        uint64_t key;
        size_t value; /* an index + 1; 0: nothing is there */
    } * slots;
    size_t count, room;
};

/* The slot of KEY, whose value is 0 if it is new: the caller sets it then. NULL if memory is short. */
size_t *table_find(struct table *table, uint64_t key);
void table_free(struct table *table);

#endif
