/* SPDX-License-Identifier: Apache-2.0 */
/* check_kernels_narrow.c - every kernel of one backend against the reference, byte for byte, on problems with codes of
 * less than a byte, scales that are not binary32, zero points, or layouts of scales. Every valid problem of the kind is
 * promised: one that no kernel supports is a failure. Built once for each backend, as check_kernels.c is. */
#include <config.h>

#include "tensors.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static void run_filled(const struct qb_problem *p, enum kind kind, size_t offset, uint64_t *state)
{
    struct tensors t;

    make_tensors(&t, p, offset);
    fill(&t, kind, state);
    run_all_kernels(&t);
    free_tensors(&t);
}

/* ---- All combinations ---------------------------------------------------------------------------------------------
 */

/* True if check_kernels.c has such problems. */
static bool is_plain(const struct qb_problem *p)
{
    return qb_format_info(p->output)->bits == 8 && p->scale_format == QB_FORMAT_F32 &&
           p->scale_layout == QB_SCALE_LAYOUT_ROWS && p->zero_points == QB_ZERO_POINTS_NONE;
}

/* Every combination that is valid, each with another shape, data, stride, offset and bound. */
START_TEST(every_valid_combination)
{
    uint64_t state = test_seed() + (uint64_t)_i;
    unsigned valid = 0;
    struct qb_problem p;

    qb_problem_init(&p);
    p.output = outputs[_i];
    for (unsigned index = 0; combination(&p, index); index++) {
        uint64_t random;

        p.tokens = p.hidden = 1;
        p.input_stride = p.output_stride = p.scale_stride = 0;
        p.amax_bound = 0;
        if (qb_problem_validate(&p) != QB_OK || is_plain(&p)) {
            continue;
        }
        random = test_random(&state) >> 8;
        set_shape(&p, random);
        run_filled(&p, (enum kind)(valid++ % KINDS), random >> 24 & 3, &state);
    }
    ck_assert_uint_gt(valid, 100);
}
END_TEST

/* ---- Recipes ------------------------------------------------------------------------------------------------------
 */

/* What people use, which kernels have loops of their own for. */
static const struct recipe {
    enum qb_format output, scale_format;
    struct granularity granularity;
    enum qb_scale_rounding rounding;
    enum qb_scale_layout layout;
    enum qb_packing packing;
    enum qb_zero_points zero_points;
    enum qb_tensor_scale tensor_scale;
} recipes[] = {
#define GROUPS(size)                                                                                                   \
    {                                                                                                                  \
        QB_GRANULARITY_GROUP, size, 0, 0                                                                               \
    }
#define TENSOR                                                                                                         \
    {                                                                                                                  \
        QB_GRANULARITY_TENSOR, 0, 0, 0                                                                                 \
    }
#define TOKENS                                                                                                         \
    {                                                                                                                  \
        QB_GRANULARITY_TOKEN, 0, 0, 0                                                                                  \
    }
/* Symmetric, and with zero points. */
#define RECIPE(output, scale, tiles, rounding, layout, packing, tensor_scale)                                          \
    {                                                                                                                  \
        QB_FORMAT_##output, QB_FORMAT_##scale, tiles, QB_SCALE_ROUNDING_##rounding, QB_SCALE_LAYOUT_##layout,          \
            QB_PACKING_##packing, QB_ZERO_POINTS_NONE, QB_TENSOR_SCALE_##tensor_scale                                  \
    }
#define SHIFTED(output, scale, tiles)                                                                                  \
    {                                                                                                                  \
        QB_FORMAT_##output, QB_FORMAT_##scale, tiles, QB_SCALE_ROUNDING_UP, QB_SCALE_LAYOUT_ROWS, QB_PACKING_BYTES,    \
            QB_ZERO_POINTS_INT8, QB_TENSOR_SCALE_NONE                                                                  \
    }
    RECIPE(E4M3, E8M0, GROUPS(32), UP, ROWS, BYTES, NONE),
    RECIPE(E4M3, E8M0, GROUPS(32), UP, TILED_128X4, BYTES, NONE),
    RECIPE(E4M3, E8M0, GROUPS(32), FLOOR, TILED_8X4, BYTES, NONE),
    RECIPE(E5M2, E8M0, GROUPS(32), EVEN, ROWS, BYTES, NONE),
    RECIPE(INT8, E8M0, GROUPS(32), FLOOR, ROWS, BYTES, NONE),
    RECIPE(E2M3, E8M0, GROUPS(32), UP, ROWS, DENSE, NONE),
    RECIPE(E3M2, E8M0, GROUPS(32), UP, ROWS, BYTES, NONE),
    RECIPE(E2M1, E8M0, GROUPS(32), UP, ROWS, BYTES, NONE),
    RECIPE(E2M1, E8M0, GROUPS(32), EVEN, TILED_128X4, BYTES, NONE),
    RECIPE(E2M1, E8M0, GROUPS(32), FLOOR, PACKED, BYTES, NONE),
    RECIPE(E2M1, E4M3, GROUPS(16), UP, ROWS, BYTES, GIVEN),
    RECIPE(E2M1, E4M3, GROUPS(16), UP, TILED_128X4, BYTES, COMPUTED),
    RECIPE(E2M1, E4M3, GROUPS(16), UP, ROWS, BYTES, COMPUTED),
    RECIPE(INT4, F16, GROUPS(128), UP, ROWS, BYTES, NONE),
    RECIPE(INT4, F32, GROUPS(128), UP, COLUMNS, BYTES, NONE),
    RECIPE(E4M3, F32, GROUPS(128), UP, COLUMNS, BYTES, NONE),
    RECIPE(E4M3, E8M0, GROUPS(128), UP, PACKED, BYTES, NONE),
    RECIPE(E4M3, E8M0, GROUPS(128), UP, COLUMNS, BYTES, NONE),
    SHIFTED(UINT4, F16, GROUPS(128)),
    SHIFTED(UINT4, F32, GROUPS(32)),
    SHIFTED(INT8, F32, GROUPS(128)),
    SHIFTED(INT8, F32, TENSOR),
    SHIFTED(INT8, F32, TOKENS),
    SHIFTED(INT4, F16, TOKENS),
    SHIFTED(UINT4, F32, TENSOR),
};

