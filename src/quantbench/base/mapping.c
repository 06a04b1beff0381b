/* SPDX-License-Identifier: Apache-2.0 */
/* mapping.c - a part of a file as memory. A file that another process cuts while it is mapped would end this one by
 * SIGBUS at the next read: the handler puts pages of zeros there instead, in whichever thread that is, and notes it. */
#include <config.h>

#include "base/mapping.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* The open mapping, for the handler. */
static char *volatile mapped;
static volatile uint64_t mapped_size;
static volatile sig_atomic_t broken;
static struct sigaction before;

static void on_bus_error(int number, siginfo_t *info, void *context)
{
    char *const at = info->si_addr;
    const int error = errno;

    (void)context;
    if (mapped != NULL && at >= mapped && at < mapped + mapped_size &&
        mmap(mapped, mapped_size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED) {
        broken = 1;
    } else {
        /* It is about other memory: at the next attempt it is what it was before. */
        sigaction(number, &before, NULL);
    }
    errno = error;
}

bool mapping_open(int descriptor, uint64_t offset, uint64_t bytes, struct mapping *mapping)
{
    const struct sigaction action = {.sa_sigaction = on_bus_error, .sa_flags = SA_SIGINFO};
    const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE), skipped = offset % page;
    void *pages;

    if (bytes > PTRDIFF_MAX - page) {
        errno = ENOMEM;
        return false;
    }
    pages = mmap(NULL, bytes + skipped, PROT_READ, MAP_PRIVATE, descriptor, (off_t)(offset - skipped));
    if (pages == MAP_FAILED) {
        return false;
    }
    madvise(pages, bytes + skipped, MADV_WILLNEED);
    mapping->pages = pages;
    mapping->size = bytes + skipped;
    mapping->data = (const char *)pages + skipped;
    broken = 0;
    mapped_size = mapping->size;
    mapped = pages;
    sigaction(SIGBUS, &action, &before);
    return true;
}

bool mapping_is_broken(const struct mapping *mapping)
{
    return mapping->data != NULL && broken != 0;
}

void mapping_close(struct mapping *mapping)
{
    if (mapping->data != NULL) {
        sigaction(SIGBUS, &before, NULL);
        mapped = NULL;
        munmap(mapping->pages, mapping->size);
        memset(mapping, 0, sizeof *mapping);
    }
}
