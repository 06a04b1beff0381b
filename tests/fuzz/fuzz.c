/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz.c - see fuzz.h. */
#include <config.h>

#include "fuzz.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

_Noreturn void fuzz_fail(const char *file, int line, const char *condition)
{
    fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, condition);
    abort();
}

const char *fuzz_file(const void *data, size_t size)
{
    static int descriptor = -1;
    static char path[64];

    if (descriptor < 0) {
        descriptor = memfd_create("fuzz", MFD_CLOEXEC);
        fuzz_check(descriptor >= 0);
        snprintf(path, sizeof path, "/proc/self/fd/%d", descriptor);
    }
    fuzz_check(ftruncate(descriptor, 0) == 0);
    fuzz_check(size == 0 || pwrite(descriptor, data, size, 0) == (ssize_t)size);
    return path;
}

char *fuzz_text(const void *data, size_t size)
{
    char *text = malloc(size + 1);

    fuzz_check(text != NULL);
    memcpy(text, data, size);
    text[size] = '\0';
    return text;
}
