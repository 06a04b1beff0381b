/* SPDX-License-Identifier: Apache-2.0 */
/* check_pitfalls.c - mistakes that users reported of narrow quantization elsewhere, each as a test that the reference,
 * the CPU's best kernel and the sizes that a problem has are free of it. */
#include <config.h>

#include "quantbench.h"
#include "run.h"

#include <float.h>
#include <math.h>
#include <string.h>

#define ROOM 65536

/* A call of the reference: its data, and tensors that are poisoned before. */
struct bench {
    struct qb_problem p;
    struct qb_tensors tensors;
    float input[ROOM];
    uint8_t codes[ROOM];
    uint8_t scales[ROOM] __attribute__((aligned(4)));
    int8_t zero_points[ROOM];
    float tensor_scale;
};

static struct bench *bench_new(enum qb_format output, enum qb_format scale_format, uint64_t tokens, uint64_t hidden,
                               uint64_t group)
{
    struct bench *b = malloc(sizeof *b);

    ck_assert(b != NULL);
    memset(b, 0xA5, sizeof *b);
    qb_problem_init(&b->p);
    b->p.input = QB_FORMAT_F32;
    b->p.output = output;
    b->p.scale_format = scale_format;
    b->p.granularity = QB_GRANULARITY_GROUP;
    b->p.group = group;
    b->p.tokens = tokens;
    b->p.hidden = hidden;
    for (int i = 0; i < ROOM; i++) {
        b->input[i] = NAN; /* what is not set, as rows that a launch pads with */
    }
    return b;
}

/* Run the CPU's best kernel on what the reference had, and compare all that either has written or left alone. */
static void run_kernel(struct bench *b, const struct bench *before)
{
    struct bench *other = malloc(sizeof *other);
    struct qb_device *device;
    struct qb_queue *queue;

    ck_assert(other != NULL);
    memcpy(other, before, sizeof *other);
    other->tensors = (struct qb_tensors)QB_TENSORS(other->input, other->codes, other->scales);
    other->tensors.at[QB_ROLE_ZERO_POINTS] = b->tensors.at[QB_ROLE_ZERO_POINTS] != NULL ? other->zero_points : NULL;
    other->tensors.at[QB_ROLE_TENSOR_SCALE] = b->tensors.at[QB_ROLE_TENSOR_SCALE] != NULL ? &other->tensor_scale : NULL;
    ck_assert_int_eq(qb_device_open(qb_backend_find("cpu"), 0, &device), QB_OK);
    ck_assert_int_eq(qb_queue_create(device, &queue), QB_OK);
    ck_assert_msg(qb_quantize(queue, &other->p, &other->tensors) == QB_OK, "%s", qb_error_detail());
    ck_assert(memcmp(other->codes, b->codes, sizeof b->codes) == 0);
    ck_assert(memcmp(other->scales, b->scales, sizeof b->scales) == 0);
    ck_assert(memcmp(other->zero_points, b->zero_points, sizeof b->zero_points) == 0);
    ck_assert(memcmp(&other->tensor_scale, &b->tensor_scale, sizeof b->tensor_scale) == 0);
    qb_queue_destroy(queue);
    qb_device_close(device);
    free(other);
}

static void bench_run(struct bench *b)
{
    struct bench *before = malloc(sizeof *before);

    ck_assert(before != NULL);
    memcpy(before, b, sizeof *before);
    b->tensors = (struct qb_tensors)QB_TENSORS(b->input, b->codes, b->scales);
    if (b->p.zero_points != QB_ZERO_POINTS_NONE) {
        b->tensors.at[QB_ROLE_ZERO_POINTS] = b->zero_points;
    }
    if (b->p.tensor_scale != QB_TENSOR_SCALE_NONE) {
        b->tensors.at[QB_ROLE_TENSOR_SCALE] = &b->tensor_scale;
    }
    ck_assert_msg(qb_reference_run(&b->p, &b->tensors) == QB_OK, "%s", qb_error_detail());
    run_kernel(b, before);
    free(before);
}

