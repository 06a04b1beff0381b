/* SPDX-License-Identifier: Apache-2.0 */
/* quality.h - how near the codes of a tensor come to the tensor. */
#ifndef QUALITY_H
#define QUALITY_H

#include "quantbench.h"

/* What the codes of a tensor make of it. x is a finite element, exactly; v the quotient x / scale that is encoded, as
 * binary32; e = value of the code * scale - x its error, in the unit of x. NaN and infinities are counted, and are in
 * no other figure. */
struct quality {
    uint64_t finite;   /* elements; the other figures are of these */
    uint64_t nan;      /* elements */
    uint64_t infinite; /* elements */
    /* The signal-to-noise ratio in dB: 10 log10(sum of x^2 / sum of e^2), over all elements. INFINITY if every e is 0,
     * also for a tensor that is all zero; -INFINITY if an e is infinite, as with an infinite scale; NAN if there are no
     * finite elements. */
    double snr;
    double largest_error;          /* the largest |e|; NAN if there are no finite elements */
    double largest_relative_error; /* the largest |e| / |x| over x != 0; NAN if there is no such x */
    /* Elements that are cut off: rounding v to nearest even, as if the output format had no largest value, would lead
     * beyond its largest or smallest one. INT8: v >= 127.5 or v < -128.5; E4M3: |v| > 464; E5M2: |v| >= 61440. */
    uint64_t saturated;
    uint64_t flushed; /* elements x != 0 whose code is a zero */
};

/* The quality of BUFFERS, host memory, in which the codes are those that qb_reference_codes() writes for PROBLEM, valid
 * and with dense rows, whatever the floating-point environments of threads are. Sums are made in double precision and
 * in an order that depends on the shape alone, so that the figures do not depend on the number of threads. */
void quality_compute(const struct qb_problem *problem, const struct qb_tensors *tensors, struct quality *quality);

#endif
