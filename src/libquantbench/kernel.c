/* SPDX-License-Identifier: Apache-2.0 */
/* kernel.c - the registry: every backend's kernels and those of plug-ins, found by name and problem, and run on checked
 * arguments. */
#include <config.h>

#include "environment.h"
#include "plugin.h"
#include "problem.h"
#include "internal.h"

#include <fnmatch.h>

size_t qb_kernel_count(void)
{
    size_t count = 0;

    for (size_t i = 0; i < qb_backend_count(); i++) {
        count += qb_backend_at(i)->kernel_count;
    }
    return count + qb__plugin_kernel_count();
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
    return qb__plugin_kernel_at(index);
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

const char *qb_kernel_plugin(const struct qb_kernel *kernel)
{
    return qb__plugin_file(kernel);
}

const struct qb_arithmetic *qb_kernel_arithmetic(const struct qb_kernel *kernel)
{
    const struct qb_arithmetic *arithmetic = qb__plugin_arithmetic(kernel);

    return arithmetic != NULL ? arithmetic : &qb__contract;
}

bool qb_kernel_supports(const struct qb_kernel *kernel, const struct qb_device *device,
                        const struct qb_problem *problem)
{
    return kernel->backend == device->backend && kernel->supports(kernel, device, problem);
}

enum qb_status qb_kernel_match(const struct qb_device *device, const struct qb_problem *problem, const char *pattern,
                               const struct qb_kernel **kernel)
{
    bool name_matched = false;
    enum qb_status status = qb_problem_validate(problem);

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
        if (candidate->supports(candidate, device, problem)) {
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

size_t qb_kernel_workspace(const struct qb_kernel *kernel, const struct qb_device *device,
                           const struct qb_problem *problem)
{
    return kernel->workspace == NULL ? 0 : kernel->workspace(kernel, device, problem);
}

/* Run KERNEL in the default environment, and leave the caller's as it was. */
static enum qb_status run_in_environment(const struct qb_kernel *kernel, struct qb_queue *queue,
                                         const struct qb_problem *problem, const struct qb_buffers *buffers)
{
    struct qb__environment kept;
    enum qb_status status;

    qb__environment_enter(&kept);
    status = kernel->run(kernel, queue, problem, buffers);
    qb__environment_leave(&kept);
    return status;
}

enum qb_status qb_kernel_run(const struct qb_kernel *kernel, struct qb_queue *queue, const struct qb_problem *problem,
                             const struct qb_buffers *buffers)
{
    struct qb_problem p;
    size_t workspace;
    enum qb_status status = qb__prepare(problem, buffers, problem != NULL && problem->scaling != QB_SCALING_AMAX, &p);

    if (status != QB_OK) {
        return status;
    }
    if (kernel == NULL || queue == NULL) {
        return qb__fail(QB_ERROR_INVALID, "%s: an argument is NULL", __func__);
    }
    if (!qb_kernel_supports(kernel, queue->device, &p)) {
        return qb__fail(QB_ERROR_UNSUPPORTED, "kernel %s does not support this problem on this device", kernel->name);
    }
    workspace = qb_kernel_workspace(kernel, queue->device, &p);
    if (workspace > 0) {
        status = qb_kernel_plugin(kernel) != NULL ? qb__plugin_reserve(queue, workspace)
                                                  : queue->device->backend->queue_reserve(queue, workspace);
        if (status != QB_OK) {
            return status;
        }
    }
    return run_in_environment(kernel, queue, &p, buffers);
}

enum qb_status qb_kernel_floor(const struct qb_kernel *kernel, struct qb_queue *queue, const struct qb_problem *problem)
{
    struct qb_problem p;
    enum qb_status status = qb_problem_validate(problem);

    if (status != QB_OK) {
        return status;
    }
    if (kernel == NULL || queue == NULL) {
        return qb__fail(QB_ERROR_INVALID, "%s: an argument is NULL", __func__);
    }
    qb__fill_strides(problem, &p);
    if (kernel->floor == NULL || !qb_kernel_supports(kernel, queue->device, &p)) {
        return qb__fail(QB_ERROR_UNSUPPORTED, "kernel %s has no empty launch for this problem", kernel->name);
    }
    return kernel->floor(kernel, queue, &p);
}

enum qb_status qb_quantize(struct qb_queue *queue, const struct qb_problem *problem, const struct qb_buffers *buffers)
{
    const struct qb_kernel *kernel;
    enum qb_status status;

    if (queue == NULL) {
        return qb__fail(QB_ERROR_INVALID, "%s: the queue is NULL", __func__);
    }
    status = qb_kernel_match(queue->device, problem, NULL, &kernel);
    return status == QB_OK ? qb_kernel_run(kernel, queue, problem, buffers) : status;
}
