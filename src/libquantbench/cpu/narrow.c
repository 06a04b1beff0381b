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
    DENSE = 8192,     /* codes that are put together after that; as many tiles as a batch of them has at least */
    PANEL = 256,      /* columns of high tiles whose amax is found at a time */
    NARROW_TILE = 64, /* high tiles of fewer columns are worked on by columns */
    RUN_LEAST = 16,   /* elements in a row that share a scale, for them to be encoded as a run */
    MIXED_ROWS = 32,  /* of shorter runs, for which scales are looked up once */
    UNIT = 8          /* tiles that fill whole bytes of codes, of any width */
};

struct job {
    const struct qb__cpu_ops *ops;
    const struct qb__cpu_input *in;
    const struct qb__narrow_input *narrow;
    void (*each)(const struct qb__each *run);
    qb__tiles_routine *tiles; /* NULL: not for these tiles */
    bool given;               /* TILES is to take the scales that there are */
    bool runs;                /* many elements in a row share a scale */
    struct qb__rule rule;
    /* By one scale: at most one of the two, of which the second is for codes of less than a byte. */
    const struct qb__cpu_pair *pair;
    void (*encode)(uint8_t *out, const void *x, size_t count, const struct qb__divisor *divisor);
    bool stream;  /* the codes, with non-temporal stores */
    bool far;     /* as in struct qb__tiles */
    size_t ahead; /* as in struct qb__access */
    struct qb_problem p;
    struct qb__tiling tiling;
    struct qb__layout layout;
    struct qb__form form;
    size_t element;    /* bytes of an input element */
    unsigned bits;     /* of a code in memory */
    uint64_t code_row; /* bytes from one row of codes to the next */
    unsigned threads;
    uint64_t first; /* the row that is at INPUT; from there on there are as many as the problem has tokens */
    const char *input;
    uint8_t *codes; /* NULL: the scales are all that is computed */
    void *scales;
    int8_t *zero_points;
    uint64_t piece_tiles; /* tiles in a piece, where a piece computes its scales */
    /* Of dynamic tiles of one row: the tensor scales that are given, and the tiles of a row that share one. */
    const float *tensor_scales;
    uint64_t tensor_tiles;
    const float *encodes, *tensors; /* of each tile of a row, as in struct qb__tiles; else NULL */
    /* What all threads work on together: some rows and columns, and the bits of the largest x and -x there. */
    uint64_t row, rows, col, cols;
    uint32_t high, low;
};

static const char *input_at(const struct job *job, uint64_t row, uint64_t col)
{
    return job->input + ((row - job->first) * job->p.input_stride + col) * job->element;
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
    uint32_t amax;

    if (job->form.asymmetric) {
        return job->narrow->range(input_at(job, row, col), count);
    }
    amax = job->in->amax(input_at(job, row, col), count);

    return (struct qb__range){.high = qb__float_of(amax & ~QB__AMAX_NAN), .nan = (amax & QB__AMAX_NAN) != 0};
}

/* ---- Codes by scales that are in memory ------------------------------------------------------------------------- */

/* What each of some elements belongs to. */
struct mixed {
    float factors[SPAN];
    int16_t zero_points[SPAN];
};

/* Encode COUNT elements, at most SPAN, each by its place in MIXED, to one code in each byte. */
static void encode_each(const struct job *job, const void *x, uint64_t count, const struct mixed *mixed, uint8_t *codes)
{
    float v[SPAN];
    const struct qb__each run = {
        v, mixed->factors, mixed->zero_points, count, job->form.multiplies, job->form.asymmetric, codes};

    job->narrow->values(v, x, count);
    job->each(&run);
}

/* How the elements of one tile become codes. */
struct recipe {
    enum { RECIPE_EACH, RECIPE_DIVISOR, RECIPE_SHIFTED } kind;
    struct qb__stored stored;
    float factor;
    struct qb__divisor divisor;
    struct qb__shifted shifted;
};

