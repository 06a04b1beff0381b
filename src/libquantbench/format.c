/* SPDX-License-Identifier: Apache-2.0 */
/* format.c - the table of numeric formats, and the exact conversion of one value to and from each of them. */
#include <config.h>

#include "quantbench.h"
#include "internal.h"

#include <math.h>
#include <string.h>

/* A binary floating-point format of at most 32 bits: sign, exponent, mantissa, from the top. */
struct layout {
    unsigned exponent_bits;
    unsigned mantissa_bits;
    int bias;
    uint32_t overflow_code; /* what finite values beyond the range, and infinity, are encoded as */
    uint32_t nan_code;      /* what NaN is encoded as; always positive */
    bool has_infinity;      /* the largest exponent means infinity and NaN, as in IEEE 754 */
};

static const struct {
    struct qb_format_info info;
    struct layout layout; /* all zero for integers */
} formats[QB_FORMAT_COUNT] = {
    {{QB_FORMAT_F16, "half", "fp16 f16 float16", "IEEE 754 binary16", 16, true, false, 65504.0f},
     {5, 10, 15, 0x7C00, 0x7E00, true}},
    {{QB_FORMAT_BF16, "bfloat16", "bf16", "bfloat16, the upper half of binary32", 16, true, false, 0x1.FEp127f},
     {8, 7, 127, 0x7F80, 0x7FC0, true}},
    {{QB_FORMAT_F32, "float", "fp32 f32 float32", "IEEE 754 binary32", 32, true, false, 0x1.FFFFFEp127f},
     {8, 23, 127, 0x7F800000, 0x7FC00000, true}},
    {{QB_FORMAT_INT8, "int8", "i8", "two's complement integer, -128 to 127", 8, false, true, 127.0f}, {0}},
    {{QB_FORMAT_E4M3, "fp8", "e4m3 fp8_e4m3 e4m3fn", "OCP FP8 E4M3, largest value 448", 8, false, true, 448.0f},
     {4, 3, 7, 0x7E, 0x7F, false}},
    {{QB_FORMAT_E5M2, "e5m2", "fp8_e5m2", "OCP FP8 E5M2, largest value 57344", 8, false, true, 57344.0f},
     {5, 2, 15, 0x7B, 0x7F, true}},
};

const struct qb_format_info *qb_format_info(enum qb_format format)
{
    return (unsigned)format < QB_FORMAT_COUNT ? &formats[format].info : NULL;
}

/* Compare LENGTH characters without regard to case: of ASCII, whatever the locale says of i and I. */
static bool same_word(const char *a, const char *b, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        char x = a[i] >= 'A' && a[i] <= 'Z' ? (char)(a[i] - 'A' + 'a') : a[i];

        if (x != b[i]) {
            return false;
        }
    }
    return true;
}

/* Whether NAME is one of the words of LIST, which are lower case and separated by single spaces. */
static bool is_word_of(const char *name, const char *list)
{
    size_t length = strlen(name);

    while (*list != '\0') {
        size_t word = strcspn(list, " ");

        if (word == length && same_word(name, list, length)) {
            return true;
        }
        list += word;
        list += strspn(list, " ");
    }
    return false;
}

enum qb_status qb_format_find(const char *name, enum qb_format *format)
{
    for (int i = 0; name != NULL && i < QB_FORMAT_COUNT; i++) {
        if (is_word_of(name, formats[i].info.name) || is_word_of(name, formats[i].info.aliases)) {
            *format = formats[i].info.format;
            return QB_OK;
        }
    }
    return qb__fail(QB_ERROR_INVALID, "no numeric format is called '%s'", name == NULL ? "" : name);
}

