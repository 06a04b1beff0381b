/* SPDX-License-Identifier: Apache-2.0 */
/* args.c - the one table of options, and its way into struct args. --help is printed from the table, and the tests hold
 * the manual against --help. */
#include <config.h>

#include "args.h"
#include "compare.h"
#include "input.h"
#include "models.h"
#include "plan.h"
#include "report.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_NUM_ITERS 100
#define DEFAULT_TIMEOUT   15 /* seconds */

enum option_id {
    OPT_HEADING = 0, /* a row that is no option but a heading of --help */
    OPT_QUIET = 'q',
    OPT_VERBOSE = 'v',
    OPT_HELP = 'h',
    OPT_VERSION = 'V',
    OPT_NUM_TOKENS = 256, /* from here on: no short form */
    OPT_HIDDEN_SIZE,
    OPT_MODEL,
    OPT_DTYPE,
    OPT_QUANT_DTYPE,
    OPT_GRANULARITY,
    OPT_SCALE,
    OPT_STATIC_SCALE,
    OPT_SCALE_UB,
    OPT_DIST,
    OPT_SEED,
    OPT_INPUT,
    OPT_TENSOR,
    OPT_DEVICE,
    OPT_KERNEL,
    OPT_ISA,
    OPT_PLUGIN,
    OPT_ISOLATE,
    OPT_NO_ISOLATE,
    OPT_KERNEL_TIMEOUT,
    OPT_THREADS,
    OPT_LIST_DEVICES,
    OPT_LIST_KERNELS,
    OPT_LIST_MODELS,
    OPT_DOCTOR,
    OPT_BIND,
    OPT_HUGEPAGES,
    OPT_STREAMS,
    OPT_CACHE,
    OPT_LAUNCH,
    OPT_NUM_WARMUP_ITERS,
    OPT_NUM_ITERS,
    OPT_ROUNDS,
    OPT_PRECISION,
    OPT_TIMEOUT,
    OPT_REGIME,
    OPT_PROFILE,
    OPT_DEPENDENT_LAUNCH,
    OPT_NO_VERIFY,
    OPT_DRY_RUN,
    OPT_COMPARE,
    OPT_SPLIT,
    OPT_TUNE,
    OPT_SELF_TEST,
    OPT_RUNS,
    OPT_SAVE_BASELINE,
    OPT_BASELINE,
    OPT_MARGIN,
    OPT_STRICT,
    OPT_FORCE,
    OPT_FORMAT,
    OPT_OUTPUT,
    OPT_JUNIT,
    OPT_JOURNAL,
    OPT_RESUME,
    OPT_REPORT,
};

