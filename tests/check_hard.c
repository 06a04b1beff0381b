/* SPDX-License-Identifier: Apache-2.0 */
/* check_hard.c - that hard data have all that they are said to have, for every pair of formats and every granularity.
 */
#include <config.h>

#include "check/hard_kind.h"
#include "run.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const enum qb_format inputs[] = {QB_FORMAT_F16, QB_FORMAT_BF16, QB_FORMAT_F32};
static const enum qb_format outputs[] = {QB_FORMAT_INT8, QB_FORMAT_E4M3, QB_FORMAT_E5M2};
#define COUNT(array) ((int)(sizeof(array) / sizeof(array)[0]))

/* One element of all that came. */
struct element {
    uint32_t code;
    float scale;
};

static struct hard_data data;
static struct element *elements;
static size_t element_count;
static float *rows; /* data whose granularity is a token: the elements again, as numbers */
static size_t row_count;

static void collect_fill(void)
{
    const struct qb_problem *p = &data.problem;
    const size_t size = qb_format_info(p->input)->bits / 8;
    static float dynamic[64 * 257];
    float *scales = p->scaling == QB_SCALING_STATIC ? data.given.at[QB_ROLE_SCALES] : dynamic;
    const struct qb_tensors tensors = QB_TENSORS(data.input, NULL, scales);
    uint64_t tile_rows, tile_cols, scale_rows, scale_cols;

    qb_problem_tile(p, &tile_rows, &tile_cols);
    qb_problem_scale_shape(p, &scale_rows, &scale_cols);
    if (p->scaling != QB_SCALING_STATIC) {
        ck_assert_int_eq(qb_reference_scales_as(p, &data.arithmetic, &tensors, NULL), QB_OK);
    }
    elements = realloc(elements, (element_count + p->tokens * p->hidden) * sizeof *elements);
    rows = realloc(rows, (element_count + p->tokens * p->hidden) * sizeof *rows);
    for (uint64_t i = 0; i < p->tokens * p->hidden; i++, element_count++) {
        struct element *e = &elements[element_count];

        e->code = 0;
        memcpy(&e->code, (const char *)data.input + i * size, size);
        e->scale = scales[i / p->hidden / tile_rows * scale_cols + i % p->hidden / tile_cols];
        rows[element_count] = qb_format_decode(p->input, e->code);
    }
    row_count = element_count / p->hidden;
}

/* Take all data of PROBLEM for ARITHMETIC. */
static void collect(const struct qb_problem *problem, const struct qb_arithmetic *arithmetic)
{
    int fills = 0;

    element_count = 0;
    ck_assert(hard_data_begin(problem, arithmetic, &data));
    while (hard_data_fill(&data)) {
        ck_assert_int_lt(++fills, 100);
        collect_fill();
    }
    ck_assert_int_gt(fills, 0);
}

static void end(void)
{
    hard_data_end(&data);
    free(elements);
    free(rows);
    elements = NULL;
    rows = NULL;
}

/* One scale per token, for a pair of formats of 9 and a scaling of 2. */
static struct qb_problem problem_of(int i)
{
    struct qb_problem p;

    qb_problem_init(&p);
    p.input = inputs[i % 3];
    p.output = outputs[i / 3 % 3];
    p.scaling = i / 9 == 0 ? QB_SCALING_DYNAMIC : QB_SCALING_STATIC;
    p.granularity = QB_GRANULARITY_TOKEN;
    p.tokens = 64;
    p.hidden = 257;
    return p;
}

static const struct qb_arithmetic contract;

static bool has(uint32_t code, float scale)
{
    for (size_t i = 0; i < element_count; i++) {
        if (elements[i].code == code && elements[i].scale == scale) {
            return true;
        }
    }
    return false;
}

static void must_have(uint32_t code)
{
    ck_assert_msg(has(code, 1), "%s to %s, %s, %s: %a is not there", qb_format_info(data.problem.input)->name,
                  qb_format_info(data.problem.output)->name, qb_scaling_name(data.problem.scaling),
                  qb_granularity_name(data.problem.granularity), (double)qb_format_decode(data.in.format, code));
}

