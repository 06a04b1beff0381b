/* SPDX-License-Identifier: Apache-2.0 */
/* check_challenge.c - questions: what they say is right is what the reference makes of the whole tensor with the same
 * changes, for all formats, granularities and ways to scale, and data of all kinds. */
#include <config.h>

#include "cases/input.h"
#include "cases/values.h"
#include "check/cache.h"
#include "check/question.h"
#include "check/scales.h"
#include "model/operation.h"
#include "model/sizes.h"
#include "run.h"

#include <string.h>

#define MOST       15009 /* elements */
#define MOST_BYTES 65536
#define SETS       3
#define SCALES     4
#define PROBES     24

/* Special values, in the bits of each input format. */
static const uint32_t specials[][8] = {
    [QB_FORMAT_F16] = {0, 0x8000, 0x7C00, 0xFC00, 0x7E00, 0x0001, 0x7BFF, 0x0400},
    [QB_FORMAT_BF16] = {0, 0x8000, 0x7F80, 0xFF80, 0x7FC0, 0x0001, 0x7F7F, 0x0080},
    [QB_FORMAT_F32] = {0, 0x80000000, 0x7F800000, 0xFF800000, 0x7FC00000, 1, 0x7F7FFFFF, 0x00800000},
};

/* Tiles of few elements, and of more than are looked through each time. */
static const struct shape {
    uint64_t tokens, hidden;
    int rounds;
} shapes[] = {{11, 21, 6}, {5003, 3, 1}};

enum data { NORMAL, ZEROS, SPECIAL, SUBNORMAL };
#define DATA 4

static void set_element(enum qb_format format, void *data, uint64_t i, uint32_t bits)
{
    memcpy((char *)data + i * input_element_size(format), &bits, input_element_size(format));
}

static void make_data(const struct qb_problem *problem, enum data kind, void *data)
{
    const enum qb_format format = problem->input;
    const uint64_t elements = problem->tokens * problem->hidden;

    input_generate(kind == ZEROS ? INPUT_ZEROS : INPUT_NORMAL, format, 7, elements, problem->hidden, data);
    for (uint64_t i = 0; i < elements && kind == SPECIAL; i += 3) {
        set_element(format, data, i, specials[format][i / 3 % 8]);
    }
    for (uint64_t i = 0; i < elements && kind == SUBNORMAL; i++) {
        set_element(format, data, i, (uint32_t)(i % 23));
    }
}

/* What the whole reference makes of set SET of QUESTION. */
struct answer {
    uint32_t input[MOST];
    uint8_t scales[MOST_BYTES];
    uint8_t codes[MOST];
    uint8_t zero_points[MOST];
    float tensor_scale;
};

static struct qb_tensors tensors_of(struct answer *a)
{
    struct qb_tensors tensors = QB_TENSORS(a->input, a->codes, a->scales);

    tensors.at[QB_ROLE_ZERO_POINTS] = a->zero_points;
    tensors.at[QB_ROLE_TENSOR_SCALE] = &a->tensor_scale;
    return tensors;
}

/* What is in the tensor of ROLE for PROBE. */
static void *place_of(const struct questioner *q, struct answer *a, const struct scale_probe *probe, enum qb_role role,
                      size_t *size)
{
    const struct qb_tensors tensors = tensors_of(a);

    return (char *)tensors.at[role] + questioner_place(q, role, probe->tile, size);
}

