/* SPDX-License-Identifier: Apache-2.0 */
/* tensor_choice.h - which of the tensors of some files are quantized. */
#ifndef TENSOR_CHOICE_H
#define TENSOR_CHOICE_H

#include "cases/model_index.h"
#include "cases/tensors.h"

/* Set the items of TENSORS, and those that are kept, from MODELS, one for each --input of SWEEP. On failure the error
 * has been printed. */
enum exit_code tensor_choice_make(const struct sweep *sweep, enum tensors_use use, const struct model_index *models,
                                  struct tensors *tensors);

#endif
