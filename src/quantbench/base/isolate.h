/* SPDX-License-Identifier: Apache-2.0 */
/* isolate.h - the end of processes in which foreign code runs, and of those that it leaves behind. No wait is without a
 * limit. */
#ifndef ISOLATE_H
#define ISOLATE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* How a process ended, for people: "crashed (signal 11, Segmentation fault)". STATUS is from waitpid(). Returns TEXT.
 */
const char *isolate_how_it_ended(int status, char *text, size_t size);

/* Wait for the end of the process PID, which is about to end: one that does not within SECONDS is stopped. STATUS is
 * waitpid()'s; it may be NULL. False if the process has not ended though it was stopped. */
bool isolate_wait(pid_t pid, double seconds, int *status);

/* Stop the process PID, and wait for its end; false if it cannot be stopped. */
bool isolate_stop(pid_t pid);

/* Have processes become this one's when their parents end, unless it has children already: those of whoever was this
 * process before. Call it before there is any child. */
void isolate_begin(void);

/* Child processes of this one that are its own, from their start to their end. False if memory is short. */
bool isolate_own(pid_t pid);
void isolate_disown(pid_t pid);

/* Stop all children that are not its own, which foreign code of WHOSE has left behind, and say so. */
void isolate_sweep(const char *whose);

#endif
