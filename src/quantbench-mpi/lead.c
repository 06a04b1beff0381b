/* SPDX-License-Identifier: Apache-2.0 */
/* lead.c - rank 0: it gives each rank a device, collects the records and lets "quantbench --fleet" judge them. */
#include <config.h>

#include "agent.h"
#include "ranks.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* What rank 0 keeps: an element for each rank. */
static struct row *rows, *inbox;
static struct order *orders;
static MPI_Request *receives, *sends;
static MPI_Status *statuses; /* none looks at them, but compilers take MPICH's MPI_STATUSES_IGNORE for a bad address */
static bool *got, *frozen, *alive, *has_device;
static int *indices;

static bool allocate(void)
{
    const size_t n = (size_t)size;

    rows = calloc(n, sizeof *rows);
    inbox = calloc(n, sizeof *inbox);
    orders = calloc(n, sizeof *orders);
    receives = calloc(n, sizeof(MPI_Request));
    sends = calloc(n, sizeof(MPI_Request));
    statuses = calloc(n, sizeof *statuses);
    got = calloc(n, sizeof *got);
    frozen = calloc(n, sizeof *frozen);
    alive = calloc(n, sizeof *alive);
    has_device = calloc(n, sizeof *has_device);
    indices = calloc(n, sizeof *indices);
    return rows && inbox && orders && receives && sends && statuses && got && frozen && alive && has_device && indices;
}

static void expect_row(int from)
{
    MPI_Irecv(&inbox[from], sizeof *inbox, MPI_BYTE, from, TAG_ROW, MPI_COMM_WORLD, &receives[from]);
}

/* True if rank 0 still waits for a row: for one that may come, which is before SOON_OVER if a meeting has failed and
 * the rank has not been heard since. */
static bool is_awaited(int from, double until, double soon_over)
{
    return !got[from] && !frozen[from] && now() < (lost && !alive[from] ? soon_over : until);
}

/* Wait for a row from each rank. Those that send none are frozen from then on. */
static void gather(double until)
{
    /* From now on, and not from the failure: while this rank tended its tool it did not look who is there. */
    const double soon_over = now() + SOON;
    bool waits = true;

    memset(got, 0, (size_t)size * sizeof *got);
    got[0] = true;
    rows[0] = self;
    while (waits) {
        int count = 0;

        MPI_Testsome(size, receives, &count, indices, statuses);
        for (int i = 0; i < count; i++) {
            const int from = indices[i];

            if (inbox[from].kind == ROW_LOST) {
                alive[from] = true;
            } else {
                rows[from] = inbox[from];
                got[from] = true;
            }
            expect_row(from);
        }
        waits = false;
        for (int i = 1; i < size && !waits; i++) {
            waits = is_awaited(i, until, soon_over);
        }
        if (waits && count <= 0) {
            nap(NAP);
        }
    }
    for (int i = 0; i < size; i++) {
        frozen[i] = frozen[i] || !got[i];
    }
}

/* Send each rank its order. */
static void send_orders(enum order_kind kind)
{
    for (int i = 1; i < size; i++) {
        orders[i].kind = kind;
        sends[i] = MPI_REQUEST_NULL;
        if (!frozen[i]) {
            MPI_Isend(&orders[i], sizeof *orders, MPI_BYTE, i, TAG_ORDER, MPI_COMM_WORLD, &sends[i]);
        }
    }
    sends[0] = MPI_REQUEST_NULL;
    for (int i = 1; i < size; i++) {
        wait_for(&sends[i], now() + ANSWER);
    }
}

static bool is_same_node(const struct row *a, const struct row *b)
{
    return strcmp(a->host, b->host) == 0 && strcmp(a->boot, b->boot) == 0;
}

/* The unique id of the device that RANK_ has; "" if it has none, as the CPU. */
static const char *uuid_of(int of)
{
    for (int i = 0; i < rows[of].devices; i++) {
        if (strcmp(rows[of].ids[i], orders[of].device) == 0) {
            return rows[of].uuids[i];
        }
    }
    return "";
}

/* A name for a rank in messages. */
static const char *name_of(int of)
{
    static char text[2][256];
    static int turn;
    const char *uuid = uuid_of(of);

    turn = !turn;
    snprintf(text[turn], sizeof text[turn], "rank %d on %s (%s%s%s)", of, rows[of].host, orders[of].device,
             uuid[0] != '\0' ? ", " : "", uuid);
    return text[turn];
}

