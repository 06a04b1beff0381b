/* SPDX-License-Identifier: Apache-2.0 */
/* nearest.c - see nearest.h. */
#include <config.h>

#include "base/nearest.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* Longer texts have no nearest word. */
#define LENGTH_MAX 63

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

static bool same(char a, char b)
{
    return tolower((unsigned char)a) == tolower((unsigned char)b);
}

/* Return how many insertions, deletions, replacements and swaps of neighbors make B of A, whatever the case. */
static size_t edit_distance(const char *a, size_t a_length, const char *b, size_t b_length)
{
    size_t rows[3][LENGTH_MAX + 1];

    for (size_t j = 0; j <= b_length; j++) {
        rows[0][j] = j;
    }
    for (size_t i = 1; i <= a_length; i++) {
        const size_t *before = rows[(i + 1) % 3], *last = rows[(i + 2) % 3];
        size_t *row = rows[i % 3];

        row[0] = i;
        for (size_t j = 1; j <= b_length; j++) {
            row[j] = smaller(smaller(last[j], row[j - 1]) + 1, last[j - 1] + !same(a[i - 1], b[j - 1]));
            if (i > 1 && j > 1 && same(a[i - 1], b[j - 2]) && same(a[i - 2], b[j - 1])) {
                row[j] = smaller(row[j], before[j - 2] + 1);
            }
        }
    }
    return rows[a_length % 3][b_length];
}

void nearest_try(struct nearest *nearest, const char *word)
{
    const size_t length = strlen(word), text_length = strlen(nearest->text);
    size_t distance;

    if (length > LENGTH_MAX || text_length > LENGTH_MAX) {
        return;
    }
    distance = edit_distance(nearest->text, text_length, word, length);
    /* A third of the longer one may be wrong. */
    if (3 * distance <= (length > text_length ? length : text_length) &&
        (nearest->word == NULL || distance < nearest->distance)) {
        nearest->word = word;
        nearest->distance = distance;
    }
}

const char *nearest_hint(const struct nearest *nearest, char hint[NEAREST_HINT_SIZE])
{
    hint[0] = '\0';
    if (nearest->word != NULL) {
        snprintf(hint, NEAREST_HINT_SIZE, " (did you mean '%s'?)", nearest->word);
    }
    return hint;
}
