/* SPDX-License-Identifier: Apache-2.0 */
/* comparison.c - which cases of a record are compared with which, and the verdicts. */
#include <config.h>

#include "verdict/comparison.h"
#include "verdict/compare.h"
#include "model/property.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* True if the cases are the same in all that is known before they run, but for LEFT_OUT and the kernel. The
 * distribution is a part of what their data are, which two records do not tell by it alone. */
static bool same_but(const struct record_case *a, const struct record_case *b, enum property left_out)
{
    for (enum property i = 0; i < PROPERTIES; i++) {
        if (i != left_out && i != PROPERTY_KERNEL && !(i == PROPERTY_DIST && left_out == PROPERTIES) &&
            !property_same(a, b, i) && !property_follows(a, b, left_out, i)) {
            return false;
        }
    }
    return true;
}

/* The same, and nothing follows from the property that is left out. */
static bool same_exactly(const struct record_case *a, const struct record_case *b, enum property left_out)
{
    for (enum property i = 0; i < PROPERTIES; i++) {
        if (i != left_out && i != PROPERTY_KERNEL && !property_same(a, b, i)) {
            return false;
        }
    }
    return true;
}

/* Cases by their sizes, which are the same in cases that are compared: a sweep of many sizes has few of each. */
struct by_size {
    size_t *lists; /* each 1 + the index of the last case of its sizes; 0: none */
    size_t *next;  /* of each case, the one before it in its list, in the same way */
    size_t count;  /* of lists, a power of two */
};

/* Make room for COUNT cases; false if memory is short. Free BY_SIZE either way. */
static bool make_lists(struct by_size *by_size, size_t count)
{
    *by_size = (struct by_size){.count = 16};
    while (by_size->count < count) {
        by_size->count *= 2;
    }
    by_size->lists = calloc(by_size->count, sizeof *by_size->lists);
    by_size->next = calloc(count, sizeof *by_size->next);
    return by_size->lists != NULL && by_size->next != NULL;
}

static void free_lists(struct by_size *by_size)
{
    free(by_size->lists);
    free(by_size->next);
}

/* The list of the cases with the sizes of C. */
static size_t *list_of(const struct by_size *by_size, const struct record_case *c)
{
    uint64_t hash = (c->problem.tokens * 0x9E3779B97F4A7C15u ^ c->problem.hidden) * 0xD6E8FEB86659FD93u;

    return &by_size->lists[(size_t)(hash >> 32) & (by_size->count - 1)];
}

/* The first of CASES before WANTED that it is to be compared with in the same record; WANTED if there is none. Best is
 * one that differs in nothing else, and has the same kernel; the best kernels of two problems may have different names.
 * Then WANTED is listed too. */
static size_t find_baseline(const struct record_case *cases, struct by_size *by_size, size_t wanted,
                            enum compare_axis axis)
{
    enum property property = property_of_axis(axis);
    size_t *list = list_of(by_size, &cases[wanted]);
    size_t same_kernel = wanted, other_kernel = wanted;
    bool has_exact = false;

    /* The list has the last case first. */
    for (size_t i = *list; i != 0; i = by_size->next[i - 1]) {
        const struct record_case *c = &cases[i - 1];
        const bool same = axis == COMPARE_KERNELS || strcmp(c->kernel, cases[wanted].kernel) == 0;
        const bool is_exact = same_exactly(c, &cases[wanted], property);

        if (!same_but(c, &cases[wanted], property) || (has_exact && !is_exact) ||
            (!same && property_same(c, &cases[wanted], property))) {
            continue;
        }
        if (is_exact && !has_exact) {
            same_kernel = other_kernel = wanted;
        }
        *(same ? &same_kernel : &other_kernel) = i - 1;
        has_exact = is_exact;
    }
    by_size->next[wanted] = *list;
    *list = wanted + 1;
    return same_kernel != wanted ? same_kernel : other_kernel;
}

/* The case of BASELINE that WANTED, one of RECORD's, is to be compared with; its count if there is none. Best is one of
 * the same data, and among these one with the same kernel. */
static size_t find_in_file(const struct record *record, const struct record_case *wanted, const struct record *baseline)
{
    size_t found = baseline->count;
    int best = 0;

    for (size_t i = 0; i < baseline->count; i++) {
        const struct record_case *c = &baseline->cases[i];
        int score = 1 + 2 * record_same_data(record, wanted, baseline, c) + (strcmp(c->kernel, wanted->kernel) == 0);

        if (score > best && same_but(c, wanted, PROPERTIES)) {
            best = score;
            found = i;
        }
    }
    return found;
}

static enum exit_code no_memory(void)
{
    message_error("out of memory: the comparison");
    return EXIT_CANNOT_RUN;
}

