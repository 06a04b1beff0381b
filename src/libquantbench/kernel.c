/* SPDX-License-Identifier: Apache-2.0 */
/* kernel.c - the registry: every backend's kernels and those of plug-ins, found by name and problem, and run on checked
 * arguments. */
#include <config.h>

#include "environment.h"
#include "kernel.h"
#include "workspace.h"
#include "problem.h"
#include "operation.h"

#include <fnmatch.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* The lists that were added. More are only ever added at the end. */
static struct qb__kernel_list *_Atomic added;

void qb__kernels_add(struct qb__kernel_list *list)
{
    struct qb__kernel_list *_Atomic *end = &added;

    while (*end != NULL) {
        end = &(*end)->next;
    }
    *end = list;
}

size_t qb_kernel_count(void)
{
    size_t count = 0;

    for (size_t i = 0; i < qb_backend_count(); i++) {
        count += qb_backend_at(i)->kernel_count;
    }
    for (const struct qb__kernel_list *list = added; list != NULL; list = list->next) {
        count += list->count;
    }
    return count;
}

const struct qb_kernel *qb_kernel_at(size_t index)
{
    for (size_t i = 0; i < qb_backend_count(); i++) {
        const struct qb_backend *backend = qb_backend_at(i);

        if (index < backend->kernel_count) {
            return &backend->kernels[index];
        }
        index -= backend->kernel_count;
    }
    for (const struct qb__kernel_list *list = added; list != NULL; list = list->next) {
        if (index < list->count) {
            return list->kernels[index];
        }
        index -= list->count;
    }
    return NULL;
}

const char *qb_kernel_name(const struct qb_kernel *kernel)
{
    return kernel->name;
}

const char *qb_kernel_description(const struct qb_kernel *kernel)
{
    return kernel->description;
}

const struct qb_backend *qb_kernel_backend(const struct qb_kernel *kernel)
{
    return kernel->backend;
}

enum qb_operation qb_kernel_operation(const struct qb_kernel *kernel)
{
    return kernel->operation;
}

const char *qb_kernel_plugin(const struct qb_kernel *kernel)
{
    return kernel->file;
}

const struct qb_arithmetic *qb_kernel_arithmetic(const struct qb_kernel *kernel)
{
    return kernel->arithmetic != NULL ? kernel->arithmetic : &qb__contract;
}

/* True if the rows of LOADED have several tensor scales, which no kernel knows. */
static bool has_tensor_scales(const struct qb_problem *loaded)
{
    return !qb__has_cache(loaded->operation) && qb__tensor_scales(loaded) > 1;
}

/* True if KERNEL may be asked about LOADED: zero points of 32 bits are for kernels of others. */
static bool knows_zero_points(const struct qb_kernel *kernel, const struct qb_problem *loaded)
{
    return loaded->zero_points != QB_ZERO_POINTS_INT32 || qb_kernel_plugin(kernel) != NULL;
}

/* The same for a problem that was loaded. */
static bool supports(const struct qb_kernel *kernel, const struct qb_device *device, const struct qb_problem *loaded)
{
    return kernel->backend == device->backend && kernel->operation == loaded->operation &&
           (loaded->experts == 0 || kernel->experts) && !has_tensor_scales(loaded) &&
           knows_zero_points(kernel, loaded) && kernel->supports(kernel, device, loaded);
}

bool qb_kernel_supports(const struct qb_kernel *kernel, const struct qb_device *device,
                        const struct qb_problem *problem)
{
    struct qb_problem p;

    return qb__problem_load(problem, &p) == QB_OK && supports(kernel, device, &p);
}

