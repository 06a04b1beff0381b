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

/* The same for a problem that was loaded. */
static bool supports(const struct qb_kernel *kernel, const struct qb_device *device, const struct qb_problem *loaded)
{
    return kernel->backend == device->backend && kernel->operation == loaded->operation &&
           (loaded->experts == 0 || kernel->experts) && kernel->supports(kernel, device, loaded);
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

/* Let QUEUE have the workspace that KERNEL needs. A plug-in is asked once: another time it might say something else. */
static enum qb_status provide_workspace(const struct qb_kernel *kernel, struct qb_queue *queue,
                                        const struct qb_problem *loaded)
{
    const size_t bytes = workspace(kernel, queue->device, loaded);
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

enum qb_status qb_kernel_run(const struct qb_kernel *kernel, struct qb_queue *queue, const struct qb_problem *problem,
                             const struct qb_tensors *tensors)
{
    struct qb_problem p;
    struct qb_tensors t;
    enum qb_status status = qb__problem_load(problem, &p);

    if (status == QB_OK) {
        status = qb__tensors_load(&p, tensors, &t);
    }
    if (status != QB_OK) {
        return status;
    }
    if (kernel == NULL || queue == NULL) {
        return qb__fail(QB_ERROR_INVALID, "%s: an argument is NULL", __func__);
    }
    if (!supports(kernel, queue->device, &p)) {
        return qb__fail(QB_ERROR_UNSUPPORTED, "kernel %s does not support this problem on this device", kernel->name);
    }
    status = check_tensors(queue, &p, &t);
    if (status == QB_OK) {
        status = provide_workspace(kernel, queue, &p);
    }
    return status == QB_OK ? run_in_environment(kernel, queue, &p, &t) : status;
}

enum qb_status qb_kernel_floor(const struct qb_kernel *kernel, struct qb_queue *queue, const struct qb_problem *problem)
{
    struct qb_problem p;
    enum qb_status status = qb__problem_load(problem, &p);

    if (status != QB_OK) {
        return status;
    }
    if (kernel == NULL || queue == NULL) {
        return qb__fail(QB_ERROR_INVALID, "%s: an argument is NULL", __func__);
    }
    if (kernel->floor == NULL || !supports(kernel, queue->device, &p)) {
        return qb__fail(QB_ERROR_UNSUPPORTED, "kernel %s has no empty launch for this problem", kernel->name);
    }
    return kernel->floor(kernel, queue, &p);
}

enum qb_status qb_quantize(struct qb_queue *queue, const struct qb_problem *problem, const struct qb_tensors *tensors)
{
    const struct qb_kernel *kernel;
    enum qb_status status;

    if (queue == NULL) {
        return qb__fail(QB_ERROR_INVALID, "%s: the queue is NULL", __func__);
    }
    status = qb_kernel_match(queue->device, problem, NULL, &kernel);
    return status == QB_OK ? qb_kernel_run(kernel, queue, problem, tensors) : status;
}
