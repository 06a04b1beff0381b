/* SPDX-License-Identifier: Apache-2.0 */
/* tensors.h - the tensors of a problem between guards, data to fill them, and every kernel of a backend against the
 * reference, byte for byte; for the test programs that are built once for each backend. */
#ifndef TENSORS_H
#define TENSORS_H

#include "device.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Bytes around every tensor that no kernel may touch, and what they hold. */
#define GUARD  64
#define POISON 0xA5

#define COUNT(array) ((int)(sizeof(array) / sizeof(array)[0]))

/* ---- Tensors ----------------------------------------------------------------------------------------------------- */

/* The tensors of one problem, by role, on the host and on the device, each between guards. */
struct tensors {
    struct qb_problem problem;
    struct qb_tensor_info info[QB_ROLE_COUNT];
    size_t offset[QB_ROLE_COUNT]; /* in bytes, to misalign the bases */
    char *want[QB_ROLE_COUNT], *got[QB_ROLE_COUNT];
    void *device[QB_ROLE_COUNT];
    bool in_place; /* the sum is written over the residual */
};

static inline size_t size_of(const struct tensors *t, int role)
{
    return t->info[role].bytes + t->offset[role] + 2 * GUARD;
}

/* Allocate for PROBLEM, with the bases OFFSET elements after an aligned address. */
static inline void make_tensors(struct tensors *t, const struct qb_problem *problem, size_t offset)
{
    *t = (struct tensors){.problem = *problem};
    for (int role = 0; role < QB_ROLE_COUNT; role++) {
        t->info[role].size = sizeof t->info[role];
        check(qb_problem_tensor(problem, (enum qb_role)role, &t->info[role]));
        if (t->info[role].present) {
            t->offset[role] = offset * t->info[role].alignment;
            t->want[role] = malloc(size_of(t, role));
            t->got[role] = malloc(size_of(t, role));
            ck_assert(t->want[role] != NULL && t->got[role] != NULL);
            check(qb_memory_alloc(device, size_of(t, role), &t->device[role]));
            memset(t->want[role], POISON, size_of(t, role));
        }
    }
}

static inline void free_tensors(struct tensors *t)
{
    for (int role = 0; role < QB_ROLE_COUNT; role++) {
        free(t->want[role]);
        free(t->got[role]);
        qb_memory_free(device, t->device[role]);
    }
}

/* The first byte of a tensor on the host. */
static inline char *data_of(const struct tensors *t, int role)
{
    return t->want[role] + GUARD + t->offset[role];
}

static inline struct qb_tensors addresses(const struct tensors *t, bool on_device)
{
    struct qb_tensors at = {.size = sizeof at};

    for (int role = 0; role < QB_ROLE_COUNT; role++) {
        if (t->info[role].present) {
            at.at[role] = on_device ? (char *)t->device[role] + GUARD + t->offset[role] : data_of(t, role);
        }
    }
    if (t->in_place) {
        at.at[QB_ROLE_RESIDUAL] = at.at[QB_ROLE_SUM];
    }
    return at;
}

static inline const char *problem_text(const struct tensors *t)
{
    static char text[1024];
    const struct qb_problem *p = &t->problem;

    snprintf(text, sizeof text,
             "%s, %s -> %s, packing %s, heads of %" PRIu64 ", %" PRIu64 " pages of %" PRIu64
             " %s, scales %s %s, rounded %s, layout %s (stride %" PRIu64 "), tensor scale %s, "
             "zero points %s, %s (group %" PRIu64 ", block %" PRIu64 "x%" PRIu64 "), %" PRIu64 "x%" PRIu64
             ", strides %" PRIu64 ", %" PRIu64 ", offset %zu, bound %g, intermediate %s, values %" PRIu32
             ", gelu %s, gate %s, limit %g, alpha %g, up + %g, weights %s, epsilon %g, %s pairs, %" PRIu64
             " rotated, %" PRIu64 " positions%s, %" PRIu64 " experts %s, QUANTBENCH_TEST_SEED=%" PRIu64,
             qb_operation_name(p->operation), qb_format_info(p->input)->name, qb_format_info(p->output)->name,
             qb_packing_name(p->packing), p->head_size, p->pages, p->page_size, qb_page_layout_name(p->page_layout),
             qb_format_info(p->scale_format)->name, qb_scaling_name(p->scaling),
             qb_scale_rounding_name(p->scale_rounding), qb_scale_layout_name(p->scale_layout), p->scale_stride,
             qb_tensor_scale_name(p->tensor_scale), qb_zero_points_name(p->zero_points),
             qb_granularity_name(p->granularity), p->group, p->block_rows, p->block_cols, p->tokens, p->hidden,
             p->input_stride, p->output_stride, t->offset[QB_ROLE_SCALES], (double)p->amax_bound,
             qb_intermediate_name(p->intermediate), p->keep_values, qb_gelu_name(p->gelu), qb_gate_name(p->gate),
             (double)p->gate_limit, (double)p->alpha, (double)p->up_offset, qb_weights_name(p->weights),
             (double)p->epsilon, qb_pairing_name(p->pairing), p->rotary, p->positions, t->in_place ? ", in place" : "",
             p->experts, qb_expert_rows_name(p->expert_rows), test_seed());
    return text;
}

