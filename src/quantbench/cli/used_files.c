/* SPDX-License-Identifier: Apache-2.0 */
/* used_files.c - see used_files.h. */
#include <config.h>

#include "cases/model_index.h"
#include "cli/used_files.h"
#include "report/overwrite.h"

#include <stdlib.h>

/* Files, as many as there is room for. */
struct list {
    struct used_file *files;
    size_t count;
};

static void add(struct list *list, const char *option, const char *path, bool is_written)
{
    if (path != NULL) {
        list->files[list->count++] = (struct used_file){
            .option = option,
            .path = path,
            .is_written = is_written,
            .has_folder = !is_written && model_index_is_model(path),
        };
    }
}

static void add_names(struct list *list, const char *option, const struct names *names)
{
    for (size_t i = 0; i < names->count; i++) {
        add(list, option, names->values[i], false);
    }
}

/* Single files that options name. */
#define SINGLE_FILES 9

static void add_written(struct list *list, const struct settings *settings)
{
    const struct reporting *const reporting = &settings->reporting;

    for (size_t i = 0; i < reporting->outputs.count; i++) {
        add(list, "output", reporting->outputs.values[i].file, true);
    }
    for (size_t i = 0; i < reporting->plots.count; i++) {
        add(list, "plot", reporting->plots.values[i].file, true);
    }
    add(list, "save-scales", settings->calibrating.save_scales, true);
    add(list, "save-baseline", settings->comparing.save_baseline, true);
    add(list, "journal", reporting->journal_file, true);
}

static void add_read(struct list *list, const struct settings *settings)
{
    add_names(list, "input", &settings->sweep.input_files);
    add_names(list, "plugin", &settings->foreign.plugins);
    add_names(list, "report", &settings->reporting.report_files);
    add_names(list, "fleet", &settings->reporting.fleet);
    add(list, "cases", settings->sweep.cases_file, false);
    add(list, "against", settings->sweep.against, false);
    add(list, "rate-scales", settings->calibrating.rate_scales, false);
    add(list, "baseline", settings->comparing.baseline_file, false);
    add(list, "expect", settings->reporting.expect, false);
    add(list, "resume", settings->reporting.resume_file, false);
}

/* Check those that are written, with those that are read, or, if TENSORS is not NULL, with the files of these. */
static enum exit_code check(const struct settings *settings, const struct tensors *tensors)
{
    const struct reporting *const reporting = &settings->reporting;
    const size_t room = reporting->outputs.count + reporting->plots.count + settings->sweep.input_files.count +
                        settings->foreign.plugins.count + reporting->report_files.count + reporting->fleet.count +
                        SINGLE_FILES + (tensors != NULL ? tensors->count + tensors->kept_count : 0);
    struct list list = {calloc(room, sizeof *list.files), 0};
    enum exit_code code;

    if (list.files == NULL) {
        return message_out_of_memory("the list of files", room * sizeof *list.files);
    }
    add_written(&list, settings);
    if (tensors == NULL) {
        add_read(&list, settings);
    }
    for (size_t i = 0; tensors != NULL && i < tensors->count; i++) {
        add(&list, "input", tensors->items[i].file, false);
    }
    for (size_t i = 0; tensors != NULL && i < tensors->kept_count; i++) {
        add(&list, "input", tensors->kept[i].file, false);
    }
    code = overwrite_check(list.files, list.count);
    free(list.files);
    return code;
}

enum exit_code used_files_check(const struct settings *settings)
{
    return check(settings, NULL);
}

enum exit_code used_files_check_tensors(const struct settings *settings, const struct tensors *tensors)
{
    return tensors != NULL ? check(settings, tensors) : EXIT_OK;
}
