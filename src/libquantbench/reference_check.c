/* SPDX-License-Identifier: Apache-2.0 */
/* reference_check.c - checks that the reference of this build, in this process, computes the contract: known results
 * first, since they name the error, and then a digest over many. The digest comes from an implementation in exact
 * rational arithmetic that has nothing in common with this library. */
#include <config.h>

#include "environment.h"
#include "operation.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <string.h>

/* The code of a value, and back unless it was rounded or saturated. */
static const struct {
    enum qb_format format;
    float value;
    uint32_t code;
    bool exact;
} conversions[] = {
    {QB_FORMAT_E4M3, 0x1p-9f, 0x01, true},        {QB_FORMAT_E4M3, 0x1p-10f, 0x00, false},
    {QB_FORMAT_E4M3, -0x1.8p-9f, 0x82, false},    {QB_FORMAT_E4M3, 1.0625f, 0x38, false},
    {QB_FORMAT_E4M3, 1.1875f, 0x3A, false},       {QB_FORMAT_E4M3, 448.0f, 0x7E, true},
    {QB_FORMAT_E4M3, 1e30f, 0x7E, false},         {QB_FORMAT_E4M3, -0x1p-149f, 0x80, false},
    {QB_FORMAT_E5M2, 0x1p-16f, 0x01, true},       {QB_FORMAT_E5M2, 0x1p-17f, 0x00, false},
    {QB_FORMAT_E5M2, 0x1.8p-16f, 0x02, false},    {QB_FORMAT_E5M2, -57344.0f, 0xFB, true},
    {QB_FORMAT_INT8, 0.5f, 0x00, false},          {QB_FORMAT_INT8, 1.5f, 0x02, false},
    {QB_FORMAT_INT8, -2.5f, 0xFE, false},         {QB_FORMAT_INT8, 127.5f, 0x7F, false},
    {QB_FORMAT_INT8, -128.0f, 0x80, true},        {QB_FORMAT_F16, 0x1p-24f, 0x0001, true},
    {QB_FORMAT_F16, 0x1p-25f, 0x0000, false},     {QB_FORMAT_F16, 65520.0f, 0x7C00, false},
    {QB_FORMAT_BF16, 0x1p-133f, 0x0001, true},    {QB_FORMAT_BF16, 0x1p-134f, 0x0000, false},
    {QB_FORMAT_BF16, 0x1.81p1f, 0x4040, false},   {QB_FORMAT_BF16, 0x1.83p1f, 0x4042, false},
    {QB_FORMAT_E2M1, 0.25f, 0x0, false},          {QB_FORMAT_E2M1, -0.75f, 0xA, false},
    {QB_FORMAT_E2M1, 2.5f, 0x4, false},           {QB_FORMAT_E2M1, 3.5f, 0x6, false},
    {QB_FORMAT_E2M1, -6.0f, 0xF, true},           {QB_FORMAT_E2M1, 1e30f, 0x7, false},
    {QB_FORMAT_E2M3, 0x1p-3f, 0x01, true},        {QB_FORMAT_E2M3, 0x1p-4f, 0x00, false},
    {QB_FORMAT_E2M3, 7.25f, 0x1E, false},         {QB_FORMAT_E2M3, -7.5f, 0x3F, true},
    {QB_FORMAT_E3M2, 0x1p-4f, 0x01, true},        {QB_FORMAT_E3M2, 0x1p-5f, 0x00, false},
    {QB_FORMAT_E3M2, 26.0f, 0x1E, false},         {QB_FORMAT_E3M2, -28.0f, 0x3F, true},
    {QB_FORMAT_INT4, 2.5f, 0x2, false},           {QB_FORMAT_INT4, -8.5f, 0x8, false},
    {QB_FORMAT_INT4, -1.0f, 0xF, true},           {QB_FORMAT_UINT4, 15.5f, 0xF, false},
    {QB_FORMAT_UINT4, -1.0f, 0x0, false},         {QB_FORMAT_E8M0, 0x1p-127f, 0x00, true},
    {QB_FORMAT_E8M0, 0x1.000002p0f, 0x80, false}, {QB_FORMAT_E8M0, 0x1p127f, 0xFE, true},
};

