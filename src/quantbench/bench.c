/* SPDX-License-Identifier: Apache-2.0 */
/* bench.c - one case from its input to its result: data, memory, verification, time, verification again. */
#include <config.h>

#include "bench.h"
#include "input.h"
#include "interrupt.h"
#include "prove.h"
#include "tensor_file.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Outputs are filled with this before a kernel must write them: a code that is in no way special. */
#define POISON 0xA5

/* The device memory of one case: so many sets of its three tensors. */
struct buffer_sets {
    struct qb_device *device;
    struct copies inputs;
    struct copies codes;
    struct copies scales;
};

/* What the launches of one case need. */
struct launch_context {
    const struct plan_case *plan_case;
    const struct buffer_sets *buffers;
};

static void *copy_at(const struct copies *copies, unsigned set)
{
    return (char *)copies->memory + set * copies->stride;
}

static enum qb_status launch_kernel(void *context, struct qb_queue *queue, unsigned set)
{
    const struct launch_context *launch = context;
    const struct qb_buffers buffers = {copy_at(&launch->buffers->inputs, set), copy_at(&launch->buffers->codes, set),
                                       copy_at(&launch->buffers->scales, set)};

    return qb_kernel_run(launch->plan_case->kernel, queue, &launch->plan_case->problem, &buffers);
}

/* Every set begins at a multiple of this, in bytes, as an allocation of its own would. */
#define SET_ALIGNMENT 256

static uint64_t set_stride(uint64_t bytes)
{
    return (bytes + SET_ALIGNMENT - 1) / SET_ALIGNMENT * SET_ALIGNMENT;
}

