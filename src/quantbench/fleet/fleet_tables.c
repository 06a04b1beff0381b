/* SPDX-License-Identifier: Apache-2.0 */
/* fleet_tables.c - a fleet as CSV, as a table of Markdown, and as the tests of JUnit: a line, or a test, a device. */
#include <config.h>

#include "fleet/fleet_report.h"
#include "report/field.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static enum exit_code no_memory(void)
{
    message_error("out of memory: the report of the fleet");
    return EXIT_CANNOT_RUN;
}

/* ---- CSV --------------------------------------------------------------------------------------------------------- */

/* A field after BEFORE, '\0' for none. */
static void print_field(const char *text, char before, FILE *stream)
{
    if (before != '\0') {
        putc(before, stream);
    }
    field_csv(text, stream);
}

static void print_number(double number, FILE *stream)
{
    fprintf(stream, ",%.12g", number);
}

/* The line of ENTRY of DEVICE; NULL: it has no time. */
static void print_line(const struct fleet *fleet, const struct fleet_device *device, const struct fleet_entry *entry,
                       FILE *stream)
{
    char text[FLEET_TEXT_SIZE];

    print_field(fleet->nodes[device->node].label, '\0', stream);
    if (device->rank >= 0) {
        fprintf(stream, ",%" PRIi64, device->rank);
    } else {
        fputc(',', stream);
    }
    print_field(device->id, ',', stream);
    print_field(device->uuid, ',', stream);
    print_field(device->name, ',', stream);
    print_field(entry != NULL ? fleet->groups[entry->group].kernel : "", ',', stream);
    print_field(entry != NULL ? fleet->groups[entry->group].what : "", ',', stream);
    if (entry != NULL) {
        print_number(exp((entry->again != NULL ? entry->again : entry->first)->time.mean), stream);
        print_number(entry->ratio, stream);
        print_number(entry->low, stream);
        print_number(entry->high, stream);
        print_number(entry->again != NULL ? entry->p_again : entry->p, stream);
    } else {
        fputs(",,,,,", stream);
    }
    print_field(
        fleet_verdict_words[device->verdict >= FLEET_NO_ANSWER || entry == NULL ? device->verdict : entry->verdict],
        ',', stream);
    print_field(fleet_reason_text(fleet, device, text), ',', stream);
    print_field(device->injected, ',', stream);
    fputs("\r\n", stream);
}

enum exit_code fleet_csv_report(const struct fleet *fleet, FILE *stream)
{
    fputs("node,rank,id,uuid,device_name,kernel,case,time_ns,ratio,ratio_low,ratio_high,p_value,verdict,cause,"
          "injected\r\n",
          stream);
    for (size_t i = 0; i < fleet->entry_count; i++) {
        print_line(fleet, &fleet->devices[fleet->entries[i].device], &fleet->entries[i], stream);
    }
    for (size_t i = 0; i < fleet->device_count; i++) {
        if (fleet->devices[i].entry == SIZE_MAX) {
            print_line(fleet, &fleet->devices[i], NULL, stream);
        }
    }
    for (size_t i = 0; i < fleet->missing_count; i++) {
        print_field(fleet->missing[i].node, '\0', stream);
        fputs(",,,,,,,,,,,,NO ANSWER,absent,\r\n", stream);
    }
    return EXIT_OK;
}

/* ---- Markdown ---------------------------------------------------------------------------------------------------- */

static void print_cell(const char *text, FILE *stream)
{
    putc(' ', stream);
    field_markdown(text, stream);
    fputs(" |", stream);
}

enum exit_code fleet_markdown_report(const struct fleet *fleet, FILE *stream)
{
    size_t *order = fleet_order(fleet);
    char text[FLEET_TEXT_SIZE];

