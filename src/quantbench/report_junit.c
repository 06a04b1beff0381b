/* SPDX-License-Identifier: Apache-2.0 */
/* report_junit.c - results as the XML of JUnit, which systems of continuous integration show: each case is a test. A
 * wrong result and a slowdown are failures, what could not run is an error, and what nothing certain can be said of was
 * skipped. */
#include <config.h>

#include "describe.h"
#include "report.h"

#include <stdio.h>
#include <string.h>

/* The text of an attribute. XML 1.0 has no control characters, and names in files of others may be no UTF-8. */
static void print_text(const char *text, FILE *stream)
{
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;

        if (strchr("&<>\"'", c) != NULL) {
            fprintf(stream, "&#%d;", c);
        } else {
            putc(c >= ' ' && c < 0x7F ? c : '?', stream);
        }
    }
}

static void print_attribute(const char *name, const char *text, FILE *stream)
{
    fprintf(stream, " %s=\"", name);
    print_text(text, stream);
    putc('"', stream);
}

/* What a case comes to, as the element of a test. */
enum outcome { PASSED, FAILURE, ERROR, SKIPPED, OUTCOMES };

static enum outcome outcome_of(const struct record *record, const struct record_case *c)
{
    const struct record_pair *pair = record_pair_of(record, c);

    if (c->code == EXIT_WRONG_RESULT) {
        return FAILURE;
    }
    if (c->code != EXIT_OK) {
        return ERROR;
    }
    if (c->sample_count == 0) {
        return SKIPPED;
    }
    if (pair == NULL || pair->count == 0) {
        return pair == NULL ? PASSED : SKIPPED;
    }
    return pair->judgement.verdict == VERDICT_SLOWER         ? FAILURE
           : pair->judgement.verdict == VERDICT_INCONCLUSIVE ? SKIPPED
                                                             : PASSED;
}

/* The kind of a failure or an error. */
static const char *failure_of(const struct record_case *c)
{
    return c->code == EXIT_WRONG_RESULT ? "wrong result" : c->code == EXIT_OK ? "slower" : "cannot run";
}

static void print_test(const struct record *record, const struct record_case *c, FILE *stream)
{
    static const char *const elements[OUTCOMES] = {
        [PASSED] = "system-out", [FAILURE] = "failure", [ERROR] = "error", [SKIPPED] = "skipped"};
    enum outcome outcome = outcome_of(record, c);
    char text[DESCRIBE_SIZE];

    fputs("    <testcase", stream);
    describe_test(record, c, text);
    print_attribute("name", text, stream);
    snprintf(text, sizeof text, "quantbench.%s.%s", c->device->id, c->kernel);
    print_attribute("classname", text, stream);
    snprintf(text, sizeof text, "%.9f", c->sample_count > 0 ? c->time.median * 1e-9 : 0);
    print_attribute("time", text, stream);
    describe_outcome(record, c, text);
    fprintf(stream, ">\n      <%s", elements[outcome]);
    if (outcome == PASSED) {
        putc('>', stream);
        print_text(text, stream);
        fprintf(stream, "</%s>\n", elements[outcome]);
    } else {
        print_attribute("message", text, stream);
        if (outcome != SKIPPED) {
            print_attribute("type", failure_of(c), stream);
        }
        fputs("/>\n", stream);
    }
    fputs("    </testcase>\n", stream);
}

enum exit_code report_junit(const struct record *record, FILE *stream)
{
    size_t counts[OUTCOMES] = {0};
    char counted[160], text[64];

    for (size_t i = 0; i < record->count; i++) {
        counts[outcome_of(record, &record->cases[i])]++;
    }
    snprintf(counted, sizeof counted, " tests=\"%zu\" failures=\"%zu\" errors=\"%zu\" skipped=\"%zu\"", record->count,
             counts[FAILURE], counts[ERROR], counts[SKIPPED]);
    fprintf(stream, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites%s>\n  <testsuite name=\"quantbench\"%s",
            counted, counted);
    /* Without the letter for UTC, as the schema of JUnit has it. */
    snprintf(text, sizeof text, "%.19s", record->date);
    print_attribute("timestamp", text, stream);
    print_attribute("hostname", record->host_name, stream);
    fputs(">\n", stream);
    for (size_t i = 0; i < record->count; i++) {
        print_test(record, &record->cases[i], stream);
    }
    fputs("  </testsuite>\n</testsuites>\n", stream);
    return EXIT_OK;
}
