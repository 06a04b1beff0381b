/* SPDX-License-Identifier: Apache-2.0 */
/* backend.c - finds the backends, and hands every call on a device, queue, event or graph to the one it belongs to. */
#include <config.h>

#include "environment.h"
#include "workspace.h"
#include "internal.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct qb__host host = {.fail = qb__fail};

/* Found once, by the first call that asks; never changed afterwards. */
static struct {
    pthread_once_t once;
    const struct qb_backend *list[2];
    size_t count;
    char why_no_cuda[512];
} found = {.once = PTHREAD_ONCE_INIT};

/* Take the backend that ENTRY describes, unless it was built for another version of the library. ORIGIN names it in
 * the reason. */
static bool add_backend(qb__backend_entry *entry, const char *origin)
{
    const struct qb_backend *backend = entry(&host);

    if (backend == NULL || backend->abi != QB__BACKEND_ABI || strcmp(backend->version, PACKAGE_VERSION) != 0) {
        snprintf(found.why_no_cuda, sizeof found.why_no_cuda, "%.400s is of another version than this library, %s",
                 origin, PACKAGE_VERSION);
        return false;
    }
    found.list[found.count++] = backend;
    return true;
}

#if (!defined HAVE_CUDA || defined QB__CUDA_PLUGIN) && defined QB__MODULES
/* Load the CUDA module from DIRECTORY. A missing module is not an error: found.why_no_cuda has the reason. */
static bool load_module(const char *directory)
{
    char path[4096];
    qb__backend_entry *entry;
    void *module;

    if ((size_t)snprintf(path, sizeof path, "%s/quantbench_cuda.so", directory) >= sizeof path) {
        snprintf(found.why_no_cuda, sizeof found.why_no_cuda, "not built in, and the path of its module is too long");
        return false;
    }
    module = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (module == NULL) {
        snprintf(found.why_no_cuda, sizeof found.why_no_cuda, "not built in, and no module: %s", dlerror());
        return false;
    }
    /* POSIX makes a function's address fit in a void pointer; ISO C has no cast for it. */
    *(void **)&entry = dlsym(module, QB__MODULE_ENTRY_NAME);
    if (entry == NULL) {
        snprintf(found.why_no_cuda, sizeof found.why_no_cuda, "%.400s is not a quantbench module", path);
    } else if (add_backend(entry, path)) {
        return true;
    }
    dlclose(module);
    return false;
}
#endif

/* A module's constructors, and those of the libraries that it needs, run here. */
static void find_backends(void)
{
    struct qb__environment kept;

    qb__environment_enter(&kept);
    add_backend(qb__backend_cpu, "cpu");
#if defined HAVE_CUDA && !defined QB__CUDA_PLUGIN
    add_backend(qb__backend_cuda, "cuda");
#elif !defined QB__MODULES
    snprintf(found.why_no_cuda, sizeof found.why_no_cuda, "not built in");
#else
    {
        const char *directory = secure_getenv("QUANTBENCH_MODULE_DIR");

        load_module(directory != NULL ? directory : PKGLIBDIR);
    }
#endif
    qb__environment_leave(&kept);
}

size_t qb_backend_count(void)
{
    pthread_once(&found.once, find_backends);
    return found.count;
}

const struct qb_backend *qb_backend_at(size_t index)
{
    return index < qb_backend_count() ? found.list[index] : NULL;
}

const struct qb_backend *qb_backend_find(const char *name)
{
    for (size_t i = 0; name != NULL && i < qb_backend_count(); i++) {
        if (strcmp(found.list[i]->name, name) == 0) {
            return found.list[i];
        }
    }
    return NULL;
}

const char *qb_backend_why_not(const char *name)
{
    if (qb_backend_find(name) != NULL) {
        return "";
    }
    return name != NULL && strcmp(name, "cuda") == 0 ? found.why_no_cuda : "no such backend";
}

const char *qb_backend_name(const struct qb_backend *backend)
{
    return backend->name;
}

/* The message of every function below for a null pointer. */
static enum qb_status null_argument(const char *function)
{
    return qb__fail(QB_ERROR_INVALID, "%s: an argument is NULL", function);
}

