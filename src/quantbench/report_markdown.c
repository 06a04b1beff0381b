/* SPDX-License-Identifier: Apache-2.0 */
/* report_markdown.c - results for a web page: what all cases have in common, and a table of the rest, in the Markdown
 * of GitHub. */
#include <config.h>

#include "describe.h"
#include "report.h"

#include <stdio.h>
#include <string.h>

/* TEXT as it is: characters with a meaning get a backslash, and a line stays one. */
static void print_text(const char *text, FILE *stream)
{
    for (; *text != '\0'; text++) {
        if (strchr("\\`*_[]<>|&#~", *text) != NULL) {
            putc('\\', stream);
        }
        putc((unsigned char)*text < ' ' ? ' ' : *text, stream);
    }
}

static void print_line(const char *name, const char *text, FILE *stream)
{
    fprintf(stream, "* %s: ", name);
    print_text(text, stream);
    putc('\n', stream);
}

enum exit_code report_markdown(const struct record *record, FILE *stream)
{
    bool shown[COLUMNS];
    char text[DESCRIBE_SIZE];

    if (record->count == 0) {
        return EXIT_OK;
    }
    for (enum column i = DEVICE; i < COLUMNS; i++) {
        shown[i] = i >= FIRST_RESULT || describe_varies(record, i);
    }
    if (!shown[DEVICE]) {
        print_line("device", describe_device(record->cases[0].device, text), stream);
    }
    print_line("input", describe_input(record, text), stream);
    if (describe_common(record, text)[0] != '\0') {
        print_line("all", text, stream);
    }
    fputs("\n|", stream);
    for (enum column i = DEVICE; i < COLUMNS; i++) {
        if (shown[i]) {
            fprintf(stream, " %s |", describe_head(i));
        }
    }
    fputs("\n|", stream);
    for (enum column i = DEVICE; i < COLUMNS; i++) {
        if (shown[i]) {
            fputs(describe_is_number(i) ? " ---: |" : " --- |", stream);
        }
    }
    putc('\n', stream);
    for (size_t row = 0; row < record->count; row++) {
        putc('|', stream);
        for (enum column i = DEVICE; i < COLUMNS; i++) {
            if (shown[i]) {
                putc(' ', stream);
                print_text(describe_cell(&record->cases[row], i, text), stream);
                fputs(" |", stream);
            }
        }
        putc('\n', stream);
    }
    return EXIT_OK;
}
