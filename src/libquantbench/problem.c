/* SPDX-License-Identifier: Apache-2.0 */
/* problem.c - struct qb_problem and its tensors: defaults, validation, shapes, and the bytes that move. */
#include <config.h>

#include "operation.h"
#include "problem.h"

#include <inttypes.h>
#include <string.h>

static const char *const granularity_names[QB_GRANULARITY_COUNT] = {"tensor", "token", "channel", "group", "block"};

const char *qb_granularity_name(enum qb_granularity granularity)
{
    return (unsigned)granularity < QB_GRANULARITY_COUNT ? granularity_names[granularity] : NULL;
}

static const char *const scaling_names[QB_SCALING_COUNT] = {"dynamic", "static", "amax"};

const char *qb_scaling_name(enum qb_scaling scaling)
{
    return (unsigned)scaling < QB_SCALING_COUNT ? scaling_names[scaling] : NULL;
}

static const char *const packing_names[QB_PACKING_COUNT] = {"bytes", "dense"};

const char *qb_packing_name(enum qb_packing packing)
{
    return (unsigned)packing < QB_PACKING_COUNT ? packing_names[packing] : NULL;
}

static const char *const scale_rounding_names[QB_SCALE_ROUNDING_COUNT] = {"up", "floor", "even"};

const char *qb_scale_rounding_name(enum qb_scale_rounding rounding)
{
    return (unsigned)rounding < QB_SCALE_ROUNDING_COUNT ? scale_rounding_names[rounding] : NULL;
}

static const char *const scale_layout_names[QB_SCALE_LAYOUT_COUNT] = {"rows", "columns", "packed", "tiled-128x4",
                                                                      "tiled-8x4"};

const char *qb_scale_layout_name(enum qb_scale_layout layout)
{
    return (unsigned)layout < QB_SCALE_LAYOUT_COUNT ? scale_layout_names[layout] : NULL;
}

static const char *const tensor_scale_names[QB_TENSOR_SCALE_COUNT] = {"none", "given", "computed"};

const char *qb_tensor_scale_name(enum qb_tensor_scale tensor_scale)
{
    return (unsigned)tensor_scale < QB_TENSOR_SCALE_COUNT ? tensor_scale_names[tensor_scale] : NULL;
}

static const char *const zero_points_names[QB_ZERO_POINTS_COUNT] = {"none", "int8", "int32"};

const char *qb_zero_points_name(enum qb_zero_points zero_points)
{
    return (unsigned)zero_points < QB_ZERO_POINTS_COUNT ? zero_points_names[zero_points] : NULL;
}

static const char *const intermediate_names[QB_INTERMEDIATE_COUNT] = {"input", "last", "float"};

const char *qb_intermediate_name(enum qb_intermediate intermediate)
{
    return (unsigned)intermediate < QB_INTERMEDIATE_COUNT ? intermediate_names[intermediate] : NULL;
}

static const char *const gelu_names[QB_GELU_COUNT] = {"tanh", "erf"};

const char *qb_gelu_name(enum qb_gelu gelu)
{
    return (unsigned)gelu < QB_GELU_COUNT ? gelu_names[gelu] : NULL;
}

static const char *const gate_names[QB_GATE_COUNT] = {"halves", "interleaved"};

const char *qb_gate_name(enum qb_gate gate)
{
    return (unsigned)gate < QB_GATE_COUNT ? gate_names[gate] : NULL;
}

static const char *const weights_names[QB_WEIGHTS_COUNT] = {"input", "float"};

const char *qb_weights_name(enum qb_weights weights)
{
    return (unsigned)weights < QB_WEIGHTS_COUNT ? weights_names[weights] : NULL;
}

static const char *const page_layout_names[QB_PAGE_LAYOUT_COUNT] = {"nhd", "hnd"};

const char *qb_page_layout_name(enum qb_page_layout layout)
{
    return (unsigned)layout < QB_PAGE_LAYOUT_COUNT ? page_layout_names[layout] : NULL;
}

static const char *const pairing_names[QB_PAIRING_COUNT] = {"halves", "adjacent"};

const char *qb_pairing_name(enum qb_pairing pairing)
{
    return (unsigned)pairing < QB_PAIRING_COUNT ? pairing_names[pairing] : NULL;
}

static const char *const expert_rows_names[QB_EXPERT_ROWS_COUNT] = {"offsets", "masked"};

const char *qb_expert_rows_name(enum qb_expert_rows rows)
{
    return (unsigned)rows < QB_EXPERT_ROWS_COUNT ? expert_rows_names[rows] : NULL;
}

