/* SPDX-License-Identifier: Apache-2.0 */
/* model_index.c - the files of a model. An index is of others: the files that it names lie beside it, and nowhere
 * else. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* versionsort() */
#endif
#include <config.h>

#include "base/document.h"
#include "base/intake.h"
#include "cases/model_index.h"
#include "cases/tensor_kind.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <jansson.h>

#define INDEX_SUFFIX ".safetensors.index.json"
/* Bytes. A tensor takes about 100 of an index. */
#define INDEX_SIZE_MAX 100000000

static bool ends_in(const char *text, const char *suffix)
{
    const size_t length = strlen(text), end = strlen(suffix);

    return length > end && strcmp(text + length - end, suffix) == 0;
}

static bool is_folder(const char *path)
{
    struct stat info;

    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

static bool is_index(const char *path)
{
    char start[TENSOR_KIND_SIZE];
    const int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    struct stat info;
    ssize_t size = -1;

    if (descriptor >= 0 && fstat(descriptor, &info) == 0 && S_ISREG(info.st_mode)) {
        size = pread(descriptor, start, sizeof start, 0);
    }
    if (descriptor >= 0) {
        close(descriptor);
    }
    return size > 0 && (tensor_kind_is_index(start, (size_t)size) || (ends_in(path, INDEX_SUFFIX) && start[0] == '{'));
}

bool model_index_is_model(const char *path)
{
    return is_folder(path) || is_index(path);
}

/* ---- Files ------------------------------------------------------------------------------------------------------ */

/* Add FILE of FOLDER, or of the working directory if that is "". It is not listed yet. */
static enum exit_code add_shard(struct model_index *index, const char *folder, const char *file)
{
    /* There is room for a power of two. */
    struct model_shard *larger = (index->count & (index->count - 1)) == 0
                                     ? reallocarray(index->shards, 2 * index->count + 1, sizeof *larger)
                                     : index->shards;
    char *path = NULL;

    if (larger != NULL) {
        index->shards = larger;
    }
    if (larger == NULL || asprintf(&path, "%s%s", folder, file) < 0) {
        return message_out_of_memory("the list of files", (2 * index->count + 1) * sizeof *larger);
    }
    larger[index->count++] = (struct model_shard){.file = path};
    return EXIT_OK;
}

static enum exit_code list_shard(struct model_shard *shard)
{
    char error[TENSOR_FILE_ERROR_SIZE];
    const enum tensor_file_status status =
        tensor_file_list(shard->file, &shard->tensors, &shard->count, error, sizeof error);

    if (status == TENSOR_FILE_OK) {
        return EXIT_OK;
    }
    message_error_lines(error);
    return status == TENSOR_FILE_IO ? EXIT_CANNOT_RUN : EXIT_USAGE;
}

static enum exit_code list_shards(struct model_index *index)
{
    enum exit_code code = EXIT_OK;

    for (size_t i = 0; i < index->count && code == EXIT_OK; i++) {
        code = list_shard(&index->shards[i]);
    }
    return code;
}

/* ---- An index --------------------------------------------------------------------------------------------------- */

/* The file PATH of an index, and what it says. */
struct index_file {
    const char *path;
    char label[LABEL_SIZE];
    char *folder; /* with a slash at its end; "": the working directory */
    const json_t *map;
    json_t *numbers; /* of the files that it names: an index may name many */
};

/* The map of the index, from tensors to files; NULL if the document is something else. */
static const json_t *weight_map(const json_t *document)
{
    const json_t *map = json_object_get(document, "weight_map"), *file;
    const char *name;

    json_object_foreach((json_t *)(uintptr_t)map, name, file)
    {
        if (!json_is_string(file)) {
            return NULL;
        }
    }
    return json_object_size(map) > 0 ? map : NULL;
}

/* True if FILE is the name of a file beside the index, and nothing that leads elsewhere. */
static bool is_plain_name(const char *file)
{
    return file[0] != '\0' && strchr(file, '/') == NULL && strcmp(file, ".") != 0 && strcmp(file, "..") != 0;
}

/* The file that the index names FILE. */
static const struct model_shard *find_shard(const struct index_file *from, const struct model_index *index,
                                            const char *file)
{
    return &index->shards[json_integer_value(json_object_get(from->numbers, file))];
}

/* Add each file that the index names once. */
static enum exit_code find_shards(const struct index_file *from, struct model_index *index)
{
    const json_t *value;
    const char *name;
    char text[LABEL_TEXT_SIZE];

    json_object_foreach((json_t *)(uintptr_t)from->map, name, value)
    {
        const char *file = json_string_value(value);

        if (!is_plain_name(file)) {
            message_error("%s: names the file '%s'; expected files beside it", from->label,
                          label_text(text, file, strlen(file)));
            return EXIT_USAGE;
        }
        if (json_object_get(from->numbers, file) == NULL) {
            const json_int_t number = (json_int_t)index->count;
            const enum exit_code code = add_shard(index, from->folder, file);

            if (code != EXIT_OK) {
                return code;
            }
            if (json_object_set_new(from->numbers, file, json_integer(number)) != 0) {
                return message_out_of_memory("the list of files", index->count * sizeof *index->shards);
            }
        }
    }
    return EXIT_OK;
}

/* Say which files are missing, if any are: all of them, before any is read. */
static enum exit_code check_shards(const struct index_file *from, const struct model_index *index)
{
    size_t missing = 0;
    const char *first = NULL;
    char text[LABEL_TEXT_SIZE];

    for (size_t i = 0; i < index->count; i++) {
        if (access(index->shards[i].file, F_OK) != 0) {
            first = missing++ == 0 ? index->shards[i].file + strlen(from->folder) : first;
        }
    }
    if (missing == 0) {
        return EXIT_OK;
    }
    message_error("%s: %zu of its %zu files %s missing, such as '%s'; download %s, or name files with --input",
                  from->label, missing, index->count, missing == 1 ? "is" : "are",
                  label_text(text, first, strlen(first)), missing == 1 ? "it" : "them");
    return EXIT_CANNOT_RUN;
}

static int compare_listed(const void *a, const void *b)
{
    return strcmp(((const struct tensor_listed *)a)->name, ((const struct tensor_listed *)b)->name);
}

static const struct tensor_listed *find_listed(const struct model_shard *shard, const char *name)
{
    const struct tensor_listed wanted = {.name = (char *)(uintptr_t)name};

    return bsearch(&wanted, shard->tensors, shard->count, sizeof wanted, compare_listed);
}

/* Leave out what the index does not place in SHARD. */
static size_t drop_unknown(const struct index_file *from, struct model_shard *shard)
{
    size_t kept = 0, dropped;

    for (size_t i = 0; i < shard->count; i++) {
        const char *file = json_string_value(json_object_get(from->map, shard->tensors[i].name));

        if (file != NULL && strcmp(file, shard->file + strlen(from->folder)) == 0) {
            shard->tensors[kept++] = shard->tensors[i];
        } else {
            free(shard->tensors[i].name);
        }
    }
    dropped = shard->count - kept;
    shard->count = kept;
    return dropped;
}

/* Compare what the files have with what the index says. */
static enum exit_code check_tensors(const struct index_file *from, struct model_index *index)
{
    const json_t *value;
    const char *name;
    size_t dropped = 0;
    char tensor[LABEL_TEXT_SIZE], text[LABEL_TEXT_SIZE];

    for (size_t i = 0; i < index->count; i++) {
        if (index->shards[i].count > 0 && index->shards[i].tensors[0].name == NULL) {
            message_error("%s: is a .npy file; expected a safetensors file",
                          label_text(text, index->shards[i].file, strlen(index->shards[i].file)));
            return EXIT_USAGE;
        }
        qsort(index->shards[i].tensors, index->shards[i].count, sizeof *index->shards[i].tensors, compare_listed);
    }
    json_object_foreach((json_t *)(uintptr_t)from->map, name, value)
    {
        const char *file = json_string_value(value);

        if (find_listed(find_shard(from, index, file), name) == NULL) {
            message_error("%s: the tensor '%s' is missing in '%s', which should have it; download that file again",
                          from->label, label_text(tensor, name, strlen(name)), label_text(text, file, strlen(file)));
            return EXIT_USAGE;
        }
    }
    for (size_t i = 0; i < index->count; i++) {
        dropped += drop_unknown(from, &index->shards[i]);
    }
    if (dropped > 0) {
        message_warning("%s: lacks %zu tensors that its files have; they are left out", from->label, dropped);
    }
    return EXIT_OK;
}

static enum exit_code open_map(struct index_file *from, struct model_index *index)
{
    enum exit_code code;

    from->numbers = json_object();
    code = from->numbers != NULL ? find_shards(from, index)
                                 : message_out_of_memory("the list of files", sizeof *index->shards);
    code = code == EXIT_OK ? check_shards(from, index) : code;
    code = code == EXIT_OK ? list_shards(index) : code;
    return code == EXIT_OK ? check_tensors(from, index) : code;
}

/* The folder of PATH; NULL if memory is short. */
static char *folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');

    return strndup(path, slash != NULL ? (size_t)(slash + 1 - path) : 0);
}

