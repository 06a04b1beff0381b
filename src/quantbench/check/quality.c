/* SPDX-License-Identifier: Apache-2.0 */
/* quality.c - sums up the errors of a tensor's codes. */
#include <config.h>

#include "base/binary32.h"
#include "check/experts.h"
#include "check/quality.h"
#include "check/scales.h"
#include "model/tiling.h"

#include <fenv.h>
#include <math.h>
#include <stdlib.h>

/* No code of an output format has more than 8 bits. */
#define CODES 256

/* What is to be known of an output format: the value of each code, and from where on numbers are cut off. */
struct code_values {
    double values[CODES];
    double largest, least;
    double above, below;                     /* halfway between the last code and the one that would be next */
    bool above_is_cut_off, below_is_cut_off; /* that number itself is */
};

/* Find the largest value and the one next to it, the values being multiplied with SIGN: how far after it the next code
 * would be cut off, and whether rounding to even leads there. */
static double find_limit(const struct code_values *codes, double sign, double *last, bool *is_cut_off)
{
    double largest = -INFINITY, second = -INFINITY;

    for (int code = 0; code < CODES; code++) {
        double value = sign * codes->values[code];

        if (!isfinite(value)) {
            continue;
        }
        if (value > largest) {
            second = largest;
            largest = value;
            *is_cut_off = code % 2 == 1;                /* an odd last code has an even one after it */
        } else if (value > second && value < largest) { /* of fewer bits, codes come again */
            second = value;
        }
    }
    *last = sign * largest;
    return sign * (largest + (largest - second) / 2);
}

static void find_code_values(enum qb_format format, struct code_values *codes)
{
    for (int code = 0; code < CODES; code++) {
        codes->values[code] = (double)qb_format_decode(format, (uint32_t)code);
    }
    codes->above = find_limit(codes, 1, &codes->largest, &codes->above_is_cut_off);
    codes->below = find_limit(codes, -1, &codes->least, &codes->below_is_cut_off);
}

/* What is the same for all elements. */
struct work {
    const struct qb_problem *problem;
    const struct qb_arithmetic *arithmetic;
    const struct qb_tensors *tensors;
    struct tiling tiling;
    struct expert_parts experts; /* if there are some */
    struct code_values codes;
    bool is_unpacked; /* a code has a byte of its own */
    uint32_t large;   /* magnitudes, as upper halves of binary32, from which on elements are the largest 0.1 % */
    uint8_t *traits;  /* of each tile */
};

/* Traits of a tile, which has an element that is ... */
#define SATURATED 1u
#define OVERRANGE 2u
#define NONZERO   4u
#define FLOOR     8u /* the scale is the smallest there is */

/* Sums over a part of the elements. */
struct sums {
    uint64_t finite, nan, infinite, saturated, overrange, flushed;
    double signal, noise;           /* of x^2 and of e^2 */
    double rest_signal, rest_noise; /* without the largest elements */
    double largest_error, largest_relative_error;
};

/* The value of an F16, without a call. */
static float half_value(uint16_t half)
{
    const uint32_t sign = (uint32_t)(half & 0x8000) << 16, magnitude = half & 0x7FFF;
    /* The exponent of a number is put right by a product, which is exact, also for a subnormal one. */
    const float number = binary32_of(magnitude << 13) * 0x1p112f;

    return binary32_of(sign | (magnitude < 0x7C00 ? binary32_bits(number) : 0x7F800000 | magnitude << 13));
}

/* Elements that are looked at together. */
#define BLOCK 256

/* The COUNT elements from number FIRST on, BLOCK at most, in binary32: in BUFFER, or where they are. */
static const float *load(enum qb_format format, const void *input, uint64_t first, uint64_t count, float buffer[BLOCK])
{
    const uint16_t *const halves = (const uint16_t *)input + first;

    if (format == QB_FORMAT_F32) {
        return (const float *)input + first;
    }
    for (uint64_t i = 0; i < count; i++) {
        buffer[i] = format == QB_FORMAT_BF16 ? binary32_of((uint32_t)halves[i] << 16) : half_value(halves[i]);
    }
    return buffer;
}

