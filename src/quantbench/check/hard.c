/* SPDX-License-Identifier: Apache-2.0 */
/* hard.c - runs a kernel on hard data of small shapes, and compares with the reference. */
#include <config.h>

#include "check/hard.h"
#include "check/buffers.h"
#include "check/cache.h"
#include "check/hard_data.h"
#include "check/hard_kind.h"
#include "check/hard_operation.h"
#include "cases/input.h"
#include "cases/values.h"
#include "model/operation.h"
#include "model/part.h"
#include "model/problem_text.h"
#include "model/tiling.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Elements that a shape is to have: with one scale, so that a list of values fits; else, so that there are tiles. */
#define ELEMENTS_OF_TENSOR ((uint64_t)2048)
#define ELEMENTS           ((uint64_t)32768)
#define MOST_TOKENS        ((uint64_t)64)
/* Tokens of columns that are quantized: more than a group of them. */
#define COLUMN_TOKENS ((uint64_t)160)
/* The data of a shape end after this many, in a second or so. */
#define ENOUGH_CASES (HARD_MOST_RECIPES * HARD_WIDE)
/* Positions that hard data have angles for. */
#define MOST_POSITIONS ((uint64_t)61)
/* The smallest part of a hidden size that is in front of its tail. */
#define BEFORE_TAIL ((uint64_t)256)

struct hard_proof {
    const struct qb_kernel *kernel;
    const struct device *device;
    unsigned threads;
    struct qb_problem problem; /* with the tokens of the first shape */
    uint64_t cases;
};

/* A kernel under proof. */
struct subject {
    const struct plan_case *plan_case;
    const struct qb_kernel *kernel;
    struct qb_device *device;
    struct qb_queue *queue;
    void (*alive)(double seconds);
    struct hard_outcome *outcome;
};

/* ---- Shapes ----------------------------------------------------------------------------------------------------- */

static bool supports(const struct subject *s, const struct qb_problem *problem)
{
    return qb_kernel_supports(s->kernel, s->device, problem);
}

/* True if columns of the input are quantized. */
static bool has_columns(const struct qb_problem *problem)
{
    const struct qb_problem last = part_of(problem, part_count(problem) - 1);

    return part_is_transposed(&last);
}

static uint64_t choose_tokens(const struct qb_problem *problem)
{
    const bool is_tensor = problem->granularity == QB_GRANULARITY_TENSOR;
    uint64_t tokens = (is_tensor ? ELEMENTS_OF_TENSOR : ELEMENTS) / problem->hidden;

    tokens = tokens > MOST_TOKENS ? MOST_TOKENS : tokens;
    if (has_columns(problem) && problem->hidden <= HARD_MOST_ELEMENTS / COLUMN_TOKENS) {
        return COLUMN_TOKENS;
    }
    return tokens > 0 ? tokens : 1;
}

/* Dense rows, and few angles. */
static void make_small(struct qb_problem *problem)
{
    problem->input_stride = problem->output_stride = 0;
    problem->positions = problem->positions < MOST_POSITIONS ? problem->positions : MOST_POSITIONS;
    problem->experts = problem->experts > 0; /* one has all rows, so that what is hard for a tensor is so for it */
    problem->expert_tokens = 0;
}

/* Give PROBLEM another hidden size. Where it has heads, that is one, which is rotated as far as can be. */
static void set_hidden(struct qb_problem *problem, uint64_t hidden)
{
    problem->hidden = hidden;
    if (operation_reads(problem->operation, MEMBER_HEAD_SIZE)) {
        problem->head_size = hidden;
        problem->rotary = hidden - hidden % 2;
    }
}

/* As many pages as the tokens take, and some more. */
static void choose_pages(struct qb_problem *problem)
{
    if (operation_has_cache(problem->operation)) {
        problem->pages = operation_pages(problem->tokens, problem->page_size);
    }
}

/* The case's own hidden size. False if there is no shape that the kernel supports and that is small enough. */
static bool choose_own(const struct subject *s, struct qb_problem *problem)
{
    const uint64_t own_tokens = problem->tokens;

    make_small(problem);
    problem->tokens = choose_tokens(problem);
    choose_pages(problem);
    if (!supports(s, problem)) {
        problem->tokens = own_tokens;
        choose_pages(problem);
    }
    return problem->tokens > 0 && problem->hidden <= HARD_MOST_ELEMENTS / problem->tokens && supports(s, problem);
}

