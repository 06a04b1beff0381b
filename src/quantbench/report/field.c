/* SPDX-License-Identifier: Apache-2.0 */
/* field.c - see field.h. */
#include <config.h>

#include "report/field.h"

#include <string.h>

/* What begins so gets an apostrophe. */
#define FORMULA "=+-@\t\r\n'"

void field_quoted_csv(const char *text, FILE *stream)
{
    fputs(text[0] != '\0' && strchr(FORMULA, text[0]) != NULL ? "\"'" : "\"", stream);
    for (; *text != '\0'; text++) {
        if (*text == '"') {
            putc('"', stream);
        }
        putc(*text, stream);
    }
    putc('"', stream);
}

void field_csv(const char *text, FILE *stream)
{
    if (strpbrk(text, ",\"\r\n") != NULL) {
        field_quoted_csv(text, stream);
        return;
    }
    fprintf(stream, "%s%s", text[0] != '\0' && strchr(FORMULA, text[0]) != NULL ? "'" : "", text);
}

void field_markdown(const char *text, FILE *stream)
{
    for (; *text != '\0'; text++) {
        if (strchr("\\`*_[]<>|&#~", *text) != NULL) {
            putc('\\', stream);
        }
        putc((unsigned char)*text < ' ' ? ' ' : *text, stream);
    }
}

void field_xml(const char *text, FILE *stream)
{
    for (; *text != '\0'; text++) {
        const unsigned char c = (unsigned char)*text;

        if (strchr("&<>\"'", c) != NULL) {
            fprintf(stream, "&#%d;", c);
        } else {
            putc(c >= ' ' && c < 0x7F ? c : '?', stream);
        }
    }
}

void field_attribute(const char *name, const char *text, FILE *stream)
{
    fprintf(stream, " %s=\"", name);
    field_xml(text, stream);
    putc('"', stream);
}
