/* SPDX-License-Identifier: Apache-2.0 */
/* check_problem.c - validation, shapes and bytes of problems, the reference by hand, and the registry's refusals. */
#include <config.h>

#include "quantbench.h"
#include "run.h"
#include "model/sizes.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

static struct qb_problem valid_problem(void)
{
    struct qb_problem p;

    qb_problem_init(&p);
    p.tokens = 4;
    p.hidden = 10;
    return p;
}

START_TEST(defaults_are_valid)
{
    struct qb_problem p;

    qb_problem_init(&p);
    ck_assert_int_eq(qb_problem_validate(&p), QB_OK);
}
END_TEST

/* One field made invalid, and a word that the reason must hold. */
static const struct {
    const char *word;
    struct qb_problem change; /* fields that are not 0 replace those of a valid problem */
    uint64_t set_hidden_to_0;
} invalid[] = {
    {"input format", {.input = QB_FORMAT_INT8}, 0},
    {"input format", {.input = (enum qb_format)99}, 0},
    {"output format", {.output = (enum qb_format)99}, 0},
    {"granularity", {.granularity = (enum qb_granularity)99}, 0},
    {"scaling", {.scaling = (enum qb_scaling)99}, 0},
    {"hidden size 0", {.tokens = 1}, 1},
    {"input stride", {.input_stride = 9}, 0},
    {"output stride", {.output_stride = 9}, 0},
    {"group size 0", {.granularity = QB_GRANULARITY_GROUP}, 0},
    {"block", {.granularity = QB_GRANULARITY_BLOCK, .block_rows = 1}, 0},
    {"block", {.granularity = QB_GRANULARITY_BLOCK, .block_cols = 1}, 0},
    {"amax bound", {.amax_bound = -1}, 0},
    {"amax bound", {.amax_bound = INFINITY}, 0},
    {"amax bound", {.amax_bound = NAN}, 0},
    {"bytes", {.tokens = UINT64_MAX}, 0},
    {"bytes", {.tokens = (uint64_t)1 << 62, .hidden = 4}, 0},
    {"bytes", {.input_stride = UINT64_MAX / 2}, 0},
    {"bytes", {.tokens = (uint64_t)1 << 60, .granularity = QB_GRANULARITY_GROUP, .group = 1}, 0},
};

START_TEST(invalid_problems_are_refused_with_a_reason)
{
    struct qb_problem p = valid_problem();
    const struct qb_problem *change = &invalid[_i].change;

#define CHANGE(field) p.field = change->field != 0 ? change->field : p.field
    CHANGE(input);
    CHANGE(output);
    CHANGE(granularity);
    CHANGE(scaling);
    CHANGE(tokens);
    CHANGE(hidden);
    CHANGE(input_stride);
    CHANGE(output_stride);
    CHANGE(group);
    CHANGE(block_rows);
    CHANGE(block_cols);
    CHANGE(amax_bound);
    if (invalid[_i].set_hidden_to_0) {
        p.hidden = 0;
    }
    ck_assert_msg(qb_problem_validate(&p) == QB_ERROR_INVALID, "row %d passes", _i);
    ck_assert_msg(strstr(qb_error_detail(), invalid[_i].word) != NULL, "row %d: '%s' does not hold '%s'", _i,
                  qb_error_detail(), invalid[_i].word);
}
END_TEST

