/* SPDX-License-Identifier: Apache-2.0 */
/* problem.c - struct qb_problem: defaults, validation, the shape of its scales, and the bytes it moves. */
#include <config.h>

#include "problem.h"
#include "internal.h"

#include <inttypes.h>
#include <math.h>

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

void qb_problem_init(struct qb_problem *problem)
{
    *problem = (struct qb_problem){
        .input = QB_FORMAT_F16,
        .output = QB_FORMAT_INT8,
        .granularity = QB_GRANULARITY_TENSOR,
        .scaling = QB_SCALING_DYNAMIC,
        .hidden = 1,
    };
}

static uint64_t row_stride(uint64_t stride, uint64_t hidden)
{
    return stride == 0 ? hidden : stride;
}

/* The bytes from a tensor's first element to the end of its last; false if they do not fit in ptrdiff_t. */
static bool buffer_size(uint64_t rows, uint64_t cols, uint64_t stride, size_t element, uint64_t *bytes)
{
    uint64_t elements = 0;

    if (rows > 0 &&
        (__builtin_mul_overflow(rows - 1, stride, &elements) || __builtin_add_overflow(elements, cols, &elements))) {
        return false;
    }
    return !__builtin_mul_overflow(elements, element, bytes) && *bytes <= PTRDIFF_MAX;
}

enum qb_status qb_problem_validate(const struct qb_problem *p)
{
    const struct qb_format_info *input, *output;
    uint64_t scale_rows, scale_cols, bytes;

    if (p == NULL) {
        return qb__fail(QB_ERROR_INVALID, "the problem is NULL");
    }
    input = qb_format_info(p->input);
    output = qb_format_info(p->output);
    if (input == NULL || !input->is_input) {
        return qb__fail(QB_ERROR_INVALID, "input format %d: half, bfloat16 or float is accepted", (int)p->input);
    }
    if (output == NULL || !output->is_output) {
        return qb__fail(QB_ERROR_INVALID, "output format %d: INT8, E4M3 or E5M2 is accepted", (int)p->output);
    }
    if (qb_granularity_name(p->granularity) == NULL) {
        return qb__fail(QB_ERROR_INVALID, "granularity %d is not in enum qb_granularity", (int)p->granularity);
    }
    if (qb_scaling_name(p->scaling) == NULL) {
        return qb__fail(QB_ERROR_INVALID, "scaling %d is not in enum qb_scaling", (int)p->scaling);
    }
    if (p->hidden == 0) {
        return qb__fail(QB_ERROR_INVALID, "hidden size 0: at least 1 is accepted");
    }
    if (row_stride(p->input_stride, p->hidden) < p->hidden) {
        return qb__fail(QB_ERROR_INVALID, "input stride %" PRIu64 " is less than hidden size %" PRIu64, p->input_stride,
                        p->hidden);
    }
    if (row_stride(p->output_stride, p->hidden) < p->hidden) {
        return qb__fail(QB_ERROR_INVALID, "output stride %" PRIu64 " is less than hidden size %" PRIu64,
                        p->output_stride, p->hidden);
    }
    if (p->granularity == QB_GRANULARITY_GROUP && p->group == 0) {
        return qb__fail(QB_ERROR_INVALID, "group size 0: at least 1 is accepted");
    }
    if (p->granularity == QB_GRANULARITY_BLOCK && (p->block_rows == 0 || p->block_cols == 0)) {
        return qb__fail(QB_ERROR_INVALID, "block of %" PRIu64 " x %" PRIu64 ": at least 1 x 1 is accepted",
                        p->block_rows, p->block_cols);
    }
    if (!(p->amax_bound >= 0) || isinf(p->amax_bound)) {
        return qb__fail(QB_ERROR_INVALID, "amax bound %g: a finite number > 0 is accepted, or 0 for none",
                        (double)p->amax_bound);
    }
    qb__scale_shape(p, &scale_rows, &scale_cols);
    if (!buffer_size(p->tokens, p->hidden, row_stride(p->input_stride, p->hidden), qb__element_size(p->input),
                     &bytes) ||
        !buffer_size(p->tokens, p->hidden, row_stride(p->output_stride, p->hidden), 1, &bytes) ||
        !buffer_size(scale_rows, scale_cols, scale_cols, sizeof(float), &bytes)) {
        return qb__fail(QB_ERROR_INVALID, "%" PRIu64 " tokens of hidden size %" PRIu64 " are more than %td bytes",
                        p->tokens, p->hidden, PTRDIFF_MAX);
    }
    return QB_OK;
}

void qb_problem_tile(const struct qb_problem *problem, uint64_t *tile_rows, uint64_t *tile_cols)
{
    qb__tile(problem, tile_rows, tile_cols);
}

void qb_problem_scale_shape(const struct qb_problem *problem, uint64_t *scale_rows, uint64_t *scale_cols)
{
    qb__scale_shape(problem, scale_rows, scale_cols);
}

void qb_problem_bytes(const struct qb_problem *p, struct qb_bytes *bytes)
{
    uint64_t scale_rows, scale_cols;
    uint64_t elements = p->tokens * p->hidden;

    qb__scale_shape(p, &scale_rows, &scale_cols);
    bytes->scale_buffer = scale_rows * scale_cols * sizeof(float);
    buffer_size(p->tokens, p->hidden, row_stride(p->input_stride, p->hidden), qb__element_size(p->input),
                &bytes->input_buffer);
    buffer_size(p->tokens, p->hidden, row_stride(p->output_stride, p->hidden), 1, &bytes->output_buffer);
    bytes->read = elements * qb__element_size(p->input);
    bytes->written = elements;
    if (p->scaling == QB_SCALING_AMAX) {
        bytes->output_buffer = bytes->written = 0;
    }
    *(p->scaling == QB_SCALING_STATIC ? &bytes->read : &bytes->written) += bytes->scale_buffer;
}

void qb__fill_strides(const struct qb_problem *problem, struct qb_problem *filled)
{
    *filled = *problem;
    filled->input_stride = row_stride(problem->input_stride, problem->hidden);
    filled->output_stride = row_stride(problem->output_stride, problem->hidden);
}

enum qb_status qb__prepare(const struct qb_problem *problem, const struct qb_buffers *buffers, bool writes_codes,
                           struct qb_problem *prepared)
{
    enum qb_status status = qb_problem_validate(problem);

    if (status != QB_OK) {
        return status;
    }
    if (buffers == NULL || buffers->scales == NULL ||
        (problem->tokens > 0 && (buffers->input == NULL || (writes_codes && buffers->output == NULL)))) {
        return qb__fail(QB_ERROR_INVALID, "a buffer is NULL");
    }
    if ((uintptr_t)buffers->input % qb__element_size(problem->input) != 0 ||
        (uintptr_t)buffers->scales % sizeof(float) != 0) {
        return qb__fail(QB_ERROR_INVALID, "the input or the scales are not aligned to one element");
    }
    qb__fill_strides(problem, prepared);
    return QB_OK;
}
