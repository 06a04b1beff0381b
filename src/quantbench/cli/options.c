/* SPDX-License-Identifier: Apache-2.0 */
/* options.c - the table of options. The parser, --help and the completion are made from it (completion/options.awk
 * reads this file, so a row names its members, and an array of words is one of strings), and the tests compare the
 * manual with --help. */
#include <config.h>

#include "cli/options.h"
#include "cases/input.h"
#include "measure/measure.h"
#include "cli/option_values.h"
#include "model/problem_text.h"
#include "model/recipe.h"
#include "report/report.h"

#include <string.h>

/* ---- Words ------------------------------------------------------------------------------------------------------ */

static const char *const granularity_words[] = {
    [QB_GRANULARITY_TENSOR] = "tensor", [QB_GRANULARITY_TOKEN] = "token",     [QB_GRANULARITY_CHANNEL] = "channel",
    [QB_GRANULARITY_GROUP] = "group:G", [QB_GRANULARITY_BLOCK] = "block:RxC", NULL,
};
static const char *const isa_words[] = {"auto", "generic", "avx2", "avx512", "neon", NULL};
static const char *const calibration_words[] = {"amax", "percentile:99.99", "mse", "all", NULL};
static const char *const best_rules[] = {"snr", "bytes:35dB", NULL};
static const char *const scale_names[] = {
    [NAMING_COMPRESSED_TENSORS] = "compressed-tensors", [NAMING_MODELOPT] = "modelopt", NULL};
static const char *const bind_words[] = {[BIND_CORES] = "cores", [BIND_NONE] = "none", NULL};
static const char *const huge_page_words[] = {
    [QB_HUGE_PAGES_OFF] = "off", [QB_HUGE_PAGES_THP] = "thp", [QB_HUGE_PAGES_2M] = "2m", NULL};
static const char *const cache_choices[] = {"cold", "hot", "both", NULL};
static const char *const launch_choices[] = {
    [LAUNCH_GRAPH] = "graph", [LAUNCH_STREAM] = "stream", [LAUNCH_ISOLATED] = "isolated", NULL};
static const char *const compare_words[] = {
    [COMPARE_DTYPES - COMPARE_DTYPES] = "dtype",
    [COMPARE_QUANT_DTYPES - COMPARE_DTYPES] = "quant-dtype",
    [COMPARE_GRANULARITIES - COMPARE_DTYPES] = "granularity",
    [COMPARE_SCALES - COMPARE_DTYPES] = "scale",
    [COMPARE_DISTS - COMPARE_DTYPES] = "dist",
    [COMPARE_THREADS - COMPARE_DTYPES] = "threads",
    [COMPARE_SCALE_FORMATS - COMPARE_DTYPES] = "scale-format",
    [COMPARE_SCALE_ROUNDINGS - COMPARE_DTYPES] = "scale-rounding",
    [COMPARE_SCALE_LAYOUTS - COMPARE_DTYPES] = "scale-layout",
    [COMPARE_TENSOR_SCALES - COMPARE_DTYPES] = "tensor-scale",
    [COMPARE_PACKINGS - COMPARE_DTYPES] = "packing",
    [COMPARE_OPERATIONS - COMPARE_DTYPES] = "op",
    [COMPARE_INTERMEDIATES - COMPARE_DTYPES] = "intermediate",
    [COMPARE_GELUS - COMPARE_DTYPES] = "gelu",
    [COMPARE_GATES - COMPARE_DTYPES] = "gate",
    [COMPARE_WEIGHTS - COMPARE_DTYPES] = "weights",
    [COMPARE_PAIRINGS - COMPARE_DTYPES] = "pairing",
    [COMPARE_PAGE_LAYOUTS - COMPARE_DTYPES] = "page-layout",
    "fused",
    NULL,
};

/* Return the name of the format at INDEX of those that are an input, or an output. */
static const char *format_word(size_t index, bool is_input)
{
    const struct qb_format_info *info;

    for (unsigned i = 0; (info = qb_format_info((enum qb_format)i)) != NULL; i++) {
        if ((is_input ? info->is_input : info->is_output) && index-- == 0) {
            return info->name;
        }
    }
    return NULL;
}

static const char *operation_word(size_t index)
{
    return qb_operation_name((enum qb_operation)index);
}

static const char *intermediate_word(size_t index)
{
    return qb_intermediate_name((enum qb_intermediate)index);
}

static const char *gelu_word(size_t index)
{
    return qb_gelu_name((enum qb_gelu)index);
}

static const char *gate_word(size_t index)
{
    return qb_gate_name((enum qb_gate)index);
}

static const char *weights_word(size_t index)
{
    return qb_weights_name((enum qb_weights)index);
}

static const char *pairing_word(size_t index)
{
    return qb_pairing_name((enum qb_pairing)index);
}

static const char *expert_rows_word(size_t index)
{
    return qb_expert_rows_name((enum qb_expert_rows)index);
}

static const char *expert_load_word(size_t index)
{
    return index < EXPERT_LOADS ? expert_load_words[index] : NULL;
}

