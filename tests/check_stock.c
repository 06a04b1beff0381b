/* SPDX-License-Identifier: Apache-2.0 */
/* check_stock.c - sets that are kept from visit to visit: who shares them, which go, and that they are cold again. */
#include <config.h>

#include "measure/stock.h"
#include "run.h"

#include <string.h>

#define ROWS    8
#define COLUMNS 512
/* The cache lines of a set, for these tests. */
#define LINES 16384

static struct device device;
static struct qb_queue *queue;
static struct stock stock;
static struct plan_case cases[3];
static struct sizes sizes[3];
static uint16_t values[ROWS * COLUMNS];
static float scale = 1;
static void *given[QB_ROLE_COUNT];
static struct case_data data;

/* The library, a stock, and three cases: INT8 twice, and FP8. */
static void setup(void)
{
    device.info.size = sizeof device.info;
    ck_assert_int_eq(qb_device_open(qb_backend_find("cpu"), 0, &device.handle), QB_OK);
    ck_assert_int_eq(qb_device_info(device.handle, &device.info), QB_OK);
    ck_assert_int_eq(qb_queue_create(device.handle, &queue), QB_OK);
    stock = (struct stock){.budget = (uint64_t)1 << 30};
    data.at[QB_ROLE_INPUT] = values;
    given[QB_ROLE_SCALES] = &scale;
    for (int i = 0; i < 3; i++) {
        cases[i] = (struct plan_case){.device = &device, .threads = 1};
        qb_problem_init(&cases[i].problem);
        cases[i].problem.scaling = QB_SCALING_STATIC;
        cases[i].problem.output = i == 2 ? QB_FORMAT_E4M3 : QB_FORMAT_INT8;
        cases[i].problem.tokens = ROWS;
        cases[i].problem.hidden = COLUMNS;
        sizes[i] = sizes_of(&cases[i].problem);
    }
}

static void teardown(void)
{
    stock_free(&stock);
    qb_queue_destroy(queue);
    qb_device_close(device.handle);
}

/* COUNT sets of case INDEX; FRESH says whether they are new. */
static struct stock_sets *take(int index, unsigned count, bool *fresh)
{
    const struct stock_contents contents = {.plan_case = &cases[index],
                                            .given = given,
                                            .data = &data,
                                            .bytes = &sizes[index],
                                            .count = count,
                                            .lines = LINES};
    struct stock_sets *sets = NULL;

    ck_assert_int_eq(stock_take(&stock, &contents, queue, &sets, fresh), QB_OK);
    return sets;
}

START_TEST(cases_with_the_same_tensors_share_sets)
{
    bool fresh;
    struct stock_sets *first = take(0, 4, &fresh);

    ck_assert(fresh);
    ck_assert_ptr_eq(take(0, 4, &fresh), first);
    ck_assert(!fresh);
    ck_assert_ptr_eq(take(1, 4, &fresh), first);
    ck_assert(!fresh);
    /* Other codes, another number, and in the end other scales. */
    ck_assert_ptr_ne(take(2, 4, &fresh), first);
    ck_assert(fresh);
    ck_assert_ptr_ne(take(0, 5, &fresh), first);
    ck_assert(fresh);
    ck_assert_uint_eq(stock.count, 3);
}
END_TEST

START_TEST(other_inputs_are_other_tensors)
{
    static const char names[2];
    bool fresh;
    struct stock_sets *first;

    cases[0].tensor = (const struct tensor *)(const void *)&names[0];
    cases[1].tensor = (const struct tensor *)(const void *)&names[1];
    first = take(0, 4, &fresh);
    ck_assert_ptr_ne(take(1, 4, &fresh), first);
    ck_assert(fresh);
    ck_assert_ptr_eq(take(0, 4, &fresh), first);
    ck_assert(!fresh);
}
END_TEST

/* The first code of set I. */
static uint8_t code_of(const struct stock_sets *sets, unsigned i)
{
    uint8_t code;

    ck_assert_int_eq(qb_memory_read(device.handle, &code, buffers_set(&sets->buffers, i).at[QB_ROLE_CODES], 1), QB_OK);
    return code;
}

