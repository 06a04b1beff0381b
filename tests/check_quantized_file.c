/* SPDX-License-Identifier: Apache-2.0 */
/* check_quantized_file.c - the reader of --against: formats and granularities that names, types and shapes tell, values
 * that codes and scales give, and files that are refused. */
#include <config.h>

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cases/quantized_file.h"
#include "run.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define BYTES(text)  (text), sizeof(text) - 1

/* A tensor of a file: the bytes are repeated until it is full. */
struct part {
    const char *name, *type, *shape;
    const char *bytes;
    size_t byte_count;
    size_t size;
};
#define PARTS_MAX 4

static char path[64] = "quantized_file_XXXXXX";

static void write_file(const struct part parts[PARTS_MAX])
{
    char header[1024] = "{";
    size_t offset = 0;
    FILE *file = fopen(path, "wb");

    ck_assert_ptr_nonnull(file);
    for (size_t i = 0; i < PARTS_MAX && parts[i].name != NULL; i++) {
        const size_t length = strlen(header);

        snprintf(header + length, sizeof header - length,
                 "%s\"%s\":{\"dtype\":\"%s\",\"shape\":%s,\"data_offsets\":[%zu,%zu]}", i > 0 ? "," : "", parts[i].name,
                 parts[i].type, parts[i].shape, offset, offset + parts[i].size);
        offset += parts[i].size;
    }
    strcat(header, "}");
    for (unsigned i = 0; i < 8; i++) {
        fputc((int)(strlen(header) >> (8 * i) & 255), file);
    }
    fputs(header, file);
    for (size_t i = 0; i < PARTS_MAX && parts[i].name != NULL; i++) {
        for (size_t b = 0; b < parts[i].size; b++) {
            fputc((unsigned char)parts[i].bytes[b % parts[i].byte_count], file);
        }
    }
    ck_assert_int_eq(fclose(file), 0);
}

static enum tensor_file_status read_file(const struct part parts[PARTS_MAX], uint64_t rows, uint64_t cols,
                                         struct quantized_file *quantized, char error[TENSOR_FILE_ERROR_SIZE])
{
    const struct tensor_file original = {.format = QB_FORMAT_F32, .tokens = rows, .hidden = cols};
    int file;
    enum tensor_file_status status;

    strcpy(path, "quantized_file_XXXXXX");
    file = mkstemp(path);
    ck_assert_int_ge(file, 0);
    close(file);
    write_file(parts);
    status = quantized_file_read(path, "w", &original, 1 << 20, quantized, error, TENSOR_FILE_ERROR_SIZE);
    unlink(path);
    return status;
}

/* ---- What is read ----------------------------------------------------------------------------------------------- */

#define ONE "\0\0\200\77" /* 1.0 in binary32 */
#define TWO "\0\0\0\100"

