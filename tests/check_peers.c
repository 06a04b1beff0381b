/* SPDX-License-Identifier: Apache-2.0 */
/* check_peers.c - the reference in the arithmetic of others' narrow kernels, against plain code that computes in their
 * order: byte for byte, on data of all kinds. The same code under another arithmetic differs somewhere. */
#include <config.h>

#include "plugins/narrow_peers.c"
#include "run.h"

#include <unistd.h>

#define ROWS 40
#define COLS 72

static const char *const data_names[] = {"normal", "ties", "specials", "extremes", "one-sided"};
#define KINDS 5

static float float_of(uint32_t bits)
{
    float value;

    memcpy(&value, &bits, sizeof value);
    return value;
}

static float element(int kind, uint64_t row, uint64_t *state)
{
    const uint64_t random = test_random(state);
    const float unit = (float)(random >> 40) * 0x1p-23f - 1; /* [-1, 1) */

    switch (kind) {
    case 0:
        return unit * (float)(1 + random % 7);
    case 1: /* halves of codes of E2M1, times powers of two */
        return (float)((int)(random >> 32 & 31) - 16) * 0.25f * ldexpf(1, (int)(row % 20) - 10);
    case 2:
        if (random % 64 == 0) {
            return row % 4 == 0 ? NAN : row % 4 == 1 ? INFINITY : row % 4 == 2 ? -INFINITY : -0.0f;
        }
        return row % 5 == 0 ? 0 : unit;
    case 3: /* all exponents, subnormal numbers too; a row of one range */
        return float_of(((uint32_t)(random >> 32) & 0x81FFFFFF) | (uint32_t)(row * 6 % 252) << 23);
    default: /* all of one sign, and far from 0 */
        return (row % 2 == 0 ? 10 : -10) + unit;
    }
}

static void fill(float *input, int kind)
{
    uint64_t state = test_seed() + (uint64_t)kind;

    for (uint64_t i = 0; i < ROWS * COLS; i++) {
        input[i] = element(kind, i / COLS, &state);
    }
}

/* One problem, for a kernel to be asked about. */
static struct qb_problem problem_of(int variant)
{
    static const enum qb_scale_rounding roundings[] = {QB_SCALE_ROUNDING_UP, QB_SCALE_ROUNDING_FLOOR,
                                                       QB_SCALE_ROUNDING_EVEN};
    struct qb_problem p;

    qb_problem_init(&p);
    p.input = QB_FORMAT_F32;
    p.tokens = ROWS;
    p.hidden = COLS - 5;
    p.input_stride = COLS;
    p.output_stride = COLS;
    p.granularity = QB_GRANULARITY_GROUP;
    p.group = variant < 6 ? 32 : 16;
    if (variant < 6) {
        p.output = variant < 3 ? QB_FORMAT_E4M3 : QB_FORMAT_E2M1;
        p.scale_format = QB_FORMAT_E8M0;
        p.scale_rounding = roundings[variant % 3];
    } else if (variant < 8) {
        p.output = QB_FORMAT_E2M1;
        p.scale_format = QB_FORMAT_E4M3;
        p.tensor_scale = variant == 6 ? QB_TENSOR_SCALE_NONE : QB_TENSOR_SCALE_GIVEN;
    } else {
        p.granularity = QB_GRANULARITY_TOKEN;
        p.zero_points = variant == 8 ? QB_ZERO_POINTS_INT8 : QB_ZERO_POINTS_INT32;
    }
    return p;
}
#define VARIANTS 10

/* What a call writes, with room for any of the problems. */
struct result {
    uint8_t codes[ROWS * COLS];
    float scales[ROWS * COLS];
    int32_t zero_points[ROWS]; /* or INT8 */
};

static struct qb_tensors tensors_of(const struct qb_problem *p, const float *input, float *tensor_scale,
                                    struct result *result)
{
    struct qb_tensors tensors = QB_TENSORS(input, result->codes, result->scales);

    memset(result, 0xA5, sizeof *result);
    tensors.at[QB_ROLE_ZERO_POINTS] = p->zero_points != QB_ZERO_POINTS_NONE ? result->zero_points : NULL;
    tensors.at[QB_ROLE_TENSOR_SCALE] = p->tensor_scale != QB_TENSOR_SCALE_NONE ? tensor_scale : NULL;
    return tensors;
}

