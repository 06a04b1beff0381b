/* SPDX-License-Identifier: Apache-2.0 */
/* check_disturbance.c - what counts as a disturbance, with counters that the test invents; and that the system's own
 * are read. */
#include <config.h>

#include "measure/disturbance.h"
#include "run.h"

#include <math.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct disturbance_snapshot quiet = {
    .preemptions = 3, .page_faults = 1000, .migrations = 5, .time = 1e9, .own = 2e8, .busy = 5e8, .stolen = 3e7};

START_TEST(nothing_happened)
{
    struct disturbance_snapshot after = quiet;
    struct disturbance d;

    after.time += 1e6;
    after.own += 1e6;
    d = disturbance_between(&quiet, &after);
    ck_assert(d.preemptions == 0 && d.page_faults == 0 && d.migrations == 0 && d.stolen == 0);
    ck_assert(isnan(d.others)); /* a millisecond is far below a tick */
}
END_TEST

START_TEST(each_counter_is_told)
{
    struct disturbance_snapshot after[4] = {quiet, quiet, quiet, quiet};

    after[0].preemptions += 1;
    after[1].page_faults += 2;
    after[2].migrations += 3;
    after[3].stolen += 1e7;
    for (int i = 0; i < 4; i++) {
        struct disturbance d = disturbance_between(&quiet, &after[i]);

        ck_assert_uint_eq(d.preemptions, i == 0 ? 1 : 0);
        ck_assert_uint_eq(d.page_faults, i == 1 ? 2 : 0);
        ck_assert_uint_eq(d.migrations, i == 2 ? 3 : 0);
        ck_assert_double_eq(d.stolen, i == 3 ? 1e7 : 0);
    }
}
END_TEST

/* A preemption may take a millisecond, a page fault a microsecond; a percent of the sample is what matters. */
START_TEST(what_a_sample_loses)
{
    const struct disturbance_glance before = {10, 1000}, preempted = {11, 1000}, faults = {10, 1005};

    ck_assert(!disturbance_is_material(&before, &before, 1));
    ck_assert(disturbance_is_material(&before, &preempted, 99e6));
    ck_assert(!disturbance_is_material(&before, &preempted, 101e6));
    ck_assert(disturbance_is_material(&before, &faults, 499e3));
    ck_assert(!disturbance_is_material(&before, &faults, 501e3));
}
END_TEST

/* Two seconds in which the CPUs were busy for three, one and a half of them ours. */
START_TEST(the_load_of_others)
{
    struct disturbance_snapshot after = quiet;
    struct disturbance d;

    after.time += 2e9;
    after.busy += 3e9;
    after.own += 1.5e9;
    d = disturbance_between(&quiet, &after);
    ck_assert_double_eq(d.others, 0.75);
    /* Ticks are coarse: our own time may be ahead of the busy time. */
    after.busy = quiet.busy + 1e9;
    ck_assert_double_eq(disturbance_between(&quiet, &after).others, 0);
}
END_TEST

/* The migrations of a thread that has ended are no longer in the sum. */
START_TEST(counters_that_fall)
{
    struct disturbance_snapshot after = quiet;
    struct disturbance d;

    after.migrations = 1;
    after.stolen = 0;
    d = disturbance_between(&quiet, &after);
    ck_assert(d.migrations == 0 && d.stolen == 0);
}
END_TEST

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");

    ck_assert_ptr_nonnull(file);
    fputs(text, file);
    ck_assert_int_eq(fclose(file), 0);
}

/* A /proc of our own, of 1024 CPUs. */
START_TEST(files_are_read)
{
    static const char *const folders[] = {"proc", "proc/self", "proc/self/task", "proc/self/task/1",
                                          "proc/self/task/2"};
    char base[] = "disturbance.XXXXXX", path[128];
    struct disturbance_snapshot s;
    double all;
    FILE *stat_file;

    ck_assert_ptr_nonnull(mkdtemp(base));
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        snprintf(path, sizeof path, "%s/%s", base, folders[i]);
        ck_assert_int_eq(mkdir(path, 0700), 0);
    }
    snprintf(path, sizeof path, "%s/proc/stat", base);
    stat_file = fopen(path, "w");
    ck_assert_ptr_nonnull(stat_file);
    fputs("cpu  9 9 9 9 9 9 9 9 9 9\n", stat_file);
    for (int cpu = 0; cpu < 1024; cpu++) {
        fprintf(stat_file, "cpu%d 1 2 4 1000 2000 8 16 32 64 128\n", cpu);
    }
    fputs("intr 12345\n", stat_file);
    ck_assert_int_eq(fclose(stat_file), 0);
    snprintf(path, sizeof path, "%s/proc/self/task/1/sched", base);
    write_file(path, "quantbench (1, #threads: 2)\nse.nr_migrations      :          7\nnr_switches : 100\n");
    snprintf(path, sizeof path, "%s/proc/self/task/2/sched", base);
    write_file(path, "se.nr_migrations      :          4\n");

    snprintf(path, sizeof path, "%s/proc", base);
    disturbance_snapshot_from(path, &s);
    ck_assert_uint_eq(s.migrations, 11);
    /* busy is 1 + 2 + 4 + 8 + 16 for each CPU, and steal 32. */
    ck_assert(s.busy > 0 && s.stolen > 0);
    ck_assert_double_eq(s.busy * 32, s.stolen * 31);
    all = s.stolen;
    ck_assert(disturbance_watch((const unsigned[]){3, 1000}, 2));
    disturbance_snapshot_from(path, &s);
    ck_assert_double_eq(s.stolen * 512, all);
    ck_assert(disturbance_watch(NULL, 0));

    snprintf(path, sizeof path, "rm -rf '%s'", base);
    ck_assert_int_eq(system(path), 0);
    snprintf(path, sizeof path, "%s/nowhere", base);
    disturbance_snapshot_from(path, &s);
    ck_assert(s.migrations == DISTURBANCE_UNKNOWN && isnan(s.busy) && isnan(s.stolen));
    ck_assert(disturbance_between(&s, &s).migrations == DISTURBANCE_UNKNOWN);
    ck_assert(isnan(disturbance_between(&s, &s).stolen));
}
END_TEST

/* A page that is touched for the first time is a page fault of this process. */
START_TEST(a_page_fault_is_seen)
{
    struct disturbance_snapshot before, after;
    struct disturbance_glance first, second;
    size_t size = (size_t)sysconf(_SC_PAGESIZE);
    char *page = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    ck_assert(page != MAP_FAILED);
    disturbance_snapshot(&before);
    disturbance_glance(&first);
    page[0] = 1;
    disturbance_glance(&second);
    disturbance_snapshot(&after);
    ck_assert_uint_ge(second.page_faults, first.page_faults + 1);
    ck_assert(disturbance_between(&before, &after).page_faults >= 1);
    ck_assert(after.time > before.time);
    munmap(page, size);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("disturbance");
    TCase *tc = patient_case("disturbance");

    tcase_add_test(tc, nothing_happened);
    tcase_add_test(tc, each_counter_is_told);
    tcase_add_test(tc, what_a_sample_loses);
    tcase_add_test(tc, the_load_of_others);
    tcase_add_test(tc, counters_that_fall);
    tcase_add_test(tc, files_are_read);
    tcase_add_test(tc, a_page_fault_is_seen);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