/* The same of two heads of a cache that are not whole vectors; false if scales divide heads into groups. */
static bool choose_ragged_heads(const struct subject *s, struct qb_problem *problem)
{
    static const uint64_t tails[] = {1, 2, 4, 8, 16, 32, 64};
    const bool has_groups = problem->granularity == QB_GRANULARITY_GROUP;

    if (has_groups && problem->group != problem->head_size) {
        return false;
    }
    problem->input_stride = problem->output_stride = 0;
    for (size_t i = 0; i < sizeof tails / sizeof tails[0]; i++) {
        problem->head_size = BEFORE_TAIL / 4 + tails[i];
        problem->group = has_groups ? problem->head_size : problem->group;
        problem->hidden = 2 * 2 * problem->head_size;
        problem->tokens = choose_tokens(problem);
        choose_pages(problem);
        if (supports(s, problem)) {
            return true;
        }
    }
    return false;
}

/* A hidden size whose last tile, and last vector, is only begun: with one element, if the kernel supports that; and a
 * number of tokens of which this is true for blocks too. */
static bool choose_ragged(const struct subject *s, struct qb_problem *problem)
{
    static const uint64_t tails[] = {1, 2, 4, 8, 16, 32, 64};
    uint64_t tile_rows, tile_cols, whole;

    if (operation_has_cache(problem->operation)) {
        return choose_ragged_heads(s, problem);
    }
    qb_problem_tile(problem, &tile_rows, &tile_cols);
    if (problem->granularity == QB_GRANULARITY_BLOCK) {
        tile_rows = problem->block_rows;
        tile_cols = problem->block_cols;
    }
    if (problem->granularity != QB_GRANULARITY_GROUP && problem->granularity != QB_GRANULARITY_BLOCK) {
        tile_cols = 16;
    }
    if (tile_cols >= HARD_MOST_ELEMENTS) {
        return false;
    }
    whole = (BEFORE_TAIL + tile_cols - 1) / tile_cols * tile_cols;
    make_small(problem);
    for (size_t i = 0; i < sizeof tails / sizeof tails[0]; i++) {
        set_hidden(problem, whole + tails[i]);
        problem->tokens = has_columns(problem) ? whole + tails[i] : choose_tokens(problem);
        if (problem->granularity == QB_GRANULARITY_BLOCK && tile_rows < 4 * ELEMENTS / problem->hidden) {
            problem->tokens = tile_rows + 1;
        }
        if (problem->hidden <= HARD_MOST_ELEMENTS / problem->tokens && supports(s, problem)) {
            return true;
        }
    }
    return false;
}

/* ---- One shape -------------------------------------------------------------------------------------------------- */

/* True if PROBLEM quantizes its input, so that hard data are those of this quantization. */
static bool only_quantizes(const struct qb_problem *problem)
{
    return problem->operation == QB_OPERATION_QUANTIZE || problem->operation == QB_OPERATION_KV_WRITE ||
           has_columns(problem);
}

/* Of a cache leave out one token in this many. */
#define SKIPPED_EACH 5

/* Fill the slots of E, of a cache, with other ones each time. */
static void fill_slots(struct expectation *e, uint64_t seed)
{
    const struct qb_problem *p = &e->problem;

    input_generate_slots(seed, p->tokens, p->pages, p->page_size, e->slots);
    for (uint64_t i = seed % SKIPPED_EACH; i < p->tokens && p->tokens > 1; i += SKIPPED_EACH) {
        e->slots[i] = -1 - (int64_t)(i % 3);
    }
}

/* Hard data, and where they are in their problem. */
struct subject_data {
    struct hard_data data; /* for a quantization, in the order of that, or for an operation */
    unsigned part;         /* of the problem: what they are hard for */
    void *transposed;      /* DATA's input, transposed; NULL: nobody needs it */
};

/* What is quantized in PART, a part of the problem of S; for the operation that has it, its input. */
static const void *input_of(const struct subject_data *s, const struct qb_problem *part, const struct qb_problem *own)
{
    return part_is_transposed(part) == part_is_transposed(own) ? s->data.input : s->transposed;
}

/* What the reference says of DATA for INPUT, into EXPECTATION, which is for PROBLEM and has the memory. */
static enum exit_code expect_part(const struct hard_data *data, const struct qb_problem *problem, const void *input,
                                  struct expectation *expectation)
{
    struct qb_tensors tensors = expectation->tensors;
    enum qb_status status;

    tensors.at[QB_ROLE_INPUT] = (void *)(uintptr_t)input;
    for (int role = 0; role < QB_ROLE_COUNT; role++) {
        if (data->given.at[role] != NULL && inputs_have((enum qb_role)role)) {
            tensors.at[role] = data->given.at[role];
        } else if (data->given.at[role] != NULL) {
            memcpy(tensors.at[role], data->given.at[role], expectation->bytes.of[role]);
        }
    }
    status = qb_reference_run_as(problem, &data->arithmetic, &tensors);
    return status == QB_OK ? EXIT_OK : message_status("the reference", status);
}

