/* SPDX-License-Identifier: Apache-2.0 */
/* prove.c - runs a kernel between guard zones, on poisoned memory, again and again, and looks at what has changed. */
#include <config.h>

#include "cases/input.h"
#include "check/allocations.h"
#include "check/cache.h"
#include "check/experts.h"
#include "check/oracle.h"
#include "check/prove.h"
#include "model/operation.h"
#include "model/part.h"
#include "model/sizes.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Bytes before a tensor and after it; a multiple of the alignment that a tensor has. */
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
    struct qb_tensor_info tensor;
    uint64_t row, stride; /* bytes of a row, and from one to the next */
    const void *given;    /* host: the rows of a tensor that is read, dense; NULL: it is written */
    void *memory;
    uint64_t size;  /* of the following, each with the guard zones */
    uint8_t *image; /* host: what was written to it last */
    uint8_t *after; /* host: what was read from it last */
    uint8_t *kept;  /* another of these, which the last is compared with */
};

struct proof {
    const char *name; /* the kernel's */
    const struct qb_kernel *kernel;
    struct qb_problem problem;
    struct qb_device *device;
    struct qb_queue *queue;
    unsigned threads;                     /* of the queue; 0: not the CPU's */
    const void *const *given;             /* by role, as struct region has them */
    struct region regions[QB_ROLE_COUNT]; /* one that the problem lacks has no memory */
    void (*alive)(double seconds);
};

/* ---- Memory ----------------------------------------------------------------------------------------------------- */

/* The bytes of COUNT elements in a row of TENSOR. */
static uint64_t bytes_of(const struct qb_tensor_info *tensor, uint64_t count)
{
    return count / 8 * tensor->bits + (count % 8 * tensor->bits + 7) / 8;
}

static enum exit_code make_region(struct proof *proof, enum qb_role role)
{
    struct region *r = &proof->regions[role];
    enum qb_status status;

    *r = (struct region){.tensor = {.size = sizeof r->tensor}};
    status = qb_problem_tensor(&proof->problem, role, &r->tensor);
    if (status != QB_OK || !r->tensor.present) {
        return EXIT_OK;
    }
    r->row = bytes_of(&r->tensor, r->tensor.cols);
    r->stride = bytes_of(&r->tensor, r->tensor.stride);
    r->given = r->tensor.written ? NULL : proof->given[role];
    r->size = GUARD + (r->tensor.bytes + 255) / 256 * 256 + GUARD;
    r->image = malloc(r->size);
    r->after = malloc(r->size);
    r->kept = malloc(r->size);
    if (r->image == NULL || r->after == NULL || r->kept == NULL) {
        return message_out_of_memory("the proof of a kernel", 3 * r->size);
    }
    status = qb_memory_alloc(proof->device, r->size, &r->memory);
    return status == QB_OK ? EXIT_OK : message_status("the proof of a kernel", status);
}

static enum exit_code make_memory(struct proof *proof)
{
    enum exit_code code = EXIT_OK;

    for (int role = 0; role < QB_ROLE_COUNT && code == EXIT_OK; role++) {
        code = make_region(proof, (enum qb_role)role);
    }
    return code;
}

static void free_memory(struct proof *proof)
{
    for (int role = 0; role < QB_ROLE_COUNT; role++) {
        struct region *r = &proof->regions[role];

        qb_memory_free(proof->device, r->memory);
        free(r->image);
        free(r->after);
        free(r->kept);
    }
}

/* ---- One run ---------------------------------------------------------------------------------------------------- */

/* Fill the image of what is quantized with PADDING, which shows if a kernel reads around it. */
static void fill_padding(struct region *r, enum padding padding)
{
    static const float values[] = {[PADDING_ZERO] = 0, [PADDING_INFINITY] = INFINITY, [PADDING_NAN] = NAN};
    const uint64_t element = qb_format_info(r->tensor.format)->bits / 8;
    const uint32_t pattern = qb_format_encode(r->tensor.format, values[padding]);

    for (uint64_t i = 0; i < r->size; i += element) {
        memcpy(r->image + i, &pattern, element); /* the lower half first: these hosts are little-endian */
    }
}

/* Fill the image of the tensor of ROLE: its rows with what was given or with POISON, and what is around and between
 * them with guards, or around an input with PADDING. */
static void fill_image(struct region *r, enum qb_role role, uint8_t poison, enum padding padding)
{
    if (role == QB_ROLE_INPUT) {
        fill_padding(r, padding);
    } else {
        memset(r->image, GUARD_BYTE, r->size);
    }
    for (uint64_t row = 0; row < r->tensor.rows; row++) {
        uint8_t *to = r->image + GUARD + row * r->stride;

        if (r->given != NULL) {
            memcpy(to, (const uint8_t *)r->given + row * r->row, r->row);
        } else {
            memset(to, poison, r->row);
        }
    }
}

