/* SPDX-License-Identifier: Apache-2.0 */
/* backend.h - the interface between the library and its backends. Implemented by cpu/backend_cpu.c and
 * cuda/backend_cuda.c, called only by backend.c and kernel.c. A backend sees quantbench.h, this header and problem.h,
 * and calls nothing of the library but what struct qb__host hands it: so the same sources serve as a part of the
 * library and as a loaded module. */
#ifndef QB_BACKEND_H
#define QB_BACKEND_H

#include "quantbench.h"

/* Raised with every change of the structures below; a module of another number is refused. */
#define QB__BACKEND_ABI 11u

/* The functions that the library provides to a backend. */
struct qb__host {
    /* Set qb_error_detail() of this thread (printf) and return STATUS, so that a failure is one statement. */
    enum qb_status (*fail)(enum qb_status status, const char *format, ...) __attribute__((format(printf, 2, 3)));
};

struct qb_kernel {
    const char *name;
    const char *description;
    const struct qb_backend *backend;
    enum qb_operation operation; /* that it does; asked before SUPPORTS, as the next */
    bool experts;                /* it does problems that have some */
    bool (*supports)(const struct qb_kernel *kernel, const struct qb_device *device, const struct qb_problem *problem);
    /* Bytes; NULL means 0. */
    size_t (*workspace)(const struct qb_kernel *kernel, const struct qb_device *device,
                        const struct qb_problem *problem);
    /* PROBLEM is valid, with strides filled in (never 0), and supported; the tensors are there and the queue's
     * workspace is large enough. tokens may be 0. */
    enum qb_status (*run)(const struct qb_kernel *kernel, struct qb_queue *queue, const struct qb_problem *problem,
                          const struct qb_tensors *tensors);
    /* As RUN, without tensors; NULL: unsupported. */
    enum qb_status (*floor)(const struct qb_kernel *kernel, struct qb_queue *queue, const struct qb_problem *problem);
    /* The backend's own: the variant of this row. */
    const void *variant;
    /* Of a plug-in's kernel: what it promises to compute, and the file that it came from. NULL: it is the library's
     * own. */
    const struct qb_arithmetic *arithmetic;
    const char *file;
};

/* Memory of a device. */
struct qb__workspace {
    struct qb__workspace *older;
    void *memory;
    size_t size;
    bool wanted; /* by the kernel that is run now */
};

/* Each backend's objects begin with these, so that the library can find the backend again. */
struct qb_device {
    const struct qb_backend *backend;
};
struct qb_queue {
    struct qb_device *device;
    /* The library's own, zero to begin with: see workspace.h and kernel.c. */
    struct qb__workspace *plugin_workspace;
    struct qb__checks *checks;
    bool capturing;
};
struct qb_event {
    struct qb_device *device;
};
struct qb_graph {
    struct qb_device *device;
};

/* Every member is set, but where NULL is explained: a backend without graphs returns QB_ERROR_UNSUPPORTED. Comments are
 * in quantbench.h, at the function of the same name. Arguments were checked for NULL by backend.c. */
struct qb_backend {
    unsigned abi;        /* QB__BACKEND_ABI */
    const char *version; /* the package's version; a module of another version is refused */
    const char *name;
    const struct qb_kernel *kernels; /* best first */
    size_t kernel_count;

    enum qb_status (*device_count)(int *count);
    enum qb_status (*device_open)(int index, struct qb_device **device);
    void (*device_close)(struct qb_device *device);
    enum qb_status (*device_info)(struct qb_device *device, struct qb_device_info *info);
    /* NULL for both: it has no CPUs. */
    enum qb_status (*device_bind_threads)(struct qb_device *device, bool bind);
    enum qb_status (*device_cpus)(struct qb_device *device, unsigned *cpus, size_t room, size_t *count);
    enum qb_status (*device_conditions)(struct qb_device *device, struct qb_device_conditions *conditions);
    enum qb_status (*device_facts)(struct qb_device *device, struct qb_device_fact *facts, size_t room, size_t *count);