/* The result of every function below whose backend is NULL: qb_backend_find() found none. */
static enum qb_status null_backend(const char *function)
{
    if (qb_backend_find("cuda") == NULL) {
        return qb__fail(QB_ERROR_NO_DEVICE, "%s: the backend is NULL; this build lacks the CUDA backend: %.300s",
                        function, found.why_no_cuda);
    }
    return qb__fail(QB_ERROR_NO_DEVICE, "%s: the backend is NULL; the backends are \"cpu\" and \"cuda\"", function);
}

/* Check the pointers of the calling function. */
#define REQUIRE(condition)                                                                                             \
    if (!(condition)) {                                                                                                \
        return null_argument(__func__);                                                                                \
    }
#define REQUIRE_BACKEND(backend)                                                                                       \
    if ((backend) == NULL) {                                                                                           \
        return null_backend(__func__);                                                                                 \
    }

/* Set STATUS to that of CALL, which may load a driver, with the environment of this thread as it was. */
#define KEEP_ENVIRONMENT(status, call)                                                                                 \
    do {                                                                                                               \
        struct qb__environment kept;                                                                                   \
                                                                                                                       \
        qb__environment_enter(&kept);                                                                                  \
        status = (call);                                                                                               \
        qb__environment_leave(&kept);                                                                                  \
    } while (0)

/* The same, and return it. */
#define RETURN_KEEPING_ENVIRONMENT(call)                                                                               \
    do {                                                                                                               \
        enum qb_status status_of_call;                                                                                 \
                                                                                                                       \
        KEEP_ENVIRONMENT(status_of_call, call);                                                                        \
        return status_of_call;                                                                                         \
    } while (0)

enum qb_status qb_backend_device_count(const struct qb_backend *backend, int *count)
{
    REQUIRE_BACKEND(backend);
    REQUIRE(count != NULL);
    RETURN_KEEPING_ENVIRONMENT(backend->device_count(count));
}

enum qb_status qb_device_open(const struct qb_backend *backend, int index, struct qb_device **device)
{
    REQUIRE_BACKEND(backend);
    REQUIRE(device != NULL);
    RETURN_KEEPING_ENVIRONMENT(backend->device_open(index, device));
}

void qb_device_close(struct qb_device *device)
{
    if (device != NULL) {
        device->backend->device_close(device);
    }
}

const struct qb_backend *qb_device_backend(const struct qb_device *device)
{
    return device->backend;
}

enum qb_status qb_device_info(struct qb_device *device, struct qb_device_info *info)
{
    struct qb_device_info own = {.size = sizeof own};
    enum qb_status status;

    REQUIRE(device != NULL && info != NULL);
    KEEP_ENVIRONMENT(status, device->backend->device_info(device, &own));
    return status == QB_OK ? qb__give(info, &own, sizeof own) : status;
}

const char *qb_throttle_name(unsigned index)
{
    static const char *const names[QB_THROTTLE_COUNT] = {"power cap",         "thermal",     "hardware thermal",
                                                         "hardware slowdown", "power brake", "sync boost"};

    return index < QB_THROTTLE_COUNT ? names[index] : NULL;
}

enum qb_status qb_device_conditions(struct qb_device *device, struct qb_device_conditions *conditions)
{
    struct qb_device_conditions own = {.size = sizeof own};
    enum qb_status status;

    REQUIRE(device != NULL && conditions != NULL);
    KEEP_ENVIRONMENT(status, device->backend->device_conditions(device, &own));
    return status == QB_OK ? qb__give(conditions, &own, sizeof own) : status;
}

enum qb_status qb_device_bind_threads(struct qb_device *device, bool bind)
{
    REQUIRE(device != NULL);
    if (device->backend->device_bind_threads == NULL) {
        return qb__fail(QB_ERROR_UNSUPPORTED, "only the CPU has threads to bind");
    }
    return device->backend->device_bind_threads(device, bind);
}

enum qb_status qb_device_cpus(struct qb_device *device, unsigned *cpus, size_t room, size_t *count)
{
    REQUIRE(device != NULL && (cpus != NULL || room == 0) && count != NULL);
    if (device->backend->device_cpus == NULL) {
        *count = 0;
        return QB_OK;
    }
    return device->backend->device_cpus(device, cpus, room, count);
}

enum qb_status qb_device_facts(struct qb_device *device, struct qb_device_fact *facts, size_t room, size_t *count)
{
    REQUIRE(device != NULL && (facts != NULL || room == 0) && count != NULL);
    RETURN_KEEPING_ENVIRONMENT(device->backend->device_facts(device, facts, room, count));
}

