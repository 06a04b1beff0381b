/* SPDX-License-Identifier: Apache-2.0 */
/* backend_cpu.c - the CPU as a backend: which instruction sets it has, memory in huge pages, queues that do their work
 * before they return, and the monotonic clock as events. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* madvise() */
#endif
#include <config.h>

#include "backend.h"
#include "experts.h"
#include "machine.h"
#include "narrow.h"
#include "operations.h"
#include "threads.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <time.h>

#if defined HAVE_X86_AVX2 || defined HAVE_X86_AVX512
#include <cpuid.h>
#endif
#ifdef HAVE_ARM_NEON
#include <sys/auxv.h>
#endif
#ifdef _OPENMP
#include <omp.h>
#endif

#define HUGE_PAGE       ((size_t)2 << 20)
#define SMALL_ALIGNMENT ((size_t)256)

static const struct qb__host *host;
static const struct qb_backend backend;

/* ---- Instruction sets ------------------------------------------------------------------------------------------- */

static bool always(void)
{
    return true;
}

#ifdef HAVE_X86_AVX2
static bool cpu_has_avx2(void)
{
    unsigned eax, ebx, ecx, edx;
    /* Not every compiler's __builtin_cpu_supports() knows this one. */
    bool f16c = __get_cpuid(1, &eax, &ebx, &ecx, &edx) && (ecx & bit_F16C) != 0;

    /* This asks the operating system too, whether it saves the registers. */
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && f16c;
}
#endif

#ifdef HAVE_X86_AVX512
static bool cpu_has_avx512(void)
{
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("avx512vbmi");
}
#endif

/* True if the CPU has AVX-512 with FP16, unless QUANTBENCH_ISA names a set. The system saves the registers of both. */
static bool cpu_multiplies_half(void)
{
#ifdef HAVE_X86_AVX512
    const char *wanted = getenv("QUANTBENCH_ISA");
    unsigned eax, ebx, ecx, edx;

    return (wanted == NULL || wanted[0] == '\0') && cpu_has_avx512() &&
           __get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) && (edx & 1u << 23) != 0;
#else
    return false;
#endif
}

#ifdef HAVE_ARM_NEON
static bool cpu_has_neon(void)
{
    return (getauxval(AT_HWCAP) & HWCAP_ASIMD) != 0;
}
#endif

static bool kernel_supports(const struct qb_kernel *kernel, const struct qb_device *device,
                            const struct qb_problem *problem);
static size_t kernel_workspace(const struct qb_kernel *kernel, const struct qb_device *device,
                               const struct qb_problem *problem);
static enum qb_status kernel_run(const struct qb_kernel *kernel, struct qb_queue *queue,
                                 const struct qb_problem *problem, const struct qb_tensors *tensors);
static enum qb_status kernel_floor(const struct qb_kernel *kernel, struct qb_queue *queue,
                                   const struct qb_problem *problem);

/* EXPERTS: it does problems with experts. */
#define KERNEL(isa_, suffix, operation_, text, experts_)                                                               \
    {                                                                                                                  \
        .name = "cpu_" #isa_ suffix, .description = text, .backend = &backend, .operation = QB_OPERATION_##operation_, \
        .experts = experts_, .supports = kernel_supports, .workspace = kernel_workspace, .run = kernel_run,            \
        .floor = kernel_floor, .variant = &qb__cpu_ops_##isa_,                                                         \
    }

/* One for each operation, in their order. */
#define KERNELS(isa_, with)                                                                                            \
    KERNEL(isa_, "", QUANTIZE, "any problem, " with, true),                                                            \
        KERNEL(isa_, "_dequantize", DEQUANTIZE, "from codes back to values, " with, false),                            \
        KERNEL(isa_, "_silu_mul", SILU_MUL, "SiLU of a gate times up, quantized, " with, true),                        \
        KERNEL(isa_, "_gelu_mul", GELU_MUL, "GELU of a gate times up, quantized, " with, true),                        \
        KERNEL(isa_, "_rms_norm", RMS_NORM, "RMSNorm, quantized, " with, false),                                       \
        KERNEL(isa_, "_add_rms_norm", ADD_RMS_NORM, "RMSNorm of a sum, quantized, " with, false),                      \
        KERNEL(isa_, "_kv_write", KV_WRITE, "keys and values into the pages of a cache, " with, false),                \
        KERNEL(isa_, "_rope", ROPE, "rotary embedding, quantized, " with, false),                                      \
        KERNEL(isa_, "_transpose", TRANSPOSE, "quantized columns, " with, false),                                      \
        KERNEL(isa_, "_dual", DUAL, "quantized rows and columns, " with, false),                                       \
        KERNEL(isa_, "_kv_read", KV_READ, "keys and values from the pages of a cache, " with, false)

