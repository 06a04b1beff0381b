/* SPDX-License-Identifier: Apache-2.0 */
/* soak_text.c - a soak for people: what ran, each difference with all that is known of it, and the bound. */
#include <config.h>

#include "model/problem_text.h"
#include "report/describe.h"
#include "report/fold.h"
#include "report/soak_report.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HOUR 3600.0

/* Print TEXT from column INDENT on, and a newline. */
static void print_folded(const char *text, size_t indent, FILE *stream)
{
    fprintf(stream, "%*s", (int)indent, "");
    fold_print(text, indent, indent, fold_width(stream), stream);
    fputc('\n', stream);
}

/* Add to TEXT. */
__attribute__((format(printf, 2, 3))) static void add(char text[DESCRIBE_SIZE], const char *format, ...)
{
    const size_t length = strlen(text);
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text + length, DESCRIBE_SIZE - length, format, arguments);
    va_end(arguments);
}

char *soak_repeat_command(const struct soak *soak, const struct soak_difference *difference)
{
    char *text;

    return asprintf(&text, "%s --seed=%" PRIu64 " --soak=1x --soak-first=%" PRIu64, soak->command,
                    difference->seed - difference->round, difference->round) >= 0
               ? text
               : NULL;
}

const char *soak_repeat_text(const struct soak_difference *d, char text[SOAK_TEXT_SIZE])
{
    if (d->repeats == 0) {
        snprintf(text, SOAK_TEXT_SIZE, "not repeated");
    } else if (d->repeated == 0) {
        snprintf(text, SOAK_TEXT_SIZE, "right in %" PRIu64 " repetitions", d->repeats);
    } else {
        snprintf(text, SOAK_TEXT_SIZE, "wrong in %" PRIu64 " of %" PRIu64 " repetitions", d->repeated, d->repeats);
    }
    return text;
}

/* What ran: how long, and how much. */
static void print_work(const struct soak_report *report, FILE *stream)
{
    const struct soak *soak = report->soak;
    char text[DESCRIBE_SIZE], all[SOAK_TIME_SIZE], busy[SOAK_TIME_SIZE];
    size_t cases = 0;

    for (size_t i = 0; i < report->record->planned; i++) {
        cases += soak->case_launches[i] > 0;
    }
    snprintf(text, sizeof text,
             "%" PRIu64 " rounds, of %zu of %" PRIu64 " cases: %" PRIu64 " sustained, %" PRIu64 " in bursts, %" PRIu64
             " after a rest",
             soak->rounds, cases, report->record->planned, soak->loads[SOAK_SUSTAINED], soak->loads[SOAK_BURST],
             soak->loads[SOAK_IDLE]);
    print_folded(text, 0, stream);
    snprintf(text, sizeof text,
             "%" PRIu64 " launches; every byte that they wrote was compared: %.4g GB; %s, at work for %s",
             soak->launches, (double)soak->bytes * 1e-9, soak_time_text(soak->seconds, all),
             soak_time_text(soak->busy, busy));
    print_folded(text, 0, stream);
    if (soak->left_out > 0) {
        fprintf(stream, "left out, since memory has no room for them: %" PRIu64 " rounds\n", soak->left_out);
    }
}

/* The values of COLUMN of the cases that were launched, each once. */
static void print_values(const struct soak_report *report, const char *head, enum column column, FILE *stream)
{
    const struct record *record = report->record;
    char text[DESCRIBE_SIZE], value[DESCRIBE_SIZE], other[DESCRIBE_SIZE];

    snprintf(text, sizeof text, "%s:", head);
    for (size_t i = 0; i < record->planned; i++) {
        bool is_new = report->soak->case_launches[i] > 0;
        const char *word = describe_cell(&record->cases[i], column, value);

        for (size_t j = 0; j < i && is_new; j++) {
            is_new = report->soak->case_launches[j] == 0 ||
                     strcmp(describe_cell(&record->cases[j], column, other), word) != 0;
        }
        if (is_new) {
            add(text, "%s %s", text[strlen(text) - 1] == ':' ? "" : ",", word);
        }
    }
    print_folded(text, 0, stream);
}

