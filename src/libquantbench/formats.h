/* SPDX-License-Identifier: Apache-2.0 */
/* formats.h - the one table of numeric formats. Whatever C, the CPU's kernels, CUDA's, the manual and the completion
 * say of a format comes from its row: as a constant where the format is one, which a compiler folds. In no object file,
 * so that a backend can be a module. */
#ifndef QB_FORMATS_H
#define QB_FORMATS_H

#include "quantbench.h"

/* clang-format off */

/* A row for each enumerator of enum qb_format, in its order, whose text after "QB_FORMAT_" comes first and again in lower
 * case for the names of functions. The other columns are the members of struct qb_format_info, in their order.
 *
 *  ROW(enumerator, function, name, aliases, description,
 *      bits, exponent bits, mantissa bits, bias, largest, code of the largest, code of NaN, specials,
 *      input, output, scale) */
#define QB__INPUT_FORMATS(ROW)                                                                                         \
    ROW(F16, f16, "half", "fp16 f16 float16", "IEEE 754 binary16",                                                     \
        16, 5, 10, 15, 65504.0f, 0x7BFF, 0x7E00, QB_SPECIALS_IEEE, true, false, true)                                  \
    ROW(BF16, bf16, "bfloat16", "bf16", "bfloat16, the upper half of binary32",                                        \
        16, 8, 7, 127, 0x1.FEp127f, 0x7F7F, 0x7FC0, QB_SPECIALS_IEEE, true, false, false)                              \
    ROW(F32, f32, "float", "fp32 f32 float32", "IEEE 754 binary32",                                                    \
        32, 8, 23, 127, 0x1.FFFFFEp127f, 0x7F7FFFFF, 0x7FC00000, QB_SPECIALS_IEEE, true, false, true)

/* Codes of one byte. The CPU's generic kernels make all of them. */
#define QB__BYTE_FORMATS(ROW)                                                                                          \
    ROW(INT8, int8, "int8", "i8", "two's complement integer, -128 to 127",                                             \
        8, 0, 7, 0, 127.0f, 0x7F, 0x00, QB_SPECIALS_NONE, false, true, false)                                          \
    ROW(E4M3, e4m3, "fp8", "e4m3 fp8_e4m3 e4m3fn", "OCP FP8 E4M3, largest value 448",                                  \
        8, 4, 3, 7, 448.0f, 0x7E, 0x7F, QB_SPECIALS_NAN, false, true, true)                                            \
    ROW(E5M2, e5m2, "e5m2", "fp8_e5m2", "OCP FP8 E5M2, largest value 57344",                                           \
        8, 5, 2, 15, 57344.0f, 0x7B, 0x7F, QB_SPECIALS_IEEE, false, true, false)

/* Codes of less than a byte. */
#define QB__NARROW_FORMATS(ROW)                                                                                        \
    ROW(E2M1, e2m1, "e2m1", "fp4 fp4_e2m1 float4_e2m1", "OCP MX FP4 E2M1, largest value 6",                            \
        4, 2, 1, 1, 6.0f, 0x7, 0x7, QB_SPECIALS_NONE, false, true, false)                                              \
    ROW(E2M3, e2m3, "e2m3", "fp6_e2m3 float6_e2m3", "OCP MX FP6 E2M3, largest value 7.5",                              \
        6, 2, 3, 1, 7.5f, 0x1F, 0x1F, QB_SPECIALS_NONE, false, true, false)                                            \
    ROW(E3M2, e3m2, "e3m2", "fp6_e3m2 float6_e3m2", "OCP MX FP6 E3M2, largest value 28",                               \
        6, 3, 2, 3, 28.0f, 0x1F, 0x1F, QB_SPECIALS_NONE, false, true, false)                                           \
    ROW(INT4, int4, "int4", "i4", "two's complement integer, -8 to 7",                                                 \
        4, 0, 3, 0, 7.0f, 0x7, 0x0, QB_SPECIALS_NONE, false, true, false)                                              \
    ROW(UINT4, uint4, "uint4", "u4", "integer with a zero point, 0 to 15",                                             \
        4, 0, 4, 0, 15.0f, 0xF, 0x0, QB_SPECIALS_NONE, false, true, false)

/* Formats of scales alone. */
#define QB__SCALE_FORMATS(ROW)                                                                                         \
    ROW(E8M0, e8m0, "e8m0", "ue8m0", "OCP MX scale, a power of two",                                                   \
        8, 8, 0, 127, 0x1p127f, 0xFE, 0xFF, QB_SPECIALS_NAN, false, false, true)

/* Formats of indices and zero points: their names and their widths. */
#define QB__INDEX_FORMATS(ROW)                                                                                         \
    ROW(INT64, int64, "int64", "i64", "two's complement integer, an index",                                            \
        64, 0, 63, 0, 0x1p63f, 0, 0, QB_SPECIALS_NONE, false, false, false)                                            \
    ROW(INT32, int32, "int32", "i32", "two's complement integer, a zero point",                                        \
        32, 0, 31, 0, 0x1p31f, 0, 0, QB_SPECIALS_NONE, false, false, false)

/* clang-format on */

/* A build for a test adds rows: codes of one byte, and formats that no kernel knows. */
#ifdef QB__MORE_FORMATS_FILE
#include QB__MORE_FORMATS_FILE
#else
#define QB__MORE_BYTE_FORMATS(ROW)
#define QB__MORE_FORMATS(ROW)
#endif

