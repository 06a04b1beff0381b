/* SPDX-License-Identifier: Apache-2.0 */
/* check_kernels.c - every kernel of one backend against the reference, byte for byte. Built once for each backend, with
 * TEST_BACKEND as its name; where the backend has no device, all is skipped with the reason. */
#include <config.h>

#include "device.h"
#include "model/sizes.h"

#include <inttypes.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* Bytes around every output that no kernel may touch, and what they hold. */
#define GUARD  64
#define POISON 0xA5

/* The formats that can be combined, and the ways to share a scale. */
static const enum qb_format inputs[] = {QB_FORMAT_F16, QB_FORMAT_BF16, QB_FORMAT_F32};
static const enum qb_format outputs[] = {QB_FORMAT_INT8, QB_FORMAT_E4M3, QB_FORMAT_E5M2};
static const struct granularity {
    enum qb_granularity kind;
    uint64_t group, block_rows, block_cols;
} granularities[] = {
    {QB_GRANULARITY_TENSOR, 0, 0, 0},    {QB_GRANULARITY_TOKEN, 0, 0, 0},     {QB_GRANULARITY_CHANNEL, 0, 0, 0},
    {QB_GRANULARITY_GROUP, 1, 0, 0},     {QB_GRANULARITY_GROUP, 64, 0, 0},    {QB_GRANULARITY_GROUP, 100, 0, 0},
    {QB_GRANULARITY_GROUP, 128, 0, 0},   {QB_GRANULARITY_BLOCK, 0, 128, 128}, {QB_GRANULARITY_BLOCK, 0, 3, 5},
    {QB_GRANULARITY_GROUP, 10000, 0, 0}, {QB_GRANULARITY_BLOCK, 0, 1000, 1},
};
#define COUNT(array) ((int)(sizeof(array) / sizeof(array)[0]))

static size_t element_size(enum qb_format format)
{
    return qb_format_info(format)->bits / 8;
}

/* One tensor on the host and on the device: the input, and outputs between guards. */
struct tensors {
    struct qb_problem problem;
    struct sizes bytes;
    size_t input_offset, output_offset; /* in bytes, to misalign the bases */
    char *input;
    char *want_codes, *got_codes;   /* with guards; gaps and guards hold POISON */
    char *want_scales, *got_scales; /* with guards */
    void *device_input, *device_codes, *device_scales;
};

static size_t codes_size(const struct tensors *t)
{
    return t->bytes.of[QB_ROLE_CODES] + t->output_offset + 2 * GUARD;
}

static size_t scales_size(const struct tensors *t)
{
    return t->bytes.of[QB_ROLE_SCALES] + 2 * GUARD;
}

/* Allocate for PROBLEM, with the bases OFFSET elements after an aligned address. */
static void make_tensors(struct tensors *t, const struct qb_problem *problem, size_t offset)
{
    *t = (struct tensors){.problem = *problem};
    t->bytes = sizes_of(problem);
    t->input_offset = offset * element_size(problem->input);
    t->output_offset = offset;
    t->input = malloc(t->bytes.of[QB_ROLE_INPUT] + 1);
    t->want_codes = malloc(codes_size(t));
    t->got_codes = malloc(codes_size(t));
    t->want_scales = malloc(scales_size(t));
    t->got_scales = malloc(scales_size(t));
    check(qb_memory_alloc(device, t->bytes.of[QB_ROLE_INPUT] + t->input_offset, &t->device_input));
    check(qb_memory_alloc(device, codes_size(t), &t->device_codes));
    check(qb_memory_alloc(device, scales_size(t), &t->device_scales));
}

static void free_tensors(struct tensors *t)
{
    qb_memory_free(device, t->device_input);
    qb_memory_free(device, t->device_codes);
    qb_memory_free(device, t->device_scales);
    free(t->input);
    free(t->want_codes);
    free(t->got_codes);
    free(t->want_scales);
    free(t->got_scales);
}

static struct qb_tensors device_buffers(const struct tensors *t)
{
    return (struct qb_tensors)QB_TENSORS((char *)t->device_input + t->input_offset,
                                         (char *)t->device_codes + GUARD + t->output_offset,
                                         (float *)((char *)t->device_scales + GUARD));
}

/* Compute what is wanted; static scales are already in want_scales. */
static void run_reference(struct tensors *t)
{
    struct qb_tensors buffers =
        QB_TENSORS(t->input, t->want_codes + GUARD + t->output_offset, (float *)(t->want_scales + GUARD));

    memset(t->want_codes, POISON, codes_size(t));
    if (t->problem.scaling != QB_SCALING_STATIC) {
        memset(t->want_scales, POISON, scales_size(t));
    }
    check(qb_reference_run(&t->problem, &buffers));
}

/* Poison the outputs on the device, and put the input and static scales there. */
static void upload(struct tensors *t)
{
    check(qb_memory_write(device, (char *)t->device_input + t->input_offset, t->input, t->bytes.of[QB_ROLE_INPUT]));
    check(qb_memory_fill(device, t->device_codes, POISON, codes_size(t)));
    if (t->problem.scaling == QB_SCALING_STATIC) {
        check(qb_memory_write(device, t->device_scales, t->want_scales, scales_size(t)));
    } else {
        check(qb_memory_fill(device, t->device_scales, POISON, scales_size(t)));
    }
}

static const char *problem_text(const struct tensors *t)
{
    static char text[512];
    const struct qb_problem *p = &t->problem;

    snprintf(text, sizeof text,
             "%s -> %s, %s, %s (group %" PRIu64 ", block %" PRIu64 "x%" PRIu64 "), %" PRIu64 "x%" PRIu64
             ", strides %" PRIu64 ", %" PRIu64 ", offset %zu, bound %g, QUANTBENCH_TEST_SEED=%" PRIu64,
             qb_format_info(p->input)->name, qb_format_info(p->output)->name, qb_scaling_name(p->scaling),
             qb_granularity_name(p->granularity), p->group, p->block_rows, p->block_cols, p->tokens, p->hidden,
             p->input_stride, p->output_stride, t->output_offset, (double)p->amax_bound, test_seed());
    return text;
}

/* Compare everything that came back, guards and gaps included. */
static void compare(struct tensors *t, const struct qb_kernel *kernel)
{
    check(qb_memory_read(device, t->got_codes, t->device_codes, codes_size(t)));
    check(qb_memory_read(device, t->got_scales, t->device_scales, scales_size(t)));
    for (size_t i = 0; memcmp(t->got_scales, t->want_scales, scales_size(t)) != 0 && i < scales_size(t); i++) {
        ck_assert_msg(t->got_scales[i] == t->want_scales[i], "%s, %s: byte %zu of the scales: got 0x%02X, want 0x%02X",
                      qb_kernel_name(kernel), problem_text(t), i - GUARD, (uint8_t)t->got_scales[i],
                      (uint8_t)t->want_scales[i]);
    }
    for (size_t i = 0; memcmp(t->got_codes, t->want_codes, codes_size(t)) != 0 && i < codes_size(t); i++) {
        ck_assert_msg(t->got_codes[i] == t->want_codes[i], "%s, %s: code %zu: got 0x%02X, want 0x%02X (scale 0: %a)",
                      qb_kernel_name(kernel), problem_text(t), i - GUARD - t->output_offset, (uint8_t)t->got_codes[i],
                      (uint8_t)t->want_codes[i], (double)*(float *)(t->want_scales + GUARD));
    }
}

