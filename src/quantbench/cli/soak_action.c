/* SPDX-License-Identifier: Apache-2.0 */
/* soak_action.c - --soak: the plan of a measurement, launched for hours. The files of --output are written again and
 * again meanwhile, so that no difference is lost, whatever becomes of this process. */
#include <config.h>

#include "base/inject.h"
#include "base/interrupt.h"
#include "base/memory_stream.h"
#include "cases/binding.h"
#include "cli/args.h"
#include "cli/case_list.h"
#include "cli/option_values.h"
#include "cli/soak_action.h"
#include "report/output.h"
#include "report/soak_report.h"
#include "schedule/recording.h"
#include "schedule/soak.h"

#include <stdlib.h>
#include <string.h>

/* A soak, and what it needs. */
struct task {
    struct settings settings; /* with all kernels, if none were chosen */
    struct machine machine;
    struct case_list list;
    struct plan plan;
    struct record record;
    struct soak soak;
    char *command;
};

static enum exit_code write_soak(const struct report_format *format, const void *what, FILE *stream)
{
    const struct task *task = what;
    const struct soak_report report = {&task->record, &task->soak};

    return format == report_format_find("text") ? soak_text(&report, stream) : soak_json(&report, stream);
}

/* Write the files of --output as the soak is now. */
static enum exit_code save(const void *context)
{
    struct task *task = (struct task *)(uintptr_t)context;
    enum exit_code code = recording_end(&task->record, interrupt_requested());

    return code == EXIT_OK ? output_write_with(&task->settings.reporting.outputs, write_soak, task) : code;
}

/* The same meanwhile. The soak goes on if that fails, and the next time may do better. */
static void save_meanwhile(const void *context)
{
    if (save(context) != EXIT_OK) {
        message_warning("--soak: the files could not be written; that is tried again within a minute or two");
    }
}

/* True if a shell would read WORD as something else. */
static bool needs_quotes(const char *word)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_=./:,+@%";

    return word[0] == '\0' || strspn(word, plain) < strlen(word);
}

/* The command that measures the same, for a shell; NULL if memory is short. */
static char *make_command(const struct command *command)
{
    struct memory_stream memory;

    if (!memory_stream_open(&memory)) {
        return NULL;
    }
    fputs("quantbench", memory.stream);
    for (size_t i = 0; i < command->measuring.count; i++) {
        const char *word = command->measuring.values[i];
        const bool quoted = needs_quotes(word);

        if (strncmp(word, "--seed=", strlen("--seed=")) == 0) {
            continue; /* the one of the soak is added to it */
        }
        fputs(quoted ? " '" : " ", memory.stream);
        for (; *word != '\0'; word++) {
            fputs(*word == '\'' ? "'\\''" : (char[]){*word, '\0'}, memory.stream);
        }
        fputs(quoted ? "'" : "", memory.stream);
    }
    if (!memory_stream_close(&memory)) {
        memory_stream_free(&memory);
        return NULL;
    }
    return memory.bytes;
}

/* Let all kernels run that can do a case, unless SWEEP chose some. */
static bool choose_kernels(struct sweep *sweep)
{
    return sweep->kernels.count > 0 || names_add("soak", "*", &sweep->kernels);
}

/* Open the device, and make the plan. */
static enum exit_code prepare(struct task *task)
{
    struct settings *settings = &task->settings;
    enum exit_code code = machine_open(&settings->place.devices, &task->machine);
    bool good = true;

    if (code == EXIT_OK && task->machine.device_count > 1) {
        message_error("--soak: expected one device; start a process for each, as quantbench-mpi does");
        return EXIT_USAGE;
    }
    if (code == EXIT_OK && settings->place.chose_huge_pages &&
        !machine_set_huge_pages(&task->machine, settings->place.huge_pages)) {
        message_error("--hugepages: %s; the device is %s", qb_error_detail(), task->machine.devices[0].info.id);
        return EXIT_USAGE;
    }
    if (code == EXIT_OK) {
        binding_begin(&settings->place, &task->machine);
        code = case_list_open(settings, &task->list);
    }
    for (size_t i = 0; i < task->list.count; i++) {
        good = good && choose_kernels(&task->list.values[i].sweep);
    }
    if (code == EXIT_OK && !good) {
        return EXIT_CANNOT_RUN;
    }
    code = code == EXIT_OK
               ? plan_make(settings, &task->machine, NULL, task->list.count > 0 ? &task->list : NULL, &task->plan)
               : code;
    code = code == EXIT_OK ? recording_begin(settings, &task->machine, NULL, &task->plan, &task->record) : code;
    if (code == EXIT_OK) {
        task->soak = (struct soak){
            .wanted = settings->method.soak,
            .first_round = settings->method.soak_first,
            .case_launches = calloc(task->plan.count, sizeof *task->soak.case_launches),
            .command = task->command = make_command(&settings->command),
        };
        code = task->soak.case_launches != NULL && task->command != NULL
                   ? EXIT_OK
                   : message_out_of_memory("the list of cases", task->plan.count * sizeof(uint64_t));
    }
    return code;
}

/* Run it, and write the report. */
static enum exit_code run(struct task *task)
{
    const struct soak_run soak_run_of = {.method = &task->settings.method,
                                         .machine = &task->machine,
                                         .plan = &task->plan,
                                         .seed = task->settings.sweep.seed,
                                         .expert_load = (enum expert_load)task->settings.sweep.expert_load,
                                         .chose_dist = args_has(&task->settings.command, "dist"),
                                         .soak = &task->soak,
                                         .save = save_meanwhile,
                                         .context = task};
    enum exit_code code;

    if (inject_fault() != INJECT_NOTHING) {
        message_warning("QUANTBENCH_INJECT is %s: a fault is injected", inject_text());
    }
    soak_run(&soak_run_of);
    if (interrupt_requested()) {
        message_note("interrupted: what was done until then is reported");
    }
    task->soak.has_ended = true;
    code = save(task);
    code = message_worse(code, write_soak(task->settings.reporting.format, task, stdout));
    return message_worse(code, task->soak.code);
}

enum exit_code soak_action(const struct settings *settings)
{
    struct task task = {.settings = *settings};
    struct names all = {0};
    enum exit_code code = EXIT_OK;

    if (settings->sweep.kernels.count == 0) {
        code = names_add("soak", "*", &all) ? EXIT_OK : EXIT_CANNOT_RUN;
        task.settings.sweep.kernels = all;
    }
    code = code == EXIT_OK ? prepare(&task) : code;
    code = code == EXIT_OK ? run(&task) : code;
    names_free(&all);
    free(task.command);
    free(task.soak.case_launches);
    record_free(&task.record);
    plan_free(&task.plan);
    case_list_free(&task.list);
    machine_close(&task.machine);
    return code;
}
