/* SPDX-License-Identifier: Apache-2.0 */
/* picture_heat.c - the ratios of a comparison as a map of sizes: a column for each size, a row for all else, and white
 * where nothing changes. */
#include <config.h>

#include "report/picture.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MOST_COLUMNS 16

/* The differences from 1 that have the full color, at least and at most. */
#define LEAST_SPAN 0.05
#define MOST_SPAN  1.0

/* Rows that the scale of the colors needs beside these, to be read. */
#define SCALE_ROWS 3

struct map {
    const struct record *record;
    enum property axis; /* of the columns */
    uint64_t sizes[MOST_COLUMNS];
    size_t columns;
    char (*labels)[DESCRIBE_SIZE]; /* of the rows */
    size_t rows;
    size_t decided, undecided; /* cells */
    double span;               /* the largest distance from 1 of those that are decided */
};

/* The size of what PAIR compares, on AXIS. */
static uint64_t size_of(const struct record *record, const struct record_pair *pair, enum property axis)
{
    return picture_size(&record->cases[pair->result].problem, axis);
}

/* Set SIZES to those of pairs with a result, as many as there is room for, in rising order. Returns their number. */
static size_t find_sizes(const struct record *record, enum property axis, uint64_t sizes[MOST_COLUMNS])
{
    size_t count = 0;

    for (size_t i = 0; i < record->comparison.count; i++) {
        const struct record_pair *pair = &record->comparison.pairs[i];
        const uint64_t size = size_of(record, pair, axis);
        size_t k = 0;

        while (k < count && sizes[k] != size) {
            k++;
        }
        if (pair->count > 0 && k == count && count < MOST_COLUMNS) {
            sizes[count++] = size;
        }
    }
    return picture_sort_sizes(sizes, count);
}

/* Choose the axis of MAP: the one with more sizes. */
static void choose_axis(struct map *map)
{
    uint64_t hidden[MOST_COLUMNS];
    const size_t hidden_count = find_sizes(map->record, PROPERTY_HIDDEN, hidden);

    map->axis = PROPERTY_TOKENS;
    map->columns = find_sizes(map->record, PROPERTY_TOKENS, map->sizes);
    if (hidden_count > map->columns) {
        map->axis = PROPERTY_HIDDEN;
        map->columns = hidden_count;
        memcpy(map->sizes, hidden, sizeof hidden);
    }
}

bool picture_has_heat(const struct record *record)
{
    struct map map = {.record = record};

    if (record->comparison.axis == COMPARE_NOTHING) {
        return false;
    }
    choose_axis(&map);
    return map.columns >= 2;
}

/* Return the place of PAIR in rows, a new one if there is room; SIZE_MAX if there is none. */
static size_t row_of(struct map *map, const struct record_pair *pair)
{
    char label[DESCRIBE_SIZE];

    picture_pair_label(map->record, pair, map->axis, label);
    for (size_t i = 0; i < map->rows; i++) {
        if (strcmp(map->labels[i], label) == 0) {
            return i;
        }
    }
    if (map->rows == PICTURE_MOST_ROWS) {
        return SIZE_MAX;
    }
    memcpy(map->labels[map->rows], label, sizeof label);
    return map->rows++;
}

/* Write the cells that are decided, or those that are not: column, row, ratio. */
static void write_cells(struct map *map, bool decided, FILE *stream)
{
    fprintf(stream, "$%s << EOD\n", decided ? "decided" : "undecided");
    for (size_t i = 0; i < map->record->comparison.count; i++) {
        const struct record_pair *pair = &map->record->comparison.pairs[i];
        const double ratio = pair->judgement.ratio;
        const size_t row = pair->count > 0 ? row_of(map, pair) : SIZE_MAX;
        size_t column = 0;

        while (column < map->columns && map->sizes[column] != size_of(map->record, pair, map->axis)) {
            column++;
        }
        if (row != SIZE_MAX && column < map->columns && isfinite(ratio) &&
            decided == (pair->judgement.verdict != VERDICT_INCONCLUSIVE)) {
            fprintf(stream, "%zu %zu %.6g\n", column + 1, row + 1, ratio);
            if (decided) {
                map->span = fabs(ratio - 1) > map->span ? fabs(ratio - 1) : map->span;
            }
            *(decided ? &map->decided : &map->undecided) += 1;
        }
    }
    fputs("EOD\n", stream);
}

static void write_axes(struct picture *picture, const struct map *map)
{
    char text[32];
    FILE *stream = picture->stream;

    picture_set_text(picture, "xlabel", map->axis == PROPERTY_TOKENS ? "tokens" : "hidden size");
    fputs("set xtics noenhanced (", stream);
    for (size_t i = 0; i < map->columns; i++) {
        snprintf(text, sizeof text, "%" PRIu64, map->sizes[i]);
        picture_tic(i, text, stream);
    }
    fputs(")\nset ytics noenhanced (", stream);
    for (size_t i = 0; i < map->rows; i++) {
        picture_row_tic(picture, i, map->labels[i]);
    }
    fprintf(stream, ")\nset xrange [0.5:%zu.5]\nset yrange [%zu.5:0.5]\nunset grid\n", map->columns, map->rows);
}

/* Draw the cells: white is 1, and cells without a verdict are gray. */
static void plot_cells(const struct picture *picture, const struct map *map)
{
    const double span = map->span < LEAST_SPAN ? LEAST_SPAN : map->span > MOST_SPAN ? MOST_SPAN : map->span;
    FILE *stream = picture->stream;

    fprintf(stream, "set palette defined (0 '#67a9cf', 1 '#ffffff', 2 '#ef8a62')\nset cbrange [%.6g:%.6g]\nplot ",
            1 - span, 1 + span);
    if (map->decided > 0 && !picture->plain) {
        fputs("$decided using 1:2:(0.48):(0.46):3 with boxxyerror fc palette fs solid noborder notitle, \\\n     ",
              stream);
    }
    if (map->undecided > 0 && !picture->plain) {
        fputs("$undecided using 1:2:(0.48):(0.46) with boxxyerror fc rgb '#d0d0d0' fs solid noborder "
              "title 'inconclusive', \\\n     ",
              stream);
    }
    if (map->undecided > 0) {
        fprintf(stream, "$undecided using 1:2:(sprintf('%%.2f%s', $3)) with labels notitle%s",
                picture->plain ? "?" : "", map->decided > 0 ? ", \\\n     " : "\n");
    }
    if (map->decided > 0) {
        fputs("$decided using 1:2:(sprintf('%.2f', $3)) with labels notitle\n", stream);
    }
}

void picture_heat(struct picture *picture)
{
    const struct record *record = picture->record;
    struct map map = {.record = record, .labels = calloc(PICTURE_MOST_ROWS, sizeof *map.labels)};
    char text[PICTURE_COMPARISON_SIZE];

    if (map.labels == NULL) {
        picture->memory_short = true;
        return;
    }
    choose_axis(&map);
    write_cells(&map, true, picture->stream);
    write_cells(&map, false, picture->stream);
    picture->rows = map.rows + SCALE_ROWS;
    picture_set_title(picture, "Time divided by that of the baseline", picture_comparison(record, text), 0, 0);
    write_axes(picture, &map);
    plot_cells(picture, &map);
    free(map.labels);
}