/* Run every kernel that supports the problem, compare, and return how many did. */
static int run_kernels(struct tensors *t)
{
    int run = 0;

    for (size_t i = 0; i < qb_kernel_count(); i++) {
        const struct qb_kernel *kernel = qb_kernel_at(i);
        struct qb_tensors buffers = device_buffers(t);

        if (!qb_kernel_supports(kernel, device, &t->problem)) {
            continue;
        }
        if (t->problem.scaling == QB_SCALING_AMAX) {
            buffers.at[QB_ROLE_CODES] = NULL;
        }
        upload(t);
        check(qb_kernel_run(kernel, queue, &t->problem, &buffers));
        check(qb_queue_synchronize(queue));
        compare(t, kernel);
        run++;
    }
    return run;
}

/* Run every kernel that supports the problem, if it is dynamic also for the scales alone, and compare. */
static void run_all_kernels(struct tensors *t)
{
    run_reference(t);
    ck_assert_msg(run_kernels(t) > 0, "no kernel supports %s", problem_text(t));
    if (t->problem.scaling == QB_SCALING_DYNAMIC) {
        t->problem.scaling = QB_SCALING_AMAX;
        memset(t->want_codes, POISON, codes_size(t));
        run_kernels(t);
        t->problem.scaling = QB_SCALING_DYNAMIC;
    }
}

static void set_static_scales(struct tensors *t, float scale)
{
    memset(t->want_scales, POISON, scales_size(t));
    for (size_t i = 0; i < t->bytes.of[QB_ROLE_SCALES] / sizeof scale; i++) {
        memcpy(t->want_scales + GUARD + i * sizeof scale, &scale, sizeof scale);
    }
}

static void set_granularity(struct qb_problem *p, const struct granularity *g)
{
    p->granularity = g->kind;
    p->group = g->group;
    p->block_rows = g->block_rows;
    p->block_cols = g->block_cols;
}

/* A finite scale > 0 of any exponent, subnormal ones too. */
static float random_scale(uint64_t *state)
{
    for (;;) {
        uint32_t bits = (uint32_t)test_random(state) & 0x7FFFFFFF;
        float scale;

        memcpy(&scale, &bits, sizeof scale);
        if (scale > 0 && isfinite(scale)) {
            return scale;
        }
    }
}

/* The scale of a normal amax between 2^-8 and 2^8. */
static float amax_scale(const struct qb_problem *p, uint64_t *state)
{
    uint32_t amax = qb_format_encode(
        p->input, ldexpf(1 + (float)(test_random(state) % 65536) / 65536, (int)(test_random(state) % 16) - 8));

    return qb_format_decode(p->input, amax) / qb_format_info(p->output)->largest;
}

static const float special_scales[] = {
    1,
    0.5f,
    1 / 3.0f,
    3,
    0x1p-14f,
    0x1p14f,
    448 / 65504.0f,
    65504 / 448.0f,
    1e-3f,
    1e3f,
    0x1p-126f,
    0x1p-149f,
    0x1.8p-148f,
    0x1p-130f,
    0x1p-100f,
    0x1p100f,
    0x1p126f,
    0x1p127f,
    0x1.fffffep127f,
    0x1.fffffep0f,
    0x1.000002p0f,
    3.5f / 127,
    0x1.fffffcp-127f,
    0x1.fffffep-126f,
    1e-38f,
    3e38f,
};

/* All 65,536 inputs of a 16-bit format, as 16 rows, with 100 scales: every special one, and random ones, those that
 * belong to a largest magnitude of the input's format among them, for which a quotient is a tie. */
START_TEST(all_16_bit_inputs_static)
{
    struct qb_problem p;
    struct tensors t;
    uint64_t state = test_seed();

    qb_problem_init(&p);
    p.input = inputs[_i / COUNT(outputs)];
    p.output = outputs[_i % COUNT(outputs)];
    p.scaling = QB_SCALING_STATIC;
    p.tokens = 16;
    p.hidden = 4096;
    make_tensors(&t, &p, 0);
    for (uint32_t i = 0; i < 65536; i++) {
        ((uint16_t *)t.input)[i] = (uint16_t)i;
    }
    for (int i = 0; i < 100; i++) {
        set_static_scales(&t, i < COUNT(special_scales) ? special_scales[i]
                              : i % 3 == 0              ? random_scale(&state)
                              : i % 3 == 1              ? amax_scale(&p, &state)
                                                        : ldexpf(1 + (float)(test_random(&state) % 65536) / 65536,
                                                                 (int)(test_random(&state) % 40) - 24));
        run_all_kernels(&t);
    }
    free_tensors(&t);
}
END_TEST

/* The same with a scale computed from all inputs, from halves of them, and from few. */
START_TEST(all_16_bit_inputs_dynamic)
{
    struct qb_problem p;
    struct tensors t;

    qb_problem_init(&p);
    p.input = inputs[_i / COUNT(outputs)];
    p.output = outputs[_i % COUNT(outputs)];
    p.tokens = 64;
    p.hidden = 1024;
    for (int g = 0; g < COUNT(granularities); g++) {
        set_granularity(&p, &granularities[g]);
        for (int order = 0; order < 2; order++) {
            make_tensors(&t, &p, 0);
            for (uint32_t i = 0; i < 65536; i++) {
                /* In order, and mixed: 40503 is odd, so this visits each input once. */
                ((uint16_t *)t.input)[i] = (uint16_t)(order == 0 ? i : i * 40503);
            }
            run_all_kernels(&t);
            free_tensors(&t);
        }
    }
}
END_TEST

/* Inputs: 0 normal-like, 1 any bits at all, 2 all zero, 3 tiny, 4 one infinity among small values. */
static void fill_input(struct tensors *t, int kind, uint64_t *state)
{
    size_t size = element_size(t->problem.input);

    for (size_t i = 0; i < t->bytes.of[QB_ROLE_INPUT] / size; i++) {
        uint64_t bits = test_random(state);
        double value = ((double)(int32_t)bits + (double)(int32_t)(bits >> 32)) * 0x1p-31;
        uint32_t code;

        if (kind == 1) {
            code = (uint32_t)bits;
        } else {
            value = kind == 2 ? 0 : kind == 3 ? value * 0x1p-130 : kind == 4 && i == 5 ? INFINITY : value;
            code = qb_format_encode(t->problem.input, (float)value);
        }
        memcpy(t->input + i * size, &code, size);
    }
}

/* One dynamic problem with input of KIND, through every kernel. */
static void run_filled(const struct qb_problem *p, int kind, uint64_t *state)
{
    struct tensors t;

    make_tensors(&t, p, 0);
    fill_input(&t, kind, state);
    run_all_kernels(&t);
    free_tensors(&t);
}

