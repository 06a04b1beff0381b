/* SPDX-License-Identifier: Apache-2.0 */
/* worker.c - both ends of the socket between the program and its worker. The worker is the same program on the same
 * command line, so that both mean the same by every number, and structures go through the socket as they are. */
#include <config.h>

#include "interrupt.h"
#include "isolate.h"
#include "tensor_file.h"
#include "worker.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* What a worker is called, which nobody types by accident, and where it finds its end of the socket. */
#define WORKER_NAME   "quantbench: worker"
#define WORKER_SOCKET 3

/* A case, without what is only an address in the other process. All that are for a worker are told to it first, and
 * then their number. */
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

/* What came out. The samples follow, and then the floors. */
struct outcome {
    enum exit_code code;
    enum verification verification;
    struct mismatch mismatch;
    struct quality quality;
    uint64_t launches_per_sample;
    double hot_time;
    struct round round; /* if there are samples */
    uint64_t samples;
    uint64_t floors;
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

    for (size_t i = 0; i < bench->count && bench->args->compare != COMPARE_NOTHING && !any; i++) {
        any = is_foreign(bench, i);
    }
    return bench->args->isolate == ISOLATE_ALL || (bench->args->isolate == ISOLATE_PLUGINS && any);
}

bool worker_visits(const struct bench *bench, size_t index)
{
    return worker_takes(bench, index) && bench->results[index].plan_case->launch != LAUNCH_PROFILE;
}

/* Start the process. Its standard output is standard error: reports are the program's, and foreign code may print. */
static bool spawn(struct worker *worker, const struct args *args)
{
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
    worker->interrupted = false;
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

/* Wait until there is something to read, for SECONDS at most. Returns 1, or 0 if nothing came. */
static int await(struct worker *worker, double seconds)
{
    const double end = bench_clock() + seconds;
    struct pollfd wait = {.fd = worker->socket, .events = POLLIN};

    for (;;) {
        double left = end - bench_clock();
        /* A signal may come before the wait begins: look again every second. */
        int ready = poll(&wait, 1, left < 1 ? (int)ceil(fmax(left, 0) * 1e3) : 1000);

        if (ready > 0) {
            return 1;
        }
        if (interrupt_requested() && !worker->interrupted) {
            kill(worker->pid, SIGTERM);
            worker->interrupted = true;
        }
        if (ready == 0 && left <= 0) {
            return 0;
        }
    }
}

/* Receive what came of a case that takes at most SAMPLES, into OUTCOME and behind the samples and floors of RESULT. */
static bool take_outcome(const struct worker *worker, uint64_t samples, struct result *result, struct outcome *outcome)
{
    double *floors;

    if (!take(worker->socket, outcome, sizeof *outcome) || outcome->code > EXIT_INCONCLUSIVE ||
        outcome->verification > WRONG || outcome->samples > samples || outcome->floors > samples) {
        return false;
    }
    floors = reallocarray(result->floors, result->floor_count + outcome->floors + 1, sizeof *floors);
    if (floors == NULL || !bench_grow(result, outcome->samples)) {
        result->floors = floors != NULL ? floors : result->floors;
        return false;
    }
    result->floors = floors;
    return take(worker->socket, result->samples + result->sample_count, outcome->samples * sizeof(double)) &&
           take(worker->socket, result->floors + result->floor_count, outcome->floors * sizeof(double));
}

/* Keep in RESULT what OUTCOME says. */
static void keep_outcome(const struct outcome *outcome, struct result *result)
{
    result->code = outcome->code;
    result->verification = outcome->verification;
    result->mismatch = outcome->mismatch;
    result->quality = outcome->quality;
    if (outcome->samples > 0) {
        result->rounds[result->round_count] = outcome->round;
        result->rounds[result->round_count++].samples = outcome->samples;
        result->sample_count += outcome->samples;
        result->floor_count += outcome->floors;
        result->launches_per_sample = outcome->launches_per_sample;
        result->hot_time = outcome->hot_time;
    }
}

/* Wait for the answer to a question about RESULT's case, of SAMPLES samples, but never longer for a sign of life than
 * the worker itself says, and SECONDS. */
static enum exit_code receive(struct worker *worker, unsigned seconds, uint64_t samples, struct result *result)
{
    const char *kernel = qb_kernel_name(result->plan_case->kernel);
    struct answer answer = {ANSWER_ALIVE, BENCH_OWN_SECONDS}; /* nothing of the kernel runs yet */
    struct outcome outcome;

    while (answer.kind == ANSWER_ALIVE && answer.seconds >= 0) {
        if (!await(worker, answer.seconds + seconds)) {
            char why[96];

            snprintf(why, sizeof why, "it hangs: a run did not end within %u s (--kernel-timeout)", seconds);
            return stop(worker, kernel, why);
        }
        if (!take(worker->socket, &answer, sizeof answer)) {
            return worker_is_gone(worker, kernel);
        }
    }
    if (answer.kind != ANSWER_DONE || !take_outcome(worker, samples, result, &outcome)) {
        return stop(worker, kernel, "it disturbs the process that it runs in");
    }
    keep_outcome(&outcome, result);
    return result->code;
}

static enum exit_code ask(struct worker *worker, struct bench *bench, const struct question *question)
{
    struct result *result = &bench->results[question->index];
    enum exit_code code;

    if (worker->pid == 0) {
        if (!spawn(worker, bench->args)) {
            return EXIT_CANNOT_RUN;
        }
        tell_cases(worker, bench); /* if that fails, so does the question */
    }
    if (!put(worker->socket, question, sizeof *question)) {
        return worker_is_gone(worker, qb_kernel_name(result->plan_case->kernel));
    }
    code = receive(worker, (unsigned)bench->args->kernel_timeout, question->samples, result);
    if (code != EXIT_OK) {
        /* What a kernel has done to its process or its device may not be over. */
        worker_end(worker);
    }
    return code;
}

void worker_prove(struct worker *worker, struct bench *bench, size_t index)
{
    const struct question question = {.kind = ASK_TO_PROVE, .index = index};

    bench->results[index].code = ask(worker, bench, &question);
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
    double start = bench_clock();
    size_t rounds = result->round_count;

    result->code = ask(worker, bench, &question);
    result->spent += bench_clock() - start;
    if (result->code != EXIT_OK) {
        /* What was measured before it turned out wrong is no time. */
        result->sample_count = result->round_count = 0;
    } else if (result->round_count > rounds) {
        result->rounds[rounds].start = start - bench->start;
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
        code = machine_set_huge_pages(&held->machine, args->huge_pages);
    }
    if (code == EXIT_OK) {
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

void worker_main(const struct args *args)
{
    struct held held = {.count = 0};
    struct question question;
    enum exit_code code = EXIT_CANNOT_RUN;

    /* The program says when it is interrupted. */
    signal(SIGINT, SIG_IGN);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
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
    bench_end(&held.bench);
    plan_free(&held.plan);
    tensor_file_free(&held.tensor);
    machine_close(&held.machine);
    free(held.messages);
    free(held.proved);
}