static void answer(const struct questioner *q, const struct question *question, unsigned set, struct answer *a)
{
    const struct sizes bytes = sizes_of(&q->problem);
    const struct qb_tensors tensors = tensors_of(a);

    memcpy(a->input, q->input, bytes.of[QB_ROLE_INPUT]);
    for (int role = 0; role < QB_ROLE_COUNT; role++) {
        if (q->given.at[role] != NULL) {
            memcpy(tensors.at[role], q->given.at[role], bytes.of[role]);
        }
    }
    for (size_t i = 0; i < question->probe_count; i++) {
        if (question->probes[i].set == set) {
            set_element(q->problem.input, a->input, question->probes[i].element, question->probes[i].is);
        }
    }
    for (size_t i = 0; i < question->scale_count; i++) {
        for (int role = 0; role < QUESTION_ROLES; role++) {
            const uint32_t bits = question_bits(q, &question->scales[i].want, question_roles[role]);
            size_t size;
            void *place = place_of(q, a, &question->scales[i], question_roles[role], &size);

            if (question->scales[i].set == set && q->given.at[question_roles[role]] != NULL) {
                memcpy(place, &bits, size);
            }
        }
    }
    ck_assert_int_eq(qb_reference_run_as(&q->problem, &q->arithmetic, &tensors), QB_OK);
}

/* That PROBE tells what the reference makes of its set, NOW, and of the case's data, BEFORE. */
static void check_scale(const struct questioner *q, const struct scale_probe *probe, struct answer *now,
                        struct answer *before)
{
    for (int i = 0; i < QUESTION_ROLES; i++) {
        const enum qb_role role = question_roles[i];
        const uint32_t want = question_bits(q, &probe->want, role), old = question_bits(q, &probe->old, role);
        size_t size;

        if (questioner_has(q, role)) {
            const void *is = place_of(q, now, probe, role, &size), *was = place_of(q, before, probe, role, &size);

            ck_assert_mem_eq(&want, is, size);
            ck_assert_mem_eq(&old, was, size);
            ck_assert(q->given.at[role] != NULL || question_bits(q, &probe->poison, role) != want);
            ck_assert(q->given.at[role] != NULL || question_bits(q, &probe->poison, role) != old);
        }
    }
}

static void check_question(const struct questioner *q, const struct question *question)
{
    static const struct question nothing;
    static struct answer now, before;

    answer(q, &nothing, 0, &before);
    for (unsigned set = 0; set < SETS; set++) {
        answer(q, question, set, &now);
        for (size_t i = 0; i < question->probe_count; i++) {
            const struct probe *probe = &question->probes[i];
            const uint64_t row = probe->element / q->problem.hidden, col = probe->element % q->problem.hidden;

            if (probe->set == set && q->problem.scaling != QB_SCALING_AMAX) {
                ck_assert_uint_eq(probe->want, codes_at(&q->problem, now.codes, row, col));
                ck_assert_uint_eq(probe->old, codes_at(&q->problem, before.codes, row, col));
                ck_assert_uint_ne(probe->poison, probe->want);
                ck_assert_uint_ne(probe->poison, probe->old);
            }
        }
        for (size_t i = 0; i < question->scale_count; i++) {
            if (question->scales[i].set == set) {
                check_scale(q, &question->scales[i], &now, &before);
            }
        }
    }
}

static bool is_asked(const struct question *question, unsigned set, uint64_t element)
{
    for (size_t i = 0; i < question->probe_count; i++) {
        if (question->probes[i].set == set && question->probes[i].element == element) {
            return true;
        }
    }
    return false;
}

/* What a question leaves alone is as it was: the rest of the sets, and of tiles that are not rescaled. */
static void check_rest(const struct questioner *q, const struct question *question)
{
    static const struct question nothing;
    static struct answer now, before;

    answer(q, &nothing, 0, &before);
    for (unsigned set = 0; set < SETS && q->problem.scaling != QB_SCALING_AMAX; set++) {
        bool rescaled = false;

        answer(q, question, set, &now);
        for (size_t i = 0; i < question->scale_count; i++) {
            rescaled = rescaled || (question->scales[i].set == set && question->scales[i].changed);
        }
        for (uint64_t i = 0; i < q->problem.tokens * q->problem.hidden && !rescaled; i++) {
            const uint64_t row = i / q->problem.hidden, col = i % q->problem.hidden;

            ck_assert(is_asked(question, set, i) ||
                      codes_at(&q->problem, now.codes, row, col) == codes_at(&q->problem, before.codes, row, col));
        }
    }
}

