/* SPDX-License-Identifier: Apache-2.0 */
/* merge.c - see merge.h. */
#include <config.h>

#include "base/label.h"
#include "model/merge.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- What records have in common -------------------------------------------------------------------------------- */

/* A text of a run; NULL and "" are the same. */
static bool same_text(const char *a, const char *b)
{
    return strcmp(a != NULL ? a : "", b != NULL ? b : "") == 0;
}

/* What keeps A and B from being in one report; NULL: nothing. */
static const char *find_obstacle(const struct record *a, const struct record *b)
{
    const struct record_comparison *const x = &a->comparison, *const y = &b->comparison;

    return a->rated_only != b->rated_only                     ? "one was rated, and the other timed"
           : (a->input == NULL) != (b->input == NULL)         ? "one has generated data, and the other an input"
           : (a->tensor_count == 0) != (b->tensor_count == 0) ? "one has a single input, and the other several tensors"
           : (a->precision > 0) != (b->precision > 0)         ? "only one was measured to a precision"
           : (a->runs > 0) != (b->runs > 0)                   ? "only one has the medians of several processes"
           : a->regime != b->regime                           ? "they differ in --regime"
           : a->state != b->state                             ? "they differ in --process-state"
           : a->dependent_launch != b->dependent_launch       ? "they differ in --dependent-launch"
           : x->axis != y->axis                               ? "they compare different things"
           : x->axis != COMPARE_NOTHING && x->margin != y->margin ? "their comparisons differ in --margin"
           : x->axis != COMPARE_NOTHING && x->slower_fails != y->slower_fails
               ? "in only one of them a slower case is an error"
           : a->source_count > 0 || b->source_count > 0 ? "one was merged before; give the files that it was made of"
                                                        : NULL;
}

/* Warn that FILE differs from FIRST in WHAT. */
static void warn(const char *first, const char *file, const char *what)
{
    char labels[2][LABEL_TEXT_SIZE];

    message_warning("--report: %s and %s differ in %s; where the report has one for all, it is that of the first",
                    label_text(labels[0], first, strlen(first)), label_text(labels[1], file, strlen(file)), what);
}

/* Name what a report does not show of the differences between A and B. */
static void warn_of_differences(const struct record *a, const char *first, const struct record *b, const char *file)
{
    if (a->seed != b->seed) {
        warn(first, file, "the seed");
    }
    if (!same_text(a->input, b->input) || !same_text(a->tensor, b->tensor) || strcmp(a->digest, b->digest) != 0) {
        warn(first, file, "the input");
    }
    if (a->num_iters != b->num_iters || a->num_warmup_iters != b->num_warmup_iters ||
        a->planned_rounds != b->planned_rounds || a->max_time != b->max_time) {
        warn(first, file, "the number of samples");
    }
    if (!same_text(a->version, b->version) || !same_text(a->library_version, b->library_version)) {
        warn(first, file, "the version");
    }
}

/* Warn that what the list of cases in RECORD takes together is not in the report of several runs. */
static void warn_of_list(const struct record *record, const char *file)
{
    char label[LABEL_TEXT_SIZE];

    for (size_t i = 0; i < record->count; i++) {
        if (record->cases[i].line > 0) {
            message_warning("--report: %s: what its list of cases takes together is left out; report it alone",
                            label_text(label, file, strlen(file)));
            return;
        }
    }
}

static enum exit_code check(const struct record *records, char *const *files, size_t count)
{
    char labels[2][LABEL_TEXT_SIZE];

    for (size_t i = 0; i < count; i++) {
        warn_of_list(&records[i], files[i]);
    }
    for (size_t i = 1; i < count; i++) {
        const char *const why = find_obstacle(&records[0], &records[i]);

        if (why != NULL) {
            message_error("--report: %s and %s cannot be one report: %s",
                          label_text(labels[0], files[0], strlen(files[0])),
                          label_text(labels[1], files[i], strlen(files[i])), why);
            return EXIT_USAGE;
        }
        warn_of_differences(&records[0], files[0], &records[i], files[i]);
    }
    return EXIT_OK;
}

