/* SPDX-License-Identifier: Apache-2.0 */
/* operations.c - see operations.h. */
#include <config.h>

#include "cases/choice.h"
#include "cases/operations.h"
#include "cases/quantization.h"
#include "model/operation.h"
#include "model/problem_text.h"
#include "model/recipe.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* ---- Combinations ----------------------------------------------------------------------------------------------- */

static enum qb_operation operation_at(const struct sweep *s, size_t index)
{
    return (enum qb_operation)s->operations.values[index];
}

/* The values of LIST, which is for MEMBER, that make a difference to OPERATION. */
static size_t count_of(enum qb_operation operation, enum operation_member member, const struct numbers *list)
{
    return operation_reads(operation, member) ? choice_count(list->count) : 1;
}

static size_t combinations(const struct sweep *s, enum qb_operation operation)
{
    return count_of(operation, MEMBER_INTERMEDIATE, &s->intermediates) * count_of(operation, MEMBER_GATE, &s->gates) *
           count_of(operation, MEMBER_GELU, &s->gelus) * count_of(operation, MEMBER_WEIGHTS, &s->weights) *
           count_of(operation, MEMBER_PAIRING, &s->pairings) * count_of(operation, MEMBER_PAGE_SIZE, &s->page_sizes) *
           count_of(operation, MEMBER_PAGE_LAYOUT, &s->page_layouts) *
           count_of(operation, MEMBER_EXPERT_ROWS, &s->expert_rows);
}

size_t operations_count(const struct sweep *s)
{
    size_t count = 0;

    for (size_t i = 0; i < s->operations.count; i++) {
        count += combinations(s, operation_at(s, i));
    }
    return count;
}

void operations_set(const struct sweep *s, size_t index, struct qb_problem *p)
{
    size_t i = 0, intermediate, gelu, gate, weights, pairing, page_size, page_layout, expert_rows;
    enum qb_operation o;

    for (; index >= combinations(s, operation_at(s, i)); i++) {
        index -= combinations(s, operation_at(s, i));
    }
    o = operation_at(s, i);
    expert_rows = choice_take(&index, count_of(o, MEMBER_EXPERT_ROWS, &s->expert_rows));
    page_layout = choice_take(&index, count_of(o, MEMBER_PAGE_LAYOUT, &s->page_layouts));
    page_size = choice_take(&index, count_of(o, MEMBER_PAGE_SIZE, &s->page_sizes));
    pairing = choice_take(&index, count_of(o, MEMBER_PAIRING, &s->pairings));
    weights = choice_take(&index, count_of(o, MEMBER_WEIGHTS, &s->weights));
    gate = choice_take(&index, count_of(o, MEMBER_GATE, &s->gates));
    gelu = choice_take(&index, count_of(o, MEMBER_GELU, &s->gelus));
    intermediate = choice_take(&index, count_of(o, MEMBER_INTERMEDIATE, &s->intermediates));
    p->operation = o;
    p->amax_bound = s->scale_ub;
    p->intermediate = (enum qb_intermediate)choice_at(&s->intermediates, intermediate, QB_INTERMEDIATE_INPUT);
    p->keep_values = s->keep_values;
    p->gelu = (enum qb_gelu)choice_at(&s->gelus, gelu, QB_GELU_TANH);
    p->gate = (enum qb_gate)choice_at(&s->gates, gate, QB_GATE_HALVES);
    p->gate_limit = s->gate_limit;
    p->alpha = s->alpha;
    p->up_offset = s->up_offset;
    p->weights = (enum qb_weights)choice_at(&s->weights, weights, QB_WEIGHTS_INPUT);
    p->epsilon = s->epsilon;
    p->pairing = (enum qb_pairing)choice_at(&s->pairings, pairing, QB_PAIRING_HALVES);
    p->head_size = s->head_size;
    p->rotary = s->rotary;
    p->positions = s->positions;
    p->page_size = s->page_sizes.values[page_size];
    p->pages = s->pages > 0 ? s->pages : operation_pages(p->tokens, p->page_size);
    p->page_layout = (enum qb_page_layout)choice_at(&s->page_layouts, page_layout, QB_PAGE_LAYOUT_NHD);
    p->experts = s->experts;
    p->expert_rows = (enum qb_expert_rows)choice_at(&s->expert_rows, expert_rows, QB_EXPERT_ROWS_OFFSETS);
    p->expert_tokens = s->expert_tokens > 0                      ? s->expert_tokens
                       : p->expert_rows == QB_EXPERT_ROWS_MASKED ? (p->tokens + 1) / 2
                                                                 : p->tokens;
    operation_settle(p);
}

