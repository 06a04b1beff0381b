/* SPDX-License-Identifier: Apache-2.0 */
/* soak_round.c - one round of a soak. What is right is computed once, by the reference; copies of the data fill a part
 * of the device's memory, so that launches go through many places of it; and all that they write is compared where it
 * is. A launch that was wrong is made again, on the same data, to find out if it is so always. */
#include <config.h>

#include "base/clock.h"
#include "base/digest.h"
#include "base/inject.h"
#include "base/interrupt.h"
#include "cases/binding.h"
#include "model/problem_text.h"
#include "schedule/soak_round.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Sets of tensors: at most this many, in a part of the free memory and in no more than these bytes. A CPU is shared
 * with others, and its caches are small. */
#define MOST_SETS   256
#define DEVICE_PART 2
#define DEVICE_MOST ((uint64_t)16 << 30)
#define HOST_PART   8
#define HOST_MOST   ((uint64_t)256 << 20)

/* Launches of a round whose length is not in seconds, at least; and those of a repetition. */
#define LAUNCHES 100
#define REPEATS  100

/* Seconds between two launches of SOAK_BURST. */
#define BURST_REST 5e-3

/* No sleep is longer before signals are looked for again. */
#define NAP 0.2

static bool is_written(const struct soak_round *round, int role)
{
    return round->images[role] != NULL;
}

/* ---- Preparation ------------------------------------------------------------------------------------------------- */

/* How many sets of tensors of these BYTES there are to be; 0: memory has no room for one. */
static unsigned choose_sets(const struct soak_round *round, const struct sizes *bytes)
{
    struct device *device = round->plan_case.device;
    const uint64_t there = machine_memory_free(device), one = buffers_memory(bytes, 1) + 1;
    const uint64_t part = device_is_cpu(device) ? there / HOST_PART : there / DEVICE_PART;
    const uint64_t most = device_is_cpu(device) ? HOST_MOST : DEVICE_MOST;
    const uint64_t sets = (part < most ? part : most) / one;

    /* One more for what is right. */
    return sets > MOST_SETS ? MOST_SETS : sets > 0 ? (unsigned)sets : 2 * one < there ? 1 : 0;
}

/* A queue as the case wants it. */
static enum exit_code make_queue(struct soak_round *round)
{
    const struct plan_case *c = &round->plan_case;
    enum qb_status status = qb_queue_create(c->device->handle, &round->queue);

    if (status != QB_OK) {
        round->queue = NULL;
        return message_status(c->device->info.id, status);
    }
    if (c->threads > 0) {
        status = qb_queue_set_threads(round->queue, c->threads);
    }
    if (status == QB_OK) {
        status = qb_queue_reserve(round->queue, qb_kernel_workspace(c->kernel, c->device->handle, &c->problem));
    }
    return status == QB_OK ? EXIT_OK : message_status(qb_kernel_name(c->kernel), status);
}

/* What is right for each tensor that is written, on the host and on the device. */
static enum exit_code make_images(struct soak_round *round)
{
    const struct plan_case *c = &round->plan_case;
    enum exit_code code = EXIT_OK;

    for (int role = 0; role < QB_ROLE_COUNT && code == EXIT_OK; role++) {
        const uint64_t bytes = round->buffers.bytes.of[role];
        struct qb_tensor_info tensor = {.size = sizeof tensor};
        enum qb_status status = qb_problem_tensor(&c->problem, (enum qb_role)role, &tensor);

        if (status != QB_OK || !tensor.present || !tensor.written) {
            continue;
        }
        code = verify_image(&round->expectation, (enum qb_role)role, &round->images[role]);
        if (code == EXIT_OK) {
            status = qb_memory_alloc(c->device->handle, bytes, &round->expected[role]);
            status = status == QB_OK
                         ? qb_memory_write(c->device->handle, round->expected[role], round->images[role], bytes)
                         : status;
            code = status == QB_OK ? EXIT_OK : message_status("the reference's answer", status);
        }
    }
    return code;
}

/* Data, what is right for them, and memory on the device. */
static enum exit_code prepare(struct soak_round *round)
{
    const struct plan_case *c = &round->plan_case;
    const struct sizes bytes = sizes_of(&c->problem);
    const void *given[QB_ROLE_COUNT];
    void *made[QB_ROLE_COUNT] = {NULL};
    enum exit_code code;

