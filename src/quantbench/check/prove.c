/* SPDX-License-Identifier: Apache-2.0 */
/* prove.c - runs a kernel between guard zones, on poisoned memory, again and again, and looks at what has changed. */
#include <config.h>

#include "check/allocations.h"
#include "cases/input.h"
#include "check/oracle.h"
#include "check/prove.h"
#include "model/sizes.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Bytes in front of a tensor and behind it; a multiple of the alignment that a tensor has. */
#define GUARD      ((uint64_t)64 << 10)
#define GUARD_BYTE 0xC3
/* What outputs hold before a run. */
#define POISON_1 0xA5
#define POISON_2 0x5A
/* Bytes of input that are looked at, and at how many elements when rows are apart. */
#define MOST_BYTES            ((uint64_t)256 << 20)
#define MOST_STRIDED_ELEMENTS ((uint64_t)1 << 20)
/* Runs that must give the same. */
#define REPEATS 5
/* Runs in which allocations are counted; the fewest count, as libraries have things to set up. */
#define COUNTED_RUNS 4

/* What is around the input. */
enum padding { PADDING_ZERO, PADDING_INFINITY, PADDING_NAN };

/* A tensor between two guard zones, on the device and on the host. */
struct region {
    void *memory;
    uint8_t *image; /* host: what was written or read last */
    uint64_t bytes; /* of the tensor, with the gaps between rows */
    uint64_t size;  /* with the guard zones */
};

struct proof {
    const char *name; /* the kernel's */
    const struct qb_kernel *kernel;
    struct qb_problem problem; /* strides are filled in */
    struct qb_device *device;
    struct qb_queue *queue;
    unsigned threads; /* of the queue; 0: not the CPU's */
    const void *data; /* host: the input's rows, dense */
    const float *given_scales;
    void (*alive)(double seconds);
    struct region input;
    struct region codes;
    struct region scales;
    uint8_t *input_after;
    uint8_t *kept_codes; /* images that others are compared with */
    uint8_t *kept_scales;
};

static bool is_static(const struct proof *proof)
{
    return proof->problem.scaling == QB_SCALING_STATIC;
}

/* ---- Memory ----------------------------------------------------------------------------------------------------- */

static enum exit_code make_region(struct proof *proof, uint64_t bytes, struct region *region)
{
    enum qb_status status;

    region->bytes = bytes;
    region->size = GUARD + (bytes + 255) / 256 * 256 + GUARD;
    region->image = malloc(region->size);
    if (region->image == NULL) {
        return message_out_of_memory("the proof of a kernel", region->size);
    }
    status = qb_memory_alloc(proof->device, region->size, &region->memory);
    return status == QB_OK ? EXIT_OK : message_status("the proof of a kernel", status);
}

static enum exit_code make_memory(struct proof *proof)
{
    const struct sizes bytes = sizes_of(&proof->problem);
    enum exit_code code;

    code = make_region(proof, bytes.of[QB_ROLE_INPUT], &proof->input);
    code = code == EXIT_OK ? make_region(proof, bytes.of[QB_ROLE_CODES], &proof->codes) : code;
    code = code == EXIT_OK ? make_region(proof, bytes.of[QB_ROLE_SCALES], &proof->scales) : code;
    if (code != EXIT_OK) {
        return code;
    }
    proof->input_after = malloc(proof->input.size);
    proof->kept_codes = malloc(proof->codes.size);
    proof->kept_scales = malloc(proof->scales.size);
    if (proof->input_after == NULL || proof->kept_codes == NULL || proof->kept_scales == NULL) {
        return message_out_of_memory("the proof of a kernel",
                                     proof->input.size + proof->codes.size + proof->scales.size);
    }
    return EXIT_OK;
}

static void free_region(struct proof *proof, struct region *region)
{
    qb_memory_free(proof->device, region->memory);
    free(region->image);
}

static void free_memory(struct proof *proof)
{
    free_region(proof, &proof->input);
    free_region(proof, &proof->codes);
    free_region(proof, &proof->scales);
    free(proof->input_after);
    free(proof->kept_codes);
    free(proof->kept_scales);
}

/* ---- One run ---------------------------------------------------------------------------------------------------- */

