/* SPDX-License-Identifier: Apache-2.0 */
/* property.c - what a case is, before it runs. */
#include <config.h>

#include "model/property.h"
#include "base/label.h"
#include "model/operation.h"
#include "model/problem_text.h"
#include "model/recipe.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

const char *property_name(enum property property)
{
    static const char *const names[PROPERTIES] = {
        [PROPERTY_SOURCE] = "host",
        [PROPERTY_DEVICE] = "device",
        [PROPERTY_TENSOR] = "tensor",
        [PROPERTY_TOKENS] = "tokens",
        [PROPERTY_HIDDEN] = "hidden",
        [PROPERTY_DTYPE] = "dtype",
        [PROPERTY_DIST] = "dist",
        [PROPERTY_OPERATION] = "op",
        [PROPERTY_QUANT_DTYPE] = "quant",
        [PROPERTY_GRANULARITY] = "granularity",
        [PROPERTY_SCALE] = "scale",
        [PROPERTY_SCALE_FORMAT] = "scales",
        [PROPERTY_SCALE_ROUNDING] = "rounding",
        [PROPERTY_SCALE_LAYOUT] = "layout",
        [PROPERTY_TENSOR_SCALE] = "tensor scale",
        [PROPERTY_ZERO_POINTS] = "zero points",
        [PROPERTY_PACKING] = "packing",
        [PROPERTY_INTERMEDIATE] = "intermediate",
        [PROPERTY_VALUES] = "values",
        [PROPERTY_GELU] = "gelu",
        [PROPERTY_GATE] = "gate",
        [PROPERTY_GATE_LIMIT] = "gate limit",
        [PROPERTY_ALPHA] = "alpha",
        [PROPERTY_UP_OFFSET] = "up offset",
        [PROPERTY_WEIGHTS] = "weights",
        [PROPERTY_EPSILON] = "epsilon",
        [PROPERTY_PAIRING] = "pairing",
        [PROPERTY_HEAD_SIZE] = "head size",
        [PROPERTY_ROTARY] = "rotary",
        [PROPERTY_POSITIONS] = "positions",
        [PROPERTY_PAGE_SIZE] = "page size",
        [PROPERTY_PAGES] = "pages",
        [PROPERTY_PAGE_LAYOUT] = "page layout",
        [PROPERTY_EXPERTS] = "experts",
        [PROPERTY_EXPERT_ROWS] = "expert rows",
        [PROPERTY_EXPERT_TOKENS] = "expert tokens",
        [PROPERTY_THREADS] = "threads",
        [PROPERTY_KERNEL] = "kernel",
        [PROPERTY_CACHE] = "cache",
        [PROPERTY_LAUNCH] = "launch",
        [PROPERTY_STREAMS] = "streams",
    };

    return names[property];
}

/* True if PROPERTY is one that only some operations have. */
static bool is_member(enum property property)
{
    return property >= PROPERTY_INTERMEDIATE && property <= PROPERTY_EXPERT_TOKENS;
}

/* The member of a problem that PROPERTY is. */
static enum operation_member member_of(enum property property)
{
    _Static_assert(PROPERTY_EXPERT_TOKENS - PROPERTY_INTERMEDIATE == MEMBER_EXPERT_TOKENS - MEMBER_INTERMEDIATE,
                   "the same order");
    return (enum operation_member)(MEMBER_INTERMEDIATE + (property - PROPERTY_INTERMEDIATE));
}

bool property_applies(const struct qb_problem *problem, enum property property)
{
    if (property >= PROPERTY_EXPERTS && property <= PROPERTY_EXPERT_TOKENS && problem->experts == 0) {
        return false;
    }
    return !is_member(property) || operation_reads(problem->operation, member_of(property));
}

static const char *whole_text(uint64_t number, char text[PROBLEM_NUMBER_SIZE])
{
    snprintf(text, PROBLEM_NUMBER_SIZE, "%" PRIu64, number);
    return text;
}