/* ---- Sources ---------------------------------------------------------------------------------------------------- */

/* True if one of COUNT RECORDS is of the same host as number INDEX. */
static bool has_twin(const struct record *records, size_t count, size_t index)
{
    size_t same = 0;

    for (size_t i = 0; i < count; i++) {
        same += strcmp(records[i].host_name, records[index].host_name) == 0;
    }
    return same > 1;
}

/* Set the source of record INDEX: its host, and the file where that tells more. */
static bool set_source(const struct record *records, char *const *files, size_t count, size_t index,
                       struct record_source *source)
{
    const struct record *const record = &records[index];
    const char *const slash = strrchr(files[index], '/'), *const base = slash != NULL ? slash + 1 : files[index];
    char host[LABEL_TEXT_SIZE], file[LABEL_TEXT_SIZE];

    label_text(host, record->host_name, strlen(record->host_name));
    label_text(file, base, strlen(base));
    source->host_name = strdup(record->host_name);
    source->system = strdup(record->system);
    source->date = strdup(record->date);
    source->version = strdup(record->version);
    if (asprintf(&source->label, has_twin(records, count, index) ? "%s (%s)" : "%s", host, file) < 0) {
        source->label = NULL;
    }
    return source->host_name != NULL && source->system != NULL && source->date != NULL && source->version != NULL &&
           source->label != NULL;
}

/* ---- One record ------------------------------------------------------------------------------------------------- */

/* Make room in MERGED for all that RECORDS have. */
static bool make_room(const struct record *records, size_t count, struct record *merged)
{
    size_t cases = 0, devices = 0, tensors = 0, pairs = 0;

    for (size_t i = 0; i < count; i++) {
        cases += records[i].count;
        devices += records[i].device_count;
        tensors += records[i].tensor_count;
        pairs += records[i].comparison.count;
    }
    merged->cases = calloc(cases + 1, sizeof *merged->cases);
    merged->devices = calloc(devices + 1, sizeof *merged->devices);
    merged->timers = calloc(devices + 1, sizeof *merged->timers);
    merged->facts = calloc(devices + 1, sizeof *merged->facts);
    merged->tensors = calloc(tensors + 1, sizeof *merged->tensors);
    merged->sources = calloc(count, sizeof *merged->sources);
    merged->comparison.pairs = calloc(pairs + 1, sizeof *merged->comparison.pairs);
    return merged->cases != NULL && merged->devices != NULL && merged->timers != NULL && merged->facts != NULL &&
           merged->tensors != NULL && merged->sources != NULL && merged->comparison.pairs != NULL;
}

/* Move what RECORD has of devices and tensors to MERGED. */
static void take_devices(struct record *record, struct record *merged)
{
    for (size_t i = 0; i < record->device_count; i++) {
        merged->devices[merged->device_count] = record->devices[i];
        merged->timers[merged->device_count] = record->timers[i];
        if (record->facts != NULL) {
            merged->facts[merged->device_count] = record->facts[i];
            record->facts[i] = (struct record_facts){.count = 0};
        }
        merged->device_count++;
    }
    for (size_t i = 0; i < record->tensor_count; i++) {
        struct record_tensor *const tensor = &merged->tensors[merged->tensor_count + i];

        *tensor = record->tensors[i];
        tensor->same_as += tensor->same_as != RECORD_NONE ? merged->tensor_count : 0;
    }
    merged->tensor_count += record->tensor_count;
    record->tensor_count = 0;
}