/* True if KERNEL writes what its arithmetic says. */
static bool agrees(const struct qb_plugin_kernel *kernel, const struct qb_problem *p, int kind, float tensor_scale)
{
    static float input[ROWS * COLS];
    static struct result ours, theirs;
    struct qb_tensors our_tensors = tensors_of(p, input, &tensor_scale, &ours);
    struct qb_tensors their_tensors = tensors_of(p, input, &tensor_scale, &theirs);
    const struct qb_plugin_call call = {.size = sizeof call, .problem = p, .tensors = &their_tensors, .threads = 1};

    fill(input, kind);
    ck_assert_msg(qb_reference_run_as(p, &kernel->arithmetic, &our_tensors) == QB_OK, "%s: %s", kernel->name,
                  qb_error_detail());
    ck_assert(kernel->run(&call) == NULL);
    return memcmp(&ours, &theirs, sizeof ours) == 0;
}

/* Some that leave data outside the range of E4M3, and then inverses of small multiples of 3: with these the quotient by
 * qmax = 6 is often a tie of E4M3, where the order of operations shows. */
static float tensor_scale_of(int i)
{
    static const float others[] = {1, 0x1.79e79ep-10f, 3e-6f, 700};

    return i < 4 ? others[i] : ldexpf(1 / (float)(3 * i), i % 7 - 3);
}
#define TENSOR_SCALES 60

START_TEST(peers_are_what_they_declare)
{
    const struct qb_plugin_kernel *kernel = &kernels[_i];
    const bool lies = strchr(kernel->name, '.') != NULL;
    int asked = 0, differing = 0;

    for (int variant = 0; variant < VARIANTS; variant++) {
        const struct qb_problem p = problem_of(variant);

        for (int kind = 0; kind < KINDS && kernel->supports(&p); kind++) {
            for (int i = 0; i < (p.tensor_scale == QB_TENSOR_SCALE_GIVEN ? TENSOR_SCALES : 1); i++) {
                const bool good = agrees(kernel, &p, kind, tensor_scale_of(i));

                asked++;
                differing += !good;
                ck_assert_msg(good || lies, "%s, variant %d, %s data, tensor scale %a", kernel->name, variant,
                              data_names[kind], (double)tensor_scale_of(i));
            }
        }
    }
    ck_assert_int_gt(asked, 0);
    ck_assert_msg(differing > 0 || !lies, "%s is like its declaration everywhere", kernel->name);
}
END_TEST

/* A plug-in that does not say that it knows narrow problems is not asked about them. */
START_TEST(only_narrow_plugins_are_asked)
{
    static const char *const names[] = {"torchao_mx_rceil", "vllm_fp8_group"};
    const char *folder = getenv("builddir");
    struct qb_problem p = problem_of(0);
    struct qb_device *device;
    char file[4096];

    for (int i = 0; i < 2; i++) {
        snprintf(file, sizeof file, "%s/tests/fake/.libs/%s.so", folder != NULL ? folder : ".",
                 i == 0 ? "narrow_peers" : "peers");
        if (access(file, R_OK) != 0) { /* a build without shared objects */
            return;
        }
        ck_assert_msg(qb_plugin_load(file) == QB_OK, "%s", qb_error_detail());
    }
    ck_assert_int_eq(qb_device_open(qb_backend_find("cpu"), 0, &device), QB_OK);
    for (int plain = 0; plain < 2; plain++) {
        for (int i = 0; i < 2; i++) {
            const struct qb_kernel *kernel;
            const enum qb_status status = qb_kernel_match(device, &p, names[i], &kernel);

            ck_assert_int_eq(status, i == plain ? QB_OK : QB_ERROR_UNSUPPORTED);
        }
        p.scale_format = QB_FORMAT_F32;
    }
    qb_device_close(device);
}
END_TEST

/* What is out of its range is refused, and named. */
START_TEST(members_out_of_range_are_refused)
{
    static const struct {
        struct qb_arithmetic arithmetic;
        const char *name;
    } wrong[] = {
        {{.nan_amax = 2}, "nan_amax"},
        {{.power_form = 2}, "power_form"},
        {{.e4m3_scale = 4}, "e4m3_scale"},
        {{.e4m3_value = 3}, "e4m3_value"},
        {{.zero_codes = 2}, "zero_codes"},
        {{.open_range = 2}, "open_range"},
        {{.divisor_floor = -1}, "divisor_floor"},
        {{.reserved[8] = 1}, "reserved"},
    };

    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        ck_assert_int_eq(qb_arithmetic_validate(&wrong[i].arithmetic), QB_ERROR_INVALID);
        ck_assert_msg(strstr(qb_error_detail(), wrong[i].name) != NULL, "%s: %s", wrong[i].name, qb_error_detail());
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("peers");
    TCase *same = patient_case("same");

    tcase_add_loop_test(same, peers_are_what_they_declare, 0, sizeof kernels / sizeof kernels[0]);
    tcase_add_test(same, only_narrow_plugins_are_asked);
    tcase_add_test(same, members_out_of_range_are_refused);
    suite_add_tcase(suite, same);
    return run_suite(suite);
}
