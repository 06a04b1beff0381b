/* SPDX-License-Identifier: Apache-2.0 */
/* catalog.c - the list of all kernels that can be chosen. */
#include <config.h>

#include "cases/catalog.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct kernel **list;
static size_t count;
static size_t loaded; /* of the library's list, those that are in this one */

size_t catalog_count(void)
{
    return count;
}

const struct kernel *catalog_at(size_t index)
{
    return list[index];
}

const struct kernel *catalog_find(const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(list[i]->name, name) == 0) {
            return list[i];
        }
    }
    return NULL;
}

bool catalog_add(const struct kernel *kernel)
{
    struct kernel *copy = malloc(sizeof *copy);
    struct kernel **larger = copy != NULL ? reallocarray(list, count + 1, sizeof(struct kernel *)) : NULL;

    if (larger == NULL) {
        free(copy);
        return false;
    }
    *copy = *kernel;
    list = larger;
    list[count++] = copy;
    return true;
}

bool catalog_add_loaded(void)
{
    for (; loaded < qb_kernel_count(); loaded++) {
        const struct qb_kernel *handle = qb_kernel_at(loaded);
        struct kernel kernel = {.backend = qb_kernel_backend(handle),
                                .operation = qb_kernel_operation(handle),
                                .plugin = qb_kernel_plugin(handle),
                                .arithmetic = *qb_kernel_arithmetic(handle),
                                .handle = handle};

        if (catalog_find(qb_kernel_name(handle)) != NULL) {
            continue; /* it was described before */
        }
        snprintf(kernel.name, sizeof kernel.name, "%s", qb_kernel_name(handle));
        snprintf(kernel.description, sizeof kernel.description, "%s", qb_kernel_description(handle));
        if (!catalog_add(&kernel)) {
            return false;
        }
    }
    return true;
}

const struct qb_kernel *catalog_handle(const struct kernel *kernel)
{
    for (size_t i = 0; i < qb_kernel_count() && kernel->handle == NULL; i++) {
        if (strcmp(qb_kernel_name(qb_kernel_at(i)), kernel->name) == 0) {
            return qb_kernel_at(i);
        }
    }
    return kernel->handle;
}
