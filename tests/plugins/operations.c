/* SPDX-License-Identifier: Apache-2.0 */
/* operations.c - a kernel for each operation, which is the reference, and a second one for some, with the name of a
 * kernel that takes several launches. None of them allocates memory. */
#include "quantbench.h"

static bool supports(const struct qb_problem *problem)
{
    (void)problem;
    return true;
}

/* PROBLEM, which only quantizes: in two halves, since the whole reference may allocate. */
static const char *quantize(const struct qb_problem *problem, const struct qb_tensors *tensors)
{
    enum qb_status status = QB_OK;

    if (problem->scaling != QB_SCALING_STATIC) {
        status = qb_reference_scales(problem, tensors);
    }
    if (status == QB_OK && problem->scaling != QB_SCALING_AMAX) {
        status = qb_reference_codes(problem, tensors);
    }
    return status == QB_OK ? NULL : "the reference failed";
}

static const char *run_quantize(const struct qb_plugin_call *call)
{
    return quantize(call->problem, call->tensors);
}

static const char *run_dequantize(const struct qb_plugin_call *call)
{
    return qb_reference_run(call->problem, call->tensors) == QB_OK ? NULL : "the reference failed";
}

/* The bytes of the values. */
static size_t workspace(const struct qb_problem *problem)
{
    struct qb_tensor_info values = {.size = sizeof values};
    struct qb_problem kept = *problem;

    kept.keep_values = 1;
    return qb_problem_tensor(&kept, QB_ROLE_VALUES, &values) == QB_OK ? values.bytes : 0;
}

/* The values, and then their quantization. */
static const char *run_both(const struct qb_plugin_call *call)
{
    struct qb_tensors tensors = *call->tensors;
    struct qb_problem quantization = {.size = sizeof quantization};
    void **values = &tensors.at[QB_ROLE_VALUES];

    if (!call->problem->keep_values) {
        *values = call->workspace;
    }
    if (qb_problem_quantization(call->problem, &quantization) != QB_OK ||
        qb_reference_values(call->problem, &tensors) != QB_OK) {
        return "the values failed";
    }
    tensors.at[QB_ROLE_INPUT] = *values;
    return quantize(&quantization, &tensors);
}

#define KERNEL(name_, operation_, ...)                                                                                 \
    {                                                                                                                  \
        .name = "operations_" name_, .description = "the reference", .backend = "cpu", .supports = supports,           \
        .narrow = true, .operation = operation_, __VA_ARGS__                                                           \
    }
#define BOTH(name_, operation_) KERNEL(name_, operation_, .run = run_both, .workspace = workspace)
static const struct qb_plugin_kernel kernels[] = {
    KERNEL("quantize", QB_OPERATION_QUANTIZE, .run = run_quantize),
    KERNEL("dequantize", QB_OPERATION_DEQUANTIZE, .run = run_dequantize),
    BOTH("silu_mul", QB_OPERATION_SILU_MUL),
    BOTH("gelu_mul", QB_OPERATION_GELU_MUL),
    BOTH("rms_norm", QB_OPERATION_RMS_NORM),
    BOTH("add_rms_norm", QB_OPERATION_ADD_RMS_NORM),
    BOTH("rope", QB_OPERATION_ROPE),
    BOTH("unfused_silu_mul", QB_OPERATION_SILU_MUL),
    BOTH("unfused_rms_norm", QB_OPERATION_RMS_NORM),
};
QB_PLUGIN(kernels);
