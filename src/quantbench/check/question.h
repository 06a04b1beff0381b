/* SPDX-License-Identifier: Apache-2.0 */
/* question.h - small changes of a case's data, and what the right answer to them is. */
#ifndef QUESTION_H
#define QUESTION_H

#include "check/change.h"
#include "model/tiling.h"

/* One value, and its code. Of codes that are dequantized: one code, and its value. */
struct probe {
    unsigned set;
    uint64_t element;
    uint32_t was;  /* its bits in the case's data */
    uint32_t is;   /* and in the question; often the same */
    uint32_t old;  /* the answer for the case's data */
    uint32_t want; /* the right one */
    uint32_t poison;
    bool rescaled;        /* its tile has another scale than that of the case's data */
    struct change change; /* that makes it so */
};

/* The scale of a tensor, and the bits of the amax that it is computed from. */
struct tensor_scaling {
    float scale; /* 1: there is none */
    uint32_t amax;
};

/* The scale of a tile, all that belongs to it, and what its elements are divided by or multiplied with. */
struct scaling {
    uint32_t stored;    /* in the scale format */
    int32_t zero_point; /* 0: there is none; the lower part comes first */
    struct tensor_scaling tensor;
    float factor; /* dynamic */
};

/* One tile, and its scale. No two of one set are under the same tensor scale, if there are any. */
struct scale_probe {
    unsigned set;
    uint64_t tile;
    bool changed;          /* the question is about another scale than that of the case's data */
    struct scaling old;    /* of the case's data */
    struct scaling want;   /* the right one; static: the one that is given */
    struct scaling poison; /* what no right kernel writes here */
};

struct question {
    unsigned part; /* of the problem that it is about */
    size_t probe_count;
    size_t scale_count;
    struct probe *probes;
    struct scale_probe *scales;
};

/* The least and the largest element of a tile, as numbers in the order of elements; NaN is none. */
struct ends {
    uint32_t low, high;
};

/* The data that questions are about, and a source of random numbers. */
struct questioner {
    struct qb_problem whole;   /* dense rows */
    struct qb_problem problem; /* the quantization that it ends with, or takes back */
    struct qb_arithmetic arithmetic;
    const struct case_data *data;
    const void *input;       /* host memory: what is quantized */
    struct qb_tensors given; /* host memory; NULL: launches write them, or there are none */
    unsigned sets;           /* that a question is about */
    uint64_t random_state;
    struct tiling tiling;
    struct ends *ranges;          /* that were found in large tiles; NULL: tiles are small */
    bool *known;                  /* which those are */
    struct tensor_scaling tensor; /* of the case's data */
};

/* Get ready for questions; QB_ERROR_MEMORY, or QB_OK. The problem has elements. GIVEN is by role, what launches read
 * besides DATA. Both stay until the end. End QUESTIONER either way. */
enum qb_status questioner_begin(const struct qb_problem *problem, const struct qb_arithmetic *arithmetic,
                                const struct case_data *data, void *const given[QB_ROLE_COUNT], unsigned sets,
                                struct questioner *questioner);
void questioner_end(struct questioner *questioner);

/* A number that nobody can foresee. */
uint64_t questioner_entropy(void);

/* The role of what is asked about: the codes, or what they are dequantized to. */
enum qb_role questioner_answer(const struct questioner *q);

/* True if GOT is right for WANT there. */
bool questioner_is_answer(const struct questioner *q, uint32_t got, uint32_t want);

/* Set *OLD to the right answer for ELEMENT that is WAS in the case's data, and *WANT to that for IS in its place, if no
 * scale changes with it. */
enum qb_status questioner_answers(struct questioner *q, uint64_t element, uint32_t was, uint32_t is, uint32_t *old,
                                  uint32_t *want);

/* The roles that belong to a scale. */
#define QUESTION_ROLES 3
extern const enum qb_role question_roles[QUESTION_ROLES];

/* True if Q's problem has a tensor of ROLE. */
bool questioner_has(const struct questioner *q, enum qb_role role);

/* Where what belongs to TILE is in the tensor of ROLE, in bytes, and how many. */
uint64_t questioner_place(const struct questioner *q, enum qb_role role, uint64_t tile, size_t *size);

/* The bits of it, as they lie in memory. */
uint32_t question_bits(const struct questioner *questioner, const struct scaling *scaling, enum qb_role role);

/* True if GOT is right for WANT there. */
bool question_is_right(const struct questioner *q, enum qb_role role, uint32_t got, uint32_t want);

/* A random number less than COUNT, which is at least 1. */
uint64_t questioner_random(struct questioner *questioner, uint64_t count);

/* Compose a question about SCALES tiles and PROBES elements, or fewer where the same ones were drawn twice. If
 * RESCALES, the right answer to these tiles has another scale. QUESTION->probes has room for
 * 2 * (SCALES + PROBES), QUESTION->scales for SCALES. */
enum qb_status question_compose(struct questioner *questioner, bool rescales, size_t scales, size_t probes,
                                struct question *question);

#endif
