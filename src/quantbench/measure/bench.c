/* SPDX-License-Identifier: Apache-2.0 */
/* bench.c - one case: proved right, then visited again and again. Each visit has memory of its own, or goes on through
 * sets that are kept, so that where data happen to lie is one of the things that differ between rounds. */
#include <config.h>

#include "measure/bench.h"
#include "cases/values.h"
#include "cases/child.h"
#include "cases/binding.h"
#include "check/buffers.h"
#include "measure/challenge.h"
#include "base/inject.h"
#include "measure/stock.h"
#include "base/interrupt.h"
#include "check/prove.h"
#include "cases/tensors.h"
#include "base/clock.h"
#include "base/saturate.h"
#include "model/problem_text.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A pause before each sample with --regime=burst, in nanoseconds. */
#define BURST_PAUSE 5e6

/* No sample has more launches: that would be hours of the shortest. */
#define MOST_LAUNCHES ((uint64_t)1 << 36)

/* What half a tick of the timer may be of a sample, unless --precision asks for less. */
#define DEFAULT_TICK_SHARE 0.0005

/* Samples of hot launches that the state of the cache is checked with. */
#define CHECK_SAMPLES 5

/* What is a difference between hot and cold launches, and what is still as fast as memory allows. */
#define HOT_IS_FASTER 0.97
#define NEAR_CEILING  0.80
#define NEAR_FLOOR    2.0
/* Where a case that is compared lies in fewer places, each visit has others: where they lie would pass for a difference
 * between kernels. */
#define ENOUGH_PLACES 64

/* Bytes of a cache that the room is made for at least, such as one of unknown size. */
#define LEAST_CACHE ((uint64_t)32 << 20)

/* As many of the largest rotations are kept at once, if they take no more than one part in TOTAL_PART of all memory. */
#define WHOLE_ROTATIONS 4
#define TOTAL_PART      4
/* Bytes that pass in a sample, where nobody knows better, and samples of a visit that do not count or are repeated. */
#define SAMPLE_BYTES  ((uint64_t)16 << 20)
#define OTHER_SAMPLES 4

/* How many launches tell how long one takes, if it takes fewer than SHORT_LAUNCH seconds. */
#define TIMED_LAUNCHES 3
#define SHORT_LAUNCH   0.1

/* What is known of a right answer once it has been computed. */
struct proof {
    struct fingerprint fingerprint;
    void *given[QB_ROLE_COUNT]; /* what a launch reads besides the input, by role; else NULL */
    double seconds;             /* that a launch took, as the host sees it; INFINITY: unknown */
};

/* Where the launches of one visit go. */
struct site {
    struct buffers buffers;
    struct stock *stock;
    struct stock_sets *kept; /* whose the buffers are; NULL: the visit's own */
    /* Of those that are kept, in this visit: */
    uint64_t first;    /* set that was launched into first */
    uint64_t poisoned; /* sets from there on that began as nobody has written them */
    uint64_t launched; /* launches that were or may have been timed, into one set after the other */
};

/* What the launches of one visit need, and what is seen of the device meanwhile. */
struct launch_context {
    const struct plan_case *plan_case;
    const struct buffers *buffers;
    struct site *site;             /* NULL: launches are not told where they go next */
    struct qb_queue *queue;        /* that other bytes pass on before them */
    unsigned rotation;             /* sets that make the cache cold */
    struct challenges *challenges; /* NULL: there are none */
    struct qb_device_conditions conditions;
    bool watched; /* they are known */
};

/* Say that what comes next takes up to SECONDS. */
static void announce(const struct bench *bench, double seconds)
{
    if (bench->alive != NULL) {
        bench->alive(seconds);
    }
}

static enum qb_status launch_kernel(void *context, struct qb_queue *queue, unsigned set)
{
    const struct launch_context *launch = context;
    const struct qb_tensors buffers = buffers_set(launch->buffers, set);

    return qb_kernel_run(launch->plan_case->kernel, queue, &launch->plan_case->problem, &buffers);
}

static enum qb_status launch_nothing(void *context, struct qb_queue *queue, unsigned set)
{
    const struct launch_context *launch = context;

    (void)set;
    return qb_kernel_floor(launch->plan_case->kernel, queue, &launch->plan_case->problem);
}

static enum qb_status pose(void *context, enum measure_question kind, unsigned set)
{
    const struct launch_context *launch = context;

    return challenges_pose(launch->challenges, kind, set);
}

static enum qb_status judge(void *context)
{
    const struct launch_context *launch = context;

    return challenges_judge(launch->challenges);
}

/* Let the sets be cold that launches go into next. */
static enum qb_status reach(void *context, uint64_t first, uint64_t launches)
{
    struct launch_context *launch = context;
    struct site *site = launch->site;

    site->launched = saturate_add(site->launched, launches);
    return stock_reach(site->stock, site->kept, launch->queue, launch->rotation, first, launches);
}

/* The case's launches, and the challenges that they are to meet, if there are any. */
static struct measure_work challenged_work(struct launch_context *context, unsigned sets)
{
    const bool challenged = context->challenges != NULL;

    return (struct measure_work){
        .launch = launch_kernel,
        .context = context,
        .sets = sets,
        .pose = challenged ? pose : NULL,
        .judge = challenged ? judge : NULL,
        .reach = context->site != NULL && context->site->kept != NULL ? reach : NULL,
    };
}

/* True if launches of PLAN_CASE read more than the input. */
static bool has_given(const struct plan_case *plan_case)
{
    bool has = false;

    for (int role = 0; role < QB_ROLE_COUNT; role++) {
        has = has || sizes_is_given(&plan_case->problem, (enum qb_role)role);
    }
    return has;
}

/* The bytes of the tensors of a set that are not data. */
static uint64_t answer_bytes(const struct sizes *bytes)
{
    uint64_t sum = 0;

    for (int role = 0; role < QB_ROLE_COUNT; role++) {
        sum = saturate_add(sum, inputs_have((enum qb_role)role) ? 0 : bytes->of[role]);
    }
    return sum;
}

/* CODE, unless the file of the input changed meanwhile: then what was computed from it says nothing. */
static enum exit_code unless_changed(const struct bench *bench, enum exit_code code)
{
    return code == EXIT_CANNOT_RUN || tensors_check_held(bench->inputs.tensors) == EXIT_OK ? code : EXIT_CANNOT_RUN;
}

/* ---- Memory ------------------------------------------------------------------------------------------------- */

/* The bytes of the cache that one set takes: what counts is the lines that a launch touches, not the gaps between. */
static uint64_t set_lines(const struct sizes *bytes)
{
    uint64_t lines = 0;

    for (int role = 0; role < QB_ROLE_COUNT; role++) {
        lines = saturate_add(lines, ceiling_lines(bytes->of[role]));
    }
    return lines;
}

/* True if samples of PLAN_CASE may be windows of the sets, as measure.h says. */
static bool can_have_windows(const struct plan_case *plan_case)
{
    return plan_case->threads > 0 && plan_case->streams == 1 && plan_case->launch == LAUNCH_STREAM;
}