/* Any bits of a float, with scales of any size: the hardest case for a division that is not one. */
START_TEST(random_float_bits)
{
    struct qb_problem p;
    struct tensors t;
    uint64_t state = test_seed() + (uint64_t)_i;

    qb_problem_init(&p);
    p.input = QB_FORMAT_F32;
    p.output = outputs[_i];
    p.tokens = 30;
    p.hidden = 1000;
    for (int i = 0; i < 40; i++) {
        set_granularity(&p, &granularities[i % COUNT(granularities)]);
        p.scaling = i < 20 ? QB_SCALING_STATIC : QB_SCALING_DYNAMIC;
        make_tensors(&t, &p, 0);
        memset(t.want_scales, POISON, scales_size(&t));
        for (size_t j = 0; j < t.bytes.of[QB_ROLE_SCALES] / sizeof(float); j++) {
            float scale = random_scale(&state);

            memcpy(t.want_scales + GUARD + j * sizeof scale, &scale, sizeof scale);
        }
        fill_input(&t, 1, &state);
        run_all_kernels(&t);
        free_tensors(&t);
    }
}
END_TEST

/* Floats around each boundary of each output format, times the scale: the quotients that rounding decides. */
START_TEST(floats_near_rounding_boundaries)
{
    struct qb_problem p;
    struct tensors t;
    uint64_t state = test_seed();

    qb_problem_init(&p);
    p.input = QB_FORMAT_F32;
    p.output = outputs[_i];
    p.scaling = QB_SCALING_STATIC;
    p.tokens = 2 * 127;
    p.hidden = 16;
    make_tensors(&t, &p, 0);
    for (int s = 0; s < 60; s++) {
        float scale = s < COUNT(special_scales) ? special_scales[s] : random_scale(&state);

        for (uint32_t row = 0; row < p.tokens; row++) {
            uint32_t sign = row / 127 * 0x80;
            float low = qb_format_decode(p.output, row % 127), high = qb_format_decode(p.output, row % 127 + 1);
            float middle = isfinite(high) ? low + (high - low) / 2 : low;

            for (int col = 0; col < 16; col++) {
                float x = middle * scale;

                for (int step = 0; step < abs(col - 8); step++) {
                    x = nextafterf(x, col < 8 ? 0 : INFINITY);
                }
                ((float *)t.input)[row * 16 + (uint32_t)col] = sign != 0 ? -x : x;
            }
        }
        set_static_scales(&t, scale);
        run_all_kernels(&t);
    }
    free_tensors(&t);
}
END_TEST

static const uint64_t hiddens[] = {1, 15, 16, 17, 1024, 1025, 1368, 5137, 8193};
static const uint64_t tokens[] = {0, 1, 7, 130};

/* Every granularity at sizes that divide by nothing, dense and strided, aligned and one element off. The pair of
 * formats changes from one shape to the next; the loop index runs over granularities, so all pairs meet each. */
START_TEST(shapes_strides_offsets)
{
    uint64_t state = test_seed() + (uint64_t)_i;
    int pair = _i;

    for (int h = 0; h < COUNT(hiddens); h++) {
        for (int n = 0; n < COUNT(tokens); n++) {
            for (int variant = 0; variant < 8; variant++, pair++) {
                struct qb_problem p;
                struct tensors t;

                qb_problem_init(&p);
                p.input = inputs[pair % 3];
                p.output = outputs[pair / 3 % 3];
                p.tokens = tokens[n];
                p.hidden = hiddens[h];
                p.scaling = variant & 1 ? QB_SCALING_STATIC : QB_SCALING_DYNAMIC;
                p.input_stride = variant & 2 ? p.hidden + 3 : 0;
                p.output_stride = variant & 2 ? p.hidden + 5 : 0;
                p.amax_bound = pair % 5 == 0 ? 0.5f : 0;
                set_granularity(&p, &granularities[_i]);
                make_tensors(&t, &p, variant & 4 ? 1 : 0);
                memset(t.want_scales, POISON, scales_size(&t));
                for (size_t i = 0; i < t.bytes.of[QB_ROLE_SCALES] / sizeof(float); i++) {
                    float scale = ldexpf(1 + (float)(test_random(&state) % 1024) / 1024, -8);

                    memcpy(t.want_scales + GUARD + i * sizeof scale, &scale, sizeof scale);
                }
                fill_input(&t, 0, &state);
                run_all_kernels(&t);
                free_tensors(&t);
            }
        }
    }
}
END_TEST

/* Data that scales are hard to compute from. */
START_TEST(unusual_data)
{
    uint64_t state = test_seed();

    for (int kind = 1; kind <= 4; kind++) {
        for (int pair = 0; pair < 9; pair++) {
            struct qb_problem p;

            qb_problem_init(&p);
            p.input = inputs[pair % 3];
            p.output = outputs[pair / 3];
            p.tokens = 33;
            p.hidden = 520;
            set_granularity(&p, &granularities[_i]);
            run_filled(&p, kind, &state);
        }
    }
}
END_TEST

/* Write TEXT to the file NAME in the folder ROOT. */
static void put_file(const char *root, const char *name, const char *text)
{
    char path[256];
    FILE *file;

    snprintf(path, sizeof path, "%s/%s", root, name);
    file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    ck_assert_int_ge(fputs(text, file), 0);
    ck_assert_int_eq(fclose(file), 0);
}

/* Open a CPU that believes its last-level cache to have 4 KiB, so that it stores codes past the caches. */
static struct qb_device *open_with_small_cache(void)
{
    static const char *const folders[] = {"sys", "devices", "system", "cpu", "cpu0", "cache", "index0"};
    char root[] = "quantbench-cache.XXXXXX", path[256];
    struct qb_device *opened;

    ck_assert_ptr_nonnull(mkdtemp(root));
    strcpy(path, root);
    for (int i = 0; i < COUNT(folders); i++) {
        strcat(strcat(path, "/"), folders[i]);
        ck_assert_int_eq(mkdir(path, 0700), 0);
    }
    put_file(path, "level", "3\n");
    put_file(path, "type", "Unified\n");
    put_file(path, "size", "4K\n");
    ck_assert_int_eq(setenv("QUANTBENCH_FSROOT", root, 1), 0);
    check(qb_device_open(qb_backend_find("cpu"), 0, &opened));
    unsetenv("QUANTBENCH_FSROOT");
    snprintf(path, sizeof path, "rm -r '%s'", root);
    ck_assert_int_eq(system(path), 0);
    return opened;
}

/* Large tensors: codes are stored past the caches. Static scales by which no, few and most codes saturate; and data
 * with infinities and NaN. */
