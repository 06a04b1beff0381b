/* SPDX-License-Identifier: Apache-2.0 */
/* figures.c - the table of figures, and what is the same for all of them. */
#include <config.h>

#include "model/figures.h"
#include "base/document.h"

#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- The tables ------------------------------------------------------------------------------------------------- */

#define AT(type, member) .offset = offsetof(struct type, member), .size = sizeof(((struct type *)NULL)->member)
#define FOUND(member)    AT(finding, member)
#define VISIT(member)    AT(round, member)

#define COUNT(known)    .kind = FIGURE_COUNT, .unknown = UNKNOWN_##known
#define UNSIGNED        .kind = FIGURE_UNSIGNED
#define REAL(known)     .kind = FIGURE_REAL, .unknown = UNKNOWN_##known
#define SIGNED          .kind = FIGURE_SIGNED, .unknown = UNKNOWN_NOT_FINITE
#define INTERVAL        .kind = FIGURE_INTERVAL, .unknown = UNKNOWN_NOT_FINITE
#define WORD(words_)    .kind = FIGURE_WORD, .words = words_
#define FLAG            .kind = FIGURE_FLAG
#define TRUTH_VALUE     .kind = FIGURE_TRUTH
#define TEXT            .kind = FIGURE_TEXT
#define RESULT(name_)   .group = "", .name = name_
#define TIME(name_)     .group = "time_ns", .name = name_
#define QUALITY(name_)  .group = "quality", .name = name_
#define CEILING(name_)  .group = "ceiling", .name = name_
#define COLUMN(column_) .column = column_
#define COUNTER         .is_counter = true
#define DERIVED         .is_derived = true

const char *const figures_groups[] = {"quality", "time_ns", "ceiling", NULL};

