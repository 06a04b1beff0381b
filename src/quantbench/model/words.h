/* SPDX-License-Identifier: Apache-2.0 */
/* words.h - what a case can be and what can be said of it, as enumerations, and the words of the JSON document for
 * them.
 */
#ifndef WORDS_H
#define WORDS_H

/* What launches find in the last-level cache. CACHE_PARTLY_COLD is what became of CACHE_COLD: that many sets of a tiny
 * tensor would be needed that some data may be found there. */
enum cache_state { CACHE_COLD, CACHE_PARTLY_COLD, CACHE_HOT };

/* What is timed: three quantities that are never mixed. */
enum launch_mode {
    LAUNCH_GRAPH,    /* time per launch of launches that follow each other in a graph: the host is out of the way */
    LAUNCH_STREAM,   /* the same of launches that the host makes one by one */
    LAUNCH_ISOLATED, /* time of one launch on an idle queue */
    LAUNCH_PROFILE,  /* one launch, for a profiler */
};

/* How rows are shared out to experts. */
enum expert_load {
    EXPERT_LOAD_EVEN,   /* as many to each */
    EXPERT_LOAD_UNEVEN, /* to some much more than to others: in inverse proportion to their rank */
    EXPERT_LOAD_SPARSE, /* as many to each of a fourth of them, none to the others */
    EXPERT_LOADS
};

/* How generated data are distributed. All but zeros are random; see NOTES in quantbench(1). */
enum input_dist {
    INPUT_NORMAL = 0, /* mean 0, standard deviation 1 */
    INPUT_UNIFORM,    /* from -1 to 1 */
    INPUT_OUTLIERS,   /* normal, but INPUT_OUTLIER_FACTOR times as large in a few columns */
    INPUT_ZEROS,      /* 0 */
    INPUT_LOGNORMAL,  /* e^z, z normal with mean 0 and standard deviation 1 */
};
#define INPUT_DISTS 5

/* How hard the device works. */
enum regime {
    REGIME_SUSTAINED, /* one block after the other, as in a server under load */
    REGIME_BURST,     /* a pause before each sample: the clocks are as high as they get */
};

/* What a process has launched before: on CUDA devices a launch in a graph takes longer once kernels have been launched
 * one by one into a second stream. */
enum process_state {
    STATE_ONE_STREAM,
    STATE_SEVERAL_STREAMS,
};

/* Pictures of a record, and that of a fleet. */
enum picture_kind {
    PICTURE_SHARE,   /* the share of the ceiling against the size */
    PICTURE_TIME,    /* the time against the size, with the ceiling */
    PICTURE_RATIO,   /* ratios with their intervals, and the margin */
    PICTURE_HEAT,    /* ratios as a map of sizes */
    PICTURE_SAMPLES, /* samples in their order, with the clock */
    PICTURE_MODEL,   /* the SNR of each tensor against the bits of an element */
    PICTURE_QUALITY, /* the SNR against the granularity */
    PICTURE_FLEET,   /* of many devices: the ratio of each to its peers */
    PICTURE_KINDS    /* the one that suits the record best */
};

/* The rule by which the best way to quantize a tensor is chosen. */
enum best_rule {
    BEST_NONE,
    BEST_SNR,  /* the largest SNR */
    BEST_BYTES /* the fewest bytes that keep an SNR */
};

enum verification { NOT_VERIFIED, VERIFIED, WRONG };

/* The check that launches find the cache cold: the same launches were timed with data that are there. */
enum cache_check {
    CACHE_CHECK_NONE,   /* nothing to check: a launch needs more than the cache holds, or is to find its data there */
    CACHE_CHECK_PASSED, /* with data in the cache it is faster */
    CACHE_CHECK_UNDECIDED, /* it is not, but it is not memory that limits it */
    CACHE_CHECK_FAILED,    /* it is not, though it is as fast as memory allows: the data were in the cache all along */
};

