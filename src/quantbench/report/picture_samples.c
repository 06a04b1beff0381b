/* SPDX-License-Identifier: Apache-2.0 */
/* picture_samples.c - the samples of cases in the order in which they were taken, and the clock of a single case. */
#include <config.h>

#include "report/picture.h"

#include <math.h>

/* Cases whose samples are told apart in one picture, and rounds that are. */
#define MOST_CASES  6
#define MOST_ROUNDS 40

/* The clock of the round that has sample INDEX of C, in MHz; NAN: unknown. */
static double clock_of(const struct record_case *c, size_t index)
{
    for (size_t i = 0; i < c->found.round_count; i++) {
        if (index < c->found.rounds[i].samples) {
            return c->found.rounds[i].conditions.clock;
        }
        index -= c->found.rounds[i].samples;
    }
    return NAN;
}

/* Write a block: number, microseconds, MHz. Returns true if a clock is known. */
static bool write_samples(const struct record_case *c, size_t index, FILE *stream)
{
    bool has_clock = false;

    fprintf(stream, "$d%zu << EOD\n", index);
    for (size_t i = 0; i < c->found.sample_count; i++) {
        const double clock = clock_of(c, i);

        has_clock = has_clock || isfinite(clock);
        fprintf(stream, isfinite(clock) ? "%zu %.9g %.9g\n" : "%zu %.9g NaN\n", i + 1, c->found.samples[i] * 1e-3,
                clock);
    }
    fputs("EOD\n", stream);
    return has_clock;
}

/* Write a line wherever a round of C begins, if these are few. */
static void write_rounds(const struct record_case *c, FILE *stream)
{
    size_t sample = 0;

    for (size_t i = 0; i + 1 < c->found.round_count && c->found.round_count <= MOST_ROUNDS; i++) {
        sample += c->found.rounds[i].samples;
        fprintf(stream,
                "set arrow from first %zu.5, graph 0 to first %zu.5, graph 1 nohead lc rgb '#c0c0c0' lw 1 back\n",
                sample, sample);
    }
}

/* Draw what only the picture of one case has room for: rounds, median and clock. */
static void write_single(struct picture *picture, const struct record_case *c, bool has_clock)
{
    FILE *stream = picture->stream;

    if (!picture->plain) {
        write_rounds(c, stream);
    }
    if (has_clock && !picture->plain) {
        fputs("set y2range [0:*]\nset y2tics\nset border 11\nset y2label 'clock, MHz' noenhanced\n", stream);
    }
    fprintf(stream, "plot %.9g with lines lw 1.5 dt 2 lc rgb '#404040' title 'median', \\\n     ",
            c->found.time.median * 1e-3);
    if (has_clock && !picture->plain) {
        fputs("$d0 using 1:3 axes x1y2 with lines lw 1.5 lc rgb '#e69f00' title 'clock', \\\n     ", stream);
    }
}

void picture_samples(struct picture *picture)
{
    const struct record *record = picture->record;
    FILE *stream = picture->stream;
    const struct record_case *shown[MOST_CASES];
    char text[DESCRIBE_SIZE];
    size_t count = 0, timed = 0;
    bool has_clock = false;

    for (size_t i = 0; i < record->count; i++) {
        if (record->cases[i].found.sample_count > 0 && timed++ < MOST_CASES) {
            shown[count++] = &record->cases[i];
        }
    }
    picture_set_title(picture, "Samples in their order", picture_common(record, text), count, timed);
    picture_set_text(picture, "xlabel", timed == 1 && !picture->plain ? "sample; lines separate rounds" : "sample");
    picture_set_text(picture, "ylabel", "microseconds");
    fputs("set xrange [0:*]\nset yrange [*:*]\nset offsets 0, 0, graph 0.05, graph "
          "0.05\n",
          stream);
    for (size_t i = 0; i < count; i++) {
        has_clock = write_samples(shown[i], i, stream) || has_clock;
    }
    if (timed == 1) {
        write_single(picture, shown[0], has_clock);
    } else {
        fputs("plot ", stream);
    }
    for (size_t i = 0; i < count; i++) {
        fprintf(stream, "%s$d%zu using 1:2 with points ps 0.6 lc rgb %s pt %d title ", i > 0 ? ", \\\n     " : "", i,
                picture_color(i), picture_shape(i));
        picture_quote(picture_label(record, shown[i], PROPERTIES, text), stream);
    }
    putc('\n', stream);
}
