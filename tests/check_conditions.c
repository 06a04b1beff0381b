/* SPDX-License-Identifier: Apache-2.0 */
/* check_conditions.c - what devices say about themselves: the CPU from files that the test has made, a GPU from a
 * stand-in for NVIDIA's management library. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* sched_getaffinity() */
#endif
#include <config.h>

#include "nvml.h"
#include "run.h"

#include <dlfcn.h>
#include <ftw.h>
#include <sched.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- Files that stand in for /proc and /sys ------------------------------------------------------------------------
 */

static char root[64];

/* Write TEXT to PATH below the root, with the folders on the way. */
static void put(const char *path, const char *text)
{
    char whole[512];
    FILE *file;

    snprintf(whole, sizeof whole, "%s%s", root, path);
    for (char *slash = strchr(whole, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        mkdir(whole, 0777);
        *slash = '/';
    }
    file = fopen(whole, "w");
    ck_assert_ptr_nonnull(file);
    ck_assert_int_ge(fputs(text, file), 0);
    ck_assert_int_eq(fclose(file), 0);
}

/* The same for the file NAME of every CPU that this process may use. */
static void put_cpus(const char *name, const char *text)
{
    cpu_set_t set;

    ck_assert_int_eq(sched_getaffinity(0, sizeof set, &set), 0);
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        char path[128];

        snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%d/%s", cpu, name);
        if (CPU_ISSET(cpu, &set)) {
            put(path, text);
        }
    }
}

static int remove_one(const char *path, const struct stat *info, int type, struct FTW *place)
{
    (void)info, (void)type, (void)place;
    return remove(path);
}

static void make_root(void)
{
    strcpy(root, "quantbench-fsroot.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(root));
    ck_assert_int_eq(setenv("QUANTBENCH_FSROOT", root, 1), 0);
}

static void remove_root(void)
{
    nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    unsetenv("QUANTBENCH_FSROOT");
}

static struct qb_device *open_cpu(void)
{
    struct qb_device *device;

    ck_assert_int_eq(qb_device_open(qb_backend_find("cpu"), 0, &device), QB_OK);
    return device;
}

/* The value of the fact NAME among the COUNT of LIST. */
static const char *value_of(const struct qb_device_fact *list, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(list[i].name, name) == 0) {
            return list[i].value;
        }
    }
    ck_abort_msg("there is no fact %s", name);
    return NULL;
}

static const char *cpu_fact(const char *name)
{
    static struct qb_device_fact list[QB_DEVICE_FACTS];
    struct qb_device *device = open_cpu();
    size_t count;

    ck_assert_int_eq(qb_device_facts(device, list, QB_DEVICE_FACTS, &count), QB_OK);
    qb_device_close(device);
    return value_of(list, count, name);
}

/* ---- The CPU -------------------------------------------------------------------------------------------------------
 */

START_TEST(cpu_of_which_nothing_is_known)
{
    static const char *const from_system[] = {"cpus_online", "cpus_usable"};
    struct qb_device *device = open_cpu();
    struct qb_device_conditions c = {.size = sizeof c};
    struct qb_device_fact list[QB_DEVICE_FACTS];
    size_t count;

    ck_assert_int_eq(qb_device_conditions(device, &c), QB_OK);
    ck_assert(isnan(c.clock) && isnan(c.memory_clock) && isnan(c.power) && isnan(c.energy) && isnan(c.temperature));
    ck_assert_int_eq(c.performance_state, -1);
    ck_assert_uint_eq(c.throttle | c.throttle_known, 0);
    ck_assert_int_eq(qb_device_facts(device, list, QB_DEVICE_FACTS, &count), QB_OK);
    ck_assert_uint_ge(count, 10);
    for (size_t i = 0; i < count; i++) {
        const char *want = "unknown";

        for (int j = 0; j < 2; j++) {
            want = strcmp(list[i].name, from_system[j]) == 0 ? list[i].value : want;
        }
        ck_assert_msg(strcmp(list[i].value, want) == 0, "%s is '%s'", list[i].name, list[i].value);
    }
    ck_assert_int_eq(qb_device_facts(device, list, 3, &count), QB_OK);
    ck_assert_uint_eq(count, 3);
    qb_device_close(device);
}
END_TEST

