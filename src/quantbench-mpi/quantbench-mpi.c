/* SPDX-License-Identifier: Apache-2.0 */
/* quantbench-mpi.c - quantbench on each device of a job, under the same conditions, and one report.
 *
 * A rank runs the plain tool as a child, for one device. Its rounds begin when all ranks are ready (--round-gate). No
 * call of MPI waits for ever: whoever is frozen is named, and the others go on. The tool writes its record to a file
 * before anything is sent. Rank 0 collects the records and lets "quantbench --fleet" judge them. This program links
 * MPI, and nothing else of the package. */
#include <config.h>

#include "agent.h"
#include "ranks.h"

#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Sizes and ranks as launchers give them to processes. */
static const char *const size_names[] = {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE",     "FLUX_JOB_SIZE",
                                         "SLURM_STEP_NUM_TASKS", "SLURM_NTASKS", NULL};

/* The whole number of the first variable of NAMES that is set; FALLBACK if none is. */
static int number_of(const char *const *names, int fallback)
{
    for (size_t i = 0; names[i] != NULL; i++) {
        const char *text = getenv(names[i]);

        if (text != NULL && text[0] >= '0' && text[0] <= '9') {
            return atoi(text);
        }
    }
    return fallback;
}

/* Put the text between quotes after NAME in *AT into TO, and move *AT behind it. */
static bool scan_text(const char **at, const char *name, char to[ID_SIZE])
{
    const char *found = strstr(*at, name), *end;

    if (found == NULL || (found = strchr(found + strlen(name), '"')) == NULL ||
        (end = strchr(found + 1, '"')) == NULL) {
        return false;
    }
    snprintf(to, ID_SIZE, "%.*s", (int)(end - found - 1), found + 1);
    *at = end + 1;
    return true;
}

/* Find out which devices there are, from the tool: this process has no driver in it. */
static bool find_devices(const struct job *job)
{
    char *const argv[] = {job->tool, "--list-devices", "--format=json", NULL};
    char *text = NULL, id[ID_SIZE];
    const int status = agent_run_to_end(argv, "", ANSWER, &text);
    const char *at = text;

    if (status != 0 || text == NULL) {
        say("%s: %s --list-devices %s", self.host, job->tool, status < 0 ? "does not answer" : "fails");
        free(text);
        return false;
    }
    while (self.devices < VISIBLE && scan_text(&at, "\"id\":", id)) {
        if (strncmp(id, "cuda:", strlen("cuda:")) == 0) {
            memcpy(self.ids[self.devices], id, sizeof id);
            scan_text(&at, "\"uuid\":", self.uuids[self.devices]);
            self.devices++;
        }
    }
    free(text);
    return true;
}

/* Find out which node this is. Containers and images share a host's name, so that the boot is a part of it. */
static void find_node(void)
{
    const char *root = getenv("QUANTBENCH_FSROOT");
    char path[PATH_MAX];
    FILE *file;

    if (gethostname(self.host, sizeof self.host - 1) != 0 || self.host[0] == '\0') {
        snprintf(self.host, sizeof self.host, "unknown");
    }
    snprintf(path, sizeof path, "%s/proc/sys/kernel/random/boot_id", root != NULL ? root : "");
    file = fopen(path, "re");
    if (file != NULL) {
        if (fscanf(file, "%63[0-9a-zA-Z-]", self.boot) != 1) {
            self.boot[0] = '\0';
        }
        fclose(file);
    }
}

/* The job did not come together in time. */
static void give_up(int signal)
{
    static const char text[] =
        ": not all ranks are there in time (--init-timeout); without MPI, run quantbench on each "
        "node and report the records with quantbench --fleet\n";

    (void)signal;
    if (write(STDERR_FILENO, "quantbench-mpi: ", strlen("quantbench-mpi: ")) < 0 ||
        write(STDERR_FILENO, self.host, strlen(self.host)) < 0 || write(STDERR_FILENO, text, sizeof text - 1) < 0) {
        _exit(STATUS_CANNOT_RUN);
    }
    _exit(STATUS_CANNOT_RUN);
}

/* Start MPI, and refuse a job of which each process believes that it is alone. */
static enum status begin(int *argc, char ***argv, const struct job *job)
{
    const int expected = number_of(size_names, 1);
    int provided;

    signal(SIGALRM, give_up);
    alarm((unsigned)job->init_timeout + 1);
    MPI_Init_thread(argc, argv, MPI_THREAD_SINGLE, &provided);
    alarm(0);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    if (size == 1 && expected > 1) {
        say("%s: one process of %d, but MPI knows only itself; the launcher and this MPI do not match (Slurm: srun "
            "--mpi=pmix, or mpirun)",
            self.host, expected);
        return STATUS_USAGE;
    }
    return STATUS_OK;
}

int main(int argc, char **argv)
{
    struct job job;
    bool done = false;
    enum status code = job_parse(argc, argv, &job, &done);

    if (code != STATUS_OK || done) {
        return (int)code;
    }
    find_node();
    if (!agent_start()) {
        return STATUS_CANNOT_RUN;
    }
    if (job.device == NULL || strcmp(job.device, "cpu") != 0) {
        self.devices = find_devices(&job) ? self.devices : -1;
    }
    code = begin(&argc, &argv, &job);
    if (code == STATUS_OK && rank == 0) {
        self.size = -1;
        code = lead(&job);
    } else if (code == STATUS_OK) {
        self.size = -1;
        send_row(ROW_HERE);
        code = follow(&job);
    }
    agent_end();
    MPI_Finalize();
    return (int)code;
}
