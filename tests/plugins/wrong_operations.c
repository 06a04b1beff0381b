/* SPDX-License-Identifier: Apache-2.0 */
/* wrong_operations.c - kernels of operations that are right, and others that are wrong in one way each: so small are
 * the differences, the reference makes them, of another problem. */
#include <quantbench.h>

#include <math.h>
#include <stddef.h>
#include <string.h>

/* What a kernel does otherwise; each is a bit. */
enum fault {
    NOTHING = 0,
    UNROUNDED = 1 << 0,  /* the value is rounded once, at the end */
    NO_EPSILON = 1 << 1, /* as its name says, and so below */
    NO_LIMIT = 1 << 2,
    NO_OFFSET = 1 << 3,
    SWAPPED = 1 << 4,      /* gate and up */
    NAIVE = 1 << 5,        /* an exponential of binary32 */
    SUM_OF_INPUT = 1 << 6, /* the sum is the input */
    NO_SUM = 1 << 7,
    NO_VALUES = 1 << 8,
    ONCE = 1 << 9,          /* later calls do nothing */
    NO_NAN = 1 << 10,       /* a code of NaN becomes 0 */
    IN_ORDER = 1 << 11,     /* squares are added one after the other */
    COARSE = 1 << 12,       /* the same, with a root that is off by 2^-12 */
    FUSED = 1 << 13,        /* products of rotations are not rounded */
    NO_POSITIONS = 1 << 14, /* those of the tokens are their numbers */
    RUNNING = 1 << 15,      /* they follow that of the first token */
    OTHER_PAIRS = 1 << 16,
    ALL_TOKENS = 1 << 17,   /* one without a slot has slot 0 */
    OTHER_PAGES = 1 << 18,  /* pages of the other layout */
    EXCHANGED = 1 << 19,    /* keys and values */
    OTHER_SCALES = 1 << 20, /* the scale of the head before, from the second on */
    BY_TOKEN = 1 << 21,     /* slots are counted, not read */
    UNTURNED = 1 << 22,     /* the input is taken as if it were transposed already */
    OWN_SCALES = 1 << 23,   /* columns have the codes of the rows, which belong to other scales */
    OTHER_SIDE = 1 << 24,   /* columns have the scales of the rows, in their order */
    OTHER_GELU = 1 << 25,   /* by tanh */
    ONE_TENSOR = 1 << 26,   /* values have the tensor scale of the keys */
    INTERLEAVED = 1 << 27,  /* scales of four slots of values side by side, as those of other readers of NVFP4 */
};

static float load(enum qb_format format, const void *tensor, uint64_t i)
{
    return format == QB_FORMAT_F32 ? ((const float *)tensor)[i]
                                   : qb_format_decode(format, ((const uint16_t *)tensor)[i]);
}

static void store(enum qb_format format, void *tensor, uint64_t i, float value)
{
    const uint32_t code = qb_format_encode(format, value); /* all NaN are the same */

    if (format == QB_FORMAT_F32) {
        ((uint32_t *)tensor)[i] = code;
    } else {
        ((uint16_t *)tensor)[i] = (uint16_t)code;
    }
}

static float rounded(enum qb_format format, float value)
{
    return qb_format_decode(format, qb_format_encode(format, value));
}

/* The values of gates with an exponential of binary32. */
static void gate_naively(const struct qb_problem *p, const struct qb_tensors *t, void *values)
{
    for (uint64_t row = 0; row < p->tokens; row++) {
        for (uint64_t col = 0; col < p->hidden; col++) {
            const float g = load(p->input, t->at[QB_ROLE_INPUT], row * p->input_stride + col);
            const float u = load(p->input, t->at[QB_ROLE_INPUT], row * p->input_stride + p->hidden + col);

            store(p->input, values, row * p->hidden + col, rounded(p->input, g / (1 + expf(-g))) * u);
        }
    }
}

/* The values of a norm with squares added one after the other. */
static void norm_in_order(const struct qb_problem *p, const struct qb_tensors *t, void *values, float error)
{
    for (uint64_t row = 0; row < p->tokens; row++) {
        float sum = 0, factor;

        for (uint64_t col = 0; col < p->hidden; col++) {
            const float x = load(p->input, t->at[QB_ROLE_INPUT], row * p->input_stride + col);

            sum += x * x;
        }
        factor = 1 / sqrtf(sum / (float)p->hidden + p->epsilon) * (1 + error);
        for (uint64_t col = 0; col < p->hidden; col++) {
            const float x = load(p->input, t->at[QB_ROLE_INPUT], row * p->input_stride + col);

            store(p->input, values, row * p->hidden + col,
                  rounded(p->input, x * factor) * load(p->input, t->at[QB_ROLE_WEIGHTS], col));
        }
    }
}