enum qb_status qb_kernel_match(const struct qb_device *device, const struct qb_problem *problem, const char *pattern,
                               const struct qb_kernel **kernel)
{
    bool name_matched = false;
    struct qb_problem p;
    enum qb_status status = qb__problem_load(problem, &p);

    if (status != QB_OK) {
        return status;
    }
    if (device == NULL || kernel == NULL) {
        return qb__fail(QB_ERROR_INVALID, "%s: an argument is NULL", __func__);
    }
    for (size_t i = 0; i < qb_kernel_count(); i++) {
        const struct qb_kernel *candidate = qb_kernel_at(i);

        if (candidate->backend != device->backend ||
            (pattern != NULL ? fnmatch(pattern, candidate->name, 0) != 0 : qb_kernel_plugin(candidate) != NULL)) {
            continue;
        }
        name_matched = true;
        if (supports(candidate, device, &p)) {
            *kernel = candidate;
            return QB_OK;
        }
    }
    if (!name_matched) {
        return qb__fail(QB_ERROR_INVALID, "no kernel of backend %s is called '%s'", device->backend->name, pattern);
    }
    return qb__fail(QB_ERROR_UNSUPPORTED, "no kernel%s%s of backend %s supports this problem on this device",
                    pattern != NULL ? " called " : "", pattern != NULL ? pattern : "", device->backend->name);
}

/* As qb_kernel_workspace(), for a problem that was loaded. */
static size_t workspace(const struct qb_kernel *kernel, const struct qb_device *device, const struct qb_problem *loaded)
{
    return kernel->workspace == NULL ? 0 : kernel->workspace(kernel, device, loaded);
}

size_t qb_kernel_workspace(const struct qb_kernel *kernel, const struct qb_device *device,
                           const struct qb_problem *problem)
{
    struct qb_problem p;

    return qb__problem_load(problem, &p) == QB_OK ? workspace(kernel, device, &p) : 0;
}

enum qb_status qb_queue_reserve(struct qb_queue *queue, size_t bytes)
{
    enum qb_status status;

    if (queue == NULL) {
        return qb__fail(QB_ERROR_INVALID, "%s: an argument is NULL", __func__);
    }
    status = queue->device->backend->queue_reserve(queue, bytes);
    return status == QB_OK && added != NULL ? qb__workspace_reserve(queue, bytes) : status;
}

/* Let QUEUE have the BYTES of workspace that KERNEL needs. A plug-in is asked once: another time it might say something
 * else. */
static enum qb_status provide_workspace(const struct qb_kernel *kernel, struct qb_queue *queue, size_t bytes)
{
    enum qb_status status;

    if (kernel->file == NULL) {
        return bytes > 0 ? queue->device->backend->queue_reserve(queue, bytes) : QB_OK;
    }
    status = qb__workspace_reserve(queue, bytes);
    if (status == QB_OK && queue->plugin_workspace != NULL) {
        queue->plugin_workspace->wanted = bytes > 0;
    }
    return status;
}

/* Run KERNEL in the default environment, and leave the caller's as it was. */
static enum qb_status run_in_environment(const struct qb_kernel *kernel, struct qb_queue *queue,
                                         const struct qb_problem *problem, const struct qb_tensors *tensors)
{
    struct qb__environment kept;
    enum qb_status status;

    qb__environment_enter(&kept);
    status = kernel->run(kernel, queue, problem, tensors);
    qb__environment_leave(&kept);
    return status;
}

/* Check what TENSORS say about places, if the host can look at them. */
static enum qb_status check_tensors(const struct qb_queue *queue, const struct qb_problem *loaded,
                                    const struct qb_tensors *tensors)
{
    const struct qb__operation *operation = qb__operation_of(loaded->operation);
    const bool on_host = strcmp(queue->device->backend->name, "cpu") == 0;
    const enum qb_status status = on_host ? qb__experts_check(loaded, tensors->at[QB_ROLE_EXPERTS]) : QB_OK;

    if (status != QB_OK) {
        return status;
    }
    return on_host && operation->check != NULL ? operation->check(loaded, tensors) : QB_OK;
}

/* ---- What was checked ----------------------------------------------------------------------------------------------
 */

/* A program runs few problems many times, and to check one takes a third of the time in which a GPU's driver launches a
 * kernel. So a queue keeps what it found out about the last. */
#define CHECKS 16u