/* How many sets make the cache cold, and how far they do. Every queue has as many as the others. */
static void choose_sets(struct result *result)
{
    const struct plan_case *plan_case = result->plan_case;
    uint64_t cache = plan_case->device->info.cache_size;
    uint64_t lines = set_lines(&result->found.bytes);
    unsigned queues = plan_case->streams;
    bool hot = plan_case->cache == CACHE_HOT || plan_case->launch == LAUNCH_PROFILE;
    unsigned sets = hot ? 1 : ceiling_cold_sets(lines, cache);

    result->found.sets = result->rotation = (sets + queues - 1) / queues * queues;
    result->found.rotated_bytes = buffers_memory(&result->found.bytes, result->found.sets);
    /* Of a cache whose size is unknown nobody can say so. */
    result->found.cache = hot                                                                      ? CACHE_HOT
                          : cache > 0 && saturate_multiply(result->found.sets, lines) >= 4 * cache ? CACHE_COLD
                                                                                                   : CACHE_PARTLY_COLD;
}

bool bench_keeps_sets(const struct result *result)
{
    const bool is_placed_well = !result->compared || result->rotation >= ENOUGH_PLACES;

    return result->plan_case->threads > 0 && result->found.cache != CACHE_HOT && is_placed_well;
}

/* Sets of RESULT that the samples of a visit go into, roughly, and then some. */
static uint64_t sets_of_visit(const struct bench *bench, const struct result *result)
{
    const struct method *method = bench->method;
    const uint64_t rounds = method->rounds < method->num_iters ? method->rounds : method->num_iters;
    const uint64_t samples = method->precision > 0 ? 20 : (method->num_iters + rounds - 1) / rounds;
    const uint64_t lines = set_lines(&result->found.bytes);
    const uint64_t sample = lines < SAMPLE_BYTES ? SAMPLE_BYTES / (lines + 1) + 1 : 1;

    return saturate_multiply(samples + OTHER_SAMPLES, sample);
}

/* Where many cases would take long to fill whole rotations of theirs, each has as many sets as its visits need: what
 * the others launch passes through the cache in between. How much memory is free does not count: a worker, and a run
 * that is resumed, come to the same numbers. */
static void limit_sets(struct bench *bench)
{
    const uint64_t total = bench->machine->host.info.memory_total;
    uint64_t largest = 0, sum = 0;

    for (size_t i = 0; i < bench->count; i++) {
        const struct result *result = &bench->results[i];
        const uint64_t bytes = bench_keeps_sets(result) ? result->found.rotated_bytes : 0;

        sum = saturate_add(sum, bytes);
        largest = bytes > largest ? bytes : largest;
    }
    if (sum <= saturate_multiply(largest, WHOLE_ROTATIONS) && sum <= total / TOTAL_PART) {
        return;
    }
    for (size_t i = 0; i < bench->count; i++) {
        struct result *result = &bench->results[i];
        const uint64_t needed =
            bench_keeps_sets(result) && bench_has_windows(result) ? sets_of_visit(bench, result) : UINT64_MAX;

        if (needed < result->rotation) {
            result->found.sets = (unsigned)needed;
            result->found.rotated_bytes = buffers_memory(&result->found.bytes, needed);
        }
    }
}

/* Say how much is needed and how much there is, before anything is allocated; KEPT bytes of it are held for others. */
static enum exit_code check_memory(struct device *device, const char *what, uint64_t needed, uint64_t kept)
{
    uint64_t there = saturate_add(machine_memory_free(device), kept);

    if (needed <= there) {
        return EXIT_OK;
    }
    message_error("%s: not enough memory on %s: %.3f GB needed, %.3f GB free; use fewer tokens or a smaller hidden "
                  "size",
                  what, device->info.id, (double)needed * 1e-9, (double)there * 1e-9);
    return EXIT_CANNOT_RUN;
}

/* The bytes of the workspaces of its queues, as far as its kernel is known in this process. */
static uint64_t workspace_bytes(const struct plan_case *plan_case)
{
    const struct qb_kernel *kernel = plan_case->kernel;

    return kernel == NULL ? 0
                          : saturate_multiply(plan_case->streams, qb_kernel_workspace(kernel, plan_case->device->handle,
                                                                                      &plan_case->problem));
}

/* True if the reference's answer to the case is needed: to compare with it, or since launches read a part of it. */
static bool needs_answer(const struct bench *bench, const struct plan_case *plan_case)
{
    return bench->method->verify || has_given(plan_case);
}

uint64_t bench_host_bytes(const struct bench *bench, size_t index)
{
    const struct result *result = &bench->results[index];
    const struct qb_problem *problem = &result->plan_case->problem;
    const struct expectation *e = &bench->expectation;
    const uint64_t held = e->tensors.at[QB_ROLE_CODES] != NULL ? answer_bytes(&e->bytes) : 0;
    uint64_t bytes = inputs_missing(&bench->inputs, result->plan_case);

    bytes = needs_answer(bench, result->plan_case) ? saturate_add(bytes, answer_bytes(&result->found.bytes)) : bytes;
    bytes = bytes > held ? bytes - held : 0;
    /* The exact values, for the quality of codes. */
    return values_differ(problem) && bench->method->verify && problem->scaling != QB_SCALING_AMAX
               ? saturate_add(bytes, saturate_multiply(problem->tokens * problem->hidden, sizeof(float)))
               : bytes;
}

/* All the memory that a case will take, on the host and on its device, beyond what is held already. */
static enum exit_code check_all_memory(const struct bench *bench, size_t index)
{
    const struct result *result = &bench->results[index];
    const struct plan_case *plan_case = result->plan_case;
    const uint64_t host = bench_host_bytes(bench, index);
    const uint64_t device =
        saturate_add(buffers_memory(&result->found.bytes, result->found.sets), workspace_bytes(plan_case));
    const uint64_t kept = bench->stock.held;
    char what[PROBLEM_TEXT_SIZE];
    enum exit_code code;

    problem_text(&plan_case->problem, what, sizeof what);
    if (plan_case->threads > 0) {
        return check_memory(&bench->machine->host, what, saturate_add(host, device), kept);
    }
    code = check_memory(&bench->machine->host, what, host, kept);
    return code == EXIT_OK ? check_memory(plan_case->device, what, device, 0) : code;
}

/* ---- Queues and buffers ------------------------------------------------------------------------------------- */

static void destroy_queues(struct qb_queue **queues, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        qb_queue_destroy(queues[i]);
    }
}

/* Make COUNT queues as the case wants them. An error has been printed. */
static enum exit_code make_queues(const struct method *method, const struct plan_case *plan_case, unsigned count,
                                  struct qb_queue **queues)
{
    for (unsigned i = 0; i < count; i++) {
        const char *what = plan_case->device->info.id;
        enum qb_status status = qb_queue_create(plan_case->device->handle, &queues[i]);

        if (status != QB_OK) {
            destroy_queues(queues, i);
            return message_status(what, status);
        }
        if (plan_case->threads > 0) {
            what = "--threads";
            status = qb_queue_set_threads(queues[i], plan_case->threads);
        }
        if (status == QB_OK && method->dependent_launch) {
            what = "--dependent-launch";
            status = qb_queue_set_dependent_launch(queues[i], true);
        }
        if (status == QB_OK) {
            /* A graph is captured before the kernel has run in this queue, and its workspace cannot grow then. */
            what = qb_kernel_name(plan_case->kernel);
            status = qb_queue_reserve(
                queues[i], qb_kernel_workspace(plan_case->kernel, plan_case->device->handle, &plan_case->problem));
        }
        if (status != QB_OK) {
            destroy_queues(queues, i + 1);
            return message_status(what, status);
        }
    }
    return EXIT_OK;
}

