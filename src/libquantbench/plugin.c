/* SPDX-License-Identifier: Apache-2.0 */
/* plugin.c - loads plug-ins, makes ordinary kernels of theirs, and adds them to the registry. */
#include <config.h>

#include "environment.h"
#include "internal.h"
#include "kernel.h"
#include "problem.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The limits that quantbench.h names. */
#define NAME_SIZE         64
#define DESCRIPTION_SIZE  128
#define LARGEST_ALIGNMENT 256
/* A larger table is taken for garbage. */
#define MOST_KERNELS 1024

/* A kernel of a plug-in. */
struct plugin_kernel {
    struct qb_kernel base;
    struct qb_plugin_kernel declared; /* as far as the plug-in's header reaches; the rest is 0 */
};

/* A plug-in that was loaded. */
struct plugin {
    const struct qb_plugin *declared;
    char *file;
    struct plugin_kernel *kernels;
    const struct qb_kernel **bases; /* of these, for the registry */
    struct qb__kernel_list list;
    struct plugin *next;
};
static struct plugin *first; /* guarded by LOADING */
static pthread_mutex_t loading = PTHREAD_MUTEX_INITIALIZER;

/* ---- The adapter ------------------------------------------------------------------------------------------------ */

static const struct qb_plugin_kernel *declared_by(const struct qb_kernel *kernel)
{
    return &((const struct plugin_kernel *)kernel)->declared;
}

static bool supports(const struct qb_kernel *kernel, const struct qb_device *device, const struct qb_problem *problem)
{
    const struct qb_plugin_kernel *declared = declared_by(kernel);
    struct qb__environment kept;
    bool supported;

    (void)device;
    if (!declared->narrow && !qb__is_plain(problem)) {
        return false; /* supports() would answer for members that it does not know */
    }
    qb__environment_enter(&kept);
    supported = declared->supports(problem);
    qb__environment_leave(&kept);
    return supported;
}

static size_t workspace(const struct qb_kernel *kernel, const struct qb_device *device,
                        const struct qb_problem *problem)
{
    const struct qb_plugin_kernel *declared = declared_by(kernel);
    struct qb__environment kept;
    size_t bytes;

    (void)device;
    if (declared->workspace == NULL) {
        return 0;
    }
    qb__environment_enter(&kept);
    bytes = declared->workspace(problem);
    qb__environment_leave(&kept);
    return bytes;
}

/* The arguments of call_kernel(). */
struct call {
    const struct qb_plugin_kernel *declared;
    struct qb_plugin_call arguments;
};

static enum qb_status call_kernel(void *context, void *stream, unsigned threads)
{
    struct call *call = context;
    struct qb__environment kept;
    char changes[QB__CHANGES_SIZE];
    const char *error;
    bool changed;

    call->arguments.stream = stream;
    call->arguments.threads = threads;
    qb__environment_enter(&kept);
    error = call->declared->run(&call->arguments);
    changed = qb__environment_changed(changes);
    qb__environment_leave(&kept);
    if (error != NULL) {
        return qb__fail(QB_ERROR_PLUGIN, "%.400s", error);
    }
    return changed ? qb__fail(QB_ERROR_ENVIRONMENT, "%s", changes) : QB_OK;
}

static enum qb_status run(const struct qb_kernel *kernel, struct qb_queue *queue, const struct qb_problem *problem,
                          const struct qb_tensors *tensors)
{
    const struct qb_plugin_kernel *declared = declared_by(kernel);
    struct call call = {declared, {.size = sizeof call.arguments, .problem = problem, .tensors = tensors}};

    for (int role = 0; role < QB_ROLE_COUNT && declared->alignment > 0; role++) {
        if ((uintptr_t)tensors->at[role] % declared->alignment != 0) {
            return qb__fail(QB_ERROR_UNSUPPORTED, "kernel %s needs tensors aligned to %zu bytes", kernel->name,
                            declared->alignment);
        }
    }
    if (queue->plugin_workspace != NULL && queue->plugin_workspace->wanted) {
        call.arguments.workspace = queue->plugin_workspace->memory;
    }
    return queue->device->backend->queue_call(queue, call_kernel, &call);
}

/* ---- The loader ------------------------------------------------------------------------------------------------- */

/* dlopen()'s messages for a folder or a missing file are hard to understand. */
static enum qb_status check_file(const char *file)
{
    struct stat about;
    int descriptor = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    if (descriptor < 0) {
        return qb__fail(QB_ERROR_FILE, "%s", strerror(errno));
    }
    if (fstat(descriptor, &about) != 0 || !S_ISREG(about.st_mode)) {
        close(descriptor);
        return qb__fail(QB_ERROR_FILE, "is not a regular file");
    }
    close(descriptor);
    return QB_OK;
}

