/* SPDX-License-Identifier: Apache-2.0 */
/* check_describe.c - the words of a case: its properties, its cells, its doubts, and which cases are one. */
#include <config.h>

#include "model/problem_text.h"
#include "report/describe.h"
#include "run.h"

#include <math.h>
#include <string.h>

static const struct qb_device_info cpu = {.id = "cpu", .cache_size = 1000}, gpu = {.id = "cuda:0"};
static char kernel[] = "cpu_generic", other_kernel[] = "cpu_avx2";

/* A case with a time. */
static struct record_case some_case(void)
{
    struct record_case c = {.device = &cpu, .kernel = kernel, .threads = 2, .launch = LAUNCH_STREAM, .streams = 1};

    qb_problem_init(&c.problem);
    c.problem.tokens = 4;
    c.problem.hidden = 8;
    c.found = (struct finding){
        .sample_count = 10,
        .cache = CACHE_HOT,
        .checked.verification = VERIFIED,
        .time = {.median = 2000, .ci_low = 1900, .ci_high = 2100, .basis = STATS_BASIS_ROUNDS},
        .best_time = 1000,
        .bytes_per_second = 5e9,
        .has_quality = true,
        .checked.quality = {.finite = 32, .snr = 40.125},
    };
    return c;
}

static const char *cell(const struct record_case *c, enum column column)
{
    static char text[DESCRIBE_SIZE];

    return describe_cell(c, column, text);
}

START_TEST(figures_have_their_digits)
{
    struct record_case c = some_case();

    ck_assert_str_eq(cell(&c, MEDIAN), "2.000");
    ck_assert_str_eq(cell(&c, PRECISION), "5.00");
    ck_assert_str_eq(cell(&c, RATE), "5.0");
    ck_assert_str_eq(cell(&c, OF_CEILING), "50.0 %");
    ck_assert_str_eq(cell(&c, SNR), "40.12");
    ck_assert_str_eq(cell(&c, HOST), "-");
    ck_assert_str_eq(cell(&c, CODES), "verified");
    c.found.checked.quality.snr = INFINITY;
    ck_assert_str_eq(cell(&c, SNR), "exact");
    c.found.implausible = true;
    ck_assert_str_eq(cell(&c, OF_CEILING), "> 100 %");
    ck_assert_str_eq(cell(&c, CODES), "verified *");
    c.found.implausible = false;
    c.found.checked.mismatch.near_codes = 1;
    ck_assert_str_eq(cell(&c, CODES), "within 1");
}
END_TEST

START_TEST(a_case_without_a_time_says_why)
{
    struct record_case c = some_case();

    c.found.sample_count = 0;
    for (enum column i = MEDIAN; i < CODES; i++) {
        ck_assert_str_eq(cell(&c, i), "-");
    }
    ck_assert_str_eq(cell(&c, CODES), "interrupted");
    c.found.code = EXIT_CANNOT_RUN;
    ck_assert_str_eq(cell(&c, CODES), "failed");
    c.found.code = EXIT_WRONG_RESULT;
    c.found.checked.verification = WRONG;
    ck_assert_str_eq(cell(&c, CODES), "WRONG");
}
END_TEST

static const struct record_tensor other_tensor = {.file = (char[]){"f"}, .title = (char[]){"w"}};

static char other_host[] = "other";
static const struct record_source other_source = {.label = other_host};

