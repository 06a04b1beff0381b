/* SPDX-License-Identifier: Apache-2.0 */
/* check_fleet.c - the verdicts on many devices. The records are made from seeds, so that it is known which devices are
 * slow, wrong or disturbed, and the names must be exactly these. */
#include <config.h>

#include "run.h"
#include "base/scan.h"
#include "cases/input.h"
#include "fleet/fleet.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <string.h>

#define ROUNDS   10
#define PER_NODE 8
#define MEDIAN   25000.0 /* nanoseconds */

/* ---- Records ----------------------------------------------------------------------------------------------------- */

/* What a device is like, and what was done to a measurement of it. */
struct made {
    size_t index;
    double factor;     /* of its time */
    double noise;      /* of a round; 0: 0.005 */
    double best;       /* what memory allows, nanoseconds; 0: not known */
    double clock;      /* MHz; 0: not known */
    const char *wrong; /* the first difference; NULL: none */
    bool failed;
    int rounds; /* 0: ROUNDS */
    const char *date, *driver, *name;
};

static uint64_t state;

static double uniform(void)
{
    return ((double)(input_random(state += INPUT_RANDOM_STEP) >> 11) + 0.5) / 9007199254740992.0;
}

static double normal(void)
{
    return sqrt(-2 * log(uniform())) * cos(2 * M_PI * uniform());
}

/* A round in 50 is disturbed. */
static double disturbance(void)
{
    const double hit = uniform(), size = -0.05 * log(uniform());

    return hit < 0.02 ? size : 0;
}

__attribute__((format(printf, 3, 4))) static size_t append(char *text, size_t length, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    length += (size_t)vsnprintf(text + length, 65536 - length, format, arguments);
    va_end(arguments);
    ck_assert_uint_lt(length, 65536);
    return length;
}

static const char * or (const char *text, const char *otherwise)
{
    return text != NULL ? text : otherwise;
}

/* Let FLEET have the record of MADE. */
static void add(struct fleet *fleet, const struct made *made)
{
    static char text[65536];
    const int rounds = made->failed || made->wrong != NULL ? 0 : made->rounds > 0 ? made->rounds : ROUNDS;
    size_t n = append(
        text, 0,
        "{\"schema\": \"quantbench-result\", \"schema_version\": 2, \"version\": \"1\", \"date\": \"%s\",\n"
        "\"argv\": [\"quantbench\"], \"host\": {\"name\": \"node%04zu\", \"system\": \"Linux\", \"cpus\": 64},\n"
        "\"seed\": 0, \"devices\": [{\"id\": \"cuda:%zu\", \"name\": \"%s\", \"isa\": \"sm_90\", \"driver\": \"%s\",\n"
        "\"runtime\": \"\", \"uuid\": \"GPU-%06zu\", \"pci\": \"\", \"memory_bytes\": 150000000000}],\n"
        "\"results\": [{\"problem\": {\"dtype\": \"half\"}, \"device\": \"cuda:%zu\", \"kernel\": \"k\",\n"
        "\"verification\": \"%s\", \"first_difference\": %s%s%s, \"exit_status\": %d, \"ceiling\": ",
        or (made->date, "2026-01-01T00:00:00Z"), made->index / PER_NODE, made->index % PER_NODE, or (made->name, "G"),
        or (made->driver, "1.0"), made->index, made->index % PER_NODE, made->wrong != NULL ? "WRONG" : "verified",
        made->wrong != NULL ? "\"" : "", or (made->wrong, "null"), made->wrong != NULL ? "\"" : "",
        made->wrong != NULL ? 4
        : made->failed      ? 3
                            : 0);

    n = made->best > 0 ? append(text, n, "{\"best_ns\": %.6f},\n", made->best) : append(text, n, "null,\n");
    n = append(text, n, "\"rounds\": [");
    for (int i = 0; i < rounds; i++) {
        const double noise = made->noise > 0 ? made->noise : 0.005;

        n = append(text, n, "%s{\"samples\": 10, \"median_ns\": %.6f", i > 0 ? ", " : "",
                   MEDIAN * made->factor * exp(noise * normal() + disturbance()));
        n = made->clock > 0 ? append(text, n, ", \"clock_mhz\": %.1f, \"throttle\": []}", made->clock)
                            : append(text, n, ", \"clock_mhz\": null, \"throttle\": null}");
    }
    n = append(text, n, "]}]}");
    ck_assert_ptr_null(fleet_take(fleet, text, n, "made"));
}

