/* SPDX-License-Identifier: Apache-2.0 */
/* catalog.h - every kernel that can be chosen: the library's, and those of plug-ins. A plug-in's code is not loaded
 * here as long as foreign code runs in processes of its own: what is known of its kernels another process has said. */
#ifndef CATALOG_H
#define CATALOG_H

#include "model/settings.h"

/* The limits that quantbench.h names. */
#define CATALOG_NAME_SIZE        64
#define CATALOG_DESCRIPTION_SIZE 128

struct kernel {
    char name[CATALOG_NAME_SIZE];
    char description[CATALOG_DESCRIPTION_SIZE];
    const struct qb_backend *backend;
    enum qb_operation operation;
    const char *plugin; /* the file that it is from; NULL: it is the library's */
    struct qb_arithmetic arithmetic;
    const struct qb_kernel *handle; /* NULL: it is not loaded in this process */
};

/* In the order in which they became known, the library's first. A kernel stays where it is. */
size_t catalog_count(void);
const struct kernel *catalog_at(size_t index);
const struct kernel *catalog_find(const char *name); /* NULL: there is none */

/* Add a copy of KERNEL, whose name is new; false if memory is short. */
bool catalog_add(const struct kernel *kernel);

/* Add what the library has loaded since the last call; false if memory is short. */
bool catalog_add_loaded(void);

/* The handle of KERNEL once its plug-in has been loaded; NULL if it has not been. */
const struct qb_kernel *catalog_handle(const struct kernel *kernel);

#endif
