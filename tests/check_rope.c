/* SPDX-License-Identifier: Apache-2.0 */
/* check_rope.c - the values of rotary position embedding: against the formulas written out again in double, and against
 * rotations that are known; positions, which are checked before anything is written; and what is not rotated. */
#include <config.h>

#include "quantbench.h"
#include "run.h"

#include <math.h>
#include <string.h>

static const enum qb_format formats[] = {QB_FORMAT_F16, QB_FORMAT_BF16, QB_FORMAT_F32};

static float element_of(enum qb_format format, const void *tensor, uint64_t i)
{
    return qb_format_decode(format,
                            format == QB_FORMAT_F32 ? ((const uint32_t *)tensor)[i] : ((const uint16_t *)tensor)[i]);
}

static void put(enum qb_format format, void *tensor, uint64_t i, float value)
{
    const uint32_t code = qb_format_encode(format, value);

    if (format == QB_FORMAT_F32) {
        ((uint32_t *)tensor)[i] = code;
    } else {
        ((uint16_t *)tensor)[i] = (uint16_t)code;
    }
}

static enum qb_format angle_format(const struct qb_problem *p)
{
    return p->weights == QB_WEIGHTS_FLOAT ? QB_FORMAT_F32 : p->input;
}

static enum qb_format value_format(const struct qb_problem *p)
{
    return p->intermediate == QB_INTERMEDIATE_FLOAT ? QB_FORMAT_F32 : p->input;
}

static struct qb_problem problem_of(uint64_t tokens, uint64_t heads, uint64_t head_size, uint64_t rotary)
{
    struct qb_problem p;

    qb_problem_init(&p);
    p.operation = QB_OPERATION_ROPE;
    p.tokens = tokens;
    p.hidden = heads * head_size;
    p.head_size = head_size;
    p.rotary = rotary;
    p.positions = 7;
    return p;
}

/* Room for the tensors of P, whose members are all set, and random numbers for those that are read. */
static void make(const struct qb_problem *p, struct qb_tensors *t)
{
    uint64_t state = test_seed();

    *t = (struct qb_tensors){.size = sizeof *t};
    for (int role = 0; role < QB_ROLE_COUNT; role++) {
        struct qb_tensor_info info = {.size = sizeof info};

        ck_assert_msg(qb_problem_tensor(p, (enum qb_role)role, &info) == QB_OK, "%s", qb_error_detail());
        t->at[role] = info.present ? calloc(1, info.bytes + 1) : NULL;
        for (uint64_t i = 0; info.read && i < info.bytes * 8 / info.bits; i++) {
            const uint64_t random = test_random(&state) >> 8;

            if (role == QB_ROLE_POSITIONS) { /* the last, the first, and others, some of them again */
                ((int64_t *)t->at[role])[i] = i == 0 ? 6 : i == 1 ? 0 : (int64_t)(random % 7);
            } else {
                put(info.format, t->at[role], i, ((float)(random & 0xFFFFFF) - 0x1p23f) * 0x1p-22f);
            }
        }
    }
}

static void release(struct qb_tensors *t)
{
    for (int role = 0; role < QB_ROLE_COUNT; role++) {
        free(t->at[role]);
    }
}

/* The value at COL of row ROW. Products of binary32 are exact in double, and a sum that is rounded to double and then
 * to binary32 is that of a single rounding, as double has more than twice as many bits. */
