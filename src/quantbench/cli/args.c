/* SPDX-License-Identifier: Apache-2.0 */
/* args.c - the command line -> struct settings: a pass over the arguments, each parsed as its row of the table of
 * options says, a pass over the rows for what they exclude and require and for defaults, and the few checks that no row
 * can say. */
#include <config.h>

#include "cli/args.h"
#include "base/label.h"
#include "base/nearest.h"
#include "cases/operations.h"
#include "cases/quantization.h"
#include "verdict/compare.h"
#include "cli/calibration_report.h"
#include "cli/option_values.h"
#include "fleet/fleet_report.h"
#include "report/report.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Processes of --save-baseline and --baseline. */
#define DEFAULT_RUNS 10

/* Rounds of a measurement, and of a comparison. */
#define DEFAULT_ROUNDS  10
#define COMPARED_ROUNDS 20

/* Which options were given: a flag for each row of the table. */
struct given {
    bool rows[OPTIONS_MAX];
};

/* ---- The arguments ---------------------------------------------------------------------------------------------- */

/* The value of getopt_long() for the first row of the table; those below are letters. */
#define FIRST_ROW 256

/* Describe the rows to getopt_long(). */
static void describe_rows(struct option long_options[OPTIONS_MAX + 1], char short_options[OPTIONS_MAX + 2])
{
    size_t count = 0, letters = 0;

    short_options[letters++] = ':'; /* tells a missing value from an unknown option */
    for (size_t i = 0; i < options_count; i++) {
        const struct option_row *row = &options[i];

        if (row->name == NULL) {
            continue;
        }
        long_options[count++] = (struct option){row->name,
                                                row->is_optional     ? optional_argument
                                                : row->value != NULL ? required_argument
                                                                     : no_argument,
                                                NULL, FIRST_ROW + (int)i};
        if (row->letter != 0) {
            short_options[letters++] = row->letter;
        }
    }
    long_options[count] = (struct option){0};
    short_options[letters] = '\0';
}

/* Return the row for which getopt_long() returned ID, or NULL. */
static const struct option_row *find_row(int id)
{
    if (id >= FIRST_ROW) {
        return &options[id - FIRST_ROW];
    }
    for (size_t i = 0; i < options_count; i++) {
        if (options[i].letter == id) {
            return &options[i];
        }
    }
    return NULL;
}

/* Print that NAME, of a long option without its dashes, begins several names, or is unknown and which one is close. */
static void refuse_name(const char *name)
{
    struct nearest nearest = {.text = name};
    char several[512] = "";

    for (size_t i = 0; i < options_count; i++) {
        size_t length = strlen(several);

        if (options[i].name == NULL) {
            continue;
        }
        nearest_try(&nearest, options[i].name);
        if (strncmp(options[i].name, name, strlen(name)) == 0) {
            snprintf(several + length, sizeof several - length, "%s--%s", length > 0 ? ", " : "", options[i].name);
        }
    }
    if (strchr(several, ',') != NULL) {
        message_error("ambiguous option '--%s'; expected one of %s", name, several);
    } else if (nearest.word != NULL) {
        message_error("unknown option '--%s'; did you mean '--%s'?", name, nearest.word);
    } else {
        message_error("unknown option '--%s'; see 'quantbench --help'", name);
    }
}

/* Say what is wrong with ARGUMENT, for which getopt_long() returned ID. */
static enum exit_code refuse_argument(int id, const char *argument)
{
    const struct option_row *row = find_row(optopt);
    char name[64];

    if (id == ':' && row != NULL) {
        message_error("--%s: requires a value; see 'quantbench --help'", row->name);
    } else if (optopt >= FIRST_ROW) {
        message_error("--%s: takes no value; expected the option alone", row->name);
    } else if (optopt != 0) {
        message_error("unknown option '-%c'; see 'quantbench --help'", optopt);
    } else {
        argument += strspn(argument, "-");
        snprintf(name, sizeof name, "%.*s", (int)strcspn(argument, "="), argument);
        refuse_name(name);
    }
    return EXIT_USAGE;
}

