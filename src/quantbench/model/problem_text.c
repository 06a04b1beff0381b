/* SPDX-License-Identifier: Apache-2.0 */
/* problem_text.c - a problem in words. */
#include <config.h>

#include "model/operation.h"
#include "model/problem_text.h"
#include "model/recipe.h"

#include <float.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void problem_granularity_text(const struct qb_problem *problem, char *text, size_t size)
{
    switch (problem->granularity) {
    case QB_GRANULARITY_GROUP:
        snprintf(text, size, "group:%" PRIu64, problem->group);
        break;
    case QB_GRANULARITY_BLOCK:
        snprintf(text, size, "block:%" PRIu64 "x%" PRIu64, problem->block_rows, problem->block_cols);
        break;
    case QB_GRANULARITY_TENSOR:
    case QB_GRANULARITY_TOKEN:
    case QB_GRANULARITY_CHANNEL:
        snprintf(text, size, "%s", qb_granularity_name(problem->granularity));
        break;
    }
}

/* In the order of --scale-format. E4M3 is "fp8" only where it is what is quantized to. */
static const struct {
    const char *name;
    enum qb_format format;
} scale_formats[PROBLEM_SCALE_FORMATS] = {
    {"float", QB_FORMAT_F32},
    {"half", QB_FORMAT_F16},
    {"e8m0", QB_FORMAT_E8M0},
    {"e4m3", QB_FORMAT_E4M3},
};

const char *problem_scale_format_name(enum qb_format format)
{
    for (size_t i = 0; i < PROBLEM_SCALE_FORMATS; i++) {
        if (scale_formats[i].format == format) {
            return scale_formats[i].name;
        }
    }
    return NULL;
}

enum qb_format problem_scale_format_at(size_t index)
{
    return scale_formats[index].format;
}

/* Append the words of FORMAT to TEXT. */
static __attribute__((format(printf, 2, 3))) void append(char text[PROBLEM_DETAILS_SIZE], const char *format, ...)
{
    const size_t length = strlen(text);
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text + length, PROBLEM_DETAILS_SIZE - length, format, arguments);
    va_end(arguments);
}

const char *problem_number_text(float number, char text[PROBLEM_NUMBER_SIZE])
{
    int digits = 1;

    do {
        snprintf(text, PROBLEM_NUMBER_SIZE, "%.*g", digits++, (double)number);
    } while ((float)strtod(text, NULL) != number && digits <= FLT_DECIMAL_DIG);
    return text;
}

/* What is rotated of a head. */
static void append_rotation(const struct qb_problem *p, char text[PROBLEM_DETAILS_SIZE])
{
    if (p->rotary != p->head_size / 2 * 2) {
        append(text, ", %" PRIu64 " rotated", p->rotary);
    }
    if (p->pairing != QB_PAIRING_HALVES) {
        append(text, ", %s pairs", qb_pairing_name(p->pairing));
    }
    append(text, ", %" PRIu64 " positions", p->positions);
}