/* Make what kernels read for PROBLEM besides INPUT, in DATA. */
static void give(const struct qb_problem *problem, const struct qb_arithmetic *arithmetic, const void *input,
                 struct answer *data, void *given[QB_ROLE_COUNT])
{
    struct qb_problem computed = *problem;
    struct qb_tensors tensors = tensors_of(data);
    float *scales = tensors.at[QB_ROLE_SCALES];

    tensors.at[QB_ROLE_INPUT] = (void *)(uintptr_t)input;
    computed.scaling = QB_SCALING_AMAX;
    if (problem->tensor_scale == QB_TENSOR_SCALE_GIVEN) {
        computed.tensor_scale = QB_TENSOR_SCALE_COMPUTED;
    }
    ck_assert_int_eq(qb_reference_scales_as(&computed, arithmetic, &tensors, NULL), QB_OK);
    for (size_t i = 0; i < MOST && problem->scale_format == QB_FORMAT_F32; i++) {
        scales[i] = 0.01F * (float)(i + 1);
    }
    for (int role = 0; role < QB_ROLE_COUNT; role++) {
        given[role] = sizes_is_given(problem, (enum qb_role)role) ? tensors.at[role] : NULL;
    }
}

static void check_problem(const struct qb_problem *problem, const struct qb_arithmetic *arithmetic, enum data kind,
                          int rounds)
{
    static uint32_t input[MOST];
    static struct answer data;
    void *given[QB_ROLE_COUNT] = {NULL};
    struct probe probes[SCALES + PROBES];
    struct scale_probe scales[SCALES];
    struct question question = {.probes = probes, .scales = scales};
    const struct case_data of_case = {.at = {[QB_ROLE_INPUT] = input}, .values = input};
    struct questioner q;

    make_data(problem, kind, input);
    give(problem, arithmetic, input, &data, given);
    ck_assert_int_eq(questioner_begin(problem, arithmetic, &of_case, given, SETS, &q), QB_OK);
    for (int round = 0; round < rounds; round++) {
        ck_assert_int_eq(question_compose(&q, round % 3 != 2, SCALES, PROBES, &question), QB_OK);
        check_question(&q, &question);
        check_rest(&q, &question);
    }
    questioner_end(&q);
}

static const struct qb_arithmetic arithmetics[] = {
    {0},
    {.quotient = QB_QUOTIENT_RECIPROCAL, .match = QB_MATCH_ONE_CODE},
    {.quotient = QB_QUOTIENT_MULTIPLY, .scale_form = QB_SCALE_MULTIPLIER, .zero = QB_ZERO_ONE},
    {.scale_form = QB_SCALE_INVERSE, .infinity = QB_INFINITY_KEPT, .power_of_two = true},
};

START_TEST(right_answers)
{
    const bool large = _i >= 4 * QB_GRANULARITY_COUNT;
    const struct qb_arithmetic *arithmetic = &arithmetics[large ? 0 : _i / QB_GRANULARITY_COUNT];
    const struct shape *shape = &shapes[large];
    struct qb_problem problem;

    qb_problem_init(&problem);
    problem.tokens = shape->tokens;
    problem.hidden = shape->hidden;
    problem.granularity = (enum qb_granularity)(_i % QB_GRANULARITY_COUNT);
    problem.group = 8;
    problem.block_rows = 4;
    problem.block_cols = 9;
    for (int way = 0; way < 3 * 3 * QB_SCALING_COUNT * DATA * 2; way++) {
        static const enum qb_format inputs[] = {QB_FORMAT_F16, QB_FORMAT_BF16, QB_FORMAT_F32};
        static const enum qb_format outputs[] = {QB_FORMAT_INT8, QB_FORMAT_E4M3, QB_FORMAT_E5M2};

        problem.input = inputs[way % 3];
        problem.output = outputs[way / 3 % 3];
        problem.scaling = (enum qb_scaling)(way / 9 % QB_SCALING_COUNT);
        problem.amax_bound = way / (9 * QB_SCALING_COUNT * DATA) == 1 ? 1.5F : 0;
        check_problem(&problem, arithmetic, (enum data)(way / (9 * QB_SCALING_COUNT) % DATA), shape->rounds);
    }
}
END_TEST

