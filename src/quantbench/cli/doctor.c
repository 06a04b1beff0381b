/* SPDX-License-Identifier: Apache-2.0 */
/* doctor.c - what the library knows about a device, held against what a measurement needs. The rules are a table. */
#include <config.h>

#include "base/document.h"
#include "cli/doctor.h"
#include "base/clock.h"
#include "report/fold.h"
#include "report/output.h"
#include "report/report.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SCHEMA_VERSION 1

/* Where reasons begin in the text. */
#define WHY_INDENT 11

/* A problem makes times wrong or not repeatable. A note is to be known when times are compared. */
enum verdict { VERDICT_OK, VERDICT_NOTE, VERDICT_PROBLEM, VERDICT_UNKNOWN };

static const char *const verdict_names[] = {"ok", "note", "problem", "unknown"};

/* All facts about a device, what it does now among them. */
struct facts {
    size_t count;
    struct qb_device_fact list[QB_DEVICE_FACTS + 8];
};

struct advice {
    const struct qb_device_fact *fact;
    enum verdict verdict;
    const char *why;  /* NULL unless it is a note or a problem */
    char remedy[160]; /* "": there is none */
};

static const char *value_of(const struct facts *facts, const char *name)
{
    for (size_t i = 0; i < facts->count; i++) {
        if (strcmp(facts->list[i].name, name) == 0) {
            return facts->list[i].value;
        }
    }
    return "unknown";
}

/* NAN if it is none. */
static double number_of(const struct facts *facts, const char *name)
{
    const char *value = value_of(facts, name);
    char *end;
    double number = strtod(value, &end);

    return end != value && *end == '\0' ? number : NAN;
}

/* ---- Rules that need more than one word ------------------------------------------------------------------------- */

/* The load of the last minute may be what this program did before, and tasks that run now may be about to end; both
 * together are others who stay. */
static bool is_loaded(const struct facts *facts)
{
    double others = fmin(number_of(facts, "load_1min"), number_of(facts, "other_tasks_running"));

    return others >= 1 && others > 0.1 * number_of(facts, "cpus_online");
}

static bool is_confined(const struct facts *facts)
{
    return number_of(facts, "cpus_usable") < number_of(facts, "cpus_online");
}

static bool is_clocked_down(const struct facts *facts)
{
    return number_of(facts, "application_clock_mhz") < number_of(facts, "clock_max_mhz");
}

static bool is_power_limited(const struct facts *facts)
{
    return number_of(facts, "power_limit_mw") < number_of(facts, "power_limit_default_mw");
}

static bool is_narrow(const struct facts *facts)
{
    return number_of(facts, "pcie_width") < number_of(facts, "pcie_width_max");
}

static bool is_used(const struct facts *facts)
{
    return number_of(facts, "utilization_percent") > 5;
}

static bool has_others(const struct facts *facts)
{
    return number_of(facts, "other_processes") > 0;
}

static bool is_fragmented(const struct facts *facts)
{
    return number_of(facts, "huge_pages_free") < 16;
}

