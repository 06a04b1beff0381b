/* SPDX-License-Identifier: Apache-2.0 */
/* check_options.c - the table of options: each row is whole, what it excludes and requires is enforced, defaults are
 * what the rows say, and --help fits. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* open_memstream() */
#endif
#include <config.h>

#include "base/nearest.h"
#include "cases/operations.h"
#include "cases/quantization.h"
#include "cli/options.h"
#include "model/problem_text.h"
#include "report/report.h"
#include "run.h"

#include <getopt.h>
#include <string.h>
#include <unistd.h>

#define ARGUMENTS_MAX 6

/* Parse up to ARGUMENTS_MAX arguments, NULL after the last, into ARGS. */
static enum exit_code parse(struct settings *settings, const char *const arguments[])
{
    static char copies[ARGUMENTS_MAX][64];
    char *argv[ARGUMENTS_MAX + 2] = {(char[]){"quantbench"}};
    int count = 1;

    for (; arguments[count - 1] != NULL; count++) {
        ck_assert_int_le(count, ARGUMENTS_MAX);
        snprintf(copies[count - 1], sizeof copies[0], "%s", arguments[count - 1]);
        argv[count] = copies[count - 1];
    }
    optind = 0; /* glibc: from the beginning */
    return args_parse(count, argv, settings);
}

/* Parse ARGUMENTS, and set TEXT to what is printed of it. */
static enum exit_code parse_with_errors(const char *const arguments[], char *text, size_t size)
{
    FILE *file = tmpfile();
    int kept = dup(STDERR_FILENO);
    struct settings settings;
    enum exit_code code;
    size_t length;

    ck_assert_ptr_nonnull(file);
    ck_assert_int_ge(kept, 0);
    ck_assert_int_ge(dup2(fileno(file), STDERR_FILENO), 0);
    code = parse(&settings, arguments);
    fflush(stderr);
    ck_assert_int_ge(dup2(kept, STDERR_FILENO), 0);
    close(kept);
    args_free(&settings);
    rewind(file);
    length = fread(text, 1, size - 1, file);
    text[length] = '\0';
    fclose(file);
    return code;
}

/* Set ARGUMENT to the option of ROW with a value that it accepts. */
static void give(const struct option_row *row, char argument[64])
{
    static const char *const of_lists[][2] = {
        {"model", "llama3-8b"}, {"output", "file.csv"}, {"scale-ub", "1"},     {"gate-limit", "7"}, {"alpha", "2"},
        {"up-offset", "1"},     {"rotary", "64"},       {"round-gate", "3,4"}, {"start-at", "1"},   {"soak", "3x"}};
    const char *value = row->fallback;
    char number[32];

    for (size_t i = 0; i < sizeof of_lists / sizeof of_lists[0]; i++) {
        if (strcmp(row->name, of_lists[i][0]) == 0) {
            value = of_lists[i][1];
        }
    }
    if (value == NULL && row->value != NULL) {
        snprintf(number, sizeof number, "%d", (int)row->max);
        value = option_word(row, 0) != NULL ? option_word(row, 0) : row->max > 0 ? number : "some";
    }
    snprintf(argument, 64, "--%s%s%s", row->name, row->value != NULL ? "=" : "", row->value != NULL ? value : "");
}

START_TEST(test_names_and_letters)
{
    const struct option_row *row = &options[_i];

    if (row->heading != NULL) {
        ck_assert_ptr_null(row->name);
        return;
    }
    ck_assert_ptr_eq(option_find(row->name), row);
    ck_assert_ptr_nonnull(row->help);
    ck_assert_ptr_nonnull(row->parse);
    for (size_t i = 0; i < (size_t)_i && row->letter != 0; i++) {
        ck_assert_int_ne(options[i].letter, row->letter);
    }
}
END_TEST

/* True if NAMES are all options, or "*". */
static bool are_options(const char *names)
{
    char text[256], *rest = text, *name;

    ck_assert_uint_lt(strlen(names), sizeof text);
    snprintf(text, sizeof text, "%s", names);
    while ((name = strsep(&rest, " ")) != NULL) {
        if (option_find(name) == NULL && strcmp(name, "*") != 0) {
            return false;
        }
    }
    return true;
}

