/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz.h - what the fuzz harnesses share. Each harness has one entry point, with libFuzzer's name, and is built twice:
 * with libFuzzer by "make fuzz", and with driver.c by "make check". What must hold for every input is checked with
 * fuzz_check(). */
#ifndef FUZZ_H
#define FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* Called once, and then for each input, which is DATA of SIZE bytes. Both return 0. */
int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define fuzz_check(condition)                                                                                          \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            fuzz_fail(__FILE__, __LINE__, #condition);                                                                 \
        }                                                                                                              \
    } while (0)
_Noreturn void fuzz_fail(const char *file, int line, const char *condition);

/* The name of a file that holds DATA, until the next call. It is in memory. */
const char *fuzz_file(const void *data, size_t size);

/* A copy of DATA with a NUL after it. The caller frees it. */
char *fuzz_text(const void *data, size_t size);

#endif
