/* SPDX-License-Identifier: Apache-2.0 */
/* allocations.c - stands in front of the C library's allocator, which the program and all that it loads call. What is
 * counted is calls, since memory that a kernel frees again has cost it time too. */
#include <config.h>

#include "check/allocations.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

static _Atomic bool watching;
static _Atomic uint64_t count;

void allocations_watch(void)
{
    count = 0;
    watching = true;
}

uint64_t allocations_counted(void)
{
    watching = false;
    return count;
}

#ifdef __has_feature
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define SANITIZED
#endif
#elif defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
#define SANITIZED
#endif

#if defined HAVE_LIBC_MALLOC && !defined SANITIZED

/* The allocator itself, under the names that GNU's C library has for those who do this. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t number, size_t size);
void *__libc_realloc(void *memory, size_t size);
void *__libc_memalign(size_t alignment, size_t size);

/* What stands in front of it; the C library's headers declare these with attributes of their own. */
void *malloc(size_t size);
void *calloc(size_t number, size_t size);
void *realloc(void *memory, size_t size);
void *memalign(size_t alignment, size_t size);
void *aligned_alloc(size_t alignment, size_t size);
int posix_memalign(void **pointer, size_t alignment, size_t size);

/* True if the code at ADDRESS is that of an OpenMP run time. What LLVM's allocates for each team of threads is nothing
 * that a kernel could do without. */
static bool is_openmp(const void *address)
{
    static const char *const names[] = {"libgomp", "libomp", "libiomp"};
    Dl_info info;

    if (dladdr(address, &info) == 0 || info.dli_fname == NULL) {
        return false;
    }
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strstr(info.dli_fname, names[i]) != NULL) {
            return true;
        }
    }
    return false;
}

static void note(const void *caller)
{
    if (atomic_load_explicit(&watching, memory_order_relaxed) && !is_openmp(caller)) {
        atomic_fetch_add_explicit(&count, 1, memory_order_relaxed);
    }
}

void *malloc(size_t size)
{
    note(__builtin_return_address(0));
    return __libc_malloc(size);
}

void *calloc(size_t number, size_t size)
{
    note(__builtin_return_address(0));
    return __libc_calloc(number, size);
}

void *realloc(void *memory, size_t size)
{
    note(__builtin_return_address(0));
    return __libc_realloc(memory, size);
}

void *memalign(size_t alignment, size_t size)
{
    note(__builtin_return_address(0));
    return __libc_memalign(alignment, size);
}

void *aligned_alloc(size_t alignment, size_t size)
{
    note(__builtin_return_address(0));
    return __libc_memalign(alignment, size);
}

int posix_memalign(void **pointer, size_t alignment, size_t size)
{
    void *memory;

    if (alignment % sizeof(void *) != 0 || (alignment & (alignment - 1)) != 0 || alignment == 0) {
        return EINVAL;
    }
    note(__builtin_return_address(0));
    memory = __libc_memalign(alignment, size);
    if (memory == NULL) {
        return ENOMEM;
    }
    *pointer = memory;
    return 0;
}

#endif