START_TEST(test_relations_name_options)
{
    const struct option_row *row = &options[_i];

    for (size_t i = 0; i <= OPTION_EXCLUDES; i++) {
        const struct option_relation *relation = i < OPTION_EXCLUDES ? &row->excludes[i] : &row->requires;

        ck_assert_int_eq(relation->names == NULL || i == OPTION_EXCLUDES, relation->why == NULL);
        ck_assert_msg(relation->names == NULL || are_options(relation->names), "--%s: %s", row->name, relation->names);
    }
}
END_TEST

START_TEST(test_words)
{
    const struct option_row *row = &options[_i];
    char words[OPTION_WORDS_SIZE];
    const char *word;

    if (row->words == NULL && row->word == NULL) {
        return;
    }
    ck_assert_ptr_nonnull(option_word(row, 0));
    for (size_t i = 0; (word = option_word(row, i)) != NULL; i++) {
        ck_assert_uint_gt(strlen(word), 0);
        ck_assert_ptr_nonnull(strstr(option_words(row, ", ", words), word));
        ck_assert_uint_lt(strlen(words), sizeof words - 1);
    }
}
END_TEST

/* An option takes the words that are its values; "group:G" has a part that a user fills in. */
START_TEST(test_words_are_accepted)
{
    const struct option_row *row = &options[_i];
    struct settings settings = {0};
    const char *word;

    for (size_t i = 0; row->value != NULL && (word = option_word(row, i)) != NULL; i++) {
        char value[32];

        snprintf(value, sizeof value, "%s", word);
        if (strchr(value, ':') != NULL) {
            snprintf(strchr(value, ':'), sizeof value - strlen(word), strchr(word, 'x') != NULL ? ":2x3" : ":2");
        }
        if (word[0] != '.') { /* a suffix */
            ck_assert_msg(row->parse(row, value, &settings), "--%s=%s", row->name, value);
        }
    }
    args_free(&settings);
}
END_TEST

START_TEST(test_words_are_refused)
{
    const struct option_row *row = &options[_i];
    char argument[64], text[2048];

    if (row->value == NULL || option_word(row, 0) == NULL || strcmp(row->name, "compare") == 0) {
        return;
    }
    snprintf(argument, sizeof argument, "--%s=bogus", row->name);
    ck_assert_int_eq(parse_with_errors((const char *[]){argument, NULL}, text, sizeof text), EXIT_USAGE);
    ck_assert_ptr_nonnull(strstr(text, row->name));
    ck_assert_ptr_nonnull(strstr(text, "'bogus'"));
    for (size_t i = 0; option_word(row, i) != NULL; i++) {
        ck_assert_msg(strstr(text, option_word(row, i)) != NULL, "%s: %s", option_word(row, i), text);
    }
}
END_TEST

/* Values outside a row's range are refused, those at its ends accepted. */
START_TEST(test_ranges)
{
    const struct option_row *row = &options[_i];
    struct settings settings = {0};
    char value[32];

    if (row->max == 0 || option_word(row, 0) != NULL) {
        return;
    }
    snprintf(value, sizeof value, "%llu", (unsigned long long)row->max);
    ck_assert(row->parse(row, value, &settings));
    snprintf(value, sizeof value, "%llu", (unsigned long long)row->max + 1);
    ck_assert(!row->parse(row, value, &settings));
    if (row->divisor > 0) { /* above MIN */
        snprintf(value, sizeof value, "%llu", (unsigned long long)row->min);
        ck_assert(!row->parse(row, value, &settings));
    } else {
        snprintf(value, sizeof value, "%llu", (unsigned long long)row->min);
        ck_assert(row->parse(row, value, &settings));
        snprintf(value, sizeof value, "%lld", (long long)row->min - 1);
        ck_assert(!row->parse(row, value, &settings));
    }
    args_free(&settings);
}
END_TEST

START_TEST(test_fallbacks_parse)
{
    const struct option_row *row = &options[_i];
    struct settings settings = {0};

    if (row->fallback != NULL) {
        ck_assert_ptr_nonnull(row->value);
        ck_assert_ptr_nonnull(strstr(row->help, "%d"));
        ck_assert(row->parse(row, row->fallback, &settings));
    } else {
        ck_assert(row->help == NULL || strstr(row->help, "%d") == NULL);
    }
    args_free(&settings);
}
END_TEST

