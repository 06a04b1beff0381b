/* SPDX-License-Identifier: Apache-2.0 */
/* case_name.h - the name of a case for programs that keep it: parts that slashes separate. */
#ifndef CASE_NAME_H
#define CASE_NAME_H

#include "model/record.h"

/* Room for it: names of devices and kernels are short, but a file may say what it wants. */
#define CASE_NAME_SIZE 2304

/* Set NAME. It does not depend on what else was run, so that any two files can be compared. Returns NAME. */
const char *case_name(const struct record *record, const struct record_case *c, char name[CASE_NAME_SIZE]);

#endif
