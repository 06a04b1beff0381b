/* SPDX-License-Identifier: Apache-2.0 */
/* scale_file.h - static scales of activations in a safetensors file, under the names that checkpoints have for them. */
#ifndef SCALE_FILE_H
#define SCALE_FILE_H

#include "cases/dumps.h"
#include "measure/calibration.h"

#include <stdio.h>

/* Write the first way of each tensor of CALIBRATION: X.input_scale of a tensor X, or X.weight_scale of X.weight; with
 * "_zero_point" instead of "_scale" the zero point, if there is one. A tensor scale of compressed-tensors is its
 * inverse, X.input_global_scale; of ModelOpt it is X.input_scale, or X.weight_scale_2. */
enum exit_code scale_file_write(const struct calibrated_set *calibration, enum scale_naming naming, FILE *stream);

/* True if tensors in such a file can be named after all SETS. If not, that has been printed. */
bool scale_file_can_name(const struct dump_sets *sets);

/* Set GIVEN, one for each of SETS, from the safetensors file PATH, in whichever of these names they are there, for
 * PROBLEM. Those that it lacks are warned of. On failure the error has been printed. */
enum exit_code scale_file_read(const char *path, const struct dump_sets *sets, const struct qb_problem *problem,
                               uint64_t memory_limit, struct calibration_given *given);

#endif