static enum qb_status write_all(struct proof *proof, uint8_t poison, enum padding padding)
{
    enum qb_status status = QB_OK;

    for (int role = 0; role < QB_ROLE_COUNT && status == QB_OK; role++) {
        struct region *r = &proof->regions[role];

        if (r->tensor.present) {
            fill_image(r, (enum qb_role)role, poison, padding);
            status = qb_memory_write(proof->device, r->memory, r->image, r->size);
        }
    }
    return status;
}

static enum qb_status launch(struct proof *proof)
{
    struct qb_tensors tensors = {.size = sizeof tensors};

    for (int role = 0; role < QB_ROLE_COUNT; role++) {
        const struct region *r = &proof->regions[role];

        tensors.at[role] = r->tensor.bytes > 0 ? (char *)r->memory + GUARD : NULL;
    }
    if (proof->alive != NULL) {
        proof->alive(0);
    }
    return qb_kernel_run(proof->kernel, proof->queue, &proof->problem, &tensors);
}

static enum exit_code changes_environment(const struct proof *proof, const char *what)
{
    message_error("kernel %s: leaves the floating-point environment changed: %s", proof->name, what);
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
        message_error("kernel %s: left the device with an error: %s", proof->name, qb_error_detail());
        return EXIT_CANNOT_RUN;
    }
    return EXIT_OK;
}

/* Read what became of all tensors. */
static enum exit_code read_all(struct proof *proof)
{
    enum qb_status status = QB_OK;

