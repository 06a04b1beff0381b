/* SPDX-License-Identifier: Apache-2.0 */
/* check_calibration.c - static scales are those of the sorted elements, errors those of the reference's codes, and no
 * scale has less error than the one that is found. */
#include <config.h>

#include "base/interrupt.h"
#include "cli/args.h"
#include "cpu_machine.h"
#include "measure/calibration.h"
#include "run.h"

#include <math.h>
#include <signal.h>
#include <omp.h>
#include <string.h>
#include <unistd.h>

#define HIDDEN 48
#define FIRST  41 /* rows of the first dump */
#define ROWS   60 /* of both */
#define COUNT  (ROWS * HIDDEN)
/* Rows of both that have more than two chunks of elements, 2^18, and with an end that fills none. */
#define MANY_ROWS 12000

static struct machine machine;
static char folder[] = "/tmp/quantbench-calibration.XXXXXX", files[2][64];
static float values[MANY_ROWS * HIDDEN]; /* of the dumps, as they are in the files */
static size_t row_count = ROWS;
static double progress; /* the last that was shown */
static size_t progress_calls;
static double interrupt_after = 2; /* the progress after which a signal comes; 2: never */
/* What the last run found. */
static struct calibrated_tensor tensor;
static struct settings settings;

static void open_machine(void)
{
    open_cpu(&machine);
    ck_assert_ptr_nonnull(mkdtemp(folder));
    for (int i = 0; i < 2; i++) {
        snprintf(files[i], sizeof files[i], "%s/%d.npy", folder, i);
    }
}

static void close_machine(void)
{
    unlink(files[0]);
    unlink(files[1]);
    rmdir(folder);
    machine_close(&machine);
}

/* Write ROWS of VALUES from FIRST on into a file. */
static void write_dump(const char *file, const char *type, size_t first, size_t rows)
{
    FILE *stream = fopen(file, "w");
    char header[118];

    ck_assert_ptr_nonnull(stream);
    snprintf(header, sizeof header, "{'descr': '%s', 'fortran_order': False, 'shape': (%zu, %d), }", type, rows,
             HIDDEN);
    fprintf(stream, "\x93NUMPY\x01%c\x76%c%-117s\n", 0, 0, header);
    for (size_t i = first * HIDDEN; i < (first + rows) * HIDDEN; i++) {
        const uint32_t code = qb_format_encode(strcmp(type, "<f2") == 0 ? QB_FORMAT_F16 : QB_FORMAT_F32, values[i]);

        fwrite(&code, strcmp(type, "<f2") == 0 ? 2 : 4, 1, stream);
    }
    ck_assert_int_eq(fclose(stream), 0);
}

/* Make dumps of TYPE: sums of uniform numbers, with large ones in a column, and SHIFT added; IN_HALF: as F16 has them.
 */
static void make_dumps(const char *type, double shift, bool in_half)
{
    uint64_t state = test_seed();

    for (size_t i = 0; i < COUNT; i++) {
        double sum = 0;

        for (int k = 0; k < 6; k++) {
            sum += (double)(test_random(&state) >> 11) * 0x1p-53 - 0.5;
        }
        values[i] = (float)(sum * (i % HIDDEN == 7 ? 11 : 1) + shift);
        if (in_half) {
            values[i] = qb_format_decode(QB_FORMAT_F16, qb_format_encode(QB_FORMAT_F16, values[i]));
        }
    }
    write_dump(files[0], type, 0, FIRST);
    write_dump(files[1], type, FIRST, ROWS - FIRST);
}

static void watch_progress(void *about, double share)
{
    (void)about;
    ck_assert_msg(share >= progress && share <= 1, "%g after %g", share, progress);
    progress = share;
    progress_calls++;
    if (share > interrupt_after) {
        interrupt_after = 2;
        progress_calls = 0;
        raise(SIGTERM);
    }
}

