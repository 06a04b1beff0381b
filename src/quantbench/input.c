/* SPDX-License-Identifier: Apache-2.0 */
/* input.c - seeded normally distributed data, the same bytes on every machine. The C library's log and cos may differ
 * in the last bit from one machine to the next, so these here are made of additions, multiplications and square roots,
 * which IEEE 754 rounds in one way only. */
#include <config.h>

#include "input.h"

#include <math.h>
#include <string.h>

/* A well mixed 64-bit number for each STATE: the output function of SplitMix64 (Steele, Lea, Flood: Fast splittable
 * pseudorandom number generators, 2014). */
static uint64_t mix(uint64_t state)
{
    state = (state ^ state >> 30) * 0xBF58476D1CE4E5B9;
    state = (state ^ state >> 27) * 0x94D049BB133111EB;
    return state ^ state >> 31;
}

/* Uniform in (0, 1), never an end: the middle of one of 2^52 equal cells. */
static double uniform(uint64_t random_bits)
{
    return ((double)(random_bits >> 12) + 0.5) * 0x1p-52;
}

/* The natural logarithm of X, normal and > 0, within a few units of the last place: x = m * 2^e with m in
 * [0.75, 1.5), and ln m = 2 atanh((m - 1) / (m + 1)) by its power series. */
static double natural_log(double x)
{
    uint64_t bits;
    int exponent;
    double m, t, t2, sum = 0;

    memcpy(&bits, &x, sizeof bits);
    exponent = (int)(bits >> 52) - 1023;
    bits = (bits & 0xFFFFFFFFFFFFF) | (uint64_t)1023 << 52;
    memcpy(&m, &bits, sizeof m);
    if (m >= 1.5) {
        m *= 0.5;
        exponent++;
    }
    t = (m - 1) / (m + 1);
    t2 = t * t;
    for (int k = 23; k >= 1; k -= 2) { /* |t| <= 0.2: the first term left out is below 2^-58 */
        sum = sum * t2 + 1.0 / k;
    }
    return exponent * 0x1.62E42FEFA39EFp-1 + 2 * t * sum;
}

/* The cosine and sine of 2 pi U for U in [0, 1): U is folded into an eighth of the circle, where the Taylor series
 * are short. */
static void cosine_and_sine(double u, double *cosine, double *sine)
{
    int quadrant = (int)(u * 4 + 0.5); /* nearest multiple of a quarter circle */
    double x = (u - quadrant * 0.25) * 0x1.921FB54442D18p+2;
    double x2 = x * x;
    double c = 1, s = 1;

    for (int k = 16; k >= 2; k -= 2) { /* |x| <= pi/4: the first terms left out are below 2^-57 */
        c = 1 - c * x2 * (1.0 / (k * (k - 1)));
        s = 1 - s * x2 * (1.0 / (k * (k + 1)));
    }
    s *= x;
    switch (quadrant & 3) {
    case 0:
        *cosine = c;
        *sine = s;
        break;
    case 1:
        *cosine = -s;
        *sine = c;
        break;
    case 2:
        *cosine = -c;
        *sine = -s;
        break;
    default:
        *cosine = s;
        *sine = -c;
        break;
    }
}

static void store(enum qb_format format, void *data, uint64_t i, double value)
{
    uint32_t code = qb_format_encode(format, (float)value);

    if (format == QB_FORMAT_F32) {
        ((uint32_t *)data)[i] = code;
    } else {
        ((uint16_t *)data)[i] = (uint16_t)code;
    }
}

void input_generate(enum qb_format format, uint64_t seed, uint64_t count, void *data)
{
    uint64_t first_state = mix(seed ^ 0x9E3779B97F4A7C15);

    /* Two elements come from two uniform numbers by the transform of Box and Muller. */
#pragma omp parallel for schedule(static)
    for (uint64_t i = 0; i < count; i += 2) {
        double radius = sqrt(-2 * natural_log(uniform(mix(first_state + i * 0x9E3779B97F4A7C15))));
        double cosine, sine;

        cosine_and_sine(uniform(mix(first_state + (i + 1) * 0x9E3779B97F4A7C15)), &cosine, &sine);
        store(format, data, i, radius * cosine);
        if (i + 1 < count) {
            store(format, data, i + 1, radius * sine);
        }
    }
}
