/* SPDX-License-Identifier: Apache-2.0 */
/* rank.c - a rank: its tool, the meetings of all ranks, and the orders of rank 0. */
#include <config.h>

#include "agent.h"
#include "ranks.h"

#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The tool of this rank. */
struct tool {
    bool running, ready, late, killed;
    int status, rounds;
    double kill_at;
    char line[ID_SIZE], last[ID_SIZE];
    size_t used;
};

struct row self;
int rank = -1, size;
bool lost;
double lost_at;

/* ---- Messages, none of which waits for ever ---------------------------------------------------------------------- */

void leave(enum status code)
{
    fflush(NULL);
    agent_end();
    _exit((int)code);
}

bool wait_for(MPI_Request *request, double until)
{
    int done = 0;

    for (;;) {
        MPI_Test(request, &done, MPI_STATUS_IGNORE);
        if (done || now() > until) {
            return done;
        }
        nap(NAP);
    }
}

/* What is sent stays as it is until it has arrived. */
void send_row(enum row_kind kind)
{
    static struct row sent[ROW_DONE + 1];
    MPI_Request request;

    self.kind = kind;
    sent[kind] = self;
    if (rank > 0) {
        MPI_Isend(&sent[kind], sizeof self, MPI_BYTE, 0, TAG_ROW, MPI_COMM_WORLD, &request);
        /* One that nobody takes is not needed any more. */
        if (!wait_for(&request, now() + (lost ? SOON : ANSWER))) {
            MPI_Request_free(&request);
        }
    }
}

/* Meet all other ranks. ANY gets if a tool is ACTIVE anywhere. Returns false if one of them does not come: nobody can
 * meet after that, since the call that waits cannot be taken back. */
static bool meet(double until, bool active, bool *any)
{
    static int mine, all;
    MPI_Request request;

    mine = active;
    MPI_Iallreduce(&mine, &all, 1, MPI_INT, MPI_MAX, MPI_COMM_WORLD, &request);
    if (!wait_for(&request, until)) {
        return false;
    }
    *any = all != 0;
    return true;
}

/* ---- The tool and its gate --------------------------------------------------------------------------------------- */

/* Take a LINE that the tool wrote to its gate. */
static void take_line(struct tool *tool, const char *line)
{
    snprintf(tool->last, sizeof tool->last, "%s", line);
    tool->ready = tool->ready || strncmp(line, "ready ", strlen("ready ")) == 0;
    tool->rounds += strncmp(line, "done ", strlen("done ")) == 0;
}

/* Take what comes from the tool within SECONDS, and end one that does not end by itself. */
static void tend(struct tool *tool, double seconds)
{
    static char packet[AGENT_PACKET + 1];
    const size_t length = agent_receive(seconds, packet);

    if (length > 0 && packet[0] == PACKET_END) {
        tool->running = false;
        memcpy(&tool->status, packet + 1, sizeof tool->status);
        tool->status = agent_exit_status(tool->status);
    }
    for (size_t i = 1; i < length && packet[0] == PACKET_TEXT; i++) {
        if (packet[i] != '\n' && tool->used < sizeof tool->line - 1) {
            tool->line[tool->used++] = packet[i];
        } else if (packet[i] == '\n') {
            tool->line[tool->used] = '\0';
            tool->used = 0;
            take_line(tool, tool->line);
        }
    }
    if (tool->running && tool->late && !tool->killed && now() > tool->kill_at) {
        agent_tell(PACKET_KILL);
        tool->killed = true;
        tool->kill_at += SLACK;
    }
}

static bool is_active(const struct tool *tool)
{
    return tool->running && !tool->late;
}

/* Wait until the tool is ready for a round, or has ended. One that is late is ended. */
static void await_tool(struct tool *tool, double until)
{
    tend(tool, 0);
    while (is_active(tool) && !tool->ready) {
        tend(tool, 0.05);
        if (is_active(tool) && !tool->ready && now() > until) {
            agent_tell(PACKET_TERM);
            tool->late = true;
            tool->kill_at = now() + SLACK;
        }
    }
}

/* A share of the node's CPUs for the tool, unless someone has chosen. */
static int share_of_cpus(int neighbors)
{
    const long all = sysconf(_SC_NPROCESSORS_ONLN);
    cpu_set_t mask;
    int share = (int)all / neighbors;

    if (sched_getaffinity(0, sizeof mask, &mask) == 0 && CPU_COUNT(&mask) < share) {
        share = CPU_COUNT(&mask);
    }
    return share > 0 ? share : 1;
}

/* The path of this rank's record, or of its log, in TO. */
static void path_of(const struct order *order, const char *suffix, char to[PATH_MAX])
{
    static const char *const suffixes[] = {[PASS_FIRST] = "", [PASS_AGAIN] = "_again", [PASS_TURNS] = "_turns"};

    snprintf(self.name, sizeof self.name, "%05d-%s%s", rank, self.host, suffixes[order->pass]);
    snprintf(to, PATH_MAX, "%s/%s%s", order->records, self.name, suffix);
}

