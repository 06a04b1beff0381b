/* SPDX-License-Identifier: Apache-2.0 */
/* challenge.c - puts questions into a case's buffers, and looks at the answers. Where only a code is asked about, the
 * code of the case's data is put back too, so that all that the last launches have written can be compared as one. */
#include <config.h>

#include "measure/challenge.h"
#include "check/hard.h"
#include "cases/input.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Probes of scales; these tiles are rescaled, where the question rescales. */
#define SCALES          2
#define SCALES_ISOLATED 1
/* Different questions in a visit at most; then they repeat. */
#define MOST_QUESTIONS 24
/* Questions that leave scales alone, for the last sample. */
#define LAST_QUESTIONS 2

static bool is_static(const struct challenges *c)
{
    return c->questioner.given_scales != NULL;
}

static bool has_codes(const struct challenges *c)
{
    return c->questioner.problem.scaling != QB_SCALING_AMAX;
}

/* ---- Preparing ---------------------------------------------------------------------------------------------- */

static enum exit_code compose(struct challenges *c, struct question *question, bool rescales, size_t scales,
                              size_t probes)
{
    enum qb_status status;

    question->probes = calloc(scales + probes, sizeof *question->probes);
    question->scales = calloc(scales, sizeof *question->scales);
    if (question->probes == NULL || question->scales == NULL) {
        return message_out_of_memory("the challenges", (scales + probes) * sizeof *question->probes);
    }
    status = question_compose(&c->questioner, rescales, scales, has_codes(c) ? probes : 0, question);
    return status == QB_OK ? EXIT_OK : message_status("the reference", status);
}

/* The usual questions, then those that leave scales alone. */
static enum exit_code compose_all(struct challenges *c, bool isolated)
{
    const size_t scales = isolated ? SCALES_ISOLATED : SCALES,
                 probes = isolated ? CHALLENGE_ISOLATED : CHALLENGE_PROBES;
    enum exit_code code = EXIT_OK;

    for (size_t i = 0; i < c->count && code == EXIT_OK; i++) {
        code = compose(c, &c->questions[i], i < c->usual_count, scales, probes);
    }
    return code;
}

enum exit_code challenges_begin(const struct plan_case *plan_case, const void *input, const float *given_scales,
                                const struct buffers *buffers, unsigned sets, unsigned asked, uint64_t samples,
                                struct challenges *challenges)
{
    const bool isolated = plan_case->launch == LAUNCH_ISOLATED;
    enum qb_status status;

    *challenges = (struct challenges){.buffers = buffers};
    challenges->usual_count = samples < MOST_QUESTIONS - 8 ? samples + 8 : MOST_QUESTIONS;
    challenges->outdated = calloc(sets, sizeof *challenges->outdated);
    challenges->questions = calloc(challenges->usual_count + LAST_QUESTIONS, sizeof *challenges->questions);
    if (challenges->outdated == NULL || challenges->questions == NULL) {
        return message_out_of_memory("the challenges", challenges->usual_count * sizeof *challenges->questions);
    }
    challenges->count = challenges->usual_count + LAST_QUESTIONS;
    status = questioner_begin(&plan_case->problem, qb_kernel_arithmetic(plan_case->kernel), input, given_scales, asked,
                              &challenges->questioner);
    return status == QB_OK ? compose_all(challenges, isolated) : message_status("the challenges", status);
}

void challenges_end(struct challenges *c)
{
    for (size_t i = 0; i < c->count; i++) {
        free(c->questions[i].probes);
        free(c->questions[i].scales);
    }
    free(c->questions);
    free(c->outdated);
    questioner_end(&c->questioner);
    *c = (struct challenges){.buffers = NULL};
}

uint64_t challenges_single(struct challenges *c, uint64_t count)
{
    return count > 1 ? 2 + questioner_random(&c->questioner, count - 1) : 1;
}

/* ---- Posing ------------------------------------------------------------------------------------------------- */

static enum qb_status write_element(const struct challenges *c, const struct probe *probe, uint32_t bits)
{
    const size_t size = input_element_size(c->questioner.problem.input);
    const struct qb_tensors set = buffers_set(c->buffers, c->first_set + probe->set);

    /* The lower half first: these hosts are little-endian. */
    return qb_memory_write(c->buffers->device, (char *)set.at[QB_ROLE_INPUT] + probe->element * size, &bits, size);
}

