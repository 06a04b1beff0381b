/* SPDX-License-Identifier: Apache-2.0 */
/* verify.c - compares what a kernel wrote with what the reference computes, byte for byte. */
#include <config.h>

#include "base/digest.h"
#include "cases/input.h"
#include "cases/values.h"
#include "model/operation.h"
#include "model/part.h"
#include "model/sizes.h"
#include "model/tiling.h"
#include "check/verify.h"
#include "check/cache.h"
#include "check/difference.h"
#include "check/experts.h"
#include "check/scales.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Outputs are read back in pieces of this many bytes, so that the host needs no second copy of them. */
#define PIECE ((uint64_t)16 << 20)

/* ---- Expectations ------------------------------------------------------------------------------------------------ */

void verify_free(struct expectation *expectation)
{
    for (int role = 0; role < QB_ROLE_COUNT; role++) {
        free(expectation->tensors.at[role]);
    }
    free(expectation->slots);
    if (expectation->other != NULL) {
        verify_free(expectation->other);
        free(expectation->other);
    }
    *expectation = (struct expectation){.tensors = {.size = sizeof expectation->tensors}};
}

/* What a launch leaves in the tensor of ROLE, which E has, in memory that held VERIFY_POISON: see verify_image(). */
static enum exit_code part_image(const struct expectation *e, enum qb_role role, void **image)
{
    const bool is_cache = cache_has(&e->problem, role);
    const uint64_t bytes = is_cache ? sizes_of(&e->problem).of[role] : e->bytes.of[role];

    *image = malloc(bytes + 1);
    if (*image == NULL || e->tensors.at[role] == NULL) {
        return message_out_of_memory("the reference", bytes);
    }
    if (is_cache) {
        memset(*image, VERIFY_POISON, bytes);
        cache_put(&e->problem, e->slots, role, e->tensors.at[role], *image);
    } else {
        memcpy(*image, e->tensors.at[role], bytes);
    }
    return EXIT_OK;
}

enum exit_code verify_image(const struct expectation *expectation, enum qb_role role, void **image)
{
    const struct expectation *other = expectation->other;

    for (int of_part = 0; other != NULL && of_part < QB_ROLE_COUNT; of_part++) {
        if ((enum qb_role)of_part != role && part_role(&expectation->problem, 1, (enum qb_role)of_part) == role) {
            return part_image(other, (enum qb_role)of_part, image);
        }
    }
    return part_image(expectation, role, image);
}

/* The digest of the tensor of ROLE as a launch writes it into a cache. */
static enum exit_code cache_digest(const struct expectation *e, enum qb_role role, uint64_t *digest)
{
    void *image;
    enum exit_code code = part_image(e, role, &image);

    if (code == EXIT_OK) {
        *digest = digest_of(image, sizes_of(&e->problem).of[role]);
        free(image);
    }
    return code;
}

/* The same of part PART of PROBLEM, which EXPECTATION is for. */
static enum exit_code fingerprint_part(const struct expectation *expectation, const struct qb_problem *problem,
                                       unsigned part, struct fingerprint *fingerprint)
{
    enum exit_code code = EXIT_OK;

    for (int role = 0; role < QB_ROLE_COUNT && code == EXIT_OK; role++) {
        const void *tensor = expectation->tensors.at[role];
        const enum qb_role whole = part_role(problem, part, (enum qb_role)role);

        fingerprint->has[whole] = fingerprint->has[whole] || tensor != NULL;
        if (tensor != NULL && cache_has(&expectation->problem, (enum qb_role)role)) {
            code = cache_digest(expectation, (enum qb_role)role, &fingerprint->of[whole]);
        } else if (tensor != NULL) {
            fingerprint->of[whole] = digest_of(tensor, expectation->bytes.of[role]);
        }
    }
    return code;
}

enum exit_code verify_fingerprint(const struct expectation *expectation, struct fingerprint *fingerprint)
{
    enum exit_code code;

    *fingerprint = (struct fingerprint){{false}, {0}};
    code = fingerprint_part(expectation, &expectation->problem, 0, fingerprint);
    return code == EXIT_OK && expectation->other != NULL
               ? fingerprint_part(expectation->other, &expectation->problem, 1, fingerprint)
               : code;
}

/* ---- The reference ---------------------------------------------------------------------------------------------- */

/* The codes of PROBLEM, or the values that it dequantizes to, by scales that lie in rows. */
struct codes_work {
    struct qb_problem problem;
    const struct qb_arithmetic *arithmetic;
    struct qb_tensors tensors;
    const float *factors; /* NULL: by the scales */
    struct tiling tiling;
    uint64_t slice_rows; /* as many rows as there are in a tile, or in several */
};

