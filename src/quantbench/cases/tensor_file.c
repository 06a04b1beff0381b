/* SPDX-License-Identifier: Apache-2.0 */
/* tensor_file.c - read one tensor from a NumPy .npy or a safetensors file.
 *
 * Everything in the file may lie. Both formats are a header and then the elements; the header is found and parsed into
 * a struct place, every claim of it is checked against the size of the file, and only then the elements are read. */
#ifdef HAVE_CONFIG_H
#include <config.h>
#endif
#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif

#include "base/document.h"
#include "cases/tensor_file.h"
#include "cases/tensor_kind.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <wchar.h>
#include <wctype.h>

#include <jansson.h>

#define NPY_MAGIC      "\x93NUMPY"
#define NPY_MAGIC_SIZE 6
/* Bytes. NumPy itself reads no longer header unless told to; a plain tensor needs about 100. */
#define NPY_HEADER_MAX 10000

/* Bytes. The limit of the safetensors format. */
#define SAFETENSORS_HEADER_MAX 100000000
/* {name: {"shape": [...]}}: the format nests no deeper. */
#define SAFETENSORS_DEPTH_MAX 3
/* A parsed value takes up to 100 times the memory of its text, so the number of values is limited as well. A tensor
 * has about 8: this allows a quarter of a million tensors. */
#define SAFETENSORS_VALUES_MAX (UINT64_C(1) << 21)

/* How many tensors, and how many dimensions of each, an error text lists. */
#define LISTED_TENSORS    20
#define LISTED_DIMENSIONS 8

/* An open file, and where its errors go. */
struct source {
    const char *path;
    int fd;
    uint64_t size; /* bytes */
    struct tensor_stamp stamp;
    uint64_t memory_limit; /* bytes that the elements may take */
    char *error;
    size_t error_size;
};

/* Where the wanted tensor is, checked against the size of the file. */
struct place {
    enum qb_format format;
    uint64_t rows;
    uint64_t columns;
    uint64_t offset; /* bytes from the beginning of the file */
    uint64_t bytes;
    unsigned element_size; /* bytes */
};

/* ---- Errors ------------------------------------------------------------------------------------------------- */

__attribute__((format(printf, 2, 0))) static void append_arguments(const struct source *source, const char *format,
                                                                   va_list arguments)
{
    if (source->error_size > 0) {
        size_t used = strlen(source->error);
        vsnprintf(source->error + used, source->error_size - used, format, arguments);
    }
}

/* Add to the error text. */
__attribute__((format(printf, 2, 3))) static void append(const struct source *source, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    append_arguments(source, format, arguments);
    va_end(arguments);
}

/* Begin the error text with the file and the reason. Returns STATUS. */
__attribute__((format(printf, 3, 4))) static enum tensor_file_status
fail(const struct source *source, enum tensor_file_status status, const char *format, ...)
{
    char path[LABEL_TEXT_SIZE];
    if (source->error_size > 0) {
        source->error[0] = '\0';
    }
    append(source, "%s: ", label_text(path, source->path, strlen(source->path)));
    va_list arguments;
    va_start(arguments, format);
    append_arguments(source, format, arguments);
    va_end(arguments);
    return status;
}

static enum tensor_file_status fail_memory(const struct source *source, uint64_t bytes)
{
    return fail(source, TENSOR_FILE_IO, "cannot allocate %" PRIu64 " bytes of memory to read it", bytes);
}

/* ---- Bytes -------------------------------------------------------------------------------------------------- */

static uint64_t load_little_endian(const unsigned char *bytes, unsigned size)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < size; i++) {
        value |= (uint64_t)bytes[i] << (8 * i);
    }
    return value;
}

static bool multiply(uint64_t a, uint64_t b, uint64_t *product)
{
    if (b != 0 && a > UINT64_MAX / b) {
        return false;
    }
    *product = a * b;
    return true;
}

/* Read exactly BYTES bytes from OFFSET. The caller has checked that the file has them. */
static enum tensor_file_status read_bytes(const struct source *source, void *target, uint64_t bytes, uint64_t offset)
{
    /* Some systems refuse a single read of 2 GiB or more. */
    const uint64_t largest_read = UINT64_C(1) << 30;
    char *next = target;
    while (bytes > 0) {
        ssize_t got = pread(source->fd, next, bytes < largest_read ? bytes : largest_read, (off_t)offset);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return fail(source, TENSOR_FILE_IO, "read error at byte %" PRIu64 ": %s", offset, strerror(errno));
        }
        if (got == 0) {
            return fail(source, TENSOR_FILE_IO, "ends at byte %" PRIu64 ", before its size of %" PRIu64 " bytes",
                        offset, source->size);
        }
        next += got;
        bytes -= (uint64_t)got;
        offset += (uint64_t)got;
    }
    return TENSOR_FILE_OK;
}

static struct tensor_stamp stamp_of(const struct stat *status)
{
    return (struct tensor_stamp){
        .device = (uint64_t)status->st_dev,
        .inode = (uint64_t)status->st_ino,
        .size = (uint64_t)status->st_size,
        .seconds = (int64_t)status->st_mtim.tv_sec,
        .nanoseconds = (int64_t)status->st_mtim.tv_nsec,
    };
}

/* True if the file DESCRIPTOR has STAMP. */
static bool has_stamp(int descriptor, const struct tensor_stamp *stamp)
{
    struct stat status;
    struct tensor_stamp now;

    if (fstat(descriptor, &status) != 0) {
        return false;
    }
    now = stamp_of(&status);
    return now.device == stamp->device && now.inode == stamp->inode && now.size == stamp->size &&
           now.seconds == stamp->seconds && now.nanoseconds == stamp->nanoseconds;
}

static enum tensor_file_status fail_change(const struct source *source)
{
    return fail(source, TENSOR_FILE_IO, "changed since its tensors were listed; run again when nothing writes to it");
}