/* Best first, as the instruction sets below. */
static const struct qb_kernel kernels[] = {
#ifdef HAVE_X86_AVX512
    KERNELS(avx512, "with AVX-512 (F, BW, DQ, VL, VBMI)"),
#endif
#ifdef HAVE_X86_AVX2
    KERNELS(avx2, "with AVX2, FMA and F16C"),
#endif
#ifdef HAVE_ARM_NEON
    KERNELS(neon, "with NEON"),
#endif
    KERNELS(generic, "in plain C"),
};
#define KERNEL_COUNT (sizeof kernels / sizeof kernels[0])
#define ISA_COUNT    (KERNEL_COUNT / QB_OPERATION_COUNT)

static bool (*const isa_usable[ISA_COUNT])(void) = {
#ifdef HAVE_X86_AVX512
    cpu_has_avx512,
#endif
#ifdef HAVE_X86_AVX2
    cpu_has_avx2,
#endif
#ifdef HAVE_ARM_NEON
    cpu_has_neon,
#endif
    always,
};

static const struct qb__cpu_ops *isa_ops(size_t index)
{
    return kernels[index * QB_OPERATION_COUNT].variant;
}

/* Choose the best instruction set, or the one that QUANTBENCH_ISA names: the index in isa_usable[]. */
static enum qb_status isa_choose(size_t *index)
{
    const char *wanted = getenv("QUANTBENCH_ISA");
    char usable[64] = "";
    size_t best = ISA_COUNT;

    for (size_t i = 0; i < ISA_COUNT; i++) {
        const char *name = isa_ops(i)->isa;
        bool has = isa_usable[i]();

        if (wanted != NULL && wanted[0] != '\0' && strcmp(wanted, name) == 0 && has) {
            *index = i;
            return QB_OK;
        }
        if (has && best == ISA_COUNT) {
            best = i;
        }
        if (has) {
            snprintf(usable + strlen(usable), sizeof usable - strlen(usable), "%s%s", usable[0] != '\0' ? ", " : "",
                     name);
        }
    }
    if (wanted != NULL && wanted[0] != '\0') {
        return host->fail(QB_ERROR_UNSUPPORTED,
                          "QUANTBENCH_ISA: this CPU, or this build, cannot run '%.40s'; expected one of %s", wanted,
                          usable);
    }
    *index = best;
    return QB_OK;
}

/* ---- Device ----------------------------------------------------------------------------------------------------- */

/* Memory that does not come from malloc(). */
struct mapping {
    struct mapping *next;
    void *memory;
    size_t bytes;
};

struct cpu_device {
    struct qb_device base;
    enum qb_huge_pages pages;
    pthread_mutex_t lock; /* of MAPPINGS */
    struct mapping *mappings;
    size_t isa;                /* index in isa_usable[]: the best that may run */
    bool usable[ISA_COUNT];    /* asked once: to a virtual machine the question takes microseconds */
    struct qb__cpu_plan plan;  /* what queues start with */
    unsigned touch_threads;    /* that write to memory for the caller: as many as the last queue's */
    uint64_t last_level_cache; /* bytes, 0 if unknown */
    double timer_tick;         /* nanoseconds */
    uint64_t throttled;        /* how often the CPUs were too warm, as of the last look */
};

struct cpu_queue {
    struct qb_queue base;
    unsigned threads;
    struct qb__cpu_team team; /* of kernels so far: the most that were wanted, and the fewest of these obtained */
    void *workspace;
    size_t workspace_size;
};

struct cpu_event {
    struct qb_event base;
    struct timespec time;
};

static struct cpu_device *device_of(struct qb_device *device)
{
    return (struct cpu_device *)device;
}

static void clock_now(struct timespec *time)
{
#ifdef CLOCK_MONOTONIC_RAW
    clock_gettime(CLOCK_MONOTONIC_RAW, time);
#else
    clock_gettime(CLOCK_MONOTONIC, time);
#endif
}

static double clock_between(const struct timespec *start, const struct timespec *end)
{
    return (double)(end->tv_sec - start->tv_sec) * 1e9 + (double)(end->tv_nsec - start->tv_nsec);
}

/* The smallest step that the clock was seen to make, in nanoseconds. */
static double clock_tick(void)
{
    double least = 1e9;

    for (int i = 0; i < 200; i++) {
        struct timespec start, end;
        double step;

        clock_now(&start);
        do {
            clock_now(&end);
            step = clock_between(&start, &end);
        } while (step <= 0);
        least = step < least ? step : least;
    }
    return least;
}

/* What OpenMP would use, but not more than the CPUs there are, unless OMP_NUM_THREADS asks for more. */
static unsigned default_threads(void)
{
#ifdef _OPENMP
    unsigned cpus = qb__machine_cpus(), most = (unsigned)omp_get_max_threads();
    unsigned threads = getenv("OMP_NUM_THREADS") != NULL || most < cpus ? most : cpus;
    unsigned limit = (unsigned)omp_get_thread_limit();

    threads = threads < limit ? threads : limit;
    return threads < MOST_THREADS ? threads : MOST_THREADS;
#else
    return 1;
#endif
}

