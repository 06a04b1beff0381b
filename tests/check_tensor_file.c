/* SPDX-License-Identifier: Apache-2.0 */
/* check_tensor_file.c - the reader of .npy and safetensors files: good files, damaged files, and no files at all. */
#ifdef HAVE_CONFIG_H
#include <config.h>
#endif
#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif

#include <check.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "run.h"
#include "cases/tensor_file.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define PATH_SIZE    4096

/* ---- Building files ----------------------------------------------------------------------------------------- */

struct bytes {
    unsigned char *data;
    size_t size;
};

static void add(struct bytes *bytes, const void *data, size_t size)
{
    bytes->data = realloc(bytes->data, bytes->size + size + 1);
    ck_assert_ptr_nonnull(bytes->data);
    if (size > 0) {
        memcpy(bytes->data + bytes->size, data, size);
    }
    bytes->size += size;
}

static void add_number(struct bytes *bytes, uint64_t number, unsigned size)
{
    for (unsigned i = 0; i < size; i++) {
        unsigned char byte = (unsigned char)(number >> (8 * i));
        add(bytes, &byte, 1);
    }
}

/* SIZE elements' bytes 0, 1, 2, ... */
static void add_counting(struct bytes *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        unsigned char byte = (unsigned char)i;
        add(bytes, &byte, 1);
    }
}

enum kind {
    RAW,
    NPY,
    SAFETENSORS,
};

/* What a file is made of: a start that depends on the kind, the header's text, and data that count 0, 1, 2, ... */
struct recipe {
    enum kind kind;
    const char *header;
    size_t header_size; /* bytes; 0 means strlen(header) */
    size_t data_size;   /* bytes */
    unsigned version;   /* of .npy: 0x100 x major + minor; 0 means 1.0 */
    uint64_t length;    /* the length that the start claims; 0 means the true one */
};

static void build(const struct recipe *recipe, struct bytes *bytes)
{
    size_t size = recipe->header_size != 0 ? recipe->header_size : strlen(recipe->header);
    uint64_t length = recipe->length != 0 ? recipe->length : size;
    unsigned version = recipe->version != 0 ? recipe->version : 0x100;
    if (recipe->kind == NPY) {
        unsigned char numbers[2] = {(unsigned char)(version >> 8), (unsigned char)version};
        add(bytes, "\x93NUMPY", 6);
        add(bytes, numbers, 2);
        add_number(bytes, length, version < 0x200 ? 2 : 4);
    } else if (recipe->kind == SAFETENSORS) {
        add_number(bytes, length, 8);
    }
    add(bytes, recipe->header, size);
    add_counting(bytes, recipe->data_size);
}

/* A new name for a file or pipe of this test, without the file. */
static void temporary_path(char path[PATH_SIZE])
{
    const char *folder = getenv("TMPDIR");
    snprintf(path, PATH_SIZE, "%s/tensor_file_XXXXXX", folder != NULL && *folder != '\0' ? folder : ".");
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    close(fd);
}

static int next_descriptor(void)
{
    int fd = open("/dev/null", O_RDONLY);
    close(fd);
    return fd;
}

/* Check what holds for every failure: no output, no open file, and a text that is safe to print. */
static void check_failure(const char *path, const struct tensor_file *tensor, const char *error)
{
    struct tensor_file untouched;
    memset(&untouched, 0x5a, sizeof untouched);
    ck_assert_mem_eq(tensor, &untouched, sizeof untouched);
    ck_assert_msg(strncmp(error, path, strlen(path)) == 0, "the error does not begin with the file: %s", error);
    for (const char *c = error; *c != '\0'; c++) {
        ck_assert_msg((*c >= ' ' && *c <= '~') || *c == '\n', "the error has a raw byte 0x%02x", (unsigned char)*c);
    }
    ck_assert_int_ne(error[strlen(error) - 1], '\n');
}

static enum tensor_file_status read_path(const char *path, const char *name, struct tensor_file *tensor,
                                         char error[TENSOR_FILE_ERROR_SIZE])
{
    int descriptor = next_descriptor();
    memset(tensor, 0x5a, sizeof *tensor);
    strcpy(error, "nothing yet");
    enum tensor_file_status status =
        tensor_file_read(path, name, (uint64_t)1 << 36, tensor, error, TENSOR_FILE_ERROR_SIZE);
    ck_assert_int_eq(next_descriptor(), descriptor);
    return status;
}

/* Write a file, read the tensor NAME of it, remove it. */
static enum tensor_file_status read_bytes(const struct bytes *bytes, const char *name, struct tensor_file *tensor,
                                          char error[TENSOR_FILE_ERROR_SIZE])
{
    char path[PATH_SIZE];
    temporary_path(path);
    FILE *file = fopen(path, "wb");
    size_t written = file != NULL ? fwrite(bytes->data, 1, bytes->size, file) : 0;
    bool closed = file != NULL && fclose(file) == 0;
    enum tensor_file_status status = read_path(path, name, tensor, error);
    unlink(path);
    ck_assert_uint_eq(written, bytes->size);
    ck_assert(closed);
    if (status != TENSOR_FILE_OK) {
        check_failure(path, tensor, error);
    }
    return status;
}

static enum tensor_file_status read_recipe(const struct recipe *recipe, const char *name, struct tensor_file *tensor,
                                           char error[TENSOR_FILE_ERROR_SIZE])
{
    struct bytes bytes = {0};
    build(recipe, &bytes);
    enum tensor_file_status status = read_bytes(&bytes, name, tensor, error);
    free(bytes.data);
    return status;
}

/* ---- Good files --------------------------------------------------------------------------------------------- */

struct good {
    const char *title;
    struct recipe file;
    const char *name; /* that is asked for */
    enum qb_format format;
    uint64_t tokens;
    uint64_t hidden;
    unsigned first; /* the data's first byte; they count from there */
};

#define TWO_TENSORS                                                                                                    \
    "{\"__metadata__\":{\"format\":\"pt\"},\"a\":{\"dtype\":\"F16\",\"shape\":[2,3],\"data_offsets\":[0,12]},"         \
    "\"b\":{\"dtype\":\"F32\",\"shape\":[1,2],\"data_offsets\":[12,20]}}"

