/* SPDX-License-Identifier: Apache-2.0 */
/* self_test.c - comparisons of a kernel with itself: how often is a difference seen that there is not, and how large
 * must one be to be seen? */
#include <config.h>

#include "base/document.h"
#include "verdict/compare.h"
#include "report/describe.h"
#include "report/report.h"
#include "cli/self_test.h"
#include "schedule/paired.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* What came out of the comparisons of one case with itself. */
struct findings {
    size_t comparisons;
    size_t different;         /* called faster or slower */
    size_t different_at_zero; /* the same without a margin, of which 5 % is right */
    double detectable;        /* the median of what each could have seen, a ratio minus 1 */
};

/* Take up to PAIRED_SELF_TESTS comparisons of ROUNDS rounds from those of PAIR. */
static enum exit_code compare(const struct record_pair *pair, size_t rounds, double margin, struct findings *findings)
{
    double detectable[PAIRED_SELF_TESTS];
    double *ratios = malloc(rounds * sizeof *ratios);
    bool good = ratios != NULL;

    *findings = (struct findings){.detectable = NAN};
    while (good && findings->comparisons < PAIRED_SELF_TESTS && (findings->comparisons + 1) * rounds <= pair->count) {
        size_t first = findings->comparisons * rounds;
        struct estimate estimate;
        struct judgement with, without;

        for (size_t i = 0; i < rounds; i++) {
            ratios[i] = log(pair->times[first + i] / pair->baseline_times[first + i]);
        }
        good = compare_rounds(ratios, rounds, &estimate) && compare_judge(&estimate, 1, margin, &with) &&
               compare_judge(&estimate, 1, 0, &without);
        if (good) {
            findings->different += with.verdict == VERDICT_FASTER || with.verdict == VERDICT_SLOWER;
            findings->different_at_zero += without.verdict != VERDICT_INCONCLUSIVE;
            detectable[findings->comparisons++] = compare_detectable(&estimate, margin);
        }
    }
    if (good && findings->comparisons > 0) {
        findings->detectable = stats_median(detectable, findings->comparisons);
    }
    free(ratios);
    return good ? EXIT_OK : message_out_of_memory("the self-test", rounds * sizeof *ratios);
}

static void print(const struct settings *settings, const struct record_case *c, const struct findings *findings)
{
    char text[DESCRIBE_SIZE];

    printf("self-test %s\n", property_describe(c, text));
    if (findings->comparisons == 0) {
        printf("          no comparison was finished\n");
        return;
    }
    printf("compared  %zu times with itself, in %zu rounds each\n", findings->comparisons,
           (size_t)settings->method.rounds);
    printf("different %zu of %zu, with a margin of %g %%\n", findings->different, findings->comparisons,
           100 * settings->comparing.margin);
    printf("          %zu of %zu without a margin, of which 1 in 20 is expected\n", findings->different_at_zero,
           findings->comparisons);
    printf("visible   a slowdown of %.2f %%, 95 times in 100\n", 100 * findings->detectable);
}

static json_t *to_json(const struct record_case *c, const struct findings *findings)
{
    return json_pack("{s:s, s:s, s:I, s:I, s:I, s:o}", "device", c->device->id, "kernel", c->kernel, "comparisons",
                     (json_int_t)findings->comparisons, "different", (json_int_t)findings->different,
                     "different_without_margin", (json_int_t)findings->different_at_zero, "detectable",
                     isfinite(findings->detectable) ? json_real(findings->detectable) : json_null());
}

enum exit_code self_test_report(const struct settings *settings, const struct record *record)
{
    bool is_text = settings->reporting.format == report_format_find("text");
    json_t *cases = json_array();
    enum exit_code code = EXIT_OK;

    for (size_t i = 0; i < record->comparison.count && code == EXIT_OK; i++) {
        const struct record_pair *pair = &record->comparison.pairs[i];
        struct findings findings;

        code = compare(pair, (size_t)settings->method.rounds, settings->comparing.margin, &findings);
        if (code == EXIT_OK && is_text) {
            print(settings, &record->cases[pair->result], &findings);
        } else if (code == EXIT_OK) {
            document_append(&cases, to_json(&record->cases[pair->result], &findings));
        }
    }
    if (!is_text && code == EXIT_OK) {
        code =
            document_print(json_pack("{s:s, s:I, s:I, s:f, s:O}", "schema", "quantbench-self-test", "schema_version",
                                     (json_int_t)RECORD_SCHEMA_VERSION, "rounds", (json_int_t)settings->method.rounds,
                                     "margin", settings->comparing.margin, "cases", cases),
                           stdout);
    }
    json_decref(cases);
    return code;
}
