/* SPDX-License-Identifier: Apache-2.0 */
/* worker.c - both ends of the socket between the program and its worker. */
#include <config.h>

#include "cases/binding.h"
#include "base/interrupt.h"
#include "check/oracle.h"
#include "schedule/outcome.h"
#include "cases/plugins.h"
#include "cases/tensors.h"
#include "schedule/worker.h"
#include "measure/calibrate.h"
#include "measure/launch_state.h"
#include "base/clock.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What a worker is called, which nobody types by accident. */
#define WORKER_NAME "quantbench: worker"

/* The worker's word for how long something takes is believed up to CHILD_MOST_SECONDS each time, and all that it does
 * for one question may take this many times as long. */
#define MOST_STRETCH 6

/* A case, without what is only an address in the other process. First a worker is told how many plug-ins its cases
 * need, as a uint64_t, and each one's file with its length in front; then how many cases are for it, and each of them.
 */
struct case_message {
    uint64_t index; /* in the program */
    struct qb_problem problem;
    uint64_t tensor; /* index of those of --input; UINT64_MAX: none */
    uint64_t digest; /* of it */
    enum input_dist dist;
    unsigned threads;
    enum cache_state cache;
    enum launch_mode launch;
    unsigned streams;
    char device[32];
    char kernel[CATALOG_NAME_SIZE];
};

enum question_kind { ASK_TO_PROVE, ASK_TO_VISIT };
struct question {
    enum question_kind kind;
    uint64_t index;
    uint64_t samples;
    uint64_t aside;
    double seconds;               /* that the visit may take */
    uint64_t launches_per_sample; /* as an earlier visit has chosen them; 0: there was none */
    double hot_time;
};

/* ALIVE: the next message comes within SECONDS, and --kernel-timeout. DONE: a struct outcome follows. */
enum answer_kind { ANSWER_ALIVE = 0x51420001, ANSWER_DONE = 0x51420002 };
struct answer {
    enum answer_kind kind;
    double seconds;
};

/* ---- The program's end ------------------------------------------------------------------------------------------ */

static bool is_foreign(const struct bench *bench, size_t index)
{
    return bench->results[index].plan_case->about->plugin != NULL;
}

bool worker_takes(const struct bench *bench, size_t index)
{
    bool any = is_foreign(bench, index);

    if (bench->foreign->isolate != ISOLATE_PLUGINS) {
        return bench->foreign->isolate == ISOLATE_ALL;
    }
    for (size_t i = 0; i < bench->count && bench->comparing->compare != COMPARE_NOTHING && !any; i++) {
        any = is_foreign(bench, i);
    }
    return any;
}

bool worker_visits(const struct bench *bench, size_t index)
{
    return worker_takes(bench, index) && bench->results[index].plan_case->launch != LAUNCH_PROFILE;
}

void worker_end(struct worker *worker)
{
    child_end(&worker->child);
}

/* Tell WORKER the plug-ins of all cases that are for it. */
static bool tell_plugins(const struct worker *worker, const struct bench *bench)
{
    const size_t kernels = catalog_count();
    const char **files = calloc(kernels + 1, sizeof *files);
    uint64_t count = 0;
    bool good = files != NULL;

    for (size_t i = 0; i < bench->count && good; i++) {
        const char *file = bench->results[i].plan_case->about->plugin;
        uint64_t k = 0;

        while (k < count && file != NULL && strcmp(files[k], file) != 0) {
            k++;
        }
        if (file != NULL && k == count && worker_takes(bench, i)) {
            files[count++] = file;
        }
    }
    good = good && child_put(worker->child.socket, &count, sizeof count);
    for (uint64_t i = 0; i < count && good; i++) {
        good = child_put_text(worker->child.socket, files[i]);
    }
    free(files);
    return good;
}

/* Tell WORKER all cases that are for it, as far as it listens. */
static void tell_cases(const struct worker *worker, const struct bench *bench)
{
    struct case_message message;
    uint64_t count = 0;

    for (size_t i = 0; i < bench->count; i++) {
        count += worker_takes(bench, i);
    }
    if (!tell_plugins(worker, bench) || !child_put(worker->child.socket, &count, sizeof count)) {
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
        message.tensor = from->tensor != NULL ? (uint64_t)(from->tensor - bench->inputs.tensors->items) : UINT64_MAX;
        message.digest = from->tensor != NULL ? from->tensor->digest : 0;
        message.dist = from->dist;
        message.threads = from->threads;
        message.cache = from->cache;
        message.launch = from->launch;
        message.streams = from->streams;
        snprintf(message.device, sizeof message.device, "%s", from->device->info.id);
        snprintf(message.kernel, sizeof message.kernel, "%s", from->about->name);
        if (!child_put(worker->child.socket, &message, sizeof message)) {
            return;
        }
    }
}

