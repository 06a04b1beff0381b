/* SPDX-License-Identifier: Apache-2.0 */
/* describe.c - a record in the words and figures that people read. */
#include <config.h>

#include "report/describe.h"
#include "base/label.h"
#include "verdict/verdict.h"
#include "model/problem_text.h"
#include "model/recipe.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *head;
    bool is_number;
} columns[COLUMNS] = {
    [TOKENS] = {NULL, true},         [HIDDEN] = {NULL, true},        [THREADS] = {NULL, true},
    [STREAMS] = {NULL, true},        [MEDIAN] = {"median us", true}, [PRECISION] = {"+- %", true},
    [HOST] = {"host us", true},      [RATE] = {"GB/s", true},        [OF_CEILING] = {"ceiling", true},
    [SNR] = {"SNR dB", true},        [CODES] = {"codes", false},     [SATURATED] = {"satur. %", true},
    [FLUSHED] = {"flushed %", true}, [BYTES] = {"bytes", true},
};

const char *describe_head(enum column column)
{
    return column < FIRST_RESULT ? property_name((enum property)column) : columns[column].head;
}

bool describe_is_number(enum column column)
{
    return columns[column].is_number;
}

/* The verdict on the codes, or why there is none. */
static const char *codes_text(const struct record_case *c)
{
    if (c->found.sample_count > 0 || c->found.code == EXIT_WRONG_RESULT) {
        if (c->found.checked.verification == VERIFIED &&
            (c->found.checked.mismatch.near_codes > 0 || c->found.checked.mismatch.near_scales > 0)) {
            return "within 1";
        }
        return verification_words[c->found.checked.verification];
    }
    return c->found.code == EXIT_OK ? "interrupted" : "failed";
}

const char *describe_cell(const struct record_case *c, enum column column, char text[DESCRIBE_SIZE])
{
    bool has_time = c->found.sample_count > 0;
    /* What was verified and then failed has no figures. */
    bool is_rated = c->found.has_quality && (has_time || c->found.checked.verification == NOT_VERIFIED);

    /* What there is no figure for. */
    snprintf(text, DESCRIBE_SIZE, "-");
    switch (column) {
    case MEDIAN:
        if (has_time) {
            snprintf(text, DESCRIBE_SIZE, "%.3f", c->found.time.median * 1e-3);
        }
        break;
    case PRECISION:
        if (has_time && isfinite(stats_precision(&c->found.time))) {
            snprintf(text, DESCRIBE_SIZE, "%.2f", 100 * stats_precision(&c->found.time));
        }
        break;
    case HOST:
        if (has_time && c->found.host_time > 0) {
            snprintf(text, DESCRIBE_SIZE, "%.3f", c->found.host_time * 1e-3);
        }
        break;
    case RATE:
        if (has_time) {
            snprintf(text, DESCRIBE_SIZE, "%.1f", c->found.bytes_per_second * 1e-9);
        }
        break;
    case OF_CEILING:
        if (has_time && c->found.implausible) {
            /* How far beyond that it seems to be says nothing. */
            snprintf(text, DESCRIBE_SIZE, "> 100 %%");
        } else if (has_time && c->found.best_time > 0) {
            snprintf(text, DESCRIBE_SIZE, "%.1f %%", 100 * c->found.best_time / c->found.time.median);
        }
        break;
    case SNR:
        if (is_rated && isinf(c->found.checked.quality.snr) && c->found.checked.quality.snr > 0) {
            snprintf(text, DESCRIBE_SIZE, "exact");
        } else if (is_rated && !isnan(c->found.checked.quality.snr)) {
            snprintf(text, DESCRIBE_SIZE, "%.2f", c->found.checked.quality.snr);
        }
        break;
    case SATURATED:
    case FLUSHED:
        if (is_rated && c->found.checked.quality.finite > 0) {
            snprintf(text, DESCRIBE_SIZE, "%.4g",
                     100 * (column == SATURATED ? c->found.saturated_share : c->found.flushed_share));
        }
        break;
    case BYTES:
        if (is_rated) {
            snprintf(text, DESCRIBE_SIZE, "%" PRIu64, c->found.bytes.written);
        }
        break;
    case CODES:
        snprintf(text, DESCRIBE_SIZE, "%s%s", codes_text(c), record_doubts(c) != 0 ? " *" : "");
        break;
    case SOURCE:
    case DEVICE:
    case TENSOR:
    case TOKENS:
    case HIDDEN:
    case DTYPE:
    case DIST:
    case OPERATION:
    case QUANT_DTYPE:
    case GRANULARITY:
    case SCALE:
    case SCALE_FORMAT:
    case SCALE_ROUNDING:
    case SCALE_LAYOUT:
    case TENSOR_SCALE:
    case ZERO_POINTS:
    case PACKING:
    case INTERMEDIATE:
    case VALUES:
    case GELU:
    case GATE:
    case GATE_LIMIT:
    case ALPHA:
    case UP_OFFSET:
    case WEIGHTS:
    case EPSILON:
    case PAIRING:
    case HEAD_SIZE:
    case ROTARY:
    case POSITIONS:
    case PAGE_SIZE:
    case PAGES:
    case PAGE_LAYOUT:
    case EXPERTS:
    case EXPERT_ROWS:
    case EXPERT_TOKENS:
    case THREADS:
    case KERNEL:
    case CACHE:
    case LAUNCH:
    case STREAMS:
        return property_text(c, (enum property)column, text);
    case COLUMNS:
        break;
    }
    return text;
}