static const struct good goods[] = {
    {"half, 1.0",
     {NPY, "{'descr': '<f2', 'fortran_order': False, 'shape': (2, 3), }      \n", .data_size = 12},
     NULL,
     QB_FORMAT_F16,
     2,
     3,
     0},
    {"float, 1.0",
     {NPY, "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }\n", .data_size = 24},
     NULL,
     QB_FORMAT_F32,
     2,
     3,
     0},
    {"half, 2.0",
     {NPY, "{'descr': '<f2', 'fortran_order': False, 'shape': (3, 2), }\n", .data_size = 12, .version = 0x200},
     NULL,
     QB_FORMAT_F16,
     3,
     2,
     0},
    {"float, 3.0",
     {NPY, "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2), }\n", .data_size = 24, .version = 0x300},
     NULL,
     QB_FORMAT_F32,
     3,
     2,
     0},
    {"native order",
     {NPY, "{'descr':'=f4','fortran_order':False,'shape':(1,1)}", .data_size = 4},
     NULL,
     QB_FORMAT_F32,
     1,
     1,
     0},
    {"irrelevant order",
     {NPY, "{'descr':'|f2','fortran_order':False,'shape':(1,1)}", .data_size = 2},
     NULL,
     QB_FORMAT_F16,
     1,
     1,
     0},
    {"one dimension",
     {NPY, "{'descr':'<f2','fortran_order':False,'shape':(5,)}\n", .data_size = 10},
     NULL,
     QB_FORMAT_F16,
     1,
     5,
     0},
    {"keys in another order, double quotes, white space",
     {NPY, " {\n\"shape\" : ( 2 , 3 , ) ,\t\"fortran_order\":False,\r\n\"descr\":\"<f2\" } ", .data_size = 12},
     NULL,
     QB_FORMAT_F16,
     2,
     3,
     0},
    {"Python 2",
     {NPY, "{'descr':'<f2','fortran_order':False,'shape':(2L, 3L)}\n", .data_size = 12},
     NULL,
     QB_FORMAT_F16,
     2,
     3,
     0},
    {"the only tensor",
     {SAFETENSORS, "{\"w\":{\"dtype\":\"BF16\",\"shape\":[2,3],\"data_offsets\":[0,12]}}   ", .data_size = 12},
     NULL,
     QB_FORMAT_BF16,
     2,
     3,
     0},
    {"first of two", {SAFETENSORS, TWO_TENSORS, .data_size = 20}, "a", QB_FORMAT_F16, 2, 3, 0},
    {"second of two", {SAFETENSORS, TWO_TENSORS, .data_size = 20}, "b", QB_FORMAT_F32, 1, 2, 12},
    {"not in the order of the header",
     {SAFETENSORS,
      "{\"a\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[4,16]},"
      "\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}",
      .data_size = 16},
     "a",
     QB_FORMAT_F32,
     1,
     3,
     4},
    {"beside a scalar, an empty tensor, one of many dimensions, an unknown type and 6-bit elements",
     {SAFETENSORS,
      "{\"scalar\":{\"dtype\":\"I64\",\"shape\":[],\"data_offsets\":[0,8]},"
      "\"empty\":{\"dtype\":\"F32\",\"shape\":[0,7],\"data_offsets\":[8,8]},"
      "\"many\":{\"dtype\":\"U8\",\"shape\":[1,1,1,1,1,1,1,1,1,2],\"data_offsets\":[8,10]},"
      "\"new\":{\"dtype\":\"F3\",\"shape\":[9],\"data_offsets\":[10,12]},"
      "\"six\":{\"dtype\":\"F6_E2M3\",\"shape\":[4],\"data_offsets\":[12,15]},"
      "\"w\":{\"dtype\":\"F16\",\"shape\":[2,1],\"data_offsets\":[15,19]}}",
      .data_size = 19},
     "w",
     QB_FORMAT_F16,
     2,
     1,
     15},
    {"three dimensions are folded to rows",
     {NPY, "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3, 4), }\n", .data_size = 96},
     NULL,
     QB_FORMAT_F32,
     6,
     4,
     0},
    {"ten dimensions are folded to rows",
     {SAFETENSORS, "{\"w\":{\"dtype\":\"F16\",\"shape\":[1,2,1,1,3,1,1,1,1,5],\"data_offsets\":[0,60]}}",
      .data_size = 60},
     NULL,
     QB_FORMAT_F16,
     6,
     5,
     0},
    {"no metadata, which is said with null",
     {SAFETENSORS, "{\"__metadata__\":null,\"w\":{\"dtype\":\"F16\",\"shape\":[1,2],\"data_offsets\":[0,4]}}",
      .data_size = 4},
     NULL,
     QB_FORMAT_F16,
     1,
     2,
     0},
    {"NUL in metadata and in the name of another tensor",
     {SAFETENSORS,
      "{\"__metadata__\":{\"a\\u0000\":\"b\\u0000\"},\"n\\u0000\":{\"dtype\":\"F16\",\"shape\":[1],\"data_offsets\":[0,"
      "2]},"
      "\"w\":{\"dtype\":\"F16\",\"shape\":[1,1],\"data_offsets\":[2,4]}}",
      .data_size = 4},
     "w",
     QB_FORMAT_F16,
     1,
     1,
     2},
    {"NUL in the name, which the symbol for it stands for",
     {SAFETENSORS, "{\"w\\u0000\":{\"dtype\":\"F16\",\"shape\":[1,2],\"data_offsets\":[0,4]}}", .data_size = 4},
     "w\xe2\x90\x80",
     QB_FORMAT_F16,
     1,
     2,
     0},
};