/* ---- What goes together ----------------------------------------------------------------------------------------- */

#define TEXT_SIZE 160

/* Append NAME to TEXT, of which it is word INDEX. */
static void append_word(char text[TEXT_SIZE], const char *separator, const char *name)
{
    const size_t length = strlen(text);

    snprintf(text + length, TEXT_SIZE - length, "%s%s", length > 0 ? separator : "", name);
}

/* The operations of SWEEP as in the value of --op. Returns TEXT. */
static const char *chosen_text(const struct sweep *s, char text[TEXT_SIZE])
{
    text[0] = '\0';
    for (size_t i = 0; i < s->operations.count; i++) {
        append_word(text, ",", qb_operation_name(operation_at(s, i)));
    }
    return text;
}

/* The operations that read MEMBER, as in "a, b or c". Returns TEXT. */
static const char *readers_text(enum operation_member member, char text[TEXT_SIZE])
{
    const char *last = NULL;

    text[0] = '\0';
    for (int o = 0; o < QB_OPERATION_COUNT; o++) {
        if (operation_reads((enum qb_operation)o, member)) {
            if (last != NULL) {
                append_word(text, ", ", last);
            }
            last = qb_operation_name((enum qb_operation)o);
        }
    }
    append_word(text, " or ", last);
    return text;
}

static bool is_chosen(const struct sweep *s, enum qb_operation operation)
{
    bool chosen = false;

    for (size_t i = 0; i < s->operations.count; i++) {
        chosen = chosen || operation_at(s, i) == operation;
    }
    return chosen;
}

/* True if OPTION, which sets MEMBER, was not GIVEN, or if an operation reads it. */
static bool check_option(const struct sweep *s, const char *option, enum operation_member member, bool given)
{
    char chosen[TEXT_SIZE], readers[TEXT_SIZE];
    bool is_read = !given;

    for (size_t i = 0; i < s->operations.count; i++) {
        is_read = is_read || operation_reads(operation_at(s, i), member);
    }
    if (!is_read) {
        message_error("--%s: conflicts with --op=%s; it requires %s", option, chosen_text(s, chosen),
                      readers_text(member, readers));
    }
    return is_read;
}

bool operations_check_columns(const struct sweep *s, const struct qb_problem *p, const char *granularity)
{
    const enum qb_operation operation = is_chosen(s, QB_OPERATION_DUAL) ? QB_OPERATION_DUAL : QB_OPERATION_TRANSPOSE;
    const char *name = qb_operation_name(operation);

    if (!is_chosen(s, operation)) {
        return true;
    }
    if (p->granularity != QB_GRANULARITY_GROUP && p->granularity != QB_GRANULARITY_BLOCK) {
        message_error("--granularity=%s: conflicts with --op=%s; it requires group:G or block:RxC", granularity, name);
        return false;
    }
    if (p->scaling != QB_SCALING_DYNAMIC) {
        message_error("--scale=%s: conflicts with --op=%s; it requires dynamic", qb_scaling_name(p->scaling), name);
        return false;
    }
    if (qb_format_info(p->output)->bits != 8 || p->zero_points != QB_ZERO_POINTS_NONE) {
        message_error("--op=%s: requires codes of 8 bits without zero points: int8, fp8, e5m2 or mxfp8", name);
        return false;
    }
    if (p->scale_format != QB_FORMAT_F32 && p->scale_format != QB_FORMAT_E8M0) {
        message_error("--scale-format=%s: conflicts with --op=%s; it requires float or e8m0",
                      problem_scale_format_name(p->scale_format), name);
        return false;
    }
    return true;
}

bool operations_check_experts(const struct sweep *s, const struct qb_problem *p, const char *granularity)
{
    if (s->experts == 0) {
        return true;
    }
    if (p->granularity == QB_GRANULARITY_CHANNEL || p->granularity == QB_GRANULARITY_BLOCK) {
        message_error("--granularity=%s: conflicts with --experts; it requires tensor, token or group:G", granularity);
        return false;
    }
    if (p->zero_points != QB_ZERO_POINTS_NONE) {
        message_error("%s: conflicts with --experts; experts have no zero points, leave it out", zero_points_option(p));
        return false;
    }
    return true;
}

