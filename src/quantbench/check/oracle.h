/* SPDX-License-Identifier: Apache-2.0 */
/* oracle.h - what every verdict stands on: the floating-point environment, the reference and the quality figures. */
#ifndef ORACLE_H
#define ORACLE_H

#include "base/message.h"

/* Set this thread's floating-point environment to the default. What was linked with -ffast-math, or is preloaded, may
 * have changed it before main() began. */
void oracle_set_environment(void);

/* Set it in each of THREADS threads of OpenMP's, which keep what code of others has done to them. Returns what one of
 * them had changed, or NULL. */
const char *oracle_set_environment_of(unsigned threads);

/* Check the reference and the quality figures against known results. Returns EXIT_CANNOT_RUN, with an error that says
 * what was found, if this build or process cannot tell what is right. */
enum exit_code oracle_check(void);

#endif
