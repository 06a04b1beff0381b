/* SPDX-License-Identifier: Apache-2.0 */
/* interrupt.c - remembers a signal until it is a good time to stop. */
#include <config.h>

#include "base/interrupt.h"

#include <signal.h>
#include <stddef.h>

static volatile sig_atomic_t caught;

static void remember(int number)
{
    caught = number;
}

void interrupt_install(void)
{
    /* SA_RESETHAND: the second signal has its usual effect. */
    struct sigaction action = {.sa_handler = remember, .sa_flags = (int)SA_RESETHAND};
    struct sigaction ignore = {.sa_handler = SIG_IGN};

    static const int signals[] = {SIGINT, SIGTERM, SIGHUP};

    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++) {
        struct sigaction inherited;

        /* What is ignored stays ignored: nohup and shells in the background ask for it. */
        if (sigaction(signals[i], NULL, &inherited) == 0 && inherited.sa_handler != SIG_IGN) {
            sigaction(signals[i], &action, NULL);
        }
    }
    /* A closed pipe is reported as a write error, with the exit status of one. */
    sigaction(SIGPIPE, &ignore, NULL);
    /* And so is a file that has reached the limit of its size. */
    sigaction(SIGXFSZ, &ignore, NULL);
}

void interrupt_install_relayed(void)
{
    struct sigaction action = {.sa_handler = remember};

    sigaction(SIGTERM, &action, NULL);
    signal(SIGINT, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
}

bool interrupt_requested(void)
{
    return caught != 0;
}

void interrupt_finish(void)
{
    if (caught != 0) {
        signal(caught, SIG_DFL);
        raise(caught);
    }
}
