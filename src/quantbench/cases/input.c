/* SPDX-License-Identifier: Apache-2.0 */
/* input.c - seeded data, the same bytes on every machine. The C library's log, exp and cos may differ in the last bit
 * from one machine to the next, so these here are made of additions, multiplications, divisions and square roots, which
 * IEEE 754 rounds in one way only. */
#include <config.h>

#include "cases/input.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

size_t input_element_size(enum qb_format format)
{
    return qb_format_info(format)->bits / 8;
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

/* e to the power of X, |X| < 700, within a few units of the last place: x = k ln 2 + r with |r| <= 0.35, and e^r by its
 * power series. */
static double exponential(double x)
{
    double k = floor(x * 0x1.71547652B82FEp+0 + 0.5);
    /* The first part of ln 2 has so few bits that its product with k is exact. */
    double r = (x - k * 0x1.62E42FEEp-1) - k * 0x1.A39EF35793C76p-33;
    uint64_t bits = (uint64_t)((int64_t)k + 1023) << 52;
    double power, sum = 1;

    for (int n = 13; n >= 1; n--) { /* the first term left out is below 2^-57 */
        sum = 1 + sum * r * (1.0 / n);
    }
    memcpy(&power, &bits, sizeof power);
    return sum * power;
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

/* Elements I and I + 1 of normal data: two from two uniform numbers by the transform of Box and Muller. */
static void normal_pair(uint64_t first_state, uint64_t i, double pair[2])
{
    double radius = sqrt(-2 * natural_log(uniform(input_random(first_state + i * INPUT_RANDOM_STEP))));

    cosine_and_sine(uniform(input_random(first_state + (i + 1) * INPUT_RANDOM_STEP)), &pair[0], &pair[1]);
    pair[0] *= radius;
    pair[1] *= radius;
}

/* What element I, normal, is multiplied with where columns have outliers. */
static double outlier_factor(uint64_t seed, uint64_t i, uint64_t hidden)
{
    uint64_t column = i % hidden;
    uint64_t part = column / INPUT_OUTLIER_COLUMNS;
    uint64_t first = part * INPUT_OUTLIER_COLUMNS;
    uint64_t columns = hidden - first < INPUT_OUTLIER_COLUMNS ? hidden - first : INPUT_OUTLIER_COLUMNS;
    /* These numbers are others than those of the elements. */
    uint64_t chosen = first + input_random(input_random(~seed) + part * INPUT_RANDOM_STEP) % columns;

    return column == chosen ? INPUT_OUTLIER_FACTOR : 1;
}

void input_generate(enum input_dist dist, enum qb_format format, uint64_t seed, uint64_t count, uint64_t hidden,
                    void *data)
{
    uint64_t first_state = input_random(seed ^ INPUT_RANDOM_STEP);

#pragma omp parallel for schedule(static)
    for (uint64_t i = 0; i < count; i += 2) {
        double pair[2] = {0, 0};

        switch (dist) {
        case INPUT_NORMAL:
            normal_pair(first_state, i, pair);
            break;
        case INPUT_UNIFORM:
            pair[0] = 2 * uniform(input_random(first_state + i * INPUT_RANDOM_STEP)) - 1;
            pair[1] = 2 * uniform(input_random(first_state + (i + 1) * INPUT_RANDOM_STEP)) - 1;
            break;
        case INPUT_OUTLIERS:
            normal_pair(first_state, i, pair);
            pair[0] *= outlier_factor(seed, i, hidden);
            pair[1] *= outlier_factor(seed, i + 1, hidden);
            break;
        case INPUT_ZEROS:
            break;
        case INPUT_LOGNORMAL:
            normal_pair(first_state, i, pair);
            pair[0] = exponential(pair[0]);
            pair[1] = exponential(pair[1]);
            break;
        }
        store(format, data, i, pair[0]);
        if (i + 1 < count) {
            store(format, data, i + 1, pair[1]);
        }
    }
}

void input_generate_weights(enum qb_format format, uint64_t seed, uint64_t count, void *data)
{
    const uint64_t first_state = input_random(seed ^ INPUT_RANDOM_STEP);

    for (uint64_t i = 0; i < count; i++) {
        store(format, data, i, 0.5 + uniform(input_random(first_state + i * INPUT_RANDOM_STEP)));
    }
}

/* The base of the frequencies of angles. */
#define ANGLE_BASE 10000

void input_generate_angles(enum qb_format format, uint64_t positions, uint64_t rotary, void *data)
{
    const double step = natural_log(ANGLE_BASE) * 2 / (double)rotary, turn = 0x1.45F306DC9C883p-3; /* 1 / (2 pi) */
    const uint64_t half = rotary / 2;

#pragma omp parallel for schedule(static)
    for (uint64_t row = 0; row < positions; row++) {
        for (uint64_t i = 0; i < half; i++) {
            const double turns = (double)row * exponential(-step * (double)i) * turn;
            double cosine, sine;

            cosine_and_sine(turns - floor(turns), &cosine, &sine);
            store(format, data, row * rotary + i, cosine);
            store(format, data, row * rotary + half + i, sine);
        }
    }
}

void input_generate_positions(uint64_t seed, uint64_t tokens, uint64_t positions, int64_t *data)
{
    /* Not the number of the token, where there is another. */
    const uint64_t first = positions > 1 ? 1 + input_random(seed) % (positions - 1) : 0;

    for (uint64_t i = 0; i < tokens; i++) {
        data[i] = (int64_t)((first + i % positions) % positions);
    }
}

/* The page that is number INDEX of PAGES in random order: a permutation of the numbers of BITS bits by a network of
 * Feistel, taken again where it leaves the pages. */
static uint64_t shuffled_page(uint64_t seed, uint64_t index, uint64_t pages, unsigned bits)
{
    const uint64_t mask = ((uint64_t)1 << bits / 2) - 1;

    do {
        uint64_t left = index >> bits / 2, right = index & mask;

        for (uint64_t round = 0; round < 4; round++) {
            const uint64_t next = left ^ (input_random(seed + (4 * right + round) * INPUT_RANDOM_STEP) & mask);

            left = right;
            right = next;
        }
        index = left << bits / 2 | right;
    } while (index >= pages);
    return index;
}

void input_generate_slots(uint64_t seed, uint64_t tokens, uint64_t pages, uint64_t page_size, int64_t *slots)
{
    const uint64_t spare = pages * page_size - tokens, most = spare < page_size - 1 ? spare : page_size - 1;
    const uint64_t first = input_random(seed) % (most + 1);
    unsigned bits = 2;

    while (bits < 64 && pages > (uint64_t)1 << bits) {
        bits += 2;
    }
    for (uint64_t i = 0; i < tokens; i++) {
        const uint64_t page = shuffled_page(seed, (first + i) / page_size, pages, bits);

        slots[i] = (int64_t)(page * page_size + (first + i) % page_size);
    }
}

/* The place of expert E of COUNT in random order. */
static uint64_t rank_of(uint64_t seed, uint64_t e, uint64_t count)
{
    const uint64_t own = input_random(seed + e * INPUT_RANDOM_STEP);
    uint64_t rank = 0;

    for (uint64_t other = 0; other < count; other++) {
        rank += input_random(seed + other * INPUT_RANDOM_STEP) < own;
    }
    return rank;
}

/* The share of the expert of RANK among COUNT, to be compared with others. */
static uint64_t share_of(enum expert_load load, uint64_t rank, uint64_t count)
{
    switch (load) {
    case EXPERT_LOAD_UNEVEN:
        return ((uint64_t)1 << 20) / (rank + 1);
    case EXPERT_LOAD_SPARSE:
        return rank < (count + 3) / 4;
    case EXPERT_LOAD_EVEN:
    case EXPERT_LOADS:
        break;
    }
    return 1;
}

/* Give the rows that are LEFT to experts that have room, those with a share first. */
static void give_rest(const uint64_t *shares, uint64_t count, uint64_t room, uint64_t left, int64_t *rows)
{
    for (int needs_share = 1; needs_share >= 0; needs_share--) {
        for (bool gave = true; left > 0 && gave;) {
            const uint64_t each = (left + count - 1) / count;

            gave = false;
            for (uint64_t e = 0; e < count && left > 0; e++) {
                const uint64_t free_rows = room - (uint64_t)rows[e];
                uint64_t more = free_rows < each ? free_rows : each;

                more = more < left ? more : left;
                if (more > 0 && (!needs_share || shares[e] > 0)) {
                    rows[e] += (int64_t)more;
                    left -= more;
                    gave = true;
                }
            }
        }
    }
}

void input_generate_experts(uint64_t seed, const struct qb_problem *problem, enum expert_load load, int64_t *table)
{
    const bool masked = problem->expert_rows == QB_EXPERT_ROWS_MASKED;
    const uint64_t count = problem->experts, room = masked ? problem->tokens / count : problem->tokens;
    const uint64_t all = problem->expert_tokens > 0 ? problem->expert_tokens : problem->tokens;
    uint64_t *shares = malloc(count * sizeof *shares), sum = 0, left = all;

    for (uint64_t e = 0; e < count && shares != NULL; e++) {
        shares[e] = share_of(load, rank_of(seed, e, count), count);
        sum += shares[e];
    }
    for (uint64_t e = 0; e < count; e++) {
        /* Without memory they are even. */
        const uint64_t wanted = shares != NULL ? (uint64_t)((unsigned __int128)all * shares[e] / sum) : all / count;

        table[e] = (int64_t)(wanted < room ? wanted : room);
        left -= (uint64_t)table[e];
    }
    if (shares != NULL) {
        give_rest(shares, count, room, left, table);
    } else {
        table[0] += (int64_t)left;
    }
    free(shares);
    for (uint64_t e = 0, first = 0; e <= count && !masked; e++) {
        const uint64_t rows = e < count ? (uint64_t)table[e] : 0;

        table[e] = (int64_t)first;
        first += rows;
    }
}
