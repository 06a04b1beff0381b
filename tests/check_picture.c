/* SPDX-License-Identifier: Apache-2.0 */
/* check_picture.c - names of others stay text in a gnuplot script, and the pictures that a record has. */
#include <config.h>

#include "base/memory_stream.h"
#include "report/picture.h"
#include "run.h"

#include <math.h>
#include <string.h>

/* Return TEXT in single quotes. */
static const char *quoted(const char *text)
{
    static char result[1024];
    struct memory_stream memory;

    ck_assert(memory_stream_open(&memory));
    picture_quote(text, memory.stream);
    ck_assert(memory_stream_close(&memory));
    ck_assert_uint_lt(memory.length, sizeof result);
    memcpy(result, memory.bytes, memory.length + 1);
    memory_stream_free(&memory);
    return result;
}

START_TEST(quotes_hold_any_text)
{
    ck_assert_str_eq(quoted(""), "''");
    ck_assert_str_eq(quoted("cpu_avx512"), "'cpu_avx512'");
    ck_assert_str_eq(quoted("it's"), "'it'.\"'\".'s'");
    ck_assert_str_eq(quoted("''x"), "''.\"'\".''.\"'\".'x'");
    ck_assert_str_eq(quoted("`id` $(id) \"x\" @a {b} \\"), "'`id` $(id) \"x\" @a {b} \\'");
    /* No line ends in a string, and no terminal obeys it. */
    ck_assert_str_eq(quoted("a\nEOD\r\tb\033[1m"), "'a EOD  b [1m'");
    ck_assert_str_eq(quoted("\x7f"), "'?'");
    /* XML has no such end in its text. */
    ck_assert_str_eq(quoted("a]]>b]>"), "'a]] >b]>'");
}
END_TEST

/* gnuplot takes these labels for formats of a number. */
START_TEST(labels_of_an_axis_are_not_formats)
{
    struct memory_stream memory;

    ck_assert(memory_stream_open(&memory));
    picture_tic(0, "100 %n", memory.stream);
    picture_tic(1, "a'%", memory.stream);
    ck_assert(memory_stream_close(&memory));
    ck_assert_str_eq(memory.bytes, "'100 %%n' 1, 'a'.\"'\".'%%' 2");
    memory_stream_free(&memory);
}
END_TEST

START_TEST(quotes_hold_utf8_only)
{
    ck_assert_str_eq(quoted("\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80"), "'\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80'");
    ck_assert_str_eq(quoted("\xe4"), "'?'");
    ck_assert_str_eq(quoted("\xe2\x82"), "'?"
                                         "?'");
    ck_assert_str_eq(quoted("\xc0\xa7x"), "'??x'"); /* a quote in more bytes than it takes */
    ck_assert_str_eq(quoted("\xed\xa0\x80"), "'??"
                                             "?'"); /* half of a pair of UTF-16 */
    ck_assert_str_eq(quoted("\xf4\x90\x80\x80"), "'???"
                                                 "?'"); /* beyond the last character */
    ck_assert_str_eq(quoted("\xff'"), "'?'.\"'\".''");
    ck_assert_str_eq(quoted("\xc2\x9b"), "'?'");     /* the control sequence introducer */
    ck_assert_str_eq(quoted("\xe2\x80\xae"), "'?'"); /* reverses the line */
    ck_assert_str_eq(quoted("\xef\xbf\xbf"), "'?'"); /* is not a character of XML */
}
END_TEST

START_TEST(long_names_are_cut_off)
{
    char name[200] = "", want[PICTURE_LABEL + 8];

    memset(name, 'x', PICTURE_LABEL);
    snprintf(want, sizeof want, "'%s'", name);
    ck_assert_str_eq(quoted(name), want);
    snprintf(want, sizeof want, "'%s...'", name);
    name[PICTURE_LABEL] = 'x';
    ck_assert_str_eq(quoted(name), want);
}
END_TEST

static const struct qb_device_info cpu = {.id = "cpu"};
static char kernel[] = "cpu_generic", title[] = "weight";
static struct record_tensor tensor = {.title = title};