/* Problems of narrow codes and scales. */
static const struct narrow {
    enum qb_format output, scale;
    enum qb_packing packing;
    enum qb_scale_layout layout;
    enum qb_tensor_scale tensor_scale;
    enum qb_zero_points zero_points;
    enum qb_granularity granularity;
    uint64_t group;
} narrows[] = {
    {QB_FORMAT_E2M1, QB_FORMAT_E8M0, 0, QB_SCALE_LAYOUT_TILED_128X4, 0, 0, QB_GRANULARITY_GROUP, 32},
    {QB_FORMAT_E4M3, QB_FORMAT_E8M0, 0, QB_SCALE_LAYOUT_PACKED, 0, 0, QB_GRANULARITY_GROUP, 32},
    {QB_FORMAT_E2M3, QB_FORMAT_E8M0, QB_PACKING_DENSE, QB_SCALE_LAYOUT_TILED_8X4, 0, 0, QB_GRANULARITY_GROUP, 5},
    {QB_FORMAT_E3M2, QB_FORMAT_E8M0, QB_PACKING_BYTES, QB_SCALE_LAYOUT_COLUMNS, 0, 0, QB_GRANULARITY_GROUP, 7},
    {QB_FORMAT_E2M1, QB_FORMAT_E4M3, 0, QB_SCALE_LAYOUT_TILED_128X4, QB_TENSOR_SCALE_GIVEN, 0, QB_GRANULARITY_GROUP,
     16},
    {QB_FORMAT_E2M1, QB_FORMAT_E4M3, 0, QB_SCALE_LAYOUT_ROWS, QB_TENSOR_SCALE_COMPUTED, 0, QB_GRANULARITY_GROUP, 16},
    {QB_FORMAT_E2M1, QB_FORMAT_E4M3, 0, QB_SCALE_LAYOUT_COLUMNS, QB_TENSOR_SCALE_NONE, 0, QB_GRANULARITY_GROUP, 16},
    {QB_FORMAT_INT4, QB_FORMAT_F16, 0, QB_SCALE_LAYOUT_COLUMNS, 0, 0, QB_GRANULARITY_GROUP, 9},
    {QB_FORMAT_UINT4, QB_FORMAT_F16, 0, QB_SCALE_LAYOUT_ROWS, 0, QB_ZERO_POINTS_INT8, QB_GRANULARITY_GROUP, 9},
    {QB_FORMAT_INT8, QB_FORMAT_F32, 0, QB_SCALE_LAYOUT_ROWS, 0, QB_ZERO_POINTS_INT8, QB_GRANULARITY_TOKEN, 0},
    {QB_FORMAT_INT8, QB_FORMAT_F32, 0, QB_SCALE_LAYOUT_ROWS, 0, QB_ZERO_POINTS_INT8, QB_GRANULARITY_TENSOR, 0},
};
#define NARROWS ((int)(sizeof narrows / sizeof narrows[0]))

START_TEST(right_answers_of_narrow_formats)
{
    const struct narrow *n = &narrows[_i % NARROWS];
    const struct shape *shape = &shapes[_i / NARROWS];
    struct qb_problem problem;

    qb_problem_init(&problem);
    problem.tokens = shape->tokens;
    problem.hidden = shape->hidden;
    problem.granularity = n->granularity;
    problem.group = n->group;
    problem.output = n->output;
    problem.scale_format = n->scale;
    problem.packing = n->packing;
    problem.scale_layout = n->layout;
    problem.zero_points = n->zero_points;
    for (int way = 0; way < 3 * QB_SCALING_COUNT * DATA; way++) {
        problem.input = (enum qb_format)(way % 3);
        problem.scaling = (enum qb_scaling)(way / 3 % QB_SCALING_COUNT);
        problem.tensor_scale = n->tensor_scale;
        if (problem.scaling == QB_SCALING_STATIC && problem.tensor_scale == QB_TENSOR_SCALE_COMPUTED) {
            problem.tensor_scale = QB_TENSOR_SCALE_GIVEN;
        }
        check_problem(&problem, &arithmetics[0], (enum data)(way / 9 % DATA), shape->rounds);
    }
}
END_TEST

