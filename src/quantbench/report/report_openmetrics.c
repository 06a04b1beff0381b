/* SPDX-License-Identifier: Apache-2.0 */
/* report_openmetrics.c - results for Prometheus, in lines that are both OpenMetrics and the older text format, which
 * node_exporter reads from files: gauges without time stamps. */
#include <config.h>

#include "base/utf8.h"
#include "report/case_name.h"
#include "report/describe.h"
#include "report/openmetrics.h"
#include "report/report.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* ---- Text ------------------------------------------------------------------------------------------------------- */

void openmetrics_label(const char *separator, const char *name, const char *text, FILE *stream)
{
    fprintf(stream, "%s%s=\"", separator, name);
    while (*text != '\0') {
        uint32_t letter = 0;
        const size_t length = utf8_decode(text, &letter);

        if (length == 0 || utf8_is_unseen(letter)) {
            putc('?', stream);
        } else {
            fputs(letter == '"' || letter == '\\' ? "\\" : "", stream);
            fwrite(text, 1, length, stream);
        }
        text += length > 0 ? length : 1;
    }
    putc('"', stream);
}

void openmetrics_head(const char *name, const char *help, FILE *stream)
{
    fprintf(stream, "# HELP quantbench_%s %s\n# TYPE quantbench_%s gauge\n", name, help, name);
}

/* ---- Figures of cases ------------------------------------------------------------------------------------------- */

static double median_of(const struct record_case *c)
{
    return c->found.sample_count > 0 ? c->found.time.median * 1e-9 : NAN;
}

static double low_of(const struct record_case *c)
{
    return c->found.sample_count > 0 && c->found.time.basis != STATS_BASIS_NONE ? c->found.time.ci_low * 1e-9 : NAN;
}

static double high_of(const struct record_case *c)
{
    return c->found.sample_count > 0 && c->found.time.basis != STATS_BASIS_NONE ? c->found.time.ci_high * 1e-9 : NAN;
}

static double ceiling_of(const struct record_case *c)
{
    return c->found.sample_count > 0 && c->found.ceiling_share > 0 ? c->found.ceiling_share : NAN;
}

static double snr_of(const struct record_case *c)
{
    return c->found.has_quality ? c->found.checked.quality.snr : NAN;
}

static double verified_of(const struct record_case *c)
{
    return c->found.checked.verification == VERIFIED;
}

static double wrong_of(const struct record_case *c)
{
    return (double)c->found.checked.mismatch.wrong_codes;
}

static double status_of(const struct record_case *c)
{
    return (double)c->found.code;
}

/* NAN: the case has none. */
static const struct {
    const char *name, *help;
    double (*of)(const struct record_case *c);
} figures[] = {
    {"median_seconds", "Median time of a launch.", median_of},
    {"median_low_seconds", "Lower end of the 95 % confidence interval of the median.", low_of},
    {"median_high_seconds", "Upper end of the 95 % confidence interval of the median.", high_of},
    {"ceiling_ratio", "The time that no launch can beat, divided by the median.", ceiling_of},
    {"snr_decibels", "Signal-to-noise ratio of the codes.", snr_of},
    {"verified", "1 if the results are those of the reference.", verified_of},
    {"wrong_codes", "Codes that differ from the reference.", wrong_of},
    {"case_status", "0, or the exit status that says why the case has no time.", status_of},
};

/* ---- Cases ------------------------------------------------------------------------------------------------------ */

/* Return the names of the cases; NULL if memory is short. A case that is there twice has no name the second time, since
 * a value must not have two lines. */
static char **make_names(const struct record *record)
{
    char **names = calloc(record->count + 1, sizeof *names);
    char name[CASE_NAME_SIZE];

    for (size_t i = 0; i < record->count && names != NULL; i++) {
        bool is_new = true;

        case_name(record, &record->cases[i], name);
        for (size_t k = 0; k < i && is_new; k++) {
            is_new = names[k] == NULL || strcmp(names[k], name) != 0;
        }
        if (is_new) {
            names[i] = strdup(name);
            if (names[i] == NULL) {
                report_lacks_memory();
            }
        }
    }
    return names;
}

/* Write the labels of the case C, but for the closing brace. */
static void write_labels(const struct record_case *c, const char *name, FILE *stream)
{
    openmetrics_label("{", "case", name, stream);
    if (c->source != NULL) {
        openmetrics_label(",", "host", c->source->label, stream);
    }
    openmetrics_label(",", "device", c->device->id, stream);
    openmetrics_label(",", "model", c->device->name, stream);
    if (c->device->uuid[0] != '\0') {
        openmetrics_label(",", "uuid", c->device->uuid, stream);
    }
    openmetrics_label(",", "kernel", c->kernel, stream);
}

static void write_figures(const struct record *record, char *const *names, FILE *stream)
{
    for (size_t f = 0; f < sizeof figures / sizeof figures[0]; f++) {
        openmetrics_head(figures[f].name, figures[f].help, stream);
        for (size_t i = 0; i < record->count; i++) {
            const double value = figures[f].of(&record->cases[i]);

            if (names[i] != NULL && !isnan(value)) {
                fprintf(stream, "quantbench_%s", figures[f].name);
                write_labels(&record->cases[i], names[i], stream);
                fputs(isfinite(value) ? "} " : value > 0 ? "} +Inf\n" : "} -Inf\n", stream);
                if (isfinite(value)) {
                    fprintf(stream, "%.12g\n", value);
                }
            }
        }
    }
}

static void write_doubts(const struct record *record, char *const *names, FILE *stream)
{
    openmetrics_head("doubt", "1 for each reason for which a result is in doubt.", stream);
    for (size_t i = 0; i < record->count; i++) {
        const unsigned doubts = record_doubts(&record->cases[i]);

        for (unsigned doubt = 0; doubt < DOUBTS && names[i] != NULL; doubt++) {
            if ((doubts >> doubt & 1) != 0) {
                fputs("quantbench_doubt", stream);
                write_labels(&record->cases[i], names[i], stream);
                openmetrics_label(",", "reason", doubt_words[doubt], stream);
                fputs("} 1\n", stream);
            }
        }
    }
}

/* ---- The run ---------------------------------------------------------------------------------------------------- */

/* Write when the run ended, if DATE says so; NULL: it has not. */
static void write_date(const char *date, FILE *stream)
{
    struct tm parts = {.tm_isdst = 0};

    if (date != NULL && sscanf(date, "%4d-%2d-%2dT%2d:%2d:%2dZ", &parts.tm_year, &parts.tm_mon, &parts.tm_mday,
                               &parts.tm_hour, &parts.tm_min, &parts.tm_sec) == 6) {
        parts.tm_year -= 1900;
        parts.tm_mon -= 1;
        openmetrics_head("run_timestamp_seconds", "The end of the run, in seconds since 1970.", stream);
        fprintf(stream, "quantbench_run_timestamp_seconds %" PRId64 "\n", (int64_t)timegm(&parts));
    }
}

enum exit_code report_openmetrics(const struct record *record, FILE *stream)
{
    char **names = make_names(record);

    if (names == NULL) {
        report_lacks_memory();
        return EXIT_OK;
    }
    write_figures(record, names, stream);
    write_doubts(record, names, stream);
    openmetrics_head("run_status", "The exit status of the run.", stream);
    fprintf(stream, "quantbench_run_status %d\n", (int)record->code);
    write_date(record->date, stream);
    fputs("# EOF\n", stream);
    for (size_t i = 0; i < record->count; i++) {
        free(names[i]);
    }
    free(names);
    return EXIT_OK;
}
