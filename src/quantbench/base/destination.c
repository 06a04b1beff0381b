/* SPDX-License-Identifier: Apache-2.0 */
/* destination.c - walks a path one component at a time. Each link is opened itself, so that its owner and its text are
 * those of one and the same link. This is what Linux does with fs.protected_symlinks = 1, and stricter for the last
 * component: nobody else decides which file is overwritten. */
#include <config.h>

#include "base/destination.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

/* As many as Linux follows. */
#define LINKS_MAX 40

#define PROC_MAGIC 0x9fa0 /* PROC_SUPER_MAGIC of <linux/magic.h> */

struct walk {
    char rest[PATH_MAX];      /* what is not walked yet, relative to the folder */
    char component[PATH_MAX]; /* the first of it */
    bool last;                /* nothing is left after it */
    unsigned links;           /* that were followed */
    bool dangling;            /* the last component is what a link leads to */
};

/* Go on from FOLDER, a descriptor, which is taken over. */
static const char *enter(struct destination *destination, int folder)
{
    if (folder < 0) {
        return strerror(errno);
    }
    if (destination->folder >= 0) {
        close(destination->folder);
    }
    destination->folder = folder;
    return NULL;
}

/* Walk TEXT next, from the root if it begins there. */
static const char *begin(struct walk *walk, struct destination *destination, const char *text, const char *after)
{
    char joined[PATH_MAX];
    int length = snprintf(joined, sizeof joined, "%s%s%s", text, after[0] != '\0' ? "/" : "", after);

    if (length < 0 || (size_t)length >= sizeof joined) {
        return strerror(ENAMETOOLONG);
    }
    memcpy(walk->rest, joined, (size_t)length + 1);
    return text[0] == '/' ? enter(destination, open("/", O_PATH | O_DIRECTORY | O_CLOEXEC)) : NULL;
}

/* Take the next component. False if there is none: the path is that of a folder. */
static bool next(struct walk *walk)
{
    const char *from = walk->rest + strspn(walk->rest, "/");
    size_t length = strcspn(from, "/");
    const char *after = from + length;

    memcpy(walk->component, from, length);
    walk->component[length] = '\0';
    /* A slash at the end asks for a folder. */
    walk->last = *after == '\0';
    memmove(walk->rest, after, strlen(after) + 1);
    return length > 0;
}

static bool is_shared(const struct stat *folder)
{
    return (folder->st_mode & S_ISVTX) != 0 && (folder->st_mode & S_IWOTH) != 0;
}

/* True if the link of INFO may be followed. */
static bool is_trusted(const struct walk *walk, const struct destination *destination, const struct stat *info)
{
    struct stat folder;

    if (info->st_uid == geteuid() || info->st_uid == 0) {
        return true;
    }
    return !walk->last && fstat(destination->folder, &folder) == 0 &&
           (!is_shared(&folder) || info->st_uid == folder.st_uid);
}

/* True if LINK, a descriptor, is one of the links in /proc whose text is not the name of a file. */
static bool is_by_kernel(const struct walk *walk, struct destination *destination, int link)
{
    struct statfs system;

    return walk->last && fstatfs(link, &system) == 0 && system.f_type == PROC_MAGIC &&
           fstatat(destination->folder, walk->component, &destination->info, 0) == 0 &&
           !S_ISDIR(destination->info.st_mode) &&
           (!S_ISREG(destination->info.st_mode) || destination->info.st_nlink == 0);
}

/* Follow LINK, a descriptor, with the rest of the path after it. */
static const char *follow(struct walk *walk, struct destination *destination, int link, const struct stat *info)
{
    char text[PATH_MAX];
    char after[PATH_MAX];
    ssize_t length;

    if (!is_trusted(walk, destination, info)) {
        return "it leads through a symbolic link of another user; give the name of the file itself";
    }
    if (is_by_kernel(walk, destination, link)) {
        destination->by_kernel = destination->exists = true;
        return NULL;
    }
    if (++walk->links > LINKS_MAX) {
        return strerror(ELOOP);
    }
    length = readlinkat(link, "", text, sizeof text - 1);
    if (length <= 0) {
        return strerror(length < 0 ? errno : ENOENT);
    }
    text[length] = '\0';
    walk->dangling = walk->dangling || walk->last;
    memcpy(after, walk->rest, strlen(walk->rest) + 1);
    return begin(walk, destination, text, after);
}

/* The last component is FILE, a descriptor with INFO, or does not exist: -1. */
static const char *arrive(const struct walk *walk, struct destination *destination, int file, const struct stat *info)
{
    if (strlen(walk->component) >= sizeof destination->name) {
        return strerror(ENAMETOOLONG);
    }
    if (file < 0 && walk->dangling) {
        return "is a symbolic link to a file that does not exist; remove the link, or give the name of that file";
    }
    if (file >= 0 && S_ISDIR(info->st_mode)) {
        return strerror(EISDIR);
    }
    memcpy(destination->name, walk->component, strlen(walk->component) + 1);
    if (file >= 0) {
        destination->exists = true;
        destination->info = *info;
    }
    return NULL;
}

/* Take one step. *ARRIVED: it was the last one. */
static const char *step(struct walk *walk, struct destination *destination, bool *arrived)
{
    struct stat info;
    const char *problem;
    int file;

    if (!next(walk)) {
        return strerror(EISDIR);
    }
    file = openat(destination->folder, walk->component, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (file < 0 && (errno != ENOENT || !walk->last)) {
        return strerror(errno);
    }
    if (file >= 0 && fstat(file, &info) != 0) {
        problem = strerror(errno);
    } else if (file >= 0 && S_ISLNK(info.st_mode)) {
        problem = follow(walk, destination, file, &info);
        *arrived = destination->by_kernel;
        if (problem == NULL && *arrived) {
            struct stat target = destination->info;

            problem = arrive(walk, destination, file, &target);
        }
    } else if (walk->last) {
        *arrived = true;
        problem = arrive(walk, destination, file, &info);
    } else if (!S_ISDIR(info.st_mode)) {
        problem = strerror(ENOTDIR);
    } else {
        return enter(destination, file);
    }
    if (file >= 0) {
        close(file);
    }
    return problem;
}

const char *destination_find(const char *path, struct destination *destination)
{
    struct walk walk = {.links = 0};
    bool arrived = false;
    const char *problem;

    *destination = (struct destination){.folder = -1};
    if (path[0] == '\0') {
        return strerror(ENOENT);
    }
    problem = enter(destination, open(".", O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (problem == NULL) {
        problem = begin(&walk, destination, path, "");
    }
    while (problem == NULL && !arrived) {
        problem = step(&walk, destination, &arrived);
    }
    return problem;
}

bool destination_is_planted(const struct destination *destination)
{
    struct stat folder;

    return destination->exists && S_ISREG(destination->info.st_mode) && destination->info.st_uid != geteuid() &&
           fstat(destination->folder, &folder) == 0 && is_shared(&folder) && destination->info.st_uid != folder.st_uid;
}

int destination_open(const struct destination *destination, int flags)
{
    flags |= O_CLOEXEC | O_NOCTTY | (destination->by_kernel ? 0 : O_NOFOLLOW);
    return openat(destination->folder, destination->name, flags, 0666);
}

void destination_close(struct destination *destination)
{
    if (destination->folder >= 0) {
        close(destination->folder);
    }
    destination->folder = -1;
}
