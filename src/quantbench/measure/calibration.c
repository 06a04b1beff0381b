/* SPDX-License-Identifier: Apache-2.0 */
/* calibration.c - see calibration.h. The dumps are read one after the other: once to count their values, again for
 * percentiles of F32 and for errors that counts do not tell, and once to rate all scales. */
#include <config.h>

#include "base/interrupt.h"
#include "cases/quantization.h"
#include "check/census.h"
#include "check/quality.h"
#include "measure/calibration.h"
#include "measure/scale_search.h"
#include "model/problem_text.h"
#include "model/recipe.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A range of a percentile, of both ends together or of each. */
struct found_range {
    bool is_there;
    float low, high;
};

/* One calibration. */
struct work {
    const struct calibration_wishes *wishes;
    const struct dump_set *set;
    const struct calibration_given *given;
    struct calibrated_tensor *tensor;
    struct census census;
    struct found_range *ranges; /* two for each method: of symmetric scales, and of those with zero points */
    size_t passed, planned;     /* passes: to count, to find each scale, and to rate all */
};

/* ---- Ways ------------------------------------------------------------------------------------------------------- */

/* Way INDEX of SWEEP, for all rows of SET. */
static struct qb_problem swept(const struct sweep *sweep, size_t index)
{
    struct qb_problem p;

    qb_problem_init(&p);
    quantization_set(sweep, index, &p);
    p.scaling = QB_SCALING_DYNAMIC;
    return p;
}

/* Say that P has no scale that can be static. */
static void refuse_way(const struct qb_problem *p)
{
    static const char *const remedy = "expected --granularity=tensor, or nvfp4, which has a tensor scale";
    char granularity[64];

    problem_granularity_text(p, granularity, sizeof granularity);
    if (p->granularity == QB_GRANULARITY_CHANNEL) {
        message_error("--calibrate: %s with a static scale for each channel is not what checkpoints have: activations "
                      "have one for the tensor, and the scales of weights are computed from them; %s",
                      recipe_name(p), remedy);
        return;
    }
    message_error("--calibrate: %s with a scale for each %s has none for all data; %s", recipe_name(p),
                  p->granularity == QB_GRANULARITY_GROUP   ? "group"
                  : p->granularity == QB_GRANULARITY_BLOCK ? "block"
                                                           : granularity,
                  remedy);
}

bool calibration_check(const struct sweep *sweep)
{
    for (size_t i = 0; i < quantization_count(sweep); i++) {
        const struct qb_problem p = swept(sweep, i);

        if (!static_scale_has(&p)) {
            refuse_way(&p);
            return false;
        }
    }
    return true;
}

/* Add a way for P; there is room. */
static struct calibrated_way *add_way(struct work *w, const struct qb_problem *p, struct calibration_method method)
{
    struct calibrated_way *way = &w->tensor->ways[w->tensor->way_count++];

    *way = (struct calibrated_way){.problem = *p, .method = method, .loss = NAN, .token_loss = NAN};
    return way;
}

/* P with scales that are computed from each dump, or each token. */
static struct qb_problem dynamic_problem(const struct qb_problem *problem, bool by_token)
{
    struct qb_problem p = *problem;

    p.scaling = QB_SCALING_DYNAMIC;
    if (p.tensor_scale != QB_TENSOR_SCALE_NONE) {
        p.tensor_scale = QB_TENSOR_SCALE_COMPUTED;
    } else if (by_token) {
        p.granularity = QB_GRANULARITY_TOKEN;
    }
    return p;
}

/* ---- Counting --------------------------------------------------------------------------------------------------- */

/* Say that SHARE of the current pass is done. */
static void show(void *about, double share)
{
    const struct work *const w = about;

    if (w->wishes->progress != NULL && !interrupt_requested()) {
        w->wishes->progress(w->wishes->about, ((double)w->passed + share) / (double)w->planned);
    }
}