static const char *page_layout_word(size_t index)
{
    return qb_page_layout_name((enum qb_page_layout)index);
}

static const char *input_word(size_t index)
{
    return format_word(index, true);
}

/* Formats, and then recipes. */
static const char *output_word(size_t index)
{
    size_t formats = 0;

    while (format_word(formats, false) != NULL) {
        formats++;
    }
    return index < formats                      ? format_word(index, false)
           : recipe_at(index - formats) != NULL ? recipe_at(index - formats)->name
                                                : NULL;
}

/* Without "none". */
static const char *zero_points_word(size_t index)
{
    return qb_zero_points_name((enum qb_zero_points)(QB_ZERO_POINTS_INT8 + index));
}

static const char *packing_word(size_t index)
{
    return qb_packing_name((enum qb_packing)index);
}

static const char *scale_format_word(size_t index)
{
    return index < PROBLEM_SCALE_FORMATS ? problem_scale_format_name(problem_scale_format_at(index)) : NULL;
}

static const char *scale_rounding_word(size_t index)
{
    return qb_scale_rounding_name((enum qb_scale_rounding)index);
}

static const char *scale_layout_word(size_t index)
{
    return qb_scale_layout_name((enum qb_scale_layout)index);
}

static const char *tensor_scale_word(size_t index)
{
    return qb_tensor_scale_name((enum qb_tensor_scale)index);
}

static const char *scaling_word(size_t index)
{
    return qb_scaling_name((enum qb_scaling)index);
}

static const char *dist_word(size_t index)
{
    return index < INPUT_DISTS ? dist_words[index] : NULL;
}

static const char *regime_word(size_t index)
{
    return regime_words[index];
}

static const char *state_word(size_t index)
{
    return state_words[index];
}

static const char *report_word(size_t index)
{
    return index < report_format_count() ? report_format_at(index)->name : NULL;
}

static const char *suffix_word(size_t index)
{
    return index < report_format_count() ? report_format_at(index)->suffix : NULL;
}

/* ---- The table -------------------------------------------------------------------------------------------------- */

#define TARGET(member) .target = offsetof(struct settings, member), .size = sizeof((struct settings *)NULL)->member
#define CHOSEN(member) .chosen = offsetof(struct settings, member)

/* What goes to standard output only, and all that does not measure. */
#define STANDARD_OUTPUT "list-devices list-kernels list-models list-tensors dry-run against"
#define LISTS           STANDARD_OUTPUT " doctor"

/* A comparison within a process. */
#define COMPARISON                                                                                                     \
    .excludes = {{"compare split tune self-test", "both say what is compared"},                                        \
                 {"precision profile runs baseline save-baseline", "a comparison measures in rounds in one process"}}
/* A file that results are written to, but not those of LISTED. */
#define FOR_RESULTS(listed)                                                                                            \
    .excludes = {{listed, "a list goes to standard output only"},                                                      \
                 {"self-test", "a self-test goes to standard output only"}}
/* A journal. */
#define IN_ONE_PROCESS                                                                                                 \
    {LISTS, "a journal is for measurements"},                                                                          \
    {                                                                                                                  \
        "runs baseline save-baseline", "a journal is for one process"                                                  \
    }

