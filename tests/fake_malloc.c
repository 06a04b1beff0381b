/* SPDX-License-Identifier: Apache-2.0 */
/* fake_malloc.c - an allocator that has no memory the FAKE_MALLOC-th time that it is asked, and only then. The tool has
 * a malloc() of its own, which hands on to the functions of the C library that stand here; what that allocates for
 * itself, before the tool is there, does not count. With FAKE_MALLOC_COUNT, a file, the number of calls is written to
 * it. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* RTLD_NEXT */
#endif
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t number, size_t size);
void *__libc_realloc(void *memory, size_t size);
void *__libc_memalign(size_t alignment, size_t size);

static _Atomic long calls;
static long failing;

static void *(*real_malloc)(size_t);
static void *(*real_calloc)(size_t, size_t);
static void *(*real_realloc)(void *, size_t);
static void *(*real_memalign)(size_t, size_t);

/* What is allocated before the others can be found. */
static char early[1 << 16];
static size_t early_used;

static void find(const char *name, void *function)
{
    void *symbol = dlsym(RTLD_NEXT, name);

    memcpy(function, &symbol, sizeof symbol);
}

__attribute__((constructor)) static void begin(void)
{
    const char *at = getenv("FAKE_MALLOC");

    find("__libc_malloc", &real_malloc);
    find("__libc_calloc", &real_calloc);
    find("__libc_realloc", &real_realloc);
    find("__libc_memalign", &real_memalign);
    calls = 0;
    failing = at != NULL ? atol(at) : 0;
}

__attribute__((destructor)) static void end(void)
{
    const char *file = getenv("FAKE_MALLOC_COUNT");
    int descriptor = file != NULL ? open(file, O_WRONLY | O_CREAT | O_TRUNC, 0666) : -1;

    if (descriptor >= 0) {
        dprintf(descriptor, "%ld\n", calls);
        close(descriptor);
    }
}

static bool fails(void)
{
    if (++calls == failing) {
        errno = ENOMEM;
        return true;
    }
    return false;
}

static bool is_early(const void *memory)
{
    return (const char *)memory >= early && (const char *)memory < early + sizeof early;
}

static void *allocate_early(size_t size)
{
    void *memory = early + early_used;

    early_used += (size + 15) / 16 * 16;
    return early_used <= sizeof early ? memory : NULL;
}

void *__libc_malloc(size_t size)
{
    return real_malloc == NULL ? allocate_early(size) : fails() ? NULL : real_malloc(size);
}

void *__libc_calloc(size_t number, size_t size)
{
    return real_calloc == NULL ? allocate_early(number * size) : fails() ? NULL : real_calloc(number, size);
}

void *__libc_realloc(void *memory, size_t size)
{
    if (real_realloc == NULL || is_early(memory)) {
        void *moved = real_malloc != NULL ? real_malloc(size) : allocate_early(size);

        if (moved != NULL && memory != NULL) {
            size_t most = (size_t)(early + sizeof early - (char *)memory);

            memcpy(moved, memory, size < most ? size : most);
        }
        return moved;
    }
    return fails() ? NULL : real_realloc(memory, size);
}

void *__libc_memalign(size_t alignment, size_t size)
{
    return real_memalign == NULL ? NULL : fails() ? NULL : real_memalign(alignment, size);
}
