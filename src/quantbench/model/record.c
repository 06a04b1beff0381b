/* SPDX-License-Identifier: Apache-2.0 */
/* record.c - what a run does and finds, kept for the reports. */
#include <config.h>

#include "model/record.h"
#include "cases/plugins.h"
#include "cases/tensor_file.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* No start of threads on CPUs of their own takes as many nanoseconds. */
#define LONG_FLOOR 100e3

const char *const record_cache_names[] = {
    [CACHE_COLD] = "cold", [CACHE_PARTLY_COLD] = "partly cold", [CACHE_HOT] = "hot", NULL};
const char *const record_verification_names[] = {
    [NOT_VERIFIED] = "not verified", [VERIFIED] = "verified", [WRONG] = "WRONG", NULL};
const char *const record_launch_names[] = {[LAUNCH_GRAPH] = "graph",
                                           [LAUNCH_STREAM] = "stream",
                                           [LAUNCH_ISOLATED] = "isolated",
                                           [LAUNCH_PROFILE] = "profile",
                                           NULL};
const char *const record_cache_check_names[] = {[CACHE_CHECK_NONE] = "none",
                                                [CACHE_CHECK_PASSED] = "passed",
                                                [CACHE_CHECK_UNDECIDED] = "undecided",
                                                [CACHE_CHECK_FAILED] = "failed",
                                                NULL};
const char *const record_basis_names[] = {
    [STATS_BASIS_NONE] = "none", [STATS_BASIS_SAMPLES] = "samples", [STATS_BASIS_ROUNDS] = "rounds", NULL};

const char *const record_doubt_names[] = {"implausible",      "not cold",  "partly cold", "not converged",
                                          "throttled",        "not hot",   "disturbed",   "busy",
                                          "short of threads", "imprecise", NULL};
_Static_assert(sizeof record_doubt_names / sizeof record_doubt_names[0] == DOUBTS + 1, "a name for each doubt");

const char *const record_axis_names[] = {
    [COMPARE_NOTHING] = "",
    [COMPARE_KERNELS] = "kernel",
    [COMPARE_DTYPES] = "dtype",
    [COMPARE_QUANT_DTYPES] = "quant-dtype",
    [COMPARE_GRANULARITIES] = "granularity",
    [COMPARE_SCALES] = "scale",
    [COMPARE_DISTS] = "dist",
    [COMPARE_THREADS] = "threads",
    [COMPARE_BASELINE] = "baseline",
    NULL,
};
const char *const record_verdict_names[] = {[VERDICT_FASTER] = "FASTER",
                                            [VERDICT_SLOWER] = "SLOWER",
                                            [VERDICT_SAME] = "SAME",
                                            [VERDICT_INCONCLUSIVE] = "INCONCLUSIVE",
                                            NULL};

const char *record_real_text(double number, char text[RECORD_REAL_SIZE])
{
    snprintf(text, RECORD_REAL_SIZE, "%.12g", number);
    return text;
}

/* NUMBER with the digits that a record keeps. */
static double keep_digits(double number)
{
    char text[RECORD_REAL_SIZE];

    return strtod(record_real_text(number, text), NULL);
}

/* The same if NUMBER is none or infinite. */
static double keep_finite_digits(double number)
{
    return isfinite(number) ? keep_digits(number) : number;
}

double *record_kept_digits(const double *numbers, size_t count)
{
    double *copy = malloc((count + 1) * sizeof *copy); /* of no number it may be NULL */

    for (size_t i = 0; i < count && copy != NULL; i++) {
        copy[i] = keep_digits(numbers[i]);
    }
    return copy;
}

void record_keep_judgement(struct judgement *judgement)
{
    judgement->ratio = keep_digits(judgement->ratio);
    judgement->low = keep_digits(judgement->low);
    judgement->high = keep_digits(judgement->high);
    judgement->p = keep_digits(judgement->p);
}

/* A copy of TEXT. GOOD becomes false if memory is short. */
static char *copy_text(const char *text, bool *good)
{
    char *copy = text != NULL ? strdup(text) : NULL;

    *good = *good && (copy != NULL || text == NULL);
    return copy;
}

