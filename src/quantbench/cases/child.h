/* SPDX-License-Identifier: Apache-2.0 */
/* child.h - a second process of this program for foreign code, and the socket to it. It is the same program on the same
 * command line, so that both mean the same by every number, and structures go through the socket as they are. No wait
 * for it is without a limit. */
#ifndef CHILD_H
#define CHILD_H

#include "model/settings.h"

#include <sys/types.h>

/* Zero: not started. */
struct child {
    pid_t pid;
    int socket;
    double interrupted; /* when it was told that this process is; 0: it was not */
    char whose[96];     /* what messages call the foreign code in it */
};

/* What the tool itself may take for its own work: opening a device, making an input, comparing. */
#define CHILD_OWN_SECONDS 600.0
/* What is said at most to those who wait. */
#define CHILD_MOST_SECONDS 3600.0

/* Start CHILD, which finds NAME where its own name is expected. Its standard output is standard error: reports are the
 * program's, and foreign code may print. An error has been printed. */
bool child_start(struct child *child, const char *name, const struct command *command);

/* Send or receive SIZE bytes; false if the other end is gone, or takes too long for them. */
bool child_put(int socket, const void *data, size_t size);
bool child_take(int socket, void *data, size_t size);

/* The same for a text, which is a length and the characters. What is received ends with a zero, and is freed by the
 * caller; NULL if it does not come, is longer than a path can be, or memory is short. */
bool child_put_text(int socket, const char *text);
char *child_take_text(int socket);

/* In the second process: send SIZE bytes, or end, since nobody listens any more. */
void child_say(int socket, const void *data, size_t size);

/* Wait until there is something to read, for SECONDS at most; false if nothing came. Time for which the process waited
 * for a CPU is not counted: what is starved does not hang. After an interrupt the wait is short. If the process has
 * ended there is the end of what it sent to read, even if a process that it has left behind holds its socket. */
bool child_await(struct child *child, double seconds);

/* Let CHILD end, which it does when there is nobody to ask it anything; or stop it. */
void child_end(struct child *child);
void child_stop(struct child *child);

/* CHILD has ended by itself, or closed its socket: say how in WHY, "" if that is this process's own end. */
#define CHILD_WHY_SIZE 160
void child_lost(struct child *child, char why[CHILD_WHY_SIZE]);

/* In the second process, before any foreign code: its end of the socket, or -1 if it was not started as NAME. */
int child_begin(char **argv, const char *name);

#endif