    /* NULL for both: the device has no such pages. */
    enum qb_status (*memory_set_huge_pages)(struct qb_device *device, enum qb_huge_pages pages);
    enum qb_status (*memory_in_huge_pages)(struct qb_device *device, const void *memory, size_t bytes, uint64_t *huge);
    enum qb_status (*memory_alloc)(struct qb_device *device, size_t bytes, void **pointer);
    void (*memory_free)(struct qb_device *device, void *pointer);
    enum qb_status (*memory_write)(struct qb_device *device, void *target, const void *source, size_t bytes);
    enum qb_status (*memory_read)(struct qb_device *device, void *target, const void *source, size_t bytes);
    enum qb_status (*memory_fill)(struct qb_device *device, void *target, int byte, size_t bytes);
    enum qb_status (*memory_compare)(struct qb_device *device, const struct qb_copies *copies, const void *expected,
                                     size_t bytes, uint64_t *different, uint64_t *first);

    /* wrapped: NATIVE is the caller's stream; else NATIVE is NULL and the queue makes its own. */
    enum qb_status (*queue_create)(struct qb_device *device, bool wrapped, void *native, struct qb_queue **queue);
    void (*queue_destroy)(struct qb_queue *queue);
    enum qb_status (*queue_synchronize)(struct qb_queue *queue);
    enum qb_status (*queue_set_threads)(struct qb_queue *queue, unsigned threads);
    /* NULL: kernels run on no threads of the host. */
    enum qb_status (*queue_threads)(struct qb_queue *queue, unsigned *wanted, unsigned *obtained);
    enum qb_status (*queue_set_dependent_launch)(struct qb_queue *queue, bool enabled);
    enum qb_status (*queue_reserve)(struct qb_queue *queue, size_t bytes);
    /* Call WORK with the queue's stream (CUDA; else NULL) and number of threads (CPU; else 0), the device being
     * current, and return its status, or the error that it left. */
    enum qb_status (*queue_call)(struct qb_queue *queue,
                                 enum qb_status (*work)(void *context, void *stream, unsigned threads), void *context);
    enum qb_status (*queue_copy)(struct qb_queue *queue, void *target, const void *source, size_t bytes);
    enum qb_status (*queue_mix)(struct qb_queue *queue, void *target, size_t written_bytes, const void *source,
                                size_t read_bytes, enum qb_stores stores);

    enum qb_status (*event_create)(struct qb_device *device, struct qb_event **event);
    void (*event_destroy)(struct qb_event *event);
    enum qb_status (*event_record)(struct qb_queue *queue, struct qb_event *event);
    enum qb_status (*event_elapsed)(struct qb_event *start, struct qb_event *end, double *nanoseconds);

    enum qb_status (*graph_begin)(struct qb_queue *queue);
    enum qb_status (*graph_end)(struct qb_queue *queue, struct qb_graph **graph);
    enum qb_status (*graph_launch)(struct qb_graph *graph, struct qb_queue *queue);
    void (*graph_destroy)(struct qb_graph *graph);

    enum qb_status (*profiler_start)(struct qb_device *device);
    enum qb_status (*profiler_stop)(struct qb_device *device);
    void (*range_push)(struct qb_device *device, const char *name);
    void (*range_pop)(struct qb_device *device);
};

/* A backend's one entry. HOST lives as long as the process. Called once, under a lock. */
typedef const struct qb_backend *qb__backend_entry(const struct qb__host *host);

qb__backend_entry qb__backend_cpu;

#ifdef QB__CUDA_PLUGIN
/* The module's one exported symbol. */
#define QB__CUDA_ENTRY quantbench_backend
#else
#define QB__CUDA_ENTRY qb__backend_cuda
#endif
qb__backend_entry QB__CUDA_ENTRY;
#define QB__MODULE_ENTRY_NAME "quantbench_backend"

#endif
