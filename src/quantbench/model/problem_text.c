/* SPDX-License-Identifier: Apache-2.0 */
/* problem_text.c - a problem in words. */
#include <config.h>

#include "model/problem_text.h"
#include "model/recipe.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
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

const char *problem_details_text(const struct qb_problem *p, char text[PROBLEM_DETAILS_SIZE])
{
    text[0] = '\0';
    if (p->zero_points != QB_ZERO_POINTS_NONE) {
        append(text, ", zero points");
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
    return text;
}

void problem_text(const struct qb_problem *problem, char *text, size_t size)
{
    const char *output = qb_format_info(problem->output)->name, *recipe = recipe_name(problem);
    const bool has_recipe = recipe_of(problem, true) != NULL;
    char granularity[64], details[PROBLEM_DETAILS_SIZE];

    problem_granularity_text(problem, granularity, sizeof granularity);
    snprintf(text, size, "%s -> %s%s%s%s, %s, %s%s, %" PRIu64 " x %" PRIu64, qb_format_info(problem->input)->name,
             recipe, has_recipe ? " (" : "", has_recipe ? output : "", has_recipe ? ")" : "",
             qb_scaling_name(problem->scaling), granularity, problem_details_text(problem, details), problem->tokens,
             problem->hidden);
}
