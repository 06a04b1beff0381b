/* SPDX-License-Identifier: Apache-2.0 */
/* calibrate.h - what there is to know of a machine before anything on it is measured. */
#ifndef CALIBRATE_H
#define CALIBRATE_H

#include "cases/machine.h"

/* Find out what the timers of MACHINE's devices are like, and watch the CPUs that this process may use: what others do
 * elsewhere does not disturb it. A timer that cannot be calibrated has the tick that its device promises. */
void calibrate(struct machine *machine);

#endif
