/* SPDX-License-Identifier: Apache-2.0 */
/* plugins.c - finds and loads the kernels of others, and says what they compute. */
#include <config.h>

#include "isolate.h"
#include "plugins.h"

#include <dirent.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define PATH_VARIABLE "QUANTBENCH_PLUGIN_PATH"

/* Room for why a file was not loaded. */
#define WHY_SIZE 512

static bool try_load(void *file)
{
    return qb_plugin_load(file) == QB_OK;
}

/* Load FILE. Its code runs when it is loaded, so a child process tries that first. Returns QB_OK, or WHY not. */
static enum qb_status load(const struct args *args, const char *file, char why[WHY_SIZE])
{
    enum qb_status status;

    why[0] = '\0';
    if (args->isolate != ISOLATE_NONE) {
        isolate_ask(try_load, (void *)file, (unsigned)args->kernel_timeout, why, WHY_SIZE);
        if (why[0] != '\0') {
            return QB_ERROR_PLUGIN;
        }
    }
    status = qb_plugin_load(file);
    if (status != QB_OK) {
        snprintf(why, WHY_SIZE, "%s", qb_error_detail());
    }
    return status;
}

static void load_or_warn(const struct args *args, const char *file)
{
    char why[WHY_SIZE];

    if (load(args, file, why) != QB_OK) {
        message_warning(PATH_VARIABLE ": %s: %s", file, why);
    }
}

static int is_shared_object(const struct dirent *entry)
{
    const char *dot = strrchr(entry->d_name, '.');

    return entry->d_name[0] != '.' && dot != NULL && strcmp(dot, ".so") == 0;
}

/* Load every *.so in FOLDER, in the order of their names. */
static void load_folder(const struct args *args, const char *folder)
{
    struct dirent **entries;
    int count = scandir(folder, &entries, is_shared_object, alphasort);

    if (count < 0) {
        message_warning(PATH_VARIABLE ": %s: %s", folder, strerror(errno));
        return;
    }
    for (int i = 0; i < count; i++) {
        char *file;

        if (asprintf(&file, "%s/%s", folder, entries[i]->d_name) >= 0) {
            load_or_warn(args, file);
            free(file);
        }
        free(entries[i]);
    }
    free(entries);
}

static void load_path(const struct args *args, const char *path)
{
    char *copy = strdup(path);
    char *rest = copy;
    const char *entry;

    while (copy != NULL && (entry = strsep(&rest, ":")) != NULL) {
        struct stat about;

        if (entry[0] == '\0') {
            continue;
        }
        if (stat(entry, &about) == 0 && S_ISDIR(about.st_mode)) {
            load_folder(args, entry);
        } else {
            load_or_warn(args, entry);
        }
    }
    free(copy);
}

enum exit_code plugins_load(const struct args *args)
{
    const char *path = secure_getenv(PATH_VARIABLE);
    char why[WHY_SIZE];

    for (size_t i = 0; i < args->plugins.count; i++) {
        enum qb_status status = load(args, args->plugins.values[i], why);

        if (status != QB_OK) {
            message_error("--plugin=%s: %s", args->plugins.values[i], why);
            return status == QB_ERROR_INVALID ? EXIT_USAGE : EXIT_CANNOT_RUN;
        }
    }
    if (path != NULL) {
        load_path(args, path);
    }
    return EXIT_OK;
}

/* Append to TEXT, with a comma in front if something is there. */
__attribute__((format(printf, 2, 3))) static void append(char *text, const char *format, ...)
{
    size_t length = strlen(text);
    va_list arguments;

    if (length > 0) {
        length += (size_t)snprintf(text + length, PLUGINS_TEXT_SIZE - length, ", ");
    }
    va_start(arguments, format);
    vsnprintf(text + length, PLUGINS_TEXT_SIZE - length, format, arguments);
    va_end(arguments);
}

const char *plugins_describe(const struct qb_arithmetic *a, char text[PLUGINS_TEXT_SIZE])
{
    static const struct qb_arithmetic contract;
    static const char *const quotients[] = {"x / s", "x * (1 / s)", "x * (qmax / amax)"};
    static const char *const scales[] = {"s = amax / qmax", "s = amax * (1 / qmax)", "s = 1 / (qmax / amax)",
                                         "qmax / amax is stored"};
    static const char *const roundings[] = {"", "halves away from zero", "truncated"};
    static const char *const zeros[] = {"", "scale 1 for zeros", "scale 0 for zeros", "0 / 0 for zeros"};
    static const char *const nans[] = {"", "NaN to the highest code", "NaN to the lowest code"};

    text[0] = '\0';
    if (memcmp(a, &contract, sizeof contract) == 0) {
        append(text, "the contract");
        return text;
    }
    append(text, "%s", quotients[a->quotient]);
    append(text, "%s", scales[a->scale_form]);
    if (a->power_of_two) {
        append(text, "s a power of two");
    }
    if (a->amax_floor > 0) {
        append(text, "amax >= %.9g", (double)a->amax_floor);
    }
    if (a->scale_floor > 0) {
        append(text, "s >= %.9g", (double)a->scale_floor);
    }
    if (a->rounding != QB_ROUNDING_NEAREST_EVEN) {
        append(text, "%s", roundings[a->rounding]);
    }
    if (a->zero != QB_ZERO_FLOOR) {
        append(text, "%s", zeros[a->zero]);
    }
    if (a->nan != QB_NAN_CODE) {
        append(text, "%s", nans[a->nan]);
    }
    if (a->infinity != QB_INFINITY_CLAMPED) {
        append(text, "infinite scales");
    }
    if (a->match == QB_MATCH_ONE_CODE) {
        append(text, "within one code");
    }
    return text;
}
