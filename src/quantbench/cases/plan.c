/* SPDX-License-Identifier: Apache-2.0 */
/* plan.c - the cross product of the swept options, with the kernels that run each combination. */
#include <config.h>

#include "base/nearest.h"
#include "cases/operations.h"
#include "cases/plan.h"
#include "cases/plugins.h"
#include "cases/quantization.h"
#include "cases/tensors.h"
#include "model/operation.h"
#include "model/problem_text.h"

#include <fnmatch.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static enum exit_code append(struct plan *plan, const struct plan_case *wanted)
{
    struct plan_case *larger = reallocarray(plan->cases, plan->count + 1, sizeof *larger);

    if (larger == NULL) {
        return message_out_of_memory("the list of cases", (plan->count + 1) * sizeof *larger);
    }
    larger[plan->count++] = *wanted;
    plan->cases = larger;
    return EXIT_OK;
}

/* How the launches of WANTED are made if it is asked for LAUNCH: what cannot be done is an error. */
static enum exit_code check_launch(const struct plan_case *wanted, enum launch_mode launch, enum process_state state)
{
    if (launch == LAUNCH_GRAPH && !wanted->device->has_graphs) {
        message_error("--launch=graph: device %s lacks graphs; expected stream or isolated", wanted->device->info.id);
        return EXIT_USAGE;
    }
    if (wanted->streams > 1 && device_is_cpu(wanted->device)) {
        message_error("--streams=%u: launches on device %s are synchronous; expected 1", wanted->streams,
                      wanted->device->info.id);
        return EXIT_USAGE;
    }
    if (wanted->streams > 1 && launch == LAUNCH_ISOLATED) {
        message_error("--streams=%u: conflicts with --launch=isolated, which launches one at a time; expected 1",
                      wanted->streams);
        return EXIT_USAGE;
    }
    if (state == STATE_SEVERAL_STREAMS && device_is_cpu(wanted->device)) {
        message_error("--process-state=%s: device %s lacks streams; requires a CUDA device", state_words[state],
                      wanted->device->info.id);
        return EXIT_USAGE;
    }
    return EXIT_OK;
}

/* Add WANTED with each way to measure it: states of the cache, ways to launch, numbers of streams. */
static enum exit_code add_case(const struct settings *settings, struct plan *plan, struct plan_case *wanted)
{
    enum exit_code code = EXIT_OK;

    for (size_t c = 0; c < settings->sweep.caches.count; c++) {
        wanted->cache = (enum cache_state)settings->sweep.caches.values[c];
        for (size_t s = 0; s < settings->sweep.streams.count; s++) {
            wanted->streams = (unsigned)settings->sweep.streams.values[s];
            wanted->launch = wanted->device->has_graphs ? LAUNCH_GRAPH : LAUNCH_STREAM;
            if (settings->method.profile) {
                wanted->launch = LAUNCH_PROFILE;
            }
            for (size_t l = 0; (l < settings->sweep.launches.count || l == 0) && code == EXIT_OK; l++) {
                if (settings->sweep.launches.count > 0) {
                    wanted->launch = (enum launch_mode)settings->sweep.launches.values[l];
                }
                code = check_launch(wanted, wanted->launch, settings->method.state);
                code = code == EXIT_OK ? append(plan, wanted) : code;
            }
        }
    }
    return code;
}

/* The option that kernels were asked for with, of two that exclude each other. */
static const char *kernels_option(const struct settings *settings)
{
    return settings->sweep.by_isa ? "--isa" : "--kernel";
}

/* True if the swept options have more than one combination, or a soak runs what there is. */
static bool is_sweep(const struct settings *settings)
{
    return settings->action == ACTION_SOAK || settings->sweep.num_tokens.count > 1 ||
           settings->sweep.hidden_sizes.count > 1 || settings->sweep.dtypes.count > 1 ||
           settings->sweep.dists.count > 1 || operations_count(&settings->sweep) > 1 ||
           quantization_count(&settings->sweep) > 1 || settings->place.devices.count > 1 ||
           settings->sweep.kernels.count > 1 || settings->sweep.threads.count > 1 || settings->sweep.caches.count > 1 ||
           settings->sweep.launches.count > 1 || settings->sweep.streams.count > 1 || settings->sweep.tensor != NULL;
}

