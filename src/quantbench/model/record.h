/* SPDX-License-Identifier: Apache-2.0 */
/* record.h - everything that a report says about a run. A run fills it, or a file that a run has written; whoever
 * writes a report reads nothing else, so both give the same report. */
#ifndef RECORD_H
#define RECORD_H

#include "model/figures.h"
#include "model/judgement.h"
#include "model/settings.h"
#include "model/sizes.h"

/* Room for 64 bits in hexadecimal digits. */
#define RECORD_DIGEST_SIZE 17

/* A tensor of those that --input and --tensor chose from several. */
struct record_tensor {
    char *file;
    char *name;  /* NULL: the file has no names */
    char *title; /* that tells it from the others */
    char *type;  /* as safetensors spell it */
    char *shape;
    char *kept; /* why it is kept as it is; NULL: it is quantized */
    uint64_t bytes;
    char digest[RECORD_DIGEST_SIZE]; /* in hexadecimal digits; "": unknown */
    size_t same_as;                  /* index of an earlier one that has the same bytes; RECORD_NONE */
};
#define RECORD_NONE SIZE_MAX

/* One of several runs that a record was merged from. */
struct record_source {
    char *label; /* that tells it from the others: the host, and the file if that has several */
    char *host_name;
    char *system;
    char *date;
    char *version; /* of the program */
};

/* How often a case of a list can be launched. */
#define RECORD_MAX_USES UINT64_C(1000000000000)

/* One case. What was run is known from the beginning, what was found when it has run. */
struct record_case {
    struct qb_problem problem;
    const struct record_tensor *tensor;  /* one of the record's; NULL: they have one input, or generated data */
    char *name;                          /* of a list of cases; NULL: none */
    uint64_t uses;                       /* how often it is launched, as a list of cases says; 0: there is no list */
    uint64_t line;                       /* of that list: cases of one line differ in what the command line sweeps */
    enum input_dist dist;                /* of generated data; none of the record's counts with an input */
    const struct qb_device_info *device; /* one of the record's */
    const struct record_source *source;  /* the same; NULL: the record is of one run */
    char *kernel;
    char *plugin;     /* the file that the kernel is from; NULL: it is the library's */
    char *arithmetic; /* what the kernel promises to compute, for people; NULL: the writer of the record did not say */
    unsigned threads; /* 0: the device is not a CPU */
    enum launch_mode launch;
    unsigned streams;
    struct finding found;
};

/* A case and its baseline. Times are medians, in nanoseconds per launch: of rounds in which both were measured, or of
 * processes that measured one of them. */
struct record_pair {
    size_t result;          /* index of the case */
    size_t baseline_result; /* index of the other; RECORD_IN_FILE: it is in the file of the baseline */
    char *name;             /* the value of what is compared */
    char *baseline_name;
    double *times;
    size_t count; /* 0: there is nothing to judge, because one of the two has no time */
    double *baseline_times;
    size_t baseline_count;
    struct judgement judgement;
};
#define RECORD_IN_FILE SIZE_MAX

/* What a value of the axis makes of all the cases that have it: the geometric mean of their ratios. It has no verdict.
 */
struct record_mean {
    char *name;
    size_t pairs;
    struct judgement judgement;
};

struct record_comparison {
    enum compare_axis axis; /* COMPARE_NOTHING: there is no comparison, and the rest means nothing */
    double margin;
    bool slower_fails;   /* something that is SLOWER is a regression */
    char *baseline_file; /* these three are NULL but for COMPARE_BASELINE */
    char *baseline_date;
    char *baseline_version;
    struct record_pair *pairs;
    size_t count;
    struct record_mean *means;
    size_t mean_count;
};
/* Half the interval of a median as a share of it, beyond which the median is in doubt. */
#define RECORD_IMPRECISE 0.10

/* What is known of a device, or of the host, and changes rarely. */
struct record_facts {
    struct qb_device_fact *list;
    size_t count;
};

/* A run. All texts and arrays are the record's own. Real numbers have the 12 significant digits that the JSON document
 * has, so that a report is the same before and after they were in a file. */