/* Add an option as one argument, for a process that measures the same. */
static bool keep_option(const struct option_row *row, const char *value, struct names *arguments)
{
    size_t size = strlen(row->name) + (value != NULL ? strlen(value) : 0) + sizeof "--=";
    char *argument = malloc(size);
    bool good;

    if (argument == NULL) {
        options_out_of_memory(row->name);
        return false;
    }
    snprintf(argument, size, "--%s%s%s", row->name, value != NULL ? "=" : "", value != NULL ? value : "");
    good = names_add(row->name, argument, arguments);
    free(argument);
    return good;
}

/* Take the option of ROW with its VALUE, or NULL. */
static enum exit_code take_option(const struct option_row *row, const char *value, struct settings *settings,
                                  struct given *given)
{
    if (row->about == OPTION_MEASURING && !keep_option(row, value, &settings->command.measuring)) {
        return EXIT_CANNOT_RUN;
    }
    if (!row->parse(row, value != NULL ? value : row->fixed, settings)) {
        return EXIT_USAGE;
    }
    given->rows[row - options] = true;
    if (row->chosen != 0) {
        memcpy((char *)settings + row->chosen, &(bool){true}, sizeof(bool));
    }
    return EXIT_OK;
}

/* True if the user wants to be told something, whatever else is on the command line. */
static bool ends_parsing(const struct settings *settings)
{
    return settings->action == ACTION_HELP || settings->action == ACTION_VERSION;
}

/* Refuse ARGUMENT, which is not an option. It may have been meant as a value that only follows a sign. */
static enum exit_code refuse_word(const char *argument, const struct given *given)
{
    for (size_t i = 0; i < options_count; i++) {
        if (given->rows[i] && options[i].is_optional) {
            message_error("unknown argument '%s'; expected only options, and --%s=%s with its value", argument,
                          options[i].name, argument);
            return EXIT_USAGE;
        }
    }
    message_error("unknown argument '%s'; expected only options, see 'quantbench --help'", argument);
    return EXIT_USAGE;
}

/* Take all options. */
static enum exit_code take_options(int argc, char **argv, struct settings *settings, struct given *given)
{
    struct option long_options[OPTIONS_MAX + 1];
    char short_options[OPTIONS_MAX + 2];
    enum exit_code code = EXIT_OK;
    int id;

    describe_rows(long_options, short_options);
    opterr = 0; /* its messages name the file of the program, and no option that is close */
    while (code == EXIT_OK && !ends_parsing(settings) &&
           (id = getopt_long(argc, argv, short_options, long_options, NULL)) != -1) {
        const struct option_row *row = find_row(id);

        code = row == NULL ? refuse_argument(id, argv[optind - 1]) : take_option(row, optarg, settings, given);
    }
    if (code == EXIT_OK && !ends_parsing(settings) && optind < argc) {
        code = refuse_word(argv[optind], given);
    }
    return code;
}

/* ---- What the rows say of one another --------------------------------------------------------------------------- */

/* Return a row that was given among those of RELATION, which ROW has; or NULL. */
static const struct option_row *find_related(const struct option_row *row, const struct option_relation *relation,
                                             const struct given *given)
{
    for (size_t i = 0; i < options_count; i++) {
        if (given->rows[i] && option_relates(row, relation, &options[i])) {
            return &options[i];
        }
    }
    return NULL;
}

/* Set TEXT to NAMES, which spaces separate, as in "a or --b". Returns TEXT. */
static const char *option_either(const char *names, char text[128])
{
    const size_t first = strcspn(names, " ");

    snprintf(text, 128, "%.*s%s%s", (int)first, names, names[first] == ' ' ? " or --" : "",
             names[first] == ' ' ? names + first + 1 : "");
    return text;
}

