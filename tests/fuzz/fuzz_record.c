/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_record.c - the reader of --report and --baseline, and every writer for what it took. What is written as JSON can
 * be read, and then gives the same bytes each time; the first time, an input may have had more digits. */
#include <config.h>

#include "fuzz.h"
#include "model/record.h"
#include "report/picture.h"
#include "report/report.h"

#include <locale.h>
#include <string.h>

/* Bytes; no report of a record of some kilobytes is longer. */
#define REPORT_MAX ((size_t)100 << 20)

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    setlocale(LC_CTYPE, "C.UTF-8");
    return 0;
}

/* RECORD in FORMAT. The caller frees it. */
static char *write_report(const struct record *record, const struct report_format *format, size_t *size)
{
    char *text = NULL;
    FILE *stream = open_memstream(&text, size);
    enum exit_code code;

    fuzz_check(stream != NULL);
    code = format->write(record, stream);
    fuzz_check(fclose(stream) == 0 && *size <= REPORT_MAX);
    fuzz_check(code == EXIT_OK || strcmp(format->name, "json") != 0);
    for (size_t i = 0; i < *size; i++) {
        unsigned char c = (unsigned char)text[i];

        fuzz_check((c >= 32 || c == '\n') && c != 127); /* a terminal obeys the others */
    }
    return text;
}

/* Draw every picture that RECORD has, for gnuplot and for a terminal. */
static void draw_all(const struct record *record)
{
    for (enum picture_kind kind = 0; kind < PICTURE_KINDS; kind++) {
        for (int plain = 0; plain < 2 && picture_lack(record, kind) == NULL; plain++) {
            char *text = NULL;
            size_t size;
            FILE *stream = open_memstream(&text, &size);

            fuzz_check(stream != NULL);
            fuzz_check(picture_write(record, kind, plain ? PICTURE_CHARACTERS : PICTURE_SVG, 60, stream));
            fuzz_check(fclose(stream) == 0 && size <= REPORT_MAX);
            free(text);
        }
    }
}

/* RECORD as JSON, read again. The caller frees AGAIN. */
static void write_and_read(const struct record *record, struct record *again)
{
    size_t size;
    char *text = write_report(record, report_format_find("json"), &size);

    fuzz_check(record_from_json_text(text, size, "again", again) == EXIT_OK);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct record records[3];

    if (record_from_json_text((const char *)data, size, "fuzz", &records[0]) == EXIT_OK) {
        const struct report_format *json = report_format_find("json");
        size_t sizes[2];
        char *texts[2];

        for (size_t i = 0; i < report_format_count(); i++) {
            free(write_report(&records[0], report_format_at(i), &sizes[0]));
        }
        draw_all(&records[0]);
        for (int i = 0; i < 2; i++) {
            write_and_read(&records[i], &records[i + 1]);
            texts[i] = write_report(&records[i + 1], json, &sizes[i]);
        }
        fuzz_check(sizes[0] == sizes[1] && memcmp(texts[0], texts[1], sizes[0]) == 0);
        free(texts[0]);
        free(texts[1]);
        record_free(&records[1]);
        record_free(&records[2]);
    }
    record_free(&records[0]);
    return 0;
}
