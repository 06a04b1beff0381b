/* SPDX-License-Identifier: Apache-2.0 */
/* hard_kind.h - what is hard about an element or a tile, for people. */
#ifndef HARD_KIND_H
#define HARD_KIND_H

#include "check/hard_data.h"

#define HARD_KIND_SIZE 96

/* Describe code INDEX of DATA, "a tie", whose tile has the scale SCALE; or the scale of tile INDEX, "a tile of zeros".
 */
void hard_kind_of_code(const struct hard_data *data, uint64_t index, const struct tile_scale *scale,
                       char text[HARD_KIND_SIZE]);
void hard_kind_of_scale(const struct hard_data *data, uint64_t index, char text[HARD_KIND_SIZE]);

#endif