/* The values of heads that are rotated in halves, by fused multiplications and additions. */
static void rotate_fused(const struct qb_problem *p, const struct qb_tensors *t, void *values)
{
    const enum qb_format angles = p->weights == QB_WEIGHTS_FLOAT ? QB_FORMAT_F32 : p->input;
    const uint64_t half = p->rotary / 2;

    for (uint64_t i = 0; i < p->tokens * p->hidden; i++) {
        const uint64_t place = i % p->head_size, first = i - place, row = i / p->hidden;
        const uint64_t angle = (uint64_t)((const int64_t *)t->at[QB_ROLE_POSITIONS])[row] * p->rotary;
        float x = load(p->input, t->at[QB_ROLE_INPUT], i), c, s;

        if (place < p->rotary) {
            const float other =
                load(p->input, t->at[QB_ROLE_INPUT], first + (place < half ? place + half : place - half));

            c = load(angles, t->at[QB_ROLE_ANGLES], angle + place % half);
            s = load(angles, t->at[QB_ROLE_ANGLES], angle + half + place % half);
            x = fmaf(x, c, place < half ? -(other * s) : other * s);
        }
        store(p->input, values, i, x);
    }
}

/* Let POSITIONS be those that a kernel with FAULTS takes for those of T. */
static void mistake_positions(const struct qb_problem *p, struct qb_tensors *t, unsigned faults, int64_t *positions)
{
    const int64_t first = ((const int64_t *)t->at[QB_ROLE_POSITIONS])[0];

    for (uint64_t i = 0; i < p->tokens; i++) {
        positions[i] = (int64_t)(((faults & RUNNING) != 0 ? (uint64_t)first + i : i) % p->positions);
    }
    t->at[QB_ROLE_POSITIONS] = positions;
}

/* PROBLEM as a kernel with FAULTS takes it. */
static struct qb_problem mistaken(const struct qb_problem *problem, unsigned faults)
{
    struct qb_problem p = *problem;

    p.intermediate = (faults & UNROUNDED) != 0 ? QB_INTERMEDIATE_LAST : p.intermediate;
    p.epsilon = (faults & NO_EPSILON) != 0 ? 0 : p.epsilon;
    p.gate_limit = (faults & NO_LIMIT) != 0 ? 0 : p.gate_limit;
    p.up_offset = (faults & NO_OFFSET) != 0 ? 0 : p.up_offset;
    p.pairing = (faults & OTHER_PAIRS) != 0 ? QB_PAIRING_ADJACENT : p.pairing;
    p.gelu = (faults & OTHER_GELU) != 0 ? QB_GELU_TANH : p.gelu;
    p.gate = (faults & SWAPPED) != 0 ? QB_GATE_INTERLEAVED : p.gate;
    return p;
}

static const char *quantize(const struct qb_problem *p, struct qb_tensors *t, void *values)
{
    struct qb_problem q = {.size = sizeof q};
    enum qb_status status = qb_problem_quantization(p, &q);

    t->at[QB_ROLE_INPUT] = values;
    if (status == QB_OK && q.scaling != QB_SCALING_STATIC) {
        status = qb_reference_scales(&q, t);
    }
    if (status == QB_OK && q.scaling != QB_SCALING_AMAX) {
        status = qb_reference_codes(&q, t);
    }
    return status == QB_OK ? NULL : qb_error_detail();
}

/* Room for positions, after that for values. */
static int64_t *positions_of(const struct qb_plugin_call *call)
{
    const uint64_t values = call->problem->tokens * call->problem->hidden * sizeof(float);

    return (int64_t *)((char *)call->workspace + (values + 7) / 8 * 8);
}

