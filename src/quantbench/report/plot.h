/* SPDX-License-Identifier: Apache-2.0 */
/* plot.h - --plot: pictures, which gnuplot draws into files or the terminal. */
#ifndef PLOT_H
#define PLOT_H

#include "model/record.h"
#include "report/picture.h"

/* What a picture is written as. */
struct plot_form;

/* Return the suffix of the form at INDEX; NULL: there are no more. */
const char *plot_suffix(size_t index);

/* Return the form of FILE, according to its suffix; NULL: it has none. */
const struct plot_form *plot_form_of_file(const char *file);

/* Before anything is measured, find out whether PLOTS could be drawn: gnuplot is there, and so are the folders. Returns
 * an exit code; errors have been printed. */
enum exit_code plot_check(const struct plots *plots);

/* What pictures are drawn of: WHAT, of which the functions know what it is. */
struct plot_source {
    const void *what;
    const char *name; /* for messages: "record" */
    enum picture_kind (*choose)(const void *what);
    const char *(*lack)(const void *what, enum picture_kind kind); /* as picture_lack() */
    bool (*write)(const void *what, enum picture_kind kind, enum picture_viewer viewer, int columns, FILE *stream);
    enum exit_code (*write_text)(const void *what, FILE *stream);
};

/* Return RECORD as such a source. */
struct plot_source plot_source_of(const struct record *record);

/* Print those of PLOTS that are for the terminal to standard output. Returns an exit code; errors have been printed,
 * but one of standard output is left in ferror(). */
enum exit_code plot_print(const struct plots *plots, const struct plot_source *source);

/* Write the files of PLOTS. A file that cannot be written keeps what it had, and does not keep the others from being
 * written. Returns an exit code; errors have been printed. */
enum exit_code plot_write(const struct plots *plots, const struct plot_source *source);

#endif