static void set_recipe(struct qb_problem *p, const struct recipe *recipe)
{
    qb_problem_init(p);
    p->output = recipe->output;
    p->scale_format = recipe->scale_format;
    set_granularity(p, &recipe->granularity);
    p->scale_rounding = recipe->rounding;
    p->scale_layout = recipe->layout;
    p->packing = recipe->packing;
    p->zero_points = recipe->zero_points;
    p->tensor_scale = recipe->tensor_scale;
}

/* Short and long rows, few and many, so that each kernel's tails are seen. */
START_TEST(rows_of_recipes)
{
    static const uint64_t hiddens[] = {1, 15, 17, 33, 64, 128, 256, 1056, 2048, 4096};
    static const uint64_t tokens[] = {0, 1, 5, 8, 127, 128, 129, 130};
    uint64_t state = test_seed() + (uint64_t)_i;
    struct qb_problem p;

    set_recipe(&p, &recipes[_i]);
    for (int h = 0; h < COUNT(hiddens); h++) {
        for (int m = 0; m < COUNT(tokens); m++) {
            p.input = inputs[(h + m + _i) % 3];
            p.hidden = hiddens[h];
            p.tokens = tokens[m];
            if (p.tokens > 8 && p.hidden > 256) {
                continue;
            }
            run_filled(&p, (h + m) % 4 == 3 ? SPECIALS : NORMAL, 0, &state);
        }
    }
    p.tokens = 3;
    for (int i = 0; i < 6; i++) {
        p.input = inputs[i % 3];
        p.hidden = i < 3 ? 8192 : 8229;
        p.input_stride = p.hidden + (uint64_t)(i % 2);
        p.output_stride = (p.hidden + 3) / 4 * 4 + 4 * (uint64_t)(i % 2);
        run_filled(&p, NORMAL, (size_t)i % 4, &state);
    }
}
END_TEST

/* Rows with gaps, strides of scales, and each number of rows and of columns at which the way to share out work changes.
 */