/* The first case of RECORD that has COLUMN, which comes before the first result; the first of all if none has. */
static const struct record_case *first_with(const struct record *record, enum column column)
{
    for (size_t i = 0; i < record->described; i++) {
        if (property_applies(&record->cases[i].problem, (enum property)column)) {
            return &record->cases[i];
        }
    }
    return &record->cases[0];
}

bool describe_varies(const struct record *record, enum column column)
{
    const struct record_case *first = first_with(record, column);

    for (size_t i = 0; i < record->described; i++) {
        const struct record_case *c = &record->cases[i];

        /* What an operation lacks its name says. */
        if (property_applies(&c->problem, (enum property)column) && !property_same(c, first, (enum property)column)) {
            return true;
        }
    }
    return false;
}

bool describe_shows(const struct record *record, enum column column)
{
    const bool is_quality = column == SATURATED || column == FLUSHED || column == BYTES;

    return column == SNR || is_quality == record->rated_only;
}

size_t describe_width(const struct record *record, enum column column)
{
    size_t width = strlen(describe_head(column));
    char text[DESCRIBE_SIZE];

    for (size_t i = 0; i < record->described; i++) {
        size_t length = strlen(describe_cell(&record->cases[i], column, text));

        width = length > width ? length : width;
    }
    return width;
}

/* What slowed the device down, in any round. */
static void append_reasons(const struct record_case *c, char text[DESCRIBE_SIZE])
{
    unsigned reasons = 0;

    for (size_t i = 0; i < c->found.round_count; i++) {
        reasons |= c->found.rounds[i].conditions.throttle;
    }
    for (unsigned i = 0; i < QB_THROTTLE_COUNT; i++) {
        if ((reasons & 1u << i) != 0) {
            size_t length = strlen(text);

            snprintf(text + length, DESCRIBE_SIZE - length, ", %s", qb_throttle_name(i));
        }
    }
}