/* Compute slice INDEX: rows are independent of each other once there are scales. */
static enum qb_status compute_slice(const struct codes_work *w, uint64_t index)
{
    const uint64_t first = index * w->slice_rows;
    struct qb_problem slice;
    struct qb_tensors part = w->tensors;
    const float *factors = w->factors;

    values_slice(&w->problem, first, w->slice_rows, &slice, &part);
    if (w->tiling.scale_rows > 1) {
        const uint64_t before = first / w->tiling.tile_rows * w->tiling.scale_cols;

        part.at[QB_ROLE_SCALES] = (char *)part.at[QB_ROLE_SCALES] + before * scales_element_size(&slice);
        if (slice.zero_points != QB_ZERO_POINTS_NONE) {
            part.at[QB_ROLE_ZERO_POINTS] =
                (char *)part.at[QB_ROLE_ZERO_POINTS] + before * scales_zero_point_size(&slice);
        }
        factors = factors != NULL ? factors + before : NULL;
    }
    return slice.operation == QB_OPERATION_DEQUANTIZE ? qb_reference_run_as(&slice, w->arithmetic, &part)
                                                      : qb_reference_codes_as(&slice, w->arithmetic, &part, factors);
}

/* The same of each expert, whose factors are those of its tiles. */
static enum qb_status codes_of_experts(const struct qb_problem *problem, const struct qb_arithmetic *arithmetic,
                                       const struct qb_tensors *tensors, const float *factors)
{
    const bool one = problem->granularity == QB_GRANULARITY_TENSOR;
    const uint64_t cols = tiling_of(problem).scale_cols;
    struct expert_parts experts;
    enum qb_status status = QB_OK;

    if (!experts_take(problem, tensors, &experts)) {
        return QB_ERROR_MEMORY;
    }
#pragma omp parallel for schedule(dynamic)
    for (uint64_t e = 0; e < experts.count; e++) {
        const struct expert_part *part = &experts.parts[e];
        const float *own = factors != NULL ? factors + (one ? e : part->first * cols) : NULL;
        enum qb_status part_status = qb_reference_codes_as(&part->problem, arithmetic, &part->tensors, own);

        if (part_status != QB_OK) {
#pragma omp critical
            status = part_status;
        }
    }
    experts_free(&experts);
    return status;
}

/* Compute the codes of TENSORS by its scales, or by FACTORS, which the CPUs share; or the values from the codes. */
static enum qb_status reference_codes(const struct qb_problem *problem, const struct qb_arithmetic *arithmetic,
                                      const struct qb_tensors *tensors, const float *factors)
{
    const uint64_t elements_per_slice = 1 << 16;
    struct codes_work w = {*problem, arithmetic, *tensors, factors, tiling_of(problem), 0};
    void *rows = NULL;
    enum qb_status status = QB_OK;
    uint64_t slices;

    if (problem->experts > 0) {
        return codes_of_experts(problem, arithmetic, tensors, factors);
    }
    w.slice_rows = elements_per_slice / problem->hidden + 1;
    if (w.tiling.scale_rows > 1) {
        w.slice_rows = (w.slice_rows + w.tiling.tile_rows - 1) / w.tiling.tile_rows * w.tiling.tile_rows;
    }
    if (problem->scale_layout != QB_SCALE_LAYOUT_ROWS) {
        w.problem.scale_layout = QB_SCALE_LAYOUT_ROWS;
        w.problem.scale_stride = 0;
        w.tensors.at[QB_ROLE_SCALES] = rows = scales_in_rows(problem, tensors->at[QB_ROLE_SCALES]);
        if (rows == NULL) {
            return QB_ERROR_MEMORY;
        }
    }
    slices = (problem->tokens + w.slice_rows - 1) / w.slice_rows;
#pragma omp parallel for schedule(dynamic)
    for (uint64_t i = 0; i < slices; i++) {
        enum qb_status slice_status = compute_slice(&w, i);

        if (slice_status != QB_OK) {
#pragma omp critical
            status = slice_status;
        }
    }
    free(rows);
    return status;
}

