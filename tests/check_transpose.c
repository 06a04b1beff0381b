/* SPDX-License-Identifier: Apache-2.0 */
/* check_transpose.c - codes of the transposed input, alone and beside those of the rows: members, tensors, places, and
 * what the reference and each kernel of the CPU write there, computed once more by loops of this file. */
#include <config.h>

#include "quantbench.h"
#include "run.h"
#include "tensor_info.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define POISON       0xA5
#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

/* Half to E4M3, in groups of 4. */
static struct qb_problem problem_of(enum qb_operation operation)
{
    struct qb_problem p;

    qb_problem_init(&p);
    p.operation = operation;
    p.output = QB_FORMAT_E4M3;
    p.granularity = QB_GRANULARITY_GROUP;
    p.group = 4;
    p.tokens = 10;
    p.hidden = 6;
    return p;
}

static const enum qb_operation both[] = {QB_OPERATION_TRANSPOSE, QB_OPERATION_DUAL};

/* ---- Members --------------------------------------------------------------------------------------------------- */

static const struct {
    const char *word;
    struct qb_problem change; /* members that are not 0 replace those of a valid problem */
} invalid[] = {
    {"requires dynamic scaling", {.scaling = QB_SCALING_STATIC}},
    {"requires dynamic scaling", {.scaling = QB_SCALING_AMAX}},
    {"granularity group or block", {.granularity = QB_GRANULARITY_TOKEN}},
    {"granularity group or block", {.granularity = QB_GRANULARITY_CHANNEL}},
    {"codes of 8 bits", {.output = QB_FORMAT_E2M1}},
    {"without zero points", {.output = QB_FORMAT_INT8, .zero_points = QB_ZERO_POINTS_INT8}},
    {"float or e8m0", {.scale_format = QB_FORMAT_E4M3}},
    {"require groups", {.scale_format = QB_FORMAT_E8M0, .granularity = QB_GRANULARITY_BLOCK, .block_rows = 2}},
    {"input stride 5", {.input_stride = 5}},
    {"output stride 5", {.output_stride = 5}},
    {"scale stride", {.scale_layout = QB_SCALE_LAYOUT_COLUMNS, .scale_stride = 1}},
    {"scale layout 9", {.scale_layout = (enum qb_scale_layout)9}},
    {"input format 4", {.input = QB_FORMAT_E4M3}},
    {"output format 99", {.output = (enum qb_format)99}},
    {"block of 2 x 0", {.granularity = QB_GRANULARITY_BLOCK, .block_rows = 2}},
    {"bytes", {.tokens = UINT64_MAX / 16}},
};

START_TEST(members_out_of_range_are_named)
{
    struct qb_problem p = problem_of(both[_i % 2]);
    const struct qb_problem *change = &invalid[_i / 2].change;

#define CHANGE(member) p.member = change->member != 0 ? change->member : p.member
    CHANGE(input);
    CHANGE(output);
    CHANGE(scale_format);
    CHANGE(scale_layout);
    CHANGE(scale_stride);
    CHANGE(granularity);
    CHANGE(scaling);
    CHANGE(zero_points);
    CHANGE(input_stride);
    CHANGE(output_stride);
    CHANGE(block_rows);
    CHANGE(tokens);
    p.block_cols = strcmp(invalid[_i / 2].word, "require groups") == 0;
    ck_assert_int_eq(qb_problem_validate(&p), QB_ERROR_INVALID);
    ck_assert_msg(strstr(qb_error_detail(), invalid[_i / 2].word) != NULL, "'%s' does not hold '%s'", qb_error_detail(),
                  invalid[_i / 2].word);
}
END_TEST

/* Rows of the transposed codes are as long as there are tokens. */
START_TEST(strides)
{
    struct qb_problem p = problem_of(QB_OPERATION_TRANSPOSE);

    p.output_stride = 9;
    ck_assert_int_eq(qb_problem_validate(&p), QB_ERROR_INVALID);
    p.output_stride = 10;
    ck_assert_msg(qb_problem_validate(&p) == QB_OK, "%s", qb_error_detail());
    p.operation = QB_OPERATION_DUAL;
    p.output_stride = 6;
    ck_assert_msg(qb_problem_validate(&p) == QB_OK, "%s", qb_error_detail());
}
END_TEST