/* Open PATH and make sure that reading it ends: a pipe could wait for ever, a device could go on for ever. */
static enum tensor_file_status open_source(struct source *source)
{
    /* Without O_NONBLOCK the open itself would wait for the writer of a pipe. */
    source->fd = open(source->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (source->fd < 0) {
        return fail(source, TENSOR_FILE_IO, "cannot open: %s", strerror(errno));
    }
    struct stat status;
    enum tensor_file_status result = TENSOR_FILE_OK;
    if (fstat(source->fd, &status) != 0) {
        result = fail(source, TENSOR_FILE_IO, "cannot stat: %s", strerror(errno));
    } else if (!S_ISREG(status.st_mode)) {
        result = fail(source, TENSOR_FILE_FORMAT, "is %s; expected a regular file",
                      S_ISDIR(status.st_mode)    ? "a directory"
                      : S_ISFIFO(status.st_mode) ? "a pipe"
                      : S_ISCHR(status.st_mode)  ? "a character device"
                                                 : "not a regular file");
    } else if (status.st_size <= 0) {
        result = fail(source, TENSOR_FILE_FORMAT, "is empty; expected a NumPy .npy or a safetensors file");
    }
    if (result != TENSOR_FILE_OK) {
        close(source->fd);
        return result;
    }
    source->size = (uint64_t)status.st_size;
    source->stamp = stamp_of(&status);
    return TENSOR_FILE_OK;
}

/* ---- Shapes ------------------------------------------------------------------------------------------------- */

/* The dimensions of a tensor. */
struct dimensions {
    size_t rank;
    uint64_t first;
    uint64_t rows; /* all but the last, multiplied; 0 of a scalar */
    uint64_t last;
    bool overflow; /* ROWS does not fit in 64 bits */
};

/* Add the next one. */
static void add_dimension(struct dimensions *dimensions, uint64_t size)
{
    uint64_t rows = 1;
    if (dimensions->rank == 0) {
        dimensions->first = size;
    } else if (!multiply(dimensions->rows, dimensions->last, &rows)) {
        dimensions->overflow = true;
    }
    dimensions->rows = rows;
    dimensions->last = size;
    dimensions->rank++;
}

/* Turn DIMENSIONS into rows and columns: all but the last are folded into rows. SHAPE is their text. PLACE must have
 * its element size. */
static enum tensor_file_status set_shape(const struct source *source, const struct dimensions *dimensions,
                                         const char *shape, struct place *place)
{
    if (dimensions->rank < 1) {
        return fail(source, TENSOR_FILE_FORMAT, "shape %s has 0 dimensions; expected at least 1", shape);
    }
    place->rows = dimensions->rows;
    place->columns = dimensions->last;
    if (place->rows == 0 || place->columns == 0) {
        return fail(source, TENSOR_FILE_FORMAT, "shape %s has no elements; at least 1 row and 1 column are needed",
                    shape);
    }
    if (dimensions->overflow || !multiply(place->rows, place->columns, &place->bytes) ||
        !multiply(place->bytes, place->element_size, &place->bytes)) {
        return fail(source, TENSOR_FILE_FORMAT, "shape %s is malformed: its size overflows 64 bits", shape);
    }
    return TENSOR_FILE_OK;
}

/* ---- NumPy .npy --------------------------------------------------------------------------------------------- */

/* The header is the text of a Python dictionary such as
 * {'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }
 * padded with spaces and ended by a newline. Only this much of Python is understood. */
struct parser {
    const struct source *source;
    const char *begin;
    const char *next;
    const char *end;
};

/* A part of the header's text, without the quotes. */
struct span {
    const char *text;
    size_t length;
};

struct npy_header {
    struct span descr;
    bool fortran_order;
    struct dimensions dimensions;
    struct span shape;
};

static bool span_equals(struct span span, const char *text)
{
    return span.length == strlen(text) && memcmp(span.text, text, span.length) == 0;
}

static enum tensor_file_status fail_at(const struct parser *parser, const char *expected)
{
    char found[LABEL_TEXT_SIZE];
    size_t left = (size_t)(parser->end - parser->next);
    return fail(parser->source, TENSOR_FILE_FORMAT, "malformed .npy header at its byte %td: found '%s', expected %s",
                parser->next - parser->begin, label_text(found, parser->next, left < 16 ? left : 16), expected);
}

static bool is_one_of(char c, const char *set)
{
    return c != '\0' && strchr(set, c) != NULL;
}

static void skip_space(struct parser *parser)
{
    while (parser->next < parser->end && is_one_of(*parser->next, " \t\r\n")) {
        parser->next++;
    }
}

/* True if the next character after white space is C; steps over it if so. */
static bool take(struct parser *parser, char c)
{
    skip_space(parser);
    if (parser->next == parser->end || *parser->next != c) {
        return false;
    }
    parser->next++;
    return true;
}

static bool take_word(struct parser *parser, const char *word)
{
    size_t length = strlen(word);
    skip_space(parser);
    if ((size_t)(parser->end - parser->next) < length || memcmp(parser->next, word, length) != 0) {
        return false;
    }
    parser->next += length;
    return true;
}

static enum tensor_file_status parse_string(struct parser *parser, const char *expected, struct span *span)
{
    skip_space(parser);
    if (parser->next == parser->end || (*parser->next != '\'' && *parser->next != '"')) {
        return fail_at(parser, expected);
    }
    const char *text = parser->next + 1;
    const char *quote = memchr(text, *parser->next, (size_t)(parser->end - text));
    /* No text that passes here needs an escape. */
    if (quote == NULL || memchr(text, '\\', (size_t)(quote - text)) != NULL) {
        return fail_at(parser, expected);
    }
    *span = (struct span){text, (size_t)(quote - text)};
    parser->next = quote + 1;
    return TENSOR_FILE_OK;
}

static enum tensor_file_status parse_dimension(struct parser *parser, uint64_t *dimension)
{
    skip_space(parser);
    const char *begin = parser->next;
    const char *at = begin;
    uint64_t value = 0;
    for (; at < parser->end && isdigit((unsigned char)*at); at++) {
        unsigned digit = (unsigned)(*at - '0');
        if (value > (UINT64_MAX - digit) / 10) {
            return fail_at(parser, "a dimension of at most 64 bits");
        }
        value = value * 10 + digit;
    }
    if (at == begin || (*begin == '0' && at - begin > 1)) {
        return fail_at(parser, "a dimension, a decimal number >= 0");
    }
    /* Python 2 wrote its long integers as 3L. */
    if (at < parser->end && *at == 'L') {
        at++;
    }
    parser->next = at;
    *dimension = value;
    return TENSOR_FILE_OK;
}

/* A tuple of integers: (), (3,), (2, 3), (2, 3, ). In Python (3) is a number and no tuple. */
static enum tensor_file_status parse_shape(struct parser *parser, struct npy_header *header)
{
    skip_space(parser);
    const char *begin = parser->next;
    if (!take(parser, '(')) {
        return fail_at(parser, "a tuple of dimensions");
    }
    bool comma = true;
    while (!take(parser, ')')) {
        uint64_t dimension = 0;
        if (!comma) {
            return fail_at(parser, "',' or ')'");
        }
        enum tensor_file_status status = parse_dimension(parser, &dimension);
        if (status != TENSOR_FILE_OK) {
            return status;
        }
        add_dimension(&header->dimensions, dimension);
        comma = take(parser, ',');
        if (!comma && header->dimensions.rank == 1) {
            return fail_at(parser, "',' as in a tuple of one dimension");
        }
    }
    header->shape = (struct span){begin, (size_t)(parser->next - begin)};
    return TENSOR_FILE_OK;
}

static enum tensor_file_status parse_bool(struct parser *parser, bool *value)
{
    *value = take_word(parser, "True");
    if (!*value && !take_word(parser, "False")) {
        return fail_at(parser, "True or False");
    }
    return TENSOR_FILE_OK;
}

/* One "key: value" of the dictionary. SEEN has a bit for each key that was there. */
static enum tensor_file_status parse_entry(struct parser *parser, struct npy_header *header, unsigned *seen)
{
    static const char *const keys[] = {"descr", "fortran_order", "shape"};
    const char *start = parser->next;
    struct span key;
    enum tensor_file_status status = parse_string(parser, "a key in quotes, or '}'", &key);
    if (status != TENSOR_FILE_OK) {
        return status;
    }
    unsigned index = 0;
    while (index < 3 && !span_equals(key, keys[index])) {
        index++;
    }
    if (index == 3 || (*seen & (1u << index)) != 0) {
        parser->next = start;
        return fail_at(parser, "each of the keys 'descr', 'fortran_order' and 'shape' once");
    }
    *seen |= 1u << index;
    if (!take(parser, ':')) {
        return fail_at(parser, "':'");
    }
    switch (index) {
    case 0:
        return parse_string(parser, "an element type in quotes (structured types are not supported)", &header->descr);
    case 1:
        return parse_bool(parser, &header->fortran_order);
    default:
        return parse_shape(parser, header);
    }
}

static enum tensor_file_status parse_npy_header(const struct source *source, const char *text, size_t length,
                                                struct npy_header *header)
{
    struct parser parser = {source, text, text, text + length};
    unsigned seen = 0;
    bool comma = true;
    if (!take(&parser, '{')) {
        return fail_at(&parser, "'{'");
    }
    while (!take(&parser, '}')) {
        if (!comma) {
            return fail_at(&parser, "',' or '}'");
        }
        enum tensor_file_status status = parse_entry(&parser, header, &seen);
        if (status != TENSOR_FILE_OK) {
            return status;
        }
        comma = take(&parser, ',');
    }
    /* A missing newline at the end is tolerated, as NumPy does. */
    skip_space(&parser);
    if (parser.next != parser.end) {
        return fail_at(&parser, "nothing but white space after '}'");
    }
    if (seen != 7) {
        return fail_at(&parser, "each of the keys 'descr', 'fortran_order' and 'shape' before the end");
    }
    return TENSOR_FILE_OK;
}

/* What safetensors call the element type DESCR of NumPy; "unknown". */
static const char *npy_type(struct span descr)
{
    static const char *const names[][2] = {
        {"f2", "F16"}, {"f4", "F32"}, {"f8", "F64"}, {"i1", "I8"},  {"i2", "I16"}, {"i4", "I32"},  {"i8", "I64"},
        {"u1", "U8"},  {"u2", "U16"}, {"u4", "U32"}, {"u8", "U64"}, {"c8", "C64"}, {"b1", "BOOL"},
    };
    /* '=' (native) and '|' (irrelevant) are taken as little endian: that is what NumPy means by them on all the hosts
     * that people save tensors on. */
    if (descr.length == 0 || !is_one_of(descr.text[0], "<=|")) {
        return "unknown";
    }
    descr.text++;
    descr.length--;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (span_equals(descr, names[i][0])) {
            return names[i][1];
        }
    }
    return "unknown";
}

