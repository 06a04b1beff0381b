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
    for (int role = 0; role < QB_ROLE_COUNT; role++) {
        free(expectation->tensors.at[role]);
    }
    *expectation = (struct expectation){.tensors = {.size = sizeof expectation->tensors}};
}

struct fingerprint verify_fingerprint(const struct expectation *expectation)
{
    struct fingerprint fingerprint = {{false}, {0}};

    for (int role = 0; role < QB_ROLE_COUNT; role++) {
        const void *tensor = expectation->tensors.at[role];

        fingerprint.has[role] = tensor != NULL;
        fingerprint.of[role] = tensor != NULL ? digest_of(tensor, expectation->bytes.of[role]) : 0;
    }
    return fingerprint;
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

/* The tensors of E, and INPUT. */
static struct qb_tensors with_input(const struct expectation *e, const void *input)
{
    struct qb_tensors tensors = e->tensors;

    tensors.at[QB_ROLE_INPUT] = (void *)(uintptr_t)input;
    return tensors;
}

/* The reference's answer for E: the scales, and the codes if E has room for them. A static scale is the one that this
 * data gives, so it must be finite and > 0 whatever the arithmetic makes of a tensor of zeros. */
static enum qb_status compute(struct expectation *e, const void *input)
{
    const bool is_static = e->problem.scaling == QB_SCALING_STATIC;
    const struct qb_tensors buffers = with_input(e, input);
    struct qb_arithmetic given = e->arithmetic;
    float *factors = NULL;
    enum qb_status status;

    if (is_static) {
        given.zero = QB_ZERO_FLOOR;
        given.infinity = QB_INFINITY_CLAMPED;
    } else if (e->tensors.at[QB_ROLE_CODES] != NULL && !is_contract(&e->arithmetic)) {
        factors = malloc(e->bytes.of[QB_ROLE_SCALES]);
        if (factors == NULL) {
            return QB_ERROR_MEMORY;
        }
    }
    status = qb_reference_scales_as(&e->problem, &given, &buffers, factors);
    if (status == QB_OK && e->tensors.at[QB_ROLE_CODES] != NULL) {
        status = reference_codes(&e->problem, &e->arithmetic, &buffers, factors);
    }
    free(factors);
    return status;
}

/* How good the codes in BUFFERS (host memory) are, which E is for. What is stored as their scale may be a multiplier.
 */
static enum exit_code rate(const struct expectation *e, struct qb_tensors buffers, struct quality *quality)
{
    const uint64_t count = e->bytes.of[QB_ROLE_SCALES] / sizeof(float);
    float *divisors;

