/* SPDX-License-Identifier: Apache-2.0 */
/* intake.c - see intake.h. A named pipe that is opened for reading waits for its writer, for ever if there is none: it
 * is opened without waiting, and asked again and again. */
#include <config.h>

#include "base/intake.h"
#include "base/interrupt.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Seconds between two looks at a pipe. */
#define PAUSE 0.02

/* The longest text, in bytes: no record is near it, and a file without an end does not fill the memory. */
#define TEXT_MAX 1000000000

static const char out_of_memory[] = "out of memory";
static const char too_long[] = "is longer than 1 GB";
static const char interrupted[] = "interrupted";

bool intake_wait_for_peer(double *waited)
{
    poll(NULL, 0, (int)(PAUSE * 1e3));
    *waited += PAUSE;
    return *waited < INTAKE_PEER_SECONDS && !interrupt_requested();
}

/* Wait until there is something to read from a pipe that has a writer; false if there will be nothing. */
static bool wait_for_data(int descriptor)
{
    struct pollfd wait = {.fd = descriptor, .events = POLLIN};

    while (poll(&wait, 1, -1) < 0 && errno == EINTR && !interrupt_requested()) {
    }
    return (wait.revents & POLLIN) != 0;
}

/* True if a writer has come, and gone without a word. */
static bool has_hung_up(int descriptor)
{
    struct pollfd state = {.fd = descriptor, .events = POLLIN};

    return poll(&state, 1, 0) > 0 && (state.revents & POLLHUP) != 0;
}

/* A terminal is read only where it is the standard input. */
static bool is_own_terminal(const struct stat *info)
{
    struct stat own;

    return isatty(STDIN_FILENO) && fstat(STDIN_FILENO, &own) == 0 && own.st_rdev == info->st_rdev;
}

/* Why the open file of INFO is not read; NULL if it is. */
static const char *find_refusal(const struct stat *info)
{
    if (S_ISBLK(info->st_mode)) {
        return "is a block device; expected a file or a pipe";
    }
    if (S_ISCHR(info->st_mode) && !is_own_terminal(info)) {
        return "is a character device; expected a file or a pipe";
    }
    return S_ISREG(info->st_mode) && info->st_size > TEXT_MAX ? too_long : NULL;
}

/* What a read that failed, with errno, ended with; NULL if it is to be tried again, maybe after a wait. */
static const char *find_error(int descriptor)
{
    const int error = errno;

    if (error == EAGAIN) {
        return !wait_for_data(descriptor) && interrupt_requested() ? interrupted : NULL;
    }
    if (error == EINTR) {
        return interrupt_requested() ? interrupted : NULL;
    }
    return strerror(error);
}

/* Read up to SIZE bytes. Returns their number, 0 at the end; or -1 with WHY. */
static ssize_t read_some(int descriptor, char *to, size_t size, bool may_wait, const char **why)
{
    double waited = 0;

    for (;;) {
        ssize_t got = read(descriptor, to, size);

        if (got > 0 || (got == 0 && (!may_wait || has_hung_up(descriptor)))) {
            return got;
        }
        if (got < 0) {
            *why = find_error(descriptor);
        } else if (!intake_wait_for_peer(&waited)) {
            *why = interrupt_requested() ? interrupted : "nobody writes to this pipe";
        }
        if (*why != NULL) {
            return -1;
        }
    }
}

/* Read the rest of DESCRIPTOR, which may be a pipe that waits for its writer, to *ALL. Returns NULL, or why not; free
 * *ALL either way. */
static const char *read_all(int descriptor, bool is_pipe, char **all, size_t *used)
{
    const char *why = NULL;
    size_t size = 0;
    ssize_t got = 1;

    while (got > 0) {
        if (size - *used < 4096) {
            char *larger = realloc(*all, 2 * size + 65536);

            if (larger == NULL) {
                return out_of_memory;
            }
            *all = larger;
            size = 2 * size + 65536;
        }
        got = read_some(descriptor, *all + *used, size - *used, is_pipe && *used == 0, &why);
        *used += got > 0 ? (size_t)got : 0;
        if (*used > TEXT_MAX) {
            return too_long;
        }
    }
    return why;
}

const char *intake_read(const char *path, char **text, size_t *length)
{
    const int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    const char *why;
    struct stat info;
    char *all = NULL;
    size_t used = 0;

    if (descriptor < 0) {
        return strerror(errno);
    }
    why = fstat(descriptor, &info) == 0 ? find_refusal(&info) : strerror(errno);
    if (why == NULL) {
        why = read_all(descriptor, S_ISFIFO(info.st_mode), &all, &used);
    }
    close(descriptor);
    if (why != NULL) {
        free(all);
        return why;
    }
    *text = all;
    *length = used;
    return NULL;
}