static uint64_t scale_at(const struct bench *b, uint64_t row, uint64_t col)
{
    uint64_t offset = 0;

    ck_assert_int_eq(qb_problem_scale_offset(&b->p, row, col, &offset), QB_OK);
    return offset;
}

static uint8_t code_at(const struct bench *b, uint64_t row, uint64_t col)
{
    const uint64_t stride = b->p.output_stride != 0 ? b->p.output_stride : b->p.hidden + b->p.hidden % 2;
    uint8_t code;

    qb_codes_unpack(b->p.output, b->p.packing, b->codes + row * qb_codes_bytes(b->p.output, b->p.packing, stride), col,
                    1, &code);
    return code;
}

/* ---- Sizes, places and padding ------------------------------------------------------------------------------------
 */

/* A buffer of tiles is for whole tiles: one row of 14336 elements has 128 x 896 scales, and not 896. */
START_TEST(tiles_are_whole_for_one_row)
{
    struct bench *b = bench_new(QB_FORMAT_E2M1, QB_FORMAT_E4M3, 1, 14336, 16);
    struct qb_tensor_info info = {.size = sizeof info};

    b->p.scale_layout = QB_SCALE_LAYOUT_TILED_128X4;
    ck_assert_int_eq(qb_problem_tensor(&b->p, QB_ROLE_SCALES, &info), QB_OK);
    ck_assert_uint_eq(info.bytes, 114688);
    free(b);
}
END_TEST

/* Offsets and sizes of a tensor beyond 2^32 elements are neither negative nor wrapped. */
START_TEST(places_beyond_32_bits)
{
    static const enum qb_scale_layout layouts[] = {QB_SCALE_LAYOUT_ROWS, QB_SCALE_LAYOUT_COLUMNS,
                                                   QB_SCALE_LAYOUT_PACKED, QB_SCALE_LAYOUT_TILED_128X4,
                                                   QB_SCALE_LAYOUT_TILED_8X4};
    struct bench *b = bench_new(QB_FORMAT_E2M1, QB_FORMAT_E8M0, UINT64_C(1) << 28, 8192, 32);
    struct qb_tensor_info info = {.size = sizeof info};
    uint64_t offset = 0;

    ck_assert_int_eq(qb_problem_tensor(&b->p, QB_ROLE_CODES, &info), QB_OK);
    ck_assert_uint_eq(info.bytes, UINT64_C(1) << 40);
    for (size_t i = 0; i < sizeof layouts / sizeof layouts[0]; i++) {
        b->p.scale_layout = layouts[i];
        ck_assert_int_eq(qb_problem_tensor(&b->p, QB_ROLE_SCALES, &info), QB_OK);
        ck_assert_uint_eq(info.bytes, UINT64_C(1) << 36);
        ck_assert_int_eq(qb_problem_scale_offset(&b->p, b->p.tokens - 1, 255, &offset), QB_OK);
        ck_assert_uint_eq(offset, info.bytes - 1);
    }
    free(b);
}
END_TEST

/* The tensor scale is one binary32, not a number of the input's format. */
START_TEST(tensor_scales_are_binary32)
{
    struct bench *b = bench_new(QB_FORMAT_E2M1, QB_FORMAT_E4M3, 1, 16, 16);
    struct qb_tensor_info info = {.size = sizeof info};

    b->p.input = QB_FORMAT_BF16;
    b->p.tensor_scale = QB_TENSOR_SCALE_GIVEN;
    ck_assert_int_eq(qb_problem_tensor(&b->p, QB_ROLE_TENSOR_SCALE, &info), QB_OK);
    ck_assert(info.format == QB_FORMAT_F32 && info.bytes == 4 && info.read && !info.written);
    free(b);
}
END_TEST

