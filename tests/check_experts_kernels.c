/* SPDX-License-Identifier: Apache-2.0 */
/* check_experts_kernels.c - every kernel of one backend against the reference, byte for byte, on the rows of experts.
 * What a kernel may not write is compared too: it is poison on both sides. Rows that do not exist have values that show
 * in whatever they are read for. Built once for each backend, as check_kernels.c is. */
#include <config.h>

#include "tensors.h"

/* Quantizations that mixtures of experts are served with, and others that are as valid. */
static const struct recipe {
    enum qb_format output, scale_format;
    enum qb_granularity granularity;
    uint64_t group;
    enum qb_tensor_scale tensor_scale;
} recipes[] = {
    {QB_FORMAT_E4M3, QB_FORMAT_F32, QB_GRANULARITY_TENSOR, 0, QB_TENSOR_SCALE_NONE},
    {QB_FORMAT_INT8, QB_FORMAT_F32, QB_GRANULARITY_TENSOR, 0, QB_TENSOR_SCALE_NONE},
    {QB_FORMAT_E4M3, QB_FORMAT_F32, QB_GRANULARITY_TOKEN, 0, QB_TENSOR_SCALE_NONE},
    {QB_FORMAT_INT8, QB_FORMAT_F32, QB_GRANULARITY_TOKEN, 0, QB_TENSOR_SCALE_NONE},
    {QB_FORMAT_E4M3, QB_FORMAT_F32, QB_GRANULARITY_GROUP, 128, QB_TENSOR_SCALE_NONE},
    {QB_FORMAT_E4M3, QB_FORMAT_E8M0, QB_GRANULARITY_GROUP, 128, QB_TENSOR_SCALE_NONE},
    {QB_FORMAT_E4M3, QB_FORMAT_E8M0, QB_GRANULARITY_GROUP, 32, QB_TENSOR_SCALE_NONE},
    {QB_FORMAT_E5M2, QB_FORMAT_F32, QB_GRANULARITY_GROUP, 16, QB_TENSOR_SCALE_NONE},
    {QB_FORMAT_E2M1, QB_FORMAT_E8M0, QB_GRANULARITY_GROUP, 32, QB_TENSOR_SCALE_NONE},
    {QB_FORMAT_E2M1, QB_FORMAT_E4M3, QB_GRANULARITY_GROUP, 16, QB_TENSOR_SCALE_GIVEN},
    {QB_FORMAT_E2M1, QB_FORMAT_E4M3, QB_GRANULARITY_GROUP, 16, QB_TENSOR_SCALE_COMPUTED},
    {QB_FORMAT_INT4, QB_FORMAT_F16, QB_GRANULARITY_GROUP, 128, QB_TENSOR_SCALE_NONE},
    {QB_FORMAT_E2M3, QB_FORMAT_E8M0, QB_GRANULARITY_GROUP, 15, QB_TENSOR_SCALE_NONE},
    {QB_FORMAT_E2M3, QB_FORMAT_E8M0, QB_GRANULARITY_GROUP, 32, QB_TENSOR_SCALE_NONE},
    {QB_FORMAT_E3M2, QB_FORMAT_E8M0, QB_GRANULARITY_GROUP, 512, QB_TENSOR_SCALE_NONE},
    {QB_FORMAT_INT4, QB_FORMAT_F32, QB_GRANULARITY_GROUP, 16, QB_TENSOR_SCALE_NONE},
    {QB_FORMAT_INT4, QB_FORMAT_F32, QB_GRANULARITY_TENSOR, 0, QB_TENSOR_SCALE_NONE},
    {QB_FORMAT_INT4, QB_FORMAT_F16, QB_GRANULARITY_TOKEN, 0, QB_TENSOR_SCALE_NONE},
};

static const enum qb_operation operations[] = {QB_OPERATION_QUANTIZE, QB_OPERATION_SILU_MUL, QB_OPERATION_GELU_MUL};

static struct qb_problem problem_of(enum qb_operation operation, const struct recipe *r)
{
    struct qb_problem p;

