/* SPDX-License-Identifier: Apache-2.0 */
/* case_name.c - see case_name.h. */
#include <config.h>

#include "model/problem_text.h"
#include "model/property.h"
#include "report/case_name.h"
#include "report/describe.h"

#include <inttypes.h>
#include <stdio.h>

/* How a case was measured, where that is not the usual way: cases that differ in nothing else are not the same. */
static void way_text(const struct record_case *c, char way[64])
{
    bool profile = c->launch == LAUNCH_PROFILE;
    enum launch_mode usual = c->threads > 0 ? LAUNCH_STREAM : LAUNCH_GRAPH;
    char streams[24] = "";

    if (c->streams > 1) {
        snprintf(streams, sizeof streams, "/streams:%u", c->streams);
    }
    snprintf(way, 64, "%s%s%s%s", !profile && c->found.cache == CACHE_HOT ? "/cache:hot" : "",
             !profile && c->launch != usual ? "/launch:" : "",
             !profile && c->launch != usual ? launch_words[c->launch] : "", streams);
}

/* Of which data: the distribution, with the seed where that is not the usual one, or the label of a file's tensor, in
 * letters that separate no parts of a name. */
static void data_text(const struct record *record, const struct record_case *c, char text[DESCRIBE_SIZE])
{
    char data[DESCRIBE_SIZE];

    if (record->input == NULL && record->seed == 0) {
        snprintf(text, DESCRIBE_SIZE, "/dist:%s", dist_words[c->dist]);
    } else if (record->input == NULL) {
        snprintf(text, DESCRIBE_SIZE, "/dist:%s/seed:%" PRIu64, dist_words[c->dist], record->seed);
    } else {
        property_data(record, c, data);
        for (char *letter = data; *letter != '\0'; letter++) {
            *letter = *letter > ' ' && *letter < 0x7F && *letter != '/' ? *letter : '_';
        }
        snprintf(text, DESCRIBE_SIZE, "/data:%.*s", DESCRIBE_SIZE - 8, data);
    }
}

const char *case_name(const struct record *record, const struct record_case *c, char name[CASE_NAME_SIZE])
{
    char granularity[64], details[PROBLEM_DETAILS_SIZE];
    char data[DESCRIBE_SIZE];
    char threads[32] = "", source[256] = "";
    char way[64];

    problem_granularity_text(&c->problem, granularity, sizeof granularity);
    data_text(record, c, data);
    if (c->threads > 0) {
        snprintf(threads, sizeof threads, "/threads:%u", c->threads);
    }
    way_text(c, way);
    if (c->source != NULL) {
        snprintf(source, sizeof source, "host:%.240s/", c->source->label);
    }
    for (char *letter = source; *letter != '\0'; letter++) {
        *letter = *letter > ' ' && *letter < 0x7F ? *letter : '_';
    }
    problem_details_text(&c->problem, details);
    for (char *letter = details; *letter != '\0'; letter++) {
        *letter = *letter == ',' ? '/' : *letter == ' ' ? '_' : *letter;
    }
    snprintf(name, CASE_NAME_SIZE, "%s/%s/%s/%s/%s%s/num_tokens:%" PRIu64 "/hidden_size:%" PRIu64 "%s/%s%s/%s%s%s",
             qb_operation_name(c->problem.operation), qb_format_info(c->problem.input)->name,
             qb_format_info(c->problem.output)->name, qb_scaling_name(c->problem.scaling), granularity, details,
             c->problem.tokens, c->problem.hidden, data, source, c->device->id, c->kernel, threads, way);
    return name;
}