/* Say that the CPU that WANTED names lacks the instruction set of the kernel PATTERN, and which it has. */
static enum exit_code no_isa(const struct plan_case *wanted, const char *pattern)
{
    static const char prefix[] = "cpu_";
    const size_t skipped = sizeof prefix - 1;
    char names[128] = "";

    if (!device_is_cpu(wanted->device)) {
        message_error("--isa: device %s is not a CPU; expected auto", wanted->device->info.id);
        return EXIT_USAGE;
    }
    for (size_t i = 0; i < catalog_count(); i++) {
        const char *name = catalog_at(i)->name;

        if (catalog_at(i)->plugin == NULL && strncmp(name, prefix, skipped) == 0 &&
            strchr(name + skipped, '_') == NULL) {
            const size_t length = strlen(names);

            snprintf(names + length, sizeof names - length, "%s%s", length > 0 ? ", " : "", name + skipped);
        }
    }
    message_error("--isa: device %s has no kernels for '%s'; expected auto or one of %s", wanted->device->info.id,
                  pattern + skipped, names);
    return EXIT_USAGE;
}

/* Say that PATTERN gives no kernel for the case, and what there would be. */
static enum exit_code no_kernel(const struct settings *settings, const struct plan_case *wanted, const char *pattern,
                                bool name_matched)
{
    const char *option = kernels_option(settings);
    const struct qb_backend *backend = qb_device_backend(wanted->device->handle);
    char problem[PROBLEM_TEXT_SIZE];
    char names[1024] = "", hint[NEAREST_HINT_SIZE];
    struct nearest nearest = {.text = pattern};

    if (!name_matched && settings->sweep.by_isa) {
        return no_isa(wanted, pattern);
    }
    for (size_t i = 0; i < catalog_count(); i++) {
        const struct kernel *kernel = catalog_at(i);

        if (kernel->backend == backend &&
            (!name_matched || (kernel->plugin == NULL && /* those are asked in a process of their own only */
                               qb_kernel_supports(kernel->handle, wanted->device->handle, &wanted->problem)))) {
            size_t length = strlen(names);

            snprintf(names + length, sizeof names - length, "%s%s", length > 0 ? ", " : "", kernel->name);
            nearest_try(&nearest, kernel->name);
        }
    }
    if (!name_matched) {
        message_error("--kernel: unknown kernel '%s' of device %s; expected one of %s%s", pattern,
                      wanted->device->info.id, names, nearest_hint(&nearest, hint));
        return EXIT_USAGE;
    }
    problem_text(&wanted->problem, problem, sizeof problem);
    if (is_sweep(settings)) {
        /* The other combinations are run; if there are none, plan_make() finds that. */
        message_warning("left out: kernel %s cannot run %s on device %s", pattern, problem, wanted->device->info.id);
        return EXIT_OK;
    }
    message_error("%s: '%s' cannot run %s on device %s; kernels that can: %s", option, pattern, problem,
                  wanted->device->info.id, names[0] != '\0' ? names : "none");
    return EXIT_CANNOT_RUN;
}

/* True if KERNEL supports WANTED. One that crashes over the question is an error, and left out. */
static bool is_supported(struct plan *plan, const struct plan_case *wanted, const struct kernel *kernel)
{
    char why[PLUGINS_WHY_SIZE];
    bool supported;

    if (kernel->operation != wanted->problem.operation) {
        return false;
    }
    if (kernel->handle != NULL) {
        return qb_kernel_supports(kernel->handle, wanted->device->handle, &wanted->problem);
    }
    supported = plugins_supports(kernel, &wanted->problem, why);
    if (why[0] != '\0') {
        message_error("kernel %s, asked what it supports: %s", kernel->name, why);
        plan->code = EXIT_CANNOT_RUN;
    }
    return supported;
}

/* Choose KERNEL for WANTED. A launch for a profiler is made here, because it looks at this process. */
static enum exit_code choose(const struct settings *settings, struct plan_case *wanted, const struct kernel *kernel)
{
    wanted->about = kernel;
    wanted->kernel = kernel->handle;
    if (kernel->handle == NULL && settings->method.profile && settings->action == ACTION_MEASURE) {
        if (!plugins_load_here(kernel->plugin, settings->foreign.kernel_timeout)) {
            return EXIT_CANNOT_RUN;
        }
        wanted->kernel = catalog_handle(kernel);
    }
    return EXIT_OK;
}

/* True if the name of KERNEL is what was asked for: it matches PATTERN, or is one of our kernels for the instruction
 * set PATTERN, which may have other words after it. */