bool verify_same_problem(const struct qb_problem *a, const struct qb_problem *b)
{
    return a->operation == b->operation && a->input == b->input && a->output == b->output &&
           a->scale_format == b->scale_format && a->granularity == b->granularity && a->scaling == b->scaling &&
           a->tokens == b->tokens && a->hidden == b->hidden && a->group == b->group && a->block_rows == b->block_rows &&
           a->block_cols == b->block_cols && a->amax_bound == b->amax_bound && a->packing == b->packing &&
           a->scale_rounding == b->scale_rounding && a->scale_layout == b->scale_layout &&
           a->tensor_scale == b->tensor_scale && a->zero_points == b->zero_points &&
           a->scale_stride == b->scale_stride && a->keep_values == b->keep_values && a->experts == b->experts &&
           a->expert_rows == b->expert_rows && a->expert_tokens == b->expert_tokens &&
           a->tensor_scale_cols == b->tensor_scale_cols && values_same(a, b);
}

/* True if the reference's answer to both is the same. Scales that are given are those that dynamic scaling computes. */
static bool same_answer(const struct qb_problem *a, const struct qb_problem *b)
{
    struct qb_problem scaled = *a;

    scaled.scaling = b->scaling;
    return (a->scaling == QB_SCALING_AMAX) == (b->scaling == QB_SCALING_AMAX) && verify_same_problem(&scaled, b);
}

static bool same_arithmetic(const struct qb_arithmetic *a, const struct qb_arithmetic *b)
{
    return memcmp(a, b, sizeof *a) == 0; /* it has no gaps */
}

static bool is_contract(const struct qb_arithmetic *arithmetic)
{
    static const struct qb_arithmetic contract;

    return same_arithmetic(arithmetic, &contract);
}

/* The tensors of E, and VALUES as the input of its quantization. */
static struct qb_tensors with_values(const struct expectation *e, const void *values)
{
    struct qb_tensors tensors = e->tensors;

    tensors.at[QB_ROLE_INPUT] = (void *)(uintptr_t)values;
    return tensors;
}

/* Compute the tensor scale that is given: the one that would be computed from this data. */
static enum qb_status give_tensor_scale(const struct expectation *e, const struct qb_arithmetic *arithmetic,
                                        const struct qb_tensors *tensors)
{
    struct qb_problem computed = e->quantization;

    computed.scaling = QB_SCALING_AMAX;
    computed.tensor_scale = QB_TENSOR_SCALE_COMPUTED;
    return qb_reference_scales_as(&computed, arithmetic, tensors, NULL);
}

/* Let no scale that is given be 0, as that of a group of zeros may be in E4M3. */
static void raise_scales(struct expectation *e)
{
    uint8_t *scales = e->tensors.at[QB_ROLE_SCALES];
    const struct tiling tiling = tiling_of(&e->quantization);
    uint64_t offset = 0;

    for (uint64_t i = 0; e->problem.experts > 0 && i < e->bytes.of[QB_ROLE_SCALES]; i++) {
        scales[i] += scales[i] == 0; /* nobody reads those that belong to no tile */
    }
    for (uint64_t i = 0; e->problem.experts == 0 && i < tiling.scale_rows * tiling.scale_cols; i++) {
        qb_problem_scale_offset(&e->quantization, i / tiling.scale_cols, i % tiling.scale_cols, &offset);
        scales[offset] += scales[offset] == 0;
    }
}

/* The scales of VALUES, and the codes if E has room for them. A static scale is the one that this data gives, so it
 * must be finite and > 0 whatever the arithmetic makes of a tensor of zeros. */
static enum qb_status quantize(struct expectation *e, const void *values)
{
    const struct qb_problem *q = &e->quantization;
    const bool is_static = q->scaling == QB_SCALING_STATIC;
    const struct qb_tensors buffers = with_values(e, values);
    const struct tiling tiling = tiling_of(q);
    struct qb_arithmetic given = e->arithmetic;
    float *factors = NULL;
    enum qb_status status = QB_OK;

    if (is_static) {
        given.zero = QB_ZERO_FLOOR;
        given.infinity = QB_INFINITY_CLAMPED;
        given.nan_amax = QB_NAN_AMAX_IGNORED;
    } else if (e->tensors.at[QB_ROLE_CODES] != NULL && !is_contract(&e->arithmetic)) {
        factors = malloc(tiling.scale_rows * tiling.scale_cols * sizeof *factors + 1);
        if (factors == NULL) {
            return QB_ERROR_MEMORY;
        }
    }
    if (q->tensor_scale == QB_TENSOR_SCALE_GIVEN) {
        status = give_tensor_scale(e, &given, &buffers);
    }
    status = status == QB_OK ? qb_reference_scales_as(q, &given, &buffers, factors) : status;
    if (status == QB_OK && is_static && q->scale_format == QB_FORMAT_E4M3) {
        raise_scales(e);
    }
    if (status == QB_OK && e->tensors.at[QB_ROLE_CODES] != NULL) {
        status = reference_codes(q, &e->arithmetic, &buffers, factors);
    }
    free(factors);
    return status;
}

