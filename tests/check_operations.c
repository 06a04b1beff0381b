/* SPDX-License-Identifier: Apache-2.0 */
/* check_operations.c - operations around a quantization: their members, their tensors, that each is its values and then
 * their quantization, and how much the rounding of values matters. check_values.c has the values. */
#include <config.h>

#include "quantbench.h"
#include "run.h"

#include <math.h>
#include <string.h>

static bool has_cache(enum qb_operation operation)
{
    return operation == QB_OPERATION_KV_WRITE || operation == QB_OPERATION_KV_READ;
}

static bool is_transposed(enum qb_operation operation)
{
    return operation == QB_OPERATION_TRANSPOSE || operation == QB_OPERATION_DUAL;
}

static struct qb_problem problem_of(enum qb_operation operation)
{
    struct qb_problem p;

    qb_problem_init(&p);
    p.operation = operation;
    p.tokens = 4;
    p.hidden = 96;
    if (operation == QB_OPERATION_DEQUANTIZE) {
        p.scaling = QB_SCALING_STATIC;
    }
    if (has_cache(operation)) {
        p.granularity = QB_GRANULARITY_TOKEN;
        p.page_size = p.pages = 2;
    }
    if (is_transposed(operation)) {
        p.granularity = QB_GRANULARITY_GROUP;
        p.group = 128;
    }
    return p;
}

/* ---- Members --------------------------------------------------------------------------------------------------- */

/* A member out of its range, and a word that the reason must have. */
static const struct {
    enum qb_operation operation;
    const char *word;
    struct qb_problem change; /* members that are not 0 replace those of a valid problem */
} invalid[] = {
    {QB_OPERATION_SILU_MUL, "intermediate 3", {.intermediate = (enum qb_intermediate)3}},
    {QB_OPERATION_RMS_NORM, "intermediate 3", {.intermediate = (enum qb_intermediate)3}},
    {QB_OPERATION_SILU_MUL, "keep_values 2", {.keep_values = 2}},
    {QB_OPERATION_GELU_MUL, "gelu 2", {.gelu = (enum qb_gelu)2}},
    {QB_OPERATION_SILU_MUL, "gelu erf; expected tanh", {.gelu = QB_GELU_ERF}},
    {QB_OPERATION_SILU_MUL, "gate 2", {.gate = (enum qb_gate)2}},
    {QB_OPERATION_SILU_MUL, "gate limit -1", {.gate_limit = -1}},
    {QB_OPERATION_SILU_MUL, "gate limit inf", {.gate_limit = INFINITY}},
    {QB_OPERATION_SILU_MUL, "gate limit nan", {.gate_limit = NAN}},
    {QB_OPERATION_GELU_MUL, "gate limit 7.01", {.gate_limit = 7.01f}}, /* half lacks it */
    {QB_OPERATION_GELU_MUL, "gate limit 1e+06", {.gate_limit = 1e6f}},
    {QB_OPERATION_SILU_MUL, "alpha -1", {.alpha = -1}},
    {QB_OPERATION_SILU_MUL, "alpha inf", {.alpha = INFINITY}},
    {QB_OPERATION_SILU_MUL, "alpha nan", {.alpha = NAN}},
    {QB_OPERATION_GELU_MUL, "alpha 1", {.alpha = 1}},
    {QB_OPERATION_GELU_MUL, "up offset nan", {.up_offset = NAN}},
    {QB_OPERATION_SILU_MUL, "up offset inf", {.up_offset = INFINITY}},
    {QB_OPERATION_SILU_MUL, "input stride 191", {.input_stride = 191}}, /* of gates and ups there are 192 */
    {QB_OPERATION_RMS_NORM, "input stride 95", {.input_stride = 95}},
    {QB_OPERATION_RMS_NORM, "weights 2", {.weights = (enum qb_weights)2}},
    {QB_OPERATION_RMS_NORM, "epsilon -1", {.epsilon = -1}},
    {QB_OPERATION_ADD_RMS_NORM, "epsilon nan", {.epsilon = NAN}},
    {QB_OPERATION_ADD_RMS_NORM, "epsilon inf", {.epsilon = INFINITY}},
    {QB_OPERATION_DEQUANTIZE, "static scaling", {.scaling = QB_SCALING_AMAX}},
    {QB_OPERATION_DEQUANTIZE, "output format 2", {.output = QB_FORMAT_F32}},
    {QB_OPERATION_DEQUANTIZE, "input format 4", {.input = QB_FORMAT_E4M3}},
    {QB_OPERATION_DEQUANTIZE, "input stride 95", {.input_stride = 95}},
    {QB_OPERATION_ROPE, "intermediate 3", {.intermediate = (enum qb_intermediate)3}},
    {QB_OPERATION_ROPE, "weights 2", {.weights = (enum qb_weights)2}},
    {QB_OPERATION_ROPE, "pairing 2", {.pairing = (enum qb_pairing)2}},
    {QB_OPERATION_ROPE, "not a multiple of head size 64", {.head_size = 64}},
    {QB_OPERATION_ROPE, "not a multiple of head size 97", {.head_size = 97}},
    {QB_OPERATION_ROPE, "47 rotary elements", {.rotary = 47}},
    {QB_OPERATION_ROPE, "98 rotary elements", {.rotary = 98}},
    {QB_OPERATION_ROPE, "34 rotary elements", {.rotary = 34, .head_size = 32}},
    {QB_OPERATION_ROPE, "positions", {.positions = UINT64_MAX}},
    {QB_OPERATION_ROPE, "bytes", {.positions = INT64_MAX / 4}},
    {(enum qb_operation)QB_OPERATION_COUNT, "operation 11", {.input_stride = 0}},
    {QB_OPERATION_SILU_MUL, "is too large", {.hidden = UINT64_MAX / 2 + 1}},
    {QB_OPERATION_ADD_RMS_NORM, "bytes", {.tokens = UINT64_MAX / 64}},
    /* What quantization refuses is refused before it. */
    {QB_OPERATION_RMS_NORM, "groups", {.scale_format = QB_FORMAT_E8M0}},
    {QB_OPERATION_SILU_MUL, "zero points", {.output = QB_FORMAT_UINT4}},
    {QB_OPERATION_SILU_MUL, "amax bound", {.amax_bound = -1}},
};

