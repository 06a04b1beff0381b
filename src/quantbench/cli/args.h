/* SPDX-License-Identifier: Apache-2.0 */
/* args.h - the command line -> struct settings. */
#ifndef ARGS_H
#define ARGS_H

#include "model/settings.h"

/* Parse the command line. On failure the error has been printed and EXIT_USAGE or EXIT_CANNOT_RUN is returned. Free
 * SETTINGS either way. */
enum exit_code args_parse(int argc, char **argv, struct settings *settings);
void args_free(struct settings *settings);

/* The text of --help on standard output. */
void args_print_help(void);

#endif