/* Let all that launches for E write be as it is before them. */
static void clear_results(struct expectation *e)
{
    for (int role = 0; role < QB_ROLE_COUNT; role++) {
        if (e->tensors.at[role] != NULL && role != QB_ROLE_EXPERTS) {
            memset(e->tensors.at[role], VERIFY_POISON, e->bytes.of[role]);
        }
    }
}

/* The same for all parts of the problem. */
static enum exit_code expect(const struct subject_data *s, struct expectation *e)
{
    const struct qb_problem own = part_of(&e->problem, s->part);
    const struct hard_data *data = &s->data;
    const struct qb_problem *own_problem = &data->problem;
    enum exit_code code;

    if (s->transposed != NULL) {
        values_transpose(data->input, own_problem->tokens, own_problem->hidden,
                         qb_format_info(own_problem->input)->bits / 8, s->transposed);
    }
    if (e->problem.experts > 0) { /* one, with all rows: what is not its own stays poison */
        clear_results(e);
        return expect_part(data, &e->problem, data->input, e);
    }
    if (e->other == NULL) {
        return expect_part(data, own_problem, data->input, e);
    }
    code = expect_part(data, &e->quantization, input_of(s, &e->quantization, &own), e);
    return code == EXIT_OK ? expect_part(data, &e->other->quantization, input_of(s, &e->other->problem, &own), e->other)
                           : code;
}

/* The input of a launch with DATA for the problem of E. */
static const void *launch_input(const struct subject_data *s, const struct expectation *e)
{
    const struct qb_problem own = part_of(&e->problem, s->part);

    return part_is_transposed(&own) ? s->transposed : s->data.input;
}

/* Write what DATA give in the tensor of ROLE to that of SET, in a cache to the slots of E. */
static enum qb_status write_given(const struct subject *s, const struct hard_data *data, const struct expectation *e,
                                  enum qb_role role, const struct qb_tensors *set)
{
    const uint64_t bytes = sizes_of(&e->problem).of[role];
    void *cache;
    enum qb_status status;

    if (!cache_has(&e->problem, role)) {
        return qb_memory_write(s->device, set->at[role], data->given.at[role], bytes);
    }
    if (verify_image(e, role, &cache) != EXIT_OK) {
        return QB_ERROR_MEMORY;
    }
    status = qb_memory_write(s->device, set->at[role], cache, bytes);
    free(cache);
    return status;
}

/* Launch with DATA for the problem of E. */
static enum qb_status run(const struct subject *s, const struct subject_data *subject_data, const struct expectation *e,
                          const struct buffers *buffers)
{
    const struct hard_data *data = &subject_data->data;
    const struct qb_tensors set = buffers_set(buffers, 0);
    enum qb_status status = qb_memory_write(s->device, set.at[QB_ROLE_INPUT], launch_input(subject_data, e),
                                            buffers->bytes.of[QB_ROLE_INPUT]);

    if (status == QB_OK) {
        status = buffers_poison(buffers, &e->problem);
    }
    if (status == QB_OK && e->slots != NULL) {
        status = qb_memory_write(s->device, set.at[QB_ROLE_SLOTS], e->slots, e->problem.tokens * sizeof *e->slots);
    }
    if (status == QB_OK && e->problem.experts > 0) {
        status = qb_memory_write(s->device, set.at[QB_ROLE_EXPERTS], e->tensors.at[QB_ROLE_EXPERTS],
                                 e->bytes.of[QB_ROLE_EXPERTS]);
    }
    for (int role = 0; role < QB_ROLE_COUNT && status == QB_OK; role++) {
        if (data->given.at[role] != NULL) {
            status = write_given(s, data, e, (enum qb_role)role, &set);
        }
    }
    if (s->alive != NULL) {
        s->alive(0);
    }
    status = status == QB_OK ? qb_kernel_run(s->kernel, s->queue, &e->problem, &set) : status;
    return status == QB_OK ? qb_queue_synchronize(s->queue) : status;
}

