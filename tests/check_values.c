/* SPDX-License-Identifier: Apache-2.0 */
/* check_values.c - the values that operations compute before a quantization: activations against the real function and
 * against the formulas written out again, and norms against another way to add in the same order. */
#include <config.h>

#include "base/binary32.h"
#include "quantbench.h"
#include "run.h"

#include <float.h>
#include <math.h>
#include <string.h>

/* True if A and B are the same number with the same sign, or both NaN. */
static bool same(float a, float b)
{
    return binary32_bits(a) == binary32_bits(b) || (isnan(a) && isnan(b));
}

static float rounded(enum qb_format format, float value)
{
    return qb_format_decode(format, qb_format_encode(format, value));
}

/* Memory for COUNT elements of any format, or a failure. */
static void *room(uint64_t count)
{
    void *memory = malloc(count * sizeof(float) + 1);

    ck_assert_ptr_nonnull(memory);
    return memory;
}

/* COUNT elements of FORMAT from VALUES. */
static void *encoded(enum qb_format format, const float *values, uint64_t count)
{
    void *memory = room(count);

    for (uint64_t i = 0; i < count; i++) {
        const uint32_t code = qb_format_encode(format, values[i]);

        if (format == QB_FORMAT_F32) {
            ((uint32_t *)memory)[i] = code;
        } else {
            ((uint16_t *)memory)[i] = (uint16_t)code;
        }
    }
    return memory;
}

static float element_of(enum qb_format format, const void *tensor, uint64_t i)
{
    return qb_format_decode(format,
                            format == QB_FORMAT_F32 ? ((const uint32_t *)tensor)[i] : ((const uint16_t *)tensor)[i]);
}

static enum qb_format value_format(const struct qb_problem *p)
{
    return p->intermediate == QB_INTERMEDIATE_FLOAT ? QB_FORMAT_F32 : p->input;
}

/* The values of P from TENSORS, into VALUES. */
static void compute(const struct qb_problem *p, struct qb_tensors *tensors, float *values)
{
    const uint64_t count = p->tokens * p->hidden;

    tensors->size = sizeof *tensors;
    tensors->at[QB_ROLE_VALUES] = room(count);
    ck_assert_msg(qb_reference_values(p, tensors) == QB_OK, "%s", qb_error_detail());
    for (uint64_t i = 0; i < count; i++) {
        values[i] = element_of(value_format(p), tensors->at[QB_ROLE_VALUES], i);
    }
    free(tensors->at[QB_ROLE_VALUES]);
}

static struct qb_problem problem_of(enum qb_operation operation, enum qb_format input,
                                    enum qb_intermediate intermediate)
{
    struct qb_problem p;

    qb_problem_init(&p);
    p.operation = operation;
    p.input = input;
    p.intermediate = intermediate;
    return p;
}

/* The values of one row of gates and ups. */
static void activate(struct qb_problem p, const float *gates, const float *ups, uint64_t count, float *values)
{
    float *row = room(2 * count);
    struct qb_tensors tensors = {.size = sizeof tensors};

    for (uint64_t i = 0; i < count; i++) {
        const bool halves = p.gate == QB_GATE_HALVES;

        row[halves ? i : 2 * i] = gates[i];
        row[halves ? count + i : 2 * i + 1] = ups[i];
    }
    p.tokens = 1;
    p.hidden = count;
    tensors.at[QB_ROLE_INPUT] = encoded(p.input, row, 2 * count);
    compute(&p, &tensors, values);
    free(tensors.at[QB_ROLE_INPUT]);
    free(row);
}

static float activated(struct qb_problem p, float gate, float up)
{
    float value;

    activate(p, &gate, &up, 1, &value);
    return value;
}

/* ---- Activations: all inputs of a format ------------------------------------------------------------------------- */

#define CODES 65536

/* GATES become the values of all codes of FORMAT, in their order, and UPS ones. */
static void all_gates(enum qb_format format, float *gates, float *ups)
{
    for (uint32_t code = 0; code < CODES; code++) {
        gates[code] = qb_format_decode(format, code);
        ups[code] = 1;
    }
}

/* FNV-1a over codes of 16 bits, low byte first, of an implementation in binary128: silu(gate) rounded to binary32 and
 * then to the format, -0 for finite gates of at most -87.25, NaN for -infinity. NaN gates are left out. */
static const struct {
    enum qb_format format;
    uint64_t digest;
} exact[] = {
    {QB_FORMAT_F16, UINT64_C(0xE20659C67861C4C8)},
    {QB_FORMAT_BF16, UINT64_C(0xF18E6475A28A8E27)},
};

START_TEST(silu_of_all_gates_is_that_of_binary128)
{
    const enum qb_format format = exact[_i].format;
    struct qb_problem p = problem_of(QB_OPERATION_SILU_MUL, format, QB_INTERMEDIATE_INPUT);
    static float gates[CODES], ups[CODES], values[CODES], again[CODES];
    uint64_t digest = UINT64_C(0xCBF29CE484222325);

    all_gates(format, gates, ups);
    activate(p, gates, ups, CODES, values);
    for (uint32_t code = 0; code < CODES; code++) {
        const uint32_t value = qb_format_encode(format, values[code]);

        if (!isnan(gates[code])) {
            digest = (digest ^ (value & 0xFF)) * UINT64_C(0x100000001B3);
            digest = (digest ^ value >> 8) * UINT64_C(0x100000001B3);
        }
        ck_assert(isnan(values[code]) == (isnan(gates[code]) || gates[code] == -INFINITY));
    }
    ck_assert_msg(digest == exact[_i].digest, "the digest is %016llx", (unsigned long long)digest);
    p.alpha = 1; /* which is the default */
    activate(p, gates, ups, CODES, again);
    ck_assert_mem_eq(values, again, sizeof values);
}
END_TEST

