/* SPDX-License-Identifier: Apache-2.0 */
/* question.h - small changes of a case's data, and what the right answer to them is. */
#ifndef QUESTION_H
#define QUESTION_H

#include "model/tiling.h"

/* One element of the input, and its code. */
struct probe {
    unsigned set;
    uint64_t element;
    uint32_t was; /* the element's bits in the case's data */
    uint32_t is;  /* and in the question; often the same */
    uint8_t old;  /* the code of the case's data */
    uint8_t want; /* the right one */
    uint8_t poison;
    bool rescaled; /* its tile has another scale than that of the case's data */
};

/* The scale of a tile, and what its elements are divided by or multiplied with. */
struct scaling {
    float stored;
    float factor; /* dynamic */
};

/* One tile, and its scale. */
struct scale_probe {
    unsigned set;
    uint64_t tile;
    bool changed;        /* the question is about another scale than that of the case's data */
    struct scaling old;  /* of the case's data */
    struct scaling want; /* the right one; static: the one that is given */
    float poison;
};

struct question {
    size_t probe_count;
    size_t scale_count;
    struct probe *probes;
    struct scale_probe *scales;
};

/* The data that questions are about, and a source of random numbers. */
struct questioner {
    struct qb_problem problem; /* dense rows */
    struct qb_arithmetic arithmetic;
    const void *input;         /* host memory */
    const float *given_scales; /* host memory; NULL unless they are static */
    unsigned sets;             /* that a question is about */
    uint64_t random_state;
    struct tiling tiling;
    uint32_t *amaxes; /* bits of the magnitudes that were found in large tiles; NULL: tiles are small */
    bool *known;      /* which those are */
};

/* Get ready for questions; QB_ERROR_MEMORY, or QB_OK. The problem has elements. End QUESTIONER either way. */
enum qb_status questioner_begin(const struct qb_problem *problem, const struct qb_arithmetic *arithmetic,
                                const void *input, const float *given_scales, unsigned sets,
                                struct questioner *questioner);
void questioner_end(struct questioner *questioner);

/* A random number less than COUNT, which is at least 1. */
uint64_t questioner_random(struct questioner *questioner, uint64_t count);

/* Compose a question about SCALES tiles and PROBES elements, or fewer where the same ones were drawn twice. If
 * RESCALES, the right answer to these tiles has another scale. QUESTION->probes has room for SCALES + PROBES,
 * QUESTION->scales for SCALES. */
enum qb_status question_compose(struct questioner *questioner, bool rescales, size_t scales, size_t probes,
                                struct question *question);

#endif