/* clang-format off */
const struct figure figures_of_case[] = {
    {RESULT("verification"), COLUMN("verification"), WORD(verification_words), FOUND(checked.verification)},
    {RESULT("wrong_codes"), COLUMN("wrong_codes"), COUNT(NEVER), FOUND(checked.mismatch.wrong_codes)},
    {RESULT("wrong_scales"), COLUMN("wrong_scales"), COUNT(NEVER), FOUND(checked.mismatch.wrong_scales)},
    {RESULT("near_codes"), COLUMN("near_codes"), COUNT(NEVER), FOUND(checked.mismatch.near_codes)},
    {RESULT("near_scales"), COLUMN("near_scales"), COUNT(NEVER), FOUND(checked.mismatch.near_scales)},
    {RESULT("hard_cases"), COLUMN("hard_cases"), COUNT(ZERO), FOUND(checked.hard_cases)},
    {RESULT("first_difference"), TEXT, FOUND(checked.mismatch.first)},
    {QUALITY("snr_db"), COLUMN("snr_db"), COUNTER, SIGNED, FOUND(checked.quality.snr)},
    {QUALITY("largest_error"), COLUMN("largest_error"), COUNTER, REAL(NOT_FINITE), FOUND(checked.quality.largest_error)},
    {QUALITY("largest_relative_error"), COLUMN("largest_relative_error"), COUNTER, REAL(NOT_FINITE),
     FOUND(checked.quality.largest_relative_error)},
    {QUALITY("rest_snr_db"), COLUMN("rest_snr_db"), COUNTER, SIGNED, FOUND(checked.quality.rest_snr)},
    {QUALITY("saturated_share"), COLUMN("saturated_share"), COUNTER, DERIVED, REAL(NOT_FINITE), FOUND(saturated_share)},
    {QUALITY("flushed_share"), COLUMN("flushed_share"), COUNTER, DERIVED, REAL(NOT_FINITE), FOUND(flushed_share)},
    {QUALITY("overrange_share"), COLUMN("overrange_share"), COUNTER, DERIVED, REAL(NOT_FINITE), FOUND(overrange_share)},
    {QUALITY("saturated_tile_share"), COLUMN("saturated_tile_share"), COUNTER, DERIVED, REAL(NOT_FINITE),
     FOUND(saturated_tile_share)},
    {QUALITY("overrange_tile_share"), COLUMN("overrange_tile_share"), COUNTER, DERIVED, REAL(NOT_FINITE),
     FOUND(overrange_tile_share)},
    {QUALITY("floor_tile_share"), COLUMN("floor_tile_share"), COUNTER, DERIVED, REAL(NOT_FINITE),
     FOUND(floor_tile_share)},
    {QUALITY("signal"), REAL(NOT_FINITE), FOUND(checked.quality.signal)},
    {QUALITY("saturated"), COUNT(NEVER), FOUND(checked.quality.saturated)},
    {QUALITY("flushed"), COUNT(NEVER), FOUND(checked.quality.flushed)},
    {QUALITY("overrange"), COUNT(MAX), FOUND(checked.quality.overrange)},
    {QUALITY("tiles"), COUNT(ZERO), FOUND(checked.quality.tiles)},
    {QUALITY("saturated_tiles"), COUNT(MAX), FOUND(checked.quality.saturated_tiles)},
    {QUALITY("overrange_tiles"), COUNT(MAX), FOUND(checked.quality.overrange_tiles)},
    {QUALITY("floor_tiles"), COUNT(MAX), FOUND(checked.quality.floor_tiles)},
    {QUALITY("finite"), COUNT(NEVER), FOUND(checked.quality.finite)},
    {QUALITY("nan"), COUNT(NEVER), FOUND(checked.quality.nan)},
    {QUALITY("infinite"), COUNT(NEVER), FOUND(checked.quality.infinite)},
    {RESULT("profiled"), FLAG, FOUND(profiled)},
    {RESULT("cache"), COLUMN("cache"), WORD(cache_words), FOUND(cache)},
    {RESULT("cache_check"), COLUMN("cache_check"), WORD(cache_check_words), FOUND(cache_check)},
    {RESULT("hot_time_ns"), COLUMN("hot_ns"), REAL(ZERO), FOUND(hot_time)},
    {RESULT("buffer_sets"), COLUMN("buffer_sets"), UNSIGNED, FOUND(sets)},
    {RESULT("rotated_bytes"), COLUMN("rotated_bytes"), COUNT(NEVER), FOUND(rotated_bytes)},
    {RESULT("bytes_read"), COLUMN("bytes_read"), COUNT(NEVER), FOUND(bytes.read)},
    {RESULT("bytes_written"), COLUMN("bytes_written"), COUNT(NEVER), FOUND(bytes.written)},
    {RESULT("launches_per_sample"), COLUMN("launches_per_sample"), COUNT(NEVER), FOUND(launches_per_sample)},
    {COLUMN("rounds"), COUNT(NEVER), FOUND(round_count)},
    {COLUMN("samples"), COUNT(NEVER), FOUND(sample_count)},
    {TIME("min"), COLUMN("min_ns"), REAL(NEVER), FOUND(time.min)},
    {TIME("median"), COLUMN("median_ns"), REAL(NEVER), FOUND(time.median)},
    {TIME("mean"), COLUMN("mean_ns"), REAL(NEVER), FOUND(time.mean)},
    {TIME("p99"), COLUMN("p99_ns"), REAL(NEVER), FOUND(time.p99)},
    {TIME("max"), COLUMN("max_ns"), REAL(NEVER), FOUND(time.max)},
    {TIME("median_ci95"), COLUMN("median_ci95_%s_ns"), INTERVAL, FOUND(time.ci_low)},
    {TIME("ci95_basis"), WORD(basis_words), FOUND(time.basis)},
    {TIME("mild_outliers"), COUNT(NEVER), FOUND(time.mild_outliers)},
    {TIME("severe_outliers"), COUNT(NEVER), FOUND(time.severe_outliers)},
    {TIME("autocorrelation"), SIGNED, FOUND(time.autocorrelation)},
    {RESULT("host_time_ns"), COLUMN("host_ns"), REAL(ZERO), FOUND(host_time)},
    {RESULT("bytes_per_second"), COLUMN("bytes_per_second"), REAL(ZERO), FOUND(bytes_per_second)},
    {RESULT("peak_share"), COLUMN("peak_share"), REAL(ZERO), FOUND(of_peak)},
    {CEILING("plain_ns"), COLUMN("plain_ceiling_ns"), REAL(ZERO), FOUND(ceiling_times[CEILING_PLAIN])},
    {CEILING("streaming_ns"), COLUMN("streaming_ceiling_ns"), REAL(ZERO), FOUND(ceiling_times[CEILING_STREAMING])},
    {CEILING("copy_ns"), COLUMN("copy_time_ns"), REAL(ZERO), FOUND(ceiling_times[CEILING_COPY])},
    {CEILING("floor_ns"), COLUMN("floor_ns"), REAL(ZERO), FOUND(floor_time)},
    {CEILING("first_floor_ns"), REAL(ZERO), FOUND(first_floor)},
    {CEILING("last_floor_ns"), REAL(ZERO), FOUND(last_floor)},
    {CEILING("best_ns"), REAL(ZERO), FOUND(best_time)},
    {CEILING("share"), COLUMN("ceiling_share"), DERIVED, REAL(ZERO), FOUND(ceiling_share)},
    {RESULT("implausible"), COLUMN("implausible"), FLAG, FOUND(implausible)},
    {RESULT("converged"), COLUMN("converged"), TRUTH_VALUE, FOUND(converged)},
    {RESULT("out_of_time"), COLUMN("out_of_time"), TRUTH_VALUE, FOUND(out_of_time)},
    {RESULT("retaken_samples"), COLUMN("retaken_samples"), DERIVED, COUNT(MAX), FOUND(retaken_samples)},
    {RESULT("disturbed_samples"), COLUMN("disturbed_samples"), DERIVED, COUNT(MAX), FOUND(disturbed_samples)},
    {RESULT("huge_page_bytes"), COLUMN("huge_page_bytes"), DERIVED, COUNT(MAX), FOUND(huge_bytes)},
    {RESULT("threads_wanted"), COLUMN("threads_wanted"), DERIVED, COUNT(ZERO), FOUND(threads_wanted)},
    {RESULT("threads_obtained"), COLUMN("threads_obtained"), DERIVED, COUNT(ZERO), FOUND(threads_obtained)},
    {RESULT("injected"), COLUMN("injected"), TEXT, FOUND(injected)},
};
const size_t figures_of_case_count = sizeof figures_of_case / sizeof figures_of_case[0];

