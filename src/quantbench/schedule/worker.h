/* SPDX-License-Identifier: Apache-2.0 */
/* worker.h - a second process of this program that proves and visits cases with foreign kernels, and tells what it
 * found. A kernel that crashes or hangs ends that process only; the next case gets a new one. Devices are opened by it
 * again. */
#ifndef WORKER_H
#define WORKER_H

#include "measure/bench.h"
#include "cases/child.h"

struct worker {
    struct child child;
    bool mixed;  /* it was asked for more cases than one */
    size_t last; /* the one it was asked for last */
};

/* True if case INDEX is for a worker: its kernel is foreign, or it is compared with one that is, since two processes
 * differ in more than their kernels. */
bool worker_takes(const struct bench *bench, size_t index);

/* True if it is also visited there; all but launches for a profiler are. */
bool worker_visits(const struct bench *bench, size_t index);

/* bench_prove() and bench_visit() in WORKER, which is started if need be; so is a second one if the first has gone. A
 * kernel that ends the process, or hangs for longer than --kernel-timeout, is EXIT_CANNOT_RUN; but if another kernel
 * has run in that process before, whose fault it may be, it is given another one first. Errors have been printed. */
void worker_prove(struct worker *worker, struct bench *bench, size_t index);
void worker_visit(struct worker *worker, struct bench *bench, size_t index, uint64_t samples, size_t aside,
                  double seconds);

/* Let the process end. */
void worker_end(struct worker *worker);

/* In the second process: all that it does, if this is one. It does not return then. */
void worker_main(char **argv, const struct settings *settings);

#endif