static void must_have_both(uint32_t magnitude)
{
    must_have(magnitude);
    must_have(magnitude | data.in.sign);
}

/* VALUE and its neighbors, as far as the amax allows them. */
static void must_have_around(double value)
{
    const float limit =
        data.problem.scaling == QB_SCALING_STATIC ? FLT_MAX : qb_format_info(data.problem.output)->largest;
    const uint32_t magnitude = qb_format_encode(data.in.format, (float)fabs(value));
    const uint32_t sign = value < 0 ? data.in.sign : 0;

    for (int step = magnitude == 0 ? 0 : -1; step <= 1; step++) {
        const uint32_t code = magnitude + (uint32_t)step;

        if (code <= data.in.largest && qb_format_decode(data.in.format, code) <= limit) {
            must_have(code | sign);
        }
    }
}

/* With a scale of 1 there is everything. */
static void check_scale_of_one(void)
{
    const double *values = data.out.values;
    const size_t last = data.out.count - 1;

    for (size_t i = 0; i < last; i++) {
        must_have_around((values[i] + values[i + 1]) / 2);
        must_have_around(values[i]);
    }
    must_have_around(values[last]);
    must_have_both(0);
    must_have_both(1);
    must_have_both(data.in.smallest_normal - 1);
    must_have_both(data.in.smallest_normal);
    if (data.problem.scaling == QB_SCALING_STATIC) {
        must_have_around(values[last] + (values[last] - values[last - 1]) / 2);
        must_have_around(values[0] + (values[0] - values[1]) / 2);
        must_have_around(2 * values[last]);
        must_have_both(data.in.largest);
        must_have_both(data.in.infinity);
        must_have_both(data.in.nan);
    }
}

START_TEST(every_tie_code_and_neighbor)
{
    const struct qb_problem p = problem_of(_i);

    collect(&p, &contract);
    check_scale_of_one();
    end();
}
END_TEST

static const struct {
    enum qb_granularity kind;
    uint64_t group, block_rows, block_cols;
} granularities[] = {
    {QB_GRANULARITY_TENSOR, 0, 0, 0},  {QB_GRANULARITY_CHANNEL, 0, 0, 0},   {QB_GRANULARITY_GROUP, 2, 0, 0},
    {QB_GRANULARITY_GROUP, 128, 0, 0}, {QB_GRANULARITY_BLOCK, 0, 128, 128}, {QB_GRANULARITY_BLOCK, 0, 3, 5},
};

START_TEST(in_tiles_of_any_size)
{
    struct qb_problem p = problem_of(_i / COUNT(granularities) * 9 + 4);

    p.granularity = granularities[_i % COUNT(granularities)].kind;
    p.group = granularities[_i % COUNT(granularities)].group;
    p.block_rows = granularities[_i % COUNT(granularities)].block_rows;
    p.block_cols = granularities[_i % COUNT(granularities)].block_cols;
    collect(&p, &contract);
    check_scale_of_one();
    end();
}
END_TEST

/* Count the scales that IS_WANTED, each once. */
static int count_scales(bool (*is_wanted)(float scale))
{
    int count = 0;

    for (size_t i = 0; i < element_count; i++) {
        const float scale = elements[i].scale;
        bool is_new = i == 0 || elements[i - 1].scale != scale;

        for (size_t k = 0; k < i && is_new; k += data.problem.hidden) {
            is_new = elements[k].scale != scale;
        }
        count += is_new && is_wanted(scale);
    }
    return count;
}

static bool is_power(float scale)
{
    int exponent;

    return frexpf(scale, &exponent) == 0.5f;
}

static bool is_odd(float scale)
{
    int exponent;
    const float significand = ldexpf(frexpf(scale, &exponent), 4);

    return !is_power(scale) && significand == truncf(significand);
}