const struct figure figures_of_round[] = {
    {RESULT("samples"), COUNT(NEVER), VISIT(samples), .min = 1},
    {RESULT("median_ns"), REAL(NEVER), VISIT(median)},
    {RESULT("host_ns"), REAL(NEVER), VISIT(host_time)},
    {RESULT("start_s"), REAL(NEVER), VISIT(start)},
    {RESULT("clock_mhz"), REAL(NOT_FINITE), VISIT(conditions.clock)},
    {RESULT("memory_clock_mhz"), REAL(NOT_FINITE), VISIT(conditions.memory_clock)},
    {RESULT("power_mw"), REAL(NOT_FINITE), VISIT(conditions.power)},
    {RESULT("temperature_c"), REAL(NOT_FINITE), VISIT(conditions.temperature)},
    {RESULT("stolen_ns"), REAL(NOT_FINITE), VISIT(disturbance.stolen)},
    {RESULT("preemptions"), COUNT(NEVER), VISIT(disturbance.preemptions)},
    {RESULT("migrations"), COUNT(MAX), VISIT(disturbance.migrations)},
    {RESULT("page_faults"), COUNT(NEVER), VISIT(disturbance.page_faults)},
    {RESULT("retaken_samples"), COUNT(NEVER), VISIT(retaken_samples)},
    {RESULT("disturbed_samples"), COUNT(NEVER), VISIT(disturbed_samples)},
    {RESULT("huge_page_bytes"), COUNT(MAX), VISIT(huge_bytes)},
    {RESULT("threads_wanted"), COUNT(ZERO), VISIT(threads_wanted)},
    {RESULT("threads_obtained"), COUNT(ZERO), VISIT(threads_obtained)},
};
/* clang-format on */
const size_t figures_of_round_count = sizeof figures_of_round / sizeof figures_of_round[0];

bool figures_has_group(const struct finding *finding, const char *group)
{
    if (strcmp(group, "quality") == 0) {
        return finding->has_quality;
    }
    if (strcmp(group, "time_ns") == 0) {
        return finding->sample_count > 0;
    }
    if (strcmp(group, "ceiling") == 0) {
        bool is_known = finding->best_time > 0 || finding->floor_time > 0;

        for (int kind = 0; kind < CEILING_KINDS; kind++) {
            is_known = is_known || finding->ceiling_times[kind] > 0;
        }
        return is_known;
    }
    return true;
}

/* ---- Values ----------------------------------------------------------------------------------------------------- */

static const void *place(const struct figure *figure, const void *base)
{
    return (const char *)base + figure->offset;
}

uint64_t figure_number(const struct figure *figure, const void *base)
{
    const void *from = place(figure, base);

    /* Counts are uint64_t and size_t, the rest are as large as unsigned, or bool. */
    return figure->size == sizeof(uint64_t)   ? *(const uint64_t *)from
           : figure->size == sizeof(unsigned) ? *(const unsigned *)from
                                              : *(const bool *)from;
}

