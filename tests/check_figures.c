/* SPDX-License-Identifier: Apache-2.0 */
/* check_figures.c - the tables of figures: each has its place, its names, and goes to JSON and back unchanged. */
#include <config.h>

#include "model/figures.h"
#include "run.h"

#include <jansson.h>
#include <math.h>
#include <string.h>

/* A table and the struct that it is of. */
static const struct table {
    const struct figure *figures;
    const size_t *count;
    size_t size; /* of the struct */
} tables[] = {
    {figures_of_case, &figures_of_case_count, sizeof(struct finding)},
    {figures_of_round, &figures_of_round_count, sizeof(struct round)},
};
#define TABLES (sizeof tables / sizeof tables[0])

static union {
    struct finding finding;
    struct round round;
    unsigned char bytes[sizeof(struct finding)];
} from, to;

/* The bytes of FIGURE. */
static size_t bytes_of(const struct figure *figure)
{
    return figure->kind == FIGURE_INTERVAL ? 2 * sizeof(double) : figure->size;
}

START_TEST(every_figure_has_a_place_of_its_own)
{
    for (size_t t = 0; t < TABLES; t++) {
        for (size_t i = 0; i < *tables[t].count; i++) {
            const struct figure *a = &tables[t].figures[i];

            ck_assert(bytes_of(a) > 0 && a->offset + bytes_of(a) <= tables[t].size);
            for (size_t k = 0; k < i; k++) {
                const struct figure *b = &tables[t].figures[k];

                ck_assert_msg(a->offset + bytes_of(a) <= b->offset || b->offset + bytes_of(b) <= a->offset, "%s and %s",
                              a->name, b->name);
            }
        }
    }
}
END_TEST

static bool same(const char *a, const char *b)
{
    return a != NULL && b != NULL && strcmp(a, b) == 0;
}

START_TEST(no_two_figures_have_one_name)
{
    for (size_t t = 0; t < TABLES; t++) {
        for (size_t i = 0; i < *tables[t].count; i++) {
            const struct figure *a = &tables[t].figures[i];

            /* It is in some report; a counter has a group, since it is shown where that is known. */
            ck_assert((a->group == NULL) == (a->name == NULL));
            ck_assert(a->name != NULL || a->column != NULL);
            ck_assert(!a->is_counter || (a->group != NULL && (a->kind == FIGURE_REAL || a->kind == FIGURE_SIGNED)));
            ck_assert((a->kind == FIGURE_WORD) == (a->words != NULL));
            ck_assert((a->kind == FIGURE_INTERVAL && a->column != NULL) ==
                      (a->column != NULL && strstr(a->column, "%s") != NULL));
            for (size_t k = 0; k < i; k++) {
                const struct figure *b = &tables[t].figures[k];

                ck_assert(!(same(a->group, b->group) && same(a->name, b->name)) && !same(a->column, b->column));
            }
        }
    }
}
END_TEST

START_TEST(every_group_is_among_the_groups)
{
    for (size_t i = 0; i < figures_of_case_count; i++) {
        const char *group = figures_of_case[i].group;
        bool is_known = group == NULL || group[0] == '\0';

        for (size_t k = 0; figures_groups[k] != NULL && !is_known; k++) {
            is_known = strcmp(figures_groups[k], group) == 0;
        }
        ck_assert_msg(is_known, "%s", group);
    }
}
END_TEST

/* Give FIGURE of BASE the value that VALUE stands for, one that is known. */
static void set(const struct figure *figure, unsigned char *base, unsigned value)
{
    const double reals[2] = {value + 0.25, value + 0.5};
    const uint64_t count = value;
    const unsigned words = figure->kind == FIGURE_WORD ? 1 : figure->kind == FIGURE_TRUTH ? TRUTH_YES : value;

    if (figure->kind == FIGURE_TEXT) {
        memcpy(base + figure->offset, "text", sizeof "text");
    } else if (figure->kind == FIGURE_FLAG) {
        memcpy(base + figure->offset, &(bool){true}, sizeof(bool));
    } else if (figure->kind == FIGURE_REAL || figure->kind == FIGURE_SIGNED || figure->kind == FIGURE_INTERVAL) {
        memcpy(base + figure->offset, reals, bytes_of(figure));
    } else if (figure->size == sizeof count) {
        memcpy(base + figure->offset, &count, sizeof count);
    } else {
        ck_assert_uint_eq(figure->size, sizeof words);
        memcpy(base + figure->offset, &words, sizeof words);
    }
}

