/* SPDX-License-Identifier: Apache-2.0 */
/* fp8.h - E4M3 for plug-ins that are tests: as one would write it without the library. */
#ifndef PLUGINS_FP8_H
#define PLUGINS_FP8_H

#include <math.h>
#include <stdint.h>

/* The code of V in E4M3: to nearest even, saturated. */
static inline uint8_t to_e4m3(float v)
{
    const uint8_t sign = signbit(v) ? 0x80 : 0;
    const float magnitude = fabsf(v);
    int exponent;

    if (isnan(v)) {
        return 0x7F;
    }
    if (magnitude > 448) {
        return sign | 0x7E;
    }
    if (magnitude < 0x1p-6f) {
        return sign | (uint8_t)nearbyintf(magnitude * 0x1p9f);
    }
    exponent = ilogbf(magnitude);
    return sign | (uint8_t)((exponent + 6) * 8 + (int)nearbyintf(ldexpf(magnitude, 3 - exponent)));
}

#endif