/* The polynomial, rounded to a format of 16 bits, is the correctly rounded function for all gates but one. */
START_TEST(polynomial_of_all_gates_is_the_function)
{
    const enum qb_format format = exact[_i].format;
    struct qb_problem p = problem_of(QB_OPERATION_SILU_MUL, format, QB_INTERMEDIATE_INPUT);
    static float gates[CODES], ups[CODES], values[CODES], polynomial[CODES];

    all_gates(format, gates, ups);
    activate(p, gates, ups, CODES, values);
    p.intermediate = QB_INTERMEDIATE_LAST;
    activate(p, gates, ups, CODES, polynomial);
    for (uint32_t code = 0; code < CODES; code++) {
        const bool differs = format == QB_FORMAT_F16 && code == 0x9E00;

        ck_assert_msg(same(values[code], polynomial[code]) != differs, "gate %a: %a and %a", (double)gates[code],
                      (double)values[code], (double)polynomial[code]);
    }
}
END_TEST

/* GELU of G by the C library, whose erfc() has 50 good bits at least. */
static double gelu_of(double g)
{
    return g * erfc(-g * sqrt(0.5)) / 2;
}

/* Check that the value of CODE, the code of a gate, is the number of FORMAT that is nearest to its GELU. Where the
 * nearest is not certain, the test fails too. */
static void check_gelu(enum qb_format format, uint32_t code, float value)
{
    const float g = qb_format_decode(format, code);
    const double expected = gelu_of((double)g), margin = fabs(expected) * 0x1p-40;
    const uint32_t found = qb_format_encode(format, fabsf(value));
    const double magnitude = (double)fabsf(value), above = (double)qb_format_decode(format, found + 1);
    const double below = found > 0 ? (double)qb_format_decode(format, found - 1) : -above;

    if (isnan(g) || isinf(g)) {
        ck_assert(g > 0 ? value == g : isnan(value));
    } else if (fabsf(g) < 0x1p-23f) {
        ck_assert_msg(same(value, rounded(format, g / 2)), "gate %a: %a", (double)g, (double)value);
    } else if (g <= -13.25f) {
        ck_assert_msg(same(value, -0.0f), "gate %a: %a", (double)g, (double)value);
    } else {
        ck_assert_msg(signbit(value) == signbit(g) && fabs(expected) >= (magnitude + below) / 2 + margin &&
                          fabs(expected) <= (magnitude + above) / 2 - margin,
                      "gate %a: %a, which is not nearest to %a", (double)g, (double)value, expected);
    }
}

/* GELU by the error function is correctly rounded, where each result is rounded and where the last one is. */
START_TEST(gelu_of_all_gates_is_correctly_rounded)
{
    const enum qb_format format = exact[_i / 2].format;
    struct qb_problem p =
        problem_of(QB_OPERATION_GELU_MUL, format, _i % 2 == 0 ? QB_INTERMEDIATE_INPUT : QB_INTERMEDIATE_LAST);
    static float gates[CODES], ups[CODES], values[CODES];

    p.gelu = QB_GELU_ERF;
    all_gates(format, gates, ups);
    activate(p, gates, ups, CODES, values);
    for (uint32_t code = 0; code < CODES; code++) {
        check_gelu(format, code, values[code]);
    }
}
END_TEST

/* They fall to one minimum, about -1.278 or -0.752, and rise from there. */
START_TEST(activations_fall_and_then_rise)
{
    struct qb_problem p =
        problem_of(_i == 0 ? QB_OPERATION_SILU_MUL : QB_OPERATION_GELU_MUL, QB_FORMAT_BF16, QB_INTERMEDIATE_LAST);
    const float least = _i == 0 ? -1.278f : -0.752f;
    static float gates[CODES], ups[CODES], values[CODES];

    p.gelu = _i == 2 ? QB_GELU_ERF : QB_GELU_TANH;
    all_gates(QB_FORMAT_BF16, gates, ups);
    activate(p, gates, ups, CODES, values);
    for (uint32_t code = 1; code < 0x7F80; code++) { /* toward +infinity, and toward -infinity */
        const uint32_t negative = 0x8000 | code;

        ck_assert(values[code] >= values[code - 1]);
        if (gates[negative] > least) {
            ck_assert(values[negative] <= values[negative - 1]);
        } else if (gates[negative - 1] < least) {
            ck_assert_msg(values[negative] >= values[negative - 1], "gate %a", (double)gates[negative]);
        }
    }
}
END_TEST

/* ---- Activations: the formulas ------------------------------------------------------------------------------------
 */

/* e^-A, A >= 0, as the comment of struct qb_problem says: its first steps are exact in double precision and are rounded
 * once. */
static float exponential(float a)
{
    const double log2e = 0x1.715476p+0, high = 0x1.62e4p-1, low = 0x1.7f7d1cp-20;
    double k;
    float r, p;

    if (a > 87.25f) {
        return 0;
    }
    k = nearbyint(-(double)a * log2e);
    r = (float)(-k * high - (double)a);
    r = (float)(-k * low + (double)r);
    p = fmaf(fmaf(fmaf(0x1.6850e4p-10f, r, 0x1.123bccp-7f), r, 0x1.555b98p-5f), r, 0x1.55548ep-3f);
    p = fmaf(fmaf(fmaf(p, r, 0x1.fffff8p-2f), r, 1), r, 1);
    return (float)ldexp((double)p, (int)k);
}