static enum exit_code open_index(const char *path, struct model_index *index)
{
    struct index_file from = {.path = path, .folder = folder_of(path)};
    json_error_t error = {.line = 0};
    json_t *document = NULL;
    char *text = NULL;
    size_t length = 0;
    bool memory_short = from.folder == NULL;
    enum exit_code code;
    struct stat info;
    const char *why;

    label_file(path, NULL, from.label);
    why = stat(path, &info) == 0 && info.st_size > INDEX_SIZE_MAX ? "is too long for the index of a model"
                                                                  : intake_read(path, &text, &length);
    if (why != NULL) {
        message_error("%s: %s", from.label, why);
        free(from.folder);
        return EXIT_CANNOT_RUN;
    }
    document = memory_short ? NULL : document_parse(text, length, &error, &memory_short);
    free(text);
    from.map = weight_map(document);
    if (memory_short) {
        code = message_out_of_memory("the index", length);
    } else if (from.map == NULL) {
        message_error("%s: malformed index of a model%s%.100s; expected a \"weight_map\" of tensors to files",
                      from.label, document == NULL ? ": " : "", document == NULL ? error.text : "");
        code = EXIT_USAGE;
    } else {
        code = open_map(&from, index);
    }
    json_decref(from.numbers);
    json_decref(document);
    free(from.folder);
    return code;
}

