/* SPDX-License-Identifier: Apache-2.0 */
/* dry_run.c - what a run would do and need. The cases and their memory are those of the run itself; the time is a guess
 * from the device's data sheet, or from what a common CPU does. */
#include <config.h>

#include "base/document.h"
#include "base/saturate.h"
#include "report/describe.h"
#include "report/fold.h"
#include "cli/dry_run.h"
#include "measure/bench.h"
#include "base/interrupt.h"
#include "report/report.h"
#include "model/sizes.h"
#include "model/problem_text.h"

#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define SCHEMA_VERSION 1

/* Bytes per second where the device does not say. */
#define COMMON_BANDWIDTH 10e9
/* The same for memory that is new, which the system clears first, and for the comparison of what launches wrote. */
#define FRESH_BANDWIDTH   2.5e9
#define COMPARE_BANDWIDTH 2e9
/* Seconds that a launch takes at least, that a sample lasts at least, and that the proof of a case takes at least. */
#define LAUNCH_TIME 2e-6
#define SAMPLE_TIME 500e-6
#define PROOF_TIME  0.1
/* Seconds that the host needs for an element: to make it; to compute the reference's code, and to compare; to compute
 * its value, where the operation is another than quantization; and in each round to ask about it. */
#define MAKE_TIME   30e-9
#define VERIFY_TIME 50e-9
#define VALUE_TIME  150e-9
#define ASK_TIME    4e-9
/* The same for the bounds check of a kernel of others. */
#define BOUNDS_TIME 150e-9

/* What one case needs. */
struct need {
    bool fits;             /* as far as that is known */
    bool known;            /* how much memory the device has free */
    uint64_t host_bytes;   /* memory of the host, without the device's if that is the CPU */
    uint64_t device_bytes; /* memory of the device */
    double seconds;
};

static double sum(uint64_t a, uint64_t b)
{
    return (double)a + (double)b;
}

/* Seconds before the first visit: data, the reference, and the proof. */
static double guess_preparation(const struct method *method, const struct plan_case *plan_case)
{
    const struct qb_problem *problem = &plan_case->problem;
    const double bounds = plan_case->about->plugin != NULL ? BOUNDS_TIME : 0;
    const double elements = (double)problem->tokens * (double)problem->hidden;
    const double values = problem->operation != QB_OPERATION_QUANTIZE ? VALUE_TIME : 0;

    return elements * (MAKE_TIME + (method->verify ? VERIFY_TIME + values + bounds : 0)) +
           (method->verify ? PROOF_TIME : 0);
}

/* Seconds to fill all sets, and the memory of the ceiling, in each of ROUNDS; or once, and to launch into each set that
 * is kept. */
static double guess_filling(const struct result *result, double launch, double rounds)
{
    const double once = 2 * (double)result->found.rotated_bytes / FRESH_BANDWIDTH;

    return bench_keeps_sets(result) ? once + rounds * launch * result->found.sets : rounds * once;
}

/* Seconds that the questions of all rounds take, and the comparison of what their samples wrote. */
static double guess_checks(const struct method *method, const struct result *result)
{
    const struct qb_problem *p = &result->plan_case->problem;
    const double rounds = fmin((double)method->rounds, (double)method->num_iters);
    const double sets = bench_has_windows(result) ? fmin(result->found.sets, ceil((double)method->num_iters / rounds))
                                                  : (double)result->found.sets;

    return !method->verify ? 0
                           : rounds * ((double)p->tokens * (double)p->hidden * ASK_TIME +
                                       sets * (double)result->found.bytes.written / COMPARE_BANDWIDTH);
}

static double guess_seconds(const struct method *method, const struct result *result)
{
    const struct plan_case *c = result->plan_case;
    const double bandwidth = c->device->info.peak_bandwidth > 0 ? c->device->info.peak_bandwidth : COMMON_BANDWIDTH;
    const double launch = LAUNCH_TIME + sum(result->found.bytes.read, result->found.bytes.written) / bandwidth;
    const double sample = fmax(launch * (bench_has_windows(result) ? 1 : result->found.sets), SAMPLE_TIME);
    const double samples = (double)(method->num_warmup_iters + method->num_iters);
    const double before = guess_preparation(method, c);
    /* Ceilings take three quarters as many samples. */
    const double rounds = fmin((double)method->rounds, (double)method->num_iters);
    const double visits =
        sample * samples * 1.75 + guess_checks(method, result) + guess_filling(result, launch, rounds);

    if (method->profile) {
        return before + launch;
    }
    /* With a precision it takes as long as it takes, up to the limit. */
    return before + fmin(method->precision > 0 ? method->timeout : method->max_time, visits);
}