static const char *const role_names[QB_ROLE_COUNT] = {
    "input",  "codes", "scales", "zero points", "tensor scale",     "weights",           "residual", "sum",
    "values", "slots", "angles", "positions",   "transposed codes", "transposed scales", "experts"};

const char *qb_role_name(enum qb_role role)
{
    return (unsigned)role < QB_ROLE_COUNT ? role_names[role] : NULL;
}

/* ---- Versions of structures ------------------------------------------------------------------------------------- */

static const struct qb_problem defaults = {
    .size = sizeof defaults,
    .operation = QB_OPERATION_QUANTIZE,
    .input = QB_FORMAT_F16,
    .output = QB_FORMAT_INT8,
    .scale_format = QB_FORMAT_F32,
    .granularity = QB_GRANULARITY_TENSOR,
    .scaling = QB_SCALING_DYNAMIC,
    .hidden = 1,
};

void qb_problem_init_size(struct qb_problem *problem, size_t size)
{
    memset(problem, 0, size);
    memcpy(problem, &defaults, size < sizeof defaults ? size : sizeof defaults);
    problem->size = size;
}

bool qb__fits(const void *from, size_t given, size_t size)
{
    for (size_t i = size; i < given; i++) {
        if (((const char *)from)[i] != 0) {
            return false;
        }
    }
    return true;
}

enum qb_status qb__take(const char *what, const void *from, size_t given, void *to, size_t size)
{
    if (!qb__fits(from, given, size)) {
        return qb__fail(QB_ERROR_UNSUPPORTED, "%s: has a member unknown to this version of the library", what);
    }
    memcpy(to, from, given < size ? given : size);
    return QB_OK;
}

/* The same for a structure that begins with its size; that of TO stays. */
static enum qb_status take_sized(const char *what, const void *from, void *to, size_t size)
{
    size_t given;
    enum qb_status status;

    if (from == NULL) {
        return qb__fail(QB_ERROR_INVALID, "%s: NULL", what);
    }
    memcpy(&given, from, sizeof given);
    if (given < sizeof given) {
        return qb__fail(QB_ERROR_INVALID, "%s: the size is not set", what);
    }
    status = qb__take(what, from, given, to, size);
    memcpy(to, &size, sizeof size);
    return status;
}

enum qb_status qb__give(void *to, const void *from, size_t size)
{
    size_t room = 0;

    if (to != NULL) {
        memcpy(&room, to, sizeof room);
    }
    if (room < sizeof room) {
        return qb__fail(QB_ERROR_INVALID, "the size of the structure to be filled is not set");
    }
    memset((char *)to + sizeof room, 0, room - sizeof room);
    memcpy((char *)to + sizeof room, (const char *)from + sizeof room, (room < size ? room : size) - sizeof room);
    return QB_OK;
}

/* ---- Tensors ------------------------------------------------------------------------------------------------------
 */

/* The bytes from a tensor's first element to the end of its last; false if they do not fit in ptrdiff_t. */
static bool span(const struct qb_tensor_info *tensor, enum qb_packing packing, uint64_t *bytes)
{
    const uint64_t row = qb__packed_bytes(tensor->format, packing, tensor->cols);
    const uint64_t step = qb__packed_bytes(tensor->format, packing, tensor->stride);

    if (tensor->cols > PTRDIFF_MAX / 8 || tensor->stride > PTRDIFF_MAX / 8) {
        return false;
    }
    *bytes = 0;
    return tensor->rows == 0 || (!__builtin_mul_overflow(tensor->rows - 1, step, bytes) &&
                                 !__builtin_add_overflow(*bytes, row, bytes) && *bytes <= PTRDIFF_MAX);
}

struct qb_tensor_info qb__tensor_of(const struct qb_problem *p, enum qb_role role)
{
    struct qb_tensor_info tensor = {.size = sizeof tensor, .traffic = UINT64_MAX};

    qb__operation_of(p->operation)->tensor(p, role, &tensor);
    if (!tensor.present) {
        tensor.traffic = 0;
    } else {
        tensor.bits = qb__packed_bits(tensor.format, p->packing);
        tensor.alignment = tensor.bits < 8 ? 1 : tensor.bits / 8;
        if (tensor.traffic == UINT64_MAX) {
            tensor.traffic = tensor.rows * qb__packed_bytes(tensor.format, p->packing, tensor.cols);
        }
        if (p->experts > 0) {
            tensor.traffic = qb__experts_traffic(p, role, tensor.rows, tensor.traffic);
        }
        if (!span(&tensor, p->packing, &tensor.bytes)) {
            tensor.bytes = UINT64_MAX;
        }
    }
    return tensor;
}