/* ---- A folder --------------------------------------------------------------------------------------------------- */

static int is_tensor_file(const struct dirent *entry)
{
    return ends_in(entry->d_name, ".safetensors") || ends_in(entry->d_name, ".npy");
}

static int is_index_file(const struct dirent *entry)
{
    return ends_in(entry->d_name, INDEX_SUFFIX);
}

static void free_entries(struct dirent **entries, int count)
{
    for (int i = 0; i < count; i++) {
        free(entries[i]);
    }
    free(entries);
}

/* FOLDER ends in a slash, and ENTRIES, of which there are COUNT, are its files. */
static enum exit_code open_files(const char *folder, struct dirent **entries, int count, struct model_index *index)
{
    enum exit_code code = EXIT_OK;

    for (int i = 0; i < count && code == EXIT_OK; i++) {
        code = add_shard(index, folder, entries[i]->d_name);
    }
    return code == EXIT_OK ? list_shards(index) : code;
}

static enum exit_code open_entries(const char *folder, struct model_index *index)
{
    struct dirent **indexes = NULL, **files = NULL;
    const int index_count = scandir(folder, &indexes, is_index_file, versionsort);
    const int count = index_count < 0 ? -1 : scandir(folder, &files, is_tensor_file, versionsort);
    enum exit_code code = EXIT_OK;
    char *path = NULL, label[LABEL_TEXT_SIZE];

    if (count < 0) {
        message_error("%s: %s", label_text(label, folder, strlen(folder)), strerror(errno));
        code = EXIT_CANNOT_RUN;
    } else if (index_count > 1) {
        message_error("%s: has %d indexes of models; name one with --input", label_text(label, folder, strlen(folder)),
                      index_count);
        code = EXIT_USAGE;
    } else if (index_count == 1) {
        code = asprintf(&path, "%s%s", folder, indexes[0]->d_name) < 0 ? message_out_of_memory("the name of a file", 0)
                                                                       : open_index(path, index);
        free(path);
    } else if (count == 0) {
        message_error("%s: has neither .safetensors nor .npy files; expected some",
                      label_text(label, folder, strlen(folder)));
        code = EXIT_USAGE;
    } else {
        code = open_files(folder, files, count, index);
    }
    free_entries(indexes, index_count);
    free_entries(files, count);
    return code;
}

static enum exit_code open_folder(const char *path, struct model_index *index)
{
    const size_t length = strlen(path);
    char *folder = NULL;
    enum exit_code code;

    if (asprintf(&folder, "%s%s", path, path[length - 1] == '/' ? "" : "/") < 0) {
        return message_out_of_memory("the name of a folder", length + 1);
    }
    code = open_entries(folder, index);
    free(folder);
    return code;
}

enum exit_code model_index_open(const char *path, struct model_index *index)
{
    enum exit_code code;

    *index = (struct model_index){.count = 0};
    if (is_folder(path)) {
        return open_folder(path, index);
    }
    if (is_index(path)) {
        return open_index(path, index);
    }
    code = add_shard(index, "", path);
    return code == EXIT_OK ? list_shards(index) : code;
}

void model_index_free(struct model_index *index)
{
    for (size_t i = 0; i < index->count; i++) {
        tensor_listed_free(index->shards[i].tensors, index->shards[i].count);
        free(index->shards[i].file);
    }
    free(index->shards);
    *index = (struct model_index){.count = 0};
}
