/* SPDX-License-Identifier: Apache-2.0 */
/* pool.h - texts of which each is kept once, so that equal ones have the same address. A fleet says the same ten
 * thousand times. */
#ifndef POOL_H
#define POOL_H

#include <stdbool.h>
#include <stddef.h>

struct pool {
    const char **texts; /* a table of hashes; NULL: nothing is there */
    size_t count, room;
    struct pool_block *blocks; /* where they are */
    size_t left;               /* bytes in the first one */
};

/* TEXT as the pool has it; NULL if memory is short. */
const char *pool_text(struct pool *pool, const char *text);
void pool_free(struct pool *pool);

#endif
