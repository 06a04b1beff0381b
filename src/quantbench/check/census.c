/* SPDX-License-Identifier: Apache-2.0 */
/* census.c - counts values by 16 of their bits. Where there are more, a second pass over the data counts the lower
 * halves of those that share the upper one. */
#include <config.h>

#include "base/binary32.h"
#include "check/census.h"

#include <math.h>
#include <stdlib.h>

#define SIGN     0x8000u
#define QUIET    0x7FC0u /* the key of all NaN of F32 */
#define INFINITE 0x7F800000u

/* The first key that is not finite. */
static uint32_t infinity_of(const struct census *census)
{
    return census->format == QB_FORMAT_F16 ? 0x7C00 : INFINITE >> 16;
}

bool census_begin(struct census *census, enum qb_format format)
{
    *census = (struct census){.format = format, .counts = calloc(CENSUS_KEYS, sizeof *census->counts)};
    return census->counts != NULL;
}

void census_end(struct census *census)
{
    free(census->counts);
    census->counts = NULL;
}

bool census_is_exact(const struct census *census)
{
    return census->format != QB_FORMAT_F32 || census->low_halves == 0;
}

bool census_is_finite(const struct census *census, uint32_t key)
{
    return (key & ~SIGN) < infinity_of(census);
}

float census_value(const struct census *census, uint32_t key)
{
    return census->format == QB_FORMAT_F16 ? qb_format_decode(QB_FORMAT_F16, key) : binary32_of(key << 16);
}

/* ---- Counting --------------------------------------------------------------------------------------------------- */

/* A part of the elements. */
struct part {
    uint64_t *counts;
    float low, high; /* of F32, as below */
    uint32_t low_halves;
};

static void count_halves(const uint16_t *data, uint64_t count, struct part *part)
{
    for (uint64_t i = 0; i < count; i++) {
        part->counts[data[i]]++;
    }
}

static void count_floats(const float *data, uint64_t count, struct part *part)
{
    for (uint64_t i = 0; i < count; i++) {
        const uint32_t bits = binary32_bits(data[i]);

        if ((bits & ~(SIGN << 16)) < INFINITE) {
            part->low_halves |= bits & 0xFFFF;
            part->low = data[i] < part->low ? data[i] : part->low;
            part->high = data[i] > part->high ? data[i] : part->high;
        }
        part->counts[isnan(data[i]) ? QUIET : bits >> 16]++;
    }
}

/* Add PART. */
static void take(struct census *census, const struct part *part)
{
    for (uint32_t key = 0; key < CENSUS_KEYS; key++) {
        census->counts[key] += part->counts[key];
    }
    census->low_halves |= part->low_halves;
    census->low = part->low < census->low ? part->low : census->low;
    census->high = part->high > census->high ? part->high : census->high;
}

/* Set what follows from the counts. */
static void sum_up(struct census *census)
{
    const uint32_t infinity = infinity_of(census);

    census->infinite = census->counts[infinity] + census->counts[infinity | SIGN];
    for (uint32_t key = 0; key < CENSUS_KEYS; key++) {
        const uint64_t count = census->counts[key];

        if (count == 0 || (key & ~SIGN) == infinity) {
            continue;
        }
        if (!census_is_finite(census, key)) {
            census->nan += count;
            continue;
        }
        census->finite += count;
        if (census->format != QB_FORMAT_F32) {
            const float value = census_value(census, key);

            census->low = value < census->low ? value : census->low;
            census->high = value > census->high ? value : census->high;
        }
    }
    if (census->finite == 0) {
        census->low = census->high = 0;
    }
}

/* Elements that a thread counts at once: some threads may have none. */
#define PIECE (UINT64_C(1) << 18)