START_TEST(members_out_of_range_are_named)
{
    struct qb_problem p = problem_of(invalid[_i].operation);
    const struct qb_problem *change = &invalid[_i].change;

#define CHANGE(member) p.member = change->member != 0 ? change->member : p.member
    CHANGE(input);
    CHANGE(output);
    CHANGE(scale_format);
    CHANGE(scaling);
    CHANGE(tokens);
    CHANGE(hidden);
    CHANGE(input_stride);
    CHANGE(amax_bound);
    CHANGE(intermediate);
    CHANGE(keep_values);
    CHANGE(gelu);
    CHANGE(gate);
    CHANGE(gate_limit);
    CHANGE(alpha);
    CHANGE(up_offset);
    CHANGE(weights);
    CHANGE(epsilon);
    CHANGE(pairing);
    CHANGE(head_size);
    CHANGE(rotary);
    CHANGE(positions);
    ck_assert_int_eq(qb_problem_validate(&p), QB_ERROR_INVALID);
    ck_assert_msg(strstr(qb_error_detail(), invalid[_i].word) != NULL, "'%s' does not hold '%s'", qb_error_detail(),
                  invalid[_i].word);
}
END_TEST

/* Members of other operations are not read. */
START_TEST(members_of_other_operations_are_free)
{
    struct qb_problem p = problem_of((enum qb_operation)_i);
    const bool gated = _i == QB_OPERATION_SILU_MUL || _i == QB_OPERATION_GELU_MUL;
    const bool norm = _i == QB_OPERATION_RMS_NORM || _i == QB_OPERATION_ADD_RMS_NORM;
    const bool rope = _i == QB_OPERATION_ROPE;

    ck_assert_msg(qb_problem_validate(&p) == QB_OK, "%s", qb_error_detail());
    if (!gated) {
        p.gelu = (enum qb_gelu)7;
        p.gate = (enum qb_gate)7;
        p.gate_limit = p.alpha = p.up_offset = NAN;
    }
    if (!norm) {
        p.epsilon = NAN;
    }
    if (!norm && !rope) {
        p.weights = (enum qb_weights)7;
    }
    if (!rope) {
        p.pairing = (enum qb_pairing)7;
        p.rotary = 7;
        p.positions = UINT64_MAX;
    }
    if (!gated && !norm && !rope) {
        p.intermediate = (enum qb_intermediate)7;
        p.keep_values = 7;
    }
    ck_assert_msg(qb_problem_validate(&p) == QB_OK, "%s", qb_error_detail());
}
END_TEST

START_TEST(names)
{
    static const char *const operations[] = {"quantize",  "dequantize",   "silu-mul", "gelu-mul",
                                             "rms-norm",  "add-rms-norm", "kv-write", "rope",
                                             "transpose", "dual",         "kv-read"};

    for (int i = 0; i < QB_OPERATION_COUNT; i++) {
        ck_assert_str_eq(qb_operation_name((enum qb_operation)i), operations[i]);
    }
    ck_assert_str_eq(qb_intermediate_name(QB_INTERMEDIATE_INPUT), "input");
    ck_assert_str_eq(qb_intermediate_name(QB_INTERMEDIATE_LAST), "last");
    ck_assert_str_eq(qb_intermediate_name(QB_INTERMEDIATE_FLOAT), "float");
    ck_assert_str_eq(qb_gelu_name(QB_GELU_TANH), "tanh");
    ck_assert_str_eq(qb_gelu_name(QB_GELU_ERF), "erf");
    ck_assert_ptr_null(qb_gelu_name((enum qb_gelu)QB_GELU_COUNT));
    ck_assert_str_eq(qb_gate_name(QB_GATE_INTERLEAVED), "interleaved");
    ck_assert_str_eq(qb_weights_name(QB_WEIGHTS_FLOAT), "float");
    ck_assert_str_eq(qb_pairing_name(QB_PAIRING_ADJACENT), "adjacent");
    ck_assert_ptr_null(qb_pairing_name((enum qb_pairing)QB_PAIRING_COUNT));
    ck_assert_ptr_null(qb_operation_name((enum qb_operation)QB_OPERATION_COUNT));
    ck_assert_ptr_null(qb_intermediate_name((enum qb_intermediate) - 1));
    ck_assert_ptr_null(qb_gate_name((enum qb_gate)QB_GATE_COUNT));
    ck_assert_ptr_null(qb_weights_name((enum qb_weights)QB_WEIGHTS_COUNT));
    ck_assert_ptr_null(qb_role_name((enum qb_role)QB_ROLE_COUNT));
}
END_TEST

