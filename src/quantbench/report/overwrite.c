/* SPDX-License-Identifier: Apache-2.0 */
/* overwrite.c - see overwrite.h. */
#include <config.h>

#include "base/destination.h"
#include "base/label.h"
#include "report/overwrite.h"

#include <libgen.h>
#include <stdlib.h>
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

/* The folder that FILE is in, or that it is. Returns false if it cannot be found. */
static bool find_folder(const struct used_file *file, bool itself, struct stat *folder)
{
    char *path = realpath(file->path, NULL);
    bool found = path != NULL && stat(path, folder) == 0;

    if (found && !(itself && S_ISDIR(folder->st_mode))) {
        found = stat(dirname(path), folder) == 0;
    }
    free(path);
    return found;
}

/* True if the file that is WRITTEN is there, among those of a folder that is READ. */
static bool is_among(const struct used_file *written, const struct place *place, const struct used_file *read)
{
    struct stat ours, theirs;

    return place->is_regular && read->has_folder && find_folder(written, false, &ours) &&
           find_folder(read, true, &theirs) && is_same(&ours, &theirs);
}

/* An error about FILE, which RELATION to that of the option OTHER. */
static enum exit_code refuse(const struct used_file *file, const char *relation, const struct used_file *other,
                             const char *remedy)
{
    char path[LABEL_TEXT_SIZE];

    message_error("--%s: %s is %s --%s; expected %s", file->option, label_text(path, file->path, strlen(file->path)),
                  relation, other->option, remedy);
    return EXIT_USAGE;
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
            if (k == i || (files[k].is_written && k > i)) {
                continue;
            }
            find_place(&files[k], &other);
            if (is_same_place(&place, &other)) {
                return refuse(&files[i], "also the file of", &files[k], "another file");
            }
            if (is_among(&files[i], &place, &files[k])) {
                return refuse(&files[i], "in the folder of", &files[k], "a file elsewhere");
            }
        }
    }
    return EXIT_OK;
}
