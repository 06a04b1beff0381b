/* SPDX-License-Identifier: Apache-2.0 */
/* option_values.h - the kinds of values that options take: for each a function that parses one as its row of the table
 * says. On failure the error has been printed. */
#ifndef OPTION_VALUES_H
#define OPTION_VALUES_H

#include "cli/options.h"

/* The kinds of one value (option_values.c). The comment says what the target is. */
bool option_flag(const struct option_row *row, const char *value, struct settings *settings); /* bool or enum: CHOICE */
bool option_word_of(const struct option_row *row, const char *value,
                    struct settings *settings); /* enum: the word's index */
bool option_whole(const struct option_row *row, const char *value, struct settings *settings); /* uint64_t */
bool option_real(const struct option_row *row, const char *value, struct settings *settings); /* double: over DIVISOR */
bool option_bound(const struct option_row *row, const char *value,
                  struct settings *settings); /* float: finite and > 0 */
bool option_not_negative(const struct option_row *row, const char *value,
                         struct settings *settings); /* float: finite and >= 0 */
bool option_finite(const struct option_row *row, const char *value, struct settings *settings); /* float: finite */
bool option_percent(const struct option_row *row, const char *value,
                    struct settings *settings); /* double: a ratio below 1 */
bool option_text(const struct option_row *row, const char *value, struct settings *settings); /* const char * */
bool option_file(const struct option_row *row, const char *value,
                 struct settings *settings); /* const char *: not empty */
bool option_name(const struct option_row *row, const char *value,
                 struct settings *settings); /* const char *: not empty */
bool option_best(const struct option_row *row, const char *value, struct settings *settings); /* reporting.best */
bool option_soak(const struct option_row *row, const char *value,
                 struct settings *settings); /* struct soak_length: seconds or rounds, by the unit */
bool option_report_format(const struct option_row *row, const char *value, struct settings *settings);
bool option_compare(const struct option_row *row, const char *value, struct settings *settings); /* enum compare_axis */

/* The kinds of several values (option_lists.c). Lists replace those of an earlier use. */
bool option_words_of(const struct option_row *row, const char *value, struct settings *settings); /* numbers: indices */
bool option_wholes(const struct option_row *row, const char *value, struct settings *settings);   /* numbers */
bool option_dimensions(const struct option_row *row, const char *value,
                       struct settings *settings); /* numbers; also ranges */
bool option_models(const struct option_row *row, const char *value,
                   struct settings *settings); /* numbers: row lengths */
bool option_outputs(const struct option_row *row, const char *value, struct settings *settings);
bool option_formats(const struct option_row *row, const char *value,
                    struct settings *settings); /* numbers: qb_format */
bool option_caches(const struct option_row *row, const char *value,
                   struct settings *settings); /* numbers: cache_state */
bool option_granularities(const struct option_row *row, const char *value, struct settings *settings);
bool option_names(const struct option_row *row, const char *value, struct settings *settings);   /* names */
bool option_kernels(const struct option_row *row, const char *value, struct settings *settings); /* names: patterns */
bool option_isas(const struct option_row *row, const char *value, struct settings *settings);    /* names of kernels */
bool option_another_name(const struct option_row *row, const char *value,
                         struct settings *settings);                                            /* names; adds one */
bool option_output(const struct option_row *row, const char *value, struct settings *settings); /* outputs; adds one */
bool option_plot(const struct option_row *row, const char *value,
                 struct settings *settings); /* plots; adds one: FILE, KIND:FILE, or KIND or NULL for the terminal */
bool option_methods(const struct option_row *row, const char *value,
                    struct settings *settings); /* calibration_methods */
bool option_output_as(const struct option_row *row, const char *value,
                      struct settings *settings); /* in the format FIXED */

/* The largest size of one dimension: products and strides of two stay far from overflow in the messages that name
 * them; what memory allows is checked when the problem is known. */
#define OPTION_MAX_DIMENSION ((uint64_t)INT64_MAX)

/* What both files need. The target of ROW: */
static inline void *option_target(const struct option_row *row, struct settings *settings)
{
    return (char *)settings + row->target;
}

/* Parse TEXT as decimal digits and nothing else, from MIN to MAX. SUBJECT is the option for the message. */
bool option_parse_whole(const char *subject, const char *text, uint64_t min, uint64_t max, uint64_t *number);

/* Find TEXT among the words of ROW. */
bool option_parse_word(const struct option_row *row, const char *text, size_t *index);

/* Print that TEXT is not among the words of ROW, which are listed, and which of them is close. Returns false. */
bool option_refuse(const struct option_row *row, const char *text);

/* Print that the value TEXT of the option SUBJECT is not what is expected, which FORMAT says. Returns false. */
__attribute__((format(printf, 3, 4))) bool option_invalid(const char *subject, const char *text, const char *format,
                                                          ...);
#define OPTION_FILE_EXPECTED "the name of a file"

/* Add a copy of TEXT, for the option SUBJECT, or empty a list. */
bool names_add(const char *subject, const char *text, struct names *names);
void names_free(struct names *names);

#endif
