/* SPDX-License-Identifier: Apache-2.0 */
/* picture.h - pictures of a record, as gnuplot scripts that need no other file. */
#ifndef PICTURE_H
#define PICTURE_H

#include "report/describe.h"

#include <stdio.h>

/* Return the kind that shows most of RECORD. */
enum picture_kind picture_choose(const struct record *record);

/* Return NULL if RECORD has a picture of KIND, or a text that says what it lacks. */
const char *picture_lack(const struct record *record, enum picture_kind kind);

/* Who shows a picture. */
enum picture_viewer {
    PICTURE_SCRIPT, /* whoever runs the script: it chooses no terminal */
    PICTURE_SVG,    /* gnuplot's terminals of these names */
    PICTURE_PNG,
    PICTURE_PDF,
    PICTURE_CHARACTERS, /* a terminal of characters */
};

/* Write the script of the picture of KIND, which RECORD has. COLUMNS is the width of characters. False if memory is
 * short. */
bool picture_write(const struct record *record, enum picture_kind kind, enum picture_viewer viewer, int columns,
                   FILE *stream);

/* Write the script of which WRITE writes the part from the title on, of WHAT. False if memory is short. */
struct picture;
bool picture_write_frame(void (*write)(struct picture *picture, const void *what), const void *what,
                         enum picture_viewer viewer, int columns, FILE *stream);

/* ---- For the writers of kinds ----------------------------------------------------------------------------------- */

struct picture {
    const struct record *record; /* NULL: it is of something else */
    FILE *stream;                /* the script from its title on */
    bool plain;                  /* characters: no intervals, and no areas */
    size_t rows;    /* that the picture must have room for, known before the title; 0: it has the usual size */
    size_t longest; /* label of a row, in characters: the picture is wider for it */
    bool memory_short;
};

/* Curves and rows that a picture has at most, to be told apart. */
#define PICTURE_MOST_CURVES 24
#define PICTURE_MOST_ROWS   60

/* Write TEXT, which others may have written, as a string of gnuplot in which nothing has a meaning. */
#define PICTURE_LABEL 60 /* characters */
void picture_quote(const char *text, FILE *stream);

/* Write the LABEL of the place INDEX + 1 on an axis, as a part of "set xtics (...)". */
void picture_tic(size_t index, const char *label, FILE *stream);

/* The same for the row INDEX + 1 of a picture, which has room for LABEL. */
void picture_row_tic(struct picture *picture, size_t index, const char *label);

/* "set NAME 'TEXT'", in a whole line. */
void picture_set_text(const struct picture *picture, const char *name, const char *text);

/* Set the title: HEAD, and below it DETAILS, in lines. SHOWN of COUNT things are in the picture. */
void picture_set_title(struct picture *picture, const char *head, const char *details, size_t shown, size_t count);

/* Set TEXT to the devices and all that the cases of RECORD have in common. Returns TEXT. */
const char *picture_common(const struct record *record, char text[DESCRIBE_SIZE]);

/* Set LABEL to the properties in which C differs from other cases, but for AXIS. Returns LABEL. */
const char *picture_label(const struct record *record, const struct record_case *c, enum property axis,
                          char label[DESCRIBE_SIZE]);

/* Return the size of PROBLEM on AXIS: tokens or hidden. */
uint64_t picture_size(const struct qb_problem *problem, enum property axis);

/* Order COUNT sizes, each once. Returns the number of those that are left. */
size_t picture_sort_sizes(uint64_t *sizes, size_t count);

/* Return the color of series INDEX, as gnuplot has them, and its shape. */
const char *picture_color(size_t index);
int picture_shape(size_t index);

/* Set LABEL to what PAIR compares, and the properties, but for AXIS, in which it differs from other pairs. Returns
 * LABEL. */
const char *picture_pair_label(const struct record *record, const struct record_pair *pair, enum property axis,
                               char label[DESCRIBE_SIZE]);

/* Set TEXT to what is compared, and what all cases have in common. Returns TEXT. */
#define PICTURE_COMPARISON_SIZE (2 * DESCRIBE_SIZE + 4)
const char *picture_comparison(const struct record *record, char text[PICTURE_COMPARISON_SIZE]);

/* True if the comparison of RECORD has results at several sizes. */
bool picture_has_heat(const struct record *record);

/* A value with its interval; NAN: there is none. */
struct picture_value {
    double value, low, high;
};

/* The share of the ceiling that C reaches, in percent, and its time in microseconds. */
struct picture_value picture_share_of(const struct record_case *c);
struct picture_value picture_time_of(const struct record_case *c);

/* The kinds. */
void picture_share(struct picture *picture);
void picture_time(struct picture *picture);
void picture_samples(struct picture *picture);
void picture_ratio(struct picture *picture);
void picture_heat(struct picture *picture);
void picture_model(struct picture *picture);
void picture_quality(struct picture *picture);

/* The cases of a record below one another, each with what SHOW finds; HEAD is the title and UNIT the axis. */
void picture_case_rows(struct picture *picture, const char *head, const char *unit, const char *range,
                       struct picture_value (*show)(const struct record_case *c));

#endif