START_TEST(test_help_fits)
{
    const struct option_row *row = &options[_i];
    char *text = NULL, *line, *rest;
    size_t size;
    FILE *stream = open_memstream(&text, &size);

    ck_assert_ptr_nonnull(stream);
    option_print_help(row, stream);
    ck_assert_int_eq(fclose(stream), 0);
    rest = text;
    for (int i = 0; (line = strsep(&rest, "\n")) != NULL; i++) {
        ck_assert_msg(strlen(line) <= OPTION_HELP_WIDTH, "%s", line);
        ck_assert_msg(row->heading != NULL || strlen(line) == 0 || (line[29] == ' ' && line[30] > ' '), "%s", line);
        ck_assert_msg(strpbrk(line, "%") == NULL || strstr(line, "95 %") != NULL, "%s", line);
    }
    free(text);
}
END_TEST

/* Options that a row excludes are refused beside it, in both orders, and the message names both. */
START_TEST(test_excluded_options)
{
    const struct option_row *row = &options[_i];
    char self[64], other[64], text[1024];

    for (size_t i = 0; i < OPTION_EXCLUDES * options_count; i++) {
        const struct option_row *excluded = &options[i / OPTION_EXCLUDES];
        enum exit_code codes[2];

        if (!option_relates(row, &row->excludes[i % OPTION_EXCLUDES], excluded) ||
            strcmp(excluded->name, "help") == 0 || strcmp(excluded->name, "version") == 0) {
            continue;
        }
        give(row, self);
        give(excluded, other);
        codes[0] = parse_with_errors((const char *[]){other, self, NULL}, text, sizeof text);
        codes[1] = parse_with_errors((const char *[]){self, other, NULL}, text, sizeof text);
        ck_assert_msg(codes[0] == EXIT_USAGE && codes[1] == EXIT_USAGE, "%s %s: %s", self, other, text);
        /* What it requires may be named in its place. */
        ck_assert_msg(excluded->requires.names != NULL ||
                          (strstr(text, row->name) != NULL && strstr(text, excluded->name) != NULL),
                      "%s %s: %s", self, other, text);
    }
}
END_TEST

START_TEST(test_required_options)
{
    const struct option_row *row = &options[_i], *wanted;
    char self[64], other[64], third[64], text[1024];

    if (row->requires.names == NULL) {
        return;
    }
    give(row, self);
    snprintf(other, sizeof other, "%.*s", (int)strcspn(row->requires.names, " "), row->requires.names);
    give(option_find(other), other);
    ck_assert_int_eq(parse_with_errors((const char *[]){self, NULL}, text, sizeof text), EXIT_USAGE);
    ck_assert_ptr_nonnull(strstr(text, row->name));
    ck_assert_ptr_nonnull(strstr(text, "requires --"));
    other[strcspn(other, "=")] = '\0';
    ck_assert_ptr_nonnull(strstr(text, other));
    wanted = option_find(other + strlen("--"));
    give(wanted, other);
    if (wanted->requires.names != NULL) { /* in its turn */
        give(option_find(wanted->requires.names), third);
    }
    ck_assert_int_eq(
        parse_with_errors((const char *[]){self, other, wanted->requires.names != NULL ? third : NULL, NULL}, text,
                          sizeof text),
        EXIT_OK);
    ck_assert_str_eq(text, "");
}
END_TEST

/* An operation that reads what the option of ROW says; NULL: one that is chosen without --op. */
static const char *operation_of(const struct option_row *row)
{
    static const char *const of_gated[] = {"intermediate", "keep-values", "gate", "gate-limit", "alpha", "up-offset"};
    static const char *const of_gelu[] = {"gelu"};
    static const char *const of_norms[] = {"weights", "epsilon"};
    static const char *const of_rope[] = {"head-size", "rotary", "pairing", "positions"};
    static const char *const of_caches[] = {"page-size", "pages", "page-layout"};

    for (size_t i = 0; i < sizeof of_gated / sizeof of_gated[0]; i++) {
        if (strcmp(row->name, of_gated[i]) == 0) {
            return "--op=silu-mul";
        }
    }
    for (size_t i = 0; i < sizeof of_gelu / sizeof of_gelu[0]; i++) {
        if (strcmp(row->name, of_gelu[i]) == 0) {
            return "--op=gelu-mul";
        }
    }
    for (size_t i = 0; i < sizeof of_norms / sizeof of_norms[0]; i++) {
        if (strcmp(row->name, of_norms[i]) == 0) {
            return "--op=rms-norm";
        }
    }
    for (size_t i = 0; i < sizeof of_rope / sizeof of_rope[0]; i++) {
        if (strcmp(row->name, of_rope[i]) == 0) {
            return "--op=rope";
        }
    }
    for (size_t i = 0; i < sizeof of_caches / sizeof of_caches[0]; i++) {
        if (strcmp(row->name, of_caches[i]) == 0) {
            return "--op=kv-write";
        }
    }
    return NULL;
}

