/* SPDX-License-Identifier: Apache-2.0 */
/* starvation.c - sums up what the kernel's scheduler says of each thread of a process. */
#include <config.h>

#include "base/starvation.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

struct starvation_task {
    long number;
    uint64_t waited; /* for a CPU, nanoseconds since it began */
};

/* Read what the thread TASK has waited, from FOLDER. */
static int read_task(const char *folder, const char *task, struct starvation_task *found)
{
    char path[4096];
    uint64_t ran;
    FILE *file;
    int fields = 0;

    if ((size_t)snprintf(path, sizeof path, "%s/%s/schedstat", folder, task) < sizeof path &&
        (file = fopen(path, "re")) != NULL) {
        fields = fscanf(file, "%" SCNu64 " %" SCNu64, &ran, &found->waited);
        fclose(file);
    }
    found->number = strtol(task, NULL, 10);
    return fields == 2;
}

/* How long TASK has waited since the last look; 0 for one that was not there then. */
static uint64_t waited_since(const struct starvation *starvation, const struct starvation_task *task)
{
    for (size_t i = 0; i < starvation->count; i++) {
        const struct starvation_task *before = &starvation->tasks[i];

        if (before->number == task->number) {
            return task->waited > before->waited ? task->waited - before->waited : 0;
        }
    }
    return 0;
}

double starvation_look_in(const char *proc, struct starvation *starvation)
{
    struct starvation_task *tasks = NULL, *larger, task;
    const struct dirent *entry;
    char folder[2048];
    uint64_t longest = 0;
    size_t count = 0;
    DIR *threads;

    snprintf(folder, sizeof folder, "%s/%ld/task", proc, (long)starvation->pid);
    threads = opendir(folder);
    while (threads != NULL && (entry = readdir(threads)) != NULL) {
        if (entry->d_name[0] == '.' || !read_task(folder, entry->d_name, &task) ||
            (larger = reallocarray(tasks, count + 1, sizeof *larger)) == NULL) {
            continue;
        }
        longest = waited_since(starvation, &task) > longest ? waited_since(starvation, &task) : longest;
        tasks = larger;
        tasks[count++] = task;
    }
    if (threads != NULL) {
        closedir(threads);
    }
    free(starvation->tasks);
    starvation->tasks = tasks;
    starvation->count = count;
    starvation->seconds += (double)longest * 1e-9;
    return starvation->seconds;
}

double starvation_look(struct starvation *starvation)
{
    return starvation_look_in("/proc", starvation);
}

void starvation_end(struct starvation *starvation)
{
    free(starvation->tasks);
    starvation->tasks = NULL;
    starvation->count = 0;
}
