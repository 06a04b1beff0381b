/* SPDX-License-Identifier: Apache-2.0 */
/* list_tensors.h - --list-tensors: the tensors of --input that --tensor chooses, or all. */
#ifndef LIST_TENSORS_H
#define LIST_TENSORS_H

#include "model/settings.h"

/* Print them to standard output, as text, JSON, CSV or Markdown. Returns an exit code; errors have been printed. */
enum exit_code list_tensors(const struct settings *settings);

#endif