/* Options that a row excludes, or requires. */
static bool check_relations(const struct option_row *row, const struct given *given)
{
    char names[128];

    for (size_t i = 0; i < OPTION_EXCLUDES; i++) {
        const struct option_row *other = find_related(row, &row->excludes[i], given);

        if (other != NULL) {
            message_error("--%s: conflicts with --%s; %s", row->name, other->name, row->excludes[i].why);
            return false;
        }
    }
    if (row->requires.names != NULL && find_related(row, &row->requires, given) == NULL) {
        message_error("--%s: requires --%s", row->name, option_either(row->requires.names, names));
        return false;
    }
    return true;
}

static bool check_all_relations(const struct given *given)
{
    for (size_t i = 0; i < options_count; i++) {
        if (given->rows[i] && !check_relations(&options[i], given)) {
            return false;
        }
    }
    return true;
}

/* True if an option with the target of ROW was given. */
static bool is_set(const struct option_row *row, const struct given *given)
{
    for (size_t i = 0; i < options_count; i++) {
        if (given->rows[i] && options[i].target == row->target) {
            return true;
        }
    }
    return false;
}

/* Give each target that is not set the value that its row falls back to, if what it requires is there. */
static bool set_fallbacks(const struct given *given, struct settings *settings)
{
    for (size_t i = 0; i < options_count; i++) {
        const struct option_row *row = &options[i];
        const bool is_of_use = row->requires.names == NULL || find_related(row, &row->requires, given) != NULL;

        if (row->fallback != NULL && is_of_use && !is_set(row, given) && !row->parse(row, row->fallback, settings)) {
            return false;
        }
    }
    return true;
}

/* ---- What no row can say ---------------------------------------------------------------------------------------- */

/* Set what follows from several options. */
static void derive(struct settings *settings)
{
    if (settings->reporting.report_files.count > 0) {
        settings->action = ACTION_REPORT;
    }
    if (settings->reporting.fleet.count > 0) {
        settings->action = ACTION_FLEET;
    }
    if (settings->sweep.against != NULL) {
        settings->action = ACTION_AGAINST;
    }
    if (settings->calibrating.methods.count > 0) {
        settings->action = ACTION_CALIBRATE;
    }
    if (settings->method.soak.seconds > 0 || settings->method.soak.rounds > 0) {
        settings->action = ACTION_SOAK;
    }
    if (settings->comparing.split) {
        settings->comparing.compare = COMPARE_SCALES;
    }
    if (settings->comparing.tune || settings->comparing.self_test) {
        settings->comparing.compare = COMPARE_KERNELS;
    }
    if (settings->comparing.runs == 0 &&
        (settings->comparing.baseline_file != NULL || settings->comparing.save_baseline != NULL)) {
        settings->comparing.runs = DEFAULT_RUNS;
    }
    if (settings->method.rounds == 0) {
        settings->method.rounds = settings->comparing.compare == COMPARE_NOTHING ? DEFAULT_ROUNDS : COMPARED_ROUNDS;
    }
    for (size_t i = 0; i < settings->sweep.streams.count; i++) {
        if (settings->sweep.streams.values[i] > 1) {
            settings->method.state = STATE_SEVERAL_STREAMS;
        }
    }
    if (settings->method.precision > 0) {
        settings->method.num_iters = 0;
        if (settings->method.chose_max_time && settings->method.max_time < settings->method.timeout) {
            settings->method.timeout = settings->method.max_time;
        }
    }
}

/* Lists, self-tests and soaks, of which WHAT is one, are printed as text or JSON: FORMAT, of OPTION, must be one of
 * them. */
static bool can_show_list(const char *option, const struct report_format *format, const char *what)
{
    if (format == report_format_find("text") || format == report_format_find("json")) {
        return true;
    }
    message_error("--%s: '%s' cannot show a %s; expected text or json", option, format->name, what);
    return false;
}

/* The same for a fleet. */
static bool can_show_fleet(const char *option, const struct report_format *format)
{
    if (fleet_report_can(format)) {
        return true;
    }
    message_error("--%s: '%s' cannot show a fleet; expected %s", option, format->name, fleet_report_formats);
    return false;
}

