/* SPDX-License-Identifier: Apache-2.0 */
/* soak.c - see schedule/soak.h. What a round is follows from the seed and its number alone, so that processes with the
 * same list run the same, and each round can be repeated by itself. */
#include <config.h>

#include "base/clock.h"
#include "base/digest.h"
#include "base/interrupt.h"
#include "model/problem_text.h"
#include "schedule/gate.h"
#include "schedule/rounds.h"
#include "schedule/soak.h"
#include "schedule/soak_round.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Seconds of work in a round, and of rest before it; less in a soak that is short. */
#define PHASE      5.0
#define PHASE_PART 12

/* Seconds between two records. */
#define SAVE_INTERVAL 60.0

/* Where the rounds are. */
struct progress {
    double start, end; /* seconds of the host's clock; the end of rounds is not known */
    double saved;
    size_t *order; /* of the cases, in the pass through the list that is under way */
};

/* A digest of the list: its problems and kernels in order, and all that the data follow from. */
static uint64_t digest_list(const struct soak_run *run)
{
    const uint64_t data[] = {run->seed, (uint64_t)run->expert_load, run->chose_dist};
    uint64_t list = digest_of(data, sizeof data);

    for (size_t i = 0; i < run->plan->count; i++) {
        const struct plan_case *c = &run->plan->cases[i];
        char problem[PROBLEM_TEXT_SIZE];
        uint64_t parts[4] = {list};

        problem_text(&c->problem, problem, sizeof problem);
        parts[1] = digest_of(problem, strlen(problem));
        parts[2] = digest_of(c->about->name, strlen(c->about->name));
        parts[3] = run->chose_dist ? (uint64_t)c->dist : 0;
        list = digest_of(parts, sizeof parts);
    }
    return list;
}

/* Set *ROUND to round NUMBER. */
static void choose(const struct soak_run *run, const struct progress *progress, uint64_t number,
                   struct soak_round *round)
{
    const size_t count = run->plan->count;
    const uint64_t seed = run->seed + number, mixed = input_random(input_random(run->seed) + number);
    const double seconds = run->method->soak.seconds;

    rounds_shuffle(run->seed, number / count, count, progress->order);
    *round = (struct soak_round){
        .soak = run->soak,
        .machine = run->machine,
        .expert_load = run->expert_load,
        .plan_case = run->plan->cases[progress->order[number % count]],
        .what = {.round = number, .seed = seed, .index = progress->order[number % count]},
        .start = progress->start,
        .phase = fmin(PHASE, seconds / PHASE_PART),
        .until = progress->end,
        .save = run->save,
        .context = run->context,
    };
    if (!run->chose_dist) {
        round->plan_case.dist = (enum input_dist)(mixed % INPUT_DISTS);
    }
    round->what.dist = round->plan_case.dist;
    round->what.load = (enum soak_load)(mixed / INPUT_DISTS % SOAK_LOADS);
}

static void show_progress(const struct soak_run *run, const struct progress *progress, const struct soak_round *round)
{
    const struct soak_length *wanted = &run->method->soak;
    const double elapsed = clock_seconds() - progress->start;
    char where[256];

    snprintf(where, sizeof where, "round %" PRIu64 ", %s, %" PRIu64 " wrong", round->what.round,
             qb_kernel_name(round->plan_case.kernel), run->soak->wrong);
    message_progress_eta(where, wanted->seconds > 0 ? elapsed : (double)run->soak->rounds,
                         wanted->seconds > 0 ? wanted->seconds : (double)wanted->rounds, elapsed);
}

/* Write the record if it is time to. */
static void save(const struct soak_run *run, struct progress *progress, bool at_once)
{
    const double now = clock_seconds();

    run->soak->seconds = now - progress->start;
    if (at_once || now - progress->saved >= SAVE_INTERVAL) {
        progress->saved = now;
        run->save(run->context);
    }
}

/* True if there is another round after DONE. */
static bool goes_on(const struct soak_run *run, const struct progress *progress, uint64_t done)
{
    const struct soak_length *wanted = &run->method->soak;

    return !interrupt_requested() && (wanted->seconds > 0 ? clock_seconds() < progress->end : done < wanted->rounds);
}

static enum exit_code run_round(const struct soak_run *run, struct progress *progress, uint64_t number)
{
    struct soak *soak = run->soak;
    const uint64_t before = soak->differences;
    struct soak_round round;
    enum exit_code code;

    choose(run, progress, number, &round);
    show_progress(run, progress, &round);
    code = soak_round_run(&round);
    soak->rounds++;
    save(run, progress, soak->rounds == 1 || soak->differences > before);
    return code;
}

void soak_run(const struct soak_run *run)
{
    struct soak *soak = run->soak;
    struct progress progress = {.order = calloc(run->plan->count, sizeof *progress.order)};
    enum exit_code code = EXIT_OK;

    if (progress.order == NULL) {
        soak->code = message_out_of_memory("the list of cases", run->plan->count * sizeof *progress.order);
        return;
    }
    soak->list = digest_list(run);
    gate_begin(run->method);
    progress.start = clock_seconds();
    progress.end = run->method->soak.seconds > 0 ? progress.start + run->method->soak.seconds : INFINITY;
    for (uint64_t done = 0; code == EXIT_OK && goes_on(run, &progress, done); done++) {
        const uint64_t number = soak->first_round + done;

        if (!gate_enter(run->method, number)) {
            break;
        }
        code = run_round(run, &progress, number);
        gate_leave(run->method, number);
    }
    message_progress_end();
    soak->seconds = clock_seconds() - progress.start;
    if (code == EXIT_OK && soak->launches == 0 && !interrupt_requested()) {
        message_error("--soak: memory has no room for any case; use fewer tokens or a smaller hidden size");
        code = EXIT_CANNOT_RUN;
    }
    soak->code = message_worse(code, soak->differences > 0 ? EXIT_WRONG_RESULT : EXIT_OK);
    free(progress.order);
}
