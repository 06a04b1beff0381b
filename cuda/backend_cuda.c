/* SPDX-License-Identifier: Apache-2.0 */
/* backend_cuda.c - the CUDA backend: devices, memory, streams, events and graphs, and the table of kernels. Plain C;
 * all that nvcc must see is behind kernels.h. */
#include <config.h>

#include <cuda_profiler_api.h>
#include <cuda_runtime_api.h>
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backend.h"
#include "kernels.h"
#include "nvml.h"
#include "problem.h"

#ifdef __has_include
#if __has_include(<nvtx3/nvToolsExt.h>)
#include <nvtx3/nvToolsExt.h>
#define HAVE_NVTX 1
#endif
#endif

/* The oldest compute capability that kernels are written for. */
#define MIN_CAPABILITY 75u
/* The oldest that can start a kernel before the one in front of it has ended. */
#define DEPENDENT_LAUNCH_CAPABILITY 90u

/* How many streams are kept, as many as a program has queues at the same time. */
#define SPARE_STREAMS 16u

struct device {
    struct qb_device base;
    int index;
    struct qb__cuda_limits limits;
    bool captures_dependent; /* launches that are dependent can be captured as such */
    /* For memory_write() and the like: the default stream would wait for the program's other streams. */
    cudaStream_t stream;
    /* Streams of queues that were destroyed, for the next. Once a process has launched eight kernels outside of graphs
     * into each of two streams, every node of its graphs takes longer, for as long as it lives: on an H200 0.66 us for
     * 0.48 if it is empty. The driver's fills, and its copies within the device, count as kernels. */
    cudaStream_t spare[SPARE_STREAMS];
    unsigned spare_count;
    struct qb__nvml *nvml; /* opened when first needed, as it takes long; NULL: there is none */
    bool nvml_asked;
};

/* Memory that kernels of a queue use between themselves. Zero when new, and kernels leave its beginning as kernels.h
 * says. Values between two launches are at its end, from a multiple of VALUES_ALIGNMENT on. */
struct workspace {
    struct workspace *older; /* too small, but captured graphs may point into it */
    unsigned char *memory;
    size_t size;
    size_t zeros;  /* from the beginning on: what values were not written to */
    size_t wanted; /* the most zeros that a kernel has wanted */
};

#define VALUES_ALIGNMENT ((size_t)256)

struct queue {
    struct qb_queue base;
    cudaStream_t stream;
    bool wrapped;
    bool dependent_launch;
    struct workspace *workspace; /* the newest and largest, or NULL */
};

struct event {
    struct qb_event base;
    cudaEvent_t event;
};

struct graph {
    struct qb_graph base;
    cudaGraph_t graph;
    cudaGraphExec_t exec;
};

static const struct qb__host *host;
static const struct qb_backend backend;

/* ---- Errors, and the current device ------------------------------------------------------------------------- */

/* Turn the result of CALL into a status. The run-time library's own memory of the error is cleared, so that it is not
 * taken for the next call's. */
static enum qb_status check(cudaError_t error, const char *call)
{
    enum qb_status status = QB_ERROR_DEVICE;

    if (error == cudaSuccess) {
        return QB_OK;
    }
    cudaGetLastError();
    if (error == cudaErrorMemoryAllocation) {
        status = QB_ERROR_MEMORY;
    } else if (error == cudaErrorNoKernelImageForDevice) {
        status = QB_ERROR_UNSUPPORTED;
    }
    return host->fail(status, "%s: %s", call, cudaGetErrorString(error));
}

#define CALL(function, ...) check(function(__VA_ARGS__), #function)

/* Make DEVICE current for this thread. *PREVIOUS is what leave() goes back to, -1 if nothing changed: the library must
 * not move a program's own current device. */
static enum qb_status enter(const struct qb_device *base, int *previous)
{
    const struct device *device = (const struct device *)base;
    int current;
    enum qb_status status = CALL(cudaGetDevice, &current);

    *previous = -1;
    if (status == QB_OK && current != device->index) {
        status = CALL(cudaSetDevice, device->index);
        if (status == QB_OK) {
            *previous = current;
        }
    }
    return status;
}

static void leave(int previous)
{
    if (previous >= 0) {
        cudaSetDevice(previous);
    }
}

/* ---- Devices ------------------------------------------------------------------------------------------------ */

static enum qb_status device_count(int *count)
{
    /* Asked first, so that the most common case has plain words, and no CUDA is touched. */
    void *driver = dlopen("libcuda.so.1", RTLD_LAZY | RTLD_LOCAL);
    int n = 0, supported = 0, wanted = 0;
    cudaError_t error;

    if (driver == NULL) {
        return host->fail(QB_ERROR_NO_DEVICE, "no NVIDIA driver (libcuda.so.1 is not installed)");
    }
    dlclose(driver);
    error = cudaGetDeviceCount(&n);
    if (error == cudaErrorInsufficientDriver) {
        cudaGetLastError();
        cudaDriverGetVersion(&supported);
        cudaRuntimeGetVersion(&wanted);
        return host->fail(QB_ERROR_NO_DEVICE,
                          "the NVIDIA driver is too old: it supports CUDA %d.%d, this build is of %d.%d",
                          supported / 1000, supported % 1000 / 10, wanted / 1000, wanted % 1000 / 10);
    }
    if (error == cudaErrorNoDevice || (error == cudaSuccess && n == 0)) {
        cudaGetLastError();
        return host->fail(QB_ERROR_NO_DEVICE, "the NVIDIA driver has no device (is CUDA_VISIBLE_DEVICES set?)");
    }
    if (error != cudaSuccess) {
        cudaGetLastError();
        return host->fail(QB_ERROR_NO_DEVICE, "cudaGetDeviceCount: %s", cudaGetErrorString(error));
    }
    *count = n;
    return QB_OK;
}

static enum qb_status attribute(const struct device *device, enum cudaDeviceAttr which, int *value)
{
    return CALL(cudaDeviceGetAttribute, value, which, device->index);
}

static enum qb_status read_limits(struct device *device)
{
    struct qb__cuda_limits *limits = &device->limits;
    int units, major, minor, shared, cache, cooperative, driver = 0;
    enum qb_status status;

    if ((status = attribute(device, cudaDevAttrMultiProcessorCount, &units)) != QB_OK ||
        (status = attribute(device, cudaDevAttrComputeCapabilityMajor, &major)) != QB_OK ||
        (status = attribute(device, cudaDevAttrComputeCapabilityMinor, &minor)) != QB_OK ||
        (status = attribute(device, cudaDevAttrMaxSharedMemoryPerBlockOptin, &shared)) != QB_OK ||
        (status = attribute(device, cudaDevAttrL2CacheSize, &cache)) != QB_OK ||
        (status = attribute(device, cudaDevAttrCooperativeLaunch, &cooperative)) != QB_OK) {
        return status;
    }
    limits->units = (unsigned)units;
    limits->capability = (unsigned)(major * 10 + minor);
    limits->shared_per_block = (size_t)shared;
    limits->cache_size = (size_t)cache;
    limits->fused = cooperative != 0;
    if (limits->capability < MIN_CAPABILITY) {
        return host->fail(QB_ERROR_UNSUPPORTED, "cuda:%d has compute capability %d.%d; 7.5 or newer is needed",
                          device->index, major, minor);
    }
    /* Both halves of CUDA can from 12.3 on. */
    status = CALL(cudaDriverGetVersion, &driver);
    device->captures_dependent = CUDART_VERSION >= 12030 && driver >= 12030;
    if (status == QB_OK) {
        status = CALL(qb__cuda_empty_prepare, limits);
    }
    if (status == QB_OK) {
        status = CALL(qb__cuda_fused_prepare, limits);
    }
    if (status == QB_OK) {
        status = CALL(qb__cuda_channel_prepare, limits);
    }
    if (status == QB_OK) {
        status = CALL(qb__cuda_norm_stream_prepare, limits);
    }
    return status == QB_OK ? CALL(qb__cuda_spans_fused_prepare, limits) : status;
}

static enum qb_status device_open(int index, struct qb_device **result)
{
    struct device *device;
    int count, previous;
    enum qb_status status = device_count(&count);