const char *describe_doubt(const struct record *record, const struct record_case *c, enum doubt doubt,
                           char text[DESCRIBE_SIZE])
{
    switch (doubt) {
    case DOUBT_IMPLAUSIBLE:
        snprintf(text, DESCRIBE_SIZE, "implausible: faster than memory allows, %.3f us", c->found.best_time * 1e-3);
        break;
    case DOUBT_CACHE:
        snprintf(text, DESCRIBE_SIZE, "not cold: as fast with data in the cache, %.3f us", c->found.hot_time * 1e-3);
        break;
    case DOUBT_PARTLY_COLD:
        if (c->device->cache_size == 0) {
            snprintf(text, DESCRIBE_SIZE, "partly cold: %u copies of the tensors, %.1f MB, and a cache of unknown size",
                     c->found.sets, (double)c->found.rotated_bytes * 1e-6);
            break;
        }
        snprintf(text, DESCRIBE_SIZE, "partly cold: %u copies of the tensors, %.1f MB, are less than 4 times the cache",
                 c->found.sets, (double)c->found.rotated_bytes * 1e-6);
        break;
    case DOUBT_NOT_HOT:
        snprintf(text, DESCRIBE_SIZE, "not hot: %.1f MB do not fit in a cache of %.1f MB",
                 (double)c->found.rotated_bytes * 1e-6, (double)c->device->cache_size * 1e-6);
        break;
    case DOUBT_DISTURBED:
        snprintf(text, DESCRIBE_SIZE, "disturbed: %" PRIu64 " of %zu samples, though they were repeated",
                 c->found.disturbed_samples, c->found.sample_count);
        break;
    case DOUBT_FLOOR:
        snprintf(text, DESCRIBE_SIZE, "busy: launch overhead %.3f us: threads waited for CPUs",
                 c->found.floor_time * 1e-3);
        break;
    case DOUBT_STATE:
        snprintf(text, DESCRIBE_SIZE, "other state: launch overhead %.3f us at the start, %.3f us at the end",
                 c->found.first_floor * 1e-3, c->found.last_floor * 1e-3);
        break;
    case DOUBT_THREADS:
        snprintf(text, DESCRIBE_SIZE, "short of threads: launches ran on %" PRIu64 " of %" PRIu64,
                 c->found.threads_obtained, c->found.threads_wanted);
        break;
    case DOUBT_THROTTLED:
        snprintf(text, DESCRIBE_SIZE, "throttled in %zu of %zu rounds", record_throttled_rounds(c),
                 c->found.round_count);
        append_reasons(c, text);
        break;
    case DOUBT_IMPRECISE:
        snprintf(text, DESCRIBE_SIZE, "imprecise: +- %.3g %%, more than %g %%", 100 * stats_precision(&c->found.time),
                 100 * RECORD_IMPRECISE);
        break;
    case DOUBT_NOT_CONVERGED:
        snprintf(text, DESCRIBE_SIZE, "not converged: +- %.3g %% after %g s, %.3g %% was asked for",
                 100 * stats_precision(&c->found.time), record->timeout, 100 * record->precision);
        break;
    case DOUBT_INJECTED:
        snprintf(text, DESCRIBE_SIZE, "injected: QUANTBENCH_INJECT was %s", c->found.injected);
        break;
    case DOUBT_OUT_OF_TIME:
        if (record->runs > 0) {
            snprintf(text, DESCRIBE_SIZE, "out of time: a process lacks some of its %" PRIu64 " samples after %g s",
                     record->num_iters, record->max_time);
            break;
        }
        if (c->found.sample_count >= record->num_iters) {
            snprintf(text, DESCRIBE_SIZE, "out of time: %zu samples, but not in all rounds, after %g s (--max-time)",
                     c->found.sample_count, record->max_time);
            break;
        }
        snprintf(text, DESCRIBE_SIZE, "out of time: %zu of %" PRIu64 " samples after %g s (--max-time)",
                 c->found.sample_count, record->num_iters, record->max_time);
        break;
    }
    return text;
}

const char *describe_doubts(const struct record_case *c, const char *separator, char text[DESCRIBE_SIZE])
{
    unsigned doubts = record_doubts(c);
    size_t length = 0;

    text[0] = '\0';
    for (unsigned i = 0; i < DOUBTS; i++) {
        if ((doubts & 1u << i) != 0) {
            length += (size_t)snprintf(text + length, DESCRIBE_SIZE - length, "%s%s", length > 0 ? separator : "",
                                       doubt_words[i]);
        }
    }
    return text;
}

