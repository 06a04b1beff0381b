/* SPDX-License-Identifier: Apache-2.0 */
/* options.h - the one table of options. A row says all that there is to know of an option: its name, its values and
 * their range, where the value goes, its default, what it excludes and requires, and its text in --help. */
#ifndef OPTIONS_H
#define OPTIONS_H

#include "cli/args.h"

#include <stddef.h>
#include <stdio.h>

/* What an option is about. */
enum option_about {
    OPTION_MEASURING, /* how one process measures: handed to other processes that measure the same */
    OPTION_RUNS,      /* what is made of the results of several processes, or kept for a later one */
    OPTION_REPORTS,   /* what becomes of results */
};

/* Options that cannot stand beside another, or one of which it requires. */
struct option_relation {
    const char *names; /* separated by spaces; "*": all that are not about reports. NULL: none */
    const char *why;   /* of options that are excluded: a clause for the message */
};
#define OPTION_EXCLUDES 3

struct option_row {
    const char *heading; /* the row is a heading of --help, and nothing else; NULL: an option */
    char letter;         /* of its short form; 0: it has none */
    const char *name;
    const char *value; /* NULL: it takes none. "..." at the end: a list separated by commas */
    bool is_optional;  /* the option may stand without the value, which is FIXED then */
    /* For --help, which breaks the lines. %w stands for the words, %a for other names of them, %d for the fallback. */
    const char *help;
    enum option_about about;

    /* Parse VALUE, which is FIXED if the option takes none, into SETTINGS, at the offset TARGET a member of SIZE bytes;
     * on failure the error has been printed. */
    bool (*parse)(const struct option_row *row, const char *value, struct settings *settings);
    size_t target, size;
    size_t chosen;     /* offset of a flag that the user has given the option; 0: there is none */
    const char *fixed; /* the value of an option that takes none, or the format of its file; NULL: there is none */
    int choice;        /* what an option that takes none stores */

    uint64_t min, max; /* of numbers; a real number is larger than MIN */
    double divisor;    /* of a real number: 100 makes a ratio of percent */

    /* The words that are values, NULL after the last; or a function that gives the one at INDEX, or NULL. */
    const char *const *words;
    const char *(*word)(size_t index);

    const char *fallback; /* the value if none is given, also for the same target by another option; NULL: none */
    struct option_relation excludes[OPTION_EXCLUDES];
    struct option_relation requires;
};

#define OPTIONS_MAX 128
extern const struct option_row options[];
extern const size_t options_count; /* at most OPTIONS_MAX */

/* Report that memory for the value of OPTION could not be had. From then on options_lack_memory() is true: what cannot
 * be parsed is not the user's mistake. */
void options_out_of_memory(const char *option);
bool options_lack_memory(void);

/* Return the row of the option NAME, or NULL. */
const struct option_row *option_find(const char *name);

/* Return the word at INDEX of the values of ROW, or NULL if there are no more. */
const char *option_word(const struct option_row *row, size_t index);

/* Set TEXT to the words of ROW, separated by commas, but the last one by LAST, such as " or ". Returns TEXT. */
#define OPTION_WORDS_SIZE 256
const char *option_words(const struct option_row *row, const char *last, char text[OPTION_WORDS_SIZE]);

/* True if OTHER is among the options of RELATION, which the row of ROW has. */
bool option_relates(const struct option_row *row, const struct option_relation *relation,
                    const struct option_row *other);

/* Print ROW as --help does, with lines of up to OPTION_HELP_WIDTH characters. */
#define OPTION_HELP_WIDTH 79
void option_print_help(const struct option_row *row, FILE *stream);

#endif