/* The value of a property that only some operations have. */
static const char *member_text(const struct qb_problem *p, enum property property, char text[PROBLEM_NUMBER_SIZE])
{
    switch (member_of(property)) {
    case MEMBER_INTERMEDIATE:
        return qb_intermediate_name(p->intermediate);
    case MEMBER_VALUES:
        return p->keep_values ? "kept" : "dropped";
    case MEMBER_GELU:
        return qb_gelu_name(p->gelu);
    case MEMBER_GATE:
        return qb_gate_name(p->gate);
    case MEMBER_GATE_LIMIT:
        return p->gate_limit > 0 ? problem_number_text(p->gate_limit, text) : "none";
    case MEMBER_ALPHA:
        return problem_number_text(p->alpha > 0 ? p->alpha : 1, text);
    case MEMBER_UP_OFFSET:
        return problem_number_text(p->up_offset, text);
    case MEMBER_WEIGHTS:
        return qb_weights_name(p->weights);
    case MEMBER_EPSILON:
        return problem_number_text(p->epsilon, text);
    case MEMBER_PAIRING:
        return qb_pairing_name(p->pairing);
    case MEMBER_HEAD_SIZE:
        return whole_text(p->head_size, text);
    case MEMBER_ROTARY:
        return whole_text(p->rotary, text);
    case MEMBER_POSITIONS:
        return whole_text(p->positions, text);
    case MEMBER_PAGE_SIZE:
        return whole_text(p->page_size, text);
    case MEMBER_PAGES:
        return whole_text(p->pages, text);
    case MEMBER_PAGE_LAYOUT:
        return qb_page_layout_name(p->page_layout);
    case MEMBER_EXPERTS:
        return whole_text(p->experts, text);
    case MEMBER_EXPERT_ROWS:
        return qb_expert_rows_name(p->expert_rows);
    case MEMBER_EXPERT_TOKENS:
        return whole_text(p->expert_tokens, text);
    case MEMBER_SCALE_BOUND:
        break;
    }
    return "-";
}

/* The word of a property that is how codes and scales are stored. */
static const char *detail_word(const struct qb_problem *problem, enum property property)
{
    return property == PROPERTY_SCALE_FORMAT     ? problem_scale_format_name(problem->scale_format)
           : property == PROPERTY_SCALE_ROUNDING ? qb_scale_rounding_name(problem->scale_rounding)
           : property == PROPERTY_SCALE_LAYOUT   ? qb_scale_layout_name(problem->scale_layout)
           : property == PROPERTY_TENSOR_SCALE   ? qb_tensor_scale_name(problem->tensor_scale)
           : property == PROPERTY_ZERO_POINTS    ? qb_zero_points_name(problem->zero_points)
                                                 : qb_packing_name(problem->packing);
}