/* NaN between and below the rows, as in buffers that are larger than the tensor, does not leak into scales. */
START_TEST(elements_outside_the_tensor_do_not_count)
{
    struct bench *b = bench_new(QB_FORMAT_E2M1, QB_FORMAT_E8M0, 5, 40, 32);

    b->p.input_stride = 64;
    b->p.scale_layout = QB_SCALE_LAYOUT_TILED_128X4;
    for (int row = 0; row < 5; row++) {
        for (int col = 0; col < 40; col++) {
            b->input[row * 64 + col] = (float)(row + 1);
        }
    }
    bench_run(b);
    for (uint64_t row = 0; row < 5; row++) {
        for (uint64_t col = 0; col < 40; col++) {
            const float scale = qb_format_decode(QB_FORMAT_E8M0, b->scales[scale_at(b, row, col / 32)]);

            ck_assert(qb_format_decode(QB_FORMAT_E2M1, code_at(b, row, col)) * scale ==
                      (float)(row == 4 ? 4 : row + 1));
        }
    }
    for (uint64_t byte = 0, written = 0; byte < 512; byte++) { /* the whole tile is written: 10 scales, and zeros */
        written += b->scales[byte] != 0;
        ck_assert(byte < 511 || written == 10);
    }
    free(b);
}
END_TEST

/* Hidden sizes that are not multiples of a tile of scales, or of a group. */
START_TEST(hidden_sizes_of_models)
{
    static const uint64_t hiddens[] = {4544, 576, 3584, 2880, 1368};
    struct bench *b = bench_new(QB_FORMAT_E4M3, QB_FORMAT_E8M0, 3, hiddens[_i], 128);
    const uint64_t groups = (hiddens[_i] + 127) / 128;
    struct qb_tensor_info info = {.size = sizeof info};

    b->p.scale_layout = QB_SCALE_LAYOUT_PACKED;
    for (uint64_t i = 0; i < 3 * b->p.hidden; i++) {
        b->input[i] = ldexpf(1, (int)(i / b->p.hidden * groups + i % b->p.hidden / 128) % 200 - 100);
    }
    bench_run(b);
    ck_assert_int_eq(qb_problem_tensor(&b->p, QB_ROLE_SCALES, &info), QB_OK);
    ck_assert_uint_eq(info.bytes, (groups + 3) / 4 * 4 * 4);
    for (uint64_t row = 0; row < 3; row++) {
        for (uint64_t group = 0; group < groups; group++) { /* 1 / 448 rounded up is 2^-8 */
            ck_assert_uint_eq(b->scales[scale_at(b, row, group)], (row * groups + group) % 200 - 100 + 127 - 8);
        }
    }
    free(b);
}
END_TEST

/* ---- Scales -------------------------------------------------------------------------------------------------------
 */

/* Rounded to the nearest power of two, or down, a scale would cut off up to 29 or 50 % of a block's largest element. */
START_TEST(the_largest_element_of_a_block_is_kept)
{
    struct bench *b = bench_new(QB_FORMAT_E4M3, QB_FORMAT_E8M0, 1, 32, 32);

    for (int i = 0; i < 32; i++) {
        b->input[i] = 957;
    }
    bench_run(b);
    ck_assert(qb_format_decode(QB_FORMAT_E4M3, b->codes[0]) * qb_format_decode(QB_FORMAT_E8M0, b->scales[0]) == 960);
    b->p.scale_rounding = QB_SCALE_ROUNDING_FLOOR; /* which is known for it */
    bench_run(b);
    ck_assert(qb_format_decode(QB_FORMAT_E4M3, b->codes[0]) * qb_format_decode(QB_FORMAT_E8M0, b->scales[0]) == 896);
    free(b);
}
END_TEST

