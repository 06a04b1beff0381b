/* SPDX-License-Identifier: Apache-2.0 */
/* cpu_ratios.c - what the CPU's kernels reach of what its memory allows, against goals: see cpu.sh.
 *
 * A case is measured beside its ceiling, again and again in rounds, and the figure is the median over rounds of the
 * ratio of the two: whatever slows the machine for longer than that slows both. Before each timed run comes an untimed
 * one of the same kind, which pays for the dirty lines that others left in the cache; a run in which this process was
 * preempted is repeated. */
#include <config.h>

#include "quantbench.h"
#include "model/sizes.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#define ROUNDS_MOST 1000

/* Of caches. */
#define MOST_TOKENS ((uint64_t)16384)
#define PAGE_SIZE   16

/* A run that was preempted is repeated so often, before it is taken as it is. */
#define RETAKES 20

/* What a case is compared with. */
enum ceiling {
    COPY,       /* a copy of as many bytes, half read and half written, with non-temporal stores */
    MIX,        /* as many bytes read and written, with non-temporal stores */
    MIX_PLAIN,  /* the same with plain stores */
    RATE,       /* nothing: the figure is in elements per nanosecond */
    ONE_THREAD, /* the same kernel with one thread */
};

/* What makes a problem a narrow one, or one of another operation. */
struct recipe {
    const char *name;
    enum qb_format output, scale_format;
    uint64_t group;
    enum qb_scale_layout layout;
    enum qb_tensor_scale tensor_scale;
    enum qb_zero_points zero_points;
    enum qb_operation operation;
    enum qb_page_layout pages;
};

static const struct recipe mxfp8 = {"mxfp8", QB_FORMAT_E4M3, QB_FORMAT_E8M0, 32, 0, 0, 0, QB_OPERATION_QUANTIZE, 0};
static const struct recipe mxfp8_tiled = {
    "mxfp8 tiled", QB_FORMAT_E4M3, QB_FORMAT_E8M0, 32, QB_SCALE_LAYOUT_TILED_128X4, 0, 0, QB_OPERATION_QUANTIZE, 0};
static const struct recipe mxfp4 = {"mxfp4", QB_FORMAT_E2M1, QB_FORMAT_E8M0, 32, 0, 0, 0, QB_OPERATION_QUANTIZE, 0};
static const struct recipe mxfp4_tiled = {
    "mxfp4 tiled", QB_FORMAT_E2M1, QB_FORMAT_E8M0, 32, QB_SCALE_LAYOUT_TILED_128X4, 0, 0, QB_OPERATION_QUANTIZE, 0};
static const struct recipe nvfp4 = {
    "nvfp4 given", QB_FORMAT_E2M1, QB_FORMAT_E4M3, 16, 0, QB_TENSOR_SCALE_GIVEN, 0, QB_OPERATION_QUANTIZE, 0};
static const struct recipe nvfp4_computed = {
    "nvfp4 computed", QB_FORMAT_E2M1, QB_FORMAT_E4M3, 16, 0, QB_TENSOR_SCALE_COMPUTED, 0, QB_OPERATION_QUANTIZE, 0};
static const struct recipe int4 = {"int4", QB_FORMAT_INT4, QB_FORMAT_F16, 128, 0, 0, 0, QB_OPERATION_QUANTIZE, 0};
static const struct recipe int8_shifted = {
    "int8 asymmetric", QB_FORMAT_INT8, QB_FORMAT_F32, 128, 0, 0, QB_ZERO_POINTS_INT8, QB_OPERATION_QUANTIZE, 0};
static const struct recipe e4m3_columns = {
    "fp8 columns", QB_FORMAT_E4M3, QB_FORMAT_F32, 128, QB_SCALE_LAYOUT_COLUMNS, 0, 0, QB_OPERATION_QUANTIZE, 0};
static const struct recipe e4m3_packed = {
    "fp8 e8m0 packed", QB_FORMAT_E4M3, QB_FORMAT_E8M0, 128, QB_SCALE_LAYOUT_PACKED, 0, 0, QB_OPERATION_QUANTIZE, 0};
static const struct recipe rms_norm = {
    .name = "rms-norm int8", QB_FORMAT_INT8, .operation = QB_OPERATION_RMS_NORM, .scale_format = QB_FORMAT_F32};
