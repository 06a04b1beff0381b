/* SPDX-License-Identifier: Apache-2.0 */
/* pool.c - see pool.h. */
#include <config.h>

#include "base/digest.h"
#include "fleet/pool.h"

#include <stdlib.h>
#include <string.h>

#define BLOCK_SIZE 65536
#define FIRST_ROOM 1024

struct pool_block {
    struct pool_block *next;
    char bytes[];
};

/* Where TEXT is, or may be put, in the table. */
static const char **find(const char **texts, size_t room, const char *text)
{
    size_t at = (size_t)digest_of(text, strlen(text)) & (room - 1);

    while (texts[at] != NULL && strcmp(texts[at], text) != 0) {
        at = (at + 1) & (room - 1);
    }
    return &texts[at];
}

static bool grow(struct pool *pool)
{
    const size_t room = pool->room > 0 ? 2 * pool->room : FIRST_ROOM;
    const char **texts = calloc(room, sizeof *texts);

    if (texts == NULL) {
        return false;
    }
    for (size_t i = 0; i < pool->room; i++) {
        if (pool->texts[i] != NULL) {
            *find(texts, room, pool->texts[i]) = pool->texts[i];
        }
    }
    free(pool->texts);
    pool->texts = texts;
    pool->room = room;
    return true;
}

/* Room for SIZE bytes. */
static char *reserve(struct pool *pool, size_t size)
{
    if (pool->left < size) {
        const size_t room = size > BLOCK_SIZE ? size : BLOCK_SIZE;
        struct pool_block *block = malloc(sizeof *block + room);

        if (block == NULL) {
            return NULL;
        }
        block->next = pool->blocks;
        pool->blocks = block;
        pool->left = room;
    }
    pool->left -= size;
    return pool->blocks->bytes + pool->left;
}

const char *pool_text(struct pool *pool, const char *text)
{
    const size_t size = strlen(text) + 1;
    const char **place;
    char *copy;

    if (2 * (pool->count + 1) > pool->room && !grow(pool)) {
        return NULL;
    }
    place = find(pool->texts, pool->room, text);
    if (*place == NULL) {
        copy = reserve(pool, size);
        if (copy == NULL) {
            return NULL;
        }
        *place = memcpy(copy, text, size);
        pool->count++;
    }
    return *place;
}

void pool_free(struct pool *pool)
{
    for (struct pool_block *block = pool->blocks, *next; block != NULL; block = next) {
        next = block->next;
        free(block);
    }
    free(pool->texts);
    *pool = (struct pool){.count = 0};
}
