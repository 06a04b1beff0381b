/* SPDX-License-Identifier: Apache-2.0 */
/* output.c - reports to files. A file is written under another name in the same folder, brought to the disk, and then
 * renamed, so that whoever opens it finds the old report or the new one, and never a part of one. */
#include <config.h>

#include "output.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A file that is being written. */
struct target {
    const char *file; /* as given, for messages */
    char *path;       /* what the last of its symbolic links leads to */
    char *temporary;  /* NULL: PATH is a device or a pipe, which keeps nothing and is written as it is */
    mode_t mode;      /* permissions of the file that will be there */
    FILE *stream;     /* NULL: not open */
};

static enum exit_code fail(const struct target *target, int error)
{
    message_error("--output: %s: %s", target->file, strerror(error));
    return EXIT_CANNOT_RUN;
}

/* The permissions that open() would give a new file. */
static mode_t new_file_mode(void)
{
    mode_t mask = umask(0);

    umask(mask);
    return 0666 & ~mask;
}

/* Close TARGET, remove what was written under another name, and forget it. */
static void discard(struct target *target)
{
    if (target->stream != NULL) {
        fclose(target->stream);
        if (target->temporary != NULL) {
            unlink(target->temporary);
        }
    }
    free(target->path);
    free(target->temporary);
}

/* Find out what FILE is, and open TARGET. Discard TARGET either way. */
static enum exit_code open_target(const char *file, struct target *target)
{
    struct stat info;
    int descriptor;

    *target = (struct target){.file = file, .mode = new_file_mode()};
    if (stat(file, &info) == 0) {
        if (S_ISDIR(info.st_mode)) {
            return fail(target, EISDIR);
        }
        if (!S_ISREG(info.st_mode)) {
            target->stream = fopen(file, "w");
            return target->stream != NULL ? EXIT_OK : fail(target, errno);
        }
        target->mode = info.st_mode & 07777;
        /* The rename must not take the place of a link, but of what it leads to. */
        target->path = realpath(file, NULL);
    } else if (errno == ENOENT) {
        target->path = strdup(file);
    }
    if (target->path == NULL) {
        return fail(target, errno);
    }
    if (asprintf(&target->temporary, "%s.XXXXXX", target->path) < 0) {
        target->temporary = NULL;
        return fail(target, ENOMEM);
    }
    descriptor = mkostemp(target->temporary, 0);
    if (descriptor < 0) {
        return fail(target, errno);
    }
    target->stream = fdopen(descriptor, "w");
    if (target->stream == NULL) {
        int error = errno;

        close(descriptor);
        unlink(target->temporary);
        return fail(target, error);
    }
    return EXIT_OK;
}

/* Bring what was written to the disk and to its place. */
static enum exit_code finish_target(struct target *target)
{
    /* An error of the first write is still in errno, which was 0 before it. */
    bool failed = ferror(target->stream) || fflush(target->stream) != 0;
    int descriptor = fileno(target->stream);

    if (!failed && target->temporary != NULL) {
        failed = fchmod(descriptor, target->mode) != 0 || fsync(descriptor) != 0;
    }
    if (failed) {
        return fail(target, errno != 0 ? errno : EIO);
    }
    if (target->temporary == NULL) {
        /* Some devices tell only now. */
        failed = fclose(target->stream) != 0;
        target->stream = NULL;
        return failed ? fail(target, errno) : EXIT_OK;
    }
    if (rename(target->temporary, target->path) != 0) {
        return fail(target, errno);
    }
    /* There is nothing under this name that would have to be removed. */
    free(target->temporary);
    target->temporary = NULL;
    return EXIT_OK;
}

static enum exit_code write_one(const struct output *output, const struct record *record)
{
    struct target target;
    enum exit_code code = open_target(output->file, &target);

    if (code == EXIT_OK) {
        errno = 0;
        code = output->format->write(record, target.stream);
        if (code != EXIT_OK) {
            message_error("--output: %s: not written", output->file);
        }
    }
    if (code == EXIT_OK) {
        code = finish_target(&target);
    }
    discard(&target);
    return code;
}

enum exit_code output_check(const struct outputs *outputs)
{
    for (size_t i = 0; i < outputs->count; i++) {
        struct target target;
        enum exit_code code = EXIT_OK;
        struct stat info;

        /* To open a device or a pipe may have effects, or wait for a reader. */
        if (stat(outputs->values[i].file, &info) != 0 || S_ISREG(info.st_mode) || S_ISDIR(info.st_mode)) {
            code = open_target(outputs->values[i].file, &target);
            discard(&target);
        }
        if (code != EXIT_OK) {
            return code;
        }
    }
    return EXIT_OK;
}

enum exit_code output_write(const struct outputs *outputs, const struct record *record)
{
    enum exit_code code = EXIT_OK;

    for (size_t i = 0; i < outputs->count; i++) {
        enum exit_code one = write_one(&outputs->values[i], record);

        code = one > code ? one : code;
    }
    return code;
}
