/* SPDX-License-Identifier: Apache-2.0 */
/* tensor_choice.c - which of the tensors of some files are quantized: those that a pattern of --tensor matches, and no
 * pattern with "!". A pattern that ends in [N] is that slice of tensors of three and more dimensions, if one has it;
 * else [N] is a character, as in patterns of shells. */
#include <config.h>

#include "base/nearest.h"
#include "cases/tensor_choice.h"

#include <fnmatch.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Why a tensor stays as it is. */
static const char left_out[] = "left out by --tensor", of_one_dimension[] = "of one dimension",
                  of_another_type[] = "of another type", column_major[] = "in Fortran order", scalar[] = "a scalar",
                  empty[] = "empty";

/* One pattern of --tensor. */
struct pattern {
    const char *text; /* without the "!" */
    bool excludes;
    bool matched;
    bool is_exact; /* TEXT is a name as it stands, and no pattern */
    bool has_slice;
    uint64_t slice;
    char *base; /* TEXT without the slice; NULL: it has none */
};

struct patterns {
    char *copy;
    struct pattern *list;
    size_t count;
    bool any_includes;
};

/* A tensor of a file, where all are listed. */
struct candidate {
    const char *file;
    const struct tensor_listed *listed;
};

struct choice {
    const struct sweep *sweep;
    enum tensors_use use;
    struct patterns patterns;
    struct candidate *candidates; /* in the order of the inputs, and of the names */
    size_t count;
    struct tensors *tensors;
};

/* ---- Patterns --------------------------------------------------------------------------------------------------- */

/* Find the slice that PATTERN ends in, "[3]". */
static bool find_slice(struct pattern *pattern)
{
    const char *open = strrchr(pattern->text, '[');
    const size_t digits = open != NULL ? strspn(open + 1, "0123456789") : 0;

    if (digits == 0 || digits > 18 || strcmp(open + 1 + digits, "]") != 0) {
        return true;
    }
    pattern->has_slice = true;
    pattern->slice = strtoull(open + 1, NULL, 10);
    pattern->base = strndup(pattern->text, (size_t)(open - pattern->text));
    return pattern->base != NULL;
}

/* Split TEXT at commas. */
static enum exit_code parse_patterns(const char *text, struct patterns *patterns)
{
    size_t room = 1;
    char *rest;

    for (const char *at = text; *at != '\0'; at++) {
        room += *at == ',';
    }
    patterns->copy = rest = strdup(text);
    patterns->list = calloc(room, sizeof *patterns->list);
    if (patterns->copy == NULL || patterns->list == NULL) {
        return message_out_of_memory("the patterns of --tensor", room * sizeof *patterns->list);
    }
    while (rest != NULL) {
        const char *one = strsep(&rest, ",");
        struct pattern *pattern = &patterns->list[patterns->count++];

        pattern->excludes = one[0] == '!';
        pattern->text = one + pattern->excludes;
        patterns->any_includes = patterns->any_includes || !pattern->excludes;
        if (pattern->text[0] == '\0') {
            char label[LABEL_TEXT_SIZE];

            message_error("--tensor: '%s': expected no empty pattern between commas",
                          label_text(label, text, strlen(text)));
            return EXIT_USAGE;
        }
        if (!find_slice(pattern)) {
            return message_out_of_memory("the patterns of --tensor", strlen(text));
        }
    }
    return EXIT_OK;
}

static void free_patterns(struct patterns *patterns)
{
    for (size_t i = 0; i < patterns->count; i++) {
        free(patterns->list[i].base);
    }
    free(patterns->list);
    free(patterns->copy);
}

/* The name by which patterns know a candidate: a .npy file has only its own. */
static const char *name_of(const struct candidate *candidate)
{
    const char *slash = strrchr(candidate->file, '/');

    return candidate->listed->name != NULL ? candidate->listed->name : slash != NULL ? slash + 1 : candidate->file;
}

/* True if PATTERN is NAME, or matches it. */
static bool matches(const char *pattern, const char *name)
{
    return strcmp(pattern, name) == 0 || fnmatch(pattern, name, 0) == 0;
}

static bool matches_whole(const struct pattern *pattern, const struct candidate *candidate)
{
    const char *const name = name_of(candidate);

    return pattern->is_exact ? strcmp(pattern->text, name) == 0 : matches(pattern->text, name);
}