enum qb_status qb_problem_tensor(const struct qb_problem *problem, enum qb_role role, struct qb_tensor_info *info)
{
    struct qb_problem p;
    struct qb_tensor_info tensor;
    enum qb_status status = qb__problem_load(problem, &p);

    if (status != QB_OK) {
        return status;
    }
    if (qb_role_name(role) == NULL) {
        return qb__fail(QB_ERROR_INVALID, "role %d is not in enum qb_role", (int)role);
    }
    tensor = qb__tensor_of(&p, role);
    return qb__give(info, &tensor, sizeof tensor);
}

void qb_problem_traffic(const struct qb_problem *problem, uint64_t *read, uint64_t *written)
{
    struct qb_problem p;

    *read = *written = 0;
    for (int role = 0; role < QB_ROLE_COUNT && qb__problem_load(problem, &p) == QB_OK; role++) {
        struct qb_tensor_info tensor = qb__tensor_of(&p, (enum qb_role)role);

        *read += tensor.read ? tensor.traffic : 0;
        *written += tensor.written ? tensor.traffic : 0;
    }
}

enum qb_status qb__tensors_take(const struct qb_tensors *tensors, struct qb_tensors *loaded)
{
    *loaded = (struct qb_tensors){.size = sizeof *loaded};
    return take_sized("the tensors", tensors, loaded, sizeof *loaded);
}

enum qb_status qb__tensors_check(const struct qb_problem *loaded_problem, const struct qb_tensors *loaded,
                                 enum qb_role role)
{
    const struct qb_tensor_info tensor = qb__tensor_of(loaded_problem, role);

    if (tensor.present && loaded->at[role] == NULL && tensor.bytes > 0) {
        return qb__fail(QB_ERROR_INVALID, "the tensor of the %s is NULL", role_names[role]);
    }
    if (tensor.present && (uintptr_t)loaded->at[role] % tensor.alignment != 0) {
        return qb__fail(QB_ERROR_INVALID, "the tensor of the %s is not aligned to one element", role_names[role]);
    }
    return QB_OK;
}

enum qb_status qb__tensors_load(const struct qb_problem *loaded_problem, const struct qb_tensors *tensors,
                                struct qb_tensors *loaded)
{
    enum qb_status status = qb__tensors_take(tensors, loaded);

    for (int role = 0; role < QB_ROLE_COUNT && status == QB_OK; role++) {
        status = qb__tensors_check(loaded_problem, loaded, (enum qb_role)role);
    }
    return status;
}

/* ---- Problems -----------------------------------------------------------------------------------------------------
 */

/* Check tensor_scale_cols of P, whose other members are valid. */
static enum qb_status validate_tensor_scales(const struct qb_problem *p)
{
    const uint64_t cols = p->tensor_scale_cols;
    const bool is_cache = qb__has_cache(p->operation);
    const uint64_t whole = is_cache ? p->hidden / 2 : p->hidden, unit = is_cache ? qb__head_size(p) : p->group;

    if (cols == 0) {
        return QB_OK;
    }
    if (p->tensor_scale == QB_TENSOR_SCALE_NONE || p->experts > 0 ||
        (p->operation != QB_OPERATION_QUANTIZE && p->operation != QB_OPERATION_DEQUANTIZE && !is_cache)) {
        return qb__fail(QB_ERROR_INVALID,
                        "tensor scales of %" PRIu64
                        " columns require quantize, dequantize, kv-write or kv-read with a tensor "
                        "scale, and no experts",
                        cols);
    }
    if (whole % cols != 0 || cols % unit != 0) {
        return qb__fail(QB_ERROR_INVALID,
                        "tensor scales of %" PRIu64 " columns; expected a divisor of %" PRIu64
                        " and a multiple of %" PRIu64,
                        cols, whole, unit);
    }
    return QB_OK;
}

enum qb_status qb__problem_load(const struct qb_problem *problem, struct qb_problem *loaded)
{
    struct qb_problem p = defaults;
    const struct qb__operation *operation;
    enum qb_status status = take_sized("the problem", problem, &p, sizeof p);

