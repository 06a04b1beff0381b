/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_tensor.c - the readers of --input and --against. The first byte of an input chooses the tensor's name and the
 * size of the buffer for an error; the others are the file. */
#include <config.h>

#include "fuzz.h"
#include "cases/model_index.h"
#include "cases/quantized_file.h"

#include <locale.h>
#include <string.h>

#define MEMORY_LIMIT (1 << 20)

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    setlocale(LC_CTYPE, "C.UTF-8");
    return 0;
}

/* Nothing in TEXT that a terminal would obey, but for the ends of lines. */
static void check_text(const char *text, size_t size)
{
    for (size_t i = 0; i < size && text[i] != '\0'; i++) {
        unsigned char c = (unsigned char)text[i];

        fuzz_check((c >= 32 || c == '\n') && c != 127);
    }
}

static void check_tensor(const struct tensor_file *tensor, size_t file_size)
{
    const volatile unsigned char *all = tensor->data;
    uint64_t bytes;

    fuzz_check(tensor->format == QB_FORMAT_F16 || tensor->format == QB_FORMAT_BF16 || tensor->format == QB_FORMAT_F32);
    fuzz_check(tensor->tokens >= 1 && tensor->hidden >= 1);
    bytes = tensor->tokens * tensor->hidden * (qb_format_info(tensor->format)->bits / 8);
    fuzz_check(bytes <= file_size && bytes <= MEMORY_LIMIT);
    for (uint64_t i = 0; i < bytes; i++) {
        (void)all[i]; /* volatile: it is read */
    }
    fuzz_check(strlen(tensor->label) < sizeof tensor->label && strchr(tensor->label, '\n') == NULL);
    check_text(tensor->label, sizeof tensor->label);
}

/* All that the problem says is there, and dequantizes. */
static void check_quantized(struct quantized_file *quantized)
{
    struct qb_problem problem = quantized->problem;

    check_text(quantized->label, sizeof quantized->label);
    check_text(quantized->codes, sizeof quantized->codes);
    check_text(quantized->scales, sizeof quantized->scales);
    problem.operation = QB_OPERATION_DEQUANTIZE;
    quantized->tensors.at[QB_ROLE_VALUES] = malloc(problem.tokens * problem.hidden * sizeof(float));
    fuzz_check(quantized->tensors.at[QB_ROLE_VALUES] != NULL);
    fuzz_check(qb_reference_run(&problem, &quantized->tensors) == QB_OK);
    quantized_file_free(quantized);
}

/* Read the tensor NAME as the codes of one of 2 x 32 elements. */
static void read_quantized(const char *path, const char *name, char *error, size_t error_size)
{
    const struct tensor_file original = {.format = QB_FORMAT_F32, .tokens = 2, .hidden = 32};
    struct quantized_file quantized = {.label = ""};

    if (quantized_file_read(path, name, &original, MEMORY_LIMIT, &quantized, error, error_size) == TENSOR_FILE_OK) {
        check_quantized(&quantized);
    } else {
        fuzz_check(error_size == 0 || memchr(error, '\0', error_size) != NULL);
        check_text(error, error_size);
    }
}

/* The elements of a tensor that FILE lists are in it, and are equal to themselves. */
static void check_part(const char *file, const struct tensor_listed *listed)
{
    const struct tensor_place place = {.path = file,
                                       .stamp = listed->stamp,
                                       .format = listed->format,
                                       .offset = listed->offset,
                                       .bytes = listed->bytes};
    struct tensor_part part;
    char error[TENSOR_FILE_ERROR_SIZE];
    bool same = false;

    fuzz_check(listed->rank > 0 && listed->rows > 0 && listed->cols > 0 &&
               (listed->rank == 1 || listed->rows % listed->first == 0));
    fuzz_check(listed->rows * listed->cols * (qb_format_info(listed->format)->bits / 8) == listed->bytes);
    fuzz_check(tensor_part_open(&place, MEMORY_LIMIT, &part, error, sizeof error) == TENSOR_FILE_OK);
    fuzz_check(tensor_part_compare(&place, part.data, &same, error, sizeof error) == TENSOR_FILE_OK && same);
    fuzz_check(tensor_part_is_intact(&part));
    tensor_part_close(&part);
}

/* List the tensors of the file, or of the files that it names if it is an index. */
static void list_all(const char *path, size_t file_size)
{
    struct model_index index;

    if (model_index_open(path, &index) == EXIT_OK) {
        for (size_t s = 0; s < index.count; s++) {
            for (size_t i = 0; i < index.shards[s].count; i++) {
                const struct tensor_listed *listed = &index.shards[s].tensors[i];

                check_text(listed->type, sizeof listed->type);
                check_text(listed->shape, sizeof listed->shape);
                fuzz_check(listed->bytes <= listed->stamp.size);
                fuzz_check(index.count > 1 || listed->stamp.size == file_size ||
                           strcmp(index.shards[s].file, path) != 0);
                if (listed->can_quantize && listed->bytes <= MEMORY_LIMIT) {
                    check_part(index.shards[s].file, listed);
                }
            }
        }
    }
    model_index_free(&index);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const names[] = {NULL, "a", "w", "x"};
    struct tensor_file tensor = {.data = NULL};
    size_t error_size;
    const char *path;
    char *error;

    if (size < 1) {
        return 0;
    }
    /* Of this very size, so that a byte beyond it is found. */
    error_size = (data[0] & 4) != 0 ? TENSOR_FILE_ERROR_SIZE : (data[0] & 8) != 0 ? 0 : (data[0] >> 4) * 5u;
    error = malloc(error_size > 0 ? error_size : 1);
    fuzz_check(error != NULL);
    path = fuzz_file(data + 1, size - 1);
    if (tensor_file_read(path, names[data[0] & 3], MEMORY_LIMIT, &tensor, error, error_size) == TENSOR_FILE_OK) {
        check_tensor(&tensor, size - 1);
        tensor_file_free(&tensor);
    } else {
        fuzz_check(tensor.data == NULL && tensor.name == NULL);
        fuzz_check(error_size == 0 || memchr(error, '\0', error_size) != NULL);
        check_text(error, error_size);
    }
    read_quantized(path, (data[0] & 3) != 0 ? names[data[0] & 3] : "w", error, error_size);
    list_all(path, size - 1);
    free(error);
    return 0;
}
