/* SPDX-License-Identifier: Apache-2.0 */
/* quantized_file.c - finds the codes and scales of a tensor by the names that tools for checkpoints give them, and
 * tells from their types and shapes what they are. */
#include <config.h>

#include "cases/quantized_file.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What belongs to a quantized tensor, and how the names of these tensors end. */
enum part { CODES, PACKED, SCALE, SCALE_INV, SCALE_2, GLOBAL_SCALE, ZERO_POINT, PARTS };
static const char *const suffixes[PARTS] = {"",         "_packed",       "_scale",     "_scale_inv",
                                            "_scale_2", "_global_scale", "_zero_point"};
/* Between the name that was given and these. */
static const char *const infixes[] = {"", ".weight"};
#define STEMS (sizeof infixes / sizeof infixes[0])

/* Rows and columns of a block of scales. */
#define BLOCK 128

/* What is being read. */
struct reader {
    const char *path;
    const struct tensor_file *original;
    const char *names[STEMS * PARTS];
    struct tensor_raw raws[STEMS * PARTS];
    size_t stem; /* index of the first part of the one that there is */
    enum part codes, scale;
    struct quantized_file out; /* so far */
    char *error;
    size_t error_size;
};

/* ---- Errors ----------------------------------------------------------------------------------------------------- */

/* Set the error text to the file and the reason. Returns TENSOR_FILE_FORMAT. */
__attribute__((format(printf, 2, 3))) static enum tensor_file_status refuse(const struct reader *r, const char *format,
                                                                            ...)
{
    char path[LABEL_TEXT_SIZE], reason[TENSOR_FILE_ERROR_SIZE];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(reason, sizeof reason, format, arguments);
    va_end(arguments);
    if (r->error_size > 0) {
        snprintf(r->error, r->error_size, "%s: %s", label_text(path, r->path, strlen(r->path)), reason);
    }
    return TENSOR_FILE_FORMAT;
}

/* The same, "tensor 'NAME' " being in front of the reason. */
#define REFUSE_PART(r, part, format, ...)                                                                              \
    refuse(r, "tensor '%s' " format,                                                                                   \
           label_text((char[LABEL_TEXT_SIZE]){""}, name_of(r, part), strlen(name_of(r, part))), __VA_ARGS__)

static const char *name_of(const struct reader *r, enum part part)
{
    return r->names[r->stem + part];
}

static enum tensor_file_status refuse_memory(const struct reader *r, uint64_t bytes)
{
    refuse(r, "cannot allocate %" PRIu64 " bytes of memory to read it", bytes);
    return TENSOR_FILE_IO;
}

/* ---- Tensors ---------------------------------------------------------------------------------------------------- */

static struct tensor_raw *raw_of(struct reader *r, enum part part)
{
    return &r->raws[r->stem + part];
}

static bool has(struct reader *r, enum part part)
{
    return raw_of(r, part)->data != NULL;
}

/* Set *ROWS and *COLS to the shape of a tensor of at most two dimensions; one is a row, and none one element. */
static bool get_shape(const struct tensor_raw *raw, uint64_t *rows, uint64_t *cols)
{
    *rows = raw->rank == 2 ? raw->dimensions[0] : 1;
    *cols = raw->rank == 0 ? 1 : raw->dimensions[raw->rank < 2 ? 0 : 1];
    return raw->rank <= 2;
}

/* How many parts of that size WHOLE has; the last may be smaller. */
static uint64_t parts_of(uint64_t whole, uint64_t part)
{
    return whole / part + (whole % part != 0);
}

/* Take the data of PART as the tensor of ROLE. */
static void take(struct reader *r, enum part part, enum qb_role role)
{
    r->out.tensors.at[role] = raw_of(r, part)->data;
    raw_of(r, part)->data = NULL;
}

/* ---- Codes ------------------------------------------------------------------------------------------------------ */

static const struct code_kind {
    const char *type;
    enum qb_format format;
    unsigned per_element; /* codes */
    uint8_t flipped;      /* the bits of a byte that are not as they should be */
} code_kinds[] = {
    {"F8_E4M3", QB_FORMAT_E4M3, 1, 0}, {"F8_E5M2", QB_FORMAT_E5M2, 1, 0}, {"I8", QB_FORMAT_INT8, 1, 0},
    {"U8", QB_FORMAT_E2M1, 2, 0},      {"F4", QB_FORMAT_E2M1, 1, 0},      {"I32", QB_FORMAT_INT4, 8, 0x88},
    {"I32", QB_FORMAT_INT8, 4, 0x80},
};
#define CODE_KINDS (sizeof code_kinds / sizeof code_kinds[0])