/* Change PROPERTY of C. */
static void change(struct record_case *c, enum property property)
{
    switch (property) {
    case PROPERTY_SOURCE:
        c->source = &other_source;
        break;
    case PROPERTY_DEVICE:
        c->device = &gpu;
        break;
    case PROPERTY_TENSOR:
        c->tensor = &other_tensor;
        break;
    case PROPERTY_TOKENS:
        c->problem.tokens++;
        break;
    case PROPERTY_HIDDEN:
        c->problem.hidden++;
        break;
    case PROPERTY_DTYPE:
        c->problem.input = QB_FORMAT_BF16;
        break;
    case PROPERTY_DIST:
        c->dist = INPUT_ZEROS;
        break;
    case PROPERTY_QUANT_DTYPE:
        c->problem.output = QB_FORMAT_E4M3;
        break;
    case PROPERTY_GRANULARITY:
        c->problem.granularity = QB_GRANULARITY_TOKEN;
        break;
    case PROPERTY_SCALE:
        c->problem.scaling = QB_SCALING_STATIC;
        break;
    case PROPERTY_SCALE_FORMAT:
        c->problem.scale_format = QB_FORMAT_F16;
        break;
    case PROPERTY_SCALE_ROUNDING:
        c->problem.scale_rounding = QB_SCALE_ROUNDING_EVEN;
        break;
    case PROPERTY_SCALE_LAYOUT:
        c->problem.scale_layout = QB_SCALE_LAYOUT_COLUMNS;
        break;
    case PROPERTY_TENSOR_SCALE:
        c->problem.tensor_scale = QB_TENSOR_SCALE_GIVEN;
        break;
    case PROPERTY_ZERO_POINTS:
        c->problem.zero_points = QB_ZERO_POINTS_INT8;
        break;
    case PROPERTY_PACKING:
        c->problem.packing = QB_PACKING_DENSE;
        break;
    case PROPERTY_OPERATION:
        c->problem.operation = QB_OPERATION_GELU_MUL; /* which reads the same members but for alpha */
        break;
    case PROPERTY_INTERMEDIATE:
        c->problem.intermediate = QB_INTERMEDIATE_FLOAT;
        break;
    case PROPERTY_VALUES:
        c->problem.keep_values = 1;
        break;
    case PROPERTY_GELU:
        c->problem.gelu = QB_GELU_ERF;
        break;
    case PROPERTY_GATE:
        c->problem.gate = QB_GATE_INTERLEAVED;
        break;
    case PROPERTY_GATE_LIMIT:
        c->problem.gate_limit = 7;
        break;
    case PROPERTY_ALPHA:
        c->problem.alpha = 1.702f;
        break;
    case PROPERTY_UP_OFFSET:
        c->problem.up_offset = 1;
        break;
    case PROPERTY_WEIGHTS:
        c->problem.weights = QB_WEIGHTS_FLOAT;
        break;
    case PROPERTY_EPSILON:
        c->problem.epsilon = 1e-5f;
        break;
    case PROPERTY_PAIRING:
        c->problem.pairing = QB_PAIRING_ADJACENT;
        break;
    case PROPERTY_HEAD_SIZE:
        c->problem.head_size = 8;
        break;
    case PROPERTY_ROTARY:
        c->problem.rotary = 2;
        break;
    case PROPERTY_POSITIONS:
        c->problem.positions = 9;
        break;
    case PROPERTY_PAGE_SIZE:
        c->problem.page_size = 32;
        break;
    case PROPERTY_PAGES:
        c->problem.pages = 7;
        break;
    case PROPERTY_PAGE_LAYOUT:
        c->problem.page_layout = QB_PAGE_LAYOUT_HND;
        break;
    case PROPERTY_EXPERTS:
        c->problem.experts = 4;
        break;
    case PROPERTY_EXPERT_ROWS:
        c->problem.expert_rows = QB_EXPERT_ROWS_MASKED;
        break;
    case PROPERTY_EXPERT_TOKENS:
        c->problem.expert_tokens = 1;
        break;
    case PROPERTY_THREADS:
        c->threads++;
        break;
    case PROPERTY_KERNEL:
        c->kernel = other_kernel;
        break;
    case PROPERTY_CACHE:
        c->found.cache = CACHE_COLD;
        break;
    case PROPERTY_LAUNCH:
        c->launch = LAUNCH_ISOLATED;
        break;
    case PROPERTY_STREAMS:
        c->streams++;
        break;
    case PROPERTIES:
        break;
    }
}

/* An operation that has PROPERTY. */
static enum qb_operation operation_with(enum property property)
{
    if (property >= PROPERTY_PAGE_SIZE && property <= PROPERTY_PAGE_LAYOUT) {
        return QB_OPERATION_KV_WRITE;
    }
    if (property == PROPERTY_GELU) {
        return QB_OPERATION_GELU_MUL;
    }
    return property >= PROPERTY_PAIRING && property <= PROPERTY_POSITIONS ? QB_OPERATION_ROPE
           : property == PROPERTY_WEIGHTS || property == PROPERTY_EPSILON ? QB_OPERATION_RMS_NORM
                                                                          : QB_OPERATION_SILU_MUL;
}

