/* SPDX-License-Identifier: Apache-2.0 */
/* fleet_take.c - from the text of a record to lines of a fleet. Only what the report needs is read, and only that is
 * checked: ten thousand records take a second. */
#include <config.h>

#include "base/digest.h"
#include "base/scan.h"
#include "base/stats.h"
#include "fleet/fleet.h"
#include "model/record.h"
#include "model/soak.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Room for a text of a record that is kept. */
#define TEXT_SIZE 512

/* Devices whose memory differs by more than this share are of different kinds. */
#define SAME_MEMORY 0.05

/* Times, in nanoseconds, that can be true. */
#define LEAST_TIME   1e-6
#define LONGEST_TIME 1e18

/* Rounds of a result that are read. */
#define ROUNDS_MAX 10000

/* The logarithms, clocks and so on of the rounds of one result. */
enum column { LOGS, CLOCKS, MEMORY_CLOCKS, COLUMNS };
struct rounds {
    double *columns[COLUMNS];
    size_t counts[COLUMNS];
    bool throttled;
};

/* What one record says besides its results. */
struct context {
    struct fleet *fleet;
    const char *label, *date;
    int64_t rank;
    bool in_turns;
    size_t node;
    struct span devices;
    uint64_t data; /* a digest of what all its cases share */
};

static const char not_whole[] = "is not a whole record, as quantbench --format=json writes it";

/* ---- Kept things ------------------------------------------------------------------------------------------------- */

void *fleet_add(struct fleet *fleet, void *array, size_t *count, size_t *room, size_t size)
{
    void **const elements = array;
    char *added;

    if (*count == *room) {
        const size_t larger = *room > 0 ? 2 * *room : 16;
        void *grown = reallocarray(*elements, larger, size);

        if (grown == NULL) {
            fleet->short_of_memory = true;
            return NULL;
        }
        *elements = grown;
        *room = larger;
    }
    added = (char *)*elements + *count * size;
    memset(added, 0, size);
    ++*count;
    return added;
}

const char *fleet_text(struct fleet *fleet, const char *text)
{
    const char *kept = pool_text(&fleet->pool, text);

    fleet->short_of_memory = fleet->short_of_memory || kept == NULL;
    return kept != NULL ? kept : "";
}

const char *fleet_keep(struct fleet *fleet, struct span value)
{
    char text[TEXT_SIZE] = "";

    scan_string(value, text, sizeof text);
    return fleet_text(fleet, text);
}

/* The number that VALUE is; 0 if it is none. */
static double number_of(struct span value)
{
    double number = 0;

    scan_number(value, &number);
    return number;
}

static uint64_t key_of(const char *text, uint64_t seed)
{
    return digest_of(text, strlen(text)) ^ seed * 0x9E3779B97F4A7C15u;
}

/* The members of OBJECT, texts or numbers, as *COUNT facts. */
static struct fleet_fact *take_facts(struct fleet *fleet, struct span object, size_t *count)
{
    struct span rest = object, name, value;
    struct fleet_fact *facts = NULL;
    size_t room = 0;

    while (object.at != NULL && *object.at == '{' && scan_member(&rest, &name, &value)) {
        struct fleet_fact *fact = fleet_add(fleet, &facts, count, &room, sizeof *fact);

        if (fact == NULL) {
            break;
        }
        fact->name = fleet_keep(fleet, name);
        fact->value = fleet_keep(fleet, value);
    }
    return facts;
}

/* ---- Nodes and devices ------------------------------------------------------------------------------------------- */

enum { HOST_NAME, HOST_SYSTEM, HOST_CPUS, HOST_BOOT, HOST_FACTS, HOST_MEMBERS };
static const char *const host_names[] = {"name", "system", "cpus", "boot_id", "facts"};