/* INT8 codes of quotients that would differ with x * (1 / s), flushed subnormals or another rounding mode. */
static const struct {
    float x, scale;
    uint8_t code;
} quotients[] = {
    {0x1.8p-127f, 0x1p-126f, 0x01},         /* a subnormal element */
    {-0x1.ep-127f, 0x1p-126f, 0xFF},        /* also, of the other sign */
    {0x1p-148f, 0x1p-149f, 0x02},           /* a subnormal scale */
    {2.5f, 1.0f, 0x02},                     /* ties */
    {3.5f, 1.0f, 0x04},                     /* ties */
    {2.9f, 1.0f, 0x03},                     /* not downward */
    {2.1f, 1.0f, 0x02},                     /* not upward */
    {0x1.8a114ep+1f, 0x1.c25cecp-1f, 0x04}, /* a tie, after the division's one rounding */
    {0x1.a641b4p+1f, 0x1.7756d8p-1f, 0x04}, /* also */
};

static enum qb_status wrong(const char *what, double value, const char *format, uint32_t got, uint32_t expected)
{
    return qb__fail(QB_ERROR_REFERENCE, "%s %a as %s is 0x%02" PRIX32 ", expected 0x%02" PRIX32, what, value, format,
                    got, expected);
}

static enum qb_status check_conversions(void)
{
    for (size_t i = 0; i < sizeof conversions / sizeof conversions[0]; i++) {
        const enum qb_format format = conversions[i].format;
        const float value = conversions[i].value;
        const uint32_t code = qb_format_encode(format, value);

        if (code != conversions[i].code) {
            return wrong("the code of", (double)value, qb_format_info(format)->name, code, conversions[i].code);
        }
        if (conversions[i].exact) {
            const float back = qb_format_decode(format, code);

            if (memcmp(&back, &value, sizeof back) != 0) {
                return qb__fail(QB_ERROR_REFERENCE, "the value of code 0x%02" PRIX32 " as %s is %a, expected %a", code,
                                qb_format_info(format)->name, (double)back, (double)value);
            }
        }
    }
    return QB_OK;
}

static enum qb_status check_quotients(void)
{
    struct qb_problem problem;

    qb_problem_init(&problem);
    problem.input = QB_FORMAT_F32;
    problem.scaling = QB_SCALING_STATIC;
    problem.tokens = 1;
    for (size_t i = 0; i < sizeof quotients / sizeof quotients[0]; i++) {
        float x = quotients[i].x, scale = quotients[i].scale;
        uint8_t code = 0;
        const struct qb_tensors buffers = QB_TENSORS(&x, &code, &scale);
        enum qb_status status = qb__reference_run_unchecked(&problem, &qb__contract, &buffers);

        if (status != QB_OK) {
            return status;
        }
        if (code != quotients[i].code) {
            return qb__fail(QB_ERROR_REFERENCE, "%a / %a as int8 is 0x%02X, expected 0x%02X", (double)x, (double)scale,
                            code, quotients[i].code);
        }
    }
    return QB_OK;
}

/* ---- Values before a quantization ---------------------------------------------------------------------------------
 */

/* Activations of a gate, with an up of 1: of the real function, and, in float, of the polynomial. */
static const struct {
    enum qb_operation operation;
    enum qb_gelu gelu;
    enum qb_format input;
    float gate, value;
} activations[] = {
    {QB_OPERATION_SILU_MUL, QB_GELU_TANH, QB_FORMAT_F16, 1, 0x1.764p-1f},
    {QB_OPERATION_SILU_MUL, QB_GELU_TANH, QB_FORMAT_F16, -1, -0x1.138p-2f},
    {QB_OPERATION_SILU_MUL, QB_GELU_TANH, QB_FORMAT_F16, -5, -0x1.124p-5f},
    {QB_OPERATION_SILU_MUL, QB_GELU_TANH, QB_FORMAT_F16, 20, 20},
    {QB_OPERATION_SILU_MUL, QB_GELU_TANH, QB_FORMAT_BF16, 0.5f, 0x1.3ep-2f},
    {QB_OPERATION_SILU_MUL, QB_GELU_TANH, QB_FORMAT_BF16, -5, -0x1.12p-5f},
    {QB_OPERATION_SILU_MUL, QB_GELU_TANH, QB_FORMAT_BF16, -90, -0.0f},
    {QB_OPERATION_SILU_MUL, QB_GELU_TANH, QB_FORMAT_F32, 1.5f, 0x1.39f2d6p+0f},
    {QB_OPERATION_SILU_MUL, QB_GELU_TANH, QB_FORMAT_F32, -0x1.3360aep+1f, -0x1.9886d2p-3f},
    {QB_OPERATION_SILU_MUL, QB_GELU_TANH, QB_FORMAT_F32, -0x1.fc11c8p+2f, -0x1.7308dcp-9f},
    {QB_OPERATION_SILU_MUL, QB_GELU_TANH, QB_FORMAT_F32, -0x1.ea74d8p+5f, -0x1.67b002p-83f},
    {QB_OPERATION_SILU_MUL, QB_GELU_TANH, QB_FORMAT_F32, -0x1.23192p+6f, -0x1.24d37p-99f},
    {QB_OPERATION_GELU_MUL, QB_GELU_TANH, QB_FORMAT_F32, -1.5f, -0x1.9b5ad6p-4f},
    {QB_OPERATION_GELU_MUL, QB_GELU_TANH, QB_FORMAT_F32, -0x1.33p+1f, -0x1.3d033ep-6f},
    {QB_OPERATION_GELU_MUL, QB_GELU_ERF, QB_FORMAT_F32, -1.5f, -0x1.9a76ap-4f},
    {QB_OPERATION_GELU_MUL, QB_GELU_ERF, QB_FORMAT_F32, 0x1.666666p-1f, 0x1.0fae24p-1f},
    {QB_OPERATION_GELU_MUL, QB_GELU_ERF, QB_FORMAT_F32, -0x1.c66666p+2f, -0x1.37a76ep-38f},
    {QB_OPERATION_GELU_MUL, QB_GELU_ERF, QB_FORMAT_F16, 0x1.5fp-10f, 0x1.5f4p-11f},
};

