/* SPDX-License-Identifier: Apache-2.0 */
/* check_starvation.c - how long threads waited for a CPU, by files that look like the kernel's. */
#include <config.h>

#include "run.h"
#include "base/starvation.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char root[] = "starvation.XXXXXX";

static void make_folder(const char *name)
{
    char path[256];

    snprintf(path, sizeof path, "%s%s", root, name);
    ck_assert_int_eq(mkdir(path, 0700), 0);
}

/* The thread TASK of process 7 has waited for this many milliseconds. */
static void write_task(int task, unsigned long milliseconds)
{
    char path[256];
    FILE *file;

    snprintf(path, sizeof path, "%s/7/task/%d/schedstat", root, task);
    file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    fprintf(file, "123456789 %lu 42\n", milliseconds * 1000000);
    fclose(file);
}

START_TEST(longest_wait_counts)
{
    struct starvation s = {.pid = 7};

    ck_assert_ptr_nonnull(mkdtemp(root));
    make_folder("/7");
    make_folder("/7/task");
    make_folder("/7/task/7");
    make_folder("/7/task/8");
    write_task(7, 5000);
    write_task(8, 9000);
    ck_assert(starvation_look_in(root, &s) == 0); /* what was before the first look is not counted */
    write_task(7, 5500);
    write_task(8, 9250);
    ck_assert(starvation_look_in(root, &s) == 0.5);
    write_task(8, 9500);
    ck_assert(starvation_look_in(root, &s) == 0.75);
    make_folder("/7/task/9");
    write_task(9, 8000); /* it is new */
    ck_assert(starvation_look_in(root, &s) == 0.75);
    write_task(7, 0); /* another thread of the same number */
    ck_assert(starvation_look_in(root, &s) == 0.75);
    starvation_end(&s);
}
END_TEST

START_TEST(unknown_is_nothing)
{
    struct starvation s = {.pid = 7};

    ck_assert(starvation_look_in("/nonexistent", &s) == 0);
    ck_assert(starvation_look_in("/nonexistent", &s) == 0);
    starvation_end(&s);
}
END_TEST

static void remove_root(void)
{
    char command[64];

    snprintf(command, sizeof command, "rm -rf '%s'", root);
    ck_assert_int_eq(system(command), 0);
}

int main(void)
{
    Suite *suite = suite_create("starvation");
    TCase *tc = patient_case("starvation");

    tcase_add_checked_fixture(tc, NULL, remove_root);
    tcase_add_test(tc, longest_wait_counts);
    tcase_add_test(tc, unknown_is_nothing);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