/* The node that HOST describes. Returns false if memory is short, or it describes none. */
static bool take_node(struct context *context, struct span host, const char *version)
{
    struct fleet *fleet = context->fleet;
    struct span values[HOST_MEMBERS];
    struct fleet_node *node;
    size_t *slot;
    const char *name, *boot;

    if (!scan_object(host, host_names, HOST_MEMBERS, values)) {
        return false;
    }
    name = fleet_keep(fleet, values[HOST_NAME]);
    boot = fleet_keep(fleet, values[HOST_BOOT]);
    slot = table_find(&fleet->node_table, key_of(name, key_of(boot, 1)));
    if (slot == NULL) {
        fleet->short_of_memory = true;
        return false;
    }
    if (*slot == 0) {
        size_t room;

        node = fleet_add(fleet, &fleet->nodes, &fleet->node_count, &fleet->node_room, sizeof *node);
        if (node == NULL) {
            return false;
        }
        *node = (struct fleet_node){.name = name, .boot = boot, .label = name};
        node->facts = take_facts(fleet, values[HOST_FACTS], &node->fact_count);
        /* The two that every record has. */
        room = node->fact_count;
        for (int i = 0; i < 2; i++) {
            struct fleet_fact *fact = fleet_add(fleet, &node->facts, &node->fact_count, &room, sizeof *fact);

            if (fact != NULL) {
                fact->name = fleet_text(fleet, i == 0 ? "system" : "quantbench");
                fact->value = i == 0 ? fleet_keep(fleet, values[HOST_SYSTEM]) : version;
            }
        }
        *slot = fleet->node_count;
    }
    context->node = *slot - 1;
    return true;
}

enum {
    DEVICE_ID,
    DEVICE_NAME,
    DEVICE_ISA,
    DEVICE_DRIVER,
    DEVICE_RUNTIME,
    DEVICE_UUID,
    DEVICE_PCI,
    DEVICE_MEMORY,
    DEVICE_FACTS,
    DEVICE_MEMBERS
};
static const char *const device_names[] = {"id",   "name", "isa",          "driver", "runtime",
                                           "uuid", "pci",  "memory_bytes", "facts"};

static void set_device(const struct context *context, const struct span values[DEVICE_MEMBERS],
                       struct fleet_device *device)
{
    struct fleet *fleet = context->fleet;
    size_t room;

    *device = (struct fleet_device){
        .node = context->node,
        .id = fleet_keep(fleet, values[DEVICE_ID]),
        .uuid = fleet_keep(fleet, values[DEVICE_UUID]),
        .pci = fleet_keep(fleet, values[DEVICE_PCI]),
        .name = fleet_keep(fleet, values[DEVICE_NAME]),
        .isa = fleet_keep(fleet, values[DEVICE_ISA]),
        .memory = number_of(values[DEVICE_MEMORY]),
        .rank = context->rank,
        .other_rank = -1,
        .file = fleet_text(fleet, context->label),
        .wrong = "",
        .injected = "",
        .entry = SIZE_MAX,
    };
    device->facts = take_facts(fleet, values[DEVICE_FACTS], &device->fact_count);
    room = device->fact_count;
    for (int i = 0; i < 2; i++) {
        struct fleet_fact *fact = fleet_add(fleet, &device->facts, &device->fact_count, &room, sizeof *fact);

        if (fact != NULL) {
            fact->name = fleet_text(fleet, i == 0 ? "driver" : "runtime");
            fact->value = fleet_keep(fleet, values[i == 0 ? DEVICE_DRIVER : DEVICE_RUNTIME]);
        }
    }
    fleet->nodes[context->node].devices++;
}

/* The device that OBJECT describes, as its index; SIZE_MAX if it is none, or memory is short. One without an identity
 * of its own, as the CPU, is of its node and of the rank that measured it. */
static size_t take_device(struct context *context, struct span object)
{
    struct fleet *fleet = context->fleet;
    struct span values[DEVICE_MEMBERS];
    char uuid[TEXT_SIZE] = "", id[TEXT_SIZE] = "";
    size_t *slot;

    if (!scan_object(object, device_names, DEVICE_MEMBERS, values) || !scan_string(values[DEVICE_ID], id, sizeof id)) {
        return SIZE_MAX;
    }
    scan_string(values[DEVICE_UUID], uuid, sizeof uuid);
    slot = table_find(&fleet->device_table,
                      uuid[0] != '\0' ? key_of(uuid, 2)
                                      : key_of(id, 3 + 2 * context->node + ((uint64_t)(context->rank + 1) << 32)));
    if (slot == NULL) {
        fleet->short_of_memory = true;
        return SIZE_MAX;
    }
    if (*slot == 0) {
        struct fleet_device *device =
            fleet_add(fleet, &fleet->devices, &fleet->device_count, &fleet->device_room, sizeof *device);

        if (device == NULL) {
            return SIZE_MAX;
        }
        *slot = fleet->device_count;
        set_device(context, values, device);
    } else if (fleet->devices[*slot - 1].rank != context->rank) {
        fleet->devices[*slot - 1].other_rank = context->rank;
    }
    return *slot - 1;
}