START_TEST(scale_shapes)
{
    struct qb_problem p = valid_problem();
    uint64_t rows, cols;

    qb_problem_scale_shape(&p, &rows, &cols);
    ck_assert(rows == 1 && cols == 1);
    p.granularity = QB_GRANULARITY_TOKEN;
    qb_problem_scale_shape(&p, &rows, &cols);
    ck_assert(rows == 4 && cols == 1);
    p.granularity = QB_GRANULARITY_CHANNEL;
    qb_problem_scale_shape(&p, &rows, &cols);
    ck_assert(rows == 1 && cols == 10);
    p.granularity = QB_GRANULARITY_GROUP;
    p.group = 4;
    qb_problem_scale_shape(&p, &rows, &cols);
    ck_assert(rows == 4 && cols == 3);
    p.group = 1000;
    qb_problem_scale_shape(&p, &rows, &cols);
    ck_assert(rows == 4 && cols == 1);
    p.granularity = QB_GRANULARITY_BLOCK;
    p.block_rows = 3;
    p.block_cols = 7;
    qb_problem_scale_shape(&p, &rows, &cols);
    ck_assert(rows == 2 && cols == 2);

    p.tokens = 0;
    qb_problem_scale_shape(&p, &rows, &cols);
    ck_assert(rows == 0 && cols == 2);
    p.granularity = QB_GRANULARITY_TENSOR;
    qb_problem_scale_shape(&p, &rows, &cols);
    ck_assert(rows == 1 && cols == 1);
    p.granularity = QB_GRANULARITY_CHANNEL;
    qb_problem_scale_shape(&p, &rows, &cols);
    ck_assert(rows == 1 && cols == 10);
    p.granularity = QB_GRANULARITY_TOKEN;
    qb_problem_scale_shape(&p, &rows, &cols);
    ck_assert(rows == 0 && cols == 1);
}
END_TEST

START_TEST(byte_model)
{
    struct qb_problem p = valid_problem();
    struct sizes bytes;

    p.input_stride = 12;
    p.granularity = QB_GRANULARITY_TOKEN;
    bytes = sizes_of(&p);
    ck_assert_uint_eq(bytes.of[QB_ROLE_INPUT], 2 * (3 * 12 + 10));
    ck_assert_uint_eq(bytes.of[QB_ROLE_CODES], 40);
    ck_assert_uint_eq(bytes.of[QB_ROLE_SCALES], 16);
    ck_assert_uint_eq(bytes.read, 80);
    ck_assert_uint_eq(bytes.written, 40 + 16);
    p.scaling = QB_SCALING_STATIC;
    p.input = QB_FORMAT_F32;
    bytes = sizes_of(&p);
    ck_assert_uint_eq(bytes.read, 160 + 16);
    ck_assert_uint_eq(bytes.written, 40);
}
END_TEST

/* The reference on a tensor that a person can compute. */
START_TEST(reference_by_hand)
{
    const float input[2][3] = {{127, -63.5f, NAN}, {0.5f, 254, -1.5f}};
    struct qb_problem p;
    struct qb_tensors buffers;
    int8_t codes[2][3];
    float scales[3];

    qb_problem_init(&p);
    p.input = QB_FORMAT_F32;
    p.tokens = 2;
    p.hidden = 3;
    p.granularity = QB_GRANULARITY_TOKEN;
    buffers = (struct qb_tensors)QB_TENSORS(input, codes, scales);
    ck_assert_int_eq(qb_reference_run(&p, &buffers), QB_OK);
    ck_assert_float_eq(scales[0], 1.0f);
    ck_assert_float_eq(scales[1], 2.0f);
    ck_assert_int_eq(codes[0][0], 127);
    ck_assert_int_eq(codes[0][1], -64); /* -63.5 is a tie; -64 is even */
    ck_assert_int_eq(codes[0][2], 0);   /* NaN */
    ck_assert_int_eq(codes[1][0], 0);   /* 0.25 */
    ck_assert_int_eq(codes[1][1], 127);
    ck_assert_int_eq(codes[1][2], -1); /* -0.75 */

    p.granularity = QB_GRANULARITY_CHANNEL;
    ck_assert_int_eq(qb_reference_run(&p, &buffers), QB_OK);
    ck_assert_float_eq(scales[0], 1.0f);
    ck_assert_float_eq(scales[1], 2.0f);
    ck_assert_float_eq(scales[2], 1.5f / 127);

    p.granularity = QB_GRANULARITY_TENSOR;
    p.amax_bound = 127;
    ck_assert_int_eq(qb_reference_run(&p, &buffers), QB_OK);
    ck_assert_float_eq(scales[0], 1.0f);
    ck_assert_int_eq(codes[1][1], 127); /* 254 saturates */
    ck_assert_int_eq(codes[1][2], -2);  /* -1.5 is a tie */
}
END_TEST

