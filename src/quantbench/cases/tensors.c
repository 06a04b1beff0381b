/* SPDX-License-Identifier: Apache-2.0 */
/* tensors.c - the tensors of a run, one in memory at a time. */
#include <config.h>

#include "base/digest.h"
#include "cases/model_index.h"
#include "cases/tensor_choice.h"
#include "cases/tensors.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- One tensor ------------------------------------------------------------------------------------------------- */

/* A file with the name of a tensor, or none, is the common case: it is read at once. */
static bool is_one(const struct sweep *sweep, enum tensors_use use)
{
    return use == TENSORS_TO_MEASURE && sweep->input_files.count == 1 &&
           (sweep->tensor == NULL || strpbrk(sweep->tensor, "*?[!,") == NULL) &&
           !model_index_is_model(sweep->input_files.values[0]);
}

/* Read the tensor that was asked for. */
static enum exit_code open_one(const struct sweep *sweep, struct tensors *tensors)
{
    const char *const file = sweep->input_files.values[0];
    char error[TENSOR_FILE_ERROR_SIZE];
    struct tensor *tensor;
    const enum tensor_file_status status =
        tensor_file_read(file, sweep->tensor, tensors->memory_limit, &tensors->one, error, sizeof error);

    if (status != TENSOR_FILE_OK) {
        message_error_lines(error);
        return status == TENSOR_FILE_IO ? EXIT_CANNOT_RUN : EXIT_USAGE;
    }
    tensor = calloc(1, sizeof *tensor);
    if (tensor == NULL) {
        return message_out_of_memory("the list of tensors", sizeof *tensor);
    }
    tensors->items = tensor;
    tensors->count = 1;
    tensor->file = strdup(file);
    tensor->name = tensors->one.name != NULL ? strdup(tensors->one.name) : NULL;
    tensor->format = tensors->one.format;
    tensor->rows = tensors->one.tokens;
    tensor->cols = tensors->one.hidden;
    tensor->bytes = tensor->rows * tensor->cols * (qb_format_info(tensor->format)->bits / 8);
    tensors->largest = tensor->bytes;
    tensors->held = tensor;
    if (tensor->file == NULL || (tensor->name == NULL && tensors->one.name != NULL)) {
        return message_out_of_memory("the list of tensors", sizeof *tensor);
    }
    return tensors_identify(tensors, tensor, tensors->one.data);
}

/* ---- Several ---------------------------------------------------------------------------------------------------- */

/* What tells a tensor from those of other files: its name, or that of its file. */
static const char *short_title(const struct tensor *tensor)
{
    const char *slash = strrchr(tensor->file, '/');

    return tensor->name != NULL ? tensor->name : slash != NULL ? slash + 1 : tensor->file;
}

static int compare_titles(const void *a, const void *b)
{
    return strcmp(short_title(*(struct tensor *const *)a), short_title(*(struct tensor *const *)b));
}

/* Give each tensor of LIST its title: where two files have the same name, the file is a part of it. */
static enum exit_code set_titles(struct tensor *list, size_t count)
{
    struct tensor **sorted = calloc(count + 1, sizeof(struct tensor *));
    bool good = sorted != NULL;

    for (size_t i = 0; i < count && good; i++) {
        sorted[i] = &list[i];
    }
    if (good) {
        qsort(sorted, count, sizeof(struct tensor *), compare_titles);
    }
    for (size_t i = 0; i < count && good; i++) {
        const char *title = short_title(sorted[i]);
        const bool is_common = (i > 0 && strcmp(short_title(sorted[i - 1]), title) == 0) ||
                               (i + 1 < count && strcmp(title, short_title(sorted[i + 1])) == 0);

        good = asprintf(&sorted[i]->title, "%s%s%s", is_common ? sorted[i]->file : "",
                        is_common && sorted[i]->name != NULL ? ":" : "",
                        !is_common || sorted[i]->name != NULL ? title : "") >= 0;
    }
    free(sorted);
    return good ? EXIT_OK : message_out_of_memory("the list of tensors", count * sizeof *list);
}

/* Find the size of the largest, and see if there is memory for it. */
static enum exit_code check_largest(struct tensors *tensors)
{
    const struct tensor *largest = NULL;
    char text[LABEL_TEXT_SIZE];

