/* SPDX-License-Identifier: Apache-2.0 */
/* finding.h - what was found about a case: by the proof, by one visit, and by all visits together. Times are in
 * nanoseconds per launch. */
#ifndef FINDING_H
#define FINDING_H

#include "base/inject.h"
#include "base/message.h"
#include "base/stats.h"
#include "model/sizes.h"
#include "model/words.h"

/* What the codes of a tensor make of it. x is a finite element, exactly; v the quotient that is encoded, as binary32; e
 * = value of the code * scale - x its error, in the unit of x. NaN and infinities are counted, and are in no other
 * figure. */
struct quality {
    uint64_t finite;   /* elements; the other figures are of these */
    uint64_t nan;      /* elements */
    uint64_t infinite; /* elements */
    /* The signal-to-noise ratio in dB: 10 log10(sum of x^2 / sum of e^2), over all elements. INFINITY if every e is 0,
     * also for a tensor that is all zero; -INFINITY if an e is infinite, as with an infinite scale, or if x is 0 and e
     * is not; NAN if there are no finite elements. */
    double snr;
    double signal;   /* the sum of x^2; NAN: unknown, in records of older programs */
    double noise;    /* the sum of e^2; in no record */
    double rest_snr; /* the same as SNR without the largest elements: the top 0.1 % in magnitude, in steps of 2^-7, at
                        most */
    double largest_error; /* the largest |e|; NAN if there are no finite elements */
    double
        largest_relative_error; /* the largest |e| / |x| over x != 0, INFINITY if an e is; NAN if there is no such x */
    /* Elements that are cut off: rounding v to nearest even, as if the output format had no largest value, would lead
     * beyond its largest or smallest one. INT8: v >= 127.5 or v < -128.5; E4M3: |v| > 464; E5M2: |v| >= 61440. With a
     * zero point z: RNE(v) + z is cut off. */
    uint64_t saturated;
    uint64_t overrange; /* elements with v, or v + z, beyond the largest or smallest value by 2^-22 of it */
    uint64_t flushed;   /* elements x != 0 whose code means 0 */
    uint64_t tiles;     /* those that share a scale; the next figures are of these */
    uint64_t saturated_tiles;
    uint64_t overrange_tiles; /* have such an element */
    uint64_t floor_tiles;     /* not all of its elements are 0, and the scale is the smallest of its format */
};

/* Where outputs on a device differ from the expectation. */
struct mismatch {
    uint64_t wrong_codes;  /* with values and sums, where those are outputs; so are the codes below */
    uint64_t wrong_scales; /* with zero points and tensor scales */
    uint64_t near_codes;   /* differ, but no more than the arithmetic allows; they are not wrong */
    uint64_t near_scales;  /* the same */
    uint64_t compared;     /* codes */
    /* Of the first difference: the tensor, and the element of it; of a scale and a zero point the tile, or UINT64_MAX
     * for what belongs to none. */
    enum qb_role first_role;
    unsigned first_part; /* of the problem */
    uint64_t first_index;
    char first[384]; /* the same for people; "" if there is none */
};

static inline bool mismatch_is_wrong(const struct mismatch *m)
{
    return m->wrong_codes > 0 || m->wrong_scales > 0;
}

/* A number of migrations that the system does not tell. */
#define DISTURBANCE_UNKNOWN UINT64_MAX

/* What happened between two snapshots. */
struct disturbance {
    uint64_t preemptions;
    uint64_t page_faults;
    uint64_t migrations; /* DISTURBANCE_UNKNOWN */
    double stolen;       /* nanoseconds; NaN if unknown */
    double others;       /* CPUs that other processes kept busy, on average; NaN if the time is too short to tell */
};

/* What one visit found. */
struct round {
    size_t samples;                         /* at least 1 */
    double median;                          /* of these, nanoseconds per launch */
    double host_time;                       /* nanoseconds that the host took for a launch */
    double start;                           /* seconds since the run began */
    struct qb_device_conditions conditions; /* of the device, while it took the samples */
    struct disturbance disturbance;         /* of this process, while they were taken */
    /* CPU: a sample in which the system disturbed this process is taken again, unless too many were so. */
    uint64_t retaken_samples;   /* were taken again */
    uint64_t disturbed_samples; /* were kept in spite of it */
    uint64_t huge_bytes;        /* of the tensors in the CPU's memory, those in huge pages; ROUND_UNKNOWN */
    uint64_t threads_wanted;    /* CPU: threads that launches were shared out to; 0: not known */
    uint64_t threads_obtained;  /* and on how many they ran, at the fewest */
};

/* What the proof says. */
struct checked {
    enum verification verification;
    struct mismatch mismatch; /* before timing, or after it if the codes are wrong then */
    uint64_t hard_cases;      /* elements of hard data on which the kernel is right too; 0: none, or unknown */
    struct quality quality;   /* of the codes, if they are VERIFIED and there are any */
};

/* What was found about a case. The figures that reports show of it are the rows of figures.c. */
struct finding {
    enum exit_code code; /* EXIT_OK, or why there is no time */
    struct sizes bytes;
    unsigned sets;          /* buffer sets that rotate */
    uint64_t rotated_bytes; /* their size together; INT64_MAX: that or more */
    enum cache_state cache; /* what their rotation makes of the last-level cache */
    struct checked checked;
    bool profiled; /* a profiler was told */
    uint64_t launches_per_sample;
    double *samples;      /* round after round */
    size_t sample_count;  /* 0: there is no time, and TIME means nothing */
    struct round *rounds; /* which samples are whose: their numbers add up to sample_count */
    size_t round_count;
    double hot_time; /* of launches that find their data in the cache; 0: not measured */

    char injected[INJECT_SIZE]; /* the fault that was asked for; "": none */

    /* Known when all visits are over, if there is a sample. */
    struct stats time;
    double host_time;                    /* that the host takes for a launch, the median of the rounds'; 0: unknown */
    double floor_time;                   /* of an empty launch of the same shape; 0: unknown */
    double first_floor, last_floor;      /* the same, in the first and the last quarter of the samples; 0: unknown */
    double ceiling_times[CEILING_KINDS]; /* of launches of the same kind; 0: unknown */
    double best_time;                    /* no launch can be faster: the fastest of these, or the floor; 0: unknown */
    enum cache_check cache_check;
    enum truth converged;   /* the precision that was asked for is reached */
    enum truth out_of_time; /* it has fewer samples than were asked for, since its time was up */

    /* These follow from the others; a record has them. */
    bool has_quality;        /* the codes are VERIFIED, and were rated */
    double bytes_per_second; /* by the byte model and the median; 0: unknown */
    double of_peak;          /* that rate as a share of the data sheet's; 0: unknown */
    bool implausible;        /* the median is below best_time by more than measuring errs */
    double ceiling_share;    /* best_time as a share of the median; 0: unknown, or implausible */
    double saturated_share, flushed_share, overrange_share; /* of the finite elements; NaN if there are none */
    double saturated_tile_share, overrange_tile_share, floor_tile_share; /* of the tiles; NaN: unknown */
    /* CPU: sums over the rounds, and of the round with the fewest; UINT64_MAX, or 0 threads: unknown. */
    uint64_t retaken_samples, disturbed_samples;
    uint64_t huge_bytes;
    uint64_t threads_wanted, threads_obtained;
};

/* What is known of a device's timer, in nanoseconds. */
struct calibration {
    double tick;  /* smallest difference of two times that was seen */
    double empty; /* median time between two events with nothing in between */
};

#endif
