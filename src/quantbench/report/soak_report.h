/* SPDX-License-Identifier: Apache-2.0 */
/* soak_report.h - what a soak was and found, as text and as JSON. */
#ifndef SOAK_REPORT_H
#define SOAK_REPORT_H

#include "model/soak.h"
#include "report/report.h"

/* A soak and the record of its run, which has the device and the cases. */
struct soak_report {
    const struct record *record;
    const struct soak *soak;
};

enum exit_code soak_text(const struct soak_report *report, FILE *stream);
enum exit_code soak_json(const struct soak_report *report, FILE *stream);

/* The command that repeats the round of DIFFERENCE; to be freed, NULL if memory is short. */
char *soak_repeat_command(const struct soak *soak, const struct soak_difference *difference);

/* What the repetition of DIFFERENCE came to: "always wrong", "wrong in 3 of 100 repetitions", or "right in 100
 * repetitions". Returns TEXT. */
#define SOAK_TEXT_SIZE 128
const char *soak_repeat_text(const struct soak_difference *difference, char text[SOAK_TEXT_SIZE]);

#endif