/* Buffers with SETS sets of what the case's launches read, the outputs poisoned. An error has been printed; free
 * BUFFERS either way. */
static enum exit_code fill_buffers(struct bench *bench, size_t index, struct qb_queue *queue, unsigned sets,
                                   struct buffers *buffers)
{
    const struct result *result = &bench->results[index];
    const struct plan_case *plan_case = result->plan_case;
    struct case_data data;
    enum qb_status status;
    enum exit_code code = inputs_get(&bench->inputs, plan_case, &data);

    *buffers = (struct buffers){.device = NULL};
    if (code != EXIT_OK) {
        return code;
    }
    for (int role = 0; role < QB_ROLE_COUNT; role++) {
        data.at[role] = data.at[role] != NULL ? data.at[role] : bench->proofs[index].given[role];
    }
    /* What is kept for other cases was counted as free. */
    if (plan_case->threads > 0 &&
        machine_memory_free(&bench->machine->host) < buffers_memory(&result->found.bytes, sets)) {
        stock_clear(&bench->stock);
    }
    status = buffers_make(plan_case->device->handle, queue, &result->found.bytes, sets, data.at, buffers);
    return status == QB_OK ? unless_changed(bench, EXIT_OK) : message_status("the buffers", status);
}

/* ---- Proof -------------------------------------------------------------------------------------------------- */

/* Make bench->expectation the case's, unless it is so already. */
static enum exit_code expect(struct bench *bench, const struct plan_case *plan_case, const struct case_data *data)
{
    bool same_data = bench->expected_tensor == plan_case->tensor && bench->expected_dist == plan_case->dist;

    bench->expected_dist = plan_case->dist;
    bench->expected_tensor = plan_case->tensor;
    return unless_changed(bench, verify_expect(&plan_case->problem, qb_kernel_arithmetic(plan_case->kernel), data,
                                               same_data, bench->method->verify, &bench->expectation));
}

/* Compare all sets of BUFFERS with the reference, which was computed. The result gets the verdict, and what differs if
 * that is wrong or is looked for the first time; the first difference is printed. */
static enum exit_code compare(const struct bench *bench, size_t index, const struct buffers *buffers,
                              const struct case_data *data, const char *when)
{
    struct result *result = &bench->results[index];
    const bool is_injected = buffers_inject(buffers, QB_ROLE_CODES, 0);
    struct mismatch mismatch;
    enum exit_code code = unless_changed(
        bench, verify_compare(buffers->device, buffers->copies, data->values, &bench->expectation, &mismatch));
    bool wrong = mismatch_is_wrong(&mismatch);

    if (code != EXIT_OK) {
        return code;
    }
    if (wrong && is_injected) {
        const size_t length = strlen(mismatch.first);

        snprintf(mismatch.first + length, sizeof mismatch.first - length, "; a fault was injected");
    }
    if (wrong || result->found.checked.verification == NOT_VERIFIED) {
        result->found.checked.mismatch = mismatch;
    }
    if (wrong) {
        result->found.checked.verification = WRONG;
        message_error("wrong result: kernel %s, %s: %" PRIu64 " of %" PRIu64 " %s and %" PRIu64
                      " scales differ from the reference; the first is %s",
                      qb_kernel_name(result->plan_case->kernel), when, mismatch.wrong_codes, mismatch.compared,
                      problem_results_name(&result->plan_case->problem), mismatch.wrong_scales, mismatch.first);
        return EXIT_WRONG_RESULT;
    }
    result->found.checked.verification = VERIFIED;
    return EXIT_OK;
}

/* How good the codes are that BUFFERS hold; the reference's own were rated when they were computed. */
static enum exit_code rate(const struct bench *bench, size_t index, const struct buffers *buffers,
                           const struct case_data *data)
{
    struct result *result = &bench->results[index];

    if (bench->expectation.tensors.at[QB_ROLE_CODES] == NULL ||
        (result->found.checked.mismatch.near_codes == 0 && result->found.checked.mismatch.near_scales == 0)) {
        result->found.checked.quality = bench->expectation.quality;
        return EXIT_OK;
    }
    return unless_changed(bench, verify_rate(buffers->device, buffers->copies, data, &bench->expectation,
                                             &result->found.checked.quality));
}

/* Launch, and keep how long that takes: the shortest time of a few, if they are short and somebody wants to know. */
static enum qb_status time_launches(struct bench *bench, size_t index, struct launch_context *context,
                                    struct qb_queue *queue)
{
    const int count = bench->alive != NULL ? TIMED_LAUNCHES : 1;
    double *seconds = &bench->proofs[index].seconds;
    enum qb_status status = QB_OK;

    announce(bench, 0);
    for (int i = 0; i < count && status == QB_OK && (i == 0 || *seconds < SHORT_LAUNCH); i++) {
        double start = clock_seconds();

        status = launch_kernel(context, queue, 0);
        if (status == QB_OK) {
            status = qb_queue_synchronize(queue);
        }
        *seconds = fmin(*seconds, clock_seconds() - start);
    }
    announce(bench, CHILD_OWN_SECONDS);
    return status;
}

/* Launch, and compare. */
static enum exit_code prove_launch(struct bench *bench, size_t index, const struct case_data *data)
{
    struct result *result = &bench->results[index];
    struct qb_queue *queue;
    struct buffers buffers;
    struct launch_context context = {.plan_case = result->plan_case, .buffers = &buffers};
    enum exit_code code = make_queues(bench->method, result->plan_case, 1, &queue);

    if (code != EXIT_OK) {
        return code;
    }
    code = fill_buffers(bench, index, queue, 1, &buffers);
    if (code == EXIT_OK) {
        enum qb_status status = time_launches(bench, index, &context, queue);

        code = status == QB_OK ? compare(bench, index, &buffers, data, "before timing")
                               : message_status(qb_kernel_name(result->plan_case->kernel), status);
    }
    if (code == EXIT_OK) {
        code = rate(bench, index, &buffers, data);
    }
    buffers_free(&buffers);
    qb_queue_destroy(queue);
    return code;
}

/* Keep of the expectation what visits will need. */
static enum exit_code keep_proof(struct bench *bench, size_t index)
{
    struct result *result = &bench->results[index];
    struct proof *proof = &bench->proofs[index];
    enum exit_code code = EXIT_OK;

    for (int role = 0; role < QB_ROLE_COUNT && code == EXIT_OK; role++) {
        if (!sizes_is_given(&result->plan_case->problem, (enum qb_role)role) || inputs_have((enum qb_role)role) ||
            result->found.bytes.of[role] == 0) {
            continue;
        }
        code = verify_image(&bench->expectation, (enum qb_role)role, &proof->given[role]);
    }
    return code == EXIT_OK && bench->method->verify ? verify_fingerprint(&bench->expectation, &proof->fingerprint)
                                                    : code;
}

