/* SPDX-License-Identifier: Apache-2.0 */
/* record.c - what a run does and finds, kept for the reports. */
#include <config.h>

#include "model/record.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* No start of threads on CPUs of their own takes as many nanoseconds. */
#define LONG_FLOOR 100e3

/* What is faster than the ceiling by more than this share cannot be true. */
#define IMPLAUSIBLE 0.03

const char *record_real_text(double number, char text[RECORD_REAL_SIZE])
{
    snprintf(text, RECORD_REAL_SIZE, "%.12g", number);
    return text;
}

double record_keep_digits(double number)
{
    char text[RECORD_REAL_SIZE];

    return isfinite(number) ? strtod(record_real_text(number, text), NULL) : number;
}

double *record_kept_digits(const double *numbers, size_t count)
{
    double *copy = malloc((count + 1) * sizeof *copy); /* of no number it may be NULL */

    for (size_t i = 0; i < count && copy != NULL; i++) {
        copy[i] = record_keep_digits(numbers[i]);
    }
    return copy;
}

void record_keep_judgement(struct judgement *judgement)
{
    judgement->ratio = record_keep_digits(judgement->ratio);
    judgement->low = record_keep_digits(judgement->low);
    judgement->high = record_keep_digits(judgement->high);
    judgement->p = record_keep_digits(judgement->p);
}

bool record_is_implausible(double time, double best_time)
{
    return time < (1 - IMPLAUSIBLE) * best_time;
}

size_t record_throttled_rounds(const struct record_case *c)
{
    size_t count = 0;

    for (size_t i = 0; i < c->round_count; i++) {
        count += c->rounds[i].conditions.throttle != 0;
    }
    return count;
}

uint64_t record_retaken_samples(const struct record_case *c)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < c->round_count; i++) {
        sum += c->rounds[i].retaken_samples;
    }
    return sum;
}

uint64_t record_disturbed_samples(const struct record_case *c)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < c->round_count; i++) {
        sum += c->rounds[i].disturbed_samples;
    }
    return sum;
}

void record_threads(const struct record_case *c, uint64_t *wanted, uint64_t *obtained)
{
    *wanted = *obtained = 0;
    for (size_t i = 0; i < c->round_count; i++) {
        const struct round *round = &c->rounds[i];

        if (round->threads_wanted > *wanted ||
            (round->threads_wanted == *wanted && round->threads_obtained < *obtained)) {
            *wanted = round->threads_wanted;
            *obtained = round->threads_obtained;
        }
    }
}

/* Whether launches ran on fewer threads than they were to. */
static bool lacks_threads(const struct record_case *c)
{
    uint64_t wanted, obtained;

    record_threads(c, &wanted, &obtained);
    return obtained < wanted;
}

uint64_t record_huge_page_bytes(const struct record_case *c)
{
    uint64_t least = ROUND_UNKNOWN;

    for (size_t i = 0; i < c->round_count; i++) {
        least = c->rounds[i].huge_bytes < least ? c->rounds[i].huge_bytes : least;
    }
    return least;
}

/* Whether an empty launch on the CPU took longer than the start of threads can, and than the copies: the threads waited
 * for CPUs that others used, and no limit can be told. */
static bool floor_is_load(const struct record_case *c)
{
    double fastest = INFINITY;

    for (int kind = 0; kind < CEILING_KINDS; kind++) {
        fastest = c->ceiling_times[kind] > 0 ? fmin(fastest, c->ceiling_times[kind]) : fastest;
    }
    return c->threads > 0 && c->floor_time >= LONG_FLOOR && c->floor_time > fastest;
}

unsigned record_doubts(const struct record_case *c)
{
    unsigned doubts = 0;

    if (c->sample_count == 0) {
        return 0;
    }
    doubts |= c->implausible ? DOUBT_IMPLAUSIBLE : 0;
    doubts |= c->cache_check == CACHE_CHECK_FAILED ? DOUBT_CACHE : 0;
    doubts |= c->cache == CACHE_PARTLY_COLD ? DOUBT_PARTLY_COLD : 0;
    doubts |= c->cache == CACHE_HOT && c->launch != LAUNCH_PROFILE && c->device->cache_size > 0 &&
                      c->rotated_bytes > c->device->cache_size
                  ? DOUBT_NOT_HOT
                  : 0;
    doubts |= c->unconverged ? DOUBT_NOT_CONVERGED : 0;
    doubts |= record_throttled_rounds(c) > 0 ? DOUBT_THROTTLED : 0;
    doubts |= 2 * record_disturbed_samples(c) > c->sample_count ? DOUBT_DISTURBED : 0;
    doubts |= floor_is_load(c) ? DOUBT_FLOOR : 0;
    doubts |= lacks_threads(c) ? DOUBT_THREADS : 0;
    doubts |=
        c->time.basis != STATS_BASIS_NONE && !(stats_precision(&c->time) <= RECORD_IMPRECISE) ? DOUBT_IMPRECISE : 0;
    return doubts;
}

double record_share(const struct record_case *c, uint64_t count)
{
    return c->quality.finite > 0 ? (double)count / (double)c->quality.finite : NAN;
}

bool record_same_data(const struct record *a, const struct record_case *a_case, const struct record *b,
                      const struct record_case *b_case)
{
    if (a->input != NULL || b->input != NULL) {
        return a->input != NULL && b->input != NULL && a->digest[0] != '\0' && strcmp(a->digest, b->digest) == 0;
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
    free(c->first_difference);
    free(c->samples);
    free(c->rounds);
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
    free(record->input);
    free(record->tensor);
    free(record->devices);
    free(record->timers);
    free(record->cases);
    free_comparison(&record->comparison);
    *record = (struct record){.count = 0};
}
