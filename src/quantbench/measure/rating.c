/* SPDX-License-Identifier: Apache-2.0 */
/* rating.c - codes of the library's kernels, rated. */
#include <config.h>

#include "base/saturate.h"
#include "cases/tensors.h"
#include "check/quality.h"
#include "measure/rating.h"

#include <inttypes.h>
#include <stdlib.h>

enum exit_code rating_begin(struct rating *rating, struct device *device, struct tensors *tensors, uint64_t seed)
{
    enum qb_status status;

    *rating = (struct rating){
        .device = device,
        .inputs = {.seed = seed, .tensors = tensors, .budget = machine_memory_free(device) / 4},
    };
    status = qb_queue_create(device->handle, &rating->queue);
    return status == QB_OK ? EXIT_OK : message_status(device->info.id, status);
}

void rating_end(struct rating *rating)
{
    for (int role = 0; role < QB_ROLE_COUNT; role++) {
        qb_memory_free(rating->device->handle, rating->memory[role]);
    }
    qb_queue_destroy(rating->queue);
    inputs_free(&rating->inputs);
}

/* Have room for BYTES bytes of ROLE. */
static enum exit_code make_room(struct rating *rating, enum qb_role role, uint64_t bytes)
{
    enum qb_status status;

    if (bytes <= rating->bytes[role]) {
        return EXIT_OK;
    }
    qb_memory_free(rating->device->handle, rating->memory[role]);
    rating->memory[role] = NULL;
    rating->bytes[role] = 0;
    if (bytes > machine_memory_free(rating->device)) {
        return message_out_of_memory(qb_role_name(role), bytes);
    }
    status = qb_memory_alloc(rating->device->handle, bytes, &rating->memory[role]);
    if (status != QB_OK) {
        return message_status(qb_role_name(role), status);
    }
    rating->bytes[role] = bytes;
    return EXIT_OK;
}

/* The tensors of PROBLEM, the input being DATA. */
static enum exit_code make_tensors(struct rating *rating, const struct qb_problem *problem, const void *data,
                                   struct qb_tensors *tensors)
{
    enum exit_code code = EXIT_OK;

    *tensors = (struct qb_tensors){.size = sizeof *tensors};
    for (int role = 0; role < QB_ROLE_COUNT && code == EXIT_OK; role++) {
        struct qb_tensor_info info = {.size = sizeof info};

        if (qb_problem_tensor(problem, (enum qb_role)role, &info) == QB_OK && info.present && info.written) {
            code = make_room(rating, (enum qb_role)role, info.bytes);
            tensors->at[role] = rating->memory[role];
        }
    }
    tensors->at[QB_ROLE_INPUT] = (void *)(uintptr_t)data;
    return code;
}

/* A tensor scale that is given is the one that would be computed. */
static struct qb_problem compute_scales(const struct qb_problem *problem)
{
    struct qb_problem computed = *problem;

    if (computed.tensor_scale == QB_TENSOR_SCALE_GIVEN) {
        computed.tensor_scale = QB_TENSOR_SCALE_COMPUTED;
    }
    return computed;
}

/* Quantize, with the kernel of PLAN_CASE unless PROBLEM is not the case's. */
static enum exit_code quantize(struct rating *rating, const struct plan_case *plan_case,
                               const struct qb_problem *problem, const struct qb_tensors *tensors)
{
    const bool is_same = plan_case->problem.tensor_scale == problem->tensor_scale;
    enum qb_status status = is_same ? qb_kernel_run(plan_case->kernel, rating->queue, problem, tensors)
                                    : qb_quantize(rating->queue, problem, tensors);

    status = status == QB_OK ? qb_queue_synchronize(rating->queue) : status;
    return status == QB_OK ? EXIT_OK : message_status(plan_case->about->name, status);
}

void rating_rate(struct rating *rating, const struct plan_case *plan_case, struct finding *found)
{
    const struct qb_problem problem = compute_scales(&plan_case->problem);
    struct qb_tensors tensors;
    struct case_data data;

    found->code = inputs_get(&rating->inputs, plan_case, &data);
    if (found->code == EXIT_OK) {
        found->bytes = sizes_of(&problem);
        found->code = make_tensors(rating, &problem, data.values, &tensors);
    }
    if (found->code == EXIT_OK) {
        found->code = quantize(rating, plan_case, &problem, &tensors);
    }
    if (found->code == EXIT_OK &&
        !quality_compute(&problem, qb_kernel_arithmetic(plan_case->kernel), &tensors, &found->checked.quality)) {
        found->code = message_out_of_memory("the quality of the codes", problem.tokens * problem.hidden);
    }
    if (found->code == EXIT_OK) {
        found->code = tensors_check_held(rating->inputs.tensors);
    }
    if (found->code != EXIT_OK) {
        found->checked.quality = (struct quality){.finite = 0};
    }
}

enum exit_code rating_rate_data(struct rating *rating, const struct qb_problem *problem, const void *data,
                                const struct qb_tensors *given, struct quality *quality)
{
    static const struct qb_arithmetic contract = {.quotient = QB_QUOTIENT_DIVIDE};
    struct qb_tensors tensors;
    enum qb_status status;
    enum exit_code code = make_tensors(rating, problem, data, &tensors);

    for (int role = 0; role < QB_ROLE_COUNT && given != NULL; role++) {
        tensors.at[role] = given->at[role] != NULL ? given->at[role] : tensors.at[role];
    }
    if (code != EXIT_OK) {
        return code;
    }
    status = qb_quantize(rating->queue, problem, &tensors);
    status = status == QB_OK ? qb_queue_synchronize(rating->queue) : status;
    if (status != QB_OK) {
        return message_status("quantization", status);
    }
    return quality_compute(problem, &contract, &tensors, quality)
               ? EXIT_OK
               : message_out_of_memory("the quality of the codes", problem->tokens * problem->hidden);
}
