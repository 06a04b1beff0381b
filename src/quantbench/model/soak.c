/* SPDX-License-Identifier: Apache-2.0 */
/* soak.c - see soak.h. */
#include <config.h>

#include "model/soak.h"

#include <math.h>

const char *const soak_load_words[] = {
    [SOAK_SUSTAINED] = "sustained", [SOAK_BURST] = "burst", [SOAK_IDLE] = "idle", NULL};

double soak_bound(double seconds)
{
    return seconds > 0 ? 3 / (seconds / 3600) : INFINITY;
}
