/* SPDX-License-Identifier: Apache-2.0 */
/* kernels_encode.h - runs of elements that share a scale, on the encode_block() and encode_part() of kernels_blocks.h
 * or kernels_generic.c, which is included before this file with the macros that kernels_body.h describes. */
#ifndef QB_CPU_KERNELS_ENCODE_H
#define QB_CPU_KERNELS_ENCODE_H

#include "kernels_run.h"

QB__INLINE void encode_parts(struct qb__run run, const struct qb__divisor *divisor, bool stream,
                             const struct qb__pair pair, const enum qb__quotient quotient)
{
    const struct constants c = constants_make(divisor, pair.input, pair.output);
    struct qb__run part = {run.out, run.x, LANES};

    for (; run.count >= LANES; run.count -= LANES) {
        encode_part(part, &c, pair, (struct qb__way){.quotient = quotient, .stream = stream});
        part.out += LANES;
        part.x = at(part.x, LANES, pair.input);
    }
    if (run.count > 0) {
        part.count = run.count;
        encode_part(part, &c, pair, (struct qb__way){.quotient = quotient});
    }
}

QB__INLINE void encode_any(struct qb__run run, const struct qb__divisor *divisor, bool stream,
                           const struct qb__pair pair)
{
    if (divisor->quotient == QB__QUOTIENT_MULTIPLY && CORRECT_ANY) {
        encode_parts(run, divisor, stream, pair, QB__QUOTIENT_MULTIPLY);
    } else if (divisor->quotient == QB__QUOTIENT_CORRECT && CORRECT_ANY) {
        encode_parts(run, divisor, stream, pair, QB__QUOTIENT_CORRECT);
    } else {
        encode_parts(run, divisor, stream, pair, QB__QUOTIENT_DIVIDE);
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

/* One loop for each way to access. Only what is CLEAN is prefetched: the rest is rare in tensors that are read twice.
 */
QB__INLINE void encode_loop(const struct qb__run run, const struct qb__divisor *divisor,
                            const struct qb__access *access, const struct qb__pair pair,
                            const enum qb__quotient quotient, const bool clean)
{
    const struct qb__way stored = {quotient, clean, false}, streamed = {quotient, clean, true};
    const size_t ahead = access->ahead;
    /* A non-temporal store pays only as a whole line: begin at a line of the output. */
    size_t head = access->stream ? -(uintptr_t)run.out & 63 : 0;
    size_t i = head < run.count ? head : run.count;

    if (i > 0) {
        pair.any(run.out, run.x, i, divisor, false);
    }
    while (i < run.count) {
        size_t left;

        if (!access->stream) {
            i = encode_blocks(i, run, divisor, 0, pair, stored);
        } else if (clean && ahead > 0) {
            i = encode_blocks(i, run, divisor, ahead, pair, streamed);
        } else {
            i = encode_blocks(i, run, divisor, 0, pair, streamed);
        }
        left = run.count - i < SATURATED ? run.count - i : SATURATED;
        if (left > 0) {
            pair.any(run.out + i, at(run.x, i, pair.input), left, divisor, access->stream);
        }
        i += left;
    }
}

QB__INLINE void encode_run(const struct qb__run run, const struct qb__divisor *divisor, const struct qb__access *access,
                           const struct qb__pair pair)
{
    if (divisor->quotient == QB__QUOTIENT_MULTIPLY && HAVE_MULTIPLY) {
        if (divisor->clean) {
            encode_loop(run, divisor, access, pair, QB__QUOTIENT_MULTIPLY, true);
        } else {
            encode_loop(run, divisor, access, pair, QB__QUOTIENT_MULTIPLY, false);
        }
    } else if (!HAVE_CORRECT) {
        encode_loop(run, divisor, access, pair, QB__QUOTIENT_DIVIDE, false);
    } else if (divisor->quotient == QB__QUOTIENT_CORRECT) {
        if (divisor->clean) {
            encode_loop(run, divisor, access, pair, QB__QUOTIENT_CORRECT, true);
        } else {
            encode_loop(run, divisor, access, pair, QB__QUOTIENT_CORRECT, false);
        }
    } else {
        /* Scales that are hardly ever seen. */
        pair.any(run.out, run.x, run.count, divisor, false);
    }
}

/* The same with one loop for each quotient: a byte for each code, stored in the cache. */
QB__INLINE void encode_bytes(const struct qb__run run, const struct qb__divisor *divisor, const struct qb__pair pair,
                             const enum qb__quotient quotient)
{
    size_t i = 0;

    while (i < run.count) {
        size_t left;

        i = encode_blocks(i, run, divisor, 0, pair, (struct qb__way){quotient, false, false});
        left = run.count - i < SATURATED ? run.count - i : SATURATED;
        if (left > 0) {
            pair.any(run.out + i, at(run.x, i, pair.input), left, divisor, false);
        }
        i += left;
    }
}

#endif