static const char *run(const struct qb_plugin_call *call, unsigned faults)
{
    static unsigned calls;
    const struct qb_problem p = mistaken(call->problem, faults);
    struct qb_tensors t = *call->tensors;
    void *sum = t.at[QB_ROLE_SUM], *values = t.at[QB_ROLE_VALUES] != NULL ? t.at[QB_ROLE_VALUES] : call->workspace;

    if ((faults & ONCE) != 0 && calls++ > 1000) {
        return NULL;
    }
    if ((faults & NO_VALUES) != 0) {
        values = call->workspace;
    }
    t.at[QB_ROLE_VALUES] = values;
    t.at[QB_ROLE_SUM] = (faults & NO_SUM) != 0 ? NULL : sum;
    if ((faults & (NO_POSITIONS | RUNNING)) != 0) {
        mistake_positions(&p, &t, faults, positions_of(call));
    }
    if ((faults & FUSED) != 0) {
        rotate_fused(&p, &t, values);
    } else if ((faults & NAIVE) != 0) {
        gate_naively(&p, &t, values);
    } else if ((faults & (IN_ORDER | COARSE)) != 0) {
        norm_in_order(&p, &t, values, (faults & COARSE) != 0 ? 0x1p-12f : 0);
    } else if (qb_reference_values(&p, &t) != QB_OK) {
        return qb_error_detail();
    }
    if ((faults & SUM_OF_INPUT) != 0) {
        memcpy(sum, t.at[QB_ROLE_INPUT], p.tokens * p.hidden * (p.input == QB_FORMAT_F32 ? 4 : 2));
    }
    return quantize(&p, &t, values);
}

static const char *dequantize(const struct qb_plugin_call *call, unsigned faults)
{
    const struct qb_problem *p = call->problem;
    enum qb_status status = qb_reference_run(p, call->tensors);

    for (uint64_t i = 0; i < p->tokens * p->input_stride && (faults & NO_NAN) != 0; i++) {
        if (isnan(load(p->input, call->tensors->at[QB_ROLE_VALUES], i))) {
            store(p->input, call->tensors->at[QB_ROLE_VALUES], i, 0);
        }
    }
    return status == QB_OK ? NULL : qb_error_detail();
}

/* ---- Caches ----------------------------------------------------------------------------------------------------- */

/* True if P is NVFP4: two codes in each byte, scales of a byte. */
static bool is_nvfp4(const struct qb_problem *p)
{
    return p->tensor_scale != QB_TENSOR_SCALE_NONE;
}

/* The slot that a kernel with FAULTS takes for TOKEN's; negative: none. */
static int64_t slot_of(const struct qb_plugin_call *call, uint64_t token, unsigned faults)
{
    const int64_t slot = ((const int64_t *)call->tensors->at[QB_ROLE_SLOTS])[token];

    if (slot < 0) {
        return (faults & ALL_TOKENS) != 0 ? 0 : slot;
    }
    return (faults & BY_TOKEN) != 0 ? (int64_t)token : slot;
}

/* PROBLEM as a kernel with FAULTS takes it. */
static struct qb_problem mistaken_pages(const struct qb_problem *problem, unsigned faults)
{
    struct qb_problem p = *problem;

    p.page_layout = (faults & OTHER_PAGES) != 0 ? (enum qb_page_layout)(1 - p.page_layout) : p.page_layout;
    return p;
}

/* The column whose code a kernel with FAULTS takes for that of COL, and the same of one of COLS scales. */
static uint64_t code_col(const struct qb_problem *p, uint64_t col, unsigned faults)
{
    return (faults & EXCHANGED) != 0 ? (col + p->hidden / 2) % p->hidden : col;
}

static uint64_t scale_col(uint64_t col, unsigned faults)
{
    return (faults & OTHER_SCALES) != 0 && col > 0 ? col - 1 : col;
}

/* The tensor scales that a kernel with FAULTS takes for those of T. */
static void take_tensor_scales(const struct qb_tensors *t, unsigned faults, float scales[2])
{
    memcpy(scales, t->at[QB_ROLE_TENSOR_SCALE], 2 * sizeof scales[0]);
    scales[1] = (faults & ONE_TENSOR) != 0 ? scales[0] : scales[1];
}