enum qb_status qb_memory_set_huge_pages(struct qb_device *device, enum qb_huge_pages pages)
{
    REQUIRE(device != NULL);
    if ((unsigned)pages >= QB_HUGE_PAGES_COUNT) {
        return qb__fail(QB_ERROR_INVALID, "pages %d are none of enum qb_huge_pages", (int)pages);
    }
    if (device->backend->memory_set_huge_pages == NULL) {
        return qb__fail(QB_ERROR_UNSUPPORTED, "only the CPU's memory has pages to choose");
    }
    return device->backend->memory_set_huge_pages(device, pages);
}

enum qb_status qb_memory_in_huge_pages(struct qb_device *device, const void *memory, size_t bytes, uint64_t *huge)
{
    REQUIRE(device != NULL && huge != NULL);
    if (device->backend->memory_in_huge_pages == NULL) {
        *huge = 0;
        return QB_OK;
    }
    return device->backend->memory_in_huge_pages(device, memory, bytes, huge);
}

enum qb_status qb_memory_alloc(struct qb_device *device, size_t bytes, void **pointer)
{
    REQUIRE(device != NULL && pointer != NULL);
    return device->backend->memory_alloc(device, bytes, pointer);
}

void qb_memory_free(struct qb_device *device, void *pointer)
{
    if (device != NULL && pointer != NULL) {
        device->backend->memory_free(device, pointer);
    }
}

enum qb_status qb_memory_write(struct qb_device *device, void *target, const void *host_source, size_t bytes)
{
    if (bytes == 0) {
        return QB_OK;
    }
    REQUIRE(device != NULL && target != NULL && host_source != NULL);
    return device->backend->memory_write(device, target, host_source, bytes);
}

enum qb_status qb_memory_read(struct qb_device *device, void *host_target, const void *source, size_t bytes)
{
    if (bytes == 0) {
        return QB_OK;
    }
    REQUIRE(device != NULL && host_target != NULL && source != NULL);
    return device->backend->memory_read(device, host_target, source, bytes);
}

enum qb_status qb_memory_fill(struct qb_device *device, void *target, int byte, size_t bytes)
{
    if (bytes == 0) {
        return QB_OK;
    }
    REQUIRE(device != NULL && target != NULL);
    return device->backend->memory_fill(device, target, byte, bytes);
}

enum qb_status qb_memory_compare(struct qb_device *device, const struct qb_copies *copies, const void *expected,
                                 size_t bytes, uint64_t *different, uint64_t *first)
{
    REQUIRE(device != NULL && copies != NULL && different != NULL && first != NULL);
    if (bytes == 0 || copies->count == 0) {
        *different = 0;
        *first = UINT64_MAX;
        return QB_OK;
    }
    REQUIRE(copies->memory != NULL && expected != NULL);
    if (copies->stride < bytes) {
        return qb__fail(QB_ERROR_INVALID, "copies of %zu bytes that are %zu bytes apart", bytes, copies->stride);
    }
    return device->backend->memory_compare(device, copies, expected, bytes, different, first);
}

enum qb_status qb_queue_create(struct qb_device *device, struct qb_queue **queue)
{
    REQUIRE(device != NULL && queue != NULL);
    RETURN_KEEPING_ENVIRONMENT(device->backend->queue_create(device, false, NULL, queue));
}

enum qb_status qb_queue_wrap(struct qb_device *device, void *native, struct qb_queue **queue)
{
    REQUIRE(device != NULL && queue != NULL);
    RETURN_KEEPING_ENVIRONMENT(device->backend->queue_create(device, true, native, queue));
}

void qb_queue_destroy(struct qb_queue *queue)
{
    if (queue != NULL) {
        struct qb_device *device = queue->device;
        struct qb__workspace *workspace = queue->plugin_workspace;

        free(queue->checks);
        device->backend->queue_destroy(queue);
        qb__workspace_release(device, workspace);
    }
}

enum qb_status qb_queue_synchronize(struct qb_queue *queue)
{
    REQUIRE(queue != NULL);
    return queue->device->backend->queue_synchronize(queue);
}