static const struct good {
    struct part parts[PARTS_MAX];
    uint64_t rows, cols;
    enum qb_format output, scale_format;
    enum qb_granularity granularity;
    uint64_t group;
    enum qb_tensor_scale tensor_scale;
    enum qb_zero_points zero_points;
    struct {
        size_t index;
        float value;
    } want[4]; /* elements, row by row */
} goods[] = {
    /* FP8: 1, 2, -1, the smallest */
    {{{"w", "F8_E4M3", "[2,4]", BYTES("\x38\x40\xb8\x01"), 8}, {"w_scale", "F32", "[]", BYTES(TWO), 4}},
     2,
     4,
     QB_FORMAT_E4M3,
     QB_FORMAT_F32,
     QB_GRANULARITY_TENSOR,
     0,
     0,
     0,
     {{0, 2}, {1, 4}, {6, -2}, {7, 0x1p-8f}}},
    /* 0x3f81 in bfloat16 is 1 + 2^-7 */
    {{{"w.weight", "F8_E5M2", "[2,4]", BYTES("\x3c\x40\xbc\x01"), 8},
      {"w.weight_scale", "BF16", "[2,1]", BYTES("\x81\x3f\x80\x3e"), 4}},
     2,
     4,
     QB_FORMAT_E5M2,
     QB_FORMAT_F32,
     QB_GRANULARITY_TOKEN,
     0,
     0,
     0,
     {{0, 1.0078125f}, {1, 2.015625f}, {4, .25f}, {7, 0x1p-18f}}},
    {{{"w", "I8", "[2,4]", BYTES("\x01\x80\x7f\xff"), 8}, {"w_scale", "F16", "[2]", BYTES("\0\x3c\0\x38"), 4}},
     2,
     4,
     QB_FORMAT_INT8,
     QB_FORMAT_F16,
     QB_GRANULARITY_TOKEN,
     0,
     0,
     0,
     {{0, 1}, {1, -128}, {6, 63.5f}, {7, -.5f}}},
    {{{"w", "I8", "[3,2]", BYTES("\x01\x02"), 6}, {"w_scale", "F32", "[1,2]", BYTES(ONE TWO), 8}},
     3,
     2,
     QB_FORMAT_INT8,
     QB_FORMAT_F32,
     QB_GRANULARITY_CHANNEL,
     0,
     0,
     0,
     {{0, 1}, {1, 4}, {4, 1}, {5, 4}}},
    {{{"w", "I8", "[2,6]", BYTES("\x01"), 12}, {"w_scale", "F32", "[2,2]", BYTES(ONE TWO TWO ONE), 16}},
     2,
     6,
     QB_FORMAT_INT8,
     QB_FORMAT_F32,
     QB_GRANULARITY_GROUP,
     3,
     0,
     0,
     {{2, 1}, {3, 2}, {8, 2}, {9, 1}}},
    /* the last group is short */
    {{{"w", "I8", "[2,5]", BYTES("\x01"), 10}, {"w_scale", "F32", "[2,2]", BYTES(ONE TWO TWO ONE), 16}},
     2,
     5,
     QB_FORMAT_INT8,
     QB_FORMAT_F32,
     QB_GRANULARITY_GROUP,
     4,
     0,
     0,
     {{3, 1}, {4, 2}, {8, 2}, {9, 1}}},
    {{{"w", "F8_E4M3", "[129,130]", BYTES("\x38"), 16770}, {"w_scale_inv", "F32", "[2,2]", BYTES(ONE ONE ONE TWO), 16}},
     129,
     130,
     QB_FORMAT_E4M3,
     QB_FORMAT_F32,
     QB_GRANULARITY_BLOCK,
     0,
     0,
     0,
     {{0, 1}, {16769, 2}, {16767, 1}, {16639, 1}}},
    {{{"w", "I8", "[2,2]", BYTES("\x01\x02"), 4},
      {"w_scale", "F32", "[2,1]", BYTES(TWO), 8},
      {"w_zero_point", "I8", "[2,1]", BYTES("\x03\xff"), 2}},
     2,
     2,
     QB_FORMAT_INT8,
     QB_FORMAT_F32,
     QB_GRANULARITY_TOKEN,
     0,
     0,
     QB_ZERO_POINTS_INT8,
     {{0, -4}, {1, -2}, {2, 4}, {3, 6}}},
    /* symmetric, with zero points all the same */
    {{{"w", "F8_E4M3", "[2,2]", BYTES("\x38"), 4},
      {"w_scale", "F32", "[2,1]", BYTES(TWO), 8},
      {"w_zero_point", "F8_E4M3", "[2,1]", BYTES("\0"), 2}},
     2,
     2,
     QB_FORMAT_E4M3,
     QB_FORMAT_F32,
     QB_GRANULARITY_TOKEN,
     0,
     0,
     0,
     {{0, 2}, {3, 2}}},
    /* NVFP4: 1 and -6 in turn; the second scale is 2, and the last 0 */
    {{{"w", "U8", "[2,16]", BYTES("\xf2"), 32},
      {"w_scale", "F8_E4M3", "[2,2]", BYTES("\x38\x40\x30\0"), 4},
      {"w_scale_2", "F32", "[]", BYTES(TWO), 4}},
     2,
     32,
     QB_FORMAT_E2M1,
     QB_FORMAT_E4M3,
     QB_GRANULARITY_GROUP,
     16,
     QB_TENSOR_SCALE_GIVEN,
     0,
     {{0, 2}, {1, -12}, {17, -24}, {32, 1}}},
    {{{"w_packed", "U8", "[2,16]", BYTES("\xf2"), 32},
      {"w_scale", "F8_E4M3", "[2,2]", BYTES("\x38\x40\x30\0"), 4},
      {"w_global_scale", "F32", "[1]", BYTES(TWO), 4}},
     2,
     32,
     QB_FORMAT_E2M1,
     QB_FORMAT_E4M3,
     QB_GRANULARITY_GROUP,
     16,
     QB_TENSOR_SCALE_GIVEN,
     0,
     {{0, .5f}, {1, -3}, {17, -6}, {32, .25f}}},
    /* MXFP4, the last group short; MXFP8 */
    {{{"w", "U8", "[2,20]", BYTES("\xf2"), 40}, {"w_scale", "U8", "[2,2]", BYTES("\x7f\x80\x81\x01"), 4}},
     2,
     40,
     QB_FORMAT_E2M1,
     QB_FORMAT_E8M0,
     QB_GRANULARITY_GROUP,
     32,
     0,
     0,
     {{31, -6}, {32, 2}, {40, 4}, {72, 0x1p-126f}}},
    {{{"w", "F8_E4M3", "[1,33]", BYTES("\x38"), 33}, {"w_scale", "F8_E8M0", "[1,2]", BYTES("\x7f\x80"), 2}},
     1,
     33,
     QB_FORMAT_E4M3,
     QB_FORMAT_E8M0,
     QB_GRANULARITY_GROUP,
     32,
     0,
     0,
     {{0, 1}, {31, 1}, {32, 2}}},
    /* integers in words of 32 bits, 8 or 128 too large */
    {{{"w_packed", "I32", "[2,1]", BYTES("\x90\xf7\x88\x88"), 8}, {"w_scale", "F32", "[2,1]", BYTES(ONE TWO), 8}},
     2,
     8,
     QB_FORMAT_INT4,
     QB_FORMAT_F32,
     QB_GRANULARITY_TOKEN,
     0,
     0,
     0,
     {{0, -8}, {1, 1}, {2, -1}, {11, 14}}},
    {{{"w_packed", "I32", "[2,1]", BYTES("\x81\x80\0\xff"), 8}, {"w_scale", "F32", "[2,1]", BYTES(ONE TWO), 8}},
     2,
     4,
     QB_FORMAT_INT8,
     QB_FORMAT_F32,
     QB_GRANULARITY_TOKEN,
     0,
     0,
     0,
     {{0, 1}, {1, 0}, {2, -128}, {7, 254}}},
};