/* The halves of the reference make the whole, also where static scaling would compute no scales. */
START_TEST(reference_in_halves)
{
    const float input[3][4] = {{1, -2, 3, 4}, {0.1f, 0.2f, 0.3f, -0.4f}, {100, 0, 0, 0}};
    struct qb_problem p;
    uint8_t whole[3][4], halves[3][4];
    float whole_scales[6], half_scales[6];
    struct qb_tensors a = QB_TENSORS(input, whole, whole_scales), b = QB_TENSORS(input, halves, half_scales);

    qb_problem_init(&p);
    p.input = QB_FORMAT_F32;
    p.output = QB_FORMAT_E5M2;
    p.granularity = QB_GRANULARITY_GROUP;
    p.group = 3;
    p.tokens = 3;
    p.hidden = 4;
    ck_assert_int_eq(qb_reference_run(&p, &a), QB_OK);
    p.scaling = QB_SCALING_STATIC;
    ck_assert_int_eq(qb_reference_scales(&p, &b), QB_OK);
    ck_assert_mem_eq(whole_scales, half_scales, sizeof whole_scales);
    ck_assert_int_eq(qb_reference_codes(&p, &b), QB_OK);
    ck_assert_mem_eq(whole, halves, sizeof whole);
}
END_TEST

START_TEST(reference_scale_limits)
{
    float zeros[4] = {0, -0.0f, NAN, 0}, infinite[4] = {INFINITY, 1, -INFINITY, 0};
    struct qb_problem p;
    struct qb_tensors buffers;
    uint8_t codes[4];
    float scale;

    qb_problem_init(&p);
    p.input = QB_FORMAT_F32;
    p.output = QB_FORMAT_E4M3;
    p.tokens = 1;
    p.hidden = 4;
    buffers = (struct qb_tensors)QB_TENSORS(zeros, codes, &scale);
    ck_assert_int_eq(qb_reference_run(&p, &buffers), QB_OK);
    ck_assert_float_eq(scale, 0x1p-126f);
    ck_assert_uint_eq(codes[0], 0x00);
    ck_assert_uint_eq(codes[1], 0x80);
    ck_assert_uint_eq(codes[2], 0x7F);

    buffers.at[QB_ROLE_INPUT] = infinite;
    ck_assert_int_eq(qb_reference_run(&p, &buffers), QB_OK);
    ck_assert_float_eq(scale, 0x1.FFFFFEp127f / 448);
    ck_assert_uint_eq(codes[0], 0x7E);
    ck_assert_uint_eq(codes[1], 0x00);
    ck_assert_uint_eq(codes[2], 0xFE);

    p.tokens = 0;
    buffers.at[QB_ROLE_INPUT] = buffers.at[QB_ROLE_CODES] = NULL;
    scale = 7;
    ck_assert_int_eq(qb_reference_run(&p, &buffers), QB_OK);
    ck_assert_float_eq(scale, 0x1p-126f);
}
END_TEST

/* The codes of NaN that quantbench.h and quantbench-plugin(3) name. */
static const struct {
    enum qb_format output;
    uint8_t code, highest, lowest;
} nan_codes[] = {
    {QB_FORMAT_INT8, 0x00, 0x7F, 0x80},
    {QB_FORMAT_E4M3, 0x7F, 0x7E, 0xFE},
    {QB_FORMAT_E5M2, 0x7F, 0x7B, 0xFB},
};

START_TEST(nan_has_the_code_of_the_arithmetic)
{
    const float input = NAN;
    struct qb_arithmetic arithmetic = {.quotient = QB_QUOTIENT_DIVIDE};
    struct qb_problem p;
    float scale;
    uint8_t code, want[3] = {nan_codes[_i].code, nan_codes[_i].highest, nan_codes[_i].lowest};
    struct qb_tensors buffers = QB_TENSORS(&input, &code, &scale);

    qb_problem_init(&p);
    p.input = QB_FORMAT_F32;
    p.output = nan_codes[_i].output;
    p.tokens = p.hidden = 1;
    for (int nan = QB_NAN_CODE; nan <= QB_NAN_LOWEST; nan++) {
        arithmetic.nan = (enum qb_nan)nan;
        ck_assert_int_eq(qb_reference_run_as(&p, &arithmetic, &buffers), QB_OK);
        ck_assert_uint_eq(code, want[nan]);
    }
}
END_TEST

