/* SPDX-License-Identifier: Apache-2.0 */
/* kernels_run.h - what routines for runs share, on amax_run() of kernels_amax.h or kernels_generic.c, which is included
 * before this file. */
#ifndef QB_CPU_KERNELS_RUN_H
#define QB_CPU_KERNELS_RUN_H

#include "kernels_codes.h"

/* Cuts one line of source per access: 64 bytes ahead for each 64 bytes read. */
QB__INLINE void prefetch_ahead(const void *x, size_t bytes, size_t ahead)
{
    for (size_t i = 0; i < bytes; i += 64) {
        /* Past the end is harmless: a prefetch never faults. */
        __builtin_prefetch((const void *)((uintptr_t)x + ahead + i), 0, 2);
    }
}

/* The largest |x| of a run that is not NaN, as the input's bits; QB__AMAX_NAN is set if there was a NaN. */
QB__INLINE uint32_t amax_raw(const void *x, size_t count, const enum qb_format input)
{
    const uint32_t infinity = qb__infinity(input);
    uint32_t bits = amax_run(x, count, input, false);

    /* NaN compares above infinity. It is rare: look again, without it. */
    return bits <= infinity ? bits : amax_run(x, count, input, true) | QB__AMAX_NAN;
}

/* What amax_raw() returned, the number as binary32. */
QB__INLINE uint32_t amax_widen(uint32_t raw, const enum qb_format input)
{
    return widened(raw & ~QB__AMAX_NAN, input) | (raw & QB__AMAX_NAN);
}

#endif