/* The values of PROBLEM, whose codes are not wanted. */
static enum qb_status compute_values(const struct qb_problem *problem, const struct qb_tensors *tensors)
{
    struct qb_problem p;
    enum qb_status status = qb__problem_load(problem, &p);

    if (status == QB_OK) {
        qb__operation_of(p.operation)->values(&p, tensors);
    }
    return status;
}

static enum qb_status check_activations(void)
{
    struct qb_problem problem;

    qb_problem_init(&problem);
    problem.tokens = 1;
    for (size_t i = 0; i < sizeof activations / sizeof activations[0]; i++) {
        const enum qb_format format = activations[i].input;
        const uint32_t gate = qb_format_encode(format, activations[i].gate), up = qb_format_encode(format, 1);
        const uint32_t expected = qb_format_encode(format, activations[i].value);
        uint16_t halves[2] = {(uint16_t)gate, (uint16_t)up}, half = 0;
        uint32_t words[2] = {gate, up}, word = 0;
        struct qb_tensors tensors = {.size = sizeof tensors};
        enum qb_status status;

        problem.operation = activations[i].operation;
        problem.gelu = activations[i].gelu;
        problem.input = format;
        tensors.at[QB_ROLE_INPUT] = format == QB_FORMAT_F32 ? (void *)words : halves;
        tensors.at[QB_ROLE_VALUES] = format == QB_FORMAT_F32 ? (void *)&word : &half;
        status = compute_values(&problem, &tensors);
        if (status == QB_OK && (word | half) != expected) {
            status = wrong(qb_operation_name(problem.operation), (double)activations[i].gate,
                           qb_format_info(format)->name, word | half, expected);
        }
        if (status != QB_OK) {
            return status;
        }
    }
    return QB_OK;
}

#define NORM_COLS 2050

/* Rows that are longer than there are sums: element i is (factor * i % 101 - 50) / 7, times OUTLIER where two elements
 * share a sum. Other orders of additions, unfused ones, and roots that are not correctly rounded give other values. */
static const struct {
    int factor, outlier;
    float ends[2]; /* the first and the last value */
} norms[] = {
    {21, 16, {-0x1.38989p+4f, -0x1.25d716p+4f}},
    {35, 1, {-0x1.b6cec2p+0f, -0x1.8aed48p+0f}},
};

static enum qb_status check_norm(int factor, int outlier, const float expected[2])
{
    float row[NORM_COLS], weights[NORM_COLS], values[NORM_COLS];
    struct qb_tensors tensors = {.size = sizeof tensors};
    struct qb_problem problem;
    enum qb_status status;

    for (int i = 0; i < NORM_COLS; i++) {
        row[i] = (float)(factor * i % 101 - 50) / 7 * (float)(i % 2048 < 2 ? outlier : 1);
        weights[i] = 1;
    }
    qb_problem_init(&problem);
    problem.operation = QB_OPERATION_RMS_NORM;
    problem.input = QB_FORMAT_F32;
    problem.tokens = 1;
    problem.hidden = NORM_COLS;
    problem.epsilon = 1e-5f;
    tensors.at[QB_ROLE_INPUT] = row;
    tensors.at[QB_ROLE_WEIGHTS] = weights;
    tensors.at[QB_ROLE_VALUES] = values;
    status = compute_values(&problem, &tensors);
    if (status == QB_OK) {
        const float ends[2] = {values[0], values[NORM_COLS - 1]};

        if (memcmp(ends, expected, sizeof ends) != 0) {
            return qb__fail(QB_ERROR_REFERENCE, "rms-norm gives %a and %a, expected %a and %a", (double)ends[0],
                            (double)ends[1], (double)expected[0], (double)expected[1]);
        }
    }
    return status;
}