/* Add a pair without times. NULL if memory is short. */
static struct record_pair *add_pair(struct record_comparison *comparison, size_t result, const char *name,
                                    size_t baseline_result, const char *baseline_name)
{
    struct record_pair *larger = reallocarray(comparison->pairs, comparison->count + 1, sizeof *larger);
    struct record_pair *pair;

    if (larger == NULL) {
        return NULL;
    }
    comparison->pairs = larger;
    pair = &larger[comparison->count++];
    *pair = (struct record_pair){
        .result = result,
        .baseline_result = baseline_result,
        .name = strdup(name),
        .baseline_name = strdup(baseline_name),
    };
    return pair->name != NULL && pair->baseline_name != NULL ? pair : NULL;
}

enum exit_code comparison_between(struct record *record, enum compare_axis axis, double margin)
{
    struct record_comparison *comparison = &record->comparison;
    enum property property = property_of_axis(axis);
    char name[PROPERTY_TEXT_SIZE], baseline_name[PROPERTY_TEXT_SIZE];
    struct by_size by_size;
    bool good = make_lists(&by_size, record->described);

    *comparison = (struct record_comparison){.axis = axis, .margin = margin, .slower_fails = true};
    for (size_t i = 0; i < record->described && good; i++) {
        size_t baseline = find_baseline(record->cases, &by_size, i, axis);

        good = baseline == i || add_pair(comparison, i, property_text(&record->cases[i], property, name), baseline,
                                         property_text(&record->cases[baseline], property, baseline_name)) != NULL;
    }
    free_lists(&by_size);
    if (!good) {
        return no_memory();
    }
    if (comparison->count == 0) {
        message_error("there is nothing to compare: only one %s can be run; two are needed", property_name(property));
        return EXIT_USAGE;
    }
    return EXIT_OK;
}

/* Add to TEXT, on one line, that WHAT is not the same. */
static void add_obstacle(const char *what, const char *baseline, const char *now, char *text, size_t size)
{
    size_t length = strlen(text);

    if (strcmp(baseline, now) != 0) {
        snprintf(text + length, size - length, "%s%s '%s' was '%s'", length > 0 ? ", " : "", what, now, baseline);
    }
}

/* What differs between the machines of the two records, or how they were used, so that their times cannot be compared,
 * on one line; "" if nothing does. */
static void find_obstacles(const struct record *record, const struct record *baseline, char *text, size_t size)
{
    add_obstacle("regime", regime_words[baseline->regime], regime_words[record->regime], text, size);
    add_obstacle("process state", state_words[baseline->state], state_words[record->state], text, size);
    for (size_t i = 0; i < record->device_count; i++) {
        const struct qb_device_info *now = &record->devices[i], *then = NULL;

        for (size_t k = 0; k < baseline->device_count; k++) {
            if (strcmp(baseline->devices[k].id, now->id) == 0) {
                then = &baseline->devices[k];
            }
        }
        if (then == NULL) {
            continue; /* it has no case that could be compared */
        }
        add_obstacle("device", then->name, now->name, text, size);
        add_obstacle("UUID", then->uuid, now->uuid, text, size);
        add_obstacle("instruction set", then->isa, now->isa, text, size);
        add_obstacle("driver", then->driver, now->driver, text, size);
        if (then->binding[0] != '\0') { /* its version knows */
            add_obstacle("binding of threads", then->binding, now->binding, text, size);
        }
    }
}

/* Add the data, if those of C, one of RECORD's, are not known to be those of THEN, one of BASELINE's. */
static void find_other_data(const struct record *record, const struct record_case *c, const struct record *baseline,
                            const struct record_case *then, char *text, size_t size)
{
    char now_data[PROPERTY_TEXT_SIZE], then_data[PROPERTY_TEXT_SIZE];

    if (!record_same_data(record, c, baseline, then)) {
        add_obstacle("data", property_data(baseline, then, then_data), property_data(record, c, now_data), text, size);
    }
}

/* Say that COUNT of the cases that BASELINE is compared by are in doubt: an error unless the doubts were accepted when
 * it was saved, or now. */
static enum exit_code check_doubts(const struct record *baseline, size_t count, bool is_forced)
{
    if (count == 0) {
        return EXIT_OK;
    }
    if (is_forced || baseline->forced) {
        message_warning("--baseline: %zu results are in doubt", count);
        return EXIT_OK;
    }
    message_error("--baseline: %zu results are in doubt, as its report says; --force compares them anyway", count);
    return EXIT_CANNOT_RUN;
}

