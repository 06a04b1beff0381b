/* SPDX-License-Identifier: Apache-2.0 */
/* scales.h - the codes and scales of a tensor one by one: where they lie, and what they are worth. Tensors are in host
 * memory, and rows are dense. */
#ifndef SCALES_H
#define SCALES_H

#include "quantbench.h"

/* The scale of a tile. */
struct tile_scale {
    uint32_t code;      /* as it is stored */
    float stored;       /* its value */
    float tensor_scale; /* 1: there is none */
    int32_t zero_point; /* 0: there is none */
    /* What elements are divided by, or multiplied with, as static scaling has it. */
    bool multiplies;
    float divisor;
    float multiplier;
    double unit;  /* what a step of the codes is worth, exactly */
    double exact; /* the divisor before it was rounded, where what is stored is its inverse */
};

/* The bytes of an element of PROBLEM's scales. */
size_t scales_element_size(const struct qb_problem *problem);

/* Of PROBLEM's zero points: the bytes of one, and number INDEX, row by row. */
size_t scales_zero_point_size(const struct qb_problem *problem);
int32_t scales_zero_point(const struct qb_problem *problem, const void *zero_points, uint64_t index);
/* A static zero point for a tile, by RANDOM: one that codes have; of those of 32 bits half lie beyond the codes. */
int32_t scales_some_zero_point(const struct qb_problem *problem, uint64_t random);
void scales_put_zero_point(const struct qb_problem *problem, void *zero_points, uint64_t index, int32_t zero_point);

/* What the scale CODE is worth, with TENSOR_SCALE and ZERO_POINT where PROBLEM has them, by ARITHMETIC. */
struct tile_scale scales_decode(const struct qb_problem *problem, const struct qb_arithmetic *arithmetic, uint32_t code,
                                float tensor_scale, int32_t zero_point);

/* The scale of tile (ROW, COL) in TENSORS. */
struct tile_scale scales_at(const struct qb_problem *problem, const struct qb_arithmetic *arithmetic,
                            const struct qb_tensors *tensors, uint64_t row, uint64_t col);

/* The same of the tile with number INDEX, row by row, whose scale is OFFSET bytes from the first. */
struct tile_scale scales_at_place(const struct qb_problem *problem, const struct qb_arithmetic *arithmetic,
                                  const struct qb_tensors *tensors, uint64_t index, uint64_t offset);

/* The number of the tensor scale of that tile, in a quantization. */
uint64_t scales_tensor(const struct qb_problem *problem, uint64_t index);

/* The value that is encoded for element X. */
static inline float scales_quotient(const struct tile_scale *scale, float x)
{
    return scale->multiplies ? x * scale->multiplier : x / scale->divisor;
}

/* Find the tile whose scale is element INDEX of the scale tensor; false if it is padding. It takes long. */
bool scales_find(const struct qb_problem *problem, uint64_t index, uint64_t *row, uint64_t *col);

/* SCALES of PROBLEM in rows, without padding, in memory that is to be freed; NULL if memory is short. */
void *scales_in_rows(const struct qb_problem *problem, const void *scales);

/* The code CODE of FORMAT for people: the value alone of binary32, else "0x7E (448)". Returns TEXT. */
#define SCALES_TEXT_SIZE 96
const char *scales_code_text(enum qb_format format, uint32_t code, char text[SCALES_TEXT_SIZE]);

/* The same of all that belongs to SCALE: ", tensor scale 0.1, zero point -3". */
const char *scales_text(const struct qb_problem *problem, const struct tile_scale *scale, char text[SCALES_TEXT_SIZE]);

/* The bytes of a row of PROBLEM's codes, and from one row to the next: rows of 6-bit codes may have a gap between them.
 */
uint64_t codes_used_bytes(const struct qb_problem *problem);
uint64_t codes_row_bytes(const struct qb_problem *problem);

/* The code of element (ROW, COL) in CODES. */
uint8_t codes_at(const struct qb_problem *problem, const void *codes, uint64_t row, uint64_t col);

/* The bits that a code of PROBLEM takes in memory. */
unsigned codes_bits(const struct qb_problem *problem);

#endif
