/* SPDX-License-Identifier: Apache-2.0 */
/* journal.c - see journal.h. */
#include <config.h>

#include "destination.h"
#include "journal.h"
#include "report.h"
#include "tensor_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define SCHEMA         "quantbench-journal"
#define SCHEMA_VERSION 1

static enum exit_code fail(const struct journal *journal, const char *what)
{
    message_error("%s: %s", journal->file, what);
    return EXIT_CANNOT_RUN;
}

static enum exit_code no_memory(const struct journal *journal)
{
    return fail(journal, "out of memory: the journal");
}

/* ---- The head ------------------------------------------------------------------------------------------------------
 */

/* Options that change what is run, each with its last value; those that say where results go do not. */
static json_t *options_to_json(const struct args *args)
{
    json_t *options = json_object();

    for (size_t i = 0; i < args->measuring.count; i++) {
        const char *option = args->measuring.values[i] + strlen("--");
        const char *value = strchrnul(option, '=');
        char name[64];

        snprintf(name, sizeof name, "%.*s", (int)(value - option), option);
        json_object_set_new(options, name, report_text_json(*value == '=' ? value + 1 : value));
    }
    return options;
}

static json_t *devices_to_json(const struct machine *machine)
{
    json_t *devices = json_array();

    for (size_t i = 0; i < machine->device_count; i++) {
        const struct qb_device_info *info = &machine->devices[i].info;

        json_array_append_new(devices, json_pack("{s:s, s:o, s:s, s:s, s:s, s:s}", "id", info->id, "name",
                                                 report_text_json(info->name), "uuid", info->uuid, "isa", info->isa,
                                                 "driver", info->driver, "runtime", info->runtime));
    }
    return devices;
}

static json_t *cases_to_json(const struct plan *plan)
{
    json_t *cases = json_array();

    for (size_t i = 0; i < plan->count; i++) {
        const struct plan_case *c = &plan->cases[i];
        char problem[160], text[512];

        plan_describe(&c->problem, problem, sizeof problem);
        snprintf(text, sizeof text, "%s, %s, %s, %s, %u threads", problem, input_dist_name(c->dist), c->device->info.id,
                 c->about->name, c->threads);
        json_array_append_new(cases, report_text_json(text));
    }
    return cases;
}

/* Which run it is: the same for the same run, whenever it is made. */
static json_t *make_head(const struct args *args, const struct machine *machine, const struct tensor_file *tensor,
                         const struct plan *plan)
{
    char input[32] = "none";

    if (tensor != NULL) {
        snprintf(input, sizeof input, "%016" PRIx64, tensor->digest);
    }
    return json_pack("{s:s, s:i, s:s, s:o, s:s, s:o, s:o}", "schema", SCHEMA, "schema_version", SCHEMA_VERSION,
                     "version", qb_version(), "options", options_to_json(args), "input", input, "devices",
                     devices_to_json(machine), "cases", cases_to_json(plan));
}

/* VALUE in a message; NULL is what is not there. */
static char *value_text(const json_t *value)
{
    return value == NULL ? strdup("not there") : json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
}

/* Say which of the members of THEIRS and MINE differs, below PLACE. */
static enum exit_code refuse(const struct journal *journal, const char *place, const json_t *theirs, const json_t *mine)
{
    char *there = value_text(theirs), *here = value_text(mine);

    message_error("%s: a journal of another run: %s is %.200s there and %.200s here; the same version, options, input "
                  "and devices are accepted",
                  journal->file, place, there != NULL ? there : "?", here != NULL ? here : "?");
    free(there);
    free(here);
    return EXIT_USAGE;
}

/* Find the first difference. */
static enum exit_code compare(const struct journal *journal, const char *place, json_t *theirs, json_t *mine)
{
    enum exit_code code = EXIT_OK;
    char below[256];

    if (json_equal(theirs, mine)) {
        return EXIT_OK;
    }
    if (json_is_object(theirs) && json_is_object(mine)) {
        /* Of members in one of the two only, too. */
        json_t *all = json_copy(mine);
        const char *key;
        json_t *value;

        json_object_update_missing(all, theirs);
        json_object_foreach(all, key, value)
        {
            snprintf(below, sizeof below, "%.100s%s%.100s", place, place[0] != '\0' ? "." : "", key);
            code = code != EXIT_OK ? code
                                   : compare(journal, below, json_object_get(theirs, key), json_object_get(mine, key));
        }
        json_decref(all);
        return code;
    }
    if (json_is_array(theirs) && json_is_array(mine) && json_array_size(theirs) == json_array_size(mine)) {
        for (size_t i = 0; i < json_array_size(mine) && code == EXIT_OK; i++) {
            snprintf(below, sizeof below, "%.200s[%zu]", place, i);
            code = compare(journal, below, json_array_get(theirs, i), json_array_get(mine, i));
        }
        return code;
    }
    return refuse(journal, place, theirs, mine);
}