static const struct option_row {
    enum option_id id;
    const char *name;
    const char *value; /* NULL: the option takes none. "..." at the end: a list separated by commas */
    const char *help;  /* lines that fit beside a column of 30 in 80 */
} option_table[] = {
    {OPT_HEADING, "What to quantize (lists, \"...\", sweep: every combination is run)", NULL, NULL},
    {OPT_NUM_TOKENS, "num-tokens", "N...", "rows of the tensor [4096]; a range: 1:512:x2,\n128:1024:+128"},
    {OPT_HIDDEN_SIZE, "hidden-size", "N...", "columns of the tensor [8192]; also ranges"},
    {OPT_MODEL, "model", "NAME...", "the hidden sizes of these models instead,\nof which --list-models is a list"},
    {OPT_DTYPE, "dtype", "TYPE...", "input: half, bfloat16, float\n(or fp16, bf16, fp32) [half]"},
    {OPT_QUANT_DTYPE, "quant-dtype", "TYPE...", "output: int8, fp8 (E4M3), e5m2 [int8]"},
    {OPT_GRANULARITY, "granularity", "WHAT...",
     "what shares a scale: tensor, token, channel,\ngroup:G, block:RxC [tensor]"},
    {OPT_SCALE, "scale", "HOW...",
     "dynamic: compute the scales from the data;\nstatic: they are given; amax: compute the\nscales and nothing else "
     "[dynamic]"},
    {OPT_STATIC_SCALE, "static-scale", NULL, "the same as --scale=static"},
    {OPT_SCALE_UB, "scale-ub", "X", "upper bound of the largest magnitude that\na scale is computed from [none]"},
    {OPT_DIST, "dist", "HOW...", "the data: normal, uniform, outliers, zeros,\nlognormal [normal]"},
    {OPT_SEED, "seed", "N", "seed of the data [0]"},
    {OPT_INPUT, "input", "FILE", "quantize a tensor of FILE, .npy or safetensors"},
    {OPT_TENSOR, "tensor", "NAME", "which tensor of FILE, if it holds several"},
    {OPT_HEADING, "Where to run it", NULL, NULL},
    {OPT_DEVICE, "device", "NAME...", "auto, cpu, cuda, cuda:N; auto is the first\nCUDA device, else the CPU [auto]"},
    {OPT_KERNEL, "kernel", "PATTERN...", "run these kernels instead of the best one;\na wildcard runs all that match"},
    {OPT_ISA, "isa", "NAME...",
     "the same as --kernel=cpu_NAME: generic, avx2,\navx512, neon; auto is the best that the CPU has"},
    {OPT_PLUGIN, "plugin", "FILE", "load kernels of others from the shared object\nFILE; may be given several times"},
    {OPT_ISOLATE, "isolate", NULL, "run every kernel in a process apart, not only\nthose of plug-ins"},
    {OPT_NO_ISOLATE, "no-isolate", NULL, "run all kernels in this process"},
    {OPT_KERNEL_TIMEOUT, "kernel-timeout", "N",
     "seconds after which a run of a kernel in a\nprocess of its own hangs [60]"},
    {OPT_THREADS, "threads", "N...", "threads of the CPU kernels\n[as many as CPUs may be used]"},
    {OPT_BIND, "bind", "WHERE", "cores: each CPU thread stays on one; none: Linux\nmoves them [cores]"},
    {OPT_HUGEPAGES, "hugepages", "KIND", "pages of the CPU's memory: off, thp, 2m [thp]"},
    {OPT_STREAMS, "streams", "N...", "tensors that are quantized at the same time,\neach on a stream of its own [1]"},
    {OPT_LIST_DEVICES, "list-devices", NULL, "list the devices, or why there are none"},
    {OPT_LIST_KERNELS, "list-kernels", NULL, "list the kernels and what each is for"},
    {OPT_LIST_MODELS, "list-models", NULL, "list the models of --model and their sizes"},
    {OPT_DOCTOR, "doctor", NULL, "say what on this machine spoils measurements,\nand how to mend it"},
    {OPT_HEADING, "How to measure", NULL, NULL},
    {OPT_CACHE, "cache", "STATE...", "cold: data come from memory; hot: from the\ncache; both [cold]"},
    {OPT_LAUNCH, "launch", "HOW...",
     "graph: launches follow each other in a graph;\nstream: the host launches one by one;\nisolated: one launch on an "
     "idle queue\n[graph; on the CPU: stream]"},
    {OPT_NUM_WARMUP_ITERS, "num-warmup-iters", "N", "samples that are run and not counted [5]"},
    {OPT_NUM_ITERS, "num-iters", "N",
     "samples that are timed [100]; each is a block\nof launches, and counts as their mean"},
    {OPT_ROUNDS, "rounds", "N",
     "spread the samples over so many rounds, each of\nwhich visits all cases in random order [10],\nor 20 if they are "
     "compared"},
    {OPT_PRECISION, "precision", "X",
     "instead of --num-iters: until half the 95 %\nconfidence interval is within X percent of\nthe median"},
    {OPT_TIMEOUT, "timeout", "X", "how many seconds a case may take for that [15]"},
    {OPT_REGIME, "regime", "HOW",
     "sustained: the device is kept busy; burst: it\nrests before each sample [sustained]"},
    {OPT_STRICT, "strict", NULL, "exit status 5 if a result is in doubt, or if\nthere is no verdict"},
    {OPT_PROFILE, "profile", NULL, "for nsys and ncu: profile and time exactly one\nlaunch; --num-iters is ignored"},
    {OPT_DEPENDENT_LAUNCH, "dependent-launch", NULL, "CUDA: let each kernel start while the one in\nfront of it ends"},
    {OPT_NO_VERIFY, "no-verify", NULL, "do not compare the codes with the reference"},
    {OPT_DRY_RUN, "dry-run", NULL,
     "run nothing, but list the cases, the memory\nthat they need, and roughly how long it takes"},
    {OPT_HEADING, "Comparing", NULL, NULL},
    {OPT_COMPARE, "compare", "WHAT...",
     "compare these kernels with the first, or the\nvalues of a swept option: granularity, dtype,\nquant-dtype, scale, "
     "dist, threads"},
    {OPT_SPLIT, "split", NULL, "what dynamic scales cost: compare static and\ndynamic scales, and the scales alone"},
    {OPT_TUNE, "tune", NULL, "compare all kernels that can do it with the\none that is chosen automatically"},
    {OPT_SELF_TEST, "self-test", NULL,
     "compare a kernel with itself 20 times: how often\nis it wrong, and what could be seen?"},
    {OPT_RUNS, "runs", "N", "measure in N fresh processes, the median of\neach being one sample"},
    {OPT_SAVE_BASELINE, "save-baseline", "FILE", "write the times of these runs, 10 or as --runs\nsays, as a baseline"},
    {OPT_BASELINE, "baseline", "FILE", "compare with the times that an earlier run\nhas saved in FILE"},
    {OPT_MARGIN, "margin", "PERCENT", "differences up to this do not count [1]"},
    {OPT_FORCE, "force", NULL,
     "compare with a baseline of another device,\ndriver or other data, and save one in doubt"},
    {OPT_HEADING, "Output", NULL, NULL},
    {OPT_FORMAT, "format", "FORMAT", "%s\nof standard output [text]"},
    {OPT_OUTPUT, "output", "[FORMAT:]FILE",
     "write FILE too, in the format of its suffix,\n%s,\nor in FORMAT; may be given several times"},
    {OPT_JUNIT, "junit", "FILE", "the same as --output=junit:FILE"},
    {OPT_JOURNAL, "journal", "FILE", "keep in FILE what is done while the run goes\non, for --resume"},
    {OPT_RESUME, "resume", "FILE", "go on with the run whose journal is FILE"},
    {OPT_REPORT, "report", "FILE", "measure nothing, but report what is in FILE,\nwhich --format=json has written"},
    {OPT_QUIET, "quiet", NULL, "results and errors only"},
    {OPT_VERBOSE, "verbose", NULL, "say more about what runs and why"},
    {OPT_HELP, "help", NULL, "print this and exit"},
    {OPT_VERSION, "version", NULL, "print the version and exit"},
};
#define OPTION_ROWS (sizeof option_table / sizeof option_table[0])

/* Processes of --save-baseline and --baseline. */
#define DEFAULT_RUNS 10

/* Room for the names of all formats, or for their suffixes. */
#define FORMATS_SIZE 128

static const char *format_names(char names[FORMATS_SIZE])
{
    int length = 0;

    for (size_t i = 0; i < report_format_count(); i++) {
        length += snprintf(names + length, FORMATS_SIZE - (size_t)length, "%s%s", i > 0 ? ", " : "",
                           report_format_at(i)->name);
    }
    return names;
}

static const char *format_suffixes(char suffixes[FORMATS_SIZE])
{
    int length = 0;

    for (size_t i = 0; i < report_format_count(); i++) {
        length += snprintf(suffixes + length, FORMATS_SIZE - (size_t)length, "%s%s", i > 0 ? ", " : "",
                           report_format_at(i)->suffix);
    }
    return suffixes;
}

/* The explanation of an option in --help, with what is in another table put in. */
static void help_text(const struct option_row *row, char *text, size_t size)
{
    const char *place = strstr(row->help, "%s");
    char formats[FORMATS_SIZE];

    if (place == NULL) {
        snprintf(text, size, "%s", row->help);
        return;
    }
    snprintf(text, size, "%.*s%s%s", (int)(place - row->help), row->help,
             row->id == OPT_FORMAT ? format_names(formats) : format_suffixes(formats), place + strlen("%s"));
}

/* The column of --help in which the explanations begin. */
#define HELP_COLUMN 30