static float sigmoid_argument(enum qb_operation operation, float alpha, float g)
{
    const float squared = g * g;

    return operation == QB_OPERATION_SILU_MUL ? alpha * g : g * fmaf(squared, 0x1.2444f2p-4f, 0x1.988454p+0f);
}

/* The distance of VALUE from EXPECTED in units of the last place of EXPECTED. */
static double ulps(float value, double expected)
{
    int exponent;

    frexp(expected, &exponent);
    return fabs((double)value - expected) / ldexp(1, (exponent < -125 ? -125 : exponent) - 24);
}

static const struct {
    enum qb_operation operation;
    float alpha;
} curves[] = {
    {QB_OPERATION_SILU_MUL, 0},      {QB_OPERATION_SILU_MUL, 1},   {QB_OPERATION_SILU_MUL, 1.702f},
    {QB_OPERATION_SILU_MUL, 0.125f}, {QB_OPERATION_SILU_MUL, 300}, {QB_OPERATION_GELU_MUL, 0},
};

/* With alpha 1: gates for which the next binary32 in place of one constant gives another value. */
static const float edges[] = {
    -0x1.fc11c8p+2f, -0x1.2a7982p+6f, -0x1.ea74d8p+5f, -0x1.340d6ep+5f, -0x1.d6fb6ap+4f, -0x1.a289d2p+5f,
    -0x1.79cbcp+2f,  -0x1.ddca64p+3f, -0x1.3d6e2ep+6f, -0x1.4d7a86p+6f, -0x1.2f8fe6p+6f, -0x1.3360aep+1f,
    -0x1.a5a8e6p-1f, -0x1.0a1408p+6f, -0x1.6d9e42p+1f, -0x1.a990b8p+4f, -0x1.23192p+6f,  -0x1.33d6b4p+6f,
};

/* VALUES of P, from binary32, are those of rounding to the input format: nothing else is rounded. */
static void same_in_the_input_format(struct qb_problem p, const float *gates, const float *ups, const float *values)
{
    static float input_values[CODES];

    p.intermediate = QB_INTERMEDIATE_INPUT;
    activate(p, gates, ups, CODES, input_values);
    for (uint32_t i = 0; i < CODES; i++) {
        ck_assert(same(values[i], input_values[i]));
    }
}

START_TEST(formulas_and_their_error)
{
    struct qb_problem p = problem_of(curves[_i].operation, QB_FORMAT_F32, QB_INTERMEDIATE_FLOAT);
    const float alpha = curves[_i].alpha != 0 ? curves[_i].alpha : 1;
    static float gates[CODES], ups[CODES], values[CODES];
    uint64_t state = test_seed();
    double worst = 0;

    p.alpha = curves[_i].alpha;
    for (uint32_t i = 0; i < CODES; i++) {
        const uint64_t random = test_random(&state);
        const float unit = (float)(random >> 40) * 0x1p-24f;

        gates[i] = i % 4 == 0 ? binary32_of((uint32_t)random) : (unit * 190 - 95) / (i % 4 == 1 ? 1 : alpha);
        ups[i] = 1;
    }
    gates[0] = 87.25f / alpha;
    gates[1] = -87.25f / alpha;
    gates[2] = -0.0f;
    memcpy(gates + 3, edges, sizeof edges);
    activate(p, gates, ups, CODES, values);
    for (uint32_t i = 0; i < CODES; i++) {
        const float g = gates[i], t = sigmoid_argument(p.operation, alpha, g), e = exponential(fabsf(t));
        const float expected = (t < 0 ? g * e : g) / (1 + e);

        ck_assert_msg(isnan(g) || same(values[i], expected), "gate %a: %a, expected %a", (double)g, (double)values[i],
                      (double)expected);
        if (fabsf(t) <= 87 && isfinite(g)) {
            worst = fmax(worst, ulps(values[i], (double)g / (1 + exp(-(double)t))));
        }
    }
    ck_assert_msg(worst > 0.5 && worst <= 3, "%g ulp", worst);
    same_in_the_input_format(p, gates, ups, values);
}
END_TEST

/* What lies beyond |G| of a normal distribution, as the comment of struct qb_problem says. */
static float beyond(float g)
{
    static const float bs[] = {-0x1.0c6e9cp-3f, 0x1.748132p-3f, -0x1.49d3b2p-4f, 0x1.d63844p-4f,
                               0x1.1c764ep-4f,  0x1.a1564ap-4f, 0x1.b6082cp-4f,  0x1.b7016ap-4f};
    const float t = 1 / fmaf(0x1.13153ep-2f, fabsf(g), 1);
    float q = 0x1.e2804ep-6f;

    for (size_t i = 0; i < sizeof bs / sizeof bs[0]; i++) {
        q = fmaf(q, t, bs[i]);
    }
    return t * q * exponential(g * g * 0.5f);
}

