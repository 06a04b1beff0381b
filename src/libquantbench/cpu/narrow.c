/* SPDX-License-Identifier: Apache-2.0 */
/* narrow.c - quantization with scales of any format and layout, zero points, and codes of less than a byte, written
 * once for all instruction sets. Work is shared out to threads in pieces of rows that begin and end at bytes of the
 * codes, so that no byte is written by two threads; each scale belongs to one piece too. */
#include <config.h>

#include "narrow.h"
#include "scales.h"
#include "threads.h"

enum {
    SPAN = 512,       /* elements that are encoded at a time; whole bytes of codes in any packing */
    PIECE_SPANS = 8,  /* spans in a piece of given scales */
    TILES = 256,      /* tiles that an instruction set's own routine is given at a time */
    PANEL = 256,      /* columns of high tiles whose amax is found at a time */
    NARROW_TILE = 64, /* high tiles of fewer columns are worked on by columns */
    UNIT = 8          /* tiles that fill whole bytes of codes, of any width */
};

struct job {
    const struct qb__cpu_ops *ops;
    const struct qb__cpu_input *in;
    const struct qb__narrow_input *narrow;
    void (*each)(const struct qb__each *run);
    qb__tiles_routine *tiles; /* NULL: not for these tiles */
    bool shifts;              /* one zero point for many elements of INT8 */
    bool stream;              /* the codes, with non-temporal stores */
    size_t ahead;             /* as in struct qb__access */
    struct qb_problem p;
    struct qb__tiling tiling;
    struct qb__layout layout;
    struct qb__form form;
    size_t element;    /* bytes of an input element */
    unsigned bits;     /* of a code in memory */
    uint64_t code_row; /* bytes from one row of codes to the next */
    unsigned threads;
    const char *input;
    uint8_t *codes; /* NULL: the scales are all that is computed */
    void *scales;
    int8_t *zero_points;
    uint64_t piece_tiles; /* tiles in a piece, where a piece computes its scales */
    /* What all threads work on together: some rows and columns, and the bits of the largest x and -x there. */
    uint64_t row, rows, col, cols;
    uint32_t high, low;
};

static const char *input_at(const struct job *job, uint64_t row, uint64_t col)
{
    return job->input + (row * job->p.input_stride + col) * job->element;
}