void args_print_help(void)
{
    printf("Usage: quantbench [OPTION]...\n"
           "Measure kernels that quantize FP16, BF16 and FP32 tensors to INT8 and FP8, and\n"
           "prove their results right.\n");
    for (size_t i = 0; i < OPTION_ROWS; i++) {
        const struct option_row *row = &option_table[i];
        char help[512];
        const char *line = help;
        int width;

        if (row->id == OPT_HEADING) {
            printf("\n%s:\n", row->name);
            continue;
        }
        help_text(row, help, sizeof help);
        width = row->id < 256 ? printf("  -%c, ", row->id) : printf("      ");
        width += printf("--%s%s%s", row->name, row->value != NULL ? "=" : "", row->value != NULL ? row->value : "");
        while (line != NULL) {
            const char *end = strchr(line, '\n');

            printf("%*s%.*s\n", HELP_COLUMN - width, "", end != NULL ? (int)(end - line) : (int)strlen(line), line);
            line = end != NULL ? end + 1 : NULL;
            width = 0;
        }
    }
    printf("\nA single measurement ends with the line \"Kernel running time: ... us\", the\n"
           "median.\n"
           "\n"
           "Exit status: 0 success, 1 a regression, 2 usage, 3 it could not run, 4 a result\n"
           "is wrong, 5 inconclusive.\n"
           "See the manual, quantbench(1), for examples.\n");
}

/* A whole number of MIN to MAX, in decimal digits and nothing else. */
static bool parse_number(const char *option, const char *text, uint64_t min, uint64_t max, uint64_t *number)
{
    char *end;
    unsigned long long value;

    errno = 0;
    value = strtoull(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0 || value < min || value > max) {
        message_error("--%s: '%s': a whole number from %" PRIu64 " to %" PRIu64 " is accepted", option, text, min, max);
        return false;
    }
    *number = value;
    return true;
}

/* The largest size of one dimension: products and strides of two stay far from overflow in the messages that name
 * them; what memory allows is checked when the problem is known. */
#define MAX_DIMENSION ((uint64_t)INT64_MAX)

static bool parse_dimension(const char *option, const char *text, uint64_t *number)
{
    return parse_number(option, text, 1, MAX_DIMENSION, number);
}

static bool parse_threads(const char *option, const char *text, uint64_t *number)
{
    return parse_number(option, text, 1, 1024, number);
}

/* A format that is an input or an output, as IS_INPUT says. */
static bool parse_format(const char *option, const char *text, bool is_input, uint64_t *number)
{
    enum qb_format format;
    char accepted[128] = "";

    if (qb_format_find(text, &format) == QB_OK &&
        (is_input ? qb_format_info(format)->is_input : qb_format_info(format)->is_output)) {
        *number = format;
        return true;
    }
    for (int i = 0; i < QB_FORMAT_COUNT; i++) {
        const struct qb_format_info *info = qb_format_info((enum qb_format)i);

        if (is_input ? info->is_input : info->is_output) {
            snprintf(accepted + strlen(accepted), sizeof accepted - strlen(accepted), "%s%s",
                     accepted[0] != '\0' ? ", " : "", info->name);
        }
    }
    message_error("--%s: '%s': one of %s is accepted", option, text, accepted);
    return false;
}

static bool parse_dtype(const char *option, const char *text, uint64_t *number)
{
    return parse_format(option, text, true, number);
}

static bool parse_quant_dtype(const char *option, const char *text, uint64_t *number)
{
    return parse_format(option, text, false, number);
}

static bool parse_scaling(const char *option, const char *text, uint64_t *number)
{
    for (unsigned i = 0; i < QB_SCALING_COUNT; i++) {
        if (strcmp(text, qb_scaling_name((enum qb_scaling)i)) == 0) {
            *number = i;
            return true;
        }
    }
    message_error("--%s: '%s': one of dynamic, static, amax is accepted", option, text);
    return false;
}

/* Texts that stand for the numbers 0, 1, ...; NULL behind the last. */
static bool parse_word(const char *option, const char *text, const char *const *words, uint64_t *number)
{
    char accepted[128] = "";

    for (*number = 0; words[*number] != NULL; ++*number) {
        size_t length = strlen(accepted);

        if (strcmp(text, words[*number]) == 0) {
            return true;
        }
        snprintf(accepted + length, sizeof accepted - length, "%s%s", length > 0 ? ", " : "", words[*number]);
    }
    message_error("--%s: '%s': one of %s is accepted", option, text, accepted);
    return false;
}

static bool parse_bind(const char *option, const char *text, struct args *args)
{
    static const char *const words[] = {[BIND_CORES] = "cores", [BIND_NONE] = "none", NULL};
    uint64_t number;

    if (!parse_word(option, text, words, &number)) {
        return false;
    }
    args->chose_bind = true;
    args->bind = (enum bind)number;
    return true;
}

static bool parse_huge_pages(const char *option, const char *text, struct args *args)
{
    static const char *const words[] = {
        [QB_HUGE_PAGES_OFF] = "off", [QB_HUGE_PAGES_THP] = "thp", [QB_HUGE_PAGES_2M] = "2m", NULL};
    uint64_t number;

    if (!parse_word(option, text, words, &number)) {
        return false;
    }
    args->chose_huge_pages = true;
    args->huge_pages = (enum qb_huge_pages)number;
    return true;
}

static bool parse_launch(const char *option, const char *text, uint64_t *number)
{
    static const char *const words[] = {
        [LAUNCH_GRAPH] = "graph", [LAUNCH_STREAM] = "stream", [LAUNCH_ISOLATED] = "isolated", NULL};

    return parse_word(option, text, words, number);
}

const char *const args_regime_names[] = {[REGIME_SUSTAINED] = "sustained", [REGIME_BURST] = "burst", NULL};

static bool parse_regime(const char *option, const char *text, enum regime *regime)
{
    uint64_t number;

    if (!parse_word(option, text, args_regime_names, &number)) {
        return false;
    }
    *regime = (enum regime)number;
    return true;
}

static bool parse_streams(const char *option, const char *text, uint64_t *number)
{
    return parse_number(option, text, 1, MEASURE_MAX_QUEUES, number);
}

/* A number from MIN, which is left out, to MAX. */
static bool parse_real(const char *option, const char *text, double min, double max, double *number)
{
    char *end;
    double value = strtod(text, &end);

    if (end == text || *end != '\0' || !(value > min) || !(value <= max)) {
        message_error("--%s: '%s': a number above %g and up to %g is accepted", option, text, min, max);
        return false;
    }
    *number = value;
    return true;
}

