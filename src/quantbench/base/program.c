/* SPDX-License-Identifier: Apache-2.0 */
/* program.c - another program, in a process group of its own. Its text is a file without a name, so that nothing is
 * left on the disk. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* memfd_create(), pipe2() */
#endif
#include <config.h>

#include "base/clock.h"
#include "base/interrupt.h"
#include "base/program.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

/* The descriptor under which the program finds its text, and the name of that. */
#define TEXT_DESCRIPTOR 3
#define TEXT_NAME       "/dev/fd/3"

/* Milliseconds between two looks at a program that writes nothing. */
#define LOOK 100

static const char took_too_long[] = "took too long";

/* What is between this process and the program. */
struct connection {
    int text;
    int out[2], err[2];
    pid_t pid;
};

bool program_exists(const char *name)
{
    const char *path = getenv("PATH");
    char *copy = strdup(path != NULL ? path : "/bin:/usr/bin"), *rest = copy, *folder, *file;
    bool found = false;
    struct stat info;

    while (!found && (folder = strsep(&rest, ":")) != NULL) {
        if (asprintf(&file, "%s/%s", folder[0] != '\0' ? folder : ".", name) >= 0) {
            found = stat(file, &info) == 0 && S_ISREG(info.st_mode) && access(file, X_OK) == 0;
            free(file);
        }
    }
    free(copy);
    return found;
}

/* ---- Its start -------------------------------------------------------------------------------------------------- */

/* The environment without HIDDEN, and with a locale; NULL if memory is short. Free it. */
static char **make_environment(const char *hidden)
{
    static char locale[] = "LC_ALL=C.UTF-8";
    const size_t length = strlen(hidden);
    size_t count = 0, kept = 0;
    char **copy;

    while (environ[count] != NULL) {
        count++;
    }
    copy = calloc(count + 2, sizeof *copy);
    for (size_t i = 0; i < count && copy != NULL; i++) {
        const bool is_hidden = strncmp(environ[i], hidden, length) == 0 && environ[i][length] == '=';

        if (!is_hidden && strncmp(environ[i], "LC_ALL=", strlen("LC_ALL=")) != 0) {
            copy[kept++] = environ[i];
        }
    }
    if (copy != NULL) {
        copy[kept] = locale;
    }
    return copy;
}

/* Return a file without a name that holds LENGTH bytes of TEXT; -1 sets errno. */
static int make_file(const char *text, size_t length)
{
    const int descriptor = memfd_create("quantbench", MFD_CLOEXEC);

    while (length > 0 && descriptor >= 0) {
        const ssize_t written = write(descriptor, text, length);

        if (written < 0 && errno != EINTR) {
            const int error = errno;

            close(descriptor);
            errno = error;
            return -1;
        }
        text += written > 0 ? written : 0;
        length -= written > 0 ? (size_t)written : 0;
    }
    return descriptor;
}

/* Start "NAME OPTION TEXT_NAME". Returns an error number. */
static int spawn(const struct program *program, char **environment, struct connection *c)
{
    char *const argv[] = {(char *)(size_t)program->name, (char *)(size_t)program->option, (char[]){TEXT_NAME}, NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t all, none;
    int error;

    sigemptyset(&none);
    sigfillset(&all);
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, c->out[1], STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions, c->err[1], STDERR_FILENO);
    posix_spawn_file_actions_adddup2(&actions, c->text, TEXT_DESCRIPTOR);
    posix_spawnattr_setflags(&attributes,
                             (short)(POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF));
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    error = posix_spawnp(&c->pid, argv[0], &actions, &attributes, argv, environment);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return error;
}

static void close_one(int *descriptor)
{
    if (*descriptor >= 0) {
        close(*descriptor);
        *descriptor = -1;
    }
}

static void disconnect(struct connection *c)
{
    close_one(&c->text);
    for (int i = 0; i < 2; i++) {
        close_one(&c->out[i]);
        close_one(&c->err[i]);
    }
}

/* Start PROGRAM, with pipes from its outputs. Returns an error number. */
static int start(const struct program *program, struct connection *c)
{
    char **environment = make_environment(program->hidden);
    int error = environment == NULL ? ENOMEM : 0;

    *c = (struct connection){.text = -1, .out = {-1, -1}, .err = {-1, -1}};
    if (error == 0) {
        c->text = make_file(program->text, program->length);
        error = c->text < 0 || pipe2(c->out, O_CLOEXEC) != 0 || pipe2(c->err, O_CLOEXEC) != 0 ? errno : 0;
    }
    error = error == 0 ? spawn(program, environment, c) : error;
    close_one(&c->out[1]);
    close_one(&c->err[1]);
    free(environment);
    return error;
}