/* True if PATTERN is a slice of the tensor, which has three dimensions or more. */
static bool matches_slice(const struct pattern *pattern, const struct candidate *candidate)
{
    return pattern->has_slice && candidate->listed->rank > 2 && pattern->slice < candidate->listed->first &&
           matches(pattern->base, name_of(candidate));
}

/* A slice is also a bracket expression, and "w1[3]" would match "w13": where a tensor has the slice, it is that alone.
 */
static void settle_slices(struct choice *choice)
{
    for (size_t i = 0; i < choice->patterns.count; i++) {
        struct pattern *pattern = &choice->patterns.list[i];

        for (size_t k = 0; k < choice->count && pattern->has_slice && !pattern->is_exact; k++) {
            pattern->is_exact = matches_slice(pattern, &choice->candidates[k]);
        }
    }
}

/* ---- Errors ----------------------------------------------------------------------------------------------------- */

/* The part of NAME after its last dot. */
static const char *last_part(const char *name)
{
    const char *dot = strrchr(name, '.');

    return dot != NULL ? dot + 1 : name;
}

/* How many of the nearest names are offered. */
#define OFFERED 3

/* Append to TEXT the names nearest to PATTERN: by the whole of it, or by its last part. */
static size_t offer(const struct choice *choice, const char *pattern, bool by_part, char *text, size_t size)
{
    const char *offered[OFFERED];
    size_t count = 0;

    for (; count < OFFERED; count++) {
        struct nearest nearest = {.text = by_part ? last_part(pattern) : pattern};
        const char *name = NULL;

        for (size_t i = 0; i < choice->count; i++) {
            const char *candidate = name_of(&choice->candidates[i]), *before = nearest.word;
            bool is_new = true;

            for (size_t k = 0; k < count; k++) {
                is_new = is_new && strcmp(offered[k], candidate) != 0;
            }
            if (is_new) {
                nearest_try(&nearest, by_part ? last_part(candidate) : candidate);
            }
            name = nearest.word != before ? candidate : name;
        }
        if (name == NULL) {
            break;
        }
        offered[count] = name;
    }
    for (size_t k = 0; k < count; k++) {
        const size_t length = strlen(text);
        char label[LABEL_TEXT_SIZE];

        snprintf(text + length, size - length, "%s'%s'", k > 0 ? ", " : "",
                 label_text(label, offered[k], strlen(offered[k])));
    }
    return count;
}

/* Say that PATTERN matches none, and which names are near. */
static enum exit_code refuse_pattern(const struct choice *choice, const struct pattern *pattern)
{
    char names[OFFERED * (LABEL_TEXT_SIZE + 4)] = "", text[LABEL_TEXT_SIZE];

    label_text(text, pattern->text, strlen(pattern->text));
    if (offer(choice, pattern->text, false, names, sizeof names) > 0 ||
        offer(choice, pattern->text, true, names, sizeof names) > 0) {
        message_error("--tensor: '%s' matches none of the %zu tensors; the nearest: %s; see --list-tensors", text,
                      choice->count, names);
    } else {
        message_error("--tensor: '%s' matches none of the %zu tensors, such as '%s'; see --list-tensors", text,
                      choice->count,
                      choice->count > 0
                          ? label_text(names, name_of(&choice->candidates[0]), strlen(name_of(&choice->candidates[0])))
                          : "");
    }
    return EXIT_USAGE;
}

static enum exit_code check_patterns(const struct choice *choice)
{
    for (size_t i = 0; i < choice->patterns.count; i++) {
        const struct pattern *pattern = &choice->patterns.list[i];
        char text[LABEL_TEXT_SIZE];

        for (size_t k = 0; k < choice->count && pattern->has_slice && !pattern->matched; k++) {
            const struct candidate *candidate = &choice->candidates[k];

            if (matches(pattern->base, name_of(candidate))) {
                message_error("--tensor: '%s': shape %s has no slice [%" PRIu64
                              "]; expected a tensor of three dimensions or more, and one of its slices",
                              label_text(text, pattern->text, strlen(pattern->text)), candidate->listed->shape,
                              pattern->slice);
                return EXIT_USAGE;
            }
        }
        if (!pattern->matched) {
            return refuse_pattern(choice, pattern);
        }
    }
    return EXIT_OK;
}

