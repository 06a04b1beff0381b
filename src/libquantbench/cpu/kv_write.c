/* SPDX-License-Identifier: Apache-2.0 */
/* kv_write.c - keys and values into the pages of a cache, written once for all instruction sets. Each token is a few
 * runs of codes that lie side by side in the cache, and is the work of one thread. Those of NVFP4 are quantized in rows
 * by narrow.c, and then copied. */
#include <config.h>

#include "kv_write.h"
#include "narrow.h"
#include "threads.h"

#include <string.h>

/* Shorter runs are not worth non-temporal stores: lines would be written in parts. */
#define STREAM_LEAST 256
/* Of runs that are copied, where the lines are written whole. */
#define COPY_LEAST 64

/* Codes of several runs that are made before they are copied. */
#define SIDE_BY_SIDE 4096

/* Elements that are quantized to rows before these are put in their places. */
#define PIECE 32768

/* Elements of NVFP4 that share a scale. */
#define NVFP4_GROUP 16

struct job {
    const struct qb__cpu_ops *ops;
    const struct qb__cpu_plan *plan;
    const struct qb__cpu_input *in;
    const struct qb__cpu_pair *pair;
    const struct qb_problem *p;
    const struct qb_tensors *tensors;
    const char *input;
    const int64_t *slots;
    uint8_t *codes;
    float *scales;                /* of all slots, where they are computed */
    struct qb__divisor *divisors; /* of all scales, where they are given; else NULL */
    struct qb__rule rule;
    struct qb__access access;
    bool copies_stream; /* runs that are copied go past the caches */
    size_t element;     /* bytes of an input element */
    uint64_t run;       /* codes of a token that lie side by side */
    uint64_t side;      /* elements of the cache of keys */
    uint64_t page;      /* and of a page of HND; NHD: 0 */
    uint64_t tile;      /* columns that share a scale */
    char *memory;       /* of NVFP4: rows for each thread */
    float *factors;     /* and of each tile */
};

/* A token's part of the input, and where it goes. */
struct token {
    const char *x;
    uint64_t slot;
};

/* The first element of the keys in SLOT: qb__cache_code() with one division. */
static uint64_t place_of(const struct job *job, uint64_t slot)
{
    const struct qb_problem *p = job->p;

    return job->page == 0 ? slot * (p->hidden / 2)
                          : slot / p->page_size * job->page + slot % p->page_size * p->head_size;
}

static const char *input_at(const struct job *job, const struct token *token, uint64_t col)
{
    return token->x + col * job->element;
}

static uint8_t *code_at(const struct job *job, const struct token *token, uint64_t col)
{
    return job->codes + qb__cache_code(job->p, token->slot, col);
}

