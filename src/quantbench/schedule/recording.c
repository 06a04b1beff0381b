/* SPDX-License-Identifier: Apache-2.0 */
/* recording.c - the record of a run, from what it found. */
#include <config.h>

#include "schedule/recording.h"
#include "base/clock.h"
#include "base/inject.h"
#include "cases/plugins.h"
#include "cases/tensors.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

/* True if a fact of this NAME is of the moment: the same command twice gives the same record but for its times. */
static bool is_momentary(const char *name)
{
    static const char *const momentary[] = {"load_1min",       "other_tasks_running", "memory_available_bytes",
                                            "huge_pages_free", "utilization_percent", "other_processes"};

    for (size_t i = 0; i < sizeof momentary / sizeof momentary[0]; i++) {
        if (strcmp(name, momentary[i]) == 0) {
            return true;
        }
    }
    return false;
}

/* The facts about DEVICE that stay. */
static bool copy_facts(const struct device *device, struct record_facts *facts)
{
    struct qb_device_fact all[QB_DEVICE_FACTS];
    size_t count;

    facts->list = calloc(QB_DEVICE_FACTS, sizeof *facts->list);
    if (facts->list == NULL) {
        return false;
    }
    if (qb_device_facts(device->handle, all, QB_DEVICE_FACTS, &count) != QB_OK) {
        count = 0;
    }
    for (size_t i = 0; i < count; i++) {
        if (!is_momentary(all[i].name)) {
            facts->list[facts->count++] = all[i];
        }
    }
    return true;
}

/* The id of this boot, such as "8c6b1e9f-...". */
static char *read_boot(bool *good)
{
    char boot[64] = "";
    FILE *file = fopen("/proc/sys/kernel/random/boot_id", "re");

    if (file != NULL) {
        if (fscanf(file, "%63[0-9a-f-]", boot) != 1) {
            boot[0] = '\0';
        }
        fclose(file);
    }
    return boot[0] != '\0' ? copy_text(boot, good) : NULL;
}

/* How the launcher lets the devices of a node work; NULL if it does not say. */
static const char *together(void)
{
    const char *text = getenv("QUANTBENCH_TOGETHER");

    return text != NULL && (strcmp(text, "all") == 0 || strcmp(text, "node-turns") == 0) ? text : NULL;
}

static bool copy_devices(const struct machine *machine, struct record *record)
{
    record->devices = calloc(machine->device_count, sizeof *record->devices);
    record->timers = calloc(machine->device_count, sizeof *record->timers);
    record->facts = calloc(machine->device_count, sizeof *record->facts);
    if (record->devices == NULL || record->timers == NULL || record->facts == NULL ||
        !copy_facts(&machine->host, &record->host_facts)) {
        return false;
    }
    for (size_t i = 0; i < machine->device_count; i++) {
        record->devices[i] = machine->devices[i].info;
        record->devices[i].timer_tick = figure_digits(record->devices[i].timer_tick);
        record->devices[i].peak_bandwidth = figure_digits(record->devices[i].peak_bandwidth);
        record->timers[i].tick = figure_digits(machine->devices[i].timer.tick);
        record->timers[i].empty = figure_digits(machine->devices[i].timer.empty);
        record->device_count++;
        /* Those of the CPU are the host's. */
        if (!device_is_cpu(&machine->devices[i]) && !copy_facts(&machine->devices[i], &record->facts[i])) {
            return false;
        }
    }
    return true;
}

/* Add COUNT tensors of LIST, which are items of TENSORS or kept. */
static bool copy_list(const struct tensors *tensors, const struct tensor *list, size_t count, struct record *record)
{
    bool good = true;

    for (size_t i = 0; i < count; i++) {
        const struct tensor *from = &list[i];
        struct record_tensor *to = &record->tensors[record->tensor_count++];

        *to = (struct record_tensor){
            .file = copy_text(from->file, &good),
            .name = copy_text(from->name, &good),
            .title = copy_text(from->title, &good),
            .type = copy_text(from->type, &good),
            .shape = copy_text(from->shape, &good),
            .kept = copy_text(from->reason, &good),
            .bytes = from->bytes,
            .same_as = from->same_as != NULL ? (size_t)(from->same_as - tensors->items) : RECORD_NONE,
        };
        if (from->digest != 0) {
            snprintf(to->digest, sizeof to->digest, "%016" PRIx64, from->digest);
        }
    }
    return good;
}