    qb_problem_init(&p);
    p.operation = operation;
    p.output = r->output;
    p.scale_format = r->scale_format;
    p.granularity = r->granularity;
    p.group = r->group;
    p.tensor_scale = r->tensor_scale;
    return p;
}

/* Give P rows of EXPERTS, for about TOKENS. */
static void set_experts(struct qb_problem *p, uint64_t experts, uint64_t tokens, bool masked)
{
    p->experts = experts;
    p->expert_rows = masked ? QB_EXPERT_ROWS_MASKED : QB_EXPERT_ROWS_OFFSETS;
    p->tokens = masked ? (tokens + experts - 1) / experts * experts : tokens;
}

/* Let the rows of the input that do not exist hold the largest number, and NaN. */
static void spoil(struct tensors *t)
{
    const struct qb_problem *p = &t->problem;
    const enum qb_format format = p->input;
    const uint64_t cols = t->info[QB_ROLE_INPUT].cols, stride = t->info[QB_ROLE_INPUT].stride;
    const size_t size = qb_format_info(format)->bits / 8;
    bool *exists = calloc(p->tokens + 1, sizeof *exists);

    ck_assert_ptr_nonnull(exists);
    for (uint64_t e = 0; e < p->experts; e++) {
        for (uint64_t i = 0; i < expert_rows_of(t, e); i++) {
            exists[expert_first_of(t, e) + i] = true;
        }
    }
    for (uint64_t row = 0; row < p->tokens; row++) {
        for (uint64_t col = 0; col < cols && !exists[row]; col++) {
            const uint32_t bits =
                col % 2 == 0 ? qb_format_info(format)->largest_code : qb_format_info(format)->nan_code;

            memcpy(data_of(t, QB_ROLE_INPUT) + (row * stride + col) * size, &bits, size);
        }
    }
    free(exists);
}

static void run_with(const struct qb_problem *p, enum kind kind, size_t offset, uint64_t *state)
{
    struct tensors t;

    make_tensors(&t, p, offset);
    fill(&t, kind, state);
    spoil(&t);
    run_all_kernels(&t);
    free_tensors(&t);
}

/* Members that change nothing about which rows there are, by RANDOM. */
static void set_others(struct qb_problem *p, uint64_t random)
{
    static const enum qb_intermediate intermediates[] = {QB_INTERMEDIATE_INPUT, QB_INTERMEDIATE_INPUT,
                                                         QB_INTERMEDIATE_LAST, QB_INTERMEDIATE_FLOAT};
    const bool gated = p->operation != QB_OPERATION_QUANTIZE;
    const uint64_t cols = gated ? 2 * p->hidden : p->hidden;
    const uint64_t room = p->expert_rows == QB_EXPERT_ROWS_MASKED ? p->tokens / p->experts : p->tokens;

    p->input_stride = random & 1 ? cols + 8 * (random >> 1 & 3) : 0;
    p->output_stride = random >> 3 & 1 ? (p->hidden + 3) / 4 * 4 + 8 * (random >> 4 & 3) : 0;
    p->packing = qb_format_info(p->output)->bits == 6 && random >> 23 & 1 ? QB_PACKING_DENSE : QB_PACKING_BYTES;
    p->amax_bound = (random >> 6 & 7) == 0 ? 0.75f : 0;
    p->expert_tokens = (random >> 9 & 1) * (p->tokens / 2);
    if (gated) {
        p->intermediate = intermediates[random >> 10 & 3];
        p->keep_values = random >> 12 & 1;
        p->gelu = p->operation == QB_OPERATION_GELU_MUL ? (enum qb_gelu)(random >> 25 & 1) : QB_GELU_TANH;
        p->gate = (enum qb_gate)(random >> 13 & 1);
        p->gate_limit = (random >> 14 & 3) == 0 ? 2 : 0;
        p->up_offset = (random >> 16 & 3) == 0 ? 1 : 0;
    }
    if (p->granularity == QB_GRANULARITY_GROUP) {
        p->scale_layout = (enum qb_scale_layout)(random >> 18 & 7) % QB_SCALE_LAYOUT_COUNT;
        p->scale_stride = p->scale_layout == QB_SCALE_LAYOUT_COLUMNS || p->scale_layout == QB_SCALE_LAYOUT_PACKED
                              ? (random >> 21 & 1) * (room + (random >> 22 & 3))
                              : 0;
    }
    if (qb_problem_validate(p) != QB_OK) { /* the scales are not of such a layout */
        p->scale_layout = QB_SCALE_LAYOUT_ROWS;
        p->scale_stride = 0;
    }
}

