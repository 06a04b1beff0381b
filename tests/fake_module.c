/* SPDX-License-Identifier: Apache-2.0 */
/* fake_module.c - stands in for the CUDA module, so that its loader, graphs and failures can be tested on a machine
 * without a GPU. Its one device is host memory, its clock counts launches, and its kernels go wrong in the ways that
 * their names say. FAKE_MODULE in the environment makes the module itself wrong: "abi", "version", "no-device".
 * FAKE_CONDITIONS says what its conditions are: "MHZ:MASK MHZ:MASK ...", a pair for each time that they are asked for,
 * the last one for ever after; MASK is of enum qb_throttle. With FAKE_LOAD, nothing slows it down but while launches
 * are waited for. FAKE_FACTS are its facts: "NAME=VALUE NAME=VALUE ...". */
#include <config.h>

#include "backend.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <signal.h>
#include <string.h>

static const struct qb__host *host;
static struct qb_backend backend;
static double now; /* nanoseconds */
static bool busy;  /* launches were not waited for */

/* Empty launches that take as long as the script says first. */
#define FEW_FLOORS 2000

/* How long everything takes, in nanoseconds. */
static struct script {
    double kernel;  /* a launch of a kernel whose data are in memory */
    double hot;     /* a launch as a share, if the one before had the same input */
    double mix;     /* a launch that reads and writes */
    double copy;    /* a copy of a few kilobytes */
    double floor;   /* an empty launch */
    double later;   /* the same after the first FEW_FLOORS; 0: no difference */
    double tick;    /* of the events; 0: none */
    double drift;   /* share by which every launch is slower than the one before */
    double outlier; /* one launch in this many takes ten times as long; 0: none */
    double jitter;  /* share by which launches differ at random */
    double cache;   /* not a time: bytes of the last-level cache */
} script;

/* The words of FAKE_CLOCK in place of what a launch takes by default. */
static void read_script(void)
{
    static const struct {
        const char *name;
        double *value;
    } words[] = {{"kernel=", &script.kernel}, {"hot=", &script.hot},         {"mix=", &script.mix},
                 {"copy=", &script.copy},     {"floor=", &script.floor},     {"tick=", &script.tick},
                 {"drift=", &script.drift},   {"outlier=", &script.outlier}, {"jitter=", &script.jitter},
                 {"cache=", &script.cache},   {"later=", &script.later}};
    const char *text = getenv("FAKE_CLOCK");

    script = (struct script){.kernel = 10000, .hot = 0.5, .mix = 9000, .copy = 9000, .floor = 1000, .cache = 1 << 16};
    for (size_t i = 0; i < sizeof words / sizeof words[0] && text != NULL; i++) {
        const char *place = strstr(text, words[i].name);

        if (place != NULL) {
            *words[i].value = strtod(place + strlen(words[i].name), NULL);
        }
    }
}

/* Let TIME pass, as a launch of the script does that reads INPUT, or nothing. */
static void pass(double time, const void *input)
{
    static const void *last_input;
    static uint64_t launches, state;

    if (input != NULL) {
        time *= input == last_input ? script.hot : 1;
        last_input = input;
    }
    launches++;
    state = state * 6364136223846793005u + 1442695040888963407u;
    time *= 1 + script.drift * (double)launches;
    time *= 1 + script.jitter * ((double)(state >> 11) * 0x1p-53 - 0.5);
    if (script.outlier > 0 && launches % (uint64_t)script.outlier == 0) {
        time *= 10;
    }
    now += time;
    busy = true;
}

struct fake_event {
    struct qb_event base;
    double time;
};

#define MAX_LAUNCHES 65536
/* What a graph holds: a kernel's launch, or, without a kernel, something that only takes TIME to read its input. */
struct launch {
    const struct qb_kernel *kernel;
    struct qb_problem problem;
    struct qb_tensors tensors;
    double time;
};
struct fake_graph {
    struct qb_graph base;
    size_t count;
    struct launch launches[MAX_LAUNCHES];
};
static struct fake_graph *capturing;
static size_t launched;
static bool has_differed; /* a comparison has found a difference */

static bool told_to_be(const char *what)
{
    const char *fake = getenv("FAKE_MODULE");

    return fake != NULL && strcmp(fake, what) == 0;
}

enum wrong { RIGHT, WRONG_CODE, WRONG_SCALE, WRONG_LATER, FAILS, SLOWER };

