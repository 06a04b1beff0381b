/* SPDX-License-Identifier: Apache-2.0 */
/* check_operations_kernels.c - every kernel of one backend against the reference, byte for byte, on operations in front
 * of a quantization, and on dequantization. An operation that a backend has a kernel of is promised for every valid
 * problem: one that no kernel supports is a failure. Built once for each backend, as check_kernels.c is. */
#include <config.h>

#include "tensors.h"

static const enum qb_operation operations[] = {QB_OPERATION_DEQUANTIZE,   QB_OPERATION_SILU_MUL,
                                               QB_OPERATION_GELU_MUL,     QB_OPERATION_RMS_NORM,
                                               QB_OPERATION_ADD_RMS_NORM, QB_OPERATION_ROPE};

static bool is_gated(enum qb_operation operation)
{
    return operation == QB_OPERATION_SILU_MUL || operation == QB_OPERATION_GELU_MUL;
}

/* A problem of OPERATION: half to INT8, one scale for each row. */
static struct qb_problem problem_of(enum qb_operation operation)
{
    struct qb_problem p;

    qb_problem_init(&p);
    p.operation = operation;
    p.granularity = QB_GRANULARITY_TOKEN;
    p.scaling = operation == QB_OPERATION_DEQUANTIZE ? QB_SCALING_STATIC : QB_SCALING_DYNAMIC;
    p.tokens = 1;
    p.hidden = 8;
    p.page_size = p.pages = 1;
    if (operation == QB_OPERATION_TRANSPOSE || operation == QB_OPERATION_DUAL) {
        p.granularity = QB_GRANULARITY_GROUP;
        p.group = 4;
    }
    return p;
}

/* True if the backend has a kernel of OPERATION. */
static bool offers(enum qb_operation operation)
{
    const struct qb_problem p = problem_of(operation);
    bool offered = false;

    for (size_t i = 0; i < qb_kernel_count() && !offered; i++) {
        offered = qb_kernel_supports(qb_kernel_at(i), device, &p);
    }
    return offered;
}

/* Choose heads for P by RANDOM: of what divides its rows, one size that is usual, or one head. */
static void set_heads(struct qb_problem *p, uint64_t random)
{
    static const uint64_t sizes[] = {128, 64, 80, 256, 8, 5, 96, 1};
    const uint64_t wanted = sizes[random % COUNT(sizes)];
    uint64_t head;

    p->head_size = p->hidden % wanted == 0 ? wanted : 0;
    head = p->head_size > 0 ? p->head_size : p->hidden;
    p->pairing = (enum qb_pairing)(random >> 3 & 1);
    p->rotary = (random >> 4 & 3) == 0 ? head / 4 * 2 : (random >> 4 & 3) == 1 ? head / 32 * 16 : 0;
    p->positions = (random >> 6 & 3) == 0 ? 0 : (random >> 6 & 3) == 1 ? 1 : 50;
}

static void run_as(const struct qb_problem *p, enum kind kind, size_t offset, bool in_place, uint64_t *state)
{
    struct qb_problem chosen = *p;
    struct tensors t;

    if (p->operation == QB_OPERATION_ROPE) {
        set_heads(&chosen, test_random(state) >> 8);
    }
    make_tensors(&t, &chosen, offset);
    fill(&t, kind, state);
    t.in_place = in_place && t.info[QB_ROLE_SUM].present;
    run_all_kernels(&t);
    free_tensors(&t);
}

static void run_filled(const struct qb_problem *p, enum kind kind, size_t offset, uint64_t *state)
{
    run_as(p, kind, offset, false, state);
}

/* Choose what the operation of P reads by RANDOM. */
static void set_parameters(struct qb_problem *p, uint64_t random)
{
    static const float limits[] = {0, 0, 0.5f, 7}, alphas[] = {0, 0, 1, 1.702f}, offsets[] = {0, 0, 1, -0.3f},
                       epsilons[] = {1e-6f, 0, 1e-5f, 0.5f};

    p->intermediate = random % 2 == 0 ? QB_INTERMEDIATE_INPUT : (enum qb_intermediate)(random / 2 % 3);
    p->keep_values = p->operation != QB_OPERATION_DEQUANTIZE && (random >> 8 & 1);
    p->gelu = p->operation == QB_OPERATION_GELU_MUL ? (enum qb_gelu)(random >> 19 & 1) : QB_GELU_TANH;
    p->gate = (enum qb_gate)(random >> 9 & 1);
    p->gate_limit = limits[random >> 10 & 3];
    p->alpha = p->operation == QB_OPERATION_SILU_MUL ? alphas[random >> 12 & 3] : 0;
    p->up_offset = offsets[random >> 14 & 3];
    p->weights = (enum qb_weights)(random >> 16 & 1);
    p->epsilon = epsilons[random >> 17 & 3];
}

/* Give the rows of P's input a gap, of a multiple of UNIT elements, and those of its codes. */
static void set_gaps(struct qb_problem *p, uint64_t random, uint64_t unit)
{
    const uint64_t cols = is_gated(p->operation) ? 2 * p->hidden : p->hidden;

    p->input_stride = random & 1 ? cols + unit * (random >> 1 & 7) : 0;
    p->output_stride = random >> 4 & 1 ? (p->hidden + 7) / 8 * 8 + unit / 4 * 4 * (random >> 5 & 7) : 0;
}

/* ---- Shapes -------------------------------------------------------------------------------------------------------
 */

/* One in some of all valid combinations of formats, granularities and layouts, each with another shape, data, stride,
 * offset and bound. */
START_TEST(combinations)
{
    const enum qb_operation operation = operations[_i / COUNT(outputs)];
    uint64_t state = test_seed() + (uint64_t)_i;
    unsigned valid = 0, run = 0;
    struct qb_problem p = problem_of(operation);

    p.output = outputs[_i % COUNT(outputs)];
    for (unsigned index = 0; offers(operation) && combination(&p, index); index++) {
        const uint64_t random = test_random(&state) >> 8, more = test_random(&state) >> 8;

        p.tokens = p.hidden = 1;
        p.input_stride = p.output_stride = p.scale_stride = 0;
        p.amax_bound = 0;
        if (qb_problem_validate(&p) != QB_OK || valid++ % 13 != (unsigned)_i % 13) {
            continue;
        }
        set_parameters(&p, more);
        set_shape(&p, random);
        if (p.input_stride != 0 && is_gated(operation)) {
            p.input_stride += p.hidden;
        }
        run_as(&p, (enum kind)(run++ % KINDS), random >> 24 & 3, more >> 24 & 1, &state);
    }
    ck_assert(run > 3 || !offers(operation));
}
END_TEST

static const uint64_t hiddens[] = {1, 15, 63, 2048, 2049, 5000, 8192, 131072};

/* Rows of each length, no rows and many, in all formats. */
START_TEST(rows)
{
    static const uint64_t tokens[] = {0, 1, 3, 130};
    static const struct granularity tiles[] = {{QB_GRANULARITY_TOKEN, 0, 0, 0},   {QB_GRANULARITY_TENSOR, 0, 0, 0},
                                               {QB_GRANULARITY_GROUP, 128, 0, 0}, {QB_GRANULARITY_GROUP, 48, 0, 0},
                                               {QB_GRANULARITY_CHANNEL, 0, 0, 0}, {QB_GRANULARITY_BLOCK, 0, 128, 128}};
    const enum qb_operation operation = operations[_i / COUNT(hiddens)];
    uint64_t state = test_seed() + (uint64_t)_i;

    for (int i = 0; offers(operation) && i < COUNT(tokens) * 18; i++) {
        struct qb_problem p = problem_of(operation);
        const uint64_t random = test_random(&state) >> 8;

        p.hidden = hiddens[_i % COUNT(hiddens)];
        p.tokens = tokens[i % COUNT(tokens)];
        p.input = inputs[i / COUNT(tokens) % 3];
        p.output = outputs[i / COUNT(tokens) / 6];
        set_granularity(&p, &tiles[random % COUNT(tiles)]);
        if (operation != QB_OPERATION_DEQUANTIZE) {
            p.scaling = (enum qb_scaling)(random >> 8 & 1);
        }
        set_parameters(&p, random >> 16);
        set_gaps(&p, random >> 40, random >> 50 & 1 ? 8 : 1);
        /* The largest once, and few of the large. */
        if (p.hidden * p.tokens < 20000 || i < COUNT(tokens) || (p.hidden * p.tokens < 500000 && i % 5 == 0)) {
            if (p.hidden * p.tokens < 2000000 && (p.hidden != 5000 || p.tokens < 130)) {
                run_as(&p, NORMAL, random >> 52 & 3, random >> 54 & 1, &state);
            }
        }
    }
}
END_TEST