/* Put the input's rows into the image, and PADDING around and between them. */
static void fill_input(struct proof *proof, enum padding padding)
{
    static const float values[] = {[PADDING_ZERO] = 0, [PADDING_INFINITY] = INFINITY, [PADDING_NAN] = NAN};
    const struct qb_problem *p = &proof->problem;
    const uint64_t element = input_element_size(p->input);
    const uint32_t pattern = qb_format_encode(p->input, values[padding]);
    uint8_t *image = proof->input.image;

    for (uint64_t i = 0; i < proof->input.size; i += element) {
        memcpy(image + i, &pattern, element); /* the lower half first: these hosts are little-endian */
    }
    for (uint64_t row = 0; row < p->tokens; row++) {
        memcpy(image + GUARD + row * p->input_stride * element,
               (const uint8_t *)proof->data + row * p->hidden * element, p->hidden * element);
    }
}

/* Fill the image of an output with guards, and its rows of COLS bytes, STRIDE apart, with POISON. */
static void fill_output(struct region *region, uint64_t cols, uint64_t stride, uint8_t poison)
{
    memset(region->image, GUARD_BYTE, region->size);
    for (uint64_t begin = 0; begin < region->bytes; begin += stride) {
        memset(region->image + GUARD + begin, poison, cols);
    }
}

static enum qb_status write_region(const struct proof *proof, const struct region *region)
{
    return qb_memory_write(proof->device, region->memory, region->image, region->size);
}

static enum qb_status write_all(struct proof *proof, uint8_t poison, enum padding padding)
{
    enum qb_status status;

    fill_input(proof, padding);
    fill_output(&proof->codes, proof->problem.hidden, proof->problem.output_stride, poison);
    fill_output(&proof->scales, proof->scales.bytes, proof->scales.bytes, poison);
    if (is_static(proof)) {
        memcpy(proof->scales.image + GUARD, proof->given_scales, proof->scales.bytes);
    }
    status = write_region(proof, &proof->input);
    status = status == QB_OK ? write_region(proof, &proof->codes) : status;
    return status == QB_OK ? write_region(proof, &proof->scales) : status;
}

static enum qb_status launch(struct proof *proof)
{
    const struct qb_tensors buffers =
        QB_TENSORS((char *)proof->input.memory + GUARD, (char *)proof->codes.memory + GUARD,
                   (float *)((char *)proof->scales.memory + GUARD));

    if (proof->alive != NULL) {
        proof->alive(0);
    }
    return qb_kernel_run(proof->kernel, proof->queue, &proof->problem, &buffers);
}

static enum exit_code changes_environment(const struct proof *proof, const char *what)
{
    message_error("kernel %s: it leaves the floating-point environment changed: %s", proof->name, what);
    return EXIT_WRONG_RESULT;
}

/* The kernel said that it failed, or the device says so. */
static enum exit_code failed(const struct proof *proof, enum qb_status status)
{
    char what[160];

    if (status == QB_ERROR_ENVIRONMENT) {
        return changes_environment(proof, qb_error_detail());
    }
    snprintf(what, sizeof what, "kernel %s", proof->name);
    message_status(what, status);
    return EXIT_CANNOT_RUN;
}

static enum exit_code wait_for(struct proof *proof)
{
    enum qb_status status = qb_queue_synchronize(proof->queue);

    if (status != QB_OK) {
        message_error("kernel %s: it left the device with an error: %s", proof->name, qb_error_detail());
        return EXIT_CANNOT_RUN;
    }
    return EXIT_OK;
}

/* Read the outputs into their images, and what became of the input. */
static enum exit_code read_all(struct proof *proof)
{
    enum qb_status status = qb_memory_read(proof->device, proof->input_after, proof->input.memory, proof->input.size);

    if (status == QB_OK) {
        status = qb_memory_read(proof->device, proof->codes.image, proof->codes.memory, proof->codes.size);
    }
    if (status == QB_OK) {
        status = qb_memory_read(proof->device, proof->scales.image, proof->scales.memory, proof->scales.size);
    }
    return status == QB_OK ? EXIT_OK : failed(proof, status);
}

/* ---- What may not have changed ---------------------------------------------------------------------------------- */

/* Bytes that were written where none should be. */
struct stray {
    uint64_t count;
    uint64_t first; /* in the image */
};

