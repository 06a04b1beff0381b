/* SPDX-License-Identifier: Apache-2.0 */
/* agent.c - see agent.h. */
#include <config.h>

#include "agent.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PARTING 10.0 /* s for a tool to write what it measured, when its rank is gone */

double now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

void nap(double seconds)
{
    const struct timespec pause = {(time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9)};

    nanosleep(&pause, NULL);
}

void say(const char *format, ...)
{
    char text[2048];
    va_list list;

    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    fprintf(stderr, "quantbench-mpi: %s\n", text);
}

/* ---- The agent's side -------------------------------------------------------------------------------------------- */

struct child {
    pid_t pid;          /* -1: none */
    int in, out;        /* -1: closed */
    char log[PATH_MAX]; /* "": none */
};

/* Ask the tool to end, and say WHY in its log: its record has fewer rounds then. */
static void ask_to_end(const struct child *child, const char *why)
{
    const int log = child->log[0] != '\0' ? open(child->log, O_WRONLY | O_APPEND | O_NOFOLLOW | O_CLOEXEC) : -1;

    if (log >= 0) {
        dprintf(log, "quantbench-mpi: the tool is asked to end: %s\n", why);
        close(log);
    }
    kill(-child->pid, SIGTERM);
}

/* Close all descriptors from FIRST on: a tool that stays must not keep what the rank has open. */
static void close_from(unsigned first)
{
#ifdef SYS_close_range
    if (syscall(SYS_close_range, first, ~0U, 0) == 0) {
        return;
    }
#endif
    for (int i = (int)first; i < 4096; i++) {
        close(i);
    }
}

static void close_end(int *descriptor)
{
    if (*descriptor >= 0) {
        close(*descriptor);
        *descriptor = -1;
    }
}

/* In the new process: become the tool, with the gate at 3 and 4, or with the pipe as standard output. */
static void become_tool(bool gated, const char *errors, char **argv, int in, int out)
{
    const int null = open("/dev/null", O_RDWR);
    const int log = errors[0] != '\0' ? open(errors, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0666) : null;

    setpgid(0, 0);
    in = fcntl(in, F_DUPFD, 16);
    out = fcntl(out, F_DUPFD, 16);
    dup2(log >= 0 ? log : null, STDERR_FILENO);
    dup2(gated ? null : out, STDOUT_FILENO);
    dup2(null, STDIN_FILENO);
    if (gated) {
        dup2(in, 3);
        dup2(out, 4);
    }
    close_from(gated ? 5 : 3);
    execvp(argv[0], argv);
    dprintf(STDERR_FILENO, "quantbench-mpi: %s: %s\n", argv[0], strerror(errno));
    _exit(127);
}

static void start_child(struct child *child, bool gated, const char *errors, char **argv)
{
    int to[2], from[2];

    if (pipe2(to, O_CLOEXEC) != 0 || pipe2(from, O_CLOEXEC) != 0) {
        return;
    }
    child->pid = fork();
    if (child->pid == 0) {
        become_tool(gated, errors, argv, to[0], from[1]);
    }
    setpgid(child->pid, child->pid);
    close(to[0]);
    close(from[1]);
    fcntl(from[0], F_SETFL, O_NONBLOCK);
    child->in = to[1];
    child->out = from[0];
}

/* Start what PACKET, which the rank has sent, asks for. */
static void start_from(struct child *child, char *packet, size_t length)
{
    char *argv[1024], *errors = packet + 2, *word = errors + strlen(errors) + 1;
    size_t argc = 0;

    while (word < packet + length && argc < sizeof argv / sizeof argv[0] - 1) {
        argv[argc++] = word;
        word += strlen(word) + 1;
    }
    argv[argc] = NULL;
    close_end(&child->in);
    close_end(&child->out);
    child->log[0] = '\0';
    strncat(child->log, errors, sizeof child->log - 1);
    start_child(child, packet[1] == 'g', errors, argv);
}

/* Processes of the tool's that have left its group are the agent's children when the tool has ended. */
static void kill_strays(void)
{
    for (int tries = 0; tries < 100; tries++) {
        char path[64];
        FILE *file;
        int stray, found = 0;

        snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
        file = fopen(path, "re");
        while (file != NULL && fscanf(file, "%d", &stray) == 1) {
            kill(stray, SIGKILL);
            found++;
        }
        if (file != NULL) {
            fclose(file);
        }
        while (waitpid(-1, NULL, WNOHANG) > 0) {
        }
        if (found == 0) {
            return;
        }
        nap(1e-3);
    }
}

/* Send what the tool wrote. */
static void forward(int socket, struct child *child)
{
    char packet[4097];
    ssize_t length;

    while (child->out >= 0 && (length = read(child->out, packet + 1, sizeof packet - 1)) != -1) {
        if (length == 0) {
            close_end(&child->out);
            return;
        }
        packet[0] = PACKET_TEXT;
        send(socket, packet, (size_t)length + 1, MSG_NOSIGNAL);
    }
}

/* Once the tool has ended, end what it has left, and tell the rank. */
static void reap(int socket, struct child *child)
{
    siginfo_t info = {.si_pid = 0};
    char packet[1 + sizeof(int)] = {PACKET_END};
    int status = 0;

    if (child->pid <= 0 || waitid(P_PID, (id_t)child->pid, &info, WEXITED | WNOHANG | WNOWAIT) != 0 ||
        info.si_pid == 0) {
        return;
    }
    kill(-child->pid, SIGKILL);
    waitpid(child->pid, &status, 0);
    child->pid = -1;
    kill_strays();
    forward(socket, child);
    close_end(&child->in);
    close_end(&child->out);
    memcpy(packet + 1, &status, sizeof status);
    send(socket, packet, sizeof packet, MSG_NOSIGNAL);
}