static enum tensor_file_status check_npy_header(const struct source *source, const struct npy_header *header,
                                                struct place *place)
{
    const char *const type = npy_type(header->descr);
    char text[LABEL_TEXT_SIZE];
    if (strcmp(type, "F16") == 0) {
        place->format = QB_FORMAT_F16;
        place->element_size = 2;
    } else if (strcmp(type, "F32") == 0) {
        place->format = QB_FORMAT_F32;
        place->element_size = 4;
    } else if (span_equals(header->descr, "<V2") || span_equals(header->descr, "|V2")) {
        return fail(source, TENSOR_FILE_FORMAT,
                    "element type '%s' is two bytes of unknown meaning, as which NumPy saves bfloat16; save the tensor "
                    "as safetensors, or as float with array.astype('float32')",
                    label_text(text, header->descr.text, header->descr.length));
    } else {
        return fail(source, TENSOR_FILE_FORMAT,
                    "element type '%s' is not supported; expected '<f2' (half) or '<f4' (float), "
                    "little endian; bfloat16 can be given as safetensors",
                    label_text(text, header->descr.text, header->descr.length));
    }
    if (header->fortran_order) {
        return fail(source, TENSOR_FILE_FORMAT,
                    "is in Fortran order; expected C order: save it with "
                    "numpy.save(file, numpy.ascontiguousarray(array))");
    }
    return set_shape(source, &header->dimensions, label_text(text, header->shape.text, header->shape.length), place);
}

static enum tensor_file_status check_npy_size(const struct source *source, const struct place *place)
{
    uint64_t available = source->size - place->offset;
    if (place->bytes > available) {
        return fail(source, TENSOR_FILE_FORMAT,
                    "is truncated: %" PRIu64 " x %" PRIu64 " elements of %u bytes need %" PRIu64
                    " bytes after the header, the file has %" PRIu64,
                    place->rows, place->columns, place->element_size, place->bytes, available);
    }
    /* NumPy ignores these bytes, as a stream may go on with another array; in a file they mean that the shape is not
     * that of the data. */
    if (place->bytes < available) {
        return fail(source, TENSOR_FILE_FORMAT,
                    "is malformed: %" PRIu64 " x %" PRIu64 " elements of %u bytes need %" PRIu64
                    " bytes after the header, and %" PRIu64 " more bytes follow",
                    place->rows, place->columns, place->element_size, place->bytes, available - place->bytes);
    }
    return TENSOR_FILE_OK;
}

/* Read the header, whose text is put into TEXT, and find the offset of the elements. */
static enum tensor_file_status read_npy_header(const struct source *source, char text[NPY_HEADER_MAX],
                                               struct npy_header *header, uint64_t *offset)
{
    /* magic, version (2 bytes), header length (2 bytes in version 1, then 4) */
    unsigned char start[NPY_MAGIC_SIZE + 2 + 4];
    if (source->size < sizeof start) {
        return fail(source, TENSOR_FILE_FORMAT, "is truncated: %" PRIu64 " bytes are too few for a .npy header",
                    source->size);
    }
    enum tensor_file_status status = read_bytes(source, start, sizeof start, 0);
    if (status != TENSOR_FILE_OK) {
        return status;
    }
    unsigned major = start[NPY_MAGIC_SIZE];
    unsigned minor = start[NPY_MAGIC_SIZE + 1];
    if (major < 1 || major > 3 || minor != 0) {
        return fail(source, TENSOR_FILE_FORMAT, "has .npy version %u.%u; expected 1.0, 2.0 or 3.0", major, minor);
    }
    unsigned length_size = major == 1 ? 2 : 4;
    uint64_t length = load_little_endian(start + NPY_MAGIC_SIZE + 2, length_size);
    uint64_t header_offset = NPY_MAGIC_SIZE + 2 + length_size;
    if (length > source->size - header_offset) {
        return fail(source, TENSOR_FILE_FORMAT,
                    "is truncated: its .npy header claims %" PRIu64 " bytes, the file has %" PRIu64
                    " after byte %" PRIu64,
                    length, source->size - header_offset, header_offset);
    }
    if (length > NPY_HEADER_MAX) {
        return fail(source, TENSOR_FILE_FORMAT, "has a .npy header of %" PRIu64 " bytes; expected at most %d", length,
                    NPY_HEADER_MAX);
    }
    *offset = header_offset + length;
    status = read_bytes(source, text, length, header_offset);
    return status == TENSOR_FILE_OK ? parse_npy_header(source, text, length, header) : status;
}

static enum tensor_file_status find_npy(const struct source *source, const char *name, struct place *place)
{
    char text[NPY_HEADER_MAX], quoted[LABEL_TEXT_SIZE];
    struct npy_header header = {0};
    enum tensor_file_status status;
    if (name != NULL) {
        return fail(source, TENSOR_FILE_FORMAT,
                    "is a .npy file, which has one tensor without a name; '%s' was asked for",
                    label_text(quoted, name, strlen(name)));
    }
    status = read_npy_header(source, text, &header, &place->offset);
    if (status == TENSOR_FILE_OK) {
        status = check_npy_header(source, &header, place);
    }
    if (status == TENSOR_FILE_OK) {
        status = check_npy_size(source, place);
    }
    return status;
}

/* ---- safetensors -------------------------------------------------------------------------------------------- */

