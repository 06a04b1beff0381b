/* SPDX-License-Identifier: Apache-2.0 */
/* report_bmf.c - results as Bencher keeps them, in its metric format: measures with the interval of each. A case
 * without a time has no latency, since Bencher would take any number for one. */
#include <config.h>

#include "base/document.h"
#include "report/case_name.h"
#include "report/report.h"

#include <math.h>

/* Put the measure NAME of VALUE into *CASE_OBJECT, with its interval if that is known. */
static void put_measure(json_t **case_object, const char *name, double value, double low, double high)
{
    json_t *measure;

    if (!isfinite(value)) {
        return;
    }
    measure = json_pack("{s:f}", "value", value);
    if (isfinite(low) && isfinite(high)) {
        document_put(&measure, "lower_value", json_real(low));
        document_put(&measure, "upper_value", json_real(high));
    }
    document_put(case_object, name, measure);
}

/* Return the measures of C, in nanoseconds, in shares and in decibels; NULL if memory is short. */
static json_t *measures_of(const struct record_case *c)
{
    const struct stats *time = &c->found.time;
    json_t *object = json_object();

    if (c->found.sample_count > 0) {
        const bool has_interval = time->basis != STATS_BASIS_NONE;
        const double low = has_interval ? time->ci_low : NAN, high = has_interval ? time->ci_high : NAN;

        put_measure(&object, "latency", time->median, low, high);
        if (c->found.ceiling_share > 0) {
            put_measure(&object, "ceiling-share", c->found.ceiling_share, c->found.best_time / high,
                        c->found.best_time / low);
        }
    }
    if (c->found.has_quality) {
        put_measure(&object, "snr-db", c->found.checked.quality.snr, NAN, NAN);
    }
    return object;
}

enum exit_code report_bmf(const struct record *record, FILE *stream)
{
    json_t *document = json_object();
    char name[CASE_NAME_SIZE];

    for (size_t i = 0; i < record->count; i++) {
        json_t *measures = measures_of(&record->cases[i]);

        if (measures != NULL && json_object_size(measures) == 0) {
            json_decref(measures);
        } else {
            document_put(&document, case_name(record, &record->cases[i], name), measures);
        }
    }
    return document_print(document, stream);
}
