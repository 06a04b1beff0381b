/* SPDX-License-Identifier: Apache-2.0 */
/* dumps.c - see dumps.h. */
#include <config.h>

#include "cases/dumps.h"

#include <fnmatch.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PLACE  "{}"
#define SUFFIX ".npy"

/* A dump, and the name of what it is one of. */
struct named {
    const struct tensor *tensor;
    char *name;
};

/* ---- Names ------------------------------------------------------------------------------------------------------ */

/* Set *FIRST to the length of the shortest beginning of TEXT that matches PATTERN; false if none does. BUFFER is a copy
 * of TEXT, which it spoils. */
static bool match_beginning(const char *pattern, const char *text, char *buffer, size_t *first)
{
    const size_t length = strlen(text);

    for (*first = 0; *first <= length; (*first)++) {
        buffer[*first] = '\0';
        if (fnmatch(pattern, buffer, 0) == 0) {
            return true;
        }
        buffer[*first] = text[*first];
    }
    return false;
}

/* Set *END to where the shortest end of TEXT begins that matches PATTERN; false if none does. */
static bool match_end(const char *pattern, const char *text, size_t *end)
{
    *end = strlen(text) + 1;
    while (*end > 0) {
        if (fnmatch(pattern, text + --*end, 0) == 0) {
            return true;
        }
    }
    return false;
}

bool dumps_match(const char *pattern, const char *text, char **name)
{
    const char *const place = strstr(pattern, PLACE), *const after = place + strlen(PLACE);
    char *const before = strndup(pattern, (size_t)(place - pattern)), *const buffer = strdup(text);
    bool good = before != NULL && buffer != NULL;
    size_t first, end;

    *name = NULL;
    if (good && match_beginning(before, text, buffer, &first) && match_end(after, text, &end) && first < end) {
        *name = strndup(text + first, end - first);
        good = *name != NULL;
    }
    free(before);
    free(buffer);
    return good;
}

/* The name by which TENSOR is known without an option, to be freed; NULL if memory is short. */
static char *own_name(const struct tensor *tensor)
{
    const char *const slash = strrchr(tensor->file, '/'), *const base = slash != NULL ? slash + 1 : tensor->file;
    const size_t length = strlen(base), suffix = strlen(SUFFIX);

    if (tensor->name != NULL) {
        return strdup(tensor->name);
    }
    return strndup(base, length > suffix && strcmp(base + length - suffix, SUFFIX) == 0 ? length - suffix : length);
}

/* Set the name of what NAMED is a dump of. */
static enum exit_code find_name(const char *dumps_of, struct named *named)
{
    char label[LABEL_TEXT_SIZE], pattern[LABEL_TEXT_SIZE];
    char *own;

    if (dumps_of != NULL && strstr(dumps_of, PLACE) == NULL) {
        named->name = strdup(dumps_of);
        return named->name != NULL ? EXIT_OK : message_out_of_memory("the list of dumps", strlen(dumps_of));
    }
    own = own_name(named->tensor);
    if (own == NULL || dumps_of == NULL) {
        named->name = own;
        return own != NULL ? EXIT_OK : message_out_of_memory("the list of dumps", 1);
    }
    if (!dumps_match(dumps_of, own, &named->name)) {
        free(own);
        return message_out_of_memory("the list of dumps", strlen(dumps_of));
    }
    if (named->name == NULL) {
        label_text(label, own, strlen(own));
        message_error("--dumps-of: '%s' does not match '%s'; expected a pattern of all names, or --tensor='!%s'", label,
                      label_text(pattern, dumps_of, strlen(dumps_of)), label);
    }
    free(own);
    return named->name != NULL ? EXIT_OK : EXIT_USAGE;
}

/* By name, and then in the order of tensors. */
static int compare_named(const void *a, const void *b)
{
    const struct named *const left = a, *const right = b;
    const int order = strverscmp(left->name, right->name);

    return order != 0 ? order : (left->tensor > right->tensor) - (left->tensor < right->tensor);
}

/* ---- Sets ------------------------------------------------------------------------------------------------------- */

