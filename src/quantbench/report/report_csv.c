/* SPDX-License-Identifier: Apache-2.0 */
/* report_csv.c - results for spreadsheets and scripts: a head and a row for each case, as RFC 4180 has them but with
 * the line ends of this system. Every row says all about its case, so that files can be put together. The columns are
 * what the case is, the table of figures, and what the case comes to; see CSV in quantbench-output(5). */
#include <config.h>

#include "report/describe.h"
#include "report/field.h"
#include "report/report.h"
#include "model/spending.h"
#include "model/problem_text.h"
#include "model/recipe.h"
#include "verdict/verdict.h"

#include <inttypes.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

/* A line that is being written. */
struct line {
    FILE *stream;
    bool has_fields;
};

static void begin_field(struct line *line)
{
    if (line->has_fields) {
        putc(',', line->stream);
    }
    line->has_fields = true;
}

/* A field of text; NULL leaves it empty. */
static void text_field(const char *text, struct line *line)
{
    begin_field(line);
    if (text != NULL) {
        field_csv(text, line->stream);
    }
}

/* A field of a number if it is KNOWN; else it is empty. */
static void number_field(uint64_t number, bool is_known, struct line *line)
{
    begin_field(line);
    if (is_known) {
        fprintf(line->stream, "%" PRIu64, number);
    }
}

static void real_field(double number, bool is_known, struct line *line)
{
    char text[FIGURE_REAL_SIZE];

    begin_field(line);
    fputs(is_known ? figure_real_text(number, text) : "", line->stream);
}

/* FIGURE of C; an INTERVAL is two fields. */
static void figure_field(const struct figure *figure, const struct record_case *c, struct line *line)
{
    const void *base = &c->found;
    const bool is_known =
        figure_is_known(figure, base) && (figure->group == NULL || figures_has_group(&c->found, figure->group));

    switch (figure->kind) {
    case FIGURE_REAL:
    case FIGURE_SIGNED:
        real_field(figure_real(figure, base), is_known, line);
        break;
    case FIGURE_INTERVAL:
        real_field(figure_interval(figure, base)[0], is_known, line);
        real_field(figure_interval(figure, base)[1], is_known, line);
        break;
    case FIGURE_WORD:
    case FIGURE_TEXT:
        text_field(is_known ? figure_text(figure, base) : NULL, line);
        break;
    case FIGURE_TRUTH:
        text_field(!is_known ? NULL : figure_number(figure, base) == TRUTH_YES ? "1" : "0", line);
        break;
    case FIGURE_COUNT:
    case FIGURE_UNSIGNED:
    case FIGURE_FLAG:
        number_field(figure_number(figure, base), is_known, line);
        break;
    }
}

/* The columns before the figures, which say what the case is, and those after them: what the case, the comparison and
 * the run come to. */
struct row {
    const struct record *record;
    const struct record_case *c;
    const struct record_pair *pair;    /* NULL: it is not compared */
    const struct judgement *judgement; /* NULL: there is no verdict */
    const struct spending *spending;   /* NULL: there is no list of cases */
};

struct csv_column {
    const char *name;
    void (*print)(const struct row *row, struct line *line);
};

static void property_field(const struct row *row, enum property property, struct line *line)
{
    char text[PROPERTY_TEXT_SIZE];

    text_field(property_text(row->c, property, text), line);
}

/* The same, or empty if the case does not have it. */
static void member_field(const struct row *row, enum property property, struct line *line)
{
    char text[PROPERTY_TEXT_SIZE];

    text_field(property_applies(&row->c->problem, property) ? property_text(row->c, property, text) : NULL, line);
}

/* A number that is a property; empty if the case does not have it, or if it is NONE. */
static void number_member_field(const struct row *row, enum property property, float number, bool is_none,
                                struct line *line)
{
    char text[PROBLEM_NUMBER_SIZE];

    begin_field(line);
    if (property_applies(&row->c->problem, property) && !is_none) {
        fputs(problem_number_text(number, text), line->stream);
    }
}