/* Refuse codes of no kind that there is: NEAREST has their type; NULL: none has. */
static enum tensor_file_status refuse_codes(struct reader *r, const struct code_kind *nearest)
{
    const struct tensor_raw *raw = raw_of(r, r->codes);
    const uint64_t rows = r->original->tokens, cols = r->original->hidden;

    if (nearest == NULL) {
        return REFUSE_PART(r, r->codes,
                           "has element type '%s'; expected codes: F8_E4M3, F8_E5M2, I8, U8 (two of 4 bits), F4 or I32",
                           raw->type);
    }
    return REFUSE_PART(r, r->codes,
                       "has shape %s; expected [%" PRIu64 ", %" PRIu64 "], rows of %" PRIu64
                       " codes that fill their elements of %s",
                       raw->shape, rows, parts_of(cols, nearest->per_element), cols, raw->type);
}

static enum tensor_file_status read_codes(struct reader *r)
{
    struct qb_problem *p = &r->out.problem;
    struct tensor_raw *raw = raw_of(r, r->codes);
    const struct code_kind *kind = NULL, *nearest = NULL;
    uint64_t rows, cols;
    const bool has_shape = get_shape(raw, &rows, &cols);
    uint8_t *bytes = raw->data;

    for (size_t i = 0; i < CODE_KINDS && kind == NULL; i++) {
        const struct code_kind *k = &code_kinds[i];

        if (strcmp(k->type, raw->type) == 0) {
            nearest = nearest != NULL ? nearest : k;
            if (has_shape && rows == p->tokens && cols == parts_of(p->hidden, k->per_element) &&
                raw->bytes == rows * qb_codes_bytes(k->format, QB_PACKING_BYTES, p->hidden)) {
                kind = k;
            }
        }
    }
    if (kind == NULL) {
        return refuse_codes(r, nearest);
    }
    for (uint64_t i = 0; i < raw->bytes && kind->flipped != 0; i++) {
        bytes[i] ^= kind->flipped;
    }
    p->output = kind->format;
    take(r, r->codes, QB_ROLE_CODES);
    return TENSOR_FILE_OK;
}

/* ---- Scales ----------------------------------------------------------------------------------------------------- */

static const struct scale_kind {
    const char *type;
    enum qb_format stored, format; /* in the file, and in a problem */
    uint64_t group;                /* the usual one; 0: there is none */
} scale_kinds[] = {
    {"F32", QB_FORMAT_F32, QB_FORMAT_F32, 0},   {"F16", QB_FORMAT_F16, QB_FORMAT_F16, 0},
    {"BF16", QB_FORMAT_BF16, QB_FORMAT_F32, 0}, {"F8_E4M3", QB_FORMAT_E4M3, QB_FORMAT_E4M3, 16},
    {"U8", QB_FORMAT_E8M0, QB_FORMAT_E8M0, 32}, {"F8_E8M0", QB_FORMAT_E8M0, QB_FORMAT_E8M0, 32},
};
#define SCALE_KINDS (sizeof scale_kinds / sizeof scale_kinds[0])

/* The size of COUNT groups of a row of COLS elements: USUAL if it fits; else as they divide the row; else a power of
 * two; 0: none is known. */
static uint64_t find_group(uint64_t cols, uint64_t count, uint64_t usual)
{
    if (count == 0 || count > cols) {
        return 0;
    }
    if (usual > 0 && parts_of(cols, usual) == count) {
        return usual;
    }
    if (cols % count == 0) {
        return cols / count;
    }
    for (uint64_t group = 1; group < cols; group *= 2) {
        if (parts_of(cols, group) == count) {
            return group;
        }
    }
    return 0;
}

