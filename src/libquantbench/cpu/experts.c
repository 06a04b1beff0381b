/* SPDX-License-Identifier: Apache-2.0 */
/* experts.c - experts on the CPU, shared out by the rows that their table gives them. Where rows do not depend on each
 * other, each thread has as many of all rows as the others, wherever experts begin and end. Else an expert is the work
 * of one thread, or of all of them if it is worth that, or has more than a thread's share. */
#include <config.h>

#include "experts.h"
#include "narrow.h"
#include "operations.h"

/* Rows are shared out if each thread has at least this many. */
#define LEAST_ROWS 4

struct job {
    const struct qb__cpu_ops *ops;
    struct qb__cpu_plan plan; /* of an expert that one thread works on */
    struct qb__cpu_plan all;  /* of one that all work on */
    const struct qb_problem *p;
    const struct qb_tensors *tensors;
    const int64_t *table;
    struct qb__layout layout;
    uint64_t height;   /* rows of a tile of scales that are together in memory; 1: none are */
    uint64_t row;      /* bytes that are read and written for a row, as far as that decides on threads */
    uint64_t rows;     /* of all experts */
    unsigned most;     /* threads at most, whatever the table says */
    unsigned threads;  /* that are worth their start */
    bool is_apart;     /* no scale depends on more than one row */
    bool keeps_values; /* all values of an expert are kept before they are quantized */
    char *workspace;
    size_t room;   /* bytes of it for each thread */
    uint64_t next; /* expert that no thread has taken */
};

/* Bytes of a row that are read and written, as far as that decides on threads. */
static uint64_t row_bytes(const struct qb_problem *p)
{
    return qb__input_cols(p) * qb__element_size(p->input) + p->hidden * (p->scaling != QB_SCALING_AMAX);
}

/* What is known without the table. */
static struct job job_of(const struct qb__cpu_plan *plan, const struct qb_problem *p)
{
    struct job job = {.plan = *plan, .all = *plan, .p = p, .layout = qb__layout_of(p), .row = row_bytes(p)};
    const struct qb_problem largest = qb__expert_problem(p, &job.layout, qb__expert_room(p));

    job.height = qb__layout_height(job.layout.layout);
    job.height = job.height > 0 ? job.height : 1;
    job.is_apart = p->tensor_scale != QB_TENSOR_SCALE_COMPUTED &&
                   (p->granularity != QB_GRANULARITY_TENSOR || p->scaling == QB_SCALING_STATIC);
    job.keeps_values = !job.is_apart && p->operation != QB_OPERATION_QUANTIZE;
    job.most = job.keeps_values ? 1 : qb__cpu_threads_worth(plan, p->tokens * job.row);
    job.plan.threads = 1;
    job.plan.is_part = job.all.is_part = true;
    if (p->operation != QB_OPERATION_QUANTIZE && !job.keeps_values) {
        job.room = (qb__cpu_operation_workspace(&job.plan, &largest) + 63) / 64 * 64;
    }
    return job;
}

/* What the table adds. */
static void take_table(struct job *job, const int64_t *table)
{
    job->table = table;
    for (uint64_t e = 0; e < job->p->experts; e++) {
        job->rows += qb__expert_count(job->p, table, e);
    }
    job->threads = qb__cpu_threads_worth(&job->all, job->rows * job->row);
    job->plan.whole = job->all.whole = job->rows * job->row;
}

/* Run the rows of X, which are some of an expert. */
static void run_rows(const struct job *job, const struct qb__cpu_plan *plan, const struct qb__expert *x,
                     void *workspace)
{
    const struct qb_problem part = qb__expert_problem(job->p, &job->layout, x->rows);
    const struct qb_tensors tensors = qb__expert_tensors(job->p, x, job->tensors);

    if (part.scaling != QB_SCALING_STATIC) {
        qb__expert_clear(job->p, &job->layout, x, tensors.at[QB_ROLE_SCALES]);
    }
    if (part.operation != QB_OPERATION_QUANTIZE) {
        qb__cpu_operation(job->ops, plan, &part, &tensors, workspace);
    } else if (qb__is_plain(&part)) {
        qb__cpu_quantize(job->ops, plan, &part, &tensors);
    } else {
        qb__cpu_narrow(job->ops, plan, &part, &tensors);
    }
}

