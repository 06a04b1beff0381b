/* SPDX-License-Identifier: Apache-2.0 */
/* message.c - everything that goes to standard error. Whoever decides that something is an error prints it here. */
#include <config.h>

#include "message.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

static bool be_quiet;
static bool be_verbose;
static bool progress_shown; /* the cursor is behind a progress line */

enum exit_code message_worse(enum exit_code a, enum exit_code b)
{
    static const int weights[] = {
        [EXIT_OK] = 0,    [EXIT_INCONCLUSIVE] = 1, [EXIT_REGRESSION] = 2,
        [EXIT_USAGE] = 3, [EXIT_CANNOT_RUN] = 4,   [EXIT_WRONG_RESULT] = 5,
    };

    return weights[a] > weights[b] ? a : b;
}

void message_init(bool quiet, bool verbose)
{
    be_quiet = quiet;
    be_verbose = verbose;
}

void message_progress_end(void)
{
    if (progress_shown) {
        fputs("\r\033[K", stderr);
        fflush(stderr);
        progress_shown = false;
    }
}

static void print_line(const char *prefix, const char *format, va_list arguments)
{
    message_progress_end();
    /* Results and messages appear in the order in which they were written, also when both go to one place. */
    fflush(stdout);
    fputs(prefix, stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
}

#define PRINT_LINE(prefix)                                                                                             \
    do {                                                                                                               \
        va_list arguments;                                                                                             \
        va_start(arguments, format);                                                                                   \
        print_line(prefix, format, arguments);                                                                         \
        va_end(arguments);                                                                                             \
    } while (0)

void message_error(const char *format, ...)
{
    PRINT_LINE("quantbench: ");
}

void message_warning(const char *format, ...)
{
    if (!be_quiet) {
        PRINT_LINE("quantbench: warning: ");
    }
}

void message_note(const char *format, ...)
{
    if (!be_quiet) {
        PRINT_LINE("");
    }
}

void message_verbose(const char *format, ...)
{
    if (be_verbose && !be_quiet) {
        PRINT_LINE("");
    }
}

void message_progress(const char *format, ...)
{
    va_list arguments;

    if (be_quiet || !isatty(STDERR_FILENO)) {
        return;
    }
    fflush(stdout);
    fputs("\r\033[K", stderr);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fflush(stderr);
    progress_shown = true;
}

/* A duration as people say it: "45 s", "12 min 05 s", "3 h 07 min". */
static void format_duration(double seconds, char *text, size_t size)
{
    unsigned long whole = seconds < 1e9 ? (unsigned long)(seconds + 0.5) : 1000000000ul;

    if (whole < 60) {
        snprintf(text, size, "%lu s", whole);
    } else if (whole < 3600) {
        snprintf(text, size, "%lu min %02lu s", whole / 60, whole % 60);
    } else {
        snprintf(text, size, "%lu h %02lu min", whole / 3600, whole % 3600 / 60);
    }
}

void message_progress_eta(double done, double total, double seconds)
{
    char rest[48];

    if (!(done > 0 && done < total)) {
        return;
    }
    format_duration(seconds * (total - done) / done, rest, sizeof rest);
    message_progress("%3.0f %% of %.0f, about %s left", 100 * done / total, total, rest);
}

enum exit_code message_status(const char *what, enum qb_status status)
{
    const char *detail = qb_error_detail();

    message_error("%s: %s%s%s", what, qb_strerror(status), detail[0] != '\0' ? ": " : "", detail);
    return status == QB_ERROR_INVALID ? EXIT_USAGE : EXIT_CANNOT_RUN;
}

enum exit_code message_out_of_memory(const char *what, uint64_t bytes)
{
    message_error("out of memory: %s needs %" PRIu64 " bytes", what, bytes);
    return EXIT_CANNOT_RUN;
}