/* Give each rank a device: the only one that it sees, or else that of its number on the node. */
static void assign(const struct job *job)
{
    for (int i = 0; i < size; i++) {
        struct order *order = &orders[i];
        int local = 0, neighbors = 1;

        for (int j = 0; j < size; j++) {
            const bool same = j != i && is_same_node(&rows[i], &rows[j]);

            local += same && j < i;
            neighbors += same;
        }
        order->local = local;
        order->neighbors = neighbors;
        order->take_part = true;
        order->slots = 1;
        if (job->device != NULL) {
            snprintf(order->device, sizeof order->device, "%s", job->device);
        } else if (rows[i].devices == 0) {
            snprintf(order->device, sizeof order->device, "cpu");
        } else if (rows[i].devices == 1 || local < rows[i].devices) {
            memcpy(order->device, rows[i].ids[rows[i].devices == 1 ? 0 : local], sizeof order->device);
        } else {
            order->take_part = false;
            say("rank %d on %s: idle, since the node has %d devices for %d ranks", i, rows[i].host, rows[i].devices,
                neighbors);
        }
    }
    for (int i = 0; i < size; i++) {
        has_device[i] = orders[i].take_part;
    }
}

/* Let all devices measure in PASS: together, or if TURNS, those of a node one after the other. */
static void set_pass(enum pass pass, bool turns)
{
    int slots = 1;

    for (int i = 0; turns && i < size; i++) {
        slots = orders[i].neighbors > slots ? orders[i].neighbors : slots;
    }
    for (int i = 0; i < size; i++) {
        orders[i].pass = pass;
        orders[i].take_part = has_device[i];
        orders[i].slots = slots;
    }
}

static int compare_ranks(const void *a, const void *b)
{
    return strcmp(uuid_of(*(const int *)a), uuid_of(*(const int *)b));
}

/* Two ranks with one device would measure each other. */
static bool are_distinct(void)
{
    for (int i = 0; i < size; i++) {
        indices[i] = i;
    }
    qsort(indices, (size_t)size, sizeof *indices, compare_ranks);
    for (int i = 1; i < size; i++) {
        const char *uuid = uuid_of(indices[i]);

        if (uuid[0] != '\0' && strcmp(uuid, uuid_of(indices[i - 1])) == 0) {
            say("%s and %s have the same device; start one rank for each device", name_of(indices[i - 1]),
                name_of(indices[i]));
            return false;
        }
    }
    return true;
}

/* How many ranks of the node of rank OF have a device. */
static int count_on_node(int of)
{
    int count = 0;

    for (int i = 0; i < size; i++) {
        count += orders[i].take_part && is_same_node(&rows[of], &rows[i]);
    }
    return count;
}

/* Name the nodes that have another number of devices than most. */
static void compare_nodes(void)
{
    int usual = 0, most = 0, *counts = calloc((size_t)size, sizeof *counts);

    for (int i = 0; i < size && counts != NULL; i++) {
        counts[i] = orders[i].local == 0 ? count_on_node(i) : 0;
    }
    for (int i = 0; i < size && counts != NULL; i++) {
        int same = 0;

        for (int j = 0; j < size; j++) {
            same += counts[j] == counts[i];
        }
        if (counts[i] > 0 && (same > most || (same == most && counts[i] > usual))) {
            most = same;
            usual = counts[i];
        }
    }
    for (int i = 0; i < size && counts != NULL; i++) {
        if (counts[i] > 0 && counts[i] != usual) {
            say("%s: %d devices, the others %d", rows[i].host, counts[i], usual);
        }
        if (counts[i] > 0 && rows[i].devices > counts[i] && rows[i].devices > 1 &&
            strcmp(orders[i].device, "cpu") != 0) {
            say("%s: %d of its %d devices have no rank", rows[i].host, rows[i].devices - counts[i], rows[i].devices);
        }
    }
    free(counts);
}

/* Get the record of rank FROM, if the folder is not the same there. */
static void fetch(int from)
{
    char path[PATH_MAX], part[PATH_MAX], *text;
    const long long length = rows[from].size;
    MPI_Request request;
    struct stat info;
    FILE *file;

    snprintf(path, sizeof path, "%s/%s.json", orders[from].records, rows[from].name);
    snprintf(part, sizeof part, "%s/%s.part", orders[from].records, rows[from].name);
    if (from == 0 || frozen[from] || length <= 0 || length > INT_MAX ||
        (stat(path, &info) == 0 && (long long)info.st_size == length) || (text = malloc((size_t)length)) == NULL) {
        return;
    }
    orders[from].kind = ORDER_FILE;
    MPI_Irecv(text, (int)length, MPI_BYTE, from, TAG_FILE, MPI_COMM_WORLD, &request);
    MPI_Isend(&orders[from], sizeof *orders, MPI_BYTE, from, TAG_ORDER, MPI_COMM_WORLD, &sends[from]);
    if (!wait_for(&sends[from], now() + ANSWER) || !wait_for(&request, now() + ANSWER)) {
        frozen[from] = true;
        return; /* TEXT may still be written */
    }
    file = fopen(part, "we");
    if (file == NULL || fwrite(text, 1, (size_t)length, file) != (size_t)length || fclose(file) != 0 ||
        rename(part, path) != 0) {
        say("%s: %s", path, strerror(errno));
    }
    free(text);
}