struct record {
    char *version;         /* of the program */
    char *library_version; /* of the library that it used */
    char *date;            /* when the run ended, in UTC: YYYY-MM-DDThh:mm:ssZ */
    char **argv;
    size_t argc;
    char *host_name;
    char *system; /* operating system, release, architecture */
    uint64_t cpus;
    char *boot;                     /* the kernel's id of this boot, which tells hosts apart; NULL: unknown */
    char *together;                 /* "all" or "node-turns", as the launcher let devices work; NULL: it did not say */
    int64_t rank;                   /* of the process among those that a launcher has started; -1: there was none */
    struct record_facts host_facts; /* the CPU's, which is a device, are these */
    uint64_t seed;
    enum expert_load expert_load;
    char *input;                     /* the file; NULL: generated data */
    char *tensor;                    /* its name in the file; NULL: it has none */
    char digest[RECORD_DIGEST_SIZE]; /* of the tensor, in hexadecimal digits; "": the data are generated, or it is
                                        unknown */
    uint64_t num_warmup_iters;
    uint64_t num_iters;      /* 0: as many as the precision took */
    uint64_t planned_rounds; /* that the samples were to be spread over */
    double precision;        /* half the interval's width as a share of the median; 0: none was asked for */
    double timeout;          /* seconds that a case could take for it */
    double max_time;         /* seconds that a case could take otherwise; 0: no limit, or unknown */
    enum regime regime;
    enum process_state state;
    uint64_t runs; /* each sample is the median of one of this many processes; 0: samples are of one process */
    bool dependent_launch;
    bool interrupted;
    bool rated_only; /* --quality: codes were rated, and nothing was timed or verified */
    enum best_rule best;
    double best_snr;        /* dB that BEST_BYTES keeps */
    uint64_t served_tokens; /* those of --serve; 0: unknown */
    bool strict;            /* doubts and missing verdicts are errors */
    bool forced;            /* a baseline that was saved in spite of doubts */
    enum exit_code code;    /* of the run, as far as it was known when the reports were written */
    struct qb_device_info *devices;
    struct calibration *timers; /* one for each device; zero: unknown */
    struct record_facts *facts; /* of each device */
    size_t device_count;
    struct record_tensor *tensors; /* the quantized ones, and then those that are kept as they are */
    size_t tensor_count;           /* 0: cases have one input, or generated data */

    struct record_source *sources; /* what is said of a run is said of the first, but for the host and the date */
    size_t source_count;           /* 0: it is of one run */

    struct record_case *cases;
    size_t planned;   /* cases of the run */
    size_t described; /* cases of which it is known what they are: all, or those in the file */
    size_t count;     /* cases of which it is known what came out, the first ones */
    struct record_comparison comparison;
};

/* Read RECORD from the JSON document that FILE holds. A file that cannot be read is EXIT_CANNOT_RUN, one that holds
 * something else is EXIT_USAGE; the error has been printed. Free RECORD either way. */
enum exit_code record_from_json(const char *file, struct record *record);
/* The same from LENGTH bytes at TEXT, which messages call LABEL. */
enum exit_code record_from_json_text(const char *text, size_t length, const char *label, struct record *record);

/* A copy of COUNT numbers with the digits that a record keeps; NULL if memory is short. The same for a judgement in its
 * place. */
double *record_kept_digits(const double *numbers, size_t count);
void record_keep_judgement(struct judgement *judgement);

/* In how many rounds something slowed the device down. */
size_t record_throttled_rounds(const struct record_case *c);

/* Set the figures of C that follow from the others. */
void record_derive(struct record_case *c);

/* The doubts about a case, as a set of enum doubt. */
unsigned record_doubts(const struct record_case *c);

/* True if TIME is less than BEST_TIME, that no launch can beat, by more than measuring errs: it cannot be true. 0
 * stands for no BEST_TIME. */
bool record_is_implausible(double time, double best_time);

/* True if the data of case A_CASE of A are known to be those of B_CASE of B. */
bool record_same_data(const struct record *a, const struct record_case *a_case, const struct record *b,
                      const struct record_case *b_case);

/* The pair that judges C, which is one of record->cases; NULL: C is compared with nothing. */
const struct record_pair *record_pair_of(const struct record *record, const struct record_case *c);

void record_free(struct record *record);
void record_free_argv(struct record *record);

/* The version of the JSON document. Members are only ever added under one version. */
#define RECORD_SCHEMA         "quantbench-result"
#define RECORD_SCHEMA_VERSION 2

#endif
