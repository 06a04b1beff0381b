/* SPDX-License-Identifier: Apache-2.0 */
/* ceiling.c - the time that moving as many bytes as a case takes, by code that does nothing else. */
#include <config.h>

#include "measure/ceiling.h"
#include "base/digest.h"
#include "base/interrupt.h"
#include "base/clock.h"
#include "base/stats.h"
#include "base/saturate.h"

#include <stdlib.h>
#include <string.h>

/* Bytes: the smallest line of the caches in question. */
#define CACHE_LINE 64

/* Every buffer begins at a multiple of this, in bytes. */
#define ALIGNMENT 256

/* More sets than this take long to make and to go through: 16384 are enough from 15 kilobytes a set on, with a cache of
 * 60 MB. */
#define MAX_SETS 16384
/* What a last-level cache of unknown size is taken for, in bytes. */
#define UNKNOWN_CACHE ((uint64_t)32 << 20)

uint64_t ceiling_lines(uint64_t bytes)
{
    return bytes / CACHE_LINE * CACHE_LINE + (bytes % CACHE_LINE != 0 ? CACHE_LINE : 0);
}

unsigned ceiling_cold_sets(uint64_t set_bytes, uint64_t cache_size)
{
    uint64_t cache = cache_size > 0 ? cache_size : UNKNOWN_CACHE;
    uint64_t sets = 4 * cache / (set_bytes > 0 ? set_bytes : 1) + 1;

    return sets < 2 ? 2 : sets > MAX_SETS ? MAX_SETS : (unsigned)sets;
}

