/* SPDX-License-Identifier: Apache-2.0 */
/* summary.c - the quality of many tensors, summed up. */
#include <config.h>

#include "base/saturate.h"
#include "report/report.h"
#include "report/summary.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* dB that are not told apart: half of the last digit that is shown. */
#define EQUAL 0.005

bool summary_applies(const struct record *record)
{
    for (size_t i = 0; i < record->count; i++) {
        if (record->cases[i].tensor != NULL && record->cases[i].found.has_quality) {
            return true;
        }
    }
    return false;
}

uint64_t summary_bytes(const struct record_case *c)
{
    static const enum qb_role roles[] = {QB_ROLE_CODES, QB_ROLE_SCALES, QB_ROLE_ZERO_POINTS, QB_ROLE_TENSOR_SCALE};
    const struct sizes sizes = sizes_of(&c->problem);
    uint64_t bytes = 0;

    for (size_t i = 0; i < sizeof roles / sizeof roles[0]; i++) {
        bytes = saturate_add(bytes, sizes.of[roles[i]]);
    }
    return bytes;
}

const char *summary_decibels(double number, char text[SUMMARY_DECIBELS_SIZE])
{
    if (isfinite(number)) {
        snprintf(text, SUMMARY_DECIBELS_SIZE, "%.2f", number);
    } else {
        snprintf(text, SUMMARY_DECIBELS_SIZE, "%s", isnan(number) ? "-" : number > 0 ? "exact" : "-inf");
    }
    return text;
}

const char *summary_tensors(const struct summary *summary, size_t tensors, char text[SUMMARY_COUNT_SIZE])
{
    snprintf(text, SUMMARY_COUNT_SIZE, "%zu of %zu", tensors, summary->tensors);
    return text;
}

const char *summary_megabytes(const struct summary *summary, size_t tensors, uint64_t bytes,
                              char text[SUMMARY_COUNT_SIZE])
{
    if (tensors < summary->tensors) {
        snprintf(text, SUMMARY_COUNT_SIZE, "-");
    } else {
        snprintf(text, SUMMARY_COUNT_SIZE, "%.3f", (double)saturate_add(bytes, summary->kept_bytes) * 1e-6);
    }
    return text;
}

const char *summary_share(const struct summary *summary, size_t tensors, uint64_t bytes, char text[SUMMARY_COUNT_SIZE])
{
    const uint64_t now = saturate_add(summary->bytes, summary->kept_bytes);

    if (tensors < summary->tensors || now == 0) {
        snprintf(text, SUMMARY_COUNT_SIZE, "-");
    } else {
        snprintf(text, SUMMARY_COUNT_SIZE, "%.1f",
                 100 * (double)saturate_add(bytes, summary->kept_bytes) / (double)now);
    }
    return text;
}

const char *summary_rule(const struct record *record, char text[DESCRIBE_SIZE])
{
    char number[FIGURE_REAL_SIZE];

    if (record->best == BEST_BYTES) {
        snprintf(text, DESCRIBE_SIZE, "the fewest bytes with an SNR of at least %s dB",
                 figure_real_text(record->best_snr, number));
    } else {
        snprintf(text, DESCRIBE_SIZE, "the largest SNR");
    }
    return text;
}

/* ---- Energies --------------------------------------------------------------------------------------------------- */

/* The energies of several tensors, added. */
struct energies {
    double signal, noise;
};

static void add_energies(struct energies *energies, const struct record_case *c)
{
    const struct quality *q = &c->found.checked.quality;

    energies->signal += q->signal;
    if (!isnan(q->snr) && !(isinf(q->snr) && q->snr > 0)) {
        energies->noise += q->signal / pow(10, q->snr / 10);
    }
}

static double energies_snr(const struct energies *energies)
{
    return energies->noise > 0                            ? 10 * log10(energies->signal / energies->noise)
           : energies->noise == 0 && energies->signal > 0 ? INFINITY
                                                          : NAN;
}

/* ---- Ways ------------------------------------------------------------------------------------------------------- */

/* True if A and B are quantized in the same way. */
static bool same_way(const struct record_case *a, const struct record_case *b)
{
    for (enum property p = PROPERTY_OPERATION; p <= PROPERTY_PACKING; p++) {
        if (!property_same(a, b, p)) {
            return false;
        }
    }
    return true;
}

/* Find the way of C among those of SUMMARY, or add it. */
static struct summary_way *find_way(struct summary *summary, const struct record_case *c)
{
    for (size_t i = 0; i < summary->way_count; i++) {
        if (same_way(summary->ways[i].first, c)) {
            return &summary->ways[i];
        }
    }
    summary->ways[summary->way_count] = (struct summary_way){.first = c};
    return &summary->ways[summary->way_count++];
}

