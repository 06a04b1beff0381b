/* SPDX-License-Identifier: Apache-2.0 */
/* quantized_file.h - read a quantized tensor of a checkpoint: codes and scales from a safetensors file. */
#ifndef QUANTIZED_FILE_H
#define QUANTIZED_FILE_H

#include "cases/tensor_file.h"

struct quantized_file {
    struct qb_problem problem; /* static: how the original was quantized; rows are dense */
    struct qb_tensors tensors; /* all that dequantizing reads */
    /* Safe to print on a terminal: */
    char label[LABEL_SIZE];           /* the file and the tensor of codes */
    char codes[2 * LABEL_TEXT_SIZE];  /* how they are stored: "F8_E4M3 [2, 32]" */
    char scales[3 * LABEL_TEXT_SIZE]; /* and the scales: "w_scale, F32 [2, 1]" */
};

/* Read the quantized tensor NAME of the safetensors file PATH, which stands for ORIGINAL.
 *
 * With S being NAME or NAME.weight, the codes are in S or S_packed, and the scales in S_scale or S_scale_inv. Both of
 * these are multiplied with the codes. NVFP4 also has S_scale_2, a factor of all scales, or S_global_scale, its
 * inverse. Zero points are in S_zero_point. Types and shapes tell the format and the granularity:
 *
 *   codes   F8_E4M3, F8_E5M2, I8; two of E2M1 in U8, the low half first; eight of INT4 or four of INT8 in I32, their
 *           sign bits flipped
 *   scales  F32, F16, BF16; F8_E4M3 (NVFP4); U8 or F8_E8M0 as powers of two (MX)
 *   shapes  [] or [1]; [rows] or [rows, 1]; [columns] or [1, columns]; [rows, groups];
 *           [ceil(rows / 128), ceil(columns / 128)]
 *
 * Scales must be finite and > 0; one of F8_E4M3 may be 0. Failures are as those of tensor_file_read(). */
enum tensor_file_status quantized_file_read(const char *path, const char *name, const struct tensor_file *original,
                                            uint64_t memory_limit, struct quantized_file *quantized, char *error,
                                            size_t error_size);

/* Release what quantized_file_read() allocated, and zero *QUANTIZED. */
void quantized_file_free(struct quantized_file *quantized);

#endif
