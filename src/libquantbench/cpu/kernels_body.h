/* SPDX-License-Identifier: Apache-2.0 */
/* kernels_body.h - the routines of struct qb__cpu_ops on top of what each kernels_<isa>.c defines before it includes
 * this file:
 *
 *   ISA, LANES          the suffix of names, and the elements in a block (a multiple of 32, and its stores' alignment)
 *   CODES(ROW)          the output formats that there are routines for, as rows of the formats' table
 *   HAVE_CORRECT, HAVE_MULTIPLY   which quotients there are, besides the division
 *   CORRECT_ANY         whether CORRECT and MULTIPLY hold in encode_part(), for infinities too
 *   NARROW_OPS          the routines for what is not plain, of a kernels_narrow_<isa>.c
 *   VALUES_OPS          those for other operations, of a kernels_values_<isa>.c
 *   VALUES_FP16_OPS     those that computing in half makes faster, if any
 *   HAVE_STREAM         whether stores can be non-temporal, which vector_<isa>.h defines
 *   HAVE_MASKS          whether a part of a block costs as little as a whole one, defined there too
 *   SATURATING          whether encode_block() saturates INT8 after MULTIPLY, or needs caps for it
 * kernels_blocks.h, or kernels_generic.c, of which kernels_encode.h makes loops:
 *   struct constants, constants_make(divisor..)   what a run keeps in registers
 *   encode_block()      LANES elements with one scale; false if that is not right and encode_part() is needed
 *   encode_part()       up to LANES elements, of any values, with one scale; STREAM: only LANES
 *   encode_block_columns()   up to LANES columns of some rows, each with its own scale
 * kernels_amax.h, or kernels_generic.c:
 *   amax_run()          the largest |x| of a run, as the input's bits without sign
 *   amax_block_columns()     the columns' largest |x|; true if there is a NaN, and it is to be called with NO_NAN
 * kernels_ties.h, or kernels_plain.h:
 *   multiply_matches()  whether x * (1/s) gives the codes of x / s, see there
 * kernels_lines.h, or kernels_plain.h:
 *   copy_stream()
 *   mix_lines(), read_lines()   a number of lines read for each one written, and lines that are only read
 * vector_<isa>.h, or kernels_plain.h:
 *   fence()
 *
 * Every function is inlined with constant formats, so each loop below becomes one loop for each of the cases. */

#include "kernels_encode.h"

/* The quotient for groups, which are too short for anything better to pay. */
#define GROUP_QUOTIENT (HAVE_CORRECT ? QB__QUOTIENT_CORRECT : QB__QUOTIENT_DIVIDE)

/* COUNT columns of ROWS, from column FIRST on. */
QB__INLINE struct qb__rows columns_of(const struct qb__rows rows, size_t first, size_t count,
                                      const enum qb_format input)
{
    struct qb__rows part = rows;

    part.x = at(rows.x, first, input);
    part.count = count;
    part.out = rows.out + first;
    return part;
}

/* Where the rows are AHEAD that are read next of the same columns: too far away for the CPU to guess. */
QB__INLINE void prefetch_rows(const struct qb__rows rows, size_t ahead, const enum qb_format input)
{
    const void *x = rows.x;

    for (size_t row = 0; row < rows.rows && ahead > 0; row++, x = at(x, rows.stride, input)) {
        prefetch_ahead(x, LANES * qb__element_size(input), ahead);
    }
}

/* A block of columns of one row after the other: what belongs to the columns is loaded once for all rows. */
QB__INLINE bool amax_columns(const struct qb__rows rows, float *amax, size_t ahead, const enum qb_format input)
{
    bool nan = false;

    for (size_t i = 0; i < rows.count; i += LANES) {
        const struct qb__rows whole = columns_of(rows, i, LANES, input);
        const struct qb__rows part = columns_of(rows, i, rows.count - i < LANES ? rows.count - i : LANES, input);

        prefetch_rows(part, ahead, input);
        if (part.count == LANES ? amax_block_columns(whole, amax + i, input, false)
                                : amax_block_columns(part, amax + i, input, false)) {
            /* NaN is rare: look again, without it. */
            amax_block_columns(part, amax + i, input, true);
            nan = true;
        }
    }
    return nan;
}

/* Columns from I to END - 1, with any scales and any elements. */
QB__INLINE void encode_any_columns(size_t i, size_t end, const struct qb__rows rows, const struct qb__columns *columns,
                                   const struct qb__pair pair)
{
    for (; i < end; i += LANES) {
        const struct qb__rows part = columns_of(rows, i, end - i < LANES ? end - i : LANES, pair.input);

        pair.any_columns(&part, columns, i);
    }
}

