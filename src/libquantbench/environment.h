/* SPDX-License-Identifier: Apache-2.0 */
/* environment.h - the floating-point environment that the contract is computed in: IEEE 754's default, without flushing
 * of subnormals. Callers and foreign code may have set another one. Backends need it too, so it is in no object file.
 *
 * Compilers move arithmetic across a change of the environment. What depends on it belongs in a function that is not
 * inlined between qb__environment_enter() and qb__environment_leave(), and works on memory. */
#ifndef QB_ENVIRONMENT_H
#define QB_ENVIRONMENT_H

#include <stdbool.h>
#include <stdint.h>

/* True if this thread's environment is not the default; TEXT names what differs. Not for backends. */
#define QB__CHANGES_SIZE 128
bool qb__environment_changed(char text[QB__CHANGES_SIZE]);

/* Of a function that computes in the environment that its caller has entered. */
#define QB__IN_ENVIRONMENT __attribute__((noinline))

#if defined __x86_64__ || (defined __i386__ && defined __SSE__)

#define QB__MXCSR_CONTROL 0xFFC0u /* the rest are flags of what has happened */
#define QB__MXCSR_DEFAULT 0x1F80u
#define QB__X87_CONTROL   0x0F3Fu
#define QB__X87_DEFAULT   0x037Fu

struct qb__environment {
    uint32_t mxcsr;
    uint16_t x87;
};

static inline void qb__environment_read(struct qb__environment *now)
{
    __asm__ volatile("stmxcsr %0" : "=m"(now->mxcsr) : : "memory");
    __asm__ volatile("fnstcw %0" : "=m"(now->x87) : : "memory");
}

/* Writing a control register takes tens of cycles, so only what differs is written. The flags stay. */
static inline void qb__environment_write(const struct qb__environment *now, uint32_t mxcsr, uint16_t x87)
{
    if (((now->mxcsr ^ mxcsr) & QB__MXCSR_CONTROL) != 0) {
        const uint32_t word = (mxcsr & QB__MXCSR_CONTROL) | (now->mxcsr & ~QB__MXCSR_CONTROL);

        __asm__ volatile("ldmxcsr %0" : : "m"(word) : "memory");
    }
    if (((now->x87 ^ x87) & QB__X87_CONTROL) != 0) {
        __asm__ volatile("fldcw %0" : : "m"(x87) : "memory");
    }
}

/* Keep this thread's environment in KEPT, and set the default. */
static inline void qb__environment_enter(struct qb__environment *kept)
{
    qb__environment_read(kept);
    qb__environment_write(kept, QB__MXCSR_DEFAULT, QB__X87_DEFAULT);
}

/* Set this thread's environment to KEPT again. */
static inline void qb__environment_leave(const struct qb__environment *kept)
{
    struct qb__environment now;

    qb__environment_read(&now);
    qb__environment_write(&now, kept->mxcsr, kept->x87);
}

#elif defined __aarch64__

struct qb__environment {
    uint64_t fpcr; /* the flags are in another register */
};

static inline void qb__environment_read(struct qb__environment *now)
{
    __asm__ volatile("mrs %0, fpcr" : "=r"(now->fpcr) : : "memory");
}

static inline void qb__environment_write(const struct qb__environment *now, uint64_t fpcr)
{
    if (now->fpcr != fpcr) {
        __asm__ volatile("msr fpcr, %0" : : "r"(fpcr) : "memory");
    }
}

static inline void qb__environment_enter(struct qb__environment *kept)
{
    qb__environment_read(kept);
    qb__environment_write(kept, 0);
}

static inline void qb__environment_leave(const struct qb__environment *kept)
{
    struct qb__environment now;

    qb__environment_read(&now);
    qb__environment_write(&now, kept->fpcr);
}

#else

#include <fenv.h>

struct qb__environment {
    fenv_t all;
};

static inline void qb__environment_enter(struct qb__environment *kept)
{
    fegetenv(&kept->all);
    fesetenv(FE_DFL_ENV);
}

static inline void qb__environment_leave(const struct qb__environment *kept)
{
    fesetenv(&kept->all);
}

#endif

#endif