/* What people use, and kernels have loops of their own for: by tensors, rows and groups, in rows that are aligned. */
static const struct recipe {
    enum qb_format output, scale_format;
    enum qb_scale_layout layout;
    struct granularity granularity;
    enum qb_scaling scaling;
} recipes[] = {
#define RECIPE(output, scale, layout, scaling, tiles, group)                                                           \
    {                                                                                                                  \
        QB_FORMAT_##output, QB_FORMAT_##scale, QB_SCALE_LAYOUT_##layout, {QB_GRANULARITY_##tiles, group, 0, 0},        \
            QB_SCALING_##scaling                                                                                       \
    }
    RECIPE(E4M3, F32, ROWS, STATIC, TENSOR, 0),      RECIPE(INT8, F32, ROWS, STATIC, TOKEN, 0),
    RECIPE(E4M3, F32, ROWS, STATIC, GROUP, 128),     RECIPE(INT8, F32, ROWS, STATIC, CHANNEL, 0),
    RECIPE(E4M3, F32, ROWS, DYNAMIC, TOKEN, 0),      RECIPE(INT8, F32, ROWS, DYNAMIC, TOKEN, 0),
    RECIPE(E5M2, F32, ROWS, DYNAMIC, TOKEN, 0),      RECIPE(E4M3, F32, ROWS, AMAX, TOKEN, 0),
    RECIPE(E4M3, F32, ROWS, DYNAMIC, GROUP, 8),      RECIPE(INT8, F32, ROWS, DYNAMIC, GROUP, 32),
    RECIPE(E5M2, F32, ROWS, DYNAMIC, GROUP, 64),     RECIPE(E4M3, F32, ROWS, DYNAMIC, GROUP, 128),
    RECIPE(INT8, F32, ROWS, DYNAMIC, GROUP, 128),    RECIPE(E4M3, F32, ROWS, DYNAMIC, GROUP, 256),
    RECIPE(E4M3, F32, ROWS, DYNAMIC, GROUP, 1024),   RECIPE(E4M3, F32, ROWS, DYNAMIC, GROUP, 24),
    RECIPE(E4M3, F32, COLUMNS, DYNAMIC, GROUP, 128), RECIPE(E4M3, E8M0, ROWS, DYNAMIC, GROUP, 32),
    RECIPE(E4M3, E8M0, PACKED, DYNAMIC, GROUP, 128), RECIPE(E4M3, E8M0, TILED_128X4, DYNAMIC, GROUP, 32),
    RECIPE(E2M1, E8M0, ROWS, DYNAMIC, GROUP, 32),    RECIPE(E2M1, E4M3, TILED_128X4, DYNAMIC, GROUP, 16),
    RECIPE(INT4, F16, ROWS, DYNAMIC, GROUP, 128),    RECIPE(E4M3, F32, ROWS, DYNAMIC, TENSOR, 0),
};

static void set_recipe(struct qb_problem *p, const struct recipe *recipe)
{
    p->output = recipe->output;
    p->scale_format = recipe->scale_format;
    p->scale_layout = recipe->layout;
    set_granularity(p, &recipe->granularity);
    p->scaling = p->operation == QB_OPERATION_DEQUANTIZE ? QB_SCALING_STATIC : recipe->scaling;
}

START_TEST(rows_of_recipes)
{
    static const uint64_t lengths[] = {8,    64,   256,  512,   1024,  1536,  2048,  2056,  4096,
                                       5120, 7168, 8192, 14336, 16384, 16392, 18432, 32768, 65544};
    const enum qb_operation operation = operations[_i / COUNT(recipes)];
    uint64_t state = test_seed() + (uint64_t)_i;

    for (int i = 0; offers(operation) && i < COUNT(lengths) * 3; i++) {
        struct qb_problem p = problem_of(operation);
        const uint64_t random = test_random(&state) >> 8;

        set_recipe(&p, &recipes[_i % COUNT(recipes)]);
        p.input = inputs[(i / COUNT(lengths) + i) % 3];
        p.hidden = lengths[i % COUNT(lengths)];
        if (p.hidden > 4096 && (i + _i) % 5 != 0) {
            continue; /* each with some of the recipes */
        }
        p.tokens = p.hidden > 20000 ? 1 : p.hidden > 4096 ? 2 : 1 + random % 5;
        if (i / COUNT(lengths) == 2) {
            set_parameters(&p, random >> 8);
            set_gaps(&p, random >> 40, 16);
        } else if (i / COUNT(lengths) == 1) {
            p.keep_values = operation != QB_OPERATION_DEQUANTIZE;
            p.epsilon = 1e-6f;
        }
        run_as(&p, NORMAL, 0, random >> 50 & 1, &state);
    }
}
END_TEST

/* More rows than a device has multiprocessors, several times. */
START_TEST(many_rows)
{
    static const uint64_t shapes[][2] = {{1000, 128}, {700, 512}, {300, 2048}, {4100, 64}};
    const enum qb_operation operation = operations[_i / COUNT(shapes)];
    uint64_t state = test_seed() + (uint64_t)_i;

    for (int i = 0; offers(operation) && i < COUNT(recipes); i++) {
        struct qb_problem p = problem_of(operation);

        set_recipe(&p, &recipes[i]);
        p.input = inputs[i % 2];
        p.tokens = shapes[_i % COUNT(shapes)][0];
        p.hidden = shapes[_i % COUNT(shapes)][1];
        if (i % COUNT(shapes) == _i % COUNT(shapes) && i % 8 < 4) {
            run_filled(&p, NORMAL, 0, &state);
        }
    }
}
END_TEST

/* Rows of the lengths of models, several for each team of threads that a device has: they are fetched while others are
 * computed. */
START_TEST(many_long_rows)
{
    static const uint64_t shapes[][2] = {{1500, 2064}, {1100, 4096}, {900, 5136},
                                         {560, 8192},  {280, 12320}, {2300, 1040}};
    static const enum qb_granularity tilings[] = {QB_GRANULARITY_TENSOR, QB_GRANULARITY_TOKEN, QB_GRANULARITY_GROUP};
    uint64_t state = test_seed() + (uint64_t)_i;

    for (int i = 0; offers(QB_OPERATION_RMS_NORM) && i < COUNT(tilings); i++) {
        struct qb_problem p = problem_of(QB_OPERATION_RMS_NORM);

        p.input = inputs[(_i + i) % 2];
        p.output = i == 2 ? QB_FORMAT_E4M3 : outputs[(_i + i) / 2 % 2];
        p.granularity = tilings[i];
        p.scaling = i == 0 ? QB_SCALING_STATIC : QB_SCALING_DYNAMIC;
        p.group = 128;
        p.tokens = shapes[_i / 2][0];
        p.hidden = shapes[_i / 2][1];
        p.epsilon = 1e-6f;
        p.keep_values = _i % 2 == 1;
        p.input_stride = _i % 2 == 1 ? p.hidden + 16 : 0;
        run_filled(&p, _i % 2 == 0 ? NORMAL : (enum kind)(_i / 2 % KINDS), 0, &state);
    }
}
END_TEST