static bool supports(const struct qb_kernel *kernel, const struct qb_device *device, const struct qb_problem *problem)
{
    (void)device;
    /* The last kernel can do no static scales: something must be refused. */
    return *(const enum wrong *)kernel->variant != FAILS || problem->scaling == QB_SCALING_DYNAMIC;
}

/* Put LAUNCH into the graph that is being captured. */
static enum qb_status capture(const struct launch *launch)
{
    if (capturing->count == MAX_LAUNCHES) {
        return host->fail(QB_ERROR_DEVICE, "the graph is full");
    }
    capturing->launches[capturing->count++] = *launch;
    return QB_OK;
}

/* A launch that only takes TIME to read INPUT, or nothing. */
static enum qb_status take(double time, const void *input)
{
    if (capturing != NULL) {
        return capture(&(struct launch){.time = time, .tensors = QB_TENSORS(input, NULL, NULL)});
    }
    pass(time, input);
    return QB_OK;
}

static size_t workspace(const struct qb_kernel *kernel, const struct qb_device *device,
                        const struct qb_problem *problem)
{
    (void)kernel, (void)device, (void)problem;
    return 1024;
}

static enum qb_status run(const struct qb_kernel *kernel, struct qb_queue *queue, const struct qb_problem *problem,
                          const struct qb_tensors *tensors)
{
    enum wrong wrong = *(const enum wrong *)kernel->variant;
    enum qb_status status;

    (void)queue;
    if (capturing != NULL) {
        return capture(&(struct launch){kernel, *problem, *tensors, 0});
    }
    if (has_differed && told_to_be("gone")) {
        raise(SIGKILL); /* a launch after an error takes the node with it */
    }
    pass(script.kernel * (wrong == SLOWER ? 1.02 : 1), tensors->at[QB_ROLE_INPUT]);
    launched++;
    if (wrong == FAILS) {
        return host->fail(QB_ERROR_DEVICE, "the fake device fell over");
    }
    status = qb_reference_run(problem, tensors);
    if (status != QB_OK) {
        return status;
    }
    if (wrong == WRONG_CODE || (wrong == WRONG_LATER && launched > 100 && problem->tokens > 1)) {
        ((uint8_t *)tensors->at[QB_ROLE_CODES])[problem->output_stride] ^= 1; /* element (1, 0) */
    }
    if (wrong == WRONG_SCALE) {
        *(float *)tensors->at[QB_ROLE_SCALES] *= 2;
    }
    return QB_OK;
}

static enum qb_status kernel_floor(const struct qb_kernel *kernel, struct qb_queue *queue,
                                   const struct qb_problem *problem)
{
    static unsigned floors;

    (void)kernel, (void)queue, (void)problem;
    return take(script.later > 0 && floors++ >= FEW_FLOORS ? script.later : script.floor, NULL);
}

static const enum wrong kinds[] = {RIGHT, WRONG_CODE, WRONG_SCALE, WRONG_LATER, FAILS, SLOWER};
#define KERNEL(name_, text, kind)                                                                                      \
    {                                                                                                                  \
        .name = name_, .description = text, .backend = &backend, .supports = supports, .workspace = workspace,         \
        .run = run, .floor = kernel_floor, .variant = &kinds[kind]                                                     \
    }
static const struct qb_kernel kernels[] = {
    KERNEL("fake_right", "the reference", 0),
    KERNEL("fake_wrong_code", "one code is wrong", 1),
    KERNEL("fake_wrong_scale", "one scale is wrong", 2),
    KERNEL("fake_wrong_later", "one code is wrong, but not in the first launches", 3),
    KERNEL("fake_fails", "an error, and no static scales", 4),
    KERNEL("slow_right", "the reference, 2 % slower", 5),
};

static enum qb_status device_count(int *count)
{
    if (told_to_be("no-device")) {
        return host->fail(QB_ERROR_NO_DEVICE, "no fake driver");
    }
    *count = 1;
    return QB_OK;
}

static enum qb_status device_open(int index, struct qb_device **device)
{
    static struct qb_device only;
    int count;
    enum qb_status status = device_count(&count);

    if (status != QB_OK) {
        return status;
    }
    if (index != 0) {
        return host->fail(QB_ERROR_NO_DEVICE, "no device %d", index);
    }
    only.backend = &backend;
    *device = &only;
    return QB_OK;
}

static void device_close(struct qb_device *device)
{
    (void)device;
}

