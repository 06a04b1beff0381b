/* SPDX-License-Identifier: Apache-2.0 */
/* quality.c - the quality of many tensors. The kernels of the CPU compute the codes, which those of each device are. */
#include <config.h>

#include "base/clock.h"
#include "base/interrupt.h"
#include "cli/quality.h"
#include "measure/rating.h"
#include "schedule/recording.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A run. */
struct run {
    struct tensors *tensors;
    const struct plan *plan;
    struct record *record;
    struct rating rating;
    struct result *results;
    size_t *first; /* case of each tensor */
    double start;
    double elements, done; /* of all cases, and of those that are rated: a large tensor takes long */
};

static double elements_of(const struct plan_case *c)
{
    return (double)c->problem.tokens * (double)c->problem.hidden;
}

/* Say what will be read, and how much memory that takes. */
static void announce(const struct tensors *tensors)
{
    uint64_t bytes = 0;

    for (size_t i = 0; i < tensors->count; i++) {
        bytes += tensors->items[i].bytes;
    }
    message_note("%zu tensor%s, %.1f MB; one is in memory at a time, the largest of %.1f MB, with its codes",
                 tensors->count, tensors->count == 1 ? "" : "s", (double)bytes * 1e-6, (double)tensors->largest * 1e-6);
}

static void show_progress(const struct run *run, const struct plan_case *c)
{
    char where[LABEL_TEXT_SIZE + 32] = "rating", title[LABEL_TEXT_SIZE];

    if (c->tensor != NULL && c->tensor->title != NULL) {
        snprintf(where, sizeof where, "rating %.200s", label_text(title, c->tensor->title, strlen(c->tensor->title)));
    }
    message_progress_eta(where, run->done, run->elements, clock_seconds() - run->start);
}

/* Find out which tensor case INDEX is about, if it is the first of that. */
static enum exit_code identify(struct run *run, size_t index)
{
    const struct tensor *tensor = run->plan->cases[index].tensor;
    char title[LABEL_TEXT_SIZE], other[LABEL_TEXT_SIZE];
    struct record_tensor *kept;
    const void *data;
    enum exit_code code;
    size_t i;

    if (tensor == NULL || !run->tensors->is_list || tensor->digest != 0) {
        return EXIT_OK;
    }
    i = (size_t)(tensor - run->tensors->items);
    run->first[i] = run->first[i] == SIZE_MAX ? index : run->first[i];
    code = tensors_hold(run->tensors, tensor, &data);
    code = code == EXIT_OK ? tensors_identify(run->tensors, &run->tensors->items[i], data) : code;
    if (code != EXIT_OK) {
        return code;
    }
    kept = &run->record->tensors[i];
    snprintf(kept->digest, sizeof kept->digest, "%016" PRIx64, tensor->digest);
    if (run->tensors->count == 1) {
        snprintf(run->record->digest, sizeof run->record->digest, "%s", kept->digest);
    }
    if (tensor->same_as != NULL) {
        kept->same_as = (size_t)(tensor->same_as - run->tensors->items);
        message_note("%s: the same bytes as %s", label_text(title, tensor->title, strlen(tensor->title)),
                     label_text(other, tensor->same_as->title, strlen(tensor->same_as->title)));
    }
    return EXIT_OK;
}

/* Rate case INDEX, or take the result of an equal tensor. */
static void rate(struct run *run, size_t index)
{
    const struct plan_case *c = &run->plan->cases[index];
    const struct tensor *tensor = c->tensor;
    struct result *result = &run->results[index];

    *result = (struct result){.plan_case = c, .found = {.cache = c->cache}};
    result->found.code = identify(run, index);
    if (result->found.code != EXIT_OK) {
        return;
    }
    if (tensor != NULL && tensor->same_as != NULL) {
        const size_t from =
            run->first[tensor->same_as - run->tensors->items] + index - run->first[tensor - run->tensors->items];

        result->found = run->results[from].found;
        return;
    }
    rating_rate(&run->rating, c, &result->found);
}

static enum exit_code rate_all(struct run *run)
{
    enum exit_code code = EXIT_OK;

    for (size_t i = 0; i < run->plan->count; i++) {
        run->elements += elements_of(&run->plan->cases[i]);
    }
    for (size_t i = 0; i < run->plan->count && !interrupt_requested(); i++) {
        show_progress(run, &run->plan->cases[i]);
        rate(run, i);
        run->done += elements_of(&run->plan->cases[i]);
        code = message_worse(code, run->results[i].found.code);
        code = message_worse(code, recording_add(run->record, &run->results[i]));
    }
    message_progress_end();
    if (interrupt_requested()) {
        message_note("interrupted: what was rated until then is reported");
    }
    return code;
}

enum exit_code quality_run(const struct settings *settings, struct machine *machine, struct tensors *tensors,
                           const struct plan *plan, struct record *record)
{
    struct run run = {
        .tensors = tensors,
        .plan = plan,
        .record = record,
        .results = calloc(plan->count, sizeof *run.results),
        .first = calloc(tensors != NULL ? tensors->count : 1, sizeof *run.first),
        .start = clock_seconds(),
    };
    enum exit_code code = run.results != NULL && run.first != NULL
                              ? EXIT_OK
                              : message_out_of_memory("the list of results", plan->count * sizeof *run.results);

    for (size_t i = 0; tensors != NULL && code == EXIT_OK && i < tensors->count; i++) {
        run.first[i] = SIZE_MAX;
    }
    if (code == EXIT_OK && tensors != NULL) {
        announce(tensors);
    }
    code = code == EXIT_OK ? rating_begin(&run.rating, &machine->devices[0], tensors, settings->sweep.seed) : code;
    if (run.rating.device != NULL) {
        code = code == EXIT_OK ? rate_all(&run) : code;
        rating_end(&run.rating);
    }
    free(run.first);
    free(run.results);
    return code;
}
