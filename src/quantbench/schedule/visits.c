/* SPDX-License-Identifier: Apache-2.0 */
/* visits.c - visits cases here or in a worker, and keeps what one visit found as a line of a journal. In the journal,
 * ceilings are numbered after the cases. */
#include <config.h>

#include "base/document.h"
#include "schedule/visits.h"
#include "base/interrupt.h"
#include "model/round_json.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

/* Append the numbers of ARRAY to the COUNT at NUMBERS. Returns false if it is none of numbers >= 0, or memory is short.
 */
static bool append_numbers(const json_t *array, double **numbers, size_t *count)
{
    size_t more = json_array_size(array);
    double *larger = reallocarray(*numbers, *count + more + 1, sizeof *larger);

    if (larger == NULL || !json_is_array(array)) {
        *numbers = larger != NULL ? larger : *numbers;
        return false;
    }
    *numbers = larger;
    for (size_t i = 0; i < more; i++) {
        const json_t *number = json_array_get(array, i);

        larger[*count + i] = json_number_value(number);
        if (!json_is_number(number) || larger[*count + i] < 0) {
            return false;
        }
    }
    *count += more;
    return true;
}

static enum exit_code refuse(const struct journal *journal, size_t index, uint64_t round)
{
    message_error("%s: case %zu, round %" PRIu64 ": expected samples, as quantbench --journal writes them",
                  journal->file, index, round);
    return EXIT_USAGE;
}

/* Take the visit PART into RESULT. */
static bool restore_case(const json_t *part, struct result *result)
{
    const json_t *launches = json_object_get(part, "launches");
    const json_t *samples = json_object_get(part, "samples");
    char expected[FIGURE_EXPECTED_SIZE];
    struct round *round;

    if (!bench_grow(result, 0) || json_array_size(samples) == 0 || json_integer_value(launches) < 1 ||
        !bench_is_sample(result, (uint64_t)json_integer_value(launches)) ||
        !append_numbers(samples, &result->found.samples, &result->found.sample_count) ||
        !append_numbers(json_object_get(part, "floors"), &result->floors, &result->floor_count)) {
        return false;
    }
    result->found.launches_per_sample = (uint64_t)json_integer_value(launches);
    result->found.hot_time = json_number_value(json_object_get(part, "hot_ns"));
    result->spent += json_number_value(json_object_get(part, "spent_s"));
    round = &result->found.rounds[result->found.round_count++];
    return round_from_json(json_object_get(part, "round"), round, expected) == NULL &&
           round->samples == json_array_size(samples);
}

/* ---- Failures --------------------------------------------------------------------------------------------------- */

/* A case that gave a wrong result in an earlier part of the run has done so: take that into RESULT. False if there was
 * none. */
static bool restore_failure(const struct journal *journal, size_t index, struct result *result)
{
    const json_t *failure = journal_find_failure(journal, index);
    const char *first = json_string_value(json_object_get(failure, "first_difference"));
    const json_int_t codes = json_integer_value(json_object_get(failure, "wrong_codes"));
    const json_int_t scales = json_integer_value(json_object_get(failure, "wrong_scales"));

    if (failure == NULL) {
        return false;
    }
    result->found.code = EXIT_WRONG_RESULT;
    result->found.checked.verification = json_is_true(json_object_get(failure, "differs")) ? WRONG : NOT_VERIFIED;
    result->found.checked.mismatch.wrong_codes = codes > 0 ? (uint64_t)codes : 0;
    result->found.checked.mismatch.wrong_scales = scales > 0 ? (uint64_t)scales : 0;
    snprintf(result->found.checked.mismatch.first, sizeof result->found.checked.mismatch.first, "%s",
             first != NULL ? first : "");
    message_error("wrong result: kernel %s, in an earlier part of the run, by %s%s%s", result->plan_case->about->name,
                  journal->file, result->found.checked.mismatch.first[0] != '\0' ? ": " : "",
                  result->found.checked.mismatch.first);
    return true;
}

/* Keep a wrong result of case INDEX: another run of the same might miss it. */
static void keep_failure(struct visits *visits, size_t index)
{
    const struct result *result = &visits->bench->results[index];
    const struct mismatch *mismatch = &result->found.checked.mismatch;

    if (visits->journal->file == NULL || result->found.code != EXIT_WRONG_RESULT) {
        return;
    }
    /* That it cannot be kept has been said, and does not make the result better. */
    (void)journal_add_failure(visits->journal, index,
                              json_pack("{s:b, s:I, s:I, s:o}", "differs", result->found.checked.verification == WRONG,
                                        "wrong_codes", (json_int_t)mismatch->wrong_codes, "wrong_scales",
                                        (json_int_t)mismatch->wrong_scales, "first_difference",
                                        document_text(mismatch->first)));
}

/* ---- Visits ----------------------------------------------------------------------------------------------------- */

