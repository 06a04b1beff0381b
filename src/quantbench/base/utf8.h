/* SPDX-License-Identifier: Apache-2.0 */
/* utf8.h - the characters of UTF-8 text of others. */
#ifndef UTF8_H
#define UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Set *LETTER to the character that TEXT begins with. Returns its length; 0 if it is not UTF-8. */
size_t utf8_decode(const char *text, uint32_t *letter);

/* True if LETTER is a control character, a mark that hides or that reverses what follows it, or not a character. */
bool utf8_is_unseen(uint32_t letter);

#endif
