/* SPDX-License-Identifier: Apache-2.0 */
/* tensor_file.h - read a tensor from a NumPy .npy or a safetensors file, or list all of them. */
#ifndef QUANTBENCH_TENSOR_FILE_H
#define QUANTBENCH_TENSOR_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "quantbench.h"
#include "base/label.h"
#include "base/mapping.h"

/* A tensor in memory, row-major without gaps, elements in the byte order of the host. */
/* Enough bytes for the label of any tensor. */

struct tensor_file {
    enum qb_format format;  /* F16, BF16 or F32 */
    uint64_t tokens;        /* rows, >= 1 */
    uint64_t hidden;        /* columns, >= 1 */
    char *name;             /* the tensor's name in the file; NULL for .npy, which has no names */
    char label[LABEL_SIZE]; /* the file and the name, safe to print on a terminal */
    void *data;             /* tokens x hidden elements */
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
 * A tensor has two dimensions, rows x columns; one of one dimension is read as a single row, and of one of more all but
 * the last are folded into rows. NaN and infinities are
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

/* Which file it is, and since when it is as it is. */
struct tensor_stamp {
    uint64_t device, inode;
    uint64_t size; /* bytes */
    int64_t seconds, nanoseconds;
};

/* Enough bytes for the text of eight dimensions. */
#define TENSOR_SHAPE_SIZE 192

/* A tensor that a file has. */
struct tensor_listed {
    char *name;                    /* NULL: a .npy file, which has no names */
    char type[16];                 /* as safetensors spell it; "unknown" */
    char shape[TENSOR_SHAPE_SIZE]; /* "[2, 3]" */
    bool can_quantize;     /* its type is an input, and it has elements and at least one dimension, in C order */
    bool is_column_major;  /* it is in Fortran order */
    enum qb_format format; /* if so */
    size_t rank;
    uint64_t first;      /* dimension */
    uint64_t rows, cols; /* all dimensions but the last, multiplied; and the last */
    uint64_t offset;     /* in the file, bytes */
    uint64_t bytes;
    struct tensor_stamp stamp; /* of the file */
};

/* List all tensors of PATH, in the order of their bytes. Free LIST with tensor_listed_free(). Failures are those of
 * tensor_file_read(). */
enum tensor_file_status tensor_file_list(const char *path, struct tensor_listed **list, size_t *count, char *error,
                                         size_t error_size);
void tensor_listed_free(struct tensor_listed *list, size_t count);

/* Elements of a file in the byte order of the host: mapped where they can be used as they lie, else read. */
struct tensor_part {
    const void *data; /* NULL: not open */
    struct mapping mapping;
    int descriptor; /* of the file that is mapped */
    struct tensor_stamp stamp;
    void *own;
};

/* A place in a file. */
struct tensor_place {
    const char *path;
    struct tensor_stamp stamp; /* that the file has to have */
    enum qb_format format;
    uint64_t offset, bytes;
};

/* Get the elements of PLACE. A PART is not moved while it is open. */
enum tensor_file_status tensor_part_open(const struct tensor_place *place, uint64_t memory_limit,
                                         struct tensor_part *part, char *error, size_t error_size);
/* True if the file is still as it was: what was read of PART up to now is what the file had. */
bool tensor_part_is_intact(const struct tensor_part *part);
void tensor_part_close(struct tensor_part *part);

/* Set *SAME to whether the elements of PLACE are DATA. */
enum tensor_file_status tensor_part_compare(const struct tensor_place *place, const void *data, bool *same, char *error,
                                            size_t error_size);

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
 * none of them is an error. Otherwise as tensor_file_read(). On failure RAWS lacks data. */
enum tensor_file_status tensor_file_read_raw(const char *path, const char *const *names, size_t count,
                                             uint64_t memory_limit, struct tensor_raw *raws, char *error,
                                             size_t error_size);

/* Release what tensor_file_read_raw() allocated, and zero RAWS. */
void tensor_raw_free(struct tensor_raw *raws, size_t count);

#endif
