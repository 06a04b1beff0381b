/* SPDX-License-Identifier: Apache-2.0 */
/* describe.c - a record in the words and figures that people read. */
#include <config.h>

#include "describe.h"
#include "tensor_file.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *head;
    bool is_number;
} columns[COLUMNS] = {
    [DEVICE] = {"device", false},
    [TOKENS] = {"tokens", true},
    [HIDDEN] = {"hidden", true},
    [DTYPE] = {"dtype", false},
    [DIST] = {"dist", false},
    [QUANT_DTYPE] = {"quant", false},
    [GRANULARITY] = {"granularity", false},
    [SCALE] = {"scale", false},
    [THREADS] = {"threads", true},
    [KERNEL] = {"kernel", false},
    [MEDIAN] = {"median us", true},
    [MIN] = {"min us", true},
    [RATE] = {"GB/s", true},
    [OF_COPY] = {"of copy", true},
    [SNR] = {"SNR dB", true},
    [CODES] = {"codes", false},
};

const char *describe_head(enum column column)
{
    return columns[column].head;
}

bool describe_is_number(enum column column)
{
    return columns[column].is_number;
}

/* The verdict on the codes, or why there is none. */
static const char *codes_text(const struct record_case *c)
{
    if (c->sample_count > 0 || c->code == EXIT_WRONG_RESULT) {
        return record_verification_names[c->verification];
    }
    return c->code == EXIT_OK ? "interrupted" : "failed";
}

const char *describe_cell(const struct record_case *c, enum column column, char text[DESCRIBE_SIZE])
{
    bool has_time = c->sample_count > 0;

    /* What there is no figure for. */
    snprintf(text, DESCRIBE_SIZE, "-");
    switch (column) {
    case DEVICE:
        snprintf(text, DESCRIBE_SIZE, "%s", c->device->id);
        break;
    case TOKENS:
        snprintf(text, DESCRIBE_SIZE, "%" PRIu64, c->problem.tokens);
        break;
    case HIDDEN:
        snprintf(text, DESCRIBE_SIZE, "%" PRIu64, c->problem.hidden);
        break;
    case DTYPE:
        snprintf(text, DESCRIBE_SIZE, "%s", qb_format_info(c->problem.input)->name);
        break;
    case DIST:
        snprintf(text, DESCRIBE_SIZE, "%s", input_dist_name(c->dist));
        break;
    case QUANT_DTYPE:
        snprintf(text, DESCRIBE_SIZE, "%s", qb_format_info(c->problem.output)->name);
        break;
    case GRANULARITY:
        plan_granularity_text(&c->problem, text, DESCRIBE_SIZE);
        break;
    case SCALE:
        snprintf(text, DESCRIBE_SIZE, "%s", record_scaling_names[c->problem.scaling]);
        break;
    case THREADS:
        if (c->threads > 0) {
            snprintf(text, DESCRIBE_SIZE, "%u", c->threads);
        }
        break;
    case KERNEL:
        snprintf(text, DESCRIBE_SIZE, "%s", c->kernel);
        break;
    case MEDIAN:
        if (has_time) {
            snprintf(text, DESCRIBE_SIZE, "%.3f", c->time.median * 1e-3);
        }
        break;
    case MIN:
        if (has_time) {
            snprintf(text, DESCRIBE_SIZE, "%.3f", c->time.min * 1e-3);
        }
        break;
    case RATE:
        if (has_time) {
            snprintf(text, DESCRIBE_SIZE, "%.1f", c->bytes_per_second * 1e-9);
        }
        break;
    case OF_COPY:
        if (has_time && c->copy_time > 0) {
            snprintf(text, DESCRIBE_SIZE, "%.1f %%", 100 * c->copy_time / c->time.median);
        }
        break;
    case SNR:
        if (has_time && c->has_quality && isinf(c->quality.snr)) {
            snprintf(text, DESCRIBE_SIZE, "exact");
        } else if (has_time && c->has_quality && !isnan(c->quality.snr)) {
            snprintf(text, DESCRIBE_SIZE, "%.2f", c->quality.snr);
        }
        break;
    case CODES:
        snprintf(text, DESCRIBE_SIZE, "%s", codes_text(c));
        break;
    case COLUMNS:
        break;
    }
    return text;
}

bool describe_varies(const struct record *record, enum column column)
{
    char first[DESCRIBE_SIZE], text[DESCRIBE_SIZE];

    for (size_t i = 1; i < record->described; i++) {
        if (strcmp(describe_cell(&record->cases[i], column, text), describe_cell(&record->cases[0], column, first)) !=
            0) {
            return true;
        }
    }
    return false;
}

size_t describe_width(const struct record *record, enum column column)
{
    size_t width = strlen(describe_head(column));
    char text[DESCRIBE_SIZE];

    for (size_t i = 0; i < record->described; i++) {
        size_t length = strlen(describe_cell(&record->cases[i], column, text));

        width = length > width ? length : width;
    }
    return width;
}

const char *describe_device(const struct qb_device_info *info, char text[DESCRIBE_SIZE])
{
    snprintf(text, DESCRIBE_SIZE, "%s (%s, %s%s%s)", info->name, info->id, info->isa,
             info->driver[0] != '\0' ? ", driver " : "", info->driver);
    return text;
}

const char *describe_input(const struct record *record, char text[DESCRIBE_SIZE])
{
    if (record->input == NULL) {
        const char *dist = describe_varies(record, DIST) ? "generated" : input_dist_name(record->cases[0].dist);

        snprintf(text, DESCRIBE_SIZE, "%s, seed %" PRIu64, dist, record->seed);
    } else {
        _Static_assert(DESCRIBE_SIZE >= TENSOR_FILE_LABEL_SIZE, "a label must fit");
        tensor_file_label(record->input, record->tensor, text);
    }
    return text;
}

const char *describe_common(const struct record *record, char text[DESCRIBE_SIZE])
{
    char cell[DESCRIBE_SIZE];
    size_t length = 0;

    text[0] = '\0';
    for (enum column i = TOKENS; i < FIRST_RESULT; i++) {
        describe_cell(&record->cases[0], i, cell);
        /* The input says how the data are distributed. */
        if (i != DIST && strcmp(cell, "-") != 0 && !describe_varies(record, i) && length < DESCRIBE_SIZE) {
            length += (size_t)snprintf(text + length, DESCRIBE_SIZE - length, "%s%s %s", length > 0 ? ", " : "",
                                       describe_head(i), cell);
        }
    }
    return text;
}