/* ---- Tensors --------------------------------------------------------------------------------------------------- */

/* A tensor of 4 tokens of 96 half elements to INT8 per token; rows of the input and of codes have gaps. */
static const struct {
    enum qb_operation operation;
    enum qb_role role;
    bool read, written;
    enum qb_format format;
    uint64_t rows, cols, stride;
} tensors_of[] = {
    {QB_OPERATION_QUANTIZE, QB_ROLE_INPUT, true, false, QB_FORMAT_F16, 4, 96, 200},
    {QB_OPERATION_QUANTIZE, QB_ROLE_CODES, false, true, QB_FORMAT_INT8, 4, 96, 100},
    {QB_OPERATION_QUANTIZE, QB_ROLE_SCALES, false, true, QB_FORMAT_F32, 4, 1, 1},
    {QB_OPERATION_DEQUANTIZE, QB_ROLE_CODES, true, false, QB_FORMAT_INT8, 4, 96, 100},
    {QB_OPERATION_DEQUANTIZE, QB_ROLE_SCALES, true, false, QB_FORMAT_F32, 4, 1, 1},
    {QB_OPERATION_DEQUANTIZE, QB_ROLE_VALUES, false, true, QB_FORMAT_F16, 4, 96, 200},
    {QB_OPERATION_SILU_MUL, QB_ROLE_INPUT, true, false, QB_FORMAT_F16, 4, 192, 200},
    {QB_OPERATION_SILU_MUL, QB_ROLE_CODES, false, true, QB_FORMAT_INT8, 4, 96, 100},
    {QB_OPERATION_SILU_MUL, QB_ROLE_SCALES, false, true, QB_FORMAT_F32, 4, 1, 1},
    {QB_OPERATION_SILU_MUL, QB_ROLE_VALUES, false, true, QB_FORMAT_F16, 4, 96, 96},
    {QB_OPERATION_GELU_MUL, QB_ROLE_INPUT, true, false, QB_FORMAT_F16, 4, 192, 200},
    {QB_OPERATION_GELU_MUL, QB_ROLE_CODES, false, true, QB_FORMAT_INT8, 4, 96, 100},
    {QB_OPERATION_GELU_MUL, QB_ROLE_SCALES, false, true, QB_FORMAT_F32, 4, 1, 1},
    {QB_OPERATION_GELU_MUL, QB_ROLE_VALUES, false, true, QB_FORMAT_F16, 4, 96, 96},
    {QB_OPERATION_RMS_NORM, QB_ROLE_INPUT, true, false, QB_FORMAT_F16, 4, 96, 200},
    {QB_OPERATION_RMS_NORM, QB_ROLE_CODES, false, true, QB_FORMAT_INT8, 4, 96, 100},
    {QB_OPERATION_RMS_NORM, QB_ROLE_SCALES, false, true, QB_FORMAT_F32, 4, 1, 1},
    {QB_OPERATION_RMS_NORM, QB_ROLE_WEIGHTS, true, false, QB_FORMAT_F16, 1, 96, 96},
    {QB_OPERATION_RMS_NORM, QB_ROLE_VALUES, false, true, QB_FORMAT_F16, 4, 96, 96},
    {QB_OPERATION_ADD_RMS_NORM, QB_ROLE_INPUT, true, false, QB_FORMAT_F16, 4, 96, 200},
    {QB_OPERATION_ADD_RMS_NORM, QB_ROLE_CODES, false, true, QB_FORMAT_INT8, 4, 96, 100},
    {QB_OPERATION_ADD_RMS_NORM, QB_ROLE_SCALES, false, true, QB_FORMAT_F32, 4, 1, 1},
    {QB_OPERATION_ADD_RMS_NORM, QB_ROLE_WEIGHTS, true, false, QB_FORMAT_F16, 1, 96, 96},
    {QB_OPERATION_ADD_RMS_NORM, QB_ROLE_RESIDUAL, true, false, QB_FORMAT_F16, 4, 96, 96},
    {QB_OPERATION_ADD_RMS_NORM, QB_ROLE_SUM, false, true, QB_FORMAT_F16, 4, 96, 96},
    {QB_OPERATION_ADD_RMS_NORM, QB_ROLE_VALUES, false, true, QB_FORMAT_F16, 4, 96, 96},
    {QB_OPERATION_KV_WRITE, QB_ROLE_INPUT, true, false, QB_FORMAT_F16, 4, 96, 200},
    {QB_OPERATION_KV_WRITE, QB_ROLE_CODES, false, true, QB_FORMAT_INT8, 8, 48, 48},
    {QB_OPERATION_KV_WRITE, QB_ROLE_SCALES, false, true, QB_FORMAT_F32, 8, 1, 1},
    {QB_OPERATION_KV_WRITE, QB_ROLE_SLOTS, true, false, QB_FORMAT_INT64, 4, 1, 1},
    {QB_OPERATION_KV_READ, QB_ROLE_CODES, true, false, QB_FORMAT_INT8, 8, 48, 48},
    {QB_OPERATION_KV_READ, QB_ROLE_SCALES, true, false, QB_FORMAT_F32, 8, 1, 1},
    {QB_OPERATION_KV_READ, QB_ROLE_VALUES, false, true, QB_FORMAT_F16, 4, 96, 200},
    {QB_OPERATION_KV_READ, QB_ROLE_SLOTS, true, false, QB_FORMAT_INT64, 4, 1, 1},
    {QB_OPERATION_ROPE, QB_ROLE_INPUT, true, false, QB_FORMAT_F16, 4, 96, 200},
    {QB_OPERATION_ROPE, QB_ROLE_CODES, false, true, QB_FORMAT_INT8, 4, 96, 100},
    {QB_OPERATION_ROPE, QB_ROLE_SCALES, false, true, QB_FORMAT_F32, 4, 1, 1},
    {QB_OPERATION_ROPE, QB_ROLE_VALUES, false, true, QB_FORMAT_F16, 4, 96, 96},
    {QB_OPERATION_ROPE, QB_ROLE_ANGLES, true, false, QB_FORMAT_F16, 4, 96, 96},
    {QB_OPERATION_ROPE, QB_ROLE_POSITIONS, true, false, QB_FORMAT_INT64, 4, 1, 1},
    {QB_OPERATION_TRANSPOSE, QB_ROLE_INPUT, true, false, QB_FORMAT_F16, 4, 96, 200},
    {QB_OPERATION_TRANSPOSE, QB_ROLE_CODES, false, true, QB_FORMAT_INT8, 96, 4, 100},
    {QB_OPERATION_TRANSPOSE, QB_ROLE_SCALES, false, true, QB_FORMAT_F32, 96, 1, 1},
    {QB_OPERATION_DUAL, QB_ROLE_INPUT, true, false, QB_FORMAT_F16, 4, 96, 200},
    {QB_OPERATION_DUAL, QB_ROLE_CODES, false, true, QB_FORMAT_INT8, 4, 96, 100},
    {QB_OPERATION_DUAL, QB_ROLE_SCALES, false, true, QB_FORMAT_F32, 4, 1, 1},
    {QB_OPERATION_DUAL, QB_ROLE_TRANSPOSED, false, true, QB_FORMAT_INT8, 96, 4, 4},
    {QB_OPERATION_DUAL, QB_ROLE_TRANSPOSED_SCALES, false, true, QB_FORMAT_F32, 96, 1, 1},
};
#define TENSORS (sizeof tensors_of / sizeof tensors_of[0])

