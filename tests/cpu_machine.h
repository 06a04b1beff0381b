/* SPDX-License-Identifier: Apache-2.0 */
/* cpu_machine.h - the CPU and its kernels, as the tool opens them, for a test program of the tool. */
#ifndef CPU_MACHINE_H
#define CPU_MACHINE_H

#include "cases/machine.h"
#include "cases/plugins.h"

#include <check.h>

/* Open MACHINE, which machine_close() closes. */
static inline void open_cpu(struct machine *machine)
{
    char *cpu[] = {(char[]){"cpu"}};
    const struct names names = {1, cpu};
    const struct foreign foreign = {.kernel_timeout = 1};
    const struct command command = {.argc = 0};

    ck_assert_int_eq(plugins_load(&foreign, &command), EXIT_OK);
    ck_assert_int_eq(machine_open(&names, machine), EXIT_OK);
}

#endif
