/* SPDX-License-Identifier: Apache-2.0 */
/* fleet_json.c - a fleet for programs: one JSON document. Members are only ever added under one version. */
#include <config.h>

#include "base/clock.h"
#include "base/document.h"
#include "fleet/fleet_report.h"
#include "model/soak.h"

#include <jansson.h>
#include <math.h>
#include <string.h>

#define SCHEMA         "quantbench-fleet"
#define SCHEMA_VERSION 1

static json_t *text_or_null(const char *text)
{
    return text[0] != '\0' ? document_text(text) : json_null();
}

static json_t *real_or_null(double number)
{
    return number > 0 ? json_real(number) : json_null();
}

static json_t *number_or_null(int64_t number)
{
    return number >= 0 ? json_integer((json_int_t)number) : json_null();
}

static json_t *group_to_json(const struct fleet_group *group)
{
    const bool timed = group->count > 0;

    return json_pack(
        "{s:o, s:o, s:o, s:o, s:I, s:b, s:o, s:o, s:o, s:o, s:o}", "device_name", document_text(group->device_name),
        "isa", document_text(group->isa), "kernel", document_text(group->kernel), "case", document_text(group->what),
        "devices", (json_int_t)group->count, "judged", group->judged, "median_ns",
        timed ? json_real(exp(group->center)) : json_null(), "margin", timed ? json_real(group->margin) : json_null(),
        "device_deviation", timed ? json_real(expm1(group->deviation)) : json_null(), "round_deviation",
        timed ? json_real(expm1(group->spread)) : json_null(), "coupling", real_or_null(group->coupling));
}

/* What the visits of one case on a device come to. */
static json_t *entry_to_json(const struct fleet_entry *entry)
{
    const struct fleet_visit *visit = entry->again != NULL ? entry->again : entry->first;

    return json_pack(
        "{s:I, s:s, s:f, s:[f, f], s:f, s:o, s:I, s:f, s:o, s:o, s:o}", "group", (json_int_t)entry->group, "verdict",
        fleet_verdict_words[entry->verdict], "ratio", entry->ratio, "ratio_ci95", entry->low, entry->high, "p_value",
        entry->p, "again_p_value", entry->again != NULL ? json_real(entry->p_again) : json_null(), "rounds",
        (json_int_t)visit->time.rounds, "time_ns", exp(visit->time.mean), "clock_mhz", real_or_null(visit->clock),
        "memory_clock_mhz", real_or_null(visit->memory_clock), "coupling", real_or_null(entry->coupling));
}

/* What soaks come to; null: there was none. */
static json_t *soak_to_json(const struct fleet_soak *soak)
{
    const bool is_clean = soak->wrong <= 0 && soak->busy > 0;

    return soak->records == 0 ? json_null()
                              : json_pack("{s:f, s:f, s:f, s:f, s:f, s:f, s:o}", "busy_s", soak->busy, "launches",
                                          soak->launches, "bytes", soak->bytes, "wrong", soak->wrong, "wrong_rounds",
                                          soak->wrong_rounds, "repeatable", soak->repeatable, "most_per_hour",
                                          is_clean ? json_real(soak_bound(soak->busy)) : json_null());
}

static json_t *device_to_json(const struct fleet *fleet, const struct fleet_device *device, json_t *cases)
{
    json_t *object = json_pack(
        "{s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "node", document_text(fleet->nodes[device->node].label), "rank",
        number_or_null(device->rank), "id", document_text(device->id), "uuid", text_or_null(device->uuid), "pci",
        text_or_null(device->pci), "name", document_text(device->name), "file", document_text(device->file));

    document_put(&object, "verdict", json_string(fleet_verdict_words[device->verdict]));
    document_put(&object, "cause", text_or_null(fleet_cause_words[device->cause]));
    document_put(&object, "first_difference", text_or_null(device->wrong));
    document_put(&object, "injected", text_or_null(device->injected));
    document_put(&object, "soak", soak_to_json(&device->soak));
    document_put(&object, "other_rank", number_or_null(device->other_rank));
    document_put(&object, "cases", cases);
    return object;
}

/* All devices, each with its cases. */
static json_t *devices_to_json(const struct fleet *fleet)
{
    json_t *list = json_array(), **cases = calloc(fleet->device_count + 1, sizeof *cases);

    for (size_t i = 0; i < fleet->device_count && cases != NULL; i++) {
        cases[i] = json_array();
    }
    for (size_t i = 0; i < fleet->entry_count && cases != NULL; i++) {
        document_append(&cases[fleet->entries[i].device], entry_to_json(&fleet->entries[i]));
    }
    for (size_t i = 0; i < fleet->device_count; i++) {
        document_append(&list, cases != NULL ? device_to_json(fleet, &fleet->devices[i], cases[i]) : NULL);
    }
    free(cases);
    return list;
}

static json_t *differences_to_json(const struct fleet *fleet)
{
    json_t *list = json_array();

    for (size_t i = 0; i < fleet->difference_count; i++) {
        const struct fleet_difference *d = &fleet->differences[i];
        json_t *who = json_array();

        for (size_t j = 0; j < d->count; j++) {
            char text[FLEET_TEXT_SIZE];

            document_append(&who,
                            document_text(d->of_nodes ? fleet->nodes[d->who[j]].label
                                                      : fleet_device_text(fleet, &fleet->devices[d->who[j]], text)));
        }
        document_append(&list,
                        json_pack("{s:o, s:s, s:o, s:I, s:o, s:o}", "name", document_text(d->name), "of",
                                  d->of_nodes ? "nodes" : "devices", "usual", document_text(d->usual), "usual_count",
                                  (json_int_t)d->usual_count, "other", document_text(d->other), "who", who));
    }
    return list;
}

static json_t *missing_to_json(const struct fleet *fleet)
{
    json_t *list = json_array();

    for (size_t i = 0; i < fleet->missing_count; i++) {
        const struct fleet_missing *missing = &fleet->missing[i];

        document_append(&list,
                        json_pack("{s:o, s:o}", "node", text_or_null(missing->node), "devices",
                                  missing->devices > 0 ? json_integer((json_int_t)missing->devices) : json_null()));
    }
    return list;
}

enum exit_code fleet_json_report(const struct fleet *fleet, FILE *stream)
{
    const struct fleet_soak sum = fleet_soak_sum(fleet);
    json_t *groups = json_array();
    char date[CLOCK_DATE_SIZE];

    clock_date(date);
    for (size_t i = 0; i < fleet->group_count; i++) {
        document_append(&groups, group_to_json(&fleet->groups[i]));
    }
    return document_print(json_pack("{s:s, s:I, s:s, s:s, s:I, s:I, s:I, s:o, s:I, s:o, s:o, s:o, s:o, s:o}", "schema",
                                    SCHEMA, "schema_version", (json_int_t)SCHEMA_VERSION, "version", PACKAGE_VERSION,
                                    "date", date, "records", (json_int_t)fleet->records, "left_out",
                                    (json_int_t)fleet->skipped, "nodes", (json_int_t)fleet->node_count, "expected",
                                    fleet->expected > 0 ? json_integer((json_int_t)fleet->expected) : json_null(),
                                    "exit_status", (json_int_t)fleet_code(fleet), "soak", soak_to_json(&sum), "groups",
                                    groups, "devices", devices_to_json(fleet), "differences",
                                    differences_to_json(fleet), "missing", missing_to_json(fleet)),
                          stream);
}