/* ---- The largest elements --------------------------------------------------------------------------------------- */

/* Magnitudes are told apart by the upper halves of binary32: in steps of 1/128 of a power of two. */
#define MAGNITUDES 0x8000
#define INFINITE   0x7F80

static uint32_t magnitude_of(float x)
{
    return binary32_bits(x) >> 16 & (MAGNITUDES - 1);
}

/* Count the elements of each magnitude, in the default floating-point environment. */
static __attribute__((noinline)) void count_magnitudes(const struct qb_problem *problem, const uint32_t *owner,
                                                       const void *input, uint64_t counts[MAGNITUDES])
{
    const uint64_t count = problem->tokens * problem->hidden;

#pragma omp parallel
    {
        fesetenv(FE_DFL_ENV); /* as below */
#pragma omp for schedule(static) reduction(+ : counts[:MAGNITUDES])
        for (uint64_t first = 0; first < count; first += BLOCK) {
            const uint64_t some = count - first < BLOCK ? count - first : BLOCK;
            float buffer[BLOCK];
            const float *const x = load(problem->input, input, first, some, buffer);

            for (uint64_t i = 0; i < some; i++) {
                counts[magnitude_of(x[i])] += owner == NULL || owner[(first + i) / problem->hidden] > 0;
            }
        }
    }
}

/* Find the magnitude from which on elements are the largest: as many whole steps as have 0.1 % of the finite elements
 * at most. */
static bool find_large(struct work *w)
{
    uint64_t *counts = calloc(MAGNITUDES, sizeof *counts);
    uint64_t finite = 0, larger = 0;

    if (counts == NULL) {
        return false;
    }
    count_magnitudes(w->problem, w->experts.owner, w->tensors->at[QB_ROLE_INPUT], counts);
    for (uint32_t m = 0; m < INFINITE; m++) {
        finite += counts[m];
    }
    w->large = INFINITE;
    while (w->large > 0 && larger + counts[w->large - 1] <= finite / 1000) {
        larger += counts[--w->large];
    }
    free(counts);
    return true;
}

/* ---- Elements --------------------------------------------------------------------------------------------------- */

/* How far the rounding of a scale to binary32, and of a quotient, may move the largest element of a tile. */
#define ROUNDING 0x1p-22

/* Count what becomes of an element whose quotient is V by ZERO_POINT. */
static unsigned find_traits(const struct work *w, double v, int zero_point, struct sums *sums)
{
    const struct code_values *codes = &w->codes;
    const double code = v + zero_point;
    bool saturated,
        overrange = code > codes->largest + ROUNDING * fabs(code) || code < codes->least - ROUNDING * fabs(code);

    if (w->problem->zero_points != QB_ZERO_POINTS_NONE) {
        const double rounded = nearbyint(v) + zero_point;

        saturated = rounded > codes->largest || rounded < codes->least;
    } else {
        saturated = v > codes->above || (codes->above_is_cut_off && v == codes->above) || v < codes->below ||
                    (codes->below_is_cut_off && v == codes->below);
    }
    sums->saturated += saturated;
    sums->overrange += overrange;
    return (saturated ? SATURATED : 0) | (overrange ? OVERRANGE : 0);
}

/* How near to a limit of the codes, as a share of it, elements have a closer look. */
#define NEAR 0x1p-18

/* A scale, and between which elements nothing is cut off. */
struct limits {
    const struct tile_scale *scale;
    float low, high;
};

static struct limits limits_of(const struct work *w, const struct tile_scale *scale)
{
    const double factor = scale->multiplies ? 1 / (double)scale->multiplier : (double)scale->divisor;

    const double low = (w->codes.least - scale->zero_point) * factor;
    const double high = (w->codes.largest - scale->zero_point) * factor;

    return (struct limits){scale, (float)(low + fabs(low) * NEAR), (float)(high - fabs(high) * NEAR)};
}