/* What has experts. */
static bool check_experts(const struct sweep *s)
{
    for (size_t i = 0; i < s->operations.count && s->experts > 0; i++) {
        if (!operation_reads(operation_at(s, i), MEMBER_EXPERTS)) {
            char readers[TEXT_SIZE];

            message_error("--experts: conflicts with --op=%s; it requires %s", qb_operation_name(operation_at(s, i)),
                          readers_text(MEMBER_EXPERTS, readers));
            return false;
        }
    }
    return true;
}

/* What computes scales where it computes codes. */
static bool check_split(const struct settings *settings)
{
    const struct sweep *s = &settings->sweep;

    for (size_t i = 0; i < s->operations.count && settings->comparing.split; i++) {
        const enum qb_operation o = operation_at(s, i);

        if (o == QB_OPERATION_TRANSPOSE || o == QB_OPERATION_DUAL) {
            message_error("--split: conflicts with --op=%s, whose scales are computed where the codes are",
                          qb_operation_name(o));
            return false;
        }
    }
    return true;
}

/* What reads its scales. */
static bool check_dequantize(const struct settings *settings)
{
    const struct sweep *s = &settings->sweep;

    if (!is_chosen(s, QB_OPERATION_DEQUANTIZE)) {
        return true;
    }
    if (settings->comparing.split) {
        message_error("--split: conflicts with --op=dequantize, which reads its scales");
        return false;
    }
    for (size_t i = 0; i < s->scalings.count && s->chose_scale; i++) {
        if (s->scalings.values[i] != QB_SCALING_STATIC) {
            message_error("--scale=%s: conflicts with --op=dequantize, which reads its scales; expected --scale=static",
                          qb_scaling_name((enum qb_scaling)s->scalings.values[i]));
            return false;
        }
    }
    for (size_t i = 0; i < s->tensor_scales.count; i++) {
        if (s->tensor_scales.values[i] == QB_TENSOR_SCALE_COMPUTED) {
            message_error("--tensor-scale=computed: conflicts with --op=dequantize; use --tensor-scale=given");
            return false;
        }
    }
    return true;
}

enum qb_scaling operations_scaling_of_cache(enum qb_granularity granularity)
{
    return granularity == QB_GRANULARITY_TENSOR ? QB_SCALING_STATIC : QB_SCALING_DYNAMIC;
}

/* True if a case of a cache may have scales of SCALING and GRANULARITY. */
static bool is_of_cache(enum qb_scaling scaling, enum qb_granularity granularity)
{
    if (granularity == QB_GRANULARITY_GROUP) {
        return scaling != QB_SCALING_AMAX;
    }
    return granularity == (scaling == QB_SCALING_STATIC ? QB_GRANULARITY_TENSOR : QB_GRANULARITY_TOKEN) &&
           scaling != QB_SCALING_AMAX;
}

/* What the codes of a cache may be, by the options that say so. */
static bool check_codes_of_cache(const struct qb_problem *p, const char *name)
{
    const bool is_nvfp4 = p->output == QB_FORMAT_E2M1 && p->scale_format == QB_FORMAT_E4M3;
    const bool has_groups = p->granularity == QB_GRANULARITY_GROUP; /* which quantization_check() asks for */

    if (!is_nvfp4 && (qb_format_info(p->output)->bits != 8 || recipe_of(p, true) != NULL)) {
        message_error("--quant-dtype=%s: conflicts with --op=%s; it requires int8, fp8, e5m2 or nvfp4", recipe_name(p),
                      name);
        return false;
    }
    if (!is_nvfp4 && p->scale_format != QB_FORMAT_F32) {
        message_error("--scale-format=%s: conflicts with --op=%s; it requires float, or --quant-dtype=nvfp4",
                      problem_scale_format_name(p->scale_format), name);
        return false;
    }
    if (p->scale_layout != QB_SCALE_LAYOUT_ROWS) {
        message_error("--scale-layout=%s: conflicts with --op=%s; it requires rows",
                      qb_scale_layout_name(p->scale_layout), name);
        return false;
    }
    if (p->zero_points != QB_ZERO_POINTS_NONE) {
        message_error("%s: conflicts with --op=%s; caches have no zero points, leave it out", zero_points_option(p),
                      name);
        return false;
    }
    if (is_nvfp4 && has_groups && p->scaling != QB_SCALING_DYNAMIC) {
        message_error("--scale=%s: conflicts with --op=%s --quant-dtype=nvfp4; it requires dynamic",
                      qb_scaling_name(p->scaling), name);
        return false;
    }
    if (is_nvfp4 && p->tensor_scale != QB_TENSOR_SCALE_GIVEN) {
        message_error("--tensor-scale=%s: conflicts with --op=%s --quant-dtype=nvfp4; it requires given",
                      qb_tensor_scale_name(p->tensor_scale), name);
        return false;
    }
    return true;
}