static bool copy_argv(const struct args *args, struct record *record)
{
    bool good = true;

    record->argv = calloc((size_t)args->argc + 1, sizeof *record->argv);
    if (record->argv == NULL) {
        return false;
    }
    for (int i = 0; i < args->argc; i++) {
        record->argv[i] = copy_text(args->argv[i], &good);
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
        record->devices[i].timer_tick = keep_digits(record->devices[i].timer_tick);
        record->devices[i].peak_bandwidth = keep_digits(record->devices[i].peak_bandwidth);
        record->timers[i].tick = keep_digits(machine->devices[i].timer.tick);
        record->timers[i].empty = keep_digits(machine->devices[i].timer.empty);
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

enum exit_code record_begin(const struct args *args, const struct machine *machine, const struct tensor_file *tensor,
                            const struct plan *plan, struct record *record)
{
    bool good = true;

    *record = (struct record){
        .version = copy_text(PACKAGE_VERSION, &good),
        .library_version = copy_text(qb_version(), &good),
        .host_name = copy_text(machine->host_name, &good),
        .system = copy_text(machine->system, &good),
        .cpus = machine->host.info.units,
        .seed = args->seed,
        .input = tensor != NULL ? copy_text(args->input_file, &good) : NULL,
        .tensor = tensor != NULL && tensor->name != NULL ? copy_text(tensor->name, &good) : NULL,
        .num_warmup_iters = args->num_warmup_iters,
        .num_iters = args->num_iters,
        .planned_rounds = args->rounds,
        .precision = keep_digits(args->precision),
        .timeout = keep_digits(args->precision > 0 ? args->timeout : 0),
        .regime = args->regime,
        .dependent_launch = args->dependent_launch,
        .strict = args->strict,
    };
    if (tensor != NULL) {
        snprintf(record->digest, sizeof record->digest, "%016" PRIx64, tensor->digest);
    }
    good = good && copy_argv(args, record) && copy_devices(machine, record) && copy_plan(plan, machine, record);
    return good ? EXIT_OK : no_memory();
}

static void keep_conditions(struct qb_device_conditions *conditions)
{
    conditions->clock = keep_finite_digits(conditions->clock);
    conditions->memory_clock = keep_finite_digits(conditions->memory_clock);
    conditions->power = keep_finite_digits(conditions->power);
    conditions->temperature = keep_finite_digits(conditions->temperature);
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
        to->samples[i] = keep_digits(from->samples[i]);
    }
    for (size_t i = 0; i < from->round_count; i++) {
        to->rounds[i] = from->rounds[i];
        to->rounds[i].median = keep_digits(from->rounds[i].median);
        to->rounds[i].host_time = keep_digits(from->rounds[i].host_time);
        to->rounds[i].start = keep_digits(from->rounds[i].start);
        keep_conditions(&to->rounds[i].conditions);
        to->rounds[i].disturbance.stolen = keep_finite_digits(to->rounds[i].disturbance.stolen);
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
        .min = keep_digits(time->min),
        .median = keep_digits(time->median),
        .mean = keep_digits(time->mean),
        .p99 = keep_digits(time->p99),
        .max = keep_digits(time->max),
        .ci_low = keep_finite_digits(time->ci_low),
        .ci_high = keep_finite_digits(time->ci_high),
        .basis = time->basis,
        .mild_outliers = time->mild_outliers,
        .severe_outliers = time->severe_outliers,
        .autocorrelation = keep_finite_digits(time->autocorrelation),
    };
    /* Bytes per nanosecond are GB/s. */
    to->bytes_per_second =
        time->median > 0 ? keep_digits((double)(to->bytes.read + to->bytes.written) / time->median * 1e9) : 0;
    to->of_peak = peak > 0 ? keep_digits(to->bytes_per_second / peak) : 0;
    to->implausible = ceiling_is_beaten(to->time.median, to->best_time);
}

/* The estimates of a case that has samples. */
static void copy_estimates(const struct result *from, double precision, struct record_case *to)
{
    to->host_time = keep_digits(from->host_time);
    for (int kind = 0; kind < CEILING_KINDS; kind++) {
        to->ceiling_times[kind] = keep_digits(from->ceiling_times[kind]);
    }
    to->floor_time = keep_digits(from->floor_time);
    to->best_time = keep_digits(from->best_time);
    to->cache_check = from->cache_check;
    to->hot_time = keep_digits(from->hot_time);
    to->unconverged = precision > 0 && !from->converged;
    set_time(to, &from->time);
}

enum exit_code record_replace_rounds(struct record_case *c, struct round *rounds, size_t count, double best_time)
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
    c->best_time = keep_digits(best_time);
    set_time(c, &time);
    return EXIT_OK;
}

static void free_argv(struct record *record)
{
    for (size_t i = 0; i < record->argc; i++) {
        free(record->argv[i]);
    }
    free(record->argv);
    record->argv = NULL;
    record->argc = 0;
}

enum exit_code record_of_runs(struct record *record, const struct args *args, uint64_t runs)
{
    free_argv(record);
    free(record->date);
    record->runs = runs;
    record->strict = args->strict;
    record->date = NULL;
    return copy_argv(args, record) ? EXIT_OK : no_memory();
}

enum exit_code record_add(struct record *record, const struct result *result)
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
        to->quality.snr = keep_finite_digits(to->quality.snr);
        to->quality.largest_error = keep_finite_digits(to->quality.largest_error);
        to->quality.largest_relative_error = keep_finite_digits(to->quality.largest_relative_error);
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

enum exit_code record_end(struct record *record, bool interrupted)
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
    free_argv(record);
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
