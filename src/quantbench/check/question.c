/* SPDX-License-Identifier: Apache-2.0 */
/* question.c - composes questions. Each takes little time to answer, however large a tile is: a new element that is
 * larger than the rest of its tile is the tile's amax, so the scale and each code follow from two elements. A sign that
 * is flipped changes a code and no scale.
 *
 * The random numbers begin with the system's entropy, not with the run's seed: a kernel must not foresee them. */
#include <config.h>

#include "check/question.h"
#include "cases/input.h"
#include "check/verify.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* The amax of a tile of this many elements is kept once it was found. */
#define LARGE_TILE 4096

/* ---- Random numbers ----------------------------------------------------------------------------------------- */

static uint64_t entropy(void)
{
    uint64_t seed;
    struct timespec now;

    if (getentropy(&seed, sizeof seed) != 0) {
        clock_gettime(CLOCK_REALTIME, &now);
        seed = input_random((uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec + (uintptr_t)&now);
    }
    return seed;
}

uint64_t questioner_random(struct questioner *q, uint64_t count)
{
    return input_random(q->random_state += INPUT_RANDOM_STEP) % count;
}

/* ---- Elements and tiles ------------------------------------------------------------------------------------- */

/* The bits of the input's formats: those of infinity are above those of all finite magnitudes, NaN's above both. */
struct layout {
    uint32_t sign;
    uint32_t infinity;
    uint32_t one;
    uint32_t binade; /* the step from a magnitude to its double */
};

static struct layout layout_of(enum qb_format format)
{
    const struct qb_format_info *f = qb_format_info(format);
    const uint32_t binade = (uint32_t)1 << f->mantissa_bits;

    return (struct layout){
        .sign = (uint32_t)1 << (f->bits - 1),
        .infinity = f->largest_code + 1,
        .one = (uint32_t)f->bias * binade,
        .binade = binade,
    };
}

static uint32_t load(const struct questioner *q, uint64_t element)
{
    return q->problem.input == QB_FORMAT_F32 ? ((const uint32_t *)q->input)[element]
                                             : ((const uint16_t *)q->input)[element];
}

/* The larger of AMAX and the magnitude of an element, NaN ignored. */
static uint32_t larger(const struct layout *layout, uint32_t bits, uint32_t amax)
{
    uint32_t magnitude = bits & ~layout->sign;

    magnitude = magnitude > layout->infinity ? 0 : magnitude;
    return magnitude > amax ? magnitude : amax;
}

/* The largest magnitude of COLS elements from FIRST on, and AMAX. */
static uint32_t row_amax(const struct questioner *q, uint64_t first, uint64_t cols, uint32_t amax)
{
    const struct layout layout = layout_of(q->problem.input);

    if (q->problem.input == QB_FORMAT_F32) {
        const uint32_t *row = (const uint32_t *)q->input + first;

        for (uint64_t i = 0; i < cols; i++) {
            amax = larger(&layout, row[i], amax);
        }
    } else {
        const uint16_t *row = (const uint16_t *)q->input + first;

        for (uint64_t i = 0; i < cols; i++) {
            amax = larger(&layout, row[i], amax);
        }
    }
    return amax;
}

/* The amax of all columns, each of which is a tile: row by row, as memory likes it. */
static void find_columns(struct questioner *q)
{
    const struct layout layout = layout_of(q->problem.input);

    for (uint64_t row = 0; row < q->problem.tokens; row++) {
        for (uint64_t col = 0; col < q->problem.hidden; col++) {
            q->amaxes[col] = larger(&layout, load(q, row * q->problem.hidden + col), q->amaxes[col]);
        }
    }
    memset(q->known, true, q->tiling.scale_cols * sizeof *q->known);
}

static uint32_t tile_amax(struct questioner *q, uint64_t tile)
{
    const struct tile area = tiling_tile(&q->tiling, tile);
    uint32_t amax = 0;

    if (q->amaxes != NULL && q->known[tile]) {
        return q->amaxes[tile];
    }
    for (uint64_t row = area.first_row; row < area.first_row + area.rows; row++) {
        amax = row_amax(q, row * q->problem.hidden + area.first_col, area.cols, amax);
    }
    if (q->amaxes != NULL) {
        q->amaxes[tile] = amax;
        q->known[tile] = true;
    }
    return amax;
}

enum qb_status questioner_begin(const struct qb_problem *problem, const struct qb_arithmetic *arithmetic,
                                const void *input, const float *given_scales, unsigned sets,
                                struct questioner *questioner)
{
    struct questioner q = {
        .problem = *problem,
        .arithmetic = *arithmetic,
        .input = input,
        .given_scales = given_scales,
        .sets = sets,
        .random_state = entropy(),
        .tiling = tiling_of(problem),
    };
    const struct tile largest = tiling_tile(&q.tiling, 0);
    const uint64_t scales = q.tiling.scale_rows * q.tiling.scale_cols;

    *questioner = q;
    if (given_scales != NULL || largest.rows * largest.cols < LARGE_TILE) {
        return QB_OK;
    }
    questioner->amaxes = calloc(scales, sizeof *q.amaxes);
    questioner->known = calloc(scales, sizeof *q.known);
    if (questioner->amaxes == NULL || questioner->known == NULL) {
        return QB_ERROR_MEMORY;
    }
    if (problem->granularity == QB_GRANULARITY_CHANNEL) {
        find_columns(questioner);
    }
    return QB_OK;
}

void questioner_end(struct questioner *q)
{
    free(q->amaxes);
    free(q->known);
    *q = (struct questioner){.input = NULL};
}

/* ---- Right answers ------------------------------------------------------------------------------------------ */

/* The problem of a tensor that is one element of this one. */
static struct qb_problem single(const struct questioner *q)
{
    struct qb_problem problem = q->problem;

    problem.granularity = QB_GRANULARITY_TENSOR;
    problem.tokens = problem.hidden = 1;
    problem.input_stride = problem.output_stride = 0;
    return problem;
}

/* The scaling of a tile whose amax has the bits AMAX; a dynamic one. */
static enum qb_status scaling_of(const struct questioner *q, uint32_t amax, struct scaling *scaling)
{
    const struct qb_problem problem = single(q);
    const struct qb_tensors buffers =
        QB_TENSORS(&amax, NULL, &scaling->stored); /* the lower half first: hosts are little-endian */

    return qb_reference_scales_as(&problem, &q->arithmetic, &buffers, &scaling->factor);
}

static enum qb_status code_of(const struct questioner *q, uint32_t bits, struct scaling scaling, uint8_t *code)
{
    const struct qb_problem problem = single(q);
    const struct qb_tensors buffers = QB_TENSORS(&bits, code, &scaling.stored);

    if (q->problem.scaling == QB_SCALING_AMAX) {
        *code = 0;
        return QB_OK;
    }
    return qb_reference_codes_as(&problem, &q->arithmetic, &buffers, q->given_scales != NULL ? NULL : &scaling.factor);
}

static enum qb_status base_scaling(struct questioner *q, uint64_t tile, struct scaling *scaling)
{
    if (q->given_scales != NULL) {
        *scaling = (struct scaling){q->given_scales[tile], 0};
        return QB_OK;
    }
    return scaling_of(q, tile_amax(q, tile), scaling);
}

/* ---- Questions ---------------------------------------------------------------------------------------------- */

/* A random code that a right kernel does not write where WANT or OLD is right. */
static uint8_t poison_code(struct questioner *q, uint8_t want, uint8_t old)
{
    uint8_t poison;

    do {
        poison = (uint8_t)questioner_random(q, 256);
    } while (poison == old || verify_is_code(&q->arithmetic, q->problem.output, poison, want));
    return poison;
}

static float poison_scale(struct questioner *q, float want, float old)
{
    uint32_t bits;
    float poison;

    do {
        bits = (uint32_t)questioner_random(q, (uint64_t)1 << 32);
        memcpy(&poison, &bits, sizeof poison);
    } while (verify_is_scale(&q->arithmetic, poison, want) || verify_is_scale(&q->arithmetic, poison, old));
    return poison;
}

static bool has_probe(const struct question *question, unsigned set, uint64_t element)
{
    for (size_t i = 0; i < question->probe_count; i++) {
        if (question->probes[i].set == set && question->probes[i].element == element) {
            return true;
        }
    }
    return false;
}

static const struct scale_probe *find_scale(const struct question *question, unsigned set, uint64_t tile)
{
    for (size_t i = 0; i < question->scale_count; i++) {
        if (question->scales[i].set == set && question->scales[i].tile == tile) {
            return &question->scales[i];
        }
    }
    return NULL;
}

/* Ask about element ELEMENT, which is IS now, of buffer set SET. */
static enum qb_status add_probe(struct questioner *q, struct question *question, unsigned set, uint64_t element,
                                uint32_t is)
{
    const uint64_t tile = tiling_index(&q->tiling, element);
    const struct scale_probe *scale = find_scale(question, set, tile);
    struct probe probe = {.set = set, .element = element, .was = load(q, element), .is = is};
    struct scaling old, want;
    enum qb_status status = QB_OK;

    if (scale != NULL) {
        old = scale->old;
        want = scale->want;
        probe.rescaled = scale->changed;
    } else {
        status = base_scaling(q, tile, &old);
        want = old;
    }
    if (status == QB_OK) {
        status = code_of(q, probe.was, old, &probe.old);
    }
    if (status == QB_OK) {
        status = code_of(q, probe.is, want, &probe.want);
    }
    if (status == QB_OK) {
        probe.poison = poison_code(q, probe.want, probe.old);
        question->probes[question->probe_count++] = probe;
    }
    return status;
}

static uint64_t random_element(struct questioner *q, uint64_t tile)
{
    const struct tile area = tiling_tile(&q->tiling, tile);
    const uint64_t row = area.first_row + questioner_random(q, area.rows);

    return row * q->problem.hidden + area.first_col + questioner_random(q, area.cols);
}

/* A magnitude of two to four times AMAX; false if the format has none. */
static bool magnify(struct questioner *q, uint32_t amax, uint32_t *magnitude)
{
    const struct layout layout = layout_of(q->problem.input);
    const uint32_t from = (amax > 0 ? amax : layout.one) + layout.binade;

    *magnitude = from + (uint32_t)questioner_random(q, layout.binade);
    return *magnitude < layout.infinity;
}

/* Give tile TILE a new element that is its amax. */
static enum qb_status rescale(struct questioner *q, struct question *question, struct scale_probe *scale)
{
    const struct layout layout = layout_of(q->problem.input);
    const uint64_t element = random_element(q, scale->tile);
    uint32_t magnitude;
    enum qb_status status;

    if (!magnify(q, tile_amax(q, scale->tile), &magnitude)) {
        return QB_OK;
    }
    status = scaling_of(q, magnitude, &scale->want);
    scale->changed = true;
    return status == QB_OK ? add_probe(q, question, scale->set, element,
                                       magnitude | (questioner_random(q, 2) == 1 ? layout.sign : 0))
                           : status;
}

/* Give the tile another static scale, up to twice as large. */
static void give_scale(struct questioner *q, struct scale_probe *scale)
{
    const float given = scale->old.stored * (1 + (float)(1 + questioner_random(q, 1 << 20)) * 0x1p-20f);

    if (isfinite(given)) {
        scale->want.stored = given;
        scale->changed = true;
    }
}

/* Ask about the scale of a random tile. */
static enum qb_status add_scale(struct questioner *q, struct question *question, bool rescales)
{
    const unsigned set = (unsigned)questioner_random(q, q->sets);
    const uint64_t tile = tiling_index(&q->tiling, questioner_random(q, q->problem.tokens * q->problem.hidden));
    struct scale_probe *scale = &question->scales[question->scale_count];
    enum qb_status status;

    if (find_scale(question, set, tile) != NULL) {
        return QB_OK;
    }
    *scale = (struct scale_probe){.set = set, .tile = tile};
    status = base_scaling(q, tile, &scale->old);
    if (status != QB_OK) {
        return status;
    }
    scale->want = scale->old;
    question->scale_count++;
    if (rescales && q->given_scales != NULL) {
        give_scale(q, scale);
    } else if (rescales) {
        status = rescale(q, question, scale);
    }
    if (q->given_scales == NULL) {
        scale->poison = poison_scale(q, scale->want.stored, scale->old.stored);
    }
    return status;
}

enum qb_status question_compose(struct questioner *q, bool rescales, size_t scales, size_t probes,
                                struct question *question)
{
    const struct layout layout = layout_of(q->problem.input);
    enum qb_status status = QB_OK;

    question->probe_count = question->scale_count = 0;
    for (size_t i = 0; i < scales && status == QB_OK; i++) {
        status = add_scale(q, question, rescales);
    }
    for (size_t i = 0; i < probes && status == QB_OK; i++) {
        unsigned set = (unsigned)questioner_random(q, q->sets);
        uint64_t element = questioner_random(q, q->problem.tokens * q->problem.hidden);
        const struct scale_probe *scale;

        /* One half lies in the tiles whose scale is asked about. */
        if (i % 2 == 1 && question->scale_count > 0) {
            scale = &question->scales[questioner_random(q, question->scale_count)];
            set = scale->set;
            element = random_element(q, scale->tile);
        }
        scale = find_scale(question, set, tiling_index(&q->tiling, element));
        if (!has_probe(question, set, element)) {
            /* Where a scale has changed the element stays, so that the code of an earlier scale is the old code. */
            uint32_t flipped = scale != NULL && scale->changed ? 0 : layout.sign;

            status = add_probe(q, question, set, element, load(q, element) ^ flipped);
        }
    }
    return status;
}
