/* SPDX-License-Identifier: Apache-2.0 */
/* kernels_narrow_body.h - the routines of struct qb__narrow_ops on top of what each kernels_narrow_<isa>.c defines
 * before it includes this file:
 *
 *   ISA                 the suffix of names
 *   EACH_CODES(ROW)     the output formats that kernels_each.h makes codes of
 *   TILE_CODES(ROW)     those that kernels_groups.h makes codes of, if any
 *   SHORT_CODES(ROW)    those that kernels_encode.h makes codes of, if any
 * kernels_ranges.h, or kernels_narrow_generic.c:
 *   range_run()         what the elements of a run are between
 *   shifted_run()       codes by a zero point, as many as are easy
 *   pack()              codes in bytes to bytes of codes
 *
 * They are apart from kernels_body.h, so that neither file's size decides on what compilers inline in the other. */

#define JOIN2(a, b) a##b
#define JOIN(a, b)  JOIN2(a, b)
#define NAME(name)  JOIN(name##_, ISA)

#define INPUT_ROUTINES(in, INPUT)                                                                                      \
    static struct qb__range NAME(range_##in)(const void *x, size_t count)                                              \
    {                                                                                                                  \
        return range_run(x, count, INPUT);                                                                             \
    }                                                                                                                  \
    static void NAME(values_##in)(float *v, const void *x, size_t count)                                               \
    {                                                                                                                  \
        values_run(v, x, count, INPUT);                                                                                \
    }                                                                                                                  \
    static size_t NAME(shifted_##in)(const struct qb__shifted *run)                                                    \
    {                                                                                                                  \
        return run->clean ? shifted_run(run, INPUT, true) : shifted_run(run, INPUT, false);                            \
    }

INPUT_ROUTINES(f16, QB_FORMAT_F16)
INPUT_ROUTINES(bf16, QB_FORMAT_BF16)
INPUT_ROUTINES(f32, QB_FORMAT_F32)

#define EACH_ROUTINE(OUTPUT, out_, ...)                                                                                \
    static void NAME(each_##out_)(const struct qb__each *run)                                                          \
    {                                                                                                                  \
        each_codes(*run, QB_FORMAT_##OUTPUT);                                                                          \
    }

EACH_CODES(EACH_ROUTINE)

#ifdef SHORT_CODES
#define ENCODE_ROUTINES_OF(in, INPUT, out_, OUTPUT)                                                                    \
    static __attribute__((noinline)) void NAME(any_##in##_##out_)(uint8_t * out, const void *x, size_t count,          \
                                                                  const struct qb__divisor *divisor, bool stream)      \
    {                                                                                                                  \
        (void)stream;                                                                                                  \
        encode_any((struct qb__run){out, x, count}, divisor, false,                                                    \
                   (struct qb__pair){INPUT, OUTPUT, NULL, NULL, NULL});                                                \
    }                                                                                                                  \
    static void NAME(encode_##in##_##out_)(uint8_t * out, const void *x, size_t count,                                 \
                                           const struct qb__divisor *divisor)                                          \
    {                                                                                                                  \
        const struct qb__pair pair = {INPUT, OUTPUT, NAME(any_##in##_##out_), NULL, NULL};                             \
        const struct qb__run run = {out, x, count};                                                                    \
                                                                                                                       \
        if (divisor->quotient == QB__QUOTIENT_MULTIPLY) {                                                              \
            encode_bytes(run, divisor, pair, QB__QUOTIENT_MULTIPLY);                                                   \
        } else if (divisor->quotient == QB__QUOTIENT_CORRECT) {                                                        \
            encode_bytes(run, divisor, pair, QB__QUOTIENT_CORRECT);                                                    \
        } else {                                                                                                       \
            pair.any(out, x, count, divisor, false);                                                                   \
        }                                                                                                              \
    }
#define ENCODE_ROUTINES(OUTPUT, out_, ...)                                                                             \
    ENCODE_ROUTINES_OF(f16, QB_FORMAT_F16, out_, QB_FORMAT_##OUTPUT)                                                   \
    ENCODE_ROUTINES_OF(bf16, QB_FORMAT_BF16, out_, QB_FORMAT_##OUTPUT)                                                 \
    ENCODE_ROUTINES_OF(f32, QB_FORMAT_F32, out_, QB_FORMAT_##OUTPUT)

SHORT_CODES(ENCODE_ROUTINES)

#define F16_ENCODE(OUTPUT, out_, ...)  [QB_FORMAT_##OUTPUT] = NAME(encode_f16_##out_),
#define BF16_ENCODE(OUTPUT, out_, ...) [QB_FORMAT_##OUTPUT] = NAME(encode_bf16_##out_),
#define F32_ENCODE(OUTPUT, out_, ...)  [QB_FORMAT_##OUTPUT] = NAME(encode_f32_##out_),
#endif

#ifdef TILE_CODES
#define TILE_ROUTINES_OF(in, INPUT, out_, OUTPUT)                                                                      \
    static __attribute__((noinline)) void NAME(divided_##in##_##out_)(const struct qb__run *run,                       \
                                                                      const struct scales *s, unsigned shift)          \
    {                                                                                                                  \
        tiles_encode(*run, s, shift, false, (struct tiles_way){INPUT, OUTPUT, 0, false, true, false});                 \
    }                                                                                                                  \
    static __attribute__((noinline)) void NAME(multiplied_##in##_##out_)(const struct qb__run *run,                    \
                                                                         const struct scales *s, unsigned shift)       \
    {                                                                                                                  \
        tiles_encode(*run, s, shift, false, (struct tiles_way){INPUT, OUTPUT, 0, true, true, false});                  \
    }                                                                                                                  \
    static void NAME(tiles_##in##_##out_)(const struct qb__tiles *tiles)                                               \
    {                                                                                                                  \
        static qb__special_routine *const special[2] = {NAME(divided_##in##_##out_), NAME(multiplied_##in##_##out_)};  \
                                                                                                                       \
        tiles_any(tiles, special, INPUT, OUTPUT);                                                                      \
    }
#define TILE_ROUTINES(OUTPUT, out_, ...)                                                                               \
    TILE_ROUTINES_OF(f16, QB_FORMAT_F16, out_, QB_FORMAT_##OUTPUT)                                                     \
    TILE_ROUTINES_OF(bf16, QB_FORMAT_BF16, out_, QB_FORMAT_##OUTPUT)                                                   \
    TILE_ROUTINES_OF(f32, QB_FORMAT_F32, out_, QB_FORMAT_##OUTPUT)

TILE_CODES(TILE_ROUTINES)

#define F16_TILES(OUTPUT, out_, ...)  [QB_FORMAT_##OUTPUT] = NAME(tiles_f16_##out_),
#define BF16_TILES(OUTPUT, out_, ...) [QB_FORMAT_##OUTPUT] = NAME(tiles_bf16_##out_),
#define F32_TILES(OUTPUT, out_, ...)  [QB_FORMAT_##OUTPUT] = NAME(tiles_f32_##out_),
#endif

#define INPUT(in)                                                                                                      \
    {                                                                                                                  \
        NAME(range_##in), NAME(values_##in), NAME(shifted_##in)                                                        \
    }
#define EACH_PLACE(OUTPUT, out_, ...) [QB_FORMAT_##OUTPUT] = NAME(each_##out_),

const struct qb__narrow_ops NAME(qb__narrow_ops) = {
    .inputs = {[QB_FORMAT_F16] = INPUT(f16), [QB_FORMAT_BF16] = INPUT(bf16), [QB_FORMAT_F32] = INPUT(f32)},
#ifdef SHORT_CODES
    .encode =
        {
            [QB_FORMAT_F16] = {SHORT_CODES(F16_ENCODE)},
            [QB_FORMAT_BF16] = {SHORT_CODES(BF16_ENCODE)},
            [QB_FORMAT_F32] = {SHORT_CODES(F32_ENCODE)},
        },
    .any_factor = true,
#endif
#ifdef TILE_CODES
    .tiles =
        {
            [QB_FORMAT_F16] = {TILE_CODES(F16_TILES)},
            [QB_FORMAT_BF16] = {TILE_CODES(BF16_TILES)},
            [QB_FORMAT_F32] = {TILE_CODES(F32_TILES)},
        },
#endif
    .each = {EACH_CODES(EACH_PLACE)},
    .pack = pack,
};