START_TEST(tensors_of_operations)
{
    struct qb_problem p = problem_of((enum qb_operation)_i);
    uint64_t traffic[2] = {0}, expected[2] = {0};
    struct qb_tensor_info info = {.size = sizeof info};

    p.granularity = is_transposed(p.operation) ? QB_GRANULARITY_GROUP : QB_GRANULARITY_TOKEN;
    p.keep_values = 1;
    p.input_stride = 200;
    p.output_stride = has_cache(p.operation) ? 0 : 100;
    for (int role = 0; role < QB_ROLE_COUNT; role++) {
        size_t i = 0;

        while (i < TENSORS && (tensors_of[i].operation != p.operation || (int)tensors_of[i].role != role)) {
            i++;
        }
        ck_assert_int_eq(qb_problem_tensor(&p, (enum qb_role)role, &info), QB_OK);
        ck_assert_msg(info.present == (i < TENSORS), "%s", qb_role_name((enum qb_role)role));
        if (i < TENSORS) {
            const uint64_t size = qb_format_info(tensors_of[i].format)->bits / 8;

            ck_assert(info.read == tensors_of[i].read && info.written == tensors_of[i].written);
            ck_assert_int_eq(info.format, tensors_of[i].format);
            ck_assert_uint_eq(info.rows, tensors_of[i].rows);
            ck_assert_uint_eq(info.cols, tensors_of[i].cols);
            ck_assert_uint_eq(info.stride, tensors_of[i].stride);
            ck_assert_uint_eq(info.bytes, ((info.rows - 1) * info.stride + info.cols) * size);
            ck_assert_uint_eq(info.traffic, info.rows * info.cols * size);
            expected[info.written] += info.traffic;
        }
    }
    qb_problem_traffic(&p, &traffic[0], &traffic[1]);
    ck_assert_uint_eq(traffic[0], expected[0]);
    ck_assert_uint_eq(traffic[1], expected[1]);
}
END_TEST

