/* SPDX-License-Identifier: Apache-2.0 */
/* wrong.c - a plug-in whose kernels misbehave in the ways that their names say; "wrong_none" does not. They quantize
 * float to INT8 with one scale per token, by the contract. */
#define _GNU_SOURCE /* sched_getaffinity() */
#include "quantbench.h"

#include <float.h>
#include <math.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static int8_t to_int8(float v)
{
    return isnan(v) ? 0 : (int8_t)nearbyintf(fminf(fmaxf(v, -128), 127));
}

/* The row of COLS elements at X; COLS - CODES of its codes are left out. */
static void quantize_row(const float *x, int8_t *q, float *scale, uint64_t cols, uint64_t codes)
{
    float amax = 0, s;

    for (uint64_t i = 0; i < cols; i++) {
        amax = fmaxf(amax, fabsf(x[i]));
    }
    s = fmaxf(fminf(amax, FLT_MAX) / 127, 0x1p-126f);
    for (uint64_t i = 0; i < codes; i++) {
        q[i] = to_int8(x[i] / s);
    }
    *scale = s;
}

static const float *input_row(const struct qb_plugin_call *call, uint64_t row)
{
    return (const float *)call->tensors->at[QB_ROLE_INPUT] + row * call->problem->input_stride;
}

static float *scales_of(const struct qb_plugin_call *call)
{
    return call->tensors->at[QB_ROLE_SCALES];
}

static int8_t *output_row(const struct qb_plugin_call *call, uint64_t row)
{
    return (int8_t *)call->tensors->at[QB_ROLE_CODES] + row * call->problem->output_stride;
}

static void quantize(const struct qb_plugin_call *call)
{
    const struct qb_problem *p = call->problem;

    for (uint64_t row = 0; row < p->tokens; row++) {
        if (p->scaling == QB_SCALING_STATIC) {
            for (uint64_t i = 0; i < p->hidden; i++) {
                output_row(call, row)[i] = to_int8(input_row(call, row)[i] / scales_of(call)[row]);
            }
        } else {
            quantize_row(input_row(call, row), output_row(call, row), &scales_of(call)[row], p->hidden, p->hidden);
        }
    }
}

static bool supports(const struct qb_problem *p)
{
    return p->input == QB_FORMAT_F32 && p->output == QB_FORMAT_INT8 && p->granularity == QB_GRANULARITY_TOKEN &&
           p->scaling == QB_SCALING_DYNAMIC && p->amax_bound == 0;
}

static bool supports_static(const struct qb_problem *p)
{
    return p->input == QB_FORMAT_F32 && p->output == QB_FORMAT_INT8 && p->granularity == QB_GRANULARITY_TOKEN &&
           p->scaling == QB_SCALING_STATIC;
}

/* Read through a volatile, so that the compiler makes nothing of a null pointer. */
static int *volatile nowhere;

static bool supports_crashing(const struct qb_problem *p)
{
    (void)p;
    return *nowhere == 0;
}

static size_t workspace(const struct qb_problem *p)
{
    return p->tokens * sizeof(float);
}

static const char *run_none(const struct qb_plugin_call *call)
{
    quantize(call);
    return NULL;
}

/* Uses its workspace, all of it. */
static const char *run_workspace(const struct qb_plugin_call *call)
{
    float *scales = call->workspace;

    quantize(call);
    for (uint64_t row = 0; row < call->problem->tokens; row++) {
        scales[row] = scales_of(call)[row];
    }
    return (uintptr_t)call->workspace % 256 == 0 ? NULL : "the workspace is not aligned";
}

static unsigned times_asked;

/* Once in two times it is another number. */
static size_t workspace_in_turns(const struct qb_problem *p)
{
    return times_asked++ % 2 == 0 ? 0 : workspace(p);
}

/* The last answer holds. */
static const char *run_turns(const struct qb_plugin_call *call)
{
    quantize(call);
    return (call->workspace != NULL) == (times_asked % 2 == 0) ? NULL : "the workspace is not what it asked for";
}

static const char *run_result(const struct qb_plugin_call *call)
{
    quantize(call);
    output_row(call, 0)[1] ^= 1;
    return NULL;
}