START_TEST(formula_of_the_error_function_and_its_error)
{
    struct qb_problem p = problem_of(QB_OPERATION_GELU_MUL, QB_FORMAT_F32, QB_INTERMEDIATE_FLOAT);
    static float gates[CODES], ups[CODES], values[CODES];
    uint64_t state = test_seed();
    double worst = 0, worst_below = 0;

    p.gelu = QB_GELU_ERF;
    for (uint32_t i = 0; i < CODES; i++) {
        const uint64_t random = test_random(&state);

        gates[i] = i % 4 == 0 ? binary32_of((uint32_t)random) : (float)(random >> 40) * 0x1p-24f * 28 - 14;
        ups[i] = 1;
    }
    activate(p, gates, ups, CODES, values);
    for (uint32_t i = 0; i < CODES; i++) {
        const float g = gates[i], expected = g * (g < 0 ? beyond(g) : 1 - beyond(g));

        ck_assert_msg(isnan(g) || same(values[i], expected), "gate %a: %a, expected %a", (double)g, (double)values[i],
                      (double)expected);
        if (isfinite(g) && g > -3) {
            worst = fmax(worst, ulps(values[i], gelu_of((double)g)));
        } else if (isfinite(g) && g > -13) {
            worst_below = fmax(worst_below, ulps(values[i], gelu_of((double)g)));
        }
    }
    ck_assert_msg(worst > 2 && worst <= 8, "%g ulp", worst);
    ck_assert_msg(worst_below > 8 && worst_below <= 70, "%g ulp", worst_below);
    same_in_the_input_format(p, gates, ups, values);
}
END_TEST

/* GELU's argument is 2 * sqrt(2 / pi) * (g + 0.044715 * g^3), so that g * sigmoid() of it is the form with tanh. */
START_TEST(gelu_is_the_form_with_the_tangent)
{
    const struct qb_problem p = problem_of(QB_OPERATION_GELU_MUL, QB_FORMAT_F32, QB_INTERMEDIATE_FLOAT);
    const double factor = sqrt(8 / acos(-1)), cubic = 0.044715 * factor;

    ck_assert(fabs(factor - 0x1.988454p+0) <= 0x1p-24 && fabs(cubic - 0x1.2444f2p-4) <= 0x1p-28);
    for (int i = -400; i <= 400; i++) {
        const float g = (float)i / 64;
        const double x = (double)g, expected = 0.5 * x * (1 + tanh(sqrt(2 / acos(-1)) * (x + 0.044715 * x * x * x)));

        ck_assert(fabs((double)activated(p, g, 1) - expected) <= fabs(x) * 0x1p-22);
    }
}
END_TEST

/* tanh(g / 2) / 2 + 1 / 2 in place of the sigmoid loses all digits of small results; the reference keeps them. */
START_TEST(small_results_keep_their_digits)
{
    const struct qb_problem p = problem_of(QB_OPERATION_SILU_MUL, exact[_i].format, QB_INTERMEDIATE_INPUT);
    const double precision = exact[_i].format == QB_FORMAT_F16 ? 0x1p-11 : 0x1p-8;

    for (int i = 5; i <= 8; i++) {
        const float g = -(float)i;
        const double expected = (double)g / (1 + exp(-(double)g));

        ck_assert(fabs((double)activated(p, g, 1) / expected - 1) <= precision);
    }
    ck_assert(fabs((double)(-15 * (tanhf(-7.5f) / 2 + 0.5f)) / (-15 / (1 + exp(15))) - 1) > 0.01);
    ck_assert(fabs((double)activated(problem_of(QB_OPERATION_SILU_MUL, QB_FORMAT_BF16, QB_INTERMEDIATE_INPUT), -15, 1) /
                       (-15 / (1 + exp(15))) -
                   1) <= 0x1p-8);
}
END_TEST

static const struct {
    enum qb_operation operation;
    float alpha, gate, up, value;
} specials[] = {
    {QB_OPERATION_SILU_MUL, 0, 0, 1, 0},
    {QB_OPERATION_SILU_MUL, 0, -0.0f, 1, -0.0f},
    {QB_OPERATION_SILU_MUL, 0, INFINITY, 1, INFINITY},
    {QB_OPERATION_SILU_MUL, 0, -INFINITY, 1, NAN},
    {QB_OPERATION_SILU_MUL, 0, NAN, 1, NAN},
    {QB_OPERATION_SILU_MUL, 0, 1, NAN, NAN},
    {QB_OPERATION_SILU_MUL, 0, -1, INFINITY, -INFINITY},
    {QB_OPERATION_SILU_MUL, 0, 0, INFINITY, NAN},
    {QB_OPERATION_SILU_MUL, 0, -200, 1, -0.0f},
    {QB_OPERATION_SILU_MUL, 0, -200, -1, 0},
    {QB_OPERATION_SILU_MUL, 0, 200, 2, 400},
    {QB_OPERATION_SILU_MUL, 2, INFINITY, 1, INFINITY},
    {QB_OPERATION_SILU_MUL, 2, -INFINITY, 1, NAN},
    {QB_OPERATION_SILU_MUL, 2, -60000, 1, -0.0f},
    {QB_OPERATION_SILU_MUL, 0x1p120f, 4096, 1, 4096},
    {QB_OPERATION_SILU_MUL, 0x1p120f, -4096, 1, -0.0f},
    {QB_OPERATION_GELU_MUL, 0, -0.0f, 1, -0.0f},
    {QB_OPERATION_GELU_MUL, 0, INFINITY, 1, INFINITY},
    {QB_OPERATION_GELU_MUL, 0, -INFINITY, 1, NAN},
    {QB_OPERATION_GELU_MUL, 0, NAN, 1, NAN},
    {QB_OPERATION_GELU_MUL, 0, 60000, 1, 60000},
    {QB_OPERATION_GELU_MUL, 0, -60000, 1, -0.0f},
};