static void data_field(const struct row *row, struct line *line)
{
    char text[PROPERTY_TEXT_SIZE];

    text_field(property_data(row->record, row->c, text), line);
}

static void doubts_field(const struct row *row, struct line *line)
{
    char text[DESCRIBE_SIZE];

    text_field(describe_doubts(row->c, "; ", text), line);
}

/* The real number at OFFSET of the judgement. */
static void judgement_field(const struct row *row, size_t offset, struct line *line)
{
    const char *judgement = (const char *)row->judgement;

    real_field(judgement != NULL ? *(const double *)(judgement + offset) : 0, judgement != NULL, line);
}

/* The share of the case in what its list takes. */
static void share_field(const struct row *row, struct line *line)
{
    const size_t index = (size_t)(row->c - row->record->cases);
    const double share = row->spending != NULL ? spending_share(row->spending, row->record, index) : NAN;

    real_field(isnan(share) ? 0 : share, !isnan(share), line);
}

#define FIELD(name_, ...)                                                                                              \
    static void print_##name_(const struct row *row, struct line *line)                                                \
    {                                                                                                                  \
        __VA_ARGS__;                                                                                                   \
    }
FIELD(date, text_field(row->c->source != NULL ? row->c->source->date : row->record->date, line))
FIELD(host, text_field(row->c->source != NULL ? row->c->source->host_name : row->record->host_name, line))
FIELD(version, text_field(row->c->source != NULL ? row->c->source->version : row->record->version, line))
FIELD(device, text_field(row->c->device->id, line))
FIELD(device_name, text_field(row->c->device->name, line))
FIELD(kernel, text_field(row->c->kernel, line))
FIELD(plugin, text_field(row->c->plugin, line))
FIELD(arithmetic, text_field(row->c->arithmetic, line))
FIELD(dtype, property_field(row, PROPERTY_DTYPE, line))
FIELD(quant_dtype, text_field(qb_format_info(row->c->problem.output)->name, line))
FIELD(scale, property_field(row, PROPERTY_SCALE, line))
FIELD(granularity, property_field(row, PROPERTY_GRANULARITY, line))
FIELD(recipe, text_field(recipe_of(&row->c->problem, true) != NULL ? recipe_name(&row->c->problem) : NULL, line))
FIELD(packing, property_field(row, PROPERTY_PACKING, line))
FIELD(scale_format, property_field(row, PROPERTY_SCALE_FORMAT, line))
FIELD(scale_rounding, property_field(row, PROPERTY_SCALE_ROUNDING, line))
FIELD(scale_layout, property_field(row, PROPERTY_SCALE_LAYOUT, line))
FIELD(tensor_scale, property_field(row, PROPERTY_TENSOR_SCALE, line))
FIELD(zero_points, property_field(row, PROPERTY_ZERO_POINTS, line))
FIELD(operation, property_field(row, PROPERTY_OPERATION, line))
FIELD(intermediate, member_field(row, PROPERTY_INTERMEDIATE, line))
FIELD(keep_values, number_field(row->c->problem.keep_values, property_applies(&row->c->problem, PROPERTY_VALUES), line))
FIELD(gelu, member_field(row, PROPERTY_GELU, line))
FIELD(gate, member_field(row, PROPERTY_GATE, line))
FIELD(gate_limit,
      number_member_field(row, PROPERTY_GATE_LIMIT, row->c->problem.gate_limit, row->c->problem.gate_limit == 0, line))
FIELD(alpha,
      number_member_field(row, PROPERTY_ALPHA, row->c->problem.alpha > 0 ? row->c->problem.alpha : 1, false, line))
