/* SPDX-License-Identifier: Apache-2.0 */
/* challenge.c - puts questions into a case's buffers, and looks at the answers. Where only a code is asked about, the
 * code of the case's data is put back too, so that all that the last launches have written can be compared as one. */
#include <config.h>

#include "measure/challenge.h"
#include "check/cache.h"
#include "check/experts.h"
#include "check/hard.h"
#include "check/scales.h"
#include "cases/input.h"
#include "cases/values.h"

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

static bool is_given(const struct challenges *c, enum qb_role role)
{
    return c->questioners[0].given.at[role] != NULL;
}

static bool has_codes(const struct challenges *c)
{
    return c->questioners[0].problem.scaling != QB_SCALING_AMAX;
}

/* Who asks the question that is posed. */
static const struct questioner *asker(const struct challenges *c)
{
    return &c->questioners[c->posed->part];
}

/* The role in the whole problem of the tensor that has ROLE in the part that the posed question is about. */
static enum qb_role whole_role(const struct challenges *c, enum qb_role role)
{
    return part_role(c->problem, c->posed->part, role);
}

/* ---- Preparing ---------------------------------------------------------------------------------------------- */

/* Add to PROBE, of part PART, that the code of its element in the other part changes too. No scale does. */
static enum qb_status add_other(struct challenges *c, unsigned part, struct probe *probe)
{
    struct questioner *other = &c->questioners[1 - part];
    const struct qb_problem *p = c->problem;
    const uint64_t rows = part == 0 ? p->tokens : p->hidden, cols = part == 0 ? p->hidden : p->tokens;
    const uint64_t element = probe->element % cols * rows + probe->element / cols;
    struct change_element *e = &probe->change.written[0];

    *e = (struct change_element){part_role(p, 1 - part, QB_ROLE_CODES), element, 0, 0};
    probe->change.written_count = 1;
    return questioner_answers(other, element, probe->was, probe->is, &e->was, &e->is);
}

/* The same of all probes of QUESTION that change something. */
static enum qb_status add_others(struct challenges *c, struct question *question)
{
    enum qb_status status = QB_OK;

    for (size_t i = 0; i < question->probe_count && status == QB_OK; i++) {
        if (question->probes[i].change.read_count > 0) {
            status = add_other(c, question->part, &question->probes[i]);
        }
    }
    return status;
}