/* Copy the VALUES of rows that exist to those of E. */
static enum qb_status copy_values(const struct expectation *e, const void *values)
{
    const uint64_t row = e->problem.hidden * qb_format_info(e->quantization.input)->bits / 8;
    struct expert_parts experts;

    if (e->problem.experts == 0) {
        memcpy(e->tensors.at[QB_ROLE_VALUES], values, e->bytes.of[QB_ROLE_VALUES]);
        return QB_OK;
    }
    if (!experts_take(&e->problem, &e->tensors, &experts)) {
        return QB_ERROR_MEMORY;
    }
    for (uint64_t i = 0; i < experts.count; i++) {
        memcpy(experts.parts[i].tensors.at[QB_ROLE_VALUES], (const char *)values + experts.parts[i].first * row,
               experts.parts[i].problem.tokens * row);
    }
    experts_free(&experts);
    return QB_OK;
}

void verify_leave_out(struct expectation *e)
{
    char *values = e->tensors.at[QB_ROLE_VALUES];
    const uint64_t row = e->problem.tokens > 0 ? e->bytes.of[QB_ROLE_VALUES] / e->problem.tokens : 0;

    for (uint64_t i = 0; values != NULL && e->slots != NULL && i < e->problem.tokens; i++) {
        if (e->slots[i] < 0) {
            memset(values + i * row, VERIFY_POISON, row);
        }
    }
}

/* The values of the codes that E has. */
static enum qb_status read_codes(struct expectation *e)
{
    const struct qb_problem reading = values_reading(&e->problem);
    const enum qb_status status = reference_codes(&reading, &e->arithmetic, &e->tensors, NULL);

    verify_leave_out(e);
    return status;
}

/* The reference's answer for E, as far as it has room for it. */
static enum qb_status compute(struct expectation *e, const struct case_data *data)
{
    void *values = e->tensors.at[QB_ROLE_VALUES], *sum = e->tensors.at[QB_ROLE_SUM];
    enum qb_status status = quantize(e, data->values);

    if (status != QB_OK) {
        return status;
    }
    if (operation_reads_codes(e->problem.operation) && values != NULL) {
        return read_codes(e);
    }
    if (values != NULL) {
        status = copy_values(e, data->values);
    }
    if (sum != NULL) {
        memcpy(sum, data->sum, e->bytes.of[QB_ROLE_SUM]);
    }
    return status;
}

/* ---- Quality ---------------------------------------------------------------------------------------------------- */

/* The values of DATA before they are rounded to the input format: the exact ones, next to the errors of codes. In
 * memory that is to be freed; NULL if that is short. */
static void *exact_values(const struct qb_problem *problem, const struct case_data *data)
{
    struct qb_problem exact = *problem;
    struct qb_tensors tensors = {.size = sizeof tensors};
    void *values = malloc(problem->tokens * problem->hidden * sizeof(float) + 1);

    for (int role = 0; role < QB_ROLE_COUNT; role++) {
        tensors.at[role] = (void *)(uintptr_t)data->at[role];
    }
    tensors.at[QB_ROLE_VALUES] = values;
    exact.intermediate = QB_INTERMEDIATE_FLOAT;
    if (values != NULL && values_compute(&exact, &tensors) != QB_OK) {
        free(values);
        values = NULL;
    }
    return values;
}

/* How good the codes in TENSORS (host memory) are, which E is for, of DATA. What is cut off, flushed or at a floor is
 * so of the values that were quantized; errors are those of the exact ones. */
static bool rate_all(const struct expectation *e, const struct case_data *data, const struct qb_tensors *tensors,
                     struct quality *quality)
{
    struct qb_problem q = e->quantization;
    struct qb_tensors rated = *tensors;
    struct quality exact;
    void *values;
    bool good;

    rated.at[QB_ROLE_INPUT] = (void *)(uintptr_t)data->values;
    rated.at[QB_ROLE_EXPERTS] = e->tensors.at[QB_ROLE_EXPERTS];
    good = quality_compute(&q, &e->arithmetic, &rated, quality);
    if (!good || !values_differ(&e->problem)) {
        return good;
    }
    q.input = QB_FORMAT_F32;
    rated.at[QB_ROLE_INPUT] = values = exact_values(&e->problem, data);
    good = values != NULL && quality_compute(&q, &e->arithmetic, &rated, &exact);
    free(values);
    if (good) {
        quality->finite = exact.finite;
        quality->nan = exact.nan;
        quality->infinite = exact.infinite;
        quality->snr = exact.snr;
        quality->signal = exact.signal;
        quality->rest_snr = exact.rest_snr;
        quality->largest_error = exact.largest_error;
        quality->largest_relative_error = exact.largest_relative_error;
    }
    return good;
}