/* True if the kernel is to be proved harmless: it is not ours, and no worker has done it. */
static bool is_foreign(const struct bench *bench, const struct result *result)
{
    return result->found.checked.verification == NOT_VERIFIED &&
           (bench->foreign->isolate == ISOLATE_ALL || qb_kernel_plugin(result->plan_case->kernel) != NULL);
}

/* That a kernel of others is harmless. BENCH has kept what is given to it. */
static enum exit_code prove_harmless(struct bench *bench, size_t index, const struct case_data *data)
{
    const struct plan_case *plan_case = bench->results[index].plan_case;
    const void *given[QB_ROLE_COUNT];
    struct qb_queue *queue;
    enum exit_code code = make_queues(bench->method, plan_case, 1, &queue);

    if (code != EXIT_OK) {
        return code;
    }
    for (int role = 0; role < QB_ROLE_COUNT; role++) {
        given[role] = data->at[role] != NULL ? data->at[role] : bench->proofs[index].given[role];
    }
    code = unless_changed(bench, prove_kernel(plan_case, queue, given, bench->alive));
    announce(bench, CHILD_OWN_SECONDS);
    qb_queue_destroy(queue);
    return code;
}

/* That the kernel is right on hard data too. */
static enum exit_code prove_hard(struct bench *bench, size_t index)
{
    struct result *result = &bench->results[index];
    struct hard_outcome outcome;
    struct qb_queue *queue;
    enum exit_code code = make_queues(bench->method, result->plan_case, 1, &queue);

    if (code != EXIT_OK) {
        return code;
    }
    code = hard_prove(&bench->hard, result->plan_case, queue, bench->alive, CHILD_OWN_SECONDS, &outcome);
    qb_queue_destroy(queue);
    result->found.checked.hard_cases = code == EXIT_OK ? outcome.cases : 0;
    if (code == EXIT_WRONG_RESULT) {
        result->found.checked.verification = WRONG;
        result->found.checked.mismatch = outcome.mismatch;
    }
    return code;
}

static enum exit_code prove(struct bench *bench, size_t index)
{
    struct result *result = &bench->results[index];
    struct case_data data;
    enum exit_code code = check_all_memory(bench, index);

    bench->proofs[index].seconds = INFINITY;
    if (code != EXIT_OK || !needs_answer(bench, result->plan_case)) {
        return code;
    }
    code = inputs_get(&bench->inputs, result->plan_case, &data);
    if (code == EXIT_OK) {
        code = expect(bench, result->plan_case, &data);
    }
    if (code == EXIT_OK) {
        code = keep_proof(bench, index);
    }
    if (code == EXIT_OK && bench->method->verify && is_foreign(bench, result)) {
        code = prove_harmless(bench, index, &data);
    }
    if (code == EXIT_OK && bench->method->verify) {
        code = prove_launch(bench, index, &data);
    }
    return code == EXIT_OK && bench->method->verify ? prove_hard(bench, index) : code;
}

void bench_prove(struct bench *bench, size_t index)
{
    bench->results[index].found.code = prove(bench, index);
}

bool bench_fits(struct bench *bench, size_t index)
{
    return check_all_memory(bench, index) == EXIT_OK;
}

/* EXIT_OK if what the timed launches wrote into BUFFERS is right; if not, the reference says where. */
static enum exit_code prove_sets(struct bench *bench, size_t index, const struct buffers *buffers)
{
    struct result *result = &bench->results[index];
    struct case_data data;
    bool same;
    enum exit_code code =
        verify_same(buffers->device, buffers->copies, &result->found.bytes, &bench->proofs[index].fingerprint, &same);

    if (code != EXIT_OK || same) {
        return code;
    }
    code = inputs_get(&bench->inputs, result->plan_case, &data);
    if (code == EXIT_OK) {
        code = expect(bench, result->plan_case, &data);
    }
    return code == EXIT_OK ? compare(bench, index, buffers, &data, "after timing") : code;
}

/* The same of all sets of SITE that timed launches went into. */
static enum exit_code prove_again(struct bench *bench, size_t index, const struct site *site)
{
    const struct result *result = &bench->results[index];
    const uint64_t sets = result->found.sets, end = saturate_add(site->first, site->launched);
    struct buffers part;
    enum exit_code code;

    if (site->kept == NULL || !bench_has_windows(result) || result->found.launches_per_sample >= sets ||
        site->launched >= sets || site->launched > site->poisoned) {
        return prove_sets(bench, index, &site->buffers);
    }
    part = buffers_part(&site->buffers, site->first, end < sets ? site->launched : sets - site->first);
    code = prove_sets(bench, index, &part);
    if (code == EXIT_OK && end > sets) {
        part = buffers_part(&site->buffers, 0, end - sets);
        code = prove_sets(bench, index, &part);
    }
    return code;
}

/* ---- Visits ------------------------------------------------------------------------------------------------- */

static struct measure_settings settings_of(const struct method *method, const struct device *device,
                                           enum launch_mode mode, uint64_t launches)
{
    return (struct measure_settings){
        .mode = mode,
        .timer_tick = device->timer.tick,
        .precision = method->precision > 0 ? fmin(method->precision / 4, DEFAULT_TICK_SHARE) : DEFAULT_TICK_SHARE,
        .pause = method->regime == REGIME_BURST ? BURST_PAUSE : 0,
        .launches = launches,
        .in_peace = device_is_cpu(device),
    };
}

bool bench_grow(struct result *result, uint64_t count)
{
    /* One more than none, for which there may be no memory. */
    double *samples = reallocarray(result->found.samples, result->found.sample_count + count + 1, sizeof *samples);
    struct round *rounds;

    if (samples == NULL) {
        return false;
    }
    result->found.samples = samples;
    rounds = reallocarray(result->found.rounds, result->found.round_count + 1, sizeof *rounds);
    if (rounds == NULL) {
        return false;
    }
    result->found.rounds = rounds;
    return true;
}

/* Look at the device while it works: what slows it down may be gone when it is idle again. Of several looks the slowest
 * clock counts, the most power and heat, and every reason. */
static void watch_device(void *context)
{
    struct launch_context *launch = context;
    struct qb_device_conditions now = machine_conditions(launch->plan_case->device->handle);
    struct qb_device_conditions *all = &launch->conditions;

    if (launch->watched) {
        now.clock = fmin(now.clock, all->clock);
        now.memory_clock = fmin(now.memory_clock, all->memory_clock);
        now.power = fmax(now.power, all->power);
        now.temperature = fmax(now.temperature, all->temperature);
        now.performance_state =
            now.performance_state > all->performance_state ? now.performance_state : all->performance_state;
        now.throttle |= all->throttle;
        now.throttle_known |= all->throttle_known;
    }
    *all = now;
    launch->watched = true;
}