START_TEST(special_values_of_activations)
{
    static const enum qb_format formats[] = {QB_FORMAT_F16, QB_FORMAT_BF16, QB_FORMAT_F32};

    for (int variant = 0; variant < 18; variant++) {
        struct qb_problem p =
            problem_of(specials[_i].operation, formats[variant / 3 % 3], (enum qb_intermediate)(variant % 3));
        float got;

        p.alpha = specials[_i].alpha;
        p.gelu = variant >= 9 && p.operation == QB_OPERATION_GELU_MUL ? QB_GELU_ERF : QB_GELU_TANH;
        got = activated(p, specials[_i].gate, specials[_i].up);
        ck_assert_msg(same(got, rounded(p.input, specials[_i].value)), "variant %d: %a", variant, (double)got);
    }
}
END_TEST

/* ---- Activations: what is around them ------------------------------------------------------------------------------
 */

/* The product of the activation H of a gate and of up U, in the stages of P. */
static float product(const struct qb_problem *p, float h, float u)
{
    const bool rounds = p->intermediate == QB_INTERMEDIATE_INPUT;
    float sum = u + p->up_offset;

    if (rounds) {
        h = rounded(p->input, h);
        sum = rounded(p->input, sum);
    }
    return rounded(value_format(p), h * (p->up_offset != 0 ? sum : u));
}

/* All formats and intermediates; limits, an offset and both places of gates. */
START_TEST(products_limits_and_offsets)
{
    static const enum qb_format formats[] = {QB_FORMAT_F16, QB_FORMAT_BF16, QB_FORMAT_F32};
    struct qb_problem p = problem_of(QB_OPERATION_SILU_MUL, formats[_i / 3], (enum qb_intermediate)(_i % 3));
    float gates[500], ups[500], inner[500], values[500], ones[500];
    uint64_t state = test_seed();

    for (int variant = 0; variant < 16; variant++) {
        const float limit = variant & 1 ? 7 : 0;
        struct qb_problem plain;

        p.gate_limit = limit;
        p.up_offset = variant & 2 ? 1 : 0;
        p.alpha = variant & 4 ? 1.702f : 0;
        p.gate = variant & 8 ? QB_GATE_INTERLEAVED : QB_GATE_HALVES;
        for (int i = 0; i < 500; i++) {
            gates[i] = rounded(p.input, (float)(test_random(&state) >> 40) * 0x1.4p-19f - 20); /* -20 to 20 */
            ups[i] = rounded(p.input, (float)(test_random(&state) >> 40) * 0x1.4p-19f - 20);
            ones[i] = 1;
        }
        gates[0] = ups[1] = NAN;
        activate(p, gates, ups, 500, values);
        for (int i = 0; i < 500 && limit > 0; i++) {
            gates[i] = gates[i] > limit ? limit : gates[i];
            ups[i] = ups[i] > limit ? limit : ups[i] < -limit ? -limit : ups[i];
        }
        /* The activation alone, in binary32 where it is not rounded. */
        plain =
            problem_of(p.operation, p.intermediate == QB_INTERMEDIATE_INPUT ? p.input : QB_FORMAT_F32, p.intermediate);
        plain.alpha = p.alpha;
        activate(plain, gates, ones, 500, inner);
        for (int i = 0; i < 500; i++) {
            const float expected = product(&p, inner[i], ups[i]);

            ck_assert_msg(same(values[i], expected), "variant %d, gate %a, up %a: %a, expected %a", variant,
                          (double)gates[i], (double)ups[i], (double)values[i], (double)expected);
        }
        ck_assert(isnan(values[0]) && isnan(values[1]));
    }
}
END_TEST

/* Rows of gates and ups with gaps between them, which are not read. */
START_TEST(gated_rows_have_strides)
{
    struct qb_problem p = problem_of(QB_OPERATION_SILU_MUL, QB_FORMAT_F32, QB_INTERMEDIATE_INPUT);
    float input[33], values[12];
    struct qb_tensors tensors = {.size = sizeof tensors};

    p.gate = (enum qb_gate)_i;
    p.tokens = 3;
    p.hidden = 4;
    p.input_stride = 11;
    for (int i = 0; i < 33; i++) {
        input[i] = i % 11 < 8 ? (float)(i + 1) : NAN;
    }
    tensors.at[QB_ROLE_INPUT] = input;
    compute(&p, &tensors, values);
    for (int i = 0; i < 12; i++) {
        const float *row = input + i / 4 * 11;
        const int col = i % 4, gate = _i == 0 ? col : 2 * col, up = _i == 0 ? 4 + col : 2 * col + 1;

        ck_assert(values[i] == activated(problem_of(p.operation, p.input, p.intermediate), row[gate], row[up]));
    }
}
END_TEST

/* ---- Norms ---------------------------------------------------------------------------------------------------------
 */

/* The chain of the squares of Y[COL], Y[COL - 2048] ... : the last addition is the outermost. */
static float chain(const float *y, int64_t col)
{
    return col < 2048 ? y[col] * y[col] : fmaf(y[col], y[col], chain(y, col - 2048));
}

/* The sum of COUNT chains from FIRST on, of N elements: of its halves. */
static float tree(const float *y, int64_t n, int64_t first, int64_t count)
{
    if (count == 1) {
        return first < n ? chain(y, first + (n - 1 - first) / 2048 * 2048) : 0;
    }
    return tree(y, n, first, count / 2) + tree(y, n, first + count / 2, count / 2);
}