/* Neither infinite elements nor a tensor scale that has no finite inverse make a scale NaN. */
START_TEST(scales_in_e4m3_are_never_nan)
{
    static const float given[] = {0x1p-149f, 0x1p-127f, FLT_MIN, 1, 0x1p126f, FLT_MAX};
    struct bench *b = bench_new(QB_FORMAT_E2M1, QB_FORMAT_E4M3, 4, 16, 16);

    for (int i = 0; i < 64; i++) {
        b->input[i] = i < 16 ? INFINITY : i < 32 ? NAN : i < 48 ? (float)i * FLT_MIN / 64 : -FLT_MAX;
    }
    for (int i = -1; i < 6; i++) {
        b->p.tensor_scale = i < 0 ? QB_TENSOR_SCALE_COMPUTED : QB_TENSOR_SCALE_GIVEN;
        b->tensor_scale = i < 0 ? NAN : given[i];
        bench_run(b);
        for (int row = 0; row < 4; row++) {
            ck_assert_uint_le(b->scales[row], 0x7E);
        }
        ck_assert(isfinite(b->tensor_scale) && b->tensor_scale > 0);
        /* A group of NaN is one without elements; with an infinite S, 0 * S has the other operand of its minimum. */
        ck_assert_uint_eq(b->scales[1], isinf(1 / b->tensor_scale) ? 0x7E : 0);
    }
    free(b);
}
END_TEST

/* Data that were quantized before sit on codes and between them, where a reciprocal in place of a quotient shows. Their
 * codes come back as they were. */
START_TEST(decoded_data_have_the_same_codes)
{
    struct bench *b = bench_new(QB_FORMAT_E2M1, QB_FORMAT_E8M0, 32, 1024, 32);
    uint64_t state = test_seed();
    uint8_t *codes = malloc(ROOM), *scales = malloc(ROOM);

    ck_assert(codes != NULL && scales != NULL);
    b->p.scale_rounding = (enum qb_scale_rounding)_i;
    for (int i = 0; i < 32 * 1024; i++) {
        b->input[i] = (float)(test_random(&state) >> 40) * 0x1p-20f - 8;
    }
    bench_run(b);
    memcpy(codes, b->codes, sizeof b->codes);
    memcpy(scales, b->scales, sizeof b->scales);
    for (uint64_t i = 0; i < 32 * 1024; i++) {
        b->input[i] = qb_format_decode(QB_FORMAT_E2M1, code_at(b, i / 1024, i % 1024)) *
                      qb_format_decode(QB_FORMAT_E8M0, b->scales[i / 32]);
    }
    b->p.scaling = QB_SCALING_STATIC;
    memset(b->codes, 0xA5, sizeof b->codes);
    bench_run(b);
    ck_assert(memcmp(codes, b->codes, sizeof b->codes) == 0);
    ck_assert(memcmp(scales, b->scales, sizeof b->scales) == 0);
    free(codes);
    free(scales);
    free(b);
}
END_TEST

/* ---- Integers ------------------------------------------------------------------------------------------------------
 */

/* A value that is rounded beyond the range, as 7.6 is, saturates, and leaves the other half of its byte alone. */
START_TEST(saturated_codes_stay_in_their_half)
{
    static const enum qb_format outputs[] = {QB_FORMAT_INT4, QB_FORMAT_INT4, QB_FORMAT_UINT4};
    static const float values[] = {7.6f, 0, -8.6f, 0, 100, 0, -100, 0, INFINITY, 0, -INFINITY, 0, 15.5f, 0, 0, 1e30f};
    struct bench *b = bench_new(outputs[_i], QB_FORMAT_F32, 1, 16, 16);
    const int least = _i == 2 ? 0 : -8, largest = least + 15, zero = _i == 0 ? 0 : _i == 1 ? -3 : 8;

    b->p.scaling = QB_SCALING_STATIC;
    b->p.zero_points = _i == 0 ? QB_ZERO_POINTS_NONE : QB_ZERO_POINTS_INT8;
    b->zero_points[0] = (int8_t)zero;
    memcpy(b->scales, &(float){1}, sizeof(float));
    memcpy(b->input, values, sizeof values);
    bench_run(b);
    for (uint64_t i = 0; i < 16; i++) {
        const double want = fmin(fmax(nearbyint((double)values[i]) + zero, least), largest);

        ck_assert((double)qb_format_decode(outputs[_i], code_at(b, 0, i)) == want);
    }
    free(b);
}
END_TEST