/* The newest samples, which RESULT does not count yet, are those of ROUND. */
static bool add_round(struct result *result, struct round *round, const struct buffers *buffers)
{
    double *sorted = malloc(round->samples * sizeof *sorted);

    if (sorted == NULL) {
        return false;
    }
    for (size_t i = 0; i < round->samples; i++) {
        result->found.samples[result->found.sample_count + i] *= inject_factor();
    }
    memcpy(sorted, result->found.samples + result->found.sample_count, round->samples * sizeof *sorted);
    round->median = stats_median(sorted, round->samples);
    if (!buffers_in_huge_pages(buffers, &round->huge_bytes)) {
        round->huge_bytes = ROUND_UNKNOWN;
    }
    free(sorted);
    result->found.rounds[result->found.round_count++] = *round;
    result->found.sample_count += round->samples;
    if (result->plan_case->threads > 0 && round->huge_bytes != ROUND_UNKNOWN) {
        message_verbose("of the tensors' %.1f MB, %.1f MB are in huge pages",
                        (double)result->found.rotated_bytes * 1e-6, (double)round->huge_bytes * 1e-6);
    }
    return true;
}

/* The median time of a few launches of one set by itself: its data are in the cache, if they fit. */
static enum qb_status measure_hot(const struct method *method, const struct result *result,
                                  struct launch_context *context, struct qb_queue *queue, double *time)
{
    const struct plan_case *plan_case = result->plan_case;
    struct measure_work work = {.launch = launch_kernel, .context = context, .sets = 1};
    struct measure_settings settings = settings_of(method, plan_case->device, plan_case->launch, 0);
    double samples[CHECK_SAMPLES];
    uint64_t taken;
    enum qb_status status;

    settings.deadline = result->deadline;
    status = measure_series(plan_case->device->handle, queue, &work, &settings, CHECK_SAMPLES, samples, &taken);

    if (status == QB_OK && taken > 0) {
        *time = stats_median(samples, taken);
    }
    return status;
}

/* COUNT empty launches of the case's shape, if the kernel has them. */
static enum qb_status measure_floor(const struct method *method, struct result *result, struct launch_context *context,
                                    struct qb_queue *queue, uint64_t count)
{
    const struct plan_case *plan_case = result->plan_case;
    struct measure_work work = {.launch = launch_nothing, .context = context, .sets = 1};
    struct measure_settings settings = settings_of(method, plan_case->device, plan_case->launch, 0);
    double *larger = reallocarray(result->floors, result->floor_count + count, sizeof *larger);
    uint64_t taken;
    enum qb_status status;

    if (larger == NULL) {
        return QB_ERROR_MEMORY;
    }
    result->floors = larger;
    settings.deadline = result->deadline;
    status =
        measure_series(plan_case->device->handle, queue, &work, &settings, count, larger + result->floor_count, &taken);
    result->floor_count += taken;
    return status == QB_ERROR_UNSUPPORTED ? QB_OK : status;
}

/* The case's own samples: SAMPLES of them, after a warm-up in the first visit. ROUND gets how many came out, and how.
 */
static enum qb_status measure_case(const struct method *method, struct result *result, struct launch_context *context,
                                   struct qb_queue *const *queues, uint64_t samples, struct round *round)
{
    const struct plan_case *plan_case = result->plan_case;
    struct site *site = context->site;
    struct measure_work work = challenged_work(context, result->found.sets);
    struct measure_settings settings =
        settings_of(method, plan_case->device, plan_case->launch, result->found.launches_per_sample);
    uint64_t warmup = result->warm ? 0 : method->num_warmup_iters;
    double *room = result->found.samples + result->found.sample_count;
    uint64_t taken = 0;
    struct measure measure;
    enum qb_status status;

    settings.first = site->kept != NULL && bench_has_windows(result) ? site->kept->next : 0;
    settings.sample_time = result->sample_time;
    status = measure_open(plan_case->device->handle, queues, plan_case->streams, &work, &settings, &measure);

    if (status != QB_OK) {
        return status;
    }
    if (!interrupt_requested()) {
        result->found.launches_per_sample = measure.settings.launches;
        /* The warm-up's samples are overwritten; there is room for as many as a round has. It gets half of the time. */
        measure.settings.deadline = (result->deadline + clock_seconds()) / 2;
        for (uint64_t done = 0; done < warmup && status == QB_OK && !interrupt_requested();) {
            uint64_t wanted = warmup - done < samples ? warmup - done : samples;

            status = measure_take(&measure, wanted, room, &taken, &round->host_time);
            done = taken < wanted ? warmup : done + wanted;
        }
        result->warm = true;
        measure.settings.deadline = result->deadline;
        /* The CPU has worked when its launches return: it is looked at after the samples, to disturb none. */
        work.watch = plan_case->threads == 0 ? watch_device : NULL;
        measure.single_before = context->challenges != NULL ? challenges_single(context->challenges, samples) : 0;
        if (status == QB_OK) {
            status = measure_take(&measure, samples, room, &taken, &round->host_time);
            round->samples = taken;
            round->retaken_samples = measure.retaken;
            round->disturbed_samples = measure.disturbed;
            result->sample_time = taken > 0 ? room[0] * (double)measure.settings.launches : 0;
        }
    }
    measure_close(&measure);
    return status;
}

static enum qb_status profile_case(const struct method *method, struct result *result, struct launch_context *context,
                                   struct qb_queue *queue)
{
    const struct plan_case *plan_case = result->plan_case;
    struct measure_work work = challenged_work(context, result->found.sets);

    result->found.launches_per_sample = 1;
    return measure_profile(plan_case->device->handle, queue, &work, method->num_warmup_iters,
                           qb_kernel_name(plan_case->kernel), result->found.samples, &result->found.profiled);
}

/* True if hot launches can tell anything: cold ones are wanted, and a launch leaves room in the cache for its data to
 * be found by the next. */
static bool can_check_cache(const struct result *result)
{
    return result->found.cache == CACHE_COLD && result->plan_case->streams == 1 &&
           set_lines(&result->found.bytes) < result->plan_case->device->info.cache_size;
}

/* On how many threads launches ran, as far as the CPU's queues know. */
static void find_threads(struct qb_queue *const *queues, unsigned count, struct round *round)
{
    for (unsigned i = 0; i < count; i++) {
        unsigned wanted, obtained;

        if (qb_queue_threads(queues[i], &wanted, &obtained) == QB_OK &&
            (wanted > round->threads_wanted ||
             (wanted == round->threads_wanted && obtained < round->threads_obtained))) {
            round->threads_wanted = wanted;
            round->threads_obtained = obtained;
        }
    }
}

/* Everything that is timed in a visit. */
static enum qb_status time_visit(const struct method *method, struct result *result, struct launch_context *context,
                                 struct qb_queue *const *queues, uint64_t samples, double start, bool *memory_short)
{
    bool profile = result->plan_case->launch == LAUNCH_PROFILE;
    struct round round = {.samples = profile ? 1 : 0, .start = start};
    struct disturbance_snapshot before, after;
    enum qb_status status;

    result->deadline = clock_seconds() + result->limit;
    disturbance_snapshot(&before);
    status = profile ? profile_case(method, result, context, queues[0])
                     : measure_case(method, result, context, queues, samples, &round);