/* Let all ranks for which an order says so measure, and get their records. */
static void measure(const struct job *job)
{
    send_orders(ORDER_RUN);
    run_pass(job, &orders[0]);
    send_row(ROW_DONE);
    gather(now() + job->deadline + ANSWER);
    for (int i = 0; i < size; i++) {
        fetch(i);
    }
}

/* The place of column NAME in LINE of a CSV table; -1: it lacks that. */
static int column_of(const char *line, const char *name)
{
    const size_t length = strlen(name);
    int column = 0;

    for (;; column++) {
        if (strncmp(line, name, length) == 0 && strchr(",\r\n", line[length]) != NULL) {
            return column;
        }
        line += strcspn(line, ",\n");
        if (*line++ != ',') {
            return -1;
        }
    }
}

/* The field in COLUMN of LINE, without quotes. */
static const char *field_of(const char *line, int column, char to[ID_SIZE])
{
    bool quoted = false;
    size_t length = 0;

    for (; *line != '\0' && (quoted || *line != '\n'); line++) {
        if (*line == '"') {
            quoted = !quoted;
        } else if (*line == ',' && !quoted) {
            column--;
        } else if (column == 0 && length < ID_SIZE - 1) {
            to[length++] = *line;
        }
    }
    to[length] = '\0';
    return to;
}

/* Let quantbench report the records, with the options REPORT. Returns its exit status; TEXT gets the report. */
static int report(const struct job *job, char *expect, char *const *options, char **text)
{
    char fleet[2048], log[PATH_MAX], line[1024], **argv = calloc(job->report_count + 8, sizeof *argv);
    size_t argc = 0;
    FILE *file;
    int status;

    *text = NULL;
    if (argv == NULL) {
        return STATUS_CANNOT_RUN;
    }
    snprintf(fleet, sizeof fleet, "--fleet=%s", orders[0].records);
    snprintf(log, sizeof log, "%s/report.log", orders[0].records);
    argv[argc++] = job->tool;
    argv[argc++] = fleet;
    if (expect != NULL) {
        argv[argc++] = expect;
    }
    for (size_t i = 0; options[i] != NULL; i++) {
        argv[argc++] = options[i];
    }
    status = agent_run_to_end(argv, log, REPORTING, text);
    file = fopen(log, "re");
    while (file != NULL && expect != NULL && fgets(line, sizeof line, file) != NULL) {
        fputs(line, stderr);
    }
    if (file != NULL) {
        fclose(file);
    }
    unlink(log);
    free(argv);
    return status < 0 ? STATUS_CANNOT_RUN : status;
}

/* Let those take part in the next pass that are suspects until now. Returns how many there are. */
static int choose_suspects(const struct job *job)
{
    char csv[] = "--format=csv", number[ID_SIZE], verdict[ID_SIZE], *const options[] = {csv, NULL};
    char *text;
    int count = 0, ranks, verdicts;

    report(job, NULL, options, &text);
    ranks = text != NULL ? column_of(text, "rank") : -1;
    verdicts = text != NULL ? column_of(text, "verdict") : -1;
    for (int i = 0; i < size; i++) {
        orders[i].take_part = false;
        orders[i].pass = PASS_AGAIN;
    }
    for (const char *line = text; ranks >= 0 && verdicts >= 0 && line != NULL && *line != '\0';) {
        const int of = atoi(field_of(line, ranks, number));

        if (strcmp(field_of(line, verdicts, verdict), "SUSPECT") == 0 && of >= 0 && of < size &&
            !orders[of].take_part) {
            orders[of].take_part = true;
            count++;
        }
        line = strchr(line, '\n');
        line = line != NULL ? line + 1 : NULL;
    }
    free(text);
    return count;
}

/* Write how many devices each host should have, and name the ranks that have no record. Returns how many they are. */
static int name_absent(const char *hosts)
{
    FILE *file = fopen(hosts, "we");
    int absent = 0;

    for (int i = 0; i < size; i++) {
        int first = i, wanted = 0;

        for (int j = 0; j < size; j++) {
            if (strcmp(rows[i].host, rows[j].host) == 0) {
                first = j < first ? j : first;
                wanted += orders[j].take_part;
            }
        }
        if (file != NULL && first == i) {
            fprintf(file, "%s:%d\n", rows[i].host, wanted);
        }
        if (!orders[i].take_part || (rows[i].size > 0 && rows[i].status >= 0 && !frozen[i])) {
            continue;
        }
        absent++;
        if (frozen[i]) {
            say("%s: NO ANSWER: the rank does not answer", name_of(i));
        } else if (rows[i].status < 0) {
            say("%s: NO ANSWER: the tool did not go on%s%s", name_of(i), rows[i].last[0] != '\0' ? " after " : "",
                rows[i].last);
        } else {
            say("%s: NO ANSWER: the tool ended with exit status %d%s%s", name_of(i), rows[i].status,
                rows[i].why[0] != '\0' ? ": " : "", rows[i].why);
        }
    }
    if (file == NULL || fclose(file) != 0) {
        say("%s: %s", hosts, strerror(errno));
    }
    return absent;
}

