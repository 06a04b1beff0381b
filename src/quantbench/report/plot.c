/* SPDX-License-Identifier: Apache-2.0 */
/* plot.c - pictures by gnuplot, which never sees the name of a file: it reads a script and writes into a pipe. What it
 * has written counts if it ended well, and if it begins and ends as such a file does. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* memmem() */
#endif
#include <config.h>

#include "base/memory_stream.h"
#include "base/program.h"
#include "report/fold.h"
#include "report/output.h"
#include "report/plot.h"
#include "report/report.h"

#include <stdlib.h>
#include <string.h>

/* Seconds that gnuplot may take, and bytes that it may write. */
#define MOST_SECONDS 60
#define MOST_BYTES   ((size_t)256 << 20)

struct plot_form {
    const char *suffix;
    bool is_page; /* text and pictures */
    bool is_script;
    enum picture_viewer viewer;
    const char *begins, *ends; /* every such file */
};

static const struct plot_form forms[] = {
    {".svg", false, false, PICTURE_SVG, "<?xml", "</svg>"},
    {".png", false, false, PICTURE_PNG, "\x89PNG\r\n", "IEND\xae\x42\x60\x82"},
    {".pdf", false, false, PICTURE_PDF, "%PDF-", "%%EOF"},
    {".html", true, false, PICTURE_SVG, "<?xml", "</svg>"},
    {".gp", false, true, PICTURE_SCRIPT, "", ""},
};
static const struct plot_form terminal = {"", false, false, PICTURE_CHARACTERS, "", ""};

const char *plot_suffix(size_t index)
{
    return index < sizeof forms / sizeof forms[0] ? forms[index].suffix : NULL;
}

const struct plot_form *plot_form_of_file(const char *file)
{
    const size_t length = strlen(file);

    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        const size_t suffix = strlen(forms[i].suffix);

        if (length > suffix && strcmp(file + length - suffix, forms[i].suffix) == 0) {
            return &forms[i];
        }
    }
    return NULL;
}

/* How messages call PLOT. */
static const char *label_of(const struct plot *plot)
{
    return plot->file != NULL ? plot->file : "terminal";
}

enum exit_code plot_check(const struct plots *plots)
{
    enum exit_code code = EXIT_OK;
    bool needs_gnuplot = false;

    for (size_t i = 0; i < plots->count && code == EXIT_OK; i++) {
        needs_gnuplot = needs_gnuplot || plots->values[i].form == NULL || !plots->values[i].form->is_script;
        if (plots->values[i].file != NULL) {
            code = output_check_file("plot", plots->values[i].file);
        }
    }
    if (code == EXIT_OK && needs_gnuplot && !program_exists("gnuplot")) {
        message_error("--plot: gnuplot is not installed; install the package gnuplot-nox, or write the script with "
                      "--plot=FILE.gp");
        code = EXIT_CANNOT_RUN;
    }
    return code;
}

/* ---- One picture ------------------------------------------------------------------------------------------------ */

/* True if the file in OUTPUT is whole; blanks may follow its end. */
static bool is_whole(const struct program_output *output, const struct plot_form *form)
{
    const size_t begin = strlen(form->begins), end = strlen(form->ends);
    size_t length = output->length;

    while (length > 0 && (output->bytes[length - 1] == '\n' || output->bytes[length - 1] == '\r')) {
        length--;
    }
    return length > 0 && length >= begin + end && memcmp(output->bytes, form->begins, begin) == 0 &&
           memcmp(output->bytes + length - end, form->ends, end) == 0;
}

/* Have gnuplot run SCRIPT, which makes a file of FORM. */
static enum exit_code run_gnuplot(const struct plot *plot, const struct plot_form *form,
                                  const struct memory_stream *script, struct program_output *output)
{
    const struct program gnuplot = {.name = "gnuplot",
                                    .option = "-d", /* no settings of the user */
                                    .text = script->bytes,
                                    .length = script->length,
                                    .hidden = "GNUTERM",
                                    .seconds = MOST_SECONDS,
                                    .most = MOST_BYTES};

    if (!program_run(&gnuplot, output)) {
        message_error("--plot: %s: gnuplot: %s%s%s", label_of(plot), output->problem,
                      output->message[0] != '\0' ? ": " : "", output->message);
        return EXIT_CANNOT_RUN;
    }
    if (!is_whole(output, form)) {
        message_error("--plot: %s: gnuplot: ended without a whole picture%s%s", label_of(plot),
                      output->message[0] != '\0' ? ": " : "", output->message);
        return EXIT_CANNOT_RUN;
    }
    return EXIT_OK;
}

