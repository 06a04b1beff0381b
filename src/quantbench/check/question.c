/* SPDX-License-Identifier: Apache-2.0 */
/* question.c - composes questions. Each takes little time to answer, however large a tile is: a new element that is
 * larger than the rest of its tile is the tile's amax, so the scale and each code follow from two elements. A sign that
 * is flipped changes a code and no scale.
 *
 * The random numbers begin with the system's entropy, not with the run's seed: a kernel must not foresee them. */
#include <config.h>

#include "base/binary32.h"
#include "check/question.h"
#include "check/cache.h"
#include "check/scales.h"
#include "cases/input.h"
#include "cases/values.h"
#include "check/verify.h"
#include "model/operation.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* The amax of a tile of this many elements is kept once it was found. */
#define LARGE_TILE 4096

/* ---- Random numbers ----------------------------------------------------------------------------------------- */

uint64_t questioner_entropy(void)
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

static bool dequantizes(const struct questioner *q)
{
    return operation_reads_codes(q->whole.operation);
}

enum qb_role questioner_answer(const struct questioner *q)
{
    return dequantizes(q) ? QB_ROLE_VALUES : QB_ROLE_CODES;
}

bool questioner_is_answer(const struct questioner *q, uint32_t got, uint32_t want)
{
    return dequantizes(q) ? verify_is_value(&q->whole, &q->arithmetic, q->problem.input, got, want)
                          : verify_is_code(&q->whole, &q->arithmetic, (uint8_t)got, (uint8_t)want);
}

static uint32_t load(const struct questioner *q, uint64_t element)
{
    return change_bits(q->problem.input, q->input, element);
}

/* A range that has nothing. */
static const struct ends nothing = {UINT32_MAX, 0};

/* Numbers that are in the order of what BITS means. */
static uint32_t key_of(const struct layout *layout, uint32_t bits)
{
    return (bits & layout->sign) != 0 ? layout->sign - (bits & ~layout->sign) - 1 : bits + layout->sign;
}

static uint32_t bits_of(const struct layout *layout, uint32_t key)
{
    return key < layout->sign ? layout->sign | (layout->sign - key - 1) : key - layout->sign;
}

/* Let RANGE have the element BITS too, unless it is NaN. */
static void widen(const struct layout *layout, uint32_t bits, struct ends *range)
{
    const uint32_t key = key_of(layout, bits);

    if ((bits & ~layout->sign) <= layout->infinity) {
        range->low = key < range->low ? key : range->low;
        range->high = key > range->high ? key : range->high;
    }
}

/* The bits of the largest magnitude in RANGE. */
static uint32_t amax_of(const struct layout *layout, struct ends range)
{
    const uint32_t low = bits_of(layout, range.low) & ~layout->sign;
    const uint32_t high = bits_of(layout, range.high) & ~layout->sign;

    return range.low > range.high ? 0 : low > high ? low : high;
}

/* Widen RANGE by COLS elements from FIRST on. */
static void add_row(const struct questioner *q, uint64_t first, uint64_t cols, struct ends *range)
{
    const struct layout layout = layout_of(q->problem.input);

    if (q->problem.input == QB_FORMAT_F32) {
        const uint32_t *row = (const uint32_t *)q->input + first;

        for (uint64_t i = 0; i < cols; i++) {
            widen(&layout, row[i], range);
        }
    } else {
        const uint16_t *row = (const uint16_t *)q->input + first;

        /* The sign's place is that of 16 bits. */
        for (uint64_t i = 0; i < cols; i++) {
            widen(&layout, row[i], range);
        }
    }
}

/* The ranges of all columns, each of which is a tile: row by row, as memory likes it. */
static void find_columns(struct questioner *q)
{
    const struct layout layout = layout_of(q->problem.input);

    for (uint64_t col = 0; col < q->problem.hidden; col++) {
        q->ranges[col] = nothing;
    }
    for (uint64_t row = 0; row < q->problem.tokens; row++) {
        for (uint64_t col = 0; col < q->problem.hidden; col++) {
            widen(&layout, load(q, row * q->problem.hidden + col), &q->ranges[col]);
        }
    }
    memset(q->known, true, q->tiling.scale_cols * sizeof *q->known);
}