    if (status != QB_OK) {
        return status;
    }
    if (index < 0 || index >= count) {
        return count == 1
                   ? host->fail(QB_ERROR_NO_DEVICE, "no device cuda:%d; there is cuda:0 only", index)
                   : host->fail(QB_ERROR_NO_DEVICE, "no device cuda:%d; there are cuda:0 to cuda:%d", index, count - 1);
    }
    device = calloc(1, sizeof *device);
    if (device == NULL) {
        return host->fail(QB_ERROR_MEMORY, "out of host memory");
    }
    device->base.backend = &backend;
    device->index = index;
    status = enter(&device->base, &previous);
    if (status == QB_OK) {
        status = read_limits(device);
        if (status == QB_OK) {
            status = CALL(cudaStreamCreateWithFlags, &device->stream, cudaStreamNonBlocking);
        }
        leave(previous);
    }
    if (status != QB_OK) {
        free(device);
        return status;
    }
    *result = &device->base;
    return QB_OK;
}

static void device_close(struct qb_device *base)
{
    struct device *device = (struct device *)base;
    int previous;

    if (enter(base, &previous) == QB_OK) {
        CALL(cudaStreamDestroy, device->stream);
        while (device->spare_count > 0) {
            CALL(cudaStreamDestroy, device->spare[--device->spare_count]);
        }
        leave(previous);
    }
    qb__nvml_close(device->nvml);
    free(device);
}

/* The management library's view of the device; any thread may be the first to ask. */
static const struct qb__nvml *nvml_of(struct qb_device *base)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    struct device *device = (struct device *)base;
    char pci[32];

    pthread_mutex_lock(&lock);
    if (!device->nvml_asked && CALL(cudaDeviceGetPCIBusId, pci, (int)sizeof pci, device->index) == QB_OK) {
        device->nvml = qb__nvml_open(pci);
    }
    device->nvml_asked = true;
    pthread_mutex_unlock(&lock);
    return device->nvml;
}

static void format_uuid(const unsigned char *bytes, char *text)
{
    text += sprintf(text, "GPU-");
    for (int i = 0; i < 16; i++) {
        text += sprintf(text, "%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", bytes[i]);
    }
}

static enum qb_status device_info(struct qb_device *base, struct qb_device_info *result)
{
    const struct device *device = (const struct device *)base;
    struct qb_device_info info = {0};
    struct cudaDeviceProp properties;
    char version[32];
    int driver = 0, runtime = 0, clock = 0, width = 0, previous;
    size_t memory_free = 0, memory_total = 0;
    enum qb_status status = enter(base, &previous);

    if (status != QB_OK) {
        return status;
    }
    if ((status = CALL(cudaGetDeviceProperties, &properties, device->index)) == QB_OK &&
        (status = CALL(cudaMemGetInfo, &memory_free, &memory_total)) == QB_OK &&
        (status = CALL(cudaDeviceGetPCIBusId, info.pci, (int)sizeof info.pci, device->index)) == QB_OK &&
        (status = CALL(cudaDriverGetVersion, &driver)) == QB_OK &&
        (status = CALL(cudaRuntimeGetVersion, &runtime)) == QB_OK) {
        /* Not every device knows these two: 0 then. */
        if (cudaDeviceGetAttribute(&clock, cudaDevAttrMemoryClockRate, device->index) != cudaSuccess ||
            cudaDeviceGetAttribute(&width, cudaDevAttrGlobalMemoryBusWidth, device->index) != cudaSuccess) {
            cudaGetLastError();
        }
    }
    leave(previous);
    if (status != QB_OK) {
        return status;
    }
    snprintf(info.id, sizeof info.id, "cuda:%d", device->index);
    snprintf(info.name, sizeof info.name, "%.127s", properties.name);
    snprintf(info.isa, sizeof info.isa, "sm_%u", device->limits.capability);
    qb__nvml_driver_version(nvml_of(base), version, sizeof version);
    snprintf(info.driver, sizeof info.driver, "%s%sCUDA %d.%d", version, version[0] != '\0' ? ", " : "", driver / 1000,
             driver % 1000 / 10);
    snprintf(info.runtime, sizeof info.runtime, "CUDA %d.%d", runtime / 1000, runtime % 1000 / 10);
    format_uuid((const unsigned char *)properties.uuid.bytes, info.uuid);
    info.memory_total = memory_total;
    info.memory_free = memory_free;
    info.cache_size = device->limits.cache_size;
    info.units = device->limits.units;
    /* "a resolution of around 0.5 microseconds": CUDA Runtime API, cudaEventElapsedTime. */
    info.timer_tick = 500;
    /* kHz x 2 (both edges) x bytes. */
    info.peak_bandwidth = 2e3 * clock * (width / 8.0);
    *result = info;
    return QB_OK;
}

static enum qb_status device_conditions(struct qb_device *base, struct qb_device_conditions *conditions)
{
    qb__nvml_conditions(nvml_of(base), conditions);
    return QB_OK;
}

/* The daemon's pipe is in this folder, which clients find in the same way. */
static bool mps_runs(void)
{
    const char *folder = getenv("CUDA_MPS_PIPE_DIRECTORY");
    char path[4096];

    return (size_t)snprintf(path, sizeof path, "%s/control", folder != NULL ? folder : "/tmp/nvidia-mps") <
               sizeof path &&
           access(path, F_OK) == 0;
}

static enum qb_status device_facts(struct qb_device *base, struct qb_device_fact *list, size_t room, size_t *count)
{
    struct qb__facts facts = {list, room, 0};

    qb__nvml_facts(nvml_of(base), &facts);
    qb__facts_add(&facts, "mps", mps_runs() ? "on" : "off");
    *count = facts.count;
    return QB_OK;
}

/* ---- Memory ------------------------------------------------------------------------------------------------- */

/* cudaMalloc on the current device, with words that say how much there was. */
static enum qb_status allocate(size_t bytes, void **pointer)
{
    size_t memory_free = 0, memory_total = 0;
    cudaError_t error = cudaMalloc(pointer, bytes > 0 ? bytes : 1);

    if (error != cudaErrorMemoryAllocation) {
        return check(error, "cudaMalloc");
    }
    cudaGetLastError();
    if (cudaMemGetInfo(&memory_free, &memory_total) != cudaSuccess) {
        cudaGetLastError();
    }
    return host->fail(QB_ERROR_MEMORY, "cudaMalloc: %zu bytes wanted, %zu of %zu free", bytes, memory_free,
                      memory_total);
}

static enum qb_status memory_alloc(struct qb_device *device, size_t bytes, void **result)
{
    void *pointer;
    int previous;
    enum qb_status status = enter(device, &previous);

    if (status == QB_OK) {
        status = allocate(bytes, &pointer);
        leave(previous);
    }
    if (status == QB_OK) {
        *result = pointer;
    }
    return status;
}

static void memory_free(struct qb_device *device, void *pointer)
{
    int previous;

    if (enter(device, &previous) == QB_OK) {
        CALL(cudaFree, pointer);
        leave(previous);
    }
}

static enum qb_status copy(struct qb_device *base, void *target, const void *source, size_t bytes,
                           enum cudaMemcpyKind kind)
{
    struct device *device = (struct device *)base;
    int previous;
    enum qb_status status = enter(base, &previous);

    if (status == QB_OK) {
        status = CALL(cudaMemcpyAsync, target, source, bytes, kind, device->stream);
        if (status == QB_OK) {
            status = CALL(cudaStreamSynchronize, device->stream);
        }
        leave(previous);
    }
    return status;
}

static enum qb_status memory_write(struct qb_device *device, void *target, const void *source, size_t bytes)
{
    return copy(device, target, source, bytes, cudaMemcpyHostToDevice);
}

static enum qb_status memory_read(struct qb_device *device, void *target, const void *source, size_t bytes)
{
    return copy(device, target, source, bytes, cudaMemcpyDeviceToHost);
}

/* Run a graph whose only node fills BYTES > 0 bytes. The driver's own call for it launches a kernel, and eight of those
 * outside of graphs make a second stream of the process: see take_stream(). */