/* Whole blocks of columns from I on: where the columns are that are left. */
QB__INLINE size_t encode_column_blocks(size_t i, const struct qb__rows rows, const struct qb__columns *columns,
                                       size_t ahead, const struct qb__pair pair, const struct qb__way way)
{
    for (; rows.count - i >= LANES; i += LANES) {
        const struct qb__rows block = columns_of(rows, i, LANES, pair.input);

        prefetch_rows(block, ahead, pair.input);
        encode_block_columns(block, columns, i, pair, way);
    }
    return i;
}

QB__INLINE void encode_columns(const struct qb__rows rows, const struct qb__columns *columns,
                               const struct qb__access *access, const struct qb__pair pair)
{
    const enum qb__quotient quotient = CORRECT_ANY ? QB__QUOTIENT_CORRECT : QB__QUOTIENT_DIVIDE;
    const size_t ahead = access->ahead;
    size_t head = access->stream ? -(uintptr_t)rows.out & 63 : 0;
    size_t i = head < rows.count ? head : rows.count;

    encode_any_columns(0, i, rows, columns, pair);
    if (columns->reciprocal != NULL && HAVE_CORRECT) {
        const bool stream = HAVE_STREAM && access->stream;

        if (columns->clean) {
            i = encode_column_blocks(i, rows, columns, ahead, pair, (struct qb__way){quotient, true, stream});
        } else {
            i = encode_column_blocks(i, rows, columns, ahead, pair, (struct qb__way){quotient, false, stream});
        }
    }
    encode_any_columns(i, rows.count, rows, columns, pair);
}

/* Set caps for INT8 that need no saturation after them: one that gives 127, and one for negative x that gives -128. */
QB__INLINE bool caps_fit(struct qb__divisor *d, const enum qb_format input)
{
    uint32_t cap = qb__bits_below(d->scale * 127.25f, input), low_cap = qb__bits_below(d->scale * 128.25f, input);
    float most = input == QB_FORMAT_F16 ? qb__half_value(cap) : qb__float_of(cap << 16);
    float least = input == QB_FORMAT_F16 ? qb__half_value(low_cap) : qb__float_of(low_cap << 16);

    if (!(most * d->reciprocal > 126.5f && most * d->reciprocal < 127.5f && least * d->reciprocal >= 127.5f &&
          least * d->reciprocal <= 128.5f)) {
        return false;
    }
    d->cap = cap;
    d->low_cap = low_cap;
    return true;
}

/* See prepare() in struct qb__cpu_ops.
 *
 * MULTIPLY rests on this: where the input format has p significant bits (half 11, bfloat16 8), all x but one are
 * thousands of binary32 units away from a tie m times the scale. x * (1/s) is off by a few units at most, also if the
 * reciprocal is one unit off, so it is on the same side of m as x / s. Only the one, m*s rounded to p bits, can be as
 * near as that. multiply_matches() tries it for every m, with 1/s and with its two neighbors: it returns whether one
 * of them rounds all to the same code as the division does, and sets the reciprocal to it. */
QB__INLINE struct qb__divisor divisor_for(float scale, const struct qb__rule *rule, bool clean, uint64_t count)
{
    struct qb__divisor d = qb__divisor_make(scale, rule, clean);
    uint64_t least = qb__is_integer(rule->output) ? QB__MULTIPLY_LEAST_INT8 : QB__MULTIPLY_LEAST_FP8;

    if (HAVE_MULTIPLY && d.quotient == QB__QUOTIENT_CORRECT && rule->input != QB_FORMAT_F32 && count >= least &&
        multiply_matches(d.scale, &d.reciprocal, rule->input, rule->output) &&
        (SATURATING || !qb__is_integer(rule->output) || clean || caps_fit(&d, rule->input))) {
        d.quotient = QB__QUOTIENT_MULTIPLY;
    }
    return d;
}

static void prepare(struct qb__divisor *divisor, float scale, const struct qb__rule *rule, bool clean, uint64_t count)
{
    *divisor = divisor_for(scale, rule, clean, count);
}

QB__INLINE uint32_t amax_bits(const void *x, size_t count, const enum qb_format input)
{
    return amax_widen(amax_raw(x, count, input), input);
}

/* Groups are worked on in batches: the latencies of one group's reduction and divisions are hidden by the others'. */
enum { BATCH = 8 };

struct batch {
    float scale[BATCH], reciprocal[BATCH], rest[BATCH];
    uint32_t special; /* some group is not clean, or its scale is not for CORRECT */
};