/* Few such rows, which several multiprocessors may share, from one to more than there are. */
START_TEST(few_long_rows)
{
    static const enum qb_operation few[] = {QB_OPERATION_RMS_NORM, QB_OPERATION_ADD_RMS_NORM, QB_OPERATION_SILU_MUL};
    static const uint64_t tokens[] = {1, 7, 40, 70, 140}, lengths[] = {1024, 2304, 4096, 4352, 7168, 8192};
    static const enum qb_granularity tilings[] = {QB_GRANULARITY_TENSOR, QB_GRANULARITY_TOKEN, QB_GRANULARITY_GROUP};
    const enum qb_operation operation = few[_i / COUNT(tokens)];
    uint64_t state = test_seed() + (uint64_t)_i;

    for (int i = 0; offers(operation) && i < COUNT(lengths) * COUNT(tilings); i++) {
        struct qb_problem p = problem_of(operation);

        p.input = inputs[(_i + i) % 2];
        p.output = outputs[(_i + i / 2) % 2];
        p.granularity = tilings[i % COUNT(tilings)];
        p.scaling = p.granularity == QB_GRANULARITY_TENSOR ? QB_SCALING_STATIC : QB_SCALING_DYNAMIC;
        p.group = p.granularity == QB_GRANULARITY_GROUP ? 8u << (unsigned)(_i + i) % 6 : 0;
        p.tokens = tokens[_i % COUNT(tokens)];
        p.hidden = lengths[i / COUNT(tilings)];
        p.hidden -= p.group > 0 ? p.hidden % p.group : 0;
        p.input_stride = i % 4 == 3 ? (is_gated(operation) ? 2 * p.hidden : p.hidden) + 8 : 0;
        p.epsilon = is_gated(operation) ? 0 : 1e-6f;
        if (p.tokens * p.hidden < 330000) {
            run_as(&p, i % 2 == 0 ? NORMAL : (enum kind)((_i + i) % KINDS), 0, (_i + i / 3) % 2 == 0, &state);
        }
    }
}
END_TEST

/* Heads of the sizes that models have, whose rows are long enough for several of them, in both pairings. */
START_TEST(usual_heads)
{
    static const struct {
        uint64_t heads, head_size, rotary;
    } rows_of[] = {{40, 128, 128}, {40, 64, 64}, {20, 80, 80}, {12, 96, 96}, {9, 192, 64},    {8, 256, 256},
                   {16, 80, 32},   {33, 2, 2},   {4, 576, 64}, {3, 40, 40},  {1, 1024, 1024}, {5, 128, 16}};
    uint64_t state = test_seed() + (uint64_t)_i;

    for (int i = 0; offers(QB_OPERATION_ROPE) && i < COUNT(recipes) * 2; i++) {
        struct qb_problem p = problem_of(QB_OPERATION_ROPE);
        struct tensors t;

        set_recipe(&p, &recipes[i / 2]);
        p.head_size = rows_of[_i].head_size;
        p.rotary = rows_of[_i].rotary;
        p.hidden = rows_of[_i].heads * p.head_size;
        p.pairing = (enum qb_pairing)(i % 2);
        p.positions = 19;
        p.tokens = 6;
        p.input = inputs[(i + _i) % 3];
        p.weights = (enum qb_weights)(i / 3 % 2);
        p.keep_values = i % 5 == 4;
        p.intermediate = i % 7 == 6 ? QB_INTERMEDIATE_FLOAT : QB_INTERMEDIATE_INPUT;
        make_tensors(&t, &p, i % 4 == 3);
        fill(&t, i % 6 == 5 ? BITS : NORMAL, &state);
        run_all_kernels(&t);
        free_tensors(&t);
    }
}
END_TEST

/* Rows of the heads of models: more than a device works on at a time, so that what later ones need is fetched before
 * they begin; and longer ones, and one that is the longest. */
START_TEST(many_heads)
{
    static const uint64_t shapes[][2] = {{1200, 5120}, {620, 9216}, {3, 32768}, {5, 20480}, {5, 20608}, {3, 32768}};
    static const enum qb_granularity tilings[] = {QB_GRANULARITY_TENSOR, QB_GRANULARITY_TOKEN, QB_GRANULARITY_GROUP};
    struct qb_problem p = problem_of(QB_OPERATION_ROPE);
    uint64_t state = test_seed() + (uint64_t)_i;

    p.input = inputs[_i % 2];
    p.output = _i % 4 < 2 ? QB_FORMAT_E4M3 : QB_FORMAT_INT8;
    p.granularity = tilings[_i % COUNT(tilings)];
    p.scaling = p.granularity == QB_GRANULARITY_TENSOR ? QB_SCALING_STATIC : QB_SCALING_DYNAMIC;
    p.group = 128;
    p.tokens = shapes[_i / 3 % COUNT(shapes)][0];
    p.hidden = shapes[_i / 3 % COUNT(shapes)][1];
    p.head_size = p.rotary = 128;
    p.positions = 300;
    p.pairing = (enum qb_pairing)(_i / 2 % 2);
    p.weights = _i < 9 && _i / 4 % 2 == 1 ? QB_WEIGHTS_FLOAT : QB_WEIGHTS_INPUT;
    if (offers(QB_OPERATION_ROPE)) {
        run_filled(&p, NORMAL, 0, &state);
        if (p.tokens < 10) {
            p.pairing = p.pairing == QB_PAIRING_HALVES ? QB_PAIRING_ADJACENT : QB_PAIRING_HALVES;
            run_filled(&p, NORMAL, 0, &state);
        }
    }
}
END_TEST

/* Positions that are out of range: the CPU says so, and elsewhere the pairs of these tokens are not numbers, and those
 * of the others what they should be. */
START_TEST(positions_out_of_range)
{
    static const int64_t wrong[] = {-1, 5, INT64_MAX, INT64_MIN};
    struct qb_problem p = problem_of(QB_OPERATION_ROPE);
    const bool is_cpu = strcmp(qb_backend_name(qb_device_backend(device)), "cpu") == 0;
    uint64_t state = test_seed();

    /* The last ones have more rows than a device works on at a time, where a row fetches the angles of a later one. */
    const uint64_t bad = _i < 16 ? 4 : 1100;

    p.head_size = 128;
    p.rotary = _i < 8 ? 64 : 128;
    p.hidden = _i < 16 ? 1024 : 5120;
    p.tokens = _i < 16 ? 9 : 1200;
    p.positions = 5;
    p.output = QB_FORMAT_E4M3;
    p.scaling = _i % 2 == 0 ? QB_SCALING_STATIC : QB_SCALING_DYNAMIC;
    p.granularity = _i % 4 < 2 ? QB_GRANULARITY_TENSOR : QB_GRANULARITY_TOKEN;
    p.weights = _i % 8 < 4 ? QB_WEIGHTS_INPUT : QB_WEIGHTS_FLOAT;
    for (size_t i = 0; offers(QB_OPERATION_ROPE) && i < qb_kernel_count(); i++) {
        struct tensors t;
        int64_t *positions;
        struct qb_tensors buffers;

        if (!qb_kernel_supports(qb_kernel_at(i), device, &p)) {
            continue;
        }
        make_tensors(&t, &p, 0);
        fill(&t, NORMAL, &state);
        run_reference(&t);
        positions = (int64_t *)(void *)data_of(&t, QB_ROLE_POSITIONS);
        positions[bad] = wrong[i % COUNT(wrong)];
        buffers = addresses(&t, true);
        upload(&t);
        if (is_cpu) {
            ck_assert_int_eq(qb_kernel_run(qb_kernel_at(i), queue, &p, &buffers), QB_ERROR_INVALID);
        } else {
            check(qb_kernel_run(qb_kernel_at(i), queue, &p, &buffers));
            check(qb_queue_synchronize(queue));
            check(qb_memory_read(device, t.got[QB_ROLE_CODES], t.device[QB_ROLE_CODES], size_of(&t, QB_ROLE_CODES)));
            for (uint64_t at = bad * p.hidden; at < (bad + 1) * p.hidden; at++) {
                const uint8_t code = (uint8_t)t.got[QB_ROLE_CODES][GUARD + t.offset[QB_ROLE_CODES] + at];

                ck_assert_msg(((code & 0x7F) == 0x7F) == (at % 128 < p.rotary), "%s: code 0x%02X", problem_text(&t),
                              code);
            }
        }
        free_tensors(&t);
    }
}
END_TEST

/* ---- Values -------------------------------------------------------------------------------------------------------
 */

/* Each kind of data: zeros, subnormal numbers, NaN, infinities, sums that overflow among others. */
START_TEST(data)
{
    const enum qb_operation operation = operations[_i / KINDS];
    uint64_t state = test_seed() + (uint64_t)_i;

    for (int i = 0; offers(operation) && i < 4 * 12; i++) {
        struct qb_problem p = problem_of(operation);

        set_recipe(&p, &recipes[(7 * i + _i) % COUNT(recipes)]);
        set_parameters(&p, test_random(&state) >> 8);
        p.input = inputs[i % 3];
        p.tokens = 3;
        p.hidden = i % 8 == 7 ? 1111 : i % 4 == 3 ? 3072 : 512;
        p.keep_values = operation != QB_OPERATION_DEQUANTIZE && i % 3 != 0;
        run_filled(&p, (enum kind)(_i % KINDS), 0, &state);
    }
}
END_TEST