enum qb_status qb_queue_set_threads(struct qb_queue *queue, unsigned threads)
{
    REQUIRE(queue != NULL);
    if (threads == 0) {
        return qb__fail(QB_ERROR_INVALID, "0 threads; expected at least 1");
    }
    return queue->device->backend->queue_set_threads(queue, threads);
}

enum qb_status qb_queue_threads(struct qb_queue *queue, unsigned *wanted, unsigned *obtained)
{
    REQUIRE(queue != NULL && wanted != NULL && obtained != NULL);
    if (queue->device->backend->queue_threads == NULL) {
        return qb__fail(QB_ERROR_UNSUPPORTED, "only the CPU's kernels run on threads of the host");
    }
    return queue->device->backend->queue_threads(queue, wanted, obtained);
}

enum qb_status qb_queue_set_dependent_launch(struct qb_queue *queue, bool enabled)
{
    REQUIRE(queue != NULL);
    return queue->device->backend->queue_set_dependent_launch(queue, enabled);
}

enum qb_status qb_queue_copy(struct qb_queue *queue, void *target, const void *source, size_t bytes)
{
    REQUIRE(queue != NULL && (bytes == 0 || (target != NULL && source != NULL)));
    return queue->device->backend->queue_copy(queue, target, source, bytes);
}

enum qb_status qb_queue_mix(struct qb_queue *queue, void *target, size_t written_bytes, const void *source,
                            size_t read_bytes, enum qb_stores stores)
{
    REQUIRE(queue != NULL && (written_bytes == 0 || target != NULL) && (read_bytes == 0 || source != NULL));
    if ((unsigned)stores >= QB_STORES_COUNT) {
        return qb__fail(QB_ERROR_INVALID, "stores %d are neither plain nor streaming", (int)stores);
    }
    if ((uintptr_t)target % 256 != 0 || (uintptr_t)source % 256 != 0) {
        return qb__fail(QB_ERROR_INVALID, "source and target of a mix are not aligned to 256 bytes");
    }
    return queue->device->backend->queue_mix(queue, target, written_bytes, source, read_bytes, stores);
}

enum qb_status qb_event_create(struct qb_device *device, struct qb_event **event)
{
    REQUIRE(device != NULL && event != NULL);
    return device->backend->event_create(device, event);
}

void qb_event_destroy(struct qb_event *event)
{
    if (event != NULL) {
        event->device->backend->event_destroy(event);
    }
}

enum qb_status qb_event_record(struct qb_queue *queue, struct qb_event *event)
{
    REQUIRE(queue != NULL && event != NULL);
    return queue->device->backend->event_record(queue, event);
}

enum qb_status qb_event_elapsed(struct qb_event *start, struct qb_event *end, double *nanoseconds)
{
    REQUIRE(start != NULL && end != NULL && nanoseconds != NULL);
    return start->device->backend->event_elapsed(start, end, nanoseconds);
}

enum qb_status qb_graph_begin(struct qb_queue *queue)
{
    enum qb_status status;

    REQUIRE(queue != NULL);
    status = queue->device->backend->graph_begin(queue);
    queue->capturing = queue->capturing || status == QB_OK;
    return status;
}

enum qb_status qb_graph_end(struct qb_queue *queue, struct qb_graph **graph)
{
    REQUIRE(queue != NULL && graph != NULL);
    queue->capturing = false;
    return queue->device->backend->graph_end(queue, graph);
}

enum qb_status qb_graph_launch(struct qb_graph *graph, struct qb_queue *queue)
{
    REQUIRE(graph != NULL && queue != NULL);
    return queue->device->backend->graph_launch(graph, queue);
}

void qb_graph_destroy(struct qb_graph *graph)
{
    if (graph != NULL) {
        graph->device->backend->graph_destroy(graph);
    }
}

enum qb_status qb_profiler_start(struct qb_device *device)
{
    REQUIRE(device != NULL);
    return device->backend->profiler_start(device);
}

enum qb_status qb_profiler_stop(struct qb_device *device)
{
    REQUIRE(device != NULL);
    return device->backend->profiler_stop(device);
}

void qb_range_push(struct qb_device *device, const char *name)
{
    if (device != NULL && name != NULL) {
        device->backend->range_push(device, name);
    }
}

void qb_range_pop(struct qb_device *device)
{
    if (device != NULL) {
        device->backend->range_pop(device);
    }
}