static struct ends tile_range(struct questioner *q, uint64_t tile)
{
    const struct tile area = tiling_tile(&q->tiling, tile);
    struct ends range = nothing;

    if (q->ranges != NULL && q->known[tile]) {
        return q->ranges[tile];
    }
    for (uint64_t row = area.first_row; row < area.first_row + area.rows; row++) {
        add_row(q, row * q->problem.hidden + area.first_col, area.cols, &range);
    }
    if (q->ranges != NULL) {
        q->ranges[tile] = range;
        q->known[tile] = true;
    }
    return range;
}

static bool is_static(const struct questioner *q)
{
    return q->given.at[QB_ROLE_SCALES] != NULL;
}

/* ---- Right answers ------------------------------------------------------------------------------------------ */

/* The problem of a row of COUNT elements in tiles of GROUP. */
static struct qb_problem single(const struct questioner *q, uint64_t count, uint64_t group)
{
    struct qb_problem problem = q->problem;

    problem.granularity = QB_GRANULARITY_GROUP;
    problem.group = group;
    problem.hidden = count;
    problem.tokens = 1;
    problem.input_stride = problem.output_stride = problem.scale_stride = problem.tensor_scale_cols = 0;
    problem.packing = QB_PACKING_BYTES;
    problem.scale_layout = QB_SCALE_LAYOUT_ROWS;
    return problem;
}

/* The tensors of such a problem. */
static struct qb_tensors single_tensors(void *input, uint8_t *code, struct scaling *scaling)
{
    struct qb_tensors tensors = QB_TENSORS(input, code, &scaling->stored);

    tensors.at[QB_ROLE_ZERO_POINTS] = &scaling->zero_point;
    tensors.at[QB_ROLE_TENSOR_SCALE] = &scaling->tensor.scale;
    return tensors;
}

/* Find the scaling of a tile of RANGE in a tensor of TENSOR, if its scales are dynamic, and the tensor's scale, if that
 * is computed. Such a tensor is another tile. */
static enum qb_status scaling_of(const struct questioner *q, struct ends range, struct tensor_scaling tensor,
                                 struct scaling *scaling)
{
    const struct qb_problem problem = single(q, 4, 2);
    const struct layout layout = layout_of(q->problem.input);
    const bool computed = problem.tensor_scale == QB_TENSOR_SCALE_COMPUTED;
    const uint32_t amax = computed ? tensor.amax : 0;
    const uint32_t nan = layout.infinity + 1;
    const bool is_empty = range.low > range.high;
    uint32_t wide[] = {is_empty ? nan : bits_of(&layout, range.high), is_empty ? nan : bits_of(&layout, range.low),
                       amax, amax};
    uint16_t narrow[] = {(uint16_t)wide[0], (uint16_t)wide[1], (uint16_t)amax, (uint16_t)amax};
    uint8_t stored[2 * sizeof(float)];
    int32_t zero_points[2] = {0, 0};
    float factors[2];
    struct qb_tensors tensors =
        single_tensors(problem.input == QB_FORMAT_F32 ? (void *)wide : (void *)narrow, NULL, scaling);
    enum qb_status status;

    *scaling = (struct scaling){.tensor = tensor};
    tensors.at[QB_ROLE_SCALES] = stored;
    tensors.at[QB_ROLE_ZERO_POINTS] = zero_points;
    status = qb_reference_scales_as(&problem, &q->arithmetic, &tensors, factors);
    if (status == QB_OK) {
        memcpy(&scaling->stored, stored, scales_element_size(&problem));
        scaling->zero_point =
            problem.zero_points != QB_ZERO_POINTS_NONE ? scales_zero_point(&problem, zero_points, 0) : 0;
        scaling->factor = factors[0];
    }
    return status;
}

