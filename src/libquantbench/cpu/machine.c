/* SPDX-License-Identifier: Apache-2.0 */
/* machine.c - see machine.h. Everything is read from files that Linux offers; what is not there is unknown. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* sched_getaffinity() */
#endif
#include <config.h>

#include "machine.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#if defined __x86_64__ || defined __i386__
#include <cpuid.h>
#endif
#ifdef _OPENMP
#include <omp.h>
#endif

/* No machine has more. */
#define MOST_CPUS ((size_t)1 << 20)

/* Open a file of /proc or /sys for reading. QUANTBENCH_FSROOT is put in front, where tests have such files. */
static FILE *open_file(const char *path)
{
    const char *root = secure_getenv("QUANTBENCH_FSROOT");
    char longer[4096];

    if (root == NULL || root[0] == '\0') {
        return fopen(path, "re");
    }
    return (size_t)snprintf(longer, sizeof longer, "%s%s", root, path) < sizeof longer ? fopen(longer, "re") : NULL;
}

bool qb__machine_read_line(const char *path, char *line, size_t size)
{
    FILE *file = open_file(path);
    bool found;

    if (file == NULL) {
        return false;
    }
    found = fgets(line, (int)size, file) != NULL;
    fclose(file);
    if (found) {
        line[strcspn(line, "\n")] = '\0';
    }
    return found;
}

bool qb__machine_read_number(const char *path, uint64_t *number)
{
    char line[64], *end;

    if (!qb__machine_read_line(path, line, sizeof line)) {
        return false;
    }
    *number = strtoull(line, &end, 10);
    return end != line;
}

bool qb__machine_read_lines(const char *path, void (*use)(char *line, void *context), void *context)
{
    FILE *file = open_file(path);
    char line[1024];
    bool any = false;

    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        use(line, context);
        any = true;
    }
    if (file != NULL) {
        fclose(file);
    }
    return any;
}

struct field {
    const char *key;
    char *value;
    size_t size;
    bool found;
};

static void find_field(char *line, void *context)
{
    struct field *field = context;
    const char *colon = strchr(line, ':');

    if (!field->found && strncmp(line, field->key, strlen(field->key)) == 0 && colon != NULL) {
        colon += 1 + strspn(colon + 1, " \t");
        snprintf(field->value, field->size, "%s", colon);
        field->found = true;
    }
}

/* The text after "KEY...: " in the file PATH; false if there is none. */
static bool read_field(const char *path, const char *key, char *value, size_t size)
{
    struct field field = {key, value, size, false};

    qb__machine_read_lines(path, find_field, &field);
    return field.found;
}

/* Remove leading and trailing blanks, and all but one between words. */
static void squeeze(char *text)
{
    char *to = text;

    for (const char *from = text; *from != '\0'; from++) {
        if (*from != ' ' || (to > text && to[-1] != ' ')) {
            *to++ = *from;
        }
    }
    if (to > text && to[-1] == ' ') {
        to--;
    }
    *to = '\0';
}

void qb__machine_cpu_name(char *name, size_t size)
{
    name[0] = '\0';
#if defined __x86_64__ || defined __i386__
    unsigned brand[12], most;
    char text[sizeof brand + 1] = "";

    most = __get_cpuid_max(0x80000000u, NULL);
    if (most >= 0x80000004u) {
        for (unsigned i = 0; i < 3; i++) {
            __get_cpuid(0x80000002u + i, &brand[4 * i], &brand[4 * i + 1], &brand[4 * i + 2], &brand[4 * i + 3]);
        }
        memcpy(text, brand, sizeof brand);
        squeeze(text);
        snprintf(name, size, "%s", text);
    }
#endif
    if (name[0] == '\0' && !read_field("/proc/cpuinfo", "model name", name, size) &&
        !qb__machine_read_line("/sys/firmware/devicetree/base/model", name, size)) {
        name[0] = '\0';
    }
    squeeze(name);
}

