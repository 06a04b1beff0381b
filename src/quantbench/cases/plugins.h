/* SPDX-License-Identifier: Apache-2.0 */
/* plugins.h - the kernels of others, from --plugin and QUANTBENCH_PLUGIN_PATH. */
#ifndef PLUGINS_H
#define PLUGINS_H

#include "cases/catalog.h"

/* Add the library's kernels to the list of all, those of --plugin's files, and then those of what
 * QUANTBENCH_PLUGIN_PATH names. One of the option's that cannot be loaded is an error, which has been printed; the
 * variable may have been set for another day, so there it is a warning. */
enum exit_code plugins_load(const struct foreign *foreign, const struct command *command);

/* Load FILE, which is one of them, into this process as shield_load() does. If it cannot be, that has been printed. */
bool plugins_load_here(const char *file, uint64_t seconds);

/* True if KERNEL, which another process describes, supports PROBLEM. False with WHY, which is "" otherwise, if it does
 * not answer. There are no more questions before long: what was started to answer them ends. */
#define PLUGINS_WHY_SIZE 512
bool plugins_supports(const struct kernel *kernel, const struct qb_problem *problem, char why[PLUGINS_WHY_SIZE]);
void plugins_end_questions(void);

/* What a kernel promises to compute, in a few words; "the contract" for ours. Returns TEXT. */
#define PLUGINS_TEXT_SIZE 256
const char *plugins_describe(const struct qb_arithmetic *arithmetic, char text[PLUGINS_TEXT_SIZE]);

#endif
