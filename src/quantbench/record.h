/* SPDX-License-Identifier: Apache-2.0 */
/* record.h - everything that a report says about a run. A run fills it, or a file that a run has written; whoever
 * writes a report reads nothing else, so both give the same report. */
#ifndef RECORD_H
#define RECORD_H

#include "bench.h"

/* How the launches of a sample were made. LAUNCH_PROFILE: there was one, for a profiler. */
enum launch { LAUNCH_GRAPH, LAUNCH_STREAM, LAUNCH_PROFILE };

/* One case. What was run is known from the beginning, what came out when it has run. Times are in nanoseconds per
 * launch. */
struct record_case {
    struct qb_problem problem;
    enum input_dist dist;                /* of generated data; none of the record's counts with an input */
    const struct qb_device_info *device; /* one of the record's */
    char *kernel;
    unsigned threads; /* 0: the device is no CPU */

    enum exit_code code; /* EXIT_OK, or why there is no time */
    struct qb_bytes bytes;
    unsigned sets;          /* buffer sets that rotate */
    uint64_t rotated_bytes; /* their size together; INT64_MAX: that or more */
    enum cache_state cache;
    enum verification verification;
    uint64_t wrong_codes;
    uint64_t wrong_scales;
    char *first_difference; /* NULL: there is none */
    bool has_quality;       /* of the codes: they are VERIFIED, and the writer of the record computed it */
    struct quality quality;
    enum launch launch;
    bool profiled; /* a profiler was told */
    uint64_t launches_per_sample;
    double *samples;
    size_t sample_count; /* 0: there is no time, and TIME and bytes_per_second mean nothing */
    struct stats time;
    double bytes_per_second; /* by the byte model and the median; 0: unknown */
    double copy_time;        /* median time of a copy of as many bytes; 0: not measured */
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
    uint64_t seed;
    char *input;  /* the file; NULL: generated data */
    char *tensor; /* its name in the file; NULL: it has none */
    uint64_t num_warmup_iters;
    uint64_t num_iters;
    bool dependent_launch;
    bool interrupted;
    struct qb_device_info *devices;
    size_t device_count;

    struct record_case *cases;
    size_t planned;   /* cases of the run */
    size_t described; /* cases of which it is known what they are: all, or those in the file */
    size_t count;     /* cases that have run, the first ones */
};

/* Set RECORD up for a run of PLAN, with no case run so far. TENSOR is what --input read, or NULL. Returns an exit code;
 * errors have been printed. Free RECORD either way. */
enum exit_code record_begin(const struct args *args, const struct machine *machine, const struct tensor_file *tensor,
                            const struct plan *plan, struct record *record);

/* Add what came out of the next case. */
enum exit_code record_add(struct record *record, const struct args *args, const struct result *result);

/* The run has ended, by a signal if INTERRUPTED. */
enum exit_code record_end(struct record *record, bool interrupted);

/* Read RECORD from the JSON document that FILE holds. A file that cannot be read is EXIT_CANNOT_RUN, one that holds
 * something else is EXIT_USAGE; the error has been printed. Free RECORD either way. */
enum exit_code record_from_json(const char *file, struct record *record);

/* COUNT elements as a share of the finite ones of C, which has a quality; NAN if there are none. */
double record_share(const struct record_case *c, uint64_t count);

void record_free(struct record *record);

/* The words of the JSON document for these; NULL behind the last. */
extern const char *const record_cache_names[];
extern const char *const record_verification_names[];
extern const char *const record_launch_names[];
extern const char *const record_scaling_names[];

/* The version of the JSON document. Members are only ever added under one version. */
#define RECORD_SCHEMA         "quantbench-result"
#define RECORD_SCHEMA_VERSION 1

/* Room for a real number in 12 significant digits. */
#define RECORD_REAL_SIZE 32
/* Put NUMBER into TEXT with these digits. Returns TEXT. */
const char *record_real_text(double number, char text[RECORD_REAL_SIZE]);

#endif