static enum exit_code rate(const struct expectation *e, const struct case_data *data, const struct qb_tensors *tensors,
                           struct quality *quality)
{
    return rate_all(e, data, tensors, quality)
               ? EXIT_OK
               : message_out_of_memory("the quality of the codes",
                                       e->problem.tokens * e->problem.hidden * sizeof(float));
}

/* ---- Making expectations ---------------------------------------------------------------------------------------- */

/* True if tensors of ROLE are what kernels are for, besides scales. */
static bool is_result(enum qb_role role)
{
    return role == QB_ROLE_CODES || role == QB_ROLE_VALUES || role == QB_ROLE_SUM;
}

/* Make the expectation of E's other part. */
static bool make_other(struct expectation *e, bool need_codes)
{
    e->other = part_count(&e->problem) > 1 ? calloc(1, sizeof *e->other) : NULL;
    if (e->other == NULL) {
        return part_count(&e->problem) == 1;
    }
    e->other->problem = part_of(&e->problem, 1);
    e->other->arithmetic = e->arithmetic;
    return verify_make(e->other, need_codes);
}

bool verify_make(struct expectation *e, bool need_codes)
{
    const bool has_cache = operation_has_cache(e->problem.operation);
    const struct qb_problem first = part_of(&e->problem, 0);
    bool good = true;

    e->quantization = values_quantization(&e->problem);
    e->bytes = sizes_of(has_cache ? &e->quantization : &first);
    e->bytes.of[QB_ROLE_VALUES] = sizes_of(&first).of[QB_ROLE_VALUES];
    e->tensors = (struct qb_tensors){.size = sizeof e->tensors};
    for (int role = 0; role < QB_ROLE_COUNT && good; role++) {
        if ((!inputs_have((enum qb_role)role) || role == QB_ROLE_EXPERTS) &&
            (!is_result((enum qb_role)role) || need_codes || sizes_is_given(&e->problem, (enum qb_role)role)) &&
            e->bytes.of[role] > 0) {
            e->tensors.at[role] = malloc(e->bytes.of[role]);
            good = e->tensors.at[role] != NULL;
            if (good && (e->problem.experts > 0 || (role == QB_ROLE_CODES && codes_row_bytes(&e->quantization) !=
                                                                                 codes_used_bytes(&e->quantization)))) {
                memset(e->tensors.at[role], VERIFY_POISON, e->bytes.of[role]); /* what is between rows stays so */
            }
        }
    }
    e->slots = has_cache ? calloc(e->problem.tokens + 1, sizeof *e->slots) : NULL;
    return good && (e->slots != NULL || !has_cache) && make_other(e, need_codes);
}

/* Compute E, which has the memory, from DATA, and rate its codes if RATES. */
static enum exit_code compute_part(struct expectation *e, const struct case_data *data, bool rates)
{
    const enum qb_status status = compute(e, data);

    if (status != QB_OK) {
        return message_status("the reference", status);
    }
    return rates ? rate(e, data, &e->tensors, &e->quality) : EXIT_OK;
}

/* Add the quality of other codes, MORE, to QUALITY: their elements, and the greater errors. */
static void add_quality(const struct quality *more, struct quality *quality)
{
    quality->finite += more->finite;
    quality->nan += more->nan;
    quality->infinite += more->infinite;
    quality->saturated += more->saturated;
    quality->overrange += more->overrange;
    quality->flushed += more->flushed;
    quality->tiles += more->tiles;
    quality->saturated_tiles += more->saturated_tiles;
    quality->overrange_tiles += more->overrange_tiles;
    quality->floor_tiles += more->floor_tiles;
    quality->snr = fmin(quality->snr, more->snr);
    quality->rest_snr = fmin(quality->rest_snr, more->rest_snr);
    quality->largest_error = fmax(quality->largest_error, more->largest_error);
    quality->largest_relative_error = fmax(quality->largest_relative_error, more->largest_relative_error);
}

/* The same for both parts. */
static enum exit_code compute_all(struct expectation *e, const struct case_data *data, bool rates)
{
    struct case_data of_other;
    enum exit_code code = compute_part(e, data, rates);

    if (code == EXIT_OK && e->other != NULL) {
        inputs_take_part(data, &e->other->problem, &of_other);
        code = compute_part(e->other, &of_other, rates);
        add_quality(&e->other->quality, &e->quality);
    }
    return code;
}