START_TEST(test_good)
{
    const struct good *good = &goods[_i];
    struct tensor_file tensor;
    char error[TENSOR_FILE_ERROR_SIZE];
    enum tensor_file_status status = read_recipe(&good->file, good->name, &tensor, error);
    ck_assert_msg(status == TENSOR_FILE_OK, "%s: status %d: %s", good->title, (int)status, error);
    ck_assert_msg(tensor.format == good->format, "%s: format %d", good->title, (int)tensor.format);
    ck_assert_msg(tensor.tokens == good->tokens && tensor.hidden == good->hidden, "%s: %" PRIu64 " x %" PRIu64,
                  good->title, tensor.tokens, tensor.hidden);
    if (good->file.kind == NPY) {
        ck_assert_ptr_null(tensor.name);
    } else {
        ck_assert_str_eq(tensor.name, good->name != NULL ? good->name : "w");
    }
    for (uint64_t i = 0; i < tensor.tokens * tensor.hidden; i++) {
        unsigned size = tensor.format == QB_FORMAT_F32 ? 4 : 2;
        uint64_t got = size == 4 ? ((uint32_t *)tensor.data)[i] : ((uint16_t *)tensor.data)[i];
        uint64_t want = 0;
        for (unsigned byte = 0; byte < size; byte++) {
            want |= (good->first + i * size + byte) << (8 * byte);
        }
        ck_assert_msg(got == want, "%s: element %" PRIu64 ": got 0x%" PRIx64 ", want 0x%" PRIx64, good->title, i, got,
                      want);
    }
    tensor_file_free(&tensor);
    ck_assert_ptr_null(tensor.data);
    ck_assert_ptr_null(tensor.name);
}
END_TEST

/* Values as a user knows them, NaN and infinities included. */
START_TEST(test_values)
{
    static const unsigned char data[] = {0, 0, 0x80, 0x3f, 0, 0, 0x20, 0xc0, 0, 0, 0x80, 0x7f, 1, 0, 0xc0, 0xff};
    struct recipe recipe = {NPY, "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2), }\n", .data_size = 0};
    struct bytes bytes = {0};
    struct tensor_file tensor;
    char error[TENSOR_FILE_ERROR_SIZE];
    uint32_t nan;
    build(&recipe, &bytes);
    add(&bytes, data, sizeof data);
    ck_assert_int_eq(read_bytes(&bytes, NULL, &tensor, error), TENSOR_FILE_OK);
    free(bytes.data);
    const float *values = tensor.data;
    ck_assert(values[0] == 1.0f && values[1] == -2.5f);
    ck_assert_float_infinite(values[2]);
    memcpy(&nan, &values[3], sizeof nan);
    ck_assert_uint_eq(nan, 0xffc00001);
    tensor_file_free(&tensor);
}
END_TEST

/* ---- Damaged files ------------------------------------------------------------------------------------------ */

struct damaged {
    const char *title;
    struct recipe file;
    const char *name;    /* that is asked for */
    const char *message; /* what the error must say */
};

/* Bytes as they are, a .npy file, and a safetensors file with one tensor t of the given fields; DATA is its size in
 * bytes. */
#define RAW_FILE(TEXT)                                                                                                 \
    {                                                                                                                  \
        RAW, TEXT, .header_size = sizeof(TEXT) - 1                                                                     \
    }
#define NPY_FILE(TEXT, DATA)                                                                                           \
    {                                                                                                                  \
        NPY, TEXT, .data_size = (DATA)                                                                                 \
    }
#define ST_FILE(TEXT, DATA)                                                                                            \
    {                                                                                                                  \
        SAFETENSORS, TEXT, .data_size = (DATA)                                                                         \
    }
#define NPY_SHAPE(SHAPE)     "{'descr': '<f4', 'fortran_order': False, 'shape': " SHAPE ", }\n"
#define ST_TENSOR(FIELDS)    "{\"t\":{" FIELDS "}}"
#define ST_SHAPE(SHAPE, END) ST_TENSOR("\"dtype\":\"F32\",\"shape\":" SHAPE ",\"data_offsets\":[0," END "]")
#define ST_OFFSETS(OFFSETS)  ST_TENSOR("\"dtype\":\"F32\",\"shape\":[2,2],\"data_offsets\":" OFFSETS)
#define ST_F16(NAME, COUNT, BEGIN, END)                                                                                \
    "\"" NAME "\":{\"dtype\":\"F16\",\"shape\":[" COUNT "],\"data_offsets\":[" BEGIN "," END "]}"