    round->sets = choose_sets(round, &bytes);
    round->inputs = (struct inputs){.seed = round->what.seed, .expert_load = round->expert_load};
    if (round->sets == 0) {
        return EXIT_OK;
    }
    code = inputs_get(&round->inputs, c, &round->data);
    code = code == EXIT_OK ? verify_expect(&c->problem, qb_kernel_arithmetic(c->kernel), &round->data, false, true,
                                           &round->expectation)
                           : code;
    code = code == EXIT_OK ? make_queue(round) : code;
    for (int role = 0; role < QB_ROLE_COUNT && code == EXIT_OK; role++) {
        if (round->data.at[role] == NULL && bytes.of[role] > 0 && sizes_is_given(&c->problem, (enum qb_role)role)) {
            code = verify_image(&round->expectation, (enum qb_role)role, &made[role]);
        }
        given[role] = round->data.at[role] != NULL ? round->data.at[role] : made[role];
    }
    if (code == EXIT_OK) {
        enum qb_status status;

        status = buffers_make(c->device->handle, round->queue, &bytes, round->sets, given, &round->buffers);
        code = status == QB_OK ? EXIT_OK : message_status("the buffers", status);
    }
    for (int role = 0; role < QB_ROLE_COUNT; role++) {
        free(made[role]);
    }
    return code == EXIT_OK ? make_images(round) : code;
}

static void release(struct soak_round *round)
{
    for (int role = 0; role < QB_ROLE_COUNT; role++) {
        qb_memory_free(round->plan_case.device->handle, round->expected[role]);
        free(round->images[role]);
    }
    buffers_free(&round->buffers);
    qb_queue_destroy(round->queue);
    verify_free(&round->expectation);
    inputs_free(&round->inputs);
}

/* ---- Launches, and the comparison of what they wrote --------------------------------------------------------------
 */

/* Leave the device alone for SECONDS, but not beyond the end. */
static void rest(const struct soak_round *round, double seconds)
{
    const double end = clock_seconds() + seconds;

    for (double now = clock_seconds(); now < end && now < round->until && !interrupt_requested();
         now = clock_seconds()) {
        const double nap = end - now < NAP ? end - now : NAP;
        const struct timespec pause = {0, (long)(nap * 1e9)};

        nanosleep(&pause, NULL);
    }
}

/* Launch into all sets, whose outputs are poisoned; if RESTS, with a rest before each launch. */
static enum qb_status launch_all(struct soak_round *round, bool rests, double *rested)
{
    const struct plan_case *c = &round->plan_case;
    enum qb_status status = buffers_poison(&round->buffers, &c->problem), end;

    for (unsigned set = 0; set < round->sets && status == QB_OK && !interrupt_requested(); set++) {
        const struct qb_tensors tensors = buffers_set(&round->buffers, set);

        if (rests) {
            double before;

            /* The device is to be idle, and the queue need not be empty for that on the host's side. */
            status = qb_queue_synchronize(round->queue);
            before = clock_seconds();
            rest(round, BURST_REST);
            *rested += clock_seconds() - before;
        }
        status = status == QB_OK ? qb_kernel_run(c->kernel, round->queue, &c->problem, &tensors) : status;
    }
    end = qb_queue_synchronize(round->queue);
    return status == QB_OK ? end : status;
}

/* Compare COUNT sets from FIRST on. *ROLE gets the tensor of a difference and *PLACE where it is, from the first set of
 * all on; QB_ROLE_COUNT: there is none. */
static enum qb_status compare_sets(const struct soak_round *round, unsigned first, unsigned count, int *role,
                                   uint64_t *place)
{
    const struct buffers *buffers = &round->buffers;
    enum qb_status status = QB_OK;

    *role = QB_ROLE_COUNT;
    for (int r = 0; r < QB_ROLE_COUNT && status == QB_OK && *role == QB_ROLE_COUNT; r++) {
        const struct copies *copies = &buffers->copies[r];
        const struct qb_copies some = {(const char *)copies->memory + first * copies->stride, copies->stride, count};
        uint64_t different, at;

        if (!is_written(round, r)) {
            continue;
        }
        status = qb_memory_compare(buffers->device, &some, round->expected[r], buffers->bytes.of[r], &different, &at);
        if (status == QB_OK && different > 0) {
            *role = r;
            *place = first * copies->stride + at;
        }
    }
    return status;
}

/* Change a byte of what launches wrote, if that was asked for: of any set, so that a comparison that leaves some out is
 * found. */
static bool inject(struct soak_round *round)
{
    const uint64_t random = input_random(input_random(round->what.seed) + round->passes);

    for (int role = 0; role < QB_ROLE_COUNT; role++) {
        if (is_written(round, role)) {
            return buffers_inject(&round->buffers, (enum qb_role)role, (unsigned)(random % round->sets));
        }
    }
    return false;
}