/* The same for what shares a scale. */
static bool check_groups_of_cache(const struct qb_problem *p, const char *name)
{
    const bool is_nvfp4 = p->output == QB_FORMAT_E2M1 && p->granularity == QB_GRANULARITY_GROUP;

    if (is_nvfp4 && p->group != 16) {
        message_error("--granularity=group:%" PRIu64
                      ": conflicts with --op=%s --quant-dtype=nvfp4; it requires group:16",
                      p->group, name);
        return false;
    }
    if (is_nvfp4 && p->head_size % p->group != 0) {
        message_error("--head-size=%" PRIu64
                      ": conflicts with --quant-dtype=nvfp4; it requires a multiple of 16, as 16 "
                      "elements of a head share a scale",
                      p->head_size);
        return false;
    }
    if (p->granularity == QB_GRANULARITY_GROUP && p->head_size % p->group != 0) {
        message_error("--granularity=group:%" PRIu64 ": does not divide --head-size=%" PRIu64
                      "; --op=%s requires groups within a head",
                      p->group, p->head_size, name);
        return false;
    }
    return true;
}

/* OPERATION, which has a cache. */
static bool check_cache(const struct settings *settings, enum qb_operation operation)
{
    const struct sweep *s = &settings->sweep;

    if (!is_chosen(s, operation)) {
        return true;
    }
    if (settings->comparing.split) {
        message_error("--split: conflicts with --op=%s, %s", qb_operation_name(operation),
                      operation_reads_codes(operation) ? "which reads its scales"
                                                       : "whose scales are computed where the codes are");
        return false;
    }
    for (size_t i = 0; i < quantization_count(s); i++) {
        struct qb_problem p;

        qb_problem_init(&p);
        p.operation = operation;
        quantization_set(s, i, &p);
        p.head_size = s->head_size;
        if (!check_codes_of_cache(&p, qb_operation_name(operation))) {
            return false;
        }
        if (!is_of_cache(p.scaling, p.granularity)) {
            message_error("--granularity=%s: conflicts with --op=%s --scale=%s; it requires tensor or group:G with "
                          "static, token or group:G with dynamic scales",
                          qb_granularity_name(p.granularity), qb_operation_name(operation), qb_scaling_name(p.scaling));
            return false;
        }
        if (!check_groups_of_cache(&p, qb_operation_name(operation))) {
            return false;
        }
    }
    return true;
}

bool operations_check(const struct settings *settings)
{
    const struct sweep *s = &settings->sweep;

    return check_option(s, "intermediate", MEMBER_INTERMEDIATE, s->intermediates.count > 0) &&
           check_option(s, "keep-values", MEMBER_VALUES, s->keep_values) &&
           check_option(s, "gelu", MEMBER_GELU, s->gelus.count > 0) &&
           check_option(s, "gate", MEMBER_GATE, s->gates.count > 0) &&
           check_option(s, "gate-limit", MEMBER_GATE_LIMIT, s->gate_limit > 0) &&
           check_option(s, "alpha", MEMBER_ALPHA, s->alpha > 0) &&
           check_option(s, "up-offset", MEMBER_UP_OFFSET, s->chose_up_offset) &&
           check_option(s, "weights", MEMBER_WEIGHTS, s->weights.count > 0) &&
           check_option(s, "epsilon", MEMBER_EPSILON, s->chose_epsilon) &&
           check_option(s, "head-size", MEMBER_HEAD_SIZE, s->chose_head_size) &&
           check_option(s, "rotary", MEMBER_ROTARY, s->rotary > 0) &&
           check_option(s, "pairing", MEMBER_PAIRING, s->pairings.count > 0) &&
           check_option(s, "positions", MEMBER_POSITIONS, s->chose_positions) &&
           check_option(s, "page-size", MEMBER_PAGE_SIZE, s->chose_page_size) &&
           check_option(s, "pages", MEMBER_PAGES, s->pages > 0) &&
           check_option(s, "page-layout", MEMBER_PAGE_LAYOUT, s->page_layouts.count > 0) &&
           check_option(s, "scale-ub", MEMBER_SCALE_BOUND, s->scale_ub > 0) && check_dequantize(settings) &&
           check_cache(settings, QB_OPERATION_KV_WRITE) && check_cache(settings, QB_OPERATION_KV_READ) &&
           check_experts(s) && check_split(settings);
}

