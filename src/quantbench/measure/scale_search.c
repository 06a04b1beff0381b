/* SPDX-License-Identifier: Apache-2.0 */
/* scale_search.c - tries scales. Where elements have 16 bits, an error is needed only once for each value, however
 * often that is there; else all data are quantized with each scale. */
#include <config.h>

#include "base/interrupt.h"
#include "measure/scale_search.h"

#include <math.h>
#include <stdlib.h>

/* Ranges: the first are in steps of a sixteenth of an octave, down to a 64th of the data's. Each refinement divides
 * what is between the neighbors of the best. */
#define STEPS       16
#define STEP        0.957603280698573647 /* 2^(-1 / STEPS) */
#define FIRST       (6 * STEPS + 1)
#define FINE        33
#define REFINEMENTS 2
/* The same of a tensor scale, to which groups adapt: in an octave of ranges above that of the data the scales of groups
 * round in all ways that there are, and none saturates; in the octave below some do. Of few elements the error is
 * jagged, and many ranges take little time: an octave has STEPS of them, or as many as make TENSOR_ELEMENTS. */
#define TENSOR_OCTAVES   2
#define TENSOR_TOP       2.0 /* of the data's range */
#define TENSOR_MAX_STEPS 256
#define TENSOR_ELEMENTS  0x1p24
#define TENSOR_FINE      9
/* With zero points, each end of the range is searched alone: in steps of an eighth of an octave and at 0, in turns
 * until neither improves; and then near the best. */
#define END_STEP   (STEP * STEP)
#define END_COARSE (6 * STEPS / 2 + 2)
#define END_TURNS  4
#define END_PASSES 2
/* How many passes over the trials there are at most, for the progress. */
#define PASSES        (1 + REFINEMENTS)
#define PASSES_OF_END (2 * END_TURNS + 2 * END_PASSES * REFINEMENTS)

/* Elements that threads share, and those that one quantizes and sums at once. */
#define CHUNK (UINT64_C(1) << 18)
#define PART  4096

/* One scale. */
struct trial {
    double low_share, high_share; /* of the whole range */
    struct static_scale scale;
    double noise;
};

struct search {
    const struct scale_search *about;
    const struct qb_problem *problem; /* as it is swept */
    float low, high;                  /* the whole range */
    double top;                       /* the largest share of it that is tried */
    int first, fine;                  /* ranges of the first search, and of a refinement */
    int steps;                        /* of the first search in an octave */
    double step;                      /* the factor of each */
    double *shares;                   /* of the first search */
    struct trial *trials;             /* as many */
    /* Each value once, and how often it is there; NULL: there are too many. */
    float *values;
    uint64_t *counts;
    uint64_t count;
    /* Of each trial: the values of its codes, and the errors of the parts of a chunk. */
    double (*meanings)[256];
    double (*sums)[CHUNK / PART];
    /* For the progress: passes over the trials, and rows of dumps that this one is done with. */
    int passes, planned;
    uint64_t rows;
};

/* Say that SHARE of a pass over the trials is done. */
static void show(const struct search *s, double share)
{
    if (s->about->progress != NULL && !interrupt_requested()) {
        s->about->progress(s->about->progress_about, (s->passes + share) / s->planned);
    }
}

/* Say that SHARE of DUMP is done in this pass. */
static void show_dump(const struct search *s, const struct tensor *dump, double share)
{
    show(s, ((double)s->rows + share * (double)dump->rows) / (double)s->about->set->rows);
}

/* ---- Errors of elements ----------------------------------------------------------------------------------------- */

/* The error of COUNT elements at VALUES whose codes are CODES; each is there as often as COUNTS says, or once. */
static double add_part(const float *values, const uint64_t *counts, const uint8_t *codes, uint64_t count,
                       const double meanings[256])
{
    double sum = 0;

    for (uint64_t i = 0; i < count; i++) {
        const double error = meanings[codes[i]] - (double)values[i];

        if (isfinite(values[i])) {
            sum += error * error * (counts != NULL ? (double)counts[i] : 1);
        }
    }
    return sum;
}

/* Set MEANINGS to the values of TRIAL's codes, exactly: a value has few bits, and a scale has 24. */
static void find_meanings(const struct search *s, const struct trial *trial, double meanings[256])
{
    for (int code = 0; code < 256; code++) {
        meanings[code] = ((double)qb_format_decode(s->problem->output, (uint32_t)code) - trial->scale.zero_point) *
                         (double)trial->scale.scale;
    }
}

