/* SPDX-License-Identifier: Apache-2.0 */
/* rows.h - a right kernel for plug-ins that do something else besides: float to INT8 with one dynamic scale per token,
 * by the contract. */
#ifndef ROWS_H
#define ROWS_H

#include "quantbench.h"

#include <float.h>
#include <math.h>

static bool rows_supports(const struct qb_problem *p)
{
    return p->input == QB_FORMAT_F32 && p->output == QB_FORMAT_INT8 && p->granularity == QB_GRANULARITY_TOKEN &&
           p->scaling == QB_SCALING_DYNAMIC && p->amax_bound == 0;
}

static void rows_quantize(const struct qb_plugin_call *call)
{
    const struct qb_problem *p = call->problem;

    for (uint64_t row = 0; row < p->tokens; row++) {
        const float *x = (const float *)call->tensors->at[QB_ROLE_INPUT] + row * p->input_stride;
        int8_t *q = (int8_t *)call->tensors->at[QB_ROLE_CODES] + row * p->output_stride;
        float amax = 0, scale;

        for (uint64_t i = 0; i < p->hidden; i++) {
            amax = fmaxf(amax, fabsf(x[i]));
        }
        scale = fmaxf(fminf(amax, FLT_MAX) / 127, 0x1p-126f);
        for (uint64_t i = 0; i < p->hidden; i++) {
            q[i] = isnan(x[i]) ? 0 : (int8_t)nearbyintf(fmaxf(-128, fminf(127, x[i] / scale)));
        }
        ((float *)call->tensors->at[QB_ROLE_SCALES])[row] = scale;
    }
}

#endif