static enum qb_status code_of(const struct questioner *q, uint32_t bits, struct scaling scaling, uint32_t *code)
{
    struct qb_problem problem = single(q, 1, 1);
    uint8_t byte = 0;
    const struct qb_tensors tensors =
        single_tensors(&bits, &byte, &scaling); /* the lower half first: hosts are little-endian */
    enum qb_status status = QB_OK;

    if (problem.tensor_scale != QB_TENSOR_SCALE_NONE) {
        problem.tensor_scale = QB_TENSOR_SCALE_GIVEN;
    }
    if (q->problem.scaling != QB_SCALING_AMAX) {
        status = qb_reference_codes_as(&problem, &q->arithmetic, &tensors, is_static(q) ? NULL : &scaling.factor);
    }
    *code = byte;
    return status;
}

/* The bits of the value of CODE. */
static enum qb_status value_of(const struct questioner *q, uint32_t code, struct scaling scaling, uint32_t *value)
{
    struct qb_problem problem = single(q, 1, 1);
    uint8_t byte = (uint8_t)code;
    struct qb_tensors tensors = single_tensors(NULL, &byte, &scaling);

    problem.operation = QB_OPERATION_DEQUANTIZE;
    *value = 0;
    tensors.at[QB_ROLE_VALUES] = value; /* the lower half first */
    return qb_reference_run_as(&problem, &q->arithmetic, &tensors);
}

/* The right answer for what has BITS and SCALING. */
static enum qb_status answer_of(const struct questioner *q, uint32_t bits, struct scaling scaling, uint32_t *answer)
{
    return dequantizes(q) ? value_of(q, bits, scaling, answer) : code_of(q, bits, scaling, answer);
}

/* What belongs to the tensor that TILE of the case's data is in: all of it, or the columns of a tensor scale. */
static struct tensor_scaling tensor_of(const struct questioner *q, uint64_t tile)
{
    struct tensor_scaling tensor = q->tensor;

    if (q->problem.tensor_scale == QB_TENSOR_SCALE_GIVEN) {
        tensor.scale = ((const float *)q->given.at[QB_ROLE_TENSOR_SCALE])[scales_tensor(&q->problem, tile)];
    }
    return tensor;
}

/* The scaling of TILE of the case's data, in a tensor of TENSOR. */
static enum qb_status base_scaling(struct questioner *q, uint64_t tile, struct tensor_scaling tensor,
                                   struct scaling *scaling)
{
    const void *zero_points = q->given.at[QB_ROLE_ZERO_POINTS];
    size_t size;
    uint64_t place;

    if (!is_static(q)) {
        return scaling_of(q, tile_range(q, tile), tensor, scaling);
    }
    place = questioner_place(q, QB_ROLE_SCALES, tile, &size);
    *scaling = (struct scaling){
        .tensor = tensor, .zero_point = zero_points != NULL ? scales_zero_point(&q->problem, zero_points, tile) : 0};
    memcpy(&scaling->stored, (const char *)q->given.at[QB_ROLE_SCALES] + place, size);
    return QB_OK;
}

enum qb_status questioner_answers(struct questioner *q, uint64_t element, uint32_t was, uint32_t is, uint32_t *old,
                                  uint32_t *want)
{
    const uint64_t tile = tiling_index(&q->tiling, element);
    struct scaling scaling;
    enum qb_status status = base_scaling(q, tile, tensor_of(q, tile), &scaling);

    status = status == QB_OK ? answer_of(q, was, scaling, old) : status;
    return status == QB_OK ? answer_of(q, is, scaling, want) : status;
}

/* ---- The parts of a scale ----------------------------------------------------------------------------------- */

const enum qb_role question_roles[QUESTION_ROLES] = {QB_ROLE_TENSOR_SCALE, QB_ROLE_SCALES, QB_ROLE_ZERO_POINTS};