/* ---- The lines -----------------------------------------------------------------------------------------------------
 */

static void part_key(size_t index, size_t round, char key[64])
{
    snprintf(key, 64, "%zu %zu", index, round);
}

/* Write DOCUMENT as a line, and bring it to the disk. Releases DOCUMENT. */
static enum exit_code write_line(struct journal *journal, json_t *document)
{
    char *text = document != NULL ? json_dumps(document, JSON_COMPACT | JSON_REAL_PRECISION(17)) : NULL;
    size_t length = text != NULL ? strlen(text) : 0, done = 0;
    off_t start = lseek(journal->descriptor, 0, SEEK_CUR);

    json_decref(document);
    if (text == NULL) {
        return no_memory(journal);
    }
    text[length++] = '\n'; /* in the place of the end */
    while (done < length) {
        ssize_t count = write(journal->descriptor, text + done, length - done);

        if (count < 0 && errno != EINTR) {
            break;
        }
        done += count > 0 ? (size_t)count : 0;
    }
    free(text);
    if (done < length || fdatasync(journal->descriptor) != 0) {
        enum exit_code code = fail(journal, strerror(errno));

        /* What comes next must not be glued to a part of a line. */
        if (start >= 0 && ftruncate(journal->descriptor, start) == 0) {
            lseek(journal->descriptor, start, SEEK_SET);
        }
        return code;
    }
    return EXIT_OK;
}

/* Take LINE, of LENGTH bytes: a part. False if it is none. */
static bool take_part(struct journal *journal, const char *line, size_t length)
{
    json_error_t error;
    json_t *document = json_loadb(line, length, JSON_REJECT_DUPLICATES, &error);
    json_t *index = json_object_get(document, "case"), *round = json_object_get(document, "round");
    json_t *part = json_object_get(document, "part");
    bool good = json_is_integer(index) && json_is_integer(round) && json_is_object(part);
    char key[64];

    if (good) {
        part_key((size_t)json_integer_value(index), (size_t)json_integer_value(round), key);
        /* Nothing counts twice. */
        good = json_object_get(journal->parts, key) != NULL || json_object_set(journal->parts, key, part) == 0;
    }
    json_decref(document);
    return good;
}

/* All that the file holds, with a zero behind it. NULL, with a message, if it cannot be read. */
static char *read_all(const struct journal *journal, size_t *size)
{
    struct stat info;
    char *text;
    ssize_t count = 1;

    *size = 0;
    if (fstat(journal->descriptor, &info) != 0 || !S_ISREG(info.st_mode)) {
        fail(journal, "is not a file");
        return NULL;
    }
    text = malloc((size_t)info.st_size + 1);
    if (text == NULL) {
        no_memory(journal);
        return NULL;
    }
    while (*size < (size_t)info.st_size && count > 0) {
        count = read(journal->descriptor, text + *size, (size_t)info.st_size - *size);
        *size += count > 0 ? (size_t)count : 0;
    }
    if (count < 0) {
        fail(journal, strerror(errno));
        free(text);
        return NULL;
    }
    text[*size] = '\0';
    return text;
}

/* Read the parts of TEXT, SIZE bytes that begin with a head. *KEPT is what is whole. */
static enum exit_code read_parts(struct journal *journal, const char *text, size_t size, size_t *kept)
{
    size_t number = 1;

    for (const char *line = text; (size_t)(line - text) < size; number++) {
        const char *end = memchr(line, '\n', size - (size_t)(line - text));
        bool last = end == NULL || (size_t)(end + 1 - text) == size;

        if (end == NULL || (number > 1 && !take_part(journal, line, (size_t)(end - line)))) {
            if (!last) {
                message_error("%s: line %zu: a part of a run, as quantbench --journal writes it, is expected",
                              journal->file, number);
                return EXIT_USAGE;
            }
            return EXIT_OK;
        }
        *kept = (size_t)(end + 1 - text);
        line = end + 1;
    }
    return EXIT_OK;
}