/* The device with the id that VALUE is, of those of the record. */
static size_t find_device(struct context *context, struct span value)
{
    struct span rest = context->devices, element, id;
    static const char *const names[] = {"id"};

    while (scan_element(&rest, &element)) {
        if (scan_object(element, names, 1, &id) && id.at != NULL && value.at != NULL &&
            id.end - id.at == value.end - value.at && memcmp(id.at, value.at, (size_t)(id.end - id.at)) == 0) {
            return take_device(context, element);
        }
    }
    return SIZE_MAX;
}

/* ---- Results ----------------------------------------------------------------------------------------------------- */

enum {
    PROBLEM,
    DIST,
    DATA,
    DEVICE,
    KERNEL,
    PLUGIN,
    THREADS,
    LAUNCH,
    STREAMS,
    VERIFICATION,
    FIRST_DIFFERENCE,
    CACHE,
    HOST_TIME,
    TIME,
    CEILING,
    ROUNDS,
    INJECTED,
    EXIT_STATUS,
    RESULT_MEMBERS
};
static const char *const result_names[] = {"problem",          "dist",     "data",         "device",  "kernel",
                                           "plugin",           "threads",  "launch",       "streams", "verification",
                                           "first_difference", "cache",    "host_time_ns", "time_ns", "ceiling",
                                           "rounds",           "injected", "exit_status"};

/* What of these makes a case another one. */
static const int identity[] = {PROBLEM, DIST, DATA, KERNEL, PLUGIN, THREADS, LAUNCH, STREAMS, CACHE};

enum { DTYPE, QUANT_DTYPE, SCALE, GRANULARITY, TOKENS, HIDDEN, RECIPE, OPERATION, PROBLEM_MEMBERS };
static const char *const problem_names[] = {"dtype",      "quant_dtype", "scale",  "granularity",
                                            "num_tokens", "hidden_size", "recipe", "operation"};

/* The case of VALUES in words. */
static const char *describe(struct fleet *fleet, const struct span values[RESULT_MEMBERS])
{
    struct span problem[PROBLEM_MEMBERS];
    char words[PROBLEM_MEMBERS][64] = {{0}}, launch[64] = "", cache[64] = "", text[TEXT_SIZE];

    scan_object(values[PROBLEM], problem_names, PROBLEM_MEMBERS, problem);
    for (int i = 0; i < PROBLEM_MEMBERS; i++) {
        scan_string(problem[i], words[i], sizeof words[i]);
    }
    scan_string(values[LAUNCH], launch, sizeof launch);
    scan_string(values[CACHE], cache, sizeof cache);
    if (words[OPERATION][0] == '\0') {
        snprintf(words[OPERATION], sizeof words[OPERATION], "quantize"); /* the first records lack it */
    }
    snprintf(text, sizeof text, "%s%s%s to %s, %s scale, %s, %.0f x %.0f, %s, %s",
             strcmp(words[OPERATION], "quantize") != 0 ? words[OPERATION] : "",
             strcmp(words[OPERATION], "quantize") != 0 ? ", " : "", words[DTYPE],
             words[RECIPE][0] != '\0' ? words[RECIPE] : words[QUANT_DTYPE], words[SCALE], words[GRANULARITY],
             number_of(problem[TOKENS]), number_of(problem[HIDDEN]), launch, cache);
    return fleet_text(fleet, text);
}

static bool is_same_memory(double a, double b)
{
    return fabs(a - b) <= SAME_MEMORY * fmax(a, b);
}

/* The group of what VALUES describe on DEVICE, as its index; SIZE_MAX if memory is short. */
static size_t take_group(struct context *context, const struct span values[RESULT_MEMBERS],
                         const struct fleet_device *device)
{
    struct fleet *fleet = context->fleet;
    uint64_t key = key_of(device->name, key_of(device->isa, context->data));

    for (size_t i = 0; i < sizeof identity / sizeof identity[0]; i++) {
        key = scan_digest(values[identity[i]], key);
    }
    for (;; key++) {
        size_t *slot = table_find(&fleet->group_table, key);
        struct fleet_group *group;

        if (slot == NULL) {
            fleet->short_of_memory = true;
            return SIZE_MAX;
        }
        if (*slot > 0 && (device->uuid[0] == '\0' || is_same_memory(fleet->groups[*slot - 1].memory, device->memory))) {
            return *slot - 1;
        }
        if (*slot == 0) {
            group = fleet_add(fleet, &fleet->groups, &fleet->group_count, &fleet->group_room, sizeof *group);
            if (group == NULL) {
                return SIZE_MAX;
            }
            *group = (struct fleet_group){
                .key = key, .device_name = device->name, .isa = device->isa, .memory = device->memory};
            group->kernel = fleet_keep(fleet, values[KERNEL]);
            group->what = describe(fleet, values);
            *slot = fleet->group_count;
            return *slot - 1;
        }
    }
}

