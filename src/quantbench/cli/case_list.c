/* SPDX-License-Identifier: Apache-2.0 */
/* case_list.c - --cases: a list in JSON lines, or in CSV with the names of options in its first line. Both come to
 * names with values, which are parsed as on the command line. */
#include <config.h>

#include "base/document.h"
#include "base/intake.h"
#include "base/label.h"
#include "cli/args.h"
#include "cli/case_list.h"
#include "cli/serve.h"
#include "cli/soak_list.h"
#include "model/record.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

/* Options of a line. */
#define FIELDS_MAX 64

/* Lines of a list: each is a case that is measured. */
#define LINES_MAX 100000

/* The line that is read. */
struct entry {
    const struct settings *settings;
    const char *label; /* of the file */
    size_t line;
    struct case_option options[FIELDS_MAX]; /* without the next two */
    size_t count;
    const char *name, *uses; /* NULL: none */
};

/* ---- A line ----------------------------------------------------------------------------------------------------- */

static enum exit_code refuse(const struct entry *entry, const char *why)
{
    message_error("%s: line %zu: %s", entry->label, entry->line, why);
    return EXIT_USAGE;
}

/* Add a field of the line. */
static enum exit_code add_field(struct entry *entry, const char *name, const char *value)
{
    if (strcmp(name, "count") == 0) {
        entry->uses = value;
    } else if (strcmp(name, "name") == 0) {
        entry->name = value;
    } else if (entry->count == FIELDS_MAX) {
        return refuse(entry, "too many options");
    } else {
        entry->options[entry->count++] = (struct case_option){name, value};
    }
    return EXIT_OK;
}

/* Add the case of ENTRY to LIST, in which there is room for it. */
static enum exit_code add_case(const struct entry *entry, struct case_list *list)
{
    struct listed_case *to = &list->values[list->count];
    uint64_t count = 0;
    char *end = NULL;
    enum exit_code code;

    if (entry->uses != NULL && entry->uses[0] >= '0' && entry->uses[0] <= '9') {
        count = strtoull(entry->uses, &end, 10);
    }
    if (end == NULL || *end != '\0' || count < 1 || count > RECORD_MAX_USES) {
        char text[128];

        snprintf(text, sizeof text, "expected count, how often it is launched: 1 to %" PRIu64, RECORD_MAX_USES);
        return refuse(entry, text);
    }
    *to = (struct listed_case){.count = count, .line = entry->line};
    list->count++;
    code = args_parse_case(entry->settings, entry->options, entry->count, &to->sweep);
    if (code == EXIT_USAGE) {
        return refuse(entry, "is not a case, as said above");
    }
    if (code == EXIT_OK && entry->name != NULL && entry->name[0] != '\0') {
        to->name = strdup(entry->name);
        code = to->name != NULL ? EXIT_OK : message_out_of_memory("the list of cases", strlen(entry->name));
    }
    return code;
}

/* ---- JSON ------------------------------------------------------------------------------------------------------- */

