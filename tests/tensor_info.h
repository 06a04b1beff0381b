/* SPDX-License-Identifier: Apache-2.0 */
/* tensor_info.h - a problem's tensor, as qb_problem_tensor() describes it, compared with numbers of a test. */
#ifndef TENSOR_INFO_H
#define TENSOR_INFO_H

#include "quantbench.h"

#include <check.h>

/* The tensor of ROLE is read or WRITTEN, and all else is as it says. */
static inline void tensor_is(const struct qb_problem *p, enum qb_role role, bool written, unsigned bits, uint64_t rows,
                             uint64_t cols, uint64_t stride, uint64_t traffic)
{
    struct qb_tensor_info info = {.size = sizeof info};

    ck_assert_int_eq(qb_problem_tensor(p, role, &info), QB_OK);
    ck_assert(info.present && info.written == written && info.read == !written);
    ck_assert_uint_eq(info.bits, bits);
    ck_assert_uint_eq(info.rows, rows);
    ck_assert_uint_eq(info.cols, cols);
    ck_assert_uint_eq(info.stride, stride);
    ck_assert_uint_eq(info.bytes, rows == 0 ? 0 : ((rows - 1) * stride + cols) * bits / 8);
    ck_assert_uint_eq(info.traffic, traffic);
    ck_assert_uint_eq(info.alignment, bits < 8 ? 1 : bits / 8);
}

static inline void is_absent(const struct qb_problem *p, enum qb_role role)
{
    struct qb_tensor_info info = {.size = sizeof info};

    ck_assert_int_eq(qb_problem_tensor(p, role, &info), QB_OK);
    ck_assert(!info.present && info.bytes == 0 && info.traffic == 0);
}

#endif