/* ---- The input --------------------------------------------------------------------------------------------------- */

/* Heads that their options name, and nothing else. */
static enum exit_code check_heads(const struct qb_problem *p)
{
    if (p->rotary % 2 != 0 || p->rotary > p->head_size) {
        message_error("--rotary=%" PRIu64 ": expected an even number up to --head-size=%" PRIu64, p->rotary,
                      p->head_size);
        return EXIT_USAGE;
    }
    return EXIT_OK;
}

enum exit_code operations_check_input(const struct qb_problem *p)
{
    const float limit = qb_format_decode(p->input, qb_format_encode(p->input, p->gate_limit));
    char given[PROBLEM_NUMBER_SIZE], nearest[PROBLEM_NUMBER_SIZE];

    if (operation_has_cache(p->operation) && p->pages < (p->tokens + p->page_size - 1) / p->page_size) {
        message_error("--pages=%" PRIu64 ": too few for %" PRIu64 " tokens; pages of %" PRIu64
                      " require at least %" PRIu64,
                      p->pages, p->tokens, p->page_size, (p->tokens + p->page_size - 1) / p->page_size);
        return EXIT_USAGE;
    }
    if (p->experts > 0 && p->expert_rows == QB_EXPERT_ROWS_MASKED && p->tokens % p->experts != 0) {
        message_error("--num-tokens=%" PRIu64 ": expected a multiple of --experts=%" PRIu64
                      ", each of which has as much room",
                      p->tokens, p->experts);
        return EXIT_USAGE;
    }
    if (p->expert_tokens > p->tokens) {
        message_error("--expert-tokens=%" PRIu64 ": more than --num-tokens=%" PRIu64, p->expert_tokens, p->tokens);
        return EXIT_USAGE;
    }
    if (limit == p->gate_limit) {
        return check_heads(p);
    }
    message_error("--gate-limit=%s: not a number of %s; the nearest is %s", problem_number_text(p->gate_limit, given),
                  qb_format_info(p->input)->name, problem_number_text(limit, nearest));
    return EXIT_USAGE;
}

enum exit_code operations_check_columns_of_heads(const struct qb_problem *p, bool from_file)
{
    const bool has_cache = operation_has_cache(p->operation);
    const uint64_t unit = has_cache ? 2 * p->head_size : p->head_size;
    char option[48];

    if (!operation_reads(p->operation, MEMBER_HEAD_SIZE) || (p->hidden % unit == 0 && p->hidden > 0)) {
        return EXIT_OK;
    }
    snprintf(option, sizeof option, from_file ? "--input: %" PRIu64 " columns" : "--hidden-size=%" PRIu64 ": ",
             p->hidden);
    message_error("%s%s; --op=%s requires %s, a multiple of %" PRIu64 " with --head-size=%" PRIu64, option,
                  from_file ? "" : "not whole heads", qb_operation_name(p->operation),
                  has_cache ? "keys and values of whole heads" : "whole heads", unit, p->head_size);
    return EXIT_USAGE;
}

enum exit_code operations_set_columns(struct qb_problem *p, uint64_t columns)
{
    const bool is_gated = operation_is_gated(p->operation);

    if (is_gated && columns % 2 != 0) {
        message_error("--input: %" PRIu64 " columns, an odd number; --op=%s requires as many of the gate as of up",
                      columns, qb_operation_name(p->operation));
        return EXIT_USAGE;
    }
    p->hidden = is_gated ? columns / 2 : columns;
    return EXIT_OK;
}