static bool start_tool(const struct job *job, const struct order *order)
{
    char identity[32], threads[32], device[16 + ID_SIZE], output[16 + PATH_MAX], log[PATH_MAX];
    char **argv = calloc(job->tool_count + 16, sizeof *argv);
    size_t argc = 0;
    bool good;

    if (argv == NULL) {
        return false;
    }
    mkdir(order->records, 0777);
    snprintf(output, sizeof output, "--output=");
    path_of(order, ".json", output + strlen(output));
    unlink(strchr(output, '=') + 1);
    path_of(order, ".log", log);
    snprintf(identity, sizeof identity, "QUANTBENCH_RANK=%d", rank);
    snprintf(threads, sizeof threads, "OMP_NUM_THREADS=%d", share_of_cpus(order->neighbors));
    snprintf(device, sizeof device, "--device=%s", order->device);
    argv[argc++] = "env";
    argv[argc++] = identity;
    argv[argc++] = order->slots > 1 ? "QUANTBENCH_TOGETHER=node-turns" : "QUANTBENCH_TOGETHER=all";
    if (getenv("OMP_NUM_THREADS") == NULL && !job->has_threads) {
        argv[argc++] = threads;
    }
    argv[argc++] = job->tool;
    for (size_t i = 0; i < job->tool_count; i++) {
        argv[argc++] = job->tool_args[i];
    }
    if (order->neighbors > 1 && !job->has_bind && strcmp(order->device, "cpu") == 0) {
        argv[argc++] = "--bind=none"; /* all would be pinned to the first cores */
    }
    argv[argc++] = device;
    argv[argc++] = "--round-gate=3,4";
    argv[argc++] = "--quiet";
    argv[argc++] = output;
    good = agent_run(true, log, argv);
    free(argv);
    return good;
}

/* Keep the last line of the tool's log, or remove an empty one. */
static void read_log(const struct order *order)
{
    char path[PATH_MAX], line[sizeof self.why];
    FILE *file;

    self.why[0] = '\0';
    path_of(order, ".log", path);
    file = fopen(path, "re");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        memcpy(self.why, line, sizeof line);
    }
    if (file != NULL) {
        fclose(file);
        if (self.why[0] == '\0') {
            unlink(path);
        }
    }
}

/* Tell the others that this rank is still there: rank 0 all ranks, and each other one rank 0. */
static void tell_lost(void)
{
    static const struct order hold = {.kind = ORDER_HOLD};
    MPI_Request request;

    send_row(ROW_LOST);
    for (int i = 1; rank == 0 && i < size; i++) {
        MPI_Isend(&hold, sizeof hold, MPI_BYTE, i, TAG_ORDER, MPI_COMM_WORLD, &request);
        MPI_Request_free(&request);
    }
}

void run_pass(const struct job *job, const struct order *order)
{
    struct tool tool = {.running = order->take_part && start_tool(job, order)};
    double begun = now();
    char path[PATH_MAX];
    struct stat info;

    for (long turn = 0;; turn++) {
        bool any = true;

        await_tool(&tool, begun + job->deadline);
        if (!lost && !meet(begun + job->deadline + SLACK, is_active(&tool), &any)) {
            lost = true;
            lost_at = now();
            tell_lost();
        }
        if (lost ? !is_active(&tool) : !any) {
            break;
        }
        begun = now();
        if (is_active(&tool) && tool.ready && (lost || order->local % order->slots == turn % order->slots)) {
            tool.ready = false;
            agent_tell(PACKET_GO);
        }
    }
    while (tool.running && !(tool.killed && now() > tool.kill_at)) {
        tend(&tool, 0.05);
    }
    if (order->take_part) {
        self.status = tool.late || tool.running ? -1 : tool.status;
        self.rounds = tool.rounds;
        memcpy(self.last, tool.last, sizeof self.last);
        read_log(order);
        path_of(order, ".json", path);
        self.size = stat(path, &info) == 0 ? (long long)info.st_size : -1;
    }
}

/* ---- All ranks but the first ------------------------------------------------------------------------------------- */

/* Send the record of this rank, which rank 0 cannot read itself. */
static void send_file(const struct order *order)
{
    char path[PATH_MAX], *text = calloc(1, (size_t)self.size);
    MPI_Request request;
    FILE *file;

    path_of(order, ".json", path);
    file = fopen(path, "re");
    if (file != NULL && text != NULL && fread(text, 1, (size_t)self.size, file) == (size_t)self.size) {
        MPI_Isend(text, (int)self.size, MPI_BYTE, 0, TAG_FILE, MPI_COMM_WORLD, &request);
        if (!wait_for(&request, now() + ANSWER)) {
            MPI_Request_free(&request);
            text = NULL; /* it may still be read */
        }
    }
    if (file != NULL) {
        fclose(file);
    }
    free(text);
}

/* Rank 0 is gone: one of the others says so, and then the job ends. That is rank 1, unless it is gone too. */
static void abandon(const char *records)
{
    if (rank > 1) {
        nap(SOON);
    }
    say("rank 0: NO ANSWER; report the records with: quantbench --fleet=%s", records);
    leave(STATUS_CANNOT_RUN);
}

enum status follow(const struct job *job)
{
    static struct order order;
    char records[sizeof order.records] = "";
    bool held = false;

    for (;;) {
        const double until = now() + (lost && !held ? SOON + SLACK : 2 * job->deadline + job->init_timeout + REPORTING);
        MPI_Request request;

        MPI_Irecv(&order, sizeof order, MPI_BYTE, 0, TAG_ORDER, MPI_COMM_WORLD, &request);
        if (!wait_for(&request, until)) {
            abandon(records);
        }
        switch (order.kind) {
        case ORDER_RUN:
            memcpy(records, order.records, sizeof records);
            run_pass(job, &order);
            send_row(ROW_DONE);
            break;
        case ORDER_FILE:
            send_file(&order);
            break;
        case ORDER_HOLD:
            held = true;
            break;
        case ORDER_END:
            return STATUS_OK;
        case ORDER_LEAVE:
            /* The launcher ends this rank when rank 0 has left. Not by MPI_Finalize(), which would wait for the rank
             * that is frozen. */
            agent_end();
            nap(ANSWER);
            _exit(STATUS_OK);
        }
    }
}