const char *property_text(const struct record_case *c, enum property property, char text[PROPERTY_TEXT_SIZE])
{
    char number[PROBLEM_NUMBER_SIZE], label[LABEL_TEXT_SIZE];

    snprintf(text, PROPERTY_TEXT_SIZE, "-");
    switch (property) {
    case PROPERTY_SOURCE:
        if (c->source != NULL) {
            snprintf(text, PROPERTY_TEXT_SIZE, "%s", c->source->label);
        }
        break;
    case PROPERTY_DEVICE:
        snprintf(text, PROPERTY_TEXT_SIZE, "%s", c->device->id);
        break;
    case PROPERTY_TENSOR:
        if (c->tensor != NULL) {
            label_text(label, c->tensor->title, strlen(c->tensor->title));
            snprintf(text, PROPERTY_TEXT_SIZE, "%s", label);
        }
        break;
    case PROPERTY_TOKENS:
        snprintf(text, PROPERTY_TEXT_SIZE, "%" PRIu64, c->problem.tokens);
        break;
    case PROPERTY_HIDDEN:
        snprintf(text, PROPERTY_TEXT_SIZE, "%" PRIu64, c->problem.hidden);
        break;
    case PROPERTY_DTYPE:
        snprintf(text, PROPERTY_TEXT_SIZE, "%s", qb_format_info(c->problem.input)->name);
        break;
    case PROPERTY_DIST:
        snprintf(text, PROPERTY_TEXT_SIZE, "%s", dist_words[c->dist]);
        break;
    case PROPERTY_QUANT_DTYPE:
        snprintf(text, PROPERTY_TEXT_SIZE, "%s", recipe_name(&c->problem));
        break;
    case PROPERTY_GRANULARITY:
        problem_granularity_text(&c->problem, text, PROPERTY_TEXT_SIZE);
        break;
    case PROPERTY_SCALE:
        snprintf(text, PROPERTY_TEXT_SIZE, "%s", qb_scaling_name(c->problem.scaling));
        break;
    case PROPERTY_SCALE_FORMAT:
    case PROPERTY_SCALE_ROUNDING:
    case PROPERTY_SCALE_LAYOUT:
    case PROPERTY_TENSOR_SCALE:
    case PROPERTY_ZERO_POINTS:
    case PROPERTY_PACKING:
        snprintf(text, PROPERTY_TEXT_SIZE, "%s", detail_word(&c->problem, property));
        break;
    case PROPERTY_OPERATION:
        snprintf(text, PROPERTY_TEXT_SIZE, "%s", qb_operation_name(c->problem.operation));
        break;
    case PROPERTY_INTERMEDIATE:
    case PROPERTY_VALUES:
    case PROPERTY_GELU:
    case PROPERTY_GATE:
    case PROPERTY_GATE_LIMIT:
    case PROPERTY_ALPHA:
    case PROPERTY_UP_OFFSET:
    case PROPERTY_WEIGHTS:
    case PROPERTY_EPSILON:
    case PROPERTY_PAIRING:
    case PROPERTY_HEAD_SIZE:
    case PROPERTY_ROTARY:
    case PROPERTY_POSITIONS:
    case PROPERTY_PAGE_SIZE:
    case PROPERTY_PAGES:
    case PROPERTY_PAGE_LAYOUT:
    case PROPERTY_EXPERTS:
    case PROPERTY_EXPERT_ROWS:
    case PROPERTY_EXPERT_TOKENS:
        if (property_applies(&c->problem, property)) {
            snprintf(text, PROPERTY_TEXT_SIZE, "%s", member_text(&c->problem, property, number));
        }
        break;
    case PROPERTY_THREADS:
        if (c->threads > 0) {
            snprintf(text, PROPERTY_TEXT_SIZE, "%u", c->threads);
        }
        break;
    case PROPERTY_KERNEL:
        snprintf(text, PROPERTY_TEXT_SIZE, "%s", c->kernel);
        break;
    case PROPERTY_CACHE:
        snprintf(text, PROPERTY_TEXT_SIZE, "%s", cache_words[c->found.cache]);
        break;
    case PROPERTY_LAUNCH:
        snprintf(text, PROPERTY_TEXT_SIZE, "%s", launch_words[c->launch]);
        break;
    case PROPERTY_STREAMS:
        snprintf(text, PROPERTY_TEXT_SIZE, "%u", c->streams);
        break;
    case PROPERTIES:
        break;
    }
    return text;
}

static bool same_granularity(const struct qb_problem *a, const struct qb_problem *b)
{
    if (a->granularity != b->granularity) {
        return false;
    }
    switch (a->granularity) {
    case QB_GRANULARITY_GROUP:
        return a->group == b->group;
    case QB_GRANULARITY_BLOCK:
        return a->block_rows == b->block_rows && a->block_cols == b->block_cols;
    case QB_GRANULARITY_TENSOR:
    case QB_GRANULARITY_TOKEN:
    case QB_GRANULARITY_CHANNEL:
        break;
    }
    return true;
}

/* True if A and B have the same in PROPERTY, which only some operations have. Words are the same of the same only. */
static bool same_member(const struct qb_problem *a, const struct qb_problem *b, enum property property)
{
    char text[2][PROBLEM_NUMBER_SIZE];
    const bool applies = property_applies(a, property);

    return applies == property_applies(b, property) &&
           (!applies || strcmp(member_text(a, property, text[0]), member_text(b, property, text[1])) == 0);
}