/* Set R's routine by a zero point. CLEAN: no element is NaN, or beyond what the scale was made from. */
static void set_shifted(struct recipe *r, const struct job *job, bool clean)
{
    /* Far beyond the last code, and far below what a conversion to 32 bits can hold. */
    const float scale = r->factor, cap = scale * 1024.0f;
    const bool half = job->p.input == QB_FORMAT_F16;

    r->kind = RECIPE_SHIFTED;
    r->shifted.zero_point = r->stored.zero_point;
    r->shifted.least = (int)qb__least(job->p.output);
    r->shifted.most = (int)qb__formats[job->p.output].largest;
    r->shifted.clean = clean;
    r->shifted.ahead = job->ahead;
    r->shifted.cap = qb__bits_below(half ? smaller(cap, qb__formats[QB_FORMAT_F16].largest) : cap, job->p.input);
    r->shifted.reciprocal = 1.0f / scale;
    r->shifted.rest = qb__reciprocal_rest(scale, r->shifted.reciprocal);
}

/* Set R, every time for a few elements: only what its kind needs. CLEAN as above. */
static void recipe_make(struct recipe *r, const struct job *job, uint64_t tile_row, uint64_t tile, bool clean)
{
    float factor;

    r->kind = RECIPE_EACH;
    r->stored = load_scale(job, tile_row, tile);
    r->factor = factor = qb__factor_of(&job->form, r->stored.code);
    if (job->form.asymmetric && factor >= QB__CORRECT_LEAST && factor <= QB__CORRECT_MOST) {
        set_shifted(r, job, clean);
    } else if ((job->pair != NULL || job->encode != NULL) && factor > 0 && factor <= FLT_MAX) {
        r->kind = RECIPE_DIVISOR;
        if (job->form.multiplies) {
            r->divisor = qb__divisor_by(factor, &job->rule);
        } else {
            /* A closer look at the scale pays for longer runs alone than most are. */
            job->ops->prepare(&r->divisor, factor, &job->rule, clean, 0);
        }
    }
}

/* Encode COUNT elements that share R, of any kind. */
static void run_each(const struct job *job, const struct recipe *r, const char *x, uint64_t count, uint8_t *codes)
{
    struct mixed mixed;

    for (uint64_t i = 0; i < least(count, SPAN); i++) {
        mixed.factors[i] = r->factor;
        mixed.zero_points[i] = (int16_t)r->stored.zero_point;
    }
    for (uint64_t i = 0; i < count; i += SPAN) {
        encode_each(job, x + i * job->element, least(count - i, SPAN), &mixed, codes + i);
    }
}

/* The same by a zero point. */
static void run_shifted(const struct job *job, struct recipe *r, const char *x, uint64_t count, uint8_t *codes,
                        bool stream)
{
    struct qb__shifted *run = &r->shifted;
    uint64_t i = stream ? least(count, -(uintptr_t)codes & 63) : 0;

    run->stream = stream;
    if (i > 0) {
        run_each(job, r, x, i, codes);
    }
    while (i < count) {
        uint64_t left;

        run->x = x + i * job->element;
        run->count = count - i;
        run->out = codes + i;
        i += job->narrow->shifted(run);
        left = least(count - i, SPAN); /* a multiple of a line, or the end */
        if (left > 0) {
            run_each(job, r, x + i * job->element, left, codes + i);
        }
        i += left;
    }
}

/* Encode COUNT elements that share R to one code in each byte. */
static void run_codes(const struct job *job, struct recipe *r, const char *x, uint64_t count, uint8_t *codes,
                      bool stream)
{
    const struct qb__access access = {.stream = stream, .ahead = job->ahead};

    if (r->kind == RECIPE_SHIFTED) {
        run_shifted(job, r, x, count, codes, stream);
    } else if (r->kind == RECIPE_EACH) {
        run_each(job, r, x, count, codes);
    } else if (job->pair != NULL) {
        job->pair->encode(codes, x, count, &r->divisor, &access);
    } else {
        job->encode(codes, x, count, &r->divisor);
    }
}

/* Runs of the columns from COL to END - 1 of one row, of codes that are bytes. CLEAN as above. */
static void encode_bytes(const struct job *job, uint64_t row, uint64_t col, uint64_t end, bool clean)
{
    const uint64_t cols = job->tiling.cols;
    struct recipe r;

    while (col < end) {
        const uint64_t next = least(end, (col / cols + 1) * cols);

        recipe_make(&r, job, row / job->tiling.rows, col / cols, clean);
        run_codes(job, &r, input_at(job, row, col), next - col, codes_at(job, row, col), job->stream);
        col = next;
    }
}

