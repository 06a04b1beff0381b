/* SPDX-License-Identifier: Apache-2.0 */
/* clock.h - the host's clock, which only runs forward. */
#ifndef CLOCK_H
#define CLOCK_H

double clock_nanoseconds(void);
double clock_seconds(void);

#endif
