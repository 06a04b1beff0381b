/* SPDX-License-Identifier: Apache-2.0 */
/* worker.c - both ends of the socket between the program and its worker. The worker is the same program on the same
 * command line, so that both understand every case in the same way. */
#include <config.h>

#include "isolate.h"
#include "tensor_file.h"
#include "worker.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* What a worker is called, which nobody types by accident, and where it finds its end of the socket. */
#define WORKER_NAME   "quantbench: worker"
#define WORKER_SOCKET 3

/* How long a worker may take to open a device and to make an input. */
#define SETUP_SECONDS 600

/* A case, without what is only an address in the other process. */
struct request {
    struct qb_problem problem;
    enum input_dist dist;
    unsigned threads;
    char device[32];
    char kernel[64];
};

/* ALIVE: another run of the kernel begins. DONE: the case has ended, with CODE. */
enum reply_kind { REPLY_ALIVE = 0x51420001, REPLY_DONE = 0x51420002 };
struct reply {
    enum reply_kind kind;
    enum exit_code code;
};

/* ---- The program's end ------------------------------------------------------------------------------------------ */

bool worker_is_needed(const struct args *args, const struct plan_case *plan_case)
{
    return args->isolate == ISOLATE_ALL ||
           (args->isolate == ISOLATE_PLUGINS && qb_kernel_plugin(plan_case->kernel) != NULL);
}

/* Start WORKER. Its standard output is standard error: reports are the program's, and foreign code may print. */
static bool start(struct worker *worker, const struct args *args)
{
    posix_spawn_file_actions_t actions;
    char **argv = calloc((size_t)args->argc + 1, sizeof *argv);
    int ends[2], error = ENOMEM;

    if (argv == NULL || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
        message_error("no worker process: %s", strerror(errno));
        free(argv);
        return false;
    }
    memcpy(argv, args->argv, (size_t)args->argc * sizeof *argv);
    argv[0] = (char *)WORKER_NAME;
    if (posix_spawn_file_actions_init(&actions) == 0) {
        /* Were it the same number, duplicating it would not make it survive. */
        if (ends[1] == WORKER_SOCKET) {
            fcntl(ends[1], F_SETFD, 0);
        } else {
            posix_spawn_file_actions_adddup2(&actions, ends[1], WORKER_SOCKET);
        }
        posix_spawn_file_actions_adddup2(&actions, STDERR_FILENO, STDOUT_FILENO);
        error = posix_spawn(&worker->pid, "/proc/self/exe", &actions, NULL, argv, environ);
        posix_spawn_file_actions_destroy(&actions);
    }
    free(argv);
    close(ends[1]);
    if (error != 0) {
        message_error("no worker process: %s", strerror(error));
        close(ends[0]);
        worker->pid = 0;
        return false;
    }
    worker->socket = ends[0];
    return true;
}

void worker_end(struct worker *worker)
{
    if (worker->pid > 0) {
        close(worker->socket); /* it ends when there is nobody to ask it anything */
        isolate_wait(worker->pid, NULL);
        worker->pid = 0;
    }
}

/* The worker has ended by itself, or closed its socket: say how. */
static enum exit_code worker_is_gone(struct worker *worker, const char *kernel)
{
    char how[128];
    int status = 0;

    close(worker->socket);
    isolate_wait(worker->pid, &status);
    worker->pid = 0;
    message_error("kernel %s: %s", kernel, isolate_how_it_ended(status, how, sizeof how));
    return EXIT_CANNOT_RUN;
}

static enum exit_code stop(struct worker *worker, const char *kernel, const char *why)
{
    close(worker->socket);
    isolate_stop(worker->pid);
    worker->pid = 0;
    message_error("kernel %s: %s", kernel, why);
    return EXIT_CANNOT_RUN;
}

/* Wait until WORKER is done with KERNEL, but never longer than SECONDS for a sign of life. */
static enum exit_code await(struct worker *worker, const char *kernel, unsigned seconds)
{
    unsigned limit = seconds > SETUP_SECONDS ? seconds : SETUP_SECONDS; /* nothing of the kernel runs yet */