/* Values in binary32, weights in it, values that are not kept, and static scales. */
START_TEST(tensors_follow_members)
{
    struct qb_problem p = problem_of(QB_OPERATION_RMS_NORM);
    struct qb_tensor_info info = {.size = sizeof info};

    ck_assert_int_eq(qb_problem_tensor(&p, QB_ROLE_VALUES, &info), QB_OK);
    ck_assert(!info.present && info.bytes == 0 && info.traffic == 0);
    p.keep_values = 1;
    p.intermediate = QB_INTERMEDIATE_FLOAT;
    ck_assert_int_eq(qb_problem_tensor(&p, QB_ROLE_VALUES, &info), QB_OK);
    ck_assert(info.present && info.format == QB_FORMAT_F32 && info.traffic == 4 * 96 * 4);
    p.weights = QB_WEIGHTS_FLOAT;
    ck_assert_int_eq(qb_problem_tensor(&p, QB_ROLE_WEIGHTS, &info), QB_OK);
    ck_assert(info.format == QB_FORMAT_F32 && info.traffic == 96 * 4);
    p.scaling = QB_SCALING_STATIC;
    ck_assert_int_eq(qb_problem_tensor(&p, QB_ROLE_SCALES, &info), QB_OK);
    ck_assert(info.read && !info.written);
    p.scaling = QB_SCALING_AMAX;
    ck_assert_int_eq(qb_problem_tensor(&p, QB_ROLE_CODES, &info), QB_OK);
    ck_assert(!info.present);
}
END_TEST

/* ---- Runs ------------------------------------------------------------------------------------------------------ */

#define ROLES QB_ROLE_COUNT

/* The tensors of a problem in memory of their own, filled with BYTE. */
static void allocate(const struct qb_problem *p, struct qb_tensors *tensors, int byte)
{
    *tensors = (struct qb_tensors){.size = sizeof *tensors};
    for (int role = 0; role < ROLES; role++) {
        struct qb_tensor_info info = {.size = sizeof info};

        ck_assert_msg(qb_problem_tensor(p, (enum qb_role)role, &info) == QB_OK, "%s", qb_error_detail());
        if (info.present) {
            tensors->at[role] = malloc(info.bytes + 1);
            ck_assert_ptr_nonnull(tensors->at[role]);
            memset(tensors->at[role], byte, info.bytes);
        }
    }
}

static void release(struct qb_tensors *tensors)
{
    for (int role = 0; role < ROLES; role++) {
        free(tensors->at[role]);
    }
}

static uint64_t bytes_of(const struct qb_problem *p, enum qb_role role)
{
    struct qb_tensor_info info = {.size = sizeof info};

    ck_assert_int_eq(qb_problem_tensor(p, role, &info), QB_OK);
    return info.bytes;
}

static float normal(uint64_t *state)
{
    const double u = ((double)(test_random(state) >> 11) + 1) * 0x1p-53,
                 v = (double)(test_random(state) >> 11) * 0x1p-53;

    return (float)(sqrt(-2 * log(u)) * cos(2 * acos(-1) * v));
}

/* Normally distributed numbers to all elements of the tensor of ROLE, with gaps filled too. */
static void fill(const struct qb_problem *p, struct qb_tensors *tensors, enum qb_role role, uint64_t *state)
{
    struct qb_tensor_info info = {.size = sizeof info};

    ck_assert_int_eq(qb_problem_tensor(p, role, &info), QB_OK);
    for (uint64_t i = 0; info.present && i < info.bytes * 8 / info.bits; i++) {
        const uint32_t code = qb_format_encode(info.format, normal(state));

        if (info.bits == 32) {
            ((uint32_t *)tensors->at[role])[i] = code;
        } else {
            ((uint16_t *)tensors->at[role])[i] = (uint16_t)code;
        }
    }
}

static void fill_all(const struct qb_problem *p, struct qb_tensors *tensors)
{
    uint64_t state = test_seed();

    fill(p, tensors, QB_ROLE_INPUT, &state);
    fill(p, tensors, QB_ROLE_WEIGHTS, &state);
    fill(p, tensors, QB_ROLE_RESIDUAL, &state);
    fill(p, tensors, QB_ROLE_ANGLES, &state);
    for (uint64_t i = 0; p->operation == QB_OPERATION_ROPE && i < p->tokens; i++) {
        ((int64_t *)tensors->at[QB_ROLE_POSITIONS])[i] = (int64_t)(p->tokens - 1 - i);
    }
}