/* Bytes for which one more thread is worth its start: a few microseconds of work of one core if the threads wait for
 * it awake, which they do for some milliseconds unless they are told otherwise; and more than the 30 us that a virtual
 * machine takes to wake one that sleeps. */
static uint64_t thread_bytes(void)
{
    const char *policy = getenv("OMP_WAIT_POLICY"), *spins = getenv("GOMP_SPINCOUNT");
    bool asleep = (policy != NULL && strcasecmp(policy, "passive") == 0) || (spins != NULL && strcmp(spins, "0") == 0);

    return asleep ? (uint64_t)2 << 20 : (uint64_t)128 << 10;
}

static enum qb_status cpu_device_count(int *count)
{
    *count = 1;
    return QB_OK;
}

static enum qb_status cpu_device_open(int index, struct qb_device **device)
{
    struct cpu_device *opened;
    uint64_t l2;
    size_t isa = ISA_COUNT - 1;
    enum qb_status status;

    if (index != 0) {
        return host->fail(QB_ERROR_NO_DEVICE, "there is no CPU device %d: the CPUs are one device, 0", index);
    }
    status = isa_choose(&isa);
    if (status != QB_OK) {
        return status;
    }
    opened = calloc(1, sizeof *opened);
    if (opened == NULL) {
        return host->fail(QB_ERROR_MEMORY, "no memory for a device");
    }
    opened->base.backend = &backend;
    opened->pages = QB_HUGE_PAGES_THP;
    pthread_mutex_init(&opened->lock, NULL);
    opened->isa = isa;
    for (size_t i = isa; i < ISA_COUNT; i++) {
        opened->usable[i] = isa_usable[i]();
    }
    qb__machine_caches(&opened->last_level_cache, &l2);
    opened->plan = (struct qb__cpu_plan){.threads = default_threads(),
                                         .thread_bytes = thread_bytes(),
                                         .cache_size = opened->last_level_cache,
                                         .l2_size = l2,
                                         .half_products = cpu_multiplies_half()};
    opened->touch_threads = opened->plan.threads;
    opened->timer_tick = clock_tick();
    opened->throttled = qb__machine_throttled();
    *device = &opened->base;
    return QB_OK;
}

static void cpu_device_close(struct qb_device *device)
{
    pthread_mutex_destroy(&device_of(device)->lock);
    free(device);
}

static enum qb_status cpu_device_info(struct qb_device *device, struct qb_device_info *info)
{
    const struct cpu_device *cpu = device_of(device);

    memset(info, 0, sizeof *info);
    snprintf(info->id, sizeof info->id, "cpu");
    qb__machine_cpu_name(info->name, sizeof info->name);
    if (info->name[0] == '\0') {
        snprintf(info->name, sizeof info->name, "CPU");
    }
    snprintf(info->isa, sizeof info->isa, "%s", isa_ops(cpu->isa)->isa);
#ifdef _OPENMP
    snprintf(info->runtime, sizeof info->runtime, "OpenMP %d", _OPENMP);
#endif
    qb__machine_memory(&info->memory_total, &info->memory_free);
    info->cache_size = cpu->last_level_cache;
    info->units = cpu->plan.threads;
    info->timer_tick = cpu->timer_tick;
    snprintf(info->binding, sizeof info->binding, "%s", qb__cpu_binding());
    return QB_OK;
}

static enum qb_status cpu_device_bind_threads(struct qb_device *device, bool bind)
{
    const char *why = NULL;

    (void)device;
    if (bind) {
        why = qb__cpu_bind();
    } else {
        qb__cpu_unbind();
    }
    return why == NULL ? QB_OK : host->fail(QB_ERROR_UNSUPPORTED, "threads are not bound: %s", why);
}

static enum qb_status cpu_device_cpus(struct qb_device *device, unsigned *cpus, size_t room, size_t *count)
{
    size_t size;
    cpu_set_t *set = qb__machine_affinity(&size);

    (void)device;
    if (set == NULL) {
        return host->fail(QB_ERROR_UNSUPPORTED, "the system does not tell which CPUs this process may use");
    }
    *count = 0;
    for (size_t cpu = 0; cpu < 8 * size; cpu++) {
        if (CPU_ISSET_S(cpu, size, set)) {
            if (*count < room) {
                cpus[*count] = (unsigned)cpu;
            }
            ++*count;
        }
    }
    CPU_FREE(set);
    return QB_OK;
}

static enum qb_status cpu_device_conditions(struct qb_device *device, struct qb_device_conditions *conditions)
{
    qb__machine_conditions(&device_of(device)->throttled, conditions);
    return QB_OK;
}

static enum qb_status cpu_device_facts(struct qb_device *device, struct qb_device_fact *facts, size_t room,
                                       size_t *count)
{
    (void)device;
    *count = qb__machine_facts(facts, room);
    return QB_OK;
}

/* ---- Memory ----------------------------------------------------------------------------------------------------- */