static void judge(struct fleet *fleet)
{
    ck_assert_int_eq(fleet_judge(fleet), EXIT_OK);
}

/* The device of number INDEX. */
static const struct fleet_device *device_of(const struct fleet *fleet, size_t index)
{
    char uuid[32];

    snprintf(uuid, sizeof uuid, "GPU-%06zu", index);
    for (size_t i = 0; i < fleet->device_count; i++) {
        if (strcmp(fleet->devices[i].uuid, uuid) == 0) {
            return &fleet->devices[i];
        }
    }
    ck_abort_msg("there is no device %zu", index);
    return NULL;
}

/* Factors of COUNT devices, as devices and nodes differ, from SEED; each one in 200 is slower by SLOWDOWN. */
static double *make_factors(size_t count, uint64_t seed, double slowdown)
{
    double *factors = calloc(count, sizeof *factors), node = 0;

    ck_assert_ptr_nonnull(factors);
    state = seed * 1000003;
    for (size_t i = 0; i < count; i++) {
        node = i % PER_NODE == 0 ? 0.003 * normal() : node;
        factors[i] = exp(0.005 * normal() + node) * (i % 200 == 37 ? 1 + slowdown : 1);
    }
    return factors;
}

/* Measure COUNT devices with FACTORS; those of DISTURBED_NODE take 1.04 times as long. */
static void measure(struct fleet *fleet, const double *factors, size_t count, size_t disturbed_node)
{
    for (size_t i = 0; i < count; i++) {
        add(fleet, &(struct made){.index = i, .factor = factors[i] * (i / PER_NODE == disturbed_node ? 1.04 : 1)});
    }
}

/* Measure again whoever is suspicious in FLEET, in MORE, which had the same first measurement. */
static void measure_again(const struct fleet *fleet, struct fleet *more, const double *factors)
{
    for (size_t i = 0; i < fleet->entry_count; i++) {
        if (fleet->entries[i].suspicious) {
            const size_t index = strtoul(fleet->devices[fleet->entries[i].device].uuid + 4, NULL, 10);

            add(more,
                &(struct made){.index = index, .factor = factors[index], .rounds = 20, .date = "2026-01-01T01:00:00Z"});
        }
    }
}

/* ---- Names ------------------------------------------------------------------------------------------------------- */

/* In a fleet of COUNT devices, of which some are slower by a tenth and one node is disturbed at first, exactly the slow
 * ones are suspects; and when they have been measured again they are SLOWER, and nobody else is. */
static void check_names(size_t count, uint64_t seed)
{
    double *factors = make_factors(count, seed, 0.10);
    struct fleet first = {.records = 0}, both = {.records = 0};
    size_t slow = 0;

    measure(&first, factors, count, 2);
    judge(&first);
    state = seed * 1000003 + 1;
    measure(&both, factors, count, 2);
    measure_again(&first, &both, factors);
    judge(&both);
    for (size_t i = 0; i < count; i++) {
        const bool is_slow = i % 200 == 37;
        const enum fleet_verdict before = device_of(&first, i)->verdict, after = device_of(&both, i)->verdict;

        slow += is_slow;
        if (is_slow) {
            ck_assert_msg(before == FLEET_SUSPECT && after == FLEET_SLOWER,
                          "%zu devices, seed %" PRIu64 ": %zu is %s, then %s", count, seed, i,
                          fleet_verdict_words[before], fleet_verdict_words[after]);
        } else {
            ck_assert_msg((before == FLEET_OK || i / PER_NODE == 2) && (after == FLEET_OK || after == FLEET_TRANSIENT),
                          "%zu devices, seed %" PRIu64 ": %zu is %s, then %s", count, seed, i,
                          fleet_verdict_words[before], fleet_verdict_words[after]);
        }
    }
    ck_assert_uint_eq(first.device_count, count);
    ck_assert_uint_eq(both.counts[FLEET_SLOWER], slow);
    ck_assert_int_eq(fleet_code(&both), EXIT_REGRESSION);
    ck_assert_int_eq(fleet_code(&first), EXIT_INCONCLUSIVE);
    fleet_free(&first);
    fleet_free(&both);
    free(factors);
}

