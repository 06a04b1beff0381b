/* SPDX-License-Identifier: Apache-2.0 */
/* ceiling.h - what the memory of this device allows, measured in the same run as the cases. */
#ifndef CEILING_H
#define CEILING_H

#include "cases/plan.h"
#include "measure/measure.h"
#include "measure/stock.h"

/* The bytes of the cache lines that a buffer of BYTES bytes takes, if it begins at one. */
uint64_t ceiling_lines(uint64_t bytes);

/* How many buffer sets that take SET_BYTES bytes of the cache must rotate so that each launch finds a last-level cache
 * of CACHE_SIZE bytes cold, 0 if that is unknown: four times the cache, and at least two sets. At most 16384, which is
 * too few for a cold cache if the sets are tiny. */
unsigned ceiling_cold_sets(uint64_t set_bytes, uint64_t cache_size);

/* What a ceiling depends on: cases that agree in it share one. Bytes may differ by a thirty-second, as times are in
 * proportion to them. */
struct ceiling_key {
    struct device *device;
    unsigned threads;
    enum cache_state cache; /* CACHE_COLD or CACHE_HOT */
    enum launch_mode launch;
    uint64_t read, written; /* bytes of a launch */
};

struct ceiling {
    struct ceiling_key key;
    unsigned sets;
    size_t users;   /* cases that share it */
    double spent;   /* seconds that the visits took */
    uint64_t first; /* set of the next window */
    struct {
        uint64_t launches; /* of a sample; 0 before the first */
        double *samples;   /* nanoseconds per launch */
        size_t count;
        bool unsupported; /* or failed, which has been said */
    } kinds[CEILING_KINDS];
};

struct ceilings {
    struct ceiling *values;
    size_t count;
    size_t *slots; /* a hash table: 1 + the index of a ceiling, or 0 */
    size_t slot_count;
};

/* The ceiling of KEY, added if it is new: its index is put into INDEX. An error has been printed. */
enum exit_code ceilings_find(struct ceilings *ceilings, const struct ceiling_key *key, size_t *index);
void ceilings_free(struct ceilings *ceilings);

/* Take COUNT samples of each kind, with SETTINGS but for the launches; fewer, but one, after their deadline. On the CPU
 * they go through the room of STOCK. A failure is not an error of the run but a warning, once. */
void ceiling_visit(struct ceiling *ceiling, const struct measure_settings *settings, uint64_t count,
                   struct stock *stock);

/* The median time in nanoseconds of a launch that moves BYTES bytes; 0 if there is none. It sorts the samples. */
double ceiling_time(const struct ceiling *ceiling, enum ceiling_kind kind, uint64_t bytes);

#endif