static const struct {
    uint64_t experts, tokens, hidden;
} shapes[] = {{1, 5, 64},    {3, 40, 128},     {4, 0, 32},   {8, 300, 256},   {5, 3, 96},
              {40, 130, 64}, {300, 97, 32},    {2, 257, 33}, {7, 140, 15},    {3, 9, 520},
              {16, 600, 8},  {1100, 1500, 16}, {2, 5, 2056}, {6, 50, 1032},   {129, 700, 40},
              {4, 70, 2064}, {9, 140, 528},    {5, 300, 96}, {4096, 4500, 16}};

/* Each operation, recipe and kind of rows, in all shapes. */
START_TEST(combinations)
{
    const bool masked = _i % 2 == 1;
    const enum qb_operation operation = operations[_i / 2 % COUNT(operations)];
    struct qb_problem p = problem_of(operation, &recipes[_i / 2 / COUNT(operations)]);
    uint64_t state = test_seed() + (uint64_t)_i;

    for (int i = 0; i < 3 * COUNT(shapes); i++) {
        const uint64_t random = test_random(&state) >> 8;

        p.input = inputs[i % 3];
        p.scaling = (enum qb_scaling)(random % QB_SCALING_COUNT);
        if (p.tensor_scale == QB_TENSOR_SCALE_COMPUTED && p.scaling == QB_SCALING_STATIC) {
            p.scaling = QB_SCALING_DYNAMIC;
        }
        p.hidden = shapes[i / 3].hidden;
        set_experts(&p, shapes[i / 3].experts, shapes[i / 3].tokens, masked);
        set_others(&p, random >> 4);
        run_with(&p, i % 5 == 4 ? SPECIALS : NORMAL, i % 4 == 3 ? 1 : 0, &state);
        p.scale_layout = QB_SCALE_LAYOUT_ROWS;
        p.scale_stride = 0;
    }
}
END_TEST

/* Rows as long as models have them, and many rows. */
START_TEST(usual_rows)
{
    static const uint64_t hiddens[] = {2048, 7168, 1536, 4096, 2880, 65536};
    const struct recipe *r = &recipes[_i / 2 % COUNT(recipes)];
    struct qb_problem p = problem_of(operations[_i % 2], r);
    uint64_t state = test_seed() + (uint64_t)_i;

    for (int masked = 0; masked < 2; masked++) {
        p.hidden = hiddens[_i % COUNT(hiddens)];
        p.input = _i % 3 == 0 ? QB_FORMAT_F16 : QB_FORMAT_BF16;
        set_experts(&p, 16, p.hidden > 7168 ? 32 : 192, masked == 1);
        run_with(&p, NORMAL, 0, &state);
    }
}
END_TEST

/* More pieces of rows than a device works on at a time, some of which have the end of one expert and the beginning of
 * the next: one scale for each, and a tensor scale that is computed. */
START_TEST(many_pieces)
{
    static const int computed[] = {0, 1, 10};
    struct qb_problem p = problem_of(operations[_i / 3], &recipes[computed[_i % 3]]);
    uint64_t state = test_seed() + (uint64_t)_i;

    p.hidden = 2080;
    p.input = _i % 2 == 0 ? QB_FORMAT_F16 : QB_FORMAT_BF16;
    set_experts(&p, 37, strcmp(TEST_BACKEND, "cuda") == 0 ? 12000 : 1500, _i % 2 == 1);
    run_with(&p, NORMAL, 0, &state);
}
END_TEST

/* Data of every kind; zeros of a whole expert among them. */
START_TEST(data)
{
    struct qb_problem p =
        problem_of(operations[_i % COUNT(operations)], &recipes[_i / COUNT(operations) % COUNT(recipes)]);
    uint64_t state = test_seed() + (uint64_t)_i;

    for (enum kind kind = NORMAL; kind < KINDS; kind++) {
        p.hidden = 256;
        set_experts(&p, 6, 48, kind % 2 == 1);
        run_with(&p, kind, 0, &state);
    }
}
END_TEST