/* In C++, and so on a CUDA device, the values of constant expressions alone can be used. */
#ifdef __cplusplus
#define QB__CONSTANT          static constexpr
#define QB__CONSTANT_FUNCTION static constexpr inline
#else
#define QB__CONSTANT          static const
#define QB__CONSTANT_FUNCTION static inline
#endif

/* clang-format off */
#define QB__FORMAT_INFO(enumerator, function, ...) {QB_FORMAT_##enumerator, __VA_ARGS__},
QB__CONSTANT struct qb_format_info qb__formats[] = {
    QB__INPUT_FORMATS(QB__FORMAT_INFO) QB__BYTE_FORMATS(QB__FORMAT_INFO) QB__NARROW_FORMATS(QB__FORMAT_INFO)
    QB__SCALE_FORMATS(QB__FORMAT_INFO) QB__INDEX_FORMATS(QB__FORMAT_INFO) QB__MORE_BYTE_FORMATS(QB__FORMAT_INFO) QB__MORE_FORMATS(QB__FORMAT_INFO)};
/* clang-format on */
#undef QB__FORMAT_INFO
#define QB__FORMAT_COUNT (sizeof qb__formats / sizeof qb__formats[0])

/* Bytes of an element of FORMAT, whose bits fill whole bytes. */
QB__CONSTANT_FUNCTION size_t qb__element_size(enum qb_format format)
{
    return qb__formats[format].bits / 8;
}

QB__CONSTANT_FUNCTION bool qb__is_integer(enum qb_format format)
{
    return qb__formats[format].exponent_bits == 0;
}

/* True if codes of FORMAT have a sign. */
QB__CONSTANT_FUNCTION bool qb__is_signed(enum qb_format format)
{
    return qb__formats[format].exponent_bits + qb__formats[format].mantissa_bits < qb__formats[format].bits;
}

/* The least value of an integer FORMAT. */
QB__CONSTANT_FUNCTION float qb__least(enum qb_format format)
{
    return qb__is_signed(format) ? -qb__formats[format].largest - 1 : 0;
}

/* The bits that a code of FORMAT takes. */
QB__CONSTANT_FUNCTION unsigned qb__packed_bits(enum qb_format format, enum qb_packing packing)
{
    return qb__formats[format].bits == 6 && packing == QB_PACKING_BYTES ? 8 : qb__formats[format].bits;
}

/* Codes of FORMAT that fill whole bytes: 1, 2, or 4. */
QB__CONSTANT_FUNCTION unsigned qb__packed_unit(enum qb_format format, enum qb_packing packing)
{
    return qb__packed_bits(format, packing) == 4 ? 2 : qb__packed_bits(format, packing) == 6 ? 4 : 1;
}

/* The bytes of COUNT elements of FORMAT in a row. */
QB__CONSTANT_FUNCTION uint64_t qb__packed_bytes(enum qb_format format, enum qb_packing packing, uint64_t count)
{
    return count / 8 * qb__packed_bits(format, packing) + (count % 8 * qb__packed_bits(format, packing) + 7) / 8;
}

/* Put the code of element COL, of BITS bits, into a row whose elements before COL are there: bits after it become 0. */
static inline void qb__code_put(uint8_t *row, uint64_t col, unsigned bits, uint32_t code)
{
    uint8_t *byte = row + (col / 8 * bits + col % 8 * bits / 8);
    const unsigned shift = (unsigned)(col % 8) * bits % 8;

    *byte = (uint8_t)((shift > 0 ? *byte : 0) | code << shift);
    if (shift + bits > 8) {
        byte[1] = (uint8_t)(code >> (8 - shift));
    }
}

static inline uint32_t qb__code_get(const uint8_t *row, uint64_t col, unsigned bits)
{
    const uint8_t *byte = row + (col / 8 * bits + col % 8 * bits / 8);
    const unsigned shift = (unsigned)(col % 8) * bits % 8;
    const uint32_t word = byte[0] | (shift + bits > 8 ? (uint32_t)byte[1] << 8 : 0);

    return word >> shift & ((1u << bits) - 1);
}

/* The bits of an infinity of an IEEE format without its sign; those of NaN are larger. */
QB__CONSTANT_FUNCTION uint32_t qb__infinity(enum qb_format format)
{
    return ((1u << qb__formats[format].exponent_bits) - 1) << qb__formats[format].mantissa_bits;
}

/* The mantissa bits of binary32 that FORMAT lacks. */
QB__CONSTANT_FUNCTION int qb__dropped_bits(enum qb_format format)
{
    return 23 - (int)qb__formats[format].mantissa_bits;
}

/* The bits of binary32 of 2^EXPONENT, a normal number. */
QB__CONSTANT_FUNCTION uint32_t qb__power_bits(int exponent)
{
    return (uint32_t)(exponent + 127) << 23;
}

/* The exponent of FORMAT's smallest normal number. */
QB__CONSTANT_FUNCTION int qb__least_exponent(enum qb_format format)
{
    return 1 - qb__formats[format].bias;
}

/* All ties between codes of FORMAT are odd numbers up to this, times powers of two. */
QB__CONSTANT_FUNCTION int qb__last_tie(enum qb_format format)
{
    return (qb__is_integer(format) ? 2 : 4) * (1 << qb__formats[format].mantissa_bits) - 1;
}

#endif