/* Put on the device what is read, and poison what is written. */
static inline void upload(const struct tensors *t)
{
    for (int role = 0; role < QB_ROLE_COUNT; role++) {
        if (t->in_place && role == QB_ROLE_SUM) {
            check(qb_memory_write(device, t->device[role], t->want[QB_ROLE_RESIDUAL], size_of(t, role)));
        } else if (t->info[role].written) {
            check(qb_memory_fill(device, t->device[role], POISON, size_of(t, role)));
        } else if (t->info[role].present) {
            check(qb_memory_write(device, t->device[role], t->want[role], size_of(t, role)));
        }
    }
}

/* Compare all tensors, with guards, gaps and padding. What others follow from comes first. */
static inline void compare(const struct tensors *t, const struct qb_kernel *kernel)
{
    static const int order[] = {
        QB_ROLE_INPUT,        QB_ROLE_WEIGHTS,   QB_ROLE_RESIDUAL,          QB_ROLE_SUM,        QB_ROLE_VALUES,
        QB_ROLE_TENSOR_SCALE, QB_ROLE_SCALES,    QB_ROLE_ZERO_POINTS,       QB_ROLE_CODES,      QB_ROLE_SLOTS,
        QB_ROLE_ANGLES,       QB_ROLE_POSITIONS, QB_ROLE_TRANSPOSED_SCALES, QB_ROLE_TRANSPOSED, QB_ROLE_EXPERTS};

    ck_assert_int_eq(COUNT(order), QB_ROLE_COUNT);
    for (int i = 0; i < COUNT(order); i++) {
        const int role = order[i];

        if (!t->info[role].present) {
            continue;
        }
        check(qb_memory_read(device, t->got[role], t->device[role], size_of(t, role)));
        if (memcmp(t->got[role], t->want[role], size_of(t, role)) == 0) {
            continue;
        }
        for (size_t byte = 0; byte < size_of(t, role); byte++) {
            ck_assert_msg(t->got[role][byte] == t->want[role][byte],
                          "%s, %s: byte %td of the %s: got 0x%02X, want 0x%02X", qb_kernel_name(kernel),
                          problem_text(t), (ptrdiff_t)byte - (ptrdiff_t)(GUARD + t->offset[role]),
                          qb_role_name((enum qb_role)role), (uint8_t)t->got[role][byte], (uint8_t)t->want[role][byte]);
        }
    }
}

/* Poison what is written, and run the reference. */
static inline void run_reference(struct tensors *t)
{
    const struct qb_tensors buffers = addresses(t, false);

    for (int role = 0; role < QB_ROLE_COUNT; role++) {
        if (t->info[role].written) {
            memset(t->want[role], POISON, size_of(t, role));
        }
    }
    if (t->in_place) {
        memcpy(t->want[QB_ROLE_SUM], t->want[QB_ROLE_RESIDUAL], size_of(t, QB_ROLE_SUM));
    }
    check(qb_reference_run(&t->problem, &buffers));
}

/* Run the reference, and every kernel that supports the problem; return their number. */
static inline int run_kernels(struct tensors *t)
{
    const struct qb_tensors buffers = addresses(t, true);
    int run = 0;

    run_reference(t);
    for (size_t i = 0; i < qb_kernel_count(); i++) {
        const struct qb_kernel *kernel = qb_kernel_at(i);

        if (qb_kernel_supports(kernel, device, &t->problem)) {
            upload(t);
            check(qb_kernel_run(kernel, queue, &t->problem, &buffers));
            check(qb_queue_synchronize(queue));
            compare(t, kernel);
            run++;
        }
    }
    return run;
}

