/* SPDX-License-Identifier: Apache-2.0 */
/* calibration.h - static scales of one activation from its dumps, and what they cost. */
#ifndef MEASURE_CALIBRATION_H
#define MEASURE_CALIBRATION_H

#include "cases/dumps.h"
#include "measure/rating.h"
#include "model/calibration.h"

/* What is asked for. */
struct calibration_wishes {
    const struct sweep *sweep;
    const struct calibration_methods *methods;
    struct rating *rating;
    struct tensors *tensors;
    bool are_inverses; /* tensor scales will be stored as their inverses: rate what these stand for */
    void (*progress)(void *about, double share); /* of a set that is done */
    void *about;
};

/* A scale from a file, for a way of a sweep. */
struct calibration_given {
    bool is_there;
    float scale;
    int zero_point;
};

/* True if all ways of SWEEP have a scale that can be static. If not, that has been printed. */
bool calibration_check(const struct sweep *sweep);

/* Calibrate SET for each way of WISHES->sweep. GIVEN, one for each of these, are rated too; NULL: there are none. On
 * failure the error has been printed. Free TENSOR, which begins as zero, either way. */
enum exit_code calibration_run(const struct calibration_wishes *wishes, const struct dump_set *set,
                               const struct calibration_given *given, struct calibrated_tensor *tensor);
void calibration_free_tensor(struct calibrated_tensor *tensor);

#endif
