/* SPDX-License-Identifier: Apache-2.0 */
/* scale_file.c - see scale_file.h. */
#include <config.h>

#include "base/document.h"
#include "base/utf8.h"
#include "cli/scale_file.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define WEIGHT ".weight"

/* The tensors of an activation or a weight. */
enum part { SCALE, GLOBAL_SCALE, SCALE_2, ZERO_POINT, PARTS };
static const char *const endings[PARTS] = {"_scale", "_global_scale", "_scale_2", "_zero_point"};

static bool is_weight(const char *name)
{
    const size_t length = strlen(name), suffix = strlen(WEIGHT);

    return length > suffix && strcmp(name + length - suffix, WEIGHT) == 0;
}

/* The name of PART of the tensor NAME, to be freed; NULL if memory is short. */
static char *part_name(const char *name, enum part part)
{
    char *text;

    return asprintf(&text, "%s%s%s", name, is_weight(name) ? "" : ".input", endings[part]) < 0 ? NULL : text;
}

/* The part that the static scale of NAME is in. */
static enum part scale_part(const char *name, const struct qb_problem *problem, enum scale_naming naming)
{
    return problem->tensor_scale == QB_TENSOR_SCALE_NONE ? SCALE
           : naming == NAMING_COMPRESSED_TENSORS         ? GLOBAL_SCALE
           : is_weight(name)                             ? SCALE_2
                                                         : SCALE;
}

/* ---- Writing ---------------------------------------------------------------------------------------------------- */

static bool is_utf8(const char *text)
{
    uint32_t letter;
    size_t length = 1;

    for (; *text != '\0' && length > 0; text += length) {
        length = utf8_decode(text, &letter);
    }
    return length > 0;
}

bool scale_file_can_name(const struct dump_sets *sets)
{
    for (size_t i = 0; i < sets->count; i++) {
        const char *const name = sets->values[i].name;
        char label[LABEL_TEXT_SIZE];

        if (!is_utf8(name)) {
            message_error("--save-scales: '%s' is not UTF-8, as names of tensors are; name it by --dumps-of",
                          label_text(label, name, strlen(name)));
            return false;
        }
    }
    return true;
}

/* Add the entry of PART of NAME, SIZE bytes of TYPE, to HEADER; they begin at *OFFSET, which moves on. */
static void add_entry(json_t **header, const char *name, enum part part, const char *type, uint64_t size,
                      enum scale_naming naming, uint64_t *offset)
{
    char *key = part_name(name, part);
    /* ModelOpt has scalars. */
    json_t *shape = naming == NAMING_MODELOPT ? json_array() : json_pack("[i]", 1);

    document_put(header, key != NULL ? key : "",
                 json_pack("{s:s, s:o, s:[I, I]}", "dtype", type, "shape", shape, "data_offsets", (json_int_t)*offset,
                           (json_int_t)(*offset + size)));
    if (key == NULL) {
        json_decref(*header);
        *header = NULL;
    }
    free(key);
    *offset += size;
}

/* The header of all tensors: scales first, so that they lie well. NULL if memory is short. */
static char *make_header(const struct calibrated_set *calibration, enum scale_naming naming)
{
    json_t *header = json_pack("{s:{s:s, s:s}}", "__metadata__", "format", "pt", "producer", PACKAGE_STRING);
    uint64_t offset = 0;

    for (size_t i = 0; i < calibration->count; i++) {
        const struct calibrated_tensor *const tensor = &calibration->tensors[i];

        add_entry(&header, tensor->name, scale_part(tensor->name, &tensor->ways[0].problem, naming), "F32",
                  sizeof(float), naming, &offset);
    }
    for (size_t i = 0; i < calibration->count; i++) {
        const struct calibrated_tensor *const tensor = &calibration->tensors[i];

        if (tensor->ways[0].problem.zero_points != QB_ZERO_POINTS_NONE) {
            add_entry(&header, tensor->name, ZERO_POINT, "I8", 1, naming, &offset);
        }
    }
    return document_dump(header, JSON_COMPACT);
}

static void put_number(uint64_t number, unsigned bytes, FILE *stream)
{
    for (unsigned i = 0; i < bytes; i++) {
        putc((int)(number >> 8 * i & 0xFF), stream);
    }
}