/* The values of an operation before the quantization. */
static void append_operation(const struct qb_problem *p, char text[PROBLEM_DETAILS_SIZE])
{
    char number[PROBLEM_NUMBER_SIZE];

    if (p->intermediate != QB_INTERMEDIATE_INPUT) {
        append(text, ", intermediate %s", qb_intermediate_name(p->intermediate));
    }
    if (p->keep_values) {
        append(text, ", values kept");
    }
    if (p->gelu != QB_GELU_TANH) {
        append(text, ", gelu %s", qb_gelu_name(p->gelu));
    }
    if (p->gate != QB_GATE_HALVES) {
        append(text, ", gate %s", qb_gate_name(p->gate));
    }
    if (p->gate_limit != 0) {
        append(text, ", limit %s", problem_number_text(p->gate_limit, number));
    }
    if (p->alpha != 0) {
        append(text, ", alpha %s", problem_number_text(p->alpha, number));
    }
    if (p->up_offset != 0) {
        append(text, ", offset %s", problem_number_text(p->up_offset, number));
    }
    if (p->weights != QB_WEIGHTS_INPUT) {
        append(text, ", %s weights", qb_weights_name(p->weights));
    }
    if (p->epsilon != PROBLEM_EPSILON && operation_reads(p->operation, MEMBER_EPSILON)) {
        append(text, ", epsilon %s", problem_number_text(p->epsilon, number));
    }
    if (p->operation == QB_OPERATION_ROPE) {
        append(text, ", heads of %" PRIu64, p->head_size);
        append_rotation(p, text);
    }
    if (operation_has_cache(p->operation)) {
        append(text, ", heads of %" PRIu64 ", %" PRIu64 " %s pages of %" PRIu64, p->head_size, p->pages,
               qb_page_layout_name(p->page_layout), p->page_size);
    }
    if (p->experts > 0) {
        append(text, ", %" PRIu64 " experts by %s of %" PRIu64 " rows", p->experts,
               p->expert_rows == QB_EXPERT_ROWS_MASKED ? "counts" : "offsets", p->expert_tokens);
    }
}

const char *problem_details_text(const struct qb_problem *p, char text[PROBLEM_DETAILS_SIZE])
{
    text[0] = '\0';
    if (p->zero_points != QB_ZERO_POINTS_NONE) {
        append(text, p->zero_points == QB_ZERO_POINTS_INT8 ? ", zero points" : ", zero points in int32");
    }
    if (p->scale_format != QB_FORMAT_F32) {
        append(text, ", %s scales", problem_scale_format_name(p->scale_format));
    }
    if (p->scale_rounding != QB_SCALE_ROUNDING_UP) {
        append(text, " (%s)", qb_scale_rounding_name(p->scale_rounding));
    }
    if (p->scale_layout != QB_SCALE_LAYOUT_ROWS) {
        append(text, ", in %s", qb_scale_layout_name(p->scale_layout));
    }
    if (p->tensor_scale != QB_TENSOR_SCALE_NONE) {
        append(text, ", tensor scale %s", qb_tensor_scale_name(p->tensor_scale));
    }
    if (p->packing != QB_PACKING_BYTES) {
        append(text, ", %s", qb_packing_name(p->packing));
    }
    append_operation(p, text);
    return text;
}

/* The operation, if there is another than to quantize, and the formats that it is from and to. */
#define FORMATS_SIZE 96
static void formats_text(const struct qb_problem *p, char text[FORMATS_SIZE])
{
    const char *input = qb_format_info(p->input)->name, *output = qb_format_info(p->output)->name;
    const bool has_recipe = recipe_of(p, true) != NULL, is_plain = p->operation == QB_OPERATION_QUANTIZE;
    char codes[32];

    snprintf(codes, sizeof codes, "%s%s%s%s", recipe_name(p), has_recipe ? " (" : "", has_recipe ? output : "",
             has_recipe ? ")" : "");
    snprintf(text, FORMATS_SIZE, "%s%s%s -> %s", is_plain ? "" : qb_operation_name(p->operation), is_plain ? "" : ", ",
             operation_reads_codes(p->operation) ? codes : input, operation_reads_codes(p->operation) ? input : codes);
}

const char *problem_results_name(const struct qb_problem *problem)
{
    return operation_reads_codes(problem->operation)                                 ? "values"
           : problem->keep_values || problem->operation == QB_OPERATION_ADD_RMS_NORM ? "codes, values and sums"
                                                                                     : "codes";
}

void problem_text(const struct qb_problem *problem, char *text, size_t size)
{
    char formats[FORMATS_SIZE], granularity[64], details[PROBLEM_DETAILS_SIZE];

    formats_text(problem, formats);
    problem_granularity_text(problem, granularity, sizeof granularity);
    snprintf(text, size, "%s, %s, %s%s, %" PRIu64 " x %" PRIu64, formats, qb_scaling_name(problem->scaling),
             granularity, problem_details_text(problem, details), problem->tokens, problem->hidden);
}