bool questioner_has(const struct questioner *q, enum qb_role role)
{
    switch (role) {
    case QB_ROLE_INPUT:
    case QB_ROLE_SCALES:
        return true;
    case QB_ROLE_CODES:
        return q->problem.scaling != QB_SCALING_AMAX;
    case QB_ROLE_ZERO_POINTS:
        return q->problem.zero_points != QB_ZERO_POINTS_NONE;
    case QB_ROLE_TENSOR_SCALE:
        return q->problem.tensor_scale != QB_TENSOR_SCALE_NONE;
    case QB_ROLE_WEIGHTS:
    case QB_ROLE_RESIDUAL:
    case QB_ROLE_SUM:
    case QB_ROLE_VALUES:
    case QB_ROLE_SLOTS:
    case QB_ROLE_ANGLES:
    case QB_ROLE_POSITIONS:
    case QB_ROLE_TRANSPOSED:
    case QB_ROLE_TRANSPOSED_SCALES:
    case QB_ROLE_EXPERTS:
        break;
    }
    return false;
}

uint64_t questioner_place(const struct questioner *q, enum qb_role role, uint64_t tile, size_t *size)
{
    uint64_t offset = 0;

    if (role == QB_ROLE_TENSOR_SCALE) {
        *size = sizeof(float);
        return scales_tensor(&q->problem, tile) * sizeof(float);
    }
    if (role == QB_ROLE_ZERO_POINTS) {
        *size = scales_zero_point_size(&q->problem);
        return tile * *size;
    }
    *size = scales_element_size(&q->problem);
    if (cache_has(&q->whole, QB_ROLE_SCALES)) {
        return cache_offset(&q->whole, q->data->at[QB_ROLE_SLOTS], role, tile / q->tiling.scale_cols,
                            tile % q->tiling.scale_cols);
    }
    qb_problem_scale_offset(&q->problem, tile / q->tiling.scale_cols, tile % q->tiling.scale_cols, &offset);
    return offset;
}

/* The zero point that is stored as BITS. */
static int32_t zero_point_of(const struct questioner *q, uint32_t bits)
{
    return scales_zero_point(&q->problem, &bits, 0); /* the lower part first */
}

uint32_t question_bits(const struct questioner *q, const struct scaling *scaling, enum qb_role role)
{
    uint32_t bits = 0;

    if (role == QB_ROLE_ZERO_POINTS) {
        scales_put_zero_point(&q->problem, &bits, 0, scaling->zero_point);
        return bits;
    }
    if (role == QB_ROLE_SCALES) {
        return scaling->stored;
    }
    return binary32_bits(scaling->tensor.scale);
}

bool question_is_right(const struct questioner *q, enum qb_role role, uint32_t got, uint32_t want)
{
    if (role == QB_ROLE_ZERO_POINTS) {
        return verify_is_zero_point(&q->whole, &q->arithmetic, zero_point_of(q, got), zero_point_of(q, want));
    }
    return verify_is_scale(&q->whole, &q->arithmetic, role == QB_ROLE_SCALES ? q->problem.scale_format : QB_FORMAT_F32,
                           got, want);
}

/* ---- Beginning ---------------------------------------------------------------------------------------------- */

/* Find the tensor scale of the case's data. */
static enum qb_status find_tensor_scale(struct questioner *q)
{
    const struct layout layout = layout_of(q->problem.input);
    struct ends range = nothing;
    struct scaling scaling;
    enum qb_status status = QB_OK;

    q->tensor.scale = 1;
    if (q->problem.tensor_scale == QB_TENSOR_SCALE_COMPUTED) {
        add_row(q, 0, q->problem.tokens * q->problem.hidden, &range);
        q->tensor.amax = amax_of(&layout, range);
        status = scaling_of(q, range, q->tensor, &scaling);
        q->tensor.scale = scaling.tensor.scale;
    }
    return status;
}

/* The quantization that PROBLEM takes back: its scales are given. */
static struct qb_problem read_quantization(const struct qb_problem *problem)
{
    struct qb_problem quantization = values_quantization(problem);

    quantization.scaling = QB_SCALING_STATIC;
    return quantization;
}

