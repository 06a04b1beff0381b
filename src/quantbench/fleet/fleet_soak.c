/* SPDX-License-Identifier: Apache-2.0 */
/* fleet_soak.c - records of soaks. The digests of what the reference computed are kept as facts of the device, so that
 * a host whose answers are not those of the others is named among the differences. */
#include <config.h>

#include "fleet/fleet.h"
#include "model/soak.h"

#include <stdio.h>
#include <string.h>

static const char not_whole[] = "is not a whole record, as quantbench --soak writes it";

enum { EXIT_STATUS, ENDED, INTERRUPTED, FAULT, SOAK, DIFFERENCES, LIST, REFERENCES, MEMBERS };
static const char *const names[] = {"exit_status", "ended",       "interrupted", "fault",
                                    "soak",        "differences", "list_digest", "references"};

enum { BUSY, LAUNCHES, BYTES, WRONG_LAUNCHES, WRONG_ROUNDS, REPEATABLE, FIRST_ROUND, WORK_MEMBERS };
static const char *const work_names[] = {"busy_s",       "launches",   "bytes",      "wrong",
                                         "wrong_rounds", "repeatable", "first_round"};

/* Add the number that VALUE is to *SUM. Returns false if it is none, or negative. */
static bool add(struct span value, double *sum)
{
    double number;

    if (!scan_number(value, &number) || !(number >= 0)) {
        return false;
    }
    *sum += number;
    return true;
}

/* Keep the digest of REFERENCE, one of the list LIST, as a fact, if its rounds are all there and none
 * was left out. */
static void take_reference(struct fleet *fleet, struct fleet_device *device, const char *list, double begin,
                           struct span reference, size_t *room)
{
    static const char *const members[] = {"first", "last", "digest"};
    struct span values[3];
    double first, last;
    char name[128];
    struct fleet_fact *fact;

    if (!scan_object(reference, members, 3, values) || !scan_number(values[0], &first) ||
        !scan_number(values[1], &last) || last < 2 * (first - begin) + begin || scan_is(values[2], "null")) {
        return;
    }
    fact = fleet_add(fleet, &device->facts, &device->fact_count, room, sizeof *fact);
    if (fact != NULL) {
        snprintf(name, sizeof name, "the reference, rounds %.0f to %.0f of soak %s", first, last, list);
        fact->name = fleet_text(fleet, name);
        fact->value = fleet_keep(fleet, values[2]);
    }
}

/* Keep the digests of all REFERENCES. */
static void take_references(struct fleet *fleet, struct fleet_device *device, const struct span values[MEMBERS],
                            double begin)
{
    struct span rest = values[REFERENCES], element;
    size_t room = device->fact_count; /* what it had is moved */
    char list[17] = "";

    scan_string(values[LIST], list, sizeof list);
    while (values[REFERENCES].at != NULL && scan_element(&rest, &element)) {
        take_reference(fleet, device, list, begin, element, &room);
    }
}

/* Keep the first of DIFFERENCES in words, one that is repeatable if there is any. */
static void take_difference(struct fleet *fleet, struct fleet_device *device, struct span differences)
{
    static const char *const members[] = {"kernel",      "tensor",           "byte", "xor", "first_difference",
                                          "repetitions", "wrong_repetitions"};
    enum { KERNEL, TENSOR, BYTE, XOR, FIRST, REPEATS, REPEATED, COUNT };
    struct span rest = differences, element, values[COUNT];
    char kernel[64] = "", tensor[32] = "", first[400] = "", again[64], text[640];

    while (scan_element(&rest, &element)) {
        double byte = 0, xor = 0, repeats = 0, repeated = 0;

        if (!scan_object(element, members, COUNT, values)) {
            return;
        }
        scan_string(values[KERNEL], kernel, sizeof kernel);
        scan_string(values[TENSOR], tensor, sizeof tensor);
        scan_string(values[FIRST], first, sizeof first);
        scan_number(values[BYTE], &byte);
        scan_number(values[XOR], &xor);
        scan_number(values[REPEATS], &repeats);
        scan_number(values[REPEATED], &repeated);
        device->soak.unrepeated += repeats <= 0;
        if (device->wrong[0] == '\0' || repeated > 0) {
            snprintf(again, sizeof again, repeats > 0 ? "wrong in %.0f of %.0f repetitions" : "not repeated", repeated,
                     repeats);
            snprintf(text, sizeof text, "%s: byte %.0f of the %s, xor 0x%02x: %s; %s", kernel, byte, tensor,
                     (unsigned)xor, first, again);
            device->wrong = fleet_text(fleet, text);
        }
        if (repeated > 0) {
            return;
        }
    }
}

