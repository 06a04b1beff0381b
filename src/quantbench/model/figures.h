/* SPDX-License-Identifier: Apache-2.0 */
/* figures.h - the one table of what is found about a case, and that of a round. A row says all that there is to know of
 * a figure: its name in each report, its kind, where it is kept, and when it is known. JSON in both directions, CSV,
 * the counters of Google Benchmark's format, and the digits that a record keeps come from it. */
#ifndef FIGURES_H
#define FIGURES_H

#include "model/finding.h"

#include <stdbool.h>
#include <stddef.h>

enum figure_kind {
    FIGURE_COUNT,    /* uint64_t */
    FIGURE_UNSIGNED, /* unsigned */
    FIGURE_REAL,     /* double, not negative */
    FIGURE_SIGNED,   /* double */
    FIGURE_INTERVAL, /* two doubles in a row, not negative: an array in JSON, two columns in CSV */
    FIGURE_WORD,     /* an enumeration, whose WORDS it has */
    FIGURE_FLAG,     /* bool */
    FIGURE_TRUTH,    /* enum truth */
    FIGURE_TEXT,     /* an array of SIZE characters; "": there is none */
};

/* The value that stands for a figure that is not known: null in JSON, and an empty field in CSV. */
enum figure_unknown {
    UNKNOWN_NEVER,
    UNKNOWN_ZERO,       /* 0 */
    UNKNOWN_MAX,        /* UINT64_MAX */
    UNKNOWN_NOT_FINITE, /* NaN; infinity, for which JSON and many readers lack a word, is told in the same way */
};

struct figure {
    const char *group;  /* the object of a result that has it; "": the result itself. NULL: not in JSON */
    const char *name;   /* of the member, or of the counter */
    const char *column; /* in CSV; NULL: not there. An INTERVAL has a %s in it, for "low" and "high" */
    bool is_counter;    /* in Google Benchmark's format */
    bool is_derived;    /* it follows from others, and is not read */
    enum figure_kind kind;
    enum figure_unknown unknown;
    size_t offset, size;
    const char *const *words;
    uint64_t min; /* of a number that is known */
};

/* Of struct finding, in the order of the reports; and of struct round. */
extern const struct figure figures_of_case[], figures_of_round[];
extern const size_t figures_of_case_count, figures_of_round_count;

/* The groups; NULL after the last. A group whose figures are not known is null in JSON. */
extern const char *const figures_groups[];
bool figures_has_group(const struct finding *finding, const char *group);

/* True if FIGURE is known to BASE, the struct that its table is of. */
bool figure_is_known(const struct figure *figure, const void *base);

/* Its value, of the kind that the name says. */
uint64_t figure_number(const struct figure *figure, const void *base); /* COUNT, UNSIGNED, WORD, FLAG, TRUTH */
double figure_real(const struct figure *figure, const void *base);     /* REAL, SIGNED */
const double *figure_interval(const struct figure *figure, const void *base);
const char *figure_text(const struct figure *figure, const void *base); /* TEXT, and the word of a WORD */

/* Give all real numbers of BASE, of which FIGURES are COUNT, the digits that a record keeps. */
void figures_keep_digits(const struct figure *figures, size_t count, void *base);

/* Room for a real number in 12 significant digits. */
#define FIGURE_REAL_SIZE 32
/* Put NUMBER into TEXT with these digits. Returns TEXT. */
const char *figure_real_text(double number, char text[FIGURE_REAL_SIZE]);
/* NUMBER with these digits. */
double figure_digits(double number);

/* FIGURE of BASE as a JSON value; NULL if memory is short. */
struct json_t;
struct json_t *figure_to_json(const struct figure *figure, const void *base);

/* Take FIGURE of BASE from VALUE. One that may be unknown may also be missing, which is a VALUE of NULL. Return false
 * with what is EXPECTED there otherwise. */
#define FIGURE_EXPECTED_SIZE 256
bool figure_from_json(const struct figure *figure, const struct json_t *value, void *base,
                      char expected[FIGURE_EXPECTED_SIZE]);

#endif