/* The reciprocal of the root of the mean square of N elements. */
static float factor_of(const float *y, int64_t n, float epsilon)
{
    const float mean = tree(y, n, 0, 2048) / (float)n, sum = mean + epsilon, root = sqrtf(sum);

    return 1 / root;
}

/* ROWS rows: Y of N elements in P's input format, and WEIGHTS, to VALUES. */
static void normalize(struct qb_problem p, const float *y, const float *weights, uint64_t rows, uint64_t n,
                      float *values)
{
    struct qb_tensors tensors = {.size = sizeof tensors};

    p.tokens = rows;
    p.hidden = n;
    tensors.at[QB_ROLE_INPUT] = encoded(p.input, y, rows * n);
    tensors.at[QB_ROLE_WEIGHTS] = encoded(p.weights == QB_WEIGHTS_FLOAT ? QB_FORMAT_F32 : p.input, weights, n);
    compute(&p, &tensors, values);
    free(tensors.at[QB_ROLE_INPUT]);
    free(tensors.at[QB_ROLE_WEIGHTS]);
}

static float normal(uint64_t *state)
{
    const double u = ((double)(test_random(state) >> 11) + 1) * 0x1p-53,
                 v = (double)(test_random(state) >> 11) * 0x1p-53;

    return (float)(sqrt(-2 * log(u)) * cos(2 * acos(-1) * v));
}

static const uint64_t widths[] = {1, 2, 63, 2047, 2048, 2049, 4097, 5000, 8192, 131072};
#define WIDEST 131072

START_TEST(norms_add_in_the_order_of_the_contract)
{
    static const enum qb_format formats[] = {QB_FORMAT_F16, QB_FORMAT_BF16, QB_FORMAT_F32};
    static float y[WIDEST], weights[WIDEST], values[WIDEST];
    const uint64_t n = widths[_i];
    uint64_t state = test_seed();

    for (int variant = 0; variant<18; variant += n> 8192 ? 4 : 1) {
        struct qb_problem p =
            problem_of(QB_OPERATION_RMS_NORM, formats[variant % 3], (enum qb_intermediate)(variant / 3 % 3));
        const bool rounds = p.intermediate == QB_INTERMEDIATE_INPUT;
        double sum = 0;
        float factor;

        p.weights = variant >= 9 ? QB_WEIGHTS_FLOAT : QB_WEIGHTS_INPUT;
        p.epsilon = 1e-5f;
        for (uint64_t i = 0; i < n; i++) {
            y[i] = rounded(p.input, normal(&state) * (i % 100 == 7 ? 30 : 1));
            weights[i] = rounded(p.weights == QB_WEIGHTS_FLOAT ? QB_FORMAT_F32 : p.input, 1 + normal(&state) / 8);
            sum += (double)y[i] * (double)y[i];
        }
        factor = factor_of(y, (int64_t)n, p.epsilon);
        ck_assert(fabs((double)factor * sqrt(sum / (double)n + (double)p.epsilon) - 1) < 0x1p-21);
        normalize(p, y, weights, 1, n, values);
        for (uint64_t i = 0; i < n; i++) {
            const float scaled = rounds ? rounded(p.input, y[i] * factor) : y[i] * factor;
            const float expected = rounded(value_format(&p), scaled * weights[i]);

            ck_assert_msg(same(values[i], expected), "variant %d, %d of %d: %a, expected %a", variant, (int)i, (int)n,
                          (double)values[i], (double)expected);
        }
    }
}
END_TEST

/* The first square of a chain is rounded, the second is not. */
START_TEST(chains_are_fused)
{
    struct qb_problem p = problem_of(QB_OPERATION_RMS_NORM, QB_FORMAT_F32, QB_INTERMEDIATE_FLOAT);
    static float y[2049], weights[2049], values[2049];
    uint64_t state = test_seed();
    int differing = 0;

    for (int i = 0; i < 50; i++) {
        const float first = normal(&state), second = normal(&state), rest = first * first;
        const float sums[3] = {fmaf(second, second, rest), second * second + rest, fmaf(first, first, second * second)};
        float factors[3];

        for (int form = 0; form < 3; form++) {
            const float mean = sums[form] / 2049, root = sqrtf(mean);

            factors[form] = 1 / root;
        }
        y[0] = first;
        y[2048] = second;
        weights[0] = weights[2048] = 1;
        normalize(p, y, weights, 1, 2049, values);
        ck_assert(values[0] == first * factors[0] && values[2048] == second * factors[0]);
        differing |= (factors[1] != factors[0]) | (factors[2] != factors[0]) << 1;
    }
    ck_assert_int_eq(differing, 3);
}
END_TEST

/* Figures of another implementation: those of a sum that runs from left to right are others. */
START_TEST(golden_norm)
{
    struct qb_problem p = problem_of(QB_OPERATION_RMS_NORM, QB_FORMAT_F16, QB_INTERMEDIATE_FLOAT);
    static float y[5000], weights[5000], values[5000];
    float running = 0;

    for (int i = 0; i < 5000; i++) {
        y[i] = rounded(QB_FORMAT_F16, (float)(37 * i % 101 - 50) / 7);
        weights[i] = 1;
        running = fmaf(y[i], y[i], running);
    }
    ck_assert(running == 0x1.52e17cp+16f);
    p.epsilon = 1e-6f;
    normalize(p, y, weights, 1, 5000, values);
    for (int i = 0; i < 5000; i++) {
        ck_assert(values[i] == y[i] * 0x1.ebaad2p-3f);
    }
    ck_assert(1 / sqrtf(running / 5000 + 1e-6f) != 0x1.ebaad2p-3f);
}
END_TEST

