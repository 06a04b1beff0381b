/* SPDX-License-Identifier: Apache-2.0 */
/* rounds.h - which case is visited when. */
#ifndef ROUNDS_H
#define ROUNDS_H

#include "schedule/visits.h"

/* Prove all cases of BENCH in the order of the plan, then visit those that are right in rounds: each round visits all
 * cases, and the ceilings that they are held against, in a random order of its own that the seed determines, so that
 * drift of the machine spreads over all of them. Ends when every case has its samples, or its precision, or no time
 * left, or when interrupted; then every result is concluded. Visits that JOURNAL has are taken from it. */
void rounds_run(struct bench *bench, struct journal *journal);

/* Its first part: prove all cases. */
void rounds_prove(struct visits *visits);

/* Say how far the run of VISITS is: in ROUND of ROUNDS, DONE of its ALL parts, where it comes to case number NUMBER of
 * the round; 0: to none, or to several. */
void rounds_show_progress(const struct visits *visits, uint64_t round, uint64_t rounds, size_t done, size_t all,
                          size_t number);

/* There are no BYTES bytes for the order of the visits: no case can run. */
void rounds_fail(struct bench *bench, uint64_t bytes);

/* All visits are over: conclude every result. */
void rounds_end(struct visits *visits);

/* The numbers 0 to COUNT - 1 in the random order of round ROUND. */
void rounds_shuffle(uint64_t seed, uint64_t round, size_t count, size_t *order);

/* Seconds that case INDEX may still take: --max-time, less what its visits took, and its part of what those of its
 * ceiling did. INFINITY: there is no limit. */
double rounds_time_left(const struct bench *bench, size_t index);

/* Note that case INDEX, which had BEFORE samples, was to take WANTED more: an interrupt aside, it lacks some only
 * because its time was up. */
void rounds_note_time(struct bench *bench, size_t index, size_t before, uint64_t wanted);

/* The share of a case's time that is for its ceiling, as its samples are a fourth of the case's. */
#define ROUNDS_CEILING_SHARE 4

/* Of SAMPLES samples spread over ROUNDS rounds, how many round ROUND takes. */
uint64_t rounds_share(uint64_t samples, uint64_t rounds, uint64_t round);

#endif
