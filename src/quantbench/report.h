/* SPDX-License-Identifier: Apache-2.0 */
/* report.h - records to standard output and to files. The formats are a table: one more is a row and a report_*.c. */
#ifndef REPORT_H
#define REPORT_H

#include "record.h"

#include <stdio.h>

struct report_format {
    const char *name;   /* as --format takes it */
    const char *suffix; /* of the files that are written in it */
    /* Write the whole RECORD. Returns an exit code; an error of STREAM is not reported but left in ferror(). */
    enum exit_code (*write)(const struct record *record, FILE *stream);
};

/* The table; the first row is the default of --format. INDEX < report_format_count(). */
size_t report_format_count(void);
const struct report_format *report_format_at(size_t index);
/* By name, or by the longest suffix that FILE ends in; NULL if there is none. */
const struct report_format *report_format_find(const char *name);
const struct report_format *report_format_of_file(const char *file);

/* The writers. */
enum exit_code report_text(const struct record *record, FILE *stream);
enum exit_code report_json(const struct record *record, FILE *stream);
enum exit_code report_csv(const struct record *record, FILE *stream);
enum exit_code report_markdown(const struct record *record, FILE *stream);
enum exit_code report_gbench(const struct record *record, FILE *stream);
enum exit_code report_junit(const struct record *record, FILE *stream);
enum exit_code report_github(const struct record *record, FILE *stream);

/* For writers of JSON: any text as a JSON string, what a device is, and DOCUMENT to STREAM. The document is freed;
 * NULL, for which memory was short, is an error. */
struct json_t;
struct json_t *report_text_json(const char *text);
struct json_t *report_device_json(const struct qb_device_info *info);
enum exit_code report_print_json(struct json_t *document, FILE *stream);

#endif