/* Make the journal's file, which holds TEXT of SIZE bytes, that of the run of HEAD, ready for more lines. */
static enum exit_code resume(struct journal *journal, const char *text, size_t size, json_t *head)
{
    const char *end = memchr(text, '\n', size);
    char *mine = json_dumps(head, JSON_COMPACT);
    json_error_t error;
    json_t *theirs;
    enum exit_code code;
    size_t kept = 0;

    if (mine == NULL) {
        return no_memory(journal);
    }
    if (end == NULL && size <= strlen(mine) && memcmp(text, mine, size) == 0) {
        /* Not even the head was written to its end. */
        free(mine);
        return ftruncate(journal->descriptor, 0) == 0 && lseek(journal->descriptor, 0, SEEK_SET) == 0
                   ? write_line(journal, json_incref(head))
                   : fail(journal, strerror(errno));
    }
    free(mine);
    theirs = json_loadb(text, end != NULL ? (size_t)(end - text) : size, JSON_REJECT_DUPLICATES, &error);
    if (end == NULL || theirs == NULL ||
        !json_equal(json_object_get(theirs, "schema"), json_object_get(head, "schema"))) {
        message_error("%s: a file that quantbench --journal has written is expected", journal->file);
        json_decref(theirs);
        return EXIT_USAGE;
    }
    code = compare(journal, "", theirs, head);
    json_decref(theirs);
    if (code == EXIT_OK) {
        code = read_parts(journal, text, size, &kept);
    }
    if (code == EXIT_OK && (ftruncate(journal->descriptor, (off_t)kept) != 0 ||
                            lseek(journal->descriptor, (off_t)kept, SEEK_SET) != (off_t)kept)) {
        return fail(journal, strerror(errno));
    }
    return code;
}

/* Open the journal's file, and create it unless it RESUMES a run. */
static enum exit_code open_file(struct journal *journal, bool resumes)
{
    struct destination destination;
    const char *problem = destination_find(journal->file, &destination);

    if (problem == NULL && destination_is_planted(&destination)) {
        problem = "it belongs to another user, in a folder that all may write to; use another folder";
    }
    if (problem == NULL) {
        journal->descriptor = destination_open(&destination, O_RDWR | (resumes ? 0 : O_CREAT));
        problem = journal->descriptor < 0 ? strerror(errno) : NULL;
    }
    destination_close(&destination);
    return problem == NULL ? EXIT_OK : fail(journal, problem);
}

enum exit_code journal_open(const struct args *args, const struct machine *machine, const struct tensor_file *tensor,
                            const struct plan *plan, struct journal *journal)
{
    const bool resumes = args->resume_file != NULL;
    json_t *head;
    char *text;
    size_t size;
    enum exit_code code;

    *journal = (struct journal){.file = resumes ? args->resume_file : args->journal_file, .descriptor = -1};
    if (journal->file == NULL) {
        return EXIT_OK;
    }
    code = open_file(journal, resumes);
    if (code != EXIT_OK) {
        return code;
    }
    if (flock(journal->descriptor, LOCK_EX | LOCK_NB) != 0) {
        return fail(journal, errno == EWOULDBLOCK ? "another run is writing it" : strerror(errno));
    }
    journal->parts = json_object();
    head = make_head(args, machine, tensor, plan);
    text = head != NULL && journal->parts != NULL ? read_all(journal, &size) : NULL;
    if (head == NULL || journal->parts == NULL) {
        code = no_memory(journal);
    } else if (text == NULL) {
        code = EXIT_CANNOT_RUN;
    } else if (!resumes && size > 0) {
        message_error("--journal: %s is there already; --resume=%s goes on with it, and a new file is accepted",
                      journal->file, journal->file);
        code = EXIT_USAGE;
    } else {
        code = resume(journal, text, size, head);
    }
    free(text);
    json_decref(head);
    return code;
}

const json_t *journal_find(const struct journal *journal, size_t index, size_t round)
{
    char key[64];

    part_key(index, round, key);
    return json_object_get(journal->parts, key);
}

enum exit_code journal_add(struct journal *journal, size_t index, size_t round, json_t *part)
{
    if (journal->file == NULL) {
        json_decref(part);
        return EXIT_OK;
    }
    return write_line(
        journal, json_pack("{s:I, s:I, s:o}", "case", (json_int_t)index, "round", (json_int_t)round, "part", part));
}

void journal_close(struct journal *journal)
{
    if (journal->descriptor >= 0) {
        close(journal->descriptor);
    }
    json_decref(journal->parts);
    *journal = (struct journal){.descriptor = -1};
}
