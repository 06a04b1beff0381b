/* SPDX-License-Identifier: Apache-2.0 */
/* plugins.c - finds and loads the kernels of others, and says what they compute. */
#include <config.h>

#include "cases/lister.h"
#include "cases/plugins.h"
#include "cases/shield.h"

#include <dirent.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define PATH_VARIABLE "QUANTBENCH_PLUGIN_PATH"

/* A plug-in that was found, and what tells it from others: the same file may have several names. */
struct plugin {
    struct lister lister; /* it has the name of the file */
    dev_t device;
    ino_t number;
    struct plugin *next;
};
static struct plugin *plugins; /* the last one first */

/* True if the file of ABOUT was found before. */
static bool is_known(const struct stat *about)
{
    for (const struct plugin *plugin = plugins; plugin != NULL; plugin = plugin->next) {
        if (plugin->device == about->st_dev && plugin->number == about->st_ino) {
            return true;
        }
    }
    return false;
}

/* Load FILE into this process. Returns QB_OK, or WHY not. */
static enum qb_status load_here(const char *file, uint64_t seconds, char why[PLUGINS_WHY_SIZE])
{
    enum qb_status status = shield_load(file, (unsigned)seconds);

    snprintf(why, PLUGINS_WHY_SIZE, "%s", shield_why(status));
    return status;
}

bool plugins_load_here(const char *file, uint64_t seconds)
{
    char why[PLUGINS_WHY_SIZE];
    enum qb_status status = load_here(file, seconds, why);

    if (status != QB_OK) {
        message_error("%s: %s", file, why);
    }
    return status == QB_OK;
}

/* Find out the kernels of FILE. Its code runs when it is loaded: unless all is to run in this process, another one does
 * that. Returns QB_OK, or WHY not. */
static enum qb_status load(const struct foreign *foreign, const struct command *command, const char *file,
                           char why[PLUGINS_WHY_SIZE])
{
    struct stat about = {.st_dev = 0};
    bool exists = stat(file, &about) == 0;
    struct plugin *plugin;
    enum qb_status status;

    if (exists && is_known(&about)) {
        return QB_OK;
    }
    plugin = calloc(1, sizeof *plugin);
    if (plugin == NULL || (plugin->lister.file = strdup(file)) == NULL) {
        free(plugin);
        snprintf(why, PLUGINS_WHY_SIZE, "out of host memory");
        return QB_ERROR_MEMORY;
    }
    plugin->lister.foreign = foreign;
    plugin->lister.command = command;
    status = foreign->isolate == ISOLATE_NONE ? load_here(file, foreign->kernel_timeout, why)
                                              : lister_load(&plugin->lister, why);
    if (status == QB_OK && !catalog_add_loaded()) {
        snprintf(why, PLUGINS_WHY_SIZE, "out of host memory");
        status = QB_ERROR_MEMORY;
    }
    if (status != QB_OK) {
        free(plugin->lister.file);
        free(plugin);
        return status;
    }
    plugin->device = about.st_dev;
    plugin->number = about.st_ino;
    plugin->next = plugins;
    plugins = plugin;
    return QB_OK;
}

bool plugins_supports(const struct kernel *kernel, const struct qb_problem *problem, char why[PLUGINS_WHY_SIZE])
{
    struct plugin *plugin = plugins;

    while (strcmp(plugin->lister.file, kernel->plugin) != 0) {
        plugin = plugin->next;
    }
    return lister_supports(&plugin->lister, kernel, problem, why);
}

void plugins_end_questions(void)
{
    for (struct plugin *plugin = plugins; plugin != NULL; plugin = plugin->next) {
        lister_end(&plugin->lister);
    }
}

static void load_or_warn(const struct foreign *foreign, const struct command *command, const char *file)
{
    char why[PLUGINS_WHY_SIZE];

    if (load(foreign, command, file, why) != QB_OK) {
        message_warning(PATH_VARIABLE ": %s: %s", file, why);
    }
}

static int is_shared_object(const struct dirent *entry)
{
    const char *dot = strrchr(entry->d_name, '.');

    return entry->d_name[0] != '.' && dot != NULL && strcmp(dot, ".so") == 0;
}

