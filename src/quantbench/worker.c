/* SPDX-License-Identifier: Apache-2.0 */
/* worker.c - both ends of the socket between the program and its worker. The worker is the same program on the same
 * command line, so that both mean the same by every number, and structures go through the socket as they are. */
#include <config.h>

#include "binding.h"
#include "interrupt.h"
#include "isolate.h"
#include "outcome.h"
#include "tensor_file.h"
#include "worker.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

/* What a worker is called, which nobody types by accident, and where it finds its end of the socket. */
#define WORKER_NAME   "quantbench: worker"
#define WORKER_SOCKET 3

/* What is under way through the socket, in seconds: a process that stops in the middle of it has been disturbed. */
#define RECEIVE_SECONDS 60
#define SEND_SECONDS    600
/* The worker's word for how long something takes is believed up to a day. */
#define MOST_SECONDS 86400.0

/* A case, without what is only an address in the other process. First a worker is told how many are for it, as a
 * uint64_t, and each of them. */
struct case_message {
    uint64_t index; /* in the program */
    struct qb_problem problem;
    enum input_dist dist;
    unsigned threads;
    enum cache_state cache;
    enum launch_mode launch;
    unsigned streams;
    char device[32];
    char kernel[64];
};

enum question_kind { ASK_TO_PROVE, ASK_TO_VISIT };
struct question {
    enum question_kind kind;
    uint64_t index;
    uint64_t samples;
    uint64_t aside;
    uint64_t launches_per_sample; /* as an earlier visit has chosen them; 0: there was none */
    double hot_time;
};

/* ALIVE: the next message comes within SECONDS, and --kernel-timeout. DONE: a struct outcome follows. */
enum answer_kind { ANSWER_ALIVE = 0x51420001, ANSWER_DONE = 0x51420002 };
struct answer {
    enum answer_kind kind;
    double seconds;
};

/* Send SIZE bytes; false if nobody is there to read them. */
static bool put(int socket, const void *data, size_t size)
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

/* Receive SIZE bytes; false if they do not come. */
static bool take(int socket, void *data, size_t size)
{
    for (size_t done = 0; done < size;) {
        ssize_t got = recv(socket, (char *)data + done, size - done, 0);

        if (got == 0 || (got < 0 && errno != EINTR)) {
            return false;
        }
        done += got > 0 ? (size_t)got : 0;
    }
    return true;
}

/* ---- The program's end ------------------------------------------------------------------------------------------ */

static bool is_foreign(const struct bench *bench, size_t index)
{
    return qb_kernel_plugin(bench->results[index].plan_case->kernel) != NULL;
}

bool worker_takes(const struct bench *bench, size_t index)
{
    bool any = is_foreign(bench, index);

    if (bench->args->isolate != ISOLATE_PLUGINS) {
        return bench->args->isolate == ISOLATE_ALL;
    }
    for (size_t i = 0; i < bench->count && bench->args->compare != COMPARE_NOTHING && !any; i++) {
        any = is_foreign(bench, i);
    }
    return any;
}

bool worker_visits(const struct bench *bench, size_t index)
{
    return worker_takes(bench, index) && bench->results[index].plan_case->launch != LAUNCH_PROFILE;
}