void qb__machine_caches(uint64_t *last_level, uint64_t *second_level)
{
    uint64_t deepest = 0;

    *last_level = 0;
    *second_level = 0;
    for (int index = 0; index < 16; index++) {
        char path[96], text[32], *end;
        uint64_t level, size;

        snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu0/cache/index%d/level", index);
        if (!qb__machine_read_number(path, &level)) {
            break;
        }
        snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu0/cache/index%d/type", index);
        if (!qb__machine_read_line(path, text, sizeof text) || strcmp(text, "Instruction") == 0) {
            continue;
        }
        snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu0/cache/index%d/size", index);
        if (!qb__machine_read_line(path, text, sizeof text)) {
            continue;
        }
        size = strtoull(text, &end, 10);
        size <<= *end == 'K' ? 10 : *end == 'M' ? 20 : 0;
        if (level == 2) {
            *second_level = size;
        }
        if (level > deepest) {
            deepest = level;
            *last_level = size;
        }
    }
#ifdef _SC_LEVEL2_CACHE_SIZE
    if (deepest == 0) {
        long l2 = sysconf(_SC_LEVEL2_CACHE_SIZE), l3 = sysconf(_SC_LEVEL3_CACHE_SIZE);

        *second_level = l2 > 0 ? (uint64_t)l2 : 0;
        *last_level = l3 > 0 ? (uint64_t)l3 : *second_level;
    }
#endif
}

/* What visits the control groups of CONTROLLER. */
struct cgroup_visit {
    const char *controller;
    void (*visit)(const char *folder, bool version2, void *context);
    void *context;
};

/* LINE of /proc/self/cgroup: "number:controllers:path". */
static void visit_cgroup_line(char *line, void *context)
{
    const struct cgroup_visit *to = context;
    char *names = strchr(line, ':'), *path = names != NULL ? strchr(names + 1, ':') : NULL;
    char folder[1280], root[128];
    bool version2, mine = false;

    if (path == NULL) {
        return;
    }
    *path++ = '\0';
    names++;
    version2 = names[0] == '\0';
    for (char *save, *name = strtok_r(names, ",", &save); name != NULL; name = strtok_r(NULL, ",", &save)) {
        mine = mine || strcmp(name, to->controller) == 0;
    }
    if (!version2 && !mine) {
        return;
    }
    if (version2) {
        snprintf(root, sizeof root, "/sys/fs/cgroup");
    } else {
        snprintf(root, sizeof root, "/sys/fs/cgroup/%s", to->controller);
    }
    for (;;) {
        char *slash;

        snprintf(folder, sizeof folder, "%s%s", root, strcmp(path, "/") == 0 ? "" : path);
        to->visit(folder, version2, to->context);
        slash = strrchr(path, '/');
        if (slash == NULL || path[0] == '\0') {
            break;
        }
        *slash = '\0';
    }
}

/* Call VISIT(folder, context) for this process's control group of CONTROLLER, and for each of its parents: of version
 * 2 ("" in /proc/self/cgroup), or of version 1. Inside a container the path named there may be the host's; the root of
 * what is mounted is the container's own, and is visited last. */
static void visit_cgroups(const char *controller, void (*visit)(const char *folder, bool version2, void *context),
                          void *context)
{
    struct cgroup_visit to = {controller, visit, context};

    qb__machine_read_lines("/proc/self/cgroup", visit_cgroup_line, &to);
}

bool qb__machine_knows_limits(void)
{
    char line[8];

    return qb__machine_read_line("/proc/self/cgroup", line, sizeof line);
}

/* QB_MEMORY_UNKNOWN: no limit is known. */
struct memory {
    uint64_t total;
    uint64_t available;
};

/* Bytes of the page cache that are given up first. */
struct inactive {
    const char *key;
    uint64_t bytes;
};

static void find_inactive(char *line, void *context)
{
    struct inactive *inactive = context;

    if (strncmp(line, inactive->key, strlen(inactive->key)) == 0) {
        inactive->bytes = strtoull(line + strlen(inactive->key), NULL, 10);
    }
}