static const char *const round_names[] = {"median_ns", "clock_mhz", "memory_clock_mhz", "throttle"};
enum { ROUND_MEDIAN, ROUND_CLOCK, ROUND_MEMORY_CLOCK, ROUND_THROTTLE, ROUND_MEMBERS };

/* Read LIST into ROUNDS. Returns false if memory is short, or a round is not one. */
static bool take_rounds(struct fleet *fleet, struct span list, struct rounds *rounds)
{
    struct span rest = list, element, values[ROUND_MEMBERS];
    size_t count = 0, room = 0;

    while (scan_element(&rest, &element) && count < ROUNDS_MAX) {
        double number;

        if (count == room) {
            room = room > 0 ? 2 * room : 32;
            for (int i = 0; i < COLUMNS; i++) {
                double *larger = reallocarray(rounds->columns[i], room, sizeof *larger);

                if (larger == NULL) {
                    fleet->short_of_memory = true;
                    return false;
                }
                rounds->columns[i] = larger;
            }
        }
        count++;
        if (!scan_object(element, round_names, ROUND_MEMBERS, values) || !scan_number(values[ROUND_MEDIAN], &number) ||
            number < LEAST_TIME || number > LONGEST_TIME) {
            return false;
        }
        rounds->columns[LOGS][rounds->counts[LOGS]++] = log(number);
        for (int i = CLOCKS; i < COLUMNS; i++) {
            if (scan_number(values[i], &number)) {
                rounds->columns[i][rounds->counts[i]++] = number;
            }
        }
        rounds->throttled =
            rounds->throttled || (values[ROUND_THROTTLE].at != NULL && *values[ROUND_THROTTLE].at == '[' &&
                                  values[ROUND_THROTTLE].end - values[ROUND_THROTTLE].at > 2);
    }
    return true;
}

static double median_of(struct rounds *rounds, enum column column)
{
    return rounds->counts[column] > 0 ? stats_median(rounds->columns[column], rounds->counts[column]) : 0;
}

/* Take one of the results of a record. Returns NULL, or the reason why it is none. */
static const char *take_result(struct context *context, struct span result)
{
    static const char *const ceiling_names[] = {"best_ns"};
    struct fleet *fleet = context->fleet;
    struct span values[RESULT_MEMBERS], best;
    struct rounds rounds = {.counts = {0}};
    struct fleet_visit *visit;
    size_t device, group;
    bool good;

    if (!scan_object(result, result_names, RESULT_MEMBERS, values)) {
        return not_whole;
    }
    device = find_device(context, values[DEVICE]);
    if (device == SIZE_MAX) {
        return "has a result of a device that it does not describe";
    }
    group = take_group(context, values, &fleet->devices[device]);
    good = group != SIZE_MAX && take_rounds(fleet, values[ROUNDS], &rounds);
    visit = good ? fleet_add(fleet, &fleet->visits, &fleet->visit_count, &fleet->visit_room, sizeof *visit) : NULL;
    if (visit != NULL) {
        scan_object(values[CEILING], ceiling_names, 1, &best);
        *visit =
            (struct fleet_visit){.device = device, .group = group, .date = context->date, .order = fleet->visit_count};
        visit->wrong =
            scan_is(values[VERIFICATION], "\"WRONG\"") || number_of(values[EXIT_STATUS]) == EXIT_WRONG_RESULT;
        visit->failed = rounds.counts[LOGS] == 0 && number_of(values[EXIT_STATUS]) == EXIT_CANNOT_RUN;
        visit->time = series_of(rounds.columns[LOGS], rounds.counts[LOGS]);
        visit->clock = median_of(&rounds, CLOCKS);
        visit->memory_clock = median_of(&rounds, MEMORY_CLOCKS);
        visit->best_time = number_of(best);
        visit->host_time = number_of(values[HOST_TIME]);
        visit->throttled = rounds.throttled;
        visit->in_turns = context->in_turns;
        if (values[INJECTED].at != NULL && *values[INJECTED].at == '"') {
            fleet->devices[device].injected = fleet_keep(fleet, values[INJECTED]);
        }
        if (visit->wrong && fleet->devices[device].wrong[0] == '\0') {
            fleet->devices[device].wrong = fleet_keep(fleet, values[FIRST_DIFFERENCE]);
        }
    }
    for (int i = 0; i < COLUMNS; i++) {
        free(rounds.columns[i]);
    }
    return visit != NULL ? NULL : fleet->short_of_memory ? "does not fit in memory" : "has a round without a time";
}