/* Where scale COL of COLS in SLOT of P is, in bytes. */
static uint64_t scale_place(const struct qb_problem *p, uint64_t slot, uint64_t col, uint64_t cols, unsigned faults)
{
    /* Scale s of slot t is in slot t / 4 * 4 + s / (S / 4), of whose scales it is number s % (S / 4) * 4 + t % 4, if a
     * head has S. */
    const uint64_t of_head = p->head_size / 16, s = of_head > 0 ? col % of_head : 0;
    const bool swizzled = (faults & INTERLEAVED) != 0 && col >= cols / 2 && of_head % 4 == 0;
    uint64_t offset = 0;

    qb_problem_scale_offset(p, swizzled ? slot / 4 * 4 + s / (of_head / 4) : slot,
                            swizzled ? col - s + s % (of_head / 4) * 4 + slot % 4 : col, &offset);
    return offset;
}

/* Put the CODES and SCALES of a token to SLOT of the cache T of P. */
static void place(const struct qb_problem *p, const uint8_t *codes, const uint8_t *scales, uint64_t slot,
                  const struct qb_tensors *t, unsigned faults)
{
    const uint64_t in_byte = is_nvfp4(p) ? 2 : 1;
    const size_t size = is_nvfp4(p) ? 1 : sizeof(float);
    uint64_t rows, cols, offset = 0;

    qb_problem_scale_shape(p, &rows, &cols);
    for (uint64_t col = 0; col < p->hidden; col += in_byte) {
        qb_problem_code_offset(p, slot, col, &offset);
        ((uint8_t *)t->at[QB_ROLE_CODES])[offset] = codes[code_col(p, col, faults) / in_byte];
    }
    for (uint64_t col = 0; col < cols && p->scaling == QB_SCALING_DYNAMIC; col++) {
        memcpy((uint8_t *)t->at[QB_ROLE_SCALES] + scale_place(p, slot, col, cols, faults),
               scales + scale_col(col, faults) * size, size);
    }
}

static const char *write_cache(const struct qb_plugin_call *call, unsigned faults)
{
    static unsigned calls;
    const struct qb_problem *given = call->problem, p = mistaken_pages(given, faults);
    struct qb_tensors t = *call->tensors;
    uint8_t *scales = call->workspace;
    float tensor_scales[2];
    uint64_t rows, cols, scale_bytes;
    const char *error;

    if ((faults & ONCE) != 0 && calls++ > 1000) {
        return NULL;
    }
    if (is_nvfp4(given)) {
        take_tensor_scales(&t, faults, tensor_scales);
        t.at[QB_ROLE_TENSOR_SCALE] = tensor_scales;
    }
    qb_problem_scale_shape(given, &rows, &cols);
    scale_bytes = cols * (is_nvfp4(given) ? 1 : sizeof(float));
    t.at[QB_ROLE_CODES] = scales + given->tokens * scale_bytes;
    t.at[QB_ROLE_SCALES] = p.scaling == QB_SCALING_DYNAMIC ? scales : t.at[QB_ROLE_SCALES];
    error = quantize(given, &t, t.at[QB_ROLE_INPUT]); /* not qb_reference_run(), which allocates memory */
    for (uint64_t token = 0; token < p.tokens && error == NULL; token++) {
        const int64_t slot = slot_of(call, token, faults);

        if (slot >= 0) {
            place(&p, (uint8_t *)t.at[QB_ROLE_CODES] + token * p.hidden / (is_nvfp4(&p) ? 2 : 1),
                  scales + token * scale_bytes, (uint64_t)slot, call->tensors, faults);
        }
    }
    return error;
}

/* The scale that a kernel with FAULTS takes for number COL of COLS in SLOT. */
static float scale_in(const struct qb_problem *p, const struct qb_tensors *t, uint64_t slot, uint64_t col,
                      uint64_t cols, unsigned faults)
{
    const uint64_t from = scale_col(col, faults);
    const char *scales = t->at[QB_ROLE_SCALES];
    float scale;

    if (is_nvfp4(p)) {
        return qb_format_decode(QB_FORMAT_E4M3, (uint8_t)scales[scale_place(p, slot, from, cols, faults)]);
    }
    scales += p->scaling == QB_SCALING_STATIC ? from * sizeof scale : scale_place(p, slot, from, cols, faults);
    memcpy(&scale, scales, sizeof scale);
    return scale;
}

