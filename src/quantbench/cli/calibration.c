/* SPDX-License-Identifier: Apache-2.0 */
/* calibration.c - see calibration.h. */
#include <config.h>

#include "base/clock.h"
#include "base/interrupt.h"
#include "cases/machine.h"
#include "cases/quantization.h"
#include "check/oracle.h"
#include "cli/calibration.h"
#include "cli/calibration_report.h"
#include "cli/scale_file.h"
#include "cli/used_files.h"
#include "report/output.h"

#include <stdlib.h>
#include <string.h>

/* A run. */
struct run {
    const struct settings *settings;
    struct tensors tensors;
    struct dump_sets sets;
    struct calibration_given *given; /* one for each set; NULL: no file with scales */
    struct rating rating;
    struct calibrated_set calibration;
    double start;
    double elements, done; /* of all sets, and of those that are calibrated */
    const struct dump_set *set;
};

static double elements_of(const struct dump_set *set)
{
    return (double)set->rows * (double)set->dumps[0]->cols;
}

/* ---- Before ----------------------------------------------------------------------------------------------------- */

/* What a file of scales can be for: one way to quantize, and, to be written, one method. */
static enum exit_code check_file_options(const struct settings *settings)
{
    const struct calibrating *const c = &settings->calibrating;
    const size_t ways = quantization_count(&settings->sweep);

    if (c->save_scales == NULL && c->rate_scales == NULL) {
        return EXIT_OK;
    }
    if (ways > 1) {
        message_error("--%s: requires one way to quantize, and there are %zu; expected one --quant-dtype",
                      c->save_scales != NULL ? "save-scales" : "rate-scales", ways);
        return EXIT_USAGE;
    }
    if (c->save_scales != NULL && c->methods.count > 1) {
        message_error("--save-scales: requires one method, and there are %zu; expected one, such as --calibrate=mse",
                      c->methods.count);
        return EXIT_USAGE;
    }
    return c->save_scales != NULL ? output_check_file("save-scales", c->save_scales) : EXIT_OK;
}

/* Say what will be read, and how much memory that takes. */
static void announce(const struct run *run)
{
    uint64_t bytes = 0;

    for (size_t i = 0; i < run->tensors.count; i++) {
        bytes += run->tensors.items[i].bytes;
    }
    message_note(
        "%zu dump%s of %zu tensor%s, %.1f MB; one is in memory at a time, the largest of %.1f MB, with its codes",
        run->tensors.count, run->tensors.count == 1 ? "" : "s", run->sets.count, run->sets.count == 1 ? "" : "s",
        (double)bytes * 1e-6, (double)run->tensors.largest * 1e-6);
    if (run->sets.count > 1 && run->sets.count == run->tensors.count) {
        message_note("each is a tensor of its own; --dumps-of=NAME or a pattern makes them dumps of one");
    }
}

/* Find the sets, and the scales that are given for them. */
static enum exit_code open_sets(struct run *run, uint64_t memory_limit)
{
    const struct settings *const settings = run->settings;
    struct qb_problem p;
    enum exit_code code = tensors_open(&settings->sweep, TENSORS_TO_RATE, memory_limit, &run->tensors);

    code = code == EXIT_OK ? dumps_group(&run->tensors, settings->calibrating.dumps_of, &run->sets) : code;
    if (code != EXIT_OK) {
        return code;
    }
    if (settings->calibrating.save_scales != NULL && !scale_file_can_name(&run->sets)) {
        return EXIT_USAGE;
    }
    run->calibration.tensors = calloc(run->sets.count, sizeof *run->calibration.tensors);
    run->given = settings->calibrating.rate_scales != NULL ? calloc(run->sets.count, sizeof *run->given) : NULL;
    if (run->calibration.tensors == NULL || (settings->calibrating.rate_scales != NULL && run->given == NULL)) {
        return message_out_of_memory("the list of scales", run->sets.count * sizeof *run->calibration.tensors);
    }
    if (run->given == NULL) {
        return EXIT_OK;
    }
    qb_problem_init(&p);
    quantization_set(&settings->sweep, 0, &p);
    return scale_file_read(settings->calibrating.rate_scales, &run->sets, &p, memory_limit, run->given);
}

/* ---- The calibration -------------------------------------------------------------------------------------------- */

static void show_progress(void *about, double share)
{
    const struct run *const run = about;
    char where[LABEL_TEXT_SIZE + 32], title[LABEL_TEXT_SIZE];

    snprintf(where, sizeof where, "calibrating %.200s", label_text(title, run->set->name, strlen(run->set->name)));
    message_progress_eta(where, run->done + share * elements_of(run->set), run->elements, clock_seconds() - run->start);
}