/* The activations of gates. */
static const struct {
    enum qb_operation operation;
    enum qb_gelu gelu;
} activations[] = {
    {QB_OPERATION_SILU_MUL, QB_GELU_TANH}, {QB_OPERATION_GELU_MUL, QB_GELU_TANH}, {QB_OPERATION_GELU_MUL, QB_GELU_ERF}};

/* All 65,536 gates of a 16-bit format, in order and mixed, times 1 and times another: the values, byte for byte. */
START_TEST(every_gate)
{
    struct qb_problem p = problem_of(activations[_i / 12].operation);
    uint64_t state = test_seed() + (uint64_t)_i;
    struct tensors t;

    if (!offers(p.operation)) {
        return;
    }
    p.gelu = activations[_i / 12].gelu;
    p.input = inputs[_i % 2];
    p.intermediate = (enum qb_intermediate)(_i / 2 % 3);
    p.gate = (enum qb_gate)(_i / 6 % 2);
    p.output = QB_FORMAT_E4M3;
    p.keep_values = 1;
    p.tokens = 16;
    p.hidden = 4096;
    for (int turn = 0; turn < 3; turn++) {
        p.alpha = turn == 2 && p.operation == QB_OPERATION_SILU_MUL ? 1.702f : 0;
        make_tensors(&t, &p, 0);
        fill(&t, NORMAL, &state);
        for (uint32_t i = 0; i < 65536; i++) {
            uint16_t *const row = (uint16_t *)(void *)data_of(&t, QB_ROLE_INPUT) + i / 4096 * 8192;
            const uint32_t col = i % 4096;
            const bool halves = p.gate == QB_GATE_HALVES;

            /* 40503 is odd, so this visits each input once. */
            row[halves ? col : 2 * col] = (uint16_t)(turn == 0 ? i : i * 40503);
            if (turn == 0) {
                row[halves ? 4096 + col : 2 * col + 1] = (uint16_t)qb_format_encode(p.input, 1);
            }
        }
        run_all_kernels(&t);
        free_tensors(&t);
    }
}
END_TEST

/* A group at the end of a row, of fewer chunks than lanes that find scales, whose scale takes the slow way: zeros, and
 * an infinity. */
START_TEST(short_groups_of_small_scales)
{
    struct qb_problem p = problem_of(QB_OPERATION_SILU_MUL);
    struct tensors t;

    p.input = inputs[_i % 2];
    p.output = _i / 2 % 2 == 0 ? QB_FORMAT_E4M3 : QB_FORMAT_INT8;
    p.granularity = QB_GRANULARITY_GROUP;
    p.group = 32;
    p.scaling = QB_SCALING_DYNAMIC;
    p.scale_format = QB_FORMAT_E8M0;
    p.tokens = 16;
    p.hidden = 40;
    make_tensors(&t, &p, 0);
    for (uint64_t row = 0; row < p.tokens; row++) {
        uint16_t *const at = (uint16_t *)(void *)data_of(&t, QB_ROLE_INPUT) + row * 2 * p.hidden;

        for (uint64_t col = 0; col < 2 * p.hidden; col++) {
            const double infinite = row % 5 == 2 ? INFINITY : 1;

            at[col] = (uint16_t)qb_format_encode(p.input, col % p.hidden < 32 ? 1 : row % 4 == 0 ? 0 : infinite);
        }
    }
    run_all_kernels(&t);
    free_tensors(&t);
}
END_TEST

/* Floats of all exponents and both signs as gates. */
START_TEST(float_gates)
{
    struct qb_problem p = problem_of(activations[_i].operation);
    uint64_t state = test_seed() + (uint64_t)_i;
    struct tensors t;

    if (!offers(p.operation)) {
        return;
    }
    p.gelu = activations[_i].gelu;
    p.input = QB_FORMAT_F32;
    p.keep_values = 1;
    p.tokens = 512;
    p.hidden = 1024;
    make_tensors(&t, &p, 0);
    fill(&t, NORMAL, &state);
    for (uint32_t i = 0; i < p.tokens * p.hidden; i++) {
        /* Dense where the result is neither the gate nor 0. */
        const float value = (float)(test_random(&state) >> 40) * 0x1p-24f * (i % 4 == 0 ? 2 : 104);
        const uint32_t bits =
            i % 2 == 0 ? (uint32_t)test_random(&state) : qb_format_encode(QB_FORMAT_F32, i % 4 == 1 ? value : -value);

        memcpy(data_of(&t, QB_ROLE_INPUT) + ((uint64_t)i / 1024 * 2048 + i % 1024) * 4, &bits, 4);
    }
    run_all_kernels(&t);
    free_tensors(&t);
}
END_TEST

/* Rows of every magnitude: sums from the smallest number to infinity, with and without epsilon. */
START_TEST(magnitudes_of_rows)
{
    struct qb_problem p = problem_of(_i % 2 == 0 ? QB_OPERATION_RMS_NORM : QB_OPERATION_ADD_RMS_NORM);
    uint64_t state = test_seed() + (uint64_t)_i;
    struct tensors t;

    if (!offers(p.operation)) {
        return;
    }
    if (_i < 24) {
        p.input = inputs[_i / 2 % 3];
        p.epsilon = _i / 6 % 2 ? 1e-5f : 0;
        p.tokens = 280;
        p.hidden = _i / 12 ? 2056 : 77;
        p.keep_values = 1;
    } else {
        p.input = QB_FORMAT_BF16;
        p.epsilon = _i < 28 ? 0 : 2;
        p.tokens = 280;
        p.hidden = _i / 2 % 2 ? 12320 : 2056;
    }
    make_tensors(&t, &p, 0);
    fill(&t, NORMAL, &state);
    for (uint64_t i = 0; i < p.tokens * p.hidden; i++) {
        const size_t size = t.info[QB_ROLE_INPUT].bits / 8;
        const float value = (float)(int32_t)test_random(&state) * 0x1p-31f;
        const uint32_t bits = qb_format_encode(p.input, ldexpf(value, (int)(i / p.hidden) - 150));

        memcpy(data_of(&t, QB_ROLE_INPUT) + i * size, &bits, size);
    }
    run_all_kernels(&t);
    free_tensors(&t);
}
END_TEST

/* Given scales that are too small for the fast quotients. */
static const enum qb_operation few_scaled[] = {QB_OPERATION_QUANTIZE, QB_OPERATION_SILU_MUL,     QB_OPERATION_GELU_MUL,
                                               QB_OPERATION_RMS_NORM, QB_OPERATION_ADD_RMS_NORM, QB_OPERATION_ROPE};

START_TEST(tiny_given_scales)
{
    struct qb_problem p = problem_of(few_scaled[_i / 2]);
    uint64_t state = test_seed() + (uint64_t)_i;
    struct tensors t;

    p.granularity = _i % 2 == 0 ? QB_GRANULARITY_TENSOR : QB_GRANULARITY_TOKEN;
    p.scaling = QB_SCALING_STATIC;
    p.tokens = 6;
    p.hidden = 5120;
    if (p.operation == QB_OPERATION_ROPE) {
        p.head_size = p.rotary = 128;
        p.positions = 19;
    }
    for (int pair = 0; offers(p.operation) && pair < 6; pair++) {
        p.input = inputs[pair % 3];
        p.output = pair < 3 ? QB_FORMAT_E4M3 : QB_FORMAT_INT8;
        make_tensors(&t, &p, 0);
        fill(&t, NORMAL, &state);
        for (uint64_t i = 0; i < t.info[QB_ROLE_SCALES].bytes / sizeof(float); i++) {
            const float scale = 0x1p-100f;

            memcpy(data_of(&t, QB_ROLE_SCALES) + i * sizeof scale, &scale, sizeof scale);
        }
        run_all_kernels(&t);
        free_tensors(&t);
    }
}
END_TEST