/* Start the process. Its standard output is standard error: reports are the program's, and foreign code may print. */
static bool spawn(struct worker *worker, const struct args *args)
{
    const struct timeval receive_limit = {RECEIVE_SECONDS, 0}, send_limit = {SEND_SECONDS, 0};
    posix_spawn_file_actions_t actions;
    char **argv = calloc((size_t)args->argc + 1, sizeof *argv);
    int ends[2], error = ENOMEM;

    if (argv == NULL || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
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
        error = binding_spawn(argv, &actions, &worker->pid);
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
    setsockopt(ends[0], SOL_SOCKET, SO_RCVTIMEO, &receive_limit, sizeof receive_limit);
    setsockopt(ends[0], SOL_SOCKET, SO_SNDTIMEO, &send_limit, sizeof send_limit);
    worker->socket = ends[0];
    worker->interrupted = worker->mixed = false;
    return true;
}

void worker_end(struct worker *worker)
{
    if (worker->pid > 0) {
        close(worker->socket); /* it ends when there is nobody to ask it anything */
        isolate_wait_briefly(worker->pid, NULL);
        worker->pid = 0;
    }
}

#define WHY_SIZE 160

/* The worker has ended by itself, or closed its socket: say how in WHY, "" if that is this process's own end. */
static void lost(struct worker *worker, char why[WHY_SIZE])
{
    int status = 0;

    close(worker->socket);
    isolate_wait_briefly(worker->pid, &status);
    worker->pid = 0;
    isolate_how_it_ended(status, why, WHY_SIZE);
    if (interrupt_requested() && WIFSIGNALED(status)) {
        why[0] = '\0'; /* who sent a signal here may have sent it there */
    }
}

static void stop(struct worker *worker)
{
    close(worker->socket);
    isolate_stop(worker->pid);
    worker->pid = 0;
}

/* Tell WORKER all cases that are for it, as far as it listens. */
static void tell_cases(const struct worker *worker, const struct bench *bench)
{
    struct case_message message;
    uint64_t count = 0;

    for (size_t i = 0; i < bench->count; i++) {
        count += worker_takes(bench, i);
    }
    if (!put(worker->socket, &count, sizeof count)) {
        return;
    }
    for (size_t i = 0; i < bench->count; i++) {
        const struct plan_case *from = bench->results[i].plan_case;

        if (!worker_takes(bench, i)) {
            continue;
        }
        memset(&message, 0, sizeof message);
        message.index = i;
        message.problem = from->problem;
        message.dist = from->dist;
        message.threads = from->threads;
        message.cache = from->cache;
        message.launch = from->launch;
        message.streams = from->streams;
        snprintf(message.device, sizeof message.device, "%s", from->device->info.id);
        snprintf(message.kernel, sizeof message.kernel, "%s", qb_kernel_name(from->kernel));
        if (!put(worker->socket, &message, sizeof message)) {
            return;
        }
    }
}

/* Wait until there is something to read, for SECONDS at most; false if nothing came. */
static bool await(struct worker *worker, double seconds)
{
    const double end = bench_clock() + seconds;
    struct pollfd wait = {.fd = worker->socket, .events = POLLIN};

    for (;;) {
        double left = end - bench_clock();
        /* A signal may come before the wait begins: look again every second. */
        int ready = poll(&wait, 1, left < 1 ? (int)ceil(fmax(left, 0) * 1e3) : 1000);

        if (ready > 0) {
            return true;
        }
        if (interrupt_requested() && !worker->interrupted) {
            kill(worker->pid, SIGTERM);
            worker->interrupted = true;
        }
        if (ready == 0 && left <= 0) {
            return false;
        }
    }
}

/* Receive what came of a case into OUTCOME and behind the samples and floors of result, which LIMITS has too. Return
 * NULL, or what is wrong with it. */
static const char *take_outcome(const struct worker *worker, const struct outcome_limits *limits, struct result *result,
                                struct outcome *outcome)
{
    static const char incomplete[] = "its answer is not complete";
    double *samples, *floors;
    const char *why;

    if (!take(worker->socket, outcome, sizeof *outcome)) {
        return incomplete;
    }
    why = outcome_check(outcome, limits);
    if (why != NULL) {
        return why;
    }
    floors = reallocarray(result->floors, result->floor_count + outcome->floors + 1, sizeof *floors);
    if (floors == NULL || !bench_grow(result, outcome->samples)) {
        result->floors = floors != NULL ? floors : result->floors;
        return "there is no memory for its samples";
    }
    result->floors = floors;
    samples = result->samples + result->sample_count;
    floors += result->floor_count;
    return take(worker->socket, samples, outcome->samples * sizeof *samples) &&
                   take(worker->socket, floors, outcome->floors * sizeof *floors)
               ? outcome_check_times(outcome, samples, floors, limits)
               : incomplete;
}

/* Keep in RESULT what OUTCOME says. */
static void keep_outcome(const struct outcome *outcome, struct result *result)
{
    result->code = outcome->code;
    result->verification = outcome->verification;
    result->mismatch = outcome->mismatch;
    result->quality = outcome->quality;
    result->spent += outcome->spent;
    if (outcome->samples > 0) {
        result->rounds[result->round_count] = outcome->round;
        result->rounds[result->round_count++].samples = outcome->samples;
        result->sample_count += outcome->samples;
        result->floor_count += outcome->floors;
        result->launches_per_sample = outcome->launches_per_sample;
        result->hot_time = outcome->hot_time;
    }
}

/* Wait for the answer to a question about RESULT's case, which was asked at BEGIN, but never longer for a sign of life
 * than the worker itself says, and --kernel-timeout. Returns false, with WHY, if there is none and WORKER is gone. */
static bool receive(struct worker *worker, const struct args *args, double begin, uint64_t samples,
                    struct result *result, char why[WHY_SIZE])
{
    struct answer answer = {ANSWER_ALIVE, BENCH_OWN_SECONDS}; /* nothing of the kernel runs yet */
    struct outcome_limits limits = {.result = result, .samples = samples, .verify = args->verify};
    const char *nonsense = "its answer is unknown";
    double seconds = (double)args->kernel_timeout;
    struct outcome outcome;

    while (answer.kind == ANSWER_ALIVE && answer.seconds >= 0 && answer.seconds <= MOST_SECONDS) {
        if (!await(worker, answer.seconds + seconds)) {
            snprintf(why, WHY_SIZE, "it hangs: %s did not end within %.0f s (--kernel-timeout)",
                     answer.seconds > 0 ? "its measurement" : "a run", answer.seconds + seconds);
            stop(worker);
            return false;
        }
        if (!take(worker->socket, &answer, sizeof answer)) {
            lost(worker, why);
            return false;
        }
    }
    if (answer.kind == ANSWER_DONE) {
        limits.elapsed = bench_clock() - begin;
        nonsense = take_outcome(worker, &limits, result, &outcome);
    }
    if (nonsense != NULL) {
        snprintf(why, WHY_SIZE, "it disturbs the process that it runs in: %s", nonsense);
        stop(worker);
        return false;
    }
    keep_outcome(&outcome, result);
    return true;
}

/* Ask WORKER, which is started if need be. Returns false, with WHY, if there is no answer. */
static bool ask_once(struct worker *worker, struct bench *bench, const struct question *question, char why[WHY_SIZE])
{
    double begin;

    why[0] = '\0';
    if (worker->pid == 0) {
        if (!spawn(worker, bench->args)) {
            bench->results[question->index].code = EXIT_CANNOT_RUN;
            return true;
        }
        worker->last = question->index;
        tell_cases(worker, bench); /* if that fails, so does the question */
    }
    worker->mixed = worker->mixed || worker->last != question->index;
    worker->last = question->index;
    begin = bench_clock();
    if (!put(worker->socket, question, sizeof *question)) {
        lost(worker, why);
        return false;
    }
    return receive(worker, bench->args, begin, question->samples, &bench->results[question->index], why);
}

static void ask(struct worker *worker, struct bench *bench, const struct question *question)
{
    struct result *result = &bench->results[question->index];
    const char *kernel = qb_kernel_name(result->plan_case->kernel);
    char why[WHY_SIZE];
    bool answered = ask_once(worker, bench, question, why);

    if (!answered && worker->mixed && !interrupt_requested()) {
        message_warning("kernel %s: %s; it is run again where no other kernel has run", kernel, why);
        answered = ask_once(worker, bench, question, why);
    }
    if (!answered && why[0] != '\0') {
        message_error("kernel %s: %s", kernel, why);
        result->code = EXIT_CANNOT_RUN;
    }
    if (result->code != EXIT_OK && worker->pid > 0) {
        /* What a kernel has done to its process or its device may not be over. */
        stop(worker);
    }
}

void worker_prove(struct worker *worker, struct bench *bench, size_t index)
{
    const struct question question = {.kind = ASK_TO_PROVE, .index = index};

    ask(worker, bench, &question);
}

void worker_visit(struct worker *worker, struct bench *bench, size_t index, uint64_t samples, size_t aside)
{
    struct result *result = &bench->results[index];
    const struct question question = {.kind = ASK_TO_VISIT,
                                      .index = index,
                                      .samples = samples,
                                      .aside = aside,
                                      .launches_per_sample = result->launches_per_sample,
                                      .hot_time = result->hot_time};
    double spent = result->spent;
    size_t rounds = result->round_count;

    ask(worker, bench, &question);
    if (result->code != EXIT_OK) {
        /* What was measured before it turned out wrong is no time. */
        result->sample_count = result->round_count = 0;
    } else if (result->round_count > rounds) {
        /* The worker's clock began later. */
        result->rounds[rounds].start = bench_clock() - bench->start - result->spent + spent;
    }
}

/* ---- The worker's end ------------------------------------------------------------------------------------------- */

/* Send SIZE bytes, or end: nobody listens any more. */
static void say(const void *data, size_t size)
{
    if (!put(WORKER_SOCKET, data, size)) {
        _exit(EXIT_CANNOT_RUN);
    }
}

static void say_alive(double seconds)
{
    const struct answer answer = {ANSWER_ALIVE, seconds};

    say(&answer, sizeof answer);
}

static void say_done(enum exit_code code, const struct result *result)
{
    const struct answer answer = {ANSWER_DONE, 0};
    struct outcome outcome;

    memset(&outcome, 0, sizeof outcome);
    outcome.code = code;
    if (result != NULL) {
        outcome.verification = result->verification;
        outcome.mismatch = result->mismatch;
        outcome.quality = result->quality;
        outcome.spent = result->spent;
        outcome.launches_per_sample = result->launches_per_sample;
        outcome.hot_time = result->hot_time;
        outcome.samples = result->sample_count;
        outcome.floors = result->floor_count;
    }
    if (outcome.samples > 0) {
        outcome.round = result->rounds[0];
    }
    say(&answer, sizeof answer);
    say(&outcome, sizeof outcome);
    if (result != NULL) {
        say(result->samples, outcome.samples * sizeof(double));
        say(result->floors, outcome.floors * sizeof(double));
    }
}

/* What a worker holds from the first question to the last. */
struct held {
    uint64_t count;                /* of cases */
    struct case_message *messages; /* what was told about each */
    bool *proved;
    struct machine machine;
    struct tensor_file tensor;
    struct plan plan;
    struct bench bench;
};

static const struct qb_kernel *find_kernel(const char *name)
{
    for (size_t i = 0; i < qb_kernel_count(); i++) {
        if (strcmp(qb_kernel_name(qb_kernel_at(i)), name) == 0) {
            return qb_kernel_at(i);
        }
    }
    return NULL;
}

/* Hear of all cases. */
static bool hear_cases(struct held *held)
{
    if (!take(WORKER_SOCKET, &held->count, sizeof held->count)) {
        return false;
    }
    held->messages = calloc(held->count, sizeof *held->messages);
    held->proved = calloc(held->count, sizeof *held->proved);
    held->plan.cases = calloc(held->count, sizeof *held->plan.cases);
    if (held->messages == NULL || held->proved == NULL || held->plan.cases == NULL) {
        message_out_of_memory("the list of cases", held->count * sizeof *held->messages);
        return false;
    }
    return take(WORKER_SOCKET, held->messages, held->count * sizeof *held->messages);
}

/* Open the devices of all cases. */
static enum exit_code open_devices(struct held *held)
{
    struct names names = {0, calloc(held->count, sizeof *names.values)};
    enum exit_code code;

    if (names.values == NULL) {
        return message_out_of_memory("the list of devices", held->count * sizeof *names.values);
    }
    for (uint64_t i = 0; i < held->count; i++) {
        size_t k = 0;

        while (k < names.count && strcmp(names.values[k], held->messages[i].device) != 0) {
            k++;
        }
        if (k == names.count) {
            names.values[names.count++] = held->messages[i].device;
        }
    }
    code = machine_open(&names, &held->machine);
    free(names.values);
    return code;
}

/* Make of what was told what the program has. */
static enum exit_code begin(const struct args *args, struct held *held)
{
    const struct tensor_file *tensor = args->input_file != NULL ? &held->tensor : NULL;
    enum exit_code code = open_devices(held);

    if (code == EXIT_OK && args->chose_huge_pages) {
        /* The program has a CPU; that what is told here is for another device is no error. */
        machine_set_huge_pages(&held->machine, args->huge_pages);
    }
    if (code == EXIT_OK) {
        binding_begin(args, &held->machine);
        code = plan_read_tensor(args, &held->machine, &held->tensor);
    }
    for (uint64_t i = 0; i < held->count && code == EXIT_OK; i++) {
        const struct case_message *from = &held->messages[i];
        struct plan_case *to = &held->plan.cases[held->plan.count++];

        *to = (struct plan_case){.problem = from->problem,
                                 .dist = from->dist,
                                 .kernel = find_kernel(from->kernel),
                                 .threads = from->threads,
                                 .cache = from->cache,
                                 .launch = from->launch,
                                 .streams = from->streams};
        for (size_t k = 0; k < held->machine.device_count; k++) {
            if (strcmp(held->machine.devices[k].info.id, from->device) == 0) {
                to->device = &held->machine.devices[k];
            }
        }
        if (to->kernel == NULL || to->device == NULL) {
            message_error("kernel %s on %s: it is no longer there", from->kernel, from->device);
            code = EXIT_CANNOT_RUN;
        }
    }
    if (code == EXIT_OK) {
        code = bench_begin(&held->bench, args, &held->machine, tensor, &held->plan);
        held->bench.alive = say_alive;
    }
    return code;
}

/* Which of the cases is number INDEX in the program. There is one. */
static uint64_t place_of(const struct held *held, uint64_t index)
{
    uint64_t place = 0;

    while (place + 1 < held->count && held->messages[place].index != index) {
        place++;
    }
    return place;
}

static void answer_question(struct held *held, const struct question *question)
{
    uint64_t place = place_of(held, question->index);
    struct result *result = &held->bench.results[place];

    /* A visit needs what the proof has found, which an earlier worker may have made. */
    if (!held->proved[place] || question->kind == ASK_TO_PROVE) {
        bench_prove(&held->bench, place);
        held->proved[place] = true;
    }
    result->sample_count = result->round_count = result->floor_count = 0;
    result->spent = 0;
    if (result->code == EXIT_OK && question->kind == ASK_TO_VISIT) {
        result->launches_per_sample = question->launches_per_sample;
        result->hot_time = question->hot_time;
        bench_visit(&held->bench, place, question->samples, question->aside);
    }
    say_done(result->code, result);
}

bool worker_is_one(char **argv)
{
    return argv[0] != NULL && strcmp(argv[0], WORKER_NAME) == 0;
}

void worker_begin(void)
{
    /* What foreign code starts is not to hold the socket open. */
    fcntl(WORKER_SOCKET, F_SETFD, FD_CLOEXEC);
    interrupt_install_relayed();
    prctl(PR_SET_PDEATHSIG, SIGKILL);
}

void worker_main(const struct args *args)
{
    struct held held = {.count = 0};
    struct question question;
    enum exit_code code = EXIT_CANNOT_RUN;

    if (hear_cases(&held)) {
        code = begin(args, &held);
        while (take(WORKER_SOCKET, &question, sizeof question)) {
            if (code == EXIT_OK) {
                answer_question(&held, &question);
            } else {
                say_done(code, NULL);
            }
        }
    }
    /* Foreign code has no say in how the process ends, and the system takes back what it holds. */
    fflush(NULL);
    _exit(EXIT_OK);
}