START_TEST(codes_past_the_caches)
{
    static const float amaxes[] = {2.5f, 1.9f, 0.25f};
    struct qb_device *usual_device = device;
    struct qb_queue *usual_queue = queue;
    uint64_t state = test_seed();
    struct qb_device_info info = {.size = sizeof info};

    device = open_with_small_cache();
    check(qb_device_info(device, &info));
    ck_assert_uint_eq(info.cache_size, 4096);
    check(qb_queue_create(device, &queue));
    for (int variant = 0; variant < 9 * 3 * (1 + COUNT(amaxes)); variant++) {
        static const int kinds[] = {0, 1, 4};
        const int amax = variant / 27 - 1;
        struct qb_problem p;
        struct tensors t;

        /* A build without OpenMP has one. */
        (void)qb_queue_set_threads(queue, 1 + (unsigned)variant % 8);
        qb_problem_init(&p);
        p.input = inputs[variant % 3];
        p.output = outputs[variant / 3 % 3];
        p.scaling = amax < 0 ? QB_SCALING_DYNAMIC : QB_SCALING_STATIC;
        p.tokens = 37;
        p.hidden = 1100;
        set_granularity(&p, &granularities[_i]);
        make_tensors(&t, &p, (size_t)variant % 4 == 3);
        set_static_scales(&t, amax < 0 ? 0 : amaxes[amax] / qb_format_info(p.output)->largest);
        fill_input(&t, kinds[variant / 9 % 3], &state);
        run_all_kernels(&t);
        free_tensors(&t);
    }
    qb_queue_destroy(queue);
    qb_device_close(device);
    device = usual_device;
    queue = usual_queue;
}
END_TEST

static const struct {
    struct granularity shape;
    enum qb_scaling scaling;
} few_tilings[] = {
    {{QB_GRANULARITY_TENSOR, 0, 0, 0}, QB_SCALING_STATIC},   {{QB_GRANULARITY_TENSOR, 0, 0, 0}, QB_SCALING_DYNAMIC},
    {{QB_GRANULARITY_TOKEN, 0, 0, 0}, QB_SCALING_DYNAMIC},   {{QB_GRANULARITY_GROUP, 32, 0, 0}, QB_SCALING_DYNAMIC},
    {{QB_GRANULARITY_GROUP, 64, 0, 0}, QB_SCALING_DYNAMIC},  {{QB_GRANULARITY_GROUP, 128, 0, 0}, QB_SCALING_DYNAMIC},
    {{QB_GRANULARITY_GROUP, 256, 0, 0}, QB_SCALING_DYNAMIC},
};

/* The launches of PROBLEM with data and strides of VARIANT, against the reference. */
static void run_variant(struct qb_problem *p, int variant, uint64_t *state)
{
    struct tensors t;

    p->input_stride = variant % 2 == 0 ? 0 : p->hidden + 8;
    p->output_stride = variant % 2 == 0 ? 0 : p->hidden + 16;
    make_tensors(&t, p, 0);
    set_static_scales(&t, 3.5f / qb_format_info(p->output)->largest);
    fill_input(&t, variant / 2 % 5, state);
    run_all_kernels(&t);
    free_tensors(&t);
}

/* Full, aligned chunks of rows that are few enough for several blocks of threads each, and one more; rows apart and
 * together; all kinds of data. */
START_TEST(few_rows_of_full_chunks)
{
    static const uint64_t shapes[][2] = {{1, 520},   {1, 1024},  {3, 5120},   {66, 2056}, {67, 2056},
                                         {5, 32768}, {2, 32776}, {133, 1032}, {200, 256}};
    uint64_t state = test_seed() + (uint64_t)_i;

    for (int s = 0; s < COUNT(shapes); s++) {
        for (int pair = 0; pair < 9; pair++) {
            struct qb_problem p;

            qb_problem_init(&p);
            p.input = inputs[pair % 3];
            p.output = outputs[pair / 3];
            p.tokens = shapes[s][0];
            p.hidden = shapes[s][1];
            p.scaling = few_tilings[_i].scaling;
            set_granularity(&p, &few_tilings[_i].shape);
            run_variant(&p, 9 * s + pair, &state);
        }
    }
}
END_TEST

/* CUDA, one scale per channel: rows that registers hold in each way, one more, and rows of which shared memory, and
 * then L2, keep a part, by strips of a line and of half a line (on a device of 132 multiprocessors). One pair of
 * formats each; of the large shapes each has a third. */
START_TEST(rows_of_channels_by_where_they_are_kept)
{
    static const uint64_t shapes[][2] = {{16, 1032},   {17, 1032},   {32, 264},    {33, 1032},  {64, 264},
                                         {65, 1032},   {128, 264},   {129, 1032},  {256, 264},  {257, 1032},
                                         {512, 264},   {513, 1032},  {1024, 264},  {600, 8200}, {1100, 8200},
                                         {3200, 8200}, {1025, 2112}, {2500, 2112}, {6000, 2112}};
    enum { LARGE = 13 };
    uint64_t state = test_seed() + (uint64_t)_i;

    for (int s = 0; s < COUNT(shapes); s++) {
        struct qb_problem p;

        if (s >= LARGE && (s + _i) % 3 != 0) {
            continue;
        }
        qb_problem_init(&p);
        p.input = inputs[_i % 3];
        p.output = outputs[_i / 3];
        p.granularity = QB_GRANULARITY_CHANNEL;
        p.tokens = shapes[s][0];
        p.hidden = shapes[s][1];
        run_variant(&p, 9 * s + _i, &state);
    }
}
END_TEST

/* CUDA, one scale: blocks that hold more and more, on a device of 132 multiprocessors. */
START_TEST(tensors_of_more_and_more_blocks)
{
    static const uint64_t sizes[] = {16384, 200003, 800003, 1500003, 3000003, 6000003, 12000003};
    uint64_t state = test_seed() + (uint64_t)_i;

    for (int s = 0; s < COUNT(sizes); s++) {
        struct qb_problem p;

        qb_problem_init(&p);
        p.input = inputs[_i % 3];
        p.output = outputs[(s + _i) % 3];
        p.tokens = 1;
        p.hidden = sizes[s];
        run_variant(&p, 2 * (3 * s + _i), &state);
    }
}
END_TEST

/* One row that is long, many rows that are short: the shapes that kernels split in other ways. */
START_TEST(long_and_short_rows)
{
    static const uint64_t shapes[][2] = {{1, 1000003}, {3, 300000}, {200000, 3}, {2000, 512}, {1024, 1024}};
    uint64_t state = test_seed();

    for (int s = 0; s < COUNT(shapes); s++) {
        struct qb_problem p;

        qb_problem_init(&p);
        p.input = inputs[s % 3];
        p.output = outputs[s / 2 % 3];
        p.tokens = shapes[s][0];
        p.hidden = shapes[s][1];
        set_granularity(&p, &granularities[_i]);
        run_filled(&p, 0, &state);
    }
}
END_TEST

