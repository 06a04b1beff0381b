/* SPDX-License-Identifier: Apache-2.0 */
/* gate.c - see gate.h. */
#include <config.h>

#include "base/clock.h"
#include "base/inject.h"
#include "base/interrupt.h"
#include "schedule/gate.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* The longest sleep before signals are looked for again, in seconds. */
#define NAP 0.2

/* When the round began. */
static double began;

/* The descriptor at INDEX of --round-gate: 0 is read, 1 is written. */
static int descriptor(const struct method *method, size_t index)
{
    return (int)method->gate.values[index];
}

static bool has_gate(const struct method *method)
{
    return method->gate.count == 2;
}

enum exit_code gate_check(const struct method *method)
{
    if (method->gate.count == 0) {
        return EXIT_OK;
    }
    if (!has_gate(method)) {
        message_error("--round-gate: expected two descriptors, one to read from and one to write to, such as 3,4");
        return EXIT_USAGE;
    }
    for (size_t i = 0; i < 2; i++) {
        const int flags = fcntl(descriptor(method, i), F_GETFL), mode = flags & O_ACCMODE;

        if (flags < 0 || mode == (i == 0 ? O_WRONLY : O_RDONLY)) {
            message_error("--round-gate: descriptor %d is not open for %s", descriptor(method, i),
                          i == 0 ? "reading" : "writing");
            return EXIT_USAGE;
        }
        fcntl(descriptor(method, i), F_SETFD, FD_CLOEXEC);
    }
    return EXIT_OK;
}

/* Sleep until the host's date is EPOCH, in seconds since 1970. */
static void sleep_until(double epoch)
{
    struct timespec now;
    double left;

    while (!interrupt_requested() && clock_gettime(CLOCK_REALTIME, &now) == 0 &&
           (left = epoch - (double)now.tv_sec - (double)now.tv_nsec * 1e-9) > 0) {
        const double nap = left < NAP ? left : NAP;
        const struct timespec pause = {0, (long)(nap * 1e9)};

        nanosleep(&pause, NULL);
    }
}

/* Let the fault happen that was asked for. */
static void fail_on_purpose(void)
{
    if (inject_fault() == INJECT_EXIT) {
        message_error("ends here, since QUANTBENCH_INJECT is %s", inject_text());
        _exit(EXIT_CANNOT_RUN);
    }
    while (inject_fault() == INJECT_HANG) {
        pause(); /* signals do not end it, as they do not end a hung driver */
    }
}

void gate_begin(const struct method *method)
{
    fail_on_purpose();
    if (method->start_at > 0) {
        struct timespec now;

        if (clock_gettime(CLOCK_REALTIME, &now) == 0 && (double)now.tv_sec > method->start_at) {
            message_warning("--start-at: this moment was over %.0f s before the first round",
                            (double)now.tv_sec - method->start_at);
        }
        sleep_until(method->start_at);
    }
}

/* Write LINE; what the launcher does not read any more is not an error. */
static void write_line(const struct method *method, const char *line)
{
    struct sigaction ignore = {.sa_handler = SIG_IGN}, before;
    ssize_t written;

    sigaction(SIGPIPE, &ignore, &before);
    do {
        written = write(descriptor(method, 1), line, strlen(line));
    } while (written < 0 && errno == EINTR);
    sigaction(SIGPIPE, &before, NULL);
}

bool gate_enter(const struct method *method, uint64_t round)
{
    struct pollfd wait = {.fd = has_gate(method) ? descriptor(method, 0) : -1, .events = POLLIN};
    char line[64], go;

    began = clock_seconds();
    if (!has_gate(method)) {
        return !interrupt_requested();
    }
    snprintf(line, sizeof line, "ready %" PRIu64 "\n", round);
    write_line(method, line);
    while (!interrupt_requested()) {
        const int ready = poll(&wait, 1, (int)(NAP * 1e3));

        if (ready > 0) {
            const ssize_t length = read(wait.fd, &go, 1);

            if (length == 1) {
                began = clock_seconds();
                return true;
            }
            if (length < 0 && (errno == EINTR || errno == EAGAIN)) {
                continue;
            }
            /* What was measured until then is reported, as after a signal. */
            message_warning("--round-gate: the launcher is gone; the rounds that are left are not run");
            raise(SIGTERM);
        }
    }
    return false;
}

void gate_leave(const struct method *method, uint64_t round)
{
    char line[96];

    if (has_gate(method)) {
        snprintf(line, sizeof line, "done %" PRIu64 " %.6f\n", round, clock_seconds() - began);
        write_line(method, line);
    }
}
