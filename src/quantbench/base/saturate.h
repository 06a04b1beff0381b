/* SPDX-License-Identifier: Apache-2.0 */
/* saturate.h - sums and products of numbers of bytes: what is too large to count is more than any memory. In no object
 * file. */
#ifndef SATURATE_H
#define SATURATE_H

#include <stdint.h>

static inline uint64_t saturate_add(uint64_t a, uint64_t b)
{
    return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

static inline uint64_t saturate_multiply(uint64_t a, uint64_t b)
{
    return b > 0 && a > UINT64_MAX / b ? UINT64_MAX : a * b;
}

#endif