/* Add COUNT elements X, whose codes are CODES; returns their traits. The sums are this function's own until its end,
 * since what lies in memory is read and written for each element. */
static unsigned add_block(const struct work *w, const float *x, const uint8_t *codes, uint64_t count,
                          const struct limits *limits, struct sums *sums)
{
    const struct tile_scale *const scale = limits->scale;
    const double unit = scale->unit, zero_point = scale->zero_point;
    struct sums s = *sums;
    unsigned found = 0, nonzero = 0;

    for (uint64_t i = 0; i < count; i++) {
        const double value = w->codes.values[codes[i]] - zero_point;
        /* The product is exact, but for zero points of 32 bits: a code's value has few bits, and a scale has 28. */
        const double error = fabs(value * unit - (double)x[i]);
        const double magnitude = fabs((double)x[i]), signal = magnitude * magnitude, noise = error * error;
        const bool is_rest = magnitude_of(x[i])<w->large, is_nonzero = magnitude> 0;

        if (!isfinite(x[i])) {
            s.nan += isnan(x[i]);
            s.infinite += isinf(x[i]) != 0;
            continue;
        }
        s.finite++;
        s.signal += signal;
        s.noise += noise;
        s.rest_signal += is_rest ? signal : 0;
        s.rest_noise += is_rest ? noise : 0;
        s.largest_error = error > s.largest_error ? error : s.largest_error;
        s.flushed += is_nonzero & (value == 0);
        nonzero |= is_nonzero;
        /* A product first, since a quotient takes long. */
        if (error > s.largest_relative_error * magnitude * NEAR && is_nonzero) {
            const double relative = error / magnitude;

            s.largest_relative_error = relative > s.largest_relative_error ? relative : s.largest_relative_error;
        }
        if (!(x[i] > limits->low && x[i] < limits->high)) {
            found |= find_traits(w, (double)scales_quotient(scale, x[i]), scale->zero_point, &s);
        }
    }
    *sums = s;
    return found | (nonzero ? NONZERO : 0);
}

/* True if SCALE is the smallest that there is. */
static bool is_floor(const struct qb_problem *problem, const struct tile_scale *scale)
{
    if (problem->scale_format == QB_FORMAT_F32) {
        return scale->divisor <= 0x1p-126f;
    }
    return problem->scale_format == QB_FORMAT_F16 ? scale->stored <= 0x1p-24f : scale->code == 0;
}

/* The scale of tile TILE of the row TILE_ROW of tiles. */
static struct tile_scale scale_of(const struct work *w, uint64_t tile_row, uint64_t tile)
{
    const struct qb_problem *p = w->problem;
    const uint64_t index = tile_row * w->tiling.scale_cols + tile;

    /* In rows, places need no question to the library. */
    return p->scale_layout == QB_SCALE_LAYOUT_ROWS
               ? scales_at_place(p, w->arithmetic, w->tensors, index, index * scales_element_size(p))
               : scales_at(p, w->arithmetic, w->tensors, tile_row, tile);
}

