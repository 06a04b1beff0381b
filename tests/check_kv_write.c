/* SPDX-License-Identifier: Apache-2.0 */
/* check_kv_write.c - keys and values in the pages of a cache: members, tensors, the place of each code and scale, and
 * what the reference writes there, computed once more by code of this file. */
#include <config.h>

#include "quantbench.h"
#include "run.h"
#include "tensor_info.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define POISON 0xA5

enum { TOKENS = 7, HEADS = 3, PAGES = 4, MOST_HEAD = 20, MOST_PAGE = 5, MOST_SLOTS = PAGES * MOST_PAGE };

/* Half to E4M3, by one scale for the keys and one for the values; pages of 2 tokens. */
static struct qb_problem problem_of(void)
{
    struct qb_problem p;

    qb_problem_init(&p);
    p.operation = QB_OPERATION_KV_WRITE;
    p.output = QB_FORMAT_E4M3;
    p.scaling = QB_SCALING_STATIC;
    p.tokens = TOKENS;
    p.head_size = 8;
    p.hidden = 2 * HEADS * 8;
    p.page_size = 2;
    p.pages = PAGES;
    return p;
}

/* ---- Members --------------------------------------------------------------------------------------------------- */

static const struct {
    const char *word;
    struct qb_problem change; /* members that are not 0 replace those of a valid problem, and UINT64_MAX stands for 0 */
} invalid[] = {
    {"whole heads, of size 7", {.head_size = 7}},
    {"whole heads, of size 48", {.head_size = 48}},
    {"hidden size 47", {.hidden = 47}},
    {"hidden size 24", {.hidden = 24, .head_size = 24}},
    {"hidden size 0", {.hidden = UINT64_MAX}},
    {"4 pages of page size 0", {.page_size = UINT64_MAX}},
    {"0 pages of page size 2", {.pages = UINT64_MAX}},
    {"are more than", {.pages = UINT64_MAX / 2}},
    {"are more than", {.pages = UINT64_MAX / 3, .page_size = UINT64_MAX / 3}},
    {"are more than", {.pages = (uint64_t)1 << 56}},
    {"page layout 2", {.page_layout = (enum qb_page_layout)2}},
    {"output stride 49", {.output_stride = 49}},
    {"input stride 47", {.input_stride = 47}},
    {"static or dynamic", {.scaling = QB_SCALING_AMAX}},
    {"granularity tensor or group", {.granularity = QB_GRANULARITY_TOKEN}},
    {"granularity tensor or group", {.granularity = QB_GRANULARITY_CHANNEL}},
    {"granularity tensor or group", {.granularity = QB_GRANULARITY_BLOCK, .block_rows = 1, .block_cols = 1}},
    {"group size 0", {.granularity = QB_GRANULARITY_GROUP}},
    {"divides head size 8", {.granularity = QB_GRANULARITY_GROUP, .group = 3}},
    {"divides head size 8", {.granularity = QB_GRANULARITY_GROUP, .group = 16}},
    {"codes of 8 bits", {.output = QB_FORMAT_E2M1}},
    {"scales in float", {.scale_format = QB_FORMAT_E8M0}},
    {"zero points", {.output = QB_FORMAT_INT8, .zero_points = QB_ZERO_POINTS_INT8}},
    {"input format 4", {.input = QB_FORMAT_E4M3}},
    {"output format 99", {.output = (enum qb_format)99}},
    {"tokens", {.tokens = UINT64_MAX / 64}},
};

START_TEST(members_out_of_range_are_named)
{
    struct qb_problem p = problem_of();
    const struct qb_problem *change = &invalid[_i].change;

#define CHANGE(member) p.member = change->member != 0 ? change->member : p.member
#define CHANGE_SIZE(member)                                                                                            \
    p.member = change->member == UINT64_MAX ? 0 : change->member != 0 ? change->member : p.member
    CHANGE(input);
    CHANGE(output);
    CHANGE(scale_format);
    CHANGE(granularity);
    CHANGE(scaling);
    CHANGE(zero_points);
    CHANGE(input_stride);
    CHANGE(output_stride);
    CHANGE(group);
    CHANGE(block_rows);
    CHANGE(block_cols);
    CHANGE(page_layout);
    CHANGE_SIZE(tokens);
    CHANGE_SIZE(hidden);
    CHANGE_SIZE(head_size);
    CHANGE_SIZE(page_size);
    CHANGE_SIZE(pages);
    ck_assert_int_eq(qb_problem_validate(&p), QB_ERROR_INVALID);
    ck_assert_msg(strstr(qb_error_detail(), invalid[_i].word) != NULL, "'%s' does not hold '%s'", qb_error_detail(),
                  invalid[_i].word);
}
END_TEST