/* True if all scales that are stored as inverses have one. If not, that has been printed. */
static bool has_inverses(const struct calibrated_set *calibration, enum scale_naming naming)
{
    for (size_t i = 0; i < calibration->count; i++) {
        const struct calibrated_tensor *const tensor = &calibration->tensors[i];
        const struct calibrated_way *const way = &tensor->ways[0];
        char label[LABEL_TEXT_SIZE];

        if (scale_part(tensor->name, &way->problem, naming) == GLOBAL_SCALE && !isfinite(1 / way->scale)) {
            message_error("--save-scales: the scale %g of '%s' lacks an inverse in F32; use --scale-names=modelopt",
                          (double)way->scale, label_text(label, tensor->name, strlen(tensor->name)));
            return false;
        }
    }
    return true;
}

enum exit_code scale_file_write(const struct calibrated_set *calibration, enum scale_naming naming, FILE *stream)
{
    char *header;
    size_t length, padded;

    if (!has_inverses(calibration, naming)) {
        return EXIT_CANNOT_RUN;
    }
    header = make_header(calibration, naming);
    if (header == NULL) {
        return message_out_of_memory("the header of the scales", calibration->count);
    }
    length = strlen(header);
    padded = (length + 7) / 8 * 8;
    put_number(padded, 8, stream);
    fprintf(stream, "%-*s", (int)padded, header);
    free(header);
    for (size_t i = 0; i < calibration->count; i++) {
        const struct calibrated_way *const way = &calibration->tensors[i].ways[0];
        const bool is_inverse = scale_part(calibration->tensors[i].name, &way->problem, naming) == GLOBAL_SCALE;

        put_number(qb_format_encode(QB_FORMAT_F32, is_inverse ? 1 / way->scale : way->scale), 4, stream);
    }
    for (size_t i = 0; i < calibration->count; i++) {
        if (calibration->tensors[i].ways[0].problem.zero_points != QB_ZERO_POINTS_NONE) {
            put_number((uint8_t)calibration->tensors[i].ways[0].zero_point, 1, stream);
        }
    }
    return EXIT_OK;
}

/* ---- Reading ---------------------------------------------------------------------------------------------------- */

/* What is read: PARTS names and tensors for each set. */
struct reader {
    const char *path;
    const struct qb_problem *problem;
    char **names;
    struct tensor_raw *raws;
};

__attribute__((format(printf, 3, 4))) static enum exit_code refuse(const struct reader *r, const char *name,
                                                                   const char *format, ...)
{
    char path[LABEL_TEXT_SIZE], label[LABEL_TEXT_SIZE], reason[256];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(reason, sizeof reason, format, arguments);
    va_end(arguments);
    message_error("--rate-scales: %s: '%s' %s", label_text(path, r->path, strlen(r->path)),
                  label_text(label, name, strlen(name)), reason);
    return EXIT_USAGE;
}

/* Set *VALUE to the only element of RAW, called NAME. */
static enum exit_code get_value(const struct reader *r, const char *name, const struct tensor_raw *raw, float *value)
{
    static const struct {
        const char *type;
        enum qb_format format;
    } types[] = {{"F32", QB_FORMAT_F32}, {"F16", QB_FORMAT_F16}, {"BF16", QB_FORMAT_BF16}};

    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        const size_t size = qb_format_info(types[i].format)->bits / 8;
        uint32_t code = 0;

        if (strcmp(raw->type, types[i].type) != 0) {
            continue;
        }
        if (raw->bytes != size) {
            return refuse(r, name, "has shape %s; expected one element", raw->shape);
        }
        memcpy(&code, raw->data, size); /* the lower half first: these hosts are little-endian */
        *value = qb_format_decode(types[i].format, code);
        return isfinite(*value) && *value > 0 ? EXIT_OK
                                              : refuse(r, name, "is %g; expected a scale > 0", (double)*value);
    }
    return refuse(r, name, "has element type '%s'; expected F32, F16 or BF16", raw->type);
}

/* Turn *SCALE, the value of tensor NAME, or its inverse, into the scale that is used: in the problem's format. */
static enum exit_code convert_scale(const struct reader *r, const char *name, bool is_inverse, float *scale)
{
    const bool is_tensor_scale = r->problem->tensor_scale != QB_TENSOR_SCALE_NONE;
    const enum qb_format format = is_tensor_scale ? QB_FORMAT_F32 : r->problem->scale_format;
    const float wanted = is_inverse ? 1 / *scale : *scale;
    const float used = qb_format_decode(format, qb_format_encode(format, wanted));

