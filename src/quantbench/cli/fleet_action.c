/* SPDX-License-Identifier: Apache-2.0 */
/* fleet_action.c - see fleet_action.h. */
#include <config.h>

#include "cli/fleet_action.h"
#include "fleet/fleet_picture.h"
#include "fleet/fleet_report.h"
#include "report/output.h"

/* What the writer of a file needs. */
struct task {
    const struct fleet *fleet;
    bool all;
};

static enum exit_code write_fleet(const struct report_format *format, const void *what, FILE *stream)
{
    const struct task *task = what;

    return fleet_report_write(format, task->fleet, task->all, stream);
}

enum exit_code fleet_action(const struct settings *settings)
{
    const struct reporting *reporting = &settings->reporting;
    struct fleet fleet = {.margin = reporting->fleet_margin};
    const struct task task = {&fleet, reporting->verbose};
    const struct plot_source source = fleet_plot_source(&fleet);
    enum exit_code code = plot_check(&reporting->plots);

    code = code == EXIT_OK ? fleet_read(&fleet, reporting->fleet.values, reporting->fleet.count) : code;

    if (code == EXIT_OK && fleet.records == 0) {
        message_error("--fleet: there is no record; expected files that quantbench --output=FILE.json has written");
        code = EXIT_USAGE;
    }
    if (code == EXIT_OK && reporting->expect != NULL) {
        code = fleet_expect(&fleet, reporting->expect);
    }
    code = code == EXIT_OK ? fleet_judge(&fleet) : code;
    code = code == EXIT_OK ? fleet_compare_facts(&fleet) : code;
    if (code == EXIT_OK) {
        /* First, since the last line of a report is one that scripts read. */
        code = plot_print(&reporting->plots, &source);
        code = message_worse(code, write_fleet(reporting->format, &task, stdout));
        code = message_worse(code, output_write_with(&reporting->outputs, write_fleet, &task));
        code = message_worse(code, plot_write(&reporting->plots, &source));
        code = message_worse(code, fleet_code(&fleet));
    }
    fleet_free(&fleet);
    return code;
}