START_TEST(valid_members)
{
    struct qb_problem p = problem_of();

    ck_assert_msg(qb_problem_validate(&p) == QB_OK, "%s", qb_error_detail());
    p.output_stride = p.hidden;
    p.head_size = 0; /* one head */
    p.granularity = QB_GRANULARITY_GROUP;
    p.group = 6;
    ck_assert_msg(qb_problem_validate(&p) == QB_OK, "%s", qb_error_detail());
    p.scaling = QB_SCALING_DYNAMIC;
    ck_assert_msg(qb_problem_validate(&p) == QB_OK, "%s", qb_error_detail());
    p.granularity = QB_GRANULARITY_TOKEN;
    ck_assert_msg(qb_problem_validate(&p) == QB_OK, "%s", qb_error_detail());
    p.granularity = QB_GRANULARITY_TENSOR;
    ck_assert_int_eq(qb_problem_validate(&p), QB_ERROR_INVALID);
    ck_assert_str_eq(qb_page_layout_name(QB_PAGE_LAYOUT_NHD), "nhd");
    ck_assert_str_eq(qb_page_layout_name(QB_PAGE_LAYOUT_HND), "hnd");
    ck_assert_ptr_null(qb_page_layout_name((enum qb_page_layout)QB_PAGE_LAYOUT_COUNT));
}
END_TEST

/* ---- Tensors --------------------------------------------------------------------------------------------------- */

START_TEST(tensors_of_a_cache)
{
    struct qb_problem p = problem_of();
    uint64_t read, written;

    tensor_is(&p, QB_ROLE_INPUT, false, 16, TOKENS, 48, 48, TOKENS * 96);
    tensor_is(&p, QB_ROLE_SLOTS, false, 64, TOKENS, 1, 1, TOKENS * 8);
    tensor_is(&p, QB_ROLE_SCALES, false, 32, 1, 2, 2, 8);
    tensor_is(&p, QB_ROLE_CODES, true, 8, 2 * PAGES * 2, 24, 24, TOKENS * 48);
    p.page_layout = QB_PAGE_LAYOUT_HND;
    tensor_is(&p, QB_ROLE_CODES, true, 8, 2 * PAGES * HEADS * 2, 8, 8, TOKENS * 48);
    p.granularity = QB_GRANULARITY_GROUP;
    p.group = 4;
    tensor_is(&p, QB_ROLE_SCALES, false, 32, 1, 12, 12, 48);
    p.scaling = QB_SCALING_DYNAMIC;
    tensor_is(&p, QB_ROLE_SCALES, true, 32, 2 * PAGES * 2, 6, 6, TOKENS * 48);
    p.granularity = QB_GRANULARITY_TOKEN;
    tensor_is(&p, QB_ROLE_SCALES, true, 32, 2 * PAGES * 2, 1, 1, TOKENS * 8);
    qb_problem_traffic(&p, &read, &written);
    ck_assert_uint_eq(read, TOKENS * (96 + 8));
    ck_assert_uint_eq(written, TOKENS * (48 + 8));
}
END_TEST

/* ---- Places ---------------------------------------------------------------------------------------------------- */

/* The place of element ELEMENT of head HEAD of the keys (SIDE 0) or values, as loops over the cache count it. */
static uint64_t place_of(const struct qb_problem *p, uint64_t side, uint64_t slot, uint64_t head, uint64_t element)
{
    const uint64_t heads = p->hidden / 2 / p->head_size;
    const bool nhd = p->page_layout == QB_PAGE_LAYOUT_NHD;
    uint64_t count = 0;

    for (uint64_t s = 0; s < 2; s++) {
        for (uint64_t page = 0; page < p->pages; page++) {
            for (uint64_t a = 0; a < (nhd ? p->page_size : heads); a++) {
                for (uint64_t b = 0; b < (nhd ? heads : p->page_size); b++) {
                    for (uint64_t e = 0; e < p->head_size; e++, count++) {
                        if (s == side && page * p->page_size + (nhd ? a : b) == slot && (nhd ? b : a) == head &&
                            e == element) {
                            return count;
                        }
                    }
                }
            }
        }
    }
    ck_abort();
}

