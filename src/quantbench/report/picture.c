/* SPDX-License-Identifier: Apache-2.0 */
/* picture.c - the kinds of pictures, which of them a record has, and the frame of a script. */
#include <config.h>

#include "base/memory_stream.h"
#include "report/picture.h"
#include "report/summary.h"

#include <limits.h>
#include <math.h>
#include <string.h>

/* ---- Kinds ------------------------------------------------------------------------------------------------------ */

static bool has_time(const struct record *record)
{
    for (size_t i = 0; i < record->count; i++) {
        if (record->cases[i].found.sample_count > 0) {
            return true;
        }
    }
    return false;
}

static bool has_share(const struct record *record)
{
    for (size_t i = 0; i < record->count; i++) {
        if (!isnan(picture_share_of(&record->cases[i]).value)) {
            return true;
        }
    }
    return false;
}

static bool has_ratio(const struct record *record)
{
    for (size_t i = 0; i < record->comparison.count && record->comparison.axis != COMPARE_NOTHING; i++) {
        if (record->comparison.pairs[i].count > 0) {
            return true;
        }
    }
    return false;
}

static bool has_quality(const struct record *record)
{
    for (size_t i = 0; i < record->count; i++) {
        if (record->cases[i].found.has_quality && isfinite(record->cases[i].found.checked.quality.snr)) {
            return true;
        }
    }
    return false;
}

static bool has_model(const struct record *record)
{
    return summary_applies(record) && has_quality(record);
}

/* No record has a picture of many. */
static bool has_fleet(const struct record *record)
{
    (void)record;
    return false;
}

static const struct {
    const char *lack;
    bool (*has)(const struct record *record);
    void (*write)(struct picture *picture);
} kinds[PICTURE_KINDS] = {
    [PICTURE_SHARE] = {"a time with its ceiling", has_share, picture_share},
    [PICTURE_TIME] = {"a time", has_time, picture_time},
    [PICTURE_RATIO] = {"a comparison with a result", has_ratio, picture_ratio},
    [PICTURE_HEAT] = {"a comparison with results at several sizes", picture_has_heat, picture_heat},
    [PICTURE_SAMPLES] = {"a time", has_time, picture_samples},
    [PICTURE_MODEL] = {"the quality of several tensors", has_model, picture_model},
    [PICTURE_QUALITY] = {"an SNR", has_quality, picture_quality},
    [PICTURE_FLEET] = {"many devices (--fleet)", has_fleet, NULL},
};

const char *picture_lack(const struct record *record, enum picture_kind kind)
{
    return kinds[kind].has(record) ? NULL : kinds[kind].lack;
}

enum picture_kind picture_choose(const struct record *record)
{
    if (record->rated_only) {
        return has_model(record) ? PICTURE_MODEL : PICTURE_QUALITY;
    }
    return has_ratio(record)                                                ? PICTURE_RATIO
           : record->count == 1 && record->planned == 1 && has_time(record) ? PICTURE_SAMPLES
           : has_share(record)                                              ? PICTURE_SHARE
                                                                            : PICTURE_TIME;
}

/* ---- The frame -------------------------------------------------------------------------------------------------- */

/* Of pictures, in the units of SVG, and of characters. */
#define WIDTH        960
#define HEIGHT       540
#define FRAME_HEIGHT 170 /* without the rows */
#define ROW_HEIGHT   22
#define FREE_LABEL   30 /* characters of the label of a row that WIDTH has room for, and the width of a character */
#define LETTER_WIDTH 8
#define MIN_COLUMNS  40
#define COLUMNS      79
#define LINES        24
#define FRAME_LINES  14

/* Write the command that chooses the terminal of VIEWER, for the rows of PICTURE and their labels. */
static void write_terminal(const struct picture *picture, enum picture_viewer viewer, int columns, FILE *stream)
{
    const size_t rows = picture->rows, height = rows > 0 ? FRAME_HEIGHT + ROW_HEIGHT * rows : HEIGHT,
                 width = WIDTH + LETTER_WIDTH * (picture->longest > FREE_LABEL ? picture->longest - FREE_LABEL : 0);

    switch (viewer) {
    case PICTURE_SCRIPT:
        break;
    case PICTURE_SVG:
        fprintf(stream,
                "set terminal svg noenhanced size %zu,%zu font 'sans-serif,14' background '#ffffff' linewidth 1\n",
                width, height);
        break;
    case PICTURE_PNG:
        fprintf(stream, "set terminal pngcairo noenhanced size %zu,%zu font 'sans,11' background '#ffffff'\n", width,
                height);
        break;
    case PICTURE_PDF:
        fprintf(stream, "set terminal pdfcairo noenhanced size %.2f,%.2f font 'sans,11' background '#ffffff'\n",
                (double)width / 96, (double)height / 96);
        break;
    case PICTURE_CHARACTERS:
        columns = columns > COLUMNS ? COLUMNS : columns < MIN_COLUMNS ? MIN_COLUMNS : columns;
        fprintf(stream, "set terminal dumb noenhanced nofeed mono size %d,%zu\n", columns,
                rows > 0 ? FRAME_LINES + rows : (size_t)LINES);
        break;
    }
}

bool picture_write_frame(void (*write)(struct picture *picture, const void *what), const void *what,
                         enum picture_viewer viewer, int columns, FILE *stream)
{
    struct memory_stream body;
    struct picture picture = {.plain = viewer == PICTURE_CHARACTERS};
    bool good = memory_stream_open(&body);

    if (good) {
        picture.stream = body.stream;
        write(&picture, what);
        good = memory_stream_close(&body) && !picture.memory_short;
    }
    if (good) {
        fprintf(stream, "# A gnuplot script, from quantbench %s. \"gnuplot -p FILE\" shows the picture.\n",
                PACKAGE_VERSION);
        fputs("set encoding utf8\n", stream);
        write_terminal(&picture, viewer, columns, stream);
        fputs("set termoption noenhanced\nset tics nomirror out\nset key noenhanced below\n", stream);
        if (!picture.plain) {
            fputs("set key Left reverse width 2 height 1\n"
                  "set border 3 lw 0.8 lc rgb '#404040'\nset grid lt 1 lw 0.5 lc rgb '#dddddd'\n",
                  stream);
        }
        fwrite(body.bytes, 1, body.length, stream);
    }
    memory_stream_free(&body);
    return good;
}

/* What the writer of a kind needs. */
struct task {
    const struct record *record;
    enum picture_kind kind;
};

static void write_kind(struct picture *picture, const void *what)
{
    const struct task *task = what;

    picture->record = task->record;
    kinds[task->kind].write(picture);
}

bool picture_write(const struct record *record, enum picture_kind kind, enum picture_viewer viewer, int columns,
                   FILE *stream)
{
    const struct task task = {record, kind};

    return picture_write_frame(write_kind, &task, viewer, columns, stream);
}