    for (;;) {
        struct pollfd wait = {.fd = worker->socket, .events = POLLIN};
        struct reply reply;
        ssize_t size;
        int ready = poll(&wait, 1, (int)limit * 1000);

        if (ready < 0 && errno == EINTR) {
            continue;
        }
        if (ready == 0) {
            char why[96];

            snprintf(why, sizeof why, "it hangs: a run did not end within %u s (--kernel-timeout)", seconds);
            return stop(worker, kernel, why);
        }
        size = recv(worker->socket, &reply, sizeof reply, 0);
        if (size <= 0) {
            return worker_is_gone(worker, kernel);
        }
        if ((size_t)size != sizeof reply || (reply.kind != REPLY_ALIVE && reply.kind != REPLY_DONE) ||
            (unsigned)reply.code > EXIT_INCONCLUSIVE) {
            return stop(worker, kernel, "it disturbs the process that it runs in");
        }
        if (reply.kind == REPLY_DONE) {
            return reply.code;
        }
        limit = seconds;
    }
}

enum exit_code worker_prove(struct worker *worker, const struct args *args, const struct plan_case *plan_case)
{
    const char *kernel = qb_kernel_name(plan_case->kernel);
    struct request request = {.problem = plan_case->problem, .dist = plan_case->dist, .threads = plan_case->threads};
    enum exit_code code;

    snprintf(request.device, sizeof request.device, "%s", plan_case->device->info.id);
    snprintf(request.kernel, sizeof request.kernel, "%s", kernel);
    if (worker->pid == 0 && !start(worker, args)) {
        return EXIT_CANNOT_RUN;
    }
    if (send(worker->socket, &request, sizeof request, MSG_NOSIGNAL) != (ssize_t)sizeof request) {
        return worker_is_gone(worker, kernel);
    }
    code = await(worker, kernel, (unsigned)args->kernel_timeout);
    if (code != EXIT_OK) {
        /* What a kernel has done to its process or its device may not be over. */
        worker_end(worker);
    }
    return code;
}

/* ---- The worker's end ------------------------------------------------------------------------------------------- */

static void say(enum reply_kind kind, enum exit_code code)
{
    struct reply reply = {kind, code};

    if (send(WORKER_SOCKET, &reply, sizeof reply, MSG_NOSIGNAL) != (ssize_t)sizeof reply) {
        _exit(EXIT_CANNOT_RUN); /* nobody listens any more */
    }
}

static void say_alive(void)
{
    say(REPLY_ALIVE, EXIT_OK);
}

static const struct qb_kernel *find_kernel(const char *name)
{
    for (size_t i = 0; i < qb_kernel_count(); i++) {
        if (strcmp(qb_kernel_name(qb_kernel_at(i)), name) == 0) {
            return qb_kernel_at(i);
        }
    }
    return NULL;
}

/* What a worker keeps from one case to the next. */
struct held {
    struct machine machine; /* with the one device that the last case was for */
    struct tensor_file tensor;
};

static enum exit_code open_device(struct held *held, char *name)
{
    const struct names names = {1, &name};

    if (held->machine.device_count == 1 && strcmp(held->machine.devices[0].info.id, name) == 0) {
        return EXIT_OK;
    }
    machine_close(&held->machine);
    return machine_open(&names, &held->machine);
}

static enum exit_code run_request(const struct args *args, struct held *held, struct request *request)
{
    struct plan_case plan_case = {
        .problem = request->problem, .dist = request->dist, .threads = request->threads, .streams = 1};
    const struct plan plan = {.cases = &plan_case, .count = 1};
    const struct tensor_file *tensor = args->input_file != NULL ? &held->tensor : NULL;
    struct bench bench;
    enum exit_code code = open_device(held, request->device);

    if (code == EXIT_OK && tensor != NULL && held->tensor.data == NULL) {
        code = plan_read_tensor(args, &held->machine, &held->tensor);
    }
    plan_case.kernel = find_kernel(request->kernel);
    if (code != EXIT_OK || plan_case.kernel == NULL) {
        return code != EXIT_OK ? code : EXIT_CANNOT_RUN;
    }
    plan_case.device = &held->machine.devices[0];
    code = bench_begin(&bench, args, &held->machine, tensor, &plan);
    if (code == EXIT_OK) {
        code = bench_prove_harmless(&bench, 0, say_alive);
    }
    bench_end(&bench);
    return code;
}

bool worker_is_one(char **argv)
{
    return argv[0] != NULL && strcmp(argv[0], WORKER_NAME) == 0;
}

void worker_main(const struct args *args)
{
    struct held held = {.machine = {.device_count = 0}};
    struct request request;
    ssize_t size;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    do {
        size = recv(WORKER_SOCKET, &request, sizeof request, 0);
        if (size == (ssize_t)sizeof request) {
            say(REPLY_DONE, run_request(args, &held, &request));
        }
    } while (size > 0 || (size < 0 && errno == EINTR));
    tensor_file_free(&held.tensor);
    machine_close(&held.machine);
}
