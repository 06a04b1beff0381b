/* SPDX-License-Identifier: Apache-2.0 */
/* check_challenge.c - questions: what they say is right is what the reference makes of the whole tensor with the same
 * changes, for all formats, granularities and ways to scale, and data of all kinds. */
#include <config.h>

#include "cases/input.h"
#include "check/question.h"
#include "run.h"

#include <string.h>

#define MOST   15009 /* elements */
#define SETS   3
#define SCALES 4
#define PROBES 24

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
    float scales[MOST];
    uint8_t codes[MOST];
};

static void answer(const struct questioner *q, const struct question *question, unsigned set, struct answer *a)
{
    const size_t bytes = q->problem.tokens * q->problem.hidden * input_element_size(q->problem.input);
    const struct qb_tensors buffers = QB_TENSORS(a->input, a->codes, a->scales);

    memcpy(a->input, q->input, bytes);
    if (q->given_scales != NULL) {
        memcpy(a->scales, q->given_scales, q->tiling.scale_rows * q->tiling.scale_cols * sizeof *a->scales);
    }
    for (size_t i = 0; i < question->probe_count; i++) {
        if (question->probes[i].set == set) {
            set_element(q->problem.input, a->input, question->probes[i].element, question->probes[i].is);
        }
    }
    for (size_t i = 0; i < question->scale_count && q->given_scales != NULL; i++) {
        if (question->scales[i].set == set) {
            a->scales[question->scales[i].tile] = question->scales[i].want.stored;
        }
    }
    ck_assert_int_eq(qb_reference_run_as(&q->problem, &q->arithmetic, &buffers), QB_OK);
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

            if (probe->set == set && q->problem.scaling != QB_SCALING_AMAX) {
                ck_assert_uint_eq(probe->want, now.codes[probe->element]);
                ck_assert_uint_eq(probe->old, before.codes[probe->element]);
                ck_assert_uint_ne(probe->poison, probe->want);
                ck_assert_uint_ne(probe->poison, probe->old);
            }
        }
        for (size_t i = 0; i < question->scale_count; i++) {
            const struct scale_probe *scale = &question->scales[i];

            if (scale->set == set) {
                ck_assert_mem_eq(&scale->want.stored, &now.scales[scale->tile], sizeof(float));
                ck_assert_mem_eq(&scale->old.stored, &before.scales[scale->tile], sizeof(float));
                ck_assert(q->given_scales != NULL || scale->poison != scale->want.stored);
            }
        }
    }
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
        for (size_t i = 0; i < question->probe_count; i++) {
            now.codes[question->probes[i].element] =
                question->probes[i].set == set ? question->probes[i].old : now.codes[question->probes[i].element];
        }
        ck_assert(rescaled || memcmp(now.codes, before.codes, q->problem.tokens * q->problem.hidden) == 0);
    }
}

static void check_problem(const struct qb_problem *problem, const struct qb_arithmetic *arithmetic, enum data kind,
                          int rounds)
{
    static uint32_t input[MOST];
    static float given[MOST];
    struct probe probes[SCALES + PROBES];
    struct scale_probe scales[SCALES];
    struct question question = {.probes = probes, .scales = scales};
    struct questioner q;

    make_data(problem, kind, input);
    for (size_t i = 0; i < MOST; i++) {
        given[i] = 0.01F * (float)(i + 1);
    }
    ck_assert_int_eq(
        questioner_begin(problem, arithmetic, input, problem->scaling == QB_SCALING_STATIC ? given : NULL, SETS, &q),
        QB_OK);
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

/* Questions are worth asking: the right answer changes. */
START_TEST(answers_change)
{
    struct probe probes[SCALES + PROBES];
    struct scale_probe scales[SCALES];
    struct question question = {.probes = probes, .scales = scales};
    uint32_t input[MOST];
    struct qb_problem problem;
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
    ck_assert_int_eq(questioner_begin(&problem, &arithmetics[0], input, NULL, SETS, &q), QB_OK);
    ck_assert_int_eq(question_compose(&q, true, SCALES, PROBES, &question), QB_OK);
    ck_assert_uint_ge(question.scale_count, 1);
    for (size_t i = 0; i < question.scale_count; i++) {
        ck_assert(scales[i].want.stored > scales[i].old.stored);
    }
    for (size_t i = 0; i < question.probe_count; i++) {
        changed += probes[i].want != probes[i].old;
    }
    ck_assert_uint_gt(changed, question.probe_count / 2);
    questioner_end(&q);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("challenge");
    TCase *tc = patient_case("questions");

    tcase_add_loop_test(tc, right_answers, 0, 5 * QB_GRANULARITY_COUNT);
    tcase_add_loop_test(tc, answers_change, 0, QB_GRANULARITY_COUNT);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