const char *describe_device(const struct qb_device_info *info, char text[DESCRIBE_SIZE])
{
    bool is_bound = info->binding[0] != '\0' && strcmp(info->binding, "none") != 0;

    snprintf(text, DESCRIBE_SIZE, "%s (%s, %s%s%s%s%s)", info->name, info->id, info->isa,
             info->driver[0] != '\0' ? ", driver " : "", info->driver, is_bound ? ", threads bound: " : "",
             is_bound ? info->binding : "");
    return text;
}

const char *describe_devices(const struct record *record, char text[DESCRIBE_SIZE])
{
    const struct record_source *last = NULL;
    char device[DESCRIBE_SIZE];
    size_t length = 0;

    if (record->source_count == 0) {
        return describe_device(record->cases[0].device, text);
    }
    text[0] = '\0';
    for (size_t i = 0; i < record->count && length < DESCRIBE_SIZE; i++) {
        const struct record_case *const c = &record->cases[i];

        if (c->source != last) { /* those of a run follow each other */
            length += (size_t)snprintf(text + length, DESCRIBE_SIZE - length, "%s%.160s: %.400s",
                                       length > 0 ? "; " : "", c->source->label, describe_device(c->device, device));
        }
        last = c->source;
    }
    return text;
}

const char *describe_way(const struct record_case *c, char text[DESCRIBE_SIZE])
{
    char granularity[64], details[PROBLEM_DETAILS_SIZE];

    problem_granularity_text(&c->problem, granularity, sizeof granularity);
    snprintf(text, DESCRIBE_SIZE, "%s, %s%s", recipe_name(&c->problem), granularity,
             problem_details_text(&c->problem, details));
    return text;
}

/* The bytes of the beginning of a name that are kept. */
#define CUT_HEAD 16

char *describe_cut(char *text, size_t width)
{
    const size_t length = strlen(text);
    size_t head = CUT_HEAD, tail = length - (width - CUT_HEAD - strlen("..."));

    if (length <= width) {
        return text;
    }
    /* Letters beyond ASCII stay whole. */
    while (head > 0 && ((unsigned char)text[head] & 0xC0) == 0x80) {
        head--;
    }
    while (((unsigned char)text[tail] & 0xC0) == 0x80) {
        tail++;
    }
    memcpy(text + head, "...", 3);
    memmove(text + head + 3, text + tail, length - tail + 1);
    return text;
}

const char *describe_input(const struct record *record, char text[DESCRIBE_SIZE])
{
    if (record->tensor_count > 0) {
        const struct record_tensor *quantized = NULL;
        size_t kept = 0;
        char label[LABEL_SIZE];

        for (size_t i = 0; i < record->tensor_count; i++) {
            kept += record->tensors[i].kept != NULL;
            quantized = record->tensors[i].kept == NULL ? &record->tensors[i] : quantized;
        }
        if (quantized != NULL && record->tensor_count - kept == 1) {
            label_file(quantized->file, quantized->name, text);
            property_append_digest(quantized->digest, text);
        } else {
            label_file(record->input, NULL, label);
            snprintf(text, DESCRIBE_SIZE, "%.600s, %zu tensors", label, record->tensor_count - kept);
        }
    } else if (record->input == NULL) {
        const char *dist = describe_varies(record, DIST) ? "generated" : dist_words[record->cases[0].dist];

        snprintf(text, DESCRIBE_SIZE, "%s, seed %" PRIu64, dist, record->seed);
    } else {
        _Static_assert(DESCRIBE_SIZE >= LABEL_SIZE + 32, "a label and the digest must fit");
        label_file(record->input, record->tensor, text);
        property_append_digest(record->digest, text);
    }
    return text;
}

