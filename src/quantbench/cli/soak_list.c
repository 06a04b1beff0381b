/* SPDX-License-Identifier: Apache-2.0 */
/* soak_list.c - the cases of a soak that says nothing else: each format, each granularity and each operation, so that
 * all units of a device work and all kernels that can do a case take part. */
#include <config.h>

#include "cli/args.h"
#include "cli/option_values.h"
#include "cli/soak_list.h"

#include <stdlib.h>
#include <string.h>

/* Options of a line, and room for them. */
#define WORDS_MAX 5
#define LINE_SIZE 128

static const char *const lines[] = {
    "dtype=half quant-dtype=int8 granularity=tensor",
    "dtype=half quant-dtype=int8 granularity=token",
    "dtype=half quant-dtype=int8 granularity=channel",
    "dtype=bfloat16 quant-dtype=int8 granularity=group:128 scale=static",
    "dtype=float quant-dtype=int8 granularity=token",
    "dtype=half quant-dtype=int8 granularity=token asymmetric=true",
    "dtype=bfloat16 quant-dtype=fp8 granularity=tensor scale=static",
    "dtype=bfloat16 quant-dtype=fp8 granularity=token",
    "dtype=half quant-dtype=fp8 granularity=group:128",
    "dtype=bfloat16 quant-dtype=fp8 granularity=block:128x128",
    "dtype=float quant-dtype=e5m2 granularity=tensor",
    "dtype=bfloat16 quant-dtype=fp8 granularity=tensor scale=amax",
    "dtype=half quant-dtype=int4",
    "dtype=half quant-dtype=uint4",
    "dtype=bfloat16 quant-dtype=mxfp8",
    "dtype=bfloat16 quant-dtype=mxfp6",
    "dtype=half quant-dtype=mxfp6-e3m2 packing=dense",
    "dtype=bfloat16 quant-dtype=mxfp4",
    "dtype=bfloat16 quant-dtype=nvfp4",
    "op=dequantize dtype=half quant-dtype=int8 granularity=token",
    "op=dequantize dtype=bfloat16 quant-dtype=fp8 granularity=group:128",
    "op=silu-mul dtype=bfloat16 quant-dtype=fp8 granularity=token",
    "op=gelu-mul dtype=half quant-dtype=int8 granularity=token",
    "op=gelu-mul gelu=erf dtype=bfloat16 quant-dtype=fp8 granularity=token",
    "op=rms-norm dtype=bfloat16 quant-dtype=fp8 granularity=token",
    "op=add-rms-norm dtype=half quant-dtype=int8 granularity=token",
    "op=rope dtype=bfloat16 quant-dtype=fp8 granularity=token",
    "op=kv-write dtype=bfloat16 quant-dtype=fp8 granularity=tensor",
    "op=kv-write dtype=half quant-dtype=nvfp4",
    "op=kv-read dtype=bfloat16 quant-dtype=fp8 granularity=token",
    "op=kv-read dtype=half quant-dtype=nvfp4 page-layout=hnd",
    "op=transpose dtype=bfloat16 quant-dtype=fp8 granularity=group:128",
    "op=dual dtype=bfloat16 quant-dtype=mxfp8",
    "dtype=bfloat16 quant-dtype=fp8 granularity=group:128 experts=8",
    "op=silu-mul dtype=bfloat16 quant-dtype=fp8 granularity=token experts=8",
};
#define LINES (sizeof lines / sizeof lines[0])

bool soak_list_applies(const struct settings *settings)
{
    static const char *const chosen[] = {"op",    "dtype", "quant-dtype", "granularity", "scale",  "static-scale",
                                         "cases", "serve", "asymmetric",  "zero-points", "experts"};

    for (size_t i = 0; i < sizeof chosen / sizeof chosen[0]; i++) {
        if (args_has(&settings->command, chosen[i])) {
            return false;
        }
    }
    return true;
}

/* Add the case of line NUMBER. */
static enum exit_code add_case(const struct settings *settings, size_t number, struct case_list *list)
{
    struct case_option words[WORDS_MAX];
    char line[LINE_SIZE], *rest = line, *word;
    size_t count = 0;

    strcpy(line, lines[number]);
    while ((word = strsep(&rest, " ")) != NULL && count < WORDS_MAX) {
        char *value = strchr(word, '=');

        *value++ = '\0';
        words[count++] = (struct case_option){word, value};
    }
    list->values[number] = (struct listed_case){.count = 1, .line = number + 1};
    list->count++;
    return args_parse_case(settings, words, count, &list->values[number].sweep);
}

enum exit_code soak_list_make(const struct settings *settings, struct case_list *list)
{
    enum exit_code code = EXIT_OK;

    list->values = calloc(LINES, sizeof *list->values);
    if (list->values == NULL) {
        return message_out_of_memory("the list of cases", LINES * sizeof *list->values);
    }
    for (size_t i = 0; i < LINES && code == EXIT_OK; i++) {
        code = add_case(settings, i, list);
    }
    return code;
}
