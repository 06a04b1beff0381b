/* SPDX-License-Identifier: Apache-2.0 */
/* conditions.c - what the CPUs do at this moment, and what of the machine a measurement depends on. All is read from
 * files that Linux offers; what is not there is unknown. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* cpu_set_t */
#endif
#include <config.h>

#include "facts.h"
#include "machine.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CPU_FOLDER "/sys/devices/system/cpu"

/* ---- Numbers over all CPUs that this process may use ------------------------------------------------------------ */

/* What is made of the numbers of CPUs. */
struct total {
    double sum;
    unsigned count;
};

static void add_number(const char *path, struct total *total)
{
    uint64_t number;

    if (qb__machine_read_number(path, &number)) {
        total->sum += (double)number;
        total->count++;
    }
}

/* Call USE(path) with the file NAME of each CPU. */
static void for_each_cpu(const char *name, void (*use)(const char *path, void *context), void *context)
{
    size_t size;
    cpu_set_t *set = qb__machine_affinity(&size);

    for (size_t cpu = 0; set != NULL && cpu < 8 * size; cpu++) {
        char path[128];

        if (CPU_ISSET_S(cpu, size, set)) {
            snprintf(path, sizeof path, CPU_FOLDER "/cpu%zu/%s", cpu, name);
            use(path, context);
        }
    }
    CPU_FREE(set);
}

static void add_cpu(const char *path, void *context)
{
    add_number(path, context);
}

static double mean(const struct total *total)
{
    return total->count > 0 ? total->sum / total->count : NAN;
}

/* How often each CPU and each processor was too warm so far. */
static struct total throttle_counters(void)
{
    struct total total = {0, 0};

    for_each_cpu("thermal_throttle/core_throttle_count", add_cpu, &total);
    for_each_cpu("thermal_throttle/package_throttle_count", add_cpu, &total);
    return total;
}

uint64_t qb__machine_throttled(void)
{
    return (uint64_t)throttle_counters().sum;
}

/* ---- Conditions ------------------------------------------------------------------------------------------------- */

/* A line of /proc/cpuinfo. */
static void add_cpuinfo_clock(char *line, void *context)
{
    struct total *total = context;
    const char *colon = strchr(line, ':');

    if (strncmp(line, "cpu MHz", strlen("cpu MHz")) == 0 && colon != NULL) {
        total->sum += strtod(colon + 1, NULL);
        total->count++;
    }
}

/* MHz. */
static double clock_now(void)
{
    struct total total = {0, 0};

    for_each_cpu("cpufreq/scaling_cur_freq", add_cpu, &total);
    if (total.count > 0) {
        return mean(&total) * 1e-3;
    }
    /* A virtual machine often has only this, and it may be the nominal one. */
    qb__machine_read_lines("/proc/cpuinfo", add_cpuinfo_clock, &total);
    return mean(&total);
}

/* Degrees Celsius of the warmest processor. */
static double temperature_now(void)
{
    static const char *const drivers[] = {"coretemp", "k10temp", "zenpower", "cpu_thermal"};
    double warmest = NAN;

    for (int i = 0; i < 64; i++) {
        char path[64], name[32];
        uint64_t millidegrees;

        snprintf(path, sizeof path, "/sys/class/hwmon/hwmon%d/name", i);
        if (!qb__machine_read_line(path, name, sizeof name)) {
            break;
        }
        for (size_t j = 0; j < sizeof drivers / sizeof drivers[0]; j++) {
            snprintf(path, sizeof path, "/sys/class/hwmon/hwmon%d/temp1_input", i);
            if (strcmp(name, drivers[j]) == 0 && qb__machine_read_number(path, &millidegrees)) {
                warmest = fmax(warmest, (double)millidegrees * 1e-3);
            }
        }
    }
    return warmest;
}

/* Millijoules of all processors since some point in the past. Many systems let only root read it. */
static double energy_now(void)
{
    struct total total = {0, 0};

    for (int i = 0; i < 64; i++) {
        char path[64];
        unsigned before = total.count;

        snprintf(path, sizeof path, "/sys/class/powercap/intel-rapl:%d/energy_uj", i);
        add_number(path, &total);
        if (total.count == before) {
            break;
        }
    }
    return total.count > 0 ? total.sum * 1e-3 : NAN;
}

void qb__machine_conditions(uint64_t *throttled, struct qb_device_conditions *conditions)
{
    struct total counters = throttle_counters();
    uint64_t now = (uint64_t)counters.sum;
    uint64_t before = __atomic_exchange_n(throttled, now, __ATOMIC_RELAXED);

    *conditions = (struct qb_device_conditions){
        .clock = clock_now(),
        .memory_clock = NAN,
        .power = NAN,
        .energy = energy_now(),
        .temperature = temperature_now(),
        .performance_state = -1,
        .throttle = now > before ? QB_THROTTLE_THERMAL : 0,
        .throttle_known = counters.count > 0 ? QB_THROTTLE_THERMAL : 0,
    };
}

/* ---- Facts ------------------------------------------------------------------------------------------------------ */

/* The value that all CPUs have in common. */
struct common {
    char value[32];
    bool differs;
};