/* Every layout that scales can have, for rows that end in the middle of tiles. */
START_TEST(layouts)
{
    const bool masked = _i % 2 == 1, bytes = _i / 2 % 2 == 1;
    uint64_t state = test_seed() + (uint64_t)_i;

    for (int layout = 0; layout < QB_SCALE_LAYOUT_COUNT; layout++) {
        struct qb_problem p = problem_of(QB_OPERATION_QUANTIZE, &recipes[bytes ? 6 : 4]);

        p.scale_layout = (enum qb_scale_layout)layout;
        p.hidden = 32 * 7;
        set_experts(&p, 5, 5 * 133, masked);
        if (qb_problem_validate(&p) == QB_OK) {
            run_with(&p, NORMAL, 0, &state);
        } else {
            ck_assert(!bytes);
        }
    }
}
END_TEST

/* Break the table of T in way WAY. */
static void break_table(struct tensors *t, int way)
{
    int64_t *table = (int64_t *)(void *)data_of(t, QB_ROLE_EXPERTS);
    const uint64_t last = t->info[QB_ROLE_EXPERTS].rows - 1;

    table[way == 0   ? 0
          : way == 1 ? last
                     : last / 2] = way == 0   ? -3
                                   : way == 1 ? (int64_t)t->problem.tokens + 1
                                   : way == 2 ? INT64_MAX
                                   : way == 3 ? INT64_MIN
                                              : (int64_t)t->problem.tokens;
    if (way == 4 && t->problem.expert_rows == QB_EXPERT_ROWS_OFFSETS) {
        table[last] = 0;
    }
}

/* True if byte AT of the tensor of ROLE is an element's; else it is between two rows. */
static bool is_element(const struct tensors *t, int role, uint64_t at)
{
    const struct qb_tensor_info *info = &t->info[role];
    const struct qb_problem *p = &t->problem;
    const size_t size = qb_format_info(info->format)->bits / 8;
    const bool codes = role == QB_ROLE_CODES;
    const uint64_t step = codes ? qb_codes_bytes(p->output, p->packing, info->stride) : info->stride * size;

    return at % step < (codes ? qb_codes_bytes(p->output, p->packing, info->cols) : info->cols * size);
}

/* Check that nothing changed around the tensors of T and between their rows, and nothing at all if ALL. */
static void nothing_written(const struct tensors *t, bool all)
{
    for (int role = 0; role < QB_ROLE_COUNT; role++) {
        const size_t begin = GUARD + t->offset[role], end = begin + t->info[role].bytes;

        if (!t->info[role].written) {
            continue;
        }
        check(qb_memory_read(device, t->got[role], t->device[role], size_of(t, role)));
        for (size_t i = 0; i < size_of(t, role); i++) {
            const bool inside = i >= begin && i < end && is_element(t, role, i - begin);

            ck_assert_msg((inside && !all) || (uint8_t)t->got[role][i] == POISON, "%s: byte %td of the %s was written",
                          problem_text(t), (ptrdiff_t)i - (ptrdiff_t)begin, qb_role_name((enum qb_role)role));
        }
    }
}

/* A table that is not valid is an error before anything is written, where the host sees it; else nothing is written
 * that is not in a tensor. */
