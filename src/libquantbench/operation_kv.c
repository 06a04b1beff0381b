/* SPDX-License-Identifier: Apache-2.0 */
/* operation_kv.c - KV_WRITE: keys and values, quantized into the pages of a cache; and KV_READ, the way back. The
 * oracles quantize and dequantize rows, by those operations, and move the codes and scales of each token between these
 * and their places. */
#include <config.h>

#include "operation.h"
#include "problem.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Elements of NVFP4 that share a scale. */
#define NVFP4_GROUP 16

/* ---- Problems -----------------------------------------------------------------------------------------------------
 */

static enum qb_status validate_pages(const struct qb_problem *p)
{
    const uint64_t head = qb__head_size(p);
    uint64_t slots, codes;

    if (p->hidden < 2 || p->hidden % 2 != 0 || p->hidden / 2 % head != 0) {
        return qb__fail(QB_ERROR_INVALID,
                        "hidden size %" PRIu64 "; %s requires keys and values of whole heads, of size %" PRIu64,
                        p->hidden, qb_operation_name(p->operation), head);
    }
    if (p->page_size == 0 || p->pages == 0) {
        return qb__fail(QB_ERROR_INVALID, "%" PRIu64 " pages of page size %" PRIu64 "; expected at least 1 of 1",
                        p->pages, p->page_size);
    }
    if (__builtin_mul_overflow(p->pages, p->page_size, &slots) || __builtin_mul_overflow(slots, p->hidden, &codes) ||
        codes > PTRDIFF_MAX / sizeof(float)) { /* each code may have a scale */
        return qb__fail(QB_ERROR_INVALID,
                        "%" PRIu64 " pages of %" PRIu64 " tokens of hidden size %" PRIu64 " are more than %td bytes",
                        p->pages, p->page_size, p->hidden, PTRDIFF_MAX);
    }
    if (qb_page_layout_name(p->page_layout) == NULL) {
        return qb__fail(QB_ERROR_INVALID, "page layout %d is not in enum qb_page_layout", (int)p->page_layout);
    }
    if (p->output_stride != 0 && p->output_stride != p->hidden) {
        return qb__fail(QB_ERROR_INVALID, "output stride %" PRIu64 "; %s requires 0, as pages are dense",
                        p->output_stride, qb_operation_name(p->operation));
    }
    return QB_OK;
}

/* Check a problem with codes of less than a byte, or scales of less than binary32: NVFP4 is all that there is. */
static enum qb_status validate_narrow(const struct qb_problem *p)
{
    if (p->output != QB_FORMAT_E2M1 || p->scale_format != QB_FORMAT_E4M3 || p->granularity != QB_GRANULARITY_GROUP ||
        p->group != NVFP4_GROUP || p->scale_layout != QB_SCALE_LAYOUT_ROWS || p->zero_points != QB_ZERO_POINTS_NONE) {
        return qb__fail(QB_ERROR_INVALID,
                        "%s requires codes of 8 bits and scales in float rows, without zero points; or NVFP4: codes in "
                        "e2m1 and scales in e4m3 rows, of groups of 16",
                        qb_operation_name(p->operation));
    }
    if (p->scaling != QB_SCALING_DYNAMIC || p->tensor_scale != QB_TENSOR_SCALE_GIVEN) {
        return qb__fail(QB_ERROR_INVALID, "%s in NVFP4 requires dynamic scaling, under tensor scales that are given",
                        qb_operation_name(p->operation));
    }
    if (qb__head_size(p) % NVFP4_GROUP != 0) {
        return qb__fail(QB_ERROR_INVALID,
                        "head size %" PRIu64
                        "; %s in NVFP4 requires a multiple of 16, as 16 elements of a head share a "
                        "scale",
                        qb__head_size(p), qb_operation_name(p->operation));
    }
    return QB_OK;
}

static enum qb_status validate_scales(const struct qb_problem *p)
{
    const bool is_static = p->scaling == QB_SCALING_STATIC;

    if (!qb__is_plain(p)) {
        return validate_narrow(p);
    }
    if (!is_static && p->scaling != QB_SCALING_DYNAMIC) {
        return qb__fail(QB_ERROR_INVALID, "%s requires static or dynamic scaling", qb_operation_name(p->operation));
    }
    if (p->granularity != (is_static ? QB_GRANULARITY_TENSOR : QB_GRANULARITY_TOKEN) &&
        p->granularity != QB_GRANULARITY_GROUP) {
        return qb__fail(QB_ERROR_INVALID, "%s with %s scaling requires granularity %s or group",
                        qb_operation_name(p->operation), is_static ? "static" : "dynamic",
                        is_static ? "tensor" : "token");
    }
    if (p->granularity == QB_GRANULARITY_GROUP && (p->group == 0 || qb__head_size(p) % p->group != 0)) {
        return qb__fail(QB_ERROR_INVALID, "group size %" PRIu64 "; %s requires one that divides head size %" PRIu64,
                        p->group, qb_operation_name(p->operation), qb__head_size(p));
    }
    return QB_OK;
}