/* All codes by all scales of a byte, and by scales of both ends of the others. */
START_TEST(every_code_dequantized)
{
    struct qb_problem p = problem_of(QB_OPERATION_DEQUANTIZE);
    const enum qb_format scale = scale_formats[_i % COUNT(scale_formats)];
    uint64_t state = test_seed() + (uint64_t)_i;
    struct tensors t;

    p.output = outputs[_i / COUNT(scale_formats)];
    p.scale_format = scale;
    p.granularity = QB_GRANULARITY_GROUP;
    p.group = 256;
    p.tokens = 256;
    p.hidden = 256;
    p.zero_points = p.output == QB_FORMAT_UINT4 ? QB_ZERO_POINTS_INT8 : QB_ZERO_POINTS_NONE;
    if (!offers(p.operation) || qb_problem_validate(&p) != QB_OK) {
        return;
    }
    for (int input = 0; input < 3; input++) {
        p.input = inputs[input];
        make_tensors(&t, &p, 0);
        fill(&t, NORMAL, &state);
        for (uint64_t i = 0; i < t.info[QB_ROLE_CODES].bytes; i++) {
            data_of(&t, QB_ROLE_CODES)[i] = (char)i;
        }
        for (uint64_t row = 0; row < p.tokens; row++) {
            const uint32_t code = scale == QB_FORMAT_F32   ? qb_format_encode(scale, ldexpf(1.3f, (int)row - 148))
                                  : scale == QB_FORMAT_F16 ? 1 + (uint32_t)row * 123
                                                           : (uint32_t)row;

            memcpy(data_of(&t, QB_ROLE_SCALES) + row * t.info[QB_ROLE_SCALES].bits / 8, &code,
                   t.info[QB_ROLE_SCALES].bits / 8);
        }
        run_all_kernels(&t);
        free_tensors(&t);
    }
}
END_TEST

/* ---- Launches -----------------------------------------------------------------------------------------------------
 */

/* An empty launch has no tensors, and no workspace that anybody has reserved. */
START_TEST(floors)
{
    struct qb_problem p = problem_of(operations[_i]);

    p.tokens = 9;
    p.hidden = 1024;
    for (size_t i = 0; i < qb_kernel_count(); i++) {
        struct qb_queue *fresh = NULL;

        if (qb_kernel_supports(qb_kernel_at(i), device, &p)) {
            enum qb_status status;

            check(qb_queue_create(device, &fresh));
            check(qb_queue_reserve(fresh, qb_kernel_workspace(qb_kernel_at(i), device, &p)));
            status = qb_kernel_floor(qb_kernel_at(i), fresh, &p);
            ck_assert(status == QB_OK || status == QB_ERROR_UNSUPPORTED);
            check(qb_queue_synchronize(fresh));
            qb_queue_destroy(fresh);
        }
    }
}
END_TEST

START_TEST(any_number_of_threads_gives_the_same)
{
    const enum qb_operation operation = operations[_i];
    uint64_t state = test_seed() + (uint64_t)_i;

    for (unsigned threads = 1; threads <= 5 && offers(operation); threads += 2) {
        enum qb_status status = qb_queue_set_threads(queue, threads);

        if (status == QB_ERROR_UNSUPPORTED) {
            return;
        }
        check(status);
        for (int i = 0; i < COUNT(recipes); i += 3) {
            struct qb_problem p = problem_of(operation);

            set_recipe(&p, &recipes[(i + (int)threads) % COUNT(recipes)]);
            p.input = inputs[threads / 2 % 3];
            p.tokens = threads == 5 ? 1 : 67;
            p.hidden = threads == 5 ? 100001 : 1111;
            run_filled(&p, NORMAL, 0, &state);
        }
    }
    qb_queue_set_threads(queue, 2);
}
END_TEST

/* Launches one after the other that depend on each other's workspace, in one queue without waiting. */
START_TEST(runs_in_a_row_do_not_disturb_each_other)
{
    struct qb_problem p = problem_of(operations[_i]);
    uint64_t state = test_seed() + (uint64_t)_i;

    p.tokens = 40;
    p.hidden = 4096;
    for (size_t i = 0; i < qb_kernel_count(); i++) {
        struct tensors t[3];

        if (!qb_kernel_supports(qb_kernel_at(i), device, &p)) {
            continue;
        }
        for (int k = 0; k < 3; k++) {
            make_tensors(&t[k], &p, 0);
            fill(&t[k], NORMAL, &state);
            run_reference(&t[k]);
            upload(&t[k]);
        }
        for (int k = 0; k < 3; k++) {
            const struct qb_tensors buffers = addresses(&t[k], true);

            check(qb_kernel_run(qb_kernel_at(i), queue, &p, &buffers));
        }
        check(qb_queue_synchronize(queue));
        for (int k = 0; k < 3; k++) {
            compare(&t[k], qb_kernel_at(i));
            free_tensors(&t[k]);
        }
    }
}
END_TEST

/* ---- KV caches ----------------------------------------------------------------------------------------------------
 */

/* The kinds of scales of a cache. The last two are NVFP4's, the second of them with a tensor scale for each head. */
enum { KV_NVFP4 = 5, KV_KINDS = 7 };

/* What writes them, and reads them. */
static const enum qb_operation cached[] = {QB_OPERATION_KV_WRITE, QB_OPERATION_KV_READ};

/* A problem of OPERATION with scales of kind KIND, whose cache has room for all tokens and some more. */
static struct qb_problem kv_problem(enum qb_operation operation, uint64_t tokens, uint64_t heads, uint64_t head_size,
                                    uint64_t page_size, int kind)
{
    struct qb_problem p = problem_of(operation);

    p.tokens = tokens;
    p.head_size = head_size;
    p.hidden = 2 * heads * head_size;
    p.page_size = page_size;
    p.pages = tokens / page_size + 2;
    p.scaling = kind < 2 ? QB_SCALING_STATIC : QB_SCALING_DYNAMIC;
    p.granularity = kind == 0 ? QB_GRANULARITY_TENSOR : kind == 2 ? QB_GRANULARITY_TOKEN : QB_GRANULARITY_GROUP;
    p.group = kind == 4 && head_size % 4 == 0 ? head_size / 4 : head_size;
    if (kind >= KV_NVFP4) {
        p.output = QB_FORMAT_E2M1;
        p.scale_format = QB_FORMAT_E4M3;
        p.group = 16;
        p.tensor_scale = QB_TENSOR_SCALE_GIVEN;
        p.tensor_scale_cols = kind > KV_NVFP4 ? head_size : 0;
    }
    return p;
}

/* Set the output format of P, unless that is NVFP4. */
static void set_kv_output(struct qb_problem *p, enum qb_format output)
{
    p->output = p->tensor_scale == QB_TENSOR_SCALE_NONE ? output : p->output;
}

/* The sizes of heads, of codes of a byte and of NVFP4. */
static const uint64_t head_sizes[2][9] = {{1, 5, 16, 64, 80, 96, 128, 256, 520},
                                          {16, 48, 64, 128, 256, 32, 80, 112, 528}};

/* Each size of heads, with each kind of scales, layout and format; pages of 1 token, of 16, and of odd numbers; rows
 * with and without gaps, at any address. */
START_TEST(kv_shapes)
{
    static const uint64_t page_sizes[] = {1, 16, 7, 3, 64}, heads[] = {1, 2, 8, 3};
    const enum qb_operation operation = cached[_i % 2];
    const int kind = _i / 2 % KV_KINDS;
    const uint64_t head_size = head_sizes[kind >= KV_NVFP4][_i / 2 / KV_KINDS];
    uint64_t state = test_seed() + (uint64_t)_i;

    for (int i = 0; offers(operation) && i < 3 * 3 * 2 * 2; i++) {
        const uint64_t random = test_random(&state) >> 8, tokens = random % 40;
        struct qb_problem p =
            kv_problem(operation, tokens, heads[random >> 8 & 3], head_size, page_sizes[(random >> 16) % 5], kind);

        p.input = inputs[i % 3];
        set_kv_output(&p, outputs[i / 3 % 3]);
        p.page_layout = (enum qb_page_layout)(i / 9 % 2);
        p.amax_bound = p.scaling == QB_SCALING_DYNAMIC && i % 7 == 3 ? 0.75f : 0; /* a read has that of the write */
        p.keep_values = i % 5 == 2;
        if (i / 18 > 0) {
            p.input_stride = p.hidden + (random >> 24 & 1 ? 8 : 1) * (random >> 25 & 7);
        }
        run_as(&p, (enum kind)(random >> 40 & 1 ? NORMAL : (int)(random >> 41) % KINDS), random >> 32 & 3, false,
               &state);
    }
}
END_TEST

/* Shapes of models. Those of wide tensor scales are few tokens of many columns: NHD reads such a row in pieces, whose
 * edges are not the tensor scales'. Those of a GPU take the kernels that give each thread several units: with 132
 * multiprocessors these begin at 811,008 units of eight codes of a byte, if a token has whole 128 units, and else at
 * 540,672. */
