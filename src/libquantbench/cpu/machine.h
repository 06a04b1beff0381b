/* SPDX-License-Identifier: Apache-2.0 */
/* machine.h - what the host is: its processor, caches, memory, and how much of it this process may use. */
#ifndef QB_CPU_MACHINE_H
#define QB_CPU_MACHINE_H

#include "quantbench.h"

#include <sched.h>

/* The processor's name for users, "" if unknown. */
void qb__machine_cpu_name(char *name, size_t size);

/* The size in bytes of the largest cache of the first CPU, and of its second-level cache; 0 if unknown. */
void qb__machine_caches(uint64_t *last_level, uint64_t *second_level);

/* Bytes of memory of this machine, or of the container that this process is in, 0 if unknown, and how many can still be
 * had, QB_MEMORY_UNKNOWN if unknown. */
void qb__machine_memory(uint64_t *total, uint64_t *available);

/* How many of BYTES bytes at MEMORY lie in huge pages; false if the system does not say. */
bool qb__machine_huge_bytes(const void *memory, size_t bytes, uint64_t *huge);

/* True if the system tells which container's limits this process has. */
bool qb__machine_knows_limits(void);

/* CPUs that this process may use, by its affinity mask and its container's quota, at least 1. */
unsigned qb__machine_cpus(void);
/* The container's quota alone, in CPUs; 0 if there is none. */
double qb__machine_quota(void);
/* True if OpenMP binds its threads, the first one too. */
bool qb__machine_openmp_binds(void);
/* Remember this thread's affinity mask as the process's, before a part of it is all that the thread has; or no more. */
void qb__machine_keep_affinity(bool keep);
/* The affinity mask of the process, of SIZE bytes, or, where OpenMP has bound its threads, what they have together;
 * NULL if unknown. CPU_FREE() it. */
cpu_set_t *qb__machine_affinity(size_t *size);

/* What the CPUs do at this moment. THROTTLED is how often they were too warm so far, as of the last call. */
void qb__machine_conditions(uint64_t *throttled, struct qb_device_conditions *conditions);
/* How often the CPUs were too warm so far. */
uint64_t qb__machine_throttled(void);
/* What there is to know about the machine; see qb_device_facts(). */
size_t qb__machine_facts(struct qb_device_fact *facts, size_t room);

/* For files of /proc and /sys. The first line of PATH without its end; false if there is none. */
bool qb__machine_read_line(const char *path, char *line, size_t size);
/* The unsigned number that PATH begins with; false if there is none, or "max". */
bool qb__machine_read_number(const char *path, uint64_t *number);
/* Call USE for each line of PATH, without its end. Returns false if there is none. */
bool qb__machine_read_lines(const char *path, void (*use)(char *line, void *context), void *context);

#endif
