/* SPDX-License-Identifier: Apache-2.0 */
/* kernels_body.h - the routines of struct qb__cpu_ops on top of what each kernels_<isa>.c defines before it includes
 * this file:
 *
 *   ISA, LANES          the suffix of names, and the elements in a block (a multiple of 32, and its stores' alignment)
 *   CODES(ROW)          the output formats that there are routines for, as rows of the formats' table
 *   struct constants, constants_make(rule..)   what a run keeps in registers
 *   encode_block()      LANES elements with one scale; false if that is not right and encode_part() is needed
 *   encode_part()       up to LANES elements, of any values, with one scale; STREAM: only LANES
 *   encode_block_columns()   up to LANES columns of some rows, each with its own scale
 *   amax_block_columns()     the same columns' largest |x|; true if there is a NaN, and it is to be called with NO_NAN
 *   HAVE_CORRECT, HAVE_MULTIPLY   which quotients there are, besides the division
 *   SATURATING          whether encode_block() saturates INT8 after MULTIPLY, or needs caps for it
 *   multiply_matches()  whether x * (1/s) gives the codes of x / s, see there
 *   amax_run()          the largest |x| of a run, as the input's bits without sign
 *   copy_stream(), fence()
 *   mix_lines()         so many lines read for each one written
 *
 * Every function is inlined with constant formats, so each loop below becomes one loop for each of the cases. */

/* The quotient for groups, which are too short for anything better to pay. */
#define GROUP_QUOTIENT (HAVE_CORRECT ? QB__QUOTIENT_CORRECT : QB__QUOTIENT_DIVIDE)

/* Cuts one line of source per access: 64 bytes ahead for each 64 bytes read. */
QB__INLINE void prefetch_ahead(const void *x, size_t bytes, size_t ahead)
{
    for (size_t i = 0; i < bytes; i += 64) {
        /* Past the end is harmless: a prefetch never faults. */
        __builtin_prefetch((const void *)((uintptr_t)x + ahead + i), 0, 2);
    }
}

QB__INLINE const void *at(const void *x, size_t index, const enum qb_format input)
{
    return (const char *)x + index * qb__element_size(input);
}

/* Any run of elements of any values, for one pair of formats, out of line. */
typedef void any_routine(uint8_t *out, const void *x, size_t count, const struct qb__divisor *divisor, bool stream);

QB__INLINE void encode_parts(uint8_t *out, const void *x, size_t count, const struct qb__divisor *divisor, bool stream,
                             const enum qb_format input, const enum qb_format output, const enum qb__quotient quotient)
{
    const struct constants c = constants_make(divisor, input, output);

    for (; count >= LANES; count -= LANES, out += LANES, x = at(x, LANES, input)) {
        encode_part(out, x, LANES, &c, input, output, quotient, stream);
    }
    if (count > 0) {
        encode_part(out, x, count, &c, input, output, quotient, false);
    }
}

QB__INLINE void encode_any(uint8_t *out, const void *x, size_t count, const struct qb__divisor *divisor, bool stream,
                           const enum qb_format input, const enum qb_format output)
{
    if (divisor->quotient == QB__QUOTIENT_MULTIPLY && HAVE_CORRECT) {
        encode_parts(out, x, count, divisor, stream, input, output, QB__QUOTIENT_MULTIPLY);
    } else if (divisor->quotient == QB__QUOTIENT_CORRECT && HAVE_CORRECT) {
        encode_parts(out, x, count, divisor, stream, input, output, QB__QUOTIENT_CORRECT);
    } else {
        encode_parts(out, x, count, divisor, stream, input, output, QB__QUOTIENT_DIVIDE);
    }
}

/* Whole blocks from I on, as long as encode_block() is right: where the first one is that is not encoded. */
QB__INLINE size_t encode_blocks(size_t i, uint8_t *out, const void *x, size_t count, const struct qb__divisor *divisor,
                                const size_t ahead, const enum qb_format input, const enum qb_format output,
                                const enum qb__quotient quotient, const bool clean, const bool stream)
{
    const struct constants c = constants_make(divisor, input, output);

    for (; count - i >= LANES; i += LANES) {
        if (ahead > 0) {
            prefetch_ahead(at(x, i, input), LANES * qb__element_size(input), ahead);
        }
        if (!encode_block(out + i, at(x, i, input), &c, input, output, quotient, clean, stream)) {
            break;
        }
    }
    return i;
}

/* Where one block saturates, others near it do: so many elements go to encode_any() then. */
#define SATURATED 512

/* One loop for each way to access. Only what is CLEAN is prefetched: the rest is rare in tensors that are read twice.
 */
