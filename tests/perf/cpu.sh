#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# cpu.sh - what the CPU's kernels reach of what this machine's memory allows, with one thread and with two, against the
# goals: the table in doc/performance.md. Run it in a build folder on a quiet machine, after "make perf":
#   tests/perf/cpu.sh [ROUNDS]
# Exit status 0: all goals are met; 1: some are missed.
rounds=${1:-25}
program=${CPU_RATIOS:-./cpu_ratios}
[ -x "$program" ] || {
    echo "$0: $program is not there: run \"make perf\" in the build folder first" >&2
    exit 2
}
# Threads stay where they are, and wait for their work awake.
OMP_PROC_BIND=${OMP_PROC_BIND:-true}
OMP_WAIT_POLICY=${OMP_WAIT_POLICY:-active}
export OMP_PROC_BIND OMP_WAIT_POLICY
status=0
for threads in 1 2; do
    "$program" "$rounds" "$threads" || status=$?
    echo
done
exit "$status"