static void look(const uint8_t *image, uint64_t begin, uint64_t end, struct stray *stray)
{
    for (uint64_t i = begin; i < end; i++) {
        if (image[i] != GUARD_BYTE && stray->count++ == 0) {
            stray->first = i;
        }
    }
}

/* Check what is around an output, and between its rows. */
static enum exit_code check_guards(const struct proof *proof, const struct region *region, const char *what,
                                   uint64_t cols, uint64_t stride)
{
    struct stray stray = {.count = 0};
    char where[96];
    uint64_t offset;

    look(region->image, 0, GUARD, &stray);
    for (uint64_t begin = 0; begin + cols < region->bytes; begin += stride) {
        look(region->image, GUARD + begin + cols, GUARD + begin + stride, &stray);
    }
    look(region->image, GUARD + region->bytes, region->size, &stray);
    if (stray.count == 0) {
        return EXIT_OK;
    }
    if (stray.first < GUARD) {
        snprintf(where, sizeof where, "%" PRIu64 " bytes before their beginning", GUARD - stray.first);
    } else if (stray.first < GUARD + region->bytes) {
        offset = stray.first - GUARD;
        snprintf(where, sizeof where, "%" PRIu64 " bytes behind row %" PRIu64, offset % stride - cols, offset / stride);
    } else {
        snprintf(where, sizeof where, "%" PRIu64 " bytes behind their end", stray.first - GUARD - region->bytes);
    }
    message_error("kernel %s: it writes outside its buffers: %" PRIu64 " bytes around the %s, the first of them %s",
                  proof->name, stray.count, what, where);
    return EXIT_WRONG_RESULT;
}

static enum exit_code check_input(const struct proof *proof)
{
    uint64_t i = 0;

    if (memcmp(proof->input_after, proof->input.image, proof->input.size) == 0) {
        return EXIT_OK;
    }
    while (proof->input_after[i] == proof->input.image[i]) {
        i++;
    }
    message_error("kernel %s: it changes its input: the first changed byte is byte %" PRId64, proof->name,
                  (int64_t)i - (int64_t)GUARD);
    return EXIT_WRONG_RESULT;
}

static enum exit_code check_static_scales(const struct proof *proof)
{
    if (!is_static(proof) || memcmp(proof->scales.image + GUARD, proof->given_scales, proof->scales.bytes) == 0) {
        return EXIT_OK;
    }
    message_error("kernel %s: it changes the scales that it was given", proof->name);
    return EXIT_WRONG_RESULT;
}

/* Everything that must be so after each run. */
static enum exit_code check_unchanged(const struct proof *proof)
{
    const struct qb_problem *p = &proof->problem;
    const uint64_t scales = proof->scales.bytes;
    enum exit_code code = check_input(proof);

    code = code == EXIT_OK ? check_guards(proof, &proof->codes, "codes", p->hidden, p->output_stride) : code;
    code = code == EXIT_OK ? check_guards(proof, &proof->scales, "scales", scales, scales) : code;
    return code == EXIT_OK ? check_static_scales(proof) : code;
}

static enum exit_code run(struct proof *proof, uint8_t poison, enum padding padding)
{
    enum qb_status status = write_all(proof, poison, padding);
    enum exit_code code;

    status = status == QB_OK ? launch(proof) : status;
    if (status != QB_OK) {
        return failed(proof, status);
    }
    code = wait_for(proof);
    code = code == EXIT_OK ? read_all(proof) : code;
    return code == EXIT_OK ? check_unchanged(proof) : code;
}

/* ---- What must be the same -------------------------------------------------------------------------------------- */

static void keep(struct proof *proof)
{
    memcpy(proof->kept_codes, proof->codes.image, proof->codes.size);
    memcpy(proof->kept_scales, proof->scales.image, proof->scales.size);
}

static bool same_as_kept(const struct proof *proof)
{
    return memcmp(proof->kept_codes, proof->codes.image, proof->codes.size) == 0 &&
           memcmp(proof->kept_scales, proof->scales.image, proof->scales.size) == 0;
}

/* Count the bytes of an output that still have the poison of the first run in the kept image, and that of the second in
 * the last one. */