/* The scales of BATCH groups at X. */
typedef void batch_routine(struct batch *batch, const void *x, size_t group, const struct qb__rule *rule);

/* As qb__scale_make() has them: positive floats order as their bits do. */
QB__INLINE void batch_make(struct batch *batch, const void *x, const size_t group, const struct qb__rule *rule,
                           const enum qb_format input)
{
    const uint32_t limit = qb__bits_of(rule->limit);
    uint32_t amax[BATCH], special = 0;

    for (size_t j = 0; j < BATCH; j++) {
        amax[j] = amax_raw(at(x, j * group, input), group, input);
    }
    for (int j = 0; j < BATCH; j++) {
        uint32_t bits = amax_widen(amax[j], input);
        uint32_t cut = (bits & ~QB__AMAX_NAN) < limit ? bits & ~QB__AMAX_NAN : limit;
        uint32_t s = qb__bits_of(qb__float_of(cut) / rule->qmax);

        s = s > qb__bits_of(QB__SCALE_FLOOR) ? s : qb__bits_of(QB__SCALE_FLOOR);
        batch->scale[j] = qb__float_of(s);
        batch->reciprocal[j] = 1.0f / batch->scale[j];
        batch->rest[j] = qb__reciprocal_rest(batch->scale[j], batch->reciprocal[j]);
        special |= (uint32_t)(bits > limit) | (uint32_t)(s < qb__bits_of(QB__CORRECT_LEAST)) |
                   (uint32_t)(s > qb__bits_of(QB__CORRECT_MOST));
    }
    batch->special = special;
}

/* BATCH groups that are not special. */
QB__INLINE void batch_encode(const struct qb__groups groups, const struct batch *batch, const struct qb__pair pair,
                             const struct qb__access *access)
{
    const struct qb__way way = {GROUP_QUOTIENT, true, HAVE_STREAM && access->stream};
    const size_t group = groups.size;
    const void *x = groups.x;
    uint8_t *out = groups.out;

    for (size_t j = 0; j < BATCH; j++, x = at(x, group, pair.input), out += group) {
        const struct qb__divisor d = {
            .scale = batch->scale[j],
            .reciprocal = batch->reciprocal[j],
            .reciprocal_rest = batch->rest[j],
            .quotient = GROUP_QUOTIENT,
            .clean = true,
        };
        const struct constants c = constants_make(&d, pair.input, pair.output);
        size_t i = 0;

        for (; group - i >= LANES; i += LANES) {
            if (access->ahead > 0) {
                prefetch_ahead(at(x, i, pair.input), LANES * qb__element_size(pair.input), access->ahead);
            }
            encode_block(out + i, at(x, i, pair.input), &c, pair, way);
        }
        if (i < group && HAVE_MASKS) {
            encode_part((struct qb__run){out + i, at(x, i, pair.input), group - i}, &c, pair, way);
        } else if (i < group) {
            pair.any(out + i, at(x, i, pair.input), group - i, &d, false);
        }
    }
}

/* What groups need of their formats, besides a pair. */
struct group_routines {
    uint32_t (*amax)(const void *x, size_t count);
    void (*encode)(uint8_t *out, const void *x, size_t count, const struct qb__divisor *divisor,
                   const struct qb__access *access);
    batch_routine *batch;
};

/* One group after the other, of any kind. */
static void encode_each_group(const struct qb__groups *groups, const struct qb__rule *rule,
                              const struct qb__access *access, const struct group_routines *routines)
{
    const size_t group = groups->size;
    const void *x = groups->x;

    for (size_t i = 0; i < groups->count; i++, x = at(x, group, rule->input)) {
        bool clean = false;

        if (rule->dynamic) {
            groups->scales[i] = qb__scale_make(routines->amax(x, group), rule, &clean);
        }
        if (groups->out != NULL) {
            struct qb__divisor d;

            prepare(&d, groups->scales[i], rule, clean, group);
            routines->encode(groups->out + i * group, x, group, &d, access);
        }
    }
}

/* The scales of the batch after the one that is encoded are computed first: what they wait for, the memory and their
 * own latencies, is hidden by the encoding, which waits for nothing. */
