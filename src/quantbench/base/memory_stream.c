/* SPDX-License-Identifier: Apache-2.0 */
/* memory_stream.c - see memory_stream.h. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* fopencookie() */
#endif
#include <config.h>

#include "base/memory_stream.h"

#include <stdlib.h>
#include <string.h>

/* Keep SIZE bytes, and room for a null byte. */
static ssize_t keep(void *cookie, const char *bytes, size_t size)
{
    struct memory_stream *memory = cookie;

    if (memory->room - memory->length <= size) {
        size_t room = 2 * memory->room + size + 4096;
        char *larger = realloc(memory->bytes, room);

        if (larger == NULL) {
            memory->memory_short = true;
            return 0;
        }
        memory->bytes = larger;
        memory->room = room;
    }
    memcpy(memory->bytes + memory->length, bytes, size);
    memory->length += size;
    memory->bytes[memory->length] = '\0';
    return (ssize_t)size;
}

bool memory_stream_open(struct memory_stream *memory)
{
    *memory = (struct memory_stream){.stream = NULL};
    memory->stream = fopencookie(memory, "w", (cookie_io_functions_t){.write = keep});
    memory->memory_short = memory->stream == NULL;
    return !memory->memory_short;
}

bool memory_stream_close(struct memory_stream *memory)
{
    if (memory->stream != NULL) {
        memory->memory_short = fclose(memory->stream) != 0 || memory->memory_short;
        memory->stream = NULL;
    }
    return !memory->memory_short;
}

void memory_stream_free(struct memory_stream *memory)
{
    memory_stream_close(memory);
    free(memory->bytes);
    memory->bytes = NULL;
}