/* True if TEXT is 1 to SIZE - 1 printable characters of ASCII; with OTHERS set, letters, digits and those only. */
static bool is_text(const char *text, size_t size, const char *others)
{
    size_t length = strnlen(text, size);

    for (size_t i = 0; i < length; i++) {
        const char c = text[i];
        const bool alphanumeric = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');

        if (!(others != NULL ? alphanumeric || strchr(others, c) != NULL : c >= ' ' && c <= '~')) {
            return false;
        }
    }
    return length > 0 && length < size;
}

static bool is_known(const char *name)
{
    for (size_t i = 0; i < qb_kernel_count(); i++) {
        if (strcmp(qb_kernel_name(qb_kernel_at(i)), name) == 0) {
            return true;
        }
    }
    return false;
}

/* Set KERNEL to row INDEX of the table of PLUGIN, whose rows may be longer or shorter than this library's. */
static enum qb_status read_row(const struct qb_plugin *plugin, size_t index, struct qb_plugin_kernel *kernel)
{
    memset(kernel, 0, sizeof *kernel);
    return qb__take("a kernel", (const char *)plugin->kernels + index * plugin->kernel_size, plugin->kernel_size,
                    kernel, sizeof *kernel);
}

/* Check KERNEL, row INDEX of the table of PLUGIN. */
static enum qb_status check_kernel(const struct qb_plugin *plugin, size_t index, const struct qb_plugin_kernel *kernel)
{
    if (kernel->name == NULL || !is_text(kernel->name, NAME_SIZE, "_-.")) {
        return qb__fail(QB_ERROR_INVALID, "kernel %zu lacks a name; expected 1 to %d letters, digits, '_', '-' and '.'",
                        index, NAME_SIZE - 1);
    }
    if (kernel->description == NULL || !is_text(kernel->description, DESCRIPTION_SIZE, NULL)) {
        return qb__fail(QB_ERROR_INVALID, "kernel %s lacks a description; expected 1 to %d printable ASCII characters",
                        kernel->name, DESCRIPTION_SIZE - 1);
    }
    if (is_known(kernel->name)) {
        return qb__fail(QB_ERROR_INVALID, "there is a kernel %s already", kernel->name);
    }
    for (size_t i = 0; i < index; i++) {
        struct qb_plugin_kernel other;

        if (read_row(plugin, i, &other) == QB_OK && strcmp(other.name, kernel->name) == 0) {
            return qb__fail(QB_ERROR_INVALID, "two kernels are called %s", kernel->name);
        }
    }
    if (kernel->backend == NULL || (strcmp(kernel->backend, "cpu") != 0 && strcmp(kernel->backend, "cuda") != 0)) {
        return qb__fail(QB_ERROR_INVALID, "kernel %s: unknown backend '%.20s'; expected cpu or cuda", kernel->name,
                        kernel->backend != NULL ? kernel->backend : "");
    }
    if (qb_operation_name(kernel->operation) == NULL) {
        return qb__fail(QB_ERROR_INVALID, "kernel %s: operation %d is not in enum qb_operation", kernel->name,
                        (int)kernel->operation);
    }
    if (kernel->supports == NULL || kernel->run == NULL) {
        return qb__fail(QB_ERROR_INVALID, "kernel %s lacks %s()", kernel->name,
                        kernel->run == NULL ? "run" : "supports");
    }
    if (kernel->alignment > LARGEST_ALIGNMENT || (kernel->alignment & (kernel->alignment - 1)) != 0) {
        return qb__fail(QB_ERROR_INVALID, "kernel %s: alignment %zu; expected 0 or a power of two up to %d",
                        kernel->name, kernel->alignment, LARGEST_ALIGNMENT);
    }
    if (qb_arithmetic_validate(&kernel->arithmetic) != QB_OK) {
        char why[256];

        snprintf(why, sizeof why, "%s", qb_error_detail());
        return qb__fail(QB_ERROR_INVALID, "kernel %s: %s", kernel->name, why);
    }
    return QB_OK;
}

static enum qb_status check_plugin(const struct qb_plugin *plugin)
{
    if (plugin == NULL) {
        return qb__fail(QB_ERROR_INVALID, "not a plug-in of quantbench: lacks the symbol quantbench_plugin");
    }
    if (plugin->abi != QB_PLUGIN_ABI) {
        return qb__fail(QB_ERROR_INVALID, "compiled for version %u of the plug-in interface; expected version %d",
                        plugin->abi, QB_PLUGIN_ABI);
    }
    if (plugin->kernel_count == 0 || plugin->kernels == NULL) {
        return qb__fail(QB_ERROR_INVALID, "lacks kernels; expected at least 1");
    }
    if (plugin->kernel_count > MOST_KERNELS) {
        return qb__fail(QB_ERROR_INVALID, "has %u kernels; expected at most %d", plugin->kernel_count, MOST_KERNELS);
    }
    if (plugin->kernel_size < offsetof(struct qb_plugin_kernel, run) + sizeof plugin->kernels->run ||
        plugin->kernel_size % sizeof(void *) != 0) {
        return qb__fail(QB_ERROR_INVALID,
                        "rows of kernels have %zu bytes; compile it again with this version of quantbench.h",
                        plugin->kernel_size);
    }
    for (size_t i = 0; i < plugin->kernel_count; i++) {
        struct qb_plugin_kernel kernel;
        enum qb_status status = read_row(plugin, i, &kernel);

        if (status != QB_OK) {
            return qb__fail(QB_ERROR_INVALID, "kernel %zu has a member unknown to this version of the library", i);
        }
        status = check_kernel(plugin, i, &kernel);
        if (status != QB_OK) {
            return status;
        }
    }
    return QB_OK;
}