static void end_pass(struct work *w)
{
    w->passed++;
    show(w, 0);
}

/* Say that not all elements of DUMP are finite. */
static void warn_of_dump(const struct calibrated_tensor *tensor, const struct calibrated_dump *dump)
{
    char file[LABEL_TEXT_SIZE], name[LABEL_TEXT_SIZE];

    message_warning("%s: %" PRIu64 " NaN and %" PRIu64 " infinities in this dump of '%s' do not count",
                    label_text(file, dump->file, strlen(dump->file)), dump->nan, dump->infinite,
                    label_text(name, tensor->name, strlen(tensor->name)));
}

/* Count the values of dump INDEX, and what is to be said of it. */
static enum exit_code count_dump(struct work *w, size_t index)
{
    const struct tensor *const from = w->set->dumps[index];
    struct calibrated_dump *const dump = &w->tensor->dumps[index];
    struct census census;
    const void *data;
    enum exit_code code = tensors_hold(w->wishes->tensors, from, &data);

    if (code != EXIT_OK) {
        return code;
    }
    if (!census_begin(&census, from->format) || !census_count(&census, data, from->rows * from->cols)) {
        code = message_out_of_memory("the counts of values", CENSUS_KEYS * sizeof *census.counts);
    }
    code = code == EXIT_OK ? tensors_check_held(w->wishes->tensors) : code;
    if (code == EXIT_OK) {
        census_merge(&w->census, &census);
        dump->file = strdup(from->file);
        dump->name = from->name != NULL ? strdup(from->name) : NULL;
        dump->rows = from->rows;
        dump->nan = census.nan;
        dump->infinite = census.infinite;
        dump->amax = fmaxf(-census.low, census.high);
        if (dump->file == NULL || (dump->name == NULL && from->name != NULL)) {
            code = message_out_of_memory("the list of dumps", strlen(from->file));
        } else if (dump->nan + dump->infinite > 0) {
            warn_of_dump(w->tensor, dump);
        }
    }
    census_end(&census);
    return code;
}

static enum exit_code count_all(struct work *w)
{
    struct calibrated_tensor *const tensor = w->tensor;
    char name[LABEL_TEXT_SIZE];
    enum exit_code code = EXIT_OK;
    uint64_t rows = 0;

    for (size_t i = 0; i < w->set->count && code == EXIT_OK && !interrupt_requested(); i++) {
        code = count_dump(w, i);
        rows += w->set->dumps[i]->rows;
        show(w, (double)rows / (double)w->set->rows);
    }
    tensor->finite = w->census.finite;
    tensor->nan = w->census.nan;
    tensor->infinite = w->census.infinite;
    tensor->low = w->census.low;
    tensor->high = w->census.high;
    label_text(name, tensor->name, strlen(tensor->name));
    if (code == EXIT_OK && !interrupt_requested() && tensor->finite == 0) {
        message_error("--calibrate: '%s' has no finite element in %zu dump%s; leave it out with --tensor='!...'", name,
                      w->set->count, w->set->count == 1 ? "" : "s");
        return EXIT_USAGE;
    }
    if (code == EXIT_OK && !interrupt_requested() && calibration_is_zero(tensor)) {
        message_warning("'%s' is 0 in all dumps: its scale is set to 1, which no data support", name);
    }
    return code;
}

/* ---- Scales ----------------------------------------------------------------------------------------------------- */

/* Elements that are counted before an interrupt is looked for. */
#define RANK_CHUNK (UINT64_C(1) << 18)

/* Find the elements of COUNT RANKS. */
static enum exit_code find_ranks(struct work *w, struct census_rank *ranks, size_t count)
{
    enum exit_code code = EXIT_OK;
    uint64_t rows = 0;