START_TEST(cpu_conditions)
{
    struct qb_device_conditions c = {.size = sizeof c};
    struct qb_device *device;

    put_cpus("cpufreq/scaling_cur_freq", "3700000\n");
    put_cpus("thermal_throttle/core_throttle_count", "4\n");
    put_cpus("thermal_throttle/package_throttle_count", "0\n");
    put("/sys/class/hwmon/hwmon0/name", "nvme\n");
    put("/sys/class/hwmon/hwmon0/temp1_input", "99000\n");
    put("/sys/class/hwmon/hwmon1/name", "k10temp\n");
    put("/sys/class/hwmon/hwmon1/temp1_input", "51250\n");
    put("/sys/class/hwmon/hwmon2/name", "coretemp\n");
    put("/sys/class/hwmon/hwmon2/temp1_input", "48000\n");
    put("/sys/class/powercap/intel-rapl:0/energy_uj", "5000000\n");
    put("/sys/class/powercap/intel-rapl:1/energy_uj", "2000000\n");
    device = open_cpu();
    ck_assert_int_eq(qb_device_conditions(device, &c), QB_OK);
    ck_assert_double_eq(c.clock, 3700);
    ck_assert_double_eq(c.temperature, 51.25);
    ck_assert_double_eq(c.energy, 7000);
    ck_assert(isnan(c.power) && isnan(c.memory_clock));
    /* What was counted before the device was opened is not now. */
    ck_assert_uint_eq(c.throttle, 0);
    ck_assert_uint_eq(c.throttle_known, QB_THROTTLE_THERMAL);
    put_cpus("thermal_throttle/package_throttle_count", "1\n");
    ck_assert_int_eq(qb_device_conditions(device, &c), QB_OK);
    ck_assert_uint_eq(c.throttle, QB_THROTTLE_THERMAL);
    ck_assert_int_eq(qb_device_conditions(device, &c), QB_OK);
    ck_assert_uint_eq(c.throttle, 0);
    qb_device_close(device);
}
END_TEST

START_TEST(cpu_clock_of_a_virtual_machine)
{
    struct qb_device *device = open_cpu();
    struct qb_device_conditions c = {.size = sizeof c};

    put("/proc/cpuinfo", "processor : 0\ncpu MHz\t\t: 2500.5\nmodel name : x\nprocessor : 1\ncpu MHz\t\t: 2600.5\n");
    ck_assert_int_eq(qb_device_conditions(device, &c), QB_OK);
    ck_assert_double_eq(c.clock, 2550.5);
    qb_device_close(device);
}
END_TEST

START_TEST(cpu_facts)
{
    char free_blocks[32];

    put_cpus("cpufreq/scaling_governor", "powersave\n");
    put("/sys/devices/system/cpu/intel_pstate/no_turbo", "1\n");
    put("/sys/devices/system/cpu/cpufreq/boost", "1\n");
    put("/sys/devices/system/cpu/smt/active", "1\n");
    put("/sys/kernel/mm/transparent_hugepage/enabled", "always [madvise] never\n");
    put("/proc/loadavg", "1.25 0.5 0.25 3/117 3558\n");
    put("/proc/meminfo", "MemTotal:       1000 kB\nMemAvailable:    600 kB\n");
    put("/proc/buddyinfo", "Node 0, zone DMA 9 9 9 9 9 9 9 9 9 1 2\nNode 1, zone Normal 0 0 0 0 0 0 0 0 0 4 0\n");
    put("/proc/self/cgroup", "0::/job\n");
    put("/sys/fs/cgroup/job/cpu.max", "150000 100000\n");
    put("/sys/fs/cgroup/cpu.max", "800000 100000\n");
    put("/sys/fs/cgroup/job/memory.max", "512000\n");
    put("/sys/fs/cgroup/job/memory.current", "112000\n");
    put("/sys/fs/cgroup/job/memory.stat", "anon 1\ninactive_file 12000\n");
    ck_assert_str_eq(cpu_fact("governor"), "powersave");
    ck_assert_str_eq(cpu_fact("boost"), "off");
    ck_assert_str_eq(cpu_fact("smt"), "on");
    ck_assert_str_eq(cpu_fact("huge_pages"), "madvise");
    ck_assert_str_eq(cpu_fact("load_1min"), "1.25");
    ck_assert_str_eq(cpu_fact("other_tasks_running"), "2");
    ck_assert_str_eq(cpu_fact("cpu_quota"), "1.5");
    ck_assert_str_eq(cpu_fact("memory_bytes"), "1024000");
    ck_assert_str_eq(cpu_fact("memory_limit_bytes"), "512000");
    ck_assert_str_eq(cpu_fact("memory_available_bytes"), "412000");
    if (sysconf(_SC_PAGESIZE) == 4096) {
        snprintf(free_blocks, sizeof free_blocks, "%d", 1 + 2 * 2 + 4);
        ck_assert_str_eq(cpu_fact("huge_pages_free"), free_blocks);
    }
}
END_TEST