static bool is_next_to_power(float scale)
{
    return !is_power(scale) && (is_power(nextafterf(scale, 0)) || is_power(nextafterf(scale, INFINITY)));
}

static bool is_other(float scale)
{
    return !is_power(scale) && !is_odd(scale) && !is_next_to_power(scale);
}

static bool is_smallest(float scale)
{
    return scale == 0x1p-149f;
}

static bool is_largest(float scale)
{
    return scale == FLT_MAX;
}

START_TEST(scales_of_all_kinds)
{
    const struct qb_problem p = problem_of(_i);
    const bool is_static = p.scaling == QB_SCALING_STATIC;

    collect(&p, &contract);
    ck_assert_int_ge(count_scales(is_power), 3);
    ck_assert_int_ge(count_scales(is_other), 5);
    /* 127 times an odd number has too many bits for bfloat16. */
    ck_assert_int_ge(count_scales(is_odd),
                     is_static || p.output != QB_FORMAT_INT8 || p.input != QB_FORMAT_BF16 ? 5 : 0);
    if (is_static) {
        ck_assert_int_eq(count_scales(is_smallest), 1);
        ck_assert_int_eq(count_scales(is_largest), 1);
        ck_assert_int_ge(count_scales(is_next_to_power), 4);
    }
    end();
}
END_TEST

/* True if a product gives another code. */
static bool is_quotient(const struct element *e)
{
    const float x = qb_format_decode(data.in.format, e->code);

    return qb_format_encode(data.out.format, x / e->scale) != qb_format_encode(data.out.format, x * (1 / e->scale));
}

static bool has_quotient(float scale)
{
    for (size_t i = 0; i < element_count; i++) {
        if (elements[i].scale == scale && is_quotient(&elements[i])) {
            return is_other(scale) && scale > 0x1p-100f && scale < 0x1p100f;
        }
    }
    return false;
}

/* Given scales are chosen so that it matters, also for formats of few bits. */
START_TEST(quotients_that_products_miss)
{
    const struct qb_problem p = problem_of(9 + _i);

    collect(&p, &contract);
    ck_assert_int_ge(count_scales(has_quotient), 5);
    end();
}
END_TEST

/* What is in a row. */
struct row {
    size_t zeros, nans, infinities;
    float amax; /* of all but NaN */
    size_t place;
    bool is_negative;
};

static struct row row_at(size_t index)
{
    const float *x = &rows[index * data.problem.hidden];
    struct row row = {.zeros = 0};

    for (size_t i = 0; i < data.problem.hidden; i++) {
        row.zeros += x[i] == 0;
        row.nans += isnan(x[i]);
        row.infinities += isinf(x[i]);
        if (fabsf(x[i]) > row.amax) {
            row.amax = fabsf(x[i]);
            row.place = i;
            row.is_negative = x[i] < 0;
        }
    }
    return row;
}

static void must_find(const char *what, bool (*is_wanted)(const struct row *row))
{
    bool found = false;

    for (size_t i = 0; i < row_count && !found; i++) {
        const struct row row = row_at(i);

        found = is_wanted(&row);
    }
    ck_assert_msg(found, "%s to %s: no row %s", qb_format_info(data.problem.input)->name,
                  qb_format_info(data.problem.output)->name, what);
}

static bool all_zero(const struct row *r)
{
    return r->zeros == data.problem.hidden;
}

static bool all_nan(const struct row *r)
{
    return r->nans == data.problem.hidden;
}

static bool nan_and_amax(const struct row *r)
{
    return r->nans > 0 && r->infinities == 0 && r->amax == qb_format_info(data.problem.output)->largest;
}

static bool with_infinity(const struct row *r)
{
    return r->infinities > 0 && r->nans > 0;
}

static bool single_last(const struct row *r)
{
    return r->zeros + 1 == data.problem.hidden && r->place + 1 == data.problem.hidden;
}

static bool single_first(const struct row *r)
{
    return r->zeros + 1 == data.problem.hidden && r->place == 0;
}