START_TEST(test_good)
{
    const struct good *good = &goods[_i];
    char error[TENSOR_FILE_ERROR_SIZE] = "";
    struct quantized_file q;
    struct qb_problem problem;
    float *values = calloc(good->rows * good->cols, sizeof *values);

    ck_assert_msg(read_file(good->parts, good->rows, good->cols, &q, error) == TENSOR_FILE_OK, "%s", error);
    ck_assert_int_eq(q.problem.output, good->output);
    ck_assert_int_eq(q.problem.scale_format, good->scale_format);
    ck_assert_int_eq(q.problem.granularity, good->granularity);
    ck_assert_uint_eq(q.problem.group, good->group);
    ck_assert_int_eq(q.problem.tensor_scale, good->tensor_scale);
    ck_assert_int_eq(q.problem.zero_points, good->zero_points);
    problem = q.problem;
    problem.operation = QB_OPERATION_DEQUANTIZE;
    q.tensors.at[QB_ROLE_VALUES] = values;
    ck_assert_int_eq(qb_reference_run(&problem, &q.tensors), QB_OK);
    for (size_t i = 0; i < COUNT(good->want); i++) {
        if (good->want[i].value != 0) {
            ck_assert_float_eq(values[good->want[i].index], good->want[i].value);
        }
    }
    quantized_file_free(&q);
}
END_TEST

