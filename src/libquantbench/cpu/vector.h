/* SPDX-License-Identifier: Apache-2.0 */
/* vector.h - the vocabulary that operations are written in, once for all instruction sets. It knows formats, but no
 * operation. One vector_<isa>.h is included after it, and defines this, to be inlined with constant formats:
 *
 *   LANES, FLOATS, PARTS   the elements of a block, a multiple of 32 and its stores' alignment; the floats of a vector;
 *                       LANES / FLOATS
 *   HAVE_MASKS, HAVE_STREAM   1 if a part of a block costs as little as a whole one; if stores can be non-temporal
 *   floats, words       the vectors: of floats; of a block's elements, or of any bytes
 *   codes, limits       a block of codes; what any_above() compares with
 *   struct block        LANES floats
 *   load                elements_of(), load_block(), load_words(), load_rest(), load_floats(), load_vector(),
 *                       fill_floats()
 *   amax                magnitude(), maximum(), largest(), maximum_floats(), has_nan(), limits_make(), any_above()
 *   scale               divide(), multiply(), multiply_twice()
 *   round, narrow       struct encoder, encoder_make(), codes_of(), codes_doubtful(), codes_repair(), codes_within()
 *   store               store_codes(), store_part(), store_floats()
 *
 * Those of x86 define this too, which is plain C elsewhere, see kernels_plain.h and kernels_each.h:
 *
 *   range               maximum_signed(), without_nan()
 *   many runs           largest_each()
 *   narrow              codes_shifted(), codes_cut(), nibbles_of(), triples_of(), and codes_of() for formats of less
 * than a byte; perhaps power_codes(), fill_words() and HAVE_POWER_CODES lines               store_vector(),
 * fill_vector(), xor_vectors(), keep(), fence() ties                mask, mask_none(), mask_and(), mask_or(),
 * mask_xor(), mask_any(), mask_first(), first_ties(), next_ties(), rounds_up(), near_short(), round_short()
 */
#ifndef QB_CPU_VECTOR_H
#define QB_CPU_VECTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "formats.h"

#define QB__INLINE static inline __attribute__((always_inline))

/* Before a loop of few and constant turns over an array of vectors: the array is to become registers, at -O2 too. */
#ifdef __clang__
#define QB__UNROLL _Pragma("clang loop unroll(full)")
#else
#define QB__UNROLL _Pragma("GCC unroll 8")
#endif

#define QB__F32_INF 0x7F800000u /* binary32 infinity; larger bits without the sign are NaN */

/* Units of binary32: an x that is further than this from a tie times the scale is on the same side of it whether it is
 * divided or multiplied. The error is below 6 units. */
#define QB__NEAR 16

/* Up to LANES elements of one format, and zeros after them. */
struct elements {
    const void *x;
    size_t count; /* for vectors with masks; otherwise zeros are there to be read */
    enum qb_format format;
};

/* How quotients are treated that are larger than the largest code: constant. */
enum excess {
    EXCESS_NONE, /* there are none, or it is INT8, which may come out wrong: see codes_doubtful() */
    EXCESS_CUT,  /* of formats that are not integers: they are less than twice the largest code's power of two */
    EXCESS_ANY,  /* they may be NaN too */
};

static inline float qb__float_of(uint32_t bits)
{
    float value;

    memcpy(&value, &bits, sizeof value);
    return value;
}

static inline uint32_t qb__bits_of(float value)
{
    uint32_t bits;

    memcpy(&bits, &value, sizeof bits);
    return bits;
}

/* What is left of COUNT after BEFORE. */
QB__INLINE size_t qb__left(size_t count, size_t before)
{
    return count > before ? count - before : 0;
}

QB__INLINE const void *at(const void *x, size_t index, const enum qb_format format)
{
    return (const char *)x + index * qb__element_size(format);
}

#endif
