/* SPDX-License-Identifier: Apache-2.0 */
/* challenge.h - that the launches that are timed do their work, and on the data that are there now: between samples
 * some elements change and some outputs are overwritten, and the next sample must give the new answer.
 *
 * A kernel that leaves a share f of its work undone in each launch passes a challenge of n probes with a probability of
 * (1 - f)^n. Each sample is one of CHALLENGE_PROBES. Those of launches that do the work in turns find less, so that
 * each visit has up to MEASURE_SINGLES that are met by a single launch on each set. For f = 7/8, one row in eight, one
 * challenge is passed once in 10^28 times; for f = 1/8, a visit of ten samples once in 10^18. A kernel that looks at w
 * of its N bytes of output to see whether it is asked finds out by n w / N, and must do so each time. */
#ifndef CHALLENGE_H
#define CHALLENGE_H

#include "check/buffers.h"
#include "measure/measure.h"
#include "cases/plan.h"
#include "check/question.h"
#include "model/part.h"

/* Probes of codes, and where a sample is one launch. */
#define CHALLENGE_PROBES   32
#define CHALLENGE_ISOLATED 8

/* What is wrong with an output. */
enum challenge_fault {
    CHALLENGE_UNDONE, /* what was overwritten before the launches still is after them */
    CHALLENGE_STALE,  /* it is the answer for the data before their change */
    CHALLENGE_WRONG,  /* it is something else */
};
#define CHALLENGE_FAULTS 3

struct challenge_finding {
    uint64_t codes;
    uint64_t scales;
    char first[192]; /* the first of them, for people */
};

/* The challenges of one visit. */
struct challenges {
    const struct buffers *buffers;
    const struct qb_problem *problem; /* the case's, or that of one of its experts, OWN */
    struct qb_problem own;
    uint64_t offsets[QB_ROLE_COUNT]; /* bytes from the beginning of each tensor to what that expert has; else 0 */
    void *given[QB_ROLE_COUNT];      /* what it has of what else launches read */
    struct questioner questioners[PART_MOST]; /* one for each part of it */
    struct case_data data[PART_MOST];         /* of which they are */
    struct question *questions;
    size_t usual_count;           /* the first questions; they repeat */
    size_t next;                  /* of these */
    size_t count;                 /* of all */
    const struct question *posed; /* NULL: none is */
    unsigned first_set;           /* that it is about; those after the last are the first again */
    unsigned sets;                /* of the buffers */
    bool *outdated;               /* for each set: its outputs hold the answer to a question */
    uint64_t codes, scales;       /* were judged */
    uint64_t stale_codes;         /* in tiles that were not rescaled */
    struct challenge_finding findings[CHALLENGE_FAULTS];
};

/* Prepare the challenges of a visit of SAMPLES samples of PLAN_CASE, which has DATA, and by role what else
 * launches read, GIVEN (host memory; all stay until challenges_end()). BUFFERS has SETS sets, and each question
 * is about ASKED of them in a row. An error has been printed; end CHALLENGES either way. */
enum exit_code challenges_begin(const struct plan_case *plan_case, const struct case_data *data,
                                void *const given[QB_ROLE_COUNT], const struct buffers *buffers, unsigned sets,
                                unsigned asked, uint64_t samples, struct challenges *challenges);
void challenges_end(struct challenges *challenges);

/* The number, from 1 to COUNT, of the sample before which a MEASURE_SINGLE is to be met; not the first, if it can be.
 */
uint64_t challenges_single(struct challenges *challenges, uint64_t count);

/* Change the data, as measure.h wants it, while no queue uses them; and then look at the answer, and put the data back.
 * Nothing is allocated, and no more than the probes' cache lines are touched. */
enum qb_status challenges_pose(struct challenges *challenges, enum measure_question kind, unsigned set);
enum qb_status challenges_judge(struct challenges *challenges);

/* EXIT_OK if all answers were right. If not, that has been printed of KERNEL, and MISMATCH says what was wrong. */
enum exit_code challenges_verdict(const struct challenges *challenges, const char *kernel, struct mismatch *mismatch);

#endif