bool census_count(struct census *census, const void *data, uint64_t count)
{
    const uint64_t pieces = (count + PIECE - 1) / PIECE;
    bool good = true;

    census->low = INFINITY;
    census->high = -INFINITY;
#pragma omp parallel if (pieces > 1)
    {
        struct part part = {calloc(CENSUS_KEYS, sizeof *part.counts), INFINITY, -INFINITY, 0};

#pragma omp for schedule(dynamic)
        for (uint64_t i = 0; i < pieces; i++) {
            const uint64_t first = i * PIECE, some = count - first < PIECE ? count - first : PIECE;

            if (part.counts == NULL) {
                continue;
            }
            if (census->format == QB_FORMAT_F32) {
                count_floats((const float *)data + first, some, &part);
            } else {
                count_halves((const uint16_t *)data + first, some, &part);
            }
        }
#pragma omp critical(census)
        {
            good = good && part.counts != NULL;
            if (part.counts != NULL) {
                take(census, &part);
            }
        }
        free(part.counts);
    }
    sum_up(census);
    return good;
}

void census_merge(struct census *census, const struct census *other)
{
    const bool both = census->finite > 0 && other->finite > 0;

    if (other->finite > 0) {
        census->low = both && census->low < other->low ? census->low : other->low;
        census->high = both && census->high > other->high ? census->high : other->high;
    }
    for (uint32_t key = 0; key < CENSUS_KEYS; key++) {
        census->counts[key] += other->counts[key];
    }
    census->nan += other->nan;
    census->infinite += other->infinite;
    census->finite += other->finite;
    census->low_halves |= other->low_halves;
}

/* ---- Ranks ------------------------------------------------------------------------------------------------------ */

uint64_t census_cut(uint64_t count, uint64_t percent, unsigned ends)
{
    /* In two parts, since the product may have more than 64 bits. */
    const uint64_t whole = 100 * CENSUS_PERCENT * ends, cut = 100 * CENSUS_PERCENT - percent;

    return count / whole * cut + count % whole * cut / whole;
}

/* The key in place INDEX from END on; of magnitudes, without the sign. */
static uint32_t key_at(const struct census *census, enum census_end end, uint32_t index)
{
    const uint32_t infinity = infinity_of(census), inner = end == CENSUS_HIGH ? SIGN : 0;

    if (end == CENSUS_MAGNITUDE || index < infinity) {
        return (infinity - 1 - index) | (end == CENSUS_LOW ? SIGN : 0);
    }
    return (index - infinity) | inner;
}

bool census_rank_begin(const struct census *census, enum census_end end, uint64_t cut, struct census_rank *rank)
{
    const uint32_t places = infinity_of(census) * (end == CENSUS_MAGNITUDE ? 1 : 2);

    *rank = (struct census_rank){.end = end, .rest = cut};
    for (uint32_t index = 0; index < places; index++) {
        const uint32_t key = key_at(census, end, index);
        const uint64_t count = census->counts[key] + (end == CENSUS_MAGNITUDE ? census->counts[key | SIGN] : 0);

        rank->key = key;
        if (rank->rest < count) {
            break;
        }
        rank->rest -= count;
    }
    if (!census_is_exact(census)) {
        rank->halves = calloc(CENSUS_KEYS, sizeof *rank->halves);
    }
    return census_is_exact(census) || rank->halves != NULL;
}

void census_rank_count(struct census_rank *rank, const void *data, uint64_t count)
{
    const uint32_t mask = rank->end == CENSUS_MAGNITUDE ? 0xFFFF & ~SIGN : 0xFFFF;

    for (uint64_t i = 0; rank->halves != NULL && i < count; i++) {
        const uint32_t bits = binary32_bits(((const float *)data)[i]);

        if ((bits >> 16 & mask) == rank->key) {
            rank->halves[bits & 0xFFFF]++;
        }
    }
}

float census_rank_value(const struct census *census, const struct census_rank *rank)
{
    /* The larger the lower half is, the larger is the magnitude. */
    const bool from_largest = rank->end == CENSUS_MAGNITUDE || (rank->end == CENSUS_HIGH) == ((rank->key & SIGN) == 0);
    uint64_t rest = rank->rest;
    uint32_t half = 0;

    if (rank->halves == NULL) {
        return census_value(census, rank->key);
    }
    for (uint32_t index = 0; index < CENSUS_KEYS; index++) {
        half = from_largest ? CENSUS_KEYS - 1 - index : index;
        if (rest < rank->halves[half]) {
            break;
        }
        rest -= rank->halves[half];
    }
    return binary32_of(rank->key << 16 | half);
}

void census_rank_end(struct census_rank *rank)
{
    free(rank->halves);
    rank->halves = NULL;
}
