/* SPDX-License-Identifier: Apache-2.0 */
/* record.c - what a run does and finds, kept for the reports. */
#include <config.h>

#include "model/record.h"
#include "base/saturate.h"
#include "model/operation.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* No start of threads on CPUs of their own takes as many nanoseconds. */
#define LONG_FLOOR 100e3

/* A difference between empty launches that is noise, as a share. Two states of a process differ by more than a third.
 */
#define SAME_STATE 0.05

/* What is faster than the ceiling by more than this share cannot be true. */
#define IMPLAUSIBLE 0.03

double *record_kept_digits(const double *numbers, size_t count)
{
    double *copy = malloc((count + 1) * sizeof *copy); /* of no number it may be NULL */

    for (size_t i = 0; i < count && copy != NULL; i++) {
        copy[i] = figure_digits(numbers[i]);
    }
    return copy;
}

void record_keep_judgement(struct judgement *judgement)
{
    judgement->ratio = figure_digits(judgement->ratio);
    judgement->low = figure_digits(judgement->low);
    judgement->high = figure_digits(judgement->high);
    judgement->p = figure_digits(judgement->p);
}

bool record_is_implausible(double time, double best_time)
{
    return time < (1 - IMPLAUSIBLE) * best_time;
}

size_t record_throttled_rounds(const struct record_case *c)
{
    size_t count = 0;

    for (size_t i = 0; i < c->found.round_count; i++) {
        count += c->found.rounds[i].conditions.throttle != 0;
    }
    return count;
}

/* The threads that launches on the CPU were shared out to, and on how many they ran in the round with the fewest. */
static void derive_threads(struct finding *found)
{
    found->threads_wanted = found->threads_obtained = 0;
    for (size_t i = 0; i < found->round_count; i++) {
        const struct round *round = &found->rounds[i];

        if (round->threads_wanted > found->threads_wanted ||
            (round->threads_wanted == found->threads_wanted && round->threads_obtained < found->threads_obtained)) {
            found->threads_wanted = round->threads_wanted;
            found->threads_obtained = round->threads_obtained;
        }
    }
}

/* The sum of two counts, which a file of others may have; JSON has integers with a sign. */
static uint64_t add_counts(uint64_t a, uint64_t b)
{
    const uint64_t sum = saturate_add(a, b);

    return sum < INT64_MAX ? sum : INT64_MAX;
}

/* What the system did to the samples on the CPU, over all rounds. */
static void derive_disturbances(struct finding *found)
{
    found->retaken_samples = found->disturbed_samples = 0;
    for (size_t i = 0; i < found->round_count; i++) {
        const struct round *round = &found->rounds[i];

        found->retaken_samples = add_counts(found->retaken_samples, round->retaken_samples);
        found->disturbed_samples = add_counts(found->disturbed_samples, round->disturbed_samples);
        found->huge_bytes = round->huge_bytes < found->huge_bytes ? round->huge_bytes : found->huge_bytes;
    }
}

/* COUNT elements as a share of the finite ones. */
static double share(const struct quality *quality, uint64_t count)
{
    return quality->finite > 0 ? (double)count / (double)quality->finite : NAN;
}

/* COUNT tiles as a share of all; unknown in records of older programs. */
static double tile_share(const struct quality *quality, uint64_t count)
{
    return quality->tiles > 0 && count != UINT64_MAX ? (double)count / (double)quality->tiles : NAN;
}

void record_derive(struct record_case *c)
{
    struct finding *found = &c->found;
    const struct quality *quality = &found->checked.quality;
    const bool has_time = found->sample_count > 0;

    found->retaken_samples = found->disturbed_samples = found->huge_bytes = ROUND_UNKNOWN;
    found->threads_wanted = found->threads_obtained = 0;
    if (has_time && c->threads > 0) {
        derive_disturbances(found);
        derive_threads(found);
    }
    found->implausible =
        has_time && (found->implausible || record_is_implausible(found->time.median, found->best_time));
    found->ceiling_share =
        has_time && found->time.median > 0 && !found->implausible ? found->best_time / found->time.median : 0;
    found->saturated_share = share(quality, quality->saturated);
    found->flushed_share = share(quality, quality->flushed);
    found->overrange_share = quality->overrange != UINT64_MAX ? share(quality, quality->overrange) : NAN;
    found->saturated_tile_share = tile_share(quality, quality->saturated_tiles);
    found->overrange_tile_share = tile_share(quality, quality->overrange_tiles);
    found->floor_tile_share = tile_share(quality, quality->floor_tiles);
}

/* True if an empty launch on the CPU took longer than the start of threads can, and than the copies: the threads waited
 * for CPUs that others used, and no limit can be told. */
static bool floor_is_load(const struct record_case *c)
{
    double fastest = INFINITY;

    for (int kind = 0; kind < CEILING_KINDS; kind++) {
        fastest = c->found.ceiling_times[kind] > 0 ? fmin(fastest, c->found.ceiling_times[kind]) : fastest;
    }
    return c->threads > 0 && c->found.floor_time >= LONG_FLOOR && c->found.floor_time > fastest;
}

/* True if an empty launch in a graph did not take as long at the end as at the start: something, a plug-in for
 * instance, has changed what all launches of the process take. */
static bool state_changed(const struct record_case *c)
{
    const double first = c->found.first_floor, last = c->found.last_floor;

    return c->threads == 0 && c->launch == LAUNCH_GRAPH && first > 0 && last > 0 &&
           fabs(last - first) > SAME_STATE * first;
}

