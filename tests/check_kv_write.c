/* SPDX-License-Identifier: Apache-2.0 */
/* check_kv_write.c - keys and values in the pages of a cache: members, tensors, the place of each code and scale, and
 * what the reference writes and reads there, computed once more by code of this file. */
#include <config.h>

#include "quantbench.h"
#include "run.h"
#include "tensor_info.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define POISON 0xA5

enum { TOKENS = 7, HEADS = 3, PAGES = 4, MOST_HEAD = 20, MOST_PAGE = 5, MOST_SLOTS = PAGES * MOST_PAGE };

static const enum qb_operation cached[] = {QB_OPERATION_KV_WRITE, QB_OPERATION_KV_READ};

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

/* The same in NVFP4, of heads of 32. */
static struct qb_problem nvfp4_of(void)
{
    struct qb_problem p = problem_of();

    p.output = QB_FORMAT_E2M1;
    p.scale_format = QB_FORMAT_E4M3;
    p.granularity = QB_GRANULARITY_GROUP;
    p.group = 16;
    p.scaling = QB_SCALING_DYNAMIC;
    p.tensor_scale = QB_TENSOR_SCALE_GIVEN;
    p.head_size = 32;
    p.hidden = 2 * HEADS * 32;
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

/* Change those of P. */
static void change_members(struct qb_problem *p, const struct qb_problem *change)
{
#define CHANGE(member) p->member = change->member != 0 ? change->member : p->member
#define CHANGE_SIZE(member)                                                                                            \
    p->member = change->member == UINT64_MAX ? 0 : change->member != 0 ? change->member : p->member
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
    CHANGE(scale_layout);
    CHANGE(tensor_scale);
    CHANGE(tensor_scale_cols);
    CHANGE_SIZE(tokens);
    CHANGE_SIZE(hidden);
    CHANGE_SIZE(head_size);
    CHANGE_SIZE(page_size);
    CHANGE_SIZE(pages);
}

/* Fail unless P is invalid, and the reason has WORD. */
static void refused(const struct qb_problem *p, const char *word)
{
    ck_assert_int_eq(qb_problem_validate(p), QB_ERROR_INVALID);
    ck_assert_msg(strstr(qb_error_detail(), word) != NULL, "'%s' does not hold '%s'", qb_error_detail(), word);
}

START_TEST(members_out_of_range_are_named)
{
    struct qb_problem p = problem_of();

    p.operation = cached[_i % 2];
    change_members(&p, &invalid[_i / 2].change);
    refused(&p, invalid[_i / 2].word);
}
END_TEST

static const struct {
    const char *word;
    struct qb_problem change; /* as above */
} invalid_nvfp4[] = {
    {" in NVFP4 requires a multiple of 16", {.head_size = 24, .hidden = 144}},
    {"head size 8; kv-", {.head_size = 8}},
    {"groups of 16", {.group = 32}},
    {"groups of 16", {.group = 8}},
    {"codes in e2m1", {.output = QB_FORMAT_INT4}},
    {"codes in e2m1", {.output = QB_FORMAT_E4M3}},
    {"scales in e4m3 rows", {.scale_format = QB_FORMAT_E8M0}},
    {"scales in e4m3 rows", {.scale_layout = QB_SCALE_LAYOUT_TILED_128X4}},
    {"without zero points", {.zero_points = QB_ZERO_POINTS_INT8}},
    {"requires dynamic scaling", {.scaling = QB_SCALING_STATIC}},
    {"tensor scales that are given", {.tensor_scale = QB_TENSOR_SCALE_COMPUTED}},
    {"tensor scales of 48 columns; expected a divisor of 96 and a multiple of 32", {.tensor_scale_cols = 48}},
    {"tensor scales of 64 columns", {.tensor_scale_cols = 64}},
    {"tensor scales of 16 columns", {.tensor_scale_cols = 16}},
    {"tensor scales of 192 columns", {.tensor_scale_cols = 192}},
};

START_TEST(members_of_nvfp4_out_of_range_are_named)
{
    struct qb_problem p = nvfp4_of();

    p.operation = cached[_i % 2];
    change_members(&p, &invalid_nvfp4[_i / 2].change);
    refused(&p, invalid_nvfp4[_i / 2].word);
}
END_TEST

/* Fail if a kernel supports P, which is valid. */
static void no_kernel_supports(const struct qb_problem *p)
{
    ck_assert_msg(qb_problem_validate(p) == QB_OK, "%s", qb_error_detail());
    for (size_t i = 0; i < qb_kernel_count(); i++) {
        struct qb_device *device;

        if (qb_device_open(qb_kernel_backend(qb_kernel_at(i)), 0, &device) == QB_OK) {
            ck_assert(!qb_kernel_supports(qb_kernel_at(i), device, p));
            qb_device_close(device);
        }
    }
}

/* Several tensor scales: of what, and of what not. No kernel quantizes rows under them. */
START_TEST(several_tensor_scales)
{
    struct qb_problem p = nvfp4_of();

    p.tensor_scale_cols = 96;
    ck_assert_msg(qb_problem_validate(&p) == QB_OK, "%s", qb_error_detail());
    p.tensor_scale_cols = 32;
    ck_assert_msg(qb_problem_validate(&p) == QB_OK, "%s", qb_error_detail());
    p.tensor_scale = QB_TENSOR_SCALE_NONE;
    refused(&p, "tensor scales that are given");
    p.tensor_scale = QB_TENSOR_SCALE_COMPUTED;
    p.operation = QB_OPERATION_QUANTIZE;
    ck_assert_msg(qb_problem_validate(&p) == QB_OK, "%s", qb_error_detail());
    p.tensor_scale_cols = 48;
    ck_assert_msg(qb_problem_validate(&p) == QB_OK, "%s", qb_error_detail());
    tensor_is(&p, QB_ROLE_TENSOR_SCALE, true, 32, 4, 1, 1, 16);
    no_kernel_supports(&p);
    p.operation = QB_OPERATION_DEQUANTIZE;
    p.scaling = QB_SCALING_STATIC;
    p.tensor_scale = QB_TENSOR_SCALE_GIVEN;
    no_kernel_supports(&p);
    p.operation = QB_OPERATION_QUANTIZE;
    p.experts = 1;
    refused(&p, "no experts");
    p.experts = 0;
    p.operation = QB_OPERATION_SILU_MUL;
    refused(&p, "require quantize, dequantize, kv-write or kv-read");
    p.operation = QB_OPERATION_QUANTIZE;
    p.tensor_scale_cols = 40;
    refused(&p, "expected a divisor of 192 and a multiple of 16");
    p.tensor_scale_cols = 16;
    p.tensor_scale = QB_TENSOR_SCALE_NONE;
    refused(&p, "with a tensor scale");
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
    p.operation = QB_OPERATION_KV_READ;
    tensor_is(&p, QB_ROLE_VALUES, true, 16, TOKENS, 48, 48, TOKENS * 96);
    tensor_is(&p, QB_ROLE_CODES, false, 8, 2 * PAGES * HEADS * 2, 8, 8, TOKENS * 48);
    tensor_is(&p, QB_ROLE_SCALES, false, 32, 2 * PAGES * 2, 1, 1, TOKENS * 8);
    qb_problem_traffic(&p, &read, &written);
    ck_assert_uint_eq(read, TOKENS * (48 + 8 + 8));
    ck_assert_uint_eq(written, TOKENS * 96);
}
END_TEST

START_TEST(tensors_of_nvfp4)
{
    struct qb_problem p = nvfp4_of();
    uint64_t read, written;

    tensor_is(&p, QB_ROLE_INPUT, false, 16, TOKENS, 192, 192, TOKENS * 384);
    tensor_is(&p, QB_ROLE_TENSOR_SCALE, false, 32, 2, 1, 1, 8);
    tensor_is(&p, QB_ROLE_CODES, true, 4, 2 * PAGES * 2, 96, 96, TOKENS * 96);
    tensor_is(&p, QB_ROLE_SCALES, true, 8, 2 * PAGES * 2, 6, 6, TOKENS * 12);
    p.page_layout = QB_PAGE_LAYOUT_HND;
    p.tensor_scale_cols = 32;
    tensor_is(&p, QB_ROLE_TENSOR_SCALE, false, 32, 6, 1, 1, 24);
    tensor_is(&p, QB_ROLE_CODES, true, 4, 2 * PAGES * HEADS * 2, 32, 32, TOKENS * 96);
    tensor_is(&p, QB_ROLE_SCALES, true, 8, 2 * PAGES * HEADS * 2, 2, 2, TOKENS * 12);
    qb_problem_traffic(&p, &read, &written);
    ck_assert_uint_eq(read, TOKENS * (384 + 8) + 24);
    ck_assert_uint_eq(written, TOKENS * (96 + 12));
    p.operation = QB_OPERATION_KV_READ;
    tensor_is(&p, QB_ROLE_TENSOR_SCALE, false, 32, 6, 1, 1, 24);
    qb_problem_traffic(&p, &read, &written);
    ck_assert_uint_eq(read, TOKENS * (96 + 12 + 8) + 24);
    ck_assert_uint_eq(written, TOKENS * 384);
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

/* The same of NVFP4: two codes have a byte, and scales are where their codes are. */
START_TEST(each_code_and_scale_of_nvfp4_has_a_place)
{
    struct qb_problem p = nvfp4_of();
    uint64_t offset;

    p.page_layout = (enum qb_page_layout)_i;
    p.page_size = 3;
    for (uint64_t slot = 0; slot < p.pages * p.page_size; slot++) {
        for (uint64_t col = 0; col < p.hidden; col++) {
            const uint64_t place = place_of(&p, col / 96, slot, col % 96 / 32, col % 32);

            ck_assert_int_eq(qb_problem_code_offset(&p, slot, col, &offset), QB_OK);
            ck_assert_uint_eq(offset, place / 2);
            ck_assert_int_eq(qb_problem_scale_offset(&p, slot, col / 16, &offset), QB_OK);
            ck_assert_uint_eq(offset, place / 16);
        }
    }
    ck_assert_int_eq(qb_problem_scale_offset(&p, 12, 0, &offset), QB_ERROR_INVALID);
    ck_assert_int_eq(qb_problem_scale_offset(&p, 0, 12, &offset), QB_ERROR_INVALID);
}
END_TEST

/* The example of quantbench-numerics(7). */
START_TEST(the_place_in_the_manual)
{
    static const uint64_t codes[] = {1396, 1460}, scales[] = {174, 182};
    struct qb_problem p = nvfp4_of();
    uint64_t offset;
    uint8_t cache[2 * 12 * 64] = {0}, cache_scales[2 * 12 * 8] = {0};
    float tensor_scales[2] = {0.25f, 0.5f}, values[256];
    int64_t slot = 9;
    struct qb_tensors tensors = QB_TENSORS(NULL, cache, (void *)cache_scales);

    p.page_layout = (enum qb_page_layout)_i;
    p.page_size = 4;
    p.pages = 3;
    p.hidden = 2 * 2 * 64;
    p.head_size = 64;
    ck_assert_int_eq(qb_problem_code_offset(&p, 9, 128 + 64 + 40, &offset), QB_OK);
    ck_assert_uint_eq(offset, codes[_i]);
    ck_assert_int_eq(qb_problem_scale_offset(&p, 9, 8 + 4 + 2, &offset), QB_OK);
    ck_assert_uint_eq(offset, scales[_i]);
    p.operation = QB_OPERATION_KV_READ;
    p.input = QB_FORMAT_F32;
    p.tokens = 1;
    cache[codes[_i]] = 0x25;
    cache_scales[scales[_i]] = 0x38;
    tensors.at[QB_ROLE_TENSOR_SCALE] = tensor_scales;
    tensors.at[QB_ROLE_VALUES] = values;
    tensors.at[QB_ROLE_SLOTS] = &slot;
    ck_assert_msg(qb_reference_run(&p, &tensors) == QB_OK, "%s", qb_error_detail());
    ck_assert(values[128 + 64 + 40] == 1.5f);
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

/* The same of what it reads, of the cache that M has: the value of each code by its scale. Rows of tokens without a
 * slot, and the gaps between rows, stay as they are. */
static void compare_read(struct qb_problem p)
{
    static struct memory m;
    static uint16_t values[sizeof m.input / 2], want[sizeof m.input / 2];
    const uint64_t size = p.granularity == QB_GRANULARITY_GROUP ? p.group : p.hidden / 2, half = p.hidden / 2;
    const uint64_t stride = p.input_stride != 0 ? p.input_stride : p.hidden;
    struct qb_tensors tensors = tensors_in(&m);
    uint64_t state = test_seed();

    fill(&p, &m);
    for (size_t i = 0; i < sizeof m.codes; i++) {
        m.codes[i] = (uint8_t)(test_random(&state) >> 8);
        m.scales[i] = 0.003f * (float)(1 + test_random(&state) % 1000);
    }
    m.slots[1] = m.slots[0]; /* which two tokens may read */
    memset(values, POISON, sizeof values);
    memset(want, POISON, sizeof want);
    p.operation = QB_OPERATION_KV_READ;
    p.amax_bound = 0.5f; /* as a write may have: this changes nothing */
    p.keep_values = 1;
    for (uint64_t i = 0; i < p.tokens * p.hidden; i++) {
        const uint64_t row = i / p.hidden, col = i % p.hidden, side = col / half, in_side = col % half;
        const uint64_t slot = (uint64_t)m.slots[row], slots = p.pages * p.page_size;

        if (m.slots[row] >= 0) {
            const uint64_t place = place_of(&p, side, slot, in_side / p.head_size, in_side % p.head_size);
            const float scale = p.scaling == QB_SCALING_STATIC
                                    ? m.scales[col / size]
                                    : m.scales[(side * slots + slot) * (half / size) + in_side / size];

            want[row * stride + col] =
                (uint16_t)qb_format_encode(p.input, qb_format_decode(p.output, m.codes[place]) * scale);
        }
    }
    tensors.at[QB_ROLE_INPUT] = NULL;
    tensors.at[QB_ROLE_VALUES] = values;
    ck_assert_msg(qb_reference_run(&p, &tensors) == QB_OK, "%s", qb_error_detail());
    ck_assert_mem_eq(values, want, sizeof want);
}

/* Each layout, with scales of all kinds, pages of 1, of several and of an odd number of tokens, and gaps in the input,
 * or between the values that are read. */
START_TEST(the_reference_writes_and_reads_what_is_right)
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
        compare_read(p);
    }
}
END_TEST

/* ---- NVFP4 -----------------------------------------------------------------------------------------------------
 */

/* A token whose codes and scales were computed by hand, at the last place of the last page; the values are the keys,
 * under a tensor scale that is twice as large. */
START_TEST(nvfp4_by_hand)
{
    static const uint8_t codes[] = {0xff, 0xef, 0xee, 0xde, 0xdd, 0xbc, 0xab, 0x89,
                                    0x10, 0x32, 0x43, 0x55, 0x65, 0x66, 0x76, 0x77};
    static const uint8_t scales[2][2] = {{0x7e, 0x66}, {0x76, 0x5e}};
    static const float numbers[] = {0, 0.5f, 1, 1.5f, 2, 3, 4, 6, -0.0f, -0.5f, -1, -1.5f, -2, -3, -4, -6};
    static const float read[] = {0x1.4aaaaap-1f, 0x1.4aaaaap-4f}; /* scale x tensor scale */
    float values[64];
    struct qb_problem p = nvfp4_of();
    uint16_t input[64];
    uint8_t got[2 * 4 * 16], got_scales[2 * 4 * 2], want[sizeof got], want_scales[sizeof got_scales];
    float tensor_scales[2] = {0x1.79e79ep-10f, 0x1.79e79ep-9f};
    int64_t slot = 3;
    struct qb_tensors tensors = QB_TENSORS(input, got, (void *)got_scales);

    for (int i = 0; i < 64; i++) {
        input[i] = (uint16_t)qb_format_encode(QB_FORMAT_F16, ((float)(i % 32) - 15.5f) / (i % 32 < 16 ? 4 : 32));
    }
    p.page_layout = (enum qb_page_layout)_i;
    p.tokens = 1;
    p.hidden = 64;
    p.pages = 2;
    tensors.at[QB_ROLE_SLOTS] = &slot;
    tensors.at[QB_ROLE_TENSOR_SCALE] = tensor_scales;
    memset(got, POISON, sizeof got);
    memset(want, POISON, sizeof want);
    memset(got_scales, POISON, sizeof got_scales);
    memset(want_scales, POISON, sizeof want_scales);
    for (size_t side = 0; side < 2; side++) {
        memcpy(want + (side * 4 + 3) * 16, codes, sizeof codes);
        memcpy(want_scales + (side * 4 + 3) * 2, scales[side], sizeof scales[side]);
    }
    ck_assert_msg(qb_reference_run(&p, &tensors) == QB_OK, "%s", qb_error_detail());
    ck_assert_mem_eq(got, want, sizeof want);
    ck_assert_mem_eq(got_scales, want_scales, sizeof want_scales);
    p.operation = QB_OPERATION_KV_READ;
    p.input = QB_FORMAT_F32;
    tensors.at[QB_ROLE_VALUES] = values;
    ck_assert_msg(qb_reference_run(&p, &tensors) == QB_OK, "%s", qb_error_detail());
    for (size_t i = 0; i < 64; i++) {
        const size_t k = i % 32;

        /* The same for keys and values: their scales and tensor scales are powers of two apart. */
        ck_assert_msg(values[i] == read[k / 16] * numbers[codes[k / 2] >> (k % 2 * 4) & 15], "value %zu: got %a", i,
                      (double)values[i]);
    }
}
END_TEST

/* The memory of a run in NVFP4: poison, but for what is read. */
struct nvfp4 {
    uint64_t codes_bytes, scales_bytes;
    uint16_t *input;
    uint8_t *codes, *scales, *want, *want_scales;
    float tensor_scales[2 * HEADS];
    int64_t slots[TOKENS];
};

static uint8_t *poisoned(uint64_t bytes)
{
    uint8_t *memory = malloc(bytes);

    ck_assert_ptr_nonnull(memory);
    memset(memory, POISON, bytes);
    return memory;
}

static struct nvfp4 make_nvfp4(const struct qb_problem *p)
{
    const uint64_t slots = p->pages * p->page_size;
    uint64_t state = test_seed();
    struct nvfp4 m = {.codes_bytes = slots * p->hidden / 2, .scales_bytes = slots * p->hidden / 16};

