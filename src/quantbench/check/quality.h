/* SPDX-License-Identifier: Apache-2.0 */
/* quality.h - how near the codes of a tensor come to the tensor. */
#ifndef QUALITY_H
#define QUALITY_H

#include "quantbench.h"
#include "model/finding.h"

/* The quality of TENSORS, host memory, in which the codes are those that qb_reference_codes_as() writes for PROBLEM,
 * valid and with dense rows, and ARITHMETIC, whatever the floating-point environments of threads are. Sums are made in
 * double precision and in an order that depends on the shape alone, so that the figures do not depend on the number of
 * threads. False if memory is short. */
bool quality_compute(const struct qb_problem *problem, const struct qb_arithmetic *arithmetic,
                     const struct qb_tensors *tensors, struct quality *quality);

/* Add PART, the quality of other elements, to ALL, which begins as zero. REST_SNR is that of the only part
 * with finite elements; of several it is unknown. */
void quality_add(const struct quality *part, struct quality *all);

#endif
