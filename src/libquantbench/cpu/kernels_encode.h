/* SPDX-License-Identifier: Apache-2.0 */
/* kernels_encode.h - runs of elements that share a scale, on the encode_block() and encode_part() of kernels_blocks.h
 * or kernels_generic.c, which is included before this file with the macros that kernels_body.h describes. */
#ifndef QB_CPU_KERNELS_ENCODE_H
#define QB_CPU_KERNELS_ENCODE_H

#include "kernels_run.h"

/* One loop for all quotients: what is short, or rare. */
QB__INLINE void encode_any(struct qb__run run, const struct qb__divisor *divisor, bool stream,
                           const struct qb__pair pair)
{
    const struct constants c = constants_make(divisor, pair.input, pair.output);
    const enum qb__quotient quotient = CORRECT_ANY ? divisor->quotient : QB__QUOTIENT_DIVIDE;

    while (run.count > 0) {
        const struct qb__run part = {run.out, run.x, run.count < LANES ? run.count : LANES};

        encode_part(part, &c, pair, (struct qb__way){.quotient = quotient, .stream = stream});
        run.out += part.count;
        run.x = at(run.x, part.count, pair.input);
        run.count -= part.count;
    }
}

/* Whole blocks from I on, as long as encode_block() is right: where the first one is that is not encoded. */
QB__INLINE size_t encode_blocks(size_t i, const struct qb__run run, const struct qb__divisor *divisor,
                                const size_t ahead, const struct qb__pair pair, const struct qb__way way)
{
    const struct constants c = constants_make(divisor, pair.input, pair.output);

    for (; run.count - i >= LANES; i += LANES) {
        const void *x = at(run.x, i, pair.input);

        if (ahead > 0) {
            prefetch_ahead(x, LANES * qb__element_size(pair.input), ahead);
        }
        if (!encode_block(run.out + i, x, &c, pair, way)) {
            break;
        }
    }
    return i;
}

/* Where one block saturates, others near it do: this many elements go to encode_any() then. */
#define SATURATED 512

/* A run whose quotient, or CLEAN or STREAM, may not be constant. */
QB__INLINE void encode_loop(const struct qb__run run, const struct qb__divisor *divisor,
                            const struct qb__access *access, const struct qb__pair pair, const struct qb__way way)
{
    const size_t ahead = access->ahead;
    /* A non-temporal store pays only as a whole line: begin at a line of the output. */
    size_t head = access->stream ? -(uintptr_t)run.out & 63 : 0;
    size_t i = head < run.count ? head : run.count;

    if (i > 0) {
        pair.any(run.out, run.x, i, divisor, false);
    }
    while (i < run.count) {
        size_t left;

        i = encode_blocks(i, run, divisor, ahead, pair, way);
        left = run.count - i < SATURATED ? run.count - i : SATURATED;
        if (left > 0) {
            pair.any(run.out + i, at(run.x, i, pair.input), left, divisor, access->stream);
        }
        i += left;
    }
}

/* The usual ways of QUOTIENT each have a loop. */
QB__INLINE void encode_usual(const struct qb__run run, const struct qb__divisor *divisor,
                             const struct qb__access *access, const struct qb__pair pair,
                             const enum qb__quotient quotient)
{
    const bool stream = HAVE_STREAM && access->stream;

    if (divisor->clean && stream) {
        encode_loop(run, divisor, access, pair, (struct qb__way){quotient, true, true});
    } else if (divisor->clean) {
        encode_loop(run, divisor, access, pair, (struct qb__way){quotient, true, false});
    } else {
        encode_loop(run, divisor, access, pair, (struct qb__way){quotient, false, stream});
    }
}

/* Tensors and long rows of 16 bits are multiplied: see QB__MULTIPLY_LEAST_INT8. */
QB__INLINE void encode_run(const struct qb__run run, const struct qb__divisor *divisor, const struct qb__access *access,
                           const struct qb__pair pair)
{
    if (HAVE_MULTIPLY && divisor->quotient == QB__QUOTIENT_MULTIPLY && pair.input != QB_FORMAT_F32) {
        encode_usual(run, divisor, access, pair, QB__QUOTIENT_MULTIPLY);
    } else if (!HAVE_CORRECT) {
        encode_loop(run, divisor, access, pair, (struct qb__way){QB__QUOTIENT_DIVIDE, false, false});
    } else if (divisor->quotient == QB__QUOTIENT_CORRECT) {
        encode_loop(run, divisor, access, pair,
                    (struct qb__way){QB__QUOTIENT_CORRECT, divisor->clean, HAVE_STREAM && access->stream});
    } else {
        /* Scales that are hardly ever seen. */
        pair.any(run.out, run.x, run.count, divisor, false);
    }
}

/* The same stored in the cache, a byte for each code. */
QB__INLINE void encode_bytes(const struct qb__run run, const struct qb__divisor *divisor, const struct qb__pair pair)
{
    size_t i = 0;

    while (i < run.count) {
        size_t left;

        i = encode_blocks(i, run, divisor, 0, pair, (struct qb__way){divisor->quotient, false, false});
        left = run.count - i < SATURATED ? run.count - i : SATURATED;
        if (left > 0) {
            pair.any(run.out + i, at(run.x, i, pair.input), left, divisor, false);
        }
        i += left;
    }
}

#endif
