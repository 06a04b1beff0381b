/* SPDX-License-Identifier: Apache-2.0 */
/* fleet_report.h - the one report of a fleet, in the formats that can show it. */
#ifndef FLEET_REPORT_H
#define FLEET_REPORT_H

#include "fleet/fleet.h"
#include "report/report.h"

#include <stdio.h>

/* True if FORMAT can show a fleet; the names of those that can, for a message. */
bool fleet_report_can(const struct report_format *format);
extern const char fleet_report_formats[];

/* Write FLEET to STREAM; as text all devices if ALL, else those that something is wrong with, if there are many. */
enum exit_code fleet_report_write(const struct report_format *format, const struct fleet *fleet, bool all,
                                  FILE *stream);

/* The writers. */
enum exit_code fleet_text_report(const struct fleet *fleet, bool all, FILE *stream);
enum exit_code fleet_json_report(const struct fleet *fleet, FILE *stream);
enum exit_code fleet_csv_report(const struct fleet *fleet, FILE *stream);
enum exit_code fleet_markdown_report(const struct fleet *fleet, FILE *stream);
enum exit_code fleet_junit_report(const struct fleet *fleet, FILE *stream);
enum exit_code fleet_openmetrics_report(const struct fleet *fleet, FILE *stream);
enum exit_code fleet_gnuplot_report(const struct fleet *fleet, FILE *stream);

/* Room for a text about a device. */
#define FLEET_TEXT_SIZE 1024
/* "node017 cuda:3 (GPU-...)", with the rank if the device lacks an identity of its own. Return TEXT. */
const char *fleet_device_text(const struct fleet *fleet, const struct fleet_device *device, char text[FLEET_TEXT_SIZE]);
/* Why it is so, in one word or a few. */
const char *fleet_reason_text(const struct fleet *fleet, const struct fleet_device *device, char text[FLEET_TEXT_SIZE]);
/* "3 of 800 devices: 2 SLOWER, 1 WRONG". */
const char *fleet_summary_text(const struct fleet *fleet, char text[FLEET_TEXT_SIZE]);
/* The names of who is in DIFFERENCE, cut where there are many. */
const char *fleet_who_text(const struct fleet *fleet, const struct fleet_difference *difference,
                           char text[FLEET_TEXT_SIZE]);
/* Indices of all devices from the worst to the best; NULL if memory is short. Free it. */
size_t *fleet_order(const struct fleet *fleet);

#endif