/* An option that nothing forbids may stand alone, or beside an operation that reads it. */
START_TEST(test_alone)
{
    const struct option_row *row = &options[_i];
    char self[64], text[1024];
    enum exit_code code;

    if (row->name == NULL || row->requires.names != NULL) {
        return;
    }
    give(row, self);
    code = parse_with_errors((const char *[]){self, operation_of(row), NULL}, text, sizeof text);
    ck_assert_msg(code == EXIT_OK, "%s: %s", self, text);
}
END_TEST

/* One that no chosen operation reads is refused. */
START_TEST(test_option_of_an_operation)
{
    static const char *const operations[] = {"--op=quantize", "--op=dequantize,quantize"};
    const struct option_row *row = &options[_i];
    char self[64], text[1024];

    if (row->name == NULL || operation_of(row) == NULL) {
        return;
    }
    give(row, self);
    for (size_t i = 0; i < 2; i++) {
        ck_assert_int_eq(parse_with_errors((const char *[]){self, operations[i], NULL}, text, sizeof text), EXIT_USAGE);
        ck_assert_ptr_nonnull(strstr(text, row->name));
        ck_assert_ptr_nonnull(strstr(text, operations[i]));
        ck_assert_ptr_nonnull(strstr(text, "it requires "));
        ck_assert_ptr_nonnull(strstr(text, operation_of(row) + strlen("--op=")));
    }
}
END_TEST

