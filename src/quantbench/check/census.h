/* SPDX-License-Identifier: Apache-2.0 */
/* census.h - how often each value is there in the dumps of a tensor: exact ranges and percentiles of data of any size,
 * in memory that does not grow with them. */
#ifndef CENSUS_H
#define CENSUS_H

#include "quantbench.h"

/* Values are told apart by 16 bits: those of F16 and BF16, or the upper half of F32. */
#define CENSUS_KEYS 0x10000

struct census {
    enum qb_format format; /* F16, BF16 or F32 */
    uint64_t *counts;      /* of each key */
    uint64_t nan, infinite, finite;
    float low, high;     /* the smallest and the largest finite element; 0 and 0 if there are none */
    uint32_t low_halves; /* of F32: the bits that any finite element has in its lower half */
};

/* Begin with no elements of FORMAT; false if memory is short. End CENSUS either way. */
bool census_begin(struct census *census, enum qb_format format);
void census_end(struct census *census);

/* Count COUNT elements at DATA, once; false if memory is short. */
bool census_count(struct census *census, const void *data, uint64_t count);
/* Add what OTHER has counted, of the same format. */
void census_merge(struct census *census, const struct census *other);

/* True if keys are values: elements have no more bits. */
bool census_is_exact(const struct census *census);
/* The value of KEY; if keys are not values, the smallest magnitude of those that it stands for. */
float census_value(const struct census *census, uint32_t key);
/* True if KEY stands for finite values. */
bool census_is_finite(const struct census *census, uint32_t key);

/* Where elements are counted from: the largest magnitude, the largest value, or the smallest. */
enum census_end { CENSUS_MAGNITUDE, CENSUS_HIGH, CENSUS_LOW };

/* A search for the element that has a number of finite ones beyond it, towards an END. */
struct census_rank {
    enum census_end end;
    uint32_t key;     /* that the element has */
    uint64_t rest;    /* how many of those beyond it have the same */
    uint64_t *halves; /* how often each lower half is there with that key; NULL: keys are values */
};

/* Begin to search in CENSUS for the element with CUT beyond it, fewer than the finite ones. False if memory is short.
 * End RANK either way. */
bool census_rank_begin(const struct census *census, enum census_end end, uint64_t cut, struct census_rank *rank);
/* Count COUNT elements at DATA again; needed for all that was counted, unless keys are values. */
void census_rank_count(struct census_rank *rank, const void *data, uint64_t count);
/* The element; a magnitude for that end. */
float census_rank_value(const struct census *census, const struct census_rank *rank);
void census_rank_end(struct census_rank *rank);

/* How many of COUNT elements lie beyond the percentile PERCENT / CENSUS_PERCENT: as many as leave that share. ENDS are
 * the ends that share them equally, 1 or 2. */
#define CENSUS_PERCENT UINT64_C(100000)
uint64_t census_cut(uint64_t count, uint64_t percent, unsigned ends);

#endif