/* True if what C has in COLUMN goes without saying. */
static bool is_usual(const struct record_case *c, enum column column)
{
    struct record_case plain = *c;

    if ((column >= SCALE_FORMAT && column <= EXPERT_TOKENS) || column == OPERATION) {
        qb_problem_init(&plain.problem);
        plain.problem.operation = column == OPERATION ? QB_OPERATION_QUANTIZE : c->problem.operation;
        plain.problem.epsilon = PROBLEM_EPSILON;
        return property_same(c, &plain, (enum property)column);
    }
    return column == STREAMS && c->streams == 1;
}

const char *describe_common(const struct record *record, char text[DESCRIBE_SIZE])
{
    char cell[DESCRIBE_SIZE];
    size_t length = 0;

    text[0] = '\0';
    for (enum column i = TOKENS; i < FIRST_RESULT; i++) {
        const struct record_case *c = first_with(record, i);

        describe_cell(c, i, cell);
        /* The input says how the data are distributed. */
        if (i != DIST && !(record->rated_only && i >= CACHE) && !is_usual(c, i) && strcmp(cell, "-") != 0 &&
            !describe_varies(record, i) && length < DESCRIBE_SIZE) {
            length += (size_t)snprintf(text + length, DESCRIBE_SIZE - length, "%s%s %s", length > 0 ? ", " : "",
                                       describe_head(i), cell);
        }
    }
    return text;
}

const char *describe_pair_head(const struct record_comparison *comparison, enum pair_column column)
{
    static const char *const heads[] = {
        [PAIR_BASELINE] = "baseline",      [PAIR_NAME] = "kernel",     [PAIR_RATIO] = "ratio",
        [PAIR_INTERVAL] = "95 % interval", [PAIR_VERDICT] = "verdict",
    };

    return column == PAIR_NAME && comparison->axis != COMPARE_BASELINE
               ? property_name(property_of_axis(comparison->axis))
               : heads[column];
}

bool describe_pair_is_number(enum pair_column column)
{
    return column == PAIR_RATIO;
}

/* True if all pairs have one baseline, or what they call so. */
static bool one_baseline(const struct record_comparison *comparison)
{
    for (size_t i = 1; i < comparison->count; i++) {
        if (strcmp(comparison->pairs[i].baseline_name, comparison->pairs[0].baseline_name) != 0) {
            return false;
        }
    }
    return true;
}

/* True if a kernel of a run is not the one of its baseline. */
static bool other_kernels(const struct record_comparison *comparison)
{
    for (size_t i = 0; i < comparison->count; i++) {
        if (strcmp(comparison->pairs[i].baseline_name, comparison->pairs[i].name) != 0) {
            return true;
        }
    }
    return false;
}

bool describe_pair_shows(const struct record_comparison *comparison, enum pair_column column)
{
    if (column == PAIR_BASELINE) {
        return comparison->axis == COMPARE_BASELINE ? other_kernels(comparison) : !one_baseline(comparison);
    }
    return true;
}

bool describe_pair_shows_case(const struct record *record, enum column column)
{
    enum property axis = property_of_axis(record->comparison.axis);

    /* With a file, the pair's own name is the kernel. */
    return column != (enum column)axis && !(axis == PROPERTIES && column == KERNEL) && describe_varies(record, column);
}

static void describe_judgement(const struct judgement *judgement, enum pair_column column, char text[DESCRIBE_SIZE])
{
    switch (column) {
    case PAIR_RATIO:
        snprintf(text, DESCRIBE_SIZE, "%.4f", judgement->ratio);
        break;
    case PAIR_INTERVAL:
        snprintf(text, DESCRIBE_SIZE, "%.4f to %.4f", judgement->low, judgement->high);
        break;
    case PAIR_VERDICT:
        snprintf(text, DESCRIBE_SIZE, "%s", verdict_words[judgement->verdict]);
        if (judgement->verdict == VERDICT_INCONCLUSIVE && judgement->more != COMPARE_NEVER) {
            snprintf(text, DESCRIBE_SIZE, "%s, %" PRIu64 " more", verdict_words[judgement->verdict], judgement->more);
        }
        break;
    case PAIR_NAME:
    case PAIR_BASELINE:
    case PAIR_COLUMNS:
        break;
    }
}

