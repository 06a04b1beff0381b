/* SPDX-License-Identifier: Apache-2.0 */
/* calibration.h - --calibrate: static scales from dumps of activations. */
#ifndef CLI_CALIBRATION_H
#define CLI_CALIBRATION_H

#include "model/settings.h"

/* Calibrate, report and save what SETTINGS ask for. Errors have been printed. */
enum exit_code calibrate_activations(const struct settings *settings);

#endif