static uint64_t written_bytes(const struct soak_round *round)
{
    uint64_t bytes = 0;

    for (int role = 0; role < QB_ROLE_COUNT; role++) {
        bytes += is_written(round, role) ? round->buffers.bytes.of[role] : 0;
    }
    return bytes;
}

/* Launch into all sets and compare them. An interrupt leaves sets that were not launched into: these do not count. */
static enum qb_status pass(struct soak_round *round, bool rests, int *role, uint64_t *place)
{
    struct soak *soak = round->soak;
    const double begun = clock_seconds();
    double rested = 0;
    enum qb_status status = launch_all(round, rests, &rested);

    *role = QB_ROLE_COUNT;
    if (status != QB_OK || interrupt_requested()) {
        return status;
    }
    round->what.is_injected = inject(round) || round->what.is_injected;
    status = compare_sets(round, 0, round->sets, role, place);
    if (status == QB_OK) {
        round->passes++;
        soak->launches += round->sets;
        soak->case_launches[round->what.index] += round->sets;
        soak->bytes += round->sets * written_bytes(round);
        soak->busy += clock_seconds() - begun - rested;
    }
    message_heartbeat();
    return status;
}

/* ---- A difference ------------------------------------------------------------------------------------------------ */

/* Describe the bytes of GOT that are not as in the image of the tensor of ROLE. */
static void describe_bytes(const struct soak_round *round, const uint8_t *got, enum qb_role role,
                           struct soak_difference *d)
{
    const uint8_t *want = round->images[role];
    const uint64_t bytes = round->buffers.bytes.of[role];
    uint64_t last = d->byte;

    d->count = d->step = 0;
    for (uint64_t i = 0; i < bytes; i++) {
        if (got[i] == want[i]) {
            continue;
        }
        if (d->count == 1) {
            d->step = i - last;
        } else if (d->count > 1 && d->step != i - last) {
            d->step = 0;
        }
        last = i;
        d->count++;
    }
    d->got = got[d->byte];
    d->want = want[d->byte];
}

/* Read back the tensor of ROLE that has a difference at PLACE, and describe that. */
static enum exit_code describe(struct soak_round *round, enum qb_role role, uint64_t place, struct soak_difference *d)
{
    const struct buffers *buffers = &round->buffers;
    const struct copies *copies = &buffers->copies[role];
    const uint64_t bytes = buffers->bytes.of[role];
    struct copies one[QB_ROLE_COUNT];
    struct mismatch mismatch;
    uint8_t *got = malloc(bytes + 1);
    enum qb_status status;
    enum exit_code code;

    if (got == NULL) {
        return message_out_of_memory("reading the codes back", bytes);
    }
    d->role = role;
    d->set = place / copies->stride;
    d->byte = place % copies->stride;
    status = qb_memory_read(buffers->device, got, (const char *)copies->memory + d->set * copies->stride, bytes);
    if (status == QB_OK) {
        describe_bytes(round, got, role, d);
    }
    free(got);
    for (int r = 0; r < QB_ROLE_COUNT; r++) {
        one[r] = buffers->copies[r];
        one[r].count = 1;
        one[r].memory = (char *)one[r].memory + d->set * one[r].stride;
    }
    code = status == QB_OK ? verify_compare(buffers->device, one, round->data.values, &round->expectation, &mismatch)
                           : message_status("reading the codes back", status);
    if (code == EXIT_OK) {
        memcpy(d->first, mismatch.first, sizeof d->first);
    }
    return code;
}

/* Count the launches of a pass that were wrong. Where none is when it is compared again, there was one before. */
static enum qb_status count_wrong(const struct soak_round *round, uint64_t *wrong)
{
    enum qb_status status = QB_OK;
    uint64_t place;
    int role;

    *wrong = 0;
    for (unsigned set = 0; set < round->sets && status == QB_OK; set++) {
        status = compare_sets(round, set, 1, &role, &place);
        *wrong += role < QB_ROLE_COUNT;
    }
    *wrong += *wrong == 0;
    return status;
}

/* Launch the same again, and count the launches that are wrong, now and in the pass that found D. */
static enum exit_code repeat(struct soak_round *round, struct soak_difference *d)
{
    struct soak *soak = round->soak;
    uint64_t place, wrong;
    enum qb_status status = count_wrong(round, &wrong);
    int role;

