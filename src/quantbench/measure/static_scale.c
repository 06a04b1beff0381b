/* SPDX-License-Identifier: Apache-2.0 */
/* static_scale.c - see static_scale.h. The library's reference makes the scale, so that the contract is written once.
 */
#include <config.h>

#include "check/scales.h"
#include "measure/static_scale.h"

/* True if the scale that can be static is the tensor scale, and those of groups follow from the data. */
static bool is_tensor_scale(const struct qb_problem *problem)
{
    return problem->tensor_scale != QB_TENSOR_SCALE_NONE;
}

bool static_scale_has(const struct qb_problem *problem)
{
    return is_tensor_scale(problem) || problem->granularity == QB_GRANULARITY_TENSOR;
}

struct qb_problem static_scale_problem(const struct qb_problem *problem)
{
    struct qb_problem given = *problem;

    if (is_tensor_scale(problem)) {
        given.scaling = QB_SCALING_DYNAMIC;
        given.tensor_scale = QB_TENSOR_SCALE_GIVEN;
    } else {
        given.scaling = QB_SCALING_STATIC;
    }
    return given;
}

enum exit_code static_scale_find(const struct qb_problem *problem, struct static_scale *scale)
{
    float range[2] = {scale->low, scale->high}, tensor_scale = 0;
    uint32_t code = 0;
    int32_t zero_point = 0;
    struct qb_problem p = *problem;
    const struct qb_tensors tensors = {.size = sizeof tensors,
                                       .at = {[QB_ROLE_INPUT] = range,
                                              [QB_ROLE_SCALES] = &code,
                                              [QB_ROLE_ZERO_POINTS] = &zero_point,
                                              [QB_ROLE_TENSOR_SCALE] = &tensor_scale}};
    enum qb_status status;

    p.input = QB_FORMAT_F32;
    p.tokens = 1;
    p.hidden = sizeof range / sizeof range[0];
    p.scaling = QB_SCALING_AMAX;
    p.scale_layout = QB_SCALE_LAYOUT_ROWS;
    p.tensor_scale = is_tensor_scale(problem) ? QB_TENSOR_SCALE_COMPUTED : QB_TENSOR_SCALE_NONE;
    status = qb_reference_scales(&p, &tensors);
    if (status != QB_OK) {
        return message_status("the reference", status);
    }
    scale->scale = is_tensor_scale(problem) ? tensor_scale : qb_format_decode(p.scale_format, code);
    scale->zero_point =
        problem->zero_points != QB_ZERO_POINTS_NONE ? (int)scales_zero_point(problem, &zero_point, 0) : 0;
    return EXIT_OK;
}

struct qb_tensors static_scale_tensors(const struct qb_problem *problem, const struct static_scale *scale,
                                       struct static_scale_memory *memory)
{
    struct qb_tensors tensors = {.size = sizeof tensors};

    if (is_tensor_scale(problem)) {
        memory->tensor_scale = scale->scale;
        tensors.at[QB_ROLE_TENSOR_SCALE] = &memory->tensor_scale;
        return tensors;
    }
    memory->code = qb_format_encode(problem->scale_format, scale->scale);
    tensors.at[QB_ROLE_SCALES] = &memory->code;
    if (problem->zero_points != QB_ZERO_POINTS_NONE) {
        scales_put_zero_point(problem, &memory->zero_point, 0, scale->zero_point);
        tensors.at[QB_ROLE_ZERO_POINTS] = &memory->zero_point;
    }
    return tensors;
}
