/* SPDX-License-Identifier: Apache-2.0 */
/* report_markdown.c - results for a web page: what all cases have in common, and a table of the rest, in the Markdown
 * of GitHub. */
#include <config.h>

#include "base/label.h"
#include "report/describe.h"
#include "report/field.h"
#include "report/report.h"
#include "report/spent.h"
#include "report/summary.h"
#include "verdict/verdict.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* A cell of a table; IS_TEXT: characters with a meaning do not have it. */
static void print_cell(const char *text, bool is_text, FILE *stream)
{
    putc(' ', stream);
    if (is_text) {
        field_markdown(text, stream);
    } else {
        fputs(text, stream);
    }
    fputs(" |", stream);
}

/* What stands below the head of a column. */
static const char *rule(bool is_number)
{
    return is_number ? "---:" : "---";
}

static void print_line(const char *name, const char *text, FILE *stream)
{
    fprintf(stream, "* %s: ", name);
    field_markdown(text, stream);
    putc('\n', stream);
}

/* What is in doubt about the rows of the table above. */
static void print_doubts(const struct record *record, FILE *stream)
{
    bool any = false;

    for (size_t i = 0; i < record->count; i++) {
        unsigned doubts = record_doubts(&record->cases[i]);

        for (unsigned bit = 1; bit <= doubts; bit <<= 1) {
            char row[32], text[DESCRIBE_SIZE];

            if ((doubts & bit) != 0) {
                fputs(any ? "" : "\n", stream);
                any = true;
                snprintf(row, sizeof row, "row %zu", i + 1);
                print_line(row, describe_doubt(record, &record->cases[i], (enum doubt)bit, text), stream);
            }
        }
    }
}

/* What a row of the table of verdicts is. */
enum row { ROW_HEAD, ROW_RULE, ROW_PAIR };

static void print_pair_row(const struct record *record, enum row row, const struct record_pair *pair, FILE *stream)
{
    char text[DESCRIBE_SIZE];

    putc('|', stream);
    for (enum column i = SOURCE; i < FIRST_RESULT; i++) {
        if (describe_pair_shows_case(record, i)) {
            print_cell(row == ROW_HEAD   ? describe_head(i)
                       : row == ROW_PAIR ? describe_cell(&record->cases[pair->result], i, text)
                                         : rule(describe_is_number(i)),
                       row == ROW_PAIR, stream);
        }
    }
    for (enum pair_column i = PAIR_BASELINE; i < PAIR_COLUMNS; i++) {
        if (describe_pair_shows(&record->comparison, i)) {
            print_cell(row == ROW_HEAD   ? describe_pair_head(&record->comparison, i)
                       : row == ROW_PAIR ? describe_pair(pair, i, text)
                                         : rule(describe_pair_is_number(i)),
                       row == ROW_PAIR, stream);
        }
    }
    putc('\n', stream);
}

static void print_comparison(const struct record *record, FILE *stream)
{
    const struct record_comparison *comparison = &record->comparison;
    char text[DESCRIBE_SIZE];

    if (comparison->axis == COMPARE_NOTHING) {
        return;
    }
    putc('\n', stream);
    print_line("compare", describe_comparison(record, text), stream);
    for (size_t i = 0; i < comparison->count; i++) {
        if (verdict_has_best(comparison, i)) {
            print_line("best", describe_best(record, i, text), stream);
        }
    }
    for (size_t i = 0; i < comparison->mean_count; i++) {
        print_line("mean", describe_mean(&comparison->means[i], text), stream);
    }
    putc('\n', stream);
    print_pair_row(record, ROW_HEAD, NULL, stream);
    print_pair_row(record, ROW_RULE, NULL, stream);
    for (size_t i = 0; i < comparison->count; i++) {
        print_pair_row(record, ROW_PAIR, &comparison->pairs[i], stream);
    }
}

static void print_ways(const struct summary *summary, FILE *stream)
{
    char text[DESCRIBE_SIZE], min[SUMMARY_DECIBELS_SIZE], median[SUMMARY_DECIBELS_SIZE], max[SUMMARY_DECIBELS_SIZE],
        model[SUMMARY_DECIBELS_SIZE], tensors[SUMMARY_COUNT_SIZE], bytes[SUMMARY_COUNT_SIZE], share[SUMMARY_COUNT_SIZE];

    fputs("\n| quantized to | min dB | median | max | model dB | model MB | of now % | tensors |\n"
          "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n",
          stream);
    for (size_t i = 0; i < summary->way_count; i++) {
        const struct summary_way *way = &summary->ways[i];

        fputs("|", stream);
        print_cell(describe_way(way->first, text), true, stream);
        fprintf(stream, " %s | %s | %s | %s | %s | %s | %s |\n", summary_decibels(way->min, min),
                summary_decibels(way->median, median), summary_decibels(way->max, max),
                summary_decibels(way->model, model), summary_megabytes(summary, way->tensors, way->bytes, bytes),
                summary_share(summary, way->tensors, way->bytes, share),
                summary_tensors(summary, way->tensors, tensors));
    }
}