static const struct recipe silu_mul = {.name = "silu-mul int8",
                                       QB_FORMAT_INT8,
                                       .operation = QB_OPERATION_SILU_MUL,
                                       .scale_format = QB_FORMAT_F32,
                                       .group = 128};
static const struct recipe gelu_mul = {.name = "gelu-mul int8",
                                       QB_FORMAT_INT8,
                                       .operation = QB_OPERATION_GELU_MUL,
                                       .scale_format = QB_FORMAT_F32,
                                       .group = 128};
static const struct recipe dequantize = {.name = "dequantize int8",
                                         QB_FORMAT_INT8,
                                         .group = 128,
                                         .operation = QB_OPERATION_DEQUANTIZE,
                                         .scale_format = QB_FORMAT_F32};

/* Caches of 8 heads of 128, in pages of 16; a scale for each token and head, or NVFP4. */
#define CACHE(name_, operation_, layout_, ...)                                                                         \
    {                                                                                                                  \
        .name = name_, .operation = QB_OPERATION_##operation_, .pages = QB_PAGE_LAYOUT_##layout_, __VA_ARGS__          \
    }
#define CACHE_E4M3 .output = QB_FORMAT_E4M3, .scale_format = QB_FORMAT_F32, .group = 128
#define CACHE_NVFP4                                                                                                    \
    .output = QB_FORMAT_E2M1, .scale_format = QB_FORMAT_E4M3, .group = 16, .tensor_scale = QB_TENSOR_SCALE_GIVEN
static const struct recipe caches[] = {
    CACHE("kv-write fp8 nhd", KV_WRITE, NHD, CACHE_E4M3),    CACHE("kv-write fp8 hnd", KV_WRITE, HND, CACHE_E4M3),
    CACHE("kv-write nvfp4 nhd", KV_WRITE, NHD, CACHE_NVFP4), CACHE("kv-write nvfp4 hnd", KV_WRITE, HND, CACHE_NVFP4),
    CACHE("kv-read fp8 nhd", KV_READ, NHD, CACHE_E4M3),      CACHE("kv-read fp8 hnd", KV_READ, HND, CACHE_E4M3),
    CACHE("kv-read nvfp4 nhd", KV_READ, NHD, CACHE_NVFP4),   CACHE("kv-read nvfp4 hnd", KV_READ, HND, CACHE_NVFP4)};
static const struct recipe transposed = {.name = "transpose fp8",
                                         QB_FORMAT_E4M3,
                                         .group = 128,
                                         .operation = QB_OPERATION_TRANSPOSE,
                                         .scale_format = QB_FORMAT_F32};
static const struct recipe dual = {
    .name = "dual fp8", QB_FORMAT_E4M3, .group = 128, .operation = QB_OPERATION_DUAL, .scale_format = QB_FORMAT_F32};