static struct need find_need(struct bench *bench, size_t index)
{
    const struct result *result = &bench->results[index];

    return (struct need){
        .fits = bench_fits(bench, index),
        .known = machine_memory_free(result->plan_case->device) != QB_MEMORY_UNKNOWN,
        .device_bytes = result->found.rotated_bytes,
        .host_bytes = bench_host_bytes(bench, index),
        .seconds = guess_seconds(bench->method, result),
    };
}

/* The widths of the columns that tell the cases apart; 0: the column is left out. */
static void choose_columns(const struct record *record, int widths[FIRST_RESULT])
{
    for (enum column i = DEVICE; i < FIRST_RESULT; i++) {
        widths[i] = describe_varies(record, i) ? (int)describe_width(record, i) : 0;
    }
}

/* What all cases have in common. */
static void print_common(const struct record *record)
{
    const int width = fold_width(stdout);
    char text[DESCRIBE_SIZE];

    if (!describe_varies(record, DEVICE)) {
        printf("device    ");
        fold_print(describe_device(record->cases[0].device, text), 10, 10, width, stdout);
        putchar('\n');
    }
    printf("input     %s\nall       ", describe_input(record, text));
    fold_print(describe_common(record, text), 10, 10, width, stdout);
    printf("\n\n");
}

static void print_cells(const int widths[FIRST_RESULT], const struct record_case *c)
{
    char text[DESCRIBE_SIZE];

    for (enum column i = DEVICE; i < FIRST_RESULT; i++) {
        if (widths[i] > 0) {
            printf(describe_is_number(i) ? "%*s  " : "%-*s  ", widths[i],
                   c != NULL ? describe_cell(c, i, text) : describe_head(i));
        }
    }
}

static void print_head(const int widths[FIRST_RESULT])
{
    print_cells(widths, NULL);
    printf("%9s %9s %9s %8s\n", "moved MB", "device MB", "host MB", "guess s");
}

static void print_case(const int widths[FIRST_RESULT], const struct record_case *c, const struct need *need)
{
    print_cells(widths, c);
    printf("%9.3f %9.1f %9.1f %8.2f%s\n", sum(c->found.bytes.read, c->found.bytes.written) * 1e-6,
           (double)need->device_bytes * 1e-6, (double)need->host_bytes * 1e-6, need->seconds,
           !need->fits    ? "  does not fit"
           : !need->known ? "  fits or not, unknown"
                          : "");
}

/* Set TENSOR to that of ROLE; false if PROBLEM lacks it. */
static bool find_tensor(const struct qb_problem *problem, int role, struct qb_tensor_info *tensor)
{
    *tensor = (struct qb_tensor_info){.size = sizeof *tensor};
    return qb_problem_tensor(problem, (enum qb_role)role, tensor) == QB_OK && tensor->present;
}

/* The tensors of one case: their bytes are those that are moved. */
static void print_tensors(const struct qb_problem *problem)
{
    printf("\n%-12s %-8s %17s %9s\n", "tensor", "type", "elements", "moved MB");
    for (int role = 0; role < QB_ROLE_COUNT; role++) {
        struct qb_tensor_info tensor;
        char shape[48];

        if (find_tensor(problem, role, &tensor)) {
            snprintf(shape, sizeof shape, "%" PRIu64 " x %" PRIu64, tensor.rows, tensor.cols);
            printf("%-12s %-8s %17s %9.3f  %s\n", qb_role_name((enum qb_role)role), qb_format_info(tensor.format)->name,
                   shape, (double)tensor.traffic * 1e-6, tensor.read ? "read" : "written");
        }
    }
    putchar('\n');
}

static json_t *tensors_to_json(const struct qb_problem *problem)
{
    json_t *tensors = json_array();

    for (int role = 0; role < QB_ROLE_COUNT; role++) {
        struct qb_tensor_info tensor;

        if (find_tensor(problem, role, &tensor)) {
            document_append(&tensors,
                            json_pack("{s:s, s:s, s:I, s:I, s:I, s:b, s:b}", "role", qb_role_name((enum qb_role)role),
                                      "type", qb_format_info(tensor.format)->name, "rows", (json_int_t)tensor.rows,
                                      "columns", (json_int_t)tensor.cols, "bytes_moved", (json_int_t)tensor.traffic,
                                      "read", tensor.read, "written", tensor.written));
        }
    }
    return tensors;
}