    m.input = malloc(TOKENS * p->input_stride * sizeof *m.input);
    ck_assert_ptr_nonnull(m.input);
    m.codes = poisoned(m.codes_bytes);
    m.want = poisoned(m.codes_bytes);
    m.scales = poisoned(m.scales_bytes);
    m.want_scales = poisoned(m.scales_bytes);
    for (uint64_t i = 0; i < TOKENS * p->input_stride; i++) {
        m.input[i] = (uint16_t)qb_format_encode(p->input, (float)((int64_t)(test_random(&state) % 2000) - 1000) / 300);
    }
    for (int i = 0; i < 2 * HEADS; i++) {
        m.tensor_scales[i] = 0.001f * (float)(i + 1);
    }
    for (uint64_t i = 0; i < TOKENS; i++) {
        m.slots[i] = (int64_t)((i * 3 + 1) % slots); /* 3 does not divide SLOTS */
    }
    m.slots[2] = -1;
    m.slots[5] = INT64_MIN;
    return m;
}

static void free_nvfp4(struct nvfp4 *m)
{
    free(m->input);
    free(m->codes);
    free(m->scales);
    free(m->want);
    free(m->want_scales);
}

/* Put code and scale of ROW and COL of a quantization, whose first column is FIRST of P, where they belong. */
static void scatter(const struct qb_problem *p, struct nvfp4 *m, uint64_t row, uint64_t first, uint64_t col,
                    const uint8_t *code, const uint8_t *scale)
{
    const uint64_t half = p->hidden / 2, heads = half / p->head_size, side = (first + col) / half;
    const uint64_t head = (first + col) % half / p->head_size, element = (first + col) % p->head_size;
    const uint64_t page = (uint64_t)m->slots[row] / p->page_size, in_page = (uint64_t)m->slots[row] % p->page_size;
    const uint64_t before = side * p->pages + page;
    const uint64_t place = p->page_layout == QB_PAGE_LAYOUT_NHD
                               ? ((before * p->page_size + in_page) * heads + head) * p->head_size + element
                               : ((before * heads + head) * p->page_size + in_page) * p->head_size + element;

    if (place % 2 == 0) {
        m->want[place / 2] = *code;
    }
    if (place % 16 == 0) {
        m->want_scales[place / 16] = *scale;
    }
}

/* Quantize the columns from FIRST on that have one tensor scale, the INDEX-th, alone, and scatter the result. */
static void expect_part(const struct qb_problem *p, struct nvfp4 *m, uint64_t first, uint64_t cols, uint64_t index)
{
    uint8_t *codes = malloc(TOKENS * cols / 2), *scales = malloc(TOKENS * cols / 16);
    struct qb_tensors tensors = QB_TENSORS(m->input + first, codes, (void *)scales);
    struct qb_problem q;

    ck_assert(codes != NULL && scales != NULL);
    qb_problem_init(&q);
    q.input = p->input;
    q.output = QB_FORMAT_E2M1;
    q.scale_format = QB_FORMAT_E4M3;
    q.granularity = QB_GRANULARITY_GROUP;
    q.group = 16;
    q.tensor_scale = QB_TENSOR_SCALE_GIVEN;
    q.tokens = TOKENS;
    q.hidden = cols;
    q.input_stride = p->input_stride;
    q.amax_bound = p->amax_bound;
    tensors.at[QB_ROLE_TENSOR_SCALE] = &m->tensor_scales[index];
    ck_assert_msg(qb_reference_run(&q, &tensors) == QB_OK, "%s", qb_error_detail());
    for (uint64_t i = 0; i < TOKENS * cols; i++) {
        if (m->slots[i / cols] >= 0) {
            scatter(p, m, i / cols, first, i % cols, codes + i / 2, scales + i / 16);
        }
    }
    free(codes);
    free(scales);
}

/* Compare what the reference, and then every kernel of the CPU, writes with what quantizing and scattering gives. */
static void compare_nvfp4(const struct qb_problem *p, struct qb_queue *queue, struct qb_device *device)
{
    const uint64_t cols = p->tensor_scale_cols > 0 ? p->tensor_scale_cols : p->hidden / 2;
    struct nvfp4 m = make_nvfp4(p);
    struct qb_tensors tensors = QB_TENSORS(m.input, m.codes, (void *)m.scales);

    tensors.at[QB_ROLE_SLOTS] = m.slots;
    tensors.at[QB_ROLE_TENSOR_SCALE] = m.tensor_scales;
    for (uint64_t col = 0; col < p->hidden; col += cols) {
        expect_part(p, &m, col, cols, col / cols);
    }
    for (size_t i = 0; i <= qb_kernel_count(); i++) {
        const struct qb_kernel *kernel = i > 0 ? qb_kernel_at(i - 1) : NULL;

        if (kernel != NULL && !qb_kernel_supports(kernel, device, p)) {
            continue;
        }
        memset(m.codes, POISON, m.codes_bytes);
        memset(m.scales, POISON, m.scales_bytes);
        ck_assert_msg((kernel != NULL ? qb_kernel_run(kernel, queue, p, &tensors) : qb_reference_run(p, &tensors)) ==
                          QB_OK,
                      "%s", qb_error_detail());
        ck_assert_mem_eq(m.codes, m.want, m.codes_bytes);
        ck_assert_mem_eq(m.scales, m.want_scales, m.scales_bytes);
    }
    free_nvfp4(&m);
}

/* Each size of heads in each layout: pages of 1 token, of 16 and of 64, gaps in the input, a tensor scale for the keys
 * and one for the values, or one for each head. */
START_TEST(nvfp4_is_quantized_and_then_scattered)
{
    static const uint64_t heads[] = {16, 48, 64, 128, 256}, pages[] = {1, 16, 64};
    struct qb_device *device;
    struct qb_queue *queue;

    ck_assert_int_eq(qb_device_open(qb_backend_find("cpu"), 0, &device), QB_OK);
    ck_assert_int_eq(qb_queue_create(device, &queue), QB_OK);
    for (int i = 0; i < 3 * 2 * 2; i++) {
        struct qb_problem p = nvfp4_of();

        p.input = i % 2 ? QB_FORMAT_BF16 : QB_FORMAT_F16;
        p.page_layout = (enum qb_page_layout)(_i % 2);
        p.page_size = pages[i % 3];
        p.pages = 8 / p.page_size + 2;
        p.head_size = heads[_i / 2];
        p.hidden = 2 * HEADS * p.head_size;
        p.input_stride = p.hidden + (i % 4 == 3 ? 5 : 0);
        p.tensor_scale_cols = i / 6 > 0 ? p.head_size : 0;
        p.amax_bound = i == 7 ? 1.5f : 0;
        compare_nvfp4(&p, queue, device);
    }
    qb_queue_destroy(queue);
    qb_device_close(device);
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
    struct qb_problem p = _i / 3 % 2 > 0 ? nvfp4_of() : problem_of();
    struct qb_tensors tensors = tensors_in(&m);
    uint16_t values[TOKENS * 2 * HEADS * 32], before[sizeof values / sizeof *values];
    float tensor_scales[2] = {1, 2};
    struct qb_device *device;
    struct qb_queue *queue;
    unsigned run = 0;

    ck_assert_int_eq(qb_device_open(qb_backend_find("cpu"), 0, &device), QB_OK);
    ck_assert_int_eq(qb_queue_create(device, &queue), QB_OK);
    p.operation = cached[_i / 6];
    fill(&p, &m);
    m.slots[TOKENS - 1] = slots[_i % 3];
    memset(values, POISON, sizeof values);
    memset(before, POISON, sizeof before);
    tensors.at[QB_ROLE_VALUES] = values;
    tensors.at[QB_ROLE_TENSOR_SCALE] = tensor_scales;
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
    ck_assert_mem_eq(values, before, sizeof values);
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
    struct qb_problem p = problem_of(), q = {.size = sizeof q}, of_read = {.size = sizeof of_read};

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
    p.operation = QB_OPERATION_KV_READ;
    ck_assert_int_eq(qb_problem_quantization(&p, &of_read), QB_OK);
    ck_assert_mem_eq(&of_read, &q, sizeof q);
    for (int i = 0; i < 2; i++) {
        const char *why =
            i == 0 ? "kv-write computes no values" : "kv-read quantizes no values; qb_reference_run() computes those";

        p.operation = cached[i];
        ck_assert_int_eq(qb_reference_values(&p, &(struct qb_tensors){.size = sizeof(struct qb_tensors)}),
                         QB_ERROR_INVALID);
        ck_assert_msg(strstr(qb_error_detail(), why) != NULL, "%s", qb_error_detail());
    }
}
END_TEST

START_TEST(the_quantization_of_nvfp4_has_its_tensor_scales)
{
    struct qb_problem p = nvfp4_of(), q = {.size = sizeof q};

    ck_assert_int_eq(qb_problem_quantization(&p, &q), QB_OK);
    ck_assert_uint_eq(q.tensor_scale_cols, 96);
    ck_assert_int_eq(q.tensor_scale, QB_TENSOR_SCALE_GIVEN);
    ck_assert_int_eq(q.granularity, QB_GRANULARITY_GROUP);
    ck_assert_uint_eq(q.group, 16);
    p.tensor_scale_cols = 32;
    ck_assert_int_eq(qb_problem_quantization(&p, &q), QB_OK);
    ck_assert_uint_eq(q.tensor_scale_cols, 32);
    q.size = offsetof(struct qb_problem, tensor_scale_cols);
    ck_assert_int_eq(qb_problem_quantization(&p, &q), QB_ERROR_UNSUPPORTED);
    q.size = 0;
    ck_assert_int_eq(qb_problem_quantization(&p, &q), QB_ERROR_INVALID);
    q.size = sizeof q;
    p = problem_of();
    ck_assert_int_eq(qb_problem_quantization(&p, &q), QB_OK);
    ck_assert_uint_eq(q.tensor_scale_cols, 0);
}
END_TEST

/* Codes by scales that are given are those by the same scales when they are computed, under each tensor scale. */
START_TEST(both_halves_of_the_reference_have_all_tensor_scales)
{
    struct qb_problem p = nvfp4_of(), q = {.size = sizeof q};
    uint8_t codes[2][TOKENS * 96], scales[2][TOKENS * 12];
    struct nvfp4 m;

    p.input_stride = p.hidden;
    p.tensor_scale_cols = _i == 0 ? 0 : 32;
    ck_assert_int_eq(qb_problem_quantization(&p, &q), QB_OK);
    m = make_nvfp4(&p);
    for (int way = 0; way < 2; way++) {
        struct qb_tensors tensors = QB_TENSORS(m.input, codes[way], (void *)scales[way]);

        tensors.at[QB_ROLE_TENSOR_SCALE] = m.tensor_scales;
        if (way == 0) {
            ck_assert_int_eq(qb_reference_run(&q, &tensors), QB_OK);
        } else {
            ck_assert_int_eq(qb_reference_scales(&q, &tensors), QB_OK);
            ck_assert_int_eq(qb_reference_codes(&q, &tensors), QB_OK);
        }
    }
    ck_assert_mem_eq(scales[0], scales[1], sizeof scales[0]);
    ck_assert_mem_eq(codes[0], codes[1], sizeof codes[0]);
    free_nvfp4(&m);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("kv_write");
    TCase *tc = patient_case("problems");

    tcase_add_loop_test(tc, members_out_of_range_are_named, 0, 2 * sizeof invalid / sizeof invalid[0]);
    tcase_add_loop_test(tc, members_of_nvfp4_out_of_range_are_named, 0,
                        2 * sizeof invalid_nvfp4 / sizeof invalid_nvfp4[0]);
    tcase_add_test(tc, several_tensor_scales);
    tcase_add_test(tc, valid_members);
    tcase_add_test(tc, tensors_of_nvfp4);
    tcase_add_loop_test(tc, each_code_and_scale_of_nvfp4_has_a_place, 0, QB_PAGE_LAYOUT_COUNT);
    tcase_add_loop_test(tc, the_place_in_the_manual, 0, QB_PAGE_LAYOUT_COUNT);
    tcase_add_test(tc, tensors_of_a_cache);
    tcase_add_loop_test(tc, each_code_has_a_place, 0, QB_PAGE_LAYOUT_COUNT);
    tcase_add_test(tc, codes_of_rows_have_a_place);
    tcase_add_loop_test(tc, the_quantization_has_the_same_codes, 0, 4);
    tcase_add_test(tc, the_quantization_of_nvfp4_has_its_tensor_scales);
    tcase_add_loop_test(tc, both_halves_of_the_reference_have_all_tensor_scales, 0, 2);
    suite_add_tcase(suite, tc);
    tc = patient_case("runs");
    tcase_add_loop_test(tc, the_reference_writes_and_reads_what_is_right, 0, 3);
    tcase_add_loop_test(tc, pages_of_one_token, 0, QB_PAGE_LAYOUT_COUNT);
    tcase_add_loop_test(tc, slots_out_of_range_are_refused, 0, 12);
    tcase_add_loop_test(tc, nvfp4_by_hand, 0, QB_PAGE_LAYOUT_COUNT);
    tcase_add_loop_test(tc, nvfp4_is_quantized_and_then_scattered, 0, 10);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