static enum exit_code compose(struct challenges *c, struct question *question, bool rescales, size_t scales,
                              size_t probes)
{
    enum qb_status status;

    question->probes = calloc(2 * (scales + probes), sizeof *question->probes);
    question->scales = calloc(scales, sizeof *question->scales);
    if (question->probes == NULL || question->scales == NULL) {
        return message_out_of_memory("the challenges", 2 * (scales + probes) * sizeof *question->probes);
    }
    question->part = (unsigned)questioner_random(&c->questioners[0], part_count(c->problem));
    status = question_compose(&c->questioners[question->part], rescales, scales, has_codes(c) ? probes : 0, question);
    if (status == QB_OK && !rescales && part_count(c->problem) > 1) {
        status = add_others(c, question);
    }
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

/* POINTER and BYTES, if there is such a tensor. */
static void *moved(const void *pointer, uint64_t bytes)
{
    return pointer != NULL ? (char *)(uintptr_t)pointer + bytes : NULL;
}

/* Ask about one of the experts of C's problem, which has DATA and GIVEN, as if it were all: which one nobody knows
 * before. */
static enum qb_status choose_expert(const struct case_data *data, void *const given[QB_ROLE_COUNT],
                                    struct challenges *c, struct case_data *own_data)
{
    const int64_t *table = data->at[QB_ROLE_EXPERTS];
    struct qb_tensors tensors = {.size = sizeof tensors};
    char base;
    uint64_t expert = 0;
    enum qb_status status;

    for (int role = 0; role < QB_ROLE_COUNT; role++) {
        tensors.at[role] = &base;
    }
    experts_choose(c->problem, table, questioner_entropy() % c->problem->experts, &expert);
    c->own.size = sizeof c->own;
    status = qb_problem_expert(c->problem, table, expert, &c->own, &tensors);
    *own_data = *data;
    for (int role = 0; role < QB_ROLE_COUNT && status == QB_OK; role++) {
        c->offsets[role] = tensors.at[role] != NULL ? (uint64_t)((uintptr_t)tensors.at[role] - (uintptr_t)&base) : 0;
        c->given[role] = moved(given[role], c->offsets[role]);
        own_data->at[role] = moved(data->at[role], c->offsets[role]);
    }
    own_data->values =
        moved(data->values, values_differ(c->problem) ? c->offsets[QB_ROLE_VALUES] : c->offsets[QB_ROLE_INPUT]);
    c->problem = &c->own;
    return status;
}

/* Let each part of the problem have a questioner. */
static enum qb_status begin_questioners(const struct qb_arithmetic *arithmetic, const struct case_data *data,
                                        void *const given[QB_ROLE_COUNT], unsigned asked, struct challenges *c)
{
    struct case_data own = *data;
    enum qb_status status = QB_OK;

    memcpy(c->given, given, sizeof c->given);
    if (c->problem->experts > 0) {
        status = choose_expert(data, given, c, &own);
    }
    for (unsigned part = 0; part < part_count(c->problem) && status == QB_OK; part++) {
        const struct qb_problem problem = part_of(c->problem, part);

        inputs_take_part(&own, &problem, &c->data[part]);
        status = questioner_begin(&problem, arithmetic, &c->data[part], c->given, asked, &c->questioners[part]);
    }
    return status;
}

enum exit_code challenges_begin(const struct plan_case *plan_case, const struct case_data *data,
                                void *const given[QB_ROLE_COUNT], const struct buffers *buffers, unsigned sets,
                                unsigned asked, uint64_t samples, struct challenges *challenges)
{
    const bool isolated = plan_case->launch == LAUNCH_ISOLATED;
    enum qb_status status;

    *challenges = (struct challenges){.buffers = buffers, .problem = &plan_case->problem, .sets = sets};
    challenges->usual_count = samples < MOST_QUESTIONS - 8 ? samples + 8 : MOST_QUESTIONS;
    challenges->outdated = calloc(sets, sizeof *challenges->outdated);
    challenges->questions = calloc(challenges->usual_count + LAST_QUESTIONS, sizeof *challenges->questions);
    if (challenges->outdated == NULL || challenges->questions == NULL) {
        return message_out_of_memory("the challenges", challenges->usual_count * sizeof *challenges->questions);
    }
    challenges->count = challenges->usual_count + LAST_QUESTIONS;
    status = begin_questioners(qb_kernel_arithmetic(plan_case->kernel), data, given, asked, challenges);
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
    for (int part = 0; part < PART_MOST; part++) {
        questioner_end(&c->questioners[part]);
    }
    *c = (struct challenges){.buffers = NULL};
}

uint64_t challenges_single(struct challenges *c, uint64_t count)
{
    return count > 1 ? 2 + questioner_random(&c->questioners[0], count - 1) : 1;
}

/* ---- Posing ------------------------------------------------------------------------------------------------- */

/* Set SET of those that a question is about, among all. */
static unsigned asked_set(const struct challenges *c, unsigned set)
{
    return (c->first_set + set) % c->sets;
}

/* The tensors there, of the expert that is asked about. */
static struct qb_tensors asked_tensors(const struct challenges *c, unsigned set)
{
    struct qb_tensors tensors = buffers_set(c->buffers, asked_set(c, set));

    for (int role = 0; role < QB_ROLE_COUNT; role++) {
        tensors.at[role] = moved(tensors.at[role], c->offsets[role]);
    }
    return tensors;
}

/* Where an element lies on the device: in BYTES bytes from AT on, and of these in BITS bits from bit SHIFT on. */
struct spot {
    void *at;
    unsigned bytes, shift, bits;
};

static bool is_of_codes(enum qb_role role)
{
    return role == QB_ROLE_CODES || role == QB_ROLE_TRANSPOSED;
}

/* Who asks about the tensor of ROLE, if that is codes. */
static const struct questioner *owner(const struct challenges *c, enum qb_role role)
{
    return &c->questioners[role == QB_ROLE_TRANSPOSED ? 1 : 0];
}

/* The format of a tensor of ROLE: values that are kept are in the one that is quantized, all others but codes in the
 * input's. */
static enum qb_format format_of(const struct challenges *c, enum qb_role role)
{
    const struct questioner *q = owner(c, role);

    return is_of_codes(role) ? q->problem.output : role == QB_ROLE_VALUES ? q->problem.input : q->whole.input;
}

/* The place of element INDEX, counted without gaps, of the tensor of ROLE in set SET of those that are asked about. */
static struct spot place_of(const struct challenges *c, unsigned set, enum qb_role role, uint64_t index)
{
    const struct questioner *q = owner(c, role);
    const struct qb_problem *p = &q->problem;
    const bool is_codes = is_of_codes(role);
    const unsigned bits = is_codes ? codes_bits(p) : qb_format_info(format_of(c, role))->bits;
    const uint64_t row = is_codes ? index / p->hidden : 0, col = is_codes ? index % p->hidden : index;
    const unsigned shift = (unsigned)(col % 8 * bits % 8);
    const struct qb_tensors tensors = asked_tensors(c, set);
    const uint64_t row_bytes = is_codes ? codes_row_bytes(p) : 0;

    if (cache_has(&q->whole, role)) {
        const uint64_t offset = cache_offset(&q->whole, q->data->at[QB_ROLE_SLOTS], role, row, col);

        return (struct spot){(char *)tensors.at[role] + offset, 1, shift, bits};
    }
    return (struct spot){(char *)tensors.at[role] + row * row_bytes + col / 8 * bits + col % 8 * bits / 8,
                         (shift + bits + 7) / 8, shift, bits};
}

/* Read what is in PLACE: the lower half first, as these hosts are little-endian. */
static enum qb_status read_place(const struct challenges *c, struct spot place, uint32_t *bits)
{
    uint64_t around = 0;
    enum qb_status status = qb_memory_read(c->buffers->device, &around, place.at, place.bytes);

    *bits = (uint32_t)(around >> place.shift & (((uint64_t)1 << place.bits) - 1));
    return status;
}

/* Write to PLACE, and leave what is beside it as it is. */
static enum qb_status write_place(const struct challenges *c, struct spot place, uint32_t bits)
{
    const uint64_t mask = (((uint64_t)1 << place.bits) - 1) << place.shift;
    uint64_t around = 0;
    enum qb_status status = place.bits < 8 ? qb_memory_read(c->buffers->device, &around, place.at, place.bytes) : QB_OK;

    around = (around & ~mask) | (uint64_t)bits << place.shift;
    return status == QB_OK ? qb_memory_write(c->buffers->device, place.at, &around, place.bytes) : status;
}

/* Where the answer to PROBE is. */
static struct spot answer_place(const struct challenges *c, const struct probe *probe)
{
    return place_of(c, probe->set, whole_role(c, questioner_answer(asker(c))), probe->element);
}

/* Let what launches read be as PROBE says, or as it was. */
static enum qb_status write_changes(const struct challenges *c, const struct probe *probe, bool is_question)
{
    enum qb_status status = QB_OK;

    for (size_t i = 0; i < probe->change.read_count && status == QB_OK; i++) {
        const struct change_element *e = &probe->change.read[i];

        status = write_place(c, place_of(c, probe->set, e->role, e->index), is_question ? e->is : e->was);
    }
    return status;
}

/* Where what PROBE is about is in the tensor of ROLE, on the device. */
static void *scale_place(const struct challenges *c, const struct scale_probe *probe, enum qb_role role, size_t *size)
{
    const struct qb_tensors set = asked_tensors(c, probe->set);

    return (char *)set.at[whole_role(c, role)] + questioner_place(asker(c), role, probe->tile, size);
}

static enum qb_status write_scale(const struct challenges *c, const struct scale_probe *probe, enum qb_role role,
                                  const struct scaling *scaling)
{
    const uint32_t bits = question_bits(asker(c), scaling, role);
    size_t size;
    void *place = scale_place(c, probe, role, &size);

    return qb_memory_write(c->buffers->device, place, &bits, size);
}

static const struct question *choose(struct challenges *c, enum measure_question kind)
{
    return kind == MEASURE_LAST ? &c->questions[c->usual_count + c->next++ % LAST_QUESTIONS]
                                : &c->questions[c->next++ % c->usual_count];
}

/* Change what launches read, and overwrite what they are to write. */
static enum qb_status pose_scale(const struct challenges *c, const struct scale_probe *scale)
{
    enum qb_status status = QB_OK;

    for (int i = 0; i < QUESTION_ROLES && status == QB_OK; i++) {
        const enum qb_role role = question_roles[i];

        if (questioner_has(asker(c), role)) {
            status = write_scale(c, scale, role, is_given(c, role) ? &scale->want : &scale->poison);
        }
    }
    return status;
}

enum qb_status challenges_pose(struct challenges *c, enum measure_question kind, unsigned set)
{
    const struct question *question = choose(c, kind);
    enum qb_status status = QB_OK;

    c->posed = question;
    c->first_set = set;
    for (size_t i = 0; i < question->probe_count && status == QB_OK; i++) {
        const struct probe *probe = &question->probes[i];

        status = write_changes(c, probe, true);
        if (status == QB_OK && has_codes(c)) {
            status = write_place(c, answer_place(c, probe), probe->poison);
        }
    }
    for (size_t i = 0; i < question->scale_count && status == QB_OK; i++) {
        status = pose_scale(c, &question->scales[i]);
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
    const struct questioner *q = asker(c);
    const bool is_value = questioner_answer(q) == QB_ROLE_VALUES;
    const enum qb_format format = is_value ? q->problem.input : q->problem.output;
    enum challenge_fault fault = CHALLENGE_WRONG;
    uint32_t got;
    enum qb_status status = read_place(c, answer_place(c, probe), &got);
    char was[SCALES_TEXT_SIZE], right[SCALES_TEXT_SIZE];

    c->codes++;
    if (status != QB_OK || questioner_is_answer(q, got, probe->want)) {
        return status;
    }
    if (got == probe->poison) {
        fault = CHALLENGE_UNDONE;
    } else if (questioner_is_answer(q, got, probe->old)) {
        fault = CHALLENGE_STALE;
        c->stale_codes += !probe->rescaled;
    }
    if (count_fault(c, fault, false)) {
        snprintf(c->findings[fault].first, sizeof c->findings[fault].first,
                 "%s%s [%" PRIu64 ", %" PRIu64 "]: got %s, want %s", part_prefix(c->problem, c->posed->part),
                 is_value ? "value" : "code", probe->element / q->problem.hidden, probe->element % q->problem.hidden,
                 scales_code_text(format, got, was), scales_code_text(format, probe->want, right));
    }
    return QB_OK;
}

/* True if GOT is right for the element E of what else launches wrote. */
static bool is_right(const struct challenges *c, const struct change_element *e, uint32_t got)
{
    const struct questioner *q = owner(c, e->role);

    return is_of_codes(e->role) ? questioner_is_answer(q, got, e->is)
                                : verify_is_value(&q->whole, &q->arithmetic, format_of(c, e->role), got, e->is);
}

/* Judge what else launches wrote of PROBE, and put back what that was. */
static enum qb_status settle_written(struct challenges *c, const struct probe *probe)
{
    enum qb_status status = QB_OK;

    for (size_t i = 0; i < probe->change.written_count && status == QB_OK; i++) {
        const struct change_element *e = &probe->change.written[i];
        const struct spot place = place_of(c, probe->set, e->role, e->index);
        const enum qb_format format = format_of(c, e->role);
        const uint64_t cols = owner(c, e->role)->problem.hidden;
        uint32_t got;

        status = read_place(c, place, &got);
        c->codes++;
        if (status == QB_OK && !is_right(c, e, got) && count_fault(c, CHALLENGE_WRONG, false)) {
            snprintf(c->findings[CHALLENGE_WRONG].first, sizeof c->findings[CHALLENGE_WRONG].first,
                     "%s [%" PRIu64 ", %" PRIu64 "]: got %.9g, want %.9g", qb_role_name(e->role), e->index / cols,
                     e->index % cols, (double)qb_format_decode(format, got), (double)qb_format_decode(format, e->is));
        }
        status = status == QB_OK ? write_place(c, place, e->was) : status;
    }
    return status;
}

/* Describe that GOT is in the tensor of ROLE. */
static void describe_scale(const struct challenges *c, const struct scale_probe *probe, enum qb_role role, uint32_t got,
                           char *text, size_t size)
{
    const struct questioner *q = asker(c);
    const enum qb_format format = role == QB_ROLE_SCALES ? q->problem.scale_format : QB_FORMAT_F32;
    const uint32_t want = question_bits(q, &probe->want, role);
    const uint64_t row = probe->tile / q->tiling.scale_cols, col = probe->tile % q->tiling.scale_cols;
    char was[SCALES_TEXT_SIZE], right[SCALES_TEXT_SIZE], name[96] = "the tensor scale";

    if (role != QB_ROLE_TENSOR_SCALE) {
        snprintf(name, sizeof name, "%s [%" PRIu64 ", %" PRIu64 "]", role == QB_ROLE_SCALES ? "scale" : "zero point",
                 row, col);
    }
    if (role == QB_ROLE_ZERO_POINTS) {
        snprintf(text, size, "%s%s: got %" PRId32 ", want %" PRId32, part_prefix(c->problem, c->posed->part), name,
                 scales_zero_point(&q->problem, &got, 0), scales_zero_point(&q->problem, &want, 0));
        return;
    }
    snprintf(text, size, "%s%s: got %s, want %s", part_prefix(c->problem, c->posed->part), name,
             scales_code_text(format, got, was), scales_code_text(format, want, right));
}

/* Judge what is in the tensor of ROLE. */
static enum qb_status judge_scale(struct challenges *c, const struct scale_probe *probe, enum qb_role role)
{
    const struct questioner *q = asker(c);
    enum challenge_fault fault = CHALLENGE_WRONG;
    size_t size;
    void *place = scale_place(c, probe, role, &size);
    uint32_t got = 0;
    enum qb_status status = qb_memory_read(c->buffers->device, &got, place, size);

    c->scales++;
    if (status != QB_OK || question_is_right(q, role, got, question_bits(q, &probe->want, role))) {
        return status;
    }
    if (got == question_bits(q, &probe->poison, role)) {
        fault = CHALLENGE_UNDONE;
    } else if (question_is_right(q, role, got, question_bits(q, &probe->old, role))) {
        fault = CHALLENGE_STALE;
    }
    if (count_fault(c, fault, true)) {
        describe_scale(c, probe, role, got, c->findings[fault].first, sizeof c->findings[fault].first);
    }
    return QB_OK;
}

/* Judge what launches wrote, and put back what they read. */
static enum qb_status settle_scale(struct challenges *c, const struct scale_probe *scale)
{
    enum qb_status status = QB_OK;

    for (int i = 0; i < QUESTION_ROLES && status == QB_OK; i++) {
        const enum qb_role role = question_roles[i];

        if (questioner_has(asker(c), role)) {
            status = is_given(c, role) ? write_scale(c, scale, role, &scale->old) : judge_scale(c, scale, role);
        }
    }
    return status;
}

/* Put back what PROBE has changed. */
static enum qb_status restore(const struct challenges *c, const struct probe *probe)
{
    enum qb_status status = write_changes(c, probe, false);

    if (status == QB_OK && has_codes(c) && !probe->rescaled && probe->want != probe->old) {
        status = write_place(c, answer_place(c, probe), probe->old);
    }
    return status;
}

/* Remember which sets hold the answer to QUESTION in more than its probes: it was put to all SETS that were launched
 * into. */
static void note_outdated(struct challenges *c, const struct question *question)
{
    for (unsigned i = 0; i < c->questioners[0].sets; i++) {
        c->outdated[asked_set(c, i)] = false;
    }
    for (size_t i = 0; i < question->scale_count; i++) {
        if (question->scales[i].changed) {
            c->outdated[asked_set(c, question->scales[i].set)] = true;
        }
    }
    /* A code in the other part that nobody has put back. */
    for (size_t i = 0; i < question->probe_count && part_count(c->problem) > 1; i++) {
        const struct probe *probe = &question->probes[i];

        if (probe->change.read_count > 0 && probe->change.written_count == 0) {
            c->outdated[asked_set(c, probe->set)] = true;
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
    for (size_t i = 0; i < question->probe_count && status == QB_OK; i++) {
        status = settle_written(c, &question->probes[i]);
    }
    for (size_t i = 0; i < question->scale_count && status == QB_OK; i++) {
        status = settle_scale(c, &question->scales[i]);
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