/* The sum and the product of numbers of bytes; what is too large to count is more than any memory. */
static uint64_t add_bytes(uint64_t a, uint64_t b)
{
    return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

static uint64_t multiply_bytes(uint64_t a, uint64_t b)
{
    return b > 0 && a > UINT64_MAX / b ? UINT64_MAX : a * b;
}

/* Whether the input in hand is PLAN_CASE's. Only outliers depend on the length of a row. */
static bool holds_input(const struct bench *bench, const struct plan_case *plan_case)
{
    const struct qb_problem *problem = &plan_case->problem;

    return bench->input != NULL && bench->input_format == problem->input && bench->input_dist == plan_case->dist &&
           bench->input_count == problem->tokens * problem->hidden &&
           (bench->input_hidden == problem->hidden || plan_case->dist != INPUT_OUTLIERS);
}

/* Say how much is needed and how much there is, before anything is allocated. */
static enum exit_code check_memory(struct device *device, const char *what, uint64_t needed)
{
    uint64_t there = machine_memory_free(device);

    if (needed <= there) {
        return EXIT_OK;
    }
    message_error("%s needs %.3f GB of memory on %s, and %.3f GB are free; fewer tokens or a smaller hidden size are "
                  "accepted",
                  what, (double)needed * 1e-9, device->info.id, (double)there * 1e-9);
    return EXIT_CANNOT_RUN;
}

/* Bytes that the case will take on the host beyond what is held already: the input, unless it is the tensor's or the
 * last case's, and the reference's answer. What is held for the last case is freed first. */
static uint64_t host_bytes_needed(const struct bench *bench, const struct tensor_file *tensor,
                                  const struct plan_case *plan_case, const struct qb_bytes *bytes)
{
    uint64_t needed = add_bytes(bytes->output_buffer, bytes->scale_buffer);
    uint64_t held =
        bench->expectation.codes != NULL ? bench->expectation.code_bytes + bench->expectation.scale_bytes : 0;

    if (tensor == NULL && !holds_input(bench, plan_case)) {
        needed = add_bytes(needed, bytes->input_buffer);
        held += bench->generated != NULL ? bench->input_count * input_element_size(bench->input_format) : 0;
    }
    return needed > held ? needed - held : 0;
}

/* All the memory that a case will take, on the host and on its device. */
static enum exit_code check_all_memory(struct machine *machine, const struct bench *bench,
                                       const struct tensor_file *tensor, const struct result *result)
{
    const struct plan_case *plan_case = result->plan_case;
    uint64_t host_bytes = host_bytes_needed(bench, tensor, plan_case, &result->bytes);
    char what[160];
    enum exit_code code;

    plan_describe(&plan_case->problem, what, sizeof what);
    if (plan_case->threads > 0) {
        return check_memory(&machine->host, what, add_bytes(host_bytes, result->rotated_bytes));
    }
    code = check_memory(&machine->host, what, host_bytes);
    return code == EXIT_OK ? check_memory(plan_case->device, what, result->rotated_bytes) : code;
}

/* Make bench->input the case's input. */
static enum exit_code prepare_input(struct bench *bench, const struct args *args, const struct tensor_file *tensor,
                                    const struct plan_case *plan_case)
{
    const struct qb_problem *problem = &plan_case->problem;
    uint64_t count = problem->tokens * problem->hidden;
    void *data;

    if (holds_input(bench, plan_case)) {
        return EXIT_OK;
    }
    if (tensor == NULL) {
        free(bench->generated);
        bench->input = bench->generated = NULL;
        data = malloc(count * input_element_size(problem->input));
        if (data == NULL) {
            return message_out_of_memory("the input", count * input_element_size(problem->input));
        }
        input_generate(plan_case->dist, problem->input, args->seed, count, problem->hidden, data);
        bench->input = bench->generated = data;
    } else {
        bench->input = tensor->data;
    }
    bench->input_format = problem->input;
    bench->input_dist = plan_case->dist;
    bench->input_count = count;
    bench->input_hidden = problem->hidden;
    bench->input_is_new = true;
    return EXIT_OK;
}

static void free_buffers(struct buffer_sets *buffers)
{
    qb_memory_free(buffers->device, buffers->inputs.memory);
    qb_memory_free(buffers->device, buffers->codes.memory);
    qb_memory_free(buffers->device, buffers->scales.memory);
}

/* Allocate COUNT copies of a tensor of BYTES bytes, and fill them with POISON. Each is filled by itself, so that on the
 * CPU the threads that will use its parts are the first to touch them. */
static enum qb_status make_copies(struct qb_device *device, uint64_t count, uint64_t bytes, struct copies *copies)
{
    enum qb_status status;

    copies->stride = set_stride(bytes);
    copies->count = count;
    status = qb_memory_alloc(device, count * copies->stride, &copies->memory);
    /* Small ones together: no thread of its own touches a part of a page, and a call for each takes long. */
    if (status == QB_OK && bytes < (uint64_t)1 << 20) {
        return qb_memory_fill(device, copies->memory, POISON, count * copies->stride);
    }
    for (unsigned i = 0; i < count && status == QB_OK; i++) {
        status = qb_memory_fill(device, copy_at(copies, i), POISON, copies->stride);
    }
    return status;
}

/* Put the BYTES bytes at SOURCE (host) into every copy: into the first from the host, then from copy to copy. */
static enum qb_status write_copies(struct qb_device *device, struct qb_queue *queue, const struct copies *copies,
                                   const void *source, uint64_t bytes)
{
    enum qb_status status = qb_memory_write(device, copies->memory, source, bytes);

    for (uint64_t done = 1; done < copies->count && status == QB_OK; done *= 2) {
        uint64_t more = copies->count - done < done ? copies->count - done : done;

        status = qb_queue_copy(queue, copy_at(copies, (unsigned)done), copies->memory, more * copies->stride);
    }
    return status == QB_OK ? qb_queue_synchronize(queue) : status;
}

/* Allocate COUNT sets and put the input, and the scales if SCALES is not NULL, into each. */
static enum qb_status make_buffers(struct buffer_sets *buffers, struct qb_queue *queue, unsigned count,
                                   const struct qb_bytes *bytes, const void *input, const float *scales)
{
    struct qb_device *device = buffers->device;
    enum qb_status status = make_copies(device, count, bytes->input_buffer, &buffers->inputs);

    if (status == QB_OK) {
        status = make_copies(device, count, bytes->output_buffer, &buffers->codes);
    }
    if (status == QB_OK) {
        status = make_copies(device, count, bytes->scale_buffer, &buffers->scales);
    }
    if (status == QB_OK) {
        status = write_copies(device, queue, &buffers->inputs, input, bytes->input_buffer);
    }
    if (status == QB_OK && scales != NULL) {
        status = write_copies(device, queue, &buffers->scales, scales, bytes->scale_buffer);
    }
    return status;
}

/* Fill the codes of all sets, and the scales too where the kernel must write them. */
static enum qb_status poison(const struct buffer_sets *buffers, const struct qb_problem *problem)
{
    const struct copies *codes = &buffers->codes, *scales = &buffers->scales;
    enum qb_status status = qb_memory_fill(buffers->device, codes->memory, POISON, codes->count * codes->stride);

    if (status == QB_OK && problem->scaling != QB_SCALING_STATIC) {
        status = qb_memory_fill(buffers->device, scales->memory, POISON, scales->count * scales->stride);
    }
    return status;
}

/* Compare the first COUNT sets with the reference. RESULT gets the verdict; the first difference is printed. */
static enum exit_code check_outputs(const struct bench *bench, const struct buffer_sets *buffers, unsigned count,
                                    const char *when, struct result *result)
{
    const struct copies codes = {buffers->codes.memory, buffers->codes.stride, count};
    const struct copies scales = {buffers->scales.memory, buffers->scales.stride, count};
    struct mismatch *mismatch = &result->mismatch;
    enum exit_code code = verify_compare(buffers->device, &codes, &scales, bench->input, &bench->expectation, mismatch);

    if (code != EXIT_OK) {
        return code;
    }
    if (mismatch->wrong_codes > 0 || mismatch->wrong_scales > 0) {
        result->verification = WRONG;
        message_error("wrong result: kernel %s, %s: %" PRIu64 " of %" PRIu64 " codes and %" PRIu64
                      " scales differ from the reference; the first is %s",
                      qb_kernel_name(result->plan_case->kernel), when, mismatch->wrong_codes, mismatch->compared,
                      mismatch->wrong_scales, mismatch->first);
        return EXIT_WRONG_RESULT;
    }
    result->verification = VERIFIED;
    result->quality = bench->expectation.quality; /* the same codes have the same quality */
    return EXIT_OK;
}

/* Verify one launch, measure, and verify what the measured launches wrote. */
static enum exit_code verify_and_measure(const struct bench *bench, const struct args *args, struct qb_queue *queue,
                                         const struct buffer_sets *buffers, const struct measure_settings *settings,
                                         struct result *result)
{
    const struct plan_case *plan_case = result->plan_case;
    struct launch_context context = {plan_case, buffers};
    struct measure_work work = {launch_kernel, &context, result->sets};
    enum qb_status status = poison(buffers, &plan_case->problem);
    enum exit_code code;

    if (status == QB_OK) {
        status = launch_kernel(&context, queue, 0);
    }
    if (status == QB_OK) {
        status = qb_queue_synchronize(queue);
    }
    if (status != QB_OK) {
        return message_status(qb_kernel_name(plan_case->kernel), status);
    }
    if (args->verify) {
        code = check_outputs(bench, buffers, 1, "before timing", result);
        if (code != EXIT_OK) {
            return code;
        }
        status = poison(buffers, &plan_case->problem);
    }
    if (status == QB_OK && args->profile) {
        double time;

        status = measure_profile(queue, plan_case->device->handle, &work, settings, qb_kernel_name(plan_case->kernel),
                                 &time, &result->profiled);
        if (status == QB_OK) {
            result->measured = (struct measure_result){malloc(sizeof time), 1, 1, false};
            if (result->measured.samples == NULL) {
                return message_out_of_memory("the time", sizeof time);
            }
            result->measured.samples[0] = time;
        }
    } else if (status == QB_OK) {
        status = measure_run(queue, plan_case->device->handle, &work, settings, &result->measured);
    }
    if (status != QB_OK) {
        return message_status(qb_kernel_name(plan_case->kernel), status);
    }
    if (args->verify) {
        code = check_outputs(bench, buffers, result->sets, "after timing", result);
        if (code != EXIT_OK) {
            return code;
        }
    }
    if (result->measured.count > 0 && !stats_compute(result->measured.samples, result->measured.count, &result->time)) {
        return message_out_of_memory("the statistics", result->measured.count * sizeof(double));
    }
    return EXIT_OK;
}

/* Give QUEUE what the command line says of queues. */
static enum exit_code set_up_queue(const struct args *args, const struct plan_case *plan_case, struct qb_queue *queue)
{
    enum qb_status status = QB_OK;

    if (plan_case->threads > 0) {
        status = qb_queue_set_threads(queue, plan_case->threads);
    }
    if (status == QB_OK && args->dependent_launch) {
        status = qb_queue_set_dependent_launch(queue, true);
    }
    return status == QB_OK ? EXIT_OK
                           : message_status(args->dependent_launch ? "--dependent-launch" : "--threads", status);
}

/* Everything that needs a queue. */
static enum exit_code run_on_queue(struct bench *bench, const struct args *args, struct qb_queue *queue,
                                   struct result *result)
{
    const struct plan_case *plan_case = result->plan_case;
    struct device *device = plan_case->device;
    struct buffer_sets buffers = {.device = device->handle};
    struct measure_settings settings = {args->num_warmup_iters, args->num_iters, device->info.timer_tick};
    bool is_static = plan_case->problem.scaling == QB_SCALING_STATIC;
    enum exit_code code = set_up_queue(args, plan_case, queue);
    enum qb_status status;

    if (code != EXIT_OK) {
        return code;
    }
    status = make_buffers(&buffers, queue, result->sets, &result->bytes, bench->input,
                          is_static ? bench->expectation.scales : NULL);
    code = status == QB_OK ? verify_and_measure(bench, args, queue, &buffers, &settings, result)
                           : message_status("the buffers", status);
    free_buffers(&buffers);
    if (code == EXIT_OK && !args->profile && !interrupt_requested()) {
        ceiling_copy(queue, device->handle, plan_case->threads, result->bytes.read + result->bytes.written,
                     device->info.cache_size, &settings, &bench->ceiling);
        result->copy_time = bench->ceiling.nanoseconds;
    }
    return code;
}

/* How many sets make the cache cold, and how far they do. What counts is the lines that a launch touches, not the gaps
 * between sets. */
static void choose_sets(const struct args *args, struct result *result)
{
    const struct qb_bytes *bytes = &result->bytes;
    uint64_t cache = result->plan_case->device->info.cache_size;
    uint64_t lines = add_bytes(add_bytes(ceiling_lines(bytes->input_buffer), ceiling_lines(bytes->output_buffer)),
                               ceiling_lines(bytes->scale_buffer));
    uint64_t strides = add_bytes(add_bytes(set_stride(bytes->input_buffer), set_stride(bytes->output_buffer)),
                                 set_stride(bytes->scale_buffer));

    result->sets = args->profile ? 1 : ceiling_cold_sets(lines, cache);
    result->rotated_bytes = multiply_bytes(result->sets, strides);
    result->cache = args->profile                                      ? CACHE_HOT
                    : multiply_bytes(result->sets, lines) >= 4 * cache ? CACHE_COLD
                                                                       : CACHE_PARTLY_COLD;
}

enum exit_code bench_prepare(const struct bench *bench, const struct args *args, struct machine *machine,
                             const struct tensor_file *tensor, const struct plan_case *plan_case, struct result *result)
{

    *result = (struct result){.plan_case = plan_case};
    qb_problem_bytes(&plan_case->problem, &result->bytes);
    choose_sets(args, result);
    result->code = check_all_memory(machine, bench, tensor, result);
    return result->code;
}

/* Make the input, and what the reference says of it if that is needed. */
static enum exit_code prepare_data(struct bench *bench, const struct args *args, const struct tensor_file *tensor,
                                   const struct plan_case *plan_case, bool need_codes)
{
    enum exit_code code = prepare_input(bench, args, tensor, plan_case);

    if (code == EXIT_OK && (need_codes || plan_case->problem.scaling == QB_SCALING_STATIC)) {
        code = verify_expect(&plan_case->problem, qb_kernel_arithmetic(plan_case->kernel), bench->input,
                             !bench->input_is_new, need_codes, &bench->expectation);
        bench->input_is_new = bench->input_is_new && code != EXIT_OK;
    }
    return code;
}

enum exit_code bench_prove(struct bench *bench, const struct args *args, const struct tensor_file *tensor,
                           const struct plan_case *plan_case, void (*alive)(void))
{
    struct qb_queue *queue;
    enum qb_status status;
    enum exit_code code = prepare_data(bench, args, tensor, plan_case, false);

    if (code != EXIT_OK) {
        return code;
    }
    status = qb_queue_create(plan_case->device->handle, &queue);
    if (status != QB_OK) {
        return message_status(plan_case->device->info.id, status);
    }
    code = set_up_queue(args, plan_case, queue);
    if (code == EXIT_OK) {
        code = prove_kernel(plan_case, queue, bench->input, bench->expectation.scales, alive);
    }
    qb_queue_destroy(queue);
    return code;
}

void bench_run(struct bench *bench, const struct args *args, const struct tensor_file *tensor, struct result *result)
{
    const struct plan_case *plan_case = result->plan_case;
    struct qb_queue *queue;
    enum qb_status status;

    result->code = prepare_data(bench, args, tensor, plan_case, args->verify);
    if (result->code != EXIT_OK) {
        return;
    }
    status = qb_queue_create(plan_case->device->handle, &queue);
    if (status != QB_OK) {
        result->code = message_status(plan_case->device->info.id, status);
        return;
    }
    result->code = run_on_queue(bench, args, queue, result);
    if (result->code != EXIT_OK) {
        /* What was measured before it turned out wrong is no time. */
        result->measured.count = 0;
    }
    qb_queue_destroy(queue);
}

void bench_free_result(struct result *result)
{
    free(result->measured.samples);
    result->measured.samples = NULL;
}

void bench_free(struct bench *bench)
{
    free(bench->generated);
    verify_free(&bench->expectation);
}
