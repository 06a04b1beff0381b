/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_outcome.c - what a worker says over its socket. An input changes a true answer: each 11 bytes are a place in it,
 * a number of bytes and the bytes. What is believed becomes a record that can be written and read. */
#include <config.h>

#include "cli/args.h"
#include "measure/bench.h"
#include "cases/catalog.h"
#include "fuzz.h"
#include "cases/machine.h"
#include "schedule/outcome.h"
#include "cases/plan.h"
#include "model/record.h"
#include "schedule/recording.h"
#include "report/report.h"

#include <getopt.h>
#include <locale.h>
#include <string.h>

#define SAMPLES    4
#define CHANGE     11  /* bytes */
#define ELAPSED    1e3 /* seconds */
#define NUMBERS    (2 * SAMPLES)
#define MAX_CHANGE 8

static struct settings settings;
static struct machine machine;
static struct plan plan;

/* What is received. */
struct answer {
    struct outcome outcome;
    double samples[NUMBERS], floors[NUMBERS];
};

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    static char *arguments[] = {"quantbench",       "--device=cpu", "--num-tokens=4",
                                "--hidden-size=64", "--threads=1",  NULL};

    (void)argc;
    (void)argv;
    setlocale(LC_CTYPE, "C.UTF-8");
    optind = 0;
    fuzz_check(args_parse(sizeof arguments / sizeof arguments[0] - 1, arguments, &settings) == EXIT_OK);
    fuzz_check(machine_open(&settings.place.devices, &machine) == EXIT_OK);
    fuzz_check(catalog_add_loaded());
    fuzz_check(plan_make(&settings, &machine, NULL, NULL, &plan) == EXIT_OK);
    return 0;
}

static void make_answer(struct answer *answer)
{
    memset(answer, 0, sizeof *answer);
    answer->outcome.code = EXIT_OK;
    answer->outcome.checked.verification = VERIFIED;
    answer->outcome.spent = 1;
    answer->outcome.checked.mismatch.compared = 4 * 64;
    answer->outcome.checked.quality = (struct quality){.finite = 4 * 64, .snr = 40, .largest_error = 0.25};
    answer->outcome.launches_per_sample = 2;
    answer->outcome.samples = answer->outcome.round.samples = SAMPLES;
    answer->outcome.round.median = 2.5;
    answer->outcome.floors = 1;
    for (int i = 0; i < NUMBERS; i++) {
        answer->samples[i] = answer->floors[i] = i + 1;
    }
}

static void change(struct answer *answer, const uint8_t *data, size_t size)
{
    for (; size >= CHANGE; data += CHANGE, size -= CHANGE) {
        size_t place = ((size_t)data[0] << 8 | data[1]) % (sizeof *answer - MAX_CHANGE);

        memcpy((char *)answer + place, data + 3, 1 + data[2] % MAX_CHANGE);
    }
}

/* Keep in RESULT, which holds nothing yet, what ANSWER says. */
static void keep(const struct answer *answer, struct result *result)
{
    const struct outcome *outcome = &answer->outcome;

    result->floors = malloc(sizeof answer->floors);
    fuzz_check(bench_grow(result, outcome->samples) && result->floors != NULL);
    memcpy(result->found.samples, answer->samples, outcome->samples * sizeof *result->found.samples);
    memcpy(result->floors, answer->floors, outcome->floors * sizeof *result->floors);
    outcome_keep(outcome, result);
}

/* The record of BENCH can be written in every format, and as JSON read again. */
static void check_record(struct bench *bench)
{
    struct record record = {.count = 0}, again;

    fuzz_check(recording_begin(&settings, &machine, NULL, &plan, &record) == EXIT_OK);
    bench_conclude(bench, 0);
    fuzz_check(recording_add(&record, &bench->results[0]) == EXIT_OK);
    fuzz_check(recording_end(&record, false) == EXIT_OK);
    for (size_t i = 0; i < report_format_count(); i++) {
        char *text = NULL;
        size_t size;
        FILE *stream = open_memstream(&text, &size);

        fuzz_check(stream != NULL);
        fuzz_check(report_format_at(i)->write(&record, stream) == EXIT_OK);
        fuzz_check(fclose(stream) == 0);
        if (strcmp(report_format_at(i)->name, "json") == 0) {
            fuzz_check(record_from_json_text(text, size, "again", &again) == EXIT_OK);
            record_free(&again);
        }
        free(text);
    }
    record_free(&record);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct answer answer;
    struct bench bench;
    struct outcome_limits limits = {.samples = SAMPLES, .verify = true, .elapsed = ELAPSED};

    make_answer(&answer);
    change(&answer, data, size);
    fuzz_check(bench_begin(&bench, &settings, &machine, NULL, &plan) == EXIT_OK);
    limits.result = &bench.results[0];
    if (outcome_check(&answer.outcome, &limits) == NULL) {
        fuzz_check(answer.outcome.samples <= SAMPLES && answer.outcome.floors <= SAMPLES);
        if (outcome_check_times(&answer.outcome, answer.samples, answer.floors, &limits) == NULL) {
            keep(&answer, &bench.results[0]);
            check_record(&bench);
        }
    }
    bench_end(&bench);
    return 0;
}
