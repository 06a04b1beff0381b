/* SPDX-License-Identifier: Apache-2.0 */
/* kv_read.c - keys and values from the pages of a cache, written once for all instruction sets. Each token is a few
 * runs of codes that lie side by side in the cache, and is the work of one thread. */
#include <config.h>

#include "kv_read.h"
#include "scales.h"
#include "threads.h"
#include "values.h"

enum {
    PIECE = 4096, /* elements that are worked on at a time */
    SPAN = 512,   /* the same where each may have a scale of its own */
    NVFP4_GROUP = 16,
    ONE = 30 /* the shift by which all elements of a piece have the same scale */
};

struct job {
    const struct qb__cpu_ops *ops;
    const struct qb_problem *p;
    const int64_t *slots;
    const uint8_t *codes;
    const void *scales;
    const float *tensor_scales; /* NULL: there are none */
    char *values;
    size_t element;                     /* bytes of a value */
    unsigned bits;                      /* of a code */
    uint64_t run;                       /* codes of a token that lie side by side */
    uint64_t tile;                      /* columns that share a scale */
    uint64_t whole;                     /* codes of a run under one tensor scale */
    uint64_t piece;                     /* of these, what is worked on at a time */
    uint64_t tensor;                    /* columns that share a tensor scale */
    uint64_t tiles, tensors, run_tiles; /* of a side, the first two; whole ones of a run */
    unsigned shift;                     /* from elements of a piece to its tiles; 0: each element is given its scale */
    bool stream;
};

/* The keys or values of a token. */
struct side {
    const float *scales;        /* in binary32: that of their first tile, and on from there */
    const float *tensor_scales; /* that of their first columns */
    char *out;                  /* of their first column */
};

/* COUNT elements from column COL of a side on. */
struct part {
    uint64_t col, count;
    uint64_t code; /* the place of the first code, in elements of the cache */
    uint64_t tile; /* that of the first, unless each element is given its scale */
};

/* The keys (INDEX 0) or values of the token in SLOT, whose values go to ROW. */
static struct side side_of(const struct job *job, uint64_t index, uint64_t slot, char *row)
{
    const struct qb_problem *p = job->p;
    const uint64_t first = p->scaling == QB_SCALING_STATIC ? index : index * p->pages * p->page_size + slot;

    return (struct side){
        .scales = (const float *)job->scales + first * job->tiles,
        .tensor_scales = job->tensor_scales != NULL ? job->tensor_scales + index * job->tensors : NULL,
        .out = row + index * (p->hidden / 2) * job->element,
    };
}

/* The scales of PART: those of binary32 where they are, or as ROOM has them. */
static const float *load_scales(const struct job *job, const struct side *side, const struct part *part, float *room)
{
    if (job->p->scale_format != QB_FORMAT_F32) { /* in the order of the codes */
        const uint8_t *codes = (const uint8_t *)job->scales + part->code / NVFP4_GROUP;

        for (uint64_t i = 0; i < part->count / NVFP4_GROUP; i++) {
            const uint32_t magnitude = codes[i] & 0x7Fu, sign = (codes[i] & 0x80u) << 24;
            /* Without branches, and without subnormal numbers of binary32. */
            const float low = qb__float_of((magnitude << 20) + (121u << 23)) - 0x1p-6f;
            const uint32_t bits = magnitude < 8 ? qb__bits_of(low) : (magnitude << 20) + (120u << 23);

            room[i] = qb__float_of((magnitude == 0x7F ? 0x7FC00000u : bits) | sign);
        }
        return room;
    }
    if (job->shift > 0) {
        return side->scales + part->tile;
    }
    for (uint64_t i = 0; i < part->count; i++) {
        room[i] = side->scales[(part->col + i) / job->tile];
    }
    return room;
}

/* True if one of COUNT scales is not finite and > 0. */
static bool some_odd(const float *scales, uint64_t count)
{
    bool odd = false;

    for (uint64_t i = 0; i < count; i++) {
        odd |= !(scales[i] > 0 && scales[i] <= FLT_MAX);
    }
    return odd;
}

