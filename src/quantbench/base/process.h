/* SPDX-License-Identifier: Apache-2.0 */
/* process.h - what the process is given by whoever starts it, and how it ends. */
#ifndef PROCESS_H
#define PROCESS_H

/* First of all, before any file is opened: where standard input, output or error is closed, put something into its
 * place that cannot be read or written, so that no file gets its number, and what is printed does not end up in it. */
void process_guard_descriptors(void);

/* Return 0, or the error number with which writing to standard output would fail, as far as that is known before. */
int process_check_output(void);

/* From now on, an exit() that is not announced, by a library that gives up, is an error: a message, and
 * EXIT_CANNOT_RUN. Its own status might be one that means something else. */
void process_guard_exit(void);
/* The next exit() is meant. */
void process_announce_exit(void);

#endif