/* Set *NOISE to the error of COUNT elements, PART at most, by TRIAL. */
static enum qb_status try_part(const struct search *s, struct qb_queue *queue, const struct trial *trial,
                               const double meanings[256], const float *values, const uint64_t *counts, uint64_t count,
                               double *noise)
{
    struct qb_problem p = static_scale_problem(s->problem);
    struct static_scale_memory memory;
    struct qb_tensors tensors = static_scale_tensors(&p, &trial->scale, &memory);
    uint8_t packed[PART], codes[PART];
    enum qb_status status;

    p.input = QB_FORMAT_F32;
    p.tokens = 1;
    p.hidden = count;
    tensors.at[QB_ROLE_INPUT] = (void *)(uintptr_t)values;
    tensors.at[QB_ROLE_CODES] = packed;
    status = qb_quantize(queue, &p, &tensors);
    status = status == QB_OK ? qb_queue_synchronize(queue) : status;
    if (status == QB_OK) {
        qb_codes_unpack(p.output, p.packing, packed, 0, count, codes);
        *noise = add_part(values, counts, codes, count, meanings);
    }
    return status;
}

/* Add the errors of COUNT elements, CHUNK at most, to TRIAL_COUNT TRIALS. One parallel region does all of them, since
 * on a machine that others use threads wait long for each other. Each thread has a queue of its own, and takes parts,
 * which are added in an order that does not depend on threads. */
static enum exit_code try_values(const struct search *s, struct trial *trials, size_t trial_count, const float *values,
                                 const uint64_t *counts, uint64_t count)
{
    const uint64_t parts = (count + PART - 1) / PART;
    enum qb_status first_status = QB_OK;

    for (size_t i = 0; i < trial_count; i++) {
        find_meanings(s, &trials[i], s->meanings[i]);
    }
#pragma omp parallel
    {
        struct qb_queue *queue = NULL;
        enum qb_status status = qb_queue_create(s->about->rating->device->handle, &queue);

        status = status == QB_OK ? qb_queue_set_threads(queue, 1) : status;
#pragma omp for schedule(dynamic)
        for (uint64_t part = 0; part < parts; part++) {
            const uint64_t first = part * PART, some = count - first < PART ? count - first : PART;

            for (size_t i = 0; i < trial_count && status == QB_OK && !interrupt_requested(); i++) {
                status = try_part(s, queue, &trials[i], s->meanings[i], values + first,
                                  counts != NULL ? counts + first : NULL, some, &s->sums[i][part]);
            }
        }
        qb_queue_destroy(queue);
#pragma omp critical(scale_search)
        first_status = first_status == QB_OK ? status : first_status;
    }
    for (size_t i = 0; i < trial_count && first_status == QB_OK; i++) {
        for (uint64_t part = 0; part < parts; part++) {
            trials[i].noise += s->sums[i][part];
        }
    }
    message_heartbeat();
    return first_status == QB_OK ? EXIT_OK : message_status("quantization", first_status);
}

/* Add the errors of DUMP, which begins at DATA, to COUNT TRIALS: those of its elements, or, where groups have scales of
 * their own, of the whole. */
static enum exit_code try_dump(const struct search *s, const struct tensor *dump, const void *data,
                               struct trial *trials, size_t count)
{
    const uint64_t elements = dump->rows * dump->cols;
    enum exit_code code = EXIT_OK;

    if (s->problem->tensor_scale == QB_TENSOR_SCALE_NONE) {
        for (uint64_t first = 0; first < elements && code == EXIT_OK && !interrupt_requested(); first += CHUNK) {
            const uint64_t some = elements - first < CHUNK ? elements - first : CHUNK;

            code = try_values(s, trials, count, (const float *)data + first, NULL, some);
            show_dump(s, dump, (double)(first + some) / (double)elements);
        }
        return code;
    }
    for (size_t i = 0; i < count && code == EXIT_OK && !interrupt_requested(); i++) {
        struct qb_problem p = static_scale_problem(s->problem);
        struct static_scale_memory memory;
        const struct qb_tensors given = static_scale_tensors(&p, &trials[i].scale, &memory);
        struct quality quality;

        p.tokens = dump->rows;
        p.hidden = dump->cols;
        p.input = dump->format;
        code = rating_rate_data(s->about->rating, &p, data, &given, &quality);
        trials[i].noise += code == EXIT_OK ? quality.noise : 0;
        message_heartbeat();
        show_dump(s, dump, (double)(i + 1) / (double)count);
    }
    return code;
}