static void read_part(const struct job *job, const struct side *side, const struct part *part)
{
    float room[SPAN];
    struct qb__decode run = {
        .codes = job->codes + part->code * job->bits / 8,
        .from = job->p->output,
        .count = part->count,
        .scales = load_scales(job, side, part, room),
        .shift = job->shift,
        .has_tensor = side->tensor_scales != NULL,
        .tensor =
            side->tensor_scales == NULL ? 1 : side->tensor_scales[job->tensors == 1 ? 0 : part->col / job->tensor],
        .out = side->out + part->col * job->element,
        .stream = job->stream,
    };

    run.odd = some_odd(run.scales, job->shift == ONE ? 1 : job->shift == 0 ? part->count : part->count >> job->shift);
    job->ops->values->decode[job->p->input](&run);
}

/* All of SIDE, whose first run is at CODE; others are a head's slots of a page away. */
static void read_side(const struct job *job, const struct side *side, uint64_t code)
{
    const struct qb_problem *p = job->p;
    uint64_t tile = 0;

    for (uint64_t col = 0; col < p->hidden / 2; col += job->run, code += p->page_size * p->head_size) {
        struct part part = {.col = col, .code = code, .tile = tile};

        for (uint64_t wholes = job->run / job->whole; wholes > 0; wholes--) {
            for (uint64_t left = job->whole; left > 0; left -= part.count) {
                part.count = left < job->piece ? left : job->piece;
                read_part(job, side, &part);
                part.col += part.count;
                part.code += part.count;
                part.tile += part.count >> job->shift;
            }
        }
        tile += job->run_tiles;
    }
}

static void tokens_work(void *context, unsigned index, unsigned count)
{
    const struct job *job = context;
    const struct qb_problem *p = job->p;
    const uint64_t side = p->pages * p->page_size * (p->hidden / 2);
    uint64_t begin, end;

    for (qb__cpu_split(p->tokens, 1, index, count, &begin, &end); begin < end; begin++) {
        if (job->slots[begin] >= 0) {
            const uint64_t slot = (uint64_t)job->slots[begin], code = qb__cache_code(p, slot, 0);
            char *row = job->values + begin * p->input_stride * job->element;

            const struct side keys = side_of(job, 0, slot, row), values = side_of(job, 1, slot, row);

            read_side(job, &keys, code);
            read_side(job, &values, side + code);
        }
    }
    if (job->stream) {
        job->ops->fence();
    }
}

/* Choose how much of a run is worked on at a time, so that scales are found by a shift where that can be. */
static void choose_piece(struct job *job)
{
    const uint64_t whole = job->run < job->tensor ? job->run : job->tensor; /* one divides the other */
    const bool is_power = job->tile >= 16 && (job->tile & (job->tile - 1)) == 0;

    job->shift = job->tile >= whole ? ONE : is_power && job->tile <= PIECE ? (unsigned)__builtin_ctzll(job->tile) : 0;
    job->whole = job->piece = whole;
    if (job->shift == 0) {
        job->piece = whole < SPAN ? whole : SPAN;
    } else if (job->p->scale_format != QB_FORMAT_F32 || job->shift != ONE) {
        job->piece = whole < PIECE ? whole : PIECE;
    }
}

void qb__cpu_kv_read(const struct qb__cpu_ops *ops, const struct qb__cpu_plan *plan, const struct qb_problem *problem,
                     const struct qb_tensors *tensors)
{
    const struct qb_problem *p = problem;
    struct job job = {
        .ops = ops,
        .p = p,
        .slots = tensors->at[QB_ROLE_SLOTS],
        .codes = tensors->at[QB_ROLE_CODES],
        .scales = tensors->at[QB_ROLE_SCALES],
        .tensor_scales = p->tensor_scale != QB_TENSOR_SCALE_NONE ? tensors->at[QB_ROLE_TENSOR_SCALE] : NULL,
        .values = tensors->at[QB_ROLE_VALUES],
        .element = qb__element_size(p->input),
        .bits = qb__packed_bits(p->output, p->packing),
        .run = p->page_layout == QB_PAGE_LAYOUT_NHD ? p->hidden / 2 : p->head_size,
        .tile = qb__kv_tile_cols(p),
        .tensor = qb__tensor_scale_cols(p),
        .tiles = p->hidden / 2 / qb__kv_tile_cols(p),
        .tensors = p->hidden / 2 / qb__tensor_scale_cols(p),
        .stream = qb__cpu_streams(plan, qb__cpu_moved_bytes(p)),
    };

    job.run_tiles = job.run / job.tile;
    choose_piece(&job);
    qb__cpu_parallel(qb__cpu_threads_worth(plan, qb__cpu_moved_bytes(p)), tokens_work, &job);
}