/* The same for a calibration. */
static bool can_show_calibration(const char *option, const struct report_format *format)
{
    if (calibration_report_can(format)) {
        return true;
    }
    message_error("--%s: '%s' cannot show a calibration; expected %s", option, format->name,
                  calibration_report_formats);
    return false;
}

/* True if CAN_SHOW all formats that are asked for. */
static bool check_formats(const struct settings *settings,
                          bool (*can_show)(const char *option, const struct report_format *format))
{
    bool good = true;

    for (size_t i = 0; i < settings->reporting.outputs.count && good; i++) {
        good = can_show("output", settings->reporting.outputs.values[i].format);
    }
    return good && can_show("format", settings->reporting.format);
}

static bool check_format(const struct settings *settings)
{
    const bool is_list =
        settings->action != ACTION_MEASURE && settings->action != ACTION_REPORT && settings->action != ACTION_QUALITY;
    const char *what = settings->action == ACTION_SOAK ? "soak" : is_list ? "list" : "self-test";
    bool good = true;

    if (settings->action == ACTION_FLEET) {
        return check_formats(settings, can_show_fleet);
    }
    if (settings->action == ACTION_CALIBRATE) {
        return check_formats(settings, can_show_calibration);
    }
    if (settings->action == ACTION_LIST_TENSORS && (settings->reporting.format == report_format_find("csv") ||
                                                    settings->reporting.format == report_format_find("markdown"))) {
        return true;
    }
    if (!is_list && !settings->comparing.self_test) {
        return true;
    }
    for (size_t i = 0; i < settings->reporting.outputs.count && good; i++) {
        good = can_show_list("output", settings->reporting.outputs.values[i].format, what);
    }
    return good && can_show_list("format", settings->reporting.format, what);
}

/* A picture in the terminal follows a text; and a run has some kinds only. */
static bool check_plots(const struct settings *settings)
{
    const struct plots *plots = &settings->reporting.plots;
    const bool compares = settings->comparing.compare != COMPARE_NOTHING || settings->comparing.baseline_file != NULL;
    const bool rates = settings->action == ACTION_QUALITY;

    for (size_t i = 0; i < plots->count; i++) {
        const enum picture_kind kind = plots->values[i].kind;
        const char *requires =
            rates && kind <= PICTURE_SAMPLES                               ? "times, and --quality measures none"
            : kind == PICTURE_FLEET                                        ? "the records of many devices, --fleet"
            : !compares && (kind == PICTURE_RATIO || kind == PICTURE_HEAT) ? "a comparison, such as --compare"
            : !rates && kind == PICTURE_MODEL && settings->sweep.input_files.count == 0 ? "tensors of --input"
                                                                                        : NULL;

        if (plots->values[i].file == NULL && settings->reporting.format != report_format_find("text")) {
            message_error("--plot: a picture in the terminal conflicts with --format=%s; expected --plot=FILE",
                          settings->reporting.format->name);
            return false;
        }
        if (settings->action == ACTION_FLEET) {
            if (kind != PICTURE_FLEET && kind != PICTURE_KINDS) {
                message_error("--plot: the picture '%s' is of one record; expected that of a fleet, '%s'",
                              picture_words[kind], picture_words[PICTURE_FLEET]);
                return false;
            }
        } else if (requires != NULL && settings->action != ACTION_REPORT) {
            message_error("--plot: the picture '%s' requires %s", picture_words[kind], requires);
            return false;
        }
    }
    return true;
}

static bool check_runs(const struct settings *settings)
{
    if (settings->comparing.save_baseline == NULL || settings->comparing.runs >= COMPARE_MIN_COUNT) {
        return true;
    }
    message_error("--save-baseline: --runs=%" PRIu64 " is too few for a verdict; expected at least %d",
                  settings->comparing.runs, COMPARE_MIN_COUNT);
    return false;
}

/* The option, as the user gave it, that makes kernels what is compared. */
static const char *comparing_option(const struct comparing *comparing)
{
    return comparing->tune        ? "--tune"
           : comparing->self_test ? "--self-test"
           : comparing->fused     ? "--compare=fused"
                                  : "--compare=KERNELS";
}

