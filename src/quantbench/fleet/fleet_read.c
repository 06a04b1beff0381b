/* SPDX-License-Identifier: Apache-2.0 */
/* fleet_read.c - the records of a fleet, from files and folders, and who of those that were expected is missing. */
#include <config.h>

#include "base/intake.h"
#include "base/interrupt.h"
#include "base/label.h"
#include "fleet/fleet.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

/* The files of a folder that are records. */
#define SUFFIX ".json"

/* ---- Files ------------------------------------------------------------------------------------------------------- */

static enum exit_code no_memory(void)
{
    message_error("out of memory: the records of the fleet");
    return EXIT_CANNOT_RUN;
}

/* Read FILE; one that IS_NAMED must be a record. */
static enum exit_code read_file(struct fleet *fleet, const char *file, bool is_named)
{
    char label[LABEL_SIZE], *text = NULL;
    size_t length;
    const char *why = intake_read(file, &text, &length);
    const bool is_unread = why != NULL;

    label_file(file, NULL, label);
    if (!is_unread) {
        why = fleet_take(fleet, text, length, label);
        free(text);
    }
    if (fleet->short_of_memory) {
        return no_memory();
    }
    if (why != NULL && is_named) {
        message_error("--fleet: %s: %s", label, why);
        return is_unread ? EXIT_CANNOT_RUN : EXIT_USAGE;
    }
    if (why != NULL) {
        message_warning("--fleet: %s: %s; it is left out", label, why);
        fleet->skipped++;
    }
    return EXIT_OK;
}

static int is_record(const struct dirent *entry)
{
    const size_t length = strlen(entry->d_name);

    return entry->d_name[0] != '.' && length > strlen(SUFFIX) &&
           strcmp(entry->d_name + length - strlen(SUFFIX), SUFFIX) == 0;
}

/* Read all records in FOLDER, in the order of their names. */
static enum exit_code read_folder(struct fleet *fleet, const char *folder)
{
    struct dirent **entries;
    const int count = scandir(folder, &entries, is_record, alphasort);
    enum exit_code code = EXIT_OK;

    if (count < 0) {
        message_error("--fleet: %s: %s", folder, strerror(errno));
        return EXIT_CANNOT_RUN;
    }
    for (int i = 0; i < count; i++) {
        char *path;

        if (code == EXIT_OK && !interrupt_requested()) {
            if (asprintf(&path, "%s/%s", folder, entries[i]->d_name) < 0) {
                code = no_memory();
            } else {
                code = read_file(fleet, path, false);
                free(path);
            }
        }
        free(entries[i]);
    }
    free(entries);
    return code;
}

/* Give nodes that share a name a part of what tells them apart. */
static void label_nodes(struct fleet *fleet)
{
    struct table names = {.count = 0};

    for (size_t i = 0; i < fleet->node_count; i++) {
        struct fleet_node *node = &fleet->nodes[i];
        size_t *slot = table_find(&names, (uint64_t)(uintptr_t)node->name);

        if (slot != NULL && *slot == 0) {
            *slot = i + 1;
        } else if (slot != NULL) {
            char label[LABEL_SIZE];

            snprintf(label, sizeof label, "%s/%.8s", node->name, node->boot[0] != '\0' ? node->boot : "other");
            node->label = fleet_text(fleet, label);
        }
    }
    table_free(&names);
}

enum exit_code fleet_read(struct fleet *fleet, char *const *files, size_t count)
{
    enum exit_code code = EXIT_OK;

    for (size_t i = 0; i < count && code == EXIT_OK; i++) {
        struct stat info;

        code = stat(files[i], &info) == 0 && S_ISDIR(info.st_mode) ? read_folder(fleet, files[i])
                                                                   : read_file(fleet, files[i], true);
    }
    if (code == EXIT_OK && interrupt_requested()) {
        message_error("--fleet: interrupted");
        code = EXIT_CANNOT_RUN;
    }
    label_nodes(fleet);
    return code;
}