/* The first rule that applies to a fact gives its verdict; a fact to which none applies is fine. */
static const struct rule {
    const char *fact;
    const char *value; /* the rule applies to this value; with "!" in front, to any other; NULL: see APPLIES */
    bool (*applies)(const struct facts *facts);
    enum verdict verdict;
    const char *why;
    const char *remedy; /* a command or advice, with the PCI bus id for %s; NULL: there is none */
} rules[] = {
    {"governor", "!performance", NULL, VERDICT_PROBLEM, "the clock rises only after work has begun",
     "cpupower frequency-set --governor performance"},
    {"boost", "on", NULL, VERDICT_NOTE, "the clock depends on the temperature and on how many CPUs work", NULL},
    {"smt", "on", NULL, VERDICT_NOTE, "two threads may share a core", "OMP_PLACES=cores quantbench --threads=CORES"},
    {"cpus_usable", NULL, is_confined, VERDICT_NOTE, "this process may not use all CPUs", NULL},
    {"cpu_quota", "!none", NULL, VERDICT_PROBLEM, "all threads stand still when the quota of a period is used up",
     "run it where there is no quota (docker run without --cpus, CPUQuota= of systemd)"},
    {"load_1min", NULL, is_loaded, VERDICT_NOTE, "others have used the CPUs for some time", NULL},
    {"other_tasks_running", NULL, is_loaded, VERDICT_PROBLEM, "others use the CPUs",
     "ps -eo pid,pcpu,comm --sort=-pcpu | head"},
    {"memory_limit_bytes", "!none", NULL, VERDICT_NOTE, "less than the machine's memory may be used", NULL},
    {"huge_pages", "never", NULL, VERDICT_NOTE, "large buffers are in small pages, which is slower",
     "echo madvise >/sys/kernel/mm/transparent_hugepage/enabled"},
    {"huge_pages_free", NULL, is_fragmented, VERDICT_NOTE, "large buffers may be in small pages, which is slower",
     "echo 1 >/proc/sys/vm/compact_memory"},
    {"nvml", "off", NULL, VERDICT_NOTE, "clocks, power and throttling stay unknown: libnvidia-ml.so.1 is not there",
     NULL},
    {"persistence", "off", NULL, VERDICT_NOTE, "the driver forgets the device between runs, which start slowly then",
     "nvidia-smi -i %s -pm 1"},
    {"ecc", "off", NULL, VERDICT_NOTE, "errors of the memory go unnoticed", "nvidia-smi -i %s -e 1"},
    {"mig", "on", NULL, VERDICT_NOTE, "this is a part of a device, and others may use the rest", NULL},
    {"mps", "on", NULL, VERDICT_NOTE, "kernels of other processes may run at the same time",
     "echo quit | nvidia-cuda-mps-control"},
    {"compute_mode", "prohibited", NULL, VERDICT_PROBLEM, "no process may use the device", "nvidia-smi -i %s -c 0"},
    {"application_clock_mhz", NULL, is_clocked_down, VERDICT_NOTE, "the clock is set below the highest",
     "nvidia-smi -i %s -rac"},
    {"power_limit_mw", NULL, is_power_limited, VERDICT_NOTE, "the limit is set below the default", NULL},
    {"pcie_width", NULL, is_narrow, VERDICT_NOTE, "the link to the host has fewer lanes than it could have", NULL},
    {"utilization_percent", NULL, is_used, VERDICT_PROBLEM, "others run kernels now", "nvidia-smi -i %s"},
    {"other_processes", NULL, has_others, VERDICT_PROBLEM, "others may run kernels at the same time",
     "nvidia-smi -i %s"},
    {"throttle", "!none", NULL, VERDICT_PROBLEM, "the clock is held down", NULL},
};

/* ---- Facts and advice ------------------------------------------------------------------------------------------- */

static void add_fact(struct facts *facts, const char *name, const char *value)
{
    struct qb_device_fact *fact = &facts->list[facts->count++];

    snprintf(fact->name, sizeof fact->name, "%s", name);
    snprintf(fact->value, sizeof fact->value, "%s", value[0] != '\0' ? value : "unknown");
}

static void add_number(struct facts *facts, const char *name, double number)
{
    char value[32] = "";

    if (!isnan(number)) {
        snprintf(value, sizeof value, "%.6g", number);
    }
    add_fact(facts, name, value);
}

/* The reasons in words; "none". */
static void add_throttle(struct facts *facts, const struct qb_device_conditions *conditions)
{
    char value[128] = "";

    for (unsigned i = 0; i < QB_THROTTLE_COUNT; i++) {
        size_t length = strlen(value);

        if (conditions->throttle >> i & 1) {
            snprintf(value + length, sizeof value - length, "%s%s", length > 0 ? ", " : "", qb_throttle_name(i));
        }
    }
    add_fact(facts, "throttle", conditions->throttle_known == 0 ? "" : value[0] == '\0' ? "none" : value);
}

/* Everything there is to know about DEVICE. */
static enum exit_code gather(const struct device *device, struct facts *facts)
{
    struct qb_device_conditions conditions = {.size = sizeof conditions};
    enum qb_status status;

