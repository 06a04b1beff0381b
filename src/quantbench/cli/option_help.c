/* SPDX-License-Identifier: Apache-2.0 */
/* option_help.c - --help, from the table of options. */
#include <config.h>

#include "cli/options.h"

#include <string.h>

/* The column in which the explanations begin. */
#define HELP_COLUMN 30
#define HELP_SIZE   1024

/* Append LENGTH characters of MORE, or as many as there is room for. */
static void append(char text[HELP_SIZE], const char *more, size_t length)
{
    size_t used = strlen(text);

    snprintf(text + used, HELP_SIZE - used, "%.*s", (int)length, more);
}

/* Append another name of each of the formats that are the words of ROW, if it has one. */
static void append_aliases(char text[HELP_SIZE], const struct option_row *row)
{
    enum qb_format format;
    const char *word, *comma = "";

    for (size_t i = 0; (word = option_word(row, i)) != NULL; i++) {
        const char *aliases = qb_format_find(word, &format) == QB_OK ? qb_format_info(format)->aliases : "";
        size_t length = strcspn(aliases, " ");

        if (length > 0) {
            append(text, comma, strlen(comma));
            append(text, aliases, length);
            comma = ", ";
        }
    }
}

/* Set TEXT to the explanation of ROW, with all that it stands for put in. */
static void expand(const struct option_row *row, char text[HELP_SIZE])
{
    char words[OPTION_WORDS_SIZE];
    const char *rest = row->help;

    text[0] = '\0';
    while (rest[0] != '\0') {
        size_t length = strcspn(rest, "%");

        append(text, rest, length);
        rest += length;
        if (strncmp(rest, "%w", 2) == 0) {
            append(text, option_words(row, ", ", words), OPTION_WORDS_SIZE);
        } else if (strncmp(rest, "%a", 2) == 0) {
            append_aliases(text, row);
        } else if (strncmp(rest, "%d", 2) == 0) {
            append(text, row->fallback, strlen(row->fallback));
        } else {
            append(text, rest, rest[0] != '\0');
            rest += rest[0] != '\0';
            continue;
        }
        rest += strlen("%w");
    }
}

/* Return how many characters of TEXT fit a line of WIDTH: whole words, at least one. */
static size_t line_length(const char *text, size_t width)
{
    size_t length = strcspn(text, " ");

    while (text[length] == ' ') {
        size_t next = length + 1 + strcspn(text + length + 1, " ");

        if (next > width) {
            break;
        }
        length = next;
    }
    return length;
}

void option_print_help(const struct option_row *row, FILE *stream)
{
    char help[HELP_SIZE];
    const char *text = help;
    int width;

    if (row->heading != NULL) {
        fprintf(stream, "\n%s:\n", row->heading);
        return;
    }
    expand(row, help);
    width = row->letter != 0 ? fprintf(stream, "  -%c, ", row->letter) : fprintf(stream, "      ");
    width += row->is_optional     ? fprintf(stream, "--%s[=%s]", row->name, row->value)
             : row->value != NULL ? fprintf(stream, "--%s=%s", row->name, row->value)
                                  : fprintf(stream, "--%s", row->name);
    while (text[0] != '\0') {
        size_t length = line_length(text, OPTION_HELP_WIDTH - HELP_COLUMN);

        fprintf(stream, "%*s%.*s\n", HELP_COLUMN - width, "", (int)length, text);
        text += length + (text[length] == ' ');
        width = 0;
    }
}

void args_print_help(void)
{
    printf("Usage: quantbench [OPTION]...\n"
           "Measure kernels that quantize FP16, BF16 and FP32 tensors to INT8, INT4, FP8,\n"
           "FP6, FP4, MX formats and NVFP4, and verify their results.\n");
    for (size_t i = 0; i < options_count; i++) {
        option_print_help(&options[i], stdout);
    }
    printf("\nA single measurement ends with the line \"Kernel running time: ... us\", the\n"
           "median.\n"
           "\n"
           "Exit status: 0 success, 1 a regression, 2 usage, 3 it could not run, 4 a result\n"
           "is wrong, 5 inconclusive.\n"
           "See the manual, quantbench(1), for examples.\n");
}
