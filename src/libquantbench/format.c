/* SPDX-License-Identifier: Apache-2.0 */
/* format.c - finding numeric formats, and the exact conversion of one value to and from each of them. Conversions work
 * on bits: they give the same in every floating-point environment. */
#include <config.h>

#include "formats.h"
#include "internal.h"

#include <math.h>
#include <string.h>

const struct qb_format_info *qb_format_info(enum qb_format format)
{
    return (unsigned)format < QB__FORMAT_COUNT ? &qb__formats[format] : NULL;
}

/* Compare LENGTH characters of ASCII without regard to case, in every locale. */
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

/* True if NAME is one of the words of LIST, which are lower case and separated by single spaces. */
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
    for (size_t i = 0; name != NULL && i < QB__FORMAT_COUNT; i++) {
        if (is_word_of(name, qb__formats[i].name) || is_word_of(name, qb__formats[i].aliases)) {
            *format = qb__formats[i].format;
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

static bool is_nan(float value)
{
    return (float_to_bits(value) & 0x7FFFFFFF) > 0x7F800000;
}

static float decode_float(const struct qb_format_info *f, uint32_t code)
{
    uint32_t sign = code >> (f->exponent_bits + f->mantissa_bits) & 1;
    uint32_t largest_exponent = (1u << f->exponent_bits) - 1;
    uint32_t exponent = code >> f->mantissa_bits & largest_exponent;
    uint32_t mantissa = code & ((1u << f->mantissa_bits) - 1);
    double value;

    if (f->specials == QB_SPECIALS_IEEE && exponent == largest_exponent) {
        return bits_to_float(sign << 31 | (mantissa == 0 ? 0x7F800000 : 0x7FC00000));
    }
    if (f->specials == QB_SPECIALS_NAN && (exponent << f->mantissa_bits | mantissa) == f->nan_code) {
        return bits_to_float(sign << 31 | 0x7FC00000);
    }
    if (f->exponent_bits == 8) { /* binary32's own; its subnormal numbers may be flushed by arithmetic */
        return bits_to_float(sign << 31 | exponent << 23 | mantissa << (23 - f->mantissa_bits));
    }
    /* Subnormals have the smallest normal exponent and no leading one. */
    if (exponent == 0) {
        exponent = 1;
    } else {
        mantissa += 1u << f->mantissa_bits;
    }
    /* Exact, and normal or zero. */
    value = mantissa * power_of_two((int)exponent - f->bias - (int)f->mantissa_bits);
    return (float)(sign ? -value : value);
}

/* A magnitude as SIGNIFICAND * 2^EXPONENT, the significand with its leading one unless it is subnormal. */
struct magnitude {
    uint32_t significand; /* below 2^24 */
    int exponent;
};

/* Infinity comes out as 2^128. */
static struct magnitude magnitude_of(float value)
{
    const uint32_t bits = float_to_bits(value), exponent = bits >> 23 & 0xFF, mantissa = bits & 0x7FFFFF;

    return exponent == 0 ? (struct magnitude){mantissa, 1 - 150}
                         : (struct magnitude){mantissa | 1u << 23, (int)exponent - 150};
}

/* SIGNIFICAND / 2^DROPPED, rounded to nearest even; DROPPED is at least 1. */
static uint32_t round_off(uint32_t significand, int dropped)
{
    uint32_t half, rest, kept;

    if (dropped > 24) { /* less than half of the last place */
        return 0;
    }
    half = 1u << (dropped - 1);
    rest = significand & (2 * half - 1);
    kept = significand >> dropped;
    return kept + (rest > half || (rest == half && kept % 2 == 1));
}

static uint32_t encode_float(const struct qb_format_info *f, float value)
{
    const uint32_t sign = float_to_bits(value) >> 31 << (f->exponent_bits + f->mantissa_bits);
    /* Inputs overflow to infinity, codes saturate. */
    const uint32_t overflow_code = f->is_output ? f->largest_code : ((1u << f->exponent_bits) - 1) << f->mantissa_bits;
    const struct magnitude m = magnitude_of(value);
    const int smallest_exponent = 1 - f->bias;
    int exponent = m.exponent + 23;
    uint32_t code;

    if (is_nan(value)) {
        return f->nan_code;
    }
    /* Count the magnitude in units of the last place at its exponent, rounded to nearest even. The count's top bit, or
     * its absence below the smallest exponent, moves into the exponent field by the addition; so does a carry. */
    if (exponent < smallest_exponent) {
        exponent = smallest_exponent;
    }
    code = round_off(m.significand, exponent - (int)f->mantissa_bits - m.exponent);
    code += (uint32_t)(exponent - smallest_exponent) << f->mantissa_bits;
    return sign | (code < overflow_code ? code : overflow_code);
}

static uint32_t encode_integer(const struct qb_format_info *f, float value)
{
    const bool negative = float_to_bits(value) >> 31 != 0;
    const uint32_t largest = f->largest_code + negative;
    const struct magnitude m = magnitude_of(value);
    uint32_t count;

    if (is_nan(value)) {
        return f->nan_code;
    }
    if (negative && !qb__is_signed(f->format)) {
        return 0;
    }
    count = m.exponent >= 0 ? largest : round_off(m.significand, -m.exponent);
    count = count < largest ? count : largest;
    return (negative ? -count : count) & (((uint32_t)2 << (f->bits - 1)) - 1);
}

static float decode_integer(const struct qb_format_info *f, uint32_t code)
{
    uint32_t sign = qb__is_signed(f->format) ? (uint32_t)1 << (f->bits - 1) : 0;

    return !sign ? (float)(code & f->largest_code) : (float)(int32_t)((code & (sign - 1)) - (code & sign));
}

/* The smallest power of two that is not below |VALUE|, as an exponent with its bias. */
static uint32_t encode_power(float value)
{
    const uint32_t bits = float_to_bits(value) & 0x7FFFFFFF;

    if (bits >= 0x7F800000) {
        return bits > 0x7F800000 ? 0xFF : 0xFE;
    }
    /* 2^-127 and less, which are subnormal, have code 0. */
    return bits <= 0x400000 ? 0 : (bits >> 23) + ((bits & 0x7FFFFF) != 0 && bits < 0x7F000000);
}

static float decode_power(uint32_t code)
{
    code &= 0xFF;
    return bits_to_float(code == 0 ? 0x400000 : code == 0xFF ? 0x7FC00000 : code << 23);
}

/* True if F has a name and a width, and nothing is converted from or to it. */
static bool is_index(const struct qb_format_info *f)
{
    return !f->is_input && !f->is_output && !f->is_scale;
}

float qb_format_decode(enum qb_format format, uint32_t code)
{
    const struct qb_format_info *f = qb_format_info(format);

    if (f == NULL || is_index(f)) {
        return NAN;
    }
    if (f->exponent_bits == 0) {
        return decode_integer(f, code);
    }
    if (format == QB_FORMAT_E8M0) {
        return decode_power(code);
    }
    return f->bits == 32 ? bits_to_float(code) : decode_float(f, code);
}

uint32_t qb_format_encode(enum qb_format format, float value)
{
    const struct qb_format_info *f = qb_format_info(format);

    if (f == NULL || is_index(f)) {
        return 0;
    }
    if (f->exponent_bits == 0) {
        return encode_integer(f, value);
    }
    if (format == QB_FORMAT_E8M0) {
        return encode_power(value);
    }
    if (f->bits == 32) {
        return is_nan(value) ? f->nan_code : float_to_bits(value);
    }
    return encode_float(f, value);
}

/* ---- Packing ------------------------------------------------------------------------------------------------------
 */

uint64_t qb_codes_bytes(enum qb_format format, enum qb_packing packing, uint64_t count)
{
    return qb_format_info(format) == NULL ? 0 : qb__packed_bytes(format, packing, count);
}

void qb_codes_unpack(enum qb_format format, enum qb_packing packing, const void *packed, uint64_t first, uint64_t count,
                     uint8_t *codes)
{
    const unsigned bits = qb_format_info(format) == NULL ? 0 : qb__packed_bits(format, packing);

    for (uint64_t i = 0; i < count && bits > 0 && bits <= 8; i++) {
        codes[i] = (uint8_t)qb__code_get(packed, first + i, bits);
    }
}

void qb_codes_pack(enum qb_format format, enum qb_packing packing, const uint8_t *codes, uint64_t count, void *packed)
{
    const unsigned bits = qb_format_info(format) == NULL ? 0 : qb__packed_bits(format, packing);

    for (uint64_t i = 0; i < count && bits > 0 && bits <= 8; i++) {
        qb__code_put(packed, i, bits, codes[i] & ((1u << bits) - 1));
    }
}