static enum qb_status cpu_memory_set_huge_pages(struct qb_device *device, enum qb_huge_pages pages)
{
#ifndef MAP_HUGETLB
    if (pages == QB_HUGE_PAGES_2M) {
        return host->fail(QB_ERROR_UNSUPPORTED, "this system has no pool of huge pages");
    }
#endif
    device_of(device)->pages = pages;
    return QB_OK;
}

static enum qb_status cpu_memory_in_huge_pages(struct qb_device *device, const void *memory, size_t bytes,
                                               uint64_t *huge)
{
    (void)device;
    return qb__machine_huge_bytes(memory, bytes, huge)
               ? QB_OK
               : host->fail(QB_ERROR_UNSUPPORTED, "the system does not tell what lies in huge pages");
}

/* Whole pages of the system's pool. */
static enum qb_status map_pool(struct cpu_device *device, size_t bytes, void **pointer)
{
    struct mapping *mapping = malloc(sizeof *mapping);
    uint64_t available = 0;
    void *memory = MAP_FAILED;

    if (mapping == NULL) {
        return host->fail(QB_ERROR_MEMORY, "no memory for a mapping");
    }
    *mapping = (struct mapping){.bytes = (bytes + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE};
#ifdef MAP_HUGETLB
    /* 21: the size's logarithm, where the system's own huge pages may be larger. */
    memory =
        mmap(NULL, mapping->bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | 21 << 26, -1, 0);
#endif
    if (memory == MAP_FAILED) {
        size_t pages = mapping->bytes / HUGE_PAGE;
        char has[32] = "fewer";

        free(mapping);
        if (qb__machine_read_number("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", &available)) {
            snprintf(has, sizeof has, "%llu", (unsigned long long)available);
        }
        return host->fail(QB_ERROR_MEMORY,
                          "%zu pages of 2 MiB wanted, the system's pool has %s free: \"sysctl vm.nr_hugepages=N\", as "
                          "root, makes it one of N",
                          pages, has);
    }
    mapping->memory = memory;
    pthread_mutex_lock(&device->lock);
    mapping->next = device->mappings;
    device->mappings = mapping;
    pthread_mutex_unlock(&device->lock);
    *pointer = memory;
    return QB_OK;
}

/* Unmap MEMORY if it is from the pool. */
static bool unmap_pool(struct cpu_device *device, void *memory)
{
    struct mapping **link = &device->mappings, *found;

    pthread_mutex_lock(&device->lock);
    while (*link != NULL && (*link)->memory != memory) {
        link = &(*link)->next;
    }
    found = *link;
    if (found != NULL) {
        *link = found->next;
    }
    pthread_mutex_unlock(&device->lock);
    if (found != NULL) {
        munmap(found->memory, found->bytes);
        free(found);
    }
    return found != NULL;
}

static enum qb_status no_memory(size_t bytes, uint64_t available)
{
    if (available == QB_MEMORY_UNKNOWN) {
        return host->fail(QB_ERROR_MEMORY, "%zu bytes wanted", bytes);
    }
    return host->fail(QB_ERROR_MEMORY, "%zu bytes wanted, %llu bytes available", bytes, (unsigned long long)available);
}

static enum qb_status cpu_memory_alloc(struct qb_device *device, size_t bytes, void **pointer)
{
    const bool large = bytes >= HUGE_PAGE;
    const size_t alignment = large ? HUGE_PAGE : SMALL_ALIGNMENT;
    uint64_t total, available;
    void *memory = NULL;

    if (large && device_of(device)->pages == QB_HUGE_PAGES_2M && bytes <= SIZE_MAX - HUGE_PAGE) {
        return map_pool(device_of(device), bytes, pointer);
    }
    if (large) {
        /* Linux promises more than it has, and kills later: ask first. */
        qb__machine_memory(&total, &available);
        if (bytes > available) {
            return no_memory(bytes, available);
        }
    }
    if (bytes > SIZE_MAX - alignment ||
        posix_memalign(&memory, alignment, (bytes + alignment - 1) / alignment * alignment + (bytes == 0)) != 0) {
        qb__machine_memory(&total, &available);
        return no_memory(bytes, available);
    }
#ifdef MADV_HUGEPAGE
    if (large) {
        /* Only a hint: without huge pages it works too, slower. */
        (void)madvise(memory, bytes, device_of(device)->pages == QB_HUGE_PAGES_OFF ? MADV_NOHUGEPAGE : MADV_HUGEPAGE);
    }
#endif
    *pointer = memory;
    return QB_OK;
}

static void cpu_memory_free(struct qb_device *device, void *pointer)
{
    if (pointer != NULL && !unmap_pool(device_of(device), pointer)) {
        free(pointer);
    }
}

/* A copy or a fill, shared out to threads as kernels share out their elements: who touches a page first decides on
 * which memory node it lies. */
struct transfer {
    const struct qb__cpu_ops *ops;
    char *target;
    const char *source; /* NULL: fill with BYTE */
    int byte;
    size_t bytes;
    bool stream;
};

static void transfer_work(void *context, unsigned index, unsigned count)
{
    const struct transfer *t = context;
    uint64_t begin, end;

    qb__cpu_split(t->bytes, 4096, index, count, &begin, &end);
    if (t->source == NULL) {
        memset(t->target + begin, t->byte, end - begin);
    } else if (t->stream) {
        t->ops->copy_stream(t->target + begin, t->source + begin, end - begin);
        t->ops->fence();
    } else {
        memcpy(t->target + begin, t->source + begin, end - begin);
    }
}

/* The plan for memory that the caller writes. */
static struct qb__cpu_plan touch_plan(struct qb_device *device)
{
    struct qb__cpu_plan plan = device_of(device)->plan;

