/* SPDX-License-Identifier: Apache-2.0 */
/* inputs.c - makes each tensor once if there is room to keep it; what was used longest ago goes first. */
#include <config.h>

#include "base/saturate.h"
#include "cases/inputs.h"
#include "cases/tensors.h"
#include "cases/values.h"
#include "model/part.h"

#include <stdlib.h>

/* A tensor of a case: what its elements depend on, beside the seed. */
struct key {
    enum qb_role role;
    enum qb_format format;
    enum input_dist dist;
    uint64_t rows, cols;
    bool is_made;           /* it is values or sums, or the transposed input */
    struct qb_problem made; /* that it is of */
};

/* One that is held. */
struct input_entry {
    struct key key;
    void *data;
    uint64_t bytes;
    uint64_t last_use;
};

bool inputs_have(enum qb_role role)
{
    return role == QB_ROLE_INPUT || role == QB_ROLE_WEIGHTS || role == QB_ROLE_RESIDUAL || role == QB_ROLE_ANGLES ||
           role == QB_ROLE_POSITIONS || role == QB_ROLE_SLOTS || role == QB_ROLE_EXPERTS;
}

/* ---- Which tensors ---------------------------------------------------------------------------------------------- */

/* PROBLEM with a tensor for its values. */
static struct qb_problem made_by(const struct qb_problem *problem)
{
    struct qb_problem made = *problem;

    made.keep_values = 1;
    return made;
}

/* Set *KEY to the tensor of ROLE; false if the case has none, or --input has it. */
static bool find_key(const struct inputs *inputs, const struct plan_case *plan_case, enum qb_role role, struct key *key)
{
    const bool differs = values_differ(&plan_case->problem);
    const struct qb_problem problem = differs                 ? made_by(&plan_case->problem)
                                      : role == QB_ROLE_SLOTS ? plan_case->problem
                                                              : values_quantization(&plan_case->problem);
    const bool is_made = role == QB_ROLE_VALUES || role == QB_ROLE_SUM;
    struct qb_tensor_info tensor = {.size = sizeof tensor};

    if ((role == QB_ROLE_INPUT && inputs->tensors != NULL) || (is_made && !differs) ||
        (!is_made && !inputs_have(role)) || qb_problem_tensor(&problem, role, &tensor) != QB_OK || !tensor.present) {
        return false;
    }
    *key = (struct key){role, tensor.format, plan_case->dist, tensor.rows, tensor.cols, is_made, problem};
    return true;
}

/* Set *KEY to the transposed input; false if the case quantizes none. */
static bool find_transposed(const struct plan_case *plan_case, struct key *key)
{
    const struct qb_problem *p = &plan_case->problem, last = part_of(p, part_count(p) - 1);

    *key = (struct key){QB_ROLE_VALUES, p->input, plan_case->dist, p->hidden, p->tokens, true, last};
    return part_is_transposed(&last);
}

/* Only outliers depend on the length of a row. */
static bool is_same(const struct key *a, const struct key *b)
{
    if (a->role != b->role || a->format != b->format || a->dist != b->dist) {
        return false;
    }
    if (a->role == QB_ROLE_SLOTS && (a->made.pages != b->made.pages || a->made.page_size != b->made.page_size)) {
        return false;
    }
    if (a->role == QB_ROLE_POSITIONS && a->made.positions != b->made.positions) {
        return false;
    }
    if (a->role == QB_ROLE_EXPERTS) {
        return a->made.experts == b->made.experts && a->made.expert_rows == b->made.expert_rows &&
               a->made.tokens == b->made.tokens && a->made.expert_tokens == b->made.expert_tokens;
    }
    return a->is_made                  ? values_same(&a->made, &b->made)
           : a->role == QB_ROLE_ANGLES ? a->rows == b->rows && a->cols == b->cols
           : a->dist == INPUT_OUTLIERS ? a->rows == b->rows && a->cols == b->cols
                                       : a->rows * a->cols == b->rows * b->cols;
}

static uint64_t bytes_of(const struct key *key)
{
    return key->rows * key->cols * input_element_size(key->format);
}

