/* SPDX-License-Identifier: Apache-2.0 */
/* job.h - the command line of quantbench-mpi. */
#ifndef JOB_H
#define JOB_H

#include <stdbool.h>
#include <stddef.h>

/* The exit statuses of quantbench(1). */
enum status { STATUS_OK = 0, STATUS_USAGE = 2, STATUS_CANNOT_RUN = 3, STATUS_WRONG = 4 };

/* Room for a name or an id. */
#define ID_SIZE 64

/* The command line. What is not ours is the tool's. */
struct job {
    char *tool;
    const char *device, *records; /* NULL: by rank and date */
    enum together { TOGETHER_ALL, TOGETHER_TURNS, TOGETHER_BOTH } together;
    bool once, has_threads, has_bind;
    double deadline, init_timeout;
    char **tool_args, **report_args; /* with NULL after the last */
    size_t tool_count, report_count;
};

/* Parse the command line. Returns STATUS_OK with *DONE if that was all, as for --help. */
enum status job_parse(int argc, char **argv, struct job *job, bool *done);

#endif