/* ---- Trials ----------------------------------------------------------------------------------------------------- */

/* Set the noise of COUNT TRIALS, whose scales have their ranges. After an interrupt it is too small. */
static enum exit_code try_all(struct search *s, struct trial *trials, size_t count)
{
    const struct dump_set *const set = s->about->set;
    enum exit_code code = EXIT_OK;

    s->rows = 0;
    for (size_t i = 0; i < count && code == EXIT_OK && !interrupt_requested(); i++) {
        trials[i].noise = 0;
        code = static_scale_find(s->problem, &trials[i].scale);
    }
    if (code == EXIT_OK && s->values != NULL && !interrupt_requested()) {
        code = try_values(s, trials, count, s->values, s->counts, s->count);
    }
    for (size_t i = 0; i < set->count && s->values == NULL && code == EXIT_OK && !interrupt_requested(); i++) {
        const void *data;

        code = tensors_hold(s->about->tensors, set->dumps[i], &data);
        code = code == EXIT_OK ? try_dump(s, set->dumps[i], data, trials, count) : code;
        code = code == EXIT_OK ? tensors_check_held(s->about->tensors) : code;
        s->rows += set->dumps[i]->rows;
    }
    s->passes += s->passes < s->planned;
    show(s, 0);
    return code;
}

/* The least noise of COUNT TRIALS; of equal ones, the first. */
static size_t find_least(const struct trial *trials, size_t count)
{
    size_t least = 0;

    for (size_t i = 1; i < count; i++) {
        least = trials[i].noise < trials[least].noise ? i : least;
    }
    return least;
}

/* Which ends of the range shrink. */
enum ends { BOTH, LOW, HIGH };

/* Try COUNT shares of the range, SHARES, in falling order, for ENDS; the other end is that of *BEST. Sets *BEST if one
 * is better. */
static enum exit_code try_shares(struct search *s, enum ends ends, const double *shares, size_t count,
                                 struct trial *best)
{
    struct trial *const trials = s->trials;
    enum exit_code code;
    size_t least;

    for (size_t i = 0; i < count; i++) {
        struct trial *const trial = &trials[i];

        *trial = (struct trial){.noise = 0};
        trial->low_share = ends == HIGH ? best->low_share : shares[i];
        trial->high_share = ends == LOW ? best->high_share : shares[i];
        trial->scale.low = (float)((double)s->low * trial->low_share);
        trial->scale.high = (float)((double)s->high * trial->high_share);
    }
    code = try_all(s, trials, count);
    least = find_least(trials, count);
    if (code == EXIT_OK && trials[least].noise < best->noise) {
        *best = trials[least];
    }
    return code;
}

/* Try shares that lie evenly around that of *BEST, up to the next of those that fall by STEP, or, from 0 on, up to
 * SMALLEST; then within the step between these. */
static enum exit_code refine(struct search *s, enum ends ends, double step, double smallest, struct trial *best)
{
    const double begin = ends == HIGH ? best->high_share : best->low_share;
    double reach = begin > 0 ? begin * (1 / step - 1) : smallest;
    enum exit_code code = EXIT_OK;

    for (int pass = 0; pass < REFINEMENTS && code == EXIT_OK; pass++) {
        const double share = ends == HIGH ? best->high_share : best->low_share;
        const double most = fmin(share + reach, s->top), least = fmax(share - reach, 0);
        double shares[FINE];

        for (int i = 0; i < s->fine; i++) {
            shares[i] = most - (most - least) * i / (s->fine - 1);
        }
        code = try_shares(s, ends, shares, (size_t)s->fine, best);
        reach = (most - least) / (s->fine - 1);
    }
    return code;
}

/* Search each end alone: outliers at one end leave the other where it is. */
static enum exit_code search_ends(struct search *s, struct trial *best)
{
    double shares[END_COARSE], before = INFINITY;
    enum exit_code code = EXIT_OK;