/* Tell the granularity from the shape of the scales. */
static bool find_granularity(struct qb_problem *p, const struct tensor_raw *raw, const struct scale_kind *kind)
{
    uint64_t rows, cols;

    if (!get_shape(raw, &rows, &cols)) {
        return false;
    }
    if (rows == 1 && cols == 1 && kind->group == 0) {
        p->granularity = QB_GRANULARITY_TENSOR;
    } else if ((raw->rank == 1 && cols == p->tokens) || (rows == p->tokens && cols == 1 && kind->group == 0)) {
        p->granularity = QB_GRANULARITY_TOKEN;
    } else if (rows == p->tokens && (p->tokens > 1 || raw->rank == 2) && find_group(p->hidden, cols, kind->group) > 0) {
        p->granularity = QB_GRANULARITY_GROUP;
        p->group = find_group(p->hidden, cols, kind->group);
    } else if (rows == 1 && cols == p->hidden) {
        p->granularity = QB_GRANULARITY_CHANNEL;
    } else if (raw->rank == 2 && rows == parts_of(p->tokens, BLOCK) && cols == parts_of(p->hidden, BLOCK)) {
        p->granularity = QB_GRANULARITY_BLOCK;
        p->block_rows = p->block_cols = BLOCK;
    } else {
        return false;
    }
    return true;
}

/* Let the COUNT scales, stored as bfloat16, be binary32, which has all of their values. */
static enum tensor_file_status widen(struct reader *r, uint64_t count)
{
    const uint16_t *narrow = r->out.tensors.at[QB_ROLE_SCALES];
    float *wide = malloc(count * sizeof *wide);

    if (wide == NULL) {
        return refuse_memory(r, count * sizeof *wide);
    }
    for (uint64_t i = 0; i < count; i++) {
        wide[i] = qb_format_decode(QB_FORMAT_BF16, narrow[i]);
    }
    free(r->out.tensors.at[QB_ROLE_SCALES]);
    r->out.tensors.at[QB_ROLE_SCALES] = wide;
    return TENSOR_FILE_OK;
}

/* Each of COUNT scales must be finite and > 0; one of a group of zeros is 0 in E4M3. */
static enum tensor_file_status check_scales(struct reader *r, uint64_t count)
{
    const struct qb_problem *p = &r->out.problem;
    const size_t size = qb_format_info(p->scale_format)->bits / 8;
    const char *scales = r->out.tensors.at[QB_ROLE_SCALES];

    for (uint64_t i = 0; i < count; i++) {
        uint32_t code = 0;
        float scale;

        memcpy(&code, scales + i * size, size); /* the lower half first: these hosts are little-endian */
        scale = qb_format_decode(p->scale_format, code);
        if (!isfinite(scale) || signbit(scale) || (scale == 0 && p->scale_format != QB_FORMAT_E4M3)) {
            return REFUSE_PART(r, r->scale, "has the scale %g at index %" PRIu64 "; expected a finite number > 0",
                               (double)scale, i);
        }
    }
    return TENSOR_FILE_OK;
}

/* Find the scales, and what they are. */
static enum tensor_file_status find_scales(struct reader *r, const struct scale_kind **kind)
{
    const struct tensor_raw *raw;

    if (has(r, SCALE) == has(r, SCALE_INV)) {
        char first[LABEL_TEXT_SIZE], second[LABEL_TEXT_SIZE];

        return refuse(r, "has %s of the tensors '%s' and '%s'; expected one of them, with the scales",
                      has(r, SCALE) ? "both" : "none", label_text(first, name_of(r, SCALE), strlen(name_of(r, SCALE))),
                      label_text(second, name_of(r, SCALE_INV), strlen(name_of(r, SCALE_INV))));
    }
    r->scale = has(r, SCALE) ? SCALE : SCALE_INV;
    raw = raw_of(r, r->scale);
    for (size_t i = 0; i < SCALE_KINDS; i++) {
        if (strcmp(scale_kinds[i].type, raw->type) == 0) {
            *kind = &scale_kinds[i];
            return TENSOR_FILE_OK;
        }
    }
    return REFUSE_PART(r, r->scale, "has element type '%s'; expected scales: F32, F16, BF16, F8_E4M3, U8 or F8_E8M0",
                       raw->type);
}

static enum tensor_file_status read_scales(struct reader *r)
{
    struct qb_problem *p = &r->out.problem;
    const struct scale_kind *kind = NULL;
    enum tensor_file_status status = find_scales(r, &kind);
    struct tensor_raw *raw = raw_of(r, r->scale);
    uint64_t rows, cols;

