/* SPDX-License-Identifier: Apache-2.0 */
/* destination.h - the place of a file that will be written, found without following a link that another user may have
 * laid there. */
#ifndef DESTINATION_H
#define DESTINATION_H

#include <limits.h>
#include <stdbool.h>
#include <sys/stat.h>

/* NAME in FOLDER. Used with openat() and its like, it cannot be led elsewhere afterwards. */
struct destination {
    int folder; /* a descriptor; -1: nothing to close */
    char name[NAME_MAX + 1];
    bool exists;
    struct stat info; /* of the file, if it exists; never a folder or a link */
    bool by_kernel;   /* NAME is one of the links in /proc that lead to open files: it must be followed */
};

/* Find where PATH leads. A symbolic link is followed if it belongs to the user, to root, or, on the way to the folder,
 * to anyone unless it lies in a sticky folder of somebody else that all may write to. Returns NULL, or the reason why
 * nothing can be written there; close DESTINATION either way. */
const char *destination_find(const char *path, struct destination *destination);

/* True if a file that exists was put there by another user, in a folder where all may do so. */
bool destination_is_planted(const struct destination *destination);

/* Open the file itself, with FLAGS of open(). Returns a descriptor; -1 sets errno. */
int destination_open(const struct destination *destination, int flags);

void destination_close(struct destination *destination);

#endif