static json_t *case_to_json(const struct record_case *c, const struct need *need)
{
    char granularity[64];
    json_t *object;

    problem_granularity_text(&c->problem, granularity, sizeof granularity);
    object = json_pack(
        "{s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:f}", "device", c->device->id, "kernel",
        c->kernel, "dtype", qb_format_info(c->problem.input)->name, "quant_dtype",
        qb_format_info(c->problem.output)->name, "scale", qb_scaling_name(c->problem.scaling), "granularity",
        granularity, "num_tokens", (json_int_t)c->problem.tokens, "hidden_size", (json_int_t)c->problem.hidden,
        "bytes_read", (json_int_t)c->found.bytes.read, "bytes_written", (json_int_t)c->found.bytes.written,
        "device_memory_bytes", (json_int_t)need->device_bytes, "host_memory_bytes", (json_int_t)need->host_bytes,
        "fits", need->known ? json_boolean(need->fits) : json_null(), "guessed_seconds", need->seconds);
    report_put_details(&object, &c->problem);
    document_put(&object, "tensors", tensors_to_json(&c->problem));
    return object;
}

/* What all cases need that were looked at. */
struct total {
    size_t cases;
    uint64_t device_bytes, host_bytes; /* of the case that needs most */
    double seconds;
};

static void add_need(struct total *total, const struct need *need)
{
    total->cases++;
    total->device_bytes = need->device_bytes > total->device_bytes ? need->device_bytes : total->device_bytes;
    total->host_bytes = need->host_bytes > total->host_bytes ? need->host_bytes : total->host_bytes;
    total->seconds += need->seconds;
}

/* Look at each case, until a signal ends it: print it as text, or append it to CASES if that is not NULL. */
static enum exit_code look_at_cases(struct bench *bench, struct record *record, json_t **cases, struct total *total)
{
    enum exit_code code = EXIT_OK;
    int widths[FIRST_RESULT];

    if (cases == NULL) {
        print_common(record);
        choose_columns(record, widths);
        print_head(widths);
    }
    for (size_t i = 0; i < bench->count && !interrupt_requested(); i++) {
        struct need need = find_need(bench, i);

        record->cases[i].found.bytes = bench->results[i].found.bytes;
        code = need.fits ? code : EXIT_CANNOT_RUN;
        add_need(total, &need);
        if (cases == NULL) {
            print_case(widths, &record->cases[i], &need);
        } else {
            document_append(cases, case_to_json(&record->cases[i], &need));
        }
    }
    if (cases == NULL && bench->count == 1) {
        print_tensors(&record->cases[0].problem);
    }
    return code;
}

static void print_total(const struct plan *plan, const struct total *total)
{
    char of[32] = "", text[DESCRIBE_SIZE];

    if (total->cases < plan->count) {
        snprintf(of, sizeof of, " of %zu", plan->count);
    }
    snprintf(text, sizeof text, "%zu%s case%s, at most %.1f MB of the device and %.1f MB of the host, roughly %.0f s",
             total->cases, of, plan->count == 1 ? "" : "s", (double)total->device_bytes * 1e-6,
             (double)total->host_bytes * 1e-6, ceil(total->seconds));
    fold_print(text, 0, 0, fold_width(stdout), stdout);
    putchar('\n');
}

enum exit_code dry_run(const struct settings *settings, struct machine *machine, struct tensors *tensors,
                       const struct plan *plan, struct record *record)
{
    bool is_text = strcmp(settings->reporting.format->name, "text") == 0;
    json_t *cases = is_text ? NULL : json_array();
    struct total total = {.cases = 0};
    struct bench bench;
    enum exit_code code = bench_begin(&bench, settings, machine, tensors, plan);

    if (code == EXIT_OK) {
        code = look_at_cases(&bench, record, is_text ? NULL : &cases, &total);
    }
    bench_end(&bench);
    if (interrupt_requested()) {
        message_note("interrupted: the cases until then are reported");
    }
    if (is_text) {
        print_total(plan, &total);
        return code;
    }
    return document_print(json_pack("{s:s, s:I, s:o, s:f}", "schema", "quantbench-dry-run", "schema_version",
                                    (json_int_t)SCHEMA_VERSION, "cases", cases, "guessed_seconds", total.seconds),
                          stdout) == EXIT_OK
               ? code
               : EXIT_CANNOT_RUN;
}