/* ---- Tensors --------------------------------------------------------------------------------------------------- */

START_TEST(tensors_of_both)
{
    struct qb_problem p = problem_of(QB_OPERATION_TRANSPOSE);
    uint64_t read, written;

    p.input_stride = 7;
    tensor_is(&p, QB_ROLE_INPUT, false, 16, 10, 6, 7, 120);
    tensor_is(&p, QB_ROLE_CODES, true, 8, 6, 10, 10, 60);
    tensor_is(&p, QB_ROLE_SCALES, true, 32, 6, 3, 3, 72);
    is_absent(&p, QB_ROLE_TRANSPOSED);
    p.operation = QB_OPERATION_DUAL;
    p.output_stride = 8;
    tensor_is(&p, QB_ROLE_INPUT, false, 16, 10, 6, 7, 120);
    tensor_is(&p, QB_ROLE_CODES, true, 8, 10, 6, 8, 60);
    tensor_is(&p, QB_ROLE_SCALES, true, 32, 10, 2, 2, 80);
    tensor_is(&p, QB_ROLE_TRANSPOSED, true, 8, 6, 10, 10, 60);
    tensor_is(&p, QB_ROLE_TRANSPOSED_SCALES, true, 32, 6, 3, 3, 72);
    is_absent(&p, QB_ROLE_VALUES);
    qb_problem_traffic(&p, &read, &written);
    ck_assert_uint_eq(read, 120);
    ck_assert_uint_eq(written, 60 + 80 + 60 + 72);
    p.granularity = QB_GRANULARITY_BLOCK;
    p.block_rows = 4;
    p.block_cols = 5;
    tensor_is(&p, QB_ROLE_SCALES, true, 32, 3, 2, 2, 24);
    tensor_is(&p, QB_ROLE_TRANSPOSED_SCALES, true, 32, 2, 3, 3, 24);
    ck_assert_str_eq(qb_role_name(QB_ROLE_TRANSPOSED), "transposed codes");
    ck_assert_str_eq(qb_role_name(QB_ROLE_TRANSPOSED_SCALES), "transposed scales");
}
END_TEST

/* Places are those of the tensor of hidden rows, and so is the quantization. */
START_TEST(places)
{
    struct qb_problem p = problem_of(QB_OPERATION_TRANSPOSE), q = {.size = sizeof q};
    uint64_t offset, rows, cols;

    p.output_stride = 12;
    ck_assert_int_eq(qb_problem_code_offset(&p, 5, 9, &offset), QB_OK);
    ck_assert_uint_eq(offset, 69);
    ck_assert_int_eq(qb_problem_code_offset(&p, 6, 0, &offset), QB_ERROR_INVALID);
    ck_assert_int_eq(qb_problem_code_offset(&p, 0, 10, &offset), QB_ERROR_INVALID);
    ck_assert_int_eq(qb_problem_scale_offset(&p, 5, 2, &offset), QB_OK);
    ck_assert_uint_eq(offset, 4 * 17);
    ck_assert_int_eq(qb_problem_scale_offset(&p, 5, 3, &offset), QB_ERROR_INVALID);
    p.granularity = QB_GRANULARITY_BLOCK;
    p.block_rows = 4;
    p.block_cols = 5;
    qb_problem_tile(&p, &rows, &cols);
    ck_assert(rows == 5 && cols == 4);
    qb_problem_scale_shape(&p, &rows, &cols);
    ck_assert(rows == 2 && cols == 3);
    ck_assert_int_eq(qb_problem_quantization(&p, &q), QB_OK);
    ck_assert(q.operation == QB_OPERATION_QUANTIZE && q.tokens == 6 && q.hidden == 10 && q.block_rows == 5 &&
              q.block_cols == 4);
    p.operation = QB_OPERATION_DUAL;
    ck_assert_int_eq(qb_problem_quantization(&p, &q), QB_OK);
    ck_assert(q.operation == QB_OPERATION_QUANTIZE && q.tokens == 10 && q.hidden == 6 && q.block_rows == 4);
    ck_assert_int_eq(qb_reference_values(&p, &(struct qb_tensors){.size = sizeof(struct qb_tensors)}),
                     QB_ERROR_INVALID);
}
END_TEST

