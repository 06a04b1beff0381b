/* SPDX-License-Identifier: Apache-2.0 */
/* nearest.h - the known word that a mistyped one was meant to be. */
#ifndef NEAREST_H
#define NEAREST_H

#include <stddef.h>

/* A search: begins with TEXT alone set. WORD is the closest one so far, or NULL if none is close enough. */
struct nearest {
    const char *text;
    const char *word;
    size_t distance;
};

/* Compare with WORD, which must live as long as the search. */
void nearest_try(struct nearest *nearest, const char *word);

/* Set HINT to a question to be appended to a message, or to nothing if no word is close. Returns HINT. */
#define NEAREST_HINT_SIZE 96
const char *nearest_hint(const struct nearest *nearest, char hint[NEAREST_HINT_SIZE]);

#endif