/* ---- Tensors ---------------------------------------------------------------------------------------------------- */

/* Add CANDIDATE, or slice SLICE of it unless that is UINT64_MAX, to the items, or to those that are kept for REASON. */
static enum exit_code add(struct choice *choice, const struct candidate *candidate, uint64_t slice, const char *reason)
{
    const struct tensor_listed *from = candidate->listed;
    struct tensor **list = reason == NULL ? &choice->tensors->items : &choice->tensors->kept;
    size_t *count = reason == NULL ? &choice->tensors->count : &choice->tensors->kept_count;
    /* The number of elements grows by doubling: there is room for a power of two. */
    struct tensor *to =
        (*count & (*count + 1)) == 0 || *count == 0 ? reallocarray(*list, 2 * (*count + 1), sizeof *to) : *list;
    bool good = to != NULL;

    if (!good) {
        return message_out_of_memory("the list of tensors", 2 * (*count + 1) * sizeof *to);
    }
    *list = to;
    to += (*count)++;
    *to = (struct tensor){.file = strdup(candidate->file),
                          .reason = reason,
                          .format = from->format,
                          .rows = from->rows,
                          .cols = from->cols,
                          .offset = from->offset,
                          .bytes = from->bytes,
                          .stamp = from->stamp};
    snprintf(to->type, sizeof to->type, "%s", from->type);
    snprintf(to->shape, sizeof to->shape, "%s", from->shape);
    if (slice != UINT64_MAX) {
        to->rows /= from->first;
        to->bytes /= from->first;
        to->offset += slice * to->bytes;
        good = asprintf(&to->name, "%s[%" PRIu64 "]", name_of(candidate), slice) >= 0;
    } else if (from->name != NULL) {
        to->name = strdup(from->name);
        good = to->name != NULL;
    }
    return good && to->file != NULL ? EXIT_OK : message_out_of_memory("the list of tensors", strlen(candidate->file));
}

/* What the patterns say of a tensor. */
struct say {
    bool chosen;         /* the whole of it */
    bool excluded;       /* the same */
    bool chooses_slices; /* some of its slices */
    bool excludes_slices;
};

/* Ask all patterns about CANDIDATE, and note those that match it. */
static struct say ask(struct choice *choice, const struct candidate *candidate)
{
    struct say say = {.chosen = !choice->patterns.any_includes};

    for (size_t i = 0; i < choice->patterns.count; i++) {
        struct pattern *pattern = &choice->patterns.list[i];
        const bool whole = matches_whole(pattern, candidate), slice = matches_slice(pattern, candidate);

        pattern->matched = pattern->matched || whole || slice;
        *(pattern->excludes ? &say.excluded : &say.chosen) |= whole;
        *(pattern->excludes ? &say.excludes_slices : &say.chooses_slices) |= slice;
    }
    return say;
}

/* The first pattern, before number END, that chooses slice SLICE of CANDIDATE, or EXCLUDES it; END: none does. */
static size_t find_slice_pattern(const struct choice *choice, const struct candidate *candidate, uint64_t slice,
                                 bool excludes, size_t end)
{
    size_t i = 0;

    while (i < end && (choice->patterns.list[i].excludes != excludes || choice->patterns.list[i].slice != slice ||
                       !matches_slice(&choice->patterns.list[i], candidate))) {
        i++;
    }
    return i;
}

/* Why CANDIDATE cannot be quantized; NULL: it can. */
static const char *obstacle(const struct candidate *candidate)
{
    const struct tensor_listed *listed = candidate->listed;

    return listed->can_quantize ? NULL
           : strcmp(listed->type, "F16") != 0 && strcmp(listed->type, "BF16") != 0 && strcmp(listed->type, "F32") != 0
               ? of_another_type
           : listed->rank == 0       ? scalar
           : listed->is_column_major ? column_major
                                     : empty;
}

/* Add the whole of CANDIDATE to where it belongs. */
static enum exit_code place_whole(struct choice *choice, const struct candidate *candidate, bool chosen)
{
    /* A file of .npy that is alone has been named. */
    const bool is_named = choice->patterns.any_includes || (choice->count == 1 && candidate->listed->name == NULL);