static const struct {
    enum qb_format output;
    enum qb_granularity granularity;
    enum qb_scaling scaling;
    uint64_t group;
    enum qb_format scale_format;
    enum qb_scale_layout layout;
    enum qb_tensor_scale tensor_scale;
    enum qb_zero_points zero_points;
    enum qb_packing packing;
} quantizations[] = {
    {.output = QB_FORMAT_INT8, .granularity = QB_GRANULARITY_TOKEN, .scale_format = QB_FORMAT_F32},
    {.output = QB_FORMAT_E5M2, .granularity = QB_GRANULARITY_TENSOR, .scale_format = QB_FORMAT_F32},
    {.output = QB_FORMAT_E4M3, .scaling = QB_SCALING_STATIC, .scale_format = QB_FORMAT_F32},
    {.output = QB_FORMAT_E4M3, .scaling = QB_SCALING_AMAX, .scale_format = QB_FORMAT_F32},
    {.output = QB_FORMAT_E4M3, .granularity = QB_GRANULARITY_CHANNEL, .scale_format = QB_FORMAT_F32},
    {.output = QB_FORMAT_E4M3, .granularity = QB_GRANULARITY_BLOCK, .group = 16, .scale_format = QB_FORMAT_F32},
    {.output = QB_FORMAT_E4M3,
     .granularity = QB_GRANULARITY_GROUP,
     .group = 128,
     .scale_format = QB_FORMAT_F32,
     .layout = QB_SCALE_LAYOUT_COLUMNS},
    {.output = QB_FORMAT_E4M3,
     .granularity = QB_GRANULARITY_GROUP,
     .group = 32,
     .scale_format = QB_FORMAT_E8M0,
     .layout = QB_SCALE_LAYOUT_TILED_128X4},
    {.output = QB_FORMAT_E2M3,
     .granularity = QB_GRANULARITY_GROUP,
     .group = 32,
     .scale_format = QB_FORMAT_E8M0,
     .layout = QB_SCALE_LAYOUT_PACKED,
     .packing = QB_PACKING_DENSE},
    {.output = QB_FORMAT_E2M1,
     .granularity = QB_GRANULARITY_GROUP,
     .group = 16,
     .scale_format = QB_FORMAT_E4M3,
     .layout = QB_SCALE_LAYOUT_TILED_8X4,
     .tensor_scale = QB_TENSOR_SCALE_COMPUTED},
    {.output = QB_FORMAT_INT4,
     .granularity = QB_GRANULARITY_GROUP,
     .group = 32,
     .scale_format = QB_FORMAT_F16,
     .zero_points = QB_ZERO_POINTS_INT8},
};

static void set_quantization(struct qb_problem *p, int i)
{
    p->output = quantizations[i].output;
    p->granularity = quantizations[i].granularity;
    p->scaling = quantizations[i].scaling;
    p->group = p->block_rows = p->block_cols = quantizations[i].group;
    p->scale_format = quantizations[i].scale_format;
    p->scale_layout = quantizations[i].layout;
    p->tensor_scale = quantizations[i].tensor_scale;
    p->zero_points = quantizations[i].zero_points;
    p->packing = quantizations[i].packing;
}

/* Run P in one, and as its values and their quantization, and compare all that both write. */
static void compare(struct qb_problem p)
{
    struct qb_tensors fused, steps;
    struct qb_problem quantization = {.size = sizeof quantization};
    struct qb_problem kept = p;

    kept.keep_values = 1;
    ck_assert_int_eq(qb_problem_quantization(&p, &quantization), QB_OK);
    ck_assert_int_eq(quantization.operation, QB_OPERATION_QUANTIZE);
    allocate(&p, &fused, 0x5A);
    allocate(&kept, &steps, 0x5A); /* gaps are not written */
    fill_all(&p, &fused);
    fill_all(&p, &steps);
    if (p.scaling == QB_SCALING_STATIC) {
        *(float *)fused.at[QB_ROLE_SCALES] = *(float *)steps.at[QB_ROLE_SCALES] = 0.01f;
    }
    ck_assert_msg(qb_reference_run(&p, &fused) == QB_OK, "%s", qb_error_detail());
    ck_assert_msg(qb_reference_values(&p, &steps) == QB_OK, "%s", qb_error_detail());
    free(steps.at[QB_ROLE_INPUT]);
    steps.at[QB_ROLE_INPUT] = steps.at[QB_ROLE_VALUES];
    steps.at[QB_ROLE_VALUES] = NULL;
    ck_assert_msg(qb_reference_run(&quantization, &steps) == QB_OK, "%s", qb_error_detail());
    for (int role = QB_ROLE_CODES; role < ROLES; role++) {
        const uint64_t bytes = bytes_of(&p, (enum qb_role)role);

        if (role != QB_ROLE_VALUES) {
            ck_assert_msg(bytes == 0 || memcmp(fused.at[role], steps.at[role], bytes) == 0, "%s",
                          qb_role_name((enum qb_role)role));
        } else if (p.keep_values) {
            ck_assert_mem_eq(fused.at[role], steps.at[QB_ROLE_INPUT], bytes);
        }
    }
    release(&fused);
    release(&steps);
}

/* The operations that compute values. */
static const enum qb_operation computing[] = {QB_OPERATION_SILU_MUL, QB_OPERATION_GELU_MUL, QB_OPERATION_RMS_NORM,
                                              QB_OPERATION_ADD_RMS_NORM, QB_OPERATION_ROPE};

/* Each of them, quantization, intermediate and input format. */
START_TEST(an_operation_is_its_values_and_their_quantization)
{
    static const enum qb_format formats[] = {QB_FORMAT_F16, QB_FORMAT_BF16, QB_FORMAT_F32};
    const int count = (int)(sizeof quantizations / sizeof quantizations[0]);
    struct qb_problem p = problem_of(computing[_i / count]);

    set_quantization(&p, _i % count);
    p.epsilon = 1e-6f;
    p.output_stride = 100;
    p.hidden = 90;
    for (int variant = 0; variant < 9; variant++) {
        p.input = formats[variant / 3];
        p.intermediate = (enum qb_intermediate)(variant % 3);
        p.weights = variant % 2 ? QB_WEIGHTS_FLOAT : QB_WEIGHTS_INPUT;
        p.gate = variant % 2 ? QB_GATE_INTERLEAVED : QB_GATE_HALVES;
        p.pairing = variant % 2 ? QB_PAIRING_ADJACENT : QB_PAIRING_HALVES;
        p.head_size = variant % 3 ? 30 : 0;
        p.keep_values = variant % 4 == 0;
        p.input_stride = variant % 4 < 2 ? 0 : 183;
        compare(p);
    }
}
END_TEST