/* Receive what came of a case into OUTCOME and after the samples and floors of result, which LIMITS has too. Return
 * NULL, or what is wrong with it. */
static const char *take_outcome(const struct worker *worker, const struct outcome_limits *limits, struct result *result,
                                struct outcome *outcome)
{
    static const char incomplete[] = "its answer is not complete";
    double *samples, *floors;
    const char *why;

    if (!child_take(worker->child.socket, outcome, sizeof *outcome)) {
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
    samples = result->found.samples + result->found.sample_count;
    floors += result->floor_count;
    return child_take(worker->child.socket, samples, outcome->samples * sizeof *samples) &&
                   child_take(worker->child.socket, floors, outcome->floors * sizeof *floors)
               ? outcome_check_times(outcome, samples, floors, limits)
               : incomplete;
}

/* Wait for the next message of WORKER, which is ALIVE for ANSWER's seconds and --kernel-timeout, for the question
 * of BEGIN. Returns false, with WHY, "" after an interrupt, if there is none and WORKER is gone. */
static bool await_answer(struct worker *worker, const struct answer *answer, double timeout, double begin,
                         char why[CHILD_WHY_SIZE])
{
    const double most = MOST_STRETCH * (CHILD_MOST_SECONDS + timeout), left = most - (clock_seconds() - begin);
    const double seconds = answer->seconds + timeout;

    if (left > 0 && child_await(&worker->child, fmin(seconds, left))) {
        return true;
    }
    if (interrupt_requested()) {
        why[0] = '\0';
    } else if (left < seconds) {
        snprintf(why, CHILD_WHY_SIZE, "hangs: there was no answer within %.0f s", most);
    } else {
        snprintf(why, CHILD_WHY_SIZE, "hangs: %s did not end within %.0f s (--kernel-timeout)",
                 answer->seconds > 0 ? "its measurement" : "a run", seconds);
    }
    child_stop(&worker->child);
    return false;
}

/* Wait for the answer to a question about RESULT's case, which was asked at BEGIN, but never longer for a sign of life
 * than the worker itself says, and --kernel-timeout. Returns false, with WHY, if there is none and WORKER is gone. */
static bool receive(struct worker *worker, const struct bench *bench, double begin, uint64_t samples,
                    struct result *result, char why[CHILD_WHY_SIZE])
{
    struct answer answer = {ANSWER_ALIVE, CHILD_OWN_SECONDS}; /* nothing of the kernel runs yet */
    struct outcome_limits limits = {.result = result, .samples = samples, .verify = bench->method->verify};
    const char *nonsense = "its answer is unknown";
    struct outcome outcome;

