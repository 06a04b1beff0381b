/* SPDX-License-Identifier: Apache-2.0 */
/* process.c - see process.h. */
#include <config.h>

#include "base/message.h"
#include "base/process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* Linux's /dev/full. */
#define FULL_DEVICE makedev(1, 7)

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

/* True if a file system has no room left. Some have no blocks at all. */
static bool is_full(int descriptor)
{
    struct statvfs info;

    return fstatvfs(descriptor, &info) == 0 && info.f_blocks > 0 && info.f_bfree == 0;
}

int process_check_output(void)
{
    const int flags = fcntl(STDOUT_FILENO, F_GETFL);
    struct pollfd wait = {.fd = STDOUT_FILENO, .events = POLLOUT};
    struct stat info;

    if (flags < 0 || (flags & O_ACCMODE) == O_RDONLY || fstat(STDOUT_FILENO, &info) != 0) {
        return EBADF;
    }
    if ((S_ISFIFO(info.st_mode) || S_ISSOCK(info.st_mode)) && poll(&wait, 1, 0) > 0 &&
        (wait.revents & (POLLERR | POLLHUP)) != 0) {
        return EPIPE;
    }
    return (S_ISCHR(info.st_mode) && info.st_rdev == FULL_DEVICE) || (S_ISREG(info.st_mode) && is_full(STDOUT_FILENO))
               ? ENOSPC
               : 0;
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
