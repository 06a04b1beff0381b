/* SPDX-License-Identifier: Apache-2.0 */
/* check_record.c - a record that was written as JSON is read as the same record: what a case is survives, whatever its
 * operation, and members that a file lacks have their defaults. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* open_memstream() */
#endif
#include <config.h>

#include "model/operation.h"
#include "model/record.h"
#include "report/report.h"
#include "run.h"

#include <jansson.h>
#include <string.h>

static char text_of_all[] = "some text";
static struct qb_device_info device = {.id = "cpu"};
static struct calibration timer;

/* A case that was not measured, of one operation, with all members that it reads. */
static struct record_case some_case(enum qb_operation operation)
{
    struct record_case c = {.device = &device, .kernel = text_of_all, .threads = 1, .streams = 1};
    struct qb_problem *p = &c.problem;

    qb_problem_init(p);
    p->operation = operation;
    p->output = QB_FORMAT_E4M3;
    p->granularity = QB_GRANULARITY_TOKEN;
    p->scaling = operation == QB_OPERATION_DEQUANTIZE ? QB_SCALING_STATIC : QB_SCALING_DYNAMIC;
    p->tokens = 3;
    p->hidden = 8;
    p->amax_bound = 0.1f;
    p->intermediate = QB_INTERMEDIATE_LAST;
    p->keep_values = 1;
    p->gelu = QB_GELU_ERF;
    p->gate = QB_GATE_INTERLEAVED;
    p->gate_limit = 7;
    p->alpha = 1.702f;
    p->up_offset = -0x1.000002p+0f;
    p->weights = QB_WEIGHTS_FLOAT;
    p->epsilon = 1e-5f;
    p->pairing = QB_PAIRING_ADJACENT;
    p->head_size = 4;
    p->rotary = 2;
    p->positions = 5;
    p->page_size = 4;
    p->pages = 5;
    p->page_layout = QB_PAGE_LAYOUT_HND;
    p->experts = 3;
    p->expert_rows = QB_EXPERT_ROWS_MASKED;
    p->expert_tokens = 2;
    if (operation == QB_OPERATION_TRANSPOSE || operation == QB_OPERATION_DUAL) {
        p->granularity = QB_GRANULARITY_GROUP;
        p->group = 4;
    }
    operation_settle(p);
    ck_assert_int_eq(qb_problem_validate(p), QB_OK);
    return c;
}

/* RECORD of COUNT CASES, that was read from nowhere. */
static struct record some_record(struct record_case *cases, size_t count)
{
    return (struct record){
        .version = text_of_all,
        .library_version = text_of_all,
        .date = text_of_all,
        .host_name = text_of_all,
        .system = text_of_all,
        .num_iters = 1,
        .planned_rounds = 1,
        .devices = &device,
        .timers = &timer,
        .device_count = 1,
        .cases = cases,
        .planned = count,
        .described = count,
        .count = count,
    };
}

/* RECORD as JSON, which the caller frees. */
static char *written(const struct record *record)
{
    char *text = NULL;
    size_t size;
    FILE *stream = open_memstream(&text, &size);

    ck_assert_ptr_nonnull(stream);
    ck_assert_int_eq(report_write(report_format_find("json"), record, stream), EXIT_OK);
    ck_assert_int_eq(fclose(stream), 0);
    return text;
}

START_TEST(problems_of_all_operations_survive)
{
    struct record_case cases[QB_OPERATION_COUNT];
    struct record record, again;
    char *text;

    for (int i = 0; i < QB_OPERATION_COUNT; i++) {
        cases[i] = some_case((enum qb_operation)i);
    }
    record = some_record(cases, QB_OPERATION_COUNT);
    text = written(&record);
    ck_assert_int_eq(record_from_json_text(text, strlen(text), "record", &again), EXIT_OK);
    ck_assert_uint_eq(again.count, QB_OPERATION_COUNT);
    for (int i = 0; i < QB_OPERATION_COUNT; i++) {
        ck_assert_mem_eq(&again.cases[i].problem, &cases[i].problem, sizeof cases[i].problem);
    }
    record_free(&again);
    free(text);
}
END_TEST

