/* SPDX-License-Identifier: Apache-2.0 */
/* forger.c - a plug-in whose kernels answer in the place of the process that runs them, while they are timed: what the
 * program reads is not what was measured. They quantize float to INT8 with one scale per token, by the contract. */
#include "schedule/outcome.h"
#include "rows.h"

#include <string.h>
#include <unistd.h>

#define WORKER_SOCKET 3
#define SAMPLES       2

/* As worker.c has it. */
struct answer {
    uint32_t kind;
    double seconds;
};
#define ANSWER_ALIVE 0x51420001u
#define ANSWER_DONE  0x51420002u

/* An answer that is true but for what the caller changes. */
static struct outcome make_outcome(const struct qb_plugin_call *call)
{
    struct outcome outcome;

    memset(&outcome, 0, sizeof outcome);
    outcome.checked.verification = VERIFIED;
    outcome.checked.mismatch.compared = outcome.checked.quality.finite = call->problem->tokens * call->problem->hidden;
    outcome.checked.quality.snr = 40;
    outcome.checked.quality.largest_error = 0.01;
    outcome.launches_per_sample = 1;
    outcome.samples = outcome.round.samples = SAMPLES;
    outcome.round.conditions.performance_state = -1;
    return outcome;
}

static void forge(struct outcome *outcome, double time)
{
    const struct answer done = {.kind = ANSWER_DONE};
    const double samples[SAMPLES] = {time, time};

    outcome->round.median = time;
    (void)!write(WORKER_SOCKET, &done, sizeof done);
    (void)!write(WORKER_SOCKET, outcome, sizeof *outcome);
    (void)!write(WORKER_SOCKET, samples, sizeof samples);
    for (;;) {
        pause();
    }
}

/* True once the kernel has been proved. */
static bool is_late(void)
{
    static int calls;

    return ++calls > 400;
}

/* Answer with samples of TIME. */
static const char *forge_time(const struct qb_plugin_call *call, double time)
{
    rows_quantize(call);
    if (is_late()) {
        struct outcome outcome = make_outcome(call);

        forge(&outcome, time);
    }
    return NULL;
}

static const char *run_nan(const struct qb_plugin_call *call)
{
    return forge_time(call, NAN);
}

static const char *run_negative(const struct qb_plugin_call *call)
{
    return forge_time(call, -5);
}

static const char *run_long(const struct qb_plugin_call *call)
{
    return forge_time(call, 1e15);
}

static const char *run_text(const struct qb_plugin_call *call)
{
    rows_quantize(call);
    if (is_late()) {
        struct outcome outcome = make_outcome(call);

        memset(outcome.checked.mismatch.first, 'x', sizeof outcome.checked.mismatch.first);
        forge(&outcome, 5);
    }
    return NULL;
}

static const char *run_count(const struct qb_plugin_call *call)
{
    rows_quantize(call);
    if (is_late()) {
        struct outcome outcome = make_outcome(call);

        outcome.floors = UINT64_MAX / 16;
        forge(&outcome, 5);
    }
    return NULL;
}

/* Says that the measurement takes SECONDS, and lets it. */
static const char *forge_alive(const struct qb_plugin_call *call, double seconds)
{
    const struct answer alive = {.kind = ANSWER_ALIVE, .seconds = seconds};

    rows_quantize(call);
    if (is_late()) {
        (void)!write(WORKER_SOCKET, &alive, sizeof alive);
        for (;;) {
            pause();
        }
    }
    return NULL;
}

static const char *run_alive(const struct qb_plugin_call *call)
{
    return forge_alive(call, INFINITY);
}

static const char *run_hours(const struct qb_plugin_call *call)
{
    return forge_alive(call, 2 * 3600);
}

static const char *run_garbage(const struct qb_plugin_call *call)
{
    char garbage[4096];

    rows_quantize(call);
    memset(garbage, 0xEE, sizeof garbage);
    (void)!write(WORKER_SOCKET, garbage, sizeof garbage);
    return NULL;
}

#define KERNEL(name_)                                                                                                  \
    {                                                                                                                  \
        .name = "forger_" #name_, .description = "forges its result", .backend = "cpu", .supports = rows_supports,     \
        .run = run_##name_                                                                                             \
    }
static const struct qb_plugin_kernel kernels[] = {
    KERNEL(nan),   KERNEL(negative), KERNEL(long),  KERNEL(text),
    KERNEL(count), KERNEL(alive),    KERNEL(hours), KERNEL(garbage),
};
QB_PLUGIN(kernels);