static enum qb_status write_code(const struct challenges *c, const struct probe *probe, uint8_t code)
{
    const struct qb_tensors set = buffers_set(c->buffers, c->first_set + probe->set);

    return qb_memory_write(c->buffers->device, (uint8_t *)set.at[QB_ROLE_CODES] + probe->element, &code, sizeof code);
}

static enum qb_status write_scale(const struct challenges *c, const struct scale_probe *probe, float scale)
{
    const struct qb_tensors set = buffers_set(c->buffers, c->first_set + probe->set);

    return qb_memory_write(c->buffers->device, (float *)set.at[QB_ROLE_SCALES] + probe->tile, &scale, sizeof scale);
}

static const struct question *choose(struct challenges *c, enum measure_question kind)
{
    return kind == MEASURE_LAST ? &c->questions[c->usual_count + c->next++ % LAST_QUESTIONS]
                                : &c->questions[c->next++ % c->usual_count];
}

enum qb_status challenges_pose(struct challenges *c, enum measure_question kind, unsigned set)
{
    const struct question *question = choose(c, kind);
    enum qb_status status = QB_OK;

    c->posed = question;
    c->first_set = set;
    for (size_t i = 0; i < question->probe_count && status == QB_OK; i++) {
        const struct probe *probe = &question->probes[i];

        if (probe->is != probe->was) {
            status = write_element(c, probe, probe->is);
        }
        if (status == QB_OK && has_codes(c)) {
            status = write_code(c, probe, probe->poison);
        }
    }
    for (size_t i = 0; i < question->scale_count && status == QB_OK; i++) {
        const struct scale_probe *scale = &question->scales[i];

        status = write_scale(c, scale, is_static(c) ? scale->want.stored : scale->poison);
    }
    return status;
}

/* ---- Judging ------------------------------------------------------------------------------------------------ */

/* Count a fault; true if it is the first of its kind. */
static bool count_fault(struct challenges *c, enum challenge_fault fault, bool is_scale)
{
    struct challenge_finding *finding = &c->findings[fault];

    *(is_scale ? &finding->scales : &finding->codes) += 1;
    return finding->codes + finding->scales == 1;
}

static enum qb_status judge_code(struct challenges *c, const struct probe *probe)
{
    const struct questioner *q = &c->questioner;
    const struct qb_tensors set = buffers_set(c->buffers, c->first_set + probe->set);
    enum challenge_fault fault = CHALLENGE_WRONG;
    uint8_t got;
    enum qb_status status =
        qb_memory_read(c->buffers->device, &got, (const uint8_t *)set.at[QB_ROLE_CODES] + probe->element, sizeof got);

    c->codes++;
    if (status != QB_OK || verify_is_code(&q->arithmetic, q->problem.output, got, probe->want)) {
        return status;
    }
    if (got == probe->poison) {
        fault = CHALLENGE_UNDONE;
    } else if (verify_is_code(&q->arithmetic, q->problem.output, got, probe->old)) {
        fault = CHALLENGE_STALE;
        c->stale_codes += !probe->rescaled;
    }
    if (count_fault(c, fault, false)) {
        snprintf(c->findings[fault].first, sizeof c->findings[fault].first,
                 "code [%" PRIu64 ", %" PRIu64 "]: got 0x%02X (%.9g), want 0x%02X (%.9g)",
                 probe->element / q->problem.hidden, probe->element % q->problem.hidden, got,
                 (double)qb_format_decode(q->problem.output, got), probe->want,
                 (double)qb_format_decode(q->problem.output, probe->want));
    }
    return QB_OK;
}

static enum qb_status judge_scale(struct challenges *c, const struct scale_probe *probe)
{
    const struct qb_arithmetic *arithmetic = &c->questioner.arithmetic;
    const struct qb_tensors set = buffers_set(c->buffers, c->first_set + probe->set);
    enum challenge_fault fault = CHALLENGE_WRONG;
    float got;
    enum qb_status status =
        qb_memory_read(c->buffers->device, &got, (float *)set.at[QB_ROLE_SCALES] + probe->tile, sizeof got);

