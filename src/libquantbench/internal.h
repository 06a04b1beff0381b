/* SPDX-License-Identifier: Apache-2.0 */
/* internal.h - what the library's own files share, and backends do not see. */
#ifndef QB_INTERNAL_H
#define QB_INTERNAL_H

#include "quantbench.h"

/* Set qb_error_detail() of this thread to the printf FORMAT, and return STATUS. */
enum qb_status qb__fail(enum qb_status status, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Set *FILLED to PROBLEM (valid) with its strides filled in. */
void qb__fill_strides(const struct qb_problem *problem, struct qb_problem *filled);

/* Check PROBLEM and BUFFERS as every run must, and set *PREPARED to the problem with its strides filled in.
 * WRITES_CODES: there must be an output. */
enum qb_status qb__prepare(const struct qb_problem *problem, const struct qb_buffers *buffers, bool writes_codes,
                           struct qb_problem *prepared);

/* QB_OK if qb_reference_check() has passed in this process; the first call makes it. */
enum qb_status qb__reference_trust(void);
/* qb_reference_run_as() for that check. */
enum qb_status qb__reference_run_unchecked(const struct qb_problem *problem, const struct qb_arithmetic *arithmetic,
                                           const struct qb_buffers *buffers);

/* The arithmetic of the comment of struct qb_problem: all zero. */
extern const struct qb_arithmetic qb__contract;

#endif
