/* SPDX-License-Identifier: Apache-2.0 */
/* intake.c - see intake.h. A named pipe that is opened for reading waits for its writer, for ever if there is none: it
 * is opened without waiting, and asked again and again. */
#include <config.h>

#include "intake.h"
#include "interrupt.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Seconds between two looks at a pipe. */
#define PAUSE 0.02

static const char out_of_memory[] = "out of memory";

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

/* Read up to SIZE bytes. Returns their number, 0 at the end; or -1 with WHY. */
static ssize_t read_some(int descriptor, char *to, size_t size, bool begun, const char **why)
{
    double waited = 0;

    for (;;) {
        ssize_t got = read(descriptor, to, size);

        if (got > 0 || (got == 0 && (begun || has_hung_up(descriptor)))) {
            return got;
        }
        if (got == 0) {
            /* A file that is empty, or a pipe without a writer. */
            if (lseek(descriptor, 0, SEEK_CUR) >= 0 || errno != ESPIPE) {
                return 0;
            }
            if (!intake_wait_for_peer(&waited)) {
                *why = "nobody writes to this pipe";
                return -1;
            }
        } else if (errno == EAGAIN) {
            if (!wait_for_data(descriptor) && interrupt_requested()) {
                *why = strerror(EINTR);
                return -1;
            }
        } else if (errno != EINTR || interrupt_requested()) {
            *why = strerror(errno);
            return -1;
        }
    }
}

const char *intake_read(const char *path, char **text, size_t *length)
{
    const int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    const char *why = NULL;
    char *all = NULL;
    size_t size = 0, used = 0;
    ssize_t got = 1;

    if (descriptor < 0) {
        return strerror(errno);
    }
    while (got > 0) {
        if (size - used < 4096) {
            char *larger = realloc(all, 2 * size + 65536);

            if (larger == NULL) {
                why = out_of_memory;
                break;
            }
            all = larger;
            size = 2 * size + 65536;
        }
        got = read_some(descriptor, all + used, size - used, used > 0, &why);
        used += got > 0 ? (size_t)got : 0;
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