    c->scales++;
    if (status != QB_OK || verify_is_scale(arithmetic, got, probe->want.stored)) {
        return status;
    }
    if (memcmp(&got, &probe->poison, sizeof got) == 0) {
        fault = CHALLENGE_UNDONE;
    } else if (verify_is_scale(arithmetic, got, probe->old.stored)) {
        fault = CHALLENGE_STALE;
    }
    if (count_fault(c, fault, true)) {
        snprintf(c->findings[fault].first, sizeof c->findings[fault].first,
                 "scale %" PRIu64 ": got %.9g (%a), want %.9g (%a)", probe->tile, (double)got, (double)got,
                 (double)probe->want.stored, (double)probe->want.stored);
    }
    return QB_OK;
}

/* Put back what PROBE has changed. */
static enum qb_status restore(const struct challenges *c, const struct probe *probe)
{
    enum qb_status status = QB_OK;

    if (probe->is != probe->was) {
        status = write_element(c, probe, probe->was);
    }
    if (status == QB_OK && has_codes(c) && !probe->rescaled && probe->want != probe->old) {
        status = write_code(c, probe, probe->old);
    }
    return status;
}

/* Remember which sets hold the answer to QUESTION in more than its probes: it was put to all SETS that were launched
 * into. */
static void note_outdated(struct challenges *c, const struct question *question)
{
    memset(c->outdated + c->first_set, false, c->questioner.sets * sizeof *c->outdated);
    for (size_t i = 0; i < question->scale_count; i++) {
        if (question->scales[i].changed) {
            c->outdated[c->first_set + question->scales[i].set] = true;
        }
    }
}

enum qb_status challenges_judge(struct challenges *c)
{
    const struct question *question = c->posed;
    enum qb_status status = QB_OK;

    for (size_t i = 0; i < question->probe_count && status == QB_OK && has_codes(c); i++) {
        status = judge_code(c, &question->probes[i]);
    }
    for (size_t i = 0; i < question->scale_count && status == QB_OK; i++) {
        const struct scale_probe *scale = &question->scales[i];

        status = is_static(c) ? write_scale(c, scale, scale->old.stored) : judge_scale(c, scale);
    }
    for (size_t i = 0; i < question->probe_count && status == QB_OK; i++) {
        status = restore(c, &question->probes[i]);
    }
    note_outdated(c, question);
    c->posed = NULL;
    return status;
}

/* ---- The verdict -------------------------------------------------------------------------------------------- */

static const char *describe(const struct challenges *c, enum challenge_fault fault)
{
    switch (fault) {
    case CHALLENGE_UNDONE:
        return "work left undone";
    case CHALLENGE_STALE:
        return c->stale_codes > 0 ? "an earlier answer reused" : "an earlier scale reused";
    case CHALLENGE_WRONG:
        break;
    }
    return "its results differ from the reference";
}

static uint64_t at_most(uint64_t value, uint64_t most)
{
    return value < most ? value : most;
}

/* A long visit asks more than a small case has elements. No more is told than outcome_check() takes of any case. */
static void limit_counts(struct mismatch *mismatch)
{
    mismatch->compared = at_most(mismatch->compared, HARD_MOST_ELEMENTS);
    mismatch->wrong_codes = at_most(mismatch->wrong_codes, HARD_MOST_ELEMENTS);
    mismatch->wrong_scales = at_most(mismatch->wrong_scales, HARD_MOST_ELEMENTS);
}

enum exit_code challenges_verdict(const struct challenges *c, const char *kernel, struct mismatch *mismatch)
{
    struct mismatch all = {.compared = c->codes};
    uint64_t most = 0;
    int most_often = 0;

    for (int fault = 0; fault < CHALLENGE_FAULTS; fault++) {
        const struct challenge_finding *finding = &c->findings[fault];

        all.wrong_codes += finding->codes;
        all.wrong_scales += finding->scales;
        if (finding->codes + finding->scales > most) {
            most = finding->codes + finding->scales;
            most_often = fault;
        }
    }
    if (most == 0) {
        return EXIT_OK;
    }
    snprintf(all.first, sizeof all.first, "%s", c->findings[most_often].first);
    message_error("wrong result: kernel %s, while it was timed: %s: %" PRIu64 " of %" PRIu64 " codes and %" PRIu64
                  " of %" PRIu64 " scales are wrong; the first is %s",
                  kernel, describe(c, (enum challenge_fault)most_often), c->findings[most_often].codes, c->codes,
                  c->findings[most_often].scales, c->scales, all.first);
    limit_counts(&all);
    *mismatch = all;
    return EXIT_WRONG_RESULT;
}