static enum qb_status fill_by_graph(struct device *device, void *target, int byte, size_t bytes)
{
    struct cudaMemsetParams fill = {
        .dst = target, .value = (unsigned char)byte, .elementSize = 1, .width = bytes, .height = 1};
    cudaGraph_t graph;
    cudaGraphNode_t node;
    cudaGraphExec_t exec;
    enum qb_status status = CALL(cudaGraphCreate, &graph, 0);

    if (status != QB_OK) {
        return status;
    }
    status = CALL(cudaGraphAddMemsetNode, &node, graph, NULL, 0, &fill);
    if (status == QB_OK) {
        status = CALL(cudaGraphInstantiateWithFlags, &exec, graph, 0);
    }
    if (status == QB_OK) {
        status = CALL(cudaGraphLaunch, exec, device->stream);
        if (status == QB_OK) {
            status = CALL(cudaStreamSynchronize, device->stream);
        }
        cudaGraphExecDestroy(exec);
    }
    cudaGraphDestroy(graph);
    return status;
}

static enum qb_status memory_fill(struct qb_device *base, void *target, int byte, size_t bytes)
{
    int previous;
    enum qb_status status = bytes > 0 ? enter(base, &previous) : QB_OK;

    if (status == QB_OK && bytes > 0) {
        status = fill_by_graph((struct device *)base, target, byte, bytes);
        leave(previous);
    }
    return status;
}

/* Compare, and read the two numbers into FOUND, which device memory at PLACE holds meanwhile. The device is current. */
static enum qb_status compare_at(const struct device *device, const struct qb_copies *copies, const void *expected,
                                 size_t bytes, void *place, uint64_t found[2])
{
    const struct qb__cuda_call call = {.limits = &device->limits, .stream = device->stream};
    enum qb_status status = CALL(cudaMemcpyAsync, place, found, 2 * sizeof *found, cudaMemcpyHostToDevice, call.stream);

    if (status == QB_OK) {
        status = CALL(qb__cuda_compare_run, &call, copies, expected, bytes, place);
    }
    if (status == QB_OK) {
        status = CALL(cudaMemcpyAsync, found, place, 2 * sizeof *found, cudaMemcpyDeviceToHost, call.stream);
    }
    return status == QB_OK ? CALL(cudaStreamSynchronize, call.stream) : status;
}

static enum qb_status memory_compare(struct qb_device *base, const struct qb_copies *copies, const void *expected,
                                     size_t bytes, uint64_t *different, uint64_t *first)
{
    uint64_t found[2] = {0, UINT64_MAX};
    void *place;
    int previous;
    enum qb_status status = enter(base, &previous);

    if (status == QB_OK) {
        status = allocate(sizeof found, &place);
        if (status == QB_OK) {
            status = compare_at((struct device *)base, copies, expected, bytes, place, found);
            CALL(cudaFree, place);
        }
        leave(previous);
    }
    if (status == QB_OK) {
        *different = found[0];
        *first = found[1];
    }
    return status;
}

/* ---- Queues ------------------------------------------------------------------------------------------------- */

static pthread_mutex_t spare_lock = PTHREAD_MUTEX_INITIALIZER;

/* Set *STREAM to a spare stream of DEVICE, the last that was given back, or to a new one. */
static enum qb_status take_stream(struct device *device, cudaStream_t *stream)
{
    bool found;

    pthread_mutex_lock(&spare_lock);
    found = device->spare_count > 0;
    if (found) {
        *stream = device->spare[--device->spare_count];
    }
    pthread_mutex_unlock(&spare_lock);
    return found ? QB_OK : CALL(cudaStreamCreateWithFlags, stream, cudaStreamNonBlocking);
}

/* Give back STREAM, which is idle, or destroy it: it may be in the middle of a capture. */
static void give_stream(struct device *device, cudaStream_t stream)
{
    enum cudaStreamCaptureStatus capture = cudaStreamCaptureStatusActive;
    bool kept = false;

    if (CALL(cudaStreamIsCapturing, stream, &capture) == QB_OK && capture == cudaStreamCaptureStatusNone) {
        pthread_mutex_lock(&spare_lock);
        kept = device->spare_count < SPARE_STREAMS;
        if (kept) {
            device->spare[device->spare_count++] = stream;
        }
        pthread_mutex_unlock(&spare_lock);
    }
    if (!kept) {
        CALL(cudaStreamDestroy, stream);
    }
}

static enum qb_status queue_create(struct qb_device *device, bool wrapped, void *native, struct qb_queue **result)
{
    struct queue *queue = calloc(1, sizeof *queue);
    int previous;
    enum qb_status status;

    if (queue == NULL) {
        return host->fail(QB_ERROR_MEMORY, "out of host memory");
    }
    queue->base.device = device;
    queue->wrapped = wrapped;
    queue->stream = native;
    if (!wrapped) {
        status = enter(device, &previous);
        if (status == QB_OK) {
            status = take_stream((struct device *)device, &queue->stream);
            leave(previous);
        }
        if (status != QB_OK) {
            free(queue);
            return status;
        }
    }
    *result = &queue->base;
    return QB_OK;
}

static void queue_destroy(struct qb_queue *base)
{
    struct queue *queue = (struct queue *)base;
    struct workspace *workspace, *older;
    int previous;
    bool entered = enter(base->device, &previous) == QB_OK;

    if (entered) {
        CALL(cudaStreamSynchronize, queue->stream);
    }
    for (workspace = queue->workspace; workspace != NULL; workspace = older) {
        older = workspace->older;
        if (entered) {
            CALL(cudaFree, workspace->memory);
        }
        free(workspace);
    }
    if (entered) {
        if (!queue->wrapped) {
            give_stream((struct device *)base->device, queue->stream);
        }
        leave(previous);
    }
    free(queue);
}

static enum qb_status queue_synchronize(struct qb_queue *base)
{
    int previous;
    enum qb_status status = enter(base->device, &previous);

    if (status == QB_OK) {
        status = CALL(cudaStreamSynchronize, ((struct queue *)base)->stream);
        leave(previous);
    }
    return status;
}

static enum qb_status queue_set_threads(struct qb_queue *queue, unsigned threads)
{
    (void)queue;
    (void)threads;
    return host->fail(QB_ERROR_UNSUPPORTED, "a CUDA queue has no threads to set");
}

static enum qb_status queue_set_dependent_launch(struct qb_queue *base, bool enabled)
{
    const struct device *device = (const struct device *)base->device;

    if (device->limits.capability < DEPENDENT_LAUNCH_CAPABILITY) {
        return host->fail(QB_ERROR_UNSUPPORTED, "cuda:%d has compute capability %u.%u; dependent launches need %u.%u",
                          device->index, device->limits.capability / 10, device->limits.capability % 10,
                          DEPENDENT_LAUNCH_CAPABILITY / 10, DEPENDENT_LAUNCH_CAPABILITY % 10);
    }
    ((struct queue *)base)->dependent_launch = enabled;
    return QB_OK;
}

/* Set *RESULT to whether kernels in QUEUE are launched as dependent ones now: a captured launch may have to be an
 * ordinary one. */
static enum qb_status may_launch_dependent(const struct queue *queue, bool *result)
{
    enum cudaStreamCaptureStatus capture = cudaStreamCaptureStatusNone;
    enum qb_status status = QB_OK;

    *result = queue->dependent_launch;
    if (queue->dependent_launch && !((const struct device *)queue->base.device)->captures_dependent) {
        status = CALL(cudaStreamIsCapturing, queue->stream, &capture);
        *result = capture == cudaStreamCaptureStatusNone;
    }
    return status;
}

/* Add a workspace of SIZE bytes, zeroed in the queue's order. The device is current. */
static enum qb_status grow(struct queue *queue, size_t size)
{
    enum cudaStreamCaptureStatus capture = cudaStreamCaptureStatusNone;
    struct workspace *workspace;
    void *memory;
    enum qb_status status = CALL(cudaStreamIsCapturing, queue->stream, &capture);