static bool is_asked_for(const struct settings *settings, const char *pattern, const struct kernel *kernel)
{
    const size_t length = strlen(pattern);

    if (!settings->sweep.by_isa) {
        return fnmatch(pattern, kernel->name, 0) == 0;
    }
    return kernel->plugin == NULL && strncmp(kernel->name, pattern, length) == 0 &&
           (kernel->name[length] == '\0' || kernel->name[length] == '_');
}

/* Add WANTED once for each kernel that matches PATTERN and supports it; the first of an instruction set. */
static enum exit_code add_matching_kernels(const struct settings *settings, struct plan *plan, struct plan_case *wanted,
                                           const char *pattern)
{
    bool name_matched = false;
    size_t before = plan->count;

    for (size_t i = 0; i < catalog_count(); i++) {
        const struct kernel *kernel = catalog_at(i);
        enum exit_code code;

        if (kernel->backend != qb_device_backend(wanted->device->handle) || !is_asked_for(settings, pattern, kernel)) {
            continue;
        }
        name_matched = true;
        if (!is_supported(plan, wanted, kernel) || (settings->sweep.by_isa && plan->count > before)) {
            continue;
        }
        code = choose(settings, wanted, kernel);
        code = code == EXIT_OK ? add_case(settings, plan, wanted) : code;
        if (code != EXIT_OK) {
            return code;
        }
    }
    return plan->count > before ? EXIT_OK : no_kernel(settings, wanted, pattern, name_matched);
}

/* Say that no kernel of ours runs WANTED. Other combinations of a sweep are run. */
static enum exit_code no_best_kernel(const struct plan_case *wanted, bool is_sweep)
{
    char problem[PROBLEM_TEXT_SIZE];

    problem_text(&wanted->problem, problem, sizeof problem);
    if (is_sweep) {
        message_warning("left out: device %s lacks a kernel that can run %s", wanted->device->info.id, problem);
        return EXIT_OK;
    }
    message_error("device %s lacks a kernel that can run %s", wanted->device->info.id, problem);
    return EXIT_CANNOT_RUN;
}

/* Add WANTED with the best kernel, and then, for --self-test, with that once more, or, for --tune, with all others of
 * ours that support it. */
static enum exit_code add_best_and_others(const struct settings *settings, struct plan *plan, struct plan_case *wanted)
{
    const struct qb_kernel *best = NULL; /* link-time optimization sees a path on which it is not set */
    enum qb_status status = qb_kernel_match(wanted->device->handle, &wanted->problem, NULL, &best);
    enum exit_code code;

    if (status == QB_ERROR_UNSUPPORTED) {
        return no_best_kernel(wanted, is_sweep(settings));
    }
    if (status != QB_OK) {
        return message_status(wanted->device->info.id, status);
    }
    code = choose(settings, wanted, catalog_find(qb_kernel_name(best)));
    code = code == EXIT_OK ? add_case(settings, plan, wanted) : code;
    if (settings->comparing.self_test && code == EXIT_OK) {
        return add_case(settings, plan, wanted);
    }
    for (size_t i = 0; i < catalog_count() && settings->comparing.tune && code == EXIT_OK; i++) {
        const struct kernel *kernel = catalog_at(i);

        if (kernel->handle != best && kernel->plugin == NULL &&
            kernel->backend == qb_device_backend(wanted->device->handle) &&
            qb_kernel_supports(kernel->handle, wanted->device->handle, &wanted->problem)) {
            code = choose(settings, wanted, kernel);
            code = code == EXIT_OK ? add_case(settings, plan, wanted) : code;
        }
    }
    return code;
}

/* The first kernel that runs WANTED in one launch, or in several; NULL if there is none. Ours come first. */
static const struct kernel *find_fused(struct plan *plan, const struct plan_case *wanted, bool in_one_launch)
{
    for (size_t i = 0; i < catalog_count(); i++) {
        const struct kernel *kernel = catalog_at(i);

        if (kernel->backend == qb_device_backend(wanted->device->handle) &&
            (strstr(kernel->name, "unfused") == NULL) == in_one_launch && is_supported(plan, wanted, kernel)) {
            return kernel;
        }
    }
    return NULL;
}

/* Add WANTED in several launches, the baseline, and in one. */
static enum exit_code add_fused(const struct settings *settings, struct plan *plan, struct plan_case *wanted)
{
    enum exit_code code = EXIT_OK;