    for (int role = 0; role < QB_ROLE_COUNT && status == QB_OK; role++) {
        struct region *r = &proof->regions[role];

        if (r->tensor.present) {
            status = qb_memory_read(proof->device, r->after, r->memory, r->size);
        }
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

/* Check what is around the tensor of ROLE, and between its rows. */
static enum exit_code check_guards(const struct proof *proof, enum qb_role role)
{
    const struct region *r = &proof->regions[role];
    const uint64_t bytes = r->tensor.bytes;
    struct stray stray = {.count = 0};
    char where[96];

    look(r->after, 0, GUARD, &stray);
    for (uint64_t row = 0; row + 1 < r->tensor.rows; row++) {
        look(r->after, GUARD + row * r->stride + r->row, GUARD + (row + 1) * r->stride, &stray);
    }
    look(r->after, GUARD + bytes, r->size, &stray);
    if (stray.count == 0) {
        return EXIT_OK;
    }
    if (stray.first < GUARD) {
        snprintf(where, sizeof where, "%" PRIu64 " bytes before their beginning", GUARD - stray.first);
    } else if (stray.first < GUARD + bytes) {
        const uint64_t offset = stray.first - GUARD;

        snprintf(where, sizeof where, "%" PRIu64 " bytes after row %" PRIu64, offset % r->stride - r->row,
                 offset / r->stride);
    } else {
        snprintf(where, sizeof where, "%" PRIu64 " bytes after their end", stray.first - GUARD - bytes);
    }
    message_error("kernel %s: writes outside its buffers: %" PRIu64 " bytes around the %s, the first of them %s",
                  proof->name, stray.count, qb_role_name(role), where);
    return EXIT_WRONG_RESULT;
}

/* Check that the tensor of ROLE, which is read, is as it was. */
static enum exit_code check_read(const struct proof *proof, enum qb_role role)
{
    const struct region *r = &proof->regions[role];
    uint64_t i = 0;

    if (memcmp(r->after, r->image, r->size) == 0) {
        return EXIT_OK;
    }
    while (r->after[i] == r->image[i]) {
        i++;
    }
    message_error("kernel %s: changes its %s: the first changed byte is byte %" PRId64, proof->name, qb_role_name(role),
                  (int64_t)i - (int64_t)GUARD);
    return EXIT_WRONG_RESULT;
}

/* Check that what belongs to no token in the tensor of ROLE, a cache, still is the POISON of this run; then make it the
 * same for all runs. */
static enum exit_code check_cache(const struct proof *proof, enum qb_role role, uint8_t poison)
{
    const struct region *r = &proof->regions[role];
    const int64_t *slots = proof->given[QB_ROLE_SLOTS];
    uint8_t *cache = r->after + GUARD, *rows = malloc(r->tensor.bytes + 1);
    uint64_t count = 0, first = 0;
    char where[CACHE_TEXT_SIZE];

    if (rows == NULL) {
        return message_out_of_memory("the proof of a kernel", r->tensor.bytes);
    }
    cache_take(&proof->problem, slots, role, cache, poison, rows);
    for (uint64_t i = 0; i < r->tensor.bytes; i++) {
        first = cache[i] != poison && count++ == 0 ? i : first;
        cache[i] = GUARD_BYTE;
    }
    cache_put(&proof->problem, slots, role, rows, cache);
    free(rows);
    if (count == 0) {
        return EXIT_OK;
    }
    message_error("kernel %s: writes to slots that no token has: %" PRIu64 " bytes, the first of them in %s",
                  proof->name, count, cache_text(&proof->problem, role, first, where));
    return EXIT_WRONG_RESULT;
}

/* True if the tensor of ROLE has rows of tokens, some of which PROOF's slots may leave out. */
static bool has_skipped(const struct proof *proof, enum qb_role role)
{
    return operation_has_cache(proof->problem.operation) && role == QB_ROLE_VALUES &&
           proof->regions[role].tensor.written;
}

/* The same of the rows of these. */
static enum exit_code check_skipped(const struct proof *proof, enum qb_role role, uint8_t poison)
{
    const struct region *r = &proof->regions[role];
    const int64_t *slots = proof->given[QB_ROLE_SLOTS];
    uint64_t count = 0, first = 0;

    for (uint64_t row = 0; row < r->tensor.rows; row++) {
        uint8_t *got = r->after + GUARD + row * r->stride;

        for (uint64_t i = 0; slots[row] < 0 && i < r->row; i++) {
            first = got[i] != poison && count++ == 0 ? row : first;
            got[i] = GUARD_BYTE;
        }
    }
    if (count == 0) {
        return EXIT_OK;
    }
    message_error("kernel %s: writes to rows of tokens that have no slot: %" PRIu64 " bytes of the %s, the first of "
                  "them in row %" PRIu64,
                  proof->name, count, qb_role_name(role), first);
    return EXIT_WRONG_RESULT;
}

/* True if a launch of PROOF's problem leaves a part of the tensor of ROLE as it was. */
static bool has_gaps(const struct proof *proof, enum qb_role role)
{
    return proof->problem.experts > 0 && proof->regions[role].tensor.written;
}

/* The same of what belongs to no expert in the tensor of ROLE. */
static enum exit_code check_gaps(const struct proof *proof, enum qb_role role, uint8_t poison)
{
    const struct region *r = &proof->regions[role];
    uint8_t *got = r->after + GUARD, *mask = calloc(r->tensor.bytes + 1, 1);
    uint64_t count = 0, first = 0;

    if (mask == NULL || !experts_mark(&proof->problem, proof->given[QB_ROLE_EXPERTS], role, mask)) {
        free(mask);
        return message_out_of_memory("the proof of a kernel", r->tensor.bytes);
    }
    for (uint64_t i = 0; i < r->tensor.bytes; i++) {
        /* Gaps between rows hold guards. */
        const bool is_gap = r->image[GUARD + i] == GUARD_BYTE && poison != GUARD_BYTE;

        if (mask[i] == 0 && !is_gap) {
            first = got[i] != poison && count++ == 0 ? i : first;
            got[i] = GUARD_BYTE;
        }
    }
    free(mask);
    if (count == 0) {
        return EXIT_OK;
    }
    message_error("kernel %s: writes to rows that no expert has: %" PRIu64 " bytes of the %s, the first of them byte "
                  "%" PRIu64,
                  proof->name, count, qb_role_name(role), first);
    return EXIT_WRONG_RESULT;
}

/* Everything that must be so after each run with POISON. */
static enum exit_code check_unchanged(const struct proof *proof, uint8_t poison)
{
    enum exit_code code = EXIT_OK;

    for (int role = 0; role < QB_ROLE_COUNT && code == EXIT_OK; role++) {
        const struct region *r = &proof->regions[role];

        if (r->tensor.present && role != QB_ROLE_INPUT) {
            code = check_guards(proof, (enum qb_role)role);
        }
        if (r->tensor.present && !r->tensor.written && code == EXIT_OK) {
            code = check_read(proof, (enum qb_role)role);
        }
        if (r->tensor.written && cache_has(&proof->problem, (enum qb_role)role) && code == EXIT_OK) {
            code = check_cache(proof, (enum qb_role)role, poison);
        }
        if (has_skipped(proof, (enum qb_role)role) && code == EXIT_OK) {
            code = check_skipped(proof, (enum qb_role)role, poison);
        }
        if (has_gaps(proof, (enum qb_role)role) && code == EXIT_OK) {
            code = check_gaps(proof, (enum qb_role)role, poison);
        }
    }
    return code;
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
    return code == EXIT_OK ? check_unchanged(proof, poison) : code;
}

/* ---- What must be the same -------------------------------------------------------------------------------------- */

static void keep(struct proof *proof)
{
    for (int role = 0; role < QB_ROLE_COUNT; role++) {
        struct region *r = &proof->regions[role];

        if (r->tensor.written) {
            memcpy(r->kept, r->after, r->size);
        }
    }
}

static bool same_as_kept(const struct proof *proof)
{
    for (int role = 0; role < QB_ROLE_COUNT; role++) {
        const struct region *r = &proof->regions[role];

        if (r->tensor.written && memcmp(r->kept, r->after, r->size) != 0) {
            return false;
        }
    }
    return true;
}

/* Count the bytes of an output that still have the poison of the first run in what was kept, and that of the second in
 * what was read last. */
static uint64_t count_unwritten(const struct region *r)
{
    uint64_t count = 0;

    for (uint64_t i = GUARD; i < GUARD + r->tensor.bytes && r->tensor.written; i++) {
        count += r->kept[i] == POISON_1 && r->after[i] == POISON_2;
    }
    return count;
}

static enum exit_code check_written(const struct proof *proof)
{
    char where[160] = "";

    for (int role = 0; role < QB_ROLE_COUNT; role++) {
        const uint64_t count = count_unwritten(&proof->regions[role]);
        const size_t length = strlen(where);

        if (count > 0) {
            snprintf(where + length, sizeof where - length, "%s%" PRIu64 " bytes of the %s", length > 0 ? ", " : "",
                     count, qb_role_name((enum qb_role)role));
        }
    }
    if (where[0] == '\0') {
        return EXIT_OK;
    }
    message_error("kernel %s: leaves outputs unwritten: %s", proof->name, where);
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
            message_error("kernel %s: gives different results from run to run", proof->name);
            return EXIT_WRONG_RESULT;
        }
    }
    if (depends_on_outputs) {
        message_error("kernel %s: its results depend on what was in its outputs before", proof->name);
        return EXIT_WRONG_RESULT;
    }
    return EXIT_OK;
}

