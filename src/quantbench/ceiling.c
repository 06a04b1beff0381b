/* SPDX-License-Identifier: Apache-2.0 */
/* ceiling.c - the time of a plain copy of as many bytes as a case moves. */
#include <config.h>

#include "ceiling.h"
#include "message.h"
#include "stats.h"

#include <stdlib.h>

/* Bytes: the smallest line of the caches in question. */
#define CACHE_LINE 64

uint64_t ceiling_lines(uint64_t bytes)
{
    return bytes / CACHE_LINE * CACHE_LINE + (bytes % CACHE_LINE != 0 ? CACHE_LINE : 0);
}

unsigned ceiling_cold_sets(uint64_t set_bytes, uint64_t cache_size)
{
    uint64_t sets = 4 * cache_size / (set_bytes > 0 ? set_bytes : 1) + 1;

    return sets < 2 ? 2 : sets > 65536 ? 65536 : (unsigned)sets;
}

/* Source and target of all sets lie one behind the other in one allocation. */
struct copy_context {
    char *memory;
    uint64_t half;   /* bytes of one copy */
    uint64_t stride; /* bytes from one half to the next, so that all are aligned */
};

static enum qb_status launch_copy(void *context, struct qb_queue *queue, unsigned set)
{
    const struct copy_context *copies = context;
    char *source = copies->memory + 2 * set * copies->stride;

    return qb_queue_copy(queue, source + copies->stride, source, copies->half);
}

/* A size near BYTES that is copied at full speed: cudaMemcpyAsync() takes half as long again for one that is not a
 * round number of kilobytes (37.8 against 25.2 us for 50 MB on an H200), and that is no ceiling. The time is corrected
 * for what is left out, at most 6 %. */
static uint64_t round_copy(uint64_t bytes)
{
    uint64_t unit = bytes >= (uint64_t)1 << 20 ? (uint64_t)1 << 16 : 16;

    return bytes / unit * unit;
}

void ceiling_copy(struct qb_queue *queue, struct qb_device *device, unsigned threads, uint64_t bytes,
                  uint64_t cache_size, const struct measure_settings *settings, struct ceiling *ceiling)
{
    uint64_t half = round_copy(bytes / 2);
    struct copy_context copies = {.half = half, .stride = (half + 255) / 256 * 256};
    struct measure_work work = {launch_copy, &copies, ceiling_cold_sets(2 * ceiling_lines(half), cache_size)};
    struct measure_result result = {.samples = NULL};
    struct stats stats;
    void *memory = NULL;
    enum qb_status status;

    if (ceiling->device == device && ceiling->threads == threads && ceiling->bytes == bytes) {
        return;
    }
    *ceiling = (struct ceiling){device, threads, bytes, 0};
    if (copies.half == 0) {
        return;
    }
    status = qb_memory_alloc(device, 2 * work.sets * copies.stride, &memory);
    copies.memory = memory;
    if (status == QB_OK) {
        status = qb_memory_fill(device, memory, 0x5A, 2 * work.sets * copies.stride);
    }
    if (status == QB_OK) {
        status = measure_run(queue, device, &work, settings, &result);
    }
    if (status != QB_OK) {
        message_warning("the copy to compare with could not be measured: %s: %s", qb_strerror(status),
                        qb_error_detail());
    } else if (result.count > 0 && stats_compute(result.samples, result.count, &stats)) {
        ceiling->nanoseconds = stats.median * ((double)(bytes / 2) / (double)half);
    }
    free(result.samples);
    qb_memory_free(device, memory);
}