/* Copy BYTES bytes. The compiler has no call for the numbers of heads of 128. */
static inline __attribute__((always_inline)) void copy_few(uint8_t *to, const uint8_t *from, size_t bytes)
{
    if (bytes == 8) {
        memcpy(to, from, 8);
    } else if (bytes == 64) {
        memcpy(to, from, 64);
    } else if (bytes == 128) {
        memcpy(to, from, 128);
    } else {
        memcpy(to, from, bytes);
    }
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

/* The same where runs are short: the codes of several runs first, as groups are encoded in batches. */
static void write_short_groups(const struct job *job, const struct token *token)
{
    const struct qb_problem *p = job->p;
    const uint64_t half = p->hidden / 2, most = SIDE_BY_SIDE / job->run * job->run, step = p->page_size * p->head_size;
    const uint64_t place = place_of(job, token->slot);
    uint8_t codes[SIDE_BY_SIDE] __attribute__((aligned(64)));
    const struct qb__access access = {.ahead = job->access.ahead};

    for (uint64_t side = 0; side < 2; side++) {
        uint8_t *to = job->codes + place + side * job->side;
        float *scales = job->scales + qb__cache_scale(p, token->slot, side * (half / job->tile));

        for (uint64_t col = 0; col < half; col += most) {
            const uint64_t count = half - col < most ? half - col : most;
            const struct qb__groups groups = {
                .x = input_at(job, token, side * half + col),
                .count = count / job->tile,
                .size = job->tile,
                .scales = scales,
                .out = codes,
            };

            job->pair->encode_groups(&groups, &job->rule, &access);
            for (uint64_t i = 0; i < count; i += job->run, to += step) {
                if (job->copies_stream) {
                    job->ops->copy_stream(to, codes + i, job->run);
                } else {
                    copy_few(to, codes + i, job->run);
                }
            }
            scales += count / job->tile;
        }
    }
}

/* ---- NVFP4 --------------------------------------------------------------------------------------------------------
 */

/* The rows that are quantized at a time. */
static uint64_t piece_rows(const struct qb_problem *p)
{
    return p->hidden < PIECE ? PIECE / p->hidden : 1;
}

/* The bytes of codes and scales of a row. */
static size_t row_bytes(const struct qb_problem *p)
{
    return p->hidden / 2 + p->hidden / p->group;
}

/* The room that a thread needs for a piece, in whole lines. */
static size_t piece_room(const struct qb_problem *p)
{
    return qb__ceil_div(piece_rows(p) * row_bytes(p), 64) * 64;
}

/* True if the codes of a run go past the caches. */
static bool passes(const struct job *job)
{
    return job->access.stream && job->run / 2 >= COPY_LEAST;
}

/* Prefetch what place_side() does not write past the caches, from the place AT on: slots are anywhere in the cache. */
static void prefetch_side(const struct job *job, uint64_t at)
{
    const struct qb_problem *p = job->p;
    const size_t code_bytes = passes(job) ? 0 : job->run / 2, scale_bytes = job->run / NVFP4_GROUP;

    for (uint64_t col = 0; col < p->hidden / 2; col += job->run, at += p->page_size * p->head_size) {
        for (size_t i = 0; i < code_bytes; i += 64) {
            __builtin_prefetch(job->codes + at / 2 + i, 1);
        }
        for (size_t i = 0; i < scale_bytes; i += 64) {
            __builtin_prefetch((uint8_t *)job->scales + at / NVFP4_GROUP + i, 1);
        }
    }
}

/* Put the keys or values of a row to the place AT of the cache, in elements, and on from there. Scales are in the order
 * of the codes. */
static void place_side(const struct job *job, uint64_t at, const uint8_t *codes, const uint8_t *scales)
{
    const struct qb_problem *p = job->p;
    const size_t code_bytes = job->run / 2, scale_bytes = job->run / NVFP4_GROUP;
    const bool streams = passes(job);

    for (uint64_t col = 0; col < p->hidden / 2; col += job->run, at += p->page_size * p->head_size) {
        if (streams) {
            job->ops->copy_stream(job->codes + at / 2, codes, code_bytes);
        } else {
            copy_few(job->codes + at / 2, codes, code_bytes);
        }
        copy_few((uint8_t *)job->scales + at / NVFP4_GROUP, scales, scale_bytes);
        codes += code_bytes;
        scales += scale_bytes;
    }
}

/* COUNT tokens from TOKEN on, all of which have slots. */
static void write_piece(const struct job *job, uint64_t token, uint64_t count, uint8_t *memory)
{
    const struct qb_problem *p = job->p;
    const struct qb__cpu_rows rows = {.values = job->input + token * p->input_stride * job->element,
                                      .rows = count,
                                      .far = true,
                                      .factors = job->factors};
    const uint64_t half = p->hidden / 2;
    uint8_t *codes = memory, *scales = memory + piece_rows(p) * half;
    struct qb_problem q = qb__quantization_of(p);
    struct qb_tensors tensors = *job->tensors;

    q.input_stride = p->input_stride;
    tensors.at[QB_ROLE_CODES] = codes;
    tensors.at[QB_ROLE_SCALES] = scales;
    for (uint64_t i = 0; i < count && job->access.stream; i++) {
        const uint64_t at = place_of(job, (uint64_t)job->slots[token + i]);

        prefetch_side(job, at);
        prefetch_side(job, job->side + at);
    }
    qb__cpu_narrow_rows(job->ops, job->plan, &q, &tensors, &rows);
    for (uint64_t i = 0; i < count; i++, codes += half, scales += half / (NVFP4_GROUP / 2)) {
        const uint64_t at = place_of(job, (uint64_t)job->slots[token + i]);

        place_side(job, at, codes, scales);
        place_side(job, job->side + at, codes + half / 2, scales + half / NVFP4_GROUP);
    }
}

static void pieces_work(void *context, unsigned index, unsigned count)
{
    const struct job *job = context;
    const uint64_t most = piece_rows(job->p);
    uint8_t *memory = (uint8_t *)job->memory + index * piece_room(job->p);
    uint64_t begin, end;

    qb__cpu_split(job->p->tokens, 1, index, count, &begin, &end);
    while (begin < end) {
        uint64_t rows = 0;

        while (rows < most && begin + rows < end && job->slots[begin + rows] >= 0) {
            rows++;
        }
        if (rows > 0) {
            write_piece(job, begin, rows, memory);
        }
        begin += rows > 0 ? rows : 1; /* without those that are left out */
    }
    if (job->access.stream) {
        job->ops->fence();
    }
}

/* ---- All ----------------------------------------------------------------------------------------------------------
 */

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
        } else if (job->run < job->p->hidden / 2 && job->run <= SIDE_BY_SIDE / 2) {
            write_short_groups(job, &token);
        } else {
            write_groups(job, &token);
        }
    }
    if (job->access.stream || job->copies_stream) {
        job->ops->fence();
    }
}

