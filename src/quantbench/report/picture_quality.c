/* SPDX-License-Identifier: Apache-2.0 */
/* picture_quality.c - the SNR of many tensors against the bits that an element takes, and the SNR against the
 * granularity. */
#include <config.h>

#include "base/stats.h"
#include "report/picture.h"
#include "report/summary.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* True if C has an SNR that can be drawn. */
static bool has_snr(const struct record_case *c)
{
    return c->found.has_quality && isfinite(c->found.checked.quality.snr);
}

/* ---- A model ---------------------------------------------------------------------------------------------------- */

/* A way to quantize, and the bits of an element of all tensors together. */
struct model_row {
    const struct summary_way *way;
    double bits;
};

static double elements_of(const struct record_case *c)
{
    return (double)c->problem.tokens * (double)c->problem.hidden;
}

/* True if C is quantized in the WAY and has an SNR. */
static bool is_of_way(const struct record_case *c, const struct summary_way *way)
{
    char text[2][DESCRIBE_SIZE];

    return c->tensor != NULL && has_snr(c) && strcmp(describe_way(c, text[0]), describe_way(way->first, text[1])) == 0;
}

static int compare_rows(const void *a, const void *b)
{
    const struct model_row *x = a, *y = b;

    if (x->bits > y->bits || x->bits < y->bits) {
        return x->bits > y->bits ? 1 : -1;
    }
    return (x->way > y->way) - (x->way < y->way);
}

/* Set ROWS to the ways of SUMMARY, those of the fewest bits first. Returns their number. */
static size_t find_rows(const struct record *record, const struct summary *summary, struct model_row *rows)
{
    const size_t count = summary->way_count < PICTURE_MOST_ROWS ? summary->way_count : PICTURE_MOST_ROWS;

    for (size_t w = 0; w < count; w++) {
        double elements = 0, bits = 0;

        for (size_t i = 0; i < record->count; i++) {
            if (is_of_way(&record->cases[i], &summary->ways[w])) {
                elements += elements_of(&record->cases[i]);
                bits += 8 * (double)summary_bytes(&record->cases[i]);
            }
        }
        rows[w] = (struct model_row){&summary->ways[w], elements > 0 ? bits / elements : 0};
    }
    qsort(rows, count, sizeof *rows, compare_rows);
    return count;
}

/* Return the number of the output format of row INDEX among those of all COUNT ROWS. */
static size_t format_of(const struct model_row *rows, size_t index)
{
    size_t formats = 0;

    for (size_t i = 0; i <= index; i++) {
        size_t k = 0;

        while (k < i && !property_same(rows[k].way->first, rows[i].way->first, PROPERTY_QUANT_DTYPE)) {
            k++;
        }
        if (k == i) {
            formats++;
        }
        if (property_same(rows[i].way->first, rows[index].way->first, PROPERTY_QUANT_DTYPE)) {
            return formats - 1;
        }
    }
    return formats;
}

/* Write the SNR of each tensor in the way of ROW, which is at PLACE; those that are alike stand a little apart. */
static void write_way(const struct picture *picture, const struct model_row *row, size_t place)
{
    const struct record *record = picture->record;
    const double golden = 0.618033989, spread = picture->plain ? 0 : 0.5;
    FILE *stream = picture->stream;
    double apart = 0;

    fprintf(stream, "$d%zu << EOD\n", place);
    for (size_t i = 0; i < record->count; i++) {
        if (is_of_way(&record->cases[i], row->way)) {
            apart = fmod(apart + golden, 1);
            fprintf(stream, "%.6g %.4g\n", record->cases[i].found.checked.quality.snr,
                    (double)place + 1 + spread * (apart - 0.5));
        }
    }
    fputs("EOD\n", stream);
}

