/* SPDX-License-Identifier: Apache-2.0 */
/* overwrite.h - no file that a run writes is another that it writes, or one that it reads. */
#ifndef OVERWRITE_H
#define OVERWRITE_H

#include "base/message.h"

#include <stdbool.h>
#include <stddef.h>

/* A file that the user gave to OPTION. */
struct used_file {
    const char *option;
    const char *path;
    bool is_written;
    bool has_folder; /* it is a folder, whose files are read, or names files in its own */
};

/* Compare all COUNT FILES by the place that their paths lead to. Devices and pipes may be there twice. Returns an exit
 * code; an error has been printed. */
enum exit_code overwrite_check(const struct used_file *files, size_t count);

#endif