static const struct kv_shape {
    uint64_t tokens, heads, head_size, page_size;
    uint64_t tensor_heads; /* that share a tensor scale, where there are several */
    bool gpu;
} kv_models[] = {{1024, 8, 128, 16, 1, false}, {600, 4, 64, 32, 1, false},  {2000, 2, 80, 16, 1, false},
                 {5000, 1, 64, 1, 1, false},   {5, 96, 128, 16, 48, false}, {5, 2, 6144, 16, 1, false},
                 {4097, 8, 128, 16, 1, true},  {4096, 8, 96, 16, 1, true},  {2401, 8, 128, 16, 1, true}};

/* The problem of OPERATION in SHAPE, in pages of LAYOUT, with scales of kind KIND. The kinds of both layouts have every
 * input with every format, and NVFP4 every input. */
static struct qb_problem kv_model(enum qb_operation operation, const struct kv_shape *shape, enum qb_page_layout layout,
                                  int kind)
{
    struct qb_problem p = kv_problem(operation, shape->tokens, shape->heads, shape->head_size, shape->page_size, kind);
    const int i =
        kind < KV_NVFP4 ? kind + KV_NVFP4 * (int)layout : kind - KV_NVFP4 + (KV_KINDS - KV_NVFP4) * (int)layout;

    p.input = inputs[i % 3];
    set_kv_output(&p, outputs[i / 3 % 3]);
    p.page_layout = layout;
    p.tensor_scale_cols *= shape->tensor_heads;
    return p;
}

/* As many tokens as keep all of a device busy, or columns. */
START_TEST(kv_many_tokens)
{
    const struct kv_shape *shape = &kv_models[_i / 4];
    uint64_t state = test_seed() + (uint64_t)_i;

    if (!offers(cached[_i % 2]) || (shape->gpu && strcmp(TEST_BACKEND, "cuda") != 0)) {
        return;
    }
    for (int kind = 0; kind < KV_KINDS; kind++) {
        const struct qb_problem p = kv_model(cached[_i % 2], shape, (enum qb_page_layout)(_i / 2 % 2), kind);

        run_filled(&p, NORMAL, 0, &state);
    }
}
END_TEST

/* The head size of problem I of KIND: now and then one that is not a power of two. */
static uint64_t kv_head(int i, int kind)
{
    return i % 4 != 3 ? 128 : kind < KV_NVFP4 ? 72 : 48;
}

/* Every kind of data: NaN, infinities, zeros, subnormal numbers. */
START_TEST(kv_data)
{
    uint64_t state = test_seed() + (uint64_t)_i;

    for (int i = 0; offers(QB_OPERATION_KV_WRITE) && i < 6 * KV_KINDS; i++) {
        const int kind = i % KV_KINDS;
        struct qb_problem p = kv_problem(QB_OPERATION_KV_WRITE, 5, 2, kv_head(i, kind), 4, kind);

        p.input = inputs[i / KV_KINDS % 3];
        set_kv_output(&p, outputs[i / (3 * KV_KINDS) + i % 2]);
        p.page_layout = (enum qb_page_layout)(i % 2);
        run_filled(&p, (enum kind)_i, 0, &state);
    }
}
END_TEST

/* Every code by every scale: any bits where these lie. */
START_TEST(kv_codes_and_scales)
{
    uint64_t state = test_seed() + (uint64_t)_i;

    for (int i = 0; offers(QB_OPERATION_KV_READ) && i < 6 * KV_KINDS; i++) {
        const int kind = i % KV_KINDS;
        struct qb_problem p = kv_problem(QB_OPERATION_KV_READ, 20, 2, kv_head(i, kind), 4, kind);
        struct tensors t;

        p.input = inputs[_i / 3];
        set_kv_output(&p, outputs[_i % 3]);
        p.page_layout = (enum qb_page_layout)(i % 2);
        make_tensors(&t, &p, (size_t)(i / KV_KINDS % 2));
        fill(&t, NORMAL, &state);
        for (uint64_t k = 0; k < t.info[QB_ROLE_SCALES].bytes; k++) {
            data_of(&t, QB_ROLE_SCALES)[k] = (char)(test_random(&state) >> 8);
        }
        run_all_kernels(&t);
        free_tensors(&t);
    }
}
END_TEST

/* Fail unless the values that READ has got are near those that were WRITTEN, of the same tokens: half a step of E4M3 or
 * E2M1 away, or half of the smallest step in its tile, where none saturates. */
static void read_is_near(const struct tensors *written, const struct tensors *read)
{
    const float *was = (const float *)(const void *)data_of(written, QB_ROLE_INPUT);
    const float *is = (const float *)(const void *)(read->got[QB_ROLE_VALUES] + GUARD + read->offset[QB_ROLE_VALUES]);
    const int64_t *slots = (const int64_t *)(const void *)data_of(written, QB_ROLE_SLOTS);
    const bool wide = written->problem.output == QB_FORMAT_E4M3;

    for (uint64_t i = 0; i < written->problem.tokens * written->problem.hidden; i++) {
        const float error = fabsf(is[i] - was[i]), relative = wide ? 0x1p-4f : 0x1p-2f;

        /* The data are below 2. */
        ck_assert_msg(slots[i / written->problem.hidden] < 0 ||
                          error <= relative * fabsf(was[i]) + (wide ? 0.01f : 0.2f),
                      "value %d: %g was written, %g was read", (int)i, (double)was[i], (double)is[i]);
    }
}

/* Let READ be the problem that takes back WRITTEN, of which the reference ran, and the reference's answer to it. */
static void make_reader(const struct tensors *written, struct tensors *read)
{
    struct qb_problem back = written->problem;

    if (back.operation == QB_OPERATION_KV_WRITE) {
        back.operation = QB_OPERATION_KV_READ;
    } else {
        back.operation = QB_OPERATION_DEQUANTIZE;
        back.scaling = QB_SCALING_STATIC;
    }
    make_tensors(read, &back, 0);
    for (int role = 0; role < QB_ROLE_COUNT; role++) {
        if (read->info[role].read) {
            memcpy(data_of(read, role), written->want[role] + GUARD + written->offset[role], read->info[role].bytes);
        }
    }
    run_reference(read);
}

/* What is written is read, as far as its codes tell. */
START_TEST(kv_read_back)
{
    uint64_t state = test_seed() + (uint64_t)_i;
    const int kind = _i / 2;
    struct qb_problem p = kv_problem(QB_OPERATION_KV_WRITE, 30, 2, 64, 4, kind);
    struct tensors written, read;

    p.page_layout = (enum qb_page_layout)(_i % 2);
    p.input = QB_FORMAT_F32; /* values are not rounded */
    set_kv_output(&p, QB_FORMAT_E4M3);
    if (!offers(QB_OPERATION_KV_READ)) {
        return;
    }
    make_tensors(&written, &p, 0);
    fill(&written, NORMAL, &state);
    run_reference(&written);
    make_reader(&written, &read);
    for (size_t i = 0; i < qb_kernel_count(); i++) {
        const struct qb_tensors buffers = addresses(&read, true);

        if (qb_kernel_supports(qb_kernel_at(i), device, &read.problem)) {
            upload(&read);
            check(qb_kernel_run(qb_kernel_at(i), queue, &read.problem, &buffers));
            check(qb_queue_synchronize(queue));
            compare(&read, qb_kernel_at(i));
            if (p.scaling == QB_SCALING_DYNAMIC && kind < KV_NVFP4) {
                read_is_near(&written, &read);
            }
        }
    }
    free_tensors(&read);
    free_tensors(&written);
}
END_TEST

/* Writers of codes, each by its own kernels, and what they write. */
static const struct {
    enum qb_operation operation;
    int kind; /* of the scales of a cache */
} writers[] = {{QB_OPERATION_QUANTIZE, 0}, {QB_OPERATION_SILU_MUL, 0},     {QB_OPERATION_GELU_MUL, 0},
               {QB_OPERATION_RMS_NORM, 0}, {QB_OPERATION_ADD_RMS_NORM, 0}, {QB_OPERATION_ROPE, 0},
               {QB_OPERATION_KV_WRITE, 0}, {QB_OPERATION_KV_WRITE, 2},     {QB_OPERATION_KV_WRITE, 4},
               {QB_OPERATION_KV_WRITE, 5}};

