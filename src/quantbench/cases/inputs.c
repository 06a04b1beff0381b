/* SPDX-License-Identifier: Apache-2.0 */
/* inputs.c - generates each input once if there is room to keep it; what was used longest ago goes first. */
#include <config.h>

#include "cases/inputs.h"
#include "cases/operations.h"
#include "cases/tensor_file.h"

#include <stdlib.h>

/* What the data depend on, beside the seed, and where they are. */
struct input_entry {
    enum qb_format format;
    enum input_dist dist;
    uint64_t count;
    uint64_t columns;
    void *data;
    uint64_t bytes;
    uint64_t last_use;
};

static uint64_t element_count(const struct qb_problem *problem)
{
    return problem->tokens * operations_columns(problem);
}

static uint64_t input_bytes(const struct plan_case *plan_case)
{
    return element_count(&plan_case->problem) * input_element_size(plan_case->problem.input);
}

/* Only outliers depend on the length of a row. */
static struct input_entry *find(const struct inputs *inputs, const struct plan_case *plan_case)
{
    const struct qb_problem *problem = &plan_case->problem;

    for (size_t i = 0; i < inputs->count; i++) {
        struct input_entry *entry = &inputs->entries[i];

        if (entry->format == problem->input && entry->dist == plan_case->dist &&
            entry->count == element_count(problem) &&
            (entry->columns == operations_columns(problem) || plan_case->dist != INPUT_OUTLIERS)) {
            return entry;
        }
    }
    return NULL;
}

static void drop(struct inputs *inputs, struct input_entry *entry)
{
    inputs->held -= entry->bytes;
    free(entry->data);
    *entry = inputs->entries[--inputs->count];
}

static void make_room(struct inputs *inputs, uint64_t bytes)
{
    while (inputs->count > 0 && inputs->held + bytes > inputs->budget) {
        struct input_entry *oldest = &inputs->entries[0];

        for (size_t i = 1; i < inputs->count; i++) {
            oldest = inputs->entries[i].last_use < oldest->last_use ? &inputs->entries[i] : oldest;
        }
        drop(inputs, oldest);
    }
}

static enum exit_code generate(struct inputs *inputs, const struct plan_case *plan_case, struct input_entry **made)
{
    const struct qb_problem *problem = &plan_case->problem;
    uint64_t bytes = input_bytes(plan_case);
    struct input_entry *larger;
    void *data;

    make_room(inputs, bytes);
    larger = reallocarray(inputs->entries, inputs->count + 1, sizeof *larger);
    if (larger == NULL) {
        return message_out_of_memory("the list of inputs", (inputs->count + 1) * sizeof *larger);
    }
    inputs->entries = larger;
    data = malloc(bytes);
    if (data == NULL) {
        return message_out_of_memory("the input", bytes);
    }
    input_generate(plan_case->dist, problem->input, inputs->seed, element_count(problem), operations_columns(problem),
                   data);
    *made = &inputs->entries[inputs->count++];
    **made = (struct input_entry){
        problem->input, plan_case->dist, element_count(problem), operations_columns(problem), data, bytes, 0};
    inputs->held += bytes;
    return EXIT_OK;
}

enum exit_code inputs_get(struct inputs *inputs, const struct plan_case *plan_case, const void **data)
{
    struct input_entry *entry;
    enum exit_code code = EXIT_OK;

    if (inputs->tensor != NULL) {
        *data = inputs->tensor->data;
        return EXIT_OK;
    }
    entry = find(inputs, plan_case);
    if (entry == NULL) {
        code = generate(inputs, plan_case, &entry);
    }
    if (code == EXIT_OK) {
        entry->last_use = ++inputs->uses;
        *data = entry->data;
    }
    return code;
}

uint64_t inputs_missing(const struct inputs *inputs, const struct plan_case *plan_case)
{
    return inputs->tensor != NULL || find(inputs, plan_case) != NULL ? 0 : input_bytes(plan_case);
}

void inputs_free(struct inputs *inputs)
{
    for (size_t i = 0; i < inputs->count; i++) {
        free(inputs->entries[i].data);
    }
    free(inputs->entries);
    inputs->entries = NULL;
    inputs->count = 0;
}