static bool copy_tensors(const struct tensors *tensors, struct record *record)
{
    if (tensors == NULL || !tensors->is_list) {
        return true;
    }
    record->tensors = calloc(tensors->count + tensors->kept_count + 1, sizeof *record->tensors);
    return record->tensors != NULL && copy_list(tensors, tensors->items, tensors->count, record) &&
           copy_list(tensors, tensors->kept, tensors->kept_count, record);
}

/* What each case is. Devices follow in the machine's order. */
static bool copy_plan(const struct plan *plan, const struct machine *machine, const struct tensors *tensors,
                      struct record *record)
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
            .tensor = record->tensor_count > 0 ? &record->tensors[from->tensor - tensors->items] : NULL,
            .name = from->listed != NULL ? copy_text(from->listed->name, &good) : NULL,
            .uses = from->listed != NULL ? from->listed->count : 0,
            .line = from->listed != NULL ? from->listed->line : 0,
            .dist = from->dist,
            .device = &record->devices[from->device - machine->devices],
            .kernel = copy_text(from->about->name, &good),
            .plugin = copy_text(from->about->plugin, &good),
            .arithmetic = copy_text(plugins_describe(&from->about->arithmetic, arithmetic), &good),
            .threads = from->threads,
            .launch = from->launch,
            .streams = from->streams,
            .found.cache = from->cache,
        };
        record->described++;
    }
    record->planned = plan->count;
    record->served_tokens = plan->served_tokens < INT64_MAX ? plan->served_tokens : INT64_MAX;
    return good;
}

static enum exit_code no_memory(void)
{
    message_error("out of memory: the record of the run");
    return EXIT_CANNOT_RUN;
}

enum exit_code recording_begin(const struct settings *settings, const struct machine *machine,
                               const struct tensors *tensors, const struct plan *plan, struct record *record)
{
    bool good = true;

    *record = (struct record){
        .version = copy_text(PACKAGE_VERSION, &good),
        .library_version = copy_text(qb_version(), &good),
        .host_name = copy_text(machine->host_name, &good),
        .system = copy_text(machine->system, &good),
        .cpus = machine->host.info.units,
        .boot = read_boot(&good),
        .rank = inject_rank(),
        .together = copy_text(together(), &good),
        .seed = settings->sweep.seed,
        .expert_load = (enum expert_load)settings->sweep.expert_load,
        .input = tensors != NULL ? copy_text(settings->sweep.input_files.values[0], &good) : NULL,
        .tensor = tensors != NULL && tensors->count == 1 ? copy_text(tensors->items[0].name, &good) : NULL,
        .num_warmup_iters = settings->method.num_warmup_iters,
        .num_iters = settings->method.num_iters,
        .planned_rounds = settings->method.rounds,
        .precision = figure_digits(settings->method.precision),
        .timeout = figure_digits(settings->method.precision > 0 ? settings->method.timeout : 0),
        .max_time = figure_digits(settings->method.precision > 0 ? 0 : settings->method.max_time),
        .regime = settings->method.regime,
        .state = settings->method.state,
        .dependent_launch = settings->method.dependent_launch,
        .strict = settings->comparing.strict,
        .rated_only = settings->action == ACTION_QUALITY,
        .best = settings->reporting.best,
        .best_snr = figure_digits(settings->reporting.best_snr),
    };
    if (tensors != NULL && tensors->count == 1 && tensors->items[0].digest != 0) {
        snprintf(record->digest, sizeof record->digest, "%016" PRIx64, tensors->items[0].digest);
    }
    good = good && copy_argv(settings, record) && copy_devices(machine, record) && copy_tensors(tensors, record) &&
           copy_plan(plan, machine, tensors, record);
    return good ? EXIT_OK : no_memory();
}