QB__INLINE void encode_groups(struct qb__groups left, const struct qb__rule *rule, const struct qb__access *access,
                              const struct qb__pair pair, const struct group_routines *routines)
{
    const size_t group = left.size;
    /* Groups that are not whole lines of the output would leave a partly written line at each edge. */
    const struct qb__access whole = {.stream = access->stream && group % 64 == 0 && ((uintptr_t)left.out & 63) == 0,
                                     .ahead = access->ahead};
    struct batch batches[2];

    if (rule->dynamic && left.count >= BATCH) {
        routines->batch(&batches[0], left.x, group, rule);
    }
    for (unsigned turn = 0; rule->dynamic && left.count >= BATCH; turn ^= 1) {
        const struct batch *batch = &batches[turn];
        const void *next = at(left.x, BATCH * group, pair.input);

        if (left.count >= 2 * BATCH) {
            routines->batch(&batches[turn ^ 1], next, group, rule);
        }
        memcpy(left.scales, batch->scale, sizeof batch->scale);
        if (left.out != NULL) {
            if (batch->special) {
                const struct qb__groups here = {left.x, BATCH, group, left.scales, left.out};

                encode_each_group(&here, rule, &whole, routines);
            } else {
                batch_encode(left, batch, pair, &whole);
            }
            left.out += BATCH * group;
        }
        left.x = next;
        left.scales += BATCH;
        left.count -= BATCH;
    }
    encode_each_group(&left, rule, &whole, routines);
}

/* Reads and writes are mixed evenly, in pieces of this many lines written. */
#define MIX_PIECE 64

static void mix(char *target, uint64_t written, const char *source, uint64_t read, bool stream)
{
    uint64_t pieces = qb__ceil_div(written > 0 ? written : read, MIX_PIECE);

    for (uint64_t piece = 0; piece < pieces; piece++) {
        uint64_t w = written * piece / pieces, writes = written * (piece + 1) / pieces - w;
        uint64_t r = read * piece / pieces, reads = read * (piece + 1) / pieces - r;
        char *to = target + 64 * w;
        const char *from = source + 64 * r;
        uint64_t each = writes == 0 ? 0 : reads / writes >= 4 ? 4 : reads / writes >= 2 ? 2 : reads / writes;

        if (each == 4) {
            mix_lines(to, writes, from, 4, stream);
        } else if (each == 2) {
            mix_lines(to, writes, from, 2, stream);
        } else if (each == 1) {
            mix_lines(to, writes, from, 1, stream);
        } else {
            mix_lines(to, writes, from, 0, stream);
        }
        read_lines(from + 64 * each * writes, reads - each * writes);
    }
}

#define JOIN2(a, b) a##b
#define JOIN(a, b)  JOIN2(a, b)
#define NAME(name)  JOIN(name##_, ISA)

