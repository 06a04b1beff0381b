/* SPDX-License-Identifier: Apache-2.0 */
/* child.c - starts a second process of this program, talks to it, and ends it. */
#include <config.h>

#include "cases/binding.h"
#include "cases/child.h"
#include "base/interrupt.h"
#include "base/isolate.h"
#include "base/starvation.h"
#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

/* Where the second process finds its end of the socket. */
#define CHILD_SOCKET 3

/* What is under way through the socket, in seconds: a process that stops in the middle of it has been disturbed. */
#define RECEIVE_SECONDS 60
#define SEND_SECONDS    600
/* More characters are taken for nonsense. */
#define MOST_TEXT ((uint64_t)65536)
/* How many times as long as its limit a process may take because others use the CPUs. */
#define MOST_STRETCH 30
/* How long a process may take to end when there is nothing more for it to do. */
#define END_SECONDS 3.0

bool child_put(int socket, const void *data, size_t size)
{
    for (size_t done = 0; done < size;) {
        ssize_t sent = send(socket, (const char *)data + done, size - done, MSG_NOSIGNAL);

        if (sent < 0 && errno != EINTR) {
            return false;
        }
        done += sent > 0 ? (size_t)sent : 0;
    }
    return true;
}

/* When what SOCKET receives from now on is too late, of the host's clock. */
static double receive_end(int socket)
{
    struct timeval limit = {0, 0};
    socklen_t size = sizeof limit;

    if (getsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &limit, &size) != 0 || limit.tv_sec == 0) {
        return INFINITY;
    }
    return clock_seconds() + (double)limit.tv_sec;
}

/* Wait until there is something to read, or END; false if it is END. */
static bool await_more(int socket, double end)
{
    struct pollfd wait = {.fd = socket, .events = POLLIN};
    int ready;

    do {
        ready = poll(&wait, 1, isinf(end) ? -1 : (int)ceil(fmax(end - clock_seconds(), 0) * 1e3));
    } while (ready < 0 && errno == EINTR);
    return ready > 0;
}

bool child_take(int socket, void *data, size_t size)
{
    /* The system's limit is for each part of the message: one that trickles in would take for ever. */
    const double end = receive_end(socket);

    for (size_t done = 0; done < size;) {
        ssize_t got = await_more(socket, end) ? recv(socket, (char *)data + done, size - done, 0) : 0;

        if (got == 0 || (got < 0 && errno != EINTR)) {
            return false;
        }
        done += got > 0 ? (size_t)got : 0;
    }
    return true;
}

bool child_put_text(int socket, const char *text)
{
    uint64_t length = strlen(text);

    return child_put(socket, &length, sizeof length) && child_put(socket, text, length);
}

char *child_take_text(int socket)
{
    uint64_t length;
    char *text;

    if (!child_take(socket, &length, sizeof length) || length > MOST_TEXT) {
        return NULL;
    }
    text = calloc(length + 1, 1);
    if (text != NULL && !child_take(socket, text, length)) {
        free(text);
        text = NULL;
    }
    return text;
}

void child_say(int socket, const void *data, size_t size)
{
    if (!child_put(socket, data, size)) {
        _exit(EXIT_CANNOT_RUN);
    }
}

/* Start the process with its end of the socket. Returns an error number. */
static int spawn(struct child *child, const char *name, const struct command *command, int its_end)
{
    posix_spawn_file_actions_t actions;
    char **argv = calloc((size_t)command->argc + 1, sizeof *argv);
    char first[64];
    int error = ENOMEM;

    if (argv == NULL) {
        return error;
    }
    memcpy(argv, command->argv, (size_t)command->argc * sizeof *argv);
    snprintf(first, sizeof first, "%s", name);
    argv[0] = first;
    if (posix_spawn_file_actions_init(&actions) == 0) {
        /* Were it the same number, duplicating it would not make it survive. */
        if (its_end == CHILD_SOCKET) {
            fcntl(its_end, F_SETFD, 0);
        } else {
            posix_spawn_file_actions_adddup2(&actions, its_end, CHILD_SOCKET);
        }
        posix_spawn_file_actions_adddup2(&actions, STDERR_FILENO, STDOUT_FILENO);
        error = binding_spawn(argv, &actions, &child->pid);
        posix_spawn_file_actions_destroy(&actions);
    }
    free(argv);
    return error;
}