const char *describe_pair(const struct record_pair *pair, enum pair_column column, char text[DESCRIBE_SIZE])
{
    if (column == PAIR_NAME || column == PAIR_BASELINE) {
        snprintf(text, DESCRIBE_SIZE, "%s", column == PAIR_NAME ? pair->name : pair->baseline_name);
    } else if (pair->count == 0) {
        snprintf(text, DESCRIBE_SIZE, column == PAIR_VERDICT ? "none" : "-");
    } else {
        describe_judgement(&pair->judgement, column, text);
    }
    return text;
}

const char *describe_mean(const struct record_mean *mean, char text[DESCRIBE_SIZE])
{
    char ratio[DESCRIBE_SIZE], interval[DESCRIBE_SIZE];

    describe_judgement(&mean->judgement, PAIR_RATIO, ratio);
    describe_judgement(&mean->judgement, PAIR_INTERVAL, interval);
    snprintf(text, DESCRIBE_SIZE, "%.100s%s%.32s, 95 %% interval %.64s, geometric mean of %zu", mean->name,
             mean->name[0] != '\0' ? " " : "", ratio, interval, mean->pairs);
    return text;
}

/* "20 rounds", or "10 runs and 12 of the baseline". */
static void describe_counts(const struct record_comparison *comparison, char *text, size_t size)
{
    const struct record_pair *longest = &comparison->pairs[0];

    for (size_t i = 1; i < comparison->count; i++) {
        longest = comparison->pairs[i].count > longest->count ? &comparison->pairs[i] : longest;
    }
    if (comparison->axis == COMPARE_BASELINE) {
        snprintf(text, size, "%zu runs and %zu of the baseline", longest->count, longest->baseline_count);
    } else {
        snprintf(text, size, "%zu rounds", longest->count);
    }
}

const char *describe_comparison(const struct record *record, char text[DESCRIBE_SIZE])
{
    const struct record_comparison *comparison = &record->comparison;
    char margin[FIGURE_REAL_SIZE], counts[64] = "no rounds";

    figure_real_text(100 * comparison->margin, margin);
    if (comparison->count > 0) {
        describe_counts(comparison, counts, sizeof counts);
    }
    if (comparison->axis == COMPARE_BASELINE) {
        char label[LABEL_SIZE];

        label_file(comparison->baseline_file, NULL, label);
        snprintf(text, DESCRIBE_SIZE, "with %.300s of %.40s (quantbench %.40s), margin %s %%, %s", label,
                 comparison->baseline_date, comparison->baseline_version, margin, counts);
    } else if (comparison->count > 0 && one_baseline(comparison)) {
        snprintf(text, DESCRIBE_SIZE, "%s with %.300s, margin %s %%, %s",
                 property_name(property_of_axis(comparison->axis)), comparison->pairs[0].baseline_name, margin, counts);
    } else {
        snprintf(text, DESCRIBE_SIZE, "%s, margin %s %%, %s", property_name(property_of_axis(comparison->axis)), margin,
                 counts);
    }
    return text;
}

const char *describe_test(const struct record *record, const struct record_case *c, char text[DESCRIBE_SIZE])
{
    char data[DESCRIBE_SIZE];
    size_t length;

    property_describe(c, text);
    length = strlen(text);
    snprintf(text + length, DESCRIBE_SIZE - length, ", %s", property_data(record, c, data));
    return text;
}

