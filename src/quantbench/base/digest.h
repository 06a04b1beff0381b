/* SPDX-License-Identifier: Apache-2.0 */
/* digest.h - a 64-bit number that stands for bytes: other bytes have another one, unless somebody looks for some that
 * do not. It is as fast as memory, and the same in all versions, since records keep it. */
#ifndef DIGEST_H
#define DIGEST_H

#include <stdint.h>

/* Lanes of multiplications, which together keep up with memory. */
#define DIGEST_LANES 4

/* Of bytes that come in pieces; all zero at the beginning. */
struct digest {
    uint64_t lanes[DIGEST_LANES];
    uint64_t length;
};

/* Bytes of which all pieces but the last are multiples. */
#define DIGEST_PIECE (DIGEST_LANES * sizeof(uint64_t))

/* Add LENGTH bytes. */
void digest_add(struct digest *digest, const void *bytes, uint64_t length);
/* The number of all that was added. */
uint64_t digest_value(const struct digest *digest);
/* The number of LENGTH bytes. */
uint64_t digest_of(const void *bytes, uint64_t length);

#endif
