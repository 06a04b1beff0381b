/* SPDX-License-Identifier: Apache-2.0 */
/* digest.c - see digest.h. */
#include <config.h>

#include "base/digest.h"

#include <string.h>

/* Each step can be undone, so that a difference in one word is never lost. */
static uint64_t mix(uint64_t hash, uint64_t word)
{
    hash = (hash ^ word) * 0x9E3779B97F4A7C15u;
    return hash ^ hash >> 32;
}

void digest_add(struct digest *digest, const void *bytes, uint64_t length)
{
    const uint8_t *from = bytes;
    uint64_t words[DIGEST_LANES], i = 0;

    for (; i + sizeof words <= length; i += sizeof words) {
        memcpy(words, from + i, sizeof words);
        for (int lane = 0; lane < DIGEST_LANES; lane++) {
            digest->lanes[lane] = mix(digest->lanes[lane], words[lane]);
        }
    }
    for (; i < length; i++) {
        digest->lanes[i % DIGEST_LANES] = mix(digest->lanes[i % DIGEST_LANES], from[i]);
    }
    digest->length += length;
}

uint64_t digest_value(const struct digest *digest)
{
    uint64_t value = digest->length;

    for (int lane = 0; lane < DIGEST_LANES; lane++) {
        value = mix(value, digest->lanes[lane]);
    }
    return value;
}

uint64_t digest_of(const void *bytes, uint64_t length)
{
    struct digest digest = {.length = 0};

    digest_add(&digest, bytes, length);
    return digest_value(&digest);
}
