/* SPDX-License-Identifier: Apache-2.0 */
/* quantization.c - see quantization.h. A recipe sets what belongs to it, unless an option says otherwise. */
#include <config.h>

#include "cases/choice.h"
#include "cases/operations.h"
#include "cases/quantization.h"
#include "model/operation.h"
#include "model/problem_text.h"
#include "model/recipe.h"

#include <inttypes.h>
#include <stdio.h>

/* ---- Combinations ----------------------------------------------------------------------------------------------- */

size_t quantization_count(const struct sweep *s)
{
    return s->granularities.count * s->scalings.count * s->quant_dtypes.count * choice_count(s->scale_formats.count) *
           choice_count(s->scale_roundings.count) * choice_count(s->scale_layouts.count) *
           choice_count(s->tensor_scales.count) * choice_count(s->packings.count);
}

static void set_granularity(const struct sweep *s, const struct granularity *granularity, const struct recipe *recipe,
                            struct qb_problem *p)
{
    const uint64_t group = recipe != NULL                      ? recipe->group
                           : operation_has_cache(p->operation) ? 0 /* its groups divide a head */
                                                               : recipe_default_group(p->output);

    p->granularity = granularity->kind;
    p->group = granularity->group;
    p->block_rows = granularity->block_rows;
    p->block_cols = granularity->block_cols;
    if (group > 0 && !s->chose_granularity) {
        p->granularity = QB_GRANULARITY_GROUP;
        p->group = group;
    }
}

/* The recipe that combination INDEX names; NULL: a format. What is left of INDEX is that of the options before. */
static const struct recipe *find_recipe(const struct sweep *s, size_t *index, struct qb_problem *p)
{
    const uint64_t value = s->quant_dtypes.values[choice_take(index, s->quant_dtypes.count)];
    const struct recipe *recipe = value >= QUANTIZATION_RECIPE ? recipe_at(value - QUANTIZATION_RECIPE) : NULL;

    p->output = recipe != NULL ? recipe->output : (enum qb_format)value;
    return recipe;
}

/* The scaling of P at INDEX of those that are swept. What dequantizes reads its scales, and only --scale=static may be
 * given with it. */
static enum qb_scaling scaling_of(const struct sweep *s, size_t index, const struct qb_problem *p)
{
    if (p->operation == QB_OPERATION_DEQUANTIZE) {
        return QB_SCALING_STATIC;
    }
    return operation_has_cache(p->operation) && !s->chose_scale ? operations_scaling_of_cache(p->granularity)
                                                                : (enum qb_scaling)s->scalings.values[index];
}

/* As quantization_set(); returns the recipe. */
static const struct recipe *set(const struct sweep *s, size_t index, struct qb_problem *p)
{
    const size_t packing = choice_take(&index, s->packings.count),
                 tensor_scale = choice_take(&index, s->tensor_scales.count),
                 layout = choice_take(&index, s->scale_layouts.count),
                 rounding = choice_take(&index, s->scale_roundings.count),
                 format = choice_take(&index, s->scale_formats.count);
    const struct recipe *recipe = find_recipe(s, &index, p);
    size_t scaling = choice_take(&index, s->scalings.count);
    const struct qb_format_info *output = qb_format_info(p->output);
    /* Integers without a sign have no other code for 0. */
    const bool needs_zero_points = output->exponent_bits == 0 && output->mantissa_bits == output->bits;

    set_granularity(s, &s->granularities.values[index], recipe, p);
    p->scaling = scaling_of(s, scaling, p);
    p->packing = (enum qb_packing)choice_at(&s->packings, packing, QB_PACKING_BYTES);
    p->scale_format = s->scale_formats.count > 0 ? problem_scale_format_at(s->scale_formats.values[format])
                      : recipe != NULL           ? recipe->scale_format
                                                 : QB_FORMAT_F32;
    p->scale_rounding = (enum qb_scale_rounding)choice_at(&s->scale_roundings, rounding, QB_SCALE_ROUNDING_UP);
    p->scale_layout = (enum qb_scale_layout)choice_at(&s->scale_layouts, layout, QB_SCALE_LAYOUT_ROWS);
    p->tensor_scale = (enum qb_tensor_scale)choice_at(
        &s->tensor_scales, tensor_scale,
        recipe != NULL && p->scale_format == recipe->scale_format ? (int)recipe->tensor_scale : QB_TENSOR_SCALE_NONE);
    p->zero_points = s->asymmetric || s->chose_zero_points || needs_zero_points
                         ? (enum qb_zero_points)(QB_ZERO_POINTS_INT8 + s->zero_points)
                         : QB_ZERO_POINTS_NONE;
    return recipe;
}