/* Name what is hard where the first difference is. */
static void find_kind(const struct subject_data *s, const struct expectation *whole, const struct mismatch *found,
                      char kind[HARD_KIND_SIZE])
{
    const struct hard_data *data = &s->data;
    const struct expectation *e = s->part == 0 ? whole : whole->other;
    const struct tiling tiling = tiling_of(&data->problem);

    if (found->first_part != s->part) {
        snprintf(kind, HARD_KIND_SIZE, "data for %s", s->part == 0 ? "rows" : "columns");
    } else if (data->kind != NULL) {
        snprintf(kind, HARD_KIND_SIZE, "%s", data->kind);
    } else if (found->first_role == QB_ROLE_CODES) {
        const uint64_t tile = tiling_index(&tiling, found->first_index);
        const struct tile_scale scale = scales_at(&data->problem, &data->arithmetic, &e->tensors,
                                                  tile / tiling.scale_cols, tile % tiling.scale_cols);

        hard_kind_of_code(data, found->first_index, &scale, kind);
    } else if (found->first_role == QB_ROLE_TENSOR_SCALE || found->first_index == UINT64_MAX) {
        snprintf(kind, HARD_KIND_SIZE, "the whole tensor");
    } else {
        hard_kind_of_scale(data, found->first_index, kind);
    }
}

/* Say what is wrong. */
static enum exit_code report(const struct subject *s, const struct subject_data *subject_data,
                             const struct expectation *e, const struct mismatch *found)
{
    const struct hard_data *data = &subject_data->data;
    struct mismatch *m = &s->outcome->mismatch;
    char kind[HARD_KIND_SIZE];

    find_kind(subject_data, e, found, kind);
    *m = *found;
    snprintf(m->first, sizeof m->first, "hard data of %" PRIu64 " x %" PRIu64 ", %s: %.200s", data->problem.tokens,
             data->problem.hidden, kind, found->first);
    message_error("wrong result: kernel %s, on %s; %" PRIu64 " of %" PRIu64 " %s and %" PRIu64
                  " scales differ from the reference",
                  qb_kernel_name(s->kernel), m->first, found->wrong_codes, found->compared,
                  problem_results_name(&data->problem), found->wrong_scales);
    return EXIT_WRONG_RESULT;
}

/* Run DATA as it is now, and compare. */
static enum exit_code prove_fill(const struct subject *s, const struct subject_data *subject_data,
                                 const struct buffers *buffers, struct expectation *expectation)
{
    const struct hard_data *data = &subject_data->data;
    enum exit_code code = expect(subject_data, expectation);
    struct mismatch mismatch;
    enum qb_status status;

    message_heartbeat();
    if (code != EXIT_OK) {
        return code;
    }
    if (expectation->slots != NULL) {
        fill_slots(expectation, s->outcome->cases);
        verify_leave_out(expectation);
    }
    status = run(s, subject_data, expectation, buffers);
    if (status != QB_OK) {
        return message_status(qb_kernel_name(s->kernel), status);
    }
    code = verify_compare(s->device, buffers->copies,
                          only_quantizes(&data->problem) && subject_data->part == 0 ? data->input : NULL, expectation,
                          &mismatch);
    if (code != EXIT_OK) {
        return code;
    }
    if (mismatch_is_wrong(&mismatch)) {
        return report(s, subject_data, expectation, &mismatch);
    }
    s->outcome->cases += data->problem.tokens * data->problem.hidden;
    return EXIT_OK;
}

/* As hard_data_fill(). */
static bool fill(struct hard_data *data)
{
    return only_quantizes(&data->problem) ? hard_data_fill(data) : hard_operation_fill(data);
}

/* Fill TABLE so that the one expert of PROBLEM has all rows. */
static void give_all_rows(const struct qb_problem *problem, int64_t *table)
{
    table[0] = problem->expert_rows == QB_EXPERT_ROWS_MASKED ? (int64_t)problem->tokens : 0;
    if (problem->expert_rows == QB_EXPERT_ROWS_OFFSETS) {
        table[1] = (int64_t)problem->tokens;
    }
}

/* All of DATA. */
static enum exit_code prove_data(const struct subject *s, struct subject_data *subject_data,
                                 struct expectation *expectation)
{
    struct hard_data *data = &subject_data->data;
    const uint64_t before = s->outcome->cases;
    const struct sizes bytes = sizes_of(&expectation->problem);
    struct buffers buffers;
    enum qb_status status;
    enum exit_code code;

    if (!verify_make(expectation, true) || !fill(data)) {
        return message_out_of_memory("the reference", bytes.of[QB_ROLE_CODES] + bytes.of[QB_ROLE_SCALES]);
    }
    if (expectation->problem.experts > 0) {
        give_all_rows(&expectation->problem, expectation->tensors.at[QB_ROLE_EXPERTS]);
    }
    status = buffers_make(s->device, s->queue, &bytes, 1, (const void *[QB_ROLE_COUNT]){NULL}, &buffers);
    code = status == QB_OK ? EXIT_OK : message_status("hard data", status);
    do {
        code = code == EXIT_OK ? prove_fill(s, subject_data, &buffers, expectation) : code;
    } while (code == EXIT_OK && s->outcome->cases - before < ENOUGH_CASES && fill(data));
    buffers_free(&buffers);
    return code;
}