START_TEST(tables_out_of_range)
{
    struct qb_problem p = problem_of(operations[_i % 2], &recipes[_i / 40]);
    uint64_t state = test_seed() + (uint64_t)_i;
    struct tensors t;
    struct qb_tensors buffers;

    p.hidden = 64;
    if (_i / 20 % 2 == 1) { /* a row's end is not the next one's beginning */
        p.input_stride = (p.operation == QB_OPERATION_QUANTIZE ? 64 : 128) + 8;
        p.output_stride = 64 + 16;
    }
    p.scale_layout = p.scale_format == QB_FORMAT_E8M0 || p.scale_format == QB_FORMAT_E4M3 ? QB_SCALE_LAYOUT_TILED_8X4
                                                                                          : QB_SCALE_LAYOUT_ROWS;
    set_experts(&p, 9, 90, _i / 2 % 2 == 1);
    make_tensors(&t, &p, 0);
    fill(&t, NORMAL, &state);
    break_table(&t, _i / 4 % 5);
    buffers = addresses(&t, true);
    for (size_t i = 0; i < qb_kernel_count(); i++) {
        const struct qb_kernel *kernel = qb_kernel_at(i);

        if (qb_kernel_supports(kernel, device, &p)) {
            const bool on_host = strcmp(TEST_BACKEND, "cpu") == 0;

            upload(&t);
            ck_assert_int_eq(qb_kernel_run(kernel, queue, &p, &buffers), on_host ? QB_ERROR_INVALID : QB_OK);
            check(qb_queue_synchronize(queue));
            nothing_written(&t, on_host);
        }
    }
    free_tensors(&t);
}
END_TEST

/* Rows that are shared out to threads, in tiles of scales too, and threads that share one expert. */
START_TEST(threads)
{
    uint64_t state = test_seed();

    for (unsigned count = 1; count < 8 && strcmp(TEST_BACKEND, "cpu") == 0; count += 2) {
        const int most = count == 7 ? QB_SCALE_LAYOUT_COUNT : 1;

        check(qb_queue_set_threads(queue, count));
        for (int i = 0; i < 2 * COUNT(recipes) * most; i++) {
            struct qb_problem p = problem_of(operations[i % 2], &recipes[i / 2 % COUNT(recipes)]);

            p.hidden = 1024;
            p.scale_layout = (enum qb_scale_layout)(i / 2 / COUNT(recipes));
            p.scaling = i % 5 == 4 && p.tensor_scale != QB_TENSOR_SCALE_COMPUTED ? QB_SCALING_STATIC : p.scaling;
            set_experts(&p, i % 3 == 0 ? 2 : 40, i % 7 == 6 ? 20 : 600, i % 2 == 1);
            if (qb_problem_validate(&p) == QB_OK) {
                run_with(&p, NORMAL, 0, &state);
            }
        }
    }
    qb_queue_set_threads(queue, 2);
}
END_TEST

/* Launches of one queue, whose workspace is shared, and of which some leave values there. */
START_TEST(runs_in_a_row)
{
    uint64_t state = test_seed();

    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < COUNT(recipes); i++) {
            struct qb_problem p = problem_of(operations[i % 2], &recipes[i]), plain;

            p.hidden = 256;
            set_experts(&p, 4 + (uint64_t)i, 120, round == 1);
            run_with(&p, NORMAL, 0, &state);
            plain = p;
            plain.experts = 0;
            plain.expert_rows = QB_EXPERT_ROWS_OFFSETS;
            if (qb_problem_validate(&plain) == QB_OK) {
                struct tensors t;

                make_tensors(&t, &plain, 0);
                fill(&t, NORMAL, &state);
                run_all_kernels(&t);
                free_tensors(&t);
            }
        }
    }
}
END_TEST

int main(void)
{
    TCase *rows, *launches;
    Suite *suite;
    int result;

    if (!backend_open(&result)) {
        return result;
    }
    suite = suite_create(TEST_BACKEND "_experts");
    rows = patient_case("rows");
    launches = patient_case("launches");
    tcase_add_loop_test(rows, combinations, 0, 2 * COUNT(operations) * COUNT(recipes));
    tcase_add_loop_test(rows, usual_rows, 0, 2 * COUNT(recipes));
    tcase_add_loop_test(rows, many_pieces, 0, 6);
    tcase_add_loop_test(rows, data, 0, COUNT(operations) * COUNT(recipes));
    tcase_add_loop_test(rows, layouts, 0, 4);
    tcase_add_loop_test(rows, tables_out_of_range, 0, 40 * COUNT(recipes));
    tcase_add_test(launches, threads);
    tcase_add_test(launches, runs_in_a_row);
    suite_add_tcase(suite, rows);
    suite_add_tcase(suite, launches);
    return backend_run(suite);
}
