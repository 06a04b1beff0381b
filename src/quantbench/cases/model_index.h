/* SPDX-License-Identifier: Apache-2.0 */
/* model_index.h - the files of a model: those of a folder, or those that the index of a split model names. */
#ifndef MODEL_INDEX_H
#define MODEL_INDEX_H

#include "base/message.h"
#include "cases/tensor_file.h"

/* A file of the model. */
struct model_shard {
    char *file; /* its path */
    struct tensor_listed *tensors;
    size_t count;
};

/* What one --input is. */
struct model_index {
    struct model_shard *shards;
    size_t count;
};

/* True if PATH is a folder, or the index of a split model (model.safetensors.index.json). */
bool model_index_is_model(const char *path);

/* List the tensors of all files of PATH: a folder, an index, or a file with tensors. Each tensor that an index has must
 * be in the file that it says; what its files have beyond that is left out, with a warning. On failure the error has
 * been printed. Free INDEX either way. */
enum exit_code model_index_open(const char *path, struct model_index *index);
void model_index_free(struct model_index *index);

#endif