/* Clocks and heat, as far as they are known. */
static void print_conditions(const struct soak_difference *d, FILE *stream)
{
    const struct qb_device_conditions *now = &d->conditions;
    char text[DESCRIBE_SIZE];

    snprintf(text, sizeof text, "%s load, %s, %.1f s after the beginning", soak_load_words[d->load], d->date, d->start);
    if (!isnan(now->clock)) {
        add(text, ", clock %.0f MHz", now->clock);
    }
    if (!isnan(now->memory_clock)) {
        add(text, ", memory %.0f MHz", now->memory_clock);
    }
    if (!isnan(now->temperature)) {
        add(text, ", %.0f C", now->temperature);
    }
    if (!isnan(now->power)) {
        add(text, ", %.0f W", now->power * 1e-3);
    }
    for (unsigned i = 0; i < QB_THROTTLE_COUNT; i++) {
        if ((now->throttle & 1u << i) != 0) {
            add(text, ", %s", qb_throttle_name(i));
        }
    }
    print_folded(text, 2, stream);
}

static void print_difference(const struct soak_report *report, const struct soak_difference *d, FILE *stream)
{
    const struct record_case *c = &report->record->cases[d->index];
    char text[DESCRIBE_SIZE], problem[PROBLEM_TEXT_SIZE], repeats[SOAK_TEXT_SIZE];
    char *command = soak_repeat_command(report->soak, d);

    problem_text(&c->problem, problem, sizeof problem);
    snprintf(text, sizeof text, "round %" PRIu64 ": kernel %s, %s, %s data", d->round, c->kernel, problem,
             dist_words[d->dist]);
    print_folded(text, 0, stream);
    snprintf(text, sizeof text,
             "byte %" PRIu64 " of the %s: got 0x%02x, want 0x%02x, xor 0x%02x; %" PRIu64 " byte%s of it differ%s",
             d->byte, qb_role_name(d->role), d->got, d->want, d->got ^ d->want, d->count, d->count == 1 ? "" : "s",
             d->count == 1 ? "s" : "");
    if (d->step > 0) {
        add(text, ", %" PRIu64 " apart", d->step);
    }
    print_folded(text, 2, stream);
    print_folded(d->first[0] != '\0' ? d->first : "right when it was read again", 2, stream);
    print_conditions(d, stream);
    snprintf(text, sizeof text, "%s%s", soak_repeat_text(d, repeats), d->is_injected ? "; a fault was injected" : "");
    print_folded(text, 2, stream);
    fprintf(stream, "  %s\n\n", command != NULL ? command : "");
    free(command);
}

/* The last line, for scripts too. */
static void print_bound(const struct soak *soak, FILE *stream)
{
    if (soak->differences > 0) {
        fprintf(stream,
                "Soak: %" PRIu64 " of %" PRIu64 " launches WRONG, in %" PRIu64 " round%s; %" PRIu64 " repeatable\n",
                soak->wrong, soak->launches, soak->differences, soak->differences == 1 ? "" : "s", soak->repeatable);
    } else if (soak->launches == 0) {
        fputs("Soak: nothing was launched\n", stream);
    } else {
        fprintf(stream, "Soak: no wrong byte in %.3g hours at work: fewer than %.2g an hour (95 %%)\n",
                soak->busy / HOUR, soak_bound(soak->busy));
    }
}

enum exit_code soak_text(const struct soak_report *report, FILE *stream)
{
    const struct soak *soak = report->soak;
    char text[DESCRIBE_SIZE], length[SOAK_DONE_SIZE];
    const char *done = soak_done_text(&soak->wanted, soak->seconds, soak->rounds, length);

    fprintf(stream, "Soak of %s\n", describe_device(&report->record->devices[0], text));
    print_work(report, stream);
    print_values(report, "operations", OPERATION, stream);
    print_values(report, "formats", QUANT_DTYPE, stream);
    if (report->record->interrupted) {
        fprintf(stream, "interrupted%s%s: this is what was done until then\n", done != NULL ? " after " : "",
                done != NULL ? done : "");
    } else if (!soak->has_ended) {
        fputs("not ended: this is what was done until now\n", stream);
    }
    fputc('\n', stream);
    for (size_t i = 0; i < soak->kept_count; i++) {
        print_difference(report, &soak->kept[i], stream);
    }
    if (soak->differences > soak->kept_count) {
        fprintf(stream, "and %" PRIu64 " more\n\n", soak->differences - soak->kept_count);
    }
    print_bound(soak, stream);
    return EXIT_OK;
}