/* Calibrate both dumps by METHODS for OUTPUT, with MORE, an option. */
static void calibrate_dumps(const char *methods, const char *output, const char *more)
{
    char calibrate[64], dtype[64], inputs[2][80];
    char *argv[] = {(char[]){"quantbench"},   calibrate,      dtype, inputs[0], inputs[1],
                    (char[]){"--dumps-of=x"}, (char[64]){""}, NULL};
    struct tensors tensors = {.count = 0};
    struct dump_sets sets;
    struct rating rating;
    const struct calibration_wishes wishes = {.sweep = &settings.sweep,
                                              .methods = &settings.calibrating.methods,
                                              .rating = &rating,
                                              .tensors = &tensors,
                                              .progress = watch_progress};

    snprintf(calibrate, sizeof calibrate, "--calibrate=%s", methods);
    snprintf(dtype, sizeof dtype, "--quant-dtype=%s", output);
    snprintf(inputs[0], sizeof inputs[0], "--input=%s", files[0]);
    snprintf(inputs[1], sizeof inputs[1], "--input=%s", files[1]);
    snprintf(argv[6], 64, "%s", more);
    optind = 0;
    ck_assert_int_eq(args_parse(7, argv, &settings), EXIT_OK);
    ck_assert_int_eq(tensors_open(&settings.sweep, TENSORS_TO_RATE, UINT64_MAX, &tensors), EXIT_OK);
    ck_assert_int_eq(dumps_group(&tensors, settings.calibrating.dumps_of, &sets), EXIT_OK);
    ck_assert_uint_eq(sets.count, 1);
    ck_assert_int_eq(rating_begin(&rating, &machine.devices[0], NULL, 0), EXIT_OK);
    progress = 0;
    progress_calls = 0;
    ck_assert_int_eq(calibration_run(&wishes, &sets.values[0], NULL, &tensor), EXIT_OK);
    rating_end(&rating);
    dumps_free(&sets);
    tensors_close(&tensors);
    args_free(&settings);
}

static int compare_floats(const void *a, const void *b)
{
    const float left = *(const float *)a, right = *(const float *)b;

    return (left > right) - (left < right);
}

/* The values, or their magnitudes, sorted. */
static void sort_values(float *sorted, bool magnitudes)
{
    for (size_t i = 0; i < COUNT; i++) {
        sorted[i] = magnitudes ? fabsf(values[i]) : values[i];
    }
    qsort(sorted, COUNT, sizeof *sorted, compare_floats);
}

/* The sum of the squared errors of the reference's codes by SCALE and ZERO_POINT. */
static double noise_of(const struct qb_problem *problem, float scale, int zero_point)
{
    static uint8_t codes[MANY_ROWS * HIDDEN];
    static uint8_t scales[MANY_ROWS * HIDDEN];
    const bool by_group = problem->tensor_scale != QB_TENSOR_SCALE_NONE;
    const bool is_packed = qb_format_info(problem->output)->bits == 4;
    struct qb_problem p = *problem;
    int8_t zero = (int8_t)zero_point;
    const struct qb_tensors tensors = {.size = sizeof tensors,
                                       .at = {[QB_ROLE_INPUT] = values,
                                              [QB_ROLE_CODES] = codes,
                                              [QB_ROLE_SCALES] = by_group ? (void *)scales : (void *)&scale,
                                              [QB_ROLE_TENSOR_SCALE] = &scale,
                                              [QB_ROLE_ZERO_POINTS] = &zero}};
    double noise = 0;

    p.input = QB_FORMAT_F32;
    p.tokens = row_count;
    p.hidden = HIDDEN;
    ck_assert_int_eq(qb_reference_run(&p, &tensors), QB_OK);
    for (size_t i = 0; i < row_count * HIDDEN; i++) {
        const double factor =
            by_group ? (double)qb_format_decode(QB_FORMAT_E4M3, scales[i / p.group]) * (double)scale : (double)scale;
        const uint32_t code = is_packed ? codes[i / 2] >> i % 2 * 4 & 0xFu : codes[i];
        const double error = ((double)qb_format_decode(p.output, code) - zero_point) * factor - (double)values[i];

        noise += error * error;
    }
    return noise;
}

