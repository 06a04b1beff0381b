/* SPDX-License-Identifier: Apache-2.0 */
/* hard_data.c - see hard_data.h. A recipe is a scale and what is quantized by it: for each scale the same list of
 * values in units of it, made again in those of the input. With dynamic scaling one element of each tile is the amax
 * that makes the scale what it is to be. Lists that are longer than a tile go on in the next one; tiles that are longer
 * than a list have it several times. */
#include <config.h>

#include "check/hard_data.h"
#include "cases/input.h"
#include "model/sizes.h"
#include "model/tiling.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* What is in a tile beside its amax. */
enum content {
    EVERYTHING, /* all finite values up to the amax; with static scales all values at all */
    ZEROS,
    NANS,
    SPECIALS, /* the largest and smallest values there are, infinities and NaN */
};

/* The signs of a tile's elements. Where there are zero points, all of one sign make another scale than both do. */
enum side { BOTH, POSITIVE, NEGATIVE };
#define SIDES 3

struct hard_recipe {
    enum content content;
    uint32_t amax;  /* dynamic: a code; 0: there is none */
    uint32_t scale; /* static: the code of what is given */
    int zero_point; /* static */
    enum side side; /* dynamic */
};

/* Three for each value and each boundary, on both sides of both ends four times three, and the special ones. */
#define MOST_ITEMS (6 * HARD_MOST_VALUES + 24 + 40)

static const int odd_numbers[] = {3, 5, 7, 11, 13};
#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* What is needed to make recipes and lists of items. */
struct maker {
    struct hard_data *data;
    const struct input_grid *in;
    const struct output_grid *out;
    double qmax;
    bool fast;    /* the kernels are made with fast math */
    double limit; /* of the magnitudes of items */
    enum side side;
};

static struct maker begin_making(struct hard_data *data)
{
    return (struct maker){
        .data = data,
        .in = &data->in,
        .out = &data->out,
        .qmax = (double)qb_format_info(data->problem.output)->largest,
        .fast = data->arithmetic.match != QB_MATCH_EXACT,
        .limit = INFINITY,
    };
}

static double decode(const struct maker *m, uint32_t code)
{
    return (double)qb_format_decode(m->in->format, code);
}

/* The magnitude in the input's format that is nearest to |VALUE|. */
static uint32_t nearest(const struct maker *m, double value)
{
    return qb_format_encode(m->in->format, (float)fabs(value));
}

static bool is_subnormal(const struct maker *m, uint32_t magnitude)
{
    return magnitude > 0 && magnitude < m->in->smallest_normal;
}

/* ---- Recipes ---------------------------------------------------------------------------------------------------- */

static bool is_static(const struct hard_data *data)
{
    return data->problem.scaling == QB_SCALING_STATIC;
}

/* The reference's scale of a tile of the two elements HIGH and LOW, codes. PIN is another tile of its tensor, where the
 * tensor scale is computed. */
static struct tile_scale scale_of_two(const struct hard_data *data, uint32_t high, uint32_t low, uint32_t pin)
{
    struct qb_problem p = data->problem;
    const uint32_t wide[] = {high, low, pin, pin};
    const uint16_t narrow[] = {(uint16_t)high, (uint16_t)low, (uint16_t)pin, (uint16_t)pin};
    const bool is_wide = qb_format_info(p.input)->bits > 16;
    uint32_t stored[2] = {0, 0}, code = 0;
    int32_t zero_points[2] = {0, 0};
    float tensor_scale = data->tensor_scale;
    struct qb_tensors tensors = QB_TENSORS(is_wide ? (const void *)wide : (const void *)narrow, NULL, stored);

    p.granularity = QB_GRANULARITY_GROUP;
    p.scaling = QB_SCALING_AMAX;
    p.scale_layout = QB_SCALE_LAYOUT_ROWS;
    p.input_stride = p.scale_stride = p.tensor_scale_cols = 0;
    p.tokens = 1;
    p.hidden = 4;
    p.group = 2;
    tensors.at[QB_ROLE_ZERO_POINTS] = zero_points;
    tensors.at[QB_ROLE_TENSOR_SCALE] = &tensor_scale;
    qb_reference_scales_as(&p, &data->arithmetic, &tensors, NULL);
    memcpy(&code, stored, scales_element_size(&p));
    return scales_decode(&p, &data->arithmetic, code, tensor_scale, scales_zero_point(&p, zero_points, 0));
}