/* Cases are told apart by each property alone, in its value and in its words. */
START_TEST(each_property_tells_cases_apart)
{
    for (enum property i = 0; i < PROPERTIES; i++) {
        struct record_case a = some_case(), b = some_case();
        char a_text[PROPERTY_TEXT_SIZE], b_text[PROPERTY_TEXT_SIZE];

        a.problem.operation = b.problem.operation = operation_with(i);
        if (i >= PROPERTY_EXPERTS && i <= PROPERTY_EXPERT_TOKENS) {
            a.problem.experts = b.problem.experts = 2;
        }
        change(&b, i);
        for (enum property k = 0; k < PROPERTIES; k++) {
            const bool same = strcmp(property_text(&a, k, a_text), property_text(&b, k, b_text)) == 0;

            if (i == PROPERTY_OPERATION && (k == PROPERTY_ALPHA || k == PROPERTY_GELU)) {
                continue; /* one of the two lacks it */
            }
            ck_assert_msg(property_same(&a, &b, k) == (k != i), "%s, of another %s", property_name(k),
                          property_name(i));
            ck_assert_msg(same == (k != i), "%s, of another %s", property_name(k), property_name(i));
        }
    }
}
END_TEST

/* A recipe brings its groups and scales along where outputs are compared, and nowhere else. */
START_TEST(recipes_bring_along_what_belongs_to_them)
{
    struct record_case plain = some_case(), mx = some_case(), nv = some_case();
    char text[PROPERTY_TEXT_SIZE];

    plain.problem.output = QB_FORMAT_E4M3;
    mx.problem.output = QB_FORMAT_E4M3;
    nv.problem.output = QB_FORMAT_E2M1;
    mx.problem.granularity = nv.problem.granularity = QB_GRANULARITY_GROUP;
    mx.problem.group = 32;
    nv.problem.group = 16;
    mx.problem.scale_format = QB_FORMAT_E8M0;
    nv.problem.scale_format = QB_FORMAT_E4M3;
    nv.problem.tensor_scale = QB_TENSOR_SCALE_COMPUTED;
    ck_assert_str_eq(property_text(&plain, PROPERTY_QUANT_DTYPE, text), "fp8");
    ck_assert_str_eq(property_text(&mx, PROPERTY_QUANT_DTYPE, text), "mxfp8");
    ck_assert_str_eq(property_text(&nv, PROPERTY_QUANT_DTYPE, text), "nvfp4");
    ck_assert(!property_same(&plain, &mx, PROPERTY_QUANT_DTYPE));
    ck_assert(property_follows(&plain, &mx, PROPERTY_QUANT_DTYPE, PROPERTY_GRANULARITY));
    ck_assert(property_follows(&plain, &mx, PROPERTY_QUANT_DTYPE, PROPERTY_SCALE_FORMAT));
    ck_assert(property_follows(&nv, &mx, PROPERTY_QUANT_DTYPE, PROPERTY_TENSOR_SCALE));
    ck_assert(!property_follows(&plain, &mx, PROPERTY_QUANT_DTYPE, PROPERTY_SCALE_LAYOUT));
    ck_assert(!property_follows(&plain, &mx, PROPERTY_KERNEL, PROPERTY_GRANULARITY));
    mx.problem.group = 64;
    ck_assert_str_eq(property_text(&mx, PROPERTY_QUANT_DTYPE, text), "fp8");
}
END_TEST

/* Sizes of groups and blocks count where there are any, and an upper bound of the scale always. */
START_TEST(what_a_granularity_does_not_read_is_no_difference)
{
    struct record_case a = some_case(), b = some_case();

    b.problem.group++;
    b.problem.block_rows++;
    ck_assert(property_same(&a, &b, PROPERTY_GRANULARITY));
    a.problem.granularity = b.problem.granularity = QB_GRANULARITY_GROUP;
    ck_assert(!property_same(&a, &b, PROPERTY_GRANULARITY));
    a.problem.granularity = b.problem.granularity = QB_GRANULARITY_BLOCK;
    ck_assert(!property_same(&a, &b, PROPERTY_GRANULARITY));
    ck_assert(property_same(&a, &b, PROPERTY_SCALE));
    b.problem.amax_bound = 1;
    ck_assert(!property_same(&a, &b, PROPERTY_SCALE));
}
END_TEST