/* One row of 4 elements, and its values with weights of 1. */
static const struct {
    enum qb_format input;
    float epsilon, row[4], values[4];
} limits[] = {
    /* Zeros: 0 * (1 / 0) without an epsilon. */
    {QB_FORMAT_F16, 0, {0, 0, 0, -0.0f}, {NAN, NAN, NAN, NAN}},
    {QB_FORMAT_F16, 1e-6f, {0, 0, 0, -0.0f}, {0, 0, 0, -0.0f}},
    {QB_FORMAT_F32, 0x1p-149f, {0, -0.0f, 0, 0}, {0, -0.0f, 0, 0}},
    /* The sum overflows, and all finite values are zero. */
    {QB_FORMAT_F32, 0, {0x1p64f, -0x1p64f, 0, 1}, {0, -0.0f, 0, 0}},
    {QB_FORMAT_BF16, 1, {0x1p127f, -1, 0, 1}, {0, -0.0f, 0, 0}},
    {QB_FORMAT_BF16, 0, {INFINITY, -1, 0, 1}, {NAN, -0.0f, 0, 0}},
    {QB_FORMAT_F16, 0, {65504, -65504, 65504, 65504}, {1, -1, 1, 1}},
    /* Squares that vanish, with and without an epsilon, and one that does not. */
    {QB_FORMAT_F32, 0, {0x1p-80f, -0x1p-80f, 0x1p-80f, 0}, {INFINITY, -INFINITY, INFINITY, NAN}},
    {QB_FORMAT_F32, 0x1p-100f, {0x1p-80f, -0x1p-80f, 0x1p-80f, 0}, {0x1p-30f, -0x1p-30f, 0x1p-30f, 0}},
    {QB_FORMAT_F32, 0, {0x1p-73f, 0, 0, 0}, {2, 0, 0, 0}},
    {QB_FORMAT_F16, 0, {0x1p-24f, -0x1p-24f, 0x1p-24f, 0x1p-24f}, {1, -1, 1, 1}},
    {QB_FORMAT_F16, 0, {NAN, 1, 2, 3}, {NAN, NAN, NAN, NAN}},
};

START_TEST(limits_of_norms)
{
    struct qb_problem p = problem_of(QB_OPERATION_RMS_NORM, limits[_i].input, QB_INTERMEDIATE_INPUT);
    const float weights[4] = {1, 1, 1, 1};
    float values[4];

    p.epsilon = limits[_i].epsilon;
    for (int intermediate = 0; intermediate < QB_INTERMEDIATE_COUNT; intermediate++) {
        p.intermediate = (enum qb_intermediate)intermediate;
        normalize(p, limits[_i].row, weights, 1, 4, values);
        for (int i = 0; i < 4; i++) {
            ck_assert_msg(same(values[i], limits[_i].values[i]), "%d: %a", i, (double)values[i]);
        }
    }
}
END_TEST

/* Rows do not touch each other, whatever is in them; the last is that of a row alone. */
START_TEST(rows_of_norms_are_independent)
{
    struct qb_problem p = problem_of(QB_OPERATION_RMS_NORM, QB_FORMAT_BF16, QB_INTERMEDIATE_INPUT);
    static float y[4 * 300], weights[300], values[4 * 300], alone[300];
    uint64_t state = test_seed();

    for (int i = 0; i < 300; i++) {
        weights[i] = 1;
        y[i] = NAN;
        y[1 * 300 + i] = i % 2 ? INFINITY : 0x1p127f;
        y[2 * 300 + i] = y[3 * 300 + i] = rounded(QB_FORMAT_BF16, normal(&state));
    }
    y[2 * 300 + 299] = NAN;
    normalize(p, y, weights, 4, 300, values);
    normalize(p, y + 3 * 300, weights, 1, 300, alone);
    ck_assert_mem_eq(values + 3 * 300, alone, sizeof alone);
    for (int i = 0; i < 300; i++) {
        ck_assert(isnan(values[i]) && isnan(values[2 * 300 + i]) && isfinite(values[3 * 300 + i]));
    }
}
END_TEST

/* ---- Norms of a sum
 * -------------------------------------------------------------------------------------------------- */