/* clang-format off */
const struct option_row options[] = {
    {.heading = "What to quantize (lists, \"...\", sweep: every combination is run)"},
    {.name = "num-tokens", .value = "N...", .fallback = "4096",
     .help = "rows of the tensor [%d]; a range: 1:512:x2, 128:1024:+128",
     .parse = option_dimensions, TARGET(sweep.num_tokens), .min = 1, .max = OPTION_MAX_DIMENSION},
    {.name = "hidden-size", .value = "N...", .fallback = "8192",
     .help = "columns of the tensor [%d]; also ranges",
     .parse = option_dimensions, TARGET(sweep.hidden_sizes), .min = 1, .max = OPTION_MAX_DIMENSION},
    {.name = "model", .value = "NAME...",
     .help = "hidden sizes of these models: see --list-models",
     .parse = option_models, TARGET(sweep.hidden_sizes),
     .excludes = {{"hidden-size input", "both say which hidden sizes"}}},
    {.name = "dtype", .value = "TYPE...", .fallback = "half",
     .help = "input: %w (or %a) [%d]",
     .parse = option_formats, TARGET(sweep.dtypes), .word = input_word},
    {.name = "quant-dtype", .value = "TYPE...", .fallback = "int8",
     .help = "output: %w (or %a) [%d]; those that begin with mx or nv also set groups and scales",
     .parse = option_outputs, TARGET(sweep.quant_dtypes), CHOSEN(sweep.chose_quant_dtype), .word = output_word},
    {.name = "asymmetric",
     .help = "give each scale a zero point: for int8 and int4; uint4 always has them",
     .parse = option_flag, TARGET(sweep.asymmetric), .choice = true},
    {.name = "zero-points", .value = "TYPE",
     .help = "the same, stored as %w; int32 is for kernels of plug-ins [int8 with --asymmetric]",
     .parse = option_word_of, TARGET(sweep.zero_points), CHOSEN(sweep.chose_zero_points), .word = zero_points_word,
     .excludes = {{"calibrate against", "zero points in checkpoints have 8 bits: use --asymmetric"}}},
    {.name = "packing", .value = "HOW...",
     .help = "codes of 6 bits: %w (four in three) [bytes]",
     .parse = option_words_of, TARGET(sweep.packings), .word = packing_word},
    {.name = "granularity", .value = "WHAT...", .fallback = "tensor",
     .help = "what shares a scale: %w [%d; group:128 for int4 and uint4; or that of the recipe]",
     .parse = option_granularities, TARGET(sweep.granularities), CHOSEN(sweep.chose_granularity),
     .words = granularity_words, .min = 1, .max = OPTION_MAX_DIMENSION},
    {.name = "scale-format", .value = "TYPE...",
     .help = "how scales are stored: %w; e8m0 and e4m3 require groups [float, or that of the recipe]",
     .parse = option_words_of, TARGET(sweep.scale_formats), .word = scale_format_word},
    {.name = "scale-rounding", .value = "HOW...",
     .help = "how e8m0 scales become powers of two: %w [up]",
     .parse = option_words_of, TARGET(sweep.scale_roundings), .word = scale_rounding_word},
    {.name = "scale-layout", .value = "HOW...",
     .help = "where the scales of groups lie: %w [rows]; cuBLAS reads tiled-128x4",
     .parse = option_words_of, TARGET(sweep.scale_layouts), .word = scale_layout_word},
    {.name = "tensor-scale", .value = "HOW...",
     .help = "with e4m3 scales, one more scale for the tensor: %w [none; given for nvfp4]",
     .parse = option_words_of, TARGET(sweep.tensor_scales), .word = tensor_scale_word},
    {.name = "scale", .value = "HOW...", .fallback = "dynamic",
     .help = "dynamic: compute the scales from the data; static: they are given; amax: compute the scales and nothing "
             "else [%d; static for caches with one scale]",
     .parse = option_words_of, TARGET(sweep.scalings), CHOSEN(sweep.chose_scale), .word = scaling_word},
    {.name = "static-scale",
     .help = "the same as --scale=static",
     .parse = option_words_of, TARGET(sweep.scalings), CHOSEN(sweep.chose_scale), .word = scaling_word, .fixed = "static"},
    {.name = "scale-ub", .value = "X",
     .help = "upper bound of the largest magnitude that a scale is computed from [none]",
     .parse = option_bound, TARGET(sweep.scale_ub)},
    {.name = "dist", .value = "HOW...", .fallback = "normal",
     .help = "the data: %w [%d]",
     .parse = option_words_of, TARGET(sweep.dists), .word = dist_word},
    {.name = "seed", .value = "N", .fallback = "0",
     .help = "seed of the data [%d]",
     .parse = option_whole, TARGET(sweep.seed), .max = INT64_MAX},
    {.name = "input", .value = "FILE",
     .help = "quantize tensors of FILE, .npy or safetensors, of a folder, or of the index of a split model; may be given "
             "several times",
     .parse = option_another_name, TARGET(sweep.input_files),
     .excludes = {{"num-tokens hidden-size dtype dist", "the file gives the sizes, the type and the data"}}},
    {.name = "tensor", .value = "PATTERN...",
     .help = "the tensors of FILE, if it has several: shell patterns; !PATTERN leaves out; an index in brackets "
             "behind it is a slice",
     .parse = option_text, TARGET(sweep.tensor),
     .requires = {.names = "input"}},
    {.name = "cases", .value = "FILE",
     .help = "a list of cases in FILE, JSON lines or CSV, with options of each and count, how often it is launched: "
             "report what they take together; other options are for all of them",
     .parse = option_file, TARGET(sweep.cases_file),
     .excludes = {{"input against quality profile self-test", "the list says which cases"},
                  {"list-devices list-kernels list-models doctor", "each is an action of its own"}}},
    {.name = "serve", .value = "PHASE...",
     .help = "such a list for all layers of a model: prefill:8192x1,decode:64x128 is a pass of 8192 tokens and 128 passes "
             "of 64",
     .parse = option_text, TARGET(sweep.serve), .requires = {.names = "model"},
     .excludes = {{"input against quality profile self-test cases num-tokens", "the model and the phases say which cases"},
                  {"list-devices list-kernels list-models doctor", "each is an action of its own"}}},
    {.name = "list-tensors",
     .help = "list the tensors of FILE: name, shape, type and file",
     .parse = option_flag, TARGET(action), .choice = ACTION_LIST_TENSORS,
     .requires = {.names = "input"}},
    {.name = "against", .value = "FILE",
     .help = "measure nothing; rate the codes of that tensor in FILE, a quantized checkpoint, and ours",
     .parse = option_file, TARGET(sweep.against),
     .excludes = {{"list-devices list-kernels list-models list-tensors doctor dry-run quality",
                   "each is an action of its own"},
                  {"kernel isa plugin profile compare split tune self-test runs baseline save-baseline",
                   "the reference quantizes, and nothing is measured"},
                  {"op scale static-scale", "the tensor is quantized with scales of its own"}},
     .requires = {.names = "input"}},
    {.name = "against-tensor", .value = "NAME",
     .help = "its name in that file, if it is another",
     .parse = option_text, TARGET(sweep.against_tensor),
     .requires = {.names = "against"}},
    {.name = "quality",
     .help = "measure no time; rate the codes of each tensor in each way",
     .parse = option_flag, TARGET(action), .choice = ACTION_QUALITY,
     .excludes = {{"list-devices list-kernels list-models list-tensors doctor dry-run", "each is an action of its own"},
                  {"device kernel isa threads plugin profile cache launch streams compare split tune self-test runs "
                   "baseline save-baseline journal resume",
                   "nothing is timed; kernels of the CPU quantize"},
                  {"op scale static-scale", "tensors are quantized with scales of their own"}}},
    {.name = "calibrate", .value = "METHOD...", .is_optional = true, .fixed = "all",
     .help = "measure no time; find static scales for activations of which the tensors are dumps: %w; report what they "
             "lose to dynamic scales",
     .parse = option_methods, TARGET(calibrating.methods), .words = calibration_words,
     .excludes = {{"list-devices list-kernels list-models list-tensors doctor dry-run against quality cases serve",
                   "each is an action of its own"},
                  {"device kernel isa threads plugin profile cache launch streams compare split tune self-test runs "
                   "baseline save-baseline journal resume plot best num-warmup-iters num-iters rounds precision max-time "
                   "regime strict no-verify seed",
                   "nothing is timed, and no data are drawn; kernels of the CPU quantize"},
                  {"op scale static-scale scale-ub tensor-scale", "static scales are what is found"}},
     .requires = {.names = "input"}},
    {.name = "dumps-of", .value = "NAME",
     .help = "the tensor that all are dumps of; or, with {} in it, a pattern of names: {}-* has q-1 and q-2 for dumps of q "
             "[those of the same name]",
     .parse = option_name, TARGET(calibrating.dumps_of), .requires = {.names = "calibrate"}},
    {.name = "save-scales", .value = "FILE",
     .help = "write the scales as tensors to FILE, a safetensors file",
     .parse = option_file, TARGET(calibrating.save_scales), .requires = {.names = "calibrate"}},
    {.name = "scale-names", .value = "HOW", .fallback = "modelopt",
     .help = "as which checkpoints name them: %w [%d]",
     .parse = option_word_of, TARGET(calibrating.naming), .words = scale_names, .requires = {.names = "calibrate"}},
    {.name = "rate-scales", .value = "FILE",
     .help = "also rate the scales that FILE, a safetensors file, has for these tensors",
     .parse = option_file, TARGET(calibrating.rate_scales), .requires = {.names = "calibrate"}},

    {.heading = "The operation"},
    {.name = "op", .value = "WHAT...", .fallback = "quantize",
     .help = "what a kernel does: %w [%d]; those of gates, norms and heads quantize the values that they compute",
     .parse = option_words_of, TARGET(sweep.operations), .word = operation_word},
    {.name = "intermediate", .value = "HOW...",
     .help = "rounding of these values: %w (input: each result to the input's type; last: the last result only; float: "
             "none) [input]",
     .parse = option_words_of, TARGET(sweep.intermediates), .word = intermediate_word},
    {.name = "keep-values",
     .help = "write these values too",
     .parse = option_flag, TARGET(sweep.keep_values), .choice = true},
    {.name = "gelu", .value = "HOW...",
     .help = "gelu-mul: %w; the approximation by tanh, or GELU itself by the error function [tanh]",
     .parse = option_words_of, TARGET(sweep.gelus), .word = gelu_word},
    {.name = "gate", .value = "HOW...",
     .help = "places of gate and up in a row of silu-mul or gelu-mul: %w [halves]",
     .parse = option_words_of, TARGET(sweep.gates), .word = gate_word},
    {.name = "gate-limit", .value = "X",
     .help = "silu-mul, gelu-mul: upper bound of the gate, and of the magnitude of up [none]",
     .parse = option_bound, TARGET(sweep.gate_limit)},
    {.name = "alpha", .value = "X",
     .help = "silu-mul: factor of the gate in the sigmoid [1]",
     .parse = option_bound, TARGET(sweep.alpha)},
    {.name = "up-offset", .value = "X",
     .help = "silu-mul, gelu-mul: added to up [0]",
     .parse = option_finite, TARGET(sweep.up_offset), CHOSEN(sweep.chose_up_offset)},
    {.name = "weights", .value = "TYPE...",
     .help = "type of the weights of rms-norm and add-rms-norm, or of the cosines and sines of rope: %w [input]",
     .parse = option_words_of, TARGET(sweep.weights), .word = weights_word},
    {.name = "epsilon", .value = "X", .fallback = "1e-6",
     .help = "added to the mean of the squares of rms-norm and add-rms-norm [%d]",
     .parse = option_not_negative, TARGET(sweep.epsilon), CHOSEN(sweep.chose_epsilon)},
    {.name = "head-size", .value = "N", .fallback = "128",
     .help = "rope, kv-write, kv-read: elements of a head; rows have several, those of caches keys and then values [%d]",
     .parse = option_whole, .min = 2, .max = OPTION_MAX_DIMENSION, TARGET(sweep.head_size),
     CHOSEN(sweep.chose_head_size)},
    {.name = "rotary", .value = "N",
     .help = "rope: the elements of each head that are rotated, an even number [all]",
     .parse = option_whole, .min = 2, .max = OPTION_MAX_DIMENSION, TARGET(sweep.rotary)},
    {.name = "pairing", .value = "HOW...",
     .help = "rope: elements that are rotated together: %w (halves: as in GPT-NeoX; adjacent: as in GPT-J) [halves]",
     .parse = option_words_of, TARGET(sweep.pairings), .word = pairing_word},
    {.name = "positions", .value = "N", .fallback = "4096",
     .help = "rope: positions that there are cosines and sines for [%d]",
     .parse = option_whole, .min = 1, .max = OPTION_MAX_DIMENSION, TARGET(sweep.positions),
     CHOSEN(sweep.chose_positions)},
    {.name = "page-size", .value = "N...", .fallback = "16",
     .help = "kv-write, kv-read: tokens of a page of the cache [%d]",
     .parse = option_dimensions, TARGET(sweep.page_sizes), CHOSEN(sweep.chose_page_size), .min = 1, .max = OPTION_MAX_DIMENSION},
    {.name = "pages", .value = "N",
     .help = "kv-write, kv-read: pages of the cache [a fourth more than the tokens take]",
     .parse = option_whole, TARGET(sweep.pages), .min = 1, .max = 1000000000},
    {.name = "page-layout", .value = "HOW...",
     .help = "kv-write, kv-read: %w; the heads of a token side by side in a page, or the tokens of a head [nhd]",
     .parse = option_words_of, TARGET(sweep.page_layouts), .word = page_layout_word},
    {.name = "experts", .value = "N",
     .help = "quantize, silu-mul, gelu-mul: the rows are those of N experts, each with its scales [none]",
     .parse = option_whole, TARGET(sweep.experts), .min = 1, .max = 4096},
    {.name = "expert-rows", .value = "HOW...",
     .help = "%w: the rows of one expert after those of another; or as much room for each, of which a part is filled "
             "[offsets]",
     .parse = option_words_of, TARGET(sweep.expert_rows), .word = expert_rows_word, .requires = {.names = "experts"}},
    {.name = "expert-tokens", .value = "N",
     .help = "rows that the experts have together [--num-tokens; of masked rows half of them]",
     .parse = option_whole, TARGET(sweep.expert_tokens), .min = 1, .max = 1000000000,
     .requires = {.names = "experts"}},
    {.name = "expert-load", .value = "HOW", .fallback = "even",
     .help = "how these are shared out: %w (to a fourth of the experts) [%d]",
     .parse = option_word_of, TARGET(sweep.expert_load), .word = expert_load_word,
     .requires = {.names = "experts"}},

    {.heading = "Where to run it"},
    {.name = "device", .value = "NAME...", .fallback = "auto",
     .help = "auto, cpu, cuda, cuda:N; auto is the first CUDA device, else the CPU [%d]",
     .parse = option_names, TARGET(place.devices)},
    {.name = "kernel", .value = "PATTERN...",
     .help = "run these kernels instead of the best one; a wildcard runs all that match",
     .parse = option_kernels, TARGET(sweep.kernels)},
    {.name = "isa", .value = "NAME...",
     .help = "run the best of the kernels cpu_NAME and cpu_NAME_...: %w; auto is the best that the CPU has",
     .parse = option_isas, TARGET(sweep.kernels), .words = isa_words},
    {.name = "plugin", .value = "FILE",
     .help = "load third-party kernels from the shared object FILE; may be given several times",
     .parse = option_another_name, TARGET(foreign.plugins)},
    {.name = "isolate",
     .help = "run every kernel in a separate process, not only those of plug-ins",
     .parse = option_flag, TARGET(foreign.isolate), .choice = ISOLATE_ALL},
    {.name = "no-isolate",
     .help = "run all kernels in this process",
     .parse = option_flag, TARGET(foreign.isolate), .choice = ISOLATE_NONE},
    {.name = "kernel-timeout", .value = "N", .fallback = "60",
     .help = "seconds after which a kernel in a separate process is taken to hang [%d]",
     .parse = option_whole, TARGET(foreign.kernel_timeout), .min = 1, .max = 1000000},
    {.name = "threads", .value = "N...",
     .help = "threads of the CPU kernels [the number of usable CPUs]",
     .parse = option_wholes, TARGET(sweep.threads), .min = 1, .max = 1024},
    {.name = "bind", .value = "WHERE", .fallback = "cores",
     .help = "cores: each CPU thread stays on one; none: Linux moves them [%d]",
     .parse = option_word_of, TARGET(place.bind), CHOSEN(place.chose_bind), .words = bind_words},
    {.name = "hugepages", .value = "KIND", .fallback = "thp",
     .help = "pages of the CPU's memory: %w [%d]",
     .parse = option_word_of, TARGET(place.huge_pages), CHOSEN(place.chose_huge_pages), .words = huge_page_words},
    {.name = "streams", .value = "N...", .fallback = "1",
     .help = "tensors that are quantized at the same time, each on its own stream [%d]",
     .parse = option_wholes, TARGET(sweep.streams), .min = 1, .max = SETTINGS_MAX_STREAMS},
    {.name = "list-devices",
     .help = "list the devices, or why there are none",
     .parse = option_flag, TARGET(action), .choice = ACTION_LIST_DEVICES},
    {.name = "list-kernels",
     .help = "list the kernels and what each is for",
     .parse = option_flag, TARGET(action), .choice = ACTION_LIST_KERNELS},
    {.name = "list-models",
     .help = "list the models of --model and their sizes",
     .parse = option_flag, TARGET(action), .choice = ACTION_LIST_MODELS},
    {.name = "doctor",
     .help = "check this machine for what disturbs measurements, and name the remedies",
     .parse = option_flag, TARGET(action), .choice = ACTION_DOCTOR},

    {.heading = "How to measure"},
    {.name = "cache", .value = "STATE...", .fallback = "cold",
     .help = "cold: data come from memory; hot: from the cache; both [%d]",
     .parse = option_caches, TARGET(sweep.caches), .words = cache_choices},
    {.name = "launch", .value = "HOW...",
     .help = "graph: launches follow each other in a graph; stream: the host launches one by one; isolated: one launch "
             "on an idle queue [graph; on the CPU: stream]",
     .parse = option_words_of, TARGET(sweep.launches), .words = launch_choices},
    {.name = "num-warmup-iters", .value = "N", .fallback = "5",
     .help = "samples that are run and not counted [%d]",
     .parse = option_whole, TARGET(method.num_warmup_iters), .max = 1000000},
    {.name = "num-iters", .value = "N", .fallback = "100",
     .help = "samples that are timed [%d]; each is the mean of a block of launches",
     .parse = option_whole, TARGET(method.num_iters), .min = 1, .max = 1000000},
    {.name = "rounds", .value = "N",
     .help = "number of rounds that the samples are spread over; each visits all cases in random order [10], or 20 if "
             "they are compared",
     .parse = option_whole, TARGET(method.rounds), .min = 1, .max = 10000},
    {.name = "precision", .value = "PERCENT",
     .help = "instead of --num-iters: until half the 95 % confidence interval is at most this share of the median",
     .parse = option_real, TARGET(method.precision), .max = 100, .divisor = 100,
     .excludes = {{"num-iters", "both say how many samples there are"}}},
    {.name = "timeout", .value = "X", .fallback = "15",
     .help = "seconds that a case may take to reach --precision [%d]",
     .parse = option_real, TARGET(method.timeout), .max = 1000000, .divisor = 1,
     .requires = {.names = "precision"}},
    {.name = "max-time", .value = "SECONDS", .fallback = "60",
     .help = "seconds that the samples of a case may take; then it ends with those that it has [%d]",
     .parse = option_real, TARGET(method.max_time), CHOSEN(method.chose_max_time), .max = 1000000, .divisor = 1},
    {.name = "regime", .value = "HOW", .fallback = "sustained",
     .help = "sustained: the device is kept busy; burst: it rests before each sample [%d]",
     .parse = option_word_of, TARGET(method.regime), .word = regime_word},
    {.name = "process-state", .value = "STATE", .fallback = "one-stream",
     .help = "CUDA: one-stream, or several-streams: as in a process that launches into several [%d]",
     .parse = option_word_of, TARGET(method.state), .word = state_word},
    {.name = "strict", .about = OPTION_RUNS,
     .help = "exit status 5 if a result is in doubt, or if there is no verdict",
     .parse = option_flag, TARGET(comparing.strict), .choice = true},
    {.name = "profile",
     .help = "for nsys and ncu: profile and time exactly one launch; --num-iters is ignored",
     .parse = option_flag, TARGET(method.profile), .choice = true,
     .excludes = {{"launch streams cache precision", "a profile has one launch"},
                  {"runs baseline save-baseline", "a profile is of one process"}}},
    {.name = "dependent-launch",
     .help = "CUDA: let each kernel start while the previous one ends",
     .parse = option_flag, TARGET(method.dependent_launch), .choice = true},
    {.name = "start-at", .value = "EPOCH", .about = OPTION_RUNS,
     .help = "begin the first round at this moment, in seconds since 1970, as other machines do",
     .parse = option_real, TARGET(method.start_at), .max = 100000000000, .divisor = 1,
     .excludes = {{"runs baseline save-baseline", "these processes begin one after the other"}}},
    {.name = "round-gate", .value = "IN,OUT", .about = OPTION_RUNS,
     .help = "begin each round when a byte comes from descriptor IN; OUT gets a line before and after each",
     .parse = option_wholes, TARGET(method.gate), .max = 1023,
     .excludes = {{"runs baseline save-baseline", "a gate is for one process"}}},
    {.name = "no-verify",
     .help = "do not compare the codes with the reference",
     .parse = option_flag, TARGET(method.verify), .choice = false},
    {.name = "soak", .value = "DURATION", .about = OPTION_RUNS,
     .help = "time nothing; for 90s, 30min, 8h or 2d, or for as many rounds as 100x says, launch all kernels on data "
             "that change, and compare all bytes that they write",
     .parse = option_soak, TARGET(method.soak),
     .excludes = {{"list-devices list-kernels list-models list-tensors doctor dry-run quality calibrate against report fleet",
                   "each is an action of its own"},
                  {"compare split tune self-test runs baseline save-baseline precision profile num-iters "
                   "num-warmup-iters rounds max-time regime cache launch streams dependent-launch strict plot journal "
                   "resume",
                   "nothing is timed"},
                  {"input plugin isolate no-verify", "the data change, and kernels of ours are compared"}}},
    {.name = "soak-first", .value = "N", .about = OPTION_RUNS,
     .help = "begin with this round of a soak, as to repeat it",
     .parse = option_whole, TARGET(method.soak_first), .max = 1000000000, .requires = {.names = "soak"}},
    {.name = "dry-run",
     .help = "list the cases, their memory and a rough estimate of the time, and run nothing",
     .parse = option_flag, TARGET(action), .choice = ACTION_DRY_RUN},

    {.heading = "Comparing"},
    {.name = "compare", .value = "WHAT...",
     .help = "compare these kernels with the first, or the values of a swept option: %w (with --op on "
             "CUDA devices: one launch with several)",
     .parse = option_compare, TARGET(comparing.compare), .words = compare_words, COMPARISON},
    {.name = "split",
     .help = "the cost of dynamic scales: compare static and dynamic scales, and the scales alone",
     .parse = option_words_of, TARGET(sweep.scalings), CHOSEN(comparing.split), .word = scaling_word, .fixed = "static,dynamic,amax",
     COMPARISON},
    {.name = "tune",
     .help = "compare all kernels that support the case with the one that is chosen automatically",
     .parse = option_flag, TARGET(comparing.tune), .choice = true, COMPARISON},
    {.name = "self-test",
     .help = "compare a kernel with itself 20 times: the false positives, and the slowdown that would be found",
     .parse = option_flag, TARGET(comparing.self_test), .choice = true, COMPARISON},
    {.name = "runs", .value = "N", .about = OPTION_RUNS,
     .help = "measure in N new processes; the median of each is one sample",
     .parse = option_whole, TARGET(comparing.runs), .min = 1, .max = 1000},
    {.name = "save-baseline", .value = "FILE", .about = OPTION_RUNS,
     .help = "write the times of 10 runs, or as --runs says, as a baseline",
     .parse = option_file, TARGET(comparing.save_baseline)},
    {.name = "baseline", .value = "FILE", .about = OPTION_RUNS,
     .help = "compare with the times that --save-baseline wrote to FILE",
     .parse = option_file, TARGET(comparing.baseline_file)},
    {.name = "margin", .value = "PERCENT", .fallback = "1", .about = OPTION_RUNS,
     .help = "differences up to this do not count [%d]",
     .parse = option_percent, TARGET(comparing.margin), .divisor = 100},
    {.name = "force", .about = OPTION_RUNS,
     .help = "compare with a baseline of another device, driver or other data, and save one in doubt",
     .parse = option_flag, TARGET(comparing.force), .choice = true,
     .requires = {.names = "baseline save-baseline"}},

    {.heading = "Output"},
    {.name = "format", .value = "FORMAT", .fallback = "text", .about = OPTION_REPORTS,
     .help = "format of standard output: %w [%d]",
     .parse = option_report_format, TARGET(reporting.format), .word = report_word},
    {.name = "output", .value = "[FORMAT:]FILE", .about = OPTION_REPORTS,
     .help = "write FILE too, in the format of its suffix, %w, or in FORMAT; may be given several times",
     .parse = option_output, TARGET(reporting.outputs), .word = suffix_word, FOR_RESULTS(STANDARD_OUTPUT)},
    {.name = "plot", .value = "[KIND:]FILE", .is_optional = true, .about = OPTION_REPORTS,
     .help = "have gnuplot draw a picture: FILE is a .svg, .png, .pdf, .html or, for the script, .gp; without FILE it "
             "appears in the terminal; KIND is %w; may be given several times",
     .parse = option_plot, TARGET(reporting.plots), .words = picture_words,
     .excludes = {{LISTS, "a picture is of results"}, {"self-test", "a picture is of results"}}},
    {.name = "junit", .value = "FILE", .about = OPTION_REPORTS,
     .help = "the same as --output=junit:FILE",
     .parse = option_output_as, TARGET(reporting.outputs), .fixed = "junit", FOR_RESULTS(LISTS)},
    {.name = "journal", .value = "FILE", .about = OPTION_RUNS,
     .help = "write each finished part of the run to FILE at once, for --resume",
     .parse = option_file, TARGET(reporting.journal_file),
     .excludes = {IN_ONE_PROCESS, {"resume", "--resume continues its own journal"}}},
    {.name = "resume", .value = "FILE", .about = OPTION_RUNS,
     .help = "continue the run whose journal is FILE",
     .parse = option_file, TARGET(reporting.resume_file), .excludes = {IN_ONE_PROCESS}},
    {.name = "best", .value = "RULE", .about = OPTION_REPORTS,
     .help = "of several tensors, also report the best way for each: snr: the largest SNR; bytes:35dB: the fewest bytes "
             "with an SNR of 35 dB at least",
     .parse = option_best, TARGET(reporting.best), .words = best_rules, .requires = {.names = "input report"},
     .excludes = {{"list-tensors", "it needs the quality of several tensors"}}},
    {.name = "report", .value = "FILE", .about = OPTION_REPORTS,
     .help = "report the record in FILE, from --format=json, and measure nothing; several are reported as one, with their "
             "hosts",
     .parse = option_another_name, TARGET(reporting.report_files),
     .excludes = {{"*", "nothing is measured"}}},
    {.name = "fleet", .value = "FILE...", .about = OPTION_REPORTS,
     .help = "report the devices whose records are in these files and folders: those that are slow, wrong or missing",
     .parse = option_names, TARGET(reporting.fleet),
     .excludes = {{"*", "nothing is measured"}, {"report", "both say what is reported"}}},
    {.name = "expect", .value = "FILE", .about = OPTION_REPORTS,
     .help = "name those that are missing of the hosts that FILE lists, or of a number of devices",
     .parse = option_file, TARGET(reporting.expect),
     .requires = {.names = "fleet"}},
    {.name = "fleet-margin", .value = "PERCENT", .about = OPTION_REPORTS,
     .help = "slowdowns up to this do not count [2, or 4 standard deviations of the devices if that is more]",
     .parse = option_real, TARGET(reporting.fleet_margin), .max = 100, .divisor = 100,
     .requires = {.names = "fleet"}},
    {.letter = 'q', .name = "quiet", .about = OPTION_REPORTS,
     .help = "results and errors only",
     .parse = option_flag, TARGET(reporting.quiet), .choice = true},
    {.letter = 'v', .name = "verbose", .about = OPTION_REPORTS,
     .help = "say more about what runs and why",
     .parse = option_flag, TARGET(reporting.verbose), .choice = true},
    {.letter = 'h', .name = "help",
     .help = "print this and exit",
     .parse = option_flag, TARGET(action), .choice = ACTION_HELP},
    {.letter = 'V', .name = "version",
     .help = "print the version and exit",
     .parse = option_flag, TARGET(action), .choice = ACTION_VERSION},
};
/* clang-format on */
const size_t options_count = sizeof options / sizeof options[0];
_Static_assert(sizeof options / sizeof options[0] <= OPTIONS_MAX, "OPTIONS_MAX");

