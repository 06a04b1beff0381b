/* SPDX-License-Identifier: Apache-2.0 */
/* workspace.h - the memory that a queue has for kernels of plug-ins. It is separate from the backend's, whose own
 * kernels rely on the contents that they left there. */
#ifndef QB_WORKSPACE_H
#define QB_WORKSPACE_H

#include "backend.h"

/* Let the workspace of QUEUE hold at least BYTES bytes. */
enum qb_status qb__workspace_reserve(struct qb_queue *queue, size_t bytes);

/* Free the workspaces that a queue of DEVICE had, once its work is done. */
void qb__workspace_release(struct qb_device *device, struct qb__workspace *workspace);

#endif