static enum qb_status validate(const struct qb_problem *p)
{
    const struct qb_format_info *output = qb_format_info(p->output);
    struct qb_problem q;
    enum qb_status status = validate_pages(p);

    if (status == QB_OK && output != NULL && output->is_output) {
        status = validate_scales(p);
    }
    if (status != QB_OK) {
        return status;
    }
    q = qb__quantization_of(p);
    q.input_stride = p->input_stride;
    return qb__operation_quantize.validate(&q);
}

/* ---- Tensors ------------------------------------------------------------------------------------------------------
 */

static void cache_tensor(const struct qb_problem *p, struct qb_tensor_info *t)
{
    const bool nhd = p->page_layout == QB_PAGE_LAYOUT_NHD;

    t->present = true;
    t->read = p->operation == QB_OPERATION_KV_READ;
    t->written = !t->read;
    t->format = p->output;
    t->cols = t->stride = nhd ? p->hidden / 2 : p->head_size;
    t->rows = 2 * p->pages * p->page_size * (p->hidden / 2 / t->cols);
    t->traffic = p->tokens * qb__packed_bytes(p->output, p->packing, p->hidden);
}

static void scale_tensor(const struct qb_problem *p, struct qb_tensor_info *t)
{
    const uint64_t cols = p->hidden / qb__kv_tile_cols(p);

    t->present = true;
    t->format = p->scale_format;
    if (p->scaling == QB_SCALING_STATIC) {
        t->read = true;
        t->rows = 1;
        t->cols = t->stride = cols;
        return;
    }
    t->read = p->operation == QB_OPERATION_KV_READ;
    t->written = !t->read;
    t->rows = 2 * p->pages * p->page_size;
    t->cols = t->stride = cols / 2;
    if (p->scale_format != QB_FORMAT_F32 && p->page_layout == QB_PAGE_LAYOUT_HND) {
        t->cols = t->stride = p->head_size / p->group;
        t->rows *= p->hidden / 2 / p->head_size;
    }
    t->traffic = p->tokens * cols * qb__element_size(p->scale_format);
}

/* The keys and values of tokens. */
static void row_tensor(const struct qb_problem *p, struct qb_tensor_info *t)
{
    qb__operation_quantize.tensor(p, QB_ROLE_INPUT, t);
    t->read = p->operation == QB_OPERATION_KV_WRITE;
    t->written = !t->read;
}

static void tensor(const struct qb_problem *p, enum qb_role role, struct qb_tensor_info *t)
{
    switch (role) {
    case QB_ROLE_INPUT:
    case QB_ROLE_VALUES:
        if ((role == QB_ROLE_INPUT) == (p->operation == QB_OPERATION_KV_WRITE)) {
            row_tensor(p, t);
        }
        break;
    case QB_ROLE_CODES:
        cache_tensor(p, t);
        break;
    case QB_ROLE_SCALES:
        scale_tensor(p, t);
        break;
    case QB_ROLE_SLOTS:
        t->present = t->read = true;
        t->format = QB_FORMAT_INT64;
        t->rows = p->tokens;
        t->cols = t->stride = 1;
        break;
    case QB_ROLE_TENSOR_SCALE:
        qb__operation_quantize.tensor(p, role, t);
        break;
    case QB_ROLE_ZERO_POINTS:
    case QB_ROLE_WEIGHTS:
    case QB_ROLE_RESIDUAL:
    case QB_ROLE_SUM:
    case QB_ROLE_ANGLES:
    case QB_ROLE_POSITIONS:
    case QB_ROLE_TRANSPOSED:
    case QB_ROLE_TRANSPOSED_SCALES:
    case QB_ROLE_EXPERTS:
        break;
    }
}

static enum qb_status check(const struct qb_problem *p, const struct qb_tensors *tensors)
{
    const int64_t *slots = tensors->at[QB_ROLE_SLOTS];
    const uint64_t count = p->pages * p->page_size;

    for (uint64_t token = 0; token < p->tokens; token++) {
        if (slots[token] >= 0 && (uint64_t)slots[token] >= count) {
            return qb__fail(QB_ERROR_INVALID, "slot %" PRId64 " of token %" PRIu64 "; the cache has %" PRIu64 " slots",
                            slots[token], token, count);
        }
    }
    return QB_OK;
}

/* ---- The oracle ---------------------------------------------------------------------------------------------------
 */

/* Copy SIZE bytes from PLACE to ROW, or back for KV_WRITE. */
static void move(const struct qb_problem *p, void *row, void *place, size_t size)
{
    const bool reads = p->operation == QB_OPERATION_KV_READ;

    memcpy(reads ? row : place, reads ? place : row, size);
}

