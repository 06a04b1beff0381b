/* SPDX-License-Identifier: Apache-2.0 */
/* verify.h - what the reference says a case's codes and scales are, and comparing with it. */
#ifndef VERIFY_H
#define VERIFY_H

#include "cases/inputs.h"
#include "model/finding.h"
#include "check/quality.h"

/* Host copies of what the reference computes from data, and how near that comes to the exact values. */
struct expectation {
    struct qb_problem problem;      /* dense rows; what is given is what dynamic scaling would compute */
    struct qb_problem quantization; /* that it ends with, or takes back; of a part, that is quantized */
    struct qb_arithmetic arithmetic;
    struct sizes bytes;        /* of the tensors; of its first part, if it has two, as all that follows */
    struct qb_tensors tensors; /* all but those that are data, and the table of experts; NULL: none, or not asked for;
                                * of a cache, token by token; of experts, with poison in what belongs to none */
    int64_t *slots;            /* of a cache: of each token; else NULL */
    struct quality quality;    /* of the codes, if there are any */
    bool has_results;          /* all tensors that a launch writes are there */
    struct expectation *other; /* of the problem's other part; NULL: it has none */
};

/* True if A and B are the same but for the strides of their rows. What a granularity does not read counts too: that
 * costs a computation at most. */
bool verify_same_problem(const struct qb_problem *a, const struct qb_problem *b);

/* Compute the expectation for PROBLEM by ARITHMETIC on DATA, unless it already holds just that. Returns an exit code;
 * errors have been printed. A static scale is the one that this data gives, so one reference serves both. Without
 * NEED_CODES the scales are all there is, unless a launch reads codes. */
enum exit_code verify_expect(const struct qb_problem *problem, const struct qb_arithmetic *arithmetic,
                             const struct case_data *data, bool same_data, bool need_codes,
                             struct expectation *expectation);

/* What is in outputs, and between their rows, before a kernel writes: a code that is in no way special. */
#define VERIFY_POISON 0xA5

/* Make room in EXPECTATION, whose problem is set, for all tensors but those that are data; false if memory is short.
 * Free it either way. */
bool verify_make(struct expectation *expectation, bool need_codes);
/* Where a cache is read, let the values of tokens that EXPECTATION's slots leave out be as before a launch. */
void verify_leave_out(struct expectation *expectation);
void verify_free(struct expectation *expectation);

/* What is left of an expectation when its memory is needed for others: enough to tell whether outputs are right. */
struct fingerprint {
    bool has[QB_ROLE_COUNT];    /* the tensor is there */
    uint64_t of[QB_ROLE_COUNT]; /* its digest */
};
enum exit_code verify_fingerprint(const struct expectation *expectation, struct fingerprint *fingerprint);

/* Set *IMAGE to what a launch leaves in the tensor of ROLE, which it writes, in memory that held VERIFY_POISON; or to
 * what is given to it there. Free it. */
enum exit_code verify_image(const struct expectation *expectation, enum qb_role role, void **image);

/* True if GOT is right where the reference says WANT: the same, or as near as ARITHMETIC allows a kernel for PROBLEM.
 * Scales are as they are stored in FORMAT, and so are values and sums. */
bool verify_is_code(const struct qb_problem *problem, const struct qb_arithmetic *arithmetic, uint8_t got,
                    uint8_t want);
bool verify_is_scale(const struct qb_problem *problem, const struct qb_arithmetic *arithmetic, enum qb_format format,
                     uint32_t got, uint32_t want);
bool verify_is_zero_point(const struct qb_problem *problem, const struct qb_arithmetic *arithmetic, int32_t got,
                          int32_t want);
bool verify_is_value(const struct qb_problem *problem, const struct qb_arithmetic *arithmetic, enum qb_format format,
                     uint32_t got, uint32_t want);

/* Device memory that holds the same tensor COUNT times, each STRIDE bytes after the last. */
struct copies {
    void *memory;
    uint64_t stride;
    uint64_t count;
};

/* Read all copies of the tensors that EXPECTATION has back from DEVICE, and compare every byte. COPIES are by role.
 * VALUES (host) are what was quantized, to describe the first difference; NULL: unknown. MISMATCH is set on success,
 * which is to have compared. */
enum exit_code verify_compare(struct qb_device *device, const struct copies copies[QB_ROLE_COUNT], const void *values,
                              const struct expectation *expectation, struct mismatch *mismatch);

/* How good the first copy of the codes is, which may be nearer to the exact values than the reference's or less near.
 */
enum exit_code verify_rate(struct qb_device *device, const struct copies copies[QB_ROLE_COUNT],
                           const struct case_data *data, const struct expectation *expectation,
                           struct quality *quality);

/* Set *SAME to whether all copies have FINGERPRINT, which is of tensors of these BYTES. */
enum exit_code verify_same(struct qb_device *device, const struct copies copies[QB_ROLE_COUNT],
                           const struct sizes *bytes, const struct fingerprint *fingerprint, bool *same);

#endif