static uint64_t count_unwritten(const struct region *region, const uint8_t *kept)
{
    uint64_t count = 0;

    for (uint64_t i = GUARD; i < GUARD + region->bytes; i++) {
        count += kept[i] == POISON_1 && region->image[i] == POISON_2;
    }
    return count;
}

static enum exit_code check_written(const struct proof *proof)
{
    uint64_t codes = count_unwritten(&proof->codes, proof->kept_codes);
    uint64_t scales = count_unwritten(&proof->scales, proof->kept_scales);

    if (codes == 0 && scales == 0) {
        return EXIT_OK;
    }
    message_error("kernel %s: it leaves outputs unwritten: %" PRIu64 " codes and %" PRIu64 " bytes of scales",
                  proof->name, codes, scales);
    return EXIT_WRONG_RESULT;
}

/* Run with other poison in the outputs, and again with the same; what differs shows what the kernel depends on. */
static enum exit_code check_outputs(struct proof *proof)
{
    enum exit_code code = run(proof, POISON_1, PADDING_ZERO);
    bool depends_on_outputs;

    if (code != EXIT_OK) {
        return code;
    }
    keep(proof);
    code = run(proof, POISON_2, PADDING_ZERO);
    code = code == EXIT_OK ? check_written(proof) : code;
    if (code != EXIT_OK) {
        return code;
    }
    depends_on_outputs = !same_as_kept(proof);
    keep(proof);
    for (int i = 0; i < REPEATS; i++) {
        code = run(proof, POISON_2, PADDING_ZERO);
        if (code != EXIT_OK) {
            return code;
        }
        if (!same_as_kept(proof)) {
            message_error("kernel %s: it gives different results from run to run", proof->name);
            return EXIT_WRONG_RESULT;
        }
    }
    if (depends_on_outputs) {
        message_error("kernel %s: its results depend on what was in its outputs before", proof->name);
        return EXIT_WRONG_RESULT;
    }
    return EXIT_OK;
}

/* Infinity shows in a largest magnitude, NaN in sums. */
static enum exit_code check_reads(struct proof *proof)
{
    for (enum padding padding = PADDING_INFINITY; padding <= PADDING_NAN; padding++) {
        enum exit_code code = run(proof, POISON_2, padding);

        if (code != EXIT_OK) {
            return code;
        }
        if (!same_as_kept(proof)) {
            message_error("kernel %s: it reads outside its input: its results depend on what is %s", proof->name,
                          proof->problem.input_stride > proof->problem.hidden ? "around it or between its rows"
                                                                              : "around it");
            return EXIT_WRONG_RESULT;
        }
    }
    return EXIT_OK;
}

/* ---- What costs time -------------------------------------------------------------------------------------------- */

/* On the CPU. What a CUDA kernel's launch takes from the host is none of its time, and a graph refuses the rest. */
static enum exit_code check_allocations(struct proof *proof)
{
    uint64_t fewest = UINT64_MAX;

    if (strcmp(qb_backend_name(qb_kernel_backend(proof->kernel)), "cpu") != 0) {
        return EXIT_OK;
    }
    for (int i = 0; i < COUNTED_RUNS; i++) {
        enum qb_status status;
        uint64_t count;

        allocations_watch();
        status = launch(proof);
        count = allocations_counted();
        if (status != QB_OK) {
            return failed(proof, status);
        }
        fewest = count < fewest ? count : fewest;
    }
    if (fewest > 0) {
        message_error("kernel %s: it allocates memory in every run, %" PRIu64 " times; what it needs is its workspace",
                      proof->name, fewest);
        return EXIT_WRONG_RESULT;
    }
    return EXIT_OK;
}

static enum exit_code no_graph(const struct proof *proof)
{
    message_error("kernel %s: it cannot be captured into a graph, as it allocates, frees or waits: %s", proof->name,
                  qb_error_detail());
    return EXIT_WRONG_RESULT;
}

/* Capture a run, launch it, and see whether that did the work. */
static enum exit_code check_graph(struct proof *proof)
{
    struct qb_graph *graph;
    enum qb_status status, end_status;
    enum exit_code code;