START_TEST(names_of_64_devices)
{
    check_names(64, 1);
}
END_TEST

START_TEST(names_of_800_devices)
{
    check_names(800, 2);
}
END_TEST

START_TEST(names_of_10000_devices)
{
    check_names(10000, 3);
}
END_TEST

START_TEST(no_false_alarms)
{
    for (uint64_t seed = 1; seed <= 20; seed++) {
        double *factors = make_factors(800, seed, 0);
        struct fleet fleet = {.records = 0};

        measure(&fleet, factors, 800, SIZE_MAX);
        judge(&fleet);
        ck_assert_msg(fleet.counts[FLEET_OK] == 800, "seed %" PRIu64 ": %zu of 800 devices are OK", seed,
                      fleet.counts[FLEET_OK]);
        ck_assert_int_eq(fleet_code(&fleet), EXIT_OK);
        fleet_free(&fleet);
        free(factors);
    }
}
END_TEST

/* Slow by 5 %, hardly one is missed: fleets of 800 have 4 each. */
START_TEST(few_misses)
{
    size_t missed = 0, slow = 0;

    for (uint64_t seed = 1; seed <= 10; seed++) {
        double *factors = make_factors(800, seed, 0.05);
        struct fleet first = {.records = 0}, both = {.records = 0};

        measure(&first, factors, 800, SIZE_MAX);
        judge(&first);
        measure(&both, factors, 800, SIZE_MAX);
        measure_again(&first, &both, factors);
        judge(&both);
        slow += 4;
        missed += 4 - both.counts[FLEET_SLOWER];
        fleet_free(&first);
        fleet_free(&both);
        free(factors);
    }
    ck_assert_msg(missed * 20 <= slow, "%zu of %zu are missed", missed, slow);
}
END_TEST

/* ---- One device -------------------------------------------------------------------------------------------------- */

/* Sixteen devices, of which number 5 is as MADE says, others with their clock and what memory allows. */
static void fleet_with(struct fleet *fleet, struct made made)
{
    state = 77;
    *fleet = (struct fleet){.records = 0};
    for (size_t i = 0; i < 16; i++) {
        struct made usual = {.index = i, .factor = 1, .clock = 1900, .best = 20000};

        made.index = i;
        add(fleet, i == 5 ? &made : &usual);
    }
    judge(fleet);
}

static void check_one(struct made made, enum fleet_verdict verdict, enum fleet_cause cause, enum exit_code code)
{
    struct fleet fleet;

    fleet_with(&fleet, made);
    for (size_t i = 0; i < 16; i++) {
        const struct fleet_device *device = device_of(&fleet, i);

        ck_assert_str_eq(fleet_verdict_words[device->verdict], fleet_verdict_words[i == 5 ? verdict : FLEET_OK]);
        ck_assert_str_eq(fleet_cause_words[device->cause], fleet_cause_words[i == 5 ? cause : CAUSE_NONE]);
    }
    ck_assert_int_eq(fleet_code(&fleet), code);
    fleet_free(&fleet);
}

START_TEST(verdicts_and_causes)
{
    check_one((struct made){.factor = 1, .clock = 1900, .best = 20000}, FLEET_OK, CAUSE_NONE, EXIT_OK);
    check_one((struct made){.factor = 1.1, .clock = 1900, .best = 20000}, FLEET_SUSPECT, CAUSE_UNKNOWN,
              EXIT_INCONCLUSIVE);
    check_one((struct made){.factor = 1.1, .clock = 1500, .best = 20000}, FLEET_SUSPECT, CAUSE_POWER,
              EXIT_INCONCLUSIVE);
    check_one((struct made){.factor = 1.1, .clock = 1900, .best = 22000}, FLEET_SUSPECT, CAUSE_MEMORY,
              EXIT_INCONCLUSIVE);
    check_one((struct made){.factor = 1, .noise = 0.2}, FLEET_UNSTEADY, CAUSE_NONE, EXIT_REGRESSION);
    check_one((struct made){.factor = 1, .failed = true}, FLEET_NO_ANSWER, CAUSE_FAILED, EXIT_CANNOT_RUN);
    check_one((struct made){.factor = 1, .wrong = "code 7"}, FLEET_WRONG, CAUSE_NONE, EXIT_WRONG_RESULT);
}
END_TEST