START_TEST(gaps_and_ends_of_recipes)
{
    static const uint64_t tokens[] = {1, 7, 8, 9, 129}, hiddens[] = {16, 512, 528, 1040, 2064},
                          groups[] = {512, 256, 0};
    uint64_t state = test_seed() + (uint64_t)_i;
    struct qb_problem p;

    set_recipe(&p, &recipes[_i]);
    for (int i = 0; i < COUNT(tokens) * COUNT(hiddens) * COUNT(groups); i++) {
        struct qb_problem q = p;

        q.tokens = tokens[i % COUNT(tokens)];
        q.hidden = hiddens[i / COUNT(tokens) % COUNT(hiddens)];
        q.input = inputs[i % 3];
        q.group =
            groups[i / COUNT(tokens) / COUNT(hiddens)] != 0 ? groups[i / COUNT(tokens) / COUNT(hiddens)] : p.group;
        q.input_stride = q.hidden + 32 * (uint64_t)(i % 2);
        q.output_stride = q.hidden + 64 * (uint64_t)(i / 2 % 2);
        q.scaling = (enum qb_scaling)(i % QB_SCALING_COUNT);
        q.amax_bound = i % 5 == 0 ? 0.75f : 0;
        if (q.scale_layout == QB_SCALE_LAYOUT_COLUMNS || q.scale_layout == QB_SCALE_LAYOUT_PACKED) {
            q.scale_stride = i % 4 == 0 ? q.tokens + 5 : 0;
        }
        if (qb_problem_validate(&q) == QB_OK) {
            run_filled(&q, NORMAL, 0, &state);
        }
    }
}
END_TEST

/* One scale and zero point for each row, or for all: rows that a block of threads holds in different numbers. */
START_TEST(long_rows)
{
    static const uint64_t hiddens[] = {16, 512, 8192, 8208, 32768, 32784, 65536, 65552};
    static const enum qb_format integers[] = {QB_FORMAT_INT8, QB_FORMAT_INT4, QB_FORMAT_UINT4};
    uint64_t state = test_seed() + (uint64_t)_i;
    struct qb_problem p;

    qb_problem_init(&p);
    p.output = integers[_i];
    for (int i = 0; i < COUNT(hiddens) * 3 * 2 * 2; i++) {
        p.hidden = hiddens[i % COUNT(hiddens)];
        p.input = inputs[i / COUNT(hiddens) % 3];
        p.granularity = i / COUNT(hiddens) / 3 % 2 ? QB_GRANULARITY_TENSOR : QB_GRANULARITY_TOKEN;
        p.tokens = 1 + (uint64_t)i % 2;
        p.zero_points = i / COUNT(hiddens) / 6 ? QB_ZERO_POINTS_NONE : QB_ZERO_POINTS_INT8;
        if (qb_problem_validate(&p) == QB_OK && !is_plain(&p)) {
            run_filled(&p, NORMAL, 0, &state);
        }
    }
}
END_TEST

/* Enough rows that a block of threads for each may have fewer threads, and enough by one scale for large blocks. */
START_TEST(many_rows)
{
    static const enum qb_format integers[] = {QB_FORMAT_INT8, QB_FORMAT_INT4, QB_FORMAT_UINT4};
    uint64_t state = test_seed() + (uint64_t)_i;
    struct qb_problem p;

    qb_problem_init(&p);
    p.output = integers[_i];
    p.zero_points = QB_ZERO_POINTS_INT8;
    for (int i = 0; i < 4 * COUNT(inputs); i++) {
        const bool by_token = i / 2 % 2 == 0;

        p.input = inputs[i / 4];
        p.granularity = by_token ? QB_GRANULARITY_TOKEN : QB_GRANULARITY_TENSOR;
        p.scaling = by_token && i % 2 == 0 ? QB_SCALING_DYNAMIC : QB_SCALING_STATIC;
        p.tokens = 1100;
        p.hidden = i % 2 == 0 ? 4112 : 8192;
        run_filled(&p, i % 3 == 2 ? SPECIALS : NORMAL, 0, &state);
    }
    p.tokens = 2200;
    run_filled(&p, NORMAL, 0, &state);
}
END_TEST

/* An empty launch has no tensors, and no workspace that anybody has reserved. */
START_TEST(floors_of_recipes)
{
    struct qb_problem p;

    set_recipe(&p, &recipes[_i]);
    p.tokens = 9;
    p.hidden = 1024;
    for (size_t i = 0; i < qb_kernel_count(); i++) {
        struct qb_queue *fresh = NULL;

        if (qb_kernel_supports(qb_kernel_at(i), device, &p)) {
            check(qb_queue_create(device, &fresh));
            check(qb_queue_reserve(fresh, qb_kernel_workspace(qb_kernel_at(i), device, &p)));
            check(qb_kernel_floor(qb_kernel_at(i), fresh, &p));
            check(qb_queue_synchronize(fresh));
            qb_queue_destroy(fresh);
        }
    }
}
END_TEST

