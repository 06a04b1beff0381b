/* SPDX-License-Identifier: Apache-2.0 */
/* nvml.h - what NVIDIA's management library knows of a device: clocks, power, settings. The library comes with the
 * driver and is loaded at run time; where it is not there, all is unknown. Nothing is ever set. */
#ifndef QB_NVML_H
#define QB_NVML_H

#include "facts.h"

struct qb__nvml;

/* The device with the PCI bus id PCI, or NULL if the library is not there or does not know it. */
struct qb__nvml *qb__nvml_open(const char *pci);
void qb__nvml_close(struct qb__nvml *nvml);

/* NVML may be NULL in all of these. The driver's own version, "580.95.05"; "" if unknown. */
void qb__nvml_driver_version(const struct qb__nvml *nvml, char *text, unsigned size);
void qb__nvml_conditions(const struct qb__nvml *nvml, struct qb_device_conditions *conditions);
void qb__nvml_facts(const struct qb__nvml *nvml, struct qb__facts *facts);

#endif