START_TEST(first_difference_is_kept)
{
    struct fleet fleet;

    fleet_with(&fleet, (struct made){.factor = 1, .wrong = "code [3, 141]: 0x7f, not 0x7e"});
    ck_assert_str_eq(device_of(&fleet, 5)->wrong, "code [3, 141]: 0x7f, not 0x7e");
    fleet_free(&fleet);
}
END_TEST

START_TEST(faster_is_fine)
{
    check_one((struct made){.factor = 0.8, .clock = 1900, .best = 20000}, FLEET_OK, CAUSE_NONE, EXIT_OK);
}
END_TEST

/* All devices of one node of four. */
START_TEST(node_is_blamed)
{
    struct fleet fleet = {.records = 0};

    state = 5;
    for (size_t i = 0; i < 32; i++) {
        add(&fleet, &(struct made){.index = i, .factor = i / PER_NODE == 1 ? 1.1 : 1});
    }
    judge(&fleet);
    for (size_t i = 0; i < 32; i++) {
        ck_assert_int_eq(device_of(&fleet, i)->cause, i / PER_NODE == 1 ? CAUSE_NODE : CAUSE_NONE);
    }
    fleet_free(&fleet);
}
END_TEST

/* What was slow once and not again is TRANSIENT; what was never suspected and is slow now counts by the second time. */
START_TEST(second_measurement_counts)
{
    struct fleet fleet = {.records = 0};

    state = 6;
    for (size_t i = 0; i < 16; i++) {
        add(&fleet, &(struct made){.index = i, .factor = i == 3 || i == 4 ? 1.1 : 1});
    }
    for (size_t i = 3; i < 6; i++) {
        add(&fleet, &(struct made){.index = i, .factor = i == 4 ? 1.1 : 1, .date = "2026-01-02T00:00:00Z"});
    }
    judge(&fleet);
    ck_assert_int_eq(device_of(&fleet, 3)->verdict, FLEET_TRANSIENT);
    ck_assert_int_eq(device_of(&fleet, 4)->verdict, FLEET_SLOWER);
    ck_assert_int_eq(device_of(&fleet, 5)->verdict, FLEET_OK);
    ck_assert_int_eq(fleet_code(&fleet), EXIT_REGRESSION);
    fleet_free(&fleet);
}
END_TEST

START_TEST(too_little_gives_no_verdict)
{
    struct fleet fleet = {.records = 0};

    state = 7;
    for (size_t i = 0; i < 5; i++) {
        add(&fleet, &(struct made){.index = i, .factor = 1, .name = i < 2 ? "A" : "B"});
    }
    add(&fleet, &(struct made){.index = 5, .factor = 1, .name = "C"});
    judge(&fleet);
    ck_assert_uint_eq(fleet.group_count, 3);
    ck_assert_uint_eq(fleet.counts[FLEET_NO_VERDICT], 3);
    ck_assert_uint_eq(fleet.counts[FLEET_OK], 3);
    ck_assert_int_eq(fleet_code(&fleet), EXIT_INCONCLUSIVE);
    fleet_free(&fleet);
}
END_TEST

START_TEST(differences_are_named)
{
    struct fleet fleet = {.records = 0};

    state = 8;
    for (size_t i = 0; i < 16; i++) {
        add(&fleet, &(struct made){.index = i, .factor = 1, .driver = i == 9 ? "0.9" : "1.0"});
    }
    judge(&fleet);
    ck_assert_int_eq(fleet_compare_facts(&fleet), EXIT_OK);
    ck_assert_uint_eq(fleet.difference_count, 1);
    ck_assert_str_eq(fleet.differences[0].name, "driver");
    ck_assert_str_eq(fleet.differences[0].usual, "1.0");
    ck_assert_str_eq(fleet.differences[0].other, "0.9");
    ck_assert_uint_eq(fleet.differences[0].count, 1);
    ck_assert_str_eq(fleet.devices[fleet.differences[0].who[0]].uuid, "GPU-000009");
    fleet_free(&fleet);
}
END_TEST

/* ---- Statistics and texts ---------------------------------------------------------------------------------------- */

