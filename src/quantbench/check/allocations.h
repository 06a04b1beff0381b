/* SPDX-License-Identifier: Apache-2.0 */
/* allocations.h - counts what the process allocates, for kernels that should not. */
#ifndef ALLOCATIONS_H
#define ALLOCATIONS_H

#include <stdint.h>

/* Count from now on, in all threads. */
void allocations_watch(void);
/* Stop, and return how often memory was allocated; 0 where that cannot be counted: with another C library than GNU's,
 * in a static program, and under sanitizers. */
uint64_t allocations_counted(void);

#endif