/* The same of codes that are put together. */
static void encode_packed(const struct job *job, uint64_t row, uint64_t col, uint64_t end, bool clean)
{
    const uint64_t cols = job->tiling.cols;
    struct recipe r;
    uint64_t of = UINT64_MAX; /* the tile of R */
    uint8_t codes[SPAN];

    for (; col < end; col += SPAN) {
        const uint64_t count = least(end - col, SPAN);

        for (uint64_t i = 0; i < count;) {
            const uint64_t tile = (col + i) / cols, next = least(count, (tile + 1) * cols - col);

            if (tile != of) {
                recipe_make(&r, job, row / job->tiling.rows, tile, clean);
                of = tile;
            }
            run_codes(job, &r, input_at(job, row, col + i), next - i, codes + i, false);
            i = next;
        }
        job->ops->narrow->pack(codes_at(job, row, col), codes, count, job->bits);
    }
}

/* What COUNT columns from COL on belong to, at most SPAN. */
static void mixed_make(const struct job *job, struct mixed *mixed, uint64_t tile_row, uint64_t col, uint64_t count)
{
    for (uint64_t i = 0; i < count;) {
        const uint64_t tile = (col + i) / job->tiling.cols;
        const uint64_t end = least(count, (tile + 1) * job->tiling.cols - col);
        const struct qb__stored stored = load_scale(job, tile_row, tile);
        const float factor = qb__factor_of(&job->form, stored.code);

        for (; i < end; i++) {
            mixed->factors[i] = factor;
            mixed->zero_points[i] = (int16_t)stored.zero_point;
        }
    }
}

/* COUNT columns of some rows, each by its own scale. */
static void encode_mixed(const struct job *job, uint64_t row, uint64_t rows, uint64_t col, uint64_t count)
{
    struct mixed mixed;
    uint8_t codes[SPAN];

    for (uint64_t i = row; i < row + rows; i++) {
        uint8_t *out = codes_at(job, i, col);

        if (i == row || i % job->tiling.rows == 0) {
            mixed_make(job, &mixed, i / job->tiling.rows, col, count);
        }
        encode_each(job, input_at(job, i, col), count, &mixed, job->bits == 8 ? out : codes);
        if (job->bits != 8) {
            job->ops->narrow->pack(out, codes, count, job->bits);
        }
    }
}

/* The columns from COL to END - 1 of one row, which begin at a byte. CLEAN as above. */
static void encode_part(const struct job *job, uint64_t row, uint64_t col, uint64_t end, bool clean)
{
    if (job->runs && job->bits == 8) {
        encode_bytes(job, row, col, end, clean);
    } else if (job->runs) {
        encode_packed(job, row, col, end, clean);
    } else {
        for (; col < end; col += SPAN) {
            encode_mixed(job, row, 1, col, least(end - col, SPAN));
        }
    }
}