/* Questions are worth asking: the right answer changes. */
START_TEST(answers_change)
{
    struct probe probes[SCALES + PROBES];
    struct scale_probe scales[SCALES];
    struct question question = {.probes = probes, .scales = scales};
    uint32_t input[MOST];
    void *const nothing[QB_ROLE_COUNT] = {NULL};
    struct qb_problem problem;
    const struct case_data of_case = {.at = {[QB_ROLE_INPUT] = input}, .values = input};
    struct questioner q;
    size_t changed = 0;

    qb_problem_init(&problem);
    problem.tokens = shapes[0].tokens;
    problem.hidden = shapes[0].hidden;
    problem.granularity = (enum qb_granularity)_i;
    problem.group = 8;
    problem.block_rows = 4;
    problem.block_cols = 9;
    make_data(&problem, NORMAL, input);
    ck_assert_int_eq(questioner_begin(&problem, &arithmetics[0], &of_case, nothing, SETS, &q), QB_OK);
    ck_assert_int_eq(question_compose(&q, true, SCALES, PROBES, &question), QB_OK);
    ck_assert_uint_ge(question.scale_count, 1);
    for (size_t i = 0; i < question.scale_count; i++) {
        ck_assert(scales[i].want.stored > scales[i].old.stored); /* the bits of numbers that are not negative */
    }
    for (size_t i = 0; i < question.probe_count; i++) {
        changed += probes[i].want != probes[i].old;
    }
    ck_assert_uint_gt(changed, question.probe_count / 2);
    questioner_end(&q);
}
END_TEST

/* ---- Operations ------------------------------------------------------------------------------------------------- */

/* All tensors of one set. */
struct whole {
    uint32_t at[QB_ROLE_COUNT][2 * MOST] __attribute__((aligned(8))); /* also for positions */
    struct qb_tensors tensors;
};

static void point(struct whole *w)
{
    w->tensors = (struct qb_tensors){.size = sizeof w->tensors};
    for (int role = 0; role < QB_ROLE_COUNT; role++) {
        w->tensors.at[role] = w->at[role];
    }
}

/* Make what launches of PROBLEM read, and all that they write. */
static void make_whole(const struct qb_problem *problem, struct whole *w)
{
    const struct qb_problem quantization = values_quantization(problem);
    struct qb_problem quantize = quantization;
    const uint64_t elements = problem->tokens * problem->hidden;

    point(w);
    input_generate(INPUT_NORMAL, problem->input, 7, 2 * elements, problem->hidden, w->at[QB_ROLE_INPUT]);
    input_generate(INPUT_NORMAL, problem->input, 8, elements, problem->hidden, w->at[QB_ROLE_RESIDUAL]);
    input_generate_weights(problem->weights == QB_WEIGHTS_FLOAT ? QB_FORMAT_F32 : problem->input, 9, problem->hidden,
                           w->at[QB_ROLE_WEIGHTS]);
    if (problem->operation == QB_OPERATION_ROPE) {
        input_generate_angles(problem->weights == QB_WEIGHTS_FLOAT ? QB_FORMAT_F32 : problem->input, problem->positions,
                              problem->rotary, w->at[QB_ROLE_ANGLES]);
        input_generate_positions(7, problem->tokens, problem->positions, (int64_t *)(void *)w->at[QB_ROLE_POSITIONS]);
    }
    /* Some sums are 0. */
    memcpy(w->at[QB_ROLE_RESIDUAL], w->at[QB_ROLE_INPUT], 64);
    for (uint64_t i = 0; i < 16; i++) {
        const uint32_t sign = (uint32_t)1 << (qb_format_info(problem->input)->bits - 1);

        set_element(problem->input, w->at[QB_ROLE_RESIDUAL], i,
                    change_bits(problem->input, w->at[QB_ROLE_INPUT], i) ^ sign);
    }
    if (operation_has_cache(problem->operation)) {
        input_generate_slots(10, problem->tokens, problem->pages, problem->page_size, w->tensors.at[QB_ROLE_SLOTS]);
    }
    if (problem->scaling == QB_SCALING_STATIC) {
        for (size_t i = 0; i < MOST; i++) {
            ((float *)(void *)w->at[QB_ROLE_SCALES])[i] = 0.01F;
        }
    }
    /* What is read was written. */
    if (problem->operation == QB_OPERATION_DEQUANTIZE) {
        quantize.scaling = QB_SCALING_DYNAMIC;
        ck_assert_int_eq(qb_reference_run(&quantize, &w->tensors), QB_OK);
    } else if (problem->operation == QB_OPERATION_KV_READ) {
        quantize = *problem;
        quantize.operation = QB_OPERATION_KV_WRITE;
        ck_assert_int_eq(qb_reference_run(&quantize, &w->tensors), QB_OK);
    }
    ck_assert_int_eq(qb_reference_run(problem, &w->tensors), QB_OK);
}