/* The element types of the format, as far as known. Files may hold tensors of other types beside the wanted one. */
static const struct dtype {
    const char *name;
    unsigned bits;
    bool supported;
    enum qb_format format; /* if supported */
} dtypes[] = {
    {"F16", 16, true, QB_FORMAT_F16},   {"BF16", 16, true, QB_FORMAT_BF16}, {"F32", 32, true, QB_FORMAT_F32},
    {.name = "BOOL", .bits = 8},        {.name = "F4", .bits = 4},          {.name = "F6_E2M3", .bits = 6},
    {.name = "F6_E3M2", .bits = 6},     {.name = "U8", .bits = 8},          {.name = "I8", .bits = 8},
    {.name = "F8_E5M2", .bits = 8},     {.name = "F8_E4M3", .bits = 8},     {.name = "F8_E8M0", .bits = 8},
    {.name = "F8_E4M3FNUZ", .bits = 8}, {.name = "F8_E5M2FNUZ", .bits = 8}, {.name = "I16", .bits = 16},
    {.name = "U16", .bits = 16},        {.name = "I32", .bits = 32},        {.name = "U32", .bits = 32},
    {.name = "F64", .bits = 64},        {.name = "I64", .bits = 64},        {.name = "U64", .bits = 64},
    {.name = "C64", .bits = 64},
};

/* One tensor of the header; the pointers live as long as the parsed header. */
struct entry {
    const char *name;
    const char *dtype_name;
    const struct dtype *dtype; /* NULL if the type is not in the table */
    const json_t *shape;
    uint64_t begin; /* bytes from the end of the header */
    uint64_t end;
};

static const struct dtype *find_dtype(const char *name)
{
    for (size_t i = 0; i < sizeof dtypes / sizeof *dtypes; i++) {
        if (strcmp(dtypes[i].name, name) == 0) {
            return &dtypes[i];
        }
    }
    return NULL;
}

/* Bound what the JSON parser will allocate, before it does. Whether the text is JSON at all is left to it. */
static enum tensor_file_status check_json_structure(const struct source *source, const char *text, size_t length)
{
    bool in_string = false;
    int64_t depth = 0;
    uint64_t values = 0;
    for (size_t i = 0; i < length; i++) {
        char c = text[i];
        if (c == '"') {
            in_string = !in_string;
        } else if (in_string) {
            i += c == '\\';
        } else if (c == '{' || c == '[') {
            depth++;
            values++;
        } else if (c == '}' || c == ']') {
            depth--;
        } else if (c == ',') {
            values++;
        }
        if (depth > SAFETENSORS_DEPTH_MAX) {
            return fail(source, TENSOR_FILE_FORMAT, "malformed safetensors header: nested deeper than %d levels",
                        SAFETENSORS_DEPTH_MAX);
        }
        if (values > SAFETENSORS_VALUES_MAX) {
            return fail(source, TENSOR_FILE_FORMAT, "unsupported safetensors header: more than %" PRIu64 " JSON values",
                        SAFETENSORS_VALUES_MAX);
        }
    }
    return TENSOR_FILE_OK;
}

/* Put U+2400, the symbol for NUL, in the place of each NUL of a JSON text, which is written \u0000: the JSON library
 * takes none in names, and neither can an option. */
static void replace_nuls(char *text, size_t length)
{
    static const char nul[] = "\\u0000";

    for (size_t i = 0; i < length; i++) {
        if (text[i] != '\\') {
            continue;
        }
        if (length - i >= strlen(nul) && memcmp(text + i, nul, strlen(nul)) == 0) {
            text[i + 2] = '2';
            text[i + 3] = '4';
        }
        i++; /* a backslash that is escaped begins nothing */
    }
}

static enum tensor_file_status parse_json(const struct source *source, char *text, size_t length, json_t **header)
{
    enum tensor_file_status status = check_json_structure(source, text, length);
    if (status != TENSOR_FILE_OK) {
        return status;
    }
    json_error_t error;
    replace_nuls(text, length);
    bool memory_short;
    *header = document_parse(text, length, &error, &memory_short);
    if (memory_short) {
        return fail_memory(source, length);
    }
    if (*header == NULL) {
        char quoted[LABEL_TEXT_SIZE];
        return fail(source, TENSOR_FILE_FORMAT, "malformed safetensors header at its byte %d: %s", error.position,
                    label_text(quoted, error.text, strlen(error.text)));
    }
    return TENSOR_FILE_OK;
}

/* The file that has the tensor NAME, or any if NAME is NULL, by the index of a model that SOURCE is. The error says so.
 */
static void name_shard(const struct source *source, const char *name, const json_t *index)
{
    json_t *map = json_object_get(index, "weight_map");
    const char *shard =
        json_string_value(name != NULL ? json_object_get(map, name) : json_object_iter_value(json_object_iter(map)));
    char tensor[LABEL_TEXT_SIZE], file[LABEL_TEXT_SIZE];

    fail(source, TENSOR_FILE_FORMAT, "is the index of a model that is split into several files; ");
    if (shard == NULL) {
        append(source, "%s", name != NULL ? "unknown tensor" : "give one of these");
    } else if (name != NULL) {
        append(source, "give '%s', which has the tensor '%s'", label_text(file, shard, strlen(shard)),
               label_text(tensor, name, strlen(name)));
    } else {
        append(source, "give one of these, such as '%s'", label_text(file, shard, strlen(shard)));
    }
}

/* SOURCE is the index of a model: say so, and which file to read. */
static enum tensor_file_status refuse_index(const struct source *source, const char *name)
{
    json_t *index = NULL;
    char *text;
    enum tensor_file_status status;

    if (source->size > SAFETENSORS_HEADER_MAX) {
        name_shard(source, NULL, NULL);
        return TENSOR_FILE_FORMAT;
    }
    text = malloc(source->size);
    if (text == NULL) {
        return fail_memory(source, source->size);
    }
    status = read_bytes(source, text, source->size, 0);
    if (status == TENSOR_FILE_OK) {
        status = parse_json(source, text, source->size, &index);
    }
    free(text);
    if (status == TENSOR_FILE_IO) {
        return status;
    }
    /* What cannot be parsed is an index even so. */
    name_shard(source, index != NULL ? name : NULL, index);
    json_decref(index);
    return TENSOR_FILE_FORMAT;
}

/* Refuse what is known to be something else. */
static enum tensor_file_status check_kind(const struct source *source, const char *name)
{
    char start[TENSOR_KIND_SIZE];
    size_t size = source->size < sizeof start ? (size_t)source->size : sizeof start;
    enum tensor_file_status status = read_bytes(source, start, size, 0);
    const char *kind = status == TENSOR_FILE_OK ? tensor_kind_text(start, size) : NULL;

    if (kind != NULL) {
        return fail(source, TENSOR_FILE_FORMAT, "%s", kind);
    }
    return status == TENSOR_FILE_OK && tensor_kind_is_index(start, size) ? refuse_index(source, name) : status;
}

/* Read and parse the header. DATA_OFFSET is where the tensors' bytes begin. */
static enum tensor_file_status read_safetensors_header(const struct source *source, const char *name, json_t **header,
                                                       uint64_t *data_offset)
{
    unsigned char start[8 + 1];
    enum tensor_file_status status = check_kind(source, name);
    if (status != TENSOR_FILE_OK) {
        return status;
    }
    if (source->size < sizeof start) {
        return fail(source, TENSOR_FILE_FORMAT,
                    "is too short (%" PRIu64 " bytes); expected a NumPy .npy or a safetensors file", source->size);
    }
    status = read_bytes(source, start, sizeof start, 0);
    if (status != TENSOR_FILE_OK) {
        return status;
    }
    uint64_t length = load_little_endian(start, 8);
    if (start[8] != '{') {
        return fail(source, TENSOR_FILE_FORMAT,
                    "is neither a NumPy .npy file (no magic at its start) nor a safetensors file (no '{' at byte 8)");
    }
    if (length > source->size - 8) {
        return fail(source, TENSOR_FILE_FORMAT,
                    "is truncated: its safetensors header claims %" PRIu64 " bytes, the file has %" PRIu64
                    " after byte 8",
                    length, source->size - 8);
    }
    if (length > SAFETENSORS_HEADER_MAX) {
        return fail(source, TENSOR_FILE_FORMAT, "has a safetensors header of %" PRIu64 " bytes; expected at most %d",
                    length, SAFETENSORS_HEADER_MAX);
    }
    char *text = malloc(length > 0 ? length : 1);
    if (text == NULL) {
        return fail_memory(source, length);
    }
    status = read_bytes(source, text, length, 8);
    if (status == TENSOR_FILE_OK) {
        status = parse_json(source, text, length, header);
    }
    free(text);
    *data_offset = 8 + length;
    return status;
}

