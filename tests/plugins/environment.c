/* SPDX-License-Identifier: Apache-2.0 */
/* environment.c - a plug-in that changes the floating-point environment: when it is loaded, with -DLOAD_..., or in its
 * kernels, as their names say. They quantize float to INT8 with one scale per token, by the contract. */
#include "quantbench.h"

#include <fenv.h>
#ifdef __SSE__
#include <xmmintrin.h>
#endif

/* What a constructor does in a shared object that was linked with -ffast-math. */
__attribute__((unused)) static void flush(void)
{
#ifdef __SSE__
    _mm_setcsr(_mm_getcsr() | 0x8040);
#elif defined __aarch64__
    uint64_t fpcr;

    __asm__ volatile("mrs %0, fpcr" : "=r"(fpcr));
    __asm__ volatile("msr fpcr, %0" : : "r"(fpcr | (uint64_t)1 << 24));
#endif
}

__attribute__((constructor)) static void load(void)
{
#ifdef LOAD_FLUSH
    flush();
#endif
#ifdef LOAD_ROUND
    fesetround(FE_DOWNWARD);
#endif
}

#ifndef LOAD_ONLY

#include "rows.h"

static bool supports(const struct qb_problem *p)
{
    fesetround(FE_UPWARD);
    return rows_supports(p);
}

static const char *run_none(const struct qb_plugin_call *call)
{
    rows_quantize(call);
    return NULL;
}

static const char *run_round(const struct qb_plugin_call *call)
{
    rows_quantize(call);
    fesetround(FE_TOWARDZERO);
    return NULL;
}

static const char *run_flush(const struct qb_plugin_call *call)
{
    rows_quantize(call);
    flush();
    return NULL;
}

/* In the threads of the pool, but not in the one that calls. */
static const char *run_threads(const struct qb_plugin_call *call)
{
#ifdef _OPENMP
#pragma omp parallel num_threads((int)call->threads)
#endif
    {
        fesetround(FE_DOWNWARD);
    }
    fesetround(FE_TONEAREST);
    rows_quantize(call);
    return NULL;
}

/* The same, of the mode that SSE rounds by: fegetround() may not tell it. */
static const char *run_sse(const struct qb_plugin_call *call)
{
#ifdef __SSE__
#ifdef _OPENMP
#pragma omp parallel num_threads((int)call->threads)
#endif
    {
        _MM_SET_ROUNDING_MODE(_MM_ROUND_DOWN);
    }
    _MM_SET_ROUNDING_MODE(_MM_ROUND_NEAREST);
#endif
    rows_quantize(call);
    return NULL;
}

#define KERNEL(name_)                                                                                                  \
    {                                                                                                                  \
        .name = "environment_" #name_, .description = "for tests", .backend = "cpu", .supports = supports,             \
        .run = run_##name_                                                                                             \
    }
static const struct qb_plugin_kernel kernels[] = {KERNEL(none), KERNEL(round), KERNEL(flush), KERNEL(threads),
                                                  KERNEL(sse)};
QB_PLUGIN(kernels);

#endif