static const char *run_scale(const struct qb_plugin_call *call)
{
    quantize(call);
    scales_of(call)[0] *= 2;
    return NULL;
}

static const char *run_fails(const struct qb_plugin_call *call)
{
    (void)call;
    return "no luck today";
}

static const char *run_crash(const struct qb_plugin_call *call)
{
    (void)call;
    *nowhere = 1;
    return NULL;
}

/* True if everything has been looked at. */
static bool is_late(void)
{
    static int calls;

    return ++calls > 400;
}

static const char *run_crash_later(const struct qb_plugin_call *call)
{
    if (is_late()) {
        *nowhere = 1;
    }
    return run_none(call);
}

static const char *run_exit(const struct qb_plugin_call *call)
{
    (void)call;
    _exit(0);
}

static const char *run_hang(const struct qb_plugin_call *call)
{
    (void)call;
    for (;;) {
        pause();
    }
    return NULL;
}

/* Nothing is wrong with it but that it takes 2 % longer: every fiftieth row is quantized twice. */
static const char *run_slow(const struct qb_plugin_call *call)
{
    run_none(call);
    for (uint64_t row = 0; row < call->problem->tokens; row += 50) {
        quantize_row(input_row(call, row), output_row(call, row), &scales_of(call)[row], call->problem->hidden,
                     call->problem->hidden);
    }
    return NULL;
}

/* It would start threads of its own, which may run where this one may. */
static const char *run_threads(const struct qb_plugin_call *call)
{
    cpu_set_t set;

    return sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) == 1 ? "one CPU for all its threads"
                                                                               : run_none(call);
}

/* Its pages are new each time, so that the system is at work in every run. */
static const char *run_faults(const struct qb_plugin_call *call)
{
    char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (page == MAP_FAILED) {
        return "no page";
    }
    page[0] = 1;
    munmap(page, 4096);
    return run_none(call);
}

/* One that leaves the process in a state in which another one crashes. */
static bool is_ruined;

static const char *run_ruins(const struct qb_plugin_call *call)
{
    is_ruined = is_ruined || is_late();
    return run_none(call);
}

static const char *run_ruined(const struct qb_plugin_call *call)
{
    return is_ruined ? run_crash(call) : run_none(call);
}

static const char *run_hang_later(const struct qb_plugin_call *call)
{
    return is_late() ? run_hang(call) : run_none(call);
}

static const char *run_result_later(const struct qb_plugin_call *call)
{
    run_none(call);
    output_row(call, 0)[0] ^= is_late();
    return NULL;
}

/* Once, in one of the first samples of many: as if a user ended the program that waits for this process. */
static const char *run_ends_parent(const struct qb_plugin_call *call)
{
    static int calls;

    if (++calls == 20000) {
        kill(getppid(), SIGTERM);
    }
    return run_none(call);
}

static const char *run_before(const struct qb_plugin_call *call)
{
    quantize(call);
    output_row(call, 0)[-3] = 1;
    return NULL;
}

static const char *run_behind(const struct qb_plugin_call *call)
{
    quantize(call);
    output_row(call, call->problem->tokens - 1)[call->problem->hidden + 4] = 1;
    return NULL;
}

static const char *run_behind_scales(const struct qb_plugin_call *call)
{
    quantize(call);
    scales_of(call)[call->problem->tokens] = 1;
    return NULL;
}

/* As a kernel does that writes whole vectors. */
static const char *run_gap(const struct qb_plugin_call *call)
{
    quantize(call);
    for (uint64_t row = 0; row + 1 < call->problem->tokens; row++) {
        if (call->problem->output_stride > call->problem->hidden) {
            output_row(call, row)[call->problem->hidden] = 0;
        }
    }
    return NULL;
}

static const char *run_reads(const struct qb_plugin_call *call)
{
    const struct qb_problem *p = call->problem;

    for (uint64_t row = 0; row < p->tokens; row++) {
        /* One element more than the row has, in its scale. */
        uint64_t cols = p->hidden + (row + 1 == p->tokens);

        quantize_row(input_row(call, row), output_row(call, row), &scales_of(call)[row], cols, p->hidden);
    }
    return NULL;
}