/* "__metadata__" is a map of texts, or null; nothing of it is used here. */
static enum tensor_file_status check_metadata(const struct source *source, json_t *metadata)
{
    const char *key;
    json_t *value;
    bool valid = json_is_object(metadata) || json_is_null(metadata);
    json_object_foreach(metadata, key, value)
    {
        valid = valid && json_is_string(value);
    }
    if (!valid) {
        return fail(source, TENSOR_FILE_FORMAT,
                    "malformed safetensors header: \"__metadata__\" is not an object of strings");
    }
    return TENSOR_FILE_OK;
}

static enum tensor_file_status fail_entry(const struct source *source, const struct entry *entry, const char *reason)
{
    char name[LABEL_TEXT_SIZE];
    return fail(source, TENSOR_FILE_FORMAT, "malformed safetensors header: tensor '%s': %s",
                label_text(name, entry->name, strlen(entry->name)), reason);
}

/* A whole number >= 0. 1.0, "1" and true are none. */
static bool get_size(const json_t *value, uint64_t *size)
{
    if (!json_is_integer(value) || json_integer_value(value) < 0) {
        return false;
    }
    *size = (uint64_t)json_integer_value(value);
    return true;
}

/* Check that the shape is one, and that its elements fill the tensor's bytes. Unknown types have no known size. */
static enum tensor_file_status check_entry_size(const struct source *source, const struct entry *entry)
{
    uint64_t elements = 1;
    uint64_t bits;
    for (size_t i = 0; i < json_array_size(entry->shape); i++) {
        uint64_t dimension;
        if (!get_size(json_array_get(entry->shape, i), &dimension)) {
            return fail_entry(source, entry, "a dimension of its \"shape\" is not a whole number >= 0");
        }
        if (!multiply(elements, dimension, &elements)) {
            return fail_entry(source, entry, "the size of its \"shape\" overflows 64 bits");
        }
    }
    if (entry->dtype == NULL) {
        return TENSOR_FILE_OK;
    }
    if (!multiply(elements, entry->dtype->bits, &bits)) {
        return fail_entry(source, entry, "the size of its \"shape\" overflows 64 bits");
    }
    if (bits % 8 != 0 || bits / 8 != entry->end - entry->begin) {
        return fail_entry(source, entry, "\"shape\" and \"dtype\" do not give the size that \"data_offsets\" give");
    }
    return TENSOR_FILE_OK;
}

/* ENTRY has its name. DATA_SIZE is the number of bytes after the header. */
static enum tensor_file_status parse_tensor_entry(const struct source *source, const json_t *info, uint64_t data_size,
                                                  struct entry *entry)
{
    if (!json_is_object(info)) {
        return fail_entry(source, entry, "its value is not an object");
    }
    entry->dtype_name = json_string_value(json_object_get(info, "dtype"));
    if (entry->dtype_name == NULL) {
        return fail_entry(source, entry, "lacks a string \"dtype\"");
    }
    entry->dtype = find_dtype(entry->dtype_name);
    entry->shape = json_object_get(info, "shape");
    if (!json_is_array(entry->shape)) {
        return fail_entry(source, entry, "lacks an array \"shape\"");
    }
    const json_t *offsets = json_object_get(info, "data_offsets");
    if (json_array_size(offsets) != 2 || !get_size(json_array_get(offsets, 0), &entry->begin) ||
        !get_size(json_array_get(offsets, 1), &entry->end)) {
        return fail_entry(source, entry, "lacks \"data_offsets\", an array of two whole numbers >= 0");
    }
    if (entry->begin > entry->end) {
        return fail_entry(source, entry, "its \"data_offsets\" are not in order");
    }
    if (entry->end > data_size) {
        return fail_entry(source, entry,
                          "its \"data_offsets\" are past the end of the file; the file may be truncated");
    }
    return check_entry_size(source, entry);
}

static int compare_entries(const void *left, const void *right)
{
    const struct entry *a = left;
    const struct entry *b = right;
    if (a->begin != b->begin) {
        return a->begin < b->begin ? -1 : 1;
    }
    return (a->end > b->end) - (a->end < b->end);
}

/* Sort the tensors by place. They must follow one another to the end of the file: the format has neither holes, where
 * something could hide, nor bytes that belong to two tensors. */
static enum tensor_file_status check_coverage(const struct source *source, uint64_t data_size, struct entry *entries,
                                              size_t count)
{
    uint64_t covered = 0;
    qsort(entries, count, sizeof *entries, compare_entries);
    for (size_t i = 0; i < count; i++) {
        if (entries[i].begin < covered) {
            return fail_entry(source, &entries[i], "its bytes overlap with those of another tensor");
        }
        if (entries[i].begin > covered) {
            return fail_entry(source, &entries[i], "the bytes before it belong to no tensor");
        }
        covered = entries[i].end;
    }
    if (covered != data_size) {
        return fail(source, TENSOR_FILE_FORMAT,
                    "is malformed: the last %" PRIu64 " of its bytes belong to no tensor of the safetensors header",
                    data_size - covered);
    }
    return TENSOR_FILE_OK;
}

/* Fill ENTRIES, which has room for all members of HEADER. */
static enum tensor_file_status parse_tensor_entries(const struct source *source, json_t *header, uint64_t data_size,
                                                    struct entry *entries, size_t *count)
{
    const char *key;
    json_t *value;
    *count = 0;
    json_object_foreach(header, key, value)
    {
        enum tensor_file_status status;
        if (strcmp(key, "__metadata__") == 0) {
            status = check_metadata(source, value);
        } else {
            struct entry *entry = &entries[(*count)++];
            entry->name = key;
            status = parse_tensor_entry(source, value, data_size, entry);
        }
        if (status != TENSOR_FILE_OK) {
            return status;
        }
    }
    return check_coverage(source, data_size, entries, *count);
}

/* The text of a JSON shape: "[2, 3]". Returns TEXT. */
static const char *format_shape(char text[LABEL_TEXT_SIZE], const json_t *shape)
{
    size_t rank = json_array_size(shape);
    size_t used = (size_t)snprintf(text, LABEL_TEXT_SIZE, "[");
    for (size_t i = 0; i < rank && i < LISTED_DIMENSIONS; i++) {
        used += (size_t)snprintf(text + used, LABEL_TEXT_SIZE - used, "%s%" JSON_INTEGER_FORMAT, i > 0 ? ", " : "",
                                 json_integer_value(json_array_get(shape, i)));
    }
    snprintf(text + used, LABEL_TEXT_SIZE - used, rank > LISTED_DIMENSIONS ? ", ...]" : "]");
    return text;
}