static const char *read_cache(const struct qb_plugin_call *call, unsigned faults)
{
    static unsigned calls;
    const struct qb_problem p = mistaken_pages(call->problem, faults);
    const struct qb_tensors *t = call->tensors;
    float tensor_scales[2] = {1, 1};
    uint64_t rows, cols, tile_rows, tile_cols, offset = 0;

    if ((faults & ONCE) != 0 && calls++ > 1000) {
        return NULL;
    }
    if (is_nvfp4(&p)) {
        take_tensor_scales(t, faults, tensor_scales);
    }
    qb_problem_scale_shape(&p, &rows, &cols);
    qb_problem_tile(&p, &tile_rows, &tile_cols);
    for (uint64_t i = 0; i < p.tokens * p.hidden; i++) {
        const uint64_t col = i % p.hidden;
        const int64_t slot = slot_of(call, i / p.hidden, faults);

        if (slot >= 0) {
            qb_problem_code_offset(&p, (uint64_t)slot, code_col(&p, col, faults), &offset);
            const uint8_t byte = ((const uint8_t *)t->at[QB_ROLE_CODES])[offset];
            const float q = qb_format_decode(p.output, is_nvfp4(&p) ? byte >> (col % 2 * 4) & 15 : byte);
            const float value = q * scale_in(&p, t, (uint64_t)slot, col / tile_cols, cols, faults);

            store(p.input, t->at[QB_ROLE_VALUES], i, value * tensor_scales[col >= p.hidden / 2]);
        }
    }
    return NULL;
}

/* Copy the input of P to VALUES, transposed; as it is if it is UNTURNED. */
static void turn(const struct qb_problem *p, const void *input, void *values, unsigned faults)
{
    const size_t size = p->input == QB_FORMAT_F32 ? 4 : 2;

    for (uint64_t i = 0; i < p->tokens * p->hidden; i++) {
        const uint64_t to = (faults & UNTURNED) != 0 ? i : i % p->hidden * p->tokens + i / p->hidden;

        memcpy((char *)values + to * size, (const char *)input + i * size, size);
    }
}

static const char *make(const struct qb_problem *q, const struct qb_tensors *t)
{
    enum qb_status status = qb_reference_scales(q, t);

    status = status == QB_OK ? qb_reference_codes(q, t) : status;
    return status == QB_OK ? NULL : qb_error_detail();
}

static const char *columns(const struct qb_plugin_call *call, unsigned faults)
{
    static unsigned calls;
    const bool dual = call->problem->operation == QB_OPERATION_DUAL;
    struct qb_problem p = *call->problem, q = {.size = sizeof q};
    struct qb_tensors t = *call->tensors;
    const char *error = NULL;
    uint64_t rows, cols;

    if (dual) {
        p.operation = QB_OPERATION_QUANTIZE;
        error = make(&p, &t);
        t.at[QB_ROLE_CODES] = t.at[QB_ROLE_TRANSPOSED];
        t.at[QB_ROLE_SCALES] = t.at[QB_ROLE_TRANSPOSED_SCALES];
        p.output_stride = 0;
    }
    if (error != NULL || ((faults & ONCE) != 0 && calls++ > 1000)) {
        return error;
    }
    p.operation = QB_OPERATION_TRANSPOSE;
    qb_problem_quantization(&p, &q);
    turn(&p, t.at[QB_ROLE_INPUT], call->workspace, faults);
    t.at[QB_ROLE_INPUT] = call->workspace;
    error = make(&q, &t);
    for (uint64_t i = 0; i < p.tokens * p.hidden && (faults & OWN_SCALES) != 0; i++) {
        ((uint8_t *)t.at[QB_ROLE_CODES])[i % p.hidden * p.tokens + i / p.hidden] =
            ((const uint8_t *)call->tensors->at[QB_ROLE_CODES])[i];
    }
    if ((faults & OTHER_SIDE) != 0) {
        qb_problem_scale_shape(&q, &rows, &cols);
        memcpy(t.at[QB_ROLE_SCALES], call->tensors->at[QB_ROLE_SCALES], rows * cols * sizeof(float));
    }
    return error;
}

/* Dense rows only, so that the kernels stay small. */
static bool supports(const struct qb_problem *problem)
{
    const bool is_gated = problem->operation == QB_OPERATION_SILU_MUL || problem->operation == QB_OPERATION_GELU_MUL;

    return problem->input_stride == problem->hidden * (is_gated ? 2 : 1);
}

static size_t workspace(const struct qb_problem *problem)
{
    return problem->tokens * problem->hidden * 2 * sizeof(float) + 8 + problem->tokens * sizeof(int64_t);
}