bool property_same(const struct record_case *a, const struct record_case *b, enum property property)
{
    switch (property) {
    case PROPERTY_SOURCE:
        return a->source == b->source;
    case PROPERTY_DEVICE:
        return strcmp(a->device->id, b->device->id) == 0;
    case PROPERTY_TENSOR:
        return (a->tensor == NULL && b->tensor == NULL) ||
               (a->tensor != NULL && b->tensor != NULL && strcmp(a->tensor->title, b->tensor->title) == 0);
    case PROPERTY_TOKENS:
        return a->problem.tokens == b->problem.tokens;
    case PROPERTY_HIDDEN:
        return a->problem.hidden == b->problem.hidden;
    case PROPERTY_DTYPE:
        return a->problem.input == b->problem.input;
    case PROPERTY_DIST:
        return a->dist == b->dist;
    case PROPERTY_QUANT_DTYPE:
        return a->problem.output == b->problem.output && recipe_of(&a->problem, false) == recipe_of(&b->problem, false);
    case PROPERTY_GRANULARITY:
        return same_granularity(&a->problem, &b->problem);
    case PROPERTY_SCALE:
        return a->problem.scaling == b->problem.scaling && a->problem.amax_bound == b->problem.amax_bound;
    case PROPERTY_SCALE_FORMAT:
        return a->problem.scale_format == b->problem.scale_format;
    case PROPERTY_SCALE_ROUNDING:
        return a->problem.scale_rounding == b->problem.scale_rounding;
    case PROPERTY_SCALE_LAYOUT:
        return a->problem.scale_layout == b->problem.scale_layout && a->problem.scale_stride == b->problem.scale_stride;
    case PROPERTY_TENSOR_SCALE:
        return a->problem.tensor_scale == b->problem.tensor_scale;
    case PROPERTY_ZERO_POINTS:
        return a->problem.zero_points == b->problem.zero_points;
    case PROPERTY_PACKING:
        return a->problem.packing == b->problem.packing;
    case PROPERTY_OPERATION:
        return a->problem.operation == b->problem.operation;
    case PROPERTY_INTERMEDIATE:
    case PROPERTY_VALUES:
    case PROPERTY_GELU:
    case PROPERTY_GATE:
    case PROPERTY_GATE_LIMIT:
    case PROPERTY_ALPHA:
    case PROPERTY_UP_OFFSET:
    case PROPERTY_WEIGHTS:
    case PROPERTY_EPSILON:
    case PROPERTY_PAIRING:
    case PROPERTY_HEAD_SIZE:
    case PROPERTY_ROTARY:
    case PROPERTY_POSITIONS:
    case PROPERTY_PAGE_SIZE:
    case PROPERTY_PAGES:
    case PROPERTY_PAGE_LAYOUT:
    case PROPERTY_EXPERTS:
    case PROPERTY_EXPERT_ROWS:
    case PROPERTY_EXPERT_TOKENS:
        return same_member(&a->problem, &b->problem, property);
    case PROPERTY_THREADS:
        return a->threads == b->threads;
    case PROPERTY_KERNEL:
        return strcmp(a->kernel, b->kernel) == 0;
    case PROPERTY_CACHE:
        return a->found.cache == b->found.cache;
    case PROPERTY_LAUNCH:
        return a->launch == b->launch;
    case PROPERTY_STREAMS:
        return a->streams == b->streams;
    case PROPERTIES:
        break;
    }
    return true;
}

/* True if its operation may say, without an option, that scales are given. */
static bool reads_scales(const struct record_case *c)
{
    return operation_reads_codes(c->problem.operation) || operation_has_cache(c->problem.operation);
}

/* True if groups of A are those that its output has by default, and B has none. */
static bool has_default_groups(const struct qb_problem *a, const struct qb_problem *b)
{
    return a->granularity == QB_GRANULARITY_GROUP && a->group == recipe_default_group(a->output) &&
           b->granularity == QB_GRANULARITY_TENSOR && recipe_default_group(b->output) == 0;
}

bool property_follows(const struct record_case *a, const struct record_case *b, enum property axis,
                      enum property property)
{
    const bool belongs = property == PROPERTY_GRANULARITY || property == PROPERTY_SCALE_FORMAT ||
                         property == PROPERTY_TENSOR_SCALE || property == PROPERTY_ZERO_POINTS;

    if (axis == PROPERTY_OPERATION) {
        return property_applies(&a->problem, property) != property_applies(&b->problem, property) ||
               (property == PROPERTY_SCALE && (reads_scales(a) || reads_scales(b)));
    }
    if (axis == PROPERTY_SCALE_FORMAT || axis == PROPERTY_TENSOR_SCALE) {
        return property == PROPERTY_QUANT_DTYPE && a->problem.output == b->problem.output; /* another recipe, or none */
    }
    return axis == PROPERTY_QUANT_DTYPE && belongs && !property_same(a, b, axis) &&
           (recipe_of(&a->problem, false) != NULL || recipe_of(&b->problem, false) != NULL ||
            property == PROPERTY_ZERO_POINTS || has_default_groups(&a->problem, &b->problem) ||
            has_default_groups(&b->problem, &a->problem));
}