static void limit_memory(const char *folder, bool version2, void *context)
{
    struct memory *memory = context;
    struct inactive inactive = {version2 ? "inactive_file " : "total_inactive_file ", 0};
    uint64_t limit, usage;
    char path[1400];

    snprintf(path, sizeof path, "%s/%s", folder, version2 ? "memory.max" : "memory.limit_in_bytes");
    if (!qb__machine_read_number(path, &limit)) {
        return;
    }
    snprintf(path, sizeof path, "%s/%s", folder, version2 ? "memory.current" : "memory.usage_in_bytes");
    if (!qb__machine_read_number(path, &usage)) {
        return;
    }
    /* The page cache counts as used. */
    snprintf(path, sizeof path, "%s/memory.stat", folder);
    qb__machine_read_lines(path, find_inactive, &inactive);
    usage = usage > inactive.bytes ? usage - inactive.bytes : 0;
    if (limit < memory->total) {
        memory->total = limit;
    }
    if ((limit > usage ? limit - usage : 0) < memory->available) {
        memory->available = limit > usage ? limit - usage : 0;
    }
}

void qb__machine_memory(uint64_t *total, uint64_t *available)
{
    struct memory memory = {QB_MEMORY_UNKNOWN, QB_MEMORY_UNKNOWN};
    char text[64];

    if (read_field("/proc/meminfo", "MemTotal", text, sizeof text)) {
        memory.total = strtoull(text, NULL, 10) << 10;
    }
    if (read_field("/proc/meminfo", "MemAvailable", text, sizeof text)) {
        memory.available = strtoull(text, NULL, 10) << 10;
    }
    visit_cgroups("memory", limit_memory, &memory);
    *total = memory.total != QB_MEMORY_UNKNOWN ? memory.total : 0;
    *available = memory.available;
}

/* A range of memory, and what of it was found in huge pages. */
struct huge_search {
    uint64_t begin, end;
    uint64_t area, overlap; /* bytes of the area whose lines are read, and of the range in it */
    double huge;
};

/* A line of /proc/self/smaps: "7f0000000000-7f0000200000 rw-p ...", and then that area's "AnonHugePages:  2048 kB". */
static void find_huge(char *line, void *context)
{
    static const char *const keys[] = {"AnonHugePages:", "Private_Hugetlb:", "Shared_Hugetlb:"};
    struct huge_search *search = context;
    unsigned long long begin, end;

    if (sscanf(line, "%llx-%llx ", &begin, &end) == 2 && end > begin) {
        uint64_t low = begin > search->begin ? begin : search->begin, high = end < search->end ? end : search->end;

        search->area = end - begin;
        search->overlap = high > low ? high - low : 0;
    }
    for (size_t i = 0; i < sizeof keys / sizeof *keys && search->overlap > 0; i++) {
        if (strncmp(line, keys[i], strlen(keys[i])) == 0) {
            /* Areas side by side are shown as one: its huge pages are taken to be spread evenly. */
            search->huge +=
                strtod(line + strlen(keys[i]), NULL) * 1024 * (double)search->overlap / (double)search->area;
        }
    }
}

bool qb__machine_huge_bytes(const void *memory, size_t bytes, uint64_t *huge)
{
    struct huge_search search = {.begin = (uintptr_t)memory, .end = (uintptr_t)memory + bytes};

    if (!qb__machine_read_lines("/proc/self/smaps", find_huge, &search)) {
        return false;
    }
    *huge = search.huge < (double)bytes ? (uint64_t)search.huge : bytes;
    return true;
}

static void limit_cpus(const char *folder, bool version2, void *context)
{
    double *cpus = context;
    char path[1400], line[64], *end;
    uint64_t quota, period = 0;

    if (version2) {
        /* "max 100000", or quota and period in microseconds. */
        snprintf(path, sizeof path, "%s/cpu.max", folder);
        if (!qb__machine_read_line(path, line, sizeof line)) {
            return;
        }
        quota = strtoull(line, &end, 10);
        if (end == line) {
            return;
        }
        period = strtoull(end, NULL, 10);
    } else {
        snprintf(path, sizeof path, "%s/cpu.cfs_quota_us", folder);
        /* -1 means no quota. */
        if (!qb__machine_read_line(path, line, sizeof line) || line[0] == '-') {
            return;
        }
        quota = strtoull(line, NULL, 10);
        snprintf(path, sizeof path, "%s/cpu.cfs_period_us", folder);
        if (!qb__machine_read_number(path, &period)) {
            return;
        }
    }
    if (quota > 0 && period > 0 && (*cpus <= 0 || (double)quota / (double)period < *cpus)) {
        *cpus = (double)quota / (double)period;
    }
}