    shares[0] = 1;
    for (int i = 1; i < END_COARSE - 1; i++) {
        shares[i] = shares[i - 1] * END_STEP;
    }
    shares[END_COARSE - 1] = 0;
    for (int turn = 0; turn < END_TURNS && best->noise < before && code == EXIT_OK; turn++) {
        before = best->noise;
        code = try_shares(s, LOW, shares, END_COARSE, best);
        code = code == EXIT_OK ? try_shares(s, HIGH, shares, END_COARSE, best) : code;
    }
    s->passes = PASSES + 2 * END_TURNS;
    for (int pass = 0; pass < END_PASSES && code == EXIT_OK; pass++) {
        code = refine(s, LOW, END_STEP, shares[END_COARSE - 2], best);
        code = code == EXIT_OK ? refine(s, HIGH, END_STEP, shares[END_COARSE - 2], best) : code;
    }
    return code;
}

static enum exit_code search_range(struct search *s, struct trial *best)
{
    const bool has_ends = s->problem->zero_points != QB_ZERO_POINTS_NONE;
    enum exit_code code;

    s->shares[0] = s->top;
    for (int i = 1; i < s->first; i++) {
        s->shares[i] = i < s->steps ? s->shares[i - 1] * s->step : s->shares[i - s->steps] / 2;
    }
    s->planned = PASSES + (has_ends ? PASSES_OF_END : 0);
    code = try_shares(s, BOTH, s->shares, (size_t)s->first, best);
    code = code == EXIT_OK ? refine(s, BOTH, s->step, 0, best) : code;
    return code == EXIT_OK && has_ends ? search_ends(s, best) : code;
}

/* ---- All of it -------------------------------------------------------------------------------------------------- */

/* Set the values that are there, if they need no more than a chunk. */
static bool collect_values(struct search *s)
{
    const struct census *const census = s->about->census;

    if (s->problem->tensor_scale != QB_TENSOR_SCALE_NONE || !census_is_exact(census)) {
        return true;
    }
    s->values = calloc(CENSUS_KEYS, sizeof *s->values);
    s->counts = calloc(CENSUS_KEYS, sizeof *s->counts);
    for (uint32_t key = 0; key < CENSUS_KEYS && s->values != NULL && s->counts != NULL; key++) {
        if (census->counts[key] > 0 && census_is_finite(census, key)) {
            s->values[s->count] = census_value(census, key);
            s->counts[s->count++] = census->counts[key];
        }
    }
    return s->values != NULL && s->counts != NULL;
}

/* Set which ranges are tried. */
static bool choose_ranges(struct search *s)
{
    const struct dump_set *const set = s->about->set;
    const double elements = (double)set->rows * (double)set->dumps[0]->cols;

    s->top = 1;
    s->steps = STEPS;
    s->step = STEP;
    s->first = FIRST;
    s->fine = FINE;
    if (s->problem->tensor_scale != QB_TENSOR_SCALE_NONE) {
        while (s->steps < TENSOR_MAX_STEPS && 2 * s->steps * elements <= TENSOR_ELEMENTS) {
            s->steps *= 2;
            s->step = sqrt(s->step);
        }
        s->top = TENSOR_TOP;
        s->first = TENSOR_OCTAVES * s->steps + 1;
        s->fine = TENSOR_FINE;
    }
    s->shares = calloc((size_t)s->first, sizeof *s->shares);
    s->trials = calloc((size_t)s->first, sizeof *s->trials);
    return s->shares != NULL && s->trials != NULL;
}

enum exit_code scale_search_run(const struct scale_search *about, const struct qb_problem *problem,
                                struct static_scale *best)
{
    const struct census *const census = about->census;
    const float amax = fmaxf(-census->low, census->high);
    const bool is_asymmetric = problem->zero_points != QB_ZERO_POINTS_NONE;
    struct search s = {
        .about = about,
        .problem = problem,
        .low = is_asymmetric ? fminf(census->low, 0) : -amax,
        .high = is_asymmetric ? fmaxf(census->high, 0) : amax,
        .meanings = calloc(FIRST, sizeof *s.meanings),
        .sums = calloc(FIRST, sizeof *s.sums),
    };
    struct trial found = {.noise = INFINITY};
    enum exit_code code = EXIT_OK;

    if (s.meanings == NULL || s.sums == NULL || !choose_ranges(&s) || !collect_values(&s)) {
        code = message_out_of_memory("the search for a scale", CHUNK);
    }
    code = code == EXIT_OK ? search_range(&s, &found) : code;
    if (code == EXIT_OK) {
        *best = found.scale;
    }
    free(s.values);
    free(s.counts);
    free(s.shares);
    free(s.trials);
    free(s.meanings);
    free(s.sums);
    return code;
}