/* A row of NaN or infinity leaves the codes and scales of the others as they are. */
START_TEST(rows_leave_others_alone)
{
    struct qb_problem p = problem_of(computing[_i]);
    struct qb_tensors clean, dirty;
    const uint64_t cols = _i < 2 ? 192 : 96;

    p.granularity = QB_GRANULARITY_TOKEN;
    p.input = QB_FORMAT_BF16;
    p.output = QB_FORMAT_E4M3;
    allocate(&p, &clean, 0);
    allocate(&p, &dirty, 0);
    fill_all(&p, &clean);
    fill_all(&p, &dirty);
    for (uint64_t i = 0; i < cols; i++) {
        ((uint16_t *)dirty.at[QB_ROLE_INPUT])[cols + i] = i % 3 ? 0x7FC0 : 0xFF80;
    }
    ck_assert_int_eq(qb_reference_run(&p, &clean), QB_OK);
    ck_assert_int_eq(qb_reference_run(&p, &dirty), QB_OK);
    for (uint64_t row = 0; row < 4; row++) {
        const bool equal =
            memcmp((char *)clean.at[QB_ROLE_CODES] + row * 96, (char *)dirty.at[QB_ROLE_CODES] + row * 96, 96) == 0;

        ck_assert(equal == (row != 1));
        ck_assert(equal == (((float *)clean.at[QB_ROLE_SCALES])[row] == ((float *)dirty.at[QB_ROLE_SCALES])[row]));
    }
    release(&clean);
    release(&dirty);
}
END_TEST

/* What is missing, misplaced or unknown is refused before anything is written. */
START_TEST(tensors_are_checked_before_a_run)
{
    struct qb_problem p = problem_of(QB_OPERATION_ADD_RMS_NORM);
    struct qb_arithmetic unknown = {.quotient = (enum qb_quotient)9};
    struct qb_tensors tensors, short_of = {.size = 0};
    char word[64];

    p.keep_values = 1;
    allocate(&p, &tensors, 0x5A);
    for (int role = 0; role < ROLES; role++) {
        void *at = tensors.at[role];

        if (at != NULL) {
            snprintf(word, sizeof word, "the tensor of the %s is", qb_role_name((enum qb_role)role));
            tensors.at[role] = NULL;
            ck_assert_int_eq(qb_reference_run(&p, &tensors), QB_ERROR_INVALID);
            ck_assert_msg(strstr(qb_error_detail(), word) != NULL, "%s", qb_error_detail());
            if (role != QB_ROLE_CODES) {
                tensors.at[role] = (char *)at + 1;
                ck_assert_int_eq(qb_reference_run(&p, &tensors), QB_ERROR_INVALID);
                ck_assert_msg(strstr(qb_error_detail(), word) != NULL, "%s", qb_error_detail());
            }
            if (role == QB_ROLE_SUM) { /* which may be left out here, but not be misplaced */
                ck_assert_int_eq(qb_reference_values(&p, &tensors), QB_ERROR_INVALID);
            }
            tensors.at[role] = at;
        }
    }
    ck_assert_int_eq(qb_reference_run_as(&p, &unknown, &tensors), QB_ERROR_INVALID);
    ck_assert_int_eq(qb_reference_run(&p, &short_of), QB_ERROR_INVALID);
    ck_assert_int_eq(qb_reference_run(&p, NULL), QB_ERROR_INVALID);
    for (uint64_t i = 0; i < bytes_of(&p, QB_ROLE_SUM); i++) {
        ck_assert_uint_eq(((uint8_t *)tensors.at[QB_ROLE_SUM])[i], 0x5A);
        ck_assert_uint_eq(((uint8_t *)tensors.at[QB_ROLE_VALUES])[i], 0x5A);
    }
    ck_assert_int_eq(qb_reference_scales(&p, &tensors), QB_ERROR_INVALID);
    ck_assert_int_eq(qb_reference_codes(&p, &tensors), QB_ERROR_INVALID);
    release(&tensors);
}
END_TEST

/* Values that are not kept are written nowhere, also where there is an address. */
START_TEST(values_that_are_not_kept_are_not_written)
{
    struct qb_problem p = problem_of(QB_OPERATION_SILU_MUL);
    struct qb_tensors tensors;
    uint8_t untouched[4 * 96 * 2], expected[4 * 96 * 2];

    memset(untouched, 0x5A, sizeof untouched);
    memset(expected, 0x5A, sizeof expected);
    allocate(&p, &tensors, 0);
    fill_all(&p, &tensors);
    tensors.at[QB_ROLE_VALUES] = untouched;
    ck_assert_int_eq(qb_reference_run(&p, &tensors), QB_OK);
    ck_assert_mem_eq(untouched, expected, sizeof expected);
    tensors.at[QB_ROLE_VALUES] = NULL;
    release(&tensors);
}
END_TEST