    if (status != TENSOR_FILE_OK) {
        return status;
    }
    if (p->output == QB_FORMAT_E2M1 && kind->group == 0) {
        return REFUSE_PART(r, r->scale,
                           "has element type '%s'; expected F8_E4M3 (NVFP4) or U8 (MXFP4) with codes of 4 bits in U8",
                           raw->type);
    }
    if (!find_granularity(p, raw, kind)) {
        return REFUSE_PART(r, r->scale,
                           "has shape %s; expected [1], [%" PRIu64 "], [%" PRIu64 ", 1], [%" PRIu64
                           ", groups] or [%" PRIu64 ", %" PRIu64 "] for %" PRIu64 " x %" PRIu64 " codes",
                           raw->shape, p->tokens, p->tokens, p->tokens, parts_of(p->tokens, BLOCK),
                           parts_of(p->hidden, BLOCK), p->tokens, p->hidden);
    }
    p->scale_format = kind->format;
    if (qb_problem_validate(p) != QB_OK) {
        return REFUSE_PART(r, r->scale, "has scales in %s of shape %s: %s", raw->type, raw->shape, qb_error_detail());
    }
    take(r, r->scale, QB_ROLE_SCALES);
    qb_problem_scale_shape(p, &rows, &cols);
    status = kind->stored == QB_FORMAT_BF16 ? widen(r, rows * cols) : TENSOR_FILE_OK;
    return status == TENSOR_FILE_OK ? check_scales(r, rows * cols) : status;
}

/* Take the scale of the tensor, which scales in E4M3 have, and others lack. */
static enum tensor_file_status read_tensor_scale(struct reader *r)
{
    struct qb_problem *p = &r->out.problem;
    const enum part part = has(r, SCALE_2) ? SCALE_2 : GLOBAL_SCALE;
    const bool wanted = p->scale_format == QB_FORMAT_E4M3;
    float *scale;

    if (!wanted && !has(r, part)) {
        return TENSOR_FILE_OK;
    }
    if (!has(r, part) || (has(r, SCALE_2) && has(r, GLOBAL_SCALE))) {
        char first[LABEL_TEXT_SIZE], second[LABEL_TEXT_SIZE];

        return refuse(r, "has %s of the tensors '%s' and '%s'; expected one of them, with the tensor scale",
                      has(r, part) ? "both" : "none",
                      label_text(first, name_of(r, SCALE_2), strlen(name_of(r, SCALE_2))),
                      label_text(second, name_of(r, GLOBAL_SCALE), strlen(name_of(r, GLOBAL_SCALE))));
    }
    if (!wanted || strcmp(raw_of(r, part)->type, "F32") != 0 || raw_of(r, part)->bytes != sizeof *scale) {
        return REFUSE_PART(r, part, "is %s %s; expected one element of F32, with scales in F8_E4M3",
                           raw_of(r, part)->type, raw_of(r, part)->shape);
    }
    scale = raw_of(r, part)->data;
    *scale = part == GLOBAL_SCALE ? 1 / *scale : *scale;
    if (!isfinite(*scale) || *scale <= 0) {
        return REFUSE_PART(r, part, "gives the tensor scale %g; expected a finite number > 0", (double)*scale);
    }
    p->tensor_scale = QB_TENSOR_SCALE_GIVEN;
    take(r, part, QB_ROLE_TENSOR_SCALE);
    return TENSOR_FILE_OK;
}

/* Take the zero points, of which symmetric formats may have some that are all 0. */
static enum tensor_file_status read_zero_points(struct reader *r)
{
    struct qb_problem *p = &r->out.problem;
    const struct tensor_raw *raw = raw_of(r, ZERO_POINT);
    const char *bytes = raw->data;
    uint64_t rows, cols;
    bool any = false;

