/* SPDX-License-Identifier: Apache-2.0 */
/* message.h - everything that goes to standard error, and the exit statuses. */
#ifndef MESSAGE_H
#define MESSAGE_H

#include "quantbench.h"

#include <stdio.h>

/* The promises of EXIT STATUS in quantbench(1). */
enum exit_code {
    EXIT_OK = 0,
    EXIT_REGRESSION = 1,   /* a comparison found a regression */
    EXIT_USAGE = 2,        /* an option, its value or an input file is not acceptable */
    EXIT_CANNOT_RUN = 3,   /* no such device, out of memory, a device or I/O error */
    EXIT_WRONG_RESULT = 4, /* a kernel's output differs from the reference */
    EXIT_INCONCLUSIVE = 5, /* only where asked for */
};

/* The one of two exit statuses that says more: a wrong result outweighs what could not run, that a slowdown, and that
 * what nothing certain can be said of. */
enum exit_code message_worse(enum exit_code a, enum exit_code b);

/* QUIET drops warnings, notes and progress; errors always appear. Call it once the options are known. */
void message_init(bool quiet, bool verbose);

/* Print TEXT, which others may have written: control characters as \\x1b, so that no terminal obeys them. */
void message_print_text(const char *text, FILE *file);

/* Errors and warnings begin so. */
#define MESSAGE_ERROR   "quantbench: "
#define MESSAGE_WARNING MESSAGE_ERROR "warning: "

/* "quantbench: ..." and a newline. Control characters in what is printed are escaped like that. */
void message_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The same of TEXT, which may have several lines. */
void message_error_lines(const char *text);
/* Unless quiet, and unless the same was said before. */
void message_warning(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The same of TEXT, which WHO has said. What differs in its numbers only was said before: processes that do the same
 * warn of the same, but the load of a machine does not stay what it was. */
void message_warning_from(const char *who, const char *text);
/* A plain line. */
void message_line(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The same unless quiet. */
void message_note(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The same with -v only. */
void message_verbose(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Say how far the run is: on a terminal as a line that the next message overwrites; elsewhere, and on one that cannot
 * erase a line, as a whole line when MESSAGE_HEARTBEAT seconds have passed since the last, or since the first call. */
#define MESSAGE_HEARTBEAT 30.0
#define MESSAGE_PROGRESS  MESSAGE_ERROR "progress: " /* begins the whole line */
void message_progress(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The same: WHERE the run is, and how long the rest will take, if DONE of TOTAL parts took SECONDS and it goes on like
 * that. */
void message_progress_eta(const char *where, double done, double total, double seconds);
/* Say the last progress again as a whole line, with its age, if one is due. For work of any length between two calls of
 * message_progress(); costs a look at the clock. */
void message_heartbeat(void);
/* Wipe that line, before something else is printed. */
void message_progress_end(void);
/* Another process says on the same terminal how far the run is: wipe its line before each message. */
void message_follow_other(void);

/* Report that WHAT failed with STATUS and the library's detail. Returns EXIT_CANNOT_RUN, or EXIT_USAGE for a status
 * that the command line alone explains. */
enum exit_code message_status(const char *what, enum qb_status status);

/* Report that memory for WHAT, BYTES bytes, could not be had. Returns EXIT_CANNOT_RUN. */
enum exit_code message_out_of_memory(const char *what, uint64_t bytes);

#endif
