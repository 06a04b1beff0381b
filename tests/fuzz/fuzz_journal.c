/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_journal.c - --resume: the journal of a run of two sizes, its parts taken into results. If the first byte of an
 * input is odd, the others follow the right head; else they are the whole file. */
#include <config.h>

#include "cli/args.h"
#include "measure/bench.h"
#include "cases/catalog.h"
#include "fuzz.h"
#include "schedule/journal.h"
#include "cases/machine.h"
#include "cases/plan.h"
#include "schedule/visits.h"

#include <getopt.h>
#include <locale.h>
#include <math.h>
#include <string.h>

#define ROUNDS 2

static struct settings settings;
static struct machine machine;
static struct plan plan;
static char *head;
static size_t head_size;

/* Keep what a new journal begins with. */
static void read_head(void)
{
    struct journal journal;
    FILE *file;
    const char *path = fuzz_file("", 0);

    settings.reporting.journal_file = path;
    fuzz_check(journal_open(&settings, &machine, NULL, &plan, &journal) == EXIT_OK);
    journal_close(&journal);
    settings.reporting.journal_file = NULL;
    file = fopen(path, "r");
    fuzz_check(file != NULL);
    fuzz_check(getdelim(&head, &head_size, '\n', file) > 0);
    head_size = strlen(head);
    fclose(file);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    static char *arguments[] = {"quantbench",    "--device=cpu", "--num-tokens=4,8", "--hidden-size=64",
                                "--num-iters=4", "--rounds=2",   "--threads=1",      NULL};

    (void)argc;
    (void)argv;
    setlocale(LC_CTYPE, "C.UTF-8");
    optind = 0;
    fuzz_check(args_parse(sizeof arguments / sizeof arguments[0] - 1, arguments, &settings) == EXIT_OK);
    fuzz_check(machine_open(&settings.place.devices, &machine) == EXIT_OK);
    fuzz_check(catalog_add_loaded());
    fuzz_check(plan_make(&settings, &machine, NULL, NULL, &plan) == EXIT_OK);
    read_head();
    return 0;
}

/* Take every part that JOURNAL has, and no other: nothing is launched here. */
static void take_parts(struct journal *journal)
{
    struct bench bench;
    struct visits visits = {.bench = &bench, .journal = journal};

    fuzz_check(bench_begin(&bench, &settings, &machine, NULL, &plan) == EXIT_OK);
    for (size_t round = 0; round < ROUNDS; round++) {
        for (size_t i = 0; i < bench.count; i++) {
            if (bench.results[i].found.code == EXIT_OK && journal_find(journal, i, round) != NULL) {
                visits_to_case(&visits, round, i, 2, 0, INFINITY);
            }
        }
        for (size_t i = 0; i < bench.ceilings.count; i++) {
            if (journal_find(journal, bench.count + i, round) != NULL) {
                visits_to_ceiling(&visits, round, i, 1, INFINITY);
            }
        }
    }
    for (size_t i = 0; i < bench.count; i++) {
        bench_conclude(&bench, i);
    }
    bench_end(&bench);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct journal journal;
    size_t kept;
    char *text;

    if (size < 1) {
        return 0;
    }
    kept = (data[0] & 1) != 0 ? head_size : 0;
    text = malloc(kept + size);
    fuzz_check(text != NULL);
    memcpy(text, head, kept);
    memcpy(text + kept, data + 1, size - 1);
    settings.reporting.resume_file = fuzz_file(text, kept + size - 1);
    free(text);
    if (journal_open(&settings, &machine, NULL, &plan, &journal) == EXIT_OK) {
        take_parts(&journal);
    }
    journal_close(&journal);
    return 0;
}