static const struct {
    const char *arguments[ARGUMENTS_MAX];
    const char *error; /* "": there is none */
} operations[] = {
    {{"--op=silu-mul,rms-norm", "--epsilon=0", "--gate=interleaved"}, ""},
    {{"--op=gelu-mul", "--up-offset=-1.5"}, ""},
    {{"--op=dequantize", "--scale=static"}, ""},
    {{"--op=dequantize,quantize"}, ""},
    {{"--epsilon=0"}, "--epsilon: conflicts with --op=quantize; it requires rms-norm or add-rms-norm"},
    {{"--op=gelu-mul", "--alpha=2"}, "--alpha: conflicts with --op=gelu-mul; it requires silu-mul"},
    {{"--op=gelu-mul,silu-mul", "--gelu=tanh,erf"}, ""},
    {{"--op=silu-mul", "--gelu=erf"}, "--gelu: conflicts with --op=silu-mul; it requires gelu-mul"},
    {{"--op=gelu-mul", "--gelu=exact"}, "unknown value 'exact'"},
    {{"--op=silu-mul", "--weights=float"}, "--weights: conflicts with --op=silu-mul; it requires rms-norm"},
    {{"--keep-values"}, "it requires silu-mul, gelu-mul, rms-norm, add-rms-norm or rope"},
    {{"--op=rope", "--head-size=64", "--rotary=32", "--pairing=adjacent", "--positions=9"}, ""},
    {{"--op=rope", "--weights=float", "--keep-values", "--intermediate=float"}, ""},
    {{"--op=rms-norm", "--head-size=64"},
     "--head-size: conflicts with --op=rms-norm; it requires kv-write, rope or kv-read"},
    {{"--rotary=64"}, "--rotary: conflicts with --op=quantize; it requires rope"},
    {{"--op=rope", "--epsilon=1"}, "--epsilon: conflicts with --op=rope; it requires rms-norm or add-rms-norm"},
    {{"--op=rope", "--head-size=1"}, "--head-size: invalid value '1'"},
    {{"--op=rope", "--positions=0"}, "--positions: invalid value '0'"},
    {{"--op=dequantize", "--scale=dynamic"},
     "--scale=dynamic: conflicts with --op=dequantize, which reads its scales; expected --scale=static"},
    {{"--op=quantize,dequantize", "--scale=static,amax"}, "--scale=amax: conflicts with --op=dequantize"},
    {{"--op=dequantize", "--split"}, "--split: conflicts with --op=dequantize"},
    {{"--op=dequantize", "--quant-dtype=nvfp4", "--tensor-scale=computed"}, "use --tensor-scale=given"},
    {{"--op=dequantize", "--scale-ub=2"}, "--scale-ub: conflicts with --op=dequantize; it requires quantize,"},
    {{"--op=rms-norm", "--epsilon=-1"}, "--epsilon: invalid value '-1'; expected a finite number >= 0"},
    {{"--op=rms-norm", "--epsilon=inf"}, "expected a finite number >= 0"},
    {{"--op=silu-mul", "--up-offset=nan"}, "expected a finite number"},
    {{"--op=silu-mul", "--gate-limit=0"}, "expected a finite number > 0"},
    {{"--op=silu"}, "unknown value 'silu'"},
    {{"--op=kv-write", "--page-size=1,16", "--page-layout=hnd", "--head-size=64", "--pages=9"}, ""},
    {{"--op=kv-write", "--granularity=tensor,token,group:64"}, ""},
    {{"--op=kv-write", "--quant-dtype=fp8,nvfp4"}, ""},
    {{"--op=kv-write", "--quant-dtype=nvfp4", "--granularity=tensor"},
     "--quant-dtype=nvfp4: conflicts with --granularity=tensor"},
    {{"--op=kv-write", "--granularity=tensor,group:64", "--scale=static"}, ""},
    {{"--op=kv-write,quantize", "--granularity=token", "--scale-ub=2"}, ""},
    {{"--page-size=16"}, "--page-size: conflicts with --op=quantize; it requires kv-write or kv-read"},
    {{"--op=kv-write", "--epsilon=0"}, "--epsilon: conflicts with --op=kv-write; it requires rms-norm"},
    {{"--op=kv-write", "--split"},
     "--split: conflicts with --op=kv-write, whose scales are computed where the codes are"},
    {{"--op=kv-read", "--page-size=1,16", "--page-layout=hnd", "--head-size=64", "--pages=9"}, ""},
    {{"--op=kv-read,kv-write", "--granularity=tensor,token,group:64"}, ""},
    {{"--op=kv-read", "--granularity=tensor,group:64", "--scale=static"}, ""},
    {{"--op=kv-read", "--scale=dynamic", "--granularity=token,group:64"}, ""},
    {{"--op=kv-read", "--split"}, "--split: conflicts with --op=kv-read, which reads its scales"},
    {{"--op=kv-read", "--scale-ub=2"}, "--scale-ub: conflicts with --op=kv-read; it requires quantize,"},
    {{"--op=kv-read", "--scale=dynamic"},
     "--granularity=tensor: conflicts with --op=kv-read --scale=dynamic; it requires tensor or group:G with static"},
    {{"--op=kv-read", "--granularity=group:8", "--scale=amax"}, "--granularity=group: conflicts with --op=kv-read"},
    {{"--op=kv-write", "--scale=dynamic"},
     "--granularity=tensor: conflicts with --op=kv-write --scale=dynamic; it requires tensor or group:G with static"},
    {{"--op=kv-write", "--granularity=token", "--static-scale"}, "--granularity=token: conflicts with --op=kv-write"},
    {{"--op=kv-write", "--granularity=channel"}, "--granularity=channel: conflicts with --op=kv-write"},
    {{"--op=kv-write", "--granularity=group:8", "--scale=amax"}, "--granularity=group: conflicts with --op=kv-write"},
    {{"--op=kv-write", "--page-size=0"}, "--page-size: invalid value '0'"},
    {{"--op=kv-write", "--page-layout=dhn"}, "unknown value 'dhn'"},
};

/* What goes together with an operation. */
START_TEST(test_operations)
{
    char text[1024];
    enum exit_code code = parse_with_errors(operations[_i].arguments, text, sizeof text);

    if (operations[_i].error[0] == '\0') {
        ck_assert_int_eq(code, EXIT_OK);
        ck_assert_str_eq(text, "");
    } else {
        ck_assert_int_eq(code, EXIT_USAGE);
        ck_assert_msg(strstr(text, operations[_i].error) != NULL, "%s", text);
    }
}
END_TEST