static bool single_within(const struct row *r)
{
    return r->zeros + 1 == data.problem.hidden && r->place > 0 && r->place + 1 < data.problem.hidden;
}

static bool negative_last(const struct row *r)
{
    return r->zeros + 1 < data.problem.hidden && r->is_negative && r->place + 1 == data.problem.hidden;
}

static bool positive_last(const struct row *r)
{
    return r->zeros + 1 < data.problem.hidden && !r->is_negative && r->place + 1 == data.problem.hidden;
}

static bool amax_is(const struct row *r, uint32_t magnitude)
{
    return r->amax == qb_format_decode(data.in.format, magnitude);
}

static bool smallest_subnormal(const struct row *r)
{
    return amax_is(r, 1);
}

static bool largest_subnormal(const struct row *r)
{
    return amax_is(r, data.in.smallest_normal - 1);
}

static bool smallest_normal(const struct row *r)
{
    return amax_is(r, data.in.smallest_normal);
}

static bool largest(const struct row *r)
{
    return amax_is(r, data.in.largest);
}

START_TEST(tiles_of_all_kinds)
{
    const struct qb_problem p = problem_of(_i);

    collect(&p, &contract);
    must_find("of zeros", all_zero);
    must_find("of NaN", all_nan);
    must_find("of NaN and an amax", nan_and_amax);
    must_find("with infinities", with_infinity);
    must_find("with the last element alone", single_last);
    must_find("with the first element alone", single_first);
    must_find("with an element alone", single_within);
    must_find("whose last element is the amax", positive_last);
    must_find("whose last element is the amax, and negative", negative_last);
    must_find("whose amax is the smallest subnormal", smallest_subnormal);
    must_find("whose amax is the largest subnormal", largest_subnormal);
    must_find("whose amax is the smallest normal", smallest_normal);
    must_find("whose amax is the largest", largest);
    end();
}
END_TEST

/* Of wide tensors few come. They are those that data in general do not have. */
START_TEST(wide_tensors_begin_with_what_is_rare)
{
    struct qb_problem p = problem_of(_i);

    p.tokens = 1;
    p.hidden = HARD_WIDE + 1;
    ck_assert(hard_data_begin(&p, &contract, &data));
    element_count = 0;
    for (int fill = 0; fill < 3; fill++) {
        ck_assert(hard_data_fill(&data));
        collect_fill();
    }
    must_find("with infinities", with_infinity);
    must_find("of NaN and an amax", nan_and_amax);
    must_find("of NaN", all_nan);
    end();
}
END_TEST

static bool at_bound(const struct row *r)
{
    return r->amax == data.problem.amax_bound;
}

static bool next_above_bound(const struct row *r)
{
    return amax_is(r, qb_format_encode(data.in.format, data.problem.amax_bound) + 1);
}

static bool far_above_bound(const struct row *r)
{
    return r->amax == 2 * data.problem.amax_bound;
}

START_TEST(bound_of_the_amax)
{
    struct qb_problem p = problem_of(_i);

    p.amax_bound = 1.5f;
    collect(&p, &contract);
    must_find("whose amax is the bound", at_bound);
    must_find("whose amax is next above the bound", next_above_bound);
    must_find("whose amax is twice the bound", far_above_bound);
    end();
}
END_TEST

/* Nothing is asked of fast math that it does not promise. */
START_TEST(fast_math_gets_normal_numbers)
{
    const struct qb_problem p = problem_of(_i);
    const struct qb_arithmetic fast = {.match = QB_MATCH_ONE_CODE, .zero = QB_ZERO_UNGUARDED};

    collect(&p, &fast);
    for (size_t i = 0; i < element_count; i++) {
        const uint32_t magnitude = elements[i].code & ~data.in.sign;

        ck_assert(magnitude == 0 || (magnitude >= data.in.smallest_normal && magnitude <= data.in.largest));
        ck_assert(elements[i].scale >= FLT_MIN && elements[i].scale <= 1 / FLT_MIN);
    }
    ck_assert(has(qb_format_encode(data.in.format, 2.5f), 1));
    end();
}
END_TEST

