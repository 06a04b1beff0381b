/* SPDX-License-Identifier: Apache-2.0 */
/* memory_stream.h - a stream into memory that says if memory was short. open_memstream() would not. */
#ifndef MEMORY_STREAM_H
#define MEMORY_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct memory_stream {
    FILE *stream; /* NULL: memory is short, or it is closed */
    char *bytes;  /* complete once it is closed, and followed by a null byte */
    size_t length, room;
    bool memory_short;
};

/* Begin MEMORY, which stays where it is until it is closed. Returns false if memory is short; free it either way. */
bool memory_stream_open(struct memory_stream *memory);

/* End what is written. Returns false if memory was short for a part of it. */
bool memory_stream_close(struct memory_stream *memory);

void memory_stream_free(struct memory_stream *memory);

#endif