    if (!isfinite(used) || used <= 0) {
        return refuse(r, name, "is %g; expected a scale%s that is finite and > 0 in %s", (double)*scale,
                      is_inverse ? "'s inverse" : "", qb_format_info(format)->name);
    }
    *scale = used;
    return EXIT_OK;
}

/* Set GIVEN from what the file has of the set with number INDEX, called NAME. */
static enum exit_code get_given(const struct reader *r, size_t index, const char *name, struct calibration_given *given)
{
    char *const *const names = r->names + index * PARTS;
    const struct tensor_raw *const raws = r->raws + index * PARTS;
    const bool wants_zero_point = r->problem->zero_points != QB_ZERO_POINTS_NONE;
    const bool is_tensor_scale = r->problem->tensor_scale != QB_TENSOR_SCALE_NONE;
    const enum part part = !is_tensor_scale                  ? SCALE
                           : raws[GLOBAL_SCALE].data != NULL ? GLOBAL_SCALE
                                                             : scale_part(name, r->problem, NAMING_MODELOPT);
    enum exit_code code;

    if (raws[part].data == NULL || (wants_zero_point && raws[ZERO_POINT].data == NULL)) {
        const char *const missing = names[raws[part].data == NULL ? part : ZERO_POINT];
        char path[LABEL_TEXT_SIZE], label[LABEL_TEXT_SIZE];

        message_warning("--rate-scales: %s lacks '%s'", label_text(path, r->path, strlen(r->path)),
                        label_text(label, missing, strlen(missing)));
        return EXIT_OK;
    }
    if (!wants_zero_point && raws[ZERO_POINT].data != NULL) {
        return refuse(r, names[ZERO_POINT], "conflicts with scales that have no zero point; use --asymmetric");
    }
    if (wants_zero_point && (strcmp(raws[ZERO_POINT].type, "I8") != 0 || raws[ZERO_POINT].bytes != 1)) {
        return refuse(r, names[ZERO_POINT], "is %s %s; expected one element of I8", raws[ZERO_POINT].type,
                      raws[ZERO_POINT].shape);
    }
    code = get_value(r, names[part], &raws[part], &given->scale);
    code = code == EXIT_OK ? convert_scale(r, names[part], part == GLOBAL_SCALE, &given->scale) : code;
    given->is_there = code == EXIT_OK;
    given->zero_point = wants_zero_point ? *(const int8_t *)raws[ZERO_POINT].data : 0;
    return code;
}

static bool make_names(const struct dump_sets *sets, char **names)
{
    bool good = true;

    for (size_t i = 0; i < sets->count && good; i++) {
        for (int part = 0; part < PARTS && good; part++) {
            names[i * PARTS + (size_t)part] = part_name(sets->values[i].name, (enum part)part);
            good = names[i * PARTS + (size_t)part] != NULL;
        }
    }
    return good;
}

enum exit_code scale_file_read(const char *path, const struct dump_sets *sets, const struct qb_problem *problem,
                               uint64_t memory_limit, struct calibration_given *given)
{
    const size_t count = sets->count * PARTS;
    struct reader r = {path, problem, calloc(count + 1, sizeof *r.names), calloc(count + 1, sizeof *r.raws)};
    char error[TENSOR_FILE_ERROR_SIZE];
    enum exit_code code = EXIT_OK;
    enum tensor_file_status status;

    if (r.names == NULL || r.raws == NULL || !make_names(sets, r.names)) {
        code = message_out_of_memory("the list of scales", count * sizeof *r.raws);
    } else {
        status =
            tensor_file_read_raw(path, (const char *const *)r.names, count, memory_limit, r.raws, error, sizeof error);
        if (status != TENSOR_FILE_OK) {
            message_error_lines(error);
            code = status == TENSOR_FILE_IO ? EXIT_CANNOT_RUN : EXIT_USAGE;
        }
    }
    for (size_t i = 0; i < sets->count && code == EXIT_OK; i++) {
        code = get_given(&r, i, sets->values[i].name, &given[i]);
    }
    for (size_t i = 0; i < count && r.names != NULL; i++) {
        free(r.names[i]);
    }
    if (r.raws != NULL) {
        tensor_raw_free(r.raws, count);
    }
    free(r.raws);
    free(r.names);
    return code;
}