    for (size_t i = 0; i < w->set->count && !census_is_exact(&w->census) && code == EXIT_OK && !interrupt_requested();
         i++) {
        const struct tensor *const dump = w->set->dumps[i];
        const uint64_t elements = dump->rows * dump->cols;
        const void *data;

        code = tensors_hold(w->wishes->tensors, dump, &data);
        for (uint64_t first = 0; first < elements && code == EXIT_OK && !interrupt_requested(); first += RANK_CHUNK) {
            const uint64_t some = elements - first < RANK_CHUNK ? elements - first : RANK_CHUNK;

            for (size_t k = 0; k < count; k++) {
                census_rank_count(&ranks[k], (const float *)data + first, some);
            }
        }
        code = code == EXIT_OK ? tensors_check_held(w->wishes->tensors) : code;
        rows += dump->rows;
        show(w, (double)rows / (double)w->set->rows);
    }
    return code;
}

/* Set RANGE to the percentile PERCENT. */
static enum exit_code find_percentile(struct work *w, bool is_asymmetric, uint64_t percent, struct found_range *range)
{
    const size_t count = is_asymmetric ? 2 : 1;
    const uint64_t cut = census_cut(w->census.finite, percent, (unsigned)count);
    struct census_rank ranks[2] = {{.key = 0}};
    enum exit_code code = EXIT_OK;

    if (!census_rank_begin(&w->census, is_asymmetric ? CENSUS_HIGH : CENSUS_MAGNITUDE, cut, &ranks[0]) ||
        (is_asymmetric && !census_rank_begin(&w->census, CENSUS_LOW, cut, &ranks[1]))) {
        code = message_out_of_memory("the counts of values", CENSUS_KEYS * sizeof *ranks->halves);
    }
    code = code == EXIT_OK ? find_ranks(w, ranks, count) : code;
    if (code == EXIT_OK && !interrupt_requested()) {
        range->high = census_rank_value(&w->census, &ranks[0]);
        range->low = is_asymmetric ? census_rank_value(&w->census, &ranks[1]) : -range->high;
        range->is_there = true;
    }
    census_rank_end(&ranks[0]);
    census_rank_end(&ranks[1]);
    return code;
}

/* Set the range of SCALE to that of all data. */
static void set_whole_range(const struct work *w, const struct qb_problem *p, struct static_scale *scale)
{
    const float amax = fmaxf(-w->census.low, w->census.high);
    const bool is_asymmetric = p->zero_points != QB_ZERO_POINTS_NONE;

    scale->low = is_asymmetric ? w->census.low : -amax;
    scale->high = is_asymmetric ? w->census.high : amax;
}

/* Set the range of SCALE to the percentile of method INDEX; it is found once for all formats. */
static enum exit_code set_percentile(struct work *w, const struct qb_problem *p, size_t index,
                                     struct static_scale *scale)
{
    const bool is_asymmetric = p->zero_points != QB_ZERO_POINTS_NONE;
    struct found_range *const range = &w->ranges[2 * index + is_asymmetric];
    char name[LABEL_TEXT_SIZE];
    enum exit_code code = EXIT_OK;

    if (!range->is_there) {
        code = find_percentile(w, is_asymmetric, w->wishes->methods->values[index].percent, range);
    }
    scale->low = range->low;
    scale->high = range->high;
    if (range->is_there && scale->low == 0 && scale->high == 0) {
        message_warning("'%s': the percentile is 0, since most elements are; the scale is that of the amax",
                        label_text(name, w->tensor->name, strlen(w->tensor->name)));
        set_whole_range(w, p, scale);
    }
    return code;
}

/* Set SCALE by method INDEX. */
static enum exit_code find_scale(struct work *w, const struct qb_problem *p, size_t index, struct static_scale *scale)
{
    const struct scale_search search = {.rating = w->wishes->rating,
                                        .tensors = w->wishes->tensors,
                                        .set = w->set,
                                        .census = &w->census,
                                        .progress = show,
                                        .progress_about = w};
    const enum calibration_source source = w->wishes->methods->values[index].source;
    enum exit_code code = EXIT_OK;