START_TEST(a_part_of_the_sets_is_poisoned)
{
    bool fresh;
    const struct stock_sets *sets = take(0, 4, &fresh);
    const struct buffers part = buffers_part(&sets->buffers, 1, 2);
    const uint8_t written = 1;

    for (unsigned i = 0; i < 4; i++) {
        ck_assert_uint_eq(code_of(sets, i), VERIFY_POISON);
        ck_assert_int_eq(qb_memory_write(device.handle, buffers_set(&sets->buffers, i).at[QB_ROLE_CODES], &written, 1),
                         QB_OK);
    }
    ck_assert_int_eq(buffers_poison(&part, &cases[0].problem), QB_OK);
    for (unsigned i = 0; i < 4; i++) {
        ck_assert_uint_eq(code_of(sets, i), i == 1 || i == 2 ? VERIFY_POISON : written);
    }
    /* The inputs are as they were. */
    for (unsigned i = 0; i < 4; i++) {
        uint16_t read[ROWS * COLUMNS];

        ck_assert_int_eq(
            qb_memory_read(device.handle, read, buffers_set(&sets->buffers, i).at[QB_ROLE_INPUT], sizeof read), QB_OK);
        ck_assert_int_eq(memcmp(read, values, sizeof values), 0);
    }
}
END_TEST

START_TEST(sets_that_are_dropped_are_filled_again)
{
    bool fresh;

    stock_drop(&stock, take(0, 4, &fresh));
    ck_assert_uint_eq(stock.held, 0);
    take(0, 4, &fresh);
    ck_assert(fresh);
}
END_TEST

START_TEST(other_scales_are_other_tensors)
{
    float other = 2;
    void *others[QB_ROLE_COUNT] = {NULL};
    const struct stock_contents contents = {
        .plan_case = &cases[0], .given = others, .data = &data, .bytes = &sizes[0], .count = 4, .lines = LINES};
    struct stock_sets *first, *second;
    bool fresh;

    others[QB_ROLE_SCALES] = &other;
    first = take(0, 4, &fresh);
    ck_assert_int_eq(stock_take(&stock, &contents, queue, &second, &fresh), QB_OK);
    ck_assert(fresh);
    ck_assert_ptr_ne(first, second);
    ck_assert_int_eq(memcmp(second->buffers.bytes.of, sizes[0].of, sizeof sizes[0].of), 0);
}
END_TEST

/* What a test puts into the sets is what a launch will read. */
START_TEST(sets_hold_what_launches_read)
{
    struct stock_sets *sets;
    bool fresh;

    for (size_t i = 0; i < ROWS * COLUMNS; i++) {
        values[i] = (uint16_t)(i * 7);
    }
    scale = 0.5f;
    sets = take(0, 3, &fresh);
    for (unsigned set = 0; set < 3; set++) {
        const struct qb_tensors tensors = buffers_set(&sets->buffers, set);

        ck_assert_int_eq(memcmp(tensors.at[QB_ROLE_INPUT], values, sizeof values), 0);
        ck_assert_int_eq(memcmp(tensors.at[QB_ROLE_SCALES], &scale, sizeof scale), 0);
    }
}
END_TEST

/* Those that were used longest ago go first, and what is held stays within the budget. */
START_TEST(the_budget_is_kept)
{
    struct stock_sets *newest;
    uint64_t one;
    bool fresh;

    take(0, 4, &fresh);
    one = stock.held;
    stock.budget = 2 * one;
    take(2, 4, &fresh);
    take(0, 4, &fresh);
    newest = take(0, 3, &fresh); /* INT8's were used after FP8's */
    ck_assert(fresh);
    ck_assert_uint_le(stock.held, stock.budget);
    take(0, 4, &fresh);
    ck_assert(!fresh);
    ck_assert_ptr_eq(take(0, 3, &fresh), newest);
    ck_assert(!fresh);
    take(2, 4, &fresh);
    ck_assert(fresh);
}
END_TEST