/* Each kind of data, many groups of it: ties, zeros, subnormal numbers, NaN, infinities among others. */
START_TEST(data_of_recipes)
{
    uint64_t state = test_seed() + (uint64_t)_i;
    struct qb_problem p;

    set_recipe(&p, &recipes[_i]);
    p.tokens = 6;
    p.hidden = 2048;
    for (int kind = 0; kind < KINDS; kind++) {
        for (int i = 0; i < 3 * QB_SCALING_COUNT; i++) {
            p.input = inputs[i % 3];
            p.scaling = (enum qb_scaling)(i / 3);
            if (qb_problem_validate(&p) == QB_OK) {
                run_filled(&p, (enum kind)kind, 0, &state);
            }
        }
    }
}
END_TEST

/* All 65,536 inputs of a 16-bit format with scales of a wide range, and again with the scales that they make. */
START_TEST(all_16_bit_inputs_of_recipes)
{
    uint64_t state = test_seed() + (uint64_t)_i;
    struct qb_problem p;
    struct tensors t;

    set_recipe(&p, &recipes[_i / 2]);
    p.input = inputs[_i % 2];
    p.tokens = 16;
    p.hidden = 4096;
    for (int turn = 0; turn < 3; turn++) {
        p.scaling = turn == 0 ? QB_SCALING_STATIC : QB_SCALING_DYNAMIC;
        if (qb_problem_validate(&p) != QB_OK) {
            continue;
        }
        make_tensors(&t, &p, 0);
        fill(&t, NORMAL, &state);
        for (uint32_t i = 0; i < 65536; i++) {
            /* In order, and mixed: 40503 is odd, so this visits each input once. */
            ((uint16_t *)(void *)data_of(&t, QB_ROLE_INPUT))[i] = (uint16_t)(turn == 1 ? i : i * 40503);
        }
        run_all_kernels(&t);
        free_tensors(&t);
    }
}
END_TEST

/* A group of each of many magnitudes: scales at every exponent, with amaxes at and around each format's largest
 * mantissa. */
START_TEST(amax_of_every_exponent)
{
    uint64_t state = test_seed() + (uint64_t)_i;
    struct qb_problem p;
    struct tensors t;

    set_recipe(&p, &recipes[_i]);
    p.input = QB_FORMAT_F32;
    p.tokens = 280;
    p.hidden = 256;
    make_tensors(&t, &p, 0);
    fill(&t, NORMAL, &state);
    for (uint64_t row = 0; row < p.tokens; row++) {
        float *x = (float *)(void *)data_of(&t, QB_ROLE_INPUT) + row * p.hidden;

        for (uint64_t col = 0; col < p.hidden; col++) {
            const uint64_t random = test_random(&state) >> 16;
            const float most = qb_format_info(p.output)->largest;
            float value = col % 16 != 0 ? most * (float)(random % 65536) / 65536 : most;

            value = random >> 20 & 1 ? nextafterf(value, random >> 21 & 1 ? 0 : INFINITY) : value;
            x[col] = ldexpf(random >> 22 & 1 ? -value : value, (int)row - 150);
        }
    }
    run_all_kernels(&t);
    free_tensors(&t);
}
END_TEST

/* NVFP4 under a tensor scale that is computed, of elements in INPUT. */
static struct qb_problem computed_nvfp4(enum qb_format input)
{
    struct qb_problem p;

    qb_problem_init(&p);
    p.input = input;
    p.output = QB_FORMAT_E2M1;
    p.scale_format = QB_FORMAT_E4M3;
    p.granularity = QB_GRANULARITY_GROUP;
    p.group = 16;
    p.tensor_scale = QB_TENSOR_SCALE_COMPUTED;
    return p;
}

/* Elements where codes of E2M1 change, and next to these, for each significand of a scale in E4M3 under each tensor
 * scale that an amax of 11 bits makes. Products are ties in about a third of the tensors. */
START_TEST(ties_under_tensor_scales)
{
    static const float changes[] = {0.25f, 0.75f, 1.25f, 1.75f, 2.5f, 3.5f, 5.0f};
    uint64_t state = test_seed() + (uint64_t)_i;
    struct qb_problem p = computed_nvfp4(inputs[_i]);

    p.tokens = 1;
    p.hidden = 512;
    for (int significand = 1024; significand < 2048; significand += p.input == QB_FORMAT_BF16 ? 8 : 1) {
        const float amax = ldexpf((float)significand, -8), g = 1 / (2688 / amax);
        struct tensors t;

        make_tensors(&t, &p, 0);
        fill(&t, NORMAL, &state);
        for (unsigned i = 0; i < p.hidden; i++) {
            const float scale = ldexpf((float)(8 + i / 32 % 8), (int)(i / 256) * 3) * g;
            const float x = i % 16 == 0 ? 6 * scale : changes[i % 16 % 7] * scale;
            const uint32_t code = qb_format_encode(p.input, i == 0 ? amax : x);
            /* Of the 32 elements by a scale those of the second group are larger and smaller by a step. */
            const uint32_t nearby = i % 32 < 16 || i % 16 == 0 ? code : i % 16 < 8 ? code + 1 : code - 1;

            if (p.input == QB_FORMAT_F32) {
                ((uint32_t *)(void *)data_of(&t, QB_ROLE_INPUT))[i] = nearby;
            } else {
                ((uint16_t *)(void *)data_of(&t, QB_ROLE_INPUT))[i] = (uint16_t)(nearby | (i % 3 == 0 ? 0x8000u : 0));
            }
        }
        run_all_kernels(&t);
        free_tensors(&t);
    }
}
END_TEST