/* ---- What is refused -------------------------------------------------------------------------------------------- */

#define CODES                                                                                                          \
    {                                                                                                                  \
        "w", "F8_E4M3", "[2,4]", BYTES("\x38"), 8                                                                      \
    }
#define FP4                                                                                                            \
    {                                                                                                                  \
        "w", "U8", "[2,16]", BYTES("\xf2"), 32                                                                         \
    }
#define E4M3                                                                                                           \
    {                                                                                                                  \
        "w_scale", "F8_E4M3", "[2,2]", BYTES("\x38"), 4                                                                \
    }

static const struct bad {
    struct part parts[PARTS_MAX];
    const char *error;
    uint64_t cols; /* 0: 4 */
} bads[] = {
    {{{"x", "F32", "[1]", BYTES(ONE), 4}}, "has no tensor 'w'; it has 1:", 0},
    {{CODES}, "has none of the tensors 'w_scale' and 'w_scale_inv'; expected one of them", 0},
    {{CODES, {"w_scale", "F32", "[1]", BYTES(ONE), 4}, {"w_scale_inv", "F32", "[1]", BYTES(ONE), 4}},
     "has both of the tensors",
     0},
    {{{"w_scale", "F32", "[1]", BYTES(ONE), 4}}, "tensor 'w' has scales but no codes", 0},
    {{{"w", "BF16", "[2,4]", BYTES("\x38"), 16}}, "tensor 'w' has element type 'BF16'; expected codes", 0},
    {{{"w", "I64", "[2,4]", BYTES("\x38"), 64}}, "tensor 'w' has element type 'I64', which is not supported", 0},
    {{{"w", "F8_E4M3", "[0,4]", BYTES("\x38"), 0}, {"w_scale", "F32", "[1]", BYTES(ONE), 4}}, "has no elements", 0},
    {{{"w", "F8_E4M3", "[4,2]", BYTES("\x38"), 8}}, "has shape [4, 2]; expected [2, 4], rows of 4 codes", 0},
    {{{"w", "F8_E4M3", "[1,2,4]", BYTES("\x38"), 8}}, "has shape [1, 2, 4]; expected [2, 4]", 0},
    {{{"w", "I32", "[2,1]", BYTES("\x38"), 8}}, "expected [2, 1], rows of 3 codes that fill their elements of I32", 3},
    {{CODES, {"w_scale", "I8", "[1]", BYTES("\1"), 1}}, "tensor 'w_scale' has element type 'I8'; expected scales", 0},
    {{CODES, {"w_scale", "F32", "[3]", BYTES(ONE), 12}}, "tensor 'w_scale' has shape [3]; expected", 0},
    {{CODES, {"w_scale", "F32", "[2,5]", BYTES(ONE), 40}}, "has shape [2, 5]; expected", 0},
    {{CODES, {"w_scale", "F32", "[1,1,1]", BYTES(ONE), 4}}, "has shape [1, 1, 1]; expected", 0},
    {{CODES, {"w_scale", "U8", "[2]", BYTES("\x7f"), 2}}, "require groups", 0},
    {{CODES, {"w_scale", "F32", "[1]", BYTES("\0"), 4}}, "has the scale 0 at index 0", 0},
    {{CODES, {"w_scale", "F32", "[2]", BYTES(ONE "\0\0\200\277"), 8}}, "has the scale -1 at index 1", 0},
    {{CODES, {"w_scale", "BF16", "[1]", BYTES("\x80\x7f"), 2}}, "has the scale inf", 0},
    {{CODES, {"w_scale", "F16", "[1]", BYTES("\xff\x7f"), 2}}, "has the scale nan", 0},
    {{CODES, {"w_scale", "U8", "[2,1]", BYTES("\xff"), 2}}, "has the scale nan", 0},
    {{FP4, {"w_scale", "F32", "[2,1]", BYTES(ONE), 8}}, "expected F8_E4M3 (NVFP4) or U8 (MXFP4)", 32},
    {{FP4, E4M3}, "has none of the tensors 'w_scale_2' and 'w_global_scale'", 32},
    {{FP4, E4M3, {"w_scale_2", "F32", "[1]", BYTES("\0"), 4}}, "gives the tensor scale 0", 32},
    {{FP4, E4M3, {"w_global_scale", "F32", "[1]", BYTES("\0"), 4}}, "gives the tensor scale inf", 32},
    {{FP4, E4M3, {"w_scale_2", "F32", "[2]", BYTES(ONE), 8}}, "is F32 [2]; expected one element of F32", 32},
    {{FP4, E4M3, {"w_scale_2", "F32", "[]", BYTES(ONE), 4}, {"w_global_scale", "F32", "[1]", BYTES(ONE), 4}},
     "has both of the tensors",
     32},
    {{CODES, {"w_scale", "F32", "[1]", BYTES(ONE), 4}, {"w_scale_2", "F32", "[]", BYTES(ONE), 4}},
     "with scales in F8_E4M3",
     0},
    {{FP4, {"w_scale", "F8_E4M3", "[2,2]", BYTES("\x80"), 4}, {"w_scale_2", "F32", "[]", BYTES(ONE), 4}},
     "has the scale -0",
     32},
    {{CODES, {"w_scale", "F32", "[1]", BYTES(ONE), 4}, {"w_zero_point", "I8", "[1]", BYTES("\1"), 1}},
     "tensor 'w_zero_point' is I8 [1]; expected I8 for codes in I8",
     0},
    {{{"w", "I8", "[2,4]", BYTES("\x38"), 8},
      {"w_scale", "F32", "[1,4]", BYTES(ONE), 16},
      {"w_zero_point", "I8", "[1,4]", BYTES("\1"), 4}},
     "does not fit the scales: zero points require",
     0},
};