    if (status != QB_OK) {
        return status;
    }
    operation = qb__operation_of(p.operation);
    if (operation == NULL) {
        return qb__fail(QB_ERROR_INVALID, "operation %d is not in enum qb_operation", (int)p.operation);
    }
    status = operation->validate(&p);
    if (status == QB_OK) {
        status = qb__experts_validate(&p);
    }
    if (status == QB_OK) {
        status = validate_tensor_scales(&p);
    }
    if (status != QB_OK) {
        return status;
    }
    p.input_stride = p.input_stride == 0 ? qb__input_cols(&p) : p.input_stride;
    if (p.output_stride == 0) {
        const unsigned unit = qb__packed_unit(p.output, p.packing);

        p.output_stride = qb__ceil_div(qb__code_cols(&p), unit) * unit;
    }
    if (qb__has_cache(p.operation) || p.operation == QB_OPERATION_ROPE) {
        p.head_size = qb__head_size(&p);
    }
    if (qb__has_cache(p.operation) && p.tensor_scale != QB_TENSOR_SCALE_NONE) {
        p.tensor_scale_cols = qb__tensor_scale_cols(&p);
    }
    if (p.operation == QB_OPERATION_ROPE) {
        p.rotary = qb__rotary(&p);
        p.positions = qb__positions(&p);
    }
    for (int role = 0; role < QB_ROLE_COUNT; role++) {
        if (qb__tensor_of(&p, (enum qb_role)role).bytes == UINT64_MAX) {
            return qb__fail(QB_ERROR_INVALID, "%" PRIu64 " tokens of hidden size %" PRIu64 " are more than %td bytes",
                            p.tokens, p.hidden, PTRDIFF_MAX);
        }
    }
    *loaded = p;
    return QB_OK;
}

enum qb_status qb_problem_validate(const struct qb_problem *problem)
{
    struct qb_problem p;

    return qb__problem_load(problem, &p);
}

void qb_problem_tile(const struct qb_problem *problem, uint64_t *tile_rows, uint64_t *tile_cols)
{
    struct qb_problem p;

    if (qb__problem_load(problem, &p) == QB_OK) {
        qb__tile(&p, tile_rows, tile_cols);
    }
}

void qb_problem_scale_shape(const struct qb_problem *problem, uint64_t *scale_rows, uint64_t *scale_cols)
{
    struct qb_problem p;

    if (qb__problem_load(problem, &p) == QB_OK) {
        qb__scale_shape(&p, scale_rows, scale_cols);
    }
}

enum qb_status qb_problem_scale_offset(const struct qb_problem *problem, uint64_t row, uint64_t col, uint64_t *offset)
{
    struct qb_problem p;
    struct qb__tiling t;
    struct qb__layout l;
    uint64_t rows;
    bool in_pages;
    enum qb_status status = qb__problem_load(problem, &p);

    if (status != QB_OK) {
        return status;
    }
    if (p.experts > 0) {
        return qb__fail(QB_ERROR_INVALID, "the scales of experts lie as their table says");
    }
    t = qb__tiling_of(&p);
    in_pages = qb__has_cache(p.operation) && p.scaling == QB_SCALING_DYNAMIC;
    rows = in_pages ? p.pages * p.page_size : t.scale_rows;
    if (row >= rows || col >= t.scale_cols) {
        return qb__fail(QB_ERROR_INVALID, "scale (%" PRIu64 ", %" PRIu64 ") of %" PRIu64 " x %" PRIu64, row, col, rows,
                        t.scale_cols);
    }
    l = qb__layout_of(&p);
    *offset =
        (in_pages ? qb__cache_scale(&p, row, col) : qb__layout_index(&l, row, col)) * qb__element_size(p.scale_format);
    return QB_OK;
}

enum qb_status qb_problem_code_offset(const struct qb_problem *problem, uint64_t row, uint64_t col, uint64_t *offset)
{
    struct qb_problem p;
    uint64_t rows, bits;
    enum qb_status status = qb__problem_load(problem, &p);

    if (status != QB_OK) {
        return status;
    }
    p = p.operation == QB_OPERATION_TRANSPOSE ? qb__quantization_of(&p) : p;
    rows = qb__has_cache(p.operation) ? p.pages * p.page_size : p.tokens;
    if (row >= rows || col >= p.hidden) {
        return qb__fail(QB_ERROR_INVALID, "code (%" PRIu64 ", %" PRIu64 ") of %" PRIu64 " x %" PRIu64, row, col, rows,
                        p.hidden);
    }
    bits = qb__packed_bits(p.output, p.packing);
    *offset = qb__has_cache(p.operation)
                  ? qb__cache_code(&p, row, col) * bits / 8
                  : row * qb__packed_bytes(p.output, p.packing, p.output_stride) + col / 8 * bits + col % 8 * bits / 8;
    return QB_OK;
}
