/* SPDX-License-Identifier: Apache-2.0 */
/* clock.h - the host's clock, which only runs forward, and its date. */
#ifndef CLOCK_H
#define CLOCK_H

double clock_nanoseconds(void);
double clock_seconds(void);

/* Set TEXT to the date and the time in UTC: YYYY-MM-DDThh:mm:ssZ; "" if the system does not know it. */
#define CLOCK_DATE_SIZE 32
void clock_date(char text[CLOCK_DATE_SIZE]);

#endif
