/* SPDX-License-Identifier: Apache-2.0 */
/* problem_text.h - a problem in words. */
#ifndef PROBLEM_TEXT_H
#define PROBLEM_TEXT_H

#include "quantbench.h"

/* One line such as "half -> int8, dynamic, tensor, 4096 x 8192". */
void problem_text(const struct qb_problem *problem, char *text, size_t size);

/* The granularity as --granularity takes it, such as "group:128". */
void problem_granularity_text(const struct qb_problem *problem, char *text, size_t size);

#endif
