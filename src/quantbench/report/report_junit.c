/* SPDX-License-Identifier: Apache-2.0 */
/* report_junit.c - results as the XML of JUnit, which systems of continuous integration show: each case is a test. A
 * wrong result and a slowdown are failures, what could not run is an error, and what nothing certain can be said of was
 * skipped, or is a failure if the run is strict. A test fails if the exit status is not 0, and only then. */
#include <config.h>

#include "report/describe.h"
#include "report/field.h"
#include "report/report.h"
#include "verdict/verdict.h"

#include <stdio.h>
#include <string.h>

/* The elements of tests. */
static const char *const elements[OUTCOMES] = {[OUTCOME_PASSED] = "system-out",
                                               [OUTCOME_FAILURE] = "failure",
                                               [OUTCOME_ERROR] = "error",
                                               [OUTCOME_UNKNOWN] = "skipped"};

/* The kind of a failure or an error. */
static const char *failure_of(enum exit_code code)
{
    return code == EXIT_WRONG_RESULT   ? "wrong result"
           : code == EXIT_REGRESSION   ? "slower"
           : code == EXIT_INCONCLUSIVE ? "inconclusive"
                                       : "cannot run";
}

static void print_test(const struct record *record, const struct record_case *c, FILE *stream)
{
    enum outcome outcome = verdict_outcome(record, c);
    char text[DESCRIBE_SIZE];

    fputs("    <testcase", stream);
    describe_test(record, c, text);
    field_attribute("name", text, stream);
    snprintf(text, sizeof text, "quantbench.%s.%s", c->device->id, c->kernel);
    field_attribute("classname", text, stream);
    snprintf(text, sizeof text, "%.9f", c->found.sample_count > 0 ? c->found.time.median * 1e-9 : 0);
    field_attribute("time", text, stream);
    describe_outcome(record, c, text);
    fprintf(stream, ">\n      <%s", elements[outcome]);
    if (outcome == OUTCOME_PASSED) {
        putc('>', stream);
        field_xml(text, stream);
        fprintf(stream, "</%s>\n", elements[outcome]);
    } else {
        field_attribute("message", text, stream);
        if (outcome != OUTCOME_UNKNOWN) {
            field_attribute("type", failure_of(verdict_of_case(record, c)), stream);
        }
        fputs("/>\n", stream);
    }
    fputs("    </testcase>\n", stream);
}

/* A test that fails because the run did, though no case failed. */
static void print_run(const struct record *record, FILE *stream)
{
    char text[DESCRIBE_SIZE];

    fputs("    <testcase name=\"the run\" classname=\"quantbench\" time=\"0\">\n      <error", stream);
    field_attribute("message", describe_run(record, text), stream);
    field_attribute("type", record->interrupted ? "interrupted" : failure_of(record->code), stream);
    fputs("/>\n    </testcase>\n", stream);
}

enum exit_code report_junit(const struct record *record, FILE *stream)
{
    size_t counts[OUTCOMES] = {0};
    bool run_failed = verdict_run_failed(record);
    char counted[160], text[64];

    for (size_t i = 0; i < record->count; i++) {
        counts[verdict_outcome(record, &record->cases[i])]++;
    }
    counts[OUTCOME_ERROR] += run_failed;
    snprintf(counted, sizeof counted, " tests=\"%zu\" failures=\"%zu\" errors=\"%zu\" skipped=\"%zu\"",
             record->count + run_failed, counts[OUTCOME_FAILURE], counts[OUTCOME_ERROR], counts[OUTCOME_UNKNOWN]);
    fprintf(stream, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites%s>\n  <testsuite name=\"quantbench\"%s",
            counted, counted);
    /* Without the letter for UTC, as the schema of JUnit has it. */
    snprintf(text, sizeof text, "%.19s", record->date);
    field_attribute("timestamp", text, stream);
    field_attribute("hostname", record->host_name, stream);
    fputs(">\n", stream);
    for (size_t i = 0; i < record->count; i++) {
        print_test(record, &record->cases[i], stream);
    }
    if (run_failed) {
        print_run(record, stream);
    }
    fputs("  </testsuite>\n</testsuites>\n", stream);
    return EXIT_OK;
}
