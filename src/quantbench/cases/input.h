/* SPDX-License-Identifier: Apache-2.0 */
/* input.h - seeded input data. */
#ifndef INPUT_H
#define INPUT_H

#include "quantbench.h"
#include "model/words.h"

/* One column of this many has outliers; of the rest of the columns, or if there are fewer, one too. */
#define INPUT_OUTLIER_COLUMNS 1024
#define INPUT_OUTLIER_FACTOR  32

/* The step between the states of random numbers that follow one another. */
#define INPUT_RANDOM_STEP 0x9E3779B97F4A7C15u

/* A well mixed 64-bit number for each STATE: the output function of SplitMix64 (Steele, Lea, Flood: Fast splittable
 * pseudorandom number generators, 2014). */
static inline uint64_t input_random(uint64_t state)
{
    state = (state ^ state >> 30) * 0xBF58476D1CE4E5B9u;
    state = (state ^ state >> 27) * 0x94D049BB133111EBu;
    return state ^ state >> 31;
}

/* Bytes of one element of FORMAT. */
size_t input_element_size(enum qb_format format);

/* Fill DATA with COUNT elements of FORMAT, in rows of HIDDEN >= 1. Element i depends on DIST, SEED and i alone, and for
 * INPUT_OUTLIERS on HIDDEN too, and only exactly rounded operations are used: the same seed gives the same bytes on
 * every machine and for every number of threads. */
void input_generate(enum input_dist dist, enum qb_format format, uint64_t seed, uint64_t count, uint64_t hidden,
                    void *data);

/* Fill SLOTS with the slots of TOKENS tokens, each another, in PAGES pages of PAGE_SIZE, which have room for them: as
 * sequences of a served model have them, page after page in random order, from some place of the first on. */
void input_generate_slots(uint64_t seed, uint64_t tokens, uint64_t pages, uint64_t page_size, int64_t *slots);

/* Fill TABLE with that of the experts of PROBLEM, which have expert_tokens rows together, shared out by LOAD. Which
 * experts have many is random. */
void input_generate_experts(uint64_t seed, const struct qb_problem *problem, enum expert_load load, int64_t *table);

/* Fill DATA with COUNT weights of a norm, from 0.5 to 1.5, in the same way. */
void input_generate_weights(enum qb_format format, uint64_t seed, uint64_t count, void *data);

/* Fill DATA with rows of ROTARY / 2 cosines and as many sines, one row for each of POSITIONS: element i is that of the
 * position times 10000^(-2i / ROTARY). */
void input_generate_angles(enum qb_format format, uint64_t positions, uint64_t rotary, void *data);

/* Fill DATA with the positions of TOKENS tokens below POSITIONS: one after the other from a random one on, then 0
 * again, so that no more of them are the same than must be. */
void input_generate_positions(uint64_t seed, uint64_t tokens, uint64_t positions, int64_t *data);

#endif
