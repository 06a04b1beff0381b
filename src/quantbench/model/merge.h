/* SPDX-License-Identifier: Apache-2.0 */
/* merge.h - several records as one. */
#ifndef MERGE_H
#define MERGE_H

#include "model/record.h"

/* Make MERGED of COUNT RECORDS, 2 or more, which were read from FILES; what it takes of them they lack then. Each case
 * knows its run, a source of MERGED, whose label is the host, with the file where several runs are of one host. What is
 * said of a run is said of the first. Records that no single report could be true of are an error, and differences that
 * it does not show are warned of; both have been printed. Free all records and MERGED either way. */
enum exit_code merge_records(struct record *records, char *const *files, size_t count, struct record *merged);

#endif