static void find_common(const char *path, void *context)
{
    struct common *common = context;
    char value[sizeof common->value];

    if (qb__machine_read_line(path, value, sizeof value)) {
        common->differs = common->differs || (common->value[0] != '\0' && strcmp(common->value, value) != 0);
        snprintf(common->value, sizeof common->value, "%s", value);
    }
}

static void add_governor(struct qb__facts *facts)
{
    struct common common = {"", false};

    for_each_cpu("cpufreq/scaling_governor", find_common, &common);
    qb__facts_add(facts, "governor", common.differs ? "mixed" : common.value);
}

/* The file PATH holds ON, or another number. */
static void add_switch(struct qb__facts *facts, const char *name, const char *path, uint64_t on)
{
    uint64_t number;

    qb__facts_add(facts, name, !qb__machine_read_number(path, &number) ? NULL : number == on ? "on" : "off");
}

/* Intel's driver has a switch of its own. */
static void add_boost(struct qb__facts *facts)
{
    char line[8];

    if (qb__machine_read_line(CPU_FOLDER "/intel_pstate/no_turbo", line, sizeof line)) {
        add_switch(facts, "boost", CPU_FOLDER "/intel_pstate/no_turbo", 0);
    } else {
        add_switch(facts, "boost", CPU_FOLDER "/cpufreq/boost", 1);
    }
}

static void add_load(struct qb__facts *facts)
{
    double load = NAN, running = NAN;
    char line[128];

    /* "4.19 6.50 4.19 3/117 3558": means over 1, 5 and 15 minutes; tasks that run now, this one too, of all. */
    if (qb__machine_read_line("/proc/loadavg", line, sizeof line) &&
        sscanf(line, "%lf %*f %*f %lf/", &load, &running) == 2) {
        running = fmax(running - 1, 0);
    }
    qb__facts_add_number(facts, "load_1min", load);
    qb__facts_add_number(facts, "other_tasks_running", running);
}

static void find_memory_total(char *line, void *context)
{
    double *bytes = context;

    if (strncmp(line, "MemTotal:", strlen("MemTotal:")) == 0) {
        *bytes = strtod(line + strlen("MemTotal:"), NULL) * 1024;
    }
}

static void add_memory(struct qb__facts *facts)
{
    uint64_t total, available;
    double all = NAN;

    qb__machine_read_lines("/proc/meminfo", find_memory_total, &all);
    qb__machine_memory(&total, &available);
    qb__facts_add_number(facts, "memory_bytes", all);
    qb__facts_add_number(facts, "memory_available_bytes", available != QB_MEMORY_UNKNOWN ? (double)available : NAN);
    if (total > 0 && !((double)total >= all)) {
        qb__facts_add_number(facts, "memory_limit_bytes", (double)total);
    } else {
        qb__facts_add(facts, "memory_limit_bytes", qb__machine_knows_limits() ? "none" : NULL);
    }
}

/* A line of /proc/buddyinfo: "Node 0, zone Normal" and how many blocks are free of 1, 2, 4, ... pages. */
static void add_free_blocks(char *line, void *context)
{
    struct total *pages = context;
    char *save, *zone = strstr(line, "zone");
    char *field = zone != NULL ? strtok_r(zone, " ", &save) : NULL;
    double page = (double)sysconf(_SC_PAGESIZE), huge = 2 << 20;

    if (field == NULL || strtok_r(NULL, " ", &save) == NULL) {
        return;
    }
    for (double block = page; (field = strtok_r(NULL, " ", &save)) != NULL; block *= 2) {
        if (block >= huge) {
            pages->sum += strtod(field, NULL) * block / huge;
        }
        pages->count++;
    }
}

/* What malloc() of a large buffer is made of: the word in brackets of "always [madvise] never". */
static void add_huge_pages(struct qb__facts *facts)
{
    struct total pages = {0, 0};
    char line[128] = "", *word = NULL;

    if (qb__machine_read_line("/sys/kernel/mm/transparent_hugepage/enabled", line, sizeof line)) {
        word = strchr(line, '[');
        if (word != NULL) {
            word++;
            word[strcspn(word, "]")] = '\0';
        }
    }
    qb__facts_add(facts, "huge_pages", word);
    qb__machine_read_lines("/proc/buddyinfo", add_free_blocks, &pages);
    qb__facts_add_number(facts, "huge_pages_free", pages.count > 0 ? pages.sum : NAN);
}

size_t qb__machine_facts(struct qb_device_fact *list, size_t room)
{
    struct qb__facts facts = {list, room, 0};
    double quota = qb__machine_quota();
    long online = sysconf(_SC_NPROCESSORS_ONLN);

    add_governor(&facts);
    add_boost(&facts);
    add_switch(&facts, "smt", CPU_FOLDER "/smt/active", 1);
    qb__facts_add_number(&facts, "cpus_online", online > 0 ? (double)online : NAN);
    qb__facts_add_number(&facts, "cpus_usable", qb__machine_cpus());
    if (quota > 0) {
        qb__facts_add_number(&facts, "cpu_quota", quota);
    } else {
        qb__facts_add(&facts, "cpu_quota", qb__machine_knows_limits() ? "none" : NULL);
    }
    add_load(&facts);
    add_memory(&facts);
    add_huge_pages(&facts);
    return facts.count;
}