double figure_real(const struct figure *figure, const void *base)
{
    return *(const double *)place(figure, base);
}

const double *figure_interval(const struct figure *figure, const void *base)
{
    return place(figure, base);
}

const char *figure_text(const struct figure *figure, const void *base)
{
    return figure->kind == FIGURE_WORD ? figure->words[figure_number(figure, base)] : place(figure, base);
}

bool figure_is_known(const struct figure *figure, const void *base)
{
    switch (figure->kind) {
    case FIGURE_COUNT:
    case FIGURE_UNSIGNED:
        return figure->unknown == UNKNOWN_NEVER ||
               figure_number(figure, base) != (figure->unknown == UNKNOWN_ZERO ? 0 : UINT64_MAX);
    case FIGURE_REAL:
    case FIGURE_SIGNED:
    case FIGURE_INTERVAL:
        return isfinite(figure_real(figure, base)) &&
               (figure->unknown != UNKNOWN_ZERO || figure_real(figure, base) != 0);
    case FIGURE_TRUTH:
        return figure_number(figure, base) != TRUTH_UNKNOWN;
    case FIGURE_TEXT:
        return figure_text(figure, base)[0] != '\0';
    case FIGURE_WORD:
    case FIGURE_FLAG:
        break;
    }
    return true;
}

const char *figure_real_text(double number, char text[FIGURE_REAL_SIZE])
{
    snprintf(text, FIGURE_REAL_SIZE, "%.12g", number);
    return text;
}

double figure_digits(double number)
{
    char text[FIGURE_REAL_SIZE];

    return isfinite(number) ? strtod(figure_real_text(number, text), NULL) : number;
}

void figures_keep_digits(const struct figure *figures, size_t count, void *base)
{
    for (size_t i = 0; i < count; i++) {
        double *number = (double *)((char *)base + figures[i].offset);

        if (figures[i].kind == FIGURE_REAL || figures[i].kind == FIGURE_SIGNED || figures[i].kind == FIGURE_INTERVAL) {
            number[0] = figure_digits(number[0]);
        }
        if (figures[i].kind == FIGURE_INTERVAL) {
            number[1] = figure_digits(number[1]);
        }
    }
}

/* ---- JSON ------------------------------------------------------------------------------------------------------- */

json_t *figure_to_json(const struct figure *figure, const void *base)
{
    if (!figure_is_known(figure, base)) {
        return json_null();
    }
    switch (figure->kind) {
    case FIGURE_COUNT:
    case FIGURE_UNSIGNED:
        return json_integer((json_int_t)figure_number(figure, base));
    case FIGURE_REAL:
    case FIGURE_SIGNED:
        return json_real(figure_real(figure, base));
    case FIGURE_INTERVAL:
        return json_pack("[f, f]", figure_interval(figure, base)[0], figure_interval(figure, base)[1]);
    case FIGURE_FLAG:
        return json_boolean(figure_number(figure, base) != 0);
    case FIGURE_TRUTH:
        return json_boolean(figure_number(figure, base) == TRUTH_YES);
    case FIGURE_WORD:
    case FIGURE_TEXT:
        break;
    }
    return document_text(figure_text(figure, base));
}

/* Store NUMBER as figure_number() reads it. */
static bool store(const struct figure *figure, void *base, uint64_t number)
{
    void *to = (char *)base + figure->offset;

    if (figure->size == sizeof(uint64_t)) {
        *(uint64_t *)to = number;
    } else if (figure->size == sizeof(unsigned)) {
        *(unsigned *)to = (unsigned)number;
    } else {
        *(bool *)to = number != 0;
    }
    return true;
}

static bool take_number(const struct figure *figure, const json_t *value, void *base,
                        char expected[FIGURE_EXPECTED_SIZE])
{
    const uint64_t most = figure->size == sizeof(uint64_t) ? INT64_MAX : INT32_MAX;
    const uint64_t least = figure->unknown == UNKNOWN_ZERO && figure->min == 0 ? 1 : figure->min;
    const json_int_t number = json_integer_value(value);

    snprintf(expected, FIGURE_EXPECTED_SIZE, "a whole number from %" PRIu64 " to %" PRIu64 "%s", least, most,
             figure->unknown == UNKNOWN_NEVER ? "" : " or null");
    return json_is_integer(value) && number >= 0 && (uint64_t)number >= least && (uint64_t)number <= most &&
           store(figure, base, (uint64_t)number);
}