/* VALUE as the command line has it, in TEXT or its own; NULL if it is something else. */
static const char *value_text(const json_t *value, char text[64])
{
    if (json_is_integer(value)) {
        snprintf(text, 64, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    } else if (json_is_real(value)) {
        snprintf(text, 64, "%.17g", json_real_value(value));
    } else if (json_is_boolean(value)) {
        return json_is_true(value) ? "true" : "false";
    } else {
        return json_string_value(value);
    }
    return text;
}

/* Add the case of OBJECT. */
static enum exit_code add_object(struct entry *entry, const json_t *object, struct case_list *list)
{
    char texts[FIELDS_MAX][64];
    enum exit_code code = EXIT_OK;
    size_t used = 0;
    const json_t *value;
    const char *name;

    if (json_object_size(object) > FIELDS_MAX) {
        return refuse(entry, "too many options");
    }
    json_object_foreach((json_t *)(uintptr_t)object, name, value)
    {
        const char *text = value_text(value, texts[used++]);

        if (json_is_null(value)) {
            continue;
        }
        code = text != NULL ? add_field(entry, name, text)
                            : refuse(entry, "expected members that are texts, numbers, true or false");
        if (code != EXIT_OK) {
            return code;
        }
    }
    return add_case(entry, list);
}

/* Add the case of the LENGTH bytes of LINE. */
static enum exit_code add_json(struct entry *entry, const char *line, size_t length, struct case_list *list)
{
    json_error_t error;
    bool memory_short = false;
    json_t *document;
    enum exit_code code;

    if (strspn(line, " \t\r") == length) {
        return EXIT_OK;
    }
    document = document_parse(line, length, &error, &memory_short);
    code = memory_short                ? message_out_of_memory("the list of cases", length)
           : !json_is_object(document) ? refuse(entry, "expected a JSON object")
                                       : add_object(entry, document, list);
    json_decref(document);
    return code;
}

/* ---- CSV -------------------------------------------------------------------------------------------------------- */

/* Split LINE, which is changed, into FIELDS. Returns their number; SIZE_MAX if it is malformed or has too many. */
static size_t split(char *line, char *fields[FIELDS_MAX])
{
    size_t count = 0;

    for (char *from = line;; from++) {
        char *to = from;

        if (count == FIELDS_MAX) {
            return SIZE_MAX;
        }
        fields[count++] = to;
        if (*from == '"') {
            for (from++; *from != '\0' && (*from != '"' || from[1] == '"'); from++) {
                from += *from == '"';
                *to++ = *from;
            }
            if (*from++ == '\0') {
                return SIZE_MAX;
            }
        } else {
            from += strcspn(from, ",");
            to = from;
        }
        if (*from != ',' && *from != '\0') {
            return SIZE_MAX;
        }
        if (*from == '\0') {
            *to = '\0';
            return count;
        }
        *to = '\0';
    }
}

/* The names in the first line of CSV. */
struct columns {
    char *names[FIELDS_MAX];
    size_t count; /* 0: not read yet */
};

/* Add the case of LINE, or keep the names if it is the first. What is empty is as if it were not there. */
static enum exit_code add_csv(struct entry *entry, char *line, struct columns *columns, struct case_list *list)
{
    char *fields[FIELDS_MAX];
    enum exit_code code = EXIT_OK;
    size_t count;

    if (strspn(line, " \t") == strlen(line)) {
        return EXIT_OK;
    }
    count = split(line, columns->count == 0 ? columns->names : fields);
    if (count == SIZE_MAX) {
        return refuse(entry, "malformed CSV, or too many fields");
    }
    if (columns->count == 0) {
        columns->count = count;
        return EXIT_OK;
    }
    if (count != columns->count) {
        return refuse(entry, "expected as many fields as the first line has");
    }
    for (size_t i = 0; i < count && code == EXIT_OK; i++) {
        code = fields[i][0] != '\0' ? add_field(entry, columns->names[i], fields[i]) : EXIT_OK;
    }
    return code == EXIT_OK ? add_case(entry, list) : code;
}

/* ---- A file ----------------------------------------------------------------------------------------------------- */

static size_t count_lines(const char *text)
{
    size_t count = 1;

    for (; *text != '\0'; text++) {
        count += *text == '\n';
    }
    return count;
}

/* Add the cases of TEXT, which is changed. */
static enum exit_code add_lines(const struct settings *settings, const char *label, char *text, struct case_list *list)
{
    struct columns columns = {.count = 0};
    enum exit_code code = EXIT_OK;
    size_t number = 0;
    bool is_json;

    /* Spreadsheets put a mark before UTF-8. */
    text += strncmp(text, "\xEF\xBB\xBF", 3) == 0 ? 3 : 0;
    is_json = text[strspn(text, " \t\r\n")] == '{';
    while (text != NULL && code == EXIT_OK) {
        char *line = strsep(&text, "\n");
        size_t length = strlen(line);
        struct entry entry = {.settings = settings, .label = label, .line = ++number};

        if (length > 0 && line[length - 1] == '\r') {
            line[--length] = '\0';
        }
        code = is_json ? add_json(&entry, line, length, list) : add_csv(&entry, line, &columns, list);
    }
    if (code == EXIT_OK && list->count == 0) {
        message_error("%s: has no cases; expected lines of JSON, or CSV with the names of options", label);
        code = EXIT_USAGE;
    }
    return code;
}

/* Read the LENGTH bytes of TEXT. */
static enum exit_code read_text(const struct settings *settings, const char *label, const char *text, size_t length,
                                struct case_list *list)
{
    char *copy = strndup(text, length);
    const size_t lines = copy != NULL ? count_lines(copy) : 0;
    enum exit_code code;

    if (copy != NULL && strlen(copy) < length) {
        message_error("%s: has a NUL character; expected text", label);
        code = EXIT_USAGE;
    } else if (lines > LINES_MAX) {
        message_error("%s: has %zu lines; expected at most %d", label, lines, LINES_MAX);
        code = EXIT_USAGE;
    } else {
        list->values = calloc(lines + 1, sizeof *list->values);
        code = copy != NULL && list->values != NULL ? add_lines(settings, label, copy, list)
                                                    : message_out_of_memory("the list of cases", length);
    }
    free(copy);
    return code;
}

enum exit_code case_list_open(const struct settings *settings, struct case_list *list)
{
    const char *file = settings->sweep.cases_file, *why;
    char label[LABEL_TEXT_SIZE];
    size_t length = 0;
    char *text = NULL;
    enum exit_code code;

    *list = (struct case_list){.count = 0};
    if (settings->sweep.serve != NULL) {
        return serve_list(settings, list);
    }
    if (settings->action == ACTION_SOAK && soak_list_applies(settings)) {
        return soak_list_make(settings, list);
    }
    if (file == NULL) {
        return EXIT_OK;
    }
    label_text(label, file, strlen(file));
    why = intake_read(file, &text, &length);
    if (why != NULL) {
        message_error("%s: %s", label, why);
        return EXIT_CANNOT_RUN;
    }
    code = read_text(settings, label, text, length, list);
    free(text);
    return code;
}

void case_list_free(struct case_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        args_free_sweep(&list->values[i].sweep);
        free(list->values[i].name);
    }
    free(list->values);
    *list = (struct case_list){.count = 0};
}
