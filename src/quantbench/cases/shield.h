/* SPDX-License-Identifier: Apache-2.0 */
/* shield.h - what foreign code that has to be loaded into this process may change of it, and does not: standard output,
 * the current folder, the mask of new files, the handling of signals, the locale, the environment. */
#ifndef SHIELD_H
#define SHIELD_H

#include "model/settings.h"

/* Load FILE with qb_plugin_load(). What its constructors print goes to standard error. If they take longer than
 * SECONDS, which is not 0, the process ends with an error and EXIT_CANNOT_RUN; so it does when they, or a kernel, call
 * exit(). */
enum qb_status shield_load(const char *file, unsigned seconds);

/* Why shield_load() has returned STATUS; "" if it is QB_OK. */
const char *shield_why(enum qb_status status);

/* End the process with CODE, all output having been flushed: what foreign code has asked the C library to call at exit
 * is not called, as it could change the exit status, print, or never return. If there is no foreign code, return. */
void shield_exit(int code);

#endif