/* Run KERNEL for two inputs in turn, whose codes and scales go to the same memory, each followed by the READER of
 * these; no launch waits for the host. Then compare what was read of both. */
static void run_in_turn(const struct qb_kernel *kernel, const struct qb_kernel *reader, struct tensors written[2],
                        struct tensors read[2])
{
    const struct qb_tensors shared = addresses(&written[0], true);

    for (int i = 0; i < 2; i++) {
        upload(&written[i]);
        upload(&read[i]);
    }
    for (int run = 0; run < 40; run++) {
        struct qb_tensors to = addresses(&written[run % 2], true), from = addresses(&read[run % 2], true);

        for (int role = QB_ROLE_CODES; role <= QB_ROLE_SCALES; role++) {
            if (written[0].info[role].written) {
                to.at[role] = from.at[role] = shared.at[role];
            }
        }
        check(qb_kernel_run(kernel, queue, &written[0].problem, &to));
        check(qb_kernel_run(reader, queue, &read[0].problem, &from));
    }
    check(qb_queue_synchronize(queue));
    for (int i = 0; i < 2; i++) {
        compare(&read[i], kernel);
    }
}

/* Launches that may start before the one in front of them has ended, where the device can do that. */
START_TEST(dependent_launches_of_operations)
{
    const enum qb_operation operation = writers[_i].operation;
    const bool cache = operation == QB_OPERATION_KV_WRITE;
    uint64_t state = test_seed() + (uint64_t)_i;
    struct qb_problem p = cache ? kv_problem(operation, 300, 8, 64, 16, writers[_i].kind) : problem_of(operation);
    const enum qb_status status = qb_queue_set_dependent_launch(queue, true);
    const struct qb_kernel *reader;
    struct tensors written[2], read[2];

    ck_assert(status == QB_OK || status == QB_ERROR_UNSUPPORTED);
    if (!cache) {
        p.tokens = 300;
        p.hidden = 1024;
        p.head_size = 128;
    }
    for (int i = 0; i < 2; i++) {
        make_tensors(&written[i], &p, 0);
        fill(&written[i], NORMAL, &state);
        if (i > 0 && cache) { /* no code of the first stays */
            memcpy(data_of(&written[1], QB_ROLE_SLOTS), data_of(&written[0], QB_ROLE_SLOTS),
                   p.tokens * sizeof(int64_t));
        }
        run_reference(&written[i]);
        make_reader(&written[i], &read[i]);
    }
    check(qb_kernel_match(device, &read[0].problem, NULL, &reader));
    for (size_t i = 0; i < qb_kernel_count(); i++) {
        if (qb_kernel_supports(qb_kernel_at(i), device, &p)) {
            run_in_turn(qb_kernel_at(i), reader, written, read);
        }
    }
    for (int i = 0; i < 2; i++) {
        free_tensors(&written[i]);
        free_tensors(&read[i]);
    }
    qb_queue_set_dependent_launch(queue, false);
}
END_TEST

/* Run P, with the bases of its tensors OFFSET elements after an aligned address, with some slots beyond the cache. What
 * is right is nothing of these tokens. */
static void run_beyond(const struct qb_problem *p, size_t offset, uint64_t *state)
{
    static const int64_t beyond[] = {0, 1, 1000, INT64_MAX - 1, INT64_MAX, (int64_t)1 << 32, (int64_t)1 << 62};
    struct tensors t;
    int64_t *slots;

    make_tensors(&t, p, offset);
    fill(&t, NORMAL, state);
    slots = (int64_t *)(void *)data_of(&t, QB_ROLE_SLOTS);
    for (int i = 0; i < COUNT(beyond); i++) {
        slots[5 * i] = -1;
    }
    run_reference(&t);
    for (int i = 0; i < COUNT(beyond); i++) {
        const int64_t count = (int64_t)(p->pages * p->page_size);

        slots[5 * i] = beyond[i] > INT64_MAX - count ? beyond[i] : count + beyond[i];
    }
    for (size_t i = 0; i < qb_kernel_count(); i++) {
        const struct qb_tensors buffers = addresses(&t, true);

        if (qb_kernel_supports(qb_kernel_at(i), device, p)) {
            upload(&t);
            check(qb_kernel_run(qb_kernel_at(i), queue, p, &buffers));
            check(qb_queue_synchronize(queue));
            compare(&t, qb_kernel_at(i));
        }
    }
    free_tensors(&t);
}

/* Slots beyond the cache: nothing is written of these tokens, by kernels for whole eights and for any heads, and of few
 * units and of many. Where the host sees the slots it is an error, which check_kv_write.c has. */
START_TEST(kv_slots_out_of_range)
{
    const enum qb_operation operation = cached[_i % 2];
    const int kind = _i / 4;
    uint64_t state = test_seed() + (uint64_t)_i;

    if (!offers(operation) || strcmp(TEST_BACKEND, "cpu") == 0) {
        return;
    }
    for (int way = 0; way < 3; way++) { /* whole eights; any; many of a GPU */
        const bool nvfp4 = kind >= KV_NVFP4;
        struct qb_problem p = kv_problem(operation, 40, 2, way == 1 && !nvfp4 ? 5 : 64, 16, kind);

        p.page_layout = (enum qb_page_layout)(_i / 2 % 2);
        if (way == 2) {
            const struct kv_shape *shape = &kv_models[COUNT(kv_models) - 1 - kind % 3];

            p = kv_model(operation, shape, p.page_layout, kind);
        }
        if (way < 2 || strcmp(TEST_BACKEND, "cuda") == 0) {
            run_beyond(&p, way == 1, &state);
        }
    }
}
END_TEST

/* A cache of more than 2^32 elements, of which tokens have the last slots: the keys there are beyond 2^31. In eights
 * and one by one. When there is memory, and QUANTBENCH_TEST_LARGE is set. */
START_TEST(kv_more_than_2_to_the_31_elements)
{
    struct qb_problem p = kv_problem(cached[_i % 2], 40, 8, 128, 16, 2);
    uint64_t state = test_seed() + (uint64_t)_i;
    struct tensors t;

    if (getenv("QUANTBENCH_TEST_LARGE") == NULL || strcmp(TEST_BACKEND, "cuda") != 0) {
        return;
    }
    p.pages = ((uint64_t)1 << 17) + 1;
    p.output = QB_FORMAT_E4M3;
    p.page_layout = (enum qb_page_layout)(_i / 2 % 2);
    make_tensors(&t, &p, (size_t)(_i / 4));
    fill(&t, NORMAL, &state);
    for (uint64_t i = 0; i < p.tokens; i++) {
        ((int64_t *)(void *)data_of(&t, QB_ROLE_SLOTS))[i] = (int64_t)(p.pages * p.page_size - 1 - i);
    }
    run_all_kernels(&t);
    free_tensors(&t);
}
END_TEST

/* More threads than tokens, and parts of them. */
START_TEST(kv_threads)
{
    uint64_t state = test_seed();

    if (strcmp(TEST_BACKEND, "cpu") != 0) {
        return;
    }
    for (unsigned threads = 1; threads < 8; threads += 3) {
        for (int kind = 0; kind < KV_KINDS; kind++) {
            for (int i = 0; i < COUNT(cached); i++) {
                struct qb_problem p = kv_problem(cached[i], kind % 2 ? 301 : 3, 8, 128, 16, kind);

                check(qb_queue_set_threads(queue, threads));
                p.page_layout = (enum qb_page_layout)(kind / 2 % 2);
                run_filled(&p, NORMAL, 0, &state);
            }
        }
    }
    qb_queue_set_threads(queue, 2);
}
END_TEST

/* ---- Transposed codes ----------------------------------------------------------------------------------------------
 */

static const enum qb_operation transposing[] = {QB_OPERATION_TRANSPOSE, QB_OPERATION_DUAL};

