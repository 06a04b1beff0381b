/* SPDX-License-Identifier: Apache-2.0 */
/* shield.c - keeps what is this process's own while foreign code is loaded into it. */
#include <config.h>

#include "cases/shield.h"

#include <fcntl.h>
#include <limits.h>
#include <locale.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Signals are numbered up to this, the real-time ones too. */
#define SIGNALS 65

extern char **environ;

static bool holds_foreign_code;

/* What a process has that foreign code may change. */
struct state {
    int standard_output; /* a copy; -1: there is none */
    int folder;          /* the current one; -1: unknown */
    mode_t mask;
    struct sigaction actions[SIGNALS];
    sigset_t blocked;
    char *locale;
    char **environment; /* copies, NULL after the last */
};

/* ---- The environment -------------------------------------------------------------------------------------------- */

static void free_environment(char **copy)
{
    for (size_t i = 0; copy[i] != NULL; i++) {
        free(copy[i]);
    }
    free(copy);
}

/* NULL if memory is short. */
static char **copy_environment(void)
{
    size_t count = 0;
    char **copy;

    while (environ != NULL && environ[count] != NULL) {
        count++;
    }
    copy = calloc(count + 1, sizeof *copy);
    for (size_t i = 0; i < count && copy != NULL; i++) {
        copy[i] = strdup(environ[i]);
        if (copy[i] == NULL) {
            free_environment(copy);
            return NULL;
        }
    }
    return copy;
}

static bool is_environment(char *const *copy)
{
    size_t i = 0;

    while (copy[i] != NULL && environ != NULL && environ[i] != NULL && strcmp(copy[i], environ[i]) == 0) {
        i++;
    }
    return copy[i] == NULL && (environ == NULL || environ[i] == NULL);
}

/* Make COPY the environment, and its texts a part of that, if it is another one now. */
static void restore_environment(char **copy)
{
    bool same = copy == NULL || is_environment(copy);

    if (!same) {
        clearenv();
    }
    for (size_t i = 0; copy != NULL && copy[i] != NULL; i++) {
        if (same) {
            free(copy[i]);
        } else {
            putenv(copy[i]);
        }
    }
    free(copy);
}

/* ---- All of it -------------------------------------------------------------------------------------------------- */

static void save(struct state *state)
{
    const char *locale = setlocale(LC_ALL, NULL);

    fflush(stdout);
    state->standard_output = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
    dup2(STDERR_FILENO, STDOUT_FILENO);
    state->folder = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    state->mask = umask(0);
    umask(state->mask);
    for (int i = 1; i < SIGNALS; i++) {
        sigaction(i, NULL, &state->actions[i]);
    }
    pthread_sigmask(SIG_SETMASK, NULL, &state->blocked);
    state->locale = locale != NULL ? strdup(locale) : NULL;
    state->environment = copy_environment();
}

static void restore(struct state *state)
{
    fflush(stdout); /* to standard error, as it was printed by the foreign code */
    if (state->standard_output >= 0 && dup2(state->standard_output, STDOUT_FILENO) < 0) {
        message_error("a plug-in has closed files of this process");
        _exit(EXIT_CANNOT_RUN);
    }
    if (state->standard_output >= 0) {
        close(state->standard_output);
    }
    if (state->folder >= 0) {
        if (fchdir(state->folder) != 0) {
            message_warning("the current folder: a plug-in has left it, and there is no way back");
        }
        close(state->folder);
    }
    umask(state->mask);
    for (int i = 1; i < SIGNALS; i++) {
        if (i != SIGKILL && i != SIGSTOP) {
            sigaction(i, &state->actions[i], NULL);
        }
    }
    pthread_sigmask(SIG_SETMASK, &state->blocked, NULL);
    if (state->locale != NULL) {
        setlocale(LC_ALL, state->locale);
        free(state->locale);
    }
    restore_environment(state->environment);
}

/* ---- The time limit --------------------------------------------------------------------------------------------- */

/* A thread that ends the process unless it is told in time not to. Signals cannot do that: foreign code may block them.
 */
struct watch {
    const char *file;
    unsigned seconds;
    int ends[2]; /* of a pipe: closing the second one tells it */
    pthread_t thread;
    bool started;
};

static void *watch(void *context)
{
    const struct watch *w = context;
    struct pollfd told = {.fd = w->ends[0], .events = POLLIN};
    const long milliseconds = (long)w->seconds * 1000;

    if (poll(&told, 1, milliseconds < INT_MAX ? (int)milliseconds : INT_MAX) == 0) {
        message_error("%s: did not return within %u s", w->file, w->seconds);
        _exit(EXIT_CANNOT_RUN);
    }
    return NULL;
}

static void start_watch(struct watch *w)
{
    sigset_t all, before;

    if (w->seconds == 0 || pipe2(w->ends, O_CLOEXEC) != 0) {
        return;
    }
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    w->started = pthread_create(&w->thread, NULL, watch, w) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (!w->started) {
        close(w->ends[0]);
        close(w->ends[1]);
    }
}

static void end_watch(struct watch *w)
{
    if (w->started) {
        close(w->ends[1]);
        pthread_join(w->thread, NULL);
        close(w->ends[0]);
    }
}

/* This process ends by shield_exit() alone once there is foreign code in it. */
static void refuse_exit(void)
{
    message_error("a plug-in has ended the process");
    _exit(EXIT_CANNOT_RUN);
}

enum qb_status shield_load(const char *file, unsigned seconds)
{
    struct watch w = {.file = file, .seconds = seconds};
    struct state state;
    enum qb_status status = QB_ERROR_MEMORY; /* what cannot be restored is not to be changed */

    if (!holds_foreign_code) {
        atexit(refuse_exit);
        holds_foreign_code = true;
    }
    save(&state);
    if (state.environment != NULL) {
        start_watch(&w);
        status = qb_plugin_load(file);
        end_watch(&w);
    }
    restore(&state);
    return status;
}

const char *shield_why(enum qb_status status)
{
    if (status == QB_ERROR_MEMORY) {
        return "out of host memory";
    }
    return status != QB_OK ? qb_error_detail() : "";
}

void shield_exit(int code)
{
    if (holds_foreign_code) {
        fflush(NULL);
        _exit(code);
    }
}