/* Do what the rank says. Returns false if it is gone. */
static bool obey_rank(int socket, struct child *child)
{
    static char packet[AGENT_PACKET + 1];
    const ssize_t length = recv(socket, packet, AGENT_PACKET, 0);

    if (length <= 0) {
        return length < 0 && errno == EINTR;
    }
    packet[length] = '\0';
    switch (packet[0]) {
    case PACKET_RUN:
        start_from(child, packet, (size_t)length);
        break;
    case PACKET_GO:
        if (child->in >= 0 && write(child->in, "g", 1) != 1) {
            close_end(&child->in);
        }
        break;
    case PACKET_TERM:
        if (child->pid > 0) {
            ask_to_end(child, "it was not ready in time");
        }
        break;
    case PACKET_KILL:
        if (child->pid > 0) {
            kill(-child->pid, SIGKILL);
        }
        break;
    default:
        break;
    }
    return true;
}

static void agent_main(int socket)
{
    struct child child = {-1, -1, -1, ""};
    const int null = open("/dev/null", O_RDWR);
    double until;

    setsid();
    signal(SIGPIPE, SIG_IGN);
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    for (int i = 0; i < 3; i++) {
        dup2(null, i);
    }
    for (;;) {
        struct pollfd polls[2] = {{.fd = socket, .events = POLLIN}, {.fd = child.out, .events = POLLIN}};

        poll(polls, 2, child.pid > 0 ? 20 : -1);
        if (polls[0].revents != 0 && !obey_rank(socket, &child)) {
            break;
        }
        forward(socket, &child);
        reap(socket, &child);
    }
    /* What was measured is a record too, if the tool gets the time to write it. */
    if (child.pid > 0) {
        ask_to_end(&child, "its rank is gone");
    }
    close_end(&child.in);
    for (until = now() + PARTING; child.pid > 0; nap(0.02)) {
        reap(socket, &child);
        if (child.pid > 0 && now() > until) {
            kill(-child.pid, SIGKILL);
            nap(0.1);
            reap(socket, &child);
            break;
        }
    }
    kill_strays();
    _exit(0);
}

/* ---- The rank's side --------------------------------------------------------------------------------------------- */

static int agent = -1;
static pid_t agent_pid = -1;

bool agent_start(void)
{
    int ends[2];

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0 || (agent_pid = fork()) < 0) {
        say("cannot start a process: %s", strerror(errno));
        return false;
    }
    if (agent_pid == 0) {
        close(ends[0]);
        agent_main(ends[1]);
    }
    close(ends[1]);
    agent = ends[0];
    return true;
}

void agent_end(void)
{
    close(agent);
    waitpid(agent_pid, NULL, 0);
}

void agent_tell(char kind)
{
    send(agent, &kind, 1, MSG_NOSIGNAL);
}

bool agent_run(bool gated, const char *errors, char *const *argv)
{
    static char packet[AGENT_PACKET];
    size_t length = 2;

    packet[0] = PACKET_RUN;
    packet[1] = gated ? 'g' : 'o';
    for (int i = -1; i < 0 || argv[i] != NULL; i++) {
        const char *word = i < 0 ? errors : argv[i];

        if (length + strlen(word) + 1 > sizeof packet) {
            say("the arguments are too long");
            return false;
        }
        memcpy(packet + length, word, strlen(word) + 1);
        length += strlen(word) + 1;
    }
    return send(agent, packet, length, MSG_NOSIGNAL) == (ssize_t)length;
}

size_t agent_receive(double seconds, char packet[AGENT_PACKET + 1])
{
    struct pollfd wait = {.fd = agent, .events = POLLIN};
    ssize_t length;

    if (poll(&wait, 1, (int)(seconds * 1e3)) <= 0) {
        return 0;
    }
    length = recv(agent, packet, AGENT_PACKET, 0);
    if (length < 0 && errno == EINTR) {
        return 0;
    }
    if (length <= 0) {
        const int status = SIGKILL;

        packet[0] = PACKET_END;
        memcpy(packet + 1, &status, sizeof status);
        length = 1 + sizeof status;
    }
    packet[length] = '\0';
    return (size_t)length;
}

int agent_exit_status(int status)
{
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int agent_run_to_end(char *const *argv, const char *errors, double seconds, char **text)
{
    const double until = now() + seconds;
    static char packet[AGENT_PACKET + 1];
    size_t used = 0;

    *text = calloc(1, 1);
    if (!agent_run(false, errors, argv)) {
        return -1;
    }
    while (now() < until) {
        const size_t length = agent_receive(0.1, packet);

        if (length > 0 && packet[0] == PACKET_END) {
            int status;

            memcpy(&status, packet + 1, sizeof status);
            return agent_exit_status(status);
        }
        if (length > 1) {
            char *larger = realloc(*text, used + length);

            if (larger != NULL) {
                *text = larger;
                memcpy(larger + used, packet + 1, length);
                used += length - 1;
                larger[used] = '\0';
            }
        }
    }
    agent_tell(PACKET_KILL);
    return -1;
}