    if (status != QB_OK) {
        return status;
    }
    if (capture != cudaStreamCaptureStatusNone) {
        return host->fail(QB_ERROR_WORKSPACE, "the queue's workspace must be reserved (%zu bytes) before a capture",
                          size);
    }
    if (queue->workspace != NULL && size < 2 * queue->workspace->size) {
        size = 2 * queue->workspace->size;
    }
    workspace = malloc(sizeof *workspace);
    if (workspace == NULL) {
        return host->fail(QB_ERROR_MEMORY, "out of host memory");
    }
    status = allocate(size, &memory);
    if (status == QB_OK) {
        status = CALL(cudaMemsetAsync, memory, 0, size, queue->stream);
        if (status != QB_OK) {
            cudaFree(memory);
        }
    }
    if (status != QB_OK) {
        free(workspace);
        return status;
    }
    *workspace = (struct workspace){.older = queue->workspace, .memory = memory, .size = size, .zeros = size};
    queue->workspace = workspace;
    return QB_OK;
}

static enum qb_status queue_reserve(struct qb_queue *base, size_t bytes)
{
    struct queue *queue = (struct queue *)base;
    int previous;
    enum qb_status status;

    if (bytes == 0 || (queue->workspace != NULL && queue->workspace->size >= bytes)) {
        return QB_OK;
    }
    status = enter(base->device, &previous);
    if (status == QB_OK) {
        status = grow(queue, bytes);
        leave(previous);
    }
    return status;
}

static enum qb_status queue_call(struct qb_queue *base,
                                 enum qb_status (*work)(void *context, void *stream, unsigned threads), void *context)
{
    int previous;
    enum qb_status status = enter(base->device, &previous);

    if (status == QB_OK) {
        /* Current also for a run-time library of the plug-in's own, which asks the driver. */
        status = CALL(cudaSetDevice, ((const struct device *)base->device)->index);
        if (status == QB_OK) {
            status = work(context, ((struct queue *)base)->stream, 0);
        }
        if (status == QB_OK) {
            status = CALL(cudaGetLastError);
        }
        leave(previous);
    }
    return status;
}

static enum qb_status queue_copy(struct qb_queue *base, void *target, const void *source, size_t bytes)
{
    int previous;
    enum qb_status status = enter(base->device, &previous);

    if (status == QB_OK) {
        status = CALL(cudaMemcpyAsync, target, source, bytes, cudaMemcpyDeviceToDevice, ((struct queue *)base)->stream);
        leave(previous);
    }
    return status;
}

/* What every launch into QUEUE needs of it. */
static enum qb_status use_queue(const struct qb_queue *base, struct qb__cuda_call *call)
{
    const struct queue *queue = (const struct queue *)base;

    call->limits = &((const struct device *)base->device)->limits;
    call->workspace = queue->workspace != NULL ? queue->workspace->memory : NULL;
    call->stream = queue->stream;
    return may_launch_dependent(queue, &call->dependent_launch);
}

static enum qb_status queue_mix(struct qb_queue *queue, void *target, size_t written_bytes, const void *source,
                                size_t read_bytes, enum qb_stores stores)
{
    struct qb__cuda_call call = {0};
    int previous;
    enum qb_status status = enter(queue->device, &previous);

    if (status == QB_OK) {
        status = use_queue(queue, &call);
        if (status == QB_OK) {
            status = CALL(qb__cuda_mix_run, &call, target, written_bytes, source, read_bytes, stores);
        }
        leave(previous);
    }
    return status;
}

/* ---- Events ------------------------------------------------------------------------------------------------- */

static enum qb_status event_create(struct qb_device *device, struct qb_event **result)
{
    struct event *event = calloc(1, sizeof *event);
    int previous;
    enum qb_status status;

    if (event == NULL) {
        return host->fail(QB_ERROR_MEMORY, "out of host memory");
    }
    event->base.device = device;
    status = enter(device, &previous);
    if (status == QB_OK) {
        status = CALL(cudaEventCreate, &event->event);
        leave(previous);
    }
    if (status != QB_OK) {
        free(event);
        return status;
    }
    *result = &event->base;
    return QB_OK;
}

static void event_destroy(struct qb_event *base)
{
    struct event *event = (struct event *)base;
    int previous;

    if (enter(base->device, &previous) == QB_OK) {
        CALL(cudaEventDestroy, event->event);
        leave(previous);
    }
    free(event);
}

static enum qb_status event_record(struct qb_queue *queue, struct qb_event *event)
{
    int previous;
    enum qb_status status = enter(queue->device, &previous);

    if (status == QB_OK) {
        status = CALL(cudaEventRecord, ((struct event *)event)->event, ((struct queue *)queue)->stream);
        leave(previous);
    }
    return status;
}

static enum qb_status event_elapsed(struct qb_event *start, struct qb_event *end, double *nanoseconds)
{
    float milliseconds;
    int previous;
    enum qb_status status = enter(end->device, &previous);

    if (status != QB_OK) {
        return status;
    }
    status = CALL(cudaEventSynchronize, ((struct event *)end)->event);
    if (status == QB_OK) {
        status =
            CALL(cudaEventElapsedTime, &milliseconds, ((struct event *)start)->event, ((struct event *)end)->event);
    }
    leave(previous);
    if (status == QB_OK) {
        *nanoseconds = (double)milliseconds * 1e6;
    }
    return status;
}

/* ---- Graphs ------------------------------------------------------------------------------------------------- */

static enum qb_status graph_begin(struct qb_queue *base)
{
    int previous;
    enum qb_status status = enter(base->device, &previous);

    if (status == QB_OK) {
        /* Other threads of the program may allocate meanwhile. */
        status = CALL(cudaStreamBeginCapture, ((struct queue *)base)->stream, cudaStreamCaptureModeThreadLocal);
        leave(previous);
    }
    return status;
}

/* What a graph allocates, it allocates at each launch. None of our kernels does; a plug-in's may, by cudaMallocAsync().
 */
static enum qb_status check_nodes(cudaGraph_t graph)
{
    cudaGraphNode_t *nodes = NULL;
    size_t count = 0;
    enum qb_status status = CALL(cudaGraphGetNodes, graph, NULL, &count);

    if (status == QB_OK && count > 0) {
        nodes = calloc(count, sizeof *nodes);
        status = nodes == NULL ? host->fail(QB_ERROR_MEMORY, "out of host memory")
                               : CALL(cudaGraphGetNodes, graph, nodes, &count);
    }
    for (size_t i = 0; i < count && status == QB_OK; i++) {
        enum cudaGraphNodeType type;

        status = CALL(cudaGraphNodeGetType, nodes[i], &type);
        if (status == QB_OK && (type == cudaGraphNodeTypeMemAlloc || type == cudaGraphNodeTypeMemFree)) {
            status = host->fail(QB_ERROR_UNSUPPORTED, "what was captured allocates or frees memory");
        }
    }
    free(nodes);
    return status;
}

static enum qb_status graph_end(struct qb_queue *base, struct qb_graph **result)
{
    struct graph *graph = calloc(1, sizeof *graph);
    struct queue *queue = (struct queue *)base;
    int previous;
    enum qb_status status;

    if (graph == NULL) {
        return host->fail(QB_ERROR_MEMORY, "out of host memory");
    }
    graph->base.device = base->device;
    status = enter(base->device, &previous);
    if (status == QB_OK) {
        status = CALL(cudaStreamEndCapture, queue->stream, &graph->graph);
        if (status == QB_OK) {
            status = check_nodes(graph->graph);
        }
        if (status == QB_OK) {
            status = CALL(cudaGraphInstantiateWithFlags, &graph->exec, graph->graph, 0);
        }
        if (status == QB_OK) {
            status = CALL(cudaGraphUpload, graph->exec, queue->stream);
        }
        if (status != QB_OK) {
            if (graph->exec != NULL) {
                cudaGraphExecDestroy(graph->exec);
            }
            if (graph->graph != NULL) {
                cudaGraphDestroy(graph->graph);
            }
        }
        leave(previous);
    }
    if (status != QB_OK) {
        free(graph);
        return status;
    }
    *result = &graph->base;
    return QB_OK;
}