/* ---- Narrow formats ------------------------------------------------------------------------------------------------
 */

static const struct narrow {
    enum qb_format output, scale;
    enum qb_packing packing;
    enum qb_scale_layout layout;
    enum qb_tensor_scale tensor_scale;
    enum qb_zero_points zero_points;
    uint64_t group;
} narrows[] = {
    {QB_FORMAT_E4M3, QB_FORMAT_E8M0, 0, QB_SCALE_LAYOUT_TILED_128X4, 0, 0, 32},
    {QB_FORMAT_E2M1, QB_FORMAT_E8M0, 0, QB_SCALE_LAYOUT_PACKED, 0, 0, 32},
    {QB_FORMAT_E2M3, QB_FORMAT_E8M0, QB_PACKING_DENSE, QB_SCALE_LAYOUT_ROWS, 0, 0, 32},
    {QB_FORMAT_E2M1, QB_FORMAT_E4M3, 0, QB_SCALE_LAYOUT_COLUMNS, 0, 0, 16},
    {QB_FORMAT_E2M1, QB_FORMAT_E4M3, 0, QB_SCALE_LAYOUT_TILED_8X4, QB_TENSOR_SCALE_GIVEN, 0, 16},
    {QB_FORMAT_E2M1, QB_FORMAT_E4M3, 0, QB_SCALE_LAYOUT_ROWS, QB_TENSOR_SCALE_COMPUTED, 0, 16},
    {QB_FORMAT_INT4, QB_FORMAT_F16, 0, QB_SCALE_LAYOUT_ROWS, 0, 0, 32},
    {QB_FORMAT_UINT4, QB_FORMAT_F16, 0, QB_SCALE_LAYOUT_ROWS, 0, QB_ZERO_POINTS_INT8, 32},
    {QB_FORMAT_INT8, QB_FORMAT_F32, 0, QB_SCALE_LAYOUT_ROWS, 0, QB_ZERO_POINTS_INT8, 32},
};

/* What was there of one problem. */
struct kinds {
    size_t ties, exact /* or next to it */, beyond, zero_tiles, smallest_zero_point, largest_zero_point;
    uint32_t smallest_scale, largest_scale;
};

/* Look at the elements of tile (ROW, COL). */
static void look_at_tile(const struct qb_tensors *tensors, uint64_t row, uint64_t col, struct kinds *kinds)
{
    const struct qb_problem *p = &data.problem;
    const struct tile_scale scale = scales_at(p, &contract, tensors, row, col);
    const size_t size = qb_format_info(p->input)->bits / 8;
    size_t zeros = 0;
    uint64_t i = col * p->group;

    for (; i < (col + 1) * p->group && i < p->hidden; i++) {
        char kind[HARD_KIND_SIZE];
        uint32_t code = 0;

        memcpy(&code, (const char *)data.input + (row * p->hidden + i) * size, size);
        hard_kind_of_code(&data, row * p->hidden + i, &scale, kind);
        kinds->ties += strncmp(kind, "a tie", 5) == 0;
        kinds->exact += strncmp(kind, "the exact value", 15) == 0 || strncmp(kind, "next to", 7) == 0;
        kinds->beyond += strncmp(kind, "a value at the end", 18) == 0;
        zeros += (code & ~data.in.sign) == 0;
    }
    kinds->zero_tiles += zeros == i - col * p->group;
    kinds->smallest_zero_point += scale.zero_point == (p->output == QB_FORMAT_INT8 ? -128 : 0);
    kinds->largest_zero_point += scale.zero_point == (int)qb_format_info(p->output)->largest;
    kinds->smallest_scale = scale.code < kinds->smallest_scale ? scale.code : kinds->smallest_scale;
    kinds->largest_scale = scale.code > kinds->largest_scale ? scale.code : kinds->largest_scale;
}