START_TEST(cpu_quota_of_version_1)
{
    put("/proc/self/cgroup", "7:memory:/\n5:cpu,cpuacct:/job\n");
    put("/sys/fs/cgroup/cpu/job/cpu.cfs_quota_us", "-1\n");
    put("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "50000\n");
    put("/sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n");
    ck_assert_str_eq(cpu_fact("cpu_quota"), "0.5");
    ck_assert_str_eq(cpu_fact("cpus_usable"), "1");
}
END_TEST

START_TEST(cpus_of_several_governors)
{
    put_cpus("cpufreq/scaling_governor", "performance\n");
    ck_assert_str_eq(cpu_fact("governor"), "performance");
    put("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "schedutil\n");
    if (strcmp(cpu_fact("cpus_usable"), "1") != 0) {
        ck_assert_str_eq(cpu_fact("governor"), "mixed");
    }
}
END_TEST

/* Of two pages, one lies in an area that is half of huge pages, and one in an area of the pool. */
START_TEST(memory_in_huge_pages)
{
    struct qb_device *device = open_cpu();
    uint64_t huge = 7, page = (uint64_t)2 << 20;

    ck_assert_int_eq(qb_memory_in_huge_pages(device, (void *)(uintptr_t)0x10000000, 2 * page, &huge),
                     QB_ERROR_UNSUPPORTED); /* the system does not tell */
    ck_assert_uint_eq(huge, 7);
    put("/proc/self/smaps", "0fe00000-10200000 rw-p 00000000 00:00 0\nSize: 4096 kB\nAnonHugePages: 2048 kB\n"
                            "10200000-10600000 rw-p 00000000 00:0f 7 /anon_hugepage\nAnonHugePages: 0 kB\n"
                            "Private_Hugetlb: 4096 kB\n70000000-70400000 rw-p 0 00:00 0\nAnonHugePages: 4096 kB\n");
    ck_assert_int_eq(qb_memory_in_huge_pages(device, (void *)(uintptr_t)0x10000000, 2 * page, &huge), QB_OK);
    ck_assert_uint_eq(huge, page / 2 + page);
    ck_assert_int_eq(qb_memory_set_huge_pages(device, (enum qb_huge_pages)3), QB_ERROR_INVALID);
    ck_assert_int_eq(qb_memory_set_huge_pages(NULL, QB_HUGE_PAGES_OFF), QB_ERROR_INVALID);
    qb_device_close(device);
}
END_TEST

/* ---- The library's part --------------------------------------------------------------------------------------------
 */

START_TEST(arguments)
{
    struct qb_device *device = open_cpu();
    struct qb_device_conditions c = {.size = sizeof c};
    struct qb_device_fact fact;
    size_t count = 7;
    unsigned cpu;

    ck_assert_int_eq(qb_device_conditions(NULL, &c), QB_ERROR_INVALID);
    ck_assert_int_eq(qb_device_conditions(device, NULL), QB_ERROR_INVALID);
    ck_assert_int_eq(qb_device_facts(NULL, &fact, 1, &count), QB_ERROR_INVALID);
    ck_assert_int_eq(qb_device_facts(device, NULL, 1, &count), QB_ERROR_INVALID);
    ck_assert_int_eq(qb_device_facts(device, &fact, 1, NULL), QB_ERROR_INVALID);
    ck_assert_int_eq(qb_device_cpus(NULL, &cpu, 1, &count), QB_ERROR_INVALID);
    ck_assert_int_eq(qb_device_cpus(device, NULL, 1, &count), QB_ERROR_INVALID);
    ck_assert_int_eq(qb_device_cpus(device, &cpu, 1, NULL), QB_ERROR_INVALID);
    ck_assert_uint_eq(count, 7);
    ck_assert_int_eq(qb_device_facts(device, NULL, 0, &count), QB_OK);
    ck_assert_uint_eq(count, 0);
    qb_device_close(device);
}
END_TEST

/* Those of the affinity mask, since no OpenMP thread of this process is bound. */
START_TEST(cpus)
{
    struct qb_device *device = open_cpu();
    unsigned numbers[CPU_SETSIZE + 1];
    size_t count = 0;
    cpu_set_t set;

    ck_assert_int_eq(sched_getaffinity(0, sizeof set, &set), 0);
    ck_assert_int_eq(qb_device_cpus(device, numbers, CPU_SETSIZE, &count), QB_OK);
    ck_assert_uint_eq(count, (unsigned)CPU_COUNT(&set));
    for (size_t i = 0; i < count; i++) {
        ck_assert(CPU_ISSET(numbers[i], &set));
        ck_assert(i == 0 || numbers[i - 1] < numbers[i]);
    }
    /* What has no room is counted. */
    numbers[0] = numbers[1] = 77777;
    ck_assert_int_eq(qb_device_cpus(device, numbers, 0, &count), QB_OK);
    ck_assert_uint_eq(numbers[0], 77777);
    ck_assert_uint_eq(count, (unsigned)CPU_COUNT(&set));
    qb_device_close(device);
}
END_TEST

/* How many CPUs this thread may use. */
static int own_cpus(void)
{
    cpu_set_t set;

    ck_assert_int_eq(sched_getaffinity(0, sizeof set, &set), 0);
    return CPU_COUNT(&set);
}

START_TEST(threads_are_bound)
{
    struct qb_device *device = open_cpu();
    struct qb_device_info info = {.size = sizeof info};
    char memory[64] = "";
    const int before = own_cpus();
    size_t count = 0;

    ck_assert_int_eq(qb_device_bind_threads(NULL, true), QB_ERROR_INVALID);
    ck_assert_int_eq(qb_device_info(device, &info), QB_OK);
    ck_assert_str_eq(info.binding, "none");
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(qb_device_bind_threads(device, true), QB_OK);
        ck_assert_int_eq(qb_device_info(device, &info), QB_OK);
        ck_assert_str_eq(info.binding, "cores");
        ck_assert_int_eq(own_cpus(), 1);
        /* What the process may use is still known. */
        ck_assert_int_eq(qb_device_cpus(device, NULL, 0, &count), QB_OK);
        ck_assert_uint_eq(count, (unsigned)before);
        ck_assert_uint_eq(info.units, (unsigned)before);
    }
    ck_assert_int_eq(qb_device_bind_threads(device, false), QB_OK);
    ck_assert_int_eq(own_cpus(), before);
    ck_assert_int_eq(qb_memory_fill(device, memory, 1, sizeof memory), QB_OK);
    ck_assert_int_eq(own_cpus(), before);
    ck_assert_int_eq(qb_device_info(device, &info), QB_OK);
    ck_assert_str_eq(info.binding, "none");
    qb_device_close(device);
}
END_TEST

START_TEST(reasons_have_names)
{
    for (unsigned i = 0; i < QB_THROTTLE_COUNT; i++) {
        ck_assert_ptr_nonnull(qb_throttle_name(i));
        for (unsigned j = 0; j < i; j++) {
            ck_assert_str_ne(qb_throttle_name(i), qb_throttle_name(j));
        }
    }
    ck_assert_ptr_null(qb_throttle_name(QB_THROTTLE_COUNT));
    ck_assert_str_eq(qb_throttle_name(__builtin_ctz(QB_THROTTLE_POWER_CAP)), "power cap");
    ck_assert_str_eq(qb_throttle_name(__builtin_ctz(QB_THROTTLE_SYNC_BOOST)), "sync boost");
}
END_TEST

/* ---- NVIDIA's management library -----------------------------------------------------------------------------------
 */

/* Once the stand-in is loaded, the loader finds it by the name that it was built with. */
static bool load_stand_in(void)
{
    const char *builddir = getenv("builddir");
    char path[4096];

    snprintf(path, sizeof path, "%s/tests/fake/.libs/libnvidia-ml.so.1", builddir != NULL ? builddir : ".");
    return dlopen(path, RTLD_NOW | RTLD_LOCAL) != NULL;
}

START_TEST(gpu_conditions)
{
    struct qb__nvml *nvml = qb__nvml_open("0000:01:00.0");
    struct qb_device_conditions c = {.size = sizeof c};
    char version[32];

    ck_assert_ptr_nonnull(nvml);
    qb__nvml_driver_version(nvml, version, sizeof version);
    ck_assert_str_eq(version, "580.95.05");
    qb__nvml_conditions(nvml, &c);
    ck_assert_double_eq(c.clock, 1755);
    ck_assert_double_eq(c.memory_clock, 3201);
    ck_assert_double_eq(c.power, 512345);
    ck_assert_double_eq(c.energy, 1099511627776);
    ck_assert_double_eq(c.temperature, 61);
    ck_assert_int_eq(c.performance_state, 2);
    ck_assert_uint_eq(c.throttle, QB_THROTTLE_POWER_CAP);
    ck_assert_uint_eq(c.throttle_known,
                      QB_THROTTLE_POWER_CAP | QB_THROTTLE_HW_SLOWDOWN | QB_THROTTLE_THERMAL | QB_THROTTLE_HW_THERMAL);
    qb__nvml_close(nvml);
}
END_TEST

START_TEST(gpu_facts)
{
    static const char *const want[][2] = {
        {"nvml", "on"},
        {"persistence", "on"},
        {"ecc", "on"},
        {"mig", "off"},
        {"compute_mode", "exclusive process"},
        {"clock_max_mhz", "1980"},
        {"memory_clock_max_mhz", "unknown"},
        {"power_limit_mw", "700000"},
        {"power_limit_default_mw", "unknown"},
        {"pcie_width", "8"},
        {"pcie_width_max", "16"},
        {"pcie_generation_max", "unknown"},
        {"utilization_percent", "7"},
        {"other_processes", "2"},
    };
    struct qb__nvml *nvml = qb__nvml_open("0000:01:00.0");
    struct qb_device_fact list[QB_DEVICE_FACTS];
    struct qb__facts facts = {list, QB_DEVICE_FACTS, 0};

    ck_assert_ptr_nonnull(nvml);
    qb__nvml_facts(nvml, &facts);
    for (size_t i = 0; i < sizeof want / sizeof want[0]; i++) {
        ck_assert_str_eq(value_of(list, facts.count, want[i][0]), want[i][1]);
    }
    qb__nvml_close(nvml);
}
END_TEST

/* Nothing is known of a device whose questions all fail, nor where there is no library. */
START_TEST(gpu_of_which_nothing_is_known)
{
    struct qb__nvml *nvml = _i == 0 ? NULL : qb__nvml_open("0000:01:00.0");
    struct qb_device_conditions c = {.size = sizeof c};
    struct qb_device_fact list[QB_DEVICE_FACTS];
    struct qb__facts facts = {list, QB_DEVICE_FACTS, 0};
    char version[32];

    ck_assert_int_eq(setenv("FAKE_NVML", "broken", 1), 0);
    qb__nvml_driver_version(nvml, version, sizeof version);
    ck_assert_str_eq(version, "");
    qb__nvml_conditions(nvml, &c);
    ck_assert(isnan(c.clock) && isnan(c.memory_clock) && isnan(c.power) && isnan(c.energy) && isnan(c.temperature));
    ck_assert_int_eq(c.performance_state, -1);
    ck_assert_uint_eq(c.throttle | c.throttle_known, 0);
    qb__nvml_facts(nvml, &facts);
    ck_assert_str_eq(list[0].value, _i == 0 ? "off" : "on");
    for (size_t i = 1; i < facts.count; i++) {
        ck_assert_str_eq(list[i].value, "unknown");
    }
    qb__nvml_close(nvml);
}
END_TEST

START_TEST(gpu_that_the_library_does_not_know)
{
    ck_assert_ptr_null(qb__nvml_open("0000:02:00.0"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("conditions");
    TCase *cpu = patient_case("cpu"), *library = patient_case("library"), *nvml;

    tcase_add_checked_fixture(cpu, make_root, remove_root);
    tcase_add_test(cpu, cpu_of_which_nothing_is_known);
    tcase_add_test(cpu, cpu_conditions);
    tcase_add_test(cpu, cpu_clock_of_a_virtual_machine);
    tcase_add_test(cpu, cpu_facts);
    tcase_add_test(cpu, cpu_quota_of_version_1);
    tcase_add_test(cpu, cpus_of_several_governors);
    tcase_add_test(cpu, memory_in_huge_pages);
    tcase_add_test(cpu, cpus);
    tcase_add_test(cpu, threads_are_bound);
    suite_add_tcase(suite, cpu);
    tcase_add_test(library, arguments);
    tcase_add_test(library, reasons_have_names);
    suite_add_tcase(suite, library);
    /* Without shared libraries there is no stand-in, and the driver's own must not be asked. */
    if (load_stand_in()) {
        nvml = patient_case("nvml");
        tcase_add_test(nvml, gpu_conditions);
        tcase_add_test(nvml, gpu_facts);
        tcase_add_loop_test(nvml, gpu_of_which_nothing_is_known, 0, 2);
        tcase_add_test(nvml, gpu_that_the_library_does_not_know);
        suite_add_tcase(suite, nvml);
    }
    return run_suite(suite);
}