/* PROBLEM, whose rows belong together. */
static struct qb_problem without_experts(struct qb_problem problem)
{
    problem.experts = problem.expert_tokens = 0;
    problem.expert_rows = QB_EXPERT_ROWS_OFFSETS;
    return problem;
}

/* Data that are hard for part PART of PROBLEM. */
static enum exit_code prove_part(const struct subject *s, const struct qb_problem *problem, unsigned part)
{
    const struct qb_arithmetic *arithmetic = qb_kernel_arithmetic(s->kernel);
    const struct qb_problem part_problem = without_experts(part_of(problem, part));
    const struct qb_problem own =
        operation_reads_codes(problem->operation) ? values_reading(&part_problem) : part_problem;
    const struct qb_problem quantization = values_quantization(&own);
    const uint64_t bytes = sizes_of(problem).of[QB_ROLE_INPUT];
    struct expectation expectation = {.problem = *problem, .arithmetic = *arithmetic};
    struct subject_data data = {.part = part, .transposed = has_columns(problem) ? malloc(bytes) : NULL};
    enum exit_code code;

    if ((only_quantizes(problem) ? hard_data_begin(&quantization, arithmetic, &data.data)
                                 : hard_operation_begin(&own, arithmetic, &data.data)) &&
        (data.transposed != NULL || !has_columns(problem))) {
        code = prove_data(s, &data, &expectation);
    } else {
        code = message_out_of_memory("hard data", HARD_MOST_ELEMENTS);
    }
    hard_data_end(&data.data);
    free(data.transposed);
    verify_free(&expectation);
    return code;
}

static enum exit_code prove_shape(const struct subject *s, const struct qb_problem *problem)
{
    enum exit_code code = EXIT_OK;

    for (unsigned part = 0; part < part_count(problem) && code == EXIT_OK; part++) {
        code = prove_part(s, problem, part);
    }
    return code;
}

/* ---- Each once -------------------------------------------------------------------------------------------------- */

static const struct hard_proof *find(const struct hard_proofs *proofs, const struct plan_case *plan_case,
                                     const struct qb_problem *problem)
{
    for (size_t i = 0; i < proofs->count; i++) {
        const struct hard_proof *proof = &proofs->values[i];

        if (proof->kernel == plan_case->kernel && proof->device == plan_case->device &&
            proof->threads == plan_case->threads && verify_same_problem(&proof->problem, problem)) {
            return proof;
        }
    }
    return NULL;
}

static enum exit_code remember(struct hard_proofs *proofs, const struct plan_case *plan_case,
                               const struct qb_problem *problem, uint64_t cases)
{
    struct hard_proof *larger = reallocarray(proofs->values, proofs->count + 1, sizeof *larger);

    if (larger == NULL) {
        return message_out_of_memory("the list of proofs", (proofs->count + 1) * sizeof *larger);
    }
    proofs->values = larger;
    larger[proofs->count++] =
        (struct hard_proof){plan_case->kernel, plan_case->device, plan_case->threads, *problem, cases};
    return EXIT_OK;
}

enum exit_code hard_prove(struct hard_proofs *proofs, const struct plan_case *plan_case, struct qb_queue *queue,
                          void (*alive)(double seconds), double own_seconds, struct hard_outcome *outcome)
{
    const struct subject subject = {plan_case, plan_case->kernel, plan_case->device->handle, queue, alive, outcome};
    struct qb_problem own = plan_case->problem, ragged = plan_case->problem;
    const bool has_own = choose_own(&subject, &own);
    const struct hard_proof *proved = find(proofs, plan_case, &own);
    enum exit_code code = EXIT_OK;

    *outcome = (struct hard_outcome){.cases = 0};
    if (proved != NULL) {
        outcome->cases = proved->cases;
        return EXIT_OK;
    }
    if (has_own) {
        code = prove_shape(&subject, &own);
    }
    if (code == EXIT_OK && choose_ragged(&subject, &ragged)) {
        code = prove_shape(&subject, &ragged);
    }
    if (alive != NULL) {
        alive(own_seconds);
    }
    return code == EXIT_OK ? remember(proofs, plan_case, &own, outcome->cases) : code;
}

void hard_free(struct hard_proofs *proofs)
{
    free(proofs->values);
    *proofs = (struct hard_proofs){.values = NULL};
}
