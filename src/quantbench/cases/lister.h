/* SPDX-License-Identifier: Apache-2.0 */
/* lister.h - a second process of this program that loads one plug-in, describes its kernels, and asks them what they
 * support. It may crash, hang, print or leave something behind: this process never loads the plug-in. */
#ifndef LISTER_H
#define LISTER_H

#include "cases/child.h"
#include "cases/catalog.h"

/* One plug-in. The first three are the caller's; the rest is zero at first. */
struct lister {
    const struct foreign *foreign;
    const struct command *command;
    char *file;
    struct child child;
};

/* Room for why a plug-in is not loaded. */
#define LISTER_WHY_SIZE 512

/* Load the plug-in, and add its kernels to the list of all. Returns QB_OK, or WHY not. */
enum qb_status lister_load(struct lister *lister, char why[LISTER_WHY_SIZE]);

/* True if KERNEL, one of the plug-in's, supports PROBLEM. The process is started again if it has ended. False with WHY,
 * which is "" otherwise, if there was no answer. */
bool lister_supports(struct lister *lister, const struct kernel *kernel, const struct qb_problem *problem,
                     char why[LISTER_WHY_SIZE]);

/* Let the process end. */
void lister_end(struct lister *lister);

/* In the second process: all that it does, if this is one. It does not return then. */
void lister_main(char **argv);

#endif
