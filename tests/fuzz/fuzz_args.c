/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_args.c - the command line, and what becomes of it up to the first launch: the plan, the record, the results.
 * The lines of an input are the arguments. */
#include <config.h>

#include "cli/args.h"
#include "measure/bench.h"
#include "cases/catalog.h"
#include "cases/operations.h"
#include "fuzz.h"
#include "cases/machine.h"
#include "cases/plan.h"
#include "model/record.h"
#include "schedule/recording.h"
#include "report/report.h"

#include <getopt.h>
#include <locale.h>
#include <string.h>

#define ARGUMENTS_MAX 64
/* Plans of more cases take too long for a fuzzer. */
#define CASES_MAX 200

static struct machine machine;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    static char *cpu[] = {"cpu"};
    static const struct names devices = {.count = 1, .values = cpu};

    (void)argc;
    (void)argv;
    setlocale(LC_CTYPE, "C.UTF-8");
    fuzz_check(machine_open(&devices, &machine) == EXIT_OK);
    fuzz_check(catalog_add_loaded());
    return 0;
}

/* How many cases the lists of ARGS make, at most. */
static double count_cases(const struct settings *settings)
{
    const size_t counts[] = {
        settings->sweep.num_tokens.count,   settings->sweep.hidden_sizes.count,  settings->sweep.dtypes.count,
        settings->sweep.quant_dtypes.count, settings->sweep.granularities.count, settings->sweep.scalings.count,
        settings->sweep.dists.count,        settings->sweep.caches.count,        settings->sweep.streams.count,
        settings->sweep.launches.count,     settings->sweep.threads.count,       settings->sweep.kernels.count,
        operations_count(&settings->sweep)};
    double product = 1;

    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        product *= counts[i] > 0 ? (double)counts[i] : 1;
    }
    return product;
}

static void write_reports(const struct record *record)
{
    for (size_t i = 0; i < report_format_count(); i++) {
        char *text = NULL;
        size_t size;
        FILE *stream = open_memstream(&text, &size);

        fuzz_check(stream != NULL);
        report_format_at(i)->write(record, stream);
        fuzz_check(fclose(stream) == 0);
        free(text);
    }
}

static void use(struct settings *settings)
{
    struct plan plan = {.count = 0};
    struct record record = {.count = 0};
    struct bench bench;

    /* No process is started here. */
    settings->foreign.isolate = ISOLATE_NONE;
    if (plan_make(settings, &machine, NULL, NULL, &plan) == EXIT_OK) {
        fuzz_check(plan.count > 0 || plan.code != EXIT_OK);
        if (recording_begin(settings, &machine, NULL, &plan, &record) == EXIT_OK) {
            bench_begin(&bench, settings, &machine, NULL, &plan);
            bench_end(&bench);
            write_reports(&record);
        }
        record_free(&record);
    }
    plan_free(&plan);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = fuzz_text(data, size);
    char *arguments[ARGUMENTS_MAX + 2] = {"quantbench"};
    int count = 1;
    struct settings settings;
    enum exit_code code;

    for (char *line = text; line != NULL && count <= ARGUMENTS_MAX; count++) {
        arguments[count] = line;
        line = strchr(line, '\n');
        if (line != NULL) {
            *line++ = '\0';
        }
    }
    optind = 0; /* glibc: from the beginning */
    code = args_parse(count, arguments, &settings);
    fuzz_check(code == EXIT_OK || code == EXIT_USAGE);
    if (code == EXIT_OK && (settings.action == ACTION_MEASURE || settings.action == ACTION_DRY_RUN) &&
        count_cases(&settings) <= CASES_MAX) {
        use(&settings);
    }
    args_free(&settings);
    free(text);
    return 0;
}
