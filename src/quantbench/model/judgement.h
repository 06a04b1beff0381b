/* SPDX-License-Identifier: Apache-2.0 */
/* judgement.h - what a comparison comes to. */
#ifndef JUDGEMENT_H
#define JUDGEMENT_H

#include "model/words.h"

#include <stddef.h>
#include <stdint.h>

/* The medians of one case, in nanoseconds, of rounds or of processes. */
struct series {
    const double *times;
    size_t count;
};

/* What an estimate comes to. */
struct judgement {
    double ratio;     /* time divided by the time of the baseline */
    double low, high; /* the 95 % confidence interval of the ratio */
    double p;         /* the largest error probability at which the interval does not decide */
    enum compare_verdict verdict;
    uint64_t more; /* rounds or processes that would decide; 0: it is decided; COMPARE_NEVER: too many to wait for */
};
#define COMPARE_NEVER UINT64_MAX

#endif
