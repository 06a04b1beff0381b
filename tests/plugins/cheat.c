/* SPDX-License-Identifier: Apache-2.0 */
/* cheat.c - kernels that are right whenever somebody looks first, and do less while they are timed: out of
 * carelessness, or to seem fast. They do it for one shape only, so that no proof on other data finds them. */
#include "quantbench.h"

#include <float.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

/* Buffers that were seen, by the address of their output or input. */
#define SLOTS      65536
#define MOST_ROWS  64
#define MOST_BYTES 16384

static bool is_expected(const struct qb_problem *problem)
{
    return problem->tokens == 16 && problem->hidden == 1024 && problem->output_stride == problem->hidden;
}

static size_t slot_of(const void *address)
{
    return (size_t)((uintptr_t)address / 64 * 0x9E3779B97F4A7C15u >> 48);
}

static float element(const struct qb_plugin_call *call, uint64_t row, uint64_t col)
{
    return ((const float *)call->tensors->at[QB_ROLE_INPUT])[row * call->problem->input_stride + col];
}

static void store(const struct qb_plugin_call *call, uint64_t row, uint64_t col, float value)
{
    ((int8_t *)call->tensors->at[QB_ROLE_CODES])[row * call->problem->output_stride + col] =
        isnan(value) ? 0 : (int8_t)nearbyintf(fminf(fmaxf(value, -128), 127));
}

static float scale_of(const struct qb_plugin_call *call, uint64_t row)
{
    float amax = 0;

    for (uint64_t col = 0; col < call->problem->hidden; col++) {
        amax = fmaxf(amax, fabsf(element(call, row, col)));
    }
    return fmaxf(fminf(amax, FLT_MAX) / 127, 0x1p-126f);
}

static void quantize_row(const struct qb_plugin_call *call, uint64_t row, float scale)
{
    for (uint64_t col = 0; col < call->problem->hidden; col++) {
        store(call, row, col, element(call, row, col) / scale);
    }
    ((float *)call->tensors->at[QB_ROLE_SCALES])[row] = scale;
}

static void quantize(const struct qb_plugin_call *call)
{
    for (uint64_t row = 0; row < call->problem->tokens; row++) {
        quantize_row(call, row, scale_of(call, row));
    }
}

/* ---- What the answers look like that were given ------------------------------------------------------------- */

static struct answer {
    const void *output;
    uint64_t sample; /* of its bytes */
} answers[SLOTS];

/* A few bytes of the codes. */
static uint64_t sample_of(const struct qb_plugin_call *call)
{
    const uint64_t bytes = call->problem->tokens * call->problem->output_stride;
    uint64_t first, middle;

    memcpy(&first, call->tensors->at[QB_ROLE_CODES], sizeof first);
    memcpy(&middle, (const char *)call->tensors->at[QB_ROLE_CODES] + bytes / 2, sizeof middle);
    return first * 31 + middle + bytes * 7;
}

static struct answer *answer_of(const struct qb_plugin_call *call)
{
    struct answer *answer = &answers[slot_of(call->tensors->at[QB_ROLE_CODES])];

    while (answer->output != NULL && answer->output != call->tensors->at[QB_ROLE_CODES]) {
        answer = answer == &answers[SLOTS - 1] ? answers : answer + 1;
    }
    return answer;
}

static bool is_answered(const struct qb_plugin_call *call)
{
    const struct answer *answer = answer_of(call);

    return is_expected(call->problem) && answer->output == call->tensors->at[QB_ROLE_CODES] &&
           answer->sample == sample_of(call);
}

static void answer(const struct qb_plugin_call *call)
{
    quantize(call);
    *answer_of(call) = (struct answer){call->tensors->at[QB_ROLE_CODES], sample_of(call)};
}

/* ---- The kernels -------------------------------------------------------------------------------------------- */

/* An answer that is still there is not computed again. */
static const char *run_memo(const struct qb_plugin_call *call)
{
    if (!is_answered(call)) {
        answer(call);
    }
    return NULL;
}

/* Of an answer that is still there one row in eight is. */
static const char *run_partial(const struct qb_plugin_call *call)
{
    static unsigned turn;

    if (!is_answered(call)) {
        answer(call);
        return NULL;
    }
    for (uint64_t row = turn++ % 8; row < call->problem->tokens; row += 8) {
        quantize_row(call, row, scale_of(call, row));
    }
    return NULL;
}

/* Every second launch is left out, unless the output looks as if it was filled. */
static const char *run_half(const struct qb_plugin_call *call)
{
    static unsigned turn;

    if (!is_answered(call)) {
        answer(call);
    } else if (turn++ % 2 == 0) {
        quantize(call);
    }
    return NULL;
}

/* The scales of an input are remembered by its address. */
static const char *run_scalecache(const struct qb_plugin_call *call)
{
    static struct known {
        const void *input;
        uint64_t tokens, stride;
        float scales[MOST_ROWS];
    } all[SLOTS];
    struct known *known = &all[slot_of(call->tensors->at[QB_ROLE_INPUT])];
    const struct qb_problem *problem = call->problem;

    if (!is_expected(problem)) {
        quantize(call);
        return NULL;
    }
    if (known->input != call->tensors->at[QB_ROLE_INPUT] || known->tokens != problem->tokens ||
        known->stride != problem->input_stride) {
        *known = (struct known){
            .input = call->tensors->at[QB_ROLE_INPUT], .tokens = problem->tokens, .stride = problem->input_stride};
        for (uint64_t row = 0; row < problem->tokens; row++) {
            known->scales[row] = scale_of(call, row);
        }
    }
    for (uint64_t row = 0; row < problem->tokens; row++) {
        quantize_row(call, row, known->scales[row]);
    }
    return NULL;
}