/* The same; at least one does. */
static inline void run_all_kernels(struct tensors *t)
{
    ck_assert_msg(run_kernels(t) > 0, "no kernel supports %s", problem_text(t));
}

/* ---- Data -------------------------------------------------------------------------------------------------------- */

enum kind { NORMAL, BITS, ZEROS, TINY, INFINITE, CONSTANT, TIES, SPECIALS, HUGE_VALUES, POSITIVE, KINDS };

/* One element's bits in FORMAT. */
static inline uint32_t element(enum qb_format format, enum kind kind, uint64_t index, uint64_t random)
{
    double value = ((double)(int32_t)random + (double)(int32_t)(random >> 32)) * 0x1p-31;

    switch (kind) {
    case NORMAL:
        break;
    case BITS:
        return (uint32_t)random;
    case ZEROS:
        value = random & 1 ? -0.0 : 0;
        break;
    case TINY:
        value *= format == QB_FORMAT_F16 ? 0x1p-20 : 0x1p-130;
        break;
    case INFINITE:
        value = index % 97 == 5 ? copysign(INFINITY, value) : value;
        break;
    case CONSTANT:
        value = -3;
        break;
    case TIES: /* few bits, and an amax that is often the same: quotients on ties, for any format */
        value = index % 16 == 0 ? 6 : ldexp((double)((int64_t)(random & 31) - 16), -(int)(random >> 8 & 3));
        break;
    case SPECIALS:
        value = random % 7 == 0 ? NAN : random % 7 == 1 ? 0 : random % 7 == 2 ? value * 1e-7 : value;
        value = random % 211 == 0 ? -INFINITY : value;
        break;
    case HUGE_VALUES: /* sums of squares overflow, of rows or of some of them */
        value *= format == QB_FORMAT_F16 ? 60000 : index % 3 == 0 ? 0x1p120 : 0x1p64;
        break;
    case POSITIVE:
    case KINDS:
        value = 5 + fabs(value);
        break;
    }
    return qb_format_encode(format, (float)value);
}

/* Fill the tensor of ROLE, of a format of 16 or 32 bits, and the gaps between its rows. */
static inline void fill_role(struct tensors *t, int role, enum kind kind, uint64_t *state)
{
    const size_t size = t->info[role].bits / 8;

    for (uint64_t i = 0; i < t->info[role].bytes / size; i++) {
        const uint32_t bits = element(t->info[role].format, kind, i, test_random(state));

        memcpy(data_of(t, role) + i * size, &bits, size);
    }
}

/* Fill the positions, those at the ends among them, and some several times. */
static inline void fill_positions(struct tensors *t, uint64_t *state)
{
    const uint64_t count = t->info[QB_ROLE_ANGLES].rows;
    int64_t *positions = (int64_t *)(void *)data_of(t, QB_ROLE_POSITIONS);

    for (uint64_t i = 0; i < t->problem.tokens; i++) {
        const uint64_t random = test_random(state) >> 8;

        positions[i] = (int64_t)(random % 8 == 0 ? 0 : random % 8 == 1 ? count - 1 : random / 8 % count);
    }
}

/* Fill the scales and zero points that are given. */
static inline void fill_scales(struct tensors *t, uint64_t *state)
{
    const struct qb_problem *p = &t->problem;
    const struct qb_tensor_info *scales = &t->info[QB_ROLE_SCALES];

    for (uint64_t i = 0; scales->read && i < scales->bytes * 8 / scales->bits; i++) {
        const float scale = ldexpf(1 + (float)(test_random(state) % 1024) / 1024, (int)(test_random(state) % 10) - 7);
        const uint32_t code = qb_format_encode(p->scale_format, scale);

        memcpy(data_of(t, QB_ROLE_SCALES) + i * scales->bits / 8, &code, scales->bits / 8);
    }
    for (uint64_t i = 0; t->info[QB_ROLE_ZERO_POINTS].read && i < t->info[QB_ROLE_ZERO_POINTS].bytes; i++) {
        const uint64_t random = test_random(state) >> 8;

        data_of(t, QB_ROLE_ZERO_POINTS)[i] = (char)(p->output == QB_FORMAT_INT8    ? random % 256
                                                    : p->output == QB_FORMAT_UINT4 ? random % 16
                                                                                   : random % 16 - 8);
    }
}

/* Fill the slots: some of all in random order, but for tokens that are left out. Those that are read may be the same.
 */
