/* SPDX-License-Identifier: Apache-2.0 */
/* interrupt.h - SIGINT and SIGTERM end the run after what is being measured; a second one ends it at once. */
#ifndef INTERRUPT_H
#define INTERRUPT_H

#include <stdbool.h>

void interrupt_install(void);
/* The same for a process that another one tells when to stop, by SIGTERM, and then stops if it must. */
void interrupt_install_relayed(void);
bool interrupt_requested(void);
/* End the process by the signal that was caught, if one was, so that the shell sees its usual status. */
void interrupt_finish(void);

#endif