static void free_plugin(struct plugin *plugin)
{
    if (plugin != NULL) {
        free(plugin->file);
        free(plugin->kernels);
        free(plugin->bases);
        free(plugin);
    }
}

/* Make kernels of those that PLUGIN declares and this library has a backend for. */
static void make_kernels(struct plugin *plugin)
{
    for (size_t i = 0; i < plugin->declared->kernel_count; i++) {
        struct plugin_kernel *kernel = &plugin->kernels[plugin->list.count];
        const struct qb_backend *backend;

        read_row(plugin->declared, i, &kernel->declared);
        backend = qb_backend_find(kernel->declared.backend);
        if (backend != NULL) {
            kernel->base = (struct qb_kernel){.name = kernel->declared.name,
                                              .description = kernel->declared.description,
                                              .backend = backend,
                                              .operation = kernel->declared.operation,
                                              .experts = kernel->declared.experts,
                                              .supports = supports,
                                              .workspace = workspace,
                                              .run = run,
                                              .arithmetic = &kernel->declared.arithmetic,
                                              .file = plugin->file};
            plugin->bases[plugin->list.count++] = &kernel->base;
        }
    }
}

/* Add the kernels of DECLARED, which is in FILE, to the registry. */
static enum qb_status add_plugin(const struct qb_plugin *declared, const char *file)
{
    struct plugin *plugin = calloc(1, sizeof *plugin);

    if (plugin != NULL) {
        plugin->declared = declared;
        plugin->file = strdup(file);
        plugin->kernels = calloc(declared->kernel_count, sizeof *plugin->kernels);
        plugin->bases = calloc(declared->kernel_count, sizeof *plugin->bases);
    }
    if (plugin == NULL || plugin->file == NULL || plugin->kernels == NULL || plugin->bases == NULL) {
        free_plugin(plugin);
        return qb__fail(QB_ERROR_MEMORY, "out of host memory");
    }
    make_kernels(plugin);
    if (plugin->list.count == 0) {
        free_plugin(plugin);
        return qb__fail(QB_ERROR_INVALID, "all kernels are for CUDA: %s", qb_backend_why_not("cuda"));
    }
    plugin->list.kernels = plugin->bases;
    plugin->next = first;
    first = plugin;
    qb__kernels_add(&plugin->list);
    return QB_OK;
}

/* Load PATH, which holds a slash, so that dlopen() looks nowhere else. */
static enum qb_status load(const char *path, const char *file)
{
    const struct qb_plugin *declared;
    enum qb_status status;
    void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);

    if (handle == NULL) {
        return qb__fail(QB_ERROR_INVALID, "cannot be loaded: %s", dlerror());
    }
    declared = dlsym(handle, "quantbench_plugin");
    for (const struct plugin *plugin = first; plugin != NULL; plugin = plugin->next) {
        if (plugin->declared == declared) {
            dlclose(handle);
            return QB_OK;
        }
    }
    status = check_plugin(declared);
    if (status == QB_OK) {
        status = add_plugin(declared, file);
    }
    if (status != QB_OK) {
        dlclose(handle);
    }
    return status;
}

enum qb_status qb_plugin_load(const char *file)
{
    struct qb__environment kept;
    enum qb_status status;
    char *path;

    if (file == NULL) {
        return qb__fail(QB_ERROR_INVALID, "%s: the file is NULL", __func__);
    }
    status = check_file(file);
    if (status != QB_OK) {
        return status;
    }
    path = malloc(strlen(file) + 3);
    if (path == NULL) {
        return qb__fail(QB_ERROR_MEMORY, "out of host memory");
    }
    sprintf(path, "%s%s", strchr(file, '/') == NULL ? "./" : "", file);
    pthread_mutex_lock(&loading);
    /* Its constructors run here. What was linked with -ffast-math has one that flushes subnormals to zero. */
    qb__environment_enter(&kept);
    status = load(path, file);
    qb__environment_leave(&kept);
    pthread_mutex_unlock(&loading);
    free(path);
    return status;
}