static inline void fill_slots(struct tensors *t, uint64_t *state)
{
    const uint64_t count = t->problem.pages * t->problem.page_size;
    const bool reads = t->problem.operation == QB_OPERATION_KV_READ;
    int64_t *slots = (int64_t *)(void *)data_of(t, QB_ROLE_SLOTS), *all = malloc(count * sizeof *all);

    ck_assert_ptr_nonnull(all);
    for (uint64_t i = 0; i < count; i++) {
        const uint64_t other = (test_random(state) >> 8) % (i + 1);

        all[i] = all[other];
        all[other] = (int64_t)i;
    }
    for (uint64_t i = 0; i < t->problem.tokens; i++) {
        const uint64_t random = test_random(state) >> 8;

        if (random % 5 == 0 || (i >= count && !reads)) {
            slots[i] = -(int64_t)(random % 3) - 1;
        } else {
            slots[i] = all[i < count && !(reads && random % 7 == 0) ? i : random / 16 % count];
        }
    }
    free(all);
}

/* The number of rows of expert E of the tensors, by their table. */
static inline uint64_t expert_rows_of(const struct tensors *t, uint64_t e)
{
    const int64_t *table = (const int64_t *)(const void *)data_of(t, QB_ROLE_EXPERTS);

    return (uint64_t)(t->problem.expert_rows == QB_EXPERT_ROWS_MASKED ? table[e] : table[e + 1] - table[e]);
}

/* The first row of expert E. */
static inline uint64_t expert_first_of(const struct tensors *t, uint64_t e)
{
    const int64_t *table = (const int64_t *)(const void *)data_of(t, QB_ROLE_EXPERTS);

    return t->problem.expert_rows == QB_EXPERT_ROWS_MASKED ? e * (t->problem.tokens / t->problem.experts)
                                                           : (uint64_t)table[e];
}

/* Fill the table of experts: some have many rows, some none; and some rows belong to no expert. */
static inline void fill_experts(struct tensors *t, uint64_t *state)
{
    const bool masked = t->problem.expert_rows == QB_EXPERT_ROWS_MASKED;
    const uint64_t experts = t->problem.experts, tokens = t->problem.tokens, room = masked ? tokens / experts : tokens;
    const uint64_t way = (test_random(state) >> 8) % 4;
    int64_t *table = (int64_t *)(void *)data_of(t, QB_ROLE_EXPERTS);
    uint64_t next = way == 0 && tokens > 2 ? 1 : 0;

    for (uint64_t e = 0; e < experts; e++) {
        const uint64_t random = test_random(state) >> 8, left = tokens - next;
        const uint64_t usual = masked ? room : 2 * tokens / experts + 1;
        uint64_t rows = way == 1 ? room : random % 3 == 0 ? 0 : random / 3 % (usual + 1);

        rows = way == 2 && e != experts / 2 ? 0 : rows;
        rows = !masked && rows > left ? left : rows;
        table[e] = (int64_t)(masked ? rows : next);
        next += rows;
    }
    if (!masked) {
        table[experts] = (int64_t)next;
    }
}

/* Fill what is read: the input, weights, the residual and angles with KIND. */
static inline void fill(struct tensors *t, enum kind kind, uint64_t *state)
{
    const float given = ldexpf(1 + (float)(test_random(state) % 1024) / 1024, (int)(test_random(state) % 12) - 9);

    for (int role = 0; role < QB_ROLE_COUNT; role++) {
        if (role == QB_ROLE_CODES && t->info[role].read) {
            for (uint64_t i = 0; i < t->info[role].bytes; i++) {
                data_of(t, role)[i] = (char)(test_random(state) >> 8);
            }
        } else if (role == QB_ROLE_POSITIONS && t->info[role].present) {
            fill_positions(t, state);
        } else if (role == QB_ROLE_INPUT || role == QB_ROLE_WEIGHTS || role == QB_ROLE_RESIDUAL ||
                   role == QB_ROLE_ANGLES) {
            if (t->info[role].read) {
                fill_role(t, role, kind, state);
            }
        }
    }
    fill_scales(t, state);
    if (t->info[QB_ROLE_SLOTS].present) {
        fill_slots(t, state);
    }
    if (t->info[QB_ROLE_EXPERTS].present) {
        fill_experts(t, state);
    }
    for (uint64_t i = 0; t->info[QB_ROLE_TENSOR_SCALE].read && i < t->info[QB_ROLE_TENSOR_SCALE].rows; i++) {
        const float own = given * (float)(1 + i % 5);

        memcpy(data_of(t, QB_ROLE_TENSOR_SCALE) + i * sizeof own, &own, sizeof own);
    }
}