void quantization_set(const struct sweep *sweep, size_t index, struct qb_problem *problem)
{
    set(sweep, index, problem);
}

/* ---- What the user may not expect ------------------------------------------------------------------------------- */

/* The place of combination INDEX in --quant-dtype. STEP is the difference between combinations that differ in it. */
static size_t place_of(const struct sweep *s, size_t index, size_t *step)
{
    *step = choice_count(s->scale_formats.count) * choice_count(s->scale_roundings.count) *
            choice_count(s->scale_layouts.count) * choice_count(s->tensor_scales.count) *
            choice_count(s->packings.count);
    return index / *step % s->quant_dtypes.count;
}

/* The word for the value at PLACE of --quant-dtype. */
static const char *word_at(const struct sweep *s, size_t place)
{
    const uint64_t value = s->quant_dtypes.values[place];

    return value >= QUANTIZATION_RECIPE ? recipe_at(value - QUANTIZATION_RECIPE)->name
                                        : qb_format_info((enum qb_format)value)->name;
}

/* True if A and B, which differ in no other members than combinations do, are the same. */
static bool is_same(const struct qb_problem *a, const struct qb_problem *b)
{
    return a->output == b->output && a->granularity == b->granularity && a->group == b->group &&
           a->packing == b->packing && a->scale_format == b->scale_format && a->scale_rounding == b->scale_rounding &&
           a->scale_layout == b->scale_layout && a->tensor_scale == b->tensor_scale && a->zero_points == b->zero_points;
}

/* Warn if P is no longer what RECIPE says. */
static void announce_changes(const struct recipe *recipe, const struct qb_problem *p)
{
    const bool has_tensor_scale = recipe->tensor_scale != QB_TENSOR_SCALE_NONE;
    char change[96], granularity[64];

    if (p->scale_format != recipe->scale_format) {
        snprintf(change, sizeof change, "--scale-format=%s", problem_scale_format_name(p->scale_format));
    } else if (p->granularity != QB_GRANULARITY_GROUP || p->group != recipe->group) {
        problem_granularity_text(p, granularity, sizeof granularity);
        snprintf(change, sizeof change, "--granularity=%s", granularity);
    } else if ((p->tensor_scale != QB_TENSOR_SCALE_NONE) != has_tensor_scale) {
        snprintf(change, sizeof change, "--tensor-scale=%s", qb_tensor_scale_name(p->tensor_scale));
    } else {
        return;
    }
    message_warning("--quant-dtype=%s: %s replaces a part of the recipe; reports call the result %s", recipe->name,
                    change, recipe_name(p));
}

bool quantization_announce(const struct sweep *s, size_t index, const struct qb_problem *problem)
{
    size_t step;
    const size_t place = place_of(s, index, &step);
    const uint64_t value = s->quant_dtypes.values[place];

    for (size_t before = 0; before < place; before++) {
        struct qb_problem other = *problem;

        set(s, index - (place - before) * step, &other);
        if (is_same(&other, problem)) {
            message_warning("--quant-dtype=%s: the same as %s with these options; it is measured once",
                            word_at(s, place), word_at(s, before));
            return false;
        }
    }
    if (value >= QUANTIZATION_RECIPE) {
        announce_changes(recipe_at(value - QUANTIZATION_RECIPE), problem);
    }
    return true;
}

/* ---- What goes together ----------------------------------------------------------------------------------------- */

#define TEXT_SIZE 64

/* What is to be checked, and its words. */
struct check {
    const struct qb_problem *p;
    const struct recipe *recipe;
    char granularity[TEXT_SIZE];
    char output[TEXT_SIZE]; /* the option that says what is quantized to */
};

/* Print that OPTION=VALUE conflicts with OTHER, as it REQUIRES something else. Returns false. */
static bool conflict(const char *option, const char *value, const char *other, const char *requires)
{
    message_error("--%s=%s: conflicts with %s; it requires %s", option, value, other, requires);
    return false;
}

/* Scales and groups. */
static bool check_groups(const struct check *c)
{
    const struct qb_problem *p = c->p;
    const bool narrow = p->scale_format == QB_FORMAT_E8M0 || p->scale_format == QB_FORMAT_E4M3;
    char other[2 * TEXT_SIZE], groups[TEXT_SIZE];

    snprintf(other, sizeof other, "--granularity=%s", c->granularity);
    snprintf(groups, sizeof groups, "groups, --granularity=group:%" PRIu64,
             c->recipe != NULL ? c->recipe->group : recipe_default_group(QB_FORMAT_INT4));
    if (p->granularity == QB_GRANULARITY_GROUP) {
        return true;
    }
    if (narrow) {
        return conflict(c->recipe != NULL ? "quant-dtype" : "scale-format",
                        c->recipe != NULL ? c->recipe->name : problem_scale_format_name(p->scale_format), other,
                        groups);
    }
    return p->scale_layout == QB_SCALE_LAYOUT_ROWS ||
           conflict("scale-layout", qb_scale_layout_name(p->scale_layout), other, groups);
}