static enum qb_status graph_launch(struct qb_graph *graph, struct qb_queue *queue)
{
    int previous;
    enum qb_status status = enter(queue->device, &previous);

    if (status == QB_OK) {
        status = CALL(cudaGraphLaunch, ((struct graph *)graph)->exec, ((struct queue *)queue)->stream);
        leave(previous);
    }
    return status;
}

static void graph_destroy(struct qb_graph *base)
{
    struct graph *graph = (struct graph *)base;
    int previous;

    if (enter(base->device, &previous) == QB_OK) {
        CALL(cudaGraphExecDestroy, graph->exec);
        CALL(cudaGraphDestroy, graph->graph);
        leave(previous);
    }
    free(graph);
}

/* ---- Profilers ---------------------------------------------------------------------------------------------- */

static enum qb_status profiler_start(struct qb_device *device)
{
    int previous;
    enum qb_status status = enter(device, &previous);

    if (status == QB_OK) {
        status = CALL(cudaProfilerStart);
        leave(previous);
    }
    return status;
}

static enum qb_status profiler_stop(struct qb_device *device)
{
    int previous;
    enum qb_status status = enter(device, &previous);

    if (status == QB_OK) {
        status = CALL(cudaProfilerStop);
        leave(previous);
    }
    return status;
}

static void range_push(struct qb_device *device, const char *name)
{
    (void)device;
    (void)name;
#ifdef HAVE_NVTX
    nvtxRangePushA(name);
#endif
}

static void range_pop(struct qb_device *device)
{
    (void)device;
#ifdef HAVE_NVTX
    nvtxRangePop();
#endif
}

/* ---- Kernels ------------------------------------------------------------------------------------------------ */

/* What a row of the table does. */
struct variant {
    bool (*fits)(const struct qb__cuda_call *call);
    size_t (*workspace)(const struct qb__cuda_call *call);
    cudaError_t (*run)(const struct qb__cuda_call *call);
    /* One bit for each. */
    unsigned scalings, granularities;
    bool narrow; /* for what is not qb__is_plain(), and for nothing else */
};

#define BIT(value)      (1u << (value))
#define ANY_GRANULARITY (BIT(QB_GRANULARITY_COUNT) - 1)
#define STATIC          BIT(QB_SCALING_STATIC)
#define DYNAMIC         BIT(QB_SCALING_DYNAMIC)
#define AMAX            BIT(QB_SCALING_AMAX)

/* A tensor that one block of threads reads as fast as many blocks meet at a barrier: 16 KiB. */
static bool is_small_tensor(const struct qb__cuda_call *call)
{
    return call->rows <= 1 && call->scale_rows == 1 && call->scale_cols == 1 &&
           call->cols <= 16384 / qb__element_size(call->input);
}

static size_t barrier_workspace(const struct qb__cuda_call *call)
{
    return qb__cuda_barrier_size(call->limits);
}

static size_t two_pass_workspace(const struct qb__cuda_call *call)
{
    return qb__cuda_barrier_size(call->limits) + qb__cuda_two_pass_workspace(call);
}

static const struct variant elementwise = {NULL, NULL, qb__cuda_static_run, STATIC, ANY_GRANULARITY, false};
static const struct variant row = {qb__cuda_tile_fits,        NULL, qb__cuda_tile_run, DYNAMIC | AMAX,
                                   BIT(QB_GRANULARITY_TOKEN), false};
static const struct variant group = {qb__cuda_tile_fits,        NULL, qb__cuda_tile_run, DYNAMIC | AMAX,
                                     BIT(QB_GRANULARITY_GROUP), false};
static const struct variant tile = {qb__cuda_tile_fits,        NULL, qb__cuda_tile_run, DYNAMIC | AMAX,
                                    BIT(QB_GRANULARITY_BLOCK), false};
static const struct variant small_tensor = {is_small_tensor, NULL, qb__cuda_tile_run, DYNAMIC | AMAX,
                                            ANY_GRANULARITY, false};
static const struct variant fused = {
    qb__cuda_fused_fits, two_pass_workspace, qb__cuda_fused_run, DYNAMIC, ANY_GRANULARITY, false};
static const struct variant channel = {
    qb__cuda_channel_fits, two_pass_workspace, qb__cuda_channel_run, DYNAMIC, BIT(QB_GRANULARITY_CHANNEL), false};
static const struct variant two_pass = {NULL,    two_pass_workspace, qb__cuda_two_pass_run,
                                        DYNAMIC, ANY_GRANULARITY,    false};
static const struct variant amax = {NULL, two_pass_workspace, qb__cuda_two_pass_run, AMAX, ANY_GRANULARITY, false};
static const struct variant amax_tensor = {
    qb__cuda_amax_fits, barrier_workspace, qb__cuda_amax_run, AMAX, ANY_GRANULARITY, false};

/* Spans; what is not aligned, element by element. */
static cudaError_t run_spans(const struct qb__cuda_call *call)
{
    bool done;
    cudaError_t error = qb__cuda_spans_run(call, &done);

    return error == cudaSuccess && !done ? qb__cuda_any_run(call) : error;
}

/* The same after the tensor scale, or after the scales of rows and tensors. */
static cudaError_t run_two_spans(const struct qb__cuda_call *call)
{
    const bool wants_scales = qb__cuda_spans_want_scales(call);
    struct qb__cuda_call scales = *call;
    cudaError_t error;

    if (wants_scales && !call->problem->zero_points) {
        scales.scaling = QB_SCALING_AMAX;
        error = qb__cuda_two_pass_run(&scales);
    } else {
        error = qb__cuda_tensor_run(call);
    }
    return error == cudaSuccess && !(wants_scales && call->scaling == QB_SCALING_AMAX) ? run_spans(call) : error;
}

/* The same in one launch, if the pointers are aligned. */
static cudaError_t run_fused_spans(const struct qb__cuda_call *call)
{
    bool done;
    cudaError_t error = qb__cuda_spans_fused_run(call, &done);

    return error == cudaSuccess && !done ? run_two_spans(call) : error;
}

static size_t any_workspace(const struct qb__cuda_call *call)
{
    const size_t own = qb__cuda_any_workspace(call), other = qb__cuda_two_pass_workspace(call);

    return call->scaling == QB_SCALING_STATIC ? 0 : qb__cuda_barrier_size(call->limits) + (own > other ? own : other);
}

static bool wants_two(const struct qb__cuda_call *call)
{
    return call->problem->tensor_scale == QB_TENSOR_SCALE_COMPUTED || qb__cuda_spans_want_scales(call);
}

static bool spans_fits(const struct qb__cuda_call *call)
{
    return !wants_two(call) && qb__cuda_spans_fits(call);
}

static bool two_spans_fits(const struct qb__cuda_call *call)
{
    return wants_two(call) && qb__cuda_spans_fits(call);
}

static const struct variant spans = {spans_fits,      any_workspace, run_spans, STATIC | DYNAMIC | AMAX,
                                     ANY_GRANULARITY, true};
static const struct variant fused_spans = {qb__cuda_spans_fused_fits, any_workspace, run_fused_spans, DYNAMIC,
                                           BIT(QB_GRANULARITY_GROUP), true};
static const struct variant two_spans = {two_spans_fits, any_workspace,   run_two_spans,
                                         DYNAMIC | AMAX, ANY_GRANULARITY, true};
/* Codes of at most a byte. */
static bool any_fits(const struct qb__cuda_call *call)
{
    return qb__formats[call->output].bits <= 8;
}

static const struct variant any = {any_fits,        any_workspace, qb__cuda_any_run, STATIC | DYNAMIC | AMAX,
                                   ANY_GRANULARITY, true};

static const struct variant dequantize = {NULL, NULL, qb__cuda_dequantize_run, STATIC, ANY_GRANULARITY, false};

static const struct variant kv_read = {NULL, NULL, qb__cuda_kv_read_run, STATIC | DYNAMIC, ANY_GRANULARITY, false};

static const struct variant transpose = {NULL, NULL, qb__cuda_transpose_run, DYNAMIC, ANY_GRANULARITY, false};

