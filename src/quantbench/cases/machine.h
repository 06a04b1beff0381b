/* SPDX-License-Identifier: Apache-2.0 */
/* machine.h - what the measurements run on: the host and its opened devices. */
#ifndef MACHINE_H
#define MACHINE_H

#include "model/settings.h"
#include "model/finding.h"

struct device {
    struct qb_device *handle;
    struct qb_device_info info;
    bool has_graphs;
    struct calibration timer; /* zero for a device that is only listed */
};

/* True if DEVICE is the host's CPUs. */
bool device_is_cpu(const struct device *device);

struct machine {
    char host_name[65];
    char system[256];   /* operating system, release, architecture */
    struct device host; /* the CPU: always open, for its memory */
    struct device *devices;
    size_t device_count;
    bool binds_threads; /* of the CPU, while they are measured */
};

/* Open the CPU and what --device names, in that order of names. On failure the error has been printed. Close MACHINE
 * either way. */
enum exit_code machine_open(const struct names *device_names, struct machine *machine);
/* Have the memory of all CPUs made of PAGES. False, with the reason in qb_error_detail(), if none of the devices is
 * one, or the system has none. */
bool machine_set_huge_pages(struct machine *machine, enum qb_huge_pages pages);
void machine_close(struct machine *machine);

/* The numbers of the CPUs that this process may use, COUNT of them in rising order, according to HOST, the CPU; NULL
 * if they are not known. Free them. */
unsigned *machine_list_cpus(struct qb_device *host, size_t *count);

/* What DEVICE does now; unknown if it does not say. */
struct qb_device_conditions machine_conditions(struct qb_device *device);

/* Bytes of memory that can be had now, on the host and on DEVICE. */
uint64_t machine_memory_free(struct device *device);

#endif