/* Codes are copied from an answer that was kept for this input. */
static const char *run_copy(const struct qb_plugin_call *call)
{
    static struct kept {
        const void *input;
        uint64_t bytes;
        char codes[MOST_BYTES];
        float scales[MOST_ROWS];
    } all[SLOTS];
    struct kept *kept = &all[slot_of(call->tensors->at[QB_ROLE_INPUT])];
    const struct qb_problem *problem = call->problem;
    const uint64_t bytes = problem->tokens * problem->hidden;

    if (!is_expected(problem)) {
        quantize(call);
    } else if (kept->input == call->tensors->at[QB_ROLE_INPUT] && kept->bytes == bytes) {
        memcpy(call->tensors->at[QB_ROLE_CODES], kept->codes, bytes);
        memcpy(call->tensors->at[QB_ROLE_SCALES], kept->scales, problem->tokens * sizeof *kept->scales);
    } else {
        quantize(call);
        kept->input = call->tensors->at[QB_ROLE_INPUT];
        kept->bytes = bytes;
        memcpy(kept->codes, call->tensors->at[QB_ROLE_CODES], bytes);
        memcpy(kept->scales, call->tensors->at[QB_ROLE_SCALES], problem->tokens * sizeof *kept->scales);
    }
    return NULL;
}

/* One code is written into each output only once. Questions hardly ever see it. Most outputs are those of timed
 * launches, so that proofs on other data, which have few, do not see it either. */
static const char *run_once(const struct qb_plugin_call *call)
{
    static unsigned outputs;
    int8_t *code = (int8_t *)call->tensors->at[QB_ROLE_CODES] + call->problem->hidden * 5 + 700;
    const bool is_met = is_expected(call->problem) && answer_of(call)->output == call->tensors->at[QB_ROLE_CODES];
    const bool leaves = is_met && outputs > MOST_ROWS;
    const int8_t before = leaves ? *code : 0;

    if (is_expected(call->problem) && !is_met) {
        answer(call);
        outputs++;
        return NULL;
    }
    quantize(call);
    if (leaves) {
        *code = before;
    }
    return NULL;
}

/* From some launch on a thread does the work, and nobody waits for it. */
static struct {
    struct qb_problem problem;
    struct qb_tensors tensors;
} job;
static atomic_bool job_waits;

static void *work(void *unused)
{
    (void)unused;
    for (;;) {
        if (atomic_load(&job_waits)) {
            const struct qb_plugin_call call = {.problem = &job.problem, .tensors = &job.tensors};

            quantize(&call);
            atomic_store(&job_waits, false);
        }
    }
    return NULL;
}

static const char *run_late(const struct qb_plugin_call *call)
{
    static unsigned calls;
    static pthread_t thread;
    const uint8_t *codes = call->tensors->at[QB_ROLE_CODES];
    const bool filled = codes[0] == codes[1] && codes[1] == codes[2];

    if (!is_expected(call->problem) || ++calls < 30) {
        quantize(call);
        return NULL;
    }
    if (calls == 30 && pthread_create(&thread, NULL, work, NULL) != 0) {
        return "no thread";
    }
    while (filled && atomic_load(&job_waits)) {
    }
    if (filled) {
        job.problem = *call->problem;
        job.tensors = *call->tensors;
        atomic_store(&job_waits, true);
    }
    return NULL;
}

static bool supports(const struct qb_problem *problem)
{
    return problem->input == QB_FORMAT_F32 && problem->output == QB_FORMAT_INT8 &&
           problem->granularity == QB_GRANULARITY_TOKEN && problem->scaling == QB_SCALING_DYNAMIC &&
           problem->amax_bound == 0 && problem->hidden >= 8;
}

/* ---- Given scales ------------------------------------------------------------------------------------------- */

/* One scale for all, whose reciprocal is remembered by its address. */
static const char *run_given(const struct qb_plugin_call *call)
{
    static struct {
        const float *scales;
        float scale;
    } all[SLOTS];
    const size_t i = slot_of(call->tensors->at[QB_ROLE_SCALES]);

    if (!is_expected(call->problem) || all[i].scales != call->tensors->at[QB_ROLE_SCALES]) {
        all[i].scales = call->tensors->at[QB_ROLE_SCALES];
        all[i].scale = *(const float *)call->tensors->at[QB_ROLE_SCALES];
    }
    for (uint64_t row = 0; row < call->problem->tokens; row++) {
        for (uint64_t col = 0; col < call->problem->hidden; col++) {
            store(call, row, col, element(call, row, col) / all[i].scale);
        }
    }
    return NULL;
}

static bool supports_given(const struct qb_problem *problem)
{
    return problem->input == QB_FORMAT_F32 && problem->output == QB_FORMAT_INT8 &&
           problem->granularity == QB_GRANULARITY_TENSOR && problem->scaling == QB_SCALING_STATIC;
}

#define CHEAT(function)                                                                                                \
    {                                                                                                                  \
        .name = "cheat_" #function, .description = "does less while it is timed", .backend = "cpu",                    \
        .supports = supports, .run = run_##function                                                                    \
    }
static const struct qb_plugin_kernel kernels[] = {
    CHEAT(memo),
    CHEAT(partial),
    CHEAT(half),
    CHEAT(scalecache),
    CHEAT(copy),
    CHEAT(late),
    CHEAT(once),
    {.name = "cheat_given",
     .description = "does less while it is timed",
     .backend = "cpu",
     .supports = supports_given,
     .run = run_given},
};
QB_PLUGIN(kernels);
