/* SPDX-License-Identifier: Apache-2.0 */
/* values.c - see values.h. Rows are independent of each other. */
#include <config.h>

#include "cases/values.h"
#include "model/operation.h"

#include <stddef.h>

/* Elements that are computed at a time. */
#define SLICE_ELEMENTS ((uint64_t)1 << 14)
/* Rows that are copied together, so that lines of both tensors are used while they are in a cache. */
#define BAND 64

struct qb_problem values_quantization(const struct qb_problem *problem)
{
    struct qb_problem quantization = {.size = sizeof quantization};

    if (qb_problem_quantization(problem, &quantization) != QB_OK) {
        quantization = *problem; /* it dequantizes */
        quantization.operation = QB_OPERATION_QUANTIZE;
    }
    return quantization;
}

struct qb_problem values_reading(const struct qb_problem *problem)
{
    struct qb_problem reading = values_quantization(problem);

    reading.operation = QB_OPERATION_DEQUANTIZE;
    reading.scaling = QB_SCALING_STATIC;
    return reading;
}

bool values_differ(const struct qb_problem *problem)
{
    return problem->operation != QB_OPERATION_QUANTIZE && !operation_reads_codes(problem->operation) &&
           problem->operation != QB_OPERATION_KV_WRITE && problem->operation != QB_OPERATION_TRANSPOSE &&
           problem->operation != QB_OPERATION_DUAL;
}

bool values_same(const struct qb_problem *a, const struct qb_problem *b)
{
    return a->operation == b->operation && a->input == b->input && a->tokens == b->tokens && a->hidden == b->hidden &&
           a->intermediate == b->intermediate && a->gelu == b->gelu && a->gate == b->gate &&
           a->gate_limit == b->gate_limit && a->alpha == b->alpha && a->up_offset == b->up_offset &&
           a->weights == b->weights && a->epsilon == b->epsilon && a->pairing == b->pairing &&
           a->head_size == b->head_size && a->rotary == b->rotary && a->positions == b->positions &&
           a->page_size == b->page_size && a->pages == b->pages && a->page_layout == b->page_layout;
}

void values_slice(const struct qb_problem *problem, uint64_t first, uint64_t count, struct qb_problem *part,
                  struct qb_tensors *tensors)
{
    static const enum qb_role roles[] = {QB_ROLE_INPUT, QB_ROLE_CODES,  QB_ROLE_RESIDUAL,
                                         QB_ROLE_SUM,   QB_ROLE_VALUES, QB_ROLE_POSITIONS};

    *part = *problem;
    part->tokens = problem->tokens - first < count ? problem->tokens - first : count;
    part->keep_values = values_differ(problem);
    part->experts = part->expert_tokens = 0; /* values of rows that no expert has are there too */
    part->expert_rows = QB_EXPERT_ROWS_OFFSETS;
    for (size_t i = 0; i < sizeof roles / sizeof roles[0]; i++) {
        struct qb_tensor_info tensor = {.size = sizeof tensor};
        void **at = &tensors->at[roles[i]];

        if (*at != NULL && qb_problem_tensor(part, roles[i], &tensor) == QB_OK && tensor.present) {
            *at = (char *)*at + first * (tensor.stride * tensor.bits / 8);
        }
    }
}

enum qb_status values_compute(const struct qb_problem *problem, const struct qb_tensors *tensors)
{
    const uint64_t rows = SLICE_ELEMENTS / problem->hidden + 1, slices = (problem->tokens + rows - 1) / rows;
    enum qb_status status = QB_OK;

#pragma omp parallel for schedule(dynamic)
    for (uint64_t i = 0; i < slices; i++) {
        struct qb_problem part;
        struct qb_tensors at = *tensors;
        enum qb_status slice_status;

        values_slice(problem, i * rows, rows, &part, &at);
        slice_status = qb_reference_values(&part, &at);
        if (slice_status != QB_OK) {
#pragma omp critical
            status = slice_status;
        }
    }
    return status;
}

void values_transpose(const void *from, uint64_t rows, uint64_t cols, size_t size, void *to)
{
#pragma omp parallel for schedule(static)
    for (uint64_t first = 0; first < rows; first += BAND) {
        const uint64_t end = rows - first < BAND ? rows : first + BAND;

        for (uint64_t col = 0; col < cols; col++) {
            for (uint64_t row = first; row < end; row++) {
                if (size == sizeof(uint32_t)) {
                    ((uint32_t *)to)[col * rows + row] = ((const uint32_t *)from)[row * cols + col];
                } else {
                    ((uint16_t *)to)[col * rows + row] = ((const uint16_t *)from)[row * cols + col];
                }
            }
        }
    }
}