static const struct variant kv_write = {NULL, NULL, qb__cuda_kv_write_run, STATIC | DYNAMIC, ANY_GRANULARITY, false};
static const struct variant kv_spans = {any_fits, NULL, qb__cuda_kv_spans_run, DYNAMIC, BIT(QB_GRANULARITY_GROUP),
                                        true};

static const struct variant experts = {qb__cuda_experts_fits, qb__cuda_experts_workspace,
                                       qb__cuda_experts_run,  STATIC | DYNAMIC | AMAX,
                                       ANY_GRANULARITY,       false};

/* PROBLEM for the launchers, without buffers. */
static struct qb__cuda_call make_call(const struct qb_device *device, const struct qb_problem *problem)
{
    struct qb__cuda_call call = {
        .input = problem->input,
        .output = problem->output,
        .scaling = problem->scaling,
        .rows = problem->tokens,
        .cols = problem->hidden,
        .in_stride = problem->input_stride > 0 ? problem->input_stride : problem->hidden,
        .out_stride = problem->output_stride > 0 ? problem->output_stride : problem->hidden,
        .limits = &((const struct device *)device)->limits,
        .problem = problem,
    };

    qb__tile(problem, &call.tile_rows, &call.tile_cols);
    qb__scale_shape(problem, &call.scale_rows, &call.scale_cols);
    if (problem->scaling == QB_SCALING_AMAX) {
        /* There is no output that could lie differently. */
        call.out_stride = call.in_stride;
    }
    if (problem->operation == QB_OPERATION_QUANTIZE && problem->experts == 0 && qb__is_plain(problem) &&
        call.scale_rows == 1 && call.scale_cols == 1 && call.rows > 1 && call.in_stride == call.cols &&
        call.out_stride == call.cols) {
        call.cols *= call.rows;
        call.rows = call.tile_rows = 1;
        call.tile_cols = call.in_stride = call.out_stride = call.cols;
    }
    call.bound = qb__formats[qb__quantization_of(problem).input].largest;
    if (problem->amax_bound > 0 && problem->amax_bound < call.bound) {
        call.bound = problem->amax_bound;
    }
    return call;
}

static bool supports(const struct qb_kernel *kernel, const struct qb_device *device, const struct qb_problem *problem)
{
    const struct variant *variant = kernel->variant;
    const struct qb__cuda_call call = make_call(device, problem);

    return variant->narrow != qb__is_plain(problem) &&
           (variant->narrow || qb__cuda_has_pair(problem->input, problem->output)) &&
           (variant->scalings & BIT(problem->scaling)) != 0 &&
           (variant->granularities & BIT(problem->granularity)) != 0 && (variant->fits == NULL || variant->fits(&call));
}

static size_t workspace_size(const struct qb_kernel *kernel, const struct qb_device *device,
                             const struct qb_problem *problem)
{
    const struct variant *variant = kernel->variant;
    const struct qb__cuda_call call = make_call(device, problem);

    return variant->workspace == NULL ? 0 : variant->workspace(&call);
}

/* Clear bytes FIRST to END - 1 of the queue's workspace, in its order. */
static enum qb_status clear(const struct queue *queue, size_t first, size_t end)
{
    return first >= end ? QB_OK
                        : CALL(cudaMemsetAsync, queue->workspace->memory + first, 0, end - first, queue->stream);
}

/* Let the first BYTES bytes of the queue's workspace be as kernels.h says, for what is launched next. If values may be
 * there, the launch begins with clearing them, each time that a graph has it. */
static enum qb_status want_zeros(struct queue *queue, size_t bytes)
{
    struct workspace *workspace = queue->workspace;

    if (workspace == NULL || bytes == 0) {
        return QB_OK;
    }
    workspace->wanted = bytes > workspace->wanted ? bytes : workspace->wanted;
    return clear(queue, workspace->zeros, bytes);
}

/* After values from byte FIRST to the end of the queue's workspace: clear what a graph that was captured before may
 * want to be zero. */
static enum qb_status leave_values(struct queue *queue, size_t first)
{
    struct workspace *workspace = queue->workspace;
    const size_t kept = first > workspace->wanted ? first : workspace->wanted;

    workspace->zeros = kept < workspace->zeros ? kept : workspace->zeros;
    return clear(queue, first, workspace->wanted);
}

/* Put CALL into QUEUE by VARIANT of the kernel NAME. The device is current. */
static enum qb_status launch_variant(const struct variant *variant, const char *name, struct qb_queue *base,
                                     struct qb__cuda_call *call)
{
    enum qb_status status = QB_OK;

    if (variant->workspace != NULL && !call->empty) {
        status = want_zeros((struct queue *)base, variant->workspace(call));
    }
    if (status == QB_OK) {
        status = use_queue(base, call);
    }
    return status == QB_OK ? check(variant->run(call), name) : status;
}

/* The same by KERNEL's. */
static enum qb_status launch(const struct qb_kernel *kernel, struct qb_queue *base, struct qb__cuda_call *call)
{
    int previous;
    enum qb_status status = enter(base->device, &previous);

    if (status == QB_OK) {
        status = launch_variant(kernel->variant, kernel->name, base, call);
        leave(previous);
    }
    return status;
}

static void set_tensors(struct qb__cuda_call *call, const struct qb_tensors *tensors)
{
    call->in = tensors->at[QB_ROLE_INPUT];
    call->out = call->scaling == QB_SCALING_AMAX ? NULL : tensors->at[QB_ROLE_CODES];
    call->scales = tensors->at[QB_ROLE_SCALES];
    call->zero_points = tensors->at[QB_ROLE_ZERO_POINTS];
    call->tensor_scale = tensors->at[QB_ROLE_TENSOR_SCALE];
    call->weights = tensors->at[QB_ROLE_WEIGHTS];
    call->residual = tensors->at[QB_ROLE_RESIDUAL];
    call->sum = tensors->at[QB_ROLE_SUM];
    call->angles = tensors->at[QB_ROLE_ANGLES];
    call->positions = tensors->at[QB_ROLE_POSITIONS];
    call->slots = tensors->at[QB_ROLE_SLOTS];
    call->experts = tensors->at[QB_ROLE_EXPERTS];
    call->transposed = tensors->at[QB_ROLE_TRANSPOSED];
    call->transposed_scales = tensors->at[QB_ROLE_TRANSPOSED_SCALES];
    if (call->problem->keep_values || qb__reads_codes(call->problem->operation)) {
        call->values = tensors->at[QB_ROLE_VALUES];
    }
}

static enum qb_status run(const struct qb_kernel *kernel, struct qb_queue *queue, const struct qb_problem *problem,
                          const struct qb_tensors *tensors)
{
    struct qb__cuda_call call = make_call(queue->device, problem);

    set_tensors(&call, tensors);
    return launch(kernel, queue, &call);
}

/* The same way with the same decisions, for buffers that are as well aligned as can be. */
static enum qb_status run_empty(const struct qb_kernel *kernel, struct qb_queue *queue,
                                const struct qb_problem *problem)
{
    struct qb__cuda_call call = make_call(queue->device, problem);

    call.empty = true;
    return launch(kernel, queue, &call);
}

/* Transposed codes of any valid problem. */
static bool transpose_supports(const struct qb_kernel *kernel, const struct qb_device *device,
                               const struct qb_problem *problem)
{
    (void)kernel;
    (void)device;
    return qb__cuda_has_pair(problem->input, problem->output);
}

/* Any operation on the rows of experts. */
static bool experts_support(const struct qb_kernel *kernel, const struct qb_device *device,
                            const struct qb_problem *problem)
{
    const struct qb__cuda_call call = make_call(device, problem);

    (void)kernel;
    return qb__cuda_experts_fits(&call);
}

#define EXPERTS(name_, operation_, text)                                                                               \
    {                                                                                                                  \
        .name = name_, .description = text, .backend = &backend, .operation = QB_OPERATION_##operation_,               \
        .experts = true, .supports = experts_support, .workspace = workspace_size, .run = run, .floor = run_empty,     \
        .variant = &experts                                                                                            \
    }