static bool parse_dist(const char *option, const char *text, uint64_t *number)
{
    char accepted[128] = "";

    for (int i = 0; i < INPUT_DISTS; i++) {
        const char *name = input_dist_name((enum input_dist)i);
        size_t length = strlen(accepted);

        if (strcmp(text, name) == 0) {
            *number = (uint64_t)i;
            return true;
        }
        snprintf(accepted + length, sizeof accepted - length, "%s%s", length > 0 ? ", " : "", name);
    }
    message_error("--%s: '%s': one of %s is accepted", option, text, accepted);
    return false;
}

static bool parse_granularity(const char *option, char *text, struct granularity *granularity)
{
    char *size = strchr(text, ':');
    char *times;

    *granularity = (struct granularity){.group = 0};
    if (size == NULL) {
        static const enum qb_granularity without_size[] = {QB_GRANULARITY_TENSOR, QB_GRANULARITY_TOKEN,
                                                           QB_GRANULARITY_CHANNEL};

        for (size_t i = 0; i < sizeof without_size / sizeof without_size[0]; i++) {
            if (strcmp(text, qb_granularity_name(without_size[i])) == 0) {
                granularity->kind = without_size[i];
                return true;
            }
        }
    } else {
        *size++ = '\0';
        if (strcmp(text, "group") == 0) {
            granularity->kind = QB_GRANULARITY_GROUP;
            return parse_dimension("granularity=group", size, &granularity->group);
        }
        times = strchr(size, 'x');
        if (strcmp(text, "block") == 0 && times != NULL) {
            granularity->kind = QB_GRANULARITY_BLOCK;
            *times++ = '\0';
            return parse_dimension("granularity=block", size, &granularity->block_rows) &&
                   parse_dimension("granularity=block", times, &granularity->block_cols);
        }
        size[-1] = ':';
    }
    message_error("--%s: '%s': one of tensor, token, channel, group:G, block:RxC is accepted", option, text);
    return false;
}

static bool parse_bound(const char *option, const char *text, float *number)
{
    char *end;
    float value = strtof(text, &end);

    if (end == text || *end != '\0' || !(value > 0) || isinf(value)) {
        message_error("--%s: '%s': a finite number > 0 is accepted", option, text);
        return false;
    }
    *number = value;
    return true;
}

/* A number of percent, with or without the sign, as a ratio. */
static bool parse_margin(const char *option, const char *text, double *margin)
{
    char *end;
    double value = strtod(text, &end);

    if (end == text || !(value >= 0 && value < 100) || (strcmp(end, "") != 0 && strcmp(end, "%") != 0)) {
        message_error("--%s: '%s': a number of percent from 0 to less than 100 is accepted, such as 1%%", option, text);
        return false;
    }
    *margin = value / 100;
    return true;
}

/* Call USE for each of the texts in LIST that commas separate, until it fails. Empty ones are an error. */
static bool split_list(const char *option, const char *list, bool (*use)(const char *option, char *text, void *target),
                       void *target)
{
    char *copy = strdup(list);
    char *rest = copy;
    bool good = copy != NULL;

    if (copy == NULL) {
        message_error("--%s: out of memory", option);
    }
    while (good && rest != NULL) {
        char *text = strsep(&rest, ",");

        if (text[0] == '\0') {
            message_error("--%s: '%s': a value is empty", option, list);
            good = false;
        } else {
            good = use(option, text, target);
        }
    }
    free(copy);
    return good;
}

/* Make room for one more element of SIZE bytes behind the COUNT of ARRAY; NULL, with a message, if there is none. */
static void *grow(const char *option, void **array, size_t count, size_t size)
{
    void *larger = reallocarray(*array, count + 1, size);

    if (larger == NULL) {
        message_error("--%s: out of memory", option);
        return NULL;
    }
    *array = larger;
    return (char *)larger + count * size;
}

static bool parse_output_format(const char *option, const char *text, const struct report_format **format)
{
    const struct report_format *found = report_format_find(text);
    char names[FORMATS_SIZE];

    if (found == NULL) {
        message_error("--%s: '%s': one of %s is accepted", option, text, format_names(names));
        return false;
    }
    *format = found;
    return true;
}

/* Write FILE in FORMAT. */
static bool add_file(const char *option, const struct report_format *format, const char *file, struct outputs *outputs)
{
    struct output *place;

    if (file[0] == '\0') {
        message_error("--%s: '': the name of a file is accepted", option);
        return false;
    }
    for (size_t i = 0; i < outputs->count; i++) {
        if (strcmp(outputs->values[i].file, file) == 0) {
            message_error("--%s: '%s': each file is accepted once", option, file);
            return false;
        }
    }
    place = grow(option, (void **)&outputs->values, outputs->count, sizeof *place);
    if (place == NULL) {
        return false;
    }
    *place = (struct output){format, file};
    outputs->count++;
    return true;
}

/* FORMAT:FILE, or FILE with a suffix that says which format. */
static bool add_output(const char *option, const char *text, struct outputs *outputs)
{
    const struct report_format *format = NULL;
    const char *file = strchr(text, ':');
    char name[32], names[FORMATS_SIZE], suffixes[FORMATS_SIZE];

    if (file != NULL && (size_t)(file - text) < sizeof name) {
        snprintf(name, sizeof name, "%.*s", (int)(file - text), text);
        format = report_format_find(name);
    }
    file = format != NULL ? file + 1 : text;
    format = format != NULL ? format : report_format_of_file(file);
    if (format == NULL || file[0] == '\0') {
        message_error("--%s: '%s': a file whose name ends in %s is accepted, or FORMAT:FILE with a format of %s",
                      option, text, format_suffixes(suffixes), format_names(names));
        return false;
    }
    return add_file(option, format, file, outputs);
}

static bool append_number(const char *option, uint64_t number, struct numbers *numbers)
{
    uint64_t *place = grow(option, (void **)&numbers->values, numbers->count, sizeof *place);

    if (place == NULL) {
        return false;
    }
    *place = number;
    numbers->count++;
    return true;
}

struct number_target {
    struct numbers *numbers;
    bool (*parse)(const char *option, const char *text, uint64_t *number);
};

static bool add_number(const char *option, char *text, void *target)
{
    struct number_target *to = target;
    uint64_t number;

    return to->parse(option, text, &number) && append_number(option, number, to->numbers);
}