    while (answer.kind == ANSWER_ALIVE && answer.seconds >= 0 && answer.seconds <= CHILD_MOST_SECONDS) {
        if (!await_answer(worker, &answer, (double)bench->foreign->kernel_timeout, begin, why)) {
            return false;
        }
        if (!child_take(worker->child.socket, &answer, sizeof answer)) {
            child_lost(&worker->child, why);
            return false;
        }
    }
    if (answer.kind == ANSWER_DONE) {
        limits.elapsed = clock_seconds() - begin;
        nonsense = take_outcome(worker, &limits, result, &outcome);
    }
    if (nonsense != NULL) {
        snprintf(why, CHILD_WHY_SIZE, "disturbs the process that it runs in: %s", nonsense);
        child_stop(&worker->child);
        return false;
    }
    outcome_keep(&outcome, result);
    return true;
}

/* Ask WORKER, which is started if need be. Returns false, with WHY, if there is no answer. */
static bool ask_once(struct worker *worker, struct bench *bench, const struct question *question,
                     char why[CHILD_WHY_SIZE])
{
    double begin;

    why[0] = '\0';
    if (worker->child.pid == 0) {
        worker->mixed = false;
        if (!child_start(&worker->child, WORKER_NAME, bench->command)) {
            bench->results[question->index].found.code = EXIT_CANNOT_RUN;
            return true;
        }
        worker->last = question->index;
        tell_cases(worker, bench); /* if that fails, so does the question */
    }
    worker->mixed = worker->mixed || worker->last != question->index;
    worker->last = question->index;
    snprintf(worker->child.whose, sizeof worker->child.whose, "kernel %s%s",
             bench->results[question->index].plan_case->about->name, worker->mixed ? ", or one before it" : "");
    begin = clock_seconds();
    if (!child_put(worker->child.socket, question, sizeof *question)) {
        child_lost(&worker->child, why);
        return false;
    }
    return receive(worker, bench, begin, question->samples, &bench->results[question->index], why);
}

static void ask(struct worker *worker, struct bench *bench, const struct question *question)
{
    struct result *result = &bench->results[question->index];
    const char *kernel = result->plan_case->about->name;
    char why[CHILD_WHY_SIZE];
    bool answered = ask_once(worker, bench, question, why);

    if (!answered && worker->mixed && !interrupt_requested()) {
        message_warning("kernel %s: %s; it is run again where no other kernel has run", kernel, why);
        answered = ask_once(worker, bench, question, why);
    }
    if (!answered && why[0] != '\0') {
        message_error("kernel %s: %s", kernel, why);
        result->found.code = EXIT_CANNOT_RUN;
    }
    if (result->found.code != EXIT_OK && worker->child.pid > 0) {
        /* What a kernel has done to its process or its device may not be over. */
        child_stop(&worker->child);
    }
}

void worker_prove(struct worker *worker, struct bench *bench, size_t index)
{
    const struct question question = {.kind = ASK_TO_PROVE, .index = index};

    ask(worker, bench, &question);
}

void worker_visit(struct worker *worker, struct bench *bench, size_t index, uint64_t samples, size_t aside,
                  double seconds)
{
    struct result *result = &bench->results[index];
    const struct question question = {.kind = ASK_TO_VISIT,
                                      .index = index,
                                      .samples = samples,
                                      .aside = aside,
                                      .seconds = seconds,
                                      .launches_per_sample = result->found.launches_per_sample,
                                      .hot_time = result->found.hot_time};
    double spent = result->spent;
    size_t rounds = result->found.round_count;

    ask(worker, bench, &question);
    if (result->found.code != EXIT_OK) {
        /* What was measured before it turned out wrong is not a time. */
        result->found.sample_count = result->found.round_count = 0;
    } else if (result->found.round_count > rounds) {
        /* The worker's clock began later. */
        result->found.rounds[rounds].start = clock_seconds() - bench->start - result->spent + spent;
    }
}

/* ---- The worker's end ------------------------------------------------------------------------------------------- */

/* This process's end of the socket. */
static int its_socket;

static void say_alive(double seconds)
{
    const struct answer answer = {ANSWER_ALIVE, fmin(seconds, CHILD_MOST_SECONDS)};

    child_say(its_socket, &answer, sizeof answer);
}

static void say_done(enum exit_code code, const struct result *result)
{
    const struct answer answer = {ANSWER_DONE, 0};
    struct outcome outcome;

    memset(&outcome, 0, sizeof outcome);
    outcome.code = code;
    if (result != NULL) {
        outcome.checked = result->found.checked;
        outcome.spent = result->spent;
        outcome.launches_per_sample = result->found.launches_per_sample;
        outcome.hot_time = result->found.hot_time;
        outcome.samples = result->found.sample_count;
        outcome.floors = result->floor_count;
    }
    if (outcome.samples > 0) {
        outcome.round = result->found.rounds[0];
    }
    child_say(its_socket, &answer, sizeof answer);
    child_say(its_socket, &outcome, sizeof outcome);
    if (result != NULL) {
        child_say(its_socket, result->found.samples, outcome.samples * sizeof(double));
        child_say(its_socket, result->floors, outcome.floors * sizeof(double));
    }
}

/* What a worker holds from the first question to the last. */
struct held {
    uint64_t count;                /* of cases */
    struct case_message *messages; /* what was told about each */
    bool *proved;
    struct machine machine;
    struct tensors tensors;
    struct plan plan;
    struct bench bench;
};

/* Hear of a plug-in, and load it. The kernel's time begins when its code does. */
static bool hear_plugin(void)
{
    char *file = child_take_text(its_socket);
    bool good = file != NULL;

    if (good) {
        say_alive(0);
        good = plugins_load_here(file, 0);
        say_alive(CHILD_OWN_SECONDS);
    }
    free(file);
    return good;
}

static bool hear_plugins(void)
{
    uint64_t count;
    bool good = child_take(its_socket, &count, sizeof count);

    for (uint64_t i = 0; i < count && good; i++) {
        good = hear_plugin();
    }
    return good && catalog_add_loaded();
}

/* Hear of all cases. */
static bool hear_cases(struct held *held)
{
    if (!child_take(its_socket, &held->count, sizeof held->count)) {
        return false;
    }
    held->messages = calloc(held->count, sizeof *held->messages);
    held->proved = calloc(held->count, sizeof *held->proved);
    held->plan.cases = calloc(held->count, sizeof *held->plan.cases);
    if (held->messages == NULL || held->proved == NULL || held->plan.cases == NULL) {
        message_out_of_memory("the list of cases", held->count * sizeof *held->messages);
        return false;
    }
    return child_take(its_socket, held->messages, held->count * sizeof *held->messages);
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
    if (code == EXIT_OK) {
        calibrate(&held->machine);
    }
    free(names.values);
    return code;
}

/* Make of what was told what the program has. */
static enum exit_code begin(const struct settings *settings, struct held *held)
{
    struct tensors *tensors = settings->sweep.input_files.count > 0 ? &held->tensors : NULL;
    enum exit_code code = open_devices(held);

