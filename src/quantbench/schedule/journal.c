/* SPDX-License-Identifier: Apache-2.0 */
/* journal.c - see journal.h. */
#include <config.h>

#include "base/document.h"
#include "base/destination.h"
#include "schedule/journal.h"
#include "cases/tensors.h"
#include "model/problem_text.h"

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
#define SCHEMA_VERSION 2

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
static json_t *options_to_json(const struct command *command)
{
    json_t *options = json_object();

    for (size_t i = 0; i < command->measuring.count; i++) {
        const char *option = command->measuring.values[i] + strlen("--");
        const char *value = strchrnul(option, '=');
        char name[64];

        snprintf(name, sizeof name, "%.*s", (int)(value - option), option);
        document_put(&options, name, document_text(*value == '=' ? value + 1 : value));
    }
    return options;
}

static json_t *devices_to_json(const struct machine *machine)
{
    json_t *devices = json_array();

    for (size_t i = 0; i < machine->device_count; i++) {
        const struct qb_device_info *info = &machine->devices[i].info;

        document_append(&devices, json_pack("{s:s, s:o, s:s, s:s, s:s, s:s}", "id", info->id, "name",
                                            document_text(info->name), "uuid", info->uuid, "isa", info->isa, "driver",
                                            info->driver, "runtime", info->runtime));
    }
    return devices;
}

static json_t *cases_to_json(const struct plan *plan)
{
    json_t *cases = json_array();

    for (size_t i = 0; i < plan->count; i++) {
        const struct plan_case *c = &plan->cases[i];
        char problem[PROBLEM_TEXT_SIZE], text[PROBLEM_TEXT_SIZE + 256];

        problem_text(&c->problem, problem, sizeof problem);
        snprintf(text, sizeof text, "%s, %s, %s, %s, %u threads", problem, dist_words[c->dist], c->device->info.id,
                 c->about->name, c->threads);
        document_append(&cases, document_text(text));
    }
    return cases;
}

/* Which run it is: the same for the same run, whenever it is made. */
static json_t *make_head(const struct command *command, const struct machine *machine, const struct tensors *tensors,
                         const struct plan *plan)
{
    char input[32] = "none";

    if (tensors != NULL) {
        snprintf(input, sizeof input, "%016" PRIx64, tensors_digest(tensors));
    }
    return json_pack("{s:s, s:i, s:s, s:o, s:s, s:o, s:o}", "schema", SCHEMA, "schema_version", SCHEMA_VERSION,
                     "version", qb_version(), "options", options_to_json(command), "input", input, "devices",
                     devices_to_json(machine), "cases", cases_to_json(plan));
}

/* VALUE in a message; NULL is what is not there. */
static char *value_text(const json_t *value)
{
    return value == NULL ? strdup("missing") : json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
}

/* Say which of the members of THEIRS and MINE differs, below PLACE. */
static enum exit_code refuse(const struct journal *journal, const char *place, const json_t *theirs, const json_t *mine)
{
    char *there = value_text(theirs), *here = value_text(mine);