/* The ceiling of reads and writes touches what it may, and nothing else. */
START_TEST(mix_keeps_to_its_ranges)
{
    static const size_t sizes[][2] = {{0, 0},        {1, 0},       {0, 1},        {64, 64},       {100, 1000},
                                      {1000, 100},   {4096, 8192}, {4096, 16384}, {5000, 9999},   {4096, 12300},
                                      {12288, 4096}, {4096, 0},    {0, 4096},     {300001, 99999}};
    enum { MOST = 300001 };
    void *source, *target;
    char *got = malloc(MOST + 2 * 256);

    check(qb_memory_alloc(device, MOST, &source));
    check(qb_memory_alloc(device, MOST + 2 * 256, &target));
    check(qb_memory_fill(device, source, 0x5A, MOST));
    for (int i = 0; i < COUNT(sizes); i++) {
        for (int stores = 0; stores < QB_STORES_COUNT; stores++) {
            size_t written = sizes[i][0], read = sizes[i][1];
            enum qb_status status;

            check(qb_memory_fill(device, target, POISON, MOST + 2 * 256));
            status = qb_queue_mix(queue, written > 0 ? (char *)target + 256 : NULL, written, read > 0 ? source : NULL,
                                  read, (enum qb_stores)stores);
            if (status == QB_ERROR_UNSUPPORTED) {
                continue;
            }
            check(status);
            check(qb_queue_synchronize(queue));
            check(qb_memory_read(device, got, target, MOST + 2 * 256));
            for (size_t j = 0; j < MOST + 2 * 256; j++) {
                bool inside = j >= 256 && j < 256 + written;

                ck_assert_msg(((uint8_t)got[j] != POISON) == inside, "%zu written, %zu read: byte %zd is 0x%02X",
                              written, read, (ptrdiff_t)j - 256, (uint8_t)got[j]);
            }
        }
    }
    ck_assert_int_eq(qb_queue_mix(queue, (char *)target + 128, 64, source, 64, QB_STORES_PLAIN), QB_ERROR_INVALID);
    ck_assert_int_eq(qb_queue_mix(queue, target, 64, (char *)source + 128, 64, QB_STORES_PLAIN), QB_ERROR_INVALID);
    qb_memory_free(device, source);
    qb_memory_free(device, target);
    free(got);
}
END_TEST

/* What is compared on the device is all bytes of each copy, and no byte between them. */
START_TEST(compare_finds_each_byte)
{
    static const size_t sizes[] = {1, 15, 16, 4096, 4097, 300001};
    enum { MOST = 300001, COPIES = 3, GAP = 48 };
    char *bytes = malloc(COPIES * (MOST + GAP));
    void *copies, *expected;
    uint64_t different, first;

    check(qb_memory_alloc(device, COPIES * (MOST + GAP), &copies));
    check(qb_memory_alloc(device, MOST, &expected));
    for (int i = 0; i < MOST; i++) {
        bytes[i] = (char)(i * 7 + i / 256);
    }
    check(qb_memory_write(device, expected, bytes, MOST));
    for (int i = 0; i < COUNT(sizes); i++) {
        /* One that is a multiple of 16, so that whole chunks are compared, and one that is not. */
        for (size_t stride = (sizes[i] + GAP) / 16 * 16; stride <= (sizes[i] + GAP) / 16 * 16 + 3; stride += 3) {
            const size_t places[] = {0, sizes[i] / 2, sizes[i] - 1};

            check(qb_memory_fill(device, copies, POISON, COPIES * (MOST + GAP)));
            for (size_t copy = 0; copy < COPIES; copy++) {
                check(qb_memory_write(device, (char *)copies + copy * stride, bytes, sizes[i]));
            }
            check(qb_memory_compare(device, &(struct qb_copies){copies, stride, COPIES}, expected, sizes[i], &different,
                                    &first));
            ck_assert(different == 0 && first == UINT64_MAX);
            for (size_t place = 0; place < 3; place++) {
                char *const at = (char *)copies + stride + places[place];
                const char wrong = (char)(bytes[places[place]] ^ 0x10);

                check(qb_memory_write(device, at, &wrong, 1));
                check(qb_memory_write(device, at + stride, &wrong, 1));
                check(qb_memory_compare(device, &(struct qb_copies){copies, stride, COPIES}, expected, sizes[i],
                                        &different, &first));
                ck_assert_msg(different == 2 && first == stride + places[place], "%zu bytes, stride %zu, byte %zu",
                              sizes[i], stride, places[place]);
                check(qb_memory_write(device, at, &bytes[places[place]], 1));
                check(qb_memory_write(device, at + stride, &bytes[places[place]], 1));
            }
        }
    }
    check(qb_memory_compare(device, &(struct qb_copies){copies, 0, COPIES}, expected, 0, &different, &first));
    ck_assert(different == 0 && first == UINT64_MAX);
    ck_assert_int_eq(
        qb_memory_compare(device, &(struct qb_copies){copies, 15, COPIES}, expected, 16, &different, &first),
        QB_ERROR_INVALID);
    qb_memory_free(device, copies);
    qb_memory_free(device, expected);
    free(bytes);
}
END_TEST

/* An empty launch has nothing to show for itself but success. */
START_TEST(floor_of_every_kernel)
{
    struct qb_problem p;

    qb_problem_init(&p);
    p.tokens = 100;
    p.hidden = 5000;
    for (int scaling = 0; scaling < QB_SCALING_COUNT; scaling++) {
        p.scaling = (enum qb_scaling)scaling;
        set_granularity(&p, &granularities[_i]);
        for (size_t i = 0; i < qb_kernel_count(); i++) {
            const struct qb_kernel *kernel = qb_kernel_at(i);
            enum qb_status status;

            if (qb_kernel_supports(kernel, device, &p)) {
                status = qb_kernel_floor(kernel, queue, &p);
                ck_assert(status == QB_OK || status == QB_ERROR_UNSUPPORTED);
                check(qb_queue_synchronize(queue));
            }
        }
    }
}
END_TEST

START_TEST(any_number_of_threads_gives_the_same)
{
    uint64_t state = test_seed();

    for (unsigned threads = 1; threads <= 8; threads++) {
        enum qb_status status = qb_queue_set_threads(queue, threads);

        if (status == QB_ERROR_UNSUPPORTED) {
            return;
        }
        check(status);
        for (int g = 0; g < COUNT(granularities); g++) {
            struct qb_problem p;

            qb_problem_init(&p);
            p.input = inputs[((int)threads + g) / 3 % 3];
            p.output = outputs[((int)threads + g) % 3];
            p.tokens = 257;
            p.hidden = 1031;
            set_granularity(&p, &granularities[g]);
            run_filled(&p, 0, &state);
        }
    }
}
END_TEST

/* A queue keeps what it found out about problems, of which it knows each from the others. */
START_TEST(many_problems_in_turn)
{
    struct tensors t[24];
    uint64_t state = test_seed() + 77;

    for (int i = 0; i < COUNT(t); i++) {
        struct qb_problem p;

        qb_problem_init(&p);
        p.input = inputs[i % COUNT(inputs)];
        p.output = outputs[i / 3 % COUNT(outputs)];
        p.tokens = 1 + (uint64_t)(i % 4);
        p.hidden = 128 * (1 + (uint64_t)(i % 5));
        set_granularity(&p, &granularities[i % COUNT(granularities)]);
        make_tensors(&t[i], &p, 0);
        fill_input(&t[i], 0, &state);
        run_reference(&t[i]);
    }
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < COUNT(t); i++) {
            /* By both functions, in one order or the other. */
            for (int again = 0; again < 2; again++) {
                const struct qb_kernel *kernel;
                struct qb_tensors buffers = device_buffers(&t[i]);

                check(qb_kernel_match(device, &t[i].problem, NULL, &kernel));
                upload(&t[i]);
                check(i % 2 == again ? qb_quantize(queue, &t[i].problem, &buffers)
                                     : qb_kernel_run(kernel, queue, &t[i].problem, &buffers));
                check(qb_queue_synchronize(queue));
                compare(&t[i], kernel);
            }
        }
    }
    for (int i = 0; i < COUNT(t); i++) {
        free_tensors(&t[i]);
    }
}
END_TEST