/* More values in one range are a mistake. */
#define MAX_RANGE 1024

/* A number of a range, before the character END; TEXT moves behind that. */
static bool range_number(const char **text, char end, uint64_t *number)
{
    char *behind;

    errno = 0;
    *number = strtoull(*text, &behind, 10);
    if (!isdigit((unsigned char)(*text)[0]) || *behind != end || errno != 0 || *number > MAX_DIMENSION) {
        return false;
    }
    *text = behind + 1;
    return true;
}

/* Append the values of FIRST:LAST:xFACTOR or FIRST:LAST:+STEP; false if TEXT is neither, or has too many. */
static bool append_range(const char *option, const char *text, struct numbers *numbers)
{
    uint64_t value, last, step;
    bool is_factor;

    if (!range_number(&text, ':', &value) || !range_number(&text, ':', &last) || (*text != 'x' && *text != '+')) {
        return false;
    }
    is_factor = *text++ == 'x';
    if (!range_number(&text, '\0', &step) || value < 1 || value > last || step < (is_factor ? 2 : 1)) {
        return false;
    }
    for (int count = 1; count <= MAX_RANGE; count++) {
        if (!append_number(option, value, numbers)) {
            return false;
        }
        if (is_factor ? value > last / step : last - value < step) {
            return true;
        }
        value = is_factor ? value * step : value + step;
    }
    return false;
}

/* A dimension, or a range of them. */
static bool add_dimensions(const char *option, char *text, void *target)
{
    struct numbers *numbers = target;
    uint64_t number;

    if (strchr(text, ':') == NULL) {
        return parse_dimension(option, text, &number) && append_number(option, number, numbers);
    }
    if (append_range(option, text, numbers)) {
        return true;
    }
    message_error("--%s: '%s': a range is accepted as FIRST:LAST:xFACTOR or FIRST:LAST:+STEP, with numbers from 1 to "
                  "%" PRIu64 ", FIRST no larger than LAST, FACTOR at least 2, and up to %d values",
                  option, text, MAX_DIMENSION, MAX_RANGE);
    return false;
}

static bool parse_dimensions(const char *option, const char *list, struct numbers *numbers)
{
    numbers->count = 0;
    return split_list(option, list, add_dimensions, numbers);
}

/* The last of several uses of an option counts, as with options that take one value. */
static bool parse_numbers(const char *option, const char *list,
                          bool (*parse)(const char *option, const char *text, uint64_t *number),
                          struct numbers *numbers)
{
    struct number_target target = {numbers, parse};

    numbers->count = 0;
    return split_list(option, list, add_number, &target);
}

static bool add_cache(const char *option, char *text, void *target)
{
    struct numbers *caches = target;
    static const char *const words[] = {"cold", "hot", "both", NULL};
    uint64_t which;

    if (!parse_word(option, text, words, &which)) {
        return false;
    }
    for (uint64_t i = 0; i < 2; i++) {
        uint64_t *place =
            which == i || which == 2 ? grow(option, (void **)&caches->values, caches->count, sizeof *place) : NULL;

        if (place != NULL) {
            *place = i == 0 ? CACHE_COLD : CACHE_HOT;
            caches->count++;
        } else if (which == i || which == 2) {
            return false;
        }
    }
    return true;
}

static bool add_granularity(const char *option, char *text, void *target)
{
    struct granularities *granularities = target;
    struct granularity *place = grow(option, (void **)&granularities->values, granularities->count, sizeof *place);

    if (place == NULL || !parse_granularity(option, text, place)) {
        return false;
    }
    granularities->count++;
    return true;
}

static bool keep_name(const char *option, const char *text, struct names *names)
{
    char **place = grow(option, (void **)&names->values, names->count, sizeof *place);

    if (place == NULL) {
        return false;
    }
    *place = strdup(text);
    names->count += *place != NULL;
    return *place != NULL;
}

static bool add_name(const char *option, char *text, void *target)
{
    return keep_name(option, text, target);
}

static void free_names(struct names *names)
{
    for (size_t i = 0; i < names->count; i++) {
        free(names->values[i]);
    }
    free(names->values);
    *names = (struct names){0};
}

static bool parse_names(const char *option, const char *list, struct names *names)
{
    free_names(names);
    return split_list(option, list, add_name, names);
}

/* Append the kernel of the instruction set TEXT; auto is that there is nothing to append. */
static bool add_isa(const char *option, char *text, void *target)
{
    static const char *const isas[] = {"generic", "avx2", "avx512", "neon"};
    char kernel[32];

    for (size_t i = 0; i < sizeof isas / sizeof *isas; i++) {
        if (strcmp(text, isas[i]) == 0) {
            snprintf(kernel, sizeof kernel, "cpu_%s", text);
            return add_name(option, kernel, target);
        }
    }
    if (strcmp(text, "auto") != 0) {
        message_error("--%s: '%s': one of auto, generic, avx2, avx512, neon is accepted", option, text);
        return false;
    }
    return true;
}

/* Append the hidden sizes of the models that TEXT names, but those that are there already. */
static bool add_model(const char *option, char *text, void *target)
{
    struct numbers *numbers = target;
    const struct model *model = model_find(text);
    uint64_t widths[MODEL_WIDTHS];
    size_t count = model != NULL ? model_widths(model, widths) : 0;

    if (model == NULL) {
        message_error("--%s: '%s': one of those that --list-models names is accepted", option, text);
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        bool is_there = false;

        for (size_t j = 0; j < numbers->count; j++) {
            is_there = is_there || numbers->values[j] == widths[i];
        }
        if (!is_there && !append_number(option, widths[i], numbers)) {
            return false;
        }
    }
    return true;
}

/* The values of an option are compared, or kernels by their names. */
static bool parse_compare(const char *option, const char *text, struct args *args)
{
    static const struct {
        const char *name;
        enum compare_axis axis;
    } axes[] = {
        {"dtype", COMPARE_DTYPES},
        {"quant-dtype", COMPARE_QUANT_DTYPES},
        {"granularity", COMPARE_GRANULARITIES},
        {"scale", COMPARE_SCALES},
        {"dist", COMPARE_DISTS},
        {"threads", COMPARE_THREADS},
    };

    for (size_t i = 0; i < sizeof axes / sizeof axes[0]; i++) {
        if (strcmp(text, axes[i].name) == 0) {
            args->compare = axes[i].axis;
            return true;
        }
    }
    args->compare = COMPARE_KERNELS;
    return parse_names(option, text, &args->compared_kernels);
}

