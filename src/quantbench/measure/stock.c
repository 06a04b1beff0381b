/* SPDX-License-Identifier: Apache-2.0 */
/* stock.c - keeps filled sets and room, and counts what passes through the cache. */
#include <config.h>

#include "measure/stock.h"
#include "base/saturate.h"

#include <stdlib.h>
#include <string.h>

/* Parts of memory that are smaller have no pages of their own, and so no threads that are the first to touch them. */
#define SMALL_PART ((uint64_t)1 << 20)

/* The room is larger than it needs to be by one part in this many, so that it need not grow with each ceiling. */
#define SPARE 8

/* Bytes that are read and written at a time so that a set gets cold: as quantization does it, and without special
 * stores. */
#define PASSED_READ    ((uint64_t)2 << 20)
#define PASSED_WRITTEN ((uint64_t)1 << 20)

/* ---- Sets ------------------------------------------------------------------------------------------------------- */

/* True if launches of both cases read the same, and tensors lie in the same way. */
static bool same_contents(const struct stock_sets *sets, const struct stock_contents *c)
{
    const struct plan_case *a = sets->plan_case, *b = c->plan_case;
    bool same = a->device == b->device && a->threads == b->threads && a->dist == b->dist && a->tensor == b->tensor &&
                sets->count == c->count && a->problem.input_stride == b->problem.input_stride &&
                a->problem.output_stride == b->problem.output_stride && verify_same_problem(&a->problem, &b->problem);

    for (int role = 0; role < QB_ROLE_COUNT && same; role++) {
        const void *ours = sets->given[role], *theirs = c->given[role];

        same = sets->buffers.bytes.of[role] == c->bytes->of[role] && (ours != NULL) == (theirs != NULL) &&
               (ours == NULL || memcmp(ours, theirs, c->bytes->of[role]) == 0);
    }
    return same;
}

/* True if the memory of SETS has its parts where those of CONTENTS will be, for the threads that use them. */
static bool same_layout(const struct stock_sets *sets, const struct stock_contents *c)
{
    return sets->plan_case->device == c->plan_case->device && sets->plan_case->threads == c->plan_case->threads &&
           sets->count == c->count && memcmp(sets->buffers.bytes.of, c->bytes->of, sizeof c->bytes->of) == 0;
}

static void free_sets(struct stock *stock, size_t index)
{
    struct stock_sets *sets = stock->sets[index];

    qb_memory_free(sets->plan_case->device->handle, sets->memory);
    stock->held -= sets->bytes;
    free(sets->passed);
    free(sets);
    stock->sets[index] = stock->sets[--stock->count];
}

/* The index of the sets that were used longest ago; there are some. */
static size_t find_oldest(const struct stock *stock)
{
    size_t oldest = 0;

    for (size_t i = 1; i < stock->count; i++) {
        oldest = stock->sets[i]->used < stock->sets[oldest]->used ? i : oldest;
    }
    return oldest;
}

static void free_room(struct stock *stock)
{
    if (stock->room.bytes > 0) {
        qb_memory_free(stock->room.device, stock->room.memory);
    }
    stock->held -= stock->room.bytes;
    memset(&stock->room, 0, sizeof stock->room);
}

/* Sets for CONTENTS in memory of BYTES bytes, which is taken from those used longest ago if it fits and they must go.
 * NULL if memory is short. */
static struct stock_sets *make_sets(struct stock *stock, const struct stock_contents *c, uint64_t bytes)
{
    struct stock_sets *sets = calloc(1, sizeof *sets),
                      **larger = reallocarray(stock->sets, stock->count + 1, sizeof *larger);

    stock->sets = larger != NULL ? larger : stock->sets;
    if (sets != NULL) {
        sets->passed = calloc(c->count, sizeof *sets->passed);
    }
    if (sets == NULL || larger == NULL || sets->passed == NULL) {
        free(sets != NULL ? sets->passed : NULL);
        free(sets);
        return NULL;
    }
    while (stock->count > 0 && sets->memory == NULL && saturate_add(stock->held, bytes) > stock->budget) {
        const size_t oldest = find_oldest(stock);

        if (same_layout(stock->sets[oldest], c)) {
            sets->memory = stock->sets[oldest]->memory;
            stock->sets[oldest]->memory = NULL;
        }
        free_sets(stock, oldest);
    }
    /* The room is made again for the next ceiling; limited sets need it, and are few. */
    if (sets->memory == NULL && saturate_add(stock->held, bytes) > stock->budget && bytes >= stock->room.bytes) {
        free_room(stock);
    }
    sets->bytes = bytes;
    stock->held += bytes;
    return sets;
}

/* Take memory for SETS, unless they have some, at the cost of all others if need be. */
static enum qb_status find_memory(struct stock *stock, struct qb_device *device, struct stock_sets *sets)
{
    enum qb_status status = QB_OK;

    if (sets->memory == NULL) {
        status = qb_memory_alloc(device, sets->bytes, &sets->memory);
    }
    while (status == QB_ERROR_MEMORY && stock->count > 0) {
        free_sets(stock, find_oldest(stock));
        status = qb_memory_alloc(device, sets->bytes, &sets->memory);
    }
    return status;
}

/* Fill SETS, and keep them. */
static enum qb_status fill_sets(struct stock *stock, const struct stock_contents *c, struct qb_queue *queue,
                                struct stock_sets *sets)
{
    struct qb_device *device = c->plan_case->device->handle;
    const void *given[QB_ROLE_COUNT];
    enum qb_status status = find_memory(stock, device, sets);

