/* SPDX-License-Identifier: Apache-2.0 */
/* journal.h - what of a run is done, kept on the disk part by part, so that a run that ended before its time can go on.
 * A journal is lines of JSON: a head that says which run it is of, and a line for each part. */
#ifndef JOURNAL_H
#define JOURNAL_H

#include "cases/plan.h"

struct json_t;
struct tensors;

struct journal {
    const char *file; /* NULL: there is none, and nothing is kept */
    int descriptor;
    struct json_t *parts;    /* what was there when it was opened, by "CASE ROUND" */
    struct json_t *failures; /* the same of cases that gave a wrong result, by "CASE" */
    long long end;           /* bytes that the file has, as far as this run knows */
    bool lost;               /* somebody else has removed, replaced or changed the file */
};

/* Begin the journal that --journal names, or open that of --resume, which must be of the same run: of the same version,
 * options, input, devices and cases. A last line that was not written to its end is dropped. On failure the error, with
 * what differs, has been printed. Close JOURNAL either way. TENSORS are what --input chose. */
enum exit_code journal_open(const struct settings *settings, const struct machine *machine,
                            const struct tensors *tensors, const struct plan *plan, struct journal *journal);

/* What is kept of round ROUND of case INDEX; NULL if that is still to be done. It lives as long as the journal. */
const struct json_t *journal_find(const struct journal *journal, size_t index, size_t round);

/* How case INDEX failed in an earlier part of the run; NULL if it did not. It lives as long as the journal. */
const struct json_t *journal_find_failure(const struct journal *journal, size_t index);

/* Keep that case INDEX failed: a wrong result stays one, whatever comes out another time. FAILURE is released. */
enum exit_code journal_add_failure(struct journal *journal, size_t index, struct json_t *failure);

/* Keep PART, which is done. It is on the disk when the call returns. PART is released. */
enum exit_code journal_add(struct journal *journal, size_t index, size_t round, struct json_t *part);

void journal_close(struct journal *journal);

#endif