/* Where the code of ELEMENT is, one of a byte: in dense rows, or in a cache by the slots of DATA. */
static uint64_t code_place(const struct questioner *q, const struct whole *data, uint64_t element)
{
    return cache_has(&q->whole, QB_ROLE_CODES) ? cache_offset(&q->whole, data->tensors.at[QB_ROLE_SLOTS], QB_ROLE_CODES,
                                                              element / q->problem.hidden, element % q->problem.hidden)
                                               : element;
}

/* Let W be what DATA become with the question that is put to set SET. */
static void ask(const struct questioner *q, const struct question *question, unsigned set, const struct whole *data,
                struct whole *w)
{
    *w = *data;
    point(w);
    for (size_t i = 0; i < question->probe_count; i++) {
        const struct probe *probe = &question->probes[i];

        for (size_t j = 0; j < probe->change.read_count && probe->set == set; j++) {
            const struct change_element *e = &probe->change.read[j];

            if (e->role == QB_ROLE_CODES) {
                ((uint8_t *)w->at[e->role])[code_place(q, data, e->index)] = (uint8_t)e->is;
            } else {
                ck_assert_uint_eq(change_bits(q->whole.input, w->at[e->role], e->index), e->was);
                set_element(q->whole.input, w->at[e->role], e->index, e->is);
            }
        }
    }
    for (size_t i = 0; i < question->scale_count && q->given.at[QB_ROLE_SCALES] != NULL; i++) {
        size_t size;
        const uint64_t place = questioner_place(q, QB_ROLE_SCALES, question->scales[i].tile, &size);

        if (question->scales[i].set == set) {
            w->at[QB_ROLE_SCALES][place / size] = question->scales[i].want.stored;
        }
    }
    ck_assert_int_eq(qb_reference_run(&q->whole, &w->tensors), QB_OK);
}

/* The answer about ELEMENT that W has. */
static uint32_t answer_in(const struct questioner *q, const struct whole *w, uint64_t element)
{
    if (questioner_answer(q) == QB_ROLE_VALUES) {
        return change_bits(q->problem.input, w->at[QB_ROLE_VALUES], element);
    }
    return cache_has(&q->whole, QB_ROLE_CODES)
               ? ((const uint8_t *)w->at[QB_ROLE_CODES])[code_place(q, w, element)]
               : codes_at(&q->problem, w->at[QB_ROLE_CODES], element / q->problem.hidden, element % q->problem.hidden);
}