    for (size_t i = 0; i < tensors->count; i++) {
        if (largest == NULL || tensors->items[i].bytes > largest->bytes) {
            largest = &tensors->items[i];
        }
    }
    tensors->largest = largest != NULL ? largest->bytes : 0;
    if (tensors->largest <= tensors->memory_limit) {
        return EXIT_OK;
    }
    message_error("--input: the tensor '%s' needs %" PRIu64 " bytes of memory; %" PRIu64
                  " are free; leave it out with --tensor='!NAME', or name a slice",
                  label_text(text, largest->title, strlen(largest->title)), largest->bytes, tensors->memory_limit);
    return EXIT_CANNOT_RUN;
}

/* True if A and B are files, and the same one. */
static bool is_same_file(const struct model_shard *a, const struct model_shard *b)
{
    return a->count > 0 && b->count > 0 && a->tensors[0].stamp.device == b->tensors[0].stamp.device &&
           a->tensors[0].stamp.inode == b->tensors[0].stamp.inode;
}

/* Leave out the files of model LAST that one before it has: a folder and a file in it are given, or a file twice. */
static void drop_repeats(struct model_index *models, size_t last)
{
    size_t dropped = 0;
    const char *first = NULL;
    char text[LABEL_TEXT_SIZE];

    for (size_t i = 0; i < models[last].count; i++) {
        struct model_shard *shard = &models[last].shards[i];
        bool is_repeat = false;

        for (size_t m = 0; m < last && !is_repeat; m++) {
            for (size_t k = 0; k < models[m].count && !is_repeat; k++) {
                is_repeat = is_same_file(shard, &models[m].shards[k]);
            }
        }
        if (is_repeat) {
            first = dropped++ == 0 ? shard->file : first;
            tensor_listed_free(shard->tensors, shard->count);
            shard->tensors = NULL;
            shard->count = 0;
        }
    }
    if (dropped > 0) {
        message_warning("--input: %zu file%s given twice, such as '%s'; the first counts", dropped,
                        dropped == 1 ? " is" : "s are", label_text(text, first, strlen(first)));
    }
}

/* Choose among the tensors of all files. */
static enum exit_code open_list(const struct sweep *sweep, enum tensors_use use, struct tensors *tensors)
{
    struct model_index *models = calloc(sweep->input_files.count, sizeof *models);
    enum exit_code code = models != NULL
                              ? EXIT_OK
                              : message_out_of_memory("the list of files", sweep->input_files.count * sizeof *models);

    for (size_t i = 0; i < sweep->input_files.count && code == EXIT_OK; i++) {
        code = model_index_open(sweep->input_files.values[i], &models[i]);
        if (code == EXIT_OK) {
            drop_repeats(models, i);
        }
    }
    code = code == EXIT_OK ? tensor_choice_make(sweep, use, models, tensors) : code;
    for (size_t i = 0; i < sweep->input_files.count && models != NULL; i++) {
        model_index_free(&models[i]);
    }
    free(models);
    code = code == EXIT_OK ? set_titles(tensors->items, tensors->count) : code;
    code = code == EXIT_OK ? set_titles(tensors->kept, tensors->kept_count) : code;
    return code == EXIT_OK && use != TENSORS_TO_LIST ? check_largest(tensors) : code;
}

enum exit_code tensors_open(const struct sweep *sweep, enum tensors_use use, uint64_t memory_limit,
                            struct tensors *tensors)
{
    enum exit_code code;

    tensors->memory_limit = memory_limit;
    if (is_one(sweep, use)) {
        return open_one(sweep, tensors);
    }
    tensors->is_list = true;
    code = open_list(sweep, use, tensors);
    return code == EXIT_OK && use == TENSORS_TO_MEASURE ? tensors_identify_all(tensors) : code;
}

static void free_list(struct tensor *list, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        free(list[i].file);
        free(list[i].name);
        free(list[i].title);
    }
    free(list);
}

void tensors_close(struct tensors *tensors)
{
    tensor_part_close(&tensors->part);
    tensor_file_free(&tensors->one);
    free_list(tensors->items, tensors->count);
    free_list(tensors->kept, tensors->kept_count);
    *tensors = (struct tensors){.count = 0};
}

/* ---- Elements --------------------------------------------------------------------------------------------------- */

static struct tensor_place place_of(const struct tensor *tensor)
{
    return (struct tensor_place){.path = tensor->file,
                                 .stamp = tensor->stamp,
                                 .format = tensor->format,
                                 .offset = tensor->offset,
                                 .bytes = tensor->bytes};
}

