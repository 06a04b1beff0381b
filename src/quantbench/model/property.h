/* SPDX-License-Identifier: Apache-2.0 */
/* property.h - what a case is, before it runs: cases that have all of these in common are one. */
#ifndef PROPERTY_H
#define PROPERTY_H

#include "model/record.h"

enum property {
    PROPERTY_SOURCE, /* one of several runs that were merged */
    PROPERTY_DEVICE,
    PROPERTY_TENSOR, /* one of several of --input */
    PROPERTY_TOKENS,
    PROPERTY_HIDDEN,
    PROPERTY_DTYPE,
    PROPERTY_DIST,
    PROPERTY_OPERATION,
    PROPERTY_QUANT_DTYPE,
    PROPERTY_GRANULARITY,
    PROPERTY_SCALE,
    PROPERTY_SCALE_FORMAT,
    PROPERTY_SCALE_ROUNDING,
    PROPERTY_SCALE_LAYOUT,
    PROPERTY_TENSOR_SCALE,
    PROPERTY_ZERO_POINTS,
    PROPERTY_PACKING,
    PROPERTY_INTERMEDIATE, /* this and those up to the last are in the order of enum operation_member */
    PROPERTY_VALUES,
    PROPERTY_GELU,
    PROPERTY_GATE,
    PROPERTY_GATE_LIMIT,
    PROPERTY_ALPHA,
    PROPERTY_UP_OFFSET,
    PROPERTY_WEIGHTS,
    PROPERTY_EPSILON,
    PROPERTY_PAIRING,
    PROPERTY_HEAD_SIZE,
    PROPERTY_ROTARY,
    PROPERTY_POSITIONS,
    PROPERTY_PAGE_SIZE,
    PROPERTY_PAGES,
    PROPERTY_PAGE_LAYOUT,
    PROPERTY_EXPERTS,
    PROPERTY_EXPERT_ROWS,
    PROPERTY_EXPERT_TOKENS,
    PROPERTY_THREADS,
    PROPERTY_KERNEL,
    PROPERTY_CACHE,
    PROPERTY_LAUNCH,
    PROPERTY_STREAMS,
    PROPERTIES
};

/* The head of a column of it. */
const char *property_name(enum property property);

/* True if PROBLEM has the property: that is false of what its operation does not read. */
bool property_applies(const struct qb_problem *problem, enum property property);

/* The value of C: the word of its option; "-" for what does not apply, as for the threads of a device that is not a
 * CPU. Returns TEXT. */
#define PROPERTY_TEXT_SIZE 1024
const char *property_text(const struct record_case *c, enum property property, char text[PROPERTY_TEXT_SIZE]);

/* True if A and B have the same. */
bool property_same(const struct record_case *a, const struct record_case *b, enum property property);

/* True if A and B may differ in PROPERTY where cases that differ in AXIS are compared: recipes and operations bring it
 * along. */
bool property_follows(const struct record_case *a, const struct record_case *b, enum property axis,
                      enum property property);

/* The property in which cases that AXIS compares differ; PROPERTIES: none, since the other is in a file. */
enum property property_of_axis(enum compare_axis axis);

/* On one line, the problem, the kernel, the device and the threads of C. Returns TEXT. */
const char *property_describe(const struct record_case *c, char text[PROPERTY_TEXT_SIZE]);

/* Where the data of C are from, in words that are others if the data are others: the base name of the file, the tensor
 * and the digest; or the distribution and the seed. Returns TEXT. */
const char *property_data(const struct record *record, const struct record_case *c, char text[PROPERTY_TEXT_SIZE]);

/* Add DIGEST, of data that are a file's, to TEXT. */
void property_append_digest(const char *digest, char text[PROPERTY_TEXT_SIZE]);

#endif