/* One option with its VALUE. */
static bool parse_option(const struct option_row *row, const char *value, struct args *args)
{
    const char *name = row->name;

    switch (row->id) {
    case OPT_HEADING:
        break;
    case OPT_NUM_TOKENS:
        return parse_dimensions(name, value, &args->num_tokens);
    case OPT_HIDDEN_SIZE:
        return parse_dimensions(name, value, &args->hidden_sizes);
    case OPT_MODEL:
        args->model_sizes.count = 0;
        return split_list(name, value, add_model, &args->model_sizes);
    case OPT_DTYPE:
        return parse_numbers(name, value, parse_dtype, &args->dtypes);
    case OPT_QUANT_DTYPE:
        return parse_numbers(name, value, parse_quant_dtype, &args->quant_dtypes);
    case OPT_GRANULARITY:
        args->granularities.count = 0;
        return split_list(name, value, add_granularity, &args->granularities);
    case OPT_SCALE:
        return parse_numbers(name, value, parse_scaling, &args->scalings);
    case OPT_STATIC_SCALE:
        return parse_numbers(name, "static", parse_scaling, &args->scalings);
    case OPT_SCALE_UB:
        return parse_bound(name, value, &args->scale_ub);
    case OPT_DIST:
        return parse_numbers(name, value, parse_dist, &args->dists);
    case OPT_SEED:
        return parse_number(name, value, 0, INT64_MAX, &args->seed);
    case OPT_INPUT:
        args->input_file = value;
        break;
    case OPT_TENSOR:
        args->tensor = value;
        break;
    case OPT_DEVICE:
        return parse_names(name, value, &args->devices);
    case OPT_KERNEL:
        return parse_names(name, value, &args->kernels);
    case OPT_ISA:
        free_names(&args->kernels);
        return split_list(name, value, add_isa, &args->kernels);
    case OPT_PLUGIN:
        return keep_name(name, value, &args->plugins);
    case OPT_ISOLATE:
        args->isolate = ISOLATE_ALL;
        break;
    case OPT_NO_ISOLATE:
        args->isolate = ISOLATE_NONE;
        break;
    case OPT_KERNEL_TIMEOUT:
        return parse_number(name, value, 1, 1000000, &args->kernel_timeout);
    case OPT_THREADS:
        return parse_numbers(name, value, parse_threads, &args->threads);
    case OPT_BIND:
        return parse_bind(name, value, args);
    case OPT_HUGEPAGES:
        return parse_huge_pages(name, value, args);
    case OPT_STREAMS:
        return parse_numbers(name, value, parse_streams, &args->streams);
    case OPT_LIST_DEVICES:
        args->action = ACTION_LIST_DEVICES;
        break;
    case OPT_LIST_KERNELS:
        args->action = ACTION_LIST_KERNELS;
        break;
    case OPT_LIST_MODELS:
        args->action = ACTION_LIST_MODELS;
        break;
    case OPT_DOCTOR:
        args->action = ACTION_DOCTOR;
        break;
    case OPT_DRY_RUN:
        args->action = ACTION_DRY_RUN;
        break;
    case OPT_CACHE:
        args->caches.count = 0;
        return split_list(name, value, add_cache, &args->caches);
    case OPT_LAUNCH:
        return parse_numbers(name, value, parse_launch, &args->launches);
    case OPT_ROUNDS:
        return parse_number(name, value, 1, 10000, &args->rounds);
    case OPT_PRECISION:
        if (!parse_real(name, value, 0, 100, &args->precision)) {
            return false;
        }
        args->precision /= 100;
        break;
    case OPT_TIMEOUT:
        return parse_real(name, value, 0, 1e6, &args->timeout);
    case OPT_REGIME:
        return parse_regime(name, value, &args->regime);
    case OPT_STRICT:
        args->strict = true;
        break;
    case OPT_NUM_WARMUP_ITERS:
        return parse_number(name, value, 0, 1000000, &args->num_warmup_iters);
    case OPT_NUM_ITERS:
        return parse_number(name, value, 1, 1000000, &args->num_iters);
    case OPT_PROFILE:
        args->profile = true;
        break;
    case OPT_DEPENDENT_LAUNCH:
        args->dependent_launch = true;
        break;
    case OPT_NO_VERIFY:
        args->verify = false;
        break;
    case OPT_COMPARE:
        args->compare_given = true;
        return parse_compare(name, value, args);
    case OPT_SPLIT:
        args->compare = COMPARE_SCALES;
        args->split = true;
        return parse_numbers("scale", "static,dynamic,amax", parse_scaling, &args->scalings);
    case OPT_TUNE:
        args->compare = COMPARE_KERNELS;
        args->tune = true;
        break;
    case OPT_SELF_TEST:
        args->compare = COMPARE_KERNELS;
        args->self_test = true;
        break;
    case OPT_RUNS:
        return parse_number(name, value, 1, 1000, &args->runs);
    case OPT_SAVE_BASELINE:
        args->save_baseline = value;
        break;
    case OPT_BASELINE:
        args->baseline_file = value;
        break;
    case OPT_MARGIN:
        return parse_margin(name, value, &args->margin);
    case OPT_FORCE:
        args->force = true;
        break;
    case OPT_JUNIT:
        return add_file(name, report_format_find("junit"), value, &args->outputs);
    case OPT_FORMAT:
        return parse_output_format(name, value, &args->format);
    case OPT_OUTPUT:
        return add_output(name, value, &args->outputs);
    case OPT_JOURNAL:
        args->journal_file = value;
        break;
    case OPT_RESUME:
        args->resume_file = value;
        break;
    case OPT_REPORT:
        args->action = ACTION_REPORT;
        args->report_file = value;
        break;
    case OPT_QUIET:
        args->quiet = true;
        break;
    case OPT_VERBOSE:
        args->verbose = true;
        break;
    case OPT_HELP:
        args->action = ACTION_HELP;
        break;
    case OPT_VERSION:
        args->action = ACTION_VERSION;
        break;
    }
    return true;
}

