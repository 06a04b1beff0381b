/* SPDX-License-Identifier: Apache-2.0 */
/* job.c - see job.h. */
#include <config.h>

#include "agent.h"
#include "job.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char help[] =
    "Usage: mpirun -n N quantbench-mpi [OPTION]... [OPTION OF QUANTBENCH]...\n"
    "Run quantbench on each device of an MPI job at the same time, and report all of them.\n"
    "\n"
    "  --together=WHEN         all: rounds run everywhere at once; node-turns: one device\n"
    "                          of a node after the other; both: first all, then in turns,\n"
    "                          and the report says what the first costs [all]\n"
    "  --records=DIR           folder for the records [quantbench-fleet-DATE]\n"
    "  --once                  do not measure suspects again\n"
    "  --deadline=SECONDS      until a tool must be ready for its next round [300]\n"
    "  --init-timeout=SECONDS  until all ranks must be there [120]\n"
    "  --tool=FILE             the quantbench to run [next to this program]\n"
    "  --help, --version       print this, or the version\n"
    "\n"
    "--format, --output, --fleet-margin and --verbose are those of the report. All other options\n"
    "are passed to quantbench, such as --device=cpu or --num-tokens=64.\n";

/* The value of OPTION, "--name=", if ARGUMENT is that; else NULL. */
static const char *value_of(const char *argument, const char *option)
{
    const size_t length = strlen(option);

    return strncmp(argument, option, length) == 0 ? argument + length : NULL;
}

static bool parse_seconds(const char *text, const char *option, double *seconds)
{
    char *end;

    *seconds = strtod(text, &end);
    if (*end != '\0' || !(*seconds > 0 && *seconds <= 1e6)) {
        say("%s: unknown value '%s'; expected seconds from 0.001 to 1000000", option, text);
        return false;
    }
    return true;
}

/* True if ARGUMENT could be short for an option that must not reach the tool, or is one that cannot be shared. */
static bool is_refused(const char *argument)
{
    static const char *const ours[] = {"--device",       "--format",   "--output",   "--fleet-margin",
                                       "--verbose",      "--records",  "--together", "--once",
                                       "--init-timeout", "--deadline", "--tool",     NULL};
    static const char *const single[] = {
        "--round-gate",   "--start-at",    "--journal", "--resume",   "--report",        "--fleet",
        "--expect",       "--junit",       "--runs",    "--baseline", "--save-baseline", "--list-devices",
        "--list-kernels", "--list-models", "--doctor",  "--dry-run",  "--self-test",     NULL};
    const size_t length = strcspn(argument, "=");

    for (size_t i = 0; ours[i] != NULL && length > 2; i++) {
        if (strncmp(argument, ours[i], length) == 0 && strcmp(argument, "--op") != 0 &&
            value_of(argument, "--op=") == NULL) {
            say("%s: expected %s=VALUE, spelled out", argument, ours[i]);
            return true;
        }
    }
    for (size_t i = 0; single[i] != NULL; i++) {
        if (length == strlen(single[i]) && strncmp(argument, single[i], length) == 0) {
            say("%s: this option is for one process; run quantbench itself", argument);
            return true;
        }
    }
    return false;
}

static bool parse_together(const char *value, struct job *job)
{
    static const char *const words[] = {
        [TOGETHER_ALL] = "all", [TOGETHER_TURNS] = "node-turns", [TOGETHER_BOTH] = "both"};

    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strcmp(value, words[i]) == 0) {
            job->together = (enum together)i;
            return true;
        }
    }
    say("--together: unknown value '%s'; expected all, node-turns or both", value);
    return false;
}

/* Take one ARGUMENT. Returns false, with a message, if it is wrong. */
static bool parse_argument(char *argument, struct job *job)
{
    const char *value;

    if ((value = value_of(argument, "--together=")) != NULL) {
        return parse_together(value, job);
    } else if ((value = value_of(argument, "--records=")) != NULL) {
        job->records = value;
    } else if (strcmp(argument, "--once") == 0) {
        job->once = true;
    } else if ((value = value_of(argument, "--deadline=")) != NULL) {
        return parse_seconds(value, "--deadline", &job->deadline);
    } else if ((value = value_of(argument, "--init-timeout=")) != NULL) {
        return parse_seconds(value, "--init-timeout", &job->init_timeout);
    } else if ((value = value_of(argument, "--tool=")) != NULL) {
        job->tool = argument + strlen("--tool=");
    } else if (value_of(argument, "--format=") != NULL || value_of(argument, "--output=") != NULL ||
               value_of(argument, "--fleet-margin=") != NULL || strcmp(argument, "--verbose") == 0) {
        job->report_args[job->report_count++] = argument;
    } else if ((value = value_of(argument, "--device=")) != NULL) {
        job->device = strcmp(value, "auto") == 0 || strcmp(value, "cuda") == 0 ? NULL : value;
        if (strchr(value, ',') != NULL || strlen(value) >= ID_SIZE) {
            say("--device: unknown value '%s'; expected one device, or none for that of each rank", value);
            return false;
        }
    } else if (is_refused(argument)) {
        return false;
    } else {
        job->has_threads = job->has_threads || value_of(argument, "--threads") != NULL;
        job->has_bind = job->has_bind || value_of(argument, "--bind") != NULL;
        job->tool_args[job->tool_count++] = argument;
    }
    return true;
}

/* The tool next to this program, or the one that PATH has. */
static char *find_tool(void)
{
    static char path[PATH_MAX], fallback[] = "quantbench";
    const ssize_t length = readlink("/proc/self/exe", path, sizeof path - 16);
    char *slash;

    path[length > 0 ? length : 0] = '\0';
    slash = strrchr(path, '/');
    if (slash == NULL) {
        return fallback;
    }
    memcpy(slash, "/quantbench", sizeof "/quantbench");
    return access(path, X_OK) == 0 ? path : fallback;
}

enum status job_parse(int argc, char **argv, struct job *job, bool *done)
{
    *job = (struct job){.deadline = 300, .init_timeout = 120};
    job->tool_args = calloc((size_t)argc + 1, sizeof *job->tool_args);
    job->report_args = calloc((size_t)argc + 1, sizeof *job->report_args);
    if (job->tool_args == NULL || job->report_args == NULL) {
        say("out of memory: the arguments");
        return STATUS_CANNOT_RUN;
    }
    job->tool = find_tool();
    for (int i = 1; i < argc; i++) {
        *done = strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "--version") == 0;
        if (*done) {
            fputs(argv[i][2] == 'h' ? help : "quantbench-mpi " PACKAGE_VERSION "\n", stdout);
            return fflush(stdout) == 0 ? STATUS_OK : STATUS_CANNOT_RUN;
        }
        if (!parse_argument(argv[i], job)) {
            return STATUS_USAGE;
        }
    }
    return STATUS_OK;
}