QB__INLINE void encode_loop(uint8_t *out, const void *x, size_t count, const struct qb__divisor *divisor,
                            const struct qb__access *access, any_routine *any, const enum qb_format input,
                            const enum qb_format output, const enum qb__quotient quotient, const bool clean)
{
    const size_t ahead = access->ahead;
    /* A non-temporal store pays only as a whole line: begin at a line of the output. */
    size_t head = access->stream ? -(uintptr_t)out & 63 : 0;
    size_t i = head < count ? head : count;

    if (i > 0) {
        any(out, x, i, divisor, false);
    }
    while (i < count) {
        size_t left;

        if (!access->stream) {
            i = encode_blocks(i, out, x, count, divisor, 0, input, output, quotient, clean, false);
        } else if (clean && ahead > 0) {
            i = encode_blocks(i, out, x, count, divisor, ahead, input, output, quotient, clean, true);
        } else {
            i = encode_blocks(i, out, x, count, divisor, 0, input, output, quotient, clean, true);
        }
        left = count - i < SATURATED ? count - i : SATURATED;
        if (left > 0) {
            any(out + i, at(x, i, input), left, divisor, access->stream);
        }
        i += left;
    }
}

QB__INLINE void encode_run(uint8_t *out, const void *x, size_t count, const struct qb__divisor *divisor,
                           const struct qb__access *access, any_routine *any, const enum qb_format input,
                           const enum qb_format output)
{
    if (divisor->quotient == QB__QUOTIENT_MULTIPLY && HAVE_MULTIPLY) {
        if (divisor->clean) {
            encode_loop(out, x, count, divisor, access, any, input, output, QB__QUOTIENT_MULTIPLY, true);
        } else {
            encode_loop(out, x, count, divisor, access, any, input, output, QB__QUOTIENT_MULTIPLY, false);
        }
    } else if (!HAVE_CORRECT) {
        encode_loop(out, x, count, divisor, access, any, input, output, QB__QUOTIENT_DIVIDE, false);
    } else if (divisor->quotient == QB__QUOTIENT_CORRECT) {
        if (divisor->clean) {
            encode_loop(out, x, count, divisor, access, any, input, output, QB__QUOTIENT_CORRECT, true);
        } else {
            encode_loop(out, x, count, divisor, access, any, input, output, QB__QUOTIENT_CORRECT, false);
        }
    } else {
        /* Scales that are hardly ever seen. */
        any(out, x, count, divisor, false);
    }
}

/* Where the rows are AHEAD that are read next of the same columns: too far away for the CPU to guess. */
QB__INLINE void prefetch_rows(const void *x, size_t stride, size_t rows, size_t ahead, const enum qb_format input)
{
    for (size_t row = 0; row < rows && ahead > 0; row++, x = at(x, stride, input)) {
        prefetch_ahead(x, LANES * qb__element_size(input), ahead);
    }
}

/* A block of columns of one row after the other: what belongs to the columns is loaded once for all rows. */
QB__INLINE bool amax_columns(const void *x, size_t stride, size_t rows, size_t count, float *amax, size_t ahead,
                             const enum qb_format input)
{
    bool nan = false;

    for (size_t i = 0; i < count; i += LANES) {
        size_t block = count - i < LANES ? count - i : LANES;

        prefetch_rows(at(x, i, input), stride, rows, ahead, input);
        if (block == LANES ? amax_block_columns(at(x, i, input), stride, rows, LANES, amax + i, input, false)
                           : amax_block_columns(at(x, i, input), stride, rows, block, amax + i, input, false)) {
            /* NaN is rare: look again, without it. */
            amax_block_columns(at(x, i, input), stride, rows, block, amax + i, input, true);
            nan = true;
        }
    }
    return nan;
}

/* Up to LANES columns with any scales and any elements. */
typedef void columns_routine(uint8_t *out, size_t out_stride, const void *x, size_t stride, size_t rows, size_t count,
                             const struct qb__columns *columns, size_t first);

/* Whole blocks of columns from I on, with scales for CORRECT. */
QB__INLINE size_t encode_column_blocks(size_t i, uint8_t *out, size_t out_stride, const void *x, size_t stride,
                                       size_t rows, size_t count, const struct qb__columns *columns, size_t ahead,
                                       const enum qb_format input, const enum qb_format output, const bool clean,
                                       const bool stream)
{
    for (; count - i >= LANES; i += LANES) {
        prefetch_rows(at(x, i, input), stride, rows, ahead, input);
        encode_block_columns(out + i, out_stride, at(x, i, input), stride, rows, LANES, columns, i, input, output,
                             QB__QUOTIENT_CORRECT, clean, stream);
    }
    return i;
}

