/* SPDX-License-Identifier: Apache-2.0 */
/* inject.h - faults that are asked for, so that whoever watches a fleet can try the alarm: QUANTBENCH_INJECT is wrong,
 * wrong-once, slow:FACTOR, hang or exit, and with @RANK only the process of that rank has it. Every report of it says
 * so. */
#ifndef INJECT_H
#define INJECT_H

#include <stdbool.h>
#include <stdint.h>

enum inject {
    INJECT_NOTHING,
    INJECT_WRONG,      /* a byte of the first outputs is changed */
    INJECT_WRONG_ONCE, /* the same, but only the first time */
    INJECT_SLOW,       /* each sample takes this many times as long */
    INJECT_HANG,       /* the first round never begins */
    INJECT_EXIT,       /* the process ends there */
};

/* Read the variable. Returns NULL, or what is expected of it. */
const char *inject_read(void);

enum inject inject_fault(void);
double inject_factor(void); /* 1: not slower */
/* True if a byte is to be changed now. */
bool inject_wrong(void);
/* The variable as it stands; "" if this process has no fault. */
#define INJECT_SIZE 64
const char *inject_text(void);

/* The rank of this process among those that a launcher has started; -1: none has. */
int64_t inject_rank(void);

#endif