START_TEST(no_tokens)
{
    struct qb_problem p = problem_of((enum qb_operation)_i), quantization = {.size = sizeof quantization};
    struct qb_tensors tensors;

    p.tokens = 0;
    p.keep_values = 1;
    allocate(&p, &tensors, 0);
    if (p.scaling == QB_SCALING_STATIC) {
        *(float *)tensors.at[QB_ROLE_SCALES] = 1;
    }
    ck_assert_msg(qb_reference_run(&p, &tensors) == QB_OK, "%s", qb_error_detail());
    ck_assert(p.scaling == QB_SCALING_STATIC || has_cache(p.operation) || is_transposed(p.operation) ||
              *(float *)tensors.at[QB_ROLE_SCALES] == 0x1p-126f);
    ck_assert_int_eq(qb_problem_quantization(&p, &quantization),
                     _i == QB_OPERATION_DEQUANTIZE ? QB_ERROR_INVALID : QB_OK);
    release(&tensors);
}
END_TEST

/* ---- The intermediate ------------------------------------------------------------------------------------------- */

/* The share in % of E4M3 codes of normally distributed data that differ from those of intermediate INPUT, which
 * quantbench-numerics(7) has: SiLU and up in groups of 128, and RMSNorm per token. */
static const struct {
    enum qb_operation operation;
    enum qb_format input;
    enum qb_intermediate intermediate;
    double percent;
} shares[] = {
    {QB_OPERATION_SILU_MUL, QB_FORMAT_BF16, QB_INTERMEDIATE_FLOAT, 3.13},
    {QB_OPERATION_SILU_MUL, QB_FORMAT_BF16, QB_INTERMEDIATE_LAST, 2.93},
    {QB_OPERATION_SILU_MUL, QB_FORMAT_F16, QB_INTERMEDIATE_FLOAT, 0.39},
    {QB_OPERATION_SILU_MUL, QB_FORMAT_F16, QB_INTERMEDIATE_LAST, 0.36},
    {QB_OPERATION_RMS_NORM, QB_FORMAT_BF16, QB_INTERMEDIATE_FLOAT, 2.78},
    {QB_OPERATION_RMS_NORM, QB_FORMAT_BF16, QB_INTERMEDIATE_LAST, 2.37},
    {QB_OPERATION_RMS_NORM, QB_FORMAT_F16, QB_INTERMEDIATE_FLOAT, 0.38},
    {QB_OPERATION_RMS_NORM, QB_FORMAT_F16, QB_INTERMEDIATE_LAST, 0.35},
};

START_TEST(intermediates_change_codes)
{
    struct qb_problem p = problem_of(shares[_i].operation);
    const uint64_t count = 32 * 2048;
    struct qb_tensors each, other;
    uint64_t differing = 0;
    double percent;

    p.input = shares[_i].input;
    p.output = QB_FORMAT_E4M3;
    p.tokens = 32;
    p.hidden = 2048;
    p.granularity = p.operation == QB_OPERATION_RMS_NORM ? QB_GRANULARITY_TOKEN : QB_GRANULARITY_GROUP;
    p.group = 128;
    p.epsilon = 1e-6f;
    allocate(&p, &each, 0);
    fill_all(&p, &each);
    ck_assert_int_eq(qb_reference_run(&p, &each), QB_OK);
    p.intermediate = shares[_i].intermediate;
    allocate(&p, &other, 0);
    fill_all(&p, &other);
    ck_assert_int_eq(qb_reference_run(&p, &other), QB_OK);
    for (uint64_t i = 0; i < count; i++) {
        differing += ((uint8_t *)each.at[QB_ROLE_CODES])[i] != ((uint8_t *)other.at[QB_ROLE_CODES])[i];
    }
    percent = 100 * (double)differing / (double)count;
    ck_assert_msg(percent > shares[_i].percent / 1.5 && percent < shares[_i].percent * 1.5, "%g %%", percent);
    release(&each);
    release(&other);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("operations");
    TCase *tc = patient_case("problems");

    tcase_add_loop_test(tc, members_out_of_range_are_named, 0, sizeof invalid / sizeof invalid[0]);
    tcase_add_loop_test(tc, members_of_other_operations_are_free, 0, QB_OPERATION_COUNT);
    tcase_add_test(tc, names);
    tcase_add_loop_test(tc, tensors_of_operations, 0, QB_OPERATION_COUNT);
    tcase_add_test(tc, tensors_follow_members);
    suite_add_tcase(suite, tc);
    tc = patient_case("runs");
    tcase_add_loop_test(tc, an_operation_is_its_values_and_their_quantization, 0,
                        5 * (int)(sizeof quantizations / sizeof quantizations[0]));
    tcase_add_loop_test(tc, rows_leave_others_alone, 0, 5);
    tcase_add_test(tc, tensors_are_checked_before_a_run);
    tcase_add_test(tc, values_that_are_not_kept_are_not_written);
    tcase_add_loop_test(tc, no_tokens, 0, QB_OPERATION_COUNT);
    tcase_add_loop_test(tc, intermediates_change_codes, 0, sizeof shares / sizeof shares[0]);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