START_TEST(holm_corrects)
{
    double p[] = {0.01, 0.04, 0.03, 0.005}, *list[] = {&p[0], &p[1], &p[2], &p[3]};

    series_holm(list, 4);
    ck_assert(fabs(p[3] - 0.02) < 1e-12);
    ck_assert(fabs(p[0] - 0.03) < 1e-12);
    ck_assert(fabs(p[2] - 0.06) < 1e-12);
    ck_assert(fabs(p[1] - 0.06) < 1e-12); /* never less than the one before it */
}
END_TEST

/* The trimmed mean and its error, computed by hand: of 1 to 9 and 100 six are left, and two become 3 and two 8. */
START_TEST(outliers_do_not_count)
{
    double logs[] = {100, 1, 2, 3, 4, 5, 6, 7, 8, 9};
    const struct series_estimate e = series_of(logs, 10);

    ck_assert(fabs(e.mean - 5.5) < 1e-12);
    ck_assert_uint_eq(e.freedom, 5);
    ck_assert(fabs(e.variance - 42.5 / 9 * 9 / 30) < 1e-12);
    ck_assert(fabs(e.spread - 1.4826 * 2.5) < 1e-12);
}
END_TEST

static struct span span_of(const char *text)
{
    return (struct span){text, text + strlen(text)};
}

START_TEST(values_are_found)
{
    static const char *const names[] = {"a", "b", "c"};
    struct span values[3];
    char text[32];
    double number;

    ck_assert(scan_object(span_of("{\"x\": [1, {\"a\": 3}, \"]}\"], \"b\":\n\t\"q\\\"\\\\\", \"a\" : -2.5e1 }"), names,
                          3, values));
    ck_assert(scan_number(values[0], &number) && fabs(number + 25) < 1e-12);
    ck_assert(scan_string(values[1], text, sizeof text));
    ck_assert_str_eq(text, "q\"\\");
    ck_assert_ptr_null(values[2].at);
    ck_assert(!scan_number(values[1], &number) && !scan_string(values[0], text, sizeof text));
    ck_assert(scan_string(span_of("\"a\\u001b\\nb\""), text, sizeof text));
    ck_assert_str_eq(text, "a??b");
    ck_assert(scan_digest(span_of("{\"a\": [1,  2]}"), 0) == scan_digest(span_of("{ \"a\":[1,\n2] }"), 0));
    ck_assert(scan_digest(span_of("\"a b\""), 0) != scan_digest(span_of("\"ab\""), 0));
}
END_TEST

/* Each beginning of a record is not a record, and is read without harm. */
START_TEST(parts_are_refused)
{
    static const char text[] =
        "{\"schema\": \"quantbench-result\", \"schema_version\": 2, \"version\": \"1\", \"date\": \"d\", \"argv\": [],"
        "\"host\": {\"name\": \"n\", \"system\": \"s\", \"cpus\": 1}, \"devices\": [{\"id\": \"cpu\", \"name\": "
        "\"\\u00e9\"}],"
        "\"results\": [{\"problem\": {}, \"device\": \"cpu\", \"kernel\": \"k\", \"rounds\": [{\"median_ns\": 1.0}]}]}";

    for (size_t length = 0; length < sizeof text; length++) {
        char *part = malloc(length + 1);
        struct fleet fleet = {.records = 0};

        ck_assert_ptr_nonnull(part);
        memcpy(part, text, length);
        ck_assert((fleet_take(&fleet, part, length, "part") == NULL) == (length == sizeof text - 1));
        fleet_free(&fleet);
        free(part);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("fleet");
    TCase *tc = patient_case("fleet");

    suite_add_tcase(suite, tc);
    tcase_add_test(tc, names_of_64_devices);
    tcase_add_test(tc, names_of_800_devices);
    tcase_add_test(tc, names_of_10000_devices);
    tcase_add_test(tc, no_false_alarms);
    tcase_add_test(tc, few_misses);
    tcase_add_test(tc, verdicts_and_causes);
    tcase_add_test(tc, first_difference_is_kept);
    tcase_add_test(tc, faster_is_fine);
    tcase_add_test(tc, node_is_blamed);
    tcase_add_test(tc, second_measurement_counts);
    tcase_add_test(tc, too_little_gives_no_verdict);
    tcase_add_test(tc, differences_are_named);
    tcase_add_test(tc, holm_corrects);
    tcase_add_test(tc, outliers_do_not_count);
    tcase_add_test(tc, values_are_found);
    tcase_add_test(tc, parts_are_refused);
    return run_suite(suite);
}
