/* SPDX-License-Identifier: Apache-2.0 */
/* plugin.h - kernels from plug-ins, for the registry and for queues. */
#ifndef QB_PLUGIN_H
#define QB_PLUGIN_H

#include "backend.h"

/* The kernels of all plug-ins, in the order of their loading. Any thread may ask while another one loads. */
size_t qb__plugin_kernel_count(void);
const struct qb_kernel *qb__plugin_kernel_at(size_t index);

/* The file that KERNEL came from, and what it promises to compute; NULL if it is no plug-in's. */
const char *qb__plugin_file(const struct qb_kernel *kernel);
const struct qb_arithmetic *qb__plugin_arithmetic(const struct qb_kernel *kernel);

/* Let the workspace that QUEUE has for kernels of plug-ins hold at least BYTES bytes. It is none of the backend's,
 * whose own kernels rely on what they have left in theirs. */
enum qb_status qb__plugin_reserve(struct qb_queue *queue, size_t bytes);
/* Free the workspaces that a queue of DEVICE had, once its work is done. */
void qb__plugin_release(struct qb_device *device, struct qb__workspace *workspace);

#endif
