/* SPDX-License-Identifier: Apache-2.0 */
/* report.c - the table of formats, and how a report is written: in memory first, so that what is read is whole. */
#include <config.h>

#include "base/memory_stream.h"
#include "report/fold.h"
#include "report/report.h"

#include <string.h>

static const struct report_format formats[] = {
    {"text", ".txt", report_text},
    {"json", ".json", report_json},
    {"csv", ".csv", report_csv},
    {"markdown", ".md", report_markdown},
    {"gbench", ".gbench.json", report_gbench},
    {"junit", ".xml", report_junit},
    {"github", ".gha", report_github},
    {"gnuplot", ".gp", report_gnuplot},
    {"openmetrics", ".prom", report_openmetrics},
    {"bmf", ".bmf.json", report_bmf},
};
#define FORMATS (sizeof formats / sizeof formats[0])

size_t report_format_count(void)
{
    return FORMATS;
}

const struct report_format *report_format_at(size_t index)
{
    return &formats[index];
}

const struct report_format *report_format_find(const char *name)
{
    for (size_t i = 0; i < FORMATS; i++) {
        if (strcmp(name, formats[i].name) == 0) {
            return &formats[i];
        }
    }
    return NULL;
}

const struct report_format *report_format_of_file(const char *file)
{
    const struct report_format *found = NULL;
    size_t length = strlen(file);

    for (size_t i = 0; i < FORMATS; i++) {
        size_t suffix = strlen(formats[i].suffix);

        if (length >= suffix && strcmp(file + length - suffix, formats[i].suffix) == 0 &&
            (found == NULL || suffix > strlen(found->suffix))) {
            found = &formats[i];
        }
    }
    return found;
}

/* The report that is being written. */
static struct {
    bool memory_short;
    int width;
} current;

void report_lacks_memory(void)
{
    current.memory_short = true;
}

int report_width(void)
{
    return current.width;
}

enum exit_code report_write(const struct report_format *format, const struct record *record, FILE *stream)
{
    struct memory_stream memory;
    enum exit_code code = EXIT_OK;

    current.width = fold_width(stream);
    current.memory_short = !memory_stream_open(&memory);
    if (!current.memory_short) {
        code = format->write(record, memory.stream);
        current.memory_short = !memory_stream_close(&memory) || current.memory_short;
    }
    if (code == EXIT_OK && current.memory_short) {
        message_error("out of memory: the report (--format=%s)", format->name);
        code = EXIT_CANNOT_RUN;
    }
    if (code == EXIT_OK) {
        fwrite(memory.bytes, 1, memory.length, stream);
    }
    memory_stream_free(&memory);
    return code;
}
