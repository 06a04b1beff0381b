/* SPDX-License-Identifier: Apache-2.0 */
/* tensor_file.h - read one tensor from a NumPy .npy or a safetensors file. */
#ifndef QUANTBENCH_TENSOR_FILE_H
#define QUANTBENCH_TENSOR_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "quantbench.h"
#include "base/label.h"

/* A tensor in memory, row-major without gaps, elements in the byte order of the host. */
/* Enough bytes for the label of any tensor. */

struct tensor_file {
    enum qb_format format;  /* F16, BF16 or F32 */
    uint64_t tokens;        /* rows, >= 1 */
    uint64_t hidden;        /* columns, >= 1 */
    char *name;             /* the tensor's name in the file; NULL for .npy, which has no names */
    char label[LABEL_SIZE]; /* the file and the name, safe to print on a terminal */
    void *data;             /* tokens x hidden elements */
    uint64_t digest;        /* of format, shape and data: plan_read_tensor() sets it, once a run */
};

/* Why a tensor could not be read; main maps it to the exit status. */
enum tensor_file_status {
    TENSOR_FILE_OK = 0,
    /* The file cannot be opened or read, or the tensor does not fit in memory (exit status 3). */
    TENSOR_FILE_IO,
    /* The file is not a regular one, is malformed, has an unsupported type or shape, or has no tensor of that name
     * (exit status 2). */
    TENSOR_FILE_FORMAT,
};

/* Enough bytes for every error text, the list of tensors included. A smaller buffer gets its beginning. */
#define TENSOR_FILE_ERROR_SIZE 8192

/* Read the tensor NAME of the file PATH. The content decides which format it is, not the suffix.
 *
 * .npy: versions 1.0, 2.0 and 3.0, half ('<f2') and float ('<f4'), C order; NAME must be NULL.
 * safetensors: F16, BF16 and F32; NAME may be NULL if the file holds exactly one tensor.
 * A tensor has two dimensions, rows x columns; one of one dimension is read as a single row. NaN and infinities are
 * values like any other. Only the header and the wanted tensor's bytes are read, and nothing is allocated before the
 * sizes that the file claims are checked against the file's size, and the tensor's against MEMORY_LIMIT bytes.
 *
 * On failure *TENSOR is untouched and ERROR has one or more lines, without a newline at the end: the file, what was
 * found and what was expected. Text that comes from the file is escaped, so that it is safe to print on a terminal;
 * letters beyond ASCII are kept as far as the locale (LC_CTYPE) knows them. */
enum tensor_file_status tensor_file_read(const char *path, const char *name, uint64_t memory_limit,
                                         struct tensor_file *tensor, char *error, size_t error_size);

/* Release what tensor_file_read() allocated, and zero *TENSOR. */
void tensor_file_free(struct tensor_file *tensor);

/* A tensor of a safetensors file as it lies there, of any type of at most 32 bits; elements of 16 and 32 bits are in
 * the byte order of the host. */
struct tensor_raw {
    const char *type; /* as the file has it, such as "F8_E4M3" */
    size_t rank;
    uint64_t dimensions[2]; /* the first two */
    char shape[LABEL_TEXT_SIZE];
    uint64_t bytes;
    void *data; /* NULL: the file lacks the tensor */
};

/* Read those of the COUNT tensors NAMES that the safetensors file PATH has into RAWS, all of which are set: that it has
 * none of them is an error. Otherwise as tensor_file_read(). On failure there is no data in RAWS. */
enum tensor_file_status tensor_file_read_raw(const char *path, const char *const *names, size_t count,
                                             uint64_t memory_limit, struct tensor_raw *raws, char *error,
                                             size_t error_size);

/* Release what tensor_file_read_raw() allocated, and zero RAWS. */
void tensor_raw_free(struct tensor_raw *raws, size_t count);

#endif
