/* SPDX-License-Identifier: Apache-2.0 */
/* label.c - texts of others for terminals. */
#include <config.h>

#include "base/label.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <wchar.h>
#include <wctype.h>

const char *label_text(char text[LABEL_TEXT_SIZE], const char *bytes, size_t length)
{
    static const char ellipsis[] = "...";
    mbstate_t state = {0};
    size_t used = 0;
    while (length > 0) {
        wchar_t wide;
        size_t size = mbrtowc(&wide, bytes, length, &state);
        /* Not the two error values, which are huge. Beyond ASCII only letters: marks may reverse the line or hide. */
        bool plain = size > 0 && size <= length && (wide < 0x80 ? iswprint((wint_t)wide) : iswalpha((wint_t)wide));
        if (!plain) {
            size = 1;
            memset(&state, 0, sizeof state);
        }
        size_t needed = plain ? size : strlen("\\xff");
        if (used + needed + sizeof ellipsis > LABEL_TEXT_SIZE) {
            memcpy(text + used, ellipsis, strlen(ellipsis));
            used += strlen(ellipsis);
            break;
        }
        if (plain) {
            memcpy(text + used, bytes, size);
        } else {
            snprintf(text + used, LABEL_TEXT_SIZE - used, "\\x%02x", (unsigned)(unsigned char)*bytes);
        }
        used += needed;
        bytes += size;
        length -= size;
    }
    text[used] = '\0';
    return text;
}

void label_file(const char *path, const char *name, char label[LABEL_SIZE])
{
    char path_text[LABEL_TEXT_SIZE], name_text[LABEL_TEXT_SIZE];

    label_text(path_text, path, strlen(path));
    if (name == NULL) {
        snprintf(label, LABEL_SIZE, "%s", path_text);
    } else {
        snprintf(label, LABEL_SIZE, "%s, tensor %s", path_text, label_text(name_text, name, strlen(name)));
    }
}
