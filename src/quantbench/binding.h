/* SPDX-License-Identifier: Apache-2.0 */
/* binding.h - on which CPUs the threads of this process, and the processes that it starts, run. */
#ifndef BINDING_H
#define BINDING_H

#include "machine.h"

#include <spawn.h>

/* Bind the CPU's threads as --bind says. Without it they are bound if all of MACHINE's devices are the CPU, OpenMP's
 * environment does not speak of it, and no quota shares the CPUs with others. */
void binding_begin(const struct args *args, struct machine *machine);

/* Start this very program with the arguments ARGV in a process that may use all CPUs that this one had before its first
 * thread was bound. Returns 0, or an errno. */
int binding_spawn(char *const *argv, const posix_spawn_file_actions_t *actions, pid_t *pid);

#endif