/* The combinations are those that differ to their operation, whose other members have their defaults. */
START_TEST(test_swept_operations)
{
    static const char *const arguments[] = {"--op=quantize,dequantize,silu-mul,add-rms-norm",
                                            "--gate=halves,interleaved",
                                            "--intermediate=last,float",
                                            "--gate-limit=7",
                                            "--keep-values",
                                            NULL};
    const enum qb_operation wanted[] = {
        QB_OPERATION_QUANTIZE, QB_OPERATION_DEQUANTIZE, QB_OPERATION_SILU_MUL,     QB_OPERATION_SILU_MUL,
        QB_OPERATION_SILU_MUL, QB_OPERATION_SILU_MUL,   QB_OPERATION_ADD_RMS_NORM, QB_OPERATION_ADD_RMS_NORM,
    };
    struct settings settings;
    struct qb_problem p[8], plain;

    ck_assert_int_eq(parse(&settings, arguments), EXIT_OK);
    ck_assert_uint_eq(operations_count(&settings.sweep), 8);
    qb_problem_init(&plain);
    for (size_t i = 0; i < 8; i++) {
        qb_problem_init(&p[i]);
        operations_set(&settings.sweep, i, &p[i]);
        quantization_set(&settings.sweep, 0, &p[i]);
        ck_assert_int_eq(p[i].operation, wanted[i]);
        ck_assert_int_eq(qb_problem_validate(&p[i]), QB_OK);
        ck_assert_int_eq(p[i].scaling, i == 1 ? QB_SCALING_STATIC : QB_SCALING_DYNAMIC);
        ck_assert(p[i].gate_limit == (i >= 2 && i < 6 ? 7 : 0));
        ck_assert_int_eq(p[i].keep_values, i >= 2);
    }
    ck_assert_mem_eq(&p[0], &plain, sizeof plain);
    ck_assert_int_eq(p[2].intermediate, QB_INTERMEDIATE_LAST);
    ck_assert_int_eq(p[4].intermediate, QB_INTERMEDIATE_FLOAT);
    ck_assert_int_eq(p[2].gate, QB_GATE_HALVES);
    ck_assert_int_eq(p[3].gate, QB_GATE_INTERLEAVED);
    ck_assert(p[5].epsilon == 0 && p[6].epsilon == PROBLEM_EPSILON && p[7].gate == QB_GATE_HALVES);
    args_free(&settings);
}
END_TEST

START_TEST(test_defaults)
{
    struct settings settings;

    ck_assert_int_eq(parse(&settings, (const char *[]){NULL}), EXIT_OK);
    ck_assert_int_eq(settings.action, ACTION_MEASURE);
    ck_assert_uint_eq(settings.sweep.num_tokens.count, 1);
    ck_assert_uint_eq(settings.sweep.num_tokens.values[0], 4096);
    ck_assert_uint_eq(settings.sweep.hidden_sizes.values[0], 8192);
    ck_assert_uint_eq(settings.sweep.dtypes.values[0], QB_FORMAT_F16);
    ck_assert_uint_eq(settings.sweep.quant_dtypes.values[0], QB_FORMAT_INT8);
    ck_assert_int_eq(settings.sweep.granularities.values[0].kind, QB_GRANULARITY_TENSOR);
    ck_assert_uint_eq(settings.sweep.scalings.count, 1);
    ck_assert_uint_eq(settings.sweep.scalings.values[0], QB_SCALING_DYNAMIC);
    ck_assert_uint_eq(settings.sweep.launches.count, 0);
    ck_assert_uint_eq(settings.sweep.threads.count, 0);
    ck_assert_uint_eq(settings.sweep.streams.values[0], 1);
    ck_assert_uint_eq(settings.method.num_warmup_iters, 5);
    ck_assert_uint_eq(settings.method.num_iters, 100);
    ck_assert_uint_eq(settings.method.rounds, 10);
    ck_assert_uint_eq(settings.foreign.kernel_timeout, 60);
    ck_assert_uint_eq(settings.comparing.runs, 0);
    ck_assert(settings.comparing.margin == 0.01 && settings.method.timeout == 0 && settings.method.precision == 0 &&
              settings.sweep.scale_ub == 0);
    ck_assert(settings.method.verify && !settings.comparing.split && !settings.place.chose_bind &&
              !settings.place.chose_huge_pages);
    ck_assert_ptr_eq(settings.reporting.format, report_format_find("text"));
    args_free(&settings);
}
END_TEST