static const char *run_unwritten(const struct qb_plugin_call *call)
{
    const struct qb_problem *p = call->problem;

    for (uint64_t row = 0; row < p->tokens; row++) {
        quantize_row(input_row(call, row), output_row(call, row), &scales_of(call)[row], p->hidden,
                     p->hidden - (row == 1));
    }
    return NULL;
}

static const char *run_unwritten_scales(const struct qb_plugin_call *call)
{
    const struct qb_problem *p = call->problem;
    float unused;

    for (uint64_t row = 0; row < p->tokens; row++) {
        quantize_row(input_row(call, row), output_row(call, row), row == 1 ? &unused : &scales_of(call)[row], p->hidden,
                     p->hidden);
    }
    return NULL;
}

static const char *run_input(const struct qb_plugin_call *call)
{
    quantize(call);
    ((float *)input_row(call, 0))[2] += 1;
    return NULL;
}

static const char *run_given(const struct qb_plugin_call *call)
{
    quantize(call);
    scales_of(call)[0] += 1;
    return NULL;
}

static const char *run_random(const struct qb_plugin_call *call)
{
    static int calls;

    quantize(call);
    output_row(call, 0)[0] ^= ++calls % 4 == 0;
    return NULL;
}

/* Its scale is the largest of this run and of the one before, as with an atomic maximum that nobody resets. */
static const char *run_before_it(const struct qb_plugin_call *call)
{
    float before = fabsf(scales_of(call)[0]);

    quantize(call);
    scales_of(call)[0] = fmaxf(before, scales_of(call)[0]);
    return NULL;
}

static const char *run_allocates(const struct qb_plugin_call *call)
{
    float *volatile memory = malloc(call->problem->tokens * sizeof *memory);

    quantize(call);
    free(memory);
    return NULL;
}

#ifdef WRONG_CONSTRUCTOR
__attribute__((constructor)) static void construct(void)
{
    *nowhere = 1;
}
#endif

#define KERNEL(name_, supports_)                                                                                       \
    {                                                                                                                  \
        .name = "wrong_" #name_, .description = "misbehaves", .backend = "cpu", .supports = supports_,                 \
        .run = run_##name_                                                                                             \
    }

static const struct qb_plugin_kernel kernels[] = {
    KERNEL(none, supports),
    {.name = "wrong_workspace",
     .description = "uses its workspace",
     .backend = "cpu",
     .supports = supports,
     .workspace = workspace,
     .run = run_workspace,
     .alignment = 64},
    {.name = "wrong_turns",
     .description = "asks for a workspace every other time",
     .backend = "cpu",
     .supports = supports,
     .workspace = workspace_in_turns,
     .run = run_turns},
    KERNEL(result, supports),
    KERNEL(scale, supports),
    KERNEL(fails, supports),
    KERNEL(crash, supports),
    KERNEL(crash_later, supports),
    KERNEL(exit, supports),
    KERNEL(hang, supports),
    KERNEL(hang_later, supports),
    KERNEL(result_later, supports),
    KERNEL(slow, supports),
    KERNEL(threads, supports),
    KERNEL(ends_parent, supports),
    KERNEL(faults, supports),
    KERNEL(ruins, supports),
    KERNEL(ruined, supports),
    KERNEL(before, supports),
    KERNEL(behind, supports),
    KERNEL(behind_scales, supports),
    KERNEL(gap, supports),
    KERNEL(reads, supports),
    KERNEL(unwritten, supports),
    KERNEL(unwritten_scales, supports),
    KERNEL(input, supports),
    KERNEL(given, supports_static),
    KERNEL(random, supports),
    KERNEL(before_it, supports),
    KERNEL(allocates, supports),
    {.name = "wrong_supports",
     .description = "crashes when it is asked",
     .backend = "cpu",
     .supports = supports_crashing,
     .run = run_none},
};

/* What the table itself has wrong is chosen by the compiler's options. */
#ifndef WRONG_PLUGIN
#define WRONG_PLUGIN QB_PLUGIN(kernels)
#endif
WRONG_PLUGIN;
