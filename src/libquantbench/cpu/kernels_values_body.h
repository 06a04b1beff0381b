/* SPDX-License-Identifier: Apache-2.0 */
/* kernels_values_body.h - the routines of struct qb__values_ops on top of what each kernels_values_<isa>.c defines
 * before it includes this file: ISA, the suffix of names, and gated_any(), norm_any(), rope_any() and decode_any(),
 * which are inlined with constant formats. */

#define JOIN2(a, b) a##b
#define JOIN(a, b)  JOIN2(a, b)
#define NAME(name)  JOIN(name##_, ISA)

#define ROUTINES(in, INPUT)                                                                                            \
    static void NAME(gated_##in)(const struct qb__gated *row)                                                          \
    {                                                                                                                  \
        gated_any(row, INPUT);                                                                                         \
    }                                                                                                                  \
    static void NAME(norm_##in)(const struct qb__norm *row)                                                            \
    {                                                                                                                  \
        norm_any(row, INPUT);                                                                                          \
    }                                                                                                                  \
    static void NAME(rope_##in)(const struct qb__rope *row)                                                            \
    {                                                                                                                  \
        rope_any(row, INPUT);                                                                                          \
    }                                                                                                                  \
    static void NAME(decode_##in)(const struct qb__decode *run)                                                        \
    {                                                                                                                  \
        decode_any(run, INPUT);                                                                                        \
    }

ROUTINES(f16, QB_FORMAT_F16)
ROUTINES(bf16, QB_FORMAT_BF16)
ROUTINES(f32, QB_FORMAT_F32)

#define PLACES(routine)                                                                                                \
    {                                                                                                                  \
        [QB_FORMAT_F16] = NAME(routine##_f16), [QB_FORMAT_BF16] = NAME(routine##_bf16),                                \
        [QB_FORMAT_F32] = NAME(routine##_f32),                                                                         \
    }

const struct qb__values_ops NAME(qb__values_ops) = {
    .gated = PLACES(gated),
    .norm = PLACES(norm),
    .rope = PLACES(rope),
    .decode = PLACES(decode),
};