static uint64_t align(uint64_t bytes)
{
    return (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

/* BYTES, rounded to what ceilings are told apart by. */
static uint64_t grade(uint64_t bytes)
{
    uint64_t step = 1;

    while (bytes / step >= 64) {
        step *= 2;
    }
    return bytes / step * step;
}

static bool same_key(const struct ceiling_key *a, const struct ceiling_key *b)
{
    return a->device == b->device && a->threads == b->threads && a->cache == b->cache && a->launch == b->launch &&
           grade(a->read) == grade(b->read) && grade(a->written) == grade(b->written);
}

/* Where KEY belongs among COUNT slots, a power of two. */
static size_t hash_key(const struct ceiling_key *key, size_t count)
{
    const uint64_t parts[] = {(uint64_t)(uintptr_t)key->device,
                              key->threads,
                              (uint64_t)key->cache,
                              (uint64_t)key->launch,
                              grade(key->read),
                              grade(key->written)};

    return (size_t)digest_of(parts, sizeof parts) & (count - 1);
}

/* The slot of KEY, or the free one where it would be put. There is a free one. */
static size_t *find_slot(const struct ceilings *ceilings, const struct ceiling_key *key)
{
    size_t slot = hash_key(key, ceilings->slot_count);

    while (ceilings->slots[slot] != 0 && !same_key(&ceilings->values[ceilings->slots[slot] - 1].key, key)) {
        slot = (slot + 1) & (ceilings->slot_count - 1);
    }
    return &ceilings->slots[slot];
}

/* Keep at least half of the slots free. An error has been printed. */
static enum exit_code grow_slots(struct ceilings *ceilings)
{
    struct ceilings larger = *ceilings;

    if (2 * (ceilings->count + 1) <= ceilings->slot_count) {
        return EXIT_OK;
    }
    larger.slot_count = ceilings->slot_count > 0 ? 2 * ceilings->slot_count : 16;
    larger.slots = calloc(larger.slot_count, sizeof *larger.slots);
    if (larger.slots == NULL) {
        return message_out_of_memory("the list of ceilings", larger.slot_count * sizeof *larger.slots);
    }
    for (size_t i = 0; i < larger.count; i++) {
        *find_slot(&larger, &larger.values[i].key) = i + 1;
    }
    free(ceilings->slots);
    *ceilings = larger;
    return EXIT_OK;
}

/* The bytes of the cache that a launch takes. */
static uint64_t set_lines(const struct ceiling_key *key)
{
    return ceiling_lines(key->read) + ceiling_lines(key->written);
}

static unsigned choose_sets(const struct ceiling_key *key)
{
    if (key->cache == CACHE_HOT) {
        return 1;
    }
    return ceiling_cold_sets(set_lines(key), key->device->info.cache_size);
}

enum exit_code ceilings_find(struct ceilings *ceilings, const struct ceiling_key *key, size_t *index)
{
    struct ceiling *larger;
    enum exit_code code = grow_slots(ceilings);
    size_t *slot;

    if (code != EXIT_OK) {
        return code;
    }
    slot = find_slot(ceilings, key);
    if (*slot != 0) {
        *index = *slot - 1;
        return EXIT_OK;
    }
    larger = reallocarray(ceilings->values, ceilings->count + 1, sizeof *larger);
    if (larger == NULL) {
        return message_out_of_memory("the list of ceilings", (ceilings->count + 1) * sizeof *larger);
    }
    *index = ceilings->count;
    larger[ceilings->count++] = (struct ceiling){.key = *key, .sets = choose_sets(key)};
    ceilings->values = larger;
    *slot = *index + 1;
    return EXIT_OK;
}

void ceilings_free(struct ceilings *ceilings)
{
    for (size_t i = 0; i < ceilings->count; i++) {
        for (int kind = 0; kind < CEILING_KINDS; kind++) {
            free(ceilings->values[i].kinds[kind].samples);
        }
    }
    free(ceilings->values);
    free(ceilings->slots);
    *ceilings = (struct ceilings){.count = 0};
}

/* Source and target of all sets lie one after the other in one allocation. */
struct mix_context {
    const struct ceiling_key *key;
    char *memory;
    enum ceiling_kind kind;
    struct stock *stock; /* NULL: the memory is not a part of its room */
};

static uint64_t set_stride(const struct ceiling_key *key)
{
    return align(key->read) + align(key->written);
}

/* The bytes of one copy that moves as many as the case, or nearly: cudaMemcpyAsync() takes half as long again for a
 * size that is not a round number of kilobytes (37.8 against 25.2 us for 50 MB on an H200), which is not a ceiling. The
 * time is corrected for what is left out, at most 6 %. */
static uint64_t copied_bytes(const struct ceiling_key *key)
{
    uint64_t half = (key->read + key->written) / 2;
    uint64_t unit = half >= (uint64_t)1 << 20 ? (uint64_t)1 << 16 : 16;

    return half / unit * unit;
}

static enum qb_status launch_mix(void *context, struct qb_queue *queue, unsigned set)
{
    const struct mix_context *mix = context;
    const struct ceiling_key *key = mix->key;
    char *source = mix->memory + set * set_stride(key);

    if (mix->kind == CEILING_COPY) {
        uint64_t half = copied_bytes(key);

        return qb_queue_copy(queue, source + set_stride(key) - half, source, half);
    }
    return qb_queue_mix(queue, source + align(key->read), key->written, source, key->read,
                        mix->kind == CEILING_PLAIN ? QB_STORES_PLAIN : QB_STORES_STREAMING);
}

/* Count what passes through the cache. */
static enum qb_status note_launches(void *context, uint64_t first, uint64_t launches)
{
    const struct mix_context *mix = context;

    (void)first;
    if (mix->stock != NULL) {
        mix->stock->traffic += launches * set_lines(mix->key);
    }
    return QB_OK;
}

/* Take COUNT samples more of the kind of CONTEXT. */
static enum qb_status visit_kind(struct ceiling *ceiling, struct mix_context *context, struct qb_queue *queue,
                                 const struct measure_settings *settings, uint64_t count)
{
    const enum ceiling_kind kind = context->kind;
    struct measure_work work = {
        .launch = launch_mix, .context = context, .sets = ceiling->sets, .reach = note_launches};
    struct measure_settings own = *settings;
    double *larger = reallocarray(ceiling->kinds[kind].samples, ceiling->kinds[kind].count + count, sizeof *larger);
    enum qb_status status;
    uint64_t taken;

    if (larger == NULL) {
        return QB_ERROR_MEMORY;
    }
    ceiling->kinds[kind].samples = larger;
    own.launches = ceiling->kinds[kind].launches;
    own.first = ceiling->first;
    /* Of the time that is left each kind gets its share. */
    if (settings->deadline > 0) {
        own.deadline = clock_seconds() + (settings->deadline - clock_seconds()) / (CEILING_KINDS - (int)kind);
    }
    status = measure_series(ceiling->key.device->handle, queue, &work, &own, count, larger + ceiling->kinds[kind].count,
                            &taken);
    ceiling->kinds[kind].launches = own.launches;
    ceiling->first = own.first;
    ceiling->kinds[kind].count += status == QB_OK ? taken : 0;
    return status;
}

/* True if CEILING has too few sets for a cold cache. */
static bool is_capped(const struct ceiling *ceiling)
{
    return ceiling->sets == MAX_SETS;
}

/* True if CEILING goes through room that all share: on the CPU, and unless its sets fit in the cache. */
static bool shares_room(const struct ceiling *ceiling)
{
    const struct ceiling_key *key = &ceiling->key;

    return key->threads > 0 && key->cache != CACHE_HOT &&
           ceiling->sets * set_lines(key) >= key->device->info.cache_size;
}

/* Sets for CEILING in the room of STOCK, with a few more bytes so that it need not grow for the next; where the
 * rotation goes on. That of few sets goes on by itself, in a part of the room. */
static enum qb_status find_room(struct ceiling *ceiling, struct stock *stock, struct mix_context *context)
{
    const uint64_t stride = set_stride(&ceiling->key), bytes = saturate_multiply(ceiling->sets, stride);
    enum qb_status status = stock_make_room(stock, ceiling->key.device->handle, bytes, stride);

    if (status == QB_OK) {
        context->stock = stock;
        context->memory = stock->room.memory;
        ceiling->first =
            is_capped(ceiling) ? ceiling->first : (stock->room.position + stride - 1) / stride % ceiling->sets;
    }
    return status;
}

/* CEILING has been through the room of STOCK. The next goes on after it, or after all of its few sets. */
static void leave_room(const struct ceiling *ceiling, struct stock *stock)
{
    const uint64_t after = (is_capped(ceiling) ? ceiling->sets : ceiling->first) * set_stride(&ceiling->key);

    stock->room.position = is_capped(ceiling) && after < stock->room.position ? stock->room.position : after;
}

/* Sets for CEILING in memory of their own, *MEMORY. */
static enum qb_status find_memory(struct ceiling *ceiling, void **memory, struct mix_context *context)
{
    struct qb_device *device = ceiling->key.device->handle;
    const uint64_t stride = set_stride(&ceiling->key), all = saturate_multiply(ceiling->sets, stride);
    const uint64_t part = ceiling->key.threads > 0 ? stride : all;
    enum qb_status status = qb_memory_alloc(device, all, memory);

    context->memory = *memory;
    /* On the CPU each set by itself, so that the threads that will use its parts are the first to touch them. */
    for (uint64_t at = 0; at < all && status == QB_OK; at += part) {
        status = qb_memory_fill(device, context->memory + at, 0x5A, part);
    }
    /* The sets are filled in their order, which leaves the last ones in the cache. */
    ceiling->first = 0;
    return status;
}

/* Visit all kinds, with a CONTEXT that has memory, unless STATUS says that it has none. */
static enum qb_status visit_kinds(struct ceiling *ceiling, struct mix_context *context, struct qb_queue *queue,
                                  const struct measure_settings *settings, uint64_t count, enum qb_status status)
{
    for (int kind = 0; kind < CEILING_KINDS; kind++) {
        if (ceiling->kinds[kind].unsupported || (kind == CEILING_COPY && copied_bytes(&ceiling->key) == 0)) {
            continue;
        }
        context->kind = (enum ceiling_kind)kind;
        if (status == QB_OK && !interrupt_requested()) {
            status = visit_kind(ceiling, context, queue, settings, count);
        }
        if (status != QB_OK) {
            ceiling->kinds[kind].unsupported = true;
        }
        if (status == QB_ERROR_UNSUPPORTED) {
            status = QB_OK;
        }
    }
    return status;
}

void ceiling_visit(struct ceiling *ceiling, const struct measure_settings *settings, uint64_t count,
                   struct stock *stock)
{
    const struct ceiling_key *key = &ceiling->key;
    struct mix_context context = {.key = key};
    struct qb_queue *queue = NULL;
    void *memory = NULL;
    const double begin = clock_seconds();
    struct measure_settings own = *settings;
    enum qb_status status = qb_queue_create(key->device->handle, &queue);

    if (status == QB_OK && key->threads > 0) {
        status = qb_queue_set_threads(queue, key->threads);
    }
    if (status == QB_OK) {
        status = shares_room(ceiling) ? find_room(ceiling, stock, &context) : find_memory(ceiling, &memory, &context);
    }
    /* The time is for samples. */
    own.deadline += own.deadline > 0 ? clock_seconds() - begin : 0;
    status = visit_kinds(ceiling, &context, queue, &own, count, status);
    if (context.stock != NULL) {
        leave_room(ceiling, stock);
    }
    if (status != QB_OK) {
        message_warning("the ceiling could not be measured: %s: %s", qb_strerror(status), qb_error_detail());
    }
    qb_memory_free(key->device->handle, memory);
    qb_queue_destroy(queue);
}

double ceiling_time(const struct ceiling *ceiling, enum ceiling_kind kind, uint64_t bytes)
{
    const struct ceiling_key *key = &ceiling->key;
    const size_t count = ceiling->kinds[kind].count;
    const uint64_t moved = kind == CEILING_COPY ? 2 * copied_bytes(key) : key->read + key->written;

    if (count == 0) {
        return 0;
    }
    if (moved == 0) {
        return stats_median(ceiling->kinds[kind].samples, count);
    }
    return stats_median(ceiling->kinds[kind].samples, count) * ((double)bytes / (double)moved);
}
