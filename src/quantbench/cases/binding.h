/* SPDX-License-Identifier: Apache-2.0 */
/* binding.h - on which CPUs the threads of this process, and the processes that it starts, run. */
#ifndef BINDING_H
#define BINDING_H

#include "cases/machine.h"

#include <spawn.h>

/* Decide whether the CPU's threads are bound while MACHINE measures: as --bind says. Without it they are if all devices
 * are the CPU, OpenMP's environment does not speak of it, and no quota shares the CPUs with others. */
void binding_begin(const struct place *place, struct machine *machine);

/* Bind them, if so, before memory is touched that is measured, and let them go after it: threads that are started
 * meanwhile begin with the one CPU of this one. */
void binding_hold(const struct machine *machine);
void binding_release(const struct machine *machine);

/* Start this very program with the arguments ARGV in a process that may use all CPUs that this one had before its first
 * thread was bound. Returns 0, or an errno. */
int binding_spawn(char *const *argv, const posix_spawn_file_actions_t *actions, pid_t *pid);

#endif