FIELD(up_offset, number_member_field(row, PROPERTY_UP_OFFSET, row->c->problem.up_offset, false, line))
FIELD(weights, member_field(row, PROPERTY_WEIGHTS, line))
FIELD(epsilon, number_member_field(row, PROPERTY_EPSILON, row->c->problem.epsilon, false, line))
FIELD(pairing, member_field(row, PROPERTY_PAIRING, line))
FIELD(head_size, number_field(row->c->problem.head_size, property_applies(&row->c->problem, PROPERTY_HEAD_SIZE), line))
FIELD(rotary, number_field(row->c->problem.rotary, property_applies(&row->c->problem, PROPERTY_ROTARY), line))
FIELD(positions, number_field(row->c->problem.positions, property_applies(&row->c->problem, PROPERTY_POSITIONS), line))
FIELD(page_size, member_field(row, PROPERTY_PAGE_SIZE, line))
FIELD(pages, member_field(row, PROPERTY_PAGES, line))
FIELD(page_layout, member_field(row, PROPERTY_PAGE_LAYOUT, line))
FIELD(experts, member_field(row, PROPERTY_EXPERTS, line))
FIELD(expert_rows, member_field(row, PROPERTY_EXPERT_ROWS, line))
FIELD(expert_tokens, member_field(row, PROPERTY_EXPERT_TOKENS, line))
FIELD(expert_load, text_field(row->c->problem.experts > 0 ? expert_load_words[row->record->expert_load] : NULL, line))
FIELD(num_tokens, number_field(row->c->problem.tokens, true, line))
FIELD(hidden_size, number_field(row->c->problem.hidden, true, line))
FIELD(scale_ub, real_field((double)row->c->problem.amax_bound, row->c->problem.amax_bound > 0, line))
FIELD(threads, number_field(row->c->threads, row->c->threads > 0, line))
FIELD(launch, property_field(row, PROPERTY_LAUNCH, line))
FIELD(streams, number_field(row->c->streams, true, line))
FIELD(seed, number_field(row->record->seed, true, line))
FIELD(input, text_field(row->c->tensor != NULL ? row->c->tensor->file : row->record->input, line))
FIELD(tensor, text_field(row->c->tensor != NULL ? row->c->tensor->name : row->record->tensor, line))
FIELD(dist, text_field(row->record->input == NULL ? dist_words[row->c->dist] : NULL, line))
FIELD(data, data_field(row, line))
FIELD(data_digest, text_field(row->c->tensor != NULL ? row->c->tensor->digest : row->record->digest, line))
FIELD(doubts, doubts_field(row, line))
FIELD(exit_status, number_field((uint64_t)verdict_of_case(row->record, row->c), true, line))
FIELD(compared_with, text_field(row->pair != NULL ? row->pair->baseline_name : NULL, line))
FIELD(ratio, judgement_field(row, offsetof(struct judgement, ratio), line))
FIELD(ratio_ci95_low, judgement_field(row, offsetof(struct judgement, low), line))
FIELD(ratio_ci95_high, judgement_field(row, offsetof(struct judgement, high), line))
FIELD(p_value, judgement_field(row, offsetof(struct judgement, p), line))
FIELD(verdict, text_field(row->judgement != NULL ? verdict_words[row->judgement->verdict] : NULL, line))
FIELD(more_needed, number_field(row->judgement != NULL ? row->judgement->more : 0,
                                row->judgement != NULL && row->judgement->more != COMPARE_NEVER, line))
FIELD(name, text_field(row->c->name, line))
FIELD(count, number_field(row->c->uses, row->c->uses > 0, line))
FIELD(line, number_field(row->c->line, row->c->line > 0, line))
FIELD(share, share_field(row, line))
FIELD(run_exit_status, number_field((uint64_t)row->record->code, true, line))
#undef FIELD