/* What is wrong is refused also after the same was right. */
START_TEST(arguments_are_checked_each_time)
{
    static const enum qb_role roles[] = {QB_ROLE_INPUT, QB_ROLE_CODES, QB_ROLE_SCALES};
    const struct qb_kernel *kernel, *other = NULL;
    struct qb_problem p, wrong;
    struct qb_tensors buffers;
    struct tensors t;

    qb_problem_init(&p);
    p.tokens = 3;
    p.hidden = 256;
    make_tensors(&t, &p, 0);
    memset(t.input, 0, t.bytes.of[QB_ROLE_INPUT]);
    upload(&t);
    check(qb_kernel_match(device, &p, NULL, &kernel));
    for (size_t i = 0; i < qb_kernel_count(); i++) {
        other = qb_kernel_supports(qb_kernel_at(i), device, &p) ? other : qb_kernel_at(i);
    }
    for (int round = 0; round < 2; round++) {
        buffers = device_buffers(&t);
        check(qb_kernel_run(kernel, queue, &p, &buffers));
        check(qb_quantize(queue, &p, &buffers));
        for (int i = 0; i < COUNT(roles); i++) {
            buffers = device_buffers(&t);
            buffers.at[roles[i]] = NULL;
            ck_assert_int_eq(qb_kernel_run(kernel, queue, &p, &buffers), QB_ERROR_INVALID);
            ck_assert_int_eq(qb_quantize(queue, &p, &buffers), QB_ERROR_INVALID);
            ck_assert_ptr_nonnull(strstr(qb_error_detail(), qb_role_name(roles[i])));
            buffers = device_buffers(&t);
            buffers.at[roles[i]] = (char *)buffers.at[roles[i]] + 1;
            if (roles[i] != QB_ROLE_CODES) {
                ck_assert_int_eq(qb_kernel_run(kernel, queue, &p, &buffers), QB_ERROR_INVALID);
                ck_assert_int_eq(qb_quantize(queue, &p, &buffers), QB_ERROR_INVALID);
            }
        }
        buffers = device_buffers(&t);
        ck_assert_int_eq(qb_kernel_run(NULL, queue, &p, &buffers), QB_ERROR_INVALID);
        ck_assert_int_eq(qb_kernel_run(kernel, queue, &p, NULL), QB_ERROR_INVALID);
        ck_assert_int_eq(qb_kernel_run(kernel, queue, NULL, &buffers), QB_ERROR_INVALID);
        ck_assert_int_eq(qb_kernel_run(other, queue, &p, &buffers), QB_ERROR_UNSUPPORTED);
        wrong = p;
        wrong.hidden = 0;
        ck_assert_int_eq(qb_kernel_run(kernel, queue, &wrong, &buffers), QB_ERROR_INVALID);
        wrong = p;
        wrong.size = sizeof wrong.size - 1;
        ck_assert_int_eq(qb_kernel_run(kernel, queue, &wrong, &buffers), QB_ERROR_INVALID);
    }
    check(qb_queue_synchronize(queue));
    free_tensors(&t);
}
END_TEST

/* The ways to compute scales. */
static const enum qb_scaling dynamic_ways[] = {QB_SCALING_DYNAMIC, QB_SCALING_AMAX};
#define DYNAMIC_WAYS 2

/* Change T, whose reference has run, to another of them. */
static void set_scaling(struct tensors *t, enum qb_scaling scaling)
{
    if (t->problem.scaling != scaling) {
        t->problem.scaling = scaling;
        run_reference(t);
    }
}

/* Every kernel in a captured graph, replayed with data that changes: no state may be left from one run to the next. */
START_TEST(graph_replays_with_changed_input)
{
    uint64_t state = test_seed();
    struct qb_problem p;

    qb_problem_init(&p);
    p.tokens = 300;
    p.hidden = 1000;
    set_granularity(&p, &granularities[_i]);
    for (size_t i = 0; i < DYNAMIC_WAYS * qb_kernel_count(); i++) {
        const struct qb_kernel *kernel = qb_kernel_at(i / DYNAMIC_WAYS);
        struct qb_tensors buffers;
        struct qb_graph *graph;
        struct tensors t;
        enum qb_status status;

        p.scaling = dynamic_ways[i % DYNAMIC_WAYS];
        if (!qb_kernel_supports(kernel, device, &p)) {
            continue;
        }
        make_tensors(&t, &p, 0);
        buffers = device_buffers(&t);
        check(qb_queue_reserve(queue, qb_kernel_workspace(kernel, device, &p)));
        status = qb_graph_begin(queue);
        if (status == QB_ERROR_UNSUPPORTED) {
            free_tensors(&t);
            return;
        }
        check(status);
        check(qb_kernel_run(kernel, queue, &p, &buffers));
        check(qb_graph_end(queue, &graph));
        for (int replay = 0; replay < 20; replay++) {
            fill_input(&t, replay % 5, &state);
            run_reference(&t);
            upload(&t);
            for (int again = 0; again < 50; again++) {
                check(qb_graph_launch(graph, queue));
            }
            check(qb_queue_synchronize(queue));
            compare(&t, kernel);
        }
        qb_graph_destroy(graph);
        free_tensors(&t);
    }
}
END_TEST

/* CUDA: more than a million launches of few blocks, and now and then one of many, whose words in the barrier the others
 * leave alone except when they renew all: it waits for its own blocks, not for what is old. */
START_TEST(many_launches_of_few_blocks)
{
    enum { IN_GRAPH = 500, GRAPHS = 2200, BETWEEN = 100 };
    const struct qb_kernel *kernel;
    struct qb_problem few, many;
    struct tensors t, u;
    struct qb_tensors buffers, others;
    struct qb_graph *graph;
    uint64_t state = test_seed();

    qb_problem_init(&few);
    few.tokens = 2;
    few.hidden = 8192;
    many = few;
    many.tokens = 130;
    if (qb_kernel_match(device, &many, "cuda_tensor_fused", &kernel) != QB_OK) {
        return;
    }
    check(qb_queue_reserve(queue, qb_kernel_workspace(kernel, device, &many)));
    make_tensors(&t, &few, 0);
    fill_input(&t, 0, &state);
    run_reference(&t);
    upload(&t);
    buffers = device_buffers(&t);
    make_tensors(&u, &many, 0);
    others = device_buffers(&u);
    check(qb_graph_begin(queue));
    for (int i = 0; i < IN_GRAPH; i++) {
        check(qb_kernel_run(kernel, queue, &few, &buffers));
    }
    check(qb_graph_end(queue, &graph));
    for (int i = 0; i < GRAPHS; i++) {
        check(qb_graph_launch(graph, queue));
        if (i % BETWEEN == BETWEEN - 1) {
            fill_input(&u, i / BETWEEN % 5, &state);
            run_reference(&u);
            upload(&u);
            check(qb_kernel_run(kernel, queue, &many, &others));
            check(qb_queue_synchronize(queue));
            compare(&u, kernel);
        }
    }
    compare(&t, kernel);
    qb_graph_destroy(graph);
    free_tensors(&u);
    free_tensors(&t);
}
END_TEST

