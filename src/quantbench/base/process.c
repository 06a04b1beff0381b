/* SPDX-License-Identifier: Apache-2.0 */
/* process.c - see process.h. */
#include <config.h>

#include "base/message.h"
#include "base/process.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* The process whose exit is guarded: no child that foreign code is asked in. */
static pid_t guarded;
static bool announced;

void process_guard_descriptors(void)
{
    for (int descriptor = STDIN_FILENO; descriptor <= STDERR_FILENO; descriptor++) {
        /* The wrong way round: reading and writing fail, as they did where there was nothing. */
        int flags = descriptor == STDIN_FILENO ? O_WRONLY : O_RDONLY;

        /* The lowest number that is free is this one. */
        if (fcntl(descriptor, F_GETFD) < 0 && errno == EBADF && open("/dev/null", flags) != descriptor) {
            _exit(EXIT_CANNOT_RUN);
        }
    }
}

static void explain_exit(void)
{
    if (announced || getpid() != guarded) {
        return;
    }
    message_error("a library has ended the process; its own message may say why");
    /* What is in stdout's buffer may be the first part of a report. */
    _exit(EXIT_CANNOT_RUN);
}

void process_guard_exit(void)
{
    guarded = getpid();
    if (atexit(explain_exit) != 0) {
        guarded = 0;
    }
}

void process_announce_exit(void)
{
    announced = true;
}
