/* SPDX-License-Identifier: Apache-2.0 */
/* machine.c - see machine.h. Everything is read from files that Linux offers; what is not there is unknown. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* sched_getaffinity() */
#endif
#include <config.h>

#include "machine.h"

#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#if defined __x86_64__ || defined __i386__
#include <cpuid.h>
#endif

/* The first line of the file PATH without its end; false if there is none. */
static bool read_line(const char *path, char *line, size_t size)
{
    FILE *file = fopen(path, "re");
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

/* The unsigned number that the file PATH holds; false if there is none, or "max". */
static bool read_number(const char *path, uint64_t *number)
{
    char line[64], *end;

    if (!read_line(path, line, sizeof line)) {
        return false;
    }
    *number = strtoull(line, &end, 10);
    return end != line;
}

/* The text after "KEY...: " in the file PATH; false if there is none. */
static bool read_field(const char *path, const char *key, char *value, size_t size)
{
    FILE *file = fopen(path, "re");
    char line[512];
    bool found = false;

    if (file == NULL) {
        return false;
    }
    while (!found && fgets(line, sizeof line, file) != NULL) {
        const char *colon = strchr(line, ':');

        if (strncmp(line, key, strlen(key)) == 0 && colon != NULL) {
            colon += 1 + strspn(colon + 1, " \t");
            snprintf(value, size, "%.*s", (int)strcspn(colon, "\n"), colon);
            found = true;
        }
    }
    fclose(file);
    return found;
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
        !read_line("/sys/firmware/devicetree/base/model", name, size)) {
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
        if (!read_number(path, &level)) {
            break;
        }
        snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu0/cache/index%d/type", index);
        if (!read_line(path, text, sizeof text) || strcmp(text, "Instruction") == 0) {
            continue;
        }
        snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu0/cache/index%d/size", index);
        if (!read_line(path, text, sizeof text)) {
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

/* Call VISIT(folder, context) for this process's control group of CONTROLLER, and for each of its parents: of version
 * 2 ("" in /proc/self/cgroup), or of version 1. Inside a container the path named there may be the host's; the root of
 * what is mounted is the container's own, and is visited last. */
static void visit_cgroups(const char *controller, void (*visit)(const char *folder, bool version2, void *context),
                          void *context)
{
    FILE *file = fopen("/proc/self/cgroup", "re");
    char line[1024];

    if (file == NULL) {
        return;
    }
    while (fgets(line, sizeof line, file) != NULL) {
        char *names = strchr(line, ':'), *path = names != NULL ? strchr(names + 1, ':') : NULL;
        char folder[1280], root[128];
        bool version2, mine = false;

        if (path == NULL) {
            continue;
        }
        *path++ = '\0';
        names++;
        path[strcspn(path, "\n")] = '\0';
        version2 = names[0] == '\0';
        for (char *save, *name = strtok_r(names, ",", &save); name != NULL; name = strtok_r(NULL, ",", &save)) {
            mine = mine || strcmp(name, controller) == 0;
        }
        if (!version2 && !mine) {
            continue;
        }
        if (version2) {
            snprintf(root, sizeof root, "/sys/fs/cgroup");
        } else {
            snprintf(root, sizeof root, "/sys/fs/cgroup/%s", controller);
        }
        for (;;) {
            char *slash;

            snprintf(folder, sizeof folder, "%s%s", root, strcmp(path, "/") == 0 ? "" : path);
            visit(folder, version2, context);
            slash = strrchr(path, '/');
            if (slash == NULL || path[0] == '\0') {
                break;
            }
            *slash = '\0';
        }
    }
    fclose(file);
}

struct memory {
    uint64_t total;
    uint64_t available;
};

static void limit_memory(const char *folder, bool version2, void *context)
{
    struct memory *memory = context;
    uint64_t limit, usage, inactive = 0;
    char path[1400], line[128];
    FILE *file;

    snprintf(path, sizeof path, "%s/%s", folder, version2 ? "memory.max" : "memory.limit_in_bytes");
    if (!read_number(path, &limit)) {
        return;
    }
    snprintf(path, sizeof path, "%s/%s", folder, version2 ? "memory.current" : "memory.usage_in_bytes");
    if (!read_number(path, &usage)) {
        return;
    }
    /* The page cache counts as used, but what is inactive of it is given up first. */
    snprintf(path, sizeof path, "%s/memory.stat", folder);
    file = fopen(path, "re");
    if (file != NULL) {
        const char *key = version2 ? "inactive_file " : "total_inactive_file ";

        while (fgets(line, sizeof line, file) != NULL) {
            if (strncmp(line, key, strlen(key)) == 0) {
                inactive = strtoull(line + strlen(key), NULL, 10);
            }
        }
        fclose(file);
    }
    usage = usage > inactive ? usage - inactive : 0;
    if (limit < memory->total) {
        memory->total = limit;
    }
    if ((limit > usage ? limit - usage : 0) < memory->available) {
        memory->available = limit > usage ? limit - usage : 0;
    }
}

void qb__machine_memory(uint64_t *total, uint64_t *available)
{
    struct memory memory = {0, 0};
    char text[64];

    if (read_field("/proc/meminfo", "MemTotal", text, sizeof text)) {
        memory.total = strtoull(text, NULL, 10) << 10;
    }
    if (read_field("/proc/meminfo", "MemAvailable", text, sizeof text)) {
        memory.available = strtoull(text, NULL, 10) << 10;
    }
    visit_cgroups("memory", limit_memory, &memory);
    *total = memory.total;
    *available = memory.available;
}

static void limit_cpus(const char *folder, bool version2, void *context)
{
    unsigned *cpus = context;
    char path[1400], line[64], *end;
    uint64_t quota, period = 0;

    if (version2) {
        /* "max 100000", or quota and period in microseconds. */
        snprintf(path, sizeof path, "%s/cpu.max", folder);
        if (!read_line(path, line, sizeof line)) {
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
        if (!read_line(path, line, sizeof line) || line[0] == '-') {
            return;
        }
        quota = strtoull(line, NULL, 10);
        snprintf(path, sizeof path, "%s/cpu.cfs_period_us", folder);
        if (!read_number(path, &period)) {
            return;
        }
    }
    if (quota > 0 && period > 0 && (quota + period - 1) / period < *cpus) {
        *cpus = (unsigned)((quota + period - 1) / period);
    }
}

unsigned qb__machine_cpus(void)
{
    unsigned cpus = 0;

    /* The kernel's mask may be longer than a cpu_set_t: try larger ones. */
    for (int most = 1024; cpus == 0 && most <= 1 << 20; most *= 4) {
        cpu_set_t *set = CPU_ALLOC(most);
        size_t size = CPU_ALLOC_SIZE(most);

        if (set == NULL) {
            break;
        }
        if (sched_getaffinity(0, size, set) == 0) {
            cpus = (unsigned)CPU_COUNT_S(size, set);
        }
        CPU_FREE(set);
    }
    if (cpus == 0) {
        long online = sysconf(_SC_NPROCESSORS_ONLN);

        cpus = online > 0 ? (unsigned)online : 1;
    }
    visit_cgroups("cpu", limit_cpus, &cpus);
    return cpus > 0 ? cpus : 1;
}