static void print_choices(const struct record *record, const struct summary *summary, FILE *stream)
{
    char text[DESCRIBE_SIZE], title[LABEL_TEXT_SIZE], snr[SUMMARY_DECIBELS_SIZE];

    fputc('\n', stream);
    print_line("best", summary_rule(record, text), stream);
    fputs("\n| tensor | SNR dB | bytes | quantized to |\n| --- | ---: | ---: | --- |\n", stream);
    for (size_t i = 0; i < summary->choice_count; i++) {
        const struct summary_choice *choice = &summary->choices[i];
        const struct record_case *best = choice->best;

        fputs("|", stream);
        print_cell(label_text(title, choice->tensor->title, strlen(choice->tensor->title)), true, stream);
        if (best == NULL) {
            fputs(" - | - | none |\n", stream);
            continue;
        }
        fprintf(stream, " %s | %" PRIu64 " |", summary_decibels(best->found.checked.quality.snr, snr),
                summary_bytes(best));
        print_cell(choice->rival != NULL ? "undecided" : describe_way(best, text), true, stream);
        fputc('\n', stream);
    }
}

/* What the quality of several tensors comes to. */
static void print_summary(const struct record *record, FILE *stream)
{
    struct summary summary;

    if (!summary_make_table(record, &summary)) {
        return;
    }
    print_ways(&summary, stream);
    if (record->best != BEST_NONE) {
        print_choices(record, &summary, stream);
    }
    summary_free(&summary);
}

/* What the cases of a list take together. */
static void print_spending(const struct record *record, FILE *stream)
{
    char text[DESCRIBE_SIZE];
    struct spending spending;

    if (!spending_applies(record)) {
        return;
    }
    if (spending_make(record, &spending)) {
        fputs("\n|", stream);
        for (enum spent_column i = 0; i < SPENT_COLUMNS; i++) {
            print_cell(spent_head(i), false, stream);
        }
        fputs("\n|", stream);
        for (enum spent_column i = 0; i < SPENT_COLUMNS; i++) {
            print_cell(rule(spent_is_number(i)), false, stream);
        }
        for (size_t k = 0; k < record->count; k++) {
            fputs("\n|", stream);
            for (enum spent_column i = 0; i < SPENT_COLUMNS; i++) {
                print_cell(spent_cell(record, &spending, k, i, text), true, stream);
            }
        }
        fputs("\n\n", stream);
        for (size_t i = 0; i < spending.count; i++) {
            print_line("spent", spent_total(record, &spending, i, text), stream);
        }
    } else {
        report_lacks_memory();
    }
    spending_free(&spending);
}

enum exit_code report_markdown(const struct record *record, FILE *stream)
{
    bool shown[COLUMNS];
    char text[DESCRIBE_SIZE];

    if (record->count == 0) {
        return EXIT_OK;
    }
    for (enum column i = SOURCE; i < COLUMNS; i++) {
        shown[i] = i < FIRST_RESULT ? describe_varies(record, i) : describe_shows(record, i);
    }
    if (!shown[DEVICE] || record->source_count > 0) {
        print_line("device", describe_devices(record, text), stream);
    }
    print_line("input", describe_input(record, text), stream);
    if (describe_common(record, text)[0] != '\0') {
        print_line("all", text, stream);
    }
    fputs("\n|", stream);
    for (enum column i = SOURCE; i < COLUMNS; i++) {
        if (shown[i]) {
            print_cell(describe_head(i), false, stream);
        }
    }
    fputs("\n|", stream);
    for (enum column i = SOURCE; i < COLUMNS; i++) {
        if (shown[i]) {
            print_cell(rule(describe_is_number(i)), false, stream);
        }
    }
    putc('\n', stream);
    for (size_t row = 0; row < record->count; row++) {
        putc('|', stream);
        for (enum column i = SOURCE; i < COLUMNS; i++) {
            if (shown[i]) {
                print_cell(describe_cell(&record->cases[row], i, text), true, stream);
            }
        }
        putc('\n', stream);
    }
    print_doubts(record, stream);
    print_summary(record, stream);
    print_spending(record, stream);
    print_comparison(record, stream);
    return EXIT_OK;
}