/* Pieces of rows, or of several rows where each column belongs to something else. */
static void encode_work(void *context, unsigned index, unsigned count)
{
    const struct job *job = context;
    const uint64_t width = job->runs ? (uint64_t)SPAN * PIECE_SPANS : SPAN, height = job->runs ? 1 : MIXED_ROWS;
    const uint64_t across = qb__ceil_div(job->p.hidden, width);
    uint64_t begin, end;

    qb__cpu_split(qb__ceil_div(job->p.tokens, height) * across, 1, index, count, &begin, &end);
    for (; begin < end; begin++) {
        const uint64_t row = begin / across * height, col = begin % across * width;
        const uint64_t rows = least(job->p.tokens - row, height);

        if (job->runs) {
            encode_part(job, job->first + row, col, least(job->p.hidden, col + width), false);
        } else {
            encode_mixed(job, job->first + row, rows, col, least(job->p.hidden - col, width));
        }
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

/* The codes of the scales of tiles FIRST to LAST - 1; false if there is something among them that is not to multiply
 * with. */
static bool load_factors(const struct job *job, uint64_t row, uint64_t first, uint64_t last, uint32_t *codes)
{
    bool all = true;

    for (uint64_t i = first; i < last; i++) {
        const uint32_t code = load_scale(job, row, i).code;
        const float factor = qb__factor_of(&job->form, code);

        codes[i - first] = code;
        all = all && factor > 0 && factor <= FLT_MAX;
    }
    return all;
}

/* The same by the instruction set's own routine. */
static void tiles_piece(const struct job *job, uint64_t row, uint64_t first, uint64_t last)
{
    const uint64_t begin = first * job->tiling.cols, end = least(job->p.hidden, last * job->tiling.cols);
    const bool packs = job->p.packing == QB_PACKING_DENSE && job->codes != NULL;
    uint32_t scales[TILES];
    uint8_t codes[DENSE];
    struct qb__tiles tiles = {
        .x = input_at(job, row, begin),
        .count = end - begin,
        .size = job->tiling.cols,
        .form = &job->form,
        .encodes = job->encodes != NULL ? job->encodes + first : NULL,
        .tensors = job->tensors != NULL ? job->tensors + first : NULL,
        .scales = scales,
        .out = packs                ? codes
               : job->codes != NULL ? codes_at(job, row, begin)
                                    : NULL,
    };

    if (job->given && !load_factors(job, row, first, last, scales)) {
        encode_part(job, row, begin, end, false);
        return;
    }
    tiles.given = job->given;
    tiles.stream = job->stream && ((uintptr_t)tiles.out & 63) == 0;
    tiles.far = job->far;
    job->tiles(&tiles);
    if (!job->given) {
        store_scales(job, row, first, last - first, scales);
    }
    if (packs) {
        job->ops->narrow->pack(codes_at(job, row, begin), codes, end - begin, job->bits);
    }
}

/* Take tensor scale INDEX. */
static void take_tensor_scale(struct job *job, uint64_t index)
{
    if (job->tensor_scales != NULL) {
        qb__form_set_tensor_scale(&job->form, job->tensor_scales[index], 1.0f / job->tensor_scales[index]);
    }
}

static void rows_work(void *context, unsigned index, unsigned count)
{
    struct job own = *(const struct job *)context, *job = &own;
    const uint64_t tensors = job->tiling.scale_cols / job->tensor_tiles;
    const uint64_t pieces = qb__ceil_div(job->tensor_tiles, job->piece_tiles), across = tensors * pieces;
    uint64_t begin, end;

    qb__cpu_split(job->p.tokens * across, 1, index, count, &begin, &end);
    for (; begin < end; begin++) {
        const uint64_t row = job->first + begin / across, tensor = begin % across / pieces;
        const uint64_t first = tensor * job->tensor_tiles + begin % pieces * job->piece_tiles;
        const uint64_t last = least((tensor + 1) * job->tensor_tiles, first + job->piece_tiles);

        take_tensor_scale(job, tensor);
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
        job->tensor_scales = stored;
        take_tensor_scale(job, 0);
    } else if (job->p.tensor_scale == QB_TENSOR_SCALE_COMPUTED) {
        encode = qb__tensor_encode(&job->form, shared_range(job, 0, job->p.tokens, 0, job->p.hidden).high);
        *stored = 1.0f / encode;
        qb__form_set_tensor_scale(&job->form, *stored, encode);
    }
}

void qb__cpu_narrow_clear(const struct qb__cpu_plan *plan, const struct qb_problem *problem,
                          const struct qb_tensors *tensors)
{
    const struct qb__layout l = qb__layout_of(problem);
    const struct qb__tiling t = qb__tiling_of(problem);

    if (!plan->is_part && problem->scaling != QB_SCALING_STATIC && l.rows * l.cols > t.scale_rows * t.scale_cols) {
        memset(tensors->at[QB_ROLE_SCALES], 0, l.rows * l.cols * qb__element_size(problem->scale_format));
    }
}

/* How many tiles of a row are a piece: pieces end at whole bytes of codes. */
static uint64_t piece_tiles(const struct job *job)
{
    const uint64_t cols = job->tiling.cols;

    if (job->tiles != NULL) {
        return job->p.packing == QB_PACKING_DENSE ? least(TILES, DENSE / cols) : TILES;
    }
    return cols >= SPAN ? UNIT : SPAN / cols / UNIT * UNIT + UNIT;
}

static void quantize_dynamic(struct job *job)
{
    const struct qb__tiling *t = &job->tiling;
    const bool few = t->scale_rows * t->scale_cols < 4 * (uint64_t)job->threads;

    if (t->rows == 1 && job->p.tokens > 0 && !(few && t->cols >= NARROW_TILE)) {
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
    const bool given = job->p.scaling == QB_SCALING_STATIC;
    /* Only whole lines are worth non-temporal stores. */
    const bool lines = t->cols >= SPAN || t->cols % 64 == 0;
    const struct qb__narrow_ops *narrow = job->ops->narrow;
    const struct qb__cpu_pair *pair = &job->ops->pairs[job->p.input][job->p.output];

    job->runs = t->cols >= RUN_LEAST;
    if (fits && !job->form.asymmetric && (job->form.multiplies || !given)) {
        job->tiles = narrow->tiles[job->p.input][job->p.output];
        job->given = given && job->tiles != NULL;
    }
    job->piece_tiles = piece_tiles(job);
    if (!job->form.asymmetric && (!job->form.multiplies || narrow->any_factor)) {
        job->encode = narrow->encode[job->p.input][job->p.output];
        job->pair = pair->encode != NULL ? pair : NULL;
    }
    job->far = true;
    job->stream = job->codes != NULL && qb__cpu_streams(plan, bytes) &&
                  (job->tiles != NULL ? job->p.packing != QB_PACKING_DENSE
                                      : job->runs && job->bits == 8 && job->encode == NULL && lines);
    if (job->runs && t->rows == 1 && t->cols >= SPAN && job->p.scaling != QB_SCALING_STATIC) {
        job->ahead = qb__cpu_ahead(plan, t->cols * job->element);
    }
}

static struct job job_of(const struct qb__cpu_ops *ops, const struct qb__cpu_plan *plan, const struct qb_problem *p,
                         const struct qb_tensors *tensors)
{
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
        .rule = qb__rule_make(p),
        .element = qb__element_size(p->input),
        .bits = qb__packed_bits(p->output, p->packing),
        .code_row = qb__packed_bytes(p->output, p->packing, p->output_stride),
        .threads = qb__cpu_threads_worth(plan, bytes),
        .input = tensors->at[QB_ROLE_INPUT],
        .codes = codes ? tensors->at[QB_ROLE_CODES] : NULL,
        .scales = tensors->at[QB_ROLE_SCALES],
        .zero_points = tensors->at[QB_ROLE_ZERO_POINTS],
    };

    job.tensor_tiles = job.tiling.scale_cols / qb__tensor_scales(p);
    choose_routines(&job, plan, bytes);
    return job;
}

void qb__cpu_narrow(const struct qb__cpu_ops *ops, const struct qb__cpu_plan *plan, const struct qb_problem *problem,
                    const struct qb_tensors *tensors)
{
    struct job job = job_of(ops, plan, problem, tensors);

    find_tensor_scale(&job, tensors->at[QB_ROLE_TENSOR_SCALE]);
    if (problem->scaling != QB_SCALING_STATIC) {
        qb__cpu_narrow_clear(plan, problem, tensors);
        quantize_dynamic(&job);
    } else {
        qb__cpu_parallel(job.threads, job.given ? rows_work : encode_work, &job);
    }
}

void qb__cpu_tile_factors(const struct qb_problem *problem, const float *stored, float *factors)
{
    const uint64_t tiles = qb__tiling_of(problem).scale_cols, tensor_tiles = tiles / qb__tensor_scales(problem);
    struct qb__form form = qb__form_make(problem);

    for (uint64_t i = 0; i < tiles; i++) {
        if (i % tensor_tiles == 0) {
            qb__form_set_tensor_scale(&form, stored[i / tensor_tiles], 1.0f / stored[i / tensor_tiles]);
        }
        factors[i] = form.encode;
        factors[tiles + i] = form.tensor;
    }
}

void qb__cpu_narrow_rows(const struct qb__cpu_ops *ops, const struct qb__cpu_plan *plan,
                         const struct qb_problem *problem, const struct qb_tensors *tensors,
                         const struct qb__cpu_rows *rows)
{
    struct job job = job_of(ops, plan, problem, tensors);

    job.input = rows->values;
    job.first = rows->first;
    job.p.tokens = rows->rows;
    job.stream = job.stream && rows->stream;
    job.far = rows->far;
    job.ahead = 0;
    if (rows->factors != NULL && job.tiles != NULL) {
        job.encodes = rows->factors;
        job.tensors = rows->factors + job.tiling.scale_cols;
        job.tensor_tiles = job.tiling.scale_cols;
    } else {
        find_tensor_scale(&job, tensors->at[QB_ROLE_TENSOR_SCALE]);
    }
    if (problem->scaling != QB_SCALING_STATIC || job.given) {
        rows_work(&job, 0, 1);
    } else {
        encode_work(&job, 0, 1);
    }
}