/* Members that the operation does not read tell no cases apart, and lack words. */
START_TEST(members_of_other_operations_do_not_count)
{
    struct record_case a = some_case(), b = some_case();
    char text[PROPERTY_TEXT_SIZE];

    for (enum property i = PROPERTY_INTERMEDIATE; i <= PROPERTY_POSITIONS; i++) {
        change(&b, i);
        ck_assert(property_same(&a, &b, i));
        ck_assert(!property_applies(&b.problem, i));
        ck_assert_str_eq(property_text(&b, i, text), "-");
    }
}
END_TEST

/* Operations bring along what only one of them has, and given scales, where operations are compared. */
START_TEST(operations_bring_along_what_belongs_to_them)
{
    struct record_case silu = some_case(), norm = some_case(), back = some_case();

    silu.problem.operation = QB_OPERATION_SILU_MUL;
    norm.problem.operation = QB_OPERATION_RMS_NORM;
    norm.problem.epsilon = 1e-6f;
    back.problem.operation = QB_OPERATION_DEQUANTIZE;
    back.problem.scaling = QB_SCALING_STATIC;
    for (enum property i = PROPERTY_GATE; i <= PROPERTY_EPSILON; i++) {
        ck_assert(property_follows(&silu, &norm, PROPERTY_OPERATION, i));
        ck_assert(!property_follows(&silu, &norm, PROPERTY_KERNEL, i));
    }
    ck_assert(!property_follows(&silu, &norm, PROPERTY_OPERATION, PROPERTY_INTERMEDIATE));
    ck_assert(!property_follows(&silu, &norm, PROPERTY_OPERATION, PROPERTY_SCALE));
    ck_assert(property_follows(&silu, &back, PROPERTY_OPERATION, PROPERTY_SCALE));
}
END_TEST

/* Weights are generated also beside a file, and beside zeros: the seed is a part of such data. */
START_TEST(weights_depend_on_the_seed)
{
    static char file[] = "x.npy";
    struct record a = {.seed = 1, .input = file, .digest = "0123456789abcdef"}, b = a;
    struct record_case c = some_case();
    char text[PROPERTY_TEXT_SIZE];

    b.seed = 2;
    ck_assert(record_same_data(&a, &c, &b, &c));
    ck_assert_str_eq(property_data(&a, &c, text), "x.npy, digest 0123456789abcdef");
    c.problem.operation = QB_OPERATION_RMS_NORM;
    ck_assert(!record_same_data(&a, &c, &b, &c));
    ck_assert_str_eq(property_data(&a, &c, text), "x.npy, digest 0123456789abcdef, seed 1");
    a.input = b.input = NULL;
    c.dist = INPUT_ZEROS;
    ck_assert(!record_same_data(&a, &c, &b, &c));
    b.seed = 1;
    ck_assert(record_same_data(&a, &c, &b, &c));
}
END_TEST

static const struct {
    enum qb_operation operation;
    const char *text;
} plain_texts[] = {
    {QB_OPERATION_QUANTIZE, "half -> int8, static, tensor, 4 x 8"},
    {QB_OPERATION_DEQUANTIZE, "dequantize, int8 -> half, static, tensor, 4 x 8"},
    {QB_OPERATION_SILU_MUL, "silu-mul, half -> int8, static, tensor, 4 x 8"},
    {QB_OPERATION_ROPE, "rope, half -> int8, static, tensor, heads of 4, 16 positions, 4 x 8"},
    {QB_OPERATION_RMS_NORM, "rms-norm, half -> int8, static, tensor, 4 x 8"},
};

/* A problem in words names its operation, and what is not as in plain problems. */
START_TEST(problems_have_words)
{
    char text[PROBLEM_TEXT_SIZE];
    struct record_case c = some_case();

    for (size_t i = 0; i < sizeof plain_texts / sizeof plain_texts[0]; i++) {
        c.problem.operation = plain_texts[i].operation;
        c.problem.scaling = QB_SCALING_STATIC;
        c.problem.epsilon = PROBLEM_EPSILON;
        c.problem.head_size = c.problem.rotary = 4;
        c.problem.positions = 16;
        problem_text(&c.problem, text, sizeof text);
        ck_assert_str_eq(text, plain_texts[i].text);
    }
    for (enum property i = PROPERTY_INTERMEDIATE; i <= PROPERTY_EPSILON; i++) {
        change(&c, i);
    }
    problem_text(&c.problem, text, sizeof text);
    ck_assert_str_eq(text, "rms-norm, half -> int8, static, tensor, intermediate float, values kept, gelu erf, gate "
                           "interleaved, limit 7, alpha 1.702, offset 1, float weights, epsilon 1e-05, 4 x 8");
    c = some_case();
    c.problem.operation = QB_OPERATION_ROPE;
    for (enum property i = PROPERTY_PAIRING; i <= PROPERTY_POSITIONS; i++) {
        change(&c, i);
    }
    problem_text(&c.problem, text, sizeof text);
    ck_assert_str_eq(text,
                     "rope, half -> int8, dynamic, tensor, heads of 8, 2 rotated, adjacent pairs, 9 positions, 4 x 8");
}
END_TEST