static void plot_rows(struct picture *picture, const struct model_row *rows, size_t count)
{
    FILE *stream = picture->stream;
    char text[2 * DESCRIBE_SIZE], way[DESCRIBE_SIZE];

    fputs("set ytics noenhanced (", stream);
    for (size_t i = 0; i < count; i++) {
        snprintf(text, sizeof text, "%s: %.2f bits", describe_way(rows[i].way->first, way), rows[i].bits);
        picture_row_tic(picture, i, text);
    }
    fprintf(stream, ")\nset yrange [%zu.6:0.4]\n$all << EOD\n", count);
    for (size_t i = 0; i < count; i++) {
        if (isfinite(rows[i].way->model)) {
            fprintf(stream, "%.6g %zu\n", rows[i].way->model, i + 1);
        }
    }
    fputs("EOD\nplot ", stream);
    for (size_t i = 0; i < count; i++) {
        fprintf(stream, "$d%zu using 1:2 with points ps 0.6 pt %d lc rgb %s %s, \\\n     ", i, picture_shape(0),
                picture_color(format_of(rows, i)), i == 0 ? "title 'a tensor'" : "notitle");
    }
    fputs("$all using 1:2 with points ps 2.2 lw 2 pt 2 lc rgb '#000000' title 'all tensors together'\n", stream);
}

void picture_model(struct picture *picture)
{
    const struct record *record = picture->record;
    FILE *stream = picture->stream;
    struct model_row *rows = calloc(PICTURE_MOST_ROWS, sizeof *rows);
    struct summary summary;
    char text[DESCRIBE_SIZE];

    if (summary_make(record, &summary) && rows != NULL) {
        const size_t count = find_rows(record, &summary, rows);

        picture->rows = count;
        picture_set_title(picture, "SNR of each tensor, and bits per element with scales", describe_input(record, text),
                          count, summary.way_count);
        picture_set_text(picture, "xlabel", "SNR, dB");
        fputs("set offsets graph 0.03, graph 0.03, 0, 0\n", stream);
        for (size_t i = 0; i < count; i++) {
            write_way(picture, &rows[i], i);
        }
        plot_rows(picture, rows, count);
    } else {
        picture->memory_short = true;
    }
    summary_free(&summary);
    free(rows);
}

/* ---- Granularities ---------------------------------------------------------------------------------------------- */

/* What the picture is made of: a case for each output format and for each granularity, and room for numbers. */
struct grid {
    const struct record *record;
    const struct record_case **formats, **granularities;
    size_t format_count, granularity_count;
    double *numbers;
};

/* Return the median and the range of the SNR of cases that are like FORMAT and GRANULARITY. */
static struct picture_value value_of(const struct grid *grid, const struct record_case *format,
                                     const struct record_case *granularity)
{
    size_t count = 0;

    for (size_t i = 0; i < grid->record->count; i++) {
        const struct record_case *c = &grid->record->cases[i];

        if (has_snr(c) && property_same(c, format, PROPERTY_QUANT_DTYPE) &&
            property_same(c, granularity, PROPERTY_GRANULARITY)) {
            grid->numbers[count++] = c->found.checked.quality.snr;
        }
    }
    if (count == 0) {
        return (struct picture_value){NAN, NAN, NAN};
    }
    stats_sort(grid->numbers, count);
    return (struct picture_value){(grid->numbers[(count - 1) / 2] + grid->numbers[count / 2]) / 2, grid->numbers[0],
                                  grid->numbers[count - 1]};
}

/* Elements of C that share a scale, on average. */
static double tile_of(const struct record_case *c)
{
    uint64_t rows, cols;

    qb_problem_scale_shape(&c->problem, &rows, &cols);
    return (double)c->problem.tokens * (double)c->problem.hidden / ((double)rows * (double)cols);
}

static int compare_tiles(const void *a, const void *b)
{
    const double x = tile_of(*(const struct record_case *const *)a), y = tile_of(*(const struct record_case *const *)b);

    return (x < y) - (x > y);
}

