/* SPDX-License-Identifier: Apache-2.0 */
/* agent.h - the process that starts the tool for a rank. A process with MPI in it had better not fork, so the agent is
 * forked before MPI_Init(). When the rank is gone the agent ends the tool and all that this has started, so nothing is
 * left of a rank that was killed. */
#ifndef AGENT_H
#define AGENT_H

#include <stdbool.h>
#include <stddef.h>

enum packet {
    PACKET_RUN = 'R',  /* to it: 'g' (with a gate) or 'o' (its output is read), the file for errors, the arguments */
    PACKET_GO = 'G',   /* to it: let a round begin */
    PACKET_TERM = 'T', /* to it: ask the tool to end */
    PACKET_KILL = 'K', /* to it: end it */
    PACKET_TEXT = 'L', /* from it: what the tool wrote */
    PACKET_END = 'X',  /* from it: the status of waitpid() */
};

/* The most bytes of a packet. */
#define AGENT_PACKET 60000

/* Helpers of both sides: seconds since some moment, a sleep, and a message on standard error. */
double now(void);
void nap(double seconds);
__attribute__((format(printf, 1, 2))) void say(const char *format, ...);

/* Fork the agent. */
bool agent_start(void);
/* End it, and with it what is left of the tool. */
void agent_end(void);

/* Send a packet that is only its kind. */
void agent_tell(char kind);

/* Let the agent start ARGV: with the gate at its descriptors 3 and 4, or with its standard output read. Its errors go
 * to the file ERRORS; "": nowhere. */
bool agent_run(bool gated, const char *errors, char *const *argv);

/* The next packet, within SECONDS: its length, 0 if there is none. An agent that is gone is the end of the tool. */
size_t agent_receive(double seconds, char packet[AGENT_PACKET + 1]);

/* The exit status that a shell would show for STATUS of waitpid(). */
int agent_exit_status(int status);

/* Run ARGV to its end and return its exit status; -1 after SECONDS. TEXT gets what it wrote, to be freed. */
int agent_run_to_end(char *const *argv, const char *errors, double seconds, char **text);

#endif
