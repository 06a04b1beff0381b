/* SPDX-License-Identifier: Apache-2.0 */
/* isolate.c - calls foreign code in a child process. */
#include <config.h>

#include "isolate.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

const char *isolate_how_it_ended(int status, char *text, size_t size)
{
    if (WIFSIGNALED(status)) {
        snprintf(text, size, "it crashed (signal %d, %s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
    } else {
        snprintf(text, size, "it ended the process (exit status %d)", WEXITSTATUS(status));
    }
    return text;
}

void isolate_wait(pid_t pid, int *status)
{
    while (waitpid(pid, status, 0) < 0 && errno == EINTR) {
    }
}

void isolate_wait_briefly(pid_t pid, int *status)
{
    const struct timespec pause = {0, 10 * 1000 * 1000};

    for (int i = 0; i < 300; i++) {
        if (waitpid(pid, status, WNOHANG) != 0) {
            return;
        }
        nanosleep(&pause, NULL);
    }
    kill(pid, SIGKILL);
    isolate_wait(pid, status);
}

void isolate_stop(pid_t pid)
{
    int status;

    kill(pid, SIGKILL);
    isolate_wait(pid, &status);
}

/* The child: its answer is a byte in the pipe, as foreign code can end a process with any status. */
static void answer(bool (*work)(void *context), void *context, int pipe_end)
{
    char result = work(context) ? 'y' : 'n';

    _exit(write(pipe_end, &result, 1) == 1 ? 0 : 1);
}

bool isolate_ask(bool (*work)(void *context), void *context, unsigned seconds, char *why, size_t size)
{
    int ends[2], status = 0, ready;
    struct pollfd wait;
    char result = '\0';
    pid_t pid;

    why[0] = '\0';
    if (pipe(ends) != 0) {
        snprintf(why, size, "no pipe: %s", strerror(errno));
        return false;
    }
    fflush(NULL);
    pid = fork();
    if (pid == 0) {
        close(ends[0]);
        answer(work, context, ends[1]);
    }
    close(ends[1]);
    if (pid < 0) {
        snprintf(why, size, "no process: %s", strerror(errno));
        close(ends[0]);
        return false;
    }
    wait = (struct pollfd){.fd = ends[0], .events = POLLIN};
    do {
        ready = poll(&wait, 1, (int)seconds * 1000);
    } while (ready < 0 && errno == EINTR);
    if (ready == 0) {
        isolate_stop(pid);
        snprintf(why, size, "it did not return within %u s", seconds);
    } else {
        bool answered = read(ends[0], &result, 1) == 1;

        isolate_wait(pid, &status);
        if (!answered) {
            isolate_how_it_ended(status, why, size);
        }
    }
    close(ends[0]);
    return result == 'y';
}