/* Move the cases of RECORD, and what compares them, to MERGED, where SOURCE is their run. */
static void take_cases(struct record *record, const struct record_source *source, struct record *merged)
{
    const size_t first_device = merged->device_count, first_tensor = merged->tensor_count, first_case = merged->count;

    for (size_t i = 0; i < record->count; i++) {
        struct record_case *const c = &merged->cases[merged->count++];

        *c = record->cases[i];
        c->device = &merged->devices[first_device + (size_t)(c->device - record->devices)];
        c->tensor = c->tensor != NULL ? &merged->tensors[first_tensor + (size_t)(c->tensor - record->tensors)] : NULL;
        c->source = source;
        /* What a list takes is said of a run. */
        c->line = c->uses = 0;
        record->cases[i] = (struct record_case){.kernel = NULL};
    }
    for (size_t i = 0; i < record->comparison.count; i++) {
        struct record_pair *const pair = &merged->comparison.pairs[merged->comparison.count++];

        *pair = record->comparison.pairs[i];
        pair->result += first_case;
        pair->baseline_result += pair->baseline_result != RECORD_IN_FILE ? first_case : 0;
        record->comparison.pairs[i] = (struct record_pair){.name = NULL};
    }
    take_devices(record, merged);
    merged->described = merged->count;
    merged->planned += record->planned;
    merged->interrupted = merged->interrupted || record->interrupted;
    merged->strict = merged->strict || record->strict;
    merged->forced = merged->forced || record->forced;
    merged->code = message_worse(merged->code, record->code);
}

/* Set what MERGED says of a run, from the FIRST. Its texts are moved. */
static void take_run(struct record *first, struct record *merged)
{
    const struct record kept = *merged;
    const struct record_comparison comparison = merged->comparison;

    *merged = *first;
    merged->cases = kept.cases;
    merged->devices = kept.devices;
    merged->timers = kept.timers;
    merged->facts = kept.facts;
    merged->tensors = kept.tensors;
    merged->sources = kept.sources;
    merged->source_count = kept.source_count;
    merged->comparison = first->comparison;
    merged->comparison.pairs = comparison.pairs;
    merged->comparison.count = 0;
    /* A mean is of one run's pairs. */
    merged->comparison.means = NULL;
    merged->comparison.mean_count = 0;
    merged->count = merged->described = merged->planned = merged->device_count = merged->tensor_count = 0;
    merged->served_tokens = 0;
    first->version = first->library_version = first->date = first->host_name = first->system = first->boot = NULL;
    first->input = first->tensor = NULL;
    first->argv = NULL;
    first->argc = 0;
    first->host_facts = (struct record_facts){.count = 0};
    first->comparison.baseline_file = first->comparison.baseline_date = first->comparison.baseline_version = NULL;
}

/* Let the host and the date of MERGED stand for all: the hosts' names, and the last date. */
static bool set_host(struct record *merged)
{
    const struct record_source *last = &merged->sources[0];
    char *names = strdup(merged->sources[0].label);

    for (size_t i = 1; i < merged->source_count && names != NULL; i++) {
        char *longer;

        if (asprintf(&longer, "%s, %s", names, merged->sources[i].label) < 0) {
            longer = NULL;
        }
        free(names);
        names = longer;
        last = strcmp(merged->sources[i].date, last->date) > 0 ? &merged->sources[i] : last;
    }
    free(merged->host_name);
    free(merged->date);
    merged->host_name = names;
    merged->date = strdup(last->date);
    return merged->host_name != NULL && merged->date != NULL;
}

enum exit_code merge_records(struct record *records, char *const *files, size_t count, struct record *merged)
{
    enum exit_code code = check(records, files, count);
    bool good;

    *merged = (struct record){.count = 0};
    if (code != EXIT_OK) {
        return code;
    }
    good = make_room(records, count, merged);
    while (good && merged->source_count < count) {
        good = set_source(records, files, count, merged->source_count, &merged->sources[merged->source_count]);
        merged->source_count++;
    }
    if (good) {
        take_run(&records[0], merged);
        for (size_t i = 0; i < count; i++) {
            take_cases(&records[i], &merged->sources[i], merged);
        }
        good = set_host(merged);
    }
    return good ? EXIT_OK : message_out_of_memory("the merged record", sizeof *merged);
}