START_TEST(calls_refuse_bad_arguments)
{
    struct qb_problem p = valid_problem();
    struct qb_tensors buffers = QB_TENSORS(NULL, NULL, NULL);
    const struct qb_backend *cpu = qb_backend_find("cpu");
    const struct qb_kernel *kernel;
    struct qb_device *device;
    struct qb_queue *queue;
    uint16_t input[41];
    uint8_t output[40];
    float scales[2];
    void *memory;

    ck_assert_ptr_nonnull(cpu);
    ck_assert_ptr_eq(qb_backend_at(0), cpu);
    ck_assert_ptr_null(qb_backend_at(qb_backend_count()));
    ck_assert_ptr_null(qb_backend_find("no such"));
    ck_assert_str_ne(qb_backend_why_not("no such"), "");
    ck_assert_str_eq(qb_backend_why_not("cpu"), "");
    ck_assert_ptr_null(qb_kernel_at(qb_kernel_count()));
    ck_assert_int_eq(qb_device_open(cpu, 1, &device), QB_ERROR_NO_DEVICE);
    ck_assert_int_eq(qb_device_open(cpu, -1, &device), QB_ERROR_NO_DEVICE);

    ck_assert_int_eq(qb_device_open(cpu, 0, &device), QB_OK);
    ck_assert_int_eq(qb_queue_create(device, &queue), QB_OK);
    ck_assert_int_eq(qb_queue_set_threads(queue, 0), QB_ERROR_INVALID);
    ck_assert_int_eq(qb_queue_wrap(device, &p, &queue), QB_ERROR_INVALID);
    ck_assert_int_eq(qb_graph_begin(queue), QB_ERROR_UNSUPPORTED);
    ck_assert_int_eq(qb_quantize(queue, &p, &buffers), QB_ERROR_INVALID);
    ck_assert_int_eq(qb_quantize(NULL, &p, &buffers), QB_ERROR_INVALID);
    ck_assert_int_eq(qb_quantize(queue, NULL, &buffers), QB_ERROR_INVALID);
    ck_assert_int_eq(qb_quantize(queue, &p, NULL), QB_ERROR_INVALID);
    buffers = (struct qb_tensors)QB_TENSORS((const char *)input + 1, output, scales);
    ck_assert_int_eq(qb_quantize(queue, &p, &buffers), QB_ERROR_INVALID);
    buffers = (struct qb_tensors)QB_TENSORS(input, output, (float *)((char *)scales + 2));
    ck_assert_int_eq(qb_quantize(queue, &p, &buffers), QB_ERROR_INVALID);
    ck_assert_int_eq(qb_kernel_match(device, &p, "no such", &kernel), QB_ERROR_INVALID);
    ck_assert_ptr_nonnull(strstr(qb_error_detail(), "no such"));
    ck_assert_int_eq(qb_memory_alloc(device, PTRDIFF_MAX, &memory), QB_ERROR_MEMORY);
    ck_assert_int_eq(qb_memory_alloc(device, 0, &memory), QB_OK);
    qb_memory_free(device, memory);
    qb_memory_free(device, NULL);
    qb_queue_destroy(queue);
    qb_queue_destroy(NULL);
    qb_device_close(device);
    qb_device_close(NULL);
}
END_TEST

