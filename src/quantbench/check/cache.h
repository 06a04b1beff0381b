/* SPDX-License-Identifier: Apache-2.0 */
/* cache.h - a KV cache that tokens are written to or read from: what belongs to which token, and what to none. */
#ifndef CACHE_H
#define CACHE_H

#include "quantbench.h"

/* True if the tensor of ROLE, as a launch of PROBLEM writes or reads it, has what belongs to a token at its slot. */
bool cache_has(const struct qb_problem *problem, enum qb_role role);

/* Where code or scale COL of TOKEN is in the tensor of ROLE, in bytes. SLOTS are of all tokens, and this one is
 * not left out. */
uint64_t cache_offset(const struct qb_problem *problem, const int64_t *slots, enum qb_role role, uint64_t token,
                      uint64_t col);

/* Put what tokens have in ROWS, token by token without gaps, to their slots in CACHE, the tensor of ROLE. */
void cache_put(const struct qb_problem *problem, const int64_t *slots, enum qb_role role, const void *rows,
               void *cache);

/* Take what tokens have in CACHE to ROWS, which keep what they have of tokens that are left out. What is left in CACHE
 * belongs to no token; where it was taken from, BLANK is. */
void cache_take(const struct qb_problem *problem, const int64_t *slots, enum qb_role role, void *cache, uint8_t blank,
                void *rows);

/* Describe byte OFFSET of the tensor of ROLE, which belongs to no token. Returns TEXT. */
#define CACHE_TEXT_SIZE 128
const char *cache_text(const struct qb_problem *problem, enum qb_role role, uint64_t offset,
                       char text[CACHE_TEXT_SIZE]);

#endif