/* What shares a scale, and the format of that. The first four are those of models. */
static const struct {
    enum qb_format scale;
    struct granularity tile;
} transposed_tiles[] = {
    {QB_FORMAT_F32, {QB_GRANULARITY_BLOCK, 0, 128, 128}}, {QB_FORMAT_F32, {QB_GRANULARITY_GROUP, 128, 0, 0}},
    {QB_FORMAT_E8M0, {QB_GRANULARITY_GROUP, 32, 0, 0}},   {QB_FORMAT_E8M0, {QB_GRANULARITY_GROUP, 128, 0, 0}},
    {QB_FORMAT_F32, {QB_GRANULARITY_GROUP, 32, 0, 0}},    {QB_FORMAT_F32, {QB_GRANULARITY_GROUP, 64, 0, 0}},
    {QB_FORMAT_F32, {QB_GRANULARITY_BLOCK, 0, 3, 5}},     {QB_FORMAT_F32, {QB_GRANULARITY_GROUP, 15, 0, 0}},
    {QB_FORMAT_E8M0, {QB_GRANULARITY_GROUP, 1, 0, 0}},    {QB_FORMAT_F32, {QB_GRANULARITY_BLOCK, 0, 500, 7}},
};

static struct qb_problem transposed_problem(enum qb_operation operation, int tile)
{
    struct qb_problem p = problem_of(operation);

    p.output = QB_FORMAT_E4M3;
    p.scale_format = transposed_tiles[tile].scale;
    set_granularity(&p, &transposed_tiles[tile].tile);
    return p;
}

/* Each granularity, format and layout; sizes that are ragged in both directions, with and without gaps, at any address.
 */
START_TEST(transposed_shapes)
{
    static const uint64_t sizes[] = {128, 129, 1, 16, 31, 33, 64, 127, 250, 256, 7, 300};
    const enum qb_operation operation = transposing[_i % 2];
    uint64_t state = test_seed() + (uint64_t)_i;

    for (int i = 0; offers(operation) && i < 3 * 3 * QB_SCALE_LAYOUT_COUNT * 2; i++) {
        const uint64_t random = test_random(&state) >> 8;
        struct qb_problem p = transposed_problem(operation, _i / 2);

        p.input = inputs[i % 3];
        p.output = outputs[i / 3 % 3];
        p.tokens = (random & 15) == 0 ? 0 : sizes[(random >> 4) % COUNT(sizes)];
        p.hidden = sizes[(random >> 12) % COUNT(sizes)];
        p.scale_layout = (enum qb_scale_layout)(i / 9 % QB_SCALE_LAYOUT_COUNT);
        p.scale_rounding = (enum qb_scale_rounding)(p.scale_format == QB_FORMAT_E8M0 ? random >> 20 & 1 : 0);
        p.amax_bound = i % 7 == 3 ? 0.75f : 0;
        if (i / 45 > 0) {
            p.input_stride = p.hidden + (random >> 24 & 1 ? 8 : 1) * (random >> 25 & 7);
            p.output_stride = (operation == QB_OPERATION_DUAL ? p.hidden : p.tokens + 1) + (random >> 29 & 15);
        }
        if (qb_problem_validate(&p) == QB_OK) {
            run_as(&p, (enum kind)(random >> 40 & 1 ? NORMAL : (int)(random >> 41) % KINDS), random >> 32 & 3, false,
                   &state);
        }
    }
}
END_TEST

/* Enough to keep all of a device busy: whole tiles, and sizes that are not. */
START_TEST(transposed_many)
{
    static const uint64_t shapes[][2] = {{1024, 1024}, {1030, 1208}, {2, 9000}, {4099, 130}, {643, 520}, {1025, 513}};
    uint64_t state = test_seed() + (uint64_t)_i;

    for (int i = 0; offers(transposing[_i % 2]) && i < COUNT(shapes); i++) {
        struct qb_problem p = transposed_problem(transposing[_i % 2], _i / 2);

        p.input = inputs[(i + _i) % COUNT(inputs)];
        p.tokens = shapes[i][0];
        p.hidden = shapes[i][1];
        run_filled(&p, NORMAL, 0, &state);
    }
}
END_TEST

/* Every kind of data: NaN, infinities, zeros, subnormal numbers. */
START_TEST(transposed_data)
{
    uint64_t state = test_seed() + (uint64_t)_i;

    for (int i = 0; i < 4 * 3 * 3; i++) {
        struct qb_problem p = transposed_problem(transposing[_i % 2], i % 4);

        p.input = inputs[i / 4 % 3];
        p.output = outputs[i / 12];
        p.tokens = 160;
        p.hidden = 192;
        if (offers(p.operation)) {
            run_filled(&p, (enum kind)(_i / 2), 0, &state);
        }
    }
}
END_TEST

/* More threads than bands of tokens, and fewer. */
START_TEST(transposed_threads)
{
    uint64_t state = test_seed();

    if (strcmp(TEST_BACKEND, "cpu") != 0) {
        return;
    }
    for (unsigned threads = 1; threads < 8; threads += 3) {
        for (int i = 0; i < 2 * COUNT(transposed_tiles); i++) {
            struct qb_problem p = transposed_problem(transposing[i % 2], i / 2);

            check(qb_queue_set_threads(queue, threads));
            p.tokens = i % 3 == 0 ? 700 : 200;
            p.hidden = 1000;
            run_filled(&p, NORMAL, 0, &state);
        }
    }
    qb_queue_set_threads(queue, 2);
}
END_TEST

int main(void)
{
    TCase *values, *shapes, *models, *caches, *launches;
    Suite *suite;
    int result;

    if (!backend_open(&result)) {
        return result;
    }
    suite = suite_create(TEST_BACKEND "_operations");
    values = patient_case("values");
    shapes = patient_case("shapes");
    models = patient_case("models");
    caches = patient_case("caches");
    launches = patient_case("launches");
    tcase_add_loop_test(shapes, combinations, 0, COUNT(operations) * COUNT(outputs));
    tcase_add_loop_test(shapes, rows, 0, COUNT(operations) * COUNT(hiddens));
    tcase_add_loop_test(shapes, rows_of_recipes, 0, COUNT(operations) * COUNT(recipes));
    tcase_add_loop_test(shapes, many_rows, 0, COUNT(operations) * 4);
    tcase_add_loop_test(models, many_long_rows, 0, 12);
    tcase_add_loop_test(models, few_long_rows, 0, 15);
    tcase_add_loop_test(shapes, usual_heads, 0, 12);
    tcase_add_loop_test(models, many_heads, 0, 18);
    tcase_add_loop_test(shapes, positions_out_of_range, 0, 18);
    tcase_add_loop_test(values, data, 0, COUNT(operations) * KINDS);
    tcase_add_loop_test(values, every_gate, 0, 12 * COUNT(activations));
    tcase_add_loop_test(values, short_groups_of_small_scales, 0, 4);
    tcase_add_loop_test(values, float_gates, 0, COUNT(activations));
    tcase_add_loop_test(values, magnitudes_of_rows, 0, 32);
    tcase_add_loop_test(values, tiny_given_scales, 0, 2 * COUNT(few_scaled));
    tcase_add_loop_test(values, every_code_dequantized, 0, COUNT(outputs) * COUNT(scale_formats));
    tcase_add_loop_test(caches, kv_shapes, 0, 2 * COUNT(head_sizes[0]) * KV_KINDS);
    tcase_add_loop_test(caches, kv_many_tokens, 0, 4 * COUNT(kv_models));
    tcase_add_loop_test(caches, kv_data, 0, KINDS);
    tcase_add_loop_test(caches, kv_codes_and_scales, 0, 9);
    tcase_add_loop_test(caches, kv_read_back, 0, 2 * KV_KINDS);
    tcase_add_loop_test(caches, dependent_launches_of_operations, 0, COUNT(writers));
    tcase_add_loop_test(caches, kv_slots_out_of_range, 0, 4 * KV_KINDS);
    tcase_add_loop_test(caches, kv_more_than_2_to_the_31_elements, 0, 8);
    tcase_add_test(caches, kv_threads);
    tcase_add_loop_test(shapes, transposed_shapes, 0, 2 * COUNT(transposed_tiles));
    tcase_add_loop_test(shapes, transposed_many, 0, 2 * COUNT(transposed_tiles));
    tcase_add_loop_test(values, transposed_data, 0, 2 * KINDS);
    tcase_add_test(launches, transposed_threads);
    tcase_add_loop_test(launches, floors, 0, COUNT(operations));
    tcase_add_loop_test(launches, any_number_of_threads_gives_the_same, 0, COUNT(operations));
    tcase_add_loop_test(launches, runs_in_a_row_do_not_disturb_each_other, 0, COUNT(operations));
    suite_add_tcase(suite, shapes);
    suite_add_tcase(suite, models);
    suite_add_tcase(suite, values);
    suite_add_tcase(suite, caches);
    suite_add_tcase(suite, launches);
    return backend_run(suite);
}
