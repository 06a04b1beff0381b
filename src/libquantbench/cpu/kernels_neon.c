/* SPDX-License-Identifier: Apache-2.0 */
/* kernels_neon.c - the inner routines for NEON, which every 64-bit ARM processor has. */
#include <config.h>

#ifdef HAVE_ARM_NEON

#include "kernels.h"
#include "values.h"
#include "vector_neon.h"

#define ISA           neon
#define CODES         QB__VECTOR_CODES
#define NARROW_OPS    qb__narrow_ops_generic
#define VALUES_OPS    qb__values_ops_generic
#define HAVE_CORRECT  1
#define HAVE_MULTIPLY 1
#define SATURATING    1
#define CORRECT_ANY   0

#include "kernels_blocks.h"
#include "kernels_amax.h"
#include "kernels_plain.h"
#include "kernels_body.h"

#else
/* ISO C wants a declaration in every file. */
typedef int qb__no_neon;
#endif