enum exit_code verify_expect(const struct qb_problem *problem, const struct qb_arithmetic *arithmetic,
                             const struct case_data *data, bool same_data, bool need_codes,
                             struct expectation *expectation)
{
    const bool has_codes = need_codes && problem->scaling != QB_SCALING_AMAX;
    enum exit_code code;

    if (same_data && expectation->tensors.at[QB_ROLE_SCALES] != NULL && expectation->has_results >= need_codes &&
        same_answer(&expectation->problem, problem) && same_arithmetic(&expectation->arithmetic, arithmetic) &&
        (expectation->problem.scaling == problem->scaling ||
         (is_contract(arithmetic) && problem->scale_format != QB_FORMAT_E4M3 &&
          !operation_has_cache(problem->operation)))) {
        return EXIT_OK;
    }
    verify_free(expectation);
    expectation->problem = *problem;
    expectation->arithmetic = *arithmetic;
    expectation->has_results = need_codes;
    if (!verify_make(expectation, need_codes)) {
        const struct sizes bytes = expectation->bytes;

        verify_free(expectation);
        return message_out_of_memory("the reference", bytes.of[QB_ROLE_CODES] + bytes.of[QB_ROLE_SCALES]);
    }
    if (problem->experts > 0) {
        memcpy(expectation->tensors.at[QB_ROLE_EXPERTS], data->at[QB_ROLE_EXPERTS],
               expectation->bytes.of[QB_ROLE_EXPERTS]);
    }
    if (expectation->slots != NULL) {
        memcpy(expectation->slots, data->at[QB_ROLE_SLOTS], problem->tokens * sizeof *expectation->slots);
    }
    code = compute_all(expectation, data, has_codes);
    if (code != EXIT_OK) {
        verify_free(expectation);
    }
    return code;
}

/* ---- Comparing ----------------------------------------------------------------------------------------------------
 */

/* Read COPIES back through PIECE, and hand each stretch of their BYTES bytes to USE. */
static enum qb_status read_copies(struct qb_device *device, const struct copies *copies, uint64_t bytes, uint8_t *piece,
                                  void (*use)(void *context, const uint8_t *got, uint64_t offset, uint64_t length),
                                  void *context)
{
    uint64_t total = copies->count * copies->stride;

    for (uint64_t start = 0; start < total; start += PIECE) {
        uint64_t end = total - start < PIECE ? total : start + PIECE;
        enum qb_status status = qb_memory_read(device, piece, (const char *)copies->memory + start, end - start);

        if (status != QB_OK) {
            return status;
        }
        for (uint64_t copy = start / copies->stride * copies->stride; copy < end; copy += copies->stride) {
            uint64_t from = copy > start ? copy : start;
            uint64_t to = copy + bytes < end ? copy + bytes : end;

            if (from < to) {
                use(context, piece + (from - start), from - copy, to - from);
            }
        }
    }
    return QB_OK;
}

/* What read_copies() hands on, and to whom. */
struct reading {
    struct difference difference;
    enum qb_role role;
};

static void compare_stretch(void *context, const uint8_t *got, uint64_t offset, uint64_t length)
{
    struct reading *reading = context;

    difference_find(&reading->difference, reading->role, got, offset, length);
}

/* Take what tokens have in CACHE, a copy of the tensor of ROLE, to ROWS, which begin as what is expected. What else was
 * written into CACHE is wrong, and counts as codes that are. */
static void take_rows(const struct expectation *e, enum qb_role role, uint8_t *cache, void *rows,
                      struct mismatch *mismatch)
{
    const uint64_t bytes = sizes_of(&e->problem).of[role];
    char where[CACHE_TEXT_SIZE];

    memcpy(rows, e->tensors.at[role], e->bytes.of[role]);
    cache_take(&e->problem, e->slots, role, cache, VERIFY_POISON, rows);
    for (uint64_t i = 0; i < bytes; i++) {
        if (cache[i] == VERIFY_POISON) {
            continue;
        }
        if (!mismatch_is_wrong(mismatch)) {
            mismatch->first_role = QB_ROLE_SLOTS;
            mismatch->first_index = UINT64_MAX;
            snprintf(mismatch->first, sizeof mismatch->first, "a slot that no token has was written: %s",
                     cache_text(&e->problem, role, i, where));
        }
        /* No more than there are codes. */
        mismatch->wrong_codes += mismatch->wrong_codes < e->problem.tokens * e->problem.hidden;
    }
}