static void append_tensor_list(const struct source *source, const struct entry *entries, size_t count)
{
    for (size_t i = 0; i < count && i < LISTED_TENSORS; i++) {
        char name[LABEL_TEXT_SIZE];
        char dtype[LABEL_TEXT_SIZE];
        char shape[LABEL_TEXT_SIZE];
        append(source, "\n  %s  %.32s %s", label_text(name, entries[i].name, strlen(entries[i].name)),
               label_text(dtype, entries[i].dtype_name, strlen(entries[i].dtype_name)),
               format_shape(shape, entries[i].shape));
    }
    if (count > LISTED_TENSORS) {
        append(source, "\n  and %zu more", count - LISTED_TENSORS);
    }
}

/* The entry of the tensor NAME, or of the only tensor if NAME is NULL. */
static enum tensor_file_status choose_entry(const struct source *source, const char *name, const struct entry *entries,
                                            size_t count, const struct entry **chosen)
{
    if (count == 0) {
        return fail(source, TENSOR_FILE_FORMAT, "is a safetensors file without tensors");
    }
    for (size_t i = 0; i < count && (name != NULL || count == 1); i++) {
        if (name == NULL || strcmp(entries[i].name, name) == 0) {
            *chosen = &entries[i];
            return TENSOR_FILE_OK;
        }
    }
    if (name != NULL) {
        char quoted[LABEL_TEXT_SIZE];
        fail(source, TENSOR_FILE_FORMAT, "has no tensor '%s'; it has %zu:", label_text(quoted, name, strlen(name)),
             count);
    } else {
        fail(source, TENSOR_FILE_FORMAT, "has %zu tensors; the name of one must be given:", count);
    }
    append_tensor_list(source, entries, count);
    return TENSOR_FILE_FORMAT;
}

static struct dimensions dimensions_of(const json_t *shape)
{
    struct dimensions dimensions = {.rank = 0};
    for (size_t i = 0; i < json_array_size(shape); i++) {
        add_dimension(&dimensions, (uint64_t)json_integer_value(json_array_get(shape, i)));
    }
    return dimensions;
}

static enum tensor_file_status place_entry(const struct source *source, const struct entry *entry, uint64_t data_offset,
                                           struct place *place)
{
    char text[LABEL_TEXT_SIZE];
    if (entry->dtype == NULL || !entry->dtype->supported) {
        char name[LABEL_TEXT_SIZE];
        return fail(source, TENSOR_FILE_FORMAT,
                    "tensor '%s' has element type '%s', which is not supported; expected F16, BF16 or F32",
                    label_text(name, entry->name, strlen(entry->name)),
                    label_text(text, entry->dtype_name, strlen(entry->dtype_name)));
    }
    place->format = entry->dtype->format;
    place->element_size = entry->dtype->bits / 8;
    place->offset = data_offset + entry->begin;
    const struct dimensions dimensions = dimensions_of(entry->shape);
    return set_shape(source, &dimensions, format_shape(text, entry->shape), place);
}

/* What a safetensors header says, as long as it is not closed. */
struct directory {
    json_t *header;
    uint64_t data_offset; /* bytes from the beginning of the file to the tensors' */
    struct entry *entries;
    size_t count;
};

static void close_directory(struct directory *directory)
{
    free(directory->entries);
    json_decref(directory->header);
}

/* Read and check the header of a safetensors file. NAME is that of a wanted tensor, or NULL. */
static enum tensor_file_status open_directory(const struct source *source, const char *name,
                                              struct directory *directory)
{
    struct directory read = {.header = NULL};
    enum tensor_file_status status = read_safetensors_header(source, name, &read.header, &read.data_offset);
    if (status != TENSOR_FILE_OK) {
        return status;
    }
    size_t count = json_object_size(read.header);
    read.entries = calloc(count > 0 ? count : 1, sizeof *read.entries);
    status = read.entries == NULL ? fail_memory(source, (uint64_t)count * sizeof *read.entries)
                                  : parse_tensor_entries(source, read.header, source->size - read.data_offset,
                                                         read.entries, &read.count);
    if (status != TENSOR_FILE_OK) {
        close_directory(&read);
        return status;
    }
    *directory = read;
    return TENSOR_FILE_OK;
}

/* *TENSOR_NAME is a copy of the chosen tensor's name. */
static enum tensor_file_status find_safetensors(const struct source *source, const char *name, struct place *place,
                                                char **tensor_name)
{
    struct directory directory;
    const struct entry *chosen = NULL;
    enum tensor_file_status status = open_directory(source, name, &directory);
    if (status != TENSOR_FILE_OK) {
        return status;
    }
    status = choose_entry(source, name, directory.entries, directory.count, &chosen);
    if (status == TENSOR_FILE_OK) {
        status = place_entry(source, chosen, directory.data_offset, place);
    }
    if (status == TENSOR_FILE_OK) {
        *tensor_name = strdup(chosen->name);
        if (*tensor_name == NULL) {
            status = fail_memory(source, strlen(chosen->name) + 1);
        }
    }
    close_directory(&directory);
    return status;
}

/* ---- Elements ----------------------------------------------------------------------------------------------- */

/* Both formats are little endian; on such a host this changes nothing. */
static void to_native_order(void *data, const struct place *place)
{
    unsigned char *bytes = data;
    for (uint64_t i = 0; i < place->bytes && place->element_size > 1; i += place->element_size) {
        if (place->element_size == 2) {
            uint16_t element = (uint16_t)load_little_endian(bytes + i, 2);
            memcpy(bytes + i, &element, sizeof element);
        } else {
            uint32_t element = (uint32_t)load_little_endian(bytes + i, 4);
            memcpy(bytes + i, &element, sizeof element);
        }
    }
}

/* Memory is promised more freely than it is there: a sparse file can claim any size, and the promise would be broken
 * by killing the process. */
static enum tensor_file_status check_memory(const struct source *source, uint64_t bytes)
{
    /* The second only where an address is narrower than a file's size. */
    if (bytes > source->memory_limit || bytes > PTRDIFF_MAX) {
        return fail(source, TENSOR_FILE_IO, "the tensor needs %" PRIu64 " bytes of memory; %" PRIu64 " are free", bytes,
                    source->memory_limit);
    }
    return TENSOR_FILE_OK;
}

static enum tensor_file_status read_elements(const struct source *source, const struct place *place, void **data)
{
    enum tensor_file_status status = check_memory(source, place->bytes);
    if (status != TENSOR_FILE_OK) {
        return status;
    }
    void *elements = malloc(place->bytes);
    if (elements == NULL) {
        return fail_memory(source, place->bytes);
    }
    status = read_bytes(source, elements, place->bytes, place->offset);
    if (status != TENSOR_FILE_OK) {
        free(elements);
        return status;
    }
    to_native_order(elements, place);
    *data = elements;
    return TENSOR_FILE_OK;
}

/* Find out if the file begins as .npy does. */
static enum tensor_file_status find_npy_magic(const struct source *source, bool *is_npy)
{
    char magic[NPY_MAGIC_SIZE];
    uint64_t magic_size = source->size < sizeof magic ? source->size : sizeof magic;
    enum tensor_file_status status = read_bytes(source, magic, magic_size, 0);
    *is_npy = status == TENSOR_FILE_OK && magic_size == sizeof magic && memcmp(magic, NPY_MAGIC, sizeof magic) == 0;
    return status;
}

