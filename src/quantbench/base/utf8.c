/* SPDX-License-Identifier: Apache-2.0 */
/* utf8.c - see utf8.h. */
#include <config.h>

#include "base/utf8.h"

size_t utf8_decode(const char *text, uint32_t *letter)
{
    const unsigned char first = (unsigned char)text[0];
    const size_t length = first < 0x80 ? 1 : first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};

    if ((first >= 0x80 && first < 0xC2) || first > 0xF4) {
        return 0;
    }
    *letter = length == 1 ? first : first & (0x7FU >> length);
    for (size_t i = 1; i < length; i++) {
        if (((unsigned char)text[i] & 0xC0) != 0x80) {
            return 0;
        }
        *letter = *letter << 6 | ((unsigned char)text[i] & 0x3F);
    }
    return *letter >= least[length] && *letter <= 0x10FFFF && (*letter < 0xD800 || *letter > 0xDFFF) ? length : 0;
}

bool utf8_is_unseen(uint32_t letter)
{
    return letter < ' ' || (letter >= 0x7F && letter < 0xA0) || letter == 0xAD || letter == 0x61C ||
           (letter >= 0x200B && letter <= 0x200F) || (letter >= 0x2028 && letter <= 0x202E) ||
           (letter >= 0x2060 && letter <= 0x206F) || letter == 0xFEFF || (letter & 0xFFFE) == 0xFFFE;
}
