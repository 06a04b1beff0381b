/* SPDX-License-Identifier: Apache-2.0 */
/* environment.c - names the changes of the floating-point environment by foreign code. */
#include <config.h>

#include "environment.h"
#include "internal.h"

#include <fenv.h>
#include <stdio.h>
#include <string.h>

/* Append WORDS to TEXT, with a comma in front if something is there. */
static void append(char text[QB__CHANGES_SIZE], const char *words)
{
    const size_t length = strlen(text);

    snprintf(text + length, QB__CHANGES_SIZE - length, "%s%s", length > 0 ? ", " : "", words);
}

#if defined QB__MXCSR_CONTROL

static void name_changes(char text[QB__CHANGES_SIZE])
{
    struct qb__environment now;
    uint32_t changed;

    qb__environment_read(&now);
    changed = now.mxcsr ^ QB__MXCSR_DEFAULT;
    if ((changed & 0x6000) != 0) {
        append(text, "the rounding mode");
    }
    if ((changed & 0x8000) != 0) {
        append(text, "flush to zero (FTZ)");
    }
    if ((changed & 0x0040) != 0) {
        append(text, "denormals are zero (DAZ)");
    }
    if ((changed & 0x1F80) != 0) {
        append(text, "the exceptions that trap");
    }
    if (text[0] == '\0' && ((now.x87 ^ QB__X87_DEFAULT) & QB__X87_CONTROL) != 0) {
        append(text, "the x87 control word");
    }
}

#elif defined __aarch64__

static void name_changes(char text[QB__CHANGES_SIZE])
{
    const uint64_t rounding = (uint64_t)3 << 22, flush = (uint64_t)1 << 24 | (uint64_t)1 << 19, traps = 0x9F00;
    struct qb__environment now;

    qb__environment_read(&now);
    if ((now.fpcr & rounding) != 0) {
        append(text, "the rounding mode");
    }
    if ((now.fpcr & flush) != 0) {
        append(text, "flush to zero (FZ)");
    }
    if ((now.fpcr & traps) != 0) {
        append(text, "the exceptions that trap");
    }
    if ((now.fpcr & ~(rounding | flush | traps)) != 0) {
        append(text, "the control register (FPCR)");
    }
}

#else

static void name_changes(char text[QB__CHANGES_SIZE])
{
    volatile float least = 0x1p-126f;

    if (fegetround() != FE_TONEAREST) {
        append(text, "the rounding mode");
    }
    if (least / 2 == 0) {
        append(text, "flush to zero");
    }
}

#endif

bool qb__environment_changed(char text[QB__CHANGES_SIZE])
{
    text[0] = '\0';
    name_changes(text);
    return text[0] != '\0';
}