static const struct damaged damaged[] = {
    /* Neither format. */
    {"empty", RAW_FILE(""), NULL, "is empty"},
    {"one byte", RAW_FILE("{"), NULL, "is too short (1 bytes)"},
    {"text", RAW_FILE("hello, this is not a tensor"), NULL, "is neither a NumPy .npy file"},
    {"zip", RAW_FILE("PK\3\4 and so on"), NULL, "is a zip archive"},
    {"Git LFS pointer", RAW_FILE("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"), NULL,
     "is a Git LFS pointer, which stands for a file that was not downloaded; get the file with \"git lfs pull\""},
    {"gzip", RAW_FILE("\x1f\x8b\x08..........."), NULL, "is compressed with gzip"},
    {"GGUF", RAW_FILE("GGUF\3..........."), NULL, "is a GGUF file"},
    {"pickle", RAW_FILE("\x80\2}q"), NULL, "is a Python pickle"},
    {"web page", RAW_FILE("<!DOCTYPE html>"), NULL, "is a web page"},
    {"index", RAW_FILE("{\n \"metadata\":{},\"weight_map\": {\"a\": \"1-of-2.safetensors\", \"b\": \"\\u001b\"}}"),
     NULL, "is the index of a model that is split into several files; give one of these, such as '1-of-2.safetensors'"},
    {"index: a tensor", RAW_FILE("{\"weight_map\":{\"a\":\"1-of-2.safetensors\",\"b\":\"\\u001b\"}}"), "b",
     "several files; give '\\x1b', which has the tensor 'b'"},
    {"index: no such tensor", RAW_FILE("{\"weight_map\":{\"a\":\"1\"}}"), "c", "several files; unknown tensor"},
    {"index: damaged", RAW_FILE("{\"weight_map\":{\"a\""), "a", "several files; give one of these"},
    {"index: '{' where safetensors have it", RAW_FILE("{\"m\":   {\"weight_map\":{}}}"), "a", "several files; "},
    {"other JSON", RAW_FILE("{\"weights\":{\"a\":1}}"), NULL, "is neither"},
    {"zeros", RAW_FILE("\0\0\0\0\0\0\0\0\0\0\0\0"), NULL, "is neither a NumPy .npy file"},
    {"almost the magic", RAW_FILE("\x93NUMPX\1\0\0\0\0\0\0\0"), NULL, "is neither a NumPy .npy file"},

    /* .npy: the start. */
    {"npy: magic only", RAW_FILE("\x93NUMPY"), NULL, "6 bytes are too few for a .npy header"},
    {"npy: no header", RAW_FILE("\x93NUMPY\1\0\x76\0"), NULL, "10 bytes are too few for a .npy header"},
    {"npy: version 0.0", RAW_FILE("\x93NUMPY\0\0\x02\0{}\n"), NULL, "has .npy version 0.0"},
    {"npy: version 4.0", {NPY, NPY_SHAPE("(1, 1)"), .data_size = 4, .version = 0x400}, NULL, "has .npy version 4.0"},
    {"npy: version 1.1", {NPY, NPY_SHAPE("(1, 1)"), .data_size = 4, .version = 0x101}, NULL, "has .npy version 1.1"},
    {"npy: header past the end",
     {NPY, NPY_SHAPE("(1, 1)"), .data_size = 4, .length = 1000},
     NULL,
     "header claims 1000 bytes"},
    {"npy: header of 4 GB",
     {NPY, NPY_SHAPE("(1, 1)"), .data_size = 4, .version = 0x200, .length = 0xffffffff},
     NULL,
     "header claims 4294967295 bytes"},
    {"npy: huge header", {NPY, NPY_SHAPE("(1, 1)"), .data_size = 20000, .length = 10001}, NULL, "at most 10000"},

    /* .npy: the dictionary. */
    {"npy: short header length",
     {NPY, NPY_SHAPE("(1, 1)"), .data_size = 4, .length = 30},
     NULL,
     "expected a key in quotes"},
    {"npy: no dictionary", NPY_FILE("['<f4', False, (1, 1)]\n", 4), NULL, "expected '{'"},
    {"npy: zeros", {NPY, "\0\0\0\0\0\0\0\0", 8, .data_size = 4}, NULL, "found '\\x00\\x00"},
    {"npy: white space", NPY_FILE("              \n", 4), NULL, "expected '{'"},
    {"npy: empty dictionary", NPY_FILE("{}\n            ", 4), NULL, "expected each of the keys"},
    {"npy: no shape", NPY_FILE("{'descr': '<f4', 'fortran_order': False}\n", 4), NULL, "expected each of the keys"},
    {"npy: no order", NPY_FILE("{'descr': '<f4', 'shape': (1, 1)}\n", 4), NULL, "expected each of the keys"},
    {"npy: no type", NPY_FILE("{'fortran_order': False, 'shape': (1, 1)}\n", 4), NULL, "expected each of the keys"},
    {"npy: key twice", NPY_FILE("{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (1, 1)}\n", 4), NULL,
     "shape' once"},
    {"npy: unknown key", NPY_FILE("{'descr': '<f4', 'fortran_order': False, 'shape': (1, 1), 'x': 1}\n", 4), NULL,
     "shape' once"},
    {"npy: no comma", NPY_FILE("{'descr': '<f4' 'fortran_order': False, 'shape': (1, 1)}\n", 4), NULL,
     "expected ',' or '}'"},
    {"npy: no colon", NPY_FILE("{'descr' '<f4', 'fortran_order': False, 'shape': (1, 1)}\n", 4), NULL, "expected ':'"},
    {"npy: open string", NPY_FILE("{'descr: (                  \n", 4), NULL, "expected a key in quotes"},
    {"npy: escape", NPY_FILE("{'descr': '<f\\x34', 'fortran_order': False, 'shape': (1, 1)}\n", 4), NULL,
     "expected an element type in quotes"},
    {"npy: not closed", NPY_FILE("{'descr': '<f4', 'fortran_order': False, 'shape': (1, 1)", 4), NULL,
     "expected ',' or '}'"},
    {"npy: more after the dictionary",
     NPY_FILE("{'descr': '<f4', 'fortran_order': False, 'shape': (1, 1)}; quit()\n", 4), NULL,
     "expected nothing but white space"},
    {"npy: order is a number", NPY_FILE("{'descr': '<f4', 'fortran_order': 0, 'shape': (1, 1)}\n", 4), NULL,
     "expected True or False"},

    /* .npy: the type and the order. */
    {"npy: double", NPY_FILE("{'descr': '<f8', 'fortran_order': False, 'shape': (1, 1)}\n", 8), NULL,
     "element type '<f8' is not supported"},
    {"npy: bfloat16 of ml_dtypes", NPY_FILE("{'descr': '<V2', 'fortran_order': False, 'shape': (1, 1)}\n", 2), NULL,
     "element type '<V2' is two bytes of unknown meaning, as which NumPy saves bfloat16; save the tensor as "
     "safetensors"},
    {"npy: big endian", NPY_FILE("{'descr': '>f2', 'fortran_order': False, 'shape': (1, 1)}\n", 2), NULL,
     "element type '>f2' is not supported"},
    {"npy: half without byte order", NPY_FILE("{'descr': 'f2', 'fortran_order': False, 'shape': (1, 1)}\n", 2), NULL,
     "element type 'f2' is not supported"},
    {"npy: float without byte order", NPY_FILE("{'descr': 'f4', 'fortran_order': False, 'shape': (1, 1)}\n", 4), NULL,
     "element type 'f4' is not supported"},
    {"npy: empty type", NPY_FILE("{'descr': '', 'fortran_order': False, 'shape': (1, 1)}\n", 2), NULL,
     "element type '' is not supported"},
    {"npy: NUL as byte order",
     {NPY, "{'descr': '\0f4', 'fortran_order': False, 'shape': (1, 1)}\n", 58, .data_size = 4},
     NULL,
     "element type '\\x00f4' is not supported"},
    {"npy: control characters", NPY_FILE("{'descr': '\033[31m\a\n', 'fortran_order': False, 'shape': (1, 1)}\n", 2),
     NULL, "element type '\\x1b[31m\\x07\\x0a' is not supported"},
    {"npy: structured type", NPY_FILE("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1, 1)}\n", 4), NULL,
     "structured types are not supported"},
    {"npy: Fortran order", NPY_FILE("{'descr': '<f4', 'fortran_order': True, 'shape': (2, 2)}\n", 16), NULL,
     "numpy.ascontiguousarray"},

    /* .npy: the shape. */
    {"npy: no tuple", NPY_FILE(NPY_SHAPE("4"), 16), NULL, "expected a tuple of dimensions"},
    {"npy: number in parentheses", NPY_FILE(NPY_SHAPE("(4)"), 16), NULL, "as in a tuple of one dimension"},
    {"npy: comma alone", NPY_FILE(NPY_SHAPE("(,)"), 16), NULL, "expected a dimension"},
    {"npy: negative", NPY_FILE(NPY_SHAPE("(-2, 2)"), 16), NULL, "expected a dimension, a decimal number >= 0"},
    {"npy: fraction", NPY_FILE(NPY_SHAPE("(2.0, 2)"), 16), NULL, "as in a tuple of one dimension"},
    {"npy: leading zero", NPY_FILE(NPY_SHAPE("(02, 2)"), 16), NULL, "expected a dimension"},
    {"npy: no comma in the shape", NPY_FILE(NPY_SHAPE("(2, 2 2)"), 16), NULL, "expected ',' or ')'"},
    {"npy: open shape", NPY_FILE("{'shape': (2, 2", 16), NULL, "expected ',' or ')'"},
    {"npy: dimension of 65 bits", NPY_FILE(NPY_SHAPE("(18446744073709551617, 1)"), 4), NULL, "at most 64 bits"},
    {"npy: product overflows", NPY_FILE(NPY_SHAPE("(4294967296, 4294967297)"), 16), NULL, "its size overflows 64 bits"},
    {"npy: size in bytes overflows", NPY_FILE(NPY_SHAPE("(4611686018427387905, 1)"), 4), NULL,
     "its size overflows 64 bits"},
    {"npy: no rows", NPY_FILE(NPY_SHAPE("(0, 4)"), 0), NULL, "shape (0, 4) has no elements"},
    {"npy: no columns", NPY_FILE(NPY_SHAPE("(4, 0)"), 0), NULL, "shape (4, 0) has no elements"},
    {"npy: scalar", NPY_FILE(NPY_SHAPE("()"), 4), NULL, "shape () has 0 dimensions"},
    {"npy: product of three overflows", NPY_FILE(NPY_SHAPE("(4294967296, 4294967297, 2)"), 16), NULL,
     "its size overflows 64 bits"},

    /* .npy: the data. */
    {"npy: no data", NPY_FILE(NPY_SHAPE("(2, 2)"), 0), NULL, "need 16 bytes after the header, the file has 0"},
    {"npy: one byte less", NPY_FILE(NPY_SHAPE("(2, 2)"), 15), NULL, "is truncated"},
    {"npy: one byte more", NPY_FILE(NPY_SHAPE("(2, 2)"), 17), NULL, "and 1 more bytes follow"},
    {"npy: with a name", NPY_FILE(NPY_SHAPE("(2, 2)"), 16), "w", "one tensor without a name; 'w' was asked for"},

    /* safetensors: the start and the JSON. */
    {"st: header length only", RAW_FILE("\2\0\0\0\0\0\0\0"), NULL, "is too short (8 bytes)"},
    {"st: header past the end", {SAFETENSORS, "{}", .length = 3}, NULL, "header claims 3 bytes, the file has 2"},
    {"st: header of 2^64 - 1 bytes",
     {SAFETENSORS, "{}", .length = UINT64_MAX},
     NULL,
     "header claims 18446744073709551615 bytes"},
    {"st: header of 0 bytes", RAW_FILE("\0\0\0\0\0\0\0\0{}"), NULL, "malformed safetensors header"},
    {"st: an array", ST_FILE("[1, 2, 3]", 0), NULL, "no '{' at byte 8"},
    {"st: cut off",
     {SAFETENSORS, ST_SHAPE("[2,2]", "16"), .data_size = 16, .length = 20},
     NULL,
     "malformed safetensors"},
    {"st: no JSON", ST_FILE("{'t': 1}", 0), NULL, "malformed safetensors header at its byte"},
    {"st: not UTF-8", ST_FILE("{\"\xff\":1}", 0), NULL, "malformed safetensors header at its byte"},
    {"st: NUL in a name", ST_FILE("{\"a\\u0000b\":1}", 0), NULL, "tensor 'a\\xe2\\x90\\x80b': its value is not"},
    {"st: an escaped backslash is none", ST_FILE("{\"a\\\\u0000b\":1}", 0), NULL,
     "tensor 'a\\u0000b': its value is not"},
    {"st: control characters", ST_FILE("{\033[31m}", 0), NULL, "\\x1b"},
    {"st: more after the object", ST_FILE("{} {}", 0), NULL, "malformed safetensors header at its byte"},
    {"st: the same name twice", ST_FILE("{" ST_F16("a", "2", "0", "4") "," ST_F16("a", "2", "4", "8") "}", 8), "a",
     "duplicate object key"},
    {"st: the same field twice",
     ST_FILE(ST_TENSOR("\"dtype\":\"F32\",\"dtype\":\"F16\",\"shape\":[1],\"data_offsets\":[0,4]"), 4), NULL,
     "duplicate object key"},
    {"st: deep", ST_FILE("{\"a\":[[[[[[[[[[[[]]]]]]]]]]]]}", 0), NULL, "nested deeper than 3 levels"},
    {"st: metadata is not an object", ST_FILE("{\"__metadata__\":\"pt\"}", 0), NULL,
     "\"__metadata__\" is not an object"},
    {"st: metadata has a number", ST_FILE("{\"__metadata__\":{\"a\":1}}", 0), NULL,
     "\"__metadata__\" is not an object"},

    /* safetensors: the fields of a tensor. */
    {"st: no tensors", ST_FILE("{}      ", 0), NULL, "is a safetensors file without tensors"},
    {"st: only metadata", ST_FILE("{\"__metadata__\":{}}", 0), NULL, "is a safetensors file without tensors"},
    {"st: tensor is a number", ST_FILE("{\"t\":1}", 0), NULL, "tensor 't': its value is not an object"},
    {"st: no dtype", ST_FILE(ST_TENSOR("\"shape\":[1],\"data_offsets\":[0,4]"), 4), NULL, "lacks a string \"dtype\""},
    {"st: dtype is a number", ST_FILE(ST_TENSOR("\"dtype\":32,\"shape\":[1],\"data_offsets\":[0,4]"), 4), NULL,
     "lacks a string \"dtype\""},
    {"st: no shape", ST_FILE(ST_TENSOR("\"dtype\":\"F32\",\"data_offsets\":[0,4]"), 4), NULL,
     "lacks an array \"shape\""},
    {"st: no offsets", ST_FILE(ST_TENSOR("\"dtype\":\"F32\",\"shape\":[1]"), 4), NULL, "lacks \"data_offsets\""},
    {"st: one offset", ST_FILE(ST_OFFSETS("[0]"), 16), NULL, "lacks \"data_offsets\", an array of two"},
    {"st: three offsets", ST_FILE(ST_OFFSETS("[0,16,16]"), 16), NULL, "lacks \"data_offsets\", an array of two"},
    {"st: negative offset", ST_FILE(ST_OFFSETS("[-16,0]"), 16), NULL, "lacks \"data_offsets\", an array of two"},
    {"st: negative end", ST_FILE(ST_OFFSETS("[0,-16]"), 16), NULL, "lacks \"data_offsets\", an array of two"},
    {"st: offset is a fraction", ST_FILE(ST_OFFSETS("[0,16.0]"), 16), NULL, "lacks \"data_offsets\", an array of two"},
    {"st: offset of 64 bits", ST_FILE(ST_OFFSETS("[0,18446744073709551615]"), 16), NULL,
     "malformed safetensors header"},
    {"st: offsets backwards", ST_FILE(ST_OFFSETS("[16,0]"), 16), NULL, "\"data_offsets\" are not in order"},
    {"st: offsets past the end", ST_FILE(ST_OFFSETS("[0,16]"), 15), NULL, "past the end of the file"},
    {"st: offsets far past the end", ST_FILE(ST_OFFSETS("[9223372036854775791,9223372036854775807]"), 16), NULL,
     "past the end of the file"},
    {"st: negative dimension", ST_FILE(ST_SHAPE("[-2,-2]", "16"), 16), NULL, "not a whole number >= 0"},
    {"st: dimension is a fraction", ST_FILE(ST_SHAPE("[2.0,2]", "16"), 16), NULL, "not a whole number >= 0"},
    {"st: dimension is a text", ST_FILE(ST_SHAPE("[\"2\",2]", "16"), 16), NULL, "not a whole number >= 0"},
    {"st: dimension is null", ST_FILE(ST_SHAPE("[null,2]", "16"), 16), NULL, "not a whole number >= 0"},
    {"st: product overflows", ST_FILE(ST_SHAPE("[4294967296,4294967297]", "16"), 16), NULL,
     "\"shape\" overflows 64 bits"},
    {"st: size in bits overflows", ST_FILE(ST_SHAPE("[576460752303423489]", "32"), 32), NULL,
     "\"shape\" overflows 64 bits"},
    {"st: size too small", ST_FILE(ST_SHAPE("[2,2]", "15"), 15), NULL, "do not give the size"},
    {"st: size too large", ST_FILE(ST_SHAPE("[2,2]", "17"), 17), NULL, "do not give the size"},
    {"st: half a byte", ST_FILE(ST_TENSOR("\"dtype\":\"F4\",\"shape\":[3],\"data_offsets\":[0,1]"), 1), NULL,
     "do not give the size"},

    /* safetensors: the tensors together. */
    {"st: overlap", ST_FILE("{" ST_F16("a", "4", "0", "8") "," ST_F16("b", "4", "4", "12") "}", 12), "a",
     "tensor 'b': its bytes overlap"},
    {"st: the same bytes twice", ST_FILE("{" ST_F16("a", "4", "0", "8") "," ST_F16("b", "4", "0", "8") "}", 8), "a",
     "its bytes overlap"},
    {"st: hole at the beginning", ST_FILE("{" ST_F16("a", "4", "2", "10") "}", 10), "a",
     "the bytes before it belong to no"},
    {"st: hole in between", ST_FILE("{" ST_F16("a", "2", "0", "4") "," ST_F16("b", "2", "6", "10") "}", 10), "a",
     "tensor 'b': the bytes before it belong to no tensor"},
    {"st: hole at the end", ST_FILE("{" ST_F16("a", "2", "0", "4") "}", 7), "a", "the last 3 of its bytes"},
    {"st: bytes without a tensor", ST_FILE("{}", 7), NULL, "the last 7 of its bytes"},

    /* safetensors: the choice. */
    {"st: several and no name", ST_FILE(TWO_TENSORS, 20), NULL, "has 2 tensors; the name of one must be given:"},
    {"st: the list", ST_FILE(TWO_TENSORS, 20), NULL, ":\n  a  F16 [2, 3]\n  b  F32 [1, 2]"},
    {"st: no such name", ST_FILE(TWO_TENSORS, 20), "c",
     "has no tensor 'c'; it has 2:\n  a  F16 [2, 3]\n  b  F32 [1, 2]"},
    {"st: the metadata", ST_FILE(TWO_TENSORS, 20), "__metadata__", "has no tensor '__metadata__'"},
    {"st: empty name", ST_FILE(TWO_TENSORS, 20), "", "has no tensor ''"},
    {"st: unsupported type", ST_FILE(ST_TENSOR("\"dtype\":\"I64\",\"shape\":[1,2],\"data_offsets\":[0,16]"), 16), NULL,
     "element type 'I64', which is not supported; expected F16, BF16 or F32"},
    {"st: unknown type", ST_FILE(ST_TENSOR("\"dtype\":\"Q\\u001b4\",\"shape\":[1,2],\"data_offsets\":[0,16]"), 16),
     NULL, "element type 'Q\\x1b4', which is not supported"},
    {"st: control characters in a name",
     ST_FILE("{\"\\u001b]0;x\\u0007\\u009b\\n\":{\"dtype\":\"F16\",\"shape\":[],\"data_offsets\":[0,2]}}", 2), "x",
     "\n  \\x1b]0;x\\x07\\xc2\\x9b\\x0a  F16 []"},
    {"st: scalar", ST_FILE(ST_SHAPE("[]", "4"), 4), NULL, "shape [] has 0 dimensions"},
    {"st: no elements in ten dimensions", ST_FILE(ST_SHAPE("[1,1,1,1,1,1,1,1,0,1]", "0"), 0), NULL,
     "shape [1, 1, 1, 1, 1, 1, 1, 1, ...] has no elements"},
    {"st: no rows", ST_FILE(ST_SHAPE("[0,4]", "0"), 0), NULL, "shape [0, 4] has no elements"},
    {"st: no columns", ST_FILE(ST_SHAPE("[4,0]", "0"), 0), NULL, "shape [4, 0] has no elements"},
};