    *facts = (struct facts){.count = 0};
    status = qb_device_facts(device->handle, facts->list, QB_DEVICE_FACTS, &facts->count);
    if (status == QB_OK) {
        status = qb_device_conditions(device->handle, &conditions);
    }
    if (status != QB_OK) {
        return message_status(device->info.id, status);
    }
    add_number(facts, "clock_mhz", conditions.clock);
    add_number(facts, "memory_clock_mhz", conditions.memory_clock);
    add_number(facts, "power_mw", conditions.power);
    add_number(facts, "temperature_c", conditions.temperature);
    add_throttle(facts, &conditions);
    /* The CPU has none of its own. */
    if (device->info.driver[0] != '\0') {
        add_fact(facts, "driver", device->info.driver);
    }
    add_fact(facts, "runtime", device->info.runtime);
    return EXIT_OK;
}

static bool rule_applies(const struct rule *rule, const struct facts *facts, const char *value)
{
    if (rule->applies != NULL) {
        return rule->applies(facts);
    }
    return rule->value[0] == '!' ? strcmp(value, rule->value + 1) != 0 : strcmp(value, rule->value) == 0;
}

static struct advice judge(const struct device *device, const struct facts *facts, const struct qb_device_fact *fact)
{
    struct advice advice = {.fact = fact, .verdict = VERDICT_OK};

    if (strcmp(fact->value, "unknown") == 0) {
        advice.verdict = VERDICT_UNKNOWN;
        return advice;
    }
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++) {
        const struct rule *rule = &rules[i];
        const char *place = rule->remedy != NULL ? strstr(rule->remedy, "%s") : NULL;

        if (strcmp(rule->fact, fact->name) != 0 || !rule_applies(rule, facts, fact->value)) {
            continue;
        }
        advice.verdict = rule->verdict;
        advice.why = rule->why;
        if (place != NULL) {
            snprintf(advice.remedy, sizeof advice.remedy, "%.*s%s%s", (int)(place - rule->remedy), rule->remedy,
                     device->info.pci, place + strlen("%s"));
        } else if (rule->remedy != NULL) {
            snprintf(advice.remedy, sizeof advice.remedy, "%s", rule->remedy);
        }
        break;
    }
    return advice;
}

/* ---- What is done with them ------------------------------------------------------------------------------------- */

size_t doctor_warn(struct machine *machine)
{
    size_t problems = 0;

    for (size_t i = 0; i < machine->device_count; i++) {
        const struct device *device = &machine->devices[i];
        struct facts facts;

        if (gather(device, &facts) != EXIT_OK) {
            continue;
        }
        for (size_t j = 0; j < facts.count; j++) {
            struct advice advice = judge(device, &facts, &facts.list[j]);

            if (advice.verdict == VERDICT_PROBLEM) {
                message_warning("%s: %s is %s: %s%s%s%s", device->info.id, advice.fact->name, advice.fact->value,
                                advice.why, advice.remedy[0] != '\0' ? " (" : "", advice.remedy,
                                advice.remedy[0] != '\0' ? ")" : "");
                problems++;
            }
        }
    }
    return problems;
}

/* All that was found about the host and the devices, at one moment. */
struct checkup {
    const struct machine *machine;
    size_t count;
    struct patient {
        const struct device *device;
        struct facts facts;
    } * patients;
    size_t problems;
};

static void print_advice(const struct advice *advice, FILE *stream)
{
    fprintf(stream, "  %-8s %-24s %s\n", verdict_names[advice->verdict], advice->fact->name, advice->fact->value);
    if (advice->why != NULL) {
        fprintf(stream, "%*s", WHY_INDENT, "");
        fold_print(advice->why, WHY_INDENT, WHY_INDENT, fold_width(stream), stream);
        fputc('\n', stream);
    }
    if (advice->remedy[0] != '\0') {
        fprintf(stream, "           -> %s\n", advice->remedy);
    }
}

