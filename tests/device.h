/* SPDX-License-Identifier: Apache-2.0 */
/* device.h - the device and the queue of a test program that is built once for each backend, TEST_BACKEND. */
#ifndef DEVICE_H
#define DEVICE_H

#include "quantbench.h"
#include "run.h"

static struct qb_device *device;
static struct qb_queue *queue;

static void check(enum qb_status status)
{
    ck_assert_msg(status == QB_OK, "%s: %s", qb_strerror(status), qb_error_detail());
}

/* Open the backend's first device. False if the program is to end with *RESULT: it has said why. */
static bool backend_open(int *result)
{
    const struct qb_backend *backend = qb_backend_find(TEST_BACKEND);

    *result = 0;
    if (backend == NULL || qb_device_open(backend, 0, &device) != QB_OK) {
        printf("1..0 # SKIP %s\n", backend == NULL ? qb_backend_why_not(TEST_BACKEND) : qb_error_detail());
        return false;
    }
    if (qb_queue_create(device, &queue) != QB_OK) {
        printf("Bail out! %s\n", qb_error_detail());
        *result = 1;
        return false;
    }
    return true;
}

/* Run SUITE, and close what was opened. A device does not survive a fork, and neither do OpenMP's threads: all tests
 * share this process. */
static int backend_run(Suite *suite)
{
    int result = run_suite_with(suite, CK_NOFORK);

    qb_queue_destroy(queue);
    qb_device_close(device);
    return result;
}

#endif