    plan.threads = __atomic_load_n(&device_of(device)->touch_threads, __ATOMIC_RELAXED);
    return plan;
}

static enum qb_status cpu_memory_write(struct qb_device *device, void *target, const void *source, size_t bytes)
{
    struct transfer transfer = {.target = target, .source = source, .bytes = bytes};
    const struct qb__cpu_plan plan = touch_plan(device);

    qb__cpu_parallel(qb__cpu_threads_worth(&plan, bytes), transfer_work, &transfer);
    return QB_OK;
}

static enum qb_status cpu_memory_read(struct qb_device *device, void *target, const void *source, size_t bytes)
{
    return cpu_memory_write(device, target, source, bytes);
}

static enum qb_status cpu_memory_fill(struct qb_device *device, void *target, int byte, size_t bytes)
{
    struct transfer transfer = {.target = target, .byte = byte, .bytes = bytes};
    const struct qb__cpu_plan plan = touch_plan(device);

    qb__cpu_parallel(qb__cpu_threads_worth(&plan, bytes), transfer_work, &transfer);
    return QB_OK;
}

/* A comparison, of which each thread takes a part of every copy. */
struct comparison {
    const struct qb_copies *copies;
    const unsigned char *expected;
    size_t bytes;
    uint64_t different, first;
};

/* What one thread has found. */
struct differences {
    uint64_t count, first;
};

/* Add the bytes from BEGIN to END of copy COPY that are not as expected. Where they were not when they were loaded
 * first, and are when they are loaded again, the first load counts, as a difference at BEGIN. */
static void find_differences(const struct comparison *c, uint64_t copy, uint64_t begin, uint64_t end,
                             struct differences *found)
{
    const uint64_t offset = copy * c->copies->stride;
    const unsigned char *got = (const unsigned char *)c->copies->memory + offset;
    const uint64_t before = found->count;