START_TEST(each_code_has_a_place)
{
    struct qb_problem p = problem_of();
    uint64_t offset;

    p.page_layout = (enum qb_page_layout)_i;
    p.page_size = 3;
    for (uint64_t slot = 0; slot < p.pages * p.page_size; slot++) {
        for (uint64_t col = 0; col < p.hidden; col++) {
            ck_assert_int_eq(qb_problem_code_offset(&p, slot, col, &offset), QB_OK);
            ck_assert_uint_eq(offset, place_of(&p, col / 24, slot, col % 24 / 8, col % 8));
        }
    }
    ck_assert_int_eq(qb_problem_code_offset(&p, p.pages * p.page_size, 0, &offset), QB_ERROR_INVALID);
    ck_assert_int_eq(qb_problem_code_offset(&p, 0, p.hidden, &offset), QB_ERROR_INVALID);
    ck_assert_int_eq(qb_problem_scale_offset(&p, 0, 1, &offset), QB_OK);
    ck_assert_uint_eq(offset, 4);
    ck_assert_int_eq(qb_problem_scale_offset(&p, 1, 0, &offset), QB_ERROR_INVALID);
    p.scaling = QB_SCALING_DYNAMIC;
    p.granularity = QB_GRANULARITY_GROUP;
    p.group = 8;
    ck_assert_int_eq(qb_problem_scale_offset(&p, 11, 4, &offset), QB_OK);
    ck_assert_uint_eq(offset, 4 * ((12 + 11) * 3 + 1));
    ck_assert_int_eq(qb_problem_scale_offset(&p, 12, 0, &offset), QB_ERROR_INVALID);
    ck_assert_int_eq(qb_problem_scale_offset(&p, 0, 6, &offset), QB_ERROR_INVALID);
}
END_TEST

/* Of other operations rows are those of the codes, with their gaps, and codes of less than a byte share one. */
START_TEST(codes_of_rows_have_a_place)
{
    struct qb_problem p;
    uint64_t offset;

    qb_problem_init(&p);
    p.tokens = 3;
    p.hidden = 10;
    p.output_stride = 12;
    ck_assert_int_eq(qb_problem_code_offset(&p, 2, 9, &offset), QB_OK);
    ck_assert_uint_eq(offset, 33);
    p.output = QB_FORMAT_E2M1;
    ck_assert_int_eq(qb_problem_code_offset(&p, 2, 9, &offset), QB_OK);
    ck_assert_uint_eq(offset, 16);
    p.output = QB_FORMAT_E2M3;
    p.packing = QB_PACKING_DENSE;
    ck_assert_int_eq(qb_problem_code_offset(&p, 1, 9, &offset), QB_OK);
    ck_assert_uint_eq(offset, 9 + 6);
    ck_assert_int_eq(qb_problem_code_offset(&p, 3, 0, &offset), QB_ERROR_INVALID);
    ck_assert_int_eq(qb_problem_code_offset(&p, 0, 10, &offset), QB_ERROR_INVALID);
}
END_TEST

/* ---- The reference --------------------------------------------------------------------------------------------- */

/* The memory of a run. */
struct memory {
    uint16_t input[TOKENS * (2 * HEADS * MOST_HEAD + 3)];
    uint8_t codes[2 * MOST_SLOTS * HEADS * MOST_HEAD], want[2 * MOST_SLOTS * HEADS * MOST_HEAD];
    float scales[2 * MOST_SLOTS * HEADS * MOST_HEAD], want_scales[2 * MOST_SLOTS * HEADS * MOST_HEAD];
    int64_t slots[TOKENS];
};

static struct qb_tensors tensors_in(struct memory *m)
{
    struct qb_tensors tensors = QB_TENSORS(m->input, m->codes, m->scales);

    tensors.at[QB_ROLE_SLOTS] = m->slots;
    return tensors;
}

/* Fill the input, the slots, of which two are left out, and the scales that are given; poison what is written. */
static void fill(const struct qb_problem *p, struct memory *m)
{
    uint64_t state = test_seed();
    const uint64_t slots = p->pages * p->page_size;

    for (size_t i = 0; i < sizeof m->input / 2; i++) {
        m->input[i] = (uint16_t)qb_format_encode(p->input, (float)((int64_t)(test_random(&state) % 2000) - 1000) / 300);
    }
    for (uint64_t i = 0; i < TOKENS; i++) {
        m->slots[i] = (int64_t)((i * 3 + 1) % slots); /* 3 does not divide SLOTS */
    }
    m->slots[2] = -1;
    m->slots[5] = INT64_MIN;
    memset(m->codes, POISON, sizeof m->codes);
    memset(m->want, POISON, sizeof m->want);
    memset(m->scales, POISON, sizeof m->scales);
    if (p->scaling == QB_SCALING_STATIC) {
        for (uint64_t i = 0; i < p->hidden; i++) {
            m->scales[i] = 0.01f * (float)(i + 1);
        }
    }
    memcpy(m->want_scales, m->scales, sizeof m->scales);
}