START_TEST(test_damaged)
{
    const struct damaged *row = &damaged[_i];
    struct tensor_file tensor;
    char error[TENSOR_FILE_ERROR_SIZE];
    enum tensor_file_status status = read_recipe(&row->file, row->name, &tensor, error);
    ck_assert_msg(status == TENSOR_FILE_FORMAT, "%s: status %d: %s", row->title, (int)status, error);
    ck_assert_msg(strstr(error, row->message) != NULL, "%s: want \"%s\" in: %s", row->title, row->message, error);
}
END_TEST

/* Every beginning of a good file is a damaged one. */
START_TEST(test_truncated)
{
    const struct good *good = &goods[_i];
    struct bytes bytes = {0};
    struct tensor_file tensor;
    char error[TENSOR_FILE_ERROR_SIZE];
    build(&good->file, &bytes);
    for (size_t size = bytes.size; size-- > 0;) {
        struct bytes part = {bytes.data, size};
        enum tensor_file_status status = read_bytes(&part, good->name, &tensor, error);
        ck_assert_msg(status == TENSOR_FILE_FORMAT, "%s: first %zu bytes: status %d", good->title, size, (int)status);
    }
    free(bytes.data);
}
END_TEST

/* ---- Large and long ----------------------------------------------------------------------------------------- */