/* What belongs to a format of scales. */
static bool check_scales(const struct check *c)
{
    const struct qb_problem *p = c->p;
    const bool e8m0 = p->scale_format == QB_FORMAT_E8M0, e4m3 = p->scale_format == QB_FORMAT_E4M3;
    const bool tiled = p->scale_layout == QB_SCALE_LAYOUT_TILED_128X4 || p->scale_layout == QB_SCALE_LAYOUT_TILED_8X4;
    char other[2 * TEXT_SIZE];

    snprintf(other, sizeof other, "scales in %s", problem_scale_format_name(p->scale_format));
    if (p->scale_rounding != QB_SCALE_ROUNDING_UP && !e8m0) {
        return conflict("scale-rounding", qb_scale_rounding_name(p->scale_rounding), other,
                        "--scale-format=e8m0, or mxfp8, mxfp6 or mxfp4");
    }
    if (p->tensor_scale != QB_TENSOR_SCALE_NONE && !e4m3) {
        return conflict("tensor-scale", qb_tensor_scale_name(p->tensor_scale), other, "--scale-format=e4m3, or nvfp4");
    }
    if (p->scale_layout == QB_SCALE_LAYOUT_PACKED && !e8m0) {
        return conflict("scale-layout", "packed", other, "--scale-format=e8m0, or mxfp8, mxfp6 or mxfp4");
    }
    if (tiled && !e8m0 && !e4m3) {
        return conflict("scale-layout", qb_scale_layout_name(p->scale_layout), other,
                        "scales of one byte, --scale-format=e8m0 or e4m3");
    }
    if (p->tensor_scale == QB_TENSOR_SCALE_COMPUTED && p->scaling == QB_SCALING_STATIC) {
        message_error("--tensor-scale=computed: conflicts with --scale=static; use --tensor-scale=given");
        return false;
    }
    return true;
}

const char *zero_points_option(const struct qb_problem *problem)
{
    return problem->zero_points == QB_ZERO_POINTS_INT32 ? "--zero-points=int32" : "--asymmetric";
}

/* Codes and zero points. */
static bool check_codes(const struct check *c)
{
    const struct qb_problem *p = c->p;
    const struct qb_format_info *output = qb_format_info(p->output);
    char other[2 * TEXT_SIZE];

    if (p->packing == QB_PACKING_DENSE && output->bits != 6) {
        return conflict("packing", "dense", c->output, "codes of 6 bits: e2m3, e3m2, mxfp6 or mxfp6-e3m2");
    }
    if (p->zero_points == QB_ZERO_POINTS_NONE) {
        return true;
    }
    if (output->exponent_bits != 0) {
        message_error("%s: conflicts with %s; it requires integers: int8, int4 or uint4", zero_points_option(p),
                      c->output);
        return false;
    }
    if (p->granularity == QB_GRANULARITY_CHANNEL || p->granularity == QB_GRANULARITY_BLOCK) {
        message_error("%s: conflicts with --granularity=%s; zero points require tensor, token or group:G",
                      output->mantissa_bits == output->bits ? c->output : zero_points_option(p), c->granularity);
        return false;
    }
    if (p->scale_format != QB_FORMAT_F32 && p->scale_format != QB_FORMAT_F16) {
        snprintf(other, sizeof other, "%s, which has zero points",
                 output->mantissa_bits == output->bits ? c->output : zero_points_option(p));
        return conflict("scale-format", problem_scale_format_name(p->scale_format), other,
                        "--scale-format=float or half");
    }
    return true;
}

bool quantization_check(const struct sweep *sweep)
{
    bool good = true;

    for (size_t i = 0; i < quantization_count(sweep) && good; i++) {
        struct qb_problem p;
        struct check c = {.p = &p};

        qb_problem_init(&p);
        c.recipe = set(sweep, i, &p);
        problem_granularity_text(&p, c.granularity, sizeof c.granularity);
        snprintf(c.output, sizeof c.output, "--quant-dtype=%s",
                 c.recipe != NULL ? c.recipe->name : qb_format_info(p.output)->name);
        good = check_groups(&c) && check_scales(&c) && check_codes(&c) &&
               operations_check_columns(sweep, &p, c.granularity) && operations_check_experts(sweep, &p, c.granularity);
    }
    return good;
}