static uint8_t *codes_at(const struct job *job, uint64_t row, uint64_t col)
{
    return job->codes + row * job->code_row + qb__packed_bytes(job->p.output, job->p.packing, col);
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* ---- Scales in memory --------------------------------------------------------------------------------------------
 */

static void store_scale(const struct job *job, uint64_t row, uint64_t col, struct qb__stored stored)
{
    const uint64_t i = qb__layout_index(&job->layout, row, col);

    switch (qb__element_size(job->p.scale_format)) {
    case 4:
        ((uint32_t *)job->scales)[i] = stored.code;
        break;
    case 2:
        ((uint16_t *)job->scales)[i] = (uint16_t)stored.code;
        break;
    default:
        ((uint8_t *)job->scales)[i] = (uint8_t)stored.code;
        break;
    }
    if (job->form.asymmetric) {
        job->zero_points[qb__scale_index(&job->tiling, row, col)] = (int8_t)stored.zero_point;
    }
}

static struct qb__stored load_scale(const struct job *job, uint64_t row, uint64_t col)
{
    const uint64_t i = qb__layout_index(&job->layout, row, col);
    struct qb__stored stored = {0};

    switch (qb__element_size(job->p.scale_format)) {
    case 4:
        stored.code = ((const word32 *)job->scales)[i];
        break;
    case 2:
        stored.code = ((const word16 *)job->scales)[i];
        break;
    default:
        stored.code = ((const uint8_t *)job->scales)[i];
        break;
    }
    if (job->form.asymmetric) {
        stored.zero_point = job->zero_points[qb__scale_index(&job->tiling, row, col)];
    }
    return stored;
}

/* Store the scale of a tile whose elements are in RANGE. */
static void make_scale(const struct job *job, uint64_t row, uint64_t col, struct qb__range range)
{
    store_scale(job, row, col,
                job->form.asymmetric ? qb__scale_of_range(&job->form, range)
                                     : qb__scale_of_amax(&job->form, larger(-range.low, range.high)));
}

/* Store the codes of COUNT scales of one row, from column FIRST on, which is a multiple of 4: of bytes, four of a row
 * are side by side but in columns; the others are at equal distances. */
static void store_scales(const struct job *job, uint64_t row, uint64_t first, uint64_t count, const uint32_t *codes)
{
    const size_t size = qb__element_size(job->p.scale_format);
    const bool fours = size == 1 && job->layout.layout != QB_SCALE_LAYOUT_COLUMNS;
    uint8_t *at = (uint8_t *)job->scales + size * qb__layout_index(&job->layout, row, first);
    const uint64_t step = size * qb__layout_index(&job->layout, 0, fours ? 4 : 1);
    uint64_t i = 0;

    for (; fours && i + 4 <= count; i += 4, at += step) {
        const uint8_t four[4] = {(uint8_t)codes[i], (uint8_t)codes[i + 1], (uint8_t)codes[i + 2],
                                 (uint8_t)codes[i + 3]};

        memcpy(at, four, sizeof four);
    }
    for (; size == 2 && i < count; i++, at += step) {
        *(word16 *)(void *)at = (uint16_t)codes[i];
    }
    for (; size == 4 && i < count; i++, at += step) {
        *(word32 *)(void *)at = codes[i];
    }
    for (; i < count; i++) {
        store_scale(job, row, first + i, (struct qb__stored){.code = codes[i]});
    }
}

/* What COUNT elements of one row are between; of symmetric problems only the larger end has a meaning. */
static struct qb__range range_of(const struct job *job, uint64_t row, uint64_t col, uint64_t count)
{
    if (job->form.asymmetric) {
        return job->narrow->range(input_at(job, row, col), count);
    }
    return (struct qb__range){
        .high = qb__float_of(job->in->amax(input_at(job, row, col), count) & ~QB__AMAX_NAN),
    };
}

/* ---- Codes by scales that are in memory ------------------------------------------------------------------------- */

/* Encode COUNT elements, at most SPAN, of one row from column COL on, which begins at a byte. */
static void encode_span(const struct job *job, uint64_t row, uint64_t col, uint64_t count)
{
    float v[SPAN], factors[SPAN];
    int16_t zero_points[SPAN];
    uint8_t codes[SPAN];
    uint8_t *out = codes_at(job, row, col);
    const uint64_t tile_row = row / job->tiling.rows;
    struct qb__each run = {v, factors, zero_points, count, job->form.multiplies, job->form.asymmetric, codes};

    for (uint64_t i = 0; i < count;) {
        const uint64_t tile = (col + i) / job->tiling.cols;
        const uint64_t end = least(count, (tile + 1) * job->tiling.cols - col);
        const struct qb__stored stored = load_scale(job, tile_row, tile);
        const float factor = qb__factor_of(&job->form, stored.code);

        for (; i < end; i++) {
            factors[i] = factor;
            zero_points[i] = (int16_t)stored.zero_point;
        }
    }
    job->narrow->values(v, input_at(job, row, col), count);
    if (job->bits == 8) {
        run.codes = out;
    }
    job->each(&run);
    if (job->bits != 8) {
        job->ops->narrow->pack(out, codes, count, job->bits);
    }
}

static void encode_columns(const struct job *job, uint64_t row, uint64_t col, uint64_t end)
{
    for (; col < end; col += SPAN) {
        encode_span(job, row, col, least(end - col, SPAN));
    }
}

/* INT8 by zero points: the columns from COL to END - 1 of one row, all of one tile. CLEAN: none is NaN, or beyond what
 * the scale was made from. */
static void encode_shifted(const struct job *job, uint64_t row, uint64_t col, uint64_t end, bool clean)
{
    const struct qb__stored stored = load_scale(job, row / job->tiling.rows, col / job->tiling.cols);
    const float scale = qb__factor_of(&job->form, stored.code);
    struct qb__shifted run = {
        .zero_point = stored.zero_point, .clean = clean, .stream = job->stream, .ahead = job->ahead};
    float cap;

    if (!(scale >= QB__CORRECT_LEAST && scale <= QB__CORRECT_MOST)) {
        encode_columns(job, row, col, end);
        return;
    }
    /* Far beyond the last code, and far below what a conversion to 32 bits can hold. */
    cap = scale * 1024.0f;
    if (job->p.input == QB_FORMAT_F16) {
        cap = smaller(cap, qb__formats[QB_FORMAT_F16].largest);
    }
    run.cap = qb__bits_below(cap, job->p.input);
    run.reciprocal = 1.0f / scale;
    run.rest = qb__reciprocal_rest(scale, run.reciprocal);
    if (job->stream) {
        const uint64_t head = least(end - col, -(uintptr_t)codes_at(job, row, col) & 63);

        encode_columns(job, row, col, col + head);
        col += head;
    }
    while (col < end) {
        uint64_t left;

        run.x = input_at(job, row, col);
        run.count = end - col;
        run.out = codes_at(job, row, col);
        col += job->narrow->shifted(&run);
        left = least(end - col, SPAN); /* a multiple of a line, or the end */
        encode_columns(job, row, col, col + left);
        col += left;
    }
}

/* The columns from COL to END - 1 of one row, which begin at a byte. CLEAN as above. */
static void encode_part(const struct job *job, uint64_t row, uint64_t col, uint64_t end, bool clean)
{
    if (!job->shifts) {
        encode_columns(job, row, col, end);
        return;
    }
    while (col < end) {
        const uint64_t next = least(end, (col / job->tiling.cols + 1) * job->tiling.cols);

        encode_shifted(job, row, col, next, clean);
        col = next;
    }
}

static void encode_work(void *context, unsigned index, unsigned count)
{
    const struct job *job = context;
    const uint64_t width = (uint64_t)SPAN * PIECE_SPANS, across = qb__ceil_div(job->p.hidden, width);
    uint64_t begin, end;

    qb__cpu_split(job->p.tokens * across, 1, index, count, &begin, &end);
    for (; begin < end; begin++) {
        const uint64_t col = begin % across * width;

        encode_part(job, begin / across, col, least(job->p.hidden, col + width), false);
    }
    if (job->stream) {
        job->ops->fence();
    }
}

/* ---- Tiles of one row: scales and codes at once ----------------------------------------------------------------- */

/* Tiles FIRST to LAST - 1 of one row. */
static void rows_piece(const struct job *job, uint64_t row, uint64_t first, uint64_t last)
{
    const uint64_t begin = first * job->tiling.cols, end = least(job->p.hidden, last * job->tiling.cols);
    /* The largest scale in F16 may be too small for what it is to hold. */
    bool clean = job->p.scale_format == QB_FORMAT_F32;

    for (uint64_t tile = first; tile < last; tile++) {
        const uint64_t col = tile * job->tiling.cols;

        const struct qb__range range = range_of(job, row, col, least(end - col, job->tiling.cols));

        make_scale(job, row, tile, range);
        clean = clean && !range.nan && range.high <= job->form.limit && -range.low <= job->form.limit;
    }
    if (job->codes != NULL) {
        encode_part(job, row, begin, end, clean);
    }
}

/* The same by the instruction set's own routine. */
static void tiles_piece(const struct job *job, uint64_t row, uint64_t first, uint64_t last)
{
    const uint64_t begin = first * job->tiling.cols, end = least(job->p.hidden, last * job->tiling.cols);
    uint32_t scales[TILES];
    struct qb__tiles tiles = {
        .x = input_at(job, row, begin),
        .count = end - begin,
        .size = job->tiling.cols,
        .form = &job->form,
        .scales = scales,
        .out = job->codes != NULL ? codes_at(job, row, begin) : NULL,
    };

    tiles.stream = job->stream && ((uintptr_t)tiles.out & 63) == 0;
    job->tiles(&tiles);
    store_scales(job, row, first, last - first, scales);
}

static void rows_work(void *context, unsigned index, unsigned count)
{
    const struct job *job = context;
    const uint64_t across = qb__ceil_div(job->tiling.scale_cols, job->piece_tiles);
    uint64_t begin, end;

    qb__cpu_split(job->p.tokens * across, 1, index, count, &begin, &end);
    for (; begin < end; begin++) {
        const uint64_t row = begin / across, first = begin % across * job->piece_tiles;
        const uint64_t last = least(job->tiling.scale_cols, first + job->piece_tiles);

        if (job->tiles != NULL) {
            tiles_piece(job, row, first, last);
        } else {
            rows_piece(job, row, first, last);
        }
    }
    if (job->stream) {
        job->ops->fence();
    }
}

/* ---- A tile that all threads share ------------------------------------------------------------------------------- */

static void raise_shared(uint32_t *shared, float value)
{
    const uint32_t bits = qb__bits_of(value);
    uint32_t old = __atomic_load_n(shared, __ATOMIC_RELAXED);

    /* Numbers that are not negative order as their bits do. */
    while (value > 0 && bits > old &&
           !__atomic_compare_exchange_n(shared, &old, bits, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
    }
}

static void shared_work(void *context, unsigned index, unsigned count)
{
    struct job *job = context;
    uint64_t begin, end;

    qb__cpu_split(job->rows * job->cols, 64, index, count, &begin, &end);
    while (begin < end) {
        const uint64_t col = begin % job->cols, part = least(job->cols - col, end - begin);
        const struct qb__range range = range_of(job, job->row + begin / job->cols, job->col + col, part);

        raise_shared(&job->high, range.high);
        raise_shared(&job->low, -range.low);
        begin += part;
    }
}

/* What the elements of an area are between. */
static struct qb__range shared_range(struct job *job, uint64_t row, uint64_t rows, uint64_t col, uint64_t cols)
{
    job->row = row;
    job->rows = rows;
    job->col = col;
    job->cols = cols;
    job->high = job->low = 0;
    qb__cpu_parallel(job->threads, shared_work, job);
    return (struct qb__range){.low = -qb__float_of(job->low), .high = qb__float_of(job->high)};
}

/* The scales of few tiles, one after the other. */
static void shared_scales(struct job *job)
{
    for (uint64_t r = 0; r < job->tiling.scale_rows; r++) {
        for (uint64_t c = 0; c < job->tiling.scale_cols; c++) {
            const uint64_t row = r * job->tiling.rows, col = c * job->tiling.cols;

            make_scale(job, r, c,
                       shared_range(job, row, least(job->p.tokens - row, job->tiling.rows), col,
                                    least(job->p.hidden - col, job->tiling.cols)));
        }
    }
}

/* ---- Many tiles of several rows ---------------------------------------------------------------------------------- */

/* The scales of tiles FIRST to LAST - 1 of one row of tiles, narrow ones: at most PANEL columns. */
static void narrow_scales(const struct job *job, uint64_t tile_row, uint64_t first, uint64_t last)
{
    const uint64_t row = tile_row * job->tiling.rows, col = first * job->tiling.cols;
    const struct qb__rows rows = {
        .x = input_at(job, row, col),
        .stride = job->p.input_stride,
        .rows = least(job->p.tokens - row, job->tiling.rows),
        .count = least(job->p.hidden, last * job->tiling.cols) - col,
    };
    float amax[PANEL] = {0};

    job->in->amax_columns(&rows, amax, 0);
    for (uint64_t tile = first; tile < last; tile++) {
        struct qb__range range = {0, 0, false};

        for (uint64_t i = (tile - first) * job->tiling.cols;
             i < least(rows.count, (tile - first + 1) * job->tiling.cols); i++) {
            range.high = larger(amax[i], range.high);
        }
        make_scale(job, tile_row, tile, range);
    }
}

/* The scale of one tile. */
static void wide_scale(const struct job *job, uint64_t tile_row, uint64_t tile)
{
    const uint64_t row = tile_row * job->tiling.rows, col = tile * job->tiling.cols;
    const uint64_t end = least(job->p.tokens, row + job->tiling.rows);
    struct qb__range range = {0, 0, false};

    for (uint64_t i = row; i < end; i++) {
        const struct qb__range part = range_of(job, i, col, least(job->p.hidden - col, job->tiling.cols));

        range.high = larger(part.high, range.high);
        range.low = smaller(part.low, range.low);
    }
    make_scale(job, tile_row, tile, range);
}

static void scales_work(void *context, unsigned index, unsigned count)
{
    const struct job *job = context;
    const bool narrow = job->tiling.cols < NARROW_TILE;
    const uint64_t tiles = narrow ? PANEL / job->tiling.cols : 1;
    const uint64_t across = qb__ceil_div(job->tiling.scale_cols, tiles);
    uint64_t begin, end;

    qb__cpu_split(job->tiling.scale_rows * across, 1, index, count, &begin, &end);
    for (; begin < end; begin++) {
        const uint64_t first = begin % across * tiles;

        if (narrow) {
            narrow_scales(job, begin / across, first, least(job->tiling.scale_cols, first + tiles));
        } else {
            wide_scale(job, begin / across, first);
        }
    }
}

/* ---- Which of these ---------------------------------------------------------------------------------------------- */

/* Find the tensor scale, or take it. */
static void find_tensor_scale(struct job *job, float *stored)
{
    float encode;

    if (job->p.tensor_scale == QB_TENSOR_SCALE_GIVEN) {
        qb__form_set_tensor_scale(&job->form, *stored, 1.0f / *stored);
    } else if (job->p.tensor_scale == QB_TENSOR_SCALE_COMPUTED) {
        encode = qb__tensor_encode(&job->form, shared_range(job, 0, job->p.tokens, 0, job->p.hidden).high);
        *stored = 1.0f / encode;
        qb__form_set_tensor_scale(&job->form, *stored, encode);
    }
}

/* Write 0 to the padding of scales, and to the scales, which come after. */
static void clear_padding(const struct job *job)
{
    const struct qb__layout *l = &job->layout;

    if (l->rows * l->cols > job->tiling.scale_rows * job->tiling.scale_cols) {
        memset(job->scales, 0, l->rows * l->cols * qb__element_size(job->p.scale_format));
    }
}

static void quantize_dynamic(struct job *job)
{
    const struct qb__tiling *t = &job->tiling;
    const bool few = t->scale_rows * t->scale_cols < 4 * (uint64_t)job->threads;

    clear_padding(job);
    if (t->rows == 1 && job->p.tokens > 0 && !(few && t->cols >= NARROW_TILE)) {
        /* Pieces end at whole bytes of codes. */
        job->piece_tiles = job->tiles != NULL ? TILES : t->cols >= SPAN ? UNIT : SPAN / t->cols / UNIT * UNIT + UNIT;
        qb__cpu_parallel(job->threads, rows_work, job);
        return;
    }
    if ((few && t->cols >= NARROW_TILE) || job->form.asymmetric) {
        shared_scales(job);
    } else {
        qb__cpu_parallel(job->threads, scales_work, job);
    }
    if (job->codes != NULL) {
        qb__cpu_parallel(job->threads, encode_work, job);
    }
}

/* What the instruction set has for this problem. */
static void choose_routines(struct job *job, const struct qb__cpu_plan *plan, uint64_t bytes)
{
    const struct qb__tiling *t = &job->tiling;
    const bool fits = job->p.granularity == QB_GRANULARITY_GROUP && t->cols >= QB__TILE_LEAST &&
                      t->cols <= QB__TILE_MOST && (t->cols & (t->cols - 1)) == 0;

    if (fits && !job->form.asymmetric && job->p.packing != QB_PACKING_DENSE) {
        job->tiles = job->ops->narrow->tiles[job->p.input][job->p.output];
    }
    job->shifts = job->form.asymmetric && job->p.output == QB_FORMAT_INT8 && t->cols >= NARROW_TILE;
    job->stream = job->codes != NULL && (job->tiles != NULL || job->shifts) && qb__cpu_streams(plan, bytes);
    if (job->shifts && t->rows == 1 && t->cols >= SPAN && job->p.scaling != QB_SCALING_STATIC) {
        job->ahead = qb__cpu_ahead(plan, t->cols * job->element);
    }
}

void qb__cpu_narrow(const struct qb__cpu_ops *ops, const struct qb__cpu_plan *plan, const struct qb_problem *problem,
                    const struct qb_tensors *tensors)
{
    const struct qb_problem *p = problem;
    const bool codes = p->scaling != QB_SCALING_AMAX;
    const uint64_t bytes = p->tokens * p->hidden * (qb__element_size(p->input) + codes);
    struct job job = {
        .ops = ops,
        .in = &ops->inputs[p->input],
        .narrow = &ops->narrow->inputs[p->input],
        .each = ops->narrow->each[p->output],
        .p = *p,
        .tiling = qb__tiling_of(p),
        .layout = qb__layout_of(p),
        .form = qb__form_make(p),
        .element = qb__element_size(p->input),
        .bits = qb__packed_bits(p->output, p->packing),
        .code_row = qb__packed_bytes(p->output, p->packing, p->output_stride),
        .threads = qb__cpu_threads_worth(plan, bytes),
        .input = tensors->at[QB_ROLE_INPUT],
        .codes = codes ? tensors->at[QB_ROLE_CODES] : NULL,
        .scales = tensors->at[QB_ROLE_SCALES],
        .zero_points = tensors->at[QB_ROLE_ZERO_POINTS],
    };

    choose_routines(&job, plan, bytes);
    find_tensor_scale(&job, tensors->at[QB_ROLE_TENSOR_SCALE]);
    if (p->scaling != QB_SCALING_STATIC) {
        quantize_dynamic(&job);
    } else {
        qb__cpu_parallel(job.threads, encode_work, &job);
    }
}
