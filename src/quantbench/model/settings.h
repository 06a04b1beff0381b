/* SPDX-License-Identifier: Apache-2.0 */
/* settings.h - what the user asks for, in the parts that the rooms below need. */
#ifndef SETTINGS_H
#define SETTINGS_H

#include "base/message.h"
#include "model/words.h"

/* The values of an option that takes a list separated by commas. */
struct numbers {
    size_t count;
    uint64_t *values;
};
struct names {
    size_t count;
    char **values;
};

/* One value of --granularity. */
struct granularity {
    enum qb_granularity kind;
    uint64_t group;
    uint64_t block_rows;
    uint64_t block_cols;
};
struct granularities {
    size_t count;
    struct granularity *values;
};

/* One --output. */
struct report_format;
struct output {
    const struct report_format *format;
    const char *file;
};
struct outputs {
    size_t count;
    struct output *values;
};

/* One --plot. */
struct plot_form;
struct plot {
    enum picture_kind kind;       /* PICTURE_KINDS: the one that suits the record */
    const struct plot_form *form; /* NULL: in the terminal */
    const char *file;             /* NULL: in the terminal */
};
struct plots {
    size_t count;
    struct plot *values;
};

/* What the user asked for instead of, or before, a measurement. */
enum action {
    ACTION_MEASURE,
    ACTION_DRY_RUN,
    ACTION_AGAINST,
    ACTION_QUALITY,
    ACTION_CALIBRATE,
    ACTION_SOAK,
    ACTION_LIST_TENSORS,
    ACTION_REPORT,
    ACTION_FLEET,
    ACTION_LIST_DEVICES,
    ACTION_LIST_KERNELS,
    ACTION_LIST_MODELS,
    ACTION_DOCTOR,
    ACTION_HELP,
    ACTION_VERSION
};

/* Which kernels run in a process of their own. */
enum isolation { ISOLATE_PLUGINS, ISOLATE_ALL, ISOLATE_NONE };

/* What the CPU's threads are bound to. */
enum bind { BIND_CORES, BIND_NONE };

/* Queues that take the same launches at the same time; most often one. */
#define SETTINGS_MAX_STREAMS 64

/* The cases: every combination of these. Lists are never empty unless said. */
struct sweep {
    struct numbers operations;    /* enum qb_operation */
    struct numbers intermediates; /* enum qb_intermediate; none means the default, as in the next two */
    struct numbers gelus;         /* enum qb_gelu */
    struct numbers gates;         /* enum qb_gate */
    struct numbers weights;       /* enum qb_weights */
    bool keep_values;
    float gate_limit; /* 0: none */
    float alpha;      /* 0: 1 */
    bool chose_up_offset;
    float up_offset;
    bool chose_epsilon;
    float epsilon;
    struct numbers pairings; /* enum qb_pairing; none means the default */
    bool chose_head_size;
    uint64_t head_size;
    uint64_t rotary; /* 0: all of a head */
    bool chose_positions;
    uint64_t positions;
    bool chose_page_size;
    struct numbers page_sizes;
    uint64_t pages;              /* 0: as the tokens need */
    struct numbers page_layouts; /* enum qb_page_layout; none means the default */
    uint64_t experts;            /* 0: none */
    struct numbers expert_rows;  /* enum qb_expert_rows; none means the default */
    uint64_t expert_tokens;      /* 0: as many as there can be; of masked rows half of them */
    uint64_t expert_load;        /* enum expert_load */
    struct numbers num_tokens;
    struct numbers hidden_sizes;
    struct numbers dtypes; /* enum qb_format */
    bool chose_quant_dtype;
    struct numbers quant_dtypes; /* as cases/quantization.h says */
    bool chose_granularity;
    struct granularities granularities;
    bool asymmetric;
    bool chose_zero_points; /* which is asymmetric too */
    unsigned zero_points;   /* after the first of enum qb_zero_points that are some */
    /* What is as a recipe says, or plain, if none was chosen. */
    struct numbers packings;        /* enum qb_packing */
    struct numbers scale_formats;   /* places in --scale-format */
    struct numbers scale_roundings; /* enum qb_scale_rounding */
    struct numbers scale_layouts;   /* enum qb_scale_layout */
    struct numbers tensor_scales;   /* enum qb_tensor_scale */
    bool chose_scale;
    struct numbers scalings; /* enum qb_scaling */
    float scale_ub;          /* 0: none */
    struct numbers dists;    /* enum input_dist; none of them counts with input_files */
    uint64_t seed;
    struct names input_files;   /* and folders; none: generated data */
    const char *tensor;         /* patterns that commas separate; NULL: the only one */
    const char *model;          /* names, which set hidden_sizes; NULL: none */
    const char *serve;          /* phases of a served model, from which a list of cases is made; NULL: none */
    const char *cases_file;     /* a list of cases, for which the others are the defaults; NULL: none */
    const char *against;        /* NULL: measure */
    const char *against_tensor; /* NULL: of the same name */
    struct names kernels;       /* shell patterns; none means the best kernel */
    bool by_isa;                /* kernels are instead the first words of names: the best kernel of each */
    struct numbers threads;     /* none: the default of the CPU */
    struct numbers streams;
    struct numbers caches;   /* enum cache_state */
    struct numbers launches; /* enum launch_mode; none: graphs where there are any */
};