    for (int fused = 0; fused < 2 && code == EXIT_OK; fused++) {
        const struct kernel *kernel = find_fused(plan, wanted, fused);
        char problem[PROBLEM_TEXT_SIZE];

        if (kernel == NULL) {
            problem_text(&wanted->problem, problem, sizeof problem);
            message_error("--compare=fused: device %s lacks a kernel that can run %s in %s; it requires --op, and a "
                          "CUDA device or a plug-in",
                          wanted->device->info.id, problem, fused ? "one launch" : "several launches");
            return EXIT_CANNOT_RUN;
        }
        code = choose(settings, wanted, kernel);
        code = code == EXIT_OK ? add_case(settings, plan, wanted) : code;
    }
    return code;
}

/* Add WANTED with each kernel that was asked for, or with the best. */
static enum exit_code add_kernels(const struct settings *settings, struct plan *plan, struct plan_case *wanted)
{
    enum exit_code code = EXIT_OK;

    if (settings->comparing.fused) {
        return add_fused(settings, plan, wanted);
    }
    if (settings->sweep.kernels.count == 0) {
        return add_best_and_others(settings, plan, wanted);
    }
    for (size_t i = 0; i < settings->sweep.kernels.count && code == EXIT_OK; i++) {
        code = add_matching_kernels(settings, plan, wanted, settings->sweep.kernels.values[i]);
    }
    return code;
}

/* EXIT_OK if queues of DEVICE take THREADS threads; a build without OpenMP takes one. */
static enum exit_code check_threads(const struct device *device, unsigned threads)
{
    struct qb_queue *queue;
    enum qb_status status = qb_queue_create(device->handle, &queue);
    char what[32];

    if (status == QB_OK) {
        status = qb_queue_set_threads(queue, threads);
        qb_queue_destroy(queue);
    }
    snprintf(what, sizeof what, "--threads=%u", threads);
    return status == QB_OK ? EXIT_OK : message_status(what, status);
}

/* Add WANTED with each number of threads that was asked for; a CUDA device has no such thing. */
static enum exit_code add_threads(const struct settings *settings, struct plan *plan, struct plan_case *wanted)
{
    enum exit_code code = EXIT_OK;

    if (!device_is_cpu(wanted->device) || settings->sweep.threads.count == 0) {
        wanted->threads = device_is_cpu(wanted->device) ? wanted->device->info.units : 0;
        return add_kernels(settings, plan, wanted);
    }
    for (size_t i = 0; i < settings->sweep.threads.count && code == EXIT_OK; i++) {
        wanted->threads = (unsigned)settings->sweep.threads.values[i];
        code = check_threads(wanted->device, wanted->threads);
        if (code == EXIT_OK) {
            code = add_kernels(settings, plan, wanted);
        }
    }
    return code;
}

/* Add all ways to quantize one input. */
static enum exit_code add_quantizations(const struct settings *settings, struct plan *plan, struct plan_case *wanted)
{
    enum exit_code code = EXIT_OK;

    for (size_t i = 0; i < quantization_count(&settings->sweep) && code == EXIT_OK; i++) {
        enum qb_status status;

        quantization_set(&settings->sweep, i, &wanted->problem);
        if (!quantization_announce(&settings->sweep, i, &wanted->problem)) {
            continue;
        }
        status = qb_problem_validate(&wanted->problem);
        code = status == QB_OK
                   ? add_threads(settings, plan, wanted)
                   : message_status(settings->sweep.input_files.count == 0 ? "--num-tokens, --hidden-size" : "--input",
                                    status);
    }
    return code;
}

/* Add all operations on one input of COLUMNS, which are those of a file, or 0 if WANTED has its hidden size. */
static enum exit_code add_operations(const struct settings *settings, struct plan *plan, struct plan_case *wanted,
                                     uint64_t columns)
{
    enum exit_code code = EXIT_OK;

    for (size_t i = 0; i < operations_count(&settings->sweep) && code == EXIT_OK; i++) {
        operations_set(&settings->sweep, i, &wanted->problem);
        code = operations_check_input(&wanted->problem);
        if (code == EXIT_OK && columns > 0) {
            code = operations_set_columns(&wanted->problem, columns);
        }
        code = code == EXIT_OK ? operations_check_columns_of_heads(&wanted->problem, columns > 0) : code;
        code = code == EXIT_OK ? add_quantizations(settings, plan, wanted) : code;
    }
    return code;
}