    if (order == NULL) {
        return no_memory();
    }
    fputs("| device | ratio | 95 % interval | verdict | cause |\n|---|--:|--:|---|---|\n", stream);
    for (size_t i = 0; i < fleet->device_count; i++) {
        const struct fleet_device *device = &fleet->devices[order[i]];

        putc('|', stream);
        print_cell(fleet_device_text(fleet, device, text), stream);
        if (device->entry < SIZE_MAX) {
            const struct fleet_entry *entry = &fleet->entries[device->entry];

            fprintf(stream, " %.4f | %.4f to %.4f |", entry->ratio, entry->low, entry->high);
        } else {
            fputs(" | |", stream);
        }
        print_cell(fleet_verdict_words[device->verdict], stream);
        fleet_reason_text(fleet, device, text);
        if (device->injected[0] != '\0') {
            const size_t length = strlen(text);

            snprintf(text + length, sizeof text - length, "%sfault injected: %s", length > 0 ? "; " : "",
                     device->injected);
        }
        print_cell(text, stream);
        putc('\n', stream);
    }
    for (size_t i = 0; i < fleet->missing_count; i++) {
        putc('|', stream);
        print_cell(fleet->missing[i].node, stream);
        fputs(" | | NO ANSWER | absent |\n", stream);
    }
    fprintf(stream, "\n%s\n", fleet_summary_text(fleet, text));
    free(order);
    return EXIT_OK;
}

/* ---- JUnit ------------------------------------------------------------------------------------------------------- */

/* The element of the test of DEVICE; NULL: it passed. */
static const char *element_of(const struct fleet_device *device)
{
    if (device->soak.wrong > 0) {
        return "failure";
    }
    switch (device->verdict) {
    case FLEET_WRONG:
    case FLEET_SLOWER:
    case FLEET_UNSTEADY:
        return "failure";
    case FLEET_NO_ANSWER:
        return "error";
    case FLEET_SUSPECT:
    case FLEET_NO_VERDICT:
        return "skipped";
    case FLEET_OK:
    case FLEET_TRANSIENT:
        return NULL;
    }
    return NULL;
}

static void print_test(const char *name, enum fleet_verdict verdict, const char *element, double ratio,
                       const char *reason, FILE *stream)
{
    char text[2 * FLEET_TEXT_SIZE];

    fputs("    <testcase", stream);
    field_attribute("name", name, stream);
    fputs(" classname=\"quantbench.fleet\">\n", stream);
    snprintf(text, sizeof text, "%s%s%s", fleet_verdict_words[verdict], reason[0] != '\0' ? ": " : "", reason);
    if (ratio > 0) {
        const size_t length = strlen(text);

        snprintf(text + length, sizeof text - length, ", ratio %.4f", ratio);
    }
    if (element != NULL) {
        fprintf(stream, "      <%s", element);
        field_attribute("message", text, stream);
        fputs("/>\n", stream);
    } else {
        fputs("      <system-out>", stream);
        field_xml(text, stream);
        fputs("</system-out>\n", stream);
    }
    fputs("    </testcase>\n", stream);
}

enum exit_code fleet_junit_report(const struct fleet *fleet, FILE *stream)
{
    size_t failures = 0, errors = fleet->missing_count, skipped = 0;
    char text[FLEET_TEXT_SIZE], name[FLEET_TEXT_SIZE + 64], counted[160];

    for (size_t i = 0; i < fleet->device_count; i++) {
        const char *element = element_of(&fleet->devices[i]);
        size_t *sum = element == NULL ? NULL : element[0] == 'f' ? &failures : element[0] == 'e' ? &errors : &skipped;

        if (sum != NULL) {
            ++*sum;
        }
    }
    snprintf(counted, sizeof counted, " tests=\"%zu\" failures=\"%zu\" errors=\"%zu\" skipped=\"%zu\"",
             fleet->device_count + fleet->missing_count, failures, errors, skipped);
    fprintf(stream,
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites%s>\n  <testsuite name=\"quantbench fleet\"%s>\n",
            counted, counted);
    for (size_t i = 0; i < fleet->device_count; i++) {
        const struct fleet_device *device = &fleet->devices[i];

        fleet_device_text(fleet, device, text);
        snprintf(name, sizeof name, "%s%s%.40s", text, device->injected[0] != '\0' ? ", fault injected: " : "",
                 device->injected);
        print_test(name, device->verdict, element_of(device),
                   device->entry < SIZE_MAX ? fleet->entries[device->entry].ratio : 0,
                   fleet_reason_text(fleet, device, text), stream);
    }
    for (size_t i = 0; i < fleet->missing_count; i++) {
        const struct fleet_missing *missing = &fleet->missing[i];

        snprintf(name, sizeof name, "%s%s", missing->node, missing->devices > 0 ? " missing devices" : "");
        print_test(name, FLEET_NO_ANSWER, "error", 0, "absent", stream);
    }
    fputs("  </testsuite>\n</testsuites>\n", stream);
    return EXIT_OK;
}