    message_error("%s: a journal of another run: %s is %.200s there and %.200s here; expected the same version, "
                  "options, input and devices",
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

        if (all == NULL || json_object_update_missing(all, theirs) != 0) {
            json_decref(all);
            return no_memory(journal);
        }
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

/* False, with a message the first time, if the file is no longer the one that was opened, or not as it was left:
 * nothing that is written would be found by --resume. */
static bool is_still_there(struct journal *journal)
{
    struct stat mine, named;
    const bool same = fstat(journal->descriptor, &mine) == 0 && stat(journal->file, &named) == 0 &&
                      mine.st_dev == named.st_dev && mine.st_ino == named.st_ino;

    if (!journal->lost && (!same || mine.st_size != (off_t)journal->end)) {
        journal->lost = true;
        message_error("%s: %s while it was being written; what is measured from now on is not kept", journal->file,
                      same ? "the journal was changed" : "the journal was removed or replaced");
    }
    return !journal->lost;
}

static void part_key(size_t index, size_t round, char key[64])
{
    snprintf(key, 64, "%zu %zu", index, round);
}

/* Write DOCUMENT as a line, and bring it to the disk. Releases DOCUMENT. */
static enum exit_code write_line(struct journal *journal, json_t *document)
{
    char *text = document_dump(document, JSON_COMPACT | JSON_REAL_PRECISION(17));
    size_t length = text != NULL ? strlen(text) : 0, done = 0;
    const off_t start = (off_t)journal->end;

    if (text == NULL) {
        return no_memory(journal);
    }
    if (!is_still_there(journal)) {
        free(text);
        return EXIT_CANNOT_RUN;
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
        if (ftruncate(journal->descriptor, start) == 0) {
            lseek(journal->descriptor, start, SEEK_SET);
        }
        return code;
    }
    journal->end += (long long)length;
    return EXIT_OK;
}

/* Keep VALUE under KEY, the first time. */
static bool keep_first(json_t *object, const char *key, json_t *value, bool *memory_short)
{
    /* Nothing counts twice. */
    *memory_short = json_object_get(object, key) == NULL && json_object_set(object, key, value) != 0;
    return !*memory_short;
}

/* Take LINE, of LENGTH bytes: a part, or a failure. False if it is none, or if *MEMORY_SHORT. */
static bool take_part(struct journal *journal, const char *line, size_t length, bool *memory_short)
{
    json_error_t error;
    json_t *document = document_parse(line, length, &error, memory_short);
    json_t *index = json_object_get(document, "case"), *round = json_object_get(document, "round");
    json_t *part = json_object_get(document, "part"), *failed = json_object_get(document, "failed");
    bool good = json_is_integer(index);
    char key[64];

    if (good && json_is_object(failed)) {
        snprintf(key, sizeof key, "%zu", (size_t)json_integer_value(index));
        good = keep_first(journal->failures, key, failed, memory_short);
    } else if (good && json_is_integer(round) && json_is_object(part)) {
        part_key((size_t)json_integer_value(index), (size_t)json_integer_value(round), key);
        good = keep_first(journal->parts, key, part, memory_short);
    } else {
        good = false;
    }
    json_decref(document);
    return good;
}

/* All that the file holds, with a zero after it. NULL, with a message, if it cannot be read. */
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
        bool last = end == NULL || (size_t)(end + 1 - text) == size, memory_short = false;

        if (end == NULL || (number > 1 && !take_part(journal, line, (size_t)(end - line), &memory_short))) {
            if (memory_short) {
                return no_memory(journal);
            }
            if (!last) {
                message_error("%s: line %zu: expected a part of a run, as quantbench --journal writes it",
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
    bool memory_short;
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
    theirs = document_parse(text, end != NULL ? (size_t)(end - text) : size, &error, &memory_short);
    if (memory_short) {
        return no_memory(journal);
    }
    if (end == NULL || theirs == NULL ||
        !json_equal(json_object_get(theirs, "schema"), json_object_get(head, "schema"))) {
        message_error("%s: expected a file that quantbench --journal has written", journal->file);
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
    journal->end = (long long)kept;
    return code;
}

/* Open the journal's file, and create it unless it RESUMES a run. */
static enum exit_code open_file(struct journal *journal, bool resumes)
{
    struct destination destination;
    const char *problem = destination_find(journal->file, &destination);

    if (problem == NULL && destination_is_planted(&destination)) {
        problem = "belongs to another user, in a folder that all may write to; use another folder";
    }
    if (problem == NULL) {
        journal->descriptor = destination_open(&destination, O_RDWR | O_NONBLOCK | (resumes ? 0 : O_CREAT));
        problem = journal->descriptor < 0 ? strerror(errno) : NULL;
    }
    destination_close(&destination);
    return problem == NULL ? EXIT_OK : fail(journal, problem);
}

enum exit_code journal_open(const struct settings *settings, const struct machine *machine,
                            const struct tensors *tensors, const struct plan *plan, struct journal *journal)
{
    const bool resumes = settings->reporting.resume_file != NULL;
    json_t *head;
    char *text;
    size_t size;
    enum exit_code code;

    *journal = (struct journal){.file = resumes ? settings->reporting.resume_file : settings->reporting.journal_file,
                                .descriptor = -1};
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
    journal->failures = json_object();
    head = make_head(&settings->command, machine, tensors, plan);
    text = head != NULL && journal->parts != NULL && journal->failures != NULL ? read_all(journal, &size) : NULL;
    if (head == NULL || journal->parts == NULL || journal->failures == NULL) {
        code = no_memory(journal);
    } else if (text == NULL) {
        code = EXIT_CANNOT_RUN;
    } else if (!resumes && size > 0) {
        message_error("--journal: %s exists already; expected a new file, or --resume=%s to continue", journal->file,
                      journal->file);
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

const json_t *journal_find_failure(const struct journal *journal, size_t index)
{
    char key[64];

    snprintf(key, sizeof key, "%zu", index);
    return json_object_get(journal->failures, key);
}

enum exit_code journal_add_failure(struct journal *journal, size_t index, json_t *failure)
{
    if (journal->file == NULL) {
        json_decref(failure);
        return EXIT_OK;
    }
    return write_line(journal, json_pack("{s:I, s:o}", "case", (json_int_t)index, "failed", failure));
}

void journal_close(struct journal *journal)
{
    if (journal->descriptor >= 0) {
        close(journal->descriptor);
    }
    json_decref(journal->parts);
    json_decref(journal->failures);
    *journal = (struct journal){.descriptor = -1};
}