/* What WAY says of itself is what the reference makes of its scale. */
static void check_noise(const struct calibrated_way *way, const char *what)
{
    const double noise = noise_of(&way->problem, way->scale, way->zero_point);

    ck_assert_msg(fabs(way->quality.noise - noise) <= 1e-11 * noise, "%s: noise %.17g, not %.17g", what,
                  way->quality.noise, noise);
}

START_TEST(amax_and_percentiles)
{
    static const struct {
        const char *output;
        float largest;
    } outputs[] = {{"fp8", 448}, {"e5m2", 57344}, {"int8", 127}};
    static const char *const types[] = {"<f2", "<f4"};
    float sorted[COUNT];

    for (size_t t = 0; t < 2; t++) {
        make_dumps(types[t], 0.25, t == 0);
        sort_values(sorted, true);
        for (size_t i = 0; i < sizeof outputs / sizeof outputs[0]; i++) {
            calibrate_dumps("amax,percentile:99.9,percentile:50", outputs[i].output, "--granularity=tensor");
            ck_assert_uint_eq(tensor.way_count, 5);
            /* 2880 elements: 2.88 and 1440 of them are beyond. */
            ck_assert(tensor.ways[0].scale == sorted[COUNT - 1] / outputs[i].largest);
            ck_assert(tensor.ways[1].scale == sorted[COUNT - 1 - 2] / outputs[i].largest);
            ck_assert(tensor.ways[2].scale == sorted[COUNT - 1 - 1440] / outputs[i].largest);
            for (size_t k = 0; k < 3; k++) {
                check_noise(&tensor.ways[k], outputs[i].output);
            }
            ck_assert(tensor.ways[3].method.source == CALIBRATION_DYNAMIC &&
                      tensor.ways[0].loss == tensor.ways[3].quality.snr - tensor.ways[0].quality.snr &&
                      tensor.ways[1].token_loss == tensor.ways[4].quality.snr - tensor.ways[1].quality.snr);
            calibration_free_tensor(&tensor);
        }
    }
}
END_TEST

START_TEST(zero_points)
{
    float sorted[COUNT];
    const float *const ends[2][2] = {{&sorted[0], &sorted[COUNT - 1]}, {&sorted[14], &sorted[COUNT - 1 - 14]}};

    make_dumps("<f4", 1, false);
    sort_values(sorted, false);
    calibrate_dumps("amax,percentile:99", "int8", "--asymmetric"); /* 1 % of 2880 is 28.8, at both ends 14.4 */
    for (size_t i = 0; i < 2; i++) {
        const struct calibrated_way *const way = &tensor.ways[i];
        const float scale = (*ends[i][1] - *ends[i][0]) / 255;

        ck_assert_msg(way->scale == scale, "%a, not %a", (double)way->scale, (double)scale);
        ck_assert_int_eq(way->zero_point, (int)nearbyintf(-128 - *ends[i][0] / scale));
        check_noise(way, "asymmetric");
    }
    calibration_free_tensor(&tensor);
}
END_TEST

/* No scale of a grid of another step has less error than the one that is found, by more than a grid can miss. */
static void check_least(const char *output, const char *more)
{
    const struct calibrated_way *way;

    calibrate_dumps("mse,amax", output, more);
    way = &tensor.ways[0];
    check_noise(way, output);
    ck_assert(way->quality.noise <= tensor.ways[1].quality.noise);
    for (int i = 0; i <= 200; i++) {
        const float scale = tensor.ways[1].scale * (float)(1 - i / 250.0);
        const double noise = noise_of(&way->problem, scale, way->zero_point);

        ck_assert_msg(way->quality.noise <= noise * 1.005, "%s %s: %g of the amax has %.9g, what was found %.9g",
                      output, more, 1 - i / 250.0, noise, way->quality.noise);
    }
    calibration_free_tensor(&tensor);
}

