/* SPDX-License-Identifier: Apache-2.0 */
/* fake_killer.c - an fdatasync() that ends the process as kill -9 does, the FAKE_KILL-th time that it is called: when
 * that line of a journal is written, and before anything else is done. With FAKE_KILL_COMMAND that is run instead. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* syscall() */
#endif
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

int fdatasync(int descriptor)
{
    static int calls;
    const char *last = getenv("FAKE_KILL");

    if (last != NULL && ++calls == atoi(last)) {
        const char *command = getenv("FAKE_KILL_COMMAND");

        if (command == NULL || system(command) != 0) {
            kill(getpid(), SIGKILL);
        }
    }
    return (int)syscall(SYS_fdatasync, descriptor);
}
