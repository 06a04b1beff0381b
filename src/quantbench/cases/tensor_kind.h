/* SPDX-License-Identifier: Apache-2.0 */
/* tensor_kind.h - what a file is that is neither .npy nor safetensors, and what to do about it. */
#ifndef TENSOR_KIND_H
#define TENSOR_KIND_H

#include <stdbool.h>
#include <stddef.h>

/* Bytes from the beginning of a file that tell what it is. */
#define TENSOR_KIND_SIZE 4096

/* What a file that begins with the SIZE bytes of START is, and the remedy, to follow the file's name in a message; NULL
 * if that is unknown. */
const char *tensor_kind_text(const char *start, size_t size);

/* True if the file is the index of a model that is split into several files (model.safetensors.index.json). */
bool tensor_kind_is_index(const char *start, size_t size);

#endif
