/* SPDX-License-Identifier: Apache-2.0 */
/* serve.c - --serve: phases, such as prefill and decode, with the tokens of a pass and how many passes there are; and
 * from the table of models what each pass quantizes. */
#include <config.h>

#include "base/label.h"
#include "base/saturate.h"
#include "cases/models.h"
#include "cli/args.h"
#include "cli/serve.h"
#include "model/record.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PHASES_MAX  16
#define TOKENS_MAX  UINT64_C(1000000000)
#define OPTIONS_MAX 7

/* "decode:64x128": 128 passes of 64 tokens. */
struct phase {
    const char *name;
    uint64_t tokens, passes;
};

/* Take a number from *TEXT; 0: there is none from 1 to LIMIT. */
static uint64_t take_number(char **text, uint64_t limit)
{
    const size_t digits = strspn(*text, "0123456789");
    const uint64_t number = digits > 0 && digits < 19 ? strtoull(*text, NULL, 10) : 0;

    *text += digits;
    return number <= limit ? number : 0;
}

/* Set PHASE to that of TEXT, which is changed. */
static bool parse_phase(char *text, struct phase *phase)
{
    char *numbers = strchr(text, ':');

    if (numbers == NULL || numbers == text) {
        return false;
    }
    *numbers++ = '\0';
    phase->name = text;
    phase->tokens = take_number(&numbers, TOKENS_MAX);
    if (*numbers++ != 'x') {
        return false;
    }
    phase->passes = take_number(&numbers, TOKENS_MAX);
    return *numbers == '\0' && phase->tokens > 0 && phase->passes > 0;
}

/* True if the command line of SETTINGS says the operation: then rows are quantized by that. */
static bool has_operation(const struct settings *settings)
{
    return args_has(&settings->command, "op");
}

/* Add the case of ROWS, in the passes of PHASE. */
static enum exit_code add_case(const struct settings *settings, const struct model *model, const struct phase *phase,
                               const struct model_rows *rows, struct case_list *list)
{
    struct listed_case *to = &list->values[list->count];
    char hidden[24], tokens[24];
    struct case_option options[OPTIONS_MAX] = {{"num-tokens", tokens}, {"hidden-size", hidden}};
    const bool is_clamped = model->gate == MODEL_CLAMPED && rows->operation == QB_OPERATION_SILU_MUL;
    size_t count = 2;

    snprintf(tokens, sizeof tokens, "%" PRIu64, rows->tokens);
    snprintf(hidden, sizeof hidden, "%" PRIu64, rows->hidden);
    if (!has_operation(settings)) {
        options[count++] = (struct case_option){"op", qb_operation_name(rows->operation)};
    }
    if (!has_operation(settings) && is_clamped) {
        options[count++] = (struct case_option){"gate", "interleaved"};
        options[count++] = (struct case_option){"gate-limit", "7"};
        options[count++] = (struct case_option){"alpha", "1.702"};
        options[count++] = (struct case_option){"up-offset", "1"};
    }
    *to = (struct listed_case){
        .count = saturate_multiply(rows->count, phase->passes), .line = list->count + 1, .name = strdup(phase->name)};
    to->count = to->count < RECORD_MAX_USES ? to->count : RECORD_MAX_USES;
    list->count++;
    if (to->name == NULL) {
        return message_out_of_memory("the list of cases", strlen(phase->name));
    }
    return args_parse_case(settings, options, count, &to->sweep);
}

static enum exit_code add_phase(const struct settings *settings, const struct model *model, const struct phase *phase,
                                struct case_list *list)
{
    struct model_rows kinds[MODEL_KINDS];
    const size_t count = model_pass(model, phase->tokens, kinds);
    enum exit_code code = EXIT_OK;

    for (size_t i = 0; i < count && code == EXIT_OK; i++) {
        code = add_case(settings, model, phase, &kinds[i], list);
    }
    list->tokens = saturate_add(list->tokens, saturate_multiply(phase->tokens, phase->passes));
    return code;
}

/* Add the phases of TEXT, which is changed. */
static enum exit_code add_phases(const struct settings *settings, const struct model *model, char *text,
                                 struct case_list *list)
{
    enum exit_code code = EXIT_OK;
    size_t count = 0;

    while (text != NULL && code == EXIT_OK) {
        char *one = strsep(&text, ","), label[LABEL_TEXT_SIZE];
        struct phase phase = {.name = NULL};

        label_text(label, one, strlen(one));
        if (count++ == PHASES_MAX) {
            message_error("--serve: expected at most %d phases", PHASES_MAX);
            code = EXIT_USAGE;
        } else if (!parse_phase(one, &phase)) {
            message_error("--serve: '%s': expected PHASE:TOKENSxPASSES, such as decode:64x128", label);
            code = EXIT_USAGE;
        } else {
            code = add_phase(settings, model, &phase, list);
        }
    }
    return code;
}

enum exit_code serve_list(const struct settings *settings, struct case_list *list)
{
    const struct model *model = model_find(settings->sweep.model);
    char *text = strdup(settings->sweep.serve), label[LABEL_TEXT_SIZE];
    enum exit_code code;

    list->values = calloc(PHASES_MAX * MODEL_KINDS, sizeof *list->values);
    if (text == NULL || list->values == NULL) {
        code = message_out_of_memory("the list of cases", PHASES_MAX * MODEL_KINDS * sizeof *list->values);
    } else if (model == NULL) {
        message_error("--serve: requires one model; --model=%s has several",
                      label_text(label, settings->sweep.model, strlen(settings->sweep.model)));
        code = EXIT_USAGE;
    } else {
        code = add_phases(settings, model, text, list);
    }
    free(text);
    return code;
}