/* A default gives way to another option for the same thing. */
START_TEST(test_defaults_that_follow)
{
    struct settings settings;

    ck_assert_int_eq(parse(&settings, (const char *[]){"--static-scale", "--precision=2", NULL}), EXIT_OK);
    ck_assert_uint_eq(settings.sweep.scalings.count, 1);
    ck_assert_uint_eq(settings.sweep.scalings.values[0], QB_SCALING_STATIC);
    ck_assert_uint_eq(settings.method.num_iters, 0);
    ck_assert(settings.method.precision == 0.02 && settings.method.timeout == 15);
    args_free(&settings);

    ck_assert_int_eq(parse(&settings, (const char *[]){"--split", "--model=llama3-8b", "--bind=none", NULL}), EXIT_OK);
    ck_assert_int_eq(settings.comparing.compare, COMPARE_SCALES);
    ck_assert_uint_eq(settings.sweep.scalings.count, 3);
    ck_assert_uint_eq(settings.sweep.hidden_sizes.count, 2);
    ck_assert_uint_eq(settings.method.rounds, 20);
    ck_assert(settings.comparing.split && settings.place.chose_bind && settings.place.bind == BIND_NONE);
    args_free(&settings);

    ck_assert_int_eq(parse(&settings, (const char *[]){"--baseline=x", NULL}), EXIT_OK);
    ck_assert_uint_eq(settings.comparing.runs, 10);
    args_free(&settings);

    /* The last counts. */
    ck_assert_int_eq(parse(&settings, (const char *[]){"--compare=a,b", "--compare=threads", "--kernel=c", NULL}),
                     EXIT_OK);
    ck_assert_int_eq(settings.comparing.compare, COMPARE_THREADS);
    ck_assert_uint_eq(settings.sweep.kernels.count, 1);
    ck_assert_str_eq(settings.sweep.kernels.values[0], "c");
    args_free(&settings);
}
END_TEST

/* Arguments for another process that measures the same. */
START_TEST(test_measuring)
{
    struct settings settings;

    ck_assert_int_eq(parse(&settings, (const char *[]){"--runs=5", "-q", "--seed=7", "--strict", "--no-verify", NULL}),
                     EXIT_OK);
    ck_assert_uint_eq(settings.command.measuring.count, 2);
    ck_assert_str_eq(settings.command.measuring.values[0], "--seed=7");
    ck_assert_str_eq(settings.command.measuring.values[1], "--no-verify");
    args_free(&settings);
}
END_TEST

/* A percentage has its sign or not, wherever an option takes one. */
START_TEST(test_percentages)
{
    struct settings settings;

    for (int i = 0; i < 2; i++) {
        const char *const sign[] = {"", "%"};
        char precision[32], margin[32];

        snprintf(precision, sizeof precision, "--precision=5%s", sign[i]);
        snprintf(margin, sizeof margin, "--margin=2.5%s", sign[i]);
        ck_assert_int_eq(parse(&settings, (const char *[]){precision, margin, NULL}), EXIT_OK);
        ck_assert(settings.method.precision == 0.05 && settings.comparing.margin == 0.025);
        args_free(&settings);
    }
}
END_TEST

static const struct {
    const char *argument, *error;
} mistyped[] = {
    {"--precision=%", "--precision: invalid value '%'; expected a percentage above 0 and up to 100"},
    {"--precision=5%%", "--precision: invalid value '5%%'"},
    {"--margin=1 %", "--margin: invalid value '1 %'"},
    {"--timeout=5%", "--timeout: invalid value '5%'; expected a number above"},
    {"--num-tokns=4", "unknown option '--num-tokns'; did you mean '--num-tokens'?"},
    {"--hiden-size", "unknown option '--hiden-size'; did you mean '--hidden-size'?"},
    {"--qaunt-dtype=int8", "unknown option '--qaunt-dtype'; did you mean '--quant-dtype'?"},
    {"--BASELINES=x", "unknown option '--BASELINES'; did you mean '--baseline'?"},
    {"--bogus", "unknown option '--bogus'; see 'quantbench --help'"},
    {"--zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz", "see 'quantbench --help'"},
    {"-x", "unknown option '-x'; see 'quantbench --help'"},
    {"-qx", "unknown option '-x'; see"},
    {"--list",
     "ambiguous option '--list'; expected one of --list-tensors, --list-devices, --list-kernels, --list-models"},
    {"--quiet=3", "--quiet: takes no value"},
    {"--num-tokens", "--num-tokens: requires a value"},
    {"--dtype=hlaf", "unknown value 'hlaf'; expected half, bfloat16 or float (did you mean 'half'?)"},
    {"--bind=Core", "unknown value 'Core'; expected cores or none (did you mean 'cores'?)"},
    {"--cache=bogus", "unknown value 'bogus'; expected cold, hot or both\n"},
    {"--model=lama3-8b", "unknown model 'lama3-8b'; expected a name from --list-models (did you mean 'llama3-8b'?)"},
};

