/* SPDX-License-Identifier: Apache-2.0 */
/* spent.h - the words and numbers of what a list of cases takes. */
#ifndef SPENT_H
#define SPENT_H

#include "model/spending.h"
#include "report/describe.h"

/* The columns of the table of cases. */
enum spent_column { SPENT_LINE, SPENT_LAUNCHES, SPENT_EACH, SPENT_TOGETHER, SPENT_SHARE, SPENT_CASE, SPENT_COLUMNS };

const char *spent_head(enum spent_column column);
bool spent_is_number(enum spent_column column);

/* The cell of case INDEX of RECORD. Returns TEXT, as the next does. */
const char *spent_cell(const struct record *record, const struct spending *spending, size_t index,
                       enum spent_column column, char text[DESCRIBE_SIZE]);

/* A line about total INDEX: its launches and its time, by token if that is known, the shares of names, and how it
 * compares with the first. */
const char *spent_total(const struct record *record, const struct spending *spending, size_t index,
                        char text[DESCRIBE_SIZE]);

/* All of it as JSON, and null if RECORD is not of a list; NULL if memory is short. */
struct json_t;
struct json_t *spent_to_json(const struct record *record);

#endif