static const struct goal {
    const char *kernel;
    enum qb_format input, output;
    enum qb_scaling scaling;
    enum qb_granularity granularity;
    uint64_t tokens, hidden;
    enum ceiling ceiling;
    double must, aim;            /* 0: none was set */
    const struct recipe *recipe; /* NULL: a plain problem */
} goals[] = {
#define BIG       4096, 8192
#define TENSOR    QB_GRANULARITY_TENSOR
#define TOKEN     QB_GRANULARITY_TOKEN
#define GROUP     QB_GRANULARITY_GROUP
#define BLOCK     QB_GRANULARITY_BLOCK
#define CHANNEL   QB_GRANULARITY_CHANNEL
#define STATIC    QB_SCALING_STATIC
#define DYNAMIC   QB_SCALING_DYNAMIC
#define HALF      QB_FORMAT_F16
#define BFLOAT16  QB_FORMAT_BF16
#define FLOAT     QB_FORMAT_F32
#define INT8      QB_FORMAT_INT8
#define E4M3      QB_FORMAT_E4M3
#define E5M2      QB_FORMAT_E5M2
#define NO_SLOWER 0.97 /* 1 but for the noise of two runs of the same */
    {"cpu_avx512", HALF, INT8, STATIC, TENSOR, BIG, COPY, 0.80, 0.92, NULL},
    {"cpu_avx2", HALF, INT8, STATIC, TENSOR, BIG, COPY, 0.80, 0.92, NULL},
    {"cpu_avx512", HALF, INT8, DYNAMIC, TOKEN, BIG, COPY, 0.70, 0.87, NULL},
    {"cpu_avx2", HALF, INT8, DYNAMIC, TOKEN, BIG, COPY, 0, 0, NULL},
    {"cpu_avx512", HALF, INT8, DYNAMIC, TENSOR, BIG, COPY, 0.42, 0.48, NULL},
    {"cpu_avx512", HALF, INT8, DYNAMIC, GROUP, BIG, COPY, 0.55, 0.70, NULL},
    {"cpu_avx512", HALF, INT8, DYNAMIC, BLOCK, BIG, COPY, 0, 0, NULL},
    {"cpu_avx512", HALF, INT8, DYNAMIC, CHANNEL, BIG, COPY, 0, 0, NULL},
    {"cpu_avx512", HALF, E4M3, STATIC, TENSOR, BIG, COPY, 0.60, 0.72, NULL},
    {"cpu_avx2", HALF, E4M3, STATIC, TENSOR, BIG, COPY, 0.35, 0.42, NULL},
    {"cpu_avx512", HALF, E4M3, DYNAMIC, TOKEN, BIG, COPY, 0.50, 0.60, NULL},
    {"cpu_avx512", HALF, E4M3, DYNAMIC, TENSOR, BIG, COPY, 0.37, 0.43, NULL},
    {"cpu_avx512", HALF, E4M3, DYNAMIC, GROUP, BIG, COPY, 0.40, 0.48, NULL},
    {"cpu_avx512", HALF, E4M3, DYNAMIC, BLOCK, BIG, COPY, 0, 0, NULL},
    {"cpu_avx512", HALF, E4M3, DYNAMIC, CHANNEL, BIG, COPY, 0, 0, NULL},
    {"cpu_avx512", HALF, E5M2, STATIC, TENSOR, BIG, COPY, 0.60, 0.72, NULL},
    {"cpu_avx2", HALF, E5M2, STATIC, TENSOR, BIG, COPY, 0.35, 0.42, NULL},
    {"cpu_avx512", HALF, E5M2, DYNAMIC, TOKEN, BIG, COPY, 0.50, 0.60, NULL},
    {"cpu_avx512", HALF, E5M2, DYNAMIC, TENSOR, BIG, COPY, 0.37, 0.43, NULL},
    {"cpu_avx512", HALF, E5M2, DYNAMIC, GROUP, BIG, COPY, 0.40, 0.48, NULL},
    {"cpu_avx512", BFLOAT16, INT8, STATIC, TENSOR, BIG, COPY, 0.80, 0.92, NULL},
    {"cpu_avx2", BFLOAT16, INT8, STATIC, TENSOR, BIG, COPY, 0.80, 0.92, NULL},
    {"cpu_avx512", BFLOAT16, INT8, DYNAMIC, TOKEN, BIG, COPY, 0.70, 0.87, NULL},
    {"cpu_avx512", BFLOAT16, INT8, DYNAMIC, TENSOR, BIG, COPY, 0.42, 0.48, NULL},
    {"cpu_avx512", BFLOAT16, INT8, DYNAMIC, GROUP, BIG, COPY, 0.55, 0.70, NULL},
    {"cpu_avx512", BFLOAT16, E4M3, STATIC, TENSOR, BIG, COPY, 0.60, 0.72, NULL},
    {"cpu_avx2", BFLOAT16, E4M3, STATIC, TENSOR, BIG, COPY, 0.35, 0.42, NULL},
    {"cpu_avx512", BFLOAT16, E4M3, DYNAMIC, TOKEN, BIG, COPY, 0.50, 0.60, NULL},
    {"cpu_avx512", BFLOAT16, E4M3, DYNAMIC, TENSOR, BIG, COPY, 0.37, 0.43, NULL},
    {"cpu_avx512", BFLOAT16, E4M3, DYNAMIC, GROUP, BIG, COPY, 0.40, 0.48, NULL},
    {"cpu_avx512", FLOAT, INT8, STATIC, TENSOR, BIG, MIX, 0.70, 0, NULL},
    {"cpu_avx512", FLOAT, E4M3, STATIC, TENSOR, BIG, MIX, 0.70, 0, NULL},
    {"cpu_avx512", HALF, INT8, STATIC, TENSOR, 128, 8192, MIX_PLAIN, 0.45, 0.52, NULL},
    {"cpu_avx512", HALF, INT8, DYNAMIC, TOKEN, 128, 8192, MIX_PLAIN, 0, 0, NULL},
    {"cpu_avx512", HALF, E4M3, STATIC, TENSOR, 128, 8192, MIX_PLAIN, 0.28, 0.33, NULL},
    {"cpu_avx512", HALF, E4M3, DYNAMIC, TOKEN, 128, 8192, MIX_PLAIN, 0, 0, NULL},
    {"cpu_generic", HALF, INT8, STATIC, TENSOR, BIG, RATE, 2.94, 0, NULL},
    {"cpu_generic", HALF, E4M3, STATIC, TENSOR, BIG, RATE, 0, 0, NULL},
    {"cpu_*", HALF, INT8, STATIC, TENSOR, 1, 8192, ONE_THREAD, NO_SLOWER, 0, NULL},
    {"cpu_*", HALF, INT8, STATIC, TENSOR, 16, 8192, ONE_THREAD, NO_SLOWER, 0, NULL},
    {"cpu_*", HALF, INT8, DYNAMIC, TOKEN, 1, 8192, ONE_THREAD, NO_SLOWER, 0, NULL},
    {"cpu_*", HALF, INT8, DYNAMIC, TOKEN, 16, 8192, ONE_THREAD, NO_SLOWER, 0, NULL},
#define NARROW(kernel, input, granularity, must, recipe)                                                               \
    {                                                                                                                  \
        kernel, input, QB_FORMAT_INT8, DYNAMIC, granularity, BIG, COPY, must, 0, &(recipe)                             \
    }
    NARROW("cpu_avx512", HALF, GROUP, 0.50, mxfp8),
    NARROW("cpu_avx512", HALF, GROUP, 0, mxfp8_tiled),
    NARROW("cpu_avx512", HALF, GROUP, 0.40, mxfp4),
    NARROW("cpu_avx512", HALF, GROUP, 0, mxfp4_tiled),
    NARROW("cpu_avx512", HALF, GROUP, 0.20, nvfp4),
    NARROW("cpu_avx512", HALF, GROUP, 0, nvfp4_computed),
    NARROW("cpu_avx512", HALF, GROUP, 0.45, int4),
    NARROW("cpu_avx512", HALF, TOKEN, 0.60, int8_shifted),
    NARROW("cpu_avx512", HALF, TENSOR, 0, int8_shifted),
    NARROW("cpu_avx512", HALF, GROUP, 0, int8_shifted),
    NARROW("cpu_avx512", HALF, GROUP, 0, e4m3_columns),
    NARROW("cpu_avx512", HALF, GROUP, 0, e4m3_packed),
    NARROW("cpu_avx512", BFLOAT16, GROUP, 0.50, mxfp8),
    NARROW("cpu_avx512", BFLOAT16, GROUP, 0.40, mxfp4),
    NARROW("cpu_avx512", BFLOAT16, GROUP, 0.20, nvfp4),
    NARROW("cpu_avx2", HALF, GROUP, 0.30, mxfp8),
    NARROW("cpu_avx2", HALF, GROUP, 0.24, mxfp4),
    NARROW("cpu_avx2", HALF, GROUP, 0.12, nvfp4),
    NARROW("cpu_avx2", HALF, GROUP, 0.27, int4),
    NARROW("cpu_avx2", HALF, TOKEN, 0.36, int8_shifted),
    NARROW("cpu_generic", HALF, GROUP, 0, mxfp8),
    NARROW("cpu_generic", HALF, GROUP, 0, mxfp4),
    NARROW("cpu_generic", HALF, TOKEN, 0, int8_shifted),
#define OPERATION(kernel, input, scaling, granularity, tokens, must, recipe)                                           \
    {                                                                                                                  \
        kernel, input, QB_FORMAT_INT8, scaling, granularity, tokens, 8192, COPY, must, 0, &(recipe)                    \
    }
    OPERATION("cpu_avx512_rms_norm", HALF, DYNAMIC, TOKEN, 4096, 0.45, rms_norm),
    OPERATION("cpu_avx512_rms_norm", BFLOAT16, DYNAMIC, TOKEN, 4096, 0, rms_norm),
    OPERATION("cpu_avx512_silu_mul", HALF, DYNAMIC, GROUP, 2048, 0.30, silu_mul),
    OPERATION("cpu_avx512_silu_mul", BFLOAT16, DYNAMIC, GROUP, 2048, 0, silu_mul),
    OPERATION("cpu_avx512_gelu_mul", HALF, DYNAMIC, GROUP, 2048, 0, gelu_mul),
    OPERATION("cpu_avx512_dequantize", HALF, STATIC, GROUP, 4096, 0, dequantize),
    OPERATION("cpu_avx2_rms_norm", HALF, DYNAMIC, TOKEN, 4096, 0, rms_norm),
    OPERATION("cpu_avx2_silu_mul", HALF, DYNAMIC, GROUP, 2048, 0, silu_mul),
    OPERATION("cpu_avx2_dequantize", HALF, STATIC, GROUP, 4096, 0, dequantize),
    OPERATION("cpu_generic_rms_norm", HALF, DYNAMIC, TOKEN, 4096, 0, rms_norm),
    OPERATION("cpu_generic_silu_mul", HALF, DYNAMIC, GROUP, 2048, 0, silu_mul),
    OPERATION("cpu_generic_dequantize", HALF, STATIC, GROUP, 4096, 0, dequantize),
    OPERATION("cpu_avx512_transpose", HALF, DYNAMIC, GROUP, 4096, 0, transposed),
    OPERATION("cpu_avx512_transpose", HALF, DYNAMIC, BLOCK, 4096, 0, transposed),
    OPERATION("cpu_avx512_dual", HALF, DYNAMIC, GROUP, 4096, 0, dual),
    OPERATION("cpu_avx512_dual", HALF, DYNAMIC, BLOCK, 4096, 0, dual),
    OPERATION("cpu_avx2_transpose", HALF, DYNAMIC, GROUP, 4096, 0, transposed),
#define CACHED(kernel, recipe)                                                                                         \
    {                                                                                                                  \
        kernel, HALF, QB_FORMAT_INT8, DYNAMIC, GROUP, 16384, 2048, COPY, 0, 0, &(recipe)                               \
    }
    CACHED("cpu_avx512_kv_write", caches[0]),
    CACHED("cpu_avx512_kv_write", caches[1]),
    CACHED("cpu_avx512_kv_write", caches[2]),
    CACHED("cpu_avx512_kv_write", caches[3]),
    CACHED("cpu_avx512_kv_read", caches[4]),
    CACHED("cpu_avx512_kv_read", caches[5]),
    CACHED("cpu_avx512_kv_read", caches[6]),
    CACHED("cpu_avx512_kv_read", caches[7]),
    CACHED("cpu_avx2_kv_write", caches[2]),
    CACHED("cpu_avx2_kv_read", caches[4]),
};
#define GOALS (sizeof goals / sizeof *goals)