static enum qb_status device_info(struct qb_device *device, struct qb_device_info *info)
{
    (void)device;
    *info = (struct qb_device_info){
        .id = "cuda:0",
        .name = "Fake GPU",
        .isa = "fake_1",
        .driver = "1.0",
        .runtime = "1.0",
        .memory_total = 1 << 30,
        .memory_free = 1 << 30,
        .cache_size = (uint64_t)script.cache,
        .units = 1,
        .timer_tick = 1000,
    };
    return QB_OK;
}

static enum qb_status device_conditions(struct qb_device *device, struct qb_device_conditions *conditions)
{
    static size_t asked;
    const char *words = getenv("FAKE_CONDITIONS");
    double clock = NAN;
    unsigned throttle = 0;

    (void)device;
    for (size_t i = 0; words != NULL && i < asked && strchr(words, ' ') != NULL; i++) {
        words = strchr(words, ' ') + 1;
    }
    asked++;
    if (words != NULL) {
        sscanf(words, "%lf:%u", &clock, &throttle);
    }
    if (getenv("FAKE_LOAD") != NULL && !busy) {
        throttle = 0;
    }
    *conditions = (struct qb_device_conditions){
        .clock = clock,
        .memory_clock = 2619,
        .power = 500000,
        .energy = (double)asked * 1000,
        .temperature = NAN,
        .performance_state = 0,
        .throttle = throttle,
        .throttle_known = words != NULL ? (1u << QB_THROTTLE_COUNT) - 1 : 0,
    };
    return QB_OK;
}

static enum qb_status device_facts(struct qb_device *device, struct qb_device_fact *facts, size_t room, size_t *count)
{
    const char *words = getenv("FAKE_FACTS");
    size_t found = 0;

    (void)device;
    for (int length = 0; words != NULL && found < room; words += length, found++) {
        if (sscanf(words, " %31[^=]=%127s%n", facts[found].name, facts[found].value, &length) != 2) {
            break;
        }
    }
    *count = found;
    return QB_OK;
}

static enum qb_status memory_alloc(struct qb_device *device, size_t bytes, void **pointer)
{
    void *memory = aligned_alloc(256, (bytes + 256) / 256 * 256);

    (void)device;
    if (memory == NULL) {
        return host->fail(QB_ERROR_MEMORY, "%zu bytes", bytes);
    }
    *pointer = memory;
    return QB_OK;
}

static void memory_free(struct qb_device *device, void *pointer)
{
    (void)device;
    free(pointer);
}

static enum qb_status memory_copy(struct qb_device *device, void *target, const void *source, size_t bytes)
{
    (void)device;
    memcpy(target, source, bytes);
    return QB_OK;
}

static enum qb_status memory_fill(struct qb_device *device, void *target, int byte, size_t bytes)
{
    (void)device;
    memset(target, byte, bytes);
    return QB_OK;
}

static enum qb_status memory_compare(struct qb_device *device, const struct qb_copies *copies, const void *expected,
                                     size_t bytes, uint64_t *different, uint64_t *first)
{
    const unsigned char *got = copies->memory, *want = expected;

    (void)device;
    *different = 0;
    *first = UINT64_MAX;
    for (size_t i = 0; i < copies->count * bytes; i++) {
        const size_t at = i / bytes * copies->stride + i % bytes;

        if (got[at] != want[i % bytes]) {
            *first = ++*different == 1 ? at : *first;
        }
    }
    has_differed = has_differed || *different > 0;
    return QB_OK;
}

struct fake_queue {
    struct qb_queue base;
    size_t reserved;
};

static enum qb_status queue_create(struct qb_device *device, bool wrapped, void *native, struct qb_queue **queue)
{
    struct fake_queue *made = calloc(1, sizeof *made);

    (void)wrapped, (void)native;
    if (made == NULL) {
        return host->fail(QB_ERROR_MEMORY, "a queue");
    }
    made->base.device = device;
    *queue = &made->base;
    return QB_OK;
}

static void queue_destroy(struct qb_queue *queue)
{
    free(queue);
}

static enum qb_status queue_synchronize(struct qb_queue *queue)
{
    (void)queue;
    busy = false;
    return QB_OK;
}

static enum qb_status queue_set_threads(struct qb_queue *queue, unsigned threads)
{
    (void)queue, (void)threads;
    return host->fail(QB_ERROR_UNSUPPORTED, "a device has no threads");
}

static enum qb_status queue_set_dependent_launch(struct qb_queue *queue, bool enabled)
{
    (void)queue, (void)enabled;
    return QB_OK;
}

