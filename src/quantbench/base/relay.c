/* SPDX-License-Identifier: Apache-2.0 */
/* relay.c - see relay.h. Processes that do the same warn of the same, but the figures in their warnings differ: the
 * load of a machine does not stay what it was. So warnings are compared without their digits. */
#include <config.h>

#include "base/message.h"
#include "base/relay.h"

#include <string.h>

/* If LINE begins with PREFIX, the rest of it; else NULL. */
static const char *after(const char *line, const char *prefix)
{
    const size_t length = strlen(prefix);

    return strncmp(line, prefix, length) == 0 ? line + length : NULL;
}

static void pass_on(struct relay *relay)
{
    const char *rest;

    relay->line[relay->length] = '\0';
    relay->length = 0;
    if ((rest = after(relay->line, MESSAGE_PROGRESS)) != NULL) {
        message_progress("%s, %s", relay->name, rest);
    } else if ((rest = after(relay->line, MESSAGE_WARNING)) != NULL) {
        message_warning_from(relay->name, rest);
    } else if ((rest = after(relay->line, MESSAGE_ERROR)) != NULL) {
        message_error("%s: %s", relay->name, rest);
    } else {
        message_line("%s: %s", relay->name, relay->line);
    }
}

void relay_take(struct relay *relay, const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if (text[i] == '\n' || relay->length + 1 == sizeof relay->line) {
            pass_on(relay);
        }
        if (text[i] != '\n') {
            relay->line[relay->length++] = text[i];
        }
    }
}

void relay_finish(struct relay *relay)
{
    if (relay->length > 0) {
        pass_on(relay);
    }
}
