/* SPDX-License-Identifier: Apache-2.0 */
/* starvation.h - how long another process had to wait for a CPU. */
#ifndef STARVATION_H
#define STARVATION_H

#include <stddef.h>
#include <sys/types.h>

/* Set the process's number; the rest is zero at first. */
struct starvation {
    pid_t pid;
    struct starvation_task *tasks; /* its threads when it was looked at last */
    size_t count;
    double seconds;
};

/* Look at the process. Returns the seconds since the first look in which it waited for a CPU: in the time between two
 * looks, those of the thread that waited longest. 0 if the system does not tell. */
double starvation_look(struct starvation *starvation);
/* The same with another folder than /proc. */
double starvation_look_in(const char *proc, struct starvation *starvation);

void starvation_end(struct starvation *starvation);

#endif