static uint32_t float_to_bits(float value)
{
    uint32_t bits;

    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static float bits_to_float(uint32_t bits)
{
    float value;

    memcpy(&value, &bits, sizeof value);
    return value;
}

/* 2^EXPONENT as a double, for -1022 <= EXPONENT <= 1023. */
static double power_of_two(int exponent)
{
    uint64_t bits = (uint64_t)(exponent + 1023) << 52;
    double value;

    memcpy(&value, &bits, sizeof value);
    return value;
}

static float decode_float(const struct layout *layout, uint32_t code)
{
    uint32_t sign = code >> (layout->exponent_bits + layout->mantissa_bits) & 1;
    uint32_t largest_exponent = (1u << layout->exponent_bits) - 1;
    uint32_t exponent = code >> layout->mantissa_bits & largest_exponent;
    uint32_t mantissa = code & ((1u << layout->mantissa_bits) - 1);
    double value;

    if (layout->has_infinity && exponent == largest_exponent) {
        return bits_to_float(sign << 31 | (mantissa == 0 ? 0x7F800000 : 0x7FC00000));
    }
    if (!layout->has_infinity && (exponent << layout->mantissa_bits | mantissa) == layout->nan_code) {
        return bits_to_float(sign << 31 | 0x7FC00000);
    }
    /* Subnormals have the smallest normal exponent and no leading one. */
    if (exponent == 0) {
        exponent = 1;
    } else {
        mantissa += 1u << layout->mantissa_bits;
    }
    value = mantissa * power_of_two((int)exponent - layout->bias - (int)layout->mantissa_bits);
    return (float)(sign ? -value : value);
}

static uint32_t encode_float(const struct layout *layout, float value)
{
    uint32_t sign = float_to_bits(value) >> 31 << (layout->exponent_bits + layout->mantissa_bits);
    double magnitude = fabs((double)value);
    int smallest_exponent = 1 - layout->bias;
    int exponent;
    uint32_t code;

    if (isnan(value)) {
        return layout->nan_code;
    }
    if (magnitude >= power_of_two(layout->bias + 2)) { /* twice the largest power of two of any of the formats */
        return sign | layout->overflow_code;
    }
    /* Count the magnitude in units of the last place at its exponent, rounded to nearest even. The count's top bit, or
     * its absence below the smallest exponent, moves into the exponent field by the addition; so does a carry. */
    exponent = (int)(float_to_bits(value) >> 23 & 0xFF) - 127;
    if (exponent < smallest_exponent) {
        exponent = smallest_exponent;
    }
    code = (uint32_t)nearbyint(magnitude * power_of_two((int)layout->mantissa_bits - exponent));
    code += (uint32_t)(exponent - smallest_exponent) << layout->mantissa_bits;
    return sign | (code < layout->overflow_code ? code : layout->overflow_code);
}

static uint32_t encode_int8(float value)
{
    float rounded;

    if (isnan(value)) {
        return 0;
    }
    rounded = nearbyintf(value);
    return (uint8_t)(int8_t)(rounded < -128 ? -128 : rounded > 127 ? 127 : rounded);
}

float qb_format_decode(enum qb_format format, uint32_t code)
{
    switch (format) {
    case QB_FORMAT_F32:
        return bits_to_float(code);
    case QB_FORMAT_INT8:
        return (int8_t)(uint8_t)code;
    case QB_FORMAT_F16:
    case QB_FORMAT_BF16:
    case QB_FORMAT_E4M3:
    case QB_FORMAT_E5M2:
        return decode_float(&formats[format].layout, code);
    }
    return NAN;
}

uint32_t qb_format_encode(enum qb_format format, float value)
{
    switch (format) {
    case QB_FORMAT_F32:
        return isnan(value) ? formats[format].layout.nan_code : float_to_bits(value);
    case QB_FORMAT_INT8:
        return encode_int8(value);
    case QB_FORMAT_F16:
    case QB_FORMAT_BF16:
    case QB_FORMAT_E4M3:
    case QB_FORMAT_E5M2:
        return encode_float(&formats[format].layout, value);
    }
    return 0;
}