/* That PROBE says what NOW has, and DATA. Returns true if it asks for a change. */
static bool check_probe(const struct questioner *q, const struct probe *probe, const struct whole *data,
                        const struct whole *now)
{
    ck_assert_uint_eq(probe->want, answer_in(q, now, probe->element));
    ck_assert_uint_eq(probe->old, answer_in(q, data, probe->element));
    ck_assert_uint_ne(probe->poison, probe->want);
    ck_assert_uint_ne(probe->poison, probe->old);
    for (size_t i = 0; i < probe->change.written_count; i++) {
        const struct change_element *e = &probe->change.written[i];
        const enum qb_format format = e->role == QB_ROLE_VALUES ? q->problem.input : q->whole.input;

        ck_assert_uint_eq(e->is, change_bits(format, now->at[e->role], e->index));
        ck_assert_uint_eq(e->was, change_bits(format, data->at[e->role], e->index));
    }
    return probe->change.read_count > 0;
}

/* That PROBE says what NOW has, unless it is given. */
static void check_scale_of(const struct questioner *q, const struct scale_probe *probe, const struct whole *now)
{
    size_t size;
    const uint64_t place = questioner_place(q, QB_ROLE_SCALES, probe->tile, &size);

    if (q->given.at[QB_ROLE_SCALES] == NULL) {
        ck_assert_uint_eq(size, sizeof(uint32_t));
        ck_assert_uint_eq(probe->want.stored, now->at[QB_ROLE_SCALES][place / size]);
    }
}

/* That nothing but what QUESTION asks about differs between DATA and NOW, if no scale does. */
static void check_others(const struct questioner *q, const struct question *question, unsigned set,
                         const struct whole *data, const struct whole *now)
{
    for (size_t i = 0; i < question->scale_count; i++) {
        if (question->scales[i].set == set && question->scales[i].changed) {
            return;
        }
    }
    for (uint64_t i = 0; i < q->problem.tokens * q->problem.hidden; i++) {
        ck_assert(is_asked(question, set, i) || answer_in(q, data, i) == answer_in(q, now, i));
    }
}

static const enum qb_operation operations[] = {
    QB_OPERATION_DEQUANTIZE,   QB_OPERATION_SILU_MUL, QB_OPERATION_GELU_MUL, QB_OPERATION_RMS_NORM,
    QB_OPERATION_ADD_RMS_NORM, QB_OPERATION_ROPE,     QB_OPERATION_KV_WRITE, QB_OPERATION_KV_READ};
#define OPERATIONS (int)(sizeof operations / sizeof operations[0])

/* The problem number I. */
static struct qb_problem operation_problem(int i)
{
    static const enum qb_format inputs[] = {QB_FORMAT_F16, QB_FORMAT_BF16, QB_FORMAT_F32};
    struct qb_problem problem;

    qb_problem_init(&problem);
    problem.operation = operations[i % OPERATIONS];
    i /= OPERATIONS;
    problem.input = inputs[i % 3];
    problem.granularity = (enum qb_granularity)(i / 3 % QB_GRANULARITY_COUNT);
    problem.scaling =
        i / 15 % 2 == 1 || problem.operation == QB_OPERATION_DEQUANTIZE ? QB_SCALING_STATIC : QB_SCALING_DYNAMIC;
    problem.output = i / 15 % 2 == 1 ? QB_FORMAT_INT8 : QB_FORMAT_E4M3;
    problem.tokens = shapes[0].tokens;
    problem.hidden = shapes[0].hidden;
    problem.group = 8;
    problem.block_rows = 4;
    problem.block_cols = 9;
    problem.epsilon = 1e-6F;
    problem.keep_values = problem.operation != QB_OPERATION_DEQUANTIZE && i % 2 == 1;
    problem.intermediate = (enum qb_intermediate)(i / 30 % 3);
    if (problem.operation == QB_OPERATION_SILU_MUL || problem.operation == QB_OPERATION_GELU_MUL) {
        problem.gelu = problem.operation == QB_OPERATION_GELU_MUL && i % 3 == 1 ? QB_GELU_ERF : QB_GELU_TANH;
        problem.gate = i % 4 < 2 ? QB_GATE_HALVES : QB_GATE_INTERLEAVED;
        problem.up_offset = i % 5 == 4 ? 1 : 0;
        problem.gate_limit = i % 7 == 6 ? 7 : 0;
    }
    problem.weights = i % 3 == 2 ? QB_WEIGHTS_FLOAT : QB_WEIGHTS_INPUT;
    if (problem.operation == QB_OPERATION_ROPE) {
        problem.pairing = i % 4 < 2 ? QB_PAIRING_HALVES : QB_PAIRING_ADJACENT;
        problem.head_size = problem.hidden / 3;
        problem.rotary = i % 5 < 3 ? 6 : 4;
        problem.positions = 4;
    }
    if (operation_has_cache(problem.operation)) {
        problem.granularity = i % 4 == 0                             ? QB_GRANULARITY_GROUP
                              : problem.scaling == QB_SCALING_STATIC ? QB_GRANULARITY_TENSOR
                                                                     : QB_GRANULARITY_TOKEN;
        problem.keep_values = 0;
        problem.hidden = 32;
        problem.head_size = 8;
        problem.page_size = 3;
        problem.pages = problem.tokens / 3 + 2;
        problem.page_layout = (enum qb_page_layout)(i % 2);
    }
    return problem;
}
#define OPERATION_PROBLEMS (OPERATIONS * 90)