static enum exit_code write_text(const struct checkup *checkup, FILE *stream)
{
    for (size_t i = 0; i < checkup->count; i++) {
        const struct patient *patient = &checkup->patients[i];

        fprintf(stream, "%s  %s\n", patient->device->info.id, patient->device->info.name);
        for (size_t j = 0; j < patient->facts.count; j++) {
            const struct advice advice = judge(patient->device, &patient->facts, &patient->facts.list[j]);

            print_advice(&advice, stream);
        }
    }
    fprintf(stream, "%zu problem%s\n", checkup->problems, checkup->problems == 1 ? "" : "s");
    return EXIT_OK;
}

static json_t *advice_to_json(const struct advice *advice)
{
    return json_pack("{s:s, s:o, s:s, s:o, s:o}", "name", advice->fact->name, "value",
                     document_text(advice->fact->value), "verdict", verdict_names[advice->verdict], "why",
                     advice->why != NULL ? json_string(advice->why) : json_null(), "remedy",
                     advice->remedy[0] != '\0' ? json_string(advice->remedy) : json_null());
}

static json_t *patient_to_json(const struct patient *patient)
{
    json_t *checks = json_array();

    for (size_t i = 0; i < patient->facts.count; i++) {
        const struct advice advice = judge(patient->device, &patient->facts, &patient->facts.list[i]);

        document_append(&checks, advice_to_json(&advice));
    }
    return json_pack("{s:s, s:o, s:o}", "device", patient->device->info.id, "device_name",
                     document_text(patient->device->info.name), "checks", checks);
}

static enum exit_code write_json(const struct checkup *checkup, FILE *stream)
{
    json_t *devices = json_array();
    char date[CLOCK_DATE_SIZE];

    clock_date(date);
    for (size_t i = 0; i < checkup->count; i++) {
        document_append(&devices, patient_to_json(&checkup->patients[i]));
    }
    return document_print(json_pack("{s:s, s:I, s:s, s:s, s:{s:o, s:o, s:I}, s:I, s:o}", "schema", "quantbench-doctor",
                                    "schema_version", (json_int_t)SCHEMA_VERSION, "version", PACKAGE_VERSION, "date",
                                    date, "host", "name", document_text(checkup->machine->host_name), "system",
                                    document_text(checkup->machine->system), "cpus",
                                    (json_int_t)checkup->machine->host.info.units, "problems",
                                    (json_int_t)checkup->problems, "devices", devices),
                          stream);
}

static enum exit_code write_checkup(const struct report_format *format, const void *checkup, FILE *stream)
{
    return format == report_format_find("text") ? write_text(checkup, stream) : write_json(checkup, stream);
}

/* Look at DEVICE. */
static enum exit_code examine(const struct device *device, struct checkup *checkup)
{
    struct patient *patient = &checkup->patients[checkup->count];
    enum exit_code code = gather(device, &patient->facts);

    if (code != EXIT_OK) {
        return code;
    }
    patient->device = device;
    checkup->count++;
    for (size_t i = 0; i < patient->facts.count; i++) {
        checkup->problems += judge(device, &patient->facts, &patient->facts.list[i]).verdict == VERDICT_PROBLEM;
    }
    return EXIT_OK;
}

enum exit_code doctor_report(const struct settings *settings, struct machine *machine)
{
    struct checkup checkup = {.machine = machine,
                              .patients = calloc(machine->device_count + 1, sizeof *checkup.patients)};
    enum exit_code code;

    if (checkup.patients == NULL) {
        return message_out_of_memory("the checks", (machine->device_count + 1) * sizeof *checkup.patients);
    }
    /* The host starts what any device does. */
    code = examine(&machine->host, &checkup);
    for (size_t i = 0; i < machine->device_count && code == EXIT_OK; i++) {
        if (strcmp(machine->devices[i].info.id, machine->host.info.id) != 0) {
            code = examine(&machine->devices[i], &checkup);
        }
    }
    if (code == EXIT_OK) {
        code = write_checkup(settings->reporting.format, &checkup, stdout);
        code = message_worse(code, output_write_with(&settings->reporting.outputs, write_checkup, &checkup));
    }
    code = code == EXIT_OK && checkup.problems > 0 ? EXIT_INCONCLUSIVE : code;
    free(checkup.patients);
    return code;
}
