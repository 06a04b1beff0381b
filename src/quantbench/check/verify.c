/* SPDX-License-Identifier: Apache-2.0 */
/* verify.c - compares what a kernel wrote with what the reference computes, byte for byte. */
#include <config.h>

#include "base/digest.h"
#include "cases/input.h"
#include "model/sizes.h"
#include "model/tiling.h"
#include "check/verify.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Outputs are read back in pieces of this many bytes, so that the host needs no second copy of them. */
#define PIECE ((uint64_t)16 << 20)

void verify_free(struct expectation *expectation)
{
    free(expectation->codes);
    free(expectation->scales);
    *expectation = (struct expectation){.codes = NULL};
}

struct fingerprint verify_fingerprint(const struct expectation *expectation)
{
    return (struct fingerprint){digest_of(expectation->codes, expectation->codes != NULL ? expectation->code_bytes : 0),
                                digest_of(expectation->scales, expectation->scale_bytes)};
}

/* Compute the codes of BUFFERS by its scales, or by FACTORS: rows are independent of each other then, so that the CPUs
 * share them. A slice is as many rows as there are in a tile, or in several. */
static enum qb_status reference_codes(const struct qb_problem *problem, const struct qb_arithmetic *arithmetic,
                                      const struct qb_tensors *tensors, const float *factors)
{
    const uint64_t elements_per_slice = 1 << 16;
    const struct tiling t = tiling_of(problem);
    uint64_t slice_rows = elements_per_slice / problem->hidden + 1, slices;
    enum qb_status status = QB_OK;

    if (t.scale_rows > 1) {
        slice_rows = (slice_rows + t.tile_rows - 1) / t.tile_rows * t.tile_rows;
    }
    slices = (problem->tokens + slice_rows - 1) / slice_rows;
#pragma omp parallel for schedule(dynamic)
    for (uint64_t i = 0; i < slices; i++) {
        uint64_t first = i * slice_rows;
        struct qb_problem slice = *problem;
        struct qb_tensors part = *tensors;
        const float *part_factors = factors;
        enum qb_status slice_status;

        slice.tokens = problem->tokens - first < slice_rows ? problem->tokens - first : slice_rows;
        part.at[QB_ROLE_INPUT] =
            (char *)tensors->at[QB_ROLE_INPUT] + first * problem->hidden * input_element_size(problem->input);
        part.at[QB_ROLE_CODES] = (char *)tensors->at[QB_ROLE_CODES] + first * problem->hidden;
        if (t.scale_rows > 1) {
            const uint64_t before = first / t.tile_rows * t.scale_cols;

            part.at[QB_ROLE_SCALES] = (float *)part.at[QB_ROLE_SCALES] + before;
            part_factors = factors != NULL ? factors + before : NULL;
        }
        slice_status = qb_reference_codes_as(&slice, arithmetic, &part, part_factors);
        if (slice_status != QB_OK) {
#pragma omp critical
            status = slice_status;
        }
    }
    return status;
}