/* ---- Results --------------------------------------------------------------------------------------------------- */

enum { INPUT_SEED = 77 };

/* The tensors of a run, and what is right. */
struct memory {
    char *at[QB_ROLE_COUNT], *want[QB_ROLE_COUNT];
    uint64_t bytes[QB_ROLE_COUNT];
};

static void make(const struct qb_problem *p, struct memory *m)
{
    uint64_t state = test_seed() + INPUT_SEED;

    for (int role = 0; role < QB_ROLE_COUNT; role++) {
        struct qb_tensor_info info = {.size = sizeof info};

        ck_assert_int_eq(qb_problem_tensor(p, (enum qb_role)role, &info), QB_OK);
        m->bytes[role] = info.bytes;
        m->at[role] = malloc(info.bytes + 1);
        m->want[role] = malloc(info.bytes + 1);
        ck_assert(m->at[role] != NULL && m->want[role] != NULL);
        memset(m->at[role], POISON, info.bytes + 1);
        memset(m->want[role], POISON, info.bytes + 1);
        for (uint64_t i = 0; role == QB_ROLE_INPUT && i < info.bytes * 8 / info.bits; i++) {
            const int64_t random = (int64_t)(test_random(&state) % 2000) - 1000;
            const uint32_t bits = qb_format_encode(p->input, random % 50 == 0 ? NAN : (float)random / 300);

            memcpy(m->at[role] + i * info.bits / 8, &bits, info.bits / 8);
        }
    }
}

