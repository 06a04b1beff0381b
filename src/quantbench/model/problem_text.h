/* SPDX-License-Identifier: Apache-2.0 */
/* problem_text.h - a problem in words. */
#ifndef PROBLEM_TEXT_H
#define PROBLEM_TEXT_H

#include "quantbench.h"

/* One line such as "half -> int8, dynamic, tensor, 4096 x 8192", "half -> mxfp4 (e2m1), dynamic, group:32, e8m0 scales,
 * 4096 x 8192", or "rms-norm, half -> fp8, static, tensor, 4096 x 8192"; others of the same are the same problem. */
#define PROBLEM_TEXT_SIZE 512
void problem_text(const struct qb_problem *problem, char *text, size_t size);

/* The name of what a kernel makes for PROBLEM besides scales: "codes", "values", or both. */
const char *problem_results_name(const struct qb_problem *problem);

/* The granularity as --granularity takes it, such as "group:128". */
void problem_granularity_text(const struct qb_problem *problem, char *text, size_t size);

/* The epsilon of --epsilon, with which a norm is plain. */
#define PROBLEM_EPSILON 1e-6f

/* What is not as in plain problems of its operation, in the order of the options: ", e8m0 scales, in packed"; "" if all
 * is. Returns TEXT. */
#define PROBLEM_DETAILS_SIZE 320
const char *problem_details_text(const struct qb_problem *problem, char text[PROBLEM_DETAILS_SIZE]);

/* NUMBER in the fewest digits that tell it from all others of binary32. Returns TEXT. */
#define PROBLEM_NUMBER_SIZE 24
const char *problem_number_text(float number, char text[PROBLEM_NUMBER_SIZE]);

/* The name of a format of scales as in --scale-format; NULL if it is none. */
const char *problem_scale_format_name(enum qb_format format);

/* The format of scales at INDEX in the order of --scale-format. */
#define PROBLEM_SCALE_FORMATS 4
enum qb_format problem_scale_format_at(size_t index);

#endif
