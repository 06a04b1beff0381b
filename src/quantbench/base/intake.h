/* SPDX-License-Identifier: Apache-2.0 */
/* intake.h - reads a file or a pipe to its end. */
#ifndef INTAKE_H
#define INTAKE_H

#include <stdbool.h>
#include <stddef.h>

/* What may be waited for at the other end of a named pipe, in seconds. */
#define INTAKE_PEER_SECONDS 3

/* Wait for the peer of a named pipe for a moment. Returns false when *WAITED, which is 0 at first, says that it was
 * long enough, or a signal came. */
bool intake_wait_for_peer(double *waited);

/* Read all of the file PATH, of 1 GB at most. Returns NULL, or why that cannot be; of a pipe to which nobody writes it
 * is that. A pipe that has a writer is waited for until a signal comes. Devices are refused, but for the terminal that
 * is the standard input. Free *TEXT, which is not terminated. */
const char *intake_read(const char *path, char **text, size_t *length);

#endif