#define FUNCTION(name, work, faults)                                                                                   \
    static const char *name(const struct qb_plugin_call *call)                                                         \
    {                                                                                                                  \
        return work(call, faults);                                                                                     \
    }
FUNCTION(right, run, NOTHING)
FUNCTION(unrounded, run, UNROUNDED)
FUNCTION(no_epsilon, run, NO_EPSILON)
FUNCTION(no_limit, run, NO_LIMIT)
FUNCTION(no_offset, run, NO_OFFSET)
FUNCTION(swapped, run, SWAPPED)
FUNCTION(other_gelu, run, OTHER_GELU)
FUNCTION(naive, run, NAIVE)
FUNCTION(sum_of_input, run, SUM_OF_INPUT)
FUNCTION(no_sum, run, NO_SUM)
FUNCTION(no_values, run, NO_VALUES)
FUNCTION(once, run, ONCE)
FUNCTION(in_order, run, IN_ORDER)
FUNCTION(coarse, run, COARSE)
FUNCTION(fused, run, FUSED)
FUNCTION(no_positions, run, NO_POSITIONS)
FUNCTION(running, run, RUNNING)
FUNCTION(other_pairs, run, OTHER_PAIRS)
FUNCTION(right_dequantize, dequantize, NOTHING)
FUNCTION(no_nan, dequantize, NO_NAN)
FUNCTION(right_kv, write_cache, NOTHING)
FUNCTION(all_tokens, write_cache, ALL_TOKENS)
FUNCTION(other_pages, write_cache, OTHER_PAGES)
FUNCTION(exchanged, write_cache, EXCHANGED)
FUNCTION(other_scales, write_cache, OTHER_SCALES)
FUNCTION(by_token, write_cache, BY_TOKEN)
FUNCTION(one_tensor, write_cache, ONE_TENSOR)
FUNCTION(interleaved, write_cache, INTERLEAVED)
FUNCTION(once_kv, write_cache, ONCE)
FUNCTION(right_read, read_cache, NOTHING)
FUNCTION(all_tokens_read, read_cache, ALL_TOKENS)
FUNCTION(other_pages_read, read_cache, OTHER_PAGES)
FUNCTION(exchanged_read, read_cache, EXCHANGED)
FUNCTION(other_scales_read, read_cache, OTHER_SCALES)
FUNCTION(by_token_read, read_cache, BY_TOKEN)
FUNCTION(one_tensor_read, read_cache, ONE_TENSOR)
FUNCTION(interleaved_read, read_cache, INTERLEAVED)
FUNCTION(once_read, read_cache, ONCE)
FUNCTION(right_columns, columns, NOTHING)
FUNCTION(unturned, columns, UNTURNED)
FUNCTION(own_scales, columns, OWN_SCALES)
FUNCTION(other_side, columns, OTHER_SIDE)
FUNCTION(once_columns, columns, ONCE)

#define KERNEL(name_, operation_, function)                                                                            \
    {                                                                                                                  \
        .name = name_, .description = "a test", .backend = "cpu", .supports = supports, .workspace = workspace,        \
        .run = function, .narrow = true, .operation = operation_                                                       \
    }
