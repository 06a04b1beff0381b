/* SPDX-License-Identifier: Apache-2.0 */
/* kernels_ties.h - of what kernels_body.h needs, multiply_matches(), on the vectors and masks of a vector_<isa>.h that
 * is included before this file. kernels_plain.h has it in plain C. */
#ifndef QB_CPU_KERNELS_TIES_H
#define QB_CPU_KERNELS_TIES_H

#include "kernels.h"

/* See kernels_body.h. */
QB__INLINE bool multiply_matches(float scale, float *reciprocal, const enum qb_format input,
                                 const enum qb_format output)
{
    const int last = qb__last_tie(output);
    const int dropped = qb__dropped_bits(input);
    const float candidates[3] = {*reciprocal, qb__float_of(qb__bits_of(*reciprocal) + 1),
                                 qb__float_of(qb__bits_of(*reciprocal) - 1)};
    const floats s = fill_floats(scale);
    floats tie = first_ties();
    mask bad[3] = {mask_none(), mask_none(), mask_none()};

    for (int i = 0; i < last; i += 2 * FLOATS, tie = next_ties(tie)) {
        floats edge = multiply(tie, s);
        mask near = near_short(edge, dropped);

        if (last < 2 * FLOATS - 1) {
            near = mask_first(near, (last + 1) / 2);
        }
        if (mask_any(near)) {
            floats x = round_short(edge, dropped);
            mask up = rounds_up(divide(x, s), tie);

            QB__UNROLL
            for (int k = 0; k < 3; k++) {
                mask other = rounds_up(multiply(x, fill_floats(candidates[k])), tie);

                bad[k] = mask_or(bad[k], mask_and(near, mask_xor(up, other)));
            }
        }
    }
    QB__UNROLL
    for (int k = 0; k < 3; k++) {
        if (!mask_any(bad[k])) {
            *reciprocal = candidates[k];
            return true;
        }
    }
    return false;
}

#endif
