/* SPDX-License-Identifier: Apache-2.0 */
/* baseline.c - --runs, --save-baseline and --baseline: times of several processes, kept in a record, and compared with
 * those of a record that was kept. */
#include <config.h>

#include "cli/baseline.h"
#include "verdict/compare.h"
#include "verdict/comparison.h"
#include "base/interrupt.h"
#include "report/output.h"
#include "schedule/runs.h"
#include "verdict/verdict.h"
#include "schedule/recording.h"

#include <stdlib.h>

/* The file of --baseline and what it holds. */
struct baseline {
    struct record record;
    struct series *series; /* of each of its cases */
};

/* The times of each case of RECORD, whose samples are those of processes; NULL if memory is short. */
static struct series *runs_series(const struct record *record)
{
    struct series *series = calloc(record->count + 1, sizeof *series);

    for (size_t i = 0; i < record->count && series != NULL; i++) {
        series[i] = (struct series){record->cases[i].found.samples, record->cases[i].found.sample_count};
    }
    if (series == NULL) {
        message_out_of_memory("the comparison", record->count * sizeof *series);
    }
    return series;
}

/* Read --baseline, if it was given. */
static enum exit_code read_baseline(const struct settings *settings, struct baseline *baseline)
{
    enum exit_code code;

    *baseline = (struct baseline){.series = NULL};
    if (settings->comparing.baseline_file == NULL) {
        return EXIT_OK;
    }
    code = record_from_json(settings->comparing.baseline_file, &baseline->record);
    if (code != EXIT_OK) {
        return code;
    }
    if (baseline->record.runs == 0) {
        message_error("--baseline: %s: has the times of one process; expected a file that --save-baseline has written",
                      settings->comparing.baseline_file);
        return EXIT_USAGE;
    }
    baseline->series = runs_series(&baseline->record);
    return baseline->series != NULL ? EXIT_OK : EXIT_CANNOT_RUN;
}

/* EXIT_OK if what the first process measured can be compared with the baseline. */
static enum exit_code check_baseline(const struct settings *settings, const struct record *first, void *context)
{
    const struct baseline *baseline = context;

    return settings->comparing.baseline_file != NULL
               ? comparison_check(first, &baseline->record, settings->comparing.force)
               : EXIT_OK;
}

/* Compare RECORD, which several processes have made, with BASELINE. */
static enum exit_code compare_with_baseline(const struct settings *settings, const struct baseline *baseline,
                                            struct record *record)
{
    struct series *series = runs_series(record);
    enum exit_code code = series != NULL ? EXIT_OK : EXIT_CANNOT_RUN;

    if (code == EXIT_OK) {
        code = comparison_with(record, &baseline->record, settings->comparing.baseline_file, baseline->series,
                               settings->comparing.margin);
    }
    if (code == EXIT_OK) {
        code = comparison_judge(record, series);
    }
    free(series);
    return code;
}

/* The file of --save-baseline as an output. */
static struct output save_output(const struct settings *settings)
{
    return (struct output){report_format_find("json"), settings->comparing.save_baseline};
}

enum exit_code baseline_measure(const struct settings *settings, struct record *record)
{
    struct baseline baseline;
    struct output output = save_output(settings);
    enum exit_code code = read_baseline(settings, &baseline);

    *record = (struct record){.count = 0};
    if (code == EXIT_OK && settings->comparing.save_baseline != NULL) {
        code = output_check(&(struct outputs){1, &output});
    }
    if (code == EXIT_OK) {
        code = runs_measure(settings, check_baseline, &baseline, record);
    }
    if (record->count > 0) {
        code = message_worse(code, recording_end(record, interrupt_requested()));
    }
    if (record->count > 0 && settings->comparing.baseline_file != NULL) {
        code = message_worse(code, compare_with_baseline(settings, &baseline, record));
    }
    record_free(&baseline.record);
    free(baseline.series);
    return code;
}

enum exit_code baseline_check(const struct settings *settings, struct record *record)
{
    size_t doubtful = verdict_doubtful(record);

    if (settings->comparing.save_baseline == NULL) {
        return EXIT_OK;
    }
    for (size_t i = 0; i < record->count; i++) {
        if (record->cases[i].found.sample_count < COMPARE_MIN_COUNT) {
            message_error("--save-baseline: %s: not written, because not every case has a time of each run",
                          settings->comparing.save_baseline);
            return EXIT_CANNOT_RUN;
        }
    }
    record->forced = settings->comparing.force;
    if (doubtful == 0) {
        return EXIT_OK;
    }
    if (settings->comparing.force) {
        message_warning("--save-baseline: %s: %zu of %zu results are in doubt", settings->comparing.save_baseline,
                        doubtful, record->count);
        return EXIT_OK;
    }
    message_error("--save-baseline: %s: not written, because %zu of %zu results are in doubt, as the report says; "
                  "--force writes it anyway",
                  settings->comparing.save_baseline, doubtful, record->count);
    return EXIT_CANNOT_RUN;
}

enum exit_code baseline_save(const struct settings *settings, const struct record *record)
{
    struct output output = save_output(settings);

    return settings->comparing.save_baseline != NULL ? output_write(&(struct outputs){1, &output}, record) : EXIT_OK;
}