static enum tensor_file_status read_tensor(const struct source *source, const char *name, struct tensor_file *tensor)
{
    struct place place = {0};
    char *tensor_name = NULL;
    void *data = NULL;
    bool is_npy;
    enum tensor_file_status status = find_npy_magic(source, &is_npy);
    if (status == TENSOR_FILE_OK) {
        status = is_npy ? find_npy(source, name, &place) : find_safetensors(source, name, &place, &tensor_name);
    }
    if (status == TENSOR_FILE_OK) {
        status = read_elements(source, &place, &data);
    }
    if (status != TENSOR_FILE_OK) {
        free(tensor_name);
        return status;
    }
    *tensor = (struct tensor_file){
        .format = place.format, .tokens = place.rows, .hidden = place.columns, .name = tensor_name, .data = data};
    label_file(source->path, tensor_name, tensor->label);
    return TENSOR_FILE_OK;
}

enum tensor_file_status tensor_file_read(const char *path, const char *name, uint64_t memory_limit,
                                         struct tensor_file *tensor, char *error, size_t error_size)
{
    struct source source = {
        .path = path, .fd = -1, .memory_limit = memory_limit, .error = error, .error_size = error_size};
    enum tensor_file_status status = open_source(&source);
    if (status == TENSOR_FILE_OK) {
        status = read_tensor(&source, name, tensor);
        close(source.fd);
    }
    return status;
}

void tensor_file_free(struct tensor_file *tensor)
{
    free(tensor->name);
    free(tensor->data);
    *tensor = (struct tensor_file){0};
}

/* ---- Tensors of any type ---------------------------------------------------------------------------------------- */

/* Read the tensor of ENTRY as it is. */
static enum tensor_file_status read_raw(const struct source *source, const struct entry *entry, uint64_t data_offset,
                                        struct tensor_raw *raw)
{
    struct tensor_raw read = {.rank = json_array_size(entry->shape), .bytes = entry->end - entry->begin};
    struct place place = {.offset = data_offset + entry->begin, .bytes = read.bytes, .element_size = 1};
    char name[LABEL_TEXT_SIZE], type[LABEL_TEXT_SIZE];
    if (entry->dtype == NULL || entry->dtype->bits > 32) {
        return fail(source, TENSOR_FILE_FORMAT, "tensor '%s' has element type '%s', which is not supported",
                    label_text(name, entry->name, strlen(entry->name)),
                    label_text(type, entry->dtype_name, strlen(entry->dtype_name)));
    }
    if (read.bytes == 0) {
        return fail(source, TENSOR_FILE_FORMAT, "tensor '%s' has no elements; expected at least 1",
                    label_text(name, entry->name, strlen(entry->name)));
    }
    read.type = entry->dtype->name;
    format_shape(read.shape, entry->shape);
    for (size_t i = 0; i < 2 && i < read.rank; i++) {
        read.dimensions[i] = (uint64_t)json_integer_value(json_array_get(entry->shape, i));
    }
    if (entry->dtype->bits > 8) {
        place.element_size = entry->dtype->bits / 8;
    }
    enum tensor_file_status status = read_elements(source, &place, &read.data);
    if (status == TENSOR_FILE_OK) {
        *raw = read;
    }
    return status;
}

static enum tensor_file_status read_all_raw(struct source *source, const char *const *names, size_t count,
                                            struct tensor_raw *raws)
{
    struct directory directory;
    enum tensor_file_status status = open_directory(source, names[0], &directory);
    bool any = false;
    if (status != TENSOR_FILE_OK) {
        return status;
    }
    for (size_t i = 0; i < count && status == TENSOR_FILE_OK; i++) {
        for (size_t e = 0; e < directory.count && status == TENSOR_FILE_OK; e++) {
            if (strcmp(directory.entries[e].name, names[i]) == 0) {
                status = read_raw(source, &directory.entries[e], directory.data_offset, &raws[i]);
                source->memory_limit -= status == TENSOR_FILE_OK ? raws[i].bytes : 0;
                any = true;
            }
        }
    }
    if (status == TENSOR_FILE_OK && !any) {
        const struct entry *chosen;
        status = choose_entry(source, names[0], directory.entries, directory.count, &chosen);
    }
    close_directory(&directory);
    return status;
}

enum tensor_file_status tensor_file_read_raw(const char *path, const char *const *names, size_t count,
                                             uint64_t memory_limit, struct tensor_raw *raws, char *error,
                                             size_t error_size)
{
    struct source source = {
        .path = path, .fd = -1, .memory_limit = memory_limit, .error = error, .error_size = error_size};
    bool is_npy;
    enum tensor_file_status status = open_source(&source);
    memset(raws, 0, count * sizeof *raws);
    if (status != TENSOR_FILE_OK) {
        return status;
    }
    status = find_npy_magic(&source, &is_npy);
    if (status == TENSOR_FILE_OK) {
        status = is_npy ? fail(&source, TENSOR_FILE_FORMAT,
                               "is a .npy file, which has no scales; expected a safetensors file")
                        : read_all_raw(&source, names, count, raws);
    }
    close(source.fd);
    if (status != TENSOR_FILE_OK) {
        tensor_raw_free(raws, count);
    }
    return status;
}

void tensor_raw_free(struct tensor_raw *raws, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        free(raws[i].data);
    }
    memset(raws, 0, count * sizeof *raws);
}

/* ---- All tensors ------------------------------------------------------------------------------------------------ */

/* Write SHAPE, a tuple, as safetensors do: "[2, 3]". */
static void format_tuple(char text[TENSOR_SHAPE_SIZE], struct span shape)
{
    size_t used = (size_t)snprintf(text, TENSOR_SHAPE_SIZE, "["), rank = 0;
    for (size_t i = 0; i < shape.length && rank <= LISTED_DIMENSIONS; i++) {
        const size_t digits = strspn(shape.text + i, "0123456789");
        if (digits > 0) {
            rank++;
            used += (size_t)snprintf(text + used, TENSOR_SHAPE_SIZE - used, "%s%.*s", rank > 1 ? ", " : "",
                                     rank > LISTED_DIMENSIONS ? 3 : (int)digits,
                                     rank > LISTED_DIMENSIONS ? "..." : shape.text + i);
            i += digits - 1;
        }
    }
    snprintf(text + used, TENSOR_SHAPE_SIZE - used, "]");
}

/* Set LISTED, which was zero, to the tensor of a .npy file. One that cannot be quantized is listed too. */
static enum tensor_file_status list_npy(const struct source *source, struct tensor_listed *listed)
{
    char text[NPY_HEADER_MAX];
    struct npy_header header = {0};
    struct place place = {0};
    enum tensor_file_status status = read_npy_header(source, text, &header, &place.offset);

    if (status != TENSOR_FILE_OK) {
        return status;
    }
    snprintf(listed->type, sizeof listed->type, "%s", npy_type(header.descr));
    listed->can_quantize = (strcmp(listed->type, "F16") == 0 || strcmp(listed->type, "F32") == 0) &&
                           !header.fortran_order && header.dimensions.rank > 0 && header.dimensions.rows > 0 &&
                           header.dimensions.last > 0;
    if (listed->can_quantize) {
        status = check_npy_header(source, &header, &place);
        status = status == TENSOR_FILE_OK ? check_npy_size(source, &place) : status;
    }
    format_tuple(listed->shape, header.shape);
    listed->is_column_major = header.fortran_order;
    listed->format = listed->can_quantize ? place.format : QB_FORMAT_F32;
    listed->rank = header.dimensions.rank;
    listed->first = header.dimensions.first;
    listed->rows = header.dimensions.rows;
    listed->cols = header.dimensions.last;
    listed->offset = place.offset;
    listed->bytes = source->size - place.offset;
    listed->stamp = source->stamp;
    return status;
}

