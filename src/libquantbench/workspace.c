/* SPDX-License-Identifier: Apache-2.0 */
/* workspace.c - see workspace.h. */
#include <config.h>

#include "internal.h"
#include "workspace.h"

#include <stdlib.h>

/* The byte that fills a new workspace: a kernel that needs zeros must not find them by luck. */
#define WORKSPACE_BYTE 0xA5

enum qb_status qb__workspace_reserve(struct qb_queue *queue, size_t bytes)
{
    const struct qb_backend *backend = queue->device->backend;
    struct qb__workspace *added;
    enum qb_status status;

    if (bytes == 0 || (queue->plugin_workspace != NULL && queue->plugin_workspace->size >= bytes)) {
        return QB_OK;
    }
    if (queue->capturing) {
        return qb__fail(QB_ERROR_WORKSPACE, "the queue's workspace must be reserved (%zu bytes) before a capture",
                        bytes);
    }
    added = malloc(sizeof *added);
    if (added == NULL) {
        return qb__fail(QB_ERROR_MEMORY, "out of host memory");
    }
    status = backend->memory_alloc(queue->device, bytes, &added->memory);
    if (status == QB_OK) {
        status = backend->memory_fill(queue->device, added->memory, WORKSPACE_BYTE, bytes);
        if (status != QB_OK) {
            backend->memory_free(queue->device, added->memory);
        }
    }
    if (status != QB_OK) {
        free(added);
        return status;
    }
    /* A captured graph may still use the older ones. */
    added->size = bytes;
    added->wanted = false;
    added->older = queue->plugin_workspace;
    queue->plugin_workspace = added;
    return QB_OK;
}

void qb__workspace_release(struct qb_device *device, struct qb__workspace *workspace)
{
    while (workspace != NULL) {
        struct qb__workspace *older = workspace->older;

        device->backend->memory_free(device, workspace->memory);
        free(workspace);
        workspace = older;
    }
}