static const char *const ceiling_names[] = {"of copy", "of mix", "of plain mix", "Gelem/s", "of 1 thread"};

static struct qb_device *device;
static struct qb_queue *queue, *one_thread;
static char *input[3], *output;                                /* one input for each format */
static float *scales, tensor_scales[2] = {0x1p-10f, 0x1p-10f}; /* of keys and values */
static char *zero_points, *transposed_codes;
static float *transposed_scales;
static int64_t *slots;
static uint64_t retaken, taken_as_it_is;

static void check(enum qb_status status)
{
    if (status != QB_OK) {
        fprintf(stderr, "cpu_ratios: %s: %s\n", qb_strerror(status), qb_error_detail());
        exit(3);
    }
}

static double now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC_RAW, &time);
    return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

static long preemptions(void)
{
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_nivcsw;
}

/* The shape of a run: a kernel's, or a ceiling's for it. */
struct run {
    const struct qb_kernel *kernel; /* NULL: the ceiling */
    enum ceiling ceiling;
    struct qb_problem problem;
    struct qb_queue *queue;
    bool narrow;
    bool by_traffic;  /* the ceiling moves what the problem counts, which is less than its tensors have, or more of them
                       */
    unsigned repeats; /* timed together, so that a run is not too short for the clock */
};

static void run_once(const struct run *run)
{
    const struct qb_problem *p = &run->problem;
    struct qb_tensors buffers = QB_TENSORS(input[p->input], output, scales);
    struct sizes bytes;

    bytes = sizes_of(p);
    buffers.at[QB_ROLE_ZERO_POINTS] = zero_points;
    buffers.at[QB_ROLE_TENSOR_SCALE] = tensor_scales;
    buffers.at[QB_ROLE_SLOTS] = slots;
    buffers.at[QB_ROLE_TRANSPOSED] = transposed_codes;
    buffers.at[QB_ROLE_TRANSPOSED_SCALES] = transposed_scales;
    buffers.at[QB_ROLE_WEIGHTS] = input[p->input];
    if (p->operation == QB_OPERATION_DEQUANTIZE || p->operation == QB_OPERATION_KV_READ) {
        buffers.at[QB_ROLE_CODES] = input[p->input];
        buffers.at[QB_ROLE_VALUES] = output;
    }
    if (run->kernel != NULL) {
        check(qb_kernel_run(run->kernel, run->queue, p, &buffers));
    } else if (run->ceiling == COPY) {
        /* Scales of bytes and halves are not few. */
        uint64_t all = run->by_traffic ? bytes.read + bytes.written
                                       : bytes.of[QB_ROLE_INPUT] + bytes.of[QB_ROLE_CODES] + bytes.of[QB_ROLE_VALUES] +
                                             (run->narrow ? bytes.of[QB_ROLE_SCALES] : 0);
        size_t half = all / 2 / 4096 * 4096;

        check(qb_queue_mix(run->queue, output, half, input[p->input], half, QB_STORES_STREAMING));
    } else {
        check(qb_queue_mix(run->queue, output, bytes.of[QB_ROLE_CODES], buffers.at[QB_ROLE_INPUT],
                           bytes.of[QB_ROLE_INPUT], run->ceiling == MIX ? QB_STORES_STREAMING : QB_STORES_PLAIN));
    }
}