/* Load every *.so in FOLDER, in the order of their names. */
static void load_folder(const struct foreign *foreign, const struct command *command, const char *folder)
{
    struct dirent **entries;
    int count = scandir(folder, &entries, is_shared_object, alphasort);

    if (count < 0) {
        message_warning(PATH_VARIABLE ": %s: %s", folder, strerror(errno));
        return;
    }
    for (int i = 0; i < count; i++) {
        char *file;

        if (asprintf(&file, "%s/%s", folder, entries[i]->d_name) < 0) {
            message_warning(PATH_VARIABLE ": %s/%s: out of memory", folder, entries[i]->d_name);
        } else {
            load_or_warn(foreign, command, file);
            free(file);
        }
        free(entries[i]);
    }
    free(entries);
}

static void load_path(const struct foreign *foreign, const struct command *command, const char *path)
{
    char *copy = strdup(path);
    char *rest = copy;
    const char *entry;

    if (copy == NULL) {
        message_warning(PATH_VARIABLE ": out of memory");
    }
    while (copy != NULL && (entry = strsep(&rest, ":")) != NULL) {
        struct stat about;

        if (entry[0] == '\0') {
            continue;
        }
        if (stat(entry, &about) == 0 && S_ISDIR(about.st_mode)) {
            load_folder(foreign, command, entry);
        } else {
            load_or_warn(foreign, command, entry);
        }
    }
    free(copy);
}

enum exit_code plugins_load(const struct foreign *foreign, const struct command *command)
{
    const char *path = secure_getenv(PATH_VARIABLE);
    char why[PLUGINS_WHY_SIZE];

    if (!catalog_add_loaded()) {
        return message_out_of_memory("the list of kernels", sizeof(struct kernel));
    }
    for (size_t i = 0; i < foreign->plugins.count; i++) {
        enum qb_status status = load(foreign, command, foreign->plugins.values[i], why);

        if (status != QB_OK) {
            message_error("--plugin=%s: %s", foreign->plugins.values[i], why);
            return status == QB_ERROR_INVALID ? EXIT_USAGE : EXIT_CANNOT_RUN;
        }
    }
    if (path != NULL) {
        load_path(foreign, command, path);
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
    static const char *const e4m3_scales[] = {"f = amax * (S * (1 / qmax))", "f = S * (amax * (1 / qmax))",
                                              "f = (amax / qmax) * S", "f = (amax / qmax) / g"};
    static const char *const e4m3_values[] = {"x * (1 / (f * g))", "x / (f * g)", "x * (S / f)"};
    /* Of scales in E4M3 alone. */
    const bool e4m3 =
        a->e4m3_scale != QB_E4M3_SCALE_FACTOR || a->e4m3_value != QB_E4M3_VALUE_RECIPROCAL || a->zero_codes;

    text[0] = '\0';
    if (memcmp(a, &contract, sizeof contract) == 0) {
        append(text, "the contract");
        return text;
    }
    append(text, "%s", e4m3 ? e4m3_values[a->e4m3_value] : quotients[a->quotient]);
    append(text, "%s", e4m3 ? e4m3_scales[a->e4m3_scale] : scales[a->scale_form]);
    if (a->power_of_two) {
        append(text, "s a power of two");
    }
    if (a->amax_floor > 0) {
        append(text, "amax >= %.9g", (double)a->amax_floor);
    }
    if (a->scale_floor > 0) {
        append(text, "%c >= %.9g", e4m3 ? 'f' : 's', (double)a->scale_floor);
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
    if (a->nan_amax != QB_NAN_AMAX_IGNORED) {
        append(text, "NaN scales");
    }
    if (a->power_form != QB_POWER_ROUNDED) {
        append(text, "e8m0 of the amax's ceiling");
    }
    if (a->zero_codes) {
        append(text, "codes 0 where f = 0");
    }
    if (a->open_range) {
        append(text, "range without 0");
    }
    if (a->divisor_floor > 0) {
        append(text, "divisor >= %.9g", (double)a->divisor_floor);
    }
    if (a->match == QB_MATCH_ONE_CODE) {
        append(text, "within one code");
    }
    return text;
}