double qb__machine_quota(void)
{
    double cpus = 0;

    visit_cgroups("cpu", limit_cpus, &cpus);
    return cpus;
}

bool qb__machine_openmp_binds(void)
{
#ifdef _OPENMP
    return omp_get_proc_bind() != omp_proc_bind_false && omp_get_num_places() > 0;
#else
    return false;
#endif
}

/* The CPUs that OpenMP's threads are bound to, together; NULL if memory is short. */
static cpu_set_t *bound_cpus(size_t *size)
{
    cpu_set_t *set = NULL;
#ifdef _OPENMP
    /* All threads stay where the first one is, or each gets a place. */
    const bool one = omp_get_proc_bind() == omp_proc_bind_master;
    const int begin = one ? omp_get_place_num() : 0, end = one ? begin + 1 : omp_get_num_places();
    int most = 0, *cpus;

    for (int place = begin; place < end; place++) {
        int count = omp_get_place_num_procs(place);

        most = count > most ? count : most;
    }
    cpus = calloc((size_t)most + 1, sizeof *cpus);
    set = cpus != NULL ? CPU_ALLOC(MOST_CPUS) : NULL;
    if (set != NULL) {
        *size = CPU_ALLOC_SIZE(MOST_CPUS);
        CPU_ZERO_S(*size, set);
        for (int place = begin; place < end; place++) {
            omp_get_place_proc_ids(place, cpus);
            for (int i = 0; i < omp_get_place_num_procs(place); i++) {
                CPU_SET_S((size_t)cpus[i], *size, set);
            }
        }
    }
    free(cpus);
#else
    *size = 0;
#endif
    return set;
}

/* The affinity mask of the calling thread. */
static cpu_set_t *own_mask(size_t *size)
{
    /* The kernel's mask may be longer than a cpu_set_t: try larger ones. */
    for (size_t most = 1024; most <= MOST_CPUS; most *= 4) {
        cpu_set_t *set = CPU_ALLOC(most);

        *size = CPU_ALLOC_SIZE(most);
        if (set != NULL && sched_getaffinity(0, *size, set) == 0) {
            return set;
        }
        CPU_FREE(set);
    }
    return NULL;
}

/* The mask as it was before threads were bound to parts of it; NULL: none is. */
static cpu_set_t *kept;
static size_t kept_size;

void qb__machine_keep_affinity(bool keep)
{
    CPU_FREE(kept);
    kept = keep ? own_mask(&kept_size) : NULL;
}

cpu_set_t *qb__machine_affinity(size_t *size)
{
    cpu_set_t *copy;

    if (kept == NULL) {
        return qb__machine_openmp_binds() ? bound_cpus(size) : own_mask(size);
    }
    *size = kept_size;
    copy = CPU_ALLOC(8 * kept_size);
    if (copy != NULL) {
        memcpy(copy, kept, kept_size);
    }
    return copy;
}

unsigned qb__machine_cpus(void)
{
    size_t size;
    cpu_set_t *set = qb__machine_affinity(&size);
    unsigned cpus = set != NULL ? (unsigned)CPU_COUNT_S(size, set) : 0;
    double quota = qb__machine_quota();

    CPU_FREE(set);
    if (cpus == 0) {
        long online = sysconf(_SC_NPROCESSORS_ONLN);

        cpus = online > 0 ? (unsigned)online : 1;
    }
    /* A part of a CPU is one too. */
    return quota > 0 && quota < cpus ? (unsigned)ceil(quota) : cpus;
}
