/* SPDX-License-Identifier: Apache-2.0 */
/* internal.h - what the library's own files share, and backends do not see. */
#ifndef QB_INTERNAL_H
#define QB_INTERNAL_H

#include "quantbench.h"

/* Set qb_error_detail() of this thread to the printf FORMAT, and return STATUS. */
enum qb_status qb__fail(enum qb_status status, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Set *LOADED to PROBLEM, whatever version of the header the caller has, with its strides filled in, if it is valid. */
enum qb_status qb__problem_load(const struct qb_problem *problem, struct qb_problem *loaded);

/* The tensor of ROLE of a problem that was loaded, with all that a caller may ask. */
struct qb_tensor_info qb__tensor_of(const struct qb_problem *loaded, enum qb_role role);

/* Set *LOADED to TENSORS, whatever version of the header the caller has, if each that is read or written by the problem
 * LOADED_PROBLEM is there and aligned. */
enum qb_status qb__tensors_load(const struct qb_problem *loaded_problem, const struct qb_tensors *tensors,
                                struct qb_tensors *loaded);

/* Its two steps: the first sets *LOADED, the second checks the tensor of ROLE. */
enum qb_status qb__tensors_take(const struct qb_tensors *tensors, struct qb_tensors *loaded);
enum qb_status qb__tensors_check(const struct qb_problem *loaded_problem, const struct qb_tensors *loaded,
                                 enum qb_role role);

/* True if of the GIVEN bytes of FROM those that SIZE bytes have no room for are 0: members that say nothing. */
bool qb__fits(const void *from, size_t given, size_t size);

/* Copy FROM, of GIVEN bytes in the program that made it, to TO, of SIZE bytes here, which holds the defaults.
 * QB_ERROR_UNSUPPORTED if a member that the library does not know is not 0; WHAT it is is for the message. */
enum qb_status qb__take(const char *what, const void *from, size_t given, void *to, size_t size);

/* Structures that a program allocates begin with their size there. Set TO to FROM, of SIZE bytes here, as far as it
 * reaches: what the library does not know is 0. QB_ERROR_INVALID if TO has no size. */
enum qb_status qb__give(void *to, const void *from, size_t size);

/* QB_OK if qb_reference_check() has passed in this process; the first call makes it. */
enum qb_status qb__reference_trust(void);
/* qb_reference_run_as() for that check. */
enum qb_status qb__reference_run_unchecked(const struct qb_problem *problem, const struct qb_arithmetic *arithmetic,
                                           const struct qb_tensors *tensors);

/* The arithmetic of the comment of struct qb_problem: all zero. */
extern const struct qb_arithmetic qb__contract;

#endif