/* The sum is rounded to the input format, whatever the intermediate is, and written, also over the residual. */
START_TEST(norms_of_a_sum)
{
    static const enum qb_format formats[] = {QB_FORMAT_F16, QB_FORMAT_BF16, QB_FORMAT_F32};
    struct qb_problem p = problem_of(QB_OPERATION_ADD_RMS_NORM, formats[_i / 3], (enum qb_intermediate)(_i % 3));
    static float x[202], residual[202], sum[202], weights[101], values[202], expected[202];
    struct qb_tensors tensors = {.size = sizeof tensors};
    uint64_t state = test_seed();
    void *sums = room(202);

    p.tokens = 2;
    p.hidden = 101;
    p.epsilon = 1e-5f;
    for (int i = 0; i < 202; i++) {
        x[i] = rounded(p.input, normal(&state));
        residual[i] = rounded(p.input, normal(&state) * 100);
        sum[i] = rounded(p.input, x[i] + residual[i]);
        weights[i % 101] = rounded(p.input, normal(&state));
    }
    p.operation = QB_OPERATION_RMS_NORM;
    normalize(p, sum, weights, 2, 101, expected);
    p.operation = QB_OPERATION_ADD_RMS_NORM;
    tensors.at[QB_ROLE_INPUT] = encoded(p.input, x, 202);
    tensors.at[QB_ROLE_RESIDUAL] = encoded(p.input, residual, 202);
    tensors.at[QB_ROLE_WEIGHTS] = encoded(p.input, weights, 101);
    for (int pass = 0; pass < 3; pass++) { /* without the sum, beside the residual, in its place */
        tensors.at[QB_ROLE_SUM] = pass == 0 ? NULL : pass == 1 ? sums : tensors.at[QB_ROLE_RESIDUAL];
        compute(&p, &tensors, values);
        ck_assert_mem_eq(values, expected, sizeof values);
        for (int i = 0; i < 202 && pass > 0; i++) {
            ck_assert(element_of(p.input, tensors.at[QB_ROLE_SUM], (uint64_t)i) == sum[i]);
        }
    }
    free(tensors.at[QB_ROLE_INPUT]);
    free(tensors.at[QB_ROLE_RESIDUAL]);
    free(tensors.at[QB_ROLE_WEIGHTS]);
    free(sums);
}
END_TEST

/* ---- NaN
 * --------------------------------------------------------------------------------------------------------------- */

/* All NaN that are stored have the bits that qb_format_encode() gives, whatever the processor makes. */
START_TEST(stored_nan_has_one_pattern)
{
    static const enum qb_format formats[] = {QB_FORMAT_F16, QB_FORMAT_BF16, QB_FORMAT_F32};
    const enum qb_format format = formats[_i / 3];
    struct qb_problem p = problem_of(QB_OPERATION_ADD_RMS_NORM, format, (enum qb_intermediate)(_i % 3));
    const float row[4] = {INFINITY, -NAN, 1, -1}, other[4] = {-INFINITY, 1, NAN, 1}, weights[4] = {1, -1, 1, -NAN};
    struct qb_tensors tensors = {.size = sizeof tensors};
    uint32_t values[4], sums[4];

    p.tokens = 1;
    p.hidden = 4;
    tensors.at[QB_ROLE_INPUT] = encoded(format, row, 4);
    tensors.at[QB_ROLE_RESIDUAL] = encoded(format, other, 4);
    tensors.at[QB_ROLE_WEIGHTS] = encoded(format, weights, 4);
    if (format == QB_FORMAT_F32) { /* with signs, which encoding drops */
        memcpy(tensors.at[QB_ROLE_INPUT], row, sizeof row);
        memcpy(tensors.at[QB_ROLE_WEIGHTS], weights, sizeof weights);
    }
    tensors.at[QB_ROLE_VALUES] = values;
    tensors.at[QB_ROLE_SUM] = sums;
    ck_assert_int_eq(qb_reference_values(&p, &tensors), QB_OK);
    for (uint64_t i = 0; i < 4; i++) {
        const uint32_t value = value_format(&p) == QB_FORMAT_F32 ? values[i] : ((uint16_t *)values)[i];
        const uint32_t sum = format == QB_FORMAT_F32 ? sums[i] : ((uint16_t *)sums)[i];

        ck_assert_uint_eq(value, qb_format_encode(value_format(&p), NAN));
        ck_assert_uint_eq(sum, i == 3 ? 0 : qb_format_encode(format, NAN));
    }
    free(tensors.at[QB_ROLE_INPUT]);
    free(tensors.at[QB_ROLE_RESIDUAL]);
    free(tensors.at[QB_ROLE_WEIGHTS]);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("values");
    TCase *tc = patient_case("activations");

    tcase_add_loop_test(tc, silu_of_all_gates_is_that_of_binary128, 0, sizeof exact / sizeof exact[0]);
    tcase_add_loop_test(tc, polynomial_of_all_gates_is_the_function, 0, sizeof exact / sizeof exact[0]);
    tcase_add_loop_test(tc, gelu_of_all_gates_is_correctly_rounded, 0, 2 * (sizeof exact / sizeof exact[0]));
    tcase_add_loop_test(tc, activations_fall_and_then_rise, 0, 3);
    tcase_add_loop_test(tc, formulas_and_their_error, 0, sizeof curves / sizeof curves[0]);
    tcase_add_test(tc, formula_of_the_error_function_and_its_error);
    tcase_add_test(tc, gelu_is_the_form_with_the_tangent);
    tcase_add_loop_test(tc, small_results_keep_their_digits, 0, sizeof exact / sizeof exact[0]);
    tcase_add_loop_test(tc, special_values_of_activations, 0, sizeof specials / sizeof specials[0]);
    tcase_add_loop_test(tc, products_limits_and_offsets, 0, 9);
    tcase_add_loop_test(tc, gated_rows_have_strides, 0, QB_GATE_COUNT);
    suite_add_tcase(suite, tc);
    tc = patient_case("norms");
    tcase_add_loop_test(tc, norms_add_in_the_order_of_the_contract, 0, sizeof widths / sizeof widths[0]);
    tcase_add_test(tc, chains_are_fused);
    tcase_add_test(tc, golden_norm);
    tcase_add_loop_test(tc, limits_of_norms, 0, sizeof limits / sizeof limits[0]);
    tcase_add_test(tc, rows_of_norms_are_independent);
    tcase_add_loop_test(tc, norms_of_a_sum, 0, 9);
    tcase_add_loop_test(tc, stored_nan_has_one_pattern, 0, 9);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
