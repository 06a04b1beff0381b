/* SPDX-License-Identifier: Apache-2.0 */
/* output.c - reports to files. A file is written under another name in the same folder, brought to the disk, and then
 * renamed, so that whoever opens it finds the old report or the new one, and never a part of one. */
#include <config.h>

#include "base/destination.h"
#include "base/intake.h"
#include "report/output.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* How many names are tried for a file before it is renamed. */
#define NAMES_TRIED 100

/* A file that is being written. */
struct target {
    const char *option; /* as given, for messages */
    const char *file;
    struct destination destination;
    /* In the same folder; NULL: it is a device or a pipe, which keeps nothing and is written as it is. */
    char *temporary;
    mode_t mode;  /* permissions of the file that will be there */
    FILE *stream; /* NULL: not open */
};

static enum exit_code fail(const struct target *target, int error)
{
    message_error("--%s: %s: %s", target->option, target->file, strerror(error));
    return EXIT_CANNOT_RUN;
}

/* The permissions that open() would give a new file. */
static mode_t new_file_mode(void)
{
    mode_t mask = umask(0);

    umask(mask);
    return 0666 & ~mask;
}

/* The permissions of the file in the place of that of INFO: the same, without the bits that make a program run as
 * somebody; a file of another user cannot widen those of a new one. */
static mode_t replaced_file_mode(const struct stat *info)
{
    mode_t mode = info->st_mode & 0777;

    return info->st_uid == geteuid() ? mode : mode & new_file_mode();
}

/* Close TARGET, remove what was written under another name, and forget it. */
static void discard(struct target *target)
{
    if (target->stream != NULL) {
        fclose(target->stream);
        if (target->temporary != NULL) {
            unlinkat(target->destination.folder, target->temporary, 0);
        }
    }
    destination_close(&target->destination);
    free(target->temporary);
}

/* Create a file of another name in the folder of TARGET. Returns a descriptor; -1 sets errno. */
static int create_temporary(struct target *target)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789";
    const size_t start = strlen(target->destination.name) + strlen(".");
    int descriptor = -1;

    if (asprintf(&target->temporary, "%s.XXXXXX", target->destination.name) < 0) {
        target->temporary = NULL;
        errno = ENOMEM;
        return -1;
    }
    for (int i = 0; i < NAMES_TRIED && descriptor < 0; i++) {
        unsigned char random[6];

        if (getentropy(random, sizeof random) != 0) {
            return -1;
        }
        for (size_t j = 0; j < sizeof random; j++) {
            target->temporary[start + j] = letters[random[j] % strlen(letters)];
        }
        descriptor =
            openat(target->destination.folder, target->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        if (descriptor < 0 && errno != EEXIST) {
            return -1;
        }
    }
    return descriptor;
}

/* Find out where FILE of OPTION leads. */
static enum exit_code find_target(const char *option, const char *file, struct target *target)
{
    const char *problem;

    *target = (struct target){.option = option, .file = file, .mode = new_file_mode()};
    problem = destination_find(file, &target->destination);
    if (problem != NULL) {
        message_error("--%s: %s: %s", option, file, problem);
        return EXIT_CANNOT_RUN;
    }
    if (target->destination.exists) {
        target->mode = replaced_file_mode(&target->destination.info);
    }
    return EXIT_OK;
}

/* True if TARGET is written as it is; so is an open file that no longer has a name. */
static bool is_device(const struct target *target)
{
    return target->destination.exists && (!S_ISREG(target->destination.info.st_mode) || target->destination.by_kernel);
}

/* Open a device or a pipe. Returns a descriptor; -1 sets errno, to ENXIO if it is a pipe from which nobody reads. */
static int open_device(const struct target *target)
{
    double waited = 0;
    int descriptor, flags;

    /* The open itself would wait for a reader, for ever if there is none. */
    do {
        descriptor = destination_open(&target->destination, O_WRONLY | O_NONBLOCK);
    } while (descriptor < 0 && errno == ENXIO && S_ISFIFO(target->destination.info.st_mode) &&
             intake_wait_for_peer(&waited));
    flags = descriptor >= 0 ? fcntl(descriptor, F_GETFL) : -1;
    if (flags >= 0) {
        fcntl(descriptor, F_SETFL, flags & ~O_NONBLOCK);
    }
    return descriptor;
}

/* Open TARGET, which was found. */
static enum exit_code open_target(struct target *target)
{
    int descriptor = is_device(target) ? open_device(target) : create_temporary(target);

    if (descriptor < 0 && errno == ENXIO && S_ISFIFO(target->destination.info.st_mode)) {
        message_error("--%s: %s: nobody reads from this pipe", target->option, target->file);
        return EXIT_CANNOT_RUN;
    }
    if (descriptor < 0) {
        return fail(target, errno);
    }
    target->stream = fdopen(descriptor, "w");
    if (target->stream == NULL) {
        int error = errno;

        close(descriptor);
        if (target->temporary != NULL) {
            unlinkat(target->destination.folder, target->temporary, 0);
        }
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
    if (renameat(target->destination.folder, target->temporary, target->destination.folder, target->destination.name) !=
        0) {
        return fail(target, errno);
    }
    /* There is nothing under this name that would have to be removed. */
    free(target->temporary);
    target->temporary = NULL;
    return EXIT_OK;
}

enum exit_code output_write_file(const char *option, const char *file, output_file_writer *write, const void *what)
{
    struct target target;
    enum exit_code code = find_target(option, file, &target);

    if (code == EXIT_OK) {
        code = open_target(&target);
    }
    if (code == EXIT_OK) {
        errno = 0;
        code = write(what, target.stream);
        if (code != EXIT_OK) {
            message_error("--%s: %s: not written", option, file);
        }
    }
    if (code == EXIT_OK) {
        code = finish_target(&target);
    }
    discard(&target);
    return code;
}

enum exit_code output_check_file(const char *option, const char *file)
{
    struct target target;
    enum exit_code code = find_target(option, file, &target);

    /* To open a device or a pipe may have effects, or wait for a reader. */
    if (code == EXIT_OK && !is_device(&target)) {
        code = open_target(&target);
    }
    discard(&target);
    return code;
}

enum exit_code output_check(const struct outputs *outputs)
{
    enum exit_code code = EXIT_OK;

    for (size_t i = 0; i < outputs->count && code == EXIT_OK; i++) {
        code = output_check_file("output", outputs->values[i].file);
    }
    return code;
}

/* What one of several reports is written from. */
struct task {
    const struct report_format *format;
    output_writer *write;
    const void *what;
};

static enum exit_code write_task(const void *data, FILE *stream)
{
    const struct task *task = data;

    return task->write(task->format, task->what, stream);
}

enum exit_code output_write_with(const struct outputs *outputs, output_writer *write, const void *what)
{
    enum exit_code code = EXIT_OK;

    for (size_t i = 0; i < outputs->count; i++) {
        const struct task task = {outputs->values[i].format, write, what};
        enum exit_code one = output_write_file("output", outputs->values[i].file, write_task, &task);

        code = one > code ? one : code;
    }
    return code;
}

static enum exit_code write_record(const struct report_format *format, const void *record, FILE *stream)
{
    return report_write(format, record, stream);
}

enum exit_code output_write(const struct outputs *outputs, const struct record *record)
{
    return output_write_with(outputs, write_record, record);
}