/* Set OUTPUT to the picture of KIND, which SOURCE has, in FORM; free it either way. */
static enum exit_code draw(const struct plot *plot, const struct plot_form *form, enum picture_kind kind,
                           const struct plot_source *source, struct program_output *output)
{
    struct memory_stream script;
    enum exit_code code = EXIT_OK;
    const bool good = memory_stream_open(&script) &&
                      source->write(source->what, kind, form->viewer, fold_width(stdout), script.stream);

    *output = (struct program_output){.length = 0};
    if (!memory_stream_close(&script) || !good) {
        message_error("out of memory: the picture (--plot=%s)", label_of(plot));
        code = EXIT_CANNOT_RUN;
    } else if (form->is_script) {
        output->bytes = script.bytes;
        output->length = script.length;
        script.bytes = NULL;
    } else {
        code = run_gnuplot(plot, form, &script, output);
    }
    memory_stream_free(&script);
    return code;
}

/* ---- A page ----------------------------------------------------------------------------------------------------- */

/* Write LENGTH bytes of TEXT so that HTML shows them. */
static void write_escaped(const char *text, size_t length, FILE *stream)
{
    for (size_t i = 0; i < length; i++) {
        switch (text[i]) {
        case '&':
            fputs("&amp;", stream);
            break;
        case '<':
            fputs("&lt;", stream);
            break;
        case '>':
            fputs("&gt;", stream);
            break;
        default:
            putc(text[i], stream);
        }
    }
}

/* Write the text report of SOURCE. */
static enum exit_code write_text(const struct plot_source *source, FILE *stream)
{
    struct memory_stream text;
    enum exit_code code = EXIT_CANNOT_RUN;

    if (memory_stream_open(&text)) {
        code = source->write_text(source->what, text.stream);
    }
    if (memory_stream_close(&text) && code == EXIT_OK) {
        fputs("<pre>\n", stream);
        write_escaped(text.bytes, text.length, stream);
        fputs("</pre>\n", stream);
    } else {
        code = EXIT_CANNOT_RUN;
    }
    memory_stream_free(&text);
    return code;
}

/* Write the picture of KIND without the lines before the element. */
static enum exit_code write_picture(const struct plot *plot, enum picture_kind kind, const struct plot_source *source,
                                    FILE *stream)
{
    struct program_output svg;
    enum exit_code code = draw(plot, plot->form, kind, source, &svg);
    const char *element = code == EXIT_OK ? memmem(svg.bytes, svg.length, "<svg", strlen("<svg")) : NULL;

    if (element != NULL) {
        fputs("<figure>\n", stream);
        fwrite(element, 1, svg.length - (size_t)(element - svg.bytes), stream);
        fputs("</figure>\n", stream);
    }
    free(svg.bytes);
    return code;
}

/* Write a page of the pictures that PLOT asks for, or of all that SOURCE has, the best one first; and of its text. */
static enum exit_code write_page(const struct plot *plot, const struct plot_source *source, FILE *stream)
{
    const enum picture_kind best = source->choose(source->what);
    enum exit_code code = EXIT_OK;

    fputs("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>quantbench</title>\n"
          "<style>body { margin: 2em; color: #000; background: #fff; font-family: sans-serif }\n"
          "figure { margin: 0 0 1em } svg { max-width: 100%; height: auto } pre { overflow-x: auto }</style>\n"
          "</head>\n<body>\n<h1>quantbench</h1>\n",
          stream);
    if (plot->kind != PICTURE_KINDS) {
        code = write_picture(plot, plot->kind, source, stream);
    } else if (source->lack(source->what, best) == NULL) {
        code = write_picture(plot, best, source, stream);
        for (enum picture_kind kind = 0; kind < PICTURE_KINDS && code == EXIT_OK; kind++) {
            if (kind != best && source->lack(source->what, kind) == NULL) {
                code = write_picture(plot, kind, source, stream);
            }
        }
    }
    code = code == EXIT_OK ? write_text(source, stream) : code;
    fputs("</body>\n</html>\n", stream);
    return code;
}

