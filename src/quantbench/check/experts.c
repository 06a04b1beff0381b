/* SPDX-License-Identifier: Apache-2.0 */
/* experts.c - see experts.h. */
#include <config.h>

#include "check/experts.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The first row of expert E of PROBLEM. */
static uint64_t first_of(const struct qb_problem *problem, const int64_t *table, uint64_t e)
{
    return problem->expert_rows == QB_EXPERT_ROWS_MASKED ? e * (problem->tokens / problem->experts)
                                                         : (uint64_t)table[e];
}

bool experts_take(const struct qb_problem *problem, const struct qb_tensors *tensors, struct expert_parts *parts)
{
    const int64_t *table = tensors->at[QB_ROLE_EXPERTS];
    const uint64_t count = problem->experts;

    *parts = (struct expert_parts){.count = count};
    if (count == 0) {
        return true;
    }
    parts->parts = calloc(count, sizeof *parts->parts);
    parts->owner = calloc(problem->tokens + 1, sizeof *parts->owner);
    if (parts->parts == NULL || parts->owner == NULL) {
        experts_free(parts);
        return false;
    }
    for (uint64_t e = 0; e < count; e++) {
        struct expert_part *part = &parts->parts[e];

        *part = (struct expert_part){{.size = sizeof part->problem}, *tensors, first_of(problem, table, e)};
        qb_problem_expert(problem, table, e, &part->problem, &part->tensors);
        for (uint64_t row = 0; row < part->problem.tokens; row++) {
            parts->owner[part->first + row] = (uint32_t)e + 1;
        }
    }
    return true;
}

void experts_free(struct expert_parts *parts)
{
    free(parts->parts);
    free(parts->owner);
    *parts = (struct expert_parts){.count = 0};
}

const struct expert_part *experts_of_row(const struct expert_parts *parts, uint64_t row)
{
    return parts->owner[row] > 0 ? &parts->parts[parts->owner[row] - 1] : NULL;
}

/* ---- What is written -------------------------------------------------------------------------------------------- */

/* Elements of scales that are written together: those of a tile, or of a word. */
static uint64_t unit_of(enum qb_scale_layout layout)
{
    switch (layout) {
    case QB_SCALE_LAYOUT_TILED_128X4:
        return 512;
    case QB_SCALE_LAYOUT_TILED_8X4:
        return 32;
    case QB_SCALE_LAYOUT_PACKED:
        return 4;
    case QB_SCALE_LAYOUT_ROWS:
    case QB_SCALE_LAYOUT_COLUMNS:
        break;
    }
    return 1;
}

/* Mark the scales of PART, whose tensor begins at MASK, with what is written beside them. */
static void mark_scales(const struct expert_part *part, uint8_t *mask)
{
    const uint64_t unit = unit_of(part->problem.scale_layout) * (qb_format_info(part->problem.scale_format)->bits / 8);
    uint64_t rows, cols, offset = 0;

    qb_problem_scale_shape(&part->problem, &rows, &cols);
    for (uint64_t i = 0; i < rows * cols; i++) {
        qb_problem_scale_offset(&part->problem, i / cols, i % cols, &offset);
        memset(mask + offset / unit * unit, 1, unit);
    }
}

/* Mark the rows of PART in the tensor of ROLE, which begin at MASK. */
static void mark_rows(const struct expert_part *part, enum qb_role role, uint8_t *mask)
{
    struct qb_tensor_info info = {.size = sizeof info};

    qb_problem_tensor(&part->problem, role, &info);
    for (uint64_t row = 0; row < info.rows; row++) {
        const uint64_t last = info.cols % 8, bytes = info.cols / 8 * info.bits + (last * info.bits + 7) / 8;

        memset(mask + row * (info.stride / 8 * info.bits + (info.stride % 8 * info.bits + 7) / 8), 1, bytes);
    }
}

bool experts_mark(const struct qb_problem *problem, const int64_t *table, enum qb_role role, uint8_t *mask)
{
    struct qb_tensors tensors = {.size = sizeof tensors};
    struct expert_parts parts;

    tensors.at[QB_ROLE_EXPERTS] = (void *)(uintptr_t)table;
    tensors.at[role] = mask;
    if (!experts_take(problem, &tensors, &parts)) {
        return false;
    }
    for (uint64_t e = 0; e < parts.count; e++) {
        uint8_t *own = parts.parts[e].tensors.at[role];

        if (role == QB_ROLE_SCALES) {
            mark_scales(&parts.parts[e], own);
        } else if (role == QB_ROLE_TENSOR_SCALE) {
            memset(own, 1, sizeof(float));
        } else {
            mark_rows(&parts.parts[e], role, own);
        }
    }
    experts_free(&parts);
    return true;
}

/* ---- For people, and for questions ------------------------------------------------------------------------------ */

/* Find the scale of PART that is OFFSET bytes from the beginning of its tensor. */
static bool find_scale(const struct expert_part *part, uint64_t wanted, uint64_t *row, uint64_t *col)
{
    uint64_t rows, cols, offset = 0;

    qb_problem_scale_shape(&part->problem, &rows, &cols);
    for (uint64_t i = 0; i < rows * cols; i++) {
        qb_problem_scale_offset(&part->problem, i / cols, i % cols, &offset);
        if (offset == wanted) {
            *row = i / cols;
            *col = i % cols;
            return true;
        }
    }
    return false;
}

const char *experts_scale_text(const struct qb_problem *problem, const int64_t *table, uint64_t offset,
                               char text[EXPERTS_TEXT_SIZE])
{
    struct qb_tensors tensors = {.size = sizeof tensors};
    struct expert_parts parts;
    char base;
    uint64_t row, col;

    snprintf(text, EXPERTS_TEXT_SIZE, "byte %" PRIu64 " of the scales, which no scale has", offset);
    tensors.at[QB_ROLE_EXPERTS] = (void *)(uintptr_t)table;
    tensors.at[QB_ROLE_SCALES] = &base;
    if (!experts_take(problem, &tensors, &parts)) {
        return text;
    }
    for (uint64_t e = 0; e < parts.count; e++) {
        const uint64_t before = (uint64_t)((uintptr_t)parts.parts[e].tensors.at[QB_ROLE_SCALES] - (uintptr_t)&base);

        if (offset >= before && find_scale(&parts.parts[e], offset - before, &row, &col)) {
            snprintf(text, EXPERTS_TEXT_SIZE, "scale [%" PRIu64 ", %" PRIu64 "] of expert %" PRIu64, row, col, e);
            break;
        }
    }
    experts_free(&parts);
    return text;
}

bool experts_choose(const struct qb_problem *problem, const int64_t *table, uint64_t random, uint64_t *expert)
{
    const bool masked = problem->expert_rows == QB_EXPERT_ROWS_MASKED;

    for (uint64_t i = 0; i < problem->experts; i++) {
        const uint64_t e = (random + i) % problem->experts;

        if ((masked ? table[e] : table[e + 1] - table[e]) > 0) {
            *expert = e;
            return true;
        }
    }
    return false;
}
