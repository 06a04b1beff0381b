/* SPDX-License-Identifier: Apache-2.0 */
/* fleet_picture.h - the picture of a fleet: the ratio of each device to its peers. */
#ifndef FLEET_PICTURE_H
#define FLEET_PICTURE_H

#include "fleet/fleet.h"
#include "report/plot.h"

/* Return FLEET as a source of pictures. Its only kind is PICTURE_FLEET. */
struct plot_source fleet_plot_source(const struct fleet *fleet);

#endif