/* True if tensor scales are saved as checkpoints have them that store inverses. */
static bool saves_inverses(const struct settings *settings)
{
    return settings->calibrating.save_scales != NULL && settings->calibrating.naming == NAMING_COMPRESSED_TENSORS;
}

static enum exit_code calibrate_sets(struct run *run)
{
    const struct calibration_wishes wishes = {.sweep = &run->settings->sweep,
                                              .methods = &run->settings->calibrating.methods,
                                              .rating = &run->rating,
                                              .tensors = &run->tensors,
                                              .are_inverses = saves_inverses(run->settings),
                                              .progress = show_progress,
                                              .about = run};
    enum exit_code code = EXIT_OK;

    run->start = clock_seconds();
    for (size_t i = 0; i < run->sets.count; i++) {
        run->elements += elements_of(&run->sets.values[i]);
    }
    for (size_t i = 0; i < run->sets.count && !interrupt_requested(); i++) {
        struct calibrated_tensor *const tensor = &run->calibration.tensors[run->calibration.count];
        enum exit_code one;

        run->set = &run->sets.values[i];
        show_progress(run, 0);
        one = calibration_run(&wishes, run->set, run->given != NULL ? &run->given[i] : NULL, tensor);
        run->done += elements_of(run->set);
        if (one == EXIT_OK && !interrupt_requested()) {
            run->calibration.count++;
        } else {
            calibration_free_tensor(tensor);
        }
        code = message_worse(code, one);
    }
    message_progress_end();
    run->calibration.interrupted = interrupt_requested();
    if (run->calibration.interrupted) {
        message_note("interrupted: the tensors until then are reported%s",
                     run->settings->calibrating.save_scales != NULL ? ", and no scales are saved" : "");
    }
    return code;
}

/* ---- After ------------------------------------------------------------------------------------------------------ */

static enum exit_code write_report(const struct report_format *format, const void *calibration, FILE *stream)
{
    return calibration_report_write(format, calibration, stream);
}

static enum exit_code write_scales(const void *what, FILE *stream)
{
    const struct run *const run = what;

    return scale_file_write(&run->calibration, run->settings->calibrating.naming, stream);
}

/* Report what was found; save the scales if that is all. */
static enum exit_code write_all(struct run *run, enum exit_code code)
{
    const struct settings *const settings = run->settings;
    const bool is_whole = code == EXIT_OK && !run->calibration.interrupted;

    if (run->calibration.count > 0) {
        code = message_worse(code, calibration_report_write(settings->reporting.format, &run->calibration, stdout));
        code = message_worse(code, output_write_with(&settings->reporting.outputs, write_report, &run->calibration));
    }
    if (settings->calibrating.save_scales == NULL) {
        return code;
    }
    if (!is_whole) {
        message_error("--save-scales: %s: not written, since tensors are missing", settings->calibrating.save_scales);
        return code != EXIT_OK ? code : EXIT_CANNOT_RUN;
    }
    return message_worse(code, output_write_file("save-scales", settings->calibrating.save_scales, write_scales, run));
}

enum exit_code calibrate_activations(const struct settings *settings)
{
    char *cpu[] = {(char[]){"cpu"}};
    const struct names devices = {1, cpu};
    struct run run = {.settings = settings};
    struct machine machine;
    enum exit_code code = calibration_check(&settings->sweep) ? check_file_options(settings) : EXIT_USAGE;

    code = code == EXIT_OK ? output_check(&settings->reporting.outputs) : code;
    code = code == EXIT_OK ? oracle_check() : code;
    if (code != EXIT_OK) {
        return code;
    }
    code = machine_open(&devices, &machine);
    code = code == EXIT_OK ? open_sets(&run, machine_memory_free(&machine.host)) : code;
    code = code == EXIT_OK ? used_files_check_tensors(settings, &run.tensors) : code;
    if (code == EXIT_OK) {
        announce(&run);
        code = rating_begin(&run.rating, &machine.devices[0], NULL, 0);
        code = code == EXIT_OK ? write_all(&run, calibrate_sets(&run)) : code;
        rating_end(&run.rating);
    }
    for (size_t i = 0; i < run.calibration.count; i++) {
        calibration_free_tensor(&run.calibration.tensors[i]);
    }
    free(run.calibration.tensors);
    free(run.given);
    dumps_free(&run.sets);
    tensors_close(&run.tensors);
    machine_close(&machine);
    return code;
}