/* Compute what is right for the elements of group GROUP of a token, which all share a scale. */
static void expect_group(const struct qb_problem *p, struct memory *m, uint64_t token, uint64_t group, uint64_t size)
{
    const uint64_t half = p->hidden / 2, first = group * size, side = first / half;
    const uint64_t slots = p->pages * p->page_size, slot = (uint64_t)m->slots[token];
    const uint16_t *row = m->input + token * (p->input_stride != 0 ? p->input_stride : p->hidden);
    float scale, amax = 0;

    for (uint64_t i = first; i < first + size; i++) {
        const float x = fabsf(qb_format_decode(p->input, row[i]));

        amax = x > amax ? x : amax;
    }
    if (p->scaling == QB_SCALING_STATIC) {
        scale = m->scales[group];
    } else {
        scale = amax / qb_format_info(p->output)->largest;
        m->want_scales[(side * slots + slot) * (half / size) + group % (half / size)] = scale;
    }
    for (uint64_t i = first; i < first + size; i++) {
        const uint64_t in_side = i % half;

        m->want[place_of(p, side, slot, in_side / p->head_size, in_side % p->head_size)] =
            (uint8_t)qb_format_encode(p->output, qb_format_decode(p->input, row[i]) / scale);
    }
}

static void compare(const struct qb_problem *p)
{
    static struct memory m;
    const struct qb_tensors tensors = tensors_in(&m);
    const uint64_t size = p->granularity == QB_GRANULARITY_GROUP ? p->group : p->hidden / 2;

    fill(p, &m);
    for (uint64_t token = 0; token < p->tokens; token++) {
        for (uint64_t group = 0; group < p->hidden / size && m.slots[token] >= 0; group++) {
            expect_group(p, &m, token, group, size);
        }
    }
    ck_assert_msg(qb_reference_run(p, &tensors) == QB_OK, "%s", qb_error_detail());
    ck_assert_mem_eq(m.codes, m.want, sizeof m.want);
    ck_assert_mem_eq(m.scales, m.want_scales, sizeof m.want_scales);
}

/* Each layout, with scales of all kinds, pages of 1, of several and of an odd number of tokens, and gaps in the input.
 */
START_TEST(the_reference_writes_what_is_right)
{
    static const uint64_t heads[] = {1, 8, 20}, pages[] = {2, 4, 5};
    static const enum qb_format outputs[] = {QB_FORMAT_INT8, QB_FORMAT_E4M3, QB_FORMAT_E5M2};

    for (int i = 0; i < 3 * 3 * 2 * 2 * 3; i++) {
        struct qb_problem p = problem_of();

        p.input = i % 2 ? QB_FORMAT_BF16 : QB_FORMAT_F16;
        p.output = outputs[i % 3];
        p.page_layout = (enum qb_page_layout)(i / 9 % 2);
        p.page_size = pages[i / 3 % 3];
        p.head_size = heads[_i];
        p.hidden = 2 * HEADS * p.head_size;
        p.input_stride = i % 5 == 0 ? p.hidden + 3 : 0;
        p.scaling = i / 18 % 2 ? QB_SCALING_DYNAMIC : QB_SCALING_STATIC;
        p.granularity = i / 36 > 0                       ? QB_GRANULARITY_GROUP
                        : p.scaling == QB_SCALING_STATIC ? QB_GRANULARITY_TENSOR
                                                         : QB_GRANULARITY_TOKEN;
        p.group = i / 36 == 1 ? p.head_size : (p.head_size + 3) / 4;
        compare(&p);
    }
}
END_TEST

/* A page for each token: 8 of them. */
START_TEST(pages_of_one_token)
{
    struct qb_problem p = problem_of();

    p.page_size = 1;
    p.pages = 8;
    p.page_layout = (enum qb_page_layout)_i;
    compare(&p);
}
END_TEST