/* The same kernels again and again with data that changes and outputs that are poisoned: what a race spoils once in
 * thousands of runs. QUANTBENCH_TEST_SOAK is the number of runs of each; for a release it is 10000. */
START_TEST(many_runs_with_changing_data)
{
    enum { INPUTS = 8 };
    static const uint64_t shapes[][2] = {{5, 96}, {40, 1024}, {300, 1000}};
    const char *text = getenv("QUANTBENCH_TEST_SOAK");
    int runs = text != NULL ? atoi(text) : 20;
    uint64_t state = test_seed();

    for (int s = 0; s < COUNT(shapes); s++) {
        struct tensors t[INPUTS];
        struct qb_problem p;

        qb_problem_init(&p);
        p.output = outputs[s];
        p.tokens = shapes[s][0];
        p.hidden = shapes[s][1];
        set_granularity(&p, &granularities[_i]);
        for (int i = 0; i < INPUTS; i++) {
            make_tensors(&t[i], &p, 0);
            fill_input(&t[i], i % 4 == 3 ? 1 : 0, &state);
            run_reference(&t[i]);
        }
        for (size_t k = 0; k < DYNAMIC_WAYS * qb_kernel_count(); k++) {
            const struct qb_kernel *kernel = qb_kernel_at(k / DYNAMIC_WAYS);

            p.scaling = dynamic_ways[k % DYNAMIC_WAYS];
            for (int i = 0; i < INPUTS; i++) {
                set_scaling(&t[i], p.scaling);
            }
            for (int run = 0; run < runs && qb_kernel_supports(kernel, device, &p); run++) {
                struct tensors *now = &t[test_random(&state) % INPUTS];
                struct qb_tensors buffers = device_buffers(now);

                upload(now);
                check(qb_kernel_run(kernel, queue, &p, &buffers));
                check(qb_queue_synchronize(queue));
                compare(now, kernel);
            }
        }
        for (int i = 0; i < INPUTS; i++) {
            free_tensors(&t[i]);
        }
    }
}
END_TEST

/* Dependent launches, back to back into the same buffers and into others: each must wait for the one in front of it. */
START_TEST(dependent_launches)
{
    enum { SETS = 3 };
    uint64_t state = test_seed();
    struct tensors t[SETS];
    struct qb_problem p;
    enum qb_status status = qb_queue_set_dependent_launch(queue, true);

    if (status == QB_ERROR_UNSUPPORTED) {
        return;
    }
    check(status);
    qb_problem_init(&p);
    p.tokens = 300;
    p.hidden = 1000;
    set_granularity(&p, &granularities[_i]);
    for (int i = 0; i < SETS; i++) {
        make_tensors(&t[i], &p, 0);
        fill_input(&t[i], 0, &state);
        run_reference(&t[i]);
    }
    for (size_t k = 0; k < DYNAMIC_WAYS * qb_kernel_count(); k++) {
        const struct qb_kernel *kernel = qb_kernel_at(k / DYNAMIC_WAYS);

        p.scaling = dynamic_ways[k % DYNAMIC_WAYS];
        if (!qb_kernel_supports(kernel, device, &p)) {
            continue;
        }
        for (int i = 0; i < SETS; i++) {
            set_scaling(&t[i], p.scaling);
            upload(&t[i]);
        }
        for (int run = 0; run < 60; run++) {
            struct qb_tensors buffers = device_buffers(&t[run / 2 % SETS]);

            check(qb_kernel_run(kernel, queue, &p, &buffers));
        }
        check(qb_queue_synchronize(queue));
        for (int i = 0; i < SETS; i++) {
            compare(&t[i], kernel);
        }
    }
    for (int i = 0; i < SETS; i++) {
        free_tensors(&t[i]);
    }
    check(qb_queue_set_dependent_launch(queue, false));
}
END_TEST

/* Two threads, each with a queue of its own, on one device. Check's assertions are for the main thread only, so the
 * threads count. */
struct worker {
    struct qb_problem problem;
    const char *input;
    const char *want;
    uint64_t bytes;
    int wrong;
};

static void *work(void *argument)
{
    struct worker *w = argument;
    struct qb_queue *own;
    struct sizes bytes;
    void *in, *out, *scales;
    char *got = malloc(w->bytes);

    bytes = sizes_of(&w->problem);
    w->wrong = 1;
    if (qb_queue_create(device, &own) != QB_OK || qb_memory_alloc(device, bytes.of[QB_ROLE_INPUT], &in) != QB_OK ||
        qb_memory_alloc(device, bytes.of[QB_ROLE_CODES], &out) != QB_OK ||
        qb_memory_alloc(device, bytes.of[QB_ROLE_SCALES], &scales) != QB_OK ||
        qb_memory_write(device, in, w->input, bytes.of[QB_ROLE_INPUT]) != QB_OK) {
        return NULL;
    }
    w->wrong = 0;
    for (int i = 0; i < 1000; i++) {
        struct qb_tensors buffers = QB_TENSORS(in, out, scales);

        if (i % 100 == 0) {
            qb_memory_fill(device, out, POISON, bytes.of[QB_ROLE_CODES]);
        }
        w->wrong += qb_quantize(own, &w->problem, &buffers) != QB_OK;
        if (i % 100 == 99) {
            w->wrong += qb_queue_synchronize(own) != QB_OK;
            w->wrong += qb_memory_read(device, got, out, w->bytes) != QB_OK;
            w->wrong += memcmp(got, w->want, w->bytes) != 0;
        }
    }
    qb_memory_free(device, in);
    qb_memory_free(device, out);
    qb_memory_free(device, scales);
    qb_queue_destroy(own);
    free(got);
    return NULL;
}