/* All scales of one byte that can be given, with inputs of all exponents. */
START_TEST(every_given_scale)
{
    uint64_t state = test_seed();
    struct qb_problem p;
    struct tensors t;

    set_recipe(&p, &recipes[_i / 3]);
    if (qb_format_info(p.scale_format)->bits != 8 || p.tensor_scale == QB_TENSOR_SCALE_COMPUTED) {
        return;
    }
    p.input = inputs[_i % 3];
    p.scaling = QB_SCALING_STATIC;
    p.tokens = 8;
    p.hidden = 64 * p.group;
    make_tensors(&t, &p, 0);
    fill(&t, BITS, &state);
    for (uint64_t tile = 0; tile < 512; tile++) {
        const uint64_t most = p.scale_format == QB_FORMAT_E8M0 ? 255 : 126;
        uint64_t offset;

        check(qb_problem_scale_offset(&p, tile / 64, tile % 64, &offset));
        data_of(&t, QB_ROLE_SCALES)[offset] = (char)(p.scale_format == QB_FORMAT_E8M0 ? tile % most : 1 + tile % most);
    }
    run_all_kernels(&t);
    free_tensors(&t);
}
END_TEST

/* Codes of floats FIRST to FIRST + COUNT - 1 in the order of their bits, by a scale of 1. */
static void try_floats(struct tensors *t, const struct qb_kernel *kernel, uint64_t first, uint64_t count)
{
    const enum qb_format output = t->problem.output;
    const unsigned bits = qb_format_info(output)->bits;
    const struct qb_tensors buffers = addresses(t, true);
    uint32_t *const input = (uint32_t *)(void *)data_of(t, QB_ROLE_INPUT);
    const uint8_t *const codes = (const uint8_t *)t->got[QB_ROLE_CODES] + GUARD;
    uint64_t wrong = 0;

    for (uint64_t i = 0; i < count; i++) {
        input[i] = (uint32_t)(first + i);
    }
    upload(t);
    check(qb_kernel_run(kernel, queue, &t->problem, &buffers));
    check(qb_queue_synchronize(queue));
    check(qb_memory_read(device, t->got[QB_ROLE_CODES], t->device[QB_ROLE_CODES], size_of(t, QB_ROLE_CODES)));
#pragma omp parallel for reduction(+ : wrong)
    for (uint64_t i = 0; i < count; i++) {
        const unsigned got = bits == 4 ? codes[i / 2] >> (i % 2 * 4) & 0xF : codes[i];
        float value;

        memcpy(&value, &input[i], sizeof value);
        wrong += got != qb_format_encode(output, value);
    }
    ck_assert_msg(wrong == 0, "%s: %" PRIu64 " of the floats from 0x%08" PRIX64 " on have a wrong code in %s",
                  qb_kernel_name(kernel), wrong, first, qb_format_info(output)->name);
}

/* All 2^32 floats, or one in 61 of the blocks of them, through each encoder that powers of two lead to. */
START_TEST(every_float)
{
    const enum qb_format every[] = {QB_FORMAT_E2M1, QB_FORMAT_E2M3, QB_FORMAT_E3M2, QB_FORMAT_E4M3, QB_FORMAT_E5M2};
    const uint64_t count = 1 << 20, step = getenv("QUANTBENCH_TEST_EXHAUSTIVE") != NULL ? 1 : 61 * 4;
    struct qb_problem p;
    struct tensors t;

    qb_problem_init(&p);
    p.input = QB_FORMAT_F32;
    p.output = every[_i];
    p.scale_format = QB_FORMAT_E8M0;
    p.granularity = QB_GRANULARITY_GROUP;
    p.group = 32;
    p.scaling = QB_SCALING_STATIC;
    p.tokens = count / 1024;
    p.hidden = 1024;
    make_tensors(&t, &p, 0);
    memset(data_of(&t, QB_ROLE_SCALES), 127, t.info[QB_ROLE_SCALES].bytes);
    for (size_t i = 0; i < qb_kernel_count(); i++) {
        if (qb_kernel_supports(qb_kernel_at(i), device, &p)) {
            for (uint64_t first = 0; first < (uint64_t)1 << 32; first += count * step) {
                try_floats(&t, qb_kernel_at(i), first, count);
            }
        }
    }
    free_tensors(&t);
}
END_TEST

