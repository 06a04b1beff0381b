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

/* Put COUNT codes together, one in each byte FROM, as enum qb_packing has them, to whole bytes. BITS: 4 or 6. */
static void pack(uint8_t *out, const uint8_t *from, size_t count, unsigned bits)
{
    size_t i = 0;

    if (bits == 4) {
        for (; count - i >= 2 * EACH; i += 2 * EACH, out += EACH) {
            for (size_t k = 0; k < EACH; k++) {
                out[k] = (uint8_t)((from[i + 2 * k] & 0xF) | from[i + 2 * k + 1] << 4);
            }
        }
    } else {
        for (; count - i >= 4; i += 4, out += 3) {
            const uint32_t word =
                from[i] | (uint32_t)from[i + 1] << 6 | (uint32_t)from[i + 2] << 12 | (uint32_t)from[i + 3] << 18;

            out[0] = (uint8_t)word;
            out[1] = (uint8_t)(word >> 8);
            out[2] = (uint8_t)(word >> 16);
        }
    }
    for (size_t k = 0; i < count; i++, k++) {
        qb__code_put(out, k, bits, from[i] & (uint8_t)((1u << bits) - 1));
    }
}

#include "kernels_narrow_body.h"
