/* SPDX-License-Identifier: Apache-2.0 */
/* used_files.h - the files that a run reads and writes, by their options: none is written over another. */
#ifndef USED_FILES_H
#define USED_FILES_H

#include "cases/tensors.h"
#include "model/settings.h"

/* Before anything is measured, refuse a file that SETTINGS would write and that they also name as another that is
 * written, or as one that is read. Folders and models stand for their files: used_files_check_tensors() knows these.
 * Returns an exit code; an error has been printed. */
enum exit_code used_files_check(const struct settings *settings);

/* The same for the files of TENSORS, which --input names; NULL: there are none. */
enum exit_code used_files_check_tensors(const struct settings *settings, const struct tensors *tensors);

#endif
