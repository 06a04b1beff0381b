/* SPDX-License-Identifier: Apache-2.0 */
/* experts.c - experts on the CPU. Experts that are worth few threads each are shared out to all of them; others come
 * one after the other, and each is shared out. */
#include <config.h>

#include "experts.h"
#include "expert.h"
#include "narrow.h"
#include "operations.h"
#include "threads.h"

struct job {
    const struct qb__cpu_ops *ops;
    struct qb__cpu_plan plan; /* of one expert */
    const struct qb_problem *p;
    const struct qb_tensors *tensors;
    struct qb__layout layout;
    unsigned threads; /* that experts are shared out to */
    char *workspace;
    size_t room;   /* bytes of it for each of these */
    uint64_t next; /* expert that no thread has taken */
};

/* Bytes that are read and written, as far as that decides on threads. */
static uint64_t bytes_of(const struct qb_problem *p)
{
    const uint64_t rows = p->expert_tokens > 0 ? p->expert_tokens : p->tokens;

    return rows * (qb__input_cols(p) * qb__element_size(p->input) + p->hidden * (p->scaling != QB_SCALING_AMAX));
}

/* True if all values of an expert are kept before they are quantized. */
static bool keeps_values(const struct qb_problem *p)
{
    return p->operation != QB_OPERATION_QUANTIZE &&
           (p->tensor_scale == QB_TENSOR_SCALE_COMPUTED ||
            (p->granularity == QB_GRANULARITY_TENSOR && p->scaling != QB_SCALING_STATIC));
}

static struct job job_of(const struct qb__cpu_plan *plan, const struct qb_problem *p)
{
    struct job job = {.plan = *plan, .p = p, .layout = qb__layout_of(p), .threads = 1};
    const struct qb_problem largest = qb__expert_problem(p, &job.layout, qb__expert_room(p));
    const unsigned all = qb__cpu_threads_worth(plan, bytes_of(p));
    const unsigned each = qb__cpu_threads_worth(plan, bytes_of(p) / p->experts);

    if (each < all && !keeps_values(p)) {
        job.threads = all;
        job.plan.threads = 1;
    }
    job.plan.is_part = true;
    if (p->operation != QB_OPERATION_QUANTIZE) {
        job.room = (qb__cpu_operation_workspace(&job.plan, &largest) + 63) / 64 * 64;
    }
    return job;
}

static void run_expert(const struct job *job, const struct qb__expert *x, void *workspace)
{
    const struct qb_problem part = qb__expert_problem(job->p, &job->layout, x->rows);
    const struct qb_tensors tensors = qb__expert_tensors(job->p, x, job->tensors);

    if (part.scaling != QB_SCALING_STATIC) {
        qb__expert_clear(job->p, &job->layout, x, tensors.at[QB_ROLE_SCALES]);
    }
    if (part.operation != QB_OPERATION_QUANTIZE) {
        qb__cpu_operation(job->ops, &job->plan, &part, &tensors, workspace);
    } else if (qb__is_plain(&part)) {
        qb__cpu_quantize(job->ops, &job->plan, &part, &tensors);
    } else {
        qb__cpu_narrow(job->ops, &job->plan, &part, &tensors);
    }
}

static void experts_work(void *context, unsigned index, unsigned count)
{
    struct job *job = context;
    struct qb__expert x = {0};
    uint64_t taken;

    (void)count;
    while ((taken = __atomic_fetch_add(&job->next, 1, __ATOMIC_RELAXED)) < job->p->experts) {
        for (; x.index < taken; x.index++) {
            qb__expert_take(job->p, &job->layout, job->tensors->at[QB_ROLE_EXPERTS], &x);
        }
        qb__expert_take(job->p, &job->layout, job->tensors->at[QB_ROLE_EXPERTS], &x);
        run_expert(job, &x, job->workspace + index * job->room);
        x.index++;
    }
}

size_t qb__cpu_experts_workspace(const struct qb__cpu_plan *plan, const struct qb_problem *problem)
{
    const struct job job = job_of(plan, problem);

    return job.threads * job.room;
}

void qb__cpu_experts(const struct qb__cpu_ops *ops, const struct qb__cpu_plan *plan, const struct qb_problem *problem,
                     const struct qb_tensors *tensors, void *workspace)
{
    struct job job = job_of(plan, problem);

    job.ops = ops;
    job.tensors = tensors;
    job.workspace = workspace;
    if (job.threads > 1) {
        qb__cpu_parallel(job.threads, experts_work, &job);
    } else {
        experts_work(&job, 0, 1);
    }
}

static void no_work(void *context, unsigned index, unsigned count)
{
    (void)context, (void)index, (void)count;
}

void qb__cpu_experts_floor(const struct qb__cpu_plan *plan, const struct qb_problem *problem)
{
    qb__cpu_parallel(qb__cpu_threads_worth(plan, bytes_of(problem)), no_work, NULL);
}
