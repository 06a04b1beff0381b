/* SPDX-License-Identifier: Apache-2.0 */
/* kernels_lines.h - of what kernels_body.h needs, copies and mixes of whole lines of 64 bytes, on the vectors of a
 * vector_<isa>.h that is included before this file. */
#ifndef QB_CPU_KERNELS_LINES_H
#define QB_CPU_KERNELS_LINES_H

#include "kernels.h"

struct line {
    words v[64 / sizeof(words)];
};

enum { LINE_PARTS = 64 / sizeof(words) };

QB__INLINE struct line line_load(const char *from)
{
    struct line line;

    QB__UNROLL
    for (int i = 0; i < LINE_PARTS; i++) {
        line.v[i] = load_vector(from + sizeof(words) * i);
    }
    return line;
}

QB__INLINE void line_store(char *to, const struct line line, const bool stream)
{
    QB__UNROLL
    for (int i = 0; i < LINE_PARTS; i++) {
        store_vector(to + sizeof(words) * i, line.v[i], stream);
    }
}

QB__INLINE struct line line_xor(const struct line a, const struct line b)
{
    struct line line;

    QB__UNROLL
    for (int i = 0; i < LINE_PARTS; i++) {
        line.v[i] = xor_vectors(a.v[i], b.v[i]);
    }
    return line;
}

QB__INLINE struct line line_fill(char byte)
{
    struct line line;

    QB__UNROLL
    for (int i = 0; i < LINE_PARTS; i++) {
        line.v[i] = fill_vector(byte);
    }
    return line;
}

static void copy_stream(void *target, const void *source, size_t bytes)
{
    char *to = target;
    const char *from = source;
    size_t head = -(uintptr_t)to & 63;

    if (head > 0 && head <= bytes) {
        memcpy(to, from, head);
        to += head;
        from += head;
        bytes -= head;
    }
    /* What does not reach the next line of the target is shorter than one. */
    for (; bytes >= 64; bytes -= 64, to += 64, from += 64) {
        line_store(to, line_load(from), true);
    }
    memcpy(to, from, bytes);
}

/* WRITES lines, and EACH lines read for each of them. */
QB__INLINE void mix_lines(char *to, uint64_t writes, const char *from, const int each, const bool stream)
{
    struct line value = line_fill(1);

    for (uint64_t i = 0; i < writes; i++, to += 64, from += 64 * each) {
        QB__UNROLL
        for (int j = 0; j < each; j++) {
            struct line line = line_load(from + 64 * j);

            value = j == 0 ? line : line_xor(value, line);
        }
        line_store(to, value, stream);
    }
}

QB__INLINE void read_lines(const char *from, uint64_t reads)
{
    struct line sum = line_fill(0);

    for (uint64_t i = 0; i < reads; i++) {
        sum = line_xor(sum, line_load(from + 64 * i));
    }
    QB__UNROLL
    for (int i = 0; i < LINE_PARTS; i++) {
        keep(sum.v[i]);
    }
}

#endif