/* A kernel supports problems of its own operation only, and each operation that a kernel names is one. */
START_TEST(kernels_do_one_operation)
{
    struct qb_device *device;
    unsigned supported = 0;

    ck_assert_int_eq(qb_device_open(qb_backend_find("cpu"), 0, &device), QB_OK);
    for (size_t i = 0; i < qb_kernel_count(); i++) {
        const struct qb_kernel *kernel = qb_kernel_at(i);

        ck_assert_ptr_nonnull(qb_operation_name(qb_kernel_operation(kernel)));
        for (int operation = 0; operation < QB_OPERATION_COUNT; operation++) {
            struct qb_problem p;

            qb_problem_init(&p);
            p.operation = (enum qb_operation)operation;
            p.scaling = p.operation == QB_OPERATION_DEQUANTIZE ? QB_SCALING_STATIC : QB_SCALING_DYNAMIC;
            if (qb_kernel_supports(kernel, device, &p)) {
                ck_assert_int_eq(qb_kernel_operation(kernel), operation);
                supported++;
            }
        }
    }
    ck_assert_uint_gt(supported, 0);
    qb_device_close(device);
}
END_TEST

/* A backend that qb_backend_find() did not find: the message names the one that this build lacks. */
START_TEST(missing_backend_named)
{
    const char *word = qb_backend_find("cuda") == NULL ? "this build lacks the CUDA backend" : "\"cpu\" and \"cuda\"";
    struct qb_device *device = NULL;
    int count = 7;

    ck_assert_int_eq(qb_device_open(qb_backend_find("no such"), 0, &device), QB_ERROR_NO_DEVICE);
    ck_assert_msg(strstr(qb_error_detail(), word) != NULL, "%s", qb_error_detail());
    ck_assert_ptr_nonnull(strstr(qb_error_detail(), "qb_device_open: "));
    ck_assert_ptr_null(device);
    ck_assert_int_eq(qb_backend_device_count(NULL, &count), QB_ERROR_NO_DEVICE);
    ck_assert_msg(strstr(qb_error_detail(), word) != NULL, "%s", qb_error_detail());
    ck_assert_int_eq(count, 7);
    ck_assert_int_eq(qb_device_open(qb_backend_find("cpu"), 0, NULL), QB_ERROR_INVALID);
}
END_TEST

START_TEST(status_texts)
{
    for (int status = QB_OK; status <= QB_ERROR_REFERENCE; status++) {
        ck_assert_str_ne(qb_strerror((enum qb_status)status), "unknown status");
    }
    ck_assert_str_eq(qb_strerror((enum qb_status)99), "unknown status");
    ck_assert_str_eq(qb_version(), PACKAGE_VERSION);
}
END_TEST

/* ---- Programs that were compiled with the header of another version --------------------------------------------- */

/* An older program's structure ends earlier: what is after it is neither written nor read. */
START_TEST(shorter_problem_has_defaults)
{
    struct qb_problem problem;
    const size_t size = offsetof(struct qb_problem, amax_bound);

    memset(&problem, 0xFF, sizeof problem);
    qb_problem_init_size(&problem, size);
    ck_assert_uint_eq(problem.size, size);
    ck_assert_int_eq(((unsigned char *)&problem)[size], 0xFF);
    ck_assert_int_eq(qb_problem_validate(&problem), QB_OK);
    problem.size = sizeof problem; /* the bound is NaN, which was not read */
    ck_assert_int_eq(qb_problem_validate(&problem), QB_ERROR_INVALID);
}
END_TEST

/* A newer program's structure goes on: what the library does not know must be 0. */
START_TEST(longer_problem_is_refused_unless_zero)
{
    struct {
        struct qb_problem problem;
        uint64_t more;
    } newer;

    newer.more = 1;
    qb_problem_init_size(&newer.problem, sizeof newer);
    ck_assert_uint_eq(newer.more, 0);
    ck_assert_int_eq(qb_problem_validate(&newer.problem), QB_OK);
    newer.more = 1;
    ck_assert_int_eq(qb_problem_validate(&newer.problem), QB_ERROR_UNSUPPORTED);
}
END_TEST

START_TEST(structures_without_size_are_refused)
{
    float value = 1, scale = 1;
    uint8_t code;
    struct qb_problem problem;
    struct qb_tensors tensors = QB_TENSORS(&value, &code, &scale);
    struct qb_tensor_info info = {.size = 0};

    qb_problem_init(&problem);
    problem.input = QB_FORMAT_F32;
    problem.tokens = 1;
    ck_assert_int_eq(qb_reference_run(&problem, &tensors), QB_OK);
    tensors.size = 0;
    ck_assert_int_eq(qb_reference_run(&problem, &tensors), QB_ERROR_INVALID);
    ck_assert_int_eq(qb_problem_tensor(&problem, QB_ROLE_CODES, &info), QB_ERROR_INVALID);
    problem.size = 0;
    ck_assert_int_eq(qb_problem_validate(&problem), QB_ERROR_INVALID);
}
END_TEST