/* ---- Threads and repeats ------------------------------------------------------------------------------------------
 */

START_TEST(any_number_of_threads_gives_the_same)
{
    uint64_t state = test_seed() + (uint64_t)_i;

    for (unsigned threads = 1; threads <= 5; threads += 2) {
        enum qb_status status = qb_queue_set_threads(queue, threads);
        struct qb_problem p;

        if (status == QB_ERROR_UNSUPPORTED) {
            return;
        }
        check(status);
        set_recipe(&p, &recipes[_i]);
        p.input = inputs[threads / 2 % 3];
        p.tokens = threads == 5 ? 1 : 67;
        p.hidden = threads == 5 ? 300001 : 4111;
        run_filled(&p, NORMAL, 0, &state);
    }
    check(qb_queue_set_threads(queue, 2));
}
END_TEST

/* Every kernel in a captured graph, replayed with data that changes: no state may be left from one run to the next. */
START_TEST(graph_replays_of_recipes)
{
    uint64_t state = test_seed() + (uint64_t)_i;
    struct qb_problem p;

    set_recipe(&p, &recipes[_i]);
    p.tokens = 96;
    p.hidden = 1024;
    for (size_t i = 0; i < qb_kernel_count(); i++) {
        const struct qb_kernel *kernel = qb_kernel_at(i);
        struct qb_tensors buffers;
        struct qb_graph *graph;
        struct tensors t;

        if (!qb_kernel_supports(kernel, device, &p)) {
            continue;
        }
        make_tensors(&t, &p, 0);
        buffers = addresses(&t, true);
        check(qb_queue_reserve(queue, qb_kernel_workspace(kernel, device, &p)));
        const enum qb_status status = qb_graph_begin(queue);
        if (status == QB_ERROR_UNSUPPORTED) {
            free_tensors(&t);
            return;
        }
        check(status);
        check(qb_kernel_run(kernel, queue, &p, &buffers));
        check(qb_graph_end(queue, &graph));
        for (int replay = 0; replay < 6; replay++) {
            fill(&t, (enum kind)(replay % KINDS), &state);
            run_reference(&t);
            upload(&t);
            for (int again = 0; again < 20; again++) {
                check(qb_graph_launch(graph, queue));
            }
            check(qb_queue_synchronize(queue));
            compare(&t, kernel);
        }
        qb_graph_destroy(graph);
        free_tensors(&t);
    }
}
END_TEST

/* Dependent launches, back to back into the same tensors and into others: each must wait for the one before it. */
START_TEST(dependent_launches_of_recipes)
{
    enum { SETS = 2 };
    uint64_t state = test_seed() + (uint64_t)_i;
    struct tensors t[SETS];
    struct qb_problem p;
    const enum qb_status status = qb_queue_set_dependent_launch(queue, true);

    if (status == QB_ERROR_UNSUPPORTED) {
        return;
    }
    check(status);
    set_recipe(&p, &recipes[_i]);
    p.tokens = 96;
    p.hidden = 1024;
    for (int i = 0; i < SETS; i++) {
        make_tensors(&t[i], &p, 0);
        fill(&t[i], NORMAL, &state);
        run_reference(&t[i]);
    }
    for (size_t k = 0; k < qb_kernel_count(); k++) {
        const struct qb_kernel *kernel = qb_kernel_at(k);

        if (qb_kernel_supports(kernel, device, &p)) {
            for (int i = 0; i < SETS; i++) {
                upload(&t[i]);
            }
            for (int again = 0; again < 40; again++) {
                const struct qb_tensors buffers = addresses(&t[again / 3 % SETS], true);
                check(qb_kernel_run(kernel, queue, &p, &buffers));
            }
            check(qb_queue_synchronize(queue));
            for (int i = 0; i < SETS; i++) {
                compare(&t[i], kernel);
            }
        }
    }
    for (int i = 0; i < SETS; i++) {
        free_tensors(&t[i]);
    }
    check(qb_queue_set_dependent_launch(queue, false));
}
END_TEST

