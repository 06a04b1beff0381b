/* SPDX-License-Identifier: Apache-2.0 */
/* output.h - --output: reports to files, each of which appears whole or not at all. */
#ifndef OUTPUT_H
#define OUTPUT_H

#include "report/report.h"

/* Before anything is measured, find out whether the files of --output could be written, so that no result is lost to a
 * folder that is not there. Nothing is left behind. Returns an exit code; errors have been printed. */
enum exit_code output_check(const struct outputs *outputs);

/* Write RECORD to all of them. A file that cannot be written keeps what it had, and does not keep the others from being
 * written. Returns an exit code; errors have been printed. */
enum exit_code output_write(const struct outputs *outputs, const struct record *record);

/* The same of WHAT else there is to be written, as WRITE does it. */
typedef enum exit_code output_writer(const struct report_format *format, const void *what, FILE *stream);
enum exit_code output_write_with(const struct outputs *outputs, output_writer *write, const void *what);

/* The same for one file, which the user gave to OPTION. */
typedef enum exit_code output_file_writer(const void *what, FILE *stream);
enum exit_code output_check_file(const char *option, const char *file);
enum exit_code output_write_file(const char *option, const char *file, output_file_writer *write, const void *what);

#endif