/* Set LIST to a case for each value of PROPERTY, at most PICTURE_MOST_CURVES. Returns their number. */
static size_t find_values(const struct record *record, enum property property, const struct record_case **list)
{
    size_t count = 0;

    for (size_t i = 0; i < record->count && count < PICTURE_MOST_CURVES; i++) {
        size_t k = 0;

        while (k < count && !property_same(list[k], &record->cases[i], property)) {
            k++;
        }
        if (k == count && has_snr(&record->cases[i])) {
            list[count++] = &record->cases[i];
        }
    }
    return count;
}

/* Write the names of the granularities below the axis, from coarse to fine. */
static void write_granularities(const struct picture *picture, const struct grid *grid)
{
    FILE *stream = picture->stream;
    char text[DESCRIBE_SIZE];

    picture_set_text(picture, "xlabel", "elements that share a scale");
    fputs("set xtics noenhanced (", stream);
    for (size_t i = 0; i < grid->granularity_count; i++) {
        picture_tic(i, property_text(grid->granularities[i], PROPERTY_GRANULARITY, text), stream);
    }
    fprintf(stream, ")\nset xrange [0.5:%zu.5]\n", grid->granularity_count);
}

static void write_formats(const struct grid *grid, FILE *stream)
{
    for (size_t f = 0; f < grid->format_count; f++) {
        /* A little apart, so that intervals do not hide one another. */
        const double shift = ((double)f - (double)(grid->format_count - 1) / 2) * 0.06;

        fprintf(stream, "$d%zu << EOD\n", f);
        for (size_t g = 0; g < grid->granularity_count; g++) {
            const struct picture_value v = value_of(grid, grid->formats[f], grid->granularities[g]);

            if (isfinite(v.value)) {
                fprintf(stream, "%.4g %.6g %.6g %.6g\n", (double)(g + 1) + shift, v.value, v.low, v.high);
            } else {
                putc('\n', stream);
            }
        }
        fputs("EOD\n", stream);
    }
}

static void plot_formats(const struct picture *picture, const struct grid *grid)
{
    char text[DESCRIBE_SIZE];
    FILE *stream = picture->stream;

    fputs("set offsets 0, 0, graph 0.05, graph 0.05\nplot ", stream);
    for (size_t f = 0; f < grid->format_count; f++) {
        fprintf(stream, "%s$d%zu using 1:2%s lc rgb %s pt %d title ", f > 0 ? ", \\\n     " : "", f,
                picture->plain ? " with linespoints" : ":3:4 with yerrorlines lw 1.8 ps 0.9", picture_color(f),
                picture_shape(f));
        picture_quote(property_text(grid->formats[f], PROPERTY_QUANT_DTYPE, text), stream);
    }
    putc('\n', stream);
}

void picture_quality(struct picture *picture)
{
    const struct record *record = picture->record;
    struct grid grid = {.record = record,
                        .formats = calloc(PICTURE_MOST_CURVES, sizeof(struct record_case *)),
                        .granularities = calloc(PICTURE_MOST_CURVES, sizeof(struct record_case *)),
                        .numbers = calloc(record->count + 1, sizeof *grid.numbers)};
    char text[DESCRIBE_SIZE];

    if (grid.formats != NULL && grid.granularities != NULL && grid.numbers != NULL) {
        grid.format_count = find_values(record, PROPERTY_QUANT_DTYPE, grid.formats);
        grid.granularity_count = find_values(record, PROPERTY_GRANULARITY, grid.granularities);
        qsort(grid.granularities, grid.granularity_count, sizeof(struct record_case *), compare_tiles);
        picture_set_title(picture,
                          record->count > grid.format_count * grid.granularity_count
                              ? "SNR by granularity: median and range of the cases"
                              : "SNR by granularity",
                          describe_input(record, text), 0, 0);
        picture_set_text(picture, "ylabel", "SNR, dB");
        write_granularities(picture, &grid);
        write_formats(&grid, picture->stream);
        plot_formats(picture, &grid);
    } else {
        picture->memory_short = true;
    }
    free(grid.formats);
    free(grid.granularities);
    free(grid.numbers);
}
