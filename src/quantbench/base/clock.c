/* SPDX-License-Identifier: Apache-2.0 */
/* clock.c - the host's clock. */
#include <config.h>

#include "base/clock.h"

#include <time.h>

double clock_nanoseconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

double clock_seconds(void)
{
    return clock_nanoseconds() * 1e-9;
}

void clock_date(char text[CLOCK_DATE_SIZE])
{
    const time_t now = time(NULL);
    struct tm utc;

    text[0] = '\0';
    if (gmtime_r(&now, &utc) != NULL) {
        strftime(text, CLOCK_DATE_SIZE, "%Y-%m-%dT%H:%M:%SZ", &utc);
    }
}
