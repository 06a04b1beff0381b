/* SPDX-License-Identifier: Apache-2.0 */
/* soak.c - see soak.h. */
#include <config.h>

#include "model/soak.h"

#include <inttypes.h>
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

const char *soak_done_text(const struct soak_length *wanted, double seconds, uint64_t rounds, char text[SOAK_DONE_SIZE])
{
    char done[SOAK_TIME_SIZE], all[SOAK_TIME_SIZE];

    if (wanted->rounds > 0) {
        snprintf(text, SOAK_DONE_SIZE, "%" PRIu64 " of %" PRIu64 " rounds", rounds, wanted->rounds);
        return rounds < wanted->rounds ? text : NULL;
    }
    snprintf(text, SOAK_DONE_SIZE, "%s of %s", soak_time_text(seconds, done), soak_time_text(wanted->seconds, all));
    return seconds < wanted->seconds ? text : NULL;
}