/* A header over the format's limit is refused before it is read: the file is sparse and takes no room on the disk. */
START_TEST(test_header_over_limit)
{
    char path[PATH_SIZE];
    char error[TENSOR_FILE_ERROR_SIZE];
    struct tensor_file tensor;
    struct bytes bytes = {0};
    temporary_path(path);
    add_number(&bytes, 100000001, 8);
    add(&bytes, "{}", 2);
    int fd = open(path, O_WRONLY);
    bool written = write(fd, bytes.data, bytes.size) == (ssize_t)bytes.size && ftruncate(fd, 200000000) == 0;
    close(fd);
    enum tensor_file_status status = read_path(path, NULL, &tensor, error);
    unlink(path);
    free(bytes.data);
    ck_assert(written);
    ck_assert_int_eq(status, TENSOR_FILE_FORMAT);
    check_failure(path, &tensor, error);
    ck_assert_ptr_nonnull(strstr(error, "header of 100000001 bytes; expected at most 100000000"));
}
END_TEST

/* A sparse file can claim more than any machine's memory: 2^42 bytes. */
START_TEST(test_beyond_memory)
{
    struct recipe recipe = {NPY, NPY_SHAPE("(1048576, 1048576)"), .data_size = 0};
    char path[PATH_SIZE];
    char error[TENSOR_FILE_ERROR_SIZE];
    struct tensor_file tensor;
    struct bytes bytes = {0};
    temporary_path(path);
    build(&recipe, &bytes);
    int fd = open(path, O_WRONLY);
    bool written = write(fd, bytes.data, bytes.size) == (ssize_t)bytes.size &&
                   ftruncate(fd, (off_t)(bytes.size + (UINT64_C(1) << 42))) == 0;
    close(fd);
    enum tensor_file_status status = read_path(path, NULL, &tensor, error);
    unlink(path);
    free(bytes.data);
    /* Some file systems have no files of this size. */
    if (written) {
        ck_assert_int_eq(status, TENSOR_FILE_IO);
        check_failure(path, &tensor, error);
        ck_assert_ptr_nonnull(strstr(error, "4398046511104 bytes of memory"));
    }
}
END_TEST