#define KERNEL(name_, text, variant_)                                                                                  \
    {                                                                                                                  \
        .name = name_, .description = text, .backend = &backend, .supports = supports, .workspace = workspace_size,    \
        .run = run, .floor = run_empty, .variant = &variant_                                                           \
    }

#define TRANSPOSED(name_, operation_, text)                                                                            \
    {                                                                                                                  \
        .name = name_, .description = text, .backend = &backend, .operation = QB_OPERATION_##operation_,               \
        .supports = transpose_supports, .run = run, .floor = run_empty, .variant = &transpose                          \
    }

/* ---- Operations in front of a quantization ---------------------------------------------------------------------- */

/* A row of such an operation: both ways to do it. */
struct composition {
    cudaError_t (*values)(const struct qb__cuda_call *call);
    bool (*fits)(const struct qb__cuda_call *call);
    cudaError_t (*fused)(const struct qb__cuda_call *call, bool *done);
};

static const struct composition gated = {qb__cuda_gated_values_run, qb__cuda_gated_fits, qb__cuda_gated_run};
static const struct composition rope = {qb__cuda_rope_values_run, qb__cuda_rope_fits, qb__cuda_rope_run};
static const struct composition norm = {qb__cuda_norm_values_run, qb__cuda_norm_fits, qb__cuda_norm_run};

static const struct qb_kernel *quantizer_of(const struct qb_device *device, const struct qb_problem *quantization);

/* The values of PROBLEM between two launches: their bytes, unless they are kept; and the call of their quantization. */
struct apart {
    size_t bytes;
    size_t zeros; /* that the quantization wants, in front of them */
    struct qb_problem quantization;
    const struct qb_kernel *quantizer;
};

static struct apart take_apart(const struct qb_device *device, const struct qb_problem *problem)
{
    struct apart a = {.quantization = qb__quantization_of(problem)};
    struct qb__cuda_call call = make_call(device, &a.quantization);

    if (!problem->keep_values) {
        a.bytes = problem->tokens * problem->hidden * qb__element_size(a.quantization.input);
        a.bytes = qb__ceil_div(a.bytes, VALUES_ALIGNMENT) * VALUES_ALIGNMENT;
    }
    a.quantizer = quantizer_of(device, &a.quantization);
    if (((const struct variant *)a.quantizer->variant)->workspace != NULL) {
        a.zeros = ((const struct variant *)a.quantizer->variant)->workspace(&call);
    }
    return a;
}

static bool unfused_supports(const struct qb_kernel *kernel, const struct qb_device *device,
                             const struct qb_problem *problem)
{
    const struct qb_problem quantization = qb__quantization_of(problem);

    (void)kernel;
    return quantizer_of(device, &quantization) != NULL;
}

static size_t unfused_workspace(const struct qb_kernel *kernel, const struct qb_device *device,
                                const struct qb_problem *problem)
{
    const struct apart a = take_apart(device, problem);

    (void)kernel;
    /* A workspace ends wherever it does. */
    return a.bytes > 0 ? a.zeros + a.bytes + VALUES_ALIGNMENT : a.zeros;
}

/* Put the values of CALL into QUEUE, and then their quantization. The device is current. */
static enum qb_status launch_apart(const struct qb_kernel *kernel, struct qb_queue *base, struct qb__cuda_call *call)
{
    const struct composition *composition = kernel->variant;
    const struct apart a = take_apart(base->device, call->problem);
    struct queue *queue = (struct queue *)base;
    struct qb__cuda_call codes = make_call(base->device, &a.quantization);
    size_t first = 0;
    enum qb_status status = use_queue(base, call);

    if (status == QB_OK && a.bytes > 0 && !call->empty) {
        first = (queue->workspace->size - a.bytes) / VALUES_ALIGNMENT * VALUES_ALIGNMENT;
        call->values = call->workspace + first;
    }
    if (status == QB_OK) {
        status = check(composition->values(call), kernel->name);
    }
    codes.in = call->values;
    codes.out = call->out;
    codes.scales = call->scales;
    codes.zero_points = call->zero_points;
    codes.tensor_scale = call->tensor_scale;
    codes.empty = call->empty;
    if (status == QB_OK) {
        status = launch_variant(a.quantizer->variant, kernel->name, base, &codes);
    }
    return status == QB_OK && a.bytes > 0 && !call->empty ? leave_values(queue, first) : status;
}

static enum qb_status launch_unfused(const struct qb_kernel *kernel, struct qb_queue *base, struct qb__cuda_call *call)
{
    int previous;
    enum qb_status status = enter(base->device, &previous);

    if (status == QB_OK) {
        status = launch_apart(kernel, base, call);
        leave(previous);
    }
    return status;
}

static enum qb_status run_unfused(const struct qb_kernel *kernel, struct qb_queue *queue,
                                  const struct qb_problem *problem, const struct qb_tensors *tensors)
{
    struct qb__cuda_call call = make_call(queue->device, problem);

    set_tensors(&call, tensors);
    return launch_unfused(kernel, queue, &call);
}

static enum qb_status run_unfused_empty(const struct qb_kernel *kernel, struct qb_queue *queue,
                                        const struct qb_problem *problem)
{
    struct qb__cuda_call call = make_call(queue->device, problem);

    call.empty = true;
    return launch_unfused(kernel, queue, &call);
}

static bool fused_supports(const struct qb_kernel *kernel, const struct qb_device *device,
                           const struct qb_problem *problem)
{
    const struct qb__cuda_call call = make_call(device, problem);

    return ((const struct composition *)kernel->variant)->fits(&call);
}

/* Put CALL into QUEUE in one launch. Tensors that are not aligned go the other way, for which a capture must find the
 * workspace reserved. */
static enum qb_status launch_fused(const struct qb_kernel *kernel, struct qb_queue *base, struct qb__cuda_call *call)
{
    const struct composition *composition = kernel->variant;
    bool done = true;
    int previous;
    enum qb_status status = enter(base->device, &previous);

    if (status == QB_OK) {
        status = use_queue(base, call);
        if (status == QB_OK) {
            status = check(composition->fused(call, &done), kernel->name);
        }
        if (status == QB_OK && !done) {
            status = queue_reserve(base, unfused_workspace(kernel, base->device, call->problem));
            status = status == QB_OK ? launch_apart(kernel, base, call) : status;
        }
        leave(previous);
    }
    return status;
}

static enum qb_status run_fused(const struct qb_kernel *kernel, struct qb_queue *queue,
                                const struct qb_problem *problem, const struct qb_tensors *tensors)
{
    struct qb__cuda_call call = make_call(queue->device, problem);

    set_tensors(&call, tensors);
    return launch_fused(kernel, queue, &call);
}

static enum qb_status run_fused_empty(const struct qb_kernel *kernel, struct qb_queue *queue,
                                      const struct qb_problem *problem)
{
    struct qb__cuda_call call = make_call(queue->device, problem);

    call.empty = true;
    return launch_fused(kernel, queue, &call);
}

/* Dequantization is a variant of any problem. */
static bool dequantize_supports(const struct qb_kernel *kernel, const struct qb_device *device,
                                const struct qb_problem *problem)
{
    (void)kernel;
    (void)device;
    return qb__formats[problem->output].bits <= 8;
}

/* And so is reading a cache: of all formats that KV_WRITE writes. */
static bool kv_read_supports(const struct qb_kernel *kernel, const struct qb_device *device,
                             const struct qb_problem *problem)
{
    (void)kernel;
    (void)device;
    return problem->output <= QB_FORMAT_E2M1;
}

/* ---- The table ----------------------------------------------------------------------------------------------------
 */

#define FUSED(name_, operation_, text, composition_)                                                                   \
    {                                                                                                                  \
        .name = name_, .description = text, .backend = &backend, .operation = QB_OPERATION_##operation_,               \
        .supports = fused_supports, .run = run_fused, .floor = run_fused_empty, .variant = &composition_               \
    }
#define UNFUSED(name_, operation_, text, composition_)                                                                 \
    {                                                                                                                  \
        .name = name_, .description = text, .backend = &backend, .operation = QB_OPERATION_##operation_,               \
        .supports = unfused_supports, .workspace = unfused_workspace, .run = run_unfused, .floor = run_unfused_empty,  \
        .variant = &composition_                                                                                       \
    }