/* Where all sets of a rotation are held, nothing else needs to pass. */
START_TEST(a_whole_rotation_passes_by_itself)
{
    enum { COUNT = 16 };
    bool fresh;
    struct stock_sets *sets = take(0, COUNT, &fresh);

    stock_note(&stock, sets, 0, COUNT);
    for (uint64_t i = 0; i < 3 * COUNT; i += 4) {
        const uint64_t before = stock.traffic;

        ck_assert_int_eq(stock_reach(&stock, sets, queue, COUNT, i % COUNT, 4), QB_OK);
        ck_assert_uint_eq(stock.traffic - before, 4 * LINES);
        ck_assert_uint_eq(sets->next, (i + 4) % COUNT);
    }
}
END_TEST

/* Where fewer are held, a set is launched into when a rotation's bytes have passed since the last time. */
START_TEST(other_bytes_pass_before_a_set_is_cold)
{
    enum { COUNT = 8, ROTATION = 1000 };
    bool fresh;
    struct stock_sets *sets = take(0, COUNT, &fresh);

    ck_assert_int_eq(stock_make_room(&stock, device.handle, (uint64_t)16 << 20, 1), QB_OK);
    stock_note(&stock, sets, 0, COUNT);
    for (uint64_t i = 0; i < 5 * COUNT; i++) {
        const uint64_t last = sets->passed[i % COUNT];

        ck_assert_int_eq(stock_reach(&stock, sets, queue, ROTATION, i % COUNT, 1), QB_OK);
        ck_assert_uint_ge(stock.traffic - last, (uint64_t)ROTATION * LINES);
        ck_assert_uint_eq(sets->passed[i % COUNT], stock.traffic);
    }
}
END_TEST

/* What other cases launched meanwhile counts. */
START_TEST(bytes_of_other_cases_count)
{
    enum { COUNT = 4, ROTATION = 12 };
    bool fresh;
    struct stock_sets *ours = take(0, COUNT, &fresh), *theirs = take(2, ROTATION, &fresh);
    uint64_t before;

    stock_note(&stock, ours, 0, COUNT);
    stock_note(&stock, theirs, 0, ROTATION);
    before = stock.traffic;
    ck_assert_int_eq(stock_reach(&stock, ours, queue, ROTATION, 0, COUNT), QB_OK);
    ck_assert_uint_eq(stock.traffic - before, COUNT * LINES);
    /* There is no room for more to pass through. */
    ck_assert_int_eq(stock_reach(&stock, ours, queue, ROTATION, 0, COUNT), QB_ERROR_MEMORY);
}
END_TEST

START_TEST(room_grows_and_is_filled_once)
{
    uint64_t before;

    ck_assert_int_eq(stock_make_room(&stock, device.handle, (uint64_t)4 << 20, 1), QB_OK);
    ck_assert_uint_ge(stock.room.filled, (uint64_t)4 << 20);
    before = stock.traffic;
    ck_assert_int_eq(stock_make_room(&stock, device.handle, (uint64_t)4 << 20, 1), QB_OK);
    ck_assert_uint_eq(stock.traffic, before);
    ck_assert_int_eq(stock_make_room(&stock, device.handle, (uint64_t)32 << 20, 1), QB_OK);
    ck_assert_uint_ge(stock.room.filled, (uint64_t)32 << 20);
    ck_assert_uint_eq(stock.held, stock.room.bytes);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("stock");
    TCase *tc = patient_case("stock");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, cases_with_the_same_tensors_share_sets);
    tcase_add_test(tc, other_scales_are_other_tensors);
    tcase_add_test(tc, other_inputs_are_other_tensors);
    tcase_add_test(tc, a_part_of_the_sets_is_poisoned);
    tcase_add_test(tc, sets_that_are_dropped_are_filled_again);
    tcase_add_test(tc, sets_hold_what_launches_read);
    tcase_add_test(tc, the_budget_is_kept);
    tcase_add_test(tc, a_whole_rotation_passes_by_itself);
    tcase_add_test(tc, other_bytes_pass_before_a_set_is_cold);
    tcase_add_test(tc, bytes_of_other_cases_count);
    tcase_add_test(tc, room_grows_and_is_filled_once);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