/* Look at the tensor that DATA is. */
static void look(const struct qb_tensors *memory, struct kinds *kinds)
{
    struct qb_tensors tensors = *memory;
    uint64_t scale_rows, scale_cols;

    tensors.at[QB_ROLE_INPUT] = data.input;
    for (int role = 0; role < QB_ROLE_COUNT; role++) {
        tensors.at[role] = data.given.at[role] != NULL ? data.given.at[role] : tensors.at[role];
    }
    ck_assert_int_eq(qb_reference_run(&data.problem, &tensors), QB_OK);
    qb_problem_scale_shape(&data.problem, &scale_rows, &scale_cols);
    for (uint64_t row = 0; row < scale_rows; row++) {
        for (uint64_t col = 0; col < scale_cols; col++) {
            look_at_tile(&tensors, row, col, kinds);
        }
    }
}

START_TEST(narrow_formats)
{
    const struct narrow *n = &narrows[_i % COUNT(narrows)];
    const bool is_static = _i / COUNT(narrows) / 3 != 0;
    static uint8_t codes[1 << 16], scales[1 << 16], zero_points[1 << 16];
    float tensor_scale;
    struct qb_tensors memory = QB_TENSORS(NULL, codes, scales);
    struct kinds kinds = {.smallest_scale = UINT32_MAX};
    struct qb_problem p = problem_of(0);
    int fills = 0;

    memory.at[QB_ROLE_ZERO_POINTS] = zero_points;
    memory.at[QB_ROLE_TENSOR_SCALE] = &tensor_scale;
    p.input = inputs[_i / COUNT(narrows) % 3];
    p.output = n->output;
    p.scale_format = n->scale;
    p.packing = n->packing;
    p.scale_layout = n->layout;
    p.tensor_scale = n->tensor_scale == QB_TENSOR_SCALE_COMPUTED && is_static ? QB_TENSOR_SCALE_GIVEN : n->tensor_scale;
    p.zero_points = n->zero_points;
    p.granularity = QB_GRANULARITY_GROUP;
    p.group = n->group;
    p.scaling = is_static ? QB_SCALING_STATIC : QB_SCALING_DYNAMIC;
    ck_assert(hard_data_begin(&p, &contract, &data));
    while (hard_data_fill(&data)) {
        ck_assert_int_lt(++fills, 100);
        look(&memory, &kinds);
    }
    hard_data_end(&data);
    ck_assert_uint_ge(kinds.exact, 20);
    ck_assert_uint_ge(kinds.beyond, 20);
    /* By other scales, ties may not be in the input's format, and products may not be exact. */
    ck_assert(n->scale != QB_FORMAT_E8M0 || kinds.ties >= 20);
    ck_assert(is_static || kinds.zero_tiles > 0);
    ck_assert(n->zero_points == QB_ZERO_POINTS_NONE || (is_static && n->output == QB_FORMAT_INT8) ||
              (kinds.smallest_zero_point > 0 && kinds.largest_zero_point > 0));
    ck_assert(!is_static || n->scale == QB_FORMAT_F32 || kinds.smallest_scale <= 1);
    ck_assert(!is_static || kinds.largest_scale == qb_format_info(n->scale)->largest_code);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("hard data");
    TCase *tcase = patient_case("hard");

    tcase_add_loop_test(tcase, every_tie_code_and_neighbor, 0, 18);
    tcase_add_loop_test(tcase, in_tiles_of_any_size, 0, 2 * COUNT(granularities));
    tcase_add_loop_test(tcase, scales_of_all_kinds, 0, 18);
    tcase_add_loop_test(tcase, quotients_that_products_miss, 0, 9);
    tcase_add_loop_test(tcase, tiles_of_all_kinds, 0, 9);
    tcase_add_loop_test(tcase, wide_tensors_begin_with_what_is_rare, 0, 9);
    tcase_add_loop_test(tcase, bound_of_the_amax, 0, 9);
    tcase_add_loop_test(tcase, fast_math_gets_normal_numbers, 0, 18);
    tcase_add_loop_test(tcase, narrow_formats, 0, 6 * COUNT(narrows));
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