/* Add all distributions of generated data of one size and type. */
static enum exit_code add_dists(const struct settings *settings, struct plan *plan, struct plan_case *wanted)
{
    enum exit_code code = EXIT_OK;

    for (size_t i = 0; i < settings->sweep.dists.count && code == EXIT_OK; i++) {
        wanted->dist = (enum input_dist)settings->sweep.dists.values[i];
        code = add_operations(settings, plan, wanted, 0);
    }
    return code;
}

/* Add all sizes and types of generated inputs. */
static enum exit_code add_generated(const struct settings *settings, struct plan *plan, struct plan_case *wanted)
{
    for (size_t t = 0; t < settings->sweep.num_tokens.count; t++) {
        wanted->problem.tokens = settings->sweep.num_tokens.values[t];
        for (size_t h = 0; h < settings->sweep.hidden_sizes.count; h++) {
            wanted->problem.hidden = settings->sweep.hidden_sizes.values[h];
            for (size_t d = 0; d < settings->sweep.dtypes.count; d++) {
                enum exit_code code;

                wanted->problem.input = (enum qb_format)settings->sweep.dtypes.values[d];
                code = add_dists(settings, plan, wanted);
                if (code != EXIT_OK) {
                    return code;
                }
            }
        }
    }
    return EXIT_OK;
}

/* Add all ways to quantize each of TENSORS. */
static enum exit_code add_tensors(const struct settings *settings, const struct tensors *tensors, struct plan *plan,
                                  struct plan_case *wanted)
{
    enum exit_code code = EXIT_OK;

    for (size_t i = 0; i < tensors->count && code == EXIT_OK; i++) {
        wanted->tensor = &tensors->items[i];
        wanted->problem.input = wanted->tensor->format;
        wanted->problem.tokens = wanted->tensor->rows;
        code = add_operations(settings, plan, wanted, wanted->tensor->cols);
    }
    return code;
}

/* Add the cases of LIST. */
static enum exit_code add_list(const struct settings *settings, const struct case_list *list, struct plan *plan,
                               struct plan_case *wanted)
{
    enum exit_code code = EXIT_OK;

    plan->served_tokens = list->tokens;
    for (size_t i = 0; i < list->count && code == EXIT_OK; i++) {
        struct settings one = *settings;

        one.sweep = list->values[i].sweep;
        qb_problem_init(&wanted->problem);
        wanted->listed = &list->values[i];
        code = add_generated(&one, plan, wanted);
        if (code != EXIT_OK) {
            message_error("%s: line %zu cannot run, as said above",
                          settings->sweep.cases_file != NULL ? settings->sweep.cases_file
                          : settings->sweep.serve != NULL    ? "--serve"
                                                             : "--soak",
                          list->values[i].line);
        }
    }
    return code;
}

enum exit_code plan_make(const struct settings *settings, const struct machine *machine, const struct tensors *tensors,
                         const struct case_list *list, struct plan *plan)
{
    bool any_cpu = false;
    enum exit_code code = EXIT_OK;

    *plan = (struct plan){.count = 0};
    for (size_t i = 0; i < machine->device_count; i++) {
        any_cpu = any_cpu || device_is_cpu(&machine->devices[i]);
    }
    if (settings->sweep.threads.count > 0 && !any_cpu) {
        message_error("--threads: only the CPU has threads to choose; the device is %s", machine->devices[0].info.id);
        return EXIT_USAGE;
    }
    for (size_t i = 0; i < machine->device_count && code == EXIT_OK; i++) {
        struct plan_case wanted = {.device = &machine->devices[i]};

        qb_problem_init(&wanted.problem);
        code = tensors != NULL ? add_tensors(settings, tensors, plan, &wanted)
               : list != NULL  ? add_list(settings, list, plan, &wanted)
                               : add_generated(settings, plan, &wanted);
    }
    plugins_end_questions();
    if (code == EXIT_OK && plan->count == 0) {
        message_error("%s%sthere is nothing to run", settings->sweep.kernels.count > 0 ? kernels_option(settings) : "",
                      settings->sweep.kernels.count > 0 ? ": " : "");
        return EXIT_CANNOT_RUN;
    }
    return code;
}

void plan_free(struct plan *plan)
{
    free(plan->cases);
    *plan = (struct plan){.count = 0};
}
