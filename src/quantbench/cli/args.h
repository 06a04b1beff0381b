/* SPDX-License-Identifier: Apache-2.0 */
/* args.h - the command line -> struct settings. */
#ifndef ARGS_H
#define ARGS_H

#include "model/settings.h"

/* Parse the command line. On failure the error has been printed and EXIT_USAGE or EXIT_CANNOT_RUN is returned. Free
 * SETTINGS either way. */
enum exit_code args_parse(int argc, char **argv, struct settings *settings);
void args_free(struct settings *settings);

/* An option of a case, as a list of cases has it. */
struct case_option {
    const char *name;  /* with dashes or underscores between its words */
    const char *value; /* "true" or "false" of an option that takes none */
};

/* Parse COUNT OPTIONS, each of one value, into SWEEP. What they leave open is as the command line of SETTINGS says, and
 * may be a list there. On failure the error has been printed. Free SWEEP either way. */
enum exit_code args_parse_case(const struct settings *settings, const struct case_option *options, size_t count,
                               struct sweep *sweep);
void args_free_sweep(struct sweep *sweep);

/* True if the option NAME, of those that another process needs to measure the same, is in COMMAND. */
bool args_has(const struct command *command, const char *name);

/* The text of --help on standard output. */
void args_print_help(void);

#endif
