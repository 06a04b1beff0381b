/* SPDX-License-Identifier: Apache-2.0 */
/* disturbance.c - counters of the operating system, from getrusage() and /proc. */
#include <config.h>

#include "measure/disturbance.h"

#include <dirent.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

/* What a sample may have lost, in nanoseconds, and the share of it that matters. */
#define PREEMPTION 1e6
#define PAGE_FAULT 1e3
#define MATERIAL   0.01

/* Ticks that must have passed before busy and own time can be compared. */
#define LEAST_TICKS 20

static double tick_length(void)
{
    long rate = sysconf(_SC_CLK_TCK);

    return 1e9 / (double)(rate > 0 ? rate : 100);
}

static double nanoseconds_of(struct timeval time)
{
    return (double)time.tv_sec * 1e9 + (double)time.tv_usec * 1e3;
}

/* Of LINE, "cpu7 user nice system idle iowait irq softirq steal ...", the ticks. False if it is another line, or that
 * of all CPUs together. */
static bool parse_cpu_line(const char *line, unsigned *cpu, uint64_t *busy, uint64_t *stolen)
{
    uint64_t user, nice, system, idle, iowait, irq = 0, softirq = 0, steal = 0;
    int count = sscanf(
        line, "cpu%u %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64, cpu,
        &user, &nice, &system, &idle, &iowait, &irq, &softirq, &steal);

    if (count < 6 || strncmp(line, "cpu ", 4) == 0) {
        return false;
    }
    *busy = user + nice + system + irq + softirq;
    *stolen = steal;
    return true;
}

/* The CPUs whose time counts, in rising order; none: all. */
static unsigned *watched;
static size_t watched_count;

bool disturbance_watch(const unsigned *cpus, size_t count)
{
    unsigned *copy = calloc(count + 1, sizeof *copy);

    if (copy == NULL) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        copy[i] = cpus[i];
    }
    free(watched);
    watched = copy;
    watched_count = count;
    return true;
}

static int compare_numbers(const void *a, const void *b)
{
    unsigned one = *(const unsigned *)a, other = *(const unsigned *)b;

    return (one > other) - (one < other);
}

static bool is_watched(unsigned cpu)
{
    return watched_count == 0 || bsearch(&cpu, watched, watched_count, sizeof *watched, compare_numbers) != NULL;
}

/* Busy and stolen time of the CPUs that count. */
static void read_cpu_times(const char *proc, struct disturbance_snapshot *snapshot)
{
    char path[512], line[512];
    uint64_t busy = 0, stolen = 0;
    FILE *file;

    snapshot->busy = snapshot->stolen = NAN;
    snprintf(path, sizeof path, "%s/stat", proc);
    file = fopen(path, "re");
    if (file == NULL) {
        return;
    }
    /* The CPUs' lines come first. */
    while (fgets(line, sizeof line, file) != NULL && strncmp(line, "cpu", 3) == 0) {
        uint64_t cpu_busy, cpu_stolen;
        unsigned cpu;

        if (parse_cpu_line(line, &cpu, &cpu_busy, &cpu_stolen) && is_watched(cpu)) {
            busy += cpu_busy;
            stolen += cpu_stolen;
        }
    }
    fclose(file);
    snapshot->busy = (double)busy * tick_length();
    snapshot->stolen = (double)stolen * tick_length();
}

/* Add to SUM the number after "se.nr_migrations" in one thread's file. Returns false if the kernel has no such file, or
 * the thread has ended. */
static bool add_migrations(const char *path, uint64_t *sum)
{
    FILE *file = fopen(path, "re");
    char line[256];
    bool found = false;

    while (file != NULL && !found && fgets(line, sizeof line, file) != NULL) {
        const char *colon = strchr(line, ':');

        found = strncmp(line, "se.nr_migrations", 16) == 0 && colon != NULL;
        *sum += found ? strtoull(colon + 1, NULL, 10) : 0;
    }
    if (file != NULL) {
        fclose(file);
    }
    return found;
}

static uint64_t read_all_migrations(const char *proc)
{
    char folder[512];
    const struct dirent *entry;
    uint64_t migrations = 0;
    bool known = false;
    DIR *tasks;

    snprintf(folder, sizeof folder, "%s/self/task", proc);
    tasks = opendir(folder);
    while (tasks != NULL && (entry = readdir(tasks)) != NULL) {
        char path[1024];

        if (entry->d_name[0] != '.') {
            snprintf(path, sizeof path, "%s/%s/sched", folder, entry->d_name);
            known = add_migrations(path, &migrations) || known;
        }
    }
    if (tasks != NULL) {
        closedir(tasks);
    }
    return known ? migrations : DISTURBANCE_UNKNOWN;
}

static struct disturbance_glance glance_of(const struct rusage *usage)
{
    return (struct disturbance_glance){.preemptions = (uint64_t)usage->ru_nivcsw,
                                       .page_faults = (uint64_t)usage->ru_minflt + (uint64_t)usage->ru_majflt};
}

void disturbance_glance(struct disturbance_glance *glance)
{
    struct rusage usage;

    *glance = getrusage(RUSAGE_SELF, &usage) == 0 ? glance_of(&usage) : (struct disturbance_glance){.preemptions = 0};
}

bool disturbance_is_material(const struct disturbance_glance *before, const struct disturbance_glance *after,
                             double nanoseconds)
{
    double cost = PREEMPTION * (double)(after->preemptions - before->preemptions) +
                  PAGE_FAULT * (double)(after->page_faults - before->page_faults);

    return cost > MATERIAL * nanoseconds;
}

void disturbance_snapshot_from(const char *proc, struct disturbance_snapshot *snapshot)
{
    struct rusage usage;
    struct timespec now;

    memset(snapshot, 0, sizeof *snapshot);
    read_cpu_times(proc, snapshot);
    snapshot->migrations = read_all_migrations(proc);
    if (getrusage(RUSAGE_SELF, &usage) == 0) {
        const struct disturbance_glance glance = glance_of(&usage);

        snapshot->preemptions = glance.preemptions;
        snapshot->page_faults = glance.page_faults;
        snapshot->own = nanoseconds_of(usage.ru_utime) + nanoseconds_of(usage.ru_stime);
    }
    clock_gettime(CLOCK_MONOTONIC, &now);
    snapshot->time = (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

void disturbance_snapshot(struct disturbance_snapshot *snapshot)
{
    disturbance_snapshot_from("/proc", snapshot);
}

/* A counter of threads falls when one of them ends. */
static uint64_t rise(uint64_t before, uint64_t after)
{
    return after > before ? after - before : 0;
}

struct disturbance disturbance_between(const struct disturbance_snapshot *before,
                                       const struct disturbance_snapshot *after)
{
    struct disturbance d = {
        .preemptions = rise(before->preemptions, after->preemptions),
        .page_faults = rise(before->page_faults, after->page_faults),
        .migrations = DISTURBANCE_UNKNOWN,
        .stolen = isnan(before->stolen) || isnan(after->stolen) ? NAN : fmax(after->stolen - before->stolen, 0),
        .others = NAN,
    };
    double elapsed = after->time - before->time;

    if (before->migrations != DISTURBANCE_UNKNOWN && after->migrations != DISTURBANCE_UNKNOWN) {
        d.migrations = rise(before->migrations, after->migrations);
    }
    if (after->busy > 0 && elapsed >= LEAST_TICKS * tick_length()) {
        d.others = fmax((after->busy - before->busy - (after->own - before->own)) / elapsed, 0);
    }
    return d;
}