/* Set LISTED, which was zero, to that of ENTRY. */
static enum tensor_file_status list_entry(const struct source *source, const struct entry *entry, uint64_t data_offset,
                                          struct tensor_listed *listed)
{
    const struct dimensions dimensions = dimensions_of(entry->shape);
    char shape[LABEL_TEXT_SIZE];

    listed->name = strdup(entry->name);
    if (listed->name == NULL) {
        return fail_memory(source, strlen(entry->name) + 1);
    }
    snprintf(listed->type, sizeof listed->type, "%s", entry->dtype != NULL ? entry->dtype->name : "unknown");
    snprintf(listed->shape, sizeof listed->shape, "%.*s", (int)sizeof listed->shape - 1,
             format_shape(shape, entry->shape));
    listed->can_quantize = entry->dtype != NULL && entry->dtype->supported && dimensions.rank > 0 &&
                           dimensions.rows > 0 && dimensions.last > 0 && !dimensions.overflow;
    listed->format = listed->can_quantize ? entry->dtype->format : QB_FORMAT_F32;
    listed->rank = dimensions.rank;
    listed->first = dimensions.first;
    listed->rows = dimensions.rows;
    listed->cols = dimensions.last;
    listed->offset = data_offset + entry->begin;
    listed->bytes = entry->end - entry->begin;
    listed->stamp = source->stamp;
    return TENSOR_FILE_OK;
}

static enum tensor_file_status list_safetensors(const struct source *source, struct tensor_listed **list, size_t *count)
{
    struct directory directory;
    enum tensor_file_status status = open_directory(source, NULL, &directory);

    if (status != TENSOR_FILE_OK) {
        return status;
    }
    *list = calloc(directory.count + 1, sizeof **list);
    if (*list == NULL) {
        status = fail_memory(source, (directory.count + 1) * sizeof **list);
    }
    for (size_t i = 0; i < directory.count && status == TENSOR_FILE_OK; i++) {
        status = list_entry(source, &directory.entries[i], directory.data_offset, &(*list)[i]);
        *count = i + 1;
    }
    close_directory(&directory);
    return status;
}

enum tensor_file_status tensor_file_list(const char *path, struct tensor_listed **list, size_t *count, char *error,
                                         size_t error_size)
{
    struct source source = {.path = path, .fd = -1, .error = error, .error_size = error_size};
    struct tensor_listed *found = NULL;
    size_t found_count = 0;
    bool is_npy = false;
    enum tensor_file_status status = open_source(&source);

    if (status != TENSOR_FILE_OK) {
        return status;
    }
    status = find_npy_magic(&source, &is_npy);
    if (status == TENSOR_FILE_OK && is_npy) {
        found = calloc(1, sizeof *found);
        found_count = found != NULL;
        status = found != NULL ? list_npy(&source, found) : fail_memory(&source, sizeof *found);
    } else if (status == TENSOR_FILE_OK) {
        status = list_safetensors(&source, &found, &found_count);
    }
    close(source.fd);
    if (status != TENSOR_FILE_OK) {
        tensor_listed_free(found, found_count);
        return status;
    }
    *list = found;
    *count = found_count;
    return TENSOR_FILE_OK;
}

void tensor_listed_free(struct tensor_listed *list, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        free(list[i].name);
    }
    free(list);
}

/* True if elements can be used where they lie: this host is little endian, and they are aligned. */
static bool lies_well(uint64_t offset, unsigned element_size)
{
    const uint16_t one = 1;
    unsigned char first;

    memcpy(&first, &one, sizeof first);
    return first == 1 && offset % element_size == 0;
}

/* The elements of PLACE, mapped or in memory of their own. */
static enum tensor_file_status get_elements(struct source *source, const struct place *place, struct tensor_part *part)
{
    if (lies_well(place->offset, place->element_size) &&
        mapping_open(source->fd, place->offset, place->bytes, &part->mapping)) {
        part->data = part->mapping.data;
        part->descriptor = source->fd;
        part->stamp = source->stamp;
        source->fd = -1;
        return TENSOR_FILE_OK;
    }
    enum tensor_file_status status = read_elements(source, place, &part->own);
    part->data = part->own;
    return status == TENSOR_FILE_OK && !has_stamp(source->fd, &source->stamp) ? fail_change(source) : status;
}

/* Open the file of PLACE, which is to be as it was when it was listed. */
static enum tensor_file_status open_listed(const struct tensor_place *place, struct source *source)
{
    enum tensor_file_status status = open_source(source);

    if (status != TENSOR_FILE_OK) {
        return status;
    }
    if (!has_stamp(source->fd, &place->stamp) || place->offset > source->size ||
        place->bytes > source->size - place->offset) {
        close(source->fd);
        return fail_change(source);
    }
    return TENSOR_FILE_OK;
}

enum tensor_file_status tensor_part_open(const struct tensor_place *from, uint64_t memory_limit,
                                         struct tensor_part *part, char *error, size_t error_size)
{
    struct source source = {
        .path = from->path, .fd = -1, .memory_limit = memory_limit, .error = error, .error_size = error_size};
    const struct place place = {.format = from->format,
                                .offset = from->offset,
                                .bytes = from->bytes,
                                .element_size = qb_format_info(from->format)->bits / 8};
    enum tensor_file_status status = open_listed(from, &source);

    *part = (struct tensor_part){.data = NULL};
    if (status != TENSOR_FILE_OK) {
        return status;
    }
    status = get_elements(&source, &place, part);
    if (source.fd >= 0) {
        close(source.fd);
    }
    if (status != TENSOR_FILE_OK) {
        tensor_part_close(part);
    }
    return status;
}

bool tensor_part_is_intact(const struct tensor_part *part)
{
    return part->mapping.data == NULL ||
           (!mapping_is_broken(&part->mapping) && has_stamp(part->descriptor, &part->stamp));
}

void tensor_part_close(struct tensor_part *part)
{
    if (part->mapping.data != NULL) {
        close(part->descriptor);
    }
    mapping_close(&part->mapping);
    free(part->own);
    *part = (struct tensor_part){.data = NULL};
}

/* Bytes that are compared at once: elements of any size fill them. */
#define COMPARED_BYTES (1 << 20)

enum tensor_file_status tensor_part_compare(const struct tensor_place *from, const void *data, bool *same, char *error,
                                            size_t error_size)
{
    struct source source = {.path = from->path, .fd = -1, .error = error, .error_size = error_size};
    struct place piece = {.element_size = qb_format_info(from->format)->bits / 8};
    enum tensor_file_status status = open_listed(from, &source);
    bool equal = true;
    char *bytes;

    if (status != TENSOR_FILE_OK) {
        return status;
    }
    bytes = malloc(COMPARED_BYTES);
    status = bytes == NULL ? fail_memory(&source, COMPARED_BYTES) : TENSOR_FILE_OK;
    for (uint64_t done = 0; done < from->bytes && equal && status == TENSOR_FILE_OK; done += piece.bytes) {
        piece.bytes = from->bytes - done < COMPARED_BYTES ? from->bytes - done : COMPARED_BYTES;
        status = read_bytes(&source, bytes, piece.bytes, from->offset + done);
        if (status == TENSOR_FILE_OK) {
            to_native_order(bytes, &piece);
            equal = memcmp(bytes, (const char *)data + done, piece.bytes) == 0;
        }
    }
    if (status == TENSOR_FILE_OK && !has_stamp(source.fd, &from->stamp)) {
        status = fail_change(&source);
    }
    free(bytes);
    close(source.fd);
    *same = status == TENSOR_FILE_OK && equal;
    return status;
}
