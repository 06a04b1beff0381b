/* SPDX-License-Identifier: Apache-2.0 */
/* scale_search.h - the static scale with the least error. */
#ifndef SCALE_SEARCH_H
#define SCALE_SEARCH_H

#include "cases/dumps.h"
#include "check/census.h"
#include "measure/rating.h"
#include "measure/static_scale.h"

/* The data that a scale is for. */
struct scale_search {
    struct rating *rating;
    struct tensors *tensors;
    const struct dump_set *set;
    const struct census *census;                 /* of all its dumps */
    void (*progress)(void *about, double share); /* of the search that is done; NULL: nobody asks */
    void *progress_about;
};

/* Set *BEST to the scale for PROBLEM, as it is swept, for which the sum of the squared errors of SEARCH's data is the
 * least among those of ranges within that of the data: some hundred, and then some between the nearest of the best;
 * with zero points, both ends together and each alone. Ranges of a tensor scale are up to twice that of the data. The
 * whole range is one of them. The codes are those of the library, and the result depends on nothing but the data. On
 * failure the error has been printed; after an interrupt *BEST is not the best. */
enum exit_code scale_search_run(const struct scale_search *search, const struct qb_problem *problem,
                                struct static_scale *best);

#endif