/* ---- Records ----------------------------------------------------------------------------------------------------- */

enum {
    SCHEMA,
    SCHEMA_VERSION,
    PROGRAM,
    DATE,
    ARGV,
    RANK,
    HOST,
    SEED,
    DIGEST,
    TOGETHER,
    REGIME,
    STATE,
    DEPENDENT,
    DEVICES,
    RESULTS,
    RECORD_MEMBERS
};
static const char *const record_names[] = {"schema",
                                           "schema_version",
                                           "version",
                                           "date",
                                           "argv",
                                           "rank",
                                           "host",
                                           "seed",
                                           "data_digest",
                                           "together",
                                           "regime",
                                           "process_state",
                                           "dependent_launch",
                                           "devices",
                                           "results"};
static const int shared[] = {SEED, DIGEST, REGIME, STATE, DEPENDENT};

/* Keep the arguments of the first record. */
static void take_argv(struct fleet *fleet, struct span list)
{
    struct span rest = list, element;
    size_t room = 0;

    while (fleet->records == 0 && scan_element(&rest, &element)) {
        const char **argument = fleet_add(fleet, &fleet->argv, &fleet->argc, &room, sizeof *argument);

        if (argument != NULL) {
            *argument = fleet_keep(fleet, element);
        }
    }
}

static const char *take_record(struct fleet *fleet, struct span document, const char *label)
{
    struct context context = {.fleet = fleet, .label = label, .rank = -1, .data = 0};
    struct span values[RECORD_MEMBERS], rest, element;
    const char *why = NULL;
    size_t device = SIZE_MAX;
    double number;
    bool is_soak;

    if (!scan_object(document, record_names, RECORD_MEMBERS, values)) {
        return not_whole;
    }
    is_soak = scan_is(values[SCHEMA], "\"" SOAK_SCHEMA "\"");
    if (!is_soak && !scan_is(values[SCHEMA], "\"" RECORD_SCHEMA "\"")) {
        return "is not a record, as quantbench --format=json writes it";
    }
    if (number_of(values[SCHEMA_VERSION]) != (is_soak ? SOAK_SCHEMA_VERSION : RECORD_SCHEMA_VERSION)) {
        return "is a record of another version of quantbench: measure again";
    }
    if (values[DEVICES].at == NULL || (!is_soak && (values[RESULTS].at == NULL || *values[RESULTS].at != '['))) {
        return not_whole;
    }
    context.date = fleet_keep(fleet, values[DATE]);
    context.rank = scan_number(values[RANK], &number) && number >= 0 && number < 1e9 ? (int64_t)number : -1;
    context.in_turns = scan_is(values[TOGETHER], "\"node-turns\"");
    context.devices = values[DEVICES];
    for (size_t i = 0; i < sizeof shared / sizeof shared[0]; i++) {
        context.data = scan_digest(values[shared[i]], context.data);
    }
    take_argv(fleet, values[ARGV]);
    if (!take_node(&context, values[HOST], fleet_keep(fleet, values[PROGRAM]))) {
        return not_whole;
    }
    rest = values[DEVICES];
    while (scan_element(&rest, &element)) {
        device = take_device(&context, element);
    }
    if (is_soak) {
        why = device != SIZE_MAX ? fleet_take_soak(fleet, device, document) : not_whole;
    }
    rest = values[RESULTS];
    while (!is_soak && why == NULL && scan_element(&rest, &element)) {
        why = take_result(&context, element);
    }
    fleet->records++;
    return why;
}

const char *fleet_take(struct fleet *fleet, const char *text, size_t length, const char *label)
{
    struct span rest = {text, text + length}, document;
    const char *why = NULL;
    bool any = false;

    while (why == NULL && !fleet->short_of_memory && scan_value(&rest, &document)) {
        why = take_record(fleet, document, label);
        any = true;
    }
    return why != NULL ? why : any && scan_is_empty(rest) ? NULL : not_whole;
}
