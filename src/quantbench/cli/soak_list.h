/* SPDX-License-Identifier: Apache-2.0 */
/* soak_list.h - the cases of a soak that says nothing else. */
#ifndef SOAK_LIST_H
#define SOAK_LIST_H

#include "model/settings.h"

/* True if SETTINGS leave the cases of a soak to this list. */
bool soak_list_applies(const struct settings *settings);

/* Set LIST to it, as case_list_open() does. */
enum exit_code soak_list_make(const struct settings *settings, struct case_list *list);

#endif