    if (memcmp(got + begin, c->expected + begin, end - begin) == 0) {
        return;
    }
    for (uint64_t i = begin; i < end; i++) {
        if (got[i] != c->expected[i]) {
            found->count++;
            found->first = offset + i < found->first ? offset + i : found->first;
        }
    }
    if (found->count == before) {
        found->count++;
        found->first = offset + begin < found->first ? offset + begin : found->first;
    }
}

static void compare_work(void *context, unsigned index, unsigned count)
{
    struct comparison *c = context;
    struct differences found = {0, UINT64_MAX};
    uint64_t begin, end, seen;

    qb__cpu_split(c->bytes, 4096, index, count, &begin, &end);
    for (uint64_t copy = 0; copy < c->copies->count && begin < end; copy++) {
        find_differences(c, copy, begin, end, &found);
    }
    __atomic_fetch_add(&c->different, found.count, __ATOMIC_RELAXED);
    seen = __atomic_load_n(&c->first, __ATOMIC_RELAXED);
    while (found.first < seen &&
           !__atomic_compare_exchange_n(&c->first, &seen, found.first, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
    }
}

static enum qb_status cpu_memory_compare(struct qb_device *device, const struct qb_copies *copies, const void *expected,
                                         size_t bytes, uint64_t *different, uint64_t *first)
{
    struct comparison comparison = {copies, expected, bytes, 0, UINT64_MAX};
    const struct qb__cpu_plan plan = touch_plan(device);

    qb__cpu_parallel(qb__cpu_threads_worth(&plan, bytes), compare_work, &comparison);
    *different = comparison.different;
    *first = comparison.first;
    return QB_OK;
}

/* ---- Queues ----------------------------------------------------------------------------------------------------- */

static enum qb_status cpu_queue_create(struct qb_device *device, bool wrapped, void *native, struct qb_queue **queue)
{
    struct cpu_queue *created;

    if (wrapped && native != NULL) {
        return host->fail(QB_ERROR_INVALID, "the CPU has no streams: the native queue must be NULL");
    }
    created = calloc(1, sizeof *created);
    if (created == NULL) {
        return host->fail(QB_ERROR_MEMORY, "no memory for a queue");
    }
    created->base.device = device;
    created->threads = device_of(device)->plan.threads;
    *queue = &created->base;
    return QB_OK;
}

static void cpu_queue_destroy(struct qb_queue *queue)
{
    cpu_memory_free(queue->device, ((struct cpu_queue *)queue)->workspace);
    free(queue);
}

static enum qb_status cpu_queue_synchronize(struct qb_queue *queue)
{
    (void)queue;
    return QB_OK;
}

static enum qb_status cpu_queue_set_threads(struct qb_queue *queue, unsigned threads)
{
    if (threads < 1 || threads > MOST_THREADS) {
        return host->fail(QB_ERROR_INVALID, "%u threads; expected 1 to %u", threads, MOST_THREADS);
    }
#ifdef _OPENMP
    if (threads > (unsigned)omp_get_thread_limit()) {
        return host->fail(QB_ERROR_UNSUPPORTED, "%u threads: OMP_THREAD_LIMIT allows %d", threads,
                          omp_get_thread_limit());
    }
#else
    if (threads > 1) {
        return host->fail(QB_ERROR_UNSUPPORTED, "%u threads: this build has no OpenMP, and uses 1", threads);
    }
#endif
    ((struct cpu_queue *)queue)->threads = threads;
    __atomic_store_n(&device_of(queue->device)->touch_threads, threads, __ATOMIC_RELAXED);
    return QB_OK;
}

static enum qb_status cpu_queue_threads(struct qb_queue *queue, unsigned *wanted, unsigned *obtained)
{
    const struct qb__cpu_team *team = &((const struct cpu_queue *)queue)->team;

    *wanted = team->wanted;
    *obtained = team->obtained;
    return QB_OK;
}

static enum qb_status cpu_queue_set_dependent_launch(struct qb_queue *queue, bool enabled)
{
    (void)queue, (void)enabled;
    return host->fail(QB_ERROR_UNSUPPORTED, "the CPU has no dependent launches: its work is done when a call returns");
}

static enum qb_status cpu_queue_reserve(struct qb_queue *queue, size_t bytes)
{
    struct cpu_queue *q = (struct cpu_queue *)queue;
    void *larger;
    enum qb_status status;

    if (bytes <= q->workspace_size) {
        return QB_OK;
    }
    status = cpu_memory_alloc(queue->device, bytes, &larger);
    if (status == QB_OK) {
        cpu_memory_free(queue->device, q->workspace);
        q->workspace = larger;
        q->workspace_size = bytes;
    }
    return status;
}

static struct qb__cpu_plan plan_of(const struct qb_queue *queue)
{
    struct qb__cpu_plan plan = device_of(queue->device)->plan;

    plan.threads = ((const struct cpu_queue *)queue)->threads;
    return plan;
}

static enum qb_status cpu_queue_call(struct qb_queue *queue,
                                     enum qb_status (*work)(void *context, void *stream, unsigned threads),
                                     void *context)
{
    const unsigned threads = ((const struct cpu_queue *)queue)->threads;
    enum qb_status status;
#ifdef _OPENMP
    /* For loops of its own that ask for no number. */
    const int before = omp_get_max_threads();

    omp_set_num_threads((int)threads);
#endif
    qb__cpu_let_go();
    status = work(context, NULL, threads);
#ifdef _OPENMP
    omp_set_num_threads(before);
#endif
    return status;
}

static enum qb_status cpu_queue_copy(struct qb_queue *queue, void *target, const void *source, size_t bytes)
{
    const struct qb__cpu_plan plan = plan_of(queue);
    const uint64_t traffic = (uint64_t)bytes * 2;
    struct transfer transfer = {
        .ops = isa_ops(device_of(queue->device)->isa),
        .target = target,
        .source = source,
        .bytes = bytes,
        .stream = qb__cpu_streams(&plan, traffic),
    };

    qb__cpu_parallel(qb__cpu_threads_worth(&plan, traffic), transfer_work, &transfer);
    return QB_OK;
}

struct mix {
    const struct qb__cpu_ops *ops;
    char *target;
    const char *source;
    size_t written;
    size_t read;
    bool stream;
};

/* The part of BYTES bytes at BASE that belongs to thread INDEX of COUNT, in whole lines. */
static uint64_t mix_part(size_t bytes, unsigned index, unsigned count, uint64_t *begin)
{
    uint64_t end;

    qb__cpu_split(bytes / 64, 1, index, count, begin, &end);
    return end - *begin;
}

static void mix_work(void *context, unsigned index, unsigned count)
{
    const struct mix *m = context;
    uint64_t write_begin, read_begin;
    uint64_t writes = mix_part(m->written, index, count, &write_begin);
    uint64_t reads = mix_part(m->read, index, count, &read_begin);

    m->ops->mix(m->target + 64 * write_begin, writes, m->source + 64 * read_begin, reads, m->stream);
    if (m->stream) {
        m->ops->fence();
    }
    /* What is not a whole line; where there are no bytes, there may be no memory. */
    if (index == count - 1 && m->written % 64 > 0) {
        memset(m->target + m->written / 64 * 64, 1, m->written % 64);
    }
    if (index == count - 1 && m->read % 64 > 0) {
        char rest[64];

        memcpy(rest, m->source + m->read / 64 * 64, m->read % 64);
        __asm__ volatile("" : : "r"(rest) : "memory"); /* somebody wants it */
    }
}

static enum qb_status cpu_queue_mix(struct qb_queue *queue, void *target, size_t written_bytes, const void *source,
                                    size_t read_bytes, enum qb_stores stores)
{
    const struct qb__cpu_plan plan = plan_of(queue);
    struct mix mix = {
        .ops = isa_ops(device_of(queue->device)->isa),
        .target = target,
        .source = source,
        .written = written_bytes,
        .read = read_bytes,
        .stream = stores == QB_STORES_STREAMING,
    };

    qb__cpu_parallel(qb__cpu_threads_worth(&plan, (uint64_t)written_bytes + read_bytes), mix_work, &mix);
    return QB_OK;
}

/* ---- Events ----------------------------------------------------------------------------------------------------- */

static enum qb_status cpu_event_create(struct qb_device *device, struct qb_event **event)
{
    struct cpu_event *created = calloc(1, sizeof *created);

    if (created == NULL) {
        return host->fail(QB_ERROR_MEMORY, "no memory for an event");
    }
    created->base.device = device;
    *event = &created->base;
    return QB_OK;
}

static void cpu_event_destroy(struct qb_event *event)
{
    free(event);
}

static enum qb_status cpu_event_record(struct qb_queue *queue, struct qb_event *event)
{
    (void)queue;
    clock_now(&((struct cpu_event *)event)->time);
    return QB_OK;
}

static enum qb_status cpu_event_elapsed(struct qb_event *start, struct qb_event *end, double *nanoseconds)
{
    *nanoseconds = clock_between(&((struct cpu_event *)start)->time, &((struct cpu_event *)end)->time);
    return QB_OK;
}

/* ---- What the CPU lacks ----------------------------------------------------------------------------------------- */

static enum qb_status no_graphs(void)
{
    return host->fail(QB_ERROR_UNSUPPORTED, "the CPU has no graphs");
}

static enum qb_status cpu_graph_begin(struct qb_queue *queue)
{
    (void)queue;
    return no_graphs();
}

static enum qb_status cpu_graph_end(struct qb_queue *queue, struct qb_graph **graph)
{
    (void)queue;
    (void)graph;
    return no_graphs();
}

static enum qb_status cpu_graph_launch(struct qb_graph *graph, struct qb_queue *queue)
{
    (void)graph;
    (void)queue;
    return no_graphs();
}

static void cpu_graph_destroy(struct qb_graph *graph)
{
    (void)graph;
}

static enum qb_status cpu_profiler_start(struct qb_device *device)
{
    (void)device;
    return host->fail(QB_ERROR_UNSUPPORTED, "the CPU has no profiler to start");
}

static enum qb_status cpu_profiler_stop(struct qb_device *device)
{
    (void)device;
    return host->fail(QB_ERROR_UNSUPPORTED, "the CPU has no profiler to stop");
}

static void cpu_range_push(struct qb_device *device, const char *name)
{
    (void)device;
    (void)name;
}

static void cpu_range_pop(struct qb_device *device)
{
    (void)device;
}

/* ---- Kernels ---------------------------------------------------------------------------------------------------- */

/* True if there are routines for the quantization PROBLEM. */
static bool can_quantize(const struct qb__cpu_ops *ops, const struct qb_problem *problem)
{
    return ops->inputs[problem->input].amax != NULL &&
           (qb__is_plain(problem) ? ops->pairs[problem->input][problem->output].encode != NULL
                                  : ops->narrow->each[problem->output] != NULL);
}

/* True if there are routines for the values of PROBLEM, which is another operation. The formats that tests add come
 * after the others. */
static bool has_values(const struct qb_problem *problem)
{
    return problem->input <= QB_FORMAT_F32 &&
           (!qb__reads_codes(problem->operation) || problem->output <= QB_FORMAT_UINT4);
}

static bool kernel_supports(const struct qb_kernel *kernel, const struct qb_device *device,
                            const struct qb_problem *problem)
{
    const struct qb__cpu_ops *ops = kernel->variant;
    const struct qb_problem quantization = qb__quantization_of(problem);

    return ((const struct cpu_device *)device)->usable[(kernel - kernels) / QB_OPERATION_COUNT] &&
           (kernel->operation == QB_OPERATION_QUANTIZE || has_values(problem)) &&
           (qb__reads_codes(kernel->operation) || can_quantize(ops, &quantization));
}

/* That of the threads that queues start with. */
static size_t kernel_workspace(const struct qb_kernel *kernel, const struct qb_device *device,
                               const struct qb_problem *problem)
{
    const struct qb__cpu_plan *plan = &((const struct cpu_device *)device)->plan;

    if (problem->experts > 0) {
        return qb__cpu_experts_workspace(plan, problem);
    }
    return kernel->operation == QB_OPERATION_QUANTIZE ? 0 : qb__cpu_operation_workspace(plan, problem);
}

/* Run an operation that is not QUANTIZE, or has experts. */
static enum qb_status operation_run(const struct qb__cpu_ops *ops, const struct qb__cpu_plan *plan,
                                    struct qb_queue *queue, const struct qb_problem *problem,
                                    const struct qb_tensors *tensors)
{
    /* The queue may have more threads. */
    const size_t bytes =
        problem->experts > 0 ? qb__cpu_experts_workspace(plan, problem) : qb__cpu_operation_workspace(plan, problem);
    const enum qb_status status = cpu_queue_reserve(queue, bytes);

    if (status == QB_OK && problem->experts > 0) {
        qb__cpu_experts(ops, plan, problem, tensors, ((struct cpu_queue *)queue)->workspace);
    } else if (status == QB_OK) {
        qb__cpu_operation(ops, plan, problem, tensors, ((struct cpu_queue *)queue)->workspace);
    }
    return status;
}

static enum qb_status kernel_run(const struct qb_kernel *kernel, struct qb_queue *queue,
                                 const struct qb_problem *problem, const struct qb_tensors *tensors)
{
    const struct qb__cpu_plan plan = plan_of(queue);
    struct qb__cpu_team *team = &((struct cpu_queue *)queue)->team, ran;
    enum qb_status status = QB_OK;

    qb__cpu_watch_team();
    if (kernel->operation != QB_OPERATION_QUANTIZE || problem->experts > 0) {
        status = operation_run(kernel->variant, &plan, queue, problem, tensors);
    } else if (qb__is_plain(problem)) {
        qb__cpu_quantize(kernel->variant, &plan, problem, tensors);
    } else {
        qb__cpu_narrow(kernel->variant, &plan, problem, tensors);
    }
    ran = qb__cpu_watched_team();
    if (ran.wanted > team->wanted || (ran.wanted == team->wanted && ran.obtained < team->obtained)) {
        *team = ran;
    }
    return status;
}

static enum qb_status kernel_floor(const struct qb_kernel *kernel, struct qb_queue *queue,
                                   const struct qb_problem *problem)
{
    const struct qb__cpu_plan plan = plan_of(queue);

    if (problem->experts > 0) {
        qb__cpu_experts_floor(&plan, problem);
    } else if (kernel->operation == QB_OPERATION_QUANTIZE) {
        qb__cpu_floor(&plan, problem);
    } else {
        qb__cpu_operation_floor(&plan, problem);
    }
    return QB_OK;
}

static const struct qb_backend backend = {
    .abi = QB__BACKEND_ABI,
    .version = PACKAGE_VERSION,
    .name = "cpu",
    .kernels = kernels,
    .kernel_count = KERNEL_COUNT,
    .device_count = cpu_device_count,
    .device_open = cpu_device_open,
    .device_close = cpu_device_close,
    .device_info = cpu_device_info,
    .device_cpus = cpu_device_cpus,
    .device_bind_threads = cpu_device_bind_threads,
    .device_conditions = cpu_device_conditions,
    .device_facts = cpu_device_facts,
    .memory_set_huge_pages = cpu_memory_set_huge_pages,
    .memory_in_huge_pages = cpu_memory_in_huge_pages,
    .memory_alloc = cpu_memory_alloc,
    .memory_free = cpu_memory_free,
    .memory_write = cpu_memory_write,
    .memory_read = cpu_memory_read,
    .memory_fill = cpu_memory_fill,
    .memory_compare = cpu_memory_compare,
    .queue_create = cpu_queue_create,
    .queue_destroy = cpu_queue_destroy,
    .queue_synchronize = cpu_queue_synchronize,
    .queue_set_threads = cpu_queue_set_threads,
    .queue_threads = cpu_queue_threads,
    .queue_set_dependent_launch = cpu_queue_set_dependent_launch,
    .queue_reserve = cpu_queue_reserve,
    .queue_call = cpu_queue_call,
    .queue_copy = cpu_queue_copy,
    .queue_mix = cpu_queue_mix,
    .event_create = cpu_event_create,
    .event_destroy = cpu_event_destroy,
    .event_record = cpu_event_record,
    .event_elapsed = cpu_event_elapsed,
    .graph_begin = cpu_graph_begin,
    .graph_end = cpu_graph_end,
    .graph_launch = cpu_graph_launch,
    .graph_destroy = cpu_graph_destroy,
    .profiler_start = cpu_profiler_start,
    .profiler_stop = cpu_profiler_stop,
    .range_push = cpu_range_push,
    .range_pop = cpu_range_pop,
};

const struct qb_backend *qb__backend_cpu(const struct qb__host *host_)
{
    host = host_;
    return &backend;
}