/* The kernels of --compare become those that run. */
static bool settle_kernels(struct settings *settings)
{
    if (settings->comparing.compare == COMPARE_KERNELS && settings->sweep.kernels.count > 0) {
        message_error("--%s: conflicts with %s, which chooses the kernels; leave out one of them",
                      settings->sweep.by_isa ? "isa" : "kernel", comparing_option(&settings->comparing));
        return false;
    }
    if (settings->comparing.compared_kernels.count > 0) {
        names_free(&settings->sweep.kernels);
        settings->sweep.kernels = settings->comparing.compared_kernels;
        settings->comparing.compared_kernels = (struct names){0};
        settings->sweep.by_isa = false; /* of --isa=auto, which names none */
    }
    return true;
}

static enum exit_code parse(int argc, char **argv, struct settings *settings)
{
    struct given given = {0};
    enum exit_code code;

    *settings = (struct settings){.method = {.verify = true}, .command = {.argc = argc, .argv = argv}};
    code = take_options(argc, argv, settings, &given);
    if (code != EXIT_OK || ends_parsing(settings)) {
        return code;
    }
    if (!check_all_relations(&given) || !set_fallbacks(&given, settings)) {
        return EXIT_USAGE;
    }
    derive(settings);
    return check_format(settings) && check_plots(settings) && check_runs(settings) && settle_kernels(settings) &&
                   operations_check(settings) && quantization_check(&settings->sweep)
               ? EXIT_OK
               : EXIT_USAGE;
}

enum exit_code args_parse(int argc, char **argv, struct settings *settings)
{
    enum exit_code code = parse(argc, argv, settings);

    return code == EXIT_USAGE && options_lack_memory() ? EXIT_CANNOT_RUN : code;
}

bool args_has(const struct command *command, const char *name)
{
    const size_t length = strlen(name);

    for (size_t i = 0; i < command->measuring.count; i++) {
        const char *option = command->measuring.values[i] + strlen("--");

        if (strncmp(option, name, length) == 0 && (option[length] == '=' || option[length] == '\0')) {
            return true;
        }
    }
    return false;
}

/* ---- A case of a list ------------------------------------------------------------------------------------------- */

/* Options whose target is a part of a sweep, but not of one case. */
static const struct option_relation not_of_case = {.names =
                                                       "seed input tensor against against-tensor cases serve model"};

/* The row of the option NAME, in which words may be joined by underscores. NULL: the error has been printed. */
static const struct option_row *find_case_row(const char *name)
{
    const size_t first = offsetof(struct settings, sweep), end = first + sizeof(struct sweep);
    const struct option_row *row;
    char text[64];

    snprintf(text, sizeof text, "%s", name);
    for (char *at = text; *at != '\0'; at++) {
        *at = *at == '_' ? '-' : *at;
    }
    row = option_find(text);
    if (row == NULL) {
        refuse_name(text);
        return NULL;
    }
    if (row->target < first || row->target >= end || option_relates(NULL, &not_of_case, row)) {
        message_error("--%s: is about the whole run; expected options of a case", row->name);
        return NULL;
    }
    return row;
}

/* Take OPTION of a list of cases, which has one value. */
static enum exit_code take_case_option(const struct case_option *option, struct settings *settings, struct given *given)
{
    const struct option_row *row = find_case_row(option->name);
    char text[LABEL_TEXT_SIZE];

    if (row == NULL) {
        return EXIT_USAGE;
    }
    if (row->value == NULL && strcmp(option->value, "false") == 0) {
        return EXIT_OK;
    }
    if (row->value == NULL && strcmp(option->value, "true") != 0) {
        message_error("--%s: '%s': expected true or false", row->name,
                      label_text(text, option->value, strlen(option->value)));
        return EXIT_USAGE;
    }
    if (row->value != NULL && (strchr(option->value, ',') != NULL ||
                               (row->parse == option_dimensions && strchr(option->value, ':') != NULL))) {
        message_error("--%s: '%s': expected one value; a line is one case", row->name,
                      label_text(text, option->value, strlen(option->value)));
        return EXIT_USAGE;
    }
    return take_option(row, row->value != NULL ? option->value : NULL, settings, given);
}