START_TEST(right_answers_of_operations)
{
    static struct whole data, now;
    static const struct qb_arithmetic contract;
    void *given[QB_ROLE_COUNT] = {NULL};
    struct probe probes[2 * (SCALES + PROBES)];
    struct scale_probe scales[SCALES];
    struct question question = {.probes = probes, .scales = scales};
    size_t changes = 0;

    for (int i = _i; i < OPERATION_PROBLEMS; i += 10) {
        const struct qb_problem problem = operation_problem(i);
        struct qb_problem kept = problem;
        struct case_data cases = {.values = data.at[QB_ROLE_INPUT]};
        static struct whole values;
        struct questioner q;

        make_whole(&problem, &data);
        for (int role = 0; role < QB_ROLE_COUNT; role++) {
            const bool is_given = sizes_is_given(&problem, (enum qb_role)role);

            cases.at[role] =
                inputs_have((enum qb_role)role) && (is_given || role == QB_ROLE_INPUT) ? data.at[role] : NULL;
            given[role] = is_given && !inputs_have((enum qb_role)role) ? data.at[role] : NULL;
        }
        if (values_differ(&problem)) {
            kept.keep_values = 1;
            values = data;
            point(&values);
            ck_assert_int_eq(qb_reference_run(&kept, &values.tensors), QB_OK);
            cases.values = values.at[QB_ROLE_VALUES];
            cases.sum = problem.operation == QB_OPERATION_ADD_RMS_NORM ? data.at[QB_ROLE_SUM] : NULL;
        }
        ck_assert_int_eq(questioner_begin(&problem, &contract, &cases, given, SETS, &q), QB_OK);
        ck_assert_int_eq(question_compose(&q, i % 3 != 2, SCALES, PROBES, &question), QB_OK);
        for (unsigned set = 0; set < SETS; set++) {
            ask(&q, &question, set, &data, &now);
            for (size_t j = 0; j < question.probe_count; j++) {
                changes += probes[j].set == set && check_probe(&q, &probes[j], &data, &now);
            }
            for (size_t j = 0; j < question.scale_count; j++) {
                if (scales[j].set == set) {
                    check_scale_of(&q, &scales[j], &now);
                }
            }
            check_others(&q, &question, set, &data, &now);
        }
        questioner_end(&q);
    }
    ck_assert_uint_gt(changes, 100);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("challenge");
    TCase *tc = patient_case("questions");

    tcase_add_loop_test(tc, right_answers, 0, 5 * QB_GRANULARITY_COUNT);
    tcase_add_loop_test(tc, right_answers_of_narrow_formats, 0, 2 * NARROWS);
    tcase_add_loop_test(tc, answers_change, 0, QB_GRANULARITY_COUNT);
    tcase_add_loop_test(tc, right_answers_of_operations, 0, 10);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
