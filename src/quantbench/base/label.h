/* SPDX-License-Identifier: Apache-2.0 */
/* label.h - texts of others, such as the names of files, in a way that a terminal shows and does not obey. */
#ifndef LABEL_H
#define LABEL_H

#include <stddef.h>

/* Put LENGTH bytes, as far as there is room for them, into TEXT; letters beyond ASCII are kept as far as the locale
 * (LC_CTYPE) knows them. Returns TEXT. */
#define LABEL_TEXT_SIZE 256
const char *label_text(char text[LABEL_TEXT_SIZE], const char *bytes, size_t length);

/* What the tensor NAME (or NULL) of the file PATH is called. */
#define LABEL_SIZE 640
void label_file(const char *path, const char *name, char label[LABEL_SIZE]);

#endif