/* Nanoseconds of one run. */
static double time_run(const struct run *run)
{
    for (int retake = 0;; retake++) {
        long before;
        double start, end;

        run_once(run);
        before = preemptions();
        start = now();
        for (unsigned i = 0; i < run->repeats; i++) {
            run_once(run);
        }
        end = now();
        if (preemptions() == before || retake == RETAKES) {
            taken_as_it_is += preemptions() != before;
            return (end - start) / run->repeats;
        }
        retaken++;
    }
}

/* The slots of MOST_TOKENS tokens: pages in an order that no prefetcher knows, whose slots follow one another. */
static void fill_slots(void)
{
    const uint64_t pages = MOST_TOKENS / PAGE_SIZE;

    for (uint64_t i = 0; i < MOST_TOKENS; i++) {
        slots[i] =
            (int64_t)(i / PAGE_SIZE * 611 % pages * PAGE_SIZE + i % PAGE_SIZE); /* 611 is odd, PAGES a power of 2 */
    }
}

/* Data that look normal, of standard deviation 1: the sum of four uniform numbers. */
static void fill_input(enum qb_format format, uint64_t count)
{
    size_t size = format == QB_FORMAT_F32 ? 4 : 2;
    char *data = malloc(count * size);
    uint64_t state = 20261123;

    if (data == NULL) {
        fprintf(stderr, "cpu_ratios: out of memory\n");
        exit(3);
    }
    for (uint64_t i = 0; i < count; i++) {
        uint32_t code;
        double sum = 0;

        state = state * 6364136223846793005u + 1442695040888963407u;
        for (int part = 0; part < 4; part++) {
            sum += (double)(state >> 16 * part & 0xFFFF) / 65536 - 0.5;
        }
        code = qb_format_encode(format, (float)(sum * sqrt(3)));
        memcpy(data + i * size, &code, size);
    }
    check(qb_memory_write(device, input[format], data, count * size));
    free(data);
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static const char *goal_name(const struct goal *goal, char *text, size_t size)
{
    snprintf(text, size, "%4llux%llu %-8s %-4s %-7s %s", (unsigned long long)goal->tokens,
             (unsigned long long)goal->hidden, qb_format_info(goal->input)->name, qb_format_info(goal->output)->name,
             qb_scaling_name(goal->scaling), qb_granularity_name(goal->granularity));
    if (goal->recipe != NULL) {
        snprintf(text, size, "%4llux%llu %-8s %s %s", (unsigned long long)goal->tokens,
                 (unsigned long long)goal->hidden, qb_format_info(goal->input)->name, goal->recipe->name,
                 qb_granularity_name(goal->granularity));
    }
    return text;
}

/* Let PROBLEM have as many pages of LAYOUT as its tokens take, if it has a cache. */
static void set_pages(struct qb_problem *problem, enum qb_page_layout layout)
{
    if (problem->operation == QB_OPERATION_KV_WRITE || problem->operation == QB_OPERATION_KV_READ) {
        problem->head_size = 128;
        problem->page_size = PAGE_SIZE;
        problem->pages = problem->tokens / PAGE_SIZE;
        problem->page_layout = layout;
    }
}

/* A run for GOAL and its ceiling; false if this CPU lacks the kernel, or one thread is to be held against itself. */
static bool make_runs(const struct goal *goal, int threads, struct run *run, struct run *ceiling)
{
    qb_problem_init(&run->problem);
    run->problem.input = goal->input;
    run->problem.output = goal->output;
    run->problem.scaling = goal->scaling;
    run->problem.granularity = goal->granularity;
    run->problem.tokens = goal->tokens;
    run->problem.hidden = goal->hidden;
    run->problem.group = run->problem.block_rows = run->problem.block_cols = 128;
    run->narrow = goal->recipe != NULL;
    if (run->narrow) {
        run->problem.output = goal->recipe->output;
        run->problem.scale_format = goal->recipe->scale_format;
        run->problem.group = goal->recipe->group;
        run->problem.scale_layout = goal->recipe->layout;
        run->problem.tensor_scale = goal->recipe->tensor_scale;
        run->problem.zero_points = goal->recipe->zero_points;
        run->problem.operation = goal->recipe->operation;
        set_pages(&run->problem, goal->recipe->pages);
        run->by_traffic = goal->recipe->operation > QB_OPERATION_ADD_RMS_NORM;
    }
    run->queue = queue;
    run->repeats = goal->tokens <= 16 ? 300 : goal->tokens <= 128 ? 20 : 1;
    run->ceiling = goal->ceiling;
    if (goal->ceiling == ONE_THREAD && threads == 1) {
        return false;
    }
    if (qb_kernel_match(device, &run->problem, goal->kernel, &run->kernel) != QB_OK) {
        return false;
    }
    *ceiling = *run;
    if (goal->ceiling == ONE_THREAD) {
        ceiling->queue = one_thread;
    } else {
        ceiling->kernel = NULL;
    }
    return true;
}

int main(int argc, char **argv)
{
    static double ratios[GOALS][ROUNDS_MOST];
    double rates[GOALS] = {0};
    int rounds = argc > 1 ? atoi(argv[1]) : 25;
    int threads = argc > 2 ? atoi(argv[2]) : 1;
    const char *only = argc > 3 ? argv[3] : "";
    struct qb_device_info info = {.size = sizeof info};
    int missed = 0;

    if (rounds < 1 || rounds > ROUNDS_MOST || threads < 1) {
        fprintf(stderr, "Usage: cpu_ratios [ROUNDS [THREADS [PART-OF-NAME]]]\n");
        return 2;
    }
    check(qb_device_open(qb_backend_find("cpu"), 0, &device));
    check(qb_device_info(device, &info));
    check(qb_queue_create(device, &queue));
    check(qb_queue_create(device, &one_thread));
    check(qb_queue_set_threads(one_thread, 1));
    check(qb_queue_set_threads(queue, (unsigned)threads));
    for (int format = 0; format < 3; format++) {
        check(qb_memory_alloc(device, (uint64_t)4096 * 8192 * (format == QB_FORMAT_F32 ? 4 : 2),
                              (void **)&input[format]));
        fill_input((enum qb_format)format, (uint64_t)4096 * 8192);
    }
    /* The copy writes more than the codes. */
    check(qb_memory_alloc(device, (uint64_t)4096 * 8192 * 2, (void **)&output));
    check(qb_memory_fill(device, output, 0, (uint64_t)4096 * 8192 * 2));
    /* As many as there are in the smallest groups, of one byte. */
    check(qb_memory_alloc(device, (uint64_t)4096 * 8192 / 16, (void **)&scales));
    check(qb_memory_alloc(device, (uint64_t)4096 * 8192 / 128, (void **)&zero_points));
    check(qb_memory_alloc(device, (uint64_t)4096 * 8192, (void **)&transposed_codes));
    check(qb_memory_alloc(device, (uint64_t)4096 * 8192 / 32, (void **)&transposed_scales));
    check(qb_memory_alloc(device, MOST_TOKENS * sizeof *slots, (void **)&slots));
    fill_slots();

    for (int round = 0; round < rounds; round++) {
        for (size_t i = 0; i < GOALS; i++) {
            size_t g = (i + (size_t)round * 7) % GOALS; /* in another order each time */
            struct run run, ceiling;
            char name[128];
            double time;

            if (!make_runs(&goals[g], threads, &run, &ceiling) ||
                strstr(goal_name(&goals[g], name, sizeof name), only) == NULL) {
                continue;
            }
            for (uint64_t j = 0; j < 4096 * 8192 / 128; j++) {
                scales[j] = 3.5f / (goals[g].output == QB_FORMAT_INT8   ? 127
                                    : goals[g].output == QB_FORMAT_E4M3 ? 448
                                                                        : 57344);
            }
            time = time_run(&run);
            rates[g] = fmax(rates[g], (double)(goals[g].tokens * goals[g].hidden) / time);
            ratios[g][round] = goals[g].ceiling == RATE ? (double)(goals[g].tokens * goals[g].hidden) / time
                                                        : time_run(&ceiling) / time;
        }
    }
    printf("%s, %d thread%s, %d rounds, %llu runs repeated after a preemption, %llu kept in spite of one\n", info.name,
           threads, threads > 1 ? "s" : "", rounds, (unsigned long long)retaken, (unsigned long long)taken_as_it_is);
    printf("%-48s %-11s %7s %-12s %13s %5s %5s  %s\n", "case", "kernel", "reached", "", "p10 - p90", "must", "aim",
           "best Gelem/s");
    for (size_t g = 0; g < GOALS; g++) {
        struct run run, ceiling;
        const char *verdict;
        double median;
        char name[128];

        if (strstr(goal_name(&goals[g], name, sizeof name), only) == NULL) {
            continue;
        }
        if (!make_runs(&goals[g], threads, &run, &ceiling)) {
            if (goals[g].ceiling != ONE_THREAD) {
                printf("%-48s %-11s not on this CPU\n", name, goals[g].kernel);
            }
            continue;
        }
        qsort(ratios[g], (size_t)rounds, sizeof(double), compare);
        median = ratios[g][rounds / 2];
        verdict = goals[g].must == 0                           ? ""
                  : median < goals[g].must                     ? "MISSED"
                  : goals[g].aim > 0 && median >= goals[g].aim ? "aim"
                                                               : "met";
        missed += median < goals[g].must;
        printf("%-48s %-11s %7.3f %-12s %6.3f %6.3f %5.2f %5.2f  %6.2f %s\n", name, qb_kernel_name(run.kernel), median,
               ceiling_names[goals[g].ceiling], ratios[g][rounds / 10], ratios[g][rounds * 9 / 10], goals[g].must,
               goals[g].aim, rates[g], verdict);
    }
    printf("%d missed\n", missed);
    for (int format = 0; format < 3; format++) {
        qb_memory_free(device, input[format]);
    }
    qb_memory_free(device, output);
    qb_memory_free(device, scales);
    qb_memory_free(device, zero_points);
    qb_memory_free(device, transposed_codes);
    qb_memory_free(device, transposed_scales);
    qb_memory_free(device, slots);
    qb_queue_destroy(queue);
    qb_queue_destroy(one_thread);
    qb_device_close(device);
    return missed > 0 ? 1 : 0;
}
