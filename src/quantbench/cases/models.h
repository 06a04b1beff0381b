/* SPDX-License-Identifier: Apache-2.0 */
/* models.h - the widths of activations in well-known models, for --model. */
#ifndef MODELS_H
#define MODELS_H

#include <stddef.h>
#include <stdint.h>

/* Elements of a row, by the names of the fields in the model's own config.json. */
struct model {
    const char *name;   /* as --model takes it */
    const char *source; /* whose config.json it is, ORGANIZATION/MODEL at Hugging Face */
    uint64_t hidden;    /* hidden_size: inputs of the projections to q, k and v, gate and up */
    uint64_t heads;     /* num_attention_heads */
    uint64_t head_dim;  /* head_dim, v_head_dim, or hidden_size / num_attention_heads where neither is there */
    uint64_t dense;     /* intermediate_size: input of the projection down; 0 if the model has experts only */
    uint64_t expert;    /* moe_intermediate_size: the same within an expert; 0 if the model has none */
};

/* INDEX < model_count(), else NULL. */
size_t model_count(void);
const struct model *model_at(size_t index);
/* By name; NULL if there is none. */
const struct model *model_find(const char *name);

/* The distinct row lengths of activations that are quantized in MODEL: hidden, heads x head_dim (the input of the
 * projection behind attention), dense, expert. Returns how many there are. */
#define MODEL_WIDTHS 4
size_t model_widths(const struct model *model, uint64_t widths[MODEL_WIDTHS]);

#endif