    for (uint64_t i = 0; bytes != NULL && i < raw->bytes && !any; i++) {
        any = bytes[i] != 0;
    }
    if (!any) {
        return TENSOR_FILE_OK;
    }
    qb_problem_scale_shape(p, &rows, &cols);
    if (p->output != QB_FORMAT_INT8 || strcmp(raw->type, "I8") != 0 || raw->bytes != rows * cols) {
        return REFUSE_PART(r, ZERO_POINT, "is %s %s; expected I8 for codes in I8, one for each of %" PRIu64 " scales",
                           raw->type, raw->shape, rows * cols);
    }
    p->zero_points = QB_ZERO_POINTS_INT8;
    if (qb_problem_validate(p) != QB_OK) {
        return REFUSE_PART(r, ZERO_POINT, "does not fit the scales: %s", qb_error_detail());
    }
    take(r, ZERO_POINT, QB_ROLE_ZERO_POINTS);
    return TENSOR_FILE_OK;
}

/* ---- All of it -------------------------------------------------------------------------------------------------- */

/* Find the codes; the other names follow from theirs. */
static enum tensor_file_status find_codes(struct reader *r)
{
    for (r->stem = 0; r->stem < STEMS * PARTS; r->stem += PARTS) {
        if (has(r, CODES) || has(r, PACKED)) {
            r->codes = has(r, CODES) ? CODES : PACKED;
            return TENSOR_FILE_OK;
        }
    }
    r->stem = 0;
    return REFUSE_PART(r, CODES, "has scales%s", " but no codes; expected these under that name, or with _packed");
}

static void describe(struct reader *r)
{
    const struct tensor_raw *codes = raw_of(r, r->codes), *scales = raw_of(r, r->scale);
    char name[LABEL_TEXT_SIZE];

    label_file(r->path, name_of(r, r->codes), r->out.label);
    snprintf(r->out.codes, sizeof r->out.codes, "%s %s", codes->type, codes->shape);
    snprintf(r->out.scales, sizeof r->out.scales, "%s, %s %s",
             label_text(name, name_of(r, r->scale), strlen(name_of(r, r->scale))), scales->type, scales->shape);
}

static enum tensor_file_status read_parts(struct reader *r)
{
    enum tensor_file_status status = find_codes(r);

    r->out.tensors.size = sizeof r->out.tensors;
    qb_problem_init(&r->out.problem);
    r->out.problem.input = r->original->format;
    r->out.problem.tokens = r->original->tokens;
    r->out.problem.hidden = r->original->hidden;
    r->out.problem.scaling = QB_SCALING_STATIC;
    status = status == TENSOR_FILE_OK ? read_codes(r) : status;
    status = status == TENSOR_FILE_OK ? read_scales(r) : status;
    status = status == TENSOR_FILE_OK ? read_tensor_scale(r) : status;
    status = status == TENSOR_FILE_OK ? read_zero_points(r) : status;
    if (status == TENSOR_FILE_OK) {
        describe(r);
    }
    return status;
}

/* The names that all parts may have, in one piece of memory; NULL if that is short. */
static char *make_names(struct reader *r, const char *name)
{
    const size_t size = strlen(name) + sizeof ".weight_global_scale";
    char *text = malloc(STEMS * PARTS * size);

    for (size_t i = 0; i < STEMS * PARTS && text != NULL; i++) {
        snprintf(text + i * size, size, "%s%s%s", name, infixes[i / PARTS], suffixes[i % PARTS]);
        r->names[i] = text + i * size;
    }
    return text;
}

enum tensor_file_status quantized_file_read(const char *path, const char *name, const struct tensor_file *original,
                                            uint64_t memory_limit, struct quantized_file *quantized, char *error,
                                            size_t error_size)
{
    struct reader r = {.path = path, .original = original, .error = error, .error_size = error_size};
    char *names = make_names(&r, name);
    enum tensor_file_status status;

    if (names == NULL) {
        return refuse_memory(&r, strlen(name));
    }
    status = tensor_file_read_raw(path, r.names, STEMS * PARTS, memory_limit, r.raws, error, error_size);
    if (status == TENSOR_FILE_OK) {
        status = read_parts(&r);
        tensor_raw_free(r.raws, STEMS * PARTS);
    }
    if (status == TENSOR_FILE_OK) {
        *quantized = r.out;
    } else {
        quantized_file_free(&r.out);
    }
    free(names);
    return status;
}

void quantized_file_free(struct quantized_file *quantized)
{
    for (int role = 0; role < QB_ROLE_COUNT; role++) {
        free(quantized->tensors.at[role]);
    }
    *quantized = (struct quantized_file){.tensors = {.size = sizeof quantized->tensors}};
}
