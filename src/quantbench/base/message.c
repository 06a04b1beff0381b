/* SPDX-License-Identifier: Apache-2.0 */
/* message.c - everything that goes to standard error. Whoever decides that something is an error prints it here. */
#include <config.h>

#include "base/message.h"
#include "base/clock.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Of a longer warning only so much is compared with others. */
#define MOST_WARNING 1024

static bool be_quiet;
static bool be_verbose;
static bool progress_shown; /* the cursor is after a progress line */
static bool follows_other;  /* so it may be, of a line of another process */
static bool is_waiting;     /* for the next whole line of progress, since the time below */
static double waits_since;
static char progress[256]; /* the last that was said, at the time below; "": none */
static double progress_since;

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

/* True if standard error is a terminal that can erase a line. One without a name cannot be relied on. */
static bool can_erase(void)
{
    const char *name = getenv("TERM");

    return name != NULL && name[0] != '\0' && strcmp(name, "dumb") != 0 && isatty(STDERR_FILENO);
}

void message_follow_other(void)
{
    follows_other = true;
}

void message_progress_end(void)
{
    if (progress_shown || (follows_other && can_erase())) {
        fputs("\r\033[K", stderr);
        fflush(stderr);
        progress_shown = false;
    }
}

/* The length of the character of UTF-8 at TEXT that is not a control character; 0 if there is none. */
static size_t utf8_length(const unsigned char *text)
{
    size_t length = text[0] >= 0xF0 && text[0] <= 0xF4 ? 4 : text[0] >= 0xE0 ? 3 : text[0] >= 0xC2 ? 2 : 0;

    if (text[0] > 0xF4 || (text[0] == 0xC2 && text[1] < 0xA0)) {
        return 0;
    }
    for (size_t i = 1; i < length; i++) {
        if ((text[i] & 0xC0) != 0x80) {
            return 0;
        }
    }
    return length;
}

void message_print_text(const char *text, FILE *file)
{
    const unsigned char *c = (const unsigned char *)text;

    while (*c != '\0') {
        size_t length = utf8_length(c);

        if (length == 0 && (*c < ' ' || (*c >= 0x7F && *c < 0xA0) || *c == 0xC2)) {
            fprintf(file, "\\x%02x", *c++);
        } else {
            /* A byte that is not UTF-8 may be a letter of another character set. */
            length = length > 0 ? length : 1;
            fwrite(c, 1, length, file);
            c += length;
        }
    }
}

/* Print as vfprintf() does, but control characters in a form that no terminal obeys. */
__attribute__((format(printf, 1, 0))) static void print_escaped(const char *format, va_list arguments)
{
    char room[1024];
    char *text = room;
    va_list again;
    int length;

    va_copy(again, arguments);
    length = vsnprintf(room, sizeof room, format, arguments);
    if (length >= (int)sizeof room && (text = malloc((size_t)length + 1)) != NULL) {
        vsnprintf(text, (size_t)length + 1, format, again);
    }
    va_end(again);
    /* Without memory the end is left out. */
    message_print_text(text != NULL ? text : room, stderr);
    if (text != room) {
        free(text);
    }
}

__attribute__((format(printf, 2, 0))) static void print_line(const char *prefix, const char *format, va_list arguments)
{
    message_progress_end();
    /* Results and messages appear in the order in which they were written, also when both go to one place. */
    fflush(stdout);
    fputs(prefix, stderr);
    print_escaped(format, arguments);
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
    PRINT_LINE(MESSAGE_ERROR);
}

void message_error_lines(const char *text)
{
    message_progress_end();
    fflush(stdout);
    fputs(MESSAGE_ERROR, stderr);
    for (const char *end; (end = strchr(text, '\n')) != NULL; text = end + 1) {
        char *line = strndup(text, (size_t)(end - text));

        message_print_text(line != NULL ? line : "", stderr);
        fputc('\n', stderr);
        free(line);
    }
    message_print_text(text, stderr);
    fputc('\n', stderr);
}

/* The next character from TEXT on that is not a part of a number. */
static const char *skip_numbers(const char *text)
{
    return text + strspn(text, "0123456789.");
}

/* True if A and B are equal but for their numbers. */
static bool differ_in_numbers_only(const char *a, const char *b)
{
    for (a = skip_numbers(a), b = skip_numbers(b); *a != '\0' && *a == *b;
         a = skip_numbers(a + 1), b = skip_numbers(b + 1)) {
    }
    return *a == *b;
}

/* True if WARNING, or, unless EXACTLY, one with other numbers, was not given before; it has been now. Without memory it
 * is new each time. */
static bool is_new(const char *warning, bool exactly)
{
    static char **given;
    static size_t count;
    char **larger, *copy;

    for (size_t i = 0; i < count; i++) {
        if (exactly ? strcmp(given[i], warning) == 0 : differ_in_numbers_only(given[i], warning)) {
            return false;
        }
    }
    larger = reallocarray(given, count + 1, sizeof *larger);
    copy = larger != NULL ? strdup(warning) : NULL;
    given = larger != NULL ? larger : given;
    if (copy != NULL) {
        given[count++] = copy;
    }
    return true;
}

void message_warning(const char *format, ...)
{
    char text[MOST_WARNING];
    va_list arguments, again;

    va_start(arguments, format);
    va_copy(again, arguments);
    vsnprintf(text, sizeof text, format, arguments);
    if (!be_quiet && is_new(text, true)) {
        print_line(MESSAGE_WARNING, format, again);
    }
    va_end(again);
    va_end(arguments);
}

void message_warning_from(const char *who, const char *text)
{
    if (!be_quiet && is_new(text, false)) {
        message_error("warning: %s: %s", who, text);
    }
}

void message_line(const char *format, ...)
{
    PRINT_LINE("");
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

/* True if it is time for a whole line of progress. */
static bool is_due(void)
{
    const double now = clock_seconds();
    const bool due = is_waiting && now - waits_since >= MESSAGE_HEARTBEAT;

    waits_since = due || !is_waiting ? now : waits_since;
    is_waiting = true;
    return due;
}

void message_progress(const char *format, ...)
{
    va_list arguments;

    if (be_quiet) {
        return;
    }
    va_start(arguments, format);
    vsnprintf(progress, sizeof progress, format, arguments);
    va_end(arguments);
    progress_since = clock_seconds();
    if (!can_erase()) {
        if (is_due()) {
            va_start(arguments, format);
            print_line(MESSAGE_PROGRESS, format, arguments);
            va_end(arguments);
        }
        return;
    }
    is_waiting = false;
    fflush(stdout);
    fputs("\r\033[K", stderr);
    va_start(arguments, format);
    print_escaped(format, arguments);
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

void message_heartbeat(void)
{
    char since[48];

    if (!is_waiting || clock_seconds() - waits_since < MESSAGE_HEARTBEAT || !is_due()) {
        return;
    }
    format_duration(clock_seconds() - progress_since, since, sizeof since);
    message_line(MESSAGE_PROGRESS "%s, for %s now", progress, since);
}

void message_progress_eta(const char *where, double done, double total, double seconds)
{
    char rest[48];

    if (!(done > 0 && done < total)) {
        message_progress("%s", where);
        return;
    }
    format_duration(seconds * (total - done) / done, rest, sizeof rest);
    message_progress("%s, about %s left", where, rest);
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
