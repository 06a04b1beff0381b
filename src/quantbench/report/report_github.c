/* SPDX-License-Identifier: Apache-2.0 */
/* report_github.c - results as the workflow commands of GitHub Actions, which shows them beside a change: an error for
 * each wrong result, slowdown and case that could not run, a warning for what nothing certain can be said of, and a
 * notice for the rest. */
#include <config.h>

#include "report/describe.h"
#include "report/report.h"
#include "verdict/verdict.h"

#include <stdio.h>
#include <string.h>

/* TEXT, with what ends a line or, in a property such as the title, ends that, written as a code. */
static void print_text(const char *text, bool is_property, FILE *stream)
{
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;

        if (c == '%' || c == '\r' || c == '\n' || (is_property && (c == ':' || c == ','))) {
            fprintf(stream, "%%%02X", c);
        } else {
            putc(c, stream);
        }
    }
}

static void print_command(const char *command, const char *title, const char *text, FILE *stream)
{
    fprintf(stream, "::%s title=", command);
    print_text(title, true, stream);
    fputs("::", stream);
    print_text(text, false, stream);
    putc('\n', stream);
}

static const char *command_of(enum outcome outcome)
{
    return outcome == OUTCOME_PASSED ? "notice" : outcome == OUTCOME_UNKNOWN ? "warning" : "error";
}

enum exit_code report_github(const struct record *record, FILE *stream)
{
    char title[DESCRIBE_SIZE], text[DESCRIBE_SIZE];

    for (size_t i = 0; i < record->count; i++) {
        const struct record_case *c = &record->cases[i];

        print_command(command_of(verdict_outcome(record, c)), describe_test(record, c, title),
                      describe_outcome(record, c, text), stream);
    }
    if (verdict_run_failed(record)) {
        print_command("error", "quantbench", describe_run(record, text), stream);
    }
    for (size_t i = 0; i < record->comparison.mean_count; i++) {
        print_command("notice", "quantbench", describe_mean(&record->comparison.means[i], text), stream);
    }
    return EXIT_OK;
}