/* Add the COUNT elements from (ROW, COL) on, which are in tile TILE of its row of tiles. */
static void add_run(const struct work *w, uint64_t row, uint64_t col, uint64_t count, uint64_t tile, struct sums *sums)
{
    const struct qb_problem *p = w->problem;
    const struct expert_part *part = p->experts > 0 ? experts_of_row(&w->experts, row) : NULL;
    const uint64_t tile_row = part == NULL                              ? row / w->tiling.tile_rows
                              : p->granularity == QB_GRANULARITY_TENSOR ? (uint64_t)(part - w->experts.parts)
                                                                        : row;
    const uint8_t *codes = (const uint8_t *)w->tensors->at[QB_ROLE_CODES] + row * codes_row_bytes(p);
    uint8_t *const traits = &w->traits[tile_row * w->tiling.scale_cols + tile];
    struct tile_scale scale;
    struct limits limits;
    unsigned found;

    if (p->experts > 0 && part == NULL) {
        return; /* there is no such row */
    }
    if (part == NULL) {
        scale = scale_of(w, tile_row, tile);
    } else {
        scale = scales_at(&part->problem, w->arithmetic, &part->tensors,
                          p->granularity == QB_GRANULARITY_TENSOR ? 0 : row - part->first, tile);
    }
    limits = limits_of(w, &scale);
    found = is_floor(p, &scale) ? FLOOR : 0;

    while (count > 0) {
        uint8_t unpacked[BLOCK];
        float buffer[BLOCK];
        const uint64_t some = count < BLOCK ? count : BLOCK;
        const float *const x = load(p->input, w->tensors->at[QB_ROLE_INPUT], row * p->hidden + col, some, buffer);

        if (!w->is_unpacked) {
            qb_codes_unpack(p->output, p->packing, codes, col, some, unpacked);
        }
        found |= add_block(w, x, w->is_unpacked ? codes + col : unpacked, some, &limits, sums);
        col += some;
        count -= some;
    }
#pragma omp atomic
    *traits |= (uint8_t)found;
}

/* Add elements FIRST to END (not included), row by row and there scale by scale. */
static __attribute__((noinline)) void add_elements(const struct work *w, uint64_t first, uint64_t end,
                                                   struct sums *sums)
{
    const struct tiling *t = &w->tiling;
    uint64_t row = first / t->cols, col = first % t->cols;

    for (uint64_t i = first; i < end; row++, col = 0) {
        for (uint64_t tile = col / t->tile_cols; i < end && col < t->cols; tile++) {
            const uint64_t rest = t->cols - tile * t->tile_cols;
            const uint64_t tile_end = tile * t->tile_cols + (rest < t->tile_cols ? rest : t->tile_cols);
            const uint64_t count = tile_end - col < end - i ? tile_end - col : end - i;

            add_run(w, row, col, count, tile, sums);
            i += count;
            col += count;
        }
    }
}

/* ---- Sums ------------------------------------------------------------------------------------------------------- */

/* The elements are summed in this many parts, whatever the number of threads is. */
#define PARTS 1024

static void add_sums(const struct sums *part, struct sums *all)
{
    all->finite += part->finite;
    all->nan += part->nan;
    all->infinite += part->infinite;
    all->saturated += part->saturated;
    all->overrange += part->overrange;
    all->flushed += part->flushed;
    all->signal += part->signal;
    all->noise += part->noise;
    all->rest_signal += part->rest_signal;
    all->rest_noise += part->rest_noise;
    all->largest_error = fmax(all->largest_error, part->largest_error);
    all->largest_relative_error = fmax(all->largest_relative_error, part->largest_relative_error);
}

/* In the default floating-point environment. Compilers would move arithmetic across its change. */
static __attribute__((noinline)) void sum_up(const struct work *w, struct sums *all)
{
    const uint64_t count = w->problem->tokens * w->problem->hidden;
    const uint64_t per_part = count / PARTS + 1, parts = (count + per_part - 1) / per_part;
    struct sums parts_sums[PARTS] = {{.finite = 0}};

#pragma omp parallel
    {
        fesetenv(FE_DFL_ENV); /* the code of others may have used this thread */
#pragma omp for schedule(dynamic)
        for (uint64_t part = 0; part < parts; part++) {
            uint64_t first = part * per_part;
            /* Its own variable: threads that write side by side into one array disturb each other. */
            struct sums sums = {.finite = 0};

            add_elements(w, first, count - first < per_part ? count : first + per_part, &sums);
            parts_sums[part] = sums;
        }
    }
    for (uint64_t part = 0; part < parts; part++) {
        add_sums(&parts_sums[part], all);
    }
    /* An infinite scale times a code of 0 is not a number: an error beyond all bounds, which no comparison has found.
     */
    if (isnan(all->noise)) {
        all->noise = all->largest_error = all->largest_relative_error = INFINITY;
    }
    if (isnan(all->rest_noise)) {
        all->rest_noise = INFINITY;
    }
}