/* ---- Problems -----------------------------------------------------------------------------------------------------
 */

static const enum qb_format inputs[] = {QB_FORMAT_F16, QB_FORMAT_BF16, QB_FORMAT_F32};
static const enum qb_format outputs[] = {QB_FORMAT_INT8, QB_FORMAT_E4M3, QB_FORMAT_E5M2, QB_FORMAT_E2M1,
                                         QB_FORMAT_E2M3, QB_FORMAT_E3M2, QB_FORMAT_INT4, QB_FORMAT_UINT4};
static const enum qb_format scale_formats[] = {QB_FORMAT_F32, QB_FORMAT_F16, QB_FORMAT_E8M0, QB_FORMAT_E4M3};
static const struct granularity {
    enum qb_granularity kind;
    uint64_t group, block_rows, block_cols;
} granularities[] = {
    {QB_GRANULARITY_GROUP, 16, 0, 0}, {QB_GRANULARITY_GROUP, 32, 0, 0},   {QB_GRANULARITY_GROUP, 128, 0, 0},
    {QB_GRANULARITY_GROUP, 1, 0, 0},  {QB_GRANULARITY_GROUP, 15, 0, 0},   {QB_GRANULARITY_GROUP, 100, 0, 0},
    {QB_GRANULARITY_TENSOR, 0, 0, 0}, {QB_GRANULARITY_TOKEN, 0, 0, 0},    {QB_GRANULARITY_CHANNEL, 0, 0, 0},
    {QB_GRANULARITY_BLOCK, 0, 3, 5},  {QB_GRANULARITY_BLOCK, 0, 128, 128}};

static inline void set_granularity(struct qb_problem *p, const struct granularity *g)
{
    p->granularity = g->kind;
    p->group = g->group;
    p->block_rows = g->block_rows;
    p->block_cols = g->block_cols;
}

/* Set all of a quantization that is orthogonal in P from INDEX, which counts combinations; false when there are no
 * more. Zero points of 32 bits, which are for plug-ins, are left out. */
static inline bool combination(struct qb_problem *p, unsigned index)
{
    const unsigned choices[] = {
        COUNT(inputs),    COUNT(scale_formats),    QB_SCALE_ROUNDING_COUNT, QB_SCALE_LAYOUT_COUNT,
        QB_PACKING_COUNT, QB_ZERO_POINTS_INT8 + 1, QB_TENSOR_SCALE_COUNT,   (unsigned)COUNT(granularities),
        QB_SCALING_COUNT};
    unsigned chosen[COUNT(choices)];

    for (int i = 0; i < COUNT(choices); i++) {
        chosen[i] = index % choices[i];
        index /= choices[i];
    }
    p->input = inputs[chosen[0]];
    p->scale_format = scale_formats[chosen[1]];
    p->scale_rounding = (enum qb_scale_rounding)chosen[2];
    p->scale_layout = (enum qb_scale_layout)chosen[3];
    p->packing = (enum qb_packing)chosen[4];
    p->zero_points = (enum qb_zero_points)chosen[5];
    p->tensor_scale = (enum qb_tensor_scale)chosen[6];
    set_granularity(p, &granularities[chosen[7]]);
    p->scaling = (enum qb_scaling)chosen[8];
    return index == 0;
}

/* Give P a shape, strides and a bound by RANDOM. */
static inline void set_shape(struct qb_problem *p, uint64_t random)
{
    static const uint64_t shapes[][2] = {{3, 33},  {1, 128}, {5, 15},  {8, 17},  {0, 40},   {2, 257}, {130, 1},
                                         {9, 100}, {4, 64},  {1, 700}, {129, 5}, {33, 129}, {7, 320}};

    p->tokens = shapes[random % COUNT(shapes)][0];
    p->hidden = shapes[random % COUNT(shapes)][1];
    p->input_stride = random >> 8 & 1 ? p->hidden + (random >> 9 & 7) : 0;
    p->output_stride = random >> 12 & 1 ? (p->hidden + (random >> 13 & 7) + 3) / 4 * 4 : 0;
    p->amax_bound = (random >> 16 & 7) == 0 ? 0.75f : 0;
    if (p->scale_layout == QB_SCALE_LAYOUT_COLUMNS || p->scale_layout == QB_SCALE_LAYOUT_PACKED) {
        p->scale_stride = random >> 20 & 1 ? p->tokens + (random >> 21 & 3) : 0;
    }
}

#endif
