/* SPDX-License-Identifier: Apache-2.0 */
/* binary32.h - a binary32 number and its bits. */
#ifndef BINARY32_H
#define BINARY32_H

#include <stdint.h>
#include <string.h>

/* The number whose bits BITS are. */
static inline float binary32_of(uint32_t bits)
{
    float value;

    memcpy(&value, &bits, sizeof value);
    return value;
}

static inline uint32_t binary32_bits(float value)
{
    uint32_t bits;

    memcpy(&bits, &value, sizeof bits);
    return bits;
}

#endif