/* The columns of the input; of what is written where codes are dequantized. */
static uint64_t input_cols(const struct qb_problem *problem)
{
    struct qb_tensor_info input = {.size = sizeof input};

    return qb_problem_tensor(problem, QB_ROLE_INPUT, &input) == QB_OK && input.present ? input.cols : problem->hidden;
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
            message_error("kernel %s: reads outside its input: its results depend on what is %s", proof->name,
                          proof->problem.input_stride > input_cols(&proof->problem) ? "around it or between its rows"
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
        message_error("kernel %s: allocates memory in every run, %" PRIu64 " times; use the workspace instead",
                      proof->name, fewest);
        return EXIT_WRONG_RESULT;
    }
    return EXIT_OK;
}

static enum exit_code no_graph(const struct proof *proof)
{
    message_error("kernel %s: cannot be captured into a graph, as it allocates, frees or waits: %s", proof->name,
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
    code = code == EXIT_OK ? check_unchanged(proof, POISON_2) : code;
    if (code == EXIT_OK && !same_as_kept(proof)) {
        message_error("kernel %s: does its work outside the stream that it is given: a graph of that stream gives "
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

    if (problem->experts > 0) {
        return problem->tokens; /* the table of experts is for these */
    }
    rows = rows / tile * tile;
    rows = rows > 0 ? rows : tile;
    return rows < problem->tokens ? rows : problem->tokens;
}

/* Let given scales lie where they are for fewer tokens too. */
static void keep_scale_stride(struct qb_problem *problem)
{
    struct qb_tensor_info scales = {.size = sizeof scales};
    const uint64_t words = problem->scale_layout == QB_SCALE_LAYOUT_PACKED ? 4 : 1;

    if (sizes_is_given(problem, QB_ROLE_SCALES) &&
        (problem->scale_layout == QB_SCALE_LAYOUT_COLUMNS || problem->scale_layout == QB_SCALE_LAYOUT_PACKED) &&
        qb_problem_tensor(problem, QB_ROLE_SCALES, &scales) == QB_OK) {
        problem->scale_stride = scales.cols / words;
    }
}

/* The smallest stride of codes, STRIDE or more, with which rows begin at bytes; 0 if there are no gaps between them. */
static uint64_t whole_bytes(const struct qb_problem *problem, uint64_t stride)
{
    const uint64_t unit = qb_format_info(problem->output)->bits < 8 ? 4 : 1;

    if (operation_has_cache(problem->operation)) {
        return 0;
    }
    return (stride + unit - 1) / unit * unit;
}

/* The columns of the codes. */
static uint64_t code_cols(const struct qb_problem *problem)
{
    return part_is_transposed(problem) ? problem->tokens : problem->hidden;
}

/* Prove the kernel of PLAN_CASE on GIVEN, with dense rows and with gaps between them. */
static enum exit_code prove_strides(const struct plan_case *plan_case, struct qb_queue *queue,
                                    const void *const given[QB_ROLE_COUNT], void (*alive)(double seconds))
{
    static const uint64_t alignments[] = {1, 16, 128};
    struct qb_problem problem = plan_case->problem;
    struct proof dense = {
        .name = qb_kernel_name(plan_case->kernel),
        .kernel = plan_case->kernel,
        .device = plan_case->device->handle,
        .queue = queue,
        .threads = plan_case->threads,
        .given = given,
        .alive = alive,
    };
    struct proof strided = dense;
    enum exit_code code;

    problem.input_stride = problem.output_stride = 0;
    keep_scale_stride(&problem);
    dense.problem = problem;
    dense.problem.tokens = fewer_tokens(&problem, MOST_BYTES * 8 / qb_format_info(problem.input)->bits);
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
        const uint64_t stride = (problem.hidden / alignments[i] + 3) * alignments[i];
        const uint64_t codes = (code_cols(&problem) / alignments[i] + 3) * alignments[i];

        strided.problem.input_stride = input_cols(&problem) - problem.hidden + stride;
        strided.problem.output_stride = whole_bytes(&problem, codes + 2 * alignments[i]);
        if (qb_kernel_supports(strided.kernel, strided.device, &strided.problem)) {
            return prove_problem(&strided);
        }
    }
    return EXIT_OK;
}

/* Prove the kernel of PLAN_CASE, which has experts, some of them without rows, on fewer rows. */
static enum exit_code prove_experts(const struct plan_case *plan_case, struct qb_queue *queue,
                                    const void *const given[QB_ROLE_COUNT], void (*alive)(double seconds))
{
    const struct qb_problem *p = &plan_case->problem;
    const uint64_t rows = 4 * MOST_STRIDED_ELEMENTS / p->hidden,
                   unit = p->expert_rows == QB_EXPERT_ROWS_MASKED ? p->experts : 1;
    struct plan_case fewer = *plan_case;
    const void *with_table[QB_ROLE_COUNT];
    int64_t *table = malloc((p->experts + 1) * sizeof *table);
    enum exit_code code;

    if (table == NULL) {
        return message_out_of_memory("the proof of a kernel", (p->experts + 1) * sizeof *table);
    }
    if (rows < p->tokens) {
        fewer.problem.tokens = rows > unit ? rows / unit * unit : unit;
    }
    if (!qb_kernel_supports(fewer.kernel, fewer.device->handle, &fewer.problem)) {
        fewer.problem.tokens = p->tokens;
    }
    fewer.problem.expert_tokens = (fewer.problem.tokens + 1) / 2;
    input_generate_experts(fewer.problem.tokens, &fewer.problem, EXPERT_LOAD_UNEVEN, table);
    memcpy(with_table, given, sizeof with_table);
    with_table[QB_ROLE_EXPERTS] = table;
    code = prove_strides(&fewer, queue, with_table, alive);
    free(table);
    return code;
}

enum exit_code prove_kernel(const struct plan_case *plan_case, struct qb_queue *queue,
                            const void *const given[QB_ROLE_COUNT], void (*alive)(double seconds))
{
    const uint64_t tokens = plan_case->problem.tokens;
    const void *with_slots[QB_ROLE_COUNT];
    int64_t *slots;
    enum exit_code code;

    if (plan_case->problem.experts > 0) {
        return prove_experts(plan_case, queue, given, alive);
    }
    if (given[QB_ROLE_SLOTS] == NULL) {
        return prove_strides(plan_case, queue, given, alive);
    }
    slots = malloc(tokens * sizeof *slots);
    if (slots == NULL) {
        return message_out_of_memory("the proof of a kernel", tokens * sizeof *slots);
    }
    memcpy(slots, given[QB_ROLE_SLOTS], tokens * sizeof *slots);
    for (uint64_t i = 1; i < tokens; i += 3) {
        slots[i] = -1; /* leave these tokens out */
    }
    memcpy(with_slots, given, sizeof with_slots);
    with_slots[QB_ROLE_SLOTS] = slots;
    code = prove_strides(plan_case, queue, with_slots, alive);
    free(slots);
    return code;
}