void fleet_free(struct fleet *fleet)
{
    for (size_t i = 0; i < fleet->node_count; i++) {
        free(fleet->nodes[i].facts);
    }
    for (size_t i = 0; i < fleet->device_count; i++) {
        free(fleet->devices[i].facts);
    }
    for (size_t i = 0; i < fleet->difference_count; i++) {
        free(fleet->differences[i].who);
    }
    pool_free(&fleet->pool);
    table_free(&fleet->device_table);
    table_free(&fleet->group_table);
    table_free(&fleet->node_table);
    free(fleet->nodes);
    free(fleet->devices);
    free(fleet->groups);
    free(fleet->visits);
    free(fleet->entries);
    free(fleet->differences);
    free(fleet->missing);
    free(fleet->argv);
    *fleet = (struct fleet){.records = 0};
}

/* ---- Who is missing ---------------------------------------------------------------------------------------------- */

/* Note that DEVICES of NODE are missing; 0: all of it. */
static void add_missing(struct fleet *fleet, const char *node, size_t devices)
{
    struct fleet_missing *missing =
        fleet_add(fleet, &fleet->missing, &fleet->missing_count, &fleet->missing_room, sizeof *missing);

    if (missing != NULL) {
        *missing = (struct fleet_missing){.node = fleet_text(fleet, node), .devices = devices};
    }
}

/* True if A and B name one host: a name in full, and its first part alone. */
static bool is_same_host(const char *a, const char *b)
{
    const size_t length = strlen(a), other = strlen(b), common = length < other ? length : other;

    return strncasecmp(a, b, common) == 0 && (length == other || (length < other ? b : a)[common] == '.');
}

/* Devices of all nodes that HOST names; SIZE_MAX if there is none. */
static size_t devices_of(const struct fleet *fleet, const char *host)
{
    size_t count = SIZE_MAX;

    for (size_t i = 0; i < fleet->node_count; i++) {
        if (is_same_host(fleet->nodes[i].name, host)) {
            count = (count == SIZE_MAX ? 0 : count) + fleet->nodes[i].devices;
        }
    }
    return count;
}

/* A line of a file of hosts, as mpirun and Slurm write them: a name, maybe with ":8" or "slots=8" for its devices. */
static void expect_line(struct fleet *fleet, char *line)
{
    const char *slots = strstr(line, "slots=");
    char host[LABEL_SIZE];
    const size_t length = strcspn(line, " \t\r\n:#");
    size_t wanted = 0, found;

    snprintf(host, sizeof host, "%.*s", (int)length, line);
    if (slots != NULL) {
        wanted = (size_t)strtoul(slots + strlen("slots="), NULL, 10);
    } else if (line[length] == ':') {
        wanted = (size_t)strtoul(line + length + 1, NULL, 10);
    }
    if (host[0] == '\0') {
        return;
    }
    found = devices_of(fleet, host);
    fleet->expected += wanted > 0 ? wanted : found == SIZE_MAX ? 1 : found;
    if (found == SIZE_MAX) {
        add_missing(fleet, host, 0);
    } else if (found < wanted) {
        add_missing(fleet, host, wanted - found);
    }
}

static enum exit_code expect_hosts(struct fleet *fleet, const char *file)
{
    char *text = NULL, *copy, *rest = NULL;
    size_t length;
    const char *why = intake_read(file, &text, &length);

    if (why != NULL) {
        message_error("--expect: %s: %s; expected a number of devices, or a file of host names", file, why);
        return EXIT_CANNOT_RUN;
    }
    copy = strndup(text != NULL ? text : "", length);
    free(text);
    if (copy == NULL) {
        return no_memory();
    }
    for (char *line = strtok_r(copy, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest)) {
        expect_line(fleet, line + strspn(line, " \t"));
    }
    free(copy);
    return fleet->short_of_memory ? no_memory() : EXIT_OK;
}

enum exit_code fleet_expect(struct fleet *fleet, const char *expect)
{
    char *end;
    const unsigned long count = strtoul(expect, &end, 10);

    if (*end != '\0' || expect[0] < '0' || expect[0] > '9') {
        return expect_hosts(fleet, expect);
    }
    fleet->expected = count;
    if (fleet->device_count < count) {
        add_missing(fleet, "", count - fleet->device_count);
    }
    return fleet->short_of_memory ? no_memory() : EXIT_OK;
}
