/* SPDX-License-Identifier: Apache-2.0 */
/* fleet_action.h - --fleet: the records of many devices to one report. */
#ifndef FLEET_ACTION_H
#define FLEET_ACTION_H

#include "model/settings.h"

/* Read the records, judge the devices and report. Returns the exit status of what was found. */
enum exit_code fleet_action(const struct settings *settings);

#endif
