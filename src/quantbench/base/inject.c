/* SPDX-License-Identifier: Apache-2.0 */
/* inject.c - see inject.h. */
#include <config.h>

#include "base/inject.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The variable of quantbench-mpi comes first; the others are those of Open MPI, PMIx, MPICH, Slurm and Flux. */
static const char *const rank_names[] = {"QUANTBENCH_RANK", "OMPI_COMM_WORLD_RANK", "PMIX_RANK",
                                         "PMI_RANK",        "SLURM_PROCID",         "FLUX_TASK_RANK"};

static struct {
    enum inject fault;
    double factor;
    char text[INJECT_SIZE];
} injected = {INJECT_NOTHING, 1, ""};

/* Parse TEXT as a whole number from 0 to 999999999; -1: it is none. */
static int64_t parse_rank(const char *text)
{
    const size_t length = strlen(text);

    return length > 0 && length < 10 && strspn(text, "0123456789") == length ? (int64_t)strtol(text, NULL, 10) : -1;
}

int64_t inject_rank(void)
{
    for (size_t i = 0; i < sizeof rank_names / sizeof rank_names[0]; i++) {
        const char *text = getenv(rank_names[i]);
        const int64_t rank = text != NULL ? parse_rank(text) : -1;

        if (rank >= 0) {
            return rank;
        }
    }
    return -1;
}

/* The fault that WORD names. */
static enum inject parse_fault(const char *word, double *factor)
{
    static const char *const words[] = {
        [INJECT_WRONG] = "wrong", [INJECT_WRONG_ONCE] = "wrong-once", [INJECT_HANG] = "hang", [INJECT_EXIT] = "exit"};
    char *end;

    for (size_t i = INJECT_WRONG; i < sizeof words / sizeof words[0]; i++) {
        if (words[i] != NULL && strcmp(word, words[i]) == 0) {
            return (enum inject)i;
        }
    }
    if (strncmp(word, "slow:", strlen("slow:")) != 0) {
        return INJECT_NOTHING;
    }
    *factor = strtod(word + strlen("slow:"), &end);
    return *end == '\0' && *factor > 0 && *factor <= 1000 ? INJECT_SLOW : INJECT_NOTHING;
}

const char *inject_read(void)
{
    static const char expected[] =
        "expected wrong, wrong-once, slow:FACTOR, hang or exit, and @RANK after it for one rank";
    const char *text = getenv("QUANTBENCH_INJECT"), *at;
    char word[INJECT_SIZE];
    enum inject fault;
    double factor = 1;

    if (text == NULL || text[0] == '\0') {
        return NULL;
    }
    at = strchr(text, '@');
    if (strlen(text) >= sizeof word) {
        return expected;
    }
    snprintf(word, sizeof word, "%.*s", (int)strcspn(text, "@"), text);
    fault = parse_fault(word, &factor);
    if (fault == INJECT_NOTHING || (at != NULL && parse_rank(at + 1) < 0)) {
        return expected;
    }
    if (at == NULL || parse_rank(at + 1) == inject_rank()) {
        injected.fault = fault;
        injected.factor = factor;
        snprintf(injected.text, sizeof injected.text, "%s", text);
    }
    return NULL;
}

enum inject inject_fault(void)
{
    return injected.fault;
}

bool inject_wrong(void)
{
    static bool done;
    const bool now = injected.fault == INJECT_WRONG || (injected.fault == INJECT_WRONG_ONCE && !done);

    done = true;
    return now;
}

double inject_factor(void)
{
    return injected.factor;
}

const char *inject_text(void)
{
    return injected.text;
}