    *scale = (struct static_scale){.scale = 1};
    if (calibration_is_zero(w->tensor)) {
        return EXIT_OK;
    }
    if (source == CALIBRATION_MSE) {
        return scale_search_run(&search, p, scale);
    }
    if (source == CALIBRATION_PERCENTILE) {
        code = set_percentile(w, p, index, scale);
    } else {
        set_whole_range(w, p, scale);
    }
    return code == EXIT_OK ? static_scale_find(p, scale) : code;
}

/* Set what WAY says of SCALE. */
static void set_way(const struct work *w, const struct static_scale *scale, struct calibrated_way *way)
{
    const bool has_zero_point = way->problem.zero_points != QB_ZERO_POINTS_NONE;
    const bool is_inverse = w->wishes->are_inverses && way->problem.tensor_scale != QB_TENSOR_SCALE_NONE;

    /* Codes with a zero point have one for 0, so that the range has it too. */
    way->low = has_zero_point ? fminf(scale->low, 0) : scale->low;
    way->high = has_zero_point ? fmaxf(scale->high, 0) : scale->high;
    way->scale = is_inverse && isfinite(1 / scale->scale) ? 1 / (1 / scale->scale) : scale->scale;
    way->zero_point = scale->zero_point;
}

/* Add all ways of the sweep's way INDEX. */
static enum exit_code add_ways(struct work *w, size_t index)
{
    struct qb_problem p = swept(w->wishes->sweep, index), fixed;
    enum exit_code code = EXIT_OK;

    p.input = w->tensor->format;
    p.tokens = w->tensor->rows;
    p.hidden = w->tensor->hidden;
    fixed = static_scale_problem(&p);
    for (size_t i = 0; i < w->wishes->methods->count && code == EXIT_OK && !interrupt_requested(); i++) {
        struct calibrated_way *const way = add_way(w, &fixed, w->wishes->methods->values[i]);
        struct static_scale scale;

        code = find_scale(w, &p, i, &scale);
        if (code == EXIT_OK) {
            set_way(w, &scale, way);
        }
        end_pass(w);
    }
    if (w->given != NULL && w->given[index].is_there) {
        struct calibrated_way *const way = add_way(w, &fixed, (struct calibration_method){CALIBRATION_GIVEN, 0});

        way->scale = w->given[index].scale;
        way->zero_point = w->given[index].zero_point;
    }
    fixed = dynamic_problem(&p, false);
    add_way(w, &fixed, (struct calibration_method){CALIBRATION_DYNAMIC, 0});
    if (p.tensor_scale == QB_TENSOR_SCALE_NONE) { /* else groups have scales of their own */
        fixed = dynamic_problem(&p, true);
        add_way(w, &fixed, (struct calibration_method){CALIBRATION_DYNAMIC_TOKEN, 0});
    }
    return code;
}

/* ---- Ratings ---------------------------------------------------------------------------------------------------- */

/* Rate WAY on DUMP, whose elements are DATA. */
static enum exit_code rate(struct work *w, struct calibrated_way *way, const struct tensor *dump, const void *data)
{
    const struct static_scale scale = {.scale = way->scale, .zero_point = way->zero_point};
    const bool is_static = calibration_is_static(way->method.source);
    struct qb_problem p = way->problem;
    struct static_scale_memory memory;
    struct qb_tensors given = {.size = sizeof given};
    struct quality quality;
    enum exit_code code;

    p.tokens = dump->rows;
    if (is_static) {
        given = static_scale_tensors(&p, &scale, &memory);
    }
    code = rating_rate_data(w->wishes->rating, &p, data, is_static ? &given : NULL, &quality);
    if (code == EXIT_OK) {
        quality_add(&quality, &way->quality);
    }
    return code;
}