/* Compare all COPIES of the tensor of ROLE, which is a cache or its scales. */
static enum exit_code compare_cache(struct qb_device *device, const struct copies *copies, enum qb_role role,
                                    struct reading *reading)
{
    const struct expectation *e = reading->difference.expectation;
    const uint64_t bytes = sizes_of(&e->problem).of[role];
    uint8_t *cache = malloc(bytes + 1), *rows = malloc(e->bytes.of[role] + 1);
    enum qb_status status = QB_OK;
    enum exit_code code = EXIT_OK;

    if (cache == NULL || rows == NULL) {
        code = message_out_of_memory("reading the codes back", bytes + e->bytes.of[role]);
    }
    for (uint64_t i = 0; i < copies->count && code == EXIT_OK; i++) {
        status = qb_memory_read(device, cache, (const char *)copies->memory + i * copies->stride, bytes);
        code = status == QB_OK ? EXIT_OK : message_status("reading the codes back", status);
        if (code == EXIT_OK) {
            take_rows(e, role, cache, rows, reading->difference.mismatch);
            difference_find(&reading->difference, role, rows, 0, e->bytes.of[role]);
        }
    }
    free(cache);
    free(rows);
    return code;
}

/* Set PART_COPIES to those that the other part of PROBLEM has, by its own roles. */
static void copies_of_other(const struct qb_problem *problem, const struct copies copies[QB_ROLE_COUNT],
                            struct copies part_copies[QB_ROLE_COUNT])
{
    for (int role = 0; role < QB_ROLE_COUNT; role++) {
        part_copies[role] = copies[part_role(problem, 1, (enum qb_role)role)];
    }
}

/* Compare the codes and scales of one part: see verify_compare(). */
static enum exit_code compare_part(struct qb_device *device, const struct copies copies[QB_ROLE_COUNT],
                                   const void *values, const struct expectation *expectation, struct mismatch *mismatch)
{
    /* A wrong one is the reason of others after it. */
    static const enum qb_role order[] = {QB_ROLE_SUM,         QB_ROLE_TENSOR_SCALE, QB_ROLE_SCALES,
                                         QB_ROLE_ZERO_POINTS, QB_ROLE_CODES,        QB_ROLE_VALUES};
    struct reading reading = {{.expectation = expectation, .values = values, .mismatch = mismatch}, QB_ROLE_INPUT};
    uint8_t *piece = malloc(PIECE);
    enum qb_status status = QB_OK;
    enum exit_code code = EXIT_OK;

    if (piece == NULL) {
        return message_out_of_memory("reading the codes back", PIECE);
    }
    *mismatch = (struct mismatch){.wrong_codes = 0};
    for (size_t i = 0; i < sizeof order / sizeof order[0] && status == QB_OK && code == EXIT_OK; i++) {
        reading.role = order[i];
        if (expectation->tensors.at[order[i]] != NULL && cache_has(&expectation->problem, order[i])) {
            code = compare_cache(device, &copies[order[i]], order[i], &reading);
        } else if (expectation->tensors.at[order[i]] != NULL) {
            status = read_copies(device, &copies[order[i]], expectation->bytes.of[order[i]], piece, compare_stretch,
                                 &reading);
        }
    }
    free(piece);
    return status == QB_OK ? code : message_status("reading the codes back", status);
}

/* Add MORE, of the other part of PROBLEM, to MISMATCH. */
static void add_mismatch(const struct qb_problem *problem, const struct mismatch *more, struct mismatch *mismatch)
{
    if (!mismatch_is_wrong(mismatch) && mismatch_is_wrong(more)) {
        mismatch->first_role = more->first_role;
        mismatch->first_index = more->first_index;
        mismatch->first_part = 1;
        snprintf(mismatch->first, sizeof mismatch->first, "%s%.320s", part_prefix(problem, 1), more->first);
    }
    mismatch->wrong_codes += more->wrong_codes;
    mismatch->wrong_scales += more->wrong_scales;
    mismatch->near_codes += more->near_codes;
    mismatch->near_scales += more->near_scales;
    mismatch->compared += more->compared;
}

enum exit_code verify_compare(struct qb_device *device, const struct copies copies[QB_ROLE_COUNT], const void *values,
                              const struct expectation *expectation, struct mismatch *mismatch)
{
    struct copies of_other[QB_ROLE_COUNT];
    struct mismatch more;
    enum exit_code code = compare_part(device, copies, values, expectation, mismatch);

    if (code == EXIT_OK && expectation->other != NULL) {
        copies_of_other(&expectation->problem, copies, of_other);
        code = compare_part(device, of_other, NULL, expectation->other, &more);
        if (code == EXIT_OK) {
            add_mismatch(&expectation->problem, &more, mismatch);
        }
    }
    return code;
}