enum exit_code comparison_check(const struct record *record, const struct record *baseline, bool is_forced)
{
    char obstacles[2048] = "";
    size_t doubtful = 0;
    enum exit_code code;

    for (size_t i = 0; i < record->count; i++) {
        const struct record_case *c = &record->cases[i];
        char problem[PROPERTY_TEXT_SIZE];

        size_t found = find_in_file(record, c, baseline);

        if (found == baseline->count) {
            message_error("--baseline: lacks a time of %s; expected the cases that it was saved with",
                          property_describe(c, problem));
            return EXIT_USAGE;
        }
        doubtful += record_doubts(&baseline->cases[found]) != 0;
        if (obstacles[0] == '\0') {
            find_other_data(record, c, baseline, &baseline->cases[found], obstacles, sizeof obstacles);
        }
    }
    code = check_doubts(baseline, doubtful, is_forced);
    find_obstacles(record, baseline, obstacles, sizeof obstacles);
    if (obstacles[0] == '\0') {
        return code;
    }
    if (is_forced) {
        message_warning("--baseline: taken under other conditions: %s", obstacles);
        return code;
    }
    message_error("--baseline: taken under other conditions: %s; --force compares them anyway", obstacles);
    return EXIT_CANNOT_RUN;
}

enum exit_code comparison_with(struct record *record, const struct record *baseline, const char *file,
                               const struct series *baseline_series, double margin)
{
    struct record_comparison *comparison = &record->comparison;

    *comparison = (struct record_comparison){
        .axis = COMPARE_BASELINE,
        .margin = margin,
        .slower_fails = true,
        .baseline_file = strdup(file),
        .baseline_date = strdup(baseline->date),
        .baseline_version = strdup(baseline->version),
    };
    if (comparison->baseline_file == NULL || comparison->baseline_date == NULL ||
        comparison->baseline_version == NULL) {
        return no_memory();
    }
    for (size_t i = 0; i < record->described; i++) {
        size_t found = find_in_file(record, &record->cases[i], baseline);
        struct record_pair *pair;

        pair = add_pair(comparison, i, record->cases[i].kernel, RECORD_IN_FILE, baseline->cases[found].kernel);
        if (pair != NULL) {
            pair->baseline_times = record_kept_digits(baseline_series[found].times, baseline_series[found].count);
            pair->baseline_count = baseline_series[found].count;
        }
        if (pair == NULL || pair->baseline_times == NULL) {
            return no_memory();
        }
    }
    return EXIT_OK;
}

/* The logarithms of the first COUNT times of PAIRS, or of their baselines, averaged over the pairs. */
static void average_logs(struct record_pair *const *pairs, size_t pair_count, bool of_baseline, size_t count,
                         double *logs)
{
    for (size_t k = 0; k < count; k++) {
        logs[k] = 0;
        for (size_t i = 0; i < pair_count; i++) {
            logs[k] += log(of_baseline ? pairs[i]->baseline_times[k] : pairs[i]->times[k]) / (double)pair_count;
        }
    }
}

static size_t count_of(const struct record_pair *pair, bool of_baseline)
{
    return of_baseline ? pair->baseline_count : pair->count;
}

/* The smallest number of times that any of PAIR_COUNT >= 1 PAIRS, or of their baselines, has. */
static size_t common_count(struct record_pair *const *pairs, size_t pair_count, bool of_baseline)
{
    size_t count = count_of(pairs[0], of_baseline);

    for (size_t i = 1; i < pair_count; i++) {
        size_t there = count_of(pairs[i], of_baseline);

        count = there < count ? there : count;
    }
    return count;
}

/* The estimate of the geometric mean of the ratios of PAIR_COUNT >= 1 PAIRS. What is averaged is round by round, or
 * process by process, since what one round does to all of them is not evidence for each. */
static bool estimate_pairs(struct record_pair *const *pairs, size_t pair_count, enum compare_axis axis,
                           struct estimate *estimate)
{
    size_t count = common_count(pairs, pair_count, false);
    size_t baseline_count = common_count(pairs, pair_count, true);
    double *logs = malloc(count * sizeof *logs);
    double *baseline_logs = malloc(baseline_count * sizeof *baseline_logs);
    bool good = logs != NULL && baseline_logs != NULL;

    if (good) {
        average_logs(pairs, pair_count, false, count, logs);
        average_logs(pairs, pair_count, true, baseline_count, baseline_logs);
        if (axis == COMPARE_BASELINE) {
            good = compare_runs(baseline_logs, baseline_count, logs, count, estimate);
        } else {
            for (size_t k = 0; k < count; k++) {
                logs[k] -= baseline_logs[k];
            }
            good = compare_rounds(logs, count, estimate);
        }
    }
    free(baseline_logs);
    free(logs);
    return good;
}