unsigned record_doubts(const struct record_case *c)
{
    /* A fault that was asked for counts without a time too: it may be the reason. */
    unsigned doubts = c->found.injected[0] != '\0' ? DOUBT_INJECTED : 0;

    if (c->found.sample_count == 0) {
        return doubts;
    }
    doubts |= c->found.implausible ? DOUBT_IMPLAUSIBLE : 0;
    doubts |= c->found.cache_check == CACHE_CHECK_FAILED ? DOUBT_CACHE : 0;
    doubts |= c->found.cache == CACHE_PARTLY_COLD ? DOUBT_PARTLY_COLD : 0;
    doubts |= c->found.cache == CACHE_HOT && c->launch != LAUNCH_PROFILE && c->device->cache_size > 0 &&
                      c->found.rotated_bytes > c->device->cache_size
                  ? DOUBT_NOT_HOT
                  : 0;
    doubts |= c->found.converged == TRUTH_NO ? DOUBT_NOT_CONVERGED : 0;
    doubts |= c->found.out_of_time == TRUTH_YES ? DOUBT_OUT_OF_TIME : 0;
    doubts |= record_throttled_rounds(c) > 0 ? DOUBT_THROTTLED : 0;
    doubts |= c->threads > 0 && 2 * c->found.disturbed_samples > c->found.sample_count ? DOUBT_DISTURBED : 0;
    doubts |= floor_is_load(c) ? DOUBT_FLOOR : 0;
    doubts |= state_changed(c) ? DOUBT_STATE : 0;
    doubts |= c->found.threads_obtained < c->found.threads_wanted ? DOUBT_THREADS : 0;
    doubts |= c->found.time.basis != STATS_BASIS_NONE && !(stats_precision(&c->found.time) <= RECORD_IMPRECISE)
                  ? DOUBT_IMPRECISE
                  : 0;
    return doubts;
}

bool record_same_data(const struct record *a, const struct record_case *a_case, const struct record *b,
                      const struct record_case *b_case)
{
    const bool is_seeded = operation_is_seeded(&a_case->problem);

    if (is_seeded && a->seed != b->seed) {
        return false;
    }
    if (a_case->problem.experts > 0 && a->expert_load != b->expert_load) {
        return false;
    }
    if (a->input != NULL || b->input != NULL) {
        const char *a_digest = a_case->tensor != NULL ? a_case->tensor->digest : a->digest;
        const char *b_digest = b_case->tensor != NULL ? b_case->tensor->digest : b->digest;

        return a->input != NULL && b->input != NULL && a_digest[0] != '\0' && strcmp(a_digest, b_digest) == 0;
    }
    return a_case->dist == b_case->dist && (a->seed == b->seed || a_case->dist == INPUT_ZEROS);
}

const struct record_pair *record_pair_of(const struct record *record, const struct record_case *c)
{
    for (size_t i = 0; i < record->comparison.count; i++) {
        if (&record->cases[record->comparison.pairs[i].result] == c) {
            return &record->comparison.pairs[i];
        }
    }
    return NULL;
}

void record_free_argv(struct record *record)
{
    for (size_t i = 0; i < record->argc; i++) {
        free(record->argv[i]);
    }
    free(record->argv);
    record->argv = NULL;
    record->argc = 0;
}

static void free_comparison(struct record_comparison *comparison)
{
    for (size_t i = 0; i < comparison->count; i++) {
        free(comparison->pairs[i].name);
        free(comparison->pairs[i].baseline_name);
        free(comparison->pairs[i].times);
        free(comparison->pairs[i].baseline_times);
    }
    for (size_t i = 0; i < comparison->mean_count; i++) {
        free(comparison->means[i].name);
    }
    free(comparison->baseline_file);
    free(comparison->baseline_date);
    free(comparison->baseline_version);
    free(comparison->pairs);
    free(comparison->means);
}

static void free_case(struct record_case *c)
{
    free(c->kernel);
    free(c->plugin);
    free(c->arithmetic);
    free(c->found.samples);
    free(c->found.rounds);
    free(c->name);
}

static void free_tensor(struct record_tensor *tensor)
{
    free(tensor->file);
    free(tensor->name);
    free(tensor->title);
    free(tensor->type);
    free(tensor->shape);
    free(tensor->kept);
}

static void free_source(struct record_source *source)
{
    free(source->label);
    free(source->host_name);
    free(source->system);
    free(source->date);
    free(source->version);
}

void record_free(struct record *record)
{
    for (size_t i = 0; i < record->described; i++) {
        free_case(&record->cases[i]);
    }
    free(record->version);
    free(record->library_version);
    free(record->date);
    record_free_argv(record);
    free(record->host_name);
    free(record->system);
    free(record->boot);
    free(record->together);
    free(record->host_facts.list);
    for (size_t i = 0; i < record->device_count && record->facts != NULL; i++) {
        free(record->facts[i].list);
    }
    free(record->facts);
    free(record->input);
    free(record->tensor);
    free(record->devices);
    free(record->timers);
    for (size_t i = 0; i < record->tensor_count; i++) {
        free_tensor(&record->tensors[i]);
    }
    free(record->tensors);
    for (size_t i = 0; i < record->source_count; i++) {
        free_source(&record->sources[i]);
    }
    free(record->sources);
    free(record->cases);
    free_comparison(&record->comparison);
    *record = (struct record){.count = 0};
}
