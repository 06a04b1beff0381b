/* SPDX-License-Identifier: Apache-2.0 */
/* models.h - the widths of activations in well-known models, for --model, and how often each is quantized, for --serve.
 */
#ifndef MODELS_H
#define MODELS_H

#include "quantbench.h"

#include <stddef.h>
#include <stdint.h>

/* The activation of an MLP. */
enum model_gate {
    MODEL_SILU,
    MODEL_GELU,
    MODEL_CLAMPED /* SiLU of 1.702 times the gate, at most 7, times up plus 1; gate and up alternate */
};

/* Elements of a row, by the names of the fields in the model's own config.json. */
struct model {
    const char *name;      /* as --model takes it */
    const char *source;    /* whose config.json it is, ORGANIZATION/MODEL at Hugging Face */
    uint64_t hidden;       /* hidden_size: inputs of the projections to q, k and v, gate and up */
    uint64_t heads;        /* num_attention_heads */
    uint64_t head_dim;     /* head_dim, v_head_dim, or hidden_size / num_attention_heads where neither is there */
    uint64_t dense;        /* intermediate_size: input of the projection down; 0 if the model has experts only */
    uint64_t expert;       /* moe_intermediate_size: the same within an expert; 0 if the model has none */
    uint64_t layers;       /* num_hidden_layers */
    uint64_t dense_layers; /* those whose MLP is not made of experts: all, none or first_k_dense_replace */
    uint64_t chosen;       /* num_experts_per_tok; 0: there are no experts */
    uint64_t shared;       /* n_shared_experts, which each token passes besides */
    uint64_t query_rank;   /* q_lora_rank, the input of the second projection to queries; 0: there is one */
    enum model_gate gate;
};

/* INDEX < model_count(), else NULL. */
size_t model_count(void);
const struct model *model_at(size_t index);
/* By name; NULL if there is none. */
const struct model *model_find(const char *name);

/* The distinct row lengths of activations that are quantized in MODEL: hidden, heads x head_dim (the input of the
 * projection after attention), dense, expert. Returns how many there are. */
#define MODEL_WIDTHS 4
size_t model_widths(const struct model *model, uint64_t widths[MODEL_WIDTHS]);

/* Rows that a pass of a model quantizes. */
struct model_rows {
    enum qb_operation operation; /* that quantizes them */
    uint64_t hidden;             /* elements of a row */
    uint64_t tokens;             /* rows */
    uint64_t count;              /* how often in a pass */
};

/* The inputs of all projections in a pass of TOKENS tokens, each kind once, if norms and activations quantize what they
 * compute. The experts of a layer share one launch. Returns how many kinds there are. */
#define MODEL_KINDS 8
size_t model_pass(const struct model *model, uint64_t tokens, struct model_rows kinds[MODEL_KINDS]);

#endif
