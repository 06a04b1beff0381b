/* SPDX-License-Identifier: Apache-2.0 */
/* calibration.h - all that is said of static scales and the data that they are from. */
#ifndef CALIBRATION_H
#define CALIBRATION_H

#include "model/finding.h"
#include "model/settings.h"

/* A way to scale an activation, over all its dumps. */
struct calibrated_way {
    struct qb_problem problem; /* of all rows, as if they were one tensor */
    struct calibration_method method;
    /* Of a static scale: */
    float low, high; /* the range that it is for; 0 and 0: unknown, since it was given */
    float scale;
    int zero_point;
    struct quality quality;
    /* What the same data have with scales that are computed, minus this: of each dump, and of each row; NAN: unknown.
     */
    double loss, token_loss; /* dB */
};

struct calibrated_dump {
    char *file;
    char *name; /* NULL: the file has no names */
    uint64_t rows, nan, infinite;
    float amax; /* of the finite elements */
};

struct calibrated_tensor {
    char *name;
    enum qb_format format;
    uint64_t rows, hidden; /* of all dumps */
    struct calibrated_dump *dumps;
    size_t dump_count;
    uint64_t finite, nan, infinite;
    float low, high; /* the smallest and the largest finite element */
    struct calibrated_way *ways;
    size_t way_count;
};

struct calibrated_set {
    struct calibrated_tensor *tensors;
    size_t count;
    bool interrupted;
};

/* True if SCALE is one for all data of a tensor. */
static inline bool calibration_is_static(enum calibration_source source)
{
    return source < CALIBRATION_DYNAMIC;
}

/* True if TENSOR has finite elements, and all of them are 0. */
static inline bool calibration_is_zero(const struct calibrated_tensor *tensor)
{
    return tensor->finite > 0 && tensor->low == 0 && tensor->high == 0;
}

#endif