/* A case of --cases or --serve. */
struct listed_case {
    struct sweep sweep; /* what the command line sweeps is in it too */
    char *name;         /* that several may share; NULL: none */
    uint64_t count;     /* how often it is launched */
    size_t line;        /* of the file, or of the list of --serve, from 1 */
};

struct case_list {
    struct listed_case *values;
    size_t count;
    uint64_t tokens; /* that --serve serves; 0: unknown */
};

/* Where they run. */
struct place {
    struct names devices;
    bool chose_bind;
    enum bind bind; /* BIND_CORES if none was chosen */
    bool chose_huge_pages;
    enum qb_huge_pages huge_pages; /* what was chosen */
};

/* The kernels of others, and what they may do. */
struct foreign {
    struct names plugins; /* files */
    enum isolation isolate;
    uint64_t kernel_timeout; /* seconds */
};

/* How long a soak is: in seconds or in rounds; the other is 0. */
struct soak_length {
    double seconds;
    uint64_t rounds;
};

/* How they are measured. */
struct method {
    struct soak_length soak; /* neither: they are timed */
    uint64_t soak_first;     /* round */
    uint64_t num_warmup_iters;
    uint64_t num_iters; /* 0: as many as PRECISION takes */
    uint64_t rounds;    /* that the samples are spread over */
    double precision;   /* half the width of the interval as a share of the median; 0: NUM_ITERS samples */
    double timeout;     /* seconds for a case to reach it */
    bool chose_max_time;
    double max_time; /* seconds for the samples of a case; 0: there is no limit */
    enum regime regime;
    enum process_state state;
    bool profile;
    double start_at;     /* seconds since 1970; 0: at once */
    struct numbers gate; /* descriptors, read and written; none: rounds begin at once */
    bool dependent_launch;
    bool verify;
};

/* One value of --calibrate. */
struct calibration_method {
    enum calibration_source source;
    uint64_t percent; /* of CALIBRATION_PERCENTILE, in units of 10^-5 */
};
struct calibration_methods {
    size_t count;
    struct calibration_method *values;
};

/* Static scales from dumps of activations. */
struct calibrating {
    struct calibration_methods methods; /* none: there is nothing to calibrate */
    const char *dumps_of;               /* NULL: names tell which dumps belong together */
    const char *rate_scales;            /* NULL: no file with scales */
    const char *save_scales;            /* NULL: do not */
    enum scale_naming naming;
};

/* What is compared, and what is an error. */
struct comparing {
    enum compare_axis compare;     /* as --compare, SPLIT, TUNE or SELF_TEST want it */
    struct names compared_kernels; /* while parsing: those of --compare */
    bool split;                    /* given scales, computed ones, and the scales alone */
    bool tune;                     /* with all kernels that can do it */
    bool fused;                    /* the best kernel that is one launch with the best that is several */
    bool self_test;                /* with itself */
    double margin;                 /* a difference that does not count: 0.01 is 1 % */
    uint64_t runs;                 /* processes that measure; 0: this one does */
    const char *baseline_file;     /* NULL: none */
    const char *save_baseline;     /* NULL: do not */
    bool force;
    bool strict;
};

/* What becomes of the results. */
struct reporting {
    const struct report_format *format; /* of standard output */
    struct outputs outputs;
    struct plots plots;
    enum best_rule best;       /* for each tensor of several */
    double best_snr;           /* dB that BEST_BYTES keeps */
    struct names report_files; /* of records, which become one; none: measure */
    struct names fleet;        /* files and folders of records; none: measure */
    const char *expect;        /* a number of devices, or a file of hosts; NULL: whoever is there */
    double fleet_margin;       /* 0: as the devices differ */
    const char *journal_file;  /* NULL: none is begun */
    const char *resume_file;   /* NULL: none is continued */
    bool quiet;
    bool verbose;
};

/* The command line as it was given. */
struct command {
    int argc;
    char **argv;
    struct names measuring; /* those of the options that another process needs to measure the same */
};

struct settings {
    enum action action;
    struct sweep sweep;
    struct place place;
    struct foreign foreign;
    struct method method;
    struct comparing comparing;
    struct calibrating calibrating;
    struct reporting reporting;
    struct command command;
};

#endif