START_TEST(test_bad)
{
    char error[TENSOR_FILE_ERROR_SIZE] = "";
    struct quantized_file q, untouched;

    memset(&q, 0x5a, sizeof q);
    memset(&untouched, 0x5a, sizeof untouched);
    ck_assert_int_eq(read_file(bads[_i].parts, 2, bads[_i].cols > 0 ? bads[_i].cols : 4, &q, error),
                     TENSOR_FILE_FORMAT);
    ck_assert_mem_eq(&q, &untouched, sizeof q);
    ck_assert_msg(strncmp(error, path, strlen(path)) == 0, "the file is not at the beginning of: %s", error);
    ck_assert_msg(strstr(error, bads[_i].error) != NULL, "'%s' is not in: %s", bads[_i].error, error);
}
END_TEST

START_TEST(test_memory)
{
    const struct tensor_file original = {.format = QB_FORMAT_F32, .tokens = 2, .hidden = 4};
    const struct part parts[PARTS_MAX] = {CODES, {"w_scale", "F32", "[2]", BYTES(ONE), 8}};
    char error[TENSOR_FILE_ERROR_SIZE] = "";
    struct quantized_file q;

    strcpy(path, "quantized_file_memory");
    write_file(parts);
    ck_assert_int_eq(quantized_file_read(path, "w", &original, 15, &q, error, sizeof error), TENSOR_FILE_IO);
    ck_assert_ptr_nonnull(strstr(error, "needs 8 bytes of memory; 7 are free"));
    ck_assert_int_eq(quantized_file_read(path, "w", &original, 16, &q, error, sizeof error), TENSOR_FILE_OK);
    quantized_file_free(&q);
    unlink(path);
    ck_assert_int_eq(quantized_file_read(path, "w", &original, 16, &q, error, sizeof error), TENSOR_FILE_IO);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("quantized_file");
    TCase *tcase = patient_case("read");

    tcase_add_loop_test(tcase, test_good, 0, (int)COUNT(goods));
    tcase_add_loop_test(tcase, test_bad, 0, (int)COUNT(bads));
    tcase_add_test(tcase, test_memory);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