static bool take_real(const struct figure *figure, const json_t *value, void *base, char expected[FIGURE_EXPECTED_SIZE])
{
    const bool is_signed = figure->kind == FIGURE_SIGNED;

    snprintf(expected, FIGURE_EXPECTED_SIZE, "a number%s%s", is_signed ? "" : " >= 0",
             figure->unknown == UNKNOWN_NEVER ? "" : " or null");
    *(double *)((char *)base + figure->offset) = json_number_value(value);
    return json_is_number(value) && (is_signed || json_number_value(value) >= 0);
}

static bool take_interval(const struct figure *figure, const json_t *value, void *base,
                          char expected[FIGURE_EXPECTED_SIZE])
{
    double *to = (double *)((char *)base + figure->offset);

    snprintf(expected, FIGURE_EXPECTED_SIZE, "an array of two numbers or null");
    for (size_t i = 0; i < 2; i++) {
        to[i] = json_number_value(json_array_get(value, i));
        if (!json_is_number(json_array_get(value, i)) || to[i] < 0) {
            return false;
        }
    }
    return json_array_size(value) == 2;
}

static bool take_word(const struct figure *figure, const json_t *value, void *base, char expected[FIGURE_EXPECTED_SIZE])
{
    const char *text = json_string_value(value);
    size_t length = (size_t)snprintf(expected, FIGURE_EXPECTED_SIZE, "one of ");

    for (unsigned i = 0; figure->words[i] != NULL; i++) {
        if (text != NULL && strcmp(text, figure->words[i]) == 0) {
            return store(figure, base, i);
        }
        if (length < FIGURE_EXPECTED_SIZE) {
            length += (size_t)snprintf(expected + length, FIGURE_EXPECTED_SIZE - length, "%s\"%s\"", i > 0 ? ", " : "",
                                       figure->words[i]);
        }
    }
    return false;
}

static bool take_text(const struct figure *figure, const json_t *value, void *base, char expected[FIGURE_EXPECTED_SIZE])
{
    const char *text = json_string_value(value);

    snprintf(expected, FIGURE_EXPECTED_SIZE, "a string of up to %zu bytes or null", figure->size - 1);
    if (text == NULL || strlen(text) >= figure->size) {
        return false;
    }
    memcpy((char *)base + figure->offset, text, strlen(text) + 1);
    return true;
}

/* Store that FIGURE is not known. */
static void forget(const struct figure *figure, void *base)
{
    double *real = (double *)((char *)base + figure->offset);

    switch (figure->kind) {
    case FIGURE_REAL:
    case FIGURE_SIGNED:
        *real = figure->unknown == UNKNOWN_ZERO ? 0 : (double)NAN;
        break;
    case FIGURE_INTERVAL:
        real[0] = real[1] = (double)NAN;
        break;
    case FIGURE_TEXT:
        *((char *)base + figure->offset) = '\0';
        break;
    case FIGURE_COUNT:
    case FIGURE_UNSIGNED:
    case FIGURE_TRUTH:
    case FIGURE_WORD:
    case FIGURE_FLAG:
        store(figure, base, figure->unknown == UNKNOWN_MAX ? UINT64_MAX : 0);
        break;
    }
}

bool figure_from_json(const struct figure *figure, const json_t *value, void *base, char expected[FIGURE_EXPECTED_SIZE])
{
    const bool may_be_unknown =
        figure->unknown != UNKNOWN_NEVER || figure->kind == FIGURE_TRUTH || figure->kind == FIGURE_TEXT;

    if (may_be_unknown && (value == NULL || json_is_null(value))) {
        forget(figure, base);
        return true;
    }
    switch (figure->kind) {
    case FIGURE_COUNT:
    case FIGURE_UNSIGNED:
        return take_number(figure, value, base, expected);
    case FIGURE_REAL:
    case FIGURE_SIGNED:
        return take_real(figure, value, base, expected);
    case FIGURE_INTERVAL:
        return take_interval(figure, value, base, expected);
    case FIGURE_WORD:
        return take_word(figure, value, base, expected);
    case FIGURE_FLAG:
    case FIGURE_TRUTH:
        snprintf(expected, FIGURE_EXPECTED_SIZE, "true or false%s", figure->kind == FIGURE_TRUTH ? ", or null" : "");
        return json_is_boolean(value) && store(figure, base,
                                               figure->kind == FIGURE_FLAG ? json_is_true(value)
                                               : json_is_true(value)       ? TRUTH_YES
                                                                           : TRUTH_NO);
    case FIGURE_TEXT:
        break;
    }
    return take_text(figure, value, base, expected);
}
