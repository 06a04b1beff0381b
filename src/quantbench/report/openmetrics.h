/* SPDX-License-Identifier: Apache-2.0 */
/* openmetrics.h - lines that are both OpenMetrics and the older text format of Prometheus: gauges without time stamps.
 */
#ifndef OPENMETRICS_H
#define OPENMETRICS_H

#include <stdio.h>

/* Write the label NAME, whose value is TEXT of others, with SEPARATOR in front. */
void openmetrics_label(const char *separator, const char *name, const char *text, FILE *stream);

/* Write the kind of the values of NAME, which HELP explains. */
void openmetrics_head(const char *name, const char *help, FILE *stream);

#endif