/* True if tensors with a tile of amax AMAX have nothing else, as their tensor scale comes from it. */
static bool is_alone(const struct hard_data *data, uint32_t amax)
{
    return data->pin != 0 && amax > data->pin;
}

/* The scale of tiles by RECIPE. */
static struct tile_scale scale_of(const struct hard_data *data, const struct hard_recipe *recipe)
{
    const uint32_t negative = recipe->amax | data->in.sign;

    if (is_static(data)) {
        return scales_decode(&data->problem, &data->arithmetic, recipe->scale, data->tensor_scale, recipe->zero_point);
    }
    return scale_of_two(data, recipe->side == NEGATIVE ? 0 : recipe->amax, recipe->side == POSITIVE ? 0 : negative,
                        is_alone(data, recipe->amax) ? recipe->amax : data->pin);
}

/* True if fast math is right with SCALE: neither what it is worth nor its inverse is subnormal. */
static bool is_harmless(struct tile_scale scale)
{
    return scale.stored >= 0x1p-125f && scale.stored <= 0x1p125f && scale.unit >= 0x1p-125 && scale.unit <= 0x1p125;
}

static void add_recipe(struct maker *m, struct hard_recipe recipe)
{
    struct hard_data *data = m->data;

    if (data->problem.zero_points != QB_ZERO_POINTS_NONE && !is_static(data)) {
        recipe.side = (enum side)(data->recipe_count % SIDES);
    }
    if (data->recipe_count < HARD_MOST_RECIPES) {
        data->recipes[data->recipe_count++] = recipe;
    }
}

/* True if there is a recipe for the scale CODE already: narrow formats have few. */
static bool has_scale(const struct hard_data *data, uint32_t code)
{
    for (size_t i = 0; i < data->recipe_count; i++) {
        if (data->recipes[i].scale == code) {
            return true;
        }
    }
    return false;
}

static void add_scale_code(struct maker *m, uint32_t code)
{
    const float given = qb_format_decode(m->data->problem.scale_format, code);
    struct hard_recipe recipe = {.content = EVERYTHING, .scale = code};

    if (m->data->problem.zero_points != QB_ZERO_POINTS_NONE) {
        recipe.zero_point = scales_some_zero_point(&m->data->problem, 37 * m->data->recipe_count);
    }
    if (given > 0 && isfinite(given) && !has_scale(m->data, code) &&
        (!m->fast || is_harmless(scale_of(m->data, &recipe)))) {
        add_recipe(m, recipe);
    }
}

static void add_scale(struct maker *m, double scale)
{
    const float given = (float)scale;

    if (given > 0 && isfinite(given)) {
        add_scale_code(m, qb_format_encode(m->data->problem.scale_format, given / m->data->tensor_scale));
    }
}

static void add_amax(struct maker *m, enum content content, uint32_t amax)
{
    const struct hard_recipe recipe = {.content = content, .amax = amax};

    if (m->fast &&
        (amax < m->in->smallest_normal || amax > m->in->largest || !is_harmless(scale_of(m->data, &recipe)))) {
        return;
    }
    add_recipe(m, recipe);
}

/* Add the scale SCALE, or the amax that makes it the scale of its tile. */
static void add(struct maker *m, double scale)
{
    if (is_static(m->data)) {
        add_scale(m, scale);
    } else if (nearest(m, scale * m->qmax) <= m->in->largest) {
        add_amax(m, EVERYTHING, nearest(m, scale * m->qmax));
    }
}

/* The exponents of the powers of two that are scales: of 1, or what is nearest to it; of the largest; of one that makes
 * many values subnormal, the smallest of them the smallest there is; and one between these. */
#define POWERS 4
static void find_exponents(const struct maker *m, int exponents[POWERS])
{
    size_t zero = 0;
    double smallest;
    int low, high = ilogb(decode(m, m->in->largest) / m->qmax);

    while (m->out->values[zero] < 0) {
        zero++;
    }
    smallest = (m->out->values[zero + 1] - m->out->values[zero]) / 2;
    low = ilogb(decode(m, 1) / smallest);
    low = low < -126 ? -126 : low;
    exponents[0] = high < 0 ? high : 0;
    exponents[1] = low;
    exponents[2] = (low + high) / 2;
    exponents[3] = high;
}

/* Add scales that are odd multiples of a power of two: the boundaries between codes are exact in the input's format,
 * and the scale's inverse is not. */