static const struct qb_plugin_kernel kernels[] = {
    KERNEL("op_right_silu", QB_OPERATION_SILU_MUL, right),
    KERNEL("op_right_gelu", QB_OPERATION_GELU_MUL, right),
    KERNEL("op_right_rms", QB_OPERATION_RMS_NORM, right),
    KERNEL("op_right_add", QB_OPERATION_ADD_RMS_NORM, right),
    KERNEL("op_right_dequantize", QB_OPERATION_DEQUANTIZE, right_dequantize),
    KERNEL("op_unrounded_silu", QB_OPERATION_SILU_MUL, unrounded),
    KERNEL("op_unrounded_rms", QB_OPERATION_RMS_NORM, unrounded),
    KERNEL("op_no_epsilon", QB_OPERATION_RMS_NORM, no_epsilon),
    KERNEL("op_in_order", QB_OPERATION_RMS_NORM, in_order),
    KERNEL("op_coarse", QB_OPERATION_RMS_NORM, coarse),
    {.name = "op_fast",
     .description = "a test",
     .backend = "cpu",
     .supports = supports,
     .workspace = workspace,
     .run = coarse,
     .narrow = true,
     .operation = QB_OPERATION_RMS_NORM,
     .arithmetic = {.match = QB_MATCH_ONE_CODE}},
    KERNEL("op_no_limit", QB_OPERATION_SILU_MUL, no_limit),
    KERNEL("op_no_offset", QB_OPERATION_SILU_MUL, no_offset),
    KERNEL("op_swapped", QB_OPERATION_SILU_MUL, swapped),
    KERNEL("op_other_gelu", QB_OPERATION_GELU_MUL, other_gelu),
    KERNEL("op_naive", QB_OPERATION_SILU_MUL, naive),
    KERNEL("op_sum_of_input", QB_OPERATION_ADD_RMS_NORM, sum_of_input),
    KERNEL("op_no_sum", QB_OPERATION_ADD_RMS_NORM, no_sum),
    KERNEL("op_no_values", QB_OPERATION_RMS_NORM, no_values),
    KERNEL("op_once_silu", QB_OPERATION_SILU_MUL, once),
    KERNEL("op_once_add", QB_OPERATION_ADD_RMS_NORM, once),
    KERNEL("op_right_rope", QB_OPERATION_ROPE, right),
    KERNEL("op_unrounded_rope", QB_OPERATION_ROPE, fused),
    KERNEL("op_no_positions", QB_OPERATION_ROPE, no_positions),
    KERNEL("op_running", QB_OPERATION_ROPE, running),
    KERNEL("op_other_pairs", QB_OPERATION_ROPE, other_pairs),
    KERNEL("op_no_values_rope", QB_OPERATION_ROPE, no_values),
    KERNEL("op_once_rope", QB_OPERATION_ROPE, once),
    KERNEL("op_no_nan", QB_OPERATION_DEQUANTIZE, no_nan),
    KERNEL("op_right_kv", QB_OPERATION_KV_WRITE, right_kv),
    KERNEL("op_all_tokens", QB_OPERATION_KV_WRITE, all_tokens),
    KERNEL("op_other_pages", QB_OPERATION_KV_WRITE, other_pages),
    KERNEL("op_exchanged", QB_OPERATION_KV_WRITE, exchanged),
    KERNEL("op_other_scales", QB_OPERATION_KV_WRITE, other_scales),
    KERNEL("op_by_token", QB_OPERATION_KV_WRITE, by_token),
    KERNEL("op_one_tensor", QB_OPERATION_KV_WRITE, one_tensor),
    KERNEL("op_interleaved", QB_OPERATION_KV_WRITE, interleaved),
    KERNEL("op_once_kv", QB_OPERATION_KV_WRITE, once_kv),
    KERNEL("op_right_read", QB_OPERATION_KV_READ, right_read),
    KERNEL("op_all_tokens_read", QB_OPERATION_KV_READ, all_tokens_read),
    KERNEL("op_other_pages_read", QB_OPERATION_KV_READ, other_pages_read),
    KERNEL("op_exchanged_read", QB_OPERATION_KV_READ, exchanged_read),
    KERNEL("op_other_scales_read", QB_OPERATION_KV_READ, other_scales_read),
    KERNEL("op_by_token_read", QB_OPERATION_KV_READ, by_token_read),
    KERNEL("op_one_tensor_read", QB_OPERATION_KV_READ, one_tensor_read),
    KERNEL("op_interleaved_read", QB_OPERATION_KV_READ, interleaved_read),
    KERNEL("op_once_read", QB_OPERATION_KV_READ, once_read),
    KERNEL("op_right_transpose", QB_OPERATION_TRANSPOSE, right_columns),
    KERNEL("op_right_dual", QB_OPERATION_DUAL, right_columns),
    KERNEL("op_unturned_transpose", QB_OPERATION_TRANSPOSE, unturned),
    KERNEL("op_unturned_dual", QB_OPERATION_DUAL, unturned),
    KERNEL("op_own_scales", QB_OPERATION_DUAL, own_scales),
    KERNEL("op_other_side", QB_OPERATION_DUAL, other_side),
    KERNEL("op_once_transpose", QB_OPERATION_TRANSPOSE, once_columns),
    KERNEL("op_once_dual", QB_OPERATION_DUAL, once_columns),
};
QB_PLUGIN(kernels);