/* clang-format off */
#define COLUMN(name) {#name, print_##name}
static const struct csv_column before[] = {
    COLUMN(date),
    COLUMN(host),
    COLUMN(version),
    COLUMN(device),
    COLUMN(device_name),
    COLUMN(kernel),
    COLUMN(dtype),
    COLUMN(quant_dtype),
    COLUMN(scale),
    COLUMN(granularity),
    COLUMN(num_tokens),
    COLUMN(hidden_size),
    COLUMN(scale_ub),
    COLUMN(threads),
    COLUMN(launch),
    COLUMN(streams),
    COLUMN(seed),
    COLUMN(input),
    COLUMN(tensor),
    COLUMN(dist),
};
static const struct csv_column after[] = {
    COLUMN(exit_status),
    COLUMN(doubts),
    COLUMN(arithmetic),
    COLUMN(plugin),
    COLUMN(data),
    COLUMN(data_digest),
    COLUMN(compared_with),
    COLUMN(ratio),
    COLUMN(ratio_ci95_low),
    COLUMN(ratio_ci95_high),
    COLUMN(p_value),
    COLUMN(verdict),
    COLUMN(more_needed),
    COLUMN(recipe),
    COLUMN(packing),
    COLUMN(scale_format),
    COLUMN(scale_rounding),
    COLUMN(scale_layout),
    COLUMN(tensor_scale),
    COLUMN(zero_points),
    COLUMN(operation),
    COLUMN(intermediate),
    COLUMN(keep_values),
    COLUMN(gelu),
    COLUMN(gate),
    COLUMN(gate_limit),
    COLUMN(alpha),
    COLUMN(up_offset),
    COLUMN(weights),
    COLUMN(epsilon),
    COLUMN(pairing),
    COLUMN(head_size),
    COLUMN(rotary),
    COLUMN(positions),
    COLUMN(page_size),
    COLUMN(pages),
    COLUMN(page_layout),
    COLUMN(experts),
    COLUMN(expert_rows),
    COLUMN(expert_tokens),
    COLUMN(expert_load),
    COLUMN(name),
    COLUMN(count),
    COLUMN(line),
    COLUMN(share),
    COLUMN(run_exit_status),
};
/* clang-format on */
#define BEFORE (sizeof before / sizeof before[0])
#define AFTER  (sizeof after / sizeof after[0])

static void print_row(const struct record *record, const struct record_case *c, const struct spending *spending,
                      struct line *line)
{
    const struct record_pair *pair = record_pair_of(record, c);
    const struct row row = {record, c, pair, pair != NULL && pair->count > 0 ? &pair->judgement : NULL, spending};

    for (size_t i = 0; i < BEFORE; i++) {
        before[i].print(&row, line);
    }
    for (size_t i = 0; i < figures_of_case_count; i++) {
        if (figures_of_case[i].column != NULL) {
            figure_field(&figures_of_case[i], c, line);
        }
    }
    for (size_t i = 0; i < AFTER; i++) {
        after[i].print(&row, line);
    }
}

/* The head of one end of an interval. */
static void interval_head(const struct figure *figure, const char *end, struct line *line)
{
    const char *hole = strstr(figure->column, "%s");

    begin_field(line);
    fprintf(line->stream, "%.*s%s%s", (int)(hole - figure->column), figure->column, end, hole + strlen("%s"));
}

static void print_head(struct line *line)
{
    for (size_t i = 0; i < BEFORE; i++) {
        text_field(before[i].name, line);
    }
    for (size_t i = 0; i < figures_of_case_count; i++) {
        const struct figure *figure = &figures_of_case[i];

        if (figure->column != NULL && figure->kind == FIGURE_INTERVAL) {
            interval_head(figure, "low", line);
            interval_head(figure, "high", line);
        } else if (figure->column != NULL) {
            text_field(figure->column, line);
        }
    }
    for (size_t i = 0; i < AFTER; i++) {
        text_field(after[i].name, line);
    }
}

enum exit_code report_csv(const struct record *record, FILE *stream)
{
    const bool has_list = spending_applies(record);
    struct spending spending;

    if (has_list && !spending_make(record, &spending)) {
        spending_free(&spending);
        report_lacks_memory();
        return EXIT_OK;
    }
    print_head(&(struct line){stream, false});
    putc('\n', stream);
    for (size_t i = 0; i < record->count; i++) {
        print_row(record, &record->cases[i], has_list ? &spending : NULL, &(struct line){stream, false});
        putc('\n', stream);
    }
    if (has_list) {
        spending_free(&spending);
    }
    return EXIT_OK;
}
