/* SPDX-License-Identifier: Apache-2.0 */
/* serve.h - --serve: the list of cases that serving a model takes. */
#ifndef SERVE_H
#define SERVE_H

#include "model/settings.h"

/* Make the list of --serve in SETTINGS, which have the option. On failure the error has been printed. Free LIST, as
 * that of case_list.h, either way. */
enum exit_code serve_list(const struct settings *settings, struct case_list *list);

#endif
