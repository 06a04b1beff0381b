/* SPDX-License-Identifier: Apache-2.0 */
/* list_tensors.c - name, shape, type, bytes and file of each tensor, in the order in which they are quantized. */
#include <config.h>

#include "base/document.h"
#include "base/saturate.h"
#include "cases/tensors.h"
#include "cli/list_tensors.h"
#include "report/report.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define SCHEMA         "quantbench-tensors"
#define SCHEMA_VERSION 1

static bool is_format(const struct settings *settings, const char *name)
{
    return strcmp(settings->reporting.format->name, name) == 0;
}

/* The name for people, "-" of a .npy file. */
static const char *name_text(const struct tensor *tensor, char text[LABEL_TEXT_SIZE])
{
    return tensor->name != NULL ? label_text(text, tensor->name, strlen(tensor->name)) : "-";
}

static const char *file_text(const struct tensor *tensor, char text[LABEL_TEXT_SIZE])
{
    return label_text(text, tensor->file, strlen(tensor->file));
}

static uint64_t total_bytes(const struct tensors *tensors)
{
    uint64_t bytes = 0;

    for (size_t i = 0; i < tensors->count; i++) {
        bytes = saturate_add(bytes, tensors->items[i].bytes);
    }
    return bytes;
}

static void print_text(const struct tensors *tensors)
{
    char name[LABEL_TEXT_SIZE], file[LABEL_TEXT_SIZE];
    int names = 4, shapes = 5;

    for (size_t i = 0; i < tensors->count; i++) {
        const int length = (int)strlen(name_text(&tensors->items[i], name)),
                  shape = (int)strlen(tensors->items[i].shape);

        names = length > names ? length : names;
        shapes = shape > shapes ? shape : shapes;
    }
    printf("%-*s  %-*s  %-8s %12s  %s\n", names, "name", shapes, "shape", "type", "bytes", "file");
    for (size_t i = 0; i < tensors->count; i++) {
        const struct tensor *tensor = &tensors->items[i];

        printf("%-*s  %-*s  %-8s %12" PRIu64 "  %s\n", names, name_text(tensor, name), shapes, tensor->shape,
               tensor->type, tensor->bytes, file_text(tensor, file));
    }
    printf("%zu tensor%s, %.1f MB\n", tensors->count, tensors->count == 1 ? "" : "s",
           (double)total_bytes(tensors) * 1e-6);
}

/* TEXT as a field of CSV, in which a spreadsheet finds no formula, or, with a backslash for each character that has a
 * meaning, as a cell of Markdown. */
static void print_field(const char *text, bool is_csv)
{
    if (is_csv) {
        fputs(text[0] != '\0' && strchr("=+-@\t\r\n'", text[0]) != NULL ? "\"'" : "\"", stdout);
    }
    for (; *text != '\0'; text++) {
        if (is_csv ? *text == '"' : strchr("\\`*_[]<>|&#~", *text) != NULL) {
            putchar(is_csv ? '"' : '\\');
        }
        putchar(*text);
    }
    if (is_csv) {
        putchar('"');
    }
}

static void print_rows(const struct tensors *tensors, bool is_csv)
{
    const char *const between = is_csv ? "," : " | ", *const edge = is_csv ? "" : "| ", *const end = is_csv ? "" : " |";
    char text[LABEL_TEXT_SIZE];

    printf(is_csv ? "name,shape,type,bytes,file\n"
                  : "| name | shape | type | bytes | file |\n|---|---|---|---:|---|\n");
    for (size_t i = 0; i < tensors->count; i++) {
        const struct tensor *tensor = &tensors->items[i];

        fputs(edge, stdout);
        print_field(tensor->name == NULL ? "" : is_csv ? tensor->name : name_text(tensor, text), is_csv);
        fputs(between, stdout);
        print_field(tensor->shape, is_csv);
        printf("%s%s%s%" PRIu64 "%s", between, tensor->type, between, tensor->bytes, between);
        print_field(is_csv ? tensor->file : file_text(tensor, text), is_csv);
        printf("%s\n", end);
    }
}

static enum exit_code print_json(const struct tensors *tensors)
{
    json_t *list = json_array();

    for (size_t i = 0; i < tensors->count; i++) {
        const struct tensor *tensor = &tensors->items[i];

        document_append(&list, json_pack("{s:o, s:s, s:s, s:I, s:I, s:I, s:o}", "name",
                                         tensor->name != NULL ? document_text(tensor->name) : json_null(), "shape",
                                         tensor->shape, "type", tensor->type, "rows", (json_int_t)tensor->rows,
                                         "columns", (json_int_t)tensor->cols, "bytes", (json_int_t)tensor->bytes,
                                         "file", document_text(tensor->file)));
    }
    return document_print(json_pack("{s:s, s:I, s:o, s:I}", "schema", SCHEMA, "schema_version",
                                    (json_int_t)SCHEMA_VERSION, "tensors", list, "bytes",
                                    (json_int_t)total_bytes(tensors)),
                          stdout);
}

enum exit_code list_tensors(const struct settings *settings)
{
    struct tensors tensors = {.count = 0};
    enum exit_code code = tensors_open(&settings->sweep, TENSORS_TO_LIST, UINT64_MAX, &tensors);

    if (code == EXIT_OK && is_format(settings, "json")) {
        code = print_json(&tensors);
    } else if (code == EXIT_OK && is_format(settings, "text")) {
        print_text(&tensors);
    } else if (code == EXIT_OK) {
        print_rows(&tensors, is_format(settings, "csv"));
    }
    tensors_close(&tensors);
    return code;
}