/* Set TEXT to the file of TENSOR, and its name in it. */
static const char *place_text(const struct tensor *tensor, char text[2 * LABEL_TEXT_SIZE])
{
    char file[LABEL_TEXT_SIZE], name[LABEL_TEXT_SIZE];

    label_text(file, tensor->file, strlen(tensor->file));
    snprintf(text, 2 * LABEL_TEXT_SIZE, "%s%s%s%s", file, tensor->name != NULL ? ", tensor '" : "",
             tensor->name != NULL ? label_text(name, tensor->name, strlen(tensor->name)) : "",
             tensor->name != NULL ? "'," : "");
    return text;
}

/* Print why A and B cannot both be dumps of NAME. */
static enum exit_code refuse_pair(const struct tensor *a, const struct tensor *b, const char *name)
{
    char first[2 * LABEL_TEXT_SIZE], second[2 * LABEL_TEXT_SIZE], label[LABEL_TEXT_SIZE];

    place_text(a, first);
    place_text(b, second);
    label_text(label, name, strlen(name));
    if (a->cols != b->cols) {
        message_error("--calibrate: %s has rows of %" PRIu64 " elements and %s of %" PRIu64
                      "; expected one hidden size in all dumps of '%s'; see --dumps-of",
                      first, a->cols, second, b->cols, label);
    } else {
        message_error("--calibrate: %s has elements of %s and %s of %s; expected one type in all dumps of '%s'; see "
                      "--dumps-of",
                      first, a->type, second, b->type, label);
    }
    return EXIT_USAGE;
}

/* Add DUMP to SET. */
static enum exit_code add(struct dump_set *set, const struct tensor *dump)
{
    const struct tensor *const first = set->count > 0 ? set->dumps[0] : dump;

    if (dump->cols != first->cols || dump->format != first->format) {
        return refuse_pair(first, dump, set->name);
    }
    set->dumps[set->count++] = dump;
    set->rows += dump->rows;
    return EXIT_OK;
}

/* Make sets of the COUNT at LIST, sorted. */
static enum exit_code make_sets(struct named *list, size_t count, struct dump_sets *sets)
{
    enum exit_code code = EXIT_OK;

    for (size_t i = 0; i < count && code == EXIT_OK; i++) {
        struct dump_set *set = sets->count > 0 ? &sets->values[sets->count - 1] : NULL;

        if (set == NULL || strcmp(set->name, list[i].name) != 0) {
            size_t end = i;

            while (end < count && strcmp(list[end].name, list[i].name) == 0) {
                end++;
            }
            set = &sets->values[sets->count];
            set->name = strdup(list[i].name);
            set->dumps = calloc(end - i, sizeof(struct tensor *));
            if (set->name == NULL || set->dumps == NULL) {
                free(set->name);
                free(set->dumps);
                return message_out_of_memory("the list of dumps", (end - i) * sizeof(struct tensor *));
            }
            sets->count++;
        }
        code = add(set, list[i].tensor);
    }
    return code;
}

enum exit_code dumps_group(const struct tensors *tensors, const char *dumps_of, struct dump_sets *sets)
{
    struct named *list = calloc(tensors->count + 1, sizeof *list);
    enum exit_code code = EXIT_OK;

    *sets = (struct dump_sets){.values = calloc(tensors->count + 1, sizeof *sets->values)};
    if (list == NULL || sets->values == NULL) {
        code = message_out_of_memory("the list of dumps", tensors->count * sizeof *list);
    }
    for (size_t i = 0; i < tensors->count && code == EXIT_OK; i++) {
        list[i].tensor = &tensors->items[i];
        code = find_name(dumps_of, &list[i]);
    }
    if (code == EXIT_OK) {
        qsort(list, tensors->count, sizeof *list, compare_named);
        code = make_sets(list, tensors->count, sets);
    }
    for (size_t i = 0; i < tensors->count && list != NULL; i++) {
        free(list[i].name);
    }
    free(list);
    return code;
}

void dumps_free(struct dump_sets *sets)
{
    for (size_t i = 0; i < sets->count; i++) {
        free(sets->values[i].name);
        free(sets->values[i].dumps);
    }
    free(sets->values);
    *sets = (struct dump_sets){.count = 0};
}