START_TEST(least_error)
{
    static const char *const types[] = {"<f2", "<f4"};

    for (size_t t = 0; t < 2; t++) {
        make_dumps(types[t], 0, t == 0);
        check_least("int8", "--granularity=tensor");
        check_least("fp8", "--granularity=tensor");
        check_least("e5m2", "--granularity=tensor");
        check_least("e2m1", "--granularity=tensor");
        check_least("int4", "--granularity=tensor");
        check_least("nvfp4", "--granularity=group:16");
        make_dumps(types[t], 0.5, t == 0);
        check_least("int8", "--asymmetric");
    }
}
END_TEST

/* The least noise of all tensor scales: at each step of a fine grid, from that of a fourth of the data's range to that
 * of four times it. */
static double least_of_tensor_scales(const struct qb_problem *problem, float whole)
{
    double least = INFINITY;

    for (int i = -2 * 300; i <= 2 * 300; i++) {
        least = fmin(least, noise_of(problem, whole * (float)exp2(i / 300.0), 0));
    }
    return least;
}

/* Groups adapt to the tensor scale, so that the error is jagged: what is found is near the least of all there are. */
START_TEST(least_error_of_tensor_scales)
{
    for (int t = 0; t < 2; t++) {
        uint64_t state = test_seed() + (uint64_t)t;
        const struct calibrated_way *way;
        double least;

        make_dumps("<f4", 0, false);
        for (size_t i = 0; i < COUNT; i++) {
            const double uniform = (double)(test_random(&state) >> 11) * 0x1p-53 + 0x1p-54;

            /* Some are heavy tails; others have small groups beside large ones. */
            values[i] *= t == 0 ? (float)-log(uniform) : i / 16 % 2 == 0 ? 0x1p-9F : 1;
        }
        write_dump(files[0], "<f4", 0, FIRST);
        write_dump(files[1], "<f4", FIRST, ROWS - FIRST);
        calibrate_dumps("mse,amax", "nvfp4", "--granularity=group:16");
        way = tensor.ways;
        check_noise(way, "nvfp4");
        least = least_of_tensor_scales(&way->problem, tensor.ways[1].scale);
        ck_assert_msg(10 * log10(way->quality.noise / least) <= 0.05, "%d: %.9g, and the least is %.9g", t,
                      way->quality.noise, least);
        calibration_free_tensor(&tensor);
    }
}
END_TEST

/* No range of pairs of ends has less error than the one that is found. */
static void check_least_of_ends(const char *what)
{
    static const double shares[] = {0, 0.01, 0.03, 0.06, 0.1, 0.2, 0.4, 0.6, 0.8, 0.9, 1};
    const size_t count = sizeof shares / sizeof shares[0];
    const struct calibrated_way *way;

    calibrate_dumps("mse,amax", "int8", "--asymmetric");
    way = &tensor.ways[0];
    check_noise(way, what);
    for (size_t i = 0; i < count * count; i++) {
        const float low = fminf(tensor.low, 0) * (float)shares[i / count];
        const float high = fmaxf(tensor.high, 0) * (float)shares[i % count], scale = (high - low) / 255;
        double noise;

        if (scale > 0) {
            noise = noise_of(&way->problem, scale, (int)nearbyintf(-128 - low / scale));
            ck_assert_msg(way->quality.noise <= noise * 1.005, "%s: from %g to %g has %.9g, what was found %.9g", what,
                          (double)low, (double)high, noise, way->quality.noise);
        }
    }
    calibration_free_tensor(&tensor);
}