/* Edit the problem of the first result of the JSON document TEXT: set MEMBER to VALUE, or take it away if that is NULL.
 * Returns the new text. */
static char *edited(char *text, const char *member, json_t *value)
{
    json_t *document = json_loads(text, 0, NULL);
    json_t *problem = json_object_get(json_array_get(json_object_get(document, "results"), 0), "problem");

    ck_assert_ptr_nonnull(problem);
    ck_assert_ptr_nonnull(json_object_get(problem, member));
    ck_assert_int_eq(value != NULL ? json_object_set_new(problem, member, value) : json_object_del(problem, member), 0);
    free(text);
    text = json_dumps(document, JSON_INDENT(2));
    json_decref(document);
    return text;
}

static const char *const members[] = {"operation",  "intermediate", "keep_values", "gelu",        "gate",
                                      "gate_limit", "alpha",        "up_offset",   "weights",     "epsilon",
                                      "pairing",    "head_size",    "rotary",      "positions",   "page_size",
                                      "pages",      "page_layout",  "experts",     "expert_rows", "expert_tokens"};
#define MEMBERS (sizeof members / sizeof members[0])

/* Records of older programs lack them. */
START_TEST(a_record_without_operations_is_of_quantizations)
{
    struct record_case c = some_case(QB_OPERATION_QUANTIZE);
    struct record record = some_record(&c, 1), again;
    char *text = written(&record);

    for (size_t i = 0; i < MEMBERS; i++) {
        text = edited(text, members[i], NULL);
    }
    c.problem.experts = c.problem.expert_tokens = 0;
    c.problem.expert_rows = QB_EXPERT_ROWS_OFFSETS;
    ck_assert_int_eq(record_from_json_text(text, strlen(text), "record", &again), EXIT_OK);
    ck_assert_mem_eq(&again.cases[0].problem, &c.problem, sizeof c.problem);
    record_free(&again);
    free(text);
}
END_TEST

/* What an operation does not read tells no cases apart. */
START_TEST(members_of_other_operations_are_ignored)
{
    struct record_case c = some_case(QB_OPERATION_QUANTIZE);
    struct record record = some_record(&c, 1), again;
    char *text = edited(edited(written(&record), "epsilon", json_real(0.5)), "gate", json_string("interleaved"));

    ck_assert_int_eq(record_from_json_text(text, strlen(text), "record", &again), EXIT_OK);
    ck_assert_mem_eq(&again.cases[0].problem, &c.problem, sizeof c.problem);
    record_free(&again);
    free(text);
}
END_TEST

/* Each member is refused if it is of another type, or beyond what the library takes. */
START_TEST(wrong_members_are_refused)
{
    struct record_case c = some_case(QB_OPERATION_SILU_MUL);
    struct record record = some_record(&c, 1), again;

    for (size_t i = 0; i < MEMBERS; i++) {
        char *text = edited(written(&record), members[i], json_array());

        ck_assert_msg(record_from_json_text(text, strlen(text), "record", &again) == EXIT_USAGE, "%s", members[i]);
        record_free(&again);
        free(text);
    }
    for (int i = 0; i < 4; i++) {
        static const char *const names[] = {"gate_limit", "gate_limit", "alpha", "up_offset"};
        static const double values[] = {7.3, -7, -1, 1e300};
        char *text = edited(written(&record), names[i], json_real(values[i]));

        ck_assert_msg(record_from_json_text(text, strlen(text), "record", &again) == EXIT_USAGE, "%s", names[i]);
        record_free(&again);
        free(text);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("record");
    TCase *tc = patient_case("record");

    tcase_add_test(tc, problems_of_all_operations_survive);
    tcase_add_test(tc, a_record_without_operations_is_of_quantizations);
    tcase_add_test(tc, members_of_other_operations_are_ignored);
    tcase_add_test(tc, wrong_members_are_refused);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