    if (choice->use == TENSORS_TO_LIST) {
        return chosen ? add(choice, candidate, UINT64_MAX, NULL) : EXIT_OK;
    }
    if (!chosen || obstacle(candidate) != NULL) {
        return add(choice, candidate, UINT64_MAX, chosen ? obstacle(candidate) : left_out);
    }
    /* Vectors, such as biases and norms, are a thousandth of a model, and stay as they are in all that is served. */
    return add(choice, candidate, UINT64_MAX,
               choice->use == TENSORS_TO_RATE && !is_named && candidate->listed->rank < 2 ? of_one_dimension : NULL);
}

/* Add slice SLICE of CANDIDATE, unless a pattern excludes it. Counts it in *ADDED. */
static enum exit_code place_slice(struct choice *choice, const struct candidate *candidate, uint64_t slice,
                                  uint64_t *added)
{
    const size_t count = choice->patterns.count;

    if (find_slice_pattern(choice, candidate, slice, true, count) < count) {
        return EXIT_OK;
    }
    ++*added;
    return add(choice, candidate, slice, NULL);
}

/* Keep what is left of CANDIDATE when ADDED of its slices are quantized. */
static enum exit_code keep_rest(struct choice *choice, const struct candidate *candidate, uint64_t added)
{
    const uint64_t first = candidate->listed->first;
    struct tensor *rest;
    enum exit_code code;

    if (added == first || choice->use == TENSORS_TO_LIST) {
        return EXIT_OK;
    }
    code = add(choice, candidate, UINT64_MAX, left_out);
    if (code == EXIT_OK) {
        rest = &choice->tensors->kept[choice->tensors->kept_count - 1];
        rest->rows = rest->rows / first * (first - added);
        rest->bytes = rest->bytes / first * (first - added);
    }
    return code;
}

/* Add the slices of CANDIDATE that are chosen, all but the excluded ones if IS_WHOLE, and keep the others. */
static enum exit_code place_slices(struct choice *choice, const struct candidate *candidate, bool is_whole)
{
    enum exit_code code = EXIT_OK;
    uint64_t added = 0;

    for (uint64_t slice = 0; is_whole && slice < candidate->listed->first && code == EXIT_OK; slice++) {
        code = place_slice(choice, candidate, slice, &added);
    }
    for (size_t i = 0; !is_whole && i < choice->patterns.count && code == EXIT_OK; i++) {
        const struct pattern *pattern = &choice->patterns.list[i];

        if (!pattern->excludes && matches_slice(pattern, candidate) &&
            find_slice_pattern(choice, candidate, pattern->slice, false, i) == i) {
            code = place_slice(choice, candidate, pattern->slice, &added);
        }
    }
    return code == EXIT_OK ? keep_rest(choice, candidate, added) : code;
}

static enum exit_code place_all(struct choice *choice)
{
    enum exit_code code = EXIT_OK;

    settle_slices(choice);
    for (size_t i = 0; i < choice->count && code == EXIT_OK; i++) {
        const struct candidate *candidate = &choice->candidates[i];
        const struct say say = ask(choice, candidate);
        const bool chosen = !say.excluded && (say.chosen || say.chooses_slices);

        code = chosen && candidate->listed->can_quantize && (say.excludes_slices || !say.chosen)
                   ? place_slices(choice, candidate, say.chosen)
                   : place_whole(choice, candidate, chosen);
    }
    return code;
}

/* ---- All of it -------------------------------------------------------------------------------------------------- */

/* Numbers in names count as numbers: layer 10 comes after layer 9. */
static int compare_candidates(const void *a, const void *b)
{
    return strverscmp(name_of(a), name_of(b));
}

static enum exit_code list_candidates(const struct model_index *models, struct choice *choice)
{
    size_t count = 0;
    char text[LABEL_TEXT_SIZE];

