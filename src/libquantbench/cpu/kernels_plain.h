/* SPDX-License-Identifier: Apache-2.0 */
/* kernels_plain.h - of what kernels_body.h needs, that which is plain C where no instruction of an ISA does it better:
 * there are no non-temporal stores, and a compiler vectorizes the rest. */
#ifndef QB_CPU_KERNELS_PLAIN_H
#define QB_CPU_KERNELS_PLAIN_H

#include "kernels.h"

/* True if V is rounded up from TIE, an odd number of halves of a code's last place: to even if it is the tie. */
QB__INLINE bool rounds_up(float v, int tie)
{
    return tie % 4 == 3 ? v >= (float)tie : v > (float)tie;
}

/* See kernels_body.h. */
static bool multiply_matches(float scale, float *reciprocal, const enum qb_format input, const enum qb_format output)
{
    const int last = qb__last_tie(output);
    const int dropped = qb__dropped_bits(input);
    const float candidates[3] = {*reciprocal, qb__float_of(qb__bits_of(*reciprocal) + 1),
                                 qb__float_of(qb__bits_of(*reciprocal) - 1)};
    bool bad[3] = {false, false, false};

    for (int tie = 1; tie <= last; tie += 2) {
        uint32_t bits = qb__bits_of((float)tie * scale);

        if (((bits + QB__NEAR) & ((1u << dropped) - 1)) <= 2 * QB__NEAR) {
            float x = qb__float_of((bits + (1u << (dropped - 1))) & -(1u << dropped));

            for (int k = 0; k < 3; k++) {
                bad[k] = bad[k] || rounds_up(x / scale, tie) != rounds_up(x * candidates[k], tie);
            }
        }
    }
    for (int k = 0; k < 3; k++) {
        if (!bad[k]) {
            *reciprocal = candidates[k];
            return true;
        }
    }
    return false;
}

static void copy_stream(void *target, const void *source, size_t bytes)
{
    memcpy(target, source, bytes);
}

typedef uint64_t __attribute__((may_alias)) word64;

/* WRITES lines, and EACH lines read for each of them. */
QB__INLINE void mix_lines(char *to, uint64_t writes, const char *from, const int each, bool stream)
{
    word64 *line = (word64 *)(void *)to;
    const word64 *read = (const word64 *)(const void *)from;

    (void)stream;
    for (uint64_t i = 0; i < writes; i++, line += 8, read += 8 * each) {
        for (int k = 0; k < 8; k++) {
            uint64_t value = 1;

            for (int j = 0; j < each; j++) {
                value ^= read[8 * j + k];
            }
            line[k] = value;
        }
    }
}

QB__INLINE void read_lines(const char *from, uint64_t reads)
{
    const word64 *read = (const word64 *)(const void *)from;
    uint64_t sum[8] = {0}, all = 0;

    for (uint64_t i = 0; i < reads; i++, read += 8) {
        for (int k = 0; k < 8; k++) {
            sum[k] ^= read[k];
        }
    }
    for (int k = 0; k < 8; k++) {
        all ^= sum[k];
    }
    __asm__ volatile("" : : "r"(all)); /* somebody wants it */
}

static void fence(void)
{
}

#endif
