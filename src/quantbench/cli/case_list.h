/* SPDX-License-Identifier: Apache-2.0 */
/* case_list.h - lists of cases, and how often each is launched: a file of --cases, or what --serve comes to. */
#ifndef CASE_LIST_H
#define CASE_LIST_H

#include "model/settings.h"

/* Read or make the list of SETTINGS, if it has one. On failure the error, with the line, has been printed. Free LIST
 * either way. */
enum exit_code case_list_open(const struct settings *settings, struct case_list *list);
void case_list_free(struct case_list *list);

#endif
