/* SPDX-License-Identifier: Apache-2.0 */
/* words.c - the words of the JSON document, which reports and options use too. */
#include <config.h>

#include "model/words.h"
#include "base/stats.h"

#include <stddef.h>

const char *const cache_words[] = {
    [CACHE_COLD] = "cold", [CACHE_PARTLY_COLD] = "partly cold", [CACHE_HOT] = "hot", NULL};
const char *const picture_words[] = {
    [PICTURE_SHARE] = "share",     [PICTURE_TIME] = "time",       [PICTURE_RATIO] = "ratio",
    [PICTURE_HEAT] = "heat",       [PICTURE_SAMPLES] = "samples", [PICTURE_MODEL] = "model",
    [PICTURE_QUALITY] = "quality", [PICTURE_FLEET] = "fleet",     NULL};
const char *const best_words[] = {[BEST_NONE] = "none", [BEST_SNR] = "snr", [BEST_BYTES] = "bytes", NULL};
const char *const verification_words[] = {
    [NOT_VERIFIED] = "not verified", [VERIFIED] = "verified", [WRONG] = "WRONG", NULL};
const char *const launch_words[] = {[LAUNCH_GRAPH] = "graph",
                                    [LAUNCH_STREAM] = "stream",
                                    [LAUNCH_ISOLATED] = "isolated",
                                    [LAUNCH_PROFILE] = "profile",
                                    NULL};
const char *const cache_check_words[] = {[CACHE_CHECK_NONE] = "none",
                                         [CACHE_CHECK_PASSED] = "passed",
                                         [CACHE_CHECK_UNDECIDED] = "undecided",
                                         [CACHE_CHECK_FAILED] = "failed",
                                         NULL};
const char *const basis_words[] = {
    [STATS_BASIS_NONE] = "none", [STATS_BASIS_SAMPLES] = "samples", [STATS_BASIS_ROUNDS] = "rounds", NULL};

const char *const doubt_words[] = {
    "implausible", "not cold",         "partly cold", "not converged", "throttled", "not hot",     "disturbed",
    "busy",        "short of threads", "imprecise",   "out of time",   "injected",  "other state", NULL};
_Static_assert(sizeof doubt_words / sizeof doubt_words[0] == DOUBTS + 1, "a name for each doubt");

const char *const axis_words[] = {
    [COMPARE_NOTHING] = "",
    [COMPARE_KERNELS] = "kernel",
    [COMPARE_DTYPES] = "dtype",
    [COMPARE_QUANT_DTYPES] = "quant-dtype",
    [COMPARE_GRANULARITIES] = "granularity",
    [COMPARE_SCALES] = "scale",
    [COMPARE_DISTS] = "dist",
    [COMPARE_THREADS] = "threads",
    [COMPARE_SCALE_FORMATS] = "scale-format",
    [COMPARE_SCALE_ROUNDINGS] = "scale-rounding",
    [COMPARE_SCALE_LAYOUTS] = "scale-layout",
    [COMPARE_TENSOR_SCALES] = "tensor-scale",
    [COMPARE_PACKINGS] = "packing",
    [COMPARE_OPERATIONS] = "op",
    [COMPARE_INTERMEDIATES] = "intermediate",
    [COMPARE_GELUS] = "gelu",
    [COMPARE_GATES] = "gate",
    [COMPARE_WEIGHTS] = "weights",
    [COMPARE_PAIRINGS] = "pairing",
    [COMPARE_PAGE_LAYOUTS] = "page-layout",
    [COMPARE_BASELINE] = "baseline",
    NULL,
};
const char *const verdict_words[] = {[VERDICT_FASTER] = "FASTER",
                                     [VERDICT_SLOWER] = "SLOWER",
                                     [VERDICT_SAME] = "SAME",
                                     [VERDICT_INCONCLUSIVE] = "INCONCLUSIVE",
                                     NULL};
const char *const expert_load_words[] = {"even", "uneven", "sparse", NULL};

const char *const dist_words[] = {
    [INPUT_NORMAL] = "normal", [INPUT_UNIFORM] = "uniform",     [INPUT_OUTLIERS] = "outliers",
    [INPUT_ZEROS] = "zeros",   [INPUT_LOGNORMAL] = "lognormal", NULL,
};
const char *const regime_words[] = {[REGIME_SUSTAINED] = "sustained", [REGIME_BURST] = "burst", NULL};
const char *const state_words[] = {
    [STATE_ONE_STREAM] = "one-stream", [STATE_SEVERAL_STREAMS] = "several-streams", NULL};
