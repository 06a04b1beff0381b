/* SPDX-License-Identifier: Apache-2.0 */
/* runs.c - the same measurement in fresh processes. Where its memory lies differs from process to process and changes
 * times, so that only what several of them agree on is a property of what was measured. */
#include <config.h>

#include "cases/binding.h"
#include "base/clock.h"
#include "base/interrupt.h"
#include "base/isolate.h"
#include "base/relay.h"
#include "schedule/runs.h"
#include "model/property.h"
#include "schedule/recording.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* How long a process may take to end once it has closed its standard output. */
#define END_SECONDS 60.0

/* One process and what it writes. */
struct run {
    pid_t pid;
    int output; /* the end of a pipe */
    int errors; /* the same for its standard error */
};

/* The command of a process that measures what this one was asked for, and writes a record. Free it with the fixed
 * arguments in it alone; NULL if memory is short. */
static char **make_command(const struct settings *settings)
{
    static char format[] = "--format=json", quiet[] = "--quiet";
    const struct command *given = &settings->command;
    size_t count = 0;
    char **command = calloc(given->measuring.count + 4, sizeof *command);

    if (command == NULL) {
        return NULL;
    }
    command[count++] = given->argv[0];
    for (size_t i = 0; i < given->measuring.count; i++) {
        command[count++] = given->measuring.values[i];
    }
    command[count++] = format;
    if (settings->reporting.quiet) {
        command[count++] = quiet;
    }
    return command;
}

/* Two pipes, none of whose ends is left open to other processes. Returns an error number. */
static int make_pipes(int output[2], int errors[2])
{
    int error;

    if (pipe2(output, O_CLOEXEC) != 0) {
        return errno;
    }
    if (pipe2(errors, O_CLOEXEC) != 0) {
        error = errno;
        close(output[0]);
        close(output[1]);
        return error;
    }
    return 0;
}

static enum exit_code start(char **command, struct run *run)
{
    posix_spawn_file_actions_t actions;
    int output[2], errors[2];
    int error = make_pipes(output, errors);

    if (error == 0) {
        error = posix_spawn_file_actions_init(&actions);
        if (error == 0) {
            error = posix_spawn_file_actions_adddup2(&actions, output[1], STDOUT_FILENO);
            error = error == 0 ? posix_spawn_file_actions_adddup2(&actions, errors[1], STDERR_FILENO) : error;
            error = error == 0 ? binding_spawn(command, &actions, &run->pid) : error;
            posix_spawn_file_actions_destroy(&actions);
        }
        close(output[1]);
        close(errors[1]);
        if (error == 0) {
            run->output = output[0];
            run->errors = errors[0];
            return EXIT_OK;
        }
        close(output[0]);
        close(errors[0]);
    }
    message_error("--runs: a process could not be started: %s", strerror(error));
    return EXIT_CANNOT_RUN;
}

/* Pass on what DESCRIPTOR has to be read; false at its end. */
static bool hear(int descriptor, struct relay *relay)
{
    char text[4096];
    ssize_t got = read(descriptor, text, sizeof text);

    if (got > 0) {
        relay_take(relay, text, (size_t)got);
    }
    return got > 0 || (got < 0 && errno == EINTR);
}

/* Wait until there is output of RUN to read, and pass on its messages meanwhile. */
static void await_output(const struct run *run, struct relay *relay)
{
    struct pollfd wait[] = {{.fd = run->output, .events = POLLIN}, {.fd = run->errors, .events = POLLIN}};

    while (wait[0].revents == 0) {
        /* A negative descriptor is not waited for. */
        if (poll(wait, 2, -1) > 0 && wait[1].revents != 0 && !hear(run->errors, relay)) {
            wait[1].fd = -1;
            wait[1].revents = 0;
        }
    }
}

/* Pass on what a process that has ended left behind; others may hold its standard error open. */
static void hear_rest(const struct run *run, struct relay *relay)
{
    struct pollfd wait = {.fd = run->errors, .events = POLLIN};

    while (poll(&wait, 1, 0) > 0 && hear(run->errors, relay)) {
    }
    relay_finish(relay);
    close(run->errors);
}