/* Best first for each problem. Times are of an H200, half to E4M3, 4096 x 8192 unless said, against a copy of as many
 * bytes; NOTES has more. Most choose between a kernel for regular data (strided.cu) and one for any. */
static const struct qb_kernel kernels[] = {
    /* Limited by memory: 0.98 of the copy's time. */
    KERNEL("cuda_elementwise", "given scales, one pass", elementwise),
    /* A row is in registers between amax and codes, so it is read once: 0.99, and faster than the copy as all of a
     * block's reads come before its writes. */
    KERNEL("cuda_row", "one scale per token, the row in registers", row),
    /* The same for groups, with shuffles in place of shared memory: 1.00. */
    KERNEL("cuda_group", "one scale per group, the group in registers", group),
    /* The same for blocks of rows and columns: 1.02. */
    KERNEL("cuda_tile", "one scale per block, the block in registers", tile),
    /* Up to 16 KiB one block beats many that must meet: 1.5 us at 1 x 8192, and a barrier takes 0.4 to 0.7. */
    KERNEL("cuda_tensor_small", "one scale for all, one block of threads", small_tensor),
    /* Reads once what the chip can hold, and needs one launch: 1.15 (three launches: 3.2). Limited by the part that
     * does not fit, and by waiting for the slowest block, twice. */
    KERNEL("cuda_tensor_fused", "one scale for all, one launch, input kept on the chip", fused),
    /* The same by strips of columns, which need not meet: 1.19 (three launches: 3.2). */
    KERNEL("cuda_channel", "one scale per channel, one launch, input kept on the chip", channel),
    /* Whatever is left: very large tiles, unaligned or few channels of many rows, strided tensors with one scale, 0
     * tokens. */
    KERNEL("cuda_two_pass", "any dynamic scale, input read twice", two_pass),
    /* Scales alone: limited by reading, 1.09 of the time of a kernel that only reads, by the wait for the last block.
     */
    KERNEL("cuda_amax_tensor", "one scale for all and no codes", amax_tensor),
    /* The first half of two_pass: 1.20 of that time for one scale per channel. */
    KERNEL("cuda_amax", "any scales and no codes", amax),
    /* Narrow formats, and scales that are not binary32 in rows: 0.97 to 1.13; NOTES has the figures. */
    KERNEL("cuda_spans", "block scales, narrow codes and zero points, read once", spans),
    /* 1.43 to 1.54 (two reads from memory: 2.01); limited by the instructions after the barrier. */
    KERNEL("cuda_spans_fused", "the same under a tensor scale, one launch, input kept on the chip", fused_spans),
    KERNEL("cuda_spans_twice", "the same after scales of rows or of the tensor, by another read", two_spans),
    KERNEL("cuda_any", "narrow formats and block scales of any shape, element by element", any),
    {.name = "cuda_dequantize",
     .description = "values from codes of any format, eight at a time where they are aligned",
     .backend = &backend,
     .operation = QB_OPERATION_DEQUANTIZE,
     .supports = dequantize_supports,
     .run = run,
     .floor = run_empty,
     .variant = &dequantize},
    {.name = "cuda_kv_write",
     .description = "keys and values into the pages of a cache, one launch",
     .backend = &backend,
     .operation = QB_OPERATION_KV_WRITE,
     .supports = supports,
     .run = run,
     .floor = run_empty,
     .variant = &kv_write},
    {.name = "cuda_kv_write_nvfp4",
     .description = "the same in NVFP4, one launch, 16 elements at a time",
     .backend = &backend,
     .operation = QB_OPERATION_KV_WRITE,
     .supports = supports,
     .run = run,
     .floor = run_empty,
     .variant = &kv_spans},
    {.name = "cuda_kv_read",
     .description = "keys and values from the pages of a cache, eight at a time where they are aligned",
     .backend = &backend,
     .operation = QB_OPERATION_KV_READ,
     .supports = kv_read_supports,
     .run = run,
     .floor = run_empty,
     .variant = &kv_read},
    TRANSPOSED("cuda_transpose", TRANSPOSE, "quantized columns, regular ones in one launch"),
    TRANSPOSED("cuda_dual", DUAL, "quantized rows and columns, regular ones read once"),
    EXPERTS("cuda_experts", QUANTIZE, "rows of experts, those that exist, read once"),
    EXPERTS("cuda_experts_silu_mul", SILU_MUL, "SiLU times up of such rows, and codes"),
    EXPERTS("cuda_experts_gelu_mul", GELU_MUL, "GELU times up of such rows, and codes"),
    /* One launch, each element read once; scales given, of rows, or of groups of up to 256: SiLU 0.97 to 1.01, RMSNorm
     * 1.05 to 1.07, with a residual 1.03. */
    FUSED("cuda_silu_mul", SILU_MUL, "SiLU times up and codes, one launch", gated),
    FUSED("cuda_gelu_mul", GELU_MUL, "GELU times up and codes, one launch", gated),
    FUSED("cuda_rms_norm", RMS_NORM, "RMSNorm and codes, one launch, the row in registers", norm),
    FUSED("cuda_add_rms_norm", ADD_RMS_NORM, "sum, RMSNorm and codes, one launch, the row in registers", norm),
    FUSED("cuda_rope", ROPE, "rotary embedding and codes, one launch", rope),
    /* Two launches: everything, and what the others are compared with. */
    UNFUSED("cuda_unfused_silu_mul", SILU_MUL, "SiLU times up, then the best kernel that quantizes", gated),
    UNFUSED("cuda_unfused_gelu_mul", GELU_MUL, "GELU times up, then the best kernel that quantizes", gated),
    UNFUSED("cuda_unfused_rms_norm", RMS_NORM, "RMSNorm, then the best kernel that quantizes", norm),
    UNFUSED("cuda_unfused_add_rms_norm", ADD_RMS_NORM, "sum and RMSNorm, then the best kernel that quantizes", norm),
    UNFUSED("cuda_unfused_rope", ROPE, "rotary embedding, then the best kernel that quantizes", rope),
};

static const struct qb_kernel *quantizer_of(const struct qb_device *device, const struct qb_problem *quantization)
{
    for (size_t i = 0; i < sizeof kernels / sizeof kernels[0]; i++) {
        if (kernels[i].operation == QB_OPERATION_QUANTIZE && kernels[i].supports(&kernels[i], device, quantization)) {
            return &kernels[i];
        }
    }
    return NULL;
}

static const struct qb_backend backend = {
    .abi = QB__BACKEND_ABI,
    .version = PACKAGE_VERSION,
    .name = "cuda",
    .kernels = kernels,
    .kernel_count = sizeof kernels / sizeof kernels[0],
    .device_count = device_count,
    .device_open = device_open,
    .device_close = device_close,
    .device_info = device_info,
    .device_conditions = device_conditions,
    .device_facts = device_facts,
    .memory_alloc = memory_alloc,
    .memory_free = memory_free,
    .memory_write = memory_write,
    .memory_read = memory_read,
    .memory_fill = memory_fill,
    .memory_compare = memory_compare,
    .queue_create = queue_create,
    .queue_destroy = queue_destroy,
    .queue_synchronize = queue_synchronize,
    .queue_set_threads = queue_set_threads,
    .queue_set_dependent_launch = queue_set_dependent_launch,
    .queue_reserve = queue_reserve,
    .queue_call = queue_call,
    .queue_copy = queue_copy,
    .queue_mix = queue_mix,
    .event_create = event_create,
    .event_destroy = event_destroy,
    .event_record = event_record,
    .event_elapsed = event_elapsed,
    .graph_begin = graph_begin,
    .graph_end = graph_end,
    .graph_launch = graph_launch,
    .graph_destroy = graph_destroy,
    .profiler_start = profiler_start,
    .profiler_stop = profiler_stop,
    .range_push = range_push,
    .range_pop = range_pop,
};

const struct qb_backend *QB__CUDA_ENTRY(const struct qb__host *library)
{
    host = library;
    return &backend;
}