enum property property_of_axis(enum compare_axis axis)
{
    static const enum property axes[] = {
        [COMPARE_NOTHING] = PROPERTIES,
        [COMPARE_KERNELS] = PROPERTY_KERNEL,
        [COMPARE_DTYPES] = PROPERTY_DTYPE,
        [COMPARE_QUANT_DTYPES] = PROPERTY_QUANT_DTYPE,
        [COMPARE_GRANULARITIES] = PROPERTY_GRANULARITY,
        [COMPARE_SCALES] = PROPERTY_SCALE,
        [COMPARE_DISTS] = PROPERTY_DIST,
        [COMPARE_THREADS] = PROPERTY_THREADS,
        [COMPARE_SCALE_FORMATS] = PROPERTY_SCALE_FORMAT,
        [COMPARE_SCALE_ROUNDINGS] = PROPERTY_SCALE_ROUNDING,
        [COMPARE_SCALE_LAYOUTS] = PROPERTY_SCALE_LAYOUT,
        [COMPARE_TENSOR_SCALES] = PROPERTY_TENSOR_SCALE,
        [COMPARE_PACKINGS] = PROPERTY_PACKING,
        [COMPARE_OPERATIONS] = PROPERTY_OPERATION,
        [COMPARE_INTERMEDIATES] = PROPERTY_INTERMEDIATE,
        [COMPARE_GELUS] = PROPERTY_GELU,
        [COMPARE_GATES] = PROPERTY_GATE,
        [COMPARE_WEIGHTS] = PROPERTY_WEIGHTS,
        [COMPARE_PAIRINGS] = PROPERTY_PAIRING,
        [COMPARE_PAGE_LAYOUTS] = PROPERTY_PAGE_LAYOUT,
        [COMPARE_BASELINE] = PROPERTIES,
    };

    return axes[axis];
}

const char *property_describe(const struct record_case *c, char text[PROPERTY_TEXT_SIZE])
{
    char problem[PROBLEM_TEXT_SIZE], threads[32] = "";

    problem_text(&c->problem, problem, sizeof problem);
    if (c->threads > 0) {
        snprintf(threads, sizeof threads, ", %u threads", c->threads);
    }
    snprintf(text, PROPERTY_TEXT_SIZE, "%s, %.100s on %s%.200s%s%s", problem, c->kernel,
             c->source != NULL ? "host " : "", c->source != NULL ? c->source->label : "", c->source != NULL ? ", " : "",
             c->device->id);
    snprintf(text + strlen(text), PROPERTY_TEXT_SIZE - strlen(text), "%s", threads);
    return text;
}

void property_append_digest(const char *digest, char text[PROPERTY_TEXT_SIZE])
{
    size_t length = strlen(text);

    snprintf(text + length, PROPERTY_TEXT_SIZE - length, ", digest %s", digest[0] != '\0' ? digest : "unknown");
}

/* Add the seed to TEXT if weights or slots of C depend on it. */
static void append_seed(const struct record *record, const struct record_case *c, char text[PROPERTY_TEXT_SIZE])
{
    const size_t length = strlen(text);

    if (operation_is_seeded(&c->problem)) {
        snprintf(text + length, PROPERTY_TEXT_SIZE - length, ", seed %" PRIu64, record->seed);
    }
}

/* Add how rows are shared out to the experts of C, if it has some. */
static void append_load(const struct record *record, const struct record_case *c, char text[PROPERTY_TEXT_SIZE])
{
    const size_t length = strlen(text);

    if (c->problem.experts > 0) {
        snprintf(text + length, PROPERTY_TEXT_SIZE - length, ", %s load", expert_load_words[record->expert_load]);
    }
}

const char *property_data(const struct record *record, const struct record_case *c, char text[PROPERTY_TEXT_SIZE])
{
    if (record->input == NULL) {
        snprintf(text, PROPERTY_TEXT_SIZE, "%s, seed %" PRIu64, dist_words[c->dist], record->seed);
    } else {
        const char *file = c->tensor != NULL ? c->tensor->file : record->input, *slash = strrchr(file, '/');
        char label[LABEL_SIZE];

        label_file(slash != NULL ? slash + 1 : file, c->tensor != NULL ? c->tensor->name : record->tensor, label);
        snprintf(text, PROPERTY_TEXT_SIZE, "%.300s", label);
        property_append_digest(c->tensor != NULL ? c->tensor->digest : record->digest, text);
        append_seed(record, c, text);
    }
    append_load(record, c, text);
    return text;
}
