/* SPDX-License-Identifier: Apache-2.0 */
/* report.h - records to standard output and to files. The formats are a table: one more is a row and a report_*.c. */
#ifndef REPORT_H
#define REPORT_H

#include "model/record.h"

#include <stdio.h>

struct report_format {
    const char *name;   /* as --format takes it */
    const char *suffix; /* of the files that are written in it */
    /* Write the whole RECORD, for report_write() alone. Returns an exit code. */
    enum exit_code (*write)(const struct record *record, FILE *stream);
};

/* The table; the first row is the default of --format. INDEX < report_format_count(). */
size_t report_format_count(void);
const struct report_format *report_format_at(size_t index);
/* By name, or by the longest suffix that FILE ends in; NULL if there is none. */
const struct report_format *report_format_find(const char *name);
const struct report_format *report_format_of_file(const char *file);

/* Write RECORD to STREAM in FORMAT: all of it, or nothing if memory is short. Returns an exit code; an error of STREAM
 * is not reported but left in ferror(). */
enum exit_code report_write(const struct report_format *format, const struct record *record, FILE *stream);

/* For the writers: how many columns whoever reads the report can see, INT_MAX if that is nobody in particular; and that
 * memory was short, so that there is to be no report. */
int report_width(void);
void report_lacks_memory(void);

/* The writers. */
enum exit_code report_text(const struct record *record, FILE *stream);
enum exit_code report_json(const struct record *record, FILE *stream);
enum exit_code report_csv(const struct record *record, FILE *stream);
enum exit_code report_markdown(const struct record *record, FILE *stream);
enum exit_code report_gbench(const struct record *record, FILE *stream);
enum exit_code report_junit(const struct record *record, FILE *stream);
enum exit_code report_github(const struct record *record, FILE *stream);
enum exit_code report_gnuplot(const struct record *record, FILE *stream);
enum exit_code report_openmetrics(const struct record *record, FILE *stream);
enum exit_code report_bmf(const struct record *record, FILE *stream);

/* For writers of JSON: what a device is; NULL if memory is short. */
struct json_t;
struct json_t *report_device_json(const struct qb_device_info *info);
/* The arguments, the host and the devices of RECORD. */
struct json_t *report_argv_json(const struct record *record);
struct json_t *report_host_json(const struct record *record);
struct json_t *report_devices_json(const struct record *record);
/* And put into *OBJECT how the codes and scales of PROBLEM are stored. */
void report_put_details(struct json_t **object, const struct qb_problem *problem);
/* The member "problem" of a result, and that of a GROUP of the figures of C; NULL if memory is short. */
struct json_t *report_problem_json(const struct qb_problem *problem);
struct json_t *report_group_json(const struct record_case *c, const char *group);

#endif
