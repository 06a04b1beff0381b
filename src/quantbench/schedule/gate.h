/* SPDX-License-Identifier: Apache-2.0 */
/* gate.h - when rounds begin: when a launcher says so (--round-gate), or from a moment on (--start-at). */
#ifndef GATE_H
#define GATE_H

#include "model/settings.h"

/* Find out if the descriptors of --round-gate can be used, and keep them from other processes. */
enum exit_code gate_check(const struct method *method);

/* Before the first round: wait for the moment of --start-at. */
void gate_begin(const struct method *method);

/* Before ROUND: write "ready ROUND" and wait for a byte. Returns false if the run is to end, since a signal came or the
 * launcher is gone. */
bool gate_enter(const struct method *method, uint64_t round);

/* After it: write "done ROUND SECONDS". */
void gate_leave(const struct method *method, uint64_t round);

#endif