/* As of a device: what is captured needs its workspace before. */
static enum qb_status queue_reserve(struct qb_queue *base, size_t bytes)
{
    struct fake_queue *queue = (struct fake_queue *)base;

    if (bytes > queue->reserved && capturing != NULL) {
        return host->fail(QB_ERROR_WORKSPACE, "%zu bytes are to be reserved before a capture", bytes);
    }
    queue->reserved = bytes > queue->reserved ? bytes : queue->reserved;
    return QB_OK;
}

static enum qb_status queue_call(struct qb_queue *queue,
                                 enum qb_status (*work)(void *context, void *stream, unsigned threads), void *context)
{
    (void)queue;
    if (capturing != NULL) {
        return host->fail(QB_ERROR_UNSUPPORTED, "the fake device captures no kernels of plug-ins");
    }
    now += 10000;
    return work(context, NULL, 0);
}

static enum qb_status queue_copy(struct qb_queue *queue, void *target, const void *source, size_t bytes)
{
    (void)queue;
    if (capturing == NULL) {
        memcpy(target, source, bytes);
    }
    /* A larger copy takes a little longer: the calibration of the timer looks for differences. */
    return take(script.copy * (1 + (double)bytes * 1e-9), NULL);
}

static enum qb_status queue_mix(struct qb_queue *queue, void *target, size_t written_bytes, const void *source,
                                size_t read_bytes, enum qb_stores stores)
{
    (void)queue, (void)read_bytes;
    if (capturing == NULL && written_bytes > 0) {
        memset(target, 0, written_bytes);
    }
    return take(stores == QB_STORES_STREAMING ? script.mix : 1.1 * script.mix, source);
}

static enum qb_status event_create(struct qb_device *device, struct qb_event **event)
{
    struct fake_event *made = calloc(1, sizeof *made);

    if (made == NULL) {
        return host->fail(QB_ERROR_MEMORY, "an event");
    }
    made->base.device = device;
    *event = &made->base;
    return QB_OK;
}

static void event_destroy(struct qb_event *event)
{
    free(event);
}

static enum qb_status event_record(struct qb_queue *queue, struct qb_event *event)
{
    (void)queue;
    ((struct fake_event *)event)->time = script.tick > 0 ? floor(now / script.tick) * script.tick : now;
    return QB_OK;
}

static enum qb_status event_elapsed(struct qb_event *start, struct qb_event *end, double *nanoseconds)
{
    *nanoseconds = ((struct fake_event *)end)->time - ((struct fake_event *)start)->time;
    return QB_OK;
}

static enum qb_status graph_begin(struct qb_queue *queue)
{
    capturing = calloc(1, sizeof *capturing);
    if (capturing == NULL) {
        return host->fail(QB_ERROR_MEMORY, "a graph");
    }
    capturing->base.device = queue->device;
    return QB_OK;
}

static enum qb_status graph_end(struct qb_queue *queue, struct qb_graph **graph)
{
    (void)queue;
    *graph = &capturing->base;
    capturing = NULL;
    return QB_OK;
}

static enum qb_status graph_launch(struct qb_graph *graph, struct qb_queue *queue)
{
    struct fake_graph *fake = (struct fake_graph *)graph;

    for (size_t i = 0; i < fake->count; i++) {
        const struct launch *launch = &fake->launches[i];
        enum qb_status status = launch->kernel == NULL ? take(launch->time, launch->tensors.at[QB_ROLE_INPUT])
                                                       : run(launch->kernel, queue, &launch->problem, &launch->tensors);

        if (status != QB_OK) {
            return status;
        }
    }
    return QB_OK;
}

static void graph_destroy(struct qb_graph *graph)
{
    free(graph);
}

static enum qb_status profiler(struct qb_device *device)
{
    (void)device;
    return QB_OK;
}

static void range_push(struct qb_device *device, const char *name)
{
    (void)device, (void)name;
}

static void range_pop(struct qb_device *device)
{
    (void)device;
}

static struct qb_backend backend = {
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
    .memory_write = memory_copy,
    .memory_read = memory_copy,
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
    .profiler_start = profiler,
    .profiler_stop = profiler,
    .range_push = range_push,
    .range_pop = range_pop,
};

qb__backend_entry quantbench_backend;

const struct qb_backend *quantbench_backend(const struct qb__host *library)
{
    host = library;
    read_script();
    if (told_to_be("abi")) {
        backend.abi++;
    }
    if (told_to_be("version")) {
        backend.version = "0.0.0-other";
    }
    return &backend;
}