/* More input than a kernel can keep on the chip, and sizes that its threads share unevenly. */
START_TEST(more_than_a_chip_holds)
{
    static const uint64_t tokens[] = {1900, 2049, 3001};
    uint64_t state = test_seed() + (uint64_t)_i;
    struct qb_problem p = computed_nvfp4(inputs[_i]);

    if (strcmp(TEST_BACKEND, "cuda") != 0) {
        return;
    }
    p.tokens = tokens[_i];
    p.hidden = 8192;
    run_filled(&p, NORMAL, 0, &state);
}
END_TEST

/* ---- Beyond 31 bits, if there is memory and QUANTBENCH_TEST_LARGE is set --------------------------------------------
 */

/* The tensors of PROBLEM on the device, with room at their ends. */
static struct qb_tensors large_tensors(const struct qb_problem *problem, struct qb_tensor_info info[QB_ROLE_COUNT])
{
    struct qb_tensors tensors = {.size = sizeof tensors};

    for (int role = 0; role < QB_ROLE_COUNT; role++) {
        info[role].size = sizeof info[role];
        check(qb_problem_tensor(problem, (enum qb_role)role, &info[role]));
        if (info[role].present) {
            check(qb_memory_alloc(device, info[role].bytes, &tensors.at[role]));
        }
    }
    return tensors;
}

/* Write what WANT has of the tensor of ROLE to AT, or compare it with what is there. */
static void put_or_compare(const struct tensors *want, const struct qb_kernel *kernel, int role, size_t from, void *at,
                           size_t bytes)
{
    if (kernel == NULL) {
        check(qb_memory_write(device, at, data_of(want, role) + from, bytes));
        return;
    }
    check(qb_memory_read(device, want->got[role], at, bytes));
    ck_assert_msg(memcmp(want->got[role], data_of(want, role) + from, bytes) == 0, "%s: %s, the %s",
                  qb_kernel_name(kernel), problem_text(want), qb_role_name((enum qb_role)role));
}

/* Rows that are repeated until there are more than 2^31 elements, without gaps: what they become is repeated too. */
START_TEST(more_than_2_to_the_31_elements)
{
    enum { ROWS = 512, TIMES = 513 };
    struct qb_tensor_info info[QB_ROLE_COUNT];
    uint64_t state = test_seed() + (uint64_t)_i;
    struct qb_problem p, all;
    struct qb_tensors large;
    struct tensors t;

    set_recipe(&p, &recipes[_i]);
    if (getenv("QUANTBENCH_TEST_LARGE") == NULL || p.scale_layout == QB_SCALE_LAYOUT_COLUMNS ||
        p.scale_layout == QB_SCALE_LAYOUT_PACKED) {
        return; /* these have all rows of a column together */
    }
    p.tokens = ROWS;
    p.hidden = 8192;
    make_tensors(&t, &p, 0);
    fill(&t, NORMAL, &state);
    run_reference(&t);
    all = p;
    all.tokens = ROWS * TIMES;
    large = large_tensors(&all, info);
    for (size_t i = 0; i <= qb_kernel_count(); i++) {
        /* First all is written. */
        const struct qb_kernel *kernel = i > 0 ? qb_kernel_at(i - 1) : NULL;

        if (kernel != NULL && !qb_kernel_supports(kernel, device, &all)) {
            continue;
        }
        for (int role = 0; role < QB_ROLE_COUNT; role++) {
            if (info[role].written) {
                check(qb_memory_fill(device, large.at[role], POISON, info[role].bytes));
            }
        }
        if (kernel != NULL) {
            check(qb_kernel_run(kernel, queue, &all, &large));
            check(qb_queue_synchronize(queue));
        }
        for (int role = 0; role < QB_ROLE_COUNT; role++) {
            const size_t bytes = info[role].present ? t.info[role].bytes : 1;

            ck_assert(!info[role].present || info[role].bytes == bytes || info[role].bytes == TIMES * bytes);
            for (uint64_t at = 0; at < info[role].bytes && info[role].written == (kernel != NULL); at += bytes) {
                put_or_compare(&t, kernel, role, 0, (char *)large.at[role] + at, bytes);
            }
        }
    }
    for (int role = 0; role < QB_ROLE_COUNT; role++) {
        qb_memory_free(device, large.at[role]);
    }
    free_tensors(&t);
}
END_TEST