    if (status != QB_OK || round.samples == 0) {
        return status;
    }
    disturbance_snapshot(&after);
    round.disturbance = disturbance_between(&before, &after);
    if (!context->watched) {
        watch_device(context);
    }
    round.conditions = context->conditions;
    find_threads(queues, result->plan_case->streams, &round);
    if (!add_round(result, &round, context->buffers)) {
        *memory_short = true;
        return QB_ERROR_MEMORY;
    }
    if (profile || interrupt_requested()) {
        return QB_OK;
    }
    if (result->found.hot_time == 0 && can_check_cache(result)) {
        status = measure_hot(method, result, context, queues[0], &result->found.hot_time);
        if (context->site->kept != NULL) {
            stock_note(context->site->stock, context->site->kept, 0, 1);
        }
    }
    if (status == QB_OK && !interrupt_requested()) {
        status = measure_floor(method, result, context, queues[0], samples / 4 + 1);
    }
    return status;
}

/* The seconds that a visit takes by all experience, which is that of a launch on an idle device. */
static double seconds_of_visit(const struct bench *bench, size_t index, uint64_t samples)
{
    const struct result *result = &bench->results[index];
    double sample = fmax((double)result->found.sets * bench->proofs[index].seconds, 0.01);

    return (double)(2 * samples + bench->method->num_warmup_iters + 2 * CHECK_SAMPLES) * sample * 3;
}

bool bench_has_windows(const struct result *result)
{
    return can_have_windows(result->plan_case) && result->found.sets > 1;
}

bool bench_is_sample(const struct result *result, uint64_t launches)
{
    const enum launch_mode mode = result->plan_case->launch;
    const uint64_t sets = result->found.sets / result->plan_case->streams;

    if (mode == LAUNCH_ISOLATED || mode == LAUNCH_PROFILE) {
        return launches == 1;
    }
    return launches > 0 && launches <= MOST_LAUNCHES &&
           (launches % sets == 0 || (bench_has_windows(result) && launches < sets));
}

/* Time a launch whose time must be announced, and is unknown without a proof. */
static enum qb_status time_unknown(struct bench *bench, size_t index, struct launch_context *context)
{
    const bool is_unknown = bench->alive != NULL && isinf(bench->proofs[index].seconds);

    return is_unknown ? time_launches(bench, index, context, context->queue) : QB_OK;
}

/* The sets that launches of a visit of SAMPLES samples can go into, one after the other; all, if that is unknown. */
static uint64_t window_of_visit(const struct result *result, uint64_t samples)
{
    const uint64_t launches = result->found.launches_per_sample, sets = result->found.sets;
    const bool is_known = result->warm && launches > 0 && launches < sets && bench_has_windows(result);
    const uint64_t most = saturate_multiply(measure_most_windows(samples), launches);

    /* A hot launch goes into the first set. */
    return is_known && result->found.hot_time > 0 && most < sets ? most : sets;
}

/* Poison what a visit of SAMPLES samples launches into. */
static enum qb_status poison(struct result *result, uint64_t samples, struct site *site)
{
    const uint64_t sets = result->found.sets, count = window_of_visit(result, samples);
    const uint64_t end = saturate_add(site->first, count);
    struct buffers part = buffers_part(&site->buffers, site->first, end < sets ? count : sets - site->first);
    enum qb_status status = buffers_poison(&part, &result->plan_case->problem);

    if (status == QB_OK && end > sets) {
        part = buffers_part(&site->buffers, 0, end - sets);
        status = buffers_poison(&part, &result->plan_case->problem);
    }
    site->poisoned = count;
    return status;
}

/* Launch into all sets of SITE: the cache is then as launches leave it. */
static enum qb_status launch_rotation(struct bench *bench, size_t index, struct launch_context *context)
{
    const struct result *result = &bench->results[index];
    struct site *site = context->site;
    enum qb_status status = time_unknown(bench, index, context), end;

    announce(bench, seconds_of_visit(bench, index, 1));
    for (unsigned i = 0; i < result->found.sets && status == QB_OK; i++) {
        status = launch_kernel(context, context->queue, (unsigned)((site->kept->next + i) % result->found.sets));
    }
    end = qb_queue_synchronize(context->queue);
    announce(bench, CHILD_OWN_SECONDS);
    stock_note(site->stock, site->kept, site->kept->next, result->found.sets);
    return status == QB_OK ? end : status;
}

/* The sets of the case that are kept. In each visit of SAMPLES samples those that they go into are poisoned, as what an
 * earlier visit or another kernel wrote proves nothing, and all are launched into; without a proof, new ones are. */
static enum exit_code take_sets(struct bench *bench, size_t index, uint64_t samples, const struct case_data *data,
                                struct launch_context *context)
{
    struct result *result = &bench->results[index];
    struct qb_device *device = result->plan_case->device->handle;
    struct site *site = context->site;
    const struct stock_contents contents = {.plan_case = result->plan_case,
                                            .given = bench->proofs[index].given,
                                            .data = data,
                                            .bytes = &result->found.bytes,
                                            .count = result->found.sets,
                                            .lines = set_lines(&result->found.bytes)};
    const bool is_whole = result->found.sets >= result->rotation;
    bool fresh = false;
    const uint64_t cache = result->plan_case->device->info.cache_size;
    const bool needs_room = (!is_whole || !bench->method->verify) && bench->stock.room.filled == 0;
    /* Others than these may go for the room. */
    enum qb_status status =
        needs_room ? stock_make_room(&bench->stock, device, 4 * (cache > LEAST_CACHE ? cache : LEAST_CACHE), 1) : QB_OK;

    status = status == QB_OK ? stock_take(&bench->stock, &contents, context->queue, &site->kept, &fresh) : status;
    if (status != QB_OK) {
        return message_status("the buffers", status);
    }
    site->buffers = site->kept->buffers;
    site->first = site->kept->next;
    site->poisoned = result->found.sets;
    if (!fresh && bench->method->verify) {
        status = poison(result, samples, site);
    }
    if (status == QB_OK && (fresh || bench->method->verify)) {
        status = launch_rotation(bench, index, context);
    }
    return status == QB_OK ? EXIT_OK : message_status(qb_kernel_name(result->plan_case->kernel), status);
}

/* Choose how many launches make a sample, which a question has to know, if they may be fewer than there are sets. */
static enum qb_status choose_launches(struct bench *bench, size_t index, struct launch_context *context)
{
    struct result *result = &bench->results[index];
    const struct plan_case *plan_case = result->plan_case;
    const struct measure_work work = challenged_work(context, result->found.sets);
    struct measure_settings settings = settings_of(bench->method, plan_case->device, plan_case->launch, 0);
    enum qb_status status;

    if (!bench_has_windows(result) || result->found.launches_per_sample != 0) {
        return QB_OK;
    }
    settings.first = context->site->kept != NULL ? context->site->kept->next : 0;
    settings.only_windows = result->found.sets < result->rotation;
    announce(bench, seconds_of_visit(bench, index, 1));
    status = measure_choose(plan_case->device->handle, context->queue, &work, &settings);
    if (status == QB_OK && !interrupt_requested()) {
        result->found.launches_per_sample = settings.launches;
    }
    announce(bench, CHILD_OWN_SECONDS);
    return status;
}

