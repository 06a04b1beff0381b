/* SPDX-License-Identifier: Apache-2.0 */
/* machine.h - what the host is: its processor, caches, memory, and how much of it this process may use. */
#ifndef QB_CPU_MACHINE_H
#define QB_CPU_MACHINE_H

#include <stddef.h>
#include <stdint.h>

/* The processor's name for users, "" if unknown. */
void qb__machine_cpu_name(char *name, size_t size);

/* The size in bytes of the largest cache of the first CPU, and of its second-level cache; 0 if unknown. */
void qb__machine_caches(uint64_t *last_level, uint64_t *second_level);

/* Bytes of memory of this machine, or of the container that this process is in, and how many can still be had; 0 if
 * unknown. */
void qb__machine_memory(uint64_t *total, uint64_t *available);

/* CPUs that this process may use, by its affinity mask and its container's quota, at least 1. */
unsigned qb__machine_cpus(void);

#endif
