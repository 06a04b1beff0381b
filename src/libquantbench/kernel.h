/* SPDX-License-Identifier: Apache-2.0 */
/* kernel.h - the registry of kernels, to which plug-ins add. */
#ifndef QB_KERNEL_H
#define QB_KERNEL_H

#include <stdatomic.h>

#include "backend.h"

/* Kernels that come together, and stay for as long as the process. */
struct qb__kernel_list {
    const struct qb_kernel *const *kernels;
    size_t count;
    struct qb__kernel_list *_Atomic next; /* the registry's own */
};

/* Add LIST after all others. Any thread may ask for kernels meanwhile; only one at a time may add some. */
void qb__kernels_add(struct qb__kernel_list *list);

#endif