/* A case with a time of 2 microseconds, and a ceiling of half of that. */
static struct record_case some_case(uint64_t tokens)
{
    static double sample = 2000;
    struct record_case c = {.device = &cpu, .kernel = kernel, .threads = 2, .launch = LAUNCH_STREAM, .streams = 1};

    qb_problem_init(&c.problem);
    c.problem.tokens = tokens;
    c.problem.hidden = 8;
    c.found = (struct finding){
        .sample_count = 1,
        .samples = &sample,
        .checked.verification = VERIFIED,
        .time = {.median = 2000, .ci_low = 1000, .ci_high = 4000, .basis = STATS_BASIS_ROUNDS},
        .best_time = 1000,
        .has_quality = true,
        .checked.quality = {.finite = 32, .snr = 40.125},
    };
    return c;
}

START_TEST(a_share_has_its_interval)
{
    struct record_case c = some_case(4);
    struct picture_value share = picture_share_of(&c);

    ck_assert_double_eq_tol(share.value, 50, 1e-9);
    ck_assert_double_eq_tol(share.low, 25, 1e-9);
    ck_assert_double_eq_tol(share.high, 100, 1e-9);
    c.found.implausible = true;
    ck_assert(isnan(picture_share_of(&c).value));
    c.found.implausible = false;
    c.found.best_time = 0;
    ck_assert(isnan(picture_share_of(&c).value));
    c.found.sample_count = 0;
    ck_assert(isnan(picture_time_of(&c).value));
}
END_TEST

START_TEST(the_record_chooses_the_kind)
{
    struct record_case cases[2] = {some_case(4), some_case(8)};
    struct record_pair pair = {.count = 6};
    struct record record = {.cases = cases, .planned = 2, .described = 2, .count = 2};

    ck_assert_int_eq(picture_choose(&record), PICTURE_SHARE);
    record.planned = record.described = record.count = 1;
    ck_assert_int_eq(picture_choose(&record), PICTURE_SAMPLES);
    record.comparison = (struct record_comparison){.axis = COMPARE_DTYPES, .pairs = &pair, .count = 1};
    ck_assert_int_eq(picture_choose(&record), PICTURE_RATIO);
    pair.count = 0; /* without a result */
    record.planned = 2;
    ck_assert_int_eq(picture_choose(&record), PICTURE_SHARE);
    cases[0].found.best_time = 0;
    ck_assert_int_eq(picture_choose(&record), PICTURE_TIME);
    cases[0].found.sample_count = 0;
    record.rated_only = true;
    ck_assert_int_eq(picture_choose(&record), PICTURE_QUALITY);
    cases[0].tensor = &tensor;
    ck_assert_int_eq(picture_choose(&record), PICTURE_MODEL);
}
END_TEST

START_TEST(a_record_says_what_it_lacks)
{
    struct record_case cases[1] = {some_case(4)};
    struct record record = {.cases = cases, .planned = 1, .described = 1, .count = 1};

    ck_assert_ptr_null(picture_lack(&record, PICTURE_SHARE));
    ck_assert_ptr_null(picture_lack(&record, PICTURE_TIME));
    ck_assert_ptr_null(picture_lack(&record, PICTURE_SAMPLES));
    ck_assert_ptr_null(picture_lack(&record, PICTURE_QUALITY));
    ck_assert_ptr_nonnull(picture_lack(&record, PICTURE_RATIO));
    ck_assert_ptr_nonnull(picture_lack(&record, PICTURE_MODEL));
    record.count = 0;
    for (enum picture_kind kind = 0; kind < PICTURE_KINDS; kind++) {
        ck_assert_ptr_nonnull(picture_lack(&record, kind));
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("picture");
    TCase *cases = patient_case("picture");

    tcase_add_test(cases, quotes_hold_any_text);
    tcase_add_test(cases, labels_of_an_axis_are_not_formats);
    tcase_add_test(cases, quotes_hold_utf8_only);
    tcase_add_test(cases, long_names_are_cut_off);
    tcase_add_test(cases, a_share_has_its_interval);
    tcase_add_test(cases, the_record_chooses_the_kind);
    tcase_add_test(cases, a_record_says_what_it_lacks);
    suite_add_tcase(suite, cases);
    return run_suite(suite);
}