/* All that the process writes, until it ends. Returns false if memory is short; free *TEXT either way. */
static bool read_all(const struct run *run, struct relay *relay, char **text, size_t *length)
{
    size_t size = 0;

    *text = NULL;
    *length = 0;
    for (;;) {
        ssize_t got;

        if (size - *length < 4096) {
            char *larger = realloc(*text, 2 * size + 65536);

            if (larger == NULL) {
                return false;
            }
            *text = larger;
            size = 2 * size + 65536;
        }
        await_output(run, relay);
        got = read(run->output, *text + *length, size - *length);
        if (got == 0 || (got < 0 && errno != EINTR)) {
            return true;
        }
        *length += got > 0 ? (size_t)got : 0;
    }
}

/* The exit status of a process that has ended. One that a signal ended could not run; whoever sent the signal knows. */
static enum exit_code finish(const struct run *run)
{
    int status = 0;

    close(run->output);
    if (!isolate_wait(run->pid, END_SECONDS, &status)) {
        message_error("--runs: process %ld cannot be stopped", (long)run->pid);
        return EXIT_CANNOT_RUN;
    }
    if (WIFEXITED(status)) {
        return (enum exit_code)WEXITSTATUS(status);
    }
    if (!interrupt_requested()) {
        message_error("--runs: a process was ended by signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
    }
    return EXIT_CANNOT_RUN;
}

/* Run one process. Its record is empty if it wrote none, having said why. */
static enum exit_code run_one(char **command, struct relay *relay, struct record *record)
{
    struct run run;
    char *text = NULL;
    size_t length = 0;
    bool has_text;
    enum exit_code code = start(command, &run), read;

    *record = (struct record){.count = 0};
    if (code != EXIT_OK) {
        return code;
    }
    has_text = read_all(&run, relay, &text, &length);
    code = finish(&run);
    hear_rest(&run, relay);
    if (!has_text) {
        message_error("out of memory: the record of a run");
        code = EXIT_CANNOT_RUN;
    } else if (length > 0) {
        read = record_from_json_text(text, length, "the record of a run", record);
        code = read != EXIT_OK ? EXIT_CANNOT_RUN : code;
    }
    free(text);
    return code;
}

/* True if both records are of the same cases, and of the same data. */
static bool same_cases(const struct record *a, const struct record *b)
{
    if (a->count != b->count) {
        return false;
    }
    for (size_t i = 0; i < a->count; i++) {
        for (enum property k = 0; k < PROPERTIES; k++) {
            if (!property_same(&a->cases[i], &b->cases[i], k)) {
                return false;
            }
        }
        if (!record_same_data(a, &a->cases[i], b, &b->cases[i])) {
            return false;
        }
    }
    return true;
}

/* A process as one round of one sample: disturbed if its median may be one of its own disturbed samples. */
static struct round round_of(const struct record_case *c)
{
    struct round round = c->found.rounds[0];

    for (size_t i = 1; i < c->found.round_count; i++) {
        round.conditions.throttle |= c->found.rounds[i].conditions.throttle;
    }
    round.median = c->found.time.median;
    round.retaken_samples = c->threads > 0 ? c->found.retaken_samples : 0;
    round.threads_wanted = c->found.threads_wanted;
    round.threads_obtained = c->found.threads_obtained;
    round.disturbed_samples = (record_doubts(c) & DOUBT_DISTURBED) != 0;
    return round;
}

/* What makes the case with INDEX doubtful in any of the COUNT RECORDS, and is not computed from its times, makes it so
 * in the first. */
static void keep_doubts(struct record *records, size_t count, size_t index)
{
    struct record_case *first = &records[0].cases[index];

    for (size_t i = 1; i < count; i++) {
        const struct record_case *c = &records[i].cases[index];

        first->found.converged = c->found.converged == TRUTH_NO ? TRUTH_NO : first->found.converged;
        first->found.out_of_time = c->found.out_of_time == TRUTH_YES ? TRUTH_YES : first->found.out_of_time;
        if (c->found.cache_check == CACHE_CHECK_FAILED && first->found.cache_check != CACHE_CHECK_FAILED) {
            first->found.cache_check = c->found.cache_check;
            first->found.hot_time = c->found.hot_time;
        }
    }
}

/* Make of the case with INDEX in the first of RECORDS the one of all COUNT: its samples are the medians of the
 * others'. */
static enum exit_code merge_case(struct record *records, size_t count, size_t index)
{
    double *best_times = malloc(count * sizeof *best_times), best_time;
    struct round *rounds = calloc(count, sizeof *rounds);