static void describe_verdict(const struct record *record, const struct record_pair *pair, char text[DESCRIBE_SIZE])
{
    const struct judgement *judgement = &pair->judgement;
    bool in_file = record->comparison.axis == COMPARE_BASELINE;
    char verdict[DESCRIBE_SIZE], margin[FIGURE_REAL_SIZE];

    describe_judgement(judgement, PAIR_VERDICT, verdict);
    snprintf(text, DESCRIBE_SIZE,
             "%.60s: %.100s takes %.4f times as long as %.100s%s, 95 %% interval %.4f to %.4f, margin %s %%", verdict,
             pair->name, judgement->ratio, pair->baseline_name, in_file ? " of the baseline" : "", judgement->low,
             judgement->high, figure_real_text(100 * record->comparison.margin, margin));
}

const char *describe_best(const struct record *record, size_t first, char text[DESCRIBE_SIZE])
{
    const struct record_pair *leader = &record->comparison.pairs[first], *best, *rival;
    bool is_decided = verdict_best(record, first, &best, &rival);
    char problem[PROBLEM_TEXT_SIZE];

    problem_text(&record->cases[leader->result].problem, problem, sizeof problem);
    if (!is_decided) {
        snprintf(text, DESCRIBE_SIZE, "undecided: %.300s%s, %s", rival != NULL ? rival->name : "there is no verdict",
                 rival != NULL ? " may be better" : "", problem);
    } else if (best == NULL) {
        snprintf(text, DESCRIBE_SIZE, "%.300s, the baseline, %s", leader->baseline_name, problem);
    } else {
        snprintf(text, DESCRIBE_SIZE, "%.300s, %.2f %% faster than %.100s, %s", best->name,
                 100 * (1 / best->judgement.ratio - 1), leader->baseline_name, problem);
    }
    return text;
}

const char *describe_run(const struct record *record, char text[DESCRIBE_SIZE])
{
    if (record->interrupted) {
        snprintf(text, DESCRIBE_SIZE, "interrupted");
    } else {
        snprintf(text, DESCRIBE_SIZE, "exit status %d, for which standard error has the reason", (int)record->code);
    }
    return text;
}

/* Add what is in doubt about C to TEXT. */
static void append_doubts(const struct record *record, const struct record_case *c, char text[DESCRIBE_SIZE])
{
    unsigned doubts = record_doubts(c);

    for (unsigned i = 0; i < DOUBTS; i++) {
        size_t length = strlen(text);
        char doubt[DESCRIBE_SIZE];

        if ((doubts & 1u << i) != 0) {
            snprintf(text + length, DESCRIBE_SIZE - length, "; in doubt: %s",
                     describe_doubt(record, c, (enum doubt)(1 << i), doubt));
        }
    }
}

const char *describe_outcome(const struct record *record, const struct record_case *c, char text[DESCRIBE_SIZE])
{
    const struct record_pair *pair = record_pair_of(record, c);

    if (c->found.code == EXIT_WRONG_RESULT) {
        snprintf(text, DESCRIBE_SIZE, "wrong result: %" PRIu64 " %s and %" PRIu64 " scales differ from the reference",
                 c->found.checked.mismatch.wrong_codes, problem_results_name(&c->problem),
                 c->found.checked.mismatch.wrong_scales);
    } else if (record->rated_only && c->found.has_quality) {
        char snr[DESCRIBE_SIZE];

        snprintf(text, DESCRIBE_SIZE, "SNR %.64s dB, not timed", describe_cell(c, SNR, snr));
    } else if (c->found.sample_count == 0) {
        snprintf(text, DESCRIBE_SIZE, "no time: %s", codes_text(c));
    } else if (pair != NULL && pair->count == 0) {
        snprintf(text, DESCRIBE_SIZE, "no verdict: the baseline, %.100s, has no time", pair->baseline_name);
    } else if (pair != NULL) {
        describe_verdict(record, pair, text);
    } else {
        snprintf(text, DESCRIBE_SIZE, "median %.3f us, %s", c->found.time.median * 1e-3, codes_text(c));
    }
    append_doubts(record, c, text);
    return text;
}