static float expected(const struct qb_problem *p, const struct qb_tensors *t, uint64_t row, uint64_t col)
{
    const uint64_t head = col / p->head_size, i = col % p->head_size, half = p->rotary / 2;
    const int64_t position = ((const int64_t *)t->at[QB_ROLE_POSITIONS])[row];
    const uint64_t stride = p->input_stride > 0 ? p->input_stride : p->hidden;
    const uint64_t first = row * stride + head * p->head_size, angle = (uint64_t)position * p->rotary;
    uint64_t a, b, pair;
    double c, s;
    float value;

    if (i >= p->rotary) {
        value = element_of(p->input, t->at[QB_ROLE_INPUT], first + i);
        return qb_format_decode(value_format(p), qb_format_encode(value_format(p), value));
    }
    pair = p->pairing == QB_PAIRING_HALVES ? i % half : i / 2;
    a = first + (p->pairing == QB_PAIRING_HALVES ? pair : 2 * pair);
    b = a + (p->pairing == QB_PAIRING_HALVES ? half : 1);
    c = (double)element_of(angle_format(p), t->at[QB_ROLE_ANGLES], angle + pair);
    s = (double)element_of(angle_format(p), t->at[QB_ROLE_ANGLES], angle + half + pair);
    if (first + i == a) {
        const float ac = (float)((double)element_of(p->input, t->at[QB_ROLE_INPUT], a) * c);
        const float bs = (float)((double)element_of(p->input, t->at[QB_ROLE_INPUT], b) * s);

        value = (float)((double)ac - (double)bs);
    } else {
        const float bc = (float)((double)element_of(p->input, t->at[QB_ROLE_INPUT], b) * c);
        const float as = (float)((double)element_of(p->input, t->at[QB_ROLE_INPUT], a) * s);

        value = (float)((double)bc + (double)as);
    }
    return qb_format_decode(value_format(p), qb_format_encode(value_format(p), value));
}

static const struct {
    uint64_t heads, head_size, rotary;
} shapes[] = {{2, 64, 64}, {3, 80, 80}, {40, 128, 128}, {1, 2, 2}, {2, 128, 64}, {3, 5, 4}, {2, 80, 20}, {5, 7, 2}};

START_TEST(rotations_are_those_of_the_formulas)
{
    for (int variant = 0; variant < 36; variant++) {
        struct qb_problem p = problem_of(5, shapes[_i].heads, shapes[_i].head_size, shapes[_i].rotary);
        struct qb_tensors t;

        p.input = formats[variant % 3];
        p.intermediate = (enum qb_intermediate)(variant / 3 % 3);
        p.pairing = (enum qb_pairing)(variant / 9 % 2);
        p.weights = (enum qb_weights)(variant / 18);
        p.input_stride = variant % 2 == 0 ? 0 : p.hidden + 3;
        p.keep_values = 1;
        make(&p, &t);
        ck_assert_msg(qb_reference_values(&p, &t) == QB_OK, "%s", qb_error_detail());
        for (uint64_t i = 0; i < p.tokens * p.hidden; i++) {
            const float got = element_of(value_format(&p), t.at[QB_ROLE_VALUES], i);
            const float want = expected(&p, &t, i / p.hidden, i % p.hidden);

            ck_assert_msg(memcmp(&got, &want, sizeof got) == 0, "variant %d, value %d: got %a, want %a", variant,
                          (int)i, (double)got, (double)want);
        }
        release(&t);
    }
}
END_TEST

/* Of binary32, where a fused multiply-add of either product gives another number. */
START_TEST(products_are_rounded)
{
    static const float x[] = {-0x1.fb326ep+0f, 0x1.796258p+1f}, angles[] = {-0x1.656834p-1f, 0x1.6e9c9ep-1f};
    static const float known[] = {-0x1.74c73p-1f, -0x1.bd05f8p+1f};
    struct qb_problem p = problem_of(1, 1, 2, 2);
    const int64_t position = 0;
    struct qb_tensors t = {.size = sizeof t};
    float values[2];

    p.positions = 1;
    p.input = QB_FORMAT_F32;
    t.at[QB_ROLE_INPUT] = (void *)(uintptr_t)x;
    t.at[QB_ROLE_ANGLES] = (void *)(uintptr_t)angles;
    t.at[QB_ROLE_POSITIONS] = (void *)(uintptr_t)&position;
    t.at[QB_ROLE_VALUES] = values;
    ck_assert_int_eq(qb_reference_values(&p, &t), QB_OK);
    ck_assert_mem_eq(values, known, sizeof known);
    ck_assert(fmaf(x[0], angles[0], -(x[1] * angles[1])) != values[0]);
    ck_assert(fmaf(-x[1], angles[1], x[0] * angles[0]) != values[0]);
    ck_assert(fmaf(x[1], angles[0], x[0] * angles[1]) != values[1]);
    ck_assert(fmaf(x[0], angles[1], x[1] * angles[0]) != values[1]);
}
END_TEST