/* Each doubt has a word, and a sentence that begins with it. */
START_TEST(each_doubt_has_its_word)
{
    const struct record record = {.timeout = 10, .precision = 0.01};
    const struct record_case c = some_case();

    for (unsigned i = 0; i < DOUBTS; i++) {
        char text[DESCRIBE_SIZE] = "";

        describe_doubt(&record, &c, (enum doubt)(1 << i), text);
        ck_assert_msg(strncmp(text, doubt_words[i], strlen(doubt_words[i])) == 0, "%s: %s", doubt_words[i], text);
    }
    ck_assert_ptr_null(doubt_words[DOUBTS]);
}
END_TEST

START_TEST(doubts_are_listed)
{
    struct record_case c = some_case();
    char text[DESCRIBE_SIZE];

    ck_assert_str_eq(describe_doubts(&c, "; ", text), "");
    c.found.implausible = true;
    c.found.converged = TRUTH_NO;
    ck_assert_str_eq(describe_doubts(&c, "; ", text), "implausible; not converged");
    c.found.sample_count = 0;
    ck_assert_str_eq(describe_doubts(&c, "; ", text), "");
}
END_TEST

START_TEST(the_input_is_the_tensor_that_is_quantized)
{
    struct record_tensor tensors[] = {
        {.file = (char *)"m.safetensors", .name = (char *)"bias", .kept = (char *)"of one dimension", .digest = "1"},
        {.file = (char *)"n.safetensors", .name = (char *)"weight", .digest = "2"},
        {.file = (char *)"m.safetensors", .name = (char *)"ids", .kept = (char *)"of another type", .digest = "3"},
    };
    struct record record = {.input = (char *)"model", .tensors = tensors, .tensor_count = 3};
    char text[DESCRIBE_SIZE];

    ck_assert_str_eq(describe_input(&record, text), "n.safetensors, tensor weight, digest 2");
    tensors[2].kept = NULL;
    ck_assert_str_eq(describe_input(&record, text), "model, 2 tensors");
    for (size_t i = 0; i < 3; i++) {
        tensors[i].kept = (char *)"later";
    }
    ck_assert_str_eq(describe_input(&record, text), "model, 0 tensors");
}
END_TEST

START_TEST(long_names_keep_both_ends)
{
    char text[64] = "model.layers.10.mlp.experts.w1", letters[64] = "123456789012345\xc3\xa9 and more of it";

    ck_assert_str_eq(describe_cut(text, 30), "model.layers.10.mlp.experts.w1");
    ck_assert_str_eq(describe_cut(text, 29), "model.layers.10....experts.w1");
    /* A letter of two bytes stays whole. */
    ck_assert_str_eq(describe_cut(letters, 24), "123456789012345...of it");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("describe");
    TCase *tc = patient_case("describe");

    tcase_add_test(tc, figures_have_their_digits);
    tcase_add_test(tc, a_case_without_a_time_says_why);
    tcase_add_test(tc, each_property_tells_cases_apart);
    tcase_add_test(tc, recipes_bring_along_what_belongs_to_them);
    tcase_add_test(tc, what_a_granularity_does_not_read_is_no_difference);
    tcase_add_test(tc, members_of_other_operations_do_not_count);
    tcase_add_test(tc, operations_bring_along_what_belongs_to_them);
    tcase_add_test(tc, weights_depend_on_the_seed);
    tcase_add_test(tc, problems_have_words);
    tcase_add_test(tc, each_doubt_has_its_word);
    tcase_add_test(tc, doubts_are_listed);
    tcase_add_test(tc, the_input_is_the_tensor_that_is_quantized);
    tcase_add_test(tc, long_names_keep_both_ends);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