static enum qb_status check_norms(void)
{
    enum qb_status status = QB_OK;

    for (size_t i = 0; i < sizeof norms / sizeof norms[0] && status == QB_OK; i++) {
        status = check_norm(norms[i].factor, norms[i].outlier, norms[i].ends);
    }
    return status;
}

/* A pair, its cosine and sine, and what it is rotated to, in binary32: a fused multiply-add gives other numbers. */
static const float rotations[][6] = {
    {0x1.1b80b4p+1f, -0x1.fe259ep+0f, 0x1.5d88dcp-1f, -0x1.762004p-1f, 0x1.ca14cp-5f, -0x1.7d4b4p+1f},
    {-0x1.8c70c8p+0f, -0x1.d48f74p+0f, -0x1.6f382cp-1f, -0x1.64c86p-1f, -0x1.51664p-3f, 0x1.3228e8p+1f},
};

static enum qb_status check_rotations(void)
{
    const int64_t position = 0;
    struct qb_problem problem;
    enum qb_status status = QB_OK;

    qb_problem_init(&problem);
    problem.operation = QB_OPERATION_ROPE;
    problem.input = QB_FORMAT_F32;
    problem.tokens = 1;
    problem.hidden = 2;
    for (size_t i = 0; i < sizeof rotations / sizeof rotations[0] && status == QB_OK; i++) {
        const float *known = rotations[i];
        struct qb_tensors tensors = {.size = sizeof tensors};
        float values[2];

        tensors.at[QB_ROLE_INPUT] = (void *)(uintptr_t)known;
        tensors.at[QB_ROLE_ANGLES] = (void *)(uintptr_t)(known + 2);
        tensors.at[QB_ROLE_POSITIONS] = (void *)(uintptr_t)&position;
        tensors.at[QB_ROLE_VALUES] = values;
        status = compute_values(&problem, &tensors);
        if (status == QB_OK && memcmp(values, known + 4, sizeof values) != 0) {
            status = qb__fail(QB_ERROR_REFERENCE, "rope gives %a and %a, expected %a and %a", (double)values[0],
                              (double)values[1], (double)known[4], (double)known[5]);
        }
    }
    return status;
}

/* ---- The digest ------------------------------------------------------------------------------------------------- */

#define ROWS     8
#define COLS     32
#define EXPECTED UINT64_C(0xAEF9A3A0469DFD35)

/* FNV-1a. */
static void digest_add(uint64_t *digest, const void *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        *digest = (*digest ^ ((const uint8_t *)bytes)[i]) * UINT64_C(0x100000001B3);
    }
}

static uint32_t next_random(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state;
}

/* The bits of element COL of row ROW: each row is of another kind. */
static uint32_t element(uint32_t row, uint32_t col, uint32_t random)
{
    /* Odd numbers below 256 with their leading one shifted out, as significands; their halves are ties. */
    const uint32_t odd = (random >> 8 & 0xFE) | 1, top = 31 - (uint32_t)__builtin_clz(odd);

    switch (row) {
    case 0: /* subnormal */
        return random & 0x807FFFFF;
    case 1: /* the smallest normal numbers */
        return (random & 0x807FFFFF) | (1 + col % 20) << 23;
    case 2: /* ties, with a scale of 1 if the code is INT8 */
        return col == 0 ? 0x42FE0000 : (random & 0x80000000) | (126 + top) << 23 | (odd << (23 - top) & 0x7FFFFF);
    case 3: /* 2^-7 to 2 */
        return (random & 0x83FFFFFF) | 0x3C000000;
    case 4: /* anything */
        return random;
    case 5: /* NaN and infinity */
        return col % 3 == 0 ? random | 0x7F800000 : col % 3 == 1 ? (random & 0x80000000) | 0x7F800000 : random;
    case 6: /* zeros */
        return random & 0x80000000;
    default: /* the largest */
        return (random & 0x80FFFFFF) | 0x7E000000;
    }
}