START_TEST(two_threads_with_queues_of_their_own)
{
    struct worker workers[2];
    struct tensors t[2];
    pthread_t threads[2];
    uint64_t state = test_seed();

    for (int i = 0; i < 2; i++) {
        struct qb_problem p;

        qb_problem_init(&p);
        p.output = outputs[i];
        p.tokens = 100 + (uint64_t)i;
        p.hidden = 1024;
        set_granularity(&p, &granularities[_i]);
        make_tensors(&t[i], &p, 0);
        fill_input(&t[i], 0, &state);
        run_reference(&t[i]);
        workers[i] = (struct worker){p, t[i].input, t[i].want_codes + GUARD, t[i].bytes.of[QB_ROLE_CODES], 0};
        ck_assert_int_eq(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
    }
    for (int i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
    }
    for (int i = 0; i < 2; i++) {
        ck_assert_msg(workers[i].wrong == 0, "thread %d: %d of 1000 runs went wrong", i, workers[i].wrong);
        free_tensors(&t[i]);
    }
}
END_TEST

/* Element indices beyond 31 bits, when there is memory and QUANTBENCH_TEST_LARGE is set: rows far apart stand in for a
 * tensor that is large, and a tensor of more than 2^31 elements is sampled. */
START_TEST(more_than_2_to_the_31_elements)
{
    struct qb_problem p;
    uint64_t half = (uint64_t)1 << 30;
    struct tensors t;
    uint64_t state = test_seed();

    if (getenv("QUANTBENCH_TEST_LARGE") == NULL) {
        return;
    }
    qb_problem_init(&p);
    p.output = QB_FORMAT_E4M3;
    p.tokens = 3;
    p.hidden = 1000;
    p.input_stride = half + 1;
    p.output_stride = half + 3;
    set_granularity(&p, &granularities[_i]);
    make_tensors(&t, &p, 0);
    memset(t.input, 0, t.bytes.of[QB_ROLE_INPUT]);
    for (uint64_t row = 0; row < p.tokens; row++) {
        for (uint64_t col = 0; col < p.hidden; col++) {
            ((uint16_t *)t.input)[row * p.input_stride + col] = (uint16_t)test_random(&state);
        }
    }
    run_all_kernels(&t);
    free_tensors(&t);
}
END_TEST

/* The dense ones, in full, against the CPU's best kernel, as the reference would take long. */
START_TEST(dense_with_more_than_2_to_the_31_elements)
{
    static const uint64_t shapes[][2] = {{46341, 46341}, {1024000, 4096}};
    struct qb_device *cpu;
    struct qb_queue *cpu_queue;
    struct sizes bytes;
    struct qb_tensors host, buffers;
    struct tensors t;
    struct qb_problem p;
    enum { BLOCK = 1 << 20 };

    if (getenv("QUANTBENCH_TEST_LARGE") == NULL || strcmp(TEST_BACKEND, "cpu") == 0) {
        return;
    }
    qb_problem_init(&p);
    p.output = QB_FORMAT_E4M3;
    p.tokens = shapes[_i % 2][0];
    p.hidden = shapes[_i % 2][1];
    set_granularity(&p, &granularities[_i / 2]);
    bytes = sizes_of(&p);
    if (bytes.of[QB_ROLE_SCALES] > bytes.of[QB_ROLE_CODES] / 32) {
        return;
    }
    make_tensors(&t, &p, 0);
    for (uint64_t i = 0; i < t.bytes.of[QB_ROLE_INPUT]; i += sizeof(uint16_t) * BLOCK) {
        uint64_t left = t.bytes.of[QB_ROLE_INPUT] - i, state = test_seed() + i;

        for (uint64_t j = 0; j < BLOCK / 256 && 2 * j < left; j++) {
            ((uint16_t *)(t.input + i))[j] =
                qb_format_encode(p.input, (float)(int32_t)test_random(&state) * 0x1p-31f) & 0xFFFF;
        }
        for (uint64_t done = 2 * BLOCK / 256; done < 2 * BLOCK && done < left; done *= 2) {
            memcpy(t.input + i + done, t.input + i, left - done < done ? left - done : done);
        }
    }
    host = (struct qb_tensors)QB_TENSORS(t.input, t.want_codes + GUARD, (float *)(t.want_scales + GUARD));
    memset(t.want_codes, POISON, codes_size(&t));
    memset(t.want_scales, POISON, scales_size(&t));
    check(qb_device_open(qb_backend_find("cpu"), 0, &cpu));
    check(qb_queue_create(cpu, &cpu_queue));
    check(qb_quantize(cpu_queue, &p, &host));
    for (size_t i = 0; i < qb_kernel_count(); i++) {
        const struct qb_kernel *kernel = qb_kernel_at(i);

        if (qb_kernel_supports(kernel, device, &p)) {
            buffers = device_buffers(&t);
            upload(&t);
            check(qb_kernel_run(kernel, queue, &p, &buffers));
            check(qb_queue_synchronize(queue));
            compare(&t, kernel);
        }
    }
    free_tensors(&t);
    qb_queue_destroy(cpu_queue);
    qb_device_close(cpu);
}
END_TEST

int main(void)
{
    const int pairs = COUNT(outputs);
    TCase *values, *shapes, *problems, *repeats;
    Suite *suite;
    int result;

    if (!backend_open(&result)) {
        return result;
    }
    suite = suite_create(TEST_BACKEND);
    values = patient_case("values");
    shapes = patient_case("shapes");
    problems = patient_case("problems");
    repeats = patient_case("repeats");
    tcase_add_loop_test(values, all_16_bit_inputs_static, 0, 2 * pairs);
    tcase_add_loop_test(values, all_16_bit_inputs_dynamic, 0, 2 * pairs);
    tcase_add_loop_test(values, random_float_bits, 0, pairs);
    tcase_add_loop_test(values, floats_near_rounding_boundaries, 0, pairs);
    tcase_add_loop_test(values, unusual_data, 0, COUNT(granularities));
    if (strcmp(TEST_BACKEND, "cpu") == 0) {
        tcase_add_loop_test(values, codes_past_the_caches, 0, COUNT(granularities));
    }
    tcase_add_loop_test(shapes, shapes_strides_offsets, 0, COUNT(granularities));
    tcase_add_loop_test(shapes, few_rows_of_full_chunks, 0, COUNT(few_tilings));
    if (strcmp(TEST_BACKEND, "cuda") == 0) {
        tcase_add_loop_test(shapes, rows_of_channels_by_where_they_are_kept, 0, 9);
        tcase_add_loop_test(shapes, tensors_of_more_and_more_blocks, 0, 3);
    }
    tcase_add_loop_test(shapes, long_and_short_rows, 0, COUNT(granularities));
    tcase_add_loop_test(shapes, more_than_2_to_the_31_elements, 0, COUNT(granularities));
    tcase_add_loop_test(shapes, dense_with_more_than_2_to_the_31_elements, 0, 2 * COUNT(granularities));
    tcase_add_loop_test(repeats, graph_replays_with_changed_input, 0, COUNT(granularities));
    tcase_add_loop_test(repeats, many_runs_with_changing_data, 0, COUNT(granularities));
    tcase_add_loop_test(repeats, dependent_launches, 0, COUNT(granularities));
    tcase_add_loop_test(repeats, two_threads_with_queues_of_their_own, 0, COUNT(granularities));
    if (strcmp(TEST_BACKEND, "cuda") == 0) {
        tcase_add_test(repeats, many_launches_of_few_blocks);
    }
    tcase_add_test(repeats, mix_keeps_to_its_ranges);
    tcase_add_test(repeats, compare_finds_each_byte);
    tcase_add_loop_test(repeats, floor_of_every_kernel, 0, COUNT(granularities));
    tcase_add_test(repeats, any_number_of_threads_gives_the_same);
    tcase_add_test(problems, many_problems_in_turn);
    tcase_add_test(problems, arguments_are_checked_each_time);
    suite_add_tcase(suite, values);
    suite_add_tcase(suite, shapes);
    suite_add_tcase(suite, problems);
    suite_add_tcase(suite, repeats);
    return backend_run(suite);
}