/* Data that are at one side of 0, with an outlier at the other or at the same. */
START_TEST(least_error_of_ends)
{
    static const float outliers[] = {-12.8F, -3, 60};

    for (size_t k = 0; k < sizeof outliers / sizeof outliers[0]; k++) {
        for (int side = 1; side >= -1; side -= 2) {
            make_dumps("<f2", 0, true);
            for (size_t i = 0; i < COUNT; i++) {
                const float magnitude = i % HIDDEN == 7 ? fabsf(values[i]) / 11 : fabsf(values[i]);

                values[i] = (float)side * (i % 5 == 0 ? -magnitude / 16 : magnitude);
            }
            values[COUNT / 2] = (float)side * outliers[k];
            for (size_t i = 0; i < COUNT; i++) {
                values[i] = qb_format_decode(QB_FORMAT_F16, qb_format_encode(QB_FORMAT_F16, values[i]));
            }
            write_dump(files[0], "<f2", 0, FIRST);
            write_dump(files[1], "<f2", FIRST, ROWS - FIRST);
            check_least_of_ends(side > 0 ? "positive" : "negative");
        }
    }
}
END_TEST

/* Make dumps of MANY_ROWS of F32. */
static void make_many(void)
{
    uint64_t state = test_seed();

    row_count = MANY_ROWS;
    for (size_t i = 0; i < MANY_ROWS * (size_t)HIDDEN; i++) {
        const double uniform = (double)(test_random(&state) >> 11) * 0x1p-52 - 1;

        values[i] = (float)(uniform * uniform * uniform * (double)(1 + i / 100000));
    }
    write_dump(files[0], "<f4", 0, FIRST);
    write_dump(files[1], "<f4", FIRST, MANY_ROWS - FIRST);
}

/* Several chunks of elements, and parts of these; those of the last ones are the largest. */
START_TEST(many_elements)
{
    static float sorted[MANY_ROWS * HIDDEN];
    const size_t count = MANY_ROWS * (size_t)HIDDEN;
    struct calibrated_way first = {.scale = 0};

    make_many();
    for (size_t i = 0; i < count; i++) {
        sorted[i] = fabsf(values[i]);
    }
    qsort(sorted, count, sizeof *sorted, compare_floats);
    for (int threads = 1; threads <= 5; threads += 4) {
        omp_set_num_threads(threads);
        calibrate_dumps("mse,percentile:99,amax", "e2m1", "--granularity=tensor");
        first = threads == 1 ? tensor.ways[0] : first;
        ck_assert(tensor.ways[0].scale == first.scale && tensor.ways[0].quality.noise == first.quality.noise);
        ck_assert(tensor.ways[1].scale == sorted[count - 1 - count / 100] / 6);
        ck_assert(tensor.ways[2].scale == sorted[count - 1] / 6);
        for (int i = 0; i < 3; i++) {
            check_noise(&tensor.ways[i], "many elements");
        }
        for (int i = -3; i <= 3 && threads == 1; i++) {
            const double noise = noise_of(&first.problem, first.scale * (float)(1 + i * 0.02), 0);

            ck_assert_msg(first.quality.noise <= noise * 1.0001, "%d: %.9g, what was found %.9g", i, noise,
                          first.quality.noise);
        }
        calibration_free_tensor(&tensor);
    }
    row_count = ROWS;
}
END_TEST

/* The ranges of percentiles are found once for all formats. */
START_TEST(percentiles_of_several_formats)
{
    static const float largest[] = {127, 448};
    float sorted[COUNT];

    make_dumps("<f4", 0.25, false);
    sort_values(sorted, true);
    calibrate_dumps("percentile:99.9,percentile:50", "int8,fp8", "--granularity=tensor");
    ck_assert_uint_eq(tensor.way_count, 8);
    for (size_t i = 0; i < 2; i++) {
        ck_assert(tensor.ways[4 * i].scale == sorted[COUNT - 1 - 2] / largest[i]);
        ck_assert(tensor.ways[4 * i + 1].scale == sorted[COUNT - 1 - 1440] / largest[i]);
    }
    calibration_free_tensor(&tensor);
}
END_TEST

