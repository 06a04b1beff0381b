/* SPDX-License-Identifier: Apache-2.0 */
/* kernels_narrow_generic.c - the routines for what is not plain, in plain C, for any CPU; NEON has no others. */
#include <config.h>

#include "kernels_each.h"

#define ISA             generic
#define EACH_CODES(ROW) QB__BYTE_FORMATS(ROW) QB__NARROW_FORMATS(ROW) QB__MORE_BYTE_FORMATS(ROW)

/* What the elements of a run are between, 0 included; NaN ignored. */
QB__INLINE struct qb__range range_run(const void *x, size_t count, const enum qb_format input)
{
    struct qb__range range = {0, 0, true}; /* nobody asks */
    float low[EACH] = {0}, high[EACH] = {0};

    while (count > 0) {
        const size_t now = count < EACH ? count : EACH;
        float v[EACH] = {0};

        values_run(v, x, now, input);
        for (int i = 0; i < EACH; i++) {
            low[i] = smaller(v[i], low[i]);
            high[i] = larger(v[i], high[i]);
        }
        x = at(x, now, input);
        count -= now;
    }
    for (int i = 0; i < EACH; i++) {
        range.low = smaller(low[i], range.low);
        range.high = larger(high[i], range.high);
    }
    return range;
}

/* Nothing is easier than each element by itself. */
QB__INLINE size_t shifted_run(const struct qb__shifted *run, const enum qb_format input, const bool clean)
{
    (void)run, (void)input, (void)clean;
    return 0;
}

#include "kernels_narrow_body.h"
