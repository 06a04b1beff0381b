/* SPDX-License-Identifier: Apache-2.0 */
/* soak_json.c - a soak for programs: one JSON document, which --fleet reads. Members are only ever added under one
 * value of schema_version; see SOAKS in quantbench-output(5). */
#include <config.h>

#include "base/document.h"
#include "base/inject.h"
#include "model/figures.h"
#include "model/round_json.h"
#include "report/soak_report.h"

#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* A digest as 16 digits, since not every reader has whole numbers of 64 bits. */
static json_t *digest_to_json(uint64_t digest)
{
    char text[RECORD_DIGEST_SIZE];

    snprintf(text, sizeof text, "%016" PRIx64, digest);
    return json_string(text);
}

static json_t *difference_to_json(const struct soak_report *report, const struct soak_difference *d)
{
    const struct record_case *c = &report->record->cases[d->index];
    char *command = soak_repeat_command(report->soak, d);
    json_t *object = json_pack("{s:I, s:I, s:o, s:o, s:s, s:s, s:s, s:f}", "round", (json_int_t)d->round, "seed",
                               (json_int_t)d->seed, "kernel", document_text(c->kernel), "problem",
                               report_problem_json(&c->problem), "dist", dist_words[d->dist], "load",
                               soak_load_words[d->load], "date", d->date, "start_s", figure_digits(d->start));

    document_merge(&object, json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o}", "tensor", qb_role_name(d->role),
                                      "set", (json_int_t)d->set, "byte", (json_int_t)d->byte, "got", (json_int_t)d->got,
                                      "want", (json_int_t)d->want, "xor", (json_int_t)(d->got ^ d->want), "bytes",
                                      (json_int_t)d->count, "step", (json_int_t)d->step, "first_difference",
                                      d->first[0] != '\0' ? document_text(d->first) : json_null()));
    document_put(&object, "conditions", conditions_to_json(&d->conditions));
    document_put(&object, "repetitions", json_integer((json_int_t)d->repeats));
    document_put(&object, "wrong_repetitions", json_integer((json_int_t)d->repeated));
    document_put(&object, "injected", json_boolean(d->is_injected));
    document_put(&object, "command", command != NULL ? document_text(command) : NULL);
    free(command);
    return object;
}

/* The cases that were launched, and how often. */
static json_t *cases_to_json(const struct soak_report *report)
{
    json_t *list = json_array();

    for (size_t i = 0; i < report->record->planned; i++) {
        const struct record_case *c = &report->record->cases[i];

        document_append(&list,
                        json_pack("{s:o, s:o, s:I}", "problem", report_problem_json(&c->problem), "kernel",
                                  document_text(c->kernel), "launches", (json_int_t)report->soak->case_launches[i]));
    }
    return list;
}

static json_t *references_to_json(const struct soak *soak)
{
    json_t *list = json_array();

    for (size_t i = 0; i < soak->reference_count; i++) {
        const struct soak_reference *r = &soak->references[i];

        document_append(&list, json_pack("{s:I, s:I, s:o}", "first", (json_int_t)r->first, "last", (json_int_t)r->last,
                                         "digest", r->left_out > 0 ? json_null() : digest_to_json(r->digest)));
    }
    return list;
}

/* How long it was, and how much it did. */
static json_t *work_to_json(const struct soak *soak)
{
    json_t *loads = json_object(), *object;
    const double bound = soak_bound(soak->busy);

    for (int i = 0; i < SOAK_LOADS; i++) {
        document_put(&loads, soak_load_words[i], json_integer((json_int_t)soak->loads[i]));
    }
    object = json_pack("{s:o, s:o, s:I, s:f, s:f, s:I, s:o, s:I, s:I, s:o}", "wanted_s",
                       soak->wanted.seconds > 0 ? json_real(soak->wanted.seconds) : json_null(), "wanted_rounds",
                       soak->wanted.rounds > 0 ? json_integer((json_int_t)soak->wanted.rounds) : json_null(),
                       "first_round", (json_int_t)soak->first_round, "elapsed_s", figure_digits(soak->seconds),
                       "busy_s", figure_digits(soak->busy), "rounds", (json_int_t)soak->rounds, "loads", loads,
                       "left_out", (json_int_t)soak->left_out, "launches", (json_int_t)soak->launches, "bytes",
                       document_number(soak->bytes));
    document_put(&object, "wrong", json_integer((json_int_t)soak->wrong));
    document_put(&object, "wrong_rounds", json_integer((json_int_t)soak->differences));
    document_put(&object, "repeatable", json_integer((json_int_t)soak->repeatable));
    document_put(&object, "most_per_hour",
                 soak->differences == 0 && isfinite(bound) ? json_real(figure_digits(bound)) : json_null());
    return object;
}

/* The exit status; null while it is open, which a wrong byte decides. */
static json_t *status_to_json(const struct soak *soak)
{
    if (soak->has_ended) {
        return json_integer((json_int_t)soak->code);
    }
    return soak->differences > 0 ? json_integer(EXIT_WRONG_RESULT) : json_null();
}

enum exit_code soak_json(const struct soak_report *report, FILE *stream)
{
    const struct record *record = report->record;
    const struct soak *soak = report->soak;
    json_t *differences = json_array(), *document;

    for (size_t i = 0; i < soak->kept_count; i++) {
        document_append(&differences, difference_to_json(report, &soak->kept[i]));
    }
    document = json_pack("{s:s, s:I, s:s, s:s, s:s, s:o, s:o, s:o, s:I, s:o}", "schema", SOAK_SCHEMA, "schema_version",
                         (json_int_t)SOAK_SCHEMA_VERSION, "version", record->version, "library_version",
                         record->library_version, "date", record->date, "argv", report_argv_json(record), "host",
                         report_host_json(record), "rank",
                         record->rank >= 0 ? json_integer((json_int_t)record->rank) : json_null(), "seed",
                         (json_int_t)record->seed, "devices", report_devices_json(record));
    document_put(&document, "interrupted", json_boolean(record->interrupted));
    document_put(&document, "ended", json_boolean(soak->has_ended));
    document_put(&document, "exit_status", status_to_json(soak));
    document_put(&document, "fault", inject_text()[0] != '\0' ? document_text(inject_text()) : json_null());
    document_put(&document, "soak", work_to_json(soak));
    document_put(&document, "differences", differences);
    document_put(&document, "list_digest", digest_to_json(soak->list));
    document_put(&document, "references", references_to_json(soak));
    document_put(&document, "cases", cases_to_json(report));
    return document_print(document, stream);
}