static void add_odd(struct maker *m, int exponent)
{
    for (size_t i = 0; i < COUNT(odd_numbers); i++) {
        const double scale = ldexp(odd_numbers[i], exponent - 4);

        if (is_static(m->data) || decode(m, nearest(m, scale * m->qmax)) == scale * m->qmax) {
            add(m, scale);
        }
    }
}

/* True if X * (1 / S) is encoded as another code than X / S. */
static bool is_quotient(const struct maker *m, float x, float s)
{
    return qb_format_encode(m->out->format, x / s) != qb_format_encode(m->out->format, x * (1 / s));
}

/* Add static scales that put a quotient of the input's numbers so near to a boundary that it matters how it is
 * computed.
 */
static void add_quotients(struct maker *m)
{
    const int wanted = 6, tries = 400;
    int found = 0;

    for (int i = 0; i < tries && found < wanted; i++) {
        const uint64_t random = input_random((uint64_t)i * INPUT_RANDOM_STEP);
        const size_t place = (size_t)(random % (m->out->count - 1));
        const double boundary = (m->out->values[place] + m->out->values[place + 1]) / 2;
        const double x = decode(m, nearest(m, 1 + (double)(random >> 32) * 0x1p-32));
        const float scale = (float)(x / fabs(boundary));

        if (isfinite(scale) && is_quotient(m, (float)(boundary < 0 ? -x : x), scale)) {
            add_scale(m, (double)scale);
            found++;
        }
    }
}

/* Add scales like those of any data. */
static void add_random(struct maker *m)
{
    for (uint64_t i = 0; i < 5; i++) {
        const double mantissa = 1 + (double)(input_random((i + 1) * INPUT_RANDOM_STEP) >> 12) * 0x1p-52;
        const double scale = ldexp(mantissa, (int)(2 * i) - 4) / m->qmax;

        add(m, decode(m, nearest(m, scale * m->qmax)) / m->qmax);
    }
}

/* Add the smallest and largest scales that can be given. */
static void add_given_edges(struct maker *m)
{
    const struct qb_format_info *info = qb_format_info(m->data->problem.scale_format);
    static const double edges[] = {0x1p-149, 0x1.8p-148,      0x1p-130, 0x1.fffffcp-127,
                                   0x1p-126, 0x1.fffffep-126, 0x1p126,  0x1.fffffep127};

    for (size_t i = 0; i < COUNT(edges) && info->bits == 32; i++) {
        add_scale(m, edges[i]);
    }
    if (info->bits < 32) { /* the smallest, the smallest with all of its bits, and the largest */
        add_scale_code(m, info->mantissa_bits == 0 ? 0 : 1);
        add_scale_code(m, (uint32_t)1 << info->mantissa_bits);
        add_scale_code(m, info->largest_code);
    }
}

/* Add what is next to the power of two of EXPONENT. */
static void add_next(struct maker *m, int exponent)
{
    const float power = ldexpf(1, exponent);
    const uint32_t amax = nearest(m, (double)power * m->qmax);

    if (is_static(m->data)) {
        add_scale(m, (double)nextafterf(power, 0));
        add_scale(m, (double)nextafterf(power, INFINITY));
    } else {
        add_amax(m, EVERYTHING, amax - 1);
        add_amax(m, EVERYTHING, amax + 1);
    }
}

/* Add what can be in a tile whose scale is computed. POWER is the amax that makes it a power of two. */
static void add_tiles(struct maker *m, uint32_t power)
{
    const float bound = m->data->problem.amax_bound;
    const bool guarded = m->data->arithmetic.zero != QB_ZERO_UNGUARDED;

    if (!m->fast || guarded) {
        add_recipe(m, (struct hard_recipe){.content = ZEROS});
    }
    for (uint32_t i = 0; i < 6; i++) {
        add_amax(m, ZEROS, power + i);
    }
    add_amax(m, EVERYTHING, 1);
    add_amax(m, EVERYTHING, m->in->smallest_normal - 1);
    add_amax(m, EVERYTHING, m->in->smallest_normal);
    add_amax(m, EVERYTHING, m->in->largest);
    if (bound > 0) {
        add_amax(m, EVERYTHING, nearest(m, (double)bound));
        add_amax(m, EVERYTHING, nearest(m, (double)bound) + 1);
        add_amax(m, EVERYTHING, nearest(m, 2 * (double)bound));
    }
    if (!m->fast && m->in->nan != m->in->infinity) {
        add_recipe(m, (struct hard_recipe){.content = NANS});
        add_amax(m, NANS, power);
    }
    if (!m->fast && m->in->infinity != m->in->largest) {
        add_amax(m, SPECIALS, m->in->infinity);
    }
}