/* By 0 and by a quarter of a turn, of numbers and of what is none. */
START_TEST(whole_quarters)
{
    const float x[] = {1, 2, 3, 4, 5, 6}, halves[] = {-3, -4, 1, 2, 5, 6}, adjacent[] = {-2, 1, -4, 3, 5, 6};
    struct qb_problem p = problem_of(3, 1, 6, 4);
    int64_t positions[] = {1, 0, 1};
    struct qb_tensors t;

    p.positions = 2;
    p.pairing = (enum qb_pairing)_i;
    p.keep_values = 1;
    make(&p, &t);
    memcpy(t.at[QB_ROLE_POSITIONS], positions, sizeof positions);
    for (uint64_t i = 0; i < 18; i++) {
        put(p.input, t.at[QB_ROLE_INPUT], i, x[i % 6]);
    }
    put(p.input, t.at[QB_ROLE_INPUT], 12, NAN);
    for (uint64_t i = 0; i < 4; i++) {
        put(p.input, t.at[QB_ROLE_ANGLES], i, i < 2);      /* 0 */
        put(p.input, t.at[QB_ROLE_ANGLES], 4 + i, i >= 2); /* a quarter */
    }
    ck_assert_int_eq(qb_reference_values(&p, &t), QB_OK);
    for (uint64_t i = 0; i < 6; i++) {
        const bool is_lost = i == 0 || i == (_i == QB_PAIRING_HALVES ? 2 : 1);

        ck_assert_float_eq(element_of(p.input, t.at[QB_ROLE_VALUES], i),
                           _i == QB_PAIRING_HALVES ? halves[i] : adjacent[i]);
        ck_assert_float_eq(element_of(p.input, t.at[QB_ROLE_VALUES], 6 + i), x[i]);
        ck_assert((((uint16_t *)t.at[QB_ROLE_VALUES])[12 + i] == 0x7E00) == is_lost); /* a single NaN */
    }
    release(&t);
}
END_TEST

/* Each result is refused, by the reference and by the CPU's kernels, before anything is written. */
START_TEST(positions_out_of_range)
{
    static const int64_t wrong[] = {-1, 7, INT64_MAX, INT64_MIN};
    struct qb_problem p = problem_of(4, 2, 8, 8);
    struct qb_device *device;
    struct qb_queue *queue;
    struct qb_tensors t;

    ck_assert_int_eq(qb_device_open(qb_backend_find("cpu"), 0, &device), QB_OK);
    ck_assert_int_eq(qb_queue_create(device, &queue), QB_OK);
    p.keep_values = 1;
    make(&p, &t);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        ((int64_t *)t.at[QB_ROLE_POSITIONS])[3] = wrong[i];
        ck_assert_int_eq(qb_reference_run(&p, &t), QB_ERROR_INVALID);
        ck_assert_ptr_nonnull(strstr(qb_error_detail(), "of token 3; expected 0 to 6"));
        ck_assert_int_eq(qb_reference_values(&p, &t), QB_ERROR_INVALID);
        for (size_t k = 0; k < qb_kernel_count(); k++) {
            if (qb_kernel_supports(qb_kernel_at(k), device, &p)) {
                ck_assert_int_eq(qb_kernel_run(qb_kernel_at(k), queue, &p, &t), QB_ERROR_INVALID);
                ck_assert_ptr_nonnull(strstr(qb_error_detail(), "of token 3; expected 0 to 6"));
            }
        }
    }
    for (uint64_t i = 0; i < p.tokens * p.hidden; i++) {
        ck_assert(((uint8_t *)t.at[QB_ROLE_CODES])[i] == 0 && ((uint16_t *)t.at[QB_ROLE_VALUES])[i] == 0);
    }
    release(&t);
    qb_queue_destroy(queue);
    qb_device_close(device);
}
END_TEST

