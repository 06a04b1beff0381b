/* SPDX-License-Identifier: Apache-2.0 */
/* ranks.h - what ranks tell each other, and what each of them does. */
#ifndef RANKS_H
#define RANKS_H

#include "job.h"

#include <mpi.h>

#define NAP       1e-3 /* s between two looks at a request of MPI */
#define SLACK     2.0  /* s that others wait for a vote after its deadline, and that a tool has to end after SIGTERM */
#define SOON      2.0  /* s until it is known who is still there, when a meeting has failed */
#define ANSWER    30.0 /* s for small things: an order that arrives, a file, the devices of a node */
#define REPORTING 300.0
#define VISIBLE   16 /* devices that one process may see */

enum tag { TAG_ROW = 1, TAG_ORDER, TAG_FILE };

/* All that rank 0 knows of a rank. */
struct row {
    enum row_kind { ROW_HERE, ROW_LOST, ROW_DONE } kind;
    int devices; /* that it sees */
    char ids[VISIBLE][ID_SIZE], uuids[VISIBLE][ID_SIZE];
    char host[ID_SIZE], boot[ID_SIZE];
    int status; /* of the tool; -1: it did not answer */
    int rounds;
    long long size;         /* of the record; -1: there is none */
    char name[2 * ID_SIZE]; /* of its file */
    char last[ID_SIZE];     /* what the tool said last at its gate */
    char why[256];          /* its last message */
};

/* What rank 0 tells a rank. */
struct order {
    enum order_kind { ORDER_RUN, ORDER_FILE, ORDER_HOLD, ORDER_END, ORDER_LEAVE } kind;
    int take_part;
    int local, neighbors;
    int slots; /* turns that the devices of a node take; 1: they work together */
    enum pass { PASS_FIRST, PASS_AGAIN, PASS_TURNS } pass;
    char device[ID_SIZE]; /* "": as the command line has it */
    char records[1024];
};

/* This process. */
extern struct row self;
extern int rank, size;
extern bool lost; /* a meeting failed: rounds begin as each tool likes */
extern double lost_at;

/* End the job from here: the launcher ends the other ranks. Not by MPI_Abort(), on which mpirun of Open MPI 4.1.4 was
 * seen to wait for itself. */
__attribute__((noreturn)) void leave(enum status code);

/* Test REQUEST until it is done. Returns false if it is not at UNTIL. */
bool wait_for(MPI_Request *request, double until);

/* Tell rank 0 how it is here. */
void send_row(enum row_kind kind);

/* Measure once, in step with all other ranks. The row of this rank gets the outcome. */
void run_pass(const struct job *job, const struct order *order);

/* Do what rank 0 says until the end. */
enum status follow(const struct job *job);

/* Rank 0: who is there, then the measurements and the report. */
enum status lead(const struct job *job);

#endif
