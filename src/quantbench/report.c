/* SPDX-License-Identifier: Apache-2.0 */
/* report.c - the table of formats. */
#include <config.h>

#include "report.h"

#include <string.h>

static const struct report_format formats[] = {
    {"text", ".txt", report_text},
    {"json", ".json", report_json},
    {"csv", ".csv", report_csv},
    {"markdown", ".md", report_markdown},
    {"gbench", ".gbench.json", report_gbench},
    {"junit", ".xml", report_junit},
    {"github", ".gha", report_github},
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