    for (size_t m = 0; m < choice->sweep->input_files.count; m++) {
        for (size_t s = 0; s < models[m].count; s++) {
            count += models[m].shards[s].count;
        }
    }
    choice->candidates = calloc(count + 1, sizeof *choice->candidates);
    if (choice->candidates == NULL) {
        return message_out_of_memory("the list of tensors", count * sizeof *choice->candidates);
    }
    for (size_t m = 0; m < choice->sweep->input_files.count; m++) {
        const size_t first = choice->count;

        for (size_t s = 0; s < models[m].count; s++) {
            for (size_t i = 0; i < models[m].shards[s].count; i++) {
                choice->candidates[choice->count++] =
                    (struct candidate){models[m].shards[s].file, &models[m].shards[s].tensors[i]};
            }
        }
        if (choice->use == TENSORS_TO_MEASURE && choice->sweep->tensor == NULL && choice->count - first > 1) {
            const char *input = choice->sweep->input_files.values[m];

            message_error("--input: %s has %zu tensors; choose with --tensor=PATTERN, or rate all with --quality",
                          label_text(text, input, strlen(input)), choice->count - first);
            return EXIT_USAGE;
        }
        qsort(choice->candidates + first, choice->count - first, sizeof *choice->candidates, compare_candidates);
    }
    return EXIT_OK;
}

/* True if --tensor as a whole is the name of a candidate, which may have any characters. */
static bool is_a_name(const struct choice *choice)
{
    for (size_t i = 0; i < choice->count; i++) {
        if (choice->sweep->tensor != NULL && strcmp(choice->sweep->tensor, name_of(&choice->candidates[i])) == 0) {
            return true;
        }
    }
    return false;
}

/* Say which tensors were asked for and cannot be quantized, and refuse to go on without any that can. */
static enum exit_code check_items(const struct choice *choice)
{
    const struct tensors *tensors = choice->tensors;
    const struct tensor *first = NULL;
    char text[LABEL_TEXT_SIZE];
    size_t count = 0;

    for (size_t i = 0; i < tensors->kept_count; i++) {
        const struct tensor *kept = &tensors->kept[i];
        const char *name = kept->name != NULL ? kept->name : kept->file;

        if (kept->reason != left_out && kept->reason != of_one_dimension) {
            first = first == NULL ? kept : first;
            count++;
            message_verbose("%s: %s, %s %s; it is kept as it is", label_text(text, name, strlen(name)), kept->reason,
                            kept->type, kept->shape);
        }
    }
    if (count > 0) {
        const char *name = first->name != NULL ? first->name : first->file;

        message_warning("%zu of %zu tensors cannot be quantized and are left out, such as '%s': %s %s, %s; --verbose "
                        "and the record name all",
                        count, tensors->count + tensors->kept_count, label_text(text, name, strlen(name)), first->type,
                        first->shape, first->reason);
    }
    if (tensors->count > 0 || choice->use == TENSORS_TO_LIST) {
        return EXIT_OK;
    }
    message_error("--input: none of the %zu tensors can be quantized%s; expected F16, BF16 or F32%s", choice->count,
                  choice->sweep->tensor != NULL ? " that --tensor leaves" : "",
                  choice->sweep->tensor == NULL ? " in two dimensions, or --tensor='*'" : "");
    return EXIT_USAGE;
}

enum exit_code tensor_choice_make(const struct sweep *sweep, enum tensors_use use, const struct model_index *models,
                                  struct tensors *tensors)
{
    struct choice choice = {.sweep = sweep, .use = use, .tensors = tensors};
    enum exit_code code = list_candidates(models, &choice);

    if (code == EXIT_OK && is_a_name(&choice)) {
        choice.patterns.list = calloc(1, sizeof *choice.patterns.list);
        code = choice.patterns.list == NULL ? message_out_of_memory("the patterns of --tensor", 1) : EXIT_OK;
        if (code == EXIT_OK) {
            choice.patterns.list[0] = (struct pattern){.text = sweep->tensor, .is_exact = true};
            choice.patterns.count = 1;
            choice.patterns.any_includes = true;
        }
    } else if (code == EXIT_OK && sweep->tensor != NULL) {
        code = parse_patterns(sweep->tensor, &choice.patterns);
    }
    code = code == EXIT_OK ? place_all(&choice) : code;
    code = code == EXIT_OK ? check_patterns(&choice) : code;
    code = code == EXIT_OK ? check_items(&choice) : code;
    free_patterns(&choice.patterns);
    free(choice.candidates);
    return code;
}