/* NaN, which passes comparisons with a least and a largest value, is neither: it has the code of 0. */
START_TEST(nan_does_not_spoil_a_range)
{
    static const float values[8] = {NAN, -1, 2, NAN, 0, 1, NAN, -NAN};
    struct bench *b = bench_new(QB_FORMAT_INT4, QB_FORMAT_F32, 1, 8, 8);
    float scale;

    b->p.zero_points = QB_ZERO_POINTS_INT8;
    memcpy(b->input, values, sizeof values);
    bench_run(b);
    memcpy(&scale, b->scales, sizeof scale);
    ck_assert(scale == 0.2f);
    ck_assert_int_eq(b->zero_points[0], -3);
    for (uint64_t i = 0; i < 8; i++) {
        const float value = qb_format_decode(QB_FORMAT_INT4, code_at(b, 0, i));

        ck_assert(value == (isnan(values[i]) ? -3 : values[i] * 5 - 3));
    }
    free(b);
}
END_TEST

/* Orders of others are made of single codes, as quantbench-numerics(7) says. */
START_TEST(orders_of_others_by_repacking)
{
    static const int awq[8] = {0, 2, 4, 6, 1, 3, 5, 7};
    uint8_t packed[4], codes[8], offset[4];
    uint32_t word = 0;

    for (uint8_t i = 0; i < 8; i++) {
        codes[i] = (uint8_t)((i + 12) & 15); /* of INT4: -4 to 3 */
    }
    qb_codes_pack(QB_FORMAT_INT4, QB_PACKING_BYTES, codes, 8, packed);
    /* pack-quantized: a word of q + 8, element 0 in its lowest bits. */
    for (uint32_t i = 0; i < 8; i++) {
        word |= (uint32_t)((int)qb_format_decode(QB_FORMAT_INT4, codes[i]) + 8) << 4 * i;
    }
    for (int i = 0; i < 4; i++) {
        offset[i] = (uint8_t)(word >> 8 * i);
        ck_assert_uint_eq(offset[i], packed[i] ^ 0x88);
    }
    /* AWQ: nibble k is column awq[k]. */
    qb_codes_unpack(QB_FORMAT_UINT4, QB_PACKING_BYTES, offset, 0, 8, codes);
    word = 0;
    for (uint32_t k = 0; k < 8; k++) {
        word |= (uint32_t)codes[awq[k]] << 4 * k;
    }
    ck_assert_uint_eq(word, 0xB975A864);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("pitfalls");
    TCase *places = patient_case("places"), *scales = patient_case("scales"), *integers = patient_case("integers");

    tcase_add_test(places, tiles_are_whole_for_one_row);
    tcase_add_test(places, places_beyond_32_bits);
    tcase_add_test(places, tensor_scales_are_binary32);
    tcase_add_test(places, elements_outside_the_tensor_do_not_count);
    tcase_add_loop_test(places, hidden_sizes_of_models, 0, 5);
    suite_add_tcase(suite, places);
    tcase_add_test(scales, the_largest_element_of_a_block_is_kept);
    tcase_add_test(scales, scales_in_e4m3_are_never_nan);
    tcase_add_loop_test(scales, decoded_data_have_the_same_codes, 0, QB_SCALE_ROUNDING_COUNT);
    suite_add_tcase(suite, scales);
    tcase_add_loop_test(integers, saturated_codes_stay_in_their_half, 0, 3);
    tcase_add_test(integers, nan_does_not_spoil_a_range);
    tcase_add_test(integers, orders_of_others_by_repacking);
    suite_add_tcase(suite, integers);
    return run_suite(suite);
}