    soak->wrong += wrong - 1; /* one is counted */
    while (d->repeats < REPEATS && status == QB_OK && !interrupt_requested()) {
        const uint64_t before = soak->launches;

        status = pass(round, false, &role, &place);
        if (status == QB_OK && role < QB_ROLE_COUNT) {
            status = count_wrong(round, &wrong);
            d->repeated += wrong;
            soak->wrong += wrong;
        }
        d->repeats += soak->launches - before;
    }
    return status == QB_OK ? EXIT_OK : message_status(qb_kernel_name(round->plan_case.kernel), status);
}

/* Say what is known of D, and write it to the record at once. */
static void report(struct soak_round *round, const struct soak_difference *d)
{
    char problem[PROBLEM_TEXT_SIZE];

    problem_text(&round->plan_case.problem, problem, sizeof problem);
    message_error("wrong result: kernel %s, %s, round %" PRIu64 ": byte %" PRIu64 " of the %s: got 0x%02x, want 0x%02x",
                  qb_kernel_name(round->plan_case.kernel), problem, d->round, d->byte, qb_role_name(d->role), d->got,
                  d->want);
    round->soak->seconds = clock_seconds() - round->start;
    round->save(round->context);
}

/* Keep a difference of the tensor of ROLE at PLACE. It is in the record before anything is launched again: a device
 * that errs may not come back from that. */
static enum exit_code keep(struct soak_round *round, enum qb_role role, uint64_t place)
{
    struct soak *soak = round->soak;
    struct soak_difference other, *d = soak->kept_count < SOAK_KEPT ? &soak->kept[soak->kept_count++] : &other;
    enum exit_code code;

    *d = round->what;
    d->conditions = machine_conditions(round->plan_case.device->handle);
    d->start = clock_seconds() - round->start;
    clock_date(d->date);
    soak->differences++;
    soak->wrong++;
    code = describe(round, role, place, d);
    report(round, d);
    code = code == EXIT_OK ? repeat(round, d) : code;
    soak->repeatable += d->repeated > 0;
    return code;
}

/* ---- The round --------------------------------------------------------------------------------------------------- */

/* Add what is right to the digest of the rounds that have it, or that this round was LEFT_OUT. Each digest covers twice
 * as many rounds as the one before, so that two hosts have most of them in common, however long each ran. */
static void note_reference(const struct soak_round *round, bool left_out)
{
    struct soak *soak = round->soak;
    const uint64_t number = round->what.round;
    struct soak_reference *last = &soak->references[soak->reference_count > 0 ? soak->reference_count - 1 : 0];

    if (soak->reference_count == 0 || number - last->first >= (uint64_t)1 << (soak->reference_count - 1)) {
        last = &soak->references[soak->reference_count++];
        *last = (struct soak_reference){.first = number};
    }
    last->last = number;
    last->left_out += left_out;
    for (int role = 0; role < QB_ROLE_COUNT; role++) {
        if (is_written(round, role)) {
            const uint64_t both[] = {last->digest, digest_of(round->images[role], round->buffers.bytes.of[role])};

            last->digest = digest_of(both, sizeof both);
        }
    }
}

/* Launch until the phase is over, or a byte is wrong. */
static enum exit_code work(struct soak_round *round)
{
    const double end = clock_seconds() + round->phase;
    const bool rests = round->phase > 0 && round->what.load == SOAK_BURST;
    enum qb_status status = QB_OK;
    uint64_t place, launches = 0;
    int role = QB_ROLE_COUNT;

    do {
        status = pass(round, rests, &role, &place);
        launches += round->sets;
    } while (status == QB_OK && role == QB_ROLE_COUNT && !interrupt_requested() &&
             (round->phase > 0 ? clock_seconds() < end && clock_seconds() < round->until : launches < LAUNCHES));
    if (status != QB_OK) {
        return message_status(qb_kernel_name(round->plan_case.kernel), status);
    }
    return role < QB_ROLE_COUNT ? keep(round, (enum qb_role)role, place) : EXIT_OK;
}

enum exit_code soak_round_run(struct soak_round *round)
{
    enum exit_code code = prepare(round);

    if (code == EXIT_OK && round->sets == 0) {
        char problem[PROBLEM_TEXT_SIZE];

        problem_text(&round->plan_case.problem, problem, sizeof problem);
        message_warning("left out: memory has no room for %s", problem);
        round->soak->left_out++;
        note_reference(round, true);
    } else if (code == EXIT_OK) {
        note_reference(round, false);
        round->soak->loads[round->what.load]++;
        if (round->phase > 0 && round->what.load == SOAK_IDLE) {
            rest(round, round->phase);
        }
        binding_hold(round->machine);
        code = work(round);
        binding_release(round->machine);
    }
    release(round);
    return code;
}