/* Copies of the samples and the rounds of FROM. */
static bool copy_samples(const struct finding *from, struct finding *to)
{
    to->samples = record_kept_digits(from->samples, from->sample_count);
    to->rounds = malloc(from->round_count * sizeof *to->rounds);
    if (to->samples == NULL || to->rounds == NULL) {
        return false;
    }
    for (size_t i = 0; i < from->round_count; i++) {
        to->rounds[i] = from->rounds[i];
        figures_keep_digits(figures_of_round, figures_of_round_count, &to->rounds[i]);
    }
    to->sample_count = from->sample_count;
    to->round_count = from->round_count;
    return true;
}

/* The rates of a case that has a time, and what follows from all of its figures. */
static void set_rates(struct record_case *c)
{
    struct finding *found = &c->found;
    const double peak = c->device->peak_bandwidth, bytes = (double)(found->bytes.read + found->bytes.written);

    /* Bytes per nanosecond are GB/s. */
    found->bytes_per_second = found->time.median > 0 ? bytes / found->time.median * 1e9 : 0;
    found->of_peak = peak > 0 ? figure_digits(found->bytes_per_second) / peak : 0;
    figures_keep_digits(figures_of_case, figures_of_case_count, found);
    found->implausible = false;
    record_derive(c);
}

enum exit_code recording_replace_rounds(struct record_case *c, struct round *rounds, size_t count, double best_time)
{
    size_t *sizes = calloc(count, sizeof *sizes);
    double *samples = calloc(count, sizeof *samples);
    struct stats time;
    bool good = sizes != NULL && samples != NULL;

    free(c->found.samples);
    free(c->found.rounds);
    c->found.samples = samples;
    c->found.rounds = rounds;
    c->found.sample_count = c->found.round_count = good ? count : 0;
    for (size_t i = 0; i < count && good; i++) {
        sizes[i] = rounds[i].samples = 1;
        samples[i] = rounds[i].median;
    }
    good = good && stats_compute(samples, sizes, count, 0, &time);
    free(sizes);
    if (!good) {
        return no_memory();
    }
    c->found.best_time = best_time;
    c->found.time = time;
    set_rates(c);
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

/* Forget the times of FOUND. */
static void drop_times(struct finding *found)
{
    found->time = (struct stats){.count = 0};
    found->hot_time = found->host_time = found->best_time = 0;
    found->floor_time = found->first_floor = found->last_floor = 0;
    for (int kind = 0; kind < CEILING_KINDS; kind++) {
        found->ceiling_times[kind] = 0;
    }
    found->cache_check = CACHE_CHECK_NONE;
    found->converged = found->out_of_time = TRUTH_UNKNOWN;
    found->bytes_per_second = found->of_peak = 0;
}

enum exit_code recording_add(struct record *record, const struct result *result)
{
    const struct finding *from = &result->found;
    const struct quality *quality = &from->checked.quality;
    struct record_case *c = &record->cases[record->count];
    bool good = true;

    c->found = *from;
    snprintf(c->found.injected, sizeof c->found.injected, "%s", inject_text());
    c->found.samples = NULL;
    c->found.rounds = NULL;
    c->found.sample_count = c->found.round_count = 0;
    c->found.rotated_bytes = from->rotated_bytes < INT64_MAX ? from->rotated_bytes : INT64_MAX;
    /* Codes that were verified are not rated if memory was short, or if a worker says so. */
    c->found.has_quality = (from->checked.verification == VERIFIED || record->rated_only) &&
                           (quality->finite > 0 || quality->nan > 0 || quality->infinite > 0);
    if (!c->found.has_quality) {
        c->found.checked.quality = (struct quality){.finite = 0};
    }
    if (from->code == EXIT_OK && from->sample_count > 0) {
        good = copy_samples(from, &c->found);
        if (record->precision > 0 && from->converged == TRUTH_UNKNOWN) {
            c->found.converged = TRUTH_NO; /* an interrupt came first */
        }
        set_rates(c);
    }
    if (c->found.sample_count == 0) {
        drop_times(&c->found);
        figures_keep_digits(figures_of_case, figures_of_case_count, &c->found);
        record_derive(c);
    }
    record->count++;
    return good ? EXIT_OK : no_memory();
}

enum exit_code recording_end(struct record *record, bool interrupted)
{
    char date[CLOCK_DATE_SIZE];
    bool good = true;

    clock_date(date);
    free(record->date);
    record->date = copy_text(date, &good);
    record->interrupted = interrupted;
    return good ? EXIT_OK : no_memory();
}
