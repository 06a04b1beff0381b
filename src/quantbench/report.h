/* SPDX-License-Identifier: Apache-2.0 */
/* report.h - results to standard output. */
#ifndef REPORT_H
#define REPORT_H

#include "bench.h"

/* Everything that a report can say about a run. */
struct report {
    const struct args *args;
    const struct machine *machine;
    const struct plan *plan;
    const struct tensor_file *tensor; /* NULL: generated data */
    struct result *results;           /* in the order of the plan */
    size_t count;                     /* of results so far */
};

/* Text: what comes before the first result, and the latest result. */
void report_text_begin(const struct report *report);
void report_text_result(const struct report *report);

/* JSON: one document, at the end. Returns an exit code. */
enum exit_code report_json(const struct report *report);

/* The median, in bytes per second by the byte model; 0 if there is no time. */
double report_bandwidth(const struct result *result);

/* "verified", "not verified", "WRONG". */
const char *report_verification(const struct result *result);

/* For writers of JSON: what a device is, and DOCUMENT to standard output. The document is freed; NULL, for which memory
 * was short, is an error. */
struct json_t;
struct json_t *report_device_json(const struct qb_device_info *info);
enum exit_code report_print_json(struct json_t *document);

#endif