static void add_recipes(struct maker *m)
{
    int exponents[POWERS];

    find_exponents(m, exponents);
    for (int i = 0; i < POWERS; i++) {
        if (i == 0 || exponents[i] != exponents[0]) {
            add(m, ldexp(1, exponents[i]));
        }
    }
    add_odd(m, exponents[0]);
    add_next(m, exponents[0]);
    add_next(m, exponents[POWERS - 1]);
    add_random(m);
    if (is_static(m->data)) {
        add_quotients(m);
        add_given_edges(m);
    } else {
        add_tiles(m, nearest(m, ldexp(m->qmax, exponents[0])));
    }
}

/* Let the last recipes, which are least like data in general, come first. */
static void reverse_recipes(struct hard_data *data)
{
    for (size_t i = 0, k = data->recipe_count; i + 1 < k; i++) {
        const struct hard_recipe recipe = data->recipes[i];

        data->recipes[i] = data->recipes[--k];
        data->recipes[k] = recipe;
    }
}

/* ---- Items ------------------------------------------------------------------------------------------------------ */

static void push(struct maker *m, uint32_t code)
{
    struct hard_data *data = m->data;
    const uint32_t magnitude = code & ~m->in->sign;
    const bool is_negative = magnitude != code;

    if ((m->side == POSITIVE && is_negative) || (m->side == NEGATIVE && !is_negative)) {
        return;
    }
    if (data->item_count == MOST_ITEMS || (magnitude <= m->in->infinity && decode(m, magnitude) > m->limit) ||
        (m->fast && (magnitude > m->in->largest || is_subnormal(m, magnitude)))) {
        return;
    }
    data->items[data->item_count++] = code;
}

static void push_both(struct maker *m, uint32_t magnitude)
{
    push(m, magnitude);
    push(m, magnitude | m->in->sign);
}

/* Push the input that is nearest to VALUE, and its neighbors. */
static void push_around(struct maker *m, double value)
{
    const uint32_t sign = value < 0 ? m->in->sign : 0, magnitude = nearest(m, value);

    if (magnitude > m->in->largest) {
        return;
    }
    push(m, magnitude | sign);
    if (magnitude > 0) {
        push(m, (magnitude - 1) | sign);
    }
    if (magnitude < m->in->largest) {
        push(m, (magnitude + 1) | sign);
    }
}

/* Push what is at the ends of the codes and beyond. END is the last value, BEFORE the one before it. */
static void push_edge(struct maker *m, double end, double before, double divisor)
{
    const double step = end - before;

    push_around(m, (end + step / 2) * divisor);
    push_around(m, (end + step) * divisor);
    push_around(m, 2 * end * divisor);
    push_around(m, 4 * (end + step) * divisor);
}

/* Push all codes and all that is between two of them, in units of DIVISOR, from ZERO_POINT on. */
static void push_codes(struct maker *m, double divisor, int zero_point)
{
    const double *values = m->out->values;
    const size_t count = m->out->count;

    for (size_t i = 0; i + 1 < count; i++) {
        push_around(m, ((values[i] + values[i + 1]) / 2 - zero_point) * divisor);
    }
    for (size_t i = 0; i < count; i++) {
        push_around(m, (values[i] - zero_point) * divisor);
    }
    push_edge(m, values[count - 1] - zero_point, values[count - 2] - zero_point, divisor);
    push_edge(m, values[0] - zero_point, values[1] - zero_point, divisor);
}

static void push_small(struct maker *m)
{
    push_both(m, 0);
    push_both(m, 1);
    push_both(m, 2);
    push_both(m, m->in->smallest_normal / 2);
    push_both(m, m->in->smallest_normal - 1);
    push_both(m, m->in->smallest_normal);
    push_both(m, m->in->smallest_normal + 1);
}

/* Push NaN, with the smallest and the largest payload. Signaling ones are left out: C does not say what fmaxf() makes
 * of them. */
static void push_nans(struct maker *m)
{
    if (m->in->nan != m->in->infinity) {
        push_both(m, m->in->nan);
        push_both(m, m->in->sign - 1);
    }
}

static void push_large(struct maker *m)
{
    push_both(m, m->in->largest);
    push_both(m, m->in->largest - 1);
    push_both(m, m->in->infinity);
}

