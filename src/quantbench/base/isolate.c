/* SPDX-License-Identifier: Apache-2.0 */
/* isolate.c - see isolate.h. */
#include <config.h>

#include "base/isolate.h"
#include "base/message.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>

/* How long a stopped process may take to end; one that waits for a device may never do it. */
#define STOP_SECONDS 10.0
/* Processes that start others while they are stopped are not followed for ever. */
#define MOST_SWEEPS 1000

const char *isolate_how_it_ended(int status, char *text, size_t size)
{
    if (WIFSIGNALED(status)) {
        snprintf(text, size, "crashed (signal %d, %s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
    } else {
        snprintf(text, size, "ended the process (exit status %d)", WEXITSTATUS(status));
    }
    return text;
}

/* Wait for the end of PID for SECONDS at most; false if it has not ended. */
static bool reap(pid_t pid, double seconds, int *status)
{
    const struct timespec pause = {0, 1000 * 1000};
    struct timespec begin, now;

    clock_gettime(CLOCK_MONOTONIC, &begin);
    do {
        pid_t ended = waitpid(pid, status, WNOHANG);

        if (ended == pid || (ended < 0 && errno != EINTR)) {
            return true;
        }
        nanosleep(&pause, NULL);
        clock_gettime(CLOCK_MONOTONIC, &now);
    } while ((double)(now.tv_sec - begin.tv_sec) + (double)(now.tv_nsec - begin.tv_nsec) * 1e-9 < seconds);
    return false;
}

bool isolate_wait(pid_t pid, double seconds, int *status)
{
    if (reap(pid, seconds, status)) {
        return true;
    }
    kill(pid, SIGKILL);
    return reap(pid, STOP_SECONDS, status);
}

bool isolate_stop(pid_t pid)
{
    return isolate_wait(pid, 0, NULL);
}

/* ---- What is left behind ---------------------------------------------------------------------------------------- */

static bool adopts;
static pid_t *own;
static size_t own_count;

bool isolate_own(pid_t pid)
{
    pid_t *larger = reallocarray(own, own_count + 1, sizeof *larger);

    if (larger == NULL) {
        return false;
    }
    own = larger;
    own[own_count++] = pid;
    return true;
}

void isolate_disown(pid_t pid)
{
    for (size_t i = 0; i < own_count; i++) {
        if (own[i] == pid) {
            own[i] = own[--own_count];
            return;
        }
    }
}

static bool is_own(pid_t pid)
{
    for (size_t i = 0; i < own_count; i++) {
        if (own[i] == pid) {
            return true;
        }
    }
    return false;
}

/* Find a child of the thread TASK that is not this process's own. Returns false if the system does not tell. */
static bool find_child_of(const char *task, pid_t *child)
{
    char path[64 + 256];
    FILE *file;
    long pid;

    snprintf(path, sizeof path, "/proc/self/task/%.255s/children", task);
    file = fopen(path, "re");
    if (file == NULL) {
        return false;
    }
    while (*child == 0 && fscanf(file, "%ld", &pid) == 1) {
        *child = is_own((pid_t)pid) ? 0 : (pid_t)pid;
    }
    fclose(file);
    return true;
}

/* Find a child of this process that is not its own; 0 if there is none. Returns false if the system does not tell. */
static bool find_child(pid_t *child)
{
    DIR *tasks = opendir("/proc/self/task");
    const struct dirent *task;
    bool told = false;

    *child = 0;
    while (tasks != NULL && *child == 0 && (task = readdir(tasks)) != NULL) {
        told = (task->d_name[0] != '.' && find_child_of(task->d_name, child)) || told;
    }
    if (tasks != NULL) {
        closedir(tasks);
    }
    return told;
}

void isolate_begin(void)
{
    pid_t child;

    adopts = find_child(&child) && child == 0 && prctl(PR_SET_CHILD_SUBREAPER, 1) == 0;
}

/* The name of the program that PID runs; "?" if it is not known. Returns NAME. */
static const char *name_of(pid_t pid, char name[32])
{
    char path[64];
    FILE *file;

    snprintf(path, sizeof path, "/proc/%ld/comm", (long)pid);
    file = fopen(path, "re");
    if (file == NULL || fgets(name, 32, file) == NULL) {
        snprintf(name, 32, "?");
    }
    if (file != NULL) {
        fclose(file);
    }
    name[strcspn(name, "\n")] = '\0';
    return name;
}

void isolate_sweep(const char *whose)
{
    pid_t child;

    for (int i = 0; adopts && i < MOST_SWEEPS && find_child(&child) && child != 0; i++) {
        char name[32];

        name_of(child, name);
        /* One that has ended by itself was only not waited for. */
        if (waitpid(child, NULL, WNOHANG) == 0) {
            bool stopped = isolate_stop(child);

            message_warning("%s: left process %ld (%s) running, which %s", whose, (long)child, name,
                            stopped ? "was stopped" : "cannot be stopped");
            if (!stopped) {
                isolate_own(child); /* or it would be found by each sweep */
                return;
            }
        }
    }
}