    if (code == EXIT_OK && settings->place.chose_huge_pages) {
        /* The program has a CPU; that what is told here is for another device is not an error. */
        machine_set_huge_pages(&held->machine, settings->place.huge_pages);
    }
    if (code == EXIT_OK) {
        launch_state_enter(&held->machine, settings->method.state);
        binding_begin(&settings->place, &held->machine);
        code = tensors != NULL ? tensors_open(&settings->sweep, TENSORS_TO_MEASURE,
                                              machine_memory_free(&held->machine.host), tensors)
                               : EXIT_OK;
    }
    for (uint64_t i = 0; i < held->count && code == EXIT_OK; i++) {
        const struct case_message *from = &held->messages[i];
        struct plan_case *to = &held->plan.cases[held->plan.count++];

        *to = (struct plan_case){.problem = from->problem,
                                 .dist = from->dist,
                                 .about = catalog_find(from->kernel),
                                 .threads = from->threads,
                                 .cache = from->cache,
                                 .launch = from->launch,
                                 .streams = from->streams};
        for (size_t k = 0; k < held->machine.device_count; k++) {
            if (strcmp(held->machine.devices[k].info.id, from->device) == 0) {
                to->device = &held->machine.devices[k];
            }
        }
        to->kernel = to->about != NULL ? to->about->handle : NULL;
        to->tensor = tensors != NULL && from->tensor < tensors->count ? &tensors->items[from->tensor] : NULL;
        if ((tensors != NULL) != (to->tensor != NULL) || (to->tensor != NULL && to->tensor->digest != from->digest)) {
            message_error("--input: changed while the run began; run again when nothing writes to it");
            code = EXIT_CANNOT_RUN;
        }
        if (to->kernel == NULL || to->device == NULL) {
            message_error("kernel %s on %s: no longer available", from->kernel, from->device);
            code = EXIT_CANNOT_RUN;
        }
    }
    if (code == EXIT_OK) {
        code = bench_begin(&held->bench, settings, &held->machine, tensors, &held->plan);
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
    result->found.sample_count = result->found.round_count = result->floor_count = 0;
    result->spent = 0;
    if (result->found.code == EXIT_OK && question->kind == ASK_TO_VISIT) {
        result->found.launches_per_sample = question->launches_per_sample;
        result->found.hot_time = question->hot_time;
        bench_visit(&held->bench, place, question->samples, question->aside, question->seconds);
    }
    say_done(result->found.code, result);
}

void worker_main(char **argv, const struct settings *settings)
{
    struct held held = {.count = 0};
    struct question question;
    enum exit_code code = EXIT_CANNOT_RUN;

    its_socket = child_begin(argv, WORKER_NAME);
    if (its_socket < 0) {
        return;
    }
    message_init(true, false);
    message_follow_other();
    if (hear_plugins() && hear_cases(&held)) {
        code = oracle_check();
        code = code == EXIT_OK ? begin(settings, &held) : code;
        while (child_take(its_socket, &question, sizeof question)) {
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