static void make_items(struct hard_data *data)
{
    const struct hard_recipe *recipe = &data->recipes[data->recipe];
    const bool given = is_static(data);
    const struct tile_scale scale = scale_of(data, recipe);
    const double divisor = scale.exact;
    struct maker m = begin_making(data);

    m.limit = given || recipe->amax == 0 ? INFINITY : decode(&m, recipe->amax);
    m.side = recipe->side;
    data->item = data->item_count = 0;
    if (recipe->content == EVERYTHING && divisor > 0 && isfinite(divisor)) {
        push_codes(&m, divisor, scale.zero_point);
    }
    if (recipe->content == EVERYTHING || recipe->content == SPECIALS) {
        push_small(&m);
    }
    if (recipe->content == SPECIALS || (recipe->content == EVERYTHING && given)) {
        push_large(&m);
    }
    if (recipe->content == NANS || recipe->content == SPECIALS || (recipe->content == EVERYTHING && given)) {
        push_nans(&m);
    }
    if (recipe->content == ZEROS || data->item_count == 0) {
        m.side = BOTH;
        push_both(&m, 0);
    }
}

/* ---- Tiles ------------------------------------------------------------------------------------------------------ */

static void put(struct hard_data *data, uint64_t row, uint64_t col, uint32_t code)
{
    const size_t size = data->in.sign > 0x8000 ? sizeof code : sizeof(uint16_t);

    /* The lower half first: these hosts are little-endian. */
    memcpy((char *)data->input + (row * data->problem.hidden + col) * size, &code, size);
}

/* Where among COUNT elements an amax is: the last, the first, between them. Its sign changes less often. */
static uint64_t choose_place(const struct hard_data *data, uint64_t count)
{
    const uint64_t places[] = {count - 1, 0, count / 2};

    return places[data->placed % COUNT(places)];
}

static uint32_t choose_sign(const struct hard_data *data)
{
    switch (data->recipes[data->recipe].side) {
    case POSITIVE:
        return 0;
    case NEGATIVE:
        return data->in.sign;
    case BOTH:
        break;
    }
    return data->placed / 3 % 2 != 0 ? data->in.sign : 0;
}

/* Fill TILE. A single element is an item, and makes its own scale; a tail of one is none that others could do without.
 * Where there are zero points, the amax has its like of the other sign opposite it. */
static void fill_tile(struct hard_data *data, const struct tile *tile, bool is_tail)
{
    const uint64_t count = tile->rows * tile->cols;
    const struct hard_recipe *recipe = &data->recipes[data->recipe];
    const bool has_amax = !is_static(data) && recipe->amax != 0 && count > 1;
    const bool has_two = has_amax && data->problem.zero_points != QB_ZERO_POINTS_NONE && recipe->side == BOTH;
    const uint64_t place = has_amax ? choose_place(data, count) : UINT64_MAX;
    const uint64_t opposite = has_two ? (place + count / 2) % count : UINT64_MAX;
    const uint64_t taken = is_tail && !has_amax && recipe->amax != 0 ? 0 : count - has_amax - has_two;
    size_t item = data->item;

    for (uint64_t row = 0, i = 0; row < tile->rows; row++) {
        for (uint64_t col = 0; col < tile->cols; col++, i++) {
            uint32_t code = data->items[item];

            if (i == place || i == opposite) {
                code = recipe->amax | choose_sign(data);
                code ^= i == opposite ? data->in.sign : 0;
            } else {
                item = item + 1 < data->item_count ? item + 1 : 0;
            }
            put(data, tile->first_row + row, tile->first_col + col, code);
        }
    }
    data->placed += has_amax;
    data->item = taken < data->item_count - data->item ? data->item + (size_t)taken : data->item_count;
}

/* Give tile INDEX what the recipe says. */
static void give_scale(struct hard_data *data, const struct tiling *tiling, uint64_t index)
{
    const struct hard_recipe *recipe = &data->recipes[data->recipe];
    void *zero_points = data->given.at[QB_ROLE_ZERO_POINTS];
    uint64_t offset = 0;

    qb_problem_scale_offset(&data->problem, index / tiling->scale_cols, index % tiling->scale_cols, &offset);
    /* The lower half first: these hosts are little-endian. */
    memcpy((char *)data->given.at[QB_ROLE_SCALES] + offset, &recipe->scale, scales_element_size(&data->problem));
    if (zero_points != NULL) {
        scales_put_zero_point(&data->problem, zero_points, index, recipe->zero_point);
    }
}

