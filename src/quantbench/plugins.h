/* SPDX-License-Identifier: Apache-2.0 */
/* plugins.h - the kernels of others, from --plugin and QUANTBENCH_PLUGIN_PATH. */
#ifndef PLUGINS_H
#define PLUGINS_H

#include "args.h"

/* Load the files of --plugin, and then what QUANTBENCH_PLUGIN_PATH names. One of the option's that cannot be loaded is
 * an error, which has been printed; the variable may have been set for another day, so there it is a warning. */
enum exit_code plugins_load(const struct args *args);

/* What a kernel promises to compute, in a few words; "the contract" for ours. Returns TEXT. */
#define PLUGINS_TEXT_SIZE 256
const char *plugins_describe(const struct qb_arithmetic *arithmetic, char text[PLUGINS_TEXT_SIZE]);

#endif