/* Sizes that are 0 stand for others. */
START_TEST(sizes_have_defaults)
{
    struct qb_problem p, q = {.size = sizeof q};
    struct qb_tensor_info info = {.size = sizeof info};

    qb_problem_init(&p);
    p.operation = QB_OPERATION_ROPE;
    p.tokens = 9;
    p.hidden = 15;
    ck_assert_int_eq(qb_problem_quantization(&p, &q), QB_OK);
    ck_assert(q.head_size == 15 && q.rotary == 14 && q.positions == 9);
    ck_assert_int_eq(qb_problem_tensor(&p, QB_ROLE_ANGLES, &info), QB_OK);
    ck_assert(info.rows == 9 && info.cols == 14 && info.format == QB_FORMAT_F16 && info.traffic == 9 * 14 * 2);
    p.positions = 100;
    p.weights = QB_WEIGHTS_FLOAT;
    ck_assert_int_eq(qb_problem_tensor(&p, QB_ROLE_ANGLES, &info), QB_OK);
    ck_assert(info.rows == 100 && info.format == QB_FORMAT_F32 && info.traffic == 9 * 14 * 4);
    p.positions = 3;
    ck_assert_int_eq(qb_problem_tensor(&p, QB_ROLE_ANGLES, &info), QB_OK);
    ck_assert(info.rows == 3 && info.traffic == 3 * 14 * 4);
    ck_assert_int_eq(qb_problem_tensor(&p, QB_ROLE_POSITIONS, &info), QB_OK);
    ck_assert(info.format == QB_FORMAT_INT64 && info.bits == 64 && info.alignment == 8 && info.rows == 9 &&
              info.cols == 1 && info.traffic == 72 && info.read);
    p.hidden = 1; /* nothing to rotate */
    ck_assert_int_eq(qb_problem_tensor(&p, QB_ROLE_ANGLES, &info), QB_OK);
    ck_assert(info.present && info.cols == 0 && info.bytes == 0);
}
END_TEST

/* Each head is rotated as if it were alone, and so keys may follow queries in a row, with scales of their own: those of
 * groups of columns. */
START_TEST(heads_are_independent)
{
    struct qb_problem both = problem_of(4, 5, 64, 64), one = problem_of(4, 1, 64, 64);
    struct qb_tensors t, single;
    float scales[4 * 5];

    both.granularity = QB_GRANULARITY_GROUP;
    both.group = 64;
    both.scaling = one.scaling = QB_SCALING_STATIC;
    one.input_stride = both.hidden;
    one.output_stride = both.hidden;
    make(&both, &t);
    for (int i = 0; i < 20; i++) {
        scales[i] = i % 5 < 4 ? 0.02f : 0.07f; /* of queries, and of keys */
    }
    memcpy(t.at[QB_ROLE_SCALES], scales, sizeof scales);
    ck_assert_int_eq(qb_reference_run(&both, &t), QB_OK);
    for (uint64_t head = 0; head < 5; head++) {
        uint8_t codes[4 * 5 * 64];

        single = t;
        single.at[QB_ROLE_INPUT] = (uint16_t *)t.at[QB_ROLE_INPUT] + head * 64;
        single.at[QB_ROLE_SCALES] = &scales[head];
        single.at[QB_ROLE_CODES] = codes;
        ck_assert_int_eq(qb_reference_run(&one, &single), QB_OK);
        for (uint64_t row = 0; row < 4; row++) {
            ck_assert_mem_eq(codes + row * 320, (uint8_t *)t.at[QB_ROLE_CODES] + row * 320 + head * 64, 64);
        }
    }
    release(&t);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("rope");
    TCase *tc = patient_case("rope");

    tcase_add_loop_test(tc, rotations_are_those_of_the_formulas, 0, sizeof shapes / sizeof shapes[0]);
    tcase_add_test(tc, products_are_rounded);
    tcase_add_loop_test(tc, whole_quarters, 0, QB_PAIRING_COUNT);
    tcase_add_test(tc, positions_out_of_range);
    tcase_add_test(tc, sizes_have_defaults);
    tcase_add_test(tc, heads_are_independent);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
