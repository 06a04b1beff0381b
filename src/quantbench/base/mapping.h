/* SPDX-License-Identifier: Apache-2.0 */
/* mapping.h - a part of a file as memory. */
#ifndef MAPPING_H
#define MAPPING_H

#include <stdbool.h>
#include <stdint.h>

/* Begins as zero, and is not moved while it is open. */
struct mapping {
    const void *data; /* the bytes that were asked for; NULL: not open */
    void *pages;      /* what is mapped: whole pages */
    uint64_t size;    /* of PAGES, bytes */
};

/* Map BYTES bytes, at least one, of the file DESCRIPTOR from OFFSET on, which the caller has compared with its size.
 * False sets errno. One mapping is open at a time. */
bool mapping_open(int descriptor, uint64_t offset, uint64_t bytes, struct mapping *mapping);

/* True if the file became shorter while it was mapped, or could not be read: what was read of MAPPING then is 0. The
 * system would end the process by SIGBUS instead. */
bool mapping_is_broken(const struct mapping *mapping);

/* What is not open is nothing to close. */
void mapping_close(struct mapping *mapping);

#endif
