/* SPDX-License-Identifier: Apache-2.0 */
/* kv_write.c - keys and values into the pages of a cache, written once for all instruction sets. Each token is a few
 * runs of codes that lie side by side in the cache, and is the work of one thread. */
#include <config.h>

#include "kv_write.h"
#include "threads.h"

/* Shorter runs are not worth non-temporal stores: lines would be written in parts. */
#define STREAM_LEAST 256

struct job {
    const struct qb__cpu_ops *ops;
    const struct qb__cpu_input *in;
    const struct qb__cpu_pair *pair;
    const struct qb_problem *p;
    const char *input;
    const int64_t *slots;
    uint8_t *codes;
    float *scales;                /* of all slots, where they are computed */
    struct qb__divisor *divisors; /* of all scales, where they are given; else NULL */
    struct qb__rule rule;
    struct qb__access access;
    size_t element; /* bytes of an input element */
    uint64_t run;   /* codes of a token that lie side by side */
    uint64_t tile;  /* columns that share a scale */
};

/* A token's part of the input, and where it goes. */
struct token {
    const char *x;
    uint64_t slot;
};

static const char *input_at(const struct job *job, const struct token *token, uint64_t col)
{
    return token->x + col * job->element;
}

static uint8_t *code_at(const struct job *job, const struct token *token, uint64_t col)
{
    return job->codes + qb__cache_code(job->p, token->slot, col);
}

/* Columns COL to COL + COUNT - 1, which share a scale, in as many runs as they are. */
static void encode(const struct job *job, const struct token *token, uint64_t col, uint64_t count,
                   const struct qb__divisor *divisor)
{
    const uint64_t step = count < job->run ? count : job->run;

    for (uint64_t end = col + count; col < end; col += step) {
        job->pair->encode(code_at(job, token, col), input_at(job, token, col), step, divisor, &job->access);
    }
}

/* By scales that are given. */
static void write_given(const struct job *job, const struct token *token)
{
    for (uint64_t col = 0; col < job->p->hidden; col += job->tile) {
        encode(job, token, col, job->tile, &job->divisors[col / job->tile]);
    }
}

/* By a scale of all keys and one of all values, each computed from several runs. */
static void write_wide(const struct job *job, const struct token *token)
{
    for (uint64_t col = 0; col < job->p->hidden; col += job->tile) {
        float *scale = job->scales + qb__cache_scale(job->p, token->slot, col / job->tile);
        struct qb__divisor divisor;
        bool clean;

        *scale = qb__scale_make(job->in->amax(input_at(job, token, col), job->tile), &job->rule, &clean);
        job->ops->prepare(&divisor, *scale, &job->rule, clean, job->tile);
        encode(job, token, col, job->tile, &divisor);
    }
}

/* By scales that are computed from parts of a run. */
static void write_groups(const struct job *job, const struct token *token)
{
    for (uint64_t col = 0; col < job->p->hidden; col += job->run) {
        const struct qb__groups groups = {
            .x = input_at(job, token, col),
            .count = job->run / job->tile,
            .size = job->tile,
            .scales = job->scales + qb__cache_scale(job->p, token->slot, col / job->tile),
            .out = code_at(job, token, col),
        };

        job->pair->encode_groups(&groups, &job->rule, &job->access);
    }
}

static void tokens_work(void *context, unsigned index, unsigned count)
{
    const struct job *job = context;
    uint64_t begin, end;

    for (qb__cpu_split(job->p->tokens, 1, index, count, &begin, &end); begin < end; begin++) {
        const struct token token = {job->input + begin * job->p->input_stride * job->element,
                                    (uint64_t)job->slots[begin]};

        if (job->slots[begin] < 0) {
            continue;
        }
        if (job->divisors != NULL) {
            write_given(job, &token);
        } else if (job->tile > job->run) {
            write_wide(job, &token);
        } else {
            write_groups(job, &token);
        }
    }
    if (job->access.stream) {
        job->ops->fence();
    }
}

/* Bytes that are read and written. */
static uint64_t bytes_of(const struct qb_problem *p)
{
    return p->tokens * p->hidden * (qb__element_size(p->input) + 1);
}

size_t qb__cpu_kv_write_workspace(const struct qb_problem *problem)
{
    return problem->scaling == QB_SCALING_STATIC
               ? problem->hidden / qb__kv_tile_cols(problem) * sizeof(struct qb__divisor)
               : 0;
}

void qb__cpu_kv_write(const struct qb__cpu_ops *ops, const struct qb__cpu_plan *plan, const struct qb_problem *problem,
                      const struct qb_tensors *tensors, void *workspace)
{
    const struct qb_problem *p = problem;
    struct job job = {
        .ops = ops,
        .in = &ops->inputs[p->input],
        .pair = &ops->pairs[p->input][p->output],
        .p = p,
        .input = tensors->at[QB_ROLE_INPUT],
        .slots = tensors->at[QB_ROLE_SLOTS],
        .codes = tensors->at[QB_ROLE_CODES],
        .scales = tensors->at[QB_ROLE_SCALES],
        .rule = qb__rule_make(p),
        .element = qb__element_size(p->input),
        .run = p->page_layout == QB_PAGE_LAYOUT_NHD ? p->hidden / 2 : p->head_size,
        .tile = qb__kv_tile_cols(p),
    };

    job.access.stream = job.run >= STREAM_LEAST && qb__cpu_streams(plan, bytes_of(p));
    if (p->scaling == QB_SCALING_STATIC) {
        job.divisors = workspace;
        for (uint64_t i = 0; i < p->hidden / job.tile; i++) {
            ops->prepare(&job.divisors[i], job.scales[i], &job.rule, false, p->tokens * job.tile);
        }
    }
    qb__cpu_parallel(qb__cpu_threads_worth(plan, bytes_of(p)), tokens_work, &job);
}

static void no_work(void *context, unsigned index, unsigned count)
{
    (void)context, (void)index, (void)count;
}

void qb__cpu_kv_write_floor(const struct qb__cpu_plan *plan, const struct qb_problem *problem)
{
    qb__cpu_parallel(qb__cpu_threads_worth(plan, bytes_of(problem)), no_work, NULL);
}
