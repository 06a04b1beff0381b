/* SPDX-License-Identifier: Apache-2.0 */
/* list.h - --list-devices, --list-kernels and --list-models. */
#ifndef LIST_H
#define LIST_H

#include "cli/args.h"

/* Print the list in settings->reporting.format on standard output. */
enum exit_code list_devices(const struct settings *settings);
enum exit_code list_kernels(const struct settings *settings);
enum exit_code list_models(const struct settings *settings);

#endif