/* The count that NUMBER is; 0: it is none. */
static uint64_t count_of(double number)
{
    return number >= 0 && number < (double)INT64_MAX ? (uint64_t)number : 0;
}

/* How much of the soak with WORK was done, in words; NULL if that is all of it. */
static const char *done_of(struct fleet *fleet, struct span work)
{
    static const char *const members[] = {"wanted_s", "wanted_rounds", "elapsed_s", "rounds"};
    enum { WANTED, WANTED_ROUNDS, ELAPSED, ROUNDS, COUNT };
    struct span values[COUNT];
    double numbers[COUNT] = {0};
    struct soak_length wanted;
    char text[SOAK_DONE_SIZE];

    for (int i = 0; i < COUNT && scan_object(work, members, COUNT, values); i++) {
        scan_number(values[i], &numbers[i]);
    }
    wanted = (struct soak_length){numbers[WANTED], count_of(numbers[WANTED_ROUNDS])};
    return soak_done_text(&wanted, numbers[ELAPSED], count_of(numbers[ROUNDS]), text) != NULL ? fleet_text(fleet, text)
                                                                                              : NULL;
}

/* Note if the soak of the record with VALUES did all that it was to do. */
static void take_length(struct fleet *fleet, struct fleet_soak *soak, const struct span values[MEMBERS])
{
    const char *done = done_of(fleet, values[SOAK]);

    if (scan_is(values[ENDED], "false")) {
        soak->unfinished = done != NULL ? done : "the end has no record";
    } else if (scan_is(values[INTERRUPTED], "true") && done != NULL) {
        soak->cut = done;
    } else {
        soak->whole++;
    }
}

const char *fleet_take_soak(struct fleet *fleet, size_t index, struct span document)
{
    struct fleet_device *device = &fleet->devices[index];
    struct span values[MEMBERS], work[WORK_MEMBERS];
    const double wrong = device->soak.wrong;
    double begin = 0, status = 0;

    if (!scan_object(document, names, MEMBERS, values) || !scan_object(values[SOAK], work_names, WORK_MEMBERS, work) ||
        !add(work[BUSY], &device->soak.busy) || !add(work[LAUNCHES], &device->soak.launches) ||
        !add(work[BYTES], &device->soak.bytes) || !add(work[WRONG_LAUNCHES], &device->soak.wrong) ||
        !add(work[work[WRONG_ROUNDS].at != NULL ? WRONG_ROUNDS : WRONG_LAUNCHES], &device->soak.wrong_rounds) ||
        !add(work[REPEATABLE], &device->soak.repeatable) || !add(work[FIRST_ROUND], &begin)) {
        return not_whole;
    }
    if (!(scan_is(values[ENDED], "false") && scan_is(values[EXIT_STATUS], "null")) &&
        !add(values[EXIT_STATUS], &status)) {
        return not_whole;
    }
    take_length(fleet, &device->soak, values);
    device->soak.records++;
    device->soak.failed = device->soak.failed || status == EXIT_CANNOT_RUN;
    if (values[FAULT].at != NULL && *values[FAULT].at == '"') {
        device->injected = fleet_keep(fleet, values[FAULT]);
    }
    if (device->soak.wrong > wrong) {
        take_difference(fleet, device, values[DIFFERENCES]);
    }
    take_references(fleet, device, values, begin);
    return NULL;
}

struct fleet_soak fleet_soak_sum(const struct fleet *fleet)
{
    struct fleet_soak sum = {.records = 0};

    for (size_t i = 0; i < fleet->device_count; i++) {
        const struct fleet_soak *soak = &fleet->devices[i].soak;

        sum.records += soak->records;
        sum.busy += soak->busy;
        sum.launches += soak->launches;
        sum.bytes += soak->bytes;
        sum.wrong += soak->wrong;
        sum.wrong_rounds += soak->wrong_rounds;
        sum.repeatable += soak->repeatable;
    }
    return sum;
}
