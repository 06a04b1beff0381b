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
        encode_any((struct qb__run){out, x, count}, divisor, false, (struct qb__pair){INPUT, OUTPUT, NULL, NULL});     \
    }                                                                                                                  \
    static void NAME(encode_##in##_##out_)(uint8_t * out, const void *x, size_t count,                                 \
                                           const struct qb__divisor *divisor)                                          \
    {                                                                                                                  \
        const struct qb__pair pair = {INPUT, OUTPUT, NAME(any_##in##_##out_), NULL};                                   \
        const struct qb__run run = {out, x, count};                                                                    \
                                                                                                                       \
        if (divisor->quotient != QB__QUOTIENT_DIVIDE) {                                                                \
            encode_bytes(run, divisor, pair);                                                                          \
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
#define AMAX_ROUTINE(in, INPUT, suffix, constant)                                                                      \
    static void NAME(amax_##suffix##_##in)(uint32_t amax[TILES_BATCH], const void *x, size_t size)                     \
    {                                                                                                                  \
        batch_amax(amax, x, (constant) > 0 ? (constant) : size, INPUT,                                                 \
                   (constant) > 0 && (constant) < sizeof(words) / qb__element_size(INPUT));                            \
    }
#define AMAX_ROUTINES(in, INPUT)                                                                                       \
    static void NAME(amax_each_##in)(uint32_t amax[TILES_BATCH], const void *x, size_t count, size_t size)             \
    {                                                                                                                  \
        groups_amax(amax, x, count, size, INPUT);                                                                      \
    }                                                                                                                  \
    AMAX_ROUTINE(in, INPUT, any, 0)
#define AMAX_USUAL(in, INPUT)                                                                                          \
    AMAX_ROUTINE(in, INPUT, 16, 16)                                                                                    \
    AMAX_ROUTINE(in, INPUT, 32, 32)                                                                                    \
    AMAX_ROUTINE(in, INPUT, 128, 128)

AMAX_ROUTINES(f16, QB_FORMAT_F16)
AMAX_USUAL(f16, QB_FORMAT_F16)
AMAX_ROUTINES(bf16, QB_FORMAT_BF16)
AMAX_USUAL(bf16, QB_FORMAT_BF16)
AMAX_ROUTINES(f32, QB_FORMAT_F32)

#define SCALES_ROUTINE(name, FORMAT, powers, INPUT)                                                                    \
    static uint32_t NAME(scales_##name)(struct scales * s, size_t first, const uint32_t amax[TILES_BATCH],             \
                                        const struct qb__form *form)                                                   \
    {                                                                                                                  \
        return scales_of(s, first, amax, form, (struct scales_way){FORMAT, powers, INPUT});                            \
    }

SCALES_ROUTINE(float, QB_FORMAT_F32, false, QB_FORMAT_F32)
SCALES_ROUTINE(e4m3, QB_FORMAT_E4M3, false, QB_FORMAT_F32)
SCALES_ROUTINE(e8m0, QB_FORMAT_E8M0, false, QB_FORMAT_F32)
#ifdef HAVE_POWER_CODES
SCALES_ROUTINE(powers_f16, QB_FORMAT_E8M0, true, QB_FORMAT_F16)
SCALES_ROUTINE(powers_bf16, QB_FORMAT_E8M0, true, QB_FORMAT_BF16)
#define POWERS(ROW, ...) ROW(__VA_ARGS__)
#else
#define POWERS(ROW, ...)
#endif

/* The ways of INPUT and OUTPUT that all formats have, and those of the usual sizes of the usual ones: ROW(IN, INPUT,
 * OUT, OUTPUT, WAY, and the rest of struct tiles_way). */
#define COMMON_WAYS(ROW, in, INPUT, out_, OUTPUT)                                                                      \
    ROW(in, INPUT, out_, OUTPUT, ANY, 0, false, false, false)                                                          \
    ROW(in, INPUT, out_, OUTPUT, SPECIAL, 0, false, true, false)
#define USUAL_WAYS(ROW, in, INPUT)                                                                                     \
    ROW(in, INPUT, int8, INT8, DIVIDED_128, 128, false, false, false)                                                  \
    ROW(in, INPUT, int4, INT4, DIVIDED_128, 128, false, false, false)                                                  \
    ROW(in, INPUT, e4m3, E4M3, DIVIDED_128, 128, false, false, false)                                                  \
    ROW(in, INPUT, e4m3, E4M3, MULTIPLIED_128, 128, true, false, false)                                                \
    ROW(in, INPUT, e4m3, E4M3, MULTIPLIED_32, 32, true, false, false)                                                  \
    ROW(in, INPUT, e2m1, E2M1, MULTIPLIED_32, 32, true, false, false)                                                  \
    ROW(in, INPUT, e2m1, E2M1, MULTIPLIED_16, 16, true, false, false)                                                  \
    POWERS(ROW, in, INPUT, e2m1, E2M1, POWERS_32, 32, true, false, true)
#define ALL_COMMON(ROW, OUTPUT, out_)                                                                                  \
    COMMON_WAYS(ROW, f16, F16, out_, OUTPUT)                                                                           \
    COMMON_WAYS(ROW, bf16, BF16, out_, OUTPUT)                                                                         \
    COMMON_WAYS(ROW, f32, F32, out_, OUTPUT)

#define CODES_ROUTINE(in, INPUT, out_, OUTPUT, WAY, ...)                                                               \
    static void NAME(codes_##in##_##out_##_##WAY)(const struct qb__run *run, const struct scales *s, size_t first,     \
                                                  unsigned shift, const struct qb__access access)                      \
    {                                                                                                                  \
        tiles_codes(run, s, first, shift, access,                                                                      \
                    (struct tiles_way){QB_FORMAT_##INPUT, QB_FORMAT_##OUTPUT, __VA_ARGS__});                           \
    }
#define CODES_PLACE(in, INPUT, out_, OUTPUT, WAY, ...)                                                                 \
    [QB_FORMAT_##INPUT][QB_FORMAT_##OUTPUT][WAY_##WAY] = NAME(codes_##in##_##out_##_##WAY),
#define COMMON_ROUTINES(OUTPUT, out_, ...) ALL_COMMON(CODES_ROUTINE, OUTPUT, out_)
#define COMMON_PLACES(OUTPUT, out_, ...)   ALL_COMMON(CODES_PLACE, OUTPUT, out_)

TILE_CODES(COMMON_ROUTINES)
USUAL_WAYS(CODES_ROUTINE, f16, F16)
USUAL_WAYS(CODES_ROUTINE, bf16, BF16)

/* The routines above, by formats and way. Inputs are the first formats. */
static batch_codes_routine *const NAME(tiles_codes)[QB_FORMAT_F32 + 1][QB__FORMAT_COUNT][WAYS] = {
    /* clang-format off */
    TILE_CODES(COMMON_PLACES)
    USUAL_WAYS(CODES_PLACE, f16, F16)
    USUAL_WAYS(CODES_PLACE, bf16, BF16)
    /* clang-format on */
};
static batch_scales_routine *NAME(tiles_scales)(const struct qb__form *form, enum qb_format input, enum tiles_ways way)
{
#ifdef HAVE_POWER_CODES
    if (way == WAY_POWERS_32) {
        return input == QB_FORMAT_F16 ? NAME(scales_powers_f16) : NAME(scales_powers_bf16);
    }
#endif
    (void)input, (void)way;
    return form->scale_format == QB_FORMAT_E8M0   ? NAME(scales_e8m0)
           : form->scale_format == QB_FORMAT_E4M3 ? NAME(scales_e4m3)
                                                  : NAME(scales_float);
}

/* TILES of INPUT, whose routines for the amaxes of a batch are AMAX. */
static void NAME(tiles_any)(const struct qb__tiles *tiles, batch_amax_routine *const amax[SIZES],
                            groups_amax_routine *amax_each, enum qb_format input)
{
    const struct qb__form *form = tiles->form;
    batch_codes_routine *const *there = NAME(tiles_codes)[input][form->output];
    const enum tiles_ways way = tiles_way_of(form, tiles->size, there);
    const struct tiles_routines routines = {
        .amax = amax[tiles_size_of(tiles->size)],
        .amax_each = amax_each,
        .scales = NAME(tiles_scales)(form, input, way),
        .codes = there[way],
        .special = there[WAY_SPECIAL],
    };

    tiles_run(tiles, &routines, input);
}

#define TILES_ROUTINE(in, INPUT, amax_16, amax_32, amax_128)                                                           \
    static void NAME(tiles_##in)(const struct qb__tiles *tiles)                                                        \
    {                                                                                                                  \
        static batch_amax_routine *const amax[SIZES] = {NAME(amax_any_##in), amax_16, amax_32, amax_128};              \
                                                                                                                       \
        NAME(tiles_any)(tiles, amax, NAME(amax_each_##in), INPUT);                                                     \
    }

TILES_ROUTINE(f16, QB_FORMAT_F16, NAME(amax_16_f16), NAME(amax_32_f16), NAME(amax_128_f16))
TILES_ROUTINE(bf16, QB_FORMAT_BF16, NAME(amax_16_bf16), NAME(amax_32_bf16), NAME(amax_128_bf16))
TILES_ROUTINE(f32, QB_FORMAT_F32, NAME(amax_any_f32), NAME(amax_any_f32), NAME(amax_any_f32))

#define F16_TILES(OUTPUT, ...)  [QB_FORMAT_##OUTPUT] = NAME(tiles_f16),
#define BF16_TILES(OUTPUT, ...) [QB_FORMAT_##OUTPUT] = NAME(tiles_bf16),
#define F32_TILES(OUTPUT, ...)  [QB_FORMAT_##OUTPUT] = NAME(tiles_f32),
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
