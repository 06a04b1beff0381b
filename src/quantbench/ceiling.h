/* SPDX-License-Identifier: Apache-2.0 */
/* ceiling.h - what the memory of this device allows, measured in the same run. */
#ifndef CEILING_H
#define CEILING_H

#include "measure.h"

/* The bytes of the cache lines that a buffer of BYTES bytes takes, if it begins at one. */
uint64_t ceiling_lines(uint64_t bytes);

/* How many buffer sets that take SET_BYTES bytes of the cache must rotate so that each launch finds a last-level cache
 * of CACHE_SIZE bytes cold: four times the cache, and at least two sets. At most 65536, which is too few for a cold
 * cache if the sets are tiny. */
unsigned ceiling_cold_sets(uint64_t set_bytes, uint64_t cache_size);

/* The copy that cases are held against; measured once for each size, device and number of threads. */
struct ceiling {
    struct qb_device *device;
    unsigned threads;
    uint64_t bytes;     /* moved: half read, half written */
    double nanoseconds; /* median; 0: it could not be measured */
};

/* Time a device-to-device copy that moves BYTES bytes in all, cold, with SETTINGS, unless CEILING holds it already. A
 * failure is no error of the run but a warning, once: CEILING then says 0. */
void ceiling_copy(struct qb_queue *queue, struct qb_device *device, unsigned threads, uint64_t bytes,
                  uint64_t cache_size, const struct measure_settings *settings, struct ceiling *ceiling);

#endif