struct check {
    const struct qb_kernel *kernel; /* NULL: the place is free */
    bool is_first;                  /* of the kernels that support the problem */
    struct qb_problem given, loaded;
    size_t workspace;
    unsigned present;                     /* a bit for each tensor that may not be NULL */
    unsigned char aligned[QB_ROLE_COUNT]; /* addresses have none of these bits */
};

struct qb__checks {
    struct check at[CHECKS];
    unsigned next; /* is replaced next */
};

/* Set CHECK to what is found out about PROBLEM and KERNEL; the errors are those of qb_kernel_run(). */
static enum qb_status check_problem(const struct qb_kernel *kernel, const struct qb_queue *queue,
                                    const struct qb_problem *problem, struct check *check)
{
    enum qb_status status = qb__problem_load(problem, &check->loaded);

    if (status != QB_OK) {
        return status;
    }
    if (kernel == NULL || queue == NULL) {
        return qb__fail(QB_ERROR_INVALID, "qb_kernel_run: an argument is NULL");
    }
    if (!supports(kernel, queue->device, &check->loaded)) {
        return qb__fail(QB_ERROR_UNSUPPORTED, "kernel %s does not support this problem on this device", kernel->name);
    }
    check->kernel = kernel;
    check->is_first = false;
    check->workspace = workspace(kernel, queue->device, &check->loaded);
    check->present = 0;
    for (int role = 0; role < QB_ROLE_COUNT; role++) {
        const struct qb_tensor_info tensor = qb__tensor_of(&check->loaded, (enum qb_role)role);

        check->present |= tensor.present && tensor.bytes > 0 ? 1u << role : 0;
        check->aligned[role] = (unsigned char)(tensor.present ? tensor.alignment - 1 : 0);
    }
    return QB_OK;
}

/* Problems are compared byte by byte: what is between members is not set by every program. */
_Static_assert(offsetof(struct qb_problem, head_size) ==
                       offsetof(struct qb_problem, expert_rows) + sizeof(enum qb_expert_rows) &&
                   offsetof(struct qb_problem, expert_tokens) ==
                       offsetof(struct qb_problem, experts) + sizeof(uint64_t) &&
                   offsetof(struct qb_problem, tensor_scale_cols) ==
                       offsetof(struct qb_problem, expert_tokens) + sizeof(uint64_t) &&
                   sizeof(struct qb_problem) == offsetof(struct qb_problem, tensor_scale_cols) + sizeof(uint64_t),
               "no padding");

/* The check of PROBLEM that QUEUE keeps: by KERNEL, or by the first of all if that is NULL. NULL: there is none. */
static struct check *find_check(const struct qb_queue *queue, const struct qb_kernel *kernel,
                                const struct qb_problem *problem)
{
    for (unsigned i = 0; queue->checks != NULL && i < CHECKS; i++) {
        struct check *check = &queue->checks->at[i];

        if (check->kernel != NULL && (kernel != NULL ? check->kernel == kernel : check->is_first) &&
            memcmp(&check->given, problem, sizeof check->given) == 0) {
            return check;
        }
    }
    return NULL;
}

/* Keep CHECK of PROBLEM in QUEUE, if there is memory. Returns where it is kept, or CHECK. */
static struct check *keep_check(struct qb_queue *queue, const struct qb_problem *problem, struct check *check)
{
    struct check *place;

    if (queue->checks == NULL) {
        queue->checks = calloc(1, sizeof *queue->checks);
    }
    if (queue->checks == NULL) {
        return check;
    }
    place = &queue->checks->at[queue->checks->next];
    queue->checks->next = (queue->checks->next + 1) % CHECKS;
    *place = *check;
    memcpy(&place->given, problem, sizeof place->given);
    return place;
}

/* True if a check of PROBLEM can be kept: all of it is known, and the library itself answers for KERNEL. */
static bool is_lasting(const struct qb_queue *queue, const struct qb_kernel *kernel, const struct qb_problem *problem)
{
    return queue != NULL && problem != NULL && problem->size == sizeof *problem &&
           (kernel == NULL || kernel->file == NULL);
}