bool child_start(struct child *child, const char *name, const struct command *command)
{
    const struct timeval receive_limit = {RECEIVE_SECONDS, 0}, send_limit = {SEND_SECONDS, 0};
    int ends[2], error;

    child->pid = 0;
    child->interrupted = 0;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
        message_error("no process for foreign code: %s", strerror(errno));
        return false;
    }
    error = spawn(child, name, command, ends[1]);
    close(ends[1]);
    if (error == 0 && !isolate_own(child->pid)) {
        isolate_stop(child->pid);
        error = ENOMEM;
    }
    if (error != 0) {
        message_error("no process for foreign code: %s", strerror(error));
        close(ends[0]);
        child->pid = 0;
        return false;
    }
    setsockopt(ends[0], SOL_SOCKET, SO_RCVTIMEO, &receive_limit, sizeof receive_limit);
    setsockopt(ends[0], SOL_SOCKET, SO_SNDTIMEO, &send_limit, sizeof send_limit);
    child->socket = ends[0];
    return true;
}

/* True if CHILD has ended. If so, there is an end of what it sent: the socket may be held by a process of its own. */
static bool has_ended(const struct child *child)
{
    siginfo_t info = {.si_pid = 0};

    if (waitid(P_PID, (id_t)child->pid, &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid != child->pid) {
        return false;
    }
    shutdown(child->socket, SHUT_RD);
    return true;
}

/* Tell CHILD once if this process is interrupted. Returns when its time is up then, of the host's clock. */
static double relay_interrupt(struct child *child)
{
    if (interrupt_requested() && child->interrupted == 0) {
        kill(child->pid, SIGTERM);
        child->interrupted = clock_seconds();
    }
    return child->interrupted != 0 ? child->interrupted + END_SECONDS : INFINITY;
}

bool child_await(struct child *child, double seconds)
{
    const double begin = clock_seconds();
    const double interval = fmax(fmin(seconds / 8, 1), 0.05);
    struct pollfd wait = {.fd = child->socket, .events = POLLIN};
    struct starvation starvation = {.pid = child->pid};
    bool came, late;

    for (int i = 0;; i++) {
        double passed = clock_seconds() - begin, limit = seconds;
        int ready;

        /* Looking disturbs what is measured: once at the beginning, and then when it takes suspiciously long. */
        if (i == 1 || passed > seconds / 2) {
            limit += fmin(starvation_look(&starvation), (MOST_STRETCH - 1) * seconds);
        }
        message_heartbeat();
        /* A signal may come before the wait begins: look again before long. */
        ready = poll(&wait, 1, (int)ceil(fmax(fmin(limit - passed, interval), 0) * 1e3));
        late = clock_seconds() >= relay_interrupt(child); /* even if there is one sign of life after the other */
        came = !late && (ready > 0 || has_ended(child));
        if (came || late || (ready == 0 && passed >= limit)) {
            break;
        }
    }
    starvation_end(&starvation);
    return came;
}

/* Wait for the end of CHILD, which is about to end, and stop what it has left behind. Returns false if it cannot
 * be stopped. */
static bool finish(struct child *child, double seconds, int *status)
{
    bool ended;

    close(child->socket);
    ended = isolate_wait(child->pid, seconds, status);
    isolate_disown(child->pid);
    isolate_sweep(child->whose);
    child->pid = 0;
    return ended;
}

void child_end(struct child *child)
{
    if (child->pid > 0) {
        finish(child, END_SECONDS, NULL);
    }
}

void child_stop(struct child *child)
{
    if (child->pid > 0) {
        finish(child, 0, NULL);
    }
}

void child_lost(struct child *child, char why[CHILD_WHY_SIZE])
{
    int status = 0;

    if (finish(child, END_SECONDS, &status)) {
        isolate_how_it_ended(status, why, CHILD_WHY_SIZE);
    } else {
        snprintf(why, CHILD_WHY_SIZE, "cannot be stopped");
    }
    if (interrupt_requested() && WIFSIGNALED(status)) {
        why[0] = '\0'; /* who sent a signal here may have sent it there */
    }
}

int child_begin(char **argv, const char *name)
{
    if (argv[0] == NULL || strcmp(argv[0], name) != 0) {
        return -1;
    }
    /* What foreign code starts is not to hold the socket open. */
    fcntl(CHILD_SOCKET, F_SETFD, FD_CLOEXEC);
    interrupt_install_relayed();
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    return CHILD_SOCKET;
}
