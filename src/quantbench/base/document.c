/* SPDX-License-Identifier: Apache-2.0 */
/* document.c - see document.h. */
#include <config.h>

#include "base/document.h"

#include <stdlib.h>
#include <string.h>

/* Set when jansson was refused memory. It does not always say so: a string that it has no room for lacks characters, or
 * is a mistake in the text. */
static bool was_refused;

static void *allocate(size_t size)
{
    void *memory = malloc(size);

    was_refused = was_refused || memory == NULL;
    return memory;
}

__attribute__((constructor)) static void watch_allocations(void)
{
    json_set_alloc_funcs(allocate, free);
}

/* Release *CONTAINER if a part of it is missing. */
static void drop_unless(bool good, json_t **container)
{
    if (!good) {
        json_decref(*container);
        *container = NULL;
    }
}

void document_put(json_t **object, const char *name, json_t *value)
{
    /* It releases the value in any case. */
    drop_unless(json_object_set_new(*object, name, value) == 0, object);
}

void document_append(json_t **array, json_t *value)
{
    drop_unless(json_array_append_new(*array, value) == 0, array);
}

void document_merge(json_t **object, json_t *more)
{
    drop_unless(more != NULL && *object != NULL && json_object_update(*object, more) == 0, object);
    json_decref(more);
}

json_t *document_number(uint64_t number)
{
    return json_integer(number < INT64_MAX ? (json_int_t)number : INT64_MAX);
}

json_t *document_text(const char *text)
{
    json_t *string = json_string(text);

    if (string == NULL) {
        char safe[4096];

        snprintf(safe, sizeof safe, "%s", text);
        for (char *c = safe; *c != '\0'; c++) {
            *c = (unsigned char)*c < 128 ? *c : '?';
        }
        string = json_string(safe);
    }
    return string;
}

char *document_dump(json_t *document, size_t flags)
{
    char *text = document != NULL ? json_dumps(document, flags) : NULL;

    json_decref(document);
    if (was_refused) {
        free(text);
        text = NULL;
    }
    was_refused = false;
    return text;
}

enum exit_code document_print(json_t *document, FILE *stream)
{
    char *text = document_dump(document, JSON_INDENT(2) | JSON_REAL_PRECISION(12));

    if (text == NULL) {
        message_error("out of memory: the JSON document");
        return EXIT_CANNOT_RUN;
    }
    fputs(text, stream);
    putc('\n', stream);
    free(text);
    return EXIT_OK;
}

json_t *document_parse(const char *text, size_t length, json_error_t *error, bool *memory_short)
{
    json_t *document;

    was_refused = false;
    document = json_loadb(text, length, JSON_REJECT_DUPLICATES, error);
    *memory_short = was_refused;
    if (was_refused) {
        json_decref(document);
        document = NULL;
    }
    return document;
}
