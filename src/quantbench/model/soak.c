/* SPDX-License-Identifier: Apache-2.0 */
/* soak.c - see soak.h. */
#include <config.h>

#include "model/soak.h"

#include <math.h>
#include <stdio.h>

#define HOUR 3600.0

const char *const soak_load_words[] = {
    [SOAK_SUSTAINED] = "sustained", [SOAK_BURST] = "burst", [SOAK_IDLE] = "idle", NULL};

double soak_bound(double seconds)
{
    return seconds > 0 ? 3 / (seconds / HOUR) : INFINITY;
}

const char *soak_time_text(double seconds, char text[SOAK_TIME_SIZE])
{
    if (seconds < 120) {
        snprintf(text, SOAK_TIME_SIZE, "%.1f s", seconds);
    } else if (seconds < 2 * HOUR) {
        snprintf(text, SOAK_TIME_SIZE, "%.1f min", seconds / 60);
    } else {
        snprintf(text, SOAK_TIME_SIZE, "%.1f h", seconds / HOUR);
    }
    return text;
}