/* What the library fills in it fills as far as the program's structure reaches. */
START_TEST(answers_end_where_structures_do)
{
    struct qb_problem problem;
    struct {
        struct qb_tensor_info info;
        uint64_t more;
    } newer = {.info.size = sizeof newer, .more = 1};
    struct qb_tensor_info older;

    qb_problem_init(&problem);
    problem.tokens = 3;
    problem.hidden = 5;
    problem.input_stride = 8;
    memset(&older, 0xFF, sizeof older);
    older.size = offsetof(struct qb_tensor_info, traffic);
    ck_assert_int_eq(qb_problem_tensor(&problem, QB_ROLE_INPUT, &older), QB_OK);
    ck_assert(older.present && older.read && !older.written && older.format == QB_FORMAT_F16);
    ck_assert(older.rows == 3 && older.cols == 5 && older.stride == 8 && older.bytes == 2 * (2 * 8 + 5));
    ck_assert_uint_eq(older.size, offsetof(struct qb_tensor_info, traffic));
    ck_assert_uint_eq(older.traffic, UINT64_MAX);
    ck_assert_int_eq(qb_problem_tensor(&problem, QB_ROLE_INPUT, &newer.info), QB_OK);
    ck_assert(newer.info.traffic == 30 && newer.info.alignment == 2 && newer.more == 0);
    ck_assert_uint_eq(newer.info.size, sizeof newer);
    ck_assert_int_eq(qb_problem_tensor(&problem, (enum qb_role)QB_ROLE_COUNT, &newer.info), QB_ERROR_INVALID);
}
END_TEST

START_TEST(amax_has_no_codes)
{
    struct qb_problem problem;
    struct qb_tensor_info info = {.size = sizeof info};

    qb_problem_init(&problem);
    problem.tokens = 2;
    problem.scaling = QB_SCALING_AMAX;
    ck_assert_int_eq(qb_problem_tensor(&problem, QB_ROLE_CODES, &info), QB_OK);
    ck_assert(!info.present && info.bytes == 0 && !info.written);
    ck_assert_str_eq(qb_role_name(QB_ROLE_CODES), "codes");
    ck_assert_ptr_null(qb_role_name((enum qb_role)QB_ROLE_COUNT));
    ck_assert_str_eq(qb_operation_name(problem.operation), "quantize");
    problem.operation = (enum qb_operation)QB_OPERATION_COUNT;
    ck_assert_int_eq(qb_problem_validate(&problem), QB_ERROR_INVALID);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("problem");
    TCase *tc = patient_case("problem");

    tcase_add_test(tc, defaults_are_valid);
    tcase_add_loop_test(tc, invalid_problems_are_refused_with_a_reason, 0, sizeof invalid / sizeof invalid[0]);
    tcase_add_test(tc, scale_shapes);
    tcase_add_test(tc, byte_model);
    tcase_add_test(tc, reference_by_hand);
    tcase_add_test(tc, reference_in_halves);
    tcase_add_test(tc, reference_scale_limits);
    tcase_add_loop_test(tc, nan_has_the_code_of_the_arithmetic, 0, sizeof nan_codes / sizeof nan_codes[0]);
    tcase_add_test(tc, calls_refuse_bad_arguments);
    tcase_add_test(tc, kernels_do_one_operation);
    tcase_add_test(tc, missing_backend_named);
    tcase_add_test(tc, status_texts);
    tcase_add_test(tc, shorter_problem_has_defaults);
    tcase_add_test(tc, longer_problem_is_refused_unless_zero);
    tcase_add_test(tc, structures_without_size_are_refused);
    tcase_add_test(tc, answers_end_where_structures_do);
    tcase_add_test(tc, amax_has_no_codes);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