enum qb_status questioner_begin(const struct qb_problem *problem, const struct qb_arithmetic *arithmetic,
                                const struct case_data *data, void *const given[QB_ROLE_COUNT], unsigned sets,
                                struct questioner *questioner)
{
    struct questioner q = {
        .whole = *problem,
        .problem =
            operation_reads_codes(problem->operation) ? read_quantization(problem) : values_quantization(problem),
        .arithmetic = *arithmetic,
        .data = data,
        .input = data->values,
        .sets = sets,
        .random_state = questioner_entropy(),
    };
    struct tile largest;
    uint64_t scales;

    q.tiling = tiling_of(&q.problem);
    largest = tiling_tile(&q.tiling, 0);
    scales = q.tiling.scale_rows * q.tiling.scale_cols;
    memcpy(q.given.at, given, sizeof q.given.at);
    *questioner = q;
    if (!is_static(&q) && largest.rows * largest.cols >= LARGE_TILE) {
        questioner->ranges = calloc(scales, sizeof *q.ranges);
        questioner->known = calloc(scales, sizeof *q.known);
        if (questioner->ranges == NULL || questioner->known == NULL) {
            return QB_ERROR_MEMORY;
        }
        if (problem->granularity == QB_GRANULARITY_CHANNEL) {
            find_columns(questioner);
        }
    }
    return find_tensor_scale(questioner);
}

void questioner_end(struct questioner *q)
{
    free(q->ranges);
    free(q->known);
    *q = (struct questioner){.input = NULL};
}

/* ---- Questions ---------------------------------------------------------------------------------------------- */

/* A random answer that a right kernel does not write where WANT or OLD is right. */
static uint32_t poison_answer(struct questioner *q, uint32_t want, uint32_t old)
{
    const unsigned bits = dequantizes(q) ? qb_format_info(q->problem.input)->bits : codes_bits(&q->problem);
    uint32_t poison;

    do {
        poison = (uint32_t)questioner_random(q, (uint64_t)1 << bits);
    } while (poison == old || questioner_is_answer(q, poison, want));
    return poison;
}

/* The same of SIZE bytes in the tensor of ROLE. */
static uint32_t poison_bits(struct questioner *q, enum qb_role role, size_t size, uint32_t want, uint32_t old)
{
    uint32_t poison;

    do {
        poison = (uint32_t)questioner_random(q, (uint64_t)1 << (8 * size));
    } while (question_is_right(q, role, poison, want) || question_is_right(q, role, poison, old));
    return poison;
}

