/* SPDX-License-Identifier: Apache-2.0 */
/* doctor.h - whether this machine is in a state in which times mean something. */
#ifndef DOCTOR_H
#define DOCTOR_H

#include "cases/machine.h"

/* --doctor: what is known about the host and the devices of MACHINE, with a verdict on each, in
 * settings->reporting.format on standard output, and in the files of --output. Returns EXIT_INCONCLUSIVE if there is a
 * problem. */
enum exit_code doctor_report(const struct settings *settings, struct machine *machine);

/* Before a measurement: a warning for each problem of the devices of MACHINE. Returns how many there were. */
size_t doctor_warn(struct machine *machine);

#endif