#define INPUT_ROUTINES(in, INPUT)                                                                                      \
    static uint32_t NAME(amax_##in)(const void *x, size_t count)                                                       \
    {                                                                                                                  \
        return amax_bits(x, count, INPUT);                                                                             \
    }                                                                                                                  \
    static bool NAME(amax_columns_##in)(const struct qb__rows *rows, float *amax, size_t ahead)                        \
    {                                                                                                                  \
        return amax_columns(*rows, amax, ahead, INPUT);                                                                \
    }                                                                                                                  \
    static void NAME(batch_##in)(struct batch * batch, const void *x, size_t group, const struct qb__rule *rule)       \
    {                                                                                                                  \
        batch_make(batch, x, group, rule, INPUT);                                                                      \
    }                                                                                                                  \
    /* The usual size, with loops that know it. */                                                                     \
    static void NAME(batch_128_##in)(struct batch * batch, const void *x, size_t group, const struct qb__rule *rule)   \
    {                                                                                                                  \
        (void)group;                                                                                                   \
        batch_make(batch, x, 128, rule, INPUT);                                                                        \
    }

#define PAIR_ROUTINES(in, INPUT, out_, OUTPUT)                                                                         \
    static __attribute__((noinline)) void NAME(any_##in##_##out_)(uint8_t * out, const void *x, size_t count,          \
                                                                  const struct qb__divisor *divisor, bool stream)      \
    {                                                                                                                  \
        encode_any((struct qb__run){out, x, count}, divisor, stream, (struct qb__pair){INPUT, OUTPUT, NULL, NULL});    \
    }                                                                                                                  \
    static __attribute__((noinline)) void NAME(encode_##in##_##out_)(uint8_t * out, const void *x, size_t count,       \
                                                                     const struct qb__divisor *divisor,                \
                                                                     const struct qb__access *access)                  \
    {                                                                                                                  \
        encode_run((struct qb__run){out, x, count}, divisor, access,                                                   \
                   (struct qb__pair){INPUT, OUTPUT, NAME(any_##in##_##out_), NULL});                                   \
    }                                                                                                                  \
    static __attribute__((noinline)) void NAME(any_columns_##in##_##out_)(                                             \
        const struct qb__rows *rows, const struct qb__columns *columns, size_t first)                                  \
    {                                                                                                                  \
        encode_block_columns(*rows, columns, first, (struct qb__pair){INPUT, OUTPUT, NULL, NULL},                      \
                             (struct qb__way){QB__QUOTIENT_DIVIDE, false, false});                                     \
    }                                                                                                                  \
    static void NAME(encode_columns_##in##_##out_)(const struct qb__rows *rows, const struct qb__columns *columns,     \
                                                   const struct qb__access *access)                                    \
    {                                                                                                                  \
        encode_columns(*rows, columns, access,                                                                         \
                       (struct qb__pair){INPUT, OUTPUT, NULL, NAME(any_columns_##in##_##out_)});                       \
    }                                                                                                                  \
    static void NAME(encode_groups_##in##_##out_)(const struct qb__groups *groups, const struct qb__rule *rule,        \
                                                  const struct qb__access *access)                                     \
    {                                                                                                                  \
        const struct qb__pair pair = {INPUT, OUTPUT, NAME(any_##in##_##out_), NULL};                                   \
        struct group_routines routines = {NAME(amax_##in), NAME(encode_##in##_##out_), NAME(batch_##in)};              \
        struct qb__groups all = *groups;                                                                               \
                                                                                                                       \
        if (all.size == 128 && HAVE_CORRECT) {                                                                         \
            all.size = 128;                                                                                            \
            routines.batch = NAME(batch_128_##in);                                                                     \
            encode_groups(all, rule, access, pair, &routines);                                                         \
        } else {                                                                                                       \
            encode_groups(all, rule, access, pair, &routines);                                                         \
        }                                                                                                              \
    }

/* A row of the formats' table to the routines of a pair, and to its place in the table of pairs. */
#define F16_PAIR(OUTPUT, out_, ...)  PAIR_ROUTINES(f16, QB_FORMAT_F16, out_, QB_FORMAT_##OUTPUT)
#define BF16_PAIR(OUTPUT, out_, ...) PAIR_ROUTINES(bf16, QB_FORMAT_BF16, out_, QB_FORMAT_##OUTPUT)
#define F32_PAIR(OUTPUT, out_, ...)  PAIR_ROUTINES(f32, QB_FORMAT_F32, out_, QB_FORMAT_##OUTPUT)

INPUT_ROUTINES(f16, QB_FORMAT_F16)
CODES(F16_PAIR)
INPUT_ROUTINES(bf16, QB_FORMAT_BF16)
CODES(BF16_PAIR)
INPUT_ROUTINES(f32, QB_FORMAT_F32)
CODES(F32_PAIR)

#define TEXT2(a) #a
#define TEXT(a)  TEXT2(a)
#define INPUT(in)                                                                                                      \
    {                                                                                                                  \
        NAME(amax_##in), NAME(amax_columns_##in)                                                                       \
    }
#define PAIR(in, out_)                                                                                                 \
    {                                                                                                                  \
        NAME(encode_##in##_##out_), NAME(encode_columns_##in##_##out_), NAME(encode_groups_##in##_##out_)              \
    }
#define F16_PLACE(OUTPUT, out_, ...)  [QB_FORMAT_##OUTPUT] = PAIR(f16, out_),
#define BF16_PLACE(OUTPUT, out_, ...) [QB_FORMAT_##OUTPUT] = PAIR(bf16, out_),
#define F32_PLACE(OUTPUT, out_, ...)  [QB_FORMAT_##OUTPUT] = PAIR(f32, out_),

const struct qb__cpu_ops NAME(qb__cpu_ops) = {
    .isa = TEXT(ISA),
    .prepare = prepare,
    .inputs = {[QB_FORMAT_F16] = INPUT(f16), [QB_FORMAT_BF16] = INPUT(bf16), [QB_FORMAT_F32] = INPUT(f32)},
    .pairs =
        {
            [QB_FORMAT_F16] = {CODES(F16_PLACE)},
            [QB_FORMAT_BF16] = {CODES(BF16_PLACE)},
            [QB_FORMAT_F32] = {CODES(F32_PLACE)},
        },
    .narrow = &NARROW_OPS,
    .values = &VALUES_OPS,
#ifdef VALUES_FP16_OPS
    .values_fp16 = &VALUES_FP16_OPS,
#endif
    .copy_stream = copy_stream,
    .mix = mix,
    .fence = fence,
};