QB__INLINE void encode_columns(uint8_t *out, size_t out_stride, const void *x, size_t stride, size_t rows, size_t count,
                               const struct qb__columns *columns, const struct qb__access *access, columns_routine *any,
                               const enum qb_format input, const enum qb_format output)
{
    const size_t ahead = access->ahead;
    size_t head = access->stream ? -(uintptr_t)out & 63 : 0;
    size_t i = 0;

    for (head = head < count ? head : count; i < head;) {
        size_t block = head - i < LANES ? head - i : LANES;

        any(out + i, out_stride, at(x, i, input), stride, rows, block, columns, i);
        i += block;
    }
    if (columns->reciprocal != NULL && HAVE_CORRECT) {
        if (access->stream && columns->clean) {
            i = encode_column_blocks(i, out, out_stride, x, stride, rows, count, columns, ahead, input, output, true,
                                     true);
        } else if (access->stream) {
            i = encode_column_blocks(i, out, out_stride, x, stride, rows, count, columns, ahead, input, output, false,
                                     true);
        } else if (columns->clean) {
            i = encode_column_blocks(i, out, out_stride, x, stride, rows, count, columns, ahead, input, output, true,
                                     false);
        } else {
            i = encode_column_blocks(i, out, out_stride, x, stride, rows, count, columns, ahead, input, output, false,
                                     false);
        }
    }
    for (; i < count; i += LANES) {
        any(out + i, out_stride, at(x, i, input), stride, rows, count - i < LANES ? count - i : LANES, columns, i);
    }
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
 * near as that. multiply_matches() tries it for every m, with 1/s and with its two neighbours: it returns whether one
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

/* The largest |x| of a run that is not NaN, as the input's bits; QB__AMAX_NAN is set if there was a NaN. */
QB__INLINE uint32_t amax_raw(const void *x, size_t count, const enum qb_format input)
{
    const uint32_t infinity = qb__infinity(input);
    uint32_t bits = amax_run(x, count, input, false);

    /* NaN compares above infinity. It is rare: look again, without it. */
    return bits <= infinity ? bits : amax_run(x, count, input, true) | QB__AMAX_NAN;
}

/* What amax_raw() returned, the number as binary32. */
QB__INLINE uint32_t amax_widen(uint32_t raw, const enum qb_format input)
{
    uint32_t bits = raw & ~QB__AMAX_NAN;

    if (input == QB_FORMAT_F16) {
        /* See qb__half_value(). Both are always computed: to a choice compilers make a branch, and then a loop over a
         * batch does not become one of vectors. */
        uint32_t normal = (bits << 13) + (bits >= 0x7C00 ? 224u << 23 : 112u << 23);
        uint32_t subnormal = qb__bits_of((float)(int32_t)bits * 0x1p-24f);
        uint32_t small = -(uint32_t)(bits < 0x400);

        bits = (subnormal & small) | (normal & ~small);
    } else if (input == QB_FORMAT_BF16) {
        bits <<= 16;
    }
    return bits | (raw & QB__AMAX_NAN);
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

/* The scales of BATCH groups at X, as qb__scale_make() has them: positive floats order as their bits do. */
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
QB__INLINE void batch_encode(uint8_t *out, const void *x, const size_t group, const struct batch *batch,
                             any_routine *any, const enum qb_format input, const enum qb_format output,
                             const bool stream)
{
    for (size_t j = 0; j < BATCH; j++, x = at(x, group, input), out += group) {
        const struct qb__divisor d = {
            .scale = batch->scale[j],
            .reciprocal = batch->reciprocal[j],
            .reciprocal_rest = batch->rest[j],
            .quotient = GROUP_QUOTIENT,
            .clean = true,
        };
        const struct constants c = constants_make(&d, input, output);
        /* The shorter loop of INT8 gains nothing by it. */
        const size_t ahead = stream && !qb__is_integer(output) ? 4096 : 0;
        size_t i = 0;

        for (; group - i >= LANES; i += LANES) {
            if (ahead > 0) {
                prefetch_ahead(at(x, i, input), LANES * qb__element_size(input), ahead);
            }
            encode_block(out + i, at(x, i, input), &c, input, output, GROUP_QUOTIENT, true, stream);
        }
        if (i < group) {
            any(out + i, at(x, i, input), group - i, &d, false);
        }
    }
}

/* Encodes a run of one pair of formats. */
typedef void run_routine(uint8_t *out, const void *x, size_t count, const struct qb__divisor *divisor,
                         const struct qb__access *access);

/* One group after the other, of any kind. */
QB__INLINE void encode_each_group(uint8_t *out, const void *x, size_t count, size_t group, float *scales,
                                  const struct qb__rule *rule, const struct qb__access *access, run_routine *encode,
                                  const enum qb_format input)
{
    for (size_t i = 0; i < count; i++, x = at(x, group, input)) {
        bool clean = false;

        if (rule->dynamic) {
            scales[i] = qb__scale_make(amax_bits(x, group, input), rule, &clean);
        }
        if (out != NULL) {
            const struct qb__divisor d = divisor_for(scales[i], rule, clean, group);

            encode(out + i * group, x, group, &d, access);
        }
    }
}

/* The scales of the batch after the one that is encoded are computed first: what they wait for, the memory and their
 * own latencies, is hidden by the encoding, which waits for nothing. */
QB__INLINE void encode_groups(uint8_t *out, const void *x, size_t count, const size_t group, float *scales,
                              const struct qb__rule *rule, const struct qb__access *access, run_routine *encode,
                              any_routine *any, const enum qb_format input, const enum qb_format output)
{
    /* Groups that are not whole lines of the output would leave a partly written line at each edge. */
    const struct qb__access whole = {.stream = access->stream && group % 64 == 0 && ((uintptr_t)out & 63) == 0};
    struct batch batches[2];

    if (rule->dynamic && count >= BATCH) {
        batch_make(&batches[0], x, group, rule, input);
    }
    for (unsigned turn = 0; rule->dynamic && count >= BATCH; turn ^= 1) {
        const struct batch *batch = &batches[turn];
        const void *next = at(x, BATCH * group, input);

        if (count >= 2 * BATCH) {
            batch_make(&batches[turn ^ 1], next, group, rule, input);
        }
        memcpy(scales, batch->scale, sizeof batch->scale);
        if (out != NULL) {
            if (batch->special) {
                encode_each_group(out, x, BATCH, group, scales, rule, &whole, encode, input);
            } else if (whole.stream) {
                batch_encode(out, x, group, batch, any, input, output, true);
            } else {
                batch_encode(out, x, group, batch, any, input, output, false);
            }
            out += BATCH * group;
        }
        x = next;
        scales += BATCH;
        count -= BATCH;
    }
    encode_each_group(out, x, count, group, scales, rule, &whole, encode, input);
}

/* Reads and writes are mixed evenly, in pieces of so many lines written. */
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
    static bool NAME(amax_columns_##in)(const void *x, size_t stride, size_t rows, size_t count, float *amax,          \
                                        size_t ahead)                                                                  \
    {                                                                                                                  \
        return amax_columns(x, stride, rows, count, amax, ahead, INPUT);                                               \
    }

#define PAIR_ROUTINES(in, INPUT, out_, OUTPUT)                                                                         \
    static __attribute__((noinline)) void NAME(any_##in##_##out_)(uint8_t * out, const void *x, size_t count,          \
                                                                  const struct qb__divisor *divisor, bool stream)      \
    {                                                                                                                  \
        encode_any(out, x, count, divisor, stream, INPUT, OUTPUT);                                                     \
    }                                                                                                                  \
    static __attribute__((noinline)) void NAME(encode_##in##_##out_)(uint8_t * out, const void *x, size_t count,       \
                                                                     const struct qb__divisor *divisor,                \
                                                                     const struct qb__access *access)                  \
    {                                                                                                                  \
        encode_run(out, x, count, divisor, access, NAME(any_##in##_##out_), INPUT, OUTPUT);                            \
    }                                                                                                                  \
    static __attribute__((noinline)) void NAME(any_columns_##in##_##out_)(                                             \
        uint8_t * out, size_t out_stride, const void *x, size_t stride, size_t rows, size_t count,                     \
        const struct qb__columns *columns, size_t first)                                                               \
    {                                                                                                                  \
        encode_block_columns(out, out_stride, x, stride, rows, count, columns, first, INPUT, OUTPUT,                   \
                             QB__QUOTIENT_DIVIDE, false, false);                                                       \
    }                                                                                                                  \
    static void NAME(encode_columns_##in##_##out_)(uint8_t * out, size_t out_stride, const void *x, size_t stride,     \
                                                   size_t rows, size_t count, const struct qb__columns *columns,       \
                                                   const struct qb__access *access)                                    \
    {                                                                                                                  \
        encode_columns(out, out_stride, x, stride, rows, count, columns, access, NAME(any_columns_##in##_##out_),      \
                       INPUT, OUTPUT);                                                                                 \
    }                                                                                                                  \
    static void NAME(encode_groups_##in##_##out_)(uint8_t * out, const void *x, size_t count, size_t group,            \
                                                  float *scales, const struct qb__rule *rule,                          \
                                                  const struct qb__access *access)                                     \
    {                                                                                                                  \
        if (group == 128 && HAVE_CORRECT) {                                                                            \
            /* The usual size, with loops that know it. */                                                             \
            encode_groups(out, x, count, 128, scales, rule, access, NAME(encode_##in##_##out_),                        \
                          NAME(any_##in##_##out_), INPUT, OUTPUT);                                                     \
        } else {                                                                                                       \
            encode_groups(out, x, count, group, scales, rule, access, NAME(encode_##in##_##out_),                      \
                          NAME(any_##in##_##out_), INPUT, OUTPUT);                                                     \
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
    .copy_stream = copy_stream,
    .mix = mix,
    .fence = fence,
};
