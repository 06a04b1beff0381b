/* SPDX-License-Identifier: Apache-2.0 */
/* recording.c - the record of a run, from what it found. */
#include <config.h>

#include "schedule/recording.h"
#include "cases/plugins.h"
#include "cases/tensor_file.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* A copy of TEXT. GOOD becomes false if memory is short. */
static char *copy_text(const char *text, bool *good)
{
    char *copy = text != NULL ? strdup(text) : NULL;

    *good = *good && (copy != NULL || text == NULL);
    return copy;
}

static bool copy_argv(const struct settings *settings, struct record *record)
{
    bool good = true;

    record->argv = calloc((size_t)settings->command.argc + 1, sizeof *record->argv);
    if (record->argv == NULL) {
        return false;
    }
    for (int i = 0; i < settings->command.argc; i++) {
        record->argv[i] = copy_text(settings->command.argv[i], &good);
        record->argc++;
    }
    return good;
}

static bool copy_devices(const struct machine *machine, struct record *record)
{
    record->devices = calloc(machine->device_count, sizeof *record->devices);
    record->timers = calloc(machine->device_count, sizeof *record->timers);
    if (record->devices == NULL || record->timers == NULL) {
        return false;
    }
    for (size_t i = 0; i < machine->device_count; i++) {
        record->devices[i] = machine->devices[i].info;
        record->devices[i].timer_tick = record_keep_digits(record->devices[i].timer_tick);
        record->devices[i].peak_bandwidth = record_keep_digits(record->devices[i].peak_bandwidth);
        record->timers[i].tick = record_keep_digits(machine->devices[i].timer.tick);
        record->timers[i].empty = record_keep_digits(machine->devices[i].timer.empty);
    }
    record->device_count = machine->device_count;
    return true;
}

/* What each case is. Devices follow in the machine's order. */
static bool copy_plan(const struct plan *plan, const struct machine *machine, struct record *record)
{
    bool good = true;

    record->cases = calloc(plan->count, sizeof *record->cases);
    if (record->cases == NULL) {
        return false;
    }
    for (size_t i = 0; i < plan->count; i++) {
        const struct plan_case *from = &plan->cases[i];
        char arithmetic[PLUGINS_TEXT_SIZE];

        record->cases[i] = (struct record_case){
            .problem = from->problem,
            .dist = from->dist,
            .device = &record->devices[from->device - machine->devices],
            .kernel = copy_text(from->about->name, &good),
            .plugin = copy_text(from->about->plugin, &good),
            .arithmetic = copy_text(plugins_describe(&from->about->arithmetic, arithmetic), &good),
            .threads = from->threads,
            .launch = from->launch,
            .streams = from->streams,
            .cache = from->cache,
        };
        record->described++;
    }
    record->planned = plan->count;
    return good;
}

static enum exit_code no_memory(void)
{
    message_error("out of memory: the record of the run");
    return EXIT_CANNOT_RUN;
}

enum exit_code recording_begin(const struct settings *settings, const struct machine *machine,
                               const struct tensor_file *tensor, const struct plan *plan, struct record *record)
{
    bool good = true;

    *record = (struct record){
        .version = copy_text(PACKAGE_VERSION, &good),
        .library_version = copy_text(qb_version(), &good),
        .host_name = copy_text(machine->host_name, &good),
        .system = copy_text(machine->system, &good),
        .cpus = machine->host.info.units,
        .seed = settings->sweep.seed,
        .input = tensor != NULL ? copy_text(settings->sweep.input_file, &good) : NULL,
        .tensor = tensor != NULL && tensor->name != NULL ? copy_text(tensor->name, &good) : NULL,
        .num_warmup_iters = settings->method.num_warmup_iters,
        .num_iters = settings->method.num_iters,
        .planned_rounds = settings->method.rounds,
        .precision = record_keep_digits(settings->method.precision),
        .timeout = record_keep_digits(settings->method.precision > 0 ? settings->method.timeout : 0),
        .regime = settings->method.regime,
        .dependent_launch = settings->method.dependent_launch,
        .strict = settings->comparing.strict,
    };
    if (tensor != NULL) {
        snprintf(record->digest, sizeof record->digest, "%016" PRIx64, tensor->digest);
    }
    good = good && copy_argv(settings, record) && copy_devices(machine, record) && copy_plan(plan, machine, record);
    return good ? EXIT_OK : no_memory();
}

static void keep_conditions(struct qb_device_conditions *conditions)
{
    conditions->clock = record_keep_digits(conditions->clock);
    conditions->memory_clock = record_keep_digits(conditions->memory_clock);
    conditions->power = record_keep_digits(conditions->power);
    conditions->temperature = record_keep_digits(conditions->temperature);
}

/* The samples and the rounds that they are of. */
static bool copy_samples(const struct result *from, struct record_case *to)
{
    to->samples = malloc(from->sample_count * sizeof *to->samples);
    to->rounds = malloc(from->round_count * sizeof *to->rounds);
    if (to->samples == NULL || to->rounds == NULL) {
        return false;
    }
    for (size_t i = 0; i < from->sample_count; i++) {
        to->samples[i] = record_keep_digits(from->samples[i]);
    }
    for (size_t i = 0; i < from->round_count; i++) {
        to->rounds[i] = from->rounds[i];
        to->rounds[i].median = record_keep_digits(from->rounds[i].median);
        to->rounds[i].host_time = record_keep_digits(from->rounds[i].host_time);
        to->rounds[i].start = record_keep_digits(from->rounds[i].start);
        keep_conditions(&to->rounds[i].conditions);
        to->rounds[i].disturbance.stolen = record_keep_digits(to->rounds[i].disturbance.stolen);
    }
    to->sample_count = from->sample_count;
    to->round_count = from->round_count;
    return true;
}

