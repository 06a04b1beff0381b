/* SPDX-License-Identifier: Apache-2.0 */
/* launch_state.h - the state that --process-state asks for. */
#ifndef LAUNCH_STATE_H
#define LAUNCH_STATE_H

#include "cases/machine.h"

/* Have this process be in STATE on the devices of MACHINE, before anything is measured. A failure is a warning: the
 * times tell the state all the same. */
void launch_state_enter(const struct machine *machine, enum process_state state);

#endif