/* Find memory for the visit of CONTEXT, of SAMPLES samples, filled with DATA, and what a question has to know. */
static enum exit_code prepare(struct bench *bench, size_t index, uint64_t samples, const struct case_data *data,
                              struct launch_context *context)
{
    struct result *result = &bench->results[index];
    struct site *site = context->site;
    enum qb_status status = QB_OK;
    enum exit_code code = bench_keeps_sets(result)
                              ? take_sets(bench, index, samples, data, context)
                              : fill_buffers(bench, index, context->queue, result->found.sets, &site->buffers);

    if (code == EXIT_OK) {
        status = time_unknown(bench, index, context);
    }
    if (code == EXIT_OK && status == QB_OK) {
        status = choose_launches(bench, index, context);
    }
    return status == QB_OK ? code : message_status(qb_kernel_name(result->plan_case->kernel), status);
}

/* Time what there is to time, with the challenges of CONTEXT. */
static enum exit_code time_case(struct bench *bench, size_t index, uint64_t samples, struct qb_queue *const *queues,
                                struct launch_context *context)
{
    struct result *result = &bench->results[index];
    bool memory_short = false;
    enum qb_status status;

    announce(bench, seconds_of_visit(bench, index, samples));
    status = time_visit(bench->method, result, context, queues, samples, clock_seconds() - bench->start, &memory_short);
    announce(bench, CHILD_OWN_SECONDS);
    return status == QB_OK
               ? EXIT_OK
               : message_status(memory_short ? "the samples" : qb_kernel_name(result->plan_case->kernel), status);
}

/* Judge what the timed launches did of CONTEXT's challenges; and let the sets whose outputs answer one hold the answer
 * to the case's data again. */
static enum exit_code settle(struct bench *bench, size_t index, struct launch_context *context)
{
    struct result *result = &bench->results[index];
    const char *kernel = qb_kernel_name(result->plan_case->kernel);
    const struct challenges *challenges = context->challenges;
    const struct site *site = context->site;
    enum exit_code code = unless_changed(bench, EXIT_OK);
    enum qb_status status = QB_OK;

    if (code != EXIT_OK) {
        return code;
    }
    code = challenges_verdict(challenges, kernel, &result->found.checked.mismatch);
    if (code != EXIT_OK) {
        result->found.checked.verification = WRONG;
        return code;
    }
    announce(bench, seconds_of_visit(bench, index, 1));
    for (unsigned set = 0; set < result->found.sets && status == QB_OK; set++) {
        if (challenges->outdated[set]) {
            status = launch_kernel(context, context->queue, set);
            if (site->kept != NULL) {
                stock_note(site->stock, site->kept, set, 1);
            }
        }
    }
    if (status == QB_OK) {
        status = qb_queue_synchronize(context->queue);
    }
    announce(bench, CHILD_OWN_SECONDS);
    return status == QB_OK ? EXIT_OK : message_status(kernel, status);
}

/* The sets that a question is about: those of a sample. */
static unsigned asked_sets(const struct result *result)
{
    const uint64_t launches = result->found.launches_per_sample;

    if (result->plan_case->launch == LAUNCH_ISOLATED) {
        return 1;
    }
    return launches > 0 && launches < result->found.sets && bench_has_windows(result) ? (unsigned)launches
                                                                                      : result->found.sets;
}

/* Visit a case whose memory is prepared, and prove what its launches wrote. */
static enum exit_code visit_verified(struct bench *bench, size_t index, uint64_t samples,
                                     struct qb_queue *const *queues, const struct case_data *data,
                                     struct launch_context *context)
{
    struct result *result = &bench->results[index];
    size_t samples_before = result->found.sample_count;
    struct challenges challenges;
    enum exit_code code = challenges_begin(result->plan_case, data, bench->proofs[index].given, &context->site->buffers,
                                           result->found.sets, asked_sets(result), samples, &challenges);

    context->challenges = &challenges;
    code = code == EXIT_OK ? unless_changed(bench, code) : code;
    if (code == EXIT_OK) {
        binding_hold(bench->machine);
        code = time_case(bench, index, samples, queues, context);
        if (code == EXIT_OK) {
            code = settle(bench, index, context);
        }
        binding_release(bench->machine);
    }
    challenges_end(&challenges);
    context->challenges = NULL;
    if (code == EXIT_OK && result->found.sample_count > samples_before) {
        code = prove_again(bench, index, context->site);
    }
    return code;
}

/* Visit a case on QUEUES, which has DATA. */
static enum exit_code visit_on(struct bench *bench, size_t index, uint64_t samples, struct qb_queue *const *queues,
                               const struct case_data *data)
{
    const struct result *result = &bench->results[index];
    struct site site = {.stock = &bench->stock};
    struct launch_context context = {.plan_case = result->plan_case,
                                     .buffers = &site.buffers,
                                     .site = &site,
                                     .queue = queues[0],
                                     .rotation = result->rotation};
    enum exit_code code;

    binding_hold(bench->machine);
    code = prepare(bench, index, samples, data, &context);
    if (code == EXIT_OK && !bench->method->verify) {
        code = time_case(bench, index, samples, queues, &context);
    }
    binding_release(bench->machine);
    if (code == EXIT_OK && bench->method->verify) {
        code = visit_verified(bench, index, samples, queues, data, &context);
    }
    if (site.kept == NULL) {
        buffers_free(&site.buffers);
    } else if (code != EXIT_OK) {
        stock_drop(site.stock, site.kept);
    } else if (!bench_has_windows(result) || result->found.launches_per_sample >= result->found.sets) {
        stock_note(site.stock, site.kept, 0, result->found.sets);
    }
    return code;
}

static enum exit_code visit(struct bench *bench, size_t index, uint64_t samples)
{
    struct result *result = &bench->results[index];
    const struct plan_case *plan_case = result->plan_case;
    struct qb_queue *queues[SETTINGS_MAX_STREAMS];
    struct case_data data;
    enum exit_code code;

    if (!bench_grow(result, samples)) {
        return message_out_of_memory("the samples", samples * sizeof(double));
    }
    code = make_queues(bench->method, plan_case, plan_case->streams, queues);
    if (code != EXIT_OK) {
        return code;
    }
    /* Making an input takes threads that are not bound. */
    code = inputs_get(&bench->inputs, plan_case, &data);
    if (code == EXIT_OK) {
        code = visit_on(bench, index, samples, queues, &data);
    }
    destroy_queues(queues, plan_case->streams);
    return code;
}

void bench_visit(struct bench *bench, size_t index, uint64_t samples, size_t aside, double seconds)
{
    struct result *result = &bench->results[index];
    struct qb_device *device = result->plan_case->device->handle;
    double start = clock_seconds();
    void *held = NULL;

    result->limit = seconds;
    /* Without it the visit is as good as before. */
    if (aside > 0 && !bench_keeps_sets(result) && qb_memory_alloc(device, aside, &held) != QB_OK) {
        held = NULL;
    }
    result->found.code = visit(bench, index, samples);
    qb_memory_free(device, held);
    result->spent += clock_seconds() - start;
    if (result->found.code != EXIT_OK) {
        /* A time of wrong results does not count. */
        result->found.sample_count = result->found.round_count = 0;
    }
}

