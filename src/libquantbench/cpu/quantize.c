/* SPDX-License-Identifier: Apache-2.0 */
/* quantize.c - the granularities, written once for all instruction sets: how a tensor is cut into runs of elements that
 * share a scale, and how the runs are shared out to threads. The results do not depend on the number of threads,
 * because a maximum does not depend on the order. */
#include <config.h>

#include "quantize.h"
#include "threads.h"

enum {
    PANEL = 2048,       /* columns whose amax and scales are kept at a time, on the stack */
    ROWS = 8,           /* that are worked on at a time in each column of a panel */
    TILES = 256,        /* high tiles that are worked on at a time */
    NARROW = 64,        /* tiles of fewer columns are worked on by columns, not by runs */
    BATCH_LIMIT = 4096, /* groups of more elements gain nothing from batches */
    USUAL_AHEAD = 8192, /* bytes that are prefetched of what is not read twice a while later */
    /* Bytes that the last-level cache is trusted with, however large: a virtual machine sees all of its host's. With
     * 480 MB, one thread streams more than this and then reads it sooner than it stores and then reads it. */
    MOST_CACHED = 64 << 20
};

/* A tensor or a part of it. */
struct view {
    const char *input;
    uint8_t *output;
    uint64_t rows;
    uint64_t cols;
    uint64_t input_stride; /* elements */
    uint64_t output_stride;
};

/* A part of a view. */
struct area {
    uint64_t row;
    uint64_t rows;
    uint64_t col;
    uint64_t cols;
};

struct job {
    const struct qb__cpu_ops *ops;
    const struct qb__cpu_input *in;
    const struct qb__cpu_pair *pair;
    const struct qb__cpu_plan *plan;
    struct qb__rule rule;
    struct qb__access access;
    size_t element; /* bytes of an input element */
    bool codes;     /* false: only the scales are wanted */
    struct view view;
    uint64_t tile_rows;
    uint64_t tile_cols;
    float *scales;
    uint64_t scale_cols;
    /* Of a tile, or of channels, that all threads share; of channels only whether there is a NaN, and whether all are
     * clean. */
    uint32_t amax;
    struct qb__divisor divisor;
};

uint64_t qb__cpu_bytes(const struct qb__cpu_plan *plan, uint64_t bytes)
{
    return plan->whole > bytes ? plan->whole : bytes;
}

bool qb__cpu_streams(const struct qb__cpu_plan *plan, uint64_t bytes)
{
    /* The cache is shared with other cores and with what the caller keeps in it. */
    const uint64_t share = (plan->cache_size > 0 ? plan->cache_size : (uint64_t)8 << 20) / 4 * 3;

    return qb__cpu_bytes(plan, bytes) >= (share < MOST_CACHED ? share : MOST_CACHED);
}

unsigned qb__cpu_threads_worth(const struct qb__cpu_plan *plan, uint64_t bytes)
{
    uint64_t worth = bytes / plan->thread_bytes;

    return worth <= 1 ? 1 : worth < plan->threads ? (unsigned)worth : plan->threads;
}

uint64_t qb__cpu_moved_bytes(const struct qb_problem *p)
{
    return p->tokens * (p->hidden * qb__element_size(p->input) + qb__packed_bytes(p->output, p->packing, p->hidden));
}

/* How many are worth it for ELEMENTS input elements of SIZE bytes, with or without their codes. */
static unsigned threads_for(const struct qb__cpu_plan *plan, uint64_t elements, size_t size, bool codes)
{
    return qb__cpu_threads_worth(plan, elements * (size + codes));
}

static const char *input_at(const struct job *job, uint64_t row, uint64_t col)
{
    return job->view.input + (row * job->view.input_stride + col) * job->element;
}

static uint8_t *output_at(const struct job *job, uint64_t row, uint64_t col)
{
    return job->codes ? job->view.output + row * job->view.output_stride + col : NULL;
}

static struct qb__rows rows_of(const struct job *job, struct area area)
{
    return (struct qb__rows){
        .x = input_at(job, area.row, area.col),
        .stride = job->view.input_stride,
        .rows = area.rows,
        .count = area.cols,
        .out = output_at(job, area.row, area.col),
        .out_stride = job->view.output_stride,
    };
}