bool verify_same_problem(const struct qb_problem *a, const struct qb_problem *b)
{
    return a->operation == b->operation && a->input == b->input && a->output == b->output &&
           a->scale_format == b->scale_format && a->granularity == b->granularity && a->scaling == b->scaling &&
           a->tokens == b->tokens && a->hidden == b->hidden && a->group == b->group && a->block_rows == b->block_rows &&
           a->block_cols == b->block_cols && a->amax_bound == b->amax_bound;
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

/* The reference's answer for E: the scales, and the codes if E has room for them. A static scale is the one that this
 * data gives, so it must be finite and > 0 whatever the arithmetic makes of a tensor of zeros. */
static enum qb_status compute(struct expectation *e, const void *input)
{
    const bool is_static = e->problem.scaling == QB_SCALING_STATIC;
    const struct qb_tensors buffers = QB_TENSORS(input, e->codes, e->scales);
    struct qb_arithmetic given = e->arithmetic;
    float *factors = NULL;
    enum qb_status status;

    if (is_static) {
        given.zero = QB_ZERO_FLOOR;
        given.infinity = QB_INFINITY_CLAMPED;
    } else if (e->codes != NULL && !is_contract(&e->arithmetic)) {
        factors = malloc(e->scale_bytes);
        if (factors == NULL) {
            return QB_ERROR_MEMORY;
        }
    }
    status = qb_reference_scales_as(&e->problem, &given, &buffers, factors);
    if (status == QB_OK && e->codes != NULL) {
        status = reference_codes(&e->problem, &e->arithmetic, &buffers, factors);
    }
    free(factors);
    return status;
}

/* How good the codes in BUFFERS (host memory) are, which E is for. What is stored as their scale may be a multiplier.
 */
static enum exit_code rate(const struct expectation *e, struct qb_tensors buffers, struct quality *quality)
{
    const uint64_t count = e->scale_bytes / sizeof(float);
    float *divisors;

    if (e->arithmetic.scale_form != QB_SCALE_MULTIPLIER) {
        quality_compute(&e->problem, &buffers, quality);
        return EXIT_OK;
    }
    divisors = malloc(e->scale_bytes);
    if (divisors == NULL) {
        return message_out_of_memory("the quality of the codes", e->scale_bytes);
    }
    for (uint64_t i = 0; i < count; i++) {
        divisors[i] = 1 / ((float *)buffers.at[QB_ROLE_SCALES])[i];
    }
    buffers.at[QB_ROLE_SCALES] = divisors;
    quality_compute(&e->problem, &buffers, quality);
    free(divisors);
    return EXIT_OK;
}

enum exit_code verify_expect(const struct qb_problem *problem, const struct qb_arithmetic *arithmetic,
                             const void *input, bool same_input, bool need_codes, struct expectation *expectation)
{
    struct sizes bytes;
    enum qb_status status;
    enum exit_code code = EXIT_OK;

    need_codes = need_codes && problem->scaling != QB_SCALING_AMAX;
    if (same_input && expectation->scales != NULL && (expectation->codes != NULL || !need_codes) &&
        same_answer(&expectation->problem, problem) && same_arithmetic(&expectation->arithmetic, arithmetic) &&
        (expectation->problem.scaling == problem->scaling || is_contract(arithmetic))) {
        return EXIT_OK;
    }
    verify_free(expectation);
    bytes = sizes_of(problem);
    expectation->problem = *problem;
    expectation->arithmetic = *arithmetic;
    expectation->code_bytes = bytes.of[QB_ROLE_CODES];
    expectation->scale_bytes = bytes.of[QB_ROLE_SCALES];
    expectation->codes = need_codes ? malloc(bytes.of[QB_ROLE_CODES]) : NULL;
    expectation->scales = malloc(bytes.of[QB_ROLE_SCALES]);
    if ((need_codes && expectation->codes == NULL) || expectation->scales == NULL) {
        verify_free(expectation);
        return message_out_of_memory("the reference", bytes.of[QB_ROLE_CODES] + bytes.of[QB_ROLE_SCALES]);
    }
    status = compute(expectation, input);
    if (status != QB_OK) {
        code = message_status("the reference", status);
    } else if (need_codes) {
        code = rate(expectation, (struct qb_tensors)QB_TENSORS(input, expectation->codes, expectation->scales),
                    &expectation->quality);
    }
    if (code != EXIT_OK) {
        verify_free(expectation);
    }
    return code;
}

/* The scale of the tile that code INDEX is in. */
static float scale_of_code(const struct expectation *e, uint64_t index)
{
    const struct tiling tiling = tiling_of(&e->problem);

    return e->scales[tiling_index(&tiling, index)];
}

/* Describe wrong code INDEX: where it is, what was quantized, by which scale, what came out and what should have. */
static void describe_code(const struct expectation *e, const void *input, uint64_t index, uint8_t got, char *text,
                          size_t size)
{
    uint64_t row = index / e->problem.hidden, col = index % e->problem.hidden;
    uint8_t want = ((const uint8_t *)e->codes)[index];
    float x = e->problem.input == QB_FORMAT_F32 ? ((const float *)input)[index]
                                                : qb_format_decode(e->problem.input, ((const uint16_t *)input)[index]);

    snprintf(text, size,
             "code [%" PRIu64 ", %" PRIu64 "] (element %" PRIu64 "): input %.9g (%a), scale %.9g, got 0x%02X (%.9g), "
             "want 0x%02X (%.9g)",
             row, col, index, (double)x, (double)x, (double)scale_of_code(e, index), got,
             (double)qb_format_decode(e->problem.output, got), want, (double)qb_format_decode(e->problem.output, want));
}

static void describe_scale(const struct expectation *e, uint64_t index, float got, char *text, size_t size)
{
    snprintf(text, size, "scale %" PRIu64 ": got %.9g (%a), want %.9g (%a)", index, (double)got, (double)got,
             (double)e->scales[index], (double)e->scales[index]);
}

/* One comparison under way. */
struct comparison {
    const struct expectation *expectation;
    const void *input;
    struct mismatch *mismatch;
};

/* Where a code stands among those of FORMAT, in the order of their values: neighbours differ by 1. The two zeros are
 * one; false for NaN, which has no place. */
static bool place_of(enum qb_format format, uint8_t code, int *place)
{
    if (format == QB_FORMAT_INT8) {
        *place = (int8_t)code;
        return true;
    }
    *place = (code & 0x80) != 0 ? -(code & 0x7F) : code;
    return !isnan(qb_format_decode(format, code));
}

bool verify_is_code(const struct qb_arithmetic *arithmetic, enum qb_format format, uint8_t got, uint8_t want)
{
    int a, b;

    return got == want || (arithmetic->match == QB_MATCH_ONE_CODE && place_of(format, got, &a) &&
                           place_of(format, want, &b) && abs(a - b) <= 1);
}

bool verify_is_scale(const struct qb_arithmetic *arithmetic, float got, float want)
{
    const int allowed = 4; /* units in the last place */
    int32_t a, b;

    memcpy(&a, &got, sizeof a);
    memcpy(&b, &want, sizeof b);
    /* Of one sign, the bits of binary32 are in the order of its values; infinity is next to the largest one. */
    return a == b || (arithmetic->match == QB_MATCH_ONE_CODE && (a < 0) == (b < 0) && isfinite(got) && isfinite(want) &&
                      labs((long)a - b) <= allowed);
}

/* Count and describe the differences of LENGTH bytes, from byte OFFSET of the tensor on. */
static void compare_codes(void *context, const uint8_t *got, uint64_t offset, uint64_t length)
{
    const struct comparison *c = context;
    const uint8_t *want = (const uint8_t *)c->expectation->codes + offset;
    struct mismatch *m = c->mismatch;

    m->compared += length;
    if (memcmp(got, want, length) == 0) {
        return;
    }
    for (uint64_t i = 0; i < length; i++) {
        if (got[i] == want[i]) {
            continue;
        }
        if (verify_is_code(&c->expectation->arithmetic, c->expectation->problem.output, got[i], want[i])) {
            m->near_codes++;
        } else if (m->wrong_codes++ == 0 && m->wrong_scales == 0) {
            m->first_index = offset + i;
            describe_code(c->expectation, c->input, offset + i, got[i], m->first, sizeof m->first);
        }
    }
}

static void compare_scales(void *context, const uint8_t *got, uint64_t offset, uint64_t length)
{
    const struct comparison *c = context;
    const float *want = c->expectation->scales + offset / sizeof(float);
    struct mismatch *m = c->mismatch;

    for (uint64_t i = 0; i < length / sizeof(float); i++) {
        float value;

        memcpy(&value, got + i * sizeof value, sizeof value);
        if (memcmp(&value, &want[i], sizeof value) == 0) {
            continue;
        }
        if (verify_is_scale(&c->expectation->arithmetic, value, want[i])) {
            m->near_scales++;
        } else if (m->wrong_scales++ == 0) {
            m->first_index = offset / sizeof(float) + i;
            describe_scale(c->expectation, offset / sizeof(float) + i, value, m->first, sizeof m->first);
        }
    }
}

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

enum exit_code verify_compare(struct qb_device *device, const struct copies *codes, const struct copies *scales,
                              const void *input, const struct expectation *expectation, struct mismatch *mismatch)
{
    struct comparison comparison = {expectation, input, mismatch};
    uint8_t *piece = malloc(PIECE);
    enum qb_status status;

    if (piece == NULL) {
        return message_out_of_memory("reading the codes back", PIECE);
    }
    *mismatch = (struct mismatch){.wrong_codes = 0};
    status = read_copies(device, scales, expectation->scale_bytes, piece, compare_scales, &comparison);
    if (status == QB_OK) {
        status = read_copies(device, codes, expectation->code_bytes, piece, compare_codes, &comparison);
    }
    free(piece);
    return status == QB_OK ? EXIT_OK : message_status("reading the codes back", status);
}

enum exit_code verify_rate(struct qb_device *device, const struct copies *codes, const struct copies *scales,
                           const void *input, const struct expectation *expectation, struct quality *quality)
{
    const struct expectation *e = expectation;
    struct qb_tensors host = QB_TENSORS(input, malloc(e->code_bytes), malloc(e->scale_bytes));
    enum exit_code code = EXIT_OK;
    enum qb_status status;

    if (host.at[QB_ROLE_CODES] == NULL || host.at[QB_ROLE_SCALES] == NULL) {
        code = message_out_of_memory("the quality of the codes", e->code_bytes + e->scale_bytes);
    } else {
        status = qb_memory_read(device, host.at[QB_ROLE_CODES], codes->memory, e->code_bytes);
        if (status == QB_OK) {
            status = qb_memory_read(device, host.at[QB_ROLE_SCALES], scales->memory, e->scale_bytes);
        }
        code = status == QB_OK ? rate(e, host, quality) : message_status("reading the codes back", status);
    }
    free(host.at[QB_ROLE_CODES]);
    free(host.at[QB_ROLE_SCALES]);
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

enum exit_code verify_same(struct qb_device *device, const struct copies *codes, const struct copies *scales,
                           uint64_t code_bytes, uint64_t scale_bytes, const struct fingerprint *fingerprint, bool *same)
{
    struct identity of_codes = {.bytes = code_bytes, .wanted = fingerprint->codes, .same = true};
    struct identity of_scales = {.bytes = scale_bytes, .wanted = fingerprint->scales, .same = true};
    uint8_t *piece = malloc(PIECE);
    enum qb_status status;

    if (piece == NULL) {
        return message_out_of_memory("reading the codes back", PIECE);
    }
    status = read_copies(device, scales, scale_bytes, piece, identify, &of_scales);
    if (status == QB_OK) {
        status = read_copies(device, codes, code_bytes, piece, identify, &of_codes);
    }
    free(piece);
    if (status != QB_OK) {
        return message_status("reading the codes back", status);
    }
    *same = of_codes.same && of_scales.same;
    return EXIT_OK;
}