static struct input_entry *find(const struct inputs *inputs, const struct key *key)
{
    for (size_t i = 0; i < inputs->count; i++) {
        if (is_same(&inputs->entries[i].key, key)) {
            return &inputs->entries[i];
        }
    }
    return NULL;
}

/* ---- Making them ------------------------------------------------------------------------------------------------ */

static void drop(struct inputs *inputs, struct input_entry *entry)
{
    inputs->held -= entry->bytes;
    free(entry->data);
    *entry = inputs->entries[--inputs->count];
}

/* Drop what was used longest ago, but nothing of the use that goes on. */
static void make_room(struct inputs *inputs, uint64_t bytes)
{
    while (inputs->count > 0 && inputs->held + bytes > inputs->budget) {
        struct input_entry *oldest = &inputs->entries[0];

        for (size_t i = 1; i < inputs->count; i++) {
            oldest = inputs->entries[i].last_use < oldest->last_use ? &inputs->entries[i] : oldest;
        }
        if (oldest->last_use == inputs->uses) {
            return;
        }
        drop(inputs, oldest);
    }
}

/* Memory for the tensor of KEY, held; NULL, with a message, if there is none. */
static void *hold(struct inputs *inputs, const struct key *key)
{
    const uint64_t bytes = bytes_of(key);
    struct input_entry *larger;
    void *data;

    make_room(inputs, bytes);
    larger = reallocarray(inputs->entries, inputs->count + 1, sizeof *larger);
    if (larger == NULL) {
        message_out_of_memory("the list of inputs", (inputs->count + 1) * sizeof *larger);
        return NULL;
    }
    inputs->entries = larger;
    data = malloc(bytes + 1); /* a size of 0 need not give a pointer */
    if (data == NULL) {
        message_out_of_memory("the input", bytes);
        return NULL;
    }
    larger[inputs->count++] = (struct input_entry){*key, data, bytes, inputs->uses};
    inputs->held += bytes;
    return data;
}

static void generate(const struct inputs *inputs, const struct key *key, void *data)
{
    /* Other roles have other data; the input's are those that its seed always gave. */
    const uint64_t seed = key->role == QB_ROLE_INPUT ? inputs->seed : input_random(inputs->seed + (uint64_t)key->role);

    if (key->role == QB_ROLE_EXPERTS) {
        input_generate_experts(seed, &key->made, inputs->expert_load, data);
    } else if (key->role == QB_ROLE_SLOTS) {
        input_generate_slots(seed, key->rows, key->made.pages, key->made.page_size, data);
    } else if (key->role == QB_ROLE_WEIGHTS) {
        input_generate_weights(key->format, seed, key->cols, data);
    } else if (key->role == QB_ROLE_ANGLES) {
        input_generate_angles(key->format, key->rows, key->cols, data);
    } else if (key->role == QB_ROLE_POSITIONS) {
        input_generate_positions(seed, key->rows, key->made.positions, data);
    } else {
        input_generate(key->dist, key->format, seed, key->rows * key->cols, key->cols, data);
    }
}

/* Let *DATA be the tensor of ROLE, generated or from a file; NULL if the case has none. */
static enum exit_code get_generated(struct inputs *inputs, const struct plan_case *plan_case, enum qb_role role,
                                    const void **data)
{
    struct key key;
    struct input_entry *entry;
    void *made;

    *data = NULL;
    if (role == QB_ROLE_INPUT && inputs->tensors != NULL) {
        return tensors_hold(inputs->tensors, plan_case->tensor, data);
    }
    if (!find_key(inputs, plan_case, role, &key)) {
        return EXIT_OK;
    }
    entry = find(inputs, &key);
    if (entry != NULL) {
        entry->last_use = inputs->uses;
        *data = entry->data;
        return EXIT_OK;
    }
    made = hold(inputs, &key);
    if (made == NULL) {
        return EXIT_CANNOT_RUN;
    }
    generate(inputs, &key, made);
    *data = made;
    return EXIT_OK;
}