    for (int role = 0; role < QB_ROLE_COUNT; role++) {
        given[role] = c->data->at[role] != NULL ? c->data->at[role] : c->given[role];
    }
    sets->plan_case = c->plan_case;
    sets->given = c->given;
    sets->count = c->count;
    sets->lines = c->lines;
    stock->sets[stock->count++] = sets;
    if (status == QB_OK) {
        status = buffers_place(device, queue, c->bytes, c->count, given, sets->memory, &sets->buffers);
    }
    if (status != QB_OK) {
        free_sets(stock, stock->count - 1);
    }
    stock->traffic += saturate_multiply(c->count, c->lines);
    return status;
}

enum qb_status stock_take(struct stock *stock, const struct stock_contents *contents, struct qb_queue *queue,
                          struct stock_sets **sets, bool *fresh)
{
    struct stock_sets *made;
    enum qb_status status;

    stock->uses++;
    for (size_t i = 0; i < stock->count; i++) {
        if (same_contents(stock->sets[i], contents)) {
            stock->sets[i]->used = stock->uses;
            *sets = stock->sets[i];
            *fresh = false;
            return QB_OK;
        }
    }
    made = make_sets(stock, contents, buffers_room(contents->bytes, contents->count));
    if (made == NULL) {
        return QB_ERROR_MEMORY;
    }
    made->used = stock->uses;
    status = fill_sets(stock, contents, queue, made);
    if (status == QB_OK) {
        *sets = made;
        *fresh = true;
    }
    return status;
}

/* ---- Traffic ---------------------------------------------------------------------------------------------------- */

void stock_note(struct stock *stock, struct stock_sets *sets, uint64_t first, uint64_t count)
{
    for (uint64_t i = 0; i < count && i < sets->count; i++) {
        stock->traffic += sets->lines;
        sets->passed[(first + i) % sets->count] = stock->traffic;
    }
}

/* Let at least BYTES bytes of the room pass. */
static enum qb_status pass(struct stock *stock, struct qb_queue *queue, uint64_t bytes)
{
    const uint64_t piece = PASSED_READ + PASSED_WRITTEN;
    enum qb_status status = stock->room.filled >= piece ? QB_OK : QB_ERROR_MEMORY;

    for (uint64_t done = 0; done < bytes && status == QB_OK; done += piece) {
        char *at;

        if (stock->room.position > stock->room.filled - piece) {
            stock->room.position = 0;
        }
        at = stock->room.memory + stock->room.position;
        status = qb_queue_mix(queue, at + PASSED_READ, PASSED_WRITTEN, at, PASSED_READ, QB_STORES_PLAIN);
        stock->room.position += piece;
        stock->traffic += piece;
    }
    return status == QB_OK ? qb_queue_synchronize(queue) : status;
}

enum qb_status stock_reach(struct stock *stock, struct stock_sets *sets, struct qb_queue *queue, uint64_t rotation,
                           uint64_t first, uint64_t count)
{
    const uint64_t wanted = saturate_multiply(rotation - 1, sets->lines), within = count - 1;
    /* Of those that are launched into, the last has waited least. */
    const uint64_t waited = stock->traffic + within * sets->lines - sets->passed[(first + within) % sets->count];
    enum qb_status status = waited < wanted ? pass(stock, queue, wanted - waited) : QB_OK;

    if (status == QB_OK) {
        stock_note(stock, sets, first, count);
        sets->next = (first + count) % sets->count;
    }
    return status;
}

/* ---- Room ------------------------------------------------------------------------------------------------------- */

/* Take the room's memory, at the cost of sets if need be. */
static enum qb_status take_room(struct stock *stock, struct qb_device *device, uint64_t bytes)
{
    void *memory = NULL;
    enum qb_status status;

    while (stock->count > 0 && saturate_add(stock->held, bytes) > stock->budget) {
        free_sets(stock, find_oldest(stock));
    }
    status = qb_memory_alloc(device, bytes, &memory);
    while (status == QB_ERROR_MEMORY && stock->count > 0) {
        free_sets(stock, find_oldest(stock));
        status = qb_memory_alloc(device, bytes, &memory);
    }
    if (status == QB_OK) {
        stock->room.device = device;
        stock->room.memory = memory;
        stock->room.bytes = bytes;
        stock->held += bytes;
    }
    return status;
}

enum qb_status stock_make_room(struct stock *stock, struct qb_device *device, uint64_t bytes, uint64_t stride)
{
    const uint64_t layout = stride < SMALL_PART ? 0 : stride, part = layout > 0 ? layout : SMALL_PART;
    enum qb_status status = QB_OK;
    uint64_t begin = stock->room.filled;

    if (stock->room.bytes < bytes || stock->room.layout != layout || stock->room.device != device) {
        free_room(stock);
        status = take_room(stock, device, saturate_add(bytes, bytes / SPARE));
        stock->room.layout = layout;
        begin = 0;
    }
    /* Pages that nobody needs are not touched. */
    for (uint64_t i = begin; i < bytes && status == QB_OK; i += part) {
        const uint64_t left = stock->room.bytes - i;

        status = qb_memory_fill(device, stock->room.memory + i, 0x5A, left < part ? left : part);
        stock->room.filled = left < part ? stock->room.bytes : i + part;
        stock->traffic += part;
    }
    return status;
}

void stock_drop(struct stock *stock, const struct stock_sets *sets)
{
    for (size_t i = 0; i < stock->count; i++) {
        if (stock->sets[i] == sets) {
            free_sets(stock, i);
            return;
        }
    }
}

void stock_clear(struct stock *stock)
{
    while (stock->count > 0) {
        free_sets(stock, stock->count - 1);
    }
    free_room(stock);
}

void stock_free(struct stock *stock)
{
    stock_clear(stock);
    free(stock->sets);
    *stock = (struct stock){.count = 0};
}
