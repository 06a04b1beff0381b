/* SPDX-License-Identifier: Apache-2.0 */
/* field.h - text of others in tables for programs and web pages. */
#ifndef FIELD_H
#define FIELD_H

#include <stdio.h>

/* TEXT as a field of CSV, in quotation marks if it needs them. What a spreadsheet would take for a formula gets an
 * apostrophe before it; so does what begins with one, so that the text can be had back. Numbers are not text: a
 * negative one stays as it is. */
void field_csv(const char *text, FILE *stream);

/* The same, always in quotation marks: for lines that shells take apart. */
void field_quoted_csv(const char *text, FILE *stream);

/* TEXT as it is, in Markdown: characters with a meaning get a backslash, and a line stays one. */
void field_markdown(const char *text, FILE *stream);

/* TEXT in XML. XML 1.0 has no control characters, and names in files of others may be no UTF-8: these become '?'. */
void field_xml(const char *text, FILE *stream);

/* The attribute NAME, after a blank. */
void field_attribute(const char *name, const char *text, FILE *stream);

#endif