/* Few bytes of text must not become much memory. */
START_TEST(test_many_values)
{
    struct bytes bytes = {0};
    char error[TENSOR_FILE_ERROR_SIZE];
    struct tensor_file tensor;
    const size_t size = 5000000;
    char *text = malloc(size);
    ck_assert_ptr_nonnull(text);
    for (size_t i = 0; i < size; i += 2) {
        memcpy(text + i, "0,", 2);
    }
    memcpy(text, "{\"a\":[", 6);
    add_number(&bytes, size, 8);
    add(&bytes, text, size);
    free(text);
    enum tensor_file_status status = read_bytes(&bytes, NULL, &tensor, error);
    free(bytes.data);
    ck_assert_int_eq(status, TENSOR_FILE_FORMAT);
    ck_assert_ptr_nonnull(strstr(error, "more than 2097152 JSON values"));
}
END_TEST

/* The list of many tensors with long names is bounded, and whole. */
START_TEST(test_long_list)
{
    struct bytes bytes = {0};
    struct bytes text = {0};
    char error[TENSOR_FILE_ERROR_SIZE];
    char entry[1000];
    struct tensor_file tensor;
    const int count = 50;
    for (int i = 0; i < count; i++) {
        int size = snprintf(entry, sizeof entry,
                            "%c\"%02d%0700d\":{\"dtype\":\"F16\",\"shape\":[1,1],\"data_offsets\":[%d,%d]}",
                            i == 0 ? '{' : ',', i, 0, 2 * i, 2 * i + 2);
        add(&text, entry, (size_t)size);
    }
    add(&text, "}", 1);
    add_number(&bytes, text.size, 8);
    add(&bytes, text.data, text.size);
    add_counting(&bytes, 2 * (size_t)count);
    free(text.data);
    ck_assert_int_eq(read_bytes(&bytes, NULL, &tensor, error), TENSOR_FILE_FORMAT);
    ck_assert_ptr_nonnull(strstr(error, "has 50 tensors"));
    ck_assert_ptr_nonnull(strstr(error, "\n  00000"));
    ck_assert_ptr_nonnull(strstr(error, "0...  F16 [1, 1]\n  19000"));
    ck_assert_ptr_null(strstr(error, "\n  20000"));
    ck_assert_str_eq(error + strlen(error) - strlen("\n  and 30 more"), "\n  and 30 more");
    free(bytes.data);
}
END_TEST

