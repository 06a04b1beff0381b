/* SPDX-License-Identifier: Apache-2.0 */
/* soak_action.h - --soak. */
#ifndef SOAK_ACTION_H
#define SOAK_ACTION_H

#include "model/settings.h"

/* Launch and compare until the end, and report. Returns an exit code; errors have been printed. */
enum exit_code soak_action(const struct settings *settings);

#endif
