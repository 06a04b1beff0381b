/* SPDX-License-Identifier: Apache-2.0 */
/* fold.h - text in lines that fit whoever reads them. */
#ifndef FOLD_H
#define FOLD_H

#include <stddef.h>
#include <stdio.h>

/* How many columns the readers of STREAM see: those of COLUMNS or of the terminal if it is standard output; INT_MAX if
 * nobody in particular reads it. */
int fold_width(FILE *stream);

/* Print TEXT, and no newline, on lines of at most WIDTH columns, and of FOLD_MOST in any case, that begin at column
 * INDENT; the cursor is in COLUMN. Lines end after commas, and between words where there is no other way. */
#define FOLD_MOST 80
void fold_print(const char *text, size_t column, size_t indent, int width, FILE *stream);

#endif
