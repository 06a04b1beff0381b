/* SPDX-License-Identifier: Apache-2.0 */
/* program.h - runs another program on a text, and takes what it writes. */
#ifndef PROGRAM_H
#define PROGRAM_H

#include <stdbool.h>
#include <stddef.h>

/* A run of a program: "NAME OPTION FILE", where FILE holds the text. */
struct program {
    const char *name; /* found in PATH */
    const char *option;
    const char *text;
    size_t length;
    const char *hidden; /* a variable of the environment that it does not get */
    double seconds;     /* that it may take */
    size_t most;        /* bytes that it may write */
};

struct program_output {
    char *bytes; /* of its standard output; free it */
    size_t length;
    char message[512]; /* the beginning of its standard error, in one line */
    char problem[128]; /* why it failed; "" if it did not */
};

/* True if PATH has the program NAME. */
bool program_exists(const char *name);

/* Run PROGRAM, in a locale with numbers as in C and text in UTF-8. Whatever it has started ends with it. Returns true
 * if it ended with status 0. OUTPUT is set either way. */
bool program_run(const struct program *program, struct program_output *output);

#endif