/* The reference and every kernel of the CPU refuse a slot that is not there, and leave all as it is. */
START_TEST(slots_out_of_range_are_refused)
{
    static const int64_t slots[] = {8, 9, INT64_MAX};
    static struct memory m;
    struct qb_problem p = problem_of();
    struct qb_tensors tensors = tensors_in(&m);
    struct qb_device *device;
    struct qb_queue *queue;
    unsigned run = 0;

    ck_assert_int_eq(qb_device_open(qb_backend_find("cpu"), 0, &device), QB_OK);
    ck_assert_int_eq(qb_queue_create(device, &queue), QB_OK);
    fill(&p, &m);
    m.slots[TOKENS - 1] = slots[_i];
    ck_assert_int_eq(qb_reference_run(&p, &tensors), QB_ERROR_INVALID);
    ck_assert_msg(strstr(qb_error_detail(), " of token 6; the cache has 8 slots") != NULL, "%s", qb_error_detail());
    for (size_t i = 0; i < qb_kernel_count(); i++) {
        if (qb_kernel_supports(qb_kernel_at(i), device, &p)) {
            ck_assert_int_eq(qb_kernel_run(qb_kernel_at(i), queue, &p, &tensors), QB_ERROR_INVALID);
            ck_assert_msg(strstr(qb_error_detail(), " of token 6;") != NULL, "%s", qb_error_detail());
            run++;
        }
    }
    ck_assert_uint_gt(run, 0);
    ck_assert_mem_eq(m.codes, m.want, sizeof m.want);
    tensors.at[QB_ROLE_SLOTS] = NULL;
    ck_assert_int_eq(qb_reference_run(&p, &tensors), QB_ERROR_INVALID);
    ck_assert_msg(strstr(qb_error_detail(), "the tensor of the slots is NULL") != NULL, "%s", qb_error_detail());
    qb_queue_destroy(queue);
    qb_device_close(device);
}
END_TEST

/* Codes and scales are those of the problem's quantization, in other places. */
START_TEST(the_quantization_has_the_same_codes)
{
    struct qb_problem p = problem_of(), q = {.size = sizeof q};

    p.scaling = _i % 2 ? QB_SCALING_DYNAMIC : QB_SCALING_STATIC;
    p.granularity = _i / 2 ? QB_GRANULARITY_GROUP : _i % 2 ? QB_GRANULARITY_TOKEN : QB_GRANULARITY_TENSOR;
    p.group = 4;
    p.input_stride = 51;
    ck_assert_int_eq(qb_problem_quantization(&p, &q), QB_OK);
    ck_assert_int_eq(q.operation, QB_OPERATION_QUANTIZE);
    ck_assert_uint_eq(q.tokens, TOKENS);
    ck_assert_uint_eq(q.hidden, 48);
    ck_assert_uint_eq(q.input_stride, 48);
    for (int of = 0; of < 2; of++) {
        uint64_t rows, cols, tile_rows, tile_cols;

        qb_problem_scale_shape(of ? &q : &p, &rows, &cols);
        qb_problem_tile(of ? &q : &p, &tile_rows, &tile_cols);
        ck_assert_uint_eq(rows, _i % 2 ? TOKENS : 1);
        ck_assert_uint_eq(cols, _i / 2 ? 12 : 2);
        ck_assert_uint_eq(tile_rows, _i % 2 ? 1 : TOKENS);
        ck_assert_uint_eq(tile_cols, _i / 2 ? 4 : 24);
    }
    ck_assert_int_eq(qb_reference_values(&p, &(struct qb_tensors){.size = sizeof(struct qb_tensors)}),
                     QB_ERROR_INVALID);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("kv_write");
    TCase *tc = patient_case("problems");

    tcase_add_loop_test(tc, members_out_of_range_are_named, 0, sizeof invalid / sizeof invalid[0]);
    tcase_add_test(tc, valid_members);
    tcase_add_test(tc, tensors_of_a_cache);
    tcase_add_loop_test(tc, each_code_has_a_place, 0, QB_PAGE_LAYOUT_COUNT);
    tcase_add_test(tc, codes_of_rows_have_a_place);
    tcase_add_loop_test(tc, the_quantization_has_the_same_codes, 0, 4);
    suite_add_tcase(suite, tc);
    tc = patient_case("runs");
    tcase_add_loop_test(tc, the_reference_writes_what_is_right, 0, 3);
    tcase_add_loop_test(tc, pages_of_one_token, 0, QB_PAGE_LAYOUT_COUNT);
    tcase_add_loop_test(tc, slots_out_of_range_are_refused, 0, 3);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