    status = qb_graph_begin(proof->queue);
    if (status == QB_ERROR_UNSUPPORTED) {
        return EXIT_OK;
    }
    if (status != QB_OK) {
        return failed(proof, status);
    }
    status = launch(proof);
    if (status != QB_OK) {
        code = no_graph(proof);
        if (qb_graph_end(proof->queue, &graph) == QB_OK) {
            qb_graph_destroy(graph);
        }
        return code;
    }
    end_status = qb_graph_end(proof->queue, &graph);
    if (end_status != QB_OK) {
        return no_graph(proof);
    }
    /* What does not go to the stream was done while that was captured: it is undone here. */
    status = write_all(proof, POISON_2, PADDING_ZERO);
    if (status == QB_OK) {
        status = qb_graph_launch(graph, proof->queue);
    }
    code = status == QB_OK ? wait_for(proof) : failed(proof, status);
    qb_graph_destroy(graph);
    code = code == EXIT_OK ? read_all(proof) : code;
    if (code == EXIT_OK && !same_as_kept(proof)) {
        message_error("kernel %s: it does its work outside the stream that it is given: a graph of that stream gives "
                      "other results",
                      proof->name);
        return EXIT_WRONG_RESULT;
    }
    return code;
}

/* Look at the threads that the kernel may have used; what it did to the calling one is the library's to see. */
static enum exit_code check_threads(struct proof *proof)
{
    const char *changed = oracle_set_environment_of(proof->threads > 0 ? proof->threads : 1);

    return changed == NULL ? EXIT_OK : changes_environment(proof, changed);
}

/* ---- The proof -------------------------------------------------------------------------------------------------- */

static enum exit_code prove_problem(struct proof *proof)
{
    enum exit_code code = make_memory(proof);

    code = code == EXIT_OK ? check_outputs(proof) : code;
    code = code == EXIT_OK ? check_threads(proof) : code;
    code = code == EXIT_OK ? check_reads(proof) : code;
    code = code == EXIT_OK ? check_allocations(proof) : code;
    code = code == EXIT_OK ? wait_for(proof) : code;
    code = code == EXIT_OK ? check_graph(proof) : code;
    free_memory(proof);
    return code;
}

/* As many rows of PROBLEM as have ELEMENTS elements, in whole tiles and at least one. Scales of whole columns are as
 * many for fewer rows. */
static uint64_t fewer_tokens(const struct qb_problem *problem, uint64_t elements)
{
    uint64_t rows = elements / problem->hidden,
             tile = problem->granularity == QB_GRANULARITY_BLOCK ? problem->block_rows : 1;

    rows = rows / tile * tile;
    rows = rows > 0 ? rows : tile;
    return rows < problem->tokens ? rows : problem->tokens;
}

enum exit_code prove_kernel(const struct plan_case *plan_case, struct qb_queue *queue, const void *input,
                            const float *scales, void (*alive)(double seconds))
{
    static const uint64_t alignments[] = {1, 16, 128};
    struct qb_problem problem = plan_case->problem;
    struct proof dense = {
        .name = qb_kernel_name(plan_case->kernel),
        .kernel = plan_case->kernel,
        .device = plan_case->device->handle,
        .queue = queue,
        .threads = plan_case->threads,
        .data = input,
        .given_scales = scales,
        .alive = alive,
    };
    struct proof strided = dense;
    enum exit_code code;

    problem.input_stride = problem.output_stride = problem.hidden;
    dense.problem = problem;
    dense.problem.tokens = fewer_tokens(&problem, MOST_BYTES / input_element_size(problem.input));
    if (!qb_kernel_supports(dense.kernel, dense.device, &dense.problem)) {
        dense.problem.tokens = problem.tokens;
    }
    code = prove_problem(&dense);
    if (code != EXIT_OK) {
        return code;
    }
    /* Gaps that leave rows aligned, if the kernel needs that. */
    strided.problem = problem;
    strided.problem.tokens = fewer_tokens(&problem, MOST_STRIDED_ELEMENTS);
    for (size_t i = 0; i < sizeof alignments / sizeof alignments[0]; i++) {
        uint64_t stride = (problem.hidden / alignments[i] + 3) * alignments[i];

        strided.problem.input_stride = stride;
        strided.problem.output_stride = stride + 2 * alignments[i];
        if (qb_kernel_supports(strided.kernel, strided.device, &strided.problem)) {
            return prove_problem(&strided);
        }
    }
    return EXIT_OK;
}
