/* SPDX-License-Identifier: Apache-2.0 */
/* calibration_report.h - a calibration as text, JSON, CSV and Markdown. */
#ifndef CALIBRATION_REPORT_H
#define CALIBRATION_REPORT_H

#include "model/calibration.h"
#include "report/report.h"

/* True if a calibration can be shown in FORMAT; and the names of these formats. */
bool calibration_report_can(const struct report_format *format);
extern const char calibration_report_formats[];

/* Write CALIBRATION to STREAM in FORMAT, one of these. */
enum exit_code calibration_report_write(const struct report_format *format, const struct calibrated_set *calibration,
                                        FILE *stream);

#endif