/* The range of a scale with a zero point has 0. */
START_TEST(range_of_one_side)
{
    make_dumps("<f4", 0, false);
    for (size_t i = 0; i < COUNT; i++) {
        values[i] = fabsf(values[i]) + 1;
    }
    write_dump(files[0], "<f4", 0, FIRST);
    write_dump(files[1], "<f4", FIRST, ROWS - FIRST);
    calibrate_dumps("all", "int8", "--asymmetric");
    for (size_t i = 0; i < 3; i++) {
        ck_assert(tensor.ways[i].low == 0 && tensor.ways[i].high > 1);
    }
    calibration_free_tensor(&tensor);
}
END_TEST

/* Progress never falls, and is shown while a scale is searched. */
START_TEST(progress_of_a_search)
{
    size_t calls;

    make_dumps("<f4", 0, false);
    calibrate_dumps("amax", "int8", "--granularity=tensor");
    calls = progress_calls;
    calibration_free_tensor(&tensor);
    calibrate_dumps("mse", "int8", "--granularity=tensor");
    ck_assert_uint_gt(progress_calls, calls + 4);
    ck_assert(progress == 1);
    calibration_free_tensor(&tensor);
}
END_TEST

/* A signal that comes in the midst of a dump ends the search there. The counts are a third of the way, and a ninth of
 * the rest is the first pass, in which the first dump is short. */
START_TEST(interrupt_within_a_dump)
{
    static const char *const outputs[] = {"int8", "nvfp4"};

    interrupt_install();
    make_many();
    interrupt_after = 1 / 3.0 + 0.001;
    calibrate_dumps("mse", outputs[_i], _i == 0 ? "--granularity=tensor" : "--granularity=group:16");
    ck_assert(interrupt_requested());
    ck_assert_uint_eq(progress_calls, 0);
    ck_assert(progress < 1 / 3.0 + 1 / 9.0);
    calibration_free_tensor(&tensor);
}
END_TEST

/* Values that are counted, and elements one by one: F32 has more bits than are told apart. */
START_TEST(counted_or_not)
{
    static const char *const types[] = {"<f2", "<f4"};
    float scales[2];
    double noises[2];

    for (size_t t = 0; t < 2; t++) {
        make_dumps(types[t], 0, true);
        calibrate_dumps("mse", "int8", "--granularity=tensor");
        scales[t] = tensor.ways[0].scale;
        noises[t] = tensor.ways[0].quality.noise;
        calibration_free_tensor(&tensor);
    }
    ck_assert_msg(scales[0] == scales[1] && fabs(noises[0] - noises[1]) <= 1e-12 * noises[0], "%a %a, %.17g %.17g",
                  (double)scales[0], (double)scales[1], noises[0], noises[1]);
}
END_TEST

START_TEST(any_number_of_threads)
{
    static const int threads[] = {1, 2, 5};
    static const char *const outputs[] = {"int8", "nvfp4"};
    struct calibrated_way first = {.scale = 0};

    make_dumps("<f4", 0, false);
    for (size_t o = 0; o < 2; o++) {
        for (size_t i = 0; i < 3; i++) {
            omp_set_num_threads(threads[i]);
            calibrate_dumps("mse", outputs[o], o == 0 ? "--granularity=tensor" : "--granularity=group:16");
            first = i == 0 ? tensor.ways[0] : first;
            ck_assert(tensor.ways[0].scale == first.scale && tensor.ways[0].quality.noise == first.quality.noise);
            calibration_free_tensor(&tensor);
        }
    }
}
END_TEST