/* The lists that were not given get their one default value. */
static bool set_defaults(struct args *args)
{
    if (args->model_sizes.count > 0) {
        free(args->hidden_sizes.values);
        args->hidden_sizes = args->model_sizes;
        args->model_sizes = (struct numbers){0};
    }
    if (args->rounds == 0) {
        args->rounds = args->compare == COMPARE_NOTHING ? 10 : 20;
    }
    if (args->compared_kernels.count > 0) {
        args->kernels = args->compared_kernels;
        args->compared_kernels = (struct names){0};
    }
    return (args->num_tokens.count > 0 || parse_dimensions("num-tokens", "4096", &args->num_tokens)) &&
           (args->hidden_sizes.count > 0 || parse_dimensions("hidden-size", "8192", &args->hidden_sizes)) &&
           (args->dtypes.count > 0 || parse_numbers("dtype", "half", parse_dtype, &args->dtypes)) &&
           (args->quant_dtypes.count > 0 ||
            parse_numbers("quant-dtype", "int8", parse_quant_dtype, &args->quant_dtypes)) &&
           (args->granularities.count > 0 ||
            split_list("granularity", "tensor", add_granularity, &args->granularities)) &&
           (args->scalings.count > 0 || parse_numbers("scale", "dynamic", parse_scaling, &args->scalings)) &&
           (args->dists.count > 0 || parse_numbers("dist", "normal", parse_dist, &args->dists)) &&
           (args->devices.count > 0 || parse_names("device", "auto", &args->devices)) &&
           (args->caches.count > 0 || split_list("cache", "cold", add_cache, &args->caches)) &&
           (args->streams.count > 0 || parse_numbers("streams", "1", parse_streams, &args->streams));
}

/* Options that exclude or need one another. MEASURING is one that says what to measure, or NULL. */
static bool check_together(const struct args *args, const char *measuring)
{
    bool is_list = args->action != ACTION_MEASURE && args->action != ACTION_REPORT;

    if (args->report_file != NULL && measuring != NULL) {
        message_error("--report: nothing is measured, so --%s is not accepted with it; --format, --output, --quiet and "
                      "--verbose are",
                      measuring);
        return false;
    }
    if (args->report_file != NULL && args->report_file[0] == '\0') {
        message_error("--report: '': the name of a file is accepted");
        return false;
    }
    if (is_list && args->outputs.count > 0) {
        message_error("--output: it is for results; a list is printed on standard output only");
        return false;
    }
    if (is_list && args->format != report_format_find("text") && args->format != report_format_find("json")) {
        message_error("--format: '%s': a list is printed as one of text, json", args->format->name);
        return false;
    }
    if (args->model_sizes.count > 0 && (args->hidden_sizes.count > 0 || args->input_file != NULL)) {
        message_error("--model: it says which hidden sizes; --%s is not accepted with it",
                      args->input_file != NULL ? "input" : "hidden-size");
        return false;
    }
    if (args->input_file != NULL && (args->num_tokens.count > 0 || args->hidden_sizes.count > 0 ||
                                     args->dtypes.count > 0 || args->dists.count > 0)) {
        message_error("--input: the file gives the sizes, the type and the data; --num-tokens, --hidden-size, --dtype "
                      "and --dist are accepted without --input only");
        return false;
    }
    if (args->input_file != NULL && args->input_file[0] == '\0') {
        message_error("--input: '': the name of a file is accepted");
        return false;
    }
    if (args->precision > 0 && args->num_iters > 0) {
        message_error("--precision: it says how many samples there are, so --num-iters is not accepted with it");
        return false;
    }
    if (args->timeout > 0 && args->precision == 0) {
        message_error("--timeout: it limits --precision, which was not given");
        return false;
    }
    if (args->profile &&
        (args->launches.count > 0 || args->streams.count > 0 || args->caches.count > 0 || args->precision > 0)) {
        message_error(
            "--profile: there is one launch, so --launch, --streams, --cache and --precision are not accepted "
            "with it");
        return false;
    }
    if (args->tensor != NULL && args->input_file == NULL) {
        message_error("--tensor: it names a tensor of --input, which was not given");
        return false;
    }
    return true;
}

/* --journal and --resume. */
static bool check_journal(const struct args *args)
{
    const char *name = args->resume_file != NULL ? "resume" : "journal";
    const char *file = args->resume_file != NULL ? args->resume_file : args->journal_file;

    if (file == NULL) {
        return true;
    }
    if (file[0] == '\0') {
        message_error("--%s: '': the name of a file is accepted", name);
        return false;
    }
    if (args->journal_file != NULL && args->resume_file != NULL) {
        message_error("--journal: --resume goes on with a journal, and a second one is not accepted");
        return false;
    }
    if (args->action != ACTION_MEASURE || args->runs > 0) {
        message_error("--%s: it is for what this process measures, which is nothing here", name);
        return false;
    }
    return true;
}

/* Options of comparisons that exclude or need one another. */
static bool check_comparison(const struct args *args)
{
    if (args->save_baseline != NULL && args->save_baseline[0] == '\0') {
        message_error("--save-baseline: '': the name of a file is accepted");
        return false;
    }
    if (args->baseline_file != NULL && args->baseline_file[0] == '\0') {
        message_error("--baseline: '': the name of a file is accepted");
        return false;
    }
    if (args->save_baseline != NULL && args->runs < COMPARE_MIN_COUNT) {
        message_error("--save-baseline: --runs=%" PRIu64 ": at least %d runs are accepted, since fewer give no verdict",
                      args->runs, COMPARE_MIN_COUNT);
        return false;
    }
    if (args->compare == COMPARE_KERNELS && args->kernels.count > 0) {
        message_error(
            "--kernel: --compare, --tune and --self-test say which kernels; it is accepted with the name of an "
            "option such as --compare=granularity");
        return false;
    }
    if (args->compare_given + args->split + args->tune + args->self_test > 1) {
        message_error("--compare, --split, --tune, --self-test: one of them is accepted");
        return false;
    }
    if (args->self_test && args->outputs.count > 0) {
        message_error("--output: it is for results; a self-test is printed on standard output only");
        return false;
    }
    if (args->self_test && args->format != report_format_find("text") && args->format != report_format_find("json")) {
        message_error("--format: '%s': a self-test is printed as one of text, json", args->format->name);
        return false;
    }
    if ((args->journal_file != NULL || args->resume_file != NULL) && args->runs > 0) {
        message_error("--journal, --resume: they are for one process; --runs, --baseline and --save-baseline are not "
                      "accepted with them");
        return false;
    }
    if (args->compare != COMPARE_NOTHING && args->precision > 0) {
        message_error("--precision: a comparison takes as many rounds as --rounds says");
        return false;
    }
    if (args->compare != COMPARE_NOTHING && (args->profile || args->runs > 0)) {
        message_error("--compare: it measures in rounds in one process; --profile, --runs, --baseline and "
                      "--save-baseline are not accepted with it");
        return false;
    }
    if (args->runs > 0 && args->profile) {
        message_error("--profile: it is for one process; --runs, --baseline and --save-baseline are not accepted with "
                      "it");
        return false;
    }
    if (args->force && args->baseline_file == NULL && args->save_baseline == NULL) {
        message_error("--force: it is about the file of --baseline or --save-baseline, and none was given");
        return false;
    }
    return true;
}