/* Three rows that are 2^30 elements apart. */
START_TEST(rows_2_to_the_30_elements_apart)
{
    struct qb_tensor_info info[QB_ROLE_COUNT];
    uint64_t state = test_seed() + (uint64_t)_i;
    struct qb_problem p, far;
    struct qb_tensors large;
    struct tensors t;

    if (getenv("QUANTBENCH_TEST_LARGE") == NULL) {
        return;
    }
    set_recipe(&p, &recipes[_i]);
    p.tokens = 3;
    p.hidden = 2048;
    make_tensors(&t, &p, 0);
    fill(&t, NORMAL, &state);
    run_reference(&t);
    far = p;
    far.input_stride = far.output_stride = (uint64_t)1 << 30;
    large = large_tensors(&far, info);
    for (size_t i = 0; i <= qb_kernel_count(); i++) {
        const struct qb_kernel *kernel = i > 0 ? qb_kernel_at(i - 1) : NULL;

        if (kernel != NULL && !qb_kernel_supports(kernel, device, &far)) {
            continue;
        }
        for (int pass = 0; pass < 2; pass++) {
            if (pass == 1 && kernel != NULL) {
                check(qb_kernel_run(kernel, queue, &far, &large));
                check(qb_queue_synchronize(queue));
            }
            for (int role = 0; role < QB_ROLE_COUNT; role++) {
                const bool strided = role == QB_ROLE_INPUT || role == QB_ROLE_CODES;
                const size_t rows = strided ? p.tokens : 1, bytes = info[role].present ? t.info[role].bytes / rows : 0;
                const uint64_t step = role == QB_ROLE_INPUT ? far.input_stride * qb_format_info(p.input)->bits / 8
                                                            : qb_codes_bytes(p.output, p.packing, far.output_stride);

                for (size_t row = 0; row < rows && bytes > 0 && info[role].written == (kernel != NULL); row++) {
                    char *const at = (char *)large.at[role] + row * step;

                    if (pass == 0 && kernel != NULL) {
                        check(qb_memory_fill(device, at, POISON, bytes));
                    } else {
                        put_or_compare(&t, kernel, role, row * bytes, at, bytes);
                    }
                }
            }
        }
    }
    for (int role = 0; role < QB_ROLE_COUNT; role++) {
        qb_memory_free(device, large.at[role]);
    }
    free_tensors(&t);
}
END_TEST

int main(void)
{
    TCase *values, *rows, *repeats, *large;
    Suite *suite;
    int result;

    if (!backend_open(&result)) {
        return result;
    }
    suite = suite_create(TEST_BACKEND "_narrow");
    values = patient_case("values");
    rows = patient_case("shapes");
    repeats = patient_case("repeats");
    large = patient_case("large");
    tcase_add_loop_test(rows, every_valid_combination, 0, COUNT(outputs));
    tcase_add_loop_test(rows, rows_of_recipes, 0, COUNT(recipes));
    tcase_add_loop_test(rows, gaps_and_ends_of_recipes, 0, COUNT(recipes));
    tcase_add_loop_test(rows, long_rows, 0, 3);
    tcase_add_loop_test(rows, many_rows, 0, 3);
    tcase_add_loop_test(rows, floors_of_recipes, 0, COUNT(recipes));
    tcase_add_loop_test(values, data_of_recipes, 0, COUNT(recipes));
    tcase_add_loop_test(values, all_16_bit_inputs_of_recipes, 0, 2 * COUNT(recipes));
    tcase_add_loop_test(values, amax_of_every_exponent, 0, COUNT(recipes));
    tcase_add_loop_test(values, ties_under_tensor_scales, 0, COUNT(inputs));
    tcase_add_loop_test(values, every_given_scale, 0, 3 * COUNT(recipes));
    tcase_add_loop_test(values, every_float, 0, 5);
    tcase_add_loop_test(rows, more_than_a_chip_holds, 0, COUNT(inputs));
    tcase_add_loop_test(repeats, any_number_of_threads_gives_the_same, 0, COUNT(recipes));
    tcase_add_loop_test(repeats, graph_replays_of_recipes, 0, COUNT(recipes));
    tcase_add_loop_test(repeats, dependent_launches_of_recipes, 0, COUNT(recipes));
    suite_add_tcase(suite, rows);
    suite_add_tcase(suite, values);
    tcase_add_loop_test(large, more_than_2_to_the_31_elements, 0, COUNT(recipes));
    tcase_add_loop_test(large, rows_2_to_the_30_elements_apart, 0, COUNT(recipes));
    suite_add_tcase(suite, repeats);
    suite_add_tcase(suite, large);
    return backend_run(suite);
}