START_TEST(json_and_back)
{
    for (size_t t = 0; t < TABLES; t++) {
        for (size_t i = 0; i < *tables[t].count; i++) {
            const struct figure *figure = &tables[t].figures[i];
            char expected[FIGURE_EXPECTED_SIZE];
            json_t *value;

            memset(&from, 0, sizeof from);
            memset(&to, 0, sizeof to);
            set(figure, from.bytes, (unsigned)i + 1);
            ck_assert(figure_is_known(figure, &from));
            value = figure_to_json(figure, &from);
            ck_assert_msg(!json_is_null(value) && figure_from_json(figure, value, &to, expected), "%s", figure->name);
            ck_assert_msg(memcmp(&from, &to, sizeof from) == 0, "%s", figure->name);
            json_decref(value);
        }
    }
}
END_TEST

/* An unknown figure is null, and null, or nothing, is an unknown figure. */
START_TEST(unknown_figures_are_null)
{
    for (size_t t = 0; t < TABLES; t++) {
        for (size_t i = 0; i < *tables[t].count; i++) {
            const struct figure *figure = &tables[t].figures[i];
            const bool may_be_unknown =
                figure->unknown != UNKNOWN_NEVER || figure->kind == FIGURE_TRUTH || figure->kind == FIGURE_TEXT;
            char expected[FIGURE_EXPECTED_SIZE] = "";

            memset(&to, 0, sizeof to);
            set(figure, to.bytes, (unsigned)i + 1);
            ck_assert_msg(figure_from_json(figure, NULL, &to, expected) == may_be_unknown, "%s", figure->name);
            ck_assert_msg(figure_from_json(figure, json_null(), &to, expected) == may_be_unknown, "%s", figure->name);
            if (may_be_unknown) {
                ck_assert(!figure_is_known(figure, &to) && json_is_null(figure_to_json(figure, &to)));
            } else {
                ck_assert_msg(expected[0] != '\0', "%s", figure->name);
            }
        }
    }
}
END_TEST

START_TEST(values_of_other_kinds_are_refused)
{
    json_t *object = json_object();

    for (size_t t = 0; t < TABLES; t++) {
        for (size_t i = 0; i < *tables[t].count; i++) {
            const struct figure *figure = &tables[t].figures[i];
            const bool is_number = figure->kind == FIGURE_COUNT || figure->kind == FIGURE_UNSIGNED;
            char expected[FIGURE_EXPECTED_SIZE] = "";
            json_t *negative = json_integer(-1);

            ck_assert(!figure_from_json(figure, object, &to, expected) && expected[0] != '\0');
            ck_assert(!figure_from_json(figure, negative, &to, expected) == (figure->kind != FIGURE_SIGNED));
            json_decref(negative);
            if (is_number) {
                json_t *large = json_integer((json_int_t)INT32_MAX + 1);

                ck_assert(figure_from_json(figure, large, &to, expected) == (figure->size == sizeof(uint64_t)));
                json_decref(large);
            }
        }
    }
    json_decref(object);
}
END_TEST

START_TEST(reals_keep_12_digits)
{
    memset(&from, 0, sizeof from);
    from.finding.time.median = 1.0 / 3;
    from.finding.time.ci_low = 2.0 / 3;
    from.finding.time.ci_high = 4.0 / 3;
    from.finding.checked.quality.snr = INFINITY;
    figures_keep_digits(figures_of_case, figures_of_case_count, &from);
    ck_assert(from.finding.time.median == 0.333333333333 && from.finding.time.ci_low == 0.666666666667 &&
              from.finding.time.ci_high == 1.33333333333 && isinf(from.finding.checked.quality.snr));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("figures");
    TCase *tc = patient_case("figures");

    tcase_add_test(tc, every_figure_has_a_place_of_its_own);
    tcase_add_test(tc, no_two_figures_have_one_name);
    tcase_add_test(tc, every_group_is_among_the_groups);
    tcase_add_test(tc, json_and_back);
    tcase_add_test(tc, unknown_figures_are_null);
    tcase_add_test(tc, values_of_other_kinds_are_refused);
    tcase_add_test(tc, reals_keep_12_digits);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
