/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_fleet.c - the reader of --fleet, the verdicts on what it took, and every report of them. */
#include <config.h>

#include "fuzz.h"
#include "fleet/fleet_report.h"

#include <math.h>

static const char *const names[] = {"text", "json", "csv", "markdown", "junit"};

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fleet fleet = {.records = 0};
    const char *why = fleet_take(&fleet, (const char *)data, size, "fuzz");

    fuzz_check(why != NULL || fleet.records > 0);
    fuzz_check(fleet_judge(&fleet) == EXIT_OK && fleet_compare_facts(&fleet) == EXIT_OK);
    for (size_t i = 0; i < fleet.entry_count; i++) {
        fuzz_check(fleet.entries[i].p >= 0 && fleet.entries[i].p <= 1 && !isnan(fleet.entries[i].ratio));
    }
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char *text = NULL;
        size_t length;
        FILE *stream = open_memstream(&text, &length);

        fuzz_check(stream != NULL);
        fuzz_check(fleet_report_write(report_format_find(names[i]), &fleet, true, stream) == EXIT_OK);
        fuzz_check(fclose(stream) == 0);
        for (size_t j = 0; j < length; j++) {
            const unsigned char c = (unsigned char)text[j];

            fuzz_check(c >= 32 || c == '\n' || c == '\r'); /* a terminal obeys the others */
        }
        free(text);
    }
    fleet_free(&fleet);
    return 0;
}