/* What is compared: the values of an option, in the order of the words of --compare, or a run with an earlier one. */
enum compare_axis {
    COMPARE_NOTHING,
    COMPARE_KERNELS,
    COMPARE_DTYPES,
    COMPARE_QUANT_DTYPES,
    COMPARE_GRANULARITIES,
    COMPARE_SCALES,
    COMPARE_DISTS,
    COMPARE_THREADS,
    COMPARE_SCALE_FORMATS,
    COMPARE_SCALE_ROUNDINGS,
    COMPARE_SCALE_LAYOUTS,
    COMPARE_TENSOR_SCALES,
    COMPARE_PACKINGS,
    COMPARE_OPERATIONS,
    COMPARE_INTERMEDIATES,
    COMPARE_GELUS,
    COMPARE_GATES,
    COMPARE_WEIGHTS,
    COMPARE_PAIRINGS,
    COMPARE_PAGE_LAYOUTS,
    COMPARE_BASELINE,
};

/* What is said of a thing that is compared with a baseline. SAME: the difference is certainly smaller than the margin.
 * INCONCLUSIVE: nothing is certain. */
enum compare_verdict { VERDICT_FASTER, VERDICT_SLOWER, VERDICT_SAME, VERDICT_INCONCLUSIVE };

/* Three ways to move bytes and do nothing else. */
enum ceiling_kind {
    CEILING_PLAIN,     /* read and write in the case's ratio, plain stores */
    CEILING_STREAMING, /* the same with stores that pass by the cache */
    CEILING_COPY,      /* the device's own copy of as many bytes, half read and half written */
};
#define CEILING_KINDS 3

/* What was asked for, and is so or not. */
enum truth { TRUTH_UNKNOWN, TRUTH_NO, TRUTH_YES };

/* Where the scales of a calibrated tensor are from. The first are methods that find one for all data; the last two are
 * computed from each dump, or each row. */
enum calibration_source {
    CALIBRATION_AMAX,
    CALIBRATION_PERCENTILE,
    CALIBRATION_MSE,
    CALIBRATION_GIVEN,
    CALIBRATION_DYNAMIC,
    CALIBRATION_DYNAMIC_TOKEN,
};

/* How scales are named in a checkpoint. */
enum scale_naming { NAMING_COMPRESSED_TENSORS, NAMING_MODELOPT };

/* What makes a result doubtful, as a set of bits. */
enum doubt {
    DOUBT_IMPLAUSIBLE = 1 << 0,   /* faster than memory allows */
    DOUBT_CACHE = 1 << 1,         /* the check says that cold launches were not cold */
    DOUBT_PARTLY_COLD = 1 << 2,   /* too few sets rotate */
    DOUBT_NOT_CONVERGED = 1 << 3, /* the precision was not reached in time */
    DOUBT_THROTTLED = 1 << 4,     /* something slowed the device down in a round */
    DOUBT_NOT_HOT = 1 << 5,       /* the data do not fit in the cache that they are to be found in */
    DOUBT_DISTURBED = 1 << 6,     /* the median may be one of the disturbed samples */
    DOUBT_FLOOR = 1 << 7,         /* an empty launch took so long that it measures other load of the CPUs */
    DOUBT_THREADS = 1 << 8,       /* launches ran on fewer threads than they were shared out to */
    DOUBT_IMPRECISE = 1 << 9,     /* the interval of the median is so wide that the median says little */
    DOUBT_OUT_OF_TIME = 1 << 10,  /* --max-time ended it before it had all its samples */
    DOUBT_INJECTED = 1 << 11,     /* a fault was asked for */
    DOUBT_STATE = 1 << 12,        /* an empty launch took longer, or less, at the end than at the start */
};
#define DOUBTS 13

/* The words; NULL after the last. */
extern const char *const cache_words[];
extern const char *const launch_words[];
extern const char *const dist_words[];
extern const char *const expert_load_words[];
extern const char *const regime_words[];
extern const char *const state_words[];
extern const char *const verification_words[];
extern const char *const best_words[];
extern const char *const picture_words[];
extern const char *const cache_check_words[];
extern const char *const axis_words[]; /* "" for COMPARE_NOTHING */
extern const char *const verdict_words[];
extern const char *const basis_words[];
extern const char *const doubt_words[]; /* by the number of the bit */

#endif