static void encode(const struct job *job, uint64_t row, uint64_t col, uint64_t count, const struct qb__divisor *divisor,
                   const struct qb__access *access)
{
    job->pair->encode(output_at(job, row, col), input_at(job, row, col), count, divisor, access);
}

/* The larger of two results of amax(), and whether either saw a NaN. */
static uint32_t amax_join(uint32_t a, uint32_t b)
{
    uint32_t x = a & ~QB__AMAX_NAN, y = b & ~QB__AMAX_NAN;

    return (x > y ? x : y) | ((a | b) & QB__AMAX_NAN);
}

static void amax_join_shared(uint32_t *shared, uint32_t amax)
{
    uint32_t old = __atomic_load_n(shared, __ATOMIC_RELAXED);

    while (amax_join(old, amax) != old && !__atomic_compare_exchange_n(shared, &old, amax_join(old, amax), false,
                                                                       __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
    }
}

static void raise_shared(float *shared, float value)
{
    float old;

    __atomic_load(shared, &old, __ATOMIC_RELAXED);
    while (value > old && !__atomic_compare_exchange(shared, &old, &value, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
    }
}

static uint32_t amax_tile(const struct job *job, struct area tile)
{
    uint32_t amax = 0;

    for (uint64_t row = tile.row; row < tile.row + tile.rows; row++) {
        amax = amax_join(amax, job->in->amax(input_at(job, row, tile.col), tile.cols));
    }
    return amax;
}

/* ---- One tile that all threads share: the tensor, or one of few large tiles ---------------------------------- */

/* Call RUN for the parts of rows that belong to thread INDEX of COUNT, the view's elements counted row by row. */
static void split_elements(struct job *job, unsigned index, unsigned count,
                           void (*run)(struct job *job, uint64_t row, uint64_t col, uint64_t cols))
{
    const uint64_t cols = job->view.cols;
    uint64_t begin, end;

    qb__cpu_split(job->view.rows * cols, 64, index, count, &begin, &end);
    while (begin < end) {
        uint64_t row = begin / cols, col = begin % cols;
        uint64_t part = cols - col < end - begin ? cols - col : end - begin;

        run(job, row, col, part);
        begin += part;
    }
}

static void shared_amax_run(struct job *job, uint64_t row, uint64_t col, uint64_t cols)
{
    amax_join_shared(&job->amax, job->in->amax(input_at(job, row, col), cols));
}

static void shared_amax_work(void *context, unsigned index, unsigned count)
{
    split_elements(context, index, count, shared_amax_run);
}

static void shared_encode_run(struct job *job, uint64_t row, uint64_t col, uint64_t cols)
{
    encode(job, row, col, cols, &job->divisor, &job->access);
}

static void shared_encode_work(void *context, unsigned index, unsigned count)
{
    struct job *job = context;

    split_elements(job, index, count, shared_encode_run);
    if (job->access.stream) {
        job->ops->fence();
    }
}

/* The whole view has one scale. */
static void quantize_shared(struct job *job, float *scale)
{
    unsigned threads = threads_for(job->plan, job->view.rows * job->view.cols, job->element, job->codes);
    bool clean = false;

    if (job->view.input_stride == job->view.cols && job->view.output_stride == job->view.cols) {
        job->view.cols *= job->view.rows;
        job->view.rows = job->view.cols > 0;
    }
    if (job->rule.dynamic) {
        job->amax = 0;
        qb__cpu_parallel(threads, shared_amax_work, job);
        *scale = qb__scale_make(job->amax, &job->rule, &clean);
    }
    if (!job->codes) {
        return;
    }
    job->ops->prepare(&job->divisor, *scale, &job->rule, clean, job->view.rows * job->view.cols);
    qb__cpu_parallel(threads, shared_encode_work, job);
}

/* ---- Many tiles, each the work of one thread ------------------------------------------------------------------ */

/* One tile that is wide enough for runs. */
static void wide_tile(const struct job *job, struct area tile, float *scale)
{
    struct qb__divisor divisor;
    bool clean = false;

    if (job->rule.dynamic) {
        *scale = qb__scale_make(amax_tile(job, tile), &job->rule, &clean);
    }
    if (!job->codes) {
        return;
    }
    job->ops->prepare(&divisor, *scale, &job->rule, clean, tile.rows * tile.cols);
    for (uint64_t row = tile.row; row < tile.row + tile.rows; row++) {
        encode(job, row, tile.col, tile.cols, &divisor, &job->access);
    }
}

/* COUNT tiles of several rows side by side, at most TILES: the rows are walked as a whole, since a tile's own are far
 * apart, and the rows of a tile whose width is a power of two would all fall into few lines of the cache. */
static void high_tiles(const struct job *job, struct area area, float *scales, uint64_t count)
{
    const uint64_t end = area.row + area.rows;
    struct qb__divisor divisors[TILES];
    uint32_t amax[TILES] = {0};

    for (uint64_t row = area.row; row < end && job->rule.dynamic; row++) {
        for (uint64_t tile = 0; tile < count; tile++) {
            uint64_t first = tile * job->tile_cols, left = area.cols - first;
            uint64_t width = left < job->tile_cols ? left : job->tile_cols;

            amax[tile] = amax_join(amax[tile], job->in->amax(input_at(job, row, area.col + first), width));
        }
    }
    for (uint64_t tile = 0; tile < count; tile++) {
        bool clean = false;

        if (job->rule.dynamic) {
            scales[tile] = qb__scale_make(amax[tile], &job->rule, &clean);
        }
        if (job->codes) {
            job->ops->prepare(&divisors[tile], scales[tile], &job->rule, clean, area.rows * job->tile_cols);
        }
    }
    for (uint64_t row = area.row; row < end && job->codes; row++) {
        for (uint64_t tile = 0; tile < count; tile++) {
            uint64_t first = tile * job->tile_cols, left = area.cols - first;
            uint64_t width = left < job->tile_cols ? left : job->tile_cols;

            encode(job, row, area.col + first, width, &divisors[tile], &job->access);
        }
    }
}

/* L2 prefetch distance in a panel of ROWS rows: the rows after those that are worked on. */
static size_t rows_ahead(const struct job *job, uint64_t rows)
{
    bool worth = rows > ROWS && qb__cpu_streams(job->plan, job->view.rows * job->view.cols * job->element);

    return worth ? ROWS * job->view.input_stride * job->element : 0;
}

/* The next ROWS rows of what is LEFT, which begins after them then. */
static struct qb__rows take_rows(const struct job *job, struct area *left)
{
    struct area taken = *left;

    taken.rows = left->rows < ROWS ? left->rows : ROWS;
    left->row += taken.rows;
    left->rows -= taken.rows;
    return rows_of(job, taken);
}

/* amax[i] is raised to the largest |x| of the panel's column I. Returns whether there is a NaN. */
static bool amax_panel(const struct job *job, struct area panel, float *amax)
{
    const size_t ahead = rows_ahead(job, panel.rows);
    bool nan = false;

    while (panel.rows > 0) {
        const struct qb__rows rows = take_rows(job, &panel);

        nan |= job->in->amax_columns(&rows, amax, ahead);
    }
    return nan;
}

/* The panel's column I has scale[i]. CLEAN: see struct qb__divisor. */
static void encode_panel(const struct job *job, struct area panel, const float *scale, bool clean)
{
    /* Rows that begin at different places of a line cannot be streamed together. */
    const struct qb__access access = {.stream = job->access.stream && job->view.output_stride % 64 == 0,
                                      .ahead = rows_ahead(job, panel.rows)};
    float reciprocal[PANEL], rest[PANEL];
    struct qb__columns columns = {scale, reciprocal, rest, clean};
    uint32_t outside = 0;

    for (uint64_t i = 0; i < panel.cols; i++) {
        reciprocal[i] = 1.0f / scale[i];
        rest[i] = qb__reciprocal_rest(scale[i], reciprocal[i]);
        outside |= (uint32_t)(scale[i] < QB__CORRECT_LEAST) | (uint32_t)(scale[i] > QB__CORRECT_MOST);
    }
    if (outside != 0) {
        columns.reciprocal = columns.rest = NULL;
    }
    while (panel.rows > 0) {
        const struct qb__rows rows = take_rows(job, &panel);

        job->pair->encode_columns(&rows, &columns, &access);
    }
}

/* COUNT narrow tiles side by side, at most PANEL columns. */
static void narrow_tiles(const struct job *job, struct area area, float *scales, uint64_t count)
{
    float columns[PANEL] = {0};
    bool nan = true, all_clean = job->rule.dynamic;

    if (job->rule.dynamic) {
        nan = amax_panel(job, area, columns);
    }
    for (uint64_t tile = 0; tile < count; tile++) {
        uint64_t first = tile * job->tile_cols;
        uint64_t last = area.cols - first < job->tile_cols ? area.cols : first + job->tile_cols;

        if (job->rule.dynamic) {
            float amax = 0.0f;
            bool clean;

            for (uint64_t i = first; i < last; i++) {
                amax = columns[i] > amax ? columns[i] : amax;
            }
            scales[tile] = qb__scale_make(qb__bits_of(amax) | (nan ? QB__AMAX_NAN : 0), &job->rule, &clean);
            all_clean = all_clean && clean;
        }
        for (uint64_t i = first; i < last; i++) {
            columns[i] = scales[tile];
        }
    }
    if (job->codes) {
        encode_panel(job, area, columns, all_clean);
    }
}

/* The tiles FIRST to LAST - 1 of the band of rows that begins at ROW. */
static void tiles_of_band(const struct job *job, uint64_t band, uint64_t first, uint64_t last)
{
    const uint64_t row = band * job->tile_rows, below = job->view.rows - row;
    struct area area = {.row = row, .rows = below < job->tile_rows ? below : job->tile_rows};
    const uint64_t narrow = PANEL / job->tile_cols; /* tiles in a panel */
    float *scales = job->scales + band * job->scale_cols;

    while (first < last) {
        uint64_t left = job->view.cols - first * job->tile_cols;

        area.col = first * job->tile_cols;

        if (job->tile_cols < NARROW && !(area.rows == 1 && job->tile_cols % 32 == 0)) {
            uint64_t count = last - first < narrow ? last - first : narrow;

            area.cols = left < count * job->tile_cols ? left : count * job->tile_cols;
            narrow_tiles(job, area, &scales[first], count);
            first += count;
        } else if (area.rows == 1 && job->tile_cols <= BATCH_LIMIT && left >= job->tile_cols) {
            uint64_t count = left / job->tile_cols < last - first ? left / job->tile_cols : last - first;

            const struct qb__groups groups = {input_at(job, row, area.col), count, job->tile_cols, &scales[first],
                                              output_at(job, row, area.col)};

            job->pair->encode_groups(&groups, &job->rule, &job->access);
            first += count;
        } else if (area.rows > 1 && job->tile_cols <= BATCH_LIMIT) {
            uint64_t count = last - first < TILES ? last - first : TILES;

            area.cols = left < count * job->tile_cols ? left : count * job->tile_cols;
            high_tiles(job, area, &scales[first], count);
            first += count;
        } else {
            area.cols = left < job->tile_cols ? left : job->tile_cols;
            wide_tile(job, area, &scales[first]);
            first++;
        }
    }
}

static void tiles_work(void *context, unsigned index, unsigned count)
{
    const struct job *job = context;
    const uint64_t bands = qb__ceil_div(job->view.rows, job->tile_rows);
    uint64_t begin, end;

    /* Tiles are shared out row by row of the scale tensor; narrow ones in panels, to not be cut into slivers. */
    uint64_t grain = job->tile_cols < NARROW ? NARROW / job->tile_cols : 1;

    qb__cpu_split(bands * job->scale_cols, grain, index, count, &begin, &end);
    while (begin < end) {
        uint64_t band = begin / job->scale_cols, first = begin % job->scale_cols;
        uint64_t part = job->scale_cols - first < end - begin ? job->scale_cols - first : end - begin;

        tiles_of_band(job, band, first, first + part);
        begin += part;
    }
    if (job->access.stream) {
        job->ops->fence();
    }
}

/* ---- Channels: narrow tiles as high as the tensor, shared out by rows ------------------------------------------ */

static void channel_amax_work(void *context, unsigned index, unsigned count)
{
    struct job *job = context;
    uint64_t begin, end;

    qb__cpu_split(job->view.rows, 1, index, count, &begin, &end);
    for (uint64_t col = 0; col < job->view.cols; col += PANEL) {
        uint64_t cols = job->view.cols - col < PANEL ? job->view.cols - col : PANEL;
        float own[PANEL] = {0};
        float *columns = count > 1 ? own : job->scales + col;

        if (amax_panel(job, (struct area){begin, end - begin, col, cols}, columns)) {
            __atomic_store_n(&job->amax, QB__AMAX_NAN, __ATOMIC_RELAXED);
        }
        for (uint64_t i = 0; i < cols && count > 1; i++) {
            raise_shared(&job->scales[col + i], columns[i]);
        }
    }
}

static void channel_encode_work(void *context, unsigned index, unsigned count)
{
    struct job *job = context;
    uint64_t begin, end;

    qb__cpu_split(job->view.rows, 1, index, count, &begin, &end);
    for (uint64_t col = 0; col < job->view.cols; col += PANEL) {
        uint64_t cols = job->view.cols - col < PANEL ? job->view.cols - col : PANEL;

        encode_panel(job, (struct area){begin, end - begin, col, cols}, job->scales + col, job->divisor.clean);
    }
    if (job->access.stream) {
        job->ops->fence();
    }
}

static void quantize_channels(struct job *job, unsigned threads)
{
    if (job->rule.dynamic) {
        memset(job->scales, 0, job->view.cols * sizeof *job->scales);
        qb__cpu_parallel(threads, channel_amax_work, job);
        job->divisor.clean = true;
        for (uint64_t col = 0; col < job->view.cols; col++) {
            bool clean;

            job->scales[col] = qb__scale_make(qb__bits_of(job->scales[col]) | job->amax, &job->rule, &clean);
            job->divisor.clean = job->divisor.clean && clean;
        }
    }
    if (job->codes) {
        qb__cpu_parallel(threads, channel_encode_work, job);
    }
}

/* ---- Which of these ---------------------------------------------------------------------------------------------- */

size_t qb__cpu_ahead(const struct qb__cpu_plan *plan, uint64_t tile)
{
    const size_t least = 32 << 10;
    uint64_t l2 = plan->l2_size > 0 ? plan->l2_size : (uint64_t)256 << 10;

    if (tile > l2 / 4) {
        return 0;
    }
    return tile > least ? (size_t)tile : least;
}

/* How far ahead of the encoding of tensors, batches of groups, and rows the input is prefetched. Rows of INT8 lose by
 * it while they are in L2. */
static size_t prefetch_distance(const struct job *job, const struct qb_problem *p)
{
    if (p->granularity == QB_GRANULARITY_TENSOR) {
        return USUAL_AHEAD;
    }
    if (!job->rule.dynamic || job->tile_rows > 1) {
        return 0;
    }
    if (job->tile_cols <= BATCH_LIMIT) {
        return USUAL_AHEAD;
    }
    if (qb__is_integer(p->output) &&
        qb__cpu_bytes(job->plan, p->tokens * p->hidden * job->element) <= 2 * job->plan->l2_size) {
        return 0;
    }
    return qb__cpu_ahead(job->plan, job->tile_cols * job->element);
}

static struct job job_of(const struct qb__cpu_ops *ops, const struct qb__cpu_plan *plan, const struct qb_problem *p,
                         const struct qb_tensors *tensors)
{
    struct job job = {
        .ops = ops,
        .in = &ops->inputs[p->input],
        .pair = &ops->pairs[p->input][p->output],
        .plan = plan,
        .rule = qb__rule_make(p),
        .element = qb__element_size(p->input),
        .codes = p->scaling != QB_SCALING_AMAX,
        .view = {.input = tensors->at[QB_ROLE_INPUT],
                 .output = tensors->at[QB_ROLE_CODES],
                 .rows = p->tokens,
                 .cols = p->hidden,
                 .input_stride = p->input_stride,
                 .output_stride = p->output_stride},
        .scales = tensors->at[QB_ROLE_SCALES],
    };
    uint64_t scale_rows;

    qb__tile(p, &job.tile_rows, &job.tile_cols);
    qb__scale_shape(p, &scale_rows, &job.scale_cols);
    if (p->tokens > 0 && job.tile_rows == 1 && p->input_stride == p->hidden && p->output_stride == p->hidden &&
        p->hidden % job.tile_cols == 0) {
        /* Whole tiles, one after the other: one long row. */
        job.view.cols *= job.view.rows;
        job.view.rows = 1;
        job.scale_cols *= scale_rows;
    }
    return job;
}

void qb__cpu_quantize(const struct qb__cpu_ops *ops, const struct qb__cpu_plan *plan, const struct qb_problem *problem,
                      const struct qb_tensors *tensors)
{
    const struct qb_problem *p = problem;
    struct job job = job_of(ops, plan, p, tensors);
    unsigned threads = threads_for(plan, p->tokens * p->hidden, job.element, job.codes);
    const struct qb__tiling tiling = qb__tiling_of(p);
    const uint64_t tiles = tiling.scale_rows * tiling.scale_cols;

    job.access.stream = job.codes && qb__cpu_streams(plan, p->tokens * p->hidden * (job.element + 1));
    job.access.ahead = prefetch_distance(&job, p);
    if (p->granularity == QB_GRANULARITY_TENSOR) {
        quantize_shared(&job, job.scales);
    } else if (tiles < 4 * (uint64_t)threads && job.tile_cols >= NARROW) {
        /* Too few tiles to share out: share out each. */
        struct view whole = job.view;

        for (uint64_t tile = 0; tile < tiles; tile++) {
            uint64_t row = tile / job.scale_cols * job.tile_rows, col = tile % job.scale_cols * job.tile_cols;

            job.view = whole;
            job.view.input = input_at(&job, row, col);
            job.view.output = output_at(&job, row, col);
            job.view.rows = whole.rows - row < job.tile_rows ? whole.rows - row : job.tile_rows;
            job.view.cols = whole.cols - col < job.tile_cols ? whole.cols - col : job.tile_cols;
            quantize_shared(&job, &job.scales[tile]);
        }
        job.view = whole;
    } else if (p->granularity == QB_GRANULARITY_CHANNEL && (p->tokens >= threads || p->tokens == 0)) {
        quantize_channels(&job, threads);
    } else {
        qb__cpu_parallel(threads, tiles_work, &job);
    }
}

void qb__cpu_quantize_rows(const struct qb__cpu_ops *ops, const struct qb__cpu_plan *plan,
                           const struct qb_problem *problem, const struct qb_tensors *tensors,
                           const struct qb__cpu_rows *rows)
{
    const struct qb__tiling tiling = qb__tiling_of(problem);
    struct qb_problem p = *problem;
    struct qb_tensors t = *tensors;
    struct job job;

    p.tokens = rows->rows;
    t.at[QB_ROLE_INPUT] = (void *)(uintptr_t)rows->values;
    t.at[QB_ROLE_SCALES] = (float *)t.at[QB_ROLE_SCALES] + rows->first / tiling.rows * tiling.scale_cols;
    if (t.at[QB_ROLE_CODES] != NULL) {
        t.at[QB_ROLE_CODES] = (uint8_t *)t.at[QB_ROLE_CODES] + rows->first * p.output_stride;
    }
    job = job_of(ops, plan, &p, &t);
    job.access.stream = job.codes && rows->stream;
    if (p.granularity == QB_GRANULARITY_TENSOR) {
        ops->prepare(&job.divisor, *job.scales, &job.rule, false, p.tokens * p.hidden);
        shared_encode_work(&job, 0, 1);
    } else if (p.granularity == QB_GRANULARITY_CHANNEL) {
        channel_encode_work(&job, 0, 1);
    } else {
        tiles_work(&job, 0, 1);
    }
}

void qb__cpu_floor(const struct qb__cpu_plan *plan, const struct qb_problem *problem)
{
    const struct qb_problem *p = problem;
    const bool dynamic = p->scaling != QB_SCALING_STATIC, codes = p->scaling != QB_SCALING_AMAX;
    unsigned threads = threads_for(plan, p->tokens * p->hidden, qb__element_size(p->input), codes);

    qb__cpu_fork_and_join(threads);
    /* Scales of whole tensors and channels are known to all threads before the first code. */
    if (dynamic && codes && (p->granularity == QB_GRANULARITY_TENSOR || p->granularity == QB_GRANULARITY_CHANNEL)) {
        qb__cpu_fork_and_join(threads);
    }
}