/* ---- What it writes --------------------------------------------------------------------------------------------- */

/* Add what *DESCRIPTOR has to OUTPUT, of at most MOST bytes; -1 is its end. Returns NULL, or the problem. */
static const char *take_output(int *descriptor, struct program_output *output, size_t *room, size_t most)
{
    ssize_t got;

    if (*room - output->length < BUFSIZ) {
        char *larger = realloc(output->bytes, 2 * *room + 8 * BUFSIZ);

        if (larger == NULL) {
            return strerror(ENOMEM);
        }
        output->bytes = larger;
        *room = 2 * *room + 8 * BUFSIZ;
    }
    got = read(*descriptor, output->bytes + output->length, *room - output->length);
    output->length += got > 0 ? (size_t)got : 0;
    if (got == 0 || (got < 0 && errno != EINTR)) {
        *descriptor = -1;
    }
    return output->length > most ? "wrote too much" : NULL;
}

/* The same for messages, of which the beginning is kept, on one line. */
static void take_message(int *descriptor, struct program_output *output)
{
    char bytes[BUFSIZ];
    const ssize_t got = read(*descriptor, bytes, sizeof bytes);
    size_t length = strlen(output->message);

    for (ssize_t i = 0; i < got && length + 1 < sizeof output->message; i++) {
        const bool is_space = (unsigned char)bytes[i] <= ' ';

        if (!is_space || (length > 0 && output->message[length - 1] != ' ')) {
            output->message[length++] = is_space ? ' ' : bytes[i];
            output->message[length] = '\0';
        }
    }
    if (got == 0 || (got < 0 && errno != EINTR)) {
        *descriptor = -1;
    }
}

/* Why a program that may run until END is to stop now; NULL: it is not. */
static const char *reason_to_stop(double end, bool was_interrupted)
{
    return clock_seconds() >= end ? took_too_long : interrupt_requested() && !was_interrupted ? "interrupted" : NULL;
}

/* Take all until both outputs are closed, and wait until the program has ended. Returns NULL, or the problem. */
static const char *take_all(const struct program *program, const struct connection *c, struct program_output *output)
{
    const double end = clock_seconds() + program->seconds;
    const bool was_interrupted = interrupt_requested();
    struct pollfd pipes[2] = {{.fd = c->out[0], .events = POLLIN}, {.fd = c->err[0], .events = POLLIN}};
    const char *problem = NULL;
    size_t room = 0;

    while (problem == NULL && (pipes[0].fd >= 0 || pipes[1].fd >= 0)) {
        if (poll(pipes, 2, LOOK) > 0) {
            if (pipes[0].revents != 0) {
                problem = take_output(&pipes[0].fd, output, &room, program->most);
            }
            if (pipes[1].revents != 0) {
                take_message(&pipes[1].fd, output);
            }
        }
        problem = problem == NULL ? reason_to_stop(end, was_interrupted) : problem;
    }
    while (problem == NULL) {
        siginfo_t info = {.si_pid = 0};

        if (waitid(P_PID, (id_t)c->pid, &info, WEXITED | WNOWAIT | WNOHANG) == 0 && info.si_pid != 0) {
            break;
        }
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
        problem = reason_to_stop(end, was_interrupted);
    }
    return problem;
}

/* End the program with all of its group, and say why it failed in OUTPUT: PROBLEM, or its status. */
static void finish(pid_t pid, const char *problem, struct program_output *output)
{
    int status = 0;

    /* Until it is waited for, no other group has its number. */
    kill(-pid, SIGKILL);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    if (problem != NULL) {
        snprintf(output->problem, sizeof output->problem, "%s", problem);
    } else if (WIFSIGNALED(status)) {
        snprintf(output->problem, sizeof output->problem, "ended by signal %d", WTERMSIG(status));
    } else if (WEXITSTATUS(status) != 0) {
        snprintf(output->problem, sizeof output->problem, "exit status %d", WEXITSTATUS(status));
    }
}

bool program_run(const struct program *program, struct program_output *output)
{
    struct connection connection;
    int error;

    *output = (struct program_output){.length = 0};
    error = start(program, &connection);
    if (error != 0) {
        snprintf(output->problem, sizeof output->problem, "%s", strerror(error));
    } else {
        finish(connection.pid, take_all(program, &connection, output), output);
    }
    disconnect(&connection);
    return output->problem[0] == '\0';
}