/* Compute DATA's values and sum, unless they are held. */
static enum exit_code get_made(struct inputs *inputs, const struct plan_case *plan_case, struct case_data *data)
{
    const struct qb_problem made = made_by(&plan_case->problem);
    struct qb_tensors tensors = {.size = sizeof tensors};
    struct key keys[2];
    const bool has_sum = find_key(inputs, plan_case, QB_ROLE_SUM, &keys[1]);
    enum qb_status status;

    find_key(inputs, plan_case, QB_ROLE_VALUES, &keys[0]);
    for (int i = 0; i < 1 + has_sum; i++) {
        struct input_entry *entry = find(inputs, &keys[i]);

        if (entry != NULL) {
            entry->last_use = inputs->uses;
            *(i == 0 ? &data->values : &data->sum) = entry->data;
        }
    }
    if (data->values != NULL && (data->sum != NULL || !has_sum)) {
        return EXIT_OK;
    }
    for (int role = 0; role < QB_ROLE_COUNT; role++) {
        tensors.at[role] = (void *)(uintptr_t)data->at[role];
    }
    tensors.at[QB_ROLE_VALUES] = data->values != NULL ? (void *)(uintptr_t)data->values : hold(inputs, &keys[0]);
    tensors.at[QB_ROLE_SUM] = !has_sum            ? NULL
                              : data->sum != NULL ? (void *)(uintptr_t)data->sum
                                                  : hold(inputs, &keys[1]);
    if (tensors.at[QB_ROLE_VALUES] == NULL || (has_sum && tensors.at[QB_ROLE_SUM] == NULL)) {
        return EXIT_CANNOT_RUN;
    }
    data->values = tensors.at[QB_ROLE_VALUES];
    data->sum = tensors.at[QB_ROLE_SUM];
    status = values_compute(&made, &tensors);
    return status == QB_OK ? EXIT_OK : message_status("the reference", status);
}

/* Transpose DATA's input, unless that is held. */
static enum exit_code get_transposed(struct inputs *inputs, const struct plan_case *plan_case, struct case_data *data)
{
    struct key key;
    struct input_entry *entry;
    void *made;

    if (!find_transposed(plan_case, &key)) {
        return EXIT_OK;
    }
    entry = find(inputs, &key);
    if (entry != NULL) {
        entry->last_use = inputs->uses;
        data->transposed = entry->data;
        return EXIT_OK;
    }
    made = hold(inputs, &key);
    if (made == NULL) {
        return EXIT_CANNOT_RUN;
    }
    values_transpose(data->at[QB_ROLE_INPUT], key.cols, key.rows, input_element_size(key.format), made);
    data->transposed = made;
    return EXIT_OK;
}

void inputs_take_part(const struct case_data *data, const struct qb_problem *part, struct case_data *taken)
{
    *taken = *data;
    taken->values = part_is_transposed(part) ? data->transposed : data->values;
}

enum exit_code inputs_get(struct inputs *inputs, const struct plan_case *plan_case, struct case_data *data)
{
    enum exit_code code = EXIT_OK;

    *data = (struct case_data){.values = NULL};
    inputs->uses++;
    for (int role = 0; role < QB_ROLE_COUNT && code == EXIT_OK; role++) {
        code = inputs_have((enum qb_role)role) ? get_generated(inputs, plan_case, (enum qb_role)role, &data->at[role])
                                               : EXIT_OK;
    }
    if (code == EXIT_OK && values_differ(&plan_case->problem)) {
        return get_made(inputs, plan_case, data);
    }
    data->values = data->at[QB_ROLE_INPUT];
    code = code == EXIT_OK ? get_transposed(inputs, plan_case, data) : code;
    data->values = part_is_transposed(&plan_case->problem) ? data->transposed : data->values;
    return code;
}

uint64_t inputs_missing(const struct inputs *inputs, const struct plan_case *plan_case)
{
    uint64_t bytes = 0;
    struct key key;

    for (int role = 0; role < QB_ROLE_COUNT; role++) {
        if (find_key(inputs, plan_case, (enum qb_role)role, &key) && find(inputs, &key) == NULL) {
            bytes = saturate_add(bytes, bytes_of(&key));
        }
    }
    if (find_transposed(plan_case, &key) && find(inputs, &key) == NULL) {
        bytes = saturate_add(bytes, bytes_of(&key));
    }
    return bytes;
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