/* Names with more bytes than the error buffer: what fits is there, and ends. */
START_TEST(test_small_error_buffer)
{
    struct tensor_file tensor;
    char error[16];
    memset(error, 'x', sizeof error);
    ck_assert_int_eq(tensor_file_read("no/such/file", NULL, UINT64_MAX, &tensor, error, 9), TENSOR_FILE_IO);
    ck_assert_str_eq(error, "no/such/");
    ck_assert_int_eq(error[9], 'x');
    ck_assert_int_eq(tensor_file_read("no/such/file", NULL, UINT64_MAX, &tensor, NULL, 0), TENSOR_FILE_IO);
}
END_TEST

/* ---- No files ----------------------------------------------------------------------------------------------- */

static void check_path(const char *path, enum tensor_file_status want, const char *message)
{
    struct tensor_file tensor;
    char error[TENSOR_FILE_ERROR_SIZE];
    enum tensor_file_status status = read_path(path, NULL, &tensor, error);
    ck_assert_msg(status == want, "%s: status %d: %s", path, (int)status, error);
    check_failure(path, &tensor, error);
    ck_assert_msg(strstr(error, message) != NULL, "want \"%s\" in: %s", message, error);
}

START_TEST(test_missing)
{
    check_path("no/such/file.npy", TENSOR_FILE_IO, "cannot open: ");
    check_path("", TENSOR_FILE_IO, "cannot open: ");
}
END_TEST

START_TEST(test_directory)
{
    check_path(".", TENSOR_FILE_FORMAT, "is a directory; expected a regular file");
}
END_TEST

START_TEST(test_device)
{
    check_path("/dev/zero", TENSOR_FILE_FORMAT, "is a character device; expected a regular file");
    check_path("/dev/null", TENSOR_FILE_FORMAT, "is a character device; expected a regular file");
}
END_TEST

/* Nobody writes to this pipe: a reader that opens it the usual way waits for ever. */
START_TEST(test_pipe)
{
    char path[PATH_SIZE];
    struct tensor_file tensor;
    char error[TENSOR_FILE_ERROR_SIZE];
    temporary_path(path);
    unlink(path);
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    enum tensor_file_status status = read_path(path, NULL, &tensor, error);
    unlink(path);
    ck_assert_int_eq(status, TENSOR_FILE_FORMAT);
    ck_assert_ptr_nonnull(strstr(error, "is a pipe; expected a regular file"));
}
END_TEST

START_TEST(test_control_characters_in_path)
{
    struct tensor_file tensor;
    char error[TENSOR_FILE_ERROR_SIZE];
    ck_assert_int_eq(read_path("no\033[31m\n/\x9b/file", NULL, &tensor, error), TENSOR_FILE_IO);
    ck_assert_msg(strncmp(error, "no\\x1b[31m\\x0a/\\x9b/file: ", 26) == 0, "%s", error);
}
END_TEST

/* ---- A file that is cut while it is mapped ---------------------------------------------------------------------- */

START_TEST(test_cut_while_mapped)
{
    static char bytes[3 * 4096];
    char path[] = "cut-XXXXXX";
    int descriptor = mkstemp(path);
    struct mapping mapping = {.data = NULL};

    ck_assert_int_ge(descriptor, 0);
    unlink(path);
    memset(bytes, 1, sizeof bytes);
    ck_assert_int_eq(write(descriptor, bytes, sizeof bytes), sizeof bytes);
    ck_assert(mapping_open(descriptor, 8, sizeof bytes - 8, &mapping));
    ck_assert_int_eq(*(const char *)mapping.data, 1);
    ck_assert(!mapping_is_broken(&mapping));
    ck_assert_int_eq(ftruncate(descriptor, 0), 0);
    ck_assert_int_eq(((const volatile char *)mapping.data)[sizeof bytes - 9], 0);
    ck_assert(mapping_is_broken(&mapping));
    mapping_close(&mapping);
    ck_assert(!mapping_is_broken(&mapping));
    close(descriptor);
}
END_TEST

static Suite *tensor_file_suite(void)
{
    Suite *suite = suite_create("tensor_file");
    TCase *good = patient_case("good");
    tcase_add_loop_test(good, test_good, 0, COUNT(goods));
    tcase_add_test(good, test_values);
    suite_add_tcase(suite, good);

    TCase *bad = patient_case("damaged");
    tcase_add_loop_test(bad, test_damaged, 0, COUNT(damaged));
    tcase_add_loop_test(bad, test_truncated, 0, COUNT(goods));
    suite_add_tcase(suite, bad);

    TCase *large = patient_case("large");
    tcase_add_test(large, test_header_over_limit);
    tcase_add_test(large, test_beyond_memory);
    tcase_add_test(large, test_many_values);
    tcase_add_test(large, test_long_list);
    tcase_add_test(large, test_small_error_buffer);
    suite_add_tcase(suite, large);

    TCase *none = patient_case("no file");
    tcase_add_test(none, test_missing);
    tcase_add_test(none, test_directory);
    tcase_add_test(none, test_device);
    tcase_add_test(none, test_pipe);
    tcase_add_test(none, test_control_characters_in_path);
    TCase *mapped = patient_case("mapped");
    tcase_add_test(mapped, test_cut_while_mapped);
    suite_add_tcase(suite, mapped);
    suite_add_tcase(suite, none);
    return suite;
}

int main(void)
{
    return run_suite(tensor_file_suite());
}