/* ---- What a row says -------------------------------------------------------------------------------------------- */

const struct option_row *option_find(const char *name)
{
    for (size_t i = 0; i < options_count; i++) {
        if (options[i].name != NULL && strcmp(options[i].name, name) == 0) {
            return &options[i];
        }
    }
    return NULL;
}

const char *option_word(const struct option_row *row, size_t index)
{
    if (row->word != NULL) {
        return row->word(index);
    }
    return row->words != NULL ? row->words[index] : NULL;
}

const char *option_words(const struct option_row *row, const char *last, char text[OPTION_WORDS_SIZE])
{
    const char *word;

    text[0] = '\0';
    for (size_t i = 0; (word = option_word(row, i)) != NULL; i++) {
        size_t length = strlen(text);

        snprintf(text + length, OPTION_WORDS_SIZE - length, "%s%s",
                 i == 0                            ? ""
                 : option_word(row, i + 1) == NULL ? last
                                                   : ", ",
                 word);
    }
    return text;
}

/* True if NAME is one of NAMES, which single spaces separate. */
static bool is_among(const char *name, const char *names)
{
    const size_t length = strlen(name);

    while (names[0] != '\0') {
        size_t next = strcspn(names, " ");

        if (next == length && strncmp(names, name, length) == 0) {
            return true;
        }
        names += next + (names[next] == ' ');
    }
    return false;
}

bool option_relates(const struct option_row *row, const struct option_relation *relation,
                    const struct option_row *other)
{
    if (relation->names == NULL || other->name == NULL || other == row) {
        return false;
    }
    if (strcmp(relation->names, "*") == 0) {
        return other->about != OPTION_REPORTS;
    }
    return is_among(other->name, relation->names);
}