/* Move the codes and scales of a token between CODES and SCALES, which are rows, and SLOT of CACHE. */
static void move_token(const struct qb_problem *p, const struct qb_tensors *cache, uint64_t slot, void *codes,
                       void *scales)
{
    const uint64_t scale_cols = p->hidden / qb__kv_tile_cols(p);
    const uint64_t in_byte = 8 / qb__packed_bits(p->output, p->packing); /* codes, which stay together */
    const size_t size = qb__element_size(p->scale_format);

    for (uint64_t col = 0; col < p->hidden; col += in_byte) {
        move(p, (uint8_t *)codes + col / in_byte,
             (uint8_t *)cache->at[QB_ROLE_CODES] + qb__cache_code(p, slot, col) / in_byte, 1);
    }
    for (uint64_t col = 0; col < scale_cols && p->scaling == QB_SCALING_DYNAMIC; col++) {
        move(p, (char *)scales + col * size, (char *)cache->at[QB_ROLE_SCALES] + qb__cache_scale(p, slot, col) * size,
             size);
    }
}

/* Check what both oracles are given, and load it. MEMORY gets BYTES bytes, which the caller frees. */
static enum qb_status begin(const struct qb_problem *p, const struct qb_arithmetic *arithmetic,
                            const struct qb_tensors *tensors, struct qb_tensors *loaded, uint64_t bytes, char **memory)
{
    enum qb_status status = qb_arithmetic_validate(arithmetic);

    if (status == QB_OK) {
        status = qb__tensors_load(p, tensors, loaded);
    }
    if (status == QB_OK) {
        status = check(p, loaded);
    }
    if (status != QB_OK) {
        return status;
    }
    *memory = malloc(bytes + 1); /* a size of 0 need not give a pointer */
    return *memory != NULL ? QB_OK : qb__fail(QB_ERROR_MEMORY, "%" PRIu64 " bytes for the reference", bytes);
}

static enum qb_status write_reference(const struct qb_problem *p, const struct qb_arithmetic *arithmetic,
                                      const struct qb_tensors *tensors)
{
    struct qb_problem q = qb__quantization_of(p);
    const uint64_t codes = p->hidden, scales = p->hidden / qb__kv_tile_cols(p) * sizeof(float); /* of a token */
    struct qb_tensors cache, rows;
    char *memory;
    enum qb_status status = begin(p, arithmetic, tensors, &cache, p->tokens * (codes + scales), &memory);

    if (status != QB_OK) {
        return status;
    }
    q.input_stride = p->input_stride;
    rows = cache;
    rows.at[QB_ROLE_CODES] = memory + p->tokens * scales;
    if (p->scaling == QB_SCALING_DYNAMIC) {
        rows.at[QB_ROLE_SCALES] = memory;
    }
    status = qb__operation_quantize.reference(&q, arithmetic, &rows);
    for (uint64_t token = 0; token < p->tokens && status == QB_OK; token++) {
        const int64_t slot = ((const int64_t *)cache.at[QB_ROLE_SLOTS])[token];
        const uint64_t code_bytes = qb__packed_bytes(p->output, p->packing, codes);
        const uint64_t scale_bytes = p->hidden / qb__kv_tile_cols(p) * qb__element_size(p->scale_format);

        if (slot >= 0) {
            move_token(p, &cache, (uint64_t)slot, (char *)rows.at[QB_ROLE_CODES] + token * code_bytes,
                       memory + token * scale_bytes);
        }
    }
    free(memory);
    return status;
}

/* A token is a problem of its own. */
static enum qb_status read_reference(const struct qb_problem *p, const struct qb_arithmetic *arithmetic,
                                     const struct qb_tensors *tensors)
{
    const uint64_t row_bytes = p->input_stride * qb__element_size(p->input);
    const uint64_t scale_bytes = p->hidden / qb__kv_tile_cols(p) * sizeof(float);
    struct qb_problem one = *p;
    struct qb_tensors cache, row;
    char *memory;
    enum qb_status status = begin(p, arithmetic, tensors, &cache, scale_bytes + p->hidden, &memory);

    if (status != QB_OK) {
        return status;
    }
    one.tokens = 1;
    one = qb__quantization_of(&one);
    one.operation = QB_OPERATION_DEQUANTIZE;
    one.scaling = QB_SCALING_STATIC;
    row = cache;
    row.at[QB_ROLE_CODES] = memory + scale_bytes;
    if (p->scaling == QB_SCALING_DYNAMIC) {
        row.at[QB_ROLE_SCALES] = memory;
    }
    for (uint64_t token = 0; token < p->tokens && status == QB_OK; token++) {
        const int64_t slot = ((const int64_t *)cache.at[QB_ROLE_SLOTS])[token];

        if (slot >= 0) {
            move_token(p, &cache, (uint64_t)slot, row.at[QB_ROLE_CODES], memory);
            row.at[QB_ROLE_VALUES] = (char *)cache.at[QB_ROLE_VALUES] + token * row_bytes;
            status = qb__operation_dequantize.reference(&one, arithmetic, &row);
        }
    }
    free(memory);
    return status;
}

const struct qb__operation qb__operation_kv_write = {
    .operation = QB_OPERATION_KV_WRITE,
    .name = "kv-write",
    .validate = validate,
    .tensor = tensor,
    .check = check,
    .reference = write_reference,
};
const struct qb__operation qb__operation_kv_read = {
    .operation = QB_OPERATION_KV_READ,
    .name = "kv-read",
    .validate = validate,
    .tensor = tensor,
    .check = check,
    .reference = read_reference,
};