/* What SNR B has more than A, in dB; NAN if they are not numbers. */
static double loss_of(const struct calibrated_way *a, const struct calibrated_way *b)
{
    const double loss = b->quality.snr - a->quality.snr;

    return a->quality.snr == b->quality.snr ? 0 : isfinite(loss) ? loss : NAN;
}

/* Set the losses of all ways: those of the same output follow each other, and end with the dynamic ones. */
static void set_losses(struct calibrated_tensor *tensor)
{
    for (size_t i = 0; i < tensor->way_count; i++) {
        struct calibrated_way *const way = &tensor->ways[i];
        size_t k = i;

        while (calibration_is_static(way->method.source) && tensor->ways[k].method.source != CALIBRATION_DYNAMIC) {
            k++;
        }
        if (k > i) {
            way->loss = loss_of(way, &tensor->ways[k]);
            k++;
        }
        if (k > i && k < tensor->way_count && tensor->ways[k].method.source == CALIBRATION_DYNAMIC_TOKEN) {
            way->token_loss = loss_of(way, &tensor->ways[k]);
        }
    }
}

static enum exit_code rate_all(struct work *w)
{
    enum exit_code code = EXIT_OK;
    uint64_t rows = 0;

    for (size_t i = 0; i < w->set->count && code == EXIT_OK && !interrupt_requested(); i++) {
        const struct tensor *const dump = w->set->dumps[i];
        const void *data;

        code = tensors_hold(w->wishes->tensors, dump, &data);
        for (size_t k = 0; k < w->tensor->way_count && code == EXIT_OK && !interrupt_requested(); k++) {
            code = rate(w, &w->tensor->ways[k], dump, data);
        }
        code = code == EXIT_OK ? tensors_check_held(w->wishes->tensors) : code;
        rows += dump->rows;
        show(w, (double)rows / (double)w->set->rows);
    }
    set_losses(w->tensor);
    return code;
}

/* ---- All of it -------------------------------------------------------------------------------------------------- */

enum exit_code calibration_run(const struct calibration_wishes *wishes, const struct dump_set *set,
                               const struct calibration_given *given, struct calibrated_tensor *tensor)
{
    const size_t swept_ways = quantization_count(wishes->sweep), room = swept_ways * (wishes->methods->count + 3);
    struct work w = {.wishes = wishes,
                     .set = set,
                     .given = given,
                     .tensor = tensor,
                     .ranges = calloc(2 * wishes->methods->count + 1, sizeof *w.ranges),
                     .planned = 2 + swept_ways * wishes->methods->count};
    enum exit_code code = EXIT_OK;

    *tensor = (struct calibrated_tensor){
        .name = strdup(set->name),
        .format = set->dumps[0]->format,
        .rows = set->rows,
        .hidden = set->dumps[0]->cols,
        .dumps = calloc(set->count, sizeof *tensor->dumps),
        .dump_count = set->count,
        .ways = calloc(room, sizeof *tensor->ways),
    };
    if (!census_begin(&w.census, tensor->format) || tensor->name == NULL || tensor->dumps == NULL ||
        tensor->ways == NULL || w.ranges == NULL) {
        code = message_out_of_memory("the scales of a tensor", room * sizeof *tensor->ways);
    }
    code = code == EXIT_OK ? count_all(&w) : code;
    end_pass(&w);
    for (size_t i = 0; i < swept_ways && code == EXIT_OK && !interrupt_requested(); i++) {
        code = add_ways(&w, i);
    }
    code = code == EXIT_OK ? rate_all(&w) : code;
    free(w.ranges);
    census_end(&w.census);
    return code;
}

void calibration_free_tensor(struct calibrated_tensor *tensor)
{
    for (size_t i = 0; i < tensor->dump_count && tensor->dumps != NULL; i++) {
        free(tensor->dumps[i].file);
        free(tensor->dumps[i].name);
    }
    free(tensor->dumps);
    free(tensor->ways);
    free(tensor->name);
    *tensor = (struct calibrated_tensor){.name = NULL};
}
