/* SPDX-License-Identifier: Apache-2.0 */
/* list.h - --list-devices, --list-kernels and --list-models. */
#ifndef LIST_H
#define LIST_H

#include "cli/args.h"

/* Print the list in args->format on standard output. */
enum exit_code list_devices(const struct args *args);
enum exit_code list_kernels(const struct args *args);
enum exit_code list_models(const struct args *args);

#endif