/* Take what the command line, whose options are ARGUMENTS, says of all cases and GIVEN leaves open. */
static enum exit_code take_common_options(const struct names *arguments, struct settings *settings, struct given *given)
{
    const struct given own = *given;
    const size_t first = offsetof(struct settings, sweep), end = first + sizeof(struct sweep);
    enum exit_code code = EXIT_OK;

    for (size_t i = 0; i < arguments->count && code == EXIT_OK; i++) {
        const char *text = arguments->values[i] + strlen("--"), *value = strchr(text, '=');
        char name[64];
        const struct option_row *row;

        snprintf(name, sizeof name, "%.*s", (int)(value != NULL ? value - text : (ptrdiff_t)strlen(text)), text);
        row = option_find(name);
        if (row != NULL && row->target >= first && row->target < end && !is_set(row, &own) &&
            strcmp(row->name, "cases") != 0 && strcmp(row->name, "serve") != 0) {
            code = take_option(row, value != NULL ? value + 1 : NULL, settings, given);
        }
    }
    return code;
}

enum exit_code args_parse_case(const struct settings *settings, const struct case_option *list, size_t count,
                               struct sweep *sweep)
{
    struct settings parsed = {.method = {.verify = true}};
    struct given given = {0};
    enum exit_code code = EXIT_OK;

    for (size_t i = 0; i < count && code == EXIT_OK; i++) {
        code = take_case_option(&list[i], &parsed, &given);
    }
    code = code == EXIT_OK ? take_common_options(&settings->command.measuring, &parsed, &given) : code;
    if (code == EXIT_OK && (!check_all_relations(&given) || !set_fallbacks(&given, &parsed) ||
                            !operations_check(&parsed) || !quantization_check(&parsed.sweep))) {
        code = options_lack_memory() ? EXIT_CANNOT_RUN : EXIT_USAGE;
    }
    *sweep = parsed.sweep;
    parsed.sweep = (struct sweep){.cases_file = NULL};
    args_free(&parsed);
    return code;
}

void args_free_sweep(struct sweep *sweep)
{
    free(sweep->operations.values);
    free(sweep->intermediates.values);
    free(sweep->gelus.values);
    free(sweep->gates.values);
    free(sweep->weights.values);
    free(sweep->pairings.values);
    free(sweep->page_sizes.values);
    free(sweep->page_layouts.values);
    free(sweep->expert_rows.values);
    free(sweep->num_tokens.values);
    free(sweep->hidden_sizes.values);
    free(sweep->dtypes.values);
    free(sweep->quant_dtypes.values);
    free(sweep->granularities.values);
    free(sweep->packings.values);
    free(sweep->scale_formats.values);
    free(sweep->scale_roundings.values);
    free(sweep->scale_layouts.values);
    free(sweep->tensor_scales.values);
    free(sweep->scalings.values);
    free(sweep->dists.values);
    free(sweep->threads.values);
    free(sweep->streams.values);
    free(sweep->caches.values);
    free(sweep->launches.values);
    names_free(&sweep->input_files);
    names_free(&sweep->kernels);
    *sweep = (struct sweep){.cases_file = NULL};
}

void args_free(struct settings *settings)
{
    args_free_sweep(&settings->sweep);
    free(settings->method.gate.values);
    free(settings->calibrating.methods.values);
    free(settings->reporting.outputs.values);
    free(settings->reporting.plots.values);
    names_free(&settings->place.devices);
    names_free(&settings->reporting.report_files);
    names_free(&settings->reporting.fleet);
    names_free(&settings->foreign.plugins);
    names_free(&settings->comparing.compared_kernels);
    names_free(&settings->command.measuring);
}