    if (e->arithmetic.scale_form != QB_SCALE_MULTIPLIER) {
        quality_compute(&e->problem, &buffers, quality);
        return EXIT_OK;
    }
    divisors = malloc(e->bytes.of[QB_ROLE_SCALES]);
    if (divisors == NULL) {
        return message_out_of_memory("the quality of the codes", e->bytes.of[QB_ROLE_SCALES]);
    }
    for (uint64_t i = 0; i < count; i++) {
        divisors[i] = 1 / ((float *)buffers.at[QB_ROLE_SCALES])[i];
    }
    buffers.at[QB_ROLE_SCALES] = divisors;
    quality_compute(&e->problem, &buffers, quality);
    free(divisors);
    return EXIT_OK;
}

bool verify_make(struct expectation *e, bool need_codes)
{
    bool good = true;

    e->bytes = sizes_of(&e->problem);
    e->tensors = (struct qb_tensors){.size = sizeof e->tensors};
    for (int role = 0; role < QB_ROLE_COUNT && good; role++) {
        if (role != QB_ROLE_INPUT && (role != QB_ROLE_CODES || need_codes) && e->bytes.of[role] > 0) {
            e->tensors.at[role] = malloc(e->bytes.of[role]);
            good = e->tensors.at[role] != NULL;
        }
    }
    return good;
}

enum exit_code verify_expect(const struct qb_problem *problem, const struct qb_arithmetic *arithmetic,
                             const void *input, bool same_input, bool need_codes, struct expectation *expectation)
{
    enum qb_status status;
    enum exit_code code = EXIT_OK;

    need_codes = need_codes && problem->scaling != QB_SCALING_AMAX;
    if (same_input && verify_scales(expectation) != NULL &&
        (expectation->tensors.at[QB_ROLE_CODES] != NULL || !need_codes) &&
        same_answer(&expectation->problem, problem) && same_arithmetic(&expectation->arithmetic, arithmetic) &&
        (expectation->problem.scaling == problem->scaling || is_contract(arithmetic))) {
        return EXIT_OK;
    }
    verify_free(expectation);
    expectation->problem = *problem;
    expectation->arithmetic = *arithmetic;
    if (!verify_make(expectation, need_codes)) {
        const struct sizes bytes = expectation->bytes;

        verify_free(expectation);
        return message_out_of_memory("the reference", bytes.of[QB_ROLE_CODES] + bytes.of[QB_ROLE_SCALES]);
    }
    status = compute(expectation, input);
    if (status != QB_OK) {
        code = message_status("the reference", status);
    } else if (need_codes) {
        code = rate(expectation, with_input(expectation, input), &expectation->quality);
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

    return verify_scales(e)[tiling_index(&tiling, index)];
}

/* Describe wrong code INDEX: where it is, what was quantized, by which scale, what came out and what should have. */
static void describe_code(const struct expectation *e, const void *input, uint64_t index, uint8_t got, char *text,
                          size_t size)
{
    uint64_t row = index / e->problem.hidden, col = index % e->problem.hidden;
    uint8_t want = ((const uint8_t *)e->tensors.at[QB_ROLE_CODES])[index];
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
             (double)verify_scales(e)[index], (double)verify_scales(e)[index]);
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
    if (qb_format_info(format)->exponent_bits == 0) {
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
    const uint8_t *want = (const uint8_t *)c->expectation->tensors.at[QB_ROLE_CODES] + offset;
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
    const float *want = verify_scales(c->expectation) + offset / sizeof(float);
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

enum exit_code verify_compare(struct qb_device *device, const struct copies copies[QB_ROLE_COUNT], const void *input,
                              const struct expectation *expectation, struct mismatch *mismatch)
{
    static void (*const compare[QB_ROLE_COUNT])(void *context, const uint8_t *got, uint64_t offset, uint64_t length) = {
        [QB_ROLE_CODES] = compare_codes,
        [QB_ROLE_SCALES] = compare_scales,
    };
    struct comparison comparison = {expectation, input, mismatch};
    uint8_t *piece = malloc(PIECE);
    enum qb_status status = QB_OK;

    if (piece == NULL) {
        return message_out_of_memory("reading the codes back", PIECE);
    }
    *mismatch = (struct mismatch){.wrong_codes = 0};
    /* The scales first: a wrong one is the reason of wrong codes. */
    for (int role = QB_ROLE_COUNT - 1; role >= 0 && status == QB_OK; role--) {
        if (expectation->tensors.at[role] != NULL) {
            status = read_copies(device, &copies[role], expectation->bytes.of[role], piece, compare[role], &comparison);
        }
    }
    free(piece);
    return status == QB_OK ? EXIT_OK : message_status("reading the codes back", status);
}

enum exit_code verify_rate(struct qb_device *device, const struct copies copies[QB_ROLE_COUNT], const void *input,
                           const struct expectation *expectation, struct quality *quality)
{
    struct qb_tensors host = {.size = sizeof host};
    enum exit_code code = EXIT_OK;
    enum qb_status status = QB_OK;

    for (int role = QB_ROLE_INPUT + 1; role < QB_ROLE_COUNT && code == EXIT_OK; role++) {
        const uint64_t bytes = expectation->bytes.of[role];

        host.at[role] = malloc(bytes);
        if (host.at[role] == NULL) {
            code = message_out_of_memory("the quality of the codes", bytes);
        } else {
            status = qb_memory_read(device, host.at[role], copies[role].memory, bytes);
            code = status == QB_OK ? EXIT_OK : message_status("reading the codes back", status);
        }
    }
    host.at[QB_ROLE_INPUT] = (void *)(uintptr_t)input;
    if (code == EXIT_OK) {
        code = rate(expectation, host, quality);
    }
    for (int role = QB_ROLE_INPUT + 1; role < QB_ROLE_COUNT; role++) {
        free(host.at[role]);
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