/* The time of a case whose bytes and limits are known. */
static void set_time(struct record_case *to, const struct stats *time)
{
    double peak = to->device->peak_bandwidth;
    to->time = (struct stats){
        .count = time->count,
        .min = record_keep_digits(time->min),
        .median = record_keep_digits(time->median),
        .mean = record_keep_digits(time->mean),
        .p99 = record_keep_digits(time->p99),
        .max = record_keep_digits(time->max),
        .ci_low = record_keep_digits(time->ci_low),
        .ci_high = record_keep_digits(time->ci_high),
        .basis = time->basis,
        .mild_outliers = time->mild_outliers,
        .severe_outliers = time->severe_outliers,
        .autocorrelation = record_keep_digits(time->autocorrelation),
    };
    /* Bytes per nanosecond are GB/s. */
    to->bytes_per_second =
        time->median > 0 ? record_keep_digits((double)(to->bytes.read + to->bytes.written) / time->median * 1e9) : 0;
    to->of_peak = peak > 0 ? record_keep_digits(to->bytes_per_second / peak) : 0;
    to->implausible = record_is_implausible(to->time.median, to->best_time);
}

/* The estimates of a case that has samples. */
static void copy_estimates(const struct result *from, double precision, struct record_case *to)
{
    to->host_time = record_keep_digits(from->host_time);
    for (int kind = 0; kind < CEILING_KINDS; kind++) {
        to->ceiling_times[kind] = record_keep_digits(from->ceiling_times[kind]);
    }
    to->floor_time = record_keep_digits(from->floor_time);
    to->best_time = record_keep_digits(from->best_time);
    to->cache_check = from->cache_check;
    to->hot_time = record_keep_digits(from->hot_time);
    to->unconverged = precision > 0 && !from->converged;
    set_time(to, &from->time);
}

enum exit_code recording_replace_rounds(struct record_case *c, struct round *rounds, size_t count, double best_time)
{
    size_t *sizes = calloc(count, sizeof *sizes);
    double *samples = calloc(count, sizeof *samples);
    struct stats time;
    bool good = sizes != NULL && samples != NULL;

    free(c->samples);
    free(c->rounds);
    c->samples = samples;
    c->rounds = rounds;
    c->sample_count = c->round_count = good ? count : 0;
    for (size_t i = 0; i < count && good; i++) {
        sizes[i] = rounds[i].samples = 1;
        samples[i] = rounds[i].median;
    }
    good = good && stats_compute(samples, sizes, count, 0, &time);
    free(sizes);
    if (!good) {
        return no_memory();
    }
    c->best_time = record_keep_digits(best_time);
    set_time(c, &time);
    return EXIT_OK;
}

enum exit_code recording_of_runs(struct record *record, const struct settings *settings, uint64_t runs)
{
    record_free_argv(record);
    free(record->date);
    record->runs = runs;
    record->strict = settings->comparing.strict;
    record->date = NULL;
    return copy_argv(settings, record) ? EXIT_OK : no_memory();
}

enum exit_code recording_add(struct record *record, const struct result *result)
{
    struct record_case *to = &record->cases[record->count];
    bool good = true;

    to->code = result->code;
    to->bytes = result->bytes;
    to->sets = result->sets;
    to->rotated_bytes = result->rotated_bytes < INT64_MAX ? result->rotated_bytes : INT64_MAX;
    to->cache = result->cache;
    to->verification = result->verification;
    to->wrong_codes = result->mismatch.wrong_codes;
    to->wrong_scales = result->mismatch.wrong_scales;
    to->near_codes = result->mismatch.near_codes;
    to->near_scales = result->mismatch.near_scales;
    to->hard_cases = result->hard_cases;
    to->first_difference = copy_text(result->mismatch.first[0] != '\0' ? result->mismatch.first : NULL, &good);
    /* Codes that were verified are not rated if memory was short, or if a worker says so. */
    to->has_quality = result->verification == VERIFIED &&
                      (result->quality.finite > 0 || result->quality.nan > 0 || result->quality.infinite > 0);
    if (to->has_quality) {
        to->quality = result->quality;
        to->quality.snr = record_keep_digits(to->quality.snr);
        to->quality.largest_error = record_keep_digits(to->quality.largest_error);
        to->quality.largest_relative_error = record_keep_digits(to->quality.largest_relative_error);
    }
    to->profiled = result->profiled;
    to->launches_per_sample = result->launches_per_sample;
    if (result->code == EXIT_OK && result->sample_count > 0) {
        good = good && copy_samples(result, to);
        copy_estimates(result, record->precision, to);
    }
    record->count++;
    return good ? EXIT_OK : no_memory();
}

enum exit_code recording_end(struct record *record, bool interrupted)
{
    char date[32] = "";
    time_t now = time(NULL);
    struct tm utc;
    bool good = true;

    if (gmtime_r(&now, &utc) != NULL) {
        strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%SZ", &utc);
    }
    record->date = copy_text(date, &good);
    record->interrupted = interrupted;
    return good ? EXIT_OK : no_memory();
}
