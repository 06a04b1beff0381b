/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_cases.c - the reader of --cases. An input is the file. */
#include <config.h>

#include "fuzz.h"
#include "cli/case_list.h"
#include "cli/args.h"
#include "model/record.h"

#include <getopt.h>
#include <locale.h>

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    setlocale(LC_CTYPE, "C.UTF-8");
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char program[] = "quantbench", granularity[] = "--granularity=token,tensor";
    char file[128], *argv[] = {program, granularity, file, NULL};
    struct settings settings;
    struct case_list list;

    snprintf(file, sizeof file, "--cases=%s", fuzz_file(data, size));
    optind = 0; /* getopt_long() begins again */
    fuzz_check(args_parse(3, argv, &settings) == EXIT_OK);
    if (case_list_open(&settings, &list) == EXIT_OK) {
        fuzz_check(list.count > 0);
        for (size_t i = 0; i < list.count; i++) {
            const struct listed_case *listed = &list.values[i];

            fuzz_check(listed->count >= 1 && listed->count <= RECORD_MAX_USES);
            fuzz_check(listed->line > (i > 0 ? list.values[i - 1].line : 0));
            fuzz_check(listed->sweep.num_tokens.count == 1 && listed->sweep.hidden_sizes.count == 1);
            fuzz_check(listed->sweep.granularities.count == 1 || listed->sweep.granularities.count == 2);
        }
    }
    case_list_free(&list);
    args_free(&settings);
    return 0;
}