/* Read the first of COPIES of the tensor of ROLE to HOST, of a cache token by token. */
static enum exit_code read_first(struct qb_device *device, const struct copies *copies, const struct expectation *e,
                                 enum qb_role role, void *host)
{
    const bool is_cache = cache_has(&e->problem, role);
    const uint64_t bytes = is_cache ? sizes_of(&e->problem).of[role] : e->bytes.of[role];
    void *cache = is_cache ? malloc(bytes) : host;
    enum qb_status status;

    if (cache == NULL) {
        return message_out_of_memory("the quality of the codes", bytes);
    }
    status = qb_memory_read(device, cache, copies->memory, bytes);
    if (is_cache) {
        memcpy(host, e->tensors.at[role], e->bytes.of[role]);
        cache_take(&e->problem, e->slots, role, cache, VERIFY_POISON, host);
        free(cache);
    }
    return status == QB_OK ? EXIT_OK : message_status("reading the codes back", status);
}

/* Rate the codes of one part: see verify_rate(). */
static enum exit_code rate_part(struct qb_device *device, const struct copies copies[QB_ROLE_COUNT],
                                const struct case_data *data, const struct expectation *expectation,
                                struct quality *quality)
{
    struct qb_tensors host = {.size = sizeof host};
    enum exit_code code = EXIT_OK;

    for (int role = QB_ROLE_CODES; role <= QB_ROLE_TENSOR_SCALE && code == EXIT_OK; role++) {
        const uint64_t bytes = expectation->bytes.of[role];

        host.at[role] = bytes > 0 ? malloc(bytes) : NULL;
        if (bytes > 0 && host.at[role] == NULL) {
            code = message_out_of_memory("the quality of the codes", bytes);
        } else if (bytes > 0) {
            code = read_first(device, &copies[role], expectation, (enum qb_role)role, host.at[role]);
        }
    }
    if (code == EXIT_OK) {
        code = rate(expectation, data, &host, quality);
    }
    for (int role = QB_ROLE_INPUT + 1; role < QB_ROLE_COUNT; role++) {
        free(host.at[role]);
    }
    return code;
}

enum exit_code verify_rate(struct qb_device *device, const struct copies copies[QB_ROLE_COUNT],
                           const struct case_data *data, const struct expectation *expectation, struct quality *quality)
{
    struct copies of_other[QB_ROLE_COUNT];
    struct case_data other_data;
    struct quality more;
    enum exit_code code = rate_part(device, copies, data, expectation, quality);

    if (code == EXIT_OK && expectation->other != NULL) {
        copies_of_other(&expectation->problem, copies, of_other);
        inputs_take_part(data, &expectation->other->problem, &other_data);
        code = rate_part(device, of_other, &other_data, expectation->other, &more);
        if (code == EXIT_OK) {
            add_quality(&more, quality);
        }
    }
    return code;
}

/* The fingerprint of the copy that is being read, and whether all so far had the right one. */
struct identity {
    struct digest digest;
    uint64_t bytes;
    uint64_t wanted;
    bool same;
};

static void identify(void *context, const uint8_t *got, uint64_t offset, uint64_t length)
{
    struct identity *identity = context;

    if (offset == 0) {
        identity->digest = (struct digest){.length = 0};
    }
    digest_add(&identity->digest, got, length);
    if (offset + length == identity->bytes) {
        identity->same = identity->same && digest_value(&identity->digest) == identity->wanted;
    }
}

enum exit_code verify_same(struct qb_device *device, const struct copies copies[QB_ROLE_COUNT],
                           const struct sizes *bytes, const struct fingerprint *fingerprint, bool *same)
{
    uint8_t *piece = malloc(PIECE);
    enum qb_status status = QB_OK;
    bool all_same = true;

    if (piece == NULL) {
        return message_out_of_memory("reading the codes back", PIECE);
    }
    for (int role = 0; role < QB_ROLE_COUNT && status == QB_OK; role++) {
        struct identity identity = {.bytes = bytes->of[role], .wanted = fingerprint->of[role], .same = true};

        if (fingerprint->has[role]) {
            status = read_copies(device, &copies[role], bytes->of[role], piece, identify, &identity);
            all_same = all_same && identity.same;
        }
    }
    free(piece);
    if (status != QB_OK) {
        return message_status("reading the codes back", status);
    }
    *same = all_same;
    return EXIT_OK;
}