static void next_recipe(struct hard_data *data)
{
    data->recipe = (data->recipe + 1) % data->recipe_count;
    data->all = data->all || data->recipe == 0;
    data->is_done = false;
    make_items(data);
}

/* Go on to the next recipe if there is nothing left of this one. Tiles that are left over begin again. */
static void go_on(struct hard_data *data)
{
    const size_t next = (data->recipe + 1) % data->recipe_count;

    if (data->item < data->item_count) {
        return;
    }
    if (is_alone(data, data->recipes[data->recipe].amax) || is_alone(data, data->recipes[next].amax)) {
        data->is_done = true;
        data->item = 0;
    } else {
        next_recipe(data);
    }
}

void hard_data_give_tensor_scales(struct hard_data *data)
{
    float *scales = data->given.at[QB_ROLE_TENSOR_SCALE];
    const uint64_t count = sizes_of(&data->problem).of[QB_ROLE_TENSOR_SCALE] / sizeof *scales;

    for (uint64_t i = 0; scales != NULL && i < count; i++) {
        scales[i] = ldexpf(data->tensor_scale, -(int)(i % 3));
    }
}

bool hard_data_fill(struct hard_data *data)
{
    const struct tiling tiling = tiling_of(&data->problem);
    const struct tile whole = tiling_tile(&tiling, 0);
    bool alone;

    if (data->is_done) {
        next_recipe(data);
    }
    if (data->all) {
        return false;
    }
    alone = is_alone(data, data->recipes[data->recipe].amax);
    for (uint64_t i = 0; i < tiling.scale_rows * tiling.scale_cols; i++) {
        const struct tile tile = tiling_tile(&tiling, i);

        if (is_static(data)) {
            give_scale(data, &tiling, i);
        }
        fill_tile(data, &tile, tile.rows < whole.rows || tile.cols < whole.cols);
        go_on(data);
    }
    if (data->pin != 0 && !alone) {
        put(data, 0, 0, data->pin);
    }
    hard_data_give_tensor_scales(data);
    return true;
}

bool hard_data_make_given(struct hard_data *data, const struct sizes *bytes)
{
    bool good = true;

    for (int role = 0; role < QB_ROLE_COUNT; role++) {
        if (sizes_is_given(&data->problem, (enum qb_role)role)) {
            data->given.at[role] = calloc(1, bytes->of[role] + 1);
            good = good && data->given.at[role] != NULL;
        }
    }
    return good;
}

/* Choose the tensor scale, and the amax that it is computed from; no power of two, which would hide much. */
static void choose_tensor_scale(struct hard_data *data)
{
    const float amax = 1000;

    data->tensor_scale = 1;
    if (data->problem.tensor_scale == QB_TENSOR_SCALE_GIVEN) {
        data->tensor_scale = amax / 2688;
    } else if (data->problem.tensor_scale == QB_TENSOR_SCALE_COMPUTED) {
        data->pin = qb_format_encode(data->problem.input, amax);
        data->tensor_scale = scale_of_two(data, data->pin, 0, data->pin).tensor_scale;
    }
}

bool hard_data_begin(const struct qb_problem *problem, const struct qb_arithmetic *arithmetic, struct hard_data *data)
{
    const struct sizes bytes = sizes_of(problem);
    struct maker maker;

    *data = (struct hard_data){
        .problem = *problem,
        .arithmetic = *arithmetic,
        .in = hard_input_grid(problem->input),
        .out = hard_output_grid(problem->output),
        .input = malloc(bytes.of[QB_ROLE_INPUT]),
        .recipes = calloc(HARD_MOST_RECIPES, sizeof *data->recipes),
        .items = calloc(MOST_ITEMS, sizeof *data->items),
    };
    if (!hard_data_make_given(data, &bytes) || data->input == NULL || data->recipes == NULL || data->items == NULL) {
        return false;
    }
    choose_tensor_scale(data);
    maker = begin_making(data);
    add_recipes(&maker);
    if (problem->tokens * problem->hidden > HARD_WIDE) {
        reverse_recipes(data);
    }
    make_items(data);
    return true;
}

void hard_data_end(struct hard_data *data)
{
    free(data->input);
    for (int role = 0; role < QB_ROLE_COUNT; role++) {
        free(data->given.at[role]);
    }
    free(data->recipes);
    free(data->items);
    *data = (struct hard_data){.input = NULL};
}