static int compare_numbers(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* Set the figures of WAY. NUMBERS has room for one of each case, SEEN for one of each tensor: cases that differ in how
 * they run count once. */
static void sum_way(const struct record *record, struct summary_way *way, double *numbers, bool *seen)
{
    struct energies energies = {0, 0};
    size_t count = 0;

    memset(seen, 0, record->tensor_count * sizeof *seen);
    for (size_t i = 0; i < record->count; i++) {
        const struct record_case *c = &record->cases[i];

        if (c->tensor == NULL || !c->found.has_quality || seen[c->tensor - record->tensors] ||
            !same_way(c, way->first)) {
            continue;
        }
        seen[c->tensor - record->tensors] = true;
        way->tensors++;
        way->bytes = saturate_add(way->bytes, summary_bytes(c));
        add_energies(&energies, c);
        if (!isnan(c->found.checked.quality.snr)) {
            numbers[count++] = c->found.checked.quality.snr;
        }
    }
    qsort(numbers, count, sizeof *numbers, compare_numbers);
    way->min = count > 0 ? numbers[0] : NAN;
    way->max = count > 0 ? numbers[count - 1] : NAN;
    way->median = count == 0       ? NAN
                  : count % 2 == 1 ? numbers[count / 2]
                                   : (numbers[count / 2 - 1] + numbers[count / 2]) / 2;
    way->model = energies_snr(&energies);
}

/* ---- The best --------------------------------------------------------------------------------------------------- */

/* The passes over the cases: the first two find the extremes of each tensor, the last one what is as good as these. The
 * order of the cases makes no difference to what is undecided. */
enum pass { PASS_FIRST, PASS_SECOND, PASS_TIES };

/* Let CHOICE know of C, a case of its tensor. */
static void consider(const struct record *record, const struct record_case *c, enum pass pass,
                     struct summary_choice *choice)
{
    const bool bytes_first = record->best == BEST_BYTES;
    const double snr = c->found.checked.quality.snr;
    const uint64_t bytes = summary_bytes(c);

    if (!c->found.has_quality || isnan(snr) || (bytes_first && snr < record->best_snr)) {
        return;
    }
    if (pass == (bytes_first ? PASS_FIRST : PASS_SECOND)) {
        if (bytes < choice->bytes && (bytes_first || snr >= choice->snr - EQUAL)) {
            choice->bytes = bytes;
        }
    } else if (pass != PASS_TIES) {
        if (snr > choice->snr && (!bytes_first || bytes == choice->bytes)) {
            choice->snr = snr;
        }
    } else if (bytes == choice->bytes && snr >= choice->snr - EQUAL) {
        if (choice->best == NULL) {
            choice->best = c;
        } else if (!same_way(c, choice->best)) {
            choice->rival = c;
        }
    }
}

/* Let the choices of SUMMARY know of all cases. */
static void consider_all(const struct record *record, struct summary *summary)
{
    for (size_t i = 0; i < record->tensor_count; i++) {
        summary->choices[i] = (struct summary_choice){.snr = -INFINITY, .bytes = UINT64_MAX};
    }
    for (enum pass pass = PASS_FIRST; pass <= PASS_TIES; pass++) {
        for (size_t i = 0; i < record->count; i++) {
            const struct record_case *c = &record->cases[i];

            if (c->tensor != NULL) {
                struct summary_choice *choice = &summary->choices[c->tensor - record->tensors];

                choice->tensor = c->tensor;
                consider(record, c, pass, choice);
            }
        }
    }
}

static bool choose_best(const struct record *record, struct summary *summary)
{
    struct energies energies = {0, 0};

    if (record->best == BEST_NONE) {
        return true;
    }
    summary->choices = calloc(record->tensor_count + 1, sizeof *summary->choices);
    if (summary->choices == NULL) {
        return false;
    }
    consider_all(record, summary);
    for (size_t i = 0; i < record->tensor_count; i++) {
        const struct summary_choice choice = summary->choices[i];

        if (choice.tensor == NULL) {
            continue;
        }
        summary->choices[summary->choice_count++] = choice;
        if (choice.best != NULL) {
            summary->chosen++;
            summary->undecided += choice.rival != NULL;
            summary->best_bytes = saturate_add(summary->best_bytes, summary_bytes(choice.best));
            add_energies(&energies, choice.best);
        } else {
            summary->best_kept_bytes = saturate_add(summary->best_kept_bytes, choice.tensor->bytes);
        }
    }
    summary->best_model = energies_snr(&energies);
    return true;
}

/* ---- All of it -------------------------------------------------------------------------------------------------- */

/* Count the tensors, and their bytes: those of the record, because a run that ended early lacks cases. */
static void count_tensors(const struct record *record, struct summary *summary)
{
    for (size_t i = 0; i < record->tensor_count; i++) {
        const struct record_tensor *tensor = &record->tensors[i];

        if (tensor->kept != NULL) {
            summary->kept_tensors++;
            summary->kept_bytes = saturate_add(summary->kept_bytes, tensor->bytes);
        } else {
            summary->tensors++;
            summary->bytes = saturate_add(summary->bytes, tensor->bytes);
            summary->elements =
                saturate_add(summary->elements, tensor->bytes / (strcmp(tensor->type, "F32") == 0 ? 4 : 2));
        }
    }
}

bool summary_make(const struct record *record, struct summary *summary)
{
    double *numbers = calloc(record->count + 1, sizeof *numbers);
    bool *seen = calloc(record->tensor_count + 1, sizeof *seen);

    *summary = (struct summary){.ways = calloc(record->count + 1, sizeof *summary->ways)};
    if (numbers == NULL || seen == NULL || summary->ways == NULL) {
        free(numbers);
        free(seen);
        return false;
    }
    count_tensors(record, summary);
    for (size_t i = 0; i < record->count; i++) {
        if (record->cases[i].tensor != NULL && record->cases[i].found.has_quality) {
            find_way(summary, &record->cases[i]);
        }
    }
    for (size_t i = 0; i < summary->way_count; i++) {
        sum_way(record, &summary->ways[i], numbers, seen);
        summary->some_lack |= summary->ways[i].tensors < summary->tensors;
    }
    free(numbers);
    free(seen);
    return choose_best(record, summary);
}

bool summary_make_table(const struct record *record, struct summary *summary)
{
    if (record->planned == 1 || !summary_applies(record)) {
        return false;
    }
    if (!summary_make(record, summary)) {
        report_lacks_memory();
        summary_free(summary);
        return false;
    }
    return true;
}

void summary_free(struct summary *summary)
{
    free(summary->ways);
    free(summary->choices);
    *summary = (struct summary){.way_count = 0};
}