static double ratio(uint64_t finite, double signal, double noise)
{
    return finite == 0 ? NAN : noise == 0 ? INFINITY : 10 * log10(signal / noise);
}

/* The tiles that have elements. */
static uint64_t tiles_of(const struct work *w)
{
    const bool one = w->problem->granularity == QB_GRANULARITY_TENSOR;
    uint64_t rows = 0;

    if (w->experts.parts == NULL) {
        return w->problem->tokens > 0 ? w->tiling.scale_rows * w->tiling.scale_cols : 0;
    }
    for (uint64_t e = 0; e < w->experts.count; e++) {
        const uint64_t own = w->experts.parts[e].problem.tokens;

        rows += one ? own > 0 : own;
    }
    return rows * w->tiling.scale_cols;
}

static struct quality quality_of(const struct work *w, const struct sums *all)
{
    struct quality quality = {
        .finite = all->finite,
        .nan = all->nan,
        .infinite = all->infinite,
        .snr = ratio(all->finite, all->signal, all->noise),
        .signal = all->signal,
        .noise = all->noise,
        .rest_snr = ratio(all->finite, all->rest_signal, all->rest_noise),
        .largest_error = all->finite > 0 ? all->largest_error : NAN,
        .largest_relative_error = isinf(all->largest_error) ? INFINITY
                                  : all->signal > 0         ? all->largest_relative_error
                                                            : NAN,
        .saturated = all->saturated,
        .overrange = all->overrange,
        .flushed = all->flushed,
        .tiles = tiles_of(w),
    };

    for (uint64_t tile = 0; tile < w->tiling.scale_rows * w->tiling.scale_cols; tile++) {
        quality.saturated_tiles += (w->traits[tile] & SATURATED) != 0;
        quality.overrange_tiles += (w->traits[tile] & OVERRANGE) != 0;
        quality.floor_tiles += (w->traits[tile] & (NONZERO | FLOOR)) == (NONZERO | FLOOR);
    }
    return quality;
}

bool quality_compute(const struct qb_problem *problem, const struct qb_arithmetic *arithmetic,
                     const struct qb_tensors *tensors, struct quality *quality)
{
    struct work w = {.problem = problem,
                     .arithmetic = arithmetic,
                     .tensors = tensors,
                     .tiling = tiling_of(problem),
                     .is_unpacked = codes_bits(problem) == 8};
    struct sums all = {.finite = 0};
    fenv_t kept;
    bool good;

    w.traits = calloc(w.tiling.scale_rows * w.tiling.scale_cols + 1, sizeof *w.traits);
    fegetenv(&kept);
    fesetenv(FE_DFL_ENV);
    good = experts_take(problem, tensors, &w.experts) && w.traits != NULL && find_large(&w);
    if (good) {
        find_code_values(problem->output, &w.codes);
        sum_up(&w, &all);
        *quality = quality_of(&w, &all);
    }
    fesetenv(&kept);
    free(w.traits);
    experts_free(&w.experts);
    return good;
}

void quality_add(const struct quality *part, struct quality *all)
{
    const bool is_first = all->finite == 0;

    all->rest_snr = is_first ? part->rest_snr : part->finite == 0 ? all->rest_snr : NAN;
    all->finite += part->finite;
    all->nan += part->nan;
    all->infinite += part->infinite;
    all->signal += part->signal;
    all->noise += part->noise;
    all->saturated += part->saturated;
    all->overrange += part->overrange;
    all->flushed += part->flushed;
    all->tiles += part->tiles;
    all->saturated_tiles += part->saturated_tiles;
    all->overrange_tiles += part->overrange_tiles;
    all->floor_tiles += part->floor_tiles;
    /* fmax() ignores NaN, which stands for no figure. */
    all->largest_error = is_first ? part->largest_error : fmax(all->largest_error, part->largest_error);
    all->largest_relative_error =
        is_first ? part->largest_relative_error : fmax(all->largest_relative_error, part->largest_relative_error);
    all->snr = ratio(all->finite, all->signal, all->noise);
}
