/* SPDX-License-Identifier: Apache-2.0 */
/* report_csv.c - results for spreadsheets and scripts: a head and a row for each case, as RFC 4180 has them but with
 * the line ends of this system. Every row says all about its case, so that files can be put together. Columns are only
 * ever added, at the right; see CSV in quantbench-output(5). */
#include <config.h>

#include "report/describe.h"
#include "report/report.h"
#include "verdict/verdict.h"
#include "model/problem_text.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* Text, in quotation marks if it needs them. What a spreadsheet would take for a formula gets an apostrophe before it;
 * so does what begins with one, so that the text can be had back. Numbers are not text: a negative one stays as it is.
 */
static void print_text(const char *text, FILE *stream)
{
    const char *mark = text[0] != '\0' && strchr("=+-@\t\r\n'", text[0]) != NULL ? "'" : "";

    if (strpbrk(text, ",\"\r\n") == NULL) {
        fprintf(stream, "%s%s", mark, text);
        return;
    }
    fprintf(stream, "\"%s", mark);
    for (; *text != '\0'; text++) {
        if (*text == '"') {
            putc('"', stream);
        }
        putc(*text, stream);
    }
    putc('"', stream);
}

/* A field of text; NULL leaves it empty. */
static void text_field(const char *text, FILE *stream)
{
    if (text != NULL) {
        print_text(text, stream);
    }
    putc(',', stream);
}

static void number_field(uint64_t number, FILE *stream)
{
    fprintf(stream, "%" PRIu64 ",", number);
}

/* The same if the number is KNOWN; else the field is empty. */
static void count_field(uint64_t number, bool known, FILE *stream)
{
    if (known) {
        number_field(number, stream);
    } else {
        text_field(NULL, stream);
    }
}

/* A field of a real number if it is KNOWN; else it is empty. */
static void real_field(double number, bool known, FILE *stream)
{
    char text[RECORD_REAL_SIZE];

    fprintf(stream, "%s,", known ? record_real_text(number, text) : "");
}

/* The same; infinity, for which many readers have no word, is left empty too. */
static void finite_field(double number, bool known, FILE *stream)
{
    real_field(number, known && isfinite(number), stream);
}

/* The verdict on a case, if it was compared. A number that would decide is empty if there is none. */
static void pair_fields(const struct record_pair *pair, FILE *stream)
{
    bool is_judged = pair != NULL && pair->count > 0;
    const struct judgement *judgement = is_judged ? &pair->judgement : &(const struct judgement){0};

    text_field(pair != NULL ? pair->baseline_name : NULL, stream);
    real_field(judgement->ratio, is_judged, stream);
    real_field(judgement->low, is_judged, stream);
    real_field(judgement->high, is_judged, stream);
    real_field(judgement->p, is_judged, stream);
    text_field(is_judged ? verdict_words[judgement->verdict] : NULL, stream);
    if (is_judged && judgement->more != COMPARE_NEVER) {
        fprintf(stream, "%" PRIu64, judgement->more);
    }
}

