/* SPDX-License-Identifier: Apache-2.0 */
/* oracle.c - see oracle.h. */
#include <config.h>

#include "check/oracle.h"
#include "check/quality.h"

#include <fenv.h>
#include <math.h>
#include <stdbool.h>
#include <stddef.h>

/* ---- The environment -------------------------------------------------------------------------------------------- */

void oracle_set_environment(void)
{
    fesetenv(FE_DFL_ENV);
}

/* True if arithmetic rounds to nearest in this thread. fegetround() is not enough: on x86-64 it may read the mode of
 * the x87 unit alone, and arithmetic is done by SSE. */
static bool rounds_to_nearest(void)
{
    volatile float one = 1, minus_one = -1, little = 0x1p-26f;
    volatile float up = one + little, down = minus_one - little, to_zero = one - little;

    return fegetround() == FE_TONEAREST && up == 1 && down == -1 && to_zero == 1;
}

/* What differs from the default in this thread; NULL: nothing. */
static const char *changed_here(void)
{
    volatile float normal = 0x1p-126f, subnormal = 0x1p-149f;
    volatile float half = normal / 2, four = subnormal / 0x1p-126f;

    if (!rounds_to_nearest()) {
        return "the rounding mode";
    }
    return half == 0 ? "flush to zero (FTZ)" : four == 0 ? "denormals are zero (DAZ)" : NULL;
}

const char *oracle_set_environment_of(unsigned threads)
{
    const char *changed = NULL;

#pragma omp parallel num_threads((int)threads)
    {
        const char *here = changed_here();

        fesetenv(FE_DFL_ENV);
        if (here != NULL) {
#pragma omp critical
            changed = here;
        }
    }
    (void)threads; /* without OpenMP */
    return changed;
}

/* ---- The check -------------------------------------------------------------------------------------------------- */

/* A tensor whose figures are known: its second element is half a code away from its code, its third is subnormal and
 * has a zero as its code. */
static enum exit_code check_quality(void)
{
    static const float input[] = {127, 64.5f, 0x1p-140f, 200, -0x1p-149f};
    uint8_t codes[] = {127, 64, 0, 127, 0};
    float scale = 1;
    const struct qb_tensors tensors = QB_TENSORS(input, codes, &scale);
    const double signal = 127.0 * 127 + 64.5 * 64.5 + 200.0 * 200, noise = 0.25 + 73.0 * 73;
    static const struct qb_arithmetic contract;
    struct qb_problem problem;
    struct quality q;

    qb_problem_init(&problem);
    problem.input = QB_FORMAT_F32;
    problem.tokens = 1;
    problem.hidden = sizeof input / sizeof input[0];
    if (!quality_compute(&problem, &contract, &tensors, &q)) {
        return message_out_of_memory("the quality figures", sizeof input);
    }
    if (q.finite == problem.hidden && q.flushed == 2 && q.saturated == 1 && q.largest_error == 73 &&
        q.largest_relative_error == 1 && fabs(q.snr - 10 * log10(signal / noise)) < 1e-9) {
        return EXIT_OK;
    }
    message_error("the quality figures of a known tensor are wrong (%llu flushed, expected 2; SNR %.9g dB, expected "
                  "%.9g): this build or process cannot verify anything; see quantbench-numerics(7)",
                  (unsigned long long)q.flushed, q.snr, 10 * log10(signal / noise));
    return EXIT_CANNOT_RUN;
}

enum exit_code oracle_check(void)
{
    if (qb_reference_check() != QB_OK) {
        message_error("the reference does not compute the contract: %s; this build or process cannot verify anything; "
                      "see quantbench-numerics(7)",
                      qb_error_detail());
        return EXIT_CANNOT_RUN;
    }
    return check_quality();
}
