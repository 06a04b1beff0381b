/* SPDX-License-Identifier: Apache-2.0 */
/* fold.c - see fold.h. */
#include <config.h>

#include "report/fold.h"

#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* A word of up to this many characters, such as a unit, stays on the line of the one before it. */
#define SHORT_WORD 2

int fold_width(FILE *stream)
{
    const char *columns = getenv("COLUMNS"); /* users and tests set it */
    struct winsize size;

    if (stream != stdout) {
        return INT_MAX;
    }
    if (columns != NULL && atoi(columns) > 0) {
        return atoi(columns);
    }
    return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : INT_MAX;
}

/* Where a text is printed. */
struct folded {
    FILE *stream;
    size_t indent, width;
    size_t column;
    bool is_in_line; /* a part of the text is on the line */
};

/* Print LENGTH characters at TEXT, after a blank if others are on the line, or on a new one if it lacks the room. */
static void print_piece(struct folded *folded, const char *text, size_t length)
{
    if (folded->is_in_line && folded->column + 1 + length > folded->width) {
        fprintf(folded->stream, "\n%*s", (int)folded->indent, "");
        folded->column = folded->indent;
    } else if (folded->is_in_line) {
        fputc(' ', folded->stream);
        folded->column++;
    }
    fprintf(folded->stream, "%.*s", (int)length, text);
    folded->column += length;
    folded->is_in_line = true;
}

/* Return the length of the word at TEXT, of at most LENGTH characters, with the short words that follow it. */
static size_t word_length(const char *text, size_t length)
{
    size_t end = 0;

    for (;;) {
        size_t start = end;

        while (end < length && text[end] != ' ') {
            end++;
        }
        if (start > 0 && end - start > SHORT_WORD) {
            return start - 1;
        }
        if (end == length) {
            return length;
        }
        end++;
    }
}

/* Print LENGTH characters at TEXT, of which a line has no room for all. */
static void print_words(struct folded *folded, const char *text, size_t length)
{
    while (length > 0) {
        const size_t word = word_length(text, length);

        print_piece(folded, text, word);
        text += word < length ? word + 1 : word;
        length -= word < length ? word + 1 : word;
    }
}

void fold_print(const char *text, size_t column, size_t indent, int width, FILE *stream)
{
    struct folded folded = {stream, indent, width < FOLD_MOST ? (size_t)width : FOLD_MOST, column, false};

    while (*text != '\0') {
        const char *comma = strstr(text, ", ");
        const size_t length = comma != NULL ? (size_t)(comma - text) + 1 : strlen(text);

        if ((folded.is_in_line ? indent : column) + length > folded.width) {
            print_words(&folded, text, length);
        } else {
            print_piece(&folded, text, length);
        }
        text += comma != NULL ? length + 1 : length;
    }
}
