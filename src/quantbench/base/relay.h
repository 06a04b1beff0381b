/* SPDX-License-Identifier: Apache-2.0 */
/* relay.h - passes on what other processes of the tool write to their standard error: with a name in front, so that it
 * is known which of them it is from, and a warning that this process has given, or another of them, not again. */
#ifndef RELAY_H
#define RELAY_H

#include <stddef.h>

/* Room for a line; a longer one is passed on in parts. */
#define RELAY_LINE 4096

struct relay {
    const char *name; /* of the process that is heard now, which the caller keeps */
    char line[RELAY_LINE];
    size_t length;
};

/* Pass on the lines that are whole with the LENGTH bytes at TEXT. RELAY is zero but for the name at first. */
void relay_take(struct relay *relay, const char *text, size_t length);

/* Pass on the part of a line that the process of this name has left. */
void relay_finish(struct relay *relay);

#endif