START_TEST(test_mistyped)
{
    char text[1024];

    ck_assert_int_eq(parse_with_errors((const char *[]){mistyped[_i].argument, NULL}, text, sizeof text), EXIT_USAGE);
    ck_assert_msg(strstr(text, mistyped[_i].error) != NULL, "%s: %s", mistyped[_i].argument, text);
}
END_TEST

static const struct {
    const char *text, *word;
    size_t distance;
} distances[] = {
    {"cold", "cold", 0},
    {"COLD", "cold", 0},
    {"codl", "cold", 1},
    {"colld", "cold", 1},
    {"cld", "cold", 1},
    {"cild", "cold", 1},
    {"hidensize", "hidden-size", 2},
    {"norm", "normal", 2},
};

START_TEST(test_near_words)
{
    struct nearest nearest = {.text = distances[_i].text};

    nearest_try(&nearest, distances[_i].word);
    ck_assert_ptr_eq(nearest.word, distances[_i].word);
    ck_assert_uint_eq(nearest.distance, distances[_i].distance);
    nearest_try(&nearest, "unlike");
    ck_assert_ptr_eq(nearest.word, distances[_i].word);
}
END_TEST

/* Words that share less than two thirds, or are longer than any that is known, are not close. */
START_TEST(test_far_words)
{
    static const char *const words[] = {"cold", "hot", "both"};
    char hint[NEAREST_HINT_SIZE], endless[256];
    struct nearest nearest = {.text = ""};

    memset(endless, 'c', sizeof endless - 1);
    endless[sizeof endless - 1] = '\0';
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        nearest_try(&nearest, words[i]);
        nearest.text = i == 0 ? "bogus" : endless;
    }
    ck_assert_ptr_null(nearest.word);
    ck_assert_str_eq(nearest_hint(&nearest, hint), "");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("options");
    TCase *tc = patient_case("table");
    const int count = (int)options_count;

    tcase_add_loop_test(tc, test_names_and_letters, 0, count);
    tcase_add_loop_test(tc, test_relations_name_options, 0, count);
    tcase_add_loop_test(tc, test_words, 0, count);
    tcase_add_loop_test(tc, test_words_are_accepted, 0, count);
    tcase_add_loop_test(tc, test_words_are_refused, 0, count);
    tcase_add_loop_test(tc, test_ranges, 0, count);
    tcase_add_loop_test(tc, test_fallbacks_parse, 0, count);
    tcase_add_loop_test(tc, test_help_fits, 0, count);
    tcase_add_loop_test(tc, test_excluded_options, 0, count);
    tcase_add_loop_test(tc, test_required_options, 0, count);
    tcase_add_loop_test(tc, test_alone, 0, count);
    tcase_add_loop_test(tc, test_option_of_an_operation, 0, count);
    suite_add_tcase(suite, tc);
    tc = patient_case("parsing");
    tcase_add_test(tc, test_defaults);
    tcase_add_test(tc, test_defaults_that_follow);
    tcase_add_test(tc, test_measuring);
    tcase_add_test(tc, test_percentages);
    tcase_add_loop_test(tc, test_operations, 0, sizeof operations / sizeof operations[0]);
    tcase_add_test(tc, test_swept_operations);
    tcase_add_loop_test(tc, test_mistyped, 0, sizeof mistyped / sizeof mistyped[0]);
    suite_add_tcase(suite, tc);
    tc = patient_case("nearest");
    tcase_add_loop_test(tc, test_near_words, 0, sizeof distances / sizeof distances[0]);
    tcase_add_test(tc, test_far_words);
    suite_add_tcase(suite, tc);
    return run_suite_with(suite, CK_NOFORK); /* a process for each row would take long */
}
