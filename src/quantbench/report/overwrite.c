/* SPDX-License-Identifier: Apache-2.0 */
/* overwrite.c - see overwrite.h. */
#include <config.h>

#include "base/destination.h"
#include "base/label.h"
#include "report/overwrite.h"

#include <string.h>

/* The place that a path leads to. */
struct place {
    bool exists, is_regular;
    struct stat info; /* of the file, if it exists */
    bool has_folder;  /* as for a file that is written */
    struct stat folder;
    char name[NAME_MAX + 1]; /* in the folder */
};

static void find_place(const struct used_file *file, struct place *place)
{
    struct destination destination;

    *place = (struct place){.exists = false};
    place->exists = stat(file->path, &place->info) == 0;
    place->is_regular = place->exists && S_ISREG(place->info.st_mode);
    if (!file->is_written || place->exists) {
        return;
    }
    if (destination_find(file->path, &destination) == NULL) {
        place->has_folder = fstat(destination.folder, &place->folder) == 0;
        memcpy(place->name, destination.name, sizeof place->name);
    }
    destination_close(&destination);
}

static bool is_same(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

static bool is_same_place(const struct place *a, const struct place *b)
{
    return (a->is_regular && b->is_regular && is_same(&a->info, &b->info)) ||
           (a->has_folder && b->has_folder && is_same(&a->folder, &b->folder) && strcmp(a->name, b->name) == 0);
}

enum exit_code overwrite_check(const struct used_file *files, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct place place, other;

        if (!files[i].is_written) {
            continue;
        }
        find_place(&files[i], &place);
        for (size_t k = 0; k < count; k++) {
            char path[LABEL_TEXT_SIZE];

            if (k == i || (files[k].is_written && k > i)) {
                continue;
            }
            find_place(&files[k], &other);
            if (is_same_place(&place, &other)) {
                message_error("--%s: %s is also the file of --%s; expected another file", files[i].option,
                              label_text(path, files[i].path, strlen(files[i].path)), files[k].option);
                return EXIT_USAGE;
            }
        }
    }
    return EXIT_OK;
}