/* ---- Rows that do not depend on each other --------------------------------------------------------------------- */

static void rows_work(void *context, unsigned index, unsigned count)
{
    const struct job *job = context;
    uint64_t begin, end, before = 0;

    qb__cpu_split(job->rows, 1, index, count, &begin, &end);
    for (struct qb__expert x = {0}; x.index < job->p->experts && before < end; x.index++) {
        struct qb__cpu_share share;

        qb__expert_take(job->p, &job->layout, job->table, &x);
        share = qb__cpu_share_of(begin, end, before, x.rows, job->height);
        if (share.rows > 0) {
            const struct qb__expert part = qb__expert_part(job->p, &job->layout, &x, share.first, share.rows);

            run_rows(job, &job->plan, &part, job->workspace + index * job->room);
        }
        before += x.rows;
    }
}

/* ---- Whole experts --------------------------------------------------------------------------------------------- */

/* True if all threads are to work on expert X: it is worth all of them, or more than its thread has time for. */
static bool is_hot(const struct job *job, const struct qb__expert *x)
{
    const unsigned worth = qb__cpu_threads_worth(&job->all, x->rows * job->row);

    return job->keeps_values || (worth > 1 && (worth >= job->threads || x->rows > job->rows / job->threads));
}

/* Run the experts that all threads work on. Returns the rows of the others. */
static uint64_t run_hot(const struct job *job)
{
    uint64_t others = 0;

    for (struct qb__expert x = {0}; x.index < job->p->experts; x.index++) {
        qb__expert_take(job->p, &job->layout, job->table, &x);
        if (is_hot(job, &x)) {
            run_rows(job, &job->all, &x, job->workspace);
        } else {
            others += x.rows;
        }
    }
    return others;
}

/* The others, one thread each. */
static void experts_work(void *context, unsigned index, unsigned count)
{
    struct job *job = context;
    struct qb__expert x = {0};
    uint64_t taken;

    (void)count;
    while ((taken = __atomic_fetch_add(&job->next, 1, __ATOMIC_RELAXED)) < job->p->experts) {
        for (; x.index < taken; x.index++) {
            qb__expert_take(job->p, &job->layout, job->table, &x);
        }
        qb__expert_take(job->p, &job->layout, job->table, &x);
        if (!is_hot(job, &x)) {
            run_rows(job, &job->plan, &x, job->workspace + index * job->room);
        }
        x.index++;
    }
}

size_t qb__cpu_experts_workspace(const struct qb__cpu_plan *plan, const struct qb_problem *problem)
{
    const struct job job = job_of(plan, problem);
    const struct qb_problem largest = qb__expert_problem(problem, &job.layout, qb__expert_room(problem));
    const size_t apart = job.most * job.room;
    const size_t together =
        problem->operation != QB_OPERATION_QUANTIZE ? qb__cpu_operation_workspace(&job.all, &largest) : 0;

    return apart > together ? apart : together;
}

void qb__cpu_experts(const struct qb__cpu_ops *ops, const struct qb__cpu_plan *plan, const struct qb_problem *problem,
                     const struct qb_tensors *tensors, void *workspace)
{
    struct job job = job_of(plan, problem);

    job.ops = ops;
    job.tensors = tensors;
    job.workspace = workspace;
    take_table(&job, tensors->at[QB_ROLE_EXPERTS]);
    if (job.is_apart && (job.threads == 1 ||
                         (job.rows >= LEAST_ROWS * (uint64_t)job.threads && job.rows / job.height >= job.threads))) {
        qb__cpu_parallel(job.threads, rows_work, &job);
    } else {
        const uint64_t others = run_hot(&job);

        qb__cpu_parallel(qb__cpu_threads_worth(plan, others * job.row), experts_work, &job);
    }
}

void qb__cpu_experts_floor(const struct qb__cpu_plan *plan, const struct qb_problem *problem)
{
    const uint64_t rows = problem->expert_tokens > 0 ? problem->expert_tokens : problem->tokens;

    qb__cpu_fork_and_join(qb__cpu_threads_worth(plan, rows * row_bytes(problem)));
}