static void print_row(const struct record *record, const struct record_case *c, FILE *stream)
{
    bool has_time = c->sample_count > 0;
    char data[DESCRIBE_SIZE];
    bool has_interval = has_time && !isnan(c->time.ci_low);
    char granularity[64];
    uint64_t wanted, obtained;

    problem_granularity_text(&c->problem, granularity, sizeof granularity);
    text_field(record->date, stream);
    text_field(record->host_name, stream);
    text_field(record->version, stream);
    text_field(c->device->id, stream);
    text_field(c->device->name, stream);
    text_field(c->kernel, stream);
    text_field(qb_format_info(c->problem.input)->name, stream);
    text_field(qb_format_info(c->problem.output)->name, stream);
    text_field(qb_scaling_name(c->problem.scaling), stream);
    text_field(granularity, stream);
    number_field(c->problem.tokens, stream);
    number_field(c->problem.hidden, stream);
    real_field((double)c->problem.amax_bound, c->problem.amax_bound > 0, stream);
    real_field(c->threads, c->threads > 0, stream);
    number_field(record->seed, stream);
    text_field(record->input, stream);
    text_field(record->tensor, stream);
    text_field(verification_words[c->verification], stream);
    number_field(c->wrong_codes, stream);
    number_field(c->wrong_scales, stream);
    text_field(launch_words[c->launch], stream);
    text_field(cache_words[c->cache], stream);
    number_field(c->sets, stream);
    number_field(c->rotated_bytes, stream);
    number_field(c->bytes.read, stream);
    number_field(c->bytes.written, stream);
    number_field(c->launches_per_sample, stream);
    number_field(c->sample_count, stream);
    real_field(c->time.min, has_time, stream);
    real_field(c->time.median, has_time, stream);
    real_field(c->time.mean, has_time, stream);
    real_field(c->time.p99, has_time, stream);
    real_field(c->time.max, has_time, stream);
    real_field(c->time.ci_low, has_interval, stream);
    real_field(c->time.ci_high, has_interval, stream);
    real_field(c->bytes_per_second, c->bytes_per_second > 0, stream);
    real_field(c->ceiling_times[CEILING_COPY], c->ceiling_times[CEILING_COPY] > 0, stream);
    fprintf(stream, "%d,", (int)verdict_of_case(record, c));
    finite_field(c->quality.snr, c->has_quality, stream);
    finite_field(c->quality.largest_error, c->has_quality, stream);
    finite_field(c->quality.largest_relative_error, c->has_quality, stream);
    finite_field(record_share(c, c->quality.saturated), c->has_quality, stream);
    finite_field(record_share(c, c->quality.flushed), c->has_quality, stream);
    text_field(record->input == NULL ? dist_words[c->dist] : NULL, stream);
    pair_fields(record_pair_of(record, c), stream);
    putc(',', stream);
    number_field(c->streams, stream);
    number_field(c->round_count, stream);
    real_field(c->host_time, c->host_time > 0, stream);
    text_field(cache_check_words[c->cache_check], stream);
    real_field(c->hot_time, c->hot_time > 0, stream);
    real_field(c->ceiling_times[CEILING_PLAIN], c->ceiling_times[CEILING_PLAIN] > 0, stream);
    real_field(c->ceiling_times[CEILING_STREAMING], c->ceiling_times[CEILING_STREAMING] > 0, stream);
    real_field(c->floor_time, c->floor_time > 0, stream);
    real_field(c->best_time / c->time.median, c->best_time > 0 && c->time.median > 0 && !c->implausible, stream);
    real_field(c->of_peak, c->of_peak > 0, stream);
    fprintf(stream, "%d,", c->implausible);
    fprintf(stream, "%s,", record->precision == 0 || !has_time ? "" : c->unconverged ? "0" : "1");
    number_field(c->near_codes, stream);
    number_field(c->near_scales, stream);
    text_field(c->arithmetic, stream);
    text_field(c->plugin, stream);
    real_field((double)record_retaken_samples(c), has_time && c->threads > 0, stream);
    real_field((double)record_disturbed_samples(c), has_time && c->threads > 0, stream);
    count_field(record_huge_page_bytes(c), has_time && c->threads > 0 && record_huge_page_bytes(c) != ROUND_UNKNOWN,
                stream);
    record_threads(c, &wanted, &obtained);
    count_field(wanted, wanted > 0, stream);
    if (wanted > 0) {
        fprintf(stream, "%" PRIu64, obtained);
    }
    putc(',', stream);
    text_field(property_data(record, c, data), stream);
    text_field(record->digest, stream);
    text_field(describe_doubts(c, "; ", data), stream);
    fprintf(stream, "%d,", (int)record->code);
    if (c->hard_cases > 0) {
        fprintf(stream, "%" PRIu64, c->hard_cases);
    }
    putc('\n', stream);
}

enum exit_code report_csv(const struct record *record, FILE *stream)
{
    fputs("date,host,version,device,device_name,kernel,dtype,quant_dtype,scale,granularity,num_tokens,hidden_size,"
          "scale_ub,threads,seed,input,tensor,verification,wrong_codes,wrong_scales,launch,cache,buffer_sets,"
          "rotated_bytes,bytes_read,bytes_written,launches_per_sample,samples,min_ns,median_ns,mean_ns,p99_ns,max_ns,"
          "median_ci95_low_ns,median_ci95_high_ns,bytes_per_second,copy_time_ns,exit_status,snr_db,largest_error,"
          "largest_relative_error,"
          "saturated_share,flushed_share,dist,compared_with,ratio,ratio_ci95_low,ratio_ci95_high,"
          "p_value,verdict,more_needed,streams,rounds,host_ns,cache_check,hot_ns,plain_ceiling_ns,streaming_ceiling_ns,"
          "floor_ns,ceiling_share,peak_share,implausible,converged,near_codes,near_scales,arithmetic,plugin,"
          "retaken_samples,disturbed_samples,huge_page_bytes,threads_wanted,threads_obtained,data,data_digest,doubts,"
          "run_exit_status,hard_cases\n",
          stream);
    for (size_t i = 0; i < record->count; i++) {
        print_row(record, &record->cases[i], stream);
    }
    return EXIT_OK;
}
