/* SPDX-License-Identifier: Apache-2.0 */
/* tensors.h - the tensors that --input and --tensor choose, of files, folders and split models. One is in memory at a
 * time. */
#ifndef TENSORS_H
#define TENSORS_H

#include "cases/tensor_file.h"
#include "model/settings.h"

/* A tensor, or a slice of one. */
struct tensor {
    char *file;                    /* that has it */
    char *name;                    /* NULL: a .npy file, which has no names */
    char *title;                   /* that tells it from the others: the name, or the file's, or both */
    char type[16];                 /* as safetensors spell it */
    char shape[TENSOR_SHAPE_SIZE]; /* in the file: "[8, 2, 4]" */
    const char *reason;            /* it is kept as it is, and why; NULL: it is to be quantized */
    enum qb_format format;
    uint64_t rows, cols;          /* what it is folded to */
    uint64_t offset;              /* in the file, bytes */
    uint64_t bytes;               /* in the file */
    struct tensor_stamp stamp;    /* of the file when it was listed */
    uint64_t digest;              /* of format, shape and data; 0: not computed yet */
    const struct tensor *same_as; /* an earlier one that has the same bytes; NULL: none, or not known yet */
};

struct tensors {
    struct tensor *items; /* to be quantized */
    size_t count;
    struct tensor *kept; /* those of the files that are kept as they are */
    size_t kept_count;
    uint64_t largest; /* bytes of the largest item */
    bool is_list;     /* they were chosen from a list; else it is one that was asked for, and read */
    uint64_t memory_limit;
    struct tensor_file one; /* the one that was asked for */
    const struct tensor *held;
    struct tensor_part part; /* what is held */
};

/* What tensors are wanted for. */
enum tensors_use {
    TENSORS_TO_MEASURE, /* --tensor chooses, unless there is one */
    TENSORS_TO_RATE,    /* all with two dimensions and more, unless --tensor chooses */
    TENSORS_TO_LIST,    /* all, unless --tensor chooses */
};

/* Find the tensors of SWEEP, which has an --input, for USE. MEMORY_LIMIT bytes are free. On failure the error has been
 * printed. Close TENSORS either way, which begins as zero. */
enum exit_code tensors_open(const struct sweep *sweep, enum tensors_use use, uint64_t memory_limit,
                            struct tensors *tensors);
void tensors_close(struct tensors *tensors);

/* Set *DATA to the elements of TENSOR, one of the items; valid until the next call. The same for an error. */
enum exit_code tensors_hold(struct tensors *tensors, const struct tensor *tensor, const void **data);

/* The file of what is held has been as it was when it was listed, up to now; else what was read of it may be anything.
 * On failure the error has been printed. TENSORS may be NULL. */
enum exit_code tensors_check_held(const struct tensors *tensors);

/* Compute the digest of TENSOR, whose elements are DATA, and find out which earlier one has the same bytes. On failure
 * the error has been printed, and the digest is 0. */
enum exit_code tensors_identify(struct tensors *tensors, struct tensor *tensor, const void *data);

/* The same for all of them, which are read for it. */
enum exit_code tensors_identify_all(struct tensors *tensors);

/* One digest of all; TENSORS are identified. */
uint64_t tensors_digest(const struct tensors *tensors);

#endif