/* True if FOLDER has a record already: it would be taken for one of this job. */
static bool has_records(const char *folder)
{
    DIR *stream = opendir(folder);
    const struct dirent *entry;
    bool found = false;

    while (stream != NULL && !found && (entry = readdir(stream)) != NULL) {
        const size_t length = strlen(entry->d_name);

        found = length > strlen(".json") && strcmp(entry->d_name + length - strlen(".json"), ".json") == 0;
    }
    if (stream != NULL) {
        closedir(stream);
    }
    return found;
}

/* Choose the folder of the records, the same for all. */
static enum status choose_folder(const struct job *job)
{
    char folder[sizeof orders[0].records], date[32] = "";
    const time_t time_now = time(NULL);

    if (job->records == NULL) {
        strftime(date, sizeof date, "%Y%m%dT%H%M%SZ", gmtime(&time_now));
    } else if (strlen(job->records) >= sizeof folder) {
        say("--records: the name is too long");
        return STATUS_USAGE;
    }
    snprintf(folder, sizeof folder, "%s%s", job->records != NULL ? job->records : "quantbench-fleet-", date);
    if (mkdir(folder, 0777) != 0 && errno != EEXIST) {
        say("%s: %s; choose another folder with --records", folder, strerror(errno));
        return STATUS_CANNOT_RUN;
    }
    if (has_records(folder)) {
        say("%s: there are records already; choose another folder with --records", folder);
        return STATUS_USAGE;
    }
    for (int i = 0; i < size; i++) {
        memcpy(orders[i].records, folder, sizeof folder);
    }
    return STATUS_OK;
}

/* All measurements, and the report. */
static enum status measure_and_report(const struct job *job)
{
    char hosts[PATH_MAX], expect[PATH_MAX + 16], *text;
    enum status code;
    int absent;

    set_pass(PASS_FIRST, job->together == TOGETHER_TURNS);
    measure(job);
    snprintf(hosts, sizeof hosts, "%s/hosts", orders[0].records);
    snprintf(expect, sizeof expect, "--expect=%s", hosts);
    absent = name_absent(hosts);
    if (absent == size && rows[0].status == STATUS_USAGE) {
        return STATUS_USAGE;
    }
    if (!job->once && !lost && choose_suspects(job) > 0) {
        measure(job);
    }
    if (job->together == TOGETHER_BOTH && !lost) {
        set_pass(PASS_TURNS, true);
        measure(job);
        absent += name_absent(hosts);
    }
    code = (enum status)report(job, expect, job->report_args, &text);
    if (text != NULL && (fputs(text, stdout) < 0 || fflush(stdout) != 0)) {
        say("standard output: %s", strerror(errno));
        code = STATUS_CANNOT_RUN;
    }
    free(text);
    for (int i = 0; i < size; i++) {
        absent += frozen[i];
    }
    say("the records are in %s", orders[0].records);
    return absent > 0 && code != STATUS_WRONG ? STATUS_CANNOT_RUN : code;
}

enum status lead(const struct job *job)
{
    enum status code = STATUS_OK;

    if (!allocate()) {
        say("out of memory: %d ranks", size);
        leave(STATUS_CANNOT_RUN);
    }
    for (int i = 1; i < size; i++) {
        expect_row(i);
    }
    receives[0] = MPI_REQUEST_NULL;
    gather(now() + job->init_timeout);
    for (int i = 0; i < size; i++) {
        if (frozen[i]) {
            say("rank %d: NO ANSWER: it is not there after %.0f s", i, job->init_timeout);
            code = STATUS_CANNOT_RUN;
        } else if (rows[i].devices < 0) {
            code = STATUS_CANNOT_RUN;
        }
    }
    if (code == STATUS_OK) {
        assign(job);
        compare_nodes();
        code = are_distinct() ? choose_folder(job) : STATUS_USAGE;
        code = code == STATUS_OK ? measure_and_report(job) : code;
    }
    for (int i = 0; i < size; i++) {
        if (frozen[i]) {
            send_orders(ORDER_LEAVE);
            leave(code);
        }
    }
    send_orders(ORDER_END);
    for (int i = 1; i < size; i++) {
        MPI_Cancel(&receives[i]);
        MPI_Request_free(&receives[i]);
    }
    return code;
}