/* NaN and infinities do not count, and are counted. */
START_TEST(not_finite)
{
    make_dumps("<f4", 0, false);
    values[3] = NAN;
    values[(FIRST + 1) * HIDDEN] = -INFINITY;
    values[9] = 5000;
    write_dump(files[0], "<f4", 0, FIRST);
    write_dump(files[1], "<f4", FIRST, ROWS - FIRST);
    calibrate_dumps("amax,percentile:100,mse", "int8", "--granularity=tensor");
    ck_assert_uint_eq(tensor.nan, 1);
    ck_assert_uint_eq(tensor.infinite, 1);
    ck_assert_uint_eq(tensor.finite, COUNT - 2);
    ck_assert_uint_eq(tensor.dumps[0].nan, 1);
    ck_assert_uint_eq(tensor.dumps[1].infinite, 1);
    ck_assert(tensor.dumps[0].amax == 5000 && tensor.high == 5000);
    ck_assert(tensor.ways[0].scale == 5000.0f / 127 && tensor.ways[1].scale == 5000.0f / 127);
    ck_assert(isfinite(tensor.ways[2].quality.noise) && tensor.ways[2].scale <= 5000.0f / 127);
    calibration_free_tensor(&tensor);
}
END_TEST

START_TEST(all_zero)
{
    memset(values, 0, sizeof values);
    write_dump(files[0], "<f2", 0, FIRST);
    write_dump(files[1], "<f2", FIRST, ROWS - FIRST);
    calibrate_dumps("all", "fp8", "--granularity=tensor");
    for (size_t i = 0; i < 3; i++) {
        ck_assert(tensor.ways[i].scale == 1 && tensor.ways[i].loss == 0);
    }
    ck_assert(calibration_is_zero(&tensor));
    calibration_free_tensor(&tensor);
    /* Most of it: the percentile is not a scale. */
    values[1] = 2;
    write_dump(files[0], "<f2", 0, FIRST);
    calibrate_dumps("percentile:99", "int8", "--granularity=tensor");
    ck_assert(tensor.ways[0].scale == 2.0f / 127);
    calibration_free_tensor(&tensor);
}
END_TEST

static void matches(const char *pattern, const char *text, const char *expected)
{
    char *name;

    ck_assert(dumps_match(pattern, text, &name));
    if (expected == NULL) {
        ck_assert_ptr_null(name);
    } else {
        ck_assert_str_eq(name, expected);
    }
    free(name);
}

START_TEST(patterns_of_names)
{
    matches("{}-*", "q-proj-12", "q-proj");
    matches("{}.[0-9]", "layers.0.q.3", "layers.0.q");
    matches("batch?-{}", "batch1-q", "q");
    matches("*-{}-*", "0-q-1", "q");
    matches("{}", "q", "q");
    matches("{}-*", "q", NULL);
    matches("x{}", "x", NULL);
    matches("{}*", "q-1", "q-1");
    matches("*{}", "q-1", "q-1");
    matches("q*{}", "q-1", "-1");
}
END_TEST

/* The time that a pattern takes does not grow with the cube of the length of a name. */
START_TEST(patterns_of_long_names)
{
    static char name[100000];

    memset(name, 'a', sizeof name - 3);
    matches("{}-*", name, NULL);
    memcpy(name + sizeof name - 3, "-1", 3);
    matches("b{}-*", name, NULL);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("calibration");
    TCase *tc = patient_case("scales");

    tcase_add_unchecked_fixture(tc, open_machine, close_machine);
    tcase_add_test(tc, amax_and_percentiles);
    tcase_add_test(tc, zero_points);
    tcase_add_test(tc, least_error);
    tcase_add_test(tc, least_error_of_tensor_scales);
    tcase_add_test(tc, least_error_of_ends);
    tcase_add_test(tc, many_elements);
    tcase_add_test(tc, percentiles_of_several_formats);
    tcase_add_test(tc, range_of_one_side);
    tcase_add_test(tc, progress_of_a_search);
    tcase_add_test(tc, counted_or_not);
    tcase_add_test(tc, any_number_of_threads);
    tcase_add_test(tc, not_finite);
    tcase_add_test(tc, all_zero);
    tcase_add_test(tc, patterns_of_names);
    tcase_add_test(tc, patterns_of_long_names);
    tcase_add_loop_test(tc, interrupt_within_a_dump, 0, 2);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