static void release(struct memory *m)
{
    for (int role = 0; role < QB_ROLE_COUNT; role++) {
        free(m->at[role]);
        free(m->want[role]);
    }
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static float element(const struct qb_problem *p, const struct memory *m, uint64_t token, uint64_t col)
{
    const uint64_t i = token * (p->input_stride != 0 ? p->input_stride : p->hidden) + col;
    uint32_t bits = 0;

    memcpy(&bits, m->at[QB_ROLE_INPUT] + i * qb_format_info(p->input)->bits / 8, qb_format_info(p->input)->bits / 8);
    return qb_format_decode(p->input, bits);
}

/* The scale of tokens FIRST[0] to END[0] - 1 of columns FIRST[1] to END[1] - 1. */
static float scale_of(const struct qb_problem *p, const struct memory *m, const uint64_t first[2],
                      const uint64_t end[2])
{
    float amax = 0, scale;

    for (uint64_t token = first[0]; token < end[0]; token++) {
        for (uint64_t col = first[1]; col < end[1]; col++) {
            const float x = fabsf(element(p, m, token, col));

            amax = x > amax ? x : amax;
        }
    }
    scale = amax / qb_format_info(p->output)->largest;
    scale = scale > 0x1p-126f ? scale : 0x1p-126f;
    if (p->scale_format == QB_FORMAT_E8M0) {
        scale = qb_format_decode(QB_FORMAT_E8M0, qb_format_encode(QB_FORMAT_E8M0, amax == 0 ? 0 : scale));
    }
    return scale;
}

/* Compute what is right for the rows, or for the columns, in CODES whose rows are STRIDE codes apart. */
static void expect(const struct qb_problem *p, struct memory *m, bool columns, enum qb_role codes, enum qb_role scales,
                   uint64_t stride)
{
    const bool block = p->granularity == QB_GRANULARITY_BLOCK;
    const uint64_t high = block ? p->block_rows : columns ? p->group : 1;
    const uint64_t wide = block ? p->block_cols : columns ? 1 : p->group;
    const uint64_t down = (p->tokens + high - 1) / high, across = (p->hidden + wide - 1) / wide;

    for (uint64_t tile = 0; tile < down * across; tile++) {
        const uint64_t first[2] = {tile / across * high, tile % across * wide};
        const uint64_t end[2] = {least(first[0] + high, p->tokens), least(first[1] + wide, p->hidden)};
        const float scale = scale_of(p, m, first, end);
        const uint64_t index = columns ? tile % across * down + tile / across : tile;
        const uint32_t bits = qb_format_encode(p->scale_format, scale);
        const size_t size = qb_format_info(p->scale_format)->bits / 8;

        memcpy(m->want[scales] + index * size, &bits, size);
        for (uint64_t token = first[0]; token < end[0]; token++) {
            for (uint64_t col = first[1]; col < end[1]; col++) {
                m->want[codes][columns ? col * stride + token : token * stride + col] =
                    (char)qb_format_encode(p->output, element(p, m, token, col) / scale);
            }
        }
    }
}

static void compare(const struct qb_problem *p, struct memory *m, const char *who)
{
    static const enum qb_role order[] = {QB_ROLE_SCALES, QB_ROLE_CODES, QB_ROLE_TRANSPOSED_SCALES, QB_ROLE_TRANSPOSED};

    for (int i = 0; i < COUNT(order); i++) {
        const enum qb_role role = order[i];

        for (uint64_t byte = 0; byte <= m->bytes[role]; byte++) {
            ck_assert_msg(m->at[role][byte] == m->want[role][byte],
                          "%s, %s, %d x %d, group %d, block %d x %d, %s: byte %d of the %s: got 0x%02X, want 0x%02X",
                          who, qb_operation_name(p->operation), (int)p->tokens, (int)p->hidden, (int)p->group,
                          (int)p->block_rows, (int)p->block_cols, qb_format_info(p->input)->name, (int)byte,
                          qb_role_name(role), (uint8_t)m->at[role][byte], (uint8_t)m->want[role][byte]);
        }
        memset(m->at[role], POISON, m->bytes[role] + 1);
    }
}

/* Run the reference, and every kernel of the CPU, on P. */
static void prove(const struct qb_problem *p, struct qb_device *device, struct qb_queue *queue)
{
    const bool dual = p->operation == QB_OPERATION_DUAL;
    struct qb_tensors tensors = {.size = sizeof tensors};
    struct memory m;
    int kernels = 0;

    make(p, &m);
    for (int role = 0; role < QB_ROLE_COUNT; role++) {
        tensors.at[role] = m.at[role];
    }
    if (dual) {
        expect(p, &m, false, QB_ROLE_CODES, QB_ROLE_SCALES, p->output_stride != 0 ? p->output_stride : p->hidden);
        expect(p, &m, true, QB_ROLE_TRANSPOSED, QB_ROLE_TRANSPOSED_SCALES, p->tokens);
    } else {
        expect(p, &m, true, QB_ROLE_CODES, QB_ROLE_SCALES, p->output_stride != 0 ? p->output_stride : p->tokens);
    }
    ck_assert_msg(qb_reference_run(p, &tensors) == QB_OK, "%s", qb_error_detail());
    compare(p, &m, "the reference");
    for (size_t i = 0; i < qb_kernel_count(); i++) {
        if (qb_kernel_supports(qb_kernel_at(i), device, p)) {
            ck_assert_msg(qb_kernel_run(qb_kernel_at(i), queue, p, &tensors) == QB_OK, "%s", qb_error_detail());
            compare(p, &m, qb_kernel_name(qb_kernel_at(i)));
            kernels++;
        }
    }
    ck_assert_int_gt(kernels, 0);
    release(&m);
}

static const uint64_t shapes[][2] = {{0, 5},  {1, 1},   {1, 40},   {40, 1},   {8, 8},     {16, 64}, {17, 9},
                                     {33, 7}, {31, 65}, {128, 24}, {129, 33}, {200, 129}, {260, 16}};
static const struct {
    uint64_t group, rows, cols;
} tiles[] = {{32, 0, 0},    {128, 0, 0}, {16, 0, 0}, {5, 0, 0},  {1, 0, 0},
             {0, 128, 128}, {0, 3, 5},   {0, 1, 64}, {0, 300, 7}};

/* Groups and blocks of any size, ragged in both directions; gaps between rows; each format. */
START_TEST(results)
{
    static const enum qb_format inputs[] = {QB_FORMAT_F16, QB_FORMAT_BF16, QB_FORMAT_F32};
    static const enum qb_format outputs[] = {QB_FORMAT_E4M3, QB_FORMAT_INT8, QB_FORMAT_E5M2};
    struct qb_device *device;
    struct qb_queue *queue;
    int index = 0;

    ck_assert_int_eq(qb_device_open(qb_backend_find("cpu"), 0, &device), QB_OK);
    ck_assert_int_eq(qb_queue_create(device, &queue), QB_OK);
    for (int tile = 0; tile < COUNT(tiles); tile++) {
        for (int shape = 0; shape < COUNT(shapes); shape++, index++) {
            struct qb_problem p = problem_of(both[_i]);

            p.input = inputs[index % 3];
            p.output = outputs[index / 3 % 3];
            p.tokens = shapes[shape][0];
            p.hidden = shapes[shape][1];
            p.granularity = tiles[tile].group > 0 ? QB_GRANULARITY_GROUP : QB_GRANULARITY_BLOCK;
            p.group = tiles[tile].group;
            p.block_rows = tiles[tile].rows;
            p.block_cols = tiles[tile].cols;
            p.scale_format = p.group > 0 && index % 2 ? QB_FORMAT_E8M0 : QB_FORMAT_F32;
            p.input_stride = index % 4 == 1 ? p.hidden + 3 : 0;
            p.output_stride = index % 5 == 2 ? (p.tokens > p.hidden ? p.tokens : p.hidden) + 5 : 0;
            ck_assert_int_eq(qb_queue_set_threads(queue, 1 + (unsigned)index % 3), QB_OK);
            prove(&p, device, queue);
        }
    }
    qb_queue_destroy(queue);
    qb_device_close(device);
}
END_TEST

/* Blocks have the same codes in both directions, and transposed scales. */
START_TEST(blocks_are_the_same_in_both_directions)
{
    struct qb_problem p = problem_of(QB_OPERATION_DUAL);
    struct qb_tensors at = {.size = sizeof at};
    struct memory m;

    p.granularity = QB_GRANULARITY_BLOCK;
    p.block_rows = p.block_cols = 128;
    p.tokens = 300;
    p.hidden = 200;
    make(&p, &m);
    for (int role = 0; role < QB_ROLE_COUNT; role++) {
        at.at[role] = m.at[role];
    }
    ck_assert_int_eq(qb_reference_run(&p, &at), QB_OK);
    for (uint64_t i = 0; i < p.tokens * p.hidden; i++) {
        ck_assert_int_eq(m.at[QB_ROLE_CODES][i], m.at[QB_ROLE_TRANSPOSED][i % p.hidden * p.tokens + i / p.hidden]);
    }
    for (int i = 0; i < 6; i++) {
        ck_assert(((float *)at.at[QB_ROLE_SCALES])[i] ==
                  ((float *)at.at[QB_ROLE_TRANSPOSED_SCALES])[i % 2 * 3 + i / 2]);
    }
    release(&m);
}
END_TEST

int main(void)
{
    TCase *members = patient_case("members"), *results_case = patient_case("results");
    Suite *suite = suite_create("transpose");

    tcase_add_loop_test(members, members_out_of_range_are_named, 0, 2 * COUNT(invalid));
    tcase_add_test(members, strides);
    tcase_add_test(members, tensors_of_both);
    tcase_add_test(members, places);
    tcase_add_loop_test(results_case, results, 0, 2);
    tcase_add_test(results_case, blocks_are_the_same_in_both_directions);
    suite_add_tcase(suite, members);
    suite_add_tcase(suite, results_case);
    return run_suite(suite);
}