    if (best_times == NULL || rounds == NULL) {
        free(best_times);
        free(rounds);
        return message_out_of_memory("the times of the runs", count * sizeof *rounds);
    }
    for (size_t i = 0; i < count; i++) {
        best_times[i] = records[i].cases[index].found.best_time;
        rounds[i] = round_of(&records[i].cases[index]);
    }
    best_time = stats_median(best_times, count);
    keep_doubts(records, count, index);
    free(best_times);
    return recording_replace_rounds(&records[0].cases[index], rounds, count, best_time);
}

/* True if each of the COUNT records has a time of the case with INDEX. The first that has none says why. */
static bool all_have_time(const struct record *records, size_t count, size_t index, size_t *without)
{
    for (size_t i = 0; i < count; i++) {
        if (records[i].cases[index].found.sample_count == 0) {
            *without = i;
            return false;
        }
    }
    return true;
}

/* Make RECORD of the COUNT >= 1 records of the runs, which are emptied as far as they are used. */
static enum exit_code merge(const struct settings *settings, struct record *records, size_t count,
                            struct record *record)
{
    enum exit_code code = EXIT_OK;

    for (size_t i = 0; i < records[0].count && code == EXIT_OK; i++) {
        size_t without = 0;

        if (all_have_time(records, count, i, &without)) {
            code = merge_case(records, count, i);
        } else if (without != 0) {
            struct record_case other = records[without].cases[i];

            records[without].cases[i] = records[0].cases[i];
            other.device = records[0].cases[i].device;
            records[0].cases[i] = other;
        }
    }
    *record = records[0];
    records[0] = (struct record){.count = 0};
    return code == EXIT_OK ? recording_of_runs(record, settings, count) : code;
}

enum exit_code runs_measure(const struct settings *settings,
                            enum exit_code (*check)(const struct settings *settings, const struct record *first,
                                                    void *context),
                            void *context, struct record *record)
{
    struct record *records = calloc(settings->comparing.runs, sizeof *records);
    char **command = make_command(settings), where[64];
    struct relay relay = {.name = where};
    size_t count = 0;
    bool goes_on = true;
    double begin = clock_seconds();
    enum exit_code code = EXIT_OK;

    *record = (struct record){.count = 0};
    if (records == NULL || command == NULL) {
        code = message_out_of_memory("the runs", settings->comparing.runs * sizeof *records);
        goto out;
    }
    while (count < settings->comparing.runs && goes_on && !interrupt_requested()) {
        struct record *latest = &records[count];

        snprintf(where, sizeof where, "run %zu of %" PRIu64, count + 1, settings->comparing.runs);
        message_progress_eta(where, (double)count, (double)settings->comparing.runs, clock_seconds() - begin);
        code = message_worse(code, run_one(command, &relay, latest));
        message_progress_end();
        if (latest->count == 0 || latest->interrupted) {
            record_free(latest);
            break;
        }
        count++;
        if (!same_cases(&records[0], latest)) {
            message_error("--runs: run %zu measured other cases or data than the first", count);
            code = message_worse(code, EXIT_CANNOT_RUN);
            goes_on = false;
        } else if (count == 1 && check != NULL) {
            enum exit_code checked = check(settings, latest, context);

            code = message_worse(code, checked);
            goes_on = checked == EXIT_OK;
        }
    }
    if (count > 0 && goes_on) {
        code = message_worse(code, merge(settings, records, count, record));
    }
out:
    for (size_t i = 0; i < count; i++) {
        record_free(&records[i]);
    }
    free(command);
    free(records);
    return code;
}