void visits_prove(struct visits *visits, size_t index)
{
    struct bench *bench = visits->bench;
    bool foreign = worker_takes(bench, index);

    if (restore_failure(visits->journal, index, &bench->results[index])) {
        return;
    }
    if (foreign) {
        worker_prove(&visits->worker, bench, index);
    }
    /* A launch for a profiler is made here even so, because it looks at this process. */
    if (!foreign || (bench->results[index].found.code == EXIT_OK && !worker_visits(bench, index))) {
        bench_prove(bench, index);
    }
    keep_failure(visits, index);
}

void visits_to_case(struct visits *visits, uint64_t round, size_t index, uint64_t samples, size_t aside, double seconds)
{
    struct bench *bench = visits->bench;
    struct journal *journal = visits->journal;
    struct result *result = &bench->results[index];
    const json_t *done = journal_find(journal, index, round);
    size_t samples_before = result->found.sample_count, floors_before = result->floor_count;
    double spent_before = result->spent;
    const struct round *last;

    if (done != NULL) {
        if (!restore_case(done, result)) {
            result->found.code = refuse(journal, index, round);
            result->found.sample_count = result->found.round_count = 0;
        }
        return;
    }
    if (worker_visits(bench, index)) {
        worker_visit(&visits->worker, bench, index, samples, aside, seconds);
    } else {
        bench_visit(bench, index, samples, aside, seconds);
    }
    keep_failure(visits, index);
    /* What was interrupted, or could not be done, is to be done again. */
    if (journal->file == NULL || result->found.code != EXIT_OK || interrupt_requested() ||
        result->found.sample_count == samples_before) {
        return;
    }
    last = &result->found.rounds[result->found.round_count - 1];
    result->found.code = journal_add(
        journal, index, round,
        json_pack(
            "{s:I, s:o, s:o, s:f, s:o, s:f}", "launches", (json_int_t)result->found.launches_per_sample, "samples",
            numbers_to_json(result->found.samples + samples_before, result->found.sample_count - samples_before),
            "floors", numbers_to_json(result->floors + floors_before, result->floor_count - floors_before), "hot_ns",
            result->found.hot_time, "round", round_to_json(last), "spent_s", result->spent - spent_before));
    if (result->found.code != EXIT_OK) {
        result->found.sample_count = result->found.round_count = 0;
    }
}

static bool restore_ceiling(const json_t *part, struct ceiling *ceiling)
{
    const json_t *kinds = json_object_get(part, "kinds");

    if (json_array_size(kinds) != CEILING_KINDS) {
        return false;
    }
    for (size_t kind = 0; kind < CEILING_KINDS; kind++) {
        const json_t *from = json_array_get(kinds, kind);

        const json_int_t launches = json_integer_value(json_object_get(from, "launches"));

        /* 0: there were no samples. */
        if (launches < 0 || (launches > ceiling->sets && launches % ceiling->sets != 0)) {
            return false;
        }
        ceiling->kinds[kind].launches = (uint64_t)launches;
        if (!append_numbers(json_object_get(from, "samples"), &ceiling->kinds[kind].samples,
                            &ceiling->kinds[kind].count)) {
            return false;
        }
    }
    ceiling->spent += json_number_value(json_object_get(part, "spent_s"));
    return true;
}

void visits_to_ceiling(struct visits *visits, uint64_t round, size_t index, uint64_t samples, double seconds)
{
    struct bench *bench = visits->bench;
    struct journal *journal = visits->journal;
    struct ceiling *ceiling = &bench->ceilings.values[index];
    const json_t *done = journal_find(journal, bench->count + index, round);
    size_t before[CEILING_KINDS];
    double spent_before = ceiling->spent;
    json_t *kinds;

    if (done != NULL) {
        if (!restore_ceiling(done, ceiling)) {
            bench->code = message_worse(bench->code, refuse(journal, bench->count + index, round));
        }
        return;
    }
    for (int kind = 0; kind < CEILING_KINDS; kind++) {
        before[kind] = ceiling->kinds[kind].count;
    }
    bench_visit_ceiling(bench, index, samples, seconds);
    if (journal->file == NULL || interrupt_requested()) {
        return;
    }
    kinds = json_array();
    for (int kind = 0; kind < CEILING_KINDS; kind++) {
        document_append(&kinds,
                        json_pack("{s:I, s:o}", "launches", (json_int_t)ceiling->kinds[kind].launches, "samples",
                                  numbers_to_json(ceiling->kinds[kind].samples + before[kind],
                                                  ceiling->kinds[kind].count - before[kind])));
    }
    bench->code = message_worse(
        bench->code, journal_add(journal, bench->count + index, round,
                                 json_pack("{s:o, s:f}", "kinds", kinds, "spent_s", ceiling->spent - spent_before)));
}

void visits_end(struct visits *visits)
{
    worker_end(&visits->worker);
}