size_t qb__cpu_kv_write_workspace(const struct qb__cpu_plan *plan, const struct qb_problem *problem)
{
    const uint64_t tiles = problem->hidden / qb__kv_tile_cols(problem);

    if (!qb__is_plain(problem)) {
        return qb__cpu_threads_worth(plan, qb__cpu_moved_bytes(problem)) * piece_room(problem) +
               2 * tiles * sizeof(float);
    }
    return problem->scaling == QB_SCALING_STATIC ? tiles * sizeof(struct qb__divisor) : 0;
}

void qb__cpu_kv_write(const struct qb__cpu_ops *ops, const struct qb__cpu_plan *plan, const struct qb_problem *problem,
                      const struct qb_tensors *tensors, void *workspace)
{
    const struct qb_problem *p = problem;
    struct job job = {
        .ops = ops,
        .plan = plan,
        .in = &ops->inputs[p->input],
        .pair = &ops->pairs[p->input][p->output],
        .p = p,
        .tensors = tensors,
        .input = tensors->at[QB_ROLE_INPUT],
        .slots = tensors->at[QB_ROLE_SLOTS],
        .codes = tensors->at[QB_ROLE_CODES],
        .scales = tensors->at[QB_ROLE_SCALES],
        .rule = qb__rule_make(p),
        .element = qb__element_size(p->input),
        .run = p->page_layout == QB_PAGE_LAYOUT_NHD ? p->hidden / 2 : p->head_size,
        .tile = qb__kv_tile_cols(p),
        .side = p->pages * p->page_size * (p->hidden / 2),
        .page = p->page_layout == QB_PAGE_LAYOUT_HND ? p->page_size * (p->hidden / 2) : 0,
    };

    if (!qb__is_plain(p)) {
        const unsigned threads = qb__cpu_threads_worth(plan, qb__cpu_moved_bytes(p));
        const struct qb_problem rows = qb__quantization_of(p);

        job.memory = workspace;
        job.factors = (float *)(void *)(job.memory + threads * piece_room(p));
        job.access.stream = qb__cpu_streams(plan, qb__cpu_moved_bytes(p));
        qb__cpu_tile_factors(&rows, tensors->at[QB_ROLE_TENSOR_SCALE], job.factors);
        qb__cpu_parallel(threads, pieces_work, &job);
        return;
    }
    job.access.stream = job.run >= STREAM_LEAST && qb__cpu_streams(plan, qb__cpu_moved_bytes(p));
    job.copies_stream = job.run >= COPY_LEAST && qb__cpu_streams(plan, qb__cpu_moved_bytes(p));
    if (p->scaling == QB_SCALING_STATIC) {
        job.divisors = workspace;
        for (uint64_t i = 0; i < p->hidden / job.tile; i++) {
            ops->prepare(&job.divisors[i], job.scales[i], &job.rule, false, p->tokens * job.tile);
        }
    }
    qb__cpu_parallel(qb__cpu_threads_worth(plan, qb__cpu_moved_bytes(p)), tokens_work, &job);
}
