/* SPDX-License-Identifier: Apache-2.0 */
/* check_census.c - counts of values: ranges and ranks are those of the sorted elements. */
#include <config.h>

#include "check/census.h"
#include "run.h"

#include <math.h>
#include <string.h>

#define COUNT 3000
#define SPLIT 1234

/* Elements of one format, and the finite ones as numbers. */
struct data {
    enum qb_format format;
    union {
        uint16_t halves[COUNT];
        uint32_t words[COUNT];
    } raw;
    float finite[COUNT];
    uint64_t count, nan, infinite;
};

static const void *element(const struct data *data, size_t index)
{
    return data->format == QB_FORMAT_F32 ? (const void *)&data->raw.words[index] : &data->raw.halves[index];
}

/* Random bits of a few exponents, so that values come again, with NaN, infinities and zeros of both signs. */
static void fill(struct data *data, enum qb_format format, uint32_t mask)
{
    uint64_t state = test_seed();

    *data = (struct data){.format = format};
    for (size_t i = 0; i < COUNT; i++) {
        uint32_t bits = (uint32_t)test_random(&state) & 0x83FFFFFF & mask;
        float value;

        bits |= 0x3C000000; /* from 0.0078 to 2 */
        bits = i % 100 == 0 ? (i % 200 == 0 ? 0x7F800000 : 0xFF800001) : i % 7 == 0 ? bits & 0x80000000 : bits;
        memcpy(&value, &bits, sizeof value);
        if (format == QB_FORMAT_F32) {
            data->raw.words[i] = bits;
        } else {
            data->raw.halves[i] = (uint16_t)qb_format_encode(format, value);
            value = qb_format_decode(format, data->raw.halves[i]);
        }
        data->nan += isnan(value);
        data->infinite += isinf(value);
        if (isfinite(value)) {
            data->finite[data->count++] = value;
        }
    }
}

static int compare_floats(const void *a, const void *b)
{
    const float left = *(const float *)a, right = *(const float *)b;

    return (left > right) - (left < right);
}

/* The element with CUT of DATA, sorted, beyond it. */
static float expected(const struct data *data, enum census_end end, uint64_t cut)
{
    return end == CENSUS_LOW ? data->finite[cut] : data->finite[data->count - 1 - cut];
}

/* Look for elements of DATA, sorted, from END in CENSUS. */
static void look(const struct data *data, const struct census *census, enum census_end end)
{
    for (uint64_t cut = 0; cut < data->count; cut += cut < 20 || cut + 20 > data->count ? 1 : 97) {
        struct census_rank rank;
        float found;

        ck_assert(census_rank_begin(census, end, cut, &rank));
        census_rank_count(&rank, element(data, 0), SPLIT);
        census_rank_count(&rank, element(data, SPLIT), COUNT - SPLIT);
        found = census_rank_value(census, &rank);
        census_rank_end(&rank);
        ck_assert_msg(found == expected(data, end, cut), "format %d, end %d, cut %d: %a, not %a", data->format, end,
                      (int)cut, (double)found, (double)expected(data, end, cut));
    }
}

static void compare(enum qb_format format, uint32_t mask, bool is_exact)
{
    struct data data;
    struct census census, parts[2];

    fill(&data, format, mask);
    ck_assert(census_begin(&census, format) && census_begin(&parts[0], format) && census_begin(&parts[1], format));
    ck_assert(census_count(&parts[0], element(&data, 0), SPLIT));
    ck_assert(census_count(&parts[1], element(&data, SPLIT), COUNT - SPLIT));
    census_merge(&census, &parts[0]);
    census_merge(&census, &parts[1]);
    ck_assert_uint_eq(census.finite, data.count);
    ck_assert_uint_eq(census.nan, data.nan);
    ck_assert_uint_eq(census.infinite, data.infinite);
    ck_assert_int_eq(census_is_exact(&census), is_exact);
    qsort(data.finite, data.count, sizeof data.finite[0], compare_floats);
    ck_assert(census.low == data.finite[0] && census.high == data.finite[data.count - 1]);
    look(&data, &census, CENSUS_HIGH);
    look(&data, &census, CENSUS_LOW);
    for (uint64_t i = 0; i < data.count; i++) {
        data.finite[i] = fabsf(data.finite[i]);
    }
    qsort(data.finite, data.count, sizeof data.finite[0], compare_floats);
    look(&data, &census, CENSUS_MAGNITUDE);
    census_end(&census);
    census_end(&parts[0]);
    census_end(&parts[1]);
}

START_TEST(ranks_of_each_format)
{
    compare(QB_FORMAT_F16, UINT32_MAX, true);
    compare(QB_FORMAT_BF16, UINT32_MAX, true);
    compare(QB_FORMAT_F32, UINT32_MAX, false);
}
END_TEST

/* F32 that came from BF16 needs one pass. */
START_TEST(float_of_few_bits)
{
    compare(QB_FORMAT_F32, 0xFFFF0000, true);
}
END_TEST

/* The lower halves of NaN say nothing, and other upper halves hide nothing. */
START_TEST(nothing_finite)
{
    static const uint32_t words[] = {0x7F800001, 0xFF800000, 0x7FC00000};
    struct census census;

    ck_assert(census_begin(&census, QB_FORMAT_F32) && census_count(&census, words, 3));
    ck_assert_uint_eq(census.finite, 0);
    ck_assert_uint_eq(census.nan, 2);
    ck_assert_uint_eq(census.infinite, 1);
    ck_assert(census_is_exact(&census) && census.low == 0 && census.high == 0);
    census_end(&census);
}
END_TEST

/* More than one piece, which several threads count. */
START_TEST(many_elements)
{
    const uint64_t count = (UINT64_C(1) << 18) * 3 + 17;
    uint16_t *halves = malloc(count * sizeof *halves);
    struct census census;

    ck_assert_ptr_nonnull(halves);
    for (uint64_t i = 0; i < count; i++) {
        halves[i] = (uint16_t)(i % 5);
    }
    ck_assert(census_begin(&census, QB_FORMAT_BF16) && census_count(&census, halves, count));
    ck_assert_uint_eq(census.finite, count);
    for (uint64_t key = 0; key < 5; key++) {
        ck_assert_uint_eq(census.counts[key], count / 5 + (key < count % 5));
    }
    census_end(&census);
    free(halves);
}
END_TEST

/* As many as leave the share, and exactly so: 99.99 has no exact value in binary. */
START_TEST(cuts)
{
    ck_assert_uint_eq(census_cut(10000, 9999000, 1), 1);
    ck_assert_uint_eq(census_cut(9999, 9999000, 1), 0);
    ck_assert_uint_eq(census_cut(20000, 9999000, 2), 1);
    ck_assert_uint_eq(census_cut(19999, 9999000, 2), 0);
    ck_assert_uint_eq(census_cut(1000, 10000000, 1), 0);
    ck_assert_uint_eq(census_cut(1000, 5000000, 1), 500);
    ck_assert_uint_eq(census_cut(UINT64_C(1) << 60, 5000000, 1), UINT64_C(1) << 59);
    ck_assert_uint_eq(census_cut(UINT64_C(10000000000000), 9999999, 1), 1000000);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("census");
    TCase *tc = patient_case("counts");

    tcase_add_test(tc, ranks_of_each_format);
    tcase_add_test(tc, float_of_few_bits);
    tcase_add_test(tc, nothing_finite);
    tcase_add_test(tc, many_elements);
    tcase_add_test(tc, cuts);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