static void digest_conversions(uint64_t *digest)
{
    uint32_t state = 1;

    for (enum qb_format format = QB_FORMAT_F16; format <= QB_FORMAT_E5M2; format++) {
        for (uint32_t i = 0; i < ROWS * COLS; i++) {
            const uint32_t row = i / COLS, bits = element(row, i % COLS, next_random(&state));
            const uint32_t step = qb_format_info(format)->bits == 8    ? 1
                                  : qb_format_info(format)->bits == 16 ? 257
                                                                       : 16843009;
            float value = qb_format_decode(format, i * step);
            uint32_t code;

            digest_add(digest, &value, sizeof value);
            memcpy(&value, &bits, sizeof value);
            code = qb_format_encode(format, value);
            digest_add(digest, &code, sizeof code);
        }
    }
}

static enum qb_status digest_reference(uint64_t *digest)
{
    static const struct qb_arithmetic arithmetics[] = {
        {.quotient = QB_QUOTIENT_DIVIDE},
        {.quotient = QB_QUOTIENT_RECIPROCAL, .scale_form = QB_SCALE_PRODUCT},
        {.quotient = QB_QUOTIENT_MULTIPLY,
         .scale_form = QB_SCALE_MULTIPLIER,
         .zero = QB_ZERO_ZERO,
         .nan = QB_NAN_LOWEST,
         .infinity = QB_INFINITY_KEPT},
        {.quotient = QB_QUOTIENT_RECIPROCAL,
         .scale_form = QB_SCALE_INVERSE,
         .rounding = QB_ROUNDING_NEAREST_AWAY,
         .zero = QB_ZERO_ONE,
         .nan = QB_NAN_HIGHEST},
        {.rounding = QB_ROUNDING_TOWARD_ZERO,
         .zero = QB_ZERO_UNGUARDED,
         .power_of_two = 1,
         .amax_floor = 0x1p-120f,
         .scale_floor = 0x1p-100f},
    };
    uint32_t input[ROWS * COLS], state = 2;
    uint8_t codes[ROWS * COLS];
    float values[ROWS * COLS], scales[ROWS];
    const struct qb_tensors buffers = QB_TENSORS(values, codes, scales);
    struct qb_problem problem;

    for (uint32_t i = 0; i < ROWS * COLS; i++) {
        input[i] = element(i / COLS, i % COLS, next_random(&state));
    }
    memcpy(values, input, sizeof values);
    qb_problem_init(&problem);
    problem.input = QB_FORMAT_F32;
    problem.granularity = QB_GRANULARITY_TOKEN;
    problem.tokens = ROWS;
    problem.hidden = COLS;
    for (problem.output = QB_FORMAT_INT8; problem.output <= QB_FORMAT_E5M2; problem.output++) {
        for (size_t i = 0; i < sizeof arithmetics / sizeof arithmetics[0]; i++) {
            enum qb_status status = qb__reference_run_unchecked(&problem, &arithmetics[i], &buffers);

            if (status != QB_OK) {
                return status;
            }
            digest_add(digest, codes, sizeof codes);
            digest_add(digest, scales, sizeof scales);
        }
    }
    return QB_OK;
}

static enum qb_status check_digest(void)
{
    uint64_t digest = UINT64_C(0xCBF29CE484222325);
    enum qb_status status;

    digest_conversions(&digest);
    status = digest_reference(&digest);
    if (status == QB_OK && digest != EXPECTED) {
        return qb__fail(QB_ERROR_REFERENCE, "the digest of its codes is %016" PRIx64 ", expected %016" PRIx64, digest,
                        EXPECTED);
    }
    return status;
}

/* ---- The verdict ------------------------------------------------------------------------------------------------ */

static QB__IN_ENVIRONMENT enum qb_status check(void)
{
    enum qb_status status = check_conversions();

    status = status == QB_OK ? check_quotients() : status;
    status = status == QB_OK ? check_digest() : status;
    status = status == QB_OK ? check_activations() : status;
    status = status == QB_OK ? check_rotations() : status;
    return status == QB_OK ? check_norms() : status;
}

enum qb_status qb_reference_check(void)
{
    struct qb__environment kept;
    enum qb_status status;

    qb__environment_enter(&kept);
    status = check();
    qb__environment_leave(&kept);
    return status;
}

enum qb_status qb__reference_trust(void)
{
    static atomic_bool trusted;
    enum qb_status status = QB_OK;

    if (!atomic_load_explicit(&trusted, memory_order_relaxed)) {
        status = qb_reference_check();
        atomic_store_explicit(&trusted, status == QB_OK, memory_order_relaxed);
    }
    return status;
}
