/* SPDX-License-Identifier: Apache-2.0 */
/* models.c - the table of models. The manual has it too, and the tests compare the two. */
#include <config.h>

#include "cases/models.h"

#include <string.h>

/* Models of one family that differ in nothing but their number of experts have one row. Rows were compared with public
 * copies of the config.json that they name: Qwen3, GLM-4.5 and Kimi K2 with scripts/models of the program slime,
 * GLM-4.5 also with the pages of Megatron-Bridge, and gpt-oss with GptOssConfig of vLLM. */
static const struct model models[] = {
    {"llama3-8b", "meta-llama/Meta-Llama-3-8B", 4096, 32, 128, 14336, 0, 32, 32, 0, 0, 0, MODEL_SILU},
    {"llama3-70b", "meta-llama/Meta-Llama-3-70B", 8192, 64, 128, 28672, 0, 80, 80, 0, 0, 0, MODEL_SILU},
    {"llama3-405b", "meta-llama/Llama-3.1-405B", 16384, 128, 128, 53248, 0, 126, 126, 0, 0, 0, MODEL_SILU},
    {"mistral-small", "mistralai/Mistral-Small-24B-Base-2501", 5120, 32, 128, 32768, 0, 40, 40, 0, 0, 0, MODEL_SILU},
    {"mistral-large", "mistralai/Mistral-Large-Instruct-2407", 12288, 96, 128, 28672, 0, 88, 88, 0, 0, 0, MODEL_SILU},
    {"mixtral-8x7b", "mistralai/Mixtral-8x7B-v0.1", 4096, 32, 128, 14336, 0, 32, 0, 2, 0, 0, MODEL_SILU},
    {"gemma3-27b", "google/gemma-3-27b-it", 5376, 32, 128, 21504, 0, 62, 62, 0, 0, 0, MODEL_GELU},
    {"qwen2.5-72b", "Qwen/Qwen2.5-72B", 8192, 64, 128, 29568, 0, 80, 80, 0, 0, 0, MODEL_SILU},
    {"qwen3-8b", "Qwen/Qwen3-8B", 4096, 32, 128, 12288, 0, 36, 36, 0, 0, 0, MODEL_SILU},
    {"qwen3-14b", "Qwen/Qwen3-14B", 5120, 40, 128, 17408, 0, 40, 40, 0, 0, 0, MODEL_SILU},
    {"qwen3-32b", "Qwen/Qwen3-32B", 5120, 64, 128, 25600, 0, 64, 64, 0, 0, 0, MODEL_SILU},
    {"qwen3-30b-a3b", "Qwen/Qwen3-30B-A3B", 2048, 32, 128, 0, 768, 48, 0, 8, 0, 0, MODEL_SILU},
    {"qwen3-235b-a22b", "Qwen/Qwen3-235B-A22B", 4096, 64, 128, 0, 1536, 94, 0, 8, 0, 0, MODEL_SILU},
    {"gpt-oss-120b", "openai/gpt-oss-120b", 2880, 64, 64, 2880, 0, 36, 0, 4, 0, 0, MODEL_CLAMPED},
    {"glm-4.5", "zai-org/GLM-4.5", 5120, 96, 128, 12288, 1536, 92, 3, 8, 1, 0, MODEL_SILU},
    {"deepseek-v3", "deepseek-ai/DeepSeek-V3", 7168, 128, 128, 18432, 2048, 61, 3, 8, 1, 1536, MODEL_SILU},
    {"kimi-k2", "moonshotai/Kimi-K2-Instruct", 7168, 64, 128, 18432, 2048, 61, 1, 8, 1, 1536, MODEL_SILU},
};
#define MODELS (sizeof models / sizeof models[0])

size_t model_count(void)
{
    return MODELS;
}

const struct model *model_at(size_t index)
{
    return index < MODELS ? &models[index] : NULL;
}

const struct model *model_find(const char *name)
{
    for (size_t i = 0; i < MODELS; i++) {
        if (strcmp(name, models[i].name) == 0) {
            return &models[i];
        }
    }
    return NULL;
}

size_t model_widths(const struct model *model, uint64_t widths[MODEL_WIDTHS])
{
    const uint64_t all[MODEL_WIDTHS] = {model->hidden, model->heads * model->head_dim, model->dense, model->expert};
    size_t count = 0;

    for (size_t i = 0; i < MODEL_WIDTHS; i++) {
        size_t known = 0;

        while (known < count && widths[known] != all[i]) {
            known++;
        }
        if (all[i] > 0 && known == count) {
            widths[count++] = all[i];
        }
    }
    return count;
}

/* Add ROWS to KINDS, of which there are *COUNT: to those of the same kind, if there are any. */
static void add_rows(struct model_rows rows, struct model_rows kinds[MODEL_KINDS], size_t *count)
{
    if (rows.hidden == 0 || rows.count == 0) {
        return;
    }
    for (size_t i = 0; i < *count; i++) {
        if (kinds[i].operation == rows.operation && kinds[i].hidden == rows.hidden && kinds[i].tokens == rows.tokens) {
            kinds[i].count += rows.count;
            return;
        }
    }
    kinds[(*count)++] = rows;
}

size_t model_pass(const struct model *model, uint64_t tokens, struct model_rows kinds[MODEL_KINDS])
{
    const enum qb_operation gate = model->gate == MODEL_GELU ? QB_OPERATION_GELU_MUL : QB_OPERATION_SILU_MUL;
    const uint64_t sparse = model->layers - model->dense_layers;
    const uint64_t expert = model->expert > 0 ? model->expert : model->dense;
    /* Each layer has a norm before attention and one before the MLP, both of a sum with the residual. */
    const struct model_rows all[] = {
        {QB_OPERATION_ADD_RMS_NORM, model->hidden, tokens, 2 * model->layers},
        {QB_OPERATION_RMS_NORM, model->query_rank, tokens, model->layers},
        {QB_OPERATION_QUANTIZE, model->heads * model->head_dim, tokens, model->layers},
        {gate, model->dense, tokens, model->dense_layers},
        {gate, expert * model->shared, tokens, sparse},
        {gate, expert, tokens * model->chosen, sparse},
    };
    size_t count = 0;

    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        add_rows(all[i], kinds, &count);
    }
    return count;
}
