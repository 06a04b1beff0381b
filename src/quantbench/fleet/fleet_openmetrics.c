/* SPDX-License-Identifier: Apache-2.0 */
/* fleet_openmetrics.c - a fleet for Prometheus: a gauge for each figure of each device. */
#include <config.h>

#include "fleet/fleet_report.h"
#include "report/openmetrics.h"

#include <inttypes.h>
#include <math.h>

/* Write the labels of DEVICE, and the VALUE of NAME. */
static void write_value(const struct fleet *fleet, const struct fleet_device *device, const char *name, double value,
                        FILE *stream)
{
    fprintf(stream, "quantbench_fleet_%s", name);
    openmetrics_label("{", "node", fleet->nodes[device->node].label, stream);
    openmetrics_label(",", "device", device->id, stream);
    openmetrics_label(",", "model", device->name, stream);
    if (device->uuid[0] != '\0') {
        openmetrics_label(",", "uuid", device->uuid, stream);
    }
    if (device->rank >= 0) {
        fprintf(stream, ",rank=\"%" PRIi64 "\"", device->rank);
    }
    fprintf(stream, "} %.12g\n", value);
}

static double status_of(const struct fleet *fleet, const struct fleet_device *device)
{
    (void)fleet;
    return (double)fleet_device_code(device);
}

static double ratio_of(const struct fleet *fleet, const struct fleet_device *device)
{
    return device->entry < SIZE_MAX ? fleet->entries[device->entry].ratio : NAN;
}

static double low_of(const struct fleet *fleet, const struct fleet_device *device)
{
    return device->entry < SIZE_MAX ? fleet->entries[device->entry].low : NAN;
}

static double high_of(const struct fleet *fleet, const struct fleet_device *device)
{
    return device->entry < SIZE_MAX ? fleet->entries[device->entry].high : NAN;
}

static double injected_of(const struct fleet *fleet, const struct fleet_device *device)
{
    (void)fleet;
    return device->injected[0] != '\0' ? 1 : NAN;
}

/* NAN: the device has none. */
static const struct {
    const char *name, *help;
    double (*of)(const struct fleet *fleet, const struct fleet_device *device);
} figures[] = {
    {"device_status", "The exit status that the verdict on the device comes to.", status_of},
    {"ratio", "Time of the device, divided by the median of its peers.", ratio_of},
    {"ratio_low", "Lower end of the 95 % confidence interval of the ratio.", low_of},
    {"ratio_high", "Upper end of the 95 % confidence interval of the ratio.", high_of},
    {"injected", "1 if a fault was asked for.", injected_of},
};

static void write_head(const char *name, const char *help, FILE *stream)
{
    char full[64];

    snprintf(full, sizeof full, "fleet_%s", name);
    openmetrics_head(full, help, stream);
}

enum exit_code fleet_openmetrics_report(const struct fleet *fleet, FILE *stream)
{
    for (size_t f = 0; f < sizeof figures / sizeof figures[0]; f++) {
        write_head(figures[f].name, figures[f].help, stream);
        for (size_t i = 0; i < fleet->device_count; i++) {
            const double value = figures[f].of(fleet, &fleet->devices[i]);

            if (!isnan(value)) {
                write_value(fleet, &fleet->devices[i], figures[f].name, value, stream);
            }
        }
    }
    write_head("devices", "Devices with this verdict.", stream);
    for (int i = 0; i < FLEET_VERDICTS; i++) {
        openmetrics_label("quantbench_fleet_devices{", "verdict", fleet_verdict_words[i], stream);
        fprintf(stream, "} %zu\n", fleet->counts[i]);
    }
    write_head("missing", "Devices that were expected; 1 for a node of unknown size.", stream);
    for (size_t i = 0; i < fleet->missing_count; i++) {
        openmetrics_label("quantbench_fleet_missing{", "node", fleet->missing[i].node, stream);
        fprintf(stream, "} %zu\n", fleet->missing[i].devices > 0 ? fleet->missing[i].devices : 1);
    }
    write_head("status", "The exit status of the report.", stream);
    fprintf(stream, "quantbench_fleet_status %d\n# EOF\n", (int)fleet_code(fleet));
    return EXIT_OK;
}