/* Say what is wrong with ARGUMENT, for which getopt_long() returned ID. */
static enum exit_code unknown_option(int id, const char *argument)
{
    char accepted[1024] = "";

    if (id == ':') {
        message_error("'%s': the option needs a value; try 'quantbench --help'", argument);
        return EXIT_USAGE;
    }
    for (size_t i = 0; i < OPTION_ROWS; i++) {
        size_t length = strlen(accepted);

        if (option_table[i].id != OPT_HEADING) {
            snprintf(accepted + length, sizeof accepted - length, " --%s", option_table[i].name);
        }
    }
    message_error("'%s' is no option, or short for several, or takes no value; the options are%s", argument, accepted);
    return EXIT_USAGE;
}

/* Whether an option says what becomes of results. */
static bool is_about_reports(enum option_id id)
{
    return id == OPT_QUIET || id == OPT_VERBOSE || id == OPT_FORMAT || id == OPT_OUTPUT || id == OPT_JUNIT ||
           id == OPT_REPORT;
}

/* Whether an option says how one process measures, rather than what is made of the results of several. */
static bool is_about_measuring(enum option_id id)
{
    return !is_about_reports(id) && id != OPT_STRICT && id != OPT_RUNS && id != OPT_SAVE_BASELINE &&
           id != OPT_BASELINE && id != OPT_MARGIN && id != OPT_FORCE && id != OPT_JOURNAL && id != OPT_RESUME;
}

/* Add an option as one argument. */
static bool keep_option(const struct option_row *row, const char *value, struct names *options)
{
    size_t size = strlen(row->name) + (value != NULL ? strlen(value) : 0) + sizeof "--=";
    char *option = malloc(size);
    bool good;

    if (option == NULL) {
        message_error("--%s: out of memory", row->name);
        return false;
    }
    snprintf(option, size, "--%s%s%s", row->name, value != NULL ? "=" : "", value != NULL ? value : "");
    good = add_name(row->name, option, options);
    free(option);
    return good;
}

enum exit_code args_parse(int argc, char **argv, struct args *args)
{
    struct option long_options[OPTION_ROWS + 1];
    char short_options[2 * OPTION_ROWS + 2] = ":"; /* tells a missing value from an unknown option */
    size_t count = 0;
    const char *measuring = NULL;
    int id, index;

    *args = (struct args){
        .num_warmup_iters = 5,
        .verify = true,
        .kernel_timeout = 60,
        .margin = 0.01,
        .format = report_format_at(0),
        .argc = argc,
        .argv = argv,
    };
    for (size_t i = 0; i < OPTION_ROWS; i++) {
        const struct option_row *row = &option_table[i];

        if (row->id == OPT_HEADING) {
            continue;
        }
        long_options[count++] =
            (struct option){row->name, row->value != NULL ? required_argument : no_argument, NULL, (int)row->id};
        if (row->id < 256) {
            short_options[strlen(short_options)] = (char)row->id;
        }
    }
    long_options[count] = (struct option){0};

    opterr = 0; /* its messages name the file of the program, and not what is accepted */
    while ((id = getopt_long(argc, argv, short_options, long_options, &index)) != -1) {
        const struct option_row *row = NULL;

        for (size_t i = 0; i < OPTION_ROWS && id != '?'; i++) {
            if (option_table[i].id == (enum option_id)id) {
                row = &option_table[i];
            }
        }
        if (row == NULL) {
            return unknown_option(id, argv[optind - 1]);
        }
        if (!is_about_reports(row->id)) {
            measuring = row->name;
        }
        if (is_about_measuring(row->id) && !keep_option(row, optarg, &args->measuring)) {
            return EXIT_CANNOT_RUN;
        }
        if (!parse_option(row, optarg, args)) {
            return EXIT_USAGE;
        }
        if (args->action == ACTION_HELP || args->action == ACTION_VERSION) {
            return EXIT_OK;
        }
    }
    if (args->runs == 0 && (args->baseline_file != NULL || args->save_baseline != NULL)) {
        args->runs = DEFAULT_RUNS;
    }
    if (optind < argc) {
        message_error("'%s': only options are accepted; try 'quantbench --help'", argv[optind]);
        return EXIT_USAGE;
    }
    if (!check_together(args, measuring) || !check_journal(args) || !check_comparison(args) || !set_defaults(args)) {
        return EXIT_USAGE;
    }
    if (args->precision > 0) {
        args->timeout = args->timeout > 0 ? args->timeout : DEFAULT_TIMEOUT;
    } else {
        args->num_iters = args->num_iters > 0 ? args->num_iters : DEFAULT_NUM_ITERS;
    }
    return EXIT_OK;
}

void args_free(struct args *args)
{
    free(args->num_tokens.values);
    free(args->hidden_sizes.values);
    free(args->model_sizes.values);
    free(args->dtypes.values);
    free(args->quant_dtypes.values);
    free(args->granularities.values);
    free(args->scalings.values);
    free(args->dists.values);
    free(args->threads.values);
    free(args->streams.values);
    free(args->caches.values);
    free(args->launches.values);
    free(args->outputs.values);
    free_names(&args->devices);
    free_names(&args->kernels);
    free_names(&args->plugins);
    free_names(&args->compared_kernels);
    free_names(&args->measuring);
}