/* Set *LOADED to TENSORS, as qb__tensors_load() does. */
static enum qb_status load_tensors(const struct check *check, const struct qb_tensors *tensors,
                                   struct qb_tensors *loaded)
{
    enum qb_status status = qb__tensors_take(tensors, loaded);

    for (int role = 0; role < QB_ROLE_COUNT && status == QB_OK; role++) {
        if ((loaded->at[role] == NULL && (check->present >> role & 1) != 0) ||
            ((uintptr_t)loaded->at[role] & check->aligned[role]) != 0) {
            status = qb__tensors_check(&check->loaded, loaded, (enum qb_role)role);
        }
    }
    return status;
}

/* Run the kernel of CHECK. */
static enum qb_status run_checked(const struct check *check, struct qb_queue *queue, const struct qb_tensors *tensors)
{
    struct qb_tensors t;
    enum qb_status status = load_tensors(check, tensors, &t);

    if (status == QB_OK) {
        status = check_tensors(queue, &check->loaded, &t);
    }
    if (status == QB_OK) {
        status = provide_workspace(check->kernel, queue, check->workspace);
    }
    return status == QB_OK ? run_in_environment(check->kernel, queue, &check->loaded, &t) : status;
}

/* Set *FOUND to the check of PROBLEM and KERNEL that QUEUE keeps, or to one that is made in MADE, or kept. */
static enum qb_status find_or_check(const struct qb_kernel *kernel, struct qb_queue *queue,
                                    const struct qb_problem *problem, struct check *made, const struct check **found)
{
    const bool lasting = kernel != NULL && is_lasting(queue, kernel, problem);
    enum qb_status status;

    *found = lasting ? find_check(queue, kernel, problem) : NULL;
    if (*found != NULL) {
        return QB_OK;
    }
    status = check_problem(kernel, queue, problem, made);
    if (status == QB_OK) {
        *found = lasting ? keep_check(queue, problem, made) : made;
    }
    return status;
}

enum qb_status qb_kernel_run(const struct qb_kernel *kernel, struct qb_queue *queue, const struct qb_problem *problem,
                             const struct qb_tensors *tensors)
{
    struct check made;
    const struct check *check;
    const enum qb_status status = find_or_check(kernel, queue, problem, &made, &check);

    return status == QB_OK ? run_checked(check, queue, tensors) : status;
}

enum qb_status qb_kernel_floor(const struct qb_kernel *kernel, struct qb_queue *queue, const struct qb_problem *problem)
{
    struct check made;
    const struct check *check;
    enum qb_status status;

    if (kernel == NULL || queue == NULL) {
        return qb__fail(QB_ERROR_INVALID, "%s: an argument is NULL", __func__);
    }
    if (kernel->floor == NULL) {
        return qb__fail(QB_ERROR_UNSUPPORTED, "kernel %s has no empty launch for this problem", kernel->name);
    }
    /* What comes before a launch is a part of it. */
    status = find_or_check(kernel, queue, problem, &made, &check);
    return status == QB_OK ? kernel->floor(kernel, queue, &check->loaded) : status;
}

enum qb_status qb_quantize(struct qb_queue *queue, const struct qb_problem *problem, const struct qb_tensors *tensors)
{
    const struct qb_kernel *kernel;
    struct check *check;
    enum qb_status status;

    if (queue == NULL) {
        return qb__fail(QB_ERROR_INVALID, "%s: the queue is NULL", __func__);
    }
    check = is_lasting(queue, NULL, problem) ? find_check(queue, NULL, problem) : NULL;
    if (check != NULL) {
        return run_checked(check, queue, tensors);
    }
    status = qb_kernel_match(queue->device, problem, NULL, &kernel);
    if (status == QB_OK) {
        status = qb_kernel_run(kernel, queue, problem, tensors);
    }
    check = status == QB_OK && is_lasting(queue, kernel, problem) ? find_check(queue, kernel, problem) : NULL;
    if (check != NULL) {
        check->is_first = true;
    }
    return status;
}
