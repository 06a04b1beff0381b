/* SPDX-License-Identifier: Apache-2.0 */
/* document.h - JSON documents that are whole or nothing: what memory was too short for does not lack a member, it is
 * NULL, and so is all that it was to be a part of. */
#ifndef DOCUMENT_H
#define DOCUMENT_H

#include "base/message.h"

#include <jansson.h>
#include <stdio.h>

/* Add VALUE, which is released, to *OBJECT, to *ARRAY. If either is NULL, or memory is short, the container is released
 * and becomes NULL. */
void document_put(json_t **object, const char *name, json_t *value);
void document_append(json_t **array, json_t *value);
/* The same with all members of MORE. */
void document_merge(json_t **object, json_t *more);

/* Any text as a JSON string, of which JSON wants that it is UTF-8: other bytes become '?'. */
json_t *document_text(const char *text);

/* NUMBER, or the largest that JSON has. */
json_t *document_number(uint64_t number);

/* The text of DOCUMENT, which is released, with FLAGS of json_dumps(); NULL if memory is short, or was since the last
 * document, for this one or another. Free it. */
char *document_dump(json_t *document, size_t flags);

/* Print DOCUMENT, which is released, to STREAM; nothing of it if memory is short, or was when it was made, which NULL
 * says. Returns an exit code; an error of STREAM is not reported but left in ferror(). */
enum exit_code document_print(json_t *document, FILE *stream);

/* The document in LENGTH bytes at TEXT, in which no name is there twice; NULL if it has none, and ERROR says why, or
 * if *MEMORY_SHORT. */
json_t *document_parse(const char *text, size_t length, json_error_t *error, bool *memory_short);

#endif