void bench_visit_ceiling(struct bench *bench, size_t index, uint64_t samples, double seconds)
{
    struct ceiling *ceiling = &bench->ceilings.values[index];
    struct measure_settings settings = settings_of(bench->method, ceiling->key.device, ceiling->key.launch, 0);
    double start = clock_seconds();

    settings.deadline = start + seconds;
    binding_hold(bench->machine);
    ceiling_visit(ceiling, &settings, samples, &bench->stock);
    binding_release(bench->machine);
    ceiling->spent += clock_seconds() - start;
}

/* ---- Results ------------------------------------------------------------------------------------------------ */

bool bench_estimate(struct bench *bench, size_t index, struct stats *stats)
{
    const struct result *result = &bench->results[index];
    size_t *rounds = malloc(result->found.round_count * sizeof *rounds);
    double uncertainty = result->plan_case->device->timer.tick / (2 * (double)result->found.launches_per_sample);
    bool good = rounds != NULL;

    for (size_t i = 0; i < result->found.round_count && good; i++) {
        rounds[i] = result->found.rounds[i].samples;
    }
    good = good && stats_compute(result->found.samples, rounds, result->found.round_count, uncertainty, stats);
    free(rounds);
    if (!good) {
        message_out_of_memory("the statistics", result->found.sample_count * sizeof(double));
    }
    return good;
}

/* The smaller of two times, where 0 means that there is none. */
static double faster(double a, double b)
{
    return a == 0 || (b > 0 && b < a) ? b : a;
}

static enum cache_check judge_cache(const struct result *result)
{
    bool near_ceiling = result->found.time.median * NEAR_CEILING <= result->found.best_time;
    bool near_floor = result->found.time.median <= NEAR_FLOOR * result->found.floor_time;

    if (result->found.hot_time == 0) {
        return CACHE_CHECK_NONE;
    }
    if (result->found.hot_time <= HOT_IS_FASTER * result->found.time.median) {
        return CACHE_CHECK_PASSED;
    }
    return near_ceiling && !near_floor ? CACHE_CHECK_FAILED : CACHE_CHECK_UNDECIDED;
}

/* What an empty launch took, in all, at the start and at the end. stats_median() changes the order. */
static void find_floors(struct result *result)
{
    const size_t count = result->floor_count, quarter = (count + 3) / 4;

    if (count > 0) {
        result->found.first_floor = stats_median(result->floors, quarter);
        result->found.last_floor = stats_median(result->floors + count - quarter, quarter);
        result->found.floor_time = stats_median(result->floors, count);
    }
}

/* What the result is to be held against. */
static void find_limits(const struct bench *bench, struct result *result)
{
    const struct ceiling *ceiling = &bench->ceilings.values[result->ceiling];
    double fastest = 0;

    for (int kind = 0; kind < CEILING_KINDS && result->plan_case->launch != LAUNCH_PROFILE; kind++) {
        result->found.ceiling_times[kind] =
            ceiling_time(ceiling, (enum ceiling_kind)kind, result->found.bytes.read + result->found.bytes.written);
        fastest = faster(fastest, result->found.ceiling_times[kind]);
    }
    find_floors(result);
    /* Several streams are not limited by the ceiling of one, nor are launches that overlap by that of ones that do not.
     */
    result->found.best_time = fastest > 0 && result->plan_case->streams == 1 && !bench->method->dependent_launch
                                  ? fmax(fastest, result->found.floor_time)
                                  : 0;
    result->found.cache_check = judge_cache(result);
}

/* The median over the rounds. Returns false, with a message, if memory is short. */
static bool find_host_time(struct result *result)
{
    double *times = malloc(result->found.round_count * sizeof *times);

    if (times == NULL) {
        message_out_of_memory("the statistics", result->found.round_count * sizeof *times);
        return false;
    }
    for (size_t i = 0; i < result->found.round_count; i++) {
        times[i] = result->found.rounds[i].host_time;
    }
    result->found.host_time = stats_median(times, result->found.round_count);
    free(times);
    return true;
}

void bench_conclude(struct bench *bench, size_t index)
{
    struct result *result = &bench->results[index];

    if (result->found.code != EXIT_OK || result->found.sample_count == 0) {
        return;
    }
    if (!bench_estimate(bench, index, &result->found.time) || !find_host_time(result)) {
        result->found.code = EXIT_CANNOT_RUN;
        result->found.sample_count = result->found.round_count = 0;
        return;
    }
    find_limits(bench, result);
}

/* ---- The whole ---------------------------------------------------------------------------------------------- */

static enum exit_code begin_result(struct bench *bench, const struct plan_case *plan_case, struct result *result)
{
    struct ceiling_key key = {
        .device = plan_case->device,
        .threads = plan_case->threads,
        .cache = plan_case->cache,
        .launch = plan_case->launch,
    };
    enum exit_code code;

    *result = (struct result){.plan_case = plan_case, .compared = bench->comparing->compare != COMPARE_NOTHING};
    result->found.bytes = sizes_of(&plan_case->problem);
    choose_sets(result);
    key.read = result->found.bytes.read;
    key.written = result->found.bytes.written;
    code = ceilings_find(&bench->ceilings, &key, &result->ceiling);
    if (code == EXIT_OK) {
        bench->ceilings.values[result->ceiling].users++;
    }
    return code;
}

enum exit_code bench_begin(struct bench *bench, const struct settings *settings, struct machine *machine,
                           struct tensors *tensors, const struct plan *plan)
{
    *bench = (struct bench){
        .method = &settings->method,
        .foreign = &settings->foreign,
        .comparing = &settings->comparing,
        .command = &settings->command,
        .machine = machine,
        .inputs = {.seed = settings->sweep.seed,
                   .expert_load = (enum expert_load)settings->sweep.expert_load,
                   .tensors = tensors,
                   .budget = machine_memory_free(&machine->host) / 4},
        .proofs = calloc(plan->count, sizeof *bench->proofs),
        .results = calloc(plan->count, sizeof *bench->results),
        .stock = {.budget = machine_memory_free(&machine->host) / 2},
        .start = clock_seconds(),
    };
    if (bench->proofs == NULL || bench->results == NULL) {
        return message_out_of_memory("the list of results", plan->count * sizeof *bench->results);
    }
    for (size_t i = 0; i < plan->count; i++) {
        enum exit_code code = begin_result(bench, &plan->cases[i], &bench->results[i]);

        bench->count++;
        if (code != EXIT_OK) {
            return code;
        }
    }
    limit_sets(bench);
    return EXIT_OK;
}

void bench_end(struct bench *bench)
{
    stock_free(&bench->stock);
    for (size_t i = 0; i < bench->count; i++) {
        for (int role = 0; role < QB_ROLE_COUNT; role++) {
            free(bench->proofs[i].given[role]);
        }
        free(bench->results[i].found.samples);
        free(bench->results[i].found.rounds);
        free(bench->results[i].floors);
    }
    free(bench->proofs);
    free(bench->results);
    hard_free(&bench->hard);
    ceilings_free(&bench->ceilings);
    inputs_free(&bench->inputs);
    verify_free(&bench->expectation);
}