enum exit_code tensors_hold(struct tensors *tensors, const struct tensor *tensor, const void **data)
{
    const struct tensor_place place = place_of(tensor);
    char error[TENSOR_FILE_ERROR_SIZE];

    *data = tensors->is_list ? tensors->part.data : tensors->one.data;
    if (tensors->held == tensor) {
        return tensors_check_held(tensors);
    }
    tensor_part_close(&tensors->part);
    tensors->held = NULL;
    if (tensor_part_open(&place, tensors->memory_limit, &tensors->part, error, sizeof error) != TENSOR_FILE_OK) {
        message_error_lines(error);
        return EXIT_CANNOT_RUN;
    }
    tensors->held = tensor;
    *data = tensors->part.data;
    return EXIT_OK;
}

enum exit_code tensors_check_held(const struct tensors *tensors)
{
    char file[LABEL_TEXT_SIZE], title[LABEL_TEXT_SIZE];
    const struct tensor *held = tensors != NULL ? tensors->held : NULL;

    if (held == NULL || tensor_part_is_intact(&tensors->part)) {
        return EXIT_OK;
    }
    message_error(
        "%s: changed, or cannot be read, while its tensor '%s' was in use; run again when nothing writes to it",
        label_text(file, held->file, strlen(held->file)), label_text(title, held->title, strlen(held->title)));
    return EXIT_CANNOT_RUN;
}

/* The digest of TENSOR: its format and shape, in as many bytes as keep its data in step, and DATA. */
static uint64_t digest_of_tensor(const struct tensor *tensor, const void *data)
{
    const struct qb_format_info *format = qb_format_info(tensor->format);
    struct digest digest = {.length = 0};
    char head[2 * DIGEST_PIECE] = "";

    snprintf(head, sizeof head, "%s %" PRIu64 " %" PRIu64, format->name, tensor->rows, tensor->cols);
    digest_add(&digest, head, sizeof head);
    digest_add(&digest, data, tensor->bytes);
    return digest_value(&digest);
}

/* Set *SAME to whether the elements of TENSOR in its file are DATA. */
static enum exit_code compare_bytes(const struct tensor *tensor, const void *data, bool *same)
{
    const struct tensor_place place = place_of(tensor);
    char error[TENSOR_FILE_ERROR_SIZE];

    if (tensor_part_compare(&place, data, same, error, sizeof error) != TENSOR_FILE_OK) {
        message_error_lines(error);
        return EXIT_CANNOT_RUN;
    }
    return EXIT_OK;
}

enum exit_code tensors_identify(struct tensors *tensors, struct tensor *tensor, const void *data)
{
    enum exit_code code = EXIT_OK;

    tensor->digest = digest_of_tensor(tensor, data);
    /* Equal digests can be made of other bytes. */
    for (const struct tensor *other = tensors->items; other != tensor && tensor->same_as == NULL && code == EXIT_OK;
         other++) {
        bool same = false;

        if (other->digest == tensor->digest && other->format == tensor->format && other->rows == tensor->rows &&
            other->cols == tensor->cols) {
            code = compare_bytes(other, data, &same);
        }
        tensor->same_as = same ? other : NULL;
    }
    code = code == EXIT_OK ? tensors_check_held(tensors) : code;
    if (code != EXIT_OK) {
        tensor->digest = 0;
        tensor->same_as = NULL;
    }
    return code;
}

enum exit_code tensors_identify_all(struct tensors *tensors)
{
    enum exit_code code = EXIT_OK;

    for (size_t i = 0; i < tensors->count && code == EXIT_OK; i++) {
        const void *data;

        code = tensors_hold(tensors, &tensors->items[i], &data);
        if (code == EXIT_OK) {
            code = tensors_identify(tensors, &tensors->items[i], data);
        }
    }
    return code;
}

uint64_t tensors_digest(const struct tensors *tensors)
{
    struct digest digest = {.length = 0};

    if (tensors->count == 1) {
        return tensors->items[0].digest;
    }
    for (size_t i = 0; i < tensors->count; i++) {
        const uint64_t piece[DIGEST_LANES] = {tensors->items[i].digest};

        digest_add(&digest, piece, sizeof piece);
    }
    return digest_value(&digest);
}