/* Set OUTPUT to the page of PLOT; free it either way. */
static enum exit_code make_page(const struct plot *plot, const struct plot_source *source,
                                struct program_output *output)
{
    struct memory_stream page;
    enum exit_code code = EXIT_OK;

    *output = (struct program_output){.length = 0};
    if (memory_stream_open(&page)) {
        code = write_page(plot, source, page.stream);
    }
    if (!memory_stream_close(&page)) {
        message_error("out of memory: the page (--plot=%s)", label_of(plot));
        code = EXIT_CANNOT_RUN;
    }
    output->bytes = page.bytes;
    output->length = page.length;
    page.bytes = NULL;
    memory_stream_free(&page);
    return code;
}

/* ---- All of them ------------------------------------------------------------------------------------------------ */

static enum exit_code write_bytes(const void *what, FILE *stream)
{
    const struct program_output *output = what;

    fwrite(output->bytes, 1, output->length, stream);
    return EXIT_OK;
}

/* Print the lines of TEXT without the blanks at their ends, and an empty one after them. */
static void print_lines(const char *text, size_t length)
{
    bool is_first = true;

    /* gnuplot 5.4 asks for a new page in any case. */
    if (length > 0 && text[0] == '\f') {
        text++;
        length--;
    }
    while (length > 0) {
        const char *end = memchr(text, '\n', length);
        const size_t line = end != NULL ? (size_t)(end - text) : length;
        size_t kept = line;

        while (kept > 0 && text[kept - 1] == ' ') {
            kept--;
        }
        if (kept > 0 || !is_first) {
            printf("%.*s\n", (int)kept, text);
            is_first = false;
        }
        text += line + (end != NULL);
        length -= line + (end != NULL);
    }
}

static enum exit_code write_one(const struct plot *plot, const struct plot_source *source)
{
    const enum picture_kind kind = plot->kind != PICTURE_KINDS ? plot->kind : source->choose(source->what);
    const struct plot_form *form = plot->form != NULL ? plot->form : &terminal;
    const char *lack = form->is_page && plot->kind == PICTURE_KINDS ? NULL : source->lack(source->what, kind);
    struct program_output output;
    enum exit_code code;

    if (lack != NULL) {
        message_error("--plot: %s: the picture '%s' requires %s, which the %s lacks", label_of(plot),
                      picture_words[kind], lack, source->name);
        return EXIT_CANNOT_RUN;
    }
    code = form->is_page ? make_page(plot, source, &output) : draw(plot, form, kind, source, &output);
    if (code == EXIT_OK && plot->file == NULL) {
        print_lines(output.bytes, output.length);
    } else if (code == EXIT_OK) {
        code = output_write_file("plot", plot->file, write_bytes, &output);
    }
    free(output.bytes);
    return code;
}

enum exit_code plot_print(const struct plots *plots, const struct plot_source *source)
{
    enum exit_code code = EXIT_OK;

    for (size_t i = 0; i < plots->count; i++) {
        code = plots->values[i].file == NULL ? message_worse(code, write_one(&plots->values[i], source)) : code;
    }
    return code;
}

enum exit_code plot_write(const struct plots *plots, const struct plot_source *source)
{
    enum exit_code code = EXIT_OK;

    for (size_t i = 0; i < plots->count; i++) {
        code = plots->values[i].file != NULL ? message_worse(code, write_one(&plots->values[i], source)) : code;
    }
    return code;
}

/* ---- Of a record ------------------------------------------------------------------------------------------------ */

static enum picture_kind choose_of_record(const void *what)
{
    return picture_choose(what);
}

static const char *lack_of_record(const void *what, enum picture_kind kind)
{
    return picture_lack(what, kind);
}

static bool write_of_record(const void *what, enum picture_kind kind, enum picture_viewer viewer, int columns,
                            FILE *stream)
{
    return picture_write(what, kind, viewer, columns, stream);
}

static enum exit_code write_text_of_record(const void *what, FILE *stream)
{
    return report_write(report_format_find("text"), what, stream);
}

struct plot_source plot_source_of(const struct record *record)
{
    return (struct plot_source){record,         "record",        choose_of_record,
                                lack_of_record, write_of_record, write_text_of_record};
}
