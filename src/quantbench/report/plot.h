/* SPDX-License-Identifier: Apache-2.0 */
/* plot.h - --plot: pictures, which gnuplot draws into files or the terminal. */
#ifndef PLOT_H
#define PLOT_H

#include "model/record.h"

/* What a picture is written as. */
struct plot_form;

/* Return the suffix of the form at INDEX; NULL: there are no more. */
const char *plot_suffix(size_t index);

/* Return the form of FILE, according to its suffix; NULL: it has none. */
const struct plot_form *plot_form_of_file(const char *file);

/* Before anything is measured, find out whether PLOTS could be drawn: gnuplot is there, and so are the folders. Returns
 * an exit code; errors have been printed. */
enum exit_code plot_check(const struct plots *plots);

/* Print those of PLOTS that are for the terminal, of RECORD, to standard output. Returns an exit code; errors have been
 * printed, but one of standard output is left in ferror(). */
enum exit_code plot_print(const struct plots *plots, const struct record *record);

/* Write the files of PLOTS, of RECORD. A file that cannot be written keeps what it had, and does not keep the others
 * from being written. Returns an exit code; errors have been printed. */
enum exit_code plot_write(const struct plots *plots, const struct record *record);

#endif