/* Only logarithms of times > 0 can be taken, and one time has no error. */
static bool can_judge(const struct series *series)
{
    for (size_t i = 0; i < series->count; i++) {
        if (!(series->times[i] > 0)) {
            return false;
        }
    }
    return series->count >= 2;
}

/* The times of PAIR, unless one of its cases has none. Rounds that only one of the two has are left out. */
static bool fill_pair(struct record_pair *pair, const struct series *series)
{
    const struct series *own = &series[pair->result];

    if (pair->baseline_result == RECORD_IN_FILE) {
        if (can_judge(own) && can_judge(&(struct series){pair->baseline_times, pair->baseline_count})) {
            pair->times = record_kept_digits(own->times, own->count);
            pair->count = own->count;
            return pair->times != NULL;
        }
        return true;
    }
    if (can_judge(own) && can_judge(&series[pair->baseline_result])) {
        const struct series *baseline = &series[pair->baseline_result];

        pair->count = pair->baseline_count = own->count < baseline->count ? own->count : baseline->count;
        pair->times = record_kept_digits(own->times, pair->count);
        pair->baseline_times = record_kept_digits(baseline->times, pair->count);
        return pair->times != NULL && pair->baseline_times != NULL;
    }
    return true;
}

/* Judge the COUNT pairs at PAIRS, all of which have times. */
static bool judge_pairs(struct record_pair **pairs, size_t count, const struct record_comparison *comparison)
{
    struct estimate *estimates = calloc(count + 1, sizeof *estimates);
    struct judgement *judgements = calloc(count + 1, sizeof *judgements);
    bool good = estimates != NULL && judgements != NULL;

    for (size_t i = 0; i < count && good; i++) {
        good = estimate_pairs(&pairs[i], 1, comparison->axis, &estimates[i]);
    }
    good = good && compare_judge(estimates, count, comparison->margin, judgements);
    for (size_t i = 0; i < count && good; i++) {
        pairs[i]->judgement = judgements[i];
        record_keep_judgement(&pairs[i]->judgement);
    }
    free(judgements);
    free(estimates);
    return good;
}

/* Add the mean of the COUNT pairs at PAIRS, which have one name. */
static bool add_mean(struct record_comparison *comparison, struct record_pair *const *pairs, size_t count)
{
    struct record_mean *larger = reallocarray(comparison->means, comparison->mean_count + 1, sizeof *larger);
    struct estimate estimate;
    struct record_mean *mean;

    if (larger == NULL) {
        return false;
    }
    comparison->means = larger;
    mean = &larger[comparison->mean_count++];
    *mean = (struct record_mean){.name = strdup(comparison->axis == COMPARE_BASELINE ? "" : pairs[0]->name),
                                 .pairs = count};
    if (mean->name == NULL || !estimate_pairs(pairs, count, comparison->axis, &estimate) ||
        !compare_judge(&estimate, 1, comparison->margin, &mean->judgement)) {
        return false;
    }
    record_keep_judgement(&mean->judgement);
    return true;
}

/* Add a mean for each name that several of the COUNT pairs at PAIRS have; all are of one name if they are compared with
 * a file. SCRATCH has room for COUNT. */
static bool add_means(struct record_comparison *comparison, struct record_pair *const *pairs, size_t count,
                      struct record_pair **scratch)
{
    for (size_t i = 0; i < count; i++) {
        size_t first = 0, same = 0;

        for (size_t k = 0; k < count; k++) {
            if (comparison->axis == COMPARE_BASELINE || strcmp(pairs[k]->name, pairs[i]->name) == 0) {
                first = same == 0 ? k : first;
                scratch[same++] = pairs[k];
            }
        }
        if (first == i && same > 1 && !add_mean(comparison, scratch, same)) {
            return false;
        }
    }
    return true;
}

enum exit_code comparison_judge(struct record *record, const struct series *series)
{
    struct record_comparison *comparison = &record->comparison;
    struct record_pair **pairs = calloc(comparison->count + 1, sizeof *pairs);
    struct record_pair **scratch = calloc(comparison->count + 1, sizeof *scratch);
    bool good = pairs != NULL && scratch != NULL;
    size_t count = 0;

    for (size_t i = 0; i < comparison->count && good; i++) {
        good = fill_pair(&comparison->pairs[i], series);
        if (comparison->pairs[i].count > 0) {
            pairs[count++] = &comparison->pairs[i];
        }
    }
    good = good && judge_pairs(pairs, count, comparison) && add_means(comparison, pairs, count, scratch);
    free(scratch);
    free(pairs);
    return good ? EXIT_OK : no_memory();
}
