/* SPDX-License-Identifier: Apache-2.0 */
/* describe.h - a record in the words and figures that people read, whatever is put around them. */
#ifndef DESCRIBE_H
#define DESCRIBE_H

#include "model/property.h"

/* Room for any of the texts. */
#define DESCRIBE_SIZE PROPERTY_TEXT_SIZE

/* What is known of a case before it runs, and what comes out of it: the columns of a table. */
enum column {
    SOURCE = PROPERTY_SOURCE,
    DEVICE = PROPERTY_DEVICE,
    TENSOR = PROPERTY_TENSOR,
    TOKENS = PROPERTY_TOKENS,
    HIDDEN = PROPERTY_HIDDEN,
    DTYPE = PROPERTY_DTYPE,
    DIST = PROPERTY_DIST,
    OPERATION = PROPERTY_OPERATION,
    QUANT_DTYPE = PROPERTY_QUANT_DTYPE,
    GRANULARITY = PROPERTY_GRANULARITY,
    SCALE = PROPERTY_SCALE,
    SCALE_FORMAT = PROPERTY_SCALE_FORMAT,
    SCALE_ROUNDING = PROPERTY_SCALE_ROUNDING,
    SCALE_LAYOUT = PROPERTY_SCALE_LAYOUT,
    TENSOR_SCALE = PROPERTY_TENSOR_SCALE,
    ZERO_POINTS = PROPERTY_ZERO_POINTS,
    PACKING = PROPERTY_PACKING,
    INTERMEDIATE = PROPERTY_INTERMEDIATE,
    VALUES = PROPERTY_VALUES,
    GELU = PROPERTY_GELU,
    GATE = PROPERTY_GATE,
    GATE_LIMIT = PROPERTY_GATE_LIMIT,
    ALPHA = PROPERTY_ALPHA,
    UP_OFFSET = PROPERTY_UP_OFFSET,
    WEIGHTS = PROPERTY_WEIGHTS,
    EPSILON = PROPERTY_EPSILON,
    PAIRING = PROPERTY_PAIRING,
    HEAD_SIZE = PROPERTY_HEAD_SIZE,
    ROTARY = PROPERTY_ROTARY,
    POSITIONS = PROPERTY_POSITIONS,
    PAGE_SIZE = PROPERTY_PAGE_SIZE,
    PAGES = PROPERTY_PAGES,
    PAGE_LAYOUT = PROPERTY_PAGE_LAYOUT,
    EXPERTS = PROPERTY_EXPERTS,
    EXPERT_ROWS = PROPERTY_EXPERT_ROWS,
    EXPERT_TOKENS = PROPERTY_EXPERT_TOKENS,
    THREADS = PROPERTY_THREADS,
    KERNEL = PROPERTY_KERNEL,
    CACHE = PROPERTY_CACHE,
    LAUNCH = PROPERTY_LAUNCH,
    STREAMS = PROPERTY_STREAMS,
    MEDIAN = PROPERTIES,
    PRECISION,
    HOST,
    RATE,
    OF_CEILING,
    SNR,
    SATURATED,
    FLUSHED,
    BYTES,
    CODES,
    COLUMNS
};
/* The first column that is a result. */
#define FIRST_RESULT MEDIAN

/* The head, with its unit. */
const char *describe_head(enum column column);
/* True if its cells are numbers, to be put below one another from the right. */
bool describe_is_number(enum column column);
/* True if the cases of RECORD differ in COLUMN, which comes before the first result. */
bool describe_varies(const struct record *record, enum column column);
/* True if a table of RECORD has the result COLUMN: times of those that were timed, quality of those that were rated. */
bool describe_shows(const struct record *record, enum column column);
/* The width of the widest cell of COLUMN, its head among them. */
size_t describe_width(const struct record *record, enum column column);
/* The cell of a case. Returns TEXT, as the following do. */
const char *describe_cell(const struct record_case *c, enum column column, char text[DESCRIBE_SIZE]);

/* What comes out of a comparison: the columns of its table. */
enum pair_column { PAIR_BASELINE, PAIR_NAME, PAIR_RATIO, PAIR_INTERVAL, PAIR_VERDICT, PAIR_COLUMNS };

const char *describe_pair_head(const struct record_comparison *comparison, enum pair_column column);
bool describe_pair_is_number(enum pair_column column);
/* True if COLUMN, or a column of the cases, is a part of the table. */
bool describe_pair_shows(const struct record_comparison *comparison, enum pair_column column);
bool describe_pair_shows_case(const struct record *record, enum column column);
const char *describe_pair(const struct record_pair *pair, enum pair_column column, char text[DESCRIBE_SIZE]);
const char *describe_mean(const struct record_mean *mean, char text[DESCRIBE_SIZE]);
/* What is compared with what, and how. */
const char *describe_comparison(const struct record *record, char text[DESCRIBE_SIZE]);
/* On one line, what a case is, with its data: a name under which others keep it; and what came out of it: why there is
 * no time, how it compares, or the time. */
const char *describe_test(const struct record *record, const struct record_case *c, char text[DESCRIBE_SIZE]);
const char *describe_outcome(const struct record *record, const struct record_case *c, char text[DESCRIBE_SIZE]);

/* What makes result C of RECORD doubtful: one DOUBT of its record_doubts(). */
const char *describe_doubt(const struct record *record, const struct record_case *c, enum doubt doubt,
                           char text[DESCRIBE_SIZE]);
/* The words of all its doubts, with SEPARATOR between them; "" if there is none. */
const char *describe_doubts(const struct record_case *c, const char *separator, char text[DESCRIBE_SIZE]);
/* The best of the kernels that are compared with the baseline of the pair with index FIRST, or that it is undecided. */
const char *describe_best(const struct record *record, size_t first, char text[DESCRIBE_SIZE]);
/* Why a run failed in a way that is not a case's. */
const char *describe_run(const struct record *record, char text[DESCRIBE_SIZE]);

/* The way in which C is quantized: "fp8, token". */
const char *describe_way(const struct record_case *c, char text[DESCRIBE_SIZE]);

const char *describe_device(const struct qb_device_info *info, char text[DESCRIBE_SIZE]);
/* The device of all cases of RECORD, in which they do not differ; of several hosts, that of each. */
const char *describe_devices(const struct record *record, char text[DESCRIBE_SIZE]);
/* The bytes of a name that a table has room for. */
#define DESCRIBE_NAME_WIDTH 48
/* Cut the middle of TEXT, a name or a path, if it takes more than WIDTH bytes, 20 or more: names often begin alike.
 * Returns TEXT. */
char *describe_cut(char *text, size_t width);

/* Where the data of all cases are from, with the whole name of the file. */
const char *describe_input(const struct record *record, char text[DESCRIBE_SIZE]);
/* What all cases have in common; the device and where the data are from are left out. */
const char *describe_common(const struct record *record, char text[DESCRIBE_SIZE]);

#endif