static void poison_scale(struct questioner *q, struct scale_probe *scale)
{
    struct scaling *poison = &scale->poison;
    uint32_t bits;

    poison->stored =
        poison_bits(q, QB_ROLE_SCALES, scales_element_size(&q->problem), scale->want.stored, scale->old.stored);
    bits = poison_bits(q, QB_ROLE_ZERO_POINTS, scales_zero_point_size(&q->problem),
                       question_bits(q, &scale->want, QB_ROLE_ZERO_POINTS),
                       question_bits(q, &scale->old, QB_ROLE_ZERO_POINTS));
    poison->zero_point = zero_point_of(q, bits);
    bits = poison_bits(q, QB_ROLE_TENSOR_SCALE, sizeof bits, question_bits(q, &scale->want, QB_ROLE_TENSOR_SCALE),
                       question_bits(q, &scale->old, QB_ROLE_TENSOR_SCALE));
    poison->tensor.scale = binary32_of(bits);
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

/* The tensor scale that TILE of SET has in QUESTION. */
static struct tensor_scaling tensor_in(const struct questioner *q, const struct question *question, unsigned set,
                                       uint64_t tile)
{
    for (size_t i = 0; i < question->scale_count; i++) {
        const struct scale_probe *scale = &question->scales[i];

        if (scale->set == set && scales_tensor(&q->problem, scale->tile) == scales_tensor(&q->problem, tile)) {
            return scale->want.tensor;
        }
    }
    return tensor_of(q, tile);
}

/* True if the question asks for another scale of TILE in SET than that of the case's data. */
static bool is_rescaled(const struct questioner *q, const struct question *question, unsigned set, uint64_t tile)
{
    const struct scale_probe *scale = find_scale(question, set, tile);
    const struct tensor_scaling tensor = tensor_in(q, question, set, tile), old = tensor_of(q, tile);

    return (scale != NULL && scale->changed) || tensor.scale != old.scale || tensor.amax != old.amax;
}

/* The code of ELEMENT that is dequantized. */
static uint32_t given_code(const struct questioner *q, uint64_t element)
{
    const uint8_t *codes = q->given.at[QB_ROLE_CODES];
    const uint64_t row = element / q->problem.hidden, col = element % q->problem.hidden;

    if (cache_has(&q->whole, QB_ROLE_CODES)) {
        codes += cache_offset(&q->whole, q->data->at[QB_ROLE_SLOTS], QB_ROLE_CODES, row, col);
        return codes_at(&q->problem, codes, 0, codes_bits(&q->problem) < 8 ? col % 2 : 0);
    }
    return codes_at(&q->problem, codes, row, col);
}

/* True if QUESTION may make CHANGE in SET: nothing else is asked about the other value that it changes. */
static bool is_free(const struct questioner *q, const struct question *question, unsigned set,
                    const struct change *change)
{
    return !change->has_partner || (!has_probe(question, set, change->partner) &&
                                    !is_rescaled(q, question, set, tiling_index(&q->tiling, change->partner)));
}

/* Ask about element ELEMENT of buffer set SET, which CHANGE makes what it is now; NULL: nothing does. */
static enum qb_status add_one(struct questioner *q, struct question *question, unsigned set, uint64_t element,
                              const struct change *change)
{
    const uint64_t tile = tiling_index(&q->tiling, element);
    const struct scale_probe *scale = find_scale(question, set, tile);
    struct probe probe = {.set = set, .element = element};
    struct scaling old, want;
    enum qb_status status = QB_OK;

    probe.was = probe.is = dequantizes(q) ? given_code(q, element) : load(q, element);
    if (change != NULL) {
        probe.is = change->value;
        probe.change = *change;
    }
    probe.rescaled = is_rescaled(q, question, set, tile);
    if (scale != NULL) {
        old = scale->old;
        want = scale->want;
    } else {
        status = base_scaling(q, tile, tensor_of(q, tile), &old);
        want = old;
        if (status == QB_OK && probe.rescaled) {
            status = base_scaling(q, tile, tensor_in(q, question, set, tile), &want);
        }
    }
    if (status == QB_OK) {
        status = answer_of(q, probe.was, old, &probe.old);
    }
    if (status == QB_OK) {
        status = answer_of(q, probe.is, want, &probe.want);
    }
    if (status == QB_OK) {
        probe.poison = poison_answer(q, probe.want, probe.old);
        question->probes[question->probe_count++] = probe;
    }
    return status;
}

/* The same, and about the other element that CHANGE changes. */
static enum qb_status add_probe(struct questioner *q, struct question *question, unsigned set, uint64_t element,
                                const struct change *change)
{
    enum qb_status status = add_one(q, question, set, element, change);

    if (status == QB_OK && change != NULL && change->has_partner) {
        const struct change other = {.value = change->partner_value};

        status = add_one(q, question, set, change->partner, &other);
    }
    return status;
}

static uint64_t random_element(struct questioner *q, uint64_t tile)
{
    const struct tile area = tiling_tile(&q->tiling, tile);
    const uint64_t row = area.first_row + questioner_random(q, area.rows);

    return row * q->problem.hidden + area.first_col + questioner_random(q, area.cols);
}

/* Another code in the place of that of ELEMENT. */
static void change_code(struct questioner *q, uint64_t element, struct change *change)
{
    const uint32_t was = given_code(q, element), is = (uint32_t)questioner_random(q, 1u << codes_bits(&q->problem));

    *change = (struct change){.value = is, .read_count = 1, .read = {{QB_ROLE_CODES, element, was, is}}};
}

/* True if BITS are within RANGE. */
static bool is_within(const struct layout *layout, uint32_t bits, struct ends range)
{
    return key_of(layout, bits) >= range.low && key_of(layout, bits) <= range.high;
}

/* Find another value in the place of ELEMENT that leaves its tile's scale as it is: with the other sign; or, where
 * there are zero points, half as large if that sign would make the range of the tile larger. False if there is none. */
static bool find_change(struct questioner *q, uint64_t element, struct change *change)
{
    const struct layout layout = layout_of(q->problem.input);
    const uint32_t is = load(q, element), other = is ^ layout.sign;
    const uint32_t half = (is & ~layout.sign) > layout.binade ? is - layout.binade : is;
    struct ends range;

    if (dequantizes(q)) {
        change_code(q, element, change);
        return true;
    }
    if (q->problem.zero_points == QB_ZERO_POINTS_NONE || is_static(q)) {
        return change_sign(&q->whole, q->data, element, change);
    }
    range = tile_range(q, tiling_index(&q->tiling, element));
    if (key_of(&layout, is) <= range.low || key_of(&layout, is) >= range.high) {
        return false; /* the range may be what it is because of this one */
    }
    if (q->arithmetic.open_range == 0) {
        widen(&layout, 0, &range);
    }
    if (is_within(&layout, other, range)) {
        return change_sign(&q->whole, q->data, element, change) && !change->has_partner;
    }
    return is_within(&layout, half, range) && change_to(&q->whole, q->data, element, half, change) &&
           is_within(&layout, change->value, range) && !change->has_partner;
}

/* A magnitude of two to four times AMAX; false if the format has none. */
static bool magnify(struct questioner *q, uint32_t amax, uint32_t *magnitude)
{
    const struct layout layout = layout_of(q->problem.input);
    const uint32_t from = (amax > 0 ? amax : layout.one) + layout.binade;

    *magnitude = from + (uint32_t)questioner_random(q, layout.binade);
    return *magnitude < layout.infinity;
}

/* Another tensor scale that is given for TILE, up to twice as large. */
static struct tensor_scaling other_tensor(struct questioner *q, uint64_t tile)
{
    struct tensor_scaling tensor = tensor_of(q, tile);
    const float other = tensor.scale * (1 + (float)(1 + questioner_random(q, 1 << 20)) * 0x1p-20f);

    if (q->problem.tensor_scale == QB_TENSOR_SCALE_GIVEN && isfinite(other)) {
        tensor.scale = other;
    }
    return tensor;
}

/* Give the tile of SCALE a new element that is its amax, and that of the tensor, where the tensor scale is computed
 * from it. */
static enum qb_status rescale(struct questioner *q, struct question *question, struct scale_probe *scale)
{
    const struct layout layout = layout_of(q->problem.input);
    const bool computed = q->problem.tensor_scale == QB_TENSOR_SCALE_COMPUTED;
    const uint64_t element = random_element(q, scale->tile);
    const bool zero_points = q->problem.zero_points != QB_ZERO_POINTS_NONE;
    const uint32_t old = load(q, element), old_key = key_of(&layout, old);
    struct ends range = tile_range(q, scale->tile);
    struct tensor_scaling tensor = other_tensor(q, scale->tile);
    struct change change;
    uint32_t magnitude, sign = questioner_random(q, 2) == 1 ? layout.sign : 0;
    enum qb_status status;

    const uint32_t amax = computed ? q->tensor.amax : amax_of(&layout, range);

    if (!magnify(q, amax, &magnitude)) {
        return QB_OK;
    }
    /* What is replaced may be the other end of the range: not if it has the same sign and 0 is in the range. */
    sign = zero_points ? old & layout.sign : sign;
    if (zero_points && q->arithmetic.open_range != 0 && old_key == (sign != 0 ? range.high : range.low)) {
        return QB_OK;
    }
    if (!change_to(&q->whole, q->data, element, magnitude | sign, &change) || (change.value & ~layout.sign) <= amax ||
        (change.value & layout.sign) != sign) {
        return QB_OK;
    }
    if (change.has_partner && (zero_points || tiling_index(&q->tiling, change.partner) != scale->tile)) {
        return QB_OK; /* which may be an end of a range, or the amax of another tile */
    }
    widen(&layout, change.value, &range);
    tensor.amax = computed ? change.value & ~layout.sign : tensor.amax;
    status = scaling_of(q, range, tensor, &scale->want);
    scale->changed = true;
    return status == QB_OK ? add_probe(q, question, scale->set, element, &change) : status;
}

/* Give the tile another static scale, up to twice as large, and another zero point. */
static void give_scale(struct questioner *q, struct scale_probe *scale)
{
    const bool is_float = q->problem.scale_format == QB_FORMAT_F32;
    const float factor = is_float ? 1 + (float)(1 + questioner_random(q, 1 << 20)) * 0x1p-20f : 2;
    const float given = qb_format_decode(q->problem.scale_format, scale->old.stored) * factor;
    const uint32_t code = qb_format_encode(q->problem.scale_format, given);

    if (isfinite(given) && isfinite(qb_format_decode(q->problem.scale_format, code))) {
        scale->want.stored = code;
    }
    if (q->problem.zero_points != QB_ZERO_POINTS_NONE) {
        scale->want.zero_point = scales_some_zero_point(&q->problem, questioner_random(q, (uint64_t)1 << 32));
    }
    scale->want.tensor = other_tensor(q, scale->tile);
    scale->changed = scale->want.stored != scale->old.stored || scale->want.zero_point != scale->old.zero_point ||
                     scale->want.tensor.scale != scale->old.tensor.scale;
}

/* True if QUESTION asks about a scale of SET already that has the tensor scale of TILE. */
static bool shares_tensor_scale(const struct questioner *q, const struct question *question, unsigned set,
                                uint64_t tile)
{
    for (size_t i = 0; i < question->scale_count && q->problem.tensor_scale != QB_TENSOR_SCALE_NONE; i++) {
        const struct scale_probe *scale = &question->scales[i];

        if (scale->set == set && scales_tensor(&q->problem, scale->tile) == scales_tensor(&q->problem, tile)) {
            return true;
        }
    }
    return false;
}

/* Ask about the scale of a random tile. */
static enum qb_status add_scale(struct questioner *q, struct question *question, bool rescales)
{
    const unsigned set = (unsigned)questioner_random(q, q->sets);
    const uint64_t tile = tiling_index(&q->tiling, questioner_random(q, q->problem.tokens * q->problem.hidden));
    struct scale_probe *scale = &question->scales[question->scale_count];
    enum qb_status status;

    if (find_scale(question, set, tile) != NULL || shares_tensor_scale(q, question, set, tile)) {
        return QB_OK;
    }
    *scale = (struct scale_probe){.set = set, .tile = tile};
    status = base_scaling(q, tile, tensor_of(q, tile), &scale->old);
    if (status != QB_OK) {
        return status;
    }
    scale->want = scale->old;
    question->scale_count++;
    if (rescales && is_static(q)) {
        give_scale(q, scale);
    } else if (rescales) {
        status = rescale(q, question, scale);
    }
    poison_scale(q, scale);
    return status;
}

enum qb_status question_compose(struct questioner *q, bool rescales, size_t scales, size_t probes,
                                struct question *question)
{
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
        if (!has_probe(question, set, element)) {
            /* Where a scale has changed the element stays, so that the code of an earlier scale is the old code. */
            const bool stays = is_rescaled(q, question, set, tiling_index(&q->tiling, element));
            struct change change;
            const bool changes = !stays && find_change(q, element, &change) && is_free(q, question, set, &change);

            status = add_probe(q, question, set, element, changes ? &change : NULL);
        }
    }
    return status;
}
