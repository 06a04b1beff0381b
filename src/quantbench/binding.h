/* SPDX-License-Identifier: Apache-2.0 */
/* binding.h - on which CPUs this process, and the processes that it starts, run. */
#ifndef BINDING_H
#define BINDING_H

#include "args.h"

#include <spawn.h>

/* Have OpenMP hold each of its threads on a core, if this process measures on the CPU, the user has asked OpenMP for
 * nothing else, and no quota shares the CPUs with others. OpenMP looks at its environment only when it is loaded, so
 * the program starts itself anew. Returns if there is nothing to do. */
void binding_hold_threads(const struct args *args);

/* Start this very program with the arguments ARGV in a process that may use all CPUs that this one had before its first
 * thread was bound. Returns 0, or an errno. */
int binding_spawn(char *const *argv, const posix_spawn_file_actions_t *actions, pid_t *pid);

#endif
