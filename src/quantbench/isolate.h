/* SPDX-License-Identifier: Apache-2.0 */
/* isolate.h - foreign code in a process of its own, so that this one survives it. */
#ifndef ISOLATE_H
#define ISOLATE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* How a process ended, for people: "crashed (signal 11, Segmentation fault)". STATUS is from waitpid(). Returns TEXT.
 */
const char *isolate_how_it_ended(int status, char *text, size_t size);

/* Wait for the end of the process PID, whatever signals come meanwhile. STATUS is waitpid()'s; it may be NULL. */
void isolate_wait(pid_t pid, int *status);

/* The same of a process that is about to end, but not for ever: after a few seconds it is stopped. */
void isolate_wait_briefly(pid_t pid, int *status);

/* Stop the process PID, and wait for its end. */
void isolate_stop(pid_t pid);

/* Call WORK in a copy of this process that does nothing else, and wait no longer than SECONDS. Returns what it
 * returned: true or false; false with the reason in WHY, which is "" otherwise, if it did not return. For work that
 * touches no device and prints nothing. */
bool isolate_ask(bool (*work)(void *context), void *context, unsigned seconds, char *why, size_t size);

#endif
